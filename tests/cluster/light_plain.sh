#!/usr/bin/env bash
# The ground under the other tests of this tier: objects applied by hand become pods that run, and the API server gives what those tests rely on.
. "$(dirname "$0")/lib.sh"
cluster_service 1s 10 "local: {target: local}"
push_image "push v1"
exits "apply" 0 apply_plain
exits "the rollout ends" 0 in_ns rollout status deployment/breast-cancer --timeout=60s
equals "two pods run" "$(in_ns get pods -l app=breast-cancer -o json | jq -r '[.items[] | select(.status.phase == "Running")] | length')" 2
equals "of this image" "$(in_ns get pods -l app=breast-cancer -o json | jq -r '.items[].spec.containers[0].image' | sort -u)" "$image"

if has_audit; then
	audit_mark
	in_ns get deployments >/dev/null
	in_ns apply --server-side --dry-run=server -f - >/dev/null 2>&1 <<<'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dry"}}'
	kubectl auth can-i list pods >/dev/null
	equals "reading, a dry run and a review write nothing" "$(audit_writes)" ""
	in_ns create configmap wet --from-literal=a=b >/dev/null
	equals "a write is told" "$(audit_writes)" "admin create configmaps wet"
	[ "$(audit_since | wc -l)" -ge 4 ] && pass "and so is what was only asked" || flunk "and so is what was only asked"
else skip "the audit log tells writes" "no audit log"; fi

# Somebody with few rights.
in_ns create serviceaccount reader >/dev/null
in_ns create role reader --verb=get,list --resource=pods >/dev/null
in_ns create rolebinding reader --role=reader --serviceaccount="$namespace:reader" >/dev/null
kubeconfig_of reader "$home/reader" || flunk "a token for an account"
exits "an account may do what its Role says" 0 kubectl --kubeconfig "$home/reader" get pods
exits "and nothing else" 1 kubectl --kubeconfig "$home/reader" get secrets
says "RBAC says so" "$err" 'Forbidden.*cannot list resource "secrets"'

# Pods that PodSecurity refuses, as a Deployment meets it: not the Deployment, its ReplicaSet is told.
in_ns label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
in_ns create deployment root --image=root:1 >/dev/null 2>&1
refusal() { in_ns get deployment root -o json | jq -e '.status.conditions[]? | select(.type == "ReplicaFailure" and (.message | contains("PodSecurity")))'; }
comes_true "PodSecurity refuses a pod that may be root" 20 refusal

# An admission policy of the cluster's, for this namespace alone.
goes_too "validatingadmissionpolicybinding/$namespace" "validatingadmissionpolicy/$namespace"
kubectl apply -f - >"$out" 2>&1 <<-END || flunk "an admission policy" "$out"
	apiVersion: admissionregistration.k8s.io/v1
	kind: ValidatingAdmissionPolicy
	metadata: {name: $namespace}
	spec:
	  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}
	  validations: [{expression: "!object.metadata.name.startsWith('forbidden')", message: "this name is taken by the test"}]
	---
	apiVersion: admissionregistration.k8s.io/v1
	kind: ValidatingAdmissionPolicyBinding
	metadata: {name: $namespace}
	spec: {policyName: $namespace, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $namespace}}}}
END
is_denied() { ! in_ns create configmap "forbidden-$RANDOM" 2>"$err" && grep -q 'this name is taken by the test' "$err"; }
comes_true "an admission policy denies" 20 is_denied

# Quota, as a rollout meets it.
in_ns create quota few --hard=pods=2 >/dev/null
exits "scale up over the quota" 0 in_ns scale deployment/breast-cancer --replicas=3
exceeded() { in_ns get deployment breast-cancer -o json | jq -e '.status.conditions[]? | select(.type == "ReplicaFailure" and (.message | contains("exceeded quota")))'; }
comes_true "the quota holds" 20 exceeded

if is_simulated; then
	new_namespace held
	in_ns create deployment waits --image=slow:1 >/dev/null
	scheduled() { in_ns get pods -o json | jq -e '.items[0].spec.nodeName and .items[0].status.phase == "Pending"'; }
	comes_true "a held pod is scheduled and waits" 20 scheduled
	pod=$(pods_of app=waits)
	in_ns patch pod "$pod" --subresource=status -p '{"status": {"containerStatuses": [{"name": "slow", "image": "slow:1", "imageID": "", "ready": false, "restartCount": 0,
		"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}]}}' >"$out" 2>&1
	sleep 1
	equals "its status is the test's to write" "$(in_ns get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].state.waiting.reason}')" ImagePullBackOff
else skip "held pods" "these nodes are not simulated"; fi
finish
