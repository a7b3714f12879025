/* ai.onnx.ml TreeEnsembleClassifier and TreeEnsembleRegressor. The sums are made in float32 in the order of the trees when the input is float32,
 * as ONNX Runtime makes them: at a tie of two classes the last bit decides. */
#include "runner/ops/kernels.h"

#include "runner/ops/forest.h"
#include "runner/ops/labels.h"

enum aggregate { AGGREGATE_SUM, AGGREGATE_AVERAGE, /* the two that add */ AGGREGATE_MIN, AGGREGATE_MAX };

struct trees {
	struct forest forest;
	struct labels labels;
	enum post post;
	size_t aggregate;
	size_t base_count;
	const double *base;
	bool is_one_class_scored; /* two classes, but all weights are for one of them */
	bool is_all_positive;     /* no weight is negative: a score is a probability then, and 0.5 the border */
};

static int ints_of(struct op_load *load, const char *name, size_t needed, const int64_t **out, struct err *err) {
	size_t count;
	if (op_opt_ints(load, name, out, &count, err) != 0)
		return -1;
	return count == needed ? 0 : err_set(err, ERR_INVALID, "%s has %zu entries, %zu are needed", name, count, needed);
}

/* A list of floats, or since ai.onnx.ml 3 a tensor of floats or doubles under `name` + "_as_tensor". */
static int numbers_of(struct op_load *load, const char *name, const char *tensor_name, const float **floats, const double **doubles, size_t *count,
	struct err *err) {
	const struct tensor *tensor;
	*doubles = NULL;
	if (op_opt_floats(load, name, floats, count, err) != 0 || op_opt_tensor(load, tensor_name, &tensor, err) != 0)
		return -1;
	if (!tensor)
		return 0;
	if (*count || (tensor->dtype != DTYPE_FLOAT && tensor->dtype != DTYPE_DOUBLE))
		return err_set(err, ERR_INVALID, "%s is %s", tensor_name, *count ? "there beside the list" : dtype_name(tensor->dtype));
	*count = (size_t) shape_count(&tensor->shape);
	if (tensor->dtype == DTYPE_FLOAT)
		*floats = tensor->data;
	else
		*doubles = tensor->data;
	return 0;
}

struct weight_names {
	const char *trees, *nodes, *targets, *values, *values_tensor;
};

static int read_nodes(struct op_load *load, struct forest_lists *lists, struct err *err) {
	const struct str *modes;
	size_t count, values, missing;
	op_ignore(load, "nodes_hitrates");
	op_ignore(load, "nodes_hitrates_as_tensor");
	if (op_opt_ints(load, "nodes_treeids", &lists->tree_ids, &count, err) != 0)
		return -1;
	if (ints_of(load, "nodes_nodeids", count, &lists->node_ids, err) != 0 || ints_of(load, "nodes_featureids", count, &lists->feature_ids, err) != 0 ||
		ints_of(load, "nodes_truenodeids", count, &lists->true_ids, err) != 0 ||
		ints_of(load, "nodes_falsenodeids", count, &lists->false_ids, err) != 0 ||
		op_opt_ints(load, "nodes_missing_value_tracks_true", &lists->missing_true, &missing, err) != 0 ||
		op_opt_texts(load, "nodes_modes", &modes, &values, err) != 0)
		return -1;
	if (values != count || (missing && missing != count))
		return err_set(err, ERR_INVALID, "nodes_modes has %zu entries, %zu are needed", values, count);
	if (missing == 0)
		lists->missing_true = NULL;
	lists->modes = modes;
	lists->nodes = count;
	if (numbers_of(load, "nodes_values", "nodes_values_as_tensor", &lists->values, &lists->double_values, &values, err) != 0)
		return -1;
	return values == count ? 0 : err_set(err, ERR_INVALID, "nodes_values has %zu entries, %zu are needed", values, count);
}

static int read_weights(struct op_load *load, const struct weight_names *names, struct forest_lists *lists, struct err *err) {
	size_t count;
	if (numbers_of(load, names->values, names->values_tensor, &lists->weight_values, &lists->double_weights, &count, err) != 0 ||
		ints_of(load, names->trees, count, &lists->weight_trees, err) != 0 || ints_of(load, names->nodes, count, &lists->weight_nodes, err) != 0 ||
		ints_of(load, names->targets, count, &lists->weight_targets, err) != 0)
		return -1;
	lists->weights = count;
	return 0;
}

