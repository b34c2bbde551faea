/* Runs one hand-written convolution on raw little-endian float arrays and times it.
 *
 *   handwritten_bench winograd_conv2d|conv2d SIZES X WEIGHTS BIAS OUTPUT JSON WARMUP REPEAT
 *
 * SIZES are the fields of handwritten_params in their order, with commas; the weights are OIHW.
 * Each repeat is a region of the modelled board. Exit code 0: done; 1: memory or a write failed;
 * 2: wrong input; 3: the function cannot do these sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* clock_gettime, syscall */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "handwritten.h"
#include "tvm_ops_region.h"

enum { FAILED = 1, WRONG_INPUT = 2, CANNOT = 3, PAGE = 4096 };

typedef struct {
  const char* name;
  int (*check)(const handwritten_params*);
  size_t (*packed_size)(const handwritten_params*);
  int (*pack)(const handwritten_params*, const float*, float*);
  size_t (*workspace)(const handwritten_params*);
  int (*run)(const handwritten_params*, const float*, const float*, const float*, float*, void*);
} function_t;

static const function_t functions[] = {
    {"winograd_conv2d", handwritten_winograd_conv2d_check, handwritten_winograd_conv2d_packed_size,
     handwritten_winograd_conv2d_pack, handwritten_winograd_conv2d_workspace,
     handwritten_winograd_conv2d},
    {"conv2d", handwritten_conv2d_check, handwritten_conv2d_packed_size, handwritten_conv2d_pack,
     handwritten_conv2d_workspace, handwritten_conv2d},
};

__attribute__((noreturn, format(printf, 2, 3))) static void stop(int code, const char* format,
                                                                 ...) {
  va_list values;
  va_start(values, format);
  fputs("handwritten_bench: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  exit(code);
}

static const function_t* find_function(const char* name) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!strcmp(name, functions[i].name)) return &functions[i];
  stop(WRONG_INPUT, "'%s': winograd_conv2d or conv2d is allowed", name);
}

static handwritten_params parse_sizes(const char* text) {
  int values[sizeof(handwritten_params) / sizeof(int)], used, n = 0;
  const int count = sizeof values / sizeof *values;
  const char* at = text;
  while (n < count && sscanf(at, "%d%n", &values[n], &used) == 1) {
    n++;
    at += used;
    if (*at == ',') at++;
  }
  if (n != count || *at) stop(WRONG_INPUT, "sizes '%s': %d integers are needed", text, count);
  handwritten_params p;
  memcpy(&p, values, sizeof p);
  return p;
}

/* Arrays start on a page, so that cache sets do not vary with the sizes of the others. */
static void* allocate(size_t bytes) {
  void* data = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
  if (!data) stop(FAILED, "no memory for %zu bytes", bytes);
  return data;
}

static float* read_floats(const char* path, size_t count) {
  FILE* file = fopen(path, "rb");
  if (!file) stop(WRONG_INPUT, "cannot open %s", path);
  float* data = allocate((count + 1) * sizeof(float));
  size_t got = fread(data, 1, (count + 1) * sizeof(float), file);
  fclose(file);
  if (got != count * sizeof(float)) stop(WRONG_INPUT, "%s must have %zu floats", path, count);
  return data;
}

static void write_floats(const char* path, const float* data, size_t count) {
  FILE* file = fopen(path, "wb");
  if (!file) stop(WRONG_INPUT, "cannot write %s", path);
  int written = fwrite(data, sizeof(float), count, file) == count;
  if (fclose(file) || !written) stop(FAILED, "writing %s failed", path);
}

static void write_seconds(const char* path, const double* seconds, int count) {
  FILE* file = fopen(path, "w");
  if (!file) stop(WRONG_INPUT, "cannot write %s", path);
  fputs("{\"seconds\": [", file);
  for (int i = 0; i < count; i++) fprintf(file, "%s%.9f", i ? ", " : "", seconds[i]);
  int written = fputs("]}\n", file) >= 0;
  if (fclose(file) || !written) stop(FAILED, "writing %s failed", path);
}

static int parse_count(const char* text, int lowest) {
  char* end;
  const long n = strtol(text, &end, 10);
  if (end == text || *end || n < lowest || n > 1000000)
    stop(WRONG_INPUT, "count '%s': %d to 1000000 is allowed", text, lowest);
  return (int)n;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t out_size(int size, int kernel, int stride, int pad, int dilation) {
  return (size_t)((size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1);
}

int main(int argc, char** argv) {
  if (argc != 10) stop(WRONG_INPUT, "FUNCTION SIZES X WEIGHTS BIAS OUTPUT JSON WARMUP REPEAT");
  const function_t* f = find_function(argv[1]);
  const handwritten_params p = parse_sizes(argv[2]);
  const int warmup = parse_count(argv[8], 0), repeat = parse_count(argv[9], 1);
  const int code = f->check(&p);
  if (code) stop(CANNOT, "%s: cannot do these sizes, code %d", f->name, code);
  const size_t weights_size = (size_t)p.co * (p.ci / p.groups) * p.kh * p.kw;
  const size_t oh = out_size(p.h, p.kh, p.stride_h, p.pad_h, p.dilation_h);
  const size_t ow = out_size(p.w, p.kw, p.stride_w, p.pad_w, p.dilation_w);
  const size_t y_size = (size_t)p.n * p.co * oh * ow;
  float* x = read_floats(argv[3], (size_t)p.n * p.ci * p.h * p.w);
  float *weights = read_floats(argv[4], weights_size), *bias = read_floats(argv[5], p.co);
  float* packed = allocate(f->packed_size(&p) * sizeof(float));
  float* y = allocate(y_size * sizeof(float));
  void* workspace = allocate(f->workspace(&p));
  double* seconds = allocate(repeat * sizeof(double));
  f->pack(&p, weights, packed);
  memset(y, 0xff, y_size * sizeof(float)); /* NaN: what is left unwritten is seen */
  tvm_ops_region_start();                  /* the model's caches see the warm-up */
  for (int i = 0; i < warmup; i++) f->run(&p, x, packed, bias, y, workspace);
  for (int i = 0; i < repeat; i++) {
    tvm_ops_region_start();
    const double start = now();
    f->run(&p, x, packed, bias, y, workspace);
    seconds[i] = now() - start;
    tvm_ops_region_stop(i);
  }
  write_floats(argv[6], y, y_size);
  write_seconds(argv[7], seconds, repeat);
  void* arrays[] = {x, weights, bias, packed, y, workspace, seconds};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  return 0;
}
