#include "release/planned.h"
#include "request.h"

struct deploy_opts {
	const char *env, *image, *reason, *plan;
	bool is_refused_allowed, is_untested, is_forced, is_taking_over;
	int64_t lock_wait_ms, timeout_ms;
};

static const struct opt options[] = {
	OPT_ENV(struct deploy_opts, env),
	OPT_TEXT(0, "image", struct deploy_opts, image, "REF@sha256:…", "deploy this image, built and pushed by another job"),
	OPT_TEXT(0, "plan", struct deploy_opts, plan, "FILE", "do exactly what mlctl plan --output FILE saved, or refuse (exit 12)"),
	OPT_TEXT(0, "reason", struct deploy_opts, reason, "TEXT", "why, for the record"),
	OPT_FLAG(0, "allow-refused", struct deploy_opts, is_refused_allowed, "an image that was rolled back before may be tried again"),
	OPT_FLAG(0, "force", struct deploy_opts, is_forced, "deploy even when nothing changed"),
	OPT_FLAG(0, "force-conflicts", struct deploy_opts, is_taking_over, "take over fields of objects that somebody else has set"),
	OPT_FLAG(0, "no-test", struct deploy_opts, is_untested, "skip the self-test; the record says so"),
	OPT_DURATION(0, "lock-wait", struct deploy_opts, lock_wait_ms, "15m", "wait for another deploy to end instead of exit 7"),
	OPT_DURATION(0, "timeout", struct deploy_opts, timeout_ms, NULL, "how long replicas may take to be ready (5m)"),
	{0},
};

#define READY_TIMEOUT_MS (5 * 60 * 1000)
#define CI_LOCK_WAIT_MS (15 * 60 * 1000)

/* --plan FILE: what it says, or nothing. */
static int hold_to(struct session *s, const char *path, struct release_plan *out, struct request *request, struct err *err) {
	struct planned planned;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, PLANNED_BYTES_MAX, &text, &len, err) != 0 || planned_parse(path, (struct str){text, len}, &planned, err) != 0 ||
		planned_check(&planned, &s->release, &request->deploy, err) != 0)
		return -1;
	*out = (struct release_plan){.kind = planned.kind, .generation = planned.generation, .from = planned.good};
	request->deploy.planned = out;
	return 0;
}

static int deploy_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct deploy_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {.is_forcing = opts->is_taking_over};
	struct release_plan plan;
	struct release_result result = {0};
	AUTO_REQUEST struct request request = {.deploy = {
						       .is_refused_allowed = opts->is_refused_allowed,
						       .is_forced = opts->is_forced,
						       .lock_wait_ms = opts->lock_wait_ms,
						       .ready_timeout_ms = opts->timeout_ms ? opts->timeout_ms : READY_TIMEOUT_MS,
						       .reason = opts->reason,
					       }};
	if (session_open(&s, cli, &(struct where){.env = opts->env}, NEED_PROJECT | NEED_STORE | NEED_TARGET, err) != 0)
		return -1;
	if (!request.deploy.lock_wait_ms && s.is_in_ci)
		request.deploy.lock_wait_ms = CI_LOCK_WAIT_MS;
	struct request_options options = {.image = opts->image, .is_untested = opts->is_untested};
	if (request_make(&s, &options, &request, err) != 0 || (opts->plan && hold_to(&s, opts->plan, &plan, &request, err) != 0) ||
		request_push(&s, &request, err) != 0 || release_deploy(&s.release, &request.deploy, &result, err) != 0)
		return -1;
	return session_outcome(&s, &result, err);
}

const struct schema_field outcome_fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"outcome", "string", "DONE, unchanged, FAILED, ROLLED BACK, ROLLBACK FAILED, UNDECIDED, REFUSED, INTERRUPTED or LOCKED"},
	{"exit_code", "integer", "what the process exits with"},
	{"release", "integer", "the release that serves now"},
	{"undone", "integer", "the release that was rolled back; 0: none"},
	{"serving", "string", "the image digest that every replica answered with"},
	{"cause", "string", "why"},
	{"cause_word", "string", "the same in one word where a replica was the reason: out_of_memory, image_not_found, unschedulable, ..."},
	{"fix", "string", "what to do about it"},
	{"address", "string", "where the service answers"},
	{"elapsed_ms", "integer", "how long it took"},
	{0},
};
const struct command cmd_deploy = {
	.name = "deploy",
	.summary = "build, push, roll out behind a canary, undo when it is bad",
	.arguments = "",
	.about = "Builds and pushes what is missing, starts the new version beside the old one, hands it a share of the real traffic, and "
		 "watches. It is\n"
		 "promoted only on evidence (rollout: in mlctl.yaml); otherwise the old version keeps serving and the exit code says so: 9 "
		 "rolled back,\n"
		 "11 undecided, 8 nothing to go back to. An unchanged deploy changes nothing. Interrupted at any point, the next command "
		 "goes on or undoes.\n",
	.examples = "mlctl deploy\nmlctl deploy --env prod --lock-wait --reason \"retrain w47\"\nmlctl deploy --env prod --image "
		    "registry.example.com/team/fraud@sha256:…\nmlctl plan --output plan.json && mlctl deploy --plan plan.json\nmlctl "
		    "deploy --json --events json 2> events.jsonl\n",
	.opts = options,
	.opts_size = sizeof(struct deploy_opts),
	.schema = outcome_fields,
	.run = deploy_run,
};
