#!/usr/bin/env bash
# What a host for bot4 should look like, and what this one lacks. Without a switch it changes nothing.
#
#   scripts/host_tune.sh --cores 2-5            what it would change for these cores
#   scripts/host_tune.sh --cores 2-5 --apply    changes it until the next boot, and writes what takes it back
#   scripts/host_tune.sh --undo                 takes the last --apply back
#
# --nic NAME: the network card whose interrupts leave the cores (default: the one of the default route).
# --undo-file FILE: where the way back is kept (/var/lib/bot4/host_tune.undo).
# What only the kernel's command line can do is printed at the end; docs/host.md explains each line.
set -euo pipefail
shopt -s extglob nullglob

usage() {
    sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
    exit 2
}

cores= apply= undo= nic= undo_file=/var/lib/bot4/host_tune.undo
while [[ $# -gt 0 ]]; do
    case $1 in
        --apply) apply=1 ;;
        --undo) undo=1 ;;
        --cores | --nic | --undo-file)
            [[ $# -gt 1 ]] || usage
            case $1 in
                --cores) cores=$2 ;;
                --nic) nic=$2 ;;
                --undo-file) undo_file=$2 ;;
            esac
            shift
            ;;
        *) usage ;;
    esac
    shift
done

if [[ -n $undo ]]; then
    [[ -r $undo_file ]] || { echo "host_tune: nothing to undo at $undo_file" >&2; exit 1; }
    # Last change first. A file that has gone since (a card unplugged, an interrupt freed) is passed over.
    tac "$undo_file" | while IFS=$'\t' read -r file value; do
        if [[ -w $file ]] && printf '%s' "$value" >"$file" 2>/dev/null; then
            echo "back      $file = $value"
        else
            echo "left      $file (it cannot be written now)"
        fi
    done
    rm -f "$undo_file"
    exit 0
fi
[[ $cores =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] || usage

# "2-4,7" as one number a line.
each_core() {
    local part
    for part in ${1//,/ }; do
        seq "${part%-*}" "${part#*-}"
    done
}

# A bit mask of every core that is not ours, as /proc/irq and /sys want it: words of 32 bits, highest first.
mask_of_others() {
    local -A ours=()
    local core words=() word bit last
    while read -r core; do ours[$core]=1; done < <(each_core "$cores")
    last=$(($(nproc --all) - 1))
    for ((word = last / 32; word >= 0; word--)); do
        local value=0
        for ((bit = 0; bit < 32; bit++)); do
            core=$((word * 32 + bit))
            [[ $core -gt $last || -n ${ours[$core]:-} ]] || value=$((value | 1 << bit))
        done
        words+=("$(printf '%08x' "$value")")
    done
    (IFS=,; echo "${words[*]}")
}

others=$(mask_of_others)
[[ ${others//[0,]/} ]] || { echo "host_tune: --cores $cores leaves no core to the rest of the machine" >&2; exit 1; }
for core in $(each_core "$cores"); do
    [[ -d /sys/devices/system/cpu/cpu$core ]] || { echo "host_tune: there is no core $core" >&2; exit 1; }
done
if [[ -n $apply ]]; then
    mkdir -p "$(dirname "$undo_file")"
    touch "$undo_file"
fi

changed=0 kept=0 refused=0
# want FILE VALUE WHY: the value that this file should hold.
want() {
    local file=$1 value=$2 why=$3 now
    [[ -r $file ]] || return 0
    now=$(<"$file")
    # A list of choices shows the one in force in brackets.
    [[ $now != *\[*\]* ]] || now=$(sed 's/.*\[\(.*\)\].*/\1/' <<<"$now")
    # Masks come with and without leading zeros.
    if [[ ${now##*(0)} == "${value##*(0)}" ]]; then
        kept=$((kept + 1))
        return 0
    fi
    if [[ -z $apply ]]; then
        printf 'would set %s: %s -> %s  # %s\n' "$file" "$now" "$value" "$why"
        changed=$((changed + 1))
    elif printf '%s' "$value" >"$file" 2>/dev/null; then
        printf '%s\t%s\n' "$file" "$now" >>"$undo_file"
        printf 'set       %s: %s -> %s  # %s\n' "$file" "$now" "$value" "$why"
        changed=$((changed + 1))
    else
        printf 'refused   %s: stays %s  # %s\n' "$file" "$now" "$why"
        refused=$((refused + 1))
    fi
}

for core in $(each_core "$cores"); do
    cpu=/sys/devices/system/cpu/cpu$core
    want "$cpu/cpufreq/scaling_governor" performance "full clock at once"
    for state in "$cpu"/cpuidle/state[1-9]*; do
        want "$state/disable" 1 "no sleep from which core $core wakes late: $(cat "$state/name" 2>/dev/null || true)"
    done
done
want /sys/kernel/mm/transparent_hugepage/enabled madvise "huge pages only where they are asked for"
want /sys/kernel/mm/transparent_hugepage/defrag madvise "no thread stops to make one"
want /proc/sys/vm/stat_interval 120 "statistics of memory wake no core"
want /proc/sys/vm/swappiness 0 "what is not locked stays in memory too"
want /proc/sys/kernel/timer_migration 0 "timers stay off idle cores of ours"
want /proc/sys/kernel/numa_balancing 0 "no pages are moved under our feet"
want /proc/sys/net/ipv4/tcp_low_latency 1 "where the kernel still knows it"
want /proc/sys/net/core/busy_read 50 "a read polls the card for 50 us before it sleeps"
want /proc/sys/net/core/busy_poll 50 "the same for poll"
want /sys/bus/workqueue/devices/writeback/cpumask "$others" "writing back is done elsewhere"
want /proc/irq/default_smp_affinity "$others" "new interrupts go elsewhere"
for irq in /proc/irq/[0-9]*; do
    # Some belong to one core by nature (timers); the kernel refuses those, which is as it should be.
    [[ -s $irq/smp_affinity ]] && ls "$irq"/*/ >/dev/null 2>&1 && want "$irq/smp_affinity" "$others" \
        "interrupt $(ls "$irq" | grep -v -e affinity -e node -e spurious | head -n 1) elsewhere"
done
nic=${nic:-$(ip route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)}
if [[ -n $nic ]]; then
    for queue in /sys/class/net/"$nic"/queues/rx-*; do
        want "$queue/rps_cpus" "$others" "packets are handled elsewhere"
    done
    want "/sys/class/net/$nic/napi_defer_hard_irqs" 2 "the card is polled while a thread of ours does so"
    want "/sys/class/net/$nic/gro_flush_timeout" 20000 "and interrupts after 20 us if it does not"
fi

printf '%s %s, as wanted %s, refused %s\n' "$([[ -n $apply ]] && echo changed || echo 'would change')" \
    "$changed" "$kept" "$refused"
[[ -z $apply ]] || echo "take it back: $0 --undo --undo-file $undo_file"
wanted="isolcpus=managed_irq,domain,$cores nohz_full=$cores rcu_nocbs=$cores rcu_nocb_poll irqaffinity=$(
    comm -23 <(seq 0 $(($(nproc --all) - 1)) | sort) <(each_core "$cores" | sort) | sort -n | paste -sd, -
) processor.max_cstate=1 intel_idle.max_cstate=0 idle=poll skew_tick=1 nosoftlockup tsc=reliable mitigations=auto"
missing=()
for word in $wanted; do
    grep -qw -- "$word" /proc/cmdline || missing+=("$word")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "only at boot, missing on the kernel's command line:"
    printf '  %s\n' "${missing[*]}"
fi
