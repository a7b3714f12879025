#!/usr/bin/env bash
# A server that is not mlctl's own and has no guard, behind a Gateway: its canary gets the share that the weights of its HTTPRoute give, exactly. The
# Gateway is Traefik's, which runs on this machine and knows the cluster by its kubeconfig; the server is the runner's own image as anybody's.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "routes" "simulated pods answer nothing"; finish; }
programs=${CLUSTER_BIN:-$("$ROOT/tests/cluster/deps.sh" path)}
[ -x "$programs/traefik" ] && [ -s "$programs/gateway-kinds.yaml" ] || { skip "routes" "Traefik is not here: type tests/cluster/deps.sh gateway"; finish; }
if ! kubectl get crd httproutes.gateway.networking.k8s.io >/dev/null 2>&1; then
	is_own_cluster || { skip "routes" "this cluster has no Gateway API"; finish; }
	kubectl apply --server-side -f "$programs/gateway-kinds.yaml" >/dev/null
	goes_too $(kubectl create --dry-run=client -o name -f "$programs/gateway-kinds.yaml" | grep customresourcedefinition)
	kubectl wait --for=condition=Established crd/httproutes.gateway.networking.k8s.io crd/gateways.gateway.networking.k8s.io --timeout=30s >/dev/null
fi
port=$(free_port)
goes_too "gatewayclass/$namespace"
in_ns apply -f - >/dev/null <<END
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: $namespace}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec: {gatewayClassName: $namespace, listeners: [{name: web, protocol: HTTP, port: $port}]}
END
"$programs/traefik" --entrypoints.web.address="127.0.0.1:$port" --providers.kubernetesgateway=true --providers.kubernetesgateway.throttleduration=100ms \
	--log.level=INFO --global.checknewversion=false --global.sendanonymoususage=false >"$home/traefik.log" 2>&1 &
children="$children $!"

cluster_service 10s 40
write_lua
sed -i 's/^  port: 8080.*/  timeout: 5s/; s/min: 2 .*/min: 2/' mlctl.yaml
printf 'expose: {unauthenticated: true, route: {gateway: public}}\n' >>mlctl.yaml
git commit -qam "behind a Gateway"
push_stand_ins
exchange
server() { payload "{kind: http, image: \"$1\", ready: /v2/health/ready, health: /v2/health/live, args: [serve, --drain-delay, 5s, --drain, 15s]}"; }
route() { in_ns get httproute breast-cancer -o "jsonpath={$1}"; }
weights() { route '.spec.rules[*].backendRefs[*].name'; echo " $(route '.spec.rules[*].backendRefs[*].weight')"; }
share="breast-cancer breast-cancer-canary 9000 1000"
has_share() { [ "$(weights)" = "$share" ]; }
is_accepted() { [ "$(route '.status.parents[0].conditions[?(@.type=="Accepted")].status')" = True ]; }
digest() { curl -s "http://127.0.0.1:$port/" | jq -r .model_digest; }
# share_in N: so many of N requests through the Gateway were answered by the second model.
share_in() {
	local url="http://127.0.0.1:$port/" n=$1
	for ((i = 0; i < n; i++)); do echo "url=$url"; done | curl -s -K - | jq -r .model_digest | grep -c "$(sha256sum <versions/v2/model.onnx | cut -c-64)"
}

version v1
server "$first"
exits "deploy v1" 0 "$MLCTL" deploy --json
equals "the Service is the stable pods'" "$(in_ns get service breast-cancer -o 'jsonpath={.spec.selector.mlctl\.dev/role}')" stable
comes_true "the Gateway has taken the route" 30 is_accepted
comes_true "and answers" 30 curl -sf "http://127.0.0.1:$port/v2/health/ready"
equals "by v1" "$(digest)" "sha256:$(sha256sum <versions/model.onnx | cut -c-64)"
exits "again: nothing to do" 0 "$MLCTL" deploy --json
equals "unchanged" "$(json_field "$out" outcome)" unchanged

cp versions/v2/golden.jsonl .
server "$second"
load_start "127.0.0.1:$port"
"$MLCTL" deploy --json --events json >"$out" 2>"$err" &
pid=$!
within 60 grep -q '"event":"canary"' "$err"
comes_true "the canary's share is the route's: 10 %" 20 has_share
sleep 1 # the Gateway has heard of it
seen=$(share_in 2000)
[ "${seen:-0}" -ge 180 ] && [ "$seen" -le 220 ] && pass "$seen of 2000 requests were v2's" || flunk "$seen of 2000 requests were v2's, 180 to 220 are right"
says_weight() { "$MLCTL" status --json | jq -e ".weight == $1"; }
comes_true "status says so" 10 says_weight 10 # with the next renewal of the lock
wait $pid
equals "deploy v2" $? 0
load_stop
no_failure "from v1 to v2, through the Gateway"
grep -q "by replica count" "$err" && flunk "nothing is said of a replica count" "$err" || pass "nothing is said of a replica count"
equals "the route leads to NAME alone again" "$(weights)" "breast-cancer 1"
equals "no canary is left" "$(in_ns get deployments,services -o name | grep -c canary)" 0
equals "v2 answers" "$(digest)" "sha256:$(sha256sum <versions/v2/model.onnx | cut -c-64)"

server "$third"
exits "a bad one is undone" 9 "$MLCTL" deploy --json
equals "and gets nothing any more" "$(weights)" "breast-cancer 1"

# Killed with the share set: a route keeps what it was told, and one more command takes it back.
cp golden.jsonl "$home/v2.golden"
cp versions/golden.jsonl .
server "$first"
"$MLCTL" deploy --json --events json >"$out" 2>"$err" &
pid=$!
within 60 grep -q '"event":"canary"' "$err"
comes_true "the next canary has its share" 20 has_share
kill -9 $pid
wait $pid 2>/dev/null
equals "killed: the share stays" "$(weights)" "$share"
in_ns delete deployment breast-cancer-canary --wait=true >/dev/null # and somebody takes the canary away
cp "$home/v2.golden" golden.jsonl
server "$second"
exits "a deploy of what serves" 0 "$MLCTL" deploy --json
equals "ends it" "$(weights)" "breast-cancer 1"
equals "no canary is left then either" "$(in_ns get deployments,services -o name | grep -c canary)" 0
exits "rollback" 0 "$MLCTL" rollback --json
equals "v1 answers" "$(digest)" "sha256:$(sha256sum <versions/model.onnx | cut -c-64)"
exits "destroy" 0 "$MLCTL" destroy --yes
equals "nothing is left" "$(in_ns get deployments,services,secrets,configmaps,httproutes -l mlctl.dev/service -o name)" ""
finish
