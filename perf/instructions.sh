#!/usr/bin/env bash
# Instructions of each pure part of the path, counted by callgrind: a figure that does not swing with the machine's
# mood. Compared with the last recorded ones (perf/instructions.tsv). A report: it never fails because of a figure.
#
#   perf/instructions.sh              counts and compares
#   perf/instructions.sh --record     and keeps the figures as the ones to compare with
#   perf/instructions.sh --ci         of the simulation's build, with all its checks, which continuous integration has
#                                     anyway; its figures are compared with their own kind (perf/instructions-ci.tsv)
set -euo pipefail
cd "$(dirname "$0")"

record= ci=
for argument in "$@"; do
    case $argument in
        --record) record=1 ;;
        --ci) ci=1 ;;
        *) echo "instructions: $argument is no switch of it" >&2; exit 2 ;;
    esac
done
command -v valgrind >/dev/null || { echo "instructions: valgrind is missing: no report" >&2; exit 0; }
target=${CARGO_TARGET_DIR:-../target}
few=200 many=1200
if [[ -n $ci ]]; then
    (cd .. && cargo build --profile simulation --features planted --locked --quiet --example parts)
    parts=$target/simulation/examples/parts last=instructions-ci.tsv
else
    cargo build --release --locked --quiet --target-dir "$target/perf" --bin parts
    parts=$target/perf/release/parts last=instructions.tsv
fi

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
