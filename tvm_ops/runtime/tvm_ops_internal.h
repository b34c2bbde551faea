/* What the files of the runtime and the generated tasks.c share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TVM_OPS_INTERNAL_H_
#define TVM_OPS_INTERNAL_H_

#include "tvm_ops.h"

/* tasks.c, which tvm_ops/build.py generates: one entry per kernel. */
extern const tvm_ops_task tvm_ops_tasks[];
extern const int32_t tvm_ops_n_tasks;

/* n is 0..TVM_OPS_MAX_THREADS. */
void tvm_ops_choose_threads(int n);

#endif /* TVM_OPS_INTERNAL_H_ */
