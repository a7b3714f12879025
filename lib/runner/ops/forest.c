#include "runner/ops/forest.h"

#include "runner/model/lookup.h"

#include <math.h>

static const char *const branch_words[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "LEAF"};

struct maker {
	struct op_load *load;
	const struct forest_lists *lists;
	struct arena scratch;
	size_t trees;
	uint32_t *tree_of;     /* per entry: which tree, by first appearance */
	int64_t *keys;         /* tree << 32 | node id, what children are found by */
	struct lookup entries;
	uint8_t *modes;
	uint32_t *yes, *no;    /* per entry: its children's entries */
	uint8_t *has_parent;
	uint32_t *root_of;     /* per tree: its root's entry */
	struct forest_node *nodes;
	bool is_simplified; /* comparisons become <= */
	uint32_t *place;       /* per entry: where it went in nodes, + 1; 0: not yet */
	struct err *err;
};

static int out_of_limit(struct maker *maker) {
	return err_set(maker->err, ERR_LIMIT, "the trees need more memory to load than is allowed");
}

static int refuse(struct maker *maker, size_t entry, const char *what) {
	return err_set(maker->err, ERR_INVALID, "tree %lld, node %lld: %s", (long long) maker->lists->tree_ids[entry],
		(long long) maker->lists->node_ids[entry], what);
}

#define TAKE(maker, pointer, count) (((pointer) = arena_alloc(&(maker)->scratch, ((count) + 1) * sizeof(*(pointer)))) ? 0 : out_of_limit(maker))

/* Trees are numbered by first appearance: their ids may be anything. */
static int number_trees(struct maker *maker) {
	const struct forest_lists *lists = maker->lists;
	struct lookup ids;
	uint32_t *number; /* per entry that is the first of its tree */
	if (TAKE(maker, maker->tree_of, lists->nodes) != 0 || TAKE(maker, maker->keys, lists->nodes) != 0 || TAKE(maker, number, lists->nodes) != 0)
		return -1;
	if (lookup_ints(&ids, lists->tree_ids, lists->nodes, &maker->scratch, NULL) != 0)
		return out_of_limit(maker);
	for (size_t i = 0; i < lists->nodes; i++) {
		size_t first = i > 0 && lists->tree_ids[i] == lists->tree_ids[i - 1] ? SIZE_MAX : (size_t) lookup_int(&ids, lists->tree_ids[i]);
		if (first == i)
			number[i] = (uint32_t) maker->trees++;
		maker->tree_of[i] = first == SIZE_MAX ? maker->tree_of[i - 1] : number[first];
		if (lists->node_ids[i] < 0 || lists->node_ids[i] > UINT32_MAX)
			return refuse(maker, i, "its number is out of range");
		maker->keys[i] = (int64_t) ((uint64_t) maker->tree_of[i] << 32 | (uint64_t) lists->node_ids[i]);
	}
	int64_t duplicate;
	if (lookup_ints(&maker->entries, maker->keys, lists->nodes, &maker->scratch, &duplicate) != 0)
		return out_of_limit(maker);
	return duplicate < 0 ? 0 : refuse(maker, (size_t) duplicate, "it is there twice");
}

/* Most files list a tree's nodes in order, so entry `from + (id - from's id)` is nearly always right. */
static int64_t entry_of(const struct maker *maker, size_t from, int64_t id) {
	const struct forest_lists *lists = maker->lists;
	if (id < 0 || id > UINT32_MAX)
		return -1;
	int64_t key = (int64_t) ((uint64_t) maker->tree_of[from] << 32 | (uint64_t) id), guess = (int64_t) from + id - lists->node_ids[from];
	if (guess >= 0 && guess < (int64_t) lists->nodes && maker->keys[guess] == key)
		return guess;
	return lookup_int(&maker->entries, key);
}

static int read_mode(struct maker *maker, size_t entry) {
	struct str mode = maker->lists->modes[entry];
	for (size_t i = 0; i <= BRANCH_LEAF; i++) {
		if (str_is(mode, branch_words[i])) {
			maker->modes[entry] = (uint8_t) i;
			return 0;
		}
	}
	return refuse(maker, entry, "its mode is none of BRANCH_LEQ, LT, GTE, GT, EQ, NEQ and LEAF");
}

