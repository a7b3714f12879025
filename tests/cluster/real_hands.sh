#!/usr/bin/env bash
# What people do by hand behind mlctl's back: status tells the truth and names it, and one more deploy, or what it says to type, mends it; what belongs to
# somebody else is refused with his name, and never touched.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "hands on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 2s 10
sed -i 's/weight: 10%/weight: 50%/; s/^  min: 2.*/  min: 1/' mlctl.yaml
printf 'resources: {cpu: 50m, memory: 64Mi}\nenv: {LOG_LEVEL: info}\n' >>mlctl.yaml
git commit -qam "one replica"
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
version v2; git commit -qam v2
exits "deploy v2" 0 "$MLCTL" deploy --json
v2=$(json_field "$out" serving)
image2=$(in_ns get deployment breast-cancer -o 'jsonpath={.spec.template.spec.containers[0].image}')
status_of() { "$MLCTL" status --json >"$home/status" 2>&1; json_field "$home/status" "$1"; }
drift_of() { "$MLCTL" status --json 2>/dev/null | jq -r '.drift[]'; }
is_well() { [ "$(status_of health)" = HEALTHY ] && [ "$(json_field "$home/status" config)" = "in sync" ] && [ "$(json_field "$home/status" image)" = "$v2" ] && [ "$(json_field "$home/status" ready)" = 1 ]; }
all_well() { if within 15 is_well; then pass "$1: all is well"; else flunk "$1: not well" "$home/status"; fi; }
exits "status" 0 "$MLCTL" status
says "in sync" "$out" 'config +in sync'

# --- what a deploy mends by itself
in_ns delete service breast-cancer >/dev/null
equals "the Service deleted: status names it" "$(drift_of)" "Service breast-cancer is gone"
exits "plan says what it would do" 0 "$MLCTL" plan
says "a repair, and why" "$out" 'somebody changed Service breast-cancer is gone'
exits "deploy makes it anew" 0 "$MLCTL" deploy --json
all_well "the Service deleted"

in_ns delete deployment breast-cancer >/dev/null
exits "the Deployment deleted: status" 11 "$MLCTL" status --exit-code
says "it is down" "$out" 'DOWN'
says "and says what is gone" "$out" 'drift of Deployment breast-cancer is gone'
exits "deploy makes it anew" 0 "$MLCTL" deploy --json
all_well "the Deployment deleted"

key=$(in_ns get secrets -l mlctl.dev/part=control -o name)
in_ns delete "$key" >/dev/null
drift_of >"$home/drift"
says "the control key deleted: status names it" "$home/drift" "Secret breast-cancer-v-[0-9a-f]+ is gone"
exits "deploy makes another, and the pods take it" 0 "$MLCTL" deploy --json --timeout 60s
all_well "the control key deleted"

map=$(in_ns get configmaps -l mlctl.dev/service=breast-cancer,'!mlctl.dev/part' -o name | head -1)
in_ns patch "$map" --type merge -p '{"data": {"LOG_LEVEL": "debug"}}' >/dev/null
drift_of >"$home/drift"
says "a value of a ConfigMap changed: status says from what to what" "$home/drift" 'data.LOG_LEVEL: "info", there "debug"'
exits "deploy: it is somebody's" 12 "$MLCTL" deploy --json
says "by name, with both values" "$out" 'data.LOG_LEVEL belongs to kubectl.*there .*debug.*ours .*info'
exits "deploy --force-conflicts" 0 "$MLCTL" deploy --json --force-conflicts
says "it lists what it took" "$err" 'taken over:.*LOG_LEVEL belongs to kubectl'
all_well "a value changed"

# --- what belongs to whoever did it: refused, before anything is touched; --force-conflicts takes it, and says what
generation() { in_ns get deployment breast-cancer -o 'jsonpath={.metadata.generation}'; }
# taken NAME PATTERN OWNER_PATTERN: status names it, deploy refuses and names the owner, nothing is touched, --force-conflicts mends it
taken() {
	local name=$1 before
	drift_of >"$home/drift"
	says "$name: status names it" "$home/drift" "$2"
	before=$(generation)
	exits "$name: deploy refuses" 12 "$MLCTL" deploy --json
	says "$name: and says whose what is" "$out" "$3"
	says "$name: and what to type" "$out" 'mlctl deploy --force-conflicts'
	equals "$name: nothing was touched" "$(generation)" "$before"
	exits "$name: deploy --force-conflicts" 0 "$MLCTL" deploy --json --force-conflicts
	says "$name: lists it" "$err" "taken over:.*$3"
	all_well "$name"
}
in_ns scale deployment breast-cancer --replicas=2 >/dev/null
taken "kubectl scale" 'Deployment breast-cancer spec.replicas: 1, there 2' 'spec.replicas belongs to kubectl.*there 2, ours 1'
in_ns set image deployment/breast-cancer "runner=${image2%@*}@$v1" >/dev/null
taken "kubectl set image" 'containers\[runner\].image: .*, there ' 'image belongs to kubectl-set'
in_ns rollout undo deployment/breast-cancer >/dev/null 2>&1
taken "kubectl rollout undo" 'containers\[runner\]' 'belongs to kubectl'
cat >"$home/other.yaml" <<END
{apiVersion: apps/v1, kind: Deployment, metadata: {name: breast-cancer, namespace: $namespace}, spec: {template: {spec: {containers: [{name: runner, resources: {limits: {memory: 96Mi}}, env: [{name: OTHER, value: x}]}]}}}}
END
kubectl apply --server-side --field-manager=other --force-conflicts -f "$home/other.yaml" >/dev/null
drift_of >"$home/drift"
equals "a field of another manager: what he added is his, what he changed is named" "$(cat "$home/drift")" \
	'Deployment breast-cancer spec.template.spec.containers[runner].resources.limits.memory: "64Mi", there "96Mi"'
