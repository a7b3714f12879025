#!/usr/bin/env bash
# Changes while somebody uses the service: v1 -> v2 -> a bad v3 -> rollback -> another scale, under wrk.
. "$(dirname "$0")/lib.sh"
has_wrk || { skip "changes under load" "wrk is not installed"; finish; }
write_lua
service 6s 50
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
served=$(sed -nE 's/.*127.0.0.1:([0-9]+).*/\1/p' "$out" | head -1)
equals "its port" "$served" "$port"

before=$(cat "$state/head" "$state/desired.json" | cksum; find "$state" -type f ! -path '*/log/*' | sort | cksum)
exits "the same again" 0 "$MLCTL" deploy --json
equals "is unchanged" "$(json_field "$out" outcome)" unchanged
equals "and writes nothing" "$(cat "$state/head" "$state/desired.json" | cksum; find "$state" -type f ! -path '*/log/*' | sort | cksum)" "$before"

# v2, and the share that its canary gets: a second wrk counts 5,000 answers while it bakes.
version v2; git commit -qam "v2"
load_start "$port"
"$MLCTL" deploy --json --events json >"$out" 2>"$err" &
deploy=$!
for _ in $(seq 200); do grep -q '"event":"bake"' "$err" && break; sleep 0.05; done
wrk -t1 -c8 -d5s -s "$home/traffic.lua" "http://127.0.0.1:$port" -- "$PWD/traffic.jsonl" 5000 >"$home/share" 2>&1
wait $deploy; code=$?
load_stop
equals "deploy v2 under load" "$code" 0
v2=$(json_field "$out" serving)
[ "$v2" != "$v1" ] && pass "another image" || flunk "another image" "$out"
no_failure "v1 -> v2"
canary=$(sed -nE 's/.*"text":"canary of r2 \((v-[0-9a-f]+)\).*/\1/p' "$err" | head -1)
seen=$(number_in "$home/share" seen) handed=$(number_in "$home/share" "$canary")
[ "$seen" -ge 5000 ] && [ $((handed * 100)) -ge $((seen * 9)) ] && [ $((handed * 100)) -le $((seen * 11)) ] && pass "the canary's share: $handed of $seen" ||
	flunk "the canary's share: $handed of $seen" "$home/share" "$err"

# The bad one: undone, and only its share saw it.
version v3-bad; git commit -qam "v3"
load_start "$port"
exits "deploy a bad v3 under load" 9 "$MLCTL" deploy --json --events json
load_stop
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
worse=$(sed -nE 's/.*"text":"canary of r3 \((v-[0-9a-f]+)\).*/\1/p' "$err" | head -1)
seen=$(number_in "$home/load" seen) handed=$(number_in "$home/load" "$worse") good=$(number_in "$home/load" code200)
[ "$handed" -gt 0 ] && [ $((handed * 10)) -le $((seen + 10)) ] && [ "$(number_in "$home/load" socket)" = 0 ] && [ $((seen - good)) -le "$handed" ] &&
	pass "v3 saw $handed of $seen requests, $((seen - good)) failed, no connection broke" || flunk "v3 saw $handed of $seen requests, $((seen - good)) failed" "$home/load"
equals "status says v2" "$(status_of image)" "$v2"
equals "healthy" "$(status_of health)" HEALTHY

load_start "$port"
exits "rollback under load" 0 "$MLCTL" rollback --json --reason "test"
load_stop
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
no_failure "rollback"

version v1; sed -i 's/min: 2/min: 4/' mlctl.yaml
load_start "$port"
exits "two replicas more under load" 0 "$MLCTL" deploy --json
load_stop
equals "four are there" "$(status_of ready)" 4
no_failure "more replicas"
sed -i 's/min: 4/min: 1/' mlctl.yaml
load_start "$port"
exits "three fewer under load" 0 "$MLCTL" deploy --json
load_stop
equals "one is there" "$(status_of ready)" 1
no_failure "fewer replicas"
equals "and no other process" "$(runners | wc -w)" 1
finish
