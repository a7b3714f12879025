#!/usr/bin/env bash
# Pushing again: nothing changed, and a kilobyte beside the model changed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

store_in_memory store
start_registry store || exit 1
store=$REGISTRY
big_project "$WORK/four" "$store/ours/again" 4 $((SIZE_MB * 262144))
printf 'first\n' >"$WORK/four/model/notes.txt"
mlctl_in "$WORK/four" push --quiet --json >"$WORK/pushed" || exit 1
sleep 2.1 # Files younger than two seconds are not trusted by their times.
mlctl_in "$WORK/four" push --quiet >/dev/null || exit 1
ref=$(pushed_ref "$WORK/pushed" "$store/ours/again")
skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$ref" "oci:$WORK/layout:x" || exit 1
crane push "$WORK/layout" "$store/crane/again:1" >/dev/null 2>&1

for _ in $(seq $((TIMES * 5))); do
	sample_in again.ours "$WORK/four" "$MLCTL" push
	sample again.crane crane push "$WORK/layout" "$store/crane/again:1"
done
row "push again, nothing changed, wall; crane push" "$(median again.ours wall)" "$(median again.crane wall)" s 1.5
(cd "$WORK/four" && strace -f -qq -y -e trace=read,pread64,readv,preadv,mmap,sendfile,splice,copy_file_range -o "$WORK/trace" "$MLCTL" push >/dev/null 2>&1)
row "push again: calls that read the large files" "$(grep -c 'weights-[0-9]*\.bin' "$WORK/trace")" "" calls 0

head -c 1000 /dev/zero | tr '\0' x >"$WORK/small.bin" && tar -C "$WORK" -cf "$WORK/small.tar" small.bin
for i in $(seq $((TIMES * 5))); do
	head -c 1000 /dev/urandom | base64 >"$WORK/four/model/notes.txt"
	sample_in small.ours "$WORK/four" "$MLCTL" push
	head -c 700 /dev/urandom | base64 >"$WORK/small.bin" && tar -C "$WORK" -cf "$WORK/small.tar" small.bin
	sample small.crane crane mutate --append "$WORK/small.tar" -t "$store/ours/again:mutated$i" "$ref"
done
row "1 kB beside the model changed, wall; crane mutate" "$(median small.ours wall)" "$(median small.crane wall)" s 1
start_door count "$store"
image_is "$WORK/four" "$DOOR/ours/again"
head -c 1000 /dev/urandom | base64 >"$WORK/four/model/notes.txt"
mlctl_in "$WORK/four" push --quiet >/dev/null
row "1 kB beside the model changed: layer bytes sent" "$(door_says '[.[] | select(.path | test("/blobs/uploads")) | .body] | add // 0')" "" B 65536
