#!/usr/bin/env bash
# The runner over real sockets, under ASan and UBSan: routes, refusals, limits, deadlines.
. "$(dirname "$0")/lib.sh"

start main "$RUNNER_SAN" --model "$MODEL" --name cancer --threads 2 --revision r1 --body-max 64Ki --header-timeout 600ms --body-timeout 600ms --idle-timeout 900ms
URL=http://127.0.0.1:$PORT_main
HOST='Host: a\r\n'

# --- routes
same "predict answers" "$(code -d @"$WORK/row.json" "$URL/predict")" 200
like "with model and predictions" "$(cat "$WORK/out")" '^\{"model":"cancer","predictions":\[\{"label":[01],"probability":\[[0-9.e-]+,[0-9.e-]+\]\}\]\}$'
like "and the revision in a header" "$(curl -si -d @"$WORK/row.json" "$URL/predict")" $'Mlctl-Revision: r1\r'
same "metadata of the server" "$(curl -s "$URL/v2")" "{\"name\":\"mlctl-runner\",\"version\":\"$("$RUNNER_SAN" version | cut -d' ' -f2)\",\"extensions\":[]}"
like "metadata of the model" "$(curl -s "$URL/v2/models/cancer")" '"platform":"mlctl_onnx","inputs":\[\{"name":"features","datatype":"FP32","shape":\[-1,30\]\}\]'
for path in /v2/health/live /v2/health/ready /v2/models/cancer/ready /v2/models/cancer/versions/1 /v2/models/cancer/versions/1/ready / /v2/; do
	same "GET $path" "$(code "$URL$path")" 200
done
data=$(seq -s, 1 30)
infer="{\"id\":\"42\",\"inputs\":[{\"name\":\"features\",\"datatype\":\"FP32\",\"shape\":[1,30],\"data\":[$data]}],\"outputs\":[{\"name\":\"label\"}]}"
same "infer" "$(curl -s -d "$infer" "$URL/v2/models/cancer/infer")" '{"model_name":"cancer","model_version":"1","id":"42","outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[0]}]}'
same "infer, nested data, by version" "$(code -d "${infer/\"data\":\[$data\]/\"data\":[[$data]]}" "$URL/v2/models/cancer/versions/1/infer")" 200
refused_infer() {
	same "infer refused: $1" "$(code -d "$2" "$URL/v2/models/cancer/infer")" 400
	like "  saying so" "$(cat "$WORK/out")" "^\{\"error\":\".*$3"
}
refused_infer "another datatype" "${infer/FP32/FP64}" 'datatype FP64, the model takes FP32'
refused_infer "another shape" "${infer/\[1,30\]/[2,30]}" 'its shape has 60'
refused_infer "no such input" "${infer/features/x}" 'no such input; it takes features'
refused_infer "no such output" "${infer/label/x}" 'no such output; it has label'
refused_infer "a string in it" "${infer/\[1,2,/[1,\"2\",}" 'element 1 is no FP32'
refused_infer "inputs missing" '{}' 'inputs is missing'
refused_infer "a huge shape" "${infer/\[1,30\]/[4000000000,4000000000]}" 'shape'
refused_infer "wrong columns" "{\"inputs\":[{\"name\":\"features\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2]}]}" 'features'
same "another model" "$(code "$URL/v2/models/other")" 404
same "another version" "$(code "$URL/v2/models/cancer/versions/2")" 404
same "no such path" "$(code "$URL/nope")" 404
same "no JSON" "$(code -d 'x' "$URL/predict")" 400
like "  with its place" "$(cat "$WORK/out")" 'body:1:1: not JSON'
like "405 names what is allowed" "$(curl -si -X DELETE "$URL/predict")" $'^HTTP/1.1 405 .*Allow: POST\r'
like "405 for POST on a GET path" "$(curl -si -d x "$URL/v2")" $'^HTTP/1.1 405 .*Allow: GET, HEAD\r'
same "HEAD has the length and no body" "$(curl -sI "$URL/v2" | tr -d '\r' | awk '/Content-Length/{print $2}')" "$(curl -s "$URL/v2" | wc -c)"
same "GET /metrics" "$(code "$URL/metrics")" 200
like "  says what was loaded" "$(cat "$WORK/out")" "model_sha256=\"$(sha256sum "$MODEL" | cut -d' ' -f1)\""

