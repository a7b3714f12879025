/* Why a pod finds no node: what it asks for against what the nodes have, and whether waiting can help. The scheduler's sentence ("0/3 nodes
 * are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: ...") counts reasons; the nodes themselves say
 * whether a request is above all. */
#include "kube/diagnose_case.h"

#include <math.h>
#include <stdio.h>

#define REASONS_MAX 12
#define NODES_NAMED_MAX 3

/* passes: something may still make room, or come. */
static const struct obstacle {
	const char *words, *cause;
	bool passes;
} obstacles[] = {
	{"insufficient ", "unschedulable", true},
	{"node.kubernetes.io/not-ready|node.kubernetes.io/unreachable|node(s) were not "
	 "ready|network-unavailable|cloudprovider.kubernetes.io/uninitialized|were unreachable|agent-not-ready|startup-taint|karpenter.sh/unregistered|"
	 "karpenter.sh/disrupted|ToBeDeletedByClusterAutoscaler|DeletionCandidateOfClusterAutoscaler",
		"node_not_ready", true},
	{"disk-pressure|memory-pressure|pid-pressure|out-of-disk", "node_pressure", true},
	{"were unschedulable|node.kubernetes.io/unschedulable", "nodes_cordoned", true},
	{"too many pods", "too_many_pods", true},
	{"free ports", "host_port_taken", true},
	{"untolerated taint|didn't tolerate", "node_taint", false},
	{"node affinity conflict|persistentvolume's node affinity|volume zone", "volume_node", false},
	{"non-existent pv", "volume_lost", false},
	{"enough free storage", "volume_pending", true},
	{"readwriteoncepod|no available disk", "volume_in_use", true},
	{"affinity/selector|node selector|node affinity", "node_selector", false},
	{"anti-affinity", "pod_anti_affinity", true},
	{"pod affinity", "pod_affinity", true},
	{"missing required label", "topology_spread", false},
	{"topology spread", "topology_spread", true},
	{"max volume count", "volume_limit", true},
	{"persistent volumes to bind|unbound immediate|available persistent volumes", "volume_pending", true},
	{"resourceclaim|cannot allocate all claims", "device_claim", true},
};

struct reason {
	int64_t nodes;
	struct str text;
	const struct obstacle *obstacle;
};

/* Entries begin with a number; what follows a comma and does not, belongs to the one before. */
static size_t read_reasons(struct str message, struct reason *out) {
	size_t count = 0;
	struct str list = diagnose_between(message, "are available: ", ""), rest;
	if (!list.len)
		return 0;
	for (size_t at = 0; at + 11 <= list.len; at++)
		if (memcmp(list.ptr + at, "preemption:", 11) == 0) {
			list.len = at;
			break;
		}
	for (rest = list; rest.ptr && count <= REASONS_MAX;) {
		struct str entry = str_trim(str_cut(rest, ',', &rest)), words;
		struct str number = str_cut(entry, ' ', &words);
		int64_t nodes;
		if (num_int(number, 1, 1000000, &nodes) == 0 && words.ptr) {
			if (count == REASONS_MAX)
				break;
			out[count++] = (struct reason){.nodes = nodes, .text = words};
		} else if (count)
			out[count - 1].text.len = (size_t) (entry.ptr + entry.len - out[count - 1].text.ptr);
	}
	for (size_t i = 0; i < count; i++) {
		while (out[i].text.len && (out[i].text.ptr[out[i].text.len - 1] == '.' || out[i].text.ptr[out[i].text.len - 1] == ' '))
			out[i].text.len--;
		for (size_t o = 0; !out[i].obstacle && o < sizeof(obstacles) / sizeof(obstacles[0]); o++)
			if (diagnose_has(out[i].text, obstacles[o].words))
				out[i].obstacle = &obstacles[o];
	}
	return count;
}

/* Any quantity as a number: only compared, so a double is exact enough. */
double diagnose_quantity(struct str text) {
	static const struct {
		const char *suffix;
		double factor;
	} units[] = {{"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}, {"m", 1e-3},
		{"u", 1e-6}, {"n", 1e-9}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"E", 1e18}};
	double factor = 1, number = 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_ends(text, units[i].suffix)) {
			factor = units[i].factor;
			text.len -= strlen(units[i].suffix);
			break;
		}
	return num_double(text, &number) == 0 && number >= 0 ? number * factor : -1;
}

