/* The deep module of remote calls: sign, send, one new try after 401, retries with back-off and Retry-After under one deadline, redirects
 * by hand (same origin with credentials; other origins without; at most 5), error bodies decoded and redacted.
 *
 * GET, HEAD, PUT and DELETE are retried on refused, reset, 408, 429, 5xx. A POST or PATCH only with is_repeatable, when nothing was sent, or on 429.
 * A write whose reply was lost (sent, then cut) is ERR_UNCLEAR: the caller reads before it tries again. */
#pragma once

#include "data/value.h"
#include "net/auth.h"

struct rest {
	struct http *http;
	struct auth *auth;                /* NULL: anonymous */
	const char *ca_file;
	bool is_unverified;
	const struct http_tls *tls;       /* for the origin that the caller named only */
	const char *proxy;                /* NULL: env's */
	bool is_staying;                  /* a redirect is an answer like any other: nothing is sent where an answer says */
	const struct redactor *redact;
	int tries_max;                    /* 0: 5 */
	int at_once;                      /* of rest_call_all(): so many side by side; 0: a dozen */
	int64_t deadline_ms;              /* for the whole call, on the clock's mono; 0: 60 s from its start */
	/* The error body's shape: fills `out` with the server's own words. NULL: {"error": ..}, {"message": ..}, {"errors":[{code,message}]} are tried. */
	int (*decode_error)(const struct http_answer *answer, struct buf *out);
};

struct rest_call {
	const char *method, *url;
	const struct http_header *headers;
	size_t header_count;
	struct str body;
	const char *content_type, *accept; /* NULL: none */
	bool is_repeatable;
	bool *was_lost;                    /* set when a try before the last may have been carried out: its reply was lost; NULL */
	const char *unix_socket;
	http_write_fn write;               /* streamed 2xx answers */
	void *write_self;
	size_t answer_bytes_max;
	const int *expect;                 /* statuses that are no error besides 2xx, 0-terminated: {404, 0}; NULL: none */
	bool (*is_final)(const struct http_answer *answer); /* a whole answer that is none of those, and no error either: the caller reads it; NULL */
	int64_t timeout_ms;                /* of one try; 0: 30 s */
	int64_t stall_timeout_ms;          /* no byte either way for so long ends a try; 0: timeout_ms */
};
/* 0 with the answer when the status is 2xx or expected. Otherwise an error: 401/403 ERR_AUTH, 404 ERR_NOT_FOUND, 409/412 ERR_CONFLICT, 429/5xx after
 * the last try ERR_NETWORK, others ERR_FAILED; message: method, redacted URL, status, the server's words. A signal meanwhile: ERR_INTERRUPTED. */
int rest_call(const struct rest *rest, const struct rest_call *call, struct http_answer *answer, struct err *err);

/* Several, side by side (a dozen at a time); answers[i] or errs[i] as if asked alone (streamed answers are not for here). Fails only when interrupted, and then every
 * answer is empty. */
int rest_call_all(const struct rest *rest, const struct rest_call *calls, size_t count, struct http_answer *answers, struct err *errs, struct err *err);

/* The same sentence and code for an answer that somebody got from http_step() himself: what went wrong after `tries` tries. */
int rest_failure(const struct rest *rest, const char *method, const char *url, const struct http_answer *answer, int tries, struct err *err);

/* Pure: how long to wait before try number `n` (1 = first retry), or -1 when this outcome is not worth another. */
int64_t retry_wait_ms(const char *method, bool is_repeatable, const struct http_answer *answer, int n, int64_t jitter_permille);

/* URLs. */
struct url {
	struct str scheme, userinfo, host, path, query; /* views; host without brackets */
	int port;                                       /* explicit or the scheme's */
};
int url_parse(struct str text, struct url *out, struct err *err); /* http, https only; userinfo is reported, callers refuse it */
bool url_same_origin(const char *a, const char *b);
/* RFC 3986 5.2 for Location. Owned by the caller. */
int url_resolve(const char *base, struct str reference, char **out, struct err *err);
void url_encode(struct str text, struct buf *out); /* everything but unreserved */
/* Without userinfo and with every query value as "***". */
void url_redact(const char *url, struct buf *out);
bool url_host_is_loopback(struct str host);
/* 169.254.0.0/16, fe80::/10, the clouds' metadata services by address or name, and numbers that only a resolver would read as an address. */
bool url_host_is_link_local(struct str host);
/* Loopback, link-local, IMDS (169.254.169.254, fd00:ec2::254), private ranges: never a place to send a credential to because somebody else said so. */
bool url_host_is_inside(struct str host);
