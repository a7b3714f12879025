/* The small parts of the service: numbers as text, the metrics page, log lines, threads for a container, one GET. */
#include "runner/http/probe.h"
#include "runner/serve/container.h"
#include "runner/serve/events.h"
#include "runner/serve/metrics.h"
#include "runner/serve/number.h"
#include "data/value.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <unistd.h>

static void test_numbers(void **state) {
	(void) state;
	uint64_t seed = 42;
	AUTO_BUF struct buf out = BUF(4096);
	for (int i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint32_t bits = (uint32_t) (seed >> 32);
		float value;
		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		buf_reset(&out);
		number_float(&out, value);
		double read;
		assert_int_equal(num_double(buf_view(&out), &read), 0); /* JSON's grammar */
		if ((float) read < value || (float) read > value)
			fail_msg("%.9g became %s", (double) value, out.ptr);
	}
	for (int i = 0; i < 300000; i++) { /* everyday sizes, both types: as short as printf's shortest, and the same value by strtof and strtod */
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		double value = ((double) (seed >> 11) / 0x1p53 - 0.5) * pow(10, (int) (seed % 15) - 6);
		float narrow = (float) value;
		char shortest[40];
		buf_reset(&out);
		number_float(&out, narrow);
		for (int digits = 6; digits <= 9; digits++) {
			snprintf(shortest, sizeof(shortest), "%.*g", digits, (double) narrow);
			if (strtof(shortest, NULL) == narrow)
				break;
		}
		if (strtof(out.ptr, NULL) != narrow || (!strchr(shortest, 'e') && strlen(out.ptr) > strlen(shortest)))
			fail_msg("%s became %s", shortest, out.ptr);
		buf_reset(&out);
		number_double(&out, value);
		if (strtod(out.ptr, NULL) != value)
			fail_msg("%.17g became %s", value, out.ptr);
		buf_reset(&out);
		number_double(&out, round(value * 1000) / 1000);
		assert_true(strtod(out.ptr, NULL) == round(value * 1000) / 1000 && strlen(out.ptr) <= 13);
	}
	static const struct {
		double value;
		const char *text;
	} doubles[] = {{0, "0"}, {-0.0, "-0"}, {1, "1"}, {0.1, "0.1"}, {-2.5, "-2.5"}, {1e21, "1e+21"}, {1.0 / 3, "0.3333333333333333"}, {DBL_MAX, "1.797693134862316e+308"}};
	for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]) - 1; i++) {
		buf_reset(&out);
		number_double(&out, doubles[i].value);
		assert_string_equal(out.ptr, doubles[i].text);
	}
	buf_reset(&out);
	number_int(&out, INT64_MIN);
	buf_char(&out, ' ');
	number_int(&out, INT64_MAX);
	assert_string_equal(out.ptr, "-9223372036854775808 9223372036854775807");
	buf_reset(&out);
	number_float(&out, 0.1f);
	assert_string_equal(out.ptr, "0.1");
}

/* Every line is a comment or NAME{labels} NUMBER, and each name has its TYPE before it. */
static void check_page(const char *page) {
	struct str rest = str_of(page);
	char type[128] = "";
	while (rest.ptr && rest.len) {
		struct str line = str_cut(rest, '\n', &rest), value;
		if (str_starts(line, "# TYPE ")) {
			struct str after;
			struct str name = str_cut((struct str) {line.ptr + 7, line.len - 7}, ' ', &after);
			snprintf(type, sizeof(type), "%.*s", STR_ARGS(name));
		}
		if (str_starts(line, "#"))
			continue;
		struct str left = str_cut_last(line, ' ', &value);
		double number;
		if (!str_starts(left, type) || !value.ptr || num_double(value, &number) != 0)
			fail_msg("in the metrics: %.*s", STR_ARGS(line));
	}
}

static void has_lines(const char *page, const char *const *lines) {
	for (; *lines; lines++)
		if (!strstr(page, *lines))
			fail_msg("not in the metrics: %s", *lines);
}

