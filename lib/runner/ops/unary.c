/* Element by element, one operand: functions of floats, Neg, Abs, Not, Clip, Cast. */
#include "runner/ops/kernels.h"

#include "base/num.h"
#include "runner/ops/labels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

struct unary {
	size_t kind;
	float alpha, beta;
};

typedef void unary_loop(const struct unary *state, const void *in, void *out, int64_t count);

#define LOOP(name, type, expression)                                                                                                                  \
	static void name##_##type(const struct unary *state, const void *in, void *to, int64_t count) {                                                    \
		type alpha = (type) state->alpha, beta = (type) state->beta;                                                                       \
		(void) alpha;                                                                                                                      \
		(void) beta;                                                                                                                       \
		for (int64_t i = 0; i < count; i++) {                                                                                              \
			type x = ((const type *) in)[i];                                                                                           \
			((type *) to)[i] = (type) (expression);                                                                                    \
		}                                                                                                                                  \
	}

static double logistic(double x) {
	double v = 1.0 / (1.0 + exp(-fabs(x)));
	return x < 0 ? 1.0 - v : v;
}

/* Into 0..1; NaN stays. */
static double unit(double x) {
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

#define FLOATS(name, float_expression, double_expression)                                                                                             \
	LOOP(name, float, float_expression)                                                                                                        \
	LOOP(name, double, double_expression)

FLOATS(exponential, expf(x), exp(x))
FLOATS(logarithm, logf(x), log(x))
FLOATS(root, sqrtf(x), sqrt(x))
FLOATS(sigmoid, post_logistic(x), logistic(x))
FLOATS(hyperbolic, tanhf(x), tanh(x))
FLOATS(relu, x < 0 ? 0 : x, x < 0 ? 0 : x)
FLOATS(round_down, floorf(x), floor(x))
FLOATS(round_up, ceilf(x), ceil(x))
FLOATS(round_even, rintf(x), rint(x))
FLOATS(reciprocal, 1.0F / x, 1.0 / x)
FLOATS(error_function, erff(x), erf(x))
FLOATS(softplus, x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)), x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
FLOATS(leaky, x < 0 ? alpha * x : x, x < 0 ? alpha * x : x)
FLOATS(elu, x < 0 ? alpha * expm1f(x) : x, x < 0 ? alpha * expm1(x) : x)
FLOATS(hard, unit(alpha *x + beta), unit(alpha *x + beta))
FLOATS(negative, -x, -x)
FLOATS(absolute, fabsf(x), fabs(x))
LOOP(negative, int64_t, 0 - (uint64_t) x)
LOOP(negative, int32_t, 0 - (uint32_t) x)
LOOP(absolute, int64_t, x < 0 ? 0 - (uint64_t) x : (uint64_t) x)
LOOP(absolute, int32_t, x < 0 ? 0 - (uint32_t) x : (uint32_t) x)
LOOP(inverse, uint8_t, !x)

#define TWO(name) {[DTYPE_FLOAT] = name##_float, [DTYPE_DOUBLE] = name##_double}
#define FOUR(name) {[DTYPE_FLOAT] = name##_float, [DTYPE_DOUBLE] = name##_double, [DTYPE_INT64] = name##_int64_t, [DTYPE_INT32] = name##_int32_t}

static const struct {
	const char *op;
	float alpha, beta; /* the attributes' fallbacks; 0: it has none */
	unary_loop *loops[DTYPE_STRING + 1];
} kinds[] = {
	{"Exp", 0, 0, TWO(exponential)},    {"Log", 0, 0, TWO(logarithm)},         {"Sqrt", 0, 0, TWO(root)},
	{"Sigmoid", 0, 0, TWO(sigmoid)},    {"Tanh", 0, 0, TWO(hyperbolic)},       {"Relu", 0, 0, TWO(relu)},
	{"Floor", 0, 0, TWO(round_down)},   {"Ceil", 0, 0, TWO(round_up)},         {"Round", 0, 0, TWO(round_even)},
	{"Reciprocal", 0, 0, TWO(reciprocal)}, {"Erf", 0, 0, TWO(error_function)}, {"Softplus", 0, 0, TWO(softplus)},
	{"LeakyRelu", 0.01F, 0, TWO(leaky)}, {"Elu", 1, 0, TWO(elu)},              {"HardSigmoid", 0.2F, 0.5F, TWO(hard)},
	{"Neg", 0, 0, FOUR(negative)},      {"Abs", 0, 0, FOUR(absolute)},         {"Not", 0, 0, {[DTYPE_BOOL] = inverse_uint8_t}},
};

