#include "kube/schema_check.h"

#define ANNOTATION_BYTES_MAX (256 * 1024)
#define DATA_BYTES_MAX (1024 * 1024)

/* Names inside one pod: lists longer than this are not compared with each other. */
#define LIST_MAX 1000

static bool is_root(const struct schema_check *check, const char *path) {
	return strcmp(check->path, path) == 0;
}

static const struct value *list_of(const struct value *object, const char *key) {
	const struct value *list = value_get(object, key);
	return list && list->kind == VALUE_ARRAY && list->count <= LIST_MAX ? list : NULL;
}

static const struct value *find_named(const struct value *list, struct str name) {
	value_each(item, list) {
		struct str its = schema_text(item, "name");
		if (its.ptr && str_equal(its, name))
			return item;
	}
	return NULL;
}

static bool is_true(const struct value *object, const char *key) {
	const struct value *value = value_get(object, key);
	return value && value->kind == VALUE_BOOL && value->boolean;
}

/* Exactly one of the named members: how many are there, and the last of them. */
static size_t count_members(const struct value *object, const char *const *names, const struct value **last) {
	size_t count = 0;
	for (; *names; names++) {
		const struct value *value = schema_get(object, *names);
		count += value != NULL;
		if (value)
			*last = value;
	}
	return count;
}

static void need_one(struct schema_check *check, const struct value *object, const char *const *names, const char *words) {
	const struct value *last = object;
	size_t count = count_members(object, names, &last);
	if (count == 0)
		schema_refuse(check, object, NULL, words, "names nothing");
	else if (count > 1)
		schema_refuse(check, last, NULL, words, "names %zu of them, and one is allowed", count);
}

void schema_rule_metadata(struct schema_check *check, const struct value *object) {
	const struct value *annotations = value_get(object, "annotations");
	size_t bytes = 0;
	value_each(annotation, annotations) bytes += annotation->key.len + (annotation->kind == VALUE_STRING ? annotation->text.len : 0);
	if (bytes > ANNOTATION_BYTES_MAX)
		schema_refuse(check, annotations, "annotations", NULL, "holds %zu bytes, at most %d", bytes, ANNOTATION_BYTES_MAX);
	if (!is_root(check, "metadata"))
		return;
	const struct value *name = schema_get(object, "name");
	if (!name && !schema_text(object, "generateName").len)
		schema_refuse(check, object, "name", NULL, "is missing");
	if (!name || name->kind != VALUE_STRING || !check->kind)
		return;
	char shown[SCHEMA_SHOWN_MAX];
	const char *wrong = schema_format_wrong((enum schema_format) check->kind->name_format, name->text, check->minor);
	if (wrong)
		schema_refuse(check, name, "name", wrong, "%s does not fit", schema_shown(check, name, shown));
	const struct value *namespace_ = schema_get(object, "namespace");
	if (namespace_ && check->kind->is_cluster_wide)
		schema_refuse(check, namespace_, "namespace", "leave it out", "does not belong here: the kind has no namespace");
	/* The names and labels of what they make are made from theirs. */
	struct str kind = schema_text(check->root, "kind");
	size_t most = str_is(kind, "CronJob") ? 52 : str_is(kind, "Job") ? 63 : SIZE_MAX;
	if (name->text.len > most)
		schema_refuse(check, name, "name", NULL, "is longer than %zu characters", most);
}

void schema_rule_label_requirement(struct schema_check *check, const struct value *object) {
	struct str word = schema_text(object, "operator");
	const struct value *values = schema_get(object, "values");
	size_t count = values ? values->count : 0;
	if ((str_is(word, "In") || str_is(word, "NotIn")) && !count)
		schema_refuse(check, values ? values : object, "values", NULL, "is needed for the operator %.*s", STR_ARGS(word));
	if ((str_is(word, "Gt") || str_is(word, "Lt")) && count != 1)
		schema_refuse(check, values ? values : object, "values", "one number in quotes", "holds %zu, and one is needed", count);
	if ((str_is(word, "Exists") || str_is(word, "DoesNotExist")) && count)
		schema_refuse(check, values, "values", "leave it out", "has no meaning for the operator %.*s", STR_ARGS(word));
}

