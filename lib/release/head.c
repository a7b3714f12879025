#include "release/head.h"

#define HEAD_SCHEMA "mlctl.head/1"
#define HEAD_SCHEMA_STEM "mlctl.head/"
#define HISTORY_KEPT_MIN 8

static const char *const phase_names[] = {
	[PHASE_NONE] = "",
	[PHASE_PREPARE] = "PREPARE",
	[PHASE_LOCKED] = "LOCKED",
	[PHASE_CANARY_APPLY] = "CANARY_APPLY",
	[PHASE_BAKE] = "BAKE",
	[PHASE_PROMOTE] = "PROMOTE",
	[PHASE_SMOKE] = "SMOKE",
	[PHASE_COMMIT] = "COMMIT",
	[PHASE_ROLLBACK] = "ROLLBACK",
	[PHASE_DESTROY] = "DESTROY",
	[PHASE_END] = "END",
};

const char *phase_name(enum phase phase) {
	return phase_names[phase];
}

void head_entry_revision(const struct head_entry *entry, struct revision *out) {
	*out = (struct revision){.image = entry->image, .settings = entry->settings, .release = entry->n};
	revision_name(&entry->image, &entry->settings, out->name);
}

bool head_entry_is(const struct head_entry *entry, const struct revision *revision) {
	return entry->n && digest_equal(&entry->image, &revision->image) && digest_equal(&entry->settings, &revision->settings);
}

