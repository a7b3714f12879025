#!/usr/bin/env bash
# Rolls that are turned round on a real Kubernetes: one that ends at wrong answers, one that a rollback meets half way, one that stops because its pods
# can't be had; and a first release that never is one. Whoever uses the service notices nothing of it.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "rolls on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 1s 5
sed -i '/canary:/,/minRequests/d; s/^rollout:/rollout:\n  canary: none/; s/min: 2 .*/min: 4/' mlctl.yaml
git commit -qam "all at once, four pods"
write_lua
ours() { in_ns get deployments,services,configmaps,secrets,hpa,pdb -l mlctl.dev/service -o name | grep -v 'mlctl\.breast-cancer'; }
images() { in_ns get pods -l mlctl.dev/service=breast-cancer,mlctl.dev/role=stable -o json | jq -r '[.items[] | select(.metadata.deletionTimestamp == null) | .spec.containers[0].image] | unique | join(" ")'; }
image_of_template() { in_ns get deployment breast-cancer -o 'jsonpath={.spec.template.spec.containers[0].image}'; }
wrong_answers() { sed -i -E 's/"label": ?0/"label": 7/; s/"label": ?1/"label": 7/' golden.jsonl; }

# Nothing to go back to: all of it goes again.
wrong_answers
exits "a first release with wrong answers" 8 "$MLCTL" deploy --no-test --json
equals "nothing is left of it but its record" "$(ours)" ""
git checkout -q golden.jsonl
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
wrk -t1 -c4 -d600s --timeout 10s -s "$home/traffic.lua" "http://$address" -- "$PWD/traffic.jsonl" >"$home/load" 2>&1 &
load=$! children="$children $load"

version v2
wrong_answers
exits "a whole roll that ends at wrong answers" 9 "$MLCTL" deploy --no-test --json --events json
says "after all of the traffic" "$err" '"event":"promote".*100 %'
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
equals "on every pod" "$(images)" "$repository@$v1"
exits "and its image is refused" 12 "$MLCTL" deploy --no-test
version v2

# A rollback does not wait for the end of a roll.
"$MLCTL" deploy --json >"$home/deployed" 2>"$err" </dev/null &
pid=$!
while [ "$(image_of_template)" = "$repository@$v1" ]; do kill -0 $pid 2>/dev/null || break; done
began=$SECONDS
exits "a rollback in the middle of a roll" 0 "$MLCTL" rollback --json
wait $pid
equals "the deploy has lost the lock" $? 7
equals "its outcome" "$(json_field "$home/deployed" outcome)" LOCKED
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
equals "on every pod" "$(images)" "$repository@$v1"
[ $((SECONDS - began)) -lt 60 ] && pass "at once: within $((SECONDS - began)) s" || flunk "at once: after $((SECONDS - began)) s"

# No pod more than there are: the roll can't even begin.
in_ns create quota pods --hard=pods=4 >/dev/null
comes_true "a quota" 20 in_ns wait quota/pods --for=jsonpath='{.status.used.pods}'=4 --timeout=1s
exits "a roll without room" 9 "$MLCTL" deploy --timeout 15s --json
says "says why" "$out" 'quota'
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
in_ns delete quota pods >/dev/null
exits "with room" 0 "$MLCTL" deploy --json
load_stop
no_failure "three rolls turned round, and one done"
exits "destroy" 0 "$MLCTL" destroy --yes
finish
