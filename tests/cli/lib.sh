# TAP for shell tests, and a home of their own. Source it, write checks, call `finish`.
set -u
: "${ROOT:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${MLCTL:=$ROOT/build/mlctl}"
home=$(mktemp -d)
export HOME=$home XDG_STATE_HOME=$home/state XDG_DATA_HOME=$home/data XDG_CACHE_HOME=$home/cache XDG_CONFIG_HOME=$home/config NO_COLOR=1
unset CI GITHUB_ACTIONS GITLAB_CI MLCTL_TRACE
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.com GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.com
count=0 bad=0 children=
out=$home/out err=$home/err
pass() { count=$((count + 1)); echo "ok $count - $1"; }
flunk() { count=$((count + 1)); bad=$((bad + 1)); echo "not ok $count - $1"; shift; for f in "$@"; do [ -e "$f" ] && head -20 "$f" | sed 's/^/# /'; done; }
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }
# exits NAME CODE COMMAND...: runs it with output in $out and $err, checks the exit code
exits() {
	local name=$1 want=$2; shift 2
	"$@" >"$out" 2>"$err" </dev/null
	local got=$?
	if [ $got = "$want" ]; then pass "$name"; else flunk "$name (exit $got, expected $want)" "$out" "$err"; fi
}
# says NAME FILE PATTERN: the file has a line that matches
says() { if grep -qE -- "$3" "$2"; then pass "$1"; else flunk "$1: no line matches $3" "$2"; fi; }
silent() { if grep -qE -- "$3" "$2"; then flunk "$1: a line matches $3" "$2"; else pass "$1"; fi; }
equals() { if [ "$2" = "$3" ]; then pass "$1"; else flunk "$1: '$2' is not '$3'"; fi; }
# json_field FILE NAME: the value of a top-level member of pretty JSON
json_field() { sed -nE "s/^  \"$2\": *\"?([^\",]*)\"?,?$/\1/p" "$1" | head -1; }
# A project like a user's: a copy of an example, committed.
project() {
	cp -r "$ROOT/examples/$1" "$home/$1" && cd "$home/$1" && git init -q . && git add -A && git commit -qm "${2:-first}"
}
finish() { echo "1..$count"; [ $bad = 0 ]; exit $?; }
clean_up() {
	for p in $children; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
	for state in "$XDG_STATE_HOME"/mlctl/*/*; do
		[ -d "$state" ] && "$MLCTL" destroy --service "$(basename "$(dirname "$state")")" --env "$(basename "$state")" --yes >/dev/null 2>&1
	done
	rm -rf "$home"
}
trap clean_up EXIT
