#include "runner/http/loop.h"
#include "runner/http/write.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINGER_MS 2000
#define READ_ROOM ((size_t) 2048) /* less room than this: grow before reading */

static void conn_want(struct conn *conn, uint32_t events) {
	if (conn->events == events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = conn};
	if (epoll_ctl(conn->worker->epoll_fd, EPOLL_CTL_MOD, conn->source.fd, &event) == 0)
		conn->events = events;
}

void conn_start(struct worker *worker, const struct arrival *arrival) {
	struct conn *conn = NEW(struct conn);
	conn->source = (struct source) {SOURCE_CONN, arrival->fd};
	conn->worker = worker;
	conn->client = arrival->client;
	conn->is_reserve = arrival->is_reserve;
	conn->deadline_ms = worker->now_ms + worker->server->limits.header_ms;
	conn->events = EPOLLIN;
	conn->next = worker->conns;
	if (worker->conns)
		worker->conns->previous = conn;
	worker->conns = conn;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, arrival->fd, &event) != 0)
		conn_close(conn);
}

static void count_in_flight(struct conn *conn, bool is_counted) {
	if (conn->is_counted == is_counted)
		return;
	conn->is_counted = is_counted;
	atomic_fetch_add_explicit(&conn->worker->in_flight, is_counted ? 1 : -1, memory_order_relaxed);
}

void conn_close(struct conn *conn) {
	if (conn->state == CONN_DEAD)
		return;
	struct worker *worker = conn->worker;
	if (conn->relay)
		relay_drop(conn->relay);
	count_in_flight(conn, false);
	close(conn->source.fd); /* and so out of the epoll set: nothing duplicates these descriptors */
	conn->source.fd = -1;
	client_leave(worker->server, conn->client);
	bytes_free(worker->server, &conn->in);
	bytes_free(worker->server, &conn->out);
	atomic_fetch_sub(&worker->server->connections, 1);
	atomic_fetch_sub_explicit(&worker->conn_count, 1, memory_order_relaxed);
	if (conn->previous)
		conn->previous->next = conn->next;
	else
		worker->conns = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
	bool is_queued = conn->state == CONN_QUEUED;
	conn->state = CONN_DEAD;
	/* Events of this turn may still point here, and the queue too: the memory goes at the turn's end, or when the queue comes to it. */
	if (!is_queued) {
		conn->next = worker->dead_conns;
		worker->dead_conns = conn;
	}
}

/* Keeps what the client did not take; it is written when epoll says so. */
static int keep_rest(struct conn *conn, struct str head, struct str body, size_t sent) {
	size_t total = head.len + body.len - sent;
	if (bytes_grow(conn->worker->server, &conn->out, total) != 0)
		return -1;
	size_t of_head = sent < head.len ? head.len - sent : 0;
	size_t of_body = total - of_head;
	if (of_head)
		memcpy(conn->out.ptr, head.ptr + sent, of_head);
	if (of_body)
		memcpy(conn->out.ptr + of_head, body.ptr + (body.len - of_body), of_body);
	conn->out.len = total;
	conn->out_at = 0;
	return 0;
}

static void start_linger(struct conn *conn) {
	conn->state = CONN_LINGER;
	conn->deadline_ms = conn->worker->now_ms + LINGER_MS;
	conn->in.len = 0;
	shutdown(conn->source.fd, SHUT_WR);
	conn_want(conn, EPOLLIN);
}

/* Behind an answer: the bytes of its request go, those of the next stay. */
static void next_request(struct conn *conn) {
	struct worker *worker = conn->worker;
	size_t left = conn->in.len - conn->request_len;
	if (left)
		memmove(conn->in.ptr, conn->in.ptr + conn->request_len, left);
	conn->in.len = left;
	conn->scan = (struct http_scan) {0};
	conn->chunked = (struct http_chunked) {0};
	conn->head_len = conn->body_len = conn->raw_at = conn->request_len = 0;
	conn->parsed_at = NULL;
	conn->has_failed_over = conn->has_continued = false;
	conn->own_failed = NULL;
	conn->state = CONN_READING;
	conn->deadline_ms = worker->now_ms + (left ? worker->server->limits.header_ms : worker->server->limits.idle_ms);
	if (left == 0 && conn->in.size > CONN_BYTES_KEPT)
		bytes_free(worker->server, &conn->in);
	conn_want(conn, EPOLLIN);
}

