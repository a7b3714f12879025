# shellcheck shell=bash
# What a real node and a simulated one share: skipping, programs kept alive, certificates, kubeconfigs, the control plane's flags, waiting.
#
# Sourced by up.sh, light.sh and node.sh. Everything lies below $run, the cluster's own folder; $bin holds the programs that deps.sh built.
# Words go to stderr: stdout is for the lines that a shell evaluates.

SKIP=77 # the exit code for a machine that can't, as opposed to a cluster that failed
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$("$here/deps.sh" path)
# kubectl is one of the programs that the bench's deps build already.
PATH=$bin:${PEERS_BIN:-$("$here/../peers/deps.sh" path)}:/usr/sbin:/sbin:$PATH

# What the caller holds open, a lock perhaps, must not live on in the programs started here. 255 is the script itself.
for fd in /proc/$$/fd/*; do
	fd=${fd##*/}
	case $fd in 0 | 1 | 2 | 255) ;; *) eval "exec $fd>&-" ;; esac
done

say() { printf 'cluster: %s\n' "$*" >&2; }
cannot() { say "skip: $*"; exit $SKIP; }
need_programs() {
	local name missing=
	for name in "$@"; do [ -n "$(type -P "$name")" ] || missing="$missing $name"; done
	[ -z "$missing" ] || cannot "not here:$missing; type: tests/cluster/deps.sh"
}
# wait_for SECONDS command...: asks again until it succeeds or the time is over.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# keep NAME command...: runs it, and again when it ends, in a process group of its own, so that whoever ends the group ends both.
keep() {
	local name=$1
	shift
	# shellcheck disable=SC2016
	setsid bash -c 'name=$0; while :; do echo "== $name starts"; "$@"; echo "== $name ended with $?"; sleep 0.5; done' "$name" "$@" \
		>>"$run/log/$name.log" 2>&1 </dev/null 7<&- &
	echo $! >"$run/keep/$name.pid"
}

# With CLUSTER_OWNER, a process id, the cluster goes when that process does, however it ends; also while the cluster is still starting.
follow_owner() {
	[ -n "${CLUSTER_OWNER:-}" ] || return 0
	# shellcheck disable=SC2016
	setsid bash -c 'while kill -0 "$0" 2>/dev/null && [ -d "$2" ]; do sleep 1; done
		[ -d "$2" ] || exit 0
		if [ ! -e "$2/up" ]; then kill "$1"; while kill -0 "$1"; do sleep 0.2; done; fi 2>/dev/null
		exec "$3/down.sh" "$2"' "$CLUSTER_OWNER" $$ "$run" "$here" >/dev/null 2>&1 </dev/null 7<&- &
}

# One authority for everything. certificate NAME SUBJECT [serverAuth SAN,...]
make_authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=mlctl test cluster" -keyout "$run/pki/ca.key" -out "$run/pki/ca.crt" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null &&
		openssl ecparam -name prime256v1 -genkey -noout -out "$run/pki/accounts.key" && openssl ec -in "$run/pki/accounts.key" -pubout -out "$run/pki/accounts.pub" 2>/dev/null
}
certificate() {
	local at=$run/pki/$1
	printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "${3:-clientAuth}" >"$at.ext"
	[ -z "${4:-}" ] || printf 'subjectAltName=%s\n' "$4" >>"$at.ext"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$at.key" -out "$at.csr" 2>/dev/null &&
		openssl x509 -req -in "$at.csr" -CA "$run/pki/ca.crt" -CAkey "$run/pki/ca.key" -CAcreateserial -days 30 -extfile "$at.ext" -out "$at.crt" 2>/dev/null &&
		rm "$at.csr" "$at.ext"
}
# kubeconfig NAME SERVER: for the holder of that certificate; the file stands alone and may be carried away.
kubeconfig() {
	cat >"$run/$1.kubeconfig" <<-END
		apiVersion: v1
		kind: Config
		current-context: test
		clusters:
		- name: test
		  cluster: {server: "$2", certificate-authority-data: $(base64 -w0 "$run/pki/ca.crt")}
		users:
		- name: $1
		  user: {client-certificate-data: $(base64 -w0 "$run/pki/$1.crt"), client-key-data: $(base64 -w0 "$run/pki/$1.key")}
		contexts:
		- name: test
		  context: {cluster: test, user: $1}
	END
}
# The control plane's own members, each with a certificate and a name, so that the audit log and RBAC tell them apart. Afterwards: kubeconfig.
make_identities() {
	local server=$1 names=$2
	make_authority && certificate server /CN=kube-apiserver serverAuth "$names" && certificate front-proxy /CN=front-proxy &&
		certificate admin /O=system:masters/CN=admin && certificate controllers /CN=system:kube-controller-manager &&
		certificate scheduler /CN=system:kube-scheduler || return 1
	kubeconfig admin "$server" && kubeconfig controllers "$server" && kubeconfig scheduler "$server"
}

