/* Help, man pages and the schemas of --json answers, all from the command tables. */
#include "embed/embed.h"
#include "out.h"
#include "target/kubernetes_objects.h"

extern const struct opt opt_common[];

struct help_opts {
	const char *schema, *man_to;
};

static const struct opt help_options[] = {
	OPT_TEXT(0, "schema", struct help_opts, schema, "COMMAND", "the JSON Schema of that command's --json answer"),
	OPT_TEXT(0, "man-to", struct help_opts, man_to, "FOLDER", "write a man page per command there"),
	{0},
};

static const char exit_codes[] =
	"   0  done, or nothing to do\n"
	"   1  failed (any other reason)\n"
	"   2  usage or configuration\n"
	"   3  plan or diff --exit-code: there are differences\n"
	"   4  validation or self-test failed, nothing touched\n"
	"   5  credentials or permission\n"
	"   6  build or registry\n"
	"   7  lock held by another\n"
	"   8  rollout failed, nothing to go back to\n"
	"   9  rollout failed and rolled back; the old version is verified serving\n"
	"  10  rollback failed: act now\n"
	"  11  undecided (timed out, not enough evidence, or no way from the old version's replicas to the new one's)\n"
	"  12  conflict, stale plan or refused image\n"
	" 130  interrupted by SIGINT (143: SIGTERM); the record is consistent\n";

static void overview(FILE *out) {
	fputs("mlctl takes a trained model in a git repository to a running, guarded, monitored service, and back again.\n\n"
	      "  mlctl init       write mlctl.yaml for the model in this folder\n"
	      "  mlctl deploy     build, push, roll out with a canary; undo by itself when the new version is bad\n"
	      "  mlctl status     what runs, is it healthy, since when, from which commit\n"
	      "  mlctl rollback   the last good release, verified\n\n"
	      "Commands:\n",
		out);
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			fprintf(out, "  %-11s %s\n", (*c)->name, (*c)->summary);
	fputs("\nEvery command takes:\n", out);
	opt_print(opt_common, out);
	fputs("\nMore: mlctl help COMMAND · mlctl help exit-codes · mlctl help templates · mlctl help --schema COMMAND\n", out);
}

static void indented(FILE *out, const char *text) {
	for (struct str rest = str_of(text); rest.ptr && rest.len;) {
		struct str line = str_cut(rest, '\n', &rest);
		fprintf(out, "  %.*s\n", STR_ARGS(line));
	}
}

static void one(const struct command *c, FILE *out) {
	fprintf(out, "mlctl %s - %s\n\nUsage: mlctl %s%s%s%s\n\n%s", c->name, c->summary, c->name, c->opts ? " [options]" : "", *c->arguments ? " " : "",
		c->arguments, c->about);
	if (c->opts) {
		fputs("\nOptions:\n", out);
		opt_print(c->opts, out);
	}
	fputs("\nEvery command takes:\n", out);
	opt_print(opt_common, out);
	fputs("\nExamples:\n", out);
	indented(out, c->examples);
}

/* "object" of the fields; "string[]" is an array of strings. */
static int print_schema(struct cli *cli, const struct command *c, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("schema");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	AUTO_FREE char *title = mem_format("mlctl.%s/1", c->name);
	value_add_text(document, root, "title", title);
	value_add_text(document, root, "type", "object");
	struct value *properties = value_add_object(document, root, "properties");
	value_add_text(document, value_add_object(document, properties, "schema"), "const", title);
	for (const struct schema_field *f = c->schema; f && f->name; f++) {
		struct value *property = value_add_object(document, properties, f->name);
		struct str type = str_of(f->type);
		bool is_list = str_ends(type, "[]");
		struct str single = {type.ptr, type.len - (is_list ? 2 : 0)};
		if (is_list) {
			value_add_text(document, property, "type", "array");
			value_add_str(document, value_add_object(document, property, "items"), "type", single);
		} else {
			struct value *types = value_add_array(document, property, "type");
			value_add_str(document, types, NULL, single);
			value_add_text(document, types, NULL, "null");
		}
		value_add_text(document, property, "description", f->help);
	}
	value_add_text(document, value_add_array(document, root, "required"), NULL, "schema");
	return out_json(cli, document, err);
}

/* roff: a backslash, and a line's leading dot or quote, must be escaped. */
static void roff(FILE *out, const char *text) {
	bool at_start = true;
	for (const char *c = text; *c; c++) {
		if (at_start && (*c == '.' || *c == '\''))
			fputs("\\&", out);
		if (*c == '\\')
			fputs("\\e", out);
		else if (*c == '-')
			fputs("\\-", out);
		else
			fputc(*c, out);
		at_start = *c == '\n';
	}
}

