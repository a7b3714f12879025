# shellcheck shell=bash
# What the peers tests and the bench stand on: TAP, registries that are started and ended here, a folder with a model.
#
# A test sources this file, calls check, same, skip, and ends with finish. Everything it starts is ended when it ends, by process id;
# everything it writes is below $WORK, HOME included, so that nobody's own credentials are read and nothing is left behind.
# MLCTL, ROOT and SHARED come from tests/run and have defaults, so that a test also runs by itself.

ROOT=${ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
MLCTL=${MLCTL:-$ROOT/build/mlctl}
SHARED=${SHARED:-$ROOT/../shared}
PEERS=$ROOT/tests/peers
PEERS_BIN=${PEERS_BIN:-$("$PEERS/deps.sh" path)}
PATH=$PEERS_BIN:$PATH
START_SECONDS=15

# shellcheck source=../tap.sh
. "$ROOT/tests/tap.sh"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mlctl-peers.XXXXXX") || exit 2
export HOME=$WORK/home XDG_RUNTIME_DIR=$WORK/run
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_CACHE_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CONFIG_HOME http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

started=()

end_all() {
	local pid
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
	started=()
	# Layers unpacked by others may hold folders without write permission.
	chmod -R u+rwX "$WORK" 2>/dev/null
	rm -rf "$WORK"
}
trap end_all EXIT
trap 'exit 143' TERM INT HUP

# check "what is claimed" command...: the command succeeds. What it said stays in $WORK/said (stdout) and $WORK/said.err.
check() {
	local what=$1 got
	shift
	"$@" >"$WORK/said" 2>"$WORK/said.err"
	got=$?
	if [ $got = 0 ]; then ok "$what"; return 0; fi
	not_ok "$what" "exit $got: $*
$(tail -30 "$WORK/said.err")
$(tail -10 "$WORK/said")"
	return 1
}
# refuses "what is claimed" STATUS command...: the command ends with exactly that status.
refuses() {
	local what=$1 status=$2 got
	shift 2
	"$@" >"$WORK/said" 2>"$WORK/said.err"
	got=$?
	if [ "$got" = "$status" ]; then ok "$what"; else not_ok "$what" "exit $got, not $status: $*
$(tail -30 "$WORK/said.err")"; fi
}
same() { if [ "$2" = "$3" ] && [ -n "$2" ]; then ok "$1"; else not_ok "$1" "this:  $2
other: $3"; fi; }
at_most() { if [ -n "$2" ] && [ "$2" -le "$3" ]; then ok "$1 ($2 <= $3)"; else not_ok "$1" "${2:-nothing} is more than $3"; fi; }
at_least() { if [ -n "$2" ] && [ "$2" -ge "$3" ]; then ok "$1 ($2 >= $3)"; else not_ok "$1" "${2:-nothing} is less than $3"; fi; }
has() { type -P "$1" >/dev/null; }

end_one() {
	local pid kept=()
	for pid in "${started[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
	started=("${kept[@]}")
	kill "${2:--TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

# A CA of our own and a certificate for 127.0.0.1 and localhost: $WORK/tls/{ca.crt,server.crt,server.key}.
make_tls() {
	[ -f "$WORK/tls/server.crt" ] && return 0
	mkdir -p "$WORK/tls" && (
		cd "$WORK/tls" &&
			openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=mlctl test CA" -keyout ca.key -out ca.crt \
				-addext "basicConstraints=critical,CA:TRUE" &&
			openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr &&
			printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >ext &&
			openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt
	) >"$WORK/tls.log" 2>&1
}

answers_v2() { curl -sk -m 2 -o /dev/null "$1/v2/"; }

# start_registry NAME [password] [tls] [port=N]: Debian's docker-registry over $WORK/NAME. A restart with the port it had keeps its
# blobs. Sets REGISTRY (host:port), REGISTRY_PID. With `password` the user is "peer" and the password "s3cret:word".
PEER_USER=peer PEER_PASSWORD=s3cret:word
start_registry() {
	local name=$1 scheme=http port=0 option log=$WORK/$1.log
	shift
	mkdir -p "$WORK/$name"
	{
		printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %s}\n' "$WORK/$name"
		printf '  delete: {enabled: true}\n'
		for option in "$@"; do
			case $option in
			password)
				htpasswd -Bbn -C 4 "$PEER_USER" "$PEER_PASSWORD" >"$WORK/$name.htpasswd" 2>/dev/null
				printf 'auth: {htpasswd: {realm: peers, path: %s}}\n' "$WORK/$name.htpasswd"
				;;
			port=*) port=${option#port=} ;;
			esac
		done
		printf 'http:\n  addr: 127.0.0.1:%s\n' "$port"
		case " $* " in *" tls "*) printf '  tls: {certificate: %s, key: %s}\n' "$WORK/tls/server.crt" "$WORK/tls/server.key" ;; esac
	} >"$WORK/$name.yml"
	case " $* " in *" tls "*) scheme=https && make_tls ;; esac
	: >"$log"
	docker-registry serve "$WORK/$name.yml" >"$log" 2>&1 &
	REGISTRY_PID=$!
	started+=("$REGISTRY_PID")
	until_true $START_SECONDS grep -q 'listening on' "$log" || { not_ok "docker-registry starts" "$(tail -5 "$log")"; return 1; }
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$log" | head -1)
	REGISTRY=127.0.0.1:$port
	until_true $START_SECONDS answers_v2 "$scheme://$REGISTRY" || { not_ok "docker-registry answers" "$(tail -5 "$log")"; return 1; }
}

