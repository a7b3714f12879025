/* Why a container ended: memory, a signal, an exit code, and the line of its log that says why. */
#include "kube/diagnose_case.h"

#include <stdio.h>

#define LOG_LINES_MAX 400
#define LINE_BYTES_MAX 220
#define CERTAIN_S 10 /* so soon after its start a program has said no more than that it can't begin */
#define CERTAIN_REPEATS 2

/* The value of the first of some members that is a text: {"level":"error","msg":"..."}. */
static bool json_line(struct str line, char *out, size_t size) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	if (line.len < 2 || line.ptr[0] != '{' || line.ptr[line.len - 1] != '}' ||
		json_read("log", line, (struct value_limits){64 * 1024, 1000, 16}, &document, &err) != 0)
		return false;
	static const char *const names[] = {"message", "msg", "error", "err", "exception", "detail"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct str text = diagnose_str(document->root, names[i]);
		if (text.len) {
			snprintf(out, size, "%.*s", STR_ARGS(diagnose_quote(text, LINE_BYTES_MAX)));
			return true;
		}
	}
	return false;
}

/* How much a line tells of the end: a panic's headline more than an error, that more than the last words. Of equals the last counts, but
 * for a panic, whose first line is the one: what follows is where it happened. */
static int weight(struct str line, bool is_in_traceback) {
	if (!line.len || line.ptr[0] == ' ' || line.ptr[0] == '\t' || str_starts(line, "unable to retrieve container logs"))
		return 0;
	if (str_starts(line, "panic: ") || str_starts(line, "fatal error: ") || str_starts(line, "terminate called") ||
		(str_starts(line, "thread '") && diagnose_has(line, "panicked at")))
		return 5;
	if (str_starts(line, "Traceback ") || str_starts(line, "goroutine ") || str_starts(line, "fix: ") || str_starts(line, "[signal ") ||
		str_starts(line, "exit status") || str_starts(line, "Node.js v") || str_starts(line, "note: run with"))
		return 0;
	if (is_in_traceback)
		return 4;
	if (str_starts(line, "error: ") || str_starts(line, "Caused by: ") || str_starts(line, "Exception in thread") ||
		diagnose_has(line, "Error: |Exception: "))
		return 4;
	if (diagnose_has(line, "fatal|error|panic|exception|cannot|can't|could not|failed|denied|refused|no such|not found|killed|out of "
			       "memory|invalid|in use"))
		return 3;
	return 1;
}

bool diagnose_log_line(struct str log, char *out, size_t size) {
	int best = 0, lines = 0;
	bool is_in_traceback = false;
	struct str found = STR(""), after = STR("");
	*out = '\0';
	for (struct str rest = log; rest.ptr && lines < LOG_LINES_MAX; lines++) {
		struct str line = str_cut(rest, '\n', &rest);
		while (line.len && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' '))
			line.len--;
		bool is_headline = found.ptr && best == 5 && !after.len && str_starts(found, "thread '") && line.len;
		if (is_headline && found.ptr[found.len - 1] == ':')
			after = line; /* since Rust 1.73 the message stands in the next line */
		int w = weight(line, is_in_traceback);
		if (str_starts(line, "Traceback "))
			is_in_traceback = true;
		else if (line.len && line.ptr[0] != ' ' && line.ptr[0] != '\t')
			is_in_traceback = false;
		if (w > best || (w == best && w > 0 && w < 5)) {
			best = w;
			found = line;
			after = STR("");
		}
	}
	if (!best)
		return false;
	if (json_line(found, out, size))
		return true;
	snprintf(out, size, "%.*s%s%.*s", STR_ARGS(diagnose_quote(found, LINE_BYTES_MAX)), after.len ? " " : "",
		STR_ARGS(diagnose_quote(after, 100)));
	return true;
}

