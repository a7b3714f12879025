#include "out.h"
#include "session.h"

struct logs_opts {
	struct where where;
	bool is_following, is_all;
	int64_t lines;
};

static const struct opt options[] = {
	OPT_PLACE(struct logs_opts, where),
	OPT_FLAG('f', "follow", struct logs_opts, is_following, "go on as lines come, until interrupted"),
	OPT_FLAG('a', "all", struct logs_opts, is_all, "of every revision, not of the live one alone"),
	OPT_INT('n', "lines", struct logs_opts, lines, 1, 10000, "N", "the last N of each replica (20)"),
	{0},
};

#define LINES_DEFAULT 20
#define FOLLOW_MS 300

static int answer(struct session *s, const struct texts *lines, struct err *err) {
	AUTO_DOCUMENT struct document *document = out_document(s->cli);
	value_add_text(document, document->root, "service", s->service);
	value_add_text(document, document->root, "env", s->environment);
	struct value *list = value_add_array(document, document->root, "lines");
	for (size_t i = 0; i < lines->count; i++)
		value_add_text(document, list, NULL, lines->items[i]);
	return out_json(s->cli, document, err);
}

static int logs_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct logs_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {0};
	struct release_head head;
	char cursor[64] = "";
	if (session_open(&s, cli, &opts->where, NEED_TARGET, err) != 0 || release_head_read(&s.release, &head, err) != 0)
		return -1;
	if (!head.exists) {
		err_set(err, ERR_NOT_FOUND, "%s is not deployed to %s", s.service, s.environment);
		return err_fix(err, "mlctl deploy --env %s", s.environment);
	}
	if (opts->is_following && cli->is_json)
		return err_set(err, ERR_USAGE, "--follow has no end and --json is one document: take one of the two");
	const struct revision *revision = opts->is_all || !head.live ? NULL : &head.live_revision;
	for (;;) {
		AUTO_TEXTS struct texts lines = {0};
		if (s.target->logs(s.target_state, revision, (int) (opts->lines ? opts->lines : LINES_DEFAULT), &lines, cursor, err) != 0)
			return -1;
		if (cli->is_json)
			return answer(&s, &lines, err);
		for (size_t i = 0; i < lines.count; i++)
			out_line(cli, "%s", lines.items[i]);
		fflush(cli->out);
		if (!opts->is_following)
			return 0;
		struct http_event event = {0};
		if (http_step(s.release.http, clock_mono_ms(cli->clock) + FOLLOW_MS, &event, err) != 0)
			return -1;
		if (event.what == HTTP_SIGNAL) {
			cli->interrupted = event.signal;
			cli->exit_code = 128 + event.signal;
			return 0;
		}
	}
}

static const struct schema_field fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"lines", "string[]", "the last lines of each replica, its name before each"},
	{0},
};
const struct command cmd_logs = {
	.name = "logs",
	.summary = "what the replicas said",
	.arguments = "",
	.about = "The last lines of each replica of the live revision, each with the replica's name before it.\n",
	.examples = "mlctl logs\nmlctl logs -f\nmlctl logs --all -n 200 | grep error\n",
	.opts = options,
	.opts_size = sizeof(struct logs_opts),
	.schema = fields,
	.run = logs_run,
};
