#include "fakes/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ANSWER_BYTES_MAX ((size_t) 1024 * 1024)

struct fake_request {
	struct fake_request *next;
	int64_t id, due_ms, from_ms, moved_ms;
	size_t piece;		     /* the next one */
	struct http_request request; /* deep copies of what http.h says is copied */
	struct http_header *headers;
	char **texts;
	size_t text_count;
	const struct fake_turn *turn;
	bool is_failing, is_late, signal_came, has_begun;
};

static int64_t fake_mono(void *self) {
	return ((struct fake_clock *) self)->mono_ms;
}
static int64_t fake_wall(void *self) {
	return ((struct fake_clock *) self)->wall_s;
}
static void move_to(struct fake_clock *clock, int64_t mono_ms) {
	if (mono_ms <= clock->mono_ms)
		return;
	clock->wall_s += mono_ms / 1000 - clock->mono_ms / 1000;
	clock->mono_ms = mono_ms;
}
static void fake_sleep(void *self, int64_t ms) {
	struct fake_clock *clock = self;
	move_to(clock, clock->mono_ms + ms);
}

void fake_clock_init(struct fake_clock *fake) {
	*fake = (struct fake_clock){.clock = {fake_mono, fake_wall, fake_sleep, fake}, .mono_ms = 1000000};
	if (clock_parse("2026-11-21T10:00:00Z", &fake->wall_s) != 0)
		fail();
}

static void request_free(struct fake_request *waiting) {
	for (size_t i = 0; i < waiting->text_count; i++)
		free(waiting->texts[i]);
	free(waiting->texts);
	free(waiting->headers);
	free(waiting);
}

static char *keep(struct fake_request *waiting, const char *text) {
	if (!text)
		return NULL;
	waiting->texts = mem_resize(waiting->texts, waiting->text_count + 1, sizeof(char *));
	return waiting->texts[waiting->text_count++] = mem_text(text);
}

char *fake_header(const struct http_request *request, const char *name) {
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		if (!str_is_nocase(str_of(header->name), name))
			continue;
		return header->secret ? mem_format("%s%s", header->prefix ? header->prefix : "", header->secret->text)
				      : mem_text(header->value ? header->value : "");
	}
	return NULL;
}

static void check_turn(const struct fake_turn *turn, const struct http_request *request) {
	assert_string_equal(request->method, turn->method);
	assert_string_equal(request->url, turn->url);
	if (turn->header) {
		const char *colon = strstr(turn->header, ": ");
		assert_non_null(colon);
		AUTO_FREE char *name = mem_text_n(turn->header, (size_t) (colon - turn->header));
		AUTO_FREE char *value = fake_header(request, name);
		if (!value)
			fail_msg("%s %s: has no header %s", request->method, request->url, name);
		else
			assert_string_equal(value, colon + 2);
	}
	AUTO_FREE char *unwanted = turn->no_header ? fake_header(request, turn->no_header) : NULL;
	if (unwanted)
		fail_msg("%s %s: sends the header %s", request->method, request->url, turn->no_header);
	if (turn->body) {
		AUTO_FREE char *body = str_dup(request->body);
		assert_string_equal(body, turn->body);
	}
}

static int fake_start(struct http *http, const struct http_request *request, int64_t *id, struct err *err) {
	(void) err;
	struct fake_http *fake = (struct fake_http *) http;
	size_t n = ++fake->started;
	bool is_failing = fake->fail_at && n >= fake->fail_at && n < fake->fail_at + fake->fail_times;
	const struct fake_turn *turn = NULL;
	if (!fake->handle && !(is_failing && !fake->fail_was_sent)) {
		if (fake->next >= fake->count)
			fail_msg("unexpected request %zu: %s %s", n, request->method, request->url);
		turn = &fake->turns[fake->next++];
		check_turn(turn, request);
	}
	if (fake->look)
		fake->look(fake->look_self, request);
	struct fake_request *waiting = NEW(struct fake_request);
	waiting->from_ms = waiting->moved_ms = fake->clock->mono_ms;
	waiting->id = *id = ++fake->last_id;
	waiting->turn = turn;
	waiting->is_failing = is_failing;
	int64_t ms = turn ? turn->ms : 1;
	waiting->is_late = request->timeout_ms && ms > request->timeout_ms;
	waiting->due_ms = fake->clock->mono_ms + (waiting->is_late ? request->timeout_ms : ms);
	waiting->request = *request;
	waiting->request.method = keep(waiting, request->method);
	waiting->request.url = keep(waiting, request->url);
	waiting->request.unix_socket = keep(waiting, request->unix_socket);
	waiting->headers = request->header_count ? mem_zero(request->header_count, sizeof(*waiting->headers)) : NULL;
	for (size_t i = 0; i < request->header_count; i++) {
		AUTO_FREE char *value =
			fake_header(&(struct http_request){.headers = &request->headers[i], .header_count = 1}, request->headers[i].name);
		waiting->headers[i] = (struct http_header){.name = keep(waiting, request->headers[i].name), .value = keep(waiting, value)};
	}
	waiting->request.headers = waiting->headers;
	struct fake_request **last = &fake->waiting;
	while (*last)
		last = &(*last)->next;
	*last = waiting;
	return 0;
}