version v1
exits "another version is refused too, before its canary" 12 "$MLCTL" deploy --json
says "with the field, its owner and both values" "$out" 'resources.limits.memory belongs to other.*there .*96Mi.*ours .*64Mi'
equals "no canary was made" "$(in_ns get deployments,services -o name | grep -c canary)" 0
version v2
exits "--force-conflicts" 0 "$MLCTL" deploy --json --force-conflicts
says "lists it" "$err" 'taken over:.*limits.memory belongs to other'
all_well "a field of another manager"
equals "what he added is still there" "$(in_ns get deployment breast-cancer -o json | jq -r '.spec.template.spec.containers[0].env[] | select(.name == "OTHER") | .value')" x

# --- what mlctl keeps for itself
in_ns delete secret -l mlctl.dev/part=keep >/dev/null
exits "kept releases deleted: status" 0 "$MLCTL" status
says "it can't say what runs is right" "$out" 'config +unknown: .*mlctl deploy --force'
says "nor promise a hot rollback" "$out" 'rollback +r1 .*from the registry'
exits "deploy --force keeps it again" 0 "$MLCTL" deploy --force --json
all_well "kept releases deleted"
in_ns delete configmap mlctl.breast-cancer >/dev/null
exits "the head deleted: status" 0 "$MLCTL" status
says "it says so" "$out" 'LOST'
says "and what is there" "$out" 'no head \(ConfigMap mlctl.breast-cancer is gone\), yet Deployment breast-cancer of revision'
exits "doctor says so" 1 "$MLCTL" doctor
exits "deploy writes it anew" 0 "$MLCTL" deploy --json
n=$(json_field "$out" release)
[ "${n:-0}" -gt 8 ] && pass "its number was never given before: r$n" || flunk "its number was never given before: r$n" "$out"
all_well "the head deleted"

# --- in the middle of a deploy
version v1; sed -i 's/for: 2s/for: 30s/' mlctl.yaml
"$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null &
deploy=$!
within 90 grep -q '"event":"bake"' "$err"
in_ns delete deployment breast-cancer-canary >/dev/null
began=$SECONDS
wait $deploy
equals "the canary deleted while it bakes: rolled back" $? 9
[ $((SECONDS - began)) -lt 25 ] && pass "soon" || flunk "soon: $((SECONDS - began)) s"
says "and says that it is gone" "$out" '"cause": ".*(gone|no replica|health)'
version v2; sed -i 's/for: 30s/for: 2s/' mlctl.yaml
all_well "the canary deleted"

# --- what is not ours
printf '  second: {target: kubernetes, namespace: %s}\n' "$namespace" >>"$home/second"
cp mlctl.yaml "$home/mlctl.yaml"
sed -i "/^environments:/a\\$(cat "$home/second")" mlctl.yaml
for verb in deploy status rollback; do
	exits "two environments in one namespace: $verb is refused" 12 "$MLCTL" $verb --env second
	says "with the other's name" "$err" 'for environment "cluster", not for second'
done
cp "$home/mlctl.yaml" mlctl.yaml
exits "destroy" 0 "$MLCTL" destroy --yes
in_ns create service clusterip breast-cancer --tcp=80:8080 >/dev/null
before=$(in_ns get service breast-cancer -o 'jsonpath={.metadata.resourceVersion}')
exits "a Service of that name that is somebody's: refused" 12 "$MLCTL" deploy --json
says "and says so" "$out" 'Service.*breast-cancer.* not of breast-cancer cluster'
equals "it is untouched" "$(in_ns get service breast-cancer -o 'jsonpath={.metadata.resourceVersion}')" "$before"
exits "destroy leaves it" 0 "$MLCTL" destroy --yes
equals "it is still there" "$(in_ns get service breast-cancer -o 'jsonpath={.metadata.resourceVersion}')" "$before"

# --- the whole namespace goes in the middle of a deploy
new_namespace gone
sed -i "s/namespace: mlctl-test-[a-z0-9-]*/namespace: $namespace/" mlctl.yaml
version v1
exits "deploy v1 elsewhere" 0 "$MLCTL" deploy --json
version v2; sed -i 's/for: 2s/for: 60s/' mlctl.yaml
"$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null &
deploy=$!
within 90 grep -q '"event":"bake"' "$err"
kubectl delete namespace "$namespace" --wait=false >/dev/null
began=$SECONDS
wait $deploy; code=$?
case $code in 1 | 7 | 10 | 12) pass "the namespace deleted in the middle: exit $code after $((SECONDS - began)) s" ;; *) flunk "the namespace deleted in the middle: exit $code" "$out" "$err" ;; esac
says "and says why" "$out" "(namespace|Namespace|destroyed|head|gone|not found)"
comes_true "it is gone" 60 eval '! kubectl get namespace '"$namespace"
exits "status then" 0 "$MLCTL" status
says "names the namespace" "$out" "namespace $namespace is not there"
says "and the fix" "$out" "fix: kubectl create namespace $namespace"
exits "doctor too" 1 "$MLCTL" doctor
exits "deploy is refused before it begins" 1 "$MLCTL" deploy --json
says "with the same fix" "$out" "kubectl create namespace $namespace"
kubectl create namespace "$namespace" >/dev/null; sed -i 's/for: 60s/for: 2s/' mlctl.yaml
exits "the fix, as it is typed, and deploy" 0 "$MLCTL" deploy --json
finish
