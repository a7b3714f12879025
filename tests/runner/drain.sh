#!/usr/bin/env bash
# Hand-over between processes on one listening socket, and the drain of a single one: no request fails.
# The socket is made by perl, which then becomes this script: descriptor 9 is the listener, and its port is in FRONT.
if [ -z "${FRONT:-}" ]; then
	exec perl -MSocket -MPOSIX=dup2 -e '$^F = 255; socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
		bind($s, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($s, 1024); ($ENV{FRONT}) = sockaddr_in(getsockname($s)); dup2(fileno($s), 9); exec @ARGV' bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

front() { # front NAME BINARY: one more process on the shared socket
	"$2" serve --model "$MODEL" --listen-fd 9 --threads 2 --revision "$1" >"$WORK/$1.log" 2>"$WORK/$1.err" &
	local pid=$!
	started+=("$pid")
	printf -v "PID_$1" %s "$pid"
	until_true 20 grep -qs '"event":"ready"' "$WORK/$1.log" || { not_ok "$1 starts" "$(cat "$WORK/$1.log" "$WORK/$1.err")"; finish; }
}
of() { sed -n "s/^$1: //p" <<<"$RESULT"; }

front g0 "$RUNNER"
"$ROOT/tests/runner/load.pl" "$FRONT" 16 6 "$TRAFFIC" >"$WORK/load" &
LOAD=$!
codes=
for i in 1 2 3 4 5; do
	[ $((i % 2)) = 1 ] && binary=$RUNNER_SAN || binary=$RUNNER
	front "g$i" "$binary"
	sleep 0.2
	old=PID_g$((i - 1))
	stop "${!old}"
	codes="$codes$STOPPED "
done
same "every drained process ended with 0" "$codes" "0 0 0 0 0 "
wait "$LOAD"
RESULT=$(cat "$WORK/load")
same "five hand-overs under load: no request failed" "$(grep failed <<<"$RESULT")" ""
same "every answer was 200" "$(grep '^status' <<<"$RESULT" | grep -vc 'status 200:')" 0
same "all six generations served" "$(grep -c '^revision g' <<<"$RESULT")" 6
echo "# $(of 'status 200') requests over five hand-overs"
same "the sanitizers are silent" "$(cat "$WORK"/g*.err)" ""

# --- one process: readiness goes at once, kept-alive connections are answered with Connection: close, then it ends
start one "$RUNNER_SAN" --model "$MODEL" --threads 2 --drain 5s
exec 8<>"/dev/tcp/127.0.0.1/$PORT_one"
ask() { printf 'GET %s HTTP/1.1\r\nHost: a\r\n\r\n' "$1" >&8; IFS= read -r -t 5 -d '}' ANSWER <&8; }
ask /v2/health/ready
like "ready before" "$ANSWER" '^HTTP/1.1 200 '
kill -TERM "$PID_one"
until_true 5 grep -q '"event":"drain"' "$WORK/one.log"
ask /v2/health/ready
like "not ready behind SIGTERM, on the kept-alive connection" "$ANSWER" $'^HTTP/1.1 503 .*Connection: close\r'
exec 8>&-
wait "$PID_one"
same "ends with 0 as soon as the last connection is gone" $? 0
like "says so" "$(tail -1 "$WORK/one.log")" '"event":"exit"'

# --- an idle connection is closed at the end of the drain only
start idle "$RUNNER_SAN" --model "$MODEL" --threads 1 --drain 700ms
exec 8<>"/dev/tcp/127.0.0.1/$PORT_idle"
begin=$(date +%s%N)
kill -TERM "$PID_idle"
wait "$PID_idle"
same "an idle connection delays the end" "$? $((($(date +%s%N) - begin) / 1000000 >= 600))" "0 1"
exec 8>&-

# --- a second signal ends at once
start twice "$RUNNER_SAN" --model "$MODEL" --threads 1 --drain 30s
exec 8<>"/dev/tcp/127.0.0.1/$PORT_twice"
kill -TERM "$PID_twice"
until_true 5 grep -q '"event":"drain"' "$WORK/twice.log"
stop "$PID_twice"
same "a second SIGTERM ends the drain" "$STOPPED" 0
exec 8>&-
finish
