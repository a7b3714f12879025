#!/usr/bin/env bash
# A service's whole life on target local: v1, v2 behind a canary under traffic, a bad v3 undone, rollback in every form, destroy.
. "$(dirname "$0")/../cli/lib.sh"
project breast-cancer "logistic regression" || exit 1
export MLCTL_TEST_SECRET_TOKEN=zq9-planted-secret-value
sed -i 's/port: 8080/port: 18080/; s/for: 10s/for: 3s/' mlctl.yaml
git commit -qam "other port"

exits "status before" 0 "$MLCTL" status
says "says what to do" "$out" 'mlctl deploy'
exits "predict before" 1 "$MLCTL" predict
exits "deploy v1" 0 "$MLCTL" deploy --json
address=$(json_field "$out" address)
v1=$(json_field "$out" serving)
exits "predict" 0 "$MLCTL" predict
says "an answer" "$out" '"predictions"'
exits "status" 0 "$MLCTL" status --exit-code
says "healthy" "$out" 'HEALTHY +r1'
generation=$(cksum < "$XDG_STATE_HOME/mlctl/breast-cancer/local/head")
exits "deploy again" 0 "$MLCTL" deploy
says "unchanged" "$out" 'unchanged.*Nothing to do'
equals "an unchanged deploy writes nothing" "$(cksum < "$XDG_STATE_HOME/mlctl/breast-cancer/local/head")" "$generation"
echo "a word" >> README.md; git commit -qam "docs"
exits "a commit that touches the README is no new deploy" 0 "$MLCTL" deploy --json
equals "unchanged too" "$(json_field "$out" outcome)" unchanged

curl -s -m 5 "$address/metrics" >"$out"
says "its metrics say whose they are" "$out" '^mlctl_ready\{mlctl_service="breast-cancer",mlctl_env="local",revision="v-[0-9a-f]{12}",release="r1"\} 1$'
equals "and when the model was made, by the commit that made it" "$(sed -nE 's/^mlctl_model_created_timestamp_seconds\{.*\} //p' "$out")" "$(git log -1 --format=%at -- model.onnx)"

# Somebody uses it: every answer's status is counted.
while IFS= read -r line; do
	printf 'url = "%s/predict"\nheader = "Content-Type: application/json"\ndata-raw = "%s"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nnext\n' "$address" "$(printf '%s' "$line" | sed 's/"/\\"/g')"
done < traffic.jsonl > "$home/traffic.curl"
traffic() { while [ ! -e "$home/stop" ]; do curl -s -K "$home/traffic.curl" >> "$home/codes" 2>/dev/null; sleep 0.2; done; }
start_traffic() { rm -f "$home/stop" "$home/codes"; : > "$home/codes"; traffic & children="$children $!"; }
stop_traffic() { touch "$home/stop"; wait ${children##* }; }

start_traffic
cp versions/v2/* . ; git commit -qam "gradient boosting"
exits "deploy v2 behind a canary" 0 "$MLCTL" deploy --json --events json
equals "release 2" "$(json_field "$out" release)" 2
says "baked" "$err" '"event":"gate"'
v2=$(json_field "$out" serving)
stop_traffic
n=$(wc -l < "$home/codes") wrong=$(grep -vc '^200$' "$home/codes")
[ "$n" -gt 100 ] && [ "$wrong" = 0 ] && pass "no failed request of $n during the good change" || flunk "no failed request: $wrong of $n"

start_traffic
cp versions/v3-bad/* . ; git commit -qam "no imputer"
exits "deploy a bad v3: rolled back" 9 "$MLCTL" deploy --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
stop_traffic
n=$(wc -l < "$home/codes") wrong=$(grep -vc '^200$' "$home/codes")
[ "$wrong" -gt 0 ] && [ $((wrong * 10)) -lt "$n" ] && pass "at most its share saw it: $wrong of $n failed" || flunk "at most its share saw it: $wrong of $n"
exits "evidence" 0 "$MLCTL" history r3 --evidence
says "names the cause" "$out" 'NaN|nan'
exits "the bad image again" 12 "$MLCTL" deploy
grep -qE 'allow-refused' "$out" "$err" && pass "tells --allow-refused" || flunk "tells --allow-refused" "$out" "$err"
exits "history" 0 "$MLCTL" history
says "r3 was undone" "$out" '^r3 .*(rolled-back|failed)'
exits "logs" 0 "$MLCTL" logs
says "a JSON line of a replica" "$out" '^v-[0-9a-f]+-[0-9]+: \{'
exits "freeze" 0 "$MLCTL" freeze --reason "audit"
git revert --no-edit HEAD >/dev/null 2>&1; cp "$ROOT"/examples/breast-cancer/versions/v2/* . ; sed -i 's/min: 2/min: 1/' mlctl.yaml
exits "a frozen environment refuses" 12 "$MLCTL" deploy
exits "unfreeze" 0 "$MLCTL" unfreeze
exits "fewer replicas" 0 "$MLCTL" deploy
sed -i 's/min: 1/min: 2/' mlctl.yaml

mkdir "$home/empty" && cd "$home/empty" || exit 1
mv "$XDG_DATA_HOME/mlctl/registry" "$home/registry.away"
exits "rollback from an empty folder, the registry gone" 0 "$MLCTL" rollback --service breast-cancer --json --reason "test"
equals "exit code in JSON" "$(json_field "$out" exit_code)" 0
rm -rf "$XDG_DATA_HOME/mlctl/registry" && mv "$home/registry.away" "$XDG_DATA_HOME/mlctl/registry"
exits "rollback to r1" 0 "$MLCTL" rollback --service breast-cancer --to r1 --json
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
exits "rollback to what never was" 12 "$MLCTL" rollback --service breast-cancer --to r99

supervisor=$(sed -nE 's/.*started, pid ([0-9]+).*/\1/p' "$XDG_STATE_HOME/mlctl/breast-cancer/local/events.log" | tail -1)
kill -9 "$supervisor"
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; "$MLCTL" status --service breast-cancer --exit-code >"$out" 2>&1 && break; done
says "a killed replica comes back" "$out" 'HEALTHY'
exits "destroy without --yes and terminal" 2 "$MLCTL" destroy --service breast-cancer
exits "destroy" 0 "$MLCTL" destroy --service breast-cancer --yes
[ -e "$XDG_STATE_HOME/mlctl/breast-cancer/local/head" ] && flunk "nothing is left" || pass "nothing is left"
curl -s -m 2 "$address/v2/health/live" >/dev/null && flunk "the port is closed" || pass "the port is closed"
exits "status after" 0 "$MLCTL" status --service breast-cancer
if grep -rqs "$MLCTL_TEST_SECRET_TOKEN" "$home"; then flunk "a planted secret is nowhere: $(grep -rls "$MLCTL_TEST_SECRET_TOKEN" "$home" | head -3)"; else pass "a planted secret is nowhere"; fi
finish
