/* Element by element, two operands or more: arithmetic, comparisons, logic, Where. Integers wrap, as they do in ONNX Runtime; a division of
 * integers by zero gives zero. */
#include "runner/ops/kernels.h"

#include "runner/ops/broadcast.h"

#include <math.h>

typedef void loop_function(const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count);

struct binary {
	loop_function *loop;
	enum dtype dtype; /* of the output */
	bool is_converted; /* Pow: the exponent has another type than the base */
};

#define LOOP(name, type, result, expression)                                                                                                          \
	static void name##_##type(const void *left, int64_t a_step, const void *right, int64_t b_step, void *to, int64_t count) {                         \
		const type *a = left, *b = right;                                                                                                  \
		result *out = to;                                                                                                                  \
		for (int64_t i = 0; i < count; i++) {                                                                                              \
			type x = a[i * a_step], y = b[i * b_step];                                                                                 \
			out[i] = (result) (expression);                                                                                            \
		}                                                                                                                                  \
	}

static int64_t power_of(int64_t base, int64_t exponent) {
	double value = pow((double) base, (double) exponent);
	return value > -9.2e18 && value < 9.2e18 ? (int64_t) value : INT64_MIN;
}

#define ARITHMETIC(type, wide)                                                                                                                        \
	LOOP(add, type, type, (wide) x + (wide) y)                                                                                                 \
	LOOP(sub, type, type, (wide) x - (wide) y)                                                                                                 \
	LOOP(mul, type, type, (wide) x * (wide) y)                                                                                                 \
	LOOP(max, type, type, x > y ? x : y)                                                                                                       \
	LOOP(min, type, type, x < y ? x : y)                                                                                                       \
	LOOP(less, type, uint8_t, x < y)                                                                                                           \
	LOOP(greater, type, uint8_t, x > y)                                                                                                        \
	LOOP(less_or_equal, type, uint8_t, x <= y)                                                                                                 \
	LOOP(greater_or_equal, type, uint8_t, x >= y)                                                                                              \
	LOOP(equal, type, uint8_t, x <= y && x >= y)

ARITHMETIC(float, float)
ARITHMETIC(double, double)
ARITHMETIC(int64_t, uint64_t)
ARITHMETIC(int32_t, uint32_t)
LOOP(div, float, float, x / y)
LOOP(div, double, double, x / y)
LOOP(div, int64_t, int64_t, y == 0 ? 0 : y == -1 ? (int64_t) (0 - (uint64_t) x) : x / y)
LOOP(div, int32_t, int32_t, y == 0 ? 0 : y == -1 ? (int32_t) (0 - (uint32_t) x) : x / y)
LOOP(power, float, float, powf(x, y))
LOOP(power, double, double, pow(x, y))
LOOP(power, int64_t, int64_t, power_of(x, y))
LOOP(power, int32_t, int32_t, power_of(x, y))
LOOP(equal, uint8_t, uint8_t, x == y)
LOOP(both, uint8_t, uint8_t, x && y)
LOOP(either, uint8_t, uint8_t, x || y)
LOOP(one_of, uint8_t, uint8_t, !x != !y)

static void equal_text(const void *left, int64_t a_step, const void *right, int64_t b_step, void *to, int64_t count) {
	const struct str *a = left, *b = right;
	for (int64_t i = 0; i < count; i++)
		((uint8_t *) to)[i] = str_equal(a[i * a_step], b[i * b_step]);
}

#define FOUR(name) {[DTYPE_FLOAT] = name##_float, [DTYPE_DOUBLE] = name##_double, [DTYPE_INT64] = name##_int64_t, [DTYPE_INT32] = name##_int32_t}

