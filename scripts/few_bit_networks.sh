#!/usr/bin/env bash
# AlexNet, VGGNet, ResNet-18 and SqueezeNet of few bits against the best float32, layers summed: tables, plots.
#
#   bash scripts/few_bit_networks.sh [--measure] [--by-hand] [--again] [TARGET...] [--jobs N]    default: rpi3 rpi4 rpi5
#
# Reads tuning_logs/ and the runs in docs/performance/, which takes seconds, and writes the part of
# docs/performance.md between its markers, with the 3x3 layers against the goals, which the README has
# too. --by-hand first measures our hand-written peer on these (seconds a layer). --measure first runs each kernel of which nothing is known
# once on the modelled board, checked against numpy; it can be stopped and started again.
# --again runs the known ones too, whose kernels have changed.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
exec "$root/.venv/bin/python" -m tvm_ops.cli_few_bit "$@"
