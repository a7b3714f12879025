/* The bytes of a watch, in pieces: whatever comes, the mirror holds each name once and in order. The first byte says how long a piece is;
 * the network is one of this file's own that answers a list with one object and a watch with the bytes. */
#include "kube/mirror.h"

#include <assert.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct network {
	struct http http;
	struct clock clock;
	int64_t now_ms, id;
	struct http_request request;
	bool is_busy, is_watch;
	int watches;
	struct str stream;
	size_t piece;
};

static int64_t mono(void *self) {
	return ((struct network *) self)->now_ms;
}

static int start(struct http *http, const struct http_request *request, int64_t *id, struct err *err) {
	struct network *network = (struct network *) http;
	(void) err;
	assert(!network->is_busy);
	network->request = *request;
	network->is_busy = true;
	network->is_watch = strstr(request->url, "watch=1") != NULL;
	*id = ++network->id;
	return 0;
}

static void cancel(struct http *http, int64_t id) {
	struct network *network = (struct network *) http;
	assert(id == network->id);
	network->is_busy = false;
}

static void play(struct network *network, struct http_answer *answer) {
	struct str rest = network->stream;
	network->request.begun(network->request.done_self);
	while (rest.len && answer->failure.code == ERR_NONE) {
		size_t len = rest.len < network->piece ? rest.len : network->piece;
		if (network->request.write(network->request.write_self, rest.ptr, len, &answer->failure) != 0)
			answer->status = 0;
		rest = (struct str){rest.ptr + len, rest.len - len};
	}
}

/* The bytes come once; a second watch is opened and stays silent. */
static int step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	struct network *network = (struct network *) http;
	(void) err;
	*event = (struct http_event){.what = HTTP_TIMER};
	if (!network->is_busy || (network->is_watch && network->watches++)) {
		network->now_ms = until_ms;
		return 0;
	}
	network->is_busy = false;
	event->what = HTTP_DONE;
	event->id = network->id;
	event->answer = (struct http_answer){.status = 200, .was_sent = true, .headers = mem_text(""), .body = mem_text("")};
	if (network->is_watch) {
		play(network, &event->answer);
		return 0;
	}
	free(event->answer.body);
	event->answer.body = mem_text("{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"metadata\":{\"name\":\"a\"}}]}");
	event->answer.body_len = strlen(event->answer.body);
	return 0;
}

static void check(const struct mirror *mirror) {
	struct str before = {0};
	for (size_t i = 0; i < mirror_count(mirror); i++) {
		const struct value *name = value_find(mirror_at(mirror, i), "metadata.name");
		assert(name && name->kind == VALUE_STRING);
		size_t len = before.len < name->text.len ? before.len : name->text.len;
		int order = len ? memcmp(before.ptr, name->text.ptr, len) : 0;
		assert(i == 0 || order < 0 || (order == 0 && before.len < name->text.len));
		before = name->text;
	}
	assert(mirror_count(mirror) <= MIRROR_OBJECTS_MAX);
}

/* The kubeconfig that the client is opened with, made once. */
static char *listed(void) {
	static const char text[] = "{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"c\"}}],"
				   "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://h\"}}]}";
	char path[] = "/tmp/mlctl-fuzz-XXXXXX";
	int fd = mkstemp(path);
	assert(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t) (sizeof(text) - 1));
	close(fd);
	return mem_format("KUBECONFIG=%s", path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	if (!len)
		return 0;
	AUTO_FREE char *variable = listed();
	const struct env env = {.items = (char *[]){variable, NULL}};
	struct network network = {.clock = {.mono_ms = mono, .wall_s = mono}, .now_ms = 1000};
	network.clock.self = &network;
	network.http = (struct http){.start = start, .step = step, .cancel = cancel, .clock = &network.clock};
	network.stream = (struct str){(const char *) bytes + 1, len - 1};
	network.piece = bytes[0] ? bytes[0] : 65536;
	struct err err = {0};
	struct kube *kube = NULL;
	const struct kube_options options = {.http = &network.http, .clock = &network.clock, .env = &env};
	assert(kube_open(&options, &kube, &err) == 0);
	unlink(variable + strlen("KUBECONFIG="));
	struct mirror *mirror = mirror_open(kube, &(struct kube_selection){.kind = "Pod"});
	assert(mirror_await(mirror, 1000, 0, &err) == 0);
	struct http_event event;
	assert(http_step(&network.http, network.now_ms + 60000, &event, &err) == 0 && event.what == HTTP_TIMER);
	check(mirror);
	kube_close(kube);
	free(network.http.waiting);
	return 0;
}