/* Sends head and body. Afterwards the connection reads the next request, waits for the client to take the rest, lingers, or is closed. */
static void send_answer(struct conn *conn, struct str head, struct str body) {
	size_t sent = 0, total = head.len + body.len;
	struct iovec parts[2] = {{(void *) head.ptr, head.len}, {(void *) body.ptr, body.len}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.len ? 2 : 1};
	ssize_t n = sendmsg(conn->source.fd, &message, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_close(conn);
		return;
	}
	if (n > 0)
		sent = (size_t) n;
	if (sent < total) {
		if (keep_rest(conn, head, body, sent) != 0) {
			conn_close(conn);
			return;
		}
		conn->state = CONN_WRITING;
		conn->deadline_ms = conn->worker->now_ms + conn->worker->server->limits.write_ms;
		conn_want(conn, EPOLLOUT);
		return;
	}
	if (conn->is_closing)
		start_linger(conn);
	else
		next_request(conn);
}

static const char *date_now(struct worker *worker) {
	int64_t now = clock_wall_s(worker->server->clock);
	if (now != worker->date_s || !worker->date[0]) {
		worker->date_s = now;
		http_date(now, worker->date);
	}
	return worker->date;
}

/* body: the worker's `body` buffer holds it, `headers` the extra lines. length: of a body that is not sent; -1: the body's. */
static void respond(struct conn *conn, int status, const char *content_type, int64_t length) {
	struct worker *worker = conn->worker;
	count_in_flight(conn, false);
	if (worker->server->is_draining || conn->is_reserve)
		conn->is_closing = true;
	bool is_head_only = conn->parsed_at && conn->head.verb == HTTP_HEAD;
	struct http_answer answer = {.status = status,
		.minor = conn->parsed_at ? conn->head.minor : 1,
		.content_type = content_type,
		.length = length >= 0 ? length : (int64_t) worker->body.len,
		.is_closing = conn->is_closing,
		.has_no_length = status == 204 || status == 304,
		.date = date_now(worker),
		.headers = buf_view(&worker->headers)};
	buf_reset(&worker->head);
	http_write_answer(&worker->head, &answer);
	if (worker->head.failed || worker->body.failed) {
		conn_close(conn);
		return;
	}
	struct str body = is_head_only || answer.has_no_length ? (struct str) {"", 0} : buf_view(&worker->body);
	send_answer(conn, buf_view(&worker->head), body);
	if (worker->body.size > CONN_BYTES_KEPT * 64)
		buf_clear(&worker->body);
}

static void start_answer(struct worker *worker) {
	buf_reset(&worker->body);
	buf_reset(&worker->headers);
}

/* The server's own refusal; the framing is lost or the bytes unwanted, so the connection ends behind it. */
static void refuse(struct conn *conn, int status, const char *why) {
	struct worker *worker = conn->worker;
	worker->server->app.refused(worker->server->app.self, worker->index, status, why);
	conn->is_closing = true;
	start_answer(worker);
	http_write_error(&worker->body, why);
	if (status == 503)
		buf_text(&worker->headers, "Retry-After: 1\r\n");
	respond(conn, status, "application/json", -1);
}

void conn_queue(struct conn *conn) {
	struct worker *worker = conn->worker;
	conn->state = CONN_QUEUED;
	conn->queue_next = NULL;
	if (worker->queue_last)
		worker->queue_last->queue_next = conn;
	else
		worker->queue_first = conn;
	worker->queue_last = conn;
	count_in_flight(conn, true);
}

/* The buffer may have moved while the body came in; views are made anew then. It parsed once, so it parses again. */
static void refresh_head(struct conn *conn) {
	struct http_fault fault;
	if (conn->parsed_at == conn->in.ptr)
		return;
	best_effort(http_parse_request(conn->in.ptr, conn->head_len, &conn->head, &fault));
	conn->parsed_at = conn->in.ptr;
}

/* It was not handed on after all. */
static void answer_here(struct conn *conn) {
	conn->has_failed_over = true;
	conn_queue(conn);
	conn_want(conn, EPOLLIN);
}

