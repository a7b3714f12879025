/* Templates: every instruction, places in errors, limits, and that no value ever changes the structure. */
#include "tmpl/tmpl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char input_yaml[] =
	"name: fraud\nport: 8080\nshare: 0.5\nbig: 12345678901234567890\nyes: true\nno: false\nnothing: null\nempty: ''\nnone: []\nnobody: {}\nzero: 0\n"
	"list: [a, 2, true]\nmap: {k1: v1, k2: 7}\nscale: {min: 2, max: 5}\nevil: \"{$: name}\"\nquoted: \"a: b\\n- c # d\"\n";

static struct document *read_input(const char *yaml) {
	struct document *document = NULL;
	struct err err = {0};
	if (yaml_read("in.yaml", str_of(yaml), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	return document;
}

static bool find(void *self, const char *name, struct str *text, const char **shown) {
	(void) self;
	static const struct {
		const char *name, *text;
	} files[] = {{"part.yaml", "x: ${name}\nitem: {$: item?}\n"}, {"loop.yaml", "{$include: loop.yaml}"}, {"bad.yaml", "a: 1\nb: {$: nmae}\n"},
		{"fraud.yaml", "[1]"}, {"empty.yaml", "# only words\n"}, {"no.yaml", "$include: empty.yaml\n"}};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, name) == 0) {
			*text = str_of(files[i].text);
			*shown = files[i].name;
			return true;
		}
	return false;
}

static int render_with(const char *template, const char *input, struct document *into, const struct value **out, struct tmpl_origins *origins, struct err *err) {
	AUTO_DOCUMENT struct document *from = read_input(input);
	struct tmpl_source source = {.name = "t.yaml", .text = str_of(template), .input = from->root, .input_name = "in.yaml", .find = find};
	return tmpl_render(&source, into, value_root_array(into), out, origins, err);
}

/* `wanted`: as YAML; NULL: nothing at all. */
static void check(const char *template, const char *wanted) {
	AUTO_DOCUMENT struct document *into = document_new("out");
	AUTO_DOCUMENT struct document *expected = wanted ? read_input(wanted) : NULL;
	const struct value *out = NULL;
	AUTO_FREE char *text = NULL;
	struct err err = {0};
	if (render_with(template, input_yaml, into, &out, NULL, &err) != 0)
		fail_msg("%s\n%s: %s", template, err.at, err.message);
	assert_int_equal(into->root->count, out ? 1 : 0);
	if (wanted ? out && value_equal(out, expected->root) : !out)
		return;
	if (out && json_write(out, JSON_COMPACT, &text, &err) != 0)
		fail_msg("%s", err.message);
	fail_msg("%s\ngives %s\nnot   %s", template, text ? text : "nothing", wanted ? wanted : "nothing");
}

static void refuse(const char *template, const char *at, const char *message) {
	AUTO_DOCUMENT struct document *into = document_new("out");
	struct err err = {0};
	const struct value *out = NULL;
	if (render_with(template, input_yaml, into, &out, NULL, &err) == 0)
		fail_msg("accepted: %s", template);
	if (err.code != ERR_INVALID || strcmp(err.at, at) != 0 || !strstr(err.message, message))
		fail_msg("%s\n%s %s: %s\nexpected %s: %s", template, err_kind(err.code), err.at, err.message, at, message);
	assert_null(into->root->first);
}

static void test_values(void **state) {
	(void) state;
	check("a: 1\nb: [x, null, true, 1.50]\n", "{a: 1, b: [x, null, true, 1.50]}");
	check("{$: port}", "8080");
	check("{a: {$: port}, b: {$: big}, c: {$: yes}, d: {$: share}, e: {$: nothing}}", "{a: 8080, b: 12345678901234567890, c: true, d: 0.5, e: null}");
	check("{a: {$: scale}, b: {$: list}, c: {$: scale.min}}", "{a: {min: 2, max: 5}, b: [a, 2, true], c: 2}");
	check("{a: {$: missing?}, b: 1, c: [{$: scale.what?}, 2]}", "{b: 1, c: [2]}");
	check("{$: missing?}", NULL);
	check("", NULL);
	check("# only words\n", NULL);
}

