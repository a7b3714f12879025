#!/usr/bin/env bash
# What `mlctl validate` says of Kubernetes objects offline, beside two judges: the API server (a strict dry run of a server-side apply) and PyPI's
# kubernetes-validate (the published schemas). What we accept they accept; what we refuse the server refuses, but for the objects that say
# "# server accepts: why" above themselves. The same objects are told word for word in tests/unit/test_kube_schema.c.
wire=$(cd "$(dirname "$0")/../wire/kubernetes/schema" && pwd)
sources=${XDG_CACHE_HOME:-$HOME/.cache}/mlctl-test/schema # asked before the home is another
"$wire/sources.sh" crds "$sources" >/dev/null 2>&1 || sources_failed=$?
"$wire/sources.sh" judge "$sources" >/dev/null 2>&1 || judge_failed=$?
. "$(dirname "$0")/lib.sh"

# Custom resources that the cluster does not know yet; they go with the test.
crds="httproutes.gateway.networking.k8s.io prometheusrules.monitoring.coreos.com servicemonitors.monitoring.coreos.com"
for crd in $crds; do
	kubectl get crd "$crd" >/dev/null 2>&1 && continue
	[ -z "${sources_failed:-}" ] && kubectl apply --server-side -f "$sources/crd/${crd#*.}_${crd%%.*}.yaml" >/dev/null 2>&1 && goes_too "crd/$crd" && continue
	unknown="${unknown:-}|$crd"
done
[ -z "${unknown:-}" ] || skip "custom resources at the server" "the cluster does not know ${unknown#|}, and their definitions can't be had here"
for crd in $crds; do within 20 kubectl wait --for=condition=established --timeout=1s "crd/$crd"; done

