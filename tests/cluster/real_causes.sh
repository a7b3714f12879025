#!/usr/bin/env bash
# Deploys that can't work, by `mlctl deploy` itself, each in a namespace of its own and several at a time: the exit code, the cause and the fix that are
# named, how long after the cause first showed in the API mlctl stopped, what serves then, and that nothing is left over. And deploys that look
# bad and come right, which must end well. A sample in everyday runs; THOROUGH=1: all. By hand: real_causes.sh [PATTERN]; JOBS: so many at a time.
. "$(dirname "$0")/lib.sh"
pattern=${1:-.} jobs=${JOBS:-4}
is_real_node || { skip "causes on a cluster" "a real node of our own is needed: registries and images that are broken on purpose"; finish; }
command -v python3 >/dev/null && command -v openssl >/dev/null || { skip "causes on a cluster" "python3 or openssl is not here"; finish; }
here=$ROOT/tests/cluster results=$home/results seen=$home/seen.tsv
mkdir -p "$results" "$home/projects"
: >"$seen"
${CC:-cc} -Os -static -o "$home/actor" "$here/actor.c" && "$here/push_actors.py" "$REGISTRY" "$home/actor" >"$home/actors" || { flunk "images for it"; finish; }

proxy=127.0.0.1:$(free_port)
kubectl proxy --port "${proxy##*:}" >/dev/null 2>&1 &
children="$children $!"
within 20 curl -sf "http://$proxy/readyz"
"$here/watch_causes.py" "$proxy" mlctl-test-causes- "$seen" &
children="$children $!"
# Registries that misbehave, and a webhook that says no: see bad_servers.py.
bad=$(free_port) hook=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "subjectAltName=IP:$CLUSTER_HOST" -keyout "$home/key" -out "$home/crt" 2>/dev/null
python3 "$here/bad_servers.py" "$CLUSTER_HOST" "$bad" "$hook" "$REGISTRY" "$home/crt" "$home/key" >/dev/null 2>&1 &
children="$children $!"
trust_registry "$CLUSTER_HOST:$bad"
broken=$CLUSTER_HOST:$bad own=$children

# ---- what a case is made of

# A project that works, for $namespace.
healthy() {
	cp -r "$ROOT/examples/breast-cancer" "$1" && cd "$1" && rm -rf versions && git init -q . || return 1
	cat >mlctl.yaml <<-END
		name: fraud
		model: {path: model.onnx, golden: golden.jsonl}
		scale: {min: 1}
		resources:
		  cpu: 150m
		  memory: 64Mi
		rollout: {canary: {weight: 50%, for: 1s, minRequests: 10}}
		image: $REGISTRY/$namespace/fraud
		registry: {insecure: true}
		environments: {cluster: {target: kubernetes, namespace: $namespace}}
	END
	git add -A && git commit -qm first
}
# container FIELD: a field of the container, by a template of the project; pod FIELD: of the pod. volumes LIST.
template() { [ -e ".mlctl/templates/$1" ] || { mkdir -p ".mlctl/templates/$(dirname "$1")" && cp "$ROOT/templates/$1" ".mlctl/templates/$1"; }; }
container() { template payload/native.yaml; printf '  - %s\n' "$1" >>.mlctl/templates/payload/native.yaml; }
probe() { template payload/native.yaml; sed -i "$1" .mlctl/templates/payload/native.yaml; }
pod() { template kubernetes/deployment.yaml; sed -i "s|^      enableServiceLinks: false|&\n      $1|" .mlctl/templates/kubernetes/deployment.yaml; }
volumes() { template kubernetes/deployment.yaml; sed -i "/^      volumes:/,/emptyDir: {}/d; s|^      enableServiceLinks: false|&\n      volumes: $1|" .mlctl/templates/kubernetes/deployment.yaml; }
sidecar() { template kubernetes/deployment.yaml; sed -i "s|^        - \$include: payload.*|&\n        - {name: metrics, image: $A, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, $1}|" .mlctl/templates/kubernetes/deployment.yaml; }
actor() { probe '/^    startupProbe:/,$d'; container "image: $A"; container 'command: [/bin/actor]'; container "args: [$1]"; }
setting() { printf '%s\n' "$1" >>mlctl.yaml; }
memory() { sed -i "s/memory: .*/memory: $1/" mlctl.yaml; }
apply() { in_ns apply -f - <<<"$1" >/dev/null; }
webhook() { # URL: asked about every new pod of the namespace
	kubectl apply -f - >/dev/null <<-END
		{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: $namespace}, webhooks: [{name: team.example.com, clientConfig: {url: "$1",
		caBundle: $(base64 -w0 <"$home/crt")}, rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}], sideEffects: None, admissionReviewVersions: [v1],
		timeoutSeconds: 2, failurePolicy: Fail, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $namespace}}}]}
	END
}
policy() { # RESOURCES: of API group ""
	kubectl apply -f - >/dev/null <<-END
		{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: $namespace}, spec: {matchConstraints: {resourceRules: [{apiGroups: ["", apps], apiVersions: [v1],
		operations: [CREATE], resources: [$1]}]}, validations: [{expression: "false", message: a cost centre is missing}]}}
		---
		{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: $namespace}, spec: {policyName: $namespace, validationActions: [Deny],
		matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $namespace}}}}}
	END
	sleep 2 # until the API server asks it
}

