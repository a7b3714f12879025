#!/usr/bin/env bash
# render: what would be deployed, as YAML that other people's readers take for the same; where each value comes from; a project's own templates.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
project breast-cancer || exit 1
digest=sha256:$(printf 'a%.0s' $(seq 64))
image=registry.example.com/team/bc@$digest
cat > mlctl.yaml <<'END'
name: bc
image: registry.example.com/team/bc
model: {path: model.onnx}
serve: {timeout: 3s}
environments:
  local: {target: local}
  prod:
    target: kubernetes
    namespace: ml
    scale: {min: 2, max: 6}
    env:
      EVIL: "a: b\n{$if: x} ${this.name} \"q\" # no\n- y"
      "Y": "y"
      NORWAY: "no"
      OCTAL: "0o17"
      EXPONENT: "1e3"
      TIME: "12:30:45"
      NOTHING: ""
      BELL: "\a\x7f\x85 é 🐙 \u2028"
    secrets: {API_TOKEN: bc-keys/token}
    expose: {unauthenticated: true, ingress: {host: bc.example.com, tlsSecret: bc-tls}}
    labels: {team: risk}
END
render() { "$MLCTL" render --env prod --image "$image" "$@"; }

exits "render" 0 render
cp "$out" yaml
for kind in ServiceAccount ConfigMap Service Deployment HorizontalPodAutoscaler PodDisruptionBudget NetworkPolicy Ingress; do says "a $kind" yaml "^kind: $kind$"; done
says "by digest" yaml "image: $image"
silent "replicas are the autoscaler's" yaml '^  replicas:'
equals "no network, nothing but the answer" "$(cat "$err")" ""
exits "the same twice" 0 render
cmp -s "$out" yaml && pass "to the byte" || flunk "to the byte" "$out"
exits "as JSON" 0 render --json
cp "$out" json
says "the schema" json '"schema": "mlctl.render/1"'
if python3 -c 'import yaml' 2>/dev/null; then
	exits "PyYAML reads the same objects" 0 python3 -c '
import json, sys, yaml
objects = list(yaml.safe_load_all(open("yaml")))
assert objects == json.load(open("json"))["objects"]
env = [o for o in objects if o["kind"] == "ConfigMap"][0]["data"]
assert env["EVIL"] == "a: b\n{$if: x} ${this.name} \"q\" # no\n- y" and env["Y"] == "y" and env["NORWAY"] == "no" and env["BELL"] == "\a\x7f\x85 é 🐙 \u2028", env'
else skip "PyYAML reads the same objects" "python3 with yaml is not here"; fi
exits "the canary" 0 render --canary
says "beside the service" "$out" '^  name: bc-canary$'
says "one replica" "$out" '^  replicas: 1$'
silent "without an autoscaler of its own" "$out" HorizontalPodAutoscaler

exits "explained" 0 render --explain
cp "$out" explained
says "a setting's line" "$out" '^  minReplicas: 2 +# mlctl.yaml:10 scale.min, templates/kubernetes/autoscaler.yaml:[0-9]+$'
says "a default" "$out" 'port: 80 +# default expose.port, templates/kubernetes/service.yaml:[0-9]+$'
says "a template's constant" "$out" 'maxUnavailable: 0 +# templates/kubernetes/deployment.yaml:[0-9]+$'
says "what mlctl works out" "$out" 'mlctl.dev/role: stable +# mlctl this.podLabels.mlctl.dev/role, '
says "an included file" "$out" 'value: 3s +# mlctl.yaml:4 serve.timeout, templates/payload/native.yaml:[0-9]+$'
if python3 -c 'import yaml' 2>/dev/null; then
	exits "it is the same YAML" 0 python3 -c 'import sys, yaml; assert list(yaml.safe_load_all(open("explained"))) == list(yaml.safe_load_all(open("yaml")))'
else skip "it is the same YAML" "python3 with yaml is not here"; fi
exits "explained as JSON" 0 render --explain --json
says "where from" "$out" '"from": "scale.min"'
says "set where" "$out" '"set": "mlctl.yaml:10"'

