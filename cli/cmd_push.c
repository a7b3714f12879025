#include "out.h"
#include "session.h"

struct push_opts {
	const char *env;
	bool is_untested;
};

static const struct opt options[] = {
	OPT_ENV(struct push_opts, env),
	OPT_FLAG(0, "no-test", struct push_opts, is_untested, "skip the self-test; the record says so"),
	{0},
};

static int answer(struct session *s, const struct build *build, const struct push_result *result, struct err *err) {
	struct cli *cli = s->cli;
	char sent[NUM_HUMAN_MAX], took[NUM_HUMAN_MAX];
	out_fact(cli, "to", "%s", store_name(s->store));
	out_fact(cli, "sent", "%s in %zu blobs, %zu were there%s   %s", num_human_bytes(result->sent_bytes, sent), result->pushed, result->existed,
		result->mounted ? ", some mounted" : "", num_human_ms(clock_mono_ms(cli->clock) - cli->start_ms, took));
	out_fact(cli, "image", "%s@%s", store_name(s->store), build->image.manifest.digest.text);
	out_fact(cli, "tag", "%s", s->tag);
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	struct value *root = document->root;
	value_add_text(document, root, "repository", store_name(s->store));
	value_add_text(document, root, "manifest", build->image.manifest.digest.text);
	value_add_text(document, root, "index", build->image.index.digest.text);
	value_add_text(document, root, "tag", s->tag);
	value_add_int(document, root, "sent_bytes", result->sent_bytes);
	value_add_int(document, root, "pushed", (int64_t) result->pushed);
	value_add_int(document, root, "existed", (int64_t) result->existed);
	value_add_int(document, root, "mounted", (int64_t) result->mounted);
	value_add_int(document, root, "read_bytes", build->read_bytes);
	return out_json(cli, document, err);
}

static int push_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct push_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session session = {0};
	struct build *build = NULL;
	struct push_result result = {0};
	if (session_open(&session, cli, &(struct where){.env = opts->env}, NEED_PROJECT | NEED_STORE, err) != 0 ||
		session_build(&session, opts->is_untested, &build, err) != 0)
		return -1;
	int rc = session_push(&session, build, &result, err);
	if (rc == 0)
		rc = answer(&session, build, &result, err);
	build_free(build);
	return rc;
}

static const struct schema_field fields[] = {
	{"repository", "string", "where it went"},
	{"manifest", "string", "digest of the platform manifest"},
	{"index", "string", "digest of the index"},
	{"tag", "string", "git-<commit>, which never moves"},
	{"sent_bytes", "integer", "what was really sent"},
	{"pushed", "integer", "blobs sent"},
	{"existed", "integer", "blobs that were there"},
	{"mounted", "integer", "blobs mounted from another repository"},
	{"read_bytes", "integer", "bytes of files that had to be hashed"},
	{0},
};
const struct command cmd_push = {
	.name = "push",
	.summary = "build, and send the registry what it lacks",
	.arguments = "",
	.about = "Builds as `mlctl build` does and pushes to the repository that `image:` names (without one: to the layout folder that stands in\n"
		 "for a registry on this machine). Layers go in parallel, straight from the files; what the registry has is not sent; after a cut only\n"
		 "what was in flight goes again. The tag git-<commit> never moves.\n",
	.examples = "mlctl push\nmlctl push --json | jq -r .manifest\necho \"$PASSWORD\" | mlctl login registry.example.com --username ci --password-stdin && mlctl "
		    "push\n",
	.opts = options,
	.opts_size = sizeof(struct push_opts),
	.schema = fields,
	.run = push_run,
};