static void test_texts(void **state) {
	(void) state;
	check("a: ${name}\nb: \":${port}\"\nc: ${name}-${scale.min}-${yes}-x\n", "{a: fraud, b: ':8080', c: fraud-2-true-x}");
	check("a: \"${port}\"\n", "{a: '8080'}");
	check("a: \"$${port} $$ $ ${name}$\"\n", "{a: '${port} $$ $ fraud$'}");
	check("a: \"<${missing?}${nothing}>\"\n", "{a: '<>'}");
	check("a: {$text: {$: port}}\nb: {$text: 1.50}\nc: {$text: {$: yes}}\nd: {$text: {$: missing?}}\n", "{a: '8080', b: '1.50', c: 'true'}");
	refuse("a: 1\n${name}: x\n", "t.yaml:2:1", "${name}: only values are replaced, never keys");
}

static void test_if(void **state) {
	(void) state;
	static const char *const no[] = {"no", "nothing", "empty", "none", "nobody", "zero", "missing", "scale.what", "name.below"};
	static const char *const yes[] = {"yes", "name", "port", "list", "map", "share", "scale.min"};
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		AUTO_FREE char *template = mem_format("{a: {$if: %s, $then: 1, $else: 2}, b: {$if: %s, $then: 1}, c: [{$if: %s, $then: 1}]}", no[i], no[i], no[i]);
		check(template, "{a: 2, c: []}");
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		AUTO_FREE char *template = mem_format("{a: {$if: %s, $then: 1, $else: 2}, b: {$if: %s, $else: 1}}", yes[i], yes[i]);
		check(template, "{a: 1}");
	}
	check("$if: yes\n$then:\n  $if: no\n  $then: 1\n  $else: {x: \"${name}\"}\n", "{x: fraud}");
	check("$if: no\n$then: {$: missing}\n", NULL); /* what is not chosen is not looked at */
}

static void test_each(void **state) {
	(void) state;
	check("{a: {$each: list, $as: i, $do: {v: {$: i}}}}", "{a: [{v: a}, {v: 2}, {v: true}]}");
	check("{a: {$each: map, $as: m, $do: \"${m.key}=${m.value}\"}}", "{a: [k1=v1, k2=7]}");
	check("{a: {$each: map, $as: m, $do: {$: m}}}", "{a: [{key: k1, value: v1}, {key: k2, value: 7}]}");
	check("[first, {$each: list, $as: i, $do: {$: i}}, last]", "[first, a, 2, true, last]");
	check("{a: {$each: missing, $as: i, $do: 1}, b: [{$each: none, $as: i, $do: 1}], c: {$each: nothing, $as: i, $do: 1}}", "{a: [], b: [], c: []}");
	check("{a: {$each: list, $as: x, $do: {$each: map, $as: y, $do: \"${x}${y.key}\"}}}", "{a: [ak1, ak2, 2k1, 2k2, truek1, truek2]}");
	check("{a: {$each: list, $as: name, $do: {$: name}}, b: {$: name}}", "{a: [a, 2, true], b: fraud}"); /* the nearest name, and only inside */
	check("{a: {$each: list, $as: i, $do: {$if: no, $then: 1}}}", "{a: []}");
}

static void test_merge(void **state) {
	(void) state;
	check("{a: {$merge: [{x: 1, y: {p: 1}}, {$: scale}, {y: {q: 2}, min: 9}]}}", "{a: {x: 1, y: {p: 1, q: 2}, min: 9, max: 5}}");
	check("{a: {$merge: [{$: nothing}, {$: missing?}, {$if: no, $then: {x: 1}}]}, b: 1}", "{b: 1}");
	check("{a: {$merge: [{x: 1, y: 2}, {x: null}]}}", "{a: {y: 2}}");
	check("{a: {$merge: [{$each: list, $as: i, $do: {last: {$: i}}}]}}", "{a: {last: true}}");
	check("$merge: [{$merge: [{a: 1}]}, {b: 2}]\n", "{a: 1, b: 2}");
}

