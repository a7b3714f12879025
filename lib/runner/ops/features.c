/* ai.onnx.ml, numbers in and numbers out: Scaler, Imputer, Normalizer, Binarizer, FeatureVectorizer, ArrayFeatureExtractor. */
#include "runner/ops/kernels.h"

#include "base/num.h"

#include <float.h>
#include <math.h>

struct scaler {
	size_t count;
	const float *offset, *scale;
};

int infer_scaler(struct op_load *load, struct err *err) {
	const float *offset, *scale;
	size_t offsets, scales;
	struct scaler *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || op_opt_floats(load, "offset", &offset, &offsets, err) != 0 ||
		op_opt_floats(load, "scale", &scale, &scales, err) != 0)
		return -1;
	if (offsets == 0 || offsets != scales)
		return err_set(err, ERR_INVALID, "it has %zu offsets and %zu scales", offsets, scales);
	state->count = offsets;
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return op_keep(load, offset, offsets, sizeof(*offset), &state->offset, err) != 0 || op_keep(load, scale, scales, sizeof(*scale), &state->scale, err) != 0
		       ? -1
		       : 0;
}

/* One value for all columns, or one for each. */
static int check_columns(size_t count, int64_t columns, const char *what, struct err *err) {
	if (count == 1 || (int64_t) count == columns)
		return 0;
	return err_set(err, ERR_INVALID, "its input has %lld columns, it has %zu %s", (long long) columns, count, what);
}

static double number_at(const struct tensor *x, int64_t i) {
	switch (x->dtype) {
	case DTYPE_FLOAT: return (double) ((const float *) x->data)[i];
	case DTYPE_DOUBLE: return ((const double *) x->data)[i];
	case DTYPE_INT64: return (double) ((const int64_t *) x->data)[i];
	case DTYPE_INT32: return ((const int32_t *) x->data)[i];
	default: return 0;
	}
}

int run_scaler(const struct op_call *call, struct err *err) {
	const struct scaler *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t columns = x->shape.rank ? x->shape.dims[x->shape.rank - 1] : 1;
	if (check_columns(state->count, columns, "scales", err) != 0 || op_output(call, 0, DTYPE_FLOAT, &x->shape, err) != 0)
		return -1;
	float *out = call->outputs[0].data;
	int64_t count = shape_count(&x->shape);
	for (int64_t i = 0; i < count; i++) {
		size_t column = state->count == 1 ? 0 : (size_t) (i % columns);
		if (x->dtype == DTYPE_FLOAT)
			out[i] = (((const float *) x->data)[i] - state->offset[column]) * state->scale[column];
		else
			out[i] = (float) ((number_at(x, i) - (double) state->offset[column]) * (double) state->scale[column]);
	}
	return 0;
}

struct imputer {
	size_t count;
	const float *floats;
	const int64_t *ints;
	float missing;
	int64_t missing_int;
};

int infer_imputer(struct op_load *load, struct err *err) {
	struct imputer *state = op_allocate(load, 1, sizeof(*state), err);
	const float *floats;
	const int64_t *ints;
	size_t floats_count, ints_count;
	if (!state || op_need_dtype(load, 0, 1U << DTYPE_FLOAT | 1U << DTYPE_INT64, err) != 0 ||
		op_opt_floats(load, "imputed_value_floats", &floats, &floats_count, err) != 0 ||
		op_opt_ints(load, "imputed_value_int64s", &ints, &ints_count, err) != 0 ||
		op_opt_float(load, "replaced_value_float", 0, &state->missing, err) != 0 ||
		op_opt_int(load, "replaced_value_int64", 0, &state->missing_int, err) != 0)
		return -1;
	bool is_float = load->inputs[0].dtype == DTYPE_FLOAT;
	state->count = is_float ? floats_count : ints_count;
	if (state->count == 0)
		return err_set(err, ERR_INVALID, "it has no values to put in for %s", dtype_name(load->inputs[0].dtype));
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return is_float ? op_keep(load, floats, floats_count, sizeof(*floats), &state->floats, err)
			: op_keep(load, ints, ints_count, sizeof(*ints), &state->ints, err);
}

