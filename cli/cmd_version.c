#include "embed/embed.h"
#include "out.h"

static int version_run(struct cli *cli, const void *opts, const char *const *args, struct err *err) {
	(void) opts, (void) args;
	out_line(cli, "mlctl %s", MLCTL_VERSION);
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	value_add_text(document, document->root, "version", MLCTL_VERSION);
	value_add_text(document, document->root, "platform", "linux/amd64");
	value_add_int(document, document->root, "runner_bytes", (int64_t) embed_runner().len);
	return out_json(cli, document, err);
}

static const struct schema_field fields[] = {
	{"version", "string", "of mlctl and of the runner inside it"},
	{"platform", "string", "what images are built for"},
	{"runner_bytes", "integer", "size of the bundled runner"},
	{0},
};
const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.arguments = "",
	.about = "Prints the version of mlctl, which is also that of the runner it bundles.\n",
	.examples = "mlctl version\nmlctl version --json\n",
	.schema = fields,
	.run = version_run,
};
