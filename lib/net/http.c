#include "net/http.h"

void http_answer_clear(struct http_answer *answer) {
	free(answer->headers);
	free(answer->body);
	*answer = (struct http_answer){0};
}

struct str http_header_of(const struct http_answer *answer, const char *name) {
	struct str rest = str_of(answer->headers);
	while (rest.len) {
		struct str value, line = str_cut(rest, '\n', &rest);
		struct str key = str_cut(line, ':', &value);
		if (value.ptr && str_is(key, name))
			return str_trim(value);
	}
	return (struct str){"", 0};
}

/* A request whose end is told by a call (id), or a moment (id 0). */
struct http_waiting {
	int64_t id, at_ms;
	http_done_fn done;
	http_tick_fn tick;
	void *self;
};

static struct http_waiting waiting_take(struct http *http, size_t i) {
	struct http_waiting taken = http->waiting[i];
	http->waiting[i] = http->waiting[--http->waiting_count];
	return taken;
}

static void waiting_add(struct http *http, const struct http_waiting *waiting) {
	http->waiting = mem_resize(http->waiting, http->waiting_count + 1, sizeof(*http->waiting));
	http->waiting[http->waiting_count++] = *waiting;
}

static void waiting_drop(struct http *http, int64_t id) {
	for (size_t i = 0; i < http->waiting_count; i++)
		if (http->waiting[i].id == id) {
			waiting_take(http, i);
			return;
		}
}

int http_start(struct http *http, const struct http_request *request, int64_t *id, struct err *err) {
	if (http->start(http, request, id, err) != 0)
		return -1;
	if (request->done)
		waiting_add(http, &(struct http_waiting){.id = *id, .done = request->done, .self = request->done_self});
	return 0;
}

void http_tick_cancel(struct http *http, http_tick_fn tick, void *self) {
	for (size_t i = http->waiting_count; i-- > 0;)
		if (http->waiting[i].tick == tick && http->waiting[i].self == self)
			waiting_take(http, i);
}

void http_tick(struct http *http, int64_t at_ms, http_tick_fn tick, void *self) {
	http_tick_cancel(http, tick, self);
	waiting_add(http, &(struct http_waiting){.at_ms = at_ms, .tick = tick, .self = self});
}

/* The tick that comes first, or NULL. */
static struct http_waiting *first_tick(const struct http *http) {
	struct http_waiting *first = NULL;
	for (size_t i = 0; i < http->waiting_count; i++)
		if (http->waiting[i].tick && (!first || http->waiting[i].at_ms < first->at_ms))
			first = &http->waiting[i];
	return first;
}

/* True when the event was somebody's who is called for it: then nobody else hears of it. */
static bool told(struct http *http, struct http_event *event) {
	for (size_t i = 0; event->what == HTTP_DONE && i < http->waiting_count; i++) {
		if (http->waiting[i].id != event->id || !http->waiting[i].done)
			continue;
		struct http_waiting taken = waiting_take(http, i);
		taken.done(taken.self, &event->answer);
		http_answer_clear(&event->answer);
		return true;
	}
	return false;
}

static void kept_take(struct http *http, size_t i, struct http_event *event) {
	*event = http->kept[i];
	memmove(http->kept + i, http->kept + i + 1, (http->kept_count - i - 1) * sizeof(*http->kept));
	http->kept_count--;
}

static int step(struct http *http, int64_t until_ms, bool wants_news, struct http_event *event, struct err *err) {
	if (http->kept_count) {
		kept_take(http, 0, event);
		return 0;
	}
	for (;;) {
		http->owes_news = http->owes_news || http->has_news;
		http->has_news = false;
		if (http->owes_news && wants_news) {
			http->owes_news = false;
			*event = (struct http_event){.what = HTTP_NEWS};
			return 0;
		}
		struct http_waiting *next = first_tick(http);
		bool is_tick = next && next->at_ms < until_ms;
		if (http->step(http, is_tick ? next->at_ms : until_ms, event, err) != 0)
			return -1;
		if (event->what == HTTP_NEWS)
			continue;
		if (event->what == HTTP_TIMER && is_tick) {
			struct http_waiting taken = waiting_take(http, (size_t) (next - http->waiting));
			taken.tick(taken.self);
			continue;
		}
		if (told(http, event))
			continue;
		if (event->what == HTTP_SIGNAL && http->interrupted && !*http->interrupted)
			*http->interrupted = event->signal;
		return 0;
	}
}

int http_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	return step(http, until_ms, false, event, err);
}

int http_step_news(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	return step(http, until_ms, true, event, err);
}

void http_news(struct http *http) {
	http->has_news = true;
}

void http_cancel(struct http *http, int64_t id) {
	for (size_t i = 0; i < http->kept_count; i++) {
		if (http->kept[i].what != HTTP_DONE || http->kept[i].id != id)
			continue;
		struct http_event event;
		kept_take(http, i, &event);
		http_answer_clear(&event.answer);
		return;
	}
	waiting_drop(http, id);
	http->cancel(http, id);
}

void http_close(struct http *http) {
	if (!http)
		return;
	for (size_t i = 0; i < http->kept_count; i++)
		http_answer_clear(&http->kept[i].answer);
	free(take(&http->kept));
	http->kept_count = 0;
	free(take(&http->waiting));
	http->waiting_count = 0;
	http->close(http);
}

void http_keep(struct http *http, struct http_event *event) {
	http->kept = mem_resize(http->kept, http->kept_count + 1, sizeof(*http->kept));
	http->kept[http->kept_count++] = take(event);
}

int http_kept_signal(struct http *http) {
	for (size_t i = 0; i < http->kept_count; i++) {
		if (http->kept[i].what != HTTP_SIGNAL)
			continue;
		struct http_event event;
		kept_take(http, i, &event);
		return event.signal;
	}
	return 0;
}
