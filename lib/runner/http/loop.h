/* What server.c (workers, accepting, deadlines), conn.c (one client's connection) and relay.c (one request at the upstream) share. Each
 * object belongs to one worker and is touched by its thread only; what is shared between threads is atomic or under `mutex`. */
#pragma once

#include "runner/http/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#define CONN_BYTES_START ((size_t) 4096)
#define CONN_BYTES_KEPT ((size_t) 16 * 1024) /* a larger buffer is given back between requests */
#define RELAY_IDLE_MAX 64
#define RELAY_IDLE_MS 30000
#define RELAY_CONNECT_MS 500
#define RELAY_SHUT_MS 1000 /* so long nobody else waits for a connection that did not come */
#define ANSWER_BYTES_MAX ((size_t) 256 << 20)

enum source_kind { SOURCE_LISTEN, SOURCE_WAKE, SOURCE_CONN, SOURCE_RELAY };
struct source { /* what epoll hands back; first member of whatever is registered */
	enum source_kind kind;
	int fd;
};

/* Bytes on the heap, counted against the server's budget. */
struct bytes {
	char *ptr;
	size_t len, size;
};

enum conn_state {
	CONN_READING,
	CONN_QUEUED,   /* a whole request waits to be computed */
	CONN_RELAYING, /* the upstream has it */
	CONN_WRITING,  /* the client does not take the answer fast enough */
	CONN_LINGER,   /* answered for the last time: what still comes is thrown away, so that no reset destroys the answer */
	CONN_DEAD,     /* closed; the memory goes when no list holds it */
};

struct conn {
	struct source source;
	struct worker *worker;
	struct conn *previous, *next; /* all of the worker's */
	struct conn *queue_next;
	enum conn_state state;
	uint32_t events;
	bool is_reserve, is_closing, has_failed_over, has_continued, is_counted;
	const char *own_failed;
	uint64_t client; /* key of the per-client count; 0: none */
	int64_t deadline_ms, received_us;
	struct bytes in, out;
	size_t out_at;
	/* The request being read: in.ptr[0..head_len) is its head, the (decoded) body follows, `raw_at` is where undecoded bytes begin. */
	struct http_scan scan;
	struct http_chunked chunked;
	size_t head_len, body_len, raw_at, request_len;
	const char *parsed_at; /* in.ptr when `head` was parsed: a moved buffer means parsing again */
	struct http_head head;
	enum http_kind kind;
	struct relay *relay;
};

enum relay_state { RELAY_CONNECTING, RELAY_SENDING, RELAY_READING, RELAY_IDLE, RELAY_DEAD };

struct relay {
	struct source source;
	struct worker *worker;
	struct conn *conn; /* NULL when idle */
	struct relay *next;
	enum relay_state state;
	struct http_upstream upstream;
	bool is_reused, is_head_only;
	int64_t deadline_ms, connect_by_ms;
	struct bytes out, in;
	size_t out_at;
	struct http_scan scan;
	struct http_chunked chunked;
	size_t head_len, body_len, raw_at;
	struct http_head head;
};

struct arrival {
	int fd;
	uint64_t client;
	bool is_reserve;
};

struct worker {
	struct http_server *server;
	unsigned index;
	pthread_t thread;
	bool is_started;
	int epoll_fd;
	struct source wake, listen;
	bool is_listening;
	pthread_mutex_t mutex; /* guards arrivals */
	struct arrival *arrivals;
	size_t arrival_count, arrival_size;
	_Atomic int64_t conn_count, in_flight;
	_Atomic bool is_done;
	int64_t now_ms, swept_ms;
	struct conn *conns;
	struct conn *queue_first, *queue_last;
	struct conn *dead_conns;
	struct relay *relays, *dead_relays;
	size_t idle_relays;
	struct net_address shut; /* did not connect in time */
	int64_t shut_until_ms;
	struct buf body, headers, head;
	char date[40];
	int64_t date_s;
} __attribute__((aligned(64)));

struct client_count {
	uint64_t key; /* 0: free */
	uint32_t count;
};

struct http_server {
	struct http_limits limits;
	struct http_app app;
	const struct clock *clock;
	int listen_fd;
	bool is_shared;
	_Atomic bool is_draining;
	_Atomic int64_t drain_at_ms, worked_at_ms; /* when it began to drain; when it was last asked for work meanwhile */
	_Atomic int64_t delay_ms, longest_ms, patience_ms; /* of the drain */
	_Atomic int64_t buffered_bytes, connections;
	pthread_mutex_t clients_mutex;
	struct client_count *clients;
	size_t client_slots; /* a power of two, at least twice the connections */
	unsigned worker_count;
	struct worker *workers;
};

/* server.c */
int bytes_grow(struct http_server *server, struct bytes *bytes, size_t need); /* -1: the budget or memory is used up */
void bytes_free(struct http_server *server, struct bytes *bytes);
void client_leave(struct http_server *server, uint64_t key);

/* conn.c */
void conn_start(struct worker *worker, const struct arrival *arrival);
void conn_event(struct conn *conn, uint32_t events);
void conn_run(struct conn *conn);   /* the head of the queue: compute and answer */
void conn_sweep(struct conn *conn); /* its deadline */
void conn_close(struct conn *conn);
void conn_queue(struct conn *conn);
/* The upstream's answer, or (is_ok false) the request goes back into the queue to be answered here. */
void conn_relayed(struct conn *conn, const struct relay *relay);
void conn_relay_failed(struct conn *conn, const struct http_upstream *upstream, const char *why);

/* relay.c */
int relay_start(struct conn *conn, const struct http_upstream *upstream);
void relay_event(struct relay *relay, uint32_t events);
void relay_sweep(struct relay *relay);
void relay_drop(struct relay *relay); /* the client is gone, or the worker ends */
