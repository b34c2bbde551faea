/* All hand-written functions by name, on untyped arrays: for the programs that run any of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_FUNCTIONS_H_
#define HANDWRITTEN_FUNCTIONS_H_

#include "bitserial.h"
#include "handwritten.h"

/* AFTER is what follows the sums: the bias of each channel, or its threshold and sign. */
enum { X, WEIGHTS, AFTER, OUTPUT, PACKED, SPACE, ARRAYS };
enum { MAX_SIZES = 16 };

typedef struct {
  const char* name;
  int sizes; /* integers of the parameters */
  int (*check)(const void* params);
  size_t (*bytes)(const void* params, int array); /* of checked parameters */
  int (*pack)(const void* params, void* const* arrays);
  int (*run)(const void* params, void* const* arrays);
} function_t;

static size_t out_size(int size, int kernel, int stride, int pad, int dilation) {
  return (size_t)((size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1);
}

static size_t float_bytes(const handwritten_params* p, int array) {
  const size_t pixels = out_size(p->h, p->kh, p->stride_h, p->pad_h, p->dilation_h) *
                        out_size(p->w, p->kw, p->stride_w, p->pad_w, p->dilation_w);
  const size_t floats[] = {(size_t)p->n * p->ci * p->h * p->w,
                           (size_t)p->co * (p->ci / p->groups) * p->kh * p->kw, (size_t)p->co,
                           p->n * p->co * pixels};
  return floats[array] * sizeof(float);
}

static size_t bits_bytes(const bitserial_params* p, int array) {
  const size_t pixels = out_size(p->h, p->kh, p->stride_h, p->pad_h, 1) *
                        out_size(p->w, p->kw, p->stride_w, p->pad_w, 1);
  const size_t bits = 8 * (size_t)p->word;
  const size_t x = (p->ci + bits - 1) / bits * p->word, y = (p->co + bits - 1) / bits * p->word;
  const size_t bytes[] = {(size_t)p->n * p->h * p->w * x, (size_t)p->co * p->ci * p->kh * p->kw,
                          p->sums ? 0 : (size_t)p->co * sizeof(int32_t[2]),
                          p->n * pixels * (p->sums ? p->co * sizeof(int16_t) : y)};
  return bytes[array];
}

#define ADAPT(name, bytes_of, unit, pack_arguments, run_arguments)                          \
  static int name##_check(const void* p) { return handwritten_##name##_check(p); }          \
  static size_t name##_bytes(const void* p, int array) {                                    \
    if (array == PACKED) return handwritten_##name##_packed_size(p) * (unit);               \
    return array == SPACE ? handwritten_##name##_workspace(p) : bytes_of(p, array);         \
  }                                                                                         \
  static int name##_pack(const void* p, void* const* a) {                                   \
    return handwritten_##name##_pack pack_arguments;                                        \
  }                                                                                         \
  static int name##_run(const void* p, void* const* a) { return handwritten_##name run_arguments; }
#define ADAPT_FLOAT(name)                                                          \
  ADAPT(name, float_bytes, sizeof(float), (p, a[WEIGHTS], a[PACKED]), \
        (p, a[X], a[PACKED], a[AFTER], a[OUTPUT], a[SPACE]))
#define ADAPT_BITS(name)                                                         \
  ADAPT(name, bits_bytes, 1, (p, a[WEIGHTS], a[AFTER], a[PACKED]), \
        (p, a[X], a[PACKED], a[OUTPUT], a[SPACE]))
#define ENTRY(name, params_t) \
  {#name, sizeof(params_t) / sizeof(int), name##_check, name##_bytes, name##_pack, name##_run}

ADAPT_FLOAT(winograd_conv2d)
ADAPT_FLOAT(conv2d)
ADAPT_BITS(bitserial_conv2d)
ADAPT_BITS(bitserial_dense)

static const function_t functions[] = {
    ENTRY(winograd_conv2d, handwritten_params), ENTRY(conv2d, handwritten_params),
    ENTRY(bitserial_conv2d, bitserial_params), ENTRY(bitserial_dense, bitserial_params)};

#endif /* HANDWRITTEN_FUNCTIONS_H_ */
