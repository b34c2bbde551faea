/* The input of conv2d as its inner loops want it: the pixel that the output (oy, ox) meets at tap
 * (ci, ky, kx) lies at oy * step + ox + tap[ci][ky][kx], so neighbours are neighbours whatever the
 * stride. Each row of the padded image is split by the phase of its columns, x mod stride_w.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_CONV2D_SOURCE_H_
#define HANDWRITTEN_CONV2D_SOURCE_H_

#include "common.h"

typedef struct {
  int copied;  /* 0: x itself will do */
  int phase_w; /* columns of one phase */
  int row, plane; /* floats */
  int step;       /* from the inputs of one output row to the next */
} source_t;

static source_t plan_source(const handwritten_params* q) {
  source_t s = {.copied = q->pad_h || q->pad_w || q->stride_w > 1};
  s.phase_w = divide_up(q->w + 2 * q->pad_w, q->stride_w);
  s.row = s.phase_w * q->stride_w;
  s.plane = s.row * (q->h + 2 * q->pad_h);
  s.step = s.row * min_int(q->stride_h, q->h + 2 * q->pad_h);
  return s;
}

/* taps[channels][kh][kw] */
static void fill_taps(const handwritten_params* q, const source_t* s, int channels, int32_t* taps) {
  for (int c = 0; c < channels; c++)
    for (int ky = 0; ky < q->kh; ky++)
      for (int kx = 0; kx < q->kw; kx++) {
        const int x = kx * q->dilation_w;
        *taps++ = c * s->plane + ky * q->dilation_h * s->row + x % q->stride_w * s->phase_w +
                  x / q->stride_w;
      }
}

/* Whether some output needs that row (or column) of the padded input: not so for 1x1, stride 2. */
static int is_read(int at, int kernel, int dilation, int stride) {
  if (dilation == 1 && kernel >= stride) return 1;
  for (int k = 0; k < kernel; k++)
    if ((at - k * dilation) % stride == 0) return 1;
  return 0;
}

/* One row of x[w] into its phases. */
static void copy_row(const handwritten_params* q, const source_t* s, const float* x, float* row) {
  if (q->stride_w == 1) {
    memcpy(row + q->pad_w, x, q->w * sizeof(float));
    return;
  }
  int i = 0;
  if (q->stride_w == 2) {
    /* From the first column of phase 0 on, both phases at once, or phase 0 alone for 1x1. */
    const int odd = is_read(1, q->kw, q->dilation_w, 2);
    i = q->pad_w % 2;
    if (i) row[s->phase_w + q->pad_w / 2] = x[0];
    for (; i + 8 <= q->w; i += 8) {
      const vec4x2 both = vec4_load2(x + i);
      float* even = row + (i + q->pad_w) / 2;
      vec4_store(even, both.val[0]);
      if (odd) vec4_store(even + s->phase_w, both.val[1]);
    }
  }
  for (; i < q->w; i++) {
    const int column = i + q->pad_w;
    row[column % q->stride_w * s->phase_w + column / q->stride_w] = x[i];
  }
}

/* Copies one channel into its plane, whose border is zero already. */
static void copy_plane(const handwritten_params* q, const source_t* s, const float* x,
                       float* plane) {
  for (int y = 0; y < q->h; y++)
    if (is_read(y + q->pad_h, q->kh, q->dilation_h, q->stride_h))
      copy_row(q, s, x + (size_t)y * q->w, plane + (size_t)(y + q->pad_h) * s->row);
}

#endif /* HANDWRITTEN_CONV2D_SOURCE_H_ */
