/* The strict JSON reader: whatever it accepts is written and read back as the same tree. */
#include "data/value.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct err err = {0}, ignored = {0};
	AUTO_DOCUMENT struct document *document = NULL, *again = NULL;
	AUTO_FREE char *text = NULL;
	if (json_read("fuzz", (struct str){(const char *) bytes, len}, VALUE_LIMITS_CONFIG, &document, &err) != 0) {
		assert(err.code != ERR_NONE && err.at[0] && !document);
		return 0;
	}
	if (json_write(document->root, JSON_CANONICAL, &text, &ignored) != 0)
		return 0; /* a member's name with a NUL byte */
	assert(json_read("again", str_of(text), VALUE_LIMITS_WIRE, &again, &err) == 0);
	assert(value_equal(document->root, again->root));
	AUTO_DOCUMENT struct document *merged = document_new("merged");
	assert(value_equal(value_merge(merged, document->root, NULL), again->root));
	return 0;
}
