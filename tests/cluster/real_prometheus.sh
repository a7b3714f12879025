#!/usr/bin/env bash
# A Prometheus that is named: the canary is judged by what that has read, and by nothing when it has read nothing. Debian's, on this machine.
. "$(dirname "$0")/lib.sh"
is_real_node || { skip "a Prometheus" "it needs pods that this machine reaches"; finish; }
has_wrk && command -v prometheus >/dev/null || { skip "a Prometheus" "wrk or prometheus is not here: apt-get install wrk prometheus"; finish; }
cluster_service 8s 50
sed -i 's/^    minRequests: .*/&\n    max: 20s/' mlctl.yaml
write_lua
listen=127.0.0.1:$(free_port)
cat >"$home/prometheus.yml" <<END
global: {scrape_interval: 1s}
scrape_configs:
- {job_name: pods, file_sd_configs: [{files: [$home/pods.json], refresh_interval: 1s}]}
- {job_name: again, file_sd_configs: [{files: [$home/pods.json], refresh_interval: 1s}]} # a second job that reads the same pods must not count twice
END
# Debian's build knows no Kubernetes: it is told by a file which pods there are.
echo '[]' >"$home/pods.json"
discover() { while :; do
	in_ns get pods -o json 2>/dev/null | jq '[.items[] | select(.status.podIP) | {targets: [.status.podIP + ":8080"], labels: {pod: .metadata.name}}]' >"$home/pods.new" &&
		mv "$home/pods.new" "$home/pods.json"
	sleep 0.5
done; }
discover & children="$children $!"
start_prometheus() {
	prometheus --config.file="$home/prometheus.yml" --storage.tsdb.path="$home/tsdb" --web.listen-address="$listen" >"$home/prometheus.log" 2>&1 &
	prometheus=$!
	children="$children $prometheus"
	within 20 curl -sf "http://$listen/-/ready"
}
start_prometheus || { flunk "Prometheus starts" "$home/prometheus.log"; finish; }
echo "monitoring: {prometheus: \"http://$listen\"}" >>mlctl.yaml
exits "a first deploy" 0 "$MLCTL" deploy --json
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
load_start "$address"
version v2
if has_audit; then audit_mark; fi
exits "a canary, judged by Prometheus" 0 "$MLCTL" deploy --json --events json
says "passes with the users' requests" "$err" '"event":"gate".*PASS'
load_stop
no_failure "under load"
seen=$(sed -nE 's/.*"event":"gate".*"requests":([0-9]+).*/\1/p' "$err" | tail -1)
canary=$(json_field "$out" serving)
equals "no more of them than there were" "$(( ${seen:-0} > 50 && ${seen:-0} <= $(number_in "$home/load" seen) ))" 1
if has_audit; then
	equals "no pod was asked for its numbers" "$(audit_since 2>/dev/null | jq -r 'select(.requestURI | test("proxy/metrics")) | .requestURI' | wc -l)" 0
fi
version v3-bad
load_start "$address"
exits "a bad one is undone by its numbers" 9 "$MLCTL" deploy
load_stop
says "which are these" "$err" 'FAIL .*errors [0-9]+ = '
kill "$prometheus"; wait "$prometheus" 2>/dev/null
version v1
sed -i '$s/$/ # another settings text is no other revision/' mlctl.yaml
load_start "$address"
exits "nobody there: undecided, and undone" 11 "$MLCTL" deploy
load_stop
says "says who was not there" "$err" 'monitoring.prometheus: .*refused'
silent "and passes nothing" "$err" 'gate +PASS'
exits "destroy" 0 "$MLCTL" destroy --yes
finish