# A file per document: FOLDER.NAME.NUMBER.yaml
docs=$home/docs
mkdir -p "$docs"
for file in "$wire"/*/*.yaml; do
	awk -v to="$docs/$(basename "$(dirname "$file")").$(basename "$file" .yaml)" 'BEGIN { n = 0 } /^---$/ { n++; next } { print > sprintf("%s.%03d.yaml", to, n) }' "$file"
done
[ -z "${unknown:-}" ] || grep -lE '^apiVersion: (gateway|monitoring)\.' "$docs"/*.yaml | xargs -r rm
# Pods that are refused by PodSecurity, where it is enforced.
new_namespace restricted
kubectl label namespace "$namespace" pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
export namespace

# server_says FILE: "yes FILE" or "no FILE", and why not into FILE.why.
server_says() {
	local how="apply --server-side --dry-run=server --validate=strict"
	case $1 in */restricted.* | */unrestricted.*) how="create --dry-run=server --validate=strict -n $namespace" ;; esac
	# shellcheck disable=SC2086
	if kubectl $how -f "$1" >/dev/null 2>"$1.why"; then echo "yes $(basename "$1")"; else echo "no $(basename "$1")"; fi
}
# we_say FILE: the same of ours.
we_say() {
	local how=
	case $1 in */restricted.* | */unrestricted.*) how=--restricted ;; esac
	# shellcheck disable=SC2086
	if "$MLCTL" validate $how "$1" >/dev/null 2>&1; then echo "yes $(basename "$1")"; else echo "no $(basename "$1")"; fi
}
export -f server_says we_say
ls "$docs"/*.yaml | xargs -P 4 -I{} bash -c 'server_says {}' | sort -k2 >"$home/server"
ls "$docs"/*.yaml | xargs -P 2 -I{} bash -c 'we_say {}' | sort -k2 >"$home/ours"
grep -l '^# server accepts: .' "$docs"/*.yaml | xargs -n1 basename | sort >"$home/excepted"
files_with() { awk -v word="$2" '$1 == word { print $2 }' "$1" | sort; }
none() { # NAME FILE: it is empty, or its lines are what is wrong
	if [ -s "$2" ]; then
		flunk "$1" "$2"
		while read -r name; do sed "s/^/# $name: /" "$docs/$name.why" 2>/dev/null | head -3; done <"$2"
	else pass "$1"; fi
}
printf '# %s objects; ours accepts %s, the server %s, %s differ for a reason that is told\n' "$(wc -l <"$home/ours")" "$(grep -c '^yes' "$home/ours")" \
	"$(grep -c '^yes' "$home/server")" "$(wc -l <"$home/excepted")"
[ "$(wc -l <"$home/ours")" -gt 250 ] && pass "there are objects enough" || flunk "there are objects enough" "$home/ours"
comm -23 <(files_with "$home/ours" yes) <(files_with "$home/server" yes) >"$home/wrong"
none "what we accept the server accepts" "$home/wrong"
comm -13 <(files_with "$home/ours" yes) <(files_with "$home/server" yes) | comm -23 - "$home/excepted" >"$home/wrong"
none "what we refuse the server refuses" "$home/wrong"
files_with "$home/server" no | comm -12 - "$home/excepted" >"$home/wrong"
none "what is said to be accepted is" "$home/wrong"
files_with "$home/ours" yes | grep -E '^(bad|unrestricted)\.' >"$home/wrong"
none "what is bad we refuse" "$home/wrong"
files_with "$home/ours" no | grep -E '^(good|warned|restricted)\.' >"$home/wrong"
none "what is good we accept" "$home/wrong"

# judged FILE...: "yes", "no" or "unknown" (a kind or version without a schema there) and the file.
judged() {
	PYTHONPATH=$sources/judge python3 - "$@" <<-'END'
		import sys, os, yaml, kubernetes_validate
		for path in sys.argv[1:]:
		    for object in yaml.safe_load_all(open(path)):
		        try:
		            kubernetes_validate.validate(object, "1.33", strict=True)
		            word = "yes"
		        except kubernetes_validate.ValidationError as error:
		            word = "no"
		        except (kubernetes_validate.SchemaNotFoundError, KeyError):
		            word = "unknown"
		        print(word, os.path.basename(path))
	END
}
if [ -n "${judge_failed:-}" ] || ! judged "$docs"/good.*.yaml "$docs"/bad.*.yaml "$docs"/warned.*.yaml >"$home/judge" 2>"$err"; then
	skip "kubernetes-validate" "it is not here: pip install kubernetes-validate"
	is_judged=
else
	is_judged=yes
	printf '# kubernetes-validate refuses %s of %s bad objects\n' "$(grep -c '^no bad' "$home/judge")" "$(grep -c ' bad' "$home/judge")"
	files_with "$home/judge" no | comm -12 - <(files_with "$home/ours" yes) >"$home/wrong"
	none "what kubernetes-validate refuses we refuse" "$home/wrong"
	[ "$(grep -c '^no bad' "$home/judge")" -gt 50 ] && pass "and it refuses something" || flunk "and it refuses something" "$home/judge"
fi

# And objects that nobody thought of, if the server is our own: a newer one may know more.
if [ -n "$is_judged" ] && [ -z "${unknown:-}" ] && is_own_cluster; then
	kubectl proxy --port=0 >"$home/proxy" 2>&1 &
	children="$children $!"
	within 10 grep -q 'Starting to serve' "$home/proxy"
	PYTHONPATH=$sources/judge exits "3,000 objects changed at random: not one in 250 is judged otherwise" 0 \
		"$wire/mutate.py" "$MLCTL" "http://$(sed -nE 's/^Starting to serve on //p' "$home/proxy")" "${SEED:-11}" 3000
	sed 's/^/# /' "$out"
else skip "objects changed at random" "no cluster of our own, or no PyYAML"; fi

# What we render ourselves: every payload, and every object that there is a setting for.
project breast-cancer || exit 1
cat >mlctl.yaml <<-END
	name: breast-cancer
	model: {path: model.onnx}
	image: registry.example.com/team/breast-cancer
	environments:
	  native: {target: kubernetes}
	  full:
	    target: kubernetes
	    scale: {min: 2, max: 5}
	    resources: {cpu: 500m, memory: 512Mi}
	    env: {MODE: "1"}
	    labels: {team: risk}
	    expose: {unauthenticated: true, ingress: {host: a.example.com, className: nginx, tlsSecret: a-tls}}
	    scheduling: {nodeSelector: {pool: ml}, tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}], spread: zone}
	  custom:
	    target: kubernetes
	    expose: {unauthenticated: true, route: {gateway: public, gatewayNamespace: gateways, host: b.example.com}}
	    monitoring: {serviceMonitor: true, labels: {release: prometheus}}
END
for kind in triton tfserving fastapi flask http; do
	echo "  $kind: {target: kubernetes, payload: {kind: $kind, image: 'registry.example.com/team/x:1'}}" >>mlctl.yaml
done
exits "validate: what all environments render" 0 "$MLCTL" validate --restricted
says "objects were looked at" "$out" '8 environments, [0-9]+ Kubernetes objects$'
image=registry.example.com/team/breast-cancer@sha256:$(printf '%064d' 7)
for env in native full $([ -n "${unknown:-}" ] || echo custom) triton tfserving fastapi flask http; do
	for role in '' --canary; do
		rm -rf "$home/objects"
		# shellcheck disable=SC2086
		"$MLCTL" render --env $env --image "$image" $role --output "$home/objects" >"$out" 2>"$err" || flunk "render $env $role" "$err"
		exits "$env $role: ours accepts its files" 0 "$MLCTL" validate --restricted "$home/objects"/*.yaml
		exits "$env $role: so does the server, where PodSecurity is restricted" 0 in_ns apply --server-side --dry-run=server --validate=strict -f "$home/objects"
		silent "$env $role: without a warning" "$err" '^Warning'
		[ -n "$is_judged" ] || continue
		judged "$home/objects"/*.yaml >"$home/judge"
		silent "$env $role: so does kubernetes-validate" "$home/judge" '^no'
	done
done
finish
