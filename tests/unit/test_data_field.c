/* Tables of keys: reading, refusing, defaults, the tree back, schema and text. */
#include "data/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct route {
	const char *path;
	int64_t port;
};

struct sample {
	const char *name, *key;
	bool is_fast, is_split;
	int64_t count, wait_ms, cpu, memory, inner;
	double ratio, share;
	int color;
	struct field_texts tags;
	struct field_list routes;
	const struct value *labels;
};

static int check_name(const char *text, char why[FIELD_WHY_MAX]) {
	if (strcmp(text, "bad") != 0)
		return 0;
	snprintf(why, FIELD_WHY_MAX, "good");
	return -1;
}

static const struct field route_fields[] = {
	{"path", FIELD_AT_TEXT(struct route, path), .is_needed = true, .help = "Where"},
	{"port", FIELD_AT_INT(struct route, port), .fallback = "80", .min = 1, .max = 65535, .help = "Which"},
	{0},
};
static const struct field_table route_table = {.fields = route_fields, .size = sizeof(struct route)};
static const struct field split_fields[] = {
	{"inner", FIELD_AT_INT(struct sample, inner), .fallback = "7", .help = "Inside"},
	{0},
};
static const struct field_table split_table = {.fields = split_fields};
static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct field sample_fields[] = {
	{"name", FIELD_AT_TEXT(struct sample, name), .is_needed = true, .is_deployed = true, .check = check_name, .example = "x",
		.help = "A name"},
	{"key", FIELD_AT_SECRET(struct sample, key), .help = "A secret"},
	{"fast", FIELD_AT_BOOL(struct sample, is_fast), .fallback = "true", .help = "Quick"},
	{"count", FIELD_AT_INT(struct sample, count), .fallback = "3", .min = 1, .max = 9, .is_deployed = true, .help = "How many"},
	{"ratio", FIELD_AT_DOUBLE(struct sample, ratio), .fallback = "0.5", .min = 0, .max = 1, .help = "A ratio"},
	{"wait", FIELD_AT_DURATION(struct sample, wait_ms), .fallback = "5m", .min = 1000, .max = 3600000, .help = "How long"},
	{"share", FIELD_AT_SHARE(struct sample, share), .fallback = "12.5%", .min = 1, .max = 50, .help = "A share"},
	{"cpu", FIELD_AT_CPU(struct sample, cpu), .help = "Time"},
	{"memory", FIELD_AT_MEMORY(struct sample, memory), .help = "Space"},
	{"color", FIELD_AT_ENUM(struct sample, color), .choices = colors, .fallback = "green", .help = "A colour", .since = "0.1"},
	{"tags", FIELD_AT_TEXTS(struct sample, tags), .help = "Words"},
	{"routes", FIELD_AT_LIST(struct sample, routes), .table = &route_table, .help = "Ways"},
	{"labels", FIELD_AT_MAP(struct sample, labels), .help = "Anything"},
	{"split", .kind = FIELD_STRUCT, .table = &split_table, .offset_on = FIELD_AT(bool, struct sample, is_split), .help = "Split"},
	{"later", .kind = FIELD_LATER, .help = "One day"},
	{0},
};
static const struct field_table sample_table = {.fields = sample_fields, .size = sizeof(struct sample)};

