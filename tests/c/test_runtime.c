/* test_runtime CHECK: exit code 0 if the check holds, else 1 and a line that says what does not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tvm_ops.h"

enum { ROWS = 37, COLUMNS = 129, SIZE = ROWS * COLUMNS };

#define REQUIRE(condition)                                                             \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "%s:%d: %s; %s\n", __FILE__, __LINE__, #condition, tvm_ops_last_error()); \
      exit(1);                                                                         \
    }                                                                                  \
  } while (0)

static const int64_t matrix[] = {ROWS, COLUMNS}, columns[] = {COLUMNS}, row_sizes[] = {ROWS};

typedef struct {
  _Alignas(64) float x[SIZE];
  _Alignas(64) float weights[COLUMNS];
  _Alignas(64) float bias[ROWS];
  _Alignas(64) float y[SIZE];
  tvm_ops_tensor tensors[4];
} operands;

static operands* make(unsigned seed) {
  operands* o = aligned_alloc(64, (sizeof(operands) + 63) / 64 * 64);
  REQUIRE(o != NULL);
  unsigned state = seed;
  float* parts[] = {o->x, o->weights, o->bias};
  int sizes[] = {SIZE, COLUMNS, ROWS};
  for (int p = 0; p < 3; ++p)
    for (int i = 0; i < sizes[p]; ++i)
      parts[p][i] = (float)(int)(state = state * 1664525u + 1013904223u) * 0x1p-31f;
  memset(o->y, 0xff, sizeof o->y);
  o->tensors[0] = (tvm_ops_tensor){o->x, TVM_OPS_FLOAT32, 2, matrix};
  o->tensors[1] = (tvm_ops_tensor){o->weights, TVM_OPS_FLOAT32, 1, columns};
  o->tensors[2] = (tvm_ops_tensor){o->bias, TVM_OPS_FLOAT32, 1, row_sizes};
  o->tensors[3] = (tvm_ops_tensor){o->y, TVM_OPS_FLOAT32, 2, matrix};
  return o;
}

static void require_rows(const char* key, operands* o) {
  REQUIRE(tvm_ops_call(key, o->tensors, 4) == TVM_OPS_OK);
  REQUIRE(strcmp(tvm_ops_last_error(), "") == 0);
  for (int row = 0; row < ROWS; ++row) {
    float sum = o->bias[row];
    for (int i = 0; i < COLUMNS; ++i) {
      volatile float product = o->x[row * COLUMNS + i] * o->weights[i];
      float expected = sum + product;
      float got = o->y[row * COLUMNS + i];
      REQUIRE(got - expected < 1e-4f && expected - got < 1e-4f);
      sum = got;
    }
  }
}

/* The same bits for 1 to 7 threads, on a pool that grows and is then too large. */
static void check_threads(void) {
  operands* one = make(1);
  REQUIRE(tvm_ops_set_threads(1) == TVM_OPS_OK);
  require_rows("rows", one);
  static const int counts[] = {2, 4, 7, 3, 1, 4, 64};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; ++c) {
    REQUIRE(tvm_ops_set_threads(counts[c]) == TVM_OPS_OK && tvm_ops_get_threads() == counts[c]);
    for (int again = 0; again < 20; ++again) {
      operands* many = make(1);
      require_rows(again % 2 ? "rows" : "nested", many);
      REQUIRE(memcmp(one->y, many->y, sizeof one->y) == 0);
      free(many);
    }
  }
  free(one);
}

static void* call_often(void* seed) {
  operands* o = make((unsigned)(size_t)seed);
  for (int i = 0; i < 25; ++i) {
    memset(o->y, 0xff, sizeof o->y);
    require_rows(i % 2 ? "rows" : "nested", o);
    REQUIRE(tvm_ops_call("rows", o->tensors, 3) == TVM_OPS_ERROR_COUNT);
    REQUIRE(strstr(tvm_ops_last_error(), "3 arguments given") != NULL);
  }
  free(o);
  return NULL;
}

