#!/usr/bin/env bash
# A server that is not mlctl's own, on a real Kubernetes: templates, probes and ports of Triton, for a stand-in that speaks its HTTP API (the runner does:
# both speak the Open Inference Protocol; Triton's image can't be run here). Deployed by digest, replaced pod by pod, rolled back, gone.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "another server on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 1s 10 "cluster: {target: kubernetes, namespace: $namespace, scale: {min: 2}, rollout: {canary: none}, model: {golden: null},
    env: {MLCTL_NONE: x}, payload: {kind: triton, port: 8000, args: [serve, \"--listen=:8000\"]}}"
exits "the runner's own settings are nobody else's" 2 "$MLCTL" validate
sed -i 's/ env: {MLCTL_NONE: x},//' mlctl.yaml
git commit -qam "another server"
exits "valid" 0 "$MLCTL" validate
push_image "an image that another job built"
first=$image
exits "build makes none of such" 2 "$MLCTL" deploy
exits "deploy it" 0 "$MLCTL" deploy --image "$first" --json
equals "two pods run it" "$(in_ns get pods -l mlctl.dev/service=breast-cancer -o json | jq -r '[.items[] | select(.spec.containers[0].image == "'"$first"'")] | length')" 2
exits "healthy" 0 "$MLCTL" status --exit-code
infer() { # through the Service, in Triton's words
	kubectl create --raw "/api/v1/namespaces/$namespace/services/breast-cancer:http/proxy/v2/models/model/infer" -f "$home/infer"
}
exits "it says what goes in" 0 kubectl get --raw "/api/v1/namespaces/$namespace/services/breast-cancer:http/proxy/v2/models/model"
jq --slurpfile row <(head -1 traffic.jsonl) '{inputs: [.inputs[0] | {name, datatype, shape: [1, ($row[0].rows[0] | length)], data: $row[0].rows[0]}]}' "$out" > "$home/infer"
exits "and answers" 0 infer
says "with outputs" "$out" '"outputs"'
exits "deploy again" 0 "$MLCTL" deploy --image "$first"
says "unchanged" "$out" 'unchanged'
version v2; git commit -qam "gradient boosting"
push_image "another one"
[ "$image" != "$first" ] && pass "of another digest" || flunk "of another digest"
exits "deploy that" 0 "$MLCTL" deploy --image "$image" --json
equals "every pod runs it" "$(in_ns get pods -l mlctl.dev/service=breast-cancer -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .spec.containers[0].image' | sort -u)" "$image"
exits "rollback" 0 "$MLCTL" rollback --reason "the test says so"
equals "every pod runs the first" "$(in_ns get pods -l mlctl.dev/service=breast-cancer -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .spec.containers[0].image' | sort -u)" "$first"
exits "and answers" 0 infer
exits "destroy" 0 "$MLCTL" destroy --yes
equals "nothing is left" "$(in_ns get deployments,services,configmaps,secrets,networkpolicies,poddisruptionbudgets -l mlctl.dev/service=breast-cancer -o name)" ""
finish
