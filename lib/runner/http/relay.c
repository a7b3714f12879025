/* One request handed on to the upstream, in the worker's own epoll. The whole answer is taken in before the client sees its first byte, so
 * whatever goes wrong before that, the request can still be answered here. Connections are kept; one that was kept and turns out to be
 * closed is replaced once by a new one, which is no failure of the upstream's. */
#include "runner/http/loop.h"
#include "runner/http/write.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_ROOM ((size_t) 4096)

static void unlink_relay(struct relay *relay) {
	for (struct relay **at = &relay->worker->relays; *at; at = &(*at)->next)
		if (*at == relay) {
			*at = relay->next;
			return;
		}
}

void relay_drop(struct relay *relay) {
	if (relay->state == RELAY_DEAD)
		return;
	struct worker *worker = relay->worker;
	if (relay->conn)
		relay->conn->relay = NULL;
	if (relay->state == RELAY_IDLE)
		worker->idle_relays--;
	relay->conn = NULL;
	relay->state = RELAY_DEAD;
	close(relay->source.fd);
	bytes_free(worker->server, &relay->in);
	bytes_free(worker->server, &relay->out);
	unlink_relay(relay);
	relay->next = worker->dead_relays;
	worker->dead_relays = relay;
}

static void relay_want(struct relay *relay, uint32_t events) {
	struct epoll_event event = {.events = events, .data.ptr = relay};
	best_effort(epoll_ctl(relay->worker->epoll_fd, EPOLL_CTL_MOD, relay->source.fd, &event)); /* fails only for a closed descriptor */
}

static struct relay *relay_open(struct worker *worker, const struct http_upstream *upstream) {
	int fd;
	if (net_connect(&upstream->address, &fd) != 0)
		return NULL;
	struct relay *relay = NEW(struct relay);
	relay->source = (struct source) {SOURCE_RELAY, fd};
	relay->worker = worker;
	relay->upstream = *upstream;
	relay->state = RELAY_CONNECTING;
	relay->connect_by_ms = worker->now_ms + RELAY_CONNECT_MS;
	relay->next = worker->relays;
	worker->relays = relay;
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = relay};
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		relay_drop(relay);
		return NULL;
	}
	return relay;
}

static bool is_shut(const struct worker *worker, const struct http_upstream *upstream) {
	return worker->now_ms < worker->shut_until_ms && net_equal(&worker->shut, &upstream->address);
}

static struct relay *relay_idle(struct worker *worker, const struct http_upstream *upstream) {
	for (struct relay *relay = worker->relays; relay; relay = relay->next)
		if (relay->state == RELAY_IDLE && net_equal(&relay->upstream.address, &upstream->address)) {
			worker->idle_relays--;
			relay->upstream = *upstream;
			relay->is_reused = true;
			return relay;
		}
	return NULL;
}

/* The request as it goes on: what came, with the hop marked and the framing written anew. */
static int write_request(struct relay *relay, const struct conn *conn) {
	struct worker *worker = relay->worker;
	struct buf *head = &worker->head;
	buf_reset(head);
	buf_str(head, conn->head.method);
	buf_char(head, ' ');
	buf_str(head, conn->head.path);
	if (conn->head.query.ptr) {
		buf_char(head, '?');
		buf_str(head, conn->head.query);
	}
	buf_text(head, " HTTP/1.1\r\n");
	if (!http_header(&conn->head, "host").ptr)
		buf_text(head, "Host: upstream\r\n"); /* HTTP/1.0 may have none */
	http_write_passing(head, &conn->head, "mlctl-hop");
	if (!relay->upstream.is_own)
		buf_text(head, "Mlctl-Hop: 1\r\n");
	bool has_body = conn->body_len || conn->head.has_length || conn->head.is_chunked;
	if (has_body || conn->head.verb == HTTP_POST) /* a GET with a length is refused by some servers */
		buf_format(head, "Content-Length: %zu\r\n", conn->body_len);
	buf_text(head, "\r\n");
	relay->is_head_only = conn->head.verb == HTTP_HEAD;
	if (head->failed || bytes_grow(worker->server, &relay->out, head->len + conn->body_len) != 0)
		return -1;
	memcpy(relay->out.ptr, head->ptr, head->len);
	memcpy(relay->out.ptr + head->len, conn->in.ptr + conn->head_len, conn->body_len);
	relay->out.len = head->len + conn->body_len;
	relay->out_at = 0;
	return 0;
}

