# shellcheck shell=bash
# What the tests on a Kubernetes share: a namespace of their own that goes with them, a project for this cluster, its users, its pods, its audit log.
#
# KUBECONFIG and REGISTRY name the cluster and where images go: set by tests/run, or by whoever runs the tests on a cluster of their own. Of our
# own clusters CLUSTER_RUN (its folder), AUDIT_LOG and, of a real node, CLUSTER_HOST (this machine as the node sees it) and CLUSTER_NODE (the
# address of node ports) are set too; what needs one of them skips without it.
PATH=${PEERS_BIN:-$("$(dirname "${BASH_SOURCE[0]}")/../peers/deps.sh" path)}:$PATH # kubectl; asked before the home is another
. "$(dirname "${BASH_SOURCE[0]}")/../local/lib.sh"
. "$ROOT/tests/cluster/audit.sh"
if [ -z "${KUBECONFIG:-}" ] || [ -z "${REGISTRY:-}" ]; then
	skip "$(basename "$0" .sh)" "no cluster: type make test-cluster, or name yours with KUBECONFIG and REGISTRY"
	finish
fi
if ! command -v kubectl >/dev/null || ! command -v jq >/dev/null; then
	skip "$(basename "$0" .sh)" "kubectl or jq is not here: type tests/cluster/deps.sh"
	finish
fi
is_own_cluster() { [ -n "${CLUSTER_RUN:-}" ]; }
is_real_node() { [ -n "${CLUSTER_NODE:-}" ]; }
is_simulated() { is_own_cluster && ! is_real_node; }

# new_namespace [WORD]: makes one and works in it from now on. All go at the end; the first is made here. In one whose WORD is "held" simulated pods
# stay Pending (stages.yaml).
namespaces='' cluster_wide=''
# shellcheck disable=SC2120
new_namespace() {
	namespace=mlctl-test-$(basename "$0" .sh | tr _ -)${1:+-$1}-$(printf '%04x' $RANDOM)
	namespaces="$namespaces $namespace"
	kubectl create namespace "$namespace" >/dev/null && within 90 kubectl -n "$namespace" get serviceaccount/default configmap/kube-root-ca.crt
}
# goes_too KIND/NAME...: objects outside of namespaces that a test makes go with it as well.
goes_too() { cluster_wide="$cluster_wide $*"; }
in_ns() { kubectl -n "$namespace" "$@"; }
leave_cluster() {
	# shellcheck disable=SC2086
	[ -z "$namespaces" ] || kubectl delete namespace --wait=false --ignore-not-found $namespaces >/dev/null 2>&1
	# shellcheck disable=SC2086
	[ -z "$cluster_wide" ] || kubectl delete --wait=false --ignore-not-found $cluster_wide >/dev/null 2>&1
	clean_up
}
trap leave_cluster EXIT
# within SECONDS command...: asks again until it succeeds or the time is over.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}
# comes_true NAME SECONDS command...: as a check.
comes_true() {
	local name=$1 limit=$2 began=$SECONDS
	shift 2
	if within "$limit" "$@"; then pass "$name"; else
		"$@" >"$out" 2>&1
		flunk "$name: not within $((SECONDS - began)) s" "$out"
	fi
}

