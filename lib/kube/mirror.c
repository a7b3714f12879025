#include "kube/mirror.h"

#include "kube/wire.h"

#define PAGE_OBJECTS 500
#define LINE_BYTES_MAX ((size_t) 8 * 1024 * 1024)
#define WATCH_SECONDS "240" /* the server ends it, and it is opened again: a connection that hangs is not for ever */
#define SILENCE_MS 90000    /* bookmarks come every minute: after so long without a byte the connection is not trusted */
#define PAGE_TIMEOUT_MS 30000
#define WORDS_BYTES_MAX ((size_t) 300)
#define EXPIRED_MAX 2 /* at once; then it waits in between */
#define SHORT_WATCH_MS 1000    /* one that ends so soon is no success */
#define FAILURES_BEFORE_LIST 3 /* a resourceVersion that the server does not like is not asked for for ever */
#define FAILED_WAIT_MS 8000    /* refused for good: somebody may still grant it */

struct entry {
	char *name;
	struct document *document;
	const struct value *object;
};

struct entries {
	struct entry *items; /* in order of name */
	size_t count, room;
};

struct mirror {
	struct mirror *next;
	struct kube *kube;
	char *kind, *namespace_, *labels, *fields;
	struct entries objects, listed; /* listed: what came of a list that is not whole yet */
	char *version, *more;		/* resourceVersion to watch from; NULL: list first. The next page's token */
	struct buf line;
	char *url;
	int64_t id; /* under way; 0: waiting for its tick */
	bool is_list, is_in, was_refused, is_final;
	bool is_expired; /* the watch was told so inside its stream */
	int expired;	 /* watches in a row that were, and told nothing else */
	int limit, failures;
	int64_t begun_ms, stale_ms; /* -1: not begun; not stale */
	uint64_t generation;
	struct err failure;
};

/* --- entries */

static void entry_clear(struct entry *entry) {
	free(entry->name);
	document_free(entry->document);
}

static void entries_clear(struct entries *entries) {
	for (size_t i = 0; i < entries->count; i++)
		entry_clear(&entries->items[i]);
	free(entries->items);
	*entries = (struct entries){0};
}

/* Where the name is or would be. */
static bool entries_find(const struct entries *entries, struct str name, size_t *at) {
	size_t low = 0, high = entries->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct str its = str_of(entries->items[middle].name);
		size_t len = its.len < name.len ? its.len : name.len;
		int order = len ? memcmp(its.ptr, name.ptr, len) : 0;
		if (order == 0 && its.len == name.len) {
			*at = middle;
			return true;
		}
		if (order < 0 || (order == 0 && its.len < name.len))
			low = middle + 1;
		else
			high = middle;
	}
	*at = low;
	return false;
}

