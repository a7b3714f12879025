#!/usr/bin/env bash
# manifests/deployer.yaml is enough, and all of it is needed: every verb works as that ServiceAccount and nothing is refused; what mlctl asks the API server
# for is what doctor's table and the Role hold, no more and no less; with one permission less doctor names it, and the lines that it prints mend it.
# 8 permissions in a normal run, THOROUGH=1 all.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "the deployer's Role on a cluster" "simulated pods answer nothing"; finish; }
ns=$namespace
reader=mlctl-cluster-reader-$ns
sed -e "s/: ml\$/: $ns/" -e "s/-ml\$/-$ns/" -e "s/name: mlctl-cluster-reader\$/name: $reader/" "$ROOT/manifests/deployer.yaml" >"$home/deployer.yaml"
goes_too "clusterrole/$reader clusterrolebinding/mlctl-cluster-reader-$ns"
exits "deployer.yaml is applied" 0 kubectl apply -f "$home/deployer.yaml"
kubeconfig_of mlctl-deployer "$home/deployer" 2h || { flunk "a kubeconfig of the deployer"; finish; }
in_ns create secret generic tls --from-literal=tls.crt=x --from-literal=tls.key=y >/dev/null
admin=$KUBECONFIG
deployer() { env KUBECONFIG="$home/deployer" "$MLCTL" "$@"; }
# A Role's rules as lines "group/resource verb"; optional ones are those of kinds that the cluster does not have.
rules_of() { jq -r '.rules[] | . as $r | .apiGroups[] as $g | .resources[] as $n | .verbs[] | "\($g)/\($n) \(.)"' | sort -u; }
in_ns get role mlctl-deployer -o json | rules_of >"$home/role"
kubectl get clusterrole "$reader" -o json | rules_of >"$home/reader"

# --- doctor's table and the Role say the same: to an account that may do nothing doctor prints all of it
in_ns create serviceaccount nobody >/dev/null && kubeconfig_of nobody "$home/nobody"
cluster_service 3s 20
sed -i 's/weight: 10%/weight: 50%/; s/^  min: 2.*/  min: 1\n  max: 2\n  cpu: 80%/' mlctl.yaml
printf 'env: {LOG_LEVEL: info}\nexpose:\n  ingress: {host: test.example.com, tlsSecret: tls}\n  unauthenticated: true\n' >>mlctl.yaml
git commit -qam "with an autoscaler and an ingress"
exits "doctor to an account that may do nothing" 1 env KUBECONFIG="$home/nobody" "$MLCTL" doctor --json
role_lines() { jq -r '.findings[] | select(.check == "role") | .fix' "$1" | grep '^- {'; }
role_lines "$out" >"$home/printed"
{ printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: printed, namespace: %s}\nrules:\n' "$ns"; grep -vE '"(nodes|namespaces)"' "$home/printed"; } >"$home/printed.yaml"
kubectl apply -f "$home/printed.yaml" >/dev/null && in_ns get role printed -o json | rules_of >"$home/table"
equals "doctor prints what deployer.yaml grants, and nothing else" "$(diff "$home/role" "$home/table")" ""

# --- every verb works
if has_audit; then audit_mark; fi
exits "doctor" 0 deployer doctor
exits "plan" 0 deployer plan
cp mlctl.yaml "$home/mlctl.yaml"
printf 'resources: {cpu: 900, memory: 256Mi}\n' >>mlctl.yaml
exits "a first deploy of what fits on no node" 8 deployer deploy --json
equals "leaves no pod" "$(in_ns get pods -l mlctl.dev/service -o name)" ""
cp "$home/mlctl.yaml" mlctl.yaml
exits "deploy v1" 0 deployer deploy --json
exits "diff" 0 deployer diff
exits "deploy again: unchanged" 0 deployer deploy
version v2; git commit -qam v2
exits "deploy v2 behind a canary" 0 deployer deploy --json
exits "status" 0 deployer status --exit-code
exits "status --checklist" 0 deployer status --checklist
exits "predict" 0 deployer predict
exits "logs" 0 deployer logs
exits "history" 0 deployer history
version v3-bad; git commit -qam v3
traffic_start "http://$(address_of breast-cancer)"
exits "deploy a bad v3: rolled back" 9 deployer deploy --json
traffic_stop
exits "its evidence" 0 deployer history r4 --evidence
exits "freeze" 0 deployer freeze --reason test
exits "deploy of a frozen one" 12 deployer deploy --allow-refused
exits "unfreeze" 0 deployer unfreeze
exits "rollback" 0 deployer rollback --json
# Fewer objects: the autoscaler and the ingress go.
version v2; sed -i '/^  max: 2/d; /^  cpu: 80%/d; /^expose:/,/unauthenticated/d' mlctl.yaml; git commit -qam "without"
exits "deploy without autoscaler and ingress" 0 deployer deploy --json
in_ns get hpa,ingress -o name >"$home/left"
equals "they are gone" "$(cat "$home/left")" ""
# An image that nobody can pull: what tells why is read.
sed -i 's/^  min: 1.*/  min: 1\nimagePullSecrets: [nothing]/' mlctl.yaml
exits "deploy with a Secret that is missing" 4 deployer deploy --json
sed -i '/imagePullSecrets/d; s/^resources:.*//' mlctl.yaml
printf 'resources: {cpu: 900, memory: 256Mi}\n' >>mlctl.yaml
exits "deploy of what fits on no node: undone" 9 deployer deploy --json
sed -i '/^resources: {cpu: 900/d' mlctl.yaml
exits "destroy" 0 deployer destroy --yes

