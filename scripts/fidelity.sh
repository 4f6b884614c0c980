#!/usr/bin/env bash
# Shows that the simulated Paradex is faithful, by clients that were not written here: Paradex's own Python SDK
# and ccxt, pinned, log in, stream the SBE book, place orders and see their fills. Exits non-zero on any failure.
#
#   scripts/fidelity.sh                      installs both clients into a throw-away environment
#   FIDELITY_PYTHON=/path/to/python scripts/fidelity.sh    uses an environment that has them
set -euo pipefail
cd "$(dirname "$0")/.."

PINS=(paradex_py==0.8.2 ccxt==4.5.90)
work=$(mktemp -d)
sim_pid=

finish() {
    if [[ -n "$sim_pid" ]]; then
        kill "$sim_pid" 2>/dev/null || true
        wait "$sim_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# Starts the simulator with the given switches and waits for the line that says where it is.
start_sim() {
    "$sim" serve --state-dir "$work/state" --sbe-versions 0,1,2,3 "$@" >"$work/endpoints.json" 2>"$work/sim.log" &
    sim_pid=$!
    for _ in $(seq 100); do
        if [[ -s "$work/endpoints.json" ]]; then
            export SSL_CERT_FILE="$work/state/ca.pem"
            return
        fi
        sleep 0.1
    done
    echo "the simulator did not start:" >&2
    cat "$work/sim.log" >&2
    exit 1
}

stop_sim() {
    kill "$sim_pid"
    wait "$sim_pid" || true
    sim_pid=
}

check() {
    timeout 120 "$python" "scripts/fidelity/$1" "$work/endpoints.json"
}

cargo build --quiet --package bot4-sim
sim="${CARGO_TARGET_DIR:-target}/debug/bot4-sim"

python="${FIDELITY_PYTHON:-}"
if [[ -z "$python" ]]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${PINS[@]}"
    python="$work/venv/bin/python"
fi

printf '%-18s %-34s %-5s %s\n' client step result detail
start_sim
check paradex_py_check.py
check ccxt_check.py
stop_sim

echo "-- private channels as JSON --"
start_sim --private-json
check ccxt_check.py
stop_sim
echo "fidelity: all steps passed"
