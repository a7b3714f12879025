/* What is made up for a model is answered by it, is the same each time, and passes as golden examples. */
#include "os/fs.h"
#include "runner/ops/ops.h"
#include "runner/serve/examples.h"
#include "runner/serve/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const char *root(void) {
	const char *text = getenv("ROOT");
	return text ? text : ".";
}

static void make(const char *path, int64_t count, struct buf *out, struct golden_result *golden) {
	AUTO_FREE char *full = fs_join(root(), path);
	struct model *model = NULL;
	struct err err = {0};
	char file[] = "/tmp/examples.XXXXXX";
	if (model_load(full, NULL, &ops_all, &model, &err) != 0 || examples_write(model, count, out, &err) != 0)
		fail_msg("%s: %s", path, err.message);
	int fd = mkstemp(file);
	assert_int_equal(write(fd, out->ptr, out->len), out->len);
	close(fd);
	if (golden_check(model, file, golden, &err) != 0)
		fail_msg("%s: %s", path, err.message);
	unlink(file);
	model_free(model);
}

static void test_answered(void **state) {
	(void) state;
	static const char *const paths[] = {"examples/breast-cancer/model.onnx", "examples/digits/model.onnx", "examples/diabetes/model.onnx",
		"tests/models/categories.onnx", "tests/models/zipmap_text.onnx", "tests/models/tfidf.onnx"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		AUTO_BUF struct buf lines = BUF(EXAMPLES_BYTES_MAX);
		struct golden_result golden = {0};
		make(paths[i], 7, &lines, &golden);
		assert_int_equal(golden.total, 7);
		assert_int_equal(golden.passed, 7);
	}
}

static void test_same_each_time(void **state) {
	(void) state;
	AUTO_BUF struct buf first = BUF(EXAMPLES_BYTES_MAX);
	AUTO_BUF struct buf second = BUF(EXAMPLES_BYTES_MAX);
	struct golden_result golden;
	make("examples/diabetes/model.onnx", 3, &first, &golden);
	make("examples/diabetes/model.onnx", 3, &second, &golden);
	assert_string_equal(first.ptr, second.ptr);
}

/* This model's outputs are not one entry a row, so no row can be answered. */
static void test_none_is_an_error(void **state) {
	(void) state;
	AUTO_FREE char *path = fs_join(root(), "tests/models/products.onnx");
	AUTO_BUF struct buf lines = BUF(EXAMPLES_BYTES_MAX);
	struct model *model = NULL;
	struct err err = {0};
	assert_int_equal(model_load(path, NULL, &ops_all, &model, &err), 0);
	assert_int_equal(examples_write(model, 5, &lines, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "none of the rows"));
	assert_non_null(strstr(err.fix, "golden.jsonl"));
	assert_int_equal(lines.len, 0);
	model_free(model);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_same_each_time),
		cmocka_unit_test(test_none_is_an_error),
	};
	return cmocka_run_group_tests_name("examples", tests, NULL, NULL);
}
