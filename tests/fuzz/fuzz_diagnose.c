/* A world as the API shows it, of any shape: what is said fits, is printable UTF-8, agrees with the verdict, and is said again when asked
 * again. The corpus is the fixtures of tests/wire/kubernetes/causes; each of their moments is a world. */
#include "kube/diagnose.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_text(const char *text, size_t size) {
	size_t len = strnlen(text, size);
	assert(len < size && utf8_is_valid(text, len));
	for (size_t i = 0; i < len; i++)
		assert((unsigned char) text[i] >= 0x20 && text[i] != 0x7f);
}

static void check(const struct diagnosis *one) {
	assert(one->state >= DIAGNOSIS_FINE && one->state <= DIAGNOSIS_STUCK);
	assert((one->state == DIAGNOSIS_FINE) == (one->cause[0] == '\0') && (one->cause[0] == '\0') == (one->text[0] == '\0'));
	check_text(one->cause, sizeof(one->cause));
	check_text(one->text, sizeof(one->text));
	check_text(one->fix, sizeof(one->fix));
	assert(strnlen(one->container, sizeof(one->container)) < sizeof(one->container));
}

typedef void asked_fn(const struct diagnose_world *world, const struct value *object, struct diagnosis *out);

static void ask(asked_fn *asked, struct diagnose_world *world, const struct value *object) {
	struct diagnosis first, again;
	asked(world, object, &first);
	asked(world, object, &again);
	check(&first);
	assert(first.state == again.state && strcmp(first.text, again.text) == 0 && strcmp(first.fix, again.fix) == 0);
	if (!first.wants_log)
		return;
	world->log = "a line\n\033[31mTraceback (most recent call last):\n  File \"x\"\nValueError: \xff\xfe no\n";
	asked(world, object, &again);
	check(&again);
	assert(!again.wants_log);
	world->log = NULL;
}

static void look(const struct value *moment) {
	const struct value *now = value_get(moment, "now");
	double now_s = 0;
	struct diagnose_world world = {.events = value_get(moment, "events"),
		.nodes = value_get(moment, "nodes"),
		.pods = value_get(moment, "pods"),
		.replica_sets = value_get(moment, "replica_sets"),
		.secrets_known = value_get(moment, "secrets_known"),
		.config_maps_known = value_get(moment, "config_maps_known"),
		.quotas = value_get(moment, "quotas")};
	if (now && now->kind == VALUE_NUMBER && num_double(now->text, &now_s) == 0 && now_s > -1e15 && now_s < 1e15)
		world.now_s = (int64_t) now_s;
	value_each(pod, world.pods) ask(diagnose_pod, &world, pod);
	value_each(deployment, value_get(moment, "deployments")) ask(diagnose_deployment, &world, deployment);
	world.memory_needed_bytes = INT64_MAX;
	world.restarts_before = INT32_MIN;
	value_each(pod, world.pods) ask(diagnose_pod, &world, pod);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (json_read("world", (struct str){(const char *) data, size}, VALUE_LIMITS_CONFIG, &document, &err) != 0)
		return 0;
	const struct value *moments = value_get(document->root, "moments");
	value_each(moment, moments) look(moment);
	look(document->root);
	return 0;
}
