# Sourced by the jobs on the four 3x3 stride-1 layers of ResNet-18: sets `root`, `targets` (the
# arguments; default: rpi3 rpi4 rpi5) and `workloads` (options of tvm-ops), and makes the environment.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
targets=("$@")
[ $# != 0 ] || targets=(rpi3 rpi4 rpi5)
workloads=()
for shape in ci64_h56_w56_co64 ci128_h28_w28_co128 ci256_h14_w14_co256 ci512_h7_w7_co512; do
    workloads+=(--workload "winograd_conv2d-n1_${shape}_k3_s1_p1-f32")
done