static int read_base(struct op_load *load, struct trees *state, struct err *err) {
	const float *floats;
	const double *doubles;
	if (numbers_of(load, "base_values", "base_values_as_tensor", &floats, &doubles, &state->base_count, err) != 0)
		return -1;
	double *base = op_allocate(load, state->base_count, sizeof(*base), err);
	for (size_t i = 0; base && i < state->base_count; i++)
		base[i] = doubles ? doubles[i] : (double) floats[i];
	state->base = base;
	return base ? 0 : -1;
}

static int read_trees(struct op_load *load, const struct weight_names *names, size_t targets, struct trees *state, struct err *err) {
	struct forest_lists lists = {.is_float = load->inputs[0].dtype != DTYPE_DOUBLE, .is_summed = state->aggregate == AGGREGATE_SUM};
	if (op_need_dtype(load, 0, OP_NUMBERS, err) != 0 || post_read(load, &state->post, err) != 0 || read_base(load, state, err) != 0 ||
		read_nodes(load, &lists, err) != 0 || read_weights(load, names, &lists, err) != 0 ||
		forest_make(load, &lists, targets, &state->forest, err) != 0)
		return -1;
	if (state->base_count > targets)
		return err_set(err, ERR_INVALID, "base_values has %zu entries for %zu targets", state->base_count, targets);
	state->is_one_class_scored = state->is_all_positive = true;
	for (size_t i = 0; i < lists.weights; i++) {
		state->is_one_class_scored = state->is_one_class_scored && lists.weight_targets[i] == lists.weight_targets[0];
		if ((lists.weight_values ? (double) lists.weight_values[i] : lists.double_weights[i]) < 0)
			state->is_all_positive = false;
	}
	load->state = state;
	return 0;
}

int infer_tree_classifier(struct op_load *load, struct err *err) {
	static const struct weight_names names = {"class_treeids", "class_nodeids", "class_ids", "class_weights", "class_weights_as_tensor"};
	struct trees *state = op_allocate(load, 1, sizeof(*state), err);
	if (!state || labels_read(load, "classlabels_int64s", "classlabels_strings", &state->labels, err) != 0)
		return -1;
	if (state->labels.count < 2 || state->labels.count > FOREST_TARGETS_MAX)
		return err_set(err, ERR_INVALID, "it has %zu class labels, 2 to %d are supported", state->labels.count, FOREST_TARGETS_MAX);
	load->dtypes[0] = labels_dtype(&state->labels);
	load->dtypes[1] = DTYPE_FLOAT;
	return read_trees(load, &names, state->labels.count, state, err);
}

int infer_tree_regressor(struct op_load *load, struct err *err) {
	static const struct weight_names names = {"target_treeids", "target_nodeids", "target_ids", "target_weights", "target_weights_as_tensor"};
	static const char *const words[] = {"SUM", "AVERAGE", "MIN", "MAX"};
	struct trees *state = op_allocate(load, 1, sizeof(*state), err);
	int64_t targets;
	if (!state || op_opt_int(load, "n_targets", 1, &targets, err) != 0 ||
		op_opt_word(load, "aggregate_function", words, 4, AGGREGATE_SUM, &state->aggregate, err) != 0)
		return -1;
	if (targets < 1 || targets > FOREST_TARGETS_MAX)
		return err_set(err, ERR_INVALID, "n_targets is %lld, 1 to %d are supported", (long long) targets, FOREST_TARGETS_MAX);
	load->dtypes[0] = DTYPE_FLOAT;
	return read_trees(load, &names, (size_t) targets, state, err);
}

/* The sums of one row. `has`: a leaf gave a weight for this target at all. */
struct scores {
	size_t count;
	bool is_float;
	double *sums;
	uint8_t *has;
};

static void take_weight(struct scores *scores, enum aggregate aggregate, uint32_t target, double value) {
	double *sum = &scores->sums[target];
	bool is_first = !scores->has[target];
	scores->has[target] = 1;
	if (aggregate == AGGREGATE_MIN)
		*sum = is_first || value < *sum ? value : *sum;
	else if (aggregate == AGGREGATE_MAX)
		*sum = is_first || value > *sum ? value : *sum;
	else
		/* Rounding the sum of two floats made in double is the sum made in float. */
		*sum = scores->is_float ? (double) (float) (*sum + value) : *sum + value;
}

