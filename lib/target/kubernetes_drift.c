/* What somebody has changed behind our back: each object of a release as it was recorded, against what is there. Reads only. */
#include "target/kubernetes.h"

#include "kube/drift.h"

static void say(const struct value *object, const char *what, struct texts *out) {
	AUTO_FREE char *text = mem_format("%.*s %.*s %s", STR_ARGS(object_text(object, "kind")), STR_ARGS(object_text(object, "metadata.name")), what);
	texts_add(out, text);
}

/* Without the Secret that holds their key nobody can ask the pods any more. Read now; whoever asks them next has it then. */
static int look_for_key(struct kubernetes *k, const struct value *objects, struct texts *out, struct err *err) {
	const struct pod_port port = {.key_secret = object_text(objects, "control_secret"), .key_name = STR("key")};
	const struct secret *key;
	control_forget(k, port.key_secret);
	if (control_key(k, &port, &key, err) == 0)
		return 0;
	enum err_code code = err->code;
	if (code != ERR_NOT_FOUND && code != ERR_INVALID) /* one that holds no key is told by the pods that can't be asked with it */
		return -1;
	err_clear(err);
	if (code == ERR_INVALID)
		return 0;
	AUTO_FREE char *text = mem_format("Secret %.*s is gone", STR_ARGS(port.key_secret));
	texts_add(out, text);
	return 0;
}

int kubernetes_drift(void *state, const struct value *objects, struct texts *out, struct err *err) {
	struct kubernetes *k = state;
	struct kube_ask *asks = NULL;
	AUTO_TEXTS struct texts words = {0};
	const struct value *list = value_get(objects, "stable");
	if (objects_ask(k, list, &words, &asks, err) != 0)
		return -1;
	size_t i = 0;
	value_each(object, list) {
		AUTO_TEXTS struct texts fields = {0};
		if (!asks[i].answer)
			say(object, "is gone", out);
		else if (!object_is_ours(k, asks[i].answer->root))
			say(object, "is another's now: its labels " LABEL_SERVICE " and " LABEL_ENV " are not ours", out);
		else
			kube_drift(object, asks[i].answer->root, &fields);
		for (size_t f = 0; f < fields.count; f++)
			say(object, fields.items[f], out);
		document_free(asks[i++].answer);
	}
	free(asks);
	return look_for_key(k, objects, out, err);
}
