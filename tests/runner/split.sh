#!/usr/bin/env bash
# The canary: its share is exact, its failures cost no request, its weight runs out, and nobody sets it without the key.
. "$(dirname "$0")/lib.sh"

KEY=0123456789abcdef-test
printf '%s\n' "$KEY" >"$WORK/key"
start canary "$RUNNER" --model "$MODEL" --threads 2 --revision new
MLCTL_IMAGE=sha256:77ab start stable "$RUNNER_SAN" --model "$MODEL" --threads 2 --revision old --admin 127.0.0.1:0 --admin-key-file "$WORK/key" --timeout 1s
ADMIN=http://127.0.0.1:$(sed -n 's/.*"admin":"127.0.0.1:\([0-9]*\)".*/\1/p' "$WORK/stable.log")
URL=http://127.0.0.1:$PORT_stable
admin() { curl -s --max-time 10 -H "Mlctl-Key: $KEY" "$@"; }
split() { admin -X PUT "$ADMIN/admin/split" -d "{\"revision\":\"new\",\"upstream\":\"$1\",\"weight\":$2,\"ttl_s\":${3:-60}}"; }
load() { "$ROOT/tests/runner/load.pl" "$PORT_stable" "$@" "$TRAFFIC"; }
of() { sed -n "s/^$1: //p" <<<"$RESULT"; }

# --- who may
for path in /admin/info /admin/split /metrics /v2/health/ready /nope; do
	same "no key: GET $path" "$(code "$ADMIN$path")" 401
done
same "a wrong key of the same length" "$(code -H "Mlctl-Key: ${KEY/0/1}" "$ADMIN/admin/info")" 401
same "a longer key" "$(code -H "Mlctl-Key: ${KEY}x" "$ADMIN/admin/info")" 401
same "no key: PUT" "$(code -X PUT -d '{}' "$ADMIN/admin/split")" 401
same "the main listener has no admin routes" "$(code -H "Mlctl-Key: $KEY" "$URL/admin/info")" 404
like "info" "$(admin "$ADMIN/admin/info")" '"model_digest":"sha256:[0-9a-f]{64}".*"release":"","revision":"old","image":"sha256:77ab","ready":true,"pid":'"$PID_stable"','
same "refused: a weight over 100" "$(split 127.0.0.1:1 101)" '{"error":"weight: a number from 0 to 100"}'
like "refused: an upstream by name" "$(split example.com:80 10)" 'names are not resolved'
like "refused: no upstream" "$(admin -X PUT "$ADMIN/admin/split" -d '{"revision":"x","weight":1}')" 'upstream'
same "refused: a revision that would break a header" "$(admin -o /dev/null -w '%{http_code}' -X PUT "$ADMIN/admin/split" -d '{"revision":"a\r\nb","upstream":"127.0.0.1:1","weight":1}')" 400

# --- 10 % of 5,000
like "put" "$(split "127.0.0.1:$PORT_canary" 10)" '"revision":"new",.*"weight":10,"expires_in_s":(60.000|59.9)'
RESULT=$(load 10 x5000)
same "every request was answered" "$(of 'status 200')" 5000
same "of 5,000, the canary had 10 % +- 1 %" "$([ "$(of 'revision new')" -ge 450 ] && [ "$(of 'revision new')" -le 550 ] && echo yes)" yes
like "in fact 500 +- 1" "$(of 'revision new')" '^(499|500|501)$'
same "stable counts what it handed on" "$(metric "$PORT_stable" 'mlctl_handover_total{result="ok"}')" "$(of 'revision new')"
same "and only what it answered as requests" "$(metric "$PORT_stable" 'mlctl_requests_total{code="200"}')" "$(of 'revision old')"
same "the canary counts the rest" "$(metric "$PORT_canary" 'mlctl_requests_total{code="200"}')" "$(of 'revision new')"
same "the weight is in the metrics" "$(metric "$PORT_stable" mlctl_canary_weight)" 10
like "and in the log, once" "$(grep -c '"event":"split"' "$WORK/stable.log")" '^1$'

# --- a hop is never handed on; answers pass unchanged
split "127.0.0.1:$PORT_canary" 100 >/dev/null
like "at 100 the canary answers" "$(curl -si -d @"$WORK/row.json" "$URL/predict")" $'Mlctl-Revision: new\r'
like "but not a request that was handed on already" "$(curl -si -H 'Mlctl-Hop: 1' -d @"$WORK/row.json" "$URL/predict")" $'Mlctl-Revision: old\r'
same "the body is the same byte by byte" "$(curl -s -d @"$WORK/row.json" "$URL/predict")" "$(curl -s -H 'Mlctl-Hop: 1' -d @"$WORK/row.json" "$URL/predict")"
same "a refusal of the canary passes too" "$(code -d '{"rows":[[1]]}' "$URL/predict")" 400
same "one revision header" "$(curl -si -d @"$WORK/row.json" "$URL/predict" | grep -ci '^mlctl-revision')" 1

