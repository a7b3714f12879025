/* Along axes: ReduceSum and its like, ArgMax and ArgMin, Softmax and LogSoftmax. */
#include "runner/ops/kernels.h"

#include <float.h>
#include <math.h>

enum reduction { REDUCE_SUM, REDUCE_MEAN, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_SUM_SQUARE, REDUCE_L1, REDUCE_LOG_SUM,
	REDUCE_LOG_SUM_EXP, REDUCE_L2, REDUCTIONS };

struct reduce {
	enum reduction kind;
	int64_t keep_dims, is_noop_without_axes;
	bool has_axes;
	size_t axes_count;
	const int64_t *axes;
};

static int infer_reduce(struct op_load *load, bool is_axes_input, struct err *err) {
	static const char *const names[REDUCTIONS] = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1",
						      "ReduceLogSum", "ReduceLogSumExp", "ReduceL2"};
	struct reduce *state = op_allocate(load, 1, sizeof(*state), err);
	const int64_t *axes = NULL;
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || op_opt_int(load, "keepdims", 1, &state->keep_dims, err) != 0)
		return -1;
	while (state->kind < REDUCE_L2 && !str_is(load->node->op, names[state->kind]))
		state->kind++;
	if (is_axes_input) {
		if (op_opt_int(load, "noop_with_empty_axes", 0, &state->is_noop_without_axes, err) != 0 ||
			(load->node->inputs_count > 1 && load->inputs[1].dtype && op_need_dtype(load, 1, 1U << DTYPE_INT64, err) != 0))
			return -1;
	} else if (op_opt_ints(load, "axes", &axes, &state->axes_count, err) != 0 ||
		   op_keep(load, axes, state->axes_count, sizeof(*axes), &state->axes, err) != 0) {
		return -1;
	}
	state->has_axes = state->axes_count > 0;
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

int infer_reduce_attribute(struct op_load *load, struct err *err) {
	return infer_reduce(load, false, err);
}
int infer_reduce_input(struct op_load *load, struct err *err) {
	return infer_reduce(load, true, err);
}

struct reduce_plan {
	bool is_reduced[TENSOR_RANK_MAX];
	bool is_noop;
	struct shape kept; /* with 1 where an axis is reduced */
	struct shape out;
};

static int plan_reduce(const struct op_call *call, struct reduce_plan *plan, struct err *err) {
	const struct reduce *state = call->state;
	const struct tensor *x = call->inputs[0], *given = call->inputs_count > 1 ? call->inputs[1] : NULL;
	const int64_t *axes = given ? given->data : state->axes;
	int64_t count = given ? shape_count(&given->shape) : (int64_t) state->axes_count;
	*plan = (struct reduce_plan) {.kept = x->shape};
	plan->is_noop = count == 0 && state->is_noop_without_axes;
	for (int dim = 0; dim < x->shape.rank; dim++)
		plan->is_reduced[dim] = count == 0 && !plan->is_noop;
	for (int64_t i = 0; i < count; i++) {
		int axis;
		if (op_axis(axes[i], x->shape.rank, &axis, err) != 0)
			return -1;
		plan->is_reduced[axis] = true;
	}
	for (int dim = 0; dim < x->shape.rank; dim++) {
		if (plan->is_reduced[dim])
			plan->kept.dims[dim] = 1;
		if (!plan->is_reduced[dim] || state->keep_dims)
			plan->out.dims[plan->out.rank++] = plan->kept.dims[dim];
	}
	return 0;
}

static double value_at(const struct tensor *x, int64_t i) {
	switch (x->dtype) {
	case DTYPE_FLOAT: return (double) ((const float *) x->data)[i];
	case DTYPE_DOUBLE: return ((const double *) x->data)[i];
	case DTYPE_INT64: return (double) ((const int64_t *) x->data)[i];
	default: return ((const int32_t *) x->data)[i];
	}
}

static void put_value(struct tensor *out, int64_t i, double value) {
	bool is_whole = value > -9.2e18 && value < 9.2e18;
	switch (out->dtype) {
	case DTYPE_FLOAT: ((float *) out->data)[i] = (float) value; return;
	case DTYPE_DOUBLE: ((double *) out->data)[i] = value; return;
	case DTYPE_INT64: ((int64_t *) out->data)[i] = is_whole ? (int64_t) value : INT64_MIN; return;
	default: ((int32_t *) out->data)[i] = (int32_t) (is_whole ? (int64_t) value : 0); return;
	}
}

static double take_value(enum reduction kind, double total, double value) {
	switch (kind) {
	case REDUCE_MAX: return value > total || isnan(value) ? value : total;
	case REDUCE_MIN: return value < total || isnan(value) ? value : total;
	case REDUCE_PROD: return total * value;
	case REDUCE_SUM_SQUARE:
	case REDUCE_L2: return total + value * value;
	case REDUCE_L1: return total + fabs(value);
	default: return total + value;
	}
}

