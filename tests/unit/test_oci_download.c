/* Blobs from a real socket that is cut in the middle: what came is kept, the rest is asked for, and the digest has the last word. */
#include "fakes/loopback.h"
#include "oci/store.h"
#include "os/fs.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* In a mount namespace of its own, where the name leads to the clouds' metadata service. */
static int ask_there(const char *hosts) {
	struct err err = {0};
	char *items[] = {NULL};
	struct env env = {items};
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL) != 0)
		return 77;
	struct http *http = http_curl_new(&clock_system, &env, -1, NULL, &err);
	struct store *store = NULL;
	struct store_options options = {.http = http, .clock = &clock_system, .env = &env};
	bool has = false;
	int rc = store_open("registry.rebind.test/a/b", &options, &store, &err);
	if (rc == 0)
		rc = store_has_manifest(store, "v1", NULL, &has, &err);
	store_close(store);
	http_close(http);
	return rc != 0 && err.code == ERR_REGISTRY && strstr(err.message, "169.254.169.254, a link-local or metadata address") ? 0 : 1;
}

static void a_name_that_leads_to_metadata(void **state) {
	(void) state;
	struct err err = {0};
	char hosts[] = "/tmp/mlctl-hosts.XXXXXX";
	int fd = mkstemp(hosts), status = 0;
	assert_true(fd >= 0);
	static const char text[] = "169.254.169.254 registry.rebind.test\n";
	assert_int_equal(fs_write_all(fd, text, strlen(text), hosts, &err), 0);
	fchmod(fd, 0644);
	close(fd);
	pid_t child = fork();
	if (child == 0)
		_exit(ask_there(hosts));
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(hosts);
	if (WEXITSTATUS(status) == 77)
		skip(); /* needs root */
	assert_int_equal(status, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_where_it_was_cut),
		cmocka_unit_test(ranges_that_are_ignored),
		cmocka_unit_test(other_bytes_the_second_time),
		cmocka_unit_test(longer_than_named),
		cmocka_unit_test(redirected_to_storage),
		cmocka_unit_test(a_name_that_leads_to_metadata),
	};
	return cmocka_run_group_tests_name("oci/download", tests, NULL, NULL);
}
