#include "target/kubernetes_input.h"

#include "target/kubernetes_objects.h"

#include <stdio.h>

#define MIB ((int64_t) 1024 * 1024)
#define MEMORY_MIN (64 * MIB)
#define CPU_REQUEST "100m"
#define MEMORY_UNKNOWN "64Mi" /* requested where nobody measured; never a limit */
#define MEMORY_OTHER "256Mi"
#define THREADS_UNLIMITED 4 /* each takes memory of its own: not as many as the largest node has processors */
#define THREADS_MAX 64
#define CONTROL_PORT 8081
#define PROGRESS_S_MIN 600 /* an image is pulled, too */
#define DRAIN_DELAY_S 5    /* endpoints have forgotten a pod by then */
#define DRAIN_PATIENCE_S 40 /* but later where the API server was away: a kube-proxy asks it again after up to half a minute */
#define DRAIN_ROOM_S 5
#define GUARD_AHEAD_S 2 /* what a guard took at its last moment is answered by then, or finished by the server's own drain */
#define GUARD_PORT 8080
#define GRACE_ROOM_S 10

/* Of the peak twice, and what the runner itself takes; on a grid of 1, 1.5, 2, 3, 4 ... so that a measurement a little different is the same pod. */
int64_t kubernetes_memory_for(int64_t peak_bytes) {
	int64_t wanted, step = MEMORY_MIN;
	if (num_mul(peak_bytes, 2, &wanted) || num_add(wanted, 16 * MIB, &wanted))
		return INT64_MAX / 2;
	while (step < wanted && step < INT64_MAX / 4) {
		if (step + step / 2 >= wanted)
			return step + step / 2;
		step *= 2;
	}
	return step;
}

struct maker {
	const struct value *settings;
	struct document *document;
	struct value *root, *self;
	struct kubernetes_input *out;
	bool is_canary;
	struct str server_image; /* by its digest where the build's facts know it */
};

static struct str text_at(const struct maker *m, const char *path) {
	const struct value *found = value_find(m->settings, path);
	return found && found->kind == VALUE_STRING ? found->text : (struct str) {0};
}

static int64_t number_at(const struct maker *m, const char *path, int64_t fallback) {
	const struct value *found = value_find(m->settings, path);
	int64_t number;
	return found && found->kind == VALUE_NUMBER && num_int(found->text, 0, INT64_MAX, &number) == 0 ? number : fallback;
}

static int64_t seconds_at(const struct maker *m, const char *path, int64_t fallback) {
	int64_t ms;
	return num_duration_ms(text_at(m, path), &ms) == 0 ? (ms + 999) / 1000 : fallback;
}

