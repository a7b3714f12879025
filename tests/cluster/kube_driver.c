/* The client of lib/kube as a program, for tests against a real API server: one verb per run, what came on stdout, the error as
 * "code: message", "at: ..", "fix: .." on stderr. Settings by environment: KUBECONFIG, CONTEXT, NAMESPACE; DRIVER_PREVIOUS for the log
 * before the last restart; DEADLINE_MS for how long calls are tried; DRIVER_LOG for a line per request. */
#include "kube/mirror.h"

#include <signal.h>

#define BYTES_MAX ((size_t) 16 * 1024 * 1024)

struct driver {
	struct env env;
	struct http *http;
	struct redactor *redact;
	struct kube *kube;
	struct log log;
};

static void warn(void *self, const char *text) {
	(void) self;
	fprintf(stderr, "warning: %s\n", text);
}

static void show(const struct value *value) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	if (value && json_write(value, JSON_COMPACT, &text, &err) == 0)
		puts(text);
}

static int read_object(const char *file, struct document **out, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len;
	if (fs_read(file, BYTES_MAX, &text, &len, err) != 0)
		return -1;
	return yaml_read(file, (struct str){text, len}, VALUE_LIMITS_WIRE, out, err);
}

/* apply FILE [dry] [force] [rv=..] [uid=..] */
static int apply(struct driver *driver, char **args, struct err *err) {
	AUTO_DOCUMENT struct document *object = NULL, *out = NULL;
	if (read_object(args[0], &object, err) != 0)
		return -1;
	struct kube_apply apply = {.object = object->root};
	for (char **arg = args + 1; *arg; arg++) {
		apply.is_dry_run = apply.is_dry_run || strcmp(*arg, "dry") == 0;
		apply.is_forced = apply.is_forced || strcmp(*arg, "force") == 0;
		if (strncmp(*arg, "rv=", 3) == 0)
			apply.resource_version = *arg + 3;
		if (strncmp(*arg, "uid=", 4) == 0)
			apply.uid = *arg + 4;
	}
	int rc = kube_apply(driver->kube, &apply, &out, err);
	if (apply.is_stale)
		fprintf(stderr, "stale\n");
	if (rc == 0)
		printf("%s %s\n", apply.was_created ? "created" : "configured", kube_namespace(driver->kube));
	return rc;
}

