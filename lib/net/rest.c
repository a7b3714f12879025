#include "net/rest.h"

#include <errno.h>
#include <signal.h>

#define TRIES_MAX 5
#define HOPS_MAX 5
#define HEADERS_MAX 48
#define TRY_TIMEOUT_MS 30000
#define CALL_DEADLINE_MS 60000
#define SIGNAL_GRACE_MS 2000 /* a write under way may still hear its reply for so long after a signal */
#define WORDS_BYTES_MAX ((size_t) 600)
#define ERRORS_SHOWN_MAX 3
#define CROWD_MAX 12 /* connections at once: each costs both sides a handshake */

struct work {
	const struct rest *rest;
	const struct rest_call *call;
	char *method, *url; /* of the request at hand: redirects change them */
	bool has_body, is_foreign, was_refused;
	int hops; /* redirects of this try */
	int64_t deadline_ms;
	int64_t delivered_bytes; /* to call->write */
	bool is_lost;		 /* a try was sent, at least in part, and never answered */
	struct http_answer answer;
};

static void work_clear(struct work *work) {
	free(work->method);
	free(work->url);
	http_answer_clear(&work->answer);
}

static bool only_reads(const char *method) {
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static int interrupted(int number, struct err *err) {
	err_set(err, ERR_INTERRUPTED, "interrupted by %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
	err->sys = number;
	return -1;
}

/* What belongs to others goes back when the wait is over. */
struct others {
	struct http_event *events;
	size_t count;
};

static void others_add(struct others *others, struct http_event *event) {
	others->events = mem_resize(others->events, others->count + 1, sizeof(*others->events));
	others->events[others->count++] = take(event);
}

static void others_return(struct http *http, struct others *others) {
	for (size_t i = 0; i < others->count; i++)
		http_keep(http, &others->events[i]);
	free(others->events);
}

/* Steps until request `id` is done (*answer filled), or with id 0 until `until_ms`. A signal ends a read or a pause at once; a write gets a
 * moment to hear its reply, and then the signal is kept for the next step, so that a change that was made is known to be made. */
static int wait_in(struct http *http, int64_t id, int64_t until_ms, bool may_stop, struct http_answer *answer, struct others *others,
	struct err *err) {
	int signal = 0;
	for (;;) {
		struct http_event event;
		if (http_step(http, until_ms, &event, err) != 0) {
			if (id)
				http_cancel(http, id);
			return -1;
		}
		if (event.what == HTTP_DONE && event.id == id) {
			*answer = event.answer;
			if (signal)
				others_add(others, &(struct http_event){.what = HTTP_SIGNAL, .signal = signal});
			return 0;
		}
		if (event.what == HTTP_DONE) {
			others_add(others, &event);
		} else if (event.what == HTTP_SIGNAL && !may_stop && !signal) {
			signal = event.signal;
			until_ms = clock_mono_ms(http->clock) + SIGNAL_GRACE_MS;
		} else if (event.what == HTTP_TIMER && !id) {
			return 0;
		} else {
			if (id)
				http_cancel(http, id);
			if (event.what == HTTP_IDLE)
				return err_set(err, ERR_FAILED, "the network has nothing under way");
			return interrupted(event.what == HTTP_SIGNAL ? event.signal : signal, err);
		}
	}
}

static int wait_for(struct http *http, int64_t id, int64_t until_ms, bool may_stop, struct http_answer *answer, struct err *err) {
	struct others others = {0};
	int rc = wait_in(http, id, until_ms, may_stop, answer, &others, err);
	others_return(http, &others);
	return rc;
}

static int on_answer(void *self, const void *bytes, size_t len, struct err *err) {
	struct work *work = self;
	work->delivered_bytes += (int64_t) len;
	return work->call->write(work->call->write_self, bytes, len, err);
}

/* Another origin than the one the caller named is told what is wanted and nothing about who asks. */
static bool may_cross(const char *name) {
	static const char *const harmless[] = {"Accept", "Range", "If-None-Match", "User-Agent"};
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (str_is_nocase(str_of(name), harmless[i]))
			return true;
	return false;
}

static int headers_of(struct work *work, struct http_header *out, size_t *count, struct err *err) {
	const struct rest_call *call = work->call;
	size_t n = 0;
	if (call->header_count > HEADERS_MAX - AUTH_HEADERS_MAX - 2)
		return err_set(err, ERR_LIMIT, "%zu headers, at most %d", call->header_count, HEADERS_MAX - AUTH_HEADERS_MAX - 2);
	for (size_t i = 0; i < call->header_count; i++)
		if (!work->is_foreign || (!call->headers[i].secret && may_cross(call->headers[i].name)))
			out[n++] = call->headers[i];
	if (call->accept)
		out[n++] = (struct http_header){.name = "Accept", .value = call->accept};
	if (call->content_type && work->has_body)
		out[n++] = (struct http_header){.name = "Content-Type", .value = call->content_type};
	struct auth *auth = work->rest->auth;
	if (auth && !work->is_foreign) {
		size_t more = 0;
		if (auth->sign(auth, work->rest->http, work->method, work->url, out + n, &more, err) != 0)
			return -1;
		n += more;
	}
	*count = n;
	return 0;
}

static int send(struct work *work, int64_t *id, struct err *err) {
	const struct rest_call *call = work->call;
	struct http *http = work->rest->http;
	struct http_header headers[HEADERS_MAX];
	size_t count = 0;
	if (headers_of(work, headers, &count, err) != 0)
		return -1;
	int64_t left_ms = work->deadline_ms - clock_mono_ms(http->clock), timeout_ms = call->timeout_ms ? call->timeout_ms : TRY_TIMEOUT_MS;
	if (left_ms <= 0)
		return err_set(err, ERR_TIMEOUT, "no time left");
	struct http_request request = {
		.method = work->method,
		.url = work->url,
		.unix_socket = work->is_foreign ? NULL : call->unix_socket,
		.headers = headers,
		.header_count = count,
		.body = work->has_body ? call->body : (struct str){0},
		.write = call->write ? on_answer : NULL,
		.write_self = work,
		.answer_bytes_max = call->answer_bytes_max,
		.timeout_ms = timeout_ms < left_ms ? timeout_ms : left_ms,
		.ca_file = work->rest->ca_file,
		.is_unverified = work->rest->is_unverified && !work->is_foreign,
		.tls = work->is_foreign ? NULL : work->rest->tls,
		.proxy = work->is_foreign ? NULL : work->rest->proxy,
	};
	request.stall_timeout_ms = call->stall_timeout_ms ? call->stall_timeout_ms : request.timeout_ms;
	http_answer_clear(&work->answer);
	return http_start(http, &request, id, err);
}

static int send_once(struct work *work, struct err *err) {
	struct http *http = work->rest->http;
	int64_t id;
	if (send(work, &id, err) != 0)
		return -1;
	if (wait_for(http, id, INT64_MAX, only_reads(work->method), &work->answer, err) != 0)
		return -1;
	if (work->answer.failure.code && work->answer.was_sent)
		work->is_lost = true;
	return 0;
}

static bool is_redirect(int status) {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* 1: the work now points at the next place; 0: the answer stands as it is; -1: it must not be followed. A body never crosses an origin, a
 * method only changes to GET after a 303, and nobody is sent from https to http or to a metadata service. */
static int follow(struct work *work, int hops, struct err *err) {
	struct str location = http_header_of(&work->answer, "location");
	if (work->rest->is_staying || work->answer.failure.code || !is_redirect(work->answer.status) || !location.len)
		return 0;
	if (hops >= HOPS_MAX)
		return err_set(err, ERR_FAILED, "more than %d redirects", HOPS_MAX);
	AUTO_FREE char *next = NULL;
	if (url_resolve(work->url, location, &next, err) != 0)
		return err_wrap(err, "redirect");
	struct url from, to;
	if (url_parse(str_of(work->url), &from, err) != 0 || url_parse(str_of(next), &to, err) != 0)
		return err_wrap(err, "redirect");
	bool is_same = url_same_origin(work->url, next), becomes_get = work->answer.status == 303 && !only_reads(work->method);
	AUTO_BUF struct buf shown = BUF((size_t) 20 * 1024);
	url_redact(next, &shown);
	const char *why = NULL;
	if (!only_reads(work->method) && !becomes_get && (!is_same || work->answer.status < 307))
		why = "a request that changes something is not sent elsewhere";
	else if (to.userinfo.len)
		why = "it holds a user name";
	else if (!is_same && str_is(from.scheme, "https") && !str_is(to.scheme, "https"))
		why = "it leaves TLS";
	else if (!is_same && url_host_is_link_local(to.host))
		why = "it is a link-local address";
	if (why)
		return err_set(err, ERR_FAILED, "redirects to %s, which is not followed: %s", shown.ptr, why);
	if (becomes_get) {
		free(work->method);
		work->method = mem_text("GET");
		work->has_body = false;
	}
	free(work->url);
	work->url = take(&next);
	work->is_foreign = work->is_foreign || !is_same;
	return 1;
}

static void begin_try(struct work *work) {
	free(work->method);
	free(work->url);
	work->method = mem_text(work->call->method);
	work->url = mem_text(work->call->url);
	work->has_body = work->call->body.len > 0;
	work->is_foreign = work->was_refused = false;
	work->hops = 0;
}

/* 1: to be sent again at once, to where the work points now: a 401 that the credential learnt from, once, or a redirect. 0: the try is
 * over. */
static int next_of(struct work *work, struct err *err) {
	struct auth *auth = work->rest->auth;
	if (work->answer.status == 401 && auth && auth->refused && !work->is_foreign && !work->was_refused) {
		struct auth_challenge challenge = {.url = work->url, .www_authenticate = http_header_of(&work->answer, "www-authenticate")};
		work->was_refused = true;
		if (auth->refused(auth, &challenge))
			return 1;
	}
	return follow(work, work->hops++, err);
}

static int try_once(struct work *work, struct err *err) {
	begin_try(work);
	for (;;) {
		if (send_once(work, err) != 0)
			return -1;
		int next = next_of(work, err);
		if (next <= 0)
			return next;
	}
}

static void add_one_error(const struct value *error, struct buf *out) {
	struct err scratch = {0};
	struct str code = {0}, message = {0};
	best_effort(value_opt_str(error, "code", code, &code, &scratch)); /* a number is somebody's code too: nothing to show then */
	err_clear(&scratch);
	best_effort(value_opt_str(error, "message", message, &message, &scratch));
	if (!code.len && !message.len)
		return;
	if (out->len)
		buf_text(out, "; ");
	buf_str(out, code);
	buf_text(out, code.len && message.len ? ": " : "");
	buf_str(out, message);
}

/* The shapes that most servers use: OCI's and Docker's {"errors": [..]}, {"error": {..}} and OAuth's {"error": "..", "error_description"},
 * Kubernetes' Status {"message"}, RFC 9457's {"title", "detail"}. */
static void decode_json(const struct value *root, struct buf *out) {
	static const char *const members[] = {"error", "error_description", "message", "title", "detail"};
	const struct value *errors = value_get(root, "errors"), *error = value_get(root, "error");
	int shown = 0;
	if (errors && errors->kind == VALUE_ARRAY)
		value_each(one, errors) if (shown++ < ERRORS_SHOWN_MAX) add_one_error(one, out);
	if (error && error->kind == VALUE_OBJECT)
		add_one_error(error, out);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct value *member = value_get(root, members[i]);
		if (!member || member->kind != VALUE_STRING || !member->text.len)
			continue;
		if (out->len)
			buf_text(out, ": ");
		buf_str(out, member->text);
	}
}

static void words_of(const struct work *work, struct buf *out) {
	const struct http_answer *answer = &work->answer;
	AUTO_BUF struct buf words = BUF((size_t) 64 * 1024);
	if (work->rest->decode_error)
		best_effort(work->rest->decode_error(answer, &words)); /* an error body that is not what it should be says nothing */
	struct str body = {answer->body ? answer->body : "", answer->body_len};
	if (!words.len && !work->rest->decode_error) {
		AUTO_DOCUMENT struct document *document = NULL;
		struct err scratch = {0};
		struct value_limits limits = {.bytes_max = 256 * 1024, .nodes_max = 10000, .depth_max = 32};
		if (json_read("answer", body, limits, &document, &scratch) == 0)
			decode_json(document->root, &words);
	}
	if (!words.len && body.len && body.ptr[0] != '<' && body.ptr[0] != '{' && utf8_is_valid(body.ptr, body.len))
		redactor_quote(work->rest->redact, body, WORDS_BYTES_MAX, out);
	else
		redactor_quote(work->rest->redact, buf_view(&words), WORDS_BYTES_MAX, out);
}

static const char *phrase(int status) {
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{400, "bad request"},
		{401, "not authenticated"},
		{403, "forbidden"},
		{404, "not found"},
		{405, "method not allowed"},
		{408, "timeout"},
		{409, "conflict"},
		{412, "precondition failed"},
		{413, "too large"},
		{422, "unprocessable"},
		{429, "too many requests"},
		{500, "internal error"},
		{501, "not implemented"},
		{502, "bad gateway"},
		{503, "unavailable"},
		{504, "gateway timeout"},
	};
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "unexpected status";
}

static enum err_code code_of(int status) {
	if (status == 401 || status == 403)
		return ERR_AUTH;
	if (status == 404)
		return ERR_NOT_FOUND;
	if (status == 409 || status == 412)
		return ERR_CONFLICT;
	return status == 408 || status == 429 || status >= 500 ? ERR_NETWORK : ERR_FAILED;
}

/* Why the call failed, from its last try. */
static int explain(const struct work *work, int tries, struct err *err) {
	const struct http_answer *answer = &work->answer;
	AUTO_BUF struct buf url = BUF((size_t) 20 * 1024), words = BUF((size_t) 8 * 1024);
	url_redact(work->url, &url);
	char again[48] = "";
	if (tries > 1)
		snprintf(again, sizeof(again), " (%d tries)", tries);
	if (answer->failure.code) {
		enum err_code code = answer->failure.code;
		bool is_network = code == ERR_NETWORK || code == ERR_TIMEOUT;
		if (is_network && work->is_lost && !only_reads(work->call->method))
			code = ERR_UNCLEAR;
		AUTO_BUF struct buf reason = BUF((size_t) 8 * 1024);
		redactor_apply(work->rest->redact, str_of(answer->failure.message), &reason);
		err_set(err, code, "%s %s: %s%s%s", work->method, url.ptr, reason.ptr ? reason.ptr : "", again,
			code == ERR_UNCLEAR ? ": the request was sent, but its reply was lost" : "");
		if (code == ERR_UNCLEAR && answer->failure.code == ERR_TIMEOUT)
			err->sys = ETIMEDOUT;
		if (answer->failure.fix[0])
			err_fix(err, "%s", answer->failure.fix);
		return -1;
	}
	words_of(work, &words);
	enum err_code code = code_of(answer->status);
	if (code == ERR_NETWORK && work->is_lost && !only_reads(work->call->method))
		code = ERR_UNCLEAR;
	return err_set(err, code, "%s %s: %d %s%s%s%s%s", work->method, url.ptr, answer->status, phrase(answer->status),
		words.len ? ": " : "", words.len ? words.ptr : "", again,
		code == ERR_UNCLEAR ? ": an earlier try was sent, but its reply was lost" : "");
}

int rest_failure(
	const struct rest *rest, const char *method, const char *url, const struct http_answer *answer, int tries, struct err *err) {
	const struct rest_call call = {.method = method};
	/* Lent for the length of the call, so nothing here is cleared. */
	struct work work = {.rest = rest, .call = &call, .method = (char *) method, .url = (char *) url, .answer = *answer};
	work.is_lost = answer->failure.code && answer->was_sent;
	return explain(&work, tries, err);
}

static bool is_expected(const struct rest_call *call, const struct http_answer *answer) {
	if (answer->failure.code)
		return false;
	if (answer->status >= 200 && answer->status < 300)
		return true;
	for (const int *status = call->expect; status && *status; status++)
		if (*status == answer->status)
			return true;
	return call->is_final && call->is_final(answer);
}

/* Chance enough for a back-off, and the same under a clock that a test holds. */
static int64_t jitter_permille(int64_t now_ms, int n) {
	uint64_t x = (uint64_t) now_ms * 0x9e3779b97f4a7c15ull + (uint64_t) n * 0xbf58476d1ce4e5b9ull;
	return (int64_t) ((x >> 33) % 1000);
}

static int wrap(const struct work *work, struct err *err) {
	AUTO_BUF struct buf url = BUF((size_t) 20 * 1024);
	url_redact(work->url, &url);
	return err->code == ERR_INTERRUPTED ? -1 : err_wrap(err, "%s %s", work->method, url.ptr ? url.ptr : "");
}

static int tries_max(const struct rest *rest) {
	return rest->tries_max ? rest->tries_max : TRIES_MAX;
}

/* After try number `tries`: 0 when the answer stands, 1 when there is to be another in *wait_ms, -1 with the reason. */
static int judge(const struct work *work, int tries, int64_t *wait_ms, struct err *err) {
	const struct rest *rest = work->rest;
	if (work->call->was_lost)
		*work->call->was_lost = work->is_lost;
	if (is_expected(work->call, &work->answer))
		return 0;
	int64_t now_ms = clock_mono_ms(rest->http->clock);
	*wait_ms = retry_wait_ms(work->call->method, work->call->is_repeatable, &work->answer, tries, jitter_permille(now_ms, tries));
	/* What was handed to the caller cannot be taken back, so an answer that was cut halfway is not asked for again here. */
	if (*wait_ms < 0 || tries >= tries_max(rest) || now_ms + *wait_ms >= work->deadline_ms || work->delivered_bytes)
		return explain(work, tries, err);
	log_debug(rest->http->log, "%s: try %d of %d in %lld ms", work->method, tries + 1, tries_max(rest), (long long) *wait_ms);
	return 1;
}

static int call_until_done(struct work *work, struct err *err) {
	struct http *http = work->rest->http;
	for (int tries = 1;; tries++) {
		int64_t wait_ms;
		if (try_once(work, err) != 0)
			return wrap(work, err);
		int again = judge(work, tries, &wait_ms, err);
		if (again <= 0)
			return again;
		if (wait_for(http, 0, clock_mono_ms(http->clock) + wait_ms, true, NULL, err) != 0)
			return -1;
	}
}

static void begin(struct work *work, const struct rest *rest, const struct rest_call *call) {
	*work = (struct work){.rest = rest, .call = call};
	int64_t span_ms = call->timeout_ms > CALL_DEADLINE_MS ? call->timeout_ms : CALL_DEADLINE_MS;
	work->deadline_ms = rest->deadline_ms ? rest->deadline_ms : clock_mono_ms(rest->http->clock) + span_ms;
	if (rest->http->deadline_ms && rest->http->deadline_ms < work->deadline_ms)
		work->deadline_ms = rest->http->deadline_ms;
}

int rest_call(const struct rest *rest, const struct rest_call *call, struct http_answer *answer, struct err *err) {
	int signal = http_kept_signal(rest->http);
	if (signal)
		return interrupted(signal, err);
	__attribute__((cleanup(work_clear))) struct work work;
	begin(&work, rest, call);
	if (call_until_done(&work, err) != 0)
		return -1;
	*answer = take(&work.answer);
	return 0;
}

/* Many works side by side, in rounds: everything that is to be sent is sent, and when all of it is answered, what is to be tried again
 * waits for the longest of the waits together. */
struct crowd {
	struct work *works;
	int64_t *ids; /* 0: not under way */
	bool *is_open;
	struct err *errs;
	size_t count, open, at_once, next; /* next: of this round, the first that was not sent yet */
	int signal;		  /* that came while a write was under way: nothing new is sent */
};

static void over(struct crowd *crowd, size_t i) {
	crowd->is_open[i] = false;
	crowd->open--;
}

static void crowd_send(struct crowd *crowd, size_t i) {
	struct work *work = &crowd->works[i];
	if (send(work, &crowd->ids[i], &crowd->errs[i]) == 0)
		return;
	crowd->ids[i] = 0;
	best_effort(wrap(work, &crowd->errs[i])); /* it only adds to what is told already */
	over(crowd, i);
}

/* One answer came. What is to be sent again at once goes out. */
static void crowd_take(struct crowd *crowd, size_t i, struct http_answer *answer) {
	struct work *work = &crowd->works[i];
	crowd->ids[i] = 0;
	work->answer = take(answer);
	work->is_lost = work->is_lost || (work->answer.failure.code && work->answer.was_sent);
	int next = next_of(work, &crowd->errs[i]);
	if (next > 0) {
		crowd_send(crowd, i);
	} else if (next < 0) {
		best_effort(wrap(work, &crowd->errs[i]));
		over(crowd, i);
	}
}

/* The writes that are under way: they get a moment to hear their reply, and then the signal is kept for the next step. */
static bool crowd_writes(const struct crowd *crowd) {
	for (size_t i = 0; i < crowd->count; i++)
		if (crowd->ids[i] && !only_reads(crowd->works[i].method))
			return true;
	return false;
}

static size_t crowd_under_way(const struct crowd *crowd) {
	size_t n = 0;
	for (size_t i = 0; i < crowd->count; i++)
		n += crowd->ids[i] != 0;
	return n;
}

static void crowd_fill(struct crowd *crowd) {
	for (; crowd->next < crowd->count && !crowd->signal && crowd_under_way(crowd) < crowd->at_once; crowd->next++)
		if (crowd->is_open[crowd->next]) {
			begin_try(&crowd->works[crowd->next]);
			crowd_send(crowd, crowd->next);
		}
}

static int crowd_wait(struct crowd *crowd, struct http *http, struct others *others, struct err *err) {
	int64_t until_ms = INT64_MAX;
	for (crowd_fill(crowd); crowd_under_way(crowd); crowd_fill(crowd)) {
		struct http_event event;
		if (http_step(http, until_ms, &event, err) != 0)
			return -1;
		if (event.what == HTTP_SIGNAL && !crowd->signal && crowd_writes(crowd)) {
			crowd->signal = event.signal;
			until_ms = clock_mono_ms(http->clock) + SIGNAL_GRACE_MS;
			continue;
		}
		if (event.what == HTTP_SIGNAL || (event.what == HTTP_TIMER && crowd->signal))
			return interrupted(event.what == HTTP_SIGNAL ? event.signal : crowd->signal, err);
		if (event.what != HTTP_DONE)
			return err_set(err, ERR_FAILED, "the network has nothing under way");
		size_t i = 0;
		while (i < crowd->count && crowd->ids[i] != event.id)
			i++;
		if (i < crowd->count)
			crowd_take(crowd, i, &event.answer);
		else
			others_add(others, &event);
	}
	return 0;
}

/* Sends what is open, and judges what came of it: how many are to be tried again, and after which wait. */
static int crowd_round(struct crowd *crowd, struct http *http, int tries, struct others *others, int64_t *wait_ms, struct err *err) {
	crowd->next = 0;
	if (crowd_wait(crowd, http, others, err) != 0)
		return -1;
	*wait_ms = 0;
	for (size_t i = 0; i < crowd->next; i++) {
		int64_t its_ms;
		if (!crowd->is_open[i])
			continue;
		if (judge(&crowd->works[i], tries, &its_ms, &crowd->errs[i]) <= 0)
			over(crowd, i);
		else
			*wait_ms = its_ms > *wait_ms ? its_ms : *wait_ms;
	}
	return 0;
}

static int crowd_run(struct crowd *crowd, struct http *http, struct others *others, struct err *err) {
	for (int tries = 1;; tries++) {
		int64_t wait_ms;
		if (crowd_round(crowd, http, tries, others, &wait_ms, err) != 0)
			return -1;
		if (crowd->signal && crowd->open)
			return interrupted(crowd->signal, err);
		if (crowd->signal)
			others_add(others, &(struct http_event){.what = HTTP_SIGNAL, .signal = crowd->signal});
		if (!crowd->open)
			return 0;
		if (wait_in(http, 0, clock_mono_ms(http->clock) + wait_ms, true, NULL, others, err) != 0)
			return -1;
	}
}

int rest_call_all(const struct rest *rest, const struct rest_call *calls, size_t count, struct http_answer *answers, struct err *errs,
	struct err *err) {
	int signal = http_kept_signal(rest->http);
	if (signal)
		return interrupted(signal, err);
	if (!count)
		return 0;
	AUTO_FREE struct work *works = mem_zero(count, sizeof(*works));
	AUTO_FREE int64_t *ids = mem_zero(count, sizeof(*ids));
	AUTO_FREE bool *is_open = mem_zero(count, sizeof(*is_open));
	struct crowd crowd = {.works = works, .ids = ids, .is_open = is_open, .errs = errs, .count = count, .open = count,
		.at_once = rest->at_once ? (size_t) rest->at_once : CROWD_MAX};
	for (size_t i = 0; i < count; i++) {
		begin(&works[i], rest, &calls[i]);
		is_open[i] = true;
	}
	struct others others = {0};
	int rc = crowd_run(&crowd, rest->http, &others, err);
	for (size_t i = 0; i < count; i++) {
		if (ids[i])
			http_cancel(rest->http, ids[i]);
		if (rc == 0 && errs[i].code == ERR_NONE)
			answers[i] = take(&works[i].answer);
		work_clear(&works[i]);
	}
	others_return(rest->http, &others);
	return rc;
}
