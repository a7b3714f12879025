#include "runner/ops/broadcast.h"

/* The dimension of a shape that lines up with dimension `dim` of a result of `rank`; 1 where it has none. */
static int64_t aligned(const struct shape *shape, int rank, int dim) {
	int own = dim - (rank - shape->rank);
	return own < 0 ? 1 : shape->dims[own];
}

static int merge(const struct shape *a, const struct shape *b, struct shape *out, struct err *err) {
	struct shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
	char left[160], right[160];
	for (int dim = 0; dim < result.rank; dim++) {
		int64_t x = aligned(a, result.rank, dim), y = aligned(b, result.rank, dim);
		if (x != y && x != 1 && y != 1)
			return err_set(err, ERR_INVALID, "shapes %s and %s do not go together", op_shape_text(a, left), op_shape_text(b, right));
		result.dims[dim] = x == 1 ? y : x;
	}
	*out = result;
	return 0;
}

int broadcast_plan(const struct shape *const *shapes, int count, struct broadcast *out, struct err *err) {
	struct broadcast plan = {.shape = *shapes[0], .operands = count};
	for (int i = 1; i < count; i++)
		if (merge(&plan.shape, shapes[i], &plan.shape, err) != 0)
			return -1;
	for (int i = 0; i < count; i++) {
		int64_t stride = 1;
		for (int dim = plan.shape.rank - 1; dim >= 0; dim--) {
			int64_t own = aligned(shapes[i], plan.shape.rank, dim);
			plan.strides[i][dim] = own == 1 ? 0 : stride;
			stride *= own;
		}
	}
	int64_t total = shape_count(&plan.shape);
	plan.run = plan.shape.rank ? plan.shape.dims[plan.shape.rank - 1] : 1;
	plan.runs = plan.run && total > 0 ? total / plan.run : 0;
	*out = plan;
	return 0;
}

void broadcast_at(const struct broadcast *plan, int64_t index, int64_t offsets[BROADCAST_OPERANDS_MAX]) {
	for (int i = 0; i < plan->operands; i++)
		offsets[i] = 0;
	for (int dim = plan->shape.rank - 2; dim >= 0; dim--) {
		int64_t at = index % plan->shape.dims[dim];
		index /= plan->shape.dims[dim];
		for (int i = 0; i < plan->operands; i++)
			offsets[i] += at * plan->strides[i][dim];
	}
}

int64_t broadcast_step(const struct broadcast *plan, int operand) {
	return plan->shape.rank ? plan->strides[operand][plan->shape.rank - 1] : 0;
}
