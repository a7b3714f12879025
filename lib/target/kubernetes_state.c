/* What mlctl keeps in the cluster: the head in a ConfigMap, kept releases in Secrets. */
#include "target/kubernetes.h"

#include "data/compress.h"

#include <inttypes.h>
#include <stdio.h>

#define KEEP_BYTES_MAX ((int64_t) 16 * 1024 * 1024) /* unpacked; packed, the API server's own 1 MiB holds */
#define KEEP_RATIO_MAX 400

void add_own_labels(const struct kubernetes *k, struct document *document, struct value *metadata, const char *part) {
	struct value *labels = value_add_object(document, metadata, "labels");
	value_add_text(document, labels, "app.kubernetes.io/managed-by", "mlctl");
	value_add_text(document, labels, "app.kubernetes.io/name", k->context.service);
	value_add_text(document, labels, LABEL_ENV, k->context.env);
	value_add_text(document, labels, LABEL_PART, part);
	value_add_text(document, labels, LABEL_SERVICE, k->context.service);
}

/* The cluster's identity is kube-system's uid; who may not see that gets by with the own namespace's. The answers are taken. */
static int take_identity(struct kubernetes *k, struct kube_ask asks[2], struct err *err) {
	AUTO_DOCUMENT struct document *whole = asks[0].answer;
	AUTO_DOCUMENT struct document *own = asks[1].answer;
	if (asks[1].err.code == ERR_NOT_FOUND) { /* told here, before anything is pushed */
		err_set(err, ERR_NOT_FOUND, "namespace %s is not there", kube_namespace(k->kube));
		return err_fix(err, "kubectl create namespace %s", kube_namespace(k->kube));
	}
	bool is_denied = asks[0].err.code == ERR_AUTH || asks[0].err.code == ERR_NOT_FOUND;
	if (!whole && (!own || !is_denied)) {
		*err = asks[is_denied].err;
		return err_wrap(err, "asking which cluster this is");
	}
	snprintf(k->cluster, sizeof(k->cluster), "%s %.*s", whole ? "cluster" : "namespace",
		STR_ARGS(object_text(whole ? whole->root : own->root, "metadata.uid")));
	return 0;
}

static void ask_identity(const struct kubernetes *k, struct kube_ask asks[2]) {
	asks[0] = (struct kube_ask) {.selection = {.kind = "Namespace"}, .name = "kube-system", .is_cached = true};
	asks[1] = (struct kube_ask) {.selection = {.kind = "Namespace"}, .name = kube_namespace(k->kube)}; /* it may just have been made */
}

int cluster_identity(struct kubernetes *k, struct err *err) {
	struct kube_ask asks[2];
	if (k->cluster[0])
		return 0;
	ask_identity(k, asks);
	return kube_ask_all(k->kube, asks, 2, err) != 0 ? -1 : take_identity(k, asks, err);
}

/* Only identities of one kind can be compared: the permission to see kube-system may have come or gone. */
static int check_cluster(struct kubernetes *k, const struct value *head, struct err *err) {
	struct str there = object_annotation(head, ANNOTATION_CLUSTER);
	if (!there.len)
		return 0;
	if (cluster_identity(k, err) != 0)
		return -1;
	struct str rest_there, rest_here, kind_there = str_cut(there, ' ', &rest_there), kind_here = str_cut(str_of(k->cluster), ' ', &rest_here);
	if (!str_equal(kind_there, kind_here) || str_equal(rest_there, rest_here))
		return 0;
	err_set(err, ERR_CONFLICT, "the head of %s says it was made in %.*s, and this is %s: was it restored from a backup of another cluster?",
		k->context.service, STR_ARGS(there), k->cluster);
	return err_fix(err, "if this is the right cluster: kubectl -n %s annotate configmap %s " ANNOTATION_CLUSTER "-", kube_namespace(k->kube), k->head);
}

static int head_of_this(struct kubernetes *k, const struct value *head, struct err *err) {
	if (object_is_ours(k, head))
		return check_cluster(k, head, err);
	struct str env = object_label(head, LABEL_ENV);
	err_set(err, ERR_CONFLICT, "namespace %s holds %s for environment \"%.*s\", not for %s: two environments of a service can't share a namespace",
		kube_namespace(k->kube), k->context.service, STR_ARGS(env), k->context.env);
	return err_fix(err, "mlctl.yaml: environments.%s.namespace: another one", k->context.env);
}

/* With it, the first time, who the cluster is: a head says which one it was made in. That is asked again where it matters and was not told. Whoever
 * only looks is told what there is now of the service as well: he asks that next. */
