#!/bin/bash
# Puts other people's programs in place for `make test-peers` and `make bench`: registries, image tools, load generators.
#
#   tests/peers/deps.sh           what the peers tests need
#   tests/peers/deps.sh bench     and kubectl, which the bench compares with (two CPU-minutes to build)
#   tests/peers/deps.sh kubectl   kubectl alone, for the tests on a cluster
#   tests/peers/deps.sh path      prints the folder of the programs built here, and does nothing
#
# From Debian: what Debian has. From the Go module proxy: what it has not (crane, oras, regctl), built once per pinned version
# into ${XDG_CACHE_HOME:-$HOME/.cache}/mlctl-peers. Nothing of this is needed to build or to run mlctl. A second run finds
# everything in its place and takes milliseconds. Without a Go of GO_MIN or newer (Debian 12's is 1.19) the programs written in Go
# that Debian lacks are left out, said plainly, and their tests skip; whatever else can't be had ends this with its name and status 1.
set -u

CRANE=v0.22.1
REGCTL=v0.11.7
ORAS=v1.2.3
KUBECTL=v0.33.4
GO_MIN=1.26

# The folder's name carries the versions: another pin is another folder, and never a half-updated one.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mlctl-peers
bin=$cache/crane-$CRANE.regctl-$REGCTL.oras-$ORAS.kubectl-$KUBECTL/bin

say() { printf 'peers: %s\n' "$*"; }
fail() { printf 'peers: cannot get %s\n' "$*" >&2; exit 1; }

case ${1:-} in
path) printf '%s\n' "$bin"; exit 0 ;;
'' | bench | kubectl) ;;
*) printf 'usage: tests/peers/deps.sh [bench | kubectl | path]\n' >&2; exit 2 ;;
esac

# command=package, where the two differ from each other or not.
programs="docker-registry=docker-registry skopeo=skopeo umoci=umoci podman=podman htpasswd=apache2-utils wrk=wrk curl=curl jq=jq
	strace=strace python3=python3 openssl=openssl tar=tar"

[ "${1:-}" != kubectl ] || programs=
missing() {
	for pair in $programs; do
		# `time` is a word of the shell too, and only the program tells the peak memory.
		[ -n "$(type -P "${pair%%=*}")" ] || printf '%s ' "${pair##*=}"
	done
}

want=$(missing)
if [ -n "$want" ]; then
	root=
	if [ "$(id -u)" -ne 0 ]; then
		sudo -n true 2>/dev/null || fail "$want: not root here; type: sudo apt-get install --no-install-recommends $want"
		root="sudo -n"
	fi
	say "installing from Debian: $want"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp) || fail "a temporary file"
	install_all() { $root apt-get install -y -q --no-install-recommends $want >"$log" 2>&1; }
	# The package lists are fetched only when those on disk do not lead to the packages.
	install_all || { $root apt-get update -q >"$log" 2>&1; install_all; } || { tail -20 "$log" >&2; fail "$want"; }
	rm -f "$log"
	# Debian starts what it installs. The tests start a registry of their own on a port of their own.
	if [ -d /run/systemd/system ]; then
		case $want in *docker-registry*) $root systemctl disable -q --now docker-registry ;; esac
		case $want in *podman*) $root systemctl disable -q --now podman.socket podman-restart podman-auto-update.timer ;; esac
	fi 2>/dev/null
	want=$(missing)
	[ -z "$want" ] || fail "$want"
fi

go=$(type -P go || true)
[ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; }
if [ -n "$go" ]; then
	have=$("$go" env GOVERSION 2>/dev/null)
	have=${have#go}
	[ "$(printf '%s\n' "$GO_MIN" "$have" | sort -V | head -1)" = "$GO_MIN" ] || go=
fi

list="crane regctl oras"
case ${1:-} in
bench) list="$list kubectl" ;;
kubectl) list=kubectl ;;
esac
absent=
for name in $list; do [ -x "$bin/$name" ] || absent="$absent $name"; done
if [ -z "$absent" ]; then
	say "all there: $bin"
	exit 0
fi
if [ -z "$go" ]; then
	say "no Go $GO_MIN or newer here, so these are not built and their tests skip:$absent"
	exit 0
fi

work=$(mktemp -d) || fail "a temporary folder"
trap 'rm -rf "$work"' EXIT
mkdir -p "$bin" || fail "$bin"

# Each program is built inside a module of ours that requires it at its pinned version: `go install` refuses a program whose
# go.mod holds a replace directive, and the checksum database still vouches for every byte.
write_module() {
	case $1 in
	crane) printf 'require github.com/google/go-containerregistry %s\n' "$CRANE" ;;
	regctl) printf 'require github.com/regclient/regclient %s\n' "$REGCTL" ;;
	oras) printf 'require oras.land/oras %s\n' "$ORAS" ;;
	kubectl) printf 'require k8s.io/kubectl %s\nrequire k8s.io/component-base %s\n' "$KUBECTL" "$KUBECTL" ;;
	esac
}

package() {
	case $1 in
	crane) echo github.com/google/go-containerregistry/cmd/crane ;;
	regctl) echo github.com/regclient/regclient/cmd/regctl ;;
	oras) echo oras.land/oras/cmd/oras ;;
	kubectl) echo . ;;
	esac
}

for name in $absent; do
	mkdir "$work/$name" && cd "$work/$name" || fail "$name"
	{ printf 'module peers\n\ngo %s.0\n\n' "$GO_MIN"; write_module "$name"; } >go.mod
	if [ "$name" = kubectl ]; then
		# Kubernetes' own main lives in a repository of a gigabyte; this is all that it does.
		cat >main.go <<-'EOF'
			package main

			import (
				"os"

				"k8s.io/component-base/cli"
				"k8s.io/kubectl/pkg/cmd"
			)

			func main() {
				os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
			}
		EOF
	fi
	started=$SECONDS
	GOFLAGS=-mod=mod CGO_ENABLED=0 nice -n 10 "$go" build -p 2 -trimpath -ldflags '-s -w' -o "$bin/$name.new" \
		"$(package "$name")" >"$work/$name.log" 2>&1 || { tail -20 "$work/$name.log" >&2; fail "$name"; }
	mv "$bin/$name.new" "$bin/$name" || fail "$name"
	say "built $name: $(($(stat -c %s "$bin/$name") >> 20)) MiB in $((SECONDS - started)) s"
done
say "all there: $bin"
