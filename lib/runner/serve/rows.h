/* The plain JSON of POST /predict and of golden.jsonl: rows in, predictions out. One codec for the server and for `check`, so that a golden
 * example tests the bytes that a client would see.
 *
 *   request   {"rows": [[5.1, 3.5, ...], ...]}            one input tensor: a list of feature rows
 *             {"rows": [{"age": 39, "job": "x"}, ...]}    several inputs: an object per row, by input name
 *             or the bare array of rows. null is "missing": NaN for floats, refused for others.
 *   answer    {"model":"iris","predictions":[{"label":0,"probability":[0.97,0.02,0.01]}, ...]}   one object per row, keyed by output
 */
#pragma once

#include "data/value.h"
#include "runner/model/model.h"

#define ROWS_MAX 100000

/* Tensors of every input from the request's rows, memory from `arena`. ERR_INVALID names row and column. */
int rows_decode(const struct model *model, const struct value *request, struct arena *arena, struct tensor inputs[MODEL_PORTS_MAX], int64_t *rows,
	struct err *err);
/* Appends the answer. Floats with 9 significant digits (float) or 17 (double), shortest that round-trips. */
int rows_encode(const struct model *model, const struct tensor *outputs, int64_t rows, struct buf *out, struct err *err);
