#include "net/http.h"

#include "fakes/loopback.h"
#include "os/fs.h"
#include "os/sig.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT(turns) (sizeof(turns) / sizeof((turns)[0]))
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct http *new_http(const struct log *log, char *const env[]) {
	struct err err = {0};
	const struct env list = {.items = (char **) env};
	struct http *http = http_curl_new(&clock_system, env ? &list : NULL, -1, log, &err);
	assert_non_null(http);
	return http;
}

/* One request to its end. */
static void ask(struct http *http, const struct http_request *request, struct http_answer *answer) {
	struct err err = {0};
	struct http_event event;
	int64_t id;
	if (http_start(http, request, &id, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(http_step(http, clock_mono_ms(&clock_system) + 20000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_DONE);
	assert_int_equal(event.id, id);
	*answer = event.answer;
}

static void get(struct http *http, const struct loopback *server, struct http_answer *answer) {
	AUTO_FREE char *url = loopback_url(server, "/x");
	ask(http, &(struct http_request){.method = "GET", .url = url}, answer);
}

static void connections_are_kept(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "GET /a/../b?c HTTP/1.1\r\n", .expect_not = "\r\nAccept-Encoding", .answer = OK},
		{.expect = "User-Agent: mlctl/",
			.answer = "HTTP/1.1 404 Not Found\r\nX-A:  v \r\nx-a: second\r\nContent-Length: 4\r\n\r\nnone"},
		{.expect = "HEAD /", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 77\r\nDocker-Content-Digest: sha256:1\r\n\r\n"},
		{.expect = "Content-Length: 0\r\n",
			.expect_not = "\r\nContent-Type",
			.answer = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"},
		{.expect = "DELETE /", .expect_not = "\r\nContent-Length", .answer = "HTTP/1.1 204 No Content\r\n\r\n"},
		{.expect = "GET /",
			.answer = "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Late: 2\r\nTransfer-Encoding: "
				  "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: t\r\n\r\n"},
	};
	static const char *const methods[] = {"GET", "GET", "HEAD", "POST", "DELETE", "GET"};
	struct loopback *server = loopback_start(turns, COUNT(turns));
	struct http *http = new_http(NULL, NULL);
	struct http_answer answers[COUNT(turns)];
	AUTO_FREE char *url = loopback_url(server, "/a/../b?c#fragment");
	for (size_t i = 0; i < COUNT(turns); i++)
		ask(http, &(struct http_request){.method = methods[i], .url = url}, &answers[i]);
	assert_string_equal(answers[0].body, "ok");
	assert_int_equal(answers[0].status, 200);
	assert_true(answers[0].was_sent);
	assert_string_equal(answers[1].body, "none");
	assert_true(str_is(http_header_of(&answers[1], "x-a"), "v"));
	assert_int_equal(http_header_of(&answers[1], "x-b").len, 0);
	assert_int_equal(answers[2].body_len, 0);
	assert_true(str_is(http_header_of(&answers[2], "content-length"), "77"));
	assert_int_equal(answers[3].status, 202);
	assert_int_equal(answers[4].status, 204);
	assert_string_equal(answers[5].body, "abcde");
	assert_true(str_is(http_header_of(&answers[5], "x-late"), "2"));
	assert_int_equal(http_header_of(&answers[5], "x-early").len, 0);
	assert_int_equal(loopback_connections(server), 1);
	for (size_t i = 0; i < COUNT(turns); i++)
		http_answer_clear(&answers[i]);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

/* The failure's code and words, whether anything was sent, and no status in sight. */
static void fails(const struct loopback_turn *turn, struct http_request request, enum err_code code, const char *words) {
	struct loopback *server = loopback_start(turn, 1);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct http_answer answer = {0};
	request.url = url;
	request.method = request.method ? request.method : "GET";
	ask(http, &request, &answer);
	if (answer.failure.code != code || !strstr(answer.failure.message, words))
		fail_msg("%s: %s, not: %s (%d)", err_kind(answer.failure.code), answer.failure.message, words, answer.status);
	assert_int_equal(answer.status, 0);
	assert_true(answer.was_sent);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static void what_servers_do_wrong(void **state) {
	(void) state;
	struct http_request plain = {0}, hurried = {.timeout_ms = 80}, bored = {.stall_timeout_ms = 80}, small = {.answer_bytes_max = 100};
	fails(&(struct loopback_turn){.then = LOOPBACK_CLOSE}, plain, ERR_NETWORK, "without an answer");
	fails(&(struct loopback_turn){.then = LOOPBACK_RESET}, plain, ERR_NETWORK, "cut");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", .then = LOOPBACK_CLOSE}, plain,
		ERR_NETWORK, "cut in the middle");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", .then = LOOPBACK_CLOSE},
		plain, ERR_NETWORK, "cut in the middle");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\nContent-Le", .then = LOOPBACK_CLOSE}, plain, ERR_NETWORK,
		"cut in the middle of the answer's headers");
	fails(&(struct loopback_turn){.answer = "SSH-2.0-x\r\n", .then = LOOPBACK_CLOSE}, plain, ERR_NETWORK, "does not speak HTTP");
	fails(&(struct loopback_turn){.then = LOOPBACK_HANG}, hurried, ERR_TIMEOUT, "not done within 80 ms");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", .then = LOOPBACK_HANG}, bored,
		ERR_TIMEOUT, "no byte moved for 80 ms");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\n\r\n", .answer_more = "more and more ", .then = LOOPBACK_ENDLESS},
		small, ERR_LIMIT, "longer than 100 bytes");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\n",
		      .answer_more = "X-Header: 0123456789012345678901234567890123456789\r\n",
		      .then = LOOPBACK_ENDLESS},
		plain, ERR_LIMIT, "headers are longer than 65536 bytes");
	fails(&(struct loopback_turn){.answer = "HTTP/1.1 200 OK\r\nX: ",
		      .answer_more = "0123456789012345678901234567890123456789",
		      .then = LOOPBACK_ENDLESS},
		plain, ERR_NETWORK, "");
}

