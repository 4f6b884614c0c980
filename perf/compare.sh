#!/usr/bin/env bash
# Tick to wire and as the venues see it: the engine beside the usual stack and the Python stack, in one run on this
# machine. Prints the table and writes it with the host to perf/runs/<date>-compare.txt, all samples beside it (.tsv).
#
#   perf/compare.sh                     50 round trips each, two turns: about ten minutes
#   perf/compare.sh --rounds 20 --turns 1
#   perf/compare.sh --leaps             ticks that come from nowhere near: nothing is signed ahead (<date>-leaps.txt)
#   perf/compare.sh --without-python    needs no network
#   PERF_PYTHON=/path/to/python perf/compare.sh     an environment that has perf/python/requirements.txt
#
# Other switches go to the harness: --extra 'threads.order.core = 1' lays a line over the engine's configuration.
set -euo pipefail
cd "$(dirname "$0")"

python=yes name=compare arguments=()
for argument in "$@"; do
    case $argument in
        --without-python) python= ;;
        --leaps) name=leaps arguments+=("$argument") ;;
        *) arguments+=("$argument") ;;
    esac
done

target=${CARGO_TARGET_DIR:-../target}
cargo build --release --locked --quiet --target-dir "$target/perf"
cargo build --release --locked --quiet --manifest-path baselines/Cargo.toml --target-dir "$target/baselines"
bin=$target/perf/release
switches=(--bot4 "$bin/engine" --counted "$bin/counted" --baseline "$target/baselines/release/bot4-baseline")
if [[ -n $python ]]; then
    if [[ -z ${PERF_PYTHON:-} ]]; then
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt
        PERF_PYTHON=$work/venv/bin/python
    fi
    switches+=(--python "$PERF_PYTHON")
fi

file=runs/$(date -u +%F)-$name.txt
mkdir -p runs
{
    echo "compare   ${arguments[*]:-}"
    echo "date      $(date -u +%FT%TZ)"
    echo "commit    $(git describe --always --dirty 2>/dev/null || echo unknown)"
    ../scripts/host_line.sh
    echo "load      $(cut -d ' ' -f 1-3 /proc/loadavg) before the start"
    echo
    "$bin/memory"
    "$target/baselines/release/bot4-baseline" memory
    echo
    "$bin/bot4-perf" "${switches[@]}" --raw "${file%.txt}.tsv" "${arguments[@]}"
    echo
    echo "load      $(cut -d ' ' -f 1-3 /proc/loadavg) at the end"
} | tee "$file"
