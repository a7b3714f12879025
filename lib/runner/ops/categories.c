/* ai.onnx.ml, categories: OneHotEncoder, LabelEncoder, ZipMap. */
#include "runner/ops/kernels.h"

#include "base/num.h"
#include "runner/model/lookup.h"
#include "runner/ops/labels.h"

#include <math.h>
#include <stdio.h>

struct one_hot {
	struct labels categories;
	struct lookup index;
	bool is_unknown_zero;
};

int infer_one_hot(struct op_load *load, struct err *err) {
	struct one_hot *state = op_allocate(load, 1, sizeof(*state), err);
	int64_t zeros;
	if (!state || labels_read(load, "cats_int64s", "cats_strings", &state->categories, err) != 0 || op_opt_int(load, "zeros", 1, &zeros, err) != 0)
		return -1;
	struct labels *categories = &state->categories;
	if (categories->count == 0)
		return err_set(err, ERR_INVALID, "it has no categories");
	if (op_need_dtype(load, 0, categories->is_text ? OP_TEXT : OP_NUMBERS, err) != 0)
		return -1;
	int rc = categories->is_text ? lookup_texts(&state->index, categories->texts, categories->count, load->memory, NULL)
				     : lookup_ints(&state->index, categories->ints, categories->count, load->memory, NULL);
	if (rc != 0)
		return err_set(err, ERR_LIMIT, "%zu categories are too many", categories->count);
	state->is_unknown_zero = zeros != 0;
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return 0;
}

/* A number as a category: its whole part. */
static int64_t whole(double value) {
	return value > -9.2e18 && value < 9.2e18 ? (int64_t) value : INT64_MIN;
}

static int64_t category_of(const struct one_hot *state, const struct tensor *x, int64_t i) {
	switch (x->dtype) {
	case DTYPE_STRING: return lookup_text(&state->index, ((const struct str *) x->data)[i]);
	case DTYPE_INT64: return lookup_int(&state->index, ((const int64_t *) x->data)[i]);
	case DTYPE_INT32: return lookup_int(&state->index, ((const int32_t *) x->data)[i]);
	case DTYPE_FLOAT: return lookup_int(&state->index, whole((double) ((const float *) x->data)[i]));
	default: return lookup_int(&state->index, whole(((const double *) x->data)[i]));
	}
}

int run_one_hot(const struct op_call *call, struct err *err) {
	const struct one_hot *state = call->state;
	const struct tensor *x = call->inputs[0];
	struct shape shape = x->shape;
	int64_t categories = (int64_t) state->categories.count, count = shape_count(&shape);
	if (shape.rank == TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "its input has too many dimensions");
	shape.dims[shape.rank++] = categories;
	if (op_output(call, 0, DTYPE_FLOAT, &shape, err) != 0)
		return -1;
	float *out = call->outputs[0].data;
	memset(out, 0, (size_t) (count * categories) * sizeof(*out));
	for (int64_t i = 0; i < count; i++) {
		int64_t category = category_of(state, x, i);
		if (category >= 0)
			out[i * categories + category] = 1;
		else if (!state->is_unknown_zero && !call->is_trial)
			return err_set(err, ERR_INVALID, "value %lld is none of the %lld categories that the model knows", (long long) i + 1,
				(long long) categories);
	}
	return 0;
}

/* LabelEncoder: keys of one type, values of another. A float key is found by its bits, so that NaN is a key and -0 is 0. */
struct label_encoder {
	enum dtype from, to;
	bool is_nan_a_key; /* since version 4 */
	struct lookup index;
	size_t count;
	const void *values; /* of dtype `to` */
	union {
		struct str text;
		int64_t integer;
		float number;
		double real;
	} fallback;
};

