/* Reading: the head, records, the list of releases, evidence. Nothing here writes. */
#include "release/lock.h"
#include "release/session.h"

static const char *state_name(const struct head *head, int64_t n) {
	if (n == head->good.n)
		return "live";
	if (n == head->candidate.is.n)
		return "candidate";
	switch (head_state(head, n)) {
	case 'g':
		return "good";
	case 'r':
		return "rolled-back";
	case 'u':
		return "undecided";
	case 'f':
		return "failed";
	default:
		return "";
	}
}

/* Of all that it names the newest, when that was undone. */
static void find_failed(const struct head *head, struct release_head *out) {
	int64_t newest = head->good.n > head->candidate.is.n ? head->good.n : head->candidate.is.n;
	for (size_t i = 0; i < head->history_count; i++) {
		char state = head->history[i].state;
		if (head->history[i].n <= newest)
			continue;
		newest = head->history[i].n;
		out->failed = state == 'r' || state == 'f' || state == 'u' ? newest : 0;
	}
	if (out->failed)
		snprintf(out->failed_state, sizeof(out->failed_state), "%s", state_name(head, out->failed));
}

int release_head_read(const struct release_context *context, struct release_head *out, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	run_init(&run, context, engine_table);
	run_look(&run);
	if (head_load(&run, err) != 0)
		return -1;
	const struct head *head = &run.head;
	*out = (struct release_head){.exists = head->exists,
		.generation = head->generation,
		.good = head->good.n,
		.live = head->live,
		.previous = head->previous.n,
		.candidate = head->candidate.is.n,
		.weight = head->candidate.weight,
		.since_s = head->candidate.is.n ? head->candidate.is.since_s : head->good.since_s,
		.good_since_s = head->good.since_s,
		.good_release = head->good.release,
		.candidate_release = head->candidate.is.release,
		.refused_count = head->refused_count};
	find_failed(head, out);
	head_entry_revision(&head->good, &out->good_revision);
	head_entry_revision(&head->previous, &out->previous_revision);
	head_entry_revision(&head->candidate.is, &out->candidate_revision);
	out->live_revision = head->live == head->candidate.is.n && head->live ? out->candidate_revision : out->good_revision;
	snprintf(out->phase, sizeof(out->phase), "%s%s", phase_name(head->candidate.phase),
		head->candidate.is_interrupted ? " interrupted" : "");
	snprintf(out->commit, sizeof(out->commit), "%s", head->good.commit);
	snprintf(out->actor, sizeof(out->actor), "%s", head->good.actor);
	snprintf(out->frozen, sizeof(out->frozen), "%s", head->frozen);
	/* Who was killed right after its last write holds nothing. */
	bool is_held = head->lock.fence && !(context->target->is_gone && context->target->is_gone(context->target_state, head->lock.token));
	snprintf(out->lock_holder, sizeof(out->lock_holder), "%s", is_held ? head->lock.holder : "");
	for (size_t i = 0; i < head->refused_count; i++)
		memcpy(out->refused[i], head->refused[i].text, sizeof(out->refused[i]));
	return 0;
}

static int read_text(const char *name, const char *text, struct document **out, struct err *err) {
	struct value_limits limits = {RECORD_BYTES_MAX, 500000, 128};
	return json_read(name, str_of(text), limits, out, err);
}

int release_record_read(const struct release_context *context, int64_t n, struct document **out, struct err *err) {
	struct kept kept __attribute__((cleanup(kept_clear))) = {0};
	return record_fetch(context, n, &kept, err) != 0 ? -1 : read_text("record", kept.record, out, err);
}

int release_drift(const struct release_context *context, int64_t n, struct texts *out, struct err *err) {
	AUTO_DOCUMENT struct document *record = NULL;
	if (!context->target->drift)
		return 0;
	if (release_record_read(context, n, &record, err) != 0)
		return -1;
	return context->target->drift(context->target_state, value_get(record->root, "objects"), out, err);
}

int release_evidence_read(const struct release_context *context, int64_t n, struct document **out, struct err *err) {
	struct kept kept __attribute__((cleanup(kept_clear))) = {0};
	if (record_fetch(context, n, &kept, err) != 0)
		return -1;
	if (!kept.evidence)
		return err_set(err, ERR_NOT_FOUND, "r%lld has no evidence: it was not undone", (long long) n);
	return read_text("evidence", kept.evidence, out, err);
}

#define LIST_MAX (sizeof(((struct release_list *) NULL)->items) / sizeof(((struct release_list *) NULL)->items[0]))

static void add_number(struct release_list *list, const struct head *head, int64_t n) {
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].n == n)
			return;
	if (!n || list->count == LIST_MAX)
		return;
	list->items[list->count].n = n;
	snprintf(list->items[list->count++].state, sizeof(list->items[0].state), "%s", state_name(head, n));
}

static int by_number_down(const void *a, const void *b) {
	int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
	return (x < y) - (x > y);
}

int release_list_read(const struct release_context *context, struct release_list *out, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	AUTO_TEXTS struct texts tags = {0};
	run_init(&run, context, engine_table);
	run_look(&run);
	if (head_load(&run, err) != 0)
		return -1;
	const struct head *head = &run.head;
	*out = (struct release_list){0};
	add_number(out, head, head->candidate.is.n);
	add_number(out, head, head->good.n);
	for (size_t i = head->history_count; i > 0; i--)
		add_number(out, head, head->history[i - 1].n);
	struct err away = {0};
	/* What the registry has besides is older or of a service that was destroyed; without it the list is shorter, not wrong. */
	if (context->store && store_tags(context->store, &tags, &away) == 0)
		for (size_t i = 0; i < tags.count; i++)
			add_number(out, head, record_tag_number(tags.items[i], context->env));
	_Static_assert(
		offsetof(struct release_list, items[0].n) == offsetof(struct release_list, items), "n is first: the order reads it there");
	qsort(out->items, out->count, sizeof(out->items[0]), by_number_down);
	return 0;
}
