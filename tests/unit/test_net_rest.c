#include "net/rest.h"

#include "fakes/fake_http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define URL "https://api.example/v1/x"

static int call_it(struct fake_http *fake, const struct rest_call *call, struct http_answer *answer, struct err *err) {
	const struct rest rest = {.http = &fake->http};
	return rest_call(&rest, call, answer, err);
}

static void one_get(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = URL, .header = "Accept: application/json", .status = 200, .answer = "{}"}};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, 1);
	struct http_answer answer = {0};
	struct err err = {0};
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL, .accept = "application/json"}, &answer, &err), 0);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body, "{}");
	http_answer_clear(&answer);
	fake_http_end(&fake);
}

static void tries_again_and_waits_as_asked(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = URL, .failure = ERR_NETWORK},
		{.method = "GET", .url = URL, .status = 503, .headers = "retry-after: 5\n"},
		{.method = "GET", .url = URL, .failure = ERR_TIMEOUT, .was_sent = true},
		{.method = "GET", .url = URL, .status = 200},
	};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, 4);
	int64_t from_ms = clock.mono_ms;
	struct http_answer answer = {0};
	struct err err = {0};
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL}, &answer, &err), 0);
	assert_true(clock.mono_ms - from_ms >= 5000 && clock.mono_ms - from_ms < 7000);
	http_answer_clear(&answer);
	fake_http_end(&fake);
}

/* One failing call: what is sent, and what the person reads. */
static void failure(const struct fake_turn *turns, size_t count, const struct rest_call *call, enum err_code code, const char *words,
	const char *not_words) {
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, count);
	struct http_answer answer = {.status = -7};
	struct err err = {0};
	struct redactor *redact = redactor_new();
	redactor_add(redact, STR("hunter2"));
	const struct rest rest = {.http = &fake.http, .redact = redact, .tries_max = 2};
	assert_int_equal(rest_call(&rest, call, &answer, &err), -1);
	assert_int_equal(answer.status, -7);
	if (err.code != code || (words && !strstr(err.message, words)) || (not_words && strstr(err.message, not_words)))
		fail_msg("%s: %s", err_kind(err.code), err.message);
	redactor_free(redact);
	fake_http_end(&fake);
}

