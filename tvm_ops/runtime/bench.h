/* The arrays of bench.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TVM_OPS_BENCH_H_
#define TVM_OPS_BENCH_H_

#include <stddef.h>
#include <stdint.h>

#include "tvm_ops.h"

enum { FAILED = 1, WRONG_INPUT = 2 };

/* Prints "bench: ..." to standard error and exits with the code. */
__attribute__((noreturn, format(printf, 2, 3))) void bench_stop(int code, const char* format, ...);

/* Starts on a page, so that cache sets do not vary with the sizes of the other arguments. */
void* bench_allocate(const tvm_ops_argument* argument);

/* Finite numbers, the same ones at each run: floats in (-1, 1), integers of any bits. */
void bench_fill_random(const tvm_ops_argument* argument, void* data, uint32_t seed);

/* Raw little-endian elements; any other size than the argument's is wrong input. */
void bench_read(const char* path, const tvm_ops_argument* argument, void* data);
void bench_write(const char* path, const tvm_ops_argument* argument, const void* data);

#endif /* TVM_OPS_BENCH_H_ */
