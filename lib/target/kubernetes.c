#include "target/kubernetes.h"

#include <stdio.h>

#define EVENTS_OF_MAX 24 /* objects */
#define EVENTS_EACH_MAX 50

static void warned(void *self, const char *text) {
	const struct target_context *context = self;
	if (context->warn)
		context->warn(context->warn_self, text);
}

static int kubernetes_open(void *state, const struct target_context *context, struct err *err) {
	struct kubernetes *k = state;
	struct str cluster = {0}, namespace_ = {0};
	*k = (struct kubernetes) {.context = *context};
	if (context->settings && (value_opt_str(context->settings, "context", STR(""), &cluster, err) != 0 ||
					 value_opt_str(context->settings, "namespace", STR(""), &namespace_, err) != 0))
		return -1;
	AUTO_FREE char *cluster_name = cluster.len ? str_dup(cluster) : NULL;
	AUTO_FREE char *namespace_name = namespace_.len ? str_dup(namespace_) : NULL;
	const struct kube_options options = {.http = context->http,
		.clock = context->clock,
		.env = context->environment,
		.redact = context->redact,
		.log = context->log,
		.context = cluster_name,
		.namespace_ = namespace_name,
		.warn = warned,
		.warn_self = &k->context};
	if (kube_open(&options, &k->kube, err) != 0)
		return -1;
	k->name = mem_text(context->service);
	k->canary = mem_format("%s-canary", context->service);
	k->head = mem_format("mlctl.%s", context->service);
	k->labels = mem_format(LABEL_SERVICE "=%s," LABEL_ENV "=%s", context->service, context->env);
	return 0;
}

static void kubernetes_close(void *state) {
	struct kubernetes *k = state;
	view_clear(&k->looked);
	mirror_close(k->pods);
	mirror_close(k->deployments);
	causes_close(k->causes);
	kube_close(k->kube);
	for (size_t i = 0; i < k->key_count; i++)
		secret_clear(&k->keys[i].key);
	for (size_t i = 0; i < PROBED_MAX; i++)
		sample_clear(&k->probed[i].sample);
	free(k->name);
	free(k->canary);
	free(k->head);
	free(k->labels);
	*k = (struct kubernetes) {0};
}

static int kubernetes_identity(void *state, char out[80], struct err *err) {
	struct kubernetes *k = state;
	if (cluster_identity(k, err) != 0)
		return -1;
	memcpy(out, k->cluster, sizeof(k->cluster));
	return 0;
}

static int kubernetes_render(void *state, const struct revision *revision, const struct value *facts, struct document *document, struct value **objects,
	struct err *err) {
	struct kubernetes *k = state;
	return objects_render(&k->context, revision, facts, document, objects, NULL, err);
}

/* ---- texts of objects ---- */

struct str object_text(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && found->kind == VALUE_STRING ? found->text : (struct str) {"", 0};
}

int64_t object_int(const struct value *object, const char *path, int64_t fallback) {
	const struct value *found = value_find(object, path);
	int64_t number;
	return found && found->kind == VALUE_NUMBER && num_int(found->text, INT64_MIN, INT64_MAX, &number) == 0 ? number : fallback;
}

static struct str member_text(const struct value *map, const char *name) {
	const struct value *found = value_get(map, name);
	return found && found->kind == VALUE_STRING ? found->text : (struct str) {"", 0};
}

struct str object_label(const struct value *object, const char *label) {
	return member_text(value_find(object, "metadata.labels"), label);
}

struct str object_annotation(const struct value *object, const char *annotation) {
	return member_text(value_find(object, "metadata.annotations"), annotation);
}

bool object_is_ours(const struct kubernetes *k, const struct value *object) {
	return str_is(object_label(object, LABEL_SERVICE), k->context.service) && str_is(object_label(object, LABEL_ENV), k->context.env);
}

bool deployment_is(const struct value *deployment, const struct revision *revision) {
	return deployment && str_is(object_label(deployment, LABEL_REVISION), revision->name);
}

int64_t deployment_replicas(const struct value *deployment) {
	return object_int(deployment, "spec.replicas", 1);
}

int64_t service_port(const struct value *service) {
	return object_int(value_at(value_find(service, "spec.ports"), 0), "port", 0);
}

