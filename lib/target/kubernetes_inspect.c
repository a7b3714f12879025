/* Before anything is changed, and for people: can this cluster be worked with (check, doctor), and is what runs set up as it should be (checklist)? */
#include "target/kubernetes.h"

#include <stdarg.h>
#include <stdio.h>

/* What mlctl asks of the API server; manifests/deployer.yaml grants just this. */
static const struct {
	const char *group, *resource, *verbs;
	bool is_optional; /* only for services that have such objects, or to tell causes better */
} permissions[] = {
	{"", "configmaps", "get list create update patch delete", false},
	{"", "secrets", "get list create patch delete", false},
	{"", "services", "get list create patch delete", false},
	{"", "serviceaccounts", "get list create patch delete", false},
	{"", "pods", "list watch", false},
	{"", "pods/log", "get", false},
	{"", "pods/proxy", "get create update", false},
	{"", "services/proxy", "create", false},
	{"", "events", "list watch", false},
	{"apps", "deployments", "get list watch create patch delete", false},
	{"apps", "deployments/scale", "patch", false},
	{"apps", "replicasets", "list watch", false},
	{"autoscaling", "horizontalpodautoscalers", "get list create patch delete", false},
	{"policy", "poddisruptionbudgets", "get list create patch delete", false},
	{"networking.k8s.io", "networkpolicies", "get list create patch delete", false},
	{"networking.k8s.io", "ingresses", "get list create patch delete", false},
	{"gateway.networking.k8s.io", "httproutes", "get list create patch delete", true},
	{"monitoring.coreos.com", "servicemonitors", "get list create patch delete", true},
	{"monitoring.coreos.com", "prometheusrules", "get list create patch delete", true},
	{"", "nodes", "list", true},
};
#define PERMISSIONS (sizeof(permissions) / sizeof(permissions[0]))

static const char *const api_groups[] = {"apps/v1", "autoscaling/v2", "policy/v1", "networking.k8s.io/v1"};

__attribute__((format(printf, 6, 7))) static void found(struct document *document, struct value *findings, const char *check, const char *state, const char *fix, const char *format, ...) {
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct value *finding = value_add_object(document, findings, NULL);
	value_add_text(document, finding, "check", check);
	value_add_text(document, finding, "state", state);
	value_add_text(document, finding, "text", text);
	value_add_text(document, finding, "fix", fix && fix[0] ? fix : NULL);
}

/* ---- what the settings refer to ---- */

struct needs { /* objects that must be there already */
	struct texts kinds, names, keys; /* key "": the object alone */
};

static void needs_clear(struct needs *needs) {
	texts_clear(&needs->kinds);
	texts_clear(&needs->names);
	texts_clear(&needs->keys);
}

static void need(struct needs *needs, const char *kind, struct str name, struct str key) {
	AUTO_FREE char *n = str_dup(name), *k = str_dup(key);
	texts_add(&needs->kinds, kind);
	texts_add(&needs->names, n);
	texts_add(&needs->keys, k);
}

static void find_needs(const struct value *settings, struct needs *out) {
	value_each(secret, value_get(settings, "secrets")) {
		struct str key, name = str_cut(secret->text, '/', &key);
		if (secret->kind == VALUE_STRING)
			need(out, "Secret", name, key.ptr ? key : STR(""));
	}
	value_each(secret, value_get(settings, "imagePullSecrets"))
		if (secret->kind == VALUE_STRING)
			need(out, "Secret", secret->text, STR(".dockerconfigjson"));
	struct str account = object_text(settings, "serviceAccount.name"), tls = object_text(settings, "expose.ingress.tlsSecret");
	if (account.len)
		need(out, "ServiceAccount", account, STR(""));
	if (tls.len)
		need(out, "Secret", tls, STR("tls.crt"));
}

