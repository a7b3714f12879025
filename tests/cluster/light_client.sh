#!/usr/bin/env bash
# lib/kube against a real API server: who asks and how (certificates, rotating tokens, exec plugins, proxies, names for TLS), reads and pages, apply with
# its conflicts, deletes by uid, mirrors through the death of the server.
. "$(dirname "$0")/lib.sh"
driver=$ROOT/build/${FLAVOUR:-san}/tests/cluster/kube_driver
if ! [ -x "$driver" ]; then
	skip "the client against a real server" "$driver is not built: make test-cluster-light"
	finish
fi
export NAMESPACE=$namespace
kube() { "$driver" "$@"; }
# with FILE TEXT: writes it below the home.
with() { printf '%s\n' "$2" >"$home/$1"; }

exits "it opens" 0 kube open
says "with the context's server" "$out" "^https://127.0.0.1:[0-9]+ test $namespace\$"
exits "asks for the version" 0 kube read /version
says "a Kubernetes answers" "$out" '"gitVersion": "v1'

# --- reads
exits "reads one" 0 kube get ServiceAccount default
says "whole" "$out" '^\{"kind":"ServiceAccount".*"uid"'
exits "what is not there is told" 1 kube get ConfigMap nothing
says "as what it is" "$err" "^not-found: ConfigMap $namespace/nothing is not there\$"
for part in 0 1 2 3; do
	for i in $(seq $((part * 300 + 1)) $((part * 300 + 300))); do
		printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: many-%04d, labels: {many: "yes"}}\n' "$i"
	done | in_ns create --validate=false -f - >/dev/null 2>&1 &
	makers="${makers:-} $!"
done
# shellcheck disable=SC2086
wait $makers
exits "1,200 objects in pages" 0 kube list ConfigMap many=yes
equals "all of them" "$(cat "$out")" "1200 items"
exits "many kinds side by side" 0 kube ask Deployment Service ConfigMap Pod Node HTTPRoute HorizontalPodAutoscaler NetworkPolicy
says "each with its answer" "$out" '^ConfigMap 120[0-9] $'
says "or its own error" "$out" '^HTTPRoute 0 .*does not serve gateway.networking.k8s.io/v1 HTTPRoute'

# --- apply
deployment() { with d.yaml "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: $1, selector: {matchLabels: {app: web}},
 template: {metadata: {labels: {app: ${3:-web}}}, spec: {containers: [{name: c, image: '$2'}]}}}}"; }
deployment 2 x:1
exits "a dry run" 0 kube apply "$home/d.yaml" dry
exits "makes nothing" 1 kube get Deployment web
exits "apply" 0 kube apply "$home/d.yaml" rv=
says "makes it" "$out" '^created '
exits "what must not be there yet and is" 1 kube apply "$home/d.yaml" rv=
says "is a conflict" "$err" "^conflict: Deployment $namespace/web: it is there already"
version() { in_ns get deployment web -o 'jsonpath={.metadata.resourceVersion}'; }
stable() { local before; before=$(version); sleep 0.3; [ "$(version)" = "$before" ]; }
within 20 stable
exits "with the version that was read" 0 kube apply "$home/d.yaml" "rv=$(version)"
exits "with an older one" 1 kube apply "$home/d.yaml" rv=2
says "it is stale" "$err" '^stale$'
in_ns scale deployment web --replicas=5 >/dev/null
in_ns set image deployment/web c=other:9 >/dev/null
exits "fields of others" 1 kube apply "$home/d.yaml"
says "are named, with owner and both values" "$err" '\.spec\.replicas belongs to kubectl \(there 5, ours 2\)'
says "each of them" "$err" 'containers\[name="c"\]\.image belongs to kubectl-set \(there "other:9", ours "x:1"\)'
says "and what to do" "$err" '^fix: mlctl deploy --force-conflicts'
equals "nothing was changed" "$(in_ns get deployment web -o 'jsonpath={.spec.replicas}')" 5
exits "by force" 0 kube apply "$home/d.yaml" force
equals "they are ours" "$(in_ns get deployment web -o 'jsonpath={.spec.replicas}')" 2
deployment -1 x:1 other
exits "what is not valid" 1 kube apply "$home/d.yaml" force
says "is told field by field" "$err" '^invalid: .*not valid: spec\.replicas: Invalid value: -1: .*; spec\.template\.metadata\.labels: '
deployment 2 x:1
sed -i 's/replicas:/replicaz:/' "$home/d.yaml"
exits "a field that nobody knows" 1 kube apply "$home/d.yaml"
says "is named" "$err" 'knows no field .spec.replicaz of a Deployment'
deployment 2 x:1
NAMESPACE=mlctl-nowhere exits "a namespace that is not there" 1 kube apply "$home/d.yaml"
says "has its fix" "$err" '^fix: kubectl create namespace mlctl-nowhere'

