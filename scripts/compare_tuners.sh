#!/usr/bin/env bash
# How many trials each tuner needs, on 12 small convolutions: docs/tuning/tuners.{md,svg,json}.
#
#   bash scripts/compare_tuners.sh [--trials N] [--workers N]
#   bash scripts/compare_tuners.sh --seed 1 --work build/tuners-1 --out build/tuners-1
#
# Can be stopped and started again at any time: build/tuners keeps the logs. All of it is 4800 trials.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
cd "$root"
"$root/.venv/bin/python" -m tvm_ops.tuning.tuner_check --work build/tuners --out docs/tuning "$@"
