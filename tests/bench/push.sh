#!/usr/bin/env bash
# Build and push of a large model: client CPU and wall time against oras, tar + crane append, and openssl + curl.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

store_in_memory store secure
start_registry store || exit 1
store=$REGISTRY
start_registry secure tls || exit 1
secure=$REGISTRY
quarter=$((SIZE_MB * 262144))
big_project "$WORK/four" "$store/x" 4 $quarter
big_project "$WORK/one" "$store/x" 1 $((SIZE_MB << 20))
cat "$WORK"/four/model/weights-*.bin >"$WORK/whole"
digest=$(openssl dgst -sha256 -r "$WORK/whole" | cut -d' ' -f1)

for i in $(seq "$TIMES"); do
	image_is "$WORK/four" "$store/ours/four$i" && forget "$WORK/four"
	sample_in cpu.ours "$WORK/four" "$MLCTL" push
	sample_in cpu.oras "$WORK/four/model" oras push --plain-http "$store/oras/four$i:1" weights-1.bin weights-2.bin weights-3.bin weights-4.bin model.onnx
	image_is "$WORK/four" "$secure/ours/four$i" && forget "$WORK/four"
	sample_in tls.ours "$WORK/four" env MLCTL_CA_FILE="$WORK/tls/ca.crt" "$MLCTL" push
	sample_in tls.oras "$WORK/four/model" oras push --ca-file "$WORK/tls/ca.crt" "$secure/oras/four$i:1" weights-1.bin weights-2.bin weights-3.bin weights-4.bin model.onnx
	image_is "$WORK/one" "$store/ours/one$i" && forget "$WORK/one"
	sample_in one.ours "$WORK/one" "$MLCTL" push
	sample one.curl "$WORK/put_blob" "$store" "curl/one$i" "$WORK/one/model/weights-1.bin" ""
	# The hashes are known from a push to another repository.
	image_is "$WORK/four" "$store/ours/cached$i"
	sample_in four.ours "$WORK/four" "$MLCTL" push
	sample four.curl "$WORK/put_blob" "$store" "curl/four$i" "$WORK/whole" "$digest"
done
if has crane; then
	sample_in append "$WORK/four/model" bash -c 'tar -cf "$1" weights-*.bin model.onnx && exec crane append -f "$1" -t "$2"' - "$WORK/layer.tar" "$store/crane/four:1"
fi

row "build + push, client CPU; oras push" "$(median cpu.ours cpu)" "$(median cpu.oras cpu)" s 1.35
row "build + push over TLS, client CPU; oras push" "$(median tls.ours cpu)" "$(median tls.oras cpu)" s 0.75
row "build + push, client CPU; tar + crane append" "$(median cpu.ours cpu)" "$(median append cpu)" s 0.2
row "build + push, one layer, wall; openssl + curl" "$(median one.ours wall)" "$(median one.curl wall)" s 1.1
row "push, four layers, hashes cached, wall; one curl" "$(median four.ours wall)" "$(median four.curl wall)" s 0.75
told "build + push, four layers, wall; oras push" "$(median cpu.ours wall) s, $(median cpu.oras wall) s"
