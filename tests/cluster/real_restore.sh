#!/usr/bin/env bash
# A namespace that is restored from a backup of itself, taken a release ago: status says the truth, deploy and rollback work, no number is given twice. The same
# backup in another cluster is refused, until somebody says that it is meant; and a release that another cluster made is never rolled back to here.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "a cluster restored from a backup" "simulated pods answer nothing"; finish; }
cluster_service 1s 5
sed -i 's/weight: 10%/weight: 50%/; s/^  min: 2.*/  min: 1/' mlctl.yaml; git commit -qam "one replica"
exits "deploy v1" 0 "$MLCTL" deploy --json
v1=$(json_field "$out" serving)
[ "${v1#sha256:}" != "$v1" ] || finish
version v2; git commit -qam v2
exits "deploy v2" 0 "$MLCTL" deploy --json
v2=$(json_field "$out" serving)

kinds=deployments,services,configmaps,secrets,serviceaccounts,hpa,pdb,networkpolicies,ingresses
# What backup programs keep: all of ours, without what belongs to the moment.
in_ns get $kinds -l mlctl.dev/service -o json | jq 'del(.items[].status, .items[].metadata.uid, .items[].metadata.resourceVersion, .items[].metadata.creationTimestamp,
	.items[].metadata.generation, .items[].metadata.managedFields, .items[].metadata.annotations["deployment.kubernetes.io/revision"], .items[].spec.clusterIP?, .items[].spec.clusterIPs?)' >"$home/backup.json"
equals "the backup holds the head, its kept releases and what runs" "$(jq -r '.items[].kind' "$home/backup.json" | sort -u | paste -sd,)" "ConfigMap,Deployment,NetworkPolicy,PodDisruptionBudget,Secret,Service,ServiceAccount"
restore() { # all of ours goes, the backup comes
	in_ns delete $kinds -l mlctl.dev/service --wait=true >/dev/null
	in_ns create -f "$home/backup.json" >/dev/null
	in_ns rollout status deployment/breast-cancer --timeout=60s >/dev/null
}
status_of() { "$MLCTL" status --json >"$home/status" 2>&1; json_field "$home/status" "$1"; }
is_well() { [ "$(status_of health)" = HEALTHY ] && [ "$(json_field "$home/status" image)" = "$1" ] && [ "$(json_field "$home/status" candidate)" = 0 ]; }

sed -i 's/^  min: 1.*/  min: 2/' mlctl.yaml; version v1
exits "deploy r3 after the backup" 0 "$MLCTL" deploy --json
equals "r3" "$(json_field "$out" release)" 3
restore
exits "restored: status" 0 "$MLCTL" status
says "r2 runs again, and nothing is known of r3" "$out" 'HEALTHY +r2'
if within 10 is_well "$v2"; then pass "it serves what r2 is"; else flunk "it serves what r2 is" "$home/status"; fi
exits "and predicts" 0 "$MLCTL" predict
# Whoever restores owns the fields: said, and taken over when that is meant.
sed -i 's/^  min: 2.*/  min: 1/'  mlctl.yaml; version v1
exits "deploy: what the restoring program set is its own" 12 "$MLCTL" deploy --json
says "by name" "$out" 'belongs to kubectl-create'
says "with what to type" "$out" '"fix": ".*--force-conflicts'
exits "deploy --force-conflicts" 0 "$MLCTL" deploy --json --force-conflicts
equals "its number was never given before" "$(json_field "$out" release)" 4
exits "the record of r3 in the registry is still r3's" 0 "$MLCTL" history r3 --json
says "two replicas" "$out" '"replicas": 2'
exits "rollback to r2" 0 "$MLCTL" rollback --to r2 --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
if within 10 is_well "$v2"; then pass "well"; else flunk "well" "$home/status"; fi
restore
exits "restored again: a rollback says whose the fields are" 12 "$MLCTL" rollback --to r1 --json
says "and what to type" "$out" '"fix": ".*rollback --force-conflicts'
exits "rollback --force-conflicts" 0 "$MLCTL" rollback --to r1 --json --force-conflicts
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
[ "$(json_field "$out" release)" -gt 5 ] && pass "its number was never given before" || flunk "its number was never given before" "$out"

