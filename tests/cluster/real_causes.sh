#!/usr/bin/env bash
# Deploys that can't work, by `mlctl deploy` itself, each in a namespace of its own and several at a time: the exit code, the cause and the fix that are
# named, how long after the cause first showed in the API mlctl stopped, what serves then, and that nothing is left over. And deploys that look
# bad and come right, which must end well. A sample in everyday runs; THOROUGH=1: all. By hand: real_causes.sh [PATTERN]; JOBS: so many at a time.
. "$(dirname "$0")/lib.sh"
pattern=${1:-.} jobs=${JOBS:-4}
. "$(dirname "$0")/causes.sh"
has_causes || { skip "causes on a cluster" "a real node of our own is needed, python3 and openssl: registries and images are broken on purpose"; finish; }
results=$home/results seen=$home/seen.tsv
mkdir -p "$results" "$home/projects"
: >"$seen"

proxy=127.0.0.1:$(free_port)
kubectl proxy --port "${proxy##*:}" >/dev/null 2>&1 &
children="$children $!"
within 20 curl -sf "http://$proxy/readyz"
"$here/watch_causes.py" "$proxy" mlctl-test-causes- "$seen" &
children="$children $!"
start_bad_servers || { flunk "images and registries for it"; finish; }
own=$children

# deployed: runs it, each event with the time before it in `events`; its code in $code.
deployed() {
	began=$EPOCHREALTIME
	"$MLCTL" deploy --json --events json --timeout "${1:-100s}" 2> >(while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done >events) >answer </dev/null
	code=$?
	sleep 0.1
}
since() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b - a }'; }
first_shown() { awk -F '\t' -v space="$namespace" -v since="$began" -v words="$1" '$2 == space && $1 >= since - 0.2 && $3 ~ words { print $1; exit }' "$seen"; }
left_over() { in_ns get deployments,replicasets,services,pods -l mlctl.dev/service=fraud -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) | select(.kind != "ReplicaSet" or .spec.replicas > 0) | .kind + "/" + .metadata.name'; }
verdict() { printf '%s\n' "$1" >"$results/$name"; } # the rest of the files are shown when it is not ok

