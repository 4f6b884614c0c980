#!/usr/bin/env bash
# The long runs, each built in release, on loopback alone, ending by itself. What it prints is also written to
# perf/campaigns/<date>/<name>.txt, with options, commit and machine above it. Exits non-zero when anything is wrong.
#
#   scripts/campaign.sh kills       --count 1000     SIGKILL at the named points and at random, and home again
#   scripts/campaign.sh reconnects  --count 1000     sockets cut and venues away; the longest way back
#   scripts/campaign.sh postgres    --count 200      the database killed, hung, read-only, full, cut at COMMIT
#   scripts/campaign.sh flatten     --count 50       bot4 flatten while the engine is stopped
#   scripts/campaign.sh lone-legs   --count 200      entries for each order of legs and each rate of misses
#   scripts/campaign.sh soak        --seconds 3600   at --load 20 with faults and restarts of the database
#   scripts/campaign.sh fuzz        --count 6000000  damaged inputs for each decoder
#   scripts/campaign.sh signatures  --count 10000000 none of whose r stands for two digests
#   scripts/campaign.sh scanner     --count 10000000 depth messages, read by the scanner and by the library
#
#   scripts/campaign.sh simulation  --count 1000     seeds of the deterministic simulation, of --seconds 86400 each
#   scripts/campaign.sh crash-cycles --count 1000000 simulated deaths and recoveries
#   scripts/campaign.sh power-cuts  --count 1000     hours in which the power fails again and again
#   scripts/campaign.sh crash-points --count 50      scenarios, killed at every effect and again in the recovery
#   scripts/campaign.sh determinism --count 200      seeds twice, and once in the debug build
#   scripts/campaign.sh packets     --count 1000     hours in which single messages are lost: who is called, and for what
#   scripts/campaign.sh planted                      every deliberate mistake, and after how many seeds it is found
#
# --seed N: another run of the same kind (1). --workers N: so many at once (2): engines of kills and lone-legs, threads of
# the simulation, of fuzz, of signatures and of the scanner. A long campaign may be cut into pieces of another seed each;
# --tag TEXT then keeps their files apart. --minutes M: the simulation and the crash-cycles begin no seed after so long,
# and tell how far they came. What runs is what is committed; --dirty runs what is not, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
    exit 2
}

[[ $# -gt 0 ]] || usage
name=$1
shift
count= seconds= load=20 seed=1 workers=2 minutes=100000 tag= dirty=
while [[ $# -gt 0 ]]; do
    if [[ $1 == --dirty ]]; then
        dirty=yes
        shift
        continue
    fi
    [[ $# -gt 1 ]] || usage
    case $1 in
        --count) count=$2 ;;
        --seconds) seconds=$2 ;;
        --load) load=$2 ;;
        --seed) seed=$2 ;;
        --workers) workers=$2 ;;
        --minutes) minutes=$2 ;;
        --tag) tag=-$2 ;;
        *) usage ;;
    esac
    shift 2
done
case $name in
    kills | reconnects) : "${count:=1000}" ;;
    postgres | lone-legs) : "${count:=200}" ;;
    flatten) : "${count:=50}" ;;
    fuzz) : "${count:=6000000}" ;;
    signatures | scanner) : "${count:=10000000}" ;;
    soak) : "${seconds:=3600}" ;;
    simulation) : "${count:=1000}" "${seconds:=86400}" ;;
    crash-cycles) : "${count:=1000000}" ;;
    crash-points) : "${count:=50}" ;;
    determinism) : "${count:=200}" ;;
    planted | packets | power-cuts) : "${count:=1000}" ;;
    *) usage ;;
esac
export BOT4_SEED=$seed BOT4_WORKERS=$workers

# The records of other campaigns make no other program.
commit() {
    printf "%s" "$(git describe --always 2>/dev/null || echo unknown)"
    git diff --quiet HEAD -- ':!perf/campaigns' 2>/dev/null || echo -dirty
}

# One test of the release build, with all that it prints; it is built together with the production binary.
run_test() {
    cargo test --release --locked --quiet -p bot4 --test "$1" -- --exact "$2" --nocapture
}

