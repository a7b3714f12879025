#include "target/kubernetes_cause.h"

#include <stdio.h>

#define FOLLOWED_MAX 16 /* objects whose events are followed; those looked at longest ago make room */
#define LOGS_MAX 16
#define LOG_LINES 40
#define LOG_BYTES_MAX ((size_t) 32 * 1024)
#define LOG_TRIES_MAX 3
#define NAMES_MAX 24
#define FIRST_LIST_MS 1000 /* what comes later is seen by the next look */
#define NAMES_MS 1000
#define NODE_MS 2000
#define NODES_MS 5000
#define NODES_MAX 500
#define NEIGHBOURS_MAX 500
#define QUIET_MS 3000 /* a server that is away is left alone: the lease has to be renewed meanwhile */
#define REFUSED_MS 30000 /* what we may not see, somebody may still let us */
#define VOLUME_WAIT_S 3

struct followed {
	char kind[32], name[KUBE_NAME_MAX];
	struct mirror *events;
	uint64_t used;
};

struct kept_log { /* of one end of a container */
	char uid[64], container[64];
	int64_t restarts, asked_ms;
	char *text;
	int tries;
};

struct kept_list { /* what is asked for again only after a while */
	char of[KUBE_NAME_MAX];
	struct document *document;
	int64_t again_ms;
};

struct causes {
	struct cause_options options;
	struct followed followed[FOLLOWED_MAX];
	uint64_t uses;
	struct mirror *replica_sets;
	struct kept_log logs[LOGS_MAX];
	size_t next_log;
	struct kept_list nodes, neighbours, names, quotas;
	int64_t quiet_ms; /* until then nothing is asked for */
};

struct causes *causes_new(const struct cause_options *options) {
	struct causes *causes = NEW(struct causes);
	causes->options = *options;
	return causes;
}

void causes_close(struct causes *causes) {
	if (!causes)
		return;
	for (size_t i = 0; i < FOLLOWED_MAX; i++)
		mirror_close(causes->followed[i].events);
	mirror_close(causes->replica_sets);
	for (size_t i = 0; i < LOGS_MAX; i++)
		free(causes->logs[i].text);
	document_free(causes->nodes.document);
	document_free(causes->neighbours.document);
	document_free(causes->names.document);
	document_free(causes->quotas.document);
	free(causes);
}

uint64_t causes_generation(const struct causes *causes) {
	uint64_t sum = causes->replica_sets ? mirror_generation(causes->replica_sets) : 0;
	for (size_t i = 0; i < FOLLOWED_MAX; i++)
		sum += causes->followed[i].events ? mirror_generation(causes->followed[i].events) : 0;
	return sum;
}

static int64_t now_ms(const struct causes *causes) {
	return clock_mono_ms(causes->options.clock);
}

static bool is_quiet(const struct causes *causes) {
	return now_ms(causes) < causes->quiet_ms;
}

static void heed(struct causes *causes, const struct err *err) {
	if (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT)
		causes->quiet_ms = now_ms(causes) + QUIET_MS;
}

static struct str text_of(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && found->kind == VALUE_STRING ? found->text : STR("");
}

/* ---- events and ReplicaSets: followed ---- */

