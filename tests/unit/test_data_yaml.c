/* The YAML reader, against yaml-test-suite and by hand. */
#include "data/value.h"
#include "os/fs.h"
#include "unit/suite.h"

#include <dirent.h>

static int read_text(const char *text, struct document **out, struct err *err) {
	return yaml_read("t.yaml", str_of(text), VALUE_LIMITS_CONFIG, out, err);
}

struct tally {
	int same, refused, subset, stricter, unspecified;
};

static bool slurp(const char *folder, const char *name, struct str *out) {
	AUTO_FREE char *path = fs_join(folder, name);
	struct err err = {0};
	char *text = NULL;
	size_t len = 0;
	if (!fs_exists(path) || fs_read(path, 1 << 20, &text, &len, &err) != 0)
		return false;
	*out = (struct str){text, len};
	return true;
}

static char *as_json(const struct value *value) {
	struct err err = {0};
	char *text = NULL;
	assert_int_equal(json_write(value, JSON_CANONICAL, &text, &err), 0);
	return text;
}

/* Valid YAML that is refused: outside our subset on purpose, or libyaml's doing. Being stricter loses nobody's meaning. */
static bool is_subset(const char *message) {
	static const char *const words[] = {
		"anchors", "aliases", "tags", "%TAG", "%YAML", "directives", "second document", "a key must be", "merge keys"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(message, words[i]))
			return true;
	return false;
}

static bool is_same(const struct value *ours, struct str json) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *theirs = NULL;
	if (str_trim(json).len == 0) /* an empty stream: null here */
		return ours->kind == VALUE_NULL;
	if (json_read("in.json", json, VALUE_LIMITS_CONFIG, &theirs, &err) != 0)
		fail_msg("in.json: %s at %s", err.message, err.at);
	AUTO_FREE char *a = as_json(ours), *b = as_json(theirs->root);
	return strcmp(a, b) == 0;
}

static void run_case(const char *folder, struct tally *tally) {
	struct str yaml = {0}, json = {0}, mark = {0};
	if (!slurp(folder, "in.yaml", &yaml))
		return;
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	int rc = yaml_read("in.yaml", yaml, VALUE_LIMITS_CONFIG, &document, &err);
	assert_int_equal(rc != 0, err.code != ERR_NONE);
	if (slurp(folder, "error", &mark)) {
		if (rc == 0)
			fail_msg("%s: accepted, it must be refused", folder);
		if (is_subset(err.message))
			print_message("# %s is refused for another reason: %s\n", strrchr(folder, '/') - 4, err.message);
		tally->refused++;
	} else if (rc != 0 && is_subset(err.message)) {
		tally->subset++;
	} else if (rc != 0) {
		tally->stricter++;
	} else if (!slurp(folder, "in.json", &json)) {
		tally->unspecified++;
	} else {
		if (!is_same(document->root, json)) {
			AUTO_FREE char *ours = as_json(document->root);
			fail_msg("%s: %s", folder, ours);
		}
		tally->same++;
	}
	free((void *) yaml.ptr);
	free((void *) json.ptr);
	free((void *) mark.ptr);
}

static void test_suite(void **state) {
	(void) state;
	AUTO_FREE char *folder = suite_path("yaml");
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	struct tally tally = {0};
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		AUTO_FREE char *path = fs_join(folder, entry->d_name);
		run_case(path, &tally);
		for (int i = 0; i < 20; i++) {
			char name[8];
			snprintf(name, sizeof(name), strcmp(entry->d_name, "Y79Y") == 0 ? "%03d" : "%02d", i);
			AUTO_FREE char *below = fs_join(path, name);
			run_case(below, &tally);
		}
	}
	closedir(dir);
	print_message("# %d as in.json says; %d errors refused; valid but outside the subset: %d; valid but refused as libyaml does: %d; "
		      "without in.json: %d\n",
		tally.same, tally.refused, tally.subset, tally.stricter, tally.unspecified);
	assert_int_equal(tally.refused, 94);
	assert_true(tally.same >= 171);
	assert_true(tally.stricter <= 50);
}

static void refuse(const char *text, const char *at, const char *words) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (read_text(text, &document, &err) == 0)
		fail_msg("accepted: %s", text);
	if (strcmp(err.at, at) != 0 || !strstr(err.message, words))
		fail_msg("%s\n%s: %s", text, err.at, err.message);
}

