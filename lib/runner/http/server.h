/* The server: N workers, each with its own epoll, connections and scratch memory, on one shared listening socket. It owns framing, limits,
 * deadlines, drain and the hand-over of a request to another server; what a request means is the app's (serve/).
 *
 * The listening socket may be shared with other processes (EPOLLEXCLUSIVE wakes one). A connection is given to the worker of this process
 * that has fewest. Requests the app calls quick (health, metrics) are answered as soon as they are read, also while others wait to be
 * computed; the others are queued and run between two looks at the sockets, so health waits for one run at most. */
#pragma once

#include "base/clock.h"
#include "runner/http/net.h"
#include "runner/http/parse.h"

#define HTTP_WORKERS_MAX 256
#define HTTP_REVISION_MAX 128
#define HTTP_RESERVE 64 /* connections past the cap, for health only */

enum http_kind {
	HTTP_KIND_HEALTH, /* answered at once, also past the cap of connections */
	HTTP_KIND_QUICK,  /* answered at once */
	HTTP_KIND_HEAVY,  /* queued */
};

/* Where to hand a request on to: the canary, or the server that this one stands in front of. */
struct http_upstream {
	struct net_address address;
	char revision[HTTP_REVISION_MAX]; /* "": answers do not name it */
	bool is_own;			  /* the server behind: its answers are this one's own, and nobody else has another */
};

#define HTTP_UNREACHED "connect" /* there was no connection: of what would have been at its end that says little */
/* How a hand-over ended. */
struct http_handover {
	const struct http_upstream *upstream;
	bool is_ok;
	const char *why; /* it failed: HTTP_UNREACHED, "reset", "timeout", "malformed", "too large" */
	int status;
	int64_t received_us; /* of the request */
	size_t bytes;	     /* of the answer's body */
};

/* One request and its answer; lent to the app for the length of a call. */
struct http_exchange {
	unsigned worker;
	const struct http_head *head;
	struct str body;
	int64_t received_us; /* monotonic: when its last byte was read */
	bool has_failed_over; /* it was handed on and failed there: answer it here */
	const char *own_failed; /* the server behind failed, and why; NULL: it was not asked yet */
	/* The answer. `out` and `headers` are empty at the start; headers are whole lines with CRLF. */
	int status;
	const char *content_type;
	struct buf *out, *headers;
	bool is_closing;
	const struct http_upstream *upstream; /* set: hand on instead of answering; copied */
};

struct http_app {
	void *self;
	enum http_kind (*kind)(void *self, const struct http_head *head);
	void (*answer)(void *self, struct http_exchange *x);
	/* The server refused by itself: a malformed or too large request, overload, a deadline. */
	void (*refused)(void *self, unsigned worker, int status, const char *why);
	/* A hand-over ended; when it failed, answer() is called for the same request next. */
	void (*relayed)(void *self, unsigned worker, const struct http_handover *handover);
};

struct http_limits {
	int threads;
	size_t connections_max, per_client_max;
	int64_t body_bytes_max, buffered_bytes_max;
	int64_t header_ms, body_ms, idle_ms, write_ms; /* deadlines of a connection */
	int64_t timeout_ms;                            /* of a request: in the queue, or at the upstream */
};
#define HTTP_LIMITS_DEFAULT                                                                                                                \
	((struct http_limits) {.threads = 1,                                                                                               \
		.connections_max = 4096,                                                                                                   \
		.per_client_max = 2048,                                                                                                    \
		.body_bytes_max = 16 << 20,                                                                                                \
		.buffered_bytes_max = 256 << 20,                                                                                           \
		.header_ms = 10000,                                                                                                        \
		.body_ms = 30000,                                                                                                          \
		.idle_ms = 75000,                                                                                                          \
		.write_ms = 30000,                                                                                                         \
		.timeout_ms = 2000})

struct http_server;
/* listen_fd stays the caller's. is_shared: other processes accept on it, so a drain stops accepting at once; else it goes on until the
 * last connection is gone, since nobody else would answer. */
int http_server_start(int listen_fd, bool is_shared, const struct http_limits *limits, const struct http_app *app, const struct clock *clock,
	struct http_server **out, struct err *err);
/* From now on every answer says Connection: close; workers end when their last connection is gone, or at the deadline. Before delay_ms is over a
 * server that does not share its socket stays also without one: a load balancer that has not heard yet may still send somebody. Each request for
 * work (health and metrics are none) shows that it has not: the delay begins anew, and the deadline moves with it, by patience_ms at most. */
struct http_drain {
	int64_t delay_ms, longest_ms, patience_ms; /* longest_ms: with the delay in it */
};
void http_server_drain(struct http_server *server, const struct http_drain *drain);
bool http_server_is_draining(const struct http_server *server);
bool http_server_is_done(const struct http_server *server); /* after a drain: every worker has ended */
void http_server_free(struct http_server *server);          /* drains with no patience, joins, frees */
int64_t http_server_in_flight(const struct http_server *server);
int64_t http_server_connections(const struct http_server *server);

int64_t http_mono_us(void);
