/* The canary's judge. Pure: the verdict follows from the settings, the samples given so far and the time elapsed; no clock, no target.
 *
 * An error is a 5xx, a failed hand-over or a wrong golden answer; 4xx count only where their share is more than 5 points above the stable
 * version's. FAIL needs at least 3 errors and the Wilson 95 % lower bound over the limit; PASS needs requests_min and the upper bound
 * under it, and that the canary was still answering of late. Numbers that are missing, not finite, stale, constant, falling or from
 * somebody else add nothing, so they never pass.
 *
 * Where a stable replica had no connection to the canary before it handed on anything, that speaks of the way and not of the version: a Service's
 * endpoints reach a node seconds after its pods are ready, and half a minute later when the API server was away. Such are held back, PASS with them,
 * until the first success, which forgives them. GATE_WAY_MS after the first of them fewer than GATE_ERRORS_MIN are forgotten; more are UNDECIDED. */
#pragma once

#include "release/release.h"

#define GATE_ERRORS_MIN 3
#define GATE_SLOW_SHARE 0.01
#define GATE_4XX_POINTS 0.05
#define GATE_TEXTS_MAX 10
#define GATE_WAY_MS 60000

struct gate_replica {
	char name[64];
	int64_t start_s, seen_ms;
	double requests, errors_5xx, errors_4xx, handed_on, failed_handovers, unreached, buckets[BUCKETS_MAX];
	double held_back; /* unreached before the first success */
	int64_t held_since_ms;
	bool is_way_known, is_fresh; /* is_fresh: its last sample was usable */
};

struct gate_side { /* what one version did since the bake began */
	size_t count;
	struct gate_replica replicas[TARGET_REPLICAS_MAX];
	double requests, errors_5xx, errors_4xx, failed_handovers;
	size_t bucket_count;
	double bucket_le_s[BUCKETS_MAX], buckets[BUCKETS_MAX]; /* cumulative */
	int64_t restarts, refused;
	int64_t grown_ms; /* when it last answered something new */
};

struct gate {
	struct gate_side canary, stable;
	int64_t started_ms, interval_ms;
	double golden_sent, golden_wrong, golden_lost;
	int64_t health_failures;
	struct texts errors; /* distinct texts of the canary's errors */
};
void gate_start(struct gate *gate, int64_t now_ms, int64_t interval_ms);
void gate_clear(struct gate *gate);
/* Adds one round of samples of a side; `observed` names the replicas that may speak. */
void gate_add(struct gate *gate, struct gate_side *side, const struct observed *observed, const struct sample *samples, size_t count,
	int64_t now_ms);

enum verdict_kind { VERDICT_WAIT, VERDICT_PASS, VERDICT_FAIL, VERDICT_UNDECIDED };
struct verdict {
	enum verdict_kind kind;
	double requests, errors, rate, low, high; /* the error rate with its Wilson bounds */
	double slow, slow_low;			  /* answers over the latency limit, of those measured */
	double p99_ms, stable_rate, stable_p99_ms;
	double unreached;			  /* hand-overs that are held back */
	double progress;
	char text[400]; /* "n=88  errors 11 = 12.5 % [7.1..21.0] > 5 %   (stable 0.1 %)" */
};
void gate_verdict(const struct gate *gate, const struct canary_settings *settings, int64_t now_ms, struct verdict *out);
/* The interval to sample at: as set, else a twentieth of the bake, 200 ms to 15 s. */
int64_t gate_interval_ms(const struct canary_settings *settings);
/* Answers without an error that it takes to PASS. */
double gate_requests_needed(const struct canary_settings *settings);
void gate_wilson(double hits, double total, double *low, double *high);
