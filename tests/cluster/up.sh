#!/usr/bin/env bash
# Starts a real Kubernetes of one node on this machine: containers, services, DNS, metrics and a registry that it pulls from.
#
#   eval "$(tests/cluster/up.sh)"     sets KUBECONFIG, REGISTRY, AUDIT_LOG, CLUSTER_RUN; takes 5 to 15 s
#   tests/cluster/down.sh             takes it away again; nothing is left
#
# It lives in $CLUSTER_RUN (or a new folder in /tmp) and in a network of its own, so several may run beside each other. From this machine its
# pods, services and node ports (on the node's address) are reached directly. AUDIT=0 writes no audit log; CLUSTER_OWNER=PID lets it go when that
# process does. Ends with 77 and a word where the machine can't: it needs root, cgroups, and a kernel with bridge, veth, overlay and netfilter.
# One process owns every other, every mount, rule and interface: when it is killed, they go with it.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/control.sh"

[ "$(id -u)" = 0 ] || cannot "a real node needs root"
need_programs etcd containerd ctr runc docker-registry iptables conntrack ip openssl curl unshare kubectl kube-apiserver kubelet metrics-server coredns
[ -x /usr/lib/cni/bridge ] || cannot "not here: containernetworking-plugins; type: tests/cluster/deps.sh"

cgroup_version=1
[ "$(stat -fc %T /sys/fs/cgroup 2>/dev/null)" != cgroup2fs ] || cgroup_version=2
can_make_groups() {
	local at=/sys/fs/cgroup/mlctl-test-probe.$$
	[ $cgroup_version = 2 ] || at=/sys/fs/cgroup/memory/mlctl-test-probe.$$
	mkdir "$at" 2>/dev/null && rmdir "$at"
}
# What the kernel gives to a namespace of our own: says what is missing. All of it goes with the namespace.
what_is_missing() {
	unshare --mount --net --pid --fork --propagation private bash -c '
		try() { what=$1; shift; "$@" >/dev/null 2>&1 || { echo "$what"; exit 0; }; }
		try "loopback in a network namespace" ip link set lo up
		try "interfaces of type bridge" ip link add name probe0 type bridge
		try "interfaces of type veth" ip link add name probe1 type veth peer name probe2
		try "netfilter (iptables -t nat)" iptables -w -t nat -A POSTROUTING -m statistic --mode random --probability 0.5 -m comment --comment x -j MASQUERADE
		try "netfilter (conntrack)" iptables -w -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
		try "mounts of type tmpfs" mount -t tmpfs tmpfs "$0"
		umount "$0"
		mkdir "$0/lower" "$0/upper" "$0/work" "$0/both"
		try "overlay mounts in $0" mount -t overlay overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" "$0/both"
	' "$1" 2>/dev/null || echo "namespaces of our own (unshare)"
}

run=${CLUSTER_RUN:-}
if [ -z "$run" ]; then run=$(mktemp -d /tmp/mlctl-cluster.XXXXXX) || exit 1
elif [ -e "$run/init.pid" ] && kill -0 "$(cat "$run/init.pid")" 2>/dev/null; then say "$run has a cluster already"; exit 1
else mkdir -p "$run" || exit 1; fi
is_up='' is_told_to_end=''
leave() {
	[ -z "$is_up" ] || return
	[ -n "$is_told_to_end" ] || [ ! -e "$run/init.pid" ] || say_why
	"$here/down.sh" "$run"
}
trap leave EXIT
trap 'is_told_to_end=yes; exit 143' TERM INT HUP
follow_owner

can_make_groups || cannot "no cgroups can be made below /sys/fs/cgroup"
mkdir -p "$run/probe"
missing=$(what_is_missing "$run/probe")
rm -rf "$run/probe"
[ -z "$missing" ] || cannot "the kernel does not give $missing"

# A number of its own for addresses and names: pods 198.18.N, services 198.19.N, the link to this machine 198.19.(100+N). That block is set aside
# for tests of networks, so no company's network or VPN uses it. It must be routed nowhere yet, and the link's name be free: making it is the claim.
is_unrouted() { ! ip -4 route show table all to match "$1" | grep -qvE '^(default|unreachable)' && [ -z "$(ip -4 route show table all to root "$1/24")" ]; }
number=
for n in $(seq 1 30); do
	if is_unrouted "198.18.$n.1" && is_unrouted "198.19.$n.1" && is_unrouted "198.19.$((n + 100)).1" && ip link add "mlctl$n" type veth peer name "mlctl${n}n" 2>/dev/null; then
		number=$n
		break
	fi
done
[ -n "$number" ] || cannot "no addresses are free: 198.18.N.0/24 for an N from 1 to 30"
mkdir -p "$run"/{pki,log,keep,etcd,registry,containerd,kubelet,pods,sysctl,cni/net.d,cni/addresses}
chmod 700 "$run/pki"
node_ip=198.18.$number.1
link_host=198.19.$((number + 100)).1
# What node.sh and down.sh have to know.
cat >"$run/node.env" <<END
number=$number cgroup_version=$cgroup_version group=mlctl-test$number
link=mlctl$number link_peer=mlctl${number}n link_host=$link_host link_node=198.19.$((number + 100)).2
node=node$number node_ip=$node_ip pods=198.18.$number.0/24 services=198.19.$number.0/24
END
. "$run/node.env"

