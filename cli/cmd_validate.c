#include "verdict.h"
#include "out.h"
#include "project/project.h"

#define FILES_MAX 1000

struct validate_opts {
	const char *version;
	bool is_schema, is_reference, is_restricted;
};

static const struct opt options[] = {
	OPT_TEXT(0, "kubernetes-version", struct validate_opts, version, "VERSION", "of the cluster, such as 1.29; left out: the newest known"),
	OPT_FLAG(0, "restricted", struct validate_opts, is_restricted, "refuse what Pod Security \"restricted\" refuses"),
	OPT_FLAG(0, "schema", struct validate_opts, is_schema, "print the JSON Schema of mlctl.yaml, for editors"),
	OPT_FLAG(0, "reference", struct validate_opts, is_reference, "print every key with its meaning and default"),
	{0},
};

static int print(struct cli *cli, int (*make)(char **, struct err *), struct err *err) {
	AUTO_FREE char *text = NULL;
	if (make(&text, err) != 0)
		return -1;
	fprintf(cli->out, "%s\n", text);
	return 0;
}

/* What was found is the answer; the exit code says whether an error was among it. */
static int answer(struct verdict *f, const char *what, const char *path, const struct project *project, struct err *err) {
	if (f->errors)
		f->cli->exit_code = EXIT_INVALID;
	AUTO_BUF struct buf line = BUF(2000);
	if (project)
		buf_format(&line, ": %zu environment%s", project->environments.count, project->environments.count == 1 ? "" : "s");
	if (f->objects)
		buf_format(&line, "%s%zu Kubernetes object%s", project ? ", " : ": ", f->objects, f->objects == 1 ? "" : "s");
	if (f->warnings)
		buf_format(&line, ", %zu warning%s", f->warnings, f->warnings == 1 ? "" : "s");
	if (f->errors)
		out_line(f->cli, "%s: %zu problem%s%s", what, f->errors, f->errors == 1 ? "" : "s", f->warnings ? " beside the warnings" : "");
	else
		out_line(f->cli, "%s %s valid%s", what, path ? "is" : "are", buf_view(&line).ptr);
	if (!f->cli->is_json)
		return 0;
	struct value *root = f->answer->root, *environments = value_add_array(f->answer, root, "environments");
	value_add_text(f->answer, root, "file", path);
	value_add_int(f->answer, root, "objects", (int64_t) f->objects);
	for (size_t i = 0; project && i < project->environments.count; i++)
		value_add_text(f->answer, environments, NULL, project->environments.items[i]);
	return out_json(f->cli, f->answer, err);
}

static int check_files(struct verdict *f, const char *const *args, struct err *err) {
	size_t count = 0;
	for (; args[count]; count++)
		if (verdict_file(f, args[count], err) != 0)
			return -1;
	AUTO_FREE char *what = count == 1 ? mem_text(args[0]) : mem_format("%zu files", count);
	return answer(f, what, count == 1 ? args[0] : NULL, NULL, err);
}

static int check_project(struct verdict *f, const char *where, struct err *err) {
	AUTO_PROJECT struct project *project = NULL;
	AUTO_FREE struct err *problems = mem_zero(PROJECT_PROBLEMS_MAX, sizeof(*problems));
	if (project_load(where, &project, err) != 0)
		return -1;
	size_t count = project_check(project, problems);
	for (size_t i = 0; i + 1 < count; i++)
		out_error(f->cli, &problems[i], EXIT_USAGE);
	if (count) {
		*err = problems[count - 1];
		return -1;
	}
	for (size_t i = 0; i < project->environments.count; i++)
		if (verdict_environment(f, project, project->environments.items[i], err) != 0)
			return -1;
	return answer(f, project->path, project->path, project, err);
}

static int validate_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct validate_opts *opts = raw;
	if (opts->is_schema)
		return print(cli, project_schema, err);
	if (opts->is_reference)
		return print(cli, project_reference, err);
	AUTO_DOCUMENT struct document *document = out_document(cli);
	struct verdict f = {.cli = cli, .version = opts->version, .is_restricted = opts->is_restricted, .answer = document};
	f.problems = value_add_array(document, document->root, "problems");
	if (args[0] && (args[1] || verdict_is_manifest(args[0])))
		return check_files(&f, args, err);
	return check_project(&f, args[0], err);
}

static const struct schema_field fields[] = {
	{"problems", "object[]", "what was found: message, fix, at (file:line:column) and is_warning; without errors the exit code is 0"},
	{"environments", "string[]", "their names; none for manifests"},
	{"file", "string", "what was checked; null for several files"},
	{"objects", "integer", "how many Kubernetes objects were checked"},
	{0},
};
const struct command cmd_validate = {
	.name = "validate",
	.summary = "check mlctl.yaml and what it renders, or manifests, offline",
	.arguments = "[FILE… | FOLDER]",
	.arguments_max = FILES_MAX,
	.about = "Every problem with file, line and column, the value, and what would be right. Unknown keys are refused with a suggestion.\n"
		 "Environments of target kubernetes are rendered, and each object is checked against the published schemas of its kind and what an\n"
		 "API server's validation adds: names, labels, quantities, ports, references inside the object, API versions that were removed.\n"
		 "FILE may be any manifest with one or several objects, - is standard input; then no mlctl.yaml is read.\n",
	.examples = "mlctl validate\nmlctl validate --kubernetes-version 1.29\nmlctl validate deployment.yaml service.yaml --restricted\n"
		    "helm template ./chart | mlctl validate -\nmlctl validate --schema > mlctl.schema.json\nmlctl validate --reference\n",
	.opts = options,
	.opts_size = sizeof(struct validate_opts),
	.schema = fields,
	.run = validate_run,
};
