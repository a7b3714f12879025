#include "runner/model/lookup.h"
#include "runner/model/model_state.h"

#include <limits.h>
#include <stdio.h>

#define LABEL_BYTES_MAX 256
#define TRIAL_ROWS_FEW 1
#define TRIAL_ROWS_MORE 3 /* not 2: a dimension of 2 is often the number of classes */

struct planner {
	struct model *model;
	struct graph *graph;
	const struct op_table *ops;
	struct arena *scratch;
	struct str *names; /* of all values, in the order they come to be: constants, inputs, outputs of nodes */
	enum dtype *dtypes;
	struct lookup by_name;
	size_t defined; /* values below this number exist */
	struct tensor *map_keys;
	bool *is_map;
	struct err *err;
};

static int too_big(struct err *err) {
	return err_set(err, ERR_LIMIT, "the model needs more memory to load than is allowed");
}

static char *port_name(struct model *model, struct str name) {
	return arena_text_n(&model->memory, name.ptr, name.len);
}

static bool is_constant_name(const struct graph *graph, const struct lookup *constants, struct str name) {
	return graph->constants_count && lookup_text(constants, name) >= 0;
}

/* Numbers every value. Old files name their constants among the inputs too: those are not inputs. */
static int name_values(struct planner *planner) {
	struct graph *graph = planner->graph;
	size_t count = graph->constants_count + graph->inputs_count, used = 0;
	for (size_t i = 0; i < graph->nodes_count; i++)
		count += graph->nodes[i].outputs_count;
	struct str *names = arena_alloc(planner->scratch, (count + 1) * sizeof(*names));
	if (!names)
		return too_big(planner->err);
	for (size_t i = 0; i < graph->constants_count; i++)
		names[used++] = graph->constants[i].name;
	struct lookup constants;
	if (lookup_texts(&constants, names, used, planner->scratch, NULL) != 0)
		return too_big(planner->err);
	size_t kept = 0;
	for (size_t i = 0; i < graph->inputs_count; i++) {
		if (is_constant_name(graph, &constants, graph->inputs[i].name))
			continue;
		names[used++] = graph->inputs[i].name;
		graph->inputs[kept++] = graph->inputs[i];
	}
	graph->inputs_count = kept;
	for (size_t i = 0; i < graph->nodes_count; i++)
		for (size_t j = 0; j < graph->nodes[i].outputs_count; j++)
			if (graph->nodes[i].outputs[j].len)
				names[used++] = graph->nodes[i].outputs[j];
	int64_t duplicate;
	if (lookup_texts(&planner->by_name, names, used, planner->scratch, &duplicate) != 0)
		return too_big(planner->err);
	if (duplicate >= 0)
		return err_set(planner->err, ERR_INVALID, "the value '%.*s' is made twice", STR_ARGS(names[duplicate]));
	planner->names = names;
	planner->model->values_count = used;
	return 0;
}

/* Constants outside the mapping live in the file's arena, which ends with the load. */
static int keep_constant(struct model *model, const struct tensor *from, struct tensor *to, struct err *err) {
	*to = *from;
	const char *data = from->data;
	if (data >= model->bytes.ptr && data < model->bytes.ptr + model->bytes.len)
		return 0;
	struct op_load load = {.memory = &model->memory};
	int64_t count = shape_count(&from->shape);
	if (from->dtype != DTYPE_STRING)
		return op_keep(&load, from->data, (size_t) count, dtype_size(from->dtype), &to->data, err);
	const struct str *texts;
	if (op_keep_texts(&load, from->data, (size_t) count, &texts, err) != 0)
		return -1;
	memcpy(&to->data, &texts, sizeof(texts));
	return 0;
}

