/* Runs the first task of a bundle's library: x from standard input, y to standard output.
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
  if (argc != 3) return fprintf(stderr, "usage: call_bundle WEIGHTS BIAS < X > Y\n"), 2;
  FILE* files[] = {stdin, fopen(argv[1], "rb"), fopen(argv[2], "rb"), stdout};
  const tvm_ops_task* task = tvm_ops_get_task(0);
  tvm_ops_tensor tensors[4];
  size_t size = 0;
  for (int i = 0; i < 4; ++i) {
    const tvm_ops_argument* a = &task->arguments[i];
    size = (size_t)tvm_ops_dtype_size(a->dtype);
    for (int d = 0; d < a->ndim; ++d) size *= (size_t)a->shape[d];
    void* data = aligned_alloc(TVM_OPS_ALIGNMENT, (size + 63) / 64 * 64);
    if (!data || !files[i] || (i < 3 && fread(data, 1, size, files[i]) != size)) return 1;
    tensors[i] = (tvm_ops_tensor){data, a->dtype, a->ndim, a->shape};
  }
  int code = tvm_ops_call(task->key, tensors, 4);
  if (code != TVM_OPS_OK) fprintf(stderr, "error %d: %s\n", code, tvm_ops_last_error());
  return code != TVM_OPS_OK || fwrite(tensors[3].data, 1, size, stdout) != size;
}