# --- other writes
with c.yaml '{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {v: "1"}}'
exits "create" 0 kube create "$home/c.yaml"
exits "twice" 1 kube create "$home/c.yaml"
says "is a conflict" "$err" '^conflict: create ConfigMap .*it is there already'
kube get ConfigMap c | jq -c '.data.v = "2"' >"$home/c2.json"
exits "replace" 0 kube replace "$home/c2.json"
exits "of what was read before" 1 kube replace "$home/c2.json"
says "is a conflict too" "$err" '^conflict: ConfigMap .*somebody changed it since it was read'
with scale.yaml '{spec: {replicas: 1}}'
exits "a patch of a subresource" 0 kube patch Deployment web scale "$home/scale.yaml"
equals "arrives" "$(in_ns get deployment web -o 'jsonpath={.spec.replicas}')" 1
uid=$(in_ns get configmap c -o 'jsonpath={.metadata.uid}')
exits "delete of another uid" 1 kube delete ConfigMap c 00000000-0000-0000-0000-000000000000
says "is a conflict" "$err" '^conflict: .*another object has this name now'
exits "of the right one" 0 kube delete ConfigMap c "$uid"
equals "takes it away" "$(cat "$out")" "was there"
exits "again" 0 kube delete ConfigMap c
equals "is fine" "$(cat "$out")" "was not there"
with c3.yaml "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {v: '3'}}"
exits "apply to the uid that was" 1 kube apply "$home/c3.yaml" "uid=$uid"
says "makes no other" "$err" '^stale$'

# --- what clusters refuse
in_ns label namespace "$namespace" pod-security.kubernetes.io/warn=restricted >/dev/null
exits "a warning" 0 kube apply "$home/d.yaml" force
says "is handed on" "$err" '^warning: would violate PodSecurity "restricted:latest"'
in_ns create quota tight --hard=configmaps=3 >/dev/null
hard() { in_ns get quota tight -o 'jsonpath={.status.hard.configmaps}' | grep -q 3; }
within 20 hard
exits "a quota" 1 kube create "$home/c.yaml"
says "is told with its numbers" "$err" 'refused by the cluster: exceeded quota: tight, requested: configmaps=1, used: configmaps=12[0-9]+, limited: configmaps=3'
in_ns delete quota tight >/dev/null

# --- who asks
in_ns create serviceaccount deployer >/dev/null
in_ns create role deployer --verb=get,list,watch --resource=pods,configmaps >/dev/null
in_ns create rolebinding deployer --role=deployer --serviceaccount="$namespace:deployer" >/dev/null
as() { KUBECONFIG=$home/$1 "${@:2}"; }
exits "permissions can be asked for" 0 kube may patch apps deployments
equals "an administrator has them" "$(cat "$out")" yes
kubeconfig_of deployer "$home/weak"
exits "an account with few rights may ask as well" 0 as weak kube may patch apps deployments
equals "and is told no" "$(cat "$out")" no
exits "what it may not do" 1 as weak kube apply "$home/d.yaml"
says "is told in its words" "$err" "user \"system:serviceaccount:$namespace:deployer\" may not patch deployments.apps in namespace \"$namespace\" \\(403\\)"
says "with the rule that is missing" "$err" '^fix: kubectl apply -f manifests/deployer.yaml .*resources: \[deployments\], verbs: \[patch\]'
jq '.users[0].user.token = "nobody-knows-it"' "$home/weak" >"$home/unknown"
exits "a token that is none" 1 as unknown kube get Pod x
says "is told with its context" "$err" '^auth: read Pod .*does not take the credential of user "account" of context'
silent "and not shown" "$err" nobody-knows-it

