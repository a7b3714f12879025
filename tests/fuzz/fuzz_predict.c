/* The bodies of /predict (first byte even) and of infer (odd), into the example's model: what is accepted runs, and its answer is JSON. */
#include "data/value.h"
#include "runner/ops/ops.h"
#include "runner/serve/oip.h"
#include "runner/serve/rows.h"

#include <assert.h>

#define MODEL "examples/breast-cancer/model.onnx"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct model *model, struct run *run, const struct value *body, bool is_infer) {
	struct err err = {0}, again = {0};
	struct arena arena = {.bytes_max = 64 << 20};
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	struct oip_request request = {.want = ~(uint64_t) 0};
	int64_t rows = 0;
	AUTO_BUF struct buf out = BUF(64 << 20);
	AUTO_DOCUMENT struct document *answer = NULL;
	int rc = is_infer ? oip_decode(model, body, &arena, inputs, &request, &err) : rows_decode(model, body, &arena, inputs, &rows, &err);
	if (rc == 0)
		rc = model_run(model, run, inputs, request.want, outputs, &err);
	assert((rc == 0) == (err.code == ERR_NONE));
	const struct port *ports;
	size_t count = model_outputs(model, &ports);
	if (rc == 0 && outputs_not_finite(outputs, count, request.want) < 0) {
		if (is_infer)
			oip_encode(model, &request, outputs, &out);
		else
			assert(rows_encode(model, outputs, rows, &out, &err) == 0);
		assert(json_read("answer", buf_view(&out), VALUE_LIMITS_WIRE, &answer, &again) == 0);
	}
	arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	static struct model *model;
	static struct run *run;
	struct err err = {0};
	if (len < 2)
		return 0;
	if (!model && model_load(MODEL, "m", &ops_all, &model, &err) != 0)
		return 0; /* not started from the project's folder */
	if (!run)
		run = run_new(model);
	AUTO_DOCUMENT struct document *document = NULL;
	if (json_read("body", (struct str) {(const char *) bytes + 1, len - 1}, VALUE_LIMITS_CONFIG, &document, &err) == 0)
		check(model, run, document->root, bytes[0] & 1);
	return 0;
}
