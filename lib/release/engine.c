#include "release/engine.h"

#include "release/lock.h"
#include "release/plan.h"

#include <inttypes.h>
#include <stdio.h>

#define WAITING_TOLD_MS 3000

const struct engine_row engine_table[] = {
	{PHASE_LOCKED, EVENT_CANARY, PHASE_CANARY_APPLY, effect_stage},
	{PHASE_LOCKED, EVENT_DIRECT, PHASE_PROMOTE, effect_promote},
	{PHASE_LOCKED, EVENT_UNDO, PHASE_ROLLBACK, effect_undo},
	{PHASE_LOCKED, EVENT_DESTROY, PHASE_DESTROY, effect_destroy},
	{PHASE_LOCKED, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_LOCKED, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_CANARY_APPLY, EVENT_DONE, PHASE_BAKE, effect_bake},
	{PHASE_CANARY_APPLY, EVENT_BAD, PHASE_ROLLBACK, effect_undo},
	{PHASE_CANARY_APPLY, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_CANARY_APPLY, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_BAKE, EVENT_DONE, PHASE_PROMOTE, effect_promote},
	{PHASE_BAKE, EVENT_BAD, PHASE_ROLLBACK, effect_undo},
	{PHASE_BAKE, EVENT_UNDECIDED, PHASE_ROLLBACK, effect_undo},
	{PHASE_BAKE, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_BAKE, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_PROMOTE, EVENT_DONE, PHASE_SMOKE, effect_smoke},
	{PHASE_PROMOTE, EVENT_BAD, PHASE_ROLLBACK, effect_undo},
	{PHASE_PROMOTE, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_PROMOTE, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_SMOKE, EVENT_DONE, PHASE_COMMIT, effect_commit},
	{PHASE_SMOKE, EVENT_BAD, PHASE_ROLLBACK, effect_undo},
	{PHASE_SMOKE, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_SMOKE, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_COMMIT, EVENT_DONE, PHASE_END, effect_finish},
	{PHASE_COMMIT, EVENT_BAD, PHASE_ROLLBACK, effect_undo},
	{PHASE_COMMIT, EVENT_INTERRUPTED, PHASE_END, effect_park},
	{PHASE_COMMIT, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_ROLLBACK, EVENT_DONE, PHASE_END, effect_finish},
	{PHASE_ROLLBACK, EVENT_BAD, PHASE_END, effect_end},
	{PHASE_ROLLBACK, EVENT_LOST, PHASE_END, effect_lost},

	{PHASE_DESTROY, EVENT_DONE, PHASE_END, effect_end},
	{PHASE_DESTROY, EVENT_BAD, PHASE_END, effect_end},
	{PHASE_DESTROY, EVENT_INTERRUPTED, PHASE_END, effect_end},
	{PHASE_DESTROY, EVENT_LOST, PHASE_END, effect_lost},
	{0},
};

static const struct engine_row *find_row(const struct engine_row *table, enum phase phase, enum event event) {
	for (const struct engine_row *row = table; row->effect; row++)
		if (row->phase == phase && row->event == event)
			return row;
	return NULL;
}

enum event engine_event_of(struct run *run, const struct err *err) {
	run_cause(run, err);
	if (err->code == ERR_LOCKED)
		return EVENT_LOST;
	if (err->code == ERR_INTERRUPTED || (run_signal(run) && !run->is_undoing))
		return EVENT_INTERRUPTED;
	/* An undo needs the credential too. It stays where it is, as if somebody had interrupted it. */
	if (run_is_locked_out(err) && !run->is_undoing && run->was_touched) {
		run->failure = *err;
		err_wrap(&run->failure, "r%" PRId64 " stopped in %s, its share ends by itself within %d s, the next deploy goes on", run->subject.entry.n,
			phase_name(run->head.candidate.phase), WEIGHT_TTL_S);
		return EVENT_INTERRUPTED;
	}
	return EVENT_BAD;
}

