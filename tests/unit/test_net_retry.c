#include "net/rest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t wait_of(const char *method, bool is_repeatable, int status, const char *headers, int n, int64_t jitter) {
	struct http_answer answer = {.status = status, .headers = mem_text(headers), .was_sent = true};
	int64_t wait_ms = retry_wait_ms(method, is_repeatable, &answer, n, jitter);
	http_answer_clear(&answer);
	return wait_ms;
}

static int64_t wait_after(const char *method, bool is_repeatable, enum err_code code, bool was_sent) {
	struct http_answer answer = {.was_sent = was_sent};
	err_set(&answer.failure, code, "x");
	return retry_wait_ms(method, is_repeatable, &answer, 1, 0);
}

static void which_statuses(void **state) {
	(void) state;
	static const int passing[] = {408, 429, 500, 502, 503, 504},
			 lasting[] = {200, 201, 301, 400, 401, 403, 404, 409, 412, 413, 422, 501, 505};
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		assert_true(wait_of("GET", false, passing[i], "", 1, 0) > 0);
		assert_true(wait_of("PUT", false, passing[i], "", 1, 0) > 0);
		assert_true(wait_of("POST", true, passing[i], "", 1, 0) > 0);
		if (passing[i] == 429) /* whatever it was, it was not done */
			continue;
		assert_int_equal(wait_of("POST", false, passing[i], "", 1, 0), -1);
		assert_int_equal(wait_of("PATCH", false, passing[i], "", 1, 0), -1);
	}
	assert_int_equal(wait_of("POST", false, 429, "retry-after: 3\n", 1, 0), 3000);
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		assert_int_equal(wait_of("GET", true, lasting[i], "", 1, 0), -1);
}

static void which_failures(void **state) {
	(void) state;
	assert_true(wait_after("GET", false, ERR_NETWORK, true) > 0);
	assert_true(wait_after("PUT", false, ERR_TIMEOUT, true) > 0);
	assert_true(wait_after("POST", false, ERR_NETWORK, false) > 0);
	assert_true(wait_after("POST", true, ERR_NETWORK, true) > 0);
	assert_int_equal(wait_after("POST", false, ERR_NETWORK, true), -1);
	assert_int_equal(wait_after("PATCH", false, ERR_TIMEOUT, true), -1);
	assert_int_equal(wait_after("GET", true, ERR_AUTH, false), -1);
	assert_int_equal(wait_after("GET", true, ERR_LIMIT, true), -1);
	assert_int_equal(wait_after("GET", true, ERR_NOSPACE, true), -1);
}

static void grows_to_a_ceiling(void **state) {
	(void) state;
	static const int64_t longest[] = {250, 500, 1000, 2000, 4000, 8000, 8000};
	for (int n = 1; n <= 7; n++) {
		assert_int_equal(wait_of("GET", false, 503, "", n, 0), longest[n - 1] / 2);
		assert_int_equal(wait_of("GET", false, 503, "", n, 1000), longest[n - 1]);
	}
	assert_int_equal(wait_of("GET", false, 503, "", 1000000, 1000), 8000);
}

static void retry_after(void **state) {
	(void) state;
	assert_int_equal(wait_of("GET", false, 429, "retry-after: 7\n", 1, 0), 7000);
	assert_int_equal(wait_of("GET", false, 429, "retry-after: 0\n", 1, 0), 125);
	assert_int_equal(
		wait_of("GET", false, 429, "date: Sat, 21 Nov 2026 10:00:00 GMT\nretry-after: Sat, 21 Nov 2026 10:00:30 GMT\n", 1, 0),
		30000);
	assert_int_equal(
		wait_of("GET", false, 429, "date: Sat, 21 Nov 2026 10:00:00 GMT\nretry-after: Sat, 21 Nov 2020 10:00:30 GMT\n", 1, 0), 125);
	assert_int_equal(
		wait_of("GET", false, 429, "retry-after: Sat, 21 Nov 2026 10:00:30 GMT\n", 1, 0), 125); /* no Date: not to be known */
	assert_int_equal(wait_of("GET", false, 429, "retry-after: soon\n", 1, 0), 125);
	assert_int_equal(wait_of("GET", false, 429, "retry-after: -5\n", 1, 0), 125);
	assert_int_equal(wait_of("GET", false, 429, "retry-after: 99999999999999999999\n", 1, 0), 600000);
	assert_int_equal(
		wait_of("GET", false, 429, "date: Sat, 21 Nov 2026 10:00:00 GMT\nretry-after: Sat, 21 Nov 2099 10:00:30 GMT\n", 1, 0),
		600000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_statuses),
		cmocka_unit_test(which_failures),
		cmocka_unit_test(grows_to_a_ceiling),
		cmocka_unit_test(retry_after),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
