#include "options.h"
#include "base/num.h"

#define VALUE_BYTES_MAX 4096

enum kind { KIND_TEXT, KIND_FLAG, KIND_COUNT, KIND_DURATION, KIND_BYTES };

struct flag {
	const char *name, *variable, *value, *help;
	enum kind kind;
	int verbs;
	size_t at;
	int64_t min, max;
};

#define AT(member) offsetof(struct options, member)
static const struct flag flags[] = {
	{"--model", "MLCTL_MODEL", "FILE|FOLDER", "the model to load", KIND_TEXT, FOR_SERVE | FOR_CHECK | FOR_EXAMPLES, AT(model), 0, 0},
	{"--upstream", "MLCTL_UPSTREAM", "ADDRESS:PORT", "guard the server that answers there instead: no model is loaded", KIND_TEXT, FOR_SERVE, AT(upstream),
		0, 0},
	{"--upstream-ready", "MLCTL_UPSTREAM_READY", "PATH", "where that server tells that it is ready (default: when its port is open)", KIND_TEXT, FOR_SERVE,
		AT(upstream_ready), 0, 0},
	{"--name", "MLCTL_NAME", "NAME", "the model's name in the API (default: its file's)", KIND_TEXT, FOR_SERVE | FOR_CHECK, AT(name), 0, 0},
	{"--count", NULL, "N", "how many (default 5)", KIND_COUNT, FOR_EXAMPLES, AT(count), 1, 1000},
	{"--listen", "MLCTL_LISTEN", "ADDRESS:PORT", "where to serve (default 127.0.0.1:8080; :8080 is every interface; unix:PATH)", KIND_TEXT, FOR_SERVE,
		AT(listen), 0, 0},
	{"--listen-fd", "MLCTL_LISTEN_FD", "N", "serve on an inherited listening socket, which other processes may share", KIND_COUNT, FOR_SERVE,
		AT(listen_fd), 0, 1 << 20},
	{"--admin", "MLCTL_ADMIN", "ADDRESS:PORT|unix:PATH", "the control listener (default: none)", KIND_TEXT, FOR_SERVE, AT(admin), 0, 0},
	{"--admin-key-file", "MLCTL_ADMIN_KEY_FILE", "FILE", "its key; needed unless it is a unix socket (or MLCTL_ADMIN_KEY)", KIND_TEXT, FOR_SERVE,
		AT(admin_key_file), 0, 0},
	{"--service", "MLCTL_SERVICE", "TEXT", "whose metrics these are (default: the model's name)", KIND_TEXT, FOR_SERVE, AT(service), 0, 0},
	{"--environment", "MLCTL_ENVIRONMENT", "TEXT", "the same: in which environment", KIND_TEXT, FOR_SERVE, AT(environment), 0, 0},
	{"--release", "MLCTL_RELEASE", "TEXT", "shown in metrics and /admin/info", KIND_TEXT, FOR_SERVE, AT(release), 0, 0},
	{"--revision", "MLCTL_REVISION", "TEXT", "the same, and in the header Mlctl-Revision of predictions", KIND_TEXT, FOR_SERVE, AT(revision), 0, 0},
	{"--image", "MLCTL_IMAGE", "DIGEST", "the image this was started from, shown in /admin/info", KIND_TEXT, FOR_SERVE, AT(image), 0, 0},
	{"--model-created", "MLCTL_MODEL_CREATED", "TIME", "when the model was made, as in 2026-11-21T10:02:11Z (default: its file's time)", KIND_TEXT,
		FOR_SERVE, AT(model_created), 0, 0},
	{"--threads", "MLCTL_THREADS", "N", "workers (default: the CPUs that the container may use)", KIND_COUNT, FOR_SERVE, AT(limits.threads), 1,
		HTTP_WORKERS_MAX},
	{"--timeout", "MLCTL_TIMEOUT", "TIME", "longest wait of a request (default 2s)", KIND_DURATION, FOR_SERVE | FOR_HEALTH, AT(limits.timeout_ms), 1,
		3600000},
	{"--drain", "MLCTL_DRAIN", "TIME", "longest drain after SIGTERM (default 10s)", KIND_DURATION, FOR_SERVE, AT(drain.longest_ms), 0, 3600000},
	{"--drain-delay", "MLCTL_DRAIN_DELAY", "TIME", "of these, how long it stays although nobody is connected (default 0s)", KIND_DURATION, FOR_SERVE,
		AT(drain.delay_ms), 0, 3600000},
	{"--drain-patience", "MLCTL_DRAIN_PATIENCE", "TIME", "how much later it ends, while requests still come (default 0s)", KIND_DURATION,
		FOR_SERVE, AT(drain.patience_ms), 0, 3600000},
	{"--body-max", "MLCTL_BODY_MAX", "BYTES", "largest body (default 16Mi)", KIND_BYTES, FOR_SERVE, AT(limits.body_bytes_max), 1024, 1 << 30},
	{"--connections", "MLCTL_CONNECTIONS", "N", "most connections (default 4096)", KIND_COUNT, FOR_SERVE, AT(limits.connections_max), 1, 1 << 20},
	{"--connections-per-client", "MLCTL_CONNECTIONS_PER_CLIENT", "N", "most connections of one address (default 2048)", KIND_COUNT, FOR_SERVE,
		AT(limits.per_client_max), 1, 1 << 20},
	{"--header-timeout", "MLCTL_HEADER_TIMEOUT", "TIME", "for a request's header to come (default 10s)", KIND_DURATION, FOR_SERVE,
		AT(limits.header_ms), 1, 3600000},
	{"--body-timeout", "MLCTL_BODY_TIMEOUT", "TIME", "for its body (default 30s)", KIND_DURATION, FOR_SERVE, AT(limits.body_ms), 1, 3600000},
	{"--idle-timeout", "MLCTL_IDLE_TIMEOUT", "TIME", "between two requests (default 75s)", KIND_DURATION, FOR_SERVE, AT(limits.idle_ms), 1, 86400000},
	{"--access-log", NULL, NULL, "a line per request on stdout", KIND_FLAG, FOR_SERVE, AT(has_access_log), 0, 0},
	{"--golden", "MLCTL_GOLDEN", "FILE", "example requests with expected answers, one JSON object a line", KIND_TEXT, FOR_CHECK, AT(golden), 0, 0},
	{"--json", NULL, NULL, "one JSON document on stdout", KIND_FLAG, FOR_CHECK, AT(is_json), 0, 0},
	{"--url", "MLCTL_HEALTH_URL", "URL", "default http://127.0.0.1:8080/v2/health/ready, with MLCTL_LISTEN's port", KIND_TEXT, FOR_HEALTH, AT(url), 0,
		0},
	{"--help", NULL, NULL, "this", KIND_FLAG, FOR_SERVE | FOR_CHECK | FOR_HEALTH | FOR_EXAMPLES, AT(is_help), 0, 0},
};
#define FLAGS (sizeof(flags) / sizeof(flags[0]))