# Who asked for what, one JSON line a request, without the cluster's own members: their doings are noise here.
write_audit_policy() {
	cat >"$run/audit.yaml" <<-'END'
		apiVersion: audit.k8s.io/v1
		kind: Policy
		omitStages: [RequestReceived]
		rules:
		- {level: None, users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]}
		- {level: None, userGroups: ["system:nodes", "system:serviceaccounts:kube-system", "mlctl-test:cluster"]}
		- {level: None, nonResourceURLs: ["/healthz*", "/readyz*", "/livez*"]}
		- {level: Metadata}
	END
}
# start_etcd CLIENT_PORT PEER_PORT: Debian's 3.4 always waits for the disk, so its folder is best a memory file system.
start_etcd() {
	keep etcd etcd --name test --data-dir "$run/etcd/data" --logger zap --log-level warn \
		--listen-client-urls "http://127.0.0.1:$1" --advertise-client-urls "http://127.0.0.1:$1" \
		--listen-peer-urls "http://127.0.0.1:$2" --initial-advertise-peer-urls "http://127.0.0.1:$2" --initial-cluster "test=http://127.0.0.1:$2"
}
# start_api_server ETCD_PORT PORT flags...: RBAC, PodSecurity and admission policies are on as they come; an aggregated API may join.
start_api_server() {
	local etcd=$1 port=$2 audit=()
	shift 2
	if [ "${AUDIT:-1}" != 0 ]; then
		write_audit_policy
		audit=(--audit-policy-file="$run/audit.yaml" --audit-log-path="$run/log/audit.jsonl" --audit-log-maxsize=1000)
	fi
	keep api-server kube-apiserver --etcd-servers="http://127.0.0.1:$etcd" --secure-port="$port" --allow-privileged=true --profiling=false \
		--client-ca-file="$run/pki/ca.crt" --tls-cert-file="$run/pki/server.crt" --tls-private-key-file="$run/pki/server.key" --cert-dir="$run/pki" \
		--service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$run/pki/accounts.pub" \
		--service-account-signing-key-file="$run/pki/accounts.key" --requestheader-client-ca-file="$run/pki/ca.crt" \
		--requestheader-allowed-names=front-proxy --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- --proxy-client-cert-file="$run/pki/front-proxy.crt" \
		--proxy-client-key-file="$run/pki/front-proxy.key" "${audit[@]}" "$@"
}
# start_controllers: with the patience of a test, where a real cluster's defaults are minutes.
start_controllers() {
	keep controllers kube-controller-manager --kubeconfig="$run/controllers.kubeconfig" --secure-port=0 --leader-elect=false \
		--service-account-private-key-file="$run/pki/accounts.key" --root-ca-file="$run/pki/ca.crt" --use-service-account-credentials=true \
		--cluster-signing-cert-file="$run/pki/ca.crt" --cluster-signing-key-file="$run/pki/ca.key" --kube-api-qps=500 --kube-api-burst=1000 \
		--horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-cpu-initialization-period=10s \
		--horizontal-pod-autoscaler-initial-readiness-delay=5s "$@"
	keep scheduler kube-scheduler --kubeconfig="$run/scheduler.kubeconfig" --secure-port=0 --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000
}
write_registry_config() { # ADDRESS
	printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: "%s"}\n' \
		"$run/registry" "$1" >"$run/registry.yml"
}

as_admin() { kubectl --kubeconfig "$run/admin.kubeconfig" "$@"; }
is_ready() { [ "$(as_admin get --raw /readyz 2>/dev/null)" = ok ]; }
nodes_are_ready() { # COUNT
	[ "$(as_admin get nodes -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null | grep -c '^True$')" -ge "$1" ]
}
# Pods can be created in a namespace only once its ServiceAccount and its copy of the authority are there.
namespaces_work() { as_admin -n default get serviceaccount/default configmap/kube-root-ca.crt; }
# say_why: the last words of each program, for a cluster that did not come up.
say_why() {
	local log
	for log in "$run"/log/*.log; do [ -s "$log" ] && { echo "--- $log"; grep -v '^I' "$log" | tail -15; }; done >&2
}
# The cluster is up: the environment of the tests, for eval.
say_exports() { # REGISTRY
	touch "$run/up"
	printf 'export KUBECONFIG=%s REGISTRY=%s CLUSTER_RUN=%s' "$run/admin.kubeconfig" "$1" "$run"
	[ "${AUDIT:-1}" = 0 ] || printf ' AUDIT_LOG=%s' "$run/log/audit.jsonl"
	printf '\n'
}
