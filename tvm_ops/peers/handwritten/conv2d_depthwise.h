/* Convolution of groups with one input channel each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_CONV2D_DEPTHWISE_H_
#define HANDWRITTEN_CONV2D_DEPTHWISE_H_

#include "conv2d_source.h"

/* A block of 16 outputs may begin at the last one of the plane. */
enum { SLACK = 16 };

/* vectors * 4 neighbouring outputs of one channel; the source is that of the first. */
INLINE void depthwise_any(const int vectors, int taps, const int32_t* tap, const float* weights,
                          const float* source, vec4 acc[4]) {
  for (int t = 0; t < taps; t++) {
    const vec4 weight = vec4_load_one(weights + t);
    UNROLL for (int v = 0; v < vectors; v++)
      acc[v] = vec4_fma(acc[v], vec4_load(source + tap[t] + 4 * v), weight);
  }
}

/* The same of one row for 3x3, or, with stride 1, of two rows, which share two rows of inputs. */
INLINE void depthwise_3x3(const int rows, const int vectors, const int32_t* tap,
                          const float* weights, const float* source, vec4 acc[2][4]) {
  const vec4 top = vec4_load(weights), middle = vec4_load(weights + 3);
  const vec4 bottom = vec4_load(weights + 5); /* from its second lane on */
#define COLUMN(r, kx)                                                                     \
  UNROLL for (int v = 0; v < vectors; v++) {                                              \
    const vec4 x = vec4_load(source + tap[(r) * 3 + (kx)] + 4 * v);                       \
    if (r == 0) acc[0][v] = vec4_fma_lane(acc[0][v], x, top, kx);                         \
    if (r == 1) acc[0][v] = vec4_fma_lane(acc[0][v], x, middle, kx);                      \
    if (r == 2) acc[0][v] = vec4_fma_lane(acc[0][v], x, bottom, kx + 1);                  \
    if (rows == 2 && r == 1) acc[1][v] = vec4_fma_lane(acc[1][v], x, top, kx);            \
    if (rows == 2 && r == 2) acc[1][v] = vec4_fma_lane(acc[1][v], x, middle, kx);         \
    if (rows == 2 && r == 3) acc[1][v] = vec4_fma_lane(acc[1][v], x, bottom, kx + 1);     \
  }
#define ROW(r) COLUMN(r, 0) COLUMN(r, 1) COLUMN(r, 2)
  ROW(0)
  ROW(1)
  ROW(2)
  if (rows == 2) {
    ROW(3)
  }
#undef ROW
#undef COLUMN
}

typedef struct {
  int kernel_3x3, taps;
  const int32_t* tap; /* and for two rows of 3x3 three more, of the fourth row of inputs */
  const float* weights;
  float bias;
  activation_t activation;
} depthwise_t;

/* rows x (4 * vectors) outputs, of which the first count of each row are stored. */
INLINE void depthwise_block(const int rows, const int vectors, const depthwise_t* d,
                            const float* source, float* y, int ow, int count) {
  vec4 acc[2][4];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = vec4_set(d->bias);
  if (d->kernel_3x3) depthwise_3x3(rows, vectors, d->tap, d->weights, source, acc);
  else depthwise_any(vectors, d->taps, d->tap, d->weights, source, acc[0]);
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++)
      vec4_store_part(y + r * ow + 4 * v, activate(acc[r][v], &d->activation), count - 4 * v);
}

/* One output channel from the plane of its input channel, which may be read SLACK floats past its
 * end. */
static void depthwise_channel(const handwritten_params* q, const source_t* s, const depthwise_t* d,
                              const float* plane, float* y) {
  const int oh = out_size(q->h, q->kh, q->stride_h, q->pad_h, q->dilation_h);
  const int ow = out_size(q->w, q->kw, q->stride_w, q->pad_w, q->dilation_w);
  const int pairs = d->kernel_3x3 && q->stride_h == 1 && q->dilation_h == 1;
  for (int oy = 0, rows; oy < oh; oy += rows) {
    rows = pairs && oy + 2 <= oh ? 2 : 1;
    for (int ox = 0, vectors; ox < ow; ox += 4 * vectors) {
      const float* source = plane + (size_t)oy * s->step + ox;
      float* target = y + (size_t)oy * ow + ox;
      vectors = ow - ox > 8 ? 4 : 2;
      if (rows == 2 && vectors == 4) depthwise_block(2, 4, d, source, target, ow, ow - ox);
      if (rows == 2 && vectors == 2) depthwise_block(2, 2, d, source, target, ow, ow - ox);
      if (rows == 1 && vectors == 4) depthwise_block(1, 4, d, source, target, ow, ow - ox);
      if (rows == 1 && vectors == 2) depthwise_block(1, 2, d, source, target, ow, ow - ox);
    }
  }
}

static void depthwise(const handwritten_params* q, const source_t* s, const float* x,
                      const float* packed, const float* bias, float* y, float* workspace) {
  const int multiplier = q->co / q->groups, taps = q->kh * q->kw;
  const size_t out = (size_t)out_size(q->h, q->kh, q->stride_h, q->pad_h, q->dilation_h) *
                     out_size(q->w, q->kw, q->stride_w, q->pad_w, q->dilation_w);
  int32_t* tap = (int32_t*)workspace;
  float* plane = workspace + round_up(taps + 3, 16);
  depthwise_t d = {q->kh == 3 && q->kw == 3, taps, tap, NULL, 0, make_activation(q->activation)};
  fill_taps(q, s, 1, tap);
  if (d.kernel_3x3)
    for (int kx = 0; kx < 3; kx++) tap[9 + kx] = tap[6 + kx] + s->row;
  memset(plane, 0, (s->plane + SLACK) * sizeof(float));
  for (int c = 0; c < q->ci; c++) {
    copy_plane(q, s, x + (size_t)c * q->h * q->w, plane);
    for (int co = c * multiplier; co < (c + 1) * multiplier; co++) {
      d.weights = packed + (size_t)co * taps;
      d.bias = bias[co];
      depthwise_channel(q, s, &d, plane, y + co * out);
    }
  }
}

#endif /* HANDWRITTEN_CONV2D_DEPTHWISE_H_ */
