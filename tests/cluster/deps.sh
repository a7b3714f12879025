#!/usr/bin/env bash
# Puts in place what a test cluster is made of: `make test-cluster`, `make test-cluster-light`, `make bench`.
#
#   tests/cluster/deps.sh           Debian's programs, and Kubernetes
#   tests/cluster/deps.sh build     Kubernetes alone, which needs no root: .ci/run starts this early, since it takes long
#   tests/cluster/deps.sh bench     and helm, which only the bench compares with
#   tests/cluster/deps.sh gateway   and Traefik, through which tests/cluster/real_route.sh sends its requests, with the Gateway API's own kinds
#   tests/cluster/deps.sh path      prints the folder of the programs built here, and does nothing
#
# From the Go module proxy, because Debian has none of it: Kubernetes' own programs (one binary), kwok (simulated nodes), metrics-server,
# CoreDNS, helm, Traefik. Each folder with a go.mod beside this file is one of them; it is built into ${XDG_CACHE_HOME:-$HOME/.cache}/mlctl-test/cluster
# and again only when its files change. The first time takes some 12 minutes on two cores, 2 GiB of memory and 4 GB of Go's caches; a second
# run takes milliseconds. Ends with 0; with 77 and a word where there is no Go of GO_MIN or newer or no module proxy, so that the tests are
# skipped; with 1 when something broke; 2 is a wrong word. kubectl is one of the programs of tests/peers/deps.sh.
set -u
GO_MIN=1.26
SKIP=77
cd "$(dirname "$0")" || exit 1
bin=${CLUSTER_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/mlctl-test/cluster}
NODE_PROGRAMS="kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet"

say() { printf 'cluster: %s\n' "$*" >&2; }
fail() { say "cannot get $*"; exit 1; }

modules="node kwok metrics-server coredns pause"
# Whoever names a cluster of their own needs none of ours.
is_theirs=false
if [ -n "${KUBECONFIG:-}" ] && [ -n "${REGISTRY:-}" ]; then is_theirs=true modules=; fi
case ${1:-} in
path) printf '%s\n' "$bin"; exit 0 ;;
'' | build) ;;
bench) modules="$modules helm" ;;
gateway) modules="$modules traefik" ;;
*) echo "usage: tests/cluster/deps.sh [build | bench | gateway | path]" >&2; exit 2 ;;
esac

