#!/usr/bin/env bash
# The table of the networks' layers against the peers, and docs/performance.md with all of its figures.
#
#   bash scripts/performance.sh [--check] [--untuned] [TARGET...] [--host] [--again]     default: rpi3 rpi4 rpi5
#
# Reads tuning_logs/ only, which takes seconds. --check first runs the best kernel of each layer once
# more on the modelled board: its cycles have to be the log's, and it says how large the hot code is
# and what it waits for. --untuned first measures what the layers would get if they were not tuned,
# --host times them on this machine. Each can be stopped and started again; runs are kept in
# docs/performance/. --again repeats those of --check and --host.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
exec "$root/.venv/bin/python" -m tvm_ops.cli_performance "$@"