# --- the canary dies under load
split "127.0.0.1:$PORT_canary" 30 >/dev/null
"$ROOT/tests/runner/load.pl" "$PORT_stable" 8 1.5 "$TRAFFIC" >"$WORK/load" &
LOAD=$!
sleep 0.5
kill -9 "$PID_canary"
wait "$LOAD"
RESULT=$(cat "$WORK/load")
same "killed canary: no request failed" "$(grep -c failed <<<"$RESULT")" 0
same "killed canary: every answer was 200" "$(grep -c '^status' <<<"$RESULT") $([ "$(of 'status 200')" -gt 0 ] && echo some)" "1 some"
same "killed canary: both had answered" "$([ "$(of 'revision new')" -gt 0 ] && [ "$(of 'revision old')" -gt 0 ] && echo yes)" yes
like "killed canary: counted" "$(metric "$PORT_stable" 'mlctl_handover_total{result="unreached"}')" '^[1-9]'
like "killed canary: logged" "$(grep '"event":"handover_failed"' "$WORK/stable.log" | tail -1)" '"reason":"(connect|reset)"'

# --- a canary that takes the request and never answers, one that talks nonsense, one that closes half-way
fake() { # fake TEXT: a server that reads and says TEXT, then closes (or with empty TEXT stays silent); FAKE_PORT
	rm -f "$WORK/port"
	perl -MSocket -e '
		my ($text, $file) = @ARGV; $text =~ s/\\r/\r/g; $text =~ s/\\n/\n/g; socket(my $l, PF_INET, SOCK_STREAM, 0); bind($l, sockaddr_in(0, INADDR_LOOPBACK)); listen($l, 100);
		my ($port) = sockaddr_in(getsockname($l)); open(my $f, ">", "$file.new"); print $f $port; close $f; rename "$file.new", $file;
		my @kept; while (accept(my $c, $l)) { if ($text eq "") { push @kept, $c; next } sysread($c, my $in, 65536); syswrite($c, $text); close $c }' "$1" "$WORK/port" &
	started+=($!)
	until_true 5 test -s "$WORK/port"
	FAKE_PORT=$(cat "$WORK/port")
}
try_fake() {
	fake "$2"
	split "127.0.0.1:$FAKE_PORT" 100 >/dev/null
	before=$(metric "$PORT_stable" 'mlctl_handover_total{result="failed"}')
	like "$1: stable answers" "$(curl -si --max-time 5 -d @"$WORK/row.json" "$URL/predict")" $'^HTTP/1.1 200 OK\r.*Mlctl-Revision: old\r'
	same "$1: counted" "$(metric "$PORT_stable" 'mlctl_handover_total{result="failed"}')" $((before + 1))
}
try_fake "a silent canary" ''
try_fake "a canary that talks nonsense" 'hello\r\n\r\n'
try_fake "one that closes inside its answer" 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'
try_fake "one with an ambiguous answer" 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
fake 'HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
split "127.0.0.1:$FAKE_PORT" 100 >/dev/null
like "a chunked answer passes" "$(curl -si --max-time 5 -d @"$WORK/row.json" "$URL/predict")" $'^HTTP/1.1 201 .*X-Own: 1\r.*abc$'

# --- nobody refreshes it
split "127.0.0.1:$FAKE_PORT" 100 1 >/dev/null
until_true 5 grep -q '"event":"split_expired"' "$WORK/stable.log"
like "expired: stable answers" "$(curl -si -d @"$WORK/row.json" "$URL/predict")" $'Mlctl-Revision: old\r'
like "expired: the weight is 0" "$(admin "$ADMIN/admin/split")" '"weight":0,"expires_in_s":0.000'
same "expired: in the metrics too" "$(metric "$PORT_stable" mlctl_canary_weight)" 0

# --- a canary behind a unix socket, and stable's own
"$RUNNER_SAN" serve --model "$MODEL" --listen "unix:$WORK/side.sock" --revision side >"$WORK/side.log" 2>"$WORK/side.err" &
started+=($!)
until_true 10 grep -qs '"event":"ready"' "$WORK/side.log"
split "unix:$WORK/side.sock" 50 >/dev/null
RESULT=$(load 4 x400)
same "unix: half went there" "$(of 'revision new')" 200
same "unix: nothing failed" "$(of 'status 200')" 400
same "unix: the socket is its owner's" "$(stat -c %a "$WORK/side.sock")" 600

same "drain by the admin listener" "$(admin -o /dev/null -w '%{http_code}' -X POST "$ADMIN/admin/drain")" 202
wait "$PID_stable"
same "ends it with 0" $? 0
same "and nothing was on stderr (the sanitizers are silent)" "$(cat "$WORK/stable.err")" ""
finish
