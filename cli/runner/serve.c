#include "runner.h"
#include "base/num.h"
#include "data/value.h"
#include "runner/http/probe.h"
#include "runner/ops/ops.h"
#include "runner/serve/service.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEY_BYTES_MAX 4096
#define KEY_BYTES_MIN 16
#define SPARE_DESCRIPTORS 64
#define BYTES_PER_NODE 256 /* a JSON node, its text and what it becomes in a tensor */
#define NODES_MIN 65536
#define TICK_MS 100
#define WATCH_READY_MS 500 /* how often the server behind is asked: while it is ready, and while it is not */
#define WATCH_AGAIN_MS 100
#define WATCH_TIMEOUT_MS 1000
#define WATCH_FAILURES 2 /* in a row: one late answer is no reason to send everybody away */
#define SECONDS_MAX 253402300799 /* the end of the year 9999 */
#define ADMIN_CONNECTIONS 64
#define ADMIN_PER_CLIENT 32 /* so that one address that has no key cannot keep out who has it */

struct process { /* everything that lives as long as the server */
	struct service service;
	struct model *model;
	struct events *events;
	struct http_server *server, *admin;
	struct net_address address, admin_address;
	int listen_fd, admin_fd;
	sigset_t signals;
	pthread_t watcher; /* of the server behind */
	bool has_watcher;
	const char *ready_path; /* NULL: an open port is enough */
	_Atomic bool is_ending;
};

static void process_clear(struct process *p) {
	atomic_store(&p->is_ending, true);
	if (p->has_watcher)
		pthread_join(p->watcher, NULL);
	http_server_free(p->server);
	http_server_free(p->admin);
	if (p->service.workers)
		service_clear(&p->service);
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	if (p->admin_fd >= 0)
		close(p->admin_fd);
	model_free(p->model);
	events_free(p->events);
}

/* As many descriptors as may be had, and no more connections than they allow. */
static void fit_connections(struct http_limits *limits) {
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	best_effort(setrlimit(RLIMIT_NOFILE, &files)); /* then the old limit holds, which is read back */
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return;
	size_t most = files.rlim_cur > 2 * (SPARE_DESCRIPTORS + HTTP_RESERVE) ? (size_t) files.rlim_cur - SPARE_DESCRIPTORS - HTTP_RESERVE : SPARE_DESCRIPTORS;
	if (limits->connections_max > most)
		limits->connections_max = most;
}

static void fit_memory(struct service *service, struct http_limits *limits) {
	service->nodes_max = VALUE_LIMITS_WIRE.nodes_max;
	int64_t memory = service->container.memory_limit_bytes;
	if (memory == 0)
		return;
	size_t nodes = (size_t) memory / 4 / BYTES_PER_NODE;
	if (nodes < service->nodes_max)
		service->nodes_max = nodes < NODES_MIN ? NODES_MIN : nodes;
	if (limits->buffered_bytes_max > memory / 4)
		limits->buffered_bytes_max = memory / 4;
}

static int read_key(struct process *p, const struct options *options, const struct env *env, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	struct str key = {NULL, 0};
	const char *variable = env_get(env, "MLCTL_ADMIN_KEY");
	if (options->admin_key_file) {
		if (fs_read(options->admin_key_file, KEY_BYTES_MAX, &text, &len, err) != 0)
			return err_wrap(err, "--admin-key-file");
		key = (struct str) {text, len};
	} else if (variable) {
		key = str_of(variable);
	}
	while (key.len && (key.ptr[key.len - 1] == '\n' || key.ptr[key.len - 1] == '\r'))
		key.len--;
	if (key.ptr && key.len < KEY_BYTES_MIN)
		return err_set(err, ERR_USAGE, "the admin key has %zu bytes, at least %d are needed", key.len, KEY_BYTES_MIN);
	if (!key.ptr && !net_is_unix(&p->admin_address)) {
		err_set(err, ERR_USAGE, "--admin %s: a TCP listener needs a key", options->admin);
		return err_fix(err, "--admin-key-file FILE, or --admin unix:PATH");
	}
	if (key.ptr)
		secret_set(&p->service.admin_key, key, NULL);
	if (text)
		explicit_bzero(text, len);
	return 0;
}

static int open_listeners(struct process *p, const struct options *options, const struct env *env, struct err *err) {
	if (options->listen_fd >= 0) {
		int fd = (int) options->listen_fd;
		if (net_adopt(fd, &p->address, err) != 0)
			return -1;
		p->listen_fd = fd;
	} else if (net_parse(str_of(options->listen ? options->listen : "127.0.0.1:8080"), &p->address, err) != 0 ||
		   net_listen(&p->address, &p->listen_fd, err) != 0) {
		return -1;
	}
	if (!options->admin)
		return 0;
	if (net_parse(str_of(options->admin), &p->admin_address, err) != 0 || read_key(p, options, env, err) != 0)
		return -1;
	return net_listen(&p->admin_address, &p->admin_fd, err);
}

