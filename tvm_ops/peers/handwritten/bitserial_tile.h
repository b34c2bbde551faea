/* The register tile of the one-bit products: pixels times vectors of eight output channels.
 *
 * A step is 16 bits of the sum. A vector of weights has them of eight channels side by side, and
 * those of a pixel are repeated for all eight, so that the differing bits of each byte, added in
 * pairs to 16 bits, are the channels' sums: nothing is left to add across, and no byte overflows.
 * Steps of 32 bits of four channels, or 64 of two, take as many loads, and one or three more
 * additions for the sums of eight channels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_BITSERIAL_TILE_H_
#define HANDWRITTEN_BITSERIAL_TILE_H_

#include "bitserial_vec.h"

enum { VECTORS = 4, LANES = 8, STEP = 2, VECTOR = 16 }; /* STEP, VECTOR: bytes */

/* With 32 registers 4 x 4 take 16 accumulators, 4 vectors of weights, 4 of pixels and 3 of products
 * that are UNDER_WAY. The order of their instructions is the point: it keeps both pipes of an
 * out-of-order core busy with a short queue (256 channels at 14x14: 83 multiply-adds a cycle on an
 * A72; in GCC's own order, which needs more registers than there are, 66). So GCC may not change it
 * in functions that are ORDERED. With 16 registers 2 x 4 leave none for products under way. */
#if defined(__arm__)
#ifndef TILE_PIXELS
#define TILE_PIXELS 2
#endif
#define UNDER_WAY 0
#define ORDERED static __attribute__((noinline))
#else
#ifndef TILE_PIXELS
#define TILE_PIXELS 4
#endif
#define UNDER_WAY 1
#define ORDERED                                                                       \
  static __attribute__((noinline, optimize("no-schedule-insns", "no-schedule-insns2", \
                                           "no-schedule-fusion", "no-tree-ter", "no-ivopts")))
#endif

/* The steps of a kernel: bytes of a pixel from each one to the next, 0 from the last. An inner loop
 * for each row of the kernel instead would have its end mispredicted. */
typedef struct {
  const uint32_t* next;
  int count;
} steps_t;

/* A product is under way at three places: xor, count, add. */
typedef struct {
  const uint8_t *from[TILE_PIXELS], *weights;
  const uint32_t* next;
  bytes_t x[TILE_PIXELS], w[VECTORS], differ, ones;
} tile_t;

INLINE bytes_t load_step(const uint8_t* p) { return bytes_repeat((const uint16_t*)(const void*)p); }

/* One step, and the loads of the next one, each right after the last use of its register. */
INLINE void step(const int pixels, const int vectors, tile_t* t,
                 sums_t sums[TILE_PIXELS][VECTORS]) {
  const int products = pixels * vectors;
  const size_t next = *t->next++;
  UNROLL for (int i = 0; i < products; i++) {
    const int p = i / vectors, v = i % vectors;
    const int done = UNDER_WAY ? (i + 2 * products - 2) % products : i;
    sums_t* sum = &sums[done / vectors][done % vectors];
    const bytes_t differ = bytes_xor(t->x[p], t->w[v]);
    const bytes_t ones = bytes_count(UNDER_WAY ? t->differ : differ);
    *sum = sums_add_pairs(*sum, UNDER_WAY ? t->ones : ones);
    t->differ = differ;
    t->ones = ones;
    if (p == pixels - 1) t->w[v] = bytes_load(t->weights + VECTOR * v);
    if (v == vectors - 1) t->x[p] = load_step(t->from[p] += next);
  }
  t->weights += VECTOR * vectors;
}

/* sums[p][v]: the bits that differ between the pixels that begin at from[p] and the weights, of
 * which it reads a step too many. */
INLINE void sum_tile(const int pixels, const int vectors, const steps_t* steps,
                     const uint8_t* const from[TILE_PIXELS], const uint8_t* weights,
                     sums_t sums[TILE_PIXELS][VECTORS]) {
  const int products = pixels * vectors;
  tile_t t = {.weights = weights + VECTOR * vectors, .next = steps->next};
  t.differ = t.ones = bytes_zero();
  UNROLL for (int p = 0; p < pixels; p++) {
    t.from[p] = from[p];
    t.x[p] = load_step(from[p]);
    UNROLL for (int v = 0; v < vectors; v++) sums[p][v] = sums_zero();
  }
  UNROLL for (int v = 0; v < vectors; v++) t.w[v] = bytes_load(weights + VECTOR * v);
  for (int s = steps->count; s > 0; s--) step(pixels, vectors, &t, sums);
  if (!UNDER_WAY) return;
  UNROLL for (int i = products > 1 ? products - 2 : 0; i < products; i++) {
    sums_t* sum = &sums[i / vectors][i % vectors];
    *sum = sums_add_pairs(*sum, t.ones);
    t.ones = bytes_count(t.differ);
  }
  if (products == 1) sums[0][0] = sums_add_pairs(sums[0][0], t.ones);
}

#endif /* HANDWRITTEN_BITSERIAL_TILE_H_ */
