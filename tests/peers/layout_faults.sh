#!/usr/bin/env bash
# The layout folder that stands in for a registry, killed and failed at every system call that touches it: after each fault the old image is
# whole and tagged, nothing half-written has a name, and one more push ends with the new image there and nothing left lying about.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

has strace || { skip "layout faults" "strace is not here"; finish; }
calls="openat write fsync rename flock fallocate unlink mkdir"

project "$WORK/project" "" || { not_ok "a project"; finish; }
data=$WORK/data
export XDG_DATA_HOME=$data
push() { mlctl_in "$WORK/project" push --no-test --json; }
check "the first version" push || finish
store=$(dirname "$(find "$data" -name index.json | head -1)")
place=${store#"$data"/}
first=$(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$store/index.json" | grep '^git-')
cp -r "$data" "$WORK/first"
printf '{"not": "used"}\n' >"$WORK/project/notes.json"
filler "$WORK/project/more.bin" 1500000 1
sed -i 's|path: model.onnx|path: .|' "$WORK/project/mlctl.yaml"
commit "$WORK/project"

# whole FOLDER: every digest that can be reached from index.json is there and right.
whole() {
	local seen=" " queue digest hex
	queue=$(jq -r '.manifests[].digest' "$1/index.json") || return 1
	while [ -n "$queue" ]; do
		digest=$(head -1 <<<"$queue") queue=$(tail -n +2 <<<"$queue") hex=${digest#sha256:}
		case $seen in *" $hex "*) continue ;; esac
		seen+="$hex "
		[ "$(sha256sum <"$1/blobs/sha256/$hex" | cut -d' ' -f1)" = "$hex" ] || { echo "$hex is not what its name says"; return 1; }
		[ "$(wc -c <"$1/blobs/sha256/$hex")" -gt 100000 ] && continue
		queue+=$(jq -r '(.manifests // [])[].digest, (.layers // [])[].digest, (.config.digest? // empty)' "$1/blobs/sha256/$hex" 2>/dev/null | sed 's/^/\n/')
		queue=$(sed '/^$/d' <<<"$queue")
	done
	find "$1/blobs/sha256" -type f | while read -r file; do
		[ "$(sha256sum <"$file" | cut -d' ' -f1)" = "${file##*/}" ] || { echo "${file##*/} is half a blob"; exit 1; }
	done
}
fresh() { rm -rf "$data" && cp -r "$WORK/first" "$data"; }
strays() { find "$store" -name '.blob-*' -o -name '*.tmp.*' | wc -l; }

# The check itself must see what it is there for.
cp -r "$WORK/first" "$WORK/twin" && printf x >>"$(find "$WORK/twin" -path '*/blobs/sha256/*' | head -1)"
if whole "$WORK/twin/$place" >/dev/null; then not_ok "a spoilt layout is noticed"; else ok "a spoilt layout is noticed"; fi

# Which occurrence of each call touches the layout.
fresh
(cd "$WORK/project" && exec strace -y -o "$WORK/trace" -e "trace=${calls// /,}" "$MLCTL" push --no-test --json) >"$WORK/said" 2>"$WORK/said.err" ||
	{ skip "layout faults" "strace may not trace here"; finish; }
whole "$store" >/dev/null && ok "undisturbed, under strace" || not_ok "undisturbed, under strace"

faults=0 wrong=""
# after WHAT: what must be true after a fault, and after one more push.
after() {
	local said
	said=$(whole "$store") || wrong+="$1: $said"$'\n'
	jq -e --arg tag "$first" 'any(.manifests[]; .annotations["org.opencontainers.image.ref.name"] == $tag)' "$store/index.json" >/dev/null ||
		wrong+="$1: the first version's tag is gone"$'\n'
	push >"$WORK/said" 2>"$WORK/said.err" || wrong+="$1: the next push: $(tail -2 "$WORK/said.err")"$'\n'
	said=$(whole "$store") || wrong+="$1, then a push: $said"$'\n'
	[ "$(strays)" = 0 ] || wrong+="$1, then a push: $(find "$store" -name '.blob-*' -o -name '*.tmp.*')"$'\n'
	[ "$(jq '[.manifests[].annotations["org.opencontainers.image.ref.name"] | select(startswith("git-"))] | length' "$store/index.json")" = 2 ] ||
		wrong+="$1, then a push: not two commits' tags"$'\n'
}
faulted() {
	{ (cd "$WORK/project" && exec strace -o /dev/null -e "trace=$1" -e "inject=$1:$2:when=$3" "$MLCTL" push --no-test --json) \
		>"$WORK/faulted" 2>"$WORK/faulted.err"; } 2>/dev/null
}
for call in $calls; do
	occurrences=$(grep "^$call" "$WORK/trace" | grep -n "/$place" | cut -d: -f1)
	for n in $occurrences; do
		case $call in openat) error= ;; write | fsync | fallocate) error=error=ENOSPC ;; *) error=error=EIO ;; esac
		for how in signal=KILL $error; do
			fresh
			faulted $call $how $n
			status=$?
			# What is done best-effort, and a call that this run did not come to, are no faults.
			[ $status -eq 0 ] || faults=$((faults + 1))
			[ $status -eq 0 ] || [ "$how" = signal=KILL ] || grep -q '"message"' "$WORK/faulted" || wrong+="$call $n $how: exit $status without a word"$'\n'
			after "$call $n $how"
		done
	done
done
at_least "faults that happened" "$faults" 60
if [ -z "$wrong" ]; then ok "after each of $faults faults, and one more push, the layout is whole"
else not_ok "after each of $faults faults, and one more push, the layout is whole" "$wrong"; fi
finish
