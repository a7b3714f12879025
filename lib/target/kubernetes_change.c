/* What changes the cluster: stage, route, retire, destroy. Each reads, then looks at the fence, then writes with the versions that it read. */
#include "target/kubernetes.h"

#include "base/secret.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#define APPLY_TRIES 5
#define KEY_BYTES 24
#define AUTOSCALER "kube-controller-manager" /* who writes an autoscaler's numbers */

/* ---- applying a list of objects ---- */

struct change { /* one apply of a list */
	int64_t fence, release;
	int64_t replicas;      /* of the Deployment; -1: as its object says */
	char key[64];	       /* uid of the Secret with the key of its pods; "": they have none */
	bool is_taking_scale;  /* no autoscaler is there any more: its field is ours again */
	int64_t least;	       /* of a new one whose number is an autoscaler's */
};

/* The container's variable, or none. */
static struct str template_env(const struct value *deployment, const char *name) {
	value_each(container, value_find(deployment, "spec.template.spec.containers"))
		value_each(variable, value_get(container, "env"))
			if (str_is(object_text(variable, "name"), name))
				return object_text(variable, "value");
	return (struct str) {0};
}

/* Which release a pod says it is of. It must not roll the pods when the same revision gets another number, so what runs keeps its own. */
static void add_release_env(struct document *document, struct value *containers, const struct value *object, const struct value *live, int64_t release) {
	struct value *runner = NULL;
	for (struct value *c = containers ? containers->first : NULL; c && !runner; c = c->next)
		if (str_is(object_text(c, "name"), "runner"))
			runner = c;
	struct value *env = runner ? (struct value *) value_get(runner, "env") : NULL;
	if (!env)
		return;
	bool is_same = live && (release < 0 || str_equal(object_label(live, LABEL_REVISION), object_label(object, LABEL_REVISION)));
	struct str old = is_same ? template_env(live, "MLCTL_RELEASE") : (struct str) {0};
	AUTO_FREE char *now = mem_format("r%" PRId64, release);
	if (!old.len && release < 0)
		return;
	struct value *variable = value_add_object(document, env, NULL);
	value_add_text(document, variable, "name", "MLCTL_RELEASE");
	value_add_str(document, variable, "value", old.len ? old : str_of(now));
}

static struct value *member(struct document *document, struct value *object, const char *key) {
	struct value *found = (struct value *) value_get(object, key);
	return found ? found : value_add_object(document, object, key);
}

/* Pods learn their key when they start, so another Secret of that name makes other pods. */
static void add_key(struct document *document, struct value *template, const struct value *live, const char *key) {
	struct str old = object_annotation(value_find(live, "spec.template"), ANNOTATION_KEY);
	struct str now = key ? str_of(key) : old;
	if (template && now.len)
		value_add_str(document, member(document, member(document, template, "metadata"), "annotations"), ANNOTATION_KEY, now);
}

/* Is spec.replicas ours by apply? */
static bool has_replicas(const struct value *live) {
	value_each(entry, value_find(live, "metadata.managedFields"))
		if (str_is(object_text(entry, "manager"), KUBE_FIELD_MANAGER) && str_is(object_text(entry, "operation"), "Apply") &&
			value_get(value_get(value_get(entry, "fieldsV1"), "f:spec"), "f:replicas"))
			return true;
	return false;
}

/* An autoscaler's number is not in the object. Where apply still owns the field (a new Deployment, or one that had a fixed number so far), leaving it out
 * would set it to 1: what is there is said again, until the autoscaler changes it for the first time and has it from then on. */
static void keep_replicas(struct document *document, struct value *spec, const struct value *live, int64_t least) {
	if (!live && least > 0)
		value_add_int(document, spec, "replicas", least);
	else if (live && has_replicas(live))
		value_add_int(document, spec, "replicas", deployment_replicas(live));
}

