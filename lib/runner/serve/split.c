#include "runner/serve/split.h"

#define SHARE_ONE ((uint64_t) 1 << 32)

void split_init(struct split *split) {
	memset(split, 0, sizeof(*split));
	pthread_mutex_init(&split->mutex, NULL);
}

void split_clear(struct split *split) {
	pthread_mutex_destroy(&split->mutex);
}

void split_put(struct split *split, const struct http_upstream *upstream, double weight, int64_t ttl_ms, int64_t now_ms) {
	uint64_t share = weight <= 0 ? 0 : weight >= 100 ? SHARE_ONE : (uint64_t) (weight / 100 * (double) SHARE_ONE + 0.5);
	pthread_mutex_lock(&split->mutex);
	/* No share while the upstream changes: a worker never sees the new weight with the old address. */
	bool is_other = !net_equal(&split->upstream.address, &upstream->address) || strcmp(split->upstream.revision, upstream->revision) != 0;
	if (is_other) {
		atomic_store(&split->share, 0);
		split->upstream = *upstream;
		atomic_fetch_add(&split->generation, 1);
	}
	split->weight = weight;
	atomic_store(&split->expires_ms, now_ms + ttl_ms);
	atomic_store(&split->share, share);
	pthread_mutex_unlock(&split->mutex);
}

bool split_take(struct split *split, struct split_view *view, int64_t now_ms) {
	uint64_t share = atomic_load_explicit(&split->share, memory_order_acquire);
	if (share == 0 || now_ms >= atomic_load_explicit(&split->expires_ms, memory_order_relaxed))
		return false;
	uint64_t before = atomic_fetch_add_explicit(&split->accumulator, share, memory_order_relaxed);
	if ((before + share) >> 32 == before >> 32)
		return false;
	if (view->generation != atomic_load(&split->generation)) {
		pthread_mutex_lock(&split->mutex);
		view->upstream = split->upstream;
		view->generation = atomic_load(&split->generation);
		pthread_mutex_unlock(&split->mutex);
	}
	return true;
}

void split_get(struct split *split, int64_t now_ms, struct http_upstream *upstream, double *weight, int64_t *expires_in_ms) {
	pthread_mutex_lock(&split->mutex);
	int64_t left_ms = atomic_load(&split->expires_ms) - now_ms;
	bool is_live = left_ms > 0 && atomic_load(&split->share) > 0;
	*upstream = split->upstream;
	*weight = is_live ? split->weight : 0;
	*expires_in_ms = is_live ? left_ms : 0;
	pthread_mutex_unlock(&split->mutex);
}