/* "" when it is there, else what is wrong and the fix. */
static void judge_need(struct kubernetes *k, const struct needs *needs, size_t i, const struct kube_ask *ask, char what[400], char fix[300]) {
	const char *kind = needs->kinds.items[i], *name = needs->names.items[i], *key = needs->keys.items[i];
	what[0] = fix[0] = '\0';
	if (!ask->answer) {
		snprintf(what, 400, "%.390s", ask->err.message);
		if (ask->err.code == ERR_NOT_FOUND) {
			snprintf(what, 400, "%s %s is not in namespace %s", kind, name, kube_namespace(k->kube));
			if (strcmp(key, ".dockerconfigjson") == 0)
				snprintf(fix, 300, "kubectl -n %s create secret docker-registry %s --docker-server=… --docker-username=… --docker-password=…",
					kube_namespace(k->kube), name);
			else if (strcmp(kind, "Secret") == 0)
				snprintf(fix, 300, "kubectl -n %s create secret generic %s --from-file=%s=FILE", kube_namespace(k->kube), name, key[0] ? key : "KEY");
			else
				snprintf(fix, 300, "kubectl -n %s create serviceaccount %s", kube_namespace(k->kube), name);
		}
	} else if (key[0] && !value_get(value_get(ask->answer->root, "data"), key)) {
		snprintf(what, 400, "%s %s has no key %s", kind, name, key);
		snprintf(fix, 300, "kubectl -n %s edit %s %s, or another key in mlctl.yaml", kube_namespace(k->kube), kind, name);
	}
}

static int ask_needs(struct kubernetes *k, const struct needs *needs, struct kube_ask **out, struct err *err) {
	size_t count = needs->names.count;
	struct kube_ask *asks = mem_zero(count ? count : 1, sizeof(*asks));
	for (size_t i = 0; i < count; i++)
		asks[i] = (struct kube_ask) {.selection = {.kind = needs->kinds.items[i]}, .name = needs->names.items[i]};
	if (count && kube_ask_all(k->kube, asks, count, err) != 0) {
		free(asks);
		return -1;
	}
	*out = asks;
	return 0;
}

/* ---- check: the preflight of a deploy ---- */

static int check_needs(struct kubernetes *k, struct texts *facts, struct err *err) {
	struct needs needs __attribute__((cleanup(needs_clear))) = {0};
	AUTO_FREE struct kube_ask *asks = NULL;
	find_needs(k->context.settings, &needs);
	if (ask_needs(k, &needs, &asks, err) != 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; i < needs.names.count; i++) {
		char what[400], fix[300];
		judge_need(k, &needs, i, &asks[i], what, fix);
		if (what[0] && rc == 0) {
			rc = err_set(err, ERR_INVALID, "%s", what);
			if (fix[0])
				err_fix(err, "%s", fix);
		}
		document_free(asks[i].answer);
	}
	if (rc == 0 && needs.names.count) {
		AUTO_FREE char *fact = mem_format("%zu/%zu secrets and accounts exist", needs.names.count, needs.names.count);
		texts_add(facts, fact);
	}
	return rc;
}

static int check_permission(struct kubernetes *k, struct err *err) {
	static const struct {
		const char *verb, *group, *resource;
	} first[] = {{"patch", "apps", "deployments"}, {"create", "", "secrets"}, {"update", "", "pods/proxy"}};
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		bool may = false;
		if (kube_may(k->kube, first[i].verb, first[i].group, first[i].resource, &may, err) != 0)
			return -1;
		if (!may) {
			err_set(err, ERR_AUTH, "no permission to %s %s in namespace %s", first[i].verb, first[i].resource, kube_namespace(k->kube));
			return err_fix(err, "mlctl doctor --env %s prints the Role that is missing; manifests/deployer.yaml is all of it", k->context.env);
		}
	}
	return 0;
}

