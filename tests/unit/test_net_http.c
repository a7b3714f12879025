/* What lives beside whoever steps: requests whose end is told by a call, ticks, news. */
#include "net/rest.h"

#include "fakes/fake_http.h"
#include "fakes/loopback.h"
#include "os/fs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(items) (sizeof(items) / sizeof((items)[0]))

struct listener {
	struct http *http;
	int done, begun, ticks, status;
	int64_t at_ms;
	size_t bytes;
	bool wants_more, has_news;
};

static void on_done(void *self, struct http_answer *answer);
static void start(struct listener *listener, const char *url, int64_t *id);

static void on_begun(void *self) {
	((struct listener *) self)->begun++;
}
static int on_bytes(void *self, const void *bytes, size_t len, struct err *err) {
	struct listener *listener = self;
	(void) bytes, (void) err;
	listener->bytes += len;
	if (listener->has_news)
		http_news(listener->http);
	return 0;
}
static void on_done(void *self, struct http_answer *answer) {
	struct listener *listener = self;
	int64_t id;
	listener->done++;
	listener->status = answer->status;
	listener->at_ms = clock_mono_ms(listener->http->clock);
	if (listener->wants_more)
		start(listener, "https://h/again", &id);
	listener->wants_more = false;
}
static void on_tick(void *self) {
	struct listener *listener = self;
	listener->ticks++;
	listener->at_ms = clock_mono_ms(listener->http->clock);
	if (listener->wants_more)
		http_tick(listener->http, listener->at_ms + 10, on_tick, listener);
	listener->wants_more = false;
}

static void start(struct listener *listener, const char *url, int64_t *id) {
	struct err err = {0};
	const struct http_request request = {.method = "GET",
		.url = url,
		.write = on_bytes,
		.write_self = listener,
		.begun = on_begun,
		.done = on_done,
		.done_self = listener};
	if (http_start(listener->http, &request, id, &err) != 0)
		fail_msg("%s", err.message);
}