# --- in another cluster: the head says where it was made
here=$(in_ns get configmap mlctl.breast-cancer -o 'jsonpath={.metadata.annotations.mlctl\.dev/cluster}')
[ "${here#cluster }" != "$here" ] && pass "the head says which cluster it is of" || flunk "the head says which cluster it is of: $here"
jq '(.items[] | select(.metadata.name == "mlctl.breast-cancer").metadata.annotations["mlctl.dev/cluster"]) = "cluster 00000000-0000-0000-0000-000000000000"' "$home/backup.json" >"$home/other.json"
mv "$home/other.json" "$home/backup.json"
restore
writes() { audit_writes | grep -v '^system:serviceaccount\|^system:node\|kube-'; }
! has_audit || audit_mark
for verb in status deploy rollback "destroy --yes" "freeze --reason x"; do
	# shellcheck disable=SC2086
	exits "restored elsewhere: $verb is refused" 12 "$MLCTL" $verb
	says "$verb: it says both clusters" "$err" "made in cluster 00000000-.*and this is $here"
done
if has_audit; then equals "nothing was written" "$(writes)" ""; else skip "nothing was written" "no audit log"; fi
fix=$(sed -nE 's/.*(kubectl -n .* annotate .*)$/\1/p' "$err" | head -1)
exits "the fix, as it is typed" 0 sh -c "$fix"
exits "then status" 0 "$MLCTL" status
says "says r2" "$out" 'r2'
exits "and deploy" 0 "$MLCTL" deploy --json --force-conflicts
equals "the head is of this cluster now" "$(in_ns get configmap mlctl.breast-cancer -o 'jsonpath={.metadata.annotations.mlctl\.dev/cluster}')" "$here"

# --- two clusters share a repository and the name of an environment: what the other one released is in the registry under our tags
# Two places that call themselves the same: users who see no kube-system, in two namespaces.
record=$(in_ns get secret mlctl.breast-cancer.r1 -o 'jsonpath={.data.release}' | base64 -d | gzip -d | jq -r .record)
equals "a release's record says where it was released" "$(jq -r .facts.place <<<"$record")" "$here"
exits "destroy" 0 "$MLCTL" destroy --yes
place() { # NAMESPACE COMMAND...: as a user of that namespace alone
	local where=$1; shift
	sed "s/namespace: mlctl-test-[a-z0-9-]*/namespace: $where/" "$home/mlctl.yaml" >mlctl.yaml
	env KUBECONFIG="$home/$where" "$MLCTL" "$@"
}
cp mlctl.yaml "$home/mlctl.yaml"
first=$namespace
new_namespace other
other=$namespace
for namespace in "$first" "$other"; do
	in_ns create serviceaccount member >/dev/null && in_ns create rolebinding member --clusterrole=cluster-admin "--serviceaccount=$namespace:member" >/dev/null
	kubeconfig_of member "$home/$namespace" || flunk "a user of $namespace"
done
version v1
exits "v1 to one place" 0 place "$first" deploy --json
exits "v1 to the other" 0 place "$other" deploy --json
n=$(json_field "$out" release)
version v2
exits "v2 to the other" 0 place "$other" deploy --json
exits "v2 to the one" 0 place "$first" deploy --json
[ "$(json_field "$out" release)" -gt "$((n + 1))" ] && pass "numbers are not given twice in one repository" || flunk "numbers are not given twice" "$out"
exits "a rollback to what the other place released" 12 place "$first" rollback --to "r$n"
says "is refused, with both places" "$err" "r$n was released to namespace .*, and this is namespace"
version v1
fix=$(sed -nE 's/.*fix: mlctl (deploy .*@sha256:[0-9a-f]+).*/\1/p' "$err" | head -1)
# shellcheck disable=SC2086
exits "what it says to type brings the same image" 0 place "$first" ${fix:-nothing} --json
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
finish
