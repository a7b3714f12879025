/* What moves or renames elements without computing: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Shape, Constant, ConstantOfShape, Expand,
 * Concat, Transpose, Gather, Slice. */
#include "runner/ops/kernels.h"

#include "base/num.h"
#include "runner/ops/broadcast.h"

static int64_t product(const struct shape *shape, int from, int to) {
	int64_t total = 1;
	for (int dim = from; dim < to; dim++)
		total *= shape->dims[dim];
	return total;
}

int infer_same(struct op_load *load, struct err *err) {
	load->dtypes[0] = load->inputs[0].dtype;
	return op_need_dtype(load, 0, OP_ANY, err);
}

int infer_dropout(struct op_load *load, struct err *err) {
	op_ignore(load, "ratio"); /* at inference nothing is dropped */
	op_ignore(load, "seed");
	return infer_same(load, err);
}

int run_identity(const struct op_call *call, struct err *err) {
	(void) err;
	op_alias(call, 0, call->inputs[0], &call->inputs[0]->shape);
	return 0;
}

/* A 1-D int64 tensor of at most TENSOR_RANK_MAX entries: shapes, axes. */
static int list_of(const struct tensor *tensor, const int64_t **out, int *count, struct err *err) {
	int64_t n = shape_count(&tensor->shape);
	if (tensor->shape.rank > 1 || n > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "a list of dimensions has %lld entries, at most %d are supported", (long long) n, TENSOR_RANK_MAX);
	*out = tensor->data;
	*count = (int) n;
	return 0;
}

int infer_reshape(struct op_load *load, struct err *err) {
	int64_t *is_zero_kept = op_allocate(load, 1, sizeof(*is_zero_kept), err);
	if (!is_zero_kept || op_need_dtype(load, 1, 1U << DTYPE_INT64, err) != 0 ||
		(load->opset >= 14 && op_opt_int(load, "allowzero", 0, is_zero_kept, err) != 0))
		return -1;
	load->state = is_zero_kept;
	return infer_same(load, err);
}

int run_reshape(const struct op_call *call, struct err *err) {
	const int64_t *is_zero_kept = call->state, *wanted = NULL;
	const struct tensor *x = call->inputs[0];
	struct shape shape = {0};
	int free_dim = -1;
	char text[160];
	if (list_of(call->inputs[1], &wanted, &shape.rank, err) != 0)
		return -1;
	int64_t count = shape_count(&x->shape), known = 1;
	for (int i = 0; i < shape.rank; i++) {
		shape.dims[i] = wanted[i];
		if (wanted[i] == 0 && !*is_zero_kept)
			shape.dims[i] = i < x->shape.rank ? x->shape.dims[i] : -2;
		if (wanted[i] == -1 && free_dim < 0) {
			free_dim = i;
			continue;
		}
		if (shape.dims[i] < 0 || num_mul(known, shape.dims[i], &known))
			return err_set(err, ERR_INVALID, "%lld is not a size to reshape to", (long long) wanted[i]);
	}
	if (free_dim >= 0)
		shape.dims[free_dim] = known ? count / known : 0;
	if (shape_count(&shape) != count)
		return err_set(err, ERR_INVALID, "its input of shape %s does not fit the new shape", op_shape_text(&x->shape, text));
	op_alias(call, 0, x, &shape);
	return 0;
}

int infer_axis_1(struct op_load *load, struct err *err) {
	int64_t *axis = op_allocate(load, 1, sizeof(*axis), err);
	if (!axis || op_opt_int(load, "axis", 1, axis, err) != 0)
		return -1;
	load->state = axis;
	return infer_same(load, err);
}

int run_flatten(const struct op_call *call, struct err *err) {
	const int64_t *state = call->state;
	const struct shape *x = &call->inputs[0]->shape;
	int64_t axis = *state < 0 ? *state + x->rank : *state;
	if (axis < 0 || axis > x->rank)
		return err_set(err, ERR_INVALID, "axis %lld is outside a tensor of %d dimensions", (long long) *state, x->rank);
	struct shape shape = {.rank = 2, .dims = {product(x, 0, (int) axis), product(x, (int) axis, x->rank)}};
	op_alias(call, 0, call->inputs[0], &shape);
	return 0;
}

struct axes {
	size_t count;
	const int64_t *axes; /* from the attribute; an input of this name wins */
};

