/* The register tile of the matrix products: CO_TILE channels times vectors of four pixels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_MULTIPLY_TILE_H_
#define HANDWRITTEN_MULTIPLY_TILE_H_

#include "vec4.h"

/* 8 channels x 12 pixels take 24 accumulators, 3 vectors of pixels and 2 of weights of 32
 * registers; with 16 registers 4 x 12 take all of them. */
enum { MAX_VECTORS = 3 };
#ifndef CO_TILE
#if defined(__aarch64__) || defined(__AVX512VL__)
#define CO_TILE 8
#else
#define CO_TILE 4
#endif
#endif

/* How many vectors the next register tile takes of those left: threes, and a pair of twos in
 * the end rather than a three and a one, which would load a weight for each four products. */
INLINE int tile_vectors(int left) {
  if (left == 4) return 2;
  return left < MAX_VECTORS ? left : MAX_VECTORS;
}

#if defined(__aarch64__) && defined(HANDWRITTEN_IN_ORDER)
#include "multiply_tile_in_order.h"
#else

/* acc[c][v] += pixels[v] * weights of channel c, for the channels first to first + 3. */
#define MULTIPLY_LANE(first, lane, v) \
  acc[(first) + lane][v] =            \
      vec4_fma_lane(acc[(first) + lane][v], pixels[v], weights[(first) / 4], lane)
#define MULTIPLY_FOUR(first, v)   \
  do {                            \
    MULTIPLY_LANE(first, 0, v);   \
    MULTIPLY_LANE(first, 1, v);   \
    MULTIPLY_LANE(first, 2, v);   \
    MULTIPLY_LANE(first, 3, v);   \
  } while (0)

/* Adds to acc[c][v] the products over k of weights a[k][CO_TILE] and pixels b[k][4 * vectors].
 * The caller passes vectors as a constant, so that acc lives in registers.
 *
 * Each operand of the next k is loaded as soon as its register is free, which is 8 or more
 * multiplications before it is needed: with 12 vector instructions in its queue, an out-of-order
 * core does not get far enough ahead by itself (31 cycles for each k on the modelled A72 instead
 * of 24.1). */
INLINE void multiply_tile(const int vectors, int depth, const float* a, const float* b,
                          vec4 acc[CO_TILE][MAX_VECTORS]) {
  vec4 weights[CO_TILE / 4], pixels[MAX_VECTORS];
  UNROLL for (int c = 0; c < CO_TILE / 4; c++) weights[c] = vec4_load(a + 4 * c);
  UNROLL for (int v = 0; v < vectors; v++) pixels[v] = vec4_load(b + 4 * v);
  for (int k = 1; k < depth; k++) {
    a += CO_TILE;
    b += 4 * vectors;
    UNROLL for (int c = 0; c < CO_TILE - 4; c += 4) {
      UNROLL for (int v = 0; v < vectors; v++) MULTIPLY_FOUR(c, v);
      weights[c / 4] = vec4_load(a + c);
    }
    UNROLL for (int v = 0; v < vectors; v++) {
      MULTIPLY_FOUR(CO_TILE - 4, v);
      pixels[v] = vec4_load(b + 4 * v);
    }
    weights[CO_TILE / 4 - 1] = vec4_load(a + CO_TILE - 4);
  }
  UNROLL for (int c = 0; c < CO_TILE; c += 4)
    UNROLL for (int v = 0; v < vectors; v++) MULTIPLY_FOUR(c, v);
}

#endif

#endif /* HANDWRITTEN_MULTIPLY_TILE_H_ */
