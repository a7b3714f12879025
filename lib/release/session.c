#include "release/session.h"

#include "release/lock.h"
#include "release/plan.h"

#include <inttypes.h>

#define KEPT_MIN 10 /* releases whose record the target keeps */

void session_fill_result(struct run *run, struct release_result *result) {
	result->outcome = run->outcome;
	result->release = run->head.good.n;
	result->elapsed_ms = run_now(run) - run->started_ms;
	memcpy(result->cause, run->cause, sizeof(result->cause));
	memcpy(result->fix, run->fix, sizeof(result->fix));
	memcpy(result->cause_word, run->cause_word, sizeof(result->cause_word));
	memcpy(result->serving, run->serving.text, sizeof(result->serving));
}

int session_refused(struct run *run, const struct release_plan *plan, struct release_result *result) {
	run->outcome = OUTCOME_REFUSED;
	snprintf(run->cause, sizeof(run->cause), "%s", plan->text);
	snprintf(run->fix, sizeof(run->fix), "%s", plan->fix);
	session_fill_result(run, result);
	return 0;
}

/* The lock is another's: an outcome, not an error. Everything else before the first effect is one. */
int session_failed_early(struct run *run, struct release_result *result, struct err *err) {
	enum outcome outcome = err->code == ERR_LOCKED ? OUTCOME_LOCKED : OUTCOME_INTERRUPTED;
	if (err->code != ERR_LOCKED && err->code != ERR_INTERRUPTED && !run_signal(run))
		return -1;
	run_cause(run, err);
	err_clear(err);
	run->outcome = outcome;
	session_fill_result(run, result);
	return 0;
}

int session_objects_fit(struct run *run, const struct revision *revision, const struct value *objects, struct err *err) {
	const struct release_context *context = run->context;
	struct remote remote = remote_begin(run);
	int rc = 0;
	if (!context->target->diff)
		return 0;
	do {
		AUTO_DOCUMENT struct document *scratch = document_new("changes");
		rc = context->target->diff(context->target_state, revision, objects, scratch, value_root_array(scratch), err);
	} while (rc != 0 && remote_again(&remote, err));
	return rc;
}

/* Lets go of the lock; by hand nobody ever has to. */
void session_let_go(struct run *run) {
	struct err err = {0};
	run_park(run); /* short: the lease ends by itself anyway */
	best_effort(lock_free(run, &err));
}

/* After LOCKED without an effect: the candidate goes out of the head again, with the lock. */
int session_back_out(struct run *run, struct release_result *result, struct err *err) {
	if (run->is_holding) {
		if (!run->was_touched && run->subject.entry.n && run->head.candidate.is.n == run->subject.entry.n)
			run->head.candidate = (struct head_candidate){0};
		session_let_go(run);
	}
	return session_failed_early(run, result, err);
}

void session_copy_commit(const struct value *facts, char out[64]) {
	static const char *const paths[] = {"git.commit", "commit", "revision"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct value *found = value_find(facts, paths[i]);
		if (found && found->kind == VALUE_STRING) {
			AUTO_FREE char *text = str_dup(found->text);
			head_text(out, 64, text);
			return;
		}
	}
}

/* What the target keeps of old releases goes, but for the newest, good and previous. Best effort: a text too many harms nobody. */
void session_forget_old(struct run *run) {
	const struct release_context *context = run->context;
	const struct head *head = &run->head;
	int64_t old = head->good.n - KEPT_MIN;
	if (old < 1 || old == head->previous.n || old == head->good.n || run->outcome != OUTCOME_DONE)
		return;
	best_effort(context->target->keep_put(context->target_state, old, NULL, &(struct err){0}));
}

/* Records that were made while the registry was away. */
void session_push_owed(struct run *run) {
	struct head *head = &run->head;
	size_t left = 0;
	if (!run->context->store)
		return;
	for (size_t i = 0; i < head->unpushed_count; i++) {
		struct err err = {0};
		struct kept kept __attribute__((cleanup(kept_clear))) = {0};
		struct record_pack pack = {0};
		int64_t n = head->unpushed[i];
		int rc = record_fetch(run->context, n, &kept, &err);
		bool is_gone = rc != 0 && err.code == ERR_NOT_FOUND;
		if (rc == 0)
			rc = record_pack(run->context, n, kept.record, kept.evidence, &pack, &err);
		if (rc == 0)
			rc = record_push(run->context, n, &pack, &err);
		record_pack_clear(&pack);
		if (rc != 0 && !is_gone)
			head->unpushed[left++] = n;
	}
	head->unpushed_count = left;
}