static void add_events(struct causes *causes, const char *kind, struct str name, struct document *document, struct value *into) {
	struct followed *slot = NULL;
	struct err unseen = {0};
	if (!name.len || name.len >= sizeof(slot->name))
		return;
	for (size_t i = 0; i < FOLLOWED_MAX && !slot; i++)
		if (causes->followed[i].events && strcmp(causes->followed[i].kind, kind) == 0 && str_is(name, causes->followed[i].name))
			slot = &causes->followed[i];
	for (size_t i = 0; i < FOLLOWED_MAX && !slot; i++)
		if (!causes->followed[i].events)
			slot = &causes->followed[i];
	if (!slot) {
		slot = &causes->followed[0];
		for (size_t i = 1; i < FOLLOWED_MAX; i++)
			if (causes->followed[i].used < slot->used)
				slot = &causes->followed[i];
		mirror_close(take(&slot->events));
	}
	if (!slot->events) {
		snprintf(slot->kind, sizeof(slot->kind), "%s", kind);
		snprintf(slot->name, sizeof(slot->name), "%.*s", STR_ARGS(name));
		AUTO_FREE char *fields = mem_format("involvedObject.kind=%s,involvedObject.name=%s", slot->kind, slot->name);
		slot->events = mirror_open(causes->options.kube, &(struct kube_selection) {.kind = "Event", .fields = fields});
	}
	slot->used = ++causes->uses;
	if (!is_quiet(causes) && mirror_await(slot->events, FIRST_LIST_MS, 0, &unseen) != 0)
		heed(causes, &unseen);
	for (size_t i = 0; i < mirror_count(slot->events); i++)
		value_add_copy(document, into, NULL, mirror_at(slot->events, i));
}

/* Those of this Deployment: its canary's have the same labels. */
static const struct value *replica_sets_of(struct causes *causes, const struct value *deployment, struct document *document) {
	struct err unseen = {0};
	if (!causes->replica_sets)
		causes->replica_sets =
			mirror_open(causes->options.kube, &(struct kube_selection) {.kind = "ReplicaSet", .labels = causes->options.labels});
	if (!is_quiet(causes) && mirror_await(causes->replica_sets, FIRST_LIST_MS, 0, &unseen) != 0)
		heed(causes, &unseen);
	struct value *sets = value_add_array(document, document->root, "replicaSets");
	for (size_t i = 0; i < mirror_count(causes->replica_sets); i++) {
		const struct value *set = mirror_at(causes->replica_sets, i);
		value_each(owner, value_find(set, "metadata.ownerReferences"))
			if (str_equal(text_of(owner, "uid"), text_of(deployment, "metadata.uid")))
				value_add_copy(document, sets, NULL, set);
	}
	return sets;
}

/* ---- nodes, neighbours, names: asked for again after a while ---- */

/* The list as it was lately; NULL: we may not see it. `of` tells one question from another. */
static const struct value *list_again(struct causes *causes, struct kept_list *kept, struct str of, int64_t after_ms,
	const struct kube_selection *selection) {
	struct err unseen = {0};
	bool is_other = !str_is(of, kept->of);
	if (is_other && is_quiet(causes))
		return NULL;
	if (is_other || (now_ms(causes) >= kept->again_ms && !is_quiet(causes))) {
		struct document *document = NULL;
		bool is_seen = kube_list(causes->options.kube, selection, &document, &unseen) == 0;
		heed(causes, &unseen);
		document_free(kept->document);
		kept->document = document;
		snprintf(kept->of, sizeof(kept->of), "%.*s", STR_ARGS(of));
		kept->again_ms = now_ms(causes) + (is_seen || unseen.code == ERR_NETWORK ? after_ms : REFUSED_MS);
	}
	return kept->document ? value_get(kept->document->root, "items") : NULL;
}

static const struct value *nodes_for(struct causes *causes, const struct value *pod) {
	struct str name = text_of(pod, "spec.nodeName");
	if (!name.len)
		return list_again(causes, &causes->nodes, STR("*"), NODES_MS, &(struct kube_selection) {.kind = "Node", .count_max = NODES_MAX});
	AUTO_FREE char *fields = mem_format("metadata.name=%.*s", STR_ARGS(name));
	return list_again(causes, &causes->nodes, name, NODE_MS, &(struct kube_selection) {.kind = "Node", .fields = fields});
}

/* Our own, and of the others in the namespace those that are leaving. */
static const struct value *pods_around(struct causes *causes, const struct value *own, struct document *document) {
	const struct kube_selection selection = {.kind = "Pod", .is_brief = true, .count_max = NEIGHBOURS_MAX};
	const struct value *all = list_again(causes, &causes->neighbours, STR("*"), NODE_MS, &selection);
	struct value *pods = value_add_array(document, document->root, "pods");
	value_each(pod, own)
		value_add_copy(document, pods, NULL, pod);
	value_each(pod, all) {
		bool is_own = false;
		value_each(one, own)
			is_own = is_own || str_equal(text_of(one, "metadata.uid"), text_of(pod, "metadata.uid"));
		if (!is_own && value_find(pod, "metadata.deletionTimestamp"))
			value_add_copy(document, pods, NULL, pod);
	}
	return pods;
}

