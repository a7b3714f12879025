/* What is true in the cluster: observe() asks now, poll() reads mirrors, both say why what is not ready is not. */
#include "target/kubernetes.h"

#include <errno.h>
#include <stdio.h>

#define FIRST_LIST_MS 10000
#define STALE_MS_MAX 15000
#define HELD_MS 8000
#define SAME_MS 1000 /* a verdict may change with time alone */
#define EXPLAINED_MAX 12 /* pods of a revision; fewer than kubernetes_cause.c can follow */
#define YOUNG_S 600 /* a pod that crashed before it was so old is watched for a while before it counts as ready */

void view_clear(struct view *view) {
	for (size_t i = 0; i < sizeof(view->asks) / sizeof(view->asks[0]); i++)
		document_free(view->asks[i].answer);
	document_free(view->made);
	*view = (struct view) {0};
}

static const struct value *root_of(const struct document *document) {
	return document ? document->root : NULL;
}

static void add_pods(struct view *view, const struct value *list) {
	view->all = list;
	for (int is_leaving = 0; is_leaving < 2; is_leaving++) /* hundreds that were evicted stay for a long time, and must not hide one that serves */
		value_each(pod, list)
			if (pod_is_leaving(pod) == is_leaving && view->pod_count < PODS_MAX)
				view->pods[view->pod_count++] = pod;
}

int answers_check(const struct kube_ask *asks, size_t count, struct err *err) {
	for (size_t i = 0; i < count; i++)
		if (!asks[i].answer && !asks[i].known && (asks[i].err.code != ERR_NOT_FOUND || asks[i].err.sys == EOPNOTSUPP)) {
			*err = asks[i].err;
			return -1;
		}
	return 0;
}

void view_asks(const struct kubernetes *k, struct kube_ask asks[VIEW_ASKS]) {
	asks[0] = (struct kube_ask) {.selection = {.kind = "Deployment"}, .name = k->name};
	asks[1] = (struct kube_ask) {.selection = {.kind = "Deployment"}, .name = k->canary};
	asks[2] = (struct kube_ask) {.selection = {.kind = "Pod", .labels = k->labels}};
	asks[3] = (struct kube_ask) {.selection = {.kind = "HorizontalPodAutoscaler"}, .name = k->name};
}

int view_take(struct kubernetes *k, struct view *view, const struct kube_ask asks[VIEW_ASKS], struct err *err) {
	*view = (struct view) {.at_ms = clock_mono_ms(k->context.clock)};
	memcpy(view->asks, asks, sizeof(view->asks));
	if (answers_check(view->asks, VIEW_ASKS - 1, err) != 0) /* who may not see the last is told less */
		return -1;
	view->main = root_of(view->asks[0].answer);
	view->canary = root_of(view->asks[1].answer);
	add_pods(view, value_get(root_of(view->asks[2].answer), "items"));
	view->scaler = root_of(view->asks[3].answer);
	return 0;
}

int view_ask(struct kubernetes *k, struct view *view, struct err *err) {
	struct kube_ask asks[VIEW_ASKS];
	view_asks(k, asks);
	return kube_ask_all(k->kube, asks, VIEW_ASKS, err) != 0 ? -1 : view_take(k, view, asks, err);
}

bool is_of_moment(const struct kubernetes *k, int64_t at_ms) {
	return clock_mono_ms(k->context.clock) - at_ms < MOMENT_MS;
}

int view_of_moment(struct kubernetes *k, struct view *view, struct err *err) {
	if (!k->looked.all || !is_of_moment(k, k->looked.at_ms))
		return view_ask(k, view, err);
	*view = k->looked;
	k->looked = (struct view) {0};
	return 0;
}

static int open_mirrors(struct kubernetes *k, struct err *err) {
	if (!k->pods)
		k->pods = mirror_open(k->kube, &(struct kube_selection) {.kind = "Pod", .labels = k->labels});
	if (!k->deployments)
		k->deployments = mirror_open(k->kube, &(struct kube_selection) {.kind = "Deployment", .labels = k->labels});
	return mirror_await(k->pods, FIRST_LIST_MS, STALE_MS_MAX, err) != 0 || mirror_await(k->deployments, FIRST_LIST_MS, STALE_MS_MAX, err) != 0 ? -1 : 0;
}

/* Copies of what a mirror holds: asking a pod steps the network, and that may put newer objects in their place. */
static const struct value *array_of(struct view *view, const char *name, const struct mirror *mirror) {
	struct value *array = value_add_array(view->made, view->made->root, name);
	for (size_t i = 0; i < mirror_count(mirror); i++)
		value_add_copy(view->made, array, NULL, mirror_at(mirror, i));
	return array;
}

