#!/usr/bin/env bash
# An autoscaler that really scales: pods go up under load, a deploy in the middle keeps its number, and who decides about replicas changes hands and back.
. "$(dirname "$0")/lib.sh"
is_real_node || { skip "an autoscaler under load" "it needs a node whose pods have metrics, and which this machine reaches"; finish; }
has_wrk || { skip "an autoscaler under load" "wrk is not here: apt-get install wrk"; finish; }
cluster_service 1s 10
sed -i 's/^scale:.*/scale: {min: 2, max: 4, cpu: 50%}/; /^  min: /d; /^environments:/i resources: {cpu: 100m, memory: 128Mi}' mlctl.yaml
git commit -qam "scaled by load"
write_lua
replicas() { in_ns get deployment breast-cancer -o 'jsonpath={.spec.replicas}'; }
has_replicas() { [ "$(replicas)" "$1" "$2" ]; }
scaler() { in_ns get hpa -o name | xargs; }
scale() { sed -i "s/^scale:.*/scale: $1/" mlctl.yaml; }

exits "a first deploy" 0 "$MLCTL" deploy --json
equals "has an autoscaler" "$(scaler)" horizontalpodautoscaler.autoscaling/breast-cancer
first=$(in_ns get replicasets -o json | jq '[.items[].metadata.annotations["deployment.kubernetes.io/desired-replicas"] | tonumber] | max')
equals "and begins with min" "$first $(replicas)" "2 2"
equals "nobody but one apply has written that number" "$(in_ns get deployment breast-cancer -o json --show-managed-fields | jq -r '[.metadata.managedFields[] | select(.fieldsV1["f:spec"]["f:replicas"]) | .manager + "/" + .operation] | join(" ")')" mlctl/Apply
scale '{min: 1, max: 4, cpu: 50%}'
exits "min goes down" 0 "$MLCTL" deploy --json
exits "and nothing is to be done then" 0 "$MLCTL" plan --exit-code
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }

# A hundred rows in each request: one row costs next to nothing.
jq -c --slurp '[range(0; 20) as $i | {rows: [range(0; 100) as $k | .[($i * 37 + $k) % length].rows[0]]}][]' traffic.jsonl >"$home/heavy"
cp "$home/heavy" traffic.jsonl
load_start "$address"
comes_true "under load the autoscaler goes up" 90 has_replicas -ge 3
up=$(replicas)
equals "it owns the number now" "$(in_ns get deployment breast-cancer -o json --show-managed-fields | jq -r '[.metadata.managedFields[] | select(.fieldsV1["f:spec"]["f:replicas"]) | .manager] | unique | join(" ")')" kube-controller-manager
kubectl -n "$namespace" get deployment breast-cancer -w -o 'jsonpath={.spec.replicas}{"\n"}' >"$home/watched" &
watcher=$!
children="$children $watcher"
version v2
exits "a deploy in the middle" 0 "$MLCTL" deploy --json
equals "keeps the autoscaler's number all the while" "$([ "$(sort -n "$home/watched" | head -1)" -ge "$up" ] && echo kept)" kept
kill $watcher
exits "status" 0 "$MLCTL" status
says "tells what decides about replicas" "$out" 'hpa 1..4 now [34]'
exits "status as JSON" 0 "$MLCTL" status --json
says "tells it too" "$out" '"scaling": "hpa 1..4 now [34]'
exits "rollback under load" 0 "$MLCTL" rollback --json
equals "keeps it too" "$([ "$(replicas)" -ge "$up" ] && echo kept)" kept

scale '{min: 3}'
exits "without max" 0 "$MLCTL" deploy --json
equals "the autoscaler is gone" "$(scaler)" ""
equals "and the number is the setting's" "$(replicas)" 3
kubectl -n "$namespace" get deployment breast-cancer -w -o 'jsonpath={.spec.replicas}{"\n"}' >"$home/watched" &
watcher=$!
children="$children $watcher"
scale '{min: 1, max: 4, cpu: 50%}'
exits "with max again" 0 "$MLCTL" deploy --json
equals "the autoscaler is there" "$(scaler)" horizontalpodautoscaler.autoscaling/breast-cancer
scaled=$(json_field "$out" release)
steers() { [ "$(in_ns get hpa -o "jsonpath={.items[0].status.conditions[?(@.type==\"ScalingActive\")].status}")" = True ]; }
comes_true "and steers" 60 steers
equals "never below what there was" "$(sort -n "$home/watched" | head -1)" 3
kill $watcher
exits "rollback to the fixed number" 0 "$MLCTL" rollback --json
equals "takes the autoscaler away" "$(scaler) $(replicas)" " 3"
exits "rollback to the autoscaler" 0 "$MLCTL" rollback --to "r$scaled" --json
equals "brings it back, and no pod goes" "$(scaler) $([ "$(replicas)" -ge 3 ] && echo kept)" "horizontalpodautoscaler.autoscaling/breast-cancer kept"
load_stop
no_failure "under load, through all of it"

# Somebody else's number is theirs.
scale '{min: 2}'
sed -i 's/^  canary:$/  canary: none/; /^    weight:/d; /^    for:/d; /^    minRequests:/d' mlctl.yaml
exits "fixed once more" 0 "$MLCTL" deploy --json
in_ns scale deployment breast-cancer --replicas=1 >/dev/null
scale '{min: 3}'
exits "a number that a person has set is no deploy's: it is refused" 12 "$MLCTL" deploy
says "tells whose it is" "$err" '\.spec\.replicas belongs to kubectl'
equals "and leaves it alone" "$(replicas)" 1
exits "unless it is told to take it" 0 "$MLCTL" deploy --force-conflicts --json
equals "which it does" "$(replicas)" 3
exits "destroy" 0 "$MLCTL" destroy --yes
equals "leaves no autoscaler" "$(scaler)" ""
finish
