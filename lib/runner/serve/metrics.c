#include "runner/serve/metrics.h"
#include "base/num.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

static const int64_t edges_us[] = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2000000, 2500000, 5000000, 10000000};
static const char *const edge_names[] = {"0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2", "2.5", "5", "10"};
#define EDGES (sizeof(edges_us) / sizeof(edges_us[0]))

static const int codes[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 422, 429, 431, 500, 502, 503, 504, 505};
#define CODES (sizeof(codes) / sizeof(codes[0]))
/* What a guarded server may answer besides: by its first digit, so that it counts as what it is. */
static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))
#define LABELS_BYTES_MAX ((size_t) 64 * 1024)
#define NUMBER_MAX 32

/* A rate sees nothing of a series' first value, so the statuses that alerts and verdicts are made of begin at 0; the others appear when they occur. */
static bool is_shown_at_zero(int status) {
	return status == 200 || status == 500 || status == 503;
}

struct counters { /* one worker's */
	_Atomic uint64_t buckets[EDGES + 1]; /* not cumulative; the last is +Inf */
	_Atomic uint64_t sum_us;
	_Atomic uint64_t codes[CODES + CLASSES];
	_Atomic uint64_t errors[METRICS_ERRORS];
	_Atomic uint64_t handed_on, handover_failed, unreached;
} __attribute__((aligned(64)));

struct metrics {
	unsigned workers;
	struct counters *counters;
};

const char *metrics_error_name(enum metrics_error error) {
	static const char *const names[] = {"output_not_finite", "model_failed", "overloaded", "no_memory", "upstream_failed"};
	return names[error];
}

struct metrics *metrics_new(unsigned workers) {
	struct metrics *metrics = NEW(struct metrics);
	metrics->workers = workers;
	size_t size = workers * sizeof(struct counters);
	metrics->counters = aligned_alloc(64, size);
	if (!metrics->counters)
		abort();
	memset(metrics->counters, 0, size);
	return metrics;
}

void metrics_free(struct metrics *metrics) {
	if (!metrics)
		return;
	free(metrics->counters);
	free(metrics);
}

