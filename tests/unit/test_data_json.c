/* The strict JSON reader, against JSONTestSuite and by hand. */
#include "data/value.h"
#include "os/fs.h"
#include "unit/suite.h"

#include <cjson/cJSON.h>
#include <dirent.h>

static int read_text(const char *text, struct document **out, struct err *err) {
	return json_read("t.json", str_of(text), VALUE_LIMITS_CONFIG, out, err);
}

/* RFC 8259 leaves duplicate names open; they are refused here. */
static bool is_duplicate_case(const char *name) {
	return strstr(name, "object_duplicated_key") != NULL;
}

/* What cJSON reads from the original is what it reads from our output. */
static void check_oracle(const char *name, const char *text, size_t len, const struct value *value) {
	struct err err = {0};
	AUTO_FREE char *written = NULL;
	cJSON *theirs = cJSON_ParseWithLength(text, len);
	if (memmem(text, len, "\\u0000", 6) || json_write(value, JSON_COMPACT, &written, &err) != 0) {
		cJSON_Delete(theirs); /* cJSON's strings end at a NUL */
		return;
	}
	cJSON *ours = cJSON_Parse(written);
	if (!theirs || !ours || !cJSON_Compare(theirs, ours, true))
		fail_msg("%s: cJSON reads our output differently: %s", name, written);
	cJSON_Delete(theirs);
	cJSON_Delete(ours);
}

static void test_suite(void **state) {
	(void) state;
	AUTO_FREE char *folder = suite_path("json/test_parsing");
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	int accepted = 0, refused = 0, either[2] = {0};
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		struct err err = {0};
		AUTO_FREE char *path = fs_join(folder, entry->d_name), *text = NULL;
		size_t len = 0;
		assert_int_equal(fs_read(path, 1 << 24, &text, &len, &err), 0);
		AUTO_DOCUMENT struct document *document = NULL;
		int rc = json_read(entry->d_name, (struct str){text, len}, VALUE_LIMITS_WIRE, &document, &err);
		assert_int_equal(rc != 0, err.code != ERR_NONE);
		assert_int_equal(rc != 0, err.at[0] != '\0');
		if (entry->d_name[0] == 'i') {
			either[rc != 0]++;
		} else if (entry->d_name[0] == 'y' && !is_duplicate_case(entry->d_name)) {
			if (rc != 0)
				fail_msg("%s refused: %s", entry->d_name, err.message);
			check_oracle(entry->d_name, text, len, document->root);
			accepted++;
		} else {
			if (rc == 0)
				fail_msg("%s accepted", entry->d_name);
			refused++;
		}
	}
	closedir(dir);
	print_message("# %d accepted, %d refused, of either way %d accepted and %d refused\n", accepted, refused, either[0], either[1]);
	assert_true(accepted >= 93 && refused >= 188);
}