# A token in a file that is written anew while a mirror lives.
token() { in_ns create token deployer --duration="${1:-1h}"; }
token >"$home/token"
jq '.users[0].user = {tokenFile: "token"}' "$home/weak" >"$home/rotating"
exits "a token from a file" 0 as rotating kube list ConfigMap many=yes
echo wrong >"$home/token"
exits "a wrong one" 1 as rotating kube list ConfigMap many=yes
says "is refused" "$err" '^auth: '
token >"$home/token"
exits "the next one is taken" 0 as rotating kube list ConfigMap many=yes

# An exec plugin.
cat >"$home/plugin" <<-'END'
	#!/bin/sh
	dir=$(dirname "$0")
	echo "$KUBERNETES_EXEC_INFO" >"$dir/info"
	printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s","expirationTimestamp":"2100-01-01T00:00:00Z"}}' "$(cat "$dir/token")"
END
chmod +x "$home/plugin"
jq '.users[0].user = {exec: {apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", provideClusterInfo: true, interactiveMode: "Never"}}' "$home/weak" >"$home/plugged"
exits "a plugin that is not allowed" 1 as plugged kube list ConfigMap many=yes
says "does not run" "$err" "^fix: export MLCTL_CREDENTIAL_HELPERS=$home/plugin\$"
[ -e "$home/info" ] && flunk "it ran" || pass "it did not run"
allowed() { MLCTL_CREDENTIAL_HELPERS=$home/plugin "$@"; }
exits "one that is allowed does" 0 allowed as plugged kube list ConfigMap many=yes
says "and knows the cluster" "$home/info" '"cluster":\{"server":"https://127.0.0.1:'

# A certificate of our own, by files.
if is_own_cluster; then
	cp "$CLUSTER_RUN/pki/admin.crt" "$CLUSTER_RUN/pki/admin.key" "$CLUSTER_RUN/pki/ca.crt" "$home/"
	jq '.users[0].user = {"client-certificate": "admin.crt", "client-key": "admin.key"} | .clusters[0].cluster |= (del(.["certificate-authority-data"]) | .["certificate-authority"] = "ca.crt")' \
		"$home/weak" >"$home/files"
	exits "certificates from files" 0 as files kube get Node node1
	jq '.clusters[0].cluster["tls-server-name"] = "kubernetes.default"' "$home/files" >"$home/named"
	exits "under another name of the server's" 0 as named kube get Node node1
	jq '.clusters[0].cluster["tls-server-name"] = "evil.example"' "$home/files" >"$home/misnamed"
	exits "but not one that it has not" 1 as misnamed kube get Node node1
	says "and it is told whose CA is wrong" "$err" '^auth: .*is not for this name'
	jq '.users[0].user += {as: "nobody-special", "as-groups": ["some"]}' "$home/files" >"$home/acting"
	exits "acting as somebody else" 1 as acting kube get Node node1
	says "it is that one who may not" "$err" 'user "nobody-special" may not get nodes at the cluster scope'
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=other" -keyout "$home/other.key" -out "$home/other.crt" 2>/dev/null
jq '.clusters[0].cluster |= (del(.["certificate-authority-data"]) | .["certificate-authority"] = "other.crt")' "$home/weak" >"$home/distrusting"
exits "a CA that did not sign it" 1 as distrusting kube get Pod x
says "is told with the file" "$err" "^fix: the cluster's certificate-authority in .*/distrusting is not the one"

# Proxies: a tunnel and a SOCKS server that count.
cat >"$home/proxy.py" <<-'END'
	import socket, struct, sys, threading
	kind, count = sys.argv[1], sys.argv[2]
	def pump(a, b):
	    try:
	        while True:
	            data = a.recv(65536)
	            if not data: break
	            b.sendall(data)
	    except OSError: pass
	    try: b.shutdown(socket.SHUT_WR)
	    except OSError: pass
	def serve(c):
	    if kind == "socks5":
	        n = c.recv(2)[1]; c.recv(n); c.sendall(b"\x05\x00")
	        head = c.recv(4)
	        host = socket.inet_ntoa(c.recv(4)) if head[3] == 1 else c.recv(c.recv(1)[0]).decode()
	        port = struct.unpack(">H", c.recv(2))[0]
	        s = socket.create_connection((host, port)); c.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
	    else:
	        head = b""
	        while b"\r\n\r\n" not in head: head += c.recv(4096)
	        line = head.split(b"\r\n")[0].decode().split()
	        assert line[0] == "CONNECT", line
	        if b"Proxy-Authorization: Basic bWU6cGFzc3dvcmQ=" not in head: c.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"); return
	        host, port = line[1].rsplit(":", 1)
	        s = socket.create_connection((host, int(port))); c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
	    open(count, "a").write("x")
	    threading.Thread(target=pump, args=(c, s), daemon=True).start(); pump(s, c)
	l = socket.create_server(("127.0.0.1", 0)); print(l.getsockname()[1], flush=True)
	while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
