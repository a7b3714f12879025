#include "fakes/loopback.h"

#include "base/num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 64
#define CONNECTIONS_MAX 64
#define HEAD_BYTES_MAX ((size_t) 64 * 1024)
#define KEPT_BYTES_MAX ((size_t) 256 * 1024)

struct loopback {
	const struct loopback_turn *turns;
	size_t count, next;
	int listener, port;
	pthread_t acceptor;
	pthread_mutex_t mutex;
	int sockets[CONNECTIONS_MAX];
	pthread_t threads[CONNECTIONS_MAX];
	int connections;
	int faults;
	struct buf requests[TURNS_MAX];
	int64_t body_bytes[TURNS_MAX];
};

struct connection {
	struct loopback *server;
	int fd;
	struct buf in; /* read and not yet used */
};

static void fault(struct loopback *server, const char *what, const char *detail) {
	fprintf(stderr, "# loopback: %s: %s\n", what, detail);
	pthread_mutex_lock(&server->mutex);
	server->faults++;
	pthread_mutex_unlock(&server->mutex);
}

static bool fill(struct connection *c) {
	char bytes[16384];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		buf_add(&c->in, bytes, (size_t) n);
	return n > 0 && !c->in.failed;
}

static void used(struct connection *c, size_t n) {
	memmove(c->in.ptr, c->in.ptr + n, c->in.len - n + 1);
	c->in.len -= n;
}

static bool send_all(int fd, const char *text) {
	for (size_t len = strlen(text), done = 0; done < len;) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		done += (size_t) n;
	}
	return true;
}

static int64_t content_length(const char *head) {
	const char *at = strcasestr(head, "\r\ncontent-length:");
	int64_t length = 0;
	if (!at)
		return 0;
	struct str rest, line = str_cut(str_of(at + 17), '\r', &rest);
	return num_int(str_trim(line), 0, INT64_MAX, &length) == 0 ? length : 0;
}

static bool read_body(struct connection *c, struct buf *kept, int64_t want, int64_t *seen) {
	while (*seen < want) {
		if (c->in.len == 0 && !fill(c))
			return false;
		size_t n = c->in.len;
		if ((int64_t) n > want - *seen)
			n = (size_t) (want - *seen);
		if (kept->len + n <= KEPT_BYTES_MAX)
			buf_add(kept, c->in.ptr, n);
		*seen += (int64_t) n;
		used(c, n);
	}
	return true;
}

static void reset_on_close(int fd) {
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* False: the connection is over. */
static bool take_turn(struct connection *c, const struct loopback_turn *turn, size_t index, size_t head_len) {
	struct loopback *server = c->server;
	struct buf *kept = &server->requests[index];
	AUTO_FREE char *head = mem_text_n(c->in.ptr, head_len);
	used(c, head_len);
	pthread_mutex_lock(&server->mutex);
	buf_text(kept, head);
	pthread_mutex_unlock(&server->mutex);
	if (turn->expect && !strstr(head, turn->expect))
		fault(server, turn->expect, head);
	if (turn->expect_not && strcasestr(head, turn->expect_not))
		fault(server, turn->expect_not, head);
	int64_t length = content_length(head), seen = 0;
	if (turn->body_bytes_read && turn->body_bytes_read < length)
		length = turn->body_bytes_read;
	bool alive = true;
	if (!turn->is_early && length) {
		if (strcasestr(head, "\r\nexpect: 100-continue"))
			send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n");
		alive = read_body(c, kept, length, &seen);
	}
	server->body_bytes[index] = seen;
	if (alive && turn->answer)
		alive = send_all(c->fd, turn->answer);
	while (alive && turn->then == LOOPBACK_ENDLESS)
		alive = send_all(c->fd, turn->answer_more);
	struct pollfd gone = {.fd = c->fd, .events = POLLRDHUP};
	if (alive && turn->then == LOOPBACK_HANG)
		poll(&gone, 1, -1);
	if (turn->then == LOOPBACK_RESET)
		reset_on_close(c->fd);
	return alive && turn->then == LOOPBACK_KEEP;
}

static void *serve(void *self) {
	struct connection *c = self;
	struct loopback *server = c->server;
	for (bool alive = true; alive;) {
		const char *end;
		while (!(end = c->in.len ? memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4) : NULL))
			if (c->in.len > HEAD_BYTES_MAX || !fill(c))
				goto over;
		pthread_mutex_lock(&server->mutex);
		size_t index = server->next++;
		pthread_mutex_unlock(&server->mutex);
		if (index >= server->count) {
			fault(server, "unexpected request", c->in.ptr);
			break;
		}
		alive = take_turn(c, &server->turns[index], index, (size_t) (end - c->in.ptr) + 4);
	}
over:
	pthread_mutex_lock(&server->mutex);
	for (int i = 0; i < server->connections; i++)
		if (server->sockets[i] == c->fd)
			server->sockets[i] = -1;
	close(c->fd);
	pthread_mutex_unlock(&server->mutex);
	buf_clear(&c->in);
	free(c);
	return NULL;
}

