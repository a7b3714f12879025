#!/usr/bin/env bash
# Peak memory of build + push, and how it grows with the model: four times SIZE_MB against 5 MB.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

store_in_memory store
start_registry store || exit 1
store=$REGISTRY
big_project "$WORK/small" "$store/memory/small" 4 1250000
big_project "$WORK/large" "$store/memory/large" 4 $((SIZE_MB << 20))
for i in $(seq "$TIMES"); do
	forget "$WORK/small" && image_is "$WORK/small" "$store/memory/small$i"
	sample_in small "$WORK/small" "$MLCTL" push
done
forget "$WORK/large"
sample_in large "$WORK/large" "$MLCTL" push
row "peak memory, $((SIZE_MB * 4)) MiB" "$(median large memory)" "" MiB 24
small=$(median small memory) large=$(median large memory)
[ -z "$small" ] || [ -z "$large" ] || row "peak memory, more than at 5 MB" "$(awk -v a="$large" -v b="$small" 'BEGIN { d = a - b; print (d < 0 ? 0 : d) }')" "" MiB 1
