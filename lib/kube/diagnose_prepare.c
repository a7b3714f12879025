/* A pod that has a node and no container yet: its volumes, its network, its pull under way. Told by events, which outlive what they tell
 * of: one that is older than a later step's does not count. */
#include "kube/diagnose_case.h"

#define SLOW_S 5
#define DETAIL_MAX 200 /* of a chain of causes the end says most */

/* Mounts come before the sandbox, that before the pull. */
static bool is_past(const struct diagnose_case *c, int64_t when_s, const char *later) {
	struct diagnose_event event;
	const struct diagnose_wanted wanted = {.reasons = later, .since_s = when_s + 1};
	return diagnose_event_find(c, &wanted, &event);
}

static void mount(struct diagnose_case *c, const struct diagnose_event *event) {
	struct str volume = diagnose_between(event->message, "failed for volume \"", "\""),
		   why = diagnose_between(event->message, "\" : ", "");
	int64_t failing_s = diagnose_age(c, event->first_s);
	if (!why.len)
		why = event->message;
	value_each(spec, value_find(c->object, "spec.containers")) if (diagnose_memory_is_tiny(c, spec)) return;
	if (diagnose_has(why, "timed out waiting for the condition|not registered|failed to sync")) {
		diagnose_say(c, DIAGNOSIS_WAITING, "node_busy", "volume %.*s: the node has not read what is in it yet: %.*s",
			STR_ARGS(volume), STR_ARGS(diagnose_quote(why, DIAGNOSE_QUOTE)));
		return;
	}
	enum diagnosis_state before = c->out->state;
	if (diagnose_has(why, "secret|configmap|config key"))
		diagnose_reference(c, why, STR(""), event->first_s);
	if (c->out->state != before)
		return;
	if (diagnose_has(event->message, "multi-attach")) {
		if (diagnose_say(c, DIAGNOSIS_WAITING, "volume_in_use",
			    "volume %.*s is attached to another node and can be to one only: %.*s", STR_ARGS(volume),
			    STR_ARGS(diagnose_quote(why, DIAGNOSE_QUOTE))))
			diagnose_fix(c,
				"a volume with accessModes: [ReadWriteMany], or the pod that holds it deleted: kubectl -n %.*s get pods -o "
				"wide",
				STR_ARGS(c->space));
		return;
	}
	bool is_path = diagnose_has(why, "hostpath type check failed|is not a directory|is not a file|no such file|does not exist");
	bool is_account = diagnose_has(why, "serviceaccounts \"|failed to fetch token");
	/* A driver or a kind of file system that an old node does not know will not come by itself. */
	bool is_driver = diagnose_has(why, "list of registered csi drivers|unknown filesystem type|bad option; for several filesystems|no volume plugin matched");
	bool is_hopeless = is_driver && diagnose_node_is_settled(c) ? failing_s >= DIAGNOSIS_MISSING_GRACE_S
			   : is_path ? failing_s >= DIAGNOSIS_MISSING_GRACE_S
				   : event->count >= DIAGNOSIS_REPEATS && failing_s >= DIAGNOSIS_SECRET_GRACE_S;
	if (diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING,
		    is_account  ? "service_account"
		    : is_driver ? "volume_driver"
		    : is_path  ? "volume_path"
			       : "volume_mount",
		    "volume %.*s can't be mounted (%lldx): %.*s", STR_ARGS(volume), (long long) event->count,
		    STR_ARGS(diagnose_quote_end(why, DETAIL_MAX)))) {
		if (is_driver)
			diagnose_fix(c, "install the volume's driver on node %.*s (kubectl get csidrivers,csinodes), or use another volume",
				STR_ARGS(diagnose_str(c->object, "spec.nodeName")));
		else if (is_path)
			diagnose_fix(c, "make the path on node %.*s, or use a volume that does not depend on the node",
				STR_ARGS(diagnose_str(c->object, "spec.nodeName")));
		else
			diagnose_fix(c, "kubectl -n %.*s describe pod %.*s", STR_ARGS(c->space), STR_ARGS(c->name));
	}
}