/* "24581684Ki" is 23.4Gi to a person. */
static struct str readable(struct str text, char out[32]) {
	double bytes = str_ends(text, "Ki") ? diagnose_quantity(text) : 0;
	if (bytes < 0x1p30)
		return diagnose_quote(text, 31);
	snprintf(out, 32, "%.1fGi", floor(bytes / 0x1p30 * 10) / 10);
	return str_of(out);
}

/* A container that sets only a limit asks for as much. */
static struct str request_of(const struct value *container, struct str resource) {
	static const char *const places[] = {"resources.requests", "resources.limits"};
	for (size_t i = 0; i < 2; i++)
		value_each(item, value_find(container, places[i])) if (str_equal(item->key, resource) && item->text.len) return item->text;
	return STR("");
}

/* What the pod asks for of a resource: the sum of its containers, or the largest init container; shown as written where one container asks
 * for it all. */
static double asked(const struct value *pod, struct str resource, struct str *shown) {
	double sum = 0, largest = 0;
	int askers = 0;
	*shown = STR("");
	value_each(container, value_find(pod, "spec.containers")) {
		struct str text = request_of(container, resource);
		double n = text.len ? diagnose_quantity(text) : 0;
		if (n > 0) {
			sum += n;
			*shown = ++askers == 1 ? text : STR("");
		}
	}
	value_each(container, value_find(pod, "spec.initContainers")) {
		struct str text = request_of(container, resource);
		double n = text.len ? diagnose_quantity(text) : 0;
		if (str_is(diagnose_str(container, "restartPolicy"), "Always")) {
			sum += n > 0 ? n : 0;
		} else if (n > largest) {
			largest = n;
			if (n > sum)
				*shown = text;
		}
	}
	return sum > largest ? sum : largest;
}

static struct str allocatable(const struct value *node, struct str resource) {
	value_each(item, value_find(node, "status.allocatable")) if (str_equal(item->key, resource)) return item->text;
	return STR("");
}

static bool tolerates(const struct value *pod, const struct value *taint) {
	struct str key = diagnose_str(taint, "key"), effect = diagnose_str(taint, "effect");
	if (str_is(effect, "PreferNoSchedule") || str_starts(key, "node.kubernetes.io/"))
		return true; /* the node's own state passes */
	value_each(toleration, value_find(pod, "spec.tolerations")) {
		struct str k = diagnose_str(toleration, "key"), e = diagnose_str(toleration, "effect");
		bool is_any = str_is(diagnose_str(toleration, "operator"), "Exists");
		if ((!e.len || str_equal(e, effect)) && ((!k.len && is_any) || str_equal(k, key)) &&
			(is_any || str_equal(diagnose_str(toleration, "value"), diagnose_str(taint, "value"))))
			return true;
	}
	return false;
}

static bool is_open_to(const struct value *pod, const struct value *node) {
	value_each(taint, value_find(node, "spec.taints")) if (!tolerates(pod, taint)) return false;
	value_each(wanted, value_find(pod, "spec.nodeSelector")) {
		bool is_met = false;
		value_each(label, value_find(node, "metadata.labels")) is_met =
			is_met || (str_equal(label->key, wanted->key) && str_equal(label->text, wanted->text));
		if (!is_met)
			return false;
	}
	return true;
}

