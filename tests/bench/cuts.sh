#!/usr/bin/env bash
# One of four uploads, and all four, are reset half-way: what is sent again, by us and by others.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

store_in_memory store
start_registry store || exit 1
store=$REGISTRY
size=$((SIZE_MB * 262144)) half=$((SIZE_MB * 131072))
big_project "$WORK/four" "$store/x/y" 4 $size

again() { door_says "[.[] | select(.path // \"\" | test(\"/blobs/uploads\")) | .body] | (add // 0) / $((4 * size)) | . * 1000 | round / 1000"; }
# A client that gives up says so; one that goes on shows how often it sent the same bytes.
try() {
	local name=$1 cuts=$2
	shift 2
	if timeout 300 "$@" >"$WORK/said" 2>"$WORK/said.err"; then echo "succeeds, $(again)x the bytes"; else echo "fails, $(again)x the bytes"; fi
}
for cuts in "1" "1 2 3 4"; do
	options=(--upload-min "$size") count=0
	for cut in $cuts; do options+=(--cut "$cut@$half") count=$((count + 1)); done
	start_door "ours$count" "$store" "${options[@]}"
	image_is "$WORK/four" "$DOOR/ours/cut$count"
	outcome=$(try ours "$cuts" bash -c 'cd "$1" && exec "$2" push --json' - "$WORK/four" "$MLCTL")
	# Only the cut halves may have gone over the wire twice; the rest is for the runner, the manifests and what the door reads ahead.
	case $outcome in succeeds*) row "$count of 4 reset half-way: bytes sent" "$(again)" "" x "$(awk -v n=$count 'BEGIN { print 1 + n * 0.125 + (8 + n / 2) / '"$SIZE_MB"' }')" ;; *) row "$count of 4 reset half-way" "" "" x 0 ;; esac
	if [ ! -d "$WORK/layout" ]; then
		skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$(pushed_ref "$WORK/said" "$DOOR/ours/cut$count")" "oci:$WORK/layout:x"
	fi
	start_door "crane$count" "$store" "${options[@]}"
	told "  crane push of the same image" "$(try crane "$cuts" crane push "$WORK/layout" "$DOOR/crane/cut$count:1")"
	start_door "oras$count" "$store" "${options[@]}"
	told "  oras cp of the same image" "$(try oras "$cuts" oras cp --from-oci-layout --to-plain-http "$WORK/layout:x" "$DOOR/oras/cut$count:1")"
	start_door "skopeo$count" "$store" "${options[@]}"
	told "  skopeo copy of the same image" "$(try skopeo "$cuts" skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$WORK/layout:x" "docker://$DOOR/skopeo/cut$count:1")"
	start_door "regctl$count" "$store" "${options[@]}"
	told "  regctl image copy of the same image" "$(try regctl "$cuts" regctl --host "reg=$DOOR,tls=disabled" image copy "ocidir://$WORK/layout:x" "$DOOR/regctl/cut$count:1")"
done
