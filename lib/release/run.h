/* One command at work on one service: the head as last seen, the lease, what is being rolled out. Internal to release/.
 *
 * Nothing here outlives the command: the state that counts is in the head, the record and the target. */
#pragma once

#include "release/gate.h"
#include "release/head.h"

#define LEASE_TTL_S 15
#define LEASE_RENEW_MS 5000
#define LEASE_STOP_MS 10000
#define FORWARD_RETRY_MS 30000 /* how long a step forward is tried before it counts as failed */
#define LOOK_RETRY_MS 3000
#define LOOK_WHOLE_MS 10000 /* a server that hangs keeps whoever only looks no longer than this */
#define UNDO_RETRY_MS 120000   /* an undo has longer */
#define PARK_MS 4000	       /* an interrupt must be done within 6 s */
#define READY_TIMEOUT_MS 120000
#define WEIGHT_TTL_S 60
#define JOURNAL_MAX 200

struct subject { /* a release on its way: what is needed to make it serve */
	struct head_entry entry;
	struct revision revision;
	int64_t again; /* the release it repeats; 0: a deploy */
	const struct value *objects;
	const char *golden;
	struct document *document; /* owns the record that objects and golden point into, when it was read back */
	bool is_same;		   /* the very revision that is good already: a repair, with nothing to undo to */
};
void subject_clear(struct subject *subject);

struct engine_row;
struct run {
	const struct release_context *context;
	const struct engine_row *table;

	struct head head;
	char version[64];
	bool is_guest; /* writes the head beside a holder of the lock: never renews for it */
	bool is_holding, is_saving, is_undoing, is_parking;
	bool is_looking; /* changes nothing: whoever asks how things are wants an answer, or to hear soon that there is none */
	char token[HEAD_TOKEN_MAX];
	int64_t renewed_ms, started_ms;
	int64_t park_until_ms; /* everything that an interrupt does is done by then */
	int raises;	       /* of the fence */

	struct subject subject;
	struct canary_settings canary;
	struct err failure; /* set when nothing was touched: the command failed before it began */
	int64_t ready_timeout_ms;
	const char *reason;
	struct head_entry back; /* where a rollback from the subject will go */
	struct digest serving;	/* what was verified to serve at the end */
	bool is_destroyed;	/* a destroy that had stopped half way was finished: begin anew */
	bool is_told_locked_out;
	bool was_touched;	/* an effect has begun: from here on there is something to undo */

	struct gate gate;
	struct verdict verdict;
	struct texts journal;	 /* who did what when, for the evidence */
	char *record, *evidence; /* of the subject, as texts */
	enum phase failed_phase; /* where the event came from that led to the undo */

	enum outcome outcome;
	char cause[512], fix[512];
	char cause_word[40]; /* of the replica that it came from; empty: from something else */
};
void run_init(struct run *run, const struct release_context *context, const struct engine_row *table);
void run_clear(struct run *run);
static inline int64_t run_now(const struct run *run) {
	return clock_mono_ms(run->context->clock);
}
static inline int run_signal(const struct run *run) {
	return run->context->interrupted ? *run->context->interrupted : 0;
}
/* Tells whoever watches, and the journal. */
void run_tell(struct run *run, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void run_emit(struct run *run, struct release_event *event);
/* The first cause stays: what came later followed from it. */
void run_cause(struct run *run, const struct err *err);
/* Waits in the network's step, so that the lease is renewed and signals are seen. Returns early on a signal (unless undoing). ERR_LOCKED:
 * lease lost. */
int run_wait(struct run *run, int64_t ms, struct err *err);

/* Trying again, with back-off, until a deadline: do { rc = call; } while (rc != 0 && remote_again(&remote, err)). When it says no, *err
 * holds why. Only what a repeat can mend is repeated; while undoing that is everything but a lost lease. */
struct remote {
	struct run *run;
	int64_t until_ms, pause_ms;
	int tries;
};
struct remote remote_begin(struct run *run);
bool remote_again(struct remote *remote, struct err *err);
/* The target does not take our credential (any more): nothing can be done about it from here, neither forward nor back. */
bool run_is_locked_out(const struct err *err);
/* What is to be written belongs to somebody else, and was left to him. */
bool run_is_anothers(const struct err *err);
/* Nothing will be changed, so a short time is enough. */
void run_look(struct run *run);
/* From here on only what an interrupt has time for. */
void run_park(struct run *run);