int view_mirrored(struct kubernetes *k, struct view *view, struct err *err) {
	if (open_mirrors(k, err) != 0)
		return -1;
	view->made = document_new("mirrors");
	value_root_object(view->made);
	add_pods(view, array_of(view, "pods", k->pods));
	value_each(deployment, array_of(view, "deployments", k->deployments)) {
		if (str_is(object_text(deployment, "metadata.name"), k->name))
			view->main = deployment;
		if (str_is(object_text(deployment, "metadata.name"), k->canary))
			view->canary = deployment;
	}
	return 0;
}

static enum replica_state state_of(enum diagnosis_state state) {
	return state == DIAGNOSIS_STUCK ? REPLICA_STUCK : state == DIAGNOSIS_FAILING ? REPLICA_FAILING : REPLICA_STARTING;
}

static void say(struct replica *replica, const struct diagnosis *diagnosis) {
	replica->state = state_of(diagnosis->state);
	snprintf(replica->reason, sizeof(replica->reason), "%s", diagnosis->text);
	snprintf(replica->fix, sizeof(replica->fix), "%s", diagnosis->fix);
	snprintf(replica->cause, sizeof(replica->cause), "%s", diagnosis->cause);
}

static struct causes *causes_of(struct kubernetes *k) {
	const struct cause_options options = {.kube = k->kube,
		.clock = k->context.clock,
		.labels = k->labels,
		.settings_file = k->context.settings_file,
		.settings_where = k->context.settings_where,
		.where_self = k->context.where_self};
	if (!k->causes)
		k->causes = causes_new(&options);
	return k->causes;
}

static void explain_pod(struct kubernetes *k, struct view *view, const struct value *pod, struct replica *replica) {
	struct diagnosis diagnosis;
	cause_of_pod(causes_of(k), view->all, k->memory_needed_bytes, pod, &diagnosis);
	say(replica, &diagnosis);
}

static int restarts_of(const struct value *pod) {
	static const char *const lists[] = {"status.containerStatuses", "status.initContainerStatuses"}; /* some of these stay beside the others */
	int64_t restarts = 0;
	for (size_t i = 0; i < 2; i++)
		value_each(container, value_find(pod, lists[i]))
			restarts += object_int(container, "restartCount", 0);
	return (int) (restarts > 1000000 ? 1000000 : restarts);
}

/* It is ready, but crashed a moment ago, and may again: in a rollout that is not the end yet. True when it was explained. */
static bool is_on_trial(struct kubernetes *k, struct view *view, const struct value *pod, bool is_polling, struct replica *replica) {
	if (!replica->restarts)
		return false;
	if (is_polling && replica->since_s > 0 && kube_now_s(k->kube) - replica->since_s < YOUNG_S) {
		struct diagnosis diagnosis;
		cause_of_pod(causes_of(k), view->all, k->memory_needed_bytes, pod, &diagnosis);
		if (diagnosis.state != DIAGNOSIS_FINE) {
			say(replica, &diagnosis);
			return true;
		}
	} else if (!is_polling) { /* somebody looks at what has been running: how it ended before */
		struct diagnosis before;
		cause_of_restarts(causes_of(k), pod, &before);
		say(replica, &before);
		replica->state = REPLICA_STARTING;
	}
	return false;
}

static bool has_answered(const struct kubernetes *k, struct str uid, int restarts) {
	for (size_t i = 0; i < k->answered_count; i++)
		if (str_is(uid, k->answered[i].uid) && k->answered[i].restarts == restarts)
			return true;
	return false;
}

static void note_answered(struct kubernetes *k, struct str uid, int restarts) {
	if (k->answered_count == PODS_MAX)
		k->answered_count = 0; /* all are asked again */
	snprintf(k->answered[k->answered_count].uid, sizeof(k->answered[0].uid), "%.*s", STR_ARGS(uid));
	k->answered[k->answered_count++].restarts = restarts;
}

/* The digest in "repository@sha256:..."; {0}: it names none. */
static struct str digest_in(struct str image) {
	struct str digest;
	str_cut_last(image, '@', &digest);
	return digest.ptr && str_starts(digest, "sha256:") ? digest : (struct str) {0};
}

