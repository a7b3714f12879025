/* A replica's /metrics, as the gate reads it: whatever the text, the numbers are counters, or there is no sample. */
#include "target/prometheus.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void counter(double value) {
	assert(isfinite(value) && value >= 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct err err = {0};
	struct sample sample = {0};
	char revision[REVISION_NAME_MAX] = "";
	if (prometheus_sample((struct str) {(const char *) data, size}, &sample, revision, &err) != 0) {
		assert(err.code == ERR_INVALID && err.message[0] && sample.bucket_count == 0 && sample.errors.count == 0);
		return 0;
	}
	assert(memchr(revision, '\0', sizeof(revision)));
	counter(sample.requests);
	counter(sample.errors_5xx);
	counter(sample.errors_4xx);
	counter(sample.failed_handovers);
	counter(sample.handed_on);
	assert(sample.start_s >= 0 && sample.bucket_count >= 2 && sample.bucket_count <= BUCKETS_MAX && sample.errors.count <= 10);
	for (size_t i = 0; i < sample.bucket_count; i++) {
		counter(sample.bucket_total[i]);
		assert(i == 0 || (sample.bucket_le_s[i] > sample.bucket_le_s[i - 1] && sample.bucket_total[i] >= sample.bucket_total[i - 1]));
	}
	assert(isinf(sample.bucket_le_s[sample.bucket_count - 1]));
	sample_clear(&sample);
	return 0;
}