void session_owe_push(struct run *run, int64_t n) {
	struct head *head = &run->head;
	for (size_t i = 0; i < head->unpushed_count; i++)
		if (head->unpushed[i] == n)
			return;
	if (head->unpushed_count < sizeof(head->unpushed) / sizeof(head->unpushed[0]))
		head->unpushed[head->unpushed_count++] = n;
}

#define REGISTRY_SOON_MS 3000

int64_t session_free_number(struct run *run, int64_t n) {
	const struct release_context *context = run->context;
	AUTO_TEXTS struct texts tags = {0};
	AUTO_FREE char *tag = mem_format("mlctl.%s.r%" PRId64, context->env, n);
	struct digest digest;
	struct err err = {0};
	bool has = false;
	int64_t highest = n - 1;
	if (!context->store)
		return n;
	if (context->http) /* going back waits for no registry */
		context->http->deadline_ms = run_now(run) + REGISTRY_SOON_MS;
	if (store_has_manifest(context->store, tag, &digest, &has, &err) == 0 && has && store_tags(context->store, &tags, &err) == 0)
		for (size_t i = 0; i < tags.count; i++) {
			int64_t taken = record_tag_number(tags.items[i], context->env);
			highest = taken > highest ? taken : highest;
		}
	if (context->http)
		context->http->deadline_ms = 0;
	return highest + 1;
}

/* Writes the subject's record, gives it to target and registry, and the candidate into the head. For a rollback the registry may be away.
 */
int session_open_release(struct run *run, const struct record_input *input, struct err *err) {
	const struct release_context *context = run->context;
	struct record_pack pack = {0};
	struct subject *subject = &run->subject;
	if (record_write(context, input, &run->record, err) != 0 || record_pack(context, input->n, run->record, NULL, &pack, err) != 0)
		return err_wrap(err, "the record of r%" PRId64, input->n);
	subject->entry.release = pack.index.digest;
	run->head.candidate.is = subject->entry;
	if (!run->was_touched) /* else it goes on from where it was left, and the head says so until the table moves on */
		run->head.candidate.phase = PHASE_LOCKED;
	run->head.candidate.again = subject->again;
	run->head.candidate.is_interrupted = false;
	if (run->head.next <= subject->entry.n)
		run->head.next = subject->entry.n + 1;
	int rc = head_save(run, err);
	struct remote remote = remote_begin(run);
	while (rc == 0) {
		struct err keeping = {0};
		if (record_keep(context, input->n, run->record, NULL, &keeping) == 0)
			break;
		if (remote_again(&remote, &keeping))
			continue;
		*err = keeping;
		rc = err_wrap(err, "keeping the record of r%" PRId64 " at the target", input->n);
	}
	/* Going back waits for no registry: its record is pushed when the traffic is back. */
	if (rc == 0 && (subject->again || !context->store))
		session_owe_push(run, input->n);
	else if (rc == 0)
		rc = record_push(context, input->n, &pack, err);
	record_pack_clear(&pack);
	return rc;
}