# One that can't work. MODE first or canary; WORD, FIX (a pattern); SHOWS: what in the API shows it first; LIMIT: seconds from there.
fails() {
	local first='' old='' stop said limit=$4 wrong=''
	[ "$mode" = canary ] && want=9 || want=8
	healthy "$home/projects/$name" >setup 2>&1 || { verdict "not ok: no project"; return; }
	if [ "$mode" = canary ]; then
		"$MLCTL" deploy --json >answer 2>events || { verdict "not ok: the healthy release"; return; }
		old=$(json_field answer serving)
	fi
	eval "$5" >>setup 2>&1
	deployed
	first=$(first_shown "$3")
	stop=$(awk '/"event":"stop"/ { print $1; exit }' events)
	[ -n "$stop" ] || stop=$(awk '/"event":"rollback"/ { print $1; exit }' events)
	said=$(jq -r '.cause_word // ""' answer)
	[ "$code" = "$want" ] || wrong="$wrong, exit $code and not $want"
	[[ $said =~ ^($1)$ ]] || wrong="$wrong, says '$said' and not '$1'"
	jq -r .fix answer | grep -qE -- "$2" || wrong="$wrong, fix '$(jq -r .fix answer)' lacks '$2'"
	if [ -z "$first" ]; then wrong="$wrong, the watcher never saw '$3'"; elif [ -z "$stop" ]; then wrong="$wrong, never stopped"
	elif awk -v a="$first" -v b="$stop" -v l="$limit" 'BEGIN { exit !(b - a > l) }'; then wrong="$wrong, $(since "$first" "$stop") s after it showed"; fi
	"$MLCTL" status --json >status 2>&1
	[ "$(jq -r .failed_cause_word status 2>/dev/null)" = "${said:-null}" ] || wrong="$wrong, status says '$(jq -r .failed_cause_word status 2>/dev/null)'"
	if [ "$mode" = canary ]; then
		[ "$(json_field status image)" = "$old" ] && [ "$(json_field status health)" = HEALTHY ] || wrong="$wrong, the old version does not serve"
		[ "$(left_over | sort | xargs)" = "$(left_over | grep -v canary | sort | xargs)" ] || wrong="$wrong, left: $(left_over | grep canary | xargs)"
	else
		within 15 eval '[ -z "$(left_over)" ]' || wrong="$wrong, left: $(left_over | xargs)"
	fi
	"$MLCTL" history r$([ "$mode" = canary ] && echo 2 || echo 1) --evidence --json >evidence 2>&1
	[ "$(jq -r .evidence.cause_word evidence 2>/dev/null)" = "${said:-null}" ] || wrong="$wrong, the evidence says '$(jq -r .evidence.cause_word evidence 2>/dev/null)'"
	if [ -n "$wrong" ]; then verdict "not ok: ${wrong#, }"; else verdict "ok: $said, $(since "$first" "$stop") s after it showed, exit $code"; fi
}
# One whose objects the API server does not take: found before anything is touched where a dry run shows it, and always without harm.
refused() {
	local wrong='' old=''
	healthy "$home/projects/$name" >setup 2>&1 || { verdict "not ok: no project"; return; }
	if [ "$mode" = canary ]; then
		"$MLCTL" deploy --json >answer 2>events || { verdict "not ok: the healthy release"; return; }
		old=$(json_field answer serving)
	fi
	eval "$2" >>setup 2>&1
	deployed
	case $code in 4 | 8 | 9 | 12) ;; *) wrong="$wrong, exit $code" ;; esac
	cat answer events | grep -qE -- "$1" || wrong="$wrong, nobody says '$1'"
	"$MLCTL" status --json >status 2>&1
	if [ "$mode" = first ]; then within 15 eval '[ -z "$(left_over)" ]' || wrong="$wrong, left: $(left_over | xargs)"
	elif [ "$(json_field status image)" != "$old" ] || [ "$(json_field status health)" != HEALTHY ]; then wrong="$wrong, the old version does not serve"; fi
	kubectl delete namespace --wait=false --ignore-not-found "$namespace-x" >/dev/null 2>&1
	if [ -n "$wrong" ]; then verdict "not ok: ${wrong#, }"; else verdict "ok: refused, exit $code after $(since "$began" "$EPOCHREALTIME") s"; fi
}
# One that comes right. DURING goes on beside the deploy; SHOWS: what looks bad meanwhile, so that the test is one.
recovers() {
	healthy "$home/projects/$name" >setup 2>&1 || { verdict "not ok: no project"; return; }
	if [ "$mode" = canary ]; then "$MLCTL" deploy --json >answer 2>events || { verdict "not ok: the healthy release"; return; }; fi
	eval "$2" >>setup 2>&1
	{ eval "$3"; } >>setup 2>&1 &
	deployed 150s
	if [ "$code" != 0 ]; then verdict "not ok: exit $code: $(jq -r .cause answer)"
	elif [ -z "$(first_shown "$1")" ]; then verdict "not ok: nothing looked bad: the watcher never saw '$1'"
	else verdict "ok: came right, $(since "$began" "$EPOCHREALTIME") s"; fi
}

names=
# run_case MODE NAME KIND ARGUMENTS...: a case; those of `now_and_then` only when all are wanted.
run_case() {
	mode=$1 name=$2
	shift 2
	[[ $name =~ $pattern ]] || return 0
	names="$names $name"
	while [ "$(jobs -rp | wc -l)" -ge $((jobs + $(wc -w <<<"$own"))) ]; do wait -n; done
	namespace=mlctl-test-causes-${name//_/-}-$(printf %04x $RANDOM) # the registry keeps what an earlier run released under another
	namespaces="$namespaces $namespace"
	kubectl create namespace "$namespace" >/dev/null
	(
		trap - EXIT
		within 30 in_ns get serviceaccount/default
		cd "$home" && mkdir -p "$results/$name.d" && cd "$results/$name.d" || exit 1
		"$@"
		cp -f "$home/projects/$name"/{setup,answer,events,status,mlctl.yaml} "$results/$name.d/" 2>/dev/null
		kubectl delete namespace --wait=false "$namespace" >/dev/null 2>&1
		kubectl delete validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings --ignore-not-found "$namespace" >/dev/null 2>&1
	) &
}
everyday() { run_case "$@"; }
now_and_then() { [ -z "${THOROUGH:-}" ] && [ "$pattern" = . ] || run_case "$@"; }
nobody_works() { while [ "$(jobs -rp | wc -l)" -gt "$(wc -w <<<"$own")" ]; do wait -n; done; }
all_cases
nobody_works
lonely_cases
nobody_works

for name in $names; do
	told=$(cat "$results/$name" 2>/dev/null)
	case $told in
	ok:*) pass "$name: ${told#ok: }" ;;
	*) flunk "$name: ${told:-it ended without a word}" "$results/$name.d/answer" "$results/$name.d/setup" ;;
	esac
done
finish