# cluster_service SECONDS REQUESTS [ENVIRONMENT]: the example as a project for this cluster, v1 checked out, nothing deployed; `version v2` puts
# the next in place. A canary bakes so long and wants so many requests. The only environment is `cluster`, unless another is given.
cluster_service() {
	repository=$REGISTRY/$namespace/breast-cancer
	project breast-cancer "logistic regression" || exit 1
	cp model.onnx golden.jsonl versions/ # v1, to come back to
	sed -i "s/for: 10s/for: $1/; s/minRequests: 50/minRequests: $2/; /^environments:/,\$d" mlctl.yaml
	printf 'image: %s\n' "$repository" >>mlctl.yaml
	if is_own_cluster || [ "${REGISTRY_INSECURE:-0}" = 1 ]; then echo 'registry: {insecure: true}' >>mlctl.yaml; fi
	printf 'environments:\n  %s\n' "${3:-cluster: {target: kubernetes, namespace: $namespace\}}" >>mlctl.yaml
	git commit -qam "for a cluster"
}
# payload SETTINGS: another server than ours answers. exchange: and this is what its golden examples look like.
payload() { sed -i '/^payload:/d' mlctl.yaml; echo "payload: $1" >>mlctl.yaml; }
exchange() {
	local f
	for f in golden.jsonl versions/golden.jsonl versions/*/golden.jsonl; do
		jq -c 'if .request then . else {path: "/predict", request: {rows}, answer: {predictions}, tolerance: (.tolerance // 0.0001)} end' "$f" >"$home/lines" && cp "$home/lines" "$f"
	done
}
# push_image NAME: builds what is there and pushes it; sets image, by digest.
push_image() {
	exits "$1" 0 "$MLCTL" push --json
	image=$repository@$(json_field "$out" manifest)
}

# push_stand_ins: the runner's own image with each version's model, as another server's; sets first, second and third, which is bad.
# shellcheck disable=SC2034
push_stand_ins() {
	version v1
	push_image "an image that stands in: v1"
	first=$image
	version v2
	push_image "and v2"
	second=$image
	version v3-bad
	exits "and a bad one" 0 "$MLCTL" push --no-test --json
	third=$repository@$(json_field "$out" manifest)
}

# address_of SERVICE: where this machine reaches it, as host:port: its own address, or a node port. Fails where neither can be reached.
address_of() {
	local at
	for at in "$(in_ns get service "$1" -o 'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}')" \
		"$(kubectl get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'):$(in_ns get service "$1" -o 'jsonpath={.spec.ports[0].nodePort}')"; do
		case $at in None:* | *: | :*) continue ;; esac
		if timeout 3 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$at" 2>/dev/null; then
			echo "$at"
			return 0
		fi
	done
	return 1
}
# apply_plain: what one would write by hand for $image: two pods of breast-cancer behind a Service, as PodSecurity's strictest level wants them.
apply_plain() {
	in_ns apply -f - <<-END
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: breast-cancer}
		spec:
		  replicas: 2
		  selector: {matchLabels: {app: breast-cancer}}
		  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
		  template:
		    metadata: {labels: {app: breast-cancer}}
		    spec:
		      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
		      containers:
		      - name: runner
		        image: $image
		        ports: [{name: http, containerPort: 8080}]
		        resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: "1", memory: 128Mi}}
		        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
		        readinessProbe: {httpGet: {path: /v2/health/ready, port: http}, periodSeconds: 1}
		        lifecycle: {preStop: {sleep: {seconds: 2}}}
		---
		apiVersion: v1
		kind: Service
		metadata: {name: breast-cancer}
		spec: {type: NodePort, selector: {app: breast-cancer}, ports: [{name: http, port: 80, targetPort: http}]}
	END
}
# pods_of SELECTOR: names, those on their way out left aside. pod_ask POD PATH [PORT]: what it answers, through the API server.
pods_of() { in_ns get pods -l "$1" -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .metadata.name'; }
pod_ask() { kubectl get --raw "/api/v1/namespaces/$namespace/pods/$1:${3:-8080}/proxy$2"; }
# pod_predict POD [FILE]: its answer to the request in the file, by default the first recorded one.
pod_predict() {
	[ -n "${2:-}" ] || head -1 traffic.jsonl >"$home/request"
	kubectl create --raw "/api/v1/namespaces/$namespace/pods/$1:8080/proxy/predict" -f "${2:-$home/request}"
}

# kubeconfig_of SERVICEACCOUNT FILE [DURATION]: a kubeconfig that knows this cluster as that account of this namespace, and nothing of ours.
kubeconfig_of() {
	local token
	token=$(in_ns create token "$1" --duration="${3:-1h}") || return 1
	kubectl config view --raw --minify -o json | jq --arg token "$token" --arg namespace "$namespace" \
		'.users = [{name: "account", user: {token: $token}}] | .contexts[0].context.user = "account" | .contexts[0].context.namespace = $namespace' >"$2"
}
# Of our own clusters only. api_server_pid: to be killed; its keeper starts it again after half a second. trust_registry HOST:PORT: a real node pulls
# from there by plain http from now on.
api_server_pid() { pgrep -f "^kube-apiserver .*$CLUSTER_RUN/"; }
# proxy_again: kube-proxy starts anew and knows every endpoint. Each time the API server goes away it waits twice as long before it asks again, up to a minute
# until two minutes were quiet, and so long the node sends requests to pods that are gone, whoever deploys. The rules stay where they are meanwhile.
proxy_synced() { grep -c 'Caches are synced.*endpoint slice' "$CLUSTER_RUN/log/proxy.log"; }
proxy_is_new() { [ "$(proxy_synced)" -gt "$1" ]; }
proxy_again() {
	local before; before=$(proxy_synced)
	pkill -KILL -f "^kube-proxy .*$CLUSTER_RUN/" && within 20 proxy_is_new "$before"
}
trust_registry() {
	[ -d "$CLUSTER_RUN/registries" ] && mkdir -p "$CLUSTER_RUN/registries/$1" &&
		printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$1" "$1" >"$CLUSTER_RUN/registries/$1/hosts.toml"
}

# private_registry: another one on this machine, which a real node can reach and which wants a password; sets PRIVATE, its host:port. Debian's, and by plain http.
PRIVATE_USER=peer PRIVATE_PASSWORD=s3cret:word
private_registry() {
	local port
	is_real_node && command -v htpasswd >/dev/null || return 1
	port=$(free_port)
	PRIVATE=$CLUSTER_HOST:$port
	htpasswd -Bbn -C 4 "$PRIVATE_USER" "$PRIVATE_PASSWORD" >"$home/htpasswd" 2>/dev/null
	printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\nauth: {htpasswd: {realm: test, path: %s}}\n' \
		"$home/private" "$PRIVATE" "$home/htpasswd" >"$home/private.yml"
	docker-registry serve "$home/private.yml" >"$home/private.log" 2>&1 &
	children="$children $!"
	trust_registry "$PRIVATE" && within 15 curl -s -o /dev/null "http://$PRIVATE/v2/"
}

within 30 kubectl get --raw /readyz # the test before may have ended with a dead API server
new_namespace || { flunk "a namespace for the test"; finish; }
