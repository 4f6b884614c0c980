#!/usr/bin/env bash
# Ten minutes at twenty times the load, in release: memory of the engine every ten seconds, every market message
# accounted for, every order and fill of the venues found in the engine's records. Exits non-zero when one is not.
#
#   scripts/soak.sh                              600 s, 20x
#   scripts/soak.sh --seconds 3600 --load 40     (see `bot4-sim soak --help`; the last of two equal switches counts)
#   scripts/soak.sh | tee perf/runs/$(date +%F)-soak.txt
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --workspace --bins 1>&2

echo "date    $(date -u +%FT%TZ)"
echo "commit  $(git describe --always --dirty 2>/dev/null || echo unknown)"
scripts/host_line.sh
echo "load    $(cut -d ' ' -f 1-3 /proc/loadavg) before the start"
echo
exec "$target/release/bot4-sim" soak --bot4 "$target/release/bot4" --config config/demo.toml \
    --load 20 --seconds 600 "$@"
