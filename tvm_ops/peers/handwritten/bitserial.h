/* One-bit convolutions and matrix products written by hand with NEON intrinsics: the peer
 * "handwritten" of bitserial_conv2d and bitserial_dense.
 *
 * Activations and weights are -1 or +1, bits 0 and 1; pads are -1. x[n, h, w, words] has ci bits a
 * pixel, the least significant one of the first byte first, and zero bits after them up to a whole
 * word. y is packed alike, or has the sums as int16 [n, oh, ow, co]. More bits, other polarities,
 * groups and sums beyond 16 bits are not done. One thread; calls with different workspaces may run
 * at the same time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_BITSERIAL_H_
#define HANDWRITTEN_BITSERIAL_H_

#include <stddef.h>
#include <stdint.h>

#include "handwritten.h" /* the codes that functions return */

typedef struct {
  int n, ci, h, w, co;
  int kh, kw;
  int stride_h, stride_w;
  int pad_h, pad_w; /* on both sides */
  int word;         /* bytes: 1, 4 or 8 */
  int sums;         /* 1: y has the sums; 0: the bits of y >= threshold or y <= threshold */
} bitserial_params;

/* For X = bitserial_conv2d, and X = bitserial_dense, which takes images of one pixel only:
 *
 * _check      HANDWRITTEN_OK or why the parameters cannot be done
 * _packed_size  bytes of the packed weights; 0 if _check fails
 * _pack       weights[co, kh, kw, ci] and, for bits, a threshold and a sign of each channel: the
 *             bit is y >= threshold where the sign is positive, else y <= threshold
 * _workspace  bytes that a call may scribble on; 0 if _check fails; any alignment
 * X           the convolution
 */
int handwritten_bitserial_conv2d_check(const bitserial_params* p);
size_t handwritten_bitserial_conv2d_packed_size(const bitserial_params* p);
int handwritten_bitserial_conv2d_pack(const bitserial_params* p, const int8_t* weights,
                                      const int32_t (*thresholds)[2], void* packed);
size_t handwritten_bitserial_conv2d_workspace(const bitserial_params* p);
int handwritten_bitserial_conv2d(const bitserial_params* p, const uint8_t* x, const void* packed,
                                 void* y, void* workspace);

int handwritten_bitserial_dense_check(const bitserial_params* p);
size_t handwritten_bitserial_dense_packed_size(const bitserial_params* p);
int handwritten_bitserial_dense_pack(const bitserial_params* p, const int8_t* weights,
                                     const int32_t (*thresholds)[2], void* packed);
size_t handwritten_bitserial_dense_workspace(const bitserial_params* p);
int handwritten_bitserial_dense(const bitserial_params* p, const uint8_t* x, const void* packed,
                                void* y, void* workspace);

#endif /* HANDWRITTEN_BITSERIAL_H_ */