static void test_refusals(void **state) {
	(void) state;
	refuse("a: 1\nb: 2\na: 3\n", "t.yaml:3:1", "a is there twice, first in line 1");
	refuse("s:\n  a: 1\n  a: 1\n", "t.yaml:3:3", "first in line 2");
	refuse("a:\n\tb: 1\n", "t.yaml:2:1", "a tab indents: use spaces");
	refuse("a:\n  b: 1\n c: 2\n", "t.yaml:3:2", "indented otherwise");
	refuse("a: b: c\n", "t.yaml:1:5", "a ':' does not fit");
	refuse("a: 1\n  b: 2\n", "t.yaml:2:4", "indented too far");
	refuse("a: [1, 2\nb: 3\n", "t.yaml:2:1", "not closed");
	refuse("a: [1, {\n", "t.yaml:2:1", "a value is missing");
	refuse("a: [1, 2\nb]\n", "t.yaml:2:1", "indented deeper");
	refuse("a: [1, 2\n", "t.yaml:2:1", "',' or ']' is missing in a list in brackets that begins in line 1");
	refuse("a: {b: 1\n", "t.yaml:2:1", "',' or '}'");
	refuse("a: \"x\n", "t.yaml:1:4", "no closing quote");
	refuse("a: 'x\n", "t.yaml:1:4", "no closing quote");
	refuse("a: @x\n", "t.yaml:1:4", "cannot begin with '@'");
	refuse("a: `x`\n", "t.yaml:1:4", "cannot begin with '`'");
	refuse("a: %x\n", "t.yaml:1:4", "cannot begin with '%'");
	refuse("a: &x 1\nb: *x\n", "t.yaml:1:4", "anchors");
	refuse("b: *x\n", "t.yaml:1:4", "aliases");
	refuse("a: !!str 1\n", "t.yaml:1:4", "tags");
	refuse("a: !x 1\n", "t.yaml:1:4", "tags");
	refuse("a:\n  <<: {b: 1}\n", "t.yaml:2:3", "merge keys");
	refuse("a: 1\n---\nb: 2\n", "t.yaml:2:1", "second document");
	refuse("? [a]\n: 1\n", "t.yaml:1:3", "a key must be text");
	refuse("a\nb: 1\n", "t.yaml:2:2", "':'");
	refuse("a: \"\\d\"\n", "t.yaml:1:5", "escape is unknown");
	refuse("a: \"x\"# c\n", "t.yaml:2:1", "comment needs a space");
	refuse("a: [1, 2]#c\n", "t.yaml:2:1", "comment needs a space");
	refuse("a: |x\n  b\n", "t.yaml:1:5", "'|' or '>'");
	refuse("a: [?b]\n", "t.yaml:1:6", "begins with '?'");
	refuse("a: [-]\n", "t.yaml:1:5", "'-'");
	refuse("a: \"x\ny\"\n", "t.yaml:2:1", "indented deeper");
	refuse("a: \x01\n", "t.yaml:1:4", "control character");
	refuse("a: \xff\n", "t.yaml", "UTF-8");
	refuse("%YAML 1.2\n---\na: 1\n", "t.yaml:1:1", "%YAML");
	refuse("- a\nb: 1\n", "t.yaml:2:1", "does not fit");
}

static void check_json(const char *yaml, const char *json) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (read_text(yaml, &document, &err) != 0)
		fail_msg("%s\n%s: %s", yaml, err.at, err.message);
	AUTO_FREE char *text = NULL;
	assert_int_equal(json_write(document->root, JSON_COMPACT, &text, &err), 0);
	assert_string_equal(text, json);
}

static void test_core_schema(void **state) {
	(void) state;
	check_json("", "null");
	check_json("# only a comment\n", "null");
	check_json("[yes, no, on, off, y, N]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"N\"]");
	check_json("[true, True, FALSE, tRue]", "[true,true,false,\"tRue\"]");
	check_json("[null, ~, Null, nuLL, '', '~']", "[null,null,null,\"nuLL\",\"\",\"~\"]");
	check_json("[1, +1, -0, 007, 0o17, 0x1F, 1_000, 1:30, 0b1]", "[1,1,-0,7,15,31,\"1_000\",\"1:30\",\"0b1\"]");
	check_json("[1.5, .5, 1., +.5e3, 1e3, -1E-2, 1e, ., +]", "[1.5,0.5,1.0,0.5e3,1e3,-1E-2,\"1e\",\".\",\"+\"]");
}

static void test_texts(void **state) {
	(void) state;
	check_json("[.inf, .nan, 99999999999999999999, 10%, 500m, 2s, a:b, 2026-11-21]",
		"[\".inf\",\".nan\",99999999999999999999,\"10%\",\"500m\",\"2s\",\"a:b\",\"2026-11-21\"]");
	check_json("a: |\n  x\n\n  y\nb: >-\n  p\n  q\n", "{\"a\":\"x\\n\\ny\\n\",\"b\":\"p q\"}");
	check_json("\xef\xbb\xbf"
		   "a: 1",
		"{\"a\":1}");
	check_json("a: 1\r\nb:\r\n  - x\r\n", "{\"a\":1,\"b\":[\"x\"]}");
	check_json("true: 1\n2: x\n", "{\"true\":1,\"2\":\"x\"}");
	check_json("a:\n- 1\n- 2\nb: [\n  x,\n]\n", "{\"a\":[1,2],\"b\":[\"x\"]}");
	check_json("a: {b: c, 'd': [1]}  # yes\n", "{\"a\":{\"b\":\"c\",\"d\":[1]}}");
	check_json("a: 'it''s'\nb: \"\\u00e9\\n\"\n", "{\"a\":\"it's\",\"b\":\"\xc3\xa9\\n\"}");
	check_json("---\na: x # c\n...\n", "{\"a\":\"x\"}");
	check_json("a: b#c\nd: 'e' # f\n", "{\"a\":\"b#c\",\"d\":\"e\"}");
}

