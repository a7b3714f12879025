#include "oci/upload.h"

#include "oci/backend.h"

#include <signal.h>

#define UPLOADS_MAX_DEFAULT 4
#define TRIES_MAX 8
#define TROUBLE_MS_MAX ((int64_t) 5 * 60 * 1000) /* from a blob's first failure to giving up, Retry-After included */
#define REFUSALS_MAX 2				 /* 401 in a row for one blob */
#define SESSIONS_MAX 4				 /* upload sessions the registry forgot */
#define HOPS_MAX 5
#define ASK_TIMEOUT_MS 30000
#define STALL_TIMEOUT_MS 120000 /* a registry that moves a gigabyte into its storage is silent meanwhile */

enum step { STEP_HEAD, STEP_POST, STEP_PUT, STEP_DONE };

struct upload {
	struct uploads *all;
	const struct blob *blob;
	enum step step;
	int64_t id;	       /* of the request under way; 0: none */
	int64_t not_before_ms; /* waits until then */
	int64_t trouble_ms;    /* when the first failure came; 0: none */
	int tries, refusals, sessions, hops;
	char *url;	   /* of the request under way */
	char *address;	   /* where the PUT goes, or where a HEAD was sent on to */
	bool is_mountless; /* mounting was refused: not asked for again */
};

struct uploads {
	const struct upload_target *target;
	const struct store_progress *progress;
	struct push_result *result;
	struct upload *items;
	size_t count;
	bool is_greeted;
	struct http_event *others; /* events of requests that are not ours, handed back at the end */
	size_t other_count;
};

static const char *title_of(const struct blob *blob) {
	return blob->title ? blob->title : blob->digest.text;
}

/* May a layer's bytes, or the question for them, go there because the registry says so? */
static bool may_go_to(const struct upload_target *target, const char *url, const struct url *parsed) {
	if (parsed->userinfo.len)
		return false;
	if (url_same_origin(target->base, url))
		return true;
	if (url_host_is_link_local(parsed->host))
		return false;
	bool is_local = strncmp(target->base, "http://", 7) == 0 && url_host_is_loopback(parsed->host);
	return str_is(parsed->scheme, "https") || target->is_insecure || is_local;
}

int upload_address(const struct upload_target *target, const char *asked_url, struct str location, const struct digest *digest, char **out,
	struct err *err) {
	if (!location.len)
		return err_set(err, ERR_REGISTRY, "the registry opened an upload without saying where (no Location)");
	AUTO_FREE char *url = NULL;
	struct url parsed;
	if (url_resolve(asked_url, location, &url, err) != 0 || url_parse(str_of(url), &parsed, err) != 0) {
		err->code = ERR_REGISTRY;
		return err_wrap(err, "upload address");
	}
	AUTO_BUF struct buf shown = BUF((size_t) 20 * 1024);
	url_redact(url, &shown);
	if (!may_go_to(target, url, &parsed)) {
		err_set(err, ERR_REGISTRY, "upload address %s: not a place to send a layer to: it must be the registry's own, or https",
			shown.ptr);
		return str_is(parsed.scheme, "http")
			       ? err_fix(err, "set the registry's external address (http.host, or X-Forwarded-Proto at its proxy)")
			       : -1;
	}
	AUTO_BUF struct buf text = BUF((size_t) 20 * 1024);
	buf_text(&text, url);
	/* "sha256:..." goes encoded: some front ends stop at a raw colon. */
	buf_format(&text, "%cdigest=sha256%%3A%s", strchr(url, '?') ? '&' : '?', digest_hex(digest));
	return buf_take(&text, out, err);
}

/* --- starting the next request of one blob */

static void on_sent(void *self, int64_t sent_bytes) {
	struct upload *upload = self;
	store_say(upload->all->progress, upload->blob, "pushing", sent_bytes);
}

