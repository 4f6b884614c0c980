#!/usr/bin/env bash
# The goals that perf/compare.sh does not show: idle cost, time to mend, stale books, load, and our share of a trade.
# Prints a line for each and writes them with the host to perf/runs/<date>-goals.txt. About five minutes.
#
#   perf/goals.sh [--rounds 20] [--extra 'threads.order.core = 1']
set -euo pipefail
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-../target}
cargo build --release --locked --quiet --target-dir "$target/perf"
file=runs/$(date -u +%F)-goals.txt
mkdir -p runs
{
    echo "goals     $*"
    echo "date      $(date -u +%FT%TZ)"
    echo "commit    $(git describe --always --dirty 2>/dev/null || echo unknown)"
    ../scripts/host_line.sh
    echo "load      $(cut -d ' ' -f 1-3 /proc/loadavg) before the start"
    echo
    "$target/perf/release/goals" --bot4 "$target/perf/release/engine" "$@"
    echo
    echo "load      $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
} | tee "$file"
