#!/usr/bin/env bash
# Builds the engine and the simulated venues and lets the production binary trade on them. All arguments go to
# `bot4-sim demo`: --seconds N, --seed N, --json, --profile realistic, … (see `bot4-sim demo --help`).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo >/dev/null || { echo "demo.sh: cargo is missing: install Rust 1.95 or later" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
# stdout belongs to the demo, so that its last line can be parsed.
cargo build --release --locked --workspace --bins 1>&2
exec "$target/release/bot4-sim" demo --bot4 "$target/release/bot4" --config config/demo.toml "$@"