static void request_of(struct upload *upload, struct http_request *request) {
	const struct upload_target *target = upload->all->target;
	const struct blob *blob = upload->blob;
	*request = (struct http_request){
		.ca_file = target->rest->ca_file, .is_unverified = target->rest->is_unverified, .timeout_ms = ASK_TIMEOUT_MS};
	free(upload->url);
	upload->url = NULL;
	if (upload->step == STEP_HEAD) {
		request->method = "HEAD";
		upload->url = upload->address ? mem_text(upload->address)
					      : mem_format("%s/v2/%s/blobs/%s", target->base, target->repository, blob->digest.text);
	} else if (upload->step == STEP_POST) {
		request->method = "POST";
		AUTO_BUF struct buf from = BUF((size_t) 1024);
		if (blob->mount_from && !upload->is_mountless) {
			buf_format(&from, "?mount=sha256%%3A%s&from=", digest_hex(&blob->digest));
			url_encode(str_of(blob->mount_from), &from);
		}
		upload->url = mem_format("%s/v2/%s/blobs/uploads/%s", target->base, target->repository, from.ptr ? from.ptr : "");
	} else {
		request->method = "PUT";
		upload->url = mem_text(upload->address);
		request->body = blob->bytes;
		request->read = blob->size > 0 ? blob->read : NULL;
		request->read_self = blob->self;
		request->body_bytes = blob->size;
		request->sent = on_sent;
		request->sent_self = upload;
		request->timeout_ms = 0;
		request->stall_timeout_ms = STALL_TIMEOUT_MS;
		request->is_once = true; /* a layer whose answer was lost is looked for first: it may be a gigabyte */
	}
	request->url = upload->url;
}

/* A source that must be fetched first (a layer of a base image elsewhere) does so at its first byte, over this very network: that can't
 * happen inside the network's own call for bytes, so it is asked for one here. */
static int warm_up(const struct blob *blob, struct err *err) {
	char byte;
	size_t got = 0;
	return blob->read && blob->size > 0 ? blob->read(blob->self, 0, &byte, 1, &got, err) : 0;
}

static int start(struct upload *upload, struct err *err) {
	const struct upload_target *target = upload->all->target;
	if (upload->step == STEP_PUT && warm_up(upload->blob, err) != 0)
		return -1;
	struct http_request request;
	struct http_header headers[AUTH_HEADERS_MAX + 1];
	size_t count = 0;
	request_of(upload, &request);
	struct auth *auth = target->rest->auth;
	if (auth && auth->sign(auth, target->rest->http, request.method, request.url, headers, &count, err) != 0)
		return -1;
	if (upload->step == STEP_PUT)
		headers[count++] = (struct http_header){.name = "Content-Type", .value = "application/octet-stream"};
	request.headers = headers;
	request.header_count = count;
	if (upload->step == STEP_PUT)
		store_say(upload->all->progress, upload->blob, "pushing", 0);
	return http_start(target->rest->http, &request, &upload->id, err);
}

/* --- taking its answer */

static void done(struct upload *upload, const char *state, size_t *counter) {
	upload->step = STEP_DONE;
	(*counter)++;
	store_say(upload->all->progress, upload->blob, state, upload->blob->size);
}

static void go(struct upload *upload, enum step step) {
	upload->step = step;
	upload->refusals = 0;
	free(take(&upload->address));
}

static int gave_up(struct upload *upload, const struct http_answer *answer, struct err *err) {
	static const char *const methods[] = {"HEAD", "POST", "PUT"};
	rest_failure(upload->all->target->rest, methods[upload->step], upload->url, answer, upload->tries, err);
	if (err->code == ERR_UNCLEAR)
		err->code = ERR_NETWORK; /* a blob is looked for before it is sent, so nobody has to read first */
	if (err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT || err->code == ERR_FAILED)
		err->code = ERR_REGISTRY;
	return err_wrap(err, "layer %s", title_of(upload->blob));
}

/* Chance enough that parallel uploads do not come back at one moment. */
static int64_t jitter_permille(const struct upload *upload, int64_t now_ms) {
	return (now_ms * 7919 + (upload - upload->all->items) * 331 + upload->tries * 97) % 1000;
}

/* The outcome may pass: waits, and then asks anew. An error when it will not pass, or not within our patience. */
static int again(struct upload *upload, const struct http_answer *answer, struct err *err) {
	int64_t now = clock_mono_ms(upload->all->target->clock);
	upload->tries++;
	/* Repeatable: a session that nobody uses is the registry's to forget, and a PUT is preceded by a HEAD. */
	int64_t wait_ms = retry_wait_ms("PUT", true, answer, upload->tries, jitter_permille(upload, now));
	if (!upload->trouble_ms)
		upload->trouble_ms = now;
	if (wait_ms < 0 || upload->tries >= TRIES_MAX || now + wait_ms > upload->trouble_ms + TROUBLE_MS_MAX)
		return gave_up(upload, answer, err);
	upload->not_before_ms = now + wait_ms;
	go(upload, upload->step == STEP_POST ? STEP_POST : STEP_HEAD);
	store_say(upload->all->progress, upload->blob, "retry", 0);
	return 0;
}