void schema_rule_spread(struct schema_check *check, const struct value *object) {
	const struct value *keys = schema_get(object, "matchLabelKeys"), *domains = schema_get(object, "minDomains");
	if (keys && keys->count && !schema_get(object, "labelSelector"))
		schema_refuse(check, keys, "matchLabelKeys", NULL, "needs a labelSelector");
	if (domains && !str_is(schema_text(object, "whenUnsatisfiable"), "DoNotSchedule"))
		schema_refuse(check, domains, "minDomains", NULL, "is only for whenUnsatisfiable: DoNotSchedule");
}

static bool does_requirement_hold(const struct value *requirement, const struct value *labels) {
	struct str word = schema_text(requirement, "operator"), key = schema_text(requirement, "key");
	const struct value *label = NULL;
	value_each(candidate, labels) if (key.ptr && str_equal(candidate->key, key)) label = candidate;
	bool is_among = false;
	if (str_is(word, "In") && !value_get(requirement, "values"))
		return true; /* told already */
	value_each(value, value_get(requirement, "values")) is_among |=
		label && label->kind == VALUE_STRING && value->kind == VALUE_STRING && str_equal(value->text, label->text);
	return str_is(word, "In")	      ? is_among
	       : str_is(word, "NotIn")	      ? !is_among
	       : str_is(word, "Exists")	      ? label != NULL
	       : str_is(word, "DoesNotExist") ? label == NULL
					      : true;
}

/* A workload's selector against its template's labels. */
static void check_selector(struct schema_check *check, const struct value *spec) {
	const struct value *selector = schema_get(spec, "selector"), *labels = value_find(spec, "template.metadata.labels");
	const struct value *wanted = schema_get(selector, "matchLabels"), *others = schema_get(selector, "matchExpressions");
	if (!selector || selector->kind != VALUE_OBJECT || !schema_get(spec, "template"))
		return;
	if (!(wanted && wanted->count) && !(others && others->count)) {
		schema_refuse(check, selector, "selector", "matchLabels: with a label of the template", "selects nothing");
		return;
	}
	value_each(label, wanted) {
		const struct value *other = NULL;
		value_each(candidate, labels) if (str_equal(candidate->key, label->key)) other = candidate;
		if (label->kind != VALUE_STRING || (other && other->kind == VALUE_STRING && str_equal(other->text, label->text)))
			continue;
		size_t path_len = schema_push(check, STR("selector"));
		schema_push(check, STR("matchLabels"));
		schema_push(check, label->key);
		char shown[SCHEMA_SHOWN_MAX], theirs[SCHEMA_SHOWN_MAX];
		if (other)
			schema_refuse(check, label, NULL, "the same label in template.metadata.labels",
				"%s is not what the template's label says: %s", schema_shown(check, label, shown),
				schema_shown(check, other, theirs));
		else
			schema_refuse(check, label, NULL, "the same label in template.metadata.labels", "the template has no such label");
		schema_pop(check, path_len);
	}
	size_t index = 0;
	value_each(requirement, others) {
		size_t path_len = schema_push(check, STR("selector"));
		schema_push(check, STR("matchExpressions"));
		schema_push_index(check, index++);
		if (!does_requirement_hold(requirement, labels))
			schema_refuse(check, requirement, NULL, NULL, "the template's labels do not meet this");
		schema_pop(check, path_len);
	}
}

void schema_rule_workload_spec(struct schema_check *check, const struct value *object) {
	check_selector(check, object);
	struct str restart = schema_text(value_find(object, "template.spec"), "restartPolicy");
	if (restart.len && !str_is(restart, "Always"))
		schema_refuse(check, value_find(object, "template.spec.restartPolicy"), "template.spec.restartPolicy",
			"Always, or leave it out", "\"%.*s\" is for Jobs", STR_ARGS(restart));
}

void schema_rule_deployment_spec(struct schema_check *check, const struct value *object) {
	schema_rule_workload_spec(check, object);
	int64_t deadline = 600, ready = 0;
	const struct value *value = schema_get(object, "progressDeadlineSeconds"), *least = schema_get(object, "minReadySeconds");
	if ((value && !schema_int(value, &deadline)) || (least && !schema_int(least, &ready)) || deadline > ready)
		return;
	schema_refuse(check, value ? value : least, "progressDeadlineSeconds", NULL, "%lld is not more than minReadySeconds, %lld",
		(long long) deadline, (long long) ready);
}

