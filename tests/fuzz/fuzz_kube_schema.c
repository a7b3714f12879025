/* Kubernetes objects: whatever the file, every object gets a verdict, in the same words each time, and each problem is text with a path. */
#include "kube/schema.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PROBLEMS_MAX 40

static void check_texts(const struct kube_problems *problems) {
	assert(problems->count <= PROBLEMS_MAX && problems->errors + problems->warnings >= problems->count);
	for (size_t i = 0; i < problems->count; i++) {
		const struct kube_problem *problem = &problems->items[i];
		assert(problem->what[0] && problem->node);
		assert(utf8_is_valid(problem->path, strlen(problem->path)) && utf8_is_valid(problem->what, strlen(problem->what)));
		assert(utf8_is_valid(problem->right, strlen(problem->right)));
	}
}

static void check_object(const struct value *object, const char *version) {
	struct err err = {0}, again = {0}, restricted = {0};
	struct kube_problem items[PROBLEMS_MAX];
	struct kube_problems problems = {.items = items, .max = PROBLEMS_MAX}, none = {0};
	int rc = kube_schema_check(object, version, &problems, &err);
	assert(rc == (problems.errors ? -1 : 0) && err.code == (rc ? ERR_INVALID : ERR_NONE));
	check_texts(&problems);
	assert(kube_schema_check(object, version, &none, &again) == rc && none.errors == problems.errors);
	assert(strcmp(err.message, again.message) == 0);
	problems.count = problems.errors = problems.warnings = 0;
	rc = kube_restricted_check_object(object, version, &problems, &restricted);
	assert(rc == (problems.errors ? -1 : 0));
	check_texts(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (yaml_read_all("fuzz", (struct str) {(const char *) bytes, len}, VALUE_LIMITS_CONFIG, &document, &err) != 0) {
		assert(err.code != ERR_NONE && !document);
		return 0;
	}
	value_each(object, document->root) {
		check_object(object, NULL);
		check_object(object, len % 2 ? "1.25" : "1.33");
	}
	return 0;
}
