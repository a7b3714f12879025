/* mlctl.yaml: every environment is read, or refused with a place; what is read is written out and read back as the same, and makes objects. */
#include "kube/schema.h"
#include "project/project.h"
#include "target/kubernetes_objects.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Whatever the settings accepted becomes objects that the API's schemas accept. */
static void check_objects(const struct settings *settings, const struct value *tree) {
	struct target_context context = {.service = settings->name, .env = settings->environment, .settings = tree};
	struct revision revision = {.name = "v-0123456789ab", .settings = settings->settings_digest, .image = settings->settings_digest};
	AUTO_DOCUMENT struct document *document = document_new("objects");
	struct value *objects = NULL;
	struct err err = {0};
	assert(objects_render(&context, &revision, NULL, document, &objects, NULL, &err) == 0);
	value_each(object, value_get(objects, "stable")) assert(kube_schema_check(object, NULL, &(struct kube_problems) {0}, &err) == 0);
	value_each(object, value_get(objects, "canary")) assert(kube_schema_check(object, NULL, &(struct kube_problems) {0}, &err) == 0);
}

static void check_settings(const struct project *project, const char *name) {
	struct err err = {0};
	AUTO_SETTINGS struct settings *settings = NULL;
	if (project_env(project, name, &settings, &err) != 0) {
		assert(err.code == ERR_CONFIG && err.at[0]);
		return;
	}
	AUTO_DOCUMENT struct document *document = document_new("tree");
	settings_tree(settings, document);
	AUTO_FREE char *text = NULL;
	assert(json_write(document->root, JSON_COMPACT, &text, &err) == 0);
	AUTO_PROJECT struct project *copy = NULL;
	assert(project_read("/p", "copy", str_of(text), &copy, &err) == 0);
	assert(settings->scale.min > 0 && settings->serve.port > 0);
	if (strcmp(settings->target, "local") != 0)
		check_objects(settings, document->root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct err err = {0}, problems[PROJECT_PROBLEMS_MAX] = {0};
	AUTO_PROJECT struct project *project = NULL;
	if (project_read("/p", PROJECT_FILE, (struct str){(const char *) bytes, len}, &project, &err) != 0) {
		assert(err.code == ERR_CONFIG && !project);
		return 0;
	}
	size_t count = project_check(project, problems);
	for (size_t i = 0; i < count; i++)
		assert(problems[i].code == ERR_CONFIG && problems[i].message[0]);
	for (size_t i = 0; i < project->environments.count; i++)
		check_settings(project, project->environments.items[i]);
	return 0;
}
