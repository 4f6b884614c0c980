#!/usr/bin/env bash
# Instructions of each pure part of the path, counted by callgrind: a figure that does not swing with the machine's
# mood. Compared with the last recorded ones (perf/instructions.tsv). A report: it never fails because of a figure.
#
#   perf/instructions.sh              counts and compares
#   perf/instructions.sh --record     and keeps the figures as the ones to compare with
set -euo pipefail
cd "$(dirname "$0")"

record=
[[ ${1:-} == --record ]] && record=1
command -v valgrind >/dev/null || { echo "instructions: valgrind is missing: no report" >&2; exit 0; }
target=${CARGO_TARGET_DIR:-../target}
cargo build --release --locked --quiet --target-dir "$target/perf" --bin parts
parts=$target/perf/release/parts
few=200 many=1200 last=instructions.tsv

# Instructions of a whole run of this part, so often.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$parts" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

now=$(mktemp)
trap 'rm -f "$now"' EXIT
printf '%-24s %14s %14s %9s\n' part instructions 'recorded' change
for part in $("$parts"); do
    each=$((($(count "$part" $many) - $(count "$part" $few)) / (many - few)))
    printf '%s\t%s\n' "$part" "$each" >>"$now"
    before=$(awk -F '\t' -v part="$part" '$1 == part {print $2}' "$last" 2>/dev/null || true)
    if [[ -n $before ]]; then
        change=$(awk -v now="$each" -v then="$before" 'BEGIN {printf "%+.1f %%", 100 * (now - then) / then}')
    else
        change=new
    fi
    printf '%-24s %14s %14s %9s\n' "$part" "$each" "${before:--}" "$change"
done
[[ -z $record ]] || cp "$now" "$last"
