/* The inside of struct model and struct run, for model/ only.
 *
 * The plan is a list of steps in the file's order. Every input, constant and node output is a "value" with a number; a step names its operands by
 * number. Shapes are decided per run, since the number of rows is; a trial with 1 and with 3 rows at load says which dimensions follow it. */
#pragma once

#include "runner/model/model.h"
#include "runner/model/op.h"

#define VALUE_NONE UINT32_MAX
#define RUN_BYTES_MAX ((size_t) 2 * 1024 * 1024 * 1024)
#define TRIAL_BYTES_MAX ((size_t) 16 * 1024 * 1024)

struct step {
	const struct op *op;
	const void *state;
	uint32_t inputs_count, outputs_count;
	uint32_t *inputs, *outputs; /* VALUE_NONE: left out */
	uint64_t wanted_by;         /* bitmask of the model's outputs that need it */
	const char *label;          /* for messages: "node 3 'scaler' (ai.onnx.ml Scaler)" */
};

struct model {
	struct arena memory;
	char *name;
	const char *format;
	int opset;
	struct digest digest;
	int64_t created_s;
	struct str bytes; /* the file's, where constants may point to */
	void *mapping;    /* the same when they are mapped, else NULL */
	size_t inputs_count, outputs_count, steps_count, values_count, operands_max;
	struct port inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	uint32_t input_values[MODEL_PORTS_MAX], output_values[MODEL_PORTS_MAX];
	struct step *steps;
	struct tensor *constants; /* per value; dtype DTYPE_NONE where it is not one */
};

struct run {
	const struct model *model;
	struct scratch memory;
	struct tensor *values;          /* per value */
	const struct tensor **operands; /* of the step that runs */
};

/* model_run() without the check of the inputs; is_trial as in struct op_call. */
int run_steps(const struct model *model, struct run *run, const struct tensor *inputs, uint64_t want, bool is_trial, struct tensor *outputs, struct err *err);
/* Builds steps, values and ports from a graph; its constants that do not lie in the model's mapping are copied. */
int plan_build(struct model *model, struct graph *graph, const struct op_table *ops, struct err *err);
