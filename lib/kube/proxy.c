#include "kube/wire.h"

#include <errno.h>

#define PROXY_ANSWER_BYTES_MAX ((size_t) 8 * 1024 * 1024)
#define WORDS_BYTES_MAX ((size_t) 500)
#define LOG_LINES_BYTES_MAX ((size_t) 64 * 1024 * 1024) /* of a log that is read to its end */

/* --- a pod's or a service's own port */

struct proxying {
	struct buf url;
	struct http_header headers[2];
	size_t header_count;
};

/* Everything that came from there, and what the server itself says about the way. Only its own "too many requests" is worth another try. */
static bool is_whole(const struct http_answer *answer) {
	return answer->status != 429 || !answer->body || !str_starts(str_of(answer->body), "Too many requests, please try again later");
}

static int prepare(struct kube *kube, const struct kube_proxy *proxy, struct proxying *out, struct rest_call *call, struct err *err) {
	if (proxy->port < 1 || proxy->port > 65535)
		return err_set(err, ERR_INVALID, "%s %s: port %d: must be 1 to 65535", proxy->kind, proxy->name, proxy->port);
	out->url = BUF(KUBE_URL_BYTES_MAX);
	AUTO_FREE char *place = mem_format("%s:%d", proxy->name, proxy->port);
	if (kube_url(kube, proxy->kind, NULL, place, "proxy", &out->url, err) != 0)
		return -1;
	if (proxy->path[0] != '/')
		buf_char(&out->url, '/');
	buf_text(&out->url, proxy->path);
	if (buf_check(&out->url, "URL", err) != 0)
		return -1;
	if (proxy->key && proxy->key->text)
		out->headers[out->header_count++] = (struct http_header){.name = "Mlctl-Key", .secret = proxy->key};
	if (proxy->is_hop)
		out->headers[out->header_count++] = (struct http_header){.name = "Mlctl-Hop", .value = "1"};
	*call = (struct rest_call){.method = proxy->method,
		.url = out->url.ptr,
		.headers = out->headers,
		.header_count = out->header_count,
		.body = str_of(proxy->body),
		.content_type = proxy->body ? "application/json" : NULL,
		.answer_bytes_max = PROXY_ANSWER_BYTES_MAX,
		.is_final = is_whole,
		.timeout_ms = proxy->timeout_ms};
	return 0;
}

static struct str text_of(const struct value *root, const char *path) {
	const struct value *value = value_find(root, path);
	return value && value->kind == VALUE_STRING ? value->text : (struct str){"", 0};
}

/* The API server's own no: a Status about the pod or service itself, or about the way to it. What listens there may answer 404 and 503 too.
 */
static int judge(struct kube *kube, const struct kube_proxy *proxy, const char *url, struct http_answer *answer, struct err *err) {
	static const char *const ways[] = {"error trying to reach service", "no endpoints available", "address not allowed",
		"no service port", "dial tcp"};
	if (answer->status < 400)
		return 0;
	AUTO_DOCUMENT struct document *status = kube_status_of(answer);
	const struct kube_doing doing = {.verb = "ask", .kind = proxy->kind, .name = proxy->name, .http_method = proxy->method, .url = url};
	if (!status)
		return answer->status == 401 && !answer->body_len ? kube_failure(kube, &doing, answer, err) : 0;
	struct str message = text_of(status->root, "message"), kind = text_of(status->root, "details.kind");
	const struct kube_kind *row = kube_kind_find(proxy->kind);
	bool is_about_it = str_is(kind, row->plural) || str_is(kind, "namespaces");
	if (answer->status == 401 || (answer->status == 403 && is_about_it) || (answer->status == 404 && is_about_it)) {
		best_effort(kube_failure(kube, &doing, answer, err));
		if (err->code == ERR_INVALID) /* a policy of the cluster forbids the question */
			err->code = ERR_UNCLEAR;
		return -1;
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!message.len || !memmem(message.ptr, message.len, ways[i], strlen(ways[i])))
			continue;
		AUTO_BUF struct buf words = BUF(2 * WORDS_BYTES_MAX);
		redactor_quote(kube->options.redact, message, WORDS_BYTES_MAX, &words);
		return err_set(err, ERR_NETWORK, "%s %s, port %d: nothing answers there: %s", proxy->kind, proxy->name, proxy->port, words.ptr);
	}
	if (answer->status >= 500 && str_is(text_of(status->root, "status"), "Failure")) { /* it could not ask: "etcdserver: request timed out", or it starts, or ends */
		best_effort(kube_failure(kube, &doing, answer, err));
		err->code = ERR_UNCLEAR;
		return -1;
	}
	return 0;
}

static int finish(struct kube *kube, const struct kube_proxy *proxy, const char *url, struct http_answer *answer, struct err *err) {
	int rc = 0;
	if (err->code) {
		bool is_unanswered = err->code == ERR_UNCLEAR && err->sys == ETIMEDOUT;
		rc = kube_explain(kube, &(struct kube_doing){.verb = "ask", .url = url}, err);
		if (is_unanswered)
			err->code = ERR_TIMEOUT;
		else if (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT)
			err->code = ERR_UNCLEAR;
	} else
		rc = judge(kube, proxy, url, answer, err);
	if (rc != 0)
		http_answer_clear(answer);
	return rc;
}

int kube_proxy(struct kube *kube, const struct kube_proxy *proxy, struct http_answer *answer, struct err *err) {
	struct err own = {0};
	struct http_answer got = {0};
	if (kube_proxy_all(kube, proxy, 1, &got, &own, err) != 0)
		return -1;
	if (own.code) {
		*err = own;
		return -1;
	}
	*answer = got;
	return 0;
}