static void statuses_become_codes(void **state) {
	(void) state;
	static const struct {
		int status;
		enum err_code code;
	} cases[] = {{400, ERR_FAILED}, {401, ERR_AUTH}, {403, ERR_AUTH}, {404, ERR_NOT_FOUND}, {409, ERR_CONFLICT}, {412, ERR_CONFLICT},
		{422, ERR_FAILED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fake_turn turn = {.method = "GET", .url = URL "?token=hunter3", .status = cases[i].status};
		failure(&turn, 1, &(struct rest_call){.method = "GET", .url = URL "?token=hunter3"}, cases[i].code,
			"GET https://api.example/v1/x?token=***: ", "hunter3");
	}
	static const struct fake_turn twice[] = {
		{.method = "GET", .url = URL, .status = 503}, {.method = "GET", .url = URL, .status = 503}};
	failure(twice, 2, &(struct rest_call){.method = "GET", .url = URL}, ERR_NETWORK, "503 unavailable (2 tries)", NULL);
}

static void servers_words(void **state) {
	(void) state;
	static const char *const cases[][2] = {
		{"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"no such\",\"detail\":{}},{\"code\":\"B\"}]}",
			"MANIFEST_UNKNOWN: no such; B"},
		{"{\"error\":{\"code\":400,\"message\":\"bad name\"}}", "400 bad request: bad name"},
		{"{\"error\":\"invalid_client\",\"error_description\":\"who\"}", "invalid_client: who"},
		{"{\"kind\":\"Status\",\"message\":\"pods \\\"x\\\" is wrong\"}", "pods \"x\" is wrong"},
		{"{\"title\":\"T\",\"detail\":\"D\"}", "T: D"},
		{"plain words\n", "400 bad request: plain words"},
		{"the password hunter2 is wrong", "the password *** is wrong"},
		{"aHVudGVyMg== leaks", "leaks"},
		{"\x1b[2Jx", "\\x1b[2Jx"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fake_turn turn = {.method = "GET", .url = URL, .status = 400, .answer = cases[i][0]};
		failure(&turn, 1, &(struct rest_call){.method = "GET", .url = URL}, ERR_FAILED, cases[i][1], "aHVudGVyM");
	}
	static const char *const silent[] = {"<html>nginx</html>", "{\"error\":", "{}", "\xff\xfe", "{\"error\":{\"code\":[[[]]]}}"};
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		const struct fake_turn turn = {.method = "GET", .url = URL, .status = 400, .answer = silent[i]};
		failure(&turn, 1, &(struct rest_call){.method = "GET", .url = URL}, ERR_FAILED, "400 bad request", "request: ");
	}
}

static void a_lost_write_is_unclear(void **state) {
	(void) state;
	static const struct fake_turn lost[] = {{.method = "POST", .url = URL, .body = "{}", .failure = ERR_NETWORK, .was_sent = true}};
	failure(lost, 1, &(struct rest_call){.method = "POST", .url = URL, .body = STR("{}")}, ERR_UNCLEAR, "reply was lost", NULL);
	static const struct fake_turn twice[] = {{.method = "PUT", .url = URL, .failure = ERR_TIMEOUT, .was_sent = true},
		{.method = "PUT", .url = URL, .failure = ERR_NETWORK}};
	failure(twice, 2, &(struct rest_call){.method = "PUT", .url = URL}, ERR_UNCLEAR, "reply was lost", NULL);
	static const struct fake_turn then_busy[] = {
		{.method = "PUT", .url = URL, .failure = ERR_NETWORK, .was_sent = true}, {.method = "PUT", .url = URL, .status = 503}};
	failure(then_busy, 2, &(struct rest_call){.method = "PUT", .url = URL}, ERR_UNCLEAR,
		"an earlier try was sent, but its reply was lost", NULL);
	static const struct fake_turn never[] = {
		{.method = "POST", .url = URL, .failure = ERR_NETWORK}, {.method = "POST", .url = URL, .failure = ERR_NETWORK}};
	failure(never, 2, &(struct rest_call){.method = "POST", .url = URL}, ERR_NETWORK, "refused", "lost");
	static const struct fake_turn read[] = {{.method = "GET", .url = URL, .failure = ERR_NETWORK, .was_sent = true},
		{.method = "GET", .url = URL, .failure = ERR_NETWORK, .was_sent = true}};
	failure(read, 2, &(struct rest_call){.method = "GET", .url = URL}, ERR_NETWORK, NULL, "lost");
}

static void a_post_is_sent_once(void **state) {
	(void) state;
	static const struct fake_turn once[] = {{.method = "POST", .url = URL, .status = 503}};
	failure(once, 1, &(struct rest_call){.method = "POST", .url = URL}, ERR_NETWORK, "503", NULL);
	static const struct fake_turn twice[] = {
		{.method = "POST", .url = URL, .status = 503}, {.method = "POST", .url = URL, .status = 503}};
	failure(twice, 2, &(struct rest_call){.method = "POST", .url = URL, .is_repeatable = true}, ERR_NETWORK, "503", NULL);
}

static void expected_statuses(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {{.method = "GET", .url = URL, .status = 404}};
	static const int expect[] = {304, 404, 0};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, 1);
	struct http_answer answer = {0};
	struct err err = {0};
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL, .expect = expect}, &answer, &err), 0);
	assert_int_equal(answer.status, 404);
	http_answer_clear(&answer);
	fake_http_end(&fake);
}

static void the_deadline_holds(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {{.method = "GET", .url = URL, .status = 429, .headers = "retry-after: 120\n"},
		{.method = "GET", .url = URL, .status = 200, .ms = 90000}};
	failure(turns, 1, &(struct rest_call){.method = "GET", .url = URL}, ERR_NETWORK, "429", NULL);
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns + 1, 1);
	struct http_answer answer = {0};
	struct err err = {0};
	const struct rest rest = {.http = &fake.http, .deadline_ms = clock.mono_ms + 1000};
	assert_int_equal(rest_call(&rest, &(struct rest_call){.method = "GET", .url = URL}, &answer, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_int_equal(clock.mono_ms, rest.deadline_ms);
	fake_http_end(&fake);
}

struct fake_auth {
	struct auth auth;
	struct secret token;
	int signed_count, refused_count;
	char challenge[64];
};

static int sign(struct auth *auth, struct http *http, const char *method, const char *url, struct http_header headers[AUTH_HEADERS_MAX],
	size_t *count, struct err *err) {
	(void) http, (void) method, (void) url, (void) err;
	struct fake_auth *self = (struct fake_auth *) auth;
	self->signed_count++;
	headers[0] = (struct http_header){.name = "Authorization", .secret = &self->token, .prefix = "Bearer "};
	*count = 1;
	return 0;
}

static bool refused(struct auth *auth, const struct auth_challenge *challenge) {
	struct fake_auth *self = (struct fake_auth *) auth;
	self->refused_count++;
	snprintf(self->challenge, sizeof(self->challenge), "%.*s", STR_ARGS(challenge->www_authenticate));
	secret_set(&self->token, STR("new-token"), NULL);
	return true;
}

/* Runs a call with a credential ("old-token") and an API key header of the caller's. */
static int with_auth(
	const struct fake_turn *turns, size_t count, const char *method, struct str body, struct fake_auth *auth, struct err *err) {
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, count);
	*auth = (struct fake_auth){.auth = {.sign = sign, .refused = refused}};
	secret_set(&auth->token, STR("old-token"), NULL);
	static const struct http_header mine[] = {{.name = "X-Api-Key", .value = "key"}, {.name = "Range", .value = "bytes=0-1"}};
	const struct rest rest = {.http = &fake.http, .auth = &auth->auth, .tries_max = 1};
	const struct rest_call call = {
		.method = method, .url = URL, .headers = mine, .header_count = 2, .body = body, .content_type = "text/plain"};
	struct http_answer answer = {0};
	int rc = rest_call(&rest, &call, &answer, err);
	http_answer_clear(&answer);
	secret_clear(&auth->token);
	fake_http_end(&fake);
	return rc;
}