/* The resource that every node open to the pod has too little of even when empty; false when none, or when no node is known. */
static bool above_every_node(struct diagnose_case *c, const struct reason *reasons, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (!diagnose_has(reasons[i].text, "insufficient "))
			continue;
		struct str resource = diagnose_between(reasons[i].text, "insufficient ", ""), rest, shown;
		resource = str_cut(resource, ' ', &rest);
		double need = asked(c->object, resource, &shown), most = -1;
		struct str most_text = STR("none"), most_node = STR("");
		value_each(node, c->world->nodes) {
			struct str text = allocatable(node, resource);
			double has = text.len ? diagnose_quantity(text) : 0;
			if (is_open_to(c->object, node) && has > most) {
				most = has;
				most_text = text.len ? text : STR("none");
				most_node = diagnose_str(node, "metadata.name");
			}
		}
		if (most < 0 || need <= most)
			continue;
		char sum[48], most_readable[32];
		most_text = readable(most_text, most_readable);
		snprintf(sum, sizeof(sum), "%.10g", need);
		struct str ask = diagnose_quote(shown.len ? shown : str_of(sum), 40);
		if (!diagnose_say(c, DIAGNOSIS_STUCK, "request_above_nodes",
			    "unschedulable: it asks for %.*s %.*s, and the largest of %zu node%s it may run on (%.*s) has %.*s",
			    STR_ARGS(ask), STR_ARGS(resource), c->world->nodes->count, c->world->nodes->count == 1 ? "" : "s",
			    STR_ARGS(most_node), STR_ARGS(most_text)))
			return true;
		if (str_is(resource, "cpu") || str_is(resource, "memory"))
			diagnose_fix(c, "%s: resources.%.*s: at most %.*s, less what the node's other pods ask for", diagnose_settings(c),
				STR_ARGS(resource), STR_ARGS(most_text));
		else
			diagnose_fix(c, "a node that offers %.*s (kubectl describe nodes), or resources without it", STR_ARGS(resource));
		return true;
	}
	return false;
}

static void name_nodes(const struct diagnose_case *c, char *out, size_t size) {
	size_t used = 0, shown = 0, count = c->world->nodes ? c->world->nodes->count : 0;
	*out = '\0';
	value_each(node, c->world->nodes) {
		struct str name = diagnose_quote(diagnose_str(node, "metadata.name"), 40);
		int n = snprintf(out + used, size - used, "%s%.*s", shown ? ", " : " (", STR_ARGS(name));
		if (n < 0 || used + (size_t) n >= size - 8)
			break;
		used += (size_t) n;
		if (++shown == NODES_NAMED_MAX)
			break;
	}
	if (shown)
		snprintf(out + used, size - used, "%s)", count > shown ? ", ..." : "");
}

static void fix(struct diagnose_case *c, const struct reason *reason) {
	const char *cause = reason->obstacle ? reason->obstacle->cause : "", *settings = diagnose_settings(c);
	if (strcmp(cause, "unschedulable") == 0) {
		struct str resource = diagnose_between(reason->text, "insufficient ", ""), shown;
		asked(c->object, resource, &shown);
		diagnose_fix(c, "%s: resources.%.*s: less than %.*s, or a further node", settings, STR_ARGS(resource),
			STR_ARGS(shown.len ? shown : STR("now")));
	} else if (strcmp(cause, "node_taint") == 0) {
		struct str taint = diagnose_between(reason->text, "{", "}"), value, key = str_cut(taint, ':', &value);
		diagnose_fix(c, "%s: scheduling.tolerations: [{key: %.*s, operator: Exists}]", settings, STR_ARGS(str_trim(key)));
	} else if (strcmp(cause, "node_selector") == 0)
		diagnose_fix(c, "%s: scheduling.nodeSelector: labels that a node has (kubectl get nodes --show-labels)", settings);
	else if (strcmp(cause, "nodes_cordoned") == 0)
		diagnose_fix(c, "kubectl uncordon NODE   (kubectl get nodes shows which)");
	else if (strncmp(cause, "volume", 6) == 0)
		diagnose_fix(c, "kubectl -n %.*s get pvc,pv", STR_ARGS(c->space));
	else if (strcmp(cause, "host_port_taken") == 0)
		diagnose_fix(c, "no hostPort in the pod: a Service reaches it without");
	else if (diagnose_has(reason->text, "missing required label"))
		diagnose_fix(
			c, "topologySpreadConstraints: a topologyKey that the nodes have as a label (kubectl get nodes --show-labels)");
	else if (strcmp(cause, "pod_anti_affinity") == 0 || strcmp(cause, "topology_spread") == 0)
		diagnose_fix(c, "%s: scale.min: at most as many as there are nodes, or a rule that prefers instead of requires", settings);
	else
		diagnose_fix(c, "kubectl describe nodes");
}

static bool is_someone_leaving(const struct diagnose_case *c) {
	value_each(pod, c->world->pods) {
		bool has_place = !value_get(pod, "spec") || diagnose_str(pod, "spec.nodeName").len;
		if (has_place && value_find(pod, "metadata.deletionTimestamp"))
			return true;
	}
	return false;
}

