# What a board tells of its condition; comes before the other scripts here. POSIX sh and coreutils.
# TVM_OPS_SYS and TVM_OPS_LOCK are for machines with several boards in one, such as containers.
sys=${TVM_OPS_SYS:-/sys}
cpufreq=$sys/devices/system/cpu/cpufreq
lock=${TVM_OPS_LOCK:-/run/lock/tvm_ops.lock}

# The largest number in the files, nothing if none can be read.
largest() {
    most=
    for file in "$@"; do
        number=$(cat "$file" 2>/dev/null) || continue
        if [ -z "$most" ] || [ "$number" -gt "$most" ]; then most=$number; fi
    done 2>/dev/null
    echo "$most"
}

# Firmware of a Raspberry Pi: which of under-voltage, cap, throttling, soft limit are, and were.
throttled() {
    vcgencmd get_throttled 2>/dev/null | sed -n 's/^throttled=//p' | grep . && return
    value=$(cat "$sys/devices/platform/soc/soc:firmware/get_throttled" 2>/dev/null) && echo "0x$value"
}

# KEY=VALUE lines, each key after $1: millidegrees, flags, kHz of the fastest core.
condition() {
    echo "$1temperature=$(largest "$sys"/class/thermal/thermal_zone*/temp)"
    echo "$1throttled=$(throttled)"
    echo "$1khz=$(largest "$cpufreq"/policy*/scaling_cur_freq)"
}

# Write $2 to the file $1 of the kernel, by the means $pin that the probe found.
put() {
    case $pin in
        direct) echo "$2" >"$1" ;;
        sudo) echo "$2" | sudo -n tee "$1" >/dev/null ;;
    esac 2>/dev/null
}

# Open the lock as descriptor 9. It is a folder: in a shared one, a file of another user cannot be opened.
open_lock() {
    mkdir -m 755 "$lock" 2>/dev/null
    if [ ! -d "$lock" ] || [ ! -r "$lock" ]; then
        echo "the lock $lock is no folder that can be read; TVM_OPS_LOCK names another" >&2
        exit 90
    fi
    exec 9<"$lock"
}