exits "into files" 0 render --output "$home/manifests"
equals "one per object" "$(cd "$home/manifests" && echo *)" "configmap-bc-$(sed -n 's/^  name: bc-\([0-9a-f]*\)$/\1/p' yaml | head -1).yaml deployment-bc.yaml horizontalpodautoscaler-bc.yaml ingress-bc.yaml networkpolicy-bc.yaml poddisruptionbudget-bc.yaml service-bc.yaml serviceaccount-bc.yaml"

exits "of what build makes" 0 "$MLCTL" render --env prod
built=$("$MLCTL" build --env prod --json 2>/dev/null | sed -nE 's/^  "manifest": "(.*)",$/\1/p')
says "its digest" "$out" "image: registry.example.com/team/bc@$built"
says "its memory, as measured" "$out" '^            memory: [0-9]+Mi$'
exits "target local" 0 "$MLCTL" render --env local --image "$image"
says "has objects of its own" "$out" '^kind: local/1$'

mkdir -p .mlctl/templates/kubernetes
printf '$if: this.isStable\n$then:\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: "${service}-extra"}\n  data: {min: {$text: {$: scale.min}}}\n' > .mlctl/templates/kubernetes/extra.yaml
: > .mlctl/templates/kubernetes/network.yaml
exits "a project's own templates" 0 render
says "one more object" "$out" '^  name: bc-extra$'
says "with a number made text" "$out" '^  min: "2"$'
silent "one less" "$out" NetworkPolicy
says "a revision of its own" "$out" 'mlctl.dev/revision: v-'
[ "$(grep -m1 mlctl.dev/revision "$out")" != "$(grep -m1 mlctl.dev/revision yaml)" ] && pass "another one" || flunk "another one" "$out"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: "${scale.mni}"\n' > .mlctl/templates/kubernetes/extra.yaml
exits "a path that is not there" 4 render
says "place and suggestion" "$err" '.mlctl/templates/kubernetes/extra.yaml:5:6.*did you mean min'
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: 1\n' > .mlctl/templates/kubernetes/extra.yaml
exits "what the API server would refuse" 4 render
says "field and place" "$err" 'data.a.*'
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n' > .mlctl/templates/kubernetes/extra.yaml
exits "a Secret" 4 render
mv .mlctl/templates/kubernetes/extra.yaml .mlctl/templates/kubernetes/extra.yml
exits "a file that is no template" 2 render
rm -r .mlctl/templates

exits "a template to start from" 0 "$MLCTL" render --template kubernetes/service.yaml
cmp -s "$out" "$ROOT/templates/kubernetes/service.yaml" && pass "is mlctl's own" || flunk "is mlctl's own" "$out"
mkdir -p .mlctl/templates/kubernetes && cp "$out" .mlctl/templates/kubernetes/service.yaml
exits "and renders the same" 0 render
equals "but for the revision's name" "$(diff <(sed 's/v-[0-9a-f]\{12\}/v/' yaml) <(sed 's/v-[0-9a-f]\{12\}/v/' "$out"))" ""
rm -r .mlctl
exits "no such template" 2 "$MLCTL" render --template kubernetes/nothing.yaml
exits "what there is, and how they are written" 0 "$MLCTL" help templates
for word in '\$each' 'this.podLabels' 'payload/triton.yaml'; do says "$word" "$out" "$word"; done
exits "of what is built" 0 "$MLCTL" render --env prod
grep -v mlctl.dev "$out" >built
says "when the model was made" built "value: \"?$(TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%ad -- model.onnx)"
echo more >>README.md; GIT_AUTHOR_DATE=2030-01-01T00:00:00Z git commit -qam docs
exits "with another commit" 0 "$MLCTL" render --env prod
equals "which is not the model's: nothing changes" "$(grep -v mlctl.dev "$out" | diff built -)" ""
rm built
exits "an image without its digest" 2 "$MLCTL" render --env prod --image registry.example.com/team/bc:1.0
says "what would be right" "$err" 'by its digest'
exits "another repository's image" 2 "$MLCTL" render --env prod --image "registry.example.com/other@$digest"
exits "no environment" 2 "$MLCTL" render --image "$image"
sed -i 's/scale: {min: 2, max: 6}/scale: {min: 2, mx: 6}/' mlctl.yaml
exits "a setting that is not right" 2 render
says "its place" "$err" 'mlctl.yaml:10:21'
finish