/* https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment */
bool deployment_is_complete(const struct value *deployment) {
	int64_t wanted = deployment_replicas(deployment);
	return object_int(deployment, "status.observedGeneration", 0) >= object_int(deployment, "metadata.generation", 1) &&
		object_int(deployment, "status.updatedReplicas", 0) == wanted && object_int(deployment, "status.replicas", 0) == wanted &&
		object_int(deployment, "status.availableReplicas", 0) == wanted;
}

bool pod_is_leaving(const struct value *pod) {
	struct str phase = object_text(pod, "status.phase");
	return value_find(pod, "metadata.deletionTimestamp") || str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

bool pod_is_ready(const struct value *pod) {
	value_each(condition, value_find(pod, "status.conditions"))
		if (str_is(object_text(condition, "type"), "Ready"))
			return str_is(object_text(condition, "status"), "True");
	return false;
}

bool pod_is(const struct value *pod, const char *role, const char *revision) {
	return (!role || str_is(object_label(pod, LABEL_ROLE), role)) && (!revision || str_is(object_label(pod, LABEL_REVISION), revision));
}

void pod_ports(const struct value *pod, struct pod_port *out) {
	*out = (struct pod_port) {0};
	value_each(container, value_find(pod, "spec.containers")) {
		value_each(port, value_get(container, "ports")) {
			struct str name = object_text(port, "name");
			int number = (int) object_int(port, "containerPort", 0);
			if (str_is(name, "control") && number > 0 && number < 65536)
				out->control = number;
			if (str_is(name, "http") && number > 0 && number < 65536)
				out->http = number;
		}
		value_each(variable, value_get(container, "env")) {
			if (!str_is(object_text(variable, "name"), "MLCTL_ADMIN_KEY"))
				continue;
			out->key_secret = object_text(variable, "valueFrom.secretKeyRef.name");
			out->key_name = object_text(variable, "valueFrom.secretKeyRef.key");
		}
	}
}

/* ---- the control listener ---- */

int control_key(struct kubernetes *k, const struct pod_port *port, const struct secret **out, struct err *err) {
	*out = NULL;
	if (!port->key_secret.len || port->key_secret.len >= KUBE_NAME_MAX)
		return 0;
	for (size_t i = 0; i < k->key_count; i++)
		if (str_is(port->key_secret, k->keys[i].name)) {
			*out = &k->keys[i].key;
			return 0;
		}
	AUTO_DOCUMENT struct document *secret = NULL;
	AUTO_FREE char *name = str_dup(port->key_secret), *member = str_dup(port->key_name);
	if (kube_get(k->kube, "Secret", name, &secret, err) != 0)
		return err_wrap(err, "the key of the control listener");
	return control_take(k, name, member, secret->root, out, err);
}

int control_take(struct kubernetes *k, const char *name, const char *member, const struct value *object, const struct secret **out, struct err *err) {
	AUTO_BUF struct buf key = BUF(4096);
	if (k->key_count == CONTROL_KEYS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d revisions have control keys", CONTROL_KEYS_MAX);
	const struct value *data = value_get(value_get(object, "data"), member);
	if (!data || data->kind != VALUE_STRING || base64_decode(data->text, &key, err) != 0) {
		err_clear(err);
		return err_set(err, ERR_INVALID, "Secret %s: data.%s is missing or no base64", name, member);
	}
	struct secret *slot = &k->keys[k->key_count].key;
	secret_set(slot, buf_view(&key), k->context.redact);
	snprintf(k->keys[k->key_count++].name, KUBE_NAME_MAX, "%s", name);
	*out = slot;
	return 0;
}

void control_forget(struct kubernetes *k, struct str secret) {
	for (size_t i = 0; i < k->key_count; i++)
		if (str_is(secret, k->keys[i].name)) {
			size_t last = --k->key_count;
			secret_clear(&k->keys[i].key);
			if (i != last)
				k->keys[i] = k->keys[last];
			memset(&k->keys[last], 0, sizeof(k->keys[last])); /* its text has moved: who takes the place must not free it */
			return;
		}
}

int control_all(struct kubernetes *k, const struct value *const *pods, size_t count, const char *method, const char *path, const char *body,
	struct http_answer *answers, struct err *errs, struct err *err) {
	AUTO_FREE struct kube_proxy *proxies = mem_zero(count ? count : 1, sizeof(*proxies));
	AUTO_FREE struct http_answer *got = mem_zero(count ? count : 1, sizeof(*got));
	AUTO_FREE struct err *failed = mem_zero(count ? count : 1, sizeof(*failed));
	AUTO_FREE size_t *of = mem_zero(count ? count : 1, sizeof(*of)); /* which pod a request is for: one whose key is gone can't be asked */
	AUTO_TEXTS struct texts names = {0};
	size_t asked = 0;
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *name = str_dup(object_text(pods[i], "metadata.name"));
		texts_add(&names, name);
	}
	for (size_t i = 0; i < count; i++) {
		struct pod_port port;
		pod_ports(pods[i], &port);
		struct kube_proxy *proxy = &proxies[asked];
		*proxy = (struct kube_proxy) {.kind = "Pod",
			.name = names.items[i],
			.port = port.control,
			.method = method,
			.path = path,
			.body = body,
			.timeout_ms = CONTROL_TIMEOUT_MS};
		if (control_key(k, &port, &proxy->key, &errs[i]) == 0)
			of[asked++] = i;
		else if (errs[i].code == ERR_NOT_FOUND || errs[i].code == ERR_INVALID)
			errs[i].code = ERR_INVALID; /* the key is not there or is none; the pod is */
		else
			return *err = errs[i], -1;
	}
	int rc = asked ? kube_proxy_all(k->kube, proxies, asked, got, failed, err) : 0;
	for (size_t n = 0; n < asked; n++) {
		size_t i = of[n];
		struct pod_port port;
		pod_ports(pods[i], &port);
		answers[i] = got[n];
		errs[i] = failed[n];
		if (rc == 0 && !errs[i].code && answers[i].status == 401) /* somebody made a new one: it is read again the next time */
			control_forget(k, port.key_secret);
	}
	return rc;
}

/* ---- what a person or the engine asks of it ---- */

static int not_deployed(const struct kubernetes *k, struct err *err) {
	err_set(err, ERR_NOT_FOUND, "%s: nothing is deployed to %s (namespace %s)", k->context.service, k->context.env, kube_namespace(k->kube));
	return err_fix(err, "mlctl deploy --env %s", k->context.env);
}

/* What went wrong before anything was asked of the pods. */
static int of_the_way(struct err *err) {
	if (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT)
		err->code = ERR_UNCLEAR;
	return -1;
}

static int front_port(struct kubernetes *k, struct err *err) {
	AUTO_DOCUMENT struct document *service = NULL;
	if (k->service_port)
		return 0;
	if (kube_get(k->kube, "Service", k->name, &service, err) != 0)
		return err->code == ERR_NOT_FOUND ? (err_clear(err), not_deployed(k, err)) : of_the_way(err);
	k->service_port = (int) service_port(service->root);
	return k->service_port ? 0 : err_set(err, ERR_NOT_FOUND, "Service %s has no port", k->name);
}

/* The service's endpoints may lag behind: an answer of a revision that NAME has no more speaks for the past. */
static int check_answerer(struct kubernetes *k, const struct http_answer *answer, struct err *err) {
	struct str name = http_header_of(answer, "mlctl-revision");
	if (!name.len)
		return 0; /* not the native runner, or it refused before it knew */
	AUTO_DOCUMENT struct document *main = NULL;
	if (kube_get(k->kube, "Deployment", k->name, &main, err) != 0)
		return of_the_way(err);
	if (str_equal(name, object_label(main->root, LABEL_REVISION)))
		return 0;
	AUTO_DOCUMENT struct document *canary = NULL;
	struct err none = {0};
	if (kube_get(k->kube, "Deployment", k->canary, &canary, &none) == 0 && str_equal(name, object_label(canary->root, LABEL_REVISION)))
		return 0;
	return err_set(err, ERR_UNCLEAR, "a replica of %.*s answered, which is on its way out", STR_ARGS(name));
}

static int call_front(struct kubernetes *k, const struct target_request *request, struct http_answer *answer, struct err *err) {
	if (front_port(k, err) != 0)
		return -1;
	const struct kube_proxy proxy = {.kind = "Service",
		.name = k->name,
		.port = k->service_port,
		.method = request->method,
		.path = request->path,
		.body = request->body,
		.timeout_ms = request->timeout_ms};
	return kube_proxy(k->kube, &proxy, answer, err) != 0 ? -1 : check_answerer(k, answer, err);
}

static int call_pod(struct kubernetes *k, const struct revision *revision, const struct target_request *request, struct http_answer *answer,
	struct err *err) {
	AUTO_VIEW struct view view = {0};
	const struct value *ready[PODS_MAX];
	size_t count = 0;
	if ((k->pods ? view_mirrored(k, &view, err) : view_ask(k, &view, err)) != 0)
		return of_the_way(err);
	for (size_t i = 0; i < view.pod_count; i++)
		if (pod_is(view.pods[i], NULL, revision->name) && !pod_is_leaving(view.pods[i]) && pod_is_ready(view.pods[i]))
			ready[count++] = view.pods[i];
	if (!count)
		return err_set(err, ERR_NOT_FOUND, "no pod of %s is ready", revision->name);
	const struct value *pod = ready[k->next_pod++ % count];
	struct pod_port port;
	pod_ports(pod, &port);
	AUTO_FREE char *name = str_dup(object_text(pod, "metadata.name"));
	const struct kube_proxy proxy = {.kind = "Pod",
		.name = name,
		.port = port.http,
		.method = request->method,
		.path = request->path,
		.body = request->body,
		.is_hop = true,
		.timeout_ms = request->timeout_ms};
	if (kube_proxy(k->kube, &proxy, answer, err) != 0)
		return -1;
	if (!port.control)
		probe_note(k, pod, answer->status, answer->ms * 1000);
	return 0;
}

static int kubernetes_call(void *state, const struct revision *revision, const struct target_request *request, struct target_answer *out,
	struct err *err) {
	struct kubernetes *k = state;
	struct http_answer answer = {0};
	int rc = revision ? call_pod(k, revision, request, &answer, err) : call_front(k, request, &answer, err);
	if (rc == 0)
		*out = (struct target_answer) {.status = answer.status, .body = take(&answer.body), .body_len = answer.body_len, .us = answer.ms * 1000};
	http_answer_clear(&answer);
	return rc;
}

/* How far a pod's log was read. Each has its own end: one of all would skip lines that come while another is read. */
static struct log_end *log_end(struct kubernetes *k, struct str uid) {
	for (size_t i = 0; i < k->log_end_count; i++)
		if (str_is(uid, k->log_ends[i].uid))
			return &k->log_ends[i];
	if (k->log_end_count == PODS_MAX) /* who came first is long gone */
		memmove(k->log_ends, k->log_ends + 1, --k->log_end_count * sizeof(k->log_ends[0]));
	struct log_end *end = &k->log_ends[k->log_end_count++];
	*end = (struct log_end) {0};
	snprintf(end->uid, sizeof(end->uid), "%.*s", STR_ARGS(uid));
	return end;
}

/* "POD: line" of each line that is newer than `newest`, which is moved (the kubelet's stamps are of one length, and compare as texts do). */
static void add_lines(struct str text, const char *pod, char newest[64], struct texts *out) {
	struct str rest = text;
	while (rest.len) {
		struct str words, line = str_cut(rest, '\n', &rest), stamp = str_cut(line, ' ', &words);
		if (!words.ptr || stamp.len >= 63)
			continue;
		if (strncmp(stamp.ptr, newest, stamp.len) <= 0)
			continue;
		snprintf(newest, 64, "%.*s", STR_ARGS(stamp));
		AUTO_FREE char *full = mem_format("%s: %.*s", pod, STR_ARGS(words));
		texts_add(out, full);
	}
}

/* Others may have put their own beside ours (a mesh's proxy), and then a log must be asked for by name. */
static struct str own_container(const struct value *pod) {
	const struct value *containers = value_find(pod, "spec.containers");
	value_each(container, containers)
		if (str_is(object_text(container, "name"), "runner"))
			return STR("runner");
	return object_text(value_at(containers, 0), "name");
}

static int kubernetes_logs(void *state, const struct revision *revision, int lines, struct texts *out, char cursor[64], struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	bool is_following = cursor && cursor[0]; /* what it says is of no use: the ends are kept here */
	if (!is_following)
		k->log_end_count = 0;
	if (view_ask(k, &view, err) != 0)
		return -1;
	for (size_t i = 0; i < view.pod_count; i++) {
		AUTO_FREE char *text = NULL;
		AUTO_FREE char *name = str_dup(object_text(view.pods[i], "metadata.name"));
		if (!pod_is(view.pods[i], NULL, revision ? revision->name : NULL))
			continue;
		struct log_end *end = log_end(k, object_text(view.pods[i], "metadata.uid"));
		AUTO_FREE char *container = str_dup(own_container(view.pods[i]));
		struct kube_logs logs = {.pod = name, .container = container[0] ? container : NULL, .has_timestamps = true, .bytes_max = 1024 * 1024};
		logs.since_time = is_following && end->newest[0] ? end->newest : NULL;
		logs.lines = is_following ? 0 : lines; /* a pod that came since is read from its beginning */
		struct err one = {0};
		if (kube_logs(k->kube, &logs, &text, &one) == 0)
			add_lines(str_of(text), name, end->newest, out);
		else
			log_debug(k->context.log, "logs of %s: %s", name, one.message); /* a pod that has not begun, or is gone already */
	}
	if (cursor)
		snprintf(cursor, 64, "following");
	return 0;
}

static void add_object(struct texts *fields, struct str kind, struct str name) {
	AUTO_FREE char *field = mem_format("involvedObject.kind=%.*s,involvedObject.name=%.*s", STR_ARGS(kind), STR_ARGS(name));
	if (fields->count < EVENTS_OF_MAX)
		texts_add(fields, field);
}

static void add_events(const struct value *events, struct texts *out) {
	value_each(event, events) {
		struct str name = object_text(event, "involvedObject.name"), stamp = object_text(event, "lastTimestamp");
		if (!stamp.len)
			stamp = object_text(event, "eventTime");
		struct str reason = object_text(event, "reason"), message = object_text(event, "message"), kind = object_text(event, "involvedObject.kind");
		AUTO_FREE char *text = mem_format("%.*s %.*s/%.*s %.*s %lldx: %.*s", STR_ARGS(stamp), STR_ARGS(kind), STR_ARGS(name), STR_ARGS(reason),
			(long long) object_int(event, "count", 1), (int) (message.len > 500 ? 500 : message.len), message.ptr);
		texts_add(out, text);
	}
}

/* Of our own objects alone, by name: a namespace may hold tens of thousands, and a neighbour's name may begin with ours. */
static int kubernetes_events(void *state, struct texts *out, struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	AUTO_DOCUMENT struct document *sets = NULL;
	AUTO_TEXTS struct texts fields = {0};
	struct kube_ask asks[EVENTS_OF_MAX];
	if (view_ask(k, &view, err) != 0 || kube_list(k->kube, &(struct kube_selection) {.kind = "ReplicaSet", .labels = k->labels}, &sets, err) != 0)
		return -1;
	add_object(&fields, STR("Deployment"), str_of(k->name));
	add_object(&fields, STR("Deployment"), str_of(k->canary));
	value_each(set, value_get(sets->root, "items"))
		if (object_int(set, "spec.replicas", 0) > 0) /* the others are history */
			add_object(&fields, STR("ReplicaSet"), object_text(set, "metadata.name"));
	for (size_t i = 0; i < view.pod_count; i++)
		if (!pod_is_ready(view.pods[i])) /* who has something to tell comes first */
			add_object(&fields, STR("Pod"), object_text(view.pods[i], "metadata.name"));
	for (size_t i = 0; i < view.pod_count; i++)
		if (pod_is_ready(view.pods[i]))
			add_object(&fields, STR("Pod"), object_text(view.pods[i], "metadata.name"));
	for (size_t i = 0; i < fields.count; i++)
		asks[i] = (struct kube_ask) {.selection = {.kind = "Event", .fields = fields.items[i], .count_max = EVENTS_EACH_MAX}};
	if (kube_ask_all(k->kube, asks, fields.count, err) != 0)
		return -1;
	for (size_t i = 0; i < fields.count; i++) {
		add_events(asks[i].answer ? value_get(asks[i].answer->root, "items") : NULL, out);
		document_free(asks[i].answer);
	}
	return 0;
}

/* The most public way in: an Ingress' or a route's host, a load balancer's address, a node's port, else the name inside the cluster. */
static void address_of(const struct kubernetes *k, const struct value *service, const struct value *ingress, const struct value *route, char out[256]) {
	const struct value *rule = value_at(value_find(ingress, "spec.rules"), 0), *routed = value_at(value_find(route, "spec.hostnames"), 0);
	const struct value *balancer = value_at(value_find(service, "status.loadBalancer.ingress"), 0);
	const struct value *port = value_at(value_find(service, "spec.ports"), 0);
	struct str host = object_text(balancer, "hostname").len ? object_text(balancer, "hostname") : object_text(balancer, "ip");
	long long number = (long long) object_int(port, "port", 80);
	if (object_text(rule, "host").len) {
		struct str path = object_text(value_at(value_find(rule, "http.paths"), 0), "path");
		snprintf(out, 256, "http%s://%.*s%.*s", value_find(ingress, "spec.tls") ? "s" : "", STR_ARGS(object_text(rule, "host")),
			STR_ARGS(path));
	} else if (routed && routed->kind == VALUE_STRING) {
		snprintf(out, 256, "http://%.*s", STR_ARGS(routed->text)); /* TLS is its gateway's to know */
	} else if (host.len) {
		snprintf(out, 256, "http://%.*s:%lld", STR_ARGS(host), number);
	} else if (object_int(port, "nodePort", 0)) {
		snprintf(out, 256, "http://NODE:%lld", (long long) object_int(port, "nodePort", 0));
	} else {
		snprintf(out, 256, "http://%s.%s.svc:%lld", k->name, kube_namespace(k->kube), number);
	}
}

void address_note(struct kubernetes *k, const struct kube_ask *asks, size_t count) {
	const struct value *fronts[] = {NULL, NULL, NULL};
	static const char *const kinds[] = {"Service", "Ingress", "HTTPRoute"};
	for (size_t i = 0; i < count; i++)
		for (int f = 0; f < 3; f++)
			if (asks[i].answer && strcmp(asks[i].selection.kind, kinds[f]) == 0 && strcmp(asks[i].name, k->name) == 0)
				fronts[f] = asks[i].answer->root;
	k->address[0] = '\0';
	k->address_ms = clock_mono_ms(k->context.clock);
	if (fronts[0])
		address_of(k, fronts[0], fronts[1], fronts[2], k->address);
}

static int kubernetes_address(void *state, char out[256], struct err *err) {
	struct kubernetes *k = state;
	struct kube_ask asks[] = {{.selection = {.kind = "Service"}, .name = k->name}, {.selection = {.kind = "Ingress"}, .name = k->name},
		{.selection = {.kind = "HTTPRoute"}, .name = k->name}};
	if (!k->address[0] || !is_of_moment(k, k->address_ms)) {
		if (kube_ask_all(k->kube, asks, 3, err) != 0)
			return -1;
		address_note(k, asks, 3);
		for (int i = 0; i < 3; i++)
			document_free(asks[i].answer);
	}
	snprintf(out, 256, "%s", k->address);
	if (out[0])
		return 0;
	*err = asks[0].err;
	return err->code == ERR_NOT_FOUND ? (err_clear(err), not_deployed(k, err)) : -1;
}

const struct target target_kubernetes = {
	.name = "kubernetes",
	.caps = TARGET_SPLIT | TARGET_HOT | TARGET_ROLLING,
	.state_size = sizeof(struct kubernetes),
	.open = kubernetes_open,
	.close = kubernetes_close,
	.identity = kubernetes_identity,
	.check = kubernetes_check,
	.render = kubernetes_render,
	.diff = kubernetes_diff,
	.drift = kubernetes_drift,
	.inspect = kubernetes_inspect,
	.observe = kubernetes_observe,
	.stage = kubernetes_stage,
	.poll = kubernetes_poll,
	.route = kubernetes_route,
	.retire = kubernetes_retire,
	.destroy = kubernetes_destroy,
	.head_get = kubernetes_head_get,
	.head_put = kubernetes_head_put,
	.keep_put = kubernetes_keep_put,
	.keep_get = kubernetes_keep_get,
	.sample = kubernetes_sample,
	.call = kubernetes_call,
	.logs = kubernetes_logs,
	.events = kubernetes_events,
	.address = kubernetes_address,
};
