/* freeze and unfreeze: one switch in the head. */
#include "out.h"
#include "session.h"

struct freeze_opts {
	struct where where;
	const char *reason;
};

static const struct opt options[] = {
	OPT_PLACE(struct freeze_opts, where),
	OPT_TEXT(0, "reason", struct freeze_opts, reason, "TEXT", "why, shown to whoever tries to deploy"),
	{0},
};

static int set(struct cli *cli, const struct freeze_opts *opts, const char *reason, struct err *err) {
	AUTO_SESSION struct session s = {0};
	if (session_open(&s, cli, &opts->where, NEED_TARGET, err) != 0 || release_freeze(&s.release, reason, err) != 0)
		return -1;
	out_line(cli, "%s %s: %s", s.service, s.environment, reason ? "frozen; deploys are refused (exit 12), rollback still works" : "deploys are possible again");
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	value_add_text(document, document->root, "frozen", reason);
	return out_json(cli, document, err);
}

static int freeze_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct freeze_opts *opts = raw;
	(void) args;
	return set(cli, opts, opts->reason ? opts->reason : "frozen by hand", err);
}

static int unfreeze_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	(void) args;
	return set(cli, raw, NULL, err);
}

static const struct schema_field fields[] = {{"frozen", "string", "why deploys are refused; null: they are not"}, {0}};
const struct command cmd_freeze = {
	.name = "freeze",
	.summary = "refuse deploys to an environment until unfreeze",
	.arguments = "",
	.about = "Deploys are refused with exit 12 and the reason; rollback still works.\n",
	.examples = "mlctl freeze --env prod --reason \"quarter's end, ask ops\"\n",
	.opts = options,
	.opts_size = sizeof(struct freeze_opts),
	.schema = fields,
	.run = freeze_run,
};
const struct command cmd_unfreeze = {
	.name = "unfreeze",
	.summary = "allow deploys again",
	.arguments = "",
	.about = "Takes back what freeze did.\n",
	.examples = "mlctl unfreeze --env prod\n",
	.opts = options,
	.opts_size = sizeof(struct freeze_opts),
	.schema = fields,
	.run = unfreeze_run,
};
