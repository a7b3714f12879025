#include "verdict.h"

#include "kube/schema.h"
#include "os/fs.h"
#include "out.h"
#include "target/kubernetes_objects.h"

#define FILE_BYTES_MAX ((size_t) 16 * 1024 * 1024)
#define PROBLEMS_MAX 200 /* of one object */

static void tell(struct verdict *f, bool is_warning, const struct err *err) {
	f->errors += !is_warning;
	f->warnings += is_warning;
	struct value *one = value_add_object(f->answer, f->problems, NULL);
	value_add_text(f->answer, one, "message", err->message);
	value_add_text(f->answer, one, "fix", *err->fix ? err->fix : NULL);
	value_add_text(f->answer, one, "at", *err->at ? err->at : NULL);
	value_add_bool(f->answer, one, "is_warning", is_warning);
	if (is_warning)
		out_warn(f->cli, "%s%s%s%s%s", err->at, *err->at ? ": " : "", err->message, *err->fix ? ": " : "", err->fix);
	else if (!f->cli->is_json)
		out_error(f->cli, err, EXIT_INVALID);
}

static void wrap_object(const struct value *object, struct err *err) {
	const struct value *kind = value_get(object, "kind"), *name = value_find(object, "metadata.name");
	if (kind && kind->kind == VALUE_STRING && name && name->kind == VALUE_STRING)
		err_wrap(err, "%.*s %.*s", STR_ARGS(kind->text), STR_ARGS(name->text));
	else if (kind && kind->kind == VALUE_STRING)
		err_wrap(err, "%.*s", STR_ARGS(kind->text));
}

/* An object's problems, and those of "restricted" behind them; only a version that is none fails. */
static int check_object(const struct verdict *f, const struct value *object, bool is_asked, struct kube_problems *problems, struct err *err) {
	struct err ignored = {0};
	if (kube_schema_check(object, f->version, problems, &ignored) != 0 && ignored.code == ERR_USAGE) {
		*err = ignored;
		return -1;
	}
	size_t before = problems->count;
	err_clear(&ignored);
	if (is_asked)
		best_effort(kube_restricted_check_object(object, f->version, problems, &ignored)); /* its problems are looked at below */
	for (size_t i = before; i < problems->count && !f->is_restricted; i++)
		problems->items[i].is_warning = true;
	return 0;
}

static int check_manifest(struct verdict *f, const char *path, const struct value *object, struct err *err) {
	AUTO_FREE struct kube_problem *items = mem_zero(PROBLEMS_MAX, sizeof(*items));
	struct kube_problems problems = {.items = items, .max = PROBLEMS_MAX};
	if (check_object(f, object, f->is_restricted, &problems, err) != 0)
		return -1;
	f->objects++;
	for (size_t i = 0; i < problems.count; i++) {
		struct err one = {0};
		kube_problem_err(&items[i], path, &one);
		wrap_object(object, &one);
		tell(f, items[i].is_warning, &one);
	}
	return 0;
}

/* Where each line begins, to look a node up in its text again. */
struct lines {
	const char **starts;
	size_t count;
	const char *end;
};

static void lines_of(struct str text, struct lines *out) {
	*out = (struct lines) {.end = text.ptr + text.len};
	for (size_t pass = 0; pass < 2; pass++) {
		size_t count = 0;
		for (struct str rest = text; rest.ptr; count++) {
			struct str line = str_cut(rest, '\n', &rest);
			if (pass)
				out->starts[count] = line.ptr;
		}
		if (!pass && count)
			out->starts = mem_zero(count, sizeof(*out->starts));
		out->count = count;
	}
}

static const char *source_at(const struct lines *lines, struct place at) {
	if (at.line < 1 || (size_t) at.line > lines->count)
		return "";
	const char *byte = lines->starts[at.line - 1];
	for (int column = 1; column < at.column && byte < lines->end; column++)
		for (byte++; byte < lines->end && ((unsigned char) *byte & 0xc0) == 0x80;)
			byte++;
	return byte < lines->end ? byte : "";
}