# start_crane NAME: `crane registry serve`, the other make of registry. It knows neither passwords nor TLS: start_door adds them.
start_crane() {
	local log=$WORK/$1.log
	mkdir -p "$WORK/$1"
	: >"$log"
	crane registry serve --address 127.0.0.1:0 --disk "$WORK/$1" >"$log" 2>&1 &
	REGISTRY_PID=$!
	started+=("$REGISTRY_PID")
	until_true $START_SECONDS grep -qE 'port [0-9]+' "$log" || { not_ok "crane registry serve starts" "$(tail -5 "$log")"; return 1; }
	REGISTRY=127.0.0.1:$(grep -oE 'port [0-9]+' "$log" | head -1 | cut -d' ' -f2)
	until_true $START_SECONDS answers_v2 "http://$REGISTRY" || { not_ok "crane registry serve answers" "$(tail -5 "$log")"; return 1; }
}

# start_door NAME REGISTRY [cutproxy.py's options]: sets DOOR (host:port), DOOR_PID, DOOR_LOG (one JSON line per request).
start_door() {
	DOOR_LOG=$WORK/$1.jsonl
	local port=$WORK/$1.port behind=$2
	shift 2
	: >"$DOOR_LOG"
	: >"$port"
	"$PEERS/cutproxy.py" --to "$behind" --log "$DOOR_LOG" "$@" >"$port" 2>"$DOOR_LOG.err" &
	DOOR_PID=$!
	started+=("$DOOR_PID")
	until_true $START_SECONDS test -s "$port" || { not_ok "the door opens" "$(tail -5 "$DOOR_LOG.err")"; return 1; }
	DOOR=127.0.0.1:$(cat "$port")
}
# door_says FILTER: what jq makes of the whole log, read as one array.
door_says() { jq -rs "$1" "$DOOR_LOG"; }

# filler FILE BYTES SEED: bytes that no one can compress, the same for the same seed, at a gigabyte a second.
filler() {
	head -c "$2" /dev/zero | openssl enc -aes-256-ctr -nosalt -K "$(printf '%064x' "$3")" -iv "$(printf '%032x' 0)" >"$1"
}

