/* rest_call() over libcurl against a real server: what the scripted network of test_net_rest.c promises, seen on the wire. */
#include "net/rest.h"

#include "fakes/loopback.h"
#include "os/fs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define COUNT(turns) (sizeof(turns) / sizeof((turns)[0]))

struct token {
	struct auth auth;
	struct secret secret;
};

static int sign(struct auth *auth, struct http *http, const char *method, const char *url, struct http_header headers[AUTH_HEADERS_MAX],
	size_t *count, struct err *err) {
	(void) http, (void) method, (void) url, (void) err;
	headers[0] = (struct http_header){.name = "Authorization", .secret = &((struct token *) auth)->secret, .prefix = "Bearer "};
	*count = 1;
	return 0;
}

static bool refused(struct auth *auth, const struct auth_challenge *challenge) {
	(void) challenge;
	secret_set(&((struct token *) auth)->secret, STR("new-token"), NULL);
	return true;
}

/* One call with a credential ("old-token") and a header of the caller's that is as good as one. */
static int ask(struct loopback *server, const char *method, struct str body, int *status, struct err *err) {
	struct http *http = http_curl_new(&clock_system, NULL, -1, NULL, err);
	assert_non_null(http);
	struct token token = {.auth = {.sign = sign, .refused = refused}};
	secret_set(&token.secret, STR("old-token"), NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	const struct http_header key = {.name = "X-Api-Key", .value = "key"};
	const struct rest rest = {.http = http, .auth = &token.auth, .tries_max = 2};
	const struct rest_call call = {.method = method, .url = url, .headers = &key, .header_count = 1, .body = body};
	struct http_answer answer = {0};
	int rc = rest_call(&rest, &call, &answer, err);
	*status = answer.status;
	http_answer_clear(&answer);
	secret_clear(&token.secret);
	http_close(http);
	return rc;
}

static void once_more_after_401(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "Authorization: Bearer old-token\r\n",
			.answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"x\"\r\nContent-Length: 0\r\n\r\n"},
		{.expect = "Authorization: Bearer new-token\r\n", .answer = OK},
	};
	struct loopback *server = loopback_start(turns, COUNT(turns));
	struct err err = {0};
	int status;
	assert_int_equal(ask(server, "PUT", STR("body"), &status, &err), 0);
	assert_int_equal(status, 200);
	assert_true(str_ends(loopback_request(server, 1), "\r\n\r\nbody"));
	assert_int_equal(loopback_connections(server), 1);
	assert_int_equal(loopback_stop(server), 0);
}

static void credentials_stay_at_their_origin(void **state) {
	(void) state;
	static const struct loopback_turn there[] = {
		{.expect_not = "\r\nAuthorization", .answer = OK}, {.expect_not = "\r\nX-Api-Key", .answer = OK}};
	struct loopback *other = loopback_start(there, 2);
	AUTO_FREE char *moved =
		mem_format("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:%d/y\r\nContent-Length: 0\r\n\r\n", loopback_port(other));
	const struct loopback_turn here[] = {{.expect = "X-Api-Key: key", .answer = moved}, {.answer = moved}, {.answer = moved}};
	struct loopback *server = loopback_start(here, 3);
	struct err err = {0};
	int status;
	assert_int_equal(ask(server, "GET", (struct str){0}, &status, &err), 0);
	assert_int_equal(ask(server, "GET", (struct str){0}, &status, &err), 0);
	assert_int_equal(ask(server, "POST", STR("client_secret=hunter2"), &status, &err), -1); /* nothing of it reaches the other */
	assert_non_null(strstr(err.message, "not followed"));
	assert_int_equal(loopback_stop(server), 0);
	assert_int_equal(loopback_stop(other), 0);
}

static void what_passes_is_tried_again(void **state) {
	(void) state;
	static const struct loopback_turn turns[][2] = {
		{{.then = LOOPBACK_RESET}, {.answer = OK}},
		{{.answer = "HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"}, {.answer = OK}},
		{{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .then = LOOPBACK_CLOSE}, {.answer = OK}},
	};
	for (size_t i = 0; i < COUNT(turns); i++) {
		struct loopback *server = loopback_start(turns[i], 2);
		struct err err = {0};
		int status;
		assert_int_equal(ask(server, "GET", (struct str){0}, &status, &err), 0);
		assert_int_equal(status, 200);
		assert_int_equal(loopback_stop(server), 0);
	}
}

static void a_lost_reply_is_unclear(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.expect = "POST", .then = LOOPBACK_RESET}};
	struct loopback *server = loopback_start(turns, 1);
	struct err err = {0};
	int status;
	assert_int_equal(ask(server, "POST", STR("body"), &status, &err), -1);
	assert_int_equal(err.code, ERR_UNCLEAR);
	assert_int_equal(loopback_stop(server), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_more_after_401),
		cmocka_unit_test(credentials_stay_at_their_origin),
		cmocka_unit_test(what_passes_is_tried_again),
		cmocka_unit_test(a_lost_reply_is_unclear),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
