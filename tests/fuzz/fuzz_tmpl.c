/* A template and its input ("template\n===\ninput", both YAML): whatever comes out is a tree that YAML carries, asking for origins changes nothing, and a
 * refusal has a place. */
#include "tmpl/tmpl.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define SEPARATOR "\n===\n"

static bool find(void *self, const char *name, struct str *text, const char **shown) {
	*text = *(const struct str *) self;
	*shown = "again";
	return strcmp(name, "again") == 0;
}

static void check(const struct tmpl_source *source) {
	AUTO_DOCUMENT struct document *one = document_new("one"), *two = document_new("two");
	AUTO_DOCUMENT struct document *back = NULL;
	AUTO_BUF struct buf yaml = BUF(64 * 1024 * 1024);
	struct tmpl_origins origins = {0};
	const struct value *out = NULL, *same = NULL;
	struct err err = {0}, again = {0};
	int rc = tmpl_render(source, one, value_root_array(one), &out, NULL, &err);
	assert(tmpl_render(source, two, value_root_array(two), &same, &origins, &again) == rc);
	assert(rc == 0 || (err.code == ERR_INVALID && err.at[0] && strcmp(err.message, again.message) == 0));
	for (size_t i = 0; i < origins.count; i++)
		assert(origins.items[i].node && origins.items[i].path);
	tmpl_origins_clear(&origins);
	if (rc != 0 || !out)
		return;
	assert(value_equal(out, same));
	yaml_write(out, NULL, &yaml);
	if (yaml.failed)
		return;
	struct value_limits limits = VALUE_LIMITS_WIRE;
	limits.bytes_max = yaml.bytes_max;
	if (yaml_read("back", buf_view(&yaml), limits, &back, &again) == 0)
		assert(value_equal(back->root, out) || memchr(yaml.ptr, 'e', yaml.len) || memchr(yaml.ptr, 'E', yaml.len));
	else
		assert(again.code == ERR_LIMIT || strstr(again.message, "nested deeper"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *input = NULL;
	AUTO_FREE char *text = mem_text_n((const char *) bytes, len);
	const char *at = memmem(text, len, SEPARATOR, strlen(SEPARATOR));
	struct str template = {text, at ? (size_t) (at - text) : len};
	struct str rest = at ? (struct str) {at + strlen(SEPARATOR), len - template.len - strlen(SEPARATOR)} : STR("a: {b: [1, x, {c: ''}], d: true}\ne: text\n");
	if (yaml_read("input", rest, VALUE_LIMITS_CONFIG, &input, &err) != 0)
		return 0;
	struct tmpl_source source = {.name = "template", .text = template, .input = input->root, .input_name = "input", .find = find, .self = &template};
	check(&source);
	return 0;
}
