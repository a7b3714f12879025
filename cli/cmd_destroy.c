#include "out.h"
#include "session.h"

#include <unistd.h>

struct destroy_opts {
	struct where where;
	bool is_sure, is_forced;
};

static const struct opt options[] = {
	OPT_PLACE(struct destroy_opts, where),
	OPT_FLAG('y', "yes", struct destroy_opts, is_sure, "do not ask; needed where there is no terminal"),
	OPT_FLAG(0, "force", struct destroy_opts, is_forced, "also when it is frozen, or its head can't be read"),
	{0},
};

static int be_sure(struct session *s, struct err *err) {
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		err_set(err, ERR_USAGE, "destroy removes %s from %s; nobody is here to confirm it", s->service, s->environment);
		return err_fix(err, "mlctl destroy --yes");
	}
	char line[128] = "";
	fprintf(s->cli->err, "This stops %s in %s and removes it. Type its name to go on: ", s->service, s->environment);
	if (!fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, s->service) == 0 ? 0 : err_set(err, ERR_USAGE, "not confirmed, nothing was changed");
}

static int destroy_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct destroy_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {0};
	struct release_result result = {0};
	if (session_open(&s, cli, &opts->where, NEED_TARGET | NEED_STORE_MAYBE, err) != 0 || (!opts->is_sure && be_sure(&s, err) != 0) ||
		release_destroy(&s.release, opts->is_forced, &result, err) != 0)
		return -1;
	return session_outcome(&s, &result, err);
}

extern const struct schema_field outcome_fields[];
const struct command cmd_destroy = {
	.name = "destroy",
	.summary = "stop the service and remove it from its target",
	.arguments = "",
	.about = "Removes everything that deploy made at the target; images and releases in the registry stay.\n",
	.examples = "mlctl destroy\nmlctl destroy --service fraud --env local --yes\n",
	.opts = options,
	.opts_size = sizeof(struct destroy_opts),
	.schema = outcome_fields,
	.run = destroy_run,
};
