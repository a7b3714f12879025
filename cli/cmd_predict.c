#include "out.h"
#include "session.h"

#include <unistd.h>

struct predict_opts {
	struct where where;
	const char *rows, *path;
};

static const struct opt options[] = {
	OPT_PLACE(struct predict_opts, where),
	OPT_TEXT(0, "path", struct predict_opts, path, "PATH", "where another server takes it (/predict, or the golden example's own)"),
	OPT_TEXT(0, "rows", struct predict_opts, rows, "JSON", "the request itself, instead of a file"),
	{0},
};

#define REQUEST_BYTES_MAX ((size_t) 16 * 1024 * 1024)
#define TIMEOUT_MS 60000

/* A file, "-" for standard input, or the first golden example. */
static int read_request(struct session *s, const char *file, char **where, char **out, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (file) {
		const char *path = strcmp(file, "-") == 0 ? "/dev/stdin" : file;
		return fs_read(path, REQUEST_BYTES_MAX, out, &len, err);
	}
	if (!s->settings || !s->settings->model.golden) {
		err_set(err, ERR_USAGE, "nothing to predict: no file, no --rows, and no golden examples to take one from");
		return err_fix(err, "mlctl predict --rows '[[1, 2, 3]]'");
	}
	AUTO_FREE char *path = project_path(s->project, s->settings->model.golden);
	if (fs_read(path, REQUEST_BYTES_MAX, &text, &len, err) != 0)
		return -1;
	struct str rest, line = str_cut((struct str) {text, len}, '\n', &rest);
	AUTO_DOCUMENT struct document *golden = NULL;
	AUTO_DOCUMENT struct document *request = document_new("request");
	if (json_read(s->settings->model.golden, line, VALUE_LIMITS_WIRE, &golden, err) != 0)
		return -1;
	const struct value *rows = value_get(golden->root, "rows"), *other = value_get(golden->root, "request"), *to = value_get(golden->root, "path");
	if (other && to && to->kind == VALUE_STRING)
		*where = str_dup(to->text);
	if (other)
		return json_write(other, JSON_COMPACT, out, err);
	if (!rows)
		return err_set(err, ERR_INVALID, "%s: line 1 has no rows", s->settings->model.golden);
	value_add_copy(request, value_root_object(request), "rows", rows);
	return json_write(request->root, JSON_COMPACT, out, err);
}

static int predict_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct predict_opts *opts = raw;
	AUTO_SESSION struct session s = {0};
	AUTO_FREE char *body = NULL, *path = NULL;
	if (opts->path && opts->path[0] != '/')
		return err_set(err, ERR_USAGE, "--path %s: must begin with /", opts->path);
	if (session_open(&s, cli, &opts->where, NEED_TARGET, err) != 0)
		return -1;
	if (opts->rows)
		body = mem_text(opts->rows);
	else if (read_request(&s, args[0], &path, &body, err) != 0)
		return -1;
	struct target_request request = {.method = "POST", .path = opts->path ? opts->path : path ? path : "/predict", .body = body, .timeout_ms = TIMEOUT_MS};
	struct target_answer answer = {0};
	if (s.target->call(s.target_state, NULL, &request, &answer, err) != 0) {
		if (err->code == ERR_TIMEOUT) /* nothing was rolled out: no exit 11 */
			err->code = ERR_NETWORK;
		return -1;
	}
	int rc = 0;
	AUTO_DOCUMENT struct document *parsed = NULL;
	struct err reading = {0};
	bool is_json = json_read("answer", (struct str) {answer.body, answer.body_len}, VALUE_LIMITS_WIRE, &parsed, &reading) == 0;
	if (answer.status / 100 != 2) {
		const struct value *message = is_json ? value_get(parsed->root, "error") : NULL;
		rc = err_set(err, answer.status < 500 ? ERR_INVALID : ERR_FAILED, "the service answered %d: %.*s", answer.status,
			message ? (int) message->text.len : 200, message ? message->text.ptr : answer.body);
	} else if (cli->is_json) {
		AUTO_DOCUMENT struct document *document = out_document(cli);
		value_add_int(document, document->root, "us", answer.us);
		if (is_json)
			value_add_copy(document, document->root, "answer", parsed->root);
		rc = out_json(cli, document, err);
	} else {
		out_line(cli, "%s", answer.body);
	}
	target_answer_clear(&answer);
	return rc;
}

static const struct schema_field fields[] = {
	{"us", "integer", "microseconds, there and back"},
	{"answer", "object", "what the service answered"},
	{0},
};
const struct command cmd_predict = {
	.name = "predict",
	.summary = "ask the service for a prediction",
	.arguments = "[FILE]",
	.arguments_max = 1,
	.about = "Sends FILE (- for standard input), --rows, or the first golden example by POST to /predict (or --path) of what is deployed, and prints the answer.\n",
	.examples = "mlctl predict\nmlctl predict --rows '[[5.1, 3.5, 1.4, 0.2]]'\nhead -1 traffic.jsonl | mlctl predict -\n",
	.opts = options,
	.opts_size = sizeof(struct predict_opts),
	.schema = fields,
	.run = predict_run,
};
