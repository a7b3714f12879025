#!/usr/bin/env bash
# validate, build, login and logout on real files, and what they refuse.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
project breast-cancer || exit 1

exits "validate" 0 "$MLCTL" validate
exits "the schema for editors" 0 "$MLCTL" validate --schema
says "it is JSON Schema" "$out" 'json-schema.org/draft/2020-12'
exits "the reference" 0 "$MLCTL" validate --reference
cp mlctl.yaml good.yaml
sed 's/errorRate: 5%/errorrate: 5%/' good.yaml > mlctl.yaml
exits "an unknown key" 2 "$MLCTL" validate
says "place and suggestion" "$err" 'mlctl.yaml:[0-9]+:[0-9]+.*errorRate'
exits "an unknown key, as JSON" 2 "$MLCTL" validate --json
says "place in JSON" "$out" '"at": "mlctl.yaml:[0-9]+:[0-9]+"'
sed 's/weight: 10%/weight: 110%/' good.yaml > mlctl.yaml
exits "a share over 100 %" 2 "$MLCTL" validate
printf 'name: x\nmodel: {path: [}\n' > mlctl.yaml
exits "broken YAML" 2 "$MLCTL" build
cp good.yaml mlctl.yaml

exits "build" 0 "$MLCTL" build --json
first=$(json_field "$out" manifest)
case $first in sha256:????????????????????????????????????????????????????????????????) pass "a digest" ;; *) flunk "a digest" "$out" ;; esac
exits "build again" 0 "$MLCTL" build --json
equals "the same digest" "$(json_field "$out" manifest)" "$first"
exits "build for people" 0 "$MLCTL" build
says "the test's line" "$out" 'golden 5/5'
(umask 077; TZ=Asia/Tokyo HOME=$home/other XDG_CACHE_HOME=$home/other "$MLCTL" build --json >"$out" 2>"$err")
equals "the same digest under another umask, zone and home" "$(json_field "$out" manifest)" "$first"
cp "$ROOT"/examples/digits/versions/v3-refused/model.onnx model.onnx 2>/dev/null
exits "a model that does not fit its golden examples" 4 "$MLCTL" build
git checkout -q model.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 7 > model.onnx
exits "an unfetched LFS file" 4 "$MLCTL" build
says "the line to type" "$err" 'git lfs pull'
head -c 1000 /dev/urandom > model.onnx
exits "no model at all" 4 "$MLCTL" build
rm model.onnx
"$MLCTL" build >"$out" 2>"$err"; [ $? != 0 ] && grep -q model.onnx "$err" && pass "a missing model is named" || flunk "a missing model is named" "$err"
git checkout -q model.onnx
exits "an archive" 0 "$MLCTL" build --output oci-archive:"$home/x.tar"
tar tf "$home/x.tar" >"$out" 2>&1 && grep -q '^index.json$' "$out" && pass "tar reads it" || flunk "tar reads it" "$out"
modes() { stat -c %a "$home/$1" "$home/$1/blobs" "$(find "$home/$1/blobs" -type f | head -1)" "$home/$1.tar" | tr '\n' ' '; }
for mask in 022 027; do
	(umask $mask && "$MLCTL" build --output oci:"$home/m$mask" && "$MLCTL" build --output oci-archive:"$home/m$mask.tar") >"$out" 2>"$err"
done
equals "outputs obey the umask" "$(modes m022)/ $(modes m027)" "755 755 644 644 / 750 750 640 640 "
exits "an output of another kind" 2 "$MLCTL" build --output zip:x

export DOCKER_CONFIG=$home/docker
printf 'hunter2secret' | "$MLCTL" login registry.example.com --username ci --password-stdin >"$out" 2>"$err"
equals "login" $? 0
equals "mode of config.json" "$(stat -c %a "$DOCKER_CONFIG/config.json")" 600
cat "$out" "$err" | grep -q hunter2secret && flunk "the password is not shown" || pass "the password is not shown"
exits "login without a name" 2 "$MLCTL" login registry.example.com --password-stdin
exits "no --password" 2 "$MLCTL" login registry.example.com --username a --password b
exits "logout" 0 "$MLCTL" logout registry.example.com
silent "nothing is left" "$DOCKER_CONFIG/config.json" registry.example.com
finish
