/* A Prometheus' answers: counters before the first NUL byte, times behind it. Whatever they are, what comes out are counters or nothing. */
#include "target/kubernetes_prometheus.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void counter(double value) {
	assert(isfinite(value) && value >= 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	const unsigned char *cut = size ? memchr(data, '\0', size) : NULL;
	size_t first = cut ? (size_t) (cut - data) : size, second = cut ? size - first - 1 : 0;
	struct prometheus_pod pods[] = {{.name = STR("c-1"), .ip = STR("10.0.0.1"), .revision = "v-1"}, {.name = STR("s-1"), .ip = STR("10.0.0.2"), .revision = "v-0"}};
	struct err err = {0};
	if (prometheus_vectors((struct str) {(const char *) data, first}, (struct str) {cut ? (const char *) cut + 1 : "", second}, pods, 2, &err) != 0) {
		assert(err.code == ERR_INVALID || err.code == ERR_LIMIT);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		const struct sample *sample = &pods[i].sample;
		counter(sample->requests);
		counter(sample->errors_5xx);
		counter(sample->errors_4xx);
		counter(sample->failed_handovers);
		counter(sample->handed_on);
		assert(sample->bucket_count == 0 || (sample->bucket_count >= 2 && sample->bucket_count <= BUCKETS_MAX && isinf(sample->bucket_le_s[sample->bucket_count - 1])));
		assert(sample->bucket_count == 0 || pods[i].read_s > 0);
		for (size_t b = 0; b < sample->bucket_count; b++)
			assert(b == 0 || (sample->bucket_le_s[b] > sample->bucket_le_s[b - 1] && sample->bucket_total[b] >= sample->bucket_total[b - 1]));
	}
	return 0;
}