static int add_constants_and_inputs(struct planner *planner) {
	struct model *model = planner->model;
	struct graph *graph = planner->graph;
	size_t values = model->values_count + 1;
	model->constants = arena_alloc(&model->memory, values * sizeof(*model->constants));
	planner->dtypes = arena_alloc(planner->scratch, values * sizeof(*planner->dtypes));
	planner->is_map = arena_alloc(planner->scratch, values * sizeof(*planner->is_map));
	planner->map_keys = arena_alloc(planner->scratch, values * sizeof(*planner->map_keys));
	if (!model->constants || !planner->dtypes || !planner->is_map || !planner->map_keys)
		return too_big(planner->err);
	for (size_t i = 0; i < graph->constants_count; i++) {
		if (keep_constant(model, &graph->constants[i].tensor, &model->constants[i], planner->err) != 0)
			return -1;
		planner->dtypes[i] = graph->constants[i].tensor.dtype;
	}
	if (graph->inputs_count == 0 || graph->inputs_count > MODEL_PORTS_MAX)
		return err_set(planner->err, ERR_INVALID, "the model has %zu inputs, 1 to %d are supported", graph->inputs_count, MODEL_PORTS_MAX);
	for (size_t i = 0; i < graph->inputs_count; i++) {
		const struct graph_port *from = &graph->inputs[i];
		if (from->is_map_list)
			return err_set(planner->err, ERR_INVALID, "input %.*s is a list or a map: only tensors can be sent", STR_ARGS(from->name));
		struct shape any = {.rank = 2, .dims = {-1, -1}};
		model->inputs[i] = (struct port) {port_name(model, from->name), from->dtype, from->shape.rank < 0 ? any : from->shape, false, {0}};
		if (!model->inputs[i].name)
			return too_big(planner->err);
		model->input_values[i] = (uint32_t) (graph->constants_count + i);
		planner->dtypes[model->input_values[i]] = from->dtype;
	}
	model->inputs_count = graph->inputs_count;
	planner->defined = graph->constants_count + graph->inputs_count;
	return 0;
}

static int domain_version(const struct planner *planner, const struct node *node, int *version) {
	for (size_t i = 0; i < planner->graph->opsets_count; i++)
		if (str_equal(planner->graph->opsets[i].domain, node->domain))
			*version = planner->graph->opsets[i].version;
	if (*version == 0)
		return err_set(planner->err, ERR_INVALID, "the model does not import the operator set '%.*s'", STR_ARGS(node->domain));
	for (size_t i = 0; i < planner->ops->domains_count; i++) {
		const struct op_domain *domain = &planner->ops->domains[i];
		if (!str_is(node->domain, domain->name) || *version <= domain->version_max)
			continue;
		err_set(planner->err, ERR_INVALID, "operator set '%s' version %d is newer than this runner knows, %d", domain->name, *version,
			domain->version_max);
		return err_fix(planner->err, "export the model again with target_opset=%d", domain->version_max);
	}
	return 0;
}

static const struct op *find_op(const struct planner *planner, const struct node *node, int version, int *oldest) {
	const struct op *best = NULL;
	*oldest = INT_MAX;
	for (size_t i = 0; i < planner->ops->count; i++) {
		const struct op *op = &planner->ops->ops[i];
		if (!str_is(node->op, op->name) || !str_is(node->domain, op->domain))
			continue;
		if (op->since < *oldest)
			*oldest = op->since;
		if (op->since <= version && (!best || op->since > best->since))
			best = op;
	}
	return best;
}

static int choose_op(const struct planner *planner, const struct node *node, const struct op **op, int *version) {
	int oldest;
	if (domain_version(planner, node, version) != 0)
		return -1;
	*op = find_op(planner, node, *version, &oldest);
	if (*op)
		return 0;
	if (oldest == INT_MAX) {
		err_set(planner->err, ERR_INVALID, "the operator is not supported (operator set '%.*s' version %d)", STR_ARGS(node->domain), *version);
		return err_fix(planner->err, "serve this model with another payload, for example `runner: triton` or `runner: fastapi` in mlctl.yaml");
	}
	err_set(planner->err, ERR_INVALID, "the operator as of operator set '%.*s' version %d is not supported", STR_ARGS(node->domain), *version);
	return err_fix(planner->err, "export the model again with target_opset=%d or later", oldest);
}