/* connections_max and per_client_max are size_t, threads is int: the number is written in the member's own width. */
static void store_number(struct options *options, const struct flag *flag, int64_t number) {
	char *at = (char *) options + flag->at;
	if (flag->at == AT(limits.threads))
		options->limits.threads = (int) number;
	else
		memcpy(at, &number, sizeof(number));
}
_Static_assert(sizeof(size_t) == sizeof(int64_t), "the limits are written as 64 bits");

static int store(struct options *options, const struct flag *flag, const char *from, const char *value, struct err *err) {
	struct str text = str_of(value);
	int64_t number = 0;
	if (text.len > VALUE_BYTES_MAX)
		return err_set(err, ERR_USAGE, "%s: longer than %d bytes", from, VALUE_BYTES_MAX);
	switch (flag->kind) {
	case KIND_TEXT:
		memcpy((char *) options + flag->at, &value, sizeof(value));
		return 0;
	case KIND_FLAG:
		*((char *) options + flag->at) = true;
		return 0;
	case KIND_COUNT:
		if (num_int(text, flag->min, flag->max, &number) != 0)
			return err_set(err, ERR_USAGE, "%s %s: want a whole number from %lld to %lld", from, value, (long long) flag->min,
				(long long) flag->max);
		break;
	case KIND_DURATION:
		if (num_duration_ms(text, &number) != 0 || number < flag->min || number > flag->max)
			return err_set(err, ERR_USAGE, "%s %s: want a time with its unit, as in 500ms, 2s or 1m", from, value);
		break;
	case KIND_BYTES:
		if (num_bytes(text, &number) != 0 || number < flag->min || number > flag->max)
			return err_set(err, ERR_USAGE, "%s %s: want a size, as in 512Ki or 16Mi", from, value);
		break;
	}
	store_number(options, flag, number);
	return 0;
}

static const struct flag *find_flag(struct str name, int verb) {
	for (size_t i = 0; i < FLAGS; i++)
		if ((flags[i].verbs & verb) && str_is(name, flags[i].name))
			return &flags[i];
	return NULL;
}

static int unknown(const char *argument, int verb, struct err *err) {
	const char *names[FLAGS];
	size_t count = 0;
	for (size_t i = 0; i < FLAGS; i++)
		if (flags[i].verbs & verb)
			names[count++] = flags[i].name;
	const char *near = text_nearest(argument, names, count);
	err_set(err, ERR_USAGE, "%s: no such flag%s%s", argument, near ? "; did you mean " : "", near ? near : "");
	return err_fix(err, "mlctl-runner --help");
}

int options_read(struct options *options, int verb, char *const *argv, const struct env *env, struct err *err) {
	*options = (struct options) {.listen_fd = -1, .drain = {.longest_ms = 10000}, .count = 5, .limits = HTTP_LIMITS_DEFAULT, .service = "", .environment = "", .release = "", .revision = "", .image = ""};
	options->limits.threads = 0;
	for (size_t i = 0; i < FLAGS; i++) {
		const char *value = (flags[i].verbs & verb) && flags[i].variable ? env_get(env, flags[i].variable) : NULL;
		if (value && store(options, &flags[i], flags[i].variable, value, err) != 0)
			return -1;
	}
	for (; *argv; argv++) {
		struct str after;
		struct str name = str_cut(str_of(*argv), '=', &after);
		const struct flag *flag = find_flag(name, verb);
		if (!flag)
			return unknown(*argv, verb, err);
		const char *value = after.ptr;
		if (flag->kind == KIND_FLAG && value)
			return err_set(err, ERR_USAGE, "%s takes no value", flag->name);
		if (flag->kind != KIND_FLAG && !value && !*++argv)
			return err_set(err, ERR_USAGE, "%s: %s is missing", flag->name, flag->value);
		if (store(options, flag, flag->name, value || flag->kind == KIND_FLAG ? value ? value : "" : *argv, err) != 0)
			return -1;
	}
	return 0;
}

void options_help(FILE *out, int verb) {
	for (size_t i = 0; i < FLAGS; i++) {
		if (!(flags[i].verbs & verb))
			continue;
		char left[64];
		snprintf(left, sizeof(left), "%s %s", flags[i].name, flags[i].value ? flags[i].value : "");
		fprintf(out, "  %-32s %s%s%s%s\n", left, flags[i].help, flags[i].variable ? " [" : "", flags[i].variable ? flags[i].variable : "",
			flags[i].variable ? "]" : "");
	}
}