struct value *object_dressed(struct document *document, const struct value *object, const struct value *live, int64_t fence, int64_t release,
	int64_t replicas, const char *key, int64_t least) {
	struct value *copy = value_add_copy(document, value_root_array(document), NULL, object);
	struct value *annotations = member(document, member(document, copy, "metadata"), "annotations");
	AUTO_FREE char *fence_text = mem_format("%" PRId64, fence), *release_text = mem_format("%" PRId64, release);
	value_add_text(document, annotations, ANNOTATION_FENCE, fence_text);
	value_add_text(document, annotations, ANNOTATION_RELEASE, release_text);
	if (!str_is(object_text(object, "kind"), "Deployment"))
		return copy;
	struct value *spec = member(document, copy, "spec"), *wanted = (struct value *) value_get(spec, "replicas");
	if (!wanted)
		keep_replicas(document, spec, live, least);
	if (replicas >= 0 && wanted)
		value_set_int(document, wanted, replicas);
	add_release_env(document, (struct value *) value_find(copy, "spec.template.spec.containers"), object, live, release);
	add_key(document, (struct value *) value_find(copy, "spec.template"), live, key);
	return copy;
}

static int not_ours(struct kubernetes *k, const char *kind, const char *name, const struct value *live, struct err *err) {
	struct str manager = object_label(live, "app.kubernetes.io/managed-by"), env = object_label(live, LABEL_ENV);
	err_set(err, ERR_CONFLICT, "%s %s in namespace %s is there already and not of %s %s%s%.*s%s%.*s", kind, name, kube_namespace(k->kube),
		k->context.service, k->context.env, manager.len ? "; managed by " : "", STR_ARGS(manager), env.len ? ", environment " : "", STR_ARGS(env));
	return err_fix(err, "another name: or namespace: in mlctl.yaml, or kubectl -n %s delete %s %s", kube_namespace(k->kube), kind, name);
}

/* Fields of others are taken over only when that was asked for, and then named. */
static int apply_taking(struct kubernetes *k, struct kube_apply *apply, struct err *err) {
	if (kube_apply(k->kube, apply, NULL, err) == 0)
		return 0;
	if (!apply->is_owned || !k->context.is_forcing)
		return -1;
	if (k->context.warn) {
		AUTO_FREE char *text = mem_format("taken over: %s", err->message);
		k->context.warn(k->context.warn_self, text);
	}
	err_clear(err);
	apply->is_forced = true;
	return kube_apply(k->kube, apply, NULL, err);
}

