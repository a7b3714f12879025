#!/usr/bin/env bash
# Pushes that are cut, killed, refused and answered late, in front of a real registry: each ends with the image whole, and at most what was in
# flight is sent again. What went over the wire is counted by the door that stands before the registry.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

files=4 bytes=$((16 << 20))
half=$((bytes / 2))

start_registry store && store=$REGISTRY store_pid=$REGISTRY_PID
big_project "$WORK/project" placeholder/x $files $bytes || { not_ok "a project"; finish; }
sed -i '/^image:/d' "$WORK/project/mlctl.yaml"

# through DOOR_NAME REPOSITORY [the door's options]: the project's image is now that repository behind a new door.
through() {
	local name=$1 repository=$2
	shift 2
	# Only the four large files count as uploads there, not the runner.
	start_door "$name" "$store" --upload-min $bytes "$@"
	sed -i '/^image:/d' "$WORK/project/mlctl.yaml"
	printf 'image: %s/%s\n' "$DOOR" "$repository" >>"$WORK/project/mlctl.yaml"
}
push() { mlctl_in "$WORK/project" push --json "$@"; }
# Body bytes of uploads that arrived, and of those among them that came to nothing.
sent() { door_says '[.[] | select(.path // "" | test("/blobs/uploads")) | .body] | add // 0'; }
wasted() { door_says '[.[] | select((.cut or .gone) and (.upload // false)) | .body] | add // 0'; }
whole() { # WHAT REPOSITORY
	if has crane; then check "$1: the image is whole" valid "$(pushed_ref "$WORK/push" "$store/$2")"
	else skip "$1: the image is whole" "crane is not built here"; fi
}
# pushes WHAT: the push just checked; its answer is kept for whole().
pushes() { check "$1" push && cp "$WORK/said" "$WORK/push"; }

through quiet faults/quiet
pushes "nothing goes wrong"
all=$(sent)
at_least "nothing goes wrong: every byte is sent" "$all" $((files * bytes))
whole "nothing goes wrong" faults/quiet
through quiet-again faults/quiet
pushes "pushed again"
same "pushed again: no layer is sent" "$(sent)" 0

through one faults/one --cut 2@$half
pushes "one of four uploads is reset half-way"
same "one of four: it was reset" "$(door_says 'map(select(.cut)) | length')" 1
at_most "one of four: only what was in flight is sent again" "$(sent)" $((all + $(wasted)))
whole "one of four" faults/one

through four faults/four --cut 1@$half --cut 2@$half --cut 3@$half --cut 4@$half
pushes "all four uploads are reset half-way"
same "all four: they were reset" "$(door_says 'map(select(.cut)) | length')" 4
at_most "all four: only what was in flight is sent again" "$(sent)" $((all + $(wasted)))
whole "all four" faults/four

# One upload is held until the others are through; then the program is killed.
through killed faults/killed --stall 2@$half
(cd "$WORK/project" && exec "$MLCTL" push --json) >"$WORK/said" 2>"$WORK/said.err" &
killed=$!
others_through() { [ "$(door_says 'map(select(.upload and (.status == 201 or .status == 202))) | length')" -ge $((files - 1)) ] && [ "$(door_says 'map(select(.stalled)) | length')" = 1 ]; }
if until_true 30 others_through; then
	kill -9 $killed
	wait $killed 2>/dev/null
	ok "kill -9 in mid-push"
	same "killed: no tag moved" "$(curl -s "http://$store/v2/faults/killed/tags/list" | jq -r '.tags // [] | length')" 0
	through killed-again faults/killed
	pushes "the second run"
	at_most "the second run sends only the layer that was in flight" "$(sent)" $((all - (files - 1) * bytes))
	whole "the second run" faults/killed
else
	kill -9 $killed 2>/dev/null
	wait $killed 2>/dev/null
	not_ok "kill -9 in mid-push" "the uploads did not come that far: $(tail -3 "$DOOR_LOG")"
fi

for signal in INT:130 TERM:143; do
	through "signal-${signal%:*}" "faults/signal-$(echo "${signal%:*}" | tr A-Z a-z)" --stall 2@$half
	# What a shell starts in the background is told to ignore SIGINT; env takes that back.
	(cd "$WORK/project" && exec env --default-signal=INT "$MLCTL" push --json) >"$WORK/said" 2>"$WORK/said.err" &
	running=$!
	if until_true 30 grep -q stalled "$DOOR_LOG"; then
		began=$SECONDS
		kill -"${signal%:*}" "$running" 2>/dev/null
		wait "$running"
		same "SIG${signal%:*} in mid-push: exit ${signal#*:}" "$?" "${signal#*:}"
		at_most "SIG${signal%:*} in mid-push: seconds until it ended" $((SECONDS - began)) 6
		same "SIG${signal%:*} in mid-push: the answer is an error document" "$(jq -r '.schema' "$WORK/said")" mlctl.error/1
	else
		kill "$running" 2>/dev/null
		not_ok "SIG${signal%:*} in mid-push" "no upload came: $(tail -3 "$WORK/said.err")"
	fi
done

through restarted faults/restarted --stall 2@$half
push >"$WORK/push" 2>"$WORK/push.err" &
running=$!
if until_true 30 grep -q stalled "$DOOR_LOG"; then
	end_one "$store_pid" -KILL
	start_registry store "port=${store##*:}" && store_pid=$REGISTRY_PID
	kill -USR1 "$DOOR_PID"
	if wait $running; then ok "the registry restarts in mid-push"; else not_ok "the registry restarts in mid-push" "exit $?: $(tail -5 "$WORK/push.err")"; fi
	whole "restarted" faults/restarted
else
	kill $running 2>/dev/null
	wait $running
	not_ok "the registry restarts in mid-push" "no upload came: $(tail -3 "$WORK/push.err")"
fi

mkdir -p "$HOME/.docker"
through token faults/token --bearer "$PEER_USER:$PEER_PASSWORD" --token-uses 4
docker_config "$HOME/.docker" "$DOOR"
pushes "tokens expire in mid-push"
at_least "tokens: they were renewed" "$(door_says 'map(select(.path // "" | startswith("/token")) | select(.status == 200)) | length')" 2
at_most "tokens: no layer is sent for nothing" "$(sent)" $((all + bytes))
whole "tokens" faults/token
rm -r "$HOME/.docker"

through busy faults/busy --answer POST:1=429 --answer PUT:2=503 --answer HEAD:1=500
pushes "429, 503 and 500 are waited out"
at_least "they were answered" "$(door_says 'map(select(.own)) | length')" 3
whole "busy" faults/busy

through lost faults/lost --lose blobs:1 --lose manifests:1
pushes "answers are lost"
same "lost answers: they were lost" "$(door_says 'map(select(.lost)) | length')" 2
same "lost answers: what arrived is not sent again" "$(sent)" "$all"
whole "lost answers" faults/lost

through twice faults/twice
push >"$WORK/push.1" 2>&1 &
first=$!
push >"$WORK/push" 2>"$WORK/push.err"
second=$?
wait $first
first=$?
same "two pushes at once: both succeed" "$first $second" "0 0" || sed 's/^/# /' "$WORK/push.1" "$WORK/push.err"
whole "two at once" faults/twice

through gone faults/gone
end_one "$DOOR_PID"
refuses "nobody answers: exit 6" 6 timeout 120 bash -c 'cd "$1" && exec "$2" push' - "$WORK/project" "$MLCTL"
same "nobody answers: the host is named" "$(head -1 "$WORK/said.err" | grep -c -F "$DOOR")" 1
finish