static int resolve_inputs(struct planner *planner, const struct node *node, const struct op *op, struct step *step, struct op_input *inputs) {
	struct model *model = planner->model;
	if (node->inputs_count < (size_t) op->inputs_min || node->inputs_count > (size_t) op->inputs_max || node->outputs_count == 0 ||
		node->outputs_count > (size_t) op->outputs_max)
		return err_set(planner->err, ERR_INVALID, "it has %zu inputs and %zu outputs, the operator takes %d to %d and makes up to %d",
			node->inputs_count, node->outputs_count, op->inputs_min, op->inputs_max, op->outputs_max);
	for (size_t i = 0; i < node->inputs_count; i++) {
		step->inputs[i] = VALUE_NONE;
		if (node->inputs[i].len == 0)
			continue;
		int64_t value = lookup_text(&planner->by_name, node->inputs[i]);
		if (value < 0 || (size_t) value >= planner->defined)
			return err_set(planner->err, ERR_INVALID, "its input '%.*s' is not made by anything before it", STR_ARGS(node->inputs[i]));
		if (planner->is_map[value])
			return err_set(planner->err, ERR_INVALID, "its input '%.*s' is a list of maps, which only an output can be", STR_ARGS(node->inputs[i]));
		step->inputs[i] = (uint32_t) value;
		inputs[i] = (struct op_input) {planner->dtypes[value], model->constants[value].dtype ? &model->constants[value] : NULL};
	}
	return 0;
}

/* Nobody asked for it: then it would change what the node computes in a way that we do not know. */
static int refuse_unread(const struct node *node, struct err *err) {
	for (size_t i = 0; i < node->attributes_count; i++)
		if (!node->attributes[i].is_read)
			return err_set(err, ERR_INVALID, "attribute %.*s is not supported", STR_ARGS(node->attributes[i].name));
	return 0;
}

static int define_outputs(struct planner *planner, const struct node *node, const struct op_load *load, struct step *step) {
	struct model *model = planner->model;
	for (size_t i = 0; i < node->outputs_count; i++) {
		step->outputs[i] = VALUE_NONE;
		if (node->outputs[i].len == 0)
			continue;
		size_t value = planner->defined++;
		step->outputs[i] = (uint32_t) value;
		planner->dtypes[value] = load->dtypes[i];
		planner->is_map[value] = load->is_map_list;
		planner->map_keys[value] = load->keys;
		if (load->constant && keep_constant(model, load->constant, &model->constants[value], planner->err) != 0)
			return -1;
	}
	return 0;
}

static int add_node(struct planner *planner, struct node *node) {
	struct model *model = planner->model;
	struct step step = {.inputs_count = (uint32_t) node->inputs_count, .outputs_count = (uint32_t) node->outputs_count};
	int version = 0;
	if (choose_op(planner, node, &step.op, &version) != 0)
		return -1;
	step.inputs = arena_alloc(&model->memory, (node->inputs_count + node->outputs_count + 1) * sizeof(*step.inputs));
	struct op_input *inputs = arena_alloc(planner->scratch, (node->inputs_count + 1) * sizeof(*inputs));
	if (!step.inputs || !inputs)
		return too_big(planner->err);
	step.outputs = step.inputs + node->inputs_count;
	if (resolve_inputs(planner, node, step.op, &step, inputs) != 0)
		return -1;
	struct op_load load = {.node = node, .opset = version, .inputs = inputs, .memory = &model->memory};
	if (step.op->infer(&load, planner->err) != 0 || refuse_unread(node, planner->err) != 0)
		return -1;
	step.state = load.state;
	if (define_outputs(planner, node, &load, &step) != 0)
		return -1;
	if (node->inputs_count > model->operands_max)
		model->operands_max = node->inputs_count;
	if (!load.constant)
		model->steps[model->steps_count++] = step;
	return 0;
}