static void sandbox(struct diagnose_case *c, const struct diagnose_event *event) {
	static const struct {
		const char *cause, *words, *says;
		bool is_hopeless;
	} known[] = {
		{"runtime_class", "runtimehandler|runtime handler|no runtime for", "the node does not know its RuntimeClass's handler",
			true},
		{"network_addresses", "no ip addresses available|failed to allocate|assign an ip|ipam|insufficientfreeaddresses",
			"the node's network has no free address for it", false},
		{"network_plugin", "cni|network plugin|networkplugin|network is not ready|failed to setup network|set up pod network|netns",
			"the node's network plugin fails", false},
		{"out_of_memory", "oom-killed|memory limit too low|cannot allocate memory", "the memory limit is too low to start", true},
		{"pause_image", "failed to get sandbox image|pause", "the node can't get its own pause image", false},
		{"security_profile", "seccomp|apparmor|sysctl", "a security setting that it asks for can't be had on the node", true},
		{"host_port_taken", "address already in use|hostport", "a hostPort is taken on the node", false},
	};
	value_each(spec, value_find(c->object, "spec.containers")) if (diagnose_memory_is_tiny(c, spec)) return;
	int64_t failing_s = diagnose_age(c, event->first_s);
	struct str node = diagnose_str(c->object, "spec.nodeName"), detail = diagnose_between(event->message, "desc = ", "");
	const char *cause = "sandbox", *says = "the node can't make its sandbox";
	bool is_hopeless = event->count >= DIAGNOSIS_REPEATS && failing_s >= 60;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (diagnose_has(event->message, known[i].words)) {
			cause = known[i].cause;
			says = known[i].says;
			is_hopeless = is_hopeless || known[i].is_hopeless;
			break;
		}
	if (diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING, cause, "node %.*s: %s (%lldx): %.*s", STR_ARGS(node), says,
		    (long long) event->count, STR_ARGS(diagnose_quote_end(detail.len ? detail : event->message, DETAIL_MAX))))
		diagnose_fix(c, "kubectl describe node %.*s", STR_ARGS(node));
}

void diagnose_prepare(struct diagnose_case *c) {
	struct diagnose_event event;
	const struct diagnose_wanted attach = {.reasons = "FailedAttachVolume|FailedMount|FailedMapVolume", .words = NULL};
	const struct diagnose_wanted specific = {
		.reasons = "FailedAttachVolume|FailedMount|FailedMapVolume", .words = "failed for volume|multi-attach"};
	const struct diagnose_wanted box = {
		.reasons = "FailedCreatePodSandBox|FailedCreatePodSandbox|NetworkNotReady|FailedPodSandBoxStatus|CNIError"};
	const struct diagnose_wanted pulling = {.reasons = "Pulling"}, pulled = {.reasons = "Pulled|Failed"};
	if ((diagnose_event_find(c, &specific, &event) || diagnose_event_find(c, &attach, &event)) &&
		!is_past(c, event.last_s, "Pulling|Pulled|Created|Started"))
		mount(c, &event);
	if (diagnose_event_find(c, &box, &event) && !is_past(c, event.last_s, "Pulling|Pulled|Created|Started"))
		sandbox(c, &event);
	const struct diagnose_wanted claims = {.reasons = "FailedPrepareDynamicResources"},
				     owners = {.reasons = "VolumePermissionChangeInProgress"};
	if (diagnose_event_find(c, &claims, &event))
		diagnose_say(c, event.count >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING, "device_claim",
			"node %.*s can't prepare a device that it claims (%lldx): %.*s", STR_ARGS(diagnose_str(c->object, "spec.nodeName")),
			(long long) event.count, STR_ARGS(diagnose_quote_end(event.message, DETAIL_MAX)));
	if (diagnose_event_find(c, &owners, &event))
		diagnose_say(c, DIAGNOSIS_WAITING, "volume_permissions",
			"the owner of each file of a volume is being changed to its fsGroup, which takes long for many files: %.*s",
			STR_ARGS(diagnose_quote(event.message, DIAGNOSE_QUOTE)));
	struct diagnose_event done;
	if (diagnose_event_find(c, &pulling, &event) && diagnose_age(c, event.last_s) >= SLOW_S &&
		!(diagnose_event_find(c, &pulled, &done) && done.last_s >= event.last_s))
		diagnose_say(c, DIAGNOSIS_WAITING, "image_pulling", "node %.*s has been pulling for %lld s: %.*s",
			STR_ARGS(diagnose_str(c->object, "spec.nodeName")), (long long) diagnose_age(c, event.last_s),
			STR_ARGS(diagnose_quote(event.message, DIAGNOSE_QUOTE)));
	value_each(spec, value_find(c->object, "spec.containers")) {
		const struct diagnose_wanted started = {.reasons = "Started", .container = diagnose_str(spec, "name")};
		if (value_find(spec, "lifecycle.postStart") && diagnose_event_find(c, &started, &event) &&
			diagnose_age(c, event.last_s) >= SLOW_S &&
			diagnose_say(c, DIAGNOSIS_WAITING, "hook_running",
				"container %.*s: its postStart hook has been running for %lld s, and the container counts as started only "
				"after it",
				STR_ARGS(diagnose_str(spec, "name")), (long long) diagnose_age(c, event.last_s)))
			diagnose_fix(c, "a lifecycle.postStart of container %.*s that ends", STR_ARGS(diagnose_str(spec, "name")));
	}
	int64_t waiting_s = diagnose_age(c, diagnose_time(c->object, "status.startTime"));
	if (waiting_s >= SLOW_S)
		value_each(spec, value_find(c->object, "spec.containers")) if (diagnose_memory_is_tiny(c, spec)) return;
	if (waiting_s >= DIAGNOSIS_SECRET_GRACE_S)
		diagnose_say(c, DIAGNOSIS_WAITING, "container_creating",
			"node %.*s has been preparing its containers for %lld s, and says no more",
			STR_ARGS(diagnose_str(c->object, "spec.nodeName")), (long long) waiting_s);
}
