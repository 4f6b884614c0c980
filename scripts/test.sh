#!/usr/bin/env bash
# Sets up what the tests need and runs all of them. Continuous integration calls the same script. Each step prints its
# own summary; the last line says how it ended.
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'echo "test: failed in: $BASH_COMMAND" >&2' ERR
command -v cargo >/dev/null || { echo "test: cargo is missing: install Rust 1.95 or later" >&2; exit 1; }

has_postgres() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

if ! has_postgres; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "test: installing PostgreSQL" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
    else
        echo "test: PostgreSQL is missing: install it (Debian, Ubuntu: sudo apt-get install postgresql)" >&2
        exit 1
    fi
fi

# The tests that drive whole programs start both of them.
cargo build --locked --workspace --bins
cargo test --locked --workspace --doc --quiet

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace -E 'not (package(bot4) & kind(lib) & test(panic))' "$@"
else
    # As .config/nextest.toml: few at once, since some of them start whole engines.
    cargo test --locked --workspace --lib --bins --tests --no-fail-fast -- --test-threads=3 "$@"
fi

# Optimized, since they take long otherwise: a million damaged inputs for each decoder of venue bytes, and the
# deterministic simulation with the deliberate mistakes that it must find compiled in.
optimized=(cargo test --locked --profile simulation --features planted)
"${optimized[@]}" --lib -- --test-threads=2 panic
"${optimized[@]}" --test simulation -- --test-threads=1
echo "test: all passed"