struct names { /* that a pod refers to; texts lent from it */
	struct {
		bool is_secret;
		struct str name;
	} items[NAMES_MAX];
	size_t count;
};

static void add_name(struct names *names, bool is_secret, struct str name) {
	for (size_t i = 0; i < names->count; i++)
		if (names->items[i].is_secret == is_secret && str_equal(names->items[i].name, name))
			return;
	if (!name.len || names->count == NAMES_MAX)
		return;
	names->items[names->count].is_secret = is_secret;
	names->items[names->count++].name = name;
}

static void names_of_source(struct names *names, const struct value *source) {
	add_name(names, true, text_of(source, "secret.secretName"));
	add_name(names, true, text_of(source, "secret.name"));
	add_name(names, false, text_of(source, "configMap.name"));
}

static void names_of_pod(const struct value *pod, struct names *names) {
	static const char *const lists[] = {"spec.initContainers", "spec.containers"};
	value_each(reference, value_find(pod, "spec.imagePullSecrets"))
		add_name(names, true, text_of(reference, "name"));
	for (size_t i = 0; i < 2; i++)
		value_each(container, value_find(pod, lists[i])) {
			value_each(variable, value_get(container, "env")) {
				add_name(names, true, text_of(variable, "valueFrom.secretKeyRef.name"));
				add_name(names, false, text_of(variable, "valueFrom.configMapKeyRef.name"));
			}
			value_each(from, value_get(container, "envFrom")) {
				add_name(names, true, text_of(from, "secretRef.name"));
				add_name(names, false, text_of(from, "configMapRef.name"));
			}
		}
	value_each(volume, value_find(pod, "spec.volumes")) {
		names_of_source(names, volume);
		value_each(source, value_find(volume, "projected.sources"))
			names_of_source(names, source);
	}
}

/* {"secrets": [those that are there], "configMaps": [..]}; what can't be asked for is no list, rather than an empty one. */
static const struct value *known_names(struct causes *causes, const struct value *pod) {
	struct kept_list *kept = &causes->names;
	struct str uid = text_of(pod, "metadata.uid");
	bool is_same = kept->document && str_is(uid, kept->of);
	if (is_quiet(causes) || (is_same && now_ms(causes) < kept->again_ms))
		return is_same ? kept->document->root : NULL;
	struct names names = {0};
	struct kube_ask asks[NAMES_MAX];
	struct err unseen = {0};
	AUTO_TEXTS struct texts texts = {0};
	names_of_pod(pod, &names);
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *name = str_dup(names.items[i].name);
		texts_add(&texts, name);
	}
	for (size_t i = 0; i < names.count; i++)
		asks[i] = (struct kube_ask) {
			.selection = {.kind = names.items[i].is_secret ? "Secret" : "ConfigMap", .is_brief = true}, .name = texts.items[i]};
	bool is_asked = kube_ask_all(causes->options.kube, asks, names.count, &unseen) == 0;
	document_free(kept->document);
	heed(causes, &unseen);
	kept->document = document_new("names");
	struct value *root = value_root_object(kept->document);
	for (int kind = 0; kind < 2 && is_asked; kind++) {
		struct value *list = value_add_array(kept->document, root, kind == 0 ? "secrets" : "configMaps");
		for (size_t i = 0; i < names.count; i++) {
			if (names.items[i].is_secret != (kind == 0))
				continue;
			if (asks[i].answer)
				value_add_str(kept->document, list, NULL, names.items[i].name);
			else if (asks[i].err.code != ERR_NOT_FOUND) {
				list->kind = VALUE_NULL;
				heed(causes, &asks[i].err);
			}
		}
	}
	for (size_t i = 0; i < names.count; i++)
		document_free(is_asked ? asks[i].answer : NULL);
	snprintf(kept->of, sizeof(kept->of), "%.*s", STR_ARGS(uid));
	kept->again_ms = now_ms(causes) + NAMES_MS;
	return root;
}

