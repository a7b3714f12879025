#!/usr/bin/env bash
# As Kubernetes runs it: everything by environment, both listeners on every interface, IPv6 and IPv4; control through a key; and a drain that
# outlasts the load balancers which have not heard of it yet.
. "$(dirname "$0")/lib.sh"

KEY=0123456789abcdef-test
ROW=$(cat "$WORK/row.json")
has_v6() { [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; }
port_of() { sed -n 's/.*"event":"ready",.*"'"$2"'":"[^"]*:\([0-9]*\)".*/\1/p' "$WORK/$1.log"; }
# pod NAME LISTEN ADMIN VARIABLE=VALUE...: a runner that gets no flag but --threads; PID_, PORT_ and ADMIN_NAME are set.
pod() {
	local name=$1 listen=$2 admin=$3
	shift 3
	env MLCTL_MODEL="$MODEL" MLCTL_NAME=cancer MLCTL_SERVICE=screening MLCTL_ENVIRONMENT=prod MLCTL_LISTEN="$listen" MLCTL_ADMIN="$admin" MLCTL_ADMIN_KEY="$KEY" MLCTL_RELEASE=r42 MLCTL_REVISION="$name" \
		MLCTL_IMAGE=sha256:77ab MLCTL_TIMEOUT=2s "$@" "$RUNNER_SAN" serve --threads 2 >"$WORK/$name.log" 2>"$WORK/$name.err" &
	local pid=$!
	started+=("$pid")
	printf -v "PID_$name" %s "$pid"
	until_true 20 grep -qs '"event":"ready"' "$WORK/$name.log" || { not_ok "$name starts" "$(cat "$WORK/$name.log" "$WORK/$name.err")"; finish; }
	printf -v "PORT_$name" %s "$(port_of "$name" listen)"
	printf -v "ADMIN_$name" %s "$(port_of "$name" admin)"
}
admin() { curl -s --max-time 10 -H "Mlctl-Key: $KEY" "$@"; }

# --- both families on one port, and one family where one is named
pod both :0 :0 MLCTL_MODEL_CREATED=2026-11-21T10:02:11Z
same "IPv4 on the port for every interface" "$(code "http://127.0.0.1:$PORT_both/v2/health/ready")" 200
same "control over IPv4" "$(admin -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_both/admin/info")" 200
if has_v6; then
	same "IPv6 on the same port" "$(code "http://[::1]:$PORT_both/v2/health/ready")" 200
	same "control over IPv6" "$(admin -o /dev/null -w '%{http_code}' "http://[::1]:$ADMIN_both/admin/info")" 200
	pod six '[::1]:0' '[::1]:0'
	same "a prediction by IPv6 alone" "$(code -d "$ROW" "http://[::1]:$PORT_six/predict")" 200
	same "which IPv4 does not reach" "$(code "http://127.0.0.1:$PORT_six/v2/health/ready")" 000
	like "a canary with an IPv6 address" "$(admin -X PUT -d '{"revision":"six","upstream":"[::1]:'"$PORT_six"'","weight":100,"ttl_s":60}' "http://127.0.0.1:$ADMIN_both/admin/split")" '"upstream":"\[::1\]:'"$PORT_six"'","weight":100'
	like "answers" "$(curl -si --max-time 5 -d "$ROW" "http://127.0.0.1:$PORT_both/predict")" $'Mlctl-Revision: six\r'
	stop "$PID_six"
else
	skip "IPv6" "the loopback interface has no IPv6 address here"
fi
pod four 0.0.0.0:0 127.0.0.1:0
split() { admin -X PUT -d "{\"revision\":\"four\",\"upstream\":\"127.0.0.1:$PORT_four\",\"weight\":$1,\"ttl_s\":60}" "http://127.0.0.1:$ADMIN_both/admin/split"; }
like "a canary with an IPv4 address" "$(split 100)" '"upstream":"127.0.0.1:'"$PORT_four"'","weight":100'
like "answers" "$(curl -si --max-time 5 -d "$ROW" "http://127.0.0.1:$PORT_both/predict")" $'Mlctl-Revision: four\r'
# The API server's proxy sends what it was sent in chunks, with headers of its own and without Authorization.
like "as the API server's proxy sends it" "$(admin -X PUT -H 'Transfer-Encoding: chunked' -H 'X-Forwarded-For: 10.0.0.1, 10.0.0.2' -H 'X-Forwarded-Uri: /api/v1/namespaces/ml/pods/a:8081/proxy/admin/split' \
	-H 'Accept-Encoding: gzip' -d "{\"revision\":\"four\",\"upstream\":\"127.0.0.1:$PORT_four\",\"weight\":25}" "http://127.0.0.1:$ADMIN_both/admin/split")" '"weight":25,"expires_in_s":(60.000|59.9)'