static void start_reading(struct relay *relay) {
	relay->in.len = 0;
	relay->scan = (struct http_scan) {0};
	relay->chunked = (struct http_chunked) {0};
	relay->head_len = relay->body_len = relay->raw_at = 0;
}

static void send_more(struct relay *relay);

int relay_start(struct conn *conn, const struct http_upstream *upstream) {
	struct worker *worker = conn->worker;
	struct relay *relay = relay_idle(worker, upstream);
	bool is_kept = relay != NULL;
	if (!relay && is_shut(worker, upstream))
		return 1;
	if (!relay)
		relay = relay_open(worker, upstream);
	if (!relay)
		return -1;
	if (is_kept)
		relay->state = RELAY_SENDING;
	if (write_request(relay, conn) != 0) {
		relay_drop(relay);
		return -1;
	}
	relay->conn = conn;
	conn->relay = relay;
	relay->deadline_ms = worker->now_ms + worker->server->limits.timeout_ms;
	start_reading(relay);
	if (is_kept)
		relay_want(relay, EPOLLOUT); /* sent on the next turn, so that a failure never comes back into the caller */
	return 0;
}

static void give_up(struct relay *relay, const char *why) {
	struct conn *conn = relay->conn;
	const struct http_upstream upstream = relay->upstream;
	relay_drop(relay);
	if (conn)
		conn_relay_failed(conn, &upstream, why);
}

/* The connection broke. A kept one that brought no byte was closed by the other side while it was idle: once more on a new one. */
static void broken(struct relay *relay, const char *why) {
	struct conn *conn = relay->conn;
	if (!conn || !relay->is_reused || relay->in.len > 0) {
		give_up(relay, why);
		return;
	}
	struct http_upstream upstream = relay->upstream;
	struct worker *worker = relay->worker;
	int64_t deadline_ms = relay->deadline_ms;
	relay_drop(relay);
	struct relay *again = is_shut(worker, &upstream) ? NULL : relay_open(worker, &upstream);
	if (!again || write_request(again, conn) != 0) {
		if (again)
			relay_drop(again);
		conn_relay_failed(conn, &upstream, again ? why : HTTP_UNREACHED);
		return;
	}
	again->conn = conn;
	conn->relay = again;
	again->deadline_ms = deadline_ms;
}

static void send_more(struct relay *relay) {
	while (relay->out_at < relay->out.len) {
		ssize_t n = send(relay->source.fd, relay->out.ptr + relay->out_at, relay->out.len - relay->out_at, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			broken(relay, "reset");
			return;
		}
		relay->out_at += (size_t) n;
	}
	relay->state = RELAY_READING;
	relay_want(relay, EPOLLIN);
}

/* The answer is whole: the client gets it, the connection is kept when it may be. */
static void finish(struct relay *relay) {
	struct worker *worker = relay->worker;
	struct conn *conn = relay->conn;
	bool is_kept = !relay->head.is_closing && (relay->head.has_length || relay->head.is_chunked || relay->is_head_only) && worker->idle_relays < RELAY_IDLE_MAX &&
		       !worker->server->is_draining && relay->raw_at == relay->in.len;
	relay->conn = NULL;
	conn_relayed(conn, relay);
	if (!is_kept) {
		relay_drop(relay);
		return;
	}
	relay->state = RELAY_IDLE;
	relay->deadline_ms = worker->now_ms + RELAY_IDLE_MS;
	worker->idle_relays++;
	relay->in.len = 0;
	if (relay->in.size > CONN_BYTES_KEPT)
		bytes_free(worker->server, &relay->in);
	if (relay->out.size > CONN_BYTES_KEPT)
		bytes_free(worker->server, &relay->out);
}