/* One writer each: a plain load and store, which a reader may see late but never torn. */
static void add(_Atomic uint64_t *counter, uint64_t n) {
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static void count_status(struct counters *c, int status) {
	size_t i = 0;
	while (i < CODES && codes[i] != status)
		i++;
	add(&c->codes[i < CODES ? i : CODES + (status >= 100 && status < 600 ? (size_t) status / 100 : 0)], 1);
}

void metrics_request(struct metrics *metrics, unsigned worker, int status, int64_t duration_us) {
	struct counters *c = &metrics->counters[worker];
	size_t i = 0;
	while (i < EDGES && duration_us > edges_us[i])
		i++;
	add(&c->buckets[i], 1);
	add(&c->sum_us, duration_us > 0 ? (uint64_t) duration_us : 0);
	count_status(c, status);
}

void metrics_refused(struct metrics *metrics, unsigned worker, int status) {
	count_status(&metrics->counters[worker], status);
}

void metrics_failed(struct metrics *metrics, unsigned worker, enum metrics_error error) {
	add(&metrics->counters[worker].errors[error], 1);
}

void metrics_handover(struct metrics *metrics, unsigned worker, enum metrics_handed how) {
	struct counters *c = &metrics->counters[worker];
	add(how == METRICS_HANDED_ON ? &c->handed_on : how == METRICS_UNREACHED ? &c->unreached : &c->handover_failed, 1);
}

/* The sum over the workers of the counter that lies at this offset. */
static unsigned long long total(const struct metrics *metrics, size_t offset) {
	uint64_t sum = 0;
	for (unsigned i = 0; i < metrics->workers; i++) {
		char *base = (char *) &metrics->counters[i];
		sum += atomic_load_explicit((_Atomic uint64_t *) (void *) (base + offset), memory_order_relaxed);
	}
	return sum;
}
#define TOTAL(member) total(metrics, offsetof(struct counters, member))
#define TOTAL_AT(member, i) total(metrics, offsetof(struct counters, member) + (i) * sizeof(uint64_t))

static void head(struct buf *out, const char *name, const char *type, const char *help) {
	buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ,NAME="VALUE" with backslash, quote and newline escaped (Prometheus' text format), and in UTF-8, without which a scraper drops the whole page.
 * An empty value is no label, there as here. */
static void label(struct buf *out, const char *name, const char *value) {
	if (!value || !*value)
		return;
	bool is_utf8 = utf8_is_valid(value, strlen(value));
	buf_format(out, ",%s=\"", name);
	for (const char *c = value; *c; c++) {
		if (*c == '\\' || *c == '"')
			buf_char(out, '\\');
		if (*c == '\n')
			buf_text(out, "\\n");
		else if ((unsigned char) *c >= 0x20)
			buf_char(out, is_utf8 || (unsigned char) *c < 0x80 ? *c : '?');
	}
	buf_char(out, '"');
}

/* What tells one service and version from another where the replicas' numbers are added up: each of the service's series ends in it. The names
 * are not `service` and `env`, which whoever scrapes uses for what it knows (the Kubernetes Service: another one for the canary). */
static void add_identity(const struct metrics_facts *facts, struct buf *out) {
	label(out, "mlctl_service", facts->service);
	label(out, "mlctl_env", facts->environment);
	label(out, "revision", facts->revision);
	label(out, "release", facts->release);
}

/* NAME{KEY="VALUE",identity} N. A series' own label comes first: whoever looks for it need not read through what a person named. */
static void count(struct buf *out, const char *name, const char *key, const char *value, const struct buf *identity, unsigned long long n) {
	buf_format(out, "%s{%s=\"%s\"%.*s} %llu\n", name, key, value, STR_ARGS(buf_view(identity)), n);
}

static void single(struct buf *out, const char *name, const struct buf *identity, const char *number) {
	struct str labels = buf_view(identity);
	if (labels.len)
		buf_format(out, "%s{%.*s} %s\n", name, (int) labels.len - 1, labels.ptr + 1, number);
	else
		buf_format(out, "%s %s\n", name, number);
}

static void render_duration(const struct metrics *metrics, const struct buf *identity, struct buf *out) {
	static const char name[] = "mlctl_request_duration_seconds";
	head(out, name, "histogram", "Time from the last byte of a prediction request to its answer.");
	char number[NUMBER_MAX];
	unsigned long long sum = 0;
	for (size_t i = 0; i <= EDGES; i++) {
		sum += TOTAL_AT(buckets, i);
		count(out, "mlctl_request_duration_seconds_bucket", "le", i < EDGES ? edge_names[i] : "+Inf", identity, sum);
	}
	snprintf(number, sizeof(number), "%.6f", (double) TOTAL(sum_us) / 1e6);
	single(out, "mlctl_request_duration_seconds_sum", identity, number);
	snprintf(number, sizeof(number), "%llu", sum);
	single(out, "mlctl_request_duration_seconds_count", identity, number);
}

static void render_requests(const struct metrics *metrics, const struct buf *identity, struct buf *out) {
	render_duration(metrics, identity, out);
	head(out, "mlctl_requests_total", "counter", "Prediction requests answered here and requests refused, by status; health and metadata are not counted.");
	for (size_t i = 0; i < CODES + CLASSES; i++) {
		unsigned long long n = TOTAL_AT(codes, i);
		char code[16];
		if (i < CODES)
			snprintf(code, sizeof(code), "%d", codes[i]);
		else
			snprintf(code, sizeof(code), "%s", classes[i - CODES]);
		if (n || (i < CODES && is_shown_at_zero(codes[i])))
			count(out, "mlctl_requests_total", "code", code, identity, n);
	}
	head(out, "mlctl_errors_total", "counter", "Answers of 500 and above, by cause.");
	for (size_t i = 0; i < METRICS_ERRORS; i++)
		count(out, "mlctl_errors_total", "reason", metrics_error_name((enum metrics_error) i), identity, TOTAL_AT(errors, i));
	head(out, "mlctl_handover_total", "counter", "Requests handed on to the canary; failed: it did not answer, unreached: there was no way to it, and the request was answered here.");
	count(out, "mlctl_handover_total", "result", "ok", identity, TOTAL(handed_on));
	count(out, "mlctl_handover_total", "result", "failed", identity, TOTAL(handover_failed));
	count(out, "mlctl_handover_total", "result", "unreached", identity, TOTAL(unreached));
}

static int64_t resident_bytes(void) {
	char text[128] = {0};
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	struct str rest = {text, n > 0 ? (size_t) n : 0}, after;
	str_cut(rest, ' ', &rest);
	int64_t pages;
	if (!rest.ptr || num_int(str_cut(rest, ' ', &after), 0, INT64_MAX / 65536, &pages) != 0)
		return 0;
	return pages * sysconf(_SC_PAGESIZE);
}

static void gauge(struct buf *out, const char *name, const char *help, const struct buf *identity, double value) {
	char number[NUMBER_MAX];
	head(out, name, "gauge", help);
	snprintf(number, sizeof(number), "%.15g", value);
	single(out, name, identity, number);
}

/* Under the names that every client library uses, and as bare as there. */
static void render_process(const struct metrics_facts *facts, struct buf *out) {
	static const struct buf nothing = {0};
	struct rusage usage = {0};
	getrusage(RUSAGE_SELF, &usage);
	double cpu_s = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	head(out, "process_cpu_seconds_total", "counter", "CPU time used.");
	buf_format(out, "process_cpu_seconds_total %.6f\n", cpu_s);
	gauge(out, "process_resident_memory_bytes", "Memory in use.", &nothing, (double) resident_bytes());
	gauge(out, "process_start_time_seconds", "When the process started, in seconds since 1970.", &nothing, (double) facts->start_s);
}

static void render_build(const struct metrics_facts *facts, struct buf *out) {
	AUTO_BUF struct buf labels = BUF(LABELS_BYTES_MAX);
	label(&labels, "version", facts->version);
	add_identity(facts, &labels);
	label(&labels, "model", facts->model);
	label(&labels, "model_sha256", facts->model_sha256);
	label(&labels, "image", facts->image);
	head(out, "mlctl_build_info", "gauge", "What runs here.");
	single(out, "mlctl_build_info", &labels, "1");
}

void metrics_render(const struct metrics *metrics, const struct metrics_facts *facts, struct buf *out) {
	AUTO_BUF struct buf identity = BUF(LABELS_BYTES_MAX);
	add_identity(facts, &identity);
	render_requests(metrics, &identity, out);
	gauge(out, "mlctl_requests_in_flight", "Prediction requests read and not yet answered.", &identity, (double) facts->in_flight);
	gauge(out, "mlctl_connections", "Open connections.", &identity, (double) facts->connections);
	gauge(out, "mlctl_ready", "1 when ready, 0 while it drains.", &identity, facts->is_ready);
	gauge(out, "mlctl_canary_weight", "Percent of the prediction requests that are handed on; 0 once nobody refreshes it.", &identity, facts->canary_weight);
	if (facts->model_created_s > 0)
		gauge(out, "mlctl_model_created_timestamp_seconds", "When the model was made, in seconds since 1970.", &identity,
			(double) facts->model_created_s);
	if (facts->cpu_limit_cores > 0)
		gauge(out, "mlctl_cpu_limit_cores", "The container's CPU quota.", &identity, facts->cpu_limit_cores);
	if (facts->memory_limit_bytes > 0)
		gauge(out, "mlctl_memory_limit_bytes", "The container's memory limit.", &identity, (double) facts->memory_limit_bytes);
	render_build(facts, out);
	render_process(facts, out);
}
