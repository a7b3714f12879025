#!/usr/bin/env bash
# A folder with nothing but a model becomes a project that deploy serves at once; what cannot be served says why and what to type.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
examples=$ROOT/examples
fresh() { rm -rf "$home/w"; mkdir -p "$home/w/${1:-project}" && cd "$home/w/${1:-project}" || exit 1; }

# Every example model, and the shared ones where they are.
served() {
	local name=$1 model=$2
	fresh "$name"
	cp "$model" model.onnx
	exits "$name: init" 0 "$MLCTL" init
	equals "$name: five examples" "$(grep -c '"predictions"' golden.jsonl 2>/dev/null)" 5
	exits "$name: deploy" 0 "$MLCTL" deploy
	exits "$name: predict" 0 "$MLCTL" predict --json
	says "$name: it answers" "$out" '"predictions"'
	exits "$name: destroy" 0 "$MLCTL" destroy --yes
}
for model in "$examples"/*/model.onnx "$examples"/*/versions/*/model.onnx "${SHARED:-/nonexistent}"/models/*.onnx; do
	[ -e "$model" ] || continue
	name=${model#"$examples"/} name=${name#"${SHARED:-/nonexistent}"/models/} name=${name%/model.onnx} name=${name%.onnx}
	served "$(echo "$name" | tr '/_' '--')" "$model"
done
[ -d "${SHARED:-/nonexistent}/models" ] || skip "the shared models" "SHARED is not there"

fresh "My Model (v2)"
cp "$examples/digits/model.onnx" .
exits "a folder's name that is no service's name" 0 "$MLCTL" init --json
equals "is made one" "$(json_field "$out" name)" my-model-v2
cp mlctl.yaml before
exits "mlctl.yaml is there" 2 "$MLCTL" init
says "the line to type" "$err" 'mlctl init --force'
cmp -s before mlctl.yaml && pass "nothing was changed" || flunk "nothing was changed"
echo '{"rows": [], "kept": true}' >golden.jsonl
exits "--force" 0 "$MLCTL" init --force --name other
says "another name" mlctl.yaml '^name: other'
says "golden.jsonl is kept" golden.jsonl kept
exits "a wrong --name" 2 "$MLCTL" init --force --name 'Not Right'
says "what a name must be" "$err" 'name "Not Right" is not right, it must be'

fresh
exits "no model" 1 "$MLCTL" init
says "what is looked for" "$err" 'no model that is served: an .onnx file'
[ ! -e mlctl.yaml ] && pass "nothing is written" || flunk "nothing is written"
exits "a model that is not there" 1 "$MLCTL" init nothere.onnx
exits "a path out of the folder" 2 "$MLCTL" init ../model.onnx

fresh
cp "$examples/digits/model.onnx" a.onnx
cp "$examples/diabetes/model.onnx" b.onnx
exits "two models" 2 "$MLCTL" init
says "both are named" "$err" 'several models, name one: a.onnx, b.onnx'
says "the line to type" "$err" 'mlctl init a.onnx'
exits "one is named" 0 "$MLCTL" init b.onnx
says "it is in the file" mlctl.yaml 'path: b.onnx'
rm mlctl.yaml golden.jsonl
mkdir -p models && mv b.onnx models/
exits "the one in the folder itself comes first" 0 "$MLCTL" init
says "it is in the file" mlctl.yaml 'path: a.onnx'

# A line to type that a shell takes apart as it is meant: the program's name, and both files.
unserved() {
	local file=$1 why=$2 line=$3
	fresh
	printf 'something' >"$file"
	exits "$file" 1 "$MLCTL" init
	says "$file: why" "$err" "$why"
	says "$file: the line" "$err" "$line"
	[ ! -e mlctl.yaml ] && pass "$file: nothing is written" || flunk "$file: nothing is written"
	sed -n 's/^fix: //p' "$err" >"$home/line"
	bash -n "$home/line" && pass "$file: a shell reads it" || flunk "$file: a shell reads it" "$home/line"
}
unserved model.pkl 'loading a pickle runs whatever code' "python3 -c '.*to_onnx.*' model.pkl model.onnx"
unserved model.joblib 'loading a pickle runs whatever code' "python3 -c '.*to_onnx.*' model.joblib model.onnx"
unserved model.pt 'number of features for FEATURES' "python3 -c '.*torch.onnx.export.*' model.pt model.onnx"
unserved model.h5 'only ONNX is served' "python3 -c '.*keras.*' model.h5 model.onnx"
unserved "it's mine.pkl" 'loading a pickle' "'it'.*mine.pkl'"
cp "$examples/digits/model.onnx" model.onnx
exits "beside a model that is served" 0 "$MLCTL" init
says "it is still mentioned" "$out" 'not served'

fresh
head -c 2000 /dev/urandom >model.onnx
exits "a file that is no model" 4 "$MLCTL" init
[ ! -e mlctl.yaml ] && pass "nothing is written then" || flunk "nothing is written then"

for traffic in low high; do
	for kind in simple complex; do
		fresh
		cp "$examples/digits/model.onnx" .
		exits "--traffic $traffic --model $kind" 0 "$MLCTL" init --traffic $traffic --model $kind
		says "the choice is in the file" mlctl.yaml "for $traffic traffic and a $kind model"
		exits "and the file is valid" 0 "$MLCTL" validate
	done
done
fresh
cp "$examples/digits/model.onnx" .
exits "high traffic without a registry" 0 "$MLCTL" init --traffic high --name digits
says "what comes next" "$out" 'next +mlctl deploy$'
sed -i -E -e 's/^# (image: [^ ]*).*/\1/' -e '/^  # With a registry/d' -e 's/^  # /  /' mlctl.yaml
exits "what stands there as comments is valid" 0 "$MLCTL" validate
says "of three environments" "$out" '3 environments'
exits "high traffic with one" 0 "$MLCTL" init --force --traffic high --model complex --name digits --image registry.example.com/team/digits
says "next is an environment" "$out" 'next +mlctl deploy --env local'
exits "its production is rendered" 0 "$MLCTL" render --env prod --image "registry.example.com/team/digits@sha256:$(printf 'a%.0s' $(seq 64))"
says "with an autoscaler" "$out" '^kind: HorizontalPodAutoscaler'
fresh
cp "$examples/digits/model.onnx" .
exits "another word for --traffic" 2 "$MLCTL" init --traffic medium
says "the words there are" "$err" 'low.*high'
exits "another word for --model" 2 "$MLCTL" init --model big
exits "--image" 0 "$MLCTL" init --image registry.example.com/team/digits
says "it is in the file" mlctl.yaml '^image: registry.example.com/team/digits'
exits "a wrong --image" 2 "$MLCTL" init --force --image 'Registry Example'
finish