static void one_new_try_after_401(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET",
			.url = URL,
			.header = "Authorization: Bearer old-token",
			.status = 401,
			.headers = "www-authenticate: Bearer realm=\"x\"\n"},
		{.method = "GET", .url = URL, .header = "Authorization: Bearer new-token", .status = 200},
	};
	static const struct fake_turn again[] = {
		{.method = "GET", .url = URL, .status = 401}, {.method = "GET", .url = URL, .status = 401}};
	struct fake_auth auth;
	struct err err = {0};
	assert_int_equal(with_auth(turns, 2, "GET", (struct str){0}, &auth, &err), 0);
	assert_string_equal(auth.challenge, "Bearer realm=\"x\"");
	assert_int_equal(with_auth(again, 2, "GET", (struct str){0}, &auth, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_int_equal(auth.refused_count, 1);
}

static void redirects_keep_secrets_home(void **state) {
	(void) state;
	struct fake_auth auth;
	struct err err = {0};
	static const struct fake_turn same[] = {
		{.method = "GET", .url = URL, .header = "X-Api-Key: key", .status = 302, .headers = "location: ../v2/y?z\n"},
		{.method = "GET", .url = "https://api.example/v2/y?z", .header = "Authorization: Bearer old-token", .status = 200},
	};
	assert_int_equal(with_auth(same, 2, "GET", (struct str){0}, &auth, &err), 0);
	static const struct fake_turn other[] = {
		{.method = "GET", .url = URL, .status = 307, .headers = "location: https://blobs.example/y\n"},
		{.method = "GET",
			.url = "https://blobs.example/y",
			.header = "Range: bytes=0-1",
			.no_header = "Authorization",
			.status = 200},
	};
	assert_int_equal(with_auth(other, 2, "GET", (struct str){0}, &auth, &err), 0);
	assert_int_equal(auth.signed_count, 1);
	static const struct fake_turn key[] = {
		{.method = "GET", .url = URL, .status = 307, .headers = "location: https://blobs.example/y\n"},
		{.method = "GET",
			.url = "https://blobs.example/y",
			.no_header = "X-Api-Key",
			.status = 307,
			.headers = "location: " URL "\n"},
		{.method = "GET", .url = URL, .no_header = "Authorization", .status = 200}, /* once abroad, nothing is signed any more */
	};
	assert_int_equal(with_auth(key, 3, "GET", (struct str){0}, &auth, &err), 0);
	static const struct fake_turn abroad[] = {
		{.method = "GET", .url = URL, .status = 307, .headers = "location: https://blobs.example/y\n"},
		{.method = "GET",
			.url = "https://blobs.example/y",
			.status = 401,
			.headers = "www-authenticate: Bearer realm=\"https://evil\"\n"},
	};
	assert_int_equal(with_auth(abroad, 2, "GET", (struct str){0}, &auth, &err), -1);
	assert_int_equal(auth.refused_count, 0);
}

static void redirects_that_are_not_followed(void **state) {
	(void) state;
	static const struct {
		const char *method, *location, *why;
		int status;
	} cases[] = {
		{"POST", "https://evil.example/", "sent elsewhere", 307},
		{"PUT", "https://evil.example/", "sent elsewhere", 308},
		{"POST", "/other", "sent elsewhere", 302},
		{"GET", "http://api.example/", "leaves TLS", 302},
		{"GET", "http://169.254.169.254/latest/", "leaves TLS", 302},
		{"GET", "https://169.254.169.254/latest/", "link-local", 302},
		{"GET", "https://[fd00:ec2::254]/", "link-local", 302},
		{"GET", "https://2852039166/", "link-local", 302},
		{"GET", "https://u:hunter2@evil.example/", "user name", 302},
		{"GET", "file:///etc/passwd", "must begin with", 302},
		{"GET", "https://api.example\\@evil/", "backslash", 302},
		{"GET", "https://a:b@c@d/", "two @", 302},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *headers = mem_format("location: %s\n", cases[i].location);
		const struct fake_turn turn = {.method = cases[i].method, .url = URL, .status = cases[i].status, .headers = headers};
		failure(&turn, 1, &(struct rest_call){.method = cases[i].method, .url = URL, .body = STR("client_secret=x")}, ERR_FAILED,
			cases[i].why, "hunter2");
	}
	struct fake_turn loop[6];
	for (size_t i = 0; i < 6; i++)
		loop[i] = (struct fake_turn){.method = "GET", .url = URL, .status = 302, .headers = "location: " URL "\n"};
	failure(loop, 6, &(struct rest_call){.method = "GET", .url = URL}, ERR_FAILED, "more than 5 redirects", NULL);
	static const struct fake_turn nowhere[] = {{.method = "GET", .url = URL, .status = 302}};
	failure(nowhere, 1, &(struct rest_call){.method = "GET", .url = URL}, ERR_FAILED, "302", NULL);
}

static void same_origin_redirects_of_writes(void **state) {
	(void) state;
	struct fake_auth auth;
	struct err err = {0};
	static const struct fake_turn moved[] = {
		{.method = "POST", .url = URL, .body = "b", .status = 307, .headers = "location: /v1/z\n"},
		{.method = "POST", .url = "https://api.example/v1/z", .body = "b", .header = "Content-Type: text/plain", .status = 201},
	};
	assert_int_equal(with_auth(moved, 2, "POST", STR("b"), &auth, &err), 0);
	static const struct fake_turn see[] = {
		{.method = "POST", .url = URL, .body = "b", .status = 303, .headers = "location: /v1/z\n"},
		{.method = "GET", .url = "https://api.example/v1/z", .body = "", .no_header = "Content-Type", .status = 200},
	};
	assert_int_equal(with_auth(see, 2, "POST", STR("b"), &auth, &err), 0);
}

static int keep_bytes(void *self, const void *bytes, size_t len, struct err *err) {
	(void) err;
	buf_add(self, bytes, len);
	return 0;
}

static int no_space(void *self, const void *bytes, size_t len, struct err *err) {
	(void) self, (void) bytes, (void) len;
	return err_set(err, ERR_NOSPACE, "disk full");
}

static void streams_an_answer(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {{.method = "GET", .url = URL, .status = 503, .answer = "no"},
		{.method = "GET", .url = URL, .status = 200, .answer = "yes"}};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, 2);
	AUTO_BUF struct buf got = BUF(100);
	struct http_answer answer = {0};
	struct err err = {0};
	assert_int_equal(
		call_it(&fake, &(struct rest_call){.method = "GET", .url = URL, .write = keep_bytes, .write_self = &got}, &answer, &err),
		0);
	assert_string_equal(got.ptr, "yes");
	http_answer_clear(&answer);
	fake_http_end(&fake);
	fake_http_script(&fake, &clock, turns + 1, 1);
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL, .write = no_space}, &answer, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	fake_http_end(&fake);
}

