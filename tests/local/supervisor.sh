#!/usr/bin/env bash
# The supervisor: replicas that are killed, the supervisor that is killed, its upgrade under load, long paths, taken ports, broken images, a full disk.
. "$(dirname "$0")/lib.sh"
# A long path: a socket's name holds 108 bytes.
long=$home/$(printf 'a%.0s' $(seq 100))/$(printf 'b%.0s' $(seq 100))
export XDG_STATE_HOME=$long
service 1s 20
sed -i 's/weight: 10%/weight: 50%/' mlctl.yaml
perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1); bind($s, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die;
	listen($s, 1); sleep 600' "$port" &
children="$children $!"
for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.05; done
exits "deploy v1, its port is taken, its state is at a path of $(printf %s "$state" | wc -c) characters" 0 "$MLCTL" deploy --json --events json
address=$(json_field "$out" address) v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
says "says that the port is taken" "$err" "port $port is taken"
equals "and takes the next" "$address" "http://127.0.0.1:$((port + 1))"
exits "it answers" 0 "$MLCTL" predict

# A replica that is killed comes back, later each time.
well() { for _ in $(seq "${1:-50}"); do [ "$(status_of health)" = HEALTHY ] && return 0; sleep 0.1; done; return 1; }
one=$(serving | cut -d' ' -f1)
kill -9 "$one"
well && pass "a killed replica comes back" || flunk "a killed replica comes back" "$home/status" "$state/events.log"
says "and why it ended is written down" "$state/events.log" 'ended, killed by signal 9'
name=$(sed -nE "s/^[^ ]+ ([^ ]+): started, pid $one,.*/\1/p" "$state/events.log")
for _ in 1 2 3; do sleep 0.1; kill -9 "$(sed -nE "s/^[^ ]+ $name: started, pid ([0-9]+),.*/\1/p" "$state/events.log" | tail -1)"; well 80; done
start=$(date +%s%N)
kill -9 "$(sed -nE "s/^[^ ]+ $name: started, pid ([0-9]+),.*/\1/p" "$state/events.log" | tail -1)"
sleep 0.1; well 80
took=$((($(date +%s%N) - start) / 1000000))
[ $took -gt 2500 ] && [ $took -lt 8000 ] && pass "the fifth time after $took ms" || flunk "the fifth time after $took ms" "$state/events.log"
"$MLCTL" status >"$out"; says "status tells of it" "$out" "replica .* 5 restarts"

# Another binary takes over the supervisor: same pid, same replicas, nobody notices.
cp "$MLCTL" "$home/mlctl-next" && printf x >>"$home/mlctl-next"
supervisor=$(supervisor_pid) before=$(serving)
traffic_start "$address"
if has_wrk; then write_lua; load_start "${address##*:}"; fi
exits "a deploy with another mlctl" 0 "$home/mlctl-next" deploy --force --json
sleep 0.5
if has_wrk; then load_stop; no_failure "upgrade of the supervisor"; fi
traffic_stop
equals "no request failed meanwhile" "$failed" 0
says "it became the other" "$state/events.log" 'resumed with 2 replicas'
equals "with the same pid" "$(supervisor_pid)" "$supervisor"
equals "and the same replicas" "$(serving)" "$before"
equals "its program is the other" "$(readlink "/proc/$supervisor/exe")" "$state/supervisor-$(sha256sum "$home/mlctl-next" | cut -c1-12)"
kill -9 "${before##* }"
well 150 && pass "a replica that is killed comes back under the new one too" || flunk "a killed replica comes back under the new one" "$home/status"
exits "and back to the first mlctl" 0 "$MLCTL" deploy --force
case " $(serving) " in *" ${before%% *} "*) pass "the other replica never stopped" ;; *) flunk "the other replica never stopped" ;; esac

