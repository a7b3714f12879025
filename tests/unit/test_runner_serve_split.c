/* The canary's share: exact over any number of requests and threads, and gone at its time. The clock is a number here. */
#include "runner/serve/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct http_upstream upstream_of(const char *address, const char *revision) {
	struct http_upstream upstream = {0};
	struct err err = {0};
	assert_int_equal(net_parse(str_of(address), &upstream.address, &err), 0);
	snprintf(upstream.revision, sizeof(upstream.revision), "%s", revision);
	return upstream;
}

static void test_exact(void **state) {
	(void) state;
	static const double weights[] = {0.1, 1, 3.3, 10, 12.5, 33.333333, 50, 66.6, 90, 99.9, 100};
	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		struct split split;
		struct split_view view = {0};
		split_init(&split);
		struct http_upstream upstream = upstream_of("127.0.0.1:1", "c");
		split_put(&split, &upstream, weights[i], 60000, 0);
		int taken = 0;
		for (int n = 1; n <= 5000; n++) {
			taken += split_take(&split, &view, 1000);
			double want = n * weights[i] / 100;
			assert_true(taken > want - 1.001 && taken < want + 1.001);
		}
		split_clear(&split);
	}
}

/* A change of weight begins where the old one stood: no burst, no gap. */
static void test_change(void **state) {
	(void) state;
	struct split split;
	struct split_view view = {0};
	split_init(&split);
	struct http_upstream upstream = upstream_of("127.0.0.1:1", "c");
	double want = 0;
	int taken = 0;
	for (int n = 0; n < 2000; n++) {
		double weight = n % 7 * 10;
		split_put(&split, &upstream, weight, 60000, n);
		taken += split_take(&split, &view, n);
		want += weight / 100;
		assert_true(taken > want - 1.001 && taken < want + 1.001);
	}
	assert_int_equal(view.generation, 1);
	split_clear(&split);
}

static void test_ttl(void **state) {
	(void) state;
	struct split split;
	struct split_view view = {0};
	split_init(&split);
	assert_false(split_take(&split, &view, 0)); /* nothing was ever put */
	struct http_upstream upstream = upstream_of("127.0.0.1:1", "c"), got;
	split_put(&split, &upstream, 100, 60000, 1000);
	assert_true(split_take(&split, &view, 1000));
	assert_true(split_take(&split, &view, 60999));
	assert_false(split_take(&split, &view, 61000));
	double weight;
	int64_t left_ms;
	split_get(&split, 31000, &got, &weight, &left_ms);
	assert_true(weight > 99.9 && left_ms == 30000);
	split_get(&split, 61000, &got, &weight, &left_ms);
	assert_true(weight == 0.0 && left_ms == 0);
	split_put(&split, &upstream, 100, 60000, 70000); /* refreshed late: it holds again */
	assert_true(split_take(&split, &view, 70001));
	split_put(&split, &upstream, 0, 60000, 70002);
	assert_false(split_take(&split, &view, 70003));
	split_clear(&split);
}

static void test_other_upstream(void **state) {
	(void) state;
	struct split split;
	struct split_view view = {0};
	split_init(&split);
	struct http_upstream one = upstream_of("127.0.0.1:1", "one"), two = upstream_of("unix:/tmp/two", "two");
	split_put(&split, &one, 100, 60000, 0);
	assert_true(split_take(&split, &view, 1));
	assert_string_equal(view.upstream.revision, "one");
	split_put(&split, &two, 100, 60000, 2);
	assert_true(split_take(&split, &view, 3));
	assert_string_equal(view.upstream.revision, "two");
	assert_true(net_equal(&view.upstream.address, &two.address));
	split_clear(&split);
}

struct taker {
	struct split *split;
	int taken;
};

static void *take_many(void *argument) {
	struct taker *taker = argument;
	struct split_view view = {0};
	for (int i = 0; i < 100000; i++)
		taker->taken += split_take(taker->split, &view, 1);
	return NULL;
}

static void test_threads(void **state) {
	(void) state;
	struct split split;
	split_init(&split);
	struct http_upstream upstream = upstream_of("127.0.0.1:1", "c");
	split_put(&split, &upstream, 10, 60000, 0);
	struct taker takers[4];
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) {
		takers[i] = (struct taker) {&split, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, take_many, &takers[i]), 0);
	}
	int sum = 0;
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		sum += takers[i].taken;
	}
	assert_in_range(sum, 39999, 40001);
	split_clear(&split);
}

static void test_addresses(void **state) {
	(void) state;
	static const char *const good[][2] = {{"127.0.0.1:80", "127.0.0.1:80"}, {":8080", "[::]:8080"}, {"0.0.0.0:1", "0.0.0.0:1"}, {"localhost:1", "127.0.0.1:1"}, {"[::1]:9", "[::1]:9"},
		{"unix:/a/b", "unix:/a/b"}};
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "1.2.3:4", "host:80", "::1:80", "[::1]", "unix:",
		"[]:80"};
	struct net_address address;
	char text[NET_TEXT_MAX];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err err = {0};
		assert_int_equal(net_parse(str_of(good[i][0]), &address, &err), 0);
		net_text(&address, text);
		assert_string_equal(text, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {0};
		if (net_parse(str_of(bad[i]), &address, &err) == 0)
			fail_msg("%s passed", bad[i]);
		assert_int_equal(err.code, ERR_USAGE);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_change), cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_other_upstream), cmocka_unit_test(test_threads), cmocka_unit_test(test_addresses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