int run_imputer(const struct op_call *call, struct err *err) {
	const struct imputer *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t columns = x->shape.rank ? x->shape.dims[x->shape.rank - 1] : 1, count = shape_count(&x->shape);
	if (check_columns(state->count, columns, "values to put in", err) != 0 || op_output(call, 0, x->dtype, &x->shape, err) != 0)
		return -1;
	bool is_nan_missing = isnan(state->missing);
	for (int64_t i = 0; i < count; i++) {
		size_t column = state->count == 1 ? 0 : (size_t) (i % columns);
		if (x->dtype == DTYPE_INT64) {
			int64_t value = ((const int64_t *) x->data)[i];
			((int64_t *) call->outputs[0].data)[i] = value == state->missing_int ? state->ints[column] : value;
			continue;
		}
		float value = ((const float *) x->data)[i];
		bool is_missing = is_nan_missing ? isnan(value) : !(value < state->missing) && !(value > state->missing) && !isnan(value);
		((float *) call->outputs[0].data)[i] = is_missing ? state->floats[column] : value;
	}
	return 0;
}

enum norm { NORM_MAX, NORM_L1, NORM_L2 };
struct normalizer {
	size_t norm;
};

int infer_normalizer(struct op_load *load, struct err *err) {
	static const char *const words[] = {"MAX", "L1", "L2"};
	struct normalizer *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || op_opt_word(load, "norm", words, 3, NORM_MAX, &state->norm, err) != 0)
		return -1;
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return 0;
}

static void normalize(size_t norm, const float *x, float *out, int64_t count) {
	float total = norm == NORM_MAX ? -FLT_MAX : 0;
	for (int64_t i = 0; i < count; i++) {
		if (norm == NORM_MAX)
			total = x[i] > total ? x[i] : total;
		else
			total += norm == NORM_L1 ? fabsf(x[i]) : x[i] * x[i];
	}
	if (norm == NORM_L2)
		total = sqrtf(total);
	bool is_zero = !(total < 0) && !(total > 0) && !isnan(total);
	for (int64_t i = 0; i < count; i++)
		out[i] = is_zero ? x[i] : x[i] / total;
}

int run_normalizer(const struct op_call *call, struct err *err) {
	const struct normalizer *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t rows, columns;
	const float *values = op_as_floats(call, x, err);
	if (!values || op_rows(x, &rows, &columns, err) != 0 || op_output(call, 0, DTYPE_FLOAT, &x->shape, err) != 0)
		return -1;
	for (int64_t i = 0; i < rows; i++)
		normalize(state->norm, values + i * columns, (float *) call->outputs[0].data + i * columns, columns);
	return 0;
}

int infer_binarizer(struct op_load *load, struct err *err) {
	float *threshold = op_allocate(load, 1, sizeof(*threshold), err);
	if (!threshold || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || op_opt_float(load, "threshold", 0, threshold, err) != 0)
		return -1;
	load->state = threshold;
	load->dtypes[0] = DTYPE_FLOAT;
	return 0;
}

int run_binarizer(const struct op_call *call, struct err *err) {
	const float *threshold = call->state, *x = op_as_floats(call, call->inputs[0], err);
	if (!x || op_output(call, 0, DTYPE_FLOAT, &call->inputs[0]->shape, err) != 0)
		return -1;
	int64_t count = shape_count(&call->inputs[0]->shape);
	for (int64_t i = 0; i < count; i++)
		((float *) call->outputs[0].data)[i] = x[i] > *threshold ? 1 : 0;
	return 0;
}

struct vectorizer {
	size_t count;
	int64_t total;
	const int64_t *columns;
};

