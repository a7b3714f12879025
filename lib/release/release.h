/* The release engine's front door: plan is data, run executes exactly that plan. deploy, promote, rollback and destroy are entries into one
 * table of {phase, event, next, effect}. See design in lib/release/README.md. */
#pragma once

#include "target/target.h"

enum outcome { /* exit codes of the contract, beside err.code for failures before anything was touched */
	OUTCOME_DONE = 0,
	OUTCOME_UNCHANGED,
	OUTCOME_FAILED,		 /* nothing to go back to: 8 */
	OUTCOME_ROLLED_BACK,	 /* old version verified: 9 */
	OUTCOME_ROLLBACK_FAILED, /* 10 */
	OUTCOME_UNDECIDED,	 /* 11 */
	OUTCOME_REFUSED,	 /* conflict, frozen, refused digest: 12 */
	OUTCOME_INTERRUPTED,	 /* 130/143 */
	OUTCOME_LOCKED,		 /* 7 */
};

struct canary_settings { /* project/ fills it; durations in ms */
	bool is_none;
	double weight; /* percent */
	int64_t for_ms, max_ms, interval_ms;
	int64_t requests_min;
	double error_rate_max; /* share 0..1 */
	int64_t latency_p99_ms;
	int64_t health_failures_max;
};

/* What happens, as it happens: for the screen and --events json. Texts are lent for the call. */
struct release_event {
	const char *kind; /* "plan" "lock" "preflight" "stage" "canary" "bake" "gate" "promote" "smoke" "evidence" "rollback" "commit"
			     "done" ... */
	const char *text; /* one line for people */
	int64_t elapsed_ms, release;
	/* bake */
	double weight, requests, errors, error_rate, low, high, p99_ms, stable_error_rate, stable_p99_ms, progress;
	int64_t health_failures;
	const char *replica, *reason, *cause, *fix; /* "stop", "waiting": who, why, the same in one word, and what to do; NULL: not said */
};

struct release_context {
	const struct target *target;
	void *target_state;
	struct store *store; /* NULL: registry unreachable or not needed (hot rollback) */
	struct http *http;   /* for waiting: http_step with timers */
	const struct clock *clock;
	const struct log *log;
	const struct redactor *redact;
	const char *service, *env;
	const char *actor;  /* "ci run 8812" or "user@host" */
	const char *ci_run; /* may be NULL */
	void (*event)(void *self, const struct release_event *event);
	void *event_self;
	int *interrupted; /* the signal that arrived, 0: none */
};

struct release_plan;
struct deploy_request {
	struct revision revision; /* image and settings digests; release is allotted */
	struct canary_settings canary;
	const struct value *objects;  /* rendered by the target */
	const struct value *settings; /* merged, for the record */
	const struct value *facts;    /* git commit, dirty, model sha256, self-test, base: for the record; may be NULL */
	struct digest image_index;
	int64_t image_manifest_size;
	const char *golden; /* golden.jsonl's text for smoke test and low traffic; NULL: none */
	bool is_refused_allowed, is_first_canary_skipped, is_forced;
	int64_t lock_wait_ms;
	int64_t ready_timeout_ms; /* 0: 2 minutes */
	const char *reason;
	const struct release_plan
		*planned; /* looked at before: this, on the head as it was then, or nothing (ERR_CONFLICT); NULL: what is right now */
};
struct release_result {
	enum outcome outcome;
	int64_t release; /* the one that serves now */
	int64_t undone;	 /* the one that was rolled back; 0: none */
	int64_t elapsed_ms;
	char cause[512];     /* why it failed */
	char cause_word[40]; /* the same in one word for programs, where a replica was the reason: "out_of_memory" */
	char fix[512];
	char serving[DIGEST_TEXT_MAX];
};
/* 0: *result says how it ended (REFUSED and LOCKED too, with cause and fix). -1: it failed before anything was changed, *err says why. */
int release_deploy(
	const struct release_context *context, const struct deploy_request *request, struct release_result *result, struct err *err);

/* What release_deploy() would do now; nothing is changed. */
enum plan_kind {
	PLAN_UNCHANGED,
	PLAN_FIRST, /* nothing serves yet: all at once */
	PLAN_CANARY,
	PLAN_DIRECT,  /* canary none: all at once, the old version is kept until the smoke test passed */
	PLAN_REPAIR,  /* the same release, but it does not serve as it should */
	PLAN_RESUME,  /* an earlier deploy of the same image stopped half way */
	PLAN_UNDO,    /* rollback: the candidate in flight goes, the good release stays */
	PLAN_BACK,    /* rollback to release `to` */
	PLAN_REFUSED, /* frozen, refused digest, nothing to go back to */
};
struct release_plan {
	enum plan_kind kind;
	int64_t n;	    /* the number it would get */
	int64_t generation; /* of the head that it was made from */
	int64_t from, to;   /* serving now; a rollback's goal */
	char text[400];	    /* one line for people, or why it is refused */
	char fix[200];
};
int release_plan(const struct release_context *context, const struct deploy_request *request, struct release_plan *out, struct err *err);

struct rollback_request {
	int64_t to; /* 0: undo what is in flight; else the good release before */
	const char *reason;
	int64_t ready_timeout_ms; /* 0: 2 minutes */
	int64_t lock_wait_ms;
};
int release_rollback(
	const struct release_context *context, const struct rollback_request *request, struct release_result *result, struct err *err);
int release_destroy(const struct release_context *context, bool is_forced, struct release_result *result, struct err *err);
int release_freeze(const struct release_context *context, const char *reason /* NULL: unfreeze */, struct err *err);

/* The head as data, for status; read-only, never needs the registry. */
struct release_head {
	bool exists;
	int64_t generation, good, live, previous, candidate; /* release numbers, 0: none */
	struct revision good_revision, live_revision, candidate_revision, previous_revision;
	struct digest good_release, candidate_release;
	char phase[24];
	double weight;
	int64_t since_s, good_since_s;
	char commit[64], actor[128], frozen[256], lock_holder[128];
	int64_t failed; /* the newest release, when it was undone; 0: it was not */
	char failed_state[24];
	size_t refused_count;
	char refused[32][DIGEST_TEXT_MAX];
};
int release_head_read(const struct release_context *context, struct release_head *out, struct err *err);

/* The record of release N: from what the target keeps, else from the registry. Tree owned by the document. */
int release_record_read(const struct release_context *context, int64_t n, struct document **out, struct err *err);
/* What somebody has changed of release N's objects, one text each ("Deployment fraud spec.replicas: 2, there 5"); N is the one that serves.
 * Reads only. */
int release_drift(const struct release_context *context, int64_t n, struct texts *out, struct err *err);
/* Newest first. Numbers known to the target and, when `store` is there, to the registry. */
struct release_list {
	size_t count;
	struct {
		int64_t n;
		char state[24]; /* good, live, failed, rolled-back, destroyed */
	} items[256];
};
int release_list_read(const struct release_context *context, struct release_list *out, struct err *err);
/* The evidence of a failed release as a JSON tree: ERR_NOT_FOUND when there is none. */
int release_evidence_read(const struct release_context *context, int64_t n, struct document **out, struct err *err);
