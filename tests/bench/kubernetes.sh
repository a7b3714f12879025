#!/usr/bin/env bash
# On Kubernetes, two replicas: rendering, deploying a new version, deploying the same again, and looking, against helm and kubectl with equal
# objects. On a real node of our own, or on the cluster that KUBECONFIG and REGISTRY name.
# shellcheck source-path=SCRIPTDIR
here=$(cd "$(dirname "$0")" && pwd)
# Asked before lib.sh takes another home: Go's caches and the built programs are in the user's.
"$here/../cluster/deps.sh" bench || [ $? = 77 ] || exit 1
CLUSTER_BIN=$("$here/../cluster/deps.sh" path)
export CLUSTER_BIN
. "$here/lib.sh"
. "$here/../cluster/audit.sh"
PATH=$CLUSTER_BIN:$PATH
times=$((TIMES > 1 ? 5 : 1)) # a rollout's time scatters more than a copy's

# built JOB command...: whether the row can be measured. What mlctl does not know yet is said and left out; whatever else fails is a failure.
built() {
	local job=$1
	shift
	if "$@" >"$WORK/said" 2>"$WORK/said.err"; then return 0; fi
	if grep -qE 'not built yet|no such command' "$WORK/said.err"; then
		told "$job" "skipped: $(sed -n 's/^mlctl: //p' "$WORK/said.err" | head -1)"
	else
		printf 'bench: %s\n' "$(head -5 "$WORK/said.err")" >&2
		row "$job" "" "" s 1
	fi
	return 1
}
# project_for FOLDER LINES: the example, its model in a folder so that a version is a few bytes beside it, with these settings.
project_for() {
	project "$1" "" && mkdir "$1/model" && mv "$1/model.onnx" "$1/model/" || return 1
	sed -i 's|path: model.onnx|path: model     |; /^scale:/,$d' "$1/mlctl.yaml"
	printf 'image: %s/bench/%s\nregistry: {insecure: true}\n%s\n' "$REGISTRY" "$(basename "$1")" "$2" >>"$1/mlctl.yaml"
	commit "$1"
}
# new_version FOLDER NUMBER: another image, which differs in a few bytes; it is pushed. Sets image.
new_version() {
	printf 'version %s\n' "$2" >"$1/model/notes.txt"
	git -C "$1" add -A && git -C "$1" -c user.name=peer -c user.email=peer@example.com commit -q -m "version $2"
	mlctl_in "$1" push --quiet --json >"$WORK/pushed" || return 1
	image=$REGISTRY/bench/$(basename "$1")@$(jq -r .manifest "$WORK/pushed")
}
chart() { helm template breast-cancer "$here/chart" --namespace "$1" --set-string "image=$2"; }
kinds=deployments,services,serviceaccounts,configmaps,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies

has helm && has kubectl || { told "on Kubernetes" "skipped: helm or kubectl is not here (Go $(go version 2>/dev/null | cut -d' ' -f3))"; exit 0; }
if [ -z "${KUBECONFIG:-}" ] || [ -z "${REGISTRY:-}" ]; then
	lines=$(CLUSTER_OWNER=$$ "$here/../cluster/up.sh")
	case $? in
	0) eval "$lines" ;;
	77) told "on Kubernetes" "skipped: this machine can't run a node, see above"; exit 0 ;;
	*) exit 1 ;;
	esac
fi
ours=mlctl-bench-$$-ours theirs=mlctl-bench-$$-theirs third=mlctl-bench-$$-helm
leave() {
	if [ -n "${CLUSTER_RUN:-}" ]; then "$here/../cluster/down.sh"; else kubectl delete namespace --wait=false $ours $theirs $third >/dev/null 2>&1; fi
	end_all
}
trap leave EXIT
for namespace in $ours $theirs $third; do kubectl create namespace "$namespace" >/dev/null || exit 1; done

# The others' images are pushed by mlctl too, from projects that need no cluster for it.
project_for "$WORK/ours" "$(printf 'scale: {min: 2, max: 4, cpu: 70%%}\nenv: {TIER: standard}\nrollout: {canary: none}\nenvironments:\n  bench: {target: kubernetes, namespace: %s}' $ours)" &&
	project_for "$WORK/theirs" "" && project_for "$WORK/third" "" && new_version "$WORK/theirs" 0 || exit 1