/* Several threads call at once, while one changes the thread count. */
static void check_callers(void) {
  pthread_t callers[6];
  for (size_t i = 0; i < 6; ++i)
    REQUIRE(pthread_create(&callers[i], NULL, call_often, (void*)(i + 1)) == 0);
  for (int i = 0; i < 200; ++i) REQUIRE(tvm_ops_set_threads(i % 5) == TVM_OPS_OK);
  for (size_t i = 0; i < 6; ++i) pthread_join(callers[i], NULL);
}

/* A child has no workers; it gets its own, and so does its child, while the parent goes on. */
static void check_fork(void) {
  REQUIRE(tvm_ops_set_threads(4) == TVM_OPS_OK);
  operands* o = make(1);
  for (int i = 0; i < 5; ++i) {
    require_rows("rows", o);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      require_rows("rows", o);
      pid_t grandchild = fork();
      if (grandchild == 0) {
        require_rows("nested", o);
        exit(0);
      }
      int status = 1;
      waitpid(grandchild, &status, 0);
      exit(status != 0);
    }
    require_rows("rows", o);
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  }
  free(o);
}

static void check_memory(void) {
  operands* o = make(1);
  for (int threads = 1; threads <= 4; threads *= 2) {
    tvm_ops_set_threads(threads);
    REQUIRE(tvm_ops_call("sizes", o->tensors, 4) == TVM_OPS_OK);
    REQUIRE(tvm_ops_call("greedy", o->tensors, 4) == TVM_OPS_ERROR_MEMORY);
    REQUIRE(strstr(tvm_ops_last_error(), "greedy: no memory") != NULL);
    require_rows("rows", o);
  }
  free(o);
}

static void refused(operands* o, int code, const char* message) {
  int got = tvm_ops_call("rows", o->tensors, 4);
  if (got != code || strcmp(tvm_ops_last_error(), message) != 0) {
    fprintf(stderr, "code %d '%s', expected %d '%s'\n", got, tvm_ops_last_error(), code, message);
    exit(1);
  }
  for (int i = 0; i < SIZE; ++i) REQUIRE(o->y[i] != o->y[i]); /* still the NaNs */
  free(o);
}

static void check_refusals(void) {
  operands* o = make(1);
  o->tensors[0].data = NULL;
  refused(o, TVM_OPS_ERROR_NULL, "x: data is null");
  o = make(1);
  o->tensors[1].shape = NULL;
  refused(o, TVM_OPS_ERROR_NULL, "weights: shape is null");
  o = make(1);
  o->tensors[3].dtype = TVM_OPS_INT8;
  refused(o, TVM_OPS_ERROR_DTYPE, "y: type is int8 (3), has to be float32");
  o = make(1);
  o->tensors[3].dtype = -7;
  refused(o, TVM_OPS_ERROR_DTYPE, "y: type is no known type (-7), has to be float32");
  o = make(1);
  o->tensors[2].ndim = 4;
  refused(o, TVM_OPS_ERROR_RANK, "bias: has 4 dimensions, has to have 1");
  o = make(1);
  o->tensors[0].shape = (const int64_t[]){ROWS, 130};
  refused(o, TVM_OPS_ERROR_SHAPE, "x: dimension 1 is 130, has to be 129");
  o = make(1);
  o->tensors[0].data = o->x + 1;
  refused(o, TVM_OPS_ERROR_ALIGNMENT, "x: data is not aligned to 64 bytes");
  o = make(1);
  o->tensors[0].data = o->y;
  refused(o, TVM_OPS_ERROR_OVERLAP, "y: shares memory with x");
}

static void fill(float* data, int size, float first, float step) {
  for (int i = 0; i < size; ++i) data[i] = first + step * (float)(i % 11);
}

