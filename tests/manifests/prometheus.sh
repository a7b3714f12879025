#!/usr/bin/env bash
# A real Prometheus with the rules of manifests/, and real runners: a stable version of two replicas, a canary behind it, and a service with a model
# that answers NaN. Every panel of the dashboard gets numbers, and the alerts that need no patience are pending.
. "$(dirname "$0")/lib.sh"

for tool in prometheus promtool python3; do
	if ! command -v $tool >/dev/null; then
		skip "a real Prometheus" "$tool is not there (Debian: prometheus, python3)"
		finish
	fi
done
KEY=0123456789abcdef-test
printf '%s\n' "$KEY" >"$WORK/key"
created="--model-created 2026-11-21T10:02:11Z"
# shellcheck disable=SC2086
{
	start canary "$RUNNER" --model "$MODEL" --service fraud --environment prod --revision v2 --release r42 $created
	start one "$RUNNER" --model "$MODEL" --service fraud --environment prod --revision v1 --release r41 $created --admin 127.0.0.1:0 --admin-key-file "$WORK/key"
	start two "$RUNNER" --model "$MODEL" --service fraud --environment prod --revision v1 --release r41 $created
	start bad "$RUNNER" --model "$BAD_MODEL" --service nan --revision v1 --release r1
}
ADMIN=http://127.0.0.1:$(sed -n 's/.*"admin":"127.0.0.1:\([0-9]*\)".*/\1/p' "$WORK/one.log")
curl -s -X PUT -H "Mlctl-Key: $KEY" -d "{\"revision\":\"v2\",\"upstream\":\"127.0.0.1:$PORT_canary\",\"weight\":10,\"ttl_s\":300}" "$ADMIN/admin/split" >/dev/null

PROM=$(perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, INADDR_LOOPBACK)); print +(sockaddr_in(getsockname($s)))[0]')
cp "$ROOT/manifests/alerts.yaml" "$WORK"
cat >"$WORK/prometheus.yml" <<END
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [alerts.yaml]
scrape_configs:
- job_name: mlctl
  static_configs:
  - targets: ["127.0.0.1:$PORT_one", "127.0.0.1:$PORT_two", "127.0.0.1:$PORT_canary", "127.0.0.1:$PORT_bad"]
    labels: {namespace: ml}
END
promtool check config "$WORK/prometheus.yml" >"$WORK/out" 2>&1
same "promtool check config, with the rules" "$?" 0
prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" --web.listen-address="127.0.0.1:$PROM" --log.level=warn >"$WORK/prometheus.log" 2>&1 &
started+=($!)
url=http://127.0.0.1:$PROM
# query EXPRESSION: what it gives, one series a line.
query() { promtool query instant "$url" "$1" 2>&1; }
count() { query "$1" | grep -c .; }
until_true 20 eval '[ "$(curl -s -o /dev/null -w "%{http_code}" "$url/-/ready")" = 200 ]'
until_true 20 eval '[ "$(count "up == 1")" = 4 ]'
same "it reads the pages of all four runners" "$(count 'up == 1')" 4
same "and drops nothing of them" "$(query 'sum(scrape_samples_scraped - scrape_samples_post_metric_relabeling)' | grep -c '=> 0 ')" 1

for port in "$PORT_one" "$PORT_two"; do "$ROOT/tests/runner/load.pl" "$port" 2 8 "$TRAFFIC" >"$WORK/load.$port" & loads+=($!); done
"$ROOT/tests/runner/load.pl" "$PORT_bad" 1 8 "$TRAFFIC" >"$WORK/load.bad" &
loads+=($!)
wait "${loads[@]}"
python3 "$ROOT/tests/manifests/expressions.py" "$ROOT/manifests/dashboard.json" >"$WORK/expressions"
empty=
while IFS=$'\t' read -r title expression; do
	# There are no limits without a container, and "what began since" is nothing once it has begun.
	case $expression in *_limit_*) [ "$(query "$expression" | grep -ci error)" = 0 ] && continue ;; esac
	case $title in annotation*) continue ;; esac
	[ "$(count "$expression")" -gt 0 ] || empty+="$title: $expression"$'\n'
done <"$WORK/expressions"
same "every panel has numbers" "$empty" ""
value() { query "$1" | sed -n 's/.*=> \([0-9.e+-]*\) @.*/\1/p'; }
one="instance=\"127.0.0.1:$PORT_one\""
share=$(value "sum(mlctl_handover_total{result=\"ok\",$one}) / (sum(mlctl_handover_total{result=\"ok\",$one}) + sum(mlctl_requests_total{$one}))")
like "the canary's share of what came to one replica, by its counters: $share" "$share" '^0\.(1$|10|099)'
like "two versions, by revision and release" "$(query 'sum by (mlctl_service, revision, release) (rate(mlctl_requests_total{mlctl_service="fraud"}[1m])) > 0')" 'release="r41".*release="r42"|release="r42".*release="r41"'

pending() { query 'ALERTS' | grep -c "alertname=\"$1\".*mlctl_service=\"$2\""; }
until_true 10 eval '[ "$(pending MlctlErrorRateHigh nan)" = 1 ]'
same "a model that answers NaN: its error rate is an alert" "$(pending MlctlErrorRateHigh nan)" 1
same "the other service's is not" "$(pending MlctlErrorRateHigh fraud)" 0
kill -9 "$PID_bad" "$PID_two"
until_true 10 eval '[ "$(pending MlctlServiceDown nan)" = 1 ]'
same "its only replica is killed: the service is down" "$(pending MlctlServiceDown nan)" 1
until_true 10 eval '[ "$(pending MlctlRunnerDown fraud)" = 1 ]'
same "and each of the two replicas" "$(pending MlctlRunnerDown nan) $(pending MlctlRunnerDown fraud)" "1 1"
same "the other service has two left, and is not down" "$(pending MlctlServiceDown fraud)" 0
kill -9 "$PID_canary"
"$ROOT/tests/runner/load.pl" "$PORT_one" 2 2 "$TRAFFIC" >"$WORK/load.one"
same "the canary is killed: no request fails" "$(grep -c failed "$WORK/load.one")" 0
until_true 10 eval '[ "$(pending MlctlHandOverFailing fraud)" = 1 ]'
same "and its hand-overs are an alert" "$(pending MlctlHandOverFailing fraud)" 1
same "no rule failed" "$(curl -s "$url/api/v1/rules" | grep -o '"lastError":"[^"]*"' | sort | uniq -c)" ""
finish
