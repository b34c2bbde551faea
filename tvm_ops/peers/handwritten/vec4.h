/* Four floats: a NEON register, or the compiler's portable vector where there is no NEON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_VEC4_H_
#define HANDWRITTEN_VEC4_H_

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

/* For loops over arrays that are to live in registers: unrolled early enough for that. */
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__ARM_NEON)

#include <arm_neon.h>

typedef float32x4_t vec4;
typedef float32x4x2_t vec4x2;
typedef float32x4x4_t vec4x4;

INLINE vec4 vec4_load(const float* p) { return vld1q_f32(p); }
INLINE void vec4_store(float* p, vec4 a) { vst1q_f32(p, a); }
INLINE vec4 vec4_set(float a) { return vdupq_n_f32(a); }
INLINE vec4 vec4_load_one(const float* p) { return vld1q_dup_f32(p); }
INLINE vec4 vec4_add(vec4 a, vec4 b) { return vaddq_f32(a, b); }
INLINE vec4 vec4_sub(vec4 a, vec4 b) { return vsubq_f32(a, b); }
INLINE vec4 vec4_mul(vec4 a, vec4 b) { return vmulq_f32(a, b); }
INLINE vec4 vec4_min(vec4 a, vec4 b) { return vminq_f32(a, b); }
INLINE vec4 vec4_max(vec4 a, vec4 b) { return vmaxq_f32(a, b); }

/* p[0], p[step], p[2 step], ... in val[0], the ones after them in val[1], ... */
INLINE vec4x2 vec4_load2(const float* p) { return vld2q_f32(p); }
INLINE vec4x4 vec4_load4(const float* p) { return vld4q_f32(p); }
INLINE void vec4_store2(float* p, vec4x2 a) { vst2q_f32(p, a); }
INLINE void vec4_store4(float* p, vec4x4 a) { vst4q_f32(p, a); }

/* a[1], a[2], a[3], b[0] */
INLINE vec4 vec4_shift_in(vec4 a, vec4 b) { return vextq_f32(a, b, 1); }

#if defined(__aarch64__)
INLINE vec4 vec4_fma(vec4 acc, vec4 a, vec4 b) { return vfmaq_f32(acc, a, b); }
#define vec4_fma_lane(acc, a, b, lane) vfmaq_laneq_f32(acc, a, b, lane)
#else
/* A32 has no fused multiply-add by element; vmla issues at the same rate. */
INLINE vec4 vec4_fma(vec4 acc, vec4 a, vec4 b) { return vmlaq_f32(acc, a, b); }
#define vec4_fma_lane(acc, a, b, lane) \
  vmlaq_lane_f32(acc, a, (lane) < 2 ? vget_low_f32(b) : vget_high_f32(b), (lane) & 1)
#endif

#else /* no NEON */

typedef float vec4 __attribute__((vector_size(16)));
typedef struct {
  vec4 val[2];
} vec4x2;
typedef struct {
  vec4 val[4];
} vec4x4;

INLINE vec4 vec4_load(const float* p) {
  vec4 a;
  memcpy(&a, p, sizeof a);
  return a;
}
INLINE void vec4_store(float* p, vec4 a) { memcpy(p, &a, sizeof a); }
INLINE vec4 vec4_set(float a) { return (vec4){a, a, a, a}; }
INLINE vec4 vec4_load_one(const float* p) { return vec4_set(*p); }
INLINE vec4 vec4_add(vec4 a, vec4 b) { return a + b; }
INLINE vec4 vec4_sub(vec4 a, vec4 b) { return a - b; }
INLINE vec4 vec4_mul(vec4 a, vec4 b) { return a * b; }

INLINE vec4 vec4_min(vec4 a, vec4 b) {
  for (int i = 0; i < 4; i++) a[i] = b[i] < a[i] ? b[i] : a[i];
  return a;
}

INLINE vec4 vec4_max(vec4 a, vec4 b) {
  for (int i = 0; i < 4; i++) a[i] = b[i] > a[i] ? b[i] : a[i];
  return a;
}

INLINE vec4x2 vec4_load2(const float* p) {
  return (vec4x2){{{p[0], p[2], p[4], p[6]}, {p[1], p[3], p[5], p[7]}}};
}

INLINE vec4x4 vec4_load4(const float* p) {
  vec4x4 a;
  for (int i = 0; i < 4; i++) a.val[i] = (vec4){p[i], p[i + 4], p[i + 8], p[i + 12]};
  return a;
}

INLINE void vec4_store2(float* p, vec4x2 a) {
  for (int i = 0; i < 8; i++) p[i] = a.val[i % 2][i / 2];
}

INLINE void vec4_store4(float* p, vec4x4 a) {
  for (int i = 0; i < 16; i++) p[i] = a.val[i % 4][i / 4];
}

INLINE vec4 vec4_shift_in(vec4 a, vec4 b) { return (vec4){a[1], a[2], a[3], b[0]}; }
INLINE vec4 vec4_fma(vec4 acc, vec4 a, vec4 b) { return acc + a * b; }
#define vec4_fma_lane(acc, a, b, lane) ((acc) + (a) * vec4_set((b)[lane]))

#endif

/* acc + a * b and acc - a * b for a constant b. */
INLINE vec4 vec4_add_times(vec4 acc, vec4 a, float b) { return vec4_fma(acc, a, vec4_set(b)); }
INLINE vec4 vec4_sub_times(vec4 acc, vec4 a, float b) { return vec4_fma(acc, a, vec4_set(-b)); }

INLINE vec4 vec4_clamp(vec4 a, vec4 low, vec4 high) {
  return vec4_min(vec4_max(a, low), high);
}

/* Stores the first count of the four. */
INLINE void vec4_store_part(float* p, vec4 a, int count) {
  float lanes[4];
  if (count >= 4) {
    vec4_store(p, a);
  } else {
    vec4_store(lanes, a);
    for (int i = 0; i < count; i++) p[i] = lanes[i];
  }
}

#endif /* HANDWRITTEN_VEC4_H_ */