# deployed: runs it, each event with the time before it in `events`; its code in $code.
deployed() {
	began=$EPOCHREALTIME
	"$MLCTL" deploy --json --events json --timeout "${1:-100s}" 2> >(while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done >events) >answer </dev/null
	code=$?
	sleep 0.1
}
since() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b - a }'; }
first_shown() { awk -F '\t' -v space="$namespace" -v since="$began" -v words="$1" '$2 == space && $1 >= since - 0.2 && $3 ~ words { print $1; exit }' "$seen"; }
left_over() { in_ns get deployments,replicasets,services,pods -l mlctl.dev/service=fraud -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null) | select(.kind != "ReplicaSet" or .spec.replicas > 0) | .kind + "/" + .metadata.name'; }
verdict() { printf '%s\n' "$1" >"$results/$name"; } # the rest of the files are shown when it is not ok

# One that can't work. MODE first or canary; WORD, FIX (a pattern); SHOWS: what in the API shows it first; LIMIT: seconds from there.
fails() {
	local first='' old='' stop said limit=$4 wrong=''
	[ "$mode" = canary ] && want=9 || want=8
	healthy "$home/projects/$name" >setup 2>&1 || { verdict "not ok: no project"; return; }
	if [ "$mode" = canary ]; then
		"$MLCTL" deploy --json >answer 2>events || { verdict "not ok: the healthy release"; return; }
		old=$(json_field answer serving)
	fi
	eval "$5" >>setup 2>&1
	deployed
	first=$(first_shown "$3")
	stop=$(awk '/"event":"stop"/ { print $1; exit }' events)
	[ -n "$stop" ] || stop=$(awk '/"event":"rollback"/ { print $1; exit }' events)
	said=$(json_field answer cause_word)
	[ "$code" = "$want" ] || wrong="$wrong, exit $code and not $want"
	[[ $said =~ ^($1)$ ]] || wrong="$wrong, says '$said' and not '$1'"
	jq -r .fix answer | grep -qE -- "$2" || wrong="$wrong, fix '$(jq -r .fix answer)' lacks '$2'"
	if [ -z "$first" ]; then wrong="$wrong, the watcher never saw '$3'"; elif [ -z "$stop" ]; then wrong="$wrong, never stopped"
	elif awk -v a="$first" -v b="$stop" -v l="$limit" 'BEGIN { exit !(b - a > l) }'; then wrong="$wrong, $(since "$first" "$stop") s after it showed"; fi
	if [ "$mode" = canary ]; then
		"$MLCTL" status --json >status 2>&1
		[ "$(json_field status image)" = "$old" ] && [ "$(json_field status health)" = HEALTHY ] || wrong="$wrong, the old version does not serve"
		[ "$(left_over | sort | xargs)" = "$(left_over | grep -v canary | sort | xargs)" ] || wrong="$wrong, left: $(left_over | grep canary | xargs)"
	else
		within 15 eval '[ -z "$(left_over)" ]' || wrong="$wrong, left: $(left_over | xargs)"
	fi
	"$MLCTL" history r$([ "$mode" = canary ] && echo 2 || echo 1) --evidence --json >evidence 2>&1
	[ "$(jq -r .evidence.cause_word evidence 2>/dev/null)" = "$said" ] || wrong="$wrong, the evidence says '$(jq -r .evidence.cause_word evidence 2>/dev/null)'"
	if [ -n "$wrong" ]; then verdict "not ok: ${wrong#, }"; else verdict "ok: $said, $(since "$first" "$stop") s after it showed, exit $code"; fi
}
# One that comes right. DURING goes on beside the deploy; SHOWS: what looks bad meanwhile, so that the test is one.
recovers() {
	healthy "$home/projects/$name" >setup 2>&1 || { verdict "not ok: no project"; return; }
	if [ "$mode" = canary ]; then "$MLCTL" deploy --json >answer 2>events || { verdict "not ok: the healthy release"; return; }; fi
	eval "$2" >>setup 2>&1
	{ eval "$3"; } >>setup 2>&1 &
	deployed 150s
	if [ "$code" != 0 ]; then verdict "not ok: exit $code: $(jq -r .cause answer)"
	elif [ -z "$(first_shown "$1")" ]; then verdict "not ok: nothing looked bad: the watcher never saw '$1'"
	else verdict "ok: came right, $(since "$began" "$EPOCHREALTIME") s"; fi
}

