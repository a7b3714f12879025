#include "embed/embed.h"
#include "os/proc.h"
#include "out.h"
#include "project/init.h"

#include <limits.h>
#include <unistd.h>

struct init_opts {
	const char *traffic, *model_kind, *name, *image;
	bool is_forced;
};

static const char *const traffics[] = {"low", "high", NULL};
static const char *const kinds[] = {"simple", "complex", NULL};
static const struct opt options[] = {
	OPT_CHOICE(0, "traffic", struct init_opts, traffic, traffics, "low|high", "how much it will be asked (low)"),
	OPT_CHOICE(0, "model", struct init_opts, model_kind, kinds, "simple|complex", "how heavy the model is (simple)"),
	OPT_TEXT(0, "name", struct init_opts, name, "NAME", "of the service (the folder's name)"),
	OPT_TEXT(0, "image", struct init_opts, image, "REPOSITORY", "registry.example.com/team/name; without it this machine keeps the images"),
	OPT_FLAG(0, "force", struct init_opts, is_forced, "replace mlctl.yaml"),
	{0},
};

#define GOLDEN_BYTES_MAX ((size_t) 1024 * 1024)
#define GOLDEN_TIMEOUT_MS 60000

/* The bundled runner makes up plain rows and answers them: examples to start from, marked as such by what init prints. */
static int ask_runner(void *self, const char *model, struct buf *out, struct err *err) {
	(void) self;
	AUTO_CLOSE int fd = -1;
	if (proc_memfd("mlctl-runner", embed_runner(), &fd, err) != 0)
		return -1;
	const char *argv[] = {"mlctl-runner", "examples", "--model", model, NULL};
	const char *env[] = {"PATH=/usr/bin:/bin", NULL};
	struct proc_spec spec = {.exec_fd = fd, .argv = argv, .env = env, .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct proc_result result = {0};
	if (proc_run(&spec, (struct str) {0}, GOLDEN_BYTES_MAX, GOLDEN_TIMEOUT_MS, &result, err) != 0)
		return -1;
	int rc = 0;
	if (result.status != 0) {
		struct str text = str_trim((struct str) {result.err_text, result.err_len});
		while (text.len && text.ptr[text.len - 1] == '\n')
			text.len--;
		rc = err_set(err, ERR_INVALID, "%s: %.*s", model, STR_ARGS(text));
	} else {
		buf_add(out, result.out, result.out_len);
	}
	proc_result_clear(&result);
	return rc;
}

static void show_models(struct cli *cli, const struct init_models *models) {
	char size[NUM_HUMAN_MAX];
	for (size_t i = models->served_count ? 0 : 1; i < models->count; i++) { /* where none is served, the error is about the first */
		const struct init_model *m = &models->items[i];
		if (m->is_served) {
			out_fact(cli, "found", "%s   %s   %s", m->path, m->format, num_human_bytes(m->bytes, size));
			continue;
		}
		out_fact(cli, "not served", "%s   %s: %s", m->path, m->format, m->reason);
		if (m->convert)
			out_fact(cli, "", "convert it: %s", m->convert);
	}
}

static int answer(struct cli *cli, const struct init_result *result, const struct strategy *strategy, struct err *err) {
	out_fact(cli, "strategy", "%s%s", strategy->sentence, strategy->is_built ? "" : " (that target is not built yet: target local is written)");
	out_fact(cli, "wrote", "mlctl.yaml   service %s, model %s", result->name, result->model);
	if (result->golden)
		out_fact(cli, result->is_golden_written ? "wrote" : "kept", "%s%s", result->golden,
			result->is_golden_written ? "   made-up rows with this model's answers: replace them by real ones" : "");
	bool has_others = strstr(result->text, "\n  staging:") != NULL;
	out_fact(cli, "next", has_others ? "mlctl deploy --env local, then --env staging" : "mlctl deploy");
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	value_add_text(document, document->root, "name", result->name);
	value_add_text(document, document->root, "model", result->model);
	value_add_text(document, document->root, "golden", result->golden);
	return out_json(cli, document, err);
}

static int init_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct init_opts *opts = raw;
	const struct strategy *strategy = NULL;
	struct init_models models = {0};
	struct init_result result = {0};
	char folder[PATH_MAX];
	if (!getcwd(folder, sizeof(folder)))
		return err_sys(err, "working folder");
	if (strategy_pick(opts->traffic, opts->model_kind, &strategy, err) != 0 || init_find(folder, &models, err) != 0)
		return -1;
	show_models(cli, &models);
	struct init_request request = {
		.folder = folder,
		.model = args[0],
		.name = opts->name,
		.image = opts->image,
		.strategy = strategy,
		.is_forced = opts->is_forced,
		.golden = ask_runner,
	};
	int rc = init_write(&request, &result, err);
	if (rc == 0)
		rc = answer(cli, &result, strategy, err);
	init_result_clear(&result);
	init_models_clear(&models);
	return rc;
}

static const struct schema_field fields[] = {
	{"name", "string", "of the service"},
	{"model", "string", "what is served"},
	{"golden", "string", "the file of examples; null: none"},
	{0},
};
const struct command cmd_init = {
	.name = "init",
	.summary = "write mlctl.yaml for the model in this folder",
	.arguments = "[MODEL]",
	.arguments_max = 1,
	.about = "Finds models in the folder, says of those that are not served why and how to convert them, and writes a commented mlctl.yaml and golden\n"
		 "examples. --traffic and --model pick how it is served. Nothing is overwritten without --force.\n",
	.examples = "mlctl init\nmlctl init model/fraud.onnx --name fraud --image registry.example.com/team/fraud\nmlctl init --traffic high --model simple\n",
	.opts = options,
	.opts_size = sizeof(struct init_opts),
	.schema = fields,
	.run = init_run,
};
