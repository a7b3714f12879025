#include "kube/diagnose.h"

#include "kube/diagnose_case.h"

#include <stdio.h>

#define SETTLED_S 600  /* a crash longer ago than this is history */
#define TRIAL_S_MAX 60 /* how long a second life is watched, at most */
#define TERMINATING_LATE_S 30
#define INIT_SLOW_S 10
#define SETTLE_LONG_S 30
#define FLIPS_MIN 3

static bool is_init(const struct value *pod, struct str name) {
	return diagnose_named(value_find(pod, "spec.initContainers"), name) != NULL;
}

/* A container between two lives, or in a second one. */
static void look_back(struct diagnose_case *c, const struct value *spec, const struct value *status) {
	const struct value *now = value_find(status, "state.terminated"), *before = value_find(status, "lastState.terminated"),
			   *ended = now ? now : before;
	bool is_running = value_find(status, "state.running") != NULL;
	int64_t failures = diagnose_int(status, "restartCount", 0) - c->world->restarts_before + (is_running ? 0 : 1);
	bool is_helper = str_is(diagnose_str(spec, "restartPolicy"), "Always"); /* an init container that stays: a sidecar */
	if (!ended || failures < 1)
		return;
	if (is_init(c->object, diagnose_str(status, "name")) && !is_helper && diagnose_int(ended, "exitCode", 1) == 0)
		return;
	int64_t ended_s = diagnose_time(ended, "finishedAt"), lived_s = ended_s - diagnose_time(ended, "startedAt");
	if (lived_s >= SETTLED_S && failures > 1)
		failures = 1; /* it was well for long: what was before is another story */
	bool is_ready = is_running && diagnose_bool(status, "ready");
	if (is_running) {
		int64_t lives_s = diagnose_age(c, diagnose_time(status, "state.running.startedAt")),
			trial_s = 2 * (lived_s > 0 ? lived_s : 0) + 10;
		if (lives_s > (is_ready ? trial_s < TRIAL_S_MAX ? trial_s : TRIAL_S_MAX : SETTLED_S))
			return;
	}
	if (is_ready && failures < DIAGNOSIS_REPEATS) { /* it may be well now: wait for as long as would have shown */
		struct diagnosis said = {0};
		struct diagnose_case aside = *c;
		aside.out = &said;
		diagnose_crash(&aside, spec, status, ended, failures);
		if (said.state == DIAGNOSIS_FAILING)
			said.state = DIAGNOSIS_WAITING;
		if (said.state > c->out->state)
			*c->out = said;
		return;
	}
	diagnose_crash(c, spec, status, ended, failures);
}

static void look_at_container(struct diagnose_case *c, const struct value *spec, const struct value *status) {
	struct str reason = diagnose_str(status, "state.waiting.reason"), message = diagnose_str(status, "state.waiting.message"),
		   name = diagnose_str(status, "name");
	if (str_is(reason, "ErrImagePull") || str_is(reason, "ImagePullBackOff") || str_is(reason, "InvalidImageName") ||
		str_is(reason, "ErrImageNeverPull") || str_is(reason, "RegistryUnavailable") || str_is(reason, "ImageInspectError") ||
		str_is(reason, "SignatureValidationFailed")) {
		diagnose_image(c, spec, status);
		return;
	}
	if (str_is(reason, "CreateContainerConfigError") || str_is(reason, "CreateContainerError") || str_is(reason, "RunContainerError") ||
		str_is(reason, "StartError") || str_is(reason, "ContainerCannotRun") || str_is(reason, "PreCreateHookError") ||
		str_is(reason, "PreStartHookError") || str_is(reason, "PostStartHookError")) {
		struct diagnose_event event;
		const struct diagnose_wanted failed = {.reasons = "Failed", .container = name};
		int64_t first_s = diagnose_event_find(c, &failed, &event) ? event.first_s : diagnose_time(c->object, "status.startTime");
		enum diagnosis_state before = c->out->state;
		if (str_is(reason, "CreateContainerConfigError"))
			diagnose_reference(c, message, name, first_s);
		if (c->out->state == before)
			diagnose_start(c, spec, status, message);
		return;
	}
	look_back(c, spec, status);
	if (value_find(status, "state.running"))
		diagnose_probe(c, spec, status);
	else if (reason.len && !str_is(reason, "ContainerCreating") && !str_is(reason, "PodInitializing") &&
		 !str_is(reason, "CrashLoopBackOff"))
		diagnose_say(c, DIAGNOSIS_FAILING, "container_waiting", "container %.*s: waits: %.*s: %.*s", STR_ARGS(name),
			STR_ARGS(diagnose_quote(reason, 60)), STR_ARGS(diagnose_quote(message, DIAGNOSE_QUOTE)));
}