int infer_feature_vectorizer(struct op_load *load, struct err *err) {
	struct vectorizer *state = op_allocate(load, 1, sizeof(*state), err);
	const int64_t *columns;
	if (!state || op_opt_ints(load, "inputdimensions", &columns, &state->count, err) != 0)
		return -1;
	if (state->count != load->node->inputs_count)
		return err_set(err, ERR_INVALID, "it has %zu inputs and %zu inputdimensions", load->node->inputs_count, state->count);
	for (size_t i = 0; i < state->count; i++) {
		if (op_need_dtype(load, i, OP_NUMBERS, err) != 0)
			return -1;
		if (columns[i] < 0 || num_add(state->total, columns[i], &state->total) || state->total > TENSOR_BYTES_MAX)
			return err_set(err, ERR_INVALID, "inputdimensions: %lld is out of range", (long long) columns[i]);
	}
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return op_keep(load, columns, state->count, sizeof(*columns), &state->columns, err);
}

/* Each input takes as many columns as was said, cut off or filled with zeros. */
int run_feature_vectorizer(const struct op_call *call, struct err *err) {
	const struct vectorizer *state = call->state;
	int64_t rows, columns, offset = 0;
	if (op_rows(call->inputs[0], &rows, &columns, err) != 0)
		return -1;
	struct shape shape = {.rank = 2, .dims = {rows, state->total}};
	if (op_output(call, 0, DTYPE_FLOAT, &shape, err) != 0)
		return -1;
	float *out = call->outputs[0].data;
	for (size_t i = 0; i < state->count; i++) {
		int64_t own_rows;
		const float *x = op_as_floats(call, call->inputs[i], err);
		if (!x || op_rows(call->inputs[i], &own_rows, &columns, err) != 0)
			return -1;
		if (own_rows != rows)
			return err_set(err, ERR_INVALID, "its inputs have %lld and %lld rows", (long long) rows, (long long) own_rows);
		for (int64_t row = 0; row < rows; row++)
			for (int64_t c = 0; c < state->columns[i]; c++)
				out[row * state->total + offset + c] = c < columns ? x[row * columns + c] : 0;
		offset += state->columns[i];
	}
	return 0;
}

int infer_array_feature_extractor(struct op_load *load, struct err *err) {
	load->dtypes[0] = load->inputs[0].dtype;
	return op_need_dtype(load, 0, OP_NUMBERS | OP_TEXT, err) != 0 || op_need_dtype(load, 1, 1U << DTYPE_INT64, err) != 0 ? -1 : 0;
}

int run_array_feature_extractor(const struct op_call *call, struct err *err) {
	const struct tensor *x = call->inputs[0];
	const int64_t *indexes = call->inputs[1]->data;
	int64_t picked = shape_count(&call->inputs[1]->shape), count = shape_count(&x->shape);
	if (x->shape.rank == 0 || picked == 0)
		return err_set(err, ERR_INVALID, "it needs a tensor to pick from and at least one index");
	int64_t columns = x->shape.dims[x->shape.rank - 1];
	struct shape shape = x->shape;
	if (shape.rank == 1)
		shape = (struct shape) {.rank = 2, .dims = {1, picked}};
	else
		shape.dims[shape.rank - 1] = picked;
	if (op_output(call, 0, x->dtype, &shape, err) != 0)
		return -1;
	for (int64_t i = 0; i < picked; i++)
		if (indexes[i] < 0 || indexes[i] >= columns)
			return err_set(err, ERR_INVALID, "index %lld is outside of %lld columns", (long long) indexes[i], (long long) columns);
	size_t size = dtype_size(x->dtype);
	char *out = call->outputs[0].data;
	for (int64_t row = 0; columns && row < count / columns; row++)
		for (int64_t i = 0; i < picked; i++, out += size)
			memcpy(out, (const char *) x->data + (size_t) (row * columns + indexes[i]) * size, size);
	return 0;
}