/* 1: the answer is whole; 0: more is needed; -1: it is no answer. */
static int read_answer(struct relay *relay, bool is_eof) {
	struct http_fault fault;
	while (relay->head_len == 0) {
		int rc = http_scan(&relay->scan, relay->in.ptr, relay->in.len, &fault);
		if (rc <= 0)
			return rc;
		if (http_parse_response(relay->in.ptr, relay->scan.at, &relay->head, &fault) != 0)
			return -1;
		if (relay->head.status >= 200) {
			relay->head_len = relay->raw_at = relay->scan.at;
			break;
		}
		relay->in.len -= relay->scan.at; /* 1xx: an interim answer */
		memmove(relay->in.ptr, relay->in.ptr + relay->scan.at, relay->in.len);
		relay->scan = (struct http_scan) {0};
	}
	size_t have = relay->in.len - relay->head_len;
	if (relay->is_head_only || relay->head.status == 204 || relay->head.status == 304) {
		relay->raw_at = relay->head_len;
		return 1;
	}
	if (relay->head.is_chunked) {
		size_t used = 0, produced = 0;
		int rc = http_chunked_feed(&relay->chunked, relay->in.ptr + relay->raw_at, relay->in.len - relay->raw_at,
			relay->worker->server->limits.buffered_bytes_max, &used, relay->in.ptr + relay->head_len + relay->body_len, &produced, &fault);
		if (rc < 0)
			return -1;
		relay->body_len += produced;
		relay->raw_at += used;
		if (rc == 0)
			relay->in.len = relay->raw_at = relay->head_len + relay->body_len;
		return rc;
	}
	relay->body_len = relay->head.has_length ? (size_t) relay->head.length : have;
	relay->raw_at = relay->head_len + relay->body_len;
	return relay->head.has_length ? have >= relay->body_len : is_eof;
}

/* The views of the head are made anew where the buffer has moved since. */
static int parse_again(struct relay *relay) {
	struct http_fault fault;
	return http_parse_response(relay->in.ptr, relay->head_len, &relay->head, &fault);
}

static void read_more(struct relay *relay) {
	struct http_server *server = relay->worker->server;
	if (relay->in.size - relay->in.len < READ_ROOM && bytes_grow(server, &relay->in, relay->in.len + READ_ROOM) != 0) {
		give_up(relay, "too large");
		return;
	}
	ssize_t n = recv(relay->source.fd, relay->in.ptr + relay->in.len, relay->in.size - relay->in.len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		broken(relay, "reset");
		return;
	}
	relay->in.len += (size_t) n;
	int rc = relay->in.len ? read_answer(relay, n == 0) : 0;
	if (rc == 1 && parse_again(relay) == 0)
		finish(relay);
	else if (rc != 0)
		give_up(relay, "malformed");
	else if (n == 0)
		broken(relay, "reset");
}

void relay_event(struct relay *relay, uint32_t events) {
	switch (relay->state) {
	case RELAY_DEAD:
		return;
	case RELAY_IDLE: /* closed by the other side, or bytes nobody asked for */
		relay_drop(relay);
		return;
	case RELAY_CONNECTING: {
		int failure = 0;
		socklen_t len = sizeof(failure);
		if (getsockopt(relay->source.fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0 || failure != 0 || (events & (EPOLLERR | EPOLLHUP))) {
			give_up(relay, HTTP_UNREACHED);
			return;
		}
		relay->state = RELAY_SENDING;
		send_more(relay);
		return;
	}
	case RELAY_SENDING:
		send_more(relay);
		return;
	case RELAY_READING:
		read_more(relay);
		return;
	}
}

/* Why it failed. The server behind has nobody who would answer for it: whoever waits for that one loses nothing. */
static const char *no_connection(struct relay *relay) {
	struct worker *worker = relay->worker;
	if (relay->upstream.is_own)
		return worker->now_ms >= relay->deadline_ms ? "timeout" : HTTP_UNREACHED;
	worker->shut = relay->upstream.address;
	worker->shut_until_ms = worker->now_ms + RELAY_SHUT_MS;
	return HTTP_UNREACHED;
}

void relay_sweep(struct relay *relay) {
	int64_t now_ms = relay->worker->now_ms;
	if (relay->state == RELAY_IDLE && now_ms >= relay->deadline_ms)
		relay_drop(relay);
	else if (relay->state == RELAY_CONNECTING && (now_ms >= relay->connect_by_ms || now_ms >= relay->deadline_ms))
		give_up(relay, no_connection(relay));
	else if (relay->state != RELAY_IDLE && relay->state != RELAY_DEAD && now_ms >= relay->deadline_ms)
		give_up(relay, "timeout");
}
