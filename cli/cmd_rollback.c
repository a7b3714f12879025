#include "out.h"
#include "session.h"

struct rollback_opts {
	struct where where;
	const char *to, *reason;
	int64_t timeout_ms;
	bool is_taking_over;
};

static const struct opt options[] = {
	OPT_PLACE(struct rollback_opts, where),
	OPT_TEXT(0, "image", struct rollback_opts, where.image, "REPOSITORY", "with --service: its repository, when the target kept nothing that names it"),
	OPT_TEXT(0, "to", struct rollback_opts, to, "rN", "this release instead of the good one before"),
	OPT_TEXT(0, "reason", struct rollback_opts, reason, "TEXT", "why, for the record"),
	OPT_FLAG(0, "force-conflicts", struct rollback_opts, is_taking_over, "take over fields of objects that somebody else has set"),
	OPT_DURATION(0, "timeout", struct rollback_opts, timeout_ms, NULL, "how long replicas may take to be ready (5m)"),
	{0},
};

#define READY_TIMEOUT_MS (5 * 60 * 1000)

static int parse_release(const char *text, int64_t *n, struct err *err) {
	struct str number = str_of(text);
	if (number.len && number.ptr[0] == 'r')
		number = (struct str) {number.ptr + 1, number.len - 1};
	return num_int(number, 1, INT64_MAX, n) == 0 ? 0 : err_set(err, ERR_USAGE, "--to %s: must be a release such as r41 (mlctl history lists them)", text);
}

static int rollback_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct rollback_opts *opts = raw;
	(void) args;
	struct rollback_request request = {.reason = opts->reason, .ready_timeout_ms = opts->timeout_ms ? opts->timeout_ms : READY_TIMEOUT_MS};
	AUTO_SESSION struct session s = {.is_forcing = opts->is_taking_over};
	struct release_result result = {0};
	if (opts->to && parse_release(opts->to, &request.to, err) != 0)
		return -1;
	if (session_open(&s, cli, &opts->where, NEED_STORE_MAYBE | NEED_TARGET, err) != 0 ||
		release_rollback(&s.release, &request, &result, err) != 0)
		return -1;
	return session_outcome(&s, &result, err);
}

extern const struct schema_field outcome_fields[];
const struct command cmd_rollback = {
	.name = "rollback",
	.summary = "the last good release again, verified",
	.arguments = "",
	.about = "Brings the good release before (or --to rN) back and asks every replica which image it serves. Needs no files of the project: in an empty\n"
		 "folder name the service. Where the target still holds the old version the registry may be down. A rollout that is under way is undone.\n",
	.examples = "mlctl rollback --reason \"wrong threshold\"\nmlctl rollback --to r41\nmlctl rollback --service fraud --env prod     # from any folder\n",
	.opts = options,
	.opts_size = sizeof(struct rollback_opts),
	.schema = outcome_fields,
	.run = rollback_run,
};
