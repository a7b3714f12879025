/* Every model that is beside the project, and our own small ones, must answer as ONNX Runtime did (NAME.io.json: in0__INPUT, out0__OUTPUT of
 * one row, in1__ and out1__ of a batch): labels exactly, numbers within 1e-5 absolute or relative. */
#include "data/value.h"
#include "os/fs.h"
#include "runner/model/model.h"
#include "runner/ops/ops.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>

#define FILE_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define TOLERANCE 1e-5

static int tests, failures;

static void report(bool is_ok, const char *name, const char *why) {
	printf("%sok %d - %s\n", is_ok ? "" : "not ", ++tests, name);
	if (!is_ok) {
		printf("# %s\n", why);
		failures++;
	}
}

static int shape_of(const struct value *v, struct shape *shape) {
	*shape = (struct shape) {0};
	for (; v && v->kind == VALUE_ARRAY && shape->rank < TENSOR_RANK_MAX; v = v->first)
		shape->dims[shape->rank++] = (int64_t) v->count;
	return shape_count(shape) < 0 ? -1 : 0;
}

/* The leaves of nested lists, from the first to the last. */
static const struct value *leaf_at(const struct value *v, const struct shape *shape, int64_t index) {
	int64_t size = shape_count(shape);
	for (int dim = 0; dim < shape->rank && v; dim++) {
		size /= shape->dims[dim];
		v = value_at(v, (size_t) (index / size));
		index %= size;
	}
	return v;
}

/* Python writes NaN; the files here say it as null or as the text "nan". */
static double number_of(const struct value *v) {
	double number = NAN;
	if (v->kind == VALUE_BOOL)
		return v->boolean;
	if (v->kind == VALUE_NUMBER && num_double(v->text, &number) != 0)
		return NAN;
	if (v->kind == VALUE_STRING && str_is(v->text, "inf"))
		return INFINITY;
	if (v->kind == VALUE_STRING && str_is(v->text, "-inf"))
		return -INFINITY;
	return number;
}

static int64_t integer_of(const struct value *v) {
	int64_t integer = 0;
	return num_int(v->text, INT64_MIN, INT64_MAX, &integer) == 0 ? integer : (int64_t) number_of(v);
}

static void put(struct tensor *tensor, int64_t i, const struct value *v) {
	switch (tensor->dtype) {
	case DTYPE_FLOAT: ((float *) tensor->data)[i] = (float) number_of(v); break;
	case DTYPE_DOUBLE: ((double *) tensor->data)[i] = number_of(v); break;
	case DTYPE_INT64: ((int64_t *) tensor->data)[i] = integer_of(v); break;
	case DTYPE_INT32: ((int32_t *) tensor->data)[i] = (int32_t) integer_of(v); break;
	case DTYPE_INT8: ((int8_t *) tensor->data)[i] = (int8_t) integer_of(v); break;
	case DTYPE_UINT8: ((uint8_t *) tensor->data)[i] = (uint8_t) integer_of(v); break;
	case DTYPE_BOOL: ((uint8_t *) tensor->data)[i] = v->boolean; break;
	default: ((struct str *) tensor->data)[i] = v->text; break;
	}
}

static bool is_close(double got, double expected) {
	if (isnan(got) || isnan(expected) || isinf(got) || isinf(expected))
		return (isnan(got) && isnan(expected)) || memcmp(&got, &expected, sizeof(got)) == 0;
	double difference = fabs(got - expected);
	return difference <= TOLERANCE || difference <= TOLERANCE * fabs(expected);
}

static bool is_same(const struct tensor *tensor, int64_t i, const struct value *v) {
	switch (tensor->dtype) {
	case DTYPE_FLOAT: return is_close((double) ((const float *) tensor->data)[i], number_of(v));
	case DTYPE_DOUBLE: return is_close(((const double *) tensor->data)[i], number_of(v));
	case DTYPE_INT64: return ((const int64_t *) tensor->data)[i] == integer_of(v);
	case DTYPE_INT32: return ((const int32_t *) tensor->data)[i] == (int32_t) integer_of(v);
	case DTYPE_INT8: return ((const int8_t *) tensor->data)[i] == (int8_t) integer_of(v);
	case DTYPE_UINT8: return ((const uint8_t *) tensor->data)[i] == (uint8_t) integer_of(v);
	case DTYPE_BOOL: return v->kind == VALUE_BOOL && ((const uint8_t *) tensor->data)[i] == v->boolean;
	case DTYPE_STRING: return str_equal(((const struct str *) tensor->data)[i], v->text);
	default: return false;
	}
}

/* ZipMap's answer is kept as one JSON text per row: {"0": 0.98, ...}. */
static int check_maps(const struct port *port, const struct tensor *got, const struct value *expected, struct err *err) {
	int64_t columns = got->shape.dims[1];
	for (int64_t row = 0; row < got->shape.dims[0]; row++) {
		AUTO_DOCUMENT struct document *map = NULL;
		const struct value *text = value_at(expected, (size_t) row);
		if (!text || json_read("map", text->text, VALUE_LIMITS_WIRE, &map, err) != 0)
			return -1;
		for (int64_t i = 0; i < columns; i++) {
			char key[64];
			if (port->keys.dtype == DTYPE_INT64)
				snprintf(key, sizeof(key), "%lld", (long long) ((const int64_t *) port->keys.data)[i]);
			else
				snprintf(key, sizeof(key), "%.*s", STR_ARGS(((const struct str *) port->keys.data)[i]));
			const struct value *probability = value_get(map->root, key);
			if (!probability || !is_close((double) ((const float *) got->data)[row * columns + i], number_of(probability)))
				return err_set(err, ERR_INVALID, "%s: row %lld, key %s differs", port->name, (long long) row, key);
		}
	}
	return 0;
}

