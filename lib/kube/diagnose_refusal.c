/* Why the API server takes no pod of a ReplicaSet: its sentences, from quota, LimitRange, PodSecurity, webhooks, policies, and what a pod
 * refers to. */
#include "kube/diagnose_case.h"

#include <stdio.h>

#define WEBHOOK_AWAY_S 60 /* one that restarts is back by then */

static enum diagnosis_state after(const struct diagnose_case *c, int64_t first_s, int64_t grace_s) {
	return diagnose_age(c, first_s) >= grace_s ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING;
}

/* "cpu=1" out of "limits.cpu=1,pods=2" */
static struct str part(struct str list, struct str resource) {
	for (struct str rest = list; rest.ptr;) {
		struct str value, name = str_cut(str_trim(str_cut(rest, ',', &rest)), '=', &value);
		if (value.ptr && str_equal(name, resource))
			return value;
	}
	return STR("");
}

static struct str member(const struct value *map, struct str name) {
	value_each(item, map) if (str_equal(item->key, name) && (item->kind == VALUE_STRING || item->kind == VALUE_NUMBER)) return item->text;
	return STR("");
}

/* What was refused once would be taken now: the controller tries again, after a while that doubles each time. */
static bool has_room(const struct diagnose_case *c, struct str quota, struct str resource, struct str ask) {
	value_each(item, c->world->quotas) {
		if (!str_equal(diagnose_str(item, "metadata.name"), quota))
			continue;
		double used = diagnose_quantity(member(value_find(item, "status.used"), resource)),
		       hard = diagnose_quantity(member(value_find(item, "status.hard"), resource)), asks = diagnose_quantity(ask);
		return used >= 0 && hard >= 0 && asks >= 0 && used + asks <= hard;
	}
	return c->world->quotas && quota.len; /* it is gone */
}

/* forbidden: exceeded quota: NAME, requested: limits.cpu=1,pods=1, used: limits.cpu=2,pods=3, limited: limits.cpu=2,pods=3 */
static void quota(struct diagnose_case *c, struct str message, int64_t first_s) {
	struct str name = diagnose_between(message, "exceeded quota: ", ", requested"), rest;
	struct str requested = diagnose_between(message, "requested: ", ", used: "),
		   used = diagnose_between(message, "used: ", ", limited: "), limited = diagnose_between(message, "limited: ", "");
	struct str resource = str_cut(requested, '=', &rest);
	struct str hard = part(limited, resource), ask = part(requested, resource);
	int64_t asks = 0, limit = 0;
	bool is_above = (num_millicores(ask, &asks) == 0 && num_millicores(hard, &limit) == 0) ||
			(num_bytes(ask, &asks) == 0 && num_bytes(hard, &limit) == 0);
	is_above = is_above && asks > limit;
	bool is_leaving = false;
	value_each(pod, c->world->pods) is_leaving = is_leaving || value_find(pod, "metadata.deletionTimestamp");
	bool is_freed = has_room(c, name, resource, ask);
	if (diagnose_say(c,
		    is_freed	 ? DIAGNOSIS_WAITING
		    : is_above	 ? DIAGNOSIS_STUCK
		    : is_leaving ? DIAGNOSIS_WAITING
				 : after(c, first_s, DIAGNOSIS_MISSING_GRACE_S),
		    "quota", "quota %.*s of namespace %.*s: %.*s: it asks for %.*s, %.*s of %.*s are used%s", STR_ARGS(name),
		    STR_ARGS(c->space), STR_ARGS(resource), STR_ARGS(ask), STR_ARGS(part(used, resource)), STR_ARGS(hard),
		    is_freed ? "; there is room by now, and it will be tried again"
		    : is_above ? ": more than the whole quota"
			       : ""))
		diagnose_fix(c, "kubectl -n %.*s edit resourcequota %.*s   (or less of resources and scale in %s)", STR_ARGS(c->space),
			STR_ARGS(name), diagnose_settings(c));
}

/* violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set ...), ... */
static void pod_security(struct diagnose_case *c, struct str message) {
	struct str level = diagnose_between(message, "PodSecurity \"", "\""), rest = diagnose_between(message, "PodSecurity \"", "");
	struct str fields = diagnose_between(rest, "\": ", "");
	if (diagnose_say(c, DIAGNOSIS_STUCK, "pod_security", "PodSecurity %.*s of namespace %.*s refuses the pod: %.*s", STR_ARGS(level),
		    STR_ARGS(c->space), STR_ARGS(diagnose_quote(fields, 260))))
		diagnose_fix(c,
			"set these in securityContext (the built-in template has them), or kubectl label ns %.*s "
			"pod-security.kubernetes.io/enforce=baseline --overwrite",
			STR_ARGS(c->space));
}

static void webhook_away(struct diagnose_case *c, struct str message, int64_t first_s) {
	struct str name = diagnose_between(message, "failed calling webhook \"", "\"");
	struct str why = diagnose_between(message, "failed to call webhook: ", "");
	bool is_wrong = diagnose_has(message, "x509|could not find the requested resource|no such host|404 Not Found");
	if (diagnose_say(c,
		    diagnose_age(c, first_s) >= (is_wrong ? DIAGNOSIS_MISSING_GRACE_S : WEBHOOK_AWAY_S) ? DIAGNOSIS_STUCK
													: DIAGNOSIS_FAILING,
		    "webhook_unreachable", "admission webhook %.*s does not answer, and no pod is taken without it: %.*s", STR_ARGS(name),
		    STR_ARGS(diagnose_quote(why.len ? why : message, DIAGNOSE_QUOTE))))
		diagnose_fix(c,
			"bring its service back, or: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations | grep %.*s",
			STR_ARGS(name));
}

static const struct named {
	const char *cause, *words, *before, *after, *says, *fix;
	int64_t grace_s;
} named_things[] = {
	{"service_account", "serviceaccount|service account", "serviceaccount \"", "\"", "ServiceAccount",
		"kubectl -n %.*s create serviceaccount %.*s", DIAGNOSIS_MISSING_GRACE_S},
	{"priority_class", "no PriorityClass", "with name ", " was found", "PriorityClass",
		"kubectl get priorityclass   (namespace %.*s asks for %.*s)", 0},
	{"runtime_class", "RuntimeClass \"|runtimeclass", "RuntimeClass \"", "\"", "RuntimeClass",
		"kubectl get runtimeclass   (namespace %.*s asks for %.*s)", 0},
};

static bool missing(struct diagnose_case *c, struct str message, int64_t first_s) {
	for (size_t i = 0; i < sizeof(named_things) / sizeof(named_things[0]); i++) {
		const struct named *n = &named_things[i];
		struct str name = diagnose_quote(diagnose_between(message, n->before, n->after), 100);
		if (!diagnose_has(message, n->words) || !diagnose_has(message, "not found|no PriorityClass"))
			continue;
		if (diagnose_say(c, after(c, first_s, n->grace_s), n->cause, "%s %.*s does not exist, so no pod is made that refers to it",
			    n->says, STR_ARGS(name))) {
			if (i == 0)
				diagnose_fix(c, "kubectl -n %.*s create serviceaccount %.*s   (or %s: serviceAccount.name)",
					STR_ARGS(c->space), STR_ARGS(name), diagnose_settings(c));
			else
				diagnose_fix(c, "kubectl get %s   (shows those that there are; %.*s is none)",
					i == 1 ? "priorityclass" : "runtimeclass", STR_ARGS(name));
		}
		return true;
	}
	return false;
}

/* Everything that is no pod's fault: the server is busy, or two wrote at once. */
static bool is_passing(struct str message) {
	return diagnose_has(message, "etcdserver|request timed out|timeout: request did not complete|object has been modified|already "
				     "exists|too many requests|not yet ready to handle|the server is "
				     "currently unable|context deadline exceeded|status unknown for quota|connection refused|leader "
				     "changed|unable to ensure|try again");
}

