#include "traffic_seen.h"

#include <math.h>

/* The bucket edge under which a share q of the requests is. */
static double quantile(const struct sample *samples, size_t count, double q) {
	double total = 0, edge = NAN;
	for (size_t i = 0; i < count; i++)
		total += samples[i].bucket_count ? samples[i].bucket_total[samples[i].bucket_count - 1] : 0;
	for (size_t b = 0; total > 0 && b < BUCKETS_MAX; b++) {
		double below = 0;
		for (size_t i = 0; i < count; i++)
			below += b < samples[i].bucket_count ? samples[i].bucket_total[b] : 0;
		if (count && b < samples[0].bucket_count && below >= q * total) {
			edge = samples[0].bucket_le_s[b];
			break;
		}
	}
	return edge;
}

void traffic_look(struct session *s, const struct revision *revision, struct traffic_seen *seen) {
	AUTO_FREE struct sample *samples = mem_zero(TARGET_REPLICAS_MAX, sizeof(*samples));
	size_t count = 0;
	struct err err = {0};
	if (s->target->sample(s->target_state, revision, samples, &count, &err) != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		seen->requests += samples[i].requests;
		seen->errors += samples[i].errors_5xx;
	}
	seen->p50_s = quantile(samples, count, 0.5);
	seen->p99_s = quantile(samples, count, 0.99);
	for (size_t i = 0; i < count; i++)
		sample_clear(&samples[i]);
}
