/* MatMul and Gemm of float32 and float64. */
#include "runner/ops/kernels.h"

#include "runner/ops/broadcast.h"
#include "runner/ops/gemm.h"

int infer_matmul(struct op_load *load, struct err *err) {
	load->dtypes[0] = load->inputs[0].dtype;
	return op_need_dtype(load, 0, OP_FLOATS, err) != 0 || op_need_dtype(load, 1, 1U << load->inputs[0].dtype, err) != 0 ? -1 : 0;
}

static void multiply(enum dtype dtype, const void *a, const void *b, void *out, int64_t rows, int64_t inner, int64_t columns) {
	if (dtype == DTYPE_FLOAT)
		gemm_float(a, b, out, rows, inner, columns);
	else
		gemm_double(a, b, out, rows, inner, columns);
}

/* numpy's rules: a vector becomes a row on the left or a column on the right, and its dimension is dropped from the result. */
struct product {
	int64_t rows, inner, columns;
	struct broadcast batches;
	struct shape out;
};

static int plan_product(const struct shape *a, const struct shape *b, struct product *plan, struct err *err) {
	char left[160], right[160];
	bool is_row = a->rank == 1, is_column = b->rank == 1;
	int64_t b_rows = is_column ? b->dims[0] : b->rank > 1 ? b->dims[b->rank - 2] : -1;
	if (a->rank == 0 || b->rank == 0 || a->dims[a->rank - 1] != b_rows)
		return err_set(err, ERR_INVALID, "matrices of shapes %s and %s do not go together", op_shape_text(a, left), op_shape_text(b, right));
	plan->rows = is_row ? 1 : a->dims[a->rank - 2];
	plan->inner = b_rows;
	plan->columns = is_column ? 1 : b->dims[b->rank - 1];
	/* The batch dimensions, with a last one of 1 so that every run of the broadcast is one matrix. */
	struct shape a_batch = *a, b_batch = *b;
	a_batch.rank = a->rank > 2 ? a->rank - 1 : 1;
	b_batch.rank = b->rank > 2 ? b->rank - 1 : 1;
	a_batch.dims[a_batch.rank - 1] = b_batch.dims[b_batch.rank - 1] = 1;
	const struct shape *const shapes[] = {&a_batch, &b_batch};
	if (broadcast_plan(shapes, 2, &plan->batches, err) != 0)
		return -1;
	plan->out = plan->batches.shape;
	plan->out.rank--;
	if (plan->out.rank + 2 > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "more than %d dimensions", TENSOR_RANK_MAX);
	if (!is_row)
		plan->out.dims[plan->out.rank++] = plan->rows;
	if (!is_column)
		plan->out.dims[plan->out.rank++] = plan->columns;
	return 0;
}

int run_matmul(const struct op_call *call, struct err *err) {
	const struct tensor *a = call->inputs[0], *b = call->inputs[1];
	struct product plan;
	if (plan_product(&a->shape, &b->shape, &plan, err) != 0 || op_output(call, 0, a->dtype, &plan.out, err) != 0)
		return -1;
	size_t size = dtype_size(a->dtype);
	char *out = call->outputs[0].data;
	memset(out, 0, (size_t) shape_count(&plan.out) * size);
	for (int64_t run = 0; run < plan.batches.runs; run++) {
		int64_t at[BROADCAST_OPERANDS_MAX];
		broadcast_at(&plan.batches, run, at);
		multiply(a->dtype, (const char *) a->data + (size_t) (at[0] * plan.rows * plan.inner) * size,
			(const char *) b->data + (size_t) (at[1] * plan.inner * plan.columns) * size,
			out + (size_t) (run * plan.rows * plan.columns) * size, plan.rows, plan.inner, plan.columns);
	}
	return 0;
}

struct gemm {
	float alpha, beta;
	int64_t is_a_turned, is_b_turned;
};

int infer_gemm(struct op_load *load, struct err *err) {
	struct gemm *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || infer_matmul(load, err) != 0 || op_opt_float(load, "alpha", 1, &state->alpha, err) != 0 ||
		op_opt_float(load, "beta", 1, &state->beta, err) != 0 || op_opt_int(load, "transA", 0, &state->is_a_turned, err) != 0 ||
		op_opt_int(load, "transB", 0, &state->is_b_turned, err) != 0)
		return -1;
	if (load->node->inputs_count > 2 && load->inputs[2].dtype && op_need_dtype(load, 2, 1U << load->inputs[0].dtype, err) != 0)
		return -1;
	load->state = state;
	return 0;
}

