#!/usr/bin/env bash
# --json: stdout is exactly one document, whatever happens, and it is what `mlctl help --schema VERB` says; stderr's events are one object a line.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
python3 -c 'import json' 2>/dev/null || { skip "--json against its schemas" "no python3"; finish; }

cat >"$home/fits.py" <<'P'
import json, sys
# fits.py answer FILE SCHEMA CODE | error FILE CODE | lines FILE: says nothing when all is well
def strict(text):
    def members(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), "a name twice in %s" % names
        return dict(pairs)
    def refuse(word): raise ValueError(word)
    return json.loads(text, object_pairs_hook=members, parse_constant=refuse)
is_a = {"string": lambda v: isinstance(v, str), "integer": lambda v: isinstance(v, int) and not isinstance(v, bool), "boolean": lambda v: isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool), "object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list),
    "null": lambda v: v is None}
def fits(value, schema, name):
    types = schema.get("type")
    if types is not None:
        types = [types] if isinstance(types, str) else types
        assert any(is_a[t](value) for t in types), "%s: %r is not %s" % (name, value, types)
    if "const" in schema:
        assert value == schema["const"], "%s: %r is not %r" % (name, value, schema["const"])
    if isinstance(value, list) and "items" in schema:
        for item in value: fits(item, schema["items"], name + "[]")
    if isinstance(value, dict) and "properties" in schema:
        for key in value:
            assert key in schema["properties"], "%s.%s is not in the schema" % (name, key)
            fits(value[key], schema["properties"][key], name + "." + key)
        for key in schema.get("required", []): assert key in value, "%s.%s is missing" % (name, key)
text = open(sys.argv[2], encoding="utf-8").read()
if sys.argv[1] == "lines":
    for line in text.splitlines():
        event = strict(line)
        assert isinstance(event, dict) and isinstance(event.get("event"), str), line
elif sys.argv[1] == "error":
    answer = strict(text)
    fits(answer, {"type": "object", "properties": {"schema": {"const": "mlctl.error/1"}, "code": {"const": int(sys.argv[3])}, "kind": {"type": "string"},
        "message": {"type": "string"}, "fix": {"type": ["string", "null"]}, "at": {"type": ["string", "null"]}}, "required": ["schema", "code", "kind", "message"]}, "")
    assert answer["message"] and answer["message"][-1] != ".", answer["message"]
else:
    answer = strict(text)
    fits(answer, strict(open(sys.argv[3]).read()), "")
    if "exit_code" in answer: assert answer["exit_code"] == int(sys.argv[4]), "exit_code %s" % answer["exit_code"]
P
fits() { # fits NAME MODE ARGS: what fits.py has to say is shown
	local name=$1; shift
	if python3 "$home/fits.py" "$@" >"$home/said" 2>&1; then pass "$name"; else tail -1 "$home/said" >"$home/why"; flunk "$name" "$home/why" "$out" "$err"; fi
}
# answers CODE VERB ARGS...: exit code, one document of the verb's schema on stdout, one event a line on stderr
answers() {
	local want=$1 verb=$2; shift
	"$MLCTL" help --schema "$verb" >"$home/schema" || flunk "$verb has a schema"
	"$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null
	local got=$?
	[ $got = "$want" ] || { flunk "$* (exit $got, expected $want)" "$out" "$err"; return; }
	fits "$*: its schema" answer "$out" "$home/schema" $got
	[ ! -s "$err" ] || fits "$*: its events" lines "$err"
}
# fails CODE ARGS...: mlctl.error/1 on stdout
fails() {
	local want=$1; shift
	"$MLCTL" "$@" --json --events json >"$out" 2>"$err" </dev/null
	local got=$?
	[ $got = "$want" ] || { flunk "$* (exit $got, expected $want)" "$out" "$err"; return; }
	fits "$*: an error document" error "$out" $got
	fits "$*: the error is an event too" lines "$err"
}

verbs=$("$MLCTL" | sed -nE 's/^  ([a-z]+) +[a-z].*/\1/p' | grep -v '^mlctl' | sort -u)
cd "$home" || exit 1
for verb in $verbs; do [ "${TIER:-test}" = check ] || fails 2 "$verb" --nonsense; done
fails 2 nonsense
fails 2 help nonsense
for verb in validate build push plan diff deploy status rollback history predict freeze unfreeze destroy; do
	"$MLCTL" $verb --json >"$out" 2>"$err" </dev/null
	fits "$verb without mlctl.yaml" error "$out" $?
done
answers 0 version

while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
project breast-cancer || exit 1
sed -i "s/port: 8080/port: $port/; s/for: 10s/for: 1m/" mlctl.yaml
mkdir "$home/new" && cp model.onnx "$home/new/"
answers 0 init -C "$home/new"
answers 0 validate
answers 0 build
answers 0 push
answers 0 status
answers 0 history
answers 3 plan --exit-code
answers 3 diff --exit-code
fails 1 predict
answers 12 rollback
[ "${TIER:-test}" != check ] || finish # a service's life takes its time
answers 0 deploy
answers 0 deploy # unchanged
answers 0 plan --exit-code
answers 0 diff --exit-code
answers 0 status
answers 0 predict
answers 0 history
answers 0 history r1
answers 0 logs
answers 0 freeze --reason 'a "quoted" reason, ünïcode and \back'
answers 12 deploy --force
answers 12 plan --force
answers 0 status
answers 0 unfreeze
fails 1 history r9
fails 2 logs --follow
answers 0 push -v
export DOCKER_CONFIG=$home/docker
printf 'hunter2secret' >"$home/password"
"$MLCTL" login registry.example.com --username ci --password-stdin --json >"$out" 2>"$err" <"$home/password"
"$MLCTL" help --schema login >"$home/schema"
fits "login: its schema" answer "$out" "$home/schema" 0
answers 0 logout registry.example.com

# Interrupted while it hashes (1.5 GB of nothing): an error document.
cp -r . "$home/large" && (cd "$home/large" && mkdir -p model && mv model.onnx model/ && truncate -s 1500M model/big.bin && sed -i 's/path: model.onnx/path: model/' mlctl.yaml)
timeout --preserve-status -s TERM 0.5 "$MLCTL" build -C "$home/large" --json --events json >"$out" 2>"$err" </dev/null
code=$?
equals "interrupted while it hashes: exit code" $code 143
fits "interrupted: an error document" error "$out" $code
rm -rf "$home/large"

# Interrupted while it bakes: the answer is still one document, the code 130, and the record says what is.
cp versions/v2/* .
"$MLCTL" help --schema deploy >"$home/schema"
timeout --preserve-status -s INT 4 "$MLCTL" deploy --json --events json >"$out" 2>"$err" </dev/null
code=$?
equals "interrupted in the bake: exit code" $code 130
fits "interrupted: a document all the same" answer "$out" "$home/schema" $code
says "its outcome" "$out" '"outcome": "INTERRUPTED"'
fits "interrupted: events" lines "$err"
answers 0 status
answers 0 rollback
answers 0 destroy --yes
answers 0 status
finish
