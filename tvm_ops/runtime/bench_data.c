/* The arrays of bench: made, filled, read, written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define PAGE 4096

void bench_stop(int code, const char* format, ...) {
  va_list values;
  va_start(values, format);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  exit(code);
}

void* bench_allocate(const tvm_ops_argument* argument) {
  size_t size = tvm_ops_argument_size(argument);
  void* data = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);
  if (data == NULL) bench_stop(FAILED, "no memory for %s (%zu bytes)", argument->name, size);
  return data;
}

void bench_fill_random(const tvm_ops_argument* argument, void* data, uint32_t seed) {
  size_t size = tvm_ops_argument_size(argument);
  uint32_t state = seed * 2654435761u;
  int step = argument->dtype == TVM_OPS_FLOAT32 ? 4 : argument->dtype == TVM_OPS_FLOAT16 ? 2 : 1;
  for (size_t at = 0; at < size; at += (size_t)step) {
    state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: its high bits are good */
    char* element = (char*)data + at;
    if (step == 4)
      *(float*)element = (float)(int32_t)state * 0x1p-31f;
    else if (step == 2) /* a sign, the exponent of 0.5, ten bits of mantissa */
      *(uint16_t*)element = (uint16_t)((state >> 16 & 0x83ffu) | 0x3800u);
    else
      *element = (char)(state >> 24);
  }
}

void bench_read(const char* path, const tvm_ops_argument* argument, void* data) {
  size_t size = tvm_ops_argument_size(argument);
  FILE* file = fopen(path, "rb");
  if (file == NULL) bench_stop(WRONG_INPUT, "input %s: cannot open %s", argument->name, path);
  size_t got = fread(data, 1, size, file);
  bool longer = fgetc(file) != EOF;
  fclose(file);
  if (got != size || longer)
    bench_stop(WRONG_INPUT, "input %s: %s has %s than %zu bytes", argument->name, path,
               longer ? "more" : "fewer", size);
}

void bench_write(const char* path, const tvm_ops_argument* argument, const void* data) {
  FILE* file = fopen(path, "wb");
  if (file == NULL) bench_stop(WRONG_INPUT, "output: cannot write %s", path);
  size_t size = tvm_ops_argument_size(argument);
  bool written = fwrite(data, 1, size, file) == size;
  if (fclose(file) != 0 || !written) bench_stop(FAILED, "output: writing %s failed", path);
}
