/* A Prometheus' answers as samples: whose they are, which job's count, and what is refused. */
#include "target/kubernetes_prometheus.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define VECTOR(series) "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" series "]}}"
#define SERIES(labels, number) "{\"metric\":{" labels "},\"value\":[1000.5,\"" number "\"]}"
#define OF(pod, revision) "\"pod\":\"" pod "\",\"job\":\"j\",\"instance\":\"10.0.0.1:8080\",\"revision\":\"" revision "\","
#define CANARY OF("c-1", "v-1")
#define REQUESTS(code, n) SERIES(CANARY "\"__name__\":\"mlctl_requests_total\",\"code\":\"" code "\"", n)
#define BUCKET(le, n) SERIES(CANARY "\"__name__\":\"mlctl_request_duration_seconds_bucket\",\"le\":\"" le "\"", n)
#define TIMES VECTOR(SERIES(CANARY "\"code\":\"200\"", "995"))
#define GOOD REQUESTS("200", "90") "," REQUESTS("500", "4") "," REQUESTS("5xx", "1") "," REQUESTS("404", "5") "," BUCKET("+Inf", "100") "," BUCKET("0.5", "80")

static struct prometheus_pod canary(void) {
	return (struct prometheus_pod) {.name = STR("c-1"), .ip = STR("10.0.0.1"), .revision = "v-1", .start_s = 7};
}

static struct prometheus_pod read_both(const char *counters, const char *times) {
	struct prometheus_pod pod = canary();
	struct err err = {0};
	if (prometheus_vectors(str_of(counters), str_of(times), &pod, 1, &err) != 0)
		fail_msg("%s", err.message);
	return pod;
}

static void test_counts(void **state) {
	(void) state;
	struct prometheus_pod pod = read_both(VECTOR(GOOD), TIMES);
	assert_true(fabs(pod.sample.requests - 100) < 1e-9 && fabs(pod.sample.errors_5xx - 5) < 1e-9 && fabs(pod.sample.errors_4xx - 5) < 1e-9);
	assert_int_equal(pod.sample.bucket_count, 2);
	assert_true(fabs(pod.sample.bucket_le_s[0] - 0.5) < 1e-9 && isinf(pod.sample.bucket_le_s[1]) && fabs(pod.sample.bucket_total[0] - 80) < 1e-9);
	assert_string_equal(pod.sample.replica, "c-1");
	assert_int_equal(pod.sample.start_s, 7);
	assert_true(fabs(pod.read_s - 995) < 1e-9 && fabs(pod.now_s - 1000.5) < 1e-9);
}

/* A second job that scrapes the same pod, another's series, and no label `pod`. */
static void test_whose(void **state) {
	(void) state;
	struct prometheus_pod pod = read_both(VECTOR(GOOD "," SERIES("\"pod\":\"c-1\",\"job\":\"k\",\"revision\":\"v-1\",\"__name__\":\"mlctl_requests_total\",\"code\":\"200\"", "90")
		"," SERIES(OF("c-1", "v-2") "\"__name__\":\"mlctl_requests_total\",\"code\":\"200\"", "1")
		"," SERIES(OF("c-2", "v-1") "\"__name__\":\"mlctl_requests_total\",\"code\":\"200\"", "1")), TIMES);
	assert_true(fabs(pod.sample.requests - 100) < 1e-9);
#define BARE "\"instance\":\"10.0.0.1:8080\",\"revision\":\"v-1\","
	pod = read_both(VECTOR(SERIES(BARE "\"__name__\":\"mlctl_requests_total\",\"code\":\"200\"", "3") "," SERIES(BARE "\"__name__\":\"mlctl_request_duration_seconds_bucket\",\"le\":\"1\"", "3")
		"," SERIES(BARE "\"__name__\":\"mlctl_request_duration_seconds_bucket\",\"le\":\"+Inf\"", "3")), VECTOR(SERIES(BARE "\"code\":\"200\"", "999")));
	assert_true(fabs(pod.sample.requests - 3) < 1e-9);
}

static void none(const char *counters, const char *times) {
	struct prometheus_pod pod = read_both(counters, times);
	if (pod.sample.bucket_count || pod.sample.requests > 0)
		fail_msg("a sample of %s", counters);
}

static void test_nothing(void **state) {
	(void) state;
	none(VECTOR(""), TIMES);
	none(VECTOR(GOOD), VECTOR(""));					     /* nobody knows from when */
	none(VECTOR(GOOD), VECTOR(SERIES(CANARY "\"code\":\"200\"", "NaN")));
	none(VECTOR(GOOD "," REQUESTS("400", "NaN")), TIMES);
	none(VECTOR(GOOD "," REQUESTS("400", "-1")), TIMES);
	none(VECTOR(GOOD "," REQUESTS("400", "1e300")), TIMES);
	none(VECTOR(GOOD "," REQUESTS("400", "+Inf")), TIMES);
	none(VECTOR(GOOD "," BUCKET("0.5", "80")), TIMES);		     /* an edge twice */
	none(VECTOR(GOOD "," BUCKET("0.7", "70")), TIMES);		     /* falls */
	none(VECTOR(GOOD "," BUCKET("x", "80")), TIMES);
	none(VECTOR(REQUESTS("200", "90") "," BUCKET("0.5", "80")), TIMES); /* no end */
	none(VECTOR(GOOD ",{\"metric\":{" CANARY "\"__name__\":\"mlctl_requests_total\",\"code\":\"400\"},\"value\":[1,2,3]}"), TIMES);
}

static void test_refuses(void **state) {
	(void) state;
	static const char *const bad[] = {"", "{}", "[]", "{\"status\":\"error\",\"error\":\"x\"}", "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
		"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":{}}}", "{\"status\":7}", VECTOR("") " "  "x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (int side = 0; side < 2; side++) {
			struct prometheus_pod pod = canary();
			struct err err = {0};
			if (prometheus_vectors(str_of(side ? VECTOR(GOOD) : bad[i]), str_of(side ? bad[i] : TIMES), &pod, 1, &err) == 0)
				fail_msg("accepted: %s", bad[i]);
			assert_int_equal(err.code, ERR_INVALID);
		}
}

static void test_query(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(1000);
	prometheus_query("fraud", "prod", false, &out);
	assert_non_null(strstr(out.ptr, "mlctl_service=\"fraud\",mlctl_env=\"prod\"}"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_query),
	};
	return cmocka_run_group_tests_name("target_prometheus", tests, NULL, NULL);
}
