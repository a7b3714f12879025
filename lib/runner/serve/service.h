/* What the runner answers: the prediction routes on the main listener, and the control routes on the admin one. As a guard it has no model: all but
 * its own health and metrics goes to the server behind it.
 *
 *   GET  /                         what is here
 *   GET  /metrics                  Prometheus text
 *   GET  /v2  /v2/health/live|ready  /v2/models/NAME[/versions/1][/ready]
 *   POST /v2/models/NAME[/versions/1]/infer
 *   POST /predict
 * On the admin listener, with the key in the header Mlctl-Key:
 *   GET  /admin/info   GET|PUT /admin/split   POST /admin/drain   and GET /metrics, /v2/health/...
 */
#pragma once

#include "base/secret.h"
#include "runner/model/model.h"
#include "runner/serve/container.h"
#include "runner/serve/events.h"
#include "runner/serve/metrics.h"
#include "runner/serve/split.h"

#define SERVICE_REQUEST_BYTES_MAX ((size_t) 512 << 20) /* a request's arena */

struct service_worker { /* one worker's memory, kept between requests */
	struct run *run;
	struct arena arena;
	struct split_view split;
	int64_t split_expiry_logged_ms;
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
} __attribute__((aligned(64)));

struct service {
	const struct model *model;   /* NULL: a guard's */
	const char *name;	     /* of a guard: its model's, for metrics; "" when not given */
	struct http_upstream behind; /* of a guard: the server behind it; is_own */
	const char *service, *environment, *release, *revision, *image; /* lent; "" when not given */
	struct container container;
	const struct clock *clock;
	struct events *events; /* lent */
	bool has_access_log;
	struct secret admin_key; /* text NULL: none, which only a unix socket may have */
	size_t nodes_max;        /* of a request's JSON */
	int64_t start_s;
	int64_t model_created_s; /* 0: not known */

	struct metrics *metrics;
	struct split split;
	unsigned worker_count;
	struct service_worker *workers;
	_Atomic(struct http_server *) server; /* the main one, for its gauges; set once it runs */
	void (*drain)(void *self);  /* POST /admin/drain */
	void *drain_self;
	_Atomic bool is_ready;
	_Atomic bool is_behind_ready; /* of a guard: the server behind says so */
};
/* The fields above the blank line are the caller's, set before; worker memory is made here, so start the server afterwards. */
void service_init(struct service *service, unsigned workers);
void service_clear(struct service *service);

/* The two apps that the servers call. */
struct http_app service_app(struct service *service);
struct http_app admin_app(struct service *service);

/* Shared by both: answers with {"error":...}, and what the process knows of itself. */
void service_error(struct http_exchange *x, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
int64_t service_in_flight(struct service *service);
int64_t service_connections(struct service *service);
void service_metrics(struct service *service, struct http_exchange *x);
const char *service_model_name(const struct service *service);
const char *service_model_digest(const struct service *service); /* "sha256:..."; "": a guard's */
bool service_is_ready(struct service *service);
bool service_health(struct service *service, struct http_exchange *x); /* false: no health route */
/* Is the method one of these? Else 405 with Allow. `allowed`: "GET, HEAD". */
bool service_allows(struct http_exchange *x, const char *allowed);