int infer_squeeze(struct op_load *load, struct err *err) {
	struct axes *state = op_allocate(load, 1, sizeof(*state), err);
	const int64_t *axes;
	if (!state)
		return -1;
	load->state = state;
	if (load->node->inputs_count > 1 && load->inputs[1].dtype && op_need_dtype(load, 1, 1U << DTYPE_INT64, err) != 0)
		return -1;
	if (load->opset < 13 && (op_opt_ints(load, "axes", &axes, &state->count, err) != 0 ||
					op_keep(load, axes, state->count, sizeof(*axes), &state->axes, err) != 0))
		return -1;
	return infer_same(load, err);
}

/* Marks the axes in `marks`; *has is false when none are given. */
static int mark_axes(const struct op_call *call, int rank, bool marks[TENSOR_RANK_MAX], bool *has, struct err *err) {
	const struct axes *state = call->state;
	const int64_t *axes = state->axes;
	int count = (int) state->count;
	if (call->inputs_count > 1 && call->inputs[1] && list_of(call->inputs[1], &axes, &count, err) != 0)
		return -1;
	*has = count > 0;
	for (int i = 0; i < count; i++) {
		int axis;
		if (rank > TENSOR_RANK_MAX || op_axis(axes[i], rank, &axis, err) != 0)
			return rank > TENSOR_RANK_MAX ? err_set(err, ERR_INVALID, "more than %d dimensions", TENSOR_RANK_MAX) : -1;
		if (marks[axis])
			return err_set(err, ERR_INVALID, "axis %d is given twice", axis);
		marks[axis] = true;
	}
	return 0;
}

int run_squeeze(const struct op_call *call, struct err *err) {
	const struct shape *x = &call->inputs[0]->shape;
	bool marks[TENSOR_RANK_MAX] = {0}, has;
	struct shape shape = {0};
	if (mark_axes(call, x->rank, marks, &has, err) != 0)
		return -1;
	for (int dim = 0; dim < x->rank; dim++) {
		if (has && marks[dim] && x->dims[dim] != 1)
			return err_set(err, ERR_INVALID, "dimension %d is %lld, only 1 can be taken out", dim, (long long) x->dims[dim]);
		if (has ? !marks[dim] : x->dims[dim] != 1)
			shape.dims[shape.rank++] = x->dims[dim];
	}
	op_alias(call, 0, call->inputs[0], &shape);
	return 0;
}

int run_unsqueeze(const struct op_call *call, struct err *err) {
	const struct axes *state = call->state;
	const struct shape *x = &call->inputs[0]->shape;
	bool marks[TENSOR_RANK_MAX] = {0}, has;
	int64_t added = call->inputs_count > 1 && call->inputs[1] ? shape_count(&call->inputs[1]->shape) : (int64_t) state->count;
	if (added + x->rank > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "more than %d dimensions", TENSOR_RANK_MAX);
	struct shape shape = {.rank = x->rank + (int) added};
	if (mark_axes(call, shape.rank, marks, &has, err) != 0)
		return -1;
	for (int dim = 0, from = 0; dim < shape.rank; dim++)
		shape.dims[dim] = marks[dim] ? 1 : x->dims[from++];
	op_alias(call, 0, call->inputs[0], &shape);
	return 0;
}

struct bounds {
	int64_t start, end;
};

int infer_shape(struct op_load *load, struct err *err) {
	struct bounds *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_opt_int(load, "start", 0, &state->start, err) != 0 || op_opt_int(load, "end", INT64_MAX, &state->end, err) != 0 ||
		infer_same(load, err) != 0)
		return -1;
	load->state = state;
	load->dtypes[0] = DTYPE_INT64;
	return 0;
}

/* A position in 0..size; negative counts from the end. */
static int64_t clamp(int64_t at, int64_t size) {
	at = at < 0 ? at + size : at;
	return at < 0 ? 0 : at > size ? size : at;
}

int run_shape(const struct op_call *call, struct err *err) {
	const struct bounds *state = call->state;
	const struct shape *x = &call->inputs[0]->shape;
	int64_t start = clamp(state->start, x->rank), end = clamp(state->end, x->rank);
	struct shape shape = {.rank = 1, .dims = {end > start ? end - start : 0}};
	if (op_output(call, 0, DTYPE_INT64, &shape, err) != 0)
		return -1;
	for (int64_t i = start; i < end; i++)
		((int64_t *) call->outputs[0].data)[i - start] = x->dims[i];
	return 0;
}

