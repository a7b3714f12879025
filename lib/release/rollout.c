/* The effects that go forward: stage, bake, promote, smoke, commit. */
#include "release/engine.h"
#include "release/evidence.h"
#include "release/golden.h"
#include "release/lock.h"
#include "release/plan.h"

#include <inttypes.h>

#define GOLDEN_TIMEOUT_MS 10000
#define GOLDEN_BURST_MAX 50
#define GOLDEN_MORE 10
#define LOW_TRAFFIC_RPS 1.0
#define SMOKE_TRIES_MAX 5
#define SMOKE_PAUSE_MS 200 /* more with each try */
#define SMOKE_PAUSE_MS_MAX 2000
#define SMOKE_WAY_MS 60000

/* The good version that keeps the rest of the traffic; NULL when there is none beside the subject itself. */
static const struct revision *stable_of(const struct run *run, struct revision *memory) {
	if (!run->head.good.n || run->subject.is_same)
		return NULL;
	head_entry_revision(&run->head.good, memory);
	return memory;
}

enum event effect_stage(struct run *run) {
	struct err err = {0};
	struct observed seen;
	const struct subject *subject = &run->subject;
	struct wait_wish wish = {.revision = &subject->revision, .timeout_ms = run->ready_timeout_ms};
	int64_t began_ms = run_now(run);
	run_tell(run, "stage", "canary of r%" PRId64 " (%s) beside r%" PRId64, subject->entry.n, subject->revision.name, run->head.good.n);
	if (engine_stage(run, &subject->revision, subject->objects, 1, &err) != 0) {
		err_wrap(&err, "starting the canary");
		return engine_event_of(run, &err);
	}
	if (engine_await(run, &wish, &seen, &err) != 0)
		return engine_event_of(run, &err);
	char human[NUM_HUMAN_MAX];
	run_tell(run, "canary", "%zu/%zu ready in %s, weight %g %%", seen.count, seen.count, num_human_ms(run_now(run) - began_ms, human),
		run->canary.weight);
	return EVENT_DONE;
}

struct bake { /* one bake's memory between its rounds */
	const struct revision *stable;
	struct golden *golden;
	size_t golden_next;
	int64_t restarts_before;
	bool is_first, was_seen, was_ready;
	struct observed canary_seen, stable_seen;
	struct sample samples[TARGET_REPLICAS_MAX];
};

static void look_at_health(struct run *run, struct bake *bake) {
	int64_t restarts = 0;
	size_t ready = 0;
	for (size_t i = 0; i < bake->canary_seen.count; i++) {
		const struct replica *replica = &bake->canary_seen.replicas[i];
		restarts += replica->restarts;
		ready += replica->state == REPLICA_READY;
		run->gate.health_failures += replica->state == REPLICA_FAILING || replica->state == REPLICA_GONE;
	}
	if (!ready && !bake->canary_seen.count)
		run->gate.health_failures++;
	if (!bake->is_first && restarts > bake->restarts_before)
		run->gate.health_failures += restarts - bake->restarts_before;
	bake->restarts_before = restarts;
	bake->is_first = false;
	bake->was_ready |= ready > 0;
}

/* It was ready, and then it ended by itself again and again: what it was asked for broke it. */
static bool has_crashed(const struct bake *bake) {
	for (size_t i = 0; i < bake->canary_seen.count; i++) {
		const struct replica *replica = &bake->canary_seen.replicas[i];
		if (bake->was_ready && replica->state == REPLICA_STUCK && strcmp(replica->cause, CAUSE_CRASH) == 0)
			return true;
	}
	return false;
}