static struct document *read_yaml(const char *text) {
	struct err err = {0};
	struct document *document = NULL;
	if (yaml_read("t.yaml", str_of(text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	return document;
}

static void test_defaults(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d = read_yaml("name: n\ncount: ~\n");
	struct sample s = {0};
	struct err err = {0};
	assert_int_equal(field_read(&sample_table, d->root, "t.yaml", "", NULL, &d->memory, &s, NULL, &err), 0);
	assert_string_equal(s.name, "n");
	assert_null(s.key);
	assert_true(s.is_fast && s.is_split);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.wait_ms, 300000);
	assert_true(s.share > 0.1249 && s.share < 0.1251);
	assert_int_equal(s.color, 1);
	assert_int_equal(s.inner, 7);
	assert_int_equal(s.cpu, 0);
	assert_null(s.labels);
}

static void test_everything_set(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d =
		read_yaml("name: n\nkey: env:KEY\nfast: false\ncount: 9\nratio: 1\nwait: 2s\nshare: 50%\ncpu: 2\nmemory: 1Gi\n"
			  "color: blue\ntags: [a, b]\nroutes: [{path: /x}, {path: /y, port: 8}]\nlabels: {q: 1}\nsplit: none\n");
	struct sample s = {0};
	struct err err = {0};
	assert_int_equal(field_read(&sample_table, d->root, "t.yaml", "", NULL, &d->memory, &s, NULL, &err), 0);
	assert_string_equal(s.key, "env:KEY");
	assert_false(s.is_fast || s.is_split);
	assert_int_equal(s.cpu, 2000);
	assert_int_equal(s.memory, 1 << 30);
	assert_int_equal(s.tags.count, 2);
	assert_string_equal(s.tags.items[1], "b");
	const struct route *routes = s.routes.items;
	assert_int_equal(s.routes.count, 2);
	assert_int_equal(routes[0].port, 80);
	assert_int_equal(routes[1].port, 8);
	assert_string_equal(routes[1].path, "/y");
	assert_non_null(value_get(s.labels, "q"));
	AUTO_DOCUMENT struct document *out = document_new("tree");
	struct value *tree = value_root_object(out);
	field_tree(&sample_table, &s, FIELD_TREE_ALL, NULL, out, tree);
	AUTO_FREE char *text = NULL;
	assert_int_equal(json_write(tree, JSON_COMPACT, &text, &err), 0);
	assert_string_equal(text,
		"{\"name\":\"n\",\"key\":\"env:KEY\",\"fast\":false,\"count\":9,\"ratio\":1,\"wait\":\"2s\",\"share\":\"50%\",\"cpu\":"
		"\"2\","
		"\"memory\":\"1Gi\",\"color\":\"blue\",\"tags\":[\"a\",\"b\"],\"routes\":[{\"path\":\"/x\",\"port\":80},{\"path\":\"/y\","
		"\"port\":8}],\"labels\":{\"q\":1},\"split\":\"none\"}");
	/* What is written reads back as the same. */
	struct sample again = {0};
	AUTO_DOCUMENT struct document *d2 = read_yaml(text);
	assert_int_equal(field_read(&sample_table, d2->root, "t.yaml", "", NULL, &d2->memory, &again, NULL, &err), 0);
	assert_true(
		again.count == s.count && again.wait_ms == s.wait_ms && again.cpu == s.cpu && again.memory == s.memory && !again.is_split);
}

static void test_deployed_only(void **state) {
	(void) state;
	struct sample s = {.name = "n", .count = 4};
	struct err err = {0};
	AUTO_DOCUMENT struct document *out = document_new("tree");
	field_tree(&sample_table, &s, FIELD_TREE_DEPLOYED, NULL, out, value_root_object(out));
	AUTO_FREE char *text = NULL;
	assert_int_equal(json_write(out->root, JSON_COMPACT, &text, &err), 0);
	assert_string_equal(text, "{\"name\":\"n\",\"count\":4}");
}

static void refuse(const char *yaml, const char *at, const char *words, const char *fix) {
	AUTO_DOCUMENT struct document *d = read_yaml(yaml);
	struct sample s = {0};
	struct err err = {0};
	if (field_read(&sample_table, d->root, "t.yaml", "", NULL, &d->memory, &s, NULL, &err) == 0)
		fail_msg("accepted: %s", yaml);
	assert_int_equal(err.code, ERR_CONFIG);
	if (strcmp(err.at, at) != 0 || !strstr(err.message, words) || strcmp(err.fix, fix) != 0)
		fail_msg("%s\n%s: %s (%s)", yaml, err.at, err.message, err.fix);
}

static void test_refusals(void **state) {
	(void) state;
	refuse("{}", "t.yaml:1:1", "name: missing, it must be text as in x", "name: x");
	refuse("name: n\ncont: 1\n", "t.yaml:2:1", "cont: unknown key, did you mean count?", "count: ...");
	refuse("name: n\nzzzzzz: 1\n", "t.yaml:2:1", "unknown key, here may stand name, key", "");
	refuse("name: 5\n", "t.yaml:1:7", "name: 5 is not right, it must be text", "name: \"5\"");
	refuse("name: bad\n", "t.yaml:1:7", "\"bad\" is not right, it must be good", "");
	refuse("name: [n]\n", "t.yaml:1:7", "name: a list is not right", "");
	refuse("name: \"a\\0b\"\n", "t.yaml:1:7", "is not right", "");
	refuse("name: n\nfast: yes\n", "t.yaml:2:7", "fast: \"yes\" is not right, it must be true or false", "");
	refuse("name: n\ncount: 10\n", "t.yaml:2:8", "a whole number from 1 to 9", "");
	refuse("name: n\ncount: 1.0\n", "t.yaml:2:8", "a whole number", "");
	refuse("name: n\ncount: \"3\"\n", "t.yaml:2:8", "a whole number", "");
	refuse("name: n\nratio: 1.5\n", "t.yaml:2:8", "a number from 0 to 1", "");
	refuse("name: n\nwait: 30\n", "t.yaml:2:7", "a duration as in 500ms, 2s or 5m, from 1s to 1h", "wait: 30s");
	refuse("name: n\nwait: 10ms\n", "t.yaml:2:7", "from 1s to 1h", "");
	refuse("name: n\nwait: -5s\n", "t.yaml:2:7", "a duration", "");
	refuse("name: n\nshare: 0.2\n", "t.yaml:2:8", "a share as in 10%, from 1% to 50%", "share: 20%");
	refuse("name: n\nshare: 20\n", "t.yaml:2:8", "a share", "share: 20%");
	refuse("name: n\nshare: 51%\n", "t.yaml:2:8", "to 50%", "");
	refuse("name: n\ncpu: 0\n", "t.yaml:2:6", "500m", "");
	refuse("name: n\nmemory: 1GB\n", "t.yaml:2:9", "256Mi", "");
	refuse("name: n\ncolor: gren\n", "t.yaml:2:8", "one of red, green, blue", "color: green");
	refuse("name: n\ntags: x\n", "t.yaml:2:7", "a list of texts", "");
	refuse("name: n\ntags: [x, 1]\n", "t.yaml:2:11", "tags: 1 is not right", "tags: \"1\"");
	refuse("name: n\nroutes: [{path: /x}, {port: 1}]\n", "t.yaml:2:22", "routes[1].path: missing", "");
	refuse("name: n\nroutes: [{path: /x, prt: 1}]\n", "t.yaml:2:21", "routes[0].prt: unknown key, did you mean port?", "port: ...");
	refuse("name: n\nroutes: [x]\n", "t.yaml:2:10", "routes[0]", "");
	refuse("name: n\nlabels: [x]\n", "t.yaml:2:9", "a mapping", "");
	refuse("name: n\nsplit: off\n", "t.yaml:2:8", "a mapping, or none", "");
	refuse("name: n\nsplit: {iner: 1}\n", "t.yaml:2:9", "split.iner: unknown key, did you mean inner?", "inner: ...");
	refuse("name: n\nlater: {}\n", "t.yaml:2:1", "later: this is not built yet", "");
	refuse("name: n\nlater:\n", "t.yaml:2:1", "later: this is not built yet", "");
	refuse("- name\n", "t.yaml:1:1", "a mapping of keys", "");
}

static void test_all_problems(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d = read_yaml("count: 0\nwait: 1\nsplit: {inner: x}\nfoo: 1\n");
	struct sample s = {0};
	struct err err = {0}, items[4] = {0};
	struct field_problems problems = {.items = items, .max = 4};
	assert_int_equal(field_read(&sample_table, d->root, "t.yaml", "env", NULL, &d->memory, &s, &problems, &err), -1);
	assert_int_equal(problems.count, 4);
	assert_string_equal(err.message, items[0].message);
	assert_non_null(strstr(items[0].message, "env.foo"));
	assert_non_null(strstr(items[1].message, "env.name: missing"));
}

static void test_schema(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *d = document_new("schema");
	struct value *root = value_root_object(d);
	const struct value *properties = field_schema(&sample_table, false, d, root);
	assert_ptr_equal(value_get(root, "properties"), properties);
	assert_null(value_get(properties, "later"));
	assert_true(str_is(value_find(properties, "count.type")->text, "integer"));
	assert_true(str_is(value_find(properties, "count.maximum")->text, "9"));
	assert_true(str_is(value_find(properties, "count.default")->text, "3"));
	assert_true(str_is(value_find(properties, "wait.default")->text, "5m"));
	assert_int_equal(value_find(properties, "color.enum")->count, 3);
	assert_int_equal(value_find(properties, "split.anyOf")->count, 2);
	assert_int_equal(value_get(root, "required")->count, 1);
	assert_false(value_get(root, "additionalProperties")->boolean);
	assert_non_null(value_find(properties, "routes.items.properties.port"));
	AUTO_DOCUMENT struct document *patch = document_new("patch");
	struct value *below = value_root_object(patch);
	field_schema(&sample_table, true, patch, below);
	assert_null(value_get(below, "required"));
	assert_int_equal(value_find(below, "properties.count.type")->count, 2);
	assert_int_equal(value_find(below, "properties.color.enum")->count, 4);
}

static void test_text(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(100000);
	field_text(&sample_table, "", &out);
	assert_non_null(strstr(out.ptr, "a whole number from 1 to 9; default 3\n    How many\n"));
	assert_non_null(strstr(out.ptr, "split.inner"));
	assert_non_null(strstr(out.ptr, "text as in x; needed\n"));
	assert_non_null(strstr(out.ptr, "default green; since 0.1"));
	char text[FIELD_DURATION_MAX];
	assert_string_equal(field_duration(90000, text), "90s");
	assert_string_equal(field_duration(86400000, text), "1d");
	assert_string_equal(field_duration(1, text), "1ms");
	assert_string_equal(field_duration(0, text), "0ms");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything_set),
		cmocka_unit_test(test_deployed_only),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_all_problems),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests_name("data_field", tests, NULL, NULL);
}
