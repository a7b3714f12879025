# shellcheck shell=bash
# Measuring side by side: the same job by mlctl and by what one would use instead, alternating, medians of TIMES runs.
#
# A bench script sources this, takes samples with `sample NAME command...`, and reports with `row`, which writes one line to $ROWS:
# job | ours | theirs | ratio | goal | verdict. A figure over its goal is said, never an error; a job that could not be run is one.
# SIZE_MB: the large job's bytes (1024). TIMES: how often (3).
# shellcheck source=../peers/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../peers/lib.sh"

SIZE_MB=${SIZE_MB:-1024}
TIMES=${TIMES:-3}
ROWS=${ROWS:-/dev/stdout}
mkdir -p "$WORK/samples"
cc -O2 -o "$WORK/timed" "$(dirname "${BASH_SOURCE[0]}")/timed.c" || exit 1

# store_in_memory NAME...: these registries' storage lies in memory where there is room, so that a slow disk under both sides does not hide
# the difference.
store_in_memory() {
	local free name
	free=$(df --output=avail -m /dev/shm 2>/dev/null | tail -1)
	[ "${free:-0}" -gt $((SIZE_MB * 10)) ] || return 0
	MEMORY=$(mktemp -d /dev/shm/mlctl-bench.XXXXXX) || return 0
	for name in "$@"; do mkdir "$MEMORY/$name" && ln -s "$MEMORY/$name" "$WORK/$name"; done
	trap 'rm -rf "$MEMORY"; end_all' EXIT
}

# sample NAME command...: one run, its figures appended to the samples of that name. Children count: the self-test is part of a build.
sample() {
	local name=$1
	shift
	if ! "$WORK/timed" "$WORK/samples/$name" "$@" >"$WORK/said" 2>"$WORK/said.err"; then
		printf 'bench: %s failed: %s\n' "$name" "$*" >&2
		tail -5 "$WORK/said.err" >&2
		touch "$WORK/samples/$name.failed"
		return 1
	fi
}
# median NAME wall|cpu|memory: seconds, seconds, MiB.
median() {
	[ -s "$WORK/samples/$1" ] && [ ! -e "$WORK/samples/$1.failed" ] || return 0
	awk -v what="$2" '{ print (what == "wall" ? $1 / 1e6 : what == "cpu" ? $2 + $3 : $4 / 1024) }' "$WORK/samples/$1" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# row JOB OURS THEIRS UNIT GOAL: ours over theirs, at most GOAL. row JOB OURS "" UNIT GOAL: ours itself, at most GOAL.
row() {
	local ratio verdict
	if [ -z "$2" ]; then
		printf '%s|-|%s|-|<= %s|not measured\n' "$1" "${3:--}" "$5" >>"$ROWS"
		return
	fi
	if [ -n "$3" ]; then
		ratio=$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 999) }')
		verdict=$(awk -v a="$ratio" -v g="$5" 'BEGIN { print (a <= g ? "met" : "over") }')
		printf '%s|%.3g %s|%.3g %s|%sx|<= %sx|%s\n' "$1" "$2" "$4" "$3" "$4" "$ratio" "$5" "$verdict" >>"$ROWS"
	else
		verdict=$(awk -v a="$2" -v g="$5" 'BEGIN { print (a <= g ? "met" : "over") }')
		printf '%s|%.4g %s||-|<= %s %s|%s\n' "$1" "$2" "$4" "$5" "$4" "$verdict" >>"$ROWS"
	fi
}
# told JOB WHAT: a line without a goal, for comparison.
told() { printf '%s|%s||||\n' "$1" "$2" >>"$ROWS"; }

# image_is FOLDER REFERENCE: where the next push of the project goes.
image_is() {
	sed -i '/^image:/d' "$1/mlctl.yaml"
	printf 'image: %s\n' "$2" >>"$1/mlctl.yaml"
}
# What mlctl has learned about the files is forgotten.
forget() { rm -rf "$1/.mlctl" "$HOME/.cache/mlctl"; }
# sample_in NAME FOLDER command...: the sample of a program that works where it is started.
sample_in() {
	local name=$1 back=$PWD
	cd "$2" || return 1
	shift 2
	sample "$name" "$@"
	cd "$back" || return 1
}

# put_blob REGISTRY REPOSITORY FILE DIGEST: what curl needs to upload one blob.
cat >"$WORK/put_blob" <<'EOF'
#!/bin/bash
location=$(curl -sf -D - -o /dev/null -X POST "http://$1/v2/$2/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
digest=$4
[ -n "$digest" ] || digest=$(openssl dgst -sha256 -r "$3" | cut -d' ' -f1)
exec curl -sf -o /dev/null -T "$3" "$location&digest=sha256:$digest"
EOF
chmod +x "$WORK/put_blob"