static void man_page(const struct command *c, FILE *out) {
	fprintf(out, ".TH MLCTL-%s 1 \"\" \"mlctl %s\" \"mlctl\"\n.SH NAME\nmlctl\\-%s \\- ", c->name, MLCTL_VERSION, c->name);
	roff(out, c->summary);
	fprintf(out, "\n.SH SYNOPSIS\n.B mlctl %s\n[options] %s\n.SH DESCRIPTION\n", c->name, c->arguments);
	roff(out, c->about);
	fputs(".SH OPTIONS\n", out);
	for (int pass = 0; pass < 2; pass++)
		for (const struct opt *o = pass ? opt_common : c->opts; o && o->name; o++) {
			fputs(".TP\n", out);
			if (o->letter)
				fprintf(out, ".BR \\-%c \", \" \\-\\-%s\n", o->letter, o->name);
			else
				fprintf(out, ".B \\-\\-%s\n", o->name);
			roff(out, o->help);
			fputc('\n', out);
		}
	fputs(".SH EXAMPLES\n.nf\n", out);
	roff(out, c->examples);
	fputs(".fi\n.SH \"EXIT STATUS\"\n.nf\n", out);
	roff(out, exit_codes);
	fputs(".fi\n.SH \"SEE ALSO\"\n.BR mlctl (1)\n", out);
}

static void man_overview(FILE *out) {
	fprintf(out, ".TH MLCTL 1 \"\" \"mlctl %s\" \"mlctl\"\n.SH NAME\nmlctl \\- from a model in git to a running service, and back\n.SH DESCRIPTION\n.nf\n",
		MLCTL_VERSION);
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	overview(memory);
	fclose(memory);
	roff(out, text);
	fputs(".fi\n", out);
}

/* 0644 whatever the umask is, which is tight in this program: a manual is for everybody. `about` NULL: the overview. */
static int page_to(const char *path, const struct command *about, struct err *err) {
	FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(err, "%s", path);
	if (about)
		man_page(about, out);
	else
		man_overview(out);
	bool is_written = ferror(out) == 0 && fchmod(fileno(out), 0644) == 0;
	return (fclose(out) == 0 && is_written) ? 0 : err_sys(err, "%s", path);
}

static int man_to(const char *folder, struct err *err) {
	AUTO_FREE char *main_path = mem_format("%s/mlctl.1", folder);
	int rc = page_to(main_path, NULL, err);
	for (const struct command *const *c = commands; rc == 0 && *c; c++) {
		AUTO_FREE char *path = mem_format("%s/mlctl-%s.1", folder, (*c)->name);
		if (!(*c)->is_hidden)
			rc = page_to(path, *c, err);
	}
	return rc;
}

static int print_templates(struct cli *cli, struct err *err) {
	AUTO_BUF struct buf text = BUF(64 * 1024);
	struct str ignored;
	const char *path;
	buf_text(&text, "A template is YAML that makes one object: what is no instruction is copied. Values go into the parsed tree, so no value can change its\n"
			"structure. A file in .mlctl/templates/ takes the place of mlctl's own of the same name; one with another name below kubernetes/ is one\n"
			"more object; an empty one leaves an object out. A changed template is a new revision. To start from one of mlctl's:\n\n"
			"  mkdir -p .mlctl/templates/kubernetes\n"
			"  mlctl render --template kubernetes/service.yaml > .mlctl/templates/kubernetes/service.yaml\n\nInstructions:\n");
	tmpl_reference(&text);
	buf_text(&text, "\nPaths:\n");
	objects_reference(&text);
	buf_text(&text, "\nTemplates:\n");
	for (size_t i = 0; (path = embed_template_at(i, &ignored)) != NULL; i++)
		if (strncmp(path, "init/", 5) != 0)
			buf_format(&text, "  %s\n", path);
	if (buf_check(&text, "the help", err) != 0)
		return -1;
	fputs(text.ptr, cli->out);
	return 0;
}

static int help_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct help_opts *opts = raw;
	const struct command *about = NULL;
	if (opts->man_to)
		return man_to(opts->man_to, err);
	if (opts->schema) {
		if (command_need(opts->schema, &about, err) != 0)
			return -1;
		if (!about->schema)
			return err_set(err, ERR_USAGE, "mlctl %s has no --json answer", about->name);
		return print_schema(cli, about, err);
	}
	if (!args[0]) {
		overview(cli->out);
		return 0;
	}
	if (strcmp(args[0], "exit-codes") == 0) {
		fputs(exit_codes, cli->out);
		return 0;
	}
	if (strcmp(args[0], "templates") == 0)
		return print_templates(cli, err);
	if (command_need(args[0], &about, err) != 0)
		return -1;
	one(about, cli->out);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.summary = "explain a command, the exit codes, or the shape of a --json answer",
	.arguments = "[COMMAND | exit-codes | templates]",
	.arguments_max = 1,
	.about = "Without a word: every command in one line. With one: what it does, its options and examples.\n",
	.examples = "mlctl help deploy\nmlctl help exit-codes\nmlctl help templates\nmlctl help --schema status\n",
	.opts = help_options,
	.opts_size = sizeof(struct help_opts),
	.run = help_run,
};