/* Every name that `this` has, in the order of the help. */
static const struct {
	const char *name, *setting, *help;
} names[] = {
	{"role", NULL, "stable or canary: each template is rendered for both"},
	{"isStable", NULL, "true in the first"},
	{"isCanary", NULL, "true in the second"},
	{"name", "name", "the Deployment's: NAME or NAME-canary"},
	{"labels", NULL, "of every object: mlctl's own and those of mlctl.yaml"},
	{"podLabels", NULL, "of the Deployment and its pods: also mlctl.dev/role and mlctl.dev/revision"},
	{"selector", NULL, "finds the pods of this role"},
	{"bothSelector", NULL, "finds the pods of both"},
	{"serviceSelector", NULL, "the Service's: of this role; of both where neither the runner nor an HTTPRoute divides requests"},
	{"revision", NULL, "the name of this image with these settings"},
	{"digest", NULL, "the image's"},
	{"image", "image", "the container's image: of what answers"},
	{"runnerImage", "image", "the image that mlctl build made"},
	{"isNative", NULL, "mlctl's own runner answers"},
	{"isGuarded", "payload.guard", "it stands in front of another server"},
	{"bringsModel", NULL, "another server gets its model from mlctl's image, at /models/NAME"},
	{"modelCreated", NULL, "when the model's file was last changed, by its commit; nothing when nobody knows"},
	{"user", NULL, "the user and group number that the container runs as"},
	{"port", "serve.port", "where the container answers"},
	{"serverPort", "payload.port", "where another server answers; the same without a guard"},
	{"serverPortName", NULL, "that port's name: http, or server behind a guard"},
	{"controlPort", NULL, "where it is steered; only of the runner, and of a guard"},
	{"controlSecret", NULL, "the Secret with the key for that"},
	{"metricsPort", NULL, "where the metrics are; only when it is a port of its own"},
	{"metricsPath", "payload.metrics", "and their path"},
	{"healthPath", "payload.health", "tells that it lives; only when there is one"},
	{"readyPath", "payload.ready", "tells that it is ready; only when there is one"},
	{"replicas", "scale.min", "of a canary 1; nothing when an autoscaler decides"},
	{"hasAutoscaler", NULL, "scale.max is above scale.min"},
	{"cpuPercent", "scale.cpu", "the load to aim at"},
	{"cpuRequest", "resources.cpu", "100m when nothing is set"},
	{"memoryRequest", "resources.memory", "or, when nothing is set, what build measured with room around it"},
	{"memoryLimit", "resources.memory", "the same; nothing when nobody set or measured it"},
	{"hasLimits", NULL, "there is a limit of either"},
	{"threads", "resources.cpu", "workers of the runner: as many as it may have processors, 4 when that has no limit"},
	{"startupSeconds", "probes.startup", "until it answers at latest"},
	{"progressSeconds", "probes.startup", "until a rollout has moved on at latest"},
	{"drainDelaySeconds", NULL, "how long a pod that ends still takes requests"},
	{"drainPatienceSeconds", NULL, "how much longer while requests still come; only of the runner"},
	{"serverDelaySeconds", NULL, "the same of another server, which outlives its guard's"},
	{"drainSeconds", "serve.timeout", "how long it finishes those that it has"},
	{"graceSeconds", "serve.timeout", "until it is killed"},
	{"serviceAccount", "serviceAccount.name", "NAME, or the one that is set"},
	{"configMap", "env", "NAME and a hash of the content; only with env"},
	{"spreadKey", "scheduling.spread", "the node label to spread by; nothing for none"},
	{"hasIngress", NULL, "expose.ingress is set"},
	{"hasRoute", NULL, "expose.route is set"},
};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

const char *kubernetes_input_setting(const char *name) {
	for (size_t i = 0; i < NAME_COUNT; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].setting;
	return NULL;
}

void objects_reference(struct buf *out) {
	buf_format(out, "  %-24s %s\n  %-24s %s\n", "service, environment", "their names", "scale.min, env, ...", "each setting as mlctl.yaml names it, defaults filled in");
	for (size_t i = 0; i < NAME_COUNT; i++)
		buf_format(out, "  this.%-19s %s%s%s%s\n", names[i].name, names[i].help, names[i].setting ? " (" : "", names[i].setting ? names[i].setting : "",
			names[i].setting ? ")" : "");
}

/* A value of `this` that a setting decides is told with the setting's place. */
static void derive(const struct maker *m, struct value *made, const char *name) {
	const char *setting = kubernetes_input_setting(name);
	const struct value *from = setting ? value_find(m->settings, setting) : NULL;
	made->at = from ? from->at : (struct place) {0};
	made->key_at = from ? from->key_at : (struct place) {0};
}

static void add_number(const struct maker *m, const char *name, int64_t number) {
	derive(m, value_add_int(m->document, m->self, name, number), name);
}

static void add_text(const struct maker *m, const char *name, const char *text) {
	derive(m, value_add_text(m->document, m->self, name, text), name);
}

/* "secret/key" becomes {name, key}. */
static void add_secrets(const struct maker *m, const struct value *secrets) {
	struct value *all = value_add_object(m->document, m->root, "secrets");
	value_each(secret, secrets) {
		struct str key, name = str_cut(secret->text, '/', &key);
		AUTO_FREE char *variable = str_dup(secret->key);
		struct value *one = value_add_object(m->document, all, variable);
		one->at = secret->at;
		one->key_at = secret->key_at;
		value_add_str(m->document, one, "name", name)->at = secret->at;
		value_add_str(m->document, one, "key", key)->at = secret->at;
	}
}

/* mlctl's word "any" is Kubernetes' absence. */
static void add_tolerations(const struct maker *m, struct value *scheduling, const struct value *tolerations) {
	struct value *all = value_add_array(m->document, scheduling, "tolerations");
	value_each(toleration, tolerations) {
		struct value *one = value_add_object(m->document, all, NULL);
		one->at = toleration->at;
		value_each(member, toleration) {
			AUTO_FREE char *key = str_dup(member->key);
			if (!(str_is(member->key, "effect") && str_is(member->text, "any")))
				value_add_copy(m->document, one, key, member);
		}
	}
}

