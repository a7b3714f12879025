/* The share of the traffic that a canary gets. Which way there is, is the stable version's to say:
 *   its pods have a control listener   they hand on exactly that share, and it falls back when nobody refreshes it
 *   it has an HTTPRoute                the weights of its backends: exact for what comes through the Gateway. They stay when mlctl is killed, until the next
 *                                      command; that is why whoever can hand on does
 *   neither                            one Service for the pods of both: the share is what their numbers make it, and that is said */
#include "target/kubernetes.h"

#include <math.h>
#include <stdio.h>

#define ROUTE_PARTS 10000 /* a share of 0.01 % can be told; the API allows weights of up to a million */
#define ROUTE_WEIGHT_MAX 1000000

/* Stable pods without a control listener hand nothing on. */
static bool hands_nothing_on(const struct view *view) {
	bool has_any = false;
	for (size_t i = 0; i < view->pod_count; i++) {
		struct pod_port port;
		if (!pod_is(view->pods[i], "stable", NULL) || pod_is_leaving(view->pods[i]))
			continue;
		pod_ports(view->pods[i], &port);
		if (port.control)
			return false;
		has_any = true;
	}
	return has_any;
}

/* ---- by the number of replicas ---- */

/* So many of all that are ready are the revision's. */
static void count_ready(const struct view *view, const struct revision *revision, size_t *own, size_t *all) {
	for (size_t i = 0; i < view->pod_count; i++) {
		if (pod_is_leaving(view->pods[i]) || !pod_is_ready(view->pods[i]))
			continue;
		*all += 1;
		*own += pod_is(view->pods[i], NULL, revision->name);
	}
}

/* Where nothing hands on, the Service of both sends each pod its share. */
static double ratio_weight(const struct view *view, const struct revision *revision) {
	size_t own = 0, all = 0;
	count_ready(view, revision, &own, &all);
	return all ? 100 * (double) own / (double) all : 0;
}

/* Nothing hands on: what share the replicas make is what there is, and is said. */
static int tell_ratio(struct kubernetes *k, const struct view *view, const struct revision *revision, double weight, struct err *err) {
	size_t own = 0, all = 0;
	count_ready(view, revision, &own, &all);
	if (weight > 0 && all == own)
		return err_set(err, ERR_NETWORK, "no pod of %s is ready beside the canary", k->name);
	if (weight <= 0 || !k->context.warn || (own == k->shared_own && all == k->shared_all))
		return 0;
	AUTO_FREE char *text = mem_format("share is %zu of %zu by replica count, not %g %%: this payload hands nothing on (payload.guard: true does, or an expose.route)", own, all, weight);
	k->context.warn(k->context.warn_self, text);
	k->shared_own = own;
	k->shared_all = all;
	return 0;
}

/* ---- handed on ---- */

/* Tells every stable pod that is ready what to hand on. One that goes away meanwhile hands nothing on either. */
static int put_split(struct kubernetes *k, const struct view *view, const struct revision *revision, double weight, int64_t ttl_s, struct err *err) {
	AUTO_DOCUMENT struct document *service = NULL;
	const struct value *pods[PODS_MAX];
	size_t count = 0, ready = 0;
	if (kube_get(k->kube, "Service", k->canary, &service, err) != 0) {
		if (err->code != ERR_NOT_FOUND || weight > 0)
			return -1;
		err_clear(err); /* nothing to hand on to: what is left of the share ends by itself */
		return 0;
	}
	struct str ip = object_text(service->root, "spec.clusterIP");
	int64_t port = service_port(service->root);
	bool is_v6 = ip.len && memchr(ip.ptr, ':', ip.len);
	AUTO_FREE char *body = mem_format("{\"revision\":\"%s\",\"upstream\":\"%s%.*s%s:%lld\",\"weight\":%.6g,\"ttl_s\":%lld}", revision->name,
		is_v6 ? "[" : "", STR_ARGS(ip), is_v6 ? "]" : "", (long long) port, weight, (long long) (ttl_s > 0 ? ttl_s : 1));
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct value *pod = view->pods[i];
		struct pod_port ports;
		pod_ports(pod, &ports);
		bool is_stable = pod_is(pod, "stable", NULL) && !pod_is(pod, NULL, revision->name) && !pod_is_leaving(pod) && pod_is_ready(pod);
		ready += is_stable;
		if (is_stable && ports.control)
			pods[count++] = pod;
	}
	if (weight > 0 && !ready) /* else the canary would bake without a request until its time is up */
		return err_set(err, ERR_NETWORK, "no pod of %s is ready to hand anything on", k->name);
	AUTO_FREE struct http_answer *answers = mem_zero(PODS_MAX, sizeof(*answers));
	AUTO_FREE struct err *errs = mem_zero(PODS_MAX, sizeof(*errs));
	int rc = control_all(k, pods, count, "PUT", "/admin/split", body, answers, errs, err);
	for (size_t i = 0; i < count; i++) {
		struct str name = object_text(pods[i], "metadata.name");
		if (rc == 0 && errs[i].code && errs[i].code != ERR_NOT_FOUND) {
			*err = errs[i];
			rc = err_wrap(err, "setting the weight of %s to %.6g %% at pod %.*s", revision->name, weight, STR_ARGS(name));
		} else if (rc == 0 && !errs[i].code && answers[i].status / 100 != 2) {
			rc = err_set(err, ERR_NETWORK, "pod %.*s answered %d to a new weight", STR_ARGS(name), answers[i].status);
		}
		http_answer_clear(&answers[i]);
	}
	return rc;
}

