# Run one program in a folder of its own, alone on the board, its clock pinned if that is allowed.
#
#   $1 bytes of the tar on standard input   $2 seconds   $3 direct or sudo: pin the clock so
#   $4 KiB of address space, or unlimited   $5 files to give back, in words   the rest: the program
#
# Says "ready" when it is its turn, then reads the tar, then writes one with what came of it.
# Standard input stays open until the client is satisfied: its end is the end of all this.
size=$1 limit=$2 pin=$3 memory=$4 wanted=$5
shift 5
umask 077
folder= child= watcher=
finish() {
    trap '' HUP INT PIPE TERM
    [ -z "$child" ] || kill -KILL "-$child" "$child" 2>/dev/null
    if [ -s "$folder/governors" ]; then
        while read -r file governor; do put "$file" "$governor"; done <"$folder/governors"
    fi
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
    [ -z "$folder" ] || rm -rf "$folder"
}
trap finish EXIT
trap 'exit 143' HUP INT PIPE TERM

exec 3<&0 </dev/null
open_lock
flock 9 3<&- &
child=$!
wait "$child" || exit 90
child=
folder=$(mktemp -d "${TMPDIR:-/tmp}/tvm_ops.XXXXXX") || exit 90
mkdir "$folder/files"
echo ready
head -c "$size" <&3 | tar -xf - -C "$folder/files" || exit 91
{
    cat <&3
    kill -TERM $$
} >/dev/null 2>&1 9<&- &
watcher=$!
exec 3<&-

for file in "$cpufreq"/policy*/scaling_governor; do
    case $pin in direct | sudo) ;; *) break ;; esac
    echo "$file $(cat "$file")" >>"$folder/governors"
    put "$file" performance || echo "unpinned=$file" >>"$folder/facts"
done
condition before. >>"$folder/facts"
(
    cd "$folder/files" || exit 90
    ulimit -v "$memory" 2>/dev/null
    exec timeout -k 2 "$limit" "$@" >"$folder/stdout" 2>"$folder/stderr" 9<&-
) &
child=$!
wait "$child"
code=$?
kill -KILL "-$child" 2>/dev/null # what it left behind in its group, which timeout made
child=
condition after. >>"$folder/facts"
echo "code=$code" >>"$folder/facts"

cd "$folder" || exit 90
for name in stdout stderr; do tail -c 4096 "$name" >"$name.end"; done
results="facts stdout.end stderr.end"
for name in $wanted; do [ ! -f "files/$name" ] || results="$results files/$name"; done
tar -cf - $results
