/* Runs the first task of a bundle's library: x from standard input, y to standard output. The files of
 * its other arguments are given in their order: weights, bias, and where it has them slope, residual.
 *
 *     tvm-ops bundle winograd_conv2d --target rpi4 --weights resnet.npz -o rpi4.tar.gz
 *     mkdir rpi4 && tar -xzf rpi4.tar.gz -C rpi4
 *     aarch64-linux-gnu-gcc examples/call_bundle.c -Irpi4/include -Lrpi4/lib -lrpi4 \
 *         '-Wl,-rpath,$ORIGIN/rpi4/lib' -o call_bundle
 *     ./call_bundle rpi4/weights/KEY.weights.bin rpi4/weights/KEY.bias.bin < x.bin > y.bin
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "tvm_ops.h"

int main(int argc, char** argv) {
  const tvm_ops_task* task = tvm_ops_get_task(0);
  tvm_ops_tensor t[TVM_OPS_MAX_ARGUMENTS];
  int last = task->n_arguments - 1;
  for (int i = 0; i <= last; ++i) {
    const tvm_ops_argument* a = &task->arguments[i];
    void* data = aligned_alloc(TVM_OPS_ALIGNMENT, tvm_ops_argument_size(a));
    FILE* file = i == 0 ? stdin : i < argc ? fopen(argv[i], "rb") : NULL;
    if (i < last && (!file || !fread(data, tvm_ops_argument_size(a), 1, file)))
      return fprintf(stderr, "%s is missing or too short\n", a->name), 1;
    t[i] = (tvm_ops_tensor){data, a->dtype, a->ndim, a->shape};
  }
  if (tvm_ops_call(task->key, t, last + 1)) return fprintf(stderr, "%s\n", tvm_ops_last_error()), 1;
  return !fwrite(t[last].data, tvm_ops_argument_size(&task->arguments[last]), 1, stdout);
}