static struct str specified_image(const struct value *pod, struct str container) {
	value_each(one, value_find(pod, "spec.containers"))
		if (str_equal(object_text(one, "name"), container))
			return object_text(one, "image");
	return (struct str) {0};
}

/* What the kubelet says it runs, against what the pod is to run. Of another kind (an id without a repository) it says nothing here. */
static bool runs_other_image(const struct value *pod, const struct revision *revision) {
	value_each(status, value_find(pod, "status.containerStatuses")) {
		struct str name = object_text(status, "name"), runs = digest_in(object_text(status, "imageID"));
		struct str wanted = str_is(name, "runner") ? str_of(revision->image.text) : digest_in(specified_image(pod, name));
		if (runs.ptr && wanted.ptr && !str_equal(runs, wanted))
			return true;
	}
	return false;
}

/* A payload that is not ours can't be asked: what the pod is specified to run, by digest, and is reported to run is all there is. Which revision the pod is
 * of stands in its template, beside that digest. */
static void believe_platform(const struct value *pod, const struct revision *revision, struct replica *replica) {
	const struct value *statuses = value_find(pod, "status.containerStatuses");
	value_each(status, statuses) {
		struct str wanted = digest_in(specified_image(pod, object_text(status, "name"))), runs = digest_in(object_text(status, "imageID"));
		if (wanted.ptr && str_equal(wanted, runs))
			continue;
		replica->state = REPLICA_FAILING;
		snprintf(replica->reason, sizeof(replica->reason), "ready, but runs %.*s where %.*s was asked for", STR_ARGS(object_text(status, "imageID")),
			STR_ARGS(specified_image(pod, object_text(status, "name"))));
		return;
	}
	if (!statuses || !statuses->count)
		return;
	replica->serving = revision->image;
	replica->state = REPLICA_READY;
}

/* The runner's own word on which revision it is. */
static void take_answer(struct kubernetes *k, const struct value *pod, const struct revision *revision, const struct http_answer *answer,
	const struct err *failed, struct replica *replica) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct err err = {0};
	struct str claimed = {0}, image = {0};
	bool is_ready = false;
	if (failed->code) {
		snprintf(replica->reason, sizeof(replica->reason), "ready, but its control listener can't be asked: %.300s", failed->message);
		return;
	}
	if (answer->status != 200) {
		snprintf(replica->reason, sizeof(replica->reason), "ready, but its control listener answers %d%s", answer->status,
			answer->status == 401 ? ": it was started with another key" : "");
		return;
	}
	if (json_read("/admin/info", (struct str) {answer->body, answer->body_len}, VALUE_LIMITS_CONFIG, &document, &err) != 0 ||
		value_opt_str(document->root, "revision", STR(""), &claimed, &err) != 0 ||
		value_opt_str(document->root, "image", STR(""), &image, &err) != 0 ||
		value_opt_bool(document->root, "ready", false, &is_ready, &err) != 0)
		return;
	if (!str_is(claimed, revision->name) || (image.len && !str_is(image, revision->image.text)) || runs_other_image(pod, revision)) {
		snprintf(replica->reason, sizeof(replica->reason), "answers as revision %.*s, image %.*s", STR_ARGS(claimed), STR_ARGS(image));
		replica->state = REPLICA_FAILING;
		return;
	}
	replica->serving = revision->image;
	if (is_ready) {
		replica->state = REPLICA_READY;
		note_answered(k, object_text(pod, "metadata.uid"), replica->restarts);
	}
}