int infer_constant(struct op_load *load, struct err *err) {
	const struct tensor *value;
	struct tensor *made = op_allocate(load, 1, sizeof(*made), err);
	int64_t *integer = op_allocate(load, 1, sizeof(*integer), err);
	float *number = op_allocate(load, 1, sizeof(*number), err);
	const float *numbers;
	const int64_t *integers;
	size_t numbers_count, integers_count;
	if (!made || !integer || !number || op_opt_tensor(load, "value", &value, err) != 0 || op_opt_int(load, "value_int", 0, integer, err) != 0 ||
		op_opt_float(load, "value_float", 0, number, err) != 0 || op_opt_floats(load, "value_floats", &numbers, &numbers_count, err) != 0 ||
		op_opt_ints(load, "value_ints", &integers, &integers_count, err) != 0)
		return -1;
	if (value) {
		*made = *value;
	} else if (op_has(load, "value_int")) {
		*made = (struct tensor) {.dtype = DTYPE_INT64, .data = integer};
	} else if (op_has(load, "value_float")) {
		*made = (struct tensor) {.dtype = DTYPE_FLOAT, .data = number};
	} else if (op_has(load, "value_ints")) {
		*made = (struct tensor) {.dtype = DTYPE_INT64, .shape = {1, {(int64_t) integers_count}}};
		memcpy(&made->data, &integers, sizeof(integers));
	} else if (op_has(load, "value_floats")) {
		*made = (struct tensor) {.dtype = DTYPE_FLOAT, .shape = {1, {(int64_t) numbers_count}}};
		memcpy(&made->data, &numbers, sizeof(numbers));
	} else {
		return err_set(err, ERR_INVALID, "it has no value that is supported");
	}
	load->constant = made;
	load->dtypes[0] = made->dtype;
	return 0;
}

int run_constant(const struct op_call *call, struct err *err) {
	(void) call;
	return err_set(err, ERR_FAILED, "a constant does not run");
}

/* Fills `count` elements with one value of `size` bytes. */
static void fill(char *out, int64_t count, const void *value, size_t size) {
	for (int64_t i = 0; i < count; i++)
		memcpy(out + (size_t) i * size, value, size);
}

int infer_constant_of_shape(struct op_load *load, struct err *err) {
	const struct tensor *value;
	struct tensor *kept = op_allocate(load, 1, sizeof(*kept), err);
	if (!kept || op_need_dtype(load, 0, 1U << DTYPE_INT64, err) != 0 || op_opt_tensor(load, "value", &value, err) != 0)
		return -1;
	*kept = (struct tensor) {.dtype = DTYPE_FLOAT};
	if (value)
		kept->dtype = value->dtype;
	if (value && (shape_count(&value->shape) != 1 || value->dtype == DTYPE_STRING))
		return err_set(err, ERR_INVALID, "its value is not one number");
	static const double zero = 0;
	if (op_keep(load, value ? value->data : &zero, 1, dtype_size(kept->dtype), &kept->data, err) != 0)
		return -1;
	load->state = kept;
	load->dtypes[0] = kept->dtype;
	return 0;
}

int run_constant_of_shape(const struct op_call *call, struct err *err) {
	const struct tensor *value = call->state;
	struct shape shape = {0};
	const int64_t *dims = NULL;
	if (list_of(call->inputs[0], &dims, &shape.rank, err) != 0)
		return -1;
	memcpy(shape.dims, dims, (size_t) shape.rank * sizeof(*dims));
	if (op_output(call, 0, value->dtype, &shape, err) != 0)
		return -1;
	fill(call->outputs[0].data, shape_count(&shape), value->data, dtype_size(value->dtype));
	return 0;
}

int infer_expand(struct op_load *load, struct err *err) {
	return op_need_dtype(load, 1, 1U << DTYPE_INT64, err) != 0 ? -1 : infer_same(load, err);
}

