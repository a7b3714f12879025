#include "session.h"

#include "out.h"
#include "os/sig.h"
#include "project/names.h"

#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

static int open_project(struct session *s, const char *environment, struct err *err) {
	if (project_load(NULL, &s->project, err) != 0)
		return -1;
	if (project_env(s->project, environment, &s->settings, err) != 0)
		return -1;
	s->tree = document_new("settings");
	s->tree->root = settings_tree(s->settings, s->tree);
	s->service = mem_text(s->settings->name);
	s->environment = mem_text(s->settings->environment);
	if (s->settings->image)
		s->image = mem_text(s->settings->image);
	return 0;
}

/* Where no registry is named, a layout folder of this user stands in for one. */
static int own_layout(struct session *s, struct err *err) {
	AUTO_FREE char *home = NULL;
	if (fs_home(&s->cli->env, FS_DATA, &home, err) != 0)
		return -1;
	s->image = mem_format("oci:%s/mlctl/registry/%s", home, s->service);
	return 0;
}

static int open_store(struct session *s, struct err *err) {
	if (!s->image && own_layout(s, err) != 0)
		return -1;
	struct http *http = NULL;
	if (strncmp(s->image, "oci:", 4) != 0 && cli_http(s->cli, &http, err) != 0)
		return -1;
	const char *ca_file = s->settings ? s->settings->registry.ca_file : NULL;
	struct store_options options = {
		.http = http,
		.clock = s->cli->clock,
		.env = &s->cli->env,
		.redact = s->cli->redact,
		.log = &s->cli->log,
		.is_insecure = s->settings && s->settings->registry.is_insecure,
		.ca_file = ca_file ? ca_file : env_get(&s->cli->env, "MLCTL_CA_FILE"),
	};
	return store_open(s->image, &options, &s->store, err);
}

/* Who does it, as the release record says. */
static void find_actor(struct session *s) {
	const struct env *env = &s->cli->env;
	const char *github = env_get(env, "GITHUB_RUN_ID"), *gitlab = env_get(env, "CI_JOB_ID"), *build = env_get(env, "BUILD_ID");
	s->is_in_ci = env_get(env, "CI") != NULL || github || gitlab;
	if (github)
		s->ci_run = mem_format("github run %s.%s", github, env_get(env, "GITHUB_RUN_ATTEMPT") ? env_get(env, "GITHUB_RUN_ATTEMPT") : "1");
	else if (gitlab)
		s->ci_run = mem_format("gitlab job %s", gitlab);
	else if (build && s->is_in_ci)
		s->ci_run = mem_format("ci build %s", build);
	struct utsname host;
	const struct passwd *user = getpwuid(getuid());
	const char *person = env_get(env, "GITHUB_ACTOR") ? env_get(env, "GITHUB_ACTOR") : env_get(env, "GITLAB_USER_LOGIN");
	if (!person)
		person = user ? user->pw_name : "unknown";
	s->actor = mem_format("%s@%s", person, uname(&host) == 0 ? host.nodename : "unknown");
}

static void bake_line(struct session *s, const struct release_event *e, const char *when) {
	char bar[64] = "";
	int full = (int) (e->progress * 12);
	for (int i = 0; i < 12; i++)
		memcpy(bar + strlen(bar), i < full ? "▇" : "▁", sizeof("▇"));
	out_progress(s->cli, "  bake        %s  %s  n=%.0f  errors %.1f %% (stable %.1f %%)  p99 %.3g ms  health failures %lld", bar, when, e->requests,
		e->error_rate * 100, e->stable_error_rate * 100, e->p99_ms, (long long) e->health_failures);
}

/* A sentence of several parts with two spaces between them is folded there where a terminal would break it. */
static void step_folded(struct session *s, const char *kind, const char *text, const char *when) {
	AUTO_FREE char *first = mem_text(text);
	char *fold = NULL;
	for (char *c = first; s->cli->is_terminal && (c = strstr(c, "  ")) != NULL && c - first <= 70; c += 2)
		fold = c;
	if (!fold || out_columns(text) <= 70) {
		size_t columns = out_columns(text);
		out_step(s->cli, kind, "%s%*s %5s", text, columns < 70 ? (int) (70 - columns) : 0, "", when);
		return;
	}
	*fold = '\0';
	out_step(s->cli, kind, "%s%*s %5s", first, (int) (70 - out_columns(first)), "", when);
	out_step(s->cli, "", "%s", fold + 2);
}

