#include "kube/wire.h"

#include <errno.h>

#define ASKS_AT_ONCE 3 /* short answers: more connections cost more than they save */
#define PAGE_OBJECTS 500
#define PAGES_MAX 2000
#define RESTARTS_MAX 3
#define WARNINGS_MAX 200
#define BRIEF(kind) "application/json;as=" kind ";g=meta.k8s.io;v=v1, application/json"
#define CLOCK_STEP_MS 10000 /* more than an answer takes on its way */
#define READ_BYTES_MAX ((size_t) 4 * 1024 * 1024)

static struct kube *kube_of(struct auth *auth) {
	return (struct kube *) ((char *) auth - offsetof(struct kube, auth));
}

static int sign(struct auth *auth, struct http *http, const char *method, const char *url, struct http_header headers[AUTH_HEADERS_MAX],
	size_t *count, struct err *err) {
	struct kube *kube = kube_of(auth);
	struct kube_config *config = kube->config;
	size_t n = 0;
	_Static_assert(3 + KUBE_GROUPS_MAX + KUBE_EXTRAS_MAX <= AUTH_HEADERS_MAX, "who asks, as whom, as which uid, and all that he may be");
	(void) http;
	(void) method;
	*count = 0;
	if (!url_same_origin(config->server, url))
		return 0;
	if (kube_config_refresh(config, &kube->config_options, err) != 0) {
		if (err->code == ERR_AUTH)
			err->sys = EKEYEXPIRED;
		return -1;
	}
	kube->tls.certificate = str_of(config->certificate);
	kube->tls.key = (struct str){config->key.text, config->key.len};
	if (config->token.text)
		headers[n++] = (struct http_header){.name = "Authorization", .prefix = "Bearer ", .secret = &config->token};
	else if (config->basic.text)
		headers[n++] = (struct http_header){.name = "Authorization", .prefix = "Basic ", .secret = &config->basic};
	if (config->as)
		headers[n++] = (struct http_header){.name = "Impersonate-User", .value = config->as};
	if (config->as_uid)
		headers[n++] = (struct http_header){.name = "Impersonate-Uid", .value = config->as_uid};
	for (size_t i = 0; i < config->as_groups.count; i++)
		headers[n++] = (struct http_header){.name = "Impersonate-Group", .value = config->as_groups.items[i]};
	for (size_t i = 0; i < config->as_extra_names.count; i++)
		headers[n++] = (struct http_header){.name = config->as_extra_names.items[i], .value = config->as_extra_values.items[i]};
	*count = n;
	return 0;
}

static bool refused(struct auth *auth, const struct auth_challenge *challenge) {
	(void) challenge;
	return kube_config_refused(kube_of(auth)->config, kube_of(auth)->options.clock);
}

/* What rest.h shows of an answer that it gave up on: the Status' own sentence. */
static int decode_error(const struct http_answer *answer, struct buf *out) {
	AUTO_DOCUMENT struct document *status = kube_status_of(answer);
	struct str message = {"", 0};
	struct err scratch = {0};
	if (status)
		best_effort(value_opt_str(status->root, "message", message, &message, &scratch)); /* no text: nothing to show */
	struct str body = {answer->body ? answer->body : "", answer->body_len};
	if (!status && body.len && body.ptr[0] != '<' && body.ptr[0] != '{' && utf8_is_valid(body.ptr, body.len))
		message = body;
	buf_str(out, message);
	return 0;
}

int kube_open(const struct kube_options *options, struct kube **out, struct err *err) {
	CLEANUP(kube_at_exit) struct kube *kube = NEW(struct kube);
	kube->options = *options;
	kube->config_options = (struct kube_config_options){.env = options->env,
		.clock = options->clock,
		.redact = options->redact,
		.log = options->log,
		.context = options->context && options->context[0] ? options->context : NULL,
		.namespace_ = options->namespace_ && options->namespace_[0] ? options->namespace_ : NULL};
	if (kube_config_load(&kube->config_options, &kube->config, err) != 0)
		return -1;
	struct kube_config *config = kube->config;
	kube->config_options.context = kube->config_options.namespace_ = NULL; /* lent for this call */
	kube->options.context = kube->options.namespace_ = NULL;
	kube->auth = (struct auth){.sign = sign, .refused = refused};
	kube->tls = (struct http_tls){.ca = str_of(config->ca), .server_name = config->server_name};
	kube->rest = (struct rest){.http = options->http,
		.auth = &kube->auth,
		.is_unverified = config->is_unverified,
		.tls = &kube->tls,
		.is_staying = true, /* what a pod answers through the proxy would lead the credential elsewhere */
		.proxy = config->proxy,
		.redact = options->redact,
		.decode_error = decode_error};
	*out = take(&kube);
	return 0;
}

