/* Convolution of groups with one input channel each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_CONV2D_DEPTHWISE_H_
#define HANDWRITTEN_CONV2D_DEPTHWISE_H_

#include "conv2d_source.h"

/* vectors * 4 neighbouring outputs of one channel. */
INLINE void depthwise_pixels(const int vectors, int taps, const int32_t* tap, const float* weights,
                             float bias, const float* source, vec4 acc[4]) {
  UNROLL for (int v = 0; v < vectors; v++) acc[v] = vec4_set(bias);
  for (int t = 0; t < taps; t++) {
    const vec4 weight = vec4_load_one(weights + t);
    const float* from = source + tap[t];
    UNROLL for (int v = 0; v < vectors; v++)
      acc[v] = vec4_fma(acc[v], vec4_load(from + 4 * v), weight);
  }
}

/* One output channel from the plane of its input channel, which may be read 3 floats past its
 * end. */
static void depthwise_channel(const handwritten_params* q, const source_t* s, const int32_t* tap,
                              const float* weights, float bias, const float* plane, float* y) {
  const activation_t activation = make_activation(q->activation);
  const int oh = out_size(q->h, q->kh, q->stride_h, q->pad_h, q->dilation_h);
  const int ow = out_size(q->w, q->kw, q->stride_w, q->pad_w, q->dilation_w);
  for (int oy = 0; oy < oh; oy++, plane += s->step, y += ow) {
    vec4 acc[4];
    int ox = 0;
    for (; ox + 16 <= ow; ox += 16) {
      depthwise_pixels(4, q->kh * q->kw, tap, weights, bias, plane + ox, acc);
      UNROLL for (int v = 0; v < 4; v++) vec4_store(y + ox + 4 * v, activate(acc[v], &activation));
    }
    for (; ox < ow; ox += 4) {
      depthwise_pixels(1, q->kh * q->kw, tap, weights, bias, plane + ox, acc);
      vec4_store_part(y + ox, activate(acc[0], &activation), ow - ox);
    }
  }
}

static void depthwise(const handwritten_params* q, const source_t* s, const float* x,
                      const float* packed, const float* bias, float* y, float* workspace) {
  const int multiplier = q->co / q->groups, taps = q->kh * q->kw;
  const size_t out = (size_t)out_size(q->h, q->kh, q->stride_h, q->pad_h, q->dilation_h) *
                     out_size(q->w, q->kw, q->stride_w, q->pad_w, q->dilation_w);
  int32_t* tap = (int32_t*)workspace;
  float* plane = workspace + round_up(taps, 16);
  fill_taps(q, s, 1, tap);
  memset(plane, 0, (s->plane + 3) * sizeof(float));
  for (int c = 0; c < q->ci; c++) {
    copy_plane(q, s, x + (size_t)c * q->h * q->w, plane);
    for (int co = c * multiplier; co < (c + 1) * multiplier; co++)
      depthwise_channel(q, s, tap, packed + (size_t)co * taps, bias[co], plane, y + co * out);
  }
}

#endif /* HANDWRITTEN_CONV2D_DEPTHWISE_H_ */