static int entries_put(struct entries *entries, struct str name, struct document **document, const struct value *object, struct err *err) {
	size_t at;
	if (entries_find(entries, name, &at)) {
		struct entry *entry = &entries->items[at];
		document_free(entry->document);
		entry->document = take(document);
		entry->object = object;
		return 0;
	}
	if (entries->count >= MIRROR_OBJECTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d objects match", MIRROR_OBJECTS_MAX);
	if (entries->count == entries->room) {
		entries->room = entries->room ? 2 * entries->room : 16;
		entries->items = mem_resize(entries->items, entries->room, sizeof(*entries->items));
	}
	memmove(entries->items + at + 1, entries->items + at, (entries->count - at) * sizeof(*entries->items));
	entries->items[at] = (struct entry){.name = str_dup(name), .document = take(document), .object = object};
	entries->count++;
	return 0;
}

static void entries_drop(struct entries *entries, struct str name) {
	size_t at;
	if (!entries_find(entries, name, &at))
		return;
	entry_clear(&entries->items[at]);
	entries->count--;
	memmove(entries->items + at, entries->items + at + 1, (entries->count - at) * sizeof(*entries->items));
}

/* --- events of a watch: one JSON object per line, {"type": .., "object": ..} */

static void set_version(struct mirror *mirror, const struct value *object) {
	const struct value *version = value_find(object, "metadata.resourceVersion");
	if (!version || version->kind != VALUE_STRING || !version->text.len)
		return;
	free(mirror->version);
	mirror->version = str_dup(version->text);
}

static void changed(struct mirror *mirror) {
	mirror->generation++;
	http_news(mirror->kube->options.http);
}

/* A Status inside a 200: 410 is the end of what the server remembers, everything else is a failure like any other. */
static int on_error_event(struct mirror *mirror, const struct value *status, struct err *err) {
	struct str none = {"", 0}, message, reason;
	int64_t code = 0;
	struct err scratch = {0};
	if (value_opt_int(status, "code", 0, &code, &scratch) != 0)
		err_clear(&scratch);
	if (value_opt_str(status, "message", none, &message, &scratch) != 0)
		err_clear(&scratch), message = none;
	if (value_opt_str(status, "reason", none, &reason, &scratch) != 0)
		reason = none;
	mirror->is_expired = code == 410 || str_is(reason, "Expired") || str_is(reason, "Gone");
	AUTO_BUF struct buf words = BUF(2 * WORDS_BYTES_MAX);
	redactor_quote(mirror->kube->options.redact, message, WORDS_BYTES_MAX, &words);
	return err_set(err, ERR_NETWORK, "the watch ended: %lld %.*s: %s", (long long) code, STR_ARGS(reason), words.ptr ? words.ptr : "");
}

static int on_line(struct mirror *mirror, struct str line, struct err *err) {
	CLEANUP(document_at_exit) struct document *document = NULL;
	struct str type, name;
	if (json_read(mirror->kind, line, VALUE_LIMITS_WIRE, &document, err) != 0 ||
		value_need_str(document->root, "type", &type, err) != 0)
		return err_wrap(err, "an event of the watch");
	const struct value *object = value_get(document->root, "object");
	if (!object || object->kind != VALUE_OBJECT)
		return err_set(err, ERR_INVALID, "an event of the watch: object: is missing");
	if (str_is(type, "ERROR"))
		return on_error_event(mirror, object, err);
	if (str_is(type, "BOOKMARK")) {
		set_version(mirror, object);
		return 0;
	}
	bool is_put = str_is(type, "ADDED") || str_is(type, "MODIFIED");
	if (!is_put && !str_is(type, "DELETED")) /* a kind of event of the future */
		return 0;
	if (value_need_str(object, "metadata.name", &name, err) != 0)
		return err_wrap(err, "an event of the watch");
	set_version(mirror, object);
	if (!is_put)
		entries_drop(&mirror->objects, name);
	else if (entries_put(&mirror->objects, name, &document, object, err) != 0)
		return -1;
	mirror->failures = mirror->expired = 0;
	changed(mirror);
	return 0;
}

static int on_bytes(void *self, const void *bytes, size_t len, struct err *err) {
	struct mirror *mirror = self;
	struct str rest = {bytes, len};
	while (rest.len) {
		struct str after, line = str_cut(rest, '\n', &after);
		if (!after.ptr || mirror->line.len)
			buf_str(&mirror->line, line);
		if (mirror->line.failed)
			return err_set(err, ERR_LIMIT, "an event of the watch is longer than %zu bytes", LINE_BYTES_MAX);
		if (!after.ptr)
			return 0;
		if (mirror->line.len)
			line = buf_view(&mirror->line);
		if (str_trim(line).len && on_line(mirror, line, err) != 0)
			return -1;
		if (mirror->line.size > 256 * 1024)
			buf_clear(&mirror->line); /* one long object is no reason to keep its room */
		mirror->line = mirror->line.ptr ? mirror->line : BUF(LINE_BYTES_MAX);
		buf_reset(&mirror->line);
		rest = after;
	}
	return 0;
}

/* --- what is asked */

static void start(struct mirror *mirror);
static void on_tick(void *self) {
	start(self);
}

static int64_t now_ms(const struct mirror *mirror) {
	return clock_mono_ms(mirror->kube->options.http->clock);
}

static void wait_for(struct mirror *mirror, int64_t wait_ms) {
	mirror->id = 0;
	http_tick(mirror->kube->options.http, now_ms(mirror) + wait_ms, on_tick, mirror);
}

static void make_stale(struct mirror *mirror) {
	if (mirror->stale_ms < 0)
		mirror->stale_ms = now_ms(mirror);
}

/* Something went wrong: it is tried again after a while, and whoever waits is told. */
static void failed(struct mirror *mirror, const struct http_answer *answer, bool is_final) {
	make_stale(mirror);
	mirror->is_final = is_final;
	int64_t chance = (int64_t) (((uint64_t) now_ms(mirror) * 0x9e3779b97f4a7c15ull >> 33) % 1000);
	struct http_answer cut = {.failure.code = ERR_NETWORK};
	int64_t wait_ms = retry_wait_ms("GET", true, is_final || answer->status < 400 ? &cut : answer, mirror->failures + 1, chance);
	if (wait_ms < 0 || is_final)
		wait_ms = FAILED_WAIT_MS;
	mirror->failures++;
	if (mirror->failures >= FAILURES_BEFORE_LIST && answer->was_sent) /* a server that is away has not refused it */
		free(take(&mirror->version));
	log_debug(mirror->kube->options.log, "mirror of %s: %s; again in %lld ms", mirror->kind, mirror->failure.message,
		(long long) wait_ms);
	http_news(mirror->kube->options.http);
	wait_for(mirror, wait_ms);
}

/* Why a request failed, as kube_list() would tell it. */
static void explain(struct mirror *mirror, const struct http_answer *answer) {
	const struct kube_doing doing = {.verb = mirror->is_list ? "list" : "watch",
		.kind = mirror->kind,
		.namespace_ = mirror->namespace_,
		.http_method = "GET",
		.url = mirror->url};
	err_clear(&mirror->failure);
	if (answer->failure.code) {
		best_effort(rest_failure(&mirror->kube->rest, "GET", mirror->url, answer, 1, &mirror->failure)); /* both fill it in */
		best_effort(kube_explain(mirror->kube, &doing, &mirror->failure));
	} else {
		best_effort(kube_failure(mirror->kube, &doing, answer, &mirror->failure));
	}
}

/* True when a 401 made us look for a newer credential, and the request is out again. */
static bool is_asked_again(struct mirror *mirror, const struct http_answer *answer) {
	if (answer->failure.code || answer->status != 401 || mirror->was_refused ||
		!kube_config_refused(mirror->kube->config, mirror->kube->options.clock))
		return false;
	mirror->was_refused = true;
	start(mirror);
	return true;
}

static void on_watch_done(void *self, struct http_answer *answer) {
	struct mirror *mirror = self;
	mirror->id = 0;
	buf_clear(&mirror->line);
	mirror->line = BUF(LINE_BYTES_MAX);
	if (mirror->is_expired || (!answer->failure.code && answer->status == 410)) {
		mirror->is_expired = false;
		free(take(&mirror->version));
		make_stale(mirror);
		if (mirror->expired++ < EXPIRED_MAX) {
			start(mirror);
			return;
		}
		/* Lists that are always too old already: a server that answers so to every watch is not asked as fast as it can answer. */
		explain(mirror, answer);
		mirror->failures = mirror->expired - EXPIRED_MAX;
		failed(mirror, answer, false);
		return;
	}
	if (is_asked_again(mirror, answer))
		return;
	bool was_long = mirror->begun_ms >= 0 && now_ms(mirror) - mirror->begun_ms >= SHORT_WATCH_MS;
	bool is_silent = answer->failure.code == ERR_TIMEOUT && mirror->begun_ms >= 0;
	if ((!answer->failure.code && kube_is_good(answer) && was_long) || is_silent) {
		mirror->failures = mirror->expired = 0;
		start(mirror);
		return;
	}
	if (!answer->failure.code && kube_is_good(answer))
		err_set(&answer->failure, ERR_NETWORK, "the watch ended as soon as it began");
	explain(mirror, answer);
	failed(mirror, answer, !answer->failure.code && kube_is_final(answer));
}

static void on_begun(void *self) {
	struct mirror *mirror = self;
	mirror->begun_ms = now_ms(mirror);
	mirror->stale_ms = -1;
	mirror->was_refused = mirror->is_final = false;
	http_news(mirror->kube->options.http);
}

/* One item of a list becomes a document of its own, and says what it is, as an event's object does. */
static int take_item(struct mirror *mirror, const struct value *item, struct err *err) {
	struct str name;
	const struct kube_kind *row = kube_kind_find(mirror->kind);
	if (value_need_str(item, "metadata.name", &name, err) != 0)
		return err_wrap(err, "a list of %s", mirror->kind);
	CLEANUP(document_at_exit) struct document *document = document_new(mirror->kind);
	struct value *object = value_root_object(document);
	value_add_text(document, object, "kind", row->kind);
	value_add_text(document, object, "apiVersion", row->api_version);
	value_each(member, item) {
		if (str_is(member->key, "kind") || str_is(member->key, "apiVersion"))
			continue;
		AUTO_FREE char *key = str_dup(member->key);
		value_add_copy(document, object, key, member);
	}
	return entries_put(&mirror->listed, name, &document, object, err);
}

static int take_page(struct mirror *mirror, const struct http_answer *answer, struct err *err) {
	AUTO_DOCUMENT struct document *page = NULL;
	struct str none = {"", 0}, version, more;
	if (kube_tree(mirror->kind, answer, &page, err) != 0 ||
		value_need_str(page->root, "metadata.resourceVersion", &version, err) != 0 ||
		value_opt_str(page->root, "metadata.continue", none, &more, err) != 0)
		return -1;
	const struct value *items = value_get(page->root, "items");
	value_each(item, items && items->kind == VALUE_ARRAY ? items : NULL) if (take_item(mirror, item, err) != 0) return -1;
	free(take(&mirror->more));
	if (more.len) {
		mirror->more = str_dup(more);
		return 0;
	}
	entries_clear(&mirror->objects);
	mirror->objects = take(&mirror->listed);
	free(mirror->version);
	mirror->version = str_dup(version);
	mirror->is_in = true;
	mirror->is_final = mirror->was_refused = false;
	mirror->stale_ms = -1;
	mirror->failures = 0;
	err_clear(&mirror->failure);
	changed(mirror);
	return 0;
}

static void begin_list(struct mirror *mirror) {
	entries_clear(&mirror->listed);
	free(take(&mirror->more));
}

static void on_list_done(void *self, struct http_answer *answer) {
	struct mirror *mirror = self;
	mirror->id = 0;
	if (is_asked_again(mirror, answer))
		return;
	if (answer->failure.code == ERR_LIMIT && mirror->limit > 1) { /* big objects: fewer of them at once */
		mirror->limit = mirror->limit > 10 ? mirror->limit / 10 : 1;
		start(mirror);
		return;
	}
	if (!kube_is_good(answer)) {
		if (!answer->failure.code && answer->status == 410 && mirror->more) {
			begin_list(mirror); /* the server forgot the list before its end */
			if (mirror->failures++ < FAILURES_BEFORE_LIST) {
				start(mirror);
				return;
			}
		}
		explain(mirror, answer);
		begin_list(mirror);
		failed(mirror, answer, !answer->failure.code && kube_is_final(answer));
		return;
	}
	kube_heed(mirror->kube, answer);
	err_clear(&mirror->failure);
	if (take_page(mirror, answer, &mirror->failure) != 0) {
		begin_list(mirror);
		failed(mirror, answer, true);
		return;
	}
	start(mirror);
}

static int make_url(struct mirror *mirror, struct buf *url, struct err *err) {
	char number[24];
	if (kube_url(mirror->kube, mirror->kind, mirror->namespace_, NULL, NULL, url, err) != 0)
		return -1;
	if (mirror->labels)
		kube_query(url, "labelSelector", str_of(mirror->labels));
	if (mirror->fields)
		kube_query(url, "fieldSelector", str_of(mirror->fields));
	if (mirror->is_list) {
		snprintf(number, sizeof(number), "%d", mirror->limit);
		kube_query(url, "limit", str_of(number));
		if (mirror->more)
			kube_query(url, "continue", str_of(mirror->more));
	} else {
		kube_query(url, "watch", STR("1"));
		kube_query(url, "resourceVersion", str_of(mirror->version));
		kube_query(url, "allowWatchBookmarks", STR("true"));
		kube_query(url, "timeoutSeconds", STR(WATCH_SECONDS));
	}
	return buf_check(url, "URL of a mirror", err);
}

static int send(struct mirror *mirror, struct err *err) {
	struct kube *kube = mirror->kube;
	struct http_header headers[AUTH_HEADERS_MAX + 1] = {{.name = "Accept", .value = "application/json"}};
	size_t count = 0;
	AUTO_BUF struct buf url = BUF(KUBE_URL_BYTES_MAX);
	if (make_url(mirror, &url, err) != 0)
		return -1;
	free(mirror->url);
	mirror->url = mem_text(url.ptr);
	if (kube->auth.sign(&kube->auth, kube->options.http, "GET", mirror->url, headers + 1, &count, err) != 0)
		return -1;
	const struct http_request request = {.method = "GET",
		.url = mirror->url,
		.headers = headers,
		.header_count = count + 1,
		.answer_bytes_max = KUBE_ANSWER_BYTES_MAX,
		.write = mirror->is_list ? NULL : on_bytes,
		.write_self = mirror,
		.timeout_ms = mirror->is_list ? PAGE_TIMEOUT_MS : 0,
		.stall_timeout_ms = mirror->is_list ? PAGE_TIMEOUT_MS : SILENCE_MS,
		.is_unverified = kube->rest.is_unverified,
		.tls = kube->rest.tls,
		.proxy = kube->rest.proxy,
		.begun = mirror->is_list ? NULL : on_begun,
		.done = mirror->is_list ? on_list_done : on_watch_done,
		.done_self = mirror};
	return http_start(kube->options.http, &request, &mirror->id, err);
}

static void start(struct mirror *mirror) {
	mirror->is_list = !mirror->version;
	mirror->begun_ms = -1;
	struct err err = {0};
	if (send(mirror, &err) == 0)
		return;
	mirror->failure = err;
	failed(mirror, &(struct http_answer){0}, err.code == ERR_INVALID || err.code == ERR_CONFIG || err.code == ERR_AUTH);
}

/* --- the door */

static char *copy(const char *text) {
	return text ? mem_text(text) : NULL;
}

struct mirror *mirror_open(struct kube *kube, const struct kube_selection *selection) {
	struct mirror *mirror = NEW(struct mirror);
	mirror->kube = kube;
	mirror->kind = mem_text(selection->kind);
	mirror->namespace_ = copy(selection->namespace_);
	mirror->labels = copy(selection->labels);
	mirror->fields = copy(selection->fields);
	mirror->limit = PAGE_OBJECTS;
	mirror->line = BUF(LINE_BYTES_MAX);
	mirror->stale_ms = now_ms(mirror);
	mirror->next = kube->mirrors;
	kube->mirrors = mirror;
	start(mirror);
	return mirror;
}

void mirror_close(struct mirror *mirror) {
	if (!mirror)
		return;
	struct http *http = mirror->kube->options.http;
	if (mirror->id)
		http_cancel(http, mirror->id);
	http_tick_cancel(http, on_tick, mirror);
	struct mirror **link = &mirror->kube->mirrors;
	while (*link != mirror)
		link = &(*link)->next;
	*link = mirror->next;
	entries_clear(&mirror->objects);
	entries_clear(&mirror->listed);
	buf_clear(&mirror->line);
	char *const texts[] = {
		mirror->kind, mirror->namespace_, mirror->labels, mirror->fields, mirror->version, mirror->more, mirror->url};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	free(mirror);
}

void mirrors_close(struct kube *kube) {
	while (kube->mirrors)
		mirror_close(kube->mirrors);
}

static int tell(const struct mirror *mirror, struct err *err) {
	*err = mirror->failure;
	return -1;
}

static int await_in(struct mirror *mirror, int64_t until_ms, struct http_event **others, size_t *other_count, struct err *err) {
	struct http *http = mirror->kube->options.http;
	while (!mirror->is_in) {
		struct http_event event;
		if (mirror->is_final)
			return tell(mirror, err);
		if (http_step_news(http, until_ms, &event, err) != 0)
			return -1;
		if (event.what == HTTP_DONE) {
			*others = mem_resize(*others, *other_count + 1, sizeof(**others));
			(*others)[(*other_count)++] = event;
		} else if (event.what == HTTP_SIGNAL) {
			err_set(err, ERR_INTERRUPTED, "interrupted by signal %d", event.signal);
			err->sys = event.signal;
			return -1;
		} else if (event.what == HTTP_TIMER && !mirror->is_in) {
			err_set(err, ERR_TIMEOUT, "the list of %s did not come in time%s%s", kube_kind_find(mirror->kind)->plural,
				mirror->failure.code ? ": " : "", mirror->failure.message);
			return mirror->failure.fix[0] ? err_fix(err, "%s", mirror->failure.fix) : -1;
		}
	}
	return 0;
}

int mirror_await(struct mirror *mirror, int64_t timeout_ms, int64_t stale_ms_max, struct err *err) {
	struct http *http = mirror->kube->options.http;
	AUTO_FREE struct http_event *others = NULL;
	size_t count = 0;
	int rc = await_in(mirror, now_ms(mirror) + timeout_ms, &others, &count, err);
	for (size_t i = 0; i < count; i++)
		http_keep(http, &others[i]);
	if (rc != 0)
		return -1;
	bool is_too_old = stale_ms_max && mirror->stale_ms >= 0 && now_ms(mirror) - mirror->stale_ms > stale_ms_max;
	return is_too_old && mirror->failure.code ? tell(mirror, err) : 0;
}

int64_t mirror_stale_ms(const struct mirror *mirror) {
	return mirror->stale_ms < 0 ? 0 : now_ms(mirror) - mirror->stale_ms;
}
uint64_t mirror_generation(const struct mirror *mirror) {
	return mirror->generation;
}
size_t mirror_count(const struct mirror *mirror) {
	return mirror->objects.count;
}
const struct value *mirror_at(const struct mirror *mirror, size_t index) {
	return mirror->objects.items[index].object;
}
const struct value *mirror_find(const struct mirror *mirror, const char *name) {
	size_t at;
	return entries_find(&mirror->objects, str_of(name), &at) ? mirror->objects.items[at].object : NULL;
}
