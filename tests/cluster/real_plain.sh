#!/usr/bin/env bash
# The ground under the other tests of this tier: an image of ours, deployed by hand with kubectl, serves on a real node; and the node gives what those tests rely on.
. "$(dirname "$0")/lib.sh"
cluster_service 1s 10 "local: {target: local}"
in_ns label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >"$out" 2>&1

push_image "push v1"
v1=$image
exits "apply" 0 apply_plain
exits "the rollout ends" 0 in_ns rollout status deployment/breast-cancer --timeout=60s
silent "PodSecurity finds nothing" "$err" 'would violate'
pod=$(pods_of app=breast-cancer | head -1)
equals "two pods" "$(pods_of app=breast-cancer | wc -l)" 2
exits "a pod answers through the API server" 0 pod_predict "$pod"
says "with a prediction" "$out" '"predictions"'
exits "its metrics too" 0 pod_ask "$pod" /metrics
says "with counters" "$out" '^mlctl_'
equals "each pod runs the digest that was pushed" "$(in_ns get pods -l app=breast-cancer -o json | jq -r '.items[].status.containerStatuses[0].imageID' | sed 's,.*@,,' | sort -u)" "${v1#*@}" # the node names the repository that it first had it from

if address=$(address_of breast-cancer); then
	exits "the Service answers" 0 curl -sf -m 5 -H 'Content-Type: application/json' -d "$(head -1 traffic.jsonl)" "http://$address/predict"
	says "with a prediction" "$out" '"predictions"'
	version v2
	git commit -qam "gradient boosting"
	push_image "push v2"
	if has_wrk; then
		write_lua
		load_start "$address"
		exits "apply v2" 0 apply_plain
		exits "the rollout to v2 ends" 0 in_ns rollout status deployment/breast-cancer --timeout=60s
		sleep 2.5 # the old pods' farewell
		load_stop
		no_failure "a rolling update"
	else skip "a rolling update under load" "wrk is not here"; fi
else skip "the Service answers" "neither its address nor a node port is reached from here"; fi

if is_real_node; then
	port=$(in_ns get service breast-cancer -o 'jsonpath={.spec.ports[0].nodePort}')
	exits "the node port answers" 0 curl -sf -m 5 -o /dev/null "http://$CLUSTER_NODE:$port/v2/health/ready"
	in_ns autoscale deployment breast-cancer --min=2 --max=3 --cpu-percent=90 >/dev/null
	address_by_name() { python3 - "$CLUSTER_NODE" "breast-cancer.$namespace.svc.cluster.local" <<-'END'
		import socket, sys
		server, name = sys.argv[1:]
		asked = b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(w)]) + w.encode() for w in name.split(".")) + b"\0\0\1\0\1"
		line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		line.settimeout(5)
		line.sendto(asked, (server, 53))
		print(socket.inet_ntoa(line.recv(512)[-4:]))
	END
	}
	if command -v python3 >/dev/null; then
		equals "its name leads to it" "$(address_by_name)" "$(in_ns get service breast-cancer -o 'jsonpath={.spec.clusterIP}')"
	else skip "its name leads to it" "python3 is not here"; fi
	comes_true "metrics of the pods" 60 in_ns top pod "$(pods_of app=breast-cancer | head -1)"
	scales() { in_ns get hpa breast-cancer -o json | jq -e '.status.currentMetrics[0].resource.current.averageUtilization != null'; }
	comes_true "an autoscaler reads them" 60 scales
	private_registry || flunk "a registry that wants a password" "$home/private.log"
	in_ns run locked --image="$PRIVATE/locked:1" --overrides='{"spec": {"securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
		"containers": [{"name": "locked", "image": "'"$PRIVATE"'/locked:1", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}' >"$out" 2>&1
	locked_out() { in_ns get events -o json | jq -e '.items[] | select(.involvedObject.name == "locked" and (.message | test("401|no basic auth|authorization failed")))'; }
	comes_true "a registry with a password lets nobody in without" 30 locked_out
	killed=$(api_server_pid)
	kill -KILL "$killed"
	comes_true "a killed API server comes back" 60 kubectl get --raw /readyz
	[ "$(api_server_pid)" != "$killed" ] && pass "as another process" || flunk "as another process"
else skip "the node port, names, metrics, a registry with a password, a killed API server" "not a node of ours"; fi
finish
