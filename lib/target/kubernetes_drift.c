/* What somebody has changed behind our back: each object of a release as it was recorded, against what is there. Reads only. */
#include "target/kubernetes.h"

#include "kube/drift.h"

static void say(const struct value *object, const char *what, struct texts *out) {
	AUTO_FREE char *text = mem_format("%.*s %.*s %s", STR_ARGS(object_text(object, "kind")), STR_ARGS(object_text(object, "metadata.name")), what);
	texts_add(out, text);
}

/* Without the Secret that holds their key nobody can ask the pods any more. What was read is kept for whoever asks them next; one that holds no key is told by the
 * pods that can't be asked with it. */
static void take_key(struct kubernetes *k, const char *name, const struct document *secret, struct texts *out) {
	const struct secret *key;
	struct err untold = {0};
	if (!name[0])
		return;
	control_forget(k, str_of(name));
	if (secret) {
		best_effort(control_take(k, name, "key", secret->root, &key, &untold));
		return;
	}
	AUTO_FREE char *text = mem_format("Secret %s is gone", name);
	texts_add(out, text);
}

int kubernetes_drift(void *state, const struct value *objects, struct texts *out, struct err *err) {
	struct kubernetes *k = state;
	struct kube_ask *asks = NULL;
	AUTO_TEXTS struct texts words = {0};
	const struct value *list = value_get(objects, "stable");
	AUTO_FREE char *secret = str_dup(object_text(objects, "control_secret"));
	if (objects_ask(k, list, secret, &words, &asks, err) != 0)
		return -1;
	address_note(k, asks, list->count);
	size_t i = 0;
	value_each(object, list) {
		AUTO_TEXTS struct texts fields = {0};
		const struct value *live = asks[i].answer ? asks[i].answer->root : asks[i].known;
		if (!live)
			say(object, "is gone", out);
		else if (!object_is_ours(k, live))
			say(object, "is another's now: its labels " LABEL_SERVICE " and " LABEL_ENV " are not ours", out);
		else
			kube_drift(object, live, &fields);
		for (size_t f = 0; f < fields.count; f++)
			say(object, fields.items[f], out);
		document_free(asks[i++].answer);
	}
	take_key(k, secret, asks[i].answer, out);
	document_free(asks[i].answer);
	free(asks);
	return 0;
}
