/* The C interface of a library that tvm_ops built.
 *
 * Tensors are dense and row-major, in the shapes that the task states; no memory is owned or kept
 * by a call. All functions may be called from several threads. C11 and C++.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TVM_OPS_H_
#define TVM_OPS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TVM_OPS_API __attribute__((visibility("default")))

/* Data pointers are multiples of this: aligned_alloc(TVM_OPS_ALIGNMENT, ...). Kernels use vector
 * loads that fault on less. */
#define TVM_OPS_ALIGNMENT 64

#define TVM_OPS_MAX_THREADS 64
#define TVM_OPS_MAX_ARGUMENTS 16

/* Element types; the values are part of the interface. */
enum {
  TVM_OPS_FLOAT32 = 1,
  TVM_OPS_FLOAT16 = 2,
  TVM_OPS_INT8 = 3,
  TVM_OPS_UINT8 = 4,
  TVM_OPS_INT16 = 5,
  TVM_OPS_UINT16 = 6,
  TVM_OPS_INT32 = 7,
  TVM_OPS_UINT32 = 8,
  TVM_OPS_INT64 = 9,
  TVM_OPS_UINT64 = 10
};

/* What a call returns; tvm_ops_last_error() has the message. */
enum {
  TVM_OPS_OK = 0,
  TVM_OPS_ERROR_NULL = 1,         /* a null pointer: key, arguments, shape or data */
  TVM_OPS_ERROR_UNKNOWN_TASK = 2, /* no task of that key in this library */
  TVM_OPS_ERROR_COUNT = 3,        /* wrong number of arguments */
  TVM_OPS_ERROR_DTYPE = 4,        /* wrong element type */
  TVM_OPS_ERROR_RANK = 5,         /* wrong number of dimensions */
  TVM_OPS_ERROR_SHAPE = 6,        /* wrong size of a dimension */
  TVM_OPS_ERROR_ALIGNMENT = 7,    /* data is no multiple of TVM_OPS_ALIGNMENT */
  TVM_OPS_ERROR_OVERLAP = 8,      /* the output shares memory with an input */
  TVM_OPS_ERROR_THREADS = 9,      /* thread count outside 0..TVM_OPS_MAX_THREADS */
  TVM_OPS_ERROR_MEMORY = 10       /* no memory for the kernel's workspace */
};

typedef struct {
  void* data;
  int32_t dtype; /* TVM_OPS_FLOAT32, ... */
  int32_t ndim;
  const int64_t* shape; /* ndim sizes, outermost first */
} tvm_ops_tensor;

/* What a task expects of one argument. */
typedef struct {
  const char* name;
  int32_t dtype;
  int32_t ndim;
  const int64_t* shape;
} tvm_ops_argument;

/* One task of the library. The last argument is the output. */
typedef struct {
  const char* key;
  int32_t n_arguments;
  const tvm_ops_argument* arguments;
  int32_t (*kernel)(void* const* data); /* one pointer per argument; checks nothing */
  double macs;                          /* multiply-accumulates of the plain algorithm */
} tvm_ops_task;

/* Runs the task of that key on n tensors, in the order of the task's arguments, the output last.
 * Returns TVM_OPS_OK, or one of the codes above, and then has written nothing but, for
 * TVM_OPS_ERROR_MEMORY, possibly a part of the output. */
TVM_OPS_API int tvm_ops_call(const char* key, const tvm_ops_tensor* arguments, int n);

/* The message of this thread's last call: empty after one that succeeded. */
TVM_OPS_API const char* tvm_ops_last_error(void);

/* Threads that a call may use, the caller's among them; 0: TVM_NUM_THREADS of the environment, or
 * else the number of cores that this process may use. Results do not depend on it. */
TVM_OPS_API int tvm_ops_set_threads(int n);
TVM_OPS_API int tvm_ops_get_threads(void);

/* Task number index, from 0, or NULL past the last. */
TVM_OPS_API const tvm_ops_task* tvm_ops_get_task(int index);

/* Bytes of an argument's data. */
TVM_OPS_API size_t tvm_ops_argument_size(const tvm_ops_argument* argument);

/* Bytes of one element; 0 for a value that is no type. */
TVM_OPS_API int tvm_ops_dtype_size(int32_t dtype);

#ifdef __cplusplus
}
#endif

#endif /* TVM_OPS_H_ */
