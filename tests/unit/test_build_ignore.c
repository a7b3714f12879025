#include "build/ignore.h"
#include "scratch.h"

static void matching(void **state) {
	(void) state;
	static const struct {
		const char *pattern, *path;
		bool is_match;
	} cases[] = {
		{"a", "a", true},
		{"a", "b", false},
		{"a", "ab", false},
		{"", "", true},
		{"*", "", true},
		{"*", "abc", true},
		{"*", "a/b", false},
		{"*.onnx", "m.onnx", true},
		{"*.onnx", ".onnx", true},
		{"*.onnx", "m.onnx2", false},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"?", "a", true},
		{"?", "/", false},
		{"a/*/c", "a/b/c", true},
		{"a/*/c", "a/b/b/c", false},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/b/c", true},
		{"a/**/c", "a/b/b/c", true},
		{"a/**/c", "a/bc", false},
		{"a/**/c", "ab/c", false},
		{"**/c", "c", true},
		{"**/c", "a/b/c", true},
		{"**/c", "a/b/xc", false},
		{"**/c", "a/b/", false},
		{"a/**", "a/b/c", true},
		{"a/**", "b/c", false},
		{"**", "any/thing", true},
		{"**/a*/**/z?", "x/y/ab/q/r/z1", true},
		{"**/a*/**/z?", "x/y/b/q/r/z1", false},
		{"**/a/b", "a/a/b", true},
		{"**/a/b", "a/x/a/c", false},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[^a-c]x", "dx", true},
		{"[]]", "]", true},
		{"[a", "[a", true},
		{"[/]", "/", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"\\", "\\", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ignore_match(str_of(cases[i].pattern), str_of(cases[i].path), false) != cases[i].is_match)
			fail_msg("\"%s\" and \"%s\": not %d", cases[i].pattern, cases[i].path, cases[i].is_match);
}

static void long_texts_end(void **state) {
	(void) state;
	char path[4001], pattern[401];
	memset(path, 'a', 4000);
	path[4000] = '\0';
	for (int i = 0; i < 400; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[399] = 'b';
	pattern[400] = '\0';
	assert_false(ignore_match(str_of(pattern), str_of(path), false));
}

static bool is_out(const char *text, const char *path, bool is_folder) {
	struct err err = {0};
	AUTO_IGNORE struct ignore *ignore = NULL;
	assert_int_equal(ignore_read(str_of(text), &ignore, &err), 0);
	return ignore_is_out(ignore, path, is_folder);
}

static void what_is_out_by_itself(void **state) {
	(void) state;
	static const char *const out[] = {".env", ".ENV", ".env.production", "prod.env", "a/b/.env", "server.key", "ca.pem", "id_rsa",
		"id_rsa.pub", ".aws", ".git", "credentials.json", "my-credentials-2.json", ".mlctl", "mlctl.yaml", "__pycache__", "x.pyc",
		".venv", "secrets", ".kube", ".npmrc"};
	static const char *const in[] = {
		"model.onnx", "environment.txt", "keys.bin", "data/keyword.txt", "tokenizer.json", "vocab.txt", "monkey", ".hidden"};
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		if (!is_out("", out[i], false))
			fail_msg("%s is in", out[i]);
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		if (is_out("", in[i], false))
			fail_msg("%s is out", in[i]);
	assert_true(ignore_is_secret(".aws/config"));
	assert_true(ignore_is_secret("a/.env"));
	assert_false(ignore_is_secret(".dvc/cache/ab/cdef"));
	assert_false(ignore_is_secret("model/x.bin"));
}

static void the_projects_own(void **state) {
	(void) state;
	const char *text = "# notes\n*.csv\n!keep.csv\n/top.txt\nraw/\nmodel/*.tmp\n\\#odd\ntrailing \r\n!ca.pem\n";
	assert_true(is_out(text, "a/b.csv", false));
	assert_false(is_out(text, "a/keep.csv", false));
	assert_true(is_out(text, "top.txt", false));
	assert_false(is_out(text, "a/top.txt", false));
	assert_true(is_out(text, "a/raw", true));
	assert_false(is_out(text, "a/raw", false));
	assert_true(is_out(text, "model/x.tmp", false));
	assert_false(is_out(text, "model/y/x.tmp", false));
	assert_true(is_out(text, "#odd", false));
	assert_true(is_out(text, "trailing", false));
	assert_false(is_out(text, "ca.pem", false)); /* said by name: the project's decision */
	assert_true(is_out(text, "other.pem", false));
}

static void refusals(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	struct err err = {0};
	struct ignore *ignore = NULL;
	assert_int_equal(ignore_load(folder, &ignore, &err), 0); /* none is fine */
	ignore_free(ignore);
	scratch_sh(folder, "seq 2000 >.mlctlignore");
	assert_int_equal(ignore_load(folder, &ignore, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	err_clear(&err);
	scratch_sh(folder, "head -c 100000 /dev/zero >.mlctlignore");
	assert_int_equal(ignore_load(folder, &ignore, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),
		cmocka_unit_test(long_texts_end),
		cmocka_unit_test(what_is_out_by_itself),
		cmocka_unit_test(the_projects_own),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests_name("build_ignore", tests, NULL, NULL);
}