/* The subject of a release that exists: from what target or registry keep. */
int session_read_subject(struct run *run, const struct head_entry *entry, int64_t from, struct subject *out, struct err *err) {
	struct kept kept __attribute__((cleanup(kept_clear))) = {0};
	struct value_limits limits = {RECORD_BYTES_MAX, 500000, 128};
	struct str image, settings, golden;
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = record_fetch(run->context, from, &kept, err);
	} while (rc != 0 && remote_again(&remote, err));
	if (rc != 0)
		return -1;
	AUTO_DOCUMENT struct document *document = NULL;
	struct subject subject = {.entry = *entry};
	const struct head *head = &run->head;
	const struct head_entry *known = from == head->good.n ? &head->good : from == head->previous.n ? &head->previous : NULL;
	if (from == head->candidate.is.n)
		known = &head->candidate.is;
	if (json_read("record", str_of(kept.record), limits, &document, err) != 0 ||
		record_check(run->context, document->root, from, known, err) != 0 ||
		(kept.is_from_registry && record_check_place(run->context, document->root, from, err) != 0) ||
		value_need_str(document->root, "image.manifest", &image, err) != 0 ||
		value_need_str(document->root, "revision.settings", &settings, err) != 0 ||
		value_opt_str(document->root, "golden", (struct str){0}, &golden, err) != 0 ||
		digest_parse(image, &subject.entry.image, err) != 0 || digest_parse(settings, &subject.entry.settings, err) != 0)
		return err_wrap(err, "the record of r%" PRId64, from);
	session_copy_commit(value_get(document->root, "facts"), subject.entry.commit);
	head_entry_revision(&subject.entry, &subject.revision);
	subject.objects = value_get(document->root, "objects");
	if (golden.ptr) /* texts of a tree are NUL-terminated copies only by accident: make it one for sure */
		subject.golden = arena_text_n(&document->memory, golden.ptr, golden.len);
	subject.document = take(&document);
	*out = subject;
	return 0;
}

void session_forget_subject(struct run *run) {
	subject_clear(&run->subject);
	free(run->record);
	free(run->evidence);
	run->record = run->evidence = NULL;
	run->cause[0] = run->fix[0] = run->cause_word[0] = '\0';
	run->is_undoing = false;
	gate_clear(&run->gate);
	run->verdict = (struct verdict){0};
}

void session_find_back(const struct subject *subject, struct head_entry *back) {
	const struct value *v = value_get(subject->document->root, "back");
	struct err err = {0};
	struct str release, image, settings;
	struct head_entry entry = {0};
	*back = entry;
	if (!v || value_need_int(v, "n", &entry.n, &err) != 0 || value_need_str(v, "release", &release, &err) != 0 ||
		value_need_str(v, "image", &image, &err) != 0 || value_need_str(v, "settings", &settings, &err) != 0 ||
		digest_parse(release, &entry.release, &err) != 0 || digest_parse(image, &entry.image, &err) != 0 ||
		digest_parse(settings, &entry.settings, &err) != 0)
		return;
	*back = entry;
}

/* A candidate that another command left. Beyond the canary it is finished (the gate had let it pass), before that it is undone.
 * `must_undo`: a rollback undoes it in any case. 0: settled, and run->outcome says how; -1: the command can't go on (run->outcome or *err).
 */
int session_settle_leftover(struct run *run, bool must_undo, struct err *err) {
	struct head_candidate *candidate = &run->head.candidate;
	struct head_entry entry = candidate->is;
	int64_t again = candidate->again;
	bool is_finishing = !must_undo && candidate->phase >= PHASE_PROMOTE && candidate->phase <= PHASE_COMMIT;
	enum event entry_event = candidate->phase == PHASE_DESTROY ? EVENT_DESTROY : EVENT_UNDO;
	run_tell(run, "resume", "r%" PRId64 " was left in %s", entry.n, phase_name(candidate->phase));
	struct err unread = {0};
	if (is_finishing && session_read_subject(run, &entry, entry.n, &run->subject, &unread) == 0) {
		entry_event = EVENT_DIRECT;
		run->back = run->head.good;
		if (again) /* its own record has what the release that it goes back to leads to */
			session_find_back(&run->subject, &run->back);
	} else {
		run->subject.entry = entry;
		head_entry_revision(&entry, &run->subject.revision);
	}
	run->subject.again = again;
	run->subject.is_same = head_entry_is(&run->head.good, &run->subject.revision);
	run->was_touched = true;
	engine_run(run, entry_event);
	bool is_settled = run->outcome == OUTCOME_DONE || run->outcome == OUTCOME_ROLLED_BACK || run->outcome == OUTCOME_FAILED ||
			  run->outcome == OUTCOME_UNDECIDED || (run->outcome == OUTCOME_ROLLBACK_FAILED && !run->head.candidate.is.n);
	if (!is_settled || (entry_event == EVENT_DESTROY && run->outcome != OUTCOME_DONE))
		return -1;
	session_forget_subject(run);
	if (entry_event == EVENT_DESTROY) { /* nothing is left, not even the head */
		run->is_destroyed = true;
		return err_set(err, ERR_CONFLICT, "a destroy that had stopped half way was finished: nothing is left");
	}
	return 0;
}
