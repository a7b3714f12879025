#!/usr/bin/env bash
# SIGINT and SIGTERM in every phase: exit 130 or 143 within 6 s, the lock is free, the canary gets nothing more; the next deploy goes on, rollback undoes.
. "$(dirname "$0")/lib.sh"
service 2s 20
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
traffic_start "$(json_field "$out" address)"
now=v1 goal=v2
# signalled SIGNAL EVENT COMMAND...: its exit code in $code, what it took to end in $took (ms); 1: it ended by itself
signalled() {
	local signal=$1 at=$2; shift 2
	: >"$err"
	env --default-signal=INT,TERM "$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null &
	local pid=$! start
	case $at in
	[0-9]*) sleep "$(printf '0.%03d' "$at")" ;;
	*) while ! grep -q "\"event\":\"$at\"" "$err" && kill -0 $pid 2>/dev/null; do :; done ;;
	esac
	start=$(date +%s%N)
	kill "-$signal" $pid 2>/dev/null
	wait $pid; code=$?
	took=$((($(date +%s%N) - start) / 1000000))
	tail -3 "$err" | cut -c1-300 >"$home/last"
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
	[ $took -lt 6000 ] || flunk "$signal at $at: took $took ms"
	[ $took -gt $slowest ] && slowest=$took
	[ -s "$out" ] && { grep -q "\"exit_code\": $want\|\"code\": $want" "$out" || flunk "$signal at $at: its answer says otherwise" "$out"; }
	[ "$(status_of lock_holder)" = null ] || flunk "$signal at $at: the lock is held" "$home/status"
	case $(json_field "$home/status" weight) in 0 | 0.0 | 100 | 100.0) ;; *) flunk "$signal at $at: the canary keeps its share" "$home/status" ;; esac
	if [ "$next" = deploy ]; then
		"$MLCTL" deploy --json --events json >"$out" 2>"$err" || flunk "deploy after $signal at $at: exit $?" "$out"
		now=$goal
	elif [ "$(json_field "$home/status" candidate)" = 0 ]; then
		:
	else
		"$MLCTL" rollback --json >"$out" 2>"$err" || flunk "rollback after $signal at $at: exit $?" "$out"
		[ "$(json_field "$out" serving)" = "$image" ] || [ "$(status_of image)" = "$image" ] || flunk "rollback after $signal at $at: serves another" "$out"
	fi
	[ "$(status_of health)" = HEALTHY ] && [ "$(json_field "$home/status" ready)" = 2 ] && [ "$(json_field "$home/status" candidate)" = 0 ] && good=$((good + 1)) ||
		flunk "$next after $signal at $at: not well" "$home/status" "$out"
}
hit=0 late=0 good=0 slowest=0
for at in preflight plan stage canary bake gate promote smoke commit; do
	check INT $at deploy
	check TERM $at rollback
done
check INT 0 deploy
check TERM 010 rollback
check INT 030 rollback
equals "after every signal all is well" $good $hit
[ $hit -ge 12 ] && pass "$hit signals hit, $late came when all was done; the slowest end took $slowest ms" || flunk "$hit signals hit, $late came when all was done"

# Two: SIGINT, and SIGTERM while it parks, is one interruption; a second SIGINT ends it at once, and the next deploy goes on.
version v1; "$MLCTL" deploy >/dev/null 2>&1; version v2
env --default-signal=INT,TERM "$MLCTL" deploy --events json >"$out" 2>"$err" &
pid=$!
while ! grep -q '"event":"bake"' "$err" && kill -0 $pid 2>/dev/null; do :; done
kill -INT $pid; kill -TERM $pid 2>/dev/null; kill -INT $pid 2>/dev/null
wait $pid; code=$?
equals "three signals in a row" $code 130
exits "the next deploy goes on" 0 "$MLCTL" deploy --json
equals "healthy" "$(status_of health)" HEALTHY
traffic_stop
[ "$asked" -gt 500 ] && [ "$failed" = 0 ] && pass "none of $asked requests meanwhile failed" || flunk "of $asked requests $failed failed" "$home/failed"
finish