int run_expand(const struct op_call *call, struct err *err) {
	const struct tensor *x = call->inputs[0];
	struct shape wanted = {0};
	struct broadcast plan;
	const int64_t *dims = NULL;
	if (list_of(call->inputs[1], &dims, &wanted.rank, err) != 0)
		return -1;
	memcpy(wanted.dims, dims, (size_t) wanted.rank * sizeof(*dims));
	if (shape_count(&wanted) < 0)
		return err_set(err, ERR_INVALID, "the shape to expand to is negative or too large");
	const struct shape *const shapes[] = {&x->shape, &wanted};
	if (broadcast_plan(shapes, 2, &plan, err) != 0 || op_output(call, 0, x->dtype, &plan.shape, err) != 0)
		return -1;
	size_t size = dtype_size(x->dtype);
	char *out = call->outputs[0].data;
	int64_t step = broadcast_step(&plan, 0);
	for (int64_t run = 0; run < plan.runs; run++) {
		int64_t at[BROADCAST_OPERANDS_MAX];
		broadcast_at(&plan, run, at);
		for (int64_t i = 0; i < plan.run; i++, out += size)
			memcpy(out, (const char *) x->data + (size_t) (at[0] + i * step) * size, size);
	}
	return 0;
}

int infer_concat(struct op_load *load, struct err *err) {
	if (load->opset >= 4 && !op_has(load, "axis"))
		return err_set(err, ERR_INVALID, "it has no axis");
	for (size_t i = 1; i < load->node->inputs_count; i++)
		if (op_need_dtype(load, i, 1U << load->inputs[0].dtype, err) != 0)
			return -1;
	return infer_axis_1(load, err);
}

static int concat_shape(const struct op_call *call, int axis, struct shape *out, struct err *err) {
	char first[160], other[160];
	struct shape shape = call->inputs[0]->shape;
	for (size_t i = 1; i < call->inputs_count; i++) {
		const struct shape *next = &call->inputs[i]->shape;
		bool fits = next->rank == shape.rank;
		for (int dim = 0; fits && dim < shape.rank; dim++)
			fits = dim == axis || next->dims[dim] == shape.dims[dim];
		if (!fits)
			return err_set(err, ERR_INVALID, "shapes %s and %s cannot be joined along axis %d", op_shape_text(&shape, first),
				op_shape_text(next, other), axis);
		shape.dims[axis] += next->dims[axis];
	}
	*out = shape;
	return 0;
}

int run_concat(const struct op_call *call, struct err *err) {
	const int64_t *state = call->state;
	struct shape shape;
	int axis;
	if (op_axis(*state, call->inputs[0]->shape.rank, &axis, err) != 0 || concat_shape(call, axis, &shape, err) != 0 ||
		op_output(call, 0, call->inputs[0]->dtype, &shape, err) != 0)
		return -1;
	size_t size = dtype_size(call->inputs[0]->dtype);
	int64_t outer = product(&shape, 0, axis);
	char *out = call->outputs[0].data;
	for (int64_t row = 0; row < outer; row++) {
		for (size_t i = 0; i < call->inputs_count; i++) {
			const struct tensor *x = call->inputs[i];
			size_t bytes = (size_t) product(&x->shape, axis, x->shape.rank) * size;
			if (bytes)
				memcpy(out, (const char *) x->data + (size_t) row * bytes, bytes);
			out += bytes;
		}
	}
	return 0;
}

struct permutation {
	size_t count;
	const int64_t *axes;
};

int infer_transpose(struct op_load *load, struct err *err) {
	struct permutation *state = op_allocate(load, 1, sizeof(*state), err);
	const int64_t *axes;
	bool seen[TENSOR_RANK_MAX] = {0};
	if (!state || op_opt_ints(load, "perm", &axes, &state->count, err) != 0)
		return -1;
	for (size_t i = 0; i < state->count; i++) {
		if (state->count > TENSOR_RANK_MAX || axes[i] < 0 || (size_t) axes[i] >= state->count || seen[axes[i]])
			return err_set(err, ERR_INVALID, "perm is not an order of the dimensions");
		seen[axes[i]] = true;
	}
	load->state = state;
	return op_keep(load, axes, state->count, sizeof(*axes), &state->axes, err) != 0 ? -1 : infer_same(load, err);
}

int run_transpose(const struct op_call *call, struct err *err) {
	const struct permutation *state = call->state;
	const struct tensor *x = call->inputs[0];
	struct shape shape = {.rank = x->shape.rank};
	int64_t strides[TENSOR_RANK_MAX], steps[TENSOR_RANK_MAX], stride = 1;
	if (state->count && state->count != (size_t) shape.rank)
		return err_set(err, ERR_INVALID, "perm has %zu entries for %d dimensions", state->count, shape.rank);
	for (int dim = shape.rank - 1; dim >= 0; dim--) {
		strides[dim] = stride;
		stride *= x->shape.dims[dim];
	}
	for (int dim = 0; dim < shape.rank; dim++) {
		int64_t from = state->count ? state->axes[dim] : shape.rank - 1 - dim;
		shape.dims[dim] = x->shape.dims[from];
		steps[dim] = strides[from];
	}
	if (op_output(call, 0, x->dtype, &shape, err) != 0)
		return -1;
	size_t size = dtype_size(x->dtype);
	int64_t count = shape_count(&shape);
	char *out = call->outputs[0].data;
	for (int64_t i = 0; i < count; i++, out += size) {
		int64_t rest = i, at = 0;
		for (int dim = shape.rank - 1; dim >= 0; dim--) {
			at += rest % shape.dims[dim] * steps[dim];
			rest /= shape.dims[dim];
		}
		memcpy(out, (const char *) x->data + (size_t) at * size, size);
	}
	return 0;
}

