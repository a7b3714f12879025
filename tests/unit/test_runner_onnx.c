/* What the loader must refuse, and how it says so: damaged bytes, unknown operators and attributes, versions, trees that are no trees, external
 * data outside the folder. The models are written here, field by field, as onnx.proto3 numbers them. */
#include "os/fs.h"
#include "runner/model/model.h"
#include "runner/model/proto.h"
#include "runner/ops/ops.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES_MAX ((size_t) 1 << 20)

static void varint(struct buf *out, uint64_t value) {
	for (; value > 127; value >>= 7)
		buf_char(out, (char) (value | 0x80));
	buf_char(out, (char) value);
}
static void number(struct buf *out, unsigned field, uint64_t value) {
	varint(out, field << 3);
	varint(out, value);
}
static void text(struct buf *out, unsigned field, const char *value) {
	varint(out, field << 3 | 2);
	varint(out, strlen(value));
	buf_text(out, value);
}
/* The message is emptied: it may be used for the next. */
static void message(struct buf *out, unsigned field, struct buf *inner) {
	varint(out, field << 3 | 2);
	varint(out, inner->len);
	buf_str(out, buf_view(inner));
	buf_reset(inner);
}
static void real(struct buf *out, unsigned field, float value) {
	varint(out, field << 3 | 5);
	buf_add(out, &value, sizeof(value));
}

/* A tensor type of a port, float unless said otherwise, [rows, columns]. */
static void port(struct buf *graph, unsigned field, const char *name, uint64_t element_type, uint64_t columns) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX), b = BUF(BYTES_MAX), c = BUF(BYTES_MAX);
	text(&a, 2, "N");
	message(&b, 1, &a);
	number(&a, 1, columns);
	message(&b, 1, &a);
	number(&c, 1, element_type);
	message(&c, 2, &b);
	message(&a, 1, &c);
	text(&b, 1, name);
	message(&b, 2, &a);
	message(graph, field, &b);
}

/* Attributes, appended to a node. */
static void attribute_int(struct buf *node, const char *name, int64_t value) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX);
	text(&a, 1, name);
	number(&a, 3, (uint64_t) value);
	number(&a, 20, 2);
	message(node, 5, &a);
}
static void attribute_ints(struct buf *node, const char *name, size_t count, const int64_t *values) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX);
	text(&a, 1, name);
	for (size_t i = 0; i < count; i++)
		number(&a, 8, (uint64_t) values[i]);
	number(&a, 20, 7);
	message(node, 5, &a);
}
static void attribute_floats(struct buf *node, const char *name, size_t count, const float *values) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX);
	text(&a, 1, name);
	for (size_t i = 0; i < count; i++)
		real(&a, 7, values[i]);
	number(&a, 20, 6);
	message(node, 5, &a);
}
static void attribute_texts(struct buf *node, const char *name, size_t count, const char *const *values) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX);
	text(&a, 1, name);
	for (size_t i = 0; i < count; i++)
		text(&a, 9, values[i]);
	number(&a, 20, 8);
	message(node, 5, &a);
}

static void node_start(struct buf *node, const char *domain, const char *op, const char *input, const char *output) {
	text(node, 1, input);
	text(node, 2, output);
	text(node, 3, "the_node");
	text(node, 4, op);
	text(node, 7, domain);
}

static void opset(struct buf *model, const char *domain, uint64_t version) {
	AUTO_BUF struct buf a = BUF(BYTES_MAX);
	text(&a, 1, domain);
	number(&a, 2, version);
	message(model, 8, &a);
}

/* A model of one node from X [N, 2] to Y. */
static void whole(struct buf *model, struct buf *node, uint64_t version, uint64_t ml_version) {
	AUTO_BUF struct buf graph = BUF(BYTES_MAX);
	message(&graph, 1, node);
	port(&graph, 11, "X", 1, 2);
	port(&graph, 12, "Y", 1, 2);
	number(model, 1, 8);
	if (version)
		opset(model, "", version);
	opset(model, "ai.onnx.ml", ml_version);
	message(model, 7, &graph);
}

static int load(const struct buf *bytes, struct model **model, struct err *err) {
	return model_load_bytes(buf_view(bytes), "test", &ops_all, model, err);
}

