#!/usr/bin/env bash
# doctor, and the other verbs of target kubernetes, where no cluster can be reached: what they say, with which exit code, and how soon.
. "$(dirname "$0")/lib.sh"
unset KUBECONFIG KUBERNETES_SERVICE_HOST
project breast-cancer || exit 1
exits "target local has nothing to examine" 1 "$MLCTL" doctor
says "and says so" "$err" 'target local has nothing to examine'
cat >>mlctl.yaml <<'END'
image: 127.0.0.1:9/team/breast-cancer
registry: {insecure: true}
END
sed -i '/^environments:/,/^  local/d' mlctl.yaml
printf 'environments:\n  prod: {target: kubernetes, namespace: ml}\n' >>mlctl.yaml
exits "mlctl.yaml is valid" 0 "$MLCTL" validate
exits "no kubeconfig" 2 "$MLCTL" doctor
says "names what is missing" "$err" 'KUBECONFIG|kubeconfig'
says "with a fix" "$err" 'fix: '
cat >"$home/kubeconfig" <<'END'
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: me, user: {token: zq9-planted-cluster-token}}]
contexts: [{name: here, context: {cluster: here, user: me}}]
END
export KUBECONFIG=$home/kubeconfig
began=$SECONDS
exits "nobody answers" 1 "$MLCTL" doctor
says "names the server" "$out" 'BAD +server +https://127.0.0.1:9'
[ $((SECONDS - began)) -lt 30 ] && pass "and ends in time: $((SECONDS - began)) s" || flunk "and ends in time: $((SECONDS - began)) s"
exits "as JSON" 1 "$MLCTL" doctor --json
says "one document" "$out" '"healthy": false'
exits "status too" 1 "$MLCTL" status
says "names the server" "$err" '127.0.0.1:9'
sed -i 's/namespace: ml/namespace: ml, context: hree/' mlctl.yaml
exits "an unknown context" 2 "$MLCTL" doctor
says "suggests the one that was meant" "$err" 'here'
exits "whereabouts without --service" 2 "$MLCTL" status --namespace ml
says "tells which goes with which" "$err" 'go with --service'
exits "a target nobody knows" 2 "$MLCTL" status --service fraud --target moon
says "names those there are" "$err" 'kubernetes'
silent "the token is in nothing that was said" <(cat "$out" "$err") 'zq9-planted'
finish
