#!/usr/bin/env bash
# Makes the committed log of the peers' figures: every layer of the networks, on the modelled boards.
#
#   bash scripts/measure_peers.sh [TARGET...] [--network NAME]... [--peer NAME]... [--again]
#
# Default: rpi4 rpi3 rpi5, all five networks (tvm_ops/networks), ncnn mnn xnnpack onnxruntime.
# Can be stopped and started again at any time: what tuning_logs/TARGET/peers.jsonl knows of the
# same version of a peer is not measured twice. One process; several targets may run side by side.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
[[ "${1:-}" =~ ^[^-] ]] || set -- rpi4 rpi3 rpi5 "$@"
exec "$root/.venv/bin/python" -m tvm_ops.cli_peers "$@"
