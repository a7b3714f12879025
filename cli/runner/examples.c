#include "runner.h"
#include "runner/ops/ops.h"
#include "runner/serve/examples.h"

int runner_examples(const struct options *options, struct err *err) {
	AUTO_BUF struct buf lines = BUF(2 * EXAMPLES_BYTES_MAX);
	struct model *model = NULL;
	if (!options->model) {
		err_set(err, ERR_USAGE, "--model is missing: the file or folder to load");
		return runner_exit_code(err);
	}
	int rc = model_load(options->model, options->name, &ops_all, &model, err);
	if (rc == 0)
		rc = examples_write(model, options->count, &lines, err);
	model_free(model);
	if (rc != 0)
		return runner_exit_code(err);
	if (fwrite(lines.ptr, 1, lines.len, stdout) == lines.len && fflush(stdout) == 0)
		return 0;
	err_sys(err, "stdout");
	return 1;
}
