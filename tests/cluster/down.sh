#!/usr/bin/env bash
# Takes away what up.sh or light.sh started: tests/cluster/down.sh [FOLDER], by default $CLUSTER_RUN. Nothing is left: no process, mount, rule,
# interface, route, cgroup or file.
set -u
run=${1:-${CLUSTER_RUN:-}}
[ -n "$run" ] || { echo "usage: tests/cluster/down.sh FOLDER   (CLUSTER_RUN is not set)" >&2; exit 2; }
[ -d "$run" ] || exit 0

# is_ours PID: numbers are used again; a program of this cluster names its folder, or is the process that owns the node.
is_ours() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -e "$run" -e node.sh; }
gone() { # SECONDS PID...: all of them are
	local end=$((SECONDS + $1)) pid
	shift
	for pid; do
		while [ -d "/proc/$pid" ]; do
			[ "$SECONDS" -lt "$end" ] || return 1
			sleep 0.02
		done
	done
}

if [ -e "$run/init.pid" ]; then
	init=$(cat "$run/init.pid")
	if is_ours "$init"; then
		kill -KILL "$init" && gone 20 "$init"
	fi
else
	# A simulated one: each program and its keeper are a group. All at once, or a keeper would start its program again.
	pids=
	for file in "$run"/keep/*.pid; do [ ! -e "$file" ] || { is_ours "$(cat "$file")" && pids="$pids $(cat "$file")"; }; done
	for pid in $pids; do kill -KILL -- "-$pid" 2>/dev/null; done
	# shellcheck disable=SC2086
	gone 20 $pids
fi
if [ -e "$run/node.env" ]; then
	. "$run/node.env"
	ip link del "$link" 2>/dev/null
	# Its pods' last processes may still be on their way out.
	for _ in $(seq 1 200); do
		left=
		for at in /sys/fs/cgroup/"$group" /sys/fs/cgroup/"$group-node" /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/*/"$group-node"; do
			[ ! -d "$at" ] || find "$at" -depth -type d -exec rmdir {} \; 2>/dev/null
			[ ! -d "$at" ] || left=$at
		done
		[ -n "$left" ] || break
		sleep 0.05
	done
	[ -z "$left" ] || echo "cluster: $left is still in use" >&2
fi
[ ! -L "$run/etcd" ] || rm -rf "$(readlink "$run/etcd")"
rm -rf --one-file-system "$run"
