# What the board is and how it is. $1: the first word of the programs' prefix, or nothing.
echo "machine=$(uname -m)"
echo "elf=$(head -c 20 /proc/self/exe | od -An -v -tx1 | tr -d ' \n')"
echo "glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"
for tool in flock head mktemp sha256sum tar timeout $1; do
    command -v "$tool" >/dev/null || echo "missing=$tool"
done
condition ""
governor=$(cat "$cpufreq"/policy*/scaling_governor 2>/dev/null | head -n 1)
echo "governor=$governor"
pin=no
for file in "$cpufreq"/policy*/scaling_governor; do
    offered=${file%/*}/scaling_available_governors
    if [ ! -e "$file" ]; then
        pin=absent
    elif [ -e "$offered" ] && ! grep -qw performance "$offered"; then
        pin=lacking
    elif [ -w "$file" ]; then
        pin=direct
    elif sudo -n tee "$file" </dev/null >/dev/null 2>&1; then # writes nothing; nobody is asked
        pin=sudo
    fi
    break
done
echo "pin=$pin"
# The kernel's list of locks: who holds the board, and, with an arrow, who waits.
open_lock
inode=$(stat -c %i "$lock")
echo "holders=$(grep -c "^[0-9]*: FLOCK .*:$inode " /proc/locks)"
echo "waiting=$(grep -c "^[0-9]*: -> FLOCK .*:$inode " /proc/locks)"
