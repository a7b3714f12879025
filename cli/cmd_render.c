#include "embed/embed.h"
#include "out.h"
#include "session.h"
#include "target/kubernetes_objects.h"

struct render_opts {
	const char *env, *image, *output, *template;
	bool is_explained, is_canary;
};

static const struct opt options[] = {
	OPT_ENV(struct render_opts, env),
	OPT_TEXT(0, "image", struct render_opts, image, "REF@sha256:…", "for this image, without building one"),
	OPT_TEXT('o', "output", struct render_opts, output, "FOLDER", "write a file per object instead of printing them"),
	OPT_FLAG(0, "explain", struct render_opts, is_explained, "behind each value: the line of mlctl.yaml and of the template that set it"),
	OPT_TEXT(0, "template", struct render_opts, template, "NAME", "print that template of mlctl's own instead, to start one from (mlctl help templates)"),
	OPT_FLAG(0, "canary", struct render_opts, is_canary, "what is there beside the service while a new version is watched"),
	{0},
};

#define FILE_BYTES_MAX ((size_t) 8 * 1024 * 1024)

struct rendered {
	struct document *document;
	struct value *root;
	struct tmpl_origins origins; /* sorted by node */
	struct session *s;
};

static void rendered_clear(struct rendered *r) {
	tmpl_origins_clear(&r->origins);
	document_free(r->document);
}

static int take_image(struct session *s, const char *image, struct revision *revision, struct err *err) {
	struct str digest, name = str_cut_last(str_of(image), '@', &digest), tag, repository = str_cut_last(name, ':', &tag);
	if (!tag.ptr || memchr(tag.ptr, '/', tag.len)) /* that was a port's colon */
		repository = name;
	if (!digest.ptr || digest_parse(digest, &revision->image, err) != 0) {
		err_clear(err);
		err_set(err, ERR_USAGE, "--image %s: it must be one by its digest", image);
		return err_fix(err, "--image %.*s@sha256:… (mlctl push prints it)", STR_ARGS(name));
	}
	if (!s->settings->image || str_is(repository, s->settings->image))
		return 0;
	err_set(err, ERR_USAGE, "--image %s: mlctl.yaml says image: %s", image, s->settings->image);
	return err_fix(err, "mlctl.yaml: image: %.*s", STR_ARGS(repository));
}

static int render(struct session *s, const struct revision *revision, const struct value *facts, bool is_explained, struct rendered *out, struct err *err) {
	struct target_context context = {
		.service = s->service,
		.env = s->environment,
		.settings = s->tree->root,
		.project_folder = s->project->folder,
		.settings_file = s->settings->file,
		.environment = &s->cli->env,
		.clock = s->cli->clock,
		.redact = s->cli->redact,
		.log = &s->cli->log,
		.program = s->cli->program,
	};
	if (strcmp(s->settings->target, "kubernetes") == 0)
		return objects_render(&context, revision, facts, out->document, &out->root, is_explained ? &out->origins : NULL, err);
	const struct target *target = target_find(s->settings->target);
	if (!target)
		return err_set(err, ERR_CONFIG, "target \"%s\" is not built yet", s->settings->target);
	AUTO_FREE void *state = mem_zero(1, target->state_size);
	if (target->open(state, &context, err) != 0)
		return -1;
	int rc = target->render(state, revision, facts, out->document, &out->root, err);
	target->close(state);
	return rc;
}

static int compare_origins(const void *a, const void *b) {
	const char *x = (const char *) ((const struct tmpl_origin *) a)->node, *y = (const char *) ((const struct tmpl_origin *) b)->node;
	return (x > y) - (x < y);
}

static const struct tmpl_origin *origin_of(const struct rendered *r, const struct value *node) {
	const struct tmpl_origin wanted = {.node = node};
	return r->origins.count ? bsearch(&wanted, r->origins.items, r->origins.count, sizeof(wanted), compare_origins) : NULL;
}

/* "mlctl.yaml:14", "default" for a setting that nobody wrote, "mlctl" for what it works out, "" for a constant. */
static const char *set_in(const struct rendered *r, const struct tmpl_origin *origin, char out[300]) {
	*out = '\0';
	if (origin->from_place.line)
		snprintf(out, 300, "%s:%d", r->s->settings->file, origin->from_place.line);
	else if (origin->from)
		snprintf(out, 300, "%s", strncmp(origin->from, "this.", 5) == 0 || strcmp(origin->from, "service") == 0 ? "mlctl" : "default");
	return out;
}

static void note(void *self, const struct value *node, struct buf *out) {
	const struct rendered *r = self;
	const struct tmpl_origin *origin = node ? origin_of(r, node) : NULL;
	char where[300];
	if (node && !origin)
		buf_text(out, "mlctl");
	if (!origin)
		return;
	if (*set_in(r, origin, where))
		buf_format(out, "%s %s%s", where, origin->from, *origin->file ? ", " : "");
	if (*origin->file)
		buf_format(out, "%s:%d", origin->file, origin->place.line);
}

static struct str text_of(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && found->kind == VALUE_STRING ? found->text : STR("object");
}

static int write_file(struct session *s, const struct rendered *r, const struct value *object, const char *folder, struct buf *yaml, struct err *err) {
	AUTO_BUF struct buf name = BUF(1024);
	struct str kind = text_of(object, "kind");
	for (size_t i = 0; i < kind.len; i++)
		buf_char(&name, ascii_lower(kind.ptr[i]));
	if (value_find(object, "metadata.name"))
		buf_format(&name, "-%.*s", STR_ARGS(text_of(object, "metadata.name")));
	buf_text(&name, ".yaml");
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '/')
			name.ptr[i] = '-';
	AUTO_FREE char *path = fs_join(folder, name.ptr);
	(void) r;
	if (fs_replace(path, yaml->ptr, yaml->len, 0644, err) != 0)
		return -1;
	out_fact(s->cli, "wrote", "%s", path);
	return 0;
}

