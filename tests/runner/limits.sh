#!/usr/bin/env bash
# Too much of everything: connections in all and of one client, requests that wait too long, bytes in flight. Health is answered through all of it.
. "$(dirname "$0")/lib.sh"

hold() { # hold PORT COUNT: opens connections that stay, and prints how many are still open half a second later
	perl -MSocket -e '
		my ($port, $count) = @ARGV; my @open;
		for (1 .. $count) { socket(my $s, PF_INET, SOCK_STREAM, 0) or die; connect($s, sockaddr_in($port, INADDR_LOOPBACK)) or next; push @open, $s }
		$| = 1; print "open\n"; sleep 20' "$@" >"$WORK/hold" &
	HOLD=$!
	started+=("$HOLD")
	until_true 10 grep -q open "$WORK/hold"
}

start all "$RUNNER_SAN" --model "$MODEL" --threads 2 --connections 8 --connections-per-client 8
hold "$PORT_all" 8
same "past the cap, a prediction is 503" "$(code -d @"$WORK/row.json" "http://127.0.0.1:$PORT_all/predict")" 503
like "  with Retry-After" "$(curl -si "http://127.0.0.1:$PORT_all/v2")" $'^HTTP/1.1 503 .*Retry-After: 1\r.*too many connections'
same "past the cap, health is answered" "$(code "http://127.0.0.1:$PORT_all/v2/health/ready")" 200
kill "$HOLD"
wait "$HOLD" 2>/dev/null
until_true 5 eval '[ "$(code -d @"$WORK/row.json" "http://127.0.0.1:$PORT_all/predict")" = 200 ]'
same "and all is well once they are gone" "$(code -d @"$WORK/row.json" "http://127.0.0.1:$PORT_all/predict")" 200
hold "$PORT_all" 200
same "past the reserve too it lives on" "$(kill -0 "$PID_all" && echo yes)" yes
kill "$HOLD"
wait "$HOLD" 2>/dev/null
until_true 5 eval '[ "$(code "http://127.0.0.1:$PORT_all/v2")" = 200 ]'
same "and answers again" "$(code "http://127.0.0.1:$PORT_all/v2")" 200
stop "$PID_all"
same "silent sanitizers" "$STOPPED $(cat "$WORK/all.err")" "0 "

start client "$RUNNER_SAN" --model "$MODEL" --threads 2 --connections 100 --connections-per-client 5
hold "$PORT_client" 5
until_true 5 eval '[ "$(code "http://127.0.0.1:$PORT_client/v2")" = 503 ]'
same "one client's share is used up" "$(code "http://127.0.0.1:$PORT_client/v2")" 503
same "another client is served" "$(code --interface 127.0.0.2 "http://127.0.0.1:$PORT_client/v2")" 200
kill "$HOLD"
wait "$HOLD" 2>/dev/null
until_true 5 eval '[ "$(code "http://127.0.0.1:$PORT_client/v2")" = 200 ]'
same "and served again itself" "$(code "http://127.0.0.1:$PORT_client/v2")" 200

# --- one thread, and much more work than it can do: large batches from many connections
row=$(sed 's/.*\[\[\(.*\)\]\].*/[\1]/' "$WORK/row.json")
{ printf '{"rows":['; for i in $(seq 1999); do printf '%s,' "$row"; done; printf '%s]}\n' "$row"; } >"$WORK/batch.json"
start busy "$RUNNER_SAN" --model "$MODEL" --threads 1 --timeout 100ms
"$ROOT/tests/runner/load.pl" "$PORT_busy" 24 3 "$WORK/batch.json" >"$WORK/load" &
LOAD=$!
sleep 0.5
for i in $(seq 15); do
	before=$(date +%s%N)
	[ "$(code "http://127.0.0.1:$PORT_busy/v2/health/ready")" = 200 ] && echo $((($(date +%s%N) - before) / 1000000))
done | sort -n >"$WORK/health"
same "health under saturation: all of 15 are answered" "$(wc -l <"$WORK/health")" 15
# The median, since this machine may have more to do than this test; a queue in front of health would delay each one by seconds.
same "health under saturation: within 1 s" "$([ "$(sed -n 8p "$WORK/health")" -lt 1000 ] && echo yes || cat "$WORK/health")" yes
echo "# median $(sed -n 8p "$WORK/health") ms, slowest $(tail -1 "$WORK/health") ms"
wait "$LOAD"
same "each request got a whole answer: done, or overloaded" "$(grep -vE '^status (200|503): ' "$WORK/load")" ""
like "what waited longer than the timeout was refused, and counted" "$(metric "$PORT_busy" 'mlctl_errors_total{reason="overloaded"}')" '^[1-9]'
stop "$PID_busy"
same "silent sanitizers" "$STOPPED $(cat "$WORK/busy.err")" "0 "

# --- bodies that are announced but never come cost their connection's buffer, not their announced size
start small "$RUNNER" --model "$MODEL" --threads 1 --body-max 1Gi
before=$(metric "$PORT_small" process_resident_memory_bytes)
perl -MSocket -e 'my @open; for (1 .. 200) { socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, sockaddr_in($ARGV[0], INADDR_LOOPBACK));
	syswrite($s, "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n{"); push @open, $s } select(undef, undef, undef, 0.3); exec "curl", "-s", "http://127.0.0.1:$ARGV[0]/metrics"' "$PORT_small" >"$WORK/metrics"
after=$(awk '$1 == "process_resident_memory_bytes" {print $2}' "$WORK/metrics")
same "200 announced gigabytes cost less than 8 MB" "$([ $((${after%.*} - ${before%.*})) -lt 8000000 ] && echo yes || echo "$before -> $after")" yes
finish