static void look_at_containers(struct diagnose_case *c) {
	static const char *const statuses[] = {"status.initContainerStatuses", "status.containerStatuses"}, *const specs[] = {
														    "spec.initContainers",
														    "spec.containers"};
	for (size_t i = 0; i < 2; i++)
		value_each(status, value_find(c->object, statuses[i])) {
			const struct value *spec = diagnose_named(value_find(c->object, specs[i]), diagnose_str(status, "name"));
			int64_t runs_s = diagnose_age(c, diagnose_time(status, "state.running.startedAt"));
			look_at_container(c, spec, status);
			if (i == 0 && runs_s >= INIT_SLOW_S && !str_is(diagnose_str(spec, "restartPolicy"), "Always") &&
				diagnose_say(c, DIAGNOSIS_WAITING, "init_running",
					"init container %.*s has been running for %lld s, and the pod waits for it",
					STR_ARGS(diagnose_str(status, "name")), (long long) runs_s))
				diagnose_fix(c, "kubectl -n %.*s logs %.*s -c %.*s", STR_ARGS(c->space), STR_ARGS(c->name),
					STR_ARGS(diagnose_str(status, "name")));
		}
}

static const struct value *node_of(const struct diagnose_case *c) {
	struct str name = diagnose_str(c->object, "spec.nodeName");
	value_each(node, c->world->nodes) if (name.len && str_equal(diagnose_str(node, "metadata.name"), name)) return node;
	return NULL;
}

/* A node that does not report explains more than what its pods last said, unless that was final. */
static void look_at_node(struct diagnose_case *c) {
	struct str name = diagnose_str(c->object, "spec.nodeName");
	const struct value *node = node_of(c), *ready = diagnose_condition(node, "Ready");
	if (!name.len || !c->world->nodes || c->out->state == DIAGNOSIS_STUCK)
		return;
	bool is_ready = !ready || str_is(diagnose_str(ready, "status"), "True");
	if (node && is_ready)
		return;
	*c->out = (struct diagnosis){0};
	int64_t age_s = diagnose_age(c, diagnose_time(c->object, "metadata.creationTimestamp"));
	if (!node && !diagnose_condition(c->object, "PodScheduled") && age_s >= DIAGNOSIS_MISSING_GRACE_S) { /* no scheduler chose it */
		if (diagnose_say(c, DIAGNOSIS_STUCK, "node_name", "nodeName %.*s: there is no node of that name in the cluster", STR_ARGS(name)))
			diagnose_fix(c, "no nodeName in .mlctl/templates/kubernetes/deployment.yaml; %s: scheduling.nodeSelector chooses by labels",
				diagnose_settings(c));
		return;
	}
	if (!node)
		diagnose_say(c, DIAGNOSIS_WAITING, "node_gone", "node %.*s, on which it runs, is no longer in the cluster", STR_ARGS(name));
	else
		diagnose_say(c, DIAGNOSIS_WAITING, "node_not_ready", "node %.*s is not ready for %lld s: %.*s: %.*s", STR_ARGS(name),
			(long long) diagnose_age(c, diagnose_time(ready, "lastTransitionTime")), STR_ARGS(diagnose_str(ready, "reason")),
			STR_ARGS(diagnose_quote(diagnose_str(ready, "message"), DIAGNOSE_QUOTE)));
	diagnose_fix(c, "kubectl describe node %.*s", STR_ARGS(name));
}