static int link_child(struct maker *maker, size_t entry, int64_t id, uint32_t *out) {
	int64_t child = entry_of(maker, entry, id);
	if (child < 0)
		return refuse(maker, entry, "a child of it is not in the tree");
	if (maker->has_parent[child])
		return refuse(maker, (size_t) child, "it has two parents");
	maker->has_parent[child] = 1;
	*out = (uint32_t) child;
	return 0;
}

static int link_nodes(struct maker *maker) {
	const struct forest_lists *lists = maker->lists;
	if (TAKE(maker, maker->modes, lists->nodes) != 0 || TAKE(maker, maker->yes, lists->nodes) != 0 || TAKE(maker, maker->no, lists->nodes) != 0 ||
		TAKE(maker, maker->has_parent, lists->nodes) != 0 || TAKE(maker, maker->root_of, maker->trees) != 0)
		return -1;
	for (size_t i = 0; i < lists->nodes; i++) {
		if (read_mode(maker, i) != 0)
			return -1;
		if (maker->modes[i] == BRANCH_LEAF)
			continue;
		if (lists->feature_ids[i] < 0 || lists->feature_ids[i] >= FOREST_FEATURES_MAX)
			return refuse(maker, i, "its feature is out of range");
		if (link_child(maker, i, lists->true_ids[i], &maker->yes[i]) != 0 || link_child(maker, i, lists->false_ids[i], &maker->no[i]) != 0)
			return -1;
	}
	uint8_t *has_root;
	if (TAKE(maker, has_root, maker->trees) != 0)
		return -1;
	for (size_t i = 0; i < lists->nodes; i++) {
		if (maker->has_parent[i])
			continue;
		if (has_root[maker->tree_of[i]])
			return refuse(maker, i, "the tree has a second root: this node cannot be reached");
		has_root[maker->tree_of[i]] = 1;
		maker->root_of[maker->tree_of[i]] = (uint32_t) i;
	}
	for (size_t i = 0; i < lists->nodes; i++)
		if (!has_root[maker->tree_of[i]])
			return refuse(maker, i, "the tree has no root: its nodes are a circle");
	return 0;
}

/* x < v, x > v and x >= v as a comparison by <=, exact for floats; *swap says that the children change sides. NaN keeps its way: it failed the
 * comparison before, so after a change of sides it has to pass. */
static void simplify(struct forest_node *node, bool *swap) {
	bool is_strict = node->mode == BRANCH_LT || node->mode == BRANCH_GTE;
	if (node->mode > BRANCH_GT || isnan(node->value) || (is_strict && isinf(node->value)))
		return;
	*swap = node->mode == BRANCH_GTE || node->mode == BRANCH_GT;
	if (is_strict)
		node->value = nextafterf(node->value, -INFINITY);
	if (*swap)
		node->is_nan_true = !node->is_nan_true;
	node->mode = BRANCH_LEQ;
}

static void fill_branch(struct maker *maker, uint32_t entry, struct forest_node *node, struct forest *forest, bool *swap) {
	const struct forest_lists *lists = maker->lists;
	node->value = lists->values ? lists->values[entry] : (float) lists->double_values[entry];
	node->feature = (uint32_t) lists->feature_ids[entry];
	node->is_nan_true = lists->missing_true && lists->missing_true[entry] == 1;
	if (maker->is_simplified)
		simplify(node, swap);
	enum forest_kind kind = node->mode != BRANCH_LEQ || lists->double_values ? FOREST_ANY : node->is_nan_true ? FOREST_LEQ_NAN : FOREST_LEQ;
	if (kind > forest->kind)
		forest->kind = kind;
	if (lists->feature_ids[entry] >= forest->features_min)
		forest->features_min = lists->feature_ids[entry] + 1;
}

/* Walks every tree from its root, with a stack of its own, and lays children side by side. */
static int place_nodes(struct maker *maker, uint32_t *roots, struct forest *forest) {
	const struct forest_lists *lists = maker->lists;
	uint32_t *stack;
	size_t used = 0;
	if (TAKE(maker, stack, lists->nodes) != 0 || TAKE(maker, maker->place, lists->nodes) != 0)
		return -1;
	for (size_t tree = 0; tree < maker->trees; tree++) {
		size_t depth = 0;
		roots[tree] = (uint32_t) used;
		maker->place[maker->root_of[tree]] = (uint32_t) ++used;
		stack[depth++] = maker->root_of[tree];
		while (depth) {
			uint32_t entry = stack[--depth];
			struct forest_node *node = &maker->nodes[maker->place[entry] - 1];
			bool swap = false;
			*node = (struct forest_node) {.mode = maker->modes[entry]};
			if (node->mode == BRANCH_LEAF)
				continue;
			fill_branch(maker, entry, node, forest, &swap);
			node->child = (uint32_t) used;
			uint32_t first = swap ? maker->no[entry] : maker->yes[entry], second = swap ? maker->yes[entry] : maker->no[entry];
			maker->place[first] = (uint32_t) ++used;
			maker->place[second] = (uint32_t) ++used;
			stack[depth++] = second;
			stack[depth++] = first;
		}
	}
	for (size_t i = 0; i < lists->nodes; i++)
		if (maker->place[i] == 0)
			return refuse(maker, i, "it cannot be reached from the root of its tree");
	return 0;
}

