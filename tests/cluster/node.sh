#!/usr/bin/env bash
# Process 1 of a real node's namespaces: lays its network and mounts, keeps its programs running, buries orphans. Started by up.sh, with $run.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/control.sh"
. "$run/node.env"

# The node's own programs in one group of every hierarchy: the kubelet compares its cpu and memory paths.
join_group() {
	local at=$1 name
	mkdir -p "$at" || return 1
	for name in cpus mems; do [ ! -e "$at/../cpuset.$name" ] || [ "$cgroup_version" = 2 ] || cat "$at/../cpuset.$name" >"$at/cpuset.$name"; done
	echo $$ >"$at/cgroup.procs"
}
if [ "$cgroup_version" = 2 ]; then join_group "/sys/fs/cgroup/$group-node"
else for name in cpu cpuacct cpuset memory pids; do join_group "/sys/fs/cgroup/$name/$group-node"; done; fi

# The pods' bridge carries the node's address; the other end of the link comes from up.sh.
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add pods type bridge && ip addr add "$node_ip/24" dev pods && ip link set pods up
ip route add "$services" dev pods src "$node_ip"
for name in iptables ip6tables; do [ ! -e /proc/sys/net/bridge/bridge-nf-call-$name ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-$name; done
touch "$run/keep/network"
wait_for 20 ip link show "$link_peer" || { echo "the link did not come"; exit 1; }
ip addr add "$link_node/30" dev "$link_peer" && ip link set "$link_peer" up || exit 1

# The kubelet would set these for the whole machine: it is shown the values that it wants instead.
for pair in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	file=$run/sysctl/$(echo "${pair%%=*}" | tr / .)
	echo "${pair#*=}" >"$file" && mount --bind "$file" "/proc/sys/${pair%%=*}"
done
# Sockets and state with fixed paths, which must not be seen outside; and etcd's folder, which need not outlive the cluster.
for folder in /var/lib/kubelet /run/containerd /var/log/containers /var/lib/cni "$run/etcd"; do mkdir -p "$folder" && mount -t tmpfs tmpfs "$folder"; done

start_etcd 2379 2380
keep containerd containerd -c "$run/containerd.toml"
keep registry docker-registry serve "$run/registry.yml"
wait_for 30 curl -sf http://127.0.0.1:2379/health
start_api_server 2379 6443 --bind-address=0.0.0.0 --advertise-address="$node_ip" --service-cluster-ip-range="$services" \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --enable-aggregator-routing=true --kubelet-preferred-address-types=InternalIP \
	--kubelet-client-certificate="$run/pki/api-to-kubelet.crt" --kubelet-client-key="$run/pki/api-to-kubelet.key" \
	--kubelet-certificate-authority="$run/pki/ca.crt"
wait_for 30 ctr -a "$run/containerd/sock" version
ctr -a "$run/containerd/sock" -n k8s.io images import "$bin/pause-image.tar"
wait_for 120 is_ready
start_controllers
keep kubelet kubelet --kubeconfig="$run/kubelet.kubeconfig" --config="$run/kubelet.yaml" --hostname-override="$node" --node-ip="$node_ip" \
	--root-dir="$run/kubelet" --cert-dir="$run/kubelet/pki"
keep proxy kube-proxy --config="$run/proxy.yaml"
keep coredns coredns -conf "$run/Corefile"
keep metrics metrics-server --kubeconfig="$run/member.kubeconfig" --authentication-kubeconfig="$run/member.kubeconfig" \
	--authorization-kubeconfig="$run/member.kubeconfig" --secure-port=4443 --cert-dir="$run/kubelet/metrics" --kubelet-certificate-authority="$run/pki/ca.crt" \
	--kubelet-preferred-address-types=InternalIP --metric-resolution=10s --kubelet-request-timeout=5s
while :; do wait; sleep 1; done