/* Samples of one side; a call that fails is a round without numbers, which never passes. */
static int add_samples(struct run *run, struct bake *bake, const struct revision *revision, const struct observed *seen,
	struct gate_side *side, struct err *err) {
	const struct release_context *context = run->context;
	size_t count = 0;
	struct err missing = {0};
	int rc = context->target->sample(context->target_state, revision, bake->samples, &count, &missing);
	if (rc != 0) {
		count = 0;
		if (missing.code == ERR_LOCKED || missing.code == ERR_INTERRUPTED) {
			*err = missing;
			return -1;
		}
		log_debug(context->log, "no samples of %s: %s", revision->name, missing.message);
	}
	gate_add(&run->gate, side, seen, bake->samples, count, run_now(run));
	for (size_t i = 0; i < count; i++)
		sample_clear(&bake->samples[i]);
	return 0;
}

/* What a call ended with that says nothing of the version: nobody asked it. */
static bool is_of_the_way(enum err_code code) {
	return code == ERR_UNCLEAR || code == ERR_AUTH || code == ERR_NOT_FOUND;
}

/* revision NULL: through the front door. */
static int call_golden(struct run *run, const struct revision *revision, const struct golden_example *example, struct target_answer *answer, struct err *err) {
	const struct release_context *context = run->context;
	struct target_request request = {.method = "POST", .path = example->path, .body = example->body, .timeout_ms = GOLDEN_TIMEOUT_MS};
	return context->target->call(context->target_state, revision, &request, answer, err);
}

/* false: it was lost. */
static bool replay_one(struct run *run, struct bake *bake) {
	const struct golden_example *example = &bake->golden->examples[bake->golden_next++ % bake->golden->count];
	struct target_answer answer __attribute__((cleanup(target_answer_clear))) = {0};
	struct err err = {0};
	if (call_golden(run, &run->subject.revision, example, &answer, &err) != 0) {
		bool is_its = !is_of_the_way(err.code);
		run->gate.golden_sent += is_its;
		run->gate.golden_lost += is_its;
		return false;
	}
	run->gate.golden_sent++;
	if (answer.status >= 200 && answer.status < 300 && golden_compare(example, (struct str){answer.body, answer.body_len}, &err) != 0)
		run->gate.golden_wrong++;
	return true;
}

/* Below one request a second the golden examples make up what is missing, at the canary itself; its own counters count them. */
static void replay_golden(struct run *run, struct bake *bake, const struct verdict *verdict) {
	int64_t elapsed_ms = run_now(run) - run->gate.started_ms;
	if (!bake->golden || !bake->golden->count)
		return;
	double organic = verdict->requests - run->gate.golden_sent;
	if (elapsed_ms == 0 || organic / ((double) elapsed_ms / 1000) >= LOW_TRAFFIC_RPS)
		return;
	double share = run->canary.for_ms > 0 ? ((double) (elapsed_ms + run->gate.interval_ms)) / (double) run->canary.for_ms : 1;
	double wanted = gate_requests_needed(&run->canary) * (share > 1 ? 1 : share) * 1.1 + 1;
	double have = verdict->requests > run->gate.golden_sent ? verdict->requests : run->gate.golden_sent;
	if (have >= wanted) /* a sign of life each round; past its time, more evidence than the minimum decides it one way or the other */
		wanted = have + (share > 1 ? GOLDEN_MORE : 1);
	for (int burst = 0; burst < GOLDEN_BURST_MAX && have < wanted && !run_signal(run); burst++, have++)
		if (!replay_one(run, bake))
			return; /* each of the others would take as long; the share is to be held, and the next round asks again */
}

static int bake_round(struct run *run, struct bake *bake, struct err *err) {
	const struct release_context *context = run->context;
	const struct revision *canary = &run->subject.revision;
	if (engine_route(run, bake->stable, canary, run->subject.objects, run->canary.weight, err) != 0)
		return -1;
	struct err unseen = {0};
	if (context->target->poll(context->target_state, canary, &bake->canary_seen, &unseen) != 0) {
		if (unseen.code == ERR_LOCKED) {
			*err = unseen;
			return -1;
		}
		bake->canary_seen.count = 0; /* nobody may speak this round */
	} else {
		/* Whoever deletes it says nothing about the image. */
		if (bake->was_seen && !bake->canary_seen.exists)
			return err_set(err, ERR_FAILED, "the canary of r%" PRId64 " is gone: somebody deleted it", run->subject.entry.n);
		bake->was_seen = bake->canary_seen.exists;
		look_at_health(run, bake);
		if (engine_stuck(run, &bake->canary_seen, "the canary", err) != 0) {
			run->head.candidate.is_judged_bad = has_crashed(bake);
			return -1;
		}
	}
	best_effort(
		context->target->poll(context->target_state, bake->stable, &bake->stable_seen, &(struct err){0})); /* compared with only */
	if (add_samples(run, bake, canary, &bake->canary_seen, &run->gate.canary, err) != 0)
		return -1;
	return add_samples(run, bake, bake->stable, &bake->stable_seen, &run->gate.stable, err);
}

