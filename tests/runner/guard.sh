#!/usr/bin/env bash
# The runner in front of another server: what it hands on and back, what it counts, what it says when that server is slow, odd or gone; and its canary.
. "$(dirname "$0")/lib.sh"

# A server of another kind: one connection after the other is handed to a child; each path answers in a way of its own.
cat >"$WORK/other.pl" <<'END'
use strict; use Socket; $| = 1; $SIG{CHLD} = 'IGNORE';
socket(my $l, PF_INET, SOCK_STREAM, 0); setsockopt($l, SOL_SOCKET, SO_REUSEADDR, 1); bind($l, sockaddr_in($ARGV[0] || 0, INADDR_LOOPBACK)) or die; listen($l, 64);
print +(sockaddr_in(getsockname($l)))[0], "\n";
while (accept(my $c, $l)) {
	next if fork; $SIG{ALRM} = sub { exit }; alarm 30;
	while (1) {
		my ($head, $byte) = ('', ''); while ($head !~ /\r\n\r\n$/) { sysread($c, $byte, 1) or exit; $head .= $byte }
		my ($length) = $head =~ /content-length: (\d+)/i; my $body = ''; while (length $body < ($length || 0)) { sysread($c, my $part, 65536) or exit; $body .= $part }
		my ($verb, $path) = $head =~ /^(\S+) (\S+)/; my $say = sub { my ($status, $text, $more) = @_; syswrite($c, "HTTP/1.1 $status\r\nContent-Type: text/x-other\r\n" . ($more || '') . "Content-Length: " . length($text) . "\r\n\r\n" . ($verb eq 'HEAD' ? '' : $text)) };
		if ($path eq '/echo') { $say->('200 OK', $head . $body) }
		elsif ($path eq '/sum') { $say->('200 OK', length $body) }
		elsif ($path eq '/chunked') { syswrite($c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n") }
		elsif ($path eq '/until-close') { syswrite($c, "HTTP/1.0 200 OK\r\n\r\nall there is"); exit }
		elsif ($path eq '/slow') { sleep 3; $say->('200 OK', 'late') }
		elsif ($path eq '/cut') { syswrite($c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"); exit }
		elsif ($path eq '/nonsense') { syswrite($c, "what?\r\n\r\n"); exit }
		elsif ($path eq '/nothing') { $say->('204 No Content', '') if 0; syswrite($c, "HTTP/1.1 204 No Content\r\n\r\n") }
		elsif ($path eq '/interim') { syswrite($c, "HTTP/1.1 103 Early Hints\r\n\r\n"); $say->('200 OK', 'after it') }
		elsif ($path =~ m{^/(\d+)}) { $say->("$1 So", "status $1", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nMlctl-Revision: forged\r\n") }
		elsif ($path eq '/healthz') { $say->(-e $ARGV[1] ? '200 OK' : '503 No', '') }
		else { $say->('404 No', 'nothing') }
	}
}
END
other() { # other NAME [PORT]: PORT_NAME and PID_NAME
	perl "$WORK/other.pl" "${2:-0}" "$WORK/well" >"$WORK/$1.port" & local pid=$!
	started+=("$pid"); printf -v "PID_$1" %s "$pid"
	until_true 10 test -s "$WORK/$1.port" || { not_ok "$1 starts"; finish; }
	printf -v "PORT_$1" %s "$(cat "$WORK/$1.port")"
}
touch "$WORK/well"
KEY=0123456789abcdef-test
printf '%s\n' "$KEY" >"$WORK/key"
other one
start guard "$RUNNER_SAN" --upstream "127.0.0.1:$PORT_one" --upstream-ready /healthz --threads 2 --revision v-1 --name other --service odd --admin 127.0.0.1:0 --admin-key-file "$WORK/key" \
	--timeout 1s --body-max 1Mi --drain 5s
URL=http://127.0.0.1:$PORT_guard
ADMIN=http://127.0.0.1:$(sed -n 's/.*"admin":"127.0.0.1:\([0-9]*\)".*/\1/p' "$WORK/guard.log")
admin() { curl -s --max-time 10 -H "Mlctl-Key: $KEY" "$@"; }
requests() { metric "$PORT_guard" "mlctl_requests_total{code=\"$1\"}"; }

# --- there and back
until_true 5 test "$(code "$URL/v2/health/ready")" = 200
like "the request goes on" "$(curl -s -d 'a body' "$URL/echo")" $'^POST /echo HTTP/1.1\r\n.*Content-Length: 6\r\n\r\na body$'
same "with its query (which that path does not have)" "$(code "$URL/echo?x=1")" 404
like "with the credentials" "$(curl -s -H 'Authorization: Bearer abc' "$URL/echo")" 'Authorization: Bearer abc'
same "and without what was for this hop" "$(curl -s -H 'Connection: X-Mine' -H 'X-Mine: 1' "$URL/echo" | grep -ci 'x-mine\|mlctl-hop')" 0
same "a GET gets no length" "$(curl -s "$URL/echo" | grep -ci content-length)" 0
same "any method" "$(curl -s -X PURGE "$URL/echo" | head -c 5)" PURGE
HEAD=$(curl -sI "$URL/200")
like "HEAD: the length, no body" "$HEAD" $'HTTP/1.1 200 OK\r.*Content-Length: 10\r'
same "and the connection lives on" "$(curl -sI "$URL/200" --next -s "$URL/200" | tail -1)" "status 200"
ANSWER=$(curl -si "$URL/418")
like "status, type and body come back" "$ANSWER" $'^HTTP/1.1 418 .*\nContent-Type: text/x-other\r.*status 418$'
same "each cookie too" "$(grep -ci '^set-cookie' <<<"$ANSWER")" 2
same "the revision is this one's, once" "$(grep -i '^mlctl-revision' <<<"$ANSWER" | tr -d '\r')" "Mlctl-Revision: v-1"
same "chunks become a body" "$(curl -s "$URL/chunked")" abcdefg
same "until the connection ends" "$(curl -s "$URL/until-close")" "all there is"
same "204" "$(code "$URL/nothing")" 204
same "an interim answer is left out" "$(curl -s "$URL/interim")" "after it"
head -c 1000000 /dev/zero >"$WORK/big"
same "a megabyte" "$(curl -s --data-binary @"$WORK/big" "$URL/sum")" 1000000
same "in chunks" "$(curl -s -H 'Transfer-Encoding: chunked' --data-binary @"$WORK/big" "$URL/sum")" 1000000
head -c 1100000 /dev/zero >"$WORK/big"
same "and no more than is allowed" "$(code --data-binary @"$WORK/big" "$URL/sum")" 413

# --- what is counted
same "200s" "$(($(requests 200) > 10))" 1
before=$(requests 422); code "$URL/422" >/dev/null
same "422" "$(($(requests 422) - ${before:-0}))" 1
same "another 4xx counts as such" "$(requests 4xx)" 1
code "$URL/507" >/dev/null
same "and another 5xx" "$(requests 5xx)" 1
same "which is an error" "$(metric "$PORT_guard" 'mlctl_errors_total{reason="upstream_failed"}')" 1
like "how long it took" "$(metric "$PORT_guard" mlctl_request_duration_seconds_count)" '^[0-9]+$'
like "whose it is" "$(curl -s "$URL/metrics")" 'mlctl_build_info\{version="[^"]*",mlctl_service="odd",revision="v-1",model="other"\} 1'
like "info" "$(admin "$ADMIN/admin/info")" '"model":"other","model_digest":"","format":"guard","release":"","revision":"v-1",.*"ready":true'
same "no key" "$(code "$ADMIN/admin/info")" 401

# --- when it fails
same "too slow: 504" "$(code "$URL/slow")" 504
same "cut off: 502" "$(code "$URL/cut")" 502
same "no HTTP: 502" "$(code "$URL/nonsense")" 502
like "says why" "$(curl -s "$URL/nonsense")" '^\{"error":"the server behind failed: malformed"\}$'
same "all of it counted" "$(requests 504) $(requests 502)" "1 3"
same "by cause" "$(metric "$PORT_guard" 'mlctl_errors_total{reason="upstream_failed"}')" 5
same "ready all the while" "$(code "$URL/v2/health/ready")" 200
rm "$WORK/well"
until_true 5 test "$(code "$URL/v2/health/ready")" = 503
same "not ready when that server says so" "$(code "$URL/v2/health/ready")" 503
same "but alive" "$(code "$URL/v2/health/live")" 200
like "which info says too" "$(admin "$ADMIN/admin/info")" '"ready":false'
touch "$WORK/well"
until_true 5 test "$(code "$URL/v2/health/ready")" = 200
same "and ready again" "$(code "$URL/v2/health/ready")" 200
kill -9 "$PID_one"; pkill -9 -P "$PID_one" 2>/dev/null; sleep 0.1
same "gone: 502" "$(code "$URL/200")" 502
until_true 5 test "$(code "$URL/v2/health/ready")" = 503
same "and not ready" "$(code "$URL/v2/health/ready")" 503
other one "$PORT_one"
until_true 5 test "$(code "$URL/v2/health/ready")" = 200
same "back: 200" "$(code "$URL/200")" 200

# --- a model behind it, and one behind its canary
start model "$RUNNER" --model "$MODEL" --threads 1 --revision inner
start plain "$RUNNER_SAN" --upstream "127.0.0.1:$PORT_model" --threads 2 --service odd --revision old --admin "unix:$WORK/plain.sock"
start newer "$RUNNER_SAN" --upstream "127.0.0.1:$PORT_model" --threads 1 --service odd --revision new
until_true 5 test "$(code "http://127.0.0.1:$PORT_newer/v2/health/ready")" = 200
split() { curl -s --unix-socket "$WORK/plain.sock" -X PUT http://x/admin/split -d "{\"revision\":\"new\",\"upstream\":\"127.0.0.1:$PORT_newer\",\"weight\":$1,\"ttl_s\":60}" >/dev/null; }
load() { "$ROOT/tests/runner/load.pl" "$PORT_plain" "$@" "$TRAFFIC"; }
of() { sed -n "s/^$1: //p" <<<"$RESULT"; }
same "the answer is the model's" "$(curl -s -d @"$WORK/row.json" "http://127.0.0.1:$PORT_plain/predict")" "$(curl -s -d @"$WORK/row.json" "http://127.0.0.1:$PORT_model/predict")"
split 10
RESULT=$(load 8 x2000)
same "every request was answered" "$(of 'status 200')" 2000
like "the canary had its tenth" "$(of 'revision new')" '^(199|200|201)$'
same "each counts its own" "$(metric "$PORT_plain" 'mlctl_requests_total{code="200"}') $(metric "$PORT_newer" 'mlctl_requests_total{code="200"}')" "$((1 + $(of 'revision old'))) $(of 'revision new')"
split 50
kill -9 "$PID_newer"
RESULT=$(load 4 x200)
same "the canary is gone: none failed" "$(of 'status 200') $(of 'revision old')" "200 200"
same "and it is counted" "$(metric "$PORT_plain" 'mlctl_handover_total{result="unreached"}')" 100

# --- the end
RESULT=
load 4 1.5 >"$WORK/load" & LOAD=$!
sleep 0.5
stop "$PID_plain"
same "a drain under load ends well" "$STOPPED" 0
wait $LOAD
RESULT=$(cat "$WORK/load")
same "every answer was 200" "$(grep '^status' <<<"$RESULT" | grep -vc 200)" 0
same "nothing was said on stderr" "$(cat "$WORK"/*.err)" ""

refused() { local name=$1 want=$2; shift 2; like "$name" "$("$RUNNER" serve "$@" 2>&1)" "$want"; }
refused "a name is no address" 'names are not resolved' --upstream example.com:80
refused "a path that is none" 'want a path, as in /healthz' --upstream 127.0.0.1:1 --upstream-ready healthz
finish