/* An exit code in words; NULL when the number says nothing more. */
static const char *exit_words(int64_t code) {
	static const struct {
		int code;
		const char *words;
	} known[] = {
		{0, "its command ends by itself; a server has to keep running"},
		{125, "the container runtime failed"},
		{126, "its command can't be executed: permission, or not a program"},
		{127, "command not found: its command, or one that its script calls, is not in the image"},
		{128, "it could not be started"},
		{129, "SIGHUP"},
		{130, "SIGINT"},
		{132, "SIGILL, an instruction that this processor has not: built for another CPU"},
		{133, "SIGTRAP"},
		{134, "SIGABRT, it aborted itself"},
		{135, "SIGBUS"},
		{136, "SIGFPE, a division by zero"},
		{137, "SIGKILL, killed from outside: by a probe that failed, or for memory"},
		{139, "SIGSEGV, it crashed on bad memory"},
		{143, "SIGTERM, it was asked to stop"},
		{159, "SIGSYS, a system call that seccomp forbids"},
		{255, "an error that it gives no number"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].code == code)
			return known[i].words;
	return NULL;
}

static int64_t span(const struct diagnose_case *c, const struct value *ended) {
	int64_t from = diagnose_time(c->object, "status.startTime"), to = diagnose_time(ended, "finishedAt");
	return from >= 0 && to > from ? to - from : 0;
}

/* "3x in 11 s" */
static void times(const struct diagnose_case *c, const struct value *ended, int64_t failures, char *out, size_t size) {
	int64_t seconds = span(c, ended);
	if (failures > 1 && seconds > 0 && seconds < 3600 && c->world->restarts_before == 0)
		snprintf(out, size, "%lldx in %lld s", (long long) failures, (long long) seconds);
	else if (failures > 1)
		snprintf(out, size, "%lldx", (long long) failures);
	else
		snprintf(out, size, "once");
}

static enum diagnosis_state by_repeats(int64_t failures) {
	return failures >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING;
}

/* What a program says when the image or its arguments are wrong, which no second start mends: the kubelet waits 10 s before the third, so that twice is
 * enough where it can't be anything from outside. A server that isn't reached, a file that somebody may still bring, a lock: three times. */
static bool is_certain(int64_t code, const char *line, int64_t lived_s) {
	if (lived_s > CERTAIN_S)
		return false;
	if (code == 126 || code == 127 || code == 132)
		return true;
	if ((code == 2 || code == 4) && strncmp(line, "error: ", 7) == 0) /* mlctl's runner: usage, and a model that it can't load */
		return true;
	return diagnose_has(str_of(line), "modulenotfounderror|no module named|cannot import name|syntaxerror|indentationerror|nameerror: |unrecognized "
					  "arguments|unknown flag|no such flag|unknown option|unrecognized option|invalid option|unknown "
					  "command|flag provided but not defined|error while loading shared libraries|cannot open shared "
					  "object|symbol lookup error|undefined symbol|version `glibc|classnotfoundexception|noclassdeffounderror|could "
					  "not find or load main class|cannot find module");
}

static void mebibytes(int64_t bytes, char *out, size_t size) {
	snprintf(out, size, "%lldMi", (long long) (bytes / (1024 * 1024) + (bytes % (1024 * 1024) != 0)));
}

/* What would be enough: what build measured and a third more, else twice the limit; in steps that a person would write. */
static void enough_memory(const struct diagnose_case *c, struct str limit, char *out, size_t size) {
	int64_t bytes = 0, step = (int64_t) 64 * 1024 * 1024;
	if (c->world->memory_needed_bytes > 0 && c->world->memory_needed_bytes < INT64_MAX / 4)
		bytes = c->world->memory_needed_bytes / 3 * 4;
	int64_t now = 0;
	if (num_bytes(limit, &now) == 0 && now > 0 && now < INT64_MAX / 4 && bytes <= now)
		bytes = now * 2;
	if (!bytes)
		bytes = 4 * step;
	bytes = (bytes + step - 1) / step * step;
	if (bytes % (1024 * 1024 * 1024) == 0)
		snprintf(out, size, "%lldGi", (long long) (bytes / (1024 * 1024 * 1024)));
	else
		mebibytes(bytes, out, size);
}

