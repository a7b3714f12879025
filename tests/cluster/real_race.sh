#!/usr/bin/env bash
# Two operators at once, from two folders and two homes, as two users: deploys of two versions, a deploy and a rollback, two rollbacks. One writes at a
# time; whoever may not says so within 6 s and exits 7; no number is given twice; and at the end of each race what the last one said is true.
# 18 races in a normal run, THOROUGH=1 all 100.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "races on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 1s 5
sed -i 's/weight: 10%/weight: 50%/; s/^  min: 2.*/  min: 1/; s/^serve:/serve:\n  timeout: 1000ms/' mlctl.yaml; git commit -qam "one replica"

# Two users of this namespace, so that the audit log tells them apart; each with a folder and a home of its own.
for who in one two; do
	in_ns create serviceaccount "$who" >/dev/null && in_ns create rolebinding "$who" --clusterrole=cluster-admin "--serviceaccount=$namespace:$who" >/dev/null
	mkdir -p "$home/$who" && kubeconfig_of "$who" "$home/$who/kubeconfig" 2h && cp -r "$PWD" "$home/$who/project" || { flunk "two operators"; finish; }
done
(cd "$home/two/project" && cp versions/v2/* . && git commit -qam v2)
as() { # WHO COMMAND...
	local at=$home/$1; shift
	env HOME="$at" XDG_STATE_HOME="$at/state" XDG_DATA_HOME="$at/data" XDG_CACHE_HOME="$at/cache" XDG_CONFIG_HOME="$at/config" KUBECONFIG="$at/kubeconfig" \
		"$MLCTL" -C "$at/project" "$@"
}
for who in one two; do
	exits "operator $who: push" 0 as $who push
done
exits "deploy v1" 0 as one deploy --json
exits "deploy v2" 0 as two deploy --json

round=0 written=0 winners=0 locked=0 slowest=0 both=0 wrong=0
# begin WHO COMMAND...: in the background, everything in $home/r/
begin() {
	local who=$1; shift
	{
		as "$who" "$@" --json --events json >"$home/r/$who" 2>"$home/r/$who.err" </dev/null
		echo $? >"$home/r/$who.code"
		date +%s%N >"$home/r/$who.end"
	} &
	pids="$pids $!"
}
waited_ms() { # WHO: from the moment it said that it waits to its end
	local from to
	from=$(sed -nE 's/.*"event":"lock","text":"held by.*"elapsed_ms":([0-9]+).*/\1/p' "$home/r/$1.err" | head -1)
	to=$(json_field "$home/r/$1" elapsed_ms)
	[ -n "$from" ] && [ -n "$to" ] && echo $((to - from))
}
# Who wrote in the namespace, in order, one line for each uninterrupted run of one user's writes. The head is everybody's who asks for the lock, and
# requests to pods are no writes, but for those that set the share.
writers() {
	audit_since | jq -r --arg ns "$namespace" 'select(.objectRef.namespace == $ns and (.verb | IN("create", "update", "patch", "delete")) and
		(.requestURI | contains("dryRun=All") | not) and (.responseStatus.code // 200) < 400 and (.user.username | startswith("system:serviceaccount:" + $ns + ":")) and
		(.objectRef.name // "" | startswith("mlctl.breast-cancer") | not) and
		(.objectRef.subresource == "proxy" and .verb == "create" | not)) | "\(.requestReceivedTimestamp) \(.user.username)"' | sort | cut -d' ' -f2 | uniq
}
said() { sed -E 's/^/# /' "$home/r/$1" | grep -E 'outcome|exit_code|cause|release|message'; }
bad_round() { wrong=$((wrong + 1)); flunk "race $round ($1): $2"; for who in one two; do echo "# $who: exit $(cat "$home/r/$who.code")"; said $who; tail -4 "$home/r/$who.err" | cut -c1-250 | sed 's/^/# /'; done; }

fresh_settings() { for who in one two; do sed -i "s/^  timeout: .*/  timeout: $((1000 + 2 * round + ${1:-0}))ms/" "$home/$who/project/mlctl.yaml"; done; }
race() {
	local kind=$1 delay=$2 codes last other wait image release
	round=$((round + 1)) pids=
	# After so many rollbacks the first release may be what serves: nothing is before it.
	if [ "$kind" = rollback/rollback ] && [ "$(as one status --json | jq .previous)" = 0 ]; then
		fresh_settings 1
		as one deploy >/dev/null 2>&1
	fi
	rm -rf "$home/r"; mkdir "$home/r"
	fresh_settings # that no release had yet: each deploy is a change
	! has_audit || audit_mark
	case $kind in
	deploy/deploy) begin one deploy; sleep "$delay"; begin two deploy ;;
	deploy/rollback) begin one deploy; sleep "$delay"; begin two rollback ;;
	rollback/rollback) begin one rollback; sleep "$delay"; begin two rollback ;;
	esac
	# shellcheck disable=SC2086
	wait $pids
	codes="$(cat "$home/r/one.code") $(cat "$home/r/two.code")"
	case $codes in
	"0 7" | "7 0") winners=$((winners + 1)) locked=$((locked + 1)) ;;
	"0 0") winners=$((winners + 1)) both=$((both + 1)) ;;
	"0 12" | "12 0") # two rollbacks one after the other, and the first went back to the first release of all
		if [ "$kind" = rollback/rollback ] && grep -q 'nothing to go back to' "$home"/r/one "$home"/r/two; then winners=$((winners + 1)) both=$((both + 1))
		else bad_round "$kind after $delay s" "exit codes $codes"; return; fi
		[ "$codes" = "0 12" ] && date +%s%N -d '+1 day' >"$home/r/one.end" || date +%s%N -d '+1 day' >"$home/r/two.end" ;; # who was refused says nothing of what serves
	*) bad_round "$kind after $delay s" "exit codes $codes"; return ;;
	esac
	last=one; [ "$(cat "$home/r/two.end")" -gt "$(cat "$home/r/one.end")" ] && last=two
	for who in one two; do
		[ "$(cat "$home/r/$who.code")" = 7 ] || continue
		other=two; [ $who = two ] && other=one
		last=$other
		wait=$(waited_ms $who)
		[ "${wait:-0}" -gt $slowest ] && slowest=$wait
		[ "${wait:-0}" -lt 6000 ] || { bad_round "$kind" "$who waited $wait ms"; return; }
		grep -qE 'locked by|lock was taken' "$home/r/$who" || { bad_round "$kind" "$who does not say who has the lock"; return; }
	done
	image=$(json_field "$home/r/$last" serving) release=$(json_field "$home/r/$last" release)
	"$MLCTL" -C "$home/one/project" status --json >"$home/status" 2>&1
	if [ "$(json_field "$home/status" image)" != "$image" ] || [ "$(json_field "$home/status" release)" != "$release" ] || [ "$(json_field "$home/status" health)" != HEALTHY ] ||
		[ "$(json_field "$home/status" candidate)" != 0 ] || [ "$(json_field "$home/status" lock_holder)" != null ] || [ "$(json_field "$home/status" ready)" != 1 ] ||
		[ "$(in_ns get deployments,services -o name | grep -c canary)" != 0 ]; then
		bad_round "$kind" "what $last said is not true"; sed 's/^/# /' "$home/status"; return
	fi
	if has_audit; then
		writers >"$home/writers"
		written=$((written + $(wc -l <"$home/writers")))
		[ "$(wc -l <"$home/writers")" -le 2 ] || { bad_round "$kind" "two write at once"; sed 's/^/# /' "$home/writers"; return; }
	fi
	grep -hoE '"event":"commit","text":"r[0-9]+' "$home"/r/*.err >>"$home/commits"
}
: >"$home/commits"
RANDOM=${SEED:-4}
races=18
[ "${THOROUGH:-0}" = 1 ] && races=100
began=$SECONDS
while [ $round -lt $races ]; do
	for kind in deploy/deploy deploy/rollback rollback/rollback; do
		[ $round -lt $races ] || break
		# Together, or the second one in the middle of the first.
		race $kind "$((RANDOM % 2 * RANDOM % 5)).$((RANDOM % 10))"
	done
	[ "${THOROUGH:-0}" = 1 ] || [ $((SECONDS - began)) -lt 210 ] || break
done
equals "$round races in $((SECONDS - began)) s: $locked times one was locked out, $both times one came after the other" $winners $round
[ $wrong = 0 ] && pass "in each the last one said what is true"
if has_audit; then
	# The check can fail only where both are seen to write.
	if [ $wrong = 0 ] && [ $written -gt $round ]; then pass "never did two write at once, by the audit log: $written turns of writing"; else flunk "two wrote at once, or hardly any writes were seen: $written turns"; fi
else skip "never did two write at once" "no audit log"; fi
[ $locked -ge $((round / 5)) ] && [ $slowest -gt 0 ] && pass "whoever was locked out said so and left, after $slowest ms at most" || flunk "somebody was locked out in $locked of $round"
equals "no release number was given twice" "$(sort "$home/commits" | uniq -d)" ""
[ "$(wc -l <"$home/commits")" -ge $((round / 2)) ] && pass "$(wc -l <"$home/commits") releases became good" || flunk "$(wc -l <"$home/commits") releases became good in $round races"
finish