static void tell_verdict(struct run *run, const struct verdict *v) {
	static const char *const words[] = {
		[VERDICT_WAIT] = "", [VERDICT_PASS] = "PASS  ", [VERDICT_FAIL] = "FAIL  ", [VERDICT_UNDECIDED] = "UNDECIDED  "};
	char text[420];
	snprintf(text, sizeof(text), "%s%s", words[v->kind], v->text);
	struct release_event event = {.kind = v->kind == VERDICT_WAIT ? "bake" : "gate",
		.text = text,
		.weight = run->canary.weight,
		.requests = v->requests,
		.errors = v->errors,
		.error_rate = v->rate,
		.low = v->low,
		.high = v->high,
		.p99_ms = v->p99_ms,
		.stable_error_rate = v->stable_rate,
		.stable_p99_ms = v->stable_p99_ms,
		.progress = v->progress,
		.health_failures = run->gate.health_failures + run->gate.canary.restarts};
	run_emit(run, &event);
}

static void cause_of_verdict(struct run *run, const struct verdict *v) {
	struct err err = {0};
	err_set(&err, ERR_FAILED, "the canary %s: %s%s%s", v->kind == VERDICT_FAIL ? "failed" : "is undecided", v->text,
		run->gate.errors.count ? "; top error " : "", run->gate.errors.count ? run->gate.errors.items[0] : "");
	run_cause(run, &err);
}

static enum event bake_until_decided(struct run *run, struct bake *bake) {
	struct err err = {0};
	int64_t next_ms = run_now(run);
	for (;;) {
		if (bake_round(run, bake, &err) != 0)
			return engine_event_of(run, &err);
		gate_verdict(&run->gate, &run->canary, run_now(run), &run->verdict);
		tell_verdict(run, &run->verdict);
		switch (run->verdict.kind) {
		case VERDICT_PASS:
			return EVENT_DONE;
		case VERDICT_FAIL:
			run->head.candidate.is_judged_bad = true;
			cause_of_verdict(run, &run->verdict);
			return EVENT_BAD;
		case VERDICT_UNDECIDED:
			cause_of_verdict(run, &run->verdict);
			return EVENT_UNDECIDED;
		case VERDICT_WAIT:
			break;
		}
		replay_golden(run, bake, &run->verdict);
		int64_t now_ms = run_now(run);
		next_ms = next_ms + run->gate.interval_ms > now_ms ? next_ms + run->gate.interval_ms : now_ms + 1;
		if (run_wait(run, next_ms - now_ms, &err) != 0)
			return engine_event_of(run, &err);
		if (run_signal(run))
			return EVENT_INTERRUPTED;
	}
}

enum event effect_bake(struct run *run) {
	struct err err = {0};
	struct revision memory;
	AUTO_FREE struct bake *bake = NEW(struct bake);
	bake->stable = stable_of(run, &memory);
	bake->is_first = true;
	if (!bake->stable)
		return EVENT_DONE;
	struct golden *golden CLEANUP(golden_at_exit) = NULL;
	if (run->subject.golden && golden_read(run->subject.golden, &golden, &err) != 0)
		return engine_event_of(run, &err);
	bake->golden = golden;
	gate_start(&run->gate, run_now(run), gate_interval_ms(&run->canary));
	run->head.candidate.weight = run->canary.weight;
	return bake_until_decided(run, bake);
}

