#include "project/table.h"

#include "project/names.h"
#include "project/project.h"

#include <stddef.h>

#define HOUR_MS 3600000
#define DAY_MS (24 * (int64_t) HOUR_MS)

static const struct field model[] = {
	{"path", FIELD_AT_TEXT(struct settings, model.path), .is_needed = true, .check = names_check_path, .example = "model.onnx",
		.help = "The model: an .onnx file, or a folder that holds one, relative to this file"},
	{"golden", FIELD_AT_TEXT(struct settings, model.golden), .check = names_check_path, .example = "golden.jsonl",
		.help = "Example requests with the answers expected; each build and each rollout must answer them"},
	{"name", FIELD_AT_TEXT(struct settings, model.name), .check = names_check_model, .pattern = NAMES_MODEL_PATTERN, .example = "fraud",
		.is_deployed = true, .help = "The model's name in requests; without it the file's name"},
	{0},
};
static const struct field_table model_table = {.fields = model};

static const struct field serve[] = {
	{"port", FIELD_AT_INT(struct settings, serve.port), .fallback = "8080", .min = 1, .max = 65535, .is_deployed = true,
		.help = "The port that answers requests"},
	{"timeout", FIELD_AT_DURATION(struct settings, serve.timeout_ms), .fallback = "10s", .min = 1, .max = HOUR_MS, .is_deployed = true,
		.help = "The longest that one request may take"},
	{"auth", .kind = FIELD_LATER, .help = "Who may ask: an API key or a JWT"},
	{"rateLimit", .kind = FIELD_LATER, .help = "How often one client may ask"},
	{0},
};
static const struct field_table serve_table = {.fields = serve};

static const struct field resources[] = {
	{"cpu", FIELD_AT_CPU(struct settings, resources.cpu_millicores), .is_deployed = true, .example = "500m",
		.help = "Processor time of one replica; without it no limit, and target kubernetes asks for 100m"},
	{"memory", FIELD_AT_MEMORY(struct settings, resources.memory_bytes), .is_deployed = true, .example = "256Mi",
		.help = "Memory of one replica; without it no limit, or on target kubernetes what build measured with room around it"},
	{0},
};
static const struct field_table resources_table = {.fields = resources};

static const struct field scale[] = {
	{"min", FIELD_AT_INT(struct settings, scale.min), .fallback = "1", .min = 1, .max = 1000, .is_deployed = true,
		.help = "Replicas at least"},
	{"max", FIELD_AT_INT(struct settings, scale.max), .min = 1, .max = 1000, .is_deployed = true,
		.help = "Replicas at most; without it as many as min"},
	{"cpu", FIELD_AT_SHARE(struct settings, scale.cpu), .fallback = "70%", .min = 1, .max = 100, .is_deployed = true,
		.help = "The processor load that scaling between min and max aims at"},
	{0},
};
static const struct field_table scale_table = {.fields = scale};

static const struct field canary[] = {
	{"weight", FIELD_AT_SHARE(struct settings, rollout.canary.weight), .fallback = "10%", .min = 1, .max = 99,
		.help = "The share of requests that a new version gets while it is watched"},
	{"for", FIELD_AT_DURATION(struct settings, rollout.canary.for_ms), .fallback = "5m", .min = 1000, .max = DAY_MS,
		.help = "How long it is watched at least; in environment local 10s unless set"},
	{"minRequests", FIELD_AT_INT(struct settings, rollout.canary.requests_min), .fallback = "100", .min = 1, .max = 1000000,
		.help = "How many answers it must have given before it passes"},
	{"max", FIELD_AT_DURATION(struct settings, rollout.canary.max_ms), .fallback = "30m", .min = 1000, .max = 7 * DAY_MS,
		.help = "Undecided until then, it is undone"},
	{0},
};
static const struct field_table canary_table = {.fields = canary};