static int refused(struct upload *upload, const struct http_answer *answer, struct err *err) {
	struct auth *auth = upload->all->target->rest->auth;
	struct auth_challenge challenge = {.url = upload->url, .www_authenticate = http_header_of(answer, "www-authenticate")};
	upload->refusals++;
	if (!auth || !auth->refused || upload->refusals > REFUSALS_MAX || !auth->refused(auth, &challenge))
		return gave_up(upload, answer, err);
	return 0; /* the same step, and for a PUT the same session, with what was learnt */
}

static bool is_redirect(int status) {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int took_head(struct upload *upload, const struct http_answer *answer, struct err *err) {
	if (answer->status == 200) {
		done(upload, "exists", &upload->all->result->existed);
		return 0;
	}
	if (answer->status == 404) {
		go(upload, STEP_POST);
		return 0;
	}
	if (!is_redirect(answer->status))
		return again(upload, answer, err);
	if (++upload->hops > HOPS_MAX)
		return err_set(err, ERR_REGISTRY, "layer %s: more than %d redirects", title_of(upload->blob), HOPS_MAX);
	AUTO_FREE char *next = NULL;
	struct url url;
	if (url_resolve(upload->url, http_header_of(answer, "location"), &next, err) != 0 || url_parse(str_of(next), &url, err) != 0)
		return err_wrap(err, "layer %s: redirect", title_of(upload->blob));
	if (!may_go_to(upload->all->target, next, &url))
		return err_set(err, ERR_REGISTRY, "layer %s: redirected to %.*s, which is not followed", title_of(upload->blob),
			STR_ARGS(url.host));
	free(upload->address);
	upload->address = take(&next);
	return 0;
}

static int took_post(struct upload *upload, const struct http_answer *answer, struct err *err) {
	bool was_mount = upload->blob->mount_from && !upload->is_mountless;
	if (answer->status == 201 && was_mount) {
		done(upload, "mounted", &upload->all->result->mounted);
		return 0;
	}
	if (answer->status == 202) {
		AUTO_FREE char *address = NULL;
		if (upload_address(upload->all->target, upload->url, http_header_of(answer, "location"), &upload->blob->digest, &address,
			    err) != 0)
			return err_wrap(err, "layer %s", title_of(upload->blob));
		go(upload, STEP_PUT);
		upload->address = take(&address);
		return 0;
	}
	if (was_mount && answer->status >= 400 && answer->status < 500 && answer->status != 429) {
		upload->is_mountless = true; /* may not read there, or knows no mounting */
		return 0;
	}
	return again(upload, answer, err);
}

static int took_put(struct upload *upload, const struct http_answer *answer, struct err *err) {
	struct uploads *all = upload->all;
	all->result->sent_bytes += answer->sent_bytes;
	if (answer->status >= 200 && answer->status < 300) {
		struct str told = http_header_of(answer, "docker-content-digest");
		if (str_starts(told, "sha256:") && !str_is(told, upload->blob->digest.text))
			return err_set(err, ERR_REGISTRY, "layer %s: stored as %.*s, not as %s", title_of(upload->blob), STR_ARGS(told),
				upload->blob->digest.text);
		done(upload, "pushed", &all->result->pushed);
		return 0;
	}
	/* 404 and 416: the session is gone, or done already; 409: another request of ours, thought dead, still holds it. */
	bool is_lost = answer->status == 404 || answer->status == 416 || answer->status == 409;
	if (is_lost && ++upload->sessions < SESSIONS_MAX) {
		go(upload, STEP_HEAD);
		store_say(all->progress, upload->blob, "retry", 0);
		return 0;
	}
	if (answer->status == 400 && memmem(answer->body, answer->body_len, "DIGEST_INVALID", 14)) {
		err_set(err, ERR_BUILD, "layer %s: the registry received other bytes than %s: its file changed while it was sent",
			title_of(upload->blob), upload->blob->digest.text);
		return err_fix(err, "mlctl build, then push again");
	}
	return again(upload, answer, err);
}

static int took(struct upload *upload, const struct http_answer *answer, struct err *err) {
	upload->id = 0;
	if (answer->status == 401)
		return refused(upload, answer, err);
	if (answer->status)
		upload->all->is_greeted = true;
	/* A failure inside our own callback is the blob's source speaking, and no retry mends that. */
	if (answer->failure.code && answer->failure.code != ERR_NETWORK && answer->failure.code != ERR_TIMEOUT) {
		*err = answer->failure;
		return err_wrap(err, "layer %s", title_of(upload->blob));
	}
	switch (upload->step) {
	case STEP_HEAD:
		return took_head(upload, answer, err);
	case STEP_POST:
		return took_post(upload, answer, err);
	default:
		return took_put(upload, answer, err);
	}
}

/* --- all of them */

/* Starts what may start; *until_ms is when the next waiting one may. False in *is_busy: everything is done. */
static int start_all(struct uploads *all, int64_t *until_ms, bool *is_busy, struct err *err) {
	int64_t now = clock_mono_ms(all->target->clock);
	int running = 0, most = all->target->uploads_max > 0 ? all->target->uploads_max : UPLOADS_MAX_DEFAULT;
	if (!all->is_greeted)
		most = 1; /* the first answer tells whether to log in; one request learns that as well as four */
	*until_ms = INT64_MAX;
	*is_busy = false;
	for (size_t i = 0; i < all->count; i++)
		running += all->items[i].id != 0;
	for (size_t i = 0; i < all->count; i++) {
		struct upload *upload = &all->items[i];
		if (upload->step == STEP_DONE)
			continue;
		*is_busy = true;
		if (upload->id || running >= most)
			continue;
		if (upload->not_before_ms > now) {
			if (upload->not_before_ms < *until_ms)
				*until_ms = upload->not_before_ms;
			continue;
		}
		if (start(upload, err) != 0)
			return err->code == ERR_INTERRUPTED ? -1 : err_wrap(err, "layer %s", title_of(upload->blob));
		running++;
	}
	return 0;
}

static void keep_other(struct uploads *all, struct http_event *event) {
	all->others = mem_resize(all->others, all->other_count + 1, sizeof(*all->others));
	all->others[all->other_count++] = take(event);
}

static int on_event(struct uploads *all, struct http_event *event, struct err *err) {
	if (event->what == HTTP_SIGNAL) {
		err_set(err, ERR_INTERRUPTED, "interrupted by %s", event->signal == SIGTERM ? "SIGTERM" : "SIGINT");
		err->sys = event->signal;
		return -1;
	}
	if (event->what == HTTP_IDLE)
		return err_set(err, ERR_FAILED, "the network has nothing under way");
	if (event->what != HTTP_DONE)
		return 0;
	for (size_t i = 0; i < all->count; i++) {
		if (all->items[i].id != event->id)
			continue;
		int rc = took(&all->items[i], &event->answer, err);
		http_answer_clear(&event->answer);
		return rc;
	}
	keep_other(all, event);
	return 0;
}

static int run(struct uploads *all, struct err *err) {
	for (;;) {
		int64_t until_ms;
		bool is_busy;
		struct http_event event;
		if (start_all(all, &until_ms, &is_busy, err) != 0)
			return -1;
		if (!is_busy)
			return 0;
		if (http_step(all->target->rest->http, until_ms, &event, err) != 0 || on_event(all, &event, err) != 0)
			return -1;
	}
}

int upload_blobs(const struct upload_target *target, const struct blob *const *blobs, size_t count, const struct store_progress *progress,
	struct push_result *result, struct err *err) {
	struct uploads all = {.target = target, .progress = progress, .result = result, .is_greeted = target->is_greeted};
	if (count == 0)
		return 0;
	all.items = mem_zero(count, sizeof(*all.items));
	for (size_t i = 0; i < count; i++) {
		bool is_double = false; /* two layers of the same bytes are one blob */
		for (size_t j = 0; j < all.count; j++)
			is_double = is_double || digest_equal(&all.items[j].blob->digest, &blobs[i]->digest);
		if (is_double)
			continue;
		/* The largest first: what takes longest must not begin last. */
		size_t at = all.count++;
		for (; at && all.items[at - 1].blob->size < blobs[i]->size; at--)
			all.items[at] = all.items[at - 1];
		all.items[at] = (struct upload){.all = &all, .blob = blobs[i]};
	}
	int rc = run(&all, err);
	for (size_t i = 0; i < all.count; i++) {
		if (all.items[i].id)
			http_cancel(target->rest->http, all.items[i].id);
		free(all.items[i].url);
		free(all.items[i].address);
	}
	free(all.items);
	for (size_t i = 0; i < all.other_count; i++)
		http_keep(target->rest->http, &all.others[i]);
	free(all.others);
	return rc;
}
