# shellcheck shell=bash
# What the runner's tests stand on: TAP, and runners that are started here and ended when the test ends, by process id. RUNNER, RUNNER_SAN and ROOT
# come from tests/run and have defaults, so that a test also runs by itself. perl is Debian's perl-base, which is always there.

ROOT=${ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
RUNNER=${RUNNER:-$ROOT/build/mlctl-runner}
RUNNER_SAN=${RUNNER_SAN:-$ROOT/build/san/mlctl-runner}
MODEL=$ROOT/examples/breast-cancer/model.onnx
BAD_MODEL=$ROOT/examples/breast-cancer/versions/v3-bad/model.onnx
TRAFFIC=$ROOT/examples/breast-cancer/traffic.jsonl
# shellcheck source=../tap.sh
. "$ROOT/tests/tap.sh"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mlctl-runner.XXXXXX") || exit 2
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
head -1 "$TRAFFIC" >"$WORK/row.json"

started=()
end_all() {
	local pid
	for pid in "${started[@]}"; do kill -9 "$pid" 2>/dev/null; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf "$WORK"
}
trap end_all EXIT
trap 'exit 143' TERM INT HUP

same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "want: $3"$'\n'"have: $2"; fi; }
like() { if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "want: $3"$'\n'"have: $2"; fi; }

# start NAME BINARY FLAG...: a runner; PID_NAME and PORT_NAME (empty for a unix socket) are set, its log is $WORK/NAME.log.
start() {
	local name=$1 binary=$2
	shift 2
	"$binary" serve --listen 127.0.0.1:0 "$@" >"$WORK/$name.log" 2>"$WORK/$name.err" &
	local pid=$!
	started+=("$pid")
	printf -v "PID_$name" %s "$pid"
	until_true 20 grep -qs '"event":"ready"' "$WORK/$name.log" || { not_ok "$name starts" "$(cat "$WORK/$name.log" "$WORK/$name.err")"; finish; }
	printf -v "PORT_$name" %s "$(sed -n 's/.*"event":"ready","listen":"127.0.0.1:\([0-9]*\)".*/\1/p' "$WORK/$name.log")"
}
# stop PID: SIGTERM; the exit code is in STOPPED.
stop() {
	kill -TERM "$1"
	wait "$1"
	STOPPED=$?
}

code() { curl -s -o "$WORK/out" -w '%{http_code}' --max-time 10 "$@"; }
# metric PORT NAME{label}: the value; the labels that say whose it is, behind the series' own, are left out.
metric() {
	curl -s --max-time 10 "http://127.0.0.1:$1/metrics" | sed -E 's/[,{]mlctl_service="[^}]*"(,|\})/}/; s/^([a-z_]+)\}/\1/' | awk -v name="$2" 'index($0, name " ") == 1 {print $2}'
}
# raw PORT TEXT: sends the bytes (printf escapes), says it is done, prints what comes back until the server closes.
raw() {
	perl -MSocket -e '
		my ($port, $text) = @ARGV; $text =~ s/\\r/\r/g; $text =~ s/\\n/\n/g; $text =~ s/\\0/\0/g; $SIG{PIPE} = "IGNORE"; $SIG{ALRM} = sub { print "TIMEOUT"; exit 1 };
		alarm 10; socket(my $s, PF_INET, SOCK_STREAM, 0) or exit 1; connect($s, sockaddr_in($port, INADDR_LOOPBACK)) or exit 1;
		syswrite($s, $text); shutdown($s, 1) unless $ENV{KEEP_OPEN}; while (sysread($s, my $part, 65536)) { print $part }' "$1" "$2"
}
