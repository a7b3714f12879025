#include "out.h"
#include "project/project.h"

struct validate_opts {
	bool is_schema, is_reference;
};

static const struct opt options[] = {
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

static int validate_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct validate_opts *opts = raw;
	AUTO_PROJECT struct project *project = NULL;
	if (opts->is_schema)
		return print(cli, project_schema, err);
	if (opts->is_reference)
		return print(cli, project_reference, err);
	AUTO_FREE struct err *problems = mem_zero(PROJECT_PROBLEMS_MAX, sizeof(*problems));
	if (project_load(args[0], &project, err) != 0)
		return -1;
	size_t count = project_check(project, problems);
	for (size_t i = 0; i + 1 < count; i++)
		out_error(cli, &problems[i], EXIT_USAGE);
	if (count) {
		*err = problems[count - 1];
		return -1;
	}
	out_line(cli, "%s is valid: %zu environment%s", project->path, project->environments.count, project->environments.count == 1 ? "" : "s");
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	value_add_text(document, document->root, "file", project->path);
	struct value *environments = value_add_array(document, document->root, "environments");
	for (size_t i = 0; i < project->environments.count; i++)
		value_add_text(document, environments, NULL, project->environments.items[i]);
	return out_json(cli, document, err);
}

static const struct schema_field fields[] = {{"file", "string", "what was checked"}, {"environments", "string[]", "their names"}, {0}};
const struct command cmd_validate = {
	.name = "validate",
	.summary = "check mlctl.yaml, every environment, offline",
	.arguments = "[FILE | FOLDER]",
	.arguments_max = 1,
	.about = "Every problem with file, line and column, the value, and what would be right. Unknown keys are refused with a suggestion.\n",
	.examples = "mlctl validate\nmlctl validate --schema > mlctl.schema.json\nmlctl validate --reference\n",
	.opts = options,
	.opts_size = sizeof(struct validate_opts),
	.schema = fields,
	.run = validate_run,
};
