/* What pods have counted: asked of each pod, of a Prometheus that is named, or, where a payload counts nothing for us, as we saw it answer. */
#include "target/kubernetes.h"

#include "net/rest.h"
#include "target/kubernetes_prometheus.h"
#include "target/prometheus.h"

#include <math.h>
#include <stdio.h>

#define PROMETHEUS_TIMEOUT_MS 5000
#define PROMETHEUS_BYTES_MAX ((size_t) 8 * 1024 * 1024)
#define QUERY_BYTES_MAX ((size_t) 4096)

static void add_sample(struct kubernetes *k, const struct value *pod, const struct revision *revision, const struct http_answer *answer,
	struct sample *samples, size_t *count) {
	struct err err = {0};
	struct sample sample = {0};
	char claimed[REVISION_NAME_MAX] = "";
	struct str name = object_text(pod, "metadata.name");
	if (*count == TARGET_REPLICAS_MAX || answer->status != 200 ||
		prometheus_sample((struct str) {answer->body, answer->body_len}, &sample, claimed, &err) != 0)
		return;
	bool is_own = strcmp(claimed, revision->name) == 0;
	sample.at_ms = clock_mono_ms(k->context.clock);
	snprintf(sample.replica, sizeof(sample.replica), "%.*s", STR_ARGS(name));
	if (is_own && pod_is(pod, NULL, revision->name)) {
		sample_drop_handovers(&sample);
		samples[(*count)++] = sample;
		return;
	}
	sample_add_handovers(&sample, samples, count);
	sample_clear(&sample);
}

/* ---- what we asked ourselves ---- */

static const double probe_edges_s[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 5, 10, INFINITY};
#define PROBE_EDGES (sizeof(probe_edges_s) / sizeof(probe_edges_s[0]))
_Static_assert(PROBE_EDGES <= BUCKETS_MAX, "they fit a sample");

/* A pod that counts nothing for us: what was asked of it, as we saw it. Only golden examples come this way. */
static struct probed *probed_of(struct kubernetes *k, const struct value *pod) {
	struct str uid = object_text(pod, "metadata.uid");
	struct probed *probed = NULL;
	for (size_t i = 0; i < PROBED_MAX && !probed; i++)
		if (str_is(uid, k->probed[i].uid))
			probed = &k->probed[i];
	if (!probed) {
		probed = &k->probed[k->next_probed++ % PROBED_MAX];
		sample_clear(&probed->sample);
		*probed = (struct probed) {.sample = {.bucket_count = PROBE_EDGES}};
		snprintf(probed->uid, sizeof(probed->uid), "%.*s", STR_ARGS(uid));
		snprintf(probed->sample.replica, sizeof(probed->sample.replica), "%.*s", STR_ARGS(object_text(pod, "metadata.name")));
		memcpy(probed->sample.bucket_le_s, probe_edges_s, sizeof(probe_edges_s));
		AUTO_FREE char *since = str_dup(object_text(pod, "status.startTime"));
		best_effort(clock_parse(since, &probed->sample.start_s)); /* then all of its life counts as one */
	}
	return probed;
}

void probe_note(struct kubernetes *k, const struct value *pod, int status, int64_t us) {
	struct sample *sample = &probed_of(k, pod)->sample;
	sample->requests++;
	sample->errors_5xx += status >= 500;
	sample->errors_4xx += status >= 400 && status < 500;
	for (size_t i = 0; i < PROBE_EDGES; i++)
		sample->bucket_total[i] += (double) us / 1e6 <= probe_edges_s[i];
	if (status >= 500 && sample->errors.count < 10) {
		AUTO_FREE char *text = mem_format("HTTP %d to a golden example", status);
		texts_add(&sample->errors, text);
	}
}

/* From the first look on, so that nothing is counted before it. */
static void add_probed(struct kubernetes *k, const struct value *pod, struct sample *samples, size_t *count) {
	if (*count == TARGET_REPLICAS_MAX)
		return;
	const struct sample *from = &probed_of(k, pod)->sample;
	struct sample *out = &samples[(*count)++];
	*out = *from;
	out->errors = (struct texts) {0};
	out->at_ms = clock_mono_ms(k->context.clock);
	for (size_t e = 0; e < from->errors.count; e++)
		texts_add(&out->errors, from->errors.items[e]);
}

/* ---- a Prometheus ---- */

/* When the container that counts has begun, seconds since 1970: counters begin anew with it, and Prometheus shows no gap for it. */
static int64_t counting_since(const struct value *pod) {
	int64_t at_s = 0;
	value_each(status, value_find(pod, "status.containerStatuses")) {
		AUTO_FREE char *text = str_dup(object_text(status, "state.running.startedAt"));
		if (str_is(object_text(status, "name"), "runner"))
			best_effort(clock_parse(text, &at_s)); /* one that does not run has no time, and counts nothing */
	}
	return at_s;
}

