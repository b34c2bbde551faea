/* What both convolutions share: sizes, checks, activations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_COMMON_H_
#define HANDWRITTEN_COMMON_H_

#include <math.h>
#include <stdint.h>

#include "handwritten.h"
#include "multiply_tile.h"
#include "vec4.h"

/* Cache sizes of the core in KiB; the build passes the board's. */
#ifndef HANDWRITTEN_L2_KIB
#define HANDWRITTEN_L2_KIB 512
#endif

INLINE int round_up(int a, int to) { return (a + to - 1) / to * to; }
INLINE int divide_up(int a, int by) { return (a + by - 1) / by; }
INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }

INLINE int out_size(int size, int kernel, int stride, int pad, int dilation) {
  return (size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
}

typedef struct {
  vec4 low, high;
  int hswish;
} activation_t;

INLINE activation_t make_activation(int kind) {
  activation_t a = {vec4_set(-INFINITY), vec4_set(INFINITY), kind == HANDWRITTEN_HSWISH};
  if (kind == HANDWRITTEN_RELU || kind == HANDWRITTEN_RELU6) a.low = vec4_set(0);
  if (kind == HANDWRITTEN_RELU6) a.high = vec4_set(6);
  return a;
}

INLINE vec4 activate(vec4 v, const activation_t* a) {
  if (a->hswish) {
    vec4 gate = vec4_clamp(vec4_add(v, vec4_set(3)), vec4_set(0), vec4_set(6));
    return vec4_mul(vec4_mul(v, gate), vec4_set(1.0f / 6));
  }
  return vec4_clamp(v, a->low, a->high);
}

INLINE int check_params(const handwritten_params* p) {
  if (!p) return HANDWRITTEN_NULL;
  const int positive[] = {p->n,  p->ci,       p->h,        p->w,          p->co,        p->kh,
                          p->kw, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->groups};
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
    if (positive[i] < 1) return HANDWRITTEN_BAD_SIZE;
    if (positive[i] > HANDWRITTEN_MAX_FLOATS) return HANDWRITTEN_TOO_LARGE;
  }
  if (p->pad_h < 0 || p->pad_w < 0) return HANDWRITTEN_BAD_SIZE;
  if (p->pad_h > HANDWRITTEN_MAX_FLOATS || p->pad_w > HANDWRITTEN_MAX_FLOATS)
    return HANDWRITTEN_TOO_LARGE;
  if (p->activation < HANDWRITTEN_NONE || p->activation > HANDWRITTEN_HSWISH)
    return HANDWRITTEN_UNSUPPORTED;
  if (p->ci % p->groups || p->co % p->groups) return HANDWRITTEN_BAD_GROUPS;
  const int64_t reach_h = (int64_t)(p->kh - 1) * p->dilation_h + 1;
  const int64_t reach_w = (int64_t)(p->kw - 1) * p->dilation_w + 1;
  const int64_t height = p->h + 2 * (int64_t)p->pad_h, width = p->w + 2 * (int64_t)p->pad_w;
  if (reach_h > height || reach_w > width) return HANDWRITTEN_BAD_KERNEL;
  return HANDWRITTEN_OK;
}

/* The product of count sizes, all at least 1; more than HANDWRITTEN_MAX_FLOATS if it is larger. */
INLINE int64_t product(const int64_t* sizes, int count) {
  int64_t all = 1;
  for (int i = 0; i < count; i++) {
    if (sizes[i] > HANDWRITTEN_MAX_FLOATS || all > HANDWRITTEN_MAX_FLOATS) return INT64_MAX;
    all *= sizes[i];
  }
  return all;
}

/* The workspace as floats that start at a cache line. */
INLINE float* align_line(void* p) { return (float*)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

#endif /* HANDWRITTEN_COMMON_H_ */