static void out_of_memory(
	struct diagnose_case *c, const struct value *spec, const struct value *ended, int64_t failures, const char *what) {
	struct str limit = diagnose_str(spec, "resources.limits.memory"), container = diagnose_str(spec, "name");
	char repeats[48], needed[80] = "", enough[32], size[32];
	if (diagnose_memory_is_tiny(c, spec))
		return;
	times(c, ended, failures, repeats, sizeof(repeats));
	if (c->world->memory_needed_bytes > 0) {
		mebibytes(c->world->memory_needed_bytes, size, sizeof(size));
		snprintf(needed, sizeof(needed), ", the model needs about %s (measured by build)", size);
	}
	enough_memory(c, limit, enough, sizeof(enough));
	/* Less than it is known to need: chance has no part in it. */
	int64_t allowed = 0;
	bool is_too_little = num_bytes(limit, &allowed) == 0 && allowed > 0 && allowed < c->world->memory_needed_bytes && failures >= CERTAIN_REPEATS;
	struct str shown = limit.len ? limit : STR("none (the node itself was short of memory)");
	if (diagnose_say(c, is_too_little ? DIAGNOSIS_STUCK : by_repeats(failures), "out_of_memory", "container %.*s: %s %s; limit %.*s%s", STR_ARGS(container), what,
		    repeats, STR_ARGS(shown), needed))
		diagnose_fix_resource(c, container, "memory", enough, "");
}

/* What the log says is wrong, where it is something with a name and a remedy of its own. */
static const struct told {
	const char *cause, *words, *fix;
	bool is_hopeless;
} told[] = {
	{"wrong_architecture", "exec format error", "build the image for the node's architecture (kubectl get nodes -L kubernetes.io/arch)",
		true},
	{"gpu_memory", "cuda out of memory|cuda error: out of memory|cudaerrormemoryallocation|cuda_error_out_of_memory|hip out of memory",
		"a GPU with more memory, or a smaller batch", false},
	{"out_of_memory", "memoryerror|std::bad_alloc|cannot allocate memory|outofmemoryerror|out of memory|javascript heap", "", false},
	{"port_in_use", "address already in use|eaddrinuse", "two containers of the pod listen on one port: serve.port", false},
	{"port_privileged", "bind: permission denied|bind to port|binding to port", "serve.port: 8080", false},
	{"permission_denied", "permission denied|eacces|errno 13|operation not permitted",
		"runAsUser and fsGroup in .mlctl/templates/kubernetes/deployment.yaml: those that own what it opens; or an emptyDir where it writes",
		false},
	{"read_only_file_system", "read-only file system|erofs|errno 30",
		"write below an emptyDir (volumeMounts in .mlctl/templates/kubernetes/deployment.yaml), as /tmp", false},
};

static const struct told *find_told(struct str line) {
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (diagnose_has(line, told[i].words))
			return &told[i];
	return NULL;
}

static void fix_crash(struct diagnose_case *c, const struct value *status, int64_t code, const char *line, const struct told *known) {
	const char *settings = diagnose_settings(c);
	bool is_runner = strncmp(line, "error: ", 7) == 0;
	if (known && str_starts(str_of(known->fix), "serve.port: "))
		diagnose_fix(c, "%s: %s", settings, known->fix);
	else if (known && known->fix[0])
		diagnose_fix(c, "%s", known->fix);
	else if (code == 4 && is_runner)
		diagnose_fix(c, "mlctl build   (it loads and tests the model as the pod does)");
	else if (code == 2 && is_runner)
		diagnose_fix(c, "mlctl validate   (what is given to the runner comes from %s)", settings);
	else if (code == 126)
		diagnose_fix(c, "RUN chmod 755 on the image's ENTRYPOINT");
	else if (code == 127)
		diagnose_fix(c, "correct the container's command, or the image's ENTRYPOINT");
	else
		diagnose_fix(c, "kubectl -n %.*s logs %.*s -c %.*s%s", STR_ARGS(c->space), STR_ARGS(c->name),
			STR_ARGS(diagnose_str(status, "name")), value_find(status, "state.running") ? " --previous" : "");
}