/* kubectl and helm read YAML 1.1: what they take for something else than YAML 1.2, which mlctl reads, is told. */
static void check_spelling(struct verdict *f, const char *path, const struct lines *lines, const struct value *node) {
	static const char *const words[] = {"y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"};
	struct err one = {0};
	const char *source = source_at(lines, node->at);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && node->kind == VALUE_STRING; i++)
		if (str_is(node->text, words[i]) && *source == words[i][0]) {
			err_set(&one, ERR_INVALID, "%s is true or false to kubectl, and text to mlctl", words[i]);
			err_fix(&one, "\"%s\" for the text, true or false for the other", words[i]);
		}
	if (node->kind == VALUE_NUMBER && source[0] == '0' && ascii_is_digit(source[1])) {
		err_set(&one, ERR_INVALID, "a number that begins with 0 is octal to kubectl, and decimal to mlctl: %.*s", STR_ARGS(node->text));
		err_fix(&one, "0644 is 420: write that");
	}
	if (one.code == ERR_NONE)
		return;
	err_at(&one, "%s:%d:%d", path, node->at.line, node->at.column);
	tell(f, true, &one);
}

/* Every scalar below a node, without recursion. */
static const struct value *next_node(const struct value *node, const struct value **parents, size_t *depth, size_t depth_max) {
	if (node->first && *depth < depth_max) {
		parents[(*depth)++] = node;
		return node->first;
	}
	while (!node->next && *depth)
		node = parents[--*depth];
	return *depth ? node->next : NULL;
}

static void check_spellings(struct verdict *f, const char *path, struct str text, const struct value *root) {
	const struct value *parents[128];
	struct lines lines;
	size_t depth = 0;
	lines_of(text, &lines);
	for (const struct value *node = root; node; node = next_node(node, parents, &depth, sizeof(parents) / sizeof(parents[0])))
		check_spelling(f, path, &lines, node);
	free(lines.starts);
}

static int read_manifest(const char *path, char **text, struct str *view, struct document **out, struct err *err) {
	size_t len = 0;
	bool is_input = strcmp(path, "-") == 0;
	if (fs_read(is_input ? "/dev/stdin" : path, FILE_BYTES_MAX, text, &len, err) != 0)
		return -1;
	*view = (struct str) {*text, len};
	return yaml_read_all(is_input ? "standard input" : path, *view, VALUE_LIMITS_WIRE, out, err);
}

static bool is_object(const struct value *value) {
	return value_get(value, "apiVersion") || value_get(value, "kind");
}

bool verdict_is_manifest(const char *path) {
	struct err ignored = {0};
	AUTO_FREE char *text = NULL;
	AUTO_DOCUMENT struct document *document = NULL;
	struct str view, name = str_of(path), rest;
	if (strcmp(path, "-") == 0)
		return true;
	while (memchr(name.ptr, '/', name.len))
		str_cut(name, '/', &rest), name = rest;
	if (str_is(name, PROJECT_FILE) || !fs_exists(path) || read_manifest(path, &text, &view, &document, &ignored) != 0)
		return false;
	return document->root->first && is_object(document->root->first);
}

int verdict_file(struct verdict *f, const char *path, struct err *err) {
	AUTO_FREE char *text = NULL;
	AUTO_DOCUMENT struct document *document = NULL;
	struct str view;
	if (read_manifest(path, &text, &view, &document, err) != 0) {
		if (err->code != ERR_INVALID)
			return -1;
		tell(f, false, err);
		err_clear(err);
		return 0;
	}
	const char *shown = document->name;
	check_spellings(f, shown, view, document->root);
	value_each(object, document->root) {
		const struct value *kind = value_get(object, "kind"), *items = value_get(object, "items");
		bool is_list = kind && kind->kind == VALUE_STRING && str_ends(kind->text, "List") && items && items->kind == VALUE_ARRAY;
		for (const struct value *one = is_list ? items->first : object; one; one = is_list ? one->next : NULL)
			if (check_manifest(f, shown, one, err) != 0)
				return -1;
	}
	return 0;
}

static int compare_origins(const void *a, const void *b) {
	const char *x = (const char *) ((const struct tmpl_origin *) a)->node, *y = (const char *) ((const struct tmpl_origin *) b)->node;
	return (x > y) - (x < y);
}

