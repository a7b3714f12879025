/* A target is a constant table of small, repeatable verbs. None sleeps, retries or decides: release/ owns time, retries and judgement.
 *
 * Revision names come from content (image digest + settings digest), so a repeated `stage` finds itself. Every change carries the fence
 * (the head's generation at which the lock was taken): a target refuses one below the highest it has seen, and any while there is no head, with
 * ERR_LOCKED. A verb that lost its answer on the way fails with ERR_UNCLEAR: observe, then go on. */
#pragma once

#include "data/value.h"
#include "oci/store.h"

#define TARGET_REPLICAS_MAX 256
#define TARGET_HEAD_BYTES_MAX 8192
#define TARGET_WHERE_MAX 300
#define REVISION_NAME_MAX 24 /* "v-" and 12 hex digits of sha256(image digest, settings digest) */
#define BUCKETS_MAX 24

enum target_caps {
	TARGET_SPLIT = 1,  /* route() takes any weight, exactly */
	TARGET_HOT = 2,    /* keeps the version before: rollback without the registry */
	TARGET_ROLLING = 4, /* route(100) itself brings the revision up in place of what serves, losing no request: nothing is staged before it; see below */
};

struct revision { /* one version of the service as the target knows it */
	char name[REVISION_NAME_MAX];
	struct digest image;    /* platform manifest */
	struct digest settings; /* of everything else that is rendered */
	int64_t release;        /* N, shown and put into build_info; 0: not known */
};
void revision_name(const struct digest *image, const struct digest *settings, char out[REVISION_NAME_MAX]);

enum replica_state { REPLICA_STARTING, REPLICA_READY, REPLICA_FAILING, REPLICA_STUCK, REPLICA_GONE };
#define CAUSE_CRASH "crash_loop" /* its program ends by itself again and again */
struct replica {
	char name[64];
	enum replica_state state;
	struct digest serving;  /* the image digest that the replica itself answered with; empty: has not answered */
	char reason[400];       /* FAILING, STUCK: the cause in the platform's and our words: "exits with 4: model.onnx: ..." */
	char fix[200];
	char cause[40];         /* the cause in one word for programs: "out_of_memory", CAUSE_CRASH; empty: none */
	int restarts;
	int64_t since_s;        /* wall */
};

struct observed { /* what is true now for one revision */
	bool exists;
	double weight;                  /* share of the traffic that it is set to get, 0..100 */
	int64_t desired;
	char note[160];                 /* what decides about `desired`, in the platform's words: "hpa 1..4 now 3"; "": nothing does */
	size_t count;
	struct replica replicas[TARGET_REPLICAS_MAX];
};

/* Counters of one replica since its start. Samples of other revisions are refused by the target. */
#define SAMPLE_HANDOVER "handover@" /* before a name: a stable replica's hand-overs to this revision, and nothing else of it */
struct sample {
	char replica[64];
	int64_t start_s;                /* process start, wall: a new one means the counters began again */
	int64_t at_ms;                  /* mono, when it was read */
	bool is_constant_clock;         /* the replica's own clock did not move since the last read: stale */
	double requests, errors_5xx, errors_4xx;
	double handed_on, failed_handovers, unreached; /* unreached: there was no connection, as long as a Service has no endpoints */
	size_t bucket_count;
	double bucket_le_s[BUCKETS_MAX]; /* the last is +Inf */
	double bucket_total[BUCKETS_MAX]; /* cumulative */
	struct texts errors;            /* distinct 5xx texts, "10x HTTP 500 output is NaN", at most 10 */
};
void sample_clear(struct sample *sample);
double *sample_handovers(struct sample *sample, struct str result); /* of the label of mlctl_handover_total */
void sample_drop_handovers(struct sample *sample);                  /* of its own canaries; not its errors */
/* What a stable replica handed on, or failed to, belongs to the canary: a sample of its own, so that a restart of either shows. There must be room. */
void sample_add_handovers(const struct sample *from, struct sample *samples, size_t *count);