void diagnose_refusal(struct diagnose_case *c, struct str message, int64_t first_s, int64_t count) {
	struct str why = diagnose_between(message, "is forbidden: ", ""), name;
	if (!why.len)
		why = diagnose_between(message, "error creating: ", "");
	why = diagnose_quote(why.len ? why : message, 220);
	const char *settings = diagnose_settings(c);
	if (diagnose_has(message, "failed calling webhook"))
		webhook_away(c, message, first_s);
	else if (diagnose_has(message, "denied the request")) {
		name = diagnose_between(message, "admission webhook \"", "\"");
		struct str reason = diagnose_between(message, "denied the request: ", "");
		if (diagnose_say(c, DIAGNOSIS_STUCK, "webhook_denied", "admission webhook %.*s denies the pod: %.*s", STR_ARGS(name),
			    STR_ARGS(diagnose_quote(reason.len ? reason : message, 260))))
			diagnose_fix(c, "change what it objects to (%s, .mlctl/templates), or ask who runs the webhook", settings);
	} else if (diagnose_has(message, "ValidatingAdmissionPolicy")) {
		name = diagnose_between(message, "ValidatingAdmissionPolicy '", "'");
		struct str reason = diagnose_between(message, "denied request: ", "");
		if (diagnose_say(c, DIAGNOSIS_STUCK, "policy_denied", "ValidatingAdmissionPolicy %.*s denies the pod: %.*s", STR_ARGS(name),
			    STR_ARGS(diagnose_quote(reason.len ? reason : message, 260))))
			diagnose_fix(c, "kubectl get validatingadmissionpolicy %.*s -o yaml   (shows what it wants)", STR_ARGS(name));
	} else if (diagnose_has(message, "exceeded quota"))
		quota(c, message, first_s);
	else if (diagnose_has(message, "failed quota")) {
		struct str must = diagnose_between(message, "must specify ", "");
		name = diagnose_between(message, "failed quota: ", ":");
		if (diagnose_say(c, DIAGNOSIS_STUCK, "quota", "quota %.*s of namespace %.*s takes only pods that specify %.*s",
			    STR_ARGS(name), STR_ARGS(c->space), STR_ARGS(must)))
			diagnose_fix(c, "%s: resources: {cpu: 500m, memory: 256Mi}", settings);
	} else if (diagnose_has(message, "violates PodSecurity"))
		pod_security(c, message);
	else if (diagnose_has(message, "because it is being terminated")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "namespace_terminating", "namespace %.*s is being deleted: nothing new is taken in it",
			    STR_ARGS(c->space)))
			diagnose_fix(c, "%s: namespace: another, or wait until it is gone and deploy again", settings);
	} else if (missing(c, message, first_s))
		return;
	else if (diagnose_has(message, "usage per |max limit to request ratio|limitrange")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "limit_range", "LimitRange of namespace %.*s refuses the pod: %.*s",
			    STR_ARGS(c->space), STR_ARGS(why)))
			diagnose_fix(c, "%s: resources: within the bounds (kubectl -n %.*s get limitrange -o yaml)", settings,
				STR_ARGS(c->space));
	} else if (is_passing(message))
		diagnose_say(c, DIAGNOSIS_WAITING, "server_busy", "the API server takes no pod at the moment: %.*s", STR_ARGS(why));
	else if (diagnose_has(message, "is forbidden|is invalid|denied")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "admission_denied", "the API server refuses the pod: %.*s", STR_ARGS(why)))
			diagnose_fix(c, "change what it objects to in %s or .mlctl/templates", settings);
	} else
		diagnose_say(c,
			count >= DIAGNOSIS_REPEATS && diagnose_age(c, first_s) >= WEBHOOK_AWAY_S ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING,
			"pod_create", "no pod can be made: %.*s", STR_ARGS(why));
}