int infer_gather(struct op_load *load, struct err *err) {
	int64_t *axis = op_allocate(load, 1, sizeof(*axis), err);
	if (!axis || op_opt_int(load, "axis", 0, axis, err) != 0 || op_need_dtype(load, 1, OP_INTS, err) != 0)
		return -1;
	load->state = axis;
	return infer_same(load, err);
}

int run_gather(const struct op_call *call, struct err *err) {
	const int64_t *state = call->state;
	const struct tensor *x = call->inputs[0], *indexes = call->inputs[1];
	int axis;
	if (op_axis(*state, x->shape.rank, &axis, err) != 0)
		return -1;
	struct shape shape = {0};
	if (x->shape.rank - 1 + indexes->shape.rank > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "more than %d dimensions", TENSOR_RANK_MAX);
	for (int dim = 0; dim < axis; dim++)
		shape.dims[shape.rank++] = x->shape.dims[dim];
	for (int dim = 0; dim < indexes->shape.rank; dim++)
		shape.dims[shape.rank++] = indexes->shape.dims[dim];
	for (int dim = axis + 1; dim < x->shape.rank; dim++)
		shape.dims[shape.rank++] = x->shape.dims[dim];
	if (op_output(call, 0, x->dtype, &shape, err) != 0)
		return -1;
	int64_t outer = product(&x->shape, 0, axis), length = x->shape.dims[axis], picked = shape_count(&indexes->shape);
	size_t block = (size_t) product(&x->shape, axis + 1, x->shape.rank) * dtype_size(x->dtype);
	char *out = call->outputs[0].data;
	for (int64_t row = 0; row < outer; row++) {
		for (int64_t i = 0; i < picked; i++, out += block) {
			int64_t at = indexes->dtype == DTYPE_INT64 ? ((const int64_t *) indexes->data)[i] : ((const int32_t *) indexes->data)[i];
			if (at < -length || at >= length)
				return err_set(err, ERR_INVALID, "index %lld is outside of %lld entries", (long long) at, (long long) length);
			at = at < 0 ? at + length : at;
			if (block)
				memcpy(out, (const char *) x->data + (size_t) (row * length + at) * block, block);
		}
	}
	return 0;
}

/* Slice: before version 10 by attributes, later by inputs (starts, ends, axes, steps). */
struct slice {
	size_t count;
	const int64_t *starts, *ends, *axes;
};

int infer_slice_1(struct op_load *load, struct err *err) {
	struct slice *state = op_allocate(load, 1, sizeof(*state), err);
	const int64_t *starts, *ends, *axes;
	size_t ends_count, axes_count;
	if (!state || op_opt_ints(load, "starts", &starts, &state->count, err) != 0 || op_opt_ints(load, "ends", &ends, &ends_count, err) != 0 ||
		op_opt_ints(load, "axes", &axes, &axes_count, err) != 0)
		return -1;
	if (ends_count != state->count || (axes_count && axes_count != state->count) || state->count > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "starts, ends and axes do not go together");
	load->state = state;
	if (op_keep(load, starts, state->count, sizeof(*starts), &state->starts, err) != 0 ||
		op_keep(load, ends, state->count, sizeof(*ends), &state->ends, err) != 0 ||
		(axes_count && op_keep(load, axes, state->count, sizeof(*axes), &state->axes, err) != 0))
		return -1;
	return infer_same(load, err);
}

int infer_slice_10(struct op_load *load, struct err *err) {
	for (size_t i = 1; i < load->node->inputs_count; i++)
		if ((i < 3 || load->inputs[i].dtype) && op_need_dtype(load, i, OP_INTS, err) != 0)
			return -1;
	return infer_same(load, err);
}

