/* The seam to the network, asynchronous: many requests at once on one thread. Bodies stream both ways by callback; an answer may
 * never end (watch, logs). Timers and signals wake the same step, so a lease is renewed in the middle of a 1 GiB PUT.
 *
 * This layer never follows a redirect, never retries, never adds a credential: rest.h does, and is the only caller of http_start()
 * besides streams that own their protocol (oci/registry's blobs). http_curl.c implements it; tests/fakes/ has a scripted one. */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

struct http_header {
	const char *name;
	const char *value;           /* one of the two; a secret is never traced */
	const struct secret *secret; /* sent as prefix + secret */
	const char *prefix;          /* "Bearer " before the secret; NULL: none */
};

/* Fills `bytes` from `offset` of the body (offset lets a body be sent again); *got 0 only at its end. */
typedef int (*http_read_fn)(void *self, int64_t offset, void *bytes, size_t len, size_t *got, struct err *err);
typedef int (*http_write_fn)(void *self, const void *bytes, size_t len, struct err *err);
typedef void (*http_sent_fn)(void *self, int64_t sent_bytes); /* progress of the upload; falls back when the body is sent again */


/* TLS with a server that brings its own trust: PEM in memory, so that a key that came inside a file of settings never becomes a file of its own. */
struct http_tls {
	struct str ca;               /* trusted instead of ca_file and of the system's; empty: those */
	struct str certificate, key; /* ours, with its chain; empty: none */
	const char *server_name;     /* asked for (SNI) and verified instead of the URL's host; NULL: that */
};

/* The end of a request that somebody else may be stepping for. The answer is its own to take; what it leaves is cleared. It may start and cancel
 * requests, and never steps. */
struct http_answer;
typedef void (*http_done_fn)(void *self, struct http_answer *answer);
typedef void (*http_tick_fn)(void *self);

struct http_request {
	const char *method, *url;    /* http, https; nothing else */
	const char *unix_socket;     /* connect here instead of to the URL's host */
	const struct http_header *headers;
	size_t header_count;
	struct str body;             /* a body in memory, lent until the request is done; or: */
	http_read_fn read;           /* a streamed body of exactly body_bytes */
	void *read_self;
	int64_t body_bytes;
	bool is_once;                /* once a byte of the body went out it is never replayed below here, whatever the method */
	http_sent_fn sent;           /* NULL: nobody watches */
	void *sent_self;
	http_write_fn write;         /* streamed answer for status 2xx; NULL: collected */
	void *write_self;
	size_t answer_bytes_max;     /* of a collected answer and of every error body; 0: 1 MiB */
	int64_t timeout_ms;          /* whole request; 0: no end (watch) */
	int64_t connect_timeout_ms;  /* 0: 10 s */
	int64_t stall_timeout_ms;    /* no byte either way for so long: ERR_TIMEOUT; 0: 60 s */
	const char *ca_file;         /* NULL: the system's */
	bool is_unverified;          /* TLS without a check: only where the user named the host */
	const struct http_tls *tls;  /* NULL: nothing of its own */
	const char *proxy;           /* for this request, instead of what env says: http, https or socks5 URL, may hold user:password; NULL: env's */
	void (*begun)(void *self);   /* done_self hears that the head of a 2xx answer came: a watch that says nothing yet stands. NULL: nobody asks */
	http_done_fn done;           /* told from inside http_step() instead of returning HTTP_DONE; NULL: returned */
	void *done_self;
};

struct http_answer {
	int status;                  /* of a whole answer; 0: none arrived or it was cut, then `failure` says why */
	char *headers;               /* owned: "name: value\n" lines, names in lower case */
	char *body;                  /* owned, NUL-terminated; collected answers and error bodies */
	size_t body_len;
	int64_t sent_bytes;          /* of the body that went out; 0 and !was_sent: the server saw nothing */
	bool was_sent;               /* at least one byte of the request may have reached the server */
	int64_t ms;
	struct err failure;          /* ERR_NETWORK, ERR_TIMEOUT, or what a callback said */
};
void http_answer_clear(struct http_answer *answer);
/* First value of a header (lower-case name); empty when missing. */
struct str http_header_of(const struct http_answer *answer, const char *name);

enum http_happened {
	HTTP_DONE,   /* request `id` ended: answer filled, id is free again */
	HTTP_TIMER,  /* `until` came */
	HTTP_SIGNAL, /* a signal was asked for (SIGINT, SIGTERM): see `signal` */
	HTTP_IDLE,   /* nothing under way and no `until` */
	HTTP_NEWS,   /* http_step_news() only: http_news() was called by a callback */
};
struct http_event {
	enum http_happened what;
	int64_t id;
	int signal;
	struct http_answer answer; /* HTTP_DONE: the caller's to clear */
};

struct http {
	int (*start)(struct http *http, const struct http_request *request, int64_t *id, struct err *err);
	/* Runs until something happened; until_ms on the clock given to http, INT64_MAX: no timer. */
	int (*step)(struct http *http, int64_t until_ms, struct http_event *event, struct err *err);
	void (*cancel)(struct http *http, int64_t id);
	void (*close)(struct http *http);
	const struct clock *clock;
	const struct log *log;
	struct http_event *kept; /* what http_keep() put aside, oldest first */
	size_t kept_count;
	bool has_news, owes_news; /* owes_news: it came while nobody listened */
	struct http_waiting *waiting; /* requests with a `done`, and ticks */
	size_t waiting_count;
	int64_t deadline_ms; /* on the clock: no call of rest.h lasts longer, whatever it is told; 0: none. For whoever must be gone soon */
	int *interrupted; /* NULL, or where the first signal is noted for good: a caller that ignores a failed call still hears of it */
};
/* Everything of the request but the callbacks, body and read_self is copied, what tls points to as well. */
int http_start(struct http *http, const struct http_request *request, int64_t *id, struct err *err);
int http_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err);
/* The same, and comes back early with HTTP_NEWS when a callback says http_news(), or said it since the last time: something changed that others may be
 * waiting for. */
int http_step_news(struct http *http, int64_t until_ms, struct http_event *event, struct err *err);
void http_news(struct http *http);
void http_cancel(struct http *http, int64_t id); /* its event never comes, not even one that was kept */
void http_close(struct http *http);              /* NULL is fine */
/* Calls `tick` from inside http_step(), once, when at_ms has come; whoever steps sees nothing of it. As http_done_fn: it never steps. The same
 * (tick, self) again moves it; http_tick_cancel() takes it out. */
void http_tick(struct http *http, int64_t at_ms, http_tick_fn tick, void *self);
void http_tick_cancel(struct http *http, http_tick_fn tick, void *self);
/* For whoever steps on behalf of one request and meets another's event: the next http_step() hands it out first. Takes the answer. */
void http_keep(struct http *http, struct http_event *event);
/* A kept signal, taken out; 0: none. */
int http_kept_signal(struct http *http);

/* libcurl. proxy settings come from env (https_proxy, http_proxy, no_proxy, all_proxy). signal_fd: a signalfd that wakes the step, or -1. libcurl is
 * initialised here and not before. */
struct env;
struct http *http_curl_new(const struct clock *clock, const struct env *env, int signal_fd, const struct log *log, struct err *err);