struct target_request {
	const char *method, *path, *body; /* body NULL: none */
	int64_t timeout_ms;
};
struct target_answer {
	int status;
	char *body; /* owned */
	size_t body_len;
	int64_t us;
};
void target_answer_clear(struct target_answer *answer);

struct target_context { /* handed in by cli; lent for the target's life */
	const char *service, *env;
	const struct value *settings;  /* merged settings tree (data/value.h) of the environment; NULL when only the head is needed */
	const char *project_folder;    /* where .mlctl/templates/ overrides what is rendered; NULL: none */
	const char *settings_file;     /* "mlctl.yaml", for messages; NULL: none */
	/* Which line of it set a value: "mlctl.yaml:21" for "resources.memory". False: not known. NULL: nobody knows. */
	bool (*settings_where)(void *self, const char *path, char out[TARGET_WHERE_MAX]);
	void *where_self;
	bool is_forcing;               /* takes over fields that another manager owns, and lists them; never without being told to */
	bool is_looking;               /* nothing is going to be changed: what was read a moment ago is not read again */
	void (*warn)(void *self, const char *text); /* what the platform warns of, as it comes; NULL: nobody listens */
	void *warn_self;
	const struct env *environment;
	const struct clock *clock;
	struct http *http;
	struct redactor *redact;
	const struct log *log;
	const char *program;           /* absolute path of the running mlctl (the supervisor is this program) */
};

enum inspection { INSPECT_DOCTOR, INSPECT_CHECKLIST, INSPECT_HEAD };

/* A target that rolls (TARGET_ROLLING) has one place, NAME, whose replicas go over from one revision to the next by themselves, whether anybody looks or
 * not; only a canary stands beside it. What release/ relies on there:
 *   route(100, R)     NAME's template becomes R's, and R's objects are put in place with it; from no replica at all too. Once NAME is wholly at R, R's own
 *                     canary is removed. Another's canary gets no share any more, and stays: retire() takes it.
 *   route(w < 100)    only the share of R's canary, by whichever way NAME has. route(NULL, R, 0): NAME, when it is at R, goes down to nothing.
 *   observe(R).weight 100 only when every replica of NAME is R's and ready, R's canary is gone, and no other one has a share; 50 while NAME is on the way to
 *                     R (also before its first replica exists); a canary's is its share. Replicas listed are NAME's where it has any of R, else the canary's.
 *   retire(R)         the canary of R; NAME and all beside it only when it is at R and has no replicas, or when a first roll was cut before NAME was
 *                     made. Never what NAME serves from, or has a replica of: ERR_CONFLICT, and nothing is touched.
 * A route(100) that was cut in the middle may leave part of R's objects in place under a NAME that is another's: going back then always puts the good
 * revision's objects in place again, whatever its replicas say. */
struct target {
	const char *name;
	unsigned caps;
	size_t state_size;
	int (*open)(void *state, const struct target_context *context, struct err *err);
	void (*close)(void *state);

	/* Which place this is ("cluster 5d0c..."), for the record: a head or a release of another place is refused. NULL: there is only one. */
	int (*identity)(void *state, char out[80], struct err *err);
	/* Can this deploy work at all? Permissions, ports, disk, secrets. Nothing is changed. `facts` gets short texts for the preflight line. */
	int (*check)(void *state, const struct store *store, struct texts *facts, struct err *err);
	/* Settings to objects, as one tree that is recorded in the release and given back to stage() even by an empty folder years later. Pure.
	 * `facts`: of the build (peak memory, commit), NULL when nothing was built. Its text "answers" is the image that answers, where that is not the revision's. */
	int (*render)(void *state, const struct revision *revision, const struct value *facts, struct document *document, struct value **objects,
		struct err *err);
	/* What making `objects` true would change just now, as the platform itself says; nothing is changed. Adds to the array `changes`, one object each:
	 * {"object": "Deployment/fraud", "change": "create" | "change" | "delete", "path": "spec.replicas", "from": .., "to": ..}. NULL: not built. */
	int (*diff)(void *state, const struct revision *revision, const struct value *objects, struct document *document, struct value *changes,
		struct err *err);
	/* What of `objects`, of the revision that serves, is otherwise than they say: "Deployment fraud spec.replicas: 2, there 5", each a text. Reads only.
	 * NULL: nobody can change them behind our back. */
	int (*drift)(void *state, const struct value *objects, struct texts *out, struct err *err);
	/* Adds findings to an array: {"check": "permission", "state": "ok" | "warning" | "bad" | "unknown", "text": .., "fix": ..}. INSPECT_DOCTOR: can this
	 * target be worked with at all? INSPECT_CHECKLIST: is what runs set up as a service in production should be? INSPECT_HEAD: is the head there that belongs to what is
	 * there (a finding "head")? NULL: not built. */
	int (*inspect)(void *state, enum inspection what, struct document *document, struct value *findings, struct err *err);