void fake_answer(struct http_answer *answer, int status, const char *headers, const char *body) {
	answer->status = status;
	answer->was_sent = true;
	answer->headers = mem_text(headers ? headers : "");
	answer->body = mem_text(body ? body : "");
	answer->body_len = strlen(answer->body);
}

static void fail_answer(struct http_answer *answer, enum err_code code, bool was_sent, const char *url) {
	http_answer_clear(answer);
	answer->headers = mem_text("");
	answer->body = mem_text("");
	answer->was_sent = was_sent;
	err_set(&answer->failure, code, "%s: %s", url, was_sent ? "connection cut in the middle of the answer" : "connection refused");
}

/* A streamed body is read to its end, as a server would. */
static void read_body(const struct http_request *request, struct http_answer *answer) {
	char bytes[4096];
	int64_t offset = 0;
	while (request->read && offset < request->body_bytes) {
		size_t got = 0;
		if (request->read(request->read_self, offset, bytes, sizeof(bytes), &got, &answer->failure) != 0)
			return;
		assert_true(got > 0);
		offset += (int64_t) got;
	}
	answer->sent_bytes = request->read ? offset : (int64_t) request->body.len;
}

static void begin(struct fake_request *waiting) {
	if (waiting->request.begun && !waiting->has_begun)
		waiting->request.begun(waiting->request.done_self);
	waiting->has_begun = true;
}

static bool is_stream(const struct fake_request *waiting) {
	return waiting->turn && (waiting->turn->pieces || waiting->turn->is_open) && !waiting->is_failing;
}

static const struct fake_piece *next_piece(const struct fake_request *waiting) {
	const struct fake_piece *pieces = waiting->turn->pieces;
	return pieces && pieces[waiting->piece].text ? &pieces[waiting->piece] : NULL;
}

/* When something next happens to the request. The head of a stream comes at once. */
static int64_t moment_of(const struct fake_request *waiting) {
	if (!is_stream(waiting))
		return waiting->due_ms;
	if (!waiting->has_begun)
		return waiting->from_ms;
	const struct fake_piece *piece = next_piece(waiting);
	int64_t stall_ms = waiting->moved_ms + (waiting->request.stall_timeout_ms ? waiting->request.stall_timeout_ms : 60000);
	int64_t at_ms = piece ? waiting->from_ms + piece->ms : waiting->turn->is_open ? INT64_MAX : waiting->moved_ms + waiting->turn->ms;
	return at_ms < stall_ms ? at_ms : stall_ms;
}

/* True when the request went on; else it is over. */
static bool stream(struct fake_http *fake, struct fake_request *waiting, struct http_answer *answer) {
	if (!waiting->has_begun) {
		begin(waiting);
		return true;
	}
	const struct fake_piece *piece = next_piece(waiting);
	int64_t now_ms = fake->clock->mono_ms;
	waiting->piece += piece != NULL;
	fake_answer(answer, waiting->turn->status, waiting->turn->headers, "");
	if (now_ms - waiting->moved_ms >= (waiting->request.stall_timeout_ms ? waiting->request.stall_timeout_ms : 60000))
		fail_answer(answer, ERR_TIMEOUT, true, waiting->request.url);
	else if (!piece && waiting->turn->failure)
		fail_answer(answer, waiting->turn->failure, true, waiting->request.url);
	else if (piece && waiting->request.write(waiting->request.write_self, piece->text, strlen(piece->text), &answer->failure) != 0)
		answer->status = 0;
	else if (piece) {
		waiting->moved_ms = now_ms;
		http_answer_clear(answer);
		return true;
	}
	return false;
}