static void add_scheduling(const struct maker *m, const struct value *scheduling) {
	struct value *made = value_add_object(m->document, m->root, "scheduling");
	value_each(member, scheduling) {
		AUTO_FREE char *key = str_dup(member->key);
		if (str_is(member->key, "tolerations"))
			add_tolerations(m, made, member);
		else
			value_add_copy(m->document, made, key, member);
	}
}

static void add_settings(const struct maker *m) {
	value_each(member, m->settings) {
		AUTO_FREE char *key = str_dup(member->key);
		if (str_is(member->key, "secrets"))
			add_secrets(m, member);
		else if (str_is(member->key, "scheduling"))
			add_scheduling(m, member);
		else
			value_add_copy(m->document, m->root, key, member);
	}
}

static bool has_object(const struct maker *m, const char *setting) {
	const struct value *found = value_find(m->settings, setting);
	return found && found->kind == VALUE_OBJECT;
}

static void add_labels(const struct maker *m, const struct target_context *context, const struct revision *revision) {
	const char *role = m->is_canary ? "canary" : "stable";
	struct value *labels = value_add_object(m->document, m->self, "labels");
	const struct {
		const char *key, *text;
	} ours[] = {{"app.kubernetes.io/name", context->service}, {"app.kubernetes.io/instance", context->env}, {"app.kubernetes.io/managed-by", "mlctl"},
		{OBJECTS_LABEL_SERVICE, context->service}, {OBJECTS_LABEL_ENV, context->env}};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		value_add_text(m->document, labels, ours[i].key, ours[i].text);
	value_each(label, value_get(m->settings, "labels")) {
		AUTO_FREE char *key = str_dup(label->key);
		value_add_copy(m->document, labels, key, label);
	}
	struct value *pods = value_add_copy(m->document, m->self, "podLabels", labels);
	value_add_text(m->document, pods, OBJECTS_LABEL_ROLE, role);
	value_add_text(m->document, pods, OBJECTS_LABEL_REVISION, revision->name);
	struct value *both = value_add_object(m->document, m->self, "bothSelector");
	value_add_text(m->document, both, OBJECTS_LABEL_SERVICE, context->service);
	struct value *one = value_add_copy(m->document, m->self, "selector", both);
	value_add_text(m->document, one, OBJECTS_LABEL_ROLE, role);
	value_add_copy(m->document, m->self, "serviceSelector", m->is_canary || m->out->has_split || has_object(m, "expose.route") ? one : both);
	m->out->labels = labels;
	m->out->pod_labels = pods;
}

/* A change of its content is another name, so that pods change with it and an undo finds the old one. */
static int add_config_map(const struct maker *m, const struct target_context *context, struct err *err) {
	const struct value *env = value_get(m->settings, "env");
	if (!env || !env->count)
		return 0;
	AUTO_FREE char *text = NULL;
	struct digest digest;
	if (json_write(env, JSON_CANONICAL, &text, err) != 0)
		return -1;
	digest_of(str_of(text), &digest);
	AUTO_FREE char *name = mem_format("%s-%.8s", context->service, digest_hex(&digest));
	add_text(m, "configMap", name);
	return 0;
}

static int add_resources(const struct maker *m, const struct value *facts, struct err *err) {
	struct str cpu = text_at(m, "resources.cpu"), memory = text_at(m, "resources.memory");
	int64_t peak = 0;
	char text[32] = "";
	if (facts && m->out->is_native && value_opt_int(facts, "test.peak_bytes", 0, &peak, err) != 0)
		return -1;
	AUTO_FREE char *cpu_request = cpu.len ? str_dup(cpu) : mem_text(CPU_REQUEST);
	if (memory.len)
		snprintf(text, sizeof(text), "%.*s", STR_ARGS(memory));
	else if (peak > 0)
		snprintf(text, sizeof(text), "%lldMi", (long long) (kubernetes_memory_for(peak) / MIB));
	add_text(m, "cpuRequest", cpu_request);
	add_text(m, "memoryRequest", *text ? text : m->out->is_native ? MEMORY_UNKNOWN : MEMORY_OTHER);
	if (*text)
		add_text(m, "memoryLimit", text);
	value_add_bool(m->document, m->self, "hasLimits", cpu.len || *text);
	int64_t millicores = THREADS_UNLIMITED * 1000;
	if (cpu.len && num_millicores(cpu, &millicores) != 0)
		millicores = THREADS_UNLIMITED * 1000;
	int64_t threads = (millicores + 999) / 1000;
	add_number(m, "threads", threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads);
	return 0;
}

