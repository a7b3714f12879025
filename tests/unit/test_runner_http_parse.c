/* The grammar of requests, by table: what is refused, with which status, and what is read from what passes. */
#include "runner/http/parse.h"
#include "runner/http/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

/* 0: more is needed; 200: passes; else the status it is refused with. Fed whole, then byte by byte, which must say the same. */
static int status_of(const char *bytes, size_t len, struct http_head *head) {
	int status[2] = {0, 0};
	for (int is_slow = 0; is_slow < 2; is_slow++) {
		struct http_scan scan = {0};
		struct http_fault fault = {0};
		int rc = 0;
		for (size_t n = is_slow ? 1 : len; n <= len && rc == 0; n++)
			rc = http_scan(&scan, bytes, n, &fault);
		if (rc == 1)
			rc = http_parse_request(bytes, scan.at, head, &fault) == 0 ? 1 : -1;
		status[is_slow] = rc == 1 ? 200 : rc == 0 ? 0 : fault.status;
		if (rc < 0)
			assert_non_null(fault.why);
	}
	assert_int_equal(status[0], status[1]);
	return status[0];
}

static void test_requests(void **state) {
	(void) state;
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{LINE HOST "\r\n", 200},
		{"\r\n" LINE HOST "\r\n", 200}, /* RFC 9112 2.2 */
		{"GET / HTTP/1.0\r\n\r\n", 200},
		{"GET http://a/b?c HTTP/1.1\r\n" HOST "\r\n", 200},
		{"GET http://a?c HTTP/1.1\r\n" HOST "\r\n", 200},
		{"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 200},
		{"M-SEARCH /x HTTP/1.1\r\n" HOST "\r\n", 200},
		{LINE HOST "Content-Length: 003\r\n\r\n", 200},
		{LINE HOST "Transfer-Encoding: Chunked\r\n\r\n", 200},
		{LINE HOST "X:\r\n\r\n", 200},
		{LINE HOST "X: caf\xc3\xa9\r\n\r\n", 200},
		{LINE HOST, 0},
		{"\r\n\r\n", 400},
		{LINE "\r\n", 400},
		{LINE HOST HOST "\r\n", 400},
		{LINE "Host:\r\n\r\n", 400},
		{LINE "Host: a, b\r\n\r\n", 400},
		{LINE "Host: a b\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
		{"GET / HTTP/1.1\n" HOST "\r\n", 400},
		{LINE "Host: a\n\n", 400},
		{LINE "Host: a\rX: b\r\n\r\n", 400},
		{LINE HOST "X: a\r\n b\r\n\r\n", 400},
		{LINE " Host: a\r\n\r\n", 400},
		{LINE HOST "X : a\r\n\r\n", 400},
		{LINE HOST "TE : chunked\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding : chunked\r\n\r\n", 400},
		{LINE HOST ": a\r\n\r\n", 400},
		{LINE HOST "X\r\n\r\n", 400},
		{LINE HOST "X(: a\r\n\r\n", 400},
		{LINE HOST "X: a\x01\r\n\r\n", 400},
		{LINE HOST "X: a\x7f\r\n\r\n", 400},
		{LINE HOST "Content-Length: +3\r\n\r\n", 400},
		{LINE HOST "Content-Length: -3\r\n\r\n", 400},
		{LINE HOST "Content-Length: 0x3\r\n\r\n", 400},
		{LINE HOST "Content-Length: 3 3\r\n\r\n", 400},
		{LINE HOST "Content-Length: 3, 3\r\n\r\n", 400},
		{LINE HOST "Content-Length:\r\n\r\n", 400},
		{LINE HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
		{LINE HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
		{LINE HOST "Content-Length: 99999999999999999999\r\n\r\n", 413},
		{LINE HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding: identity\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{LINE HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{LINE HOST "Expect: 200-ok\r\n\r\n", 417},
		{"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
		{"GET / HTTP/1.2\r\n" HOST "\r\n", 505},
		{"GET / HTTP/01.1\r\n" HOST "\r\n", 400},
		{"GET / http/1.1\r\n" HOST "\r\n", 400},
		{"GET /\r\n" HOST "\r\n", 400},
		{"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /  HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
		{"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},
		{"G@T / HTTP/1.1\r\n" HOST "\r\n", 400},
		{" GET / HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
		{"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET http:///x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET http://a b/x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /#x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"\x16\x03\x01", 400},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_head head;
		int status = status_of(cases[i].text, strlen(cases[i].text), &head);
		if (status != cases[i].status)
			fail_msg("%s: %d, want %d", cases[i].text, status, cases[i].status);
	}
	struct http_head head;
	assert_int_equal(status_of(LINE HOST "X: \0\r\n\r\n", sizeof(LINE HOST "X: \0\r\n\r\n") - 1, &head), 400);
}

static void test_fields(void **state) {
	(void) state;
	struct http_head head;
	static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nHost: x:80\r\nContent-Length: 12\r\nconnection: foo , Close\r\nExpect: 100-Continue\r\nX-Y:  z \t\r\n\r\n";
	assert_int_equal(status_of(text, sizeof(text) - 1, &head), 200);
	assert_int_equal(head.verb, HTTP_POST);
	assert_true(str_is(head.path, "/a/b") && str_is(head.query, "c=d") && str_is(http_header(&head, "x-y"), "z"));
	assert_true(head.has_length && head.length == 12 && head.is_closing && head.expects_continue && !head.is_chunked);
	assert_true(http_has_token(&head, "Connection", "FOO") && !http_has_token(&head, "Connection", "fo"));
	assert_null(http_header(&head, "nothing").ptr);
	assert_int_equal(status_of("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", 34, &head), 200);
	assert_true(str_is(head.path, "/") && !head.is_closing);
	assert_int_equal(status_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 42, &head), 200);
	assert_true(!head.is_closing && head.minor == 0);
	assert_int_equal(status_of("GET / HTTP/1.0\r\n\r\n", 18, &head), 200);
	assert_true(head.is_closing);
}

/* Each cap is refused before as much is kept. */
static void test_limits(void **state) {
	(void) state;
	struct http_head head;
	AUTO_BUF struct buf text = BUF(1 << 20);
	buf_text(&text, "GET /");
	for (int i = 0; i < 5000; i++)
		buf_char(&text, 'a');
	assert_int_equal(status_of(text.ptr, text.len, &head), 414);
	buf_reset(&text);
	buf_text(&text, LINE HOST "y:");
	for (int i = 0; i < 20000; i++)
		buf_text(&text, i % 100 ? "a" : "\r\nx:");
	assert_int_equal(status_of(text.ptr, text.len, &head), 431);
	buf_reset(&text);
	buf_text(&text, LINE HOST);
	for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
		buf_text(&text, "a:b\r\n");
	buf_text(&text, "\r\n");
	assert_int_equal(status_of(text.ptr, text.len, &head), 200);
	text.len -= 2;
	buf_text(&text, "c:d\r\n\r\n");
	assert_int_equal(status_of(text.ptr, text.len, &head), 431);
}

/* The decoded body, or the status it is refused with; cut into pieces of every size. */
static int decode(const char *bytes, size_t len, int64_t max, char *out, size_t *produced, size_t *used) {
	int result = 0;
	for (size_t piece = 1; piece <= len; piece++) {
		struct http_chunked chunked = {0};
		struct http_fault fault = {0};
		size_t at = 0, made = 0;
		int rc = 0;
		while (rc == 0 && at < len) {
			size_t n = len - at < piece ? len - at : piece, took = 0, gave = 0;
			rc = http_chunked_feed(&chunked, bytes + at, n, max, &took, out + made, &gave, &fault);
			if (rc >= 0) {
				at += took;
				made += gave;
			}
		}
		int status = rc == 1 ? 200 : rc == 0 ? 0 : fault.status;
		assert_true(piece == 1 || status == result);
		result = status;
		*produced = made;
		*used = at;
	}
	return result;
}

static void test_chunked(void **state) {
	(void) state;
	static const struct {
		const char *text, *body;
		int status;
	} cases[] = {
		{"3\r\nabc\r\n0\r\n\r\n", "abc", 200},
		{"3;x=y\r\nabc\r\n00\r\nT: v\r\n\r\n", "abc", 200},
		{"1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\nGET", "a0123456789", 200},
		{"0\r\n\r\n", "", 200},
		{"3\r\nab", "", 0},
		{"\r\n", "", 400},
		{"g\r\n", "", 400},
		{"+3\r\nabc\r\n0\r\n\r\n", "", 400},
		{"0x3\r\nabc\r\n0\r\n\r\n", "", 400},
		{"3 \r\nabc\r\n0\r\n\r\n", "", 400},
		{"3\nabc\r\n0\r\n\r\n", "", 400},
		{"3\r\nabcd\r\n0\r\n\r\n", "", 400},
		{"3\r\nabc\n0\r\n\r\n", "", 400},
		{"3;\x01\r\nabc\r\n0\r\n\r\n", "", 400},
		{"3;a\x01\r\nabc\r\n0\r\n\r\n", "", 400},
		{"3;\r\nabc\r\n0\r\n\r\n", "", 400},
		{"0\r\n x\r\n\r\n", "", 400},
		{"0\r\nx y: z\r\n\r\n", "", 400},
		{"0\r\nx: y\n\r\n", "", 400},
		{"ffffffffffffffff\r\n", "", 413},
		{"fffffffffffffff\r\n", "", 413},
		{"21\r\n", "", 413},
		{"10\r\n0123456789abcdef\r\n11\r\n", "", 413},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];
		size_t produced, used;
		int status = decode(cases[i].text, strlen(cases[i].text), 32, out, &produced, &used);
		if (status != cases[i].status)
			fail_msg("%s: %d, want %d", cases[i].text, status, cases[i].status);
		if (status == 200)
			assert_true(str_is((struct str) {out, produced}, cases[i].body));
	}
}

static void test_responses(void **state) {
	(void) state;
	struct http_head head;
	struct http_fault fault;
	static const char good[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n";
	assert_int_equal(http_parse_response(good, sizeof(good) - 1, &head, &fault), 0);
	assert_true(head.status == 503 && head.length == 2);
	static const char *const bad[] = {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
		"HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_parse_response(bad[i], strlen(bad[i]), &head, &fault), -1);
}

static void test_passing(void **state) {
	(void) state;
	struct http_head head;
	static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nConnection: keep-alive, X-Drop\r\nX-Drop: 1\r\nTE: trailers\r\n"
				   "Content-Length: 3\r\nMlctl-Hop: 9\r\nX-Keep: 2\r\n\r\n";
	assert_int_equal(status_of(text, sizeof(text) - 1, &head), 200);
	AUTO_BUF struct buf out = BUF(4096);
	http_write_passing(&out, &head, "mlctl-hop");
	assert_string_equal(out.ptr, "Host: a\r\nAuthorization: Bearer t\r\nX-Keep: 2\r\n");
}

static void test_date(void **state) {
	(void) state;
	char text[HTTP_DATE_MAX];
	http_date(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110's example */
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_fields), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_chunked), cmocka_unit_test(test_responses), cmocka_unit_test(test_passing), cmocka_unit_test(test_date)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