	int (*observe)(void *state, const struct revision *revision, struct observed *out, struct err *err);
	/* Makes the revision exist at zero traffic, with `replicas` copies (0: as the objects say). Fetches what it needs from the store unless it has it. */
	int (*stage)(void *state, int64_t fence, const struct revision *revision, const struct value *objects, int64_t replicas, struct store *store,
		struct err *err);
	/* Looks once: fills observed; never waits. */
	int (*poll)(void *state, const struct revision *revision, struct observed *out, struct err *err);
	/* Sends `weight` percent to `revision`, the rest stays with `stable` (may be NULL: first release). 100: promote - full replica count, and the
	 * front door moves without losing a request; repeat until observe says all replicas of `revision` are ready and weight is 100. The weight
	 * between 0 and 100 falls back to 0 after ttl_s unless called again. `objects` are those of `revision`; needed for 100 where TARGET_ROLLING. */
	int (*route)(void *state, int64_t fence, const struct revision *stable, const struct revision *revision, const struct value *objects, double weight,
		int64_t ttl_s, struct err *err);
	/* Removes the revision. is_kept: its bytes and objects stay for a hot rollback. Never one that gets traffic (ERR_CONFLICT). */
	int (*retire)(void *state, int64_t fence, const struct revision *revision, bool is_kept, struct err *err);
	/* Everything of the service, labelled ours; the head goes last. */
	int (*destroy)(void *state, int64_t fence, struct err *err);

	/* Head: at most TARGET_HEAD_BYTES_MAX. get: *len 0 and version "" when there is none. put: version is what get said; ERR_CONFLICT when another wrote. */
	int (*head_get)(void *state, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err);
	int (*head_put)(void *state, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err);
	/* Where a lock's holder can be watched; NULL: its lease ends by missing renewals only. hold: this process holds `token` until close() or its
	 * end; called before the token is in the head. is_gone: true only when the process that held it has certainly ended. */
	int (*hold)(void *state, const char *token, struct err *err);
	bool (*is_gone)(void *state, const char *token);
	/* What a hot rollback needs, kept by release number: objects and record as one JSON text, gzip is the target's business. keep(NULL text) forgets. */
	int (*keep_put)(void *state, int64_t release, const char *text, struct err *err);
	int (*keep_get)(void *state, int64_t release, char **text, struct err *err); /* ERR_NOT_FOUND */

	/* Counters of every replica of the revision; those that did not answer are missing. At most TARGET_REPLICAS_MAX. */
	int (*sample)(void *state, const struct revision *revision, struct sample *samples, size_t *count, struct err *err);
	/* One request straight at that revision, never through the split; NULL revision: through the front door. ERR_UNCLEAR: the way there was away,
	 * which says nothing of the revision. */
	int (*call)(void *state, const struct revision *revision, const struct target_request *request, struct target_answer *answer, struct err *err);
	/* The last `lines` log lines of each replica ("replica: line"); follow: from `cursor`, which is moved. */
	int (*logs)(void *state, const struct revision *revision, int lines, struct texts *out, char cursor[64], struct err *err);
	int (*events)(void *state, struct texts *out, struct err *err);
	/* Where a client reaches the service: "http://127.0.0.1:8080". */
	int (*address)(void *state, char out[256], struct err *err);
};

/* targets.def, one line each. NULL: no such target (or one that is not built yet). */
const struct target *target_find(const char *name);
