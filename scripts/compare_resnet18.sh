#!/usr/bin/env bash
# The 3x3 stride-1 layers of ResNet-18 against every peer, on the modelled boards, with the committed logs.
#
#   bash scripts/compare_resnet18.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# Prints a table a board and writes build/resnet18/TARGET.json. About a minute a board on 2 cores.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/resnet18.sh"

mkdir -p "$root/build/resnet18"
for target in "${targets[@]}"; do
    "$root/.venv/bin/tvm-ops" compare winograd_conv2d --target "$target" \
        --json "$root/build/resnet18/$target.json" "${workloads[@]}"
done
