#!/usr/bin/env bash
# copy: a model out of the runner's image, laid out as other servers look for it.
. "$(dirname "$0")/lib.sh"
tree() { (cd "$1" && find . -type f | sort | xargs); }
copy() { "$RUNNER_SAN" copy "$@" 2>&1; }
mkdir -p "$WORK/one" "$WORK/whole/1/variables" "$WORK/whole/12" "$WORK/plain/assets" "$WORK/empty/x"
cp "$MODEL" "$WORK/one/fraud.onnx"
echo a >"$WORK/whole/1/saved_model.pb"; echo b >"$WORK/whole/1/variables/v"; echo c >"$WORK/whole/12/saved_model.pb"; echo d >"$WORK/whole/config.pbtxt"
echo e >"$WORK/plain/saved_model.pb"; echo f >"$WORK/plain/assets/words"

like "as it is" "$(copy "$WORK/one" "$WORK/a/b")" '"files":1'
same "under its own name" "$(tree "$WORK/a")" ./b/fraud.onnx
copy --versioned "$WORK/one" "$WORK/c" >/dev/null
same "one file is version 1, under the name that servers look for" "$(tree "$WORK/c")" ./1/model.onnx
same "byte by byte" "$(cmp "$MODEL" "$WORK/c/1/model.onnx" && echo same)" same
copy --versioned "$WORK/whole" "$WORK/d" >/dev/null
same "what has versions keeps them" "$(tree "$WORK/d")" "./1/saved_model.pb ./1/variables/v ./12/saved_model.pb ./config.pbtxt"
copy --versioned "$WORK/plain" "$WORK/e" >/dev/null
same "what has none is version 1" "$(tree "$WORK/e")" "./1/assets/words ./1/saved_model.pb"
echo longer than before >"$WORK/e/1/saved_model.pb"
copy --versioned "$WORK/plain" "$WORK/e" >/dev/null
same "again, over what was left" "$(cat "$WORK/e/1/saved_model.pb")" e
same "others may read it" "$(stat -c %a "$WORK/c/1" "$WORK/c/1/model.onnx" | xargs)" "755 644"
like "no file" "$(copy "$WORK/empty" "$WORK/f")" 'error: .*no file in it'
ln -s /etc/passwd "$WORK/empty/x/link"
like "a link is refused" "$(copy "$WORK/empty" "$WORK/f")" 'neither a file nor a folder'
like "no such folder" "$(copy "$WORK/nowhere" "$WORK/f")" 'No such file'
like "relative paths" "$(copy a b)" 'two folders are needed'
copy >/dev/null
same "is usage" $? 2
finish
