#!/usr/bin/env bash
# Whether slices rank candidates as the whole layer does: random candidates, measured both ways.
#
#   bash scripts/check_slices.sh [TARGET...]     default: rpi3 rpi4 rpi5
#
# CANDIDATES is the number of candidates a layer, 24 if not set; ROWS forces a slice of so many rows
# where none would be taken. A few minutes a board on 2 cores.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
targets=("$@")
[ $# != 0 ] || targets=(rpi3 rpi4 rpi5)
layers=(
    conv2d-n1_ci256_h14_w14_co512_k1_s1_p0_relu6_c4
    conv2d-n1_ci32_h112_w112_co64_k1_s1_p0_relu6_c4
    conv2d-n1_ci128_h28_w28_co256_k1_s1_p0_relu6_c4
    conv2d-n1_ci256_h28_w28_co256_k1_s1_p0_relu6_c4
    conv2d-n1_ci64_h56_w56_co64_k3_s1_p1_c4
    conv2d-n1_ci64_h56_w56_co128_k3_s2_p1_c4
)
for target in "${targets[@]}"; do
    "$root/.venv/bin/python" -m tvm_ops.tuning.slice_check --target "$target" \
        --candidates "${CANDIDATES:-24}" ${ROWS:+--rows "$ROWS"} "${layers[@]/%/-f32}"
done