/* The share that the stable pods hand on to `revision`: the least of them. */
static int get_split(struct kubernetes *k, const struct view *view, const struct revision *revision, double *out, struct err *err) {
	const struct value *stable[PODS_MAX];
	size_t count = 0;
	double weight = -1;
	for (size_t i = 0; i < view->pod_count; i++)
		if (pod_is(view->pods[i], "stable", NULL) && !pod_is_leaving(view->pods[i]) && pod_is_ready(view->pods[i]))
			stable[count++] = view->pods[i];
	AUTO_FREE struct http_answer *answers = mem_zero(PODS_MAX, sizeof(*answers));
	AUTO_FREE struct err *errs = mem_zero(PODS_MAX, sizeof(*errs));
	int rc = control_all(k, stable, count, "GET", "/admin/split", NULL, answers, errs, err);
	for (size_t i = 0; i < count; i++) {
		AUTO_DOCUMENT struct document *split = NULL;
		struct err unread = {0};
		struct str to = {0};
		double one = 0;
		if (rc == 0 && !errs[i].code && answers[i].status == 200 &&
			json_read("/admin/split", (struct str) {answers[i].body, answers[i].body_len}, VALUE_LIMITS_CONFIG, &split, &unread) == 0 &&
			value_opt_str(split->root, "revision", STR(""), &to, &unread) == 0 && str_is(to, revision->name) &&
			value_opt_double(split->root, "weight", 0, &one, &unread) == 0)
			weight = weight < 0 || one < weight ? one : weight;
		else
			weight = 0;
		http_answer_clear(&answers[i]);
	}
	*out = weight < 0 ? 0 : weight;
	return rc;
}

/* ---- by an HTTPRoute ---- */

static bool is_backend(const struct value *backend, const char *name) {
	struct str kind = object_text(backend, "kind");
	return str_is(object_text(backend, "name"), name) && (!kind.len || str_is(kind, "Service"));
}

/* The share of NAME-canary between the two; -1: the route does not lead to NAME. */
static double route_share(const struct kubernetes *k, const struct value *route) {
	double stable = -1, canary = 0;
	value_each(rule, value_find(route, "spec.rules"))
		value_each(backend, value_get(rule, "backendRefs")) {
			if (is_backend(backend, k->canary))
				canary = (double) object_int(backend, "weight", 1);
			else if (is_backend(backend, k->name))
				stable = (double) object_int(backend, "weight", 1);
		}
	return stable < 0 ? -1 : stable + canary > 0 ? 100 * canary / (stable + canary) : 0;
}

/* *out: our HTTPRoute, when it leads to NAME and NAME's Service to the stable pods alone; NULL: there is none. */
static int ask_route(struct kubernetes *k, struct document **out, struct err *err) {
	struct kube_ask asks[] = {{.selection = {.kind = "HTTPRoute"}, .name = k->name}, {.selection = {.kind = "Service"}, .name = k->name}};
	*out = NULL;
	if (kube_ask_all(k->kube, asks, 2, err) != 0)
		return -1;
	AUTO_DOCUMENT struct document *route = asks[0].answer;
	AUTO_DOCUMENT struct document *service = asks[1].answer;
	for (int i = 0; i < 2; i++)
		if (!asks[i].answer && asks[i].err.code != ERR_NOT_FOUND && asks[i].err.code != ERR_AUTH) { /* who may not see one has none */
			*err = asks[i].err;
			return -1;
		}
	if (route && service && object_is_ours(k, route->root) && route_share(k, route->root) >= 0 &&
		value_get(value_find(service->root, "spec.selector"), LABEL_ROLE))
		*out = take(&route);
	return 0;
}

