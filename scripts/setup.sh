#!/usr/bin/env bash
# Makes the environment: system packages, .venv at the root, the pinned Python packages of setup.cfg.
# Running it again is quick and changes nothing. Works from any folder, asks nothing.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
stamp=$venv/.tvm-ops-setup

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# What this state of the project needs; the place counts too, because a moved .venv is broken.
fingerprint() {
    { printf '%s\n' "$root" && cat "$root/setup.cfg" "$root/pyproject.toml" "${BASH_SOURCE[0]}"; } | sha256sum
}

has_header() { printf '#include <%s>\n' "$1" | gcc -E - >/dev/null 2>&1; }

# The first Python from 3.10 on that can make an environment with pip; nothing if there is none.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

# The Debian packages that are missing, one a line.
missing_packages() {
    command -v gcc >/dev/null || echo gcc
    command -v g++ >/dev/null || echo g++
    command -v qemu-aarch64 >/dev/null && command -v qemu-arm >/dev/null || echo qemu-user
    command -v aarch64-linux-gnu-g++ >/dev/null || echo g++-aarch64-linux-gnu
    command -v arm-linux-gnueabihf-g++ >/dev/null || echo g++-arm-linux-gnueabihf
    has_header capstone/capstone.h || echo libcapstone-dev
    command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || echo openssh-client
    [ -x /usr/sbin/sshd ] || echo openssh-server # of the tests, which start their own
    if [ ! -x "$venv/bin/python" ] && [ -z "$(find_python)" ]; then echo python3-venv; fi
}

install_packages() {
    local log
    command -v apt-get >/dev/null || die "missing: $* (Debian's names; this system has no apt-get)"
    [ "$(id -u)" = 0 ] || die "missing system packages; install them and run again: sudo apt-get install -y $*"
    say "installing system packages: $*"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # A source that cannot be updated matters only if a package then cannot be had.
    if ! {
        apt-get -o DPkg::Lock::Timeout=300 update -q
        apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
    } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $*"
    fi
    rm -f "$log"
}

# The tests need the program sshd, not a service that is open to the network: of what is installed
# here nothing is started, now or at the next start of the machine.
install_without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ] && [ "$(id -u)" = 0 ]; then
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    install_packages "$@"
    case " $* " in
        *" openssh-server "*) systemctl disable ssh.service ssh.socket >/dev/null 2>&1 || true ;;
    esac
}

system_packages() {
    local missing version
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} != 0 ]; then
        install_without_services "${missing[@]}"
        mapfile -t missing < <(missing_packages)
    fi
    [ ${#missing[@]} = 0 ] || die "still missing after the installation: ${missing[*]} (Python 3.10 or newer is needed)"
    version=$(qemu-aarch64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
    printf '7.2\n%s\n' "$version" | sort -V -C ||
        die "qemu-user $version is too old for the timing model: 7.2 or newer is needed (Debian 12, Ubuntu 24.04)"
}

python_packages() {
    local python log
    if ! "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    say "installing Python packages (fresh: about 1 GB, some minutes)"
    log=$(mktemp)
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --editable "$root[test]" 2>"$log" |
        sed -un -e '/\.metadata/d' -e 's/^ *Downloading \([^ ]*\) *\((.*)\)\{0,1\}.*/setup:   \1 \2/p'; then
        tail -n 15 "$log" | cut -c 1-300 >&2
        rm -f "$log"
        die "pip could not install the packages of setup.cfg"
    fi
    rm -f "$log"
}

# Two set-ups at once (a demo and a test in the same clone) take turns.
exec 9<"$root/setup.cfg"
flock 9
system_packages
if [ "$(cat "$stamp" 2>/dev/null)" != "$(fingerprint)" ]; then
    python_packages
    fingerprint >"$stamp"
    say "done: $venv/bin/tvm-ops"
fi
