#!/usr/bin/env bash
# Records what a real API server says to each kind of mistake, as the unit tests of lib/kube read it: NAME.http holds the request's line, an empty line,
# the answer's head and its body. Usage: record.sh SERVER TOKEN WEAK_TOKEN, against an empty cluster (tests/cluster/light_client.sh has one).
set -u
cd "$(dirname "$0")" || exit 2
server=$1 token=$2 weak=$3
api=/api/v1 apps=/apis/apps/v1

say() { # NAME METHOD PATH TYPE BODY [TOKEN]
	local name=$1 method=$2 path=$3 type=$4 body=$5 who=${6-$token}
	{
		echo "$method $path"
		echo
		curl -sk -i -X "$method" ${who:+-H "Authorization: Bearer $who"} ${type:+-H "Content-Type: $type"} ${body:+-d "$body"} --max-time "${SECONDS_MAX:-20}" "$server$path" |
			sed -E 's/\r$//; /^(audit-id|date|x-kubernetes-pf)/Id'
	} >"$name.http"
	printf '%s: %s\n' "$name" "$(sed -n 3p "$name.http")"
}
do_it() { curl -sk -o /dev/null -X "$1" -H "Authorization: Bearer $token" -H "Content-Type: ${4:-application/json}" ${3:+-d "$3"} "$server$2"; }
ssa=application/apply-patch+yaml json=application/json merge=application/merge-patch+json
d() { echo '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":'"$1"',"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"'"${3:-web}"'"}},"spec":{"containers":[{"name":"c","image":"'"$2"'"}]}}}}'; }
pod() { echo '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x:1"'"${1-}"'}]}}'; }
ns() { do_it POST $api/namespaces '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"'"$1"'"'"${2-}"'}}'; }

say unauthorized GET $api/namespaces/default/pods "" "" nobody-knows-this-token
say anonymous GET $api/namespaces/default/pods "" "" ""
say forbidden PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl" $ssa "$(d 1 x:1)" "$weak"
say forbidden_cluster GET $api/nodes "" "" "$weak"
say not_found GET $api/namespaces/default/configmaps/nothing "" ""
say namespace_missing PATCH "$apps/namespaces/nowhere/deployments/web?fieldManager=mlctl" $ssa "$(d 1 x:1)"
say not_served GET /apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes "" ""
say version_gone GET /apis/autoscaling/v2beta2/namespaces/default/horizontalpodautoscalers "" ""
say created PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl" $ssa "$(d 1 x:1)"
do_it PATCH "$apps/namespaces/default/deployments/web?fieldManager=kubectl-scale" '{"spec":{"replicas":5}}' $merge
do_it PATCH "$apps/namespaces/default/deployments/web?fieldManager=kubectl-set" '{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"c"}],"containers":[{"name":"c","image":"other:9"}]}}}}' application/strategic-merge-patch+json
say conflict_owners PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl" $ssa "$(d 2 x:2)"
say live GET $apps/namespaces/default/deployments/web "" ""
say conflict_stale PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl&force=true" $ssa "$(d 2 x:2 | sed 's/"name":"web"/"name":"web","resourceVersion":"1"/')"
say conflict_uid PATCH "$apps/namespaces/default/deployments/other?fieldManager=mlctl" $ssa "$(d 2 x:2 | sed 's/"name":"web"/"name":"other","uid":"00000000-0000-0000-0000-000000000000"/')"
say uid_immutable PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl&force=true" $ssa "$(d 2 x:2 | sed 's/"name":"web"/"name":"web","uid":"00000000-0000-0000-0000-000000000000"/')"
say exists POST $apps/namespaces/default/deployments $json "$(d 1 x:1)"
say unknown_field_apply PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl" $ssa "$(d 1 x:1 | sed 's/replicas/replicaz/')"
say unknown_field_create POST "$apps/namespaces/default/deployments?fieldValidation=Strict" $json "$(d 1 x:1 | sed 's/replicas/replicaz/')"
say invalid PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl&force=true" $ssa "$(d -1 x:1 other)"
say immutable PATCH "$apps/namespaces/default/deployments/web?fieldManager=mlctl&force=true" $ssa "$(d 1 x:1 | sed 's/"app":"web"/"app":"new"/g')"
say no_manager PATCH "$apps/namespaces/default/deployments/web" $ssa "$(d 1 x:1)"
say media_type PATCH "$apps/namespaces/default/deployments/web" text/plain "$(d 1 x:1)"
say delete_other_uid DELETE $apps/namespaces/default/deployments/web $json '{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}'
say deleted DELETE $apps/namespaces/default/deployments/web $json '{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}'
say bad_selector GET "$api/namespaces/default/pods?labelSelector=a%20b" "" ""
say bad_continue GET "$api/namespaces/default/pods?limit=1&continue=xx" "" ""
say too_old GET "$api/namespaces/default/configmaps?watch=1&resourceVersion=1&timeoutSeconds=2" "" ""