int infer_unary(struct op_load *load, struct err *err) {
	struct unary *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state)
		return -1;
	while (state->kind < sizeof(kinds) / sizeof(kinds[0]) && !str_is(load->node->op, kinds[state->kind].op))
		state->kind++;
	if (state->kind == sizeof(kinds) / sizeof(kinds[0]) || !kinds[state->kind].loops[load->inputs[0].dtype])
		return err_set(err, ERR_INVALID, "its input is %s, which is not supported here", dtype_name(load->inputs[0].dtype));
	if ((kinds[state->kind].alpha > 0 && op_opt_float(load, "alpha", kinds[state->kind].alpha, &state->alpha, err) != 0) ||
		(kinds[state->kind].beta > 0 && op_opt_float(load, "beta", kinds[state->kind].beta, &state->beta, err) != 0))
		return -1;
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

int run_unary(const struct op_call *call, struct err *err) {
	const struct unary *state = call->state;
	const struct tensor *x = call->inputs[0];
	if (op_output(call, 0, x->dtype, &x->shape, err) != 0)
		return -1;
	kinds[state->kind].loops[x->dtype](state, x->data, call->outputs[0].data, shape_count(&x->shape));
	return 0;
}

/* Before version 11 the bounds of Clip are attributes, later optional inputs. */
struct clip {
	float min, max;
};

int infer_clip_6(struct op_load *load, struct err *err) {
	struct clip *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || op_need_dtype(load, 0, OP_FLOATS, err) != 0 || op_opt_float(load, "min", -FLT_MAX, &state->min, err) != 0 ||
		op_opt_float(load, "max", FLT_MAX, &state->max, err) != 0)
		return -1;
	load->state = state;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

int infer_clip_11(struct op_load *load, struct err *err) {
	if (op_need_dtype(load, 0, OP_NUMBERS, err) != 0)
		return -1;
	for (size_t i = 1; i < load->node->inputs_count; i++)
		if (load->inputs[i].dtype && op_need_dtype(load, i, 1U << load->inputs[0].dtype, err) != 0)
			return -1;
	load->dtypes[0] = load->inputs[0].dtype;
	return 0;
}

#define CLIP(type)                                                                                                                                    \
	static void clip_##type(const struct tensor *x, const type *min, const type *max, type *out) {                                                    \
		int64_t count = shape_count(&x->shape);                                                                                            \
		for (int64_t i = 0; i < count; i++) {                                                                                              \
			type value = ((const type *) x->data)[i];                                                                                  \
			value = min && value < *min ? *min : value;                                                                                \
			out[i] = max && value > *max ? *max : value;                                                                               \
		}                                                                                                                                  \
	}
CLIP(float)
CLIP(double)
CLIP(int64_t)
CLIP(int32_t)

static int bound_of(const struct op_call *call, size_t index, const void **out, struct err *err) {
	*out = NULL;
	if (index >= call->inputs_count || !call->inputs[index])
		return 0;
	if (shape_count(&call->inputs[index]->shape) != 1)
		return err_set(err, ERR_INVALID, "its bound %zu is not one number", index);
	*out = call->inputs[index]->data;
	return 0;
}

int run_clip(const struct op_call *call, struct err *err) {
	const struct clip *state = call->state;
	const struct tensor *x = call->inputs[0];
	const void *min, *max;
	if (bound_of(call, 1, &min, err) != 0 || bound_of(call, 2, &max, err) != 0 || op_output(call, 0, x->dtype, &x->shape, err) != 0)
		return -1;
	void *out = call->outputs[0].data;
	double wide_min = state ? (double) state->min : 0, wide_max = state ? (double) state->max : 0;
	if (x->dtype == DTYPE_FLOAT)
		clip_float(x, state ? &state->min : min, state ? &state->max : max, out);
	else if (x->dtype == DTYPE_DOUBLE)
		clip_double(x, state ? &wide_min : min, state ? &wide_max : max, out);
	else if (x->dtype == DTYPE_INT64)
		clip_int64_t(x, min, max, out);
	else
		clip_int32_t(x, min, max, out);
	return 0;
}

struct cast {
	enum dtype to;
};

/* TensorProto.DataType to ours, as in onnx.c; ops/ sees the number as an attribute. */
static enum dtype cast_target(int64_t number) {
	static const enum dtype dtypes[] = {[1] = DTYPE_FLOAT, [2] = DTYPE_UINT8, [3] = DTYPE_INT8,   [6] = DTYPE_INT32,
					    [7] = DTYPE_INT64, [8] = DTYPE_STRING, [9] = DTYPE_BOOL, [11] = DTYPE_DOUBLE};
	return number > 0 && number < (int64_t) (sizeof(dtypes) / sizeof(dtypes[0])) ? dtypes[number] : DTYPE_NONE;
}

int infer_cast(struct op_load *load, struct err *err) {
	struct cast *state = op_allocate(load, 1, sizeof(*state), err);
	int64_t to;
	op_ignore(load, "saturate"); /* says something of 8-bit floats only, which are refused */
	op_ignore(load, "round_mode");
	if (!state || op_need_dtype(load, 0, OP_ANY, err) != 0 || op_opt_int(load, "to", 0, &to, err) != 0)
		return -1;
	state->to = cast_target(to);
	enum dtype from = load->inputs[0].dtype;
	if (state->to == DTYPE_NONE || (state->to == DTYPE_STRING && (from == DTYPE_FLOAT || from == DTYPE_DOUBLE)))
		return err_set(err, ERR_INVALID, "a cast from %s to element type %lld is not supported", dtype_name(from), (long long) to);
	load->state = state;
	load->dtypes[0] = state->to;
	return 0;
}

