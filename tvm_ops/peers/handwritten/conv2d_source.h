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
  for (int k = 0; k < kernel; k++)
    if ((at - k * dilation) % stride == 0) return 1;
  return 0;
}

/* target[i] = x[i * stride] for count values. */
INLINE void copy_strided(const float* x, int stride, int count, float* target) {
  int i = 0;
  if (stride == 1) {
    memcpy(target, x, count * sizeof(float));
    return;
  }
  if (stride == 2) /* the last pair may end past the row */
    for (; i + 4 < count; i += 4) vec4_store(target + i, vec4_load2(x + 2 * i).val[0]);
  for (; i < count; i++) target[i] = x[i * stride];
}

/* Copies one channel into its plane, whose border is zero already. */
static void copy_plane(const handwritten_params* q, const source_t* s, const float* x,
                       float* plane) {
  for (int y = 0; y < q->h; y++) {
    if (!is_read(y + q->pad_h, q->kh, q->dilation_h, q->stride_h)) continue;
    for (int phase = 0; phase < q->stride_w; phase++) {
      if (!is_read(phase, q->kw, q->dilation_w, q->stride_w)) continue;
      /* Padded columns phase, phase + stride, ...: the first that is no padding. */
      const int skip = divide_up(max_int(q->pad_w - phase, 0), q->stride_w);
      const int first = skip * q->stride_w + phase - q->pad_w;
      if (first >= q->w) continue;
      copy_strided(x + (size_t)y * q->w + first, q->stride_w,
                   divide_up(q->w - first, q->stride_w),
                   plane + (size_t)(y + q->pad_h) * s->row + phase * s->phase_w + skip);
    }
  }
}

#endif /* HANDWRITTEN_CONV2D_SOURCE_H_ */
