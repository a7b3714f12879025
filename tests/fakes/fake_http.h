/* A network that plays a script, on a clock that only it moves: waiting costs nothing and a 15-minute canary takes a microsecond.
 *
 * Two ways. A script: the requests that must come, in this order, each with its canned answer; anything else fails the test at once
 * (with cmocka's fail()), and fake_http_end() fails when some never came. Or a handler: a function that plays the server.
 * On top of either, the n-th request can be made to fail, to show that every step survives it. */
#pragma once

#include "net/http.h"

struct fake_clock {
	struct clock clock; /* hand this on */
	int64_t mono_ms, wall_s;
};
void fake_clock_init(struct fake_clock *fake); /* mono 1 000 000, wall 2026-11-21T10:00:00Z; sleeping moves both */

/* A part of a streamed answer, and when it comes, from the request's start. */
struct fake_piece {
	int64_t ms;
	const char *text; /* NULL: the last one */
};

struct fake_turn {
	const char *method, *url;    /* exactly these */
	const char *header;          /* "Name: value" that must be among the headers, secrets spelled out; NULL: any */
	const char *no_header;       /* a name that must not be */
	const char *body;            /* exactly; NULL: any */
	int status;                  /* 0: none arrives, `failure` does */
	const char *headers;         /* "name: value\n" lines, lower case; NULL: none */
	const char *answer;          /* NULL: empty */
	enum err_code failure;       /* ERR_NETWORK, ERR_TIMEOUT */
	bool was_sent;               /* with a failure */
	int64_t ms;                  /* how long it takes */
	int signal;                  /* comes before the answer does */
	const struct fake_piece *pieces; /* of a streamed 2xx, in place of `answer`; ends with a zeroed one. The answer ends `ms` after the last one, or: */
	bool is_open;                /* never: until it is cancelled, or its stall timeout */
};

struct fake_http {
	struct http http; /* hand this on */
	struct fake_clock *clock;
	const struct fake_turn *turns;
	size_t count, next;
	/* Plays the server: fills `answer` (status, headers, body: owned by the answer) and returns. Called when the request would be answered. */
	void (*handle)(void *self, const struct http_request *request, struct http_answer *answer);
	void *handle_self;
	size_t fail_at, fail_times;  /* requests fail_at .. fail_at + fail_times - 1 (from 1) fail; 0: none */
	enum err_code fail_code;
	bool fail_was_sent;          /* the server did what it was asked, and its answer was lost */
	void (*look)(void *self, const struct http_request *request); /* sees each request as it is started; NULL: nobody */
	void *look_self;
	size_t started;              /* requests so far */
	struct fake_request *waiting;
	int64_t last_id;
};
void fake_http_script(struct fake_http *fake, struct fake_clock *clock, const struct fake_turn *turns, size_t count);
void fake_http_handler(struct fake_http *fake, struct fake_clock *clock,
	void (*handle)(void *self, const struct http_request *request, struct http_answer *answer), void *self);
/* For handlers: a whole answer. headers and body may be NULL. */
void fake_answer(struct http_answer *answer, int status, const char *headers, const char *body);
/* The value of a request's header, with prefix and secret; owned by the caller, NULL when it is not there. */
char *fake_header(const struct http_request *request, const char *name);
/* Fails the test when a scripted request never came or one is still under way. */
void fake_http_end(struct fake_http *fake);