static void release_event_shown(void *self, const struct release_event *e) {
	struct session *s = self;
	char when[32];
	snprintf(when, sizeof(when), "%lld:%02lld", (long long) (e->elapsed_ms / 60000), (long long) (e->elapsed_ms / 1000 % 60));
	if (s->cli->events) {
		AUTO_DOCUMENT struct document *document = document_new("event");
		struct value *root = value_root_object(document);
		value_add_text(document, root, "event", e->kind);
		value_add_text(document, root, "text", e->text);
		value_add_int(document, root, "elapsed_ms", e->elapsed_ms);
		value_add_int(document, root, "release", e->release);
		if (strcmp(e->kind, "bake") == 0 || strcmp(e->kind, "gate") == 0) {
			value_add_double(document, root, "weight", e->weight);
			value_add_double(document, root, "requests", e->requests);
			value_add_double(document, root, "errors", e->errors);
			value_add_double(document, root, "error_rate", e->error_rate);
			value_add_double(document, root, "low", e->low);
			value_add_double(document, root, "high", e->high);
			value_add_double(document, root, "p99_ms", e->p99_ms);
			value_add_int(document, root, "health_failures", e->health_failures);
		}
		if (e->replica) {
			value_add_text(document, root, "replica", e->replica);
			value_add_text(document, root, "reason", e->reason);
			value_add_text(document, root, "cause", e->cause);
			value_add_text(document, root, "fix", e->fix);
		}
		out_event(s->cli, document);
	} else if (strcmp(e->kind, "bake") == 0) {
		bake_line(s, e, when);
	} else if (strcmp(e->kind, "stop") == 0) {
		step_folded(s, "STOP", "cannot recover", when);
		out_step(s->cli, "", "%s", e->replica);
		out_step(s->cli, "", "%s", e->reason);
		if (e->fix)
			out_step(s->cli, "", "fix: %s", e->fix);
	} else if (strcmp(e->kind, "done") != 0 && strcmp(e->kind, "unchanged") != 0) { /* the answer itself says those */
		step_folded(s, e->kind, e->text ? e->text : "", when);
	}
}

static void warned(void *self, const char *text) {
	struct session *s = self;
	out_warn(s->cli, "%s", text);
}

_Static_assert(TARGET_WHERE_MAX == SETTINGS_WHERE_MAX, "settings_where() writes what a target reads");
static bool where(void *self, const char *path, char out[TARGET_WHERE_MAX]) {
	return settings_where(self, path, out);
}

static int open_target(struct session *s, struct err *err) {
	AUTO_FREE char *name = str_dup(value_get(s->tree->root, "target")->text);
	s->target = target_find(name);
	if (!s->target) {
		err_set(err, ERR_CONFIG, "there is no target \"%s\"", name);
		return err_fix(err, "target: local, or target: kubernetes");
	}
	struct http *http = NULL;
	if (cli_http(s->cli, &http, err) != 0)
		return -1;
	struct target_context context = {
		.service = s->service,
		.env = s->environment,
		.settings = s->tree->root,
		.project_folder = s->project ? s->project->folder : NULL,
		.settings_file = s->settings ? s->settings->file : NULL,
		.settings_where = s->settings ? where : NULL,
		.where_self = s->settings,
		.is_forcing = s->is_forcing,
		.is_looking = s->is_looking,
		.warn = warned,
		.warn_self = s,
		.environment = &s->cli->env,
		.clock = s->cli->clock,
		.http = http,
		.redact = s->cli->redact,
		.log = &s->cli->log,
		.program = s->cli->program,
	};
	s->target_state = mem_zero(1, s->target->state_size);
	if (s->target->open(s->target_state, &context, err) != 0) {
		free(s->target_state);
		s->target_state = NULL;
		return -1;
	}
	find_actor(s);
	s->release = (struct release_context) {
		.target = s->target,
		.target_state = s->target_state,
		.store = s->store,
		.http = http,
		.clock = s->cli->clock,
		.log = &s->cli->log,
		.redact = s->cli->redact,
		.service = s->service,
		.env = s->environment,
		.actor = s->actor,
		.ci_run = s->ci_run,
		.event = release_event_shown,
		.event_self = s,
		.interrupted = &s->cli->interrupted,
	};
	return 0;
}

