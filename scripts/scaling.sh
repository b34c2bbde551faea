#!/usr/bin/env bash
# Trials a second with 1 and 2 workers: local processes, then a Dask cluster on this machine.
#
#   bash scripts/scaling.sh [KEY...]
#
# TRIALS is the number of candidates of each run, 48 if not set. docs/scaling.md has what it printed.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
python=$root/.venv/bin/python
check=("$python" -m tvm_ops.tuning.scaling_check --trials "${TRIALS:-48}")
cd "$root"
"${check[@]}" "$@"

folder=$(mktemp -d)
scheduler=$folder/scheduler.json
pids=()
stop() {
    # At once: a worker that is asked to end waits for its scheduler, which has ended.
    kill -KILL "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
export PYTHONPATH=$root
"$python" -m distributed.cli.dask_scheduler --host 127.0.0.1 --port 0 --no-dashboard \
    --scheduler-file "$scheduler" --idle-timeout "600 s" >"$folder/scheduler.log" 2>&1 &
pids+=($!)
disown # or bash would tell of its end
# Waits up to a minute for what a command finds.
wait_for() {
    for _ in $(seq 300); do
        if "$@" 2>/dev/null; then return; fi
        sleep 0.2
    done
    tail -n 5 "$folder"/*.log >&2
    exit 1
}
wait_for test -s "$scheduler"
for workers in 1 2; do
    "$python" -m distributed.cli.dask_worker --host 127.0.0.1 --no-dashboard --no-nanny --nthreads 1 \
        --death-timeout 20 \
        --scheduler-file "$scheduler" --local-directory "$folder" >"$folder/worker-$workers.log" 2>&1 &
    pids+=($!)
    disown
    wait_for grep -q "Registered to" "$folder/worker-$workers.log"
    address=$("$python" -c "import json, sys; print(json.load(open(sys.argv[1]))['address'])" "$scheduler")
    "${check[@]}" --cluster "$address" "$@"
done
