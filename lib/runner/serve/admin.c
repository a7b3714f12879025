/* The control listener: nothing on it is anonymous but what reaches it through a unix socket of mode 0600. */
#include "runner/serve/service.h"
#include "data/value.h"

#include <unistd.h>

static enum http_kind kind_of(void *self, const struct http_head *head) {
	(void) self;
	(void) head;
	return HTTP_KIND_QUICK;
}

static bool has_key(const struct service *service, const struct http_exchange *x) {
	if (!service->admin_key.text)
		return true;
	struct str given = http_header(x->head, "mlctl-key");
	return given.ptr && secret_equal(service->admin_key, (struct secret) {(char *) given.ptr, given.len});
}

static void write_info(struct service *service, struct http_exchange *x) {
	const struct {
		const char *name, *value;
	} texts[] = {{"version", MLCTL_VERSION}, {"model", service_model_name(service)}, {"model_digest", service_model_digest(service)},
		{"format", service->model ? model_format(service->model) : "guard"}, {"release", service->release}, {"revision", service->revision}, {"image", service->image}};
	buf_char(x->out, '{');
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buf_format(x->out, "\"%s\":", texts[i].name);
		json_quote(x->out, str_of(texts[i].value));
		buf_char(x->out, ',');
	}
	buf_format(x->out, "\"ready\":%s,\"pid\":%ld,\"start_s\":%lld,\"in_flight\":%lld,\"connections\":%lld,\"threads\":%u}",
		service_is_ready(service) ? "true" : "false", (long) getpid(), (long long) service->start_s,
		(long long) service_in_flight(service), (long long) service_connections(service), service->worker_count);
	x->status = 200;
}

static void write_split(struct service *service, struct http_exchange *x) {
	struct http_upstream upstream;
	double weight;
	int64_t expires_in_ms;
	char address[NET_TEXT_MAX] = "";
	split_get(&service->split, clock_mono_ms(service->clock), &upstream, &weight, &expires_in_ms);
	if (upstream.address.len)
		net_text(&upstream.address, address);
	buf_text(x->out, "{\"revision\":");
	json_quote(x->out, str_of(upstream.revision));
	buf_text(x->out, ",\"upstream\":");
	json_quote(x->out, str_of(address));
	buf_format(x->out, ",\"weight\":%.15g,\"expires_in_s\":%.3f}", weight, (double) expires_in_ms / 1000);
	x->status = 200;
}

/* A revision ends up in a header of every answer, so it is of header characters. */
static bool is_revision(struct str text) {
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
			return false;
	return text.len > 0 && text.len < HTTP_REVISION_MAX;
}

static int read_split(const struct value *body, struct http_upstream *upstream, double *weight, int64_t *ttl_ms, struct err *err) {
	struct str revision, address;
	int64_t ttl_s;
	if (value_need_str(body, "revision", &revision, err) != 0 || value_need_str(body, "upstream", &address, err) != 0)
		return -1;
	if (!is_revision(revision))
		return err_set(err, ERR_INVALID, "revision: 1 to %d visible ASCII characters", HTTP_REVISION_MAX - 1);
	const struct value *w = value_get(body, "weight");
	if (!w || w->kind != VALUE_NUMBER || num_double(w->text, weight) != 0 || *weight < 0 || *weight > 100)
		return err_set(err, ERR_INVALID, "weight: a number from 0 to 100");
	if (value_opt_int(body, "ttl_s", 60, &ttl_s, err) != 0)
		return -1;
	if (ttl_s < 1 || ttl_s > SPLIT_TTL_S_MAX)
		return err_set(err, ERR_INVALID, "ttl_s: 1 to %d", SPLIT_TTL_S_MAX);
	*ttl_ms = ttl_s * 1000;
	struct http_upstream made = {0};
	memcpy(made.revision, revision.ptr, revision.len);
	if (net_parse(address, &made.address, err) != 0)
		return -1;
	*upstream = made;
	return 0;
}

/* A change is logged; a refresh of the same weight is not. */
static void log_split(struct service *service, const struct http_upstream *before, double weight_before, const struct http_upstream *upstream,
	double weight, int64_t ttl_ms) {
	if (strcmp(before->revision, upstream->revision) == 0 && net_equal(&before->address, &upstream->address) && weight_before >= weight &&
		weight_before <= weight)
		return;
	AUTO_BUF struct buf fields = BUF(1024);
	buf_text(&fields, "\"revision\":");
	json_quote(&fields, str_of(upstream->revision));
	buf_format(&fields, ",\"weight\":%.15g,\"before\":%.15g,\"ttl_s\":%lld", weight, weight_before, (long long) (ttl_ms / 1000));
	events_write(service->events, "split", fields.ptr);
}

static void put_split(struct service *service, struct http_exchange *x) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct err err = {0};
	struct http_upstream upstream, before;
	double weight = 0, weight_before;
	int64_t ttl_ms = 0, expires_in_ms;
	if (json_read("body", x->body, VALUE_LIMITS_CONFIG, &document, &err) != 0 || read_split(document->root, &upstream, &weight, &ttl_ms, &err) != 0) {
		service_error(x, 400, "%s%s%s", err.at, err.at[0] ? ": " : "", err.message);
		return;
	}
	int64_t now_ms = clock_mono_ms(service->clock);
	split_get(&service->split, now_ms, &before, &weight_before, &expires_in_ms);
	split_put(&service->split, &upstream, weight, ttl_ms, now_ms);
	log_split(service, &before, weight_before, &upstream, weight, ttl_ms);
	write_split(service, x);
}

static void answer(void *self, struct http_exchange *x) {
	struct service *service = self;
	struct str path = x->head->path;
	if (!has_key(service, x)) {
		service_error(x, 401, "the header Mlctl-Key is missing or wrong");
		events_write_limited(service->events, "admin_refused", NULL);
	} else if (service_health(service, x)) {
		return;
	} else if (str_is(path, "/metrics")) {
		if (service_allows(x, "GET, HEAD"))
			service_metrics(service, x);
	} else if (str_is(path, "/admin/info")) {
		if (service_allows(x, "GET, HEAD"))
			write_info(service, x);
	} else if (str_is(path, "/admin/split")) {
		if (!service_allows(x, "GET, HEAD, PUT"))
			return;
		if (x->head->verb == HTTP_PUT)
			put_split(service, x);
		else
			write_split(service, x);
	} else if (str_is(path, "/admin/drain")) {
		if (!service_allows(x, "POST"))
			return;
		buf_text(x->out, "{\"draining\":true}");
		x->status = 202;
		service->drain(service->drain_self);
	} else {
		service_error(x, 404, "no such path; the admin listener has /admin/info, /admin/split, /admin/drain and /metrics");
	}
}

/* Refusals and hand-overs are the main listener's to count. */
static void refused(void *self, unsigned worker, int status, const char *why) {
	(void) self;
	(void) worker;
	(void) status;
	(void) why;
}

static void relayed(void *self, unsigned worker, const struct http_handover *handover) {
	(void) self;
	(void) worker;
	(void) handover;
}

struct http_app admin_app(struct service *service) {
	return (struct http_app) {.self = service, .kind = kind_of, .answer = answer, .refused = refused, .relayed = relayed};
}
