/* The effects that go back or stop: undo, park, lost, destroy. Order of an undo: stop the traffic to the new version, bring the old one to
 * full size, send everything to it, verify each replica's digest, remove the new one. */
#include "release/engine.h"
#include "release/evidence.h"
#include "release/lock.h"
#include "release/plan.h"
#include "release/record.h"

#include <inttypes.h>

/* The old version is not all there: its objects from the record, full size, all of the traffic, each replica asked. */
static int restore(struct run *run, const struct revision *good, struct observed *seen, struct err *err) {
	struct kept kept __attribute__((cleanup(kept_clear))) = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	struct value_limits limits = {RECORD_BYTES_MAX, 500000, 128};
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = record_fetch(run->context, good->release, &kept, err);
	} while (rc != 0 && remote_again(&remote, err));
	if (rc != 0 || json_read("record", str_of(kept.record), limits, &document, err) != 0 ||
		record_check(run->context, document->root, good->release, &run->head.good, err) != 0)
		return -1;
	struct wait_wish wish = {.revision = good, .stable = &run->subject.revision, .objects = value_get(document->root, "objects")};
	wish.timeout_ms = run->ready_timeout_ms > UNDO_RETRY_MS ? run->ready_timeout_ms : UNDO_RETRY_MS;
	return engine_take_over(run, wish, seen, err);
}

/* The roll was stopped by fields that somebody else owns, before or after it got anywhere. Where every replica is of the good version all the same, it
 * is back; his fields stay his. */
static bool is_back_but_for_others(struct run *run, const struct revision *good, struct observed *seen, struct err *err) {
	struct err first = *err;
	if (!run_is_anothers(err))
		return false;
	err_clear(err);
	if (engine_observe(run, good, seen, err) != 0 || !plan_is_serving(seen, good)) {
		*err = first;
		return false;
	}
	run_tell(run, "rollback", "left to its owner: %s", first.message);
	return true;
}

/* Traffic back on the good version, verified. */
static int go_back(struct run *run, const struct revision *good, struct err *err) {
	struct observed seen, candidate;
	const struct revision *subject = &run->subject.revision;
	if (engine_observe(run, good, &seen, err) != 0 || engine_observe(run, subject, &candidate, err) != 0)
		return -1;
	bool is_any_ready = false;
	for (size_t i = 0; i < seen.count; i++)
		is_any_ready = is_any_ready || seen.replicas[i].state == REPLICA_READY;
	if (is_any_ready && (seen.weight < 100 || candidate.weight > 0)) {
		if (engine_route(run, good, subject, run->subject.objects, 0, err) != 0 || engine_observe(run, good, &seen, err) != 0)
			return -1;
	}
	/* Pods of the good version alone do not show that a roll which was begun left all else as it was. */
	bool is_back = plan_is_serving(&seen, good) && !run->head.candidate.has_rolled;
	if (!is_back && restore(run, good, &seen, err) != 0 && !is_back_but_for_others(run, good, &seen, err))
		return -1;
	run->serving = good->image;
	run_tell(run, "rollback", "r%" PRId64 " verified serving %.19s... on %zu/%zu", good->release, good->image.text, seen.count,
		seen.count);
	return 0;
}

/* Without a good version there is nothing to send the traffic to: it only stops. */
static int take_away(struct run *run, struct err *err) {
	struct observed seen;
	const struct revision *subject = &run->subject.revision;
	if (engine_observe(run, subject, &seen, err) != 0)
		return -1;
	bool is_serving = seen.exists && (seen.weight > 0 || engine_is_rolling(run));
	return is_serving ? engine_route(run, NULL, subject, run->subject.objects, 0, err) : 0;
}

/* Who must act now needs to know why it can't go back; why it was to go back comes first where that is known. */
static void tell_failure(struct run *run, const struct err *err) {
	AUTO_FREE char *first = mem_text(run->cause);
	if (first[0])
		snprintf(run->cause, sizeof(run->cause), "%.240s; and going back failed: %.240s", first, err->message);
	else
		run_cause(run, err);
	if (err->fix[0])
		snprintf(run->fix, sizeof(run->fix), "%s", err->fix);
}

static enum event rollback_failed(struct run *run, struct err *err) {
	if (err->code == ERR_LOCKED) {
		run_cause(run, err);
		return EVENT_LOST;
	}
	tell_failure(run, err);
	run->outcome = OUTCOME_ROLLBACK_FAILED;
	run_tell(run, "rollback", "FAILED: %s", err->message);
	return EVENT_BAD;
}

