#!/bin/sh
# Stands in for the engine in the demo's test: checks how it is called, logs, and ends on SIGINT.
[ "$1" = run ] && [ "$2" = --config ] && [ "$4" = --env-file ] || exit 2
[ "$6 $7 $8" = "--live --auto-resume --flatten-on-stop" ] || exit 2
grep -q '^env = "sim"' "$3" && grep -q '^rest_url = "https://localhost:' "$3" || exit 2
grep -q '^VEST_SIGNING_KEY=0x' "$5" || exit 2
[ "$(stat -c %a "$5")" = 600 ] || exit 2
if [ -n "$FAKE_REFUSAL" ]; then
    echo "$FAKE_REFUSAL" >&2
    exit 3
fi
finish() {
    echo '{"event_type":"SUMMARY","seconds":1,"updates":3,"pairs_opened":1,"pairs_closed":1,"pnl_usd":{"total":"'"${FAKE_TOTAL:-0}"'"}}'
    exit 0
}
trap finish INT
echo '{"event_type":"SPREAD_DETECTED","spread":0.33}'
echo '{"event_type":"ENTRY_EXECUTED"}'
while :; do sleep 0.05; done