END
for kind in socks5 http; do
	python3 -u "$home/proxy.py" $kind "$home/$kind.count" >"$home/$kind.port" 2>"$home/$kind.log" &
	children="$children $!"
	within 10 test -s "$home/$kind.port"
	at=127.0.0.1:$(cat "$home/$kind.port")
	[ $kind = http ] && at=me:password@$at
	jq --arg url "$kind://$at" '.clusters[0].cluster["proxy-url"] = $url' "$home/weak" >"$home/by-$kind"
	exits "through a $kind proxy" 0 as by-$kind kube list ConfigMap many=yes
	[ -s "$home/$kind.count" ] && pass "it was used" || flunk "it was used" "$home/$kind.log"
done
jq '.clusters[0].cluster["proxy-url"] = "http://me:password@127.0.0.1:1"' "$home/weak" >"$home/by-none"
NAMESPACE=$namespace DEADLINE_MS=1500 exits "a proxy that is away" 1 as by-none kube list ConfigMap many=yes
says "is a suspect" "$err" 'or the proxy for it: Connection refused'
silent "its password is not shown" "$err" password

# --- mirrors
mirror() { # FILE MS
	kube mirror ConfigMap watched=yes "$2" >"$1" 2>"$1.err" &
	watcher=$!
	within 10 test -s "$1"
}
object() { in_ns create -f - >/dev/null 2>&1 <<<"{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"$1\", \"labels\": {\"watched\": \"yes\"}}, \"data\": {\"v\": \"$2\"}}"; }
object a 1
mirror "$home/mirror" 250000
object b 1
in_ns patch configmap a --type merge -p '{"data": {"v": "2"}}' >/dev/null
in_ns label configmap b watched- >/dev/null
comes_true "a mirror is kept true: added, changed, no longer selected" 5 grep -qE ': a=2 \(1\)$' "$home/mirror"
if is_own_cluster; then
	for i in 1 2 3; do
		kill -9 "$(api_server_pid)"
		comes_true "the server is killed ($i): the mirror says that it is stale" 5 grep -qE "^[0-9]+ [1-9][0-9]*:" "$home/mirror"
		comes_true "a change after its restart ($i)" 30 object "after-$i" "$i"
		comes_true "arrives ($i)" 15 grep -qE " after-$i=$i " "$home/mirror"
	done
	comes_true "the last one" 30 object end 9
	wait "$watcher"
	equals "the mirror ends without an error" "$?:$(cat "$home/mirror.err")" "0:"
	says "and held what there was" "$home/mirror" ': a=2 after-1=1 after-2=2 after-3=3 \(4\)$'
	# Calls that meet the restart.
	kill -9 "$(api_server_pid)"
	exits "an apply that meets a dead server waits for it" 0 kube apply "$home/d.yaml" force
	kill -9 "$(api_server_pid)"
	exits "and many reads as well" 0 kube ask Deployment Service ConfigMap
	says "all of them" "$out" '^Deployment 1 $'
else
	kill "$watcher"
fi

# --- logs and ports, as far as pods that only say they run have any
exits "no such pod" 1 kube logs nothing c 100
says "is told" "$err" "^not-found: Pod $namespace/nothing is not there"
in_ns create service clusterip lonely --tcp=80 >/dev/null
lonely() { kube proxy Service lonely 80 GET / 2>&1 | grep -q 'network: .*Service lonely, port 80: nothing answers there: no endpoints available'; }
comes_true "a service without pods is told" 20 lonely
finish