static void test_include(void **state) {
	(void) state;
	check("{a: {$include: part.yaml}}", "{a: {x: fraud}}");
	check("[{$each: list, $as: item, $do: {$include: part.yaml}}]", "[{x: fraud, item: a}, {x: fraud, item: 2}, {x: fraud, item: true}]");
	check("{a: {$include: \"${name}.yaml\"}}", "{a: [1]}");
	check("{a: [1, {$include: empty.yaml}], b: {$include: no.yaml}, c: {$merge: [{x: 1}, {$include: empty.yaml}]}}", "{a: [1], c: {x: 1}}");
	check("$include: empty.yaml\n", NULL);
	refuse("a: {$include: missing.yaml}\n", "t.yaml:1:15", "there is no template missing.yaml");
	refuse("a: {$include: loop.yaml}\n", "loop.yaml:1:1", "$include: more than 4096");
	refuse("a: {$include: bad.yaml}\n", "bad.yaml:2:4", "there is no \"nmae\", did you mean name?");
	refuse("a: {$include: 1}\n", "t.yaml:1:4", "it must be the name of a template");
	refuse("a: {$include: ../../etc/passwd}\n", "t.yaml:1:15", "there is no template ../../etc/passwd");
}

/* Whatever a value holds, it stays one value. */
static void test_injection(void **state) {
	(void) state;
	check("{a: {$: evil}, b: \"${evil}\", c: {$: quoted}, d: \"x ${quoted}\"}",
		"{a: '{$: name}', b: '{$: name}', c: \"a: b\\n- c # d\", d: \"x a: b\\n- c # d\"}");
	static const char *const evil[] = {"\"", "'", "\n", "\n- x", "a: b", "{$if: x, $then: y}", "${name}", "$${name}", "{{ .Values }}", "# x", "&a", "*a", "!!str x",
		"%YAML", "---", "...", "null", "true", "~", "1", "0x1f", "1e5", "yes", "\t", "\x01", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xf0\x9f\x90\x99",
		"? x", "- ", ": ", ", ", "[", "]", "{", "}", "|", ">", "@", "`", "a\rb", "  lead", "trail  ", "\"\\n\"", "\\", "=", "<<"};
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		AUTO_DOCUMENT struct document *from = document_new("in");
		AUTO_DOCUMENT struct document *into = document_new("out");
		struct err err = {0};
		const struct value *out = NULL;
		value_add_text(from, value_root_object(from), "v", evil[i]);
		value_add_int(from, value_add_object(from, from->root, "m"), evil[i], 1);
		struct tmpl_source source = {.name = "t.yaml", .text = STR("{a: {$: v}, b: \"<${v}>\", c: {$: m}, d: 1}"), .input = from->root};
		assert_int_equal(tmpl_render(&source, into, value_root_array(into), &out, NULL, &err), 0);
		assert_int_equal(out->count, 4);
		assert_true(str_is(value_get(out, "a")->text, evil[i]) && value_get(out, "a")->kind == VALUE_STRING);
		AUTO_FREE char *around = mem_format("<%s>", evil[i]);
		assert_true(str_is(value_get(out, "b")->text, around));
		assert_true(value_equal(value_get(out, "c"), value_get(from->root, "m")));
		/* And through text: what is written is read back as the same. */
		AUTO_BUF struct buf yaml = BUF(100000);
		AUTO_DOCUMENT struct document *back = NULL;
		yaml_write(out, NULL, &yaml);
		if (yaml_read("back", buf_view(&yaml), VALUE_LIMITS_CONFIG, &back, &err) != 0)
			fail_msg("%s: %s\n%s", err.at, err.message, yaml.ptr);
		if (!value_equal(back->root, out))
			fail_msg("%s", yaml.ptr);
	}
}