static void add_times(const struct maker *m) {
	int64_t startup = seconds_at(m, "probes.startup", 60), timeout = seconds_at(m, "serve.timeout", 10);
	int64_t drain = DRAIN_DELAY_S + timeout + DRAIN_ROOM_S;
	add_number(m, "startupSeconds", startup);
	add_number(m, "progressSeconds", startup + 120 > PROGRESS_S_MIN ? startup + 120 : PROGRESS_S_MIN);
	add_number(m, "drainDelaySeconds", DRAIN_DELAY_S);
	add_number(m, "serverDelaySeconds", DRAIN_DELAY_S + (m->out->is_guarded ? GUARD_AHEAD_S : 0));
	add_number(m, "drainSeconds", drain);
	if (m->out->is_native)
		add_number(m, "drainPatienceSeconds", DRAIN_PATIENCE_S);
	add_number(m, "graceSeconds", drain + (m->out->is_native ? DRAIN_PATIENCE_S : 0) + GRACE_ROOM_S);
}

static void add_scale(const struct maker *m) {
	int64_t min = number_at(m, "scale.min", 1), max = number_at(m, "scale.max", min);
	double share = 0.7;
	struct kubernetes_input *out = m->out;
	out->replicas = min;
	out->has_autoscaler = max > min;
	if (m->is_canary)
		value_add_int(m->document, m->self, "replicas", 1);
	else if (!out->has_autoscaler)
		add_number(m, "replicas", min);
	if (num_share(text_at(m, "scale.cpu"), &share) != 0)
		share = 0.7;
	add_number(m, "cpuPercent", (int64_t) (share * 100 + 0.5));
	value_add_bool(m->document, m->self, "hasAutoscaler", out->has_autoscaler);
}

/* What is usual for a server; "" and 0: nothing is. Its documentation's words, and the users of its images. */
static const struct server {
	const char *kind;
	int64_t port, metrics_port;
	const char *health, *ready, *metrics;
	int64_t user;
	bool brings_model;
} servers[] = {
	{"native", 8080, 0, "/v2/health/live", "/v2/health/ready", "/metrics", 65532, false},
	{"triton", 8000, 8002, "/v2/health/live", "/v2/health/ready", "/metrics", 1000, true},
	{"tfserving", 8501, 0, "", "", "/monitoring/prometheus/metrics", 65532, true},
	{"fastapi", 8000, 0, "", "", "/metrics", 65532, false},
	{"flask", 5000, 0, "", "", "/metrics", 65532, false},
	{"http", 8080, 0, "", "", "/metrics", 65532, false},
};

