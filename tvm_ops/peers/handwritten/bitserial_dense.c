/* One-bit matrix product: y[n, co] of x[n, ci] is a 1x1 convolution of a row of n pixels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bitserial.h"

static bitserial_params as_row(const bitserial_params* q) {
  bitserial_params row = *q;
  row.n = 1;
  row.w = q->n;
  return row;
}

int handwritten_bitserial_dense_check(const bitserial_params* q) {
  if (!q) return HANDWRITTEN_NULL;
  if (q->h != 1 || q->w != 1 || q->kh != 1 || q->kw != 1 || q->pad_h || q->pad_w)
    return HANDWRITTEN_UNSUPPORTED;
  const bitserial_params row = as_row(q);
  return handwritten_bitserial_conv2d_check(&row);
}

size_t handwritten_bitserial_dense_packed_size(const bitserial_params* q) {
  if (handwritten_bitserial_dense_check(q)) return 0;
  const bitserial_params row = as_row(q);
  return handwritten_bitserial_conv2d_packed_size(&row);
}

int handwritten_bitserial_dense_pack(const bitserial_params* q, const int8_t* weights,
                                     const int32_t (*thresholds)[2], void* packed) {
  const int code = handwritten_bitserial_dense_check(q);
  if (code) return code;
  const bitserial_params row = as_row(q);
  return handwritten_bitserial_conv2d_pack(&row, weights, thresholds, packed);
}

size_t handwritten_bitserial_dense_workspace(const bitserial_params* q) {
  if (handwritten_bitserial_dense_check(q)) return 0;
  const bitserial_params row = as_row(q);
  return handwritten_bitserial_conv2d_workspace(&row);
}

int handwritten_bitserial_dense(const bitserial_params* q, const uint8_t* x, const void* packed,
                                void* y, void* workspace) {
  const int code = handwritten_bitserial_dense_check(q);
  if (code) return code;
  const bitserial_params row = as_row(q);
  return handwritten_bitserial_conv2d(&row, x, packed, y, workspace);
}
