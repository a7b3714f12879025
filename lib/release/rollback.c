/* Back to an earlier release, destroy, freeze. */
#include "release/lock.h"
#include "release/plan.h"
#include "release/session.h"

#include <inttypes.h>

/* A deploy that is past its canary is let finish: so long a rollback waits for it, whatever it was told. */
#define LOCK_WAIT_MS_MIN 60000

static int begin_rollback(struct run *run, const struct release_plan *plan, struct err *err) {
	const struct release_context *context = run->context;
	int64_t n = plan->kind == PLAN_RESUME ? plan->n : session_free_number(run, plan->n);
	struct head_entry entry = {.n = n, .since_s = clock_wall_s(context->clock)};
	head_text(entry.actor, sizeof(entry.actor), context->actor);
	if (session_read_subject(run, &entry, plan->to, &run->subject, err) != 0)
		return -1;
	struct subject *subject = &run->subject;
	const struct value *root = subject->document->root;
	int64_t image_size = 0;
	struct digest image_index = {0};
	struct str index = {0};
	subject->again = plan->to;
	subject->is_same = head_entry_is(&run->head.good, &subject->revision);
	session_find_back(subject, &run->back);
	if (value_opt_int(root, "image.size", 0, &image_size, err) != 0 || value_opt_str(root, "image.index", STR(""), &index, err) != 0 ||
		(index.len && digest_parse(index, &image_index, err) != 0))
		return -1;
	struct record_input input = {.n = entry.n,
		.again = plan->to,
		.image_size = image_size,
		.revision = &subject->revision,
		.image_index = &image_index,
		.objects = subject->objects,
		.settings = value_get(root, "settings"),
		.facts = value_get(root, "facts"),
		.golden = subject->golden,
		.reason = run->reason,
		.before = &run->head.good,
		.back = &run->back};
	return session_open_release(run, &input, err);
}

/* Is the goal what serves already? Then another rollback there was quicker, or nothing is to be done. */
static bool is_there(struct run *run, const struct revision *goal) {
	struct observed live;
	struct err err = {0};
	if (run->head.candidate.is.n || !head_entry_is(&run->head.good, goal))
		return false;
	return engine_observe(run, goal, &live, &err) == 0 && plan_is_serving(&live, goal);
}

static int ended(struct run *run, struct release_result *result, int64_t undone) {
	session_forget_old(run);
	if (run->outcome == OUTCOME_DONE)
		session_push_owed(run); /* what fails stays owed */
	session_fill_result(run, result);
	result->undone = run->outcome == OUTCOME_DONE ? undone : 0;
	return 0;
}

static int give_up(struct run *run, struct release_result *result, struct err *err) {
	if (err->code == ERR_NONE && run->failure.code == ERR_NONE) {
		session_fill_result(run, result);
		return 0;
	}
	if (err->code == ERR_NONE)
		*err = run->failure;
	return session_back_out(run, result, err);
}

/* The candidate in flight goes; what it left behind is the answer when nothing else was asked for. */
static int undo_leftover(struct run *run, const struct release_plan *plan, struct release_result *result, bool *is_over, struct err *err) {
	int64_t undone = run->head.candidate.is.n;
	*is_over = true;
	if (session_settle_leftover(run, true, err) != 0)
		return give_up(run, result, err);
	if (plan->kind != PLAN_UNDO) {
		*is_over = false;
		return 0;
	}
	if (run->head.good.n) {
		run->outcome = OUTCOME_DONE;
		return ended(run, result, undone);
	}
	run->outcome = OUTCOME_FAILED;
	snprintf(run->cause, sizeof(run->cause), "r%" PRId64 " was removed; there is no good release to go back to", undone);
	return ended(run, result, 0);
}

/* The goal's number and revision as they were asked for before the lock; the head may have moved on since. */
static int rollback_locked(struct run *run, const struct rollback_request *request, const struct release_plan *asked,
	const struct revision *goal, struct release_result *result, struct err *err) {
	struct release_plan plan;
	struct rollback_request fixed = *request;
	bool is_over;
	if (asked->kind == PLAN_BACK || asked->kind == PLAN_RESUME || (asked->kind == PLAN_UNDO && run->head.good.n == asked->n))
		fixed.to = asked->to; /* what was to be undone became good while we waited: then back to what was good before it */
	if (goal->name[0] && is_there(run, goal)) {
		run->outcome = OUTCOME_DONE;
		run->serving = goal->image;
		return ended(run, result, 0);
	}
	plan_rollback(&run->head, &fixed, &plan);
	if (asked->kind == PLAN_UNDO && plan.kind != PLAN_UNDO && !fixed.to) { /* it ended by itself meanwhile: the good one stays */
		run->outcome = OUTCOME_DONE;
		return ended(run, result, 0);
	}
	if (run->head.candidate.is.n && plan.kind != PLAN_RESUME) {
		if (undo_leftover(run, &plan, result, &is_over, err) != 0 || is_over)
			return err->code ? -1 : 0;
		plan_rollback(&run->head, &fixed, &plan);
	}
	if (plan.kind == PLAN_REFUSED)
		return session_refused(run, &plan, result);
	int64_t left = run->head.good.n;
	run->was_touched = plan.kind == PLAN_RESUME;
	run->outcome = OUTCOME_DONE;
	run_tell(run, "plan", "%s", plan.text);
	if (begin_rollback(run, &plan, err) != 0)
		return session_back_out(run, result, err);
	engine_run(run, EVENT_DIRECT);
	if (run->failure.code)
		return give_up(run, result, err);
	if (run->outcome == OUTCOME_FAILED) /* the good release itself did not come up again */
		run->outcome = OUTCOME_ROLLBACK_FAILED;
	return ended(run, result, left);
}