/* The phase goes into the head before its effect. false: it could not be written, and *event is what that means. */
static bool journal(struct run *run, const struct engine_row *row, enum event *event) {
	struct err err = {0};
	run->head.candidate.phase = row->next;
	run->head.candidate.is_undecided |= row->event == EVENT_UNDECIDED;
	run->head.candidate.has_rolled |= row->next == PHASE_PROMOTE && engine_is_rolling(run);
	run->is_undoing = row->next == PHASE_ROLLBACK;
	if (run->is_undoing)
		run->failed_phase = row->phase;
	if (head_save(run, &err) == 0)
		return true;
	*event = engine_event_of(run, &err);
	if (!run->was_touched && *event != EVENT_LOST)
		run->failure = err;
	return false;
}

void engine_run(struct run *run, enum event entry) {
	enum phase phase = PHASE_LOCKED;
	enum event event = entry;
	while (phase != PHASE_END) {
		const struct engine_row *row = find_row(run->table, phase, event);
		if (!row) { /* a table without the row: end where we are, the head says where that is */
			run->outcome = OUTCOME_ROLLBACK_FAILED;
			return;
		}
		if (row->next != PHASE_END && !journal(run, row, &event)) {
			if (run->failure.code && event != EVENT_INTERRUPTED)
				return;
			if (row->next == PHASE_ROLLBACK && event != EVENT_LOST) {
				run->outcome = OUTCOME_ROLLBACK_FAILED;
				return;
			}
			continue; /* from the phase that the head still names */
		}
		if (row->next != PHASE_END)
			run->was_touched = true;
		phase = row->next;
		event = row->effect(run);
	}
}

/* One change at the target under our fence. */
struct change {
	int (*make)(const struct release_context *context, int64_t fence, const struct change *change, struct err *err);
	const struct revision *revision, *stable;
	const struct value *objects;
	int64_t replicas;
	double weight;
	bool is_kept;
};

/* Again for as long as that is worth it, and never without the lock. */
static int make_change(struct run *run, const struct change *change, struct err *err) {
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = lock_keep(run, err);
		if (rc == 0)
			rc = change->make(run->context, run->head.lock.fence, change, err);
	} while (rc != 0 && (lock_raise(run, err) || remote_again(&remote, err)));
	return rc;
}

static int make_stage(const struct release_context *context, int64_t fence, const struct change *change, struct err *err) {
	return context->target->stage(
		context->target_state, fence, change->revision, change->objects, change->replicas, context->store, err);
}

int engine_stage(struct run *run, const struct revision *revision, const struct value *objects, int64_t replicas, struct err *err) {
	const struct change change = {.make = make_stage, .revision = revision, .objects = objects, .replicas = replicas};
	return make_change(run, &change, err);
}

static int make_route(const struct release_context *context, int64_t fence, const struct change *change, struct err *err) {
	int64_t ttl_s = change->weight > 0 && change->weight < 100 ? WEIGHT_TTL_S : 0;
	return context->target->route(
		context->target_state, fence, change->stable, change->revision, change->objects, change->weight, ttl_s, err);
}

int engine_route(struct run *run, const struct revision *stable, const struct revision *revision, const struct value *objects,
	double weight, struct err *err) {
	const struct change change = {.make = make_route, .stable = stable, .revision = revision, .objects = objects, .weight = weight};
	return make_change(run, &change, err);
}

static int make_retire(const struct release_context *context, int64_t fence, const struct change *change, struct err *err) {
	return context->target->retire(context->target_state, fence, change->revision, change->is_kept, err);
}

int engine_retire(struct run *run, const struct revision *revision, bool is_kept, struct err *err) {
	const struct change change = {.make = make_retire, .revision = revision, .is_kept = is_kept};
	return make_change(run, &change, err);
}