names=
# is_everyday MODE NAME KIND ARGUMENTS...: a case; those of `now_and_then` only when all are wanted.
run_case() {
	mode=$1 name=$2
	shift 2
	[[ $name =~ $pattern ]] || return 0
	names="$names $name"
	while [ "$(jobs -rp | wc -l)" -ge $((jobs + $(wc -w <<<"$own"))) ]; do wait -n; done
	namespace=mlctl-test-causes-${name//_/-}-$(printf %04x $RANDOM) # the registry keeps what an earlier run released under another
	namespaces="$namespaces $namespace"
	kubectl create namespace "$namespace" >/dev/null
	(
		trap - EXIT
		within 30 in_ns get serviceaccount/default
		cd "$home" && mkdir -p "$results/$name.d" && cd "$results/$name.d" || exit 1
		"$@"
		cp -f "$home/projects/$name"/{setup,answer,events,status,mlctl.yaml} "$results/$name.d/" 2>/dev/null
		kubectl delete namespace --wait=false "$namespace" >/dev/null 2>&1
		kubectl delete validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings --ignore-not-found "$namespace" >/dev/null 2>&1
	) &
}
everyday() { run_case "$@"; }
now_and_then() { [ -z "${THOROUGH:-}" ] && [ "$pattern" = . ] || run_case "$@"; }
A=$REGISTRY/actor:1 missing=$REGISTRY/actor@sha256:$(printf '0123456789abcdef%.0s' 1 2 3 4)

# ---- images
everyday first image_tag fails image_not_found 'mlctl push' 'ErrImagePull' 10 'container "image: $REGISTRY/nosuch:1"'
now_and_then canary image_digest fails image_not_found 'mlctl push' 'ErrImagePull' 10 'container "image: $missing"'
everyday canary image_denied fails image_denied imagePullSecrets 'ErrImagePull' 10 'container "image: $broken/denied/actor:1"'
now_and_then first image_forbidden fails image_denied imagePullSecrets 'ErrImagePull' 10 'container "image: $broken/forbidden/actor:1"'
now_and_then canary registry_tls fails registry_tls 'CA of' 'ErrImagePull' 10 'container "image: $CLUSTER_HOST:$hook/actor:1"'
now_and_then first registry_refused fails registry_unreachable 'curl -v' 'ErrImagePull' 45 'container "image: $CLUSTER_NODE:5999/actor:1"'
now_and_then first registry_limited fails registry_rate_limited imagePullSecrets 'ErrImagePull' 45 'container "image: $broken/limited/actor:1"'
everyday canary pull_secret fails pull_secret_missing 'create secret docker-registry regcred' 'ErrImagePull' 10 'container "image: $broken/basic/actor:1"; pod "imagePullSecrets: [{name: regcred}]"; sed -i "/^      imagePullSecrets:$/,/do: {name/d" .mlctl/templates/kubernetes/deployment.yaml'
everyday first other_platform fails wrong_architecture architecture 'ErrImagePull' 10 'container "image: $REGISTRY/index:1"'
everyday canary other_program fails wrong_architecture architecture 'exec format error' 10 'container "image: $REGISTRY/foreign:1"'
now_and_then first image_never fails image_never_pulled IfNotPresent 'ErrImageNeverPull' 10 'container "image: $REGISTRY/never:1"; container "imagePullPolicy: Never"'

# ---- memory and crashes: three times, as one may be chance
everyday canary out_of_memory fails out_of_memory 'mlctl.yaml:6  resources.memory: [0-9]+Mi' 'restarts=2 is terminated OOMKilled' 10 'memory 32Mi; actor "sleep, \"1\", eat, \"200\", stay"'
now_and_then first out_of_memory_init fails out_of_memory 'resources.memory' 'restarts=2 is terminated OOMKilled' 10 'pod "initContainers: [{name: fetch, image: $A, args: [eat, \"200\"], resources: {limits: {memory: 32Mi}}}]"'
everyday first crash_python fails crash_loop logs 'restarts=2 is terminated Error 1' 10 'actor "say, \"ValueError: no such column: age\", exit, \"1\""'
now_and_then canary crash_panic fails crash_loop logs 'restarts=2 is terminated Error 2' 10 'actor "say, \"panic: assignment to entry in nil map\", exit, \"2\""'
now_and_then first crash_segv fails crash_loop logs 'restarts=2 is terminated Error 139' 10 'actor segv'
everyday canary crash_model fails crash_loop 'mlctl build' 'is terminated Error 4' 20 'container "args: [serve, --model, /mlctl-runner]"'
now_and_then first crash_flag fails crash_loop 'mlctl validate' 'is terminated Error 2' 20 'container "args: [serve, --modle, /model.onnx]"'
now_and_then canary exits_at_once fails exits_at_once . 'restarts=2 is terminated Completed 0' 10 'actor "say, hello, exit, \"0\""'
now_and_then first no_module fails crash_loop . 'is terminated Error 1' 20 'actor "say, \"ModuleNotFoundError: No module named torch\", exit, \"1\""'
everyday first sidecar fails crash_loop metrics 'metrics restarts=2 is terminated Error 1' 12 'sidecar "args: [say, \"error: no config\", exit, \"1\"]"'
now_and_then canary init_fails fails crash_loop fetch 'fetch restarts=2 is terminated Error 3' 10 'pod "initContainers: [{name: fetch, image: $A, args: [say, \"error: download of model: no route to host\", exit, \"3\"]}]"'
now_and_then first read_only fails read_only_file_system emptyDir 'restarts=2 is terminated Error 1' 10 'actor "write, /state/cache, \"1\", stay"'

# ---- starting
everyday canary command fails command_not_found /bin/nosuch 'nosuch' 10 'container "command: [/bin/nosuch]"'
now_and_then first not_executable fails not_executable chmod 'permission denied' 10 'container "image: $REGISTRY/closed:1"; container "command: [/bin/actor]"'
now_and_then first working_dir fails working_dir . 'RunContainerError|StartError|CreateContainerError' 10 'container "image: $A"; container "command: [/bin/actor, stay]"; container "workingDir: /bin/actor"'
now_and_then canary mount_mismatch fails mount_mismatch volumeMounts 'StartError|RunContainerError|CreateContainerError' 10 'container "volumeMounts: [{name: data, mountPath: /mlctl-runner}]"; volumes "[{name: data, emptyDir: {}}]"'
now_and_then first hook_fails fails hook_failed postStart 'restarts=2 .* terminated' 12 'container "image: $A"; container "command: [/bin/actor, serve, \"8080\"]"; container "lifecycle: {postStart: {exec: {command: [/bin/actor, say, no, exit, \"1\"]}}}"'
now_and_then first seccomp fails security_profile . 'CreateContainerError|seccomp' 10 'sed -i "s/x/x/" mlctl.yaml; template kubernetes/deployment.yaml; sed -i "s/type: RuntimeDefault/type: Localhost\n          localhostProfile: nosuch.json/" .mlctl/templates/kubernetes/deployment.yaml'

# ---- configuration
everyday first secret fails secret_missing 'create secret generic keys' 'CreateContainerConfigError' 10 'container "envFrom: [{secretRef: {name: keys}}]"'
now_and_then canary secret_key fails secret_key_missing 'add the key model' 'CreateContainerConfigError' 10 'in_ns create secret generic keys --from-literal=other=1; sidecar "args: [stay], env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: model}}}]"'
now_and_then canary config_map fails config_map_missing 'create configmap settings' 'CreateContainerConfigError' 10 'container "envFrom: [{configMapRef: {name: settings}}]"'
now_and_then first volume_secret fails secret_missing 'create secret generic tls' 'FailedMount' 10 'container "volumeMounts: [{name: certs, mountPath: /certs}]"; volumes "[{name: certs, secret: {secretName: tls}}]"'
everyday canary service_account fails service_account 'create serviceaccount scorer' 'serviceaccount .scorer. not found' 10 'template kubernetes/deployment.yaml; sed -i "s/serviceAccountName: .*/serviceAccountName: scorer/" .mlctl/templates/kubernetes/deployment.yaml'
now_and_then first host_path fails volume_path . 'FailedMount' 10 'container "volumeMounts: [{name: m, mountPath: /m}]"; volumes "[{name: m, hostPath: {path: /nosuch/models, type: Directory}}]"'

# ---- probes
everyday canary startup_path fails startup_probe path 'Startup probe failed' 10 'probe "s|/v2/health/ready|/v2/health/redy|"'
now_and_then first startup_port fails startup_probe serve.port 'Startup probe failed' 10 'probe "0,/port: http/s/port: http/port: 9090/"'
now_and_then first readiness_path fails readiness_probe path 'Readiness probe failed' 10 'probe "/readinessProbe/,/port: http/s|/v2/health/ready|/v2/redy|"'
now_and_then canary readiness_500 fails readiness_probe . 'Readiness probe failed' 12 'sidecar "args: [status, \"500\", serve, \"8081\"], readinessProbe: {httpGet: {path: /, port: 9099}, periodSeconds: 1}"'
now_and_then first liveness_path fails liveness_probe path 'failed liveness probe' 10 'sidecar "args: [path, /healthz, serve, \"8081\"], livenessProbe: {httpGet: {path: /live, port: 9099}, periodSeconds: 1}"'

# ---- room
everyday first cpu_above fails request_above_nodes 'mlctl.yaml:5  resources.cpu' 'Insufficient cpu' 10 'sed -i "s/cpu: 150m/cpu: 64/" mlctl.yaml'
now_and_then canary memory_above fails request_above_nodes 'mlctl.yaml:6  resources.memory' 'Insufficient memory' 10 'memory 900Gi'
now_and_then first gpu fails request_above_nodes nvidia.com/gpu 'Insufficient nvidia' 10 'sidecar "args: [stay], resources: {limits: {nvidia.com/gpu: 1}}"'
everyday canary node_selector fails node_selector 'mlctl.yaml:11  scheduling.nodeSelector' 'affinity/selector' 10 'setting "scheduling: {nodeSelector: {accelerator: a100}}"'
now_and_then canary host_port fails host_port_taken hostPort 'free ports' 10 'sidecar "args: [stay], ports: [{containerPort: 9099, hostPort: 18381}]"; "$MLCTL" deploy --json --reason "the port is taken" >answer; old=$(json_field answer serving); memory 65Mi'
now_and_then first claim_missing fails volume_claim_missing 'named data' 'persistentvolumeclaim .data. not found' 10 'volumes "[{name: d, persistentVolumeClaim: {claimName: data}}]"'
now_and_then first claim_pending fails volume_pending storageclass 'unbound immediate' 10 'apply "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: fast-ssd, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}"; volumes "[{name: d, persistentVolumeClaim: {claimName: data}}]"'

# ---- admission
everyday canary quota fails quota 'resourcequota small' 'exceeded quota' 10 'memory 65Mi; in_ns create quota small --hard=pods=1'
now_and_then first quota_above fails quota 'resourcequota small' 'exceeded quota' 10 'in_ns create quota small --hard=limits.memory=32Mi'
now_and_then canary limit_range fails limit_range limitrange 'maximum memory usage' 10 'apply "{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container, max: {memory: 64Mi}}]}}"; memory 128Mi'
everyday first pod_security fails pod_security securityContext 'violates PodSecurity' 10 'kubectl label ns $namespace pod-security.kubernetes.io/enforce=restricted; pod "hostNetwork: true"'
everyday canary webhook fails webhook_denied . 'denied the request' 10 'memory 65Mi; webhook https://$CLUSTER_HOST:$hook/'
now_and_then first policy fails policy_denied validatingadmissionpolicy 'denied request' 10 'policy pods'
now_and_then first priority fails priority_class priorityclass 'no PriorityClass' 10 'pod "priorityClassName: urgent"'
now_and_then canary runtime_class fails runtime_class runtimeclass 'RuntimeClass' 10 'pod "runtimeClassName: nosuch"'

# ---- what looks bad and comes right
everyday first secret_late recovers 'CreateContainerConfigError' 'container "envFrom: [{secretRef: {name: keys}}]"' 'sleep 6; in_ns create secret generic keys --from-literal=A=1'
everyday canary two_crashes recovers 'restarts=1 is terminated Error 1' 'sidecar "args: [once, /d/a, exit, \"1\", once, /d/b, exit, \"1\", stay], volumeMounts: [{name: d, mountPath: /d}]"; volumes "[{name: d, emptyDir: {}}]"' :
everyday first slow_load recovers 'Readiness probe failed' 'sidecar "args: [busy, \"14\", serve, \"8081\"], startupProbe: {tcpSocket: {port: 9099}}, readinessProbe: {httpGet: {path: /, port: 9099}, periodSeconds: 1}"' :
everyday canary registry_once recovers 'ErrImagePull' 'sidecar "args: [stay], imagePullPolicy: Always"; sed -i "s|name: metrics, image: [^,]*|name: metrics, image: $broken/once/actor:1|" .mlctl/templates/kubernetes/deployment.yaml' :
now_and_then first one_oom recovers 'OOMKilled' 'sidecar "args: [once, /d/a, eat, \"200\", stay], resources: {limits: {memory: 32Mi}}, volumeMounts: [{name: d, mountPath: /d}]"; volumes "[{name: d, emptyDir: {}}]"' :
now_and_then canary config_map_late recovers 'FailedMount' 'container "volumeMounts: [{name: c, mountPath: /c}]"; volumes "[{name: c, configMap: {name: settings}}]"' 'sleep 5; in_ns create configmap settings --from-literal=a=1'
now_and_then first account_late recovers 'serviceaccount .scorer. not found' 'template kubernetes/deployment.yaml; sed -i "s/serviceAccountName: .*/serviceAccountName: scorer/" .mlctl/templates/kubernetes/deployment.yaml' 'sleep 5; in_ns create serviceaccount scorer'
now_and_then canary webhook_back recovers 'failed calling webhook' 'memory 65Mi; webhook https://$CLUSTER_HOST:15999/' 'sleep 9; kubectl delete validatingwebhookconfiguration $namespace'
now_and_then first slow_pull recovers 'Pulling image' 'sidecar "args: [stay], imagePullPolicy: Always"; sed -i "s|name: metrics, image: [^,]*|name: metrics, image: $broken/slow/actor:1|" .mlctl/templates/kubernetes/deployment.yaml' :
now_and_then canary quota_freed recovers 'exceeded quota' 'memory 65Mi; in_ns create quota small --hard=pods=1' 'sleep 4; in_ns delete quota small'
now_and_then first claim_late recovers 'unbound immediate|not found' 'volumes "[{name: d, persistentVolumeClaim: {claimName: data}}]"; apply "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: hand, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}"' 'sleep 5; apply "{apiVersion: v1, kind: PersistentVolume, metadata: {name: $namespace}, spec: {storageClassName: hand, capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp}}}"'
now_and_then canary pod_deleted recovers 'Running' 'container "startupProbe: {initialDelaySeconds: 3}"' 'sleep 4; in_ns delete pod -l mlctl.dev/role=canary --wait=false'
while [ "$(jobs -rp | wc -l)" -gt "$(wc -w <<<"$own")" ]; do wait -n; done

for name in $names; do
	told=$(cat "$results/$name" 2>/dev/null)
	case $told in
	ok:*) pass "$name: ${told#ok: }" ;;
	*) flunk "$name: ${told:-it ended without a word}" "$results/$name.d/answer" "$results/$name.d/setup" ;;
	esac
done
finish