int release_rollback_with(const struct release_context *context, const struct rollback_request *request, const struct engine_row *table,
	struct release_result *result, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	struct release_plan plan;
	struct revision goal = {0};
	*result = (struct release_result){0};
	run_init(&run, context, table);
	run.reason = request->reason;
	if (request->ready_timeout_ms > 0)
		run.ready_timeout_ms = request->ready_timeout_ms;
	if (head_load(&run, err) != 0)
		return session_failed_early(&run, result, err);
	plan_rollback(&run.head, request, &plan);
	if (plan.kind == PLAN_REFUSED)
		return session_refused(&run, &plan, result);
	if (plan.kind == PLAN_RESUME) /* or somebody is at it just now: then it is done once the lock is free */
		head_entry_revision(&run.head.candidate.is, &goal);
	if (plan.kind == PLAN_BACK) {
		struct subject subject = {0};
		if (session_read_subject(&run, &(struct head_entry){0}, plan.to, &subject, err) != 0)
			return session_failed_early(&run, result, err);
		goal = subject.revision;
		bool is_back = is_there(&run, &goal);
		struct err asking = {0};
		if (!is_back)
			best_effort(session_objects_fit(&run, &goal, subject.objects, &asking)); /* going back waits for no other reason */
		subject_clear(&subject);
		if (asking.code == ERR_CONFLICT) {
			*err = asking;
			return -1;
		}
		if (is_back) {
			run.outcome = OUTCOME_DONE;
			run.serving = goal.image;
			run_tell(&run, "unchanged", "r%" PRId64 " is r%" PRId64 "'s version and serves. Nothing to do", run.head.good.n,
				plan.to);
			session_fill_result(&run, result);
			return 0;
		}
	}
	struct lock_wish wish = {.verb = "rollback", .to = plan.to, .wait_ms = request->lock_wait_ms, .is_preempting = true};
	if (wish.wait_ms < LOCK_WAIT_MS_MIN)
		wish.wait_ms = LOCK_WAIT_MS_MIN;
	if (lock_take(&run, &wish, err) != 0)
		return session_failed_early(&run, result, err);
	int rc = rollback_locked(&run, request, &plan, &goal, result, err);
	if (run.is_holding)
		session_let_go(&run);
	result->elapsed_ms = run_now(&run) - run.started_ms;
	if (rc == 0 && result->outcome == OUTCOME_DONE)
		run_tell(&run, "done", "r%" PRId64 " live and good", result->release);
	return rc;
}

int release_rollback(
	const struct release_context *context, const struct rollback_request *request, struct release_result *result, struct err *err) {
	return release_rollback_with(context, request, engine_table, result, err);
}

int release_destroy(const struct release_context *context, bool is_forced, struct release_result *result, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	*result = (struct release_result){0};
	run_init(&run, context, engine_table);
	if (head_load(&run, err) != 0) {
		if (!is_forced || err->code != ERR_INVALID)
			return session_failed_early(&run, result, err);
		/* Nobody can hold a lock in a head that can't be read. What goes wrong is an error: there is no outcome to record. */
		err_clear(err);
		return context->target->destroy(context->target_state, INT64_MAX, err);
	}
	if (!run.head.exists) {
		run.outcome = OUTCOME_UNCHANGED;
		session_fill_result(&run, result);
		return 0;
	}
	if (run.head.frozen[0] && !is_forced) {
		struct release_plan plan = {.fix = "mlctl unfreeze"};
		snprintf(plan.text, sizeof(plan.text), "%s %s is frozen: %s", run.head.service, run.head.env, run.head.frozen);
		return session_refused(&run, &plan, result);
	}
	if (lock_take(&run, &(struct lock_wish){.verb = "destroy"}, err) != 0)
		return session_failed_early(&run, result, err);
	/* The intent is a candidate of its own, so that whoever comes after a crash finishes it. */
	run.head.candidate = (struct head_candidate){.is = run.head.good, .phase = PHASE_LOCKED};
	if (!run.head.candidate.is.n)
		run.head.candidate.is.n = run.head.next;
	run.subject.entry = run.head.candidate.is;
	engine_run(&run, EVENT_DESTROY);
	if (run.failure.code) {
		*err = run.failure;
		return session_back_out(&run, result, err);
	}
	session_fill_result(&run, result);
	result->undone = result->release;
	result->release = 0;
	return 0;
}

#define FREEZE_TRIES_MAX 20

int release_freeze(const struct release_context *context, const char *reason, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	run_init(&run, context, engine_table);
	for (int tries = 0; tries < FREEZE_TRIES_MAX; tries++) {
		if (head_load(&run, err) != 0)
			return -1;
		/* Beside a holder of the lock: only `frozen` changes, and the holder takes it over. */
		head_text(run.head.frozen, sizeof(run.head.frozen), !reason ? "" : reason[0] ? reason : "no reason given");
		run.is_guest = true;
		if (head_save(&run, err) == 0)
			return 0;
		if (err->code != ERR_CONFLICT)
			return -1;
		err_clear(err);
	}
	return err_set(err, ERR_CONFLICT, "the head changed under %d tries to freeze it", FREEZE_TRIES_MAX);
}
