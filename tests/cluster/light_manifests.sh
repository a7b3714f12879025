#!/usr/bin/env bash
# manifests/ on an API server: every object is accepted, strictly; mlctl-deployer may do what mlctl does, through what it really asks for and not only
# by what the server says it may, and it may do nothing else.
. "$(dirname "$0")/lib.sh"

ns=$namespace
# for_namespace FILE: the file, for this test's namespace, by the line that its head comment tells.
for_namespace() { sed -e "s/: ml\$/: $ns/" -e "s/-ml\$/-$ns/" "$ROOT/manifests/$1"; }
sed_line=$(sed -n "s/^#   \(sed .*\) manifests\/deployer.yaml | kubectl apply -f -\$/\1/p" "$ROOT/manifests/deployer.yaml")
equals "the head comment's line makes the same" "$(sh -c "${sed_line//prod/$ns} '$ROOT/manifests/deployer.yaml'" | cksum)" "$(for_namespace deployer.yaml | cksum)"

# --- accepted
for file in deployer.yaml default-deny.yaml; do
	for_namespace $file >"$home/$file"
	exits "$file: a server-side dry run" 0 kubectl apply --dry-run=server -f "$home/$file"
	equals "$file: without a warning" "$(grep -i warning "$err")" ""
	exits "$file: by server-side apply too" 0 kubectl apply --server-side --dry-run=server -f "$home/$file"
	sed 's/^  namespace: /  namespaze: /' "$home/$file" >"$home/wrong.yaml"
	exits "$file: a field that is none would have been seen" 1 kubectl apply --dry-run=server -f "$home/wrong.yaml"
done
exits "default-deny.yaml: applied" 0 kubectl apply -f "$home/default-deny.yaml"
exits "default-deny.yaml: again, and nothing changes" 0 kubectl apply -f "$home/default-deny.yaml"
equals "default-deny.yaml: nothing changed" "$(grep -cv ' unchanged$' "$out")" 0
equals "every pod of the namespace falls under it, both ways" "$(in_ns get networkpolicy default-deny -o json | jq -c '.spec')" '{"podSelector":{},"policyTypes":["Ingress","Egress"]}'

# The operator's kind: with the cluster's own definition where there is one, else (in our own clusters alone) with one that holds what we use.
if ! kubectl get crd prometheusrules.monitoring.coreos.com >/dev/null 2>&1 && is_own_cluster; then
	goes_too crd/prometheusrules.monitoring.coreos.com
	kubectl apply -f - >/dev/null <<-'END'
		apiVersion: apiextensions.k8s.io/v1
		kind: CustomResourceDefinition
		metadata: {name: prometheusrules.monitoring.coreos.com}
		spec:
		  group: monitoring.coreos.com
		  names: {kind: PrometheusRule, listKind: PrometheusRuleList, plural: prometheusrules, singular: prometheusrule}
		  scope: Namespaced
		  versions:
		  - name: v1
		    served: true
		    storage: true
		    schema:
		      openAPIV3Schema:
		        type: object
		        required: [spec]
		        properties:
		          spec:
		            type: object
		            properties:
		              groups:
		                type: array
		                x-kubernetes-list-type: map
		                x-kubernetes-list-map-keys: [name]
		                items:
		                  type: object
		                  required: [name]
		                  properties:
		                    name: {type: string, minLength: 1}
		                    interval: {type: string}
		                    rules:
		                      type: array
		                      items:
		                        type: object
		                        required: [expr]
		                        properties:
		                          alert: {type: string}
		                          record: {type: string}
		                          expr: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
		                          for: {type: string, pattern: '^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$'}
		                          labels: {type: object, additionalProperties: {type: string}}
		                          annotations: {type: object, additionalProperties: {type: string}}
	END
	within 30 in_ns get prometheusrules
fi
if kubectl get crd prometheusrules.monitoring.coreos.com >/dev/null 2>&1; then
	exits "prometheusrule.yaml: a server-side dry run" 0 in_ns apply --dry-run=server -f "$ROOT/manifests/prometheusrule.yaml"
else
	skip "prometheusrule.yaml: a server-side dry run" "the cluster has no PrometheusRule"
fi

# --- the deployer's rights
goes_too "clusterrolebinding/mlctl-cluster-reader-$ns"
kubectl get clusterrole mlctl-cluster-reader >/dev/null 2>&1 || goes_too clusterrole/mlctl-cluster-reader
exits "deployer.yaml: applied" 0 kubectl apply -f "$home/deployer.yaml"
kubeconfig_of mlctl-deployer "$home/deployer" || flunk "a token for the deployer"
as_deployer() { kubectl --kubeconfig "$home/deployer" "$@"; }
# wrong ALLOWED VERB:RESOURCE[.GROUP][/SUBRESOURCE][@NAMESPACE]...: those of which the server says otherwise. Asked in one go, without its discovery, so
# also of kinds that the cluster need not have.
wrong() {
	local allowed=$1 right verb rest resource subresource group where
	shift
	for right in "$@"; do
		verb=${right%%:*} rest=${right#*:} where=$ns subresource='' group=''
		case $rest in *@*) where=${rest##*@} rest=${rest%@*} ;; esac
		case $rest in */*) subresource=${rest#*/} rest=${rest%%/*} ;; esac
		case $rest in *.*) group=${rest#*.} ;; esac
		resource=${rest%%.*}
		printf '{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"%s","group":"%s","resource":"%s","subresource":"%s","verb":"%s"}}}\n' \
			"$where" "$group" "$resource" "$subresource" "$verb"
	done | as_deployer create --validate=false -f - -o 'jsonpath={.status.allowed}{"\n"}' >"$home/said"
	for right in "$@"; do echo "$right"; done | paste -d ' ' - "$home/said" | grep -v " $allowed\$"
}
# The table that the code has (tests/manifests/deployer.sh compares it with the file), and what is next to it.
rights=() others=()
while read -r group resource verbs; do
	[ "$group" != - ] || group=
	dotted=${resource%%/*}${group:+.$group}
	case $resource in */*) dotted=$dotted/${resource#*/} ;; esac
	[ "$resource" != nodes ] || continue # the ClusterRole's: seen below
	for verb in $verbs; do
		rights+=("$verb:$dotted") others+=("$verb:$dotted@default")
	done
	for verb in get list watch create update patch delete deletecollection; do [[ " $verbs " == *" $verb "* ]] || others+=("$verb:$dotted"); done
done < <("$ROOT/tests/manifests/deployer.sh" --table)
others+=({get,create}:pods/{exec,attach,portforward} {create,update,patch}:pods/{eviction,ephemeralcontainers,status} create:serviceaccounts/token impersonate:serviceaccounts
	get:nodes/proxy create:nodes/proxy {get,create,bind,escalate}:roles.rbac.authorization.k8s.io {get,create}:rolebindings.rbac.authorization.k8s.io
	create:jobs.batch create:daemonsets.apps create:statefulsets.apps get:persistentvolumeclaims create:leases.coordination.k8s.io '*:secrets' 'get:*')
equals "may do what mlctl does (${#rights[@]} rights)" "$(wrong true "${rights[@]}")" ""
equals "and nothing else, and nowhere else (${#others[@]} others)" "$(wrong false "${others[@]}")" ""
equals "the question would have been answered with no" "$(wrong true list:pods list:roles.rbac.authorization.k8s.io)" "list:roles.rbac.authorization.k8s.io false"
exits "the cluster's identity can be read" 0 as_deployer get namespace kube-system -o 'jsonpath={.metadata.uid}'
equals "it is the cluster's" "$(cat "$out")" "$(kubectl get namespace kube-system -o 'jsonpath={.metadata.uid}')"
exits "nodes can be listed" 0 as_deployer get nodes
exits "other namespaces can not be read" 1 as_deployer get namespace default
exits "nor be listed" 1 as_deployer get namespaces
exits "nor can a node be written" 1 as_deployer label node --all mlctl=x
for word in '\*' exec attach portforward token deletecollection escalate bind impersonate nodes/proxy; do
	silent "deployer.yaml grants no $word" <(sed '/^ *#/d' "$ROOT/manifests/deployer.yaml") "[[ /,]$word[],]"
done

# --- by what it does: each HTTP method through the proxies asks for the verb that the Role names. Whatever answers there (in a simulated pod
# nobody), it is not RBAC that says no.
in_ns run target --image=target --labels=app=target --port=8080 --overrides='{"spec": {"automountServiceAccountToken": false, "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}}}' >/dev/null
in_ns expose pod target --port=8080 >/dev/null
server=$(kubectl config view --raw --minify -o 'jsonpath={.clusters[0].cluster.server}')
token=$(in_ns create token mlctl-deployer --duration=10m)
kubectl config view --raw --minify -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$home/ca.pem"
trust=(--cacert "$home/ca.pem")
[ -s "$home/ca.pem" ] || trust=(-k)
# forbidden METHOD PATH: yes when RBAC refuses, no when the request passed it.
forbidden() {
	curl -s "${trust[@]}" --max-time 20 -X "$1" -H "Authorization: Bearer $token" "$server/api/v1/namespaces/$ns/$2" >"$home/answer" 2>&1
	if grep -q '"reason": *"Forbidden"' "$home/answer"; then echo yes; else echo no; fi
}
for method in GET HEAD POST PUT; do equals "$method to a pod passes" "$(forbidden $method pods/target:8081/proxy/admin/split)" no; done
for method in PATCH DELETE; do equals "$method to a pod does not" "$(forbidden $method pods/target:8081/proxy/admin/split)" yes; done
equals "POST to a service passes" "$(forbidden POST services/target:8080/proxy/predict)" no
for method in GET PUT PATCH DELETE; do equals "$method to a service does not" "$(forbidden $method services/target:8080/proxy/predict)" yes; done
equals "a pod's log can be asked for" "$(forbidden GET pods/target/log)" no
equals "a shell in it can not" "$(forbidden POST 'pods/target/exec?command=sh&stdout=true')" yes
equals "nor a token of its account" "$(forbidden POST serviceaccounts/default/token)" yes

# A service's life by hand: what mlctl writes, written as the deployer.
cat >"$home/service.yaml" <<-END
	apiVersion: apps/v1
	kind: Deployment
	metadata: {name: fraud}
	spec:
	  replicas: 1
	  selector: {matchLabels: {app: fraud}}
	  template:
	    metadata: {labels: {app: fraud}}
	    spec: {containers: [{name: runner, image: "fraud:1", ports: [{containerPort: 8080}]}]}
	---
	{apiVersion: v1, kind: Service, metadata: {name: fraud}, spec: {selector: {app: fraud}, ports: [{port: 80, targetPort: 8080}]}}
	---
	{apiVersion: v1, kind: ServiceAccount, metadata: {name: fraud}}
	---
	{apiVersion: v1, kind: ConfigMap, metadata: {name: fraud-head}, data: {head: "1"}}
	---
	{apiVersion: v1, kind: Secret, metadata: {name: fraud-key}, stringData: {key: "0123456789abcdef"}}
	---
	{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: fraud}, spec: {minReplicas: 1, maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: fraud}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}}
	---
	{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: fraud}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: fraud}}}}
	---
	{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: fraud}, spec: {podSelector: {matchLabels: {app: fraud}}, policyTypes: [Ingress], ingress: [{ports: [{port: 8080}]}]}}
	---
	{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: fraud}, spec: {rules: [{host: fraud.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: fraud, port: {number: 80}}}}]}}]}}
END
exits "as the deployer: applied" 0 as_deployer apply --server-side --field-manager=mlctl -f "$home/service.yaml"
exits "the head's compare-and-swap" 0 bash -c "kubectl --kubeconfig '$home/deployer' get configmap fraud-head -o json | jq '.data.head = \"2\"' | kubectl --kubeconfig '$home/deployer' replace -f -"
is_watched() { as_deployer get deployment fraud -o name --watch --request-timeout=3s >"$out" 2>"$err"; grep -q fraud "$out"; }
if is_watched; then pass "and watched"; else flunk "and watched" "$out" "$err"; fi
exits "and deleted" 0 as_deployer delete --wait=false -f "$home/service.yaml"
finish
