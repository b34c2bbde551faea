/* The memory that kernels ask for while they run.
 *
 * A kernel allocates the same few blocks at each call. A fresh block of some MB comes from mmap and
 * costs a page fault per 4 KiB, so a few freed blocks are kept. Each kept block sits in a slot that
 * is emptied and filled by one atomic exchange: no lock, hence nothing that a fork could leave locked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PAGE 4096
#define SLOTS 8

/* The header lies at the start of the page before the data. */
typedef struct {
  size_t capacity;
} block;

static _Atomic(block*) kept[SLOTS];
static atomic_uint next_victim;

static void keep(block* freed) {
  for (int i = 0; i < SLOTS; ++i) {
    block* empty = NULL;
    if (atomic_compare_exchange_strong(&kept[i], &empty, freed)) return;
  }
  unsigned victim = atomic_fetch_add(&next_victim, 1) % SLOTS;
  free(atomic_exchange(&kept[victim], freed));
}

/* A kept block for this size that wastes at most half of itself, or NULL. */
static block* take(size_t size) {
  for (int i = 0; i < SLOTS; ++i) {
    block* found = atomic_exchange(&kept[i], NULL);
    if (found == NULL) continue;
    if (found->capacity >= size && found->capacity / 2 <= size) return found;
    keep(found);
  }
  return NULL;
}

/* Page-aligned, so that cache sets and page crossings do not vary from run to run. NULL: no memory. */
static void* allocate(int device_type, int device_id, uint64_t size, int dtype_code, int dtype_bits) {
  (void)device_type, (void)device_id, (void)dtype_code, (void)dtype_bits;
  if (size > SIZE_MAX / 2) return NULL;
  size_t capacity = ((size_t)size + PAGE - 1) / PAGE * PAGE;
  block* found = take(capacity);
  if (found == NULL) {
    found = aligned_alloc(PAGE, PAGE + capacity);
    if (found == NULL) return NULL;
    found->capacity = capacity;
  }
  return (char*)found + PAGE;
}

static int release(int device_type, int device_id, void* data) {
  (void)device_type, (void)device_id;
  if (data != NULL) keep((block*)((char*)data - PAGE));
  return 0;
}

__attribute__((destructor)) static void free_kept(void) {
  for (int i = 0; i < SLOTS; ++i) free(atomic_exchange(&kept[i], NULL));
}

/* The pointers through which TVM's code calls; a kernel's object has them weak and null. */
void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = allocate;
int (*__TVMBackendFreeWorkspace)(int, int, void*) = release;