static void an_endless_error_keeps_its_status(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.answer = "HTTP/1.1 503 No\r\nRetry-After: 3\r\n\r\n", .answer_more = "sorry ", .then = LOOPBACK_ENDLESS}};
	struct loopback *server = loopback_start(turns, 1);
	struct http *http = new_http(NULL, NULL);
	struct http_answer answer = {0};
	AUTO_FREE char *url = loopback_url(server, "/x");
	ask(http, &(struct http_request){.method = "GET", .url = url, .answer_bytes_max = 50}, &answer);
	assert_int_equal(answer.status, 503);
	assert_int_equal(answer.failure.code, ERR_NONE);
	assert_int_equal(answer.body_len, 50);
	assert_true(str_is(http_header_of(&answer, "retry-after"), "3"));
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static void nothing_is_sent_to_nobody(void **state) {
	(void) state;
	struct loopback *server = loopback_start(NULL, 0);
	AUTO_FREE char *url = loopback_url(server, "/x");
	assert_int_equal(loopback_stop(server), 0); /* now nobody listens there */
	struct http *http = new_http(NULL, NULL);
	struct http_answer answer = {0};
	ask(http, &(struct http_request){.method = "POST", .url = url, .body = STR("x")}, &answer);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_non_null(strstr(answer.failure.message, "refused"));
	assert_false(answer.was_sent);
	assert_int_equal(answer.sent_bytes, 0);
	http_answer_clear(&answer);
	ask(http, &(struct http_request){.method = "GET", .url = "http://name.invalid/"}, &answer);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_non_null(strstr(answer.failure.message, "no address found"));
	assert_false(answer.was_sent);
	http_answer_clear(&answer);
	http_close(http);
}

static void refused_before_anything(void **state) {
	(void) state;
	static const struct http_header broken[] = {
		{.name = "X", .value = "a\r\nY: b"}, {.name = "X Y", .value = "a"}, {.name = "X:", .value = "a"}};
	static const char *const urls[] = {"ftp://h/", "file:///etc/passwd", "http://u:p@h/", "h", "http://h/\n"};
	struct http *http = new_http(NULL, NULL);
	int64_t id = -7;
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct err err = {0};
		assert_int_equal(
			http_start(http,
				&(struct http_request){.method = "GET", .url = "http://h/", .headers = &broken[i], .header_count = 1}, &id,
				&err),
			-1);
	}
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct err err = {0};
		assert_int_equal(http_start(http, &(struct http_request){.method = "GET", .url = urls[i]}, &id, &err), -1);
		assert_null(strstr(err.message, "u:p"));
	}
	assert_int_equal(id, -7);
	struct http_event event;
	struct err err = {0};
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	assert_int_equal(event.what, HTTP_IDLE);
	http_close(http);
}