/* Of a node, or of the first value inside it. */
static const struct tmpl_origin *origin_of(const struct tmpl_origins *origins, const struct value *node) {
	while (node && node->first)
		node = node->first;
	const struct tmpl_origin wanted = {.node = node};
	return origins->count && node ? bsearch(&wanted, origins->items, origins->count, sizeof(wanted), compare_origins) : NULL;
}

/* The place is mlctl.yaml's where a value came from there, else the template's; the other is told beside it. */
static void tell_rendered(struct verdict *f, const struct settings *settings, const struct tmpl_origins *origins, const struct value *object,
	const struct kube_problem *problem) {
	struct err one = {0};
	const struct tmpl_origin *origin = origin_of(origins, problem->node);
	struct place at = problem->at;
	kube_problem_err(problem, NULL, &one);
	wrap_object(object, &one);
	err_wrap(&one, "%s", settings->environment);
	if (origin && problem->node && !problem->node->first && origin->from_place.line) {
		size_t len = strlen(one.message);
		snprintf(one.message + len, sizeof(one.message) - len, " (%s, by %s:%d)", origin->from, origin->file, origin->place.line);
		err_at(&one, "%s:%d:%d", settings->file, origin->from_place.line, origin->from_place.column);
	} else if (origin && *origin->file && at.line) {
		err_at(&one, "%s:%d:%d", origin->file, at.line, at.column);
	}
	tell(f, problem->is_warning, &one);
}

static bool is_told(const struct kube_problems *before, const struct kube_problem *problem) {
	for (size_t i = 0; i < before->count; i++)
		if (before->items[i].at.line == problem->at.line && before->items[i].at.column == problem->at.column &&
			strcmp(before->items[i].path, problem->path) == 0 && strcmp(before->items[i].what, problem->what) == 0)
			return true;
	return false;
}

/* The service's objects, then the canary's, which come from the same templates: what was told once is not told again. */
static int check_rendered(struct verdict *f, const struct settings *settings, const struct value *root, const struct tmpl_origins *origins,
	struct err *err) {
	static const char *const roles[] = {"stable", "canary"};
	AUTO_FREE struct kube_problem *items = mem_zero(PROBLEMS_MAX, sizeof(*items));
	struct kube_problems problems = {.items = items, .max = PROBLEMS_MAX};
	for (size_t role = 0; role < 2; role++)
		value_each(object, value_get(root, roles[role])) {
			size_t before = problems.count;
			if (check_object(f, object, true, &problems, err) != 0)
				return -1;
			f->objects++;
			for (size_t i = before; i < problems.count; i++) {
				const struct kube_problems earlier = {.items = items, .count = before};
				if (!is_told(&earlier, &items[i]))
					tell_rendered(f, settings, origins, object, &items[i]);
			}
		}
	return 0;
}

int verdict_environment(struct verdict *f, const struct project *project, const char *name, struct err *err) {
	AUTO_SETTINGS struct settings *settings = NULL;
	if (project_env(project, name, &settings, err) != 0)
		return -1;
	if (strcmp(settings->target, "kubernetes") != 0)
		return 0;
	AUTO_DOCUMENT struct document *tree = document_new(settings->file), *document = document_new("objects");
	struct tmpl_origins origins CLEANUP(tmpl_origins_clear) = {0};
	struct target_context context = {
		.service = settings->name,
		.env = settings->environment,
		.settings = settings_tree(settings, tree),
		.project_folder = project->folder,
		.settings_file = settings->file,
		.environment = &f->cli->env,
		.clock = f->cli->clock,
		.redact = f->cli->redact,
		.log = &f->cli->log,
		.program = f->cli->program,
	};
	/* Nothing is built: any digest does, since only its shape is looked at. */
	struct revision revision = {.settings = settings->settings_digest};
	digest_of(STR(""), &revision.image);
	revision_name(&revision.image, &revision.settings, revision.name);
	struct value *root = NULL;
	if (objects_render_unchecked(&context, &revision, NULL, document, &root, &origins, err) != 0) {
		if (err->code != ERR_INVALID)
			return -1;
		err_wrap(err, "%s", settings->environment);
		tell(f, false, err);
		err_clear(err);
		return 0;
	}
	if (origins.count)
		qsort(origins.items, origins.count, sizeof(*origins.items), compare_origins);
	return check_rendered(f, settings, root, &origins, err);
}
