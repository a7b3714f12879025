/* A world with one service in it, seen through the table of verbs: revisions whose replicas come up, fail or answer wrongly, traffic, a
 * head with compare-and-swap, a clock that only waiting moves. Several engines may work in one world, each through its own client; each
 * client's calls can be made to fail, or end it as kill -9 would. The world watches itself: what must never happen is written into
 * `violations`. */
#pragma once

#include "release/release.h"

#include <pthread.h>

#define FAKE_REVISIONS_MAX 24
#define FAKE_KEPT_MAX 80
#define FAKE_CLIENTS_MAX 64

enum fake_metrics { METRICS_GOOD, METRICS_MISSING, METRICS_NAN, METRICS_STALE, METRICS_CONSTANT, METRICS_FALLING, METRICS_FOREIGN };

struct fake_model { /* how an image behaves */
	struct digest image;
	int64_t ready_ms;
	double error_rate, slow_share;
	bool is_stuck, is_failing, is_wrong; /* can't start; never ready; golden answers differ */
	bool is_breaking;		     /* ends again and again once it was asked for something */
	bool is_lying;			     /* answers with another digest */
	size_t ready_max;		     /* where it rolls: so many pods of it get ready and no more; 0: all */
	enum fake_metrics metrics;
};

struct fake_revision {
	struct revision revision;
	bool exists, is_kept, has_served;
	bool is_foreign; /* put there by hand: the head need not know it */
	int64_t desired, full;
	int64_t started_ms[TARGET_REPLICAS_MAX];
	double requests, errors, slow, owed; /* since start; owed: a fraction of a request */
};

/* A world of is_rolling has one Deployment in its place: route(100) changes its template, and the world itself then brings up one new pod
 * at a time and takes an old one away for each that is ready; beside it, at most one canary. */
#define FAKE_PODS_MAX 8
struct fake_pod {
	int revision;
	int64_t started_ms;
};
struct fake_deployment {
	bool exists, had_ready;
	int revision; /* of its template */
	int64_t desired;
	size_t count;
	struct fake_pod pods[FAKE_PODS_MAX];
};

struct fake_world {
	struct clock clock;
	int64_t mono_ms, wall_s, wall_rest_ms;
	uint64_t random;
	struct fake_model models[16];
	size_t model_count;
	struct fake_revision revisions[FAKE_REVISIONS_MAX];
	size_t revision_count;
	int front, canary; /* indexes, -1: none; canary: what the weight goes to */
	bool is_rolling;
	struct fake_deployment main, side; /* is_rolling: NAME and NAME-canary */
	int shared;			   /* whose Service, autoscaler and so on are in place; -1: nobody's */
	int known_good, known_candidate;   /* what the head names, as indexes; -1: none */
	bool is_contested;		   /* somebody with kubectl has set a field of NAME: it is not to be had without force */
	bool is_retire_greedy;		   /* a broken twin of the target: retire() takes NAME along */
	double weight, rps;
	int64_t weight_until_ms, traffic_ms;
	int64_t door_shut_until_ms, away_until_ms; /* nobody answers at the front door; nobody leads to a version, or to the door */
	double exposed; /* requests that reached a canary */
	char head[TARGET_HEAD_BYTES_MAX];
	size_t head_len;
	int64_t head_version, lock_touched_ms;
	struct {
		int64_t n;
		char *text;
	} kept[FAKE_KEPT_MAX];
	bool is_fence_highest; /* as a target does that can't read the head at each change: refuses what is below the highest seen */
	int64_t fence_highest;
	bool is_fence_ignored; /* the broken twin of the target */
	char violations[2048];
	size_t violation_count;
	int64_t writes; /* that were done: head, verbs, keep */
	bool has_flock; /* holders can be watched: whose process ended is gone at once */
	struct {
		char token[24];
		bool is_gone;
	} holders[FAKE_CLIENTS_MAX];
	size_t holder_count;
	struct fake_baton *baton; /* NULL: one engine, no turns */
};