static void crashed(
	struct diagnose_case *c, const struct value *spec, const struct value *status, const struct value *ended, int64_t failures) {
	struct str container = diagnose_str(status, "name"), last = diagnose_str(ended, "message");
	char line[LINE_BYTES_MAX + 128] = "", repeats[48];
	if (c->world->log && *c->world->log)
		diagnose_log_line(str_of(c->world->log), line, sizeof(line));
	if (!line[0] && last.len)
		diagnose_log_line(last, line, sizeof(line)); /* terminationMessagePolicy: FallbackToLogsOnError */
	int64_t code = diagnose_int(ended, "exitCode", -1);
	const char *words = exit_words(code);
	const struct told *known = line[0] ? find_told(str_of(line)) : NULL;
	if (known && strcmp(known->cause, "out_of_memory") == 0) {
		out_of_memory(c, spec, ended, failures, "its own allocation of memory fails");
		return;
	}
	times(c, ended, failures, repeats, sizeof(repeats));
	const char *cause = known	  ? known->cause
			    : code == 0	  ? "exits_at_once"
			    : code == 127 ? "command_not_found"
			    : code == 126 ? "not_executable"
					  : "crash_loop";
	char on[48] = "";
	struct str architecture =
		known && strcmp(known->cause, "wrong_architecture") == 0 ? diagnose_quote(diagnose_architecture(c), 20) : STR("");
	if (architecture.len)
		snprintf(on, sizeof(on), "; the node is %.*s", STR_ARGS(architecture));
	int64_t lived_s = diagnose_time(ended, "finishedAt") - diagnose_time(ended, "startedAt");
	bool is_hopeless = (known && known->is_hopeless) || (failures >= CERTAIN_REPEATS && is_certain(code, line, lived_s));
	bool is_said = diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : by_repeats(failures), cause,
		"container %.*s: exit %lld%s%s%s, %s%s%s%s%s", STR_ARGS(container), (long long) code, words ? " (" : "", words ? words : "",
		words ? ")" : "", repeats, line[0] ? "; it says: \"" : "", line, line[0] ? "\"" : "", on);
	if (!is_said)
		return;
	fix_crash(c, status, code, line, known);
	if (!line[0] && !c->world->log) {
		c->out->wants_log = true;
		/* While it runs again, or waits to, the log of the dead instance is the one that tells. */
		c->out->is_previous = value_find(status, "state.running") != NULL;
		snprintf(c->out->container, sizeof(c->out->container), "%.*s", STR_ARGS(container));
	}
}

void diagnose_crash(
	struct diagnose_case *c, const struct value *spec, const struct value *status, const struct value *ended, int64_t failures) {
	struct str reason = diagnose_str(ended, "reason"), message = diagnose_str(ended, "message"),
		   container = diagnose_str(status, "name");
	int64_t code = diagnose_int(ended, "exitCode", -1);
	bool is_init_killed = diagnose_has(message, "OOM-killed|memory limit too low");
	if (str_is(reason, "OOMKilled") || is_init_killed) {
		out_of_memory(c, spec, ended, failures, "OOMKilled");
		return;
	}
	if (str_is(reason, "StartError") || str_is(reason, "ContainerCannotRun") || str_is(reason, "ContainerStatusUnknown")) {
		if (!str_is(reason, "ContainerStatusUnknown"))
			diagnose_start(c, spec, status, message);
		return;
	}
	struct diagnose_event hook;
	const struct diagnose_wanted wanted = {
		.reasons = "FailedPostStartHook", .container = container, .since_s = diagnose_time(ended, "startedAt") - 1};
	if (diagnose_event_find(c, &wanted, &hook)) {
		if (diagnose_say(c, by_repeats(failures), "hook_failed",
			    "container %.*s: its postStart hook fails, so it is killed again: %.*s", STR_ARGS(container),
			    STR_ARGS(diagnose_quote(hook.message, DIAGNOSE_QUOTE))))
			diagnose_fix(c, "correct lifecycle.postStart of container %.*s", STR_ARGS(container));
		return;
	}
	if (diagnose_killed_by_probe(c, spec, status, ended, failures))
		return;
	if (code == 137 && diagnose_str(spec, "resources.limits.memory").len) {
		/* Under a shell the killed process was a child, and the container's own reason is only "Error". */
		out_of_memory(c, spec, ended, failures, "killed by SIGKILL (exit 137), which memory limits do,");
		return;
	}
	crashed(c, spec, status, ended, failures);
}
