/* Runs hand-written convolutions for a test that talks to it over pipes. For each case it reads the
 * function (0: winograd_conv2d, 1: conv2d; plus 2: check only) and the handwritten_params, as
 * int32, and answers with the code of _check, as int32; if that is 0 it reads x, weights and bias
 * and answers with y. It exits with 1 if a function breaks its promises about codes, sizes or null
 * pointers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handwritten.h"

typedef struct {
  int (*check)(const handwritten_params*);
  size_t (*packed_size)(const handwritten_params*);
  int (*pack)(const handwritten_params*, const float*, float*);
  size_t (*workspace)(const handwritten_params*);
  int (*run)(const handwritten_params*, const float*, const float*, const float*, float*, void*);
} function_t;

#define FUNCTION(name) \
  {name##_check, name##_packed_size, name##_pack, name##_workspace, name}
static const function_t functions[] = {FUNCTION(handwritten_winograd_conv2d),
                                       FUNCTION(handwritten_conv2d)};

static void require(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "broken: %s\n", what);
  exit(1);
}
#define REQUIRE(condition) require(condition, #condition)

/* Exactly as many bytes as promised, so that AddressSanitizer sees one too many; NaN in all. */
static float* filled(size_t bytes) {
  float* data = malloc(bytes);
  REQUIRE(data != NULL);
  memset(data, 0xff, bytes);
  return data;
}

static float* read_floats(size_t count) {
  float* data = filled(count * sizeof(float));
  REQUIRE(fread(data, sizeof(float), count, stdin) == count);
  return data;
}

static void check_refusal(const function_t* f, const handwritten_params* p, int code) {
  float unused = 0;
  REQUIRE(f->packed_size(p) == 0 && f->workspace(p) == 0);
  REQUIRE(f->pack(p, &unused, &unused) == code);
  REQUIRE(f->run(p, &unused, &unused, &unused, &unused, &unused) == code);
}

static size_t out_size(int size, int kernel, int stride, int pad, int dilation) {
  return (size_t)((size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1);
}

static void run_case(const function_t* f, const handwritten_params* p) {
  const size_t y_size = (size_t)p->n * p->co *
                        out_size(p->h, p->kh, p->stride_h, p->pad_h, p->dilation_h) *
                        out_size(p->w, p->kw, p->stride_w, p->pad_w, p->dilation_w);
  float* x = read_floats((size_t)p->n * p->ci * p->h * p->w);
  float* weights = read_floats((size_t)p->co * (p->ci / p->groups) * p->kh * p->kw);
  float* bias = read_floats(p->co);
  float* packed = filled(f->packed_size(p) * sizeof(float));
  float* y = filled(y_size * sizeof(float));
  char* workspace = (char*)filled(f->workspace(p));
  REQUIRE(f->pack(p, NULL, packed) == HANDWRITTEN_NULL);
  REQUIRE(f->pack(p, weights, NULL) == HANDWRITTEN_NULL);
  REQUIRE(f->pack(p, weights, packed) == HANDWRITTEN_OK);
  REQUIRE(f->run(p, NULL, packed, bias, y, workspace) == HANDWRITTEN_NULL);
  REQUIRE(f->run(p, x, NULL, bias, y, workspace) == HANDWRITTEN_NULL);
  REQUIRE(f->run(p, x, packed, NULL, y, workspace) == HANDWRITTEN_NULL);
  REQUIRE(f->run(p, x, packed, bias, NULL, workspace) == HANDWRITTEN_NULL);
  REQUIRE(f->run(p, x, packed, bias, y, NULL) == HANDWRITTEN_NULL);
  REQUIRE(f->run(p, x, packed, bias, y, workspace) == HANDWRITTEN_OK);
  REQUIRE(fwrite(y, sizeof(float), y_size, stdout) == y_size);
  float* arrays[] = {x, weights, bias, packed, y, (float*)workspace};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

int main(void) {
  int32_t header[1 + sizeof(handwritten_params) / sizeof(int)];
  while (fread(header, sizeof header, 1, stdin) == 1) {
    const function_t* f = &functions[header[0] & 1];
    handwritten_params p;
    memcpy(&p, header + 1, sizeof p);
    REQUIRE(f->check(NULL) == HANDWRITTEN_NULL && f->workspace(NULL) == 0);
    const int32_t code = f->check(&p);
    if (code) check_refusal(f, &p, code);
    fwrite(&code, sizeof code, 1, stdout);
    fflush(stdout);
    if (!code && header[0] < 2) run_case(f, &p);
    fflush(stdout);
  }
  return 0;
}
