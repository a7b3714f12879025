/* The YAML writer: any tree (the bytes as JSON), and any text (the bytes as a value, a key and an item), are read back as the same. */
#include "data/value.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A number with an exponent may come back spelled in another way; written again it is the same text. */
static void check(const struct value *value, bool has_numbers) {
	AUTO_BUF struct buf yaml = BUF(64 * 1024 * 1024), again = BUF(64 * 1024 * 1024);
	AUTO_DOCUMENT struct document *back = NULL;
	struct err err = {0};
	struct value_limits limits = VALUE_LIMITS_WIRE;
	limits.bytes_max = yaml.bytes_max;
	yaml_write(value, NULL, &yaml);
	if (yaml.failed)
		return;
	assert(utf8_is_valid(yaml.ptr, yaml.len));
	assert(yaml_read("back", buf_view(&yaml), limits, &back, &err) == 0);
	assert(has_numbers || value_equal(value, back->root));
	yaml_write(back->root, NULL, &again);
	assert(again.len == yaml.len && memcmp(again.ptr, yaml.ptr, yaml.len) == 0);
}

static void check_text(struct str text) {
	AUTO_DOCUMENT struct document *document = document_new("text");
	struct value *root = value_root_object(document);
	AUTO_FREE char *key = str_dup(text);
	value_add_str(document, root, "v", text);
	value_add_str(document, value_add_array(document, root, "list"), NULL, text);
	if (strcmp(key, "v") != 0 && strcmp(key, "list") != 0)
		value_add_object(document, value_add_object(document, root, key), key);
	check(root, false);
}

/* yaml_read() takes no number of more than 400 characters for one. */
static bool has_long_number(struct str text) {
	size_t run = 0;
	for (size_t i = 0; i < text.len && run <= 390; i++)
		run = ascii_is_alnum(text.ptr[i]) || text.ptr[i] == '.' || text.ptr[i] == '-' || text.ptr[i] == '+' ? run + 1 : 0;
	return run > 390;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct str text = {(const char *) bytes, len};
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (!len || !utf8_is_valid(text.ptr, len))
		return 0;
	check_text(text);
	if (!has_long_number(text) && json_read("fuzz", text, VALUE_LIMITS_CONFIG, &document, &err) == 0)
		check(document->root, true);
	return 0;
}
