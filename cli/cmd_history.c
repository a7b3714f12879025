#include "out.h"
#include "session.h"

struct history_opts {
	struct where where;
	bool is_evidence;
};

static const struct opt options[] = {
	OPT_PLACE(struct history_opts, where),
	OPT_FLAG(0, "evidence", struct history_opts, is_evidence, "of the release named: what was saved before it was undone"),
	{0},
};

static const char *text_of(const struct value *v, const char *path, char out[160]) {
	const struct value *found = value_find(v, path);
	snprintf(out, 160, "%.*s", found && found->kind != VALUE_NULL ? (int) found->text.len : 1, found && found->text.ptr ? found->text.ptr : "-");
	return out;
}

static int list(struct session *s, struct err *err) {
	AUTO_FREE struct release_list *found = NEW(struct release_list);
	if (release_list_read(&s->release, found, err) != 0)
		return -1;
	AUTO_DOCUMENT struct document *document = out_document(s->cli);
	struct value *releases = value_add_array(document, document->root, "releases");
	out_line(s->cli, "%-6s  %-12s  %-20s  %-14s  %-19s  %s", "N", "STATE", "CREATED", "COMMIT", "IMAGE", "BY");
	for (size_t i = 0; i < found->count; i++) {
		AUTO_DOCUMENT struct document *record = NULL;
		struct err reading = {0};
		char created[160], commit[160], image[160], actor[160], n[24];
		best_effort(release_record_read(&s->release, found->items[i].n, &record, &reading)); /* a record that is gone shows dashes */
		const struct value *root = record ? record->root : NULL;
		snprintf(n, sizeof(n), "r%lld", (long long) found->items[i].n);
		out_line(s->cli, "%-6s  %-12s  %-20s  %-14.12s  %-19.19s  %s", n, found->items[i].state, text_of(root, "created", created),
			text_of(root, "facts.commit", commit), text_of(root, "image.manifest", image), text_of(root, "actor", actor));
		struct value *one = value_add_object(document, releases, NULL);
		value_add_int(document, one, "n", found->items[i].n);
		value_add_text(document, one, "state", found->items[i].state);
		if (root)
			value_add_copy(document, one, "record", root);
	}
	return s->cli->is_json ? out_json(s->cli, document, err) : 0;
}

static void scalar(const struct value *v, struct buf *out) {
	if (v->kind == VALUE_STRING || v->kind == VALUE_NUMBER)
		buf_str(out, v->text);
	else
		buf_text(out, v->kind == VALUE_BOOL ? v->boolean ? "true" : "false" : "-");
}

static bool is_flat(const struct value *v) {
	value_each(child, v)
		if (child->kind == VALUE_OBJECT || child->kind == VALUE_ARRAY)
			return false;
	return true;
}

#define PAGE_LINE_BYTES_MAX ((size_t) 64 * 1024)
#define PAGE_DEPTH_MAX 16

/* A tree as lines for people: "name  value"; an element of a list is one line as long as nothing is nested in it. */
static void show_tree(struct cli *cli, const struct value *v, int depth) {
	value_each(child, v) {
		AUTO_BUF struct buf line = BUF(PAGE_LINE_BYTES_MAX);
		bool is_nested = child->kind == VALUE_OBJECT || child->kind == VALUE_ARRAY;
		bool is_element = v->kind == VALUE_ARRAY;
		buf_format(&line, "%*s", depth * 2, "");
		if (is_element)
			buf_text(&line, "- ");
		else
			buf_format(&line, is_nested ? "%.*s:" : "%-14.*s ", STR_ARGS(child->key));
		if (!is_nested)
			scalar(child, &line);
		else if (is_element && child->kind == VALUE_OBJECT && is_flat(child))
			value_each(member, child) {
				buf_format(&line, "%.*s ", STR_ARGS(member->key));
				scalar(member, &line);
				buf_text(&line, member->next ? "   " : "");
			}
		out_line(cli, "%s", line.ptr);
		if (is_nested && depth < PAGE_DEPTH_MAX && !(is_element && is_flat(child)))
			show_tree(cli, child, depth + 1);
	}
}

static int one(struct session *s, const char *name, bool is_evidence, struct err *err) {
	int64_t n = 0;
	struct str number = str_of(name[0] == 'r' ? name + 1 : name);
	AUTO_DOCUMENT struct document *found = NULL;
	if (num_int(number, 1, INT64_MAX, &n) != 0)
		return err_set(err, ERR_USAGE, "%s: must be a release such as r41", name);
	if ((is_evidence ? release_evidence_read(&s->release, n, &found, err) : release_record_read(&s->release, n, &found, err)) != 0)
		return err->code == ERR_NOT_FOUND ? err_fix(err, "mlctl history lists the releases that are there") : -1;
	if (s->cli->is_json) {
		AUTO_DOCUMENT struct document *document = out_document(s->cli);
		value_add_copy(document, document->root, is_evidence ? "evidence" : "record", found->root);
		return out_json(s->cli, document, err);
	}
	char word[96];
	out_line(s->cli, "%s %s r%lld", out_colour(s->cli->is_out_coloured, COLOUR_BOLD, is_evidence ? "post-mortem of" : "release", word), s->service, (long long) n);
	show_tree(s->cli, found->root, 1);
	return 0;
}

static int history_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct history_opts *opts = raw;
	AUTO_SESSION struct session s = {0};
	if (opts->is_evidence && !args[0])
		return err_set(err, ERR_USAGE, "--evidence: of which release? mlctl history rN --evidence");
	if (session_open(&s, cli, &opts->where, NEED_TARGET | NEED_STORE_MAYBE, err) != 0)
		return -1;
	return args[0] ? one(&s, args[0], opts->is_evidence, err) : list(&s, err);
}

static const struct schema_field fields[] = {
	{"releases", "object[]", "n, state and record of each, newest first"},
	{"record", "object", "of the release that was named"},
	{"evidence", "object", "with --evidence: gate, errors, logs, events saved before the undo"},
	{0},
};
const struct command cmd_history = {
	.name = "history",
	.summary = "the releases, one of them, or why one was undone",
	.arguments = "[rN]",
	.arguments_max = 1,
	.about = "Without a release: all of them, newest first. With one: its whole record. With --evidence: the post-mortem page of a release that\n"
		 "was rolled back: the gate's numbers, distinct errors, log tails, events, who did what when.\n",
	.examples = "mlctl history\nmlctl history r42\nmlctl history r43 --evidence\n",
	.opts = options,
	.opts_size = sizeof(struct history_opts),
	.schema = fields,
	.run = history_run,
};
