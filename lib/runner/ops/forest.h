/* Decision trees, flattened for running: made once from the lists of an ONNX TreeEnsemble, verified whole, then read by all workers.
 *
 * A node is 16 bytes and its two children lie side by side, so a step down is one comparison and one addition. Verified when made: every child
 * is a node of the same tree, every node has one parent at most, every tree has one root from which all of it is reached (so no walk
 * can loop), every feature and target is in range. */
#pragma once

#include "runner/model/op.h"

#define FOREST_NODES_MAX ((size_t) 1 << 27)
#define FOREST_FEATURES_MAX (1 << 24)
#define FOREST_TARGETS_MAX (1 << 20)
#define FOREST_DENSE_MAX 16 /* targets of a forest whose weights are plain rows of floats */

enum branch { BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, BRANCH_EQ, BRANCH_NEQ, BRANCH_LEAF };

struct forest_lists { /* as ONNX gives them: one entry per node, and one per weight of a leaf */
	size_t nodes, weights;
	const int64_t *tree_ids, *node_ids, *feature_ids, *true_ids, *false_ids, *missing_true; /* missing_true may be NULL */
	const struct str *modes;
	const float *values;          /* one of the two */
	const double *double_values;
	const int64_t *weight_trees, *weight_nodes, *weight_targets;
	const float *weight_values;   /* one of the two */
	const double *double_weights;
	bool is_float;  /* rows will be float32 */
	bool is_summed; /* the leaves' weights are added up, nothing else */
};

struct forest_node {
	float value;      /* threshold */
	uint32_t feature; /* where a leaf has the number of its weights */
	uint32_t child;   /* the true one, the false one follows; of a leaf its first weight */
	uint8_t mode;     /* enum branch */
	uint8_t is_nan_true; /* NaN goes to the true child, whatever the comparison says */
	uint16_t padding;
};

/* How much the walk has to ask at each node, from the shortest loop to the longest. */
enum forest_kind {
	FOREST_LEQ,     /* x <= value, NaN to the false child */
	FOREST_LEQ_NAN, /* x <= value, NaN where the node says */
	FOREST_ANY,     /* any comparison, or thresholds in float64 */
};

struct forest_weight {
	double value;
	uint32_t target;
};

struct forest {
	size_t nodes_count, trees_count, weights_count;
	const struct forest_node *nodes;
	const uint32_t *roots;
	const struct forest_weight *weights; /* one of the two; a leaf's `child` is where its own start */
	const float *dense;      /* float rows, summed, and every leaf has one weight for each of a few targets, in order */
	const double *thresholds; /* per node, when they are doubles */
	int64_t features_min;    /* columns that a row must have */
	size_t targets;
	enum forest_kind kind;
};

int forest_make(struct op_load *load, const struct forest_lists *lists, size_t targets, struct forest *forest, struct err *err);
/* The leaf that a row falls into. With float32 thresholds <, > and >= are made into <= when the forest is made: for x < v the threshold becomes the
 * next smaller float, for > and >= the children change sides. That is exact for float rows only, so rows of doubles take another forest. */
const struct forest_node *forest_leaf(const struct forest *forest, size_t tree, const float *row);
const struct forest_node *forest_leaf_double(const struct forest *forest, size_t tree, const double *row);