static void settle_outcome(struct run *run) {
	struct head_candidate *candidate = &run->head.candidate;
	char state = 'r';
	if (!run->head.good.n || run->subject.is_same) {
		run->outcome = OUTCOME_FAILED;
		state = 'f';
	} else if (run->subject.again) {
		run->outcome = OUTCOME_ROLLBACK_FAILED;
		state = 'f';
	} else if (candidate->is_undecided) {
		run->outcome = OUTCOME_UNDECIDED;
		state = 'u';
	} else {
		run->outcome = OUTCOME_ROLLED_BACK;
	}
	struct digest judged;
	plan_judged(&run->subject.revision, run->subject.objects, &judged);
	if (candidate->is_judged_bad && !run->subject.is_same)
		head_refuse(&run->head, &judged);
	head_note(&run->head, candidate->is.n, state);
	run->head.live = run->head.good.n;
	*candidate = (struct head_candidate){0};
}

enum event effect_undo(struct run *run) {
	struct err err = {0};
	struct revision good;
	const struct subject *subject = &run->subject;
	bool has_good = run->head.good.n != 0;
	head_entry_revision(&run->head.good, &good);
	if (run->cause[0])
		evidence_save(run);
	run_tell(run, "rollback", "r%" PRId64 ": weight 0, then removed", subject->entry.n);
	if (subject->is_same) {
		run_tell(run, "rollback", "r%" PRId64 " is the good version itself: it stays", subject->entry.n);
	} else {
		if ((has_good ? go_back(run, &good, &err) : take_away(run, &err)) != 0)
			return rollback_failed(run, &err);
		if (engine_retire(run, &subject->revision, false, &err) != 0) {
			if (err.code == ERR_LOCKED)
				return rollback_failed(run, &err);
			err_clear(&err); /* it gets no traffic any more; what is left of it is owed */
			head_owe(&run->head, &subject->entry);
		}
	}
	struct head before = run->head;
	settle_outcome(run);
	if (head_save(run, &err) != 0) {
		run->head = before;
		return rollback_failed(run, &err);
	}
	return EVENT_DONE;
}

/* Interrupted: six seconds for weight 0, a word in the head and the lock. Beyond the canary there is no weight to take back: what was begun
 * of the switch stays, or rolls on by itself. A rollback's own candidate keeps what it has. */
enum event effect_park(struct run *run) {
	struct err err = {0};
	struct revision good;
	head_entry_revision(&run->head.good, &good);
	run_park(run);
	run->outcome = OUTCOME_INTERRUPTED;
	struct head_candidate *candidate = &run->head.candidate;
	/* A roll that was begun goes on by itself. */
	bool is_stopped = candidate->phase == PHASE_BAKE || !engine_is_rolling(run);
	bool is_stopping = run->head.good.n && !run->subject.is_same && !run->subject.again && candidate->phase >= PHASE_BAKE;
	if (is_stopping && engine_route(run, &good, &run->subject.revision, run->subject.objects, 0, &err) == 0 && is_stopped)
		candidate->weight = 0;
	else if (err.code == ERR_LOCKED)
		return effect_lost(run);
	err_clear(&err);
	candidate->is_interrupted = true;
	run->head.lock = (struct head_lock){0};
	if (head_save(run, &err) == 0)
		run->is_holding = false; /* else the lease ends by itself, and the head still says where to go on */
	if (candidate->phase < PHASE_BAKE || is_stopped)
		run_tell(run, "interrupted", "r%" PRId64 " is kept at weight %g; the next deploy goes on, rollback undoes it",
			run->subject.entry.n, candidate->weight);
	else
		run_tell(run, "interrupted",
			"r%" PRId64 " is on its way to all of the traffic; the next deploy goes on, rollback undoes it",
			run->subject.entry.n);
	return EVENT_DONE;
}

enum event effect_end(struct run *run) {
	(void) run;
	return EVENT_DONE;
}

enum event effect_lost(struct run *run) {
	run->is_holding = false;
	run->outcome = OUTCOME_LOCKED;
	return EVENT_DONE;
}

/* The head goes with the service, so from here on nothing may renew the lease: that would write it anew. */
enum event effect_destroy(struct run *run) {
	const struct release_context *context = run->context;
	struct err err = {0};
	struct remote remote = remote_begin(run);
	int rc;
	run->is_holding = false;
	while ((rc = context->target->destroy(context->target_state, run->head.lock.fence, &err)) != 0) {
		run->is_holding = true; /* for as long as it takes to raise the fence */
		bool is_raised = lock_raise(run, &err);
		run->is_holding = false;
		if (!is_raised && !remote_again(&remote, &err))
			break;
	}
	if (rc != 0) {
		enum event event = engine_event_of(run, &err);
		run->outcome = event == EVENT_INTERRUPTED ? OUTCOME_INTERRUPTED : OUTCOME_FAILED;
		return event;
	}
	run->outcome = OUTCOME_DONE;
	return EVENT_DONE;
}