/* Adds every element to its total. With `peaks`, e to the power of the element less its peak, so that no power overflows. */
static void accumulate(const struct tensor *x, const struct reduce_plan *plan, enum reduction kind, const double *peaks, double *totals) {
	int64_t strides[TENSOR_RANK_MAX], stride = 1, count = shape_count(&x->shape);
	for (int dim = x->shape.rank - 1; dim >= 0; dim--) {
		strides[dim] = plan->is_reduced[dim] ? 0 : stride;
		stride *= plan->kept.dims[dim];
	}
	for (int64_t i = 0; i < count; i++) {
		int64_t rest = i, at = 0;
		for (int dim = x->shape.rank - 1; dim >= 0; dim--) {
			at += rest % x->shape.dims[dim] * strides[dim];
			rest /= x->shape.dims[dim];
		}
		double value = value_at(x, i);
		totals[at] = take_value(kind, totals[at], peaks ? exp(value - (isfinite(peaks[at]) ? peaks[at] : 0)) : value);
	}
}

static double finish_value(enum reduction kind, double total, double peak, double share) {
	switch (kind) {
	case REDUCE_MEAN: return total / share;
	case REDUCE_L2: return sqrt(total);
	case REDUCE_LOG_SUM: return log(total);
	case REDUCE_LOG_SUM_EXP: return log(total) + (isfinite(peak) ? peak : 0);
	default: return total;
	}
}

static double *totals_new(const struct op_call *call, int64_t count, double start, struct err *err) {
	double *totals = op_scratch(call, count, sizeof(*totals), err);
	for (int64_t i = 0; totals && i < count; i++)
		totals[i] = start;
	return totals;
}

int run_reduce(const struct op_call *call, struct err *err) {
	static const double start[REDUCTIONS] = {[REDUCE_MAX] = -INFINITY, [REDUCE_MIN] = INFINITY, [REDUCE_PROD] = 1};
	const struct reduce *state = call->state;
	const struct tensor *x = call->inputs[0];
	struct reduce_plan plan;
	if (plan_reduce(call, &plan, err) != 0)
		return -1;
	if (plan.is_noop) {
		op_alias(call, 0, x, &x->shape);
		return 0;
	}
	if (op_output(call, 0, x->dtype, &plan.out, err) != 0)
		return -1;
	int64_t count = shape_count(&x->shape), out_count = shape_count(&plan.out);
	double *totals = totals_new(call, out_count, start[state->kind], err), *peaks = NULL;
	if (totals && state->kind == REDUCE_LOG_SUM_EXP)
		peaks = totals_new(call, out_count, -INFINITY, err);
	if (!totals || (state->kind == REDUCE_LOG_SUM_EXP && !peaks))
		return -1;
	if (peaks)
		accumulate(x, &plan, REDUCE_MAX, NULL, peaks);
	accumulate(x, &plan, state->kind, peaks, totals);
	double share = out_count ? (double) count / (double) out_count : 1;
	for (int64_t i = 0; i < out_count; i++)
		put_value(&call->outputs[0], i, finish_value(state->kind, totals[i], peaks ? peaks[i] : 0, share));
	return 0;
}

/* A tensor seen as [outer][length][inner] around one axis. */
struct along {
	int64_t outer, length, inner;
};

static struct along along_axis(const struct shape *shape, int axis) {
	struct along along = {1, shape->dims[axis], 1};
	for (int dim = 0; dim < axis; dim++)
		along.outer *= shape->dims[dim];
	for (int dim = axis + 1; dim < shape->rank; dim++)
		along.inner *= shape->dims[dim];
	return along;
}

struct arg {
	int64_t axis, keep_dims, is_last;
	bool is_min;
};

int infer_arg(struct op_load *load, struct err *err) {
	struct arg *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || op_opt_int(load, "axis", 0, &state->axis, err) != 0 ||
		op_opt_int(load, "keepdims", 1, &state->keep_dims, err) != 0 || op_opt_int(load, "select_last_index", 0, &state->is_last, err) != 0)
		return -1;
	state->is_min = str_is(load->node->op, "ArgMin");
	load->state = state;
	load->dtypes[0] = DTYPE_INT64;
	return 0;
}

int run_arg(const struct op_call *call, struct err *err) {
	const struct arg *state = call->state;
	const struct tensor *x = call->inputs[0];
	struct shape shape = {0};
	int axis;
	if (op_axis(state->axis, x->shape.rank, &axis, err) != 0)
		return -1;
	struct along along = along_axis(&x->shape, axis);
	if (along.length == 0)
		return err_set(err, ERR_INVALID, "axis %d is empty", axis);
	for (int dim = 0; dim < x->shape.rank; dim++)
		if (dim != axis || state->keep_dims)
			shape.dims[shape.rank++] = dim == axis ? 1 : x->shape.dims[dim];
	if (op_output(call, 0, DTYPE_INT64, &shape, err) != 0)
		return -1;
	int64_t *out = call->outputs[0].data;
	for (int64_t i = 0; i < along.outer * along.inner; i++) {
		int64_t from = i / along.inner * along.length * along.inner + i % along.inner, best = 0;
		double best_value = value_at(x, from);
		for (int64_t j = 1; j < along.length; j++) {
			double value = value_at(x, from + j * along.inner);
			bool is_better = state->is_min ? value < best_value : value > best_value;
			bool is_equal = !(value < best_value) && !(value > best_value);
			if (is_better || (is_equal && state->is_last)) {
				best = j;
				best_value = value;
			}
		}
		out[i] = best;
	}
	return 0;
}