struct binary_kind {
	const char *op;
	bool is_test; /* answers with booleans */
	loop_function *loops[DTYPE_STRING + 1];
};
static const struct binary_kind kinds[] = {
	{"Add", false, FOUR(add)},
	{"Sum", false, FOUR(add)},
	{"Mean", false, FOUR(add)},
	{"Sub", false, FOUR(sub)},
	{"Mul", false, FOUR(mul)},
	{"Div", false, FOUR(div)},
	{"Pow", false, FOUR(power)},
	{"Max", false, FOUR(max)},
	{"Min", false, FOUR(min)},
	{"Less", true, FOUR(less)},
	{"Greater", true, FOUR(greater)},
	{"LessOrEqual", true, FOUR(less_or_equal)},
	{"GreaterOrEqual", true, FOUR(greater_or_equal)},
	{"Equal",
		true,
		{[DTYPE_FLOAT] = equal_float,
			[DTYPE_DOUBLE] = equal_double,
			[DTYPE_INT64] = equal_int64_t,
			[DTYPE_INT32] = equal_int32_t,
			[DTYPE_INT8] = equal_uint8_t,
			[DTYPE_UINT8] = equal_uint8_t,
			[DTYPE_BOOL] = equal_uint8_t,
			[DTYPE_STRING] = equal_text}},
	{"And", true, {[DTYPE_BOOL] = both_uint8_t}},
	{"Or", true, {[DTYPE_BOOL] = either_uint8_t}},
	{"Xor", true, {[DTYPE_BOOL] = one_of_uint8_t}},
};

int infer_binary(struct op_load *load, struct err *err) {
	struct binary *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state)
		return -1;
	enum dtype dtype = load->inputs[0].dtype;
	bool is_power = str_is(load->node->op, "Pow");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!str_is(load->node->op, kinds[i].op))
			continue;
		state->loop = kinds[i].loops[dtype];
		state->dtype = kinds[i].is_test ? DTYPE_BOOL : dtype;
	}
	if (!state->loop)
		return err_set(err, ERR_INVALID, "its input 0 is %s, which is not supported here", dtype_name(dtype));
	for (size_t i = 1; i < load->node->inputs_count; i++) {
		enum dtype other = load->inputs[i].dtype;
		state->is_converted = is_power && other != dtype;
		if (op_need_dtype(load, i, state->is_converted ? OP_NUMBERS : 1U << dtype, err) != 0)
			return -1;
	}
	load->state = state;
	load->dtypes[0] = state->dtype;
	return 0;
}

static int run_pair(const struct op_call *call, const struct tensor *a, const struct tensor *b, struct err *err) {
	const struct binary *state = call->state;
	const struct shape *const shapes[] = {&a->shape, &b->shape};
	struct broadcast plan;
	if (broadcast_plan(shapes, 2, &plan, err) != 0 || op_output(call, 0, state->dtype, &plan.shape, err) != 0)
		return -1;
	size_t size = dtype_size(a->dtype), out_size = dtype_size(state->dtype);
	int64_t a_step = broadcast_step(&plan, 0), b_step = broadcast_step(&plan, 1);
	for (int64_t run = 0; run < plan.runs; run++) {
		int64_t at[BROADCAST_OPERANDS_MAX];
		broadcast_at(&plan, run, at);
		state->loop((const char *) a->data + (size_t) at[0] * size, a_step, (const char *) b->data + (size_t) at[1] * size, b_step,
			(char *) call->outputs[0].data + (size_t) (run * plan.run) * out_size, plan.run);
	}
	return 0;
}

static double exponent_at(const struct tensor *x, int64_t i) {
	switch (x->dtype) {
	case DTYPE_FLOAT: return (double) ((const float *) x->data)[i];
	case DTYPE_DOUBLE: return ((const double *) x->data)[i];
	case DTYPE_INT64: return (double) ((const int64_t *) x->data)[i];
	default: return ((const int32_t *) x->data)[i];
	}
}