int kubernetes_check(void *state, const struct store *store, struct texts *facts, struct err *err) {
	struct kubernetes *k = state;
	(void) store;
	AUTO_FREE char *where = mem_format("namespace %s at %s", kube_namespace(k->kube), kube_server(k->kube));
	if (cluster_identity(k, err) != 0 || check_permission(k, err) != 0)
		return -1;
	texts_add(facts, where);
	texts_add(facts, "permissions ok");
	return check_needs(k, facts, err);
}

/* ---- doctor ---- */

/* false: nobody answers, so there is nothing more to ask. */
static bool inspect_server(struct kubernetes *k, struct document *document, struct value *findings) {
	AUTO_FREE char *text = NULL, *groups = NULL;
	AUTO_DOCUMENT struct document *version = NULL;
	struct err err = {0};
	if (kube_read(k->kube, "/version", &text, &err) != 0 || json_read("/version", str_of(text), VALUE_LIMITS_CONFIG, &version, &err) != 0) {
		found(document, findings, "server", "bad", err.fix, "%s: %s", kube_server(k->kube), err.message);
		return false;
	}
	found(document, findings, "server", "ok", NULL, "%s answers: Kubernetes %.*s", kube_server(k->kube), STR_ARGS(object_text(version->root, "gitVersion")));
	if (kube_read(k->kube, "/apis", &groups, &err) != 0) {
		found(document, findings, "api versions", "unknown", NULL, "%s", err.message);
		return true;
	}
	for (size_t i = 0; i < sizeof(api_groups) / sizeof(api_groups[0]); i++) {
		AUTO_FREE char *quoted = mem_format("\"%s\"", api_groups[i]);
		bool has = strstr(groups, quoted) != NULL;
		found(document, findings, "api versions", has ? "ok" : "bad", has ? NULL : "a cluster of Kubernetes 1.25 or newer", "%s is %sserved", api_groups[i],
			has ? "" : "not ");
	}
	return true;
}

static void inspect_permissions(struct kubernetes *k, struct document *document, struct value *findings) {
	AUTO_BUF struct buf role = BUF(16 * 1024);
	AUTO_TEXTS struct texts verbs = {0};
	struct err err = {0};
	size_t missing = 0, asked = 0;
	for (size_t i = 0; i < PERMISSIONS; i++)
		for (struct str rest = str_of(permissions[i].verbs); rest.ptr;) {
			AUTO_FREE char *verb = str_dup(str_cut(rest, ' ', &rest));
			texts_add(&verbs, verb);
		}
	AUTO_FREE struct kube_permission *may = mem_zero(verbs.count, sizeof(*may));
	for (size_t i = 0; i < PERMISSIONS; i++)
		for (struct str rest = str_of(permissions[i].verbs); rest.ptr; str_cut(rest, ' ', &rest), asked++)
			may[asked] = (struct kube_permission) {.verb = verbs.items[asked], .group = permissions[i].group, .resource = permissions[i].resource};
	if (kube_may_all(k->kube, may, asked, &err) != 0) {
		found(document, findings, "permission", "unknown", err.fix, "%s", err.message);
		return;
	}
	const struct kube_permission *one = may;
	for (size_t i = 0; i < PERMISSIONS; i++) {
		AUTO_BUF struct buf lacking = BUF(512);
		for (; one < may + asked && one->resource == permissions[i].resource && one->group == permissions[i].group; one++) {
			if (one->err.code) {
				found(document, findings, "permission", "unknown", one->err.fix, "%s %s: %s", one->verb, one->resource, one->err.message);
				return;
			}
			if (!one->is_allowed)
				buf_format(&lacking, "%s%s", lacking.len ? ", " : "", one->verb);
		}
		if (!lacking.len)
			continue;
		found(document, findings, "permission", permissions[i].is_optional ? "warning" : "bad", NULL, "may not %s %s%s%s in namespace %s%s", lacking.ptr,
			permissions[i].resource, permissions[i].group[0] ? "." : "", permissions[i].group, kube_namespace(k->kube),
			permissions[i].is_optional ? " (only for services that have such objects, or for better causes)" : "");
		missing += !permissions[i].is_optional;
		buf_format(&role, "- {apiGroups: [\"%s\"], resources: [\"%s\"], verbs: [%s]}\n", permissions[i].group, permissions[i].resource, lacking.ptr);
	}
	if (cluster_identity(k, &err) != 0 && err.code == ERR_AUTH) { /* of a namespace's own Role a review of all namespaces knows nothing */
		found(document, findings, "permission", "bad", NULL, "may not get namespace %s", kube_namespace(k->kube));
		missing++;
		buf_text(&role, "- {apiGroups: [\"\"], resources: [\"namespaces\"], verbs: [get]}\n");
	}
	if (!missing)
		found(document, findings, "permission", "ok", NULL, "all of %zu in namespace %s", asked, kube_namespace(k->kube));
	if (role.len) {
		AUTO_FREE char *fix = mem_format("add to the Role in namespace %s (manifests/deployer.yaml is all of it):\n%s", kube_namespace(k->kube), role.ptr);
		found(document, findings, "role", missing ? "bad" : "warning", fix, "%zu permissions that are needed are missing", missing);
	}
}