# --- by the audit log nothing was refused, and everything granted was used
who=system:serviceaccount:$ns:mlctl-deployer
if has_audit; then
	audit_since | jq -r --arg who "$who" 'select(.user.username == $who)' >"$home/asked"
	jq -r 'select(.responseStatus.code == 403) | "\(.verb) \(.requestURI)"' "$home/asked" | grep -vxF "get /api/v1/namespaces/$ns" | sort | uniq -c >"$home/refused"
	equals "no request was refused, but whether the namespace itself is there" "$(cat "$home/refused")" ""
	jq -r 'select(.objectRef) | select(.objectRef.apiGroup // "" | IN("authorization.k8s.io") | not) | .objectRef as $o |
		"\($o.apiGroup // "")/\($o.resource)\(if $o.subresource then "/" + $o.subresource else "" end) \(.verb, (select(.verb == "patch" and .responseStatus.code == 201) | "create"))"' "$home/asked" |
		sort -u >"$home/used" # an apply that makes its object needs create as well
	# What a cluster without the Gateway API and the Prometheus operator can't show.
	sort -u "$home/role" "$home/reader" | grep -vE '^(gateway.networking.k8s.io|monitoring.coreos.com)/' >"$home/granted"
	equals "nothing else was asked for than is granted" "$(comm -13 "$home/granted" "$home/used" | grep -vE '^(gateway.networking.k8s.io|monitoring.coreos.com)/')" ""
	equals "every permission that is granted was used" "$(comm -23 "$home/granted" "$home/used" | paste -sd,)" ""
else
	skip "no request was refused, and every permission was used" "no audit log"
fi

# --- one permission less: doctor names exactly it, and what it prints mends it
shrink() { # GROUP/RESOURCE VERB: the Role without that one
	in_ns get role full -o json | jq --arg what "$1" --arg verb "$2" '{apiVersion, kind, metadata: {name: "mlctl-deployer", namespace: .metadata.namespace},
		rules: [.rules[] | . as $r | .apiGroups[] as $g | .resources[] as $n | {apiGroups: [$g], resources: [$n],
			verbs: [.verbs[] | select(("\($g)/\($n)" != $what) or (. != $verb))]} | select(.verbs | length > 0)]}' | kubectl replace -f - >/dev/null
}
in_ns get role mlctl-deployer -o json | jq '.metadata = {name: "full", namespace: .metadata.namespace}' | kubectl create -f - >/dev/null
tried=0 named=0 mended=0
lines=$(grep -vE '^(gateway.networking.k8s.io|monitoring.coreos.com)/' "$home/role")
[ "${THOROUGH:-0}" = 1 ] || lines=$(shuf -n 8 --random-source=<(yes "${SEED:-4}") <<<"$lines")
while read -r what verb; do
	tried=$((tried + 1)) resource=${what#*/} api=${what%%/*}
	shrink "$what" "$verb"
	for _ in $(seq 30); do
		deployer doctor --json >"$out" 2>"$err" && { sleep 0.1; continue; }
		break
	done
	jq -r '.findings[] | select(.check == "permission" and .state == "bad") | .text' "$out" >"$home/said"
	if [ "$(cat "$home/said")" = "may not $verb $resource${api:+.}$api in namespace $ns" ]; then named=$((named + 1)); else flunk "without $verb of $what doctor says so" "$home/said"; fi
	{ printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: mended, namespace: %s}\nrules:\n' "$ns"; role_lines "$out"; } >"$home/mended.yaml"
	kubectl apply -f "$home/mended.yaml" >/dev/null
	[ $tried = 1 ] && in_ns create rolebinding mended --role=mended "--serviceaccount=$ns:mlctl-deployer" >/dev/null
	if within 5 deployer doctor; then mended=$((mended + 1)); else deployer doctor >"$out" 2>&1; flunk "the lines that doctor prints for $verb of $what mend it" "$out" "$home/mended.yaml"; fi
done <<<"$lines"
equals "of one permission less, doctor names it: $named of $tried" $named $tried
equals "and its lines, applied, mend it: $mended of $tried" $mended $tried
export KUBECONFIG=$admin
finish