static void test_refusals(void **state) {
	(void) state;
	refuse("a: 1\nb: {$: nmae}\n", "t.yaml:2:4", "nmae: there is no \"nmae\", did you mean name?");
	refuse("a: {$: scale.mni}\n", "t.yaml:1:4", "did you mean min?");
	refuse("a: {$: scale.zzzz}\n", "t.yaml:1:4", "what there is: min, max");
	refuse("a: {$: name.first}\n", "t.yaml:1:4", "nothing is below it (the value is set in in.yaml:1:7)");
	refuse("a: \"x ${scale} y\"\n", "t.yaml:1:4", "scale is a mapping, in a text it must be a scalar: write {$: scale} (the value is set in in.yaml:14:8)");
	refuse("a: \"x ${list}\"\n", "t.yaml:1:4", "list is a list");
	refuse("a: \"x ${name\"\n", "t.yaml:1:4", "without its \"}\"");
	refuse("a: \"${}\"\n", "t.yaml:1:4", "is not a path");
	refuse("a: \"${a b}\"\n", "t.yaml:1:4", "is not a path");
	refuse("a: \"${name | quote}\"\n", "t.yaml:1:4", "is not a path");
	refuse("a: {$: 1}\n", "t.yaml:1:4", "a path must be text");
	refuse("a: {$: name, b: 1}\n", "t.yaml:1:14", "b cannot stand beside $");
	refuse("a: {$if: name, $them: 1}\n", "t.yaml:1:16", "$them cannot stand beside $if, only $then $else");
	refuse("a: {$then: 1}\n", "t.yaml:1:5", "$then is no instruction by itself");
	refuse("a: {$fi: 1}\n", "t.yaml:1:5", "did you mean $if");
	refuse("a: {b: 1, $patch: x}\n", "t.yaml:1:11", "$patch is no instruction");
	refuse("a: {$each: list, $do: 1}\n", "t.yaml:1:4", "$each needs $as");
	refuse("a: {$each: list, $as: a.b, $do: 1}\n", "t.yaml:1:4", "$each needs $as");
	refuse("a: {$each: list, $as: i}\n", "t.yaml:1:4", "and $do");
	refuse("a: {$each: name, $as: i, $do: 1}\n", "t.yaml:1:4", "name is a scalar, it must be a list or a mapping (the value is set in in.yaml:1:7)");
	refuse("a: {$merge: {x: 1}}\n", "t.yaml:1:13", "it must be a list");
	refuse("a: {$merge: [{x: 1}, 2]}\n", "t.yaml:1:4", "each must be a mapping");
	refuse("a: {$merge: [{$: list}]}\n", "t.yaml:1:4", "each must be a mapping");
	refuse("a: {$text: {$: scale}}\n", "t.yaml:1:4", "a mapping has no text");
	refuse("a: {$text: {$each: list, $as: i, $do: {$: i}}}\n", "t.yaml:1:4", "a list has no text");
	refuse("a: {$text: {$each: missing, $as: i, $do: {$: i}}}\n", "t.yaml:1:4", "a list has no text");
	refuse("a: {$if: name, \"$then\\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": 1}\n", "t.yaml:1:16", "$then cannot stand beside $if");
	refuse("a: 1\nb: [\n", "t.yaml:3:1", "not YAML");
	refuse("a: 1\n---\nb: 2\n", "t.yaml:2:1", "a second document");
	refuse("a: &x 1\n", "t.yaml:1:4", "anchors");
	refuse("a: 1\na: 2\n", "t.yaml:2:1", "twice");
}