/* Pods that are ready are asked, side by side; the others are explained. */
static int fill_replicas(struct kubernetes *k, struct view *view, const struct revision *revision, const char *role, bool is_polling,
	struct observed *out, struct err *err) {
	const struct value *asked[PODS_MAX];
	struct replica *slots[PODS_MAX];
	size_t asked_count = 0, explained = 0;
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct value *pod = view->pods[i];
		if (!pod_is(pod, role, revision->name) || pod_is_leaving(pod) || out->count == TARGET_REPLICAS_MAX)
			continue;
		struct replica *replica = &out->replicas[out->count++];
		struct pod_port port;
		AUTO_FREE char *since = str_dup(object_text(pod, "status.startTime"));
		*replica = (struct replica) {.state = REPLICA_STARTING, .restarts = restarts_of(pod)};
		snprintf(replica->name, sizeof(replica->name), "%.*s", STR_ARGS(object_text(pod, "metadata.name")));
		best_effort(clock_parse(since, &replica->since_s)); /* a pod that has not begun has no time */
		pod_ports(pod, &port);
		if (!pod_is_ready(pod) && explained++ >= EXPLAINED_MAX) {
			continue; /* they are made from one template: these few tell of all, and each costs a watch of its events */
		} else if (!pod_is_ready(pod)) {
			explain_pod(k, view, pod, replica);
		} else if (is_on_trial(k, view, pod, is_polling, replica)) {
			continue;
		} else if (!port.control) {
			believe_platform(pod, revision, replica);
		} else if (is_polling && has_answered(k, object_text(pod, "metadata.uid"), replica->restarts)) {
			replica->serving = revision->image;
			replica->state = REPLICA_READY;
		} else {
			asked[asked_count] = pod;
			slots[asked_count++] = replica;
		}
	}
	AUTO_FREE struct http_answer *answers = mem_zero(PODS_MAX, sizeof(*answers));
	AUTO_FREE struct err *errs = mem_zero(PODS_MAX, sizeof(*errs));
	k->polled.asked += asked_count;
	int rc = control_all(k, asked, asked_count, "GET", "/admin/info", NULL, answers, errs, err);
	for (size_t i = 0; i < asked_count; i++) {
		if (rc == 0)
			take_answer(k, asked[i], revision, &answers[i], &errs[i], slots[i]);
		http_answer_clear(&answers[i]);
	}
	return rc;
}

/* Every pod may be ready, and the Deployment still not be through: a moment of that belongs to each roll. */
static bool is_held(struct kubernetes *k, bool is_complete) {
	int64_t now_ms = clock_mono_ms(k->context.clock);
	if (is_complete || !k->held_ms)
		k->held_ms = is_complete ? 0 : now_ms;
	return k->held_ms && now_ms - k->held_ms >= HELD_MS;
}

static struct replica *add_replica(const struct value *object, struct observed *out) {
	struct replica *replica = &out->replicas[out->count++];
	*replica = (struct replica) {0};
	snprintf(replica->name, sizeof(replica->name), "%.*s", STR_ARGS(object_text(object, "metadata.name")));
	return replica;
}

/* What the platform itself took down (evicted, refused by its node) is no replica any more, and tells why its successor may go the same way. */
static const struct value *last_failed(const struct view *view, const struct revision *revision, const char *role) {
	const struct value *last = NULL;
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct value *pod = view->pods[i];
		struct str created = object_text(pod, "metadata.creationTimestamp"), before = object_text(last, "metadata.creationTimestamp");
		bool is_later = !last || (created.len == before.len && memcmp(created.ptr, before.ptr, created.len) > 0);
		if (is_later && pod_is(pod, role, revision->name) && str_is(object_text(pod, "status.phase"), "Failed") &&
			!value_find(pod, "metadata.deletionTimestamp"))
			last = pod;
	}
	return last;
}

/* A Deployment without the pods it should have, or with one that failed for good: its reason stands beside theirs. */
static void explain_missing(struct kubernetes *k, struct view *view, const struct value *deployment, const struct revision *revision, const char *role,
	bool is_held, struct observed *out) {
	struct diagnosis diagnosis = {0};
	bool is_short = (int64_t) out->count < out->desired, is_told = false, is_failing = false;
	size_t ready = 0;
	for (size_t i = 0; i < out->count; i++) {
		ready += out->replicas[i].state == REPLICA_READY;
		is_told = is_told || out->replicas[i].state == REPLICA_STUCK || out->replicas[i].reason[0];
		is_failing = is_failing || out->replicas[i].state == REPLICA_FAILING || out->replicas[i].state == REPLICA_STUCK;
	}
	if (out->count == TARGET_REPLICAS_MAX || (!is_held && out->desired > 0 && (int64_t) ready >= out->desired))
		return;
	const struct value *failed = last_failed(view, revision, role);
	if (failed)
		cause_of_pod(causes_of(k), view->all, k->memory_needed_bytes, failed, &diagnosis);
	if (diagnosis.state == DIAGNOSIS_STUCK || (diagnosis.state == DIAGNOSIS_FAILING && !is_failing) ||
		(diagnosis.state != DIAGNOSIS_FINE && !is_told)) {
		say(add_replica(failed, out), &diagnosis);
		return;
	}
	cause_of_deployment(causes_of(k), view->all, k->memory_needed_bytes, deployment, &diagnosis);
	/* That it is late is known when its pods say why. */
	bool is_own = diagnosis.state == DIAGNOSIS_STUCK && strcmp(diagnosis.cause, "progress_deadline") != 0;
	if (diagnosis.state != DIAGNOSIS_FINE && (is_short || is_own || !is_told))
		say(add_replica(deployment, out), &diagnosis);
}

