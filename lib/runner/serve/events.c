#include "runner/serve/events.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#define LINE_BYTES_MAX ((size_t) 4096) /* PIPE_BUF: a line is never torn */

struct events {
	int fd;
	const struct clock *clock;
	pthread_mutex_t mutex;
	struct {
		const char *event;
		int64_t second, this_second;
	} kinds[EVENTS_KINDS_MAX];
	unsigned long long suppressed;
};

struct events *events_new(int fd, const struct clock *clock) {
	struct events *events = NEW(struct events);
	events->fd = fd;
	events->clock = clock;
	pthread_mutex_init(&events->mutex, NULL);
	return events;
}

void events_free(struct events *events) {
	if (!events)
		return;
	pthread_mutex_destroy(&events->mutex);
	free(events);
}

static void write_line(struct events *events, const char *event, const char *fields) {
	char when[CLOCK_TEXT_MAX];
	AUTO_BUF struct buf line = BUF(LINE_BYTES_MAX);
	buf_format(&line, "{\"time\":\"%s\",\"event\":\"%s\"", clock_text(clock_wall_s(events->clock), when), event);
	if (events->suppressed)
		buf_format(&line, ",\"suppressed\":%llu", events->suppressed);
	if (fields && *fields) {
		buf_char(&line, ',');
		buf_text(&line, fields);
	}
	buf_text(&line, "}\n");
	struct pollfd ready = {.fd = events->fd, .events = POLLOUT};
	bool is_sent = !line.failed && poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(events->fd, line.ptr, line.len) == (ssize_t) line.len;
	events->suppressed = is_sent ? 0 : events->suppressed + 1;
}

void events_write(struct events *events, const char *event, const char *fields) {
	if (!events)
		return;
	pthread_mutex_lock(&events->mutex);
	write_line(events, event, fields);
	pthread_mutex_unlock(&events->mutex);
}

void events_write_limited(struct events *events, const char *event, const char *fields) {
	if (!events)
		return;
	int64_t second = clock_mono_ms(events->clock) / 1000;
	pthread_mutex_lock(&events->mutex);
	size_t kind = 0;
	while (events->kinds[kind].event && strcmp(events->kinds[kind].event, event) != 0) {
		kind++;
		assert(kind < EVENTS_KINDS_MAX);
	}
	events->kinds[kind].event = event;
	if (second != events->kinds[kind].second) {
		events->kinds[kind].second = second;
		events->kinds[kind].this_second = 0;
	}
	if (events->kinds[kind].this_second++ < EVENTS_PER_SECOND)
		write_line(events, event, fields);
	else
		events->suppressed++;
	pthread_mutex_unlock(&events->mutex);
}
