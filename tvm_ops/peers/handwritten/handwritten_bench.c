/* Runs one hand-written function on raw little-endian arrays and times it.
 *
 *   handwritten_bench FUNCTION SIZES X WEIGHTS AFTER OUTPUT JSON WARMUP REPEAT
 *
 * SIZES are the fields of its parameters in their order, with commas; AFTER is the bias, or the
 * thresholds and signs: see functions.h.
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

#include "functions.h"
#include "tvm_ops_region.h"

enum { FAILED = 1, WRONG_INPUT = 2, CANNOT = 3, PAGE = 4096 };

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
  stop(WRONG_INPUT, "'%s' is no hand-written function", name);
}

static void parse_sizes(const char* text, int count, int* values) {
  int used, n = 0;
  const char* at = text;
  while (n < count && sscanf(at, "%d%n", &values[n], &used) == 1) {
    n++;
    at += used;
    if (*at == ',') at++;
  }
  if (n != count || *at) stop(WRONG_INPUT, "sizes '%s': %d integers are needed", text, count);
}

/* Arrays start on a page, so that cache sets do not vary with the sizes of the others. */
static void* allocate(size_t bytes) {
  void* data = aligned_alloc(PAGE, (bytes / PAGE + 1) * PAGE);
  if (!data) stop(FAILED, "no memory for %zu bytes", bytes);
  return data;
}

static void* read_bytes(const char* path, size_t bytes) {
  FILE* file = fopen(path, "rb");
  if (!file) stop(WRONG_INPUT, "cannot open %s", path);
  void* data = allocate(bytes + 1);
  size_t got = fread(data, 1, bytes + 1, file);
  fclose(file);
  if (got != bytes) stop(WRONG_INPUT, "%s must have %zu bytes", path, bytes);
  return data;
}

static void write_bytes(const char* path, const void* data, size_t bytes) {
  FILE* file = fopen(path, "wb");
  if (!file) stop(WRONG_INPUT, "cannot write %s", path);
  int written = fwrite(data, 1, bytes, file) == bytes;
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

int main(int argc, char** argv) {
  if (argc != 10) stop(WRONG_INPUT, "FUNCTION SIZES X WEIGHTS AFTER OUTPUT JSON WARMUP REPEAT");
  const function_t* f = find_function(argv[1]);
  int params[MAX_SIZES];
  parse_sizes(argv[2], f->sizes, params);
  const int warmup = parse_count(argv[8], 0), repeat = parse_count(argv[9], 1);
  const int code = f->check(params);
  if (code) stop(CANNOT, "%s: cannot do these sizes, code %d", f->name, code);
  void* arrays[ARRAYS];
  for (int i = 0; i < ARRAYS; i++) {
    const size_t bytes = f->bytes(params, i);
    arrays[i] = i < OUTPUT ? read_bytes(argv[3 + i], bytes) : allocate(bytes);
  }
  double* seconds = allocate(repeat * sizeof(double));
  f->pack(params, arrays);
  memset(arrays[OUTPUT], 0xff, f->bytes(params, OUTPUT)); /* NaN: what is left unwritten is seen */
  tvm_ops_region_start();                                 /* the model's caches see the warm-up */
  for (int i = 0; i < warmup; i++) f->run(params, arrays);
  for (int i = 0; i < repeat; i++) {
    tvm_ops_region_start();
    const double start = now();
    f->run(params, arrays);
    seconds[i] = now() - start;
    tvm_ops_region_stop(i);
  }
  write_bytes(argv[6], arrays[OUTPUT], f->bytes(params, OUTPUT));
  write_seconds(argv[7], seconds, repeat);
  for (int i = 0; i < ARRAYS; i++) free(arrays[i]);
  free(seconds);
  return 0;
}
