#!/usr/bin/env bash
# validate on manifests, and on what an environment renders to: every problem with its place, exit code 4.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
project breast-cancer || exit 1
wire=$ROOT/tests/wire/kubernetes/schema

exits "good manifests" 0 "$MLCTL" validate "$wire"/good/*.yaml
says "are counted" "$out" '^5 files are valid: [0-9]+ Kubernetes objects$'
exits "one file of many documents" 0 "$MLCTL" validate "$wire/good/small.yaml"
says "is named" "$out" "^$wire/good/small.yaml is valid: [0-9]+ Kubernetes objects"
exits "warnings are no refusal" 0 "$MLCTL" validate "$wire"/warned/*.yaml
says "a warning with its place" "$err" 'warning +.*/pod.yaml:[0-9]+:[0-9]+: Deployment m: .*memory: "512m" is a fraction of a byte.*512Mi'

printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: m}\nspec:\n  replicaz: 2\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers: [{name: c, image: i, ports: [{containerPort: "80"}]}]\n---\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: m}\n' >bad.yaml
exits "a bad manifest" 4 "$MLCTL" validate bad.yaml
says "a misspelt field" "$err" '^mlctl: bad.yaml:5:3: Deployment m: spec.replicaz: is not a field of DeploymentSpec$'
says "and what was meant" "$err" 'fix: did you mean replicas\?'
says "a wrong type" "$err" '^mlctl: bad.yaml:10:64: Deployment m: spec.template.spec.containers\[0\].ports\[0\].containerPort: "80" is text, and a whole number is needed'
says "a removed version" "$err" '^mlctl: bad.yaml:12:13: PodDisruptionBudget m: apiVersion: PodDisruptionBudget of policy/v1beta1 was removed in Kubernetes 1.25$'
says "and where it went" "$err" 'fix: apiVersion: policy/v1'
says "how many" "$out" '^bad.yaml: 3 problems$'
exits "the cluster's version is named" 4 "$MLCTL" validate bad.yaml --kubernetes-version 1.27
says "in the words" "$err" 'removed in Kubernetes 1.25, and the cluster is 1.27'
exits "as JSON" 4 "$MLCTL" validate bad.yaml --json
says "each problem" "$out" '"at": "bad.yaml:5:3"'
says "the file" "$out" '^  "file": "bad.yaml"'
says "the number of objects" "$out" '^  "objects": 2'
[ -s "$err" ] && flunk "nothing on stderr" "$err" || pass "nothing on stderr"
exits "no version" 2 "$MLCTL" validate bad.yaml --kubernetes-version latest
says "said so" "$err" '"latest" is no version of Kubernetes'

"$MLCTL" validate - <bad.yaml >"$out" 2>"$err"
equals "standard input: exit code" $? 4
says "standard input: the place" "$err" '^mlctl: standard input:5:3: '
printf 'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: 1}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: other}}\n' >list.yaml
exits "a list's items" 4 "$MLCTL" validate list.yaml
says "are looked at" "$err" '^mlctl: list.yaml:4:68: ConfigMap m: data.a: 1 is a number'
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: yes, b: "yes ä", c: off}\n' >words.yaml
exits "words that kubectl takes for others" 0 "$MLCTL" validate words.yaml
says "yes" "$err" 'words.yaml:4:11: yes is true or false to kubectl'
says "off, behind a letter of two bytes" "$err" 'words.yaml:4:31: off is true or false'
silent "not in quotes" "$err" '4:19'
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: m}\ndata: {password: hunter2!}\n' >secret.yaml
exits "a Secret's value" 4 "$MLCTL" validate secret.yaml
silent "is not told" "$err" hunter2
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: m}\nspec: {containers: [{name: c, image: i}]}\n' >pod.yaml
exits "a pod that may be root" 0 "$MLCTL" validate pod.yaml
exits "where that is refused" 4 "$MLCTL" validate pod.yaml --restricted
says "by the control's name" "$err" 'Pod m: spec.containers\[0\].securityContext.runAsNonRoot: Running as Non-root: is missing'
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: m\n' >broken.yaml
exits "broken YAML among others" 4 "$MLCTL" validate pod.yaml broken.yaml
says "has a place" "$err" '^mlctl: broken.yaml:[0-9]+:[0-9]+: not YAML'
exits "a file that is not there" 1 "$MLCTL" validate pod.yaml none.yaml

# What mlctl.yaml renders to.
sed -i '/^environments:/,$d; /^image:/d' mlctl.yaml
printf 'image: registry.example.com/team/x\nenvironments:\n  local: {target: local}\n  prod:\n    target: kubernetes\n    env: {A: x}\n' >>mlctl.yaml
line=$(grep -n 'A: x' mlctl.yaml | cut -d: -f1)
exits "an environment is rendered and checked" 0 "$MLCTL" validate --restricted
says "its objects are counted" "$out" 'is valid: 2 environments, [0-9]+ Kubernetes objects$'
mkdir -p .mlctl/templates/kubernetes
cp "$ROOT/templates/kubernetes/service.yaml" "$ROOT/templates/kubernetes/deployment.yaml" .mlctl/templates/kubernetes/
sed -i 's/targetPort/targetPrt/' .mlctl/templates/kubernetes/service.yaml
exits "a template that makes no valid object" 4 "$MLCTL" validate
says "is named with its place" "$err" '^mlctl: .mlctl/templates/kubernetes/service.yaml:[0-9]+:[0-9]+: prod: Service breast-cancer: spec.ports\[0\].targetPrt: is not a field of ServicePort$'
equals "once, though the canary has it too" "$(grep -c targetPrt "$err")" 1
rm .mlctl/templates/kubernetes/service.yaml
sed -i 's/enableServiceLinks: false/enableServiceLinks: {$: env.A}/; s/runAsNonRoot: true/runAsNonRoot: false/' .mlctl/templates/kubernetes/deployment.yaml
exits "a value of mlctl.yaml that does not fit" 4 "$MLCTL" validate
says "is named with its line there, and the template's" "$err" "^mlctl: mlctl.yaml:$line:[0-9]+: prod: Deployment breast-cancer: spec.template.spec.enableServiceLinks: \"x\" is text.*\(env.A, by .mlctl/templates/kubernetes/deployment.yaml:[0-9]+\)"
says "a pod that may be root is a warning" "$err" 'warning +.mlctl/templates/kubernetes/deployment.yaml:[0-9]+:[0-9]+: .*Running as Non-root'
exits "unless it was asked for" 4 "$MLCTL" validate --restricted
says "then it is a problem" "$err" '^mlctl: .mlctl/templates/kubernetes/deployment.yaml:[0-9]+:[0-9]+: .*Running as Non-root'
finish