/* A task with slopes and a residual: arguments in the order of its list, y last. */
static void check_six(void) {
  operands* o = make(1);
  static _Alignas(64) float slope[ROWS], residual[SIZE];
  fill(slope, ROWS, 0.25f, 0.5f);
  fill(residual, SIZE, -5, 1);
  static const char* const names[] = {"x", "weights", "bias", "slope", "residual", "y"};
  const tvm_ops_task* task = tvm_ops_get_task(4);
  REQUIRE(strcmp(task->key, "six") == 0 && task->n_arguments == 6);
  tvm_ops_tensor tensors[6] = {o->tensors[0], o->tensors[1], o->tensors[2],
                               {slope, TVM_OPS_FLOAT32, 1, row_sizes},
                               {residual, TVM_OPS_FLOAT32, 2, matrix}, o->tensors[3]};
  for (int i = 0; i < 6; ++i) REQUIRE(strcmp(task->arguments[i].name, names[i]) == 0);
  for (int n = 0; n < 16; ++n)
    REQUIRE(n == 6 || tvm_ops_call("six", tensors, n) == TVM_OPS_ERROR_COUNT);
  REQUIRE(tvm_ops_call("six", tensors, 6) == TVM_OPS_OK);
  for (int i = 0; i < SIZE; ++i) {
    int row = i / COLUMNS;
    volatile float product = o->x[i] * o->weights[i % COLUMNS];
    float sum = product + o->bias[row] + residual[i];
    float expected = sum > 0 ? sum : slope[row] * sum;
    REQUIRE(o->y[i] - expected < 1e-5f && expected - o->y[i] < 1e-5f);
  }
  tensors[4].data = o->y;
  REQUIRE(tvm_ops_call("six", tensors, 6) == TVM_OPS_ERROR_OVERLAP);
  REQUIRE(strcmp(tvm_ops_last_error(), "y: shares memory with residual") == 0);
  tensors[4].data = residual;
  tensors[3].shape = columns;
  REQUIRE(tvm_ops_call("six", tensors, 6) == TVM_OPS_ERROR_SHAPE);
  REQUIRE(strcmp(tvm_ops_last_error(), "slope: dimension 0 is 129, has to be 37") == 0);
  free(o);
}

static void check_calls(void) {
  operands* o = make(1);
  REQUIRE(tvm_ops_call(NULL, o->tensors, 4) == TVM_OPS_ERROR_NULL);
  REQUIRE(tvm_ops_call("rows", NULL, 4) == TVM_OPS_ERROR_NULL);
  REQUIRE(tvm_ops_call("no such", o->tensors, 4) == TVM_OPS_ERROR_UNKNOWN_TASK);
  REQUIRE(strstr(tvm_ops_last_error(), "no task 'no such'; this library has 5") != NULL);
  static const int counts[] = {-1, 0, 3, 5, 1 << 30};
  for (int i = 0; i < 5; ++i)
    REQUIRE(tvm_ops_call("rows", o->tensors, counts[i]) == TVM_OPS_ERROR_COUNT);
  char* endless = malloc(100000);
  memset(endless, 'k', 99999);
  endless[99999] = '\0';
  REQUIRE(tvm_ops_call(endless, o->tensors, 4) == TVM_OPS_ERROR_UNKNOWN_TASK);
  free(endless);
  REQUIRE(tvm_ops_set_threads(-1) == TVM_OPS_ERROR_THREADS);
  REQUIRE(tvm_ops_set_threads(65) == TVM_OPS_ERROR_THREADS);
  REQUIRE(strcmp(tvm_ops_last_error(), "65 threads: 0 to 64 are allowed") == 0);
  require_rows("rows", o); /* clears the message */
  REQUIRE(strcmp(tvm_ops_get_task(0)->key, "rows") == 0);
  REQUIRE(tvm_ops_get_task(5) == NULL && tvm_ops_get_task(-1) == NULL);
  REQUIRE(tvm_ops_dtype_size(TVM_OPS_UINT64) == 8 && tvm_ops_dtype_size(0) == 0);
  REQUIRE(tvm_ops_dtype_size(11) == 0);
  free(o);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } checks[] = {{"calls", check_calls},     {"refusals", check_refusals}, {"threads", check_threads},
                {"callers", check_callers}, {"fork", check_fork},         {"memory", check_memory},
                {"six", check_six}};
  if (argc == 2 && strcmp(argv[1], "count") == 0) {
    printf("%d\n", tvm_ops_get_threads());
    return 0;
  }
  for (size_t i = 0; argc == 2 && i < sizeof checks / sizeof *checks; ++i)
    if (strcmp(checks[i].name, argv[1]) == 0) {
      checks[i].run();
      return 0;
    }
  fputs("usage: test_runtime CHECK\n", stderr);
  return 2;
}
