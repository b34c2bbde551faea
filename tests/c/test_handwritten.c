/* Runs hand-written functions for a test that talks to it over pipes. For each case it reads, as
 * int32, the function's place in functions.h, whether to check only, and the fields of its
 * parameters, and answers with the code of _check, as int32; if that is 0 it reads x, weights and
 * what follows the sums and answers with y. It exits with 1 if a function breaks its promises about
 * codes, sizes or null pointers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "functions.h"

static void require(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "broken: %s\n", what);
  exit(1);
}
#define REQUIRE(condition) require(condition, #condition)

/* Exactly as many bytes as promised, so that AddressSanitizer sees one too many; NaN in all. */
static void* filled(size_t bytes) {
  void* data = malloc(bytes);
  REQUIRE(data != NULL || bytes == 0);
  memset(data, 0xff, bytes);
  return data;
}

static void check_refusal(const function_t* f, const int* params, int code) {
  double unused[ARRAYS] = {0};
  void* arrays[ARRAYS];
  for (int i = 0; i < ARRAYS; i++) arrays[i] = &unused[i];
  REQUIRE(f->bytes(params, PACKED) == 0 && f->bytes(params, SPACE) == 0);
  REQUIRE(f->pack(params, arrays) == code && f->run(params, arrays) == code);
}

/* Each array that a function has to have is missed by one of the two. */
static void check_nulls(const function_t* f, const int* params, void* const* arrays) {
  for (int i = 0; i < ARRAYS; i++) {
    void* without[ARRAYS];
    memcpy(without, arrays, sizeof without);
    without[i] = NULL;
    const int pack = f->pack(params, without), run = f->run(params, without);
    REQUIRE(pack == HANDWRITTEN_OK || pack == HANDWRITTEN_NULL);
    REQUIRE(run == HANDWRITTEN_OK || run == HANDWRITTEN_NULL);
    REQUIRE(f->bytes(params, i) == 0 || pack == HANDWRITTEN_NULL || run == HANDWRITTEN_NULL);
  }
}

static void run_case(const function_t* f, const int* params) {
  void* arrays[ARRAYS];
  for (int i = 0; i < ARRAYS; i++) {
    const size_t bytes = f->bytes(params, i);
    arrays[i] = filled(bytes);
    if (i < OUTPUT) REQUIRE(fread(arrays[i], 1, bytes, stdin) == bytes);
  }
  REQUIRE(f->pack(params, arrays) == HANDWRITTEN_OK);
  check_nulls(f, params, arrays);
  memset(arrays[OUTPUT], 0xff, f->bytes(params, OUTPUT));
  memset(arrays[SPACE], 0xff, f->bytes(params, SPACE));
  REQUIRE(f->run(params, arrays) == HANDWRITTEN_OK);
  const size_t bytes = f->bytes(params, OUTPUT);
  REQUIRE(fwrite(arrays[OUTPUT], 1, bytes, stdout) == bytes);
  for (int i = 0; i < ARRAYS; i++) free(arrays[i]);
}

int main(void) {
  int32_t header[2];
  while (fread(header, sizeof header, 1, stdin) == 1) {
    const function_t* f = &functions[header[0]];
    int params[MAX_SIZES];
    REQUIRE(fread(params, sizeof(int), f->sizes, stdin) == (size_t)f->sizes);
    REQUIRE(f->check(NULL) == HANDWRITTEN_NULL && f->bytes(NULL, SPACE) == 0);
    const int32_t code = f->check(params);
    if (code) check_refusal(f, params, code);
    fwrite(&code, sizeof code, 1, stdout);
    fflush(stdout);
    if (!code && !header[1]) run_case(f, params);
    fflush(stdout);
  }
  return 0;
}