static int label_text(const struct node *node, size_t index, char *out, size_t size) {
	return snprintf(out, size, "node %zu%s%.*s%s (%.*s%s%.*s)", index, node->name.len ? " '" : "", (int) (node->name.len < 80 ? node->name.len : 80),
		node->name.ptr ? node->name.ptr : "", node->name.len ? "'" : "", (int) (node->domain.len < 60 ? node->domain.len : 60),
		node->domain.ptr ? node->domain.ptr : "", node->domain.len ? " " : "", (int) (node->op.len < 60 ? node->op.len : 60),
		node->op.ptr ? node->op.ptr : "");
}

static int add_nodes(struct planner *planner) {
	struct model *model = planner->model;
	struct graph *graph = planner->graph;
	model->steps = arena_alloc(&model->memory, (graph->nodes_count + 1) * sizeof(*model->steps));
	if (!model->steps)
		return too_big(planner->err);
	for (size_t i = 0; i < graph->nodes_count; i++) {
		char label[LABEL_BYTES_MAX];
		int len = label_text(&graph->nodes[i], i, label, sizeof(label));
		size_t before = model->steps_count;
		if (add_node(planner, &graph->nodes[i]) != 0)
			return err_wrap(planner->err, "%s", label);
		if (model->steps_count == before)
			continue;
		model->steps[before].label = arena_text_n(&model->memory, label, (size_t) len < sizeof(label) ? (size_t) len : sizeof(label) - 1);
		if (!model->steps[before].label)
			return too_big(planner->err);
	}
	return 0;
}

static int add_outputs(struct planner *planner) {
	struct model *model = planner->model;
	struct graph *graph = planner->graph;
	if (graph->outputs_count == 0 || graph->outputs_count > MODEL_PORTS_MAX)
		return err_set(planner->err, ERR_INVALID, "the model has %zu outputs, 1 to %d are supported", graph->outputs_count, MODEL_PORTS_MAX);
	for (size_t i = 0; i < graph->outputs_count; i++) {
		const struct graph_port *from = &graph->outputs[i];
		int64_t value = lookup_text(&planner->by_name, from->name);
		if (value < 0)
			return err_set(planner->err, ERR_INVALID, "the output '%.*s' is made by no node", STR_ARGS(from->name));
		struct port *port = &model->outputs[i];
		*port = (struct port) {port_name(model, from->name), planner->dtypes[value], from->shape, planner->is_map[value], planner->map_keys[value]};
		if (!port->name)
			return too_big(planner->err);
		if (port->shape.rank < 0)
			port->shape = (struct shape) {.rank = 1, .dims = {-1}};
		model->output_values[i] = (uint32_t) value;
	}
	model->outputs_count = graph->outputs_count;
	return 0;
}

/* Which outputs need which steps, backwards; steps that none needs are dropped. */
static int mark_wanted(struct planner *planner) {
	struct model *model = planner->model;
	uint64_t *wanted = arena_alloc(planner->scratch, (model->values_count + 1) * sizeof(*wanted));
	if (!wanted)
		return too_big(planner->err);
	for (size_t i = 0; i < model->outputs_count; i++)
		wanted[model->output_values[i]] |= UINT64_C(1) << i;
	for (size_t i = model->steps_count; i-- > 0;) {
		struct step *step = &model->steps[i];
		for (uint32_t j = 0; j < step->outputs_count; j++)
			step->wanted_by |= step->outputs[j] == VALUE_NONE ? 0 : wanted[step->outputs[j]];
		for (uint32_t j = 0; j < step->inputs_count; j++)
			if (step->inputs[j] != VALUE_NONE)
				wanted[step->inputs[j]] |= step->wanted_by;
	}
	size_t kept = 0;
	for (size_t i = 0; i < model->steps_count; i++)
		if (model->steps[i].wanted_by)
			model->steps[kept++] = model->steps[i];
	model->steps_count = kept;
	return 0;
}