static void test_limits(void **state) {
	(void) state;
	AUTO_BUF struct buf deep = BUF(100000), input = BUF(1000000);
	for (int i = 0; i < TMPL_DEPTH_MAX + 1; i++)
		buf_text(&deep, "[");
	buf_text(&deep, "x");
	for (int i = 0; i < TMPL_DEPTH_MAX + 1; i++)
		buf_text(&deep, "]");
	refuse(deep.ptr, "t.yaml:1:33", "nested deeper than 32");
	buf_text(&input, "list: [");
	for (int i = 0; i < 400; i++)
		buf_text(&input, "x, ");
	buf_text(&input, "x]\nempty: []\nlong: ");
	for (int i = 0; i < 10000; i++)
		buf_text(&input, "long text of 22 bytes ");
	buf_text(&input, "\n");
	static const struct {
		const char *template, *message;
	} all[] = {
		{"{$each: list, $as: a, $do: {$each: list, $as: b, $do: {$: list}}}", "it makes more than 100000 values"},
		{"{a: {$each: list, $as: a, $do: {$each: list, $as: b, $do: {$each: list, $as: c, $do: {$if: empty, $then: 1}}}}}", "it takes more than 1000000 steps"},
		{"{a: {$merge: [{$each: list, $as: a, $do: {x: {$: list}}}]}}", "it makes more than 100000 values"},
		{"{a: {$each: list, $as: a, $do: \"${long}\"}}", "it takes more than 64 MiB"},
		{"{a: {$merge: [{l: {$: long}}, {$each: list, $as: a, $do: {x: {$: a}}}]}}", "it takes more than 64 MiB"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		AUTO_DOCUMENT struct document *into = document_new("out");
		struct err err = {0};
		const struct value *out = NULL;
		assert_int_equal(render_with(all[i].template, input.ptr, into, &out, NULL, &err), -1);
		if (!strstr(err.message, all[i].message))
			fail_msg("%s: %s", all[i].template, err.message);
	}
}

static const struct tmpl_origin *origin(const struct tmpl_origins *all, const char *path) {
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->items[i].path, path) == 0)
			return &all->items[i];
	fail_msg("no origin of %s", path);
	return NULL;
}

static void check_origin(const struct tmpl_origins *all, const char *path, int line, const char *from, int from_line) {
	const struct tmpl_origin *one = origin(all, path);
	if (one->place.line != line || one->from_place.line != from_line || (from ? !one->from || strcmp(one->from, from) != 0 : one->from != NULL))
		fail_msg("%s: template line %d, from %s line %d", path, one->place.line, one->from ? one->from : "nothing", one->from_place.line);
}

static void test_origins(void **state) {
	(void) state;
	struct tmpl_origins all = {0};
	AUTO_DOCUMENT struct document *into = document_new("out");
	AUTO_DOCUMENT struct document *plain = document_new("out");
	const struct value *out = NULL, *same = NULL;
	struct err err = {0};
	static const char template[] = "a: 1\nb: ${name}-${port}\nc:\n  a.b/c: {$: scale}\nd:\n  - {$each: map, $as: m, $do: {n: \"${m.key}\", v: {$: m.value}}}\n"
				       "e: {$merge: [{x: 1, y: {$: port}}, {y: {$: share}}]}\nf: {$include: part.yaml}\ng: {$each: list, $as: i, $do: {$: i}}\nh: []\n";
	assert_int_equal(render_with(template, input_yaml, into, &out, &all, &err), 0);
	check_origin(&all, "a", 1, NULL, 0);
	check_origin(&all, "b", 2, "name", 1);
	check_origin(&all, "c[\"a.b/c\"].min", 4, "scale.min", 14);
	check_origin(&all, "d[0].n", 6, "map.k1", 13);
	check_origin(&all, "d[1].v", 6, "map.k2", 13);
	check_origin(&all, "e.x", 7, NULL, 0);
	check_origin(&all, "e.y", 7, "share", 3);
	check_origin(&all, "f.x", 1, "name", 1);
	assert_string_equal(origin(&all, "f.x")->file, "part.yaml");
	check_origin(&all, "g[1]", 9, "list.1", 12);
	check_origin(&all, "h", 10, NULL, 0);
	assert_int_equal(all.count, 15);
	/* Asking changes nothing, and places are the template's again. */
	assert_int_equal(render_with(template, input_yaml, plain, &same, NULL, &err), 0);
	assert_true(value_equal(out, same));
	assert_int_equal(value_get(out, "b")->at.line, 2);
	assert_int_equal(value_get(same, "b")->at.line, 2);
	for (size_t i = 0; i < all.count; i++)
		assert_true(all.items[i].node != NULL);
	tmpl_origins_clear(&all);
}

