/* Heads of answers and of handed-on requests. */
#pragma once

#include "runner/http/parse.h"

/* The reason phrase: "Not Found"; "Unknown" for a status that is in no table. */
const char *http_reason(int status);
/* "Sat, 21 Nov 2026 10:02:11 GMT" (RFC 9110 5.6.7). */
#define HTTP_DATE_MAX 40
void http_date(int64_t wall_s, char out[HTTP_DATE_MAX]);

struct http_answer {
	int status, minor; /* minor: the request's HTTP/1.<minor> */
	const char *content_type; /* NULL: none */
	int64_t length;
	bool is_closing, has_no_length; /* has_no_length: 1xx, 204, 304 */
	const char *date;
	struct str headers; /* whole lines */
};
void http_write_answer(struct buf *out, const struct http_answer *answer);
/* Those headers of a message that may pass a relay: not the hop-by-hop ones of RFC 9110 7.6.1, nor what Connection names, nor the framing,
 * which is written anew, nor `except`. */
void http_write_passing(struct buf *out, const struct http_head *head, const char *except);
/* {"error":"why"} */
void http_write_error(struct buf *out, const char *why);