/* Where there is no mlctl.yaml: just what a target needs to find the service. */
static int name_place(struct session *s, const struct where *where, struct err *err) {
	char why[FIELD_WHY_MAX];
	if (names_check_service(where->service, why) != 0) /* both end in paths */
		return err_set(err, ERR_USAGE, "--service %s: it must be %s", where->service, why);
	if (where->env && names_check_environment(where->env, why) != 0)
		return err_set(err, ERR_USAGE, "--env %s: it must be %s", where->env, why);
	s->service = mem_text(where->service);
	s->environment = mem_text(where->env ? where->env : "local");
	s->tree = document_new("settings");
	struct value *root = value_root_object(s->tree);
	value_add_text(s->tree, root, "name", s->service);
	value_add_text(s->tree, root, "target", where->target ? where->target : where->context || where->namespace_ ? "kubernetes" : "local");
	if (where->image)
		s->image = mem_text(where->image);
	if (where->context)
		value_add_text(s->tree, root, "context", where->context);
	if (where->namespace_)
		value_add_text(s->tree, root, "namespace", where->namespace_);
	return 0;
}

/* The repository that the live release was pushed to, as its record says, where no mlctl.yaml does. */
static void find_image(struct session *s) {
	struct err err = {0};
	struct release_head head;
	AUTO_DOCUMENT struct document *record = NULL;
	struct str image = {0};
	if (release_head_read(&s->release, &head, &err) != 0 || !head.good || release_record_read(&s->release, head.good, &record, &err) != 0 ||
		value_opt_str(record->root, "settings.image", STR(""), &image, &err) != 0 || !image.len)
		return;
	s->image = str_dup(image);
}

static void open_store_maybe(struct session *s) {
	struct err err = {0};
	if (open_store(s, &err) != 0)
		log_debug(&s->cli->log, "no store: %s", err.message);
	s->release.store = s->store;
}

int session_open(struct session *s, struct cli *cli, const struct where *where, unsigned needs, struct err *err) {
	*s = (struct session) {.cli = cli, .is_forcing = s->is_forcing, .is_looking = s->is_looking};
	if (where->service) {
		if (name_place(s, where, err) != 0)
			return -1;
	} else if (where->target || where->context || where->namespace_ || where->image) {
		err_set(err, ERR_USAGE, "--target, --context, --namespace and --image go with --service; in a project mlctl.yaml says where it runs");
		return err_fix(err, "--service NAME, or environments: in mlctl.yaml");
	} else if (open_project(s, where->env, err) != 0) {
		if (err->code == ERR_NOT_FOUND && !(needs & NEED_PROJECT))
			err_fix(err, "run it in the project's folder, or name the service: --service NAME --env NAME");
		return -1;
	}
	if (needs & NEED_STORE && open_store(s, err) != 0)
		return -1;
	if (needs & NEED_TARGET && open_target(s, err) != 0)
		return -1;
	if (needs & NEED_STORE_MAYBE) {
		if (where->service && !s->image)
			find_image(s);
		open_store_maybe(s);
	}
	return 0;
}

void session_close(struct session *s) {
	if (s->target_state) {
		s->target->close(s->target_state);
		free(s->target_state);
	}
	store_close(s->store);
	document_free(s->tree);
	settings_free(s->settings);
	project_free(s->project);
	free(s->service);
	free(s->environment);
	free(s->image);
	free(s->actor);
	free(s->ci_run);
	free(s->tag);
	*s = (struct session) {0};
}

static void hashing(void *self, const char *file, int64_t done, int64_t bytes) {
	struct session *s = self;
	char a[NUM_HUMAN_MAX], b[NUM_HUMAN_MAX];
	if (bytes > 64 * 1024 * 1024)
		out_progress(s->cli, "  hashing     %s  %s of %s", file, num_human_bytes(done, a), num_human_bytes(bytes, b));
}

/* From the threads that hash: whichever takes the signal notes it for all. */
static bool was_interrupted(void *self) {
	struct session *s = self;
	int taken = sig_take(s->cli->signal_fd);
	if (taken)
		__atomic_store_n(&s->cli->interrupted, taken, __ATOMIC_RELAXED);
	return __atomic_load_n(&s->cli->interrupted, __ATOMIC_RELAXED) != 0;
}

/* Without the network nobody reads signals once the build is done: they do again what they do by default. */
static void leave_signals(struct cli *cli) {
	if (cli->http || cli->signal_fd < 0)
		return;
	close(cli->signal_fd);
	cli->signal_fd = -1;
	sig_restore();
}