static void answer(struct conn *conn) {
	struct worker *worker = conn->worker;
	struct http_server *server = worker->server;
	refresh_head(conn);
	start_answer(worker);
	struct http_exchange x = {.worker = worker->index,
		.head = &conn->head,
		.body = {conn->in.ptr + conn->head_len, conn->body_len},
		.received_us = conn->received_us,
		.has_failed_over = conn->has_failed_over,
		.own_failed = conn->own_failed,
		.status = 500,
		.content_type = "application/json",
		.out = &worker->body,
		.headers = &worker->headers};
	server->app.answer(server->app.self, &x);
	if (x.upstream) {
		conn->state = CONN_RELAYING;
		int rc = relay_start(conn, x.upstream);
		if (rc < 0)
			conn_relay_failed(conn, x.upstream, HTTP_UNREACHED);
		else if (rc > 0)
			answer_here(conn);
		else if (conn->state == CONN_RELAYING)
			conn_want(conn, 0);
		return;
	}
	conn->is_closing |= x.is_closing;
	respond(conn, x.status, x.content_type, -1);
}

static void advance(struct conn *conn);

void conn_run(struct conn *conn) {
	struct worker *worker = conn->worker;
	conn->state = CONN_READING;
	int64_t waited_ms = (http_mono_us() - conn->received_us) / 1000;
	if (waited_ms > worker->server->limits.timeout_ms && !conn->has_failed_over)
		refuse(conn, 503, "overloaded: the request waited longer than the timeout");
	else
		answer(conn);
	advance(conn);
}

/* A whole head is there. -1: refused, and answered so. */
static int check_head(struct conn *conn) {
	struct worker *worker = conn->worker;
	struct http_server *server = worker->server;
	struct http_fault fault;
	conn->head_len = conn->scan.at;
	if (http_parse_request(conn->in.ptr, conn->head_len, &conn->head, &fault) != 0) {
		refuse(conn, fault.status, fault.why);
		return -1;
	}
	conn->parsed_at = conn->in.ptr;
	conn->is_closing = conn->head.is_closing;
	conn->raw_at = conn->head_len;
	conn->kind = server->app.kind(server->app.self, &conn->head);
	if (server->is_draining && conn->kind == HTTP_KIND_HEAVY)
		atomic_store(&server->worked_at_ms, worker->now_ms);
	conn->deadline_ms = worker->now_ms + server->limits.body_ms;
	if (conn->head.length > server->limits.body_bytes_max) {
		refuse(conn, 413, "the body is too large");
		return -1;
	}
	if (conn->is_reserve && conn->kind != HTTP_KIND_HEALTH) {
		refuse(conn, 503, "too many connections");
		return -1;
	}
	return 0;
}

/* 1: the body is whole; 0: more is needed; -1: refused. */
static int read_body(struct conn *conn) {
	struct http_server *server = conn->worker->server;
	if (!conn->head.is_chunked) {
		size_t length = (size_t) conn->head.length, have = conn->in.len - conn->head_len;
		if (have < length)
			return 0;
		conn->body_len = length;
		conn->request_len = conn->head_len + length;
		return 1;
	}
	struct http_fault fault;
	size_t used = 0, produced = 0;
	char *out = conn->in.ptr + conn->head_len + conn->body_len;
	int rc = http_chunked_feed(&conn->chunked, conn->in.ptr + conn->raw_at, conn->in.len - conn->raw_at, server->limits.body_bytes_max, &used,
		out, &produced, &fault);
	if (rc < 0) {
		refuse(conn, fault.status, fault.why);
		return -1;
	}
	conn->body_len += produced;
	conn->raw_at += used;
	conn->request_len = conn->raw_at;
	if (rc == 0)
		conn->in.len = conn->raw_at = conn->head_len + conn->body_len;
	return rc;
}

static void send_continue(struct conn *conn) {
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	conn->has_continued = true;
	if (send(conn->source.fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != sizeof(text) - 1)
		conn_close(conn);
}

/* One step with what has been read; false: nothing more can be done now. */
static bool step(struct conn *conn) {
	struct http_fault fault;
	if (conn->head_len == 0) {
		int rc = http_scan(&conn->scan, conn->in.ptr, conn->in.len, &fault);
		if (rc < 0)
			refuse(conn, fault.status, fault.why);
		if (rc <= 0 || check_head(conn) != 0)
			return false;
	}
	refresh_head(conn);
	int rc = read_body(conn);
	if (rc < 0)
		return false;
	if (rc == 0) {
		if (conn->head.expects_continue && !conn->has_continued && conn->in.len == conn->head_len)
			send_continue(conn);
		return false;
	}
	conn->received_us = http_mono_us();
	if (conn->kind == HTTP_KIND_HEAVY) {
		conn_queue(conn);
		return false;
	}
	answer(conn);
	return true;
}

/* As many requests as are there and may be answered at once; pipelined ones keep their order. */
static void advance(struct conn *conn) {
	while (conn->state == CONN_READING && conn->in.len > 0 && step(conn))
		;
}

static void linger(struct conn *conn) {
	char waste[4096];
	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(conn->source.fd, waste, sizeof(waste), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			conn_close(conn);
			return;
		}
		if (n < 0)
			return;
	}
}

