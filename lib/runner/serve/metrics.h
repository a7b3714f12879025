/* What /metrics says: counters per worker (each written by its own thread only), added up when asked. Labels come from closed sets, so
 * nothing a client sends can grow them. A request that was handed on to the canary counts in mlctl_handover_total only: its status and
 * time are the canary's to report. */
#pragma once

#include "base/str.h"

enum metrics_error {
	METRICS_OUTPUT_NOT_FINITE,
	METRICS_MODEL_FAILED,
	METRICS_OVERLOADED,
	METRICS_NO_MEMORY,
	METRICS_UPSTREAM_FAILED, /* of a guard: the server behind gave no answer, or one of 500 and above */
	METRICS_ERRORS,
};
const char *metrics_error_name(enum metrics_error error);

struct metrics;
struct metrics *metrics_new(unsigned workers);
void metrics_free(struct metrics *metrics);
void metrics_request(struct metrics *metrics, unsigned worker, int status, int64_t duration_us);
void metrics_refused(struct metrics *metrics, unsigned worker, int status); /* counted, without a duration: nothing was served */
void metrics_failed(struct metrics *metrics, unsigned worker, enum metrics_error error);
enum metrics_handed { METRICS_HANDED_ON, METRICS_HANDOVER_FAILED, METRICS_UNREACHED };
void metrics_handover(struct metrics *metrics, unsigned worker, enum metrics_handed how);

/* What the process knows of itself; texts are lent. */
struct metrics_facts {
	const char *version, *service, *environment, *model, *model_sha256, *release, *revision, *image; /* NULL or "": not known, and not a label */
	int64_t model_created_s; /* 0: not known */
	int64_t start_s, in_flight, connections;
	double cpu_limit_cores;     /* 0: none */
	int64_t memory_limit_bytes; /* 0: none */
	double canary_weight;
	bool is_ready;
};
void metrics_render(const struct metrics *metrics, const struct metrics_facts *facts, struct buf *out);