int session_build(struct session *s, bool is_untested, struct build **out, struct err *err) {
	struct build_options options = {
		.folder = s->project->folder,
		.settings = s->settings,
		.env = &s->cli->env,
		.clock = s->cli->clock,
		.log = &s->cli->log,
		.is_untested = is_untested,
		.is_without_git = s->is_without_git,
		.is_interrupted = was_interrupted,
		.progress = hashing,
		.self = s,
	};
	AUTO_FREE char *base_name = NULL;
	struct store *base = NULL;
	if (strcmp(s->settings->base, "scratch") != 0) {
		struct http *http = NULL;
		if (cli_http(s->cli, &http, err) != 0)
			return -1;
		struct store_options base_options = {.http = http, .clock = s->cli->clock, .env = &s->cli->env, .redact = s->cli->redact, .log = &s->cli->log};
		struct str digest, name = str_cut(str_of(s->settings->base), '@', &digest);
		base_name = str_dup(name);
		if (store_open(base_name, &base_options, &base, err) != 0)
			return err_wrap(err, "base");
		options.base = base;
	}
	if (s->cli->signal_fd < 0 && sig_open(&s->cli->signal_fd, err) != 0)
		return -1;
	int rc = build_run(&options, out, err);
	if (rc == 0 && was_interrupted(s)) {
		build_free(*out);
		*out = NULL;
		rc = err_set(err, ERR_INTERRUPTED, "interrupted after the build");
	}
	leave_signals(s->cli);
	if (rc != 0)
		store_close(base); /* on success the image's layers still read from it; it lives as long as the program */
	return rc;
}

/* "sha256:0d3e41…": enough for a person. */
static const char *brief(const struct digest *digest, char out[24]) {
	snprintf(out, 24, "%.13s…", digest->text);
	return out;
}

void session_show_build(struct session *s, const struct build *b, int64_t ms) {
	struct cli *cli = s->cli;
	char size[NUM_HUMAN_MAX], took[NUM_HUMAN_MAX], peak[NUM_HUMAN_MAX], digest[24], manifest[24];
	out_fact(cli, "model", "%s   %s   %s   %s", b->model_path, brief(&b->model, digest), num_human_bytes(b->model_bytes, size), b->signature ? b->signature : "");
	out_fact(cli, "runner", "mlctl-runner %s   linux/amd64, static", MLCTL_VERSION);
	if (b->has_test && b->golden_total)
		out_fact(cli, "test", "loads in %lld ms · golden %lld/%lld within %g · p50 %lld us, p99 %lld us · peak %s%s", (long long) b->load_ms,
			(long long) b->golden_passed, (long long) b->golden_total, b->golden_tolerance, (long long) b->p50_us, (long long) b->p99_us,
			num_human_bytes(b->peak_bytes, peak), b->is_test_cached ? "   (known from before)" : "");
	else if (b->has_test)
		out_fact(cli, "test", "loads in %lld ms · no golden examples (mlctl init writes some) · peak %s", (long long) b->load_ms,
			num_human_bytes(b->peak_bytes, peak));
	else
		out_fact(cli, "test", "skipped (--no-test)");
	out_fact(cli, "image", "%s   %zu layers, reproducible%s%s%s", brief(&b->image.manifest.digest, manifest), b->image.layer_count,
		b->commit_short ? " from commit " : "", b->commit_short ? b->commit_short : "", b->is_dirty ? " (with uncommitted changes)" : "");
	out_fact(cli, "built", "in %s", num_human_ms(ms, took));
}

struct pushing {
	struct session *s;
	int64_t start_ms;
	int64_t begun_ms[IMAGE_LAYERS_MAX + 4];
};

static void push_progress(void *self, const struct blob *blob, const char *state, int64_t sent) {
	struct pushing *pushing = self;
	struct cli *cli = pushing->s->cli;
	char size[NUM_HUMAN_MAX], done[NUM_HUMAN_MAX];
	if (strcmp(state, "pushing") == 0) {
		out_progress(cli, "  layer       %-24s %s of %s", blob->title ? blob->title : "", num_human_bytes(sent, done), num_human_bytes(blob->size, size));
		return;
	}
	if (strcmp(cli->command->name, "push") == 0 || strcmp(state, "retry") == 0)
		out_step(cli, strcmp(blob->media_type, MEDIA_LAYER) == 0 ? "layer" : "blob", "%-24s %8s   %s", blob->title ? blob->title : "",
		num_human_bytes(blob->size, size), state);
}

int session_push(struct session *s, const struct build *build, struct push_result *result, struct err *err) {
	struct pushing pushing = {.s = s, .start_ms = clock_mono_ms(s->cli->clock)};
	struct store_progress progress = {push_progress, &pushing};
	s->tag = mem_text(build->tag ? build->tag : "latest"); /* no git: something must keep the manifest alive */
	if (store_push(s->store, &build->image, (const char *const *) &s->tag, 1, &progress, result, err) == 0)
		return 0;
	if (err->code != ERR_CONFLICT || !build->tag)
		return -1;
	/* git-<commit> never moves. The same commit made another image: by a newer mlctl, or under another SOURCE_DATE_EPOCH. */
	free(s->tag);
	s->tag = mem_format("%s-%.8s", build->tag, digest_hex(&build->image.manifest.digest));
	out_warn(s->cli, "tag %s stays with the image that it names; this one is tagged %s", build->tag, s->tag);
	err_clear(err);
	return store_push(s->store, &build->image, (const char *const *) &s->tag, 1, &progress, result, err);
}