static int slice_list(const struct op_call *call, size_t index, int64_t *out, int *count, struct err *err) {
	const struct tensor *list = index < call->inputs_count ? call->inputs[index] : NULL;
	if (!list)
		return 0;
	int64_t n = shape_count(&list->shape);
	if (n > TENSOR_RANK_MAX || (*count >= 0 && n != *count))
		return err_set(err, ERR_INVALID, "starts, ends, axes and steps do not go together");
	for (int64_t i = 0; i < n; i++)
		out[i] = list->dtype == DTYPE_INT64 ? ((const int64_t *) list->data)[i] : ((const int32_t *) list->data)[i];
	*count = (int) n;
	return 0;
}

struct slice_plan {
	int count;
	int64_t starts[TENSOR_RANK_MAX], ends[TENSOR_RANK_MAX], axes[TENSOR_RANK_MAX], steps[TENSOR_RANK_MAX];
};

static int slice_plan(const struct op_call *call, struct slice_plan *plan, struct err *err) {
	const struct slice *state = call->state;
	*plan = (struct slice_plan) {.count = -1};
	for (int i = 0; i < TENSOR_RANK_MAX; i++) {
		plan->axes[i] = i;
		plan->steps[i] = 1;
	}
	if (!state)
		return slice_list(call, 1, plan->starts, &plan->count, err) != 0 || slice_list(call, 2, plan->ends, &plan->count, err) != 0 ||
				       slice_list(call, 3, plan->axes, &plan->count, err) != 0 || slice_list(call, 4, plan->steps, &plan->count, err) != 0
			       ? -1
			       : 0;
	plan->count = (int) state->count;
	memcpy(plan->starts, state->starts, state->count * sizeof(*plan->starts));
	memcpy(plan->ends, state->ends, state->count * sizeof(*plan->ends));
	if (state->axes)
		memcpy(plan->axes, state->axes, state->count * sizeof(*plan->axes));
	return 0;
}

/* Where one axis starts and how many elements it takes. */
static int slice_axis(int64_t start, int64_t end, int64_t step, int64_t size, int64_t *first, int64_t *count, struct err *err) {
	if (step == 0 || step == INT64_MIN)
		return err_set(err, ERR_INVALID, "a step of %lld leads nowhere", (long long) step);
	start = start < 0 ? start + size : start;
	end = end < 0 ? end + size : end;
	int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
	start = start < (step > 0 ? 0 : -1) ? low : start > high ? high : start;
	end = end < low ? low : end > high ? high : end;
	int64_t distance = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
	*first = start;
	*count = distance <= 0 ? 0 : 1 + (distance - 1) / stride;
	return 0;
}

int run_slice(const struct op_call *call, struct err *err) {
	const struct tensor *x = call->inputs[0];
	struct slice_plan plan;
	struct shape shape = x->shape;
	int64_t steps[TENSOR_RANK_MAX], stride = 1, base = 0;
	if (slice_plan(call, &plan, err) != 0)
		return -1;
	for (int dim = shape.rank - 1; dim >= 0; dim--) {
		steps[dim] = stride;
		stride *= x->shape.dims[dim];
	}
	bool seen[TENSOR_RANK_MAX] = {0};
	for (int i = 0; i < plan.count; i++) {
		int axis;
		int64_t first = 0;
		if (op_axis(plan.axes[i], shape.rank, &axis, err) != 0)
			return -1;
		if (seen[axis])
			return err_set(err, ERR_INVALID, "axis %d is given twice", axis);
		seen[axis] = true;
		if (slice_axis(plan.starts[i], plan.ends[i], plan.steps[i], x->shape.dims[axis], &first, &shape.dims[axis], err) != 0)
			return -1;
		if (shape.dims[axis] == 0)
			continue;
		base += first * steps[axis];
		if (shape.dims[axis] > 1)
			steps[axis] *= plan.steps[i];
	}
	if (op_output(call, 0, x->dtype, &shape, err) != 0)
		return -1;
	size_t size = dtype_size(x->dtype);
	int64_t count = shape_count(&shape);
	char *out = call->outputs[0].data;
	for (int64_t i = 0; i < count; i++, out += size) {
		int64_t rest = i, at = base;
		for (int dim = shape.rank - 1; dim >= 0; dim--) {
			at += rest % shape.dims[dim] * steps[dim];
			rest /= shape.dims[dim];
		}
		memcpy(out, (const char *) x->data + (size_t) at * size, size);
	}
	return 0;
}