static int show_object(struct rendered *r, const struct render_opts *opts, const struct value *object, bool is_one_of_many, struct err *err) {
	AUTO_BUF struct buf yaml = BUF(FILE_BYTES_MAX);
	const struct yaml_notes notes = {note, r};
	yaml_write(object, opts->is_explained ? &notes : NULL, &yaml);
	if (buf_check(&yaml, "the object", err) != 0)
		return -1;
	if (opts->output)
		return write_file(r->s, r, object, opts->output, &yaml, err);
	if (is_one_of_many)
		out_line(r->s->cli, "---");
	out_line(r->s->cli, "%.*s", (int) yaml.len - 1, yaml.ptr);
	return 0;
}

static void add_origins(const struct rendered *r, struct document *document, struct value *into) {
	struct value *list = value_add_array(document, into, "origins");
	char where[300];
	for (size_t i = 0; i < r->origins.count; i++) {
		const struct tmpl_origin *origin = &r->origins.items[i];
		struct value *one = value_add_object(document, list, NULL);
		AUTO_FREE char *template = *origin->file ? mem_format("%s:%d", origin->file, origin->place.line) : NULL;
		value_add_text(document, one, "path", origin->path);
		value_add_text(document, one, "template", template);
		value_add_text(document, one, "from", origin->from);
		value_add_text(document, one, "set", *set_in(r, origin, where) ? where : NULL);
	}
}

static int answer_json(const struct rendered *r, const struct revision *revision, const struct value *objects, bool is_explained, struct err *err) {
	AUTO_DOCUMENT struct document *document = out_document(r->s->cli);
	struct value *root = document->root;
	value_add_text(document, root, "service", r->s->service);
	value_add_text(document, root, "env", r->s->environment);
	value_add_text(document, root, "target", r->s->settings->target);
	value_add_text(document, root, "revision", revision->name);
	value_add_text(document, root, "image", revision->image.text);
	struct value *list = value_add_array(document, root, "objects");
	if (objects->kind == VALUE_OBJECT)
		value_add_copy(document, list, NULL, objects);
	else
		value_each(object, objects) value_add_copy(document, list, NULL, object);
	if (is_explained)
		add_origins(r, document, root);
	return out_json(r->s->cli, document, err);
}

/* The list that was asked for; a target without objects of a platform is one tree itself. */
static int show(struct rendered *r, const struct render_opts *opts, const struct revision *revision, struct err *err) {
	const struct value *list = value_get(r->root, opts->is_canary ? "canary" : "stable");
	if (opts->output && fs_make_dirs(opts->output, 0755, err) != 0)
		return -1;
	if (r->s->cli->is_json && !opts->output)
		return answer_json(r, revision, list ? list : r->root, opts->is_explained, err);
	if (r->origins.count)
		qsort(r->origins.items, r->origins.count, sizeof(*r->origins.items), compare_origins);
	if (!list)
		return show_object(r, opts, r->root, false, err);
	value_each(object, list) {
		if (show_object(r, opts, object, true, err) != 0)
			return -1;
	}
	return r->s->cli->is_json ? answer_json(r, revision, list, opts->is_explained, err) : 0;
}

static int print_template(struct cli *cli, const char *name, struct err *err) {
	struct str text = embed_template(name);
	if (text.ptr) {
		fwrite(text.ptr, 1, text.len, cli->out);
		return 0;
	}
	err_set(err, ERR_USAGE, "--template %s: there is no such template", name);
	return err_fix(err, "mlctl help templates lists them");
}

static int render_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct render_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {0};
	struct rendered r CLEANUP(rendered_clear) = {.document = document_new("objects"), .s = &s};
	struct revision revision = {0};
	struct build *build = NULL;
	if (opts->template)
		return print_template(cli, opts->template, err);
	if (session_open(&s, cli, &(struct where){.env = opts->env}, NEED_PROJECT, err) != 0)
		return -1;
	s.is_without_git = true;
	int rc = opts->image ? take_image(&s, opts->image, &revision, err) : session_build(&s, false, &build, err);
	if (rc == 0) {
		if (build)
			revision.image = build->image.manifest.digest;
		revision.settings = s.settings->settings_digest;
		revision_name(&revision.image, &revision.settings, revision.name);
		rc = render(&s, &revision, build ? build->facts->root : NULL, opts->is_explained, &r, err);
	}
	if (rc == 0)
		rc = show(&r, opts, &revision, err);
	build_free(build);
	return rc;
}

static const struct schema_field fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"target", "string", "where it runs"},
	{"revision", "string", "the name of this image with these settings"},
	{"image", "string", "the image's digest"},
	{"objects", "object[]", "what deploy would make true, in the order of applying"},
	{"origins", "object[]", "with --explain: path, template (file:line), from (the value's path) and set (file:line, default or mlctl)"},
	{0},
};
const struct command cmd_render = {
	.name = "render",
	.summary = "print what would be deployed, as manifests",
	.arguments = "",
	.about = "The objects that deploy would make true, from mlctl.yaml and the templates (mlctl's own, and over them those in .mlctl/templates/), as YAML\n"
		 "that kubectl takes. Offline: no cluster and no registry is asked. The image is the one that build makes; --image names another.\n",
	.examples = "mlctl render --env prod\nmlctl render --env prod --explain\nmlctl render --env prod --image registry.example.com/team/fraud@sha256:… "
		    "--output manifests\n",
	.opts = options,
	.opts_size = sizeof(struct render_opts),
	.schema = fields,
	.run = render_run,
};
