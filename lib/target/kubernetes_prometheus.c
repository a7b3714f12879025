#include "target/kubernetes_prometheus.h"

#include <math.h>
#include <stdio.h>

#define COUNTER_MAX 1e15
#define TIME_MAX 1e11
#define SERIES_NAMES "mlctl_requests_total|mlctl_request_duration_seconds_bucket|mlctl_handover_total"

/* Names of services and environments are of letters, digits and '-': nothing to escape. */
void prometheus_query(const char *service, const char *environment, bool is_time, struct buf *out) {
	buf_format(out, is_time ? "timestamp(mlctl_requests_total{code=\"200\",mlctl_service=\"%s\",mlctl_env=\"%s\"})"
				: "{__name__=~\"" SERIES_NAMES "\",mlctl_service=\"%s\",mlctl_env=\"%s\"}",
		service, environment);
}

static struct str label(const struct value *metric, const char *name) {
	const struct value *found = value_get(metric, name);
	return found && found->kind == VALUE_STRING ? found->text : (struct str) {"", 0};
}

static struct prometheus_pod *pod_of(const struct value *metric, struct prometheus_pod *pods, size_t count) {
	struct str name = label(metric, "pod"), port, host = str_cut_last(label(metric, "instance"), ':', &port);
	if (host.len > 2 && host.ptr[0] == '[')
		host = (struct str) {host.ptr + 1, host.len - 2};
	for (size_t i = 0; i < count; i++)
		if (name.len ? str_equal(name, pods[i].name) : (port.ptr && pods[i].ip.len && str_equal(host, pods[i].ip)))
			return str_is(label(metric, "revision"), pods[i].revision) ? &pods[i] : NULL;
	return NULL;
}

/* Is this the job whose series count for the pod? */
static bool is_source(struct prometheus_pod *pod, const struct value *metric) {
	struct str job = label(metric, "job"), instance = label(metric, "instance"), service = label(metric, "service");
	char source[sizeof(pod->source)];
	int n = snprintf(source, sizeof(source), "%.*s|%.*s|%.*s", STR_ARGS(job), STR_ARGS(instance), STR_ARGS(service));
	if (n >= (int) sizeof(source))
		return false;
	if (!pod->source[0])
		memcpy(pod->source, source, sizeof(source));
	return strcmp(pod->source, source) == 0;
}

/* [time, "number"]: -1 when it is something else. */
static int read_point(const struct value *series, double *time_s, double *number) {
	const struct value *point = value_get(series, "value"), *at = value_at(point, 0), *text = value_at(point, 1);
	if (!point || point->kind != VALUE_ARRAY || point->count != 2 || at->kind != VALUE_NUMBER || text->kind != VALUE_STRING)
		return -1;
	return num_double(at->text, time_s) != 0 || num_double(text->text, number) != 0 ? -1 : 0;
}

static bool add_bucket(struct sample *sample, struct str le, double total) {
	double edge = INFINITY;
	size_t at = 0;
	if (sample->bucket_count == BUCKETS_MAX || (!str_is(le, "+Inf") && num_double(le, &edge) != 0))
		return false;
	while (at < sample->bucket_count && sample->bucket_le_s[at] < edge)
		at++;
	if (at < sample->bucket_count && !(sample->bucket_le_s[at] > edge))
		return false; /* the same edge twice */
	memmove(&sample->bucket_le_s[at + 1], &sample->bucket_le_s[at], (sample->bucket_count - at) * sizeof(double));
	memmove(&sample->bucket_total[at + 1], &sample->bucket_total[at], (sample->bucket_count - at) * sizeof(double));
	sample->bucket_le_s[at] = edge;
	sample->bucket_total[at] = total;
	sample->bucket_count++;
	return true;
}

