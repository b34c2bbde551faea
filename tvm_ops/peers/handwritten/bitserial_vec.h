/* Sixteen bytes and eight 16-bit sums: NEON registers, or the compiler's portable vectors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_BITSERIAL_VEC_H_
#define HANDWRITTEN_BITSERIAL_VEC_H_

#include "vec4.h"

#if defined(__ARM_NEON)

typedef uint8x16_t bytes_t;
typedef uint16x8_t sums_t;

INLINE bytes_t bytes_load(const uint8_t* p) { return vld1q_u8(p); }
INLINE bytes_t bytes_repeat(const uint16_t* p) { return vreinterpretq_u8_u16(vld1q_dup_u16(p)); }
INLINE bytes_t bytes_repeat4(const uint8_t* p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return vreinterpretq_u8_u32(vdupq_n_u32(four));
}
INLINE bytes_t bytes_zero(void) { return vdupq_n_u8(0); }
INLINE bytes_t bytes_xor(bytes_t a, bytes_t b) { return veorq_u8(a, b); }
INLINE bytes_t bytes_and(bytes_t a, bytes_t b) { return vandq_u8(a, b); }
INLINE bytes_t bytes_count(bytes_t a) { return vcntq_u8(a); } /* ones of each byte */
#define bytes_word(a, i) vgetq_lane_u32(vreinterpretq_u32_u8(a), i)

INLINE sums_t sums_zero(void) { return vdupq_n_u16(0); }
INLINE sums_t sums_load(const uint16_t* p) { return vld1q_u16(p); }
INLINE sums_t sums_add_pairs(sums_t sums, bytes_t a) { return vpadalq_u8(sums, a); }
INLINE sums_t sums_at_most(sums_t a, sums_t bound) { return vcleq_u16(a, bound); }
INLINE void sums_store_from(int16_t* p, int k, sums_t a) { /* k - 2 a */
  vst1q_s16(p, vreinterpretq_s16_u16(vsubq_u16(vdupq_n_u16(k), vshlq_n_u16(a, 1))));
}

#if defined(__aarch64__)
/* The low bytes of a, then of b; the sums of neighbours in a, then in b. */
INLINE bytes_t bytes_narrow(sums_t a, sums_t b) {
  return vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}
INLINE bytes_t bytes_pairs(bytes_t a, bytes_t b) { return vpaddq_u8(a, b); }
#else
INLINE bytes_t bytes_narrow(sums_t a, sums_t b) {
  return vcombine_u8(vmovn_u16(a), vmovn_u16(b));
}
INLINE bytes_t bytes_pairs(bytes_t a, bytes_t b) {
  return vcombine_u8(vpadd_u8(vget_low_u8(a), vget_high_u8(a)),
                     vpadd_u8(vget_low_u8(b), vget_high_u8(b)));
}
#endif

#else /* no NEON */

typedef uint8_t bytes_t __attribute__((vector_size(16)));
typedef uint16_t sums_t __attribute__((vector_size(16)));

INLINE bytes_t bytes_load(const uint8_t* p) {
  bytes_t a;
  memcpy(&a, p, sizeof a);
  return a;
}
INLINE bytes_t bytes_repeat(const uint16_t* p) {
  const uint16_t a = *p;
  return (bytes_t)(sums_t){a, a, a, a, a, a, a, a};
}
INLINE bytes_t bytes_repeat4(const uint8_t* p) {
  uint8_t four[16];
  for (int i = 0; i < 16; i++) four[i] = p[i % 4];
  return bytes_load(four);
}
INLINE bytes_t bytes_zero(void) { return (bytes_t){0}; }
INLINE bytes_t bytes_xor(bytes_t a, bytes_t b) { return a ^ b; }
INLINE bytes_t bytes_and(bytes_t a, bytes_t b) { return a & b; }
INLINE bytes_t bytes_count(bytes_t a) {
  a -= a >> 1 & 0x55;
  a = (a & 0x33) + (a >> 2 & 0x33);
  return (a + (a >> 4)) & 0x0f;
}
INLINE uint32_t bytes_word(bytes_t a, int i) {
  uint32_t words[4];
  memcpy(words, &a, sizeof a);
  return words[i];
}

INLINE sums_t sums_zero(void) { return (sums_t){0}; }
INLINE sums_t sums_load(const uint16_t* p) {
  sums_t a;
  memcpy(&a, p, sizeof a);
  return a;
}
INLINE sums_t sums_add_pairs(sums_t sums, bytes_t a) {
  return sums + ((sums_t)a & 0xff) + ((sums_t)a >> 8);
}
INLINE sums_t sums_at_most(sums_t a, sums_t bound) { return (sums_t)(a <= bound); }
INLINE void sums_store_from(int16_t* p, int k, sums_t a) {
  const sums_t y = (sums_t)((uint16_t)k - 2 * a);
  memcpy(p, &y, sizeof y);
}
INLINE bytes_t bytes_narrow(sums_t a, sums_t b) {
  bytes_t all;
  for (int i = 0; i < 8; i++) all[i] = (uint8_t)a[i], all[8 + i] = (uint8_t)b[i];
  return all;
}
INLINE bytes_t bytes_pairs(bytes_t a, bytes_t b) {
  bytes_t all;
  for (int i = 0; i < 8; i++) {
    all[i] = (uint8_t)(a[2 * i] + a[2 * i + 1]);
    all[8 + i] = (uint8_t)(b[2 * i] + b[2 * i + 1]);
  }
  return all;
}

#endif

#endif /* HANDWRITTEN_BITSERIAL_VEC_H_ */
