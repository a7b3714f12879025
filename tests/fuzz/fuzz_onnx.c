/* Any bytes as an ONNX model: refused with a reason, or loaded (which tries it on zeros) and asked for one row. */
#include "runner/model/model_state.h"
#include "runner/ops/ops.h"

#include <assert.h>

#define INPUT_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct model *model) {
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	struct arena arena = {.bytes_max = INPUT_BYTES_MAX};
	struct run *run = run_new(model);
	struct err err = {0};
	run->memory.bytes_max = TRIAL_BYTES_MAX;
	bool fits = true;
	for (size_t i = 0; i < model->inputs_count; i++) {
		inputs[i] = (struct tensor) {model->inputs[i].dtype, model->inputs[i].shape, NULL};
		for (int dim = 0; dim < inputs[i].shape.rank; dim++)
			if (inputs[i].shape.dims[dim] < 0)
				inputs[i].shape.dims[dim] = 1;
		int64_t count = shape_count(&inputs[i].shape);
		inputs[i].data = count < 0 ? NULL : arena_alloc(&arena, (size_t) count * dtype_size(inputs[i].dtype));
		fits = fits && inputs[i].data;
	}
	if (fits && model_run(model, run, inputs, ~UINT64_C(0), outputs, &err) == 0)
		outputs_not_finite(outputs, model->outputs_count, ~UINT64_C(0));
	run_free(run);
	arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct model *model = NULL;
	struct err err = {0};
	if (model_load_bytes((struct str) {(const char *) data, size}, "fuzz", &ops_all, &model, &err) != 0) {
		assert(err.code != ERR_NONE && err.message[0] != '\0');
		return 0;
	}
	ask(model);
	model_free(model);
	return 0;
}