static int ask_prometheus(struct kubernetes *k, struct str base, struct prometheus_pod *pods, size_t count, struct err *err) {
	struct rest rest = {.http = k->context.http, .redact = k->context.redact, .tries_max = 2};
	struct http_answer answers[2] = {0};
	struct err errs[2] = {0};
	struct rest_call calls[2];
	AUTO_TEXTS struct texts urls = {0};
	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	for (int i = 0; i < 2; i++) {
		AUTO_BUF struct buf query = BUF(QUERY_BYTES_MAX), url = BUF(2 * QUERY_BYTES_MAX);
		prometheus_query(k->context.service, k->context.env, i == 1, &query);
		buf_format(&url, "%.*s/api/v1/query?query=", STR_ARGS(base));
		url_encode(buf_view(&query), &url);
		if (query.failed || url.failed)
			return err_set(err, ERR_LIMIT, "monitoring.prometheus: the query is too long");
		texts_add(&urls, url.ptr);
	}
	for (int i = 0; i < 2; i++)
		calls[i] = (struct rest_call) {.method = "GET", .url = urls.items[i], .answer_bytes_max = PROMETHEUS_BYTES_MAX, .timeout_ms = PROMETHEUS_TIMEOUT_MS};
	int rc = rest_call_all(&rest, calls, 2, answers, errs, err);
	for (int i = 0; rc == 0 && i < 2; i++)
		if (errs[i].code) {
			*err = errs[i];
			rc = -1;
		}
	if (rc == 0)
		rc = prometheus_vectors((struct str) {answers[0].body, answers[0].body_len}, (struct str) {answers[1].body, answers[1].body_len}, pods, count, err);
	for (int i = 0; i < 2; i++)
		http_answer_clear(&answers[i]);
	return rc == 0 ? 0 : err_wrap(err, "monitoring.prometheus");
}

/* As old as its scrape is: between two of them nothing is new, and numbers of a pod that nobody scrapes any more grow old and count no more. */
static void take_vector(struct kubernetes *k, const struct prometheus_pod *pod, const struct value *of, const struct revision *revision,
	struct sample *samples, size_t *count) {
	struct sample sample = pod->sample;
	double age_s = pod->now_s - pod->read_s;
	if (!sample.bucket_count || *count == TARGET_REPLICAS_MAX)
		return;
	sample.at_ms = clock_mono_ms(k->context.clock) - (age_s > 0 ? (int64_t) (age_s * 1000) : 0);
	if (pod_is(of, NULL, revision->name)) {
		sample_drop_handovers(&sample);
		samples[(*count)++] = sample;
		return;
	}
	sample_add_handovers(&sample, samples, count);
}

static int sample_prometheus(struct kubernetes *k, struct str base, const struct value *const *of, size_t n, const struct revision *revision,
	struct sample *samples, size_t *count, struct err *err) {
	AUTO_FREE struct prometheus_pod *pods = mem_zero(n + 1, sizeof(*pods));
	AUTO_TEXTS struct texts revisions = {0};
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *name = str_dup(object_label(of[i], LABEL_REVISION));
		texts_add(&revisions, name);
		pods[i] = (struct prometheus_pod) {.name = object_text(of[i], "metadata.name"), .ip = object_text(of[i], "status.podIP"), .start_s = counting_since(of[i])};
	}
	for (size_t i = 0; i < n; i++)
		pods[i].revision = revisions.items[i];
	if (n && ask_prometheus(k, base, pods, n, err) != 0) {
		if (k->context.warn && !k->has_warned_prometheus)
			k->context.warn(k->context.warn_self, err->message);
		k->has_warned_prometheus = true;
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		take_vector(k, &pods[i], of[i], revision, samples, count);
	return 0;
}

int kubernetes_sample(void *state, const struct revision *revision, struct sample *samples, size_t *count, struct err *err) {
	struct kubernetes *k = state;
	AUTO_VIEW struct view view = {0};
	const struct value *pods[PODS_MAX];
	size_t n = 0;
	*count = 0;
	if ((k->pods ? view_mirrored : view_of_moment)(k, &view, err) != 0) /* who asks only once opens no watch for it, and has often looked just before */
		return -1;
	bool is_canary = deployment_is(view.canary, revision);
	for (size_t i = 0; i < view.pod_count; i++) {
		const struct value *pod = view.pods[i];
		bool is_asked = pod_is(pod, NULL, revision->name) || (is_canary && pod_is(pod, "stable", NULL));
		struct pod_port port;
		if (!is_asked || pod_is_leaving(pod) || !str_is(object_text(pod, "status.phase"), "Running"))
			continue;
		pod_ports(pod, &port);
		if (port.control)
			pods[n++] = pod;
		else if (is_canary && pod_is(pod, "canary", revision->name))
			add_probed(k, pod, samples, count);
	}
	const struct value *named = value_find(k->context.settings, "monitoring.prometheus");
	if (named && named->kind == VALUE_STRING && named->text.len)
		return sample_prometheus(k, named->text, pods, n, revision, samples, count, err);
	AUTO_FREE struct http_answer *answers = mem_zero(PODS_MAX, sizeof(*answers));
	AUTO_FREE struct err *errs = mem_zero(PODS_MAX, sizeof(*errs));
	int rc = control_all(k, pods, n, "GET", "/metrics", NULL, answers, errs, err);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && !errs[i].code)
			add_sample(k, pods[i], revision, &answers[i], samples, count);
		http_answer_clear(&answers[i]);
	}
	return rc;
}