static struct str label_of(const struct value *object, const char *name) {
	value_each(label, value_find(object, "metadata.labels")) if (str_is(label->key, name) && label->kind == VALUE_STRING) return label->text;
	return STR("");
}

/* What holds the place is a pod of the same Deployment that waits for this one to be ready: neither moves. Only pods that are known count.
 */
static bool is_blocked_by_its_own(const struct diagnose_case *c) {
	const struct value *labels = value_find(c->object, "metadata.labels");
	if (!c->world->pods || is_someone_leaving(c))
		return false;
	value_each(pod, c->world->pods) {
		if (!diagnose_str(pod, "spec.nodeName").len || str_equal(diagnose_str(pod, "metadata.uid"), c->uid))
			continue;
		struct str service = label_of(c->object, "mlctl.dev/service");
		if (service.len && str_equal(service, label_of(pod, "mlctl.dev/service")))
			return true; /* the stable version, which stays for as long as its canary is not ready */
		bool is_kin = labels && labels->count > 0;
		value_each(label, labels) {
			bool is_same = str_is(label->key, "pod-template-hash");
			value_each(other, value_find(pod, "metadata.labels")) is_same =
				is_same || (str_equal(other->key, label->key) && str_equal(other->text, label->text));
			is_kin = is_kin && is_same;
		}
		if (is_kin)
			return true;
	}
	return false;
}

static void claim_missing(struct diagnose_case *c, struct str message, int64_t since_s) {
	struct str claim = diagnose_between(message, "persistentvolumeclaim \"", "\"");
	bool is_missing = diagnose_has(message, "not found");
	if (!claim.len)
		value_each(volume, value_find(c->object, "spec.volumes")) if (!claim.len) claim =
			diagnose_str(volume, "persistentVolumeClaim.claimName");
	claim = diagnose_quote(claim, 100);
	if (is_missing) {
		if (diagnose_say(c, diagnose_age(c, since_s) >= DIAGNOSIS_MISSING_GRACE_S ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING,
			    "volume_claim_missing", "PersistentVolumeClaim %.*s is not in namespace %.*s", STR_ARGS(claim),
			    STR_ARGS(c->space)))
			diagnose_fix(c, "kubectl -n %.*s apply -f a PersistentVolumeClaim named %.*s", STR_ARGS(c->space), STR_ARGS(claim));
		return;
	}
	if (diagnose_has(message, "is being deleted|non-existent|has lost")) {
		if (diagnose_say(c, diagnose_age(c, since_s) >= DIAGNOSIS_SECRET_GRACE_S ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING,
			    "volume_lost", "PersistentVolumeClaim %.*s can't be used: %.*s", STR_ARGS(claim),
			    STR_ARGS(diagnose_quote(message, DIAGNOSE_QUOTE))))
			diagnose_fix(c, "kubectl -n %.*s describe pvc %.*s", STR_ARGS(c->space), STR_ARGS(claim));
		return;
	}
	/* The claim's own events say why it stays pending. */
	struct str why = STR("");
	value_each(event, c->world->events) {
		const struct value *about = value_get(event, "involvedObject");
		if (str_is(diagnose_str(about, "kind"), "PersistentVolumeClaim") && str_equal(diagnose_str(about, "name"), claim) &&
			!str_is(diagnose_str(event, "reason"), "WaitForFirstConsumer"))
			why = diagnose_str(event, "message");
	}
	bool is_hopeless = diagnose_has(why, "no storage class is set|storageclass.storage.k8s.io") &&
			   diagnose_age(c, since_s) >= DIAGNOSIS_MISSING_GRACE_S;
	if (diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING, "volume_pending",
		    "PersistentVolumeClaim %.*s is not bound to a volume%s%.*s", STR_ARGS(claim), why.len ? ": " : "",
		    STR_ARGS(diagnose_quote(why, DIAGNOSE_QUOTE))))
		diagnose_fix(c, "kubectl -n %.*s describe pvc %.*s   (its storageClassName: kubectl get storageclass)", STR_ARGS(c->space),
			STR_ARGS(claim));
}

