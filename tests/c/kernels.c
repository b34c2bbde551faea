/* Kernels by hand with the interface of TVM's generated code: what the runtime is tested with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

enum { ROWS = 37, COLUMNS = 129 };

typedef struct {
  void* sync_handle;
  int32_t num_task;
} group_env;
typedef int (*parallel_lambda)(int, group_env*, void*);

__attribute__((weak)) int (*__TVMBackendParallelLaunch)(parallel_lambda, void*, int) = 0;
__attribute__((weak)) void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = 0;
__attribute__((weak)) int (*__TVMBackendFreeWorkspace)(int, int, void*) = 0;

typedef struct {
  const float *x, *weights, *bias;
  float* y;
} closure;

/* Rows in equal parts, as TVM cuts a parallel loop; sums whose rounding depends on their order. */
static int some_rows(int id, group_env* env, void* data) {
  const closure* c = data;
  int part = (ROWS + env->num_task - 1) / env->num_task;
  int end = (id + 1) * part < ROWS ? (id + 1) * part : ROWS;
  float* sums = __TVMBackendAllocWorkspace(1, 0, COLUMNS * sizeof(float), 2, 32);
  if (sums == 0) return -1;
  for (int row = id * part; row < end; ++row) {
    float sum = c->bias[row];
    for (int i = 0; i < COLUMNS; ++i) sums[i] = sum += c->x[row * COLUMNS + i] * c->weights[i];
    for (int i = 0; i < COLUMNS; ++i) c->y[row * COLUMNS + i] = sums[i];
  }
  return __TVMBackendFreeWorkspace(1, 0, sums);
}

/* y[row, i] = bias[row] + sum of x[row, k] * weights[k] for k <= i */
EXPORT int32_t rows(float* x, float* weights, float* bias, float* y) {
  closure c = {x, weights, bias, y};
  return __TVMBackendParallelLaunch(some_rows, &c, 0);
}

static int rows_again(int id, group_env* env, void* data) {
  (void)env;
  return id == 0 ? __TVMBackendParallelLaunch(some_rows, data, 0) : 0;
}

/* The same, with a parallel loop in a parallel loop. */
EXPORT int32_t nested(float* x, float* weights, float* bias, float* y) {
  closure c = {x, weights, bias, y};
  return __TVMBackendParallelLaunch(rows_again, &c, 0);
}

/* Blocks of growing and shrinking sizes, two at a time, each written to its end. */
static int many_sizes(int id, group_env* env, void* data) {
  (void)id, (void)env, (void)data;
  for (int i = 0; i < 40; ++i) {
    uint64_t size = (uint64_t)(i < 20 ? i : 40 - i) * 3000;
    char* first = __TVMBackendAllocWorkspace(1, 0, size, 2, 32);
    char* second = __TVMBackendAllocWorkspace(1, 0, size / 2, 2, 32);
    if (first == 0 || second == 0 || (uintptr_t)first % 64 != 0) return -1;
    for (uint64_t at = 0; at < size; ++at) first[at] = 1;
    for (uint64_t at = 0; at < size / 2; ++at) second[at] = 2;
    for (uint64_t at = 0; at < size; ++at)
      if (first[at] != 1) return -1;
    __TVMBackendFreeWorkspace(1, 0, first);
    __TVMBackendFreeWorkspace(1, 0, second);
  }
  return 0;
}

EXPORT int32_t sizes(float* x, float* weights, float* bias, float* y) {
  closure c = {x, weights, bias, y};
  return __TVMBackendParallelLaunch(many_sizes, &c, 0);
}

static int too_much(int id, group_env* env, void* data) {
  (void)env, (void)data;
  void* memory = __TVMBackendAllocWorkspace(1, 0, id == 0 ? UINT64_MAX - 1 : (uint64_t)1 << 46, 2, 32);
  if (memory == 0) return -1;
  return __TVMBackendFreeWorkspace(1, 0, memory);
}

/* Asks for more memory than there is. */
EXPORT int32_t greedy(float* x, float* weights, float* bias, float* y) {
  closure c = {x, weights, bias, y};
  return __TVMBackendParallelLaunch(too_much, &c, 0);
}

/* y[row, i] = prelu(x[row, i] * weights[i] + bias[row] + residual[row, i]), of that row's slope */
EXPORT int32_t six(float* x, float* weights, float* bias, float* slope, float* residual, float* y) {
  for (int row = 0; row < ROWS; ++row)
    for (int i = row * COLUMNS; i < (row + 1) * COLUMNS; ++i) {
      float sum = x[i] * weights[i - row * COLUMNS] + bias[row] + residual[i];
      y[i] = sum > 0 ? sum : slope[row] * sum;
    }
  return 0;
}

EXPORT int32_t crash(float* x, float* weights, float* bias, float* y) {
  (void)x, (void)weights, (void)bias, (void)y;
  int* volatile nowhere = (int*)8;
  *nowhere = 1;
  return 0;
}

EXPORT int32_t hang(float* x, float* weights, float* bias, float* y) {
  (void)weights, (void)bias, (void)y;
  while (*(volatile float*)x < 1e9f) continue;
  return 0;
}