static void drain(void *self) {
	(void) self;
	kill(getpid(), SIGTERM); /* blocked in every thread: main takes it from sigtimedwait */
}

static void add_text(struct buf *fields, const char *name, const char *text) {
	buf_format(fields, "%s\"%s\":", fields->len ? "," : "", name);
	json_quote(fields, str_of(text));
}

static void say_ready(struct process *p, const struct http_limits *limits, int64_t load_ms) {
	AUTO_BUF struct buf fields = BUF(3072);
	char address[NET_TEXT_MAX];
	net_text(&p->address, address);
	add_text(&fields, "listen", address);
	if (p->admin) {
		net_text(&p->admin_address, address);
		add_text(&fields, "admin", address);
	}
	add_text(&fields, "model", service_model_name(&p->service));
	add_text(&fields, "model_digest", service_model_digest(&p->service));
	if (!p->model) {
		net_text(&p->service.behind.address, address);
		add_text(&fields, "upstream", address);
	}
	add_text(&fields, "release", p->service.release);
	add_text(&fields, "revision", p->service.revision);
	buf_format(&fields, ",\"threads\":%d,\"load_ms\":%lld,\"pid\":%ld", limits->threads, (long long) load_ms, (long) getpid());
	events_write(p->events, "ready", fields.ptr);
}

static int start_servers(struct process *p, const struct options *options, struct http_limits limits, struct err *err) {
	struct http_app app = service_app(&p->service), admin = admin_app(&p->service);
	if (p->admin_fd >= 0) {
		struct http_limits few = limits;
		few.threads = 1;
		few.connections_max = ADMIN_CONNECTIONS;
		few.per_client_max = ADMIN_PER_CLIENT;
		few.body_bytes_max = 64 * 1024;
		if (http_server_start(p->admin_fd, false, &few, &admin, &clock_system, &p->admin, err) != 0)
			return -1;
	}
	return http_server_start(p->listen_fd, options->listen_fd >= 0, &limits, &app, &clock_system, &p->server, err);
}

/* ---- as a guard ---- */

static bool is_behind_well(const struct process *p) {
	struct err err = {0};
	int status = 0;
	if (p->ready_path)
		return http_probe(&p->service.behind.address, str_of(p->ready_path), WATCH_TIMEOUT_MS, &status, &err) == 0 && status / 100 == 2;
	return http_probe_port(&p->service.behind.address, WATCH_TIMEOUT_MS) == 0;
}

static void *watch(void *self) {
	struct process *p = self;
	int failures = 0;
	while (!atomic_load(&p->is_ending)) {
		bool was_ready = atomic_load(&p->service.is_behind_ready), is_well = is_behind_well(p);
		failures = is_well ? 0 : failures + 1;
		bool is_ready = is_well || (was_ready && failures < WATCH_FAILURES);
		atomic_store(&p->service.is_behind_ready, is_ready);
		if (is_ready != was_ready)
			events_write(p->events, is_ready ? "upstream_ready" : "upstream_not_ready", NULL);
		int64_t until_us = http_mono_us() + (is_well ? WATCH_READY_MS : WATCH_AGAIN_MS) * 1000;
		while (!atomic_load(&p->is_ending) && http_mono_us() < until_us)
			nanosleep(&(struct timespec) {.tv_nsec = 20 * 1000000L}, NULL);
	}
	return NULL;
}

/* `revision` is a header of every answer. */
static int open_behind(struct process *p, const struct options *options, struct err *err) {
	struct http_upstream *behind = &p->service.behind;
	size_t len = strlen(options->revision);
	behind->is_own = true;
	p->service.name = options->name ? options->name : "";
	p->ready_path = options->upstream_ready;
	if (net_parse(str_of(options->upstream), &behind->address, err) != 0)
		return err_wrap(err, "--upstream");
	if (p->ready_path && p->ready_path[0] != '/')
		return err_set(err, ERR_USAGE, "--upstream-ready %.64s: want a path, as in /healthz", p->ready_path);
	if (len >= sizeof(behind->revision))
		return err_set(err, ERR_USAGE, "--revision: longer than %zu bytes", sizeof(behind->revision) - 1);
	memcpy(behind->revision, options->revision, len + 1);
	if (pthread_create(&p->watcher, NULL, watch, p) != 0)
		return err_set(err, ERR_FAILED, "no thread to watch the server behind");
	p->has_watcher = true;
	return 0;
}

static int load_model(struct process *p, const struct options *options, struct err *err) {
	if (model_load(options->model, options->name, &ops_all, &p->model, err) != 0)
		return -1;
	p->service.model = p->model;
	if (!options->model_created)
		p->service.model_created_s = model_created_s(p->model);
	return 0;
}

