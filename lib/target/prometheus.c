#include "target/prometheus.h"

#include <math.h>
#include <stdio.h>

#define ERRORS_MAX 10
#define COUNTER_MAX 1e15 /* beyond it a double no longer counts by one, and sums end in infinity */

struct line {
	struct str name, labels;
	double value;
};

/* name{labels} value, as the exposition format 0.0.4 writes it. */
static bool split(struct str text, struct line *out) {
	struct str value, head = str_cut_last(text, ' ', &value), labels;
	if (!value.ptr || text.len == 0 || text.ptr[0] == '#')
		return false;
	out->name = str_cut(head, '{', &labels);
	out->labels = labels.ptr && str_ends(labels, "}") ? (struct str) {labels.ptr, labels.len - 1} : (struct str) {0};
	if (str_is(value, "+Inf"))
		out->value = INFINITY;
	else if (num_double(value, &out->value) != 0)
		out->value = NAN;
	return true;
}

/* The value of a label, without escapes: ours have none. */
static struct str label(struct str labels, const char *name) {
	while (labels.len) {
		struct str rest, key = str_cut(labels, '=', &rest);
		if (!rest.ptr || rest.len < 2 || rest.ptr[0] != '"')
			return (struct str) {0};
		struct str after, value = str_cut((struct str) {rest.ptr + 1, rest.len - 1}, '"', &after);
		if (str_is(key, name))
			return value;
		labels = after.len && after.ptr[0] == ',' ? (struct str) {after.ptr + 1, after.len - 1} : (struct str) {0};
	}
	return (struct str) {0};
}

static void add_code(const struct line *line, struct sample *out) {
	struct str code = label(line->labels, "code");
	out->requests += line->value;
	if (code.len && code.ptr[0] == '5')
		out->errors_5xx += line->value;
	if (code.len && code.ptr[0] == '4')
		out->errors_4xx += line->value;
}

static void add_error(const struct line *line, struct sample *out) {
	struct str reason = label(line->labels, "reason");
	if (!(line->value >= 1 && line->value <= COUNTER_MAX) || out->errors.count >= ERRORS_MAX)
		return;
	AUTO_FREE char *text = mem_format("%.0fx %.*s", line->value, STR_ARGS(reason));
	texts_add(&out->errors, text);
}

static bool add_bucket(const struct line *line, struct sample *out) {
	struct str le = label(line->labels, "le");
	double edge;
	if (out->bucket_count == BUCKETS_MAX)
		return false;
	if (str_is(le, "+Inf"))
		edge = INFINITY;
	else if (num_double(le, &edge) != 0)
		return false;
	size_t i = out->bucket_count++;
	out->bucket_le_s[i] = edge;
	out->bucket_total[i] = line->value;
	return i == 0 || (edge > out->bucket_le_s[i - 1] && line->value >= out->bucket_total[i - 1]);
}

int prometheus_sample(struct str text, struct sample *out, char build_revision[REVISION_NAME_MAX], struct err *err) {
	struct sample sample = {0};
	bool has_start = false, has_requests = false, is_good = true;
	for (struct str rest = text; is_good && rest.ptr;) {
		struct line line;
		if (!split(str_cut(rest, '\n', &rest), &line))
			continue;
		bool is_number = line.value >= 0 && line.value <= COUNTER_MAX;
		if (str_is(line.name, "mlctl_requests_total")) {
			is_good = is_number;
			has_requests = true;
			add_code(&line, &sample);
		} else if (str_is(line.name, "mlctl_request_duration_seconds_bucket")) {
			is_good = is_number && add_bucket(&line, &sample);
		} else if (str_is(line.name, "mlctl_request_duration_seconds_count")) {
			has_requests = true;
		} else if (str_is(line.name, "mlctl_errors_total")) {
			add_error(&line, &sample);
		} else if (str_is(line.name, "mlctl_handover_total")) {
			is_good = is_number;
			*sample_handovers(&sample, label(line.labels, "result")) = line.value;
		} else if (str_is(line.name, "process_start_time_seconds")) {
			is_good = is_number;
			has_start = true;
			sample.start_s = (int64_t) line.value;
		} else if (build_revision && str_is(line.name, "mlctl_build_info")) {
			snprintf(build_revision, REVISION_NAME_MAX, "%.*s", STR_ARGS(label(line.labels, "revision")));
		}
	}
	if (!is_good || !has_start || !has_requests || sample.bucket_count < 2 || !isinf(sample.bucket_le_s[sample.bucket_count - 1])) {
		sample_clear(&sample);
		return err_set(err, ERR_INVALID, "metrics: %s", !is_good ? "a counter is no number" : "the runner's counters are missing");
	}
	*out = sample;
	return 0;
}
