#include "runner/serve/service.h"
#include "runner/http/write.h"
#include "runner/serve/oip.h"
#include "runner/serve/rows.h"

#include <stdarg.h>

#define REASON_MAX 512

void service_init(struct service *service, unsigned workers) {
	service->metrics = metrics_new(workers);
	split_init(&service->split);
	service->worker_count = workers;
	size_t size = workers * sizeof(*service->workers);
	service->workers = aligned_alloc(64, size);
	if (!service->workers)
		abort();
	memset(service->workers, 0, size);
	size_t arena_max = SERVICE_REQUEST_BYTES_MAX;
	if (service->container.memory_limit_bytes > 0 && (size_t) service->container.memory_limit_bytes / 4 < arena_max)
		arena_max = (size_t) service->container.memory_limit_bytes / 4;
	for (unsigned i = 0; i < workers; i++) {
		service->workers[i].run = service->model ? run_new(service->model) : NULL;
		service->workers[i].arena.bytes_max = arena_max;
	}
}

void service_clear(struct service *service) {
	for (unsigned i = 0; i < service->worker_count; i++) {
		if (service->workers[i].run)
			run_free(service->workers[i].run);
		arena_clear(&service->workers[i].arena);
	}
	free(service->workers);
	metrics_free(service->metrics);
	split_clear(&service->split);
	secret_clear(&service->admin_key);
}