# product MODULE: the file it becomes. key_of MODULE: what that is built from, in one word.
product() { case $1 in node) echo kubernetes ;; pause) echo pause-image.tar ;; *) echo "$1" ;; esac; }
key_of() { cat "$1"/* | sha256sum | cut -d' ' -f1; }
is_built() { [ -s "$bin/$(product "$1")" ] && [ "$(cat "$bin/$1.key" 2>/dev/null)" = "$(key_of "$1")" ]; }

install_debian() {
	local pair want='' root='' log programs
	# command=package: of every cluster, and of ours
	programs="curl=curl jq=jq wrk=wrk openssl=openssl ps=procps promtool=prometheus"
	$is_theirs || programs="$programs etcd=etcd-server containerd=containerd runc=runc docker-registry=docker-registry iptables=iptables
		conntrack=conntrack socat=socat htpasswd=apache2-utils ip=iproute2 unshare=util-linux"
	for pair in $programs; do [ -n "$(PATH=$PATH:/usr/sbin:/sbin type -P "${pair%%=*}")" ] || want="$want ${pair##*=}"; done
	$is_theirs || [ -x /usr/lib/cni/bridge ] || want="$want containernetworking-plugins"
	[ -n "$want" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || fail "$want: not root here; type: sudo apt-get install --no-install-recommends$want"
		root="sudo -n"
	fi
	say "installing from Debian:$want"
	log=$(mktemp) || fail "a temporary file"
	# shellcheck disable=SC2086
	install_all() { $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $want >"$log" 2>&1; }
	# The package lists are fetched only when those on disk do not lead to the packages.
	install_all || { $root apt-get update -q >"$log" 2>&1; install_all; } || { tail -20 "$log" >&2; fail "$want"; }
	rm -f "$log"
	# Debian starts what it installs; a test cluster starts its own.
	if [ -d /run/systemd/system ]; then
		for pair in $want; do
			case $pair in
			etcd-server) $root systemctl disable -q --now etcd ;;
			containerd | docker-registry | prometheus) $root systemctl disable -q --now "$pair" ;;
			esac
		done
	fi 2>/dev/null
}

find_go() {
	go=$(type -P go || true)
	[ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; }
	[ -n "$go" ] || { say "skip: there is no Go here, and Kubernetes is built with $GO_MIN or newer"; exit $SKIP; }
	local have
	have=$("$go" env GOVERSION 2>/dev/null)
	have=${have#go}
	[ "$(printf '%s\n' "$GO_MIN" "$have" | sort -V | head -1)" = "$GO_MIN" ] || { say "skip: Go is $have here, and Kubernetes is built with $GO_MIN or newer"; exit $SKIP; }
}

# stamp MODULE: what a Kubernetes release says of itself, which clients ask for; a build from modules knows none of it.
stamp() {
	[ "$1" = node ] || return 0
	local version major minor package
	version=$("$go" -C node list -m -f '{{.Version}}' k8s.io/kubernetes) || return 1
	IFS=. read -r major minor _ <<<"${version#v}"
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		printf -- '-X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s -X %s.gitTreeState=clean -X %s.buildDate=1970-01-01T00:00:00Z ' \
			$package "$version" $package "$major" $package "$minor" $package $package
	done
}

# The kinds that Traefik answers to, as its own release of the Gateway API has them; each file becomes a document.
gateway_kinds() { sed -s '1i ---' "$("$go" -C traefik list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)"/config/crd/standard/*.yaml >"$bin/gateway-kinds.yaml"; }

build() {
	local name=$1 program what=. log=$bin/$1.log started=$SECONDS stamped
	program=$(product "$name")
	[ -f "$name/main.go" ] || what=tool
	stamped=$(stamp "$name") || fail "$name"
	# -o of a file for one main package, of a folder for a tool, whose name is its package's.
	CGO_ENABLED=0 nice -n 19 "$go" -C "$name" build -p 2 -trimpath -ldflags "-s -w $stamped" -o "$bin/new/$([ $what = tool ] || echo $program)" $what >"$log" 2>&1 ||
		{ tail -20 "$log" >&2; fail "$name"; }
	[ "$name" != traefik ] || gateway_kinds || fail "the kinds of the Gateway API"
	mv "$bin/new/$program" "$bin/$program" && key_of "$name" >"$bin/$name.key" || fail "$name"
	rm -f "$log"
	say "built $name: $(($(stat -c %s "$bin/$program") >> 20)) MiB in $((SECONDS - started)) s"
}

build_all() {
	local name missing=''
	for name in $modules; do is_built "$name" || missing="$missing $name"; done
	[ -n "$missing" ] || return 0
	find_go
	mkdir -p "$bin/new" || fail "$bin"
	# Two at once would do the work twice: the second waits, and finds it done.
	exec 8>"$bin/lock" && flock 8 || fail "$bin/lock"
	say "building, once:$missing"
	if ! is_built node && ! "$go" -C node mod download k8s.io/kubernetes >"$bin/new/download" 2>&1; then
		say "skip: the Go module proxy gives no Kubernetes: $(tail -1 "$bin/new/download")"
		exit $SKIP
	fi
	for name in $modules; do is_built "$name" || [ "$name" = pause ] || build "$name"; done
	# One program that goes by the name it is called.
	for name in $NODE_PROGRAMS; do ln -sf kubernetes "$bin/$name"; done
	if ! is_built pause; then
		# shellcheck disable=SC2086
		{ ${CC:-cc} -Os -static -o "$bin/new/pause" pause/pause.c && pause/pack.sh "$bin/new/pause" mlctl.test/pause:1 "$bin/$(product pause)"; } || fail "the pause image"
		key_of pause >"$bin/pause.key"
	fi
	rm -rf "$bin/new"
	exec 8>&-
}

[ "${1:-}" = build ] || install_debian
build_all
../peers/deps.sh kubectl >&2 || exit 1
say "all there: $bin"
