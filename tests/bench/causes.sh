#!/usr/bin/env bash
# What mlctl deploy, helm upgrade --install --wait and kubectl rollout status say of the same broken objects, and after how many seconds: a table, of a
# sample of tests/cluster/causes.sh; THOROUGH=1: of all. The others get --timeout 60s, which is what they need to say anything. Needs a real node of our
# own. Usage: causes.sh [PATTERN]
# shellcheck source-path=SCRIPTDIR
dir=$(cd "$(dirname "$0")" && pwd)
# Asked before lib.sh takes another home: Go's caches and the built programs are in the user's.
"$dir/../cluster/deps.sh" bench || [ $? = 77 ] || exit 1
CLUSTER_BIN=$("$dir/../cluster/deps.sh" path)
export CLUSTER_BIN
PATH=$CLUSTER_BIN:$PATH
pattern=${1:-'^(image_tag|crash_python|secret|cpu_above|quota_above)$'} limit=${LIMIT_S:-60}
[ -z "${THOROUGH:-}" ] || pattern=.
if [ -z "${CLUSTER_NODE:-}" ]; then
	unset KUBECONFIG REGISTRY
	lines=$(CLUSTER_OWNER=$$ "$dir/../cluster/up.sh")
	case $? in
	0) eval "$lines"; is_mine=yes ;;
	77) printf '%s|%s||||\n' "causes" "skipped: this machine can't run a node" >>"${ROWS:-/dev/stdout}"; exit 0 ;;
	*) exit 1 ;;
	esac
fi
. "$dir/../cluster/lib.sh"
. "$dir/../cluster/causes.sh"
command -v helm >/dev/null && has_causes || { printf '%s|%s||||\n' "causes" "skipped: helm, python3 or openssl is not here" >>"${ROWS:-/dev/stdout}"; exit 0; }
leave_bench() {
	leave_cluster
	[ -z "${is_mine:-}" ] || "$dir/../cluster/down.sh"
}
trap leave_bench EXIT
start_bad_servers || exit 1

seconds() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
# timed FILE COMMAND...: how long it took, and the last that it said.
timed() {
	local file=$1 began=$EPOCHREALTIME
	shift
	"$@" >"$file.said" 2>"$file.err" </dev/null
	printf '%s\n%s\n' "$(seconds "$began")" "$(cat "$file.said" "$file.err" | grep -v '^$' | tail -1)" >"$file"
}
# The objects of the project in this folder, in this namespace, as manifests that need nothing else.
manifests() {
	"$MLCTL" push --json >push.json 2>&1 && "$MLCTL" render >"$1" 2>render.err || return 1
	local key; key=$(grep -oE 'fraud-v-[0-9a-f]+' "$1" | head -1)
	[ -z "$key" ] || in_ns create secret generic "$key" --from-literal=key=0123456789abcdef0123 >/dev/null
}
# One cause by one of the three, in a namespace and a folder of its own.
by() {
	local who=$1 prepare=$2
	namespace=$namespace-$who
	kubectl create namespace "$namespace" >/dev/null && within 30 in_ns get serviceaccount/default || return
	healthy "$home/$name-$who" >/dev/null 2>&1 && eval "$prepare" >/dev/null 2>&1
	case $who in
	mlctl) timed "$home/said/$name-$who" "$MLCTL" deploy --json --timeout "${limit}s" ;;
	helm)
		mkdir -p chart/templates && printf 'apiVersion: v2\nname: fraud\nversion: 1.0.0\n' >chart/Chart.yaml && manifests chart/templates/all.yaml
		timed "$home/said/$name-$who" helm upgrade --install fraud chart --namespace "$namespace" --wait --timeout "${limit}s"
		;;
	kubectl)
		manifests all.yaml
		in_ns apply -f all.yaml >/dev/null 2>applied
		timed "$home/said/$name-$who" kubectl -n "$namespace" rollout status deployment/fraud --timeout="${limit}s"
		;;
	esac
	kubectl delete namespace --wait=false "$namespace" >/dev/null 2>&1
	kubectl delete validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings --ignore-not-found "$namespace" >/dev/null 2>&1
}
mkdir -p "$home/said"
names= workers=
fails() { # what real_causes.sh looks at is not looked at here
	local who
	for who in mlctl helm kubectl; do
		namespaces="$namespaces mlctl-bench-$1-$who"
		(trap - EXIT; by "$who" "$6") &
		workers="$workers $!"
	done
}
everyday() {
	name=$2
	[[ $name =~ $pattern ]] && [ "$3" = fails ] || return 0
	names="$names $name"
	namespace=mlctl-bench-${name//_/-}-$(printf %04x $RANDOM)
	shift 3
	fails "$namespace" "$@"
	# Three causes at a time: nine rollouts, most of which just wait.
	while [ "$(wc -w <<<"$workers")" -gt 6 ]; do
		wait -n
		workers=$(for p in $workers; do kill -0 "$p" 2>/dev/null && printf ' %s' "$p"; done)
	done
}
now_and_then() { everyday "$@"; }
all_cases
# shellcheck disable=SC2086
[ -z "$workers" ] || wait $workers

quicker=0 all=0 others=0
for name in $names; do
	jq -r '[.cause_word, .cause, .fix] | map(. // "") | @tsv' "$home/said/$name-mlctl.said" 2>/dev/null | tail -1 >"$home/said/$name-words"
	IFS=$'\t' read -r word cause fix <"$home/said/$name-words"
	printf '%s\n' "$name"
	printf '  %-8s %6s s  %s: %s\n' mlctl "$(head -1 "$home/said/$name-mlctl")" "$word" "${cause#*: replica }"
	printf '  %-8s %6s    fix: %s\n' '' '' "$fix"
	for who in helm kubectl; do printf '  %-8s %6s s  %s\n' $who "$(head -1 "$home/said/$name-$who")" "$(sed -n 2p "$home/said/$name-$who" | cut -c1-200)"; done
	all=$((all + 1))
	tail -qn 1 "$home/said/$name-helm" "$home/said/$name-kubectl" | grep -qvE 'timed out|deadline|successfully|not ready|InProgress|Available' && others=$((others + 1))
	awk -v a="$(head -1 "$home/said/$name-mlctl")" -v b="$(head -1 "$home/said/$name-helm")" 'BEGIN { exit !(a < b) }' && [ -n "$word" ] && quicker=$((quicker + 1))
done
printf '%s|%s|%s|||\n' "causes named before helm --wait and kubectl rollout status gave up" "$quicker of $all" "$others of $all" >>"${ROWS:-/dev/stdout}"
