#include "findings.h"
#include "out.h"
#include "session.h"

struct doctor_opts {
	struct where where;
};

static const struct opt options[] = {
	OPT_PLACE(struct doctor_opts, where),
	{0},
};

static int doctor_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct doctor_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {0};
	AUTO_DOCUMENT struct document *document = out_document(cli);
	if (session_open(&s, cli, &opts->where, NEED_TARGET, err) != 0)
		return -1;
	if (!s.target->inspect)
		return err_set(err, ERR_FAILED, "target %s has nothing to examine beyond what deploy's preflight does", s.target->name);
	struct value *findings = value_add_array(document, document->root, "findings");
	if (s.target->inspect(s.target_state, INSPECT_DOCTOR, document, findings, err) != 0)
		return -1;
	size_t bad = findings_count(findings, "bad");
	cli->exit_code = bad ? EXIT_FAILED : EXIT_DONE;
	value_add_bool(document, document->root, "healthy", bad == 0);
	if (cli->is_json)
		return out_json(cli, document, err);
	findings_show(cli, findings);
	out_line(cli, bad ? "%zu of %zu things are to be mended" : "everything that can be examined is well (%zu to mend, %zu looked at)", bad, findings->count);
	return 0;
}

static const struct schema_field fields[] = {
	{"healthy", "boolean", "nothing is bad"},
	{"findings", "object[]", "each with check, state (ok, warning, bad, unknown), text, and fix or null"},
	{0},
};
const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "can this target be worked with: reachable, permitted, complete",
	.arguments = "",
	.about = "Changes nothing. On Kubernetes: does the API server answer and serve the versions that are needed, is each permission granted (what is\n"
		 "missing is printed as Role rules), do nodes fit the image, are the Secrets and accounts there that mlctl.yaml names, can the head be read.\n"
		 "Exit 1 when something is bad.\n",
	.examples = "mlctl doctor --env prod\nmlctl doctor --service fraud --env prod --context prod --namespace ml --json\n",
	.opts = options,
	.opts_size = sizeof(struct doctor_opts),
	.schema = fields,
	.run = doctor_run,
};