# docker_config FOLDER HOST: a config.json with the password for the host.
docker_config() {
	mkdir -p "$1"
	printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$2" "$(printf '%s:%s' "$PEER_USER" "$PEER_PASSWORD" | base64 -w0)" >"$1/config.json"
	chmod 600 "$1/config.json"
}

# project FOLDER IMAGE: a clean repository with the breast-cancer example, to be pushed to IMAGE ("" for none).
project() {
	mkdir -p "$1" && cp "$ROOT/examples/breast-cancer/model.onnx" "$ROOT/examples/breast-cancer/golden.jsonl" "$1/" || return 1
	{ cat "$ROOT/examples/breast-cancer/mlctl.yaml"; [ -z "$2" ] || printf '\nimage: %s\n' "$2"; } >"$1/mlctl.yaml"
	commit "$1"
}
# The same commit id for the same content, whenever and wherever it is made.
commit() {
	[ -d "$1/.git" ] || git -C "$1" init -q -b main
	git -C "$1" add -A &&
		GIT_AUTHOR_DATE=2024-01-01T00:00:00Z GIT_COMMITTER_DATE=2024-01-01T00:00:00Z \
			git -C "$1" -c user.name=peer -c user.email=peer@example.com commit -q -m "a model"
}

# platform_of LAYOUT: the digest of the one platform manifest an OCI layout holds, through an index if there is one.
platform_of() {
	local digest type
	read -r type digest < <(jq -r '.manifests[0] | "\(.mediaType) \(.digest)"' "$1/index.json")
	case $type in
	*index*) jq -r '[.manifests[] | select(.platform.os == "linux")][0].digest' "$1/blobs/sha256/${digest#sha256:}" ;;
	*) printf '%s\n' "$digest" ;;
	esac
}

# mlctl_in FOLDER arguments...: as a user would call it there.
mlctl_in() { (cd "$1" && shift && exec "$MLCTL" "$@"); }
# pushed_ref FILE REPOSITORY: the tagged reference that `push --json` told in FILE.
pushed_ref() { printf '%s:%s\n' "$2" "$(jq -r .tag "$1")"; }

# big_project FOLDER IMAGE COUNT BYTES: the project with its model in a folder, and COUNT files of BYTES random bytes each beside it.
big_project() {
	local number
	mkdir -p "$1" && printf 'model/weights-*.bin\n' >"$1/.gitignore" && project "$1" "$2" || return 1
	mkdir "$1/model" && mv "$1/model.onnx" "$1/model/" && sed -i 's|path: model.onnx|path: model     |' "$1/mlctl.yaml" && commit "$1" || return 1
	for number in $(seq "$3"); do filler "$1/model/weights-$number.bin" "$4" "$number" || return 1; done
}

# valid REFERENCE: crane finds the image well-formed, and each layer has the digest of its descriptor and of the config's diff_ids. The layers are
# fetched here because `crane validate` without --fast unpacks every layer as gzip, which a plain tar layer (legal, and what mlctl makes) is not.
valid() {
	local reference=$1 repository=${1%:*} layer count=0 found
	crane validate --fast --remote "$reference" || return 1
	crane config --platform linux/amd64 "$reference" | jq -r '.rootfs.diff_ids[]' >"$WORK/diff_ids" || return 1
	crane manifest --platform linux/amd64 "$reference" | jq -r '.layers[].digest' >"$WORK/layers" || return 1
	cmp "$WORK/layers" "$WORK/diff_ids" || { echo "plain layers, yet digests and diff_ids differ" >&2; return 1; }
	while read -r layer; do
		found=sha256:$(crane blob "$repository@$layer" | openssl dgst -sha256 -r | cut -d' ' -f1)
		[ "$found" = "$layer" ] || { echo "layer $layer: its bytes hash to $found" >&2; return 1; }
		count=$((count + 1))
	done <"$WORK/layers"
	[ "$count" -gt 0 ]
}
