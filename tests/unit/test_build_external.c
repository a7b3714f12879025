#include "build/external.h"
#include "scratch.h"

/* Protobuf by hand: a delimited field around bytes. */
static void field(struct buf *out, int number, struct str content) {
	buf_char(out, (char) (number << 3 | 2));
	assert_true(content.len < 128 || content.len < 16384);
	if (content.len < 128)
		buf_char(out, (char) content.len);
	else {
		buf_char(out, (char) ((content.len & 127) | 128));
		buf_char(out, (char) (content.len >> 7));
	}
	buf_str(out, content);
}

static void tensor(struct buf *out, int number, const char *location) {
	AUTO_BUF struct buf entry = BUF(9000), other = BUF(100), inner = BUF(9000);
	field(&other, 1, STR("offset"));
	field(&other, 2, STR("4096"));
	field(&entry, 1, STR("location"));
	field(&entry, 2, str_of(location));
	field(&inner, 9, STR("raw bytes"));
	field(&inner, 13, buf_view(&entry));
	field(&inner, 13, buf_view(&other));
	field(out, number, buf_view(&inner));
}

static int list(struct str model, struct texts *out, struct err *err) {
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_write(folder, "m.onnx", model.ptr, model.len);
	AUTO_FREE char *path = fs_join(folder, "m.onnx");
	return external_list(path, "m.onnx", out, err);
}

static void every_place_of_a_tensor(void **state) {
	(void) state;
	AUTO_BUF struct buf graph = BUF(9000), node = BUF(9000), attribute = BUF(9000), inner = BUF(9000), model = BUF(9000),
			    numbers = BUF(9000), wrapped = BUF(9000);
	tensor(&graph, 5, "weights.bin");
	tensor(&graph, 5, "weights.bin");
	tensor(&graph, 5, "./sub/more.bin");
	tensor(&attribute, 5, "constant.bin");
	tensor(&inner, 5, "branch.bin");
	field(&attribute, 6, buf_view(&inner));
	field(&node, 5, buf_view(&attribute));
	/* Numbers of an attribute are not looked into: what looks like a tensor behind them is none. */
	field(&numbers, 7, STR("0123"));
	tensor(&numbers, 5, "/not/read");
	field(&node, 5, buf_view(&numbers));
	field(&graph, 1, buf_view(&node));
	field(&graph, 2, STR("the graph's name"));
	buf_add(&model, "\010\007", 2);
	field(&model, 7, buf_view(&graph));
	struct err err = {0};
	AUTO_TEXTS struct texts found = {0};
	if (list(buf_view(&model), &found, &err) != 0)
		fail_msg("%s", err.message);
	static const char *const want[] = {"weights.bin", "sub/more.bin", "constant.bin", "branch.bin"};
	assert_int_equal(found.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(found.items[i], want[i]);
}

static void expect_refused(struct str model, enum err_code code) {
	struct err err = {0};
	AUTO_TEXTS struct texts found = {0};
	assert_int_equal(list(model, &found, &err), -1);
	assert_int_equal(err.code, code);
}

static void refusals(void **state) {
	(void) state;
	expect_refused(STR("\072\377\377\377\377\377\377\377\377\377\377\377"), ERR_INVALID); /* a length without an end */
	expect_refused(STR("\072\005ab"), ERR_INVALID);
	expect_refused(STR("\073"), ERR_INVALID); /* groups do not exist in proto3 */
	expect_refused(STR("\010"), ERR_INVALID);
	expect_refused(STR("\015\001\002"), ERR_INVALID);
	static const char *const away[] = {"/etc/passwd", "../w.bin", "a/../../w.bin", ".."};
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		AUTO_BUF struct buf graph = BUF(9000), model = BUF(9000);
		tensor(&graph, 5, away[i]);
		field(&model, 7, buf_view(&graph));
		expect_refused(buf_view(&model), ERR_INVALID);
	}
	/* graph in attribute in node in graph ... */
	AUTO_BUF struct buf deep = BUF(100000);
	for (int i = 0; i < 3 * EXTERNAL_DEPTH_MAX; i++) {
		AUTO_BUF struct buf around = BUF(100000);
		field(&around, i % 3 == 0 ? 6 : i % 3 == 1 ? 5 : 1, buf_view(&deep));
		buf_reset(&deep);
		buf_str(&deep, buf_view(&around));
	}
	AUTO_BUF struct buf model = BUF(100000);
	field(&model, 7, buf_view(&deep));
	struct err err = {0};
	AUTO_TEXTS struct texts found = {0};
	assert_int_equal(list(buf_view(&model), &found, &err), 0); /* as deep as it may be */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_of_a_tensor),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests_name("build_external", tests, NULL, NULL);
}