static double add(const struct scores *scores, double a, double b) {
	return scores->is_float ? (double) (float) (a + b) : a + b;
}

struct rows {
	const float *floats; /* one of the two */
	const double *doubles;
	int64_t count, columns;
};

static int rows_of(const struct op_call *call, const struct trees *state, struct rows *rows, struct err *err) {
	const struct tensor *x = call->inputs[0];
	*rows = (struct rows) {0};
	if (op_rows(x, &rows->count, &rows->columns, err) != 0)
		return -1;
	if (rows->columns < state->forest.features_min)
		return err_set(err, ERR_INVALID, "its input has %lld columns, its trees ask for %lld", (long long) rows->columns,
			(long long) state->forest.features_min);
	if (x->dtype == DTYPE_DOUBLE)
		rows->doubles = x->data;
	else
		rows->floats = op_as_floats(call, x, err);
	return rows->doubles || rows->floats ? 0 : -1;
}

static void sum_dense(const struct forest *forest, const float *row, double *sums, uint8_t *has) {
	float totals[FOREST_DENSE_MAX] = {0};
	size_t targets = forest->targets;
	for (size_t tree = 0; tree < forest->trees_count; tree++) {
		const float *weights = forest->dense + forest_leaf(forest, tree, row)->child;
		for (size_t i = 0; i < targets; i++)
			totals[i] += weights[i];
	}
	for (size_t i = 0; i < targets; i++) {
		sums[i] = (double) totals[i];
		has[i] = 1;
	}
}

static void sum_row(const struct trees *state, const struct rows *rows, int64_t row, struct scores *scores) {
	const struct forest *forest = &state->forest;
	memset(scores->sums, 0, scores->count * sizeof(*scores->sums));
	memset(scores->has, 0, scores->count);
	if (forest->dense) {
		sum_dense(forest, rows->floats + row * rows->columns, scores->sums, scores->has);
		return;
	}
	bool is_plain_sum = scores->is_float && state->aggregate <= AGGREGATE_AVERAGE;
	for (size_t tree = 0; tree < forest->trees_count; tree++) {
		const struct forest_node *leaf = rows->floats ? forest_leaf(forest, tree, rows->floats + row * rows->columns)
							      : forest_leaf_double(forest, tree, rows->doubles + row * rows->columns);
		const struct forest_weight *weights = forest->weights + leaf->child;
		if (leaf->feature == 1 && is_plain_sum) {
			scores->sums[weights->target] = (double) (float) (scores->sums[weights->target] + weights->value);
			scores->has[weights->target] = 1;
			continue;
		}
		for (uint32_t i = 0; i < leaf->feature; i++)
			take_weight(scores, (enum aggregate) state->aggregate, weights[i].target, weights[i].value);
	}
}

static int scores_new(const struct op_call *call, size_t count, struct scores *scores, struct err *err) {
	scores->count = count;
	scores->is_float = call->inputs[0]->dtype != DTYPE_DOUBLE;
	scores->sums = op_scratch(call, (int64_t) count, sizeof(*scores->sums), err);
	scores->has = scores->sums ? op_scratch(call, (int64_t) count, 1, err) : NULL;
	return scores->has ? 0 : -1;
}

int run_tree_regressor(const struct op_call *call, struct err *err) {
	const struct trees *state = call->state;
	size_t targets = state->forest.targets;
	struct rows rows;
	struct scores scores;
	if (rows_of(call, state, &rows, err) != 0 || scores_new(call, targets, &scores, err) != 0)
		return -1;
	struct shape shape = {.rank = 2, .dims = {rows.count, (int64_t) targets}};
	if (op_output(call, 0, DTYPE_FLOAT, &shape, err) != 0)
		return -1;
	for (int64_t row = 0; row < rows.count; row++) {
		float *out = (float *) call->outputs[0].data + row * (int64_t) targets;
		sum_row(state, &rows, row, &scores);
		for (size_t i = 0; i < targets; i++) {
			double sum = scores.sums[i];
			if (state->aggregate == AGGREGATE_AVERAGE)
				sum = scores.is_float ? (double) ((float) sum / (float) state->forest.trees_count) : sum / (double) state->forest.trees_count;
			out[i] = (float) (state->base_count == targets ? add(&scores, sum, state->base[i]) : sum);
		}
		post_apply(state->post, out, targets);
	}
	return 0;
}

