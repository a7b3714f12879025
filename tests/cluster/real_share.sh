#!/usr/bin/env bash
# The canary's share, exact with one pod, two and five, also while pods come and go, and gone when nobody refreshes it.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "the share of a canary" "simulated pods answer nothing"; finish; }
cluster_service 60s 100000
sed -i 's/min: 2 .*/min: 2/; s/errorRate: 5%/errorRate: 100%/' mlctl.yaml
write_lua

# canary_begin: a deploy of v2 whose canary bakes until it is stopped; returns once the share is set at every pod.
canary_begin() {
	version v2
	"$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null &
	deploy=$!
	children="$children $deploy"
	within 60 grep -q '"event":"bake"' "$err"
}
# asked NAME LOW HIGH: 5,000 requests; how many went to the other revision
asked() {
	wrk -t1 -c8 -d60s --timeout 10s -s "$home/traffic.lua" "http://$address" -- "$PWD/traffic.jsonl" 5000 >"$home/load" 2>&1
	local seen own share
	seen=$(number_in "$home/load" seen) own=$(number_in "$home/load" "$stable")
	share=$((seen - own))
	if [ "$seen" -ge 5000 ] && [ $share -ge "$2" ] && [ $share -le "$3" ]; then pass "$1: $share of $seen"; else
		grep '^result' "$home/load" >"$home/result"
		flunk "$1: $share of $seen" "$home/result"
	fi
}
for pods in 1 2 5; do
	version v1; sed -i "s/min: [0-9]*/min: $pods/" mlctl.yaml
	exits "v1 with $pods pods" 0 "$MLCTL" deploy --json
	address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
	stable=$(in_ns get deployment breast-cancer -o 'jsonpath={.metadata.labels.mlctl\.dev/revision}')
	canary_begin
	asked "10 % +- 1 % with $pods pods" 450 550
	if [ $pods = 5 ]; then
		# Two pods are deleted; their successors get the share at the next round.
		in_ns delete pods --wait=false $(pods_of mlctl.dev/role=stable | head -2) >/dev/null
		comes_true "five are ready again" 60 eval '[ "$(in_ns get deployment breast-cancer -o "jsonpath={.status.readyReplicas}")" = 5 ]'
		sleep 6
		asked "10 % +- 1 % after pods have come and gone" 450 550
	fi
	if [ $pods = 2 ]; then
		# Nobody drives it any more: the weight ends by itself.
		kill -9 $deploy; wait $deploy 2>/dev/null
		asked "a moment after its driver was killed it still holds" 450 550
		sleep 62
		asked "60 s without a driver: all on stable" 0 0
	else
		kill -INT $deploy
		wait $deploy; code=$?
		equals "interrupted: exit 130" $code 130
		asked "after an interrupt: all on stable" 0 0
	fi
	exits "rollback removes what is in flight" 0 "$MLCTL" rollback --json
	equals "no canary is left" "$(in_ns get deployments,services -o name | grep -c canary)" 0
	exits "destroy" 0 "$MLCTL" destroy --yes # the next begins anew: as a first release it needs no canary
done
finish