void head_text(char *out, size_t size, const char *text) {
	size_t len = text ? strnlen(text, size - 1) : 0;
	bool is_whole = text && utf8_is_valid(text, strlen(text));
	while (is_whole && len && ((unsigned char) text[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char) text[i];
		out[i] = byte < 0x20 || byte == 0x7f ? ' ' : byte >= 0x80 && !is_whole ? '?' : text[i];
	}
	out[len] = '\0';
}

void head_refuse(struct head *head, const struct digest *image) {
	if (head_refuses(head, image))
		return;
	if (head->refused_count == HEAD_REFUSED_MAX) /* the oldest is forgotten */
		memmove(head->refused, head->refused + 1, --head->refused_count * sizeof(head->refused[0]));
	head->refused[head->refused_count++] = *image;
}

void head_allow(struct head *head, const struct digest *image) {
	size_t kept = 0;
	for (size_t i = 0; i < head->refused_count; i++)
		if (!digest_equal(&head->refused[i], image))
			head->refused[kept++] = head->refused[i];
	head->refused_count = kept;
}

bool head_refuses(const struct head *head, const struct digest *image) {
	for (size_t i = 0; i < head->refused_count; i++)
		if (digest_equal(&head->refused[i], image))
			return true;
	return false;
}

void head_note(struct head *head, int64_t n, char state) {
	for (size_t i = 0; i < head->history_count; i++)
		if (head->history[i].n == n) {
			head->history[i].state = state;
			return;
		}
	if (head->history_count == HEAD_HISTORY_MAX)
		memmove(head->history, head->history + 1, --head->history_count * sizeof(head->history[0]));
	head->history[head->history_count].n = n;
	head->history[head->history_count++].state = state;
}

char head_state(const struct head *head, int64_t n) {
	for (size_t i = 0; i < head->history_count; i++)
		if (head->history[i].n == n)
			return head->history[i].state;
	return 0;
}

void head_owe(struct head *head, const struct head_entry *entry) {
	struct revision revision;
	head_entry_revision(entry, &revision);
	for (size_t i = 0; i < head->debt_count; i++)
		if (head_entry_is(&head->debts[i], &revision))
			return;
	if (entry->n && head->debt_count < HEAD_DEBTS_MAX)
		head->debts[head->debt_count++] = *entry;
}

static int read_text(const struct value *v, const char *path, char *out, size_t size, struct err *err) {
	struct str text;
	if (value_opt_str(v, path, STR(""), &text, err) != 0)
		return -1;
	if (text.len >= size)
		return err_set(err, ERR_INVALID, "%s: %zu bytes, at most %zu", path, text.len, size - 1);
	memcpy(out, text.ptr ? text.ptr : "", text.len);
	out[text.len] = '\0';
	return 0;
}

static int read_digest(const struct value *v, const char *path, struct digest *out, struct err *err) {
	struct str text;
	if (value_opt_str(v, path, STR(""), &text, err) != 0)
		return -1;
	*out = (struct digest){0};
	return text.len ? digest_parse(text, out, err) : 0;
}

static int read_entry(const struct value *v, struct head_entry *out, struct err *err) {
	if (!v || v->kind == VALUE_NULL)
		return 0;
	char since[CLOCK_TEXT_MAX];
	if (value_need_int(v, "n", &out->n, err) != 0 || read_digest(v, "release", &out->release, err) != 0 ||
		read_digest(v, "image", &out->image, err) != 0 || read_digest(v, "settings", &out->settings, err) != 0 ||
		read_text(v, "since", since, sizeof(since), err) != 0 ||
		read_text(v, "commit", out->commit, sizeof(out->commit), err) != 0 ||
		read_text(v, "actor", out->actor, sizeof(out->actor), err) != 0)
		return -1;
	if (since[0] && clock_parse(since, &out->since_s) != 0)
		return err_set(err, ERR_INVALID, "since: \"%s\" is not a time", since);
	return 0;
}

static int read_candidate(const struct value *v, struct head_candidate *out, struct err *err) {
	if (!v || v->kind == VALUE_NULL)
		return 0;
	char phase[24];
	if (read_entry(v, &out->is, err) != 0 || read_text(v, "phase", phase, sizeof(phase), err) != 0 ||
		value_opt_double(v, "weight", 0, &out->weight, err) != 0 || value_opt_int(v, "again", 0, &out->again, err) != 0 ||
		value_opt_bool(v, "interrupted", false, &out->is_interrupted, err) != 0 ||
		value_opt_bool(v, "bad", false, &out->is_judged_bad, err) != 0 ||
		value_opt_bool(v, "undecided", false, &out->is_undecided, err) != 0 ||
		value_opt_bool(v, "rolled", false, &out->has_rolled, err) != 0)
		return -1;
	for (enum phase p = PHASE_PREPARE; p < PHASE_END; p++)
		if (strcmp(phase, phase_names[p]) == 0)
			out->phase = p;
	return out->phase ? 0 : err_set(err, ERR_INVALID, "candidate.phase: \"%s\" is not a phase", phase);
}

static int read_lock(const struct value *v, struct head_lock *out, struct err *err) {
	if (!v || v->kind == VALUE_NULL)
		return 0;
	if (read_text(v, "holder", out->holder, sizeof(out->holder), err) != 0 ||
		read_text(v, "token", out->token, sizeof(out->token), err) != 0 ||
		read_text(v, "verb", out->verb, sizeof(out->verb), err) != 0 || value_need_int(v, "renew", &out->renew, err) != 0 ||
		value_opt_int(v, "ttl_s", 15, &out->ttl_s, err) != 0 || value_need_int(v, "fence", &out->fence, err) != 0 ||
		value_opt_int(v, "to", 0, &out->to, err) != 0)
		return -1;
	return 0;
}

/* "41g 42r": a number and a letter each. */
static int read_history(const struct value *v, struct head *out, struct err *err) {
	struct str rest;
	if (value_opt_str(v, "history", STR(""), &rest, err) != 0)
		return -1;
	while (rest.ptr && rest.len && out->history_count < HEAD_HISTORY_MAX) {
		struct str item = str_cut(rest, ' ', &rest);
		int64_t n;
		if (item.len < 2 || num_int((struct str){item.ptr, item.len - 1}, 1, INT64_MAX, &n) != 0)
			return err_set(err, ERR_INVALID, "history: \"%.*s\" is not a number and a letter", STR_ARGS(item));
		head_note(out, n, item.ptr[item.len - 1]);
	}
	return 0;
}

static int read_lists(const struct value *root, struct head *out, struct err *err) {
	const struct value *refused = value_get(root, "refused"), *debts = value_get(root, "debts"),
			   *unpushed = value_get(root, "unpushed");
	value_each(item, refused) {
		struct digest image;
		if (digest_parse(item->text, &image, err) != 0)
			return err_wrap(err, "refused");
		head_refuse(out, &image);
	}
	value_each(item, debts) {
		if (out->debt_count == HEAD_DEBTS_MAX)
			return err_set(err, ERR_INVALID, "debts: more than %d", HEAD_DEBTS_MAX);
		if (read_entry(item, &out->debts[out->debt_count], err) != 0)
			return err_wrap(err, "debts");
		out->debt_count++;
	}
	value_each(item, unpushed) {
		int64_t n;
		if (num_int(item->text, 1, INT64_MAX, &n) == 0 && out->unpushed_count < sizeof(out->unpushed) / sizeof(out->unpushed[0]))
			out->unpushed[out->unpushed_count++] = n;
	}
	return read_history(root, out, err);
}

static int read_root(const struct value *root, struct head *out, struct err *err) {
	if (read_text(root, "service", out->service, sizeof(out->service), err) != 0 ||
		read_text(root, "env", out->env, sizeof(out->env), err) != 0 ||
		value_need_int(root, "generation", &out->generation, err) != 0 || value_opt_int(root, "next", 1, &out->next, err) != 0 ||
		value_opt_int(root, "live.n", 0, &out->live, err) != 0 ||
		read_text(root, "frozen", out->frozen, sizeof(out->frozen), err) != 0)
		return -1;
	if (read_entry(value_get(root, "good"), &out->good, err) != 0)
		return err_wrap(err, "good");
	if (read_entry(value_get(root, "previous"), &out->previous, err) != 0)
		return err_wrap(err, "previous");
	if (read_candidate(value_get(root, "candidate"), &out->candidate, err) != 0)
		return err_wrap(err, "candidate");
	if (read_lock(value_get(root, "lock"), &out->lock, err) != 0)
		return err_wrap(err, "lock");
	if (out->generation < 1 || out->next < 1 || out->good.n < 0 || out->candidate.is.n < 0)
		return err_set(err, ERR_INVALID, "numbers below one");
	return read_lists(root, out, err);
}

static int cannot_read(struct err *err) {
	err->code = ERR_INVALID;
	err_wrap(err, "the head of this service can't be read");
	return err_fix(err, "mlctl destroy --force, then mlctl deploy   (the releases are still in the registry)");
}

int head_parse(const char *bytes, size_t len, struct head *out, struct err *err) {
	if (len == 0) {
		*out = (struct head){.next = 1};
		return 0;
	}
	AUTO_DOCUMENT struct document *document = NULL;
	struct value_limits limits = {TARGET_HEAD_BYTES_MAX, 4000, 8};
	struct str schema;
	if (json_read("head", (struct str){bytes, len}, limits, &document, err) != 0 ||
		value_need_str(document->root, "schema", &schema, err) != 0)
		return cannot_read(err);
	if (!str_is(schema, HEAD_SCHEMA)) {
		if (!str_starts(schema, HEAD_SCHEMA_STEM)) {
			err_set(err, ERR_INVALID, "schema: \"%.*s\" is not %s", STR_ARGS(schema), HEAD_SCHEMA);
			return cannot_read(err);
		}
		err_set(err, ERR_CONFLICT, "the head of this service has schema %.*s, this mlctl knows %s and leaves it alone",
			STR_ARGS(schema), HEAD_SCHEMA);
		return err_fix(err, "use the newer mlctl that wrote it");
	}
	struct head head = {.exists = true, .next = 1};
	if (read_root(document->root, &head, err) != 0)
		return cannot_read(err);
	*out = head;
	return 0;
}

static void add_entry(struct document *document, struct value *v, const struct head_entry *entry) {
	value_add_int(document, v, "n", entry->n);
	if (entry->release.text[0])
		value_add_text(document, v, "release", entry->release.text);
	value_add_text(document, v, "image", entry->image.text);
	value_add_text(document, v, "settings", entry->settings.text);
	char since[CLOCK_TEXT_MAX];
	if (entry->since_s)
		value_add_text(document, v, "since", clock_text(entry->since_s, since));
	if (entry->commit[0])
		value_add_text(document, v, "commit", entry->commit);
	if (entry->actor[0])
		value_add_text(document, v, "actor", entry->actor);
}

static void add_candidate(struct document *document, struct value *root, const struct head_candidate *candidate) {
	struct value *v = value_add_object(document, root, "candidate");
	add_entry(document, v, &candidate->is);
	value_add_text(document, v, "phase", phase_name(candidate->phase));
	value_add_double(document, v, "weight", candidate->weight);
	if (candidate->again)
		value_add_int(document, v, "again", candidate->again);
	if (candidate->is_interrupted)
		value_add_bool(document, v, "interrupted", true);
	if (candidate->is_judged_bad)
		value_add_bool(document, v, "bad", true);
	if (candidate->is_undecided)
		value_add_bool(document, v, "undecided", true);
	if (candidate->has_rolled)
		value_add_bool(document, v, "rolled", true);
}

static void add_lock(struct document *document, struct value *root, const struct head_lock *lock) {
	if (!lock->fence) {
		value_add_null(document, root, "lock");
		return;
	}
	struct value *v = value_add_object(document, root, "lock");
	value_add_text(document, v, "holder", lock->holder);
	value_add_text(document, v, "token", lock->token);
	value_add_text(document, v, "verb", lock->verb);
	value_add_int(document, v, "renew", lock->renew);
	value_add_int(document, v, "ttl_s", lock->ttl_s);
	value_add_int(document, v, "fence", lock->fence);
	if (lock->to)
		value_add_int(document, v, "to", lock->to);
}

static void add_lists(struct document *document, struct value *root, const struct head *head, size_t history_kept) {
	struct value *refused = value_add_array(document, root, "refused");
	for (size_t i = 0; i < head->refused_count; i++)
		value_add_text(document, refused, NULL, head->refused[i].text);
	if (head->debt_count) {
		struct value *debts = value_add_array(document, root, "debts");
		for (size_t i = 0; i < head->debt_count; i++)
			add_entry(document, value_add_object(document, debts, NULL), &head->debts[i]);
	}
	if (head->unpushed_count) {
		struct value *unpushed = value_add_array(document, root, "unpushed");
		for (size_t i = 0; i < head->unpushed_count; i++)
			value_add_int(document, unpushed, NULL, head->unpushed[i]);
	}
	AUTO_BUF struct buf history = BUF(TARGET_HEAD_BYTES_MAX);
	size_t first = head->history_count > history_kept ? head->history_count - history_kept : 0;
	for (size_t i = first; i < head->history_count; i++)
		buf_format(&history, "%s%lld%c", i > first ? " " : "", (long long) head->history[i].n, head->history[i].state);
	value_add_str(document, root, "history", buf_view(&history));
}

static int write_once(const struct head *head, size_t history_kept, char **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("head");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "schema", HEAD_SCHEMA);
	value_add_text(document, root, "service", head->service);
	value_add_text(document, root, "env", head->env);
	value_add_int(document, root, "generation", head->generation);
	value_add_int(document, root, "next", head->next);
	if (head->good.n)
		add_entry(document, value_add_object(document, root, "good"), &head->good);
	if (head->previous.n)
		add_entry(document, value_add_object(document, root, "previous"), &head->previous);
	if (head->live)
		value_add_int(document, value_add_object(document, root, "live"), "n", head->live);
	if (head->candidate.is.n)
		add_candidate(document, root, &head->candidate);
	add_lists(document, root, head, history_kept);
	value_add_text(document, root, "frozen", head->frozen[0] ? head->frozen : NULL);
	add_lock(document, root, &head->lock);
	return json_write(root, JSON_COMPACT, out, err);
}

int head_write(const struct head *head, char out[TARGET_HEAD_BYTES_MAX], size_t *len, struct err *err) {
	for (size_t kept = HEAD_HISTORY_MAX;; kept /= 2) {
		AUTO_FREE char *text = NULL;
		if (write_once(head, kept, &text, err) != 0)
			return err_wrap(err, "writing the head");
		*len = strlen(text);
		if (*len <= TARGET_HEAD_BYTES_MAX) {
			memcpy(out, text, *len);
			return 0;
		}
		if (kept < HISTORY_KEPT_MIN)
			return err_set(err, ERR_LIMIT, "the head is %zu bytes, at most %d", *len, TARGET_HEAD_BYTES_MAX);
	}
}
