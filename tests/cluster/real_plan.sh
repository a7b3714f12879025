#!/usr/bin/env bash
# plan and diff on a real Kubernetes: what a deploy would do and change, as the API server says it; a saved plan done exactly; a field that somebody
# else has set, found before anything is touched; a roll that is interrupted or cut, and what comes next.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "plans on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 1s 5
sed -i '/canary:/,/minRequests/d; s/^rollout:/rollout:\n  canary: none/' mlctl.yaml
"$MLCTL" validate >"$out" 2>"$err" || flunk "the settings are valid" "$err"
git commit -qam "all at once"
ours() { in_ns get deployments,services,configmaps,secrets,hpa,pdb -l mlctl.dev/service -o name; }
nothing_written() { if has_audit; then equals "$1: nothing is written" "$(audit_writes | grep -v '^system:')" ""; fi; }

exits "plan of a first release" 3 "$MLCTL" plan --exit-code
says "all of it is new" "$out" 'objects +Deployment/breast-cancer +create'
exits "saved" 0 "$MLCTL" plan --output "$home/first.json"
equals "nothing is there of it" "$(ours)" ""
exits "deploy of that plan" 0 "$MLCTL" deploy --plan "$home/first.json" --json
v1=$(json_field "$out" serving)
if has_audit; then audit_mark; fi
exits "plan of nothing" 0 "$MLCTL" plan --exit-code
says "unchanged" "$out" 'unchanged'
exits "diff of nothing" 0 "$MLCTL" diff --exit-code
nothing_written "plan and diff"

sed -i 's/^serve:/serve:\n  timeout: 3s/' mlctl.yaml
exits "diff of other settings" 3 "$MLCTL" diff --exit-code
says "object, path, from and to" "$out" 'Deployment/breast-cancer +spec\.template\.'
exits "plan of them" 3 "$MLCTL" plan --exit-code
says "as in mlctl.yaml" "$out" 'settings +serve.timeout +"10s" -> "3s"'
git checkout -q mlctl.yaml
nothing_written "diffs"

# Somebody with kubectl.
version v2
in_ns scale deployment breast-cancer --replicas=3 >/dev/null
comes_true "three pods" 60 in_ns wait deployment breast-cancer --for=jsonpath='{.status.readyReplicas}'=3 --timeout=1s
if has_audit; then audit_mark; fi
exits "a field that somebody else has set" 12 "$MLCTL" deploy
says "which, and whose" "$err" 'replicas.*kubectl|kubectl.*replicas'
says "what to do" "$err" 'force-conflicts'
exits "plan says it too" 12 "$MLCTL" plan
nothing_written "a refused deploy"
exits "with force the plan tells" 3 "$MLCTL" plan --exit-code --force-conflicts
says "the number of pods" "$out" 'spec.replicas +3 -> 2'
exits "and deploy takes it over" 0 "$MLCTL" deploy --force-conflicts --json
v2=$(json_field "$out" serving)
exits "then nothing is left to do" 0 "$MLCTL" plan --exit-code

# A roll that is left half way.
image_of_template() { in_ns get deployment breast-cancer -o 'jsonpath={.spec.template.spec.containers[0].image}'; }
# begun DIGEST: a deploy runs, in $pid, and NAME's template is that image's by now.
begun() {
	: >"$err"
	"$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null &
	pid=$!
	while [ "$(image_of_template)" != "$repository@$1" ]; do kill -0 $pid 2>/dev/null || return 1; done
}
all_of() { [ "$(in_ns get pods -l mlctl.dev/service=breast-cancer,mlctl.dev/role=stable -o json | jq -r '[.items[] | select(.metadata.deletionTimestamp == null) | .spec.containers[0].image] | unique | join(" ")')" = "$repository@$1" ]; }
version v1
begun "$v1" && kill -INT $pid
wait $pid
equals "interrupted in a roll" $? 130
says "it is not said to be at a weight" "$err" 'on its way to all of the traffic'
"$MLCTL" status --json >"$home/status"
says "status knows where it stopped" "$home/status" '"phase": "PROMOTE interrupted"'
exits "the rollback turns it round" 0 "$MLCTL" rollback --json
equals "v2 serves" "$(json_field "$out" serving)" "$v2"
all_of "$v2" && pass "on every pod" || flunk "on every pod"
begun "$v1" && kill -9 $pid
wait $pid 2>/dev/null
comes_true "nobody looks, and the roll goes on by itself" 60 all_of "$v1"
exits "the same deploy finishes it" 0 "$MLCTL" deploy --json
equals "v1 serves" "$(json_field "$out" serving)" "$v1"
exits "nothing is left to do" 0 "$MLCTL" plan --exit-code
exits "destroy" 0 "$MLCTL" destroy --yes
equals "nothing is left" "$(ours)" ""
finish