/* A number of either kind. */
struct number {
	bool is_real;
	double real;
	int64_t integer;
};

static int parse_text(struct str text, struct number *number, bool is_trial, struct err *err) {
	text = str_trim(text);
	number->is_real = true;
	if (num_int(text, INT64_MIN, INT64_MAX, &number->integer) == 0) {
		number->is_real = false;
		number->real = (double) number->integer;
	} else if (str_is_nocase(text, "nan")) {
		number->real = NAN;
	} else if (str_is_nocase(text, "inf") || str_is_nocase(text, "-inf")) {
		number->real = text.ptr[0] == '-' ? -INFINITY : INFINITY;
	} else if (num_double(text, &number->real) != 0) {
		if (!is_trial)
			return err_set(err, ERR_INVALID, "'%.*s' is not a number", (int) (text.len < 64 ? text.len : 64), text.ptr ? text.ptr : "");
		number->real = 0;
	}
	return 0;
}

static int number_at(const struct tensor *x, int64_t i, bool is_trial, struct number *number, struct err *err) {
	*number = (struct number) {0};
	switch (x->dtype) {
	case DTYPE_FLOAT: *number = (struct number) {true, (double) ((const float *) x->data)[i], 0}; return 0;
	case DTYPE_DOUBLE: *number = (struct number) {true, ((const double *) x->data)[i], 0}; return 0;
	case DTYPE_INT64: number->integer = ((const int64_t *) x->data)[i]; return 0;
	case DTYPE_INT32: number->integer = ((const int32_t *) x->data)[i]; return 0;
	case DTYPE_INT8: number->integer = ((const int8_t *) x->data)[i]; return 0;
	case DTYPE_UINT8:
	case DTYPE_BOOL: number->integer = ((const uint8_t *) x->data)[i]; return 0;
	default: return parse_text(((const struct str *) x->data)[i], number, is_trial, err);
	}
}

/* Towards zero; out of range (also NaN) is the smallest integer, as x86 does it. */
static int64_t integer_of(const struct number *number) {
	if (!number->is_real)
		return number->integer;
	return number->real > -9223372036854775808.0 && number->real < 9223372036854775808.0 ? (int64_t) number->real : INT64_MIN;
}

static int put_text(const struct op_call *call, const struct tensor *x, int64_t i, const struct number *number, struct str *out, struct err *err) {
	char text[32];
	const char *flag = number->integer ? "1" : "0";
	int len = x->dtype == DTYPE_BOOL ? snprintf(text, sizeof(text), "%s", flag) : snprintf(text, sizeof(text), "%lld", (long long) number->integer);
	char *copy = op_scratch(call, len, 1, err);
	if (!copy)
		return -1;
	memcpy(copy, text, (size_t) len);
	out[i] = (struct str) {copy, (size_t) len};
	return 0;
}

static int cast_one(const struct op_call *call, const struct tensor *x, int64_t i, enum dtype to, struct err *err) {
	void *out = call->outputs[0].data;
	struct number number;
	if (number_at(x, i, call->is_trial, &number, err) != 0)
		return -1;
	double real = number.is_real ? number.real : (double) number.integer;
	switch (to) {
	case DTYPE_FLOAT: ((float *) out)[i] = number.is_real ? (float) real : (float) number.integer; return 0;
	case DTYPE_DOUBLE: ((double *) out)[i] = real; return 0;
	case DTYPE_INT64: ((int64_t *) out)[i] = integer_of(&number); return 0;
	case DTYPE_INT32: ((int32_t *) out)[i] = (int32_t) integer_of(&number); return 0;
	case DTYPE_INT8: ((int8_t *) out)[i] = (int8_t) integer_of(&number); return 0;
	case DTYPE_UINT8: ((uint8_t *) out)[i] = (uint8_t) integer_of(&number); return 0;
	case DTYPE_BOOL: ((uint8_t *) out)[i] = number.is_real ? real < 0 || real > 0 || isnan(real) : number.integer != 0; return 0;
	default: return put_text(call, x, i, &number, out, err);
	}
}

int run_cast(const struct op_call *call, struct err *err) {
	const struct cast *state = call->state;
	const struct tensor *x = call->inputs[0];
	if (x->dtype == state->to) {
		op_alias(call, 0, x, &x->shape);
		return 0;
	}
	if (op_output(call, 0, state->to, &x->shape, err) != 0)
		return -1;
	int64_t count = shape_count(&x->shape);
	for (int64_t i = 0; i < count; i++)
		if (cast_one(call, x, i, state->to, err) != 0)
			return -1;
	return 0;
}