split 0 >/dev/null

# --- what each listener tells to whom
for path in /v2/health/live /v2/health/ready /metrics; do
	same "the main port needs no key: GET $path" "$(code "http://127.0.0.1:$PORT_both$path")" 200
	same "the control port does: GET $path" "$(code "http://127.0.0.1:$ADMIN_both$path")" 401
	same "and has it: GET $path" "$(admin -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_both$path")" 200
done
for path in /admin/info /admin/split /admin/drain; do
	same "no control on the main port, key or not: $path" "$(admin -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT_both$path")" 404
done
same "a prediction is not the control port's" "$(admin -o /dev/null -w '%{http_code}' -d "$ROW" "http://127.0.0.1:$ADMIN_both/predict")" 404
same "an empty key is none" "$(code -H 'Mlctl-Key;' "http://127.0.0.1:$ADMIN_both/admin/info")" 401
same "nor is it taken from a query or from Authorization" "$(code -H "Authorization: Bearer $KEY" "http://127.0.0.1:$ADMIN_both/admin/info?Mlctl-Key=$KEY")" 401
like "a wrong key says what is missing" "$(curl -s -H 'Mlctl-Key: wrong' "http://127.0.0.1:$ADMIN_both/admin/info")" 'Mlctl-Key is missing or wrong'
"$ROOT/tests/runner/load.pl" "$ADMIN_both" 4 x400 "$TRAFFIC" >"$WORK/flood"
like "a flood without a key is refused" "$(cat "$WORK/flood")" 'status 401: 400'
curl -s -H 'Mlctl-Key: wrong' "http://127.0.0.1:$ADMIN_both/admin/info" >/dev/null
refusals=$(grep -c '"event":"admin_refused"' "$WORK/both.log")
same "and logged, but not each time ($refusals lines of more than 400 refusals)" "$([ "$refusals" -gt 0 ] && [ "$refusals" -le 100 ] && echo few)" few
same "and the key is in no log" "$(cat "$WORK"/*.log "$WORK"/*.err | grep -c "$KEY")" 0
same "whoever has it still gets in" "$(admin -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_both/admin/info")" 200
like "info says what was given" "$(admin "http://127.0.0.1:$ADMIN_both/admin/info")" '"model":"cancer",.*"release":"r42","revision":"both","image":"sha256:77ab","ready":true'
page=$(curl -s "http://127.0.0.1:$PORT_both/metrics")
like "the metrics say it too" "$page" 'mlctl_build_info\{version="[^"]*",mlctl_service="screening",mlctl_env="prod",revision="both",release="r42",model="cancer",model_sha256="[0-9a-f]{64}",image="sha256:77ab"\} 1'
like "and when the model was made" "$page" 'mlctl_model_created_timestamp_seconds\{mlctl_service="screening",mlctl_env="prod",revision="both",release="r42"\} 1795255331'

# --- one address without a key does not keep out the others. (All are 127.0.0.1 here, so the others come by IPv6.)
if has_v6; then
	for i in $(seq 40); do exec {held}<>"/dev/tcp/127.0.0.1/$ADMIN_both"; done 2>/dev/null
	same "40 connections that say nothing: control goes on from another address" "$(admin -o /dev/null -w '%{http_code}' "http://[::1]:$ADMIN_both/admin/info")" 200
	for fd in /proc/$$/fd/*; do [[ $(readlink "$fd") == socket:* ]] && eval "exec ${fd##*/}>&-"; done
fi

# --- refused at the start
refuses() { # NAME PATTERN VARIABLE=VALUE...
	local name=$1 pattern=$2
	shift 2
	env MLCTL_MODEL="$MODEL" MLCTL_LISTEN=127.0.0.1:0 "$@" timeout 10 "$RUNNER_SAN" serve >"$WORK/refused.log" 2>"$WORK/refused.err"
	same "$name: exit" $? 2
	like "$name: says" "$(cat "$WORK/refused.err")" "$pattern"
}
refuses "TCP control without a key" 'a TCP listener needs a key' MLCTL_ADMIN=:0
refuses "a short key" 'has 5 bytes, at least 16' MLCTL_ADMIN=:0 MLCTL_ADMIN_KEY=short
refuses "an address that is a name" 'names are not resolved' MLCTL_ADMIN=example:0 MLCTL_ADMIN_KEY="$KEY"
refuses "a delay without a unit" 'MLCTL_DRAIN_DELAY 5: want a time with its unit' MLCTL_DRAIN_DELAY=5
refuses "a delay that is longer than the drain" '--drain-delay 11000ms is longer than --drain 10000ms' MLCTL_DRAIN_DELAY=11s
refuses "a time that is none" '--model-created yesterday: want a time' MLCTL_MODEL_CREATED=yesterday
refuses "a time before 1970" 'want a time' MLCTL_MODEL_CREATED=-5

