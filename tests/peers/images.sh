#!/usr/bin/env bash
# Images that mlctl pushes and writes are read by the programs that others use: crane, skopeo, umoci, oras, regctl, podman; on two registries
# of different make, with and without password, with and without TLS. And the same content gives the same platform manifest anywhere.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

model=$ROOT/examples/breast-cancer/model.onnx
golden=$ROOT/examples/breast-cancer/golden.jsonl

# Programs written in Go take the authority to trust from here. Not exported: OpenSSL, and so mlctl, would read it too.
trusting_ours() { local -x SSL_CERT_FILE=$WORK/tls/ca.crt && "$@"; }

# read_back WHAT HOST KIND: the image under HOST/team/model:TAG through everybody's eyes. KIND: http or tls.
read_back() {
	local what=$1 ref=$2 kind=$3 where=$WORK/read.$tap_count
	local skopeo="skopeo --insecure-policy" tls=--tls-verify=false source=--src-tls-verify=false oras=--plain-http from=--from-plain-http regctl="tls=disabled"
	if [ "$kind" = tls ]; then
		mkdir -p "$WORK/certs" && cp "$WORK/tls/ca.crt" "$WORK/certs/ca.crt"
		tls="--cert-dir $WORK/certs" source="--src-cert-dir $WORK/certs" oras="--ca-file $WORK/tls/ca.crt" from="--from-ca-file $WORK/tls/ca.crt" regctl=tls=enabled
	fi
	mkdir -p "$where"
	if has crane; then
		check "$what: crane validates, each layer's digest too" trusting_ours valid "$ref"
		check "$what: crane export" trusting_ours crane export "$ref" "$where.tar"
		same "$what: crane exports the model's bytes" "$(tar -xOf "$where.tar" --wildcards '*model.onnx' | sha256sum)" "$(sha256sum <"$model")"
		check "$what: crane manifest" trusting_ours crane manifest --platform linux/amd64 "$ref"
		check "$what: crane config" trusting_ours crane config --platform linux/amd64 "$ref"
		same "$what: its user is not root" "$(jq -r '.config.User | test("^(0|root)?(:|$)") | not' "$WORK/said")" true
		same "$what: time in it stands still" "$(jq -r '[.created, .history[]?.created] | unique | join(" ")' "$WORK/said")" 1970-01-01T00:00:00Z
	else skip "$what: crane" "crane is not built here"; fi
	# shellcheck disable=SC2086
	{
		check "$what: skopeo inspect" $skopeo inspect $tls "docker://$ref"
		check "$what: skopeo copy to an OCI layout" $skopeo copy -q $source "docker://$ref" "oci:$where/layout:x"
		check "$what: skopeo copy to a Docker archive" $skopeo copy -q $source "docker://$ref" "docker-archive:$where/archive.tar:peers/model:x"
		check "$what: umoci unpack" umoci unpack --rootless --image "$where/layout:x" "$where/bundle"
		same "$what: the model's bytes came through" "$(find "$where/bundle/rootfs" -name model.onnx -exec sha256sum {} + | cut -d' ' -f1)" "$(sha256sum <"$model" | cut -d' ' -f1)"
		if has oras; then
			check "$what: oras manifest fetch" oras manifest fetch $oras --platform linux/amd64 "$ref"
			check "$what: oras pull" oras pull $oras --platform linux/amd64 -o "$where/oras" "$ref"
			check "$what: oras discover" oras discover $oras --platform linux/amd64 "$ref"
			check "$what: oras cp, every digest verified" oras cp $from --to-oci-layout "$ref" "$where/copy:x"
		else skip "$what: oras" "oras is not built here"; fi
		if has regctl; then
			check "$what: regctl manifest get" trusting_ours regctl --host "reg=${ref%%/*},$regctl" manifest get "$ref"
		else skip "$what: regctl" "regctl is not built here"; fi
	}
	chmod -R u+rwX "$where" && rm -rf "$where" "$where.tar"
}

# pushed WHAT HOST KIND [mlctl's options]: a push there, then everybody reads it, then a second push that sends nothing.
pushed() {
	local what=$1 host=$2 kind=$3 folder=$WORK/project.$tap_count ref
	shift 3
	project "$folder" "$host/team/model" || { not_ok "$what: a project"; return 1; }
	check "$what: mlctl push" mlctl_in "$folder" push --json "$@" || return 1
	ref=$(pushed_ref "$WORK/said" "$host/team/model")
	read_back "$what" "$ref" "$kind"
	check "$what: mlctl push again" mlctl_in "$folder" push --json "$@"
	same "$what: the second push names the same image" "$(pushed_ref "$WORK/said" "$host/team/model")" "$ref"
}

make_tls
start_registry plain && plain=$REGISTRY
pushed "docker-registry" "$plain" http

