/* The checked call: everything that would make a kernel crash or compute nonsense is refused here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tvm_ops_internal.h"

/* Each thread's message. A _Thread_local would need the dynamic linker's __tls_get_addr. */
static pthread_key_t messages;

#define MESSAGE_SIZE 256

__attribute__((constructor)) static void open_messages(void) {
  pthread_key_create(&messages, free);
}

__attribute__((destructor)) static void close_messages(void) {
  free(pthread_getspecific(messages));
  pthread_key_delete(messages);
}

const char* tvm_ops_last_error(void) {
  const char* message = pthread_getspecific(messages);
  return message != NULL ? message : "";
}

static void clear_message(void) {
  char* message = pthread_getspecific(messages);
  if (message != NULL) message[0] = '\0';
}

__attribute__((format(printf, 2, 3))) static int fail(int code, const char* format, ...) {
  char* message = pthread_getspecific(messages);
  if (message == NULL) {
    message = malloc(MESSAGE_SIZE);
    if (message == NULL || pthread_setspecific(messages, message) != 0) {
      free(message);
      return code;
    }
  }
  va_list values;
  va_start(values, format);
  vsnprintf(message, MESSAGE_SIZE, format, values);
  va_end(values);
  return code;
}

static const struct {
  const char* name;
  int size;
} dtypes[] = {
    [TVM_OPS_FLOAT32] = {"float32", 4}, [TVM_OPS_FLOAT16] = {"float16", 2},
    [TVM_OPS_INT8] = {"int8", 1},       [TVM_OPS_UINT8] = {"uint8", 1},
    [TVM_OPS_INT16] = {"int16", 2},     [TVM_OPS_UINT16] = {"uint16", 2},
    [TVM_OPS_INT32] = {"int32", 4},     [TVM_OPS_UINT32] = {"uint32", 4},
    [TVM_OPS_INT64] = {"int64", 8},     [TVM_OPS_UINT64] = {"uint64", 8},
};

static bool is_dtype(int32_t dtype) {
  return dtype > 0 && (size_t)dtype < sizeof dtypes / sizeof *dtypes;
}

static const char* dtype_name(int32_t dtype) {
  return is_dtype(dtype) ? dtypes[dtype].name : "no known type";
}

int tvm_ops_dtype_size(int32_t dtype) { return is_dtype(dtype) ? dtypes[dtype].size : 0; }

const tvm_ops_task* tvm_ops_get_task(int index) {
  return index >= 0 && index < tvm_ops_n_tasks ? &tvm_ops_tasks[index] : NULL;
}

int tvm_ops_set_threads(int n) {
  clear_message();
  if (n < 0 || n > TVM_OPS_MAX_THREADS)
    return fail(TVM_OPS_ERROR_THREADS, "%d threads: 0 to %d are allowed", n, TVM_OPS_MAX_THREADS);
  tvm_ops_choose_threads(n);
  return TVM_OPS_OK;
}

static const tvm_ops_task* find_task(const char* key) {
  for (int i = 0; i < tvm_ops_n_tasks; ++i)
    if (strcmp(tvm_ops_tasks[i].key, key) == 0) return &tvm_ops_tasks[i];
  return NULL;
}

static int check_tensor(const tvm_ops_argument* expected, const tvm_ops_tensor* given) {
  const char* name = expected->name;
  if (given->dtype != expected->dtype)
    return fail(TVM_OPS_ERROR_DTYPE, "%s: type is %s (%d), has to be %s", name,
                dtype_name(given->dtype), (int)given->dtype, dtype_name(expected->dtype));
  if (given->ndim != expected->ndim)
    return fail(TVM_OPS_ERROR_RANK, "%s: has %d dimensions, has to have %d", name,
                (int)given->ndim, (int)expected->ndim);
  if (given->shape == NULL) return fail(TVM_OPS_ERROR_NULL, "%s: shape is null", name);
  for (int d = 0; d < expected->ndim; ++d)
    if (given->shape[d] != expected->shape[d])
      return fail(TVM_OPS_ERROR_SHAPE, "%s: dimension %d is %" PRId64 ", has to be %" PRId64, name,
                  d, given->shape[d], expected->shape[d]);
  if (given->data == NULL) return fail(TVM_OPS_ERROR_NULL, "%s: data is null", name);
  if ((uintptr_t)given->data % TVM_OPS_ALIGNMENT != 0)
    return fail(TVM_OPS_ERROR_ALIGNMENT, "%s: data is not aligned to %d bytes", name,
                TVM_OPS_ALIGNMENT);
  return TVM_OPS_OK;
}

size_t tvm_ops_argument_size(const tvm_ops_argument* argument) {
  size_t size = (size_t)tvm_ops_dtype_size(argument->dtype);
  for (int d = 0; d < argument->ndim; ++d) size *= (size_t)argument->shape[d];
  return size;
}

/* Kernels are compiled with the promise that nothing but they themselves write what they read. */
static int check_overlap(const tvm_ops_task* task, const tvm_ops_tensor* given) {
  int last = task->n_arguments - 1;
  uintptr_t output = (uintptr_t)given[last].data;
  uintptr_t output_size = tvm_ops_argument_size(&task->arguments[last]);
  for (int i = 0; i < last; ++i) {
    uintptr_t input = (uintptr_t)given[i].data;
    if (input < output + output_size && output < input + tvm_ops_argument_size(&task->arguments[i]))
      return fail(TVM_OPS_ERROR_OVERLAP, "%s: shares memory with %s", task->arguments[last].name,
                  task->arguments[i].name);
  }
  return TVM_OPS_OK;
}

int tvm_ops_call(const char* key, const tvm_ops_tensor* arguments, int n) {
  clear_message();
  if (key == NULL) return fail(TVM_OPS_ERROR_NULL, "key is null");
  const tvm_ops_task* task = find_task(key);
  if (task == NULL)
    return fail(TVM_OPS_ERROR_UNKNOWN_TASK, "no task '%.100s'; this library has %d, the first is %s",
                key, (int)tvm_ops_n_tasks, tvm_ops_tasks[0].key);
  if (n != task->n_arguments)
    return fail(TVM_OPS_ERROR_COUNT, "%d arguments given, %s takes %d", n, task->key,
                (int)task->n_arguments);
  if (arguments == NULL) return fail(TVM_OPS_ERROR_NULL, "arguments is null");
  void* data[TVM_OPS_MAX_ARGUMENTS];
  for (int i = 0; i < n; ++i) {
    int code = check_tensor(&task->arguments[i], &arguments[i]);
    if (code != TVM_OPS_OK) return code;
    data[i] = arguments[i].data;
  }
  int code = check_overlap(task, arguments);
  if (code != TVM_OPS_OK) return code;
  if (task->kernel(data) != 0)
    return fail(TVM_OPS_ERROR_MEMORY, "%s: no memory for its workspace", task->key);
  return TVM_OPS_OK;
}