# Unit tests of the release build by a part of their names.
run_units() {
    cargo test --release --locked --quiet -p bot4 --lib -- "$@" --nocapture --test-threads "$workers"
}

# The simulation, as the commit is; the first seed is that of the campaign times a million.
simulate() {
    BOT4_COMMIT=$(commit) cargo run --locked --quiet --profile "$1" --features planted --example campaign -- \
        "${@:2}" --first $(((seed - 1) * 1000000 + 1)) --jobs "$workers"
}

# Both builds must come to the same hashes; the debug build runs a tenth of the seeds.
determinism() {
    local hashes seeds differing
    hashes=$(mktemp -d)
    simulate simulation twice --count "$count" --seconds 1800 | tee "$hashes/simulation" || return
    simulate dev twice --count "$((count / 10))" --seconds 1800 >"$hashes/dev" || return
    seeds=$(grep -c '^seed' "$hashes/dev")
    differing=$(grep '^seed' "$hashes/dev" | grep -cvxFf "$hashes/simulation")
    rm -r "$hashes"
    echo "of the debug build, $seeds seeds; different: $differing"
    [[ $seeds -gt 0 && $differing == 0 ]]
}

campaign() {
    case $name in
        kills) BOT4_KILLS=$count run_test crashes killed_at_any_moment_it_comes_home ;;
        reconnects) BOT4_RECONNECTS=$count run_test reconnects every_lost_connection_comes_back ;;
        postgres)
            BOT4_DATABASE_FAULTS=$count run_test databases \
                the_database_equals_the_journal_after_every_fault
            ;;
        flatten) BOT4_FLATTENS=$count run_test flatten the_time_from_the_command_to_flat_is_told ;;
        lone-legs) BOT4_ENTRIES=$count run_test lone_legs missed_legs_are_mended_the_cheaper_way ;;
        soak)
            BOT4_SOAK_S=$seconds BOT4_SOAK_LOAD=$load run_test soak \
                nothing_is_lost_in_long_trading_through_faults
            ;;
        simulation) simulate simulation swarm --count "$count" --seconds "$seconds" --minutes "$minutes" ;;
        crash-cycles) simulate simulation storm --cycles "$count" --minutes "$minutes" ;;
        crash-points) simulate simulation points --scenarios "$count" ;;
        determinism) determinism ;;
        power-cuts) simulate simulation power --count "$count" ;;
        packets) simulate simulation packets --count "$count" ;;
        planted) simulate simulation planted --count "$count" ;;
        fuzz) BOT4_FUZZ_INPUTS=$count run_units panic ;;
        signatures) BOT4_SIGNATURES=$count run_units no_r_ever ;;
        scanner) BOT4_DEPTH_PUSHES=$count run_units vest::scan ;;
    esac
}

heading() {
    echo "campaign  $name ${count:+--count $count }${seconds:+--seconds $seconds }--seed $seed --workers $workers"
    [[ $name != soak ]] || echo "          --load $load"
    [[ $minutes == 100000 ]] || echo "          --minutes $minutes: the count is what was wished for, the last lines what was run"
    echo "date      $(date -u +%FT%TZ)"
    echo "commit    $(commit)"
    scripts/host_line.sh
    echo "load      $(cut -d ' ' -f 1-3 /proc/loadavg) before the start"
    echo
}

if [[ -z $dirty && $(commit) == *-dirty ]]; then
    echo "campaign: the tree is not what is committed: nobody could run this again (--dirty runs it all the same)" >&2
    exit 2
fi
file=perf/campaigns/$(date -u +%F)/$name$tag.txt
mkdir -p "$(dirname "$file")"
began=$SECONDS
verdict=0
{
    heading
    campaign 2>&1 || verdict=$?
    echo
    echo "took      $((SECONDS - began)) s"
    [[ $verdict == 0 ]] && echo "verdict   good" || echo "verdict   NOT GOOD"
    exit "$verdict"
} | tee "$file"