static int set_weight(struct document *document, struct value *backend, int64_t weight, struct err *err) {
	struct value *there = (struct value *) value_get(backend, "weight");
	if (weight > ROUTE_WEIGHT_MAX)
		return err_set(err, ERR_LIMIT, "HTTPRoute: a weight of %lld beside a canary's would be above %d: write smaller ones", (long long) weight, ROUTE_WEIGHT_MAX);
	if (there)
		value_set_int(document, there, weight);
	else
		value_add_int(document, backend, "weight", weight);
	return 0;
}

/* What goes to NAME is divided; others' weights are as much larger as its are. `port`: of NAME-canary, which may be another release's expose.port. */
static int divide(struct kubernetes *k, struct document *document, struct value *backends, int64_t parts, int64_t port, struct err *err) {
	size_t count = backends ? backends->count : 0;
	struct value *backend = count ? backends->first : NULL;
	for (size_t i = 0; i < count; i++, backend = backend->next) {
		int64_t weight = object_int(backend, "weight", 1);
		bool is_main = is_backend(backend, k->name);
		if (is_main) {
			struct value *canary = value_add_copy(document, backends, NULL, backend), *at = (struct value *) value_get(canary, "port");
			value_set_str(document, (struct value *) value_get(canary, "name"), str_of(k->canary));
			if (at)
				value_set_int(document, at, port);
			if (set_weight(document, canary, weight * parts, err) != 0)
				return -1;
		}
		if (set_weight(document, backend, weight * (is_main ? ROUTE_PARTS - parts : ROUTE_PARTS), err) != 0)
			return -1;
	}
	return 0;
}

/* The route of the release that serves as it was rendered, with the weights in it: so apply owns what it owned before, and nothing of others'. */
static int put_route(struct kubernetes *k, int64_t fence, const struct view *view, const struct value *live, double weight, struct err *err) {
	AUTO_DOCUMENT struct document *kept = NULL;
	AUTO_DOCUMENT struct document *list = document_new("route");
	int64_t parts = llround(weight * (ROUTE_PARTS / 100.0));
	bool is_whole;
	if (llround(route_share(k, live) * (ROUTE_PARTS / 100.0)) == parts)
		return 0;
	if (kept_objects(k, &kept, &is_whole, err) != 0)
		return -1;
	struct value *only = value_root_array(list);
	value_each(object, value_get(kept_of(kept, view->main), "stable"))
		if (str_is(object_text(object, "kind"), "HTTPRoute") && str_is(object_text(object, "metadata.name"), k->name))
			value_add_copy(list, only, NULL, object);
	if (!only->count) {
		err_set(err, ERR_CONFLICT, "HTTPRoute %s: its weights can't be set, since the objects of the release that serves are not kept here any more", k->name);
		return err_fix(err, "rollout.canary: none, for this one deploy");
	}
	AUTO_DOCUMENT struct document *service = NULL;
	if (parts > 0 && kube_get(k->kube, "Service", k->canary, &service, err) != 0)
		return -1;
	int64_t port = service ? service_port(service->root) : 0;
	for (struct value *rule = (struct value *) value_at(value_find(only->first, "spec.rules"), 0); parts > 0 && rule; rule = rule->next)
		if (divide(k, list, (struct value *) value_get(rule, "backendRefs"), parts, port, err) != 0)
			return -1;
	int64_t release = 0;
	best_effort(num_int(object_annotation(live, ANNOTATION_RELEASE), 0, INT64_MAX, &release)); /* an annotation that somebody took away tells none */
	return objects_put(k, fence, release, only, err);
}

/* ---- the door ---- */

int share_set(struct kubernetes *k, int64_t fence, const struct view *view, const struct revision *revision, double weight, int64_t ttl_s, struct err *err) {
	AUTO_DOCUMENT struct document *route = NULL;
	if (!hands_nothing_on(view))
		return put_split(k, view, revision, weight, ttl_s, err);
	if (ask_route(k, &route, err) != 0)
		return -1;
	return route ? put_route(k, fence, view, route->root, weight, err) : tell_ratio(k, view, revision, weight, err);
}

int share_get(struct kubernetes *k, const struct view *view, const struct revision *revision, double *out, struct err *err) {
	AUTO_DOCUMENT struct document *route = NULL;
	if (!hands_nothing_on(view))
		return get_split(k, view, revision, out, err);
	if (ask_route(k, &route, err) != 0)
		return -1;
	*out = route ? route_share(k, route->root) : ratio_weight(view, revision);
	return 0;
}

int share_end(struct kubernetes *k, int64_t fence, const struct view *view, const struct revision *revision, struct err *err) {
	return hands_nothing_on(view) ? share_set(k, fence, view, revision, 0, 0, err) : 0;
}