int engine_observe(struct run *run, const struct revision *revision, struct observed *out, struct err *err) {
	const struct release_context *context = run->context;
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = context->target->observe(context->target_state, revision, out, err);
	} while (rc != 0 && remote_again(&remote, err));
	return rc;
}

/* Quick at first, so that what is fast is fast; then patient. */
static int64_t cadence_ms(int64_t elapsed_ms) {
	return elapsed_ms < 3000 ? 50 : elapsed_ms < 20000 ? 200 : 1000;
}

/* The first failure is the one that counts. */
static void keep_word(struct run *run, const struct replica *replica) {
	if (!run->cause[0])
		memcpy(run->cause_word, replica->cause, sizeof(run->cause_word));
}

static void tell_replica(struct run *run, const char *kind, const char *verb, const struct observed *seen, const struct replica *replica) {
	size_t ready = 0;
	for (size_t i = 0; i < seen->count; i++)
		ready += seen->replicas[i].state == REPLICA_READY;
	AUTO_FREE char *text = mem_format("%zu/%" PRId64 " ready; %s%s%s", ready, seen->desired, replica->name, verb, replica->reason);
	run_emit(run, &(struct release_event){.kind = kind,
			      .text = text,
			      .replica = replica->name,
			      .reason = replica->reason,
			      .cause = replica->cause[0] ? replica->cause : NULL,
			      .fix = replica->fix[0] ? replica->fix : NULL});
}

int engine_stuck(struct run *run, const struct observed *seen, const char *what, struct err *err) {
	for (size_t i = 0; i < seen->count; i++) {
		const struct replica *replica = &seen->replicas[i];
		if (replica->state != REPLICA_STUCK)
			continue;
		keep_word(run, replica);
		tell_replica(run, "stop", " cannot recover: ", seen, replica);
		err_set(err, ERR_FAILED, "%s cannot recover: replica %s: %s", what, replica->name, replica->reason);
		return replica->fix[0] ? err_fix(err, "%s", replica->fix) : -1;
	}
	return 0;
}

static int stuck(struct run *run, const struct observed *seen, const struct revision *revision, struct err *err) {
	char what[48];
	if (revision->release)
		snprintf(what, sizeof(what), "r%" PRId64, revision->release);
	else
		snprintf(what, sizeof(what), "%s", revision->name);
	return engine_stuck(run, seen, what, err);
}

static bool is_right(const struct replica *replica, const struct revision *revision) {
	return replica->state == REPLICA_READY && digest_equal(&replica->serving, &revision->image);
}

static size_t right_count(const struct observed *seen, const struct revision *revision) {
	size_t right = 0;
	for (size_t i = 0; i < seen->count; i++)
		right += is_right(&seen->replicas[i], revision);
	return right;
}

static int too_late(struct run *run, const struct observed *seen, const struct wait_wish *wish, bool is_rolling, struct err *err) {
	size_t ready = right_count(seen, wish->revision);
	const struct replica *worst = NULL;
	for (size_t i = 0; i < seen->count; i++)
		if (!is_right(&seen->replicas[i], wish->revision))
			worst = &seen->replicas[i];
	if (worst)
		keep_word(run, worst);
	char human[NUM_HUMAN_MAX];
	int64_t wanted = seen->desired > (int64_t) seen->count ? seen->desired : (int64_t) seen->count;
	const char *why = !worst			  ? (ready ? "its share of the traffic is not 100 %" : "no replica exists")
			  : worst->reason[0]		  ? worst->reason
			  : worst->state == REPLICA_READY ? "it answers with another digest"
							  : "it is still starting";
	err_set(err, ERR_TIMEOUT, "%s: %zu/%" PRId64 " replicas ready%s %s%s%s: %s", wish->revision->name, ready, wanted,
		is_rolling && ready ? ", not one more in" : " after", num_human_ms(wish->timeout_ms, human), worst ? "; " : "",
		worst ? worst->name : "", why);
	return worst && worst->fix[0] ? err_fix(err, "%s", worst->fix) : -1;
}