static void inspect_needs(struct kubernetes *k, struct document *document, struct value *findings) {
	struct needs needs __attribute__((cleanup(needs_clear))) = {0};
	AUTO_FREE struct kube_ask *asks = NULL;
	struct err err = {0};
	find_needs(k->context.settings, &needs);
	if (ask_needs(k, &needs, &asks, &err) != 0) {
		found(document, findings, "secrets", "unknown", NULL, "%s", err.message);
		return;
	}
	for (size_t i = 0; i < needs.names.count; i++) {
		char what[400], fix[300];
		judge_need(k, &needs, i, &asks[i], what, fix);
		if (what[0])
			found(document, findings, "secrets", "bad", fix, "%s", what);
		else
			found(document, findings, "secrets", "ok", NULL, "%s %s is there", needs.kinds.items[i], needs.names.items[i]);
		document_free(asks[i].answer);
	}
}

static void inspect_nodes(struct kubernetes *k, struct document *document, struct value *findings) {
	struct kube_ask asks[] = {{.selection = {.kind = "Node"}}, {.selection = {.kind = "Pod", .labels = k->labels}}};
	struct err err = {0};
	size_t count = 0, fitting = 0, ready = 0, running = 0;
	if (kube_ask_all(k->kube, asks, 2, &err) != 0)
		return;
	AUTO_DOCUMENT struct document *nodes = asks[0].answer;
	AUTO_DOCUMENT struct document *pods = asks[1].answer;
	value_each(node, nodes ? value_get(nodes->root, "items") : NULL) {
		count++;
		fitting += str_is(object_text(node, "status.nodeInfo.architecture"), "amd64") && str_is(object_text(node, "status.nodeInfo.operatingSystem"), "linux");
		ready += pod_is_ready(node); /* a node's conditions have the same form */
	}
	if (!nodes)
		found(document, findings, "nodes", "unknown", NULL, "may not be listed: %s", asks[0].err.message);
	else
		found(document, findings, "nodes", fitting && ready ? "ok" : "bad", fitting ? NULL : "nodes of linux/amd64: the image is of that platform",
			"%zu, %zu ready, %zu of linux/amd64", count, ready, fitting);
	value_each(pod, pods ? value_get(pods->root, "items") : NULL)
		running += object_text(value_at(value_find(pod, "status.containerStatuses"), 0), "imageID").len > 0;
	found(document, findings, "image", running ? "ok" : "unknown", NULL, running ? "the nodes have pulled from the repository: %zu pods run"
		: "whether the nodes can pull shows with the first deploy (%zu pods run)", running);
}

