#!/usr/bin/env bash
# The alert rules: promtool accepts them, each fires when it should and is silent when it should not (alerts_test.yaml, and that file fails when a
# rule is broken), the object for the Prometheus operator is the same, and each rule says what to do.
#   tests/manifests/alerts.sh --write    makes manifests/prometheusrule.yaml anew from manifests/alerts.yaml
. "$(dirname "$0")/lib.sh"

RULES=$ROOT/manifests/alerts.yaml OBJECT=$ROOT/manifests/prometheusrule.yaml
groups() { sed -n '/^groups:/,$p' "$RULES"; }
object() {
	sed '/^groups:/,$d' "$OBJECT" 2>/dev/null | sed '/^spec:/,$d'
	echo 'spec:'
	groups | sed 's/^\(.\)/  \1/'
}
if [ "${1:-}" = --write ]; then
	object >"$WORK/object" && cp "$WORK/object" "$OBJECT"
	exit
fi

same "the operator's object holds the same rules (else: tests/manifests/alerts.sh --write)" "$(object | diff - "$OBJECT" | head -20)" ""
alerts=$(grep -c '^  - alert:' "$RULES")
for what in summary description runbook; do
	same "every alert has its $what" "$(grep -c "^      $what: \".*\"\$" "$RULES")" "$alerts"
done
same "every alert has a severity" "$(grep -cE '^      severity: (warning|critical)$' "$RULES")" "$alerts"
same "every runbook is a line to type" "$(grep -E '^      runbook:' "$RULES" | grep -vc 'runbook: "mlctl [a-z]')" 0
exposed
same "the rules ask for nothing that the runner does not say" "$(names "$RULES" | comm -23 - "$WORK/names")" ""

if ! command -v promtool >/dev/null; then
	skip "promtool: the rules and their tests" "promtool is not there (Debian: prometheus)"
	finish
fi
promtool check rules "$RULES" >"$WORK/out" 2>&1
same "promtool check rules" "$?" 0
sed -n '/^spec:/,$p' "$OBJECT" | sed 1d | sed 's/^  //' >"$WORK/spec.yaml"
promtool check rules "$WORK/spec.yaml" >"$WORK/out" 2>&1
same "promtool check rules of the object's spec" "$?" 0

# promtool reads rule files beside its test file. play RULES TESTS: the exit code of these tests with these rules.
TESTS=$ROOT/tests/manifests/alerts_test.yaml DAYS=$ROOT/tests/manifests/alerts_days_test.yaml
play() {
	cp "$1" "$WORK/alerts.yaml"
	cp "$2" "$WORK/play.yaml"
	(cd "$WORK" && promtool test rules play.yaml) >"$WORK/played" 2>&1
}
for tests in "$TESTS" "$DAYS"; do
	play "$RULES" "$tests"
	rc=$?
	if [ $rc = 0 ]; then ok "promtool test rules: $(basename "$tests")"; else not_ok "promtool test rules: $(basename "$tests")" "$(cat "$WORK/played")"; fi
done
for name in $(sed -n 's/^  - alert: //p' "$RULES"); do
	fires=$(grep -h -A 1 "^    alertname: $name\$" "$ROOT"/tests/manifests/alerts*_test.yaml | grep -c 'exp_alerts:$')
	silent=$(grep -ch "alertname: $name, exp_alerts: \[\]}" "$ROOT"/tests/manifests/alerts*_test.yaml | awk '{n += $1} END {print n}')
	same "$name: shown to fire, and shown to be silent" "$((fires > 0)) $((silent > 0))" "1 1"
done