void schema_rule_deployment_strategy(struct schema_check *check, const struct value *object) {
	const struct value *rolling = schema_get(object, "rollingUpdate");
	if (rolling && str_is(schema_text(object, "type"), "Recreate"))
		schema_refuse(
			check, rolling, "rollingUpdate", "leave it out, or type: RollingUpdate", "has no meaning for the type Recreate");
	int64_t surge = 1, unavailable = 1;
	bool is_share;
	const struct value *at = schema_get(rolling, "maxUnavailable");
	if (at && schema_share_of(at, &unavailable, &is_share) == 0 && unavailable == 0 &&
		schema_share_of(schema_get(rolling, "maxSurge"), &surge, &is_share) == 0 && surge == 0)
		schema_refuse(check, at, "rollingUpdate.maxUnavailable", "1 for either of them",
			"and maxSurge are both 0: nothing could ever be replaced");
}

void schema_rule_job_spec(struct schema_check *check, const struct value *object) {
	const struct value *pod = value_find(object, "template.spec"), *restart = schema_get(pod, "restartPolicy");
	if (!pod || pod->kind != VALUE_OBJECT || (restart && restart->kind != VALUE_STRING))
		return;
	if (!restart || str_is(restart->text, "Always"))
		schema_refuse(check, restart ? restart : pod, "template.spec.restartPolicy", "Never or OnFailure",
			restart ? "Always is not for Jobs" : "is missing");
}

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};

static void check_mounts(struct schema_check *check, const struct value *container, const struct value *volumes) {
	size_t index = 0;
	value_each(mount, list_of(container, "volumeMounts")) {
		size_t path_len = schema_push(check, STR("volumeMounts"));
		schema_push_index(check, index++);
		struct str name = schema_text(mount, "name");
		if (name.len && !find_named(volumes, name)) {
			AUTO_BUF struct buf known = BUF(250);
			value_each(volume, volumes) if (known.len < 180) buf_format(
				&known, "%s%.*s", known.len ? ", " : "one of spec.volumes: ", STR_ARGS(schema_text(volume, "name")));
			schema_refuse(check, value_get(mount, "name"), "name",
				known.len ? known.ptr : "a volume of that name in spec.volumes", "there is no volume \"%.*s\"",
				STR_ARGS(name));
		}
		schema_pop(check, path_len);
	}
}

static void check_port_names(struct schema_check *check, const struct value *container) {
	size_t index = 0;
	const struct value *ports = list_of(container, "ports");
	value_each(port, ports) {
		struct str name = schema_text(port, "name");
		for (const struct value *other = ports->first; other != port && name.len; other = other->next)
			if (str_equal(schema_text(other, "name"), name)) {
				size_t path_len = schema_push(check, STR("ports"));
				schema_push_index(check, index);
				schema_refuse(check, value_get(port, "name"), "name", NULL, "\"%.*s\" is there twice", STR_ARGS(name));
				schema_pop(check, path_len);
				break;
			}
		index++;
	}
}

/* The server takes a probe of a port that has no such name, and the pod never becomes ready. */
static void check_probe_port(struct schema_check *check, const struct value *container, const char *probe, const char *action) {
	const struct value *port = schema_get(schema_get(schema_get(container, probe), action), "port");
	int64_t number;
	if (!port || port->kind != VALUE_STRING || !port->text.len || num_int(port->text, 0, INT64_MAX, &number) == 0 ||
		find_named(list_of(container, "ports"), port->text))
		return;
	size_t path_len = schema_push(check, str_of(probe));
	schema_push(check, str_of(action));
	schema_refuse(check, port, "port", "the name of one of the container's ports, or a number",
		"the container has no port named \"%.*s\"", STR_ARGS(port->text));
	schema_pop(check, path_len);
}

static void check_container(struct schema_check *check, const struct value *spec, const struct value *container, int64_t grace) {
	static const char *const probes[] = {"startupProbe", "readinessProbe", "livenessProbe"};
	check_mounts(check, container, list_of(spec, "volumes"));
	check_port_names(check, container);
	for (size_t i = 0; i < 3; i++) {
		check_probe_port(check, container, probes[i], "httpGet");
		check_probe_port(check, container, probes[i], "tcpSocket");
	}
	const struct value *sleep = value_find(container, "lifecycle.preStop.sleep.seconds");
	int64_t seconds;
	if (schema_int(sleep, &seconds) && seconds > grace)
		schema_refuse(check, sleep, "lifecycle.preStop.sleep.seconds", NULL,
			"%lld is longer than terminationGracePeriodSeconds, %lld", (long long) seconds, (long long) grace);
}

