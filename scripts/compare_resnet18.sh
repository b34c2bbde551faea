#!/usr/bin/env bash
# The 3x3 stride-1 layers of ResNet-18 against every peer, on the modelled boards, with the committed logs.
#
#   bash scripts/compare_resnet18.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# Prints a table a board and writes build/resnet18/TARGET.json. About a minute a board on 2 cores.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
[ $# != 0 ] || set -- rpi3 rpi4 rpi5

workloads=()
for shape in ci64_h56_w56_co64 ci128_h28_w28_co128 ci256_h14_w14_co256 ci512_h7_w7_co512; do
    workloads+=(--workload "winograd_conv2d-n1_${shape}_k3_s1_p1-f32")
done
mkdir -p "$root/build/resnet18"
for target; do
    "$root/.venv/bin/tvm-ops" compare winograd_conv2d --target "$target" \
        --json "$root/build/resnet18/$target.json" "${workloads[@]}"
done
