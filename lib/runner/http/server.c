#include "runner/http/loop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 128
#define ACCEPTS_MAX 32       /* a turn, so that a flood of connections does not starve the requests */
#define RUN_BUDGET_US 1000   /* then the sockets are looked at again, so that health is answered under load */
#define TICK_MS 250
#define TICK_RELAY_MS 20
#define ARRIVALS_MAX 8192

int64_t http_mono_us(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int bytes_grow(struct http_server *server, struct bytes *bytes, size_t need) {
	if (bytes->size >= need)
		return 0;
	size_t size = bytes->size ? bytes->size : CONN_BYTES_START;
	while (size < need)
		size *= 2;
	int64_t more = (int64_t) (size - bytes->size);
	if (atomic_fetch_add(&server->buffered_bytes, more) + more > server->limits.buffered_bytes_max) {
		atomic_fetch_sub(&server->buffered_bytes, more);
		return -1;
	}
	char *grown = realloc(bytes->ptr, size);
	if (!grown) {
		atomic_fetch_sub(&server->buffered_bytes, more);
		return -1;
	}
	bytes->ptr = grown;
	bytes->size = size;
	return 0;
}

void bytes_free(struct http_server *server, struct bytes *bytes) {
	atomic_fetch_sub(&server->buffered_bytes, (int64_t) bytes->size);
	free(bytes->ptr);
	*bytes = (struct bytes) {0};
}

/* The slot of a key, or a free one for it. A slot whose count is 0 keeps its key, so that no chain breaks, and is taken over by the next. */
static struct client_count *client_slot(struct http_server *server, uint64_t key) {
	struct client_count *reusable = NULL;
	size_t at = (size_t) (key * 0x9e3779b97f4a7c15u >> 20) & (server->client_slots - 1);
	for (size_t i = 0; i < server->client_slots; i++) {
		struct client_count *slot = &server->clients[(at + i) & (server->client_slots - 1)];
		if (slot->key == key)
			return slot;
		if (slot->count == 0 && !reusable)
			reusable = slot;
		if (slot->key == 0)
			break;
	}
	return reusable;
}

/* false: this client has as many connections as one may have. */
static bool client_enter(struct http_server *server, uint64_t key) {
	if (key == 0)
		return true;
	pthread_mutex_lock(&server->clients_mutex);
	struct client_count *slot = client_slot(server, key);
	bool is_in = slot && (slot->key != key || slot->count < server->limits.per_client_max);
	if (is_in) {
		slot->count = slot->key == key ? slot->count + 1 : 1;
		slot->key = key;
	}
	pthread_mutex_unlock(&server->clients_mutex);
	return is_in;
}

void client_leave(struct http_server *server, uint64_t key) {
	if (key == 0)
		return;
	pthread_mutex_lock(&server->clients_mutex);
	struct client_count *slot = client_slot(server, key);
	if (slot && slot->key == key && slot->count > 0)
		slot->count--;
	pthread_mutex_unlock(&server->clients_mutex);
}

/* An IPv4 address (also where a socket for both shows it as ::ffff:1.2.3.4), or the /64 of an IPv6 one (who has one address there has them all); 0
 * for a unix socket. */
static uint64_t client_key(const struct net_address *peer) {
	if (peer->any.sa_family == AF_INET)
		return (uint64_t) peer->v4.sin_addr.s_addr | 1ull << 63;
	if (peer->any.sa_family != AF_INET6)
		return 0;
	const uint8_t *bytes = peer->v6.sin6_addr.s6_addr;
	uint32_t v4;
	uint64_t prefix;
	memcpy(&v4, bytes + 12, sizeof(v4));
	memcpy(&prefix, bytes, sizeof(prefix));
	return IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr) ? (uint64_t) v4 | 1ull << 63 : prefix | 1;
}

static void wake(struct worker *worker) {
	uint64_t one = 1;
	best_effort(write(worker->wake.fd, &one, sizeof(one)) == sizeof(one)); /* a full counter wakes as well */
}

static struct worker *worker_with_fewest(struct worker *self) {
	struct http_server *server = self->server;
	struct worker *best = self;
	int64_t fewest = atomic_load_explicit(&self->conn_count, memory_order_relaxed) - 1;
	for (unsigned i = 0; i < server->worker_count; i++) {
		int64_t count = atomic_load_explicit(&server->workers[i].conn_count, memory_order_relaxed);
		if (count < fewest && !atomic_load(&server->workers[i].is_done)) {
			fewest = count;
			best = &server->workers[i];
		}
	}
	return best;
}

