#include "runner/model/op.h"

#include "base/num.h"

#include <stdio.h>

static struct attribute *find(const struct op_load *load, const char *name) {
	for (size_t i = 0; i < load->node->attributes_count; i++)
		if (str_is(load->node->attributes[i].name, name))
			return &load->node->attributes[i];
	return NULL;
}

/* NULL when it is not there; *rc is -1 when it is of another kind. */
static const struct attribute *of_kind(struct op_load *load, const char *name, enum attribute_kind kind, const char *what, int *rc, struct err *err) {
	struct attribute *attribute = find(load, name);
	*rc = 0;
	if (!attribute)
		return NULL;
	attribute->is_read = true;
	if (attribute->kind != kind)
		*rc = err_set(err, ERR_INVALID, "attribute %s is not %s", name, what);
	return attribute->kind == kind ? attribute : NULL;
}

int op_opt_int(struct op_load *load, const char *name, int64_t fallback, int64_t *out, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_INT, "an integer", &rc, err);
	if (rc == 0)
		*out = attribute ? attribute->integer : fallback;
	return rc;
}

int op_opt_float(struct op_load *load, const char *name, float fallback, float *out, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_FLOAT, "a float", &rc, err);
	if (rc == 0)
		*out = attribute ? attribute->number : fallback;
	return rc;
}

int op_opt_text(struct op_load *load, const char *name, struct str fallback, struct str *out, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_TEXT, "a string", &rc, err);
	if (rc == 0)
		*out = attribute ? attribute->text : fallback;
	return rc;
}

int op_opt_ints(struct op_load *load, const char *name, const int64_t **out, size_t *count, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_INTS, "a list of integers", &rc, err);
	*out = attribute ? attribute->integers : NULL;
	*count = attribute ? attribute->count : 0;
	return rc;
}

int op_opt_floats(struct op_load *load, const char *name, const float **out, size_t *count, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_FLOATS, "a list of floats", &rc, err);
	*out = attribute ? attribute->numbers : NULL;
	*count = attribute ? attribute->count : 0;
	return rc;
}

int op_opt_texts(struct op_load *load, const char *name, const struct str **out, size_t *count, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_TEXTS, "a list of strings", &rc, err);
	*out = attribute ? attribute->texts : NULL;
	*count = attribute ? attribute->count : 0;
	return rc;
}

int op_opt_tensor(struct op_load *load, const char *name, const struct tensor **out, struct err *err) {
	int rc;
	const struct attribute *attribute = of_kind(load, name, ATTRIBUTE_TENSOR, "a tensor", &rc, err);
	*out = attribute ? &attribute->tensor : NULL;
	return rc;
}

bool op_has(const struct op_load *load, const char *name) {
	return find(load, name) != NULL;
}

void op_ignore(struct op_load *load, const char *name) {
	struct attribute *attribute = find(load, name);
	if (attribute)
		attribute->is_read = true;
}

int op_opt_word(struct op_load *load, const char *name, const char *const *words, size_t count, size_t fallback, size_t *out, struct err *err) {
	struct str text;
	if (op_opt_text(load, name, (struct str) {0}, &text, err) != 0)
		return -1;
	if (!text.ptr) {
		*out = fallback;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (str_is(text, words[i])) {
			*out = i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "attribute %s is '%.*s', which is not supported", name, (int) (text.len < 64 ? text.len : 64), text.ptr);
}

void *op_allocate(struct op_load *load, size_t count, size_t size, struct err *err) {
	size_t bytes;
	void *p = num_mul(count ? count : 1, size, &bytes) ? NULL : arena_alloc(load->memory, bytes);
	if (!p)
		err_set(err, ERR_LIMIT, "the model needs more memory to load than its limit of %zu MB", load->memory->bytes_max >> 20);
	return p;
}

int op_keep(struct op_load *load, const void *from, size_t count, size_t size, void *out_pointer, struct err *err) {
	void *copy = op_allocate(load, count, size, err);
	if (!copy)
		return -1;
	if (count)
		memcpy(copy, from, count * size);
	memcpy(out_pointer, &copy, sizeof(copy));
	return 0;
}

int op_keep_texts(struct op_load *load, const struct str *from, size_t count, const struct str **out, struct err *err) {
	struct str *texts = op_allocate(load, count, sizeof(*texts), err);
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += from[i].len;
	char *copy = texts ? op_allocate(load, bytes, 1, err) : NULL;
	if (!copy)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (from[i].len)
			memcpy(copy, from[i].ptr, from[i].len);
		texts[i] = (struct str) {copy, from[i].len};
		copy += from[i].len;
	}
	*out = texts;
	return 0;
}

