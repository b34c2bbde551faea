/* The register tile for the Cortex-A53, which starts two instructions a cycle, in order, but not
 * with a load of 128 bits: that takes two cycles alone. A 64-bit load starts beside an insertion
 * of 64 bits, and an integer load beside a multiplication. So each operand is loaded as two halves,
 * the upper one through an integer register, and 8 x 12 takes 31 cycles for each k, 24 of them for
 * multiplications, instead of 34.
 *
 * The order is the point, and no compiler keeps it: hence volatile assembly, one instruction
 * each, with registers left to the compiler.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_MULTIPLY_TILE_IN_ORDER_H_
#define HANDWRITTEN_MULTIPLY_TILE_IN_ORDER_H_

typedef struct {
  float at[2];
} __attribute__((may_alias)) half_t;

#define LOAD_LOW(v, p) __asm__ volatile("ldr %d0, %1" : "=w"(v) : "m"(*(const half_t*)(p)))
#define LOAD_HIGH(x, p) __asm__ volatile("ldr %0, %1" : "=r"(x) : "m"(*(const half_t*)((p) + 2)))
#define ADVANCE(p, floats) __asm__ volatile("add %0, %0, %1" : "+r"(p) : "i"(4 * (floats)))
#define INSERT_HIGH(v, x) __asm__ volatile("ins %0.d[1], %1" : "+w"(v) : "r"(x))
#define MULTIPLY_LANE(c, lane, v)                                \
  __asm__ volatile("fmla %0.4s, %1.4s, %2.s[" #lane "]"          \
                   : "+w"(acc[(c) + lane][v])                    \
                   : "w"(pixels[v]), "w"(weights[(c) / 4]))
#define MULTIPLY_FOUR(c, v)   \
  do {                        \
    MULTIPLY_LANE(c, 0, v);   \
    MULTIPLY_LANE(c, 1, v);   \
    MULTIPLY_LANE(c, 2, v);   \
    MULTIPLY_LANE(c, 3, v);   \
  } while (0)

/* Adds to acc[c][v] the products over k of weights a[k][8] and pixels b[k][4 * vectors]. Each half
 * is loaded, inserted and used at a distance of four cycles, the latency, wherever there are enough
 * multiplications to put between. */
INLINE void multiply_tile(const int vectors, int depth, const float* a, const float* b,
                          vec4 acc[CO_TILE][MAX_VECTORS]) {
  vec4 weights[2] = {vec4_load(a), vec4_load(a + 4)}, pixels[MAX_VECTORS];
  uint64_t high_weights[2], high_pixels[MAX_VECTORS];
  const int last = vectors - 1;
  UNROLL for (int v = 0; v < vectors; v++) pixels[v] = vec4_load(b + 4 * v);
  LOAD_HIGH(high_pixels[last], b + 4 * last);
  LOAD_HIGH(high_weights[1], a + 4);
  for (int k = depth - 1; k > 0; k--) {
    if (last == 0) INSERT_HIGH(pixels[0], high_pixels[0]);
    MULTIPLY_LANE(0, 0, 0);
    ADVANCE(a, CO_TILE);
    MULTIPLY_LANE(0, 1, 0);
    LOAD_HIGH(high_weights[0], a);
    if (last > 0) INSERT_HIGH(pixels[last], high_pixels[last]);
    INSERT_HIGH(weights[1], high_weights[1]);
    MULTIPLY_LANE(0, 2, 0);
    ADVANCE(b, 4 * vectors);
    MULTIPLY_LANE(0, 3, 0);
    UNROLL for (int v = 1; v < vectors; v++) MULTIPLY_FOUR(0, v);
    LOAD_LOW(weights[0], a);
    UNROLL for (int v = 0; v < vectors; v++) {
      MULTIPLY_LANE(4, 0, v);
      LOAD_HIGH(high_pixels[v], b + 4 * v);
      MULTIPLY_LANE(4, 1, v);
      if (v == 0) LOAD_HIGH(high_weights[1], a + 4);
      MULTIPLY_LANE(4, 2, v);
      MULTIPLY_LANE(4, 3, v);
      LOAD_LOW(pixels[v], b + 4 * v);
      if (v == 0) INSERT_HIGH(weights[0], high_weights[0]);
      else INSERT_HIGH(pixels[v - 1], high_pixels[v - 1]);
    }
    LOAD_LOW(weights[1], a + 4);
  }
  INSERT_HIGH(pixels[last], high_pixels[last]);
  INSERT_HIGH(weights[1], high_weights[1]);
  UNROLL for (int c = 0; c < CO_TILE; c += 4)
    UNROLL for (int v = 0; v < vectors; v++) MULTIPLY_FOUR(c, v);
}

#endif /* HANDWRITTEN_MULTIPLY_TILE_IN_ORDER_H_ */
