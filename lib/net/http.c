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

int http_start(struct http *http, const struct http_request *request, int64_t *id, struct err *err) {
	return http->start(http, request, id, err);
}

static void kept_take(struct http *http, size_t i, struct http_event *event) {
	*event = http->kept[i];
	memmove(http->kept + i, http->kept + i + 1, (http->kept_count - i - 1) * sizeof(*http->kept));
	http->kept_count--;
}

int http_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	if (http->kept_count) {
		kept_take(http, 0, event);
		return 0;
	}
	if (http->step(http, until_ms, event, err) != 0)
		return -1;
	if (event->what == HTTP_SIGNAL && http->interrupted && !*http->interrupted)
		*http->interrupted = event->signal;
	return 0;
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
	http->cancel(http, id);
}

void http_close(struct http *http) {
	if (!http)
		return;
	for (size_t i = 0; i < http->kept_count; i++)
		http_answer_clear(&http->kept[i].answer);
	free(take(&http->kept));
	http->kept_count = 0;
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