# The supervisor is killed: its replicas end, status says so, the next deploy brings all back; a connection that somebody keeps open delays it only.
exec 7<>"/dev/tcp/127.0.0.1/${address##*:}"
printf 'GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n' >&7
read -r -t 5 _ <&7
kill -9 "$(supervisor_pid)"
sleep 0.3
"$MLCTL" status >"$out" 2>&1
says "status without a supervisor" "$out" 'DOWN'
says "says what to do" "$out" 'fix: mlctl deploy'
exits "the next deploy brings it back" 0 "$MLCTL" deploy --json
exec 7<&-
equals "where it was" "$(status_of address)" "$address"
well && pass "healthy again" || flunk "healthy again" "$home/status"
exits "and it answers" 0 "$MLCTL" predict
kill -9 "$(supervisor_pid)"
exits "a second time too" 0 "$MLCTL" deploy --json
equals "at the same place" "$(status_of address)" "$address"

# A model file that was damaged after it was fetched.
version v2; exits "deploy v2" 0 "$MLCTL" deploy --json
v2=$(json_field "$out" serving)
version v1; exits "deploy v1 again" 0 "$MLCTL" deploy
model=$(find "$state/images/${v2#sha256:}/rootfs" -name '*.onnx')
chmod u+w "$model"; printf 'no model' | dd of="$model" conv=notrunc status=none
version v2
start=$(date +%s)
exits "deploy of an image whose model is damaged here: undone" 9 "$MLCTL" deploy --json
[ $(($(date +%s) - start)) -le 10 ] && pass "within $(($(date +%s) - start)) s" || flunk "within 10 s: $(($(date +%s) - start))"
says "says why" "$out" 'cannot recover: replica .*exit 4'
equals "v1 serves" "$(status_of image)" "$v1"
exits "the next one fetches it anew" 0 "$MLCTL" deploy --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
exits "destroy" 0 "$MLCTL" destroy --yes
equals "no process is left" "$(runners)" ""
rm -rf "$long"

# A full disk: the deploy fails and says so, the service and the way back stay.
mkdir "$home/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=64m,mode=700 none "$home/small" 2>/dev/null; then
	trap 'clean_up; umount "$home/small" 2>/dev/null; rm -rf "$home"' EXIT
	export XDG_STATE_HOME=$home/small
	state=$XDG_STATE_HOME/mlctl/breast-cancer/local
	version v1; exits "deploy v1 on a small disk" 0 "$MLCTL" deploy --json
	v1=$(json_field "$out" serving)
	version v2; exits "deploy v2" 0 "$MLCTL" deploy --json
	v2=$(json_field "$out" serving)
	traffic_start "$(json_field "$out" address)"
	fill() { dd if=/dev/zero of="$home/small/$1" bs=4k 2>/dev/null; }
	fill most; truncate -s -5M "$home/small/most" # less than the next image, more than a deploy needs beside it
	mkdir large && cp model.onnx large/ && head -c 8M /dev/urandom >large/table.bin
	sed -i 's|path: model.onnx|path: large|' mlctl.yaml
	exits "a deploy that does not fit: undone" 9 "$MLCTL" deploy --json
	says "says so, and where" "$out" "into $state: .*No space left on device"
	equals "v2 serves" "$(status_of image)" "$v2"
	fill rest
	exits "a deploy on a full disk" 1 "$MLCTL" deploy --json
	says "says so, and where" "$out" "no room for a deploy in $state"
	equals "v2 serves" "$(status_of image)" "$v2"
	equals "healthy" "$(status_of health)" HEALTHY
	fill last
	exits "rollback on the full disk" 0 "$MLCTL" rollback --json
	equals "v1 serves" "$(json_field "$out" serving)" "$v1"
	equals "healthy" "$(status_of health)" HEALTHY
	traffic_stop
	equals "no request failed meanwhile" "$failed" 0
	rm -f "$home"/small/{most,rest,last}
	exits "with room again a deploy works" 0 "$MLCTL" deploy
	[ -e "$state/reserve" ] && pass "and keeps room for the next time" || flunk "and keeps room for the next time"
	exits "destroy" 0 "$MLCTL" destroy --service breast-cancer --yes
	umount "$home/small"
else
	skip "a full disk" "needs root and mount"
fi
finish
