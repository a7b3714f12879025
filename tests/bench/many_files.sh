#!/usr/bin/env bash
# 5,000 small files beside the model: build + push against tar + crane append.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

store_in_memory store
start_registry store || exit 1
store=$REGISTRY
big_project "$WORK/many" "$store/many/x" 0 0
mkdir "$WORK/many/model/tokens"
filler "$WORK/all" $((5000 * 2048)) 7
split -a 4 -d -b 2048 "$WORK/all" "$WORK/many/model/tokens/part-"
commit "$WORK/many"
for i in $(seq "$TIMES"); do
	forget "$WORK/many" && image_is "$WORK/many" "$store/many/ours$i"
	sample_in ours "$WORK/many" "$MLCTL" push
	sample_in theirs "$WORK/many/model" bash -c 'tar -cf "$1" . && exec crane append -f "$1" -t "$2"' - "$WORK/layer.tar" "$store/many/crane$i:1"
done
row "5,000 files, build + push, wall; tar + crane append" "$(median ours wall)" "$(median theirs wall)" s 0.5
