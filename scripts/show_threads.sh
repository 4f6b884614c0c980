#!/usr/bin/env bash
# Which thread of a running engine stands where: core, cores allowed, policy, and how often it left its core by itself
# (voluntary) or was pushed off it (involuntary), in all and within the last interval.
#
#   scripts/show_threads.sh              the only bot4 that runs
#   scripts/show_threads.sh PID [SECONDS]
#
# A thread that spins on a core of its own shows no switch of either kind.
set -euo pipefail

pid=${1:-$(pgrep -x bot4 || true)} interval=${2:-1}
if [[ ! $pid =~ ^[0-9]+$ || ! -d /proc/$pid/task ]]; then
    echo "show_threads: give the process id of one engine: ${pid:-none runs}" >&2
    exit 1
fi

# thread id -> "voluntary involuntary"
switches() {
    local task
    for task in /proc/"$pid"/task/*; do
        awk -v id="${task##*/}" '/^voluntary/ {v = $2} /^nonvoluntary/ {n = $2} END {print id, v, n}' \
            "$task/status" 2>/dev/null || true
    done
}

declare -A before=()
while read -r id voluntary involuntary; do before[$id]="$voluntary $involuntary"; done < <(switches)
sleep "$interval"
printf '%-16s %8s %5s %-12s %-6s %10s %10s %12s %12s\n' thread id core allowed policy voluntary pushed-off \
    "vol/${interval}s" "pushed/${interval}s"
while read -r id voluntary involuntary; do
    task=/proc/$pid/task/$id
    name=$(<"$task/comm") allowed=$(awk '/^Cpus_allowed_list/ {print $2}' "$task/status")
    # After the name in parentheses: the 37th field is the core, the 39th the policy.
    read -r core policy < <(sed 's/.*) //' "$task/stat" | awk '{print $37, $39}')
    case $policy in 0) policy=other ;; 1) policy=fifo ;; 2) policy=rr ;; 3) policy=batch ;; 5) policy=idle ;; esac
    read -r was_voluntary was_involuntary <<<"${before[$id]:-$voluntary $involuntary}"
    printf '%-16s %8s %5s %-12s %-6s %10s %10s %12s %12s\n' "$name" "$id" "$core" "$allowed" "$policy" \
        "$voluntary" "$involuntary" $((voluntary - was_voluntary)) $((involuntary - was_involuntary))
done < <(switches) | sort -k1,1