static void others_events_are_kept(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "PUT", .url = "https://other/1", .status = 201, .ms = 1},
		{.method = "PUT", .url = "https://other/2", .status = 202, .ms = 2},
		{.method = "PUT", .url = "https://other/3", .status = 203, .ms = 3},
		{.method = "GET", .url = URL, .status = 200, .ms = 10},
	};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	fake_http_script(&fake, &clock, turns, 4);
	int64_t ids[3];
	struct err err = {0};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(http_start(&fake.http, &(struct http_request){.method = "PUT", .url = turns[i].url}, &ids[i], &err), 0);
	struct http_answer answer = {0};
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL}, &answer, &err), 0);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	http_cancel(&fake.http, ids[1]);
	for (size_t i = 0; i < 3; i += 2) {
		struct http_event event;
		assert_int_equal(http_step(&fake.http, INT64_MAX, &event, &err), 0);
		assert_int_equal(event.what, HTTP_DONE);
		assert_int_equal(event.id, ids[i]);
		assert_int_equal(event.answer.status, turns[i].status);
		http_answer_clear(&event.answer);
	}
	fake_http_end(&fake);
}

static void signals(void **state) {
	(void) state;
	static const struct fake_turn read[] = {{.method = "GET", .url = URL, .status = 200, .signal = SIGTERM, .ms = 5}};
	static const struct fake_turn write[] = {{.method = "PUT", .url = URL, .status = 200, .signal = SIGINT, .ms = 1500}};
	static const struct fake_turn slow[] = {{.method = "PUT", .url = URL, .status = 200, .signal = SIGINT, .ms = 5000}};
	struct fake_clock clock;
	struct fake_http fake;
	fake_clock_init(&clock);
	struct http_answer answer = {0};
	struct err err = {0};
	int noted = 0;
	fake_http_script(&fake, &clock, read, 1);
	fake.http.interrupted = &noted;
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "GET", .url = URL}, &answer, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(err.sys, SIGTERM);
	assert_int_equal(noted, SIGTERM); /* also for who does not look at the error */
	fake_http_end(&fake);
	err_clear(&err);
	fake_http_script(
		&fake, &clock, write, 1); /* the reply is heard; the next call says that there was a signal, and the one after goes on */
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "PUT", .url = URL}, &answer, &err), 0);
	http_answer_clear(&answer);
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "PUT", .url = URL}, &answer, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(http_kept_signal(&fake.http), 0);
	fake_http_end(&fake);
	err_clear(&err);
	fake_http_script(&fake, &clock, slow, 1);
	int64_t from_ms = clock.mono_ms;
	assert_int_equal(call_it(&fake, &(struct rest_call){.method = "PUT", .url = URL}, &answer, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(clock.mono_ms - from_ms, 2000);
	fake_http_end(&fake);
}

/* Every place a call can fail at, one to three times in a row: it succeeds, or it says so, and never both. */
static void answer_all(void *self, const struct http_request *request, struct http_answer *answer) {
	(void) request;
	++*(int *) self;
	fake_answer(answer, 200, NULL, "ok");
}

static void any_failure_is_survived_or_told(void **state) {
	(void) state;
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "PATCH"};
	int injected = 0;
	for (size_t m = 0; m < 5; m++)
		for (size_t times = 1; times <= 6; times++)
			for (int was_sent = 0; was_sent <= 1; was_sent++) {
				struct fake_clock clock;
				struct fake_http fake;
				int handled = 0;
				fake_clock_init(&clock);
				fake_http_handler(&fake, &clock, answer_all, &handled);
				fake.fail_at = 1;
				fake.fail_times = times;
				fake.fail_was_sent = was_sent;
				struct http_answer answer = {0};
				struct err err = {0};
				int rc = call_it(&fake, &(struct rest_call){.method = methods[m], .url = URL}, &answer, &err);
				assert_int_equal(rc == 0, err.code == ERR_NONE);
				bool is_once = strcmp(methods[m], "POST") == 0 || strcmp(methods[m], "PATCH") == 0;
				if (is_once && was_sent)
					assert_true(rc == -1 && err.code == ERR_UNCLEAR && handled == 1);
				else
					assert_int_equal(rc, times <= 4 ? 0 : -1);
				if (rc != 0 && was_sent && m > 0)
					assert_int_equal(err.code, ERR_UNCLEAR);
				injected += (int) (times < fake.started ? times : fake.started);
				http_answer_clear(&answer);
				fake_http_end(&fake);
			}
	assert_true(injected > 100);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_get),
		cmocka_unit_test(tries_again_and_waits_as_asked),
		cmocka_unit_test(statuses_become_codes),
		cmocka_unit_test(servers_words),
		cmocka_unit_test(a_lost_write_is_unclear),
		cmocka_unit_test(a_post_is_sent_once),
		cmocka_unit_test(expected_statuses),
		cmocka_unit_test(the_deadline_holds),
		cmocka_unit_test(one_new_try_after_401),
		cmocka_unit_test(redirects_keep_secrets_home),
		cmocka_unit_test(redirects_that_are_not_followed),
		cmocka_unit_test(same_origin_redirects_of_writes),
		cmocka_unit_test(streams_an_answer),
		cmocka_unit_test(others_events_are_kept),
		cmocka_unit_test(signals),
		cmocka_unit_test(any_failure_is_survived_or_told),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