/* A container waits for what its pod refers to, or may. */
static bool wants_names(const struct value *pod, int64_t now_s) {
	static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
	AUTO_FREE char *started = str_dup(text_of(pod, "status.startTime"));
	int64_t start_s = 0;
	best_effort(clock_parse(started, &start_s)); /* one that has not begun mounts nothing yet */
	for (size_t i = 0; i < 2; i++)
		value_each(status, value_find(pod, lists[i])) {
			struct str reason = text_of(status, "state.waiting.reason");
			bool is_early = str_is(reason, "ContainerCreating") || str_is(reason, "PodInitializing");
			if (reason.len && !str_is(reason, "CrashLoopBackOff") && (!is_early || (start_s && now_s - start_s >= VOLUME_WAIT_S)))
				return true;
		}
	return false;
}

/* ---- logs: once for each end of a container ---- */

static int64_t restarts_of(const struct value *pod, struct str container) {
	static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
	int64_t restarts = 0;
	for (size_t i = 0; i < 2; i++)
		value_each(status, value_find(pod, lists[i])) {
			const struct value *count = value_get(status, "restartCount");
			if (str_equal(text_of(status, "name"), container) && count && count->kind == VALUE_NUMBER)
				best_effort(num_int(count->text, 0, INT32_MAX, &restarts)); /* else 0 */
		}
	return restarts;
}

/* NULL: it can't be had, at least not now. */
static const char *log_of(struct causes *causes, const struct value *pod, const struct diagnosis *wanted) {
	struct str uid = text_of(pod, "metadata.uid"), container = str_of(wanted->container);
	int64_t restarts = restarts_of(pod, container) - (wanted->is_previous ? 1 : 0);
	struct kept_log *kept = NULL;
	for (size_t i = 0; i < LOGS_MAX && !kept; i++)
		if (str_is(uid, causes->logs[i].uid) && strcmp(causes->logs[i].container, wanted->container) == 0 && causes->logs[i].restarts == restarts)
			kept = &causes->logs[i];
	if (!kept) {
		kept = &causes->logs[causes->next_log++ % LOGS_MAX];
		free(kept->text);
		*kept = (struct kept_log) {.restarts = restarts};
		snprintf(kept->uid, sizeof(kept->uid), "%.*s", STR_ARGS(uid));
		snprintf(kept->container, sizeof(kept->container), "%s", wanted->container);
	}
	if (kept->text || is_quiet(causes) || kept->tries >= LOG_TRIES_MAX || (kept->tries && now_ms(causes) - kept->asked_ms < NAMES_MS))
		return kept->text;
	AUTO_FREE char *name = str_dup(text_of(pod, "metadata.name"));
	struct err unseen = {0};
	const struct kube_logs logs = {.pod = name,
		.container = container.len ? wanted->container : NULL,
		.lines = LOG_LINES,
		.is_previous = wanted->is_previous,
		.bytes_max = LOG_BYTES_MAX};
	kept->tries++;
	kept->asked_ms = now_ms(causes);
	if (kube_logs(causes->options.kube, &logs, &kept->text, &unseen) != 0)
		heed(causes, &unseen);
	return kept->text;
}

/* ---- the verdict ---- */