static const struct field rollback[] = {
	{"errorRate", FIELD_AT_SHARE(struct settings, rollout.rollback.error_rate), .fallback = "5%", .min = 0, .max = 100,
		.help = "More errors than this undo it"},
	{"latencyP99", FIELD_AT_DURATION(struct settings, rollout.rollback.latency_p99_ms), .fallback = "2s", .min = 1, .max = HOUR_MS,
		.help = "More than one request in a hundred slower than this undoes it"},
	{"healthFailures", FIELD_AT_INT(struct settings, rollout.rollback.health_failures), .fallback = "3", .min = 0, .max = 1000,
		.help = "More failed health checks than this undo it"},
	{0},
};
static const struct field_table rollback_table = {.fields = rollback};

static const struct field rollout[] = {
	{"canary", .kind = FIELD_STRUCT, .table = &canary_table, .offset_on = FIELD_AT(bool, struct settings, rollout.canary.is_on),
		.help = "A new version first gets a share of the requests and is watched; none: it gets all at once"},
	{"rollback", .kind = FIELD_STRUCT, .table = &rollback_table, .help = "When a new version is undone"},
	{0},
};
static const struct field_table rollout_table = {.fields = rollout};

static const struct field registry[] = {
	{"insecure", FIELD_AT_BOOL(struct settings, registry.is_insecure), .fallback = "false",
		.help = "Plain http, or a certificate that nobody vouches for, is accepted"},
	{"caFile", FIELD_AT_TEXT(struct settings, registry.ca_file), .example = "ca.pem",
		.help = "Certificates that vouch for the registry, in PEM"},
	{0},
};
static const struct field_table registry_table = {.fields = registry};

#define KUBERNETES .only = "kubernetes"
#define DAY_S (24 * 3600)

static const struct field ingress[] = {
	{"host", FIELD_AT_TEXT(struct settings, expose.ingress.host), .is_deployed = true, .check = names_check_host, .example = "fraud.example.com",
		.help = "The host that clients ask; without it every host"},
	{"path", FIELD_AT_TEXT(struct settings, expose.ingress.path), .is_deployed = true, .check = names_check_url_path, .fallback = "/",
		.help = "The path that requests begin with"},
	{"className", FIELD_AT_TEXT(struct settings, expose.ingress.class_name), .is_deployed = true, .check = names_check_object, .example = "nginx",
		.help = "The IngressClass; without it the cluster's default"},
	{"tlsSecret", FIELD_AT_TEXT(struct settings, expose.ingress.tls_secret), .is_deployed = true, .check = names_check_object,
		.example = "fraud-tls", .help = "The Secret with the host's certificate and key; without it plain http"},
	{"annotations", FIELD_AT_MAP(struct settings, expose.ingress.annotations), .is_deployed = true, .check_key = names_check_annotation,
		.example = "{cert-manager.io/cluster-issuer: letsencrypt}", .help = "Of the Ingress, for its controller"},
	{0},
};
static const struct field_table ingress_table = {.fields = ingress};

static const struct field route[] = {
	{"gateway", FIELD_AT_TEXT(struct settings, expose.route.gateway), .is_deployed = true, .check = names_check_object, .example = "public",
		.help = "The Gateway that the HTTPRoute joins; needed for a route"},
	{"gatewayNamespace", FIELD_AT_TEXT(struct settings, expose.route.gateway_namespace), .is_deployed = true, .check = names_check_namespace,
		.example = "gateways", .help = "The Gateway's namespace; without it the service's"},
	{"host", FIELD_AT_TEXT(struct settings, expose.route.host), .is_deployed = true, .check = names_check_host, .example = "fraud.example.com",
		.help = "The host that clients ask; without it the Gateway's"},
	{"path", FIELD_AT_TEXT(struct settings, expose.route.path), .is_deployed = true, .check = names_check_url_path, .fallback = "/",
		.help = "The path that requests begin with"},
	{0},
};
static const struct field_table route_table = {.fields = route};