static int64_t bits_of(double value) {
	int64_t bits = INT64_MIN + 1; /* any NaN is the same key */
	value = value + 0.0;          /* -0 becomes 0 */
	if (!isnan(value))
		memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* A list of one of the types, under four names. */
struct encoder_list {
	enum dtype dtype;
	size_t count;
	const void *data;
};

static int encoder_list(struct op_load *load, const char *ints, const char *texts, const char *floats, const char *tensor_name, struct encoder_list *out,
	struct err *err) {
	const int64_t *i;
	const struct str *t;
	const float *f;
	size_t ints_count, texts_count, floats_count;
	const struct tensor *tensor;
	if (op_opt_ints(load, ints, &i, &ints_count, err) != 0 || op_opt_texts(load, texts, &t, &texts_count, err) != 0 ||
		op_opt_floats(load, floats, &f, &floats_count, err) != 0 || op_opt_tensor(load, tensor_name, &tensor, err) != 0)
		return -1;
	if ((ints_count > 0) + (texts_count > 0) + (floats_count > 0) + (tensor != NULL) != 1)
		return err_set(err, ERR_INVALID, "exactly one of %s, %s, %s and %s is needed", ints, texts, floats, tensor_name);
	if (tensor)
		*out = (struct encoder_list) {tensor->dtype, (size_t) shape_count(&tensor->shape), tensor->data};
	else if (ints_count)
		*out = (struct encoder_list) {DTYPE_INT64, ints_count, i};
	else if (texts_count)
		*out = (struct encoder_list) {DTYPE_STRING, texts_count, t};
	else
		*out = (struct encoder_list) {DTYPE_FLOAT, floats_count, f};
	return 0;
}

static int index_keys(struct op_load *load, struct label_encoder *state, const struct encoder_list *keys, struct err *err) {
	int rc;
	state->from = keys->dtype;
	if (keys->dtype == DTYPE_STRING) {
		const struct str *texts;
		if (op_keep_texts(load, keys->data, keys->count, &texts, err) != 0)
			return -1;
		rc = lookup_texts(&state->index, texts, keys->count, load->memory, NULL);
	} else {
		int64_t *ints = op_allocate(load, keys->count, sizeof(*ints), err);
		if (!ints)
			return -1;
		for (size_t i = 0; i < keys->count; i++)
			ints[i] = keys->dtype == DTYPE_INT64   ? ((const int64_t *) keys->data)[i]
				  : keys->dtype == DTYPE_FLOAT ? bits_of((double) ((const float *) keys->data)[i])
							       : bits_of(((const double *) keys->data)[i]);
		rc = lookup_ints(&state->index, ints, keys->count, load->memory, NULL);
	}
	return rc == 0 ? 0 : err_set(err, ERR_LIMIT, "%zu keys are too many", keys->count);
}

static int read_fallback(struct op_load *load, struct label_encoder *state, struct err *err) {
	const struct tensor *tensor;
	struct str text;
	int64_t integer;
	float number;
	const struct str *kept;
	if (op_opt_text(load, "default_string", STR("_Unused"), &text, err) != 0 || op_opt_int(load, "default_int64", -1, &integer, err) != 0 ||
		op_opt_float(load, "default_float", -0.0F, &number, err) != 0 || op_opt_tensor(load, "default_tensor", &tensor, err) != 0)
		return -1;
	if (tensor && (tensor->dtype != state->to || shape_count(&tensor->shape) != 1))
		return err_set(err, ERR_INVALID, "default_tensor is not one %s", dtype_name(state->to));
	switch (state->to) {
	case DTYPE_STRING:
		if (op_keep_texts(load, tensor ? tensor->data : &text, 1, &kept, err) != 0)
			return -1;
		state->fallback.text = kept[0];
		return 0;
	case DTYPE_INT64: state->fallback.integer = tensor ? *(const int64_t *) tensor->data : integer; return 0;
	case DTYPE_FLOAT: state->fallback.number = tensor ? *(const float *) tensor->data : number; return 0;
	default: state->fallback.real = tensor ? *(const double *) tensor->data : 0.0; return 0;
	}
}

int infer_label_encoder(struct op_load *load, struct err *err) {
	struct label_encoder *state = op_allocate(load, 1, sizeof(*state), err);
	struct encoder_list keys, values;
	if (!state || encoder_list(load, "keys_int64s", "keys_strings", "keys_floats", "keys_tensor", &keys, err) != 0 ||
		encoder_list(load, "values_int64s", "values_strings", "values_floats", "values_tensor", &values, err) != 0)
		return -1;
	unsigned known = 1U << DTYPE_INT64 | 1U << DTYPE_STRING | 1U << DTYPE_FLOAT | 1U << DTYPE_DOUBLE;
	if (keys.count != values.count || !(known >> keys.dtype & 1) || !(known >> values.dtype & 1))
		return err_set(err, ERR_INVALID, "it has %zu keys of %s and %zu values of %s", keys.count, dtype_name(keys.dtype), values.count,
			dtype_name(values.dtype));
	state->to = values.dtype;
	state->is_nan_a_key = load->opset >= 4;
	state->count = values.count;
	load->state = state;
	load->dtypes[0] = state->to;
	const struct str *texts;
	if (op_need_dtype(load, 0, 1U << keys.dtype, err) != 0 || index_keys(load, state, &keys, err) != 0 || read_fallback(load, state, err) != 0)
		return -1;
	if (state->to != DTYPE_STRING)
		return op_keep(load, values.data, values.count, dtype_size(state->to), &state->values, err);
	if (op_keep_texts(load, values.data, values.count, &texts, err) != 0)
		return -1;
	state->values = texts;
	return 0;
}

/* Version 1: class names from one list, in both directions. */
int infer_label_encoder_1(struct op_load *load, struct err *err) {
	struct label_encoder *state = op_allocate(load, 1, sizeof(*state), err);
	const struct str *texts;
	size_t count;
	if (!state || op_need_dtype(load, 0, OP_TEXT | 1U << DTYPE_INT64, err) != 0 || op_opt_texts(load, "classes_strings", &texts, &count, err) != 0 ||
		op_keep_texts(load, texts, count, &texts, err) != 0)
		return -1;
	int64_t *numbers = op_allocate(load, count, sizeof(*numbers), err);
	if (!numbers)
		return -1;
	for (size_t i = 0; i < count; i++)
		numbers[i] = (int64_t) i;
	bool is_text = load->inputs[0].dtype == DTYPE_STRING;
	struct encoder_list keys = {is_text ? DTYPE_STRING : DTYPE_INT64, count, is_text ? (const void *) texts : numbers};
	state->to = is_text ? DTYPE_INT64 : DTYPE_STRING;
	state->values = is_text ? (const void *) numbers : texts;
	state->count = count;
	load->state = state;
	load->dtypes[0] = state->to;
	return index_keys(load, state, &keys, err) != 0 || read_fallback(load, state, err) != 0 ? -1 : 0;
}

static int64_t key_of_number(const struct label_encoder *state, double number) {
	return isnan(number) && !state->is_nan_a_key ? -1 : lookup_int(&state->index, bits_of(number));
}

static int64_t key_of(const struct label_encoder *state, const struct tensor *x, int64_t i) {
	switch (state->from) {
	case DTYPE_STRING: return lookup_text(&state->index, ((const struct str *) x->data)[i]);
	case DTYPE_INT64: return lookup_int(&state->index, ((const int64_t *) x->data)[i]);
	case DTYPE_FLOAT: return key_of_number(state, (double) ((const float *) x->data)[i]);
	default: return key_of_number(state, ((const double *) x->data)[i]);
	}
}

int run_label_encoder(const struct op_call *call, struct err *err) {
	const struct label_encoder *state = call->state;
	const struct tensor *x = call->inputs[0];
	if (op_output(call, 0, state->to, &x->shape, err) != 0)
		return -1;
	size_t size = dtype_size(state->to);
	int64_t count = shape_count(&x->shape);
	for (int64_t i = 0; i < count; i++) {
		int64_t key = key_of(state, x, i);
		const char *value = key < 0 ? (const char *) &state->fallback : (const char *) state->values + (size_t) key * size;
		memcpy((char *) call->outputs[0].data + (size_t) i * size, value, size);
	}
	return 0;
}

int infer_zip_map(struct op_load *load, struct err *err) {
	struct labels *labels = op_allocate(load, 1, sizeof(*labels), err);
	if (!labels || op_need_dtype(load, 0, 1U << DTYPE_FLOAT, err) != 0 ||
		labels_read(load, "classlabels_int64s", "classlabels_strings", labels, err) != 0)
		return -1;
	if (labels->count == 0)
		return err_set(err, ERR_INVALID, "it has no class labels");
	load->state = labels;
	load->dtypes[0] = DTYPE_FLOAT;
	load->is_map_list = true;
	load->keys = (struct tensor) {.dtype = labels_dtype(labels), .shape = {.rank = 1, .dims = {(int64_t) labels->count}}};
	const void *data = labels->is_text ? (const void *) labels->texts : labels->ints;
	memcpy(&load->keys.data, &data, sizeof(data));
	return 0;
}

/* The maps stay a tensor; who writes the answer puts the keys to it. */
int run_zip_map(const struct op_call *call, struct err *err) {
	const struct labels *labels = call->state;
	int64_t rows, columns;
	if (op_rows(call->inputs[0], &rows, &columns, err) != 0)
		return -1;
	if (columns != (int64_t) labels->count)
		return err_set(err, ERR_INVALID, "its input has %lld columns, it has %zu labels", (long long) columns, labels->count);
	struct shape shape = {.rank = 2, .dims = {rows, columns}};
	op_alias(call, 0, call->inputs[0], &shape);
	return 0;
}
