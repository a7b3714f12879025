#include "release/evidence.h"

#include "release/record.h"
#include "release/session.h"

#include <inttypes.h>

#define ASKING_MS 5000
#define LOG_LINES 200
#define LOG_BYTES_MAX ((size_t) 40 * 1024)
#define EVENTS_BYTES_MAX ((size_t) 12 * 1024)
#define JOURNAL_BYTES_MAX ((size_t) 16 * 1024)

/* The newest texts that fit, redacted, in their order. */
static void add_texts(const struct run *run, struct document *document, struct value *root, const char *key, const struct texts *texts,
	size_t bytes_max) {
	struct value *list = value_add_array(document, root, key);
	size_t first = texts->count, bytes = 0;
	while (first > 0 && bytes + strlen(texts->items[first - 1]) + 4 <= bytes_max)
		bytes += strlen(texts->items[--first]) + 4;
	for (size_t i = first; i < texts->count; i++) {
		AUTO_BUF struct buf clean = BUF(64 * 1024);
		redactor_apply(run->context->redact, str_of(texts->items[i]), &clean);
		value_add_str(document, list, NULL, buf_view(&clean));
	}
}

static void add_side(struct document *document, struct value *root, const char *key, const struct gate_side *side) {
	struct value *v = value_add_object(document, root, key);
	value_add_double(document, v, "requests", side->requests);
	value_add_double(document, v, "errors_5xx", side->errors_5xx);
	value_add_double(document, v, "errors_4xx", side->errors_4xx);
	value_add_double(document, v, "failed_handovers", side->failed_handovers);
	value_add_int(document, v, "restarts", side->restarts);
	value_add_int(document, v, "refused_samples", side->refused);
	struct value *replicas = value_add_array(document, v, "replicas");
	for (size_t i = 0; i < side->count && i < 8; i++) {
		struct value *replica = value_add_object(document, replicas, NULL);
		value_add_text(document, replica, "name", side->replicas[i].name);
		value_add_double(document, replica, "requests", side->replicas[i].requests);
		value_add_double(document, replica, "errors_5xx", side->replicas[i].errors_5xx);
	}
	struct value *histogram = value_add_array(document, v, "histogram");
	for (size_t i = 0; i + 1 < side->bucket_count; i++) {
		struct value *bucket = value_add_object(document, histogram, NULL);
		value_add_double(document, bucket, "le_s", side->bucket_le_s[i]);
		value_add_double(document, bucket, "total", side->buckets[i]);
	}
}

static void add_gate(const struct run *run, struct document *document, struct value *root) {
	const struct verdict *verdict = &run->verdict;
	struct value *v = value_add_object(document, root, "gate");
	value_add_text(document, v, "arithmetic", verdict->text);
	value_add_double(document, v, "requests", verdict->requests);
	value_add_double(document, v, "errors", verdict->errors);
	value_add_double(document, v, "error_rate", verdict->rate);
	value_add_double(document, v, "low", verdict->low);
	value_add_double(document, v, "high", verdict->high);
	value_add_double(document, v, "limit", run->canary.error_rate_max);
	value_add_double(document, v, "p99_ms", verdict->p99_ms);
	value_add_double(document, v, "golden_sent", run->gate.golden_sent);
	value_add_double(document, v, "golden_wrong", run->gate.golden_wrong);
	value_add_int(document, v, "health_failures", run->gate.health_failures);
	add_side(document, v, "canary", &run->gate.canary);
	add_side(document, v, "stable", &run->gate.stable);
}

static int write_evidence(struct run *run, char **out, struct err *err) {
	const struct release_context *context = run->context;
	AUTO_DOCUMENT struct document *document = document_new("evidence");
	AUTO_TEXTS struct texts lines = {0};
	AUTO_TEXTS struct texts events = {0};
	struct value *root = value_root_object(document);
	char wall[CLOCK_TEXT_MAX];
	value_add_text(document, root, "schema", "mlctl.evidence/1");
	value_add_int(document, root, "n", run->subject.entry.n);
	value_add_text(document, root, "at", clock_text(clock_wall_s(context->clock), wall));
	value_add_text(document, root, "phase", phase_name(run->failed_phase));
	AUTO_TEXTS struct texts cause = {0};
	texts_add(&cause, run->cause);
	add_texts(run, document, root, "cause", &cause, sizeof(run->cause) + 8);
	if (run->cause_word[0])
		value_add_text(document, root, "cause_word", run->cause_word);
	AUTO_TEXTS struct texts fix = {0};
	texts_add(&fix, run->fix);
	if (run->fix[0])
		add_texts(run, document, root, "fix", &fix, sizeof(run->fix) + 8);
	/* Logs and events are asked for once each, and not for long: evidence may be poorer, the undo may not be later. */
	int64_t before_ms = context->http ? context->http->deadline_ms : 0, until_ms = run_now(run) + ASKING_MS;
	if (context->http && (!before_ms || until_ms < before_ms))
		context->http->deadline_ms = until_ms;
	best_effort(
		context->target->logs(context->target_state, &run->subject.revision, LOG_LINES, &lines, (char[64]){""}, &(struct err){0}));
	best_effort(context->target->events(context->target_state, &events, &(struct err){0}));
	if (context->http)
		context->http->deadline_ms = before_ms;
	add_gate(run, document, root);
	add_texts(run, document, root, "errors", &run->gate.errors, EVENTS_BYTES_MAX / 2);
	add_texts(run, document, root, "journal", &run->journal, JOURNAL_BYTES_MAX);
	add_texts(run, document, root, "events", &events, EVENTS_BYTES_MAX);
	add_texts(run, document, root, "logs", &lines, LOG_BYTES_MAX);
	return json_write(root, JSON_COMPACT, out, err);
}

void evidence_save(struct run *run) {
	struct err err = {0};
	free(run->evidence);
	run->evidence = NULL;
	if (write_evidence(run, &run->evidence, &err) != 0)
		return;
	if (strlen(run->evidence) > EVIDENCE_BYTES_MAX) { /* only escaping can make it so long: what is left is the arithmetic */
		free(run->evidence);
		run->evidence = NULL;
		return;
	}
	if (!run->record)
		return;
	if (record_keep(run->context, run->subject.entry.n, run->record, run->evidence, &err) != 0)
		return;
	run_tell(run, "evidence", "saved: %zu bytes, logs, events, metrics window", strlen(run->evidence));
}

void evidence_push(struct run *run) {
	struct err err = {0};
	struct record_pack pack = {0};
	if (!run->evidence || !run->record || !run->context->store)
		return;
	if (record_pack(run->context, run->subject.entry.n, run->record, run->evidence, &pack, &err) != 0)
		return;
	if (record_push(run->context, run->subject.entry.n, &pack, &err) != 0)
		session_owe_push(run, run->subject.entry.n);
	record_pack_clear(&pack);
}