struct waiting { /* what was said last while waiting */
	char text[500];
	int64_t at_ms;
};

/* What holds it up, when somebody knows, the worst of it: as it changes, but not more often than one can read. */
static void tell_waiting(struct run *run, const struct observed *seen, struct waiting *said) {
	char text[sizeof(said->text)] = "";
	const struct replica *worst = NULL;
	for (size_t i = 0; i < seen->count; i++) {
		const struct replica *replica = &seen->replicas[i];
		bool is_worse = !worst || (worst->state == REPLICA_STARTING && replica->state == REPLICA_FAILING);
		if (replica->state != REPLICA_READY && replica->reason[0] && is_worse)
			worst = replica;
	}
	if (worst)
		snprintf(text, sizeof(text), "%s: %s", worst->name, worst->reason);
	if (!text[0] || strcmp(text, said->text) == 0 || (said->text[0] && run_now(run) - said->at_ms < WAITING_TOLD_MS))
		return;
	memcpy(said->text, text, sizeof(text));
	said->at_ms = run_now(run);
	tell_replica(run, "waiting", ": ", seen, worst);
}

int engine_await(struct run *run, const struct wait_wish *wish, struct observed *out, struct err *err) {
	const struct release_context *context = run->context;
	struct waiting said = {0};
	bool is_rolling = engine_is_rolling(run);
	int64_t began_ms = run_now(run), moved_ms = began_ms;
	size_t right_max = 0;
	for (;;) {
		if (wish->is_routing && engine_route(run, wish->stable, wish->revision, wish->objects, 100, err) != 0)
			return -1;
		struct remote remote = remote_begin(run);
		int rc;
		do {
			rc = context->target->poll(context->target_state, wish->revision, out, err);
		} while (rc != 0 && remote_again(&remote, err));
		if (rc != 0 || stuck(run, out, wish->revision, err) != 0)
			return -1;
		if (wish->is_routing ? plan_is_serving(out, wish->revision) : plan_is_whole(out, wish->revision))
			return 0;
		tell_waiting(run, out, &said);
		size_t right = right_count(out, wish->revision);
		if (is_rolling && right > right_max) { /* one after the other: each has the time that all have where they start together */
			right_max = right;
			moved_ms = run_now(run);
			if ((int64_t) right < out->desired)
				run_tell(run, run->is_undoing ? "rollback" : "promote", "%zu/%" PRId64 " replicas are r%" PRId64 "'s",
					right, out->desired, wish->revision->release);
		}
		if (run_now(run) - moved_ms >= wish->timeout_ms)
			return too_late(run, out, wish, is_rolling, err);
		if (run_wait(run, cadence_ms(run_now(run) - began_ms), err) != 0)
			return -1;
		if (run_signal(run) && !run->is_undoing)
			return err_set(err, ERR_INTERRUPTED, "interrupted while waiting for %s", wish->revision->name);
	}
}

/* One replica first, and nothing routed to it before it is ready. A target that rolls does that by itself. */
static int bring_up(struct run *run, const struct wait_wish *wish, struct err *err) {
	struct observed seen;
	if (engine_is_rolling(run))
		return 0;
	if (engine_observe(run, wish->revision, &seen, err) != 0)
		return -1;
	int64_t size = seen.exists && seen.desired > 0 ? seen.desired : 1;
	if (engine_stage(run, wish->revision, wish->objects, size, err) != 0)
		return -1;
	return engine_await(run, wish, &seen, err);
}

int engine_take_over(struct run *run, struct wait_wish wish, struct observed *out, struct err *err) {
	wish.is_routing = false;
	if (bring_up(run, &wish, err) != 0)
		return err_wrap(err, "starting r%" PRId64, wish.revision->release);
	wish.is_routing = true;
	return engine_await(run, &wish, out, err);
}