static int ask_head(struct kubernetes *k, struct document **out, struct err *err) {
	struct kube_ask asks[3 + VIEW_ASKS] = {{.selection = {.kind = "ConfigMap"}, .name = k->head}};
	struct err untold = {0};
	if (k->cluster[0])
		return kube_get(k->kube, "ConfigMap", k->head, out, err);
	ask_identity(k, asks + 1);
	view_asks(k, asks + 3);
	if (kube_ask_all(k->kube, asks, k->context.is_looking ? 3 + VIEW_ASKS : 3, err) != 0)
		return -1;
	if (k->context.is_looking) {
		view_clear(&k->looked);
		if (view_take(k, &k->looked, asks + 3, &untold) != 0) /* told when it is asked for */
			view_clear(&k->looked);
	}
	best_effort(take_identity(k, asks + 1, &untold));
	*out = asks[0].answer;
	if (!*out)
		*err = asks[0].err;
	return *out ? 0 : -1;
}

int kubernetes_head_get(void *state, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err) {
	struct kubernetes *k = state;
	AUTO_DOCUMENT struct document *head = NULL;
	*len = 0;
	version[0] = '\0';
	if (ask_head(k, &head, err) != 0) {
		/* A namespace that is not there is no absent head: nothing could be written. */
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	struct str text = object_text(head->root, "data.head"), at = object_text(head->root, "metadata.resourceVersion");
	if (head_of_this(k, head->root, err) != 0)
		return -1;
	if (!text.len || text.len > TARGET_HEAD_BYTES_MAX || at.len >= 64)
		return err_set(err, ERR_INVALID, "ConfigMap %s: data.head is missing or longer than %d bytes", k->head, TARGET_HEAD_BYTES_MAX);
	memcpy(bytes, text.ptr, text.len);
	*len = text.len;
	memcpy(version, at.ptr, at.len);
	version[at.len] = '\0';
	return 0;
}

int kubernetes_head_put(void *state, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err) {
	struct kubernetes *k = state;
	AUTO_DOCUMENT struct document *document = document_new("head");
	AUTO_DOCUMENT struct document *answer = NULL;
	if (cluster_identity(k, err) != 0)
		return -1;
	struct value *root = value_root_object(document);
	value_add_text(document, root, "apiVersion", "v1");
	value_add_text(document, root, "kind", "ConfigMap");
	struct value *metadata = value_add_object(document, root, "metadata");
	value_add_text(document, metadata, "name", k->head);
	if (version[0])
		value_add_text(document, metadata, "resourceVersion", version);
	add_own_labels(k, document, metadata, "head");
	struct value *annotations = value_add_object(document, metadata, "annotations");
	value_add_text(document, annotations, ANNOTATION_CLUSTER, k->cluster);
	value_add_str(document, value_add_object(document, root, "data"), "head", (struct str) {bytes, len});
	int rc = version[0] ? kube_replace(k->kube, root, &answer, err) : kube_create(k->kube, root, &answer, err);
	if (rc != 0) {
		if (version[0] && err->code == ERR_NOT_FOUND) /* destroyed meanwhile */
			err->code = ERR_CONFLICT;
		return -1;
	}
	snprintf(new_version, 64, "%.*s", STR_ARGS(object_text(answer->root, "metadata.resourceVersion")));
	return 0;
}

int check_fence(struct kubernetes *k, int64_t fence, struct err *err) {
	char bytes[TARGET_HEAD_BYTES_MAX], version[64];
	size_t len;
	AUTO_DOCUMENT struct document *head = NULL;
	if (fence == INT64_MAX)
		return 0;
	if (kubernetes_head_get(k, bytes, &len, version, err) != 0)
		return -1;
	if (!len)
		return err_set(err, ERR_LOCKED, "there is no head any more: %s was destroyed", k->context.service);
	if (json_read("head", (struct str) {bytes, len}, VALUE_LIMITS_CONFIG, &head, err) != 0)
		return -1;
	int64_t there = object_int(head->root, "lock.fence", 0);
	struct str holder = object_text(head->root, "lock.holder");
	if (there == fence)
		return 0;
	return err_set(err, ERR_LOCKED, "the lock is not ours any more: fence %" PRId64 ", now %" PRId64 "%s%.*s", fence, there,
		holder.len ? ", held by " : "", STR_ARGS(holder));
}

/* ---- kept releases ---- */

static char *keep_name(const struct kubernetes *k, int64_t release) {
	return mem_format("%s.r%" PRId64, k->head, release);
}

int kubernetes_keep_put(void *state, int64_t release, const char *text, struct err *err) {
	struct kubernetes *k = state;
	AUTO_FREE char *name = keep_name(k, release), *packed = NULL;
	AUTO_BUF struct buf encoded = BUF(4 * 1024 * 1024);
	AUTO_DOCUMENT struct document *document = document_new("keep");
	size_t len = 0;
	if (!text)
		return kube_delete(k->kube, "Secret", name, NULL, NULL, NULL, err);
	if (gzip_of(str_of(text), &packed, &len, err) != 0)
		return -1;
	base64_encode((struct str) {packed, len}, &encoded);
	if (buf_check(&encoded, name, err) != 0)
		return -1;
	struct value *root = value_root_object(document);
	value_add_text(document, root, "apiVersion", "v1");
	value_add_text(document, root, "kind", "Secret");
	struct value *metadata = value_add_object(document, root, "metadata");
	value_add_text(document, metadata, "name", name);
	add_own_labels(k, document, metadata, "keep");
	value_add_text(document, root, "type", "mlctl.dev/release");
	value_add_str(document, value_add_object(document, root, "data"), "release", buf_view(&encoded));
	struct kube_apply apply = {.object = root, .is_forced = true}; /* nobody else writes it; a release's own text may be completed by its evidence */
	return kube_apply(k->kube, &apply, NULL, err);
}

static int collect(void *self, const void *bytes, size_t len, struct err *err) {
	struct buf *out = self;
	buf_add(out, bytes, len);
	return buf_check(out, "a kept release", err);
}

static int unpack(const struct value *secret, char **out, struct err *err) {
	AUTO_BUF struct buf packed = BUF(4 * 1024 * 1024);
	AUTO_BUF struct buf text = BUF(KEEP_BYTES_MAX);
	if (base64_decode(object_text(secret, "data.release"), &packed, err) != 0)
		return -1;
	AUTO_GUNZIP struct gunzip *gunzip =
		gunzip_new("release", (struct gunzip_limits) {.bytes_max = KEEP_BYTES_MAX, .ratio_max = KEEP_RATIO_MAX}, collect, &text);
	if (gunzip_feed(gunzip, packed.ptr ? packed.ptr : "", packed.len, err) != 0 || gunzip_finish(gunzip, err) != 0)
		return -1;
	return buf_take(&text, out, err);
}

int kubernetes_keep_get(void *state, int64_t release, char **text, struct err *err) {
	struct kubernetes *k = state;
	AUTO_FREE char *name = keep_name(k, release);
	AUTO_DOCUMENT struct document *secret = NULL;
	if (kube_get(k->kube, "Secret", name, &secret, err) != 0)
		return -1;
	return unpack(secret->root, text, err) != 0 ? err_wrap(err, "Secret %s", name) : 0;
}

static int objects_of(const struct value *secret, struct document *all, struct err *err) {
	AUTO_FREE char *text = NULL;
	AUTO_DOCUMENT struct document *kept = NULL;
	AUTO_DOCUMENT struct document *record = NULL;
	struct str inner;
	if (unpack(secret, &text, err) != 0 || json_read("kept", str_of(text), VALUE_LIMITS_WIRE, &kept, err) != 0 ||
		value_need_str(kept->root, "record", &inner, err) != 0 || json_read("record", inner, VALUE_LIMITS_WIRE, &record, err) != 0)
		return -1;
	const struct value *objects = value_get(record->root, "objects");
	if (objects)
		value_add_copy(all, all->root, NULL, objects);
	return 0;
}

int kept_objects(struct kubernetes *k, struct document **out, bool *is_whole, struct err *err) {
	AUTO_FREE char *labels = mem_format("%s," LABEL_PART "=keep", k->labels);
	AUTO_DOCUMENT struct document *secrets = NULL;
	AUTO_DOCUMENT struct document *all = document_new("kept objects");
	if (kube_list(k->kube, &(struct kube_selection) {.kind = "Secret", .labels = labels}, &secrets, err) != 0)
		return -1;
	value_root_array(all);
	*is_whole = true;
	value_each(secret, value_get(secrets->root, "items")) {
		struct err unread = {0};
		if (objects_of(secret, all, &unread) == 0)
			continue;
		log_debug(k->context.log, "Secret %.*s: %s", STR_ARGS(object_text(secret, "metadata.name")), unread.message);
		*is_whole = false;
	}
	*out = take(&all);
	return 0;
}

const struct value *kept_of(const struct document *kept, const struct value *main) {
	struct str image = main ? object_label(main, LABEL_REVISION) : (struct str) {0};
	value_each(objects, kept->root)
		value_each(object, value_get(objects, "stable"))
			if (image.len && str_is(object_text(object, "kind"), "Deployment") && str_equal(object_label(object, LABEL_REVISION), image))
				return objects;
	return NULL;
}