static int keep_thresholds(struct maker *maker, struct forest *forest) {
	const struct forest_lists *lists = maker->lists;
	if (!lists->double_values)
		return 0;
	double *thresholds = op_allocate(maker->load, lists->nodes, sizeof(*thresholds), maker->err);
	if (!thresholds)
		return -1;
	for (size_t i = 0; i < lists->nodes; i++)
		thresholds[maker->place[i] - 1] = lists->double_values[i];
	forest->thresholds = thresholds;
	return 0;
}

/* Weights of one leaf lie together, in the file's order. Weights on branches say nothing and are left out. */
static int place_weights(struct maker *maker, struct forest *forest) {
	const struct forest_lists *lists = maker->lists;
	uint32_t *leaf_of; /* per weight: its node's place */
	struct lookup trees;
	int64_t tree_entry = -1;
	if (TAKE(maker, leaf_of, lists->weights) != 0)
		return -1;
	if (lookup_ints(&trees, lists->tree_ids, lists->nodes, &maker->scratch, NULL) != 0)
		return out_of_limit(maker);
	for (size_t i = 0; i < lists->weights; i++) {
		if (i == 0 || lists->weight_trees[i] != lists->weight_trees[i - 1])
			tree_entry = lookup_int(&trees, lists->weight_trees[i]);
		int64_t entry = tree_entry < 0 ? -1 : entry_of(maker, (size_t) tree_entry, lists->weight_nodes[i]);
		if (entry < 0)
			return err_set(maker->err, ERR_INVALID, "weight %zu belongs to node %lld of tree %lld, which is not there", i,
				(long long) lists->weight_nodes[i], (long long) lists->weight_trees[i]);
		if (lists->weight_targets[i] < 0 || (size_t) lists->weight_targets[i] >= forest->targets)
			return err_set(maker->err, ERR_INVALID, "weight %zu is for target %lld of %zu", i, (long long) lists->weight_targets[i],
				forest->targets);
		leaf_of[i] = maker->place[entry] - 1;
		if (maker->nodes[leaf_of[i]].mode == BRANCH_LEAF)
			maker->nodes[leaf_of[i]].feature++;
	}
	struct forest_weight *weights;
	if (TAKE(maker, weights, lists->weights) != 0)
		return -1;
	uint32_t used = 0;
	for (size_t i = 0; i < lists->nodes; i++) {
		if (maker->nodes[i].mode != BRANCH_LEAF)
			continue;
		maker->nodes[i].child = used;
		used += maker->nodes[i].feature;
		maker->nodes[i].feature = 0;
	}
	for (size_t i = 0; i < lists->weights; i++) {
		struct forest_node *leaf = &maker->nodes[leaf_of[i]];
		if (leaf->mode != BRANCH_LEAF)
			continue;
		double value = lists->weight_values ? (double) lists->weight_values[i] : lists->double_weights[i];
		weights[leaf->child + leaf->feature++] = (struct forest_weight) {value, (uint32_t) lists->weight_targets[i]};
	}
	forest->weights = weights;
	forest->weights_count = used;
	return 0;
}

/* A random forest's leaf has a share for each class: then plain rows of floats do. */
static bool is_dense(const struct maker *maker, const struct forest *forest) {
	const struct forest_lists *lists = maker->lists;
	if (lists->double_weights || !lists->is_float || !lists->is_summed || forest->targets < 2 || forest->targets > FOREST_DENSE_MAX)
		return false;
	for (size_t i = 0; i < forest->nodes_count; i++) {
		const struct forest_node *leaf = &maker->nodes[i];
		if (leaf->mode != BRANCH_LEAF)
			continue;
		if (leaf->feature != forest->targets)
			return false;
		for (uint32_t j = 0; j < leaf->feature; j++)
			if (forest->weights[leaf->child + j].target != j)
				return false;
	}
	return true;
}