static void assert_refused(const struct buf *bytes, const char *why, const char *fix) {
	struct model *model = NULL;
	struct err err = {0};
	if (load(bytes, &model, &err) == 0)
		fail_msg("loaded, although: %s", why);
	if (!strstr(err.message, why))
		fail_msg("'%s' does not say '%s'", err.message, why);
	if (fix && !strstr(err.fix, fix))
		fail_msg("'%s' does not say '%s'", err.fix, fix);
	assert_null(model);
}

static void simple(struct buf *model, const char *domain, const char *op, const char *input, uint64_t version, uint64_t ml_version) {
	AUTO_BUF struct buf node = BUF(BYTES_MAX);
	node_start(&node, domain, op, input, "Y");
	whole(model, &node, version, ml_version);
}

static void test_a_simple_model_loads(void **state) {
	(void) state;
	AUTO_BUF struct buf bytes = BUF(BYTES_MAX);
	struct model *model;
	struct err err = {0};
	simple(&bytes, "", "Relu", "X", 17, 3);
	assert_int_equal(load(&bytes, &model, &err), 0);
	struct run *run = run_new(model);
	float x[] = {-1, 2};
	struct tensor input = {DTYPE_FLOAT, {2, {1, 2}}, x}, output;
	assert_int_equal(model_run(model, run, &input, ~UINT64_C(0), &output, &err), 0);
	assert_true(((float *) output.data)[0] <= 0 && ((float *) output.data)[1] >= 2);
	input.shape.dims[1] = 3;
	assert_int_equal(model_run(model, run, &input, ~UINT64_C(0), &output, &err), -1);
	assert_string_equal(err.message, "input X has the shape [1, 3], it takes [n, 2]");
	err_clear(&err);
	input.dtype = DTYPE_INT64;
	assert_int_equal(model_run(model, run, &input, ~UINT64_C(0), &output, &err), -1);
	assert_string_equal(err.message, "input X is int64, it takes float32");
	run_free(run);
	model_free(model);
}

