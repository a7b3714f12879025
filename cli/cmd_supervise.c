#include "command.h"
#include "supervise/supervisor.h"

struct supervise_opts {
	int64_t resume;
};

static const struct opt options[] = {
	OPT_INT(0, "resume", struct supervise_opts, resume, 3, 1 << 20, "FD", "what the binary before left"),
	{0},
};

static int supervise_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct supervise_opts *opts = raw;
	return supervisor_run(args[0], opts->resume ? (int) opts->resume : -1, &cli->env, cli->clock, err);
}

const struct command cmd_supervise = {
	.name = "supervise",
	.summary = "keep the replicas of a local service running",
	.arguments = "FOLDER",
	.arguments_min = 1,
	.arguments_max = 1,
	.is_hidden = true,
	.about = "Started by mlctl deploy for target local; it ends when the service is destroyed. Not for typing.\n",
	.examples = "mlctl supervise ~/.local/state/mlctl/fraud/local\n",
	.opts = options,
	.opts_size = sizeof(struct supervise_opts),
	.run = supervise_run,
};
