/* What both convolutions share: checks, activations, the register tile of the matrix product.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_COMMON_H_
#define HANDWRITTEN_COMMON_H_

#include <math.h>
#include <stdint.h>

#include "handwritten.h"
#include "vec4.h"

/* Cache sizes of the core in KiB; the build passes the board's. */
#ifndef HANDWRITTEN_L2_KIB
#define HANDWRITTEN_L2_KIB 512
#endif

/* The register tile: CO_TILE output channels times up to MAX_VECTORS vectors of four pixels.
 * 8 x 12 takes 24 accumulators, 3 vectors of pixels and 2 of weights of 32 registers; with 16
 * registers 4 x 12 takes all of them. */
enum { MAX_VECTORS = 3 };
#ifndef CO_TILE
#if defined(__aarch64__) || defined(__AVX512VL__)
#define CO_TILE 8
#else
#define CO_TILE 4
#endif
#endif

INLINE int round_up(int a, int to) { return (a + to - 1) / to * to; }
INLINE int divide_up(int a, int by) { return (a + by - 1) / by; }
INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }

INLINE int out_size(int size, int kernel, int stride, int pad, int dilation) {
  return (size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
}

/* How many vectors the next register tile takes of those left: threes, and a pair of twos in
 * the end rather than a three and a one, which would load a weight for each four products. */
INLINE int tile_vectors(int left) { return left == 4 ? 2 : min_int(left, MAX_VECTORS); }

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

/* Adds to acc[c][v] the products over k of weights a[k][CO_TILE] and pixels b[k][4 * vectors].
 * The caller passes vectors as a constant, so that acc lives in registers. */
INLINE void multiply_tile(const int vectors, int depth, const float* a, const float* b,
                          vec4 acc[CO_TILE][MAX_VECTORS]) {
#define MULTIPLY_LANE(lane)                           \
  UNROLL for (int c = lane; c < CO_TILE; c += 4)      \
    UNROLL for (int v = 0; v < vectors; v++)                 \
      acc[c][v] = vec4_fma_lane(acc[c][v], pixels[v], weights[c / 4], lane);
  for (int k = 0; k < depth; k++) {
    vec4 weights[CO_TILE / 4], pixels[MAX_VECTORS];
    UNROLL for (int c = 0; c < CO_TILE / 4; c++) weights[c] = vec4_load(a + 4 * c);
    UNROLL for (int v = 0; v < vectors; v++) pixels[v] = vec4_load(b + 4 * v);
    MULTIPLY_LANE(0)
    MULTIPLY_LANE(1)
    MULTIPLY_LANE(2)
    MULTIPLY_LANE(3)
    a += CO_TILE;
    b += 4 * vectors;
  }
#undef MULTIPLY_LANE
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