/* A generator of numbers that are the same in every run. */
static uint32_t next_random(uint64_t *state) {
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t) (*state >> 33);
}

static void random_text(uint64_t *state, char out[40]) {
	static const char *const parts[] = {"a", "Z", "0", "-", ": ", "\n", "'", "\"", "#", " ", "${", "}", "$", "{", "[", "\t", "\\", "yes", "null", "1e3", "~", "&", "*",
		"!", "|", ">", "%", "@", "\x01", "\xc3\xa9", "\xe2\x80\xa8", "\xf0\x9f\x90\x99", "=", ",", "?", "- ", "0x", ".", "_", "\r"};
	out[0] = '\0';
	for (uint32_t n = next_random(state) % 8; n; n--)
		snprintf(out + strlen(out), 40 - strlen(out), "%s", parts[next_random(state) % (sizeof(parts) / sizeof(parts[0]))]);
}

static void random_tree(uint64_t *state, struct document *document, struct value *into, const char *key, int depth) {
	char text[40];
	static const char *const numbers[] = {"0", "-1", "1.50", "12345678901234567890", "0.1", "-0", "1.5e+10"};
	switch (next_random(state) % (depth > 6 ? 5 : 7)) {
	case 0:
		value_add_null(document, into, key);
		break;
	case 1:
		value_add_bool(document, into, key, next_random(state) & 1);
		break;
	case 2:
		value_add_int(document, into, key, 0)->text = str_of(numbers[next_random(state) % 7]);
		break;
	case 3:
	case 4:
		random_text(state, text);
		value_add_text(document, into, key, text);
		break;
	default: {
		bool is_object = next_random(state) & 1;
		struct value *made = is_object ? value_add_object(document, into, key) : value_add_array(document, into, key);
		for (uint32_t n = next_random(state) % 5; n; n--) {
			char name[60];
			random_text(state, text);
			snprintf(name, sizeof(name), "%s%u", text, n);
			random_tree(state, document, made, is_object ? name : NULL, depth + 1);
		}
	}
	}
}

/* parse(render(v)) holds exactly v: in the tree, and through YAML and JSON texts. */
static void test_property(void **state) {
	(void) state;
	uint64_t seed = 4;
	for (int i = 0; i < 3000; i++) {
		AUTO_DOCUMENT struct document *from = document_new("in");
		AUTO_DOCUMENT struct document *into = document_new("out");
		AUTO_DOCUMENT struct document *back = NULL;
		AUTO_DOCUMENT struct document *json_back = NULL;
		AUTO_BUF struct buf yaml = BUF(1000000);
		AUTO_FREE char *json = NULL;
		struct err err = {0};
		const struct value *out = NULL;
		random_tree(&seed, from, value_root_object(from), "v", 0);
		struct tmpl_source source = {.name = "t.yaml", .text = STR("{a: {$: v}, b: [{$if: v, $then: {$: v}}, {$merge: [{x: {$: v}}]}]}"), .input = from->root};
		assert_int_equal(tmpl_render(&source, into, value_root_array(into), &out, NULL, &err), 0);
		assert_true(value_equal(value_get(out, "a"), value_get(from->root, "v")));
		yaml_write(out, NULL, &yaml);
		if (yaml_read("back", buf_view(&yaml), VALUE_LIMITS_CONFIG, &back, &err) != 0)
			fail_msg("%d: %s: %s\n%s", i, err.at, err.message, yaml.ptr);
		if (!value_equal(back->root, out))
			fail_msg("%d:\n%s", i, yaml.ptr);
		assert_int_equal(json_write(out, JSON_COMPACT, &json, &err), 0);
		assert_int_equal(json_read("back", str_of(json), VALUE_LIMITS_CONFIG, &json_back, &err), 0);
		assert_true(value_equal(json_back->root, back->root));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_if),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_property),
	};
	return cmocka_run_group_tests_name("tmpl", tests, NULL, NULL);
}