struct softmax {
	int64_t axis;
	bool is_flattened; /* before version 13: everything from the axis on is one long row */
	bool is_log;
};

static int infer_softmax(struct op_load *load, bool is_flattened, struct err *err) {
	struct softmax *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_FLOATS, err) != 0 || op_opt_int(load, "axis", is_flattened ? 1 : -1, &state->axis, err) != 0)
		return -1;
	state->is_flattened = is_flattened;
	state->is_log = str_is(load->node->op, "LogSoftmax");
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

int infer_softmax_1(struct op_load *load, struct err *err) {
	return infer_softmax(load, true, err);
}
int infer_softmax_13(struct op_load *load, struct err *err) {
	return infer_softmax(load, false, err);
}

#define SOFTMAX(type, expt, logt)                                                                                                                     \
	static void softmax_##type(const type *x, type *out, const struct along *along, bool is_log) {                                                     \
		type max = x[0], sum = 0;                                                                                                          \
		for (int64_t i = 1; i < along->length; i++)                                                                                        \
			max = x[i * along->inner] > max ? x[i * along->inner] : max;                                                               \
		for (int64_t i = 0; i < along->length; i++) {                                                                                      \
			type value = expt(x[i * along->inner] - max);                                                                              \
			out[i * along->inner] = is_log ? x[i * along->inner] - max : value;                                                        \
			sum += value;                                                                                                              \
		}                                                                                                                                  \
		type log_sum = logt(sum);                                                                                                          \
		for (int64_t i = 0; i < along->length; i++)                                                                                        \
			out[i * along->inner] = is_log ? out[i * along->inner] - log_sum : out[i * along->inner] / sum;                            \
	}
SOFTMAX(float, expf, logf)
SOFTMAX(double, exp, log)

int run_softmax(const struct op_call *call, struct err *err) {
	const struct softmax *state = call->state;
	const struct tensor *x = call->inputs[0];
	int axis;
	if (op_axis(state->axis, x->shape.rank, &axis, err) != 0 || op_output(call, 0, x->dtype, &x->shape, err) != 0)
		return -1;
	struct along along = along_axis(&x->shape, axis);
	if (state->is_flattened) {
		along.length *= along.inner;
		along.inner = 1;
	}
	if (along.length == 0)
		return 0;
	for (int64_t i = 0; i < along.outer * along.inner; i++) {
		int64_t from = i / along.inner * along.length * along.inner + i % along.inner;
		if (x->dtype == DTYPE_FLOAT)
			softmax_float((const float *) x->data + from, (float *) call->outputs[0].data + from, &along, state->is_log);
		else
			softmax_double((const double *) x->data + from, (double *) call->outputs[0].data + from, &along, state->is_log);
	}
	return 0;
}

struct lp {
	int64_t axis, p;
};

int infer_lp_normalization(struct op_load *load, struct err *err) {
	struct lp *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_FLOATS, err) != 0 || op_opt_int(load, "axis", -1, &state->axis, err) != 0 ||
		op_opt_int(load, "p", 2, &state->p, err) != 0)
		return -1;
	if (state->p != 1 && state->p != 2)
		return err_set(err, ERR_INVALID, "attribute p is %lld, 1 and 2 are supported", (long long) state->p);
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

int run_lp_normalization(const struct op_call *call, struct err *err) {
	const struct lp *state = call->state;
	const struct tensor *x = call->inputs[0];
	int axis;
	if (op_axis(state->axis, x->shape.rank, &axis, err) != 0 || op_output(call, 0, x->dtype, &x->shape, err) != 0)
		return -1;
	struct along along = along_axis(&x->shape, axis);
	for (int64_t i = 0; i < along.outer * along.inner; i++) {
		int64_t from = i / along.inner * along.length * along.inner + i % along.inner;
		double total = 0;
		for (int64_t j = 0; j < along.length; j++)
			total = take_value(state->p == 1 ? REDUCE_L1 : REDUCE_L2, total, value_at(x, from + j * along.inner));
		if (state->p == 2)
			total = sqrt(total);
		for (int64_t j = 0; j < along.length; j++)
			put_value(&call->outputs[0], from + j * along.inner, total > 0 ? value_at(x, from + j * along.inner) / total : 0);
	}
	return 0;
}
