#!/usr/bin/env bash
# Servers that are not mlctl's own: with the runner as their guard, and without. The real Triton, TensorFlow Serving and FastAPI images can't be had here;
# the runner's own image stands in for them: it speaks the same protocol as Triton (health, infer), and /predict as any HTTP server might.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "payloads" "simulated pods answer nothing"; finish; }
cluster_service 4s 30
write_lua
deployment() { in_ns get deployment breast-cancer -o "jsonpath={$1}"; }
push_stand_ins
sed -i 's/^  port: 8080.*/  timeout: 5s/; s/min: 2 .*/min: 2/' mlctl.yaml

# --- as Triton, guarded: the model comes out of our image, the share is exact
exchange
version v1
payload "{kind: triton, image: \"$second\", guard: true, args: [serve, --model, /models/model/1/model.onnx, --name, model, --listen, \":8000\", --drain-delay, 7s, --drain, 15s]}"
exits "a guarded server" 0 "$MLCTL" deploy --json
says "is not tested by build, which can't load it" "$err" 'not tested'
equals "each pod has the guard and the server" "$(in_ns get pods -l mlctl.dev/role=stable -o json | jq -c '[.items[].spec.containers | map(.name)] | unique')" '[["runner","server"]]'
equals "the server's image is the one that was asked for" "$(deployment '.spec.template.spec.containers[?(@.name=="server")].image')" "$second"
exits "status" 0 "$MLCTL" status --exit-code
says "healthy" "$out" 'HEALTHY +r1'
exits "predict through the Service" 0 "$MLCTL" predict
says "an answer" "$out" '"predictions"'
address=$(address_of breast-cancer) || { flunk "the Service can be reached from here"; finish; }
equals "Triton's own protocol goes through" "$(curl -s "http://$address/v2/models/model" | jq -r .name)" model
equals "the model is ours, not the one in the server's image" "$(curl -s "http://$address/" | jq -r .model_digest)" "sha256:$(sha256sum <model.onnx | cut -c-64)"
load_start "$address"
version v2
exits "v2 behind a canary" 0 "$MLCTL" deploy --json --events json
says "judged by the guard's numbers" "$err" '"event":"gate".*PASS'
exits "rollback" 0 "$MLCTL" rollback --json
load_stop
no_failure "a canary, a roll and a rollback of guarded servers"
stable=$(deployment '.metadata.labels.mlctl\.dev/revision')
equals "the other version had a share of its own too" "$(($(number_in "$home/load" seen) > $(number_in "$home/load" "$stable")))" 1
version v3-bad
load_start "$address"
exits "a bad model is undone" 9 "$MLCTL" deploy
load_stop
says "for its errors" "$err" 'FAIL .*errors'
equals "and the good one serves" "$(curl -s "http://$address/" | jq -r .model_digest)" "sha256:$(sha256sum <versions/model.onnx | cut -c-64)"
exits "destroy" 0 "$MLCTL" destroy --yes

# --- as any HTTP server, without a guard, by a tag that moves: the share is what the replicas make it
move_tag() { # TAG IMAGE: the registry takes the manifest's bytes under another name
	local path=${repository#*/} host=${repository%%/*} type
	curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$host/v2/$path/manifests/${2#*@}" >"$home/manifest"
	type=$(jq -r .mediaType "$home/manifest")
	curl -sf -o /dev/null -X PUT -H "Content-Type: $type" --data-binary @"$home/manifest" "http://$host/v2/$path/manifests/$1"
}
if is_own_cluster && move_tag moving "$first"; then
	version v1
	payload "{kind: http, image: \"$repository:moving\", ready: /v2/health/ready, health: /v2/health/live, args: [serve, --drain-delay, 5s, --drain, 15s]}"
	exits "an image by its tag" 0 "$MLCTL" deploy --json
	equals "is deployed by the digest that it names" "$(deployment '.spec.template.spec.containers[0].image')" "$first"
	exits "again: nothing to do" 0 "$MLCTL" deploy --json
	equals "unchanged" "$(json_field "$out" outcome)" unchanged
	exits "predict" 0 "$MLCTL" predict
	move_tag moving "$second"
	cp versions/v2/golden.jsonl . # what the other answers
	load_start "$(address_of breast-cancer)"
	exits "the tag has moved: another revision" 0 "$MLCTL" deploy
	load_stop
	says "its share is told as it is" "$err" 'share is 1 of 3 by replica count, not 10 %'
	says "its numbers are the golden examples', and marked" "$err" 'PASS +n=([0-9]+), \1 of them golden'
	equals "it is the other digest" "$(deployment '.spec.template.spec.containers[0].image')" "$second"
	no_failure "from one to the other"
	exits "rollback" 0 "$MLCTL" rollback
	equals "by digest, whatever the tag names" "$(deployment '.spec.template.spec.containers[0].image')" "$first"
	payload "{kind: http, image: \"$third\", ready: /v2/health/ready, health: /v2/health/live, args: [serve, --drain-delay, 5s, --drain, 15s]}"
	exits "a bad server is undone" 9 "$MLCTL" deploy
	equals "and the good one is there" "$(deployment '.spec.template.spec.containers[0].image')" "$first"
	payload "{kind: http, image: \"$repository:nothing\"}"
	exits "a tag that is not there" 6 "$MLCTL" deploy
	says "is told with what to write" "$err" 'fix: payload.image: .*@sha256:'
	exits "destroy" 0 "$MLCTL" destroy --yes
else
	skip "a tag that moves" "not this registry's tags"
fi
equals "nothing is left" "$(in_ns get deployments,services,secrets,configmaps,hpa -l mlctl.dev/service -o name)" ""
finish
