#!/usr/bin/env bash
# All that render prints is taken by a real API server as it stands: by kubectl's apply and by server-side apply, strictly, and its pods by PodSecurity
# restricted, without a warning. And by kubernetes-validate (PyPI), which knows the schemas of many versions.
. "$(dirname "$0")/lib.sh"
in_ns label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
project breast-cancer || exit 1
digest=sha256:$(printf 'a%.0s' $(seq 64))
{
	printf 'name: bc\nimage: registry.example.com/team/bc\nmodel: {path: model.onnx}\nenvironments:\n'
	printf '  smallest: {target: kubernetes, namespace: %s}\n' "$namespace"
	cat <<-END
		  largest:
		    target: kubernetes
		    namespace: $namespace
		    resources: {cpu: 500m, memory: 1Gi}
		    scale: {min: 2, max: 6, cpu: 55%}
		    env: {EVIL: "a: b\n{\$if: x} \${this.name} \"q\" # no\n- y", "Y": "y", NORWAY: "no", OCTAL: "0o17", EXPONENT: "1e3", NOTHING: "", BELL: "\a é 🐙"}
		    secrets: {API_TOKEN: bc-keys/token}
		    imagePullSecrets: [registry]
		    expose:
		      {type: LoadBalancer, port: 8000, nodePort: 30123, unauthenticated: true, annotations: {a.b/c: "1"},
		      ingress: {host: bc.example.com, tlsSecret: bc-tls, className: nginx, path: /bc, annotations: {d.e/f: "2"}}}
		    scheduling:
		      nodeSelector: {pool: ml}
		      spread: zone
		      tolerations: [{key: dedicated, value: ml, effect: NoSchedule}, {operator: Exists, effect: NoExecute, tolerationSeconds: 60}, {key: x, operator: Exists}]
		    probes: {startup: 15m}
		    serviceAccount: {annotations: {g.h/i: "3"}}
		    labels: {team: risk}
		    annotations: {j.k/l: "yes"}
		  crds:
		    target: kubernetes
		    namespace: $namespace
		    monitoring: {serviceMonitor: true, labels: {release: prometheus}}
		    expose: {unauthenticated: true, route: {gateway: public, gatewayNamespace: gateways, host: bc.example.com}}
	END
	for kind in triton tfserving fastapi flask http; do
		printf '  %s: {target: kubernetes, namespace: %s, payload: {kind: %s, image: "registry.example.com/server:1"}, secrets: {A: b/c}, env: {D: e}}\n' $kind "$namespace" $kind
	done
} > mlctl.yaml
exits "mlctl.yaml is right" 0 "$MLCTL" validate

# One row per environment and role; the text goes to kubectl as it is.
all="smallest largest crds triton tfserving fastapi flask http"
for env in $all; do
	for role in stable canary; do
		flag=
		[ $role = stable ] || flag=--canary
		# shellcheck disable=SC2086
		"$MLCTL" render --env "$env" --image "registry.example.com/team/bc@$digest" $flag > "$home/$env-$role.yaml" 2>"$err" || flunk "render $env $role" "$err"
	done
done
# What needs somebody's CRDs is held against the schemas by the unit tests.
own_kinds() { "$MLCTL" render --env "$1" --image "registry.example.com/team/bc@$digest" --json | jq '{apiVersion: "v1", kind: "List", items: [.objects[] | select(.apiVersion | test("monitoring.coreos|gateway.networking") | not)]}'; }
own_kinds crds > "$home/crds-stable.yaml"
for env in $all; do
	for role in stable canary; do
		exits "$env, $role: kubectl apply" 0 kubectl apply --dry-run=server --validate=strict -f "$home/$env-$role.yaml"
		equals "$env, $role: without a warning" "$(grep -i warning "$err")" ""
		exits "$env, $role: server-side apply" 0 kubectl apply --server-side --dry-run=server --validate=strict -f "$home/$env-$role.yaml"
	done
done
# The Deployment is only warned of; its pods are what PodSecurity refuses.
pod_of() { "$MLCTL" render --env "$1" --image "registry.example.com/team/bc@$digest" --json | jq '.objects[] | select(.kind == "Deployment").spec.template | .apiVersion = "v1" | .kind = "Pod" | .metadata.name = "pod" | .spec.serviceAccountName = "default"'; }
for env in $all; do
	pod_of "$env" > "$home/pod.json"
	exits "$env: PodSecurity restricted lets the pod in" 0 in_ns create --dry-run=server -f "$home/pod.json"
done
jq '.spec.containers[0].securityContext.allowPrivilegeEscalation = true' "$home/pod.json" > "$home/bad.json"
exits "and a worse one not" 1 in_ns create --dry-run=server -f "$home/bad.json"

# Applied for good, what the server has is what was rendered: nothing to change.
in_ns create secret generic bc-keys --from-literal=token=x >/dev/null
exits "applied" 0 kubectl apply --server-side --field-manager=mlctl -f "$home/largest-stable.yaml"
exits "no difference is left" 0 kubectl diff --server-side --field-manager=mlctl -f "$home/largest-stable.yaml"
equals "values came as they were meant" "$(in_ns get configmap -l mlctl.dev/service=bc -o json | jq -c '.items[0].data')" \
	'{"BELL":"\u0007 é 🐙","EVIL":"a: b\n{$if: x} ${this.name} \"q\" # no\n- y","EXPONENT":"1e3","NORWAY":"no","NOTHING":"","OCTAL":"0o17","Y":"y"}'

# kubernetes-validate, in a folder of its own beside the cluster's programs.
checker=${CLUSTER_BIN:-$home}/validate
if [ ! -x "$checker/bin/kubernetes-validate" ]; then
	python3 -m venv "$checker" >"$out" 2>&1 && "$checker/bin/pip" install -q kubernetes-validate >"$out" 2>&1
fi
if [ -x "$checker/bin/kubernetes-validate" ]; then
	for version in 1.25 1.29 1.33 1.36; do
		exits "kubernetes-validate, $version" 0 "$checker/bin/kubernetes-validate" --strict -k $version "$home"/{smallest,largest,triton,tfserving,http}-{stable,canary}.yaml
	done
	sed 's/replicas: 1/replicas: one/' "$home/smallest-canary.yaml" > "$home/bad.yaml"
	exits "it would have said so" 1 "$checker/bin/kubernetes-validate" --strict "$home/bad.yaml"
else skip "kubernetes-validate" "python3 -m venv or PyPI is not to be had"; fi
finish