/* -1: that worker ends just now, or has too many waiting. */
static int give(struct worker *worker, const struct arrival *arrival) {
	int rc = -1;
	pthread_mutex_lock(&worker->mutex);
	if (!atomic_load(&worker->is_done) && worker->arrival_count < ARRIVALS_MAX) {
		if (worker->arrival_count == worker->arrival_size) {
			worker->arrival_size = worker->arrival_size ? worker->arrival_size * 2 : 64;
			worker->arrivals = mem_resize(worker->arrivals, worker->arrival_size, sizeof(*worker->arrivals));
		}
		worker->arrivals[worker->arrival_count++] = *arrival;
		rc = 0;
	}
	pthread_mutex_unlock(&worker->mutex);
	if (rc == 0)
		wake(worker);
	return rc;
}

static void take_arrivals(struct worker *worker) {
	uint64_t count;
	best_effort(read(worker->wake.fd, &count, sizeof(count)) == sizeof(count));
	for (;;) {
		struct arrival arrival;
		pthread_mutex_lock(&worker->mutex);
		bool is_one = worker->arrival_count > 0;
		if (is_one)
			arrival = worker->arrivals[--worker->arrival_count];
		pthread_mutex_unlock(&worker->mutex);
		if (!is_one)
			return;
		conn_start(worker, &arrival);
	}
}

/* Epoll reports the listening socket on and on while descriptors are used up, so it is left alone until the next sweep. */
static void listen_set(struct worker *worker, bool is_listening) {
	if (worker->is_listening == is_listening)
		return;
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &worker->listen};
	if (epoll_ctl(worker->epoll_fd, is_listening ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, worker->listen.fd, &event) == 0)
		worker->is_listening = is_listening;
}

/* false: nobody waits any more. */
static bool accept_some(struct worker *worker) {
	struct http_server *server = worker->server;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct net_address peer = {.len = sizeof(peer.path)};
		int fd = accept4(server->listen_fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM || errno == EINVAL) /* EINVAL: shut down */
				listen_set(worker, false);
			return false;
		}
		int64_t total = atomic_fetch_add(&server->connections, 1);
		struct arrival arrival = {.fd = fd, .client = client_key(&peer)};
		if (total >= (int64_t) server->limits.connections_max || !client_enter(server, arrival.client)) {
			arrival.is_reserve = true;
			arrival.client = 0;
		}
		if (total >= (int64_t) server->limits.connections_max + HTTP_RESERVE) {
			atomic_fetch_sub(&server->connections, 1);
			close(fd);
			continue;
		}
		/* Counted here and not when it is started, so that a burst is spread too. */
		struct worker *best = worker_with_fewest(worker);
		atomic_fetch_add_explicit(&best->conn_count, 1, memory_order_relaxed);
		if (best == worker) {
			conn_start(worker, &arrival);
		} else if (give(best, &arrival) != 0) {
			atomic_fetch_sub_explicit(&best->conn_count, 1, memory_order_relaxed);
			atomic_fetch_add_explicit(&worker->conn_count, 1, memory_order_relaxed);
			conn_start(worker, &arrival);
		}
	}
	return true;
}

static void free_dead(struct worker *worker) {
	while (worker->dead_conns) {
		struct conn *conn = worker->dead_conns;
		worker->dead_conns = conn->next;
		free(conn);
	}
	while (worker->dead_relays) {
		struct relay *relay = worker->dead_relays;
		worker->dead_relays = relay->next;
		free(relay);
	}
}

static void sweep(struct worker *worker) {
	worker->swept_ms = worker->now_ms;
	for (struct conn *conn = worker->conns, *next; conn; conn = next) {
		next = conn->next;
		conn_sweep(conn);
	}
	for (struct relay *relay = worker->relays, *next; relay; relay = next) {
		next = relay->next;
		relay_sweep(relay);
	}
	if (!worker->server->is_shared || !worker->server->is_draining)
		listen_set(worker, true);
}

