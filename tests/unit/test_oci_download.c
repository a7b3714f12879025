/* Blobs from a real socket that is cut in the middle: what came is kept, the rest is asked for, and the digest has the last word. */
#include "fakes/loopback.h"
#include "oci/store.h"
#include "os/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BLOB "0123456789abcdefghijklmnopqrstuvwxyz"

static int append(void *self, const void *bytes, size_t len, struct err *err) {
	(void) err;
	buf_add(self, bytes, len);
	return 0;
}

/* Fetches BLOB (or what the script says it is) and returns what store_get_blob() did. */
static int fetch(const struct loopback_turn *turns, size_t count, int64_t size, struct buf *out, struct err *err) {
	struct loopback *server = loopback_start(turns, count);
	AUTO_FREE char *url = loopback_url(server, "");
	AUTO_FREE char *name = mem_format("%s/a/b", url + strlen("http://"));
	char *items[] = {NULL};
	struct env env = {items};
	struct http *http = http_curl_new(&clock_system, &env, -1, NULL, err);
	assert_non_null(http);
	struct store *store = NULL;
	struct store_options options = {.http = http, .clock = &clock_system, .env = &env};
	if (store_open(name, &options, &store, err) != 0)
		fail_msg("%s", err->message);
	struct digest digest;
	digest_of(STR(BLOB), &digest);
	int rc = store_get_blob(store, &digest, size, append, out, err);
	store_close(store);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
	return rc;
}

#define FETCH(size, out, err, ...)                                                                                                         \
	fetch((const struct loopback_turn[]){__VA_ARGS__},                                                                                 \
		sizeof((const struct loopback_turn[]){__VA_ARGS__}) / sizeof(struct loopback_turn), size, out, err)
#define WHOLE "HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n"

static void goes_on_where_it_was_cut(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf got = BUF((size_t) 1000);
	int rc = FETCH(36, &got, &err,
		{.expect = "GET /v2/a/b/blobs/sha256:", .expect_not = "Range", .answer = WHOLE "0123456789", .then = LOOPBACK_CLOSE},
		{.expect = "Range: bytes=10-10\r\n", .answer = "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na"},
		{.expect = "Range: bytes=10-\r\n",
			.answer = "HTTP/1.1 206 Partial\r\nContent-Length: 26\r\n\r\nabcde",
			.then = LOOPBACK_RESET},
		{.expect = "Range: bytes=15-15\r\n", .answer = "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nf"},
		{.expect = "Range: bytes=15-\r\n", .answer = "HTTP/1.1 206 Partial\r\nContent-Length: 21\r\n\r\nfghijklmnopqrstuvwxyz"});
	if (rc != 0)
		fail_msg("%s", err.message);
	assert_string_equal(got.ptr, BLOB);
}

static void ranges_that_are_ignored(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf got = BUF((size_t) 1000);
	int rc = FETCH(36, &got, &err, {.answer = WHOLE "0123456789", .then = LOOPBACK_CLOSE},
		{.expect = "Range: bytes=10-10\r\n", .answer = WHOLE BLOB}, {.expect_not = "Range", .answer = WHOLE BLOB});
	if (rc != 0)
		fail_msg("%s", err.message);
	assert_string_equal(got.ptr, BLOB);
}

static void other_bytes_the_second_time(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf got = BUF((size_t) 1000);
	assert_int_equal(FETCH(36, &got, &err, {.answer = WHOLE "0123456789", .then = LOOPBACK_CLOSE},
				 {.answer = "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na"},
				 {.answer = "HTTP/1.1 206 Partial\r\nContent-Length: 26\r\n\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ"}),
		-1);
	assert_int_equal(err.code, ERR_REGISTRY);
	assert_non_null(strstr(err.message, "hash to"));
}

static void longer_than_named(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf got = BUF((size_t) 1000);
	assert_int_equal(FETCH(20, &got, &err, {.answer = WHOLE BLOB}), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	assert_true(got.len <= 20);
}

static void redirected_to_storage(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf got = BUF((size_t) 1000);
	int rc = FETCH(36, &got, &err, {.answer = "HTTP/1.1 307 Moved\r\nLocation: /storage?sig=x\r\nContent-Length: 0\r\n\r\n"},
		{.expect = "GET /storage?sig=x ", .answer = WHOLE BLOB});
	if (rc != 0)
		fail_msg("%s", err.message);
	assert_string_equal(got.ptr, BLOB);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_where_it_was_cut),
		cmocka_unit_test(ranges_that_are_ignored),
		cmocka_unit_test(other_bytes_the_second_time),
		cmocka_unit_test(longer_than_named),
		cmocka_unit_test(redirected_to_storage),
	};
	return cmocka_run_group_tests_name("oci/download", tests, NULL, NULL);
}