enum event effect_promote(struct run *run) {
	struct err err = {0};
	struct revision memory;
	struct observed seen;
	const struct subject *subject = &run->subject;
	const struct revision *stable = stable_of(run, &memory);
	struct wait_wish wish = {
		.revision = &subject->revision, .stable = stable, .objects = subject->objects, .timeout_ms = run->ready_timeout_ms};
	const char *how = !stable ? "" : engine_is_rolling(run) ? ", one replica after the other" : ", the old version stays meanwhile";
	run_tell(run, "promote", "r%" PRId64 " to full size%s", subject->entry.n, how);
	if (engine_take_over(run, wish, &seen, &err) != 0)
		return engine_event_of(run, &err);
	run->head.candidate.weight = 100;
	run_tell(run, "promote", "%zu/%zu replicas answer with %.19s..., 100 %% of the traffic", seen.count, seen.count,
		subject->revision.image.text);
	return EVENT_DONE;
}

static int ask_golden(struct run *run, const struct revision *revision, const struct golden_example *example, struct err *err) {
	struct target_answer answer __attribute__((cleanup(target_answer_clear))) = {0};
	if (call_golden(run, revision, example, &answer, err) != 0)
		return -1;
	if (answer.status >= 200 && answer.status < 300)
		return golden_compare(example, (struct str){answer.body, answer.body_len}, err);
	return err_set(err, answer.status >= 500 ? ERR_NETWORK : ERR_INVALID, "HTTP %d: %.*s", answer.status,
		(int) (answer.body_len > 200 ? 200 : answer.body_len), answer.body ? answer.body : "");
}

/* How it ends for the version when it is asked directly. 0: it answers as it should, or nobody can tell: what failed before was the way. 1: it does
 * not. -1: *err is to be told. */
static int ask_itself(struct run *run, const struct golden_example *example, struct err *err) {
	struct err its = {0};
	if (lock_keep(run, err) != 0)
		return -1;
	if (ask_golden(run, &run->subject.revision, example, &its) == 0 || is_of_the_way(its.code))
		return 0;
	if (its.code != ERR_LOCKED && its.code != ERR_INTERRUPTED)
		return 1;
	*err = its;
	return -1;
}

/* One example through the front door. A lost answer or a 503 of a switch just done is tried again; a wrong one is not. *is_its: it is the version that
 * failed. Else it is the way, which gets its time: endpoints follow their pods late where the API server was away. */
static int smoke_one(struct run *run, const struct golden_example *example, bool *is_its, struct err *err) {
	int64_t until_ms = run_now(run) + SMOKE_WAY_MS, pause_ms = 0;
	for (int tries = 1;; tries++) {
		int rc = ask_golden(run, NULL, example, err);
		*is_its = rc != 0 && err->code == ERR_INVALID;
		if (rc == 0 || *is_its || err->code == ERR_LOCKED || err->code == ERR_INTERRUPTED || run_signal(run))
			return rc;
		if (tries >= SMOKE_TRIES_MAX) {
			int itself = err->code == ERR_AUTH || run_now(run) >= until_ms ? -1 : ask_itself(run, example, err);
			*is_its = itself > 0 && (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT);
			if (itself != 0)
				return -1;
		}
		err_clear(err);
		pause_ms = pause_ms + SMOKE_PAUSE_MS > SMOKE_PAUSE_MS_MAX ? SMOKE_PAUSE_MS_MAX : pause_ms + SMOKE_PAUSE_MS;
		if (run_wait(run, pause_ms, err) != 0)
			return -1;
	}
}