static void told_by_a_call(void **state) {
	(void) state;
	const struct fake_turn turns[] = {{.method = "GET", .url = "https://h/a", .status = 200, .answer = "abc", .ms = 30},
		{.method = "GET", .url = "https://h/other", .status = 200, .ms = 100},
		{.method = "GET", .url = "https://h/again", .status = 404, .ms = 5},
		{.method = "GET", .url = "https://h/cancelled", .status = 200, .ms = 5}};
	struct fake_clock clock;
	struct fake_http fake;
	struct err err = {0};
	struct http_event event;
	int64_t id, other;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, COUNT(turns));
	struct listener listener = {.http = &fake.http, .wants_more = true};
	start(&listener, "https://h/a", &id);
	assert_int_equal(http_start(&fake.http, &(struct http_request){.method = "GET", .url = "https://h/other"}, &other, &err), 0);
	assert_int_equal(http_step(&fake.http, INT64_MAX, &event, &err), 0);
	assert_true(event.what == HTTP_DONE && event.id == other);
	http_answer_clear(&event.answer);
	assert_int_equal(listener.done, 2);
	assert_int_equal(listener.begun, 1);
	assert_int_equal(listener.bytes, 3);
	assert_int_equal(listener.status, 404);
	start(&listener, "https://h/cancelled", &id);
	http_cancel(&fake.http, id);
	assert_int_equal(http_step(&fake.http, clock.mono_ms + 50, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	assert_int_equal(listener.done, 2);
	fake_http_end(&fake);
}

static void ticks(void **state) {
	(void) state;
	struct fake_clock clock;
	struct fake_http fake;
	struct err err = {0};
	struct http_event event;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, NULL, 0);
	int64_t from_ms = clock.mono_ms;
	struct listener first = {.http = &fake.http, .wants_more = true}, second = {.http = &fake.http}, never = {.http = &fake.http};
	http_tick(&fake.http, from_ms + 50, on_tick, &second);
	http_tick(&fake.http, from_ms + 70, on_tick, &first);
	http_tick(&fake.http, from_ms + 20, on_tick, &first); /* moved */
	http_tick(&fake.http, from_ms + 10, on_tick, &never);
	http_tick_cancel(&fake.http, on_tick, &never);
	assert_int_equal(http_step(&fake.http, from_ms + 200, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	assert_int_equal(clock.mono_ms, from_ms + 200);
	assert_int_equal(first.ticks, 2);
	assert_int_equal(first.at_ms, from_ms + 30);
	assert_int_equal(second.at_ms, from_ms + 50);
	assert_int_equal(never.ticks, 0);
	/* Without an end of its own a step waits for the ticks, and then there is nothing left. */
	http_tick(&fake.http, clock.mono_ms + 5, on_tick, &second);
	assert_int_equal(http_step(&fake.http, INT64_MAX, &event, &err), 0);
	assert_int_equal(event.what, HTTP_IDLE);
	assert_int_equal(second.ticks, 2);
	fake_http_end(&fake);
}

/* Over real connections: a stream that never ends, beside a call that does not know of it. */
static void beside_a_call(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "GET /watch",
			.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
			.then = LOOPBACK_HANG},
		{.expect = "GET /x", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	};
	struct loopback *server = loopback_start(turns, COUNT(turns));
	struct err err = {0};
	struct http *http = http_curl_new(&clock_system, NULL, -1, NULL, &err);
	AUTO_FREE char *watch = loopback_url(server, "/watch"), *url = loopback_url(server, "/x");
	struct listener listener = {.http = http, .has_news = true};
	struct http_event event;
	int64_t id;
	start(&listener, watch, &id);
	assert_int_equal(http_step_news(http, clock_mono_ms(&clock_system) + 20000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_NEWS);
	assert_true(listener.begun == 1 && listener.bytes == 3 && listener.done == 0);
	const struct rest rest = {.http = http};
	struct http_answer answer = {0};
	assert_int_equal(rest_call(&rest, &(struct rest_call){.method = "GET", .url = url}, &answer, &err), 0);
	assert_string_equal(answer.body, "ok");
	http_answer_clear(&answer);
	/* News that came while nobody listened are told to the next one who does, once. */
	http_news(http);
	assert_int_equal(http_step(http, clock_mono_ms(&clock_system) + 5, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	assert_int_equal(http_step_news(http, clock_mono_ms(&clock_system) + 20000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_NEWS);
	assert_int_equal(http_step_news(http, clock_mono_ms(&clock_system) + 5, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
	http_cancel(http, id);
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

/* What a request says about its way counts before the environment, for a loopback host too. */
static void a_proxy_of_its_own(void **state) {
	(void) state;
	static const struct loopback_turn turns[] = {
		{.expect = "GET http://api.example/x HTTP/1.1\r\n", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{.expect = "Proxy-Authorization: Basic bWU6d29yZA==\r\n", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	};
	struct loopback *server = loopback_start(turns, COUNT(turns));
	char elsewhere[] = "http_proxy=http://127.0.0.1:1", no[] = "no_proxy=*";
	const struct env env = {.items = (char *[]){elsewhere, no, NULL}};
	struct err err = {0};
	struct http *http = http_curl_new(&clock_system, &env, -1, NULL, &err);
	AUTO_FREE char *plain = loopback_url(server, ""), *named = mem_format("http://me:word@127.0.0.1:%d", loopback_port(server));
	static const char *const urls[] = {"http://api.example/x", "http://127.0.0.1:1/x"};
	for (int i = 0; i < 2; i++) {
		const struct rest rest = {.http = http, .proxy = i ? named : plain, .tries_max = 1};
		struct http_answer answer = {0};
		if (rest_call(&rest, &(struct rest_call){.method = "GET", .url = urls[i]}, &answer, &err) != 0)
			fail_msg("%s", err.message);
		http_answer_clear(&answer);
	}
	const struct rest away = {.http = http, .proxy = "http://me:word@127.0.0.1:1", .tries_max = 1};
	struct http_answer answer = {0};
	assert_int_equal(rest_call(&away, &(struct rest_call){.method = "GET", .url = urls[0]}, &answer, &err), -1);
	assert_non_null(strstr(err.message, "or the proxy for it"));
	assert_null(strstr(err.message, "word"));
	http_close(http);
	assert_int_equal(loopback_stop(server), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_by_a_call),
		cmocka_unit_test(ticks),
		cmocka_unit_test(beside_a_call),
		cmocka_unit_test(a_proxy_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