/* Lists of a namespace that is not there are empty, as if it were. Who may not look at namespaces hears of it from the first write. */
static bool is_namespace_missing(struct kubernetes *k) {
	AUTO_DOCUMENT struct document *there = NULL;
	struct err err = {0};
	bool may = false;
	if (kube_may(k->kube, "get", "", "namespaces", &may, &err) != 0 || !may)
		return false;
	return kube_get(k->kube, "Namespace", kube_namespace(k->kube), &there, &err) != 0 && err.code == ERR_NOT_FOUND;
}

/* Where somebody deleted the head alone, what it told of is still there. */
static void inspect_no_head(struct kubernetes *k, struct document *document, struct value *findings) {
	AUTO_DOCUMENT struct document *list = NULL;
	AUTO_FREE char *fix = mem_format("mlctl deploy --env %s   (takes over what is there; what was good before is forgotten)", k->context.env);
	struct err err = {0};
	if (kube_list(k->kube, &(struct kube_selection) {.kind = "Deployment", .labels = k->labels}, &list, &err) != 0) {
		found(document, findings, "head", "unknown", err.fix, "no head, and whether anything is deployed can't be seen: %s", err.message);
		return;
	}
	const struct value *first = value_at(value_get(list->root, "items"), 0);
	AUTO_FREE char *create = mem_format("kubectl create namespace %s", kube_namespace(k->kube));
	if (!first && is_namespace_missing(k))
		found(document, findings, "namespace", "bad", create, "namespace %s is not there", kube_namespace(k->kube));
	else if (first)
		found(document, findings, "head", "bad", fix, "there is no head (ConfigMap %s is gone), yet Deployment %.*s of revision %.*s is there", k->head,
			STR_ARGS(object_text(first, "metadata.name")), STR_ARGS(object_label(first, LABEL_REVISION)));
	else
		found(document, findings, "head", "ok", NULL, "none yet: nothing is deployed");
}

static void inspect_head(struct kubernetes *k, struct document *document, struct value *findings) {
	char bytes[TARGET_HEAD_BYTES_MAX], version[64];
	size_t len = 0;
	struct err err = {0};
	AUTO_DOCUMENT struct document *head = NULL;
	AUTO_FREE char *fix = mem_format("kubectl -n %s get configmap %s -o yaml shows it; mlctl destroy --force and mlctl deploy build it anew", kube_namespace(k->kube), k->head);
	if (kubernetes_head_get(k, bytes, &len, version, &err) != 0)
		found(document, findings, "head", "bad", err.fix[0] ? err.fix : fix, "%s", err.message);
	else if (!len)
		inspect_no_head(k, document, findings);
	else if (json_read("head", (struct str) {bytes, len}, VALUE_LIMITS_CONFIG, &head, &err) != 0)
		found(document, findings, "head", "bad", fix, "ConfigMap %s can't be read: %s", k->head, err.message);
	else
		found(document, findings, "head", "ok", NULL, "generation %lld, good release r%lld", (long long) object_int(head->root, "generation", 0),
			(long long) object_int(head->root, "good.n", 0));
}

/* ---- the checklist that people go through by hand ---- */

struct live { /* what is deployed, as the API has it */
	const struct value *deployment, *service, *scaler, *budget, *policies, *container, *pod;
};

static void tick(struct document *document, struct value *findings, const char *check, bool is_well, const char *good, const char *bad, const char *fix) {
	found(document, findings, check, is_well ? "ok" : "bad", is_well ? NULL : fix, "%s", is_well ? good : bad);
}

