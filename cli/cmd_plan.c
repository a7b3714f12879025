#include "os/fs.h"
#include "out.h"
#include "release/planned.h"
#include "request.h"

struct plan_opts {
	const char *env, *image, *output;
	bool is_exit_code, is_untested, is_forced, is_refused_allowed, is_taking_over;
};

static const struct opt options[] = {
	OPT_ENV(struct plan_opts, env),
	OPT_TEXT(0, "image", struct plan_opts, image, "REF@sha256:…", "of this image, built and pushed by another job"),
	OPT_TEXT('o', "output", struct plan_opts, output, "FILE", "save the plan, for mlctl deploy --plan FILE"),
	OPT_FLAG(0, "exit-code", struct plan_opts, is_exit_code, "exit 3 when a deploy would change something"),
	OPT_FLAG(0, "allow-refused", struct plan_opts, is_refused_allowed, "as deploy does"),
	OPT_FLAG(0, "force", struct plan_opts, is_forced, "as deploy does"),
	OPT_FLAG(0, "force-conflicts", struct plan_opts, is_taking_over, "as deploy does"),
	OPT_FLAG(0, "no-test", struct plan_opts, is_untested, "skip the self-test"),
	{0},
};

#define CHANGES_SHOWN 40

/* A digest is known by its first letters. */
static struct str brief(const struct value *pair, const char *key) {
	const struct value *v = value_get(pair, key);
	if (!v || v->kind != VALUE_STRING)
		return STR("none");
	return (struct str){v->text.ptr, v->text.len > 19 ? 19 : v->text.len};
}

static void show_pair(struct cli *cli, const struct value *root, const char *key) {
	const struct value *pair = value_get(root, key);
	if (pair)
		out_fact(cli, key, "%.*s -> %.*s", STR_ARGS(brief(pair, "from")), STR_ARGS(brief(pair, "to")));
}

static void show_changes(struct cli *cli, const struct value *root, const char *key, const char *name) {
	size_t shown = 0;
	const struct value *changes = value_get(root, key);
	value_each(change, changes) if (shown++ < CHANGES_SHOWN) out_change(cli, name, change);
	if (shown > CHANGES_SHOWN)
		out_fact(cli, name, "and %zu more: mlctl plan --json lists all", shown - CHANGES_SHOWN);
}

static void show(struct session *s, const struct release_plan *plan, const struct value *root) {
	char word[96];
	bool is_refused = plan->kind == PLAN_REFUSED;
	enum colour colour = is_refused ? COLOUR_RED : plan->kind == PLAN_UNCHANGED ? COLOUR_GREEN : COLOUR_BOLD;
	out_line(s->cli, "%s %s   %s%s", s->service, s->environment, is_refused ? "REFUSED: " : "",
		out_colour(s->cli->is_out_coloured, colour, plan->text, word));
	if (plan->fix[0])
		out_line(s->cli, "  fix: %s", plan->fix);
	show_pair(s->cli, root, "image");
	show_pair(s->cli, root, "model");
	show_pair(s->cli, root, "commit");
	show_changes(s->cli, root, "settings", "settings");
	show_changes(s->cli, root, "objects", "objects");
}

static int save(struct cli *cli, const char *path, const struct release_plan *plan, struct document *document, struct err *err) {
	AUTO_FREE char *text = NULL;
	if (plan->kind == PLAN_REFUSED) {
		err_set(err, ERR_CONFLICT, "nothing to save in %s: %s", path, plan->text);
		return err_fix(err, "%s", plan->fix);
	}
	if (out_text(cli, document, &text, err) != 0 || fs_replace(path, text, strlen(text), 0600, err) != 0)
		return err_wrap(err, "saving the plan");
	out_step(cli, "saved", "%s   mlctl deploy --plan %s does exactly this", path, path);
	return 0;
}

static int plan_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct plan_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {.is_forcing = opts->is_taking_over};
	AUTO_REQUEST struct request request = {.deploy = {.is_refused_allowed = opts->is_refused_allowed, .is_forced = opts->is_forced}};
	AUTO_DOCUMENT struct document *document = out_document(cli);
	struct request_options making = {.image = opts->image, .is_untested = opts->is_untested};
	struct release_plan plan;
	if (session_open(&s, cli, &(struct where){.env = opts->env}, NEED_PROJECT | NEED_STORE | NEED_TARGET, err) != 0 ||
		request_make(&s, &making, &request, err) != 0 || release_plan(&s.release, &request.deploy, &plan, err) != 0 ||
		planned_write(&s.release, &request.deploy, &plan, document, document->root, err) != 0)
		return -1;
	bool has_changes = planned_has_changes(document->root);
	value_add_bool(document, document->root, "changes", has_changes);
	if (opts->output && save(cli, opts->output, &plan, document, err) != 0)
		return -1;
	cli->exit_code = plan.kind == PLAN_REFUSED ? EXIT_CONFLICT : opts->is_exit_code && has_changes ? EXIT_DIFFERENCES : EXIT_DONE;
	show(&s, &plan, document->root);
	return cli->is_json ? out_json(cli, document, err) : 0;
}

static const struct schema_field fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"target", "string", "where it runs"},
	{"kind", "string", "unchanged, first, canary, direct, repair, resume or refused"},
	{"text", "string", "the same for people"},
	{"fix", "string", "what to do about a refusal"},
	{"release", "integer", "the number that it would get"},
	{"good", "integer", "the release that is good now; 0: none"},
	{"generation", "integer", "of the head that the plan was made from"},
	{"image_digest", "string", "the image that would run"},
	{"settings_digest", "string", "of all settings, as merged"},
	{"objects_digest", "string", "of what was rendered"},
	{"golden_digest", "string", "of the golden examples"},
	{"image", "object", "from and to, when it changes"},
	{"model", "object", "from and to, when it changes"},
	{"commit", "object", "from and to, when it changes"},
	{"settings", "object[]", "path, from and to of each that changes"},
	{"objects", "object[]", "object, change, path, from and to of each that changes"},
	{"created", "string", "when"},
	{"created_by", "string", "by whom"},
	{"changes", "boolean", "would a deploy change anything?"},
	{0},
};
const struct command cmd_plan = {
	.name = "plan",
	.summary = "what a deploy would do now, and change",
	.arguments = "",
	.about = "Builds as deploy does, pushes nothing, changes nothing: the way it would go, and what differs from the live release in "
		 "image, model,\n"
		 "settings and objects. A saved plan is applied exactly by mlctl deploy --plan FILE, or refused with exit 12 when anything "
		 "is not as it\n"
		 "was: files, image, head, or what runs. A deploy that would be refused is exit 12 here too.\n",
	.examples = "mlctl plan\nmlctl plan --env prod --exit-code\nmlctl plan --output plan.json && mlctl deploy --plan plan.json\n",
	.opts = options,
	.opts_size = sizeof(struct plan_opts),
	.schema = fields,
	.run = plan_run,
};
