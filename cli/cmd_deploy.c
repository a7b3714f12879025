#include "out.h"
#include "session.h"

struct deploy_opts {
	const char *env, *image, *reason;
	bool is_refused_allowed, is_untested, is_forced, is_taking_over;
	int64_t lock_wait_ms, timeout_ms;
};

static const struct opt options[] = {
	OPT_ENV(struct deploy_opts, env),
	OPT_TEXT(0, "image", struct deploy_opts, image, "REF@sha256:…", "deploy this image, built and pushed by another job"),
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
#define GOLDEN_BYTES_MAX ((size_t) 8 * 1024 * 1024)

static void canary_of(const struct settings *settings, struct canary_settings *out) {
	const struct settings_canary *canary = &settings->rollout.canary;
	const struct settings_rollback *rollback = &settings->rollout.rollback;
	*out = (struct canary_settings){
		.is_none = !canary->is_on,
		.weight = canary->weight * 100,
		.for_ms = canary->for_ms,
		.max_ms = canary->max_ms,
		.requests_min = canary->requests_min,
		.error_rate_max = rollback->error_rate,
		.latency_p99_ms = rollback->latency_p99_ms,
		.health_failures_max = rollback->health_failures,
	};
}

/* --image REF@sha256:...: from the registry, no files needed. */
static int take_image(struct session *s, const char *image, struct deploy_request *request, struct err *err) {
	struct str digest, name = str_cut_last(str_of(image), '@', &digest);
	if (!digest.ptr || digest_parse(digest, &request->revision.image, err) != 0) {
		err_clear(err);
		err_set(err, ERR_USAGE, "--image %s: deploys are by digest", image);
		return err_fix(err, "--image %.*s@sha256:… (mlctl push prints it)", STR_ARGS(name));
	}
	struct str tag, repository = str_cut_last(name, ':', &tag);
	if (!tag.ptr || memchr(tag.ptr, '/', tag.len)) /* that was a port's colon */
		repository = name;
	if (!str_is(name, store_name(s->store)) && !str_is(repository, store_name(s->store))) {
		err_set(err, ERR_USAGE, "--image %s: releases of this service live in %s", image, store_name(s->store));
		return err_fix(err, "mlctl.yaml: image: %.*s", STR_ARGS(repository));
	}
	bool has = false;
	if (store_has_manifest(s->store, request->revision.image.text, NULL, &has, err) != 0)
		return -1;
	if (!has)
		return err_set(err, ERR_REGISTRY, "%s has no image %s", store_name(s->store), request->revision.image.text);
	return 0;
}

static int deploy_built(
	struct session *s, const struct deploy_opts *opts, struct deploy_request *request, struct build **build, struct err *err) {
	struct push_result pushed;
	int64_t start = clock_mono_ms(s->cli->clock);
	if (session_build(s, opts->is_untested, build, err) != 0)
		return -1;
	const struct build *b = *build;
	char sent[NUM_HUMAN_MAX], took[NUM_HUMAN_MAX];
	const char *test = !b->has_test ? "not tested" : b->golden_total ? "golden examples answered" : "model loads";
	out_step(s->cli, "build", "%.19s…  %s%s, %s  %s", b->image.manifest.digest.text, b->commit_short ? b->commit_short : "no git",
		b->is_dirty ? "-dirty" : "", test, num_human_ms(clock_mono_ms(s->cli->clock) - start, took));
	if (session_push(s, b, &pushed, err) != 0)
		return -1;
	if (pushed.pushed)
		out_step(s->cli, "push", "%s in %zu blobs, %zu were there", num_human_bytes(pushed.sent_bytes, sent), pushed.pushed,
			pushed.existed);
	request->revision.image = (*build)->image.manifest.digest;
	request->image_index = (*build)->image.index.digest;
	request->image_manifest_size = (*build)->image.manifest.size;
	request->facts = (*build)->facts->root;
	return 0;
}

static int golden_text(const struct session *s, char **out, struct err *err) {
	size_t len = 0;
	if (!s->settings->model.golden)
		return 0;
	AUTO_FREE char *path = project_path(s->project, s->settings->model.golden);
	return fs_read(path, GOLDEN_BYTES_MAX, out, &len, err);
}

/* The build's facts, and which place this goes to. */
static int complete_facts(struct session *s, struct document *facts, struct deploy_request *request, struct err *err) {
	char place[80];
	struct value *root = value_root_object(facts);
	value_each(fact, request->facts) {
		AUTO_FREE char *key = str_dup(fact->key);
		value_add_copy(facts, root, key, fact);
	}
	request->facts = root;
	if (!s->target->identity)
		return 0;
	if (s->target->identity(s->target_state, place, err) != 0)
		return -1;
	value_add_text(facts, root, "place", place);
	return 0;
}

static int deploy_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct deploy_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {.is_forcing = opts->is_taking_over};
	AUTO_FREE char *golden = NULL;
	AUTO_DOCUMENT struct document *objects = document_new("objects"), *facts = document_new("facts");
	struct build *build = NULL;
	struct deploy_request request = {
		.is_refused_allowed = opts->is_refused_allowed,
		.is_forced = opts->is_forced,
		.lock_wait_ms = opts->lock_wait_ms,
		.ready_timeout_ms = opts->timeout_ms ? opts->timeout_ms : READY_TIMEOUT_MS,
		.reason = opts->reason,
	};
	if (session_open(&s, cli, &(struct where){.env = opts->env}, NEED_PROJECT | NEED_STORE | NEED_TARGET, err) != 0)
		return -1;
	if (!request.lock_wait_ms && s.is_in_ci)
		request.lock_wait_ms = CI_LOCK_WAIT_MS;
	int rc = opts->image ? take_image(&s, opts->image, &request, err) : deploy_built(&s, opts, &request, &build, err);
	if (rc == 0)
		rc = golden_text(&s, &golden, err);
	struct value *rendered = NULL;
	if (rc == 0)
		rc = complete_facts(&s, facts, &request, err);
	if (rc == 0) {
		request.revision.settings = s.settings->settings_digest;
		revision_name(&request.revision.image, &request.revision.settings, request.revision.name);
		rc = s.target->render(s.target_state, &request.revision, request.facts, objects, &rendered, err);
	}
	struct release_result result = {0};
	if (rc == 0) {
		canary_of(s.settings, &request.canary);
		request.objects = rendered;
		request.settings = s.tree->root;
		request.golden = golden;
		rc = release_deploy(&s.release, &request, &result, err);
	}
	if (rc == 0)
		rc = session_outcome(&s, &result, err);
	build_free(build);
	return rc;
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
		    "registry.example.com/team/fraud@sha256:…\nmlctl deploy --json --events json 2> events.jsonl\n",
	.opts = options,
	.opts_size = sizeof(struct deploy_opts),
	.schema = outcome_fields,
	.run = deploy_run,
};
