#!/usr/bin/env bash
# Starts a Kubernetes with simulated nodes on this machine: a real API server, controllers and scheduler, and pods that only say they run.
#
#   eval "$(tests/cluster/light.sh)"  sets KUBECONFIG, REGISTRY, AUDIT_LOG, CLUSTER_RUN; takes 4 to 10 s, on loopback alone, without root
#   tests/cluster/down.sh             takes it away again
#
# For what the control plane decides: admission, RBAC, rollouts, quotas, scheduling, records. For what runs in a pod there is up.sh. Several may
# run beside each other. In a namespace whose name holds "held", pods stay as the scheduler left them: the test writes their status itself
# (stages.yaml). NODES says how many nodes (2), AUDIT=0 writes no audit log; CLUSTER_OWNER=PID lets it go when that process does.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/control.sh"

need_programs etcd docker-registry openssl curl kubectl kube-apiserver kube-controller-manager kube-scheduler kwok
run=${CLUSTER_RUN:-}
if [ -z "$run" ]; then run=$(mktemp -d /tmp/mlctl-cluster.XXXXXX) || exit 1
elif [ -e "$run/keep/etcd.pid" ]; then say "$run has a cluster already"; exit 1
else mkdir -p "$run" || exit 1; fi
is_up='' is_told_to_end=''
leave() {
	[ -z "$is_up" ] || return
	[ -n "$is_told_to_end" ] || say_why
	"$here/down.sh" "$run"
}
trap leave EXIT
trap 'is_told_to_end=yes; exit 143' TERM INT HUP
follow_owner

# Four neighbours that nobody listens on, below the ephemeral range and away from the ports that other tests take. Clusters start one after the
# other, so that no two of them choose the same: the lock is let go when all of them are taken.
is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
claim_ports() {
	local offset
	exec 7<"$bin" && flock -w 120 7 || return 1
	for _ in $(seq 1 100); do
		port=$((12000 + RANDOM % 1000 * 5))
		for offset in 0 1 2 3; do is_free $((port + offset)) || continue 2; done
		return 0
	done
	return 1
}
claim_ports || { say "no free ports from 12000 on"; exit 1; }
etcd_port=$port etcd_peer_port=$((port + 1)) api_port=$((port + 2)) registry_port=$((port + 3))

mkdir -p "$run"/{pki,log,keep,registry}
chmod 700 "$run/pki"
memory=$(mktemp -d /dev/shm/mlctl-cluster.XXXXXX 2>/dev/null)
if [ -n "$memory" ]; then ln -s "$memory" "$run/etcd"; else mkdir "$run/etcd"; fi
server=https://127.0.0.1:$api_port
make_identities "$server" "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc" &&
	certificate member "/O=system:masters/O=mlctl-test:cluster/CN=member" && kubeconfig member "$server" || { say "no certificates"; exit 1; }

start_etcd $etcd_port $etcd_peer_port
write_registry_config 127.0.0.1:$registry_port
keep registry docker-registry serve "$run/registry.yml"
wait_for 60 curl -sf http://127.0.0.1:$etcd_port/health || { say "etcd did not start"; exit 1; }
start_api_server $etcd_port $api_port --bind-address=127.0.0.1 --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=RBAC --endpoint-reconciler-type=none
wait_for 120 is_ready || { say "the API server did not become ready"; exit 1; }
exec 7<&-
start_controllers
# Without an address it has no server, and needs no port.
keep kwok kwok --kubeconfig="$run/member.kubeconfig" --config="$here/stages.yaml" --manage-all-nodes=true --node-ip=127.0.0.1

for n in $(seq 1 "${NODES:-2}"); do
	printf -- '---\napiVersion: v1\nkind: Node\nmetadata:\n  name: node%s\n  labels: {kubernetes.io/hostname: node%s, kubernetes.io/os: linux, kubernetes.io/arch: amd64}\n' "$n" "$n"
	printf 'status:\n  capacity: &size {cpu: "8", memory: 16Gi, ephemeral-storage: 100Gi, pods: "110"}\n  allocatable: *size\n'
done | as_admin create -f - >/dev/null || { say "no nodes"; exit 1; }
wait_for 60 nodes_are_ready "${NODES:-2}" || { say "the simulated nodes did not become ready"; exit 1; }
wait_for 60 namespaces_work || { say "the controllers did not make the default ServiceAccount"; exit 1; }
is_up=yes
say "simulated nodes in $run, up after $SECONDS s"
say_exports "127.0.0.1:$registry_port"