ns locked ',"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}'
say pod_security POST $api/namespaces/locked/pods $json "$(pod)"
say pod_security_warning PATCH "$apps/namespaces/locked/deployments/web?fieldManager=mlctl" $ssa "$(d 1 x:1)"
ns small
do_it POST $api/namespaces/small/resourcequotas '{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"requests.cpu":"500m","limits.memory":"1Gi"}}}'
do_it PATCH $api/namespaces/small/resourcequotas/q/status '{"status":{"hard":{"requests.cpu":"500m","limits.memory":"1Gi"},"used":{"requests.cpu":"300m","limits.memory":"0"}}}' $merge
say quota_unsaid POST $api/namespaces/small/pods $json "$(pod)"
say quota_exceeded POST $api/namespaces/small/pods $json "$(pod ',"resources":{"requests":{"cpu":"1"},"limits":{"memory":"64Mi"}}')"
ns ranged
do_it POST $api/namespaces/ranged/limitranges '{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","max":{"cpu":"1"}}]}}'
say limit_range POST $api/namespaces/ranged/pods $json "$(pod ',"resources":{"limits":{"cpu":"2"}}')"
ns going
do_it POST $api/namespaces/going/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}'
do_it DELETE $api/namespaces/going
say terminating POST $api/namespaces/going/configmaps $json '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}'

ns policed ',"labels":{"policed":"yes"}'
do_it POST /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies '{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"few"},"spec":{"failurePolicy":"Fail","matchConstraints":{"resourceRules":[{"apiGroups":["apps"],"apiVersions":["v1"],"operations":["CREATE","UPDATE"],"resources":["deployments"]}]},"validations":[{"expression":"object.spec.replicas <= 3","message":"at most 3 replicas here"}]}}'
do_it POST /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings '{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"few"},"spec":{"policyName":"few","validationActions":["Deny"],"matchResources":{"namespaceSelector":{"matchLabels":{"policed":"yes"}}}}}'
for _ in $(seq 50); do
	say policy PATCH "$apps/namespaces/policed/deployments/web?fieldManager=mlctl&dryRun=All" $ssa "$(d 9 x:1)"
	grep -q ' 422 ' policy.http && break
	sleep 0.2
done
if [ -n "${WEBHOOK_URL-}" ]; then # a TLS server that denies everything, and its CA
	hook() { do_it POST /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations '{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"'"$1"'"},"webhooks":[{"name":"'"$1"'.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Fail","timeoutSeconds":2,"clientConfig":{"url":"'"$2"'","caBundle":"'"$WEBHOOK_CA"'"},"namespaceSelector":{"matchLabels":{"hooked":"'"$1"'"}},"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}]}]}'; }
	hook deny "$WEBHOOK_URL"
	hook gone "https://127.0.0.1:1/"
	ns hooked-deny ',"labels":{"hooked":"deny"}'
	ns hooked-gone ',"labels":{"hooked":"gone"}'
	sleep 3
	say webhook_denies POST $api/namespaces/hooked-deny/configmaps $json '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}'
	say webhook_gone POST $api/namespaces/hooked-gone/configmaps $json '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}'
fi
do_it POST $api/namespaces/default/pods "$(pod | sed 's/"name":"p"/"name":"p"/')"
do_it POST $api/namespaces/default/pods/p/binding '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"apiVersion":"v1","kind":"Node","name":"n"}}'
do_it PATCH $api/namespaces/default/pods/p/status '{"status":{"phase":"Pending","podIP":"'"$(hostname -I | cut -d' ' -f1)"'","containerStatuses":[{"name":"c","image":"x:1","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}}' $merge
say log_not_started GET "$api/namespaces/default/pods/p/log?container=c" "" ""
say log_no_previous GET "$api/namespaces/default/pods/p/log?container=c&previous=true" "" ""
say log_no_container GET "$api/namespaces/default/pods/p/log?container=zz" "" ""
say proxy_no_pod GET $api/namespaces/default/pods/nothing:80/proxy/ "" ""
say proxy_refused GET $api/namespaces/default/pods/p:1/proxy/ "" ""
do_it POST $api/namespaces/default/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"app":"s"},"ports":[{"port":80}]}}'
do_it POST $api/namespaces/default/endpoints '{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"s"}}'
say proxy_no_endpoints GET $api/namespaces/default/services/s:80/proxy/ "" ""
do_it POST /apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations '{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"PriorityLevelConfiguration","metadata":{"name":"shut"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":0,"lendablePercent":0,"borrowingLimitPercent":0,"limitResponse":{"type":"Reject"}}}}'
do_it POST /apis/flowcontrol.apiserver.k8s.io/v1/flowschemas '{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"shut"},"spec":{"priorityLevelConfiguration":{"name":"shut"},"matchingPrecedence":2,"rules":[{"subjects":[{"kind":"User","user":{"name":"weak"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"],"clusterScope":true}]}]}}'
# One seat: of many requests at once some are turned away.
many=$(mktemp -d)
for _ in $(seq 20); do
	for i in $(seq 40); do
		curl -sk -i -H "Authorization: Bearer $weak" "$server$api/namespaces/default/pods" >"$many/$i" &
	done
	wait
	turned=$(grep -l '^HTTP.* 429 ' "$many"/* | head -1)
	[ -z "$turned" ] || break
done
[ -z "$turned" ] || { echo "GET $api/namespaces/default/pods"; echo; sed -E 's/\r$//; /^(audit-id|date|x-kubernetes-pf)/Id' "$turned"; } >too_many.http
rm -rf "$many"