struct source {
	int64_t bytes, reads, last_sent, fail_at, short_at;
};

static char byte_at(int64_t offset) {
	return (char) ('a' + offset % 26);
}

static int read_source(void *self, int64_t offset, void *bytes, size_t len, size_t *got, struct err *err) {
	struct source *source = self;
	source->reads++;
	if (source->fail_at && offset >= source->fail_at)
		return err_set(err, ERR_NOT_FOUND, "model.onnx: gone");
	if (source->short_at && offset >= source->short_at)
		len = 0;
	for (size_t i = 0; i < len; i++)
		((char *) bytes)[i] = byte_at(offset + (int64_t) i);
	*got = len;
	return 0;
}

static void on_sent(void *self, int64_t sent_bytes) {
	struct source *source = self;
	assert_true(sent_bytes <= source->bytes);
	source->last_sent = sent_bytes;
}

static struct http_request upload(const char *url, struct source *source) {
	return (struct http_request){.method = "PUT",
		.url = url,
		.read = read_source,
		.read_self = source,
		.body_bytes = source->bytes,
		.sent = on_sent,
		.sent_self = source};
}

static void streams_a_body(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "Content-Length: 100000\r\n", .expect_not = "\r\nExpect:", .answer = OK},
		{.expect = "Expect: 100-continue\r\n", .expect_not = "\r\nTransfer-Encoding", .answer = OK},
	};
	struct loopback *server = loopback_start(turns, 2);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct source small = {.bytes = 100000}, large = {.bytes = 20000000};
	struct http_answer answer = {0};
	struct http_request request = upload(url, &small);
	ask(http, &request, &answer);
	assert_int_equal(answer.sent_bytes, 100000);
	assert_int_equal(small.last_sent, 100000);
	struct str seen = loopback_request(server, 0);
	for (int64_t i = 0; i < 100000; i++)
		assert_true(seen.ptr[seen.len - 100000 + (size_t) i] == byte_at(i));
	http_answer_clear(&answer);
	request = upload(url, &large);
	ask(http, &request, &answer);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.sent_bytes, 20000000);
	assert_int_equal(loopback_body_bytes(server, 1), 20000000);
	assert_true(large.reads <= 20000000 / (256 * 1024) + 2);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static void a_body_that_breaks(void **state) {
	(void) state;
	struct source gone = {.bytes = 3000000, .fail_at = 1000000}, shorter = {.bytes = 3000000, .short_at = 1000000};
	struct source *const sources[] = {&gone, &shorter};
	for (size_t i = 0; i < 2; i++) {
		static const struct loopback_turn turn = {.body_bytes_read = 2000000, .answer = OK}; /* more than comes: no answer is first */
		struct loopback *server = loopback_start(&turn, 1);
		struct http *http = new_http(NULL, NULL);
		AUTO_FREE char *url = loopback_url(server, "/x");
		struct http_request request = upload(url, sources[i]);
		struct http_answer answer = {0};
		ask(http, &request, &answer);
		assert_int_equal(answer.status, 0);
		assert_int_equal(answer.failure.code, i == 0 ? ERR_NOT_FOUND : ERR_FAILED);
		assert_non_null(strstr(answer.failure.message, i == 0 ? "model.onnx: gone" : "the body ended after"));
		http_answer_clear(&answer);
		http_close(http);
		loopback_stop(server); /* it may break before the server has taken the connection at all */
	}
}

static void an_upload_that_is_cut_says_how_far_it_came(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.body_bytes_read = 8000000, .then = LOOPBACK_RESET}, {.body_bytes_read = 8000000, .then = LOOPBACK_HANG}};
	for (size_t i = 0; i < 2; i++) {
		struct loopback *server = loopback_start(&turns[i], 1);
		struct http *http = new_http(NULL, NULL);
		AUTO_FREE char *url = loopback_url(server, "/x");
		struct source source = {.bytes = 64000000};
		struct http_request request = upload(url, &source);
		request.timeout_ms = i == 1 ? 1000 : 0;
		struct http_answer answer = {0};
		ask(http, &request, &answer);
		assert_int_equal(answer.status, 0);
		assert_int_equal(answer.failure.code, i == 1 ? ERR_TIMEOUT : ERR_NETWORK);
		assert_true(answer.was_sent);
		assert_true(answer.sent_bytes > 1000000 && answer.sent_bytes < 64000000);
		http_answer_clear(&answer);
		http_close(http);
		loopback_stop(server); /* HANG reads on until the client goes */
	}
}