static size_t largest(const struct scores *scores) {
	size_t best = scores->count;
	for (size_t i = 0; i < scores->count; i++)
		if (scores->has[i] && (best == scores->count || scores->sums[i] > scores->sums[best]))
			best = i;
	return best == scores->count ? 0 : best;
}

static size_t finish_many(const struct trees *state, struct scores *scores, float *out) {
	for (size_t i = 0; i < state->base_count; i++) {
		scores->sums[i] = scores->has[i] ? add(scores, scores->sums[i], state->base[i]) : state->base[i];
		scores->has[i] = 1;
	}
	for (size_t i = 0; i < scores->count; i++)
		out[i] = (float) scores->sums[i];
	size_t best = largest(scores);
	post_apply(state->post, out, scores->count);
	return best;
}

/* Two classes of which one score was summed: the other is its complement, of a probability or of a margin. */
static void complement(const struct trees *state, float score, float out[2]) {
	bool is_probability = state->is_one_class_scored && state->is_all_positive;
	out[1] = state->post == POST_LOGISTIC ? post_logistic(score) : score;
	out[0] = state->post == POST_LOGISTIC ? post_logistic(-score) : is_probability ? 1 - score : -score;
}

/* Two classes, as ONNX Runtime does it; the specification leaves it open. Label 1 wins above 0.5 when scores are probabilities, else above 0. */
static size_t finish_two(const struct trees *state, struct scores *scores, float *out) {
	bool has_two = scores->has[1];
	if (state->base_count == 2 && has_two) {
		scores->sums[1] = add(scores, state->base[1], scores->sums[0]);
		scores->sums[0] = -scores->sums[1];
	} else if (state->base_count == 2) {
		scores->sums[1] = add(scores, scores->sums[1], state->base[1]);
		scores->sums[0] = add(scores, scores->sums[0], state->base[0]);
	} else if (state->base_count == 1) {
		scores->sums[0] = add(scores, scores->sums[0], state->base[0]);
	}
	double positive = has_two ? scores->sums[1] : scores->sums[0];
	size_t label = positive > (state->is_one_class_scored && state->is_all_positive ? 0.5 : 0.0);
	if (!has_two && state->base_count < 2) {
		complement(state, (float) scores->sums[0], out);
		return label;
	}
	/* A class that no leaf spoke of scores 0, whatever its base value. */
	out[0] = scores->has[0] ? (float) scores->sums[0] : 0;
	out[1] = has_two ? (float) scores->sums[1] : 0;
	post_apply(state->post, out, 2);
	return label;
}

int run_tree_classifier(const struct op_call *call, struct err *err) {
	const struct trees *state = call->state;
	int64_t classes = (int64_t) state->labels.count;
	struct rows rows;
	struct scores scores;
	if (rows_of(call, state, &rows, err) != 0 || scores_new(call, state->labels.count, &scores, err) != 0)
		return -1;
	struct shape labels_shape = {.rank = 1, .dims = {rows.count}}, scores_shape = {.rank = 2, .dims = {rows.count, classes}};
	/* The second output may be left out of the model. */
	struct tensor outputs[2];
	struct op_call to = *call;
	to.outputs = outputs;
	if (op_output(&to, 0, labels_dtype(&state->labels), &labels_shape, err) != 0 || op_output(&to, 1, DTYPE_FLOAT, &scores_shape, err) != 0)
		return -1;
	for (int64_t row = 0; row < rows.count; row++) {
		float *out = (float *) outputs[1].data + row * classes;
		sum_row(state, &rows, row, &scores);
		size_t label = classes > 2 ? finish_many(state, &scores, out) : finish_two(state, &scores, out);
		labels_put(&state->labels, label, &outputs[0], row);
	}
	memcpy(call->outputs, outputs, call->outputs_count * sizeof(outputs[0]));
	return 0;
}
