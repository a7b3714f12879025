/* The live server and its hand-over, over unix sockets: arbitrary bytes from a client, in pieces, and arbitrary bytes from the upstream it hands some
 * requests to. The input is client bytes, 0xff, upstream bytes; each 0xfe among the client's ends a piece. The server must always answer or close, and
 * count its connections back to none. */
#include "runner/http/server.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#define WAIT_MS 20000
#define INPUT_MAX 32768

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct {
	struct http_server *server;
	struct http_upstream upstream;
	struct net_address front;
	int front_fd, upstream_fd;
	pthread_mutex_t mutex;
	uint8_t answer[INPUT_MAX]; /* the upstream's bytes of this run; a copy, since it may still be answering the last one */
	size_t answer_len;
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static enum http_kind kind_of(void *self, const struct http_head *head) {
	(void) self;
	return head->verb == HTTP_POST ? HTTP_KIND_HEAVY : HTTP_KIND_QUICK;
}

static void answer(void *self, struct http_exchange *x) {
	(void) self;
	if (x->head->verb == HTTP_POST && !x->has_failed_over)
		x->upstream = &world.upstream;
	x->status = 200;
	buf_format(x->out, "{\"bytes\":%zu}", x->body.len);
}

static void refused(void *self, unsigned worker, int status, const char *why) {
	(void) self, (void) worker;
	assert(status >= 400 && status < 600 && why);
}

static void relayed(void *self, unsigned worker, const struct http_handover *handover) {
	(void) self, (void) worker, (void) handover;
}

static void *upstream_main(void *unused) {
	for (;;) {
		int fd = accept(world.upstream_fd, NULL, NULL);
		if (fd < 0) {
			poll(&(struct pollfd) {.fd = world.upstream_fd, .events = POLLIN}, 1, -1);
			continue;
		}
		char waste[4096];
		poll(&(struct pollfd) {.fd = fd, .events = POLLIN}, 1, 100);
		best_effort(recv(fd, waste, sizeof(waste), MSG_DONTWAIT) >= 0);
		pthread_mutex_lock(&world.mutex);
		best_effort(send(fd, world.answer, world.answer_len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0);
		pthread_mutex_unlock(&world.mutex);
		close(fd);
	}
	return unused;
}

static void remove_sockets(void) {
	unlink(world.front.path.sun_path);
	unlink(world.upstream.address.path.sun_path);
}

static void start(void) {
	struct err err = {0};
	struct http_app app = {NULL, kind_of, answer, refused, relayed};
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	limits.body_bytes_max = 65536;
	limits.timeout_ms = 200;
	char front[64], back[64];
	snprintf(front, sizeof(front), "unix:/tmp/mlctl-fuzz-%ld-f.sock", (long) getpid());
	snprintf(back, sizeof(back), "unix:/tmp/mlctl-fuzz-%ld-u.sock", (long) getpid());
	int rc = net_parse(str_of(front), &world.front, &err) || net_listen(&world.front, &world.front_fd, &err) ||
		 net_parse(str_of(back), &world.upstream.address, &err) || net_listen(&world.upstream.address, &world.upstream_fd, &err) ||
		 http_server_start(world.front_fd, false, &limits, &app, &clock_system, &world.server, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.message);
	assert(rc == 0);
	atexit(remove_sockets);
	snprintf(world.upstream.revision, sizeof(world.upstream.revision), "canary");
	pthread_t thread;
	assert(pthread_create(&thread, NULL, upstream_main, NULL) == 0);
	pthread_detach(thread);
}

static void send_pieces(int fd, const uint8_t *bytes, size_t len) {
	while (len > 0) {
		const uint8_t *cut = memchr(bytes, 0xfe, len);
		size_t n = cut ? (size_t) (cut - bytes) : len;
		if (n && send(fd, bytes, n, MSG_NOSIGNAL) < 0)
			return; /* it closed: that is an answer too */
		bytes += cut ? n + 1 : n;
		len -= cut ? n + 1 : n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	if (len > INPUT_MAX)
		return 0;
	if (!world.server)
		start();
	const uint8_t *cut = len ? memchr(bytes, 0xff, len) : NULL;
	size_t client_len = cut ? (size_t) (cut - bytes) : len;
	pthread_mutex_lock(&world.mutex);
	world.answer_len = cut ? len - client_len - 1 : 0;
	if (world.answer_len)
		memcpy(world.answer, cut + 1, world.answer_len);
	pthread_mutex_unlock(&world.mutex);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(connect(fd, &world.front.any, world.front.len) == 0);
	send_pieces(fd, bytes, client_len);
	shutdown(fd, SHUT_WR);
	char waste[65536];
	for (;;) {
		int ready = poll(&(struct pollfd) {.fd = fd, .events = POLLIN}, 1, WAIT_MS);
		if (ready < 0)
			continue; /* libFuzzer's own alarm */
		assert(ready == 1);
		if (recv(fd, waste, sizeof(waste), 0) <= 0)
			break;
	}
	close(fd);
	for (int i = 0; http_server_connections(world.server) > 0; i++) {
		assert(i < WAIT_MS);
		poll(NULL, 0, i < 20 ? 0 : 1);
	}
	assert(http_server_in_flight(world.server) == 0);
	return 0;
}