static void test_metrics(void **state) {
	(void) state;
	struct metrics *metrics = metrics_new(3);
	for (unsigned i = 0; i < 300; i++)
		metrics_request(metrics, i % 3, i % 10 ? 200 : 500, (int64_t) i * 1000);
	metrics_refused(metrics, 1, 400);
	metrics_refused(metrics, 2, 418);
	metrics_failed(metrics, 0, METRICS_OUTPUT_NOT_FINITE);
	metrics_handover(metrics, 0, METRICS_HANDED_ON);
	metrics_handover(metrics, 2, METRICS_HANDOVER_FAILED);
	metrics_handover(metrics, 1, METRICS_UNREACHED);
	struct metrics_facts facts = {.version = "1", .service = "a\"b\\c\nd", .model = "m", .model_sha256 = "00", .release = "", .revision = NULL, .image = "sha256:77",
		.model_created_s = 1763719331, .cpu_limit_cores = 0.5, .memory_limit_bytes = 1 << 28, .canary_weight = 12.5, .is_ready = true};
	AUTO_BUF struct buf out = BUF(1 << 20);
	metrics_render(metrics, &facts, &out);
	check_page(out.ptr);
#define SERVICE "mlctl_service=\"a\\\"b\\\\c\\nd\"" /* and neither revision nor release: they are not known */
	has_lines(out.ptr, (const char *const[]) {"mlctl_requests_total{code=\"200\"," SERVICE "} 270\n", "mlctl_requests_total{code=\"500\"," SERVICE "} 30\n",
		"mlctl_requests_total{code=\"503\"," SERVICE "} 0\n", "mlctl_requests_total{code=\"400\"," SERVICE "} 1\n", "mlctl_requests_total{code=\"4xx\"," SERVICE "} 1\n",
		"_bucket{le=\"0.001\"," SERVICE "} 2\n", "_bucket{le=\"0.25\"," SERVICE "} 251\n", "_bucket{le=\"+Inf\"," SERVICE "} 300\n", "_count{" SERVICE "} 300\n",
		"_sum{" SERVICE "} 44.850000\n", "mlctl_errors_total{reason=\"output_not_finite\"," SERVICE "} 1\n", "mlctl_handover_total{result=\"ok\"," SERVICE "} 1\n",
		"mlctl_handover_total{result=\"failed\"," SERVICE "} 1\n", "mlctl_handover_total{result=\"unreached\"," SERVICE "} 1\n", "mlctl_cpu_limit_cores{" SERVICE "} 0.5\n", "mlctl_memory_limit_bytes{" SERVICE "} 268435456\n",
		"mlctl_canary_weight{" SERVICE "} 12.5\n", "mlctl_ready{" SERVICE "} 1\n", "mlctl_model_created_timestamp_seconds{" SERVICE "} 1763719331\n",
		"\nmlctl_build_info{version=\"1\"," SERVICE ",model=\"m\",model_sha256=\"00\",image=\"sha256:77\"} 1\n", NULL});
	/* A machine may be slow, but the time is no more than what this process has used. */
	static const char cpu[] = "\nprocess_cpu_seconds_total ";
	const char *at = strstr(out.ptr, cpu);
	double cpu_s = 0;
	assert_non_null(at);
	assert_int_equal(num_double(str_cut(str_of(at + strlen(cpu)), '\n', &(struct str) {0}), &cpu_s), 0);
	assert_true(cpu_s > 0 && cpu_s <= (double) clock() / CLOCKS_PER_SEC + 0.01);
	metrics_free(metrics);
}