if has crane; then
	start_crane crane && pushed "crane registry" "$REGISTRY" http
	start_door crane-basic "$REGISTRY" --basic "$PEER_USER:$PEER_PASSWORD"
	docker_config "$HOME/.docker" "$DOOR"
	pushed "crane registry with password" "$DOOR" http
	start_door crane-bearer "$REGISTRY" --bearer "$PEER_USER:$PEER_PASSWORD"
	docker_config "$HOME/.docker" "$DOOR"
	pushed "crane registry with tokens" "$DOOR" http
	rm -r "$HOME/.docker"
else skip "crane registry" "crane is not built here"; fi

start_registry secret password && docker_config "$HOME/.docker" "$REGISTRY"
pushed "docker-registry with password" "$REGISTRY" http
mv "$HOME/.docker/config.json" "$WORK/auth.json"
project "$WORK/denied" "$REGISTRY/team/model"
refuses "no password: exit 5" 5 mlctl_in "$WORK/denied" push
check "the password from containers' auth.json" env REGISTRY_AUTH_FILE="$WORK/auth.json" bash -c 'cd "$1" && exec "$2" push' - "$WORK/denied" "$MLCTL"
check "the password from the environment" env MLCTL_REGISTRY_USERNAME="$PEER_USER" MLCTL_REGISTRY_PASSWORD="$PEER_PASSWORD" bash -c 'cd "$1" && exec "$2" push' - "$WORK/denied" "$MLCTL"
# What is said at its loudest holds neither the password nor what is made of it.
says_no_secret() {
	local encoded
	encoded=$(printf '%s:%s' "$PEER_USER" "$PEER_PASSWORD" | base64 -w0)
	cat "$WORK/said" "$WORK/said.err" "$WORK/trace" 2>/dev/null >"$WORK/heard"
	at_least "$1: it says something" "$(wc -c <"$WORK/heard")" 500
	same "$1: and no secret" "$(grep -cF -e "$PEER_PASSWORD" -e "$encoded" -e "$2" "$WORK/heard")" 0
}
# loud_push FOLDER AUTH_FILE
loud_push() { local -x MLCTL_TRACE=$WORK/trace REGISTRY_AUTH_FILE=$2 && mlctl_in "$1" push -v --json; }
project "$WORK/loud" "$REGISTRY/team/loud" && check "a loud push with a password" loud_push "$WORK/loud" "$WORK/auth.json"
says_no_secret "a loud push with a password" "$PEER_PASSWORD"
start_door loud "$plain" --bearer "$PEER_USER:$PEER_PASSWORD" --token-uses 3
docker_config "$WORK/door" "$DOOR" && mv "$WORK/door/config.json" "$WORK/auth.json.door"
rm -f "$WORK/trace"
project "$WORK/loud-door" "$DOOR/team/loud" && check "a loud push with tokens" loud_push "$WORK/loud-door" "$WORK/auth.json.door"
says_no_secret "a loud push with tokens" "token-1-"
check "mlctl login" "$MLCTL" login "$REGISTRY" --username "$PEER_USER" --password-stdin < <(printf '%s\n' "$PEER_PASSWORD")
same "config.json is for its owner only" "$(stat -c %a "$HOME/.docker/config.json")" 600
check "push after login" mlctl_in "$WORK/denied" push
if has crane; then check "crane reads with the password that mlctl login saved" crane ls "$REGISTRY/team/model"; fi
check "mlctl logout" "$MLCTL" logout "$REGISTRY"
refuses "no password after logout" 5 mlctl_in "$WORK/denied" push

start_registry tls tls && project "$WORK/unknown-ca" "$REGISTRY/team/model"
other_ca() { local -x MLCTL_CA_FILE=$WORK/other/ca.crt && mlctl_in "$WORK/unknown-ca" push; }
mkdir "$WORK/other" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=another CA" \
	-keyout "$WORK/other/ca.key" -out "$WORK/other/ca.crt" 2>/dev/null
refuses "a certificate of an unknown CA is refused" 5 other_ca
same "and the way out is no login" "$(grep -c 'MLCTL_CA_FILE' "$WORK/said.err") $(grep -c 'login' "$WORK/said.err")" "1 0"
MLCTL_CA_FILE=$WORK/tls/ca.crt pushed "docker-registry over TLS" "$REGISTRY" tls
start_registry both tls password && docker_config "$HOME/.docker" "$REGISTRY"
MLCTL_CA_FILE=$WORK/tls/ca.crt pushed "docker-registry over TLS with password" "$REGISTRY" tls
rm -rf "$HOME/.docker"

