#!/usr/bin/env bash
# Many at once: deploys of two versions, deploys that wait for each other, rollbacks. One writes at a time, the others say so or wait; what is true at the
# end is what the last one said.
. "$(dirname "$0")/lib.sh"
service 1s 10
sed -i 's/weight: 10%/weight: 50%/' mlctl.yaml; git commit -qam "weight"
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
address=$(json_field "$out" address)
cp -r "$PWD" "$home/two"
(cd "$home/two" && cp versions/v2/* . && git commit -qam v2)
# Built and pushed beforehand: the race is about the service.
for folder in "$PWD" "$home/two"; do "$MLCTL" -C "$folder" push >/dev/null 2>&1; done
traffic_start "$address"

# together N COMMAND...: N at once, every second one of version 2; exit codes in $codes ("0 0 7 ..."), answers in $home/r/N
together() {
	local n=$1 pids=() i; shift
	rm -rf "$home/r"; mkdir "$home/r"
	for i in $(seq "$n"); do
		local folder=$PWD; [ $((i % 2)) = 0 ] && folder=$home/two
		"$MLCTL" -C "$folder" "$@" --json --events json >"$home/r/$i" 2>"$home/r/$i.err" </dev/null &
		pids+=($!)
	done
	codes=
	for i in "${pids[@]}"; do wait "$i"; codes="$codes$? "; done
}
how_many() { tr ' ' '\n' <<<"$codes" | grep -cx "$1"; }
# consistent NAME: healthy, no candidate, no lock, the live image is one of the two and 2 replicas serve it
consistent() {
	local live; live=$(status_of image)
	for _ in $(seq 60); do [ "$(serving | wc -w)" = 2 ] && break; sleep 0.05; done
	if [ "$(json_field "$home/status" health)" = HEALTHY ] && [ "$(json_field "$home/status" candidate)" = 0 ] && [ "$(json_field "$home/status" lock_holder)" = null ] &&
		[ "$(serving | wc -w)" = 2 ]; then pass "$1"; else flunk "$1: $live, $(serving | wc -w) processes" "$home/status"; fi
}
# Two that hold the lock at the same time would show as interleaved releases: every release number is given once.
numbers_are_unique() {
	local twice; twice=$(grep -hoE '"event":"commit","text":"r[0-9]+' "$home"/r/*.err | sort | uniq -d)
	[ -z "$twice" ] && pass "$1" || flunk "$1: $twice"
}

together 30 deploy
echo "# exit codes: $codes"
[ $(($(how_many 0) + $(how_many 7) + $(how_many 12))) = 30 ] && [ "$(how_many 0)" -ge 1 ] && pass "30 deploys of two versions at once: $(how_many 0) done, $(how_many 7) locked, $(how_many 12) refused" ||
	flunk "30 deploys at once: $codes" "$(ls "$home"/r/*.err | head -1)"
grep -L '"exit_code": 0\|"exit_code": 7\|"exit_code": 12\|"code": 7\|"code": 12' "$home"/r/* | grep -v err$ >"$home/odd"
[ -s "$home/odd" ] && flunk "every answer says its exit code" "$home/odd" || pass "every answer says its exit code"
consistent "then all is well"
numbers_are_unique "no release number was given twice"

together 12 deploy --lock-wait=5m
echo "# exit codes: $codes"
equals "12 that wait for each other all end well" "$(how_many 0)" 12
consistent "then all is well"
numbers_are_unique "no release number was given twice"

# A good one before the one that serves is needed to go back to.
"$MLCTL" deploy --lock-wait=1m >/dev/null 2>&1; "$MLCTL" -C "$home/two" deploy --lock-wait=1m >/dev/null 2>&1
together 2 rollback --to "r$(status_of previous)" --reason test
equals "two rollbacks to one release at once" "$codes" "0 0 "
equals "are one" "$(cat "$home"/r/*.err | grep -c '"event":"commit"')" 1
equals "back on v1" "$(status_of image)" "$v1"
consistent "then all is well"

# A rollback beats a deploy that bakes: it takes the lock, the deploy stops and says who did it.
sed -i 's/for: 1s/for: 20s/' "$home/two/mlctl.yaml"
: >"$home/deploy.err"
"$MLCTL" -C "$home/two" deploy --json --events json >"$home/deploy" 2>"$home/deploy.err" &
deploy=$!
for _ in $(seq 200); do grep -q '"event":"bake"' "$home/deploy.err" && break; sleep 0.05; done
exits "rollback while a deploy bakes" 0 "$MLCTL" rollback --json
wait $deploy
equals "the deploy ends with 7" $? 7
says "and names who has it" "$home/deploy" 'lock was taken'
equals "v1 still serves" "$(status_of image)" "$v1"
consistent "then all is well"

traffic_stop
[ "$asked" -gt 500 ] && [ "$failed" = 0 ] && pass "none of $asked requests meanwhile failed" || flunk "of $asked requests $failed failed" "$home/failed"
finish