/* The exponents in the type of the base. */
static int convert(const struct op_call *call, const struct tensor *from, enum dtype dtype, struct tensor *to, struct err *err) {
	int64_t count = shape_count(&from->shape);
	*to = (struct tensor) {dtype, from->shape, op_scratch(call, count, dtype_size(dtype), err)};
	for (int64_t i = 0; to->data && i < count; i++) {
		double value = exponent_at(from, i);
		bool is_whole = value > -9.2e18 && value < 9.2e18;
		if (dtype == DTYPE_FLOAT)
			((float *) to->data)[i] = (float) value;
		else if (dtype == DTYPE_DOUBLE)
			((double *) to->data)[i] = value;
		else if (dtype == DTYPE_INT64)
			((int64_t *) to->data)[i] = is_whole ? (int64_t) value : 0;
		else
			((int32_t *) to->data)[i] = is_whole ? (int32_t) (int64_t) value : 0;
	}
	return to->data ? 0 : -1;
}

int run_binary(const struct op_call *call, struct err *err) {
	const struct binary *state = call->state;
	struct tensor converted;
	if (!state->is_converted)
		return run_pair(call, call->inputs[0], call->inputs[1], err);
	return convert(call, call->inputs[1], state->dtype, &converted, err) == 0 ? run_pair(call, call->inputs[0], &converted, err) : -1;
}

static int run_all(const struct op_call *call, struct err *err) {
	struct tensor total = *call->inputs[0];
	call->outputs[0] = total;
	for (size_t i = 1; i < call->inputs_count; i++) {
		total = call->outputs[0];
		if (run_pair(call, &total, call->inputs[i], err) != 0)
			return -1;
	}
	return 0;
}

int run_variadic(const struct op_call *call, struct err *err) {
	return run_all(call, err);
}

int infer_mean(struct op_load *load, struct err *err) {
	return op_need_dtype(load, 0, OP_FLOATS, err) != 0 ? -1 : infer_binary(load, err);
}

int run_mean(const struct op_call *call, struct err *err) {
	if (run_all(call, err) != 0)
		return -1;
	struct tensor total = call->outputs[0];
	if (op_output(call, 0, total.dtype, &total.shape, err) != 0)
		return -1;
	int64_t count = shape_count(&total.shape);
	for (int64_t i = 0; i < count; i++) {
		if (total.dtype == DTYPE_FLOAT)
			((float *) call->outputs[0].data)[i] = ((const float *) total.data)[i] / (float) call->inputs_count;
		else
			((double *) call->outputs[0].data)[i] = ((const double *) total.data)[i] / (double) call->inputs_count;
	}
	return 0;
}

int infer_where(struct op_load *load, struct err *err) {
	load->dtypes[0] = load->inputs[1].dtype;
	return op_need_dtype(load, 0, OP_BOOL, err) != 0 || op_need_dtype(load, 1, OP_ANY, err) != 0 ||
			       op_need_dtype(load, 2, 1U << load->inputs[1].dtype, err) != 0
		       ? -1
		       : 0;
}

int run_where(const struct op_call *call, struct err *err) {
	const struct tensor *condition = call->inputs[0], *x = call->inputs[1], *y = call->inputs[2];
	const struct shape *const shapes[] = {&condition->shape, &x->shape, &y->shape};
	struct broadcast plan;
	if (broadcast_plan(shapes, 3, &plan, err) != 0 || op_output(call, 0, x->dtype, &plan.shape, err) != 0)
		return -1;
	size_t size = dtype_size(x->dtype);
	char *out = call->outputs[0].data;
	for (int64_t run = 0; run < plan.runs; run++) {
		int64_t at[BROADCAST_OPERANDS_MAX];
		broadcast_at(&plan, run, at);
		for (int64_t i = 0; i < plan.run; i++, out += size) {
			bool is_true = ((const uint8_t *) condition->data)[at[0] + i * broadcast_step(&plan, 0)];
			int64_t from = is_true ? at[1] + i * broadcast_step(&plan, 1) : at[2] + i * broadcast_step(&plan, 2);
			memcpy(out, (const char *) (is_true ? x : y)->data + (size_t) from * size, size);
		}
	}
	return 0;
}
