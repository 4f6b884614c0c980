#!/usr/bin/env bash
# System calls of each thread of a running engine, counted with strace: what the hot threads ask of the kernel beside
# their sockets. strace makes everything slower, so look at the counts and not at the times.
#
#   perf/syscalls.sh              the only bot4 that runs, for 10 s
#   perf/syscalls.sh PID SECONDS
set -euo pipefail

pid=${1:-$(pgrep -x bot4 || true)} seconds=${2:-10}
if [[ ! $pid =~ ^[0-9]+$ || ! -d /proc/$pid/task ]]; then
    echo "syscalls: give the process id of one engine: ${pid:-none runs}" >&2
    exit 1
fi
command -v strace >/dev/null || { echo "syscalls: strace is missing" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for task in /proc/"$pid"/task/*; do
    echo "${task##*/} $(<"$task/comm")"
done >"$work/names"
timeout --signal INT "$seconds" strace -f -q -o "$work/trace" -p "$pid" 2>"$work/said" || true
if [[ ! -s $work/trace ]]; then
    echo "syscalls: nothing was traced: $(<"$work/said") (the engine forbids tracing to all but root)" >&2
    exit 1
fi
awk -v seconds="$seconds" '
    NR == FNR { name[$1] = $2; next }
    match($2, /^[a-z_0-9]+\(/) { count[name[$1] " " substr($2, 1, RLENGTH - 1)]++ }
    END { for (call in count) printf "%-32s %8d %10.1f\n", call, count[call], count[call] / seconds }
' "$work/names" "$work/trace" | sort | sed "1i $(printf '%-16s%-16s %8s %10s' thread call calls 'per s')"