enum event effect_smoke(struct run *run) {
	struct err err = {0};
	struct golden *golden CLEANUP(golden_at_exit) = NULL;
	if (run->subject.golden && golden_read(run->subject.golden, &golden, &err) != 0)
		return engine_event_of(run, &err);
	size_t count = golden ? golden->count : 0;
	for (size_t i = 0; i < count; i++) {
		if (smoke_one(run, &golden->examples[i], &run->head.candidate.is_judged_bad, &err) != 0) {
			err_wrap(&err, "smoke test, golden example %zu of %zu", i + 1, count);
			return engine_event_of(run, &err);
		}
		if (lock_keep(run, &err) != 0)
			return engine_event_of(run, &err);
		if (run_signal(run))
			return EVENT_INTERRUPTED;
	}
	run_tell(run, "smoke", "golden %zu/%zu through the front door", count, count);
	return EVENT_DONE;
}

/* What the head says once the release is good: the old ones are owed to be retired, which comes last. */
static void move_good(struct run *run) {
	struct head *head = &run->head;
	const struct subject *subject = &run->subject;
	struct head_entry old_good = head->good, old_previous = head->previous;
	head->good = subject->entry;
	head->good.since_s = clock_wall_s(run->context->clock);
	head->live = head->good.n;
	if (subject->again) {
		head->previous = run->back;
		head_note(head, old_good.n, 'r');
	} else if (!subject->is_same) {
		head->previous = old_good;
	}
	struct revision now;
	head_entry_revision(&head->good, &now);
	if (old_good.n && !head_entry_is(&old_good, &now))
		head_owe(head, &old_good);
	struct revision kept;
	head_entry_revision(&head->previous, &kept);
	if (old_previous.n && !head_entry_is(&old_previous, &now) && !head_entry_is(&old_previous, &kept))
		head_owe(head, &old_previous);
	/* What serves now is owed by nobody, even if it was. */
	size_t left = 0;
	for (size_t i = 0; i < head->debt_count; i++)
		if (!head_entry_is(&head->debts[i], &now))
			head->debts[left++] = head->debts[i];
	head->debt_count = left;
	struct digest judged;
	plan_judged(&now, run->subject.objects, &judged);
	head_allow(head, &judged);
	head_note(head, head->good.n, 'g');
	head->candidate = (struct head_candidate){0};
}

enum event effect_commit(struct run *run) {
	struct err err = {0};
	struct observed seen;
	const struct revision *revision = &run->subject.revision;
	if (engine_observe(run, revision, &seen, &err) != 0)
		return engine_event_of(run, &err);
	if (!plan_is_serving(&seen, revision)) {
		err_set(&err, ERR_FAILED, "r%" PRId64 " stopped serving before it could be committed", run->subject.entry.n);
		return engine_event_of(run, &err);
	}
	struct head before = run->head;
	move_good(run);
	if (head_save(run, &err) != 0) {
		run->head = before;
		return engine_event_of(run, &err);
	}
	run->outcome = OUTCOME_DONE;
	run->serving = run->subject.revision.image;
	run_tell(run, "commit", "r%" PRId64 " is good", run->subject.entry.n);
	return EVENT_DONE;
}

enum event effect_finish(struct run *run) {
	struct err err = {0};
	struct head *head = &run->head;
	struct revision kept, good;
	head_entry_revision(&head->previous, &kept);
	head_entry_revision(&head->good, &good);
	run->is_undoing = false;
	size_t before = head->debt_count, left = 0;
	for (size_t i = 0; i < before; i++) {
		struct revision revision;
		head_entry_revision(&head->debts[i], &revision);
		bool is_kept = head->previous.n && head_entry_is(&head->debts[i], &kept);
		/* What can't be retired now stays owed: the next command tries again. */
		if (err.code == ERR_NONE && (head_entry_is(&head->debts[i], &good) || engine_retire(run, &revision, is_kept, &err) == 0))
			continue;
		head->debts[left++] = head->debts[i];
	}
	head->debt_count = left;
	if (err.code == ERR_LOCKED) {
		run->is_holding = false;
		return EVENT_DONE;
	}
	err_clear(&err);
	if (left != before)
		best_effort(head_save(run, &err)); /* the same debts again next time: retiring is repeatable */
	return EVENT_DONE;
}
