/* The canary's share of the requests: exact, never random, and gone when nobody refreshes it.
 *
 * An error-diffusion accumulator, one for all workers: each request adds the share, and the one that carries it over a whole number is
 * handed on. So n requests hand on n x share of them, off by less than one. Time is handed in. */
#pragma once

#include "runner/http/server.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPLIT_TTL_S_MAX 3600

struct split {
	_Atomic uint64_t accumulator; /* 32.32 fixed point; wraps without harm */
	_Atomic uint64_t share;       /* 1.32 fixed point: 2^32 is all */
	_Atomic int64_t expires_ms;
	_Atomic uint64_t generation;  /* grows when the upstream changes */
	pthread_mutex_t mutex;        /* guards what follows */
	struct http_upstream upstream;
	double weight; /* as it was put, 0 to 100 */
};

/* A worker's copy of the upstream, so that a request takes no lock. */
struct split_view {
	uint64_t generation;
	struct http_upstream upstream;
};

void split_init(struct split *split);
void split_clear(struct split *split);
/* weight: 0 to 100. The accumulator goes on where it was, so that a change of weight shifts nothing. */
void split_put(struct split *split, const struct http_upstream *upstream, double weight, int64_t ttl_ms, int64_t now_ms);
/* Is this request the canary's? Then view->upstream is where it goes. */
bool split_take(struct split *split, struct split_view *view, int64_t now_ms);
/* What holds now: the weight is 0 once it has expired. expires_in_ms is 0 then. */
void split_get(struct split *split, int64_t now_ms, struct http_upstream *upstream, double *weight, int64_t *expires_in_ms);