static void check_container(const struct live *live, struct document *document, struct value *findings) {
	struct str image = object_text(live->container, "image"), digest;
	str_cut(image, '@', &digest);
	const struct value *resources = value_get(live->container, "resources");
	AUTO_FREE char *pinned = mem_format("%.*s", STR_ARGS(image));
	tick(document, findings, "image", digest.ptr != NULL, pinned, "the image is not named by its digest", "mlctl deploy");
	AUTO_FREE char *limits = mem_format("memory %.*s, cpu request %.*s", STR_ARGS(object_text(resources, "limits.memory")),
		STR_ARGS(object_text(resources, "requests.cpu")));
	tick(document, findings, "limits", object_text(resources, "limits.memory").len && object_text(resources, "requests.cpu").len, limits,
		"no memory limit or no cpu request", "mlctl.yaml: resources: {cpu: 500m, memory: 256Mi}");
	tick(document, findings, "probes",
		value_get(live->container, "readinessProbe") && value_get(live->container, "livenessProbe") && value_get(live->container, "startupProbe"),
		"startup, readiness and liveness", "a probe is missing", "mlctl render shows what a template override leaves out");
	const struct value *security = value_get(live->container, "securityContext");
	const struct value *escalation = value_get(security, "allowPrivilegeEscalation");
	tick(document, findings, "security", escalation && escalation->kind == VALUE_BOOL && !escalation->boolean,
		"no privileges, read-only, non-root", "the container may gain privileges", "mlctl render");
}

static void check_objects(struct kubernetes *k, const struct live *live, struct document *document, struct value *findings) {
	int64_t replicas = live->deployment ? deployment_replicas(live->deployment) : 0;
	AUTO_FREE char *counts = mem_format("%lld/%lld replicas available", (long long) object_int(live->deployment, "status.availableReplicas", 0),
		(long long) replicas);
	tick(document, findings, "deployment", live->deployment && deployment_is_complete(live->deployment), counts, "not every replica is up to date and available",
		"mlctl status");
	tick(document, findings, "service", live->service != NULL, "there", "no Service of that name", "mlctl deploy");
	tick(document, findings, "service account", object_text(live->deployment, "spec.template.spec.serviceAccountName").len > 0, "one of its own",
		"the namespace's default one", "mlctl.yaml: serviceAccount, or mlctl deploy");
	if (live->scaler)
		found(document, findings, "autoscaling", "ok", NULL, "%lld to %lld replicas", (long long) object_int(live->scaler, "spec.minReplicas", 1),
			(long long) object_int(live->scaler, "spec.maxReplicas", 1));
	else
		found(document, findings, "autoscaling", "warning", "mlctl.yaml: scale: {min: 2, max: 10}", "a fixed number of replicas");
	if (replicas > 1 || live->budget)
		tick(document, findings, "disruption budget", live->budget != NULL, "there", "a drained node may take all replicas at once", "mlctl deploy");
	else
		found(document, findings, "disruption budget", "warning", "mlctl.yaml: scale: {min: 2}", "one replica: a drained node is an outage");
	tick(document, findings, "network policy", live->policies && live->policies->count > 0, "there", "every pod of the cluster may reach it and it may reach out",
		"mlctl deploy");
	(void) k;
}

