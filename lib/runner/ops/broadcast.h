/* Two (or three) tensors taken together element by element, the ONNX way: shapes are aligned at their ends, a dimension of 1 is repeated. The
 * walk goes along the last dimension in runs, so that an operator's loop sees plain strides of 0 or 1. */
#pragma once

#include "runner/model/op.h"

#define BROADCAST_OPERANDS_MAX 3

struct broadcast {
	struct shape shape; /* of the result */
	int operands;
	int64_t strides[BROADCAST_OPERANDS_MAX][TENSOR_RANK_MAX];
	int64_t run, runs; /* length and number of the runs */
};
/* ERR_INVALID naming the two shapes that do not go together. */
int broadcast_plan(const struct shape *const *shapes, int count, struct broadcast *out, struct err *err);
/* Element offsets of each operand where run number `index` starts. */
void broadcast_at(const struct broadcast *plan, int64_t index, int64_t offsets[BROADCAST_OPERANDS_MAX]);
/* Stride of an operand within a run. */
int64_t broadcast_step(const struct broadcast *plan, int operand);