/* Every one of the service's series says whose it is; the process's stay as bare as everybody's. What is not known is not there. */
static void test_metrics_identity(void **state) {
	(void) state;
	struct metrics *metrics = metrics_new(1);
	struct metrics_facts facts = {.version = "1", .service = "fraud", .environment = "prod", .release = "r42", .revision = "v\xff\x01"};
	AUTO_BUF struct buf out = BUF(1 << 20);
	metrics_render(metrics, &facts, &out);
	check_page(out.ptr);
	assert_true(utf8_is_valid(out.ptr, out.len));
	for (struct str rest = buf_view(&out); rest.ptr && rest.len;) {
		struct str text = str_cut(rest, '\n', &rest);
		AUTO_FREE char *line = str_dup(text);
		if (str_starts(text, "mlctl_") && !str_starts(text, "mlctl_build_info") && !strstr(line, "mlctl_service=\"fraud\",mlctl_env=\"prod\",revision=\"v?\",release=\"r42\"}"))
			fail_msg("whose is it: %s", line);
		if (str_starts(text, "process_") && strchr(line, '{'))
			fail_msg("not bare: %s", line);
	}
	assert_null(strstr(out.ptr, "_limit_"));
	assert_null(strstr(out.ptr, "model_created"));
	assert_null(strstr(out.ptr, "image="));
	metrics_free(metrics);
}

static int64_t fixed_ms(void *self) {
	return *(int64_t *) self;
}
static int64_t fixed_s(void *self) {
	(void) self;
	return 1763719331;
}

static void test_events(void **state) {
	(void) state;
	int64_t now_ms = 5000;
	struct clock clock = {fixed_ms, fixed_s, NULL, &now_ms};
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct events *events = events_new(ends[1], &clock);
	for (int i = 0; i < EVENTS_PER_SECOND + 5; i++)
		events_write_limited(events, "error", "\"status\":500");
	now_ms = 6000;
	events_write_limited(events, "error", NULL);
	char text[8192] = {0};
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	struct str rest = str_of(text);
	int lines = 0;
	while (rest.len) {
		struct err err = {0};
		AUTO_DOCUMENT struct document *document = NULL;
		struct str line = str_cut(rest, '\n', &rest);
		assert_int_equal(json_read("line", line, VALUE_LIMITS_CONFIG, &document, &err), 0);
		int64_t suppressed;
		assert_int_equal(value_opt_int(document->root, "suppressed", 0, &suppressed, &err), 0);
		assert_int_equal(suppressed, ++lines == EVENTS_PER_SECOND + 1 ? 5 : 0);
	}
	assert_int_equal(lines, EVENTS_PER_SECOND + 1);
	/* A flood of one kind hides no other. */
	for (int i = 0; i < 100 * EVENTS_PER_SECOND; i++)
		events_write_limited(events, "admin_refused", NULL);
	events_write_limited(events, "error", NULL);
	memset(text, 0, sizeof(text));
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "\"event\":\"error\",\"suppressed\":1980}"));
	/* A reader that stands still: lines are dropped, the writer goes on. */
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
	for (int i = 0; i < 2000; i++)
		events_write(events, "access", "\"path\":\"/\"");
	events_free(events);
	close(ends[0]);
	close(ends[1]);
}

