# shellcheck shell=bash
# Deploys that can't work, and that look so, as data: real_causes.sh plays them by mlctl, tests/bench/causes.sh by helm and kubectl too. Sourced after lib.sh.
# A case sees its $namespace, works in a folder of its own, and changes a project that works (`healthy`).
here=$ROOT/tests/cluster
has_causes() { is_real_node && command -v python3 >/dev/null && command -v openssl >/dev/null; }

# Images that do what they are told, registries that misbehave, and a webhook that says no: actor.c, bad_servers.py.
start_bad_servers() {
	bad_port=$(free_port) hook=$(free_port)
	broken=$CLUSTER_HOST:$bad_port A=$REGISTRY/actor:1 missing=$REGISTRY/actor@sha256:$(printf '0123456789abcdef%.0s' 1 2 3 4)
	${CC:-cc} -Os -static -o "$home/actor" "$here/actor.c" && "$here/push_actors.py" "$REGISTRY" "$home/actor" >"$home/actors" || return 1
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "subjectAltName=IP:$CLUSTER_HOST" -keyout "$home/key" -out "$home/crt" 2>/dev/null
	python3 "$here/bad_servers.py" "$CLUSTER_HOST" "$bad_port" "$hook" "$REGISTRY" "$home/crt" "$home/key" >/dev/null 2>&1 &
	children="$children $!"
	trust_registry "$broken"
}

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
# container FIELD: a field of the container, by a template of the project; pod FIELD: of the pod, which the template has not.
template() { [ -e ".mlctl/templates/$1" ] || { mkdir -p ".mlctl/templates/$(dirname "$1")" && cp "$ROOT/templates/$1" ".mlctl/templates/$1"; }; }
container() { template payload/native.yaml; printf '  - %s\n' "$1" >>.mlctl/templates/payload/native.yaml; }
probe() { template payload/native.yaml; sed -i "$1" .mlctl/templates/payload/native.yaml; }
pod() { template kubernetes/deployment.yaml; sed -i "s|^      enableServiceLinks: false|&\n      $1|" .mlctl/templates/kubernetes/deployment.yaml; }
# block KEY VALUE: in place of what the pod's template says under that key.
block() {
	template kubernetes/deployment.yaml
	awk -v key="      $1:" -v line="      $1: $2" 'index($0, key) == 1 { print line; skips = 1; next } skips && /^       / { next } { skips = 0; print }' \
		.mlctl/templates/kubernetes/deployment.yaml >deployment.new && mv deployment.new .mlctl/templates/kubernetes/deployment.yaml
}
volumes() { block volumes "$1"; }
sidecar() { case $1 in *securityContext*) set -- "$1" ;; *) set -- "$1, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}" ;; esac; template kubernetes/deployment.yaml; sed -i "s|^        - \$include: payload.*|&\n        - {name: metrics, image: $A, $1}|" .mlctl/templates/kubernetes/deployment.yaml; }
actor() { probe '/^    startupProbe:/,$d'; container "image: $A"; container 'command: [/bin/actor]'; container "args: [$1]"; }
nobody_leaves() { [ -z "$(in_ns get pods -o json | jq -r '.items[] | select(.metadata.deletionTimestamp != null) | .metadata.name')" ]; }
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