/* Being deleted: no fault, unless it takes longer than it asked for. */
static void look_at_leaving(struct diagnose_case *c) {
	int64_t late_s = diagnose_age(c, diagnose_time(c->object, "metadata.deletionTimestamp"));
	if (late_s < TERMINATING_LATE_S)
		return;
	const struct value *finalizer = value_at(value_find(c->object, "metadata.finalizers"), 0);
	look_at_node(c);
	if (c->out->state != DIAGNOSIS_FINE)
		return;
	if (finalizer && finalizer->kind == VALUE_STRING) {
		if (diagnose_say(c, DIAGNOSIS_WAITING, "terminating", "it should have been gone %lld s ago; finalizer %.*s holds it",
			    (long long) late_s, STR_ARGS(diagnose_quote(finalizer->text, 120))))
			diagnose_fix(c, "the controller that owns the finalizer has to remove it, or: kubectl -n %.*s edit pod %.*s",
				STR_ARGS(c->space), STR_ARGS(c->name));
		return;
	}
	if (diagnose_say(c, DIAGNOSIS_WAITING, "terminating", "it should have been gone %lld s ago; its processes do not end",
		    (long long) late_s))
		diagnose_fix(c, "kubectl -n %.*s delete pod %.*s --grace-period=0 --force", STR_ARGS(c->space), STR_ARGS(c->name));
}

/* A pod that is over is replaced; the same end three times in a row is no accident. The ended pods tell, or their events when they are gone
 * already. */
static int64_t ends_alike(const struct diagnose_case *c, struct str reason) {
	struct str owner = diagnose_str(value_at(value_find(c->object, "metadata.ownerReferences"), 0), "name");
	int64_t events = 0, pods = 0;
	value_each(event, c->world->events) {
		struct str name = diagnose_str(event, "involvedObject.name");
		bool is_kin = owner.len && name.len > owner.len && memcmp(name.ptr, owner.ptr, owner.len) == 0;
		events += is_kin && str_equal(diagnose_str(event, "reason"), reason);
	}
	value_each(pod, c->world->pods) {
		struct str of = diagnose_str(value_at(value_find(pod, "metadata.ownerReferences"), 0), "name");
		pods += owner.len && str_equal(of, owner) && str_is(diagnose_str(pod, "status.phase"), "Failed") &&
			str_equal(diagnose_str(pod, "status.reason"), reason);
	}
	return events > pods ? events : pods;
}

