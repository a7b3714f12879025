#!/usr/bin/env bash
# A service's whole life on a real Kubernetes: v1, an unchanged deploy, v2 behind a canary, a bad v3 undone, rollback hot and cold, destroy;
# somebody uses it all the while from a process of his own, and in no good change does a request fail.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "life on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 5s 50
write_lua

exits "status before" 0 "$MLCTL" status
says "says what to do" "$out" 'mlctl deploy'
exits "predict before" 1 "$MLCTL" predict
exits "doctor before" 0 "$MLCTL" doctor
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
exits "predict through the Service" 0 "$MLCTL" predict
says "an answer" "$out" '"predictions"'
exits "status" 0 "$MLCTL" status --exit-code
says "healthy" "$out" 'HEALTHY +r1'
equals "two pods, both of r1's revision" "$(in_ns get pods -l mlctl.dev/service=breast-cancer,mlctl.dev/role=stable -o name | wc -l)" 2
exits "the checklist" 0 "$MLCTL" status --checklist
silent "nothing on it is bad but what only a second release can mend" "$out" '^BAD  (image|limits|probes|security|deployment|service|network policy|health|metrics|logs)'
exits "what is rendered is what the cluster would take: no difference" 0 "$MLCTL" render --image "$repository@$v1"
if has_audit; then audit_mark; fi
exits "deploy again" 0 "$MLCTL" deploy
says "unchanged" "$out" 'unchanged.*Nothing to do'
if has_audit; then equals "an unchanged deploy writes nothing" "$(audit_writes | grep -v '^system:')" ""; else skip "an unchanged deploy writes nothing" "no audit log"; fi

address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
load() { # as load_start, at the Service
	wrk -t1 -c16 -d600s --timeout 10s -s "$home/traffic.lua" "http://$address" -- "$PWD/traffic.jsonl" >"$home/load" 2>&1 &
	load=$!
	children="$children $load"
}
load
version v2; git commit -qam "gradient boosting"
exits "deploy v2 behind a canary, in use" 0 "$MLCTL" deploy --json --events json
v2=$(json_field "$out" serving)
load_stop
says "it was judged" "$err" '"event":"gate"'
no_failure "v1 to v2"
equals "no canary is left" "$(in_ns get deployments,services -o name | grep -c canary)" 0
r2=$(in_ns get deployment breast-cancer -o 'jsonpath={.metadata.labels.mlctl\.dev/revision}')

load
version v3-bad; git commit -qam "no imputer"
exits "deploy a bad v3: rolled back" 9 "$MLCTL" deploy --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
load_stop
equals "NAME never left v2" "$(in_ns get deployment breast-cancer -o 'jsonpath={.metadata.labels.mlctl\.dev/revision}')" "$r2"
seen=$(number_in "$home/load" seen) good=$(number_in "$home/load" code200)
if [ $(((seen - good) * 10)) -lt "$seen" ]; then pass "at most its share saw it: $((seen - good)) of $seen failed"; else flunk "at most its share saw it: $((seen - good)) of $seen"; fi
exits "evidence" 0 "$MLCTL" history r3 --evidence
says "names the cause" "$out" 'not_finite|NaN|nan'
exits "the bad image again" 12 "$MLCTL" deploy
exits "history" 0 "$MLCTL" history
says "r3 was undone" "$out" '^r3 .*rolled-back'
exits "logs" 0 "$MLCTL" logs
says "a JSON line of a pod" "$out" '^breast-cancer-[0-9a-z-]+: \{'

load
exits "rollback in use" 0 "$MLCTL" rollback --json --reason "wrong threshold"
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
load_stop
no_failure "rollback"

# On another machine at night: nothing but a kubeconfig, and the registry is away for mlctl.
mkdir "$home/night" && cd "$home/night" || exit 1
exits "rollback --to r2 from an empty folder, the registry away" 0 env HOME="$home/night" XDG_DATA_HOME="$home/night/data" XDG_STATE_HOME="$home/night/state" \
	XDG_CACHE_HOME="$home/night/cache" http_proxy=http://127.0.0.1:9 no_proxy="$(kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}' | sed -E 's,https?://([^:/]+).*,\1,')" \
	"$MLCTL" rollback --service breast-cancer --env cluster --namespace "$namespace" --to r2 --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
exits "status from there" 0 "$MLCTL" status --service breast-cancer --env cluster --namespace "$namespace" --exit-code
cd "$home/breast-cancer" || exit 1

# Cold: what the cluster kept is gone, the record comes from the registry.
in_ns delete secrets -l mlctl.dev/part=keep >/dev/null
exits "rollback --to r1 from the registry alone" 0 "$MLCTL" rollback --to r1 --json
equals "v1 serves" "$(json_field "$out" serving)" "$v1"

exits "destroy" 0 "$MLCTL" destroy --yes
left() { in_ns get deployments,services,configmaps,secrets,serviceaccounts,hpa,pdb,networkpolicies,ingresses -l mlctl.dev/service -o name; }
equals "nothing is left" "$(left)" ""
exits "status after" 0 "$MLCTL" status
finish