static void run_queue(struct worker *worker) {
	int64_t until = http_mono_us() + RUN_BUDGET_US;
	while (worker->queue_first) {
		struct conn *conn = worker->queue_first;
		worker->queue_first = conn->queue_next;
		if (!worker->queue_first)
			worker->queue_last = NULL;
		conn->queue_next = NULL;
		if (conn->state == CONN_DEAD) {
			conn->next = worker->dead_conns;
			worker->dead_conns = conn;
			continue;
		}
		conn_run(conn);
		if (http_mono_us() > until)
			return;
	}
}

static void dispatch(struct worker *worker, const struct epoll_event *event) {
	struct source *source = event->data.ptr;
	switch (source->kind) {
	case SOURCE_LISTEN:
		accept_some(worker);
		return;
	case SOURCE_WAKE:
		take_arrivals(worker);
		return;
	case SOURCE_CONN:
		conn_event((struct conn *) source, event->events);
		return;
	case SOURCE_RELAY:
		relay_event((struct relay *) source, event->events);
		return;
	}
}

/* By so much both ends of the drain are later: requests still come, so whoever sends them has not heard. */
static int64_t put_off_ms(struct http_server *server) {
	int64_t later_ms = atomic_load(&server->worked_at_ms) - atomic_load(&server->drain_at_ms), most_ms = atomic_load(&server->patience_ms);
	return later_ms < 0 ? 0 : later_ms > most_ms ? most_ms : later_ms;
}

/* Ends a worker of a draining server: when its last connection is gone, or (with those left cut) at the deadline. */
static bool may_end(struct worker *worker) {
	struct http_server *server = worker->server;
	if (server->is_shared && worker->is_listening) {
		listen_set(worker, false);
		/* A connection that woke this worker (and, being exclusive, no other process) would wait for the next one to come: it is taken here. */
		while (accept_some(worker))
			;
	}
	int64_t since_ms = worker->now_ms - atomic_load(&server->drain_at_ms) - put_off_ms(server);
	bool is_late = since_ms >= atomic_load(&server->longest_ms);
	if (!is_late && !server->is_shared && since_ms < atomic_load(&server->delay_ms))
		return false;
	/* Who came since the last look is served; who comes later is told that nobody listens, instead of waiting for a process that ends. */
	if (!is_late && !server->is_shared && atomic_load(&server->connections) == 0)
		while (accept_some(worker))
			;
	if (!is_late && (worker->conns || (!server->is_shared && atomic_load(&server->connections) > 0)))
		return false;
	if (worker->queue_first)
		return false;
	pthread_mutex_lock(&worker->mutex);
	bool is_empty = worker->arrival_count == 0;
	if (is_empty)
		atomic_store(&worker->is_done, true);
	pthread_mutex_unlock(&worker->mutex);
	if (is_empty && !server->is_shared)
		shutdown(server->listen_fd, SHUT_RDWR);
	return is_empty;
}

static void *worker_main(void *argument) {
	struct worker *worker = argument;
	struct epoll_event events[EVENTS_MAX];
	for (;;) {
		int wait_ms = worker->queue_first ? 0 : worker->relays ? TICK_RELAY_MS : worker->conns || worker->server->is_draining ? TICK_MS : -1;
		if (!worker->is_listening && wait_ms < 0)
			wait_ms = TICK_MS;
		if (worker->server->is_draining && wait_ms > TICK_RELAY_MS)
			wait_ms = TICK_RELAY_MS;
		int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, wait_ms);
		worker->now_ms = clock_mono_ms(worker->server->clock);
		for (int i = 0; i < count; i++)
			dispatch(worker, &events[i]);
		run_queue(worker);
		if (worker->now_ms - worker->swept_ms >= (worker->relays ? TICK_RELAY_MS : TICK_MS))
			sweep(worker);
		free_dead(worker);
		if (worker->server->is_draining && may_end(worker))
			break;
	}
	while (worker->conns)
		conn_close(worker->conns);
	while (worker->relays)
		relay_drop(worker->relays);
	free_dead(worker);
	return NULL;
}

static int worker_init(struct http_server *server, unsigned index, struct err *err) {
	struct worker *worker = &server->workers[index];
	worker->server = server;
	worker->index = index;
	worker->body = BUF(ANSWER_BYTES_MAX);
	worker->headers = BUF(HTTP_HEAD_BYTES_MAX);
	worker->head = BUF(2 * HTTP_HEAD_BYTES_MAX);
	worker->now_ms = clock_mono_ms(server->clock);
	pthread_mutex_init(&worker->mutex, NULL);
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake = (struct source) {SOURCE_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	worker->listen = (struct source) {SOURCE_LISTEN, server->listen_fd};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &worker->wake};
	if (worker->epoll_fd < 0 || worker->wake.fd < 0 || epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake.fd, &event) != 0)
		return err_sys(err, "starting worker %u", index);
	listen_set(worker, true);
	if (!worker->is_listening)
		return err_sys(err, "starting worker %u on the listening socket", index);
	return 0;
}

