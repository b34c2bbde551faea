/* Float32 convolutions written by hand with NEON intrinsics: the peer "handwritten".
 *
 * x[n, ci, h, w] and y[n, co, oh, ow] are dense NCHW, weights[co, ci / groups, kh, kw] are packed
 * once, bias is [co]. One thread; calls with different workspaces may run at the same time.
 * Without NEON the same algorithms run on the compiler's portable vectors of four floats.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_H_
#define HANDWRITTEN_H_

#include <stddef.h>

enum {
  HANDWRITTEN_OK = 0,
  HANDWRITTEN_BAD_SIZE = 1,    /* a size, stride or dilation below 1, or a negative padding */
  HANDWRITTEN_BAD_GROUPS = 2,  /* groups do not divide ci and co */
  HANDWRITTEN_BAD_KERNEL = 3,  /* the kernel is larger than the padded input */
  HANDWRITTEN_UNSUPPORTED = 4, /* a valid convolution, but not for this function */
  HANDWRITTEN_TOO_LARGE = 5,   /* a tensor of more than HANDWRITTEN_MAX_FLOATS */
  HANDWRITTEN_NULL = 6,        /* a null pointer */
  HANDWRITTEN_LONG_SUMS = 7    /* bitserial.h: a sum may need more than 16 bits */
};

/* No tensor, packed weights or workspace has more: sizes then fit 32 bits everywhere. */
#define HANDWRITTEN_MAX_FLOATS (1L << 28)

enum {
  HANDWRITTEN_NONE = 0,
  HANDWRITTEN_RELU = 1,
  HANDWRITTEN_RELU6 = 2,
  HANDWRITTEN_HSWISH = 3
};

typedef struct {
  int n, ci, h, w, co;
  int kh, kw;
  int stride_h, stride_w;
  int pad_h, pad_w; /* on both sides */
  int dilation_h, dilation_w;
  int groups;
  int activation;
} handwritten_params;

/* For X = winograd_conv2d (3x3, stride 1, no dilation, one group) and X = conv2d (all of them):
 *
 * _check      HANDWRITTEN_OK or why the parameters cannot be done
 * _packed_size  floats of the packed weights; 0 if _check fails
 * _pack       weights[co, ci / groups, kh, kw] to the kernel's layout
 * _workspace  bytes that a call may scribble on; 0 if _check fails; any alignment
 * X           the convolution, bias and activation
 */
int handwritten_winograd_conv2d_check(const handwritten_params* p);
size_t handwritten_winograd_conv2d_packed_size(const handwritten_params* p);
int handwritten_winograd_conv2d_pack(const handwritten_params* p, const float* weights,
                                     float* packed);
size_t handwritten_winograd_conv2d_workspace(const handwritten_params* p);
int handwritten_winograd_conv2d(const handwritten_params* p, const float* x, const float* packed,
                                const float* bias, float* y, void* workspace);

int handwritten_conv2d_check(const handwritten_params* p);
size_t handwritten_conv2d_packed_size(const handwritten_params* p);
int handwritten_conv2d_pack(const handwritten_params* p, const float* weights, float* packed);
size_t handwritten_conv2d_workspace(const handwritten_params* p);
int handwritten_conv2d(const handwritten_params* p, const float* x, const float* packed,
                       const float* bias, float* y, void* workspace);

#endif /* HANDWRITTEN_H_ */
