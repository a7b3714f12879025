/* Settings to Kubernetes objects: what is rendered, from which templates, and what is refused. */
#include "project/project.h"
#include "scratch.h"
#include "target/kubernetes_input.h"
#include "target/kubernetes_objects.h"

#include <stdio.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOP "name: fraud\nimage: r.example.com/team/fraud\nmodel: {path: model.onnx}\n"
#define PROD TOP "environments:\n  prod:\n    target: kubernetes\n    namespace: ml\n"

struct world { /* one rendering; everything it lent is here */
	struct project *project;
	struct settings *settings;
	struct document *tree, *document;
	struct value *root;
	struct tmpl_origins origins;
	struct err err;
};

static void world_clear(struct world *w) {
	tmpl_origins_clear(&w->origins);
	document_free(w->tree);
	document_free(w->document);
	settings_free(w->settings);
	project_free(w->project);
}
#define AUTO_WORLD __attribute__((cleanup(world_clear)))

static int render_in(struct world *w, const char *folder, const char *yaml, const char *facts, bool wants_origins) {
	AUTO_DOCUMENT struct document *known = NULL;
	if (project_read(folder ? folder : "/nowhere", "mlctl.yaml", str_of(yaml), &w->project, &w->err) != 0 ||
		project_env(w->project, NULL, &w->settings, &w->err) != 0)
		return -1;
	w->tree = document_new("settings");
	w->tree->root = settings_tree(w->settings, w->tree);
	w->document = document_new("objects");
	if (facts && json_read("facts", str_of(facts), VALUE_LIMITS_CONFIG, &known, &w->err) != 0)
		return -1;
	struct target_context context = {
		.service = w->settings->name, .env = w->settings->environment, .settings = w->tree->root, .project_folder = folder, .settings_file = "mlctl.yaml"};
	struct revision revision = {.settings = w->settings->settings_digest};
	struct err ignored = {0};
	assert_int_equal(digest_parse(str_of(DIGEST), &revision.image, &ignored), 0);
	snprintf(revision.name, sizeof(revision.name), "v-0123456789ab");
	return objects_render(&context, &revision, known ? known->root : NULL, w->document, &w->root, wants_origins ? &w->origins : NULL, &w->err);
}

static void render(struct world *w, const char *yaml, const char *facts) {
	if (render_in(w, NULL, yaml, facts, false) != 0)
		fail_msg("%s: %s", w->err.at, w->err.message);
}

static const struct value *object(const struct world *w, const char *list, const char *kind) {
	value_each(one, value_get(w->root, list)) if (str_is(value_get(one, "kind")->text, kind)) return one;
	return NULL;
}

static void check_text(const struct value *from, const char *path, const char *text) {
	const struct value *found = value_find(from, path);
	if (!found)
		fail_msg("%s is not there, it should be %s", path, text);
	if (!str_is(found->text, text))
		fail_msg("%s is %.*s, it should be %s", path, STR_ARGS(found->text), text);
}

static void check_same(const struct value *found, const char *json) {
	AUTO_DOCUMENT struct document *wanted = NULL;
	AUTO_FREE char *text = NULL;
	struct err err = {0};
	assert_int_equal(json_read("wanted", str_of(json), VALUE_LIMITS_CONFIG, &wanted, &err), 0);
	if (value_equal(found, wanted->root))
		return;
	if (!found || json_write(found, JSON_COMPACT, &text, &err) != 0)
		fail_msg("nothing is there, it should be %s", json);
	fail_msg("%s\nshould be %s", text, json);
}

static const struct value *container(const struct world *w, const char *list) {
	return value_at(value_find(object(w, list, "Deployment"), "spec.template.spec.containers"), 0);
}

static const struct value *variable(const struct value *container, const char *name) {
	value_each(one, value_get(container, "env")) if (str_is(value_get(one, "name")->text, name)) return one;
	return NULL;
}

static void kinds_of(const struct value *list, char out[400]) {
	size_t used = 0;
	*out = '\0';
	value_each(one, list) used += (size_t) snprintf(out + used, 400 - used, "%s%.*s/%.*s", used ? " " : "", STR_ARGS(value_get(one, "kind")->text),
		STR_ARGS(value_find(one, "metadata.name")->text));
}

static void test_smallest(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	char kinds[400];
	render(&w, PROD, NULL);
	check_text(w.root, "kind", "kubernetes/1");
	check_text(w.root, "service", "fraud");
	check_text(w.root, "env", "prod");
	check_text(w.root, "namespace", "ml");
	check_text(w.root, "image", "r.example.com/team/fraud@" DIGEST);
	check_text(w.root, "payload", "native");
	check_text(w.root, "ports.http", "8080");
	check_text(w.root, "ports.control", "8081");
	check_text(w.root, "service_port", "80");
	check_text(w.root, "control_secret", "fraud-v-0123456789ab");
	assert_true(value_get(w.root, "has_split")->boolean && !value_get(w.root, "has_autoscaler")->boolean);
	kinds_of(value_get(w.root, "stable"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud Service/fraud Deployment/fraud PodDisruptionBudget/fraud NetworkPolicy/fraud");
	kinds_of(value_get(w.root, "canary"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud Service/fraud-canary Deployment/fraud-canary");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void) container;
	(void) variable;
	(void) check_same;
	return cmocka_run_group_tests_name("target_objects", tests, NULL, NULL);
}