int kube_proxy_all(
	struct kube *kube, const struct kube_proxy *proxies, size_t count, struct http_answer *answers, struct err *errs, struct err *err) {
	if (!count)
		return 0;
	AUTO_FREE struct proxying *ways = mem_zero(count, sizeof(*ways));
	AUTO_FREE struct rest_call *calls = mem_zero(count, sizeof(*calls));
	AUTO_FREE struct http_answer *got = mem_zero(count, sizeof(*got));
	AUTO_FREE struct err *said = mem_zero(count, sizeof(*said));
	AUTO_FREE size_t *of = mem_zero(count, sizeof(*of));
	size_t asked = 0;
	for (size_t i = 0; i < count; i++)
		if (prepare(kube, &proxies[i], &ways[i], &calls[asked], &errs[i]) == 0)
			of[asked++] = i;
	int rc = rest_call_all(&kube->rest, calls, asked, got, said, err);
	for (size_t k = 0; k < asked; k++) {
		size_t i = of[k];
		if (rc != 0) {
			http_answer_clear(&got[k]);
			continue;
		}
		errs[i] = said[k];
		if (finish(kube, &proxies[i], ways[i].url.ptr, &got[k], &errs[i]) == 0)
			answers[i] = got[k];
	}
	for (size_t i = 0; i < count; i++)
		buf_clear(&ways[i].url);
	return rc;
}

/* --- logs */

/* The end of what came, at most twice bytes_max at a time. */
struct tail {
	struct buf text;
	size_t bytes_max;
	int64_t dropped_bytes;
};

static int on_log(void *self, const void *bytes, size_t len, struct err *err) {
	struct tail *tail = self;
	(void) err;
	if (len > tail->bytes_max) {
		tail->dropped_bytes += (int64_t) (len - tail->bytes_max + tail->text.len);
		buf_reset(&tail->text);
		bytes = (const char *) bytes + (len - tail->bytes_max);
		len = tail->bytes_max;
	} else if (tail->text.len + len > 2 * tail->bytes_max) {
		size_t drop = tail->text.len - (tail->bytes_max - len);
		memmove(tail->text.ptr, tail->text.ptr + drop, tail->text.len - drop);
		tail->text.len -= drop;
		tail->dropped_bytes += (int64_t) drop;
	}
	buf_add(&tail->text, bytes, len);
	return 0;
}

/* From the beginning of a line, where something was left out before it. */
static char *end_of(struct tail *tail) {
	struct str text = buf_view(&tail->text);
	if (text.len > tail->bytes_max) {
		tail->dropped_bytes += (int64_t) (text.len - tail->bytes_max);
		text = (struct str){text.ptr + text.len - tail->bytes_max, tail->bytes_max};
	}
	const char *line = tail->dropped_bytes ? memchr(text.ptr, '\n', text.len) : NULL;
	if (line && line + 1 < text.ptr + text.len)
		text = (struct str){line + 1, (size_t) (text.ptr + text.len - line - 1)};
	return str_dup(text);
}

int kube_logs(struct kube *kube, const struct kube_logs *logs, char **out, struct err *err) {
	AUTO_BUF struct buf url = BUF(KUBE_URL_BYTES_MAX);
	char number[24];
	if (kube_url(kube, "Pod", NULL, logs->pod, "log", &url, err) != 0)
		return -1;
	if (logs->container)
		kube_query(&url, "container", str_of(logs->container));
	if (logs->lines) {
		snprintf(number, sizeof(number), "%d", logs->lines);
		kube_query(&url, "tailLines", str_of(number));
	}
	if (logs->is_previous)
		kube_query(&url, "previous", STR("true"));
	if (logs->has_timestamps)
		kube_query(&url, "timestamps", STR("true"));
	if (logs->since_time)
		kube_query(&url, "sinceTime", str_of(logs->since_time));
	struct tail tail = {.bytes_max = logs->bytes_max && logs->bytes_max < LOG_LINES_BYTES_MAX ? logs->bytes_max : LOG_LINES_BYTES_MAX};
	tail.text = BUF(2 * tail.bytes_max + 1);
	const struct kube_doing doing = {.verb = "read the log of", .kind = "Pod", .name = logs->pod, .http_method = "GET", .url = url.ptr};
	const struct rest_call call = {.method = "GET",
		.url = url.ptr,
		.is_final = kube_is_final,
		.write = on_log,
		.write_self = &tail,
		.accept = "text/plain, */*"};
	struct http_answer answer = {0};
	int rc = kube_call(kube, &call, &answer, err);
	if (rc != 0)
		rc = kube_explain(kube, &doing, err);
	else if (answer.status == 400) { /* no such container, not started yet, or never ran before */
		AUTO_DOCUMENT struct document *status = kube_status_of(&answer);
		AUTO_BUF struct buf words = BUF(2 * WORDS_BYTES_MAX);
		redactor_quote(kube->options.redact, status ? text_of(status->root, "message") : STR("no log"), WORDS_BYTES_MAX, &words);
		rc = err_set(err, ERR_NOT_FOUND, "log of pod %s: %s", logs->pod, words.ptr ? words.ptr : "");
	} else if (!kube_is_good(&answer))
		rc = kube_failure(kube, &doing, &answer, err);
	else
		*out = end_of(&tail);
	http_answer_clear(&answer);
	buf_clear(&tail.text);
	return rc;
}
