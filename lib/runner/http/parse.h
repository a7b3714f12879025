/* HTTP/1.1 messages, strictly (RFC 9110, 9112): one grammar, and what two servers could read in two ways is refused. Requests for the
 * server, responses for the hand-over to a canary and for probes.
 *
 * Nothing here allocates or keeps state but the two small structs of the scanner and of the chunk decoder; a parsed head lends views into
 * the caller's bytes. Refusals carry the status to answer with; the connection is then closed, because its framing is lost.
 *
 * Refused on purpose although others take it: bare LF, folded headers, NUL and other control bytes, space before a colon, a missing,
 * empty or second Host, Content-Length beside Transfer-Encoding, any repeated Content-Length, signs and lists in it, any coding but one
 * "chunked", a body framed by Transfer-Encoding in HTTP/1.0, non-ASCII and '#' in the target. */
#pragma once

#include "base/str.h"

#define HTTP_HEADERS_MAX 64
#define HTTP_HEAD_BYTES_MAX ((size_t) 16 * 1024)
#define HTTP_TARGET_BYTES_MAX ((size_t) 4 * 1024)
#define HTTP_CHUNK_LINE_BYTES_MAX 256
#define HTTP_TRAILER_BYTES_MAX ((size_t) 4 * 1024)

struct http_fault {
	int status;      /* 400, 413, 414, 417, 431, 505 */
	const char *why; /* for the answer: "bare LF in the header" */
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_OTHER };

struct http_header {
	struct str name, value;
};

struct http_head {
	enum http_method verb;
	struct str method, target; /* as they came */
	struct str path, query;    /* of the target; an absolute-form's authority is left out */
	int minor;                 /* HTTP/1.<minor> */
	int status;                /* of a response, else 0 */
	bool is_chunked, has_length, is_closing, expects_continue;
	int64_t length;
	size_t bytes; /* of the head, its empty line included */
	size_t count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

/* Finds the end of a head while it arrives, and refuses at the first byte that no head may hold. */
struct http_scan {
	size_t at, line; /* bytes seen; where the current line began */
	size_t lines;
};
/* 1: the head is bytes[0..scan->at); 0: more is needed; -1: refused. `bytes` always begins at the head's first byte. */
int http_scan(struct http_scan *scan, const char *bytes, size_t len, struct http_fault *fault);

/* A whole head that http_scan() has passed. 0 or -1. */
int http_parse_request(const char *bytes, size_t len, struct http_head *head, struct http_fault *fault);
int http_parse_response(const char *bytes, size_t len, struct http_head *head, struct http_fault *fault);

/* The value of a header, or {NULL, 0}; the first one when it is repeated. */
struct str http_header(const struct http_head *head, const char *name);
/* Is `token` in the comma-separated list of every header of that name? ASCII case is ignored. */
bool http_has_token(const struct http_head *head, const char *name, const char *token);
bool http_is_token(struct str text);

/* Decodes a chunked body in place: bytes[0..*used) of the raw input are consumed, their data is moved to `out` (which may be the same
 * memory, never behind the input). 1: the body and its trailer are complete; 0: more is needed; -1: refused. */
struct http_chunked {
	int state;
	int digits;
	size_t line_bytes, trailer_bytes;
	uint64_t left;
	int64_t total;
};
int http_chunked_feed(struct http_chunked *chunked, const char *bytes, size_t len, int64_t body_bytes_max, size_t *used, char *out,
	size_t *produced, struct http_fault *fault);