static void test_threads(void **state) {
	(void) state;
	static const struct {
		struct container container;
		int threads;
	} cases[] = {{{0, 0, 4}, 4}, {{0.5, 0, 4}, 1}, {{1, 0, 4}, 1}, {{1.5, 0, 4}, 2}, {{8, 0, 4}, 4}, {{0.01, 0, 1}, 1}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(container_threads(&cases[i].container), cases[i].threads);
	struct container here;
	container_read("", &here);
	assert_true(here.cpus >= 1 && here.cpu_limit_cores >= 0 && here.memory_limit_bytes >= 0);
}

struct cgroup_file {
	const char *path, *text;
};

static struct container read_tree(const struct cgroup_file *files) {
	AUTO_SCRATCH char *root = scratch_new();
	struct err err = {0};
	for (; files->path; files++) {
		AUTO_FREE char *path = mem_format("%s%s", root, files->path);
		AUTO_FREE char *folder = str_dup(str_cut_last(str_of(path), '/', &(struct str) {NULL, 0}));
		assert_int_equal(fs_make_dirs(folder, 0700, &err), 0);
		assert_int_equal(fs_replace(path, files->text, strlen(files->text), 0600, &err), 0);
	}
	struct container container;
	container_read(root, &container);
	return container;
}

static void test_cgroups(void **state) {
	(void) state;
#define CG "/proc/self/cgroup"
#define FS "/sys/fs/cgroup"
#define POD "/kubepods/burstable/pod1/c2"
	static const struct {
		struct cgroup_file files[8];
		int64_t millicores, memory;
	} cases[] = {
		{{{CG, "0::/\n"}, {FS "/cpu.max", "50000 100000\n"}, {FS "/memory.max", "268435456\n"}}, 500, 268435456}, /* v2, a namespace of its own */
		{{{CG, "0::" POD "\n"}, {FS POD "/cpu.max", "max 100000\n"}, {FS POD "/memory.max", "max\n"}}, 0, 0},     /* no limits */
		{{{CG, "0::" POD "\n"}, {FS POD "/cpu.max", "200000 100000\n"}, {FS "/kubepods/burstable/cpu.max", "150000 100000\n"},
			 {FS POD "/memory.max", "100000\n"}, {FS "/kubepods/memory.max", "900000\n"}},
			1500, 100000}, /* the lowest of all levels holds */
		{{{CG, "12:pids:" POD "\n4:cpu,cpuacct:" POD "\n3:memory:" POD "\n1:name=systemd:" POD "\n0::/\n"}, {FS "/cpu/cpu.cfs_quota_us", "25000\n"},
			 {FS "/cpu/cpu.cfs_period_us", "100000\n"}, {FS "/memory/memory.limit_in_bytes", "536870912\n"}},
			250, 536870912}, /* v1 in a container: the path of the host, below a mount that begins at the container */
		{{{CG, "4:cpuacct,cpu:" POD "\n3:memory:" POD "\n"}, {FS "/cpu" POD "/cpu.cfs_quota_us", "-1\n"}, {FS "/cpu" POD "/cpu.cfs_period_us", "100000\n"},
			 {FS "/memory" POD "/memory.limit_in_bytes", "9223372036854771712\n"}},
			0, 0}, /* v1 without limits */
		{{{CG, "0::/\n"}, {FS "/cpu.max", "50000\n"}, {FS "/memory.max", "-5\n"}}, 0, 0},
		{{{CG, "0::/\n"}, {FS "/cpu.max", "0 0\n"}, {FS "/memory.max", "12abc\n"}}, 0, 0},
		{{{CG, "nonsense\n0::\n:::\n0::/../..\n"}, {FS "/memory.max", "99999999999999999999\n"}}, 0, 0},
		{{{FS "/cpu.max", "50000 100000\n"}}, 0, 0}, /* no /proc */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container c = read_tree(cases[i].files);
		if ((int64_t) (c.cpu_limit_cores * 1000 + 0.5) != cases[i].millicores || c.memory_limit_bytes != cases[i].memory)
			fail_msg("case %zu: %g cores, %lld bytes", i, c.cpu_limit_cores, (long long) c.memory_limit_bytes);
	}
}

/* Nobody listens on port 1 here, and a socket that accepts without ever answering is a timeout. */
static void test_probe(void **state) {
	(void) state;
	struct net_address address;
	struct err err = {0};
	int status, fd;
	assert_int_equal(net_parse(STR("127.0.0.1:0"), &address, &err), 0);
	assert_int_equal(net_listen(&address, &fd, &err), 0);
	assert_int_equal(http_probe(&address, STR("/"), 50, &status, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	close(fd);
	err_clear(&err);
	assert_int_equal(http_probe(&address, STR("/"), 1000, &status, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_metrics), cmocka_unit_test(test_metrics_identity),
		cmocka_unit_test(test_events), cmocka_unit_test(test_threads), cmocka_unit_test(test_cgroups), cmocka_unit_test(test_probe)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
