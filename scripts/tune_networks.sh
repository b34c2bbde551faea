#!/usr/bin/env bash
# Makes the committed logs of the five networks' layers: ResNet-18, ResNet-50, MobileNet v1, v2, v3-large.
#
#   bash scripts/tune_networks.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# Can be stopped and started again at any time: what tuning_logs/ knows is not measured twice.
# NETWORK is one network instead of all, TRIALS the number of candidates a layer, 32 if not set,
# LAYOUT nchw instead of nchw4c.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
targets=("$@")
[ $# != 0 ] || targets=(rpi3 rpi4 rpi5)

for target in "${targets[@]}"; do
    "$root/.venv/bin/tvm-ops" tune --network "${NETWORK:-all}" --target "$target" --trials "${TRIALS:-32}" \
        --layout "${LAYOUT:-nchw4c}" --logs "$root/tuning_logs"
done