# 1. Rendering. helm's text is also what kubectl applies as long as mlctl renders none.
job="render; helm template of an equal chart"
chart $theirs "$image" >"$WORK/manifests.yaml" || exit 1
if built "$job" mlctl_in "$WORK/ours" render; then
	sed "s|$REGISTRY/bench/ours@sha256:[0-9a-f]*|$image|; s|$ours|$theirs|" "$WORK/said" >"$WORK/manifests.yaml"
	for _ in $(seq $((times * 3))); do
		sample_in render.ours "$WORK/ours" "$MLCTL" render
		sample render.helm helm template breast-cancer "$here/chart" --namespace $theirs --set-string "image=$image"
	done
	row "$job" "$(median render.ours wall)" "$(median render.helm wall)" s 0.1
fi
# mlctl makes the key of the control listener when it deploys; by hand it is a Secret more.
key=$(grep -oE 'breast-cancer-v-[0-9a-f]+' "$WORK/manifests.yaml" | head -1)
[ -z "$key" ] || kubectl create secret generic -n $theirs "$key" --from-literal=key=0123456789abcdef0123 >/dev/null || exit 1
is_like_ours() { [ "$(grep -c '^kind: ' "$WORK/manifests.yaml")" -ge 7 ]; }
is_like_ours || { echo "bench: fewer than 7 kinds are rendered, so the comparison would not be fair" >&2; exit 1; }

# 2. A new version, all at once.
applied() { # MANIFESTS NAMESPACE
	kubectl apply -n "$2" -f "$1" && kubectl rollout status -n "$2" deployment/breast-cancer --timeout=120s
}
export -f applied
apply_and_wait() { sample "$1" bash -c 'applied "$@"' - "$2" "$3"; }
job="deploy of a new version, no canary; kubectl apply + rollout status"
applied "$WORK/manifests.yaml" $theirs >"$WORK/said" 2>&1 || { tail -5 "$WORK/said" >&2; exit 1; }
helm install breast-cancer "$here/chart" --namespace $third --set-string "image=$image" --wait >"$WORK/said" 2>&1 || { tail -5 "$WORK/said" >&2; exit 1; }
can_deploy=
built "$job" mlctl_in "$WORK/ours" deploy && can_deploy=yes
for i in $(seq $times); do
	new_version "$WORK/theirs" "$i" || exit 1
	sed -i "s|$REGISTRY/bench/theirs@sha256:[0-9a-f]*|$image|" "$WORK/manifests.yaml"
	apply_and_wait new.kubectl "$WORK/manifests.yaml" $theirs
	new_version "$WORK/third" "$i" || exit 1
	sample new.helm helm upgrade breast-cancer "$here/chart" --namespace $third --set-string "image=$image" --wait
	if [ -n "$can_deploy" ]; then
		new_version "$WORK/ours" "$i" 2>/dev/null || exit 1
		sample_in new.ours "$WORK/ours" "$MLCTL" deploy
	fi
done
if [ -n "$can_deploy" ]; then row "$job" "$(median new.ours wall)" "$(median new.kubectl wall)" s 1.1; fi
told "the same by kubectl; by helm upgrade --wait" "$(median new.kubectl wall) s; $(median new.helm wall) s, median of $times"

# 3. The same again.
job="deploy, nothing changed; kubectl apply of the same"
for _ in $(seq $times); do
	sample again.kubectl kubectl apply -n $theirs -f "$WORK/manifests.yaml"
	[ -z "$can_deploy" ] || sample_in again.ours "$WORK/ours" "$MLCTL" deploy
done
if [ -n "$can_deploy" ]; then
	row "$job" "$(median again.ours wall)" "$(median again.kubectl wall)" s 0.5
	if has_audit; then
		audit_mark
		mlctl_in "$WORK/ours" deploy >/dev/null 2>&1
		row "deploy, nothing changed: writes in the audit log" "$(audit_writes | wc -l)" "" writes 0
	else told "deploy, nothing changed: writes" "not counted: this cluster's audit log is not here"; fi
else told "$job" "skipped: see above; kubectl takes $(median again.kubectl wall) s"; fi
if has_audit; then
	audit_mark
	kubectl apply -n $theirs -f "$WORK/manifests.yaml" >/dev/null 2>&1
	told "kubectl apply, nothing changed: writes in the audit log" "$(audit_writes | wc -l)"
fi

# 4. Looking.
job="status; kubectl get of the same kinds"
for _ in $(seq $((times * 3))); do
	sample look.kubectl kubectl get -n $theirs $kinds
	[ -z "$can_deploy" ] || sample_in look.ours "$WORK/ours" "$MLCTL" status
done
if [ -n "$can_deploy" ]; then row "$job" "$(median look.ours wall)" "$(median look.kubectl wall)" s 0.5
else told "$job" "skipped: see above; kubectl takes $(median look.kubectl wall) s"; fi