static void look_at_end(struct diagnose_case *c) {
	struct str reason = diagnose_str(c->object, "status.reason"),
		   message = diagnose_quote(diagnose_str(c->object, "status.message"), 220);
	struct str node = diagnose_str(c->object, "spec.nodeName");
	const char *settings = diagnose_settings(c);
	int64_t n = ends_alike(c, reason);
	enum diagnosis_state by_repeats = n >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING;
	if (str_is(reason, "Evicted")) {
		bool is_disk = diagnose_has(message, "ephemeral"), is_memory = diagnose_has(message, "memory");
		if (diagnose_say(c, by_repeats, "evicted", "evicted from node %.*s%s: %.*s", STR_ARGS(node), n > 1 ? " again" : "",
			    STR_ARGS(message))) {
			if (diagnose_has(message, "emptydir"))
				diagnose_fix(c, "it writes more than the sizeLimit of that emptyDir: a higher one in "
						".mlctl/templates/kubernetes/deployment.yaml");
			else if (is_disk && diagnose_has(message, "limit"))
				diagnose_fix(c, "it writes more than its ephemeral-storage limit: a higher one, or a volume, in "
						".mlctl/templates/kubernetes/deployment.yaml");
			else
				diagnose_fix(c,
					is_memory ? "%s: resources.memory: what it really uses, so that it is placed where there is room"
						  : "%s: scheduling, or free the node's disk",
					settings);
		}
	} else if (str_is(reason, "DeadlineExceeded")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "deadline", "it was stopped by its activeDeadlineSeconds %lld: %.*s",
			    (long long) diagnose_int(c->object, "spec.activeDeadlineSeconds", 0), STR_ARGS(message)))
			diagnose_fix(c, "no activeDeadlineSeconds in a server's pod (.mlctl/templates/kubernetes/deployment.yaml)");
	} else if (str_is(reason, "SysctlForbidden") || str_is(reason, "AppArmor")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "security_profile", "node %.*s refuses it: %.*s", STR_ARGS(node), STR_ARGS(message)))
			diagnose_fix(c, "drop it from securityContext, or allow it in the node's kubelet");
	} else if (str_is(reason, "Preempting") || str_is(reason, "Preempted")) {
		diagnose_say(
			c, DIAGNOSIS_FAILING, "preempted", "it had to make room for a pod of higher priority: %.*s", STR_ARGS(message));
	} else if (str_is(reason, "NodeLost") || str_is(reason, "NodeShutdown") || str_is(reason, "Terminated") ||
		   str_is(reason, "Shutdown")) {
		diagnose_say(
			c, DIAGNOSIS_WAITING, "node_gone", "node %.*s went away or shut down: %.*s", STR_ARGS(node), STR_ARGS(message));
	} else if (str_starts(reason, "OutOf") || str_is(reason, "UnexpectedAdmissionError") || str_is(reason, "NodeAffinity") ||
		   str_is(reason, "NodePorts")) {
		if (diagnose_say(c, by_repeats, "node_refused", "node %.*s refuses it (%.*s): %.*s", STR_ARGS(node), STR_ARGS(reason),
			    STR_ARGS(message)))
			diagnose_fix(c, "kubectl describe node %.*s", STR_ARGS(node));
	} else {
		look_at_containers(c);
		diagnose_say(c, DIAGNOSIS_FAILING, "pod_failed", "it ended (%.*s): %.*s", STR_ARGS(reason.len ? reason : STR("Failed")),
			STR_ARGS(message));
	}
}

static void look_at_gates(struct diagnose_case *c) {
	value_each(gate, value_find(c->object, "spec.readinessGates")) {
		struct str type = diagnose_str(gate, "conditionType");
		bool is_open = false;
		value_each(condition, value_find(c->object, "status.conditions")) is_open =
			is_open || (str_equal(diagnose_str(condition, "type"), type) && str_is(diagnose_str(condition, "status"), "True"));
		if (!is_open && diagnose_say(c, DIAGNOSIS_WAITING, "readiness_gate",
					"readiness gate %.*s is not open: its controller has not set that condition", STR_ARGS(type)))
			diagnose_fix(c, "see to the controller that sets %.*s, or no readinessGates in .mlctl/templates/kubernetes/deployment.yaml",
				STR_ARGS(diagnose_quote(type, 80)));
	}
}

static bool has_container_waiting(const struct value *pod) {
	const struct value *statuses = value_find(pod, "status.containerStatuses"),
			   *inits = value_find(pod, "status.initContainerStatuses");
	bool is_begun = false, is_waiting = !statuses || !statuses->count;
	value_each(status, inits) is_begun = is_begun || value_find(status, "state.running") || value_find(status, "state.terminated");
	value_each(status, statuses) {
		struct str reason = diagnose_str(status, "state.waiting.reason");
		is_waiting = is_waiting || str_is(reason, "ContainerCreating") || (str_is(reason, "PodInitializing") && !is_begun);
		is_begun = is_begun || value_find(status, "state.running");
	}
	return is_waiting;
}

void diagnose_pod(const struct diagnose_world *world, const struct value *pod, struct diagnosis *out) {
	struct diagnose_case c;
	diagnose_case_open(&c, world, pod, out);
	struct str phase = diagnose_str(pod, "status.phase");
	if (!pod || pod->kind != VALUE_OBJECT)
		return;
	if (value_find(pod, "metadata.deletionTimestamp")) {
		look_at_leaving(&c);
		return;
	}
	if (str_is(phase, "Failed")) {
		look_at_end(&c);
		return;
	}
	if (!diagnose_str(pod, "spec.nodeName").len) {
		diagnose_schedule(&c);
		return;
	}
	look_at_containers(&c);
	if (out->state == DIAGNOSIS_FINE && has_container_waiting(pod))
		diagnose_prepare(&c);
	const struct value *ready = diagnose_condition(pod, "Ready"), *ready_containers = diagnose_condition(pod, "ContainersReady");
	if (!str_is(diagnose_str(ready, "status"), "True")) {
		look_at_node(&c);
		if (str_is(diagnose_str(ready_containers, "status"), "True"))
			look_at_gates(&c);
	}
}