void kube_close(struct kube *kube) {
	if (!kube)
		return;
	mirrors_close(kube);
	kube_config_free(kube->config);
	texts_clear(&kube->warned);
	free(kube);
}

const char *kube_namespace(const struct kube *kube) {
	return kube->config->namespace_;
}
const char *kube_server(const struct kube *kube) {
	return kube->config->server;
}
const char *kube_context(const struct kube *kube) {
	return kube->config->context;
}
void kube_set_deadline(struct kube *kube, int64_t deadline_ms) {
	kube->rest.deadline_ms = deadline_ms;
	kube->rest.tries_max = deadline_ms ? INT32_MAX : 0;
}

/* --- paths */

int kube_url(const struct kube *kube, const char *kind, const char *namespace_, const char *name, const char *subresource, struct buf *out,
	struct err *err) {
	const struct kube_kind *row = kube_kind_find(kind);
	if (!row)
		return err_set(err, ERR_INVALID, "kind %s: not one that mlctl handles", kind);
	if (name && (!name[0] || strlen(name) >= KUBE_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
		return err_set(err, ERR_INVALID, "%s \"%s\": must be a name of 1 to %d characters", kind, name, KUBE_NAME_MAX - 1);
	bool is_core = strcmp(row->api_version, "v1") == 0;
	buf_format(out, "%s/%s/%s", kube->config->server, is_core ? "api" : "apis", row->api_version);
	if (row->is_namespaced) {
		buf_text(out, "/namespaces/");
		url_encode(str_of(namespace_ ? namespace_ : kube->config->namespace_), out);
	}
	buf_format(out, "/%s", row->plural);
	if (name) { /* a colon stays one: "pod:8080" of the proxy */
		char mark = '/';
		for (struct str rest = str_of(name); rest.ptr; mark = ':') {
			buf_char(out, mark);
			url_encode(str_cut(rest, ':', &rest), out);
		}
	}
	if (subresource)
		buf_format(out, "/%s", subresource);
	return buf_check(out, "path", err);
}

void kube_query(struct buf *url, const char *name, struct str value) {
	buf_char(url, url->len && memchr(url->ptr, '?', url->len) ? '&' : '?');
	buf_text(url, name);
	buf_char(url, '=');
	url_encode(value, url);
}

/* --- calls */

bool kube_is_good(const struct http_answer *answer) {
	return !answer->failure.code && answer->status >= 200 && answer->status < 300;
}

/* Server-side apply answers a field that it does not know with 500, which no other try makes better. */
static bool is_unknown_field(const struct http_answer *answer) {
	return answer->status == 500 && answer->body && strstr(answer->body, "field not declared in schema");
}

bool kube_is_final(const struct http_answer *answer) {
	if (answer->status == 408 || answer->status == 429)
		return false;
	return (answer->status >= 300 && answer->status < 500) || is_unknown_field(answer);
}

/* Date is cut to whole seconds and late by the way here, so the greatest difference is the truest; one that is far from it means that a clock was set. */
static void take_time(struct kube *kube, const struct http_answer *answer) {
	int64_t wall_s, mono_ms = clock_mono_ms(kube->options.clock);
	if (answer->failure.code || clock_parse_http(http_header_of(answer, "date"), &wall_s) != 0)
		return;
	int64_t ahead_ms = wall_s * 1000 - mono_ms, by_ms = ahead_ms - kube->ahead_ms;
	if (!kube->ahead_ms || by_ms > 0 || by_ms < -CLOCK_STEP_MS)
		kube->ahead_ms = ahead_ms;
}

int64_t kube_now_s(const struct kube *kube) {
	return kube->ahead_ms ? (kube->ahead_ms + clock_mono_ms(kube->options.clock)) / 1000 : clock_wall_s(kube->options.clock);
}

/* RFC 7234 5.5: 299 - "text", several in a line or in lines of their own. */
void kube_heed(struct kube *kube, const struct http_answer *answer) {
	struct str rest = str_of(answer->headers);
	take_time(kube, answer);
	while (kube->options.warn && rest.len) {
		struct str line = str_cut(rest, '\n', &rest), value;
		if (!str_is(str_cut(line, ':', &value), "warning"))
			continue;
		const char *end = value.ptr + value.len;
		for (const char *c = value.ptr; c < end;) {
			const char *open = memchr(c, '"', (size_t) (end - c));
			AUTO_BUF struct buf text = BUF(4096);
			if (!open)
				break;
			for (c = open + 1; c < end && *c != '"'; c++) {
				if (*c == '\\' && c + 1 < end)
					c++;
				buf_char(&text, *c);
			}
			c++;
			const char *said = text.ptr ? text.ptr : "";
			bool is_new = *said && kube->warned.count < WARNINGS_MAX;
			for (size_t i = 0; i < kube->warned.count; i++)
				is_new = is_new && strcmp(kube->warned.items[i], said) != 0;
			if (!is_new)
				continue;
			texts_add(&kube->warned, said);
			kube->options.warn(kube->options.warn_self, said);
		}
	}
}

int kube_call(struct kube *kube, const struct rest_call *call, struct http_answer *answer, struct err *err) {
	if (rest_call(&kube->rest, call, answer, err) != 0)
		return -1;
	kube_heed(kube, answer);
	return 0;
}

int kube_tree(const char *name, const struct http_answer *answer, struct document **out, struct err *err) {
	CLEANUP(document_at_exit) struct document *document = NULL;
	if (json_read(name, (struct str){answer->body, answer->body_len}, VALUE_LIMITS_WIRE, &document, err) != 0)
		return err_wrap(err, "the API server's answer");
	if (document->root->kind != VALUE_OBJECT)
		return err_set(err, ERR_INVALID, "the API server's answer: must be an object");
	*out = take(&document);
	return 0;
}

/* --- read */

static int take_answer(
	struct kube *kube, const struct kube_doing *doing, struct http_answer *answer, struct document **out, struct err *err) {
	int rc = 0;
	if (!kube_is_good(answer))
		rc = kube_failure(kube, doing, answer, err);
	else if (out)
		rc = kube_tree(doing->kind, answer, out, err);
	http_answer_clear(answer);
	return rc;
}

static int list_url(
	struct kube *kube, const struct kube_selection *selection, int limit, struct str from, struct buf *url, struct err *err) {
	char number[24];
	if (kube_url(kube, selection->kind, selection->namespace_, NULL, NULL, url, err) != 0)
		return -1;
	if (selection->labels)
		kube_query(url, "labelSelector", str_of(selection->labels));
	if (selection->fields)
		kube_query(url, "fieldSelector", str_of(selection->fields));
	snprintf(number, sizeof(number), "%d", limit);
	kube_query(url, "limit", str_of(number));
	if (from.len)
		kube_query(url, "continue", from);
	return buf_check(url, "URL of a list", err);
}

static struct rest_call get_call(const char *url) {
	return (struct rest_call){.method = "GET",
		.url = url,
		.accept = "application/json",
		.answer_bytes_max = KUBE_ANSWER_BYTES_MAX,
		.is_final = kube_is_final};
}

int kube_get(struct kube *kube, const char *kind, const char *name, struct document **out, struct err *err) {
	struct kube_ask ask = {.selection.kind = kind, .name = name};
	if (kube_ask_all(kube, &ask, 1, err) != 0)
		return -1;
	*err = ask.err;
	if (err->code)
		return -1;
	*out = ask.answer;
	return 0;
}

static struct str more_of(const struct document *page) {
	const struct value *more = value_find(page->root, "metadata.continue");
	return more && more->kind == VALUE_STRING ? more->text : (struct str){"", 0};
}

/* The items of a page behind those that are there; the first page is taken whole. */
static void join(struct document **all, struct document **page) {
	if (!*all) {
		*all = take(page);
		return;
	}
	struct value *items = (struct value *) value_get((*all)->root, "items");
	value_each(item, value_get((*page)->root, "items")) value_add_copy(*all, items, NULL, item);
}

/* Items of a list do not say what they are; here they do, as every other object. */
static int check_list(struct document *page, const char *kind, struct err *err) {
	const struct kube_kind *row = kube_kind_find(kind);
	struct value *items = (struct value *) value_get(page->root, "items");
	if (!items)
		items = value_add_array(page, page->root, "items");
	if (items->kind == VALUE_NULL) /* an empty list of old servers */
		items->kind = VALUE_ARRAY;
	if (items->kind != VALUE_ARRAY)
		return err_set(err, ERR_INVALID, "the API server's answer: items: must be a list");
	for (struct value *item = items->first; item; item = item->next) {
		if (item->kind != VALUE_OBJECT)
			return err_set(err, ERR_INVALID, "the API server's answer: items: must be objects");
		if (value_get(item, "kind"))
			continue;
		value_add_text(page, item, "kind", row->kind);
		value_add_text(page, item, "apiVersion", row->api_version);
	}
	return 0;
}

/* One page. *is_expired: what `from` points to is gone. */
static int read_page(struct kube *kube, const struct kube_selection *selection, int limit, struct str from, struct document **out,
	bool *is_expired, struct err *err) {
	AUTO_BUF struct buf url = BUF(KUBE_URL_BYTES_MAX);
	struct http_answer answer = {0};
	if (list_url(kube, selection, limit, from, &url, err) != 0)
		return -1;
	const struct kube_doing doing = {
		.verb = "list", .kind = selection->kind, .namespace_ = selection->namespace_, .http_method = "GET", .url = url.ptr};
	struct rest_call call = get_call(url.ptr);
	if (selection->is_brief)
		call.accept = BRIEF("PartialObjectMetadataList");
	if (kube_call(kube, &call, &answer, err) != 0)
		return kube_explain(kube, &doing, err);
	*is_expired = answer.status == 410 && from.len;
	if (*is_expired) {
		http_answer_clear(&answer);
		return 0;
	}
	CLEANUP(document_at_exit) struct document *page = NULL;
	if (take_answer(kube, &doing, &answer, &page, err) != 0 || check_list(page, selection->kind, err) != 0)
		return -1;
	*out = take(&page);
	return 0;
}

/* The pages behind `all`, which may be NULL. */
static int list_rest(struct kube *kube, const struct kube_selection *selection, struct document **all, struct err *err) {
	int limit = PAGE_OBJECTS, restarts = 0;
	AUTO_FREE char *more = *all ? str_dup(more_of(*all)) : NULL;
	for (int pages = 0; !*all || more[0]; pages++) {
		CLEANUP(document_at_exit) struct document *page = NULL;
		bool is_expired = false;
		struct err reason = {0};
		if (pages >= PAGES_MAX)
			return err_set(err, ERR_LIMIT, "list of %s: more than %d pages", selection->kind, PAGES_MAX);
		if (read_page(kube, selection, limit, str_of(*all ? more : NULL), &page, &is_expired, &reason) != 0) {
			if (reason.code == ERR_LIMIT && limit > 1) { /* big objects: fewer of them at once */
				limit = limit > 10 ? limit / 10 : 1;
				continue;
			}
			*err = reason;
			return -1;
		}
		if (is_expired) {
			if (restarts++ >= RESTARTS_MAX)
				return err_set(err, ERR_NETWORK, "list of %s: the server forgot it before its end, %d times",
					selection->kind, restarts);
			document_free(take(all));
			continue;
		}
		free(more);
		more = str_dup(more_of(page));
		join(all, &page);
	}
	return 0;
}

int kube_list(struct kube *kube, const struct kube_selection *selection, struct document **out, struct err *err) {
	struct kube_ask ask = {.selection = *selection};
	if (kube_ask_all(kube, &ask, 1, err) != 0)
		return -1;
	*err = ask.err;
	if (err->code)
		return -1;
	*out = ask.answer;
	return 0;
}

static int ask_url(struct kube *kube, const struct kube_ask *ask, struct buf *url, struct err *err) {
	if (!ask->name) {
		int limit = ask->selection.count_max > 0 ? ask->selection.count_max : PAGE_OBJECTS;
		return list_url(kube, &ask->selection, limit, (struct str){"", 0}, url, err);
	}
	if (kube_url(kube, ask->selection.kind, ask->selection.namespace_, ask->name, NULL, url, err) != 0)
		return -1;
	if (ask->is_cached)
		buf_text(url, "?resourceVersion=0");
	return buf_check(url, "URL", err);
}

/* What came for one ask; a list that goes on is read to its end. */
static int finish(struct kube *kube, struct kube_ask *ask, const char *url, struct http_answer *answer, struct err *err) {
	const struct kube_doing doing = {.verb = ask->name ? "read" : "list",
		.kind = ask->selection.kind,
		.name = ask->name,
		.namespace_ = ask->selection.namespace_,
		.http_method = "GET",
		.url = url};
	CLEANUP(document_at_exit) struct document *document = NULL;
	bool is_cut = ask->selection.count_max > 0;
	if (err->code == ERR_LIMIT && !ask->name && !is_cut)
		err_clear(err); /* the first page was too long: in smaller ones */
	else if (err->code)
		return kube_explain(kube, &doing, err);
	else if (take_answer(kube, &doing, answer, &document, err) != 0)
		return -1;
	if (!ask->name && ((document && check_list(document, ask->selection.kind, err) != 0) ||
				  (!is_cut && list_rest(kube, &ask->selection, &document, err) != 0)))
		return -1;
	ask->answer = take(&document);
	return 0;
}

int kube_ask_all(struct kube *kube, struct kube_ask *asks, size_t count, struct err *err) {
	if (!count)
		return 0;
	AUTO_FREE struct rest_call *calls = mem_zero(count, sizeof(*calls));
	AUTO_FREE struct http_answer *answers = mem_zero(count, sizeof(*answers));
	AUTO_FREE struct err *errs = mem_zero(count, sizeof(*errs));
	AUTO_FREE struct buf *urls = mem_zero(count, sizeof(*urls));
	AUTO_FREE size_t *of = mem_zero(count, sizeof(*of)); /* which ask a call is for: one that has no path asks nothing */
	size_t asked = 0;
	int rc = 0;
	for (size_t i = 0; i < count; i++) {
		asks[i].answer = NULL;
		err_clear(&asks[i].err);
		urls[i] = BUF(KUBE_URL_BYTES_MAX);
		if (asks[i].known || ask_url(kube, &asks[i], &urls[i], &asks[i].err) != 0)
			continue;
		of[asked] = i;
		calls[asked] = get_call(urls[i].ptr);
		if (asks[i].selection.is_brief)
			calls[asked].accept = asks[i].name ? BRIEF("PartialObjectMetadata") : BRIEF("PartialObjectMetadataList");
		asked++;
	}
	struct rest rest = kube->rest;
	rest.at_once = ASKS_AT_ONCE;
	rc = rest_call_all(&rest, calls, asked, answers, errs, err);
	for (size_t k = 0; k < asked; k++) {
		struct kube_ask *ask = &asks[of[k]];
		if (rc == 0) {
			kube_heed(kube, &answers[k]);
			ask->err = errs[k];
			if (finish(kube, ask, calls[k].url, &answers[k], &ask->err) != 0 && ask->err.code == ERR_INTERRUPTED) {
				*err = ask->err;
				rc = -1;
			}
		}
		http_answer_clear(&answers[k]);
	}
	for (size_t i = 0; i < count; i++) {
		buf_clear(&urls[i]);
		if (rc != 0)
			document_free(take(&asks[i].answer));
	}
	return rc;
}

int kube_read(struct kube *kube, const char *path, char **out, struct err *err) {
	AUTO_FREE char *url = mem_format("%s%s", kube->config->server, path);
	struct http_answer answer = {0};
	struct rest_call call = get_call(url);
	call.accept = NULL;
	call.answer_bytes_max = READ_BYTES_MAX;
	const struct kube_doing doing = {.verb = "read", .http_method = "GET", .url = url};
	if (kube_call(kube, &call, &answer, err) != 0)
		return kube_explain(kube, &doing, err);
	if (!kube_is_good(&answer))
		return take_answer(kube, &doing, &answer, NULL, err);
	*out = take(&answer.body);
	http_answer_clear(&answer);
	return 0;
}