static void a_401_costs_no_upload(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.is_early = true,
		.answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
		.then = LOOPBACK_CLOSE}};
	struct loopback *server = loopback_start(turns, 1);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct source source = {.bytes = 64000000};
	struct http_request request = upload(url, &source);
	struct http_answer answer = {0};
	ask(http, &request, &answer);
	assert_int_equal(answer.status, 401);
	assert_true(answer.sent_bytes == 0);
	assert_true(str_is(http_header_of(&answer, "www-authenticate"), "Bearer realm=\"x\""));
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

/* A kept connection that the server closes when the next request arrives: libcurl would send it again on a new one. */
static void a_post_is_not_repeated_behind_our_back(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.answer = OK}, {.expect = "POST", .then = LOOPBACK_CLOSE}};
	struct loopback *server = loopback_start(turns, 2);
	struct http *http = new_http(NULL, NULL);
	struct http_answer answer = {0};
	get(http, server, &answer);
	http_answer_clear(&answer);
	AUTO_FREE char *url = loopback_url(server, "/x");
	ask(http, &(struct http_request){.method = "POST", .url = url, .body = STR("charge the card")}, &answer);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_true(answer.was_sent);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

/* The same with a PUT, which may be: its body starts again at offset 0. */
static void a_put_is(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.answer = OK}, {.expect = "PUT", .then = LOOPBACK_CLOSE}, {.expect = "PUT", .answer = OK}};
	struct loopback *server = loopback_start(turns, 3);
	struct http *http = new_http(NULL, NULL);
	struct http_answer answer = {0};
	get(http, server, &answer);
	http_answer_clear(&answer);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct source source = {.bytes = 1000};
	struct http_request request = upload(url, &source);
	ask(http, &request, &answer);
	assert_int_equal(answer.status, 200);
	struct str seen = loopback_request(server, 2);
	assert_int_equal(seen.ptr[seen.len - 1000], 'a');
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

/* Unless the caller looks first: a layer is not sent a second time because its answer was lost. */
static void a_put_that_is_once_is_not(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.answer = OK}, {.expect = "PUT", .then = LOOPBACK_CLOSE}};
	struct loopback *server = loopback_start(turns, 2);
	struct http *http = new_http(NULL, NULL);
	struct http_answer answer = {0};
	get(http, server, &answer);
	http_answer_clear(&answer);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct source source = {.bytes = 1000};
	struct http_request request = upload(url, &source);
	request.is_once = true;
	ask(http, &request, &answer);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_true(answer.was_sent);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static void redirects_are_not_followed(void **state) {
	(void) state;
	static const struct loopback_turn nobody[1];
	struct loopback *other = loopback_start(nobody, 0);
	AUTO_FREE char *answer_text =
		mem_format("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n", loopback_port(other));
	const struct loopback_turn turn = {.expect = "X-Api-Key: k", .answer = answer_text};
	struct loopback *server = loopback_start(&turn, 1);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	const struct http_header header = {.name = "X-Api-Key", .value = "k"};
	struct http_answer answer = {0};
	ask(http,
		&(struct http_request){.method = "POST", .url = url, .headers = &header, .header_count = 1, .body = STR("client_secret=x")},
		&answer);
	assert_int_equal(answer.status, 307);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
	assert_int_equal(loopback_connections(other), 0);
	assert_int_equal(loopback_stop(other), 0);
}

