/* The engine: one const table of {phase, event, next, effect}. Entering a phase writes its name into the head first, then does its effect,
 * whose end is the next event. What the table does not list does not exist. Internal to release/ and its tests. */
#pragma once

#include "release/run.h"

enum event {
	EVENT_CANARY, /* begin with a canary */
	EVENT_DIRECT, /* begin, or go on, at once with everything */
	EVENT_UNDO,   /* begin with undoing */
	EVENT_DESTROY,
	EVENT_DONE,
	EVENT_BAD, /* the candidate, or the way to it, failed */
	EVENT_UNDECIDED,
	EVENT_INTERRUPTED,
	EVENT_LOST, /* the lock is another's: write nothing more */
};
typedef enum event (*effect_fn)(struct run *run);
struct engine_row {
	enum phase phase;
	enum event event;
	enum phase next;
	effect_fn effect;
};
extern const struct engine_row engine_table[];
#define ENGINE_ROWS_MAX 40

/* From PHASE_LOCKED with run->subject and the head's candidate set, until the table says END. run->outcome says how. */
void engine_run(struct run *run, enum event entry);

/* The effects, for the table (rollout.c, undo.c). */
enum event effect_stage(struct run *run);
enum event effect_bake(struct run *run);
enum event effect_promote(struct run *run);
enum event effect_smoke(struct run *run);
enum event effect_commit(struct run *run);
enum event effect_undo(struct run *run);
enum event effect_destroy(struct run *run);
enum event effect_finish(struct run *run); /* retires what is owed, best effort */
enum event effect_end(struct run *run);	   /* nothing more to do */
enum event effect_park(struct run *run);   /* interrupted: weight 0, candidate kept */
enum event effect_lost(struct run *run);

/* What an error of an effect means for the table; remembers the cause. */
enum event engine_event_of(struct run *run, const struct err *err);

static inline bool engine_is_rolling(const struct run *run) {
	return (run->context->target->caps & TARGET_ROLLING) != 0;
}

/* Steps that rollout.c and undo.c share. Each is tried again while it is worth it, under a lease that was just looked at. */
int engine_stage(struct run *run, const struct revision *revision, const struct value *objects, int64_t replicas, struct err *err);
int engine_route(struct run *run, const struct revision *stable, const struct revision *revision, const struct value *objects,
	double weight, struct err *err);
int engine_retire(struct run *run, const struct revision *revision, bool is_kept, struct err *err);
int engine_observe(struct run *run, const struct revision *revision, struct observed *out, struct err *err);
/* -1, the reason told, when one of the replicas can't recover; `what` is the subject of the sentence. */
int engine_stuck(struct run *run, const struct observed *seen, const char *what, struct err *err);
/* Until every replica is ready and answers with the digest. is_routing: also routes everything to it and waits for that (`stable` may be
 * NULL: none). timeout_ms is for all of them, or where they come one after the other (TARGET_ROLLING) for each. ERR_TIMEOUT, ERR_FAILED
 * when it can't recover; ERR_INTERRUPTED. */
struct wait_wish {
	const struct revision *revision, *stable;
	const struct value *objects; /* the revision's */
	bool is_routing;
	int64_t timeout_ms;
};
int engine_await(struct run *run, const struct wait_wish *wish, struct observed *out, struct err *err);
/* Makes the revision exist, if need be, waits until what exists of it is ready, at no less than the size it has, and then sends all of the
 * traffic to it, at its full size. */
int engine_take_over(struct run *run, struct wait_wish wish, struct observed *out, struct err *err);