int op_need_dtype(const struct op_load *load, size_t index, unsigned mask, struct err *err) {
	enum dtype dtype = load->inputs[index].dtype;
	if (dtype == DTYPE_NONE)
		return err_set(err, ERR_INVALID, "its input %zu is missing", index);
	if (mask >> dtype & 1)
		return 0;
	return err_set(err, ERR_INVALID, "its input %zu (%.*s) is %s, which is not supported here", index, STR_ARGS(load->node->inputs[index]),
		dtype_name(dtype));
}

int op_output(const struct op_call *call, size_t index, enum dtype dtype, const struct shape *shape, struct err *err) {
	struct tensor *tensor = &call->outputs[index];
	*tensor = (struct tensor) {.dtype = dtype, .shape = *shape};
	int64_t count = shape_count(shape), bytes;
	char text[160];
	if (count < 0 || num_mul(count, (int64_t) dtype_size(dtype), &bytes) || bytes > TENSOR_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "an output of shape %s is larger than 2 GB", op_shape_text(shape, text));
	tensor->data = scratch_alloc(call->memory, (size_t) bytes);
	if (!tensor->data)
		return err_set(err, ERR_LIMIT, "the answer needs more memory than a run may take, %zu MB: send fewer rows", call->memory->bytes_max >> 20);
	return 0;
}

void *op_scratch(const struct op_call *call, int64_t count, size_t size, struct err *err) {
	void *p = scratch_array(call->memory, count, size);
	if (!p)
		err_set(err, ERR_LIMIT, "the answer needs more memory than a run may take, %zu MB: send fewer rows", call->memory->bytes_max >> 20);
	return p;
}

void op_alias(const struct op_call *call, size_t index, const struct tensor *from, const struct shape *shape) {
	call->outputs[index] = (struct tensor) {.dtype = from->dtype, .shape = *shape, .data = from->data};
}

int op_axis(int64_t axis, int rank, int *out, struct err *err) {
	if (axis < -rank || axis >= rank)
		return err_set(err, ERR_INVALID, "axis %lld is outside a tensor of %d dimensions", (long long) axis, rank);
	*out = (int) (axis < 0 ? axis + rank : axis);
	return 0;
}

const char *op_shape_text(const struct shape *shape, char out[160]) {
	size_t used = 0;
	out[used++] = '[';
	for (int i = 0; i < shape->rank && used < 130; i++) {
		const char *comma = i ? ", " : "";
		if (shape->dims[i] < 0)
			used += (size_t) snprintf(out + used, 160 - used, "%sn", comma);
		else
			used += (size_t) snprintf(out + used, 160 - used, "%s%lld", comma, (long long) shape->dims[i]);
	}
	snprintf(out + used, 160 - used, "]");
	return out;
}

int op_rows(const struct tensor *x, int64_t *rows, int64_t *columns, struct err *err) {
	char text[160];
	if (x->shape.rank != 1 && x->shape.rank != 2)
		return err_set(err, ERR_INVALID, "its input has the shape %s, it takes [rows, columns]", op_shape_text(&x->shape, text));
	*rows = x->shape.rank == 1 ? 1 : x->shape.dims[0];
	*columns = x->shape.dims[x->shape.rank - 1];
	return 0;
}

const float *op_as_floats(const struct op_call *call, const struct tensor *x, struct err *err) {
	if (x->dtype == DTYPE_FLOAT)
		return x->data;
	int64_t count = shape_count(&x->shape);
	float *out = op_scratch(call, count, sizeof(float), err);
	if (!out)
		return NULL;
	for (int64_t i = 0; i < count; i++) {
		switch (x->dtype) {
		case DTYPE_DOUBLE: out[i] = (float) ((const double *) x->data)[i]; break;
		case DTYPE_INT64: out[i] = (float) ((const int64_t *) x->data)[i]; break;
		case DTYPE_INT32: out[i] = (float) ((const int32_t *) x->data)[i]; break;
		case DTYPE_INT8: out[i] = (float) ((const int8_t *) x->data)[i]; break;
		case DTYPE_UINT8:
		case DTYPE_BOOL: out[i] = (float) ((const uint8_t *) x->data)[i]; break;
		default: out[i] = 0; break;
		}
	}
	return out;
}
