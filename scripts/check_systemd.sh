#!/usr/bin/env bash
# Checks the units of systemd/ without a running systemd: every line is understood, and the exposure score of each
# service is at most 2.0. `systemd-analyze verify` exits 0 on a misspelt key, so any word on its stderr is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v systemd-analyze >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd >/dev/null
    else
        echo "check_systemd: systemd-analyze is missing: install the package systemd" >&2
        exit 1
    fi
fi

units=$(mktemp -d)
trap 'rm -rf "$units"' EXIT

# The binary is not installed where this runs; every line but its path is checked as it stands.
for unit in systemd/*.service; do
    sed -E "s#^(Exec(Start|Stop)=)/usr/local/s?bin/[^ ]+#\1$(command -v true)#" "$unit" >"$units/$(basename "$unit")"
done

failed=0
for unit in "$units"/*.service; do
    name=$(basename "$unit")
    complaints=$(systemd-analyze verify --man=no "$unit" 2>&1 >/dev/null || true)
    if [[ -n $complaints ]]; then
        printf 'check_systemd: %s:\n%s\n' "$name" "$complaints" >&2
        failed=1
    fi
    # The threshold is in tenths.
    if ! report=$(systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" 2>&1); then
        printf 'check_systemd: %s is more exposed than 2.0:\n%s\n' "$name" "$report" >&2
        failed=1
    else
        printf 'check_systemd: %s: %s\n' "$name" "$(tail -n 1 <<<"$report")"
    fi
done
exit "$failed"