static bool is_name_earlier(const struct value *spec, size_t list, const struct value *container) {
	struct str name = schema_text(container, "name");
	for (size_t i = 0; i < list; i++)
		if (name.len && find_named(list_of(spec, container_lists[i]), name))
			return true;
	return false;
}

void schema_rule_pod_spec(struct schema_check *check, const struct value *object) {
	int64_t grace = 30;
	schema_int(schema_get(object, "terminationGracePeriodSeconds"), &grace);
	for (size_t i = 0; i < 3; i++) {
		size_t index = 0;
		value_each(container, list_of(object, container_lists[i])) {
			size_t path_len = schema_push(check, str_of(container_lists[i]));
			schema_push_index(check, index++);
			check_container(check, object, container, grace);
			if (is_name_earlier(object, i, container))
				schema_refuse(check, value_get(container, "name"), "name", NULL,
					"\"%.*s\" is the name of another container too", STR_ARGS(schema_text(container, "name")));
			schema_pop(check, path_len);
		}
	}
	const struct value *servers = value_find(object, "dnsConfig.nameservers");
	if (str_is(schema_text(object, "dnsPolicy"), "None") && !(servers && servers->count))
		schema_refuse(check, object, "dnsConfig.nameservers", NULL, "is needed when dnsPolicy is None");
	if (is_true(object, "hostPID") && is_true(object, "shareProcessNamespace"))
		schema_refuse(
			check, value_get(object, "shareProcessNamespace"), "shareProcessNamespace", NULL, "and hostPID exclude each other");
}

void schema_rule_container(struct schema_check *check, const struct value *object) {
	const struct value *least = value_find(object, "readinessProbe.terminationGracePeriodSeconds");
	if (least && least->kind != VALUE_NULL)
		schema_refuse(check, least, "readinessProbe.terminationGracePeriodSeconds", "leave it out", "is not for readiness probes");
	static const char *const once[] = {"livenessProbe", "startupProbe"};
	for (size_t i = 0; i < 2; i++) {
		int64_t threshold;
		const struct value *value = schema_get(schema_get(object, once[i]), "successThreshold");
		if (!schema_int(value, &threshold) || threshold <= 1)
			continue;
		size_t path_len = schema_push(check, str_of(once[i]));
		schema_refuse(
			check, value, "successThreshold", "1, or leave it out", "%lld is for readiness probes only", (long long) threshold);
		schema_pop(check, path_len);
	}
}

void schema_rule_env_var(struct schema_check *check, const struct value *object) {
	const struct value *value = schema_get(object, "value"), *from = schema_get(object, "valueFrom");
	if (value && from && value->kind == VALUE_STRING && value->text.len)
		schema_refuse(check, from, "valueFrom", "one of them", "and value are both there");
}

