#include "out.h"
#include "session.h"

struct build_opts {
	const char *env, *output;
	bool is_untested;
};

static const struct opt options[] = {
	OPT_ENV(struct build_opts, env),
	OPT_TEXT('o', "output", struct build_opts, output, "WHERE", "also write oci:DIR, oci-archive:FILE or docker-archive:FILE"),
	OPT_FLAG(0, "no-test", struct build_opts, is_untested, "skip the self-test; the record says so"),
	{0},
};

/* What somebody asks for is a file like any other tool's: who may read it is the user's umask to say. */
static int write_output(struct cli *cli, const struct build *build, const char *where, const char *name, struct err *err) {
	mode_t ours = umask(cli->umask);
	int rc = build_output(build, where, name, err);
	umask(ours);
	return rc;
}

static int build_command(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct build_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session session = {0};
	struct build *build = NULL;
	if (session_open(&session, cli, &(struct where){.env = opts->env}, NEED_PROJECT, err) != 0 || session_build(&session, opts->is_untested, &build, err) != 0)
		return -1;
	int rc = opts->output ? write_output(cli, build, opts->output, session.service, err) : 0;
	if (rc == 0)
		session_show_build(&session, build, clock_mono_ms(cli->clock) - cli->start_ms);
	if (rc == 0 && opts->output)
		out_fact(cli, "output", "%s", opts->output);
	if (rc == 0 && cli->is_json) {
		AUTO_DOCUMENT struct document *document = out_document(cli);
		value_each(fact, build->facts->root) {
			AUTO_FREE char *key = str_dup(fact->key);
			value_add_copy(document, document->root, key, fact);
		}
		value_add_text(document, document->root, "output", opts->output);
		rc = out_json(cli, document, err);
	}
	build_free(build);
	return rc;
}

static const struct schema_field fields[] = {
	{"manifest", "string", "digest of the platform manifest: what is deployed, and the same on every machine"},
	{"index", "string", "digest of the index that carries the commit as annotations"},
	{"commit", "string", "git commit; null without git"},
	{"dirty", "boolean", "files of the image differ from the commit"},
	{"dirty_file", "string", "one of them"},
	{"subject", "string", "the commit's first line"},
	{"branch", "string", "the branch"},
	{"committed", "string", "when it was made"},
	{"source", "string", "the remote, without credentials"},
	{"tree", "string", "git's hash of the model's path"},
	{"tag", "string", "what push will call it: git-<commit>"},
	{"git_problem", "string", "why there is no commit, where a repository is there"},
	{"runner", "object", "version and platform of the runner inside"},
	{"base", "string", "scratch, or the base image by digest"},
	{"files", "integer", "files of the model"},
	{"bytes", "integer", "what they hold"},
	{"ignored", "integer", "files and folders that stayed out"},
	{"read_bytes", "integer", "what had to be read and hashed; 0: all was known from before"},
	{"model", "object", "path, digest, bytes and signature of the model, and when it was created"},
	{"test", "object", "what the self-test saw: load time, peak memory, golden examples, latency"},
	{"layers", "object[]", "digest, size and title of each layer"},
	{"output", "string", "what --output wrote"},
	{0},
};
const struct command cmd_build = {
	.name = "build",
	.summary = "make the image: runner + model, reproducible, tested here",
	.arguments = "",
	.about = "Plans the image (no daemon, no copy of the model), loads the model in the bundled runner and answers the golden examples.\n"
		 "Nothing leaves this machine. The same content and the same mlctl give the same manifest digest anywhere.\n",
	.examples = "mlctl build\nmlctl build --output oci-archive:fraud.tar      # for skopeo, podman load\nmlctl build --output docker-archive:fraud.tar   # for docker "
		    "load\nmlctl build --json | jq -r .manifest\n",
	.opts = options,
	.opts_size = sizeof(struct build_opts),
	.schema = fields,
	.run = build_command,
};