static const char *const expose_types[] = {"ClusterIP", "NodePort", "LoadBalancer", NULL};
static const struct field expose[] = {
	{"type", FIELD_AT_ENUM(struct settings, expose.type), .is_deployed = true, .choices = expose_types, .fallback = "ClusterIP",
		.help = "Where the Service is reached: in the cluster, on a port of each node, or through a cloud's load balancer"},
	{"port", FIELD_AT_INT(struct settings, expose.port), .is_deployed = true, .fallback = "80", .min = 1, .max = 65535,
		.help = "The Service's port"},
	{"nodePort", FIELD_AT_INT(struct settings, expose.node_port), .is_deployed = true, .min = 1, .max = 65535,
		.help = "The port of each node, for NodePort and LoadBalancer; without it the cluster chooses"},
	{"annotations", FIELD_AT_MAP(struct settings, expose.annotations), .is_deployed = true, .check_key = names_check_annotation,
		.example = "{service.beta.kubernetes.io/aws-load-balancer-type: nlb}", .help = "Of the Service, for the cloud's load balancer"},
	{"unauthenticated", FIELD_AT_BOOL(struct settings, expose.is_unauthenticated), .fallback = "false",
		.help = "That anybody who reaches it may ask is meant; a LoadBalancer, an ingress and a route need it said"},
	{"ingress", .kind = FIELD_STRUCT, .table = &ingress_table, .is_deployed = true, .fallback = "none",
		.offset_on = FIELD_AT(bool, struct settings, expose.ingress.is_on), .help = "An Ingress in front of the Service"},
	{"route", .kind = FIELD_STRUCT, .table = &route_table, .is_deployed = true, .fallback = "none",
		.offset_on = FIELD_AT(bool, struct settings, expose.route.is_on), .help = "An HTTPRoute of the Gateway API in front of the Service"},
	{0},
};
static const struct field_table expose_table = {.fields = expose};

static const struct field service_account[] = {
	{"name", FIELD_AT_TEXT(struct settings, service_account.name), .is_deployed = true, .check = names_check_object, .example = "ml-runtime",
		.help = "One that is there already; without it the service gets its own, without any right"},
	{"annotations", FIELD_AT_MAP(struct settings, service_account.annotations), .is_deployed = true, .check_key = names_check_annotation,
		.example = "{iam.gke.io/gcp-service-account: ml@project.iam.gserviceaccount.com}", .help = "Of its own one, for the cloud's identities"},
	{0},
};
static const struct field_table service_account_table = {.fields = service_account};