void service_error(struct http_exchange *x, int status, const char *format, ...) {
	char why[ERR_MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	buf_reset(x->out);
	http_write_error(x->out, why);
	x->status = status;
}

bool service_allows(struct http_exchange *x, const char *allowed) {
	struct str rest = str_of(allowed);
	while (rest.ptr)
		if (str_equal(str_trim(str_cut(rest, ',', &rest)), x->head->method))
			return true;
	buf_format(x->headers, "Allow: %s\r\n", allowed);
	service_error(x, 405, "this path takes %s", allowed);
	return false;
}

int64_t service_in_flight(struct service *service) {
	struct http_server *server = atomic_load(&service->server);
	return server ? http_server_in_flight(server) : 0;
}

int64_t service_connections(struct service *service) {
	struct http_server *server = atomic_load(&service->server);
	return server ? http_server_connections(server) : 0;
}

const char *service_model_name(const struct service *service) {
	return service->model ? model_name(service->model) : service->name;
}

const char *service_model_digest(const struct service *service) {
	return service->model ? model_digest(service->model)->text : "";
}

bool service_is_ready(struct service *service) {
	return atomic_load(&service->is_ready) && (service->model || atomic_load(&service->is_behind_ready));
}

void service_metrics(struct service *service, struct http_exchange *x) {
	struct http_upstream upstream;
	int64_t expires_in_ms;
	struct metrics_facts facts = {.version = MLCTL_VERSION,
		.service = service->service[0] ? service->service : service_model_name(service),
		.environment = service->environment,
		.model = service_model_name(service),
		.model_sha256 = service->model ? digest_hex(model_digest(service->model)) : NULL,
		.release = service->release,
		.revision = service->revision,
		.image = service->image,
		.model_created_s = service->model_created_s,
		.start_s = service->start_s,
		.in_flight = service_in_flight(service),
		.connections = service_connections(service),
		.cpu_limit_cores = service->container.cpu_limit_cores,
		.memory_limit_bytes = service->container.memory_limit_bytes,
		.is_ready = service_is_ready(service)};
	split_get(&service->split, clock_mono_ms(service->clock), &upstream, &facts.canary_weight, &expires_in_ms);
	metrics_render(service->metrics, &facts, x->out);
	x->content_type = "text/plain; version=0.0.4; charset=utf-8";
	x->status = 200;
}

bool service_health(struct service *service, struct http_exchange *x) {
	bool is_live = str_is(x->head->path, "/v2/health/live"), is_ready = str_is(x->head->path, "/v2/health/ready");
	if (!is_live && !is_ready)
		return false;
	if (!service_allows(x, "GET, HEAD"))
		return true;
	bool is_ok = is_live || service_is_ready(service);
	buf_text(x->out, is_live ? "{\"live\":true}" : is_ok ? "{\"ready\":true}" : "{\"ready\":false}");
	x->status = is_ok ? 200 : 503;
	return true;
}

enum route { ROUTE_NONE, ROUTE_ROOT, ROUTE_METRICS, ROUTE_SERVER, ROUTE_MODEL, ROUTE_MODEL_READY, ROUTE_INFER, ROUTE_PREDICT };

/* /v2/models/NAME[/versions/VERSION][/ready|/infer] */
static enum route find_model_route(struct str path, struct str *name, struct str *version) {
	struct str rest;
	*version = (struct str) {NULL, 0};
	*name = str_cut((struct str) {path.ptr + 11, path.len - 11}, '/', &rest);
	struct str word = str_cut(rest, '/', &rest);
	if (str_is(word, "versions") && rest.ptr) {
		*version = str_cut(rest, '/', &rest);
		word = str_cut(rest, '/', &rest);
	}
	if (rest.ptr || name->len == 0)
		return ROUTE_NONE;
	return word.len == 0 ? ROUTE_MODEL : str_is(word, "ready") ? ROUTE_MODEL_READY : str_is(word, "infer") ? ROUTE_INFER : ROUTE_NONE;
}

static enum route find_route(struct str path, struct str *name, struct str *version) {
	static const struct {
		const char *path;
		enum route route;
	} routes[] = {{"/predict", ROUTE_PREDICT}, {"/metrics", ROUTE_METRICS}, {"/", ROUTE_ROOT}, {"/v2", ROUTE_SERVER}, {"/v2/", ROUTE_SERVER}};
	*name = *version = (struct str) {NULL, 0};
	if (str_starts(path, "/v2/models/"))
		return find_model_route(path, name, version);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (str_is(path, routes[i].path))
			return routes[i].route;
	return ROUTE_NONE;
}

static enum http_kind kind_of(void *self, const struct http_head *head) {
	(void) self;
	if (str_starts(head->path, "/v2/health/"))
		return HTTP_KIND_HEALTH;
	bool is_heavy = head->verb == HTTP_POST && (str_is(head->path, "/predict") || str_ends(head->path, "/infer"));
	return is_heavy ? HTTP_KIND_HEAVY : HTTP_KIND_QUICK;
}

/* A 5xx: counted by cause, and logged with a hash of the input instead of the input. */
static void fail(struct service *service, struct http_exchange *x, enum metrics_error cause, int status, const char *why) {
	service_error(x, status, "%s", why);
	metrics_failed(service->metrics, x->worker, cause);
	struct digest digest;
	digest_of(x->body, &digest);
	AUTO_BUF struct buf fields = BUF(2048);
	buf_format(&fields, "\"status\":%d,\"reason\":\"%s\",\"error\":", status, metrics_error_name(cause));
	json_quote(&fields, (struct str) {why, strnlen(why, REASON_MAX)});
	buf_text(&fields, ",\"path\":");
	json_quote(&fields, x->head->path); /* a route's, so it is short */
	buf_format(&fields, ",\"input_bytes\":%zu,\"input_sha256\":\"%.16s\"", x->body.len, digest_hex(&digest));
	events_write_limited(service->events, "error", fields.ptr);
}

static void refuse_input(struct http_exchange *x, const struct err *err) {
	int status = err->code == ERR_LIMIT ? 413 : 400;
	if (err->at[0])
		service_error(x, status, "%s: %s", err->at, err->message);
	else
		service_error(x, status, "%s", err->message);
}

/* -1: answered with what was wrong. */
static int run_model(struct service *service, struct http_exchange *x, uint64_t want) {
	struct service_worker *w = &service->workers[x->worker];
	struct err err = {0};
	if (model_run(service->model, w->run, w->inputs, want, w->outputs, &err) != 0) {
		if (err.code == ERR_INVALID)
			refuse_input(x, &err);
		else
			fail(service, x, err.code == ERR_LIMIT ? METRICS_NO_MEMORY : METRICS_MODEL_FAILED, 500, err.message);
		return -1;
	}
	const struct port *ports;
	size_t count = model_outputs(service->model, &ports);
	int bad = outputs_not_finite(w->outputs, count, want);
	if (bad < 0)
		return 0;
	const struct tensor *tensor = &w->outputs[bad];
	const char *what = "infinite";
	int64_t elements = shape_count(&tensor->shape);
	for (int64_t i = 0; i < elements; i++)
		if (tensor->dtype == DTYPE_FLOAT ? __builtin_isnan(((const float *) tensor->data)[i])
						 : tensor->dtype == DTYPE_DOUBLE && __builtin_isnan(((const double *) tensor->data)[i]))
			what = "NaN";
	char why[REASON_MAX];
	snprintf(why, sizeof(why), "output %d is %s", bad, what);
	fail(service, x, METRICS_OUTPUT_NOT_FINITE, 500, why);
	/* The name too, for the reader; the reason that is counted stays short. */
	buf_reset(x->out);
	buf_text(x->out, "{\"error\":");
	json_quote(x->out, str_of(why));
	buf_text(x->out, ",\"output\":");
	json_quote(x->out, str_of(ports[bad].name));
	buf_char(x->out, '}');
	return -1;
}

static void predict(struct service *service, struct http_exchange *x, const struct value *body) {
	struct service_worker *w = &service->workers[x->worker];
	struct err err = {0};
	int64_t rows = 0;
	if (rows_decode(service->model, body, &w->arena, w->inputs, &rows, &err) != 0) {
		refuse_input(x, &err);
		return;
	}
	if (run_model(service, x, ~(uint64_t) 0) != 0)
		return;
	if (rows_encode(service->model, w->outputs, rows, x->out, &err) != 0) {
		fail(service, x, METRICS_MODEL_FAILED, 500, err.message);
		return;
	}
	x->status = 200;
}

static void infer(struct service *service, struct http_exchange *x, const struct value *body) {
	struct service_worker *w = &service->workers[x->worker];
	struct err err = {0};
	struct oip_request request;
	if (oip_decode(service->model, body, &w->arena, w->inputs, &request, &err) != 0) {
		refuse_input(x, &err);
		return;
	}
	if (run_model(service, x, request.want) != 0)
		return;
	oip_encode(service->model, &request, w->outputs, x->out);
	x->status = 200;
}

static void compute(struct service *service, struct http_exchange *x, enum route route) {
	struct service_worker *w = &service->workers[x->worker];
	struct value_limits limits = VALUE_LIMITS_WIRE;
	limits.nodes_max = service->nodes_max;
	AUTO_DOCUMENT struct document *document = NULL;
	struct err err = {0};
	if (http_header(x->head, "inference-header-content-length").ptr)
		service_error(x, 400, "binary tensors are not spoken here: send data as JSON");
	else if (json_read("body", x->body, limits, &document, &err) != 0)
		refuse_input(x, &err);
	else if (route == ROUTE_PREDICT)
		predict(service, x, document->root);
	else
		infer(service, x, document->root);
	arena_reset(&w->arena);
}

static void log_access(struct service *service, const struct http_exchange *x, int64_t duration_us) {
	AUTO_BUF struct buf fields = BUF(3072);
	buf_text(&fields, "\"method\":");
	json_quote(&fields, (struct str) {x->head->method.ptr, x->head->method.len < 32 ? x->head->method.len : 32});
	buf_text(&fields, ",\"path\":");
	json_quote(&fields, (struct str) {x->head->path.ptr, x->head->path.len < 512 ? x->head->path.len : 512});
	buf_format(&fields, ",\"status\":%d,\"us\":%lld,\"in\":%zu,\"out\":%zu", x->status, (long long) duration_us, x->body.len, x->out->len);
	events_write(service->events, "access", fields.ptr);
}

/* A prediction: the canary's, or ours. */
static void answer_prediction(struct service *service, struct http_exchange *x, enum route route) {
	struct service_worker *w = &service->workers[x->worker];
	if (!x->has_failed_over && !http_header(x->head, "mlctl-hop").ptr && split_take(&service->split, &w->split, clock_mono_ms(service->clock))) {
		x->upstream = &w->split.upstream;
		return;
	}
	compute(service, x, route);
	if (service->revision[0])
		buf_format(x->headers, "Mlctl-Revision: %s\r\n", service->revision);
	int64_t duration_us = http_mono_us() - x->received_us;
	metrics_request(service->metrics, x->worker, x->status, duration_us);
}

static void write_root(struct service *service, struct http_exchange *x) {
	buf_text(x->out, "{\"name\":\"mlctl-runner\",\"version\":\"" MLCTL_VERSION "\",\"model\":");
	json_quote(x->out, str_of(model_name(service->model)));
	buf_text(x->out, ",\"model_digest\":");
	json_quote(x->out, str_of(model_digest(service->model)->text));
	buf_text(x->out, ",\"release\":");
	json_quote(x->out, str_of(service->release));
	buf_text(x->out, ",\"revision\":");
	json_quote(x->out, str_of(service->revision));
	buf_text(x->out, ",\"routes\":[\"POST /predict\",");
	for (int i = 0; i < 2; i++) {
		AUTO_FREE char *text = mem_format(i ? "GET /v2/models/%s" : "POST /v2/models/%s/infer", model_name(service->model));
		json_quote(x->out, str_of(text));
		buf_char(x->out, ',');
	}
	buf_text(x->out, "\"GET /v2/health/live\",\"GET /v2/health/ready\",\"GET /metrics\"]}");
	x->status = 200;
}

static void answer_get(struct service *service, struct http_exchange *x, enum route route) {
	if (!service_allows(x, "GET, HEAD"))
		return;
	x->status = 200;
	switch (route) {
	case ROUTE_ROOT:
		write_root(service, x);
		return;
	case ROUTE_METRICS:
		service_metrics(service, x);
		return;
	case ROUTE_SERVER:
		oip_server_metadata(x->out);
		return;
	case ROUTE_MODEL:
		oip_model_metadata(service->model, x->out);
		return;
	case ROUTE_MODEL_READY:
		x->status = atomic_load(&service->is_ready) ? 200 : 503;
		buf_text(x->out, "{\"name\":");
		json_quote(x->out, str_of(model_name(service->model)));
		buf_text(x->out, x->status == 200 ? ",\"ready\":true}" : ",\"ready\":false}");
		return;
	case ROUTE_NONE:
	case ROUTE_INFER:
	case ROUTE_PREDICT:
		return;
	}
}

static void answer(void *self, struct http_exchange *x) {
	struct service *service = self;
	struct str name, version;
	if (!service_health(service, x)) {
		enum route route = find_route(x->head->path, &name, &version);
		if (route == ROUTE_NONE)
			service_error(x, 404, "no such path; GET / lists what is here");
		else if (name.ptr && !str_is(name, model_name(service->model)))
			service_error(x, 404, "model \"%.*s\" is not here; \"%s\" is", STR_ARGS(name), model_name(service->model));
		else if (version.ptr && !str_is(version, OIP_VERSION))
			service_error(x, 404, "version \"%.*s\" is not here; \"" OIP_VERSION "\" is", STR_ARGS(version));
		else if (route != ROUTE_INFER && route != ROUTE_PREDICT)
			answer_get(service, x, route);
		else if (service_allows(x, "POST"))
			answer_prediction(service, x, route);
		if (x->status == 404 || x->status == 405)
			metrics_refused(service->metrics, x->worker, x->status);
	}
	if (service->has_access_log && !x->upstream)
		log_access(service, x, http_mono_us() - x->received_us);
}

static void refused(void *self, unsigned worker, int status, const char *why) {
	struct service *service = self;
	metrics_refused(service->metrics, worker, status);
	if (status < 500 || status == 505)
		return;
	metrics_failed(service->metrics, worker, METRICS_OVERLOADED);
	char fields[256];
	snprintf(fields, sizeof(fields), "\"status\":%d,\"reason\":\"overloaded\",\"error\":\"%s\"", status, why);
	events_write_limited(service->events, "error", fields);
}

static void relayed(void *self, unsigned worker, const struct http_handover *handover) {
	struct service *service = self;
	if (handover->upstream->is_own) { /* a failure is counted with the answer that it gets */
		if (handover->is_ok) {
			metrics_request(service->metrics, worker, handover->status, http_mono_us() - handover->received_us);
			if (handover->status >= 500)
				metrics_failed(service->metrics, worker, METRICS_UPSTREAM_FAILED);
		}
		return;
	}
	bool is_unreached = !handover->is_ok && strcmp(handover->why, HTTP_UNREACHED) == 0;
	metrics_handover(service->metrics, worker, handover->is_ok ? METRICS_HANDED_ON : is_unreached ? METRICS_UNREACHED : METRICS_HANDOVER_FAILED);
	if (handover->is_ok)
		return;
	char fields[256];
	snprintf(fields, sizeof(fields), "\"reason\":\"%s\"", handover->why);
	events_write_limited(service->events, "handover_failed", fields);
}

/* ---- as a guard ---- */

static bool is_own_path(const struct http_head *head) {
	return str_is(head->path, "/v2/health/live") || str_is(head->path, "/v2/health/ready") || str_is(head->path, "/metrics");
}

static enum http_kind guard_kind_of(void *self, const struct http_head *head) {
	(void) self;
	return !is_own_path(head) ? HTTP_KIND_HEAVY : str_is(head->path, "/metrics") ? HTTP_KIND_QUICK : HTTP_KIND_HEALTH;
}

/* The server behind gave no answer: 502, or 504 when it took too long. */
static void answer_for_it(struct service *service, struct http_exchange *x) {
	bool is_late = strcmp(x->own_failed, "timeout") == 0;
	AUTO_BUF struct buf fields = BUF(2048);
	service_error(x, is_late ? 504 : 502, "the server behind failed: %s", x->own_failed);
	metrics_failed(service->metrics, x->worker, METRICS_UPSTREAM_FAILED);
	buf_format(&fields, "\"status\":%d,\"reason\":\"upstream_failed\",\"error\":\"%s\",\"path\":", x->status, x->own_failed);
	json_quote(&fields, (struct str) {x->head->path.ptr, x->head->path.len < 512 ? x->head->path.len : 512});
	events_write_limited(service->events, "error", fields.ptr);
	if (service->revision[0])
		buf_format(x->headers, "Mlctl-Revision: %s\r\n", service->revision);
	metrics_request(service->metrics, x->worker, x->status, http_mono_us() - x->received_us);
}

static void guard_answer(void *self, struct http_exchange *x) {
	struct service *service = self;
	struct service_worker *w = &service->workers[x->worker];
	if (str_is(x->head->path, "/metrics")) {
		if (service_allows(x, "GET, HEAD"))
			service_metrics(service, x);
		return;
	}
	if (service_health(service, x))
		return;
	if (x->own_failed) {
		answer_for_it(service, x);
	} else if (!x->has_failed_over && !http_header(x->head, "mlctl-hop").ptr &&
		   split_take(&service->split, &w->split, clock_mono_ms(service->clock))) {
		x->upstream = &w->split.upstream;
	} else {
		x->upstream = &service->behind;
	}
	if (service->has_access_log && !x->upstream)
		log_access(service, x, http_mono_us() - x->received_us);
}

struct http_app service_app(struct service *service) {
	if (!service->model)
		return (struct http_app) {.self = service, .kind = guard_kind_of, .answer = guard_answer, .refused = refused, .relayed = relayed};
	return (struct http_app) {.self = service, .kind = kind_of, .answer = answer, .refused = refused, .relayed = relayed};
}
