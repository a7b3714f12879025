#!/usr/bin/env bash
# SIGINT and SIGTERM in every phase of a deploy to a cluster: exit 130 or 143 within 6 s, the lock is free, the canary gets nothing more; the next deploy
# goes on, rollback undoes; whoever uses the service notices nothing. One signal a phase in a normal run, THOROUGH=1 both, each with both commands after it.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "signals on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 2s 20
sed -i 's/weight: 10%/weight: 50%/' mlctl.yaml; git commit -qam "weight"
write_lua
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
wrk -t1 -c4 -d900s --timeout 10s -s "$home/traffic.lua" "http://$address" -- "$PWD/traffic.jsonl" >"$home/load" 2>&1 &
load=$! children="$children $load"
now=v1 goal=v2
status_of() { "$MLCTL" status --json >"$home/status" 2>&1; json_field "$home/status" "$1"; }
# signalled SIGNAL EVENT COMMAND...: its exit code in $code, what it took to end in $took (ms)
signalled() {
	local signal=$1 at=$2 pid start; shift 2
	: >"$err"
	env --default-signal=INT,TERM "$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null &
	pid=$!
	case $at in
	[0-9]*) sleep "$at" ;;
	*) while ! grep -q "\"event\":\"$at\"" "$err" && kill -0 $pid 2>/dev/null; do sleep 0.01; done ;;
	esac
	start=$(date +%s%N)
	kill "-$signal" $pid 2>/dev/null
	wait $pid; code=$?
	took=$((($(date +%s%N) - start) / 1000000))
	tail -3 "$err" | cut -c1-300 >"$home/last"
}
# The share of whoever does not serve is 0, by what 30 requests are answered by: a field of the head proves nothing.
others_answer() {
	local stable
	stable=$(in_ns get deployment breast-cancer -o 'jsonpath={.metadata.labels.mlctl\.dev/revision}')
	head -1 traffic.jsonl >"$home/request"
	for _ in $(seq 30); do curl -s -o /dev/null -D - -H 'Content-Type: application/json' -d @"$home/request" "http://$address/predict"; done |
		tr -d '\r' | sed -nE 's/^[Mm]lctl-[Rr]evision: //p' | grep -vcx "$stable"
}
check() {
	local signal=$1 at=$2 next=$3 want=130 image
	[ "$signal" = TERM ] && want=143
	if [ $now = v1 ]; then goal=v2; else goal=v1; fi
	version $goal
	image=$(status_of image)
	signalled "$signal" "$at" deploy
	if [ $code = 0 ]; then # all was done when it came
		late=$((late + 1)); now=$goal
		return
	fi
	hit=$((hit + 1))
	[ $code = $want ] || flunk "$signal at $at: exit $code" "$out" "$home/last"
	[ $took -lt 6000 ] || flunk "$signal at $at: took $took ms" "$home/last"
	[ $took -gt $slowest ] && slowest=$took
	[ -s "$out" ] && { grep -q "\"exit_code\": $want\|\"code\": $want" "$out" || flunk "$signal at $at: its answer says otherwise" "$out"; }
	[ "$(status_of lock_holder)" = null ] || flunk "$signal at $at: the lock is held" "$home/status"
	case $at in stage | canary | bake) equals "$signal at $at: the canary gets nothing more" "$(others_answer)" 0 ;; esac
	if [ "$next" = deploy ]; then
		"$MLCTL" deploy --json --events json >"$out" 2>"$err" || flunk "deploy after $signal at $at: exit $?" "$out"
		[ "$(json_field "$out" serving)" = "$(status_of image)" ] || flunk "deploy after $signal at $at: another version serves" "$out" "$home/status"
		now=$goal
	elif [ "$(json_field "$home/status" candidate)" != 0 ]; then
		"$MLCTL" rollback --json --events json >"$out" 2>"$err" || flunk "rollback after $signal at $at: exit $?" "$out"
		[ "$(status_of image)" = "$image" ] || flunk "rollback after $signal at $at: another version serves" "$out"
	fi
	if [ "$(status_of health)" = HEALTHY ] && [ "$(json_field "$home/status" ready)" = 2 ] && [ "$(json_field "$home/status" candidate)" = 0 ] &&
		[ "$(in_ns get deployments,services -o name | grep -c canary)" = 0 ]; then good=$((good + 1))
	else flunk "$next after $signal at $at: not well" "$home/status" "$out"; fi
}
hit=0 late=0 good=0 slowest=0 turn=0
for at in 0.05 preflight plan stage canary bake gate promote smoke commit; do
	for signal in INT TERM; do
		for next in deploy rollback; do
			case "${THOROUGH:-0} $((turn % 4)) $signal $next" in 1* | "0 0 INT deploy" | "0 1 TERM rollback" | "0 2 TERM deploy" | "0 3 INT rollback") check $signal $at $next ;; esac
		done
	done
	turn=$((turn + 1))
done
equals "after every signal all is well" $good $hit
[ $hit -ge 7 ] && pass "$hit signals hit, $late came when all was done; the slowest end took $slowest ms" || flunk "$hit signals hit, $late came when all was done"

# The API server is away just then: it ends in time all the same, and the next command finds its way.
if is_own_cluster; then
	if [ $now = v1 ]; then goal=v2; else goal=v1; fi
	version $goal; at=bake
	: >"$err"
	env --default-signal=INT,TERM "$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null &
	pid=$!
	while ! grep -q '"event":"bake"' "$err" && kill -0 $pid 2>/dev/null; do sleep 0.01; done
	start=$(date +%s%N)
	kill -STOP "$(api_server_pid)"; stopped=$(api_server_pid)
	kill -INT $pid; wait $pid; code=$?
	took=$((($(date +%s%N) - start) / 1000000))
	kill -CONT "$stopped"
	equals "SIGINT while the API server hangs: exit 130" $code 130
	[ $took -lt 6500 ] && pass "within $took ms" || flunk "within 6 s: $took ms" "$out" "$err"
	exits "the next deploy takes the lock over and goes on" 0 "$MLCTL" deploy --json --events json
	now=$goal
	equals "healthy" "$(status_of health)" HEALTHY
fi

# Two: SIGINT, and SIGTERM while it parks, is one interruption; a second SIGINT ends it at once, and the next deploy goes on.
if [ $now = v1 ]; then version v2; else version v1; fi
env --default-signal=INT,TERM "$MLCTL" deploy --events json >"$out" 2>"$err" </dev/null &
pid=$!
while ! grep -q '"event":"bake"' "$err" && kill -0 $pid 2>/dev/null; do sleep 0.01; done
kill -INT $pid; kill -TERM $pid 2>/dev/null; kill -INT $pid 2>/dev/null
wait $pid; code=$?
equals "three signals in a row" $code 130
exits "the next deploy goes on" 0 "$MLCTL" deploy --json
equals "healthy" "$(status_of health)" HEALTHY
load_stop
no_failure "through all of that"
finish
