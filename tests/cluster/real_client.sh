#!/usr/bin/env bash
# What of lib/kube needs pods that really run: their logs, the one before the last restart too, and their ports through the API server's proxy.
. "$(dirname "$0")/lib.sh"
driver=$ROOT/build/${FLAVOUR:-san}/tests/cluster/kube_driver
if ! [ -x "$driver" ]; then
	skip "logs and ports of pods" "$driver is not built: make test-cluster"
	finish
fi
export NAMESPACE=$namespace
kube() { "$driver" "$@"; }
cluster_service 1s 10 "local: {target: local}"
push_image "push v1"
exits "apply" 0 apply_plain
exits "the rollout ends" 0 in_ns rollout status deployment/breast-cancer --timeout=90s
pod=$(pods_of app=breast-cancer | head -1)

exits "a pod's port" 0 kube proxy Pod "$pod" 8080 GET /v2/health/ready
says "answers" "$out" '^200 '
exits "with a body" 0 kube proxy Pod "$pod" 8080 POST /predict "$(head -1 traffic.jsonl)"
says "that arrived" "$out" '^200 \{.*predictions|^200 .*\['
exits "what it does not know" 0 kube proxy Pod "$pod" 8080 GET /nowhere
says "is its own answer" "$out" '^404 '
exits "a service's port" 0 kube proxy Service breast-cancer 80 GET /v2/health/ready
says "answers as well" "$out" '^200 '
DEADLINE_MS=2000 exits "a port that nobody listens on" 1 kube proxy Pod "$pod" 9 GET /
says "is told" "$err" "^network: .*Pod $pod, port 9: nothing answers there: .*connection refused"
exits "a pod that is not there" 1 kube proxy Pod nothing 8080 GET /
says "is told apart" "$err" "^not-found: Pod $namespace/nothing is not there"
exits "a pod's log" 0 kube logs "$pod" runner 4096
says "has what it said" "$out" '[a-z]'
exits "of a container that it has not" 1 kube logs "$pod" other 4096
says "is told" "$err" '^not-found: log of pod .*container other is not valid for pod'
DRIVER_PREVIOUS=1 exits "of the one before its last restart" 1 kube logs "$pod" runner 4096
says "there is none" "$err" '^not-found: log of pod .*previous terminated container "runner"'
finish