# --- framing
like "HTTP/1.0" "$(raw "$PORT_main" 'GET /v2 HTTP/1.0\r\n\r\n')" $'^HTTP/1.1 200 .*Connection: close\r'
same "pipelined requests are answered in order" "$(raw "$PORT_main" "GET /v2 HTTP/1.1\r\n${HOST}\r\nGET /nope HTTP/1.1\r\n${HOST}\r\nGET / HTTP/1.1\r\n${HOST}\r\n" | grep -ao 'HTTP/1.1 [0-9]*' | cut -c10-12 | xargs)" "200 404 200"
pipelined="POST /predict HTTP/1.1\r\n${HOST}Content-Length: $(stat -c %s "$WORK/row.json")\r\n\r\n$(cat "$WORK/row.json")\n"
same "pipelined predictions too" "$(raw "$PORT_main" "$pipelined${pipelined}GET /v2 HTTP/1.1\r\n${HOST}\r\n" | grep -ao 'HTTP/1.1 [0-9]*' | cut -c10-12 | xargs)" "200 200 200"
same "chunked" "$(curl -s -o /dev/null -w '%{http_code}' -H 'Transfer-Encoding: chunked' -d @"$WORK/row.json" "$URL/predict")" 200
like "Expect: 100-continue" "$(KEEP_OPEN=1 raw "$PORT_main" "POST /predict HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")" $'^HTTP/1.1 100 Continue\r.*HTTP/1.1 408'
n=0
while IFS='|' read -r want title text; do
	n=$((n + 1))
	like "$want: $title" "$(raw "$PORT_main" "$text")" $'^HTTP/1.1 '"$want"$' .*Connection: close\r.*\{"error":"[^"]+"\}$'
done <<END
400|Content-Length beside Transfer-Encoding|POST /predict HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
400|two Content-Lengths that differ|POST /predict HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd
400|Content-Length +3|POST /predict HTTP/1.1\r\n${HOST}Content-Length: +3\r\n\r\nabc
400|Content-Length 0x3|POST /predict HTTP/1.1\r\n${HOST}Content-Length: 0x3\r\n\r\nabc
400|a space before the colon|POST /predict HTTP/1.1\r\n${HOST}TE : chunked\r\n\r\n
400|bare LF|GET / HTTP/1.1\nHost: a\n\n
400|a folded header|GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n
400|NUL|GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n
400|no Host|GET / HTTP/1.1\r\n\r\n
400|two Hosts|GET / HTTP/1.1\r\n${HOST}${HOST}\r\n
400|no HTTP at all|\0\0\0
505|HTTP/2|GET / HTTP/2.0\r\n${HOST}\r\n
417|another expectation|GET / HTTP/1.1\r\n${HOST}Expect: x\r\n\r\n
413|a body over the limit|POST /predict HTTP/1.1\r\n${HOST}Content-Length: 65537\r\n\r\n
413|a chunk over the limit|POST /predict HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n10001\r\n
414|a target over the limit|GET /$(head -c 5000 /dev/zero | tr '\0' a) HTTP/1.1\r\n${HOST}\r\n
431|headers over the limit|GET / HTTP/1.1\r\n${HOST}$(for i in $(seq 200); do printf 'x%d: %080d\\r\\n' "$i" 0; done)\r\n
END

# --- deadlines: the same connection stays open and silent
like "408 when the header stops coming" "$(KEEP_OPEN=1 raw "$PORT_main" 'GET / HTTP/1.1\r\nHo')" '^HTTP/1.1 408 '
like "408 when the body stops coming" "$(KEEP_OPEN=1 raw "$PORT_main" "POST /predict HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nab")" '^HTTP/1.1 408 '
same "a connection that says nothing is closed" "$(KEEP_OPEN=1 raw "$PORT_main" '')" ""
same "an idle one too, behind its answer" "$(KEEP_OPEN=1 raw "$PORT_main" "GET /v2/health/live HTTP/1.1\r\n${HOST}\r\n" | tail -1)" '{"live":true}'