server=https://$node_ip:6443
make_identities "$server" "IP:127.0.0.1,IP:$node_ip,IP:$link_node,IP:198.19.$number.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local" &&
	certificate api-to-kubelet /O=system:masters/CN=api-to-kubelet && certificate kubelet "/O=system:nodes/CN=system:node:$node" &&
	certificate kubelet-server "/O=system:nodes/CN=system:node:$node" serverAuth "IP:$node_ip,DNS:$node" &&
	certificate proxy /CN=system:kube-proxy && certificate member "/O=system:masters/O=mlctl-test:cluster/CN=member" || { say "no certificates"; exit 1; }
for name in kubelet proxy member; do kubeconfig $name "$server"; done

cat >"$run/containerd.toml" <<END
version = 2
root = "$run/containerd/root"
state = "$run/containerd/state"
oom_score = -999
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "$run/containerd/sock"
[ttrpc]
  address = "$run/containerd/sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "mlctl.test/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$run/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$run/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
END
# Plain http is allowed host by host. lib.sh's trust_registry adds others while the cluster runs.
mkdir -p "$run/registries/$node_ip:5000"
printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$node_ip:5000" "$node_ip:5000" >"$run/registries/$node_ip:5000/hosts.toml"
write_registry_config :5000
cat >"$run/cni/net.d/10-test.conflist" <<END
{"cniVersion": "1.0.0", "name": "test", "plugins": [
 {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": false, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": "$run/cni/addresses", "ranges": [[{"subnet": "$pods", "gateway": "$node_ip"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
echo "nameserver $node_ip" >"$run/resolv.conf"
cat >"$run/Corefile" <<END
.:53 {
  bind $node_ip
  errors
  cache 2
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $run/member.kubeconfig test
    pods insecure
  }
}
END
# Nothing is evicted and no image is collected for the want of disk: the machine is shared with whatever else it does.
cat >"$run/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
containerRuntimeEndpoint: unix://$run/containerd/sock
cgroupDriver: cgroupfs
cgroupRoot: /$group
failCgroupV1: false
failSwapOn: false
protectKernelDefaults: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $run/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $run/pki/kubelet-server.crt
tlsPrivateKeyFile: $run/pki/kubelet-server.key
clusterDomain: cluster.local
clusterDNS: ["$node_ip"]
makeIPTablesUtilChains: false
resolvConf: $run/resolv.conf
podLogsDir: $run/pods
volumePluginDir: $run/kubelet/plugins
evictionHard: {memory.available: 100Mi, nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 500
kubeAPIBurst: 1000
END
cat >"$run/proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $run/proxy.kubeconfig}
mode: iptables
clusterCIDR: $pods
hostnameOverride: $node
bindAddress: 127.0.0.1
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nodePortAddresses: ["$pods"]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 100ms, syncPeriod: 30s}
END

# The kubelet insists that its root exists in every hierarchy of version 1, systemd's included.
if [ $cgroup_version = 2 ]; then
	mkdir -p "/sys/fs/cgroup/$group"
	for name in cpu cpuset memory pids io; do echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control; done 2>/dev/null
else
	for name in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do [ ! -d /sys/fs/cgroup/$name ] || mkdir -p "/sys/fs/cgroup/$name/$group"; done
	for name in cpus mems; do cat /sys/fs/cgroup/cpuset/cpuset.$name >"/sys/fs/cgroup/cpuset/$group/cpuset.$name"; done
fi

run=$run bin=$bin setsid unshare --mount --net --pid --fork --kill-child=KILL --mount-proc --propagation private \
	bash "$here/node.sh" </dev/null >"$run/log/node.log" 2>&1 &
init=$!
echo $init >"$run/init.pid"
# Until the process is in a network of its own the link's other end would stay here.
wait_for 10 test -e "$run/keep/network" || { say "the node's process did not start"; exit 1; }
ip link set "$link_peer" netns $init && ip addr add "$link_host/30" dev "$link" && ip link set "$link" up || { say "no link to the node"; exit 1; }
ip route add "$pods" via "$link_node" 2>/dev/null || wait_for 5 ip route add "$pods" via "$link_node" || { say "no route to the pods"; exit 1; }
ip route add "$services" via "$link_node" || { say "no route to the services"; exit 1; }

wait_for 120 is_ready || { say "the API server did not become ready"; exit 1; }
wait_for 120 nodes_are_ready 1 || { say "the node did not become ready"; exit 1; }
wait_for 60 namespaces_work || { say "the controllers did not make the default ServiceAccount"; exit 1; }
# The aggregator still asks for Endpoints by that name, of which kubectl warns.
as_admin apply -f - >"$run/log/metrics-api.log" 2>&1 <<END || { say "metrics could not be announced"; exit 1; }
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{name: https, port: 443, targetPort: 4443}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: metrics-server, namespace: kube-system}
subsets: [{addresses: [{ip: $node_ip}], ports: [{name: https, port: 4443}]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {name: metrics-server, namespace: kube-system}}
END
is_up=yes
say "a real node in $run, up after $SECONDS s"
say_exports "$node_ip:5000"
printf 'export CLUSTER_HOST=%s CLUSTER_NODE=%s\n' "$link_host" "$node_ip"
