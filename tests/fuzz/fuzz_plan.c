/* A saved plan as it comes from a file, and two such trees compared: what is accepted names a plan that a deploy can be held to, and a tree
 * never differs from itself. */
#include "release/planned.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct planned planned = {.generation = -7};
	struct err err = {0};
	struct str text = {(const char *) bytes, len};
	AUTO_DOCUMENT struct document *document = NULL;
	if (planned_parse("plan.json", text, &planned, &err) != 0) {
		assert(err.code != ERR_NONE && err.message[0] && planned.generation == -7);
	} else {
		assert(planned.kind <= PLAN_RESUME && planned.image.text[0]);
		assert(utf8_is_valid(planned.service, strlen(planned.service)));
	}
	err_clear(&err);
	if (json_read("plan.json", text, VALUE_LIMITS_CONFIG, &document, &err) != 0)
		return 0;
	AUTO_DOCUMENT struct document *changes = document_new("changes");
	value_diff(changes, value_root_array(changes), document->root, document->root);
	assert(changes->root->count == 0);
	/* Against each of its own parts: deep and shallow trees beside each other. */
	for (const struct value *part = document->root; part; part = part->first)
		value_diff(changes, changes->root, document->root, part);
	return 0;
}