# --- health, version, help, usage
same "health of a ready server" "$("$RUNNER_SAN" health --url "$URL/v2/health/ready"; echo $?)" 0
same "health by the environment" "$(MLCTL_LISTEN=0.0.0.0:$PORT_main "$RUNNER_SAN" health; echo $?)" 0
stop "$PID_main"
same "SIGTERM ends it with 0" "$STOPPED" 0
same "and nothing was on stderr (the sanitizers are silent)" "$(cat "$WORK/main.err")" ""
same "health of nobody" "$("$RUNNER_SAN" health --url "$URL/v2/health/ready" 2>/dev/null; echo $?)" 1
like "version" "$("$RUNNER_SAN" version)" '^mlctl-runner [0-9]'
like "--help names every verb" "$("$RUNNER_SAN" --help | tr '\n' ' ')" 'serve: .*check: .*health: '
like "a flag that is not there" "$("$RUNNER_SAN" serve --modle x 2>&1; echo $?)" 'did you mean --model.*2$'
like "an admin listener on TCP needs a key" "$("$RUNNER_SAN" serve --model "$MODEL" --listen 127.0.0.1:0 --admin 127.0.0.1:0 2>&1; echo $?)" 'needs a key.*--admin-key-file.*2$'

# --- flags by the environment, as an image's configuration sets them; the access log
MLCTL_MODEL=$MODEL MLCTL_NAME=by-env MLCTL_REVISION=e1 MLCTL_RELEASE=r7 MLCTL_THREADS=1 start byenv "$RUNNER_SAN" --access-log
like "the environment stands in for flags" "$(cat "$WORK/byenv.log")" '"event":"ready",.*"model":"by-env",.*"release":"r7","revision":"e1","threads":1,'
same "a flag is stronger" "$(MLCTL_LISTEN=nonsense "$RUNNER_SAN" serve --listen 127.0.0.1 --model x 2>&1 >/dev/null)" "error: address 127.0.0.1: want ADDRESS:PORT, as in 127.0.0.1:8080, or unix:PATH"
like "a variable that makes no sense is named" "$(MLCTL_TIMEOUT=5 "$RUNNER_SAN" serve --model x 2>&1; echo $?)" '^error: MLCTL_TIMEOUT 5: want a time with its unit.*2$'
code -d @"$WORK/row.json" "http://127.0.0.1:$PORT_byenv/predict?a=b" >/dev/null
like "--access-log writes a line per request" "$(tail -1 "$WORK/byenv.log")" '"event":"access","method":"POST","path":"/predict","status":200,"us":[0-9]+,"in":[0-9]+,"out":[0-9]+\}$'
kill -TERM "$PID_byenv"
wait "$PID_byenv"

# --- an output that is no number
start bad "$RUNNER_SAN" --model "$BAD_MODEL"
while read -r line; do code -d "$line" "http://127.0.0.1:$PORT_bad/predict"; echo; done < <(head -40 "$TRAFFIC") | sort | uniq -c >"$WORK/codes"
like "the bad model answers some with 500" "$(tr -s ' \n' ' ' <"$WORK/codes")" ' [0-9]+ 200 [0-9]+ 500 $'
like "which is logged with a hash, without the input" "$(grep '"event":"error"' "$WORK/bad.log" | head -1)" '"status":500,"reason":"output_not_finite","error":"output [0-9] is NaN","path":"/predict","input_bytes":[0-9]+,"input_sha256":"[0-9a-f]{16}"\}$'
same "and counted" "$(metric "$PORT_bad" 'mlctl_requests_total{code="500"}')" "$(awk '$2 == 500 {print $1}' "$WORK/codes")"

# --- check
like "check --json" "$("$RUNNER_SAN" check --model "$MODEL" --golden "$ROOT/examples/breast-cancer/golden.jsonl" --json; echo "exit $?")" '^\{"schema":"mlctl-runner.check/1","model":\{.*"golden":\{"passed":5,"total":5,.*"mismatch":null\}.*exit 0$'
sed 's/"label": *[01]/"label": 7/' "$ROOT/examples/breast-cancer/golden.jsonl" >"$WORK/wrong.jsonl"
like "a wrong golden example is exit 4" "$("$RUNNER_SAN" check --model "$MODEL" --golden "$WORK/wrong.jsonl" --json; echo "exit $?")" '"passed":0,"total":5.*"mismatch":\{"line":1,"row":1,"output":"label","got":"[01]","expected":"7"\}.*exit 4$'
echo nothing >"$WORK/no.onnx"
like "a file that is no model is exit 4" "$("$RUNNER_SAN" check --model "$WORK/no.onnx" --json 2>/dev/null; echo "exit $?")" '"error":\{"kind":"invalid",.*exit 4$'
finish