# --- without a delay an idle server ends at once: target local is quick
pod quick :0 :0
same "served" "$(code -d "$ROW" "http://127.0.0.1:$PORT_quick/predict")" 200
begin=$(date +%s%N)
stop "$PID_quick"
took=$((($(date +%s%N) - begin) / 1000000))
same "no delay, nobody connected: ends with 0 at once" "$STOPPED $([ $took -lt 6000 ] && echo soon || echo "after $took ms")" "0 soon"

# --- with a delay: not ready at once, and everybody who still comes is served
pod late :0 :0 MLCTL_DRAIN=90s MLCTL_DRAIN_DELAY=80s
kill -TERM "$PID_late"
until_true 5 grep -q '"event":"drain"' "$WORK/late.log"
same "not ready at once" "$(code "http://127.0.0.1:$PORT_late/v2/health/ready")" 503
same "but alive" "$(code "http://127.0.0.1:$PORT_late/v2/health/live")" 200
"$ROOT/tests/runner/load.pl" "$PORT_late" 4 1.2 "$TRAFFIC" >"$WORK/load"
same "new connections for more than a second behind SIGTERM: nothing failed" "$(grep -c failed "$WORK/load")" 0
like "and all were answered" "$(grep '^status' "$WORK/load")" '^status 200: [1-9][0-9]*$'
echo "# $(sed -n 's/^status 200: //p' "$WORK/load") requests behind SIGTERM"
like "each answer says that the connection ends" "$(curl -si -d "$ROW" "http://127.0.0.1:$PORT_late/predict")" $'^HTTP/1.1 200 OK\r.*Connection: close\r'
same "control too" "$(admin -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_late/admin/info")" 200
like "the metrics say that it drains" "$(curl -s "http://127.0.0.1:$PORT_late/metrics")" 'mlctl_ready\{[^}]*\} 0'
begin=$(date +%s%N)
stop "$PID_late"
same "a second signal ends the delay" "$STOPPED $([ $((($(date +%s%N) - begin) / 1000000)) -lt 20000 ] && echo soon)" "0 soon"
same "then the port refuses" "$(code "http://127.0.0.1:$PORT_late/v2/health/live")" 000
pod brief :0 :0 MLCTL_DRAIN=60s MLCTL_DRAIN_DELAY=1500ms
begin=$(date +%s%N)
stop "$PID_brief"
took=$((($(date +%s%N) - begin) / 1000000))
same "ends with 0 when the delay is over, not at the end of the drain" "$STOPPED $([ $took -ge 1400 ] && [ $took -lt 30000 ] && echo then || echo "after $took ms")" "0 then"

# --- with patience it goes on while somebody still comes; a probe is nobody
pod patient :0 :0 MLCTL_DRAIN=2s MLCTL_DRAIN_DELAY=1s MLCTL_DRAIN_PATIENCE=60s
kill -TERM "$PID_patient"
until_true 5 grep -q '"event":"drain"' "$WORK/patient.log"
"$ROOT/tests/runner/load.pl" "$PORT_patient" 4 4 "$TRAFFIC" >"$WORK/load"
same "requests for twice as long as the drain: nothing failed" "$(grep -c failed "$WORK/load")" 0
like "and all were answered" "$(grep '^status' "$WORK/load")" '^status 200: [1-9][0-9]*$'
begin=$(date +%s%N)
until_true 20 sh -c "curl -s -o /dev/null http://127.0.0.1:$PORT_patient/v2/health/ready; grep -q '\"event\":\"exit\"' $WORK/patient.log"
wait "$PID_patient"
took=$((($(date +%s%N) - begin) / 1000000))
same "ends with 0 once only probes come" "$? $([ $took -ge 500 ] && [ $took -lt 15000 ] && echo then || echo "after $took ms")" "0 then"
pod worn :0 :0 MLCTL_DRAIN=2s MLCTL_DRAIN_DELAY=1s MLCTL_DRAIN_PATIENCE=2s
kill -TERM "$PID_worn"
begin=$(date +%s%N)
until_true 20 sh -c "curl -s -o /dev/null -d '$ROW' http://127.0.0.1:$PORT_worn/predict; grep -q '\"event\":\"exit\"' $WORK/worn.log"
wait "$PID_worn"
took=$((($(date +%s%N) - begin) / 1000000))
same "patience ends too: with 0" "$? $([ $took -ge 2900 ] && [ $took -lt 15000 ] && echo then || echo "after $took ms")" "0 then"
same "the sanitizers are silent" "$(cat "$WORK"/{both,four,quick,late,brief,patient,worn}.err)" ""
finish