static int ask(struct driver *driver, char **args, struct err *err) {
	struct kube_ask asks[32] = {0};
	size_t count = 0;
	for (; args[count] && count < 32; count++)
		asks[count].selection.kind = args[count];
	int64_t from = clock_mono_ms(&clock_system);
	if (kube_ask_all(driver->kube, asks, count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct value *items = asks[i].answer ? value_get(asks[i].answer->root, "items") : NULL;
		printf("%s %zu %s\n", args[i], items ? items->count : 0, asks[i].err.message);
		document_free(asks[i].answer);
	}
	fprintf(stderr, "%lld ms\n", (long long) (clock_mono_ms(&clock_system) - from));
	return 0;
}

static void print_mirror(const struct mirror *mirror, bool has_versions) {
	printf("%llu %lld:", (unsigned long long) mirror_generation(mirror), (long long) mirror_stale_ms(mirror));
	for (size_t i = 0; i < mirror_count(mirror) && i < 20; i++) {
		const struct value *name = value_find(mirror_at(mirror, i), "metadata.name"),
				   *data = value_find(mirror_at(mirror, i), "data.v");
		printf(" %.*s", STR_ARGS(name->text));
		if (data && has_versions)
			printf("=%.*s", STR_ARGS(data->text));
	}
	printf(" (%zu)\n", mirror_count(mirror));
	fflush(stdout);
}

/* mirror KIND LABELS MS: a line for each change; at most so long, and until an object is called "end". */
static int watch(struct driver *driver, char **args, struct err *err) {
	struct kube_selection selection = {.kind = args[0], .labels = args[1][0] ? args[1] : NULL};
	struct mirror *mirror = mirror_open(driver->kube, &selection);
	int64_t until_ms = clock_mono_ms(&clock_system) + strtoll(args[2], NULL, 10);
	if (mirror_await(mirror, 20000, 0, err) != 0)
		return -1;
	uint64_t seen = 0;
	bool was_stale = false;
	for (;;) {
		bool is_stale = mirror_stale_ms(mirror) > 0;
		if (seen != mirror_generation(mirror) || is_stale != was_stale)
			print_mirror(mirror, true);
		seen = mirror_generation(mirror);
		was_stale = is_stale;
		struct http_event event;
		if (http_step_news(driver->http, until_ms, &event, err) != 0)
			return -1;
		if (event.what == HTTP_TIMER || mirror_find(mirror, "end"))
			break;
	}
	mirror_close(mirror);
	return 0;
}

static int proxy(struct driver *driver, char **args, struct err *err) {
	struct http_answer answer = {0};
	const struct kube_proxy asked = {.kind = args[0],
		.name = args[1],
		.port = (int) strtol(args[2], NULL, 10),
		.method = args[3],
		.path = args[4],
		.body = args[5],
		.timeout_ms = 3000};
	if (kube_proxy(driver->kube, &asked, &answer, err) != 0)
		return -1;
	printf("%d %s\n", answer.status, answer.body);
	http_answer_clear(&answer);
	return 0;
}

static int run(struct driver *driver, int argc, char **argv, struct err *err) {
	const char *verb = argv[1];
	char **args = argv + 2;
	AUTO_DOCUMENT struct document *in = NULL, *out = NULL;
	AUTO_FREE char *text = NULL;
	bool yes = false;
	int rc = -1, count = argc - 2;
	if (strcmp(verb, "open") == 0)
		rc = printf("%s %s %s\n", kube_server(driver->kube), kube_context(driver->kube), kube_namespace(driver->kube)) < 0;
	else if (strcmp(verb, "get") == 0 && count == 2)
		rc = kube_get(driver->kube, args[0], args[1], &out, err);
	else if (strcmp(verb, "list") == 0 && count >= 1)
		rc = kube_list(driver->kube, &(struct kube_selection){.kind = args[0], .labels = args[1]}, &out, err);
	else if (strcmp(verb, "ask") == 0)
		rc = ask(driver, args, err);
	else if (strcmp(verb, "apply") == 0 && count)
		rc = apply(driver, args, err);
	else if (strcmp(verb, "create") == 0 && count == 1)
		rc = read_object(args[0], &in, err) != 0 || kube_create(driver->kube, in->root, &out, err) != 0 ? -1 : 0;
	else if (strcmp(verb, "replace") == 0 && count == 1)
		rc = read_object(args[0], &in, err) != 0 || kube_replace(driver->kube, in->root, &out, err) != 0 ? -1 : 0;
	else if (strcmp(verb, "patch") == 0 && count == 4)
		rc = read_object(args[3], &in, err) != 0 ||
				     kube_patch(driver->kube, args[0], args[1], args[2][0] ? args[2] : NULL, in->root, &out, err) != 0
			     ? -1
			     : 0;
	else if (strcmp(verb, "delete") == 0 && count >= 2)
		rc = kube_delete(driver->kube, args[0], args[1], args[2], NULL, &yes, err) != 0 ? -1
											  : puts(yes ? "was there" : "was not there") < 0;
	else if (strcmp(verb, "may") == 0 && count == 3)
		rc = kube_may(driver->kube, args[0], args[1], args[2], &yes, err) != 0 ? -1 : puts(yes ? "yes" : "no") < 0;
	else if (strcmp(verb, "read") == 0 && count == 1)
		rc = kube_read(driver->kube, args[0], &text, err) != 0 ? -1 : puts(text) < 0;
	else if (strcmp(verb, "logs") == 0 && count == 3)
		rc = kube_logs(driver->kube,
			     &(struct kube_logs){.pod = args[0],
				     .container = args[1],
				     .is_previous = getenv("DRIVER_PREVIOUS") != NULL,
				     .bytes_max = (size_t) strtol(args[2], NULL, 10)},
			     &text, err) != 0
			     ? -1
			     : puts(text) < 0;
	else if (strcmp(verb, "proxy") == 0 && count >= 5)
		rc = proxy(driver, args, err);
	else if (strcmp(verb, "mirror") == 0 && count == 3)
		rc = watch(driver, args, err);
	else
		return err_set(err, ERR_USAGE, "verb %s with %d arguments", verb, count);
	if (rc == 0 && out) {
		const struct value *items = value_get(out->root, "items");
		if (strcmp(verb, "list") == 0)
			printf("%zu items\n", items ? items->count : 0);
		else
			show(out->root);
	}
	return rc;
}

static void tell(const struct err *err, const struct redactor *redact) {
	const char *const parts[] = {err_kind(err->code), err->message, err->at, err->fix}, *const names[] = {
												    "", ": ", "\nat: ", "\nfix: "};
	AUTO_BUF struct buf text = BUF((size_t) 64 * 1024);
	for (size_t i = 0; i < 4; i++)
		if (parts[i][0]) {
			buf_text(&text, names[i]);
			redactor_apply(redact, str_of(parts[i]), &text);
		}
	fprintf(stderr, "%s\n", text.ptr);
}

int main(int argc, char **argv) {
	struct err err = {0};
	struct driver driver = {.env.items = environ, .redact = redactor_new()};
	if (getenv("DRIVER_LOG"))
		driver.log = (struct log){.out = stderr, .redact = driver.redact, .clock = &clock_system};
	driver.http = http_curl_new(&clock_system, &driver.env, -1, &driver.log, &err);
	const struct kube_options options = {.http = driver.http,
		.clock = &clock_system,
		.env = &driver.env,
		.redact = driver.redact,
		.log = &driver.log,
		.context = getenv("CONTEXT"),
		.namespace_ = getenv("NAMESPACE"),
		.warn = warn};
	int rc = argc < 2 ? err_set(&err, ERR_USAGE, "kube_driver VERB ...") : driver.http ? kube_open(&options, &driver.kube, &err) : -1;
	if (rc == 0 && getenv("DEADLINE_MS"))
		kube_set_deadline(driver.kube, clock_mono_ms(&clock_system) + strtoll(getenv("DEADLINE_MS"), NULL, 10));
	if (rc == 0)
		rc = run(&driver, argc, argv, &err);
	if (err.code)
		tell(&err, driver.redact);
	kube_close(driver.kube);
	http_close(driver.http);
	redactor_free(driver.redact);
	return rc == 0 ? 0 : 1;
}
