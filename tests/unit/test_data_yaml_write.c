/* YAML out: how things are spelled, and that every spelling is read back as the same tree. Other people's readers: tests/cli/render.sh. */
#include "data/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct document *read_json(struct str json) {
	struct document *document = NULL;
	struct err err = {0};
	if (json_read("in.json", json, VALUE_LIMITS_WIRE, &document, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	return document;
}

static void check_back(const struct value *value, const struct buf *yaml) {
	AUTO_DOCUMENT struct document *back = NULL;
	struct err err = {0};
	if (yaml_read("back.yaml", buf_view(yaml), VALUE_LIMITS_WIRE, &back, &err) != 0)
		fail_msg("%s: %s\n%s", err.at, err.message, yaml->ptr);
	if (!value_equal(back->root, value))
		fail_msg("read back as another tree:\n%s", yaml->ptr);
}

static void check(const char *json, const char *yaml) {
	AUTO_DOCUMENT struct document *document = read_json(str_of(json));
	AUTO_BUF struct buf out = BUF(1000000);
	yaml_write(document->root, NULL, &out);
	assert_string_equal(out.ptr, yaml);
	check_back(document->root, &out);
}

static void test_layout(void **state) {
	(void) state;
	check("{}", "{}\n");
	check("[]", "[]\n");
	check("null", "null\n");
	check("\"x\"", "x\n");
	check("{\"a\":1,\"b\":[],\"c\":{},\"d\":[1,[2,3],{\"x\":1,\"z\":[4]}],\"e\":{\"f\":{\"g\":true}}}",
		"a: 1\nb: []\nc: {}\nd:\n- 1\n- - 2\n  - 3\n- x: 1\n  z:\n  - 4\ne:\n  f:\n    g: true\n");
	check("[[[\"a\"]],{\"b\":[[]]}]", "- - - a\n- b:\n  - []\n");
}

/* What somebody would take for something else is in quotes. */
static void test_scalars(void **state) {
	(void) state;
	static const char *const plain[] = {"abc", "a b", "a:b", "http://x:80/y", "500m", "256Mi", "10s", "25%", "/metrics", "_x", "a.b/c-d", "v-0123", "sha256:ab", "RollingUpdate"};
	static const char *const quoted[] = {"", " ", "a ", " a", "true", "Yes", "no", "OFF", "y", "N", "null", "NULL", "~", "1", "1.5", "0x1f", "0o17", "1e5", "1_000", "12:30:45",
		"2001-01-01", ".5", ".inf", ".nan", "nan", "Inf", "-", "- a", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "|", ">", "'a'", "\\\"a\\\"", "%a", "@a", "`a", "{a}", "[a]",
		"a,", "?", "? a", "=", "<<", "---", "...", "a\\nb", "a\\tb", "\\u0001", "\\u007f", "\\u0085", "\\u2028", "\\ufeff", "\\ufffe", "a'b", "a\\\\b", "500 m", "5e3m", "+1", "-1"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		AUTO_FREE char *json = mem_format("{\"k\":\"%s\"}", plain[i]), *yaml = mem_format("k: %s\n", plain[i]);
		check(json, yaml);
	}
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++) {
		AUTO_FREE char *json = mem_format("{\"%s\":\"%s\"}", quoted[i], quoted[i]);
		AUTO_DOCUMENT struct document *document = read_json(str_of(json));
		AUTO_BUF struct buf out = BUF(10000);
		yaml_write(document->root, NULL, &out);
		if (strcmp(quoted[i], "a,") != 0 && (out.ptr[0] != '"' || out.ptr[out.len - 2] != '"'))
			fail_msg("not quoted: %s", out.ptr);
		for (size_t k = 0; k + 1 < out.len; k++)
			assert_true((unsigned char) out.ptr[k] >= 0x20 && out.ptr[k] != 0x7f);
		check_back(document->root, &out);
	}
	check("\"\\u00e9 \\ud83d\\udc19\"", "\"\xc3\xa9 \xf0\x9f\x90\x99\"\n");
	check("\"\\u0085\\u2028\\ufeff\\u0000\\r\"", "\"\\x85\\u2028\\ufeff\\x00\\x0d\"\n");
	check("[0,-1,1.50,-0,12345678901234567890,1.5e+3]", "- 0\n- -1\n- 1.50\n- -0\n- 12345678901234567890\n- 1.5e+3\n");
}

