#!/usr/bin/env bash
# kill -9 of mlctl at every point that it tells of, and at random ones; then one more command. It always ends with the old or the new version on all
# replicas, the exit code says which, nobody unlocks anything, no process is left over, and whoever uses the service notices nothing.
. "$(dirname "$0")/lib.sh"
service 1s 20
sed -i 's/weight: 10%/weight: 50%/' mlctl.yaml # evidence comes sooner
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "# SEED=$seed"
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
address=$(json_field "$out" address)
version v2
exits "deploy v2" 0 "$MLCTL" deploy --json
v2=$(json_field "$out" serving)
traffic_start "$address"

now=v2 kills=0 missed=0
other() { [ "$now" = v1 ] && echo v2 || echo v1; }
digest_of() { [ "$1" = v1 ] && echo "$v1" || echo "$v2"; }
# struck COMMAND...: runs it until the event (or time, in ms) that is named in $at, and kills it there. 1: it had ended before.
struck() {
	: >"$err"
	"$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null &
	local pid=$! code
	case $at in
	[0-9]*) sleep "$(printf '0.%03d' "$at")" ;;
	*) while ! grep -q "\"event\":\"$at\"" "$err" && kill -0 $pid 2>/dev/null; do :; done ;;
	esac
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null; code=$?
	[ $code = 137 ]
}
# ended NAME CODE: what is true now agrees with what the last command said
ended() {
	local name=$1 code=$2 said
	said=$(json_field "$out" serving)
	tail -3 "$err" | cut -c1-300 >"$home/last"
	[ "$code" = 0 ] || { flunk "$name: exit $code" "$out" "$home/last"; return; }
	[ "$("$MLCTL" status --service breast-cancer --json >"$home/status"; json_field "$home/status" image)" = "$said" ] ||
		{ flunk "$name: serves another image than it says" "$home/status" "$out"; return; }
	for _ in $(seq 60); do [ "$(serving | wc -w)" = 2 ] && break; sleep 0.05; done
	if [ "$(json_field "$home/status" health)" = HEALTHY ] && [ "$(json_field "$home/status" ready)" = 2 ] && [ "$(json_field "$home/status" candidate)" = 0 ] &&
		[ "$(json_field "$home/status" lock_holder)" = null ] && [ "$(serving | wc -w)" = 2 ]; then
		now=v1; [ "$said" = "$v2" ] && now=v2
		if [ "$said" = "$(digest_of $now)" ]; then good=$((good + 1)); else flunk "$name: serves something else: $said"; fi
	else flunk "$name: $(serving | wc -w) processes" "$home/status" "$out"; fi
}
# One round: a deploy is struck at $at; then `next`.
round() {
	at=$1 next=$2
	local before=$now goal code
	goal=$(other)
	version "$goal"
	if struck deploy; then kills=$((kills + 1)); else missed=$((missed + 1)); [ "$(json_field "$out" outcome)" = DONE ] && now=$goal; fi
	case $next in
	again) "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$? ;;
	old) version "$before"; "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$? ;;
	rollback) "$MLCTL" rollback --service breast-cancer --json --events json >"$out" 2>"$err"; code=$? ;;
	esac
	ended "deploy struck at $at, then $next" $code
	case $next in
	again) [ "$now" = "$goal" ] || flunk "struck at $at: the same deploy again brings it" "$home/last" ;;
	old) [ "$now" = "$before" ] || flunk "struck at $at: a deploy of the old version keeps it" "$home/last" ;;
	esac
}

good=0
events="preflight plan stage canary bake gate promote smoke commit done"
for at in $events; do round "$at" again; round "$at" old; done
for at in $events; do round "$at" rollback; done
equals "at every event, then any command: all is well" $good 30
ms=0 random=${KILLS:-9} good=0
for i in $(seq "$random"); do
	ms=$((20 + RANDOM % 900))
	case $((i % 3)) in 0) round $ms rollback ;; 1) round $ms again ;; 2) round $ms old ;; esac
done
equals "at random times: all is well" $good "$random"

# A rollback that is struck; then a rollback to the same, or a deploy.
good=0 tried=0
for at in plan promote smoke commit 150; do
	for next in again old; do
		goal=$(other)
		version "$goal"; "$MLCTL" deploy >/dev/null 2>&1
		now=$goal
		before=$(other)
		if struck rollback --service breast-cancer; then kills=$((kills + 1)); else missed=$((missed + 1)); fi
		if [ $next = again ]; then "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$?
		else version "$before"; "$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$?; fi
		tried=$((tried + 1))
		ended "rollback struck at $at, then a deploy of $([ $next = again ] && echo "$goal" || echo "$before")" $code
	done
done
equals "a rollback that was struck: all is well" $good $tried

traffic_stop
# The first release of all is struck: what is there is its beginning, and the same command again finishes it.
good=0 tried=0
for at in preflight plan promote smoke commit $((20 + RANDOM % 40)) $((60 + RANDOM % 100)); do
	"$MLCTL" destroy --yes >/dev/null 2>&1
	now=v1; version v2
	if struck deploy; then kills=$((kills + 1)); else missed=$((missed + 1)); fi
	"$MLCTL" deploy --json --events json >"$out" 2>"$err"; code=$?
	tried=$((tried + 1))
	ended "the first deploy struck at $at, then again" $code
done
equals "the first release that was struck: all is well" $good $tried
for _ in $(seq 150); do [ "$(runners | wc -w)" = 2 ] && break; sleep 0.1; done
equals "what was drained is gone" "$(runners | wc -w)" 2
[ "$kills" -ge 30 ] && pass "$kills kills hit, $missed came too late" || flunk "$kills kills hit, $missed came too late"
[ "$asked" -gt 500 ] && [ "$failed" = 0 ] && pass "none of $asked requests meanwhile failed" || flunk "of $asked requests $failed failed" "$home/failed"
"$MLCTL" deploy --force >"$out" 2>&1 # the last of the killed is swept by whoever takes the lock next
equals "nothing of the killed is left" "$(find "$state" | grep -cE "/lease-|\.tmp\.")" 0
finish