static void many_at_once(void **state) {
	(void) state;
	enum { MANY = 12 };
	struct loopback_turn turns[MANY];
	for (size_t i = 0; i < MANY; i++)
		turns[i] = (struct loopback_turn){.answer = OK};
	struct loopback *server = loopback_start(turns, MANY);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct source sources[MANY];
	int64_t ids[MANY];
	bool is_done[MANY] = {0};
	struct err err = {0};
	for (size_t i = 0; i < MANY; i++) {
		sources[i] = (struct source){.bytes = 2000000 + (int64_t) i};
		struct http_request request = upload(url, &sources[i]);
		assert_int_equal(http_start(http, &request, &ids[i], &err), 0);
	}
	http_cancel(http, 999);
	for (size_t n = 0; n < MANY; n++) {
		struct http_event event;
		assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
		assert_int_equal(event.what, HTTP_DONE);
		for (size_t i = 0; i < MANY; i++)
			if (ids[i] == event.id) {
				assert_false(is_done[i]);
				is_done[i] = true;
				assert_int_equal(event.answer.sent_bytes, sources[i].bytes);
			}
		assert_int_equal(event.answer.status, 200);
		http_answer_clear(&event.answer);
	}
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static int keep_bytes(void *self, const void *bytes, size_t len, struct err *err) {
	(void) err;
	buf_add(self, bytes, len);
	return 0;
}

static int disk_full(void *self, const void *bytes, size_t len, struct err *err) {
	(void) self, (void) bytes, (void) len;
	return err_set(err, ERR_NOSPACE, "disk full");
}

static void streams_an_answer(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.answer = OK},
		{.answer = "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad"},
		{.answer = "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nabc"},
		{.answer = OK, .then = LOOPBACK_HANG},
	};
	struct loopback *server = loopback_start(turns, COUNT(turns));
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	AUTO_BUF struct buf got = BUF(100);
	struct http_request request = {.method = "GET", .url = url, .write = keep_bytes, .write_self = &got};
	struct http_answer answer = {0};
	ask(http, &request, &answer);
	assert_string_equal(got.ptr, "ok");
	assert_int_equal(answer.body_len, 0);
	http_answer_clear(&answer);
	ask(http, &request, &answer);
	assert_string_equal(answer.body, "bad");
	http_answer_clear(&answer);
	ask(http, &request, &answer);
	assert_string_equal(got.ptr, "okabc");
	http_answer_clear(&answer);
	request.write = disk_full;
	ask(http, &request, &answer);
	assert_int_equal(answer.failure.code, ERR_NOSPACE);
	assert_int_equal(answer.status, 0);
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

static void secrets_are_sent_and_never_traced(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.expect = "Authorization: Bearer hunter2\r\nX-Empty:\r\n", .answer = OK}};
	struct loopback *server = loopback_start(turns, 1);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct redactor *redact = redactor_new();
	const struct log log = {.out = out, .redact = redact, .clock = &clock_system};
	struct http *http = new_http(&log, NULL);
	struct secret token = {0};
	secret_set(&token, STR("hunter2"), NULL);
	const struct http_header headers[] = {
		{.name = "Authorization", .secret = &token, .prefix = "Bearer "}, {.name = "X-Empty", .value = ""}};
	AUTO_FREE char *url = loopback_url(server, "/path?sig=hunter3");
	struct http_answer answer = {0};
	ask(http, &(struct http_request){.method = "GET", .url = url, .headers = headers, .header_count = 2}, &answer);
	http_answer_clear(&answer);
	http_close(http);
	fclose(out);
	assert_null(strstr(text, "hunter"));
	assert_non_null(strstr(text, "/path?sig=*** -> 200, "));
	free(text);
	secret_clear(&token);
	redactor_free(redact);
	assert_int_equal(loopback_stop(server), 0);
}

static void proxies_come_from_what_was_handed_in(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "GET http://registry.example/v2/ HTTP/1.1\r\n", .answer = OK}, {.expect = "GET /direct", .answer = OK}};
	struct loopback *proxy = loopback_start(turns, 2);
	AUTO_FREE char *setting = mem_format("http_proxy=http://127.0.0.1:%d", loopback_port(proxy));
	char no_proxy[] = "no_proxy=.invalid";
	char *const env[] = {setting, no_proxy, NULL};
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* the process's own is not looked at */
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	struct http *http = new_http(NULL, env);
	struct http_answer answer = {0};
	ask(http, &(struct http_request){.method = "GET", .url = "http://registry.example/v2/"}, &answer);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	AUTO_FREE char *url = loopback_url(proxy, "/direct"); /* loopback is never asked for through a proxy */
	ask(http, &(struct http_request){.method = "GET", .url = url}, &answer);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	ask(http, &(struct http_request){.method = "GET", .url = "http://x.invalid/", .timeout_ms = 5000}, &answer);
	assert_non_null(strstr(answer.failure.message, "no address found")); /* asked for directly */
	http_answer_clear(&answer);
	http_close(http);
	assert_int_equal(loopback_stop(proxy), 0);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

