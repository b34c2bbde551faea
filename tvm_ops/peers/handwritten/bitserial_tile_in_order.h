/* The register tile of 4 pixels x 4 vectors for the Cortex-A53, which starts two instructions a
 * cycle, in order. A 128-bit instruction takes the whole vector datapath for a cycle, a 128-bit load
 * takes two cycles alone. An insertion of 64 bits starts beside a 64-bit load, and whatever the
 * integer units do, loads to their registers among it, beside a vector instruction. So the upper
 * half of each vector of weights comes through an integer register: a step has 48 cycles of products
 * and 8 of loads, where whole vectors would take 12, and 1 for the branch.
 *
 * All other work of the loop has a place beside a vector instruction, one each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_BITSERIAL_TILE_IN_ORDER_H_
#define HANDWRITTEN_BITSERIAL_TILE_IN_ORDER_H_

#include "bitserial_tile.h"

/* Vectors are of the type that writes them: GCC may copy what it reinterprets. */
typedef struct {
  const uint8_t *from[4], *weights;
  uint16x8_t x[4];
  uint64x2_t w[VECTORS], differ;
  uint8x16_t ones;
  uint64_t upper[VECTORS]; /* halves of weights on their way */
  const uint32_t* next;
  int64_t left;            /* steps */
} in_order_t;

INLINE uint64_t load_half(const uint8_t* p) {
  uint64_t half;
  memcpy(&half, p, sizeof half);
  return half;
}

/* Halves lie packed the wrong way around: no vector register can turn them, which keeps GCC from
 * loading them to one. */
INLINE uint64_t turn(uint64_t half) { return half >> 32 | half << 32; }

/* Channels in their order, of sums that another tile has of such weights. */
INLINE sums_t turn_upper(sums_t sums) {
  const uint32x2_t upper = vreinterpret_u32_u16(vget_high_u16(sums));
  return vcombine_u16(vget_low_u16(sums), vreinterpret_u16_u32(vrev64_u32(upper)));
}

INLINE uint64x2_t lower_half(const uint8_t* p) {
  return vcombine_u64(vld1_u64((const uint64_t*)(const void*)p), vcreate_u64(0));
}

INLINE uint64x2_t differ(uint16x8_t x, uint64x2_t w) { return veorq_u64(vreinterpretq_u64_u16(x), w); }

/* One product under way at all three places, with an integer instruction between two of them. */
#define PRODUCT(p, v, first, second)                                                        \
  do {                                                                                      \
    const uint64x2_t bits = differ(t->x[p], t->w[v]);                                       \
    const uint8x16_t ones = t->ones;                                                        \
    sums_t* sum = &sums[((p) * 4 + (v) + 14) % 16 / 4][((v) + 2) % 4];                      \
    first;                                                                                  \
    t->ones = vcntq_u8(vreinterpretq_u8_u64(t->differ));                                    \
    second;                                                                                 \
    *sum = vpadalq_u8(*sum, ones);                                                          \
    t->differ = bits;                                                                       \
  } while (0)
#define NOTHING (void)0
#define LOAD_PIXEL(p) t->x[p] = vld1q_dup_u16((const uint16_t*)(const void*)t->from[p])
#define NEXT(p) t->from[p] += next
#define LOAD_UPPER(v) t->upper[v] = load_half(t->weights + VECTOR * (v) + VECTOR / 2)
#define TURN(v) t->upper[v] = turn(t->upper[v])
#define LOAD_LOWER(v) t->w[v] = lower_half(t->weights + VECTOR * ((v) - VECTORS))
#define INSERT_UPPER(v) t->w[v] = vsetq_lane_u64(t->upper[v], t->w[v], 1)

/* From the third product of a step to the second one of the next: between them all registers are
 * loaded, so that no half of a vector is alive from one iteration to another, for which GCC would
 * copy it. */
INLINE void step_in_order(in_order_t* t, sums_t sums[4][VECTORS]) {
  size_t next;
  PRODUCT(0, 2, next = *t->next, t->next++);
  PRODUCT(0, 3, NOTHING, NEXT(0));
  PRODUCT(1, 0, NEXT(1), NEXT(2));
  LOAD_PIXEL(0);
  PRODUCT(1, 1, NEXT(3), NOTHING);
  PRODUCT(1, 2, LOAD_UPPER(0), NOTHING);
  PRODUCT(1, 3, LOAD_UPPER(1), NOTHING);
  LOAD_PIXEL(1);
  PRODUCT(2, 0, LOAD_UPPER(2), TURN(0));
  PRODUCT(2, 1, LOAD_UPPER(3), TURN(1));
  PRODUCT(2, 2, t->weights += VECTORS * VECTOR, TURN(2));
  PRODUCT(2, 3, t->left -= 1, TURN(3));
  LOAD_PIXEL(2);
  PRODUCT(3, 0, NOTHING, NOTHING);
  LOAD_LOWER(0);
  PRODUCT(3, 1, NOTHING, NOTHING);
  LOAD_LOWER(1); INSERT_UPPER(0);
  PRODUCT(3, 2, NOTHING, NOTHING);
  LOAD_LOWER(2); INSERT_UPPER(1);
  PRODUCT(3, 3, NOTHING, NOTHING);
  LOAD_LOWER(3); INSERT_UPPER(2);
  PRODUCT(0, 0, NOTHING, NOTHING);
  LOAD_PIXEL(3); INSERT_UPPER(3);
  PRODUCT(0, 1, NOTHING, NOTHING);
}

/* As sum_tile, for 4 x 4 and such weights. */
INLINE void sum_tile_in_order(const steps_t* steps, const uint8_t* const from[4],
                              const uint8_t* weights, sums_t sums[4][VECTORS]) {
  in_order_t state = {.next = steps->next, .left = steps->count}, *t = &state;
  t->weights = weights;
  UNROLL for (int p = 0; p < 4; p++) t->from[p] = from[p];
  UNROLL for (int v = 0; v < VECTORS; v++) LOAD_UPPER(v);
  UNROLL for (int p = 0; p < 4; p++) LOAD_PIXEL(p);
  t->weights += VECTORS * VECTOR;
  UNROLL for (int v = 0; v < VECTORS; v++) LOAD_LOWER(v);
  UNROLL for (int v = 0; v < VECTORS; v++) TURN(v);
  UNROLL for (int v = 0; v < VECTORS; v++) INSERT_UPPER(v);
  UNROLL for (int i = 0; i < 4 * VECTORS; i++) sums[i / VECTORS][i % VECTORS] = sums_zero();
  t->ones = vcntq_u8(vreinterpretq_u8_u64(differ(t->x[0], t->w[0])));
  t->differ = differ(t->x[0], t->w[1]);
  do {
    step_in_order(t, sums);
  } while (t->left);
}

#endif /* HANDWRITTEN_BITSERIAL_TILE_IN_ORDER_H_ */
