#include "runner/model/model_state.h"

#include <math.h>

struct run *run_new(const struct model *model) {
	struct run *run = NEW(struct run);
	run->model = model;
	run->memory.bytes_max = RUN_BYTES_MAX;
	run->values = mem_zero(model->values_count + 1, sizeof(*run->values));
	run->operands = mem_zero(model->operands_max + 1, sizeof(*run->operands));
	memcpy(run->values, model->constants, model->values_count * sizeof(*run->values));
	return run;
}

void run_free(struct run *run) {
	if (!run)
		return;
	scratch_clear(&run->memory);
	free(run->values);
	free(run->operands);
	free(run);
}

static int run_step(struct run *run, const struct step *step, bool is_trial, struct err *err) {
	struct tensor outputs[GRAPH_OUTPUTS_MAX];
	for (uint32_t i = 0; i < step->inputs_count; i++)
		run->operands[i] = step->inputs[i] == VALUE_NONE ? NULL : &run->values[step->inputs[i]];
	struct op_call call = {
		.state = step->state,
		.inputs = run->operands,
		.inputs_count = step->inputs_count,
		.outputs = outputs,
		.outputs_count = step->outputs_count,
		.memory = &run->memory,
		.is_trial = is_trial,
	};
	if (step->op->kernel(&call, err) != 0)
		return err_wrap(err, "%s", step->label);
	for (uint32_t i = 0; i < step->outputs_count; i++)
		if (step->outputs[i] != VALUE_NONE)
			run->values[step->outputs[i]] = outputs[i];
	return 0;
}

int run_steps(const struct model *model, struct run *run, const struct tensor *inputs, uint64_t want, bool is_trial, struct tensor *outputs, struct err *err) {
	scratch_rewind(&run->memory);
	for (size_t i = 0; i < model->inputs_count; i++)
		run->values[model->input_values[i]] = inputs[i];
	for (size_t i = 0; i < model->steps_count; i++)
		if ((model->steps[i].wanted_by & want) && run_step(run, &model->steps[i], is_trial, err) != 0)
			return -1;
	for (size_t i = 0; i < model->outputs_count; i++)
		outputs[i] = want >> i & 1 ? run->values[model->output_values[i]] : (struct tensor) {0};
	return 0;
}

static bool shape_fits(const struct shape *got, const struct shape *port) {
	if (got->rank != port->rank)
		return false;
	for (int i = 0; i < got->rank; i++)
		if (got->dims[i] < 0 || (port->dims[i] >= 0 && got->dims[i] != port->dims[i]))
			return false;
	return true;
}

int model_run(const struct model *model, struct run *run, const struct tensor *inputs, uint64_t want, struct tensor *outputs, struct err *err) {
	char got[160], takes[160];
	for (size_t i = 0; i < model->inputs_count; i++) {
		const struct port *port = &model->inputs[i];
		if (inputs[i].dtype != port->dtype)
			return err_set(err, ERR_INVALID, "input %s is %s, it takes %s", port->name, dtype_name(inputs[i].dtype), dtype_name(port->dtype));
		if (!shape_fits(&inputs[i].shape, &port->shape))
			return err_set(err, ERR_INVALID, "input %s has the shape %s, it takes %s", port->name, op_shape_text(&inputs[i].shape, got),
				op_shape_text(&port->shape, takes));
	}
	return run_steps(model, run, inputs, want, false, outputs, err);
}

static bool is_finite(const struct tensor *tensor) {
	int64_t count = shape_count(&tensor->shape);
	for (int64_t i = 0; i < count; i++) {
		double value = tensor->dtype == DTYPE_FLOAT ? (double) ((const float *) tensor->data)[i] : ((const double *) tensor->data)[i];
		if (!isfinite(value))
			return false;
	}
	return true;
}

int outputs_not_finite(const struct tensor *outputs, size_t count, uint64_t want) {
	for (size_t i = 0; i < count && i < MODEL_PORTS_MAX; i++) {
		bool is_float = outputs[i].dtype == DTYPE_FLOAT || outputs[i].dtype == DTYPE_DOUBLE;
		if ((want >> i & 1) && is_float && !is_finite(&outputs[i]))
			return (int) i;
	}
	return -1;
}