# The tests must see a broken rule: each threshold, guard and wait, made wrong in turn. Only the tests that name what was broken are played.
broken() { # NAME SED-SCRIPT PATTERN-OF-THE-TESTS [FILE]
	sed "$2" "$RULES" >"$WORK/broken.yaml"
	awk -v pattern="$3" 'BEGIN {RS = ""; ORS = "\n\n"} NR == 1 || $0 ~ pattern' "${4:-$TESTS}" >"$WORK/some.yaml"
	if ! grep -q 'exp_alerts' "$WORK/some.yaml"; then
		not_ok "broken: $1" "no test matches $3"
	elif cmp -s "$RULES" "$WORK/broken.yaml" || ! promtool check rules "$WORK/broken.yaml" >/dev/null 2>&1; then
		not_ok "broken: $1" "this no longer breaks the rules, or breaks their grammar: $2"
	elif play "$WORK/broken.yaml" "$WORK/some.yaml"; then
		not_ok "broken: $1" "the tests passed all the same"
	else
		ok "the tests see it broken: $1"
	fi
}
service='by (cluster, namespace, mlctl_env, mlctl_service)'
broken "P50 at 200 ms" 's/\[5m\]))) > 0.1$/[5m]))) > 0.2/' "the median is 121"
broken "P50 at 50 ms" 's/\[5m\]))) > 0.1$/[5m]))) > 0.05/' "the median is between"
broken "P99 at 1 s" 's/\[5m\]))) > 0.5$/[5m]))) > 1/' "two in a hundred"
broken "P99 at 200 ms" 's/\[5m\]))) > 0.5$/[5m]))) > 0.2/' "one in two hundred"
broken "errors at 2 %" '/MlctlErrorRateHigh/,/for:/s/> 0.01$/> 0.02/' "1.15 % of what"
broken "errors at 0.5 %" '/MlctlErrorRateHigh/,/for:/s/> 0.01$/> 0.005/' "0.8 % are errors"
broken "4xx and 505 count as errors" 's/50\[0-4\]/[45]../' "0.8 % are errors"
broken "503 does not" 's/50\[0-4\]/500/' "1.15 % of what"
for pair in MlctlLatencyP50High=between MlctlLatencyP99High=between MlctlErrorRateHigh="0.8 %" MlctlHandOverFailing="does not answer what"; do
	broken "${pair%%=*}: one is enough" "/${pair%%=*}/,/for:/s/> 2.5\$/> 0/" "${pair#*=}"
done
for name in $(awk '/^  - alert:/ {name = $3} /^    for:/ {print name}' "$RULES" | grep -vE 'MlctlModelOld|MlctlRequestRateAnomaly'); do
	broken "$name does not wait" "/alert: $name\$/,/for:/s/for: .*/for: 0s/" "alertname: $name\n    exp_alerts:"
done
broken "CPU at 70 %" 's/> 0.8$/> 0.7/' "85 % of half"
broken "CPU at 95 %" 's/> 0.8$/> 0.95/' "85 % of half"
broken "memory at 80 %" 's/> 0.85$/> 0.80/' "90 % of the memory"
broken "memory at 95 %" 's/> 0.85$/> 0.95/' "90 % of the memory"
broken "replicas are not added up" "s/$service/${service%)}, instance)/" "1.15 % of what"
broken "namespaces are" "s/$service/${service/namespace, /}/" "1.15 % of what"
broken "and environments" "s/$service/${service/mlctl_env, /}/" "1.15 % of what"
broken "a canary is another service" "s/$service/${service%)}, revision)/" "a canary that fails every fifth"
broken "a hand-over that failed is not looked at" 's/result!="ok"/result="lost"/' "does not answer what"
broken "any target that is down is a runner" 's/(last_over_time(mlctl_ready\[1d\]))$/(last_over_time(up[1d]))/' "stops to answer"
broken "two starts are many" 's/\[30m\]) > 2$/[30m]) > 1/' "starts three times"
broken "what was is forgotten" 's/\[1d\]/[1m]/' "stops to answer"
broken "what was is never forgotten" 's/\[1h\]/[3h]/' "all replicas are gone"
broken "a model of 12 hours is old" 's/24 \* 3600/12 * 3600/' MlctlModelOld "$DAYS"
broken "a model of 25 hours is not" 's/24 \* 3600/25.5 * 3600/' MlctlModelOld "$DAYS"
broken "a score of 2 is an anomaly" 's/> 5 or/> 2 or/; s/< -5)/< -2)/; s/>= -5) <= 5/>= -2) <= 2/' "two requests in ten" "$DAYS"
broken "more requests are none" 's/score1d > 5 or/score1d > 500 or/' "three times as many" "$DAYS"
broken "fewer requests are none" 's/score1d < -5/score1d < -500/' "gets a tenth" "$DAYS"
broken "last week is not looked at" '/^      unless on (cluster, namespace, mlctl_env, mlctl_service) ((mlctl_service:/d' "a Sunday" "$DAYS"
broken "a day of no requests is compared with no care" 's/sqrt(1 + /sqrt(/' "a Sunday" "$DAYS"
broken "only counting makes noise" 's/0.07 \*/0.0 */' "half as many again" "$DAYS"
finish