# Without a registry: a layout and two archives.
project "$WORK/files" ""
check "build to an OCI layout" mlctl_in "$WORK/files" build --output "oci:$WORK/layout"
check "build to an OCI archive" mlctl_in "$WORK/files" build --output "oci-archive:$WORK/oci.tar"
check "build to a Docker archive" mlctl_in "$WORK/files" build --output "docker-archive:$WORK/docker.tar"
check "skopeo inspects the layout" skopeo inspect "oci:$WORK/layout:latest"
check "skopeo inspects the OCI archive" skopeo inspect "oci-archive:$WORK/oci.tar"
check "skopeo inspects the Docker archive" skopeo inspect "docker-archive:$WORK/docker.tar"
check "skopeo copies the layout to a registry" skopeo --insecure-policy copy -q --all --dest-tls-verify=false "oci:$WORK/layout:latest" "docker://$plain/from/layout:x"
if has crane; then
	check "crane pushes the layout" crane push --index "$WORK/layout" "$plain/crane/layout:x"
	check "crane validates what it pushed" valid "$plain/crane/layout:x"
	check "crane validates the Docker archive" crane validate --tarball "$WORK/docker.tar"
fi
check "umoci stats the layout" bash -c 'umoci ls --layout "$1"' - "$WORK/layout"

mkdir -p "$WORK/podman"
# Its locks would stay behind in shared memory.
printf '[engine]\nlock_type = "file"\n' >"$WORK/podman/containers.conf"
export CONTAINERS_CONF=$WORK/podman/containers.conf
podman=(podman --storage-driver vfs --root "$WORK/podman/root" --runroot "$WORK/podman/run" --tmpdir "$WORK/podman/tmp" --events-backend none)
for file in docker oci; do
	if ! "${podman[@]}" info >/dev/null 2>"$WORK/said.err"; then
		skip "podman load of the $file archive" "podman does not start here: $(tail -1 "$WORK/said.err")"
		continue
	fi
	check "podman load of the $file archive" "${podman[@]}" load -q -i "$WORK/$file.tar"
	id=$("${podman[@]}" images -q --no-trunc | head -1)
	check "podman sees the $file archive's image" "${podman[@]}" image inspect "$id"
	same "podman sees a user that is not root ($file)" "$(jq -r '.[0].Config.User | test("^(0|root)?(:|$)") | not' "$WORK/said")" true
	container=$("${podman[@]}" create "$id" x 2>/dev/null)
	same "podman holds the model's bytes ($file)" "$("${podman[@]}" export "$container" 2>/dev/null | tar -xO --wildcards '*/model.onnx' 2>/dev/null | sha256sum | cut -d' ' -f1)" \
		"$(sha256sum <"$model" | cut -d' ' -f1)"
	"${podman[@]}" rm -af >/dev/null 2>&1
	"${podman[@]}" rmi -af >/dev/null 2>&1
done

# The same content, everything around it different.
project "$WORK/one" ""
mkdir -p "$WORK/deep/er/path" && (
	umask 077
	mkdir "$WORK/deep/er/path/two" "$WORK/other-home" && cd "$WORK/deep/er/path/two" || exit 1
	# Another order of creation, other times, other permissions, executable where it was not.
	cp "$WORK/one/mlctl.yaml" . && cp "$golden" . && cp "$model" . && touch -d 2001-09-09 model.onnx
)
commit "$WORK/deep/er/path/two"
check "build one" mlctl_in "$WORK/one" build --output "oci:$WORK/layout.one"
check "build two: umask, time zone, locale, home, path, one CPU" env -i PATH="$PATH" HOME="$WORK/other-home" TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 bash -c \
	'umask 077 && cd "$1" && exec taskset -c 0 "$2" build --output "oci:$3"' - "$WORK/deep/er/path/two" "$MLCTL" "$WORK/layout.two"
one=$(platform_of "$WORK/layout.one")
same "two builds, one platform manifest" "$(platform_of "$WORK/layout.two")" "$one"
if [ "$(id -u)" = 0 ]; then
	mkdir "$WORK/nobody" && cp -r "$WORK/one" "$WORK/nobody/three" && cp "$MLCTL" "$WORK/nobody/mlctl" && chown -R 65534:65534 "$WORK/nobody" && chmod 711 "$WORK"
	check "build three: another user" setpriv --reuid 65534 --regid 65534 --clear-groups env -i PATH="$PATH" HOME="$WORK/nobody" bash -c \
		'cd "$HOME/three" && exec "$HOME/mlctl" build --output "oci:$HOME/layout"'
	same "another user, the same platform manifest" "$(platform_of "$WORK/nobody/layout")" "$one"
else skip "build three: another user" "not root here"; fi
cp -r "$WORK/one" "$WORK/four" && printf 'about\n' >"$WORK/four/README.md" && commit "$WORK/four"
check "build four: another commit, the same model" mlctl_in "$WORK/four" build --output "oci:$WORK/layout.four"
same "the commit is no part of the platform manifest" "$(platform_of "$WORK/layout.four")" "$one"
finish
