#!/usr/bin/env bash
# The Grafana dashboard: every expression parses, asks only for series and labels that a live runner exposes, and no panel is broken.
. "$(dirname "$0")/lib.sh"

DASHBOARD=$ROOT/manifests/dashboard.json
if ! command -v python3 >/dev/null; then
	skip "the dashboard" "python3 is not there"
	finish
fi
expressions() { python3 "$ROOT/tests/manifests/expressions.py" "$@" "$DASHBOARD"; }
same "panels do not overlap, and all are of the chosen service" "$(expressions --check 2>&1)" ""
expressions >"$WORK/expressions" 2>"$WORK/err"
same "the expressions are there" "$? $(cat "$WORK/err") $(($(wc -l <"$WORK/expressions") > 25))" "0  1"
cut -f 2 "$WORK/expressions" >"$WORK/only"
exposed
same "they ask for nothing that the runner does not say" "$(names "$WORK/only" | comm -23 - "$WORK/names")" ""
for name in mlctl_requests_total mlctl_request_duration_seconds_bucket mlctl_errors_total mlctl_handover_total mlctl_canary_weight mlctl_requests_in_flight \
	process_cpu_seconds_total mlctl_cpu_limit_cores process_resident_memory_bytes mlctl_memory_limit_bytes mlctl_model_created_timestamp_seconds mlctl_build_info \
	process_start_time_seconds mlctl_ready; do
	same "a panel shows $name" "$(names "$WORK/only" | grep -c "^$name\$")" 1
done
# Labels: the runner's own, and those that a scraped target has.
{ grep -oE '[a-z0-9_]+="' "$WORK/page" | sed 's/="$//'; printf '%s\n' namespace pod job instance cluster image; } | sort -u >"$WORK/labels"
{ grep -oE '(by|on) \([a-z0-9_, ]*\)' "$WORK/only" | sed 's/.*(//; s/)//; s/, */\n/g'; grep -oE '[a-z_]+=~?"' "$WORK/only" | sed 's/=.*//'
	grep -oE '\{\{[a-z_]+\}\}' "$DASHBOARD" | tr -d '{}'; } | sort -u | comm -23 - "$WORK/labels" >"$WORK/unknown"
same "and by no label that nobody sets" "$(cat "$WORK/unknown")" ""

if command -v promtool >/dev/null; then
	{
		printf 'groups:\n- name: dashboard\n  rules:\n'
		awk -F '\t' '{gsub(/\047/, "\047\047", $2); printf "  - record: dashboard:%d\n    expr: \047%s\047\n", NR, $2}' "$WORK/expressions" | sed 's/dashboard:\([0-9]*\)$/dashboard:n\1/'
	} >"$WORK/rules.yaml"
	promtool check rules "$WORK/rules.yaml" >"$WORK/out" 2>&1
	rc=$?
	if [ $rc = 0 ]; then ok "promtool reads each of the $(wc -l <"$WORK/expressions") expressions"; else not_ok "promtool reads each expression" "$(cat "$WORK/out")"; fi
	sed 's/rate(\(.*\)/rate((\1/' "$WORK/rules.yaml" >"$WORK/broken.yaml"
	promtool check rules "$WORK/broken.yaml" >"$WORK/out" 2>&1
	same "and would have refused a broken one" $? 1
else
	skip "promtool reads each expression" "promtool is not there (Debian: prometheus)"
fi
finish