static void refuse(const char *text, const char *at, const char *words) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (read_text(text, &document, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_null(document);
	assert_string_equal(err.at, at);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void test_refusals(void **state) {
	(void) state;
	refuse("", "t.json:1:1", "found the end");
	refuse("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", "t.json:3:2", "\"a\" is there twice, first at 1:2");
	refuse("{\"a\": {\"b\":1,\"b\":1}}", "t.json:1:14", "twice");
	refuse("{\"\xc3\xa9\": x}", "t.json:1:7", "found 'x'");
	refuse("[1 2]", "t.json:1:4", "',' or ']'");
	refuse("[1,]", "t.json:1:4", "found ']'");
	refuse("{\"a\":1,}", "t.json:1:8", "name in double quotes");
	refuse("{'a':1}", "t.json:1:2", "double quotes");
	refuse("[\"abc]", "t.json:1:2", "no closing quote");
	refuse("[\"a\tb\"]", "t.json:1:4", "control character");
	refuse("[\"\\ud800\"]", "t.json:1:3", "surrogate");
	refuse("[\"\\ude00\\ud800\"]", "t.json:1:3", "surrogate");
	refuse("[\"\xff\"]", "t.json:1:3", "UTF-8");
	refuse("[01]", "t.json:1:2", "number");
	refuse("[1.]", "t.json:1:2", "number");
	refuse("[-]", "t.json:1:2", "number");
	refuse("[NaN]", "t.json:1:2", "found 'N'");
	refuse("true false", "t.json:1:6", "nothing may follow");
	refuse("\xef\xbb\xbf{}", "t.json:1:1", "byte order mark");
	refuse("[nul]", "t.json:1:2", "null");
	refuse("\x01", "t.json:1:1", "byte 0x01");
}

/* More members than the pairwise comparison takes. */
static void test_many_duplicates(void **state) {
	(void) state;
	AUTO_BUF struct buf text = BUF(1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_format(&text, "%s\n\"k%d\":%d", i ? "," : "{", i * 7919 % 5000, i);
	struct err err = {0};
	AUTO_DOCUMENT struct document *good = NULL;
	AUTO_FREE char *copy = str_dup(buf_view(&text));
	buf_char(&text, '}');
	assert_int_equal(read_text(text.ptr, &good, &err), 0);
	assert_int_equal(good->root->count, 5000);
	AUTO_FREE char *bad = mem_format("%s,\n\"k7919\":0, \"k2919\":1}", copy);
	refuse(bad, "t.json:5002:12", "\"k2919\" is there twice, first at 3:1");
}

static void test_limits(void **state) {
	(void) state;
	struct err err = {0};
	struct document *document = NULL;
	assert_int_equal(json_read("x", STR("[[1]]"), (struct value_limits){5, 3, 2}, &document, &err), 0);
	document_free(document);
	assert_int_equal(json_read("x", STR("[[1]]"), (struct value_limits){4, 3, 2}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(json_read("x", STR("[[1]]"), (struct value_limits){5, 2, 2}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(json_read("x", STR("[[1]]"), (struct value_limits){5, 3, 1}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.at, "x:1:2");
}

static void test_tree(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	const char *text =
		"{\n  \"a\": [1, 20000000000000000001, 1.0, -0, 1E400],\n  \"b\\u00e9\": {\"c\": \"x\\ud83d\\ude00\\n\\u0000z\"},\n"
		"  \"t\": true, \"f\": false, \"n\": null, \"e\": {}, \"l\": []\n}\n";
	assert_int_equal(read_text(text, &document, &err), 0);
	const struct value *root = document->root, *list = value_get(root, "a");
	assert_int_equal(root->count, 7);
	assert_int_equal(list->key_at.line, 2);
	assert_int_equal(list->key_at.column, 3);
	assert_int_equal(list->at.column, 8);
	assert_true(str_is(value_at(list, 1)->text, "20000000000000000001"));
	assert_true(str_is(value_at(list, 2)->text, "1.0"));
	assert_true(str_is(value_at(list, 4)->text, "1E400"));
	assert_null(value_at(list, 5));
	const struct value *c = value_get(value_get(root, "b\xc3\xa9"), "c");
	assert_true(str_equal(c->text, STR("x\xf0\x9f\x98\x80\n\0z")));
	assert_int_equal(c->at.line, 3);
	assert_int_equal(c->at.column, 20);
	assert_true(value_get(root, "t")->boolean);
	assert_false(value_get(root, "f")->boolean);
	assert_int_equal(value_get(root, "n")->kind, VALUE_NULL);
	assert_int_equal(value_get(root, "e")->kind, VALUE_OBJECT);
	assert_int_equal(value_get(root, "l")->kind, VALUE_ARRAY);
	assert_null(value_get(root, "zz"));
	assert_null(value_get(list, "a"));
}

static void test_quote(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(1000);
	json_quote(&out, STR("a\"\\\n\t\x01\x7f\0\xc3\xa9\xff/"));
	assert_string_equal(out.ptr, "\"a\\\"\\\\\\n\\t\\u0001\\u007f\\u0000\xc3\xa9\xef\xbf\xbd/\"");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_duplicates),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_quote),
	};
	return cmocka_run_group_tests_name("data_json", tests, NULL, NULL);
}