static void test_what_is_not_supported_is_named(void **state) {
	(void) state;
	static const struct {
		const char *domain, *op, *input;
		uint64_t version, ml_version;
		const char *why, *fix;
	} cases[] = {
		{"", "Conv9", "X", 17, 3, "node 0 'the_node' (Conv9): the operator is not supported", "payload"},
		{"", "Gelu", "X", 20, 3, "Gelu", "payload"},
		{"", "Erf", "X", 8, 3, "the operator as of operator set '' version 8 is not supported", "target_opset=9"},
		{"", "Relu", "X", 99, 3, "version 99 is newer than this runner knows", "target_opset="},
		{"ai.onnx.ml", "Scaler", "X", 17, 77, "'ai.onnx.ml' version 77 is newer", "target_opset="},
		{"", "Relu", "X", 0, 3, "does not import the operator set ''", NULL},
		{"my.domain", "Relu", "X", 17, 3, "does not import the operator set 'my.domain'", NULL},
		{"", "Relu", "Z", 17, 3, "its input 'Z' is not made by anything before it", NULL},
		{"", "Relu", "Y", 17, 3, "its input 'Y' is not made by anything before it", NULL},
		{"", "Add", "X", 17, 3, "it has 1 inputs", NULL},
		{"", "Not", "X", 17, 3, "its input is float32", NULL},
		{"ai.onnx.ml", "Scaler", "X", 17, 3, "it has 0 offsets and 0 scales", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf bytes = BUF(BYTES_MAX);
		simple(&bytes, cases[i].domain, cases[i].op, cases[i].input, cases[i].version, cases[i].ml_version);
		assert_refused(&bytes, cases[i].why, cases[i].fix);
	}
}

static void test_attributes_that_nobody_asks_for_are_refused(void **state) {
	(void) state;
	AUTO_BUF struct buf bytes = BUF(BYTES_MAX), node = BUF(BYTES_MAX);
	node_start(&node, "", "Relu", "X", "Y");
	attribute_int(&node, "wobble", 3);
	whole(&bytes, &node, 17, 3);
	assert_refused(&bytes, "attribute wobble is not supported", NULL);
	buf_reset(&bytes);
	node_start(&node, "", "Softmax", "X", "Y");
	attribute_floats(&node, "axis", 1, (const float[]) {1});
	whole(&bytes, &node, 17, 3);
	assert_refused(&bytes, "attribute axis is not an integer", NULL);
	buf_reset(&bytes);
	node_start(&node, "", "Softmax", "X", "Y");
	attribute_int(&node, "axis", 2);
	whole(&bytes, &node, 17, 3);
	assert_refused(&bytes, "axis 2 is outside a tensor of 2 dimensions", NULL);
}

static void test_shapes_that_do_not_fit_are_refused_at_load(void **state) {
	(void) state;
	AUTO_BUF struct buf bytes = BUF(BYTES_MAX), node = BUF(BYTES_MAX);
	node_start(&node, "ai.onnx.ml", "Scaler", "X", "Y");
	attribute_floats(&node, "offset", 3, (const float[]) {1, 2, 3});
	attribute_floats(&node, "scale", 3, (const float[]) {1, 2, 3});
	whole(&bytes, &node, 17, 3);
	assert_refused(&bytes, "its input has 2 columns, it has 3 scales", NULL);
}

/* Every prefix and every changed byte of a model: refused or loaded, never a fault. */
static void test_cut_and_damaged_bytes_are_refused(void **state) {
	(void) state;
	AUTO_BUF struct buf bytes = BUF(BYTES_MAX), node = BUF(BYTES_MAX);
	node_start(&node, "ai.onnx.ml", "Scaler", "X", "Y");
	attribute_floats(&node, "offset", 2, (const float[]) {1, 2});
	attribute_floats(&node, "scale", 2, (const float[]) {1, 2});
	whole(&bytes, &node, 17, 3);
	struct model *model;
	struct err err = {0};
	assert_int_equal(load(&bytes, &model, &err), 0);
	model_free(model);
	for (size_t len = 0; len < bytes.len; len++) {
		AUTO_FREE char *copy = mem_copy(bytes.ptr, len);
		err_clear(&err);
		assert_int_equal(model_load_bytes((struct str) {copy, len}, "cut", &ops_all, &model, &err), -1);
		assert_int_not_equal(err.code, ERR_NONE);
	}
	for (size_t i = 0; i < bytes.len * 8; i++) {
		AUTO_FREE char *copy = mem_copy(bytes.ptr, bytes.len);
		copy[i / 8] = (char) (copy[i / 8] ^ 1 << i % 8);
		err_clear(&err);
		if (model_load_bytes((struct str) {copy, bytes.len}, "flipped", &ops_all, &model, &err) == 0)
			model_free(model);
		else
			assert_string_not_equal(err.message, "");
	}
}

struct tree {
	size_t nodes;
	int64_t trees[8], ids[8], features[8], yes[8], no[8];
	const char *modes[8];
	int64_t weight_tree, weight_node, weight_target;
};

static void tree_model(struct buf *bytes, const struct tree *tree) {
	AUTO_BUF struct buf node = BUF(BYTES_MAX);
	static const float values[8];
	node_start(&node, "ai.onnx.ml", "TreeEnsembleRegressor", "X", "Y");
	attribute_ints(&node, "nodes_treeids", tree->nodes, tree->trees);
	attribute_ints(&node, "nodes_nodeids", tree->nodes, tree->ids);
	attribute_ints(&node, "nodes_featureids", tree->nodes, tree->features);
	attribute_ints(&node, "nodes_truenodeids", tree->nodes, tree->yes);
	attribute_ints(&node, "nodes_falsenodeids", tree->nodes, tree->no);
	attribute_texts(&node, "nodes_modes", tree->nodes, tree->modes);
	attribute_floats(&node, "nodes_values", tree->nodes, values);
	attribute_ints(&node, "target_treeids", 1, &tree->weight_tree);
	attribute_ints(&node, "target_nodeids", 1, &tree->weight_node);
	attribute_ints(&node, "target_ids", 1, &tree->weight_target);
	attribute_floats(&node, "target_weights", 1, values);
	attribute_int(&node, "n_targets", 1);
	whole(bytes, &node, 17, 3);
}

#define BRANCH "BRANCH_LEQ"
#define LEAF "LEAF"

static void test_trees_are_verified_whole(void **state) {
	(void) state;
	static const struct {
		const char *why;
		struct tree tree;
	} cases[] = {
		{NULL, {3, {0, 0, 0}, {0, 1, 2}, {1, 0, 0}, {1, 0, 0}, {2, 0, 0}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{NULL, {3, {9, 9, 9}, {5, 7, 3}, {1, 0, 0}, {7, 0, 0}, {3, 0, 0}, {BRANCH, LEAF, LEAF}, 9, 3, 0}},
		{"a child of it is not in the tree", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {5}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"a child of it is not in the tree", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {-1}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"it has two parents", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {1}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"a second root", {4, {0, 0, 0, 0}, {0, 1, 2, 3}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF, LEAF}, 0, 1, 0}},
		{"its nodes are a circle", {4, {0, 0, 0, 0}, {0, 1, 2, 3}, {0}, {1, 0}, {2, 3}, {BRANCH, BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"cannot be reached",
			{7, {0, 0, 0, 0, 0, 0, 0}, {0, 1, 2, 3, 4, 5, 6}, {0}, {1, 0, 0, 4, 3}, {2, 0, 0, 5, 6}, {BRANCH, LEAF, LEAF, BRANCH, BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"its feature is out of range", {3, {0, 0, 0}, {0, 1, 2}, {-1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"its input has 2 columns, its trees ask for 3", {3, {0, 0, 0}, {0, 1, 2}, {2}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"it is there twice", {3, {0, 0, 0}, {0, 1, 1}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"its mode is none of", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {2}, {"BRANCH_UP", LEAF, LEAF}, 0, 1, 0}},
		{"its number is out of range", {3, {0, 0, 0}, {0, 1, -2}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 1, 0}},
		{"belongs to node 8 of tree 0", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 8, 0}},
		{"belongs to node 1 of tree 4", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 4, 1, 0}},
		{"weight 0 is for target 1 of 1", {3, {0, 0, 0}, {0, 1, 2}, {1}, {1}, {2}, {BRANCH, LEAF, LEAF}, 0, 1, 1}},
		{"0 nodes", {0, {0}, {0}, {0}, {0}, {0}, {NULL}, 0, 0, 0}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf bytes = BUF(BYTES_MAX);
		tree_model(&bytes, &cases[i].tree);
		if (cases[i].why) {
			assert_refused(&bytes, cases[i].why, NULL);
			continue;
		}
		struct model *model;
		struct err err = {0};
		if (load(&bytes, &model, &err) != 0)
			fail_msg("%s", err.message);
		model_free(model);
	}
}

/* Y = X + w, where w's data lies in the file `location`. */
static void external_model(struct buf *bytes, const char *location, const char *offset, const char *length) {
	AUTO_BUF struct buf graph = BUF(BYTES_MAX), a = BUF(BYTES_MAX), tensor = BUF(BYTES_MAX);
	text(&a, 1, "X");
	text(&a, 1, "w");
	text(&a, 2, "Y");
	text(&a, 4, "Add");
	message(&graph, 1, &a);
	const char *const entries[][2] = {{"location", location}, {"offset", offset}, {"length", length}};
	number(&tensor, 1, 2);
	number(&tensor, 2, 1);
	text(&tensor, 8, "w");
	for (size_t i = 0; i < 3; i++) {
		text(&a, 1, entries[i][0]);
		text(&a, 2, entries[i][1]);
		message(&tensor, 13, &a);
	}
	number(&tensor, 14, 1);
	message(&graph, 5, &tensor);
	port(&graph, 11, "X", 1, 2);
	port(&graph, 12, "Y", 1, 2);
	number(bytes, 1, 8);
	opset(bytes, "", 17);
	message(bytes, 7, &graph);
}

static int load_external(const char *folder, const char *location, const char *offset, const char *length, struct err *err) {
	AUTO_BUF struct buf bytes = BUF(BYTES_MAX);
	AUTO_FREE char *path = mem_format("%s/m/model.onnx", folder);
	struct model *model = NULL;
	external_model(&bytes, location, offset, length);
	assert_int_equal(fs_replace(path, bytes.ptr, bytes.len, 0600, err), 0);
	int rc = model_load(path, NULL, &ops_all, &model, err);
	if (rc == 0)
		assert_string_equal(model_name(model), "model");
	model_free(model);
	return rc;
}

static void test_external_data_comes_from_the_folder_only(void **state) {
	(void) state;
	char folder[] = "/tmp/onnx.XXXXXX";
	struct err err = {0};
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *inner = mem_format("%s/m", folder), *weights = mem_format("%s/m/w.bin", folder), *outside = mem_format("%s/w.bin", folder),
		       *link = mem_format("%s/m/link.bin", folder), *hard = mem_format("%s/m/hard.bin", folder), *other = mem_format("%s/m/other.bin", folder);
	assert_int_equal(fs_make_dirs(inner, 0700, &err), 0);
	assert_int_equal(fs_replace(weights, "abcdefghij", 10, 0600, &err), 0);
	assert_int_equal(fs_replace(outside, "abcdefghij", 10, 0600, &err), 0);
	assert_int_equal(fs_replace(other, "abcdefghij", 10, 0600, &err), 0);
	assert_int_equal(symlink("../w.bin", link), 0);
	assert_int_equal(symlink("w.bin", hard), 0);
	assert_int_equal(unlink(hard), 0);
	if (load_external(folder, "w.bin", "2", "8", &err) != 0)
		fail_msg("%s", err.message);
	static const struct {
		const char *location, *offset, *length, *why;
	} bad[] = {
		{"../w.bin", "0", "8", "external data"},
		{"/etc/passwd", "0", "8", "external data"},
		{"link.bin", "0", "8", "external data"},
		{"none.bin", "0", "8", "external data"},
		{"", "0", "8", "names no file"},
		{"w.bin", "3", "8", "ends before byte 11"},
		{"w.bin", "9223372036854775800", "8", "not a number"},
		{"w.bin", "-1", "8", "not a number"},
		{"w.bin", "0", "4", "has 4 bytes, its shape needs 8"},
		{".", "0", "8", "tensor w"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(load_external(folder, bad[i].location, bad[i].offset, bad[i].length, &err), -1);
		if (!strstr(err.message, bad[i].why))
			fail_msg("'%s' does not say '%s'", err.message, bad[i].why);
	}
	err_clear(&err);
	assert_int_equal(linkat(AT_FDCWD, other, AT_FDCWD, hard, 0), 0);
	assert_int_equal(load_external(folder, "hard.bin", "0", "8", &err), -1);
	assert_non_null(strstr(err.message, "not a plain file of its own"));
	err_clear(&err);
	assert_int_equal(fs_remove_tree(folder, &err), 0);
}

static void test_paths_that_are_no_model_are_refused(void **state) {
	(void) state;
	char folder[] = "/tmp/onnx.XXXXXX";
	struct err err = {0};
	struct model *model = NULL;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(model_load(folder, NULL, &ops_all, &model, &err), -1);
	assert_non_null(strstr(err.message, "holds no file ending in .onnx"));
	static const struct {
		const char *name, *why, *fix;
	} cases[] = {
		{"model.pkl", "pickles run any code", "skl2onnx"},
		{"model.ubj", "not an ONNX file", "onnxmltools"},
		{"empty.onnx", "is empty", ""},
		{"none.onnx", "No such file", ""},
		{"text.onnx", "not an ONNX model", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *path = fs_join(folder, cases[i].name);
		err_clear(&err);
		if (!str_starts(str_of(cases[i].name), "none"))
			assert_int_equal(fs_replace(path, "hello", i == 2 ? 0 : 5, 0600, &err), 0);
		assert_int_equal(model_load(path, NULL, &ops_all, &model, &err), -1);
		if (!strstr(err.message, cases[i].why) || !strstr(err.fix, cases[i].fix))
			fail_msg("%s: '%s' '%s'", cases[i].name, err.message, err.fix);
	}
	err_clear(&err);
	assert_int_equal(model_load(folder, NULL, &ops_all, &model, &err), -1);
	assert_non_null(strstr(err.message, "more than one"));
	err_clear(&err);
	assert_int_equal(fs_remove_tree(folder, &err), 0);
}

static void test_varints_have_an_end(void **state) {
	(void) state;
	uint64_t value;
	struct str most = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), more = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		   cut = STR("\xff\xff"), endless = STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
	assert_int_equal(proto_varint(&most, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(proto_varint(&more, &value), -1);
	assert_int_equal(proto_varint(&cut, &value), -1);
	assert_int_equal(proto_varint(&endless, &value), -1);
	struct proto_field field;
	struct str group = STR("\x0b\x0c"), zero = STR("\x00\x01"), longer = STR("\x0a\x05hi");
	assert_int_equal(proto_next(&group, &field), -1);
	assert_int_equal(proto_next(&zero, &field), -1);
	assert_int_equal(proto_next(&longer, &field), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_simple_model_loads),
		cmocka_unit_test(test_what_is_not_supported_is_named),
		cmocka_unit_test(test_attributes_that_nobody_asks_for_are_refused),
		cmocka_unit_test(test_shapes_that_do_not_fit_are_refused_at_load),
		cmocka_unit_test(test_cut_and_damaged_bytes_are_refused),
		cmocka_unit_test(test_trees_are_verified_whole),
		cmocka_unit_test(test_external_data_comes_from_the_folder_only),
		cmocka_unit_test(test_paths_that_are_no_model_are_refused),
		cmocka_unit_test(test_varints_have_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