/* Only once all are made: a running worker gives connections to the others. */
static int worker_start(struct worker *worker, struct err *err) {
	int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
	if (rc != 0)
		return err_set(err, ERR_FAILED, "starting worker %u: no thread (error %d)", worker->index, rc);
	worker->is_started = true;
	return 0;
}

int http_server_start(int listen_fd, bool is_shared, const struct http_limits *limits, const struct http_app *app, const struct clock *clock,
	struct http_server **out, struct err *err) {
	struct http_server *server = NEW(struct http_server);
	server->limits = *limits;
	server->app = *app;
	server->clock = clock;
	server->listen_fd = listen_fd;
	server->is_shared = is_shared;
	pthread_mutex_init(&server->clients_mutex, NULL);
	server->client_slots = 64;
	while (server->client_slots < 2 * (limits->connections_max + HTTP_RESERVE))
		server->client_slots *= 2;
	server->clients = mem_zero(server->client_slots, sizeof(*server->clients));
	server->worker_count = (unsigned) limits->threads;
	server->workers = aligned_alloc(64, server->worker_count * sizeof(*server->workers));
	if (!server->workers) {
		free(server->clients);
		free(server);
		return err_set(err, ERR_LIMIT, "no memory for %d workers", limits->threads);
	}
	memset(server->workers, 0, server->worker_count * sizeof(*server->workers));
	for (unsigned i = 0; i < server->worker_count; i++)
		server->workers[i].epoll_fd = server->workers[i].wake.fd = -1;
	int rc = 0;
	for (unsigned i = 0; i < server->worker_count && rc == 0; i++)
		rc = worker_init(server, i, err);
	for (unsigned i = 0; i < server->worker_count && rc == 0; i++)
		rc = worker_start(&server->workers[i], err);
	if (rc != 0) {
		http_server_free(server);
		return -1;
	}
	*out = server;
	return 0;
}

void http_server_drain(struct http_server *server, const struct http_drain *drain) {
	atomic_store(&server->delay_ms, drain->delay_ms);
	atomic_store(&server->longest_ms, drain->longest_ms);
	atomic_store(&server->patience_ms, drain->patience_ms);
	atomic_store(&server->drain_at_ms, clock_mono_ms(server->clock));
	atomic_store(&server->is_draining, true);
	for (unsigned i = 0; i < server->worker_count; i++)
		wake(&server->workers[i]);
}

bool http_server_is_draining(const struct http_server *server) {
	return atomic_load(&((struct http_server *) server)->is_draining);
}

bool http_server_is_done(const struct http_server *server) {
	for (unsigned i = 0; i < server->worker_count; i++)
		if (!atomic_load(&server->workers[i].is_done))
			return false;
	return true;
}

void http_server_free(struct http_server *server) {
	if (!server)
		return;
	http_server_drain(server, &(struct http_drain) {0});
	for (unsigned i = 0; i < server->worker_count; i++) {
		struct worker *worker = &server->workers[i];
		if (worker->is_started)
			pthread_join(worker->thread, NULL);
		if (worker->epoll_fd >= 0)
			close(worker->epoll_fd);
		if (worker->wake.fd >= 0)
			close(worker->wake.fd);
		for (size_t k = 0; k < worker->arrival_count; k++)
			close(worker->arrivals[k].fd);
		free(worker->arrivals);
		buf_clear(&worker->body);
		buf_clear(&worker->headers);
		buf_clear(&worker->head);
		pthread_mutex_destroy(&worker->mutex);
	}
	pthread_mutex_destroy(&server->clients_mutex);
	free(server->workers);
	free(server->clients);
	free(server);
}

int64_t http_server_in_flight(const struct http_server *server) {
	int64_t sum = 0;
	for (unsigned i = 0; i < server->worker_count; i++)
		sum += atomic_load_explicit(&server->workers[i].in_flight, memory_order_relaxed);
	return sum;
}

int64_t http_server_connections(const struct http_server *server) {
	return atomic_load(&server->connections);
}
