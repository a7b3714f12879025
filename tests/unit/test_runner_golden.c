/* Golden examples and the rows codec, on the example project's models. */
#include "data/value.h"
#include "os/fs.h"
#include "runner/ops/ops.h"
#include "runner/serve/golden.h"
#include "runner/serve/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static char *example(const char *name) {
	const char *root = getenv("ROOT");
	return mem_format("%s/examples/breast-cancer/%s", root && *root ? root : ".", name);
}

static struct model *load_example(const char *name) {
	AUTO_FREE char *path = example(name);
	struct err err = {0};
	struct model *model = NULL;
	if (model_load(path, "cancer", &ops_all, &model, &err) != 0)
		fail_msg("%s", err.message);
	return model;
}

static void check_golden(const char *model_name, const char *golden_name, struct golden_result *result) {
	struct model *model = load_example(model_name);
	AUTO_FREE char *golden = example(golden_name);
	struct err err = {0};
	if (golden_check(model, golden, result, &err) != 0)
		fail_msg("%s", err.message);
	model_free(model);
}

static void test_right_answers_pass(void **state) {
	(void) state;
	struct golden_result result;
	check_golden("model.onnx", "golden.jsonl", &result);
	assert_string_equal(result.first.got, "");
	assert_true(result.total > 0);
	assert_int_equal(result.passed, result.total);
	assert_true(result.p99_us >= result.p50_us && result.p50_us > 0);
	assert_true(result.difference_max < 1e-4);
	check_golden("versions/v2/model.onnx", "versions/v2/golden.jsonl", &result);
	assert_int_equal(result.passed, result.total);
}

static void test_other_models_answers_fail(void **state) {
	(void) state;
	struct golden_result result;
	check_golden("versions/v2/model.onnx", "golden.jsonl", &result);
	assert_true(result.passed < result.total);
	assert_int_equal(result.first.line, 1);
	assert_int_equal(result.first.row, 1);
	assert_string_not_equal(result.first.output, "");
	assert_string_not_equal(result.first.got, result.first.expected);
	assert_true(result.difference_max > 1e-4);
}

static int golden_text(struct model *model, const char *text, struct golden_result *result, struct err *err) {
	char path[] = "/tmp/golden.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
	close(fd);
	int rc = golden_check(model, path, result, err);
	unlink(path);
	return rc;
}

static void test_files_that_are_no_examples_are_refused(void **state) {
	(void) state;
	static const char *const bad[] = {"", "\n\n", "{", "[]", "{}", "{\"rows\":[[1]]}", "{\"rows\":[[1]],\"predictions\":[]}",
		"{\"rows\":[[1]],\"predictions\":[3]}", "{\"rows\":[[1]],\"predictions\":[{\"label\":1}],\"tolerance\":-1}",
		"{\"rows\":[[1]],\"predictions\":[{\"label\":1}],\"tolerance\":\"x\"}"};
	struct model *model = load_example("model.onnx");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct golden_result result = {.total = 77};
		struct err err = {0};
		assert_int_equal(golden_text(model, bad[i], &result, &err), -1);
		assert_int_equal(result.total, 77);
		assert_string_not_equal(err.message, "");
	}
	struct golden_result result;
	struct err err = {0};
	assert_int_equal(golden_check(model, "/nowhere/golden.jsonl", &result, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	model_free(model);
}

static void test_a_refused_row_is_a_failed_example(void **state) {
	(void) state;
	struct model *model = load_example("model.onnx");
	struct golden_result result;
	struct err err = {0};
	assert_int_equal(golden_text(model, "{\"rows\":[[1]],\"predictions\":[{\"label\":1}]}\r\n", &result, &err), 0);
	assert_int_equal(result.passed, 0);
	assert_int_equal(result.total, 1);
	assert_non_null(strstr(result.first.got, "30 are needed"));
	model_free(model);
}

static int decode(const struct model *model, const char *json, struct arena *arena, struct tensor *inputs, int64_t *rows, struct err *err) {
	struct document *document = NULL;
	int rc = json_read("request", str_of(json), VALUE_LIMITS_WIRE, &document, err);
	rc = rc == 0 ? rows_decode(model, document->root, arena, inputs, rows, err) : rc;
	document_free(document);
	return rc;
}

static void test_bad_rows_are_refused_by_row_and_column(void **state) {
	(void) state;
	static const struct {
		const char *json, *message;
	} bad[] = {
		{"3", "no list of rows"},
		{"{\"row\":[[1]]}", "no list of rows"},
		{"[]", "at least one row"},
		{"[[1,2]]", "row 1 of features has 2 values, 30 are needed"},
		{"[5]", "row 1 of features is the number 5: a list of 30 values is needed"},
		{"[{\"other\":[1]}]", "row 1 has no features"},
		{"[{\"features\":[1],\"typo\":2}]", "row 1 has typo, which is no input"},
		{"[[0,\"x\",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]", "row 1, column 2 of features is the text x: a number is needed"},
		{"[[0,1e39,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]", "column 2 of features is the number 1e39: it does not fit"},
		{"[[0,[1],0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]", "column 2 of features is a list"},
	};
	struct model *model = load_example("model.onnx");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena arena = {0};
		struct tensor inputs[MODEL_PORTS_MAX];
		struct err err = {0};
		int64_t rows = 77;
		assert_int_equal(decode(model, bad[i].json, &arena, inputs, &rows, &err), -1);
		if (!strstr(err.message, bad[i].message))
			fail_msg("%s: %s", bad[i].json, err.message);
		assert_int_equal(rows, 77);
		arena_clear(&arena);
	}
	model_free(model);
}