static int check_output(const struct port *port, const struct tensor *got, const struct value *expected, struct err *err) {
	struct shape shape;
	char text[160], wanted[160];
	if (!expected)
		return err_set(err, ERR_INVALID, "%s: no expected value", port->name);
	if (port->is_map_list)
		return check_maps(port, got, expected, err);
	shape_of(expected, &shape);
	int64_t count = shape_count(&shape);
	bool is_same_shape = shape.rank == got->shape.rank && memcmp(shape.dims, got->shape.dims, (size_t) shape.rank * sizeof(int64_t)) == 0;
	if (count != shape_count(&got->shape) || (count > 0 && !is_same_shape))
		return err_set(err, ERR_INVALID, "%s: shape %s, expected %s", port->name, op_shape_text(&got->shape, text), op_shape_text(&shape, wanted));
	if (got->dtype != port->dtype)
		return err_set(err, ERR_INVALID, "%s: %s comes out, %s was said", port->name, dtype_name(got->dtype), dtype_name(port->dtype));
	for (int64_t i = 0; i < count; i++) {
		const struct value *v = leaf_at(expected, &shape, i);
		if (is_same(got, i, v))
			continue;
		double number = got->dtype == DTYPE_FLOAT ? (double) ((const float *) got->data)[i] : got->dtype == DTYPE_INT64 ? (double) ((const int64_t *) got->data)[i] : 0;
		return err_set(err, ERR_INVALID, "%s: element %lld is %.9g, expected %.*s", port->name, (long long) i, number, STR_ARGS(v->text));
	}
	return 0;
}

static int check_case(const struct model *model, struct run *run, const struct value *io, const char *in, const char *out, struct err *err) {
	const struct port *ports;
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	struct arena memory = {0};
	char key[512];
	size_t count = model_inputs(model, &ports);
	for (size_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "%s%s", in, ports[i].name);
		const struct value *v = value_get(io, key);
		if (!v)
			return err_set(err, ERR_INVALID, "no %s", key);
		inputs[i] = (struct tensor) {.dtype = ports[i].dtype};
		shape_of(v, &inputs[i].shape);
		int64_t elements = shape_count(&inputs[i].shape);
		inputs[i].data = arena_alloc(&memory, (size_t) elements * dtype_size(ports[i].dtype));
		for (int64_t j = 0; j < elements; j++)
			put(&inputs[i], j, leaf_at(v, &inputs[i].shape, j));
	}
	int rc = model_run(model, run, inputs, ~UINT64_C(0), outputs, err);
	count = model_outputs(model, &ports);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		snprintf(key, sizeof(key), "%s%s", out, ports[i].name);
		rc = check_output(&ports[i], &outputs[i], value_get(io, key), err);
	}
	arena_clear(&memory);
	return rc;
}

static int check_model(const char *folder, const char *stem, struct err *err) {
	AUTO_FREE char *path = mem_format("%s/%s.onnx", folder, stem), *io_path = mem_format("%s/%s.io.json", folder, stem), *text = NULL;
	AUTO_DOCUMENT struct document *io = NULL;
	struct model *model = NULL;
	size_t len;
	if (fs_read(io_path, FILE_BYTES_MAX, &text, &len, err) != 0 || json_read(io_path, (struct str) {text, len}, VALUE_LIMITS_WIRE, &io, err) != 0 ||
		model_load(path, NULL, &ops_all, &model, err) != 0)
		return -1;
	struct run *run = run_new(model);
	int rc = check_case(model, run, io->root, "in0__", "out0__", err);
	if (rc == 0) {
		const struct port *ports;
		char key[512];
		model_inputs(model, &ports);
		snprintf(key, sizeof(key), "in1__%s", ports[0].name);
		if (value_get(io->root, key))
			rc = check_case(model, run, io->root, "in1__", "out1__", err);
	}
	run_free(run);
	model_free(model);
	return rc;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int check_folder(const char *folder) {
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, by_name), found = 0;
	for (int i = 0; i < count; i++) {
		struct str name = str_of(entries[i]->d_name);
		if (str_ends(name, ".io.json")) {
			AUTO_FREE char *stem = mem_text_n(name.ptr, name.len - strlen(".io.json"));
			AUTO_FREE char *title = mem_format("%s answers as ONNX Runtime does", stem);
			struct err err = {0};
			int rc = check_model(folder, stem, &err);
			report(rc == 0, title, err.message);
			found++;
		}
		free(entries[i]);
	}
	free(entries);
	return found;
}

int main(void) {
	const char *shared = getenv("SHARED"), *root = getenv("ROOT");
	AUTO_FREE char *theirs = mem_format("%s/models", shared && *shared ? shared : "../shared"), *ours = mem_format("%s/tests/models", root && *root ? root : ".");
	if (check_folder(ours) == 0)
		report(false, "the project's own models", "tests/models is missing");
	if (check_folder(theirs) == 0)
		printf("ok %d - the shared models # SKIP not beside the project: set SHARED\n", ++tests);
	printf("1..%d\n", tests);
	return failures != 0;
}