static void say_reasons(struct diagnose_case *c, struct str message, int64_t since_s) {
	struct reason reasons[REASONS_MAX] = {0};
	size_t count = read_reasons(message, reasons);
	char nodes[160], of[48] = "";
	const struct reason *first = NULL;
	bool may_pass = count == 0;
	for (size_t i = 0; i < count; i++) {
		may_pass = may_pass || !reasons[i].obstacle || reasons[i].obstacle->passes;
		if (!first || reasons[i].nodes > first->nodes)
			first = &reasons[i];
	}
	struct diagnose_event event;
	const struct diagnose_wanted scaled = {
		.reasons = "TriggeredScaleUp", .since_s = diagnose_time(c->object, "metadata.creationTimestamp")};
	struct str nominated = diagnose_str(c->object, "status.nominatedNodeName");
	bool is_growing = diagnose_event_find(c, &scaled, &event) || nominated.len;
	if (!is_growing && above_every_node(c, reasons, count))
		return;
	const char *cause = first && first->obstacle ? first->obstacle->cause : "unschedulable";
	bool is_own = strcmp(cause, "host_port_taken") == 0 || strcmp(cause, "pod_anti_affinity") == 0;
	bool is_deadlock = is_own && is_blocked_by_its_own(c);
	bool is_hopeless = !is_growing && (!may_pass || is_deadlock) && diagnose_age(c, since_s) >= DIAGNOSIS_MISSING_GRACE_S;
	struct str list = count ? diagnose_between(message, "are available: ", "") : message;
	if (count) {
		const struct reason *last = &reasons[count - 1];
		list.len = (size_t) (last->text.ptr + last->text.len - list.ptr);
	}
	name_nodes(c, nodes, sizeof(nodes));
	if (nodes[0])
		snprintf(of, sizeof(of), " of %zu", c->world->nodes->count);
	struct str resource = diagnose_between(message, "insufficient ", ""), shown = STR(""), rest;
	if (first && strcmp(cause, "unschedulable") == 0) {
		resource = diagnose_between(first->text, "insufficient ", "");
		resource = str_cut(resource, ' ', &rest);
		asked(c->object, resource, &shown);
	}
	bool has_asked = shown.len > 0;
	if (diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING, cause,
		    "unschedulable: no node%s%s takes it: %.*s%s%.*s%s%.*s%s%s", of, nodes, STR_ARGS(diagnose_quote(list, DIAGNOSE_QUOTE)),
		    has_asked ? "; it asks for " : "", STR_ARGS(shown), has_asked ? " " : "", STR_ARGS(has_asked ? resource : STR("")),
		    is_deadlock ? "; the older pod there waits for this one" : "",
		    nominated.len ? "; pods of lower priority make room"
		    : is_growing  ? "; the autoscaler adds a node"
				  : "") &&
		first)
		fix(c, first);
}

void diagnose_schedule(struct diagnose_case *c) {
	const struct value *condition = diagnose_condition(c->object, "PodScheduled");
	struct str reason = diagnose_str(condition, "reason"), message = diagnose_str(condition, "message");
	int64_t created_s = diagnose_time(c->object, "metadata.creationTimestamp"),
		since_s = diagnose_time(condition, "lastTransitionTime");
	if (since_s < 0)
		since_s = created_s;
	if (str_is(reason, "SchedulingGated")) {
		struct str gate = diagnose_str(value_at(value_find(c->object, "spec.schedulingGates"), 0), "name");
		diagnose_say(c, DIAGNOSIS_WAITING, "scheduling_gate", "scheduling gate %.*s is closed: whoever set it has to open it",
			STR_ARGS(gate));
		return;
	}
	if (!condition || !message.len) {
		struct str scheduler = diagnose_str(c->object, "spec.schedulerName");
		if (!scheduler.len)
			scheduler = STR("default-scheduler");
		if (diagnose_age(c, created_s) >= 5 &&
			diagnose_say(c, DIAGNOSIS_WAITING, "not_scheduled",
				"scheduler %.*s has not looked at it for %lld s: is it running?", STR_ARGS(scheduler),
				(long long) diagnose_age(c, created_s)))
			diagnose_fix(c, "bring scheduler %.*s back (kubectl -n kube-system get pods,leases), or another schedulerName in "
					".mlctl/templates/kubernetes/deployment.yaml",
				STR_ARGS(diagnose_quote(scheduler, 60)));
		return;
	}
	if (diagnose_has(message, "persistentvolumeclaim \"|unbound immediate PersistentVolumeClaims"))
		claim_missing(c, message, since_s);
	else
		say_reasons(c, message, since_s);
}