static bool add_series(struct prometheus_pod *pod, const struct value *metric, double number) {
	struct str name = label(metric, "__name__"), code = label(metric, "code");
	struct sample *sample = &pod->sample;
	if (!(number >= 0 && number <= COUNTER_MAX))
		return false;
	if (str_is(name, "mlctl_requests_total")) {
		sample->requests += number;
		sample->errors_5xx += code.len && code.ptr[0] == '5' ? number : 0;
		sample->errors_4xx += code.len && code.ptr[0] == '4' ? number : 0;
	} else if (str_is(name, "mlctl_handover_total")) {
		*sample_handovers(sample, label(metric, "result")) += number;
	} else if (str_is(name, "mlctl_request_duration_seconds_bucket")) {
		return add_bucket(sample, label(metric, "le"), number);
	}
	return true;
}

static bool is_whole(const struct sample *sample) {
	for (size_t i = 1; i < sample->bucket_count; i++)
		if (sample->bucket_total[i] < sample->bucket_total[i - 1])
			return false;
	return sample->bucket_count >= 2 && isinf(sample->bucket_le_s[sample->bucket_count - 1]);
}

/* {"status":"success","data":{"resultType":"vector","result":[...]}} */
static int open_vector(struct str body, const char *what, struct document **document, const struct value **result, struct err *err) {
	struct str status, type, none = {"", 0};
	struct value_limits limits = {8 * 1024 * 1024, 1000000, 16};
	if (json_read(what, body, limits, document, err) != 0 || value_opt_str((*document)->root, "status", none, &status, err) != 0 ||
		value_opt_str((*document)->root, "data.resultType", none, &type, err) != 0)
		return -1;
	*result = value_find((*document)->root, "data.result");
	if (!str_is(status, "success") || !str_is(type, "vector") || !*result || (*result)->kind != VALUE_ARRAY)
		return err_set(err, ERR_INVALID, "%s: not the answer to an instant query", what);
	if ((*result)->count > PROMETHEUS_SERIES_MAX)
		return err_set(err, ERR_INVALID, "%s: %zu series, at most %d are read", what, (*result)->count, PROMETHEUS_SERIES_MAX);
	return 0;
}

static void read_times(const struct value *result, struct prometheus_pod *pods, size_t count) {
	value_each(series, result) {
		const struct value *metric = value_get(series, "metric");
		struct prometheus_pod *pod = pod_of(metric, pods, count);
		double now_s, read_s;
		if (!pod || !pod->source[0] || !is_source(pod, metric) || read_point(series, &now_s, &read_s) != 0)
			continue;
		if (!(read_s > 0 && read_s < TIME_MAX && now_s > 0 && now_s < TIME_MAX))
			continue;
		pod->read_s = read_s;
		pod->now_s = now_s;
	}
}

int prometheus_vectors(struct str counters, struct str times, struct prometheus_pod *pods, size_t count, struct err *err) {
	AUTO_DOCUMENT struct document *numbers = NULL;
	AUTO_DOCUMENT struct document *moments = NULL;
	const struct value *result, *read_at;
	AUTO_FREE bool *is_bad = mem_zero(count + 1, sizeof(*is_bad));
	if (open_vector(counters, "counters", &numbers, &result, err) != 0 || open_vector(times, "times", &moments, &read_at, err) != 0)
		return -1;
	value_each(series, result) {
		const struct value *metric = value_get(series, "metric");
		struct prometheus_pod *pod = pod_of(metric, pods, count);
		double now_s, number = NAN;
		if (!pod || !is_source(pod, metric))
			continue;
		if (read_point(series, &now_s, &number) != 0 || !add_series(pod, metric, number))
			is_bad[pod - pods] = true;
	}
	read_times(read_at, pods, count);
	for (size_t i = 0; i < count; i++) {
		if (is_bad[i] || !is_whole(&pods[i].sample) || !(pods[i].read_s > 0))
			pods[i].sample = (struct sample) {0};
		snprintf(pods[i].sample.replica, sizeof(pods[i].sample.replica), "%.*s", STR_ARGS(pods[i].name));
		pods[i].sample.start_s = pods[i].start_s;
	}
	return 0;
}