static const struct {
	const char *word;
	enum colour colour;
	int exit_code;
} outcomes[] = {
	[OUTCOME_DONE] = {"DONE", COLOUR_GREEN, EXIT_DONE},
	[OUTCOME_UNCHANGED] = {"unchanged", COLOUR_GREEN, EXIT_DONE},
	[OUTCOME_FAILED] = {"FAILED", COLOUR_RED, EXIT_ROLLOUT_FAILED},
	[OUTCOME_ROLLED_BACK] = {"ROLLED BACK", COLOUR_RED, EXIT_ROLLED_BACK},
	[OUTCOME_ROLLBACK_FAILED] = {"ROLLBACK FAILED", COLOUR_RED, EXIT_ROLLBACK_FAILED},
	[OUTCOME_UNDECIDED] = {"UNDECIDED", COLOUR_YELLOW, EXIT_UNDECIDED},
	[OUTCOME_REFUSED] = {"REFUSED", COLOUR_RED, EXIT_CONFLICT},
	[OUTCOME_INTERRUPTED] = {"INTERRUPTED", COLOUR_YELLOW, 130},
	[OUTCOME_LOCKED] = {"LOCKED", COLOUR_YELLOW, EXIT_LOCKED},
};

int session_outcome(struct session *s, const struct release_result *r, struct err *err) {
	struct cli *cli = s->cli;
	char word[96], took[NUM_HUMAN_MAX], address[256] = "";
	struct err asking = {0};
	cli->exit_code = outcomes[r->outcome].exit_code;
	if (r->outcome == OUTCOME_INTERRUPTED && cli->interrupted)
		cli->exit_code = 128 + cli->interrupted;
	if (r->outcome == OUTCOME_DONE)
		best_effort(s->target->address(s->target_state, address, &asking)); /* after destroy there is none */
	if (cli->is_json) {
		AUTO_DOCUMENT struct document *document = out_document(cli);
		struct value *root = document->root;
		value_add_text(document, root, "service", s->service);
		value_add_text(document, root, "env", s->environment);
		value_add_text(document, root, "outcome", outcomes[r->outcome].word);
		value_add_int(document, root, "exit_code", cli->exit_code);
		value_add_int(document, root, "release", r->release);
		value_add_int(document, root, "undone", r->undone);
		value_add_text(document, root, "serving", r->serving[0] ? r->serving : NULL);
		value_add_text(document, root, "cause", r->cause[0] ? r->cause : NULL);
		value_add_text(document, root, "cause_word", r->cause_word[0] ? r->cause_word : NULL);
		value_add_text(document, root, "fix", r->fix[0] ? r->fix : NULL);
		value_add_text(document, root, "address", address[0] ? address : NULL);
		value_add_int(document, root, "elapsed_ms", r->elapsed_ms);
		return out_json(cli, document, err);
	}
	out_colour(cli->is_out_coloured, outcomes[r->outcome].colour, outcomes[r->outcome].word, word);
	num_human_ms(r->elapsed_ms, took);
	if (strcmp(cli->command->name, "destroy") == 0 && r->outcome <= OUTCOME_UNCHANGED)
		out_line(cli, "%s  %s", word, r->outcome == OUTCOME_DONE ? "the service is gone; images and releases in the registry stay" : "nothing is deployed");
	else if (r->outcome == OUTCOME_UNCHANGED)
		out_line(cli, "%s: model, settings and live digest equal r%lld. Nothing to do.", word, (long long) r->release);
	else if (r->outcome == OUTCOME_DONE && r->release)
		out_line(cli, "%s  r%lld live and good   %s   %s", word, (long long) r->release, address, took);
	else if (r->outcome == OUTCOME_ROLLED_BACK && r->undone)
		out_line(cli, "%s  r%lld is undone, r%lld serves   %s", word, (long long) r->undone, (long long) r->release, took);
	else
		out_line(cli, "%s  %s%s  %s", word, r->cause, address, took);
	if (r->outcome == OUTCOME_ROLLED_BACK && r->undone) {
		out_fact(cli, "cause", "%s", r->cause);
		out_fact(cli, "evidence", "mlctl history r%lld --evidence", (long long) r->undone);
	}
	if (r->fix[0])
		out_line(cli, "  fix: %s", r->fix);
	return 0;
}
