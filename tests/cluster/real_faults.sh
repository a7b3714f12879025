#!/usr/bin/env bash
# kill -9 of mlctl at every point that it tells of, and of the API server in every phase; then one more command. It always ends with the old or the new
# version on all pods, verified by asking them; the exit code says which, nobody unlocks anything, and whoever uses the service notices nothing.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "faults on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 1s 20
sed -i 's/weight: 10%/weight: 50%/' mlctl.yaml; git commit -qam "evidence comes sooner"
write_lua
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
version v2
exits "deploy v2" 0 "$MLCTL" deploy --json
v2=$(json_field "$out" serving)
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
wrk -t1 -c4 -d600s --timeout 10s -s "$home/traffic.lua" "http://$address" -- "$PWD/traffic.jsonl" >"$home/load" 2>&1 &
load=$! children="$children $load"

now=v2 kills=0 missed=0
other() { [ "$now" = v1 ] && echo v2 || echo v1; }
digest_of() { [ "$1" = v1 ] && echo "$v1" || echo "$v2"; }
# begun COMMAND...: runs it until the event that is named in $at shows; its pid in $pid. 1: it ended before.
begun() {
	: >"$err"
	"$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null &
	pid=$!
	while ! grep -q "\"event\":\"$at\"" "$err"; do kill -0 $pid 2>/dev/null || return 1; done
}
struck() {
	begun "$@"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ $? = 137 ]
}
# ended NAME CODE [WANTED]: what is true now agrees with what the last command said, and nothing is left of a canary.
ended() {
	local name=$1 code=$2 wanted=${3:-0} said
	said=$(json_field "$out" serving)
	tail -3 "$err" | cut -c1-300 >"$home/last"
	[ "$code" = "$wanted" ] || { flunk "$name: exit $code" "$out" "$home/last"; return; }
	"$MLCTL" status --json >"$home/status"
	local canaries; canaries=$(in_ns get deployments,services -o name | grep -c canary)
	if [ "$(json_field "$home/status" image)" = "$said" ] && [ "$(json_field "$home/status" health)" = HEALTHY ] && [ "$(json_field "$home/status" ready)" = 2 ] &&
		[ "$(json_field "$home/status" candidate)" = 0 ] && [ "$(json_field "$home/status" lock_holder)" = null ] && [ "$canaries" = 0 ]; then
		now=v1; [ "$said" = "$v2" ] && now=v2
		if [ "$said" = "$(digest_of $now)" ]; then good=$((good + 1)); else flunk "$name: serves something else: $said"; fi
	else flunk "$name: $canaries canaries, said $said" "$home/status" "$out"; fi
}
# What comes next after the deploy of $goal stopped; $before is what served.
follow() {
	local next=$1 code
	case $next in
	again) "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$? ;;
	old) version "$before"; "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$? ;;
	rollback) "$MLCTL" rollback --json --events json >"$out" 2>"$err"; code=$? ;;
	esac
	ended "deploy struck at $at, then $next" $code
	case $next in
	again) [ "$now" = "$goal" ] || flunk "struck at $at: the same deploy again brings it" "$home/last" ;;
	old) [ "$now" = "$before" ] || flunk "struck at $at: a deploy of the old version keeps it" "$home/last" ;;
	esac
}

good=0 tried=0
all="plan stage canary bake gate promote smoke commit"
pick() { if [ "${THOROUGH:-0}" = 1 ]; then echo "again old rollback"; else echo again old rollback | tr ' ' '\n' | sed -n "$((tried % 3 + 1))p"; fi; }
for at in $all; do
	for next in $(pick); do
		before=$now goal=$(other)
		version "$goal"
		if struck deploy; then kills=$((kills + 1)); else missed=$((missed + 1)); [ "$(json_field "$out" outcome)" = DONE ] && now=$goal; fi
		follow $next
		tried=$((tried + 1))
	done
done
equals "mlctl killed at every event, then any command: all is well" $good $tried

# Whoever holds the lock and is gone is superseded: by a renew counter that stands still for 15 s.
before=$now goal=$(other); version "$goal"; at=canary
if struck deploy; then
	began=$SECONDS
	"$MLCTL" deploy --json --events json --lock-wait=1m >"$out" 2>"$err"; code=$?
	waited=$(sed -nE 's/.*"event":"lock".*"elapsed_ms":([0-9]+).*/\1/p' "$err" | tail -1)
	good=0; ended "after a dead holder" $code
	first=$(grep -E '"event":"(plan|stage)"' "$err" | sed -nE 's/.*"elapsed_ms":([0-9]+).*/\1/p' | tail -1)
	[ "${first:-99999}" -lt 20000 ] && pass "a dead holder of the lock is superseded after ${first} ms (in all $((SECONDS - began)) s)" ||
		flunk "a dead holder is superseded within 20 s: first step after ${first:-?} ms, $waited" "$err"
else flunk "the deploy was to be killed at canary"; fi

if is_own_cluster; then
	# The API server is killed in every phase and comes back half a second later; the command that is under way survives it. Each time is the first for kube-proxy.
	good=0 tried=0 struck=0
	for at in $all; do
		before=$now goal=$(other)
		version "$goal"
		proxy_again || flunk "kube-proxy starts anew"
		if begun deploy; then kill -KILL "$(api_server_pid)" && struck=$((struck + 1)); fi
		wait $pid; code=$?
		tried=$((tried + 1))
		if [ "$code" = 0 ]; then ended "the API server killed at $at" 0
		else # it may have given up; then one more command
			tail -5 "$err" | cut -c1-600 | sed "s/^/# killed at $at, exit $code: /" # why, before it is written over
			"$MLCTL" deploy --json --events json >"$out" 2>"$err"; ended "the API server killed at $at (exit $code), then again" $?
		fi
	done
	equals "the API server killed in every phase ($struck times): all is well" $good $tried
	[ $struck -ge 6 ] && pass "it was really killed" || flunk "it was really killed: $struck of $tried times"
else
	skip "the API server killed in every phase" "not our own cluster"
fi

load_stop
no_failure "through all of that"
[ "$kills" -ge 7 ] && pass "$kills kills hit, $missed came too late" || flunk "$kills kills hit, $missed came too late"
finish