# ---- the cases. Of those that fail: the cause in one word, words of the fix, what in the API shows it first, in how many seconds from there it is to be told,
# what breaks it. Of those that the API server itself refuses: its words, what breaks it. Of those that come right: what looks bad, what is wrong, what happens meanwhile. `everyday` ones are played always.
all_cases() {

	# ---- images
	everyday first image_tag fails image_not_found 'mlctl push' 'ErrImagePull' 10 'container "image: $REGISTRY/nosuch:1"'
	now_and_then canary image_digest fails image_not_found 'mlctl push' 'ErrImagePull' 10 'container "image: $missing"'
	everyday canary image_denied fails image_denied imagePullSecrets 'ErrImagePull' 10 'container "image: $broken/denied/actor:1"'
	now_and_then first image_forbidden fails image_denied imagePullSecrets 'ErrImagePull' 10 'container "image: $broken/forbidden/actor:1"'
	now_and_then canary registry_tls fails registry_tls 'CA of' 'ErrImagePull' 10 'container "image: $CLUSTER_HOST:$hook/actor:1"'
	now_and_then first registry_refused fails registry_unreachable 'curl -v' 'ErrImagePull' 45 'container "image: $CLUSTER_NODE:5999/actor:1"'
	now_and_then first registry_limited fails registry_rate_limited imagePullSecrets 'ErrImagePull' 45 'container "image: $broken/limited/actor:1"'
	everyday canary pull_secret fails pull_secret_missing 'create secret docker-registry regcred' 'ErrImagePull' 10 'container "image: $broken/basic/actor:1"; block imagePullSecrets "[{name: regcred}]"'
	everyday first other_platform fails wrong_architecture architecture 'ErrImagePull' 10 'container "image: $REGISTRY/index:1"'
	everyday canary other_program fails wrong_architecture architecture 'exec format error' 10 'container "image: $REGISTRY/foreign:1"'
	now_and_then first image_never fails image_never_pulled IfNotPresent 'ErrImageNeverPull' 10 'container "image: $REGISTRY/never:1"; container "imagePullPolicy: Never"'

	# ---- memory and crashes: three times, as one may be chance
	everyday canary out_of_memory fails out_of_memory 'mlctl.yaml:6  resources.memory: [0-9]+Mi' 'restarts=2 is terminated OOMKilled' 10 'memory 32Mi; actor "sleep, \"1\", eat, \"200\", stay"'
	now_and_then first out_of_memory_init fails out_of_memory 'resources.limits.memory' 'restarts=2 is terminated OOMKilled' 10 'block initContainers "[{name: fetch, image: $A, args: [eat, \"200\"], resources: {limits: {memory: 32Mi}}}]"'
	everyday first crash_python fails crash_loop logs 'restarts=2 is terminated Error 1' 10 'actor "say, \"ValueError: no such column: age\", exit, \"1\""'
	now_and_then canary crash_panic fails crash_loop logs 'restarts=2 is terminated Error 2' 10 'actor "say, \"panic: assignment to entry in nil map\", exit, \"2\""'
	now_and_then first crash_segv fails crash_loop logs 'restarts=2 is terminated Error 139' 10 'actor segv'
	everyday canary crash_model fails crash_loop 'mlctl build' 'is terminated Error 4' 20 'container "args: [serve, --model, /mlctl-runner]"'
	now_and_then first crash_flag fails crash_loop 'mlctl validate' 'is terminated Error 2' 20 'container "args: [serve, --modle, /model.onnx]"'
	now_and_then canary exits_at_once fails exits_at_once . 'restarts=2 is terminated Completed 0' 10 'actor "say, hello, exit, \"0\""'
	now_and_then first no_module fails crash_loop . 'is terminated Error 1' 20 'actor "say, \"ModuleNotFoundError: No module named torch\", exit, \"1\""'
	everyday first sidecar fails crash_loop metrics 'metrics restarts=2 is terminated Error 1' 12 'sidecar "args: [say, \"error: no config\", exit, \"1\"]"'
	now_and_then canary init_fails fails crash_loop fetch 'fetch restarts=2 is terminated Error 3' 10 'block initContainers "[{name: fetch, image: $A, args: [say, \"error: download of model: no route to host\", exit, \"3\"]}]"'
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
	everyday canary service_account fails service_account 'create serviceaccount scorer' 'serviceaccount .scorer. not found' 10 'block serviceAccountName scorer'
	now_and_then first host_path fails volume_path . 'FailedMount' 10 'container "volumeMounts: [{name: m, mountPath: /m}]"; volumes "[{name: m, hostPath: {path: /nosuch/models, type: Directory}}]"'

	# ---- probes
	everyday canary startup_path fails startup_probe path 'Startup probe failed' 10 'probe "s|/v2/health/ready|/v2/health/redy|"'
	now_and_then first startup_port fails startup_probe serve.port 'Startup probe failed' 10 'probe "0,/port: http/s/port: http/port: 9090/"'
	now_and_then first readiness_path fails readiness_probe path 'Readiness probe failed' 10 'probe "/readinessProbe/,/port: http/s|/v2/health/ready|/v2/redy|"'
	now_and_then canary readiness_500 fails readiness_probe . 'Readiness probe failed' 12 'sidecar "args: [status, \"500\", serve, \"9099\"], readinessProbe: {httpGet: {path: /, port: 9099}, periodSeconds: 1}"'
	now_and_then first liveness_path fails liveness_probe path 'failed liveness probe' 10 'sidecar "args: [path, /healthz, serve, \"9099\"], livenessProbe: {httpGet: {path: /live, port: 9099}, periodSeconds: 1}, readinessProbe: {tcpSocket: {port: 9099}, initialDelaySeconds: 8}"'

	# ---- room
	everyday first cpu_above fails request_above_nodes 'mlctl.yaml:5  resources.cpu' 'Insufficient cpu' 10 'sed -i "s/cpu: 150m/cpu: 64/" mlctl.yaml'
	now_and_then canary memory_above fails request_above_nodes 'mlctl.yaml:6  resources.memory' 'Insufficient memory' 10 'memory 900Gi'
	now_and_then first gpu fails request_above_nodes nvidia.com/gpu 'Insufficient nvidia' 10 'sidecar "args: [stay], resources: {limits: {nvidia.com/gpu: 1}}"'
	everyday canary node_selector fails node_selector 'mlctl.yaml:11  scheduling.nodeSelector' 'affinity/selector' 10 'setting "scheduling: {nodeSelector: {accelerator: a100}}"'
	now_and_then canary host_port fails host_port_taken hostPort 'free ports' 10 'sidecar "args: [stay], ports: [{containerPort: 9099, hostPort: 18381}]"; "$MLCTL" deploy --json --reason "the port is taken" >answer; old=$(json_field answer serving); within 60 nobody_leaves; memory 65Mi'
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

	# ---- strange ones
	now_and_then canary node_port refused 'provided port is already allocated' 'setting "expose: {type: NodePort, nodePort: 30999}"; kubectl create namespace "$namespace-x"; kubectl -n "$namespace-x" create service nodeport taken --tcp=80 --node-port=30999'
	now_and_then canary policy_deployments refused 'a cost centre is missing' 'memory 65Mi; policy deployments'
	now_and_then canary quota_deployments refused 'exceeded quota: few' 'memory 65Mi; in_ns create quota few --hard=count/deployments.apps=1'
	now_and_then first node_name fails node_name nodeName 'Pending' 12 'pod "nodeName: nosuch"'
	now_and_then first deadline refused 'activeDeadlineSeconds in ReplicaSet is not Supported' 'pod "activeDeadlineSeconds: 5"'
	now_and_then first init_stuck fails init_running logs 'fetch restarts=0 is running' 110 'block initContainers "[{name: fetch, image: $A, args: [stay]}]"'
	now_and_then first resource_field fails container_start . 'CreateContainerConfigError' 10 'sidecar "args: [stay], env: [{name: X, valueFrom: {resourceFieldRef: {containerName: nosuch, resource: limits.cpu}}}]"'
	now_and_then first csi_driver fails volume_driver csidrivers 'FailedMount' 10 'container "volumeMounts: [{name: m, mountPath: /m}]"; volumes "[{name: m, csi: {driver: nosuch.csi.example.com}}]"'
	now_and_then first nfs fails volume_driver . 'FailedMount' 35 'container "volumeMounts: [{name: m, mountPath: /m}]"; volumes "[{name: m, nfs: {server: 198.18.3.1, path: /models}}]"'
	now_and_then first sysctl fails security_profile . 'SysctlForbidden' 12 'template kubernetes/deployment.yaml; sed -i "s/^        runAsNonRoot: true/&\\n        sysctls: [{name: net.core.somaxconn, value: \"1024\"}]/" .mlctl/templates/kubernetes/deployment.yaml'
	now_and_then first app_armor fails security_profile . 'AppArmor' 12 'sidecar "args: [stay], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, appArmorProfile: {type: Localhost, localhostProfile: nosuch}}"'
	now_and_then first hugepages fails request_above_nodes hugepages 'Insufficient hugepages' 10 'sidecar "args: [stay], resources: {limits: {hugepages-2Mi: 100Mi, memory: 32Mi}}"'
	now_and_then first sub_path_expr fails 'subpath|container_start' . 'CreateContainerConfigError' 12 'sidecar "args: [stay], volumeMounts: [{name: d, mountPath: /d, subPathExpr: \$(NOSUCH)}]"; volumes "[{name: d, emptyDir: {}}]"'
	now_and_then first probe_shell fails readiness_probe command 'Readiness probe' 12 'sidecar "args: [stay], readinessProbe: {exec: {command: [sh, -c, \"true\"]}, periodSeconds: 1}"'
	now_and_then first probe_grpc fails startup_probe . 'Startup probe' 40 'sidecar "args: [serve, \"9099\"], startupProbe: {grpc: {port: 9099}, periodSeconds: 1}"'
	now_and_then first root_user fails run_as_root . 'CreateContainerConfigError' 10 'sidecar "args: [stay], securityContext: {runAsUser: 0}"'
	now_and_then first min_ready fails min_ready_seconds minReadySeconds 'Ready' 110 'template kubernetes/deployment.yaml; sed -i "s/^  revisionHistoryLimit/  minReadySeconds: 400\\n&/" .mlctl/templates/kubernetes/deployment.yaml'
	now_and_then first paused fails paused resume . 10 'template kubernetes/deployment.yaml; sed -i "s/^  revisionHistoryLimit/  paused: true\\n&/" .mlctl/templates/kubernetes/deployment.yaml'
	now_and_then first alone_on_node fails pod_anti_affinity scale.min 'anti-affinity' 12 'sed -i "s/min: 1/min: 2/" mlctl.yaml; pod "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {matchLabels: {mlctl.dev/service: fraud}}, topologyKey: kubernetes.io/hostname}]}}"'
	now_and_then first memory_tiny fails memory_unit resources.memory . 12 'memory 2Mi'
	now_and_then first readiness_gate fails readiness_gate . 'Ready' 110 'pod "readinessGates: [{conditionType: example.com/lb}]"'
	now_and_then first disk_full fails evicted sizeLimit 'EmptyDir' 110 'sidecar "args: [write, /d/x, \"30\", serve, \"9099\"], readinessProbe: {tcpSocket: {port: 9099}, initialDelaySeconds: 150}, volumeMounts: [{name: d, mountPath: /d}]"; volumes "[{name: d, emptyDir: {sizeLimit: 5Mi}}]"'
	now_and_then first scheduler fails not_scheduled fancy 'Pending' 110 'pod "schedulerName: fancy"'

	# ---- what looks bad and comes right
	everyday first secret_late recovers 'CreateContainerConfigError' 'container "envFrom: [{secretRef: {name: keys}}]"' 'sleep 6; in_ns create secret generic keys --from-literal=A=1'
	everyday canary two_crashes recovers 'restarts=1 is terminated Error 1' 'sidecar "args: [once, /d/a, exit, \"1\", once, /d/b, exit, \"1\", stay], volumeMounts: [{name: d, mountPath: /d}]"; volumes "[{name: d, emptyDir: {}}]"' :
	everyday first slow_load recovers 'Readiness probe failed' 'sidecar "args: [busy, \"14\", serve, \"9099\"], startupProbe: {tcpSocket: {port: 9099}}, readinessProbe: {httpGet: {path: /, port: 9099}, periodSeconds: 1}"' :
	everyday canary registry_once recovers 'ErrImagePull' 'sidecar "args: [stay], imagePullPolicy: Always"; sed -i "s|name: metrics, image: [^,]*|name: metrics, image: $broken/once/actor:1|" .mlctl/templates/kubernetes/deployment.yaml' :
	now_and_then first one_oom recovers 'OOMKilled' 'sidecar "args: [once, /d/a, eat, \"200\", stay], resources: {limits: {memory: 32Mi}}, volumeMounts: [{name: d, mountPath: /d}]"; volumes "[{name: d, emptyDir: {}}]"' :
	now_and_then canary config_map_late recovers 'FailedMount' 'container "volumeMounts: [{name: c, mountPath: /c}]"; volumes "[{name: c, configMap: {name: settings}}]"' 'sleep 5; in_ns create configmap settings --from-literal=a=1'
	now_and_then first account_late recovers 'serviceaccount .scorer. not found' 'block serviceAccountName scorer' 'sleep 5; in_ns create serviceaccount scorer'
	now_and_then canary webhook_back recovers 'failed calling webhook' 'memory 65Mi; webhook https://$CLUSTER_HOST:15999/' 'sleep 9; kubectl delete validatingwebhookconfiguration $namespace'
	now_and_then first slow_pull recovers 'Pulling image' 'sidecar "args: [stay], imagePullPolicy: Always"; sed -i "s|name: metrics, image: [^,]*|name: metrics, image: $broken/slow/actor:1|" .mlctl/templates/kubernetes/deployment.yaml' :
	now_and_then canary quota_freed recovers 'exceeded quota' 'memory 65Mi; for i in 1 2; do apply "{apiVersion: v1, kind: Pod, metadata: {name: other$i}, spec: {containers: [{name: c, image: $A, args: [stay], lifecycle: {preStop: {sleep: {seconds: 14}}}}]}}"; done; in_ns wait --for=condition=Ready pod/other1 pod/other2 --timeout=30s; in_ns create quota small --hard=pods=3; in_ns delete pod other1 other2 --wait=false' :
	now_and_then first claim_late recovers 'not found' 'volumes "[{name: d, persistentVolumeClaim: {claimName: data}}]"; goes_too "persistentvolume/$namespace"; apply "{apiVersion: v1, kind: PersistentVolume, metadata: {name: $namespace}, spec: {storageClassName: hand, capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp}}}"' 'sleep 5; apply "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: hand, volumeName: $namespace, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}"; sleep 60; kubectl delete pv "$namespace" --wait=false'
	now_and_then canary pod_deleted recovers 'Running' 'container "startupProbe: {initialDelaySeconds: 3}"' 'sleep 4; in_ns delete pod -l mlctl.dev/role=canary --wait=false'
}
# What changes the node for everybody: one after the other, when nothing else goes on.
lonely_cases() {
	now_and_then canary node_cordoned recovers 'were unschedulable' 'memory 65Mi; kubectl cordon "$(kubectl get nodes -o "jsonpath={.items[0].metadata.name}")"' 'sleep 12; kubectl uncordon "$(kubectl get nodes -o "jsonpath={.items[0].metadata.name}")"'
}