static const struct server *find_server(struct str kind) {
	for (size_t i = 1; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (str_is(kind, servers[i].kind))
			return &servers[i];
	return &servers[0];
}

static void add_path(const struct maker *m, const char *name, struct str set, const char *usual) {
	AUTO_FREE char *path = str_dup(set.len ? set : str_of(usual));
	if (*path)
		add_text(m, name, path);
}

/* Ports of one pod differ. */
static int64_t next_free(int64_t port, int64_t taken, int64_t also) {
	while (port == taken || port == also)
		port++;
	return port;
}

static void add_server(const struct maker *m) {
	struct kubernetes_input *out = m->out;
	const struct server *server = find_server(text_at(m, "payload.kind"));
	struct str health = text_at(m, "payload.health"), ready = text_at(m, "payload.ready"), model = text_at(m, "model.name");
	AUTO_FREE char *model_path = mem_format("/v1/models/%.*s", STR_ARGS(model));
	const char *usual = str_is(text_at(m, "payload.kind"), "tfserving") ? model_path : server->ready;
	int64_t behind = number_at(m, "payload.port", server->port);
	out->port = out->is_native ? number_at(m, "serve.port", server->port) : !out->is_guarded ? behind : next_free(GUARD_PORT, behind, server->metrics_port);
	out->service_port = number_at(m, "expose.port", 80);
	add_number(m, "port", out->port);
	if (!out->is_native) {
		add_number(m, "serverPort", behind);
		add_text(m, "serverPortName", out->is_guarded ? "server" : "http");
	}
	if (out->has_split) {
		int64_t other = out->is_native ? 0 : behind;
		out->control_port = next_free(CONTROL_PORT, out->port, other);
		add_number(m, "controlPort", out->control_port);
	}
	if (server->metrics_port)
		add_number(m, "metricsPort", server->metrics_port);
	add_path(m, "healthPath", health, server->health);
	add_path(m, "readyPath", ready.len || !health.len ? ready : health, usual);
	add_path(m, "metricsPath", text_at(m, "payload.metrics"), server->metrics);
	add_number(m, "user", server->user);
}

static void add_names(const struct maker *m, const struct target_context *context, const struct revision *revision, struct str repository) {
	struct kubernetes_input *out = m->out;
	AUTO_FREE char *name = mem_format("%s%s", context->service, m->is_canary ? "-canary" : "");
	struct str account = text_at(m, "serviceAccount.name"), spread = text_at(m, "scheduling.spread");
	AUTO_FREE char *runner = mem_format("%.*s@%s", STR_ARGS(repository), revision->image.text);
	if (out->is_native)
		snprintf(out->image, sizeof(out->image), "%s", runner);
	else
		snprintf(out->image, sizeof(out->image), "%.*s", STR_ARGS(m->server_image));
	snprintf(out->control_secret, sizeof(out->control_secret), "%s-%s", context->service, revision->name);
	value_add_text(m->document, m->root, "service", context->service);
	value_add_text(m->document, m->root, "environment", context->env);
	add_text(m, "role", m->is_canary ? "canary" : "stable");
	value_add_bool(m->document, m->self, "isStable", !m->is_canary);
	value_add_bool(m->document, m->self, "isCanary", m->is_canary);
	value_add_bool(m->document, m->self, "isNative", out->is_native);
	add_text(m, "name", name);
	out->name = value_get(m->self, "name")->text.ptr;
	add_text(m, "revision", revision->name);
	add_text(m, "digest", revision->image.text);
	value_add_bool(m->document, m->self, "isGuarded", out->is_guarded);
	value_add_bool(m->document, m->self, "bringsModel", find_server(text_at(m, "payload.kind"))->brings_model);
	add_text(m, "image", out->image);
	add_text(m, "runnerImage", runner);
	add_text(m, "controlSecret", out->control_secret);
	AUTO_FREE char *account_name = str_dup(account.len ? account : str_of(context->service));
	add_text(m, "serviceAccount", account_name);
	if (str_is(spread, "host"))
		add_text(m, "spreadKey", "kubernetes.io/hostname");
	else if (str_is(spread, "zone"))
		add_text(m, "spreadKey", "topology.kubernetes.io/zone");
	value_add_bool(m->document, m->self, "hasIngress", has_object(m, "expose.ingress"));
	value_add_bool(m->document, m->self, "hasRoute", has_object(m, "expose.route"));
}

int kubernetes_input_make(const struct target_context *context, const struct revision *revision, const struct value *facts, bool is_canary,
	struct kubernetes_input *out, struct err *err) {
	*out = (struct kubernetes_input) {.document = document_new("input")};
	struct maker m = {.settings = context->settings, .document = out->document, .out = out, .is_canary = is_canary};
	struct str repository = text_at(&m, "image"), payload = text_at(&m, "payload.kind");
	if (!repository.len) {
		err_set(err, ERR_CONFIG, "image: missing, target kubernetes needs a registry that the cluster's nodes can pull from");
		return err_fix(err, "image: registry.example.com/team/%s", context->service);
	}
	const struct value *created = facts ? value_find(facts, "model.created") : NULL;
	out->is_native = !payload.len || str_is(payload, "native");
	const struct value *guard = value_find(m.settings, "payload.guard"), *pinned = facts ? value_find(facts, "payload.image") : NULL;
	out->is_guarded = !out->is_native && guard && guard->kind == VALUE_BOOL && guard->boolean;
	out->has_split = out->is_native || out->is_guarded;
	m.server_image = pinned && pinned->kind == VALUE_STRING ? pinned->text : text_at(&m, "payload.image");
	m.root = value_root_object(out->document);
	add_settings(&m);
	m.self = value_add_object(out->document, m.root, "this");
	add_names(&m, context, revision, repository);
	if (created && created->kind == VALUE_STRING && created->text.len)
		value_add_str(out->document, m.self, "modelCreated", created->text);
	add_labels(&m, context, revision);
	add_server(&m);
	add_scale(&m);
	add_times(&m);
	return add_resources(&m, facts, err) != 0 ? -1 : add_config_map(&m, context, err);
}

void kubernetes_input_clear(struct kubernetes_input *input) {
	document_free(input->document);
	*input = (struct kubernetes_input) {0};
}
