/* The tree: look-ups, equality, building, merging, writing. */
#include "data/value.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct document *read_json(const char *text) {
	struct err err = {0};
	struct document *document = NULL;
	if (json_read("t", str_of(text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s: %s at %s", text, err.message, err.at);
	return document;
}

static void check_written(const struct value *value, enum json_style style, const char *want) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	assert_int_equal(json_write(value, style, &text, &err), 0);
	assert_string_equal(text, want);
}

static void test_look_ups(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d =
		read_json("{\"status\":{\"url\":\"u\",\"n\":3,\"x\":1.5,\"ok\":true,\"none\":null,\"big\":99999999999999999999}}");
	struct err err = {0};
	struct str text;
	int64_t n;
	double x;
	bool ok;
	assert_int_equal(value_need_str(d->root, "status.url", &text, &err), 0);
	assert_true(str_is(text, "u"));
	assert_int_equal(value_opt_str(d->root, "status.none", STR("f"), &text, &err), 0);
	assert_true(str_is(text, "f"));
	assert_int_equal(value_opt_str(d->root, "no.where", STR("g"), &text, &err), 0);
	assert_true(str_is(text, "g"));
	assert_int_equal(value_need_int(d->root, "status.n", &n, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(value_opt_int(d->root, "status.m", 9, &n, &err), 0);
	assert_int_equal(n, 9);
	assert_int_equal(value_opt_double(d->root, "status.x", 0, &x, &err), 0);
	assert_true(x > 1.49 && x < 1.51);
	assert_int_equal(value_opt_bool(d->root, "status.ok", false, &ok, &err), 0);
	assert_true(ok);
	assert_null(value_find(d->root, "status.url.x"));
	assert_non_null(value_find(d->root, "status"));
}

static void test_look_ups_refuse(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d =
		read_json("{\"a\":{\"s\":\"u\",\"big\":99999999999999999999,\"f\":1.5,\"none\":null,\"h\":1e999}}");
	struct err err = {0};
	struct str text = {0};
	int64_t n = 7;
	double x = 7;
	bool ok = true;
	assert_int_equal(value_need_str(d->root, "a.zz", &text, &err), -1);
	assert_string_equal(err.message, "a.zz: missing, it must be text");
	err_clear(&err);
	assert_int_equal(value_need_str(d->root, "a.none", &text, &err), -1);
	assert_string_equal(err.message, "a.none: null, it must be text");
	err_clear(&err);
	assert_int_equal(value_need_int(d->root, "a.s", &n, &err), -1);
	assert_string_equal(err.message, "a.s: is text, it must be a number");
	assert_int_equal(err.code, ERR_INVALID);
	err_clear(&err);
	assert_int_equal(value_need_int(d->root, "a.big", &n, &err), -1);
	err_clear(&err);
	assert_int_equal(value_opt_int(d->root, "a.f", 1, &n, &err), -1);
	err_clear(&err);
	assert_int_equal(value_opt_double(d->root, "a.h", 1, &x, &err), -1);
	err_clear(&err);
	assert_int_equal(value_opt_bool(d->root, "a.s", false, &ok, &err), -1);
	err_clear(&err);
	assert_int_equal(value_opt_str(d->root, "a.f", STR(""), &text, &err), -1);
	assert_null(text.ptr);
	assert_int_equal(n, 7);
	assert_true(ok && x > 6);
}

static void test_equal(void **state) {
	(void) state;
	static const struct {
		const char *a, *b;
		bool is_equal;
	} cases[] = {
		{"{\"a\":1,\"b\":[1,{\"c\":null}]}", "{\"b\":[1,{\"c\":null}],\"a\":1}", true},
		{"{\"a\":1}", "{\"a\":2}", false},
		{"{\"a\":1}", "{\"b\":1}", false},
		{"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
		{"[1,2]", "[2,1]", false},
		{"[[],{}]", "[[],{}]", true},
		{"[[]]", "[{}]", false},
		{"true", "false", false},
		{"\"1\"", "1", false},
		{"1", "1.0", false},
		{"{\"a\":{\"x\":1},\"b\":{\"x\":2}}", "{\"b\":{\"x\":2},\"a\":{\"x\":1}}", true},
		{"{\"a\":{\"x\":1},\"b\":{\"x\":2}}", "{\"b\":{\"x\":1},\"a\":{\"x\":2}}", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_DOCUMENT struct document *a = read_json(cases[i].a), *b = read_json(cases[i].b);
		if (value_equal(a->root, b->root) != cases[i].is_equal || value_equal(b->root, a->root) != cases[i].is_equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
	assert_true(value_equal(NULL, NULL));
	AUTO_DOCUMENT struct document *a = read_json("1");
	assert_false(value_equal(a->root, NULL));
}

static void test_build_and_write(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d = document_new("made");
	struct value *root = value_root_object(d);
	value_add_text(d, root, "z", "last");
	value_add_text(d, root, "none", NULL);
	value_add_int(d, root, "i", INT64_MIN);
	value_add_double(d, root, "x", 0.1);
	value_add_double(d, root, "nan", 0.0 / 0.0);
	struct value *list = value_add_array(d, root, "l");
	value_add_bool(d, list, NULL, true);
	value_add_str(d, list, NULL, STR("a\0\"b"));
	value_add_str(d, list, NULL, STR("\xff"));
	struct value *inner = value_add_object(d, list, NULL);
	value_add_null(d, inner, "n");
	value_add_object(d, root, "empty");
	AUTO_DOCUMENT struct document *other = read_json("{\"b\":[1,{\"d\":1.50,\"c\":\"t\"}],\"a\":{}}");
	value_add_copy(d, root, "copy", other->root);
	check_written(root, JSON_COMPACT,
		"{\"z\":\"last\",\"none\":null,\"i\":-9223372036854775808,\"x\":0.1,\"nan\":null,\"l\":[true,\"a\\u0000\\\"b\","
		"\"\xef\xbf\xbd\","
		"{\"n\":null}],\"empty\":{},\"copy\":{\"b\":[1,{\"d\":1.50,\"c\":\"t\"}],\"a\":{}}}");
	check_written(root, JSON_CANONICAL,
		"{\"copy\":{\"a\":{},\"b\":[1,{\"c\":\"t\",\"d\":1.50}]},\"empty\":{},\"i\":-9223372036854775808,\"l\":[true,"
		"\"a\\u0000\\\"b\","
		"\"\xef\xbf\xbd\",{\"n\":null}],\"nan\":null,\"none\":null,\"x\":0.1,\"z\":\"last\"}");
	check_written(other->root, JSON_PRETTY, "{\n  \"b\": [1, {\n      \"d\": 1.50,\n      \"c\": \"t\"\n    }],\n  \"a\": {\n  }\n}");
}

static void test_write_refuses(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d = read_json("[{\"a\\u0000b\":1}]");
	struct err err = {0};
	char *text = NULL;
	assert_int_equal(json_write(d->root, JSON_COMPACT, &text, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_null(text);
}

/* RFC 7386, appendix A, and what stands beside it. */
static void test_merge(void **state) {
	(void) state;
	static const struct {
		const char *base, *patch, *want;
	} cases[] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
		{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
		{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
		{"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
		{"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
		{"{\"a\":\"foo\"}", "null", "null"},
		{"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
		{"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
		{"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"a\":{\"x\":{\"y\":1,\"z\":2}},\"k\":0}", "{\"a\":{\"x\":{\"z\":3},\"w\":[null]}}",
			"{\"a\":{\"x\":{\"y\":1,\"z\":3},\"w\":[null]},\"k\":0}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_DOCUMENT struct document *base = read_json(cases[i].base), *patch = read_json(cases[i].patch),
					      *out = document_new("m");
		check_written(value_merge(out, base->root, patch->root), JSON_COMPACT, cases[i].want);
		assert_non_null(out->root);
	}
	AUTO_DOCUMENT struct document *base = read_json("{\"a\":{\"b\":1,\n\"c\":2}}"), *patch = read_json("\n\n\n{\"a\":{\"c\":3}}"),
				      *out = document_new("m");
	value_merge(out, base->root, patch->root);
	assert_int_equal(value_find(out->root, "a.b")->at.line, 1);
	assert_int_equal(value_find(out->root, "a.c")->at.line, 4);
	AUTO_DOCUMENT struct document *same = document_new("m");
	value_merge(same, base->root, NULL);
	assert_true(value_equal(same->root, base->root));
}

static void check_diff(const char *from, const char *to, const char *want) {
	AUTO_DOCUMENT struct document *a = from ? read_json(from) : NULL;
	AUTO_DOCUMENT struct document *b = to ? read_json(to) : NULL;
	AUTO_DOCUMENT struct document *d = document_new("changes");
	struct value *changes = value_root_array(d);
	value_diff(d, changes, a ? a->root : NULL, b ? b->root : NULL);
	check_written(changes, JSON_COMPACT, want);
}

static void test_diff(void **state) {
	(void) state;
	check_diff("{\"a\":1,\"b\":[1,{\"c\":null}]}", "{\"b\":[1,{\"c\":null}],\"a\":1}", "[]");
	check_diff("{\"a\":1}", "{\"a\":\"1\"}", "[{\"path\":\"a\",\"from\":1,\"to\":\"1\"}]");
	check_diff("{\"a\":{\"b\":1,\"x\":0},\"c\":true}", "{\"a\":{\"b\":2,\"x\":0},\"d\":null}",
		"[{\"path\":\"a.b\",\"from\":1,\"to\":2},{\"path\":\"c\",\"from\":true},{\"path\":\"d\",\"to\":null}]");
	check_diff("[1,2,3]", "[1,4]", "[{\"path\":\"[1]\",\"from\":2,\"to\":4},{\"path\":\"[2]\",\"from\":3}]");
	check_diff("{\"l\":[{\"n\":1}]}", "{\"l\":[{\"n\":2},{\"n\":3}]}",
		"[{\"path\":\"l[0].n\",\"from\":1,\"to\":2},{\"path\":\"l[1]\",\"to\":{\"n\":3}}]");
	check_diff("{\"a.b\":1,\"a\":{\"b\":1}}", "{\"a.b\":2,\"a\":{\"b\":3}}",
		"[{\"path\":\"[\\\"a.b\\\"]\",\"from\":1,\"to\":2},{\"path\":\"a.b\",\"from\":1,\"to\":3}]");
	check_diff("{\"a\":{}}", "{\"a\":[]}", "[{\"path\":\"a\",\"from\":{},\"to\":[]}]");
	check_diff("1", "1", "[]");
	check_diff(NULL, "{\"a\":1}", "[{\"path\":\"\",\"to\":{\"a\":1}}]");
	check_diff("{\"a\":1}", NULL, "[{\"path\":\"\",\"from\":{\"a\":1}}]");
	check_diff(NULL, NULL, "[]");
}

/* As deep and as long as a reader lets through. */
static void test_diff_limits(void **state) {
	(void) state;
	AUTO_BUF struct buf a = BUF(100000), b = BUF(100000);
	for (int i = 0; i < 60; i++) {
		buf_text(&a, "{\"");
		buf_text(&b, "{\"");
		for (int k = 0; k < 200; k++) {
			buf_char(&a, 'x');
			buf_char(&b, 'x');
		}
		buf_text(&a, "\":");
		buf_text(&b, "\":");
	}
	buf_text(&a, "1");
	buf_text(&b, "2");
	for (int i = 0; i < 60; i++) {
		buf_char(&a, '}');
		buf_char(&b, '}');
	}
	AUTO_DOCUMENT struct document *from = read_json(a.ptr), *to = read_json(b.ptr), *d = document_new("changes");
	struct value *changes = value_root_array(d);
	value_diff(d, changes, from->root, to->root);
	assert_int_equal(changes->count, 1);
	assert_true(value_get(changes->first, "path")->text.len > 8000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_ups),
		cmocka_unit_test(test_look_ups_refuse),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_build_and_write),
		cmocka_unit_test(test_write_refuses),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_limits),
	};
	return cmocka_run_group_tests_name("data_value", tests, NULL, NULL);
}
