#include "out.h"
#include "release/planned.h"
#include "request.h"

struct diff_opts {
	const char *env, *image;
	bool is_exit_code, is_untested, is_taking_over;
};

static const struct opt options[] = {
	OPT_ENV(struct diff_opts, env),
	OPT_TEXT(0, "image", struct diff_opts, image, "REF@sha256:…", "of this image, built and pushed by another job"),
	OPT_FLAG(0, "exit-code", struct diff_opts, is_exit_code, "exit 3 when there are differences"),
	OPT_FLAG(0, "force-conflicts", struct diff_opts, is_taking_over, "as if fields that somebody else has set were taken over"),
	OPT_FLAG(0, "no-test", struct diff_opts, is_untested, "skip the self-test"),
	{0},
};

static int diff_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct diff_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {.is_forcing = opts->is_taking_over};
	AUTO_REQUEST struct request request = {0};
	AUTO_DOCUMENT struct document *document = out_document(cli);
	struct request_options making = {.image = opts->image, .is_untested = opts->is_untested};
	if (session_open(&s, cli, &(struct where){.env = opts->env}, NEED_PROJECT | NEED_STORE | NEED_TARGET, err) != 0 ||
		request_make(&s, &making, &request, err) != 0)
		return -1;
	struct value *root = document->root;
	value_add_text(document, root, "service", s.service);
	value_add_text(document, root, "env", s.environment);
	value_add_text(document, root, "against", s.target->diff ? "what runs" : "the live release's record");
	struct value *objects = value_add_array(document, root, "objects");
	if (planned_objects(&s.release, &request.deploy, document, objects, err) != 0)
		return -1;
	cli->exit_code = opts->is_exit_code && objects->count ? EXIT_DIFFERENCES : EXIT_DONE;
	out_line(cli, "%s %s   %zu difference%s", s.service, s.environment, objects->count, objects->count == 1 ? "" : "s");
	value_each(change, objects) out_change(cli, "objects", change);
	return cli->is_json ? out_json(cli, document, err) : 0;
}

static const struct schema_field fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"against", "string", "what the rendered objects were compared with"},
	{"objects", "object[]", "object, change, path, from and to of each difference"},
	{0},
};
const struct command cmd_diff = {
	.name = "diff",
	.summary = "the rendered objects against what is live, field by field",
	.arguments = "",
	.about = "Builds and renders as deploy does and asks the target what applying that would change; where a target can't be asked, "
		 "the objects of the\n"
		 "live release's record are compared. Nothing is pushed or changed. mlctl plan says the rest: which way a deploy would go, "
		 "and why.\n",
	.examples = "mlctl diff\nmlctl diff --env prod --exit-code\nmlctl diff --json\n",
	.opts = options,
	.opts_size = sizeof(struct diff_opts),
	.schema = fields,
	.run = diff_run,
};
