#!/usr/bin/env bash
# The whole way of one convolution, for a Raspberry Pi 4 that does not have to be there: tune it on the
# modelled board, cross-compile it, bundle it, run and check the bundle, compare it with other kernels.
# Everything that it makes is in build/demo; the committed logs stay as they are.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
rm -rf "$root/build/demo"
mkdir -p "$root/build/demo"
cd "$root/build/demo"
started=$SECONDS

step() {
    printf '\n$ tvm-ops %s\n' "$*"
    "$root/.venv/bin/tvm-ops" "$@"
}

# 3x3, 64 to 64 channels, 56x56: the first layers of ResNet-18.
key=winograd_conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32
task=(winograd_conv2d --target rpi4 --workload "$key" --logs logs)
step tune "${task[@]}" --trials 64
step build "${task[@]}" -o library
step bundle "${task[@]}" -o rpi4.tar.gz
step run rpi4.tar.gz --check
step compare "${task[@]}" --against ncnn,xnnpack,handwritten --json comparison.json
printf '\ndemo: done in %s s; see %s\n' "$((SECONDS - started))" "build/demo"