static const char *const operators[] = {"Equal", "Exists", NULL};
static const char *const effects[] = {"any", "NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
static const struct field toleration[] = {
	{"key", FIELD_AT_TEXT(struct settings_toleration, key), .is_deployed = true, .check = names_check_label, .example = "dedicated",
		.help = "The taint's name; without it, with operator Exists, every taint"},
	{"operator", FIELD_AT_ENUM(struct settings_toleration, operator_), .is_deployed = true, .choices = operators, .fallback = "Equal",
		.help = "Whether the taint's value counts"},
	{"value", FIELD_AT_TEXT(struct settings_toleration, value), .is_deployed = true, .check = names_check_label_value, .example = "ml",
		.help = "The taint's value"},
	{"effect", FIELD_AT_ENUM(struct settings_toleration, effect), .is_deployed = true, .choices = effects, .fallback = "any",
		.help = "The taint's effect"},
	{"tolerationSeconds", FIELD_AT_INT(struct settings_toleration, seconds), .is_deployed = true, .min = 1, .max = 365 * DAY_S,
		.help = "How long it stays on a node that gets a NoExecute taint; without it for ever"},
	{0},
};
static const struct field_table toleration_table = {.fields = toleration, .size = sizeof(struct settings_toleration)};

static const char *const spreads[] = {"host", "zone", "none", NULL};
static const struct field scheduling[] = {
	{"nodeSelector", FIELD_AT_MAP(struct settings, scheduling.node_selector), .is_deployed = true, .check_key = names_check_label,
		.check = names_check_label_value, .example = "{pool: ml}", .help = "Labels that a node must have"},
	{"tolerations", FIELD_AT_LIST(struct settings, scheduling.tolerations), .is_deployed = true, .table = &toleration_table,
		.help = "Taints of nodes that are no hindrance"},
	{"spread", FIELD_AT_ENUM(struct settings, scheduling.spread), .is_deployed = true, .choices = spreads, .fallback = "host",
		.help = "Over what the replicas are spread, where that is possible"},
	{0},
};
static const struct field_table scheduling_table = {.fields = scheduling};

static const struct field probes[] = {
	{"startup", FIELD_AT_DURATION(struct settings, probes.startup_ms), .is_deployed = true, .fallback = "60s", .min = 1000, .max = HOUR_MS,
		.help = "How long a replica may take until it answers for the first time"},
	{0},
};
static const struct field_table probes_table = {.fields = probes};

static const struct field monitoring[] = {
	{"serviceMonitor", FIELD_AT_BOOL(struct settings, monitoring.has_service_monitor), .is_deployed = true, .fallback = "false",
		.help = "A ServiceMonitor for the Prometheus operator"},
	{"labels", FIELD_AT_MAP(struct settings, monitoring.labels), .is_deployed = true, .check_key = names_check_label,
		.check = names_check_label_value, .example = "{release: prometheus}", .help = "Of the ServiceMonitor, that the operator looks for"},
	{"prometheus", FIELD_AT_TEXT(struct settings, monitoring.prometheus), .check = names_check_url, .example = "http://prometheus.monitoring:9090",
		.help = "Where a canary's numbers come from; without it from each replica"},
	{0},
};
static const struct field_table monitoring_table = {.fields = monitoring};

static const char *const payloads[] = {"native", "triton", "tfserving", "fastapi", "flask", "http", NULL};
static const struct field payload[] = {
	{"kind", FIELD_AT_ENUM(struct settings, payload.kind), .is_deployed = true, .choices = payloads, .fallback = "native",
		.help = "What answers requests: mlctl's own runner, or another server"},
	{"image", FIELD_AT_TEXT(struct settings, payload.image), .is_deployed = true, .check = names_check_image_reference,
		.example = "nvcr.io/nvidia/tritonserver:24.08-py3", .help = "The other server's image; needed for it. triton and tfserving get the model beside it, the others hold theirs"},
	{"port", FIELD_AT_INT(struct settings, payload.port), .is_deployed = true, .min = 1, .max = 65535,
		.help = "Where the other server answers HTTP; without it the port that is usual for it"},
	{"health", FIELD_AT_TEXT(struct settings, payload.health), .is_deployed = true, .check = names_check_url_path, .example = "/healthz",
		.help = "The path that tells that the other server lives"},
	{"ready", FIELD_AT_TEXT(struct settings, payload.ready), .is_deployed = true, .check = names_check_url_path, .example = "/readyz",
		.help = "The path that tells that it is ready; without it the one of health"},
	{"metrics", FIELD_AT_TEXT(struct settings, payload.metrics), .is_deployed = true, .check = names_check_url_path, .example = "/metrics",
		.help = "The path of its metrics"},
	{"args", FIELD_AT_TEXTS(struct settings, payload.args), .is_deployed = true, .example = "[--workers, \"2\"]",
		.help = "Arguments of the other server, in place of those that are usual for it"},
	{"guard", FIELD_AT_BOOL(struct settings, payload.has_guard), .is_deployed = true, .fallback = "false",
		.help = "mlctl's runner in front of the other server: exact shares for a canary, and its metrics"},
	{0},
};
static const struct field_table payload_table = {.fields = payload};

static const struct field top[] = {
	{"name", FIELD_AT_TEXT(struct settings, name), .is_needed = true, .is_deployed = true, .check = names_check_service,
		.pattern = NAMES_LABEL_PATTERN, .example = "fraud", .help = "The service's name"},
	{"image", FIELD_AT_TEXT(struct settings, image), .check = names_check_image, .example = "registry.example.com/team/fraud",
		.help = "The repository images are pushed to; without it a folder on this machine stands in for a registry"},
	{"model", .kind = FIELD_STRUCT, .table = &model_table, .is_deployed = true, .help = "What is served"},
	{"serve", .kind = FIELD_STRUCT, .table = &serve_table, .is_deployed = true, .help = "How requests are answered"},
	{"resources", .kind = FIELD_STRUCT, .table = &resources_table, .is_deployed = true, .help = "What one replica may use"},
	{"scale", .kind = FIELD_STRUCT, .table = &scale_table, .is_deployed = true, .help = "How many replicas there are"},
	{"rollout", .kind = FIELD_STRUCT, .table = &rollout_table, .help = "How a new version takes over"},
	{"registry", .kind = FIELD_STRUCT, .table = &registry_table, .help = "How the registry is reached"},
	{"base", FIELD_AT_TEXT(struct settings, base), .fallback = "scratch", .check = names_check_base, .example = "scratch",
		.help = "The image below the runner: scratch, or one by its digest"},
	{"target", FIELD_AT_TEXT(struct settings, target), .is_deployed = true, .pattern = "^(local|kubernetes)$", .example = "local",
		.help = "Where it runs: local or kubernetes"},
	{"context", FIELD_AT_TEXT(struct settings, context), KUBERNETES, .check = names_check_context, .example = "prod",
		.help = "The context of the kubeconfig; without it the current one, or the cluster that mlctl itself runs in"},
	{"namespace", FIELD_AT_TEXT(struct settings, namespace_), KUBERNETES, .check = names_check_namespace, .example = "ml",
		.help = "The namespace, which must be there; without it the context's"},
	{"expose", .kind = FIELD_STRUCT, .table = &expose_table, KUBERNETES, .is_deployed = true, .help = "How clients reach the service"},
	{"env", FIELD_AT_MAP(struct settings, env), KUBERNETES, .is_deployed = true, .check_key = names_check_variable, .example = "{LOG_LEVEL: info}",
		.help = "Environment variables of the server; in a ConfigMap"},
	{"secrets", FIELD_AT_MAP(struct settings, secrets), KUBERNETES, .is_deployed = true, .check_key = names_check_variable,
		.check = names_check_secret_key, .example = "{API_TOKEN: fraud-keys/token}",
		.help = "Environment variables whose values are in Secrets that are there already: the Secret's name, '/', the key"},
	{"imagePullSecrets", FIELD_AT_TEXTS(struct settings, image_pull_secrets), KUBERNETES, .is_deployed = true, .check = names_check_object,
		.example = "[registry]", .help = "Secrets that the nodes show to the registry"},
	{"serviceAccount", .kind = FIELD_STRUCT, .table = &service_account_table, KUBERNETES, .is_deployed = true, .help = "Who the replicas are"},
	{"scheduling", .kind = FIELD_STRUCT, .table = &scheduling_table, KUBERNETES, .is_deployed = true, .help = "Which nodes the replicas run on"},
	{"probes", .kind = FIELD_STRUCT, .table = &probes_table, KUBERNETES, .is_deployed = true, .help = "How the replicas are asked for their health"},
	{"monitoring", .kind = FIELD_STRUCT, .table = &monitoring_table, KUBERNETES, .is_deployed = true, .help = "Who reads the metrics"},
	{"payload", .kind = FIELD_STRUCT, .table = &payload_table, KUBERNETES, .is_deployed = true, .help = "What answers requests"},
	{"labels", FIELD_AT_MAP(struct settings, labels), KUBERNETES, .is_deployed = true, .check_key = names_check_label,
		.check = names_check_label_value, .example = "{team: risk}", .help = "Labels of every object and of the pods"},
	{"annotations", FIELD_AT_MAP(struct settings, annotations), KUBERNETES, .is_deployed = true, .check_key = names_check_annotation,
		.example = "{example.com/owner: risk}", .help = "Annotations of every object and of the pods"},
	{0},
};
const struct field_table table_settings = {.fields = top, .size = sizeof(struct settings)};
