#!/usr/bin/env bash
# plan and diff: what a deploy would do, said without doing it; a saved plan done exactly, or refused.
. "$(dirname "$0")/../local/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
service 2s 5
nothing() { equals "$1: nothing was changed" "$(find "$state" -name head -newer "$home/mark" 2>/dev/null)" ""; }
touch "$home/mark"

exits "plan before the first deploy" 0 "$MLCTL" plan
says "the first release" "$out" 'r1: the first release'
says "the image" "$out" 'image +none -> sha256:'
[ -e "$state/head" ] && flunk "a plan makes no head" || pass "a plan makes no head"
exits "with --exit-code" 3 "$MLCTL" plan --exit-code
exits "as JSON" 3 "$MLCTL" plan --exit-code --json
says "its schema" "$out" '"schema": "mlctl.plan/1"'
equals "its kind" "$(json_field "$out" kind)" first
exits "diff before" 3 "$MLCTL" diff --exit-code
says "all is new" "$out" 'create'
exits "a plan saved" 0 "$MLCTL" plan --output "$home/first.json"
says "it says how to go on" "$err" 'mlctl deploy --plan'
equals "for its owner" "$(stat -c %a "$home/first.json")" 600
sed 's/"mlctl.plan.1"/"mlctl.plan\/2"/' "$home/first.json" >"$home/newer.json"
exits "a plan of another schema" 4 "$MLCTL" deploy --plan "$home/newer.json"
says "what it must be" "$err" 'must be mlctl.plan/1'
head -c 200 "$home/first.json" >"$home/cut.json"
exits "half a plan" 4 "$MLCTL" deploy --plan "$home/cut.json"
exits "no plan" 1 "$MLCTL" deploy --plan "$home/none.json"
sed 's/"env": "local"/"env": "prod"/' "$home/first.json" >"$home/prod.json"
exits "of another environment" 12 "$MLCTL" deploy --plan "$home/prod.json"
says "which one" "$err" 'environment prod, now it is local'
sed -i 's/for: 2s/for: 4s/' mlctl.yaml
exits "the settings changed since" 12 "$MLCTL" deploy --plan "$home/first.json"
says "it is stale" "$err" 'the plan is stale: it was made for settings'
git checkout -q mlctl.yaml
version v2
exits "the image changed since" 12 "$MLCTL" deploy --plan "$home/first.json"
says "it is stale too" "$err" 'made for image'
version v1
[ "${TIER:-test}" != check ] || finish # a service's life takes its time
exits "the plan is applied" 0 "$MLCTL" deploy --plan "$home/first.json" --json
equals "release 1" "$(json_field "$out" release)" 1
exits "the same plan again" 12 "$MLCTL" deploy --plan "$home/first.json"
says "what happened since" "$err" 'stale: r1 is good now'

touch "$home/mark"
exits "plan of nothing" 0 "$MLCTL" plan --exit-code
says "unchanged" "$out" 'unchanged'
exits "diff of nothing" 0 "$MLCTL" diff --exit-code
says "none" "$out" '0 differences'
sed -i '/^serve:/a\  timeout: 3s' mlctl.yaml
exits "plan of other settings" 3 "$MLCTL" plan --exit-code
says "the path, from and to" "$out" 'settings +serve.timeout +.* "10s" -> "3s"'
says "behind a canary" "$out" 'r2: behind a canary'
silent "the image stays" "$out" '^ +image'
exits "the objects" 3 "$MLCTL" diff --exit-code --json
says "one of them" "$out" '"path": "timeout_ms"'
version v2
exits "plan of another model" 0 "$MLCTL" plan --output "$home/second.json"
says "the model" "$out" 'model +sha256:[0-9a-f]+ -> sha256:'
nothing "plans and diffs"
exits "a freeze comes between" 0 "$MLCTL" freeze --reason audit
exits "plan says that it would be refused" 12 "$MLCTL" plan
says "and why" "$out" 'REFUSED: .*frozen: audit'
exits "and saves none" 12 "$MLCTL" plan --output "$home/third.json"
exits "unfreeze" 0 "$MLCTL" unfreeze
exits "the head moved on" 12 "$MLCTL" deploy --plan "$home/second.json"
says "the head was written" "$err" 'the head was written since'
exits "a new plan" 0 "$MLCTL" plan --output "$home/second.json"
exits "is applied" 0 "$MLCTL" deploy --plan "$home/second.json"
exits "and nothing is left to do" 0 "$MLCTL" plan --exit-code
exits "destroy" 0 "$MLCTL" destroy --yes
finish