static void answer_of(struct fake_http *fake, struct fake_request *waiting, struct http_answer *answer) {
	const struct http_request *request = &waiting->request;
	const struct fake_turn *turn = waiting->turn;
	if (waiting->is_failing && !fake->fail_was_sent) {
		fail_answer(answer, fake->fail_code, false, request->url);
		return;
	}
	if (waiting->is_late) {
		fail_answer(answer, ERR_TIMEOUT, true, request->url);
		return;
	}
	read_body(request, answer);
	if (answer->failure.code)
		return;
	if (fake->handle)
		fake->handle(fake->handle_self, request, answer);
	else if (turn->status)
		fake_answer(answer, turn->status, turn->headers, turn->answer);
	else
		fail_answer(answer, turn->failure, turn->was_sent, request->url);
	if (waiting->is_failing)
		fail_answer(answer, fake->fail_code, true, request->url);
	if (answer->failure.code == ERR_NONE && answer->status >= 200 && answer->status < 300)
		begin(waiting);
	if (request->write && answer->status >= 200 && answer->status < 300) {
		if (request->write(request->write_self, answer->body, answer->body_len, &answer->failure) != 0)
			answer->status = 0;
		answer->body[0] = '\0';
		answer->body_len = 0;
	}
}

static struct fake_request *first_of(const struct fake_http *fake) {
	struct fake_request *first = fake->waiting;
	for (struct fake_request *other = first; other; other = other->next)
		if (moment_of(other) < moment_of(first))
			first = other;
	return first;
}

static void unlink_request(struct fake_http *fake, const struct fake_request *waiting) {
	struct fake_request **link = &fake->waiting;
	while (*link != waiting)
		link = &(*link)->next;
	*link = waiting->next;
}

static int fake_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	(void) err;
	struct fake_http *fake = (struct fake_http *) http;
	*event = (struct http_event){.what = HTTP_IDLE};
	for (struct fake_request *first; (first = first_of(fake));) {
		if (first->turn && first->turn->signal && !first->signal_came) {
			first->signal_came = true;
			*event = (struct http_event){.what = HTTP_SIGNAL, .signal = first->turn->signal};
			return 0;
		}
		int64_t at_ms = moment_of(first);
		if (at_ms > until_ms || at_ms == INT64_MAX)
			break;
		move_to(fake->clock, at_ms);
		if (is_stream(first) && stream(fake, first, &event->answer)) {
			if (!http->has_news)
				continue;
			event->what = HTTP_NEWS;
			return 0;
		}
		unlink_request(fake, first);
		event->what = HTTP_DONE;
		event->id = first->id;
		if (!is_stream(first))
			answer_of(fake, first, &event->answer);
		request_free(first);
		return 0;
	}
	if (until_ms == INT64_MAX)
		return 0;
	move_to(fake->clock, until_ms);
	event->what = HTTP_TIMER;
	return 0;
}

static void fake_cancel(struct http *http, int64_t id) {
	struct fake_http *fake = (struct fake_http *) http;
	for (struct fake_request **link = &fake->waiting; *link; link = &(*link)->next) {
		if ((*link)->id != id)
			continue;
		struct fake_request *gone = *link;
		*link = gone->next;
		request_free(gone);
		return;
	}
}

static void fake_close(struct http *http) {
	struct fake_http *fake = (struct fake_http *) http;
	while (fake->waiting)
		fake_cancel(http, fake->waiting->id);
}

void fake_http_script(struct fake_http *fake, struct fake_clock *clock, const struct fake_turn *turns, size_t count) {
	*fake = (struct fake_http){.clock = clock, .turns = turns, .count = count, .fail_code = ERR_NETWORK};
	fake->http =
		(struct http){.start = fake_start, .step = fake_step, .cancel = fake_cancel, .close = fake_close, .clock = &clock->clock};
}

void fake_http_handler(struct fake_http *fake, struct fake_clock *clock,
	void (*handle)(void *self, const struct http_request *request, struct http_answer *answer), void *self) {
	fake_http_script(fake, clock, NULL, 0);
	fake->handle = handle;
	fake->handle_self = self;
}

void fake_http_end(struct fake_http *fake) {
	bool is_waiting = fake->waiting != NULL;
	size_t left = fake->count - fake->next;
	http_close(&fake->http);
	if (is_waiting)
		fail_msg("a request is still under way");
	if (left)
		fail_msg("%zu of %zu requests never came, the next: %s %s", left, fake->count, fake->turns[fake->next].method,
			fake->turns[fake->next].url);
}