void schema_rule_env_source(struct schema_check *check, const struct value *object) {
	static const char *const names[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef", NULL};
	const struct value *last = NULL;
	if (!object->count || count_members(object, names, &last)) /* else what is there is no source, and told already */
		need_one(check, object, names, "one of fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef");
}

void schema_rule_env_from(struct schema_check *check, const struct value *object) {
	static const char *const names[] = {"configMapRef", "secretRef", NULL};
	need_one(check, object, names, "one of configMapRef, secretRef");
}

void schema_rule_volume(struct schema_check *check, const struct value *object) {
	size_t count = 0;
	const struct value *last = object;
	value_each(member, object) if (!str_is(member->key, "name") && member->kind == VALUE_OBJECT) {
		count++;
		last = member;
	}
	if (count == 0)
		schema_refuse(
			check, object, NULL, "emptyDir: {}, configMap: {name: ...}, secret: {secretName: ...} or another", "has no source");
	else if (count > 1)
		schema_refuse(check, last, NULL, "a volume of its own for each", "has %zu sources, and one is allowed", count);
}

void schema_rule_projection(struct schema_check *check, const struct value *object) {
	static const char *const names[] = {
		"secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate", NULL};
	const struct value *last = object;
	size_t count = count_members(object, names, &last);
	if (count > 1)
		schema_refuse(check, last, NULL, "a source of its own for each", "names %zu sources, and one is allowed", count);
}

void schema_rule_downward_file(struct schema_check *check, const struct value *object) {
	static const char *const names[] = {"fieldRef", "resourceFieldRef", NULL};
	need_one(check, object, names, "one of fieldRef, resourceFieldRef");
}

void schema_rule_claim_spec(struct schema_check *check, const struct value *object) {
	const struct value *storage = value_find(object, "resources.requests.storage");
	struct schema_quantity quantity;
	if (!schema_get(object, "resources"))
		return; /* told already */
	if (!storage || storage->kind == VALUE_NULL)
		schema_refuse(check, object, "resources.requests.storage", "such as 10Gi", "is missing");
	else if (schema_quantity_of(storage, &quantity) == 0 && quantity.nano <= 0)
		schema_refuse(check, storage, "resources.requests.storage", "more than 0", "is not above 0");
}

void schema_rule_volume_mount(struct schema_check *check, const struct value *object) {
	struct str path = schema_text(object, "mountPath");
	if (path.len && path.ptr[0] != '/' && !memchr(path.ptr, ':', path.len))
		schema_warn(
			check, value_get(object, "mountPath"), "mountPath", "begin it with '/'", "\"%.*s\" is relative", STR_ARGS(path));
	if (schema_text(object, "subPath").len && schema_text(object, "subPathExpr").len)
		schema_refuse(check, value_get(object, "subPathExpr"), "subPathExpr", NULL, "and subPath exclude each other");
}

static const char *const actions[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep", NULL};

void schema_rule_probe(struct schema_check *check, const struct value *object) {
	need_one(check, object, actions, "one of httpGet, tcpSocket, exec, grpc");
	const struct value *get = schema_get(object, "httpGet");
	if (get && get->kind == VALUE_OBJECT) {
		struct str path = schema_text(get, "path");
		if (path.len && path.ptr[0] != '/')
			schema_warn(
				check, value_get(get, "path"), "httpGet.path", "begin it with '/'", "\"%.*s\" is relative", STR_ARGS(path));
	}
}

void schema_rule_handler(struct schema_check *check, const struct value *object) {
	need_one(check, object, actions, "one of exec, httpGet, sleep");
}

static const struct value *member_named(const struct value *object, struct str key) {
	value_each(member, object) if (str_equal(member->key, key)) return member;
	return NULL;
}

static bool is_own_resource(struct str name) {
	return !memchr(name.ptr, '/', name.len) || str_starts(name, "kubernetes.io/");
}

/* One amount by itself: of something that a container can have, no less than nothing, whole where parts make no sense. */
static void check_amount(struct schema_check *check, const struct value *amount) {
	struct schema_quantity quantity;
	char shown[SCHEMA_SHOWN_MAX];
	bool is_memory = str_is(amount->key, "memory") || str_is(amount->key, "ephemeral-storage"), is_own = is_own_resource(amount->key);
	if (is_own && !is_memory && !str_is(amount->key, "cpu") && !str_starts(amount->key, "hugepages-") &&
		strstr(check->path, "ontainers["))
		schema_refuse(check, amount, NULL, "cpu, memory, ephemeral-storage, hugepages-SIZE or domain/resource (nvidia.com/gpu)",
			"is no resource of a container");
	else if (schema_quantity_of(amount, &quantity) != 0)
		return; /* told by the schema */
	else if (quantity.nano < 0)
		schema_refuse(check, amount, NULL, "0 or more", "%s is below 0", schema_shown(check, amount, shown));
	else if (is_memory && quantity.is_fraction) {
		AUTO_FREE char *right =
			str_ends(amount->text, "m") ? mem_format("%.*sMi", (int) amount->text.len - 1, amount->text.ptr) : NULL;
		schema_warn(
			check, amount, NULL, right, "%s is a fraction of a byte: m is a thousandth", schema_shown(check, amount, shown));
	} else if (!is_own && quantity.is_fraction)
		schema_refuse(
			check, amount, NULL, "a whole number", "%s: such devices are not divided", schema_shown(check, amount, shown));
}

void schema_rule_resources(struct schema_check *check, const struct value *object) {
	const struct value *limits = schema_get(object, "limits"), *requests = schema_get(object, "requests");
	size_t path_len = schema_push(check, STR("limits"));
	value_each(limit, limits) {
		size_t inner = schema_push(check, limit->key);
		check_amount(check, limit);
		schema_pop(check, inner);
	}
	schema_pop(check, path_len);
	schema_push(check, STR("requests"));
	value_each(request, requests) {
		size_t inner = schema_push(check, request->key);
		check_amount(check, request);
		const struct value *limit = limits && limits->kind == VALUE_OBJECT ? member_named(limits, request->key) : NULL;
		struct schema_quantity least, most;
		char shown[SCHEMA_SHOWN_MAX], theirs[SCHEMA_SHOWN_MAX];
		bool is_shared = is_own_resource(request->key) && !str_starts(request->key, "hugepages-");
		if (!limit && !is_shared)
			schema_refuse(
				check, request, NULL, "the same under limits", "has no limit, and such a resource is never overcommitted");
		else if (limit && schema_quantity_of(request, &least) == 0 && schema_quantity_of(limit, &most) == 0 &&
			 (is_shared ? least.nano > most.nano : least.nano != most.nano))
			schema_refuse(check, request, NULL, "at most the limit", "%s is %s the limit, %s",
				schema_shown(check, request, shown), is_shared ? "above" : "not", schema_shown(check, limit, theirs));
		schema_pop(check, inner);
	}
	schema_pop(check, path_len);
}

void schema_rule_security_context(struct schema_check *check, const struct value *object) {
	const struct value *escalation = schema_get(object, "allowPrivilegeEscalation"), *privileged = schema_get(object, "privileged");
	bool is_denied = escalation && escalation->kind == VALUE_BOOL && !escalation->boolean;
	if (is_denied && is_true(object, "privileged"))
		schema_refuse(check, privileged, "privileged", NULL, "and allowPrivilegeEscalation: false exclude each other");
	value_each(capability, value_find(object, "capabilities.add")) if (is_denied && capability->kind == VALUE_STRING &&
									   str_is(capability->text, "CAP_SYS_ADMIN")) schema_refuse(check,
		capability, "capabilities.add", NULL, "CAP_SYS_ADMIN and allowPrivilegeEscalation: false exclude each other");
	int64_t user;
	const struct value *run_as = schema_get(object, "runAsUser");
	if (is_true(object, "runAsNonRoot") && schema_int(run_as, &user) && user == 0)
		schema_warn(check, run_as, "runAsUser", "another user, such as 65532",
			"0 is root, and runAsNonRoot is true: the container would never start");
}

void schema_rule_profile(struct schema_check *check, const struct value *object) {
	const struct value *profile = schema_get(object, "localhostProfile");
	bool is_local = str_is(schema_text(object, "type"), "Localhost");
	if (is_local && !profile)
		schema_refuse(check, object, "localhostProfile", NULL, "is needed when type is Localhost");
	else if (!is_local && profile)
		schema_refuse(check, profile, "localhostProfile", "leave it out", "is only for the type Localhost");
}

void schema_rule_toleration(struct schema_check *check, const struct value *object) {
	struct str word = schema_text(object, "operator"), value = schema_text(object, "value");
	bool is_exists = str_is(word, "Exists");
	if (!schema_text(object, "key").len && !is_exists)
		schema_refuse(check, object, "operator", "Exists, or a key", "has to be Exists without a key");
	if (is_exists && value.len)
		schema_refuse(check, value_get(object, "value"), "value", "leave it out", "has no meaning for the operator Exists");
	else if (schema_format_wrong(FORMAT_LABEL_VALUE, value, check->minor))
		schema_refuse(check, value_get(object, "value"), "value", schema_format_wrong(FORMAT_LABEL_VALUE, value, check->minor),
			"does not fit");
	const struct value *seconds = schema_get(object, "tolerationSeconds");
	if (seconds && !str_is(schema_text(object, "effect"), "NoExecute"))
		schema_refuse(check, seconds, "effect", "NoExecute", "has to be NoExecute when tolerationSeconds is set");
}

static size_t data_bytes(const struct value *map) {
	size_t bytes = 0;
	value_each(member, map) bytes += member->kind == VALUE_STRING ? member->text.len : 0;
	return bytes;
}

void schema_rule_config_map(struct schema_check *check, const struct value *object) {
	const struct value *data = schema_get(object, "data"), *binary = schema_get(object, "binaryData");
	size_t bytes = data_bytes(data) + data_bytes(binary) / 4 * 3;
	if (bytes > DATA_BYTES_MAX)
		schema_refuse(check, data ? data : binary, "data", NULL, "holds %zu bytes, at most %d", bytes, DATA_BYTES_MAX);
	if (binary && data && data->count <= LIST_MAX && binary->count <= LIST_MAX)
		value_each(member, binary) if (data->kind == VALUE_OBJECT && member_named(data, member->key))
			schema_refuse(check, member, "binaryData", NULL, "\"%.*s\" is a key of data too", STR_ARGS(member->key));
}

/* Keys that a type of Secret needs. */
static const struct {
	const char *type, *keys[2];
} secret_types[] = {
	{"kubernetes.io/tls", {"tls.crt", "tls.key"}},
	{"kubernetes.io/dockerconfigjson", {".dockerconfigjson", NULL}},
	{"kubernetes.io/dockercfg", {".dockercfg", NULL}},
	{"kubernetes.io/ssh-auth", {"ssh-privatekey", NULL}},
};

/* What a kubelet reads to pull images must be JSON; its text is not told. */
static void check_docker_config(struct schema_check *check, const struct value *data, const struct value *plain) {
	static const char key[] = ".dockerconfigjson";
	const struct value *encoded = schema_get(data, key), *text = schema_get(plain, key), *at = text ? text : encoded;
	AUTO_BUF struct buf decoded = BUF(2 * DATA_BYTES_MAX);
	AUTO_DOCUMENT struct document *document = NULL;
	struct err ignored = {0};
	if (!at || at->kind != VALUE_STRING || (!text && schema_format_wrong(FORMAT_BYTES, at->text, check->minor)))
		return;
	if (!text)
		schema_base64_decode(at->text, &decoded);
	if (json_read(key, text ? text->text : buf_view(&decoded), VALUE_LIMITS_CONFIG, &document, &ignored) == 0 &&
		document->root->kind == VALUE_OBJECT)
		return;
	size_t path_len = schema_push(check, text ? STR("stringData") : STR("data"));
	schema_push(check, STR(".dockerconfigjson"));
	schema_refuse(check, at, NULL, "kubectl create secret docker-registry makes one", "holds no JSON object");
	schema_pop(check, path_len);
}

void schema_rule_secret(struct schema_check *check, const struct value *object) {
	const struct value *data = schema_get(object, "data"), *plain = schema_get(object, "stringData");
	size_t bytes = data_bytes(data) / 4 * 3 + data_bytes(plain);
	if (bytes > DATA_BYTES_MAX)
		schema_refuse(check, data ? data : plain, "data", NULL, "holds %zu bytes, at most %d", bytes, DATA_BYTES_MAX);
	struct str type = schema_text(object, "type");
	for (size_t i = 0; i < sizeof(secret_types) / sizeof(secret_types[0]); i++)
		for (size_t k = 0; k < 2 && secret_types[i].keys[k] && str_is(type, secret_types[i].type); k++)
			if (!schema_get(data, secret_types[i].keys[k]) && !schema_get(plain, secret_types[i].keys[k]))
				schema_refuse(check, object, "data", NULL, "has no key %s, and the type %s needs it",
					secret_types[i].keys[k], secret_types[i].type);
	if (str_is(type, "kubernetes.io/dockerconfigjson"))
		check_docker_config(check, data, plain);
	bool is_basic = str_is(type, "kubernetes.io/basic-auth");
	if (is_basic && !schema_get(data, "username") && !schema_get(plain, "username") && !schema_get(data, "password") &&
		!schema_get(plain, "password"))
		schema_refuse(
			check, object, "data", NULL, "has neither username nor password, and the type kubernetes.io/basic-auth needs one");
}

void schema_rule_role_rule(struct schema_check *check, const struct value *object) {
	const struct value *urls = schema_get(object, "nonResourceURLs"), *resources = schema_get(object, "resources");
	bool is_role = check->kind && !check->kind->is_cluster_wide;
	if (urls && urls->count && is_role)
		schema_refuse(check, urls, "nonResourceURLs", "a ClusterRole", "is not for Roles");
	else if (urls && urls->count && resources && resources->count)
		schema_refuse(check, urls, "nonResourceURLs", "a rule of its own", "and resources exclude each other");
	else if (!(urls && urls->count)) {
		const struct value *groups = schema_get(object, "apiGroups");
		if (!(groups && groups->count))
			schema_refuse(check, object, "apiGroups", "[\"\"] for the core group", "is missing");
		if (!(resources && resources->count))
			schema_refuse(check, object, "resources", NULL, "is missing");
	}
}