/* Runs the model on zeros. *is_sure: every dimension but the rows' is known, so that a failure is the model's own. */
static int trial(const struct model *model, struct run *run, int64_t rows, struct tensor *outputs, bool *is_sure, struct err *err) {
	struct tensor inputs[MODEL_PORTS_MAX];
	struct arena zeros = {.bytes_max = TRIAL_BYTES_MAX};
	int rc = 0;
	*is_sure = true;
	for (size_t i = 0; i < model->inputs_count && rc == 0; i++) {
		struct tensor *input = &inputs[i];
		*input = (struct tensor) {.dtype = model->inputs[i].dtype, .shape = model->inputs[i].shape};
		for (int dim = 0; dim < input->shape.rank; dim++) {
			if (input->shape.dims[dim] >= 0)
				continue;
			input->shape.dims[dim] = dim == 0 ? rows : 1;
			*is_sure = *is_sure && dim == 0;
		}
		int64_t count = shape_count(&input->shape);
		input->data = count < 0 ? NULL : arena_alloc(&zeros, (size_t) count * dtype_size(input->dtype));
		if (!input->data)
			rc = err_set(err, ERR_LIMIT, "input %s is too large to be tried out", model->inputs[i].name);
	}
	if (rc == 0)
		rc = run_steps(model, run, inputs, ~UINT64_C(0), true, outputs, err);
	arena_clear(&zeros);
	if (err->code == ERR_LIMIT) /* too large to be tried, which is not to say too large to run */
		*is_sure = false;
	return rc;
}

/* What the file declares about outputs is often missing or wrong (LightGBM's label is declared [1]); what comes out is not. */
static int infer_shapes(struct model *model, struct err *err) {
	struct tensor few[MODEL_PORTS_MAX], more[MODEL_PORTS_MAX];
	struct shape shapes[MODEL_PORTS_MAX];
	bool is_sure;
	struct err scratch = {0};
	struct run *run = run_new(model);
	run->memory.bytes_max = TRIAL_BYTES_MAX;
	int rc = trial(model, run, TRIAL_ROWS_FEW, few, &is_sure, &scratch);
	for (size_t i = 0; rc == 0 && i < model->outputs_count; i++)
		shapes[i] = few[i].shape;
	rc = rc == 0 ? trial(model, run, TRIAL_ROWS_MORE, more, &is_sure, &scratch) : rc;
	for (size_t i = 0; rc == 0 && i < model->outputs_count; i++) {
		if (shapes[i].rank != more[i].shape.rank)
			continue;
		model->outputs[i].shape = shapes[i];
		for (int dim = 0; dim < shapes[i].rank; dim++)
			if (shapes[i].dims[dim] != more[i].shape.dims[dim])
				model->outputs[i].shape.dims[dim] = -1;
	}
	run_free(run);
	if (rc == 0 || !is_sure)
		return 0;
	*err = scratch;
	return -1;
}

int plan_build(struct model *model, struct graph *graph, const struct op_table *ops, struct err *err) {
	struct arena scratch = {.bytes_max = model->memory.bytes_max};
	struct planner planner = {.model = model, .graph = graph, .ops = ops, .scratch = &scratch, .err = err};
	int rc = name_values(&planner);
	rc = rc == 0 ? add_constants_and_inputs(&planner) : rc;
	rc = rc == 0 ? add_nodes(&planner) : rc;
	rc = rc == 0 ? add_outputs(&planner) : rc;
	rc = rc == 0 ? mark_wanted(&planner) : rc;
	arena_clear(&scratch);
	return rc == 0 ? infer_shapes(model, err) : rc;
}
