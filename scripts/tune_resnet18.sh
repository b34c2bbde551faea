#!/usr/bin/env bash
# Makes the committed logs of winograd_conv2d: the four 3x3 stride-1 layers of ResNet-18, three boards.
#
#   bash scripts/tune_resnet18.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# Can be stopped and started again at any time: what tuning_logs/ knows is not measured twice.
# TRIALS is the number of candidates a layer, 192 if not set; 2 cores do about one a second.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/resnet18.sh"

for target in "${targets[@]}"; do
    "$root/.venv/bin/tvm-ops" tune winograd_conv2d --target "$target" --trials "${TRIALS:-192}" \
        --logs "$root/tuning_logs" "${workloads[@]}"
done