/* The ReplicaSet of the newest template. */
static const struct value *newest_set(const struct diagnose_world *world) {
	const struct value *newest = NULL;
	int64_t revision = -1;
	value_each(set, world->replica_sets) {
		const struct value *annotations = value_find(set, "metadata.annotations");
		int64_t n = 0;
		value_each(annotation, annotations) if (str_is(annotation->key, "deployment.kubernetes.io/revision"))
			best_effort(num_int(annotation->text, 0, INT32_MAX, &n));
		if (n > revision) {
			revision = n;
			newest = set;
		}
	}
	return newest;
}

/* The replica count is turned up and down by two who don't know of each other: an autoscaler and somebody who writes spec.replicas. */
static void look_at_fight(struct diagnose_case *c) {
	struct diagnose_event up, down;
	const struct diagnose_wanted ups = {
		.kind = "Deployment", .reasons = "ScalingReplicaSet", .words = "scaled up", .since_s = c->world->now_s - SETTLED_S};
	const struct diagnose_wanted downs = {
		.kind = "Deployment", .reasons = "ScalingReplicaSet", .words = "scaled down", .since_s = c->world->now_s - SETTLED_S};
	if (!diagnose_event_find(c, &ups, &up) || !diagnose_event_find(c, &downs, &down) || up.count < FLIPS_MIN || down.count < FLIPS_MIN)
		return;
	struct str set = diagnose_between(up.message, "replica set ", " ");
	if (!set.len || !str_equal(set, diagnose_between(down.message, "replica set ", " ")))
		return; /* an ordinary rolling update: one set grows, another shrinks */
	if (diagnose_say(c, DIAGNOSIS_FAILING, "replicas_fought_over",
		    "its replicas go up (%lldx) and down (%lldx): an autoscaler and somebody else both set them; last: %.*s",
		    (long long) up.count, (long long) down.count,
		    STR_ARGS(diagnose_quote(up.last_s >= down.last_s ? up.message : down.message, 120))))
		diagnose_fix(c,
			"kubectl -n %.*s get deployment %.*s --show-managed-fields -o yaml   (who owns spec.replicas besides the HPA)",
			STR_ARGS(c->space), STR_ARGS(c->name));
}

/* What a Deployment waits for by its own settings. */
static void look_at_waits(struct diagnose_case *c) {
	int64_t wanted = diagnose_int(c->object, "spec.replicas", 1), ready = diagnose_int(c->object, "status.readyReplicas", 0);
	int64_t available = diagnose_int(c->object, "status.availableReplicas", 0),
		settle_s = diagnose_int(c->object, "spec.minReadySeconds", 0);
	if (wanted == 0 && diagnose_say(c, DIAGNOSIS_WAITING, "scaled_to_zero",
				   "Deployment %.*s is scaled to 0 pods, and an autoscaler leaves that alone", STR_ARGS(c->name)))
		diagnose_fix(c, "kubectl -n %.*s scale deployment/%.*s --replicas=1", STR_ARGS(c->space), STR_ARGS(c->name));
	if (ready >= wanted && available < wanted && settle_s >= SETTLE_LONG_S &&
		diagnose_say(c, DIAGNOSIS_WAITING, "min_ready_seconds",
			"all %lld pods are ready; each counts only after minReadySeconds %lld", (long long) ready, (long long) settle_s))
		diagnose_fix(c, "a lower minReadySeconds in .mlctl/templates/kubernetes/deployment.yaml");
	if (!str_is(diagnose_str(c->object, "spec.strategy.type"), "Recreate") ||
		diagnose_int(newest_set(c->world), "status.replicas", 1) > 0)
		return;
	value_each(pod, c->world->pods) {
		const struct value *finalizer = value_at(value_find(pod, "metadata.finalizers"), 0);
		struct str held = finalizer && finalizer->kind == VALUE_STRING ? diagnose_quote(finalizer->text, 100) : STR("");
		int64_t late_s = diagnose_age(c, diagnose_time(pod, "metadata.deletionTimestamp"));
		if (late_s >= INIT_SLOW_S &&
			diagnose_say(c, DIAGNOSIS_WAITING, "terminating",
				"the old pod %.*s should have been gone %lld s ago%s%.*s; strategy Recreate waits for it",
				STR_ARGS(diagnose_str(pod, "metadata.name")), (long long) late_s, held.len ? ", held by finalizer " : "",
				STR_ARGS(held)))
			diagnose_fix(c, "kubectl -n %.*s describe pod %.*s   (who removes the finalizer?), or strategy RollingUpdate",
				STR_ARGS(c->space), STR_ARGS(diagnose_str(pod, "metadata.name")));
	}
}

