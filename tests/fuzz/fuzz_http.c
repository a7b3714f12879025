/* HTTP from outside. The first byte chooses: a stream of requests as the server reads it, or an upstream's answer. Whatever arrives in one piece or
 * byte by byte is read the same; every view lies inside the bytes; what passes a relay is again a message of the same framing. */
#include "runner/http/parse.h"
#include "runner/http/write.h"

#include <assert.h>

#define BODY_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void inside(struct str view, const char *bytes, size_t len) {
	if (view.ptr && view.len)
		assert((view.ptr >= bytes && view.ptr + view.len <= bytes + len) || (view.len == 1 && *view.ptr == '/'));
}

/* The status it is refused with, 200 when the head is whole, 0 when more is needed. */
static int scan_by(size_t step, const char *bytes, size_t len, size_t *end) {
	struct http_scan scan = {0};
	struct http_fault fault = {0};
	int rc = 0;
	for (size_t n = step < len ? step : len; rc == 0; n = n + step < len ? n + step : len) {
		rc = http_scan(&scan, bytes, n, &fault);
		if (n == len)
			break;
	}
	*end = scan.at;
	return rc == 1 ? 200 : rc == 0 ? 0 : fault.status;
}

static void check_views(const struct http_head *head, const char *bytes, size_t len) {
	inside(head->method, bytes, len);
	inside(head->path, bytes, len);
	inside(head->query, bytes, len);
	assert(head->count <= HTTP_HEADERS_MAX && head->length >= 0 && !(head->has_length && head->is_chunked));
	for (size_t i = 0; i < head->count; i++) {
		inside(head->headers[i].name, bytes, len);
		inside(head->headers[i].value, bytes, len);
		assert(http_is_token(head->headers[i].name));
		assert(!memchr(head->headers[i].value.ptr, '\r', head->headers[i].value.len) && !memchr(head->headers[i].value.ptr, '\0', head->headers[i].value.len));
	}
}

/* A head that was passed on parses, and frames its body by nothing but what the relay adds. */
static void check_passing(const struct http_head *head) {
	AUTO_BUF struct buf out = BUF(1 << 20);
	struct http_head again;
	struct http_fault fault;
	buf_text(&out, "HTTP/1.1 200 OK\r\n");
	http_write_passing(&out, head, "mlctl-hop");
	buf_text(&out, "Content-Length: 3\r\n\r\n");
	struct http_scan scan = {0};
	if (out.len > HTTP_HEAD_BYTES_MAX || head->count == HTTP_HEADERS_MAX)
		return;
	assert(http_scan(&scan, out.ptr, out.len, &fault) == 1 && scan.at == out.len);
	assert(http_parse_response(out.ptr, out.len, &again, &fault) == 0);
	assert(again.has_length && again.length == 3 && !again.is_chunked && !http_header(&again, "mlctl-hop").ptr);
}

static int decode_by(size_t step, const char *bytes, size_t len, char *out, size_t *used, size_t *made) {
	struct http_chunked chunked = {0};
	struct http_fault fault = {0};
	int rc = 0;
	*used = *made = 0;
	while (rc == 0 && *used < len) {
		size_t n = len - *used < step ? len - *used : step, took = 0, gave = 0;
		rc = http_chunked_feed(&chunked, bytes + *used, n, BODY_MAX, &took, out + *made, &gave, &fault);
		if (rc < 0)
			return fault.status;
		assert(took <= n && gave <= took && (rc == 1 || took == n));
		*used += took;
		*made += gave;
	}
	assert(*made <= BODY_MAX);
	return rc == 1 ? 200 : 0;
}

/* In one piece and byte by byte: the same body. The length of the raw body, or 0 when it is refused or not whole. */
static size_t check_chunked(const char *bytes, size_t len) {
	size_t used[2], made[2];
	AUTO_FREE char *one = malloc(len + 1), *two = malloc(len + 1);
	int status = decode_by(len + 1, bytes, len, one, &used[0], &made[0]);
	assert(decode_by(1, bytes, len, two, &used[1], &made[1]) == status);
	if (status != 200)
		return 0;
	assert(used[0] == used[1] && made[0] == made[1] && memcmp(one, two, made[0]) == 0);
	return used[0];
}

static void check_stream(const char *bytes, size_t len, bool is_response) {
	while (len > 0) {
		size_t end[2];
		int status = scan_by(len, bytes, len, &end[0]);
		assert(scan_by(1, bytes, len, &end[1]) == status && (status != 200 || end[0] == end[1]));
		if (status != 200)
			return;
		struct http_head head;
		struct http_fault fault = {0};
		int rc = is_response ? http_parse_response(bytes, end[0], &head, &fault) : http_parse_request(bytes, end[0], &head, &fault);
		if (rc != 0) {
			assert(fault.status >= 400 && fault.status < 600 && fault.why);
			return;
		}
		check_views(&head, bytes, end[0]);
		check_passing(&head);
		bytes += end[0];
		len -= end[0];
		size_t body = head.is_chunked ? check_chunked(bytes, len) : (size_t) head.length;
		if ((head.is_chunked && body == 0) || body > len)
			return;
		bytes += body;
		len -= body;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	if (len < 2 || len > 64 * 1024)
		return 0;
	/* A copy of exactly this size, so that a byte read behind it is seen. */
	AUTO_FREE char *copy = malloc(len - 1);
	memcpy(copy, bytes + 1, len - 1);
	check_stream(copy, len - 1, bytes[0] & 1);
	return 0;
}
