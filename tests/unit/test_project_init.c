/* What init finds, why it is not served, and what it writes. */
#include "os/fs.h"
#include "project/init.h"
#include "project/project.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state) {
	(void) state;
	snprintf(root, sizeof(root), "/tmp/Fraud Score.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
	(void) state;
	struct err err = {0};
	return fs_remove_tree(root, &err);
}

static void make_file(const char *name, const char *text) {
	struct err err = {0};
	AUTO_FREE char *path = fs_join(root, name), *folder = mem_text(path);
	*strrchr(folder, '/') = '\0';
	if (fs_make_dirs(folder, 0700, &err) != 0 || fs_replace(path, text, strlen(text), 0600, &err) != 0)
		fail_msg("%s", err.message);
}

static void test_find(void **state) {
	(void) state;
	make_file("a/model.onnx", "onnx");
	make_file("zz.onnx", "onnx");
	make_file("pointer.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
	make_file("x.pkl", "p");
	make_file("it's \"odd\".joblib", "p");
	make_file("net.pt", "p");
	make_file("k.h5", "p");
	make_file("data.json", "{\"rows\": []}");
	make_file("booster.json", "{\"learner\":{}}");
	make_file("lgb.txt", "tree\nversion=v4\n");
	make_file("notes.txt", "tree of life\n");
	make_file(".git/hidden.onnx", "onnx");
	make_file("venv/lib/hidden.onnx", "onnx");
	make_file("big.onnx.dvc", "outs:\n");
	AUTO_FREE char *link = fs_join(root, "link.onnx");
	assert_int_equal(symlink("zz.onnx", link), 0);
	struct init_models models CLEANUP(init_models_clear) = {0};
	struct err err = {0};
	assert_int_equal(init_find(root, &models, &err), 0);
	assert_int_equal(models.served_count, 2);
	assert_int_equal(models.count, 10);
	assert_string_equal(models.items[0].path, "a/model.onnx");
	assert_string_equal(models.items[1].path, "zz.onnx");
	assert_int_equal(models.items[0].bytes, 4);
	for (size_t i = 0; i < models.count; i++) {
		const struct init_model *m = &models.items[i];
		assert_int_equal(m->is_served, i < 2);
		assert_int_equal(m->reason == NULL, i < 2);
		assert_int_equal(m->convert == NULL, i < 2);
		if (strcmp(m->path, "pointer.onnx") == 0)
			assert_string_equal(m->convert, "git lfs pull --include pointer.onnx");
		if (strcmp(m->path, "big.onnx.dvc") == 0)
			assert_string_equal(m->convert, "dvc pull big.onnx.dvc");
		if (strcmp(m->path, "x.pkl") == 0)
			assert_true(str_starts(str_of(m->convert), "python3 -c 'import sys, joblib;") &&
				    str_ends(str_of(m->convert), "' x.pkl x.onnx"));
		if (strstr(m->path, "odd"))
			assert_true(str_ends(str_of(m->convert), " 'it'\\''s \"odd\".joblib' 'it'\\''s \"odd\".onnx'"));
	}
}

static void test_find_refuses(void **state) {
	(void) state;
	struct init_models models = {0};
	struct err err = {0};
	assert_int_equal(init_find("/nowhere/at/all", &models, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(models.count, 0);
}

static int golden(void *self, const char *path, struct buf *out, struct err *err) {
	if (!self)
		return err_set(err, ERR_INVALID, "%s: operator Foo is not supported", path);
	buf_text(out, "{\"rows\": [[1]], \"predictions\": [{\"label\": 1}]}\n");
	return 0;
}

static void test_write(void **state) {
	(void) state;
	make_file("model.onnx", "onnx");
	make_file("versions/model.onnx", "onnx");
	char on = 1;
	struct init_request request = {.folder = root, .golden = golden, .self = &on};
	struct init_result result CLEANUP(init_result_clear) = {0};
	struct err err = {0};
	if (init_write(&request, &result, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	assert_true(str_starts(str_of(result.name), "fraud-score-"));
	assert_string_equal(result.model, "model.onnx");
	assert_string_equal(result.golden, "golden.jsonl");
	assert_true(result.is_golden_written);
	AUTO_PROJECT struct project *project = NULL;
	AUTO_SETTINGS struct settings *settings = NULL;
	assert_int_equal(project_load(root, &project, &err), 0);
	assert_int_equal(project_env(project, NULL, &settings, &err), 0);
	assert_string_equal(settings->model.golden, "golden.jsonl");
	assert_string_equal(settings->environment, "local");
	assert_int_equal(settings->rollout.canary.for_ms, 10000);
	assert_null(strchr(result.text, '@'));
	/* What is there stays, unless forced; golden examples stay in any case. */
	struct init_result again CLEANUP(init_result_clear) = {0};
	assert_int_equal(init_write(&request, &again, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.fix, "mlctl init --force");
	assert_null(again.text);
	err_clear(&err);
	request.is_forced = true;
	request.self = NULL;
	request.name = "other";
	request.image = "registry.example.com/team/other";
	assert_int_equal(init_write(&request, &again, &err), 0);
	assert_false(again.is_golden_written);
	assert_non_null(strstr(again.text, "\nname: other "));
	assert_non_null(strstr(again.text, "\nimage: registry.example.com/team/other\n"));
}

static void refuse(struct init_request request, enum err_code code, const char *words, const char *fix) {
	struct init_result result CLEANUP(init_result_clear) = {0};
	struct err err = {0};
	request.folder = root;
	assert_int_equal(init_write(&request, &result, &err), -1);
	if (err.code != code || !strstr(err.message, words) || !str_starts(str_of(err.fix), fix))
		fail_msg("%s: %s (%s)", err_kind(err.code), err.message, err.fix);
	assert_null(result.name);
	AUTO_FREE char *file = fs_join(root, PROJECT_FILE);
	assert_false(fs_exists(file));
}

static void test_write_refuses(void **state) {
	(void) state;
	refuse((struct init_request){0}, ERR_NOT_FOUND, "holds no model", "mlctl init path/to/model.onnx");
	make_file("x.pkl", "p");
	refuse((struct init_request){0}, ERR_NOT_FOUND, "x.pkl: scikit-learn (pickle) is not served: loading a pickle runs",
		"python3 -c '");
	refuse((struct init_request){.model = "x.pkl"}, ERR_NOT_FOUND, "is not served", "python3 -c '");
	make_file("a.onnx", "onnx");
	make_file("b.onnx", "onnx");
	refuse((struct init_request){0}, ERR_USAGE, "several models, name one: a.onnx, b.onnx", "mlctl init a.onnx");
	refuse((struct init_request){.model = "c.onnx"}, ERR_NOT_FOUND, "no such file", "");
	refuse((struct init_request){.model = "../c.onnx"}, ERR_USAGE, "beneath the project's folder", "");
	refuse((struct init_request){.model = "a.onnx", .name = "No"}, ERR_USAGE, "name \"No\" is not right", "");
	refuse((struct init_request){.model = "a.onnx", .image = "No:1"}, ERR_USAGE, "image \"No:1\" is not right", "");
	refuse((struct init_request){.model = "a.onnx", .golden = golden}, ERR_INVALID, "operator Foo", "");
}

static void test_odd_names(void **state) {
	(void) state;
	static const char *const names[] = {
		"1.5", "true", "a b: c #d.onnx", "\"q\".onnx", "@x@.onnx", "\xc3\xa9.onnx", "- x.onnx", "null.onnx", "x.onnx"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_file(names[i], "onnx");
		struct init_request request = {.folder = root, .model = names[i], .name = "s", .is_forced = true};
		struct init_result result CLEANUP(init_result_clear) = {0};
		struct err err = {0};
		if (init_write(&request, &result, &err) != 0)
			fail_msg("%s: %s: %s", names[i], err.at, err.message);
		assert_null(result.golden);
	}
}

static void test_strategies(void **state) {
	(void) state;
	make_file("model.onnx", "onnx");
	for (size_t i = 0; i < STRATEGY_COUNT; i++) {
		const struct strategy *row = strategy_row(i), *picked = NULL;
		struct err err = {0};
		assert_int_equal(strategy_pick(row->traffic, row->model, &picked, &err), 0);
		assert_ptr_equal(row, picked);
		struct init_request request = {.folder = root, .strategy = row, .is_forced = true};
		struct init_result result CLEANUP(init_result_clear) = {0};
		assert_int_equal(init_write(&request, &result, &err), 0);
		assert_non_null(strstr(result.text, row->sentence));
		assert_int_equal(strstr(result.text, "not built yet") == NULL, row->is_built);
	}
	const struct strategy *picked = NULL;
	struct err err = {0};
	assert_int_equal(strategy_pick(NULL, NULL, &picked, &err), 0);
	assert_string_equal(picked->target, "local");
	picked = NULL;
	assert_int_equal(strategy_pick("hgih", NULL, &picked, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.fix, "--traffic high");
	err_clear(&err);
	assert_int_equal(strategy_pick("low", "zzzzzzzz", &picked, &err), -1);
	assert_string_equal(err.message, "--model: \"zzzzzzzz\" is not right, it must be simple or complex");
	assert_null(picked);
	assert_null(strategy_row(STRATEGY_COUNT));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, make_root, remove_root),
		cmocka_unit_test(test_find_refuses),
		cmocka_unit_test_setup_teardown(test_write, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_write_refuses, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_odd_names, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_strategies, make_root, remove_root),
	};
	return cmocka_run_group_tests_name("project_init", tests, NULL, NULL);
}
