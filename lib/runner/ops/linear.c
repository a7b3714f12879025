/* ai.onnx.ml LinearClassifier and LinearRegressor: rows times coefficients, then a transform. */
#include "runner/ops/kernels.h"

#include "base/num.h"
#include "runner/ops/gemm.h"
#include "runner/ops/labels.h"

struct linear {
	struct labels labels;
	enum post post;
	size_t targets; /* rows of coefficients */
	int64_t features;
	const float *weights; /* [features][targets]: turned, so that the product runs along memory */
	const float *intercepts;
};

/* The file has [targets][features]. */
static int keep_weights(struct op_load *load, struct linear *state, struct err *err) {
	const float *from, *intercepts;
	size_t count, intercepts_count;
	if (op_opt_floats(load, "coefficients", &from, &count, err) != 0 || op_opt_floats(load, "intercepts", &intercepts, &intercepts_count, err) != 0)
		return -1;
	if (state->targets == 0)
		state->targets = intercepts_count;
	if (count == 0 || state->targets == 0 || count % state->targets != 0 || (intercepts_count && intercepts_count != state->targets))
		return err_set(err, ERR_INVALID, "%zu coefficients and %zu intercepts do not fit %zu targets", count, intercepts_count, state->targets);
	size_t features = count / state->targets;
	float *weights = op_allocate(load, count, sizeof(*weights), err), *kept = op_allocate(load, state->targets, sizeof(*kept), err);
	if (!weights || !kept)
		return -1;
	for (size_t target = 0; target < state->targets; target++)
		for (size_t i = 0; i < features; i++)
			weights[i * state->targets + target] = from[target * features + i];
	if (intercepts_count)
		memcpy(kept, intercepts, intercepts_count * sizeof(*kept));
	state->features = (int64_t) features;
	state->weights = weights;
	state->intercepts = kept;
	return 0;
}

int infer_linear_classifier(struct op_load *load, struct err *err) {
	struct linear *state = op_allocate(load, 1, sizeof(*state), err);
	op_ignore(load, "multi_class");
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || post_read(load, &state->post, err) != 0 ||
		labels_read(load, "classlabels_ints", "classlabels_strings", &state->labels, err) != 0)
		return -1;
	if (!op_has(load, "intercepts"))
		state->targets = state->labels.count == 2 ? 1 : state->labels.count;
	if (keep_weights(load, state, err) != 0)
		return -1;
	size_t needed = state->targets == 1 ? 2 : state->targets;
	if (state->labels.count != needed)
		return err_set(err, ERR_INVALID, "it has %zu class labels, its %zu rows of coefficients need %zu", state->labels.count, state->targets, needed);
	load->state = state;
	load->dtypes[0] = labels_dtype(&state->labels);
	load->dtypes[1] = DTYPE_FLOAT;
	return 0;
}

/* Rows of scores with `stride` between them; only the first `targets` of each are written. */
static int scores_of(const struct op_call *call, const struct linear *state, int64_t rows, int64_t columns, float **scores, struct err *err) {
	if (columns != state->features)
		return err_set(err, ERR_INVALID, "its input has %lld columns, it takes %lld", (long long) columns, (long long) state->features);
	int64_t targets = (int64_t) state->targets;
	const float *x = op_as_floats(call, call->inputs[0], err);
	float *out = x ? op_scratch(call, rows * targets, sizeof(*out), err) : NULL;
	if (!out)
		return -1;
	for (int64_t i = 0; i < rows; i++)
		memcpy(out + i * targets, state->intercepts, state->targets * sizeof(*out));
	gemm_float(x, state->weights, out, rows, columns, targets);
	*scores = out;
	return 0;
}

static size_t index_of_largest(const float *scores, size_t count) {
	size_t best = 0;
	for (size_t i = 1; i < count; i++)
		if (scores[i] > scores[best])
			best = i;
	return best;
}

/* One score for two classes: the second class's. */
static void two_of_one(enum post post, float score, float out[2]) {
	out[0] = post == POST_LOGISTIC ? post_logistic(-score) : 1 - score;
	out[1] = post == POST_LOGISTIC ? post_logistic(score) : score;
}

int run_linear_classifier(const struct op_call *call, struct err *err) {
	const struct linear *state = call->state;
	int64_t rows, columns;
	float *scores;
	if (op_rows(call->inputs[0], &rows, &columns, err) != 0 || scores_of(call, state, rows, columns, &scores, err) != 0)
		return -1;
	struct shape labels_shape = {.rank = 1, .dims = {rows}};
	struct shape scores_shape = {.rank = 2, .dims = {rows, (int64_t) state->labels.count}};
	/* The second output may be left out of the model. */
	struct tensor outputs[2];
	struct op_call to = *call;
	to.outputs = outputs;
	if (op_output(&to, 0, labels_dtype(&state->labels), &labels_shape, err) != 0 || op_output(&to, 1, DTYPE_FLOAT, &scores_shape, err) != 0)
		return -1;
	for (int64_t i = 0; i < rows; i++) {
		float *row = scores + i * (int64_t) state->targets, *out = (float *) outputs[1].data + i * (int64_t) state->labels.count;
		if (state->targets == 1) {
			labels_put(&state->labels, row[0] > 0, &outputs[0], i);
			two_of_one(state->post, row[0], out);
			continue;
		}
		labels_put(&state->labels, index_of_largest(row, state->targets), &outputs[0], i);
		memcpy(out, row, state->targets * sizeof(*out));
		post_apply(state->post, out, state->targets);
	}
	memcpy(call->outputs, outputs, call->outputs_count * sizeof(outputs[0]));
	return 0;
}

int infer_linear_regressor(struct op_load *load, struct err *err) {
	struct linear *state = op_allocate(load, 1, sizeof(*state), err);
	int64_t targets;
	if (!state || op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || post_read(load, &state->post, err) != 0 ||
		op_opt_int(load, "targets", 1, &targets, err) != 0)
		return -1;
	if (targets < 1 || targets > (1 << 24))
		return err_set(err, ERR_INVALID, "targets is %lld", (long long) targets);
	state->targets = (size_t) targets;
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return keep_weights(load, state, err);
}

int run_linear_regressor(const struct op_call *call, struct err *err) {
	const struct linear *state = call->state;
	int64_t rows, columns;
	float *scores;
	if (op_rows(call->inputs[0], &rows, &columns, err) != 0 || scores_of(call, state, rows, columns, &scores, err) != 0)
		return -1;
	/* ONNX Runtime transforms a single target by PROBIT only, and who exported the model has compared with it. */
	for (int64_t i = 0; i < rows && (state->targets > 1 || state->post == POST_PROBIT); i++)
		post_apply(state->post, scores + i * (int64_t) state->targets, state->targets);
	struct shape shape = {.rank = 2, .dims = {rows, (int64_t) state->targets}};
	call->outputs[0] = (struct tensor) {.dtype = DTYPE_FLOAT, .shape = shape, .data = scores};
	return 0;
}