static void test_places(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_DOCUMENT struct document *d = NULL;
	assert_int_equal(read_text("# c\na:\n  \xc3\xa9: [x, \"y\"]\n  empty:\n", &d, &err), 0);
	const struct value *a = value_get(d->root, "a"), *list = value_get(a, "\xc3\xa9");
	assert_int_equal(a->key_at.line, 2);
	assert_int_equal(list->key_at.line, 3);
	assert_int_equal(list->key_at.column, 3);
	assert_int_equal(list->at.column, 6);
	assert_int_equal(value_at(list, 1)->at.column, 10);
	assert_int_equal(value_get(a, "empty")->key_at.line, 4);
}

/* What makes libyaml quadratic must end at once, and within the limits. */
static void test_limits(void **state) {
	(void) state;
	static const char *const units[] = {"[", "{a: ", "- ", "[\n", "? ", "{", "- - ", "[{a: "};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		AUTO_BUF struct buf text = BUF(1 << 20);
		while (text.len < 900000)
			buf_text(&text, units[i]);
		struct err err = {0};
		struct document *document = NULL;
		clock_t before = clock();
		assert_int_equal(yaml_read("t", buf_view(&text), VALUE_LIMITS_CONFIG, &document, &err), -1);
		assert_true((clock() - before) < CLOCKS_PER_SEC);
	}
	struct err err = {0};
	struct document *document = NULL;
	assert_int_equal(yaml_read("t", STR("[1, 2]"), (struct value_limits){6, 2, 2}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(yaml_read("t", STR("[1, 2]"), (struct value_limits){5, 9, 2}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(yaml_read("t", STR("[[1]]"), (struct value_limits){50, 9, 1}, &document, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.at, "t:1:2");
}

/* Several documents in one file: a list, with each node's place in the file; what one document may not hold none may. */
static void test_documents(void **state) {
	(void) state;
	static const struct {
		const char *text, *json;
	} cases[] = {
		{"", "[]"},
		{"a: 1", "[{\"a\":1}]"},
		{"---\na: 1\n---\n- b\n...\n---\nc\n", "[{\"a\":1},[\"b\"],\"c\"]"},
		{"---\n---\na: 1\n---\n# nothing\n---\n", "[{\"a\":1}]"},
		{"[1, 2]\n---\n{a: [1]}\n", "[[1,2],{\"a\":[1]}]"},
		{"a: |\n  x\n---\nb: |\n  y\n", "[{\"a\":\"x\\n\"},{\"b\":\"y\\n\"}]"},
		{"null\n", "[]"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		AUTO_DOCUMENT struct document *document = NULL;
		if (yaml_read_all("t.yaml", str_of(cases[i].text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
			fail_msg("%s: %s at %s", cases[i].text, err.message, err.at);
		AUTO_FREE char *json = as_json(document->root);
		assert_string_equal(json, cases[i].json);
		size_t count = 0;
		value_each(item, document->root) count++;
		assert_int_equal(count, document->root->count);
	}
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	assert_int_equal(yaml_read_all("t.yaml", STR("a: 1\n---\nb:\n  c: 2\n"), VALUE_LIMITS_CONFIG, &document, &err), 0);
	const struct value *c = value_find(document->root->last, "b.c");
	assert_int_equal(c->at.line, 4);
	assert_int_equal(c->at.column, 6);
	static const struct {
		const char *text, *at;
	} wrong[] = {{"a: 1\n---\nb: 1\nb: 2\n", "t.yaml:4:1"}, {"a: 1\n---\nb: &x 1\n", "t.yaml:3:4"}, {"a: 1\n---\nb: [\n", "t.yaml:4:1"},
		{"%YAML 1.2\n---\na\n", "t.yaml:1:1"}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct document *none = NULL;
		err_clear(&err);
		assert_int_equal(yaml_read_all("t.yaml", str_of(wrong[i].text), VALUE_LIMITS_CONFIG, &none, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_string_equal(err.at, wrong[i].at);
	}
	struct document *none = NULL;
	err_clear(&err);
	assert_int_equal(yaml_read_all("t", STR("[1]\n---\n[[2]]\n"), (struct value_limits){50, 9, 1}, &none, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	assert_int_equal(yaml_read_all("t", STR("1\n---\n2\n---\n3\n"), (struct value_limits){50, 2, 9}, &none, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_core_schema),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests_name("data_yaml", tests, NULL, NULL);
}