/* One object, by the version that was read before the fence was. Its own controller may have written in between: then once more. */
static int apply_one(struct kubernetes *k, const struct value *object, struct change *change, const struct value *live, struct err *err) {
	AUTO_FREE char *kind = str_dup(object_text(object, "kind")), *name = str_dup(object_text(object, "metadata.name"));
	AUTO_DOCUMENT struct document *again = NULL;
	bool is_taking = change->is_taking_scale && strcmp(kind, "Deployment") == 0;
	for (int tries = 1;; tries++) {
		AUTO_DOCUMENT struct document *document = document_new("object");
		if (live && !object_is_ours(k, live))
			return not_ours(k, kind, name, live, err);
		/* "": what was not there when the fence was looked at must not have come since, or it is another's. */
		AUTO_FREE char *version = str_dup(object_text(live, "metadata.resourceVersion"));
		struct kube_apply apply = {.object = object_dressed(document, object, live, change->fence, change->release, change->replicas, change->key,
						    change->least),
			.resource_version = version,
			.taken_field = is_taking ? SCALE_FIELD : NULL};
		if (apply_taking(k, &apply, err) == 0)
			return 0;
		if (!apply.is_stale || tries == APPLY_TRIES)
			return err_wrap(err, "applying %s %s", kind, name);
		err_clear(err);
		document_free(take(&again));
		if (kube_get(k->kube, kind, name, &again, err) != 0 && err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		live = again ? again->root : NULL;
		if (check_fence(k, change->fence, err) != 0)
			return -1;
	}
}

static const struct value *view_find(const struct kubernetes *k, const struct view *view, const char *kind, const char *name) {
	return strcmp(name, k->name) != 0	  ? NULL
		: strcmp(kind, "Deployment") == 0 ? view->main
		: strcmp(kind, "HorizontalPodAutoscaler") == 0 ? view->scaler
		: NULL;
}

int objects_ask(struct kubernetes *k, const struct value *list, const char *secret, struct texts *words, struct kube_ask **out, struct err *err) {
	bool is_looking = k->context.is_looking;
	const struct view *seen = is_looking && is_of_moment(k, k->looked.at_ms) ? &k->looked : NULL;
	size_t count = list ? list->count : 0;
	if (!count)
		return err_set(err, ERR_INVALID, "the release holds no objects");
	struct kube_ask *asks = mem_zero(count + 1, sizeof(*asks));
	value_each(object, list) {
		AUTO_FREE char *kind = str_dup(object_text(object, "kind")), *name = str_dup(object_text(object, "metadata.name"));
		texts_add(words, kind);
		texts_add(words, name);
	}
	if (secret && secret[0]) {
		texts_add(words, "Secret");
		texts_add(words, secret);
		count++;
	}
	for (size_t i = 0; i < count; i++)
		asks[i] = (struct kube_ask) {.selection = {.kind = words->items[2 * i]},
			.name = words->items[2 * i + 1],
			.is_cached = is_looking && i < list->count,
			.known = seen ? view_find(k, seen, words->items[2 * i], words->items[2 * i + 1]) : NULL};
	int rc = kube_ask_all(k->kube, asks, count, err);
	if (rc == 0)
		rc = answers_check(asks, count, err);
	for (size_t i = 0; rc != 0 && i < count; i++)
		document_free(asks[i].answer);
	if (rc != 0)
		free(asks);
	else
		*out = asks;
	return rc;
}

/* All objects of the list, read side by side first. */
static int apply_list(struct kubernetes *k, const struct value *list, struct change *change, struct err *err) {
	struct kube_ask *asks = NULL;
	AUTO_TEXTS struct texts words = {0};
	size_t i = 0;
	if (objects_ask(k, list, NULL, &words, &asks, err) != 0)
		return -1;
	int rc = check_fence(k, change->fence, err);
	i = 0;
	value_each(object, list) {
		if (rc == 0)
			rc = apply_one(k, object, change, asks[i].answer ? asks[i].answer->root : NULL, err);
		i++;
	}
	for (i = 0; i < list->count; i++)
		document_free(asks[i].answer);
	free(asks);
	return rc;
}

int objects_put(struct kubernetes *k, int64_t fence, int64_t release, const struct value *list, struct err *err) {
	struct change change = {.fence = fence, .release = release, .replicas = -1};
	return apply_list(k, list, &change, err);
}

/* ---- the key of a revision's control listener ---- */

/* uid: of the Secret, made now or there already; "" for a payload without a control listener. */
static int make_key(struct kubernetes *k, const struct value *objects, const struct revision *revision, char uid[64], struct err *err) {
	struct str name = object_text(objects, "control_secret");
	unsigned char bytes[KEY_BYTES];
	AUTO_BUF struct buf key = BUF(256), encoded = BUF(512);
	AUTO_DOCUMENT struct document *document = document_new("key");
	if (!name.len)
		return 0; /* a payload without a control listener */
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
		return err_sys(err, "random bytes for a key");
	hex_encode(bytes, sizeof(bytes), &key);
	base64_encode(buf_view(&key), &encoded);
	if (k->context.redact) {
		redactor_add(k->context.redact, buf_view(&key));
		redactor_add(k->context.redact, buf_view(&encoded));
	}
	struct value *root = value_root_object(document);
	value_add_text(document, root, "apiVersion", "v1");
	value_add_text(document, root, "kind", "Secret");
	struct value *metadata = value_add_object(document, root, "metadata");
	value_add_str(document, metadata, "name", name);
	add_own_labels(k, document, metadata, "control");
	value_add_text(document, (struct value *) value_get(metadata, "labels"), LABEL_REVISION, revision->name);
	value_add_text(document, root, "type", "Opaque");
	value_add_str(document, value_add_object(document, root, "data"), "key", buf_view(&encoded));
	AUTO_DOCUMENT struct document *made = NULL;
	bool is_new = kube_create(k->kube, root, &made, err) == 0;
	if (!is_new && err->code != ERR_CONFLICT && err->code != ERR_UNCLEAR) /* with a lost answer it may be there: that is read below */
		return err_wrap(err, "making the key of %s", revision->name);
	if (is_new)
		control_forget(k, name);
	err_clear(err); /* else it has one: its pods know that one */
	AUTO_FREE char *secret = str_dup(name);
	if (!is_new && kube_get(k->kube, "Secret", secret, &made, err) != 0) {
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_UNCLEAR; /* gone since, or never made: the whole step again */
		return err_wrap(err, "the key of %s", revision->name);
	}
	if (!object_is_ours(k, made->root))
		return not_ours(k, "Secret", secret, made->root, err);
	snprintf(uid, 64, "%.*s", STR_ARGS(object_text(made->root, "metadata.uid")));
	return 0;
}

static void note_memory(struct kubernetes *k, const struct value *objects) {
	k->memory_needed_bytes = object_int(objects, "memory_needed_bytes", 0);
}

int kubernetes_stage(void *state, int64_t fence, const struct revision *revision, const struct value *objects, int64_t replicas, struct store *store,
	struct err *err) {
	struct kubernetes *k = state;
	struct change change = {.fence = fence, .release = revision->release, .replicas = replicas > 0 ? replicas : -1};
	(void) store; /* the nodes pull the image themselves */
	note_memory(k, objects);
	if (check_fence(k, fence, err) != 0 || make_key(k, objects, revision, change.key, err) != 0)
		return -1;
	return apply_list(k, value_get(objects, "canary"), &change, err);
}

static bool has_autoscaler(const struct value *objects) {
	const struct value *autoscaled = value_get(objects, "has_autoscaler");
	return autoscaled && autoscaled->kind == VALUE_BOOL && autoscaled->boolean;
}

static int set_scale(struct kubernetes *k, int64_t replicas, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("scale");
	struct value *patch = value_root_object(document);
	value_add_int(document, value_add_object(document, patch, "spec"), "replicas", replicas);
	return kube_patch(k->kube, "Deployment", k->name, "scale", patch, NULL, err);
}

/* The first release failed and there is none to go back to: NAME gets no pods. Without an autoscaler `replicas` is ours by apply, and stays so. */
static int scale_away(struct kubernetes *k, int64_t fence, const struct revision *revision, const struct value *objects, const struct view *view,
	struct err *err) {
	AUTO_DOCUMENT struct document *list = document_new("deployment");
	if (!deployment_is(view->main, revision))
		return 0;
	if (!objects || has_autoscaler(objects))
		return set_scale(k, 0, err);
	struct value *only = value_root_array(list);
	value_each(object, value_get(objects, "stable"))
		if (str_is(object_text(object, "kind"), "Deployment"))
			value_add_copy(list, only, NULL, object);
	struct change change = {.fence = fence, .release = revision->release, .replicas = 0};
	return apply_list(k, only, &change, err);
}

/* ---- all of the traffic ---- */

/* Whoever set `replicas` is no person: the autoscaler's controller, or mlctl by way of the scale. */
static bool is_scaled_by_machine(const struct value *deployment) {
	bool has_machine = false;
	value_each(entry, value_find(deployment, "metadata.managedFields")) {
		struct str manager = object_text(entry, "manager");
		const struct value *spec = value_get(value_get(entry, "fieldsV1"), "f:spec");
		if (!value_get(spec, "f:replicas") || str_is(object_text(entry, "operation"), "Apply"))
			continue;
		if (!str_is(manager, "kube-controller-manager") && !str_is(manager, KUBE_FIELD_MANAGER))
			return false;
		has_machine = true;
	}
	return has_machine;
}

int scale_is_ours(struct kubernetes *k, const struct value *objects, const struct value *main, struct document **scaler, bool *out, struct err *err) {
	AUTO_DOCUMENT struct document *list = NULL;
	*out = false;
	if (has_autoscaler(objects))
		return 0;
	if (kube_list(k->kube, &(struct kube_selection) {.kind = "HorizontalPodAutoscaler"}, &list, err) != 0)
		return -1;
	bool has_other = false;
	value_each(item, value_get(list->root, "items")) {
		if (!str_is(object_text(item, "spec.scaleTargetRef.name"), k->name) || !str_is(object_text(item, "spec.scaleTargetRef.kind"), "Deployment"))
			continue;
		if (!object_is_ours(k, item)) {
			has_other = true;
		} else if (!*scaler) {
			*scaler = document_new("autoscaler");
			(*scaler)->root = value_add_copy(*scaler, value_root_array(*scaler), NULL, item);
		}
	}
	*out = !has_other && (*scaler || is_scaled_by_machine(main));
	return 0;
}

/* An object as it was before the fence was looked at. One that changed since is looked at again, and so is the fence: whoever was paused in between must
 * not take away what another deploy has put in its place. */
static int delete_ours(struct kubernetes *k, int64_t fence, const char *kind, const struct value *object, struct err *err) {
	AUTO_FREE char *name = str_dup(object_text(object, "metadata.name")), *uid = str_dup(object_text(object, "metadata.uid"));
	AUTO_DOCUMENT struct document *again = NULL;
	for (int tries = 1;; tries++) {
		AUTO_FREE char *version = str_dup(object_text(object, "metadata.resourceVersion"));
		if (!object_is_ours(k, object))
			return 0;
		if (kube_delete(k->kube, kind, name, uid, version, NULL, err) == 0)
			return 0;
		if (err->code != ERR_CONFLICT || tries == APPLY_TRIES)
			return -1;
		err_clear(err);
		document_free(take(&again));
		if (kube_get(k->kube, kind, name, &again, err) != 0)
			return err->code == ERR_NOT_FOUND ? (err_clear(err), 0) : -1;
		object = again->root;
		if (!str_is(object_text(object, "metadata.uid"), uid) || value_find(object, "metadata.deletionTimestamp"))
			return 0; /* not the one that was meant, or on its way out already */
		if (check_fence(k, fence, err) != 0)
			return -1;
	}
}

/* An autoscaler that the new version has none of would fight for `replicas` from the first moment, so it goes first. */
static int drop_autoscaler(struct kubernetes *k, const struct value *objects, const struct value *main, struct change *change, struct err *err) {
	AUTO_DOCUMENT struct document *scaler = NULL;
	if (scale_is_ours(k, objects, main, &scaler, &change->is_taking_scale, err) != 0)
		return -1;
	if (!scaler)
		return 0;
	return check_fence(k, change->fence, err) != 0 ? -1 : delete_ours(k, change->fence, "HorizontalPodAutoscaler", scaler->root, err);
}

/* `replicas` is the autoscaler's, so apply leaves it out; a Deployment that was scaled away would wait for it with too few. */
static int raise_to_least(struct kubernetes *k, const struct value *objects, int64_t live, struct err *err) {
	int64_t least = object_int(objects, "replicas", 1);
	return has_autoscaler(objects) && live >= 0 && live < least ? set_scale(k, least, err) : 0;
}

static int remove_canary(struct kubernetes *k, int64_t fence, const struct revision *revision, struct err *err) {
	struct kube_ask asks[] = {{.selection = {.kind = "Deployment"}, .name = k->canary}, {.selection = {.kind = "Service"}, .name = k->canary}};
	if (kube_ask_all(k->kube, asks, 2, err) != 0)
		return -1;
	AUTO_DOCUMENT struct document *deployment = asks[0].answer;
	AUTO_DOCUMENT struct document *service = asks[1].answer;
	if (answers_check(asks, 2, err) != 0)
		return -1;
	if (deployment && !deployment_is(deployment->root, revision))
		return 0;
	if (check_fence(k, fence, err) != 0 || (deployment && delete_ours(k, fence, "Deployment", deployment->root, err) != 0))
		return -1;
	return service ? delete_ours(k, fence, "Service", service->root, err) : 0;
}

static int roll(struct kubernetes *k, int64_t fence, const struct revision *revision, const struct value *objects, const struct view *view,
	struct err *err) {
	struct change change = {.fence = fence, .release = revision->release, .replicas = -1, .least = object_int(objects, "replicas", 1)};
	struct err split = {0};
	if (!objects)
		return err_set(err, ERR_INVALID, "no objects to roll out %s from", revision->name);
	note_memory(k, objects);
	int64_t live = view->main ? deployment_replicas(view->main) : -1;
	if (check_fence(k, fence, err) != 0)
		return -1;
	k->applied[0] = '\0'; /* cut in the middle, NAME is nobody's for sure: then the one before is applied again, too */
	if (view->canary)
		best_effort(share_set(k, fence, view, revision, 0, 1, &split)); /* a pod that fails just now hands nothing on either */
	if (make_key(k, objects, revision, change.key, err) != 0 || drop_autoscaler(k, objects, view->main, &change, err) != 0 ||
		apply_list(k, value_get(objects, "stable"), &change, err) != 0 || raise_to_least(k, objects, live, err) != 0)
		return -1;
	snprintf(k->applied, sizeof(k->applied), "%s", revision->name);
	return 0;
}

int kubernetes_route(void *state, int64_t fence, const struct revision *stable, const struct revision *revision, const struct value *objects, double weight,
	int64_t ttl_s, struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	if ((weight >= 100 ? view_mirrored(k, &view, err) : view_ask(k, &view, err)) != 0)
		return -1;
	if (weight < 100) {
		if (check_fence(k, fence, err) != 0)
			return -1;
		return stable ? share_set(k, fence, &view, revision, weight, ttl_s, err) : scale_away(k, fence, revision, objects, &view, err);
	}
	if (strcmp(k->applied, revision->name) != 0)
		return roll(k, fence, revision, objects, &view, err);
	/* Once every pod of NAME is of this revision, the canary that led the way goes. */
	if (!view.canary || !deployment_is(view.main, revision) || !deployment_is_complete(view.main))
		return 0;
	return remove_canary(k, fence, revision, err);
}

/* ---- removing ---- */

bool objects_name(const struct value *list, const char *kind, struct str name) {
	value_each(object, list)
		if (str_is(object_text(object, "kind"), kind) && str_equal(object_text(object, "metadata.name"), name))
			return true;
	return false;
}

/* Is it among the objects of any release that is kept here? */
static bool is_kept_object(const struct document *kept, const char *kind, const struct value *object) {
	struct str name = object_text(object, "metadata.name");
	value_each(objects, kept->root)
		if (objects_name(value_get(objects, "stable"), kind, name) || objects_name(value_get(objects, "canary"), kind, name))
			return true;
	return false;
}

const char *const leftover_kinds[] = { /* as many as are declared, or it does not compile */
	"ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "Ingress", "HTTPRoute",
	"ServiceMonitor", "PrometheusRule", "Deployment", "Service", "ServiceAccount"};

bool is_leftover(const struct kubernetes *k, const struct value *list, const char *kind, const struct value *object) {
	struct str name = object_text(object, "metadata.name");
	return object_is_ours(k, object) && !object_label(object, LABEL_PART).len && !str_is(name, k->canary) && !objects_name(list, kind, name);
}

/* A ConfigMap stays for as long as any kept release names it; the others belong to NAME, so what its version does not have goes. */
static int prune(struct kubernetes *k, int64_t fence, const struct value *main, struct err *err) {
	struct kube_ask asks[LEFTOVER_KINDS];
	AUTO_DOCUMENT struct document *kept = NULL;
	bool is_whole;
	if (kept_objects(k, &kept, &is_whole, err) != 0)
		return -1;
	const struct value *current = kept_of(kept, main);
	for (size_t i = 0; i < LEFTOVER_KINDS; i++)
		asks[i] = (struct kube_ask) {.selection = {.kind = leftover_kinds[i], .labels = k->labels}};
	int rc = kube_ask_all(k->kube, asks, LEFTOVER_KINDS, err);
	if (rc == 0)
		rc = check_fence(k, fence, err);
	for (size_t i = 0; i < LEFTOVER_KINDS; i++) {
		const char *kind = leftover_kinds[i];
		/* A kind that this cluster has not, or that we may not list, holds nothing of ours. */
		value_each(object, rc == 0 && current && asks[i].answer ? value_get(asks[i].answer->root, "items") : NULL) {
			bool is_needed = strcmp(kind, "ConfigMap") == 0 && (!is_whole || is_kept_object(kept, kind, object));
			if (rc == 0 && !is_needed && is_leftover(k, value_get(current, "stable"), kind, object))
				rc = delete_ours(k, fence, kind, object, err);
		}
		document_free(asks[i].answer);
	}
	return rc;
}

static int delete_key(struct kubernetes *k, int64_t fence, const struct revision *revision, struct err *err) {
	AUTO_FREE char *labels = mem_format("%s," LABEL_PART "=control," LABEL_REVISION "=%s", k->labels, revision->name);
	AUTO_DOCUMENT struct document *secrets = NULL;
	if (kube_list(k->kube, &(struct kube_selection) {.kind = "Secret", .labels = labels}, &secrets, err) != 0 || check_fence(k, fence, err) != 0)
		return -1;
	value_each(secret, value_get(secrets->root, "items")) {
		if (delete_ours(k, fence, "Secret", secret, err) != 0)
			return -1;
		control_forget(k, object_text(secret, "metadata.name"));
	}
	return 0;
}

/* What not every cluster has, so not every Role grants. */
static bool is_optional(const char *kind) {
	return strcmp(kind, "HTTPRoute") == 0 || strcmp(kind, "ServiceMonitor") == 0 || strcmp(kind, "PrometheusRule") == 0;
}

/* Every object that carries our labels, but the head. is_all: those of mlctl's own state too. */
static int delete_all(struct kubernetes *k, int64_t fence, bool is_all, struct err *err) {
	static const char *const kinds[] = {"Ingress", "HTTPRoute", "HorizontalPodAutoscaler", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy",
		"ServiceMonitor", "PrometheusRule", "ConfigMap", "ServiceAccount", "Secret"};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	struct kube_ask asks[KINDS];
	for (size_t i = 0; i < KINDS; i++)
		asks[i] = (struct kube_ask) {.selection = {.kind = kinds[i], .labels = k->labels}};
	int rc = kube_ask_all(k->kube, asks, KINDS, err);
	for (size_t i = 0; rc == 0 && i < KINDS; i++) { /* what can't be seen would stay behind with nobody to know of it */
		enum err_code code = asks[i].err.code;
		if (asks[i].answer || code == ERR_NOT_FOUND || (code == ERR_AUTH && is_optional(kinds[i])))
			continue;
		*err = asks[i].err;
		rc = -1;
	}
	if (rc == 0)
		rc = check_fence(k, fence, err);
	for (size_t i = 0; i < KINDS; i++) {
		value_each(object, rc == 0 && asks[i].answer ? value_get(asks[i].answer->root, "items") : NULL) {
			struct str part = object_label(object, LABEL_PART);
			if (rc == 0 && !str_is(part, "head") && (is_all || !str_is(part, "keep")))
				rc = delete_ours(k, fence, kinds[i], object, err);
		}
		document_free(asks[i].answer);
	}
	return rc;
}

int kubernetes_retire(void *state, int64_t fence, const struct revision *revision, bool is_kept, struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	(void) is_kept; /* the image stays on the nodes as long as the kubelet lets it; the objects are in the kept release */
	if (view_ask(k, &view, err) != 0 || check_fence(k, fence, err) != 0)
		return -1;
	bool is_main = deployment_is(view.main, revision);
	if (is_main && deployment_replicas(view.main) > 0)
		return err_set(err, ERR_CONFLICT, "%s gets traffic", revision->name);
	if (k->applied[0] && strcmp(k->applied, revision->name) == 0)
		k->applied[0] = '\0';
	if (is_main || !view.main) /* the only one there was, or it was cut before NAME was made: nothing beside it is anybody's */
		return delete_all(k, fence, false, err);
	if ((!view.canary || deployment_is(view.canary, revision)) && share_end(k, fence, &view, revision, err) != 0)
		return -1;
	if (remove_canary(k, fence, revision, err) != 0 || delete_key(k, fence, revision, err) != 0)
		return -1;
	return prune(k, fence, view.main, err);
}

int kubernetes_destroy(void *state, int64_t fence, struct err *err) {
	struct kubernetes *k = state;
	AUTO_DOCUMENT struct document *head = NULL;
	if (check_fence(k, fence, err) != 0 || delete_all(k, fence, true, err) != 0)
		return -1;
	if (kube_get(k->kube, "ConfigMap", k->head, &head, err) != 0)
		return err->code == ERR_NOT_FOUND ? (err_clear(err), 0) : -1;
	return check_fence(k, fence, err) != 0 ? -1 : delete_ours(k, fence, "ConfigMap", head->root, err);
}