static void read_more(struct conn *conn) {
	struct worker *worker = conn->worker;
	if (conn->in.size - conn->in.len < READ_ROOM && bytes_grow(worker->server, &conn->in, conn->in.len + READ_ROOM) != 0) {
		refuse(conn, 503, "too many bytes wait to be answered");
		return;
	}
	ssize_t n = recv(conn->source.fd, conn->in.ptr + conn->in.len, conn->in.size - conn->in.len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(conn);
		return;
	}
	if (conn->in.len == 0)
		conn->deadline_ms = worker->now_ms + worker->server->limits.header_ms;
	conn->in.len += (size_t) n;
	advance(conn);
}

static void write_more(struct conn *conn) {
	ssize_t n = send(conn->source.fd, conn->out.ptr + conn->out_at, conn->out.len - conn->out_at, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(conn);
		return;
	}
	conn->out_at += (size_t) n;
	conn->deadline_ms = conn->worker->now_ms + conn->worker->server->limits.write_ms;
	if (conn->out_at < conn->out.len)
		return;
	bytes_free(conn->worker->server, &conn->out);
	if (conn->is_closing) {
		start_linger(conn);
		return;
	}
	next_request(conn);
	advance(conn);
}

void conn_event(struct conn *conn, uint32_t events) {
	if (conn->state == CONN_DEAD)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_close(conn);
		return;
	}
	if (conn->state == CONN_READING && (events & EPOLLIN))
		read_more(conn);
	else if (conn->state == CONN_WRITING && (events & EPOLLOUT))
		write_more(conn);
	else if (conn->state == CONN_LINGER)
		linger(conn);
	else if (conn->state == CONN_QUEUED)
		conn_want(conn, 0); /* a pipelining client: its bytes wait in the kernel */
}

void conn_sweep(struct conn *conn) {
	if (conn->state == CONN_READING && conn->in.len == 0 && conn->in.size)
		bytes_free(conn->worker->server, &conn->in); /* an idle connection holds no buffer */
	if (conn->state == CONN_QUEUED || conn->state == CONN_RELAYING || conn->worker->now_ms < conn->deadline_ms)
		return;
	if (conn->state == CONN_READING && conn->in.len > 0)
		refuse(conn, 408, conn->head_len ? "the body came too slowly" : "the header came too slowly");
	else
		conn_close(conn);
}

void conn_relayed(struct conn *conn, const struct relay *relay) {
	struct worker *worker = conn->worker;
	struct http_server *server = worker->server;
	conn->relay = NULL;
	const struct http_handover handover = {.upstream = &relay->upstream,
		.is_ok = true,
		.why = "",
		.status = relay->head.status,
		.received_us = conn->received_us,
		.bytes = relay->body_len};
	refresh_head(conn);
	server->app.relayed(server->app.self, worker->index, &handover);
	start_answer(worker);
	http_write_passing(&worker->headers, &relay->head, relay->upstream.revision[0] ? "mlctl-revision" : "");
	if (relay->upstream.revision[0])
		buf_format(&worker->headers, "Mlctl-Revision: %s\r\n", relay->upstream.revision);
	buf_add(&worker->body, relay->in.ptr + relay->head_len, relay->body_len);
	conn->state = CONN_READING;
	respond(conn, relay->head.status, NULL, relay->is_head_only && relay->head.has_length ? relay->head.length : -1);
	advance(conn);
}

void conn_relay_failed(struct conn *conn, const struct http_upstream *upstream, const char *why) {
	struct http_server *server = conn->worker->server;
	const struct http_handover handover = {.upstream = upstream, .why = why, .received_us = conn->received_us};
	conn->relay = NULL;
	server->app.relayed(server->app.self, conn->worker->index, &handover);
	if (upstream->is_own)
		conn->own_failed = why;
	answer_here(conn);
}