/* Waits for a signal and for the end of the drain; logs when a split runs out. */
static void live(struct process *p, const struct options *options) {
	const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
	double weight_before = 0;
	for (;;) {
		int signal = sigtimedwait(&p->signals, NULL, &tick);
		bool is_draining = http_server_is_draining(p->server);
		if ((signal == SIGTERM || signal == SIGINT) && is_draining)
			return; /* the second one: no more patience */
		if (signal == SIGTERM || signal == SIGINT) {
			atomic_store(&p->service.is_ready, false);
			http_server_drain(p->server, &options->drain);
			char fields[128];
			snprintf(fields, sizeof(fields), "\"signal\":\"%s\",\"in_flight\":%lld,\"connections\":%lld", signal == SIGTERM ? "TERM" : "INT",
				(long long) http_server_in_flight(p->server), (long long) http_server_connections(p->server));
			events_write(p->events, "drain", fields);
		}
		if (is_draining && http_server_is_done(p->server))
			return;
		struct http_upstream upstream;
		double weight;
		int64_t expires_in_ms;
		split_get(&p->service.split, clock_mono_ms(&clock_system), &upstream, &weight, &expires_in_ms);
		if (weight_before > 0 && weight <= 0 && p->service.split.weight > 0)
			events_write(p->events, "split_expired", NULL);
		weight_before = weight;
	}
}

/* Seconds since 1970 or RFC 3339; and the delay is a part of the drain. */
static int check_times(const struct options *options, int64_t *created_s, struct err *err) {
	const char *text = options->model_created;
	if (text && num_int(str_of(text), 1, SECONDS_MAX, created_s) != 0 && (clock_parse(text, created_s) != 0 || *created_s < 1 || *created_s > SECONDS_MAX))
		return err_set(err, ERR_USAGE, "--model-created %.64s: want a time, as in 2026-11-21T10:02:11Z, or seconds since 1970", text);
	if (options->drain.delay_ms > options->drain.longest_ms) {
		err_set(err, ERR_USAGE, "--drain-delay %lldms is longer than --drain %lldms, which begins at the same moment", (long long) options->drain.delay_ms,
			(long long) options->drain.longest_ms);
		return err_fix(err, "--drain %lldms, or more", (long long) options->drain.delay_ms + options->drain.longest_ms);
	}
	if ((options->drain.delay_ms > 0 || options->drain.patience_ms > 0) && options->listen_fd >= 0)
		return err_set(err, ERR_USAGE, "--drain-%s: not with --listen-fd, where other processes go on accepting", options->drain.delay_ms > 0 ? "delay" : "patience");
	return 0;
}

static int serve(struct process *p, const struct options *options, const struct env *env, struct err *err) {
	struct http_limits limits = options->limits;
	int64_t before_us = http_mono_us();
	if (!options->model && !options->upstream)
		return err_set(err, ERR_USAGE, "--model is missing: the file or folder to load");
	if (check_times(options, &p->service.model_created_s, err) != 0)
		return -1;
	container_read("", &p->service.container);
	if (limits.threads == 0)
		limits.threads = container_threads(&p->service.container);
	fit_connections(&limits);
	fit_memory(&p->service, &limits);
	if (open_listeners(p, options, env, err) != 0)
		return -1;
	events_write(p->events, "start", "\"version\":\"" MLCTL_VERSION "\"");
	if ((options->upstream ? open_behind(p, options, err) : load_model(p, options, err)) != 0)
		return -1;
	service_init(&p->service, (unsigned) limits.threads);
	/* The admin listener runs first; its info needs a main server to ask, so it is started behind the main one's fields. */
	if (start_servers(p, options, limits, err) != 0)
		return -1;
	p->service.server = p->server;
	atomic_store(&p->service.is_ready, true);
	say_ready(p, &limits, (http_mono_us() - before_us) / 1000);
	live(p, options);
	return 0;
}

int runner_serve(const struct options *options, const struct env *env, struct err *err) {
	struct process p = {.listen_fd = -1, .admin_fd = -1};
	sigemptyset(&p.signals);
	sigaddset(&p.signals, SIGTERM);
	sigaddset(&p.signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &p.signals, NULL);
	p.events = events_new(STDOUT_FILENO, &clock_system);
	p.service.events = p.events;
	p.service.clock = &clock_system;
	p.service.service = options->service;
	p.service.environment = options->environment;
	p.service.release = options->release;
	p.service.revision = options->revision;
	p.service.image = options->image;
	p.service.has_access_log = options->has_access_log;
	p.service.start_s = clock_wall_s(&clock_system);
	p.service.drain = drain;
	int rc = serve(&p, options, env, err);
	AUTO_BUF struct buf fields = BUF(3072);
	if (rc != 0)
		add_text(&fields, "error", err->message);
	events_write(p.events, "exit", fields.ptr);
	if (rc == 0 && net_is_unix(&p.admin_address) && p.admin_fd >= 0)
		unlink(p.admin_address.path.sun_path);
	process_clear(&p);
	return rc == 0 ? 0 : runner_exit_code(err);
}