static bool has_other_pods(const struct view *view, const struct revision *revision) {
	for (size_t i = 0; i < view->pod_count; i++)
		if (pod_is(view->pods[i], "stable", NULL) && !pod_is(view->pods[i], NULL, revision->name) && !pod_is_leaving(view->pods[i]))
			return true;
	return false;
}

static int look(struct kubernetes *k, struct view *view, const struct revision *revision, bool is_polling, struct observed *out, struct err *err) {
	const struct value *main = view->main, *canary = view->canary;
	*out = (struct observed) {0};
	if (deployment_is(main, revision)) {
		bool is_complete = deployment_is_complete(main) && !has_other_pods(view, revision) && !deployment_is(canary, revision);
		out->exists = true;
		out->desired = deployment_replicas(main);
		if (fill_replicas(k, view, revision, "stable", is_polling, out, err) != 0)
			return -1;
		explain_missing(k, view, main, revision, "stable", is_polling && is_held(k, is_complete), out);
		out->weight = out->desired == 0 ? 0 : is_complete ? 100 : 50; /* a roll sends each version its share */
		return 0;
	}
	if (deployment_is(canary, revision)) {
		out->exists = true;
		out->desired = deployment_replicas(canary);
		if (fill_replicas(k, view, revision, "canary", is_polling, out, err) != 0)
			return -1;
		explain_missing(k, view, canary, revision, "canary", false, out);
		return is_polling ? 0 : share_get(k, view, revision, &out->weight, err);
	}
	/* Old pods of a Deployment that has another template already. */
	if (fill_replicas(k, view, revision, "stable", is_polling, out, err) != 0)
		return -1;
	out->exists = out->count > 0;
	out->weight = out->count > 0 ? 50 : 0;
	out->desired = (int64_t) out->count;
	return 0;
}

/* "hpa 1..4 now 3"; and why it can't scale, when it says so. */
static void note_scaler(const struct value *scaler, struct observed *out) {
	if (!scaler)
		return;
	int n = snprintf(out->note, sizeof(out->note), "hpa %lld..%lld now %lld", (long long) object_int(scaler, "spec.minReplicas", 1),
		(long long) object_int(scaler, "spec.maxReplicas", 0), (long long) object_int(scaler, "status.currentReplicas", 0));
	value_each(condition, value_find(scaler, "status.conditions"))
		if (str_is(object_text(condition, "type"), "ScalingActive") && str_is(object_text(condition, "status"), "False") && n < (int) sizeof(out->note))
			snprintf(out->note + n, sizeof(out->note) - (size_t) n, ", not scaling: %.*s", STR_ARGS(object_text(condition, "reason")));
}

int kubernetes_observe(void *state, const struct revision *revision, struct observed *out, struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	if ((k->context.is_looking ? view_of_moment : view_ask)(k, &view, err) != 0 || look(k, &view, revision, false, out, err) != 0)
		return -1;
	if (deployment_is(view.main, revision))
		note_scaler(view.scaler, out);
	view_clear(&k->looked);
	k->looked = view;
	view = (struct view) {0};
	return 0;
}

/* While no mirror moves, the answer of a moment ago is the answer; but for pods that were asked, and what time alone changes. */
int kubernetes_poll(void *state, const struct revision *revision, struct observed *out, struct err *err) {
	struct kubernetes *k = state;
	struct polled *polled = &k->polled;
	AUTO_VIEW struct view view = {0};
	if (open_mirrors(k, err) != 0)
		return -1;
	int64_t now_ms = clock_mono_ms(k->context.clock);
	uint64_t generation = mirror_generation(k->pods) + mirror_generation(k->deployments);
	if (polled->is_settled && strcmp(polled->revision, revision->name) == 0 && now_ms - polled->at_ms < SAME_MS &&
		polled->generation == generation + (k->causes ? causes_generation(k->causes) : 0)) {
		*out = polled->observed;
		return 0;
	}
	polled->is_settled = false;
	polled->asked = 0;
	if (view_mirrored(k, &view, err) != 0 || look(k, &view, revision, true, out, err) != 0)
		return -1;
	polled->is_settled = !polled->asked;
	polled->generation = generation + (k->causes ? causes_generation(k->causes) : 0);
	polled->at_ms = now_ms;
	snprintf(polled->revision, sizeof(polled->revision), "%s", revision->name);
	polled->observed = *out;
	return 0;
}