/* From the maker's memory into the model's. */
static int keep_weights(struct maker *maker, struct forest *forest) {
	if (!is_dense(maker, forest))
		return op_keep(maker->load, forest->weights, forest->weights_count, sizeof(*forest->weights), &forest->weights, maker->err);
	float *dense = op_allocate(maker->load, forest->weights_count, sizeof(*dense), maker->err);
	if (!dense)
		return -1;
	for (size_t i = 0; i < forest->weights_count; i++)
		dense[i] = (float) forest->weights[i].value;
	forest->weights = NULL;
	forest->dense = dense;
	return 0;
}

int forest_make(struct op_load *load, const struct forest_lists *lists, size_t targets, struct forest *out, struct err *err) {
	if (lists->nodes == 0 || lists->nodes > FOREST_NODES_MAX || lists->weights > FOREST_NODES_MAX * 8)
		return err_set(err, ERR_LIMIT, "%zu nodes and %zu weights, 1 to %zu nodes are supported", lists->nodes, lists->weights, FOREST_NODES_MAX);
	struct maker maker = {.load = load, .lists = lists, .scratch = {.bytes_max = load->memory->bytes_max}, .err = err};
	maker.is_simplified = lists->is_float && !lists->double_values;
	struct forest forest = {.nodes_count = lists->nodes, .targets = targets};
	maker.nodes = op_allocate(load, lists->nodes, sizeof(*maker.nodes), err);
	int rc = maker.nodes ? number_trees(&maker) : -1;
	rc = rc == 0 ? link_nodes(&maker) : rc;
	uint32_t *roots = rc == 0 ? op_allocate(load, maker.trees, sizeof(*roots), err) : NULL;
	rc = roots ? place_nodes(&maker, roots, &forest) : -1;
	forest.nodes = maker.nodes;
	forest.roots = roots;
	forest.trees_count = maker.trees;
	rc = rc == 0 ? keep_thresholds(&maker, &forest) : rc;
	rc = rc == 0 ? place_weights(&maker, &forest) : rc;
	rc = rc == 0 ? keep_weights(&maker, &forest) : rc;
	arena_clear(&maker.scratch);
	if (rc == 0)
		*out = forest;
	return rc;
}

static bool goes_true(enum branch mode, double x, double threshold) {
	switch (mode) {
	case BRANCH_LEQ: return x <= threshold;
	case BRANCH_LT: return x < threshold;
	case BRANCH_GTE: return x >= threshold;
	case BRANCH_GT: return x > threshold;
	case BRANCH_EQ: return !(x < threshold) && !(x > threshold) && !isnan(x) && !isnan(threshold);
	case BRANCH_NEQ: return x < threshold || x > threshold || isnan(x) || isnan(threshold);
	default: return true;
	}
}

const struct forest_node *forest_leaf(const struct forest *forest, size_t tree, const float *row) {
	const struct forest_node *nodes = forest->nodes, *node = &nodes[forest->roots[tree]];
	if (forest->kind == FOREST_LEQ) {
		while (node->mode != BRANCH_LEAF)
			node = &nodes[node->child + !(row[node->feature] <= node->value)];
		return node;
	}
	if (forest->kind == FOREST_LEQ_NAN) {
		while (node->mode != BRANCH_LEAF) {
			float x = row[node->feature];
			node = &nodes[node->child + (uint32_t) (!(x <= node->value) & !(node->is_nan_true & isnan(x)))];
		}
		return node;
	}
	/* A float compared with a float is the same comparison when both are widened. */
	while (node->mode != BRANCH_LEAF) {
		float x = row[node->feature];
		bool is_true = goes_true(node->mode, (double) x, forest->thresholds ? forest->thresholds[node - nodes] : (double) node->value);
		node = &nodes[node->child + !(is_true || (node->is_nan_true && isnan(x)))];
	}
	return node;
}

const struct forest_node *forest_leaf_double(const struct forest *forest, size_t tree, const double *row) {
	const struct forest_node *nodes = forest->nodes, *node = &nodes[forest->roots[tree]];
	while (node->mode != BRANCH_LEAF) {
		double x = row[node->feature];
		bool is_true = goes_true(node->mode, x, forest->thresholds ? forest->thresholds[node - nodes] : (double) node->value);
		node = &nodes[node->child + !(is_true || (node->is_nan_true && isnan(x)))];
	}
	return node;
}