static void test_null_is_missing_and_answers_are_json(void **state) {
	(void) state;
	struct model *model = load_example("model.onnx");
	struct arena arena = {0};
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	struct err err = {0};
	int64_t rows;
	const char *json = "{\"rows\":[[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,"
			   "null,null,null,null,null,null,null,null],{\"features\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,"
			   "29,30]}]}";
	assert_int_equal(decode(model, json, &arena, inputs, &rows, &err), 0);
	assert_int_equal(rows, 2);
	struct run *run = run_new(model);
	assert_int_equal(model_run(model, run, inputs, ~UINT64_C(0), outputs, &err), 0);
	assert_int_equal(outputs_not_finite(outputs, 2, ~UINT64_C(0)), -1);
	AUTO_BUF struct buf out = BUF(100000);
	assert_int_equal(rows_encode(model, outputs, rows, &out, &err), 0);
	assert_true(str_starts(buf_view(&out), "{\"model\":\"cancer\",\"predictions\":[{\"label\":"));
	AUTO_DOCUMENT struct document *answer = NULL;
	assert_int_equal(json_read("answer", buf_view(&out), VALUE_LIMITS_WIRE, &answer, &err), 0);
	assert_int_equal(value_get(answer->root, "predictions")->count, 2);
	/* Only one of the outputs. */
	assert_int_equal(model_run(model, run, inputs, 1, outputs, &err), 0);
	buf_reset(&out);
	assert_int_equal(rows_encode(model, outputs, rows, &out, &err), 0);
	assert_null(strstr(out.ptr, "probability"));
	run_free(run);
	arena_clear(&arena);
	model_free(model);
}

static void test_the_model_says_what_it_is(void **state) {
	(void) state;
	struct model *model = load_example("model.onnx");
	const struct port *ports;
	assert_int_equal(model_inputs(model, &ports), 1);
	assert_string_equal(ports[0].name, "features");
	assert_int_equal(ports[0].shape.rank, 2);
	assert_int_equal(ports[0].shape.dims[0], -1);
	assert_int_equal(ports[0].shape.dims[1], 30);
	assert_int_equal(model_outputs(model, &ports), 2);
	assert_int_equal(ports[0].dtype, DTYPE_INT64);
	assert_int_equal(ports[0].shape.dims[0], -1);
	assert_int_equal(ports[1].shape.dims[1], 2);
	assert_string_equal(model_name(model), "cancer");
	assert_string_equal(model_format(model), "onnx");
	assert_int_equal(model_opset(model), 17);
	assert_true(str_starts(str_of(model_digest(model)->text), "sha256:"));
	model_free(model);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_answers_pass),
		cmocka_unit_test(test_other_models_answers_fail),
		cmocka_unit_test(test_files_that_are_no_examples_are_refused),
		cmocka_unit_test(test_a_refused_row_is_a_failed_example),
		cmocka_unit_test(test_bad_rows_are_refused_by_row_and_column),
		cmocka_unit_test(test_null_is_missing_and_answers_are_json),
		cmocka_unit_test(test_the_model_says_what_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