static void *accept_all(void *self) {
	struct loopback *server = self;
	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&server->mutex);
		if (server->connections < CONNECTIONS_MAX) {
			struct connection *c = NEW(struct connection);
			*c = (struct connection){.server = server, .fd = fd, .in = BUF(KEPT_BYTES_MAX)};
			server->sockets[server->connections] = fd;
			if (pthread_create(&server->threads[server->connections], NULL, serve, c) != 0)
				abort();
			server->connections++;
		} else {
			close(fd);
			server->faults++;
		}
		pthread_mutex_unlock(&server->mutex);
	}
}

struct loopback *loopback_start(const struct loopback_turn *turns, size_t count) {
	struct loopback *server = NEW(struct loopback);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	server->turns = turns;
	server->count = count;
	pthread_mutex_init(&server->mutex, NULL);
	for (size_t i = 0; i < TURNS_MAX; i++)
		server->requests[i] = BUF(2 * KEPT_BYTES_MAX);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (count > TURNS_MAX || bind(server->listener, (struct sockaddr *) &address, len) != 0 || listen(server->listener, 64) != 0 ||
		getsockname(server->listener, (struct sockaddr *) &address, &len) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->acceptor, NULL, accept_all, server) != 0)
		abort();
	return server;
}

int loopback_port(const struct loopback *server) {
	return server->port;
}

char *loopback_url(const struct loopback *server, const char *path) {
	return mem_format("http://127.0.0.1:%d%s", server->port, path);
}

struct str loopback_request(struct loopback *server, size_t i) {
	pthread_mutex_lock(&server->mutex);
	struct str text = buf_view(&server->requests[i]);
	pthread_mutex_unlock(&server->mutex);
	return text;
}

int64_t loopback_body_bytes(struct loopback *server, size_t i) {
	return server->body_bytes[i];
}

int loopback_connections(struct loopback *server) {
	pthread_mutex_lock(&server->mutex);
	int n = server->connections;
	pthread_mutex_unlock(&server->mutex);
	return n;
}

int loopback_stop(struct loopback *server) {
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->acceptor, NULL);
	close(server->listener);
	pthread_mutex_lock(&server->mutex);
	for (int i = 0; i < server->connections; i++)
		if (server->sockets[i] >= 0)
			shutdown(server->sockets[i], SHUT_RDWR);
	pthread_mutex_unlock(&server->mutex);
	for (int i = 0; i < server->connections; i++)
		pthread_join(server->threads[i], NULL);
	if (server->next < server->count) {
		fprintf(stderr, "# loopback: %zu of %zu requests came\n", server->next, server->count);
		server->faults++;
	}
	int faults = server->faults;
	for (size_t i = 0; i < TURNS_MAX; i++)
		buf_clear(&server->requests[i]);
	pthread_mutex_destroy(&server->mutex);
	free(server);
	return faults;
}