static void unix_sockets(void **state) {
	(void) state;
	char folder[] = "/tmp/mlctl-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *path = fs_join(folder, "s");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *) &address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	struct http *http = new_http(NULL, NULL);
	struct err err = {0};
	struct http_event event;
	int64_t id;
	assert_int_equal(
		http_start(http, &(struct http_request){.method = "GET", .url = "http://docker/v1.41/x", .unix_socket = path}, &id, &err),
		0);
	assert_int_equal(http_step(http, clock_mono_ms(&clock_system) + 10, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	int fd = accept(listener, NULL, NULL);
	char head[4096];
	ssize_t n = recv(fd, head, sizeof(head) - 1, 0);
	assert_true(n > 0);
	head[n] = '\0';
	assert_non_null(strstr(head, "GET /v1.41/x HTTP/1.1\r\nHost: docker\r\n"));
	assert_int_equal(send(fd, OK, sizeof(OK) - 1, MSG_NOSIGNAL), (long) sizeof(OK) - 1);
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	assert_int_equal(event.answer.status, 200);
	http_answer_clear(&event.answer);
	close(fd);
	close(listener);
	http_close(http);
	assert_int_equal(fs_remove_tree(folder, &err), 0);
}

static void cancelling(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {{.then = LOOPBACK_HANG}};
	struct loopback *server = loopback_start(turns, 1);
	struct http *http = new_http(NULL, NULL);
	AUTO_FREE char *url = loopback_url(server, "/x");
	struct err err = {0};
	struct http_event event;
	int64_t id;
	assert_int_equal(http_start(http, &(struct http_request){.method = "GET", .url = url}, &id, &err), 0);
	while (loopback_request(server, 0).len == 0) {
		assert_int_equal(http_step(http, clock_mono_ms(&clock_system) + 5, &event, &err), 0);
		assert_int_equal(event.what, HTTP_TIMER);
	}
	http_cancel(http, id);
	http_cancel(http, id);
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	assert_int_equal(event.what, HTTP_IDLE);
	assert_int_equal(http_start(http, &(struct http_request){.method = "GET", .url = "http://name.invalid/"}, &id, &err), 0);
	http_close(http); /* with one under way */
	assert_int_equal(loopback_stop(server), 0);
}

static void signals_and_timers_wake_the_step(void **state) {
	(void) state;
	struct err err = {0};
	int fd = -1;
	assert_int_equal(sig_open(&fd, &err), 0);
	struct http *http = http_curl_new(&clock_system, NULL, fd, NULL, &err);
	struct http_event event;
	int64_t now = clock_mono_ms(&clock_system);
	assert_int_equal(http_step(http, now + 30, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	assert_true(clock_mono_ms(&clock_system) >= now + 30);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_int_equal(http_step(http, now + 60000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_SIGNAL);
	assert_int_equal(event.signal, SIGTERM);
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	assert_int_equal(event.what, HTTP_IDLE);
	http_close(http);
	close(fd);
	assert_int_equal(sig_take(-1), 0);
	sig_restore();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_and_timers_wake_the_step), /* first: signals are blocked before there is a thread */
		cmocka_unit_test(connections_are_kept),
		cmocka_unit_test(what_servers_do_wrong),
		cmocka_unit_test(an_endless_error_keeps_its_status),
		cmocka_unit_test(nothing_is_sent_to_nobody),
		cmocka_unit_test(refused_before_anything),
		cmocka_unit_test(streams_a_body),
		cmocka_unit_test(a_body_that_breaks),
		cmocka_unit_test(an_upload_that_is_cut_says_how_far_it_came),
		cmocka_unit_test(a_401_costs_no_upload),
		cmocka_unit_test(a_post_is_not_repeated_behind_our_back),
		cmocka_unit_test(a_put_is),
		cmocka_unit_test(a_put_that_is_once_is_not),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(streams_an_answer),
		cmocka_unit_test(secrets_are_sent_and_never_traced),
		cmocka_unit_test(proxies_come_from_what_was_handed_in),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(cancelling),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