/* The matrix the way gemm wants it, copied only when it is turned. */
static const void *turned(const struct op_call *call, const struct tensor *x, bool is_turned, struct err *err) {
	if (!is_turned)
		return x->data;
	int64_t rows = x->shape.dims[0], columns = x->shape.dims[1];
	size_t size = dtype_size(x->dtype);
	char *out = op_scratch(call, rows * columns, size, err);
	for (int64_t i = 0; out && i < columns; i++)
		for (int64_t j = 0; j < rows; j++)
			memcpy(out + (size_t) (i * rows + j) * size, (const char *) x->data + (size_t) (j * columns + i) * size, size);
	return out;
}

#define SCALE(type)                                                                                                                                   \
	static void scale_##type(type *out, int64_t count, type factor) {                                                                                  \
		for (int64_t i = 0; i < count; i++)                                                                                                \
			out[i] *= factor;                                                                                                          \
	}                                                                                                                                          \
	static void add_scaled_##type(type *out, const type *c, int64_t step, int64_t count, type factor) {                                         \
		for (int64_t i = 0; i < count; i++)                                                                                                \
			out[i] += factor * c[i * step];                                                                                            \
	}
SCALE(float)
SCALE(double)

static int add_bias(const struct op_call *call, const struct tensor *c, double beta, struct err *err) {
	struct tensor *out = &call->outputs[0];
	const struct shape *const shapes[] = {&out->shape, &c->shape};
	struct broadcast plan;
	if (broadcast_plan(shapes, 2, &plan, err) != 0)
		return -1;
	if (memcmp(plan.shape.dims, out->shape.dims, 2 * sizeof(int64_t)) != 0 || plan.shape.rank != 2)
		return err_set(err, ERR_INVALID, "its input 2 does not fit the product");
	for (int64_t run = 0; run < plan.runs; run++) {
		int64_t at[BROADCAST_OPERANDS_MAX], step = broadcast_step(&plan, 1);
		broadcast_at(&plan, run, at);
		if (out->dtype == DTYPE_FLOAT)
			add_scaled_float((float *) out->data + at[0], (const float *) c->data + at[1], step, plan.run, (float) beta);
		else
			add_scaled_double((double *) out->data + at[0], (const double *) c->data + at[1], step, plan.run, beta);
	}
	return 0;
}

int run_gemm(const struct op_call *call, struct err *err) {
	const struct gemm *state = call->state;
	const struct tensor *a = call->inputs[0], *b = call->inputs[1];
	char left[160], right[160];
	bool turn_a = state->is_a_turned != 0, turn_b = state->is_b_turned != 0;
	if (a->shape.rank != 2 || b->shape.rank != 2 || a->shape.dims[!turn_a] != b->shape.dims[turn_b])
		return err_set(err, ERR_INVALID, "matrices of shapes %s and %s do not go together", op_shape_text(&a->shape, left),
			op_shape_text(&b->shape, right));
	struct shape shape = {.rank = 2, .dims = {a->shape.dims[turn_a], b->shape.dims[!turn_b]}};
	const void *a_data = turned(call, a, turn_a, err), *b_data = a_data ? turned(call, b, turn_b, err) : NULL;
	if (!b_data || op_output(call, 0, a->dtype, &shape, err) != 0)
		return -1;
	int64_t count = shape_count(&shape);
	memset(call->outputs[0].data, 0, (size_t) count * dtype_size(a->dtype));
	multiply(a->dtype, a_data, b_data, call->outputs[0].data, shape.dims[0], a->shape.dims[!turn_a], shape.dims[1]);
	if (a->dtype == DTYPE_FLOAT)
		scale_float(call->outputs[0].data, count, state->alpha);
	else
		scale_double(call->outputs[0].data, count, (double) state->alpha);
	const struct tensor *c = call->inputs_count > 2 ? call->inputs[2] : NULL;
	return c ? add_bias(call, c, (double) state->beta, err) : 0;
}