/* "mlctl.yaml: resources.memory: 1Gi" with the line that set it, or else the one where its group begins: "mlctl.yaml:21  resources.memory: 1Gi". */
static void name_line(const struct causes *causes, struct diagnosis *out) {
	const char *file = causes->options.settings_file;
	struct str rest = str_of(out->fix);
	if (!file || !causes->options.settings_where || !str_starts(rest, file) || strncmp(rest.ptr + strlen(file), ": ", 2) != 0)
		return;
	const char *setting = rest.ptr + strlen(file) + 2;
	char path[100], where[TARGET_WHERE_MAX], fix[sizeof(out->fix) + sizeof(where)];
	size_t len = strspn(setting, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.");
	if (!len || len >= sizeof(path))
		return;
	snprintf(path, sizeof(path), "%.*s", (int) len, setting);
	while (!causes->options.settings_where(causes->options.where_self, path, where)) {
		char *dot = strrchr(path, '.');
		if (!dot)
			return;
		*dot = '\0';
	}
	int wrote = snprintf(fix, sizeof(fix), "%s  %s", where, setting);
	if (wrote > 0 && (size_t) wrote < sizeof(out->fix))
		memcpy(out->fix, fix, (size_t) wrote + 1);
}

static struct diagnose_world world_of(const struct causes *causes, int64_t memory_needed_bytes) {
	return (struct diagnose_world) {
		.now_s = kube_now_s(causes->options.kube), .memory_needed_bytes = memory_needed_bytes, .settings_file = causes->options.settings_file};
}

static void add_claims(struct causes *causes, const struct value *pod, struct document *document, struct value *events) {
	value_each(volume, value_find(pod, "spec.volumes"))
		add_events(causes, "PersistentVolumeClaim", text_of(volume, "persistentVolumeClaim.claimName"), document, events);
}

void cause_of_pod(struct causes *causes, const struct value *pods, int64_t memory_needed_bytes, const struct value *pod, struct diagnosis *out) {
	AUTO_DOCUMENT struct document *document = document_new("seen");
	struct value *events = value_add_array(document, value_root_object(document), "events");
	struct diagnose_world world = world_of(causes, memory_needed_bytes);
	bool is_placed = text_of(pod, "spec.nodeName").len > 0;
	add_events(causes, "Pod", text_of(pod, "metadata.name"), document, events);
	if (!is_placed)
		add_claims(causes, pod, document, events);
	world.events = events;
	world.nodes = nodes_for(causes, pod);
	world.pods = is_placed ? pods : pods_around(causes, pods, document);
	if (is_placed && wants_names(pod, world.now_s)) {
		const struct value *names = known_names(causes, pod), *secrets = value_get(names, "secrets"), *maps = value_get(names, "configMaps");
		world.secrets_known = secrets && secrets->kind == VALUE_ARRAY ? secrets : NULL;
		world.config_maps_known = maps && maps->kind == VALUE_ARRAY ? maps : NULL;
	}
	diagnose_pod(&world, pod, out);
	if (out->wants_log && (world.log = log_of(causes, pod, out)) != NULL)
		diagnose_pod(&world, pod, out);
	name_line(causes, out);
}

void cause_of_deployment(struct causes *causes, const struct value *pods, int64_t memory_needed_bytes, const struct value *deployment,
	struct diagnosis *out) {
	AUTO_DOCUMENT struct document *document = document_new("seen");
	struct value *events = value_add_array(document, value_root_object(document), "events");
	struct diagnose_world world = world_of(causes, memory_needed_bytes);
	world.replica_sets = replica_sets_of(causes, deployment, document);
	add_events(causes, "Deployment", text_of(deployment, "metadata.name"), document, events);
	value_each(set, world.replica_sets)
		if (value_find(set, "status.conditions"))
			add_events(causes, "ReplicaSet", text_of(set, "metadata.name"), document, events);
	world.events = events;
	world.pods = pods;
	diagnose_deployment(&world, deployment, out);
	if (strcmp(out->cause, "quota") == 0) { /* somebody who is leaving may make room */
		world.pods = pods_around(causes, pods, document);
		world.quotas = list_again(causes, &causes->quotas, STR("*"), NAMES_MS, &(struct kube_selection) {.kind = "ResourceQuota"});
		diagnose_deployment(&world, deployment, out);
	}
	name_line(causes, out);
}

void cause_of_restarts(const struct causes *causes, const struct value *pod, struct diagnosis *out) {
	struct diagnose_world world = world_of(causes, 0);
	world.now_s = 0; /* no time passes: what was long ago is told as well */
	diagnose_pod(&world, pod, out);
}
