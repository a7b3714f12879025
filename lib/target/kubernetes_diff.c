/* What applying objects would change, as the API server itself says: a dry run of each, compared with what is there. */
#include "target/kubernetes.h"

/* What the server keeps for itself, and what only the moment of an apply decides. */
static const char *const not_compared[] = {"metadata.managedFields", "metadata.resourceVersion", "metadata.generation", "metadata.uid", "metadata.creationTimestamp",
	"metadata.annotations[\"" ANNOTATION_FENCE "\"]",
	"metadata.annotations[\"" ANNOTATION_RELEASE "\"]", "metadata.annotations[\"deployment.kubernetes.io/revision\"]", "status"};

static bool is_compared(struct str path) {
	for (size_t i = 0; i < sizeof(not_compared) / sizeof(not_compared[0]); i++) {
		size_t n = strlen(not_compared[i]);
		if (str_starts(path, not_compared[i]) && (path.len == n || path.ptr[n] == '.' || path.ptr[n] == '['))
			return false;
	}
	return true;
}

static void add_change(struct document *document, struct value *changes, const char *object, const char *change, const struct value *from) {
	struct value *one = value_add_object(document, changes, NULL);
	value_add_text(document, one, "object", object);
	value_add_text(document, one, "change", change);
	value_add_text(document, one, "path", "");
	value_each(member, from) {
		AUTO_FREE char *key = str_dup(member->key);
		if (!str_is(member->key, "path"))
			value_add_copy(document, one, key, member);
		else
			value_set_str(document, (struct value *) value_get(one, "path"), member->text);
	}
}

static int diff_one(struct kubernetes *k, const struct value *object, const struct value *live, bool is_taking_scale, struct document *document,
	struct value *changes, struct err *err) {
	AUTO_DOCUMENT struct document *after = NULL;
	AUTO_DOCUMENT struct document *differences = document_new("differences");
	AUTO_DOCUMENT struct document *dressed = document_new("object");
	AUTO_FREE char *what = mem_format("%.*s/%.*s", STR_ARGS(object_text(object, "kind")), STR_ARGS(object_text(object, "metadata.name")));
	if (!live) {
		add_change(document, changes, what, "create", NULL);
		return 0;
	}
	if (!object_is_ours(k, live)) {
		err_set(err, ERR_CONFLICT, "%s in namespace %s is not of %s %s", what, kube_namespace(k->kube), k->context.service, k->context.env);
		return err_fix(err, "another name: or namespace: in mlctl.yaml");
	}
	struct value *as_applied = object_dressed(dressed, object, live, 0, -1, -1, NULL, -1);
	struct kube_apply apply = {.object = as_applied, .is_dry_run = true, .is_forced = k->context.is_forcing};
	apply.taken_field = is_taking_scale ? SCALE_FIELD : NULL;
	if (kube_apply(k->kube, &apply, &after, err) != 0)
		return err_wrap(err, "%s", what);
	value_diff(differences, value_root_array(differences), live, after->root);
	value_each(difference, differences->root)
		if (is_compared(object_text(difference, "path")))
			add_change(document, changes, what, "change", difference);
	return 0;
}

/* Pruned after the new version has become good. A ConfigMap is not told: it stays while a release that is kept names it. */
static void add_deleted(const struct kubernetes *k, const struct value *list, const char *kind, const struct value *there, struct document *document,
	struct value *changes) {
	value_each(object, strcmp(kind, "ConfigMap") == 0 ? NULL : there) {
		AUTO_FREE char *what = mem_format("%s/%.*s", kind, STR_ARGS(object_text(object, "metadata.name")));
		if (is_leftover(k, list, kind, object))
			add_change(document, changes, what, "delete", NULL);
	}
}

int kubernetes_diff(void *state, const struct revision *revision, const struct value *objects, struct document *document, struct value *changes,
	struct err *err) {
	struct kubernetes *k = state;
	const struct value *list = value_get(objects, "stable");
	struct kube_ask more[LEFTOVER_KINDS];
	struct kube_ask *asks = NULL;
	size_t i = 0;
	(void) revision;
	AUTO_TEXTS struct texts words = {0};
	if (objects_ask(k, list, NULL, &words, &asks, err) != 0)
		return -1;
	bool is_taking_scale = false;
	AUTO_DOCUMENT struct document *scaler = NULL;
	const struct value *main = NULL;
	for (size_t n = 0; n < list->count; n++)
		if (asks[n].answer && strcmp(asks[n].selection.kind, "Deployment") == 0)
			main = asks[n].answer->root;
	int rc = scale_is_ours(k, objects, main, &scaler, &is_taking_scale, err);
	value_each(object, list) {
		const struct value *live = asks[i].answer ? asks[i].answer->root : NULL;
		if (rc == 0)
			rc = diff_one(k, object, live, is_taking_scale && live && live == main, document, changes, err);
		document_free(asks[i++].answer);
	}
	free(asks);
	for (i = 0; i < LEFTOVER_KINDS; i++)
		more[i] = (struct kube_ask) {.selection = {.kind = leftover_kinds[i], .labels = k->labels}};
	if (rc == 0)
		rc = kube_ask_all(k->kube, more, LEFTOVER_KINDS, err);
	for (i = 0; i < LEFTOVER_KINDS; i++) {
		if (rc == 0 && more[i].answer) /* a kind that this cluster does not have holds nothing */
			add_deleted(k, list, leftover_kinds[i], value_get(more[i].answer->root, "items"), document, changes);
		document_free(more[i].answer);
	}
	return rc;
}
