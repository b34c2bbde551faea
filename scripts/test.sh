#!/usr/bin/env bash
# Every check of the project: style, types, tests. Further arguments go to pytest.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
bash "$root/scripts/setup.sh"
cd "$root"
python=.venv/bin/python
failed=()

check() {
    printf '== %s\n' "$*"
    "$python" -m "$@" || failed+=("$1")
}

check ruff check .
check ruff format --check .
check mypy
check pytest -n 2 "$@"
if [ ${#failed[@]} != 0 ]; then
    printf 'failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