static void check_life(struct kubernetes *k, const struct live *live, struct document *document, struct value *findings) {
	char bytes[TARGET_HEAD_BYTES_MAX], version[64];
	size_t len = 0;
	struct err err = {0};
	AUTO_DOCUMENT struct document *head = NULL;
	struct observed *seen = mem_zero(1, sizeof(*seen));
	struct revision revision = {0};
	size_t ready = 0;
	struct str name = live->deployment ? object_label(live->deployment, LABEL_REVISION) : (struct str) {0}, digest;
	str_cut(object_text(live->container, "image"), '@', &digest);
	snprintf(revision.name, sizeof(revision.name), "%.*s", STR_ARGS(name));
	if (digest.ptr && digest_parse(digest, &revision.image, &err) == 0 && kubernetes_observe(k, &revision, seen, &err) == 0)
		for (size_t i = 0; i < seen->count; i++)
			ready += seen->replicas[i].state == REPLICA_READY && digest_equal(&seen->replicas[i].serving, &revision.image);
	AUTO_FREE char *health = mem_format("%zu/%zu pods answer with the digest of the release", ready, seen->count);
	tick(document, findings, "health", seen->count && ready == seen->count, health, health, "mlctl status");
	free(seen);
	struct pod_port port = {0};
	if (live->pod)
		pod_ports(live->pod, &port);
	tick(document, findings, "metrics", port.http > 0 && port.control > 0, "/metrics on the service's port", "the payload's own, if any",
		"mlctl.yaml: monitoring: {serviceMonitor: true} lets Prometheus find it");
	AUTO_FREE char *logs = mem_format("JSON lines on stdout: mlctl logs --env %s", k->context.env);
	tick(document, findings, "logs", live->pod != NULL, logs, "no pod to read from", "mlctl status");
	AUTO_DOCUMENT struct document *rules = NULL;
	if (kube_list(k->kube, &(struct kube_selection) {.kind = "PrometheusRule"}, &rules, &err) == 0 && value_get(rules->root, "items")->count > 0)
		found(document, findings, "alerts", "ok", NULL, "PrometheusRules are in the namespace");
	else
		found(document, findings, "alerts", "unknown", "kubectl apply -f manifests/alerts.yaml, or load its rules into Prometheus",
			"no PrometheusRule can be seen in the namespace");
	err_clear(&err);
	if (kubernetes_head_get(k, bytes, &len, version, &err) == 0 && len &&
		json_read("head", (struct str) {bytes, len}, VALUE_LIMITS_CONFIG, &head, &err) == 0) {
		int64_t previous = object_int(head->root, "previous.n", 0);
		AUTO_FREE char *back = mem_format("r%lld is kept here: mlctl rollback --env %s", (long long) previous, k->context.env);
		AUTO_FREE char *text = NULL;
		tick(document, findings, "rollback", previous && kubernetes_keep_get(k, previous, &text, &err) == 0, back,
			previous ? "the release before is no longer kept in the cluster: going back needs the registry" : "there is no release to go back to yet",
			"deploy a second version");
	}
}

static int checklist(struct kubernetes *k, struct document *document, struct value *findings, struct err *err) {
	struct kube_ask asks[] = {{.selection = {.kind = "Deployment"}, .name = k->name}, {.selection = {.kind = "Service"}, .name = k->name},
		{.selection = {.kind = "HorizontalPodAutoscaler"}, .name = k->name}, {.selection = {.kind = "PodDisruptionBudget"}, .name = k->name},
		{.selection = {.kind = "NetworkPolicy", .labels = k->labels}}, {.selection = {.kind = "Pod", .labels = k->labels}}};
	enum { ASKS = sizeof(asks) / sizeof(asks[0]) };
	const struct value *roots[ASKS];
	if (kube_ask_all(k->kube, asks, ASKS, err) != 0)
		return -1;
	for (size_t i = 0; i < ASKS; i++)
		roots[i] = asks[i].answer ? asks[i].answer->root : NULL;
	struct live live = {.deployment = roots[0], .service = roots[1], .scaler = roots[2], .budget = roots[3]};
	live.policies = value_get(roots[4], "items");
	live.pod = value_at(value_get(roots[5], "items"), 0);
	live.container = value_at(value_find(live.deployment, "spec.template.spec.containers"), 0);
	check_container(&live, document, findings);
	inspect_needs(k, document, findings);
	check_objects(k, &live, document, findings);
	check_life(k, &live, document, findings);
	for (size_t i = 0; i < ASKS; i++)
		document_free(asks[i].answer);
	return 0;
}

int kubernetes_inspect(void *state, enum inspection what, struct document *document, struct value *findings, struct err *err) {
	struct kubernetes *k = state;
	if (what == INSPECT_CHECKLIST)
		return checklist(k, document, findings, err);
	if (what == INSPECT_HEAD) {
		inspect_head(k, document, findings);
		return 0;
	}
	if (!inspect_server(k, document, findings))
		return 0;
	inspect_permissions(k, document, findings);
	inspect_nodes(k, document, findings);
	inspect_needs(k, document, findings);
	inspect_head(k, document, findings);
	return 0;
}