/* Readers of YAML 1.1 want a point and a sign before an exponent. */
static void test_exponents(void **state) {
	(void) state;
	static const char *const all[][2] = {{"1e5", "1.0e+5"}, {"1E-5", "1.0E-5"}, {"1.5e3", "1.5e+3"}, {"-2e+1", "-2.0e+1"}};
	for (size_t i = 0; i < 4; i++) {
		AUTO_DOCUMENT struct document *document = read_json(str_of(all[i][0]));
		AUTO_BUF struct buf out = BUF(100);
		yaml_write(document->root, NULL, &out);
		AUTO_FREE char *wanted = mem_format("%s\n", all[i][1]);
		assert_string_equal(out.ptr, wanted);
		double before = 0, after = 0;
		assert_int_equal(num_double(str_of(all[i][0]), &before), 0);
		assert_int_equal(num_double((struct str) {out.ptr, out.len - 1}, &after), 0);
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

/* Readers look 1,024 characters ahead for a colon. */
static void test_long_keys(void **state) {
	(void) state;
	static const size_t sizes[] = {800, 900, 901, 1024, 5000};
	for (size_t i = 0; i < 5; i++) {
		AUTO_DOCUMENT struct document *document = document_new("long");
		AUTO_BUF struct buf out = BUF(100000);
		AUTO_FREE char *key = mem_zero(sizes[i] + 1, 1);
		memset(key, 'k', sizes[i]);
		struct value *root = value_root_object(document), *list = value_add_array(document, root, "l");
		struct value *inside = value_add_object(document, list, NULL);
		value_add_int(document, inside, key, 1);
		value_add_int(document, inside, "next", 2);
		value_add_int(document, value_add_array(document, root, key), NULL, 3);
		memset(key, '\x01', sizes[i] / 4); /* four times as long when it is spelled */
		value_add_bool(document, root, key, true);
		key[0] = 'm';
		value_add_int(document, value_add_object(document, root, key), "x", 4);
		yaml_write(root, NULL, &out);
		check_back(root, &out);
	}
}

static void test_deep(void **state) {
	(void) state;
	AUTO_BUF struct buf json = BUF(10000), out = BUF(1000000);
	for (int i = 0; i < 50; i++)
		buf_text(&json, i % 2 ? "{\"a\":" : "[1,");
	buf_text(&json, "2");
	for (int i = 49; i >= 0; i--)
		buf_text(&json, i % 2 ? "}" : "]");
	AUTO_DOCUMENT struct document *document = read_json(buf_view(&json));
	yaml_write(document->root, NULL, &out);
	check_back(document->root, &out);
}

static void note(void *self, const struct value *node, struct buf *out) {
	int *calls = self;
	++*calls;
	if (node && node->kind == VALUE_NUMBER)
		buf_text(out, "a number\nof \xc3\xa9\x1b[31m");
}

static void test_notes(void **state) {
	(void) state;
	int calls = 0;
	AUTO_DOCUMENT struct document *document = read_json(STR("{\"a\":1,\"b\":{\"c\":\"x # y\"},\"d\":[2]}"));
	AUTO_BUF struct buf out = BUF(10000);
	yaml_write(document->root, &(struct yaml_notes) {note, &calls}, &out);
	assert_int_equal(calls, 5);
	assert_non_null(strstr(out.ptr, " # a number?of ???[31m\n"));
	check_back(document->root, &out);
}

static void test_cap(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *document = read_json(STR("{\"a\":\"0123456789\"}"));
	AUTO_BUF struct buf out = BUF(5);
	struct err err = {0};
	yaml_write(document->root, NULL, &out);
	assert_int_equal(buf_check(&out, "it", &err), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_exponents),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_cap),
	};
	return cmocka_run_group_tests_name("yaml_write", tests, NULL, NULL);
}