static void look_at_refusals(struct diagnose_case *c) {
	const struct value *set = newest_set(c->world), *failure = diagnose_condition(set, "ReplicaFailure");
	if (!set)
		failure = diagnose_condition(c->object, "ReplicaFailure");
	if (!str_is(diagnose_str(failure, "status"), "True"))
		return;
	struct str message = diagnose_str(failure, "message");
	int64_t first_s = diagnose_time(failure, "lastTransitionTime"), count = 1;
	struct diagnose_case of_set = *c;
	of_set.object = set;
	struct diagnose_event event;
	const struct diagnose_wanted wanted = {.kind = "ReplicaSet", .reasons = "FailedCreate"};
	if (set && diagnose_event_find(&of_set, &wanted, &event)) {
		count = event.count;
		if (event.first_s >= 0 && event.first_s < first_s)
			first_s = event.first_s;
	}
	if (!str_is(diagnose_str(failure, "reason"), "FailedDelete"))
		diagnose_refusal(c, message, first_s, count);
}

void diagnose_deployment(const struct diagnose_world *world, const struct value *deployment, struct diagnosis *out) {
	struct diagnose_case c;
	diagnose_case_open(&c, world, deployment, out);
	if (!deployment || deployment->kind != VALUE_OBJECT)
		return;
	int64_t generation = diagnose_int(deployment, "metadata.generation", 0),
		observed = diagnose_int(deployment, "status.observedGeneration", 0);
	look_at_refusals(&c);
	if (diagnose_bool(deployment, "spec.paused") &&
		diagnose_say(
			&c, DIAGNOSIS_STUCK, "paused", "Deployment %.*s is paused: its new template is not rolled out", STR_ARGS(c.name)))
		diagnose_fix(&c, "kubectl -n %.*s rollout resume deployment/%.*s", STR_ARGS(c.space), STR_ARGS(c.name));
	const struct value *progress = diagnose_condition(deployment, "Progressing");
	if (observed >= generation && str_is(diagnose_str(progress, "reason"), "ProgressDeadlineExceeded") &&
		diagnose_say(&c, DIAGNOSIS_STUCK, "progress_deadline", "no pod became ready within progressDeadlineSeconds %lld: %.*s",
			(long long) diagnose_int(deployment, "spec.progressDeadlineSeconds", 600),
			STR_ARGS(diagnose_quote(diagnose_str(progress, "message"), DIAGNOSE_QUOTE))))
		diagnose_fix(&c, "kubectl -n %.*s get pods,events", STR_ARGS(c.space));
	look_at_fight(&c);
	look_at_waits(&c);
	if (observed < generation && diagnose_age(&c, diagnose_time(deployment, "metadata.creationTimestamp")) >= 10)
		diagnose_say(&c, DIAGNOSIS_WAITING, "controller_behind",
			"the cluster's deployment controller has not seen the last change (generation %lld, seen %lld)",
			(long long) generation, (long long) observed);
}