enum fake_fault {
	FAULT_NONE,
	FAULT_REFUSED,	  /* nothing happened */
	FAULT_TIMEOUT,	  /* nothing happened */
	FAULT_BUSY,	  /* 429, 5xx */
	FAULT_CONFLICT,	  /* 409 */
	FAULT_AUTH,	  /* 401 */
	FAULT_LOST,	  /* it happened, the answer was lost */
	FAULT_LATE,	  /* it happened, the time was up */
	FAULT_FULL,	  /* disk full */
	FAULT_HALF,	  /* of a roll that was asked for, half of the objects were applied; all else: as refused */
	FAULT_KILL,	  /* kill -9 before it happened: no call of this client gets through any more */
	FAULT_KILL_AFTER, /* kill -9 after it happened */
	FAULT_KILL_HALF,  /* kill -9 in the middle of applying them; all else: as before */
	FAULT_JUMP,	  /* no error: the wall clock jumps back ten minutes, then forward */
	FAULT_SIGNAL,	  /* no error: SIGINT arrives */
	FAULT_SIGNAL_CUT, /* SIGINT arrives, and from here on nobody can be reached */
	FAULT_COUNT,
};
static inline void fake_break(struct replica *replica) {
	replica->state = REPLICA_STUCK;
	snprintf(replica->cause, sizeof(replica->cause), CAUSE_CRASH);
	snprintf(replica->reason, sizeof(replica->reason), "has ended 3 times");
}
extern const char *const fake_fault_names[FAULT_COUNT];

struct fake_client { /* one engine's way into the world */
	struct fake_world *world;
	struct http http; /* first step's self is found through `self` below */
	struct release_context context;
	int id;
	int64_t calls, fail_at, fail_times, happened; /* the fail_at-th call (from 1) and the next fail_times - 1 fail */
	enum fake_fault fault;
	int64_t expired_at; /* from this call on the credential is not taken, until this is 0 again; 0: never */
	int64_t contest_at; /* from this call on the world is contested; 0: never */
	bool is_dead, is_lock_blind;
	int signal;
	int64_t signal_ms;
	char actor[32], token[24];
	char last_event[64];
	int64_t wake_ms;
	bool is_waiting, is_done;
};

void fake_world_init(struct fake_world *world);
void fake_world_clear(struct fake_world *world);
struct fake_model *fake_model_add(struct fake_world *world, char letter); /* digest of that letter, ready in 200 ms */
struct digest fake_digest(char letter);
void fake_client_init(struct fake_client *client, struct fake_world *world, int id);
void fake_advance(struct fake_world *world, int64_t ms);
void fake_violate(struct fake_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The image that gets the traffic that is not the canary's; empty when none does, the text "mixed" when several do. */
struct digest fake_serving(struct fake_world *world);
/* Is all of that traffic on these? Texts of digests; any may be empty. */
bool fake_serves_only(const struct fake_world *world, const struct digest *allowed, size_t count);
double fake_canary_weight(struct fake_world *world); /* 0 once it has fallen back */
struct fake_revision *fake_find(struct fake_world *world, const struct digest *image);
double fake_random(struct fake_world *world);

extern const struct target fake_target, fake_rolling_target;
const struct fake_model *fake_model_of(const struct fake_world *world, int revision);
int fake_index_of(const struct fake_world *world, const struct revision *revision); /* -1: not known */
int fake_index_for(struct fake_world *world, const struct revision *revision);	    /* known from now on */

int fake_contested(struct err *err);
/* Somebody with kubectl: NAME's template becomes one that no release knows, and its size this. */
void fake_by_hand(struct fake_world *world, char letter, int64_t replicas);
/* What the verbs do in a world that rolls (fake_rolling.c). rolling_move(): the platform at work, until nothing more happens at this
 * moment. */
void rolling_move(struct fake_world *world);
bool rolling_is_moving(const struct fake_world *world);
bool rolling_is_ready(const struct fake_world *world, const struct fake_pod *pod);
size_t rolling_ready(const struct fake_world *world, int revision);  /* pods of NAME; revision -1: of any */
bool rolling_is_whole(const struct fake_world *world, int revision); /* NAME is at it, every pod there and ready */
void rolling_observe(struct fake_world *world, int revision, struct observed *out);
void rolling_stage(struct fake_world *world, int revision);
int rolling_route(struct fake_world *world, const struct revision *stable, int revision, const struct value *objects, double weight,
	int64_t full, struct err *err);
void rolling_route_half(struct fake_world *world, int revision, const struct value *objects, double weight, bool is_main);
int rolling_retire(struct fake_world *world, int revision, struct err *err);
void rolling_watch(struct fake_world *world);

/* Turns: each engine runs in a thread of its own and stops before each call; `choose` says who makes the next one among the ready. All
 * waiting: the clock moves to the first that wakes. */
struct fake_baton {
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	int current; /* the client whose turn it is, -1: the scheduler's */
	struct fake_client *clients[FAKE_CLIENTS_MAX];
	int client_count;
};
struct fake_job {
	struct fake_client *client;
	void (*work)(struct fake_job *job);
	void *self;
	pthread_t thread;
};
typedef int (*fake_choose_fn)(void *self, const int *ready, int ready_count, int64_t turn);
void fake_run_all(struct fake_world *world, struct fake_job *jobs, int count, fake_choose_fn choose, void *self);
