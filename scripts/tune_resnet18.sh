#!/usr/bin/env bash
# Makes the committed logs of winograd_conv2d: the four 3x3 stride-1 layers of ResNet-18, three boards.
#
#   bash scripts/tune_resnet18.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# Can be stopped and started again at any time: what tuning_logs/ knows is not measured twice.
# TRIALS is the number of candidates a layer, 192 if not set; 2 cores do about one a second.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
[ $# != 0 ] || set -- rpi3 rpi4 rpi5

workloads=()
for shape in ci64_h56_w56_co64 ci128_h28_w28_co128 ci256_h14_w14_co256 ci512_h7_w7_co512; do
    workloads+=(--workload "winograd_conv2d-n1_${shape}_k3_s1_p1-f32")
done
for target; do
    "$root/.venv/bin/tvm-ops" tune winograd_conv2d --target "$target" --trials "${TRIALS:-192}" \
        --logs "$root/tuning_logs" "${workloads[@]}"
done
