/* A container that runs and is not ready: which probe, what it asks, what comes back, and whether that can be a slow start. */
#include "kube/diagnose_case.h"

#include <stdio.h>

#define LOADED_S 4
#define DELAY_LONG_S 10
#define BROKEN_S 8
#define SLOW_START_S 30 /* without a startup probe, a server that does not listen yet may be one that loads */

enum probe_kind { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_KINDS };
static const char *const kind_names[] = {"startup", "readiness", "liveness"},
			 *const spec_names[] = {"startupProbe", "readinessProbe", "livenessProbe"},
			 *const event_words[] = {"startup probe ", "readiness probe ", "liveness probe "};

/* Whether an answer can be that of a server which loads. */
enum answer { ANSWER_NONE, ANSWER_WRONG, ANSWER_BROKEN, ANSWER_BUSY, ANSWER_REFUSED, ANSWER_SILENT, ANSWER_TLS, ANSWER_COMMAND };

struct failing {
	enum probe_kind kind;
	const struct value *probe;
	struct diagnose_event event;
	enum answer answer;
	char asks[160], says[200];
	int64_t port;
	bool is_port_declared;
};

static int64_t port_of(const struct value *spec, const struct value *probe, bool *is_declared) {
	static const char *const paths[] = {"httpGet.port", "tcpSocket.port", "grpc.port"};
	int64_t port = 0, declared = 0;
	struct str text = STR("");
	for (size_t i = 0; !text.len && i < 3; i++)
		text = diagnose_str(probe, paths[i]);
	best_effort(num_int(text, 1, 65535, &port)); /* else it is a name */
	*is_declared = false;
	value_each(item, value_get(spec, "ports")) {
		declared++;
		int64_t number = diagnose_int(item, "containerPort", 0);
		if (port ? number == port : text.len && str_equal(diagnose_str(item, "name"), text)) {
			port = number;
			*is_declared = true;
		}
	}
	*is_declared = *is_declared || !declared; /* naming ports is optional */
	return port;
}

static void asks(struct failing *f) {
	const struct value *http = value_get(f->probe, "httpGet"), *command = value_find(f->probe, "exec.command");
	if (http) {
		struct str path = diagnose_str(http, "path"), port = diagnose_quote(diagnose_str(http, "port"), 20);
		char number[24];
		snprintf(number, sizeof(number), "%lld", (long long) f->port);
		snprintf(f->asks, sizeof(f->asks), "GET :%.*s%.*s", STR_ARGS(f->port ? str_of(number) : port),
			STR_ARGS(diagnose_quote(path.len ? path : STR("/"), 100)));
	} else if (command) {
		const struct value *first = value_at(command, 0);
		struct str name = first && first->kind == VALUE_STRING ? diagnose_quote(first->text, 80) : STR("");
		snprintf(f->asks, sizeof(f->asks), "command %.*s%s", STR_ARGS(name), command->count > 1 ? " ..." : "");
	} else
		snprintf(f->asks, sizeof(f->asks), "%s :%lld", value_get(f->probe, "grpc") ? "gRPC" : "TCP", (long long) f->port);
}

static void answers(struct failing *f) {
	struct str message = f->event.message, code = diagnose_between(message, "statuscode: ", ""), rest;
	int64_t timeout = diagnose_int(f->probe, "timeoutSeconds", 1);
	code = str_cut(str_trim(code), ' ', &rest);
	if (code.len) {
		int64_t number = 0;
		best_effort(num_int(code, 100, 999, &number)); /* 0: counts as busy */
		/* TensorFlow Serving, Triton, MLServer, TorchServe: a model that is not loaded yet is none. */
		bool is_loading = (number == 404 || number == 400) && diagnose_has(diagnose_str(f->probe, "httpGet.path"), "/models/");
		bool is_wrong = !is_loading && (number == 404 || number == 401 || number == 403 || number == 405 || number == 410);
		f->answer = is_wrong ? ANSWER_WRONG : number == 500 || number == 501 ? ANSWER_BROKEN : ANSWER_BUSY;
		snprintf(f->says, sizeof(f->says), "HTTP %.*s%s", STR_ARGS(diagnose_quote(code, 8)),
			is_loading			 ? ", as of a model that is not loaded yet or not there"
			: number == 404			 ? ", the path is not served"
			: number == 401 || number == 403 ? ", it asks for credentials"
							 : "");
	} else if (diagnose_has(message, "find port|valid port number|strconv.Atoi: parsing")) {
		f->answer = ANSWER_WRONG;
		snprintf(f->says, sizeof(f->says), "no port of the container has that name");
	} else if (diagnose_has(message, "HTTP response to HTTPS client|malformed HTTP|tls: |x509")) {
		f->answer = ANSWER_TLS;
		snprintf(f->says, sizeof(f->says), "HTTP is taken for HTTPS, or the other way round");
	} else if (diagnose_has(message, "connection refused")) {
		f->answer = ANSWER_REFUSED;
		snprintf(f->says, sizeof(f->says), "connection refused, nothing listens there%s",
			f->is_port_declared ? "" : " (no port of the container has this number)");
	} else if (diagnose_has(message, "deadline exceeded|timeout|timed out|awaiting headers")) {
		f->answer = ANSWER_SILENT;
		snprintf(f->says, sizeof(f->says), "no answer within %lld s", (long long) timeout);
	} else if (diagnose_has(message, "executable file not found|no such file or directory") && value_get(f->probe, "exec")) {
		f->answer = ANSWER_WRONG;
		snprintf(f->says, sizeof(f->says), "the image has no such command");
	} else {
		f->answer = value_get(f->probe, "exec") ? ANSWER_COMMAND : ANSWER_BUSY;
		struct str said = diagnose_between(message, "probe failed: ", "");
		if (!said.len)
			said = diagnose_between(message, "probe errored: ", "");
		snprintf(f->says, sizeof(f->says), "%.*s", STR_ARGS(diagnose_quote(said.len ? said : message, 120)));
	}
}

static bool find_failing(struct diagnose_case *c, const struct value *spec, struct str container, enum probe_kind kind, int64_t since_s,
	struct failing *out) {
	*out = (struct failing){.kind = kind, .probe = value_get(spec, spec_names[kind])};
	const struct diagnose_wanted wanted = {
		.reasons = "Unhealthy|ProbeError", .words = event_words[kind], .container = container, .since_s = since_s};
	if (!out->probe || !diagnose_event_find(c, &wanted, &out->event))
		return false;
	out->port = port_of(spec, out->probe, &out->is_port_declared);
	asks(out);
	answers(out);
	return true;
}

/* With a tenth of a processor even a small server answers late, and loads for minutes. */
static bool is_starved(const struct failing *f, const struct value *spec) {
	struct str cpu = diagnose_str(spec, "resources.limits.cpu");
	int64_t millicores = 0;
	bool is_slow =
		f->answer == ANSWER_SILENT || (f->kind == PROBE_STARTUP && (f->answer == ANSWER_REFUSED || f->answer == ANSWER_BUSY));
	return is_slow && cpu.len && num_millicores(cpu, &millicores) == 0 && millicores <= 100;
}

static void fix_starved(struct diagnose_case *c, const struct value *spec) {
	char note[80];
	struct str limit = diagnose_quote(diagnose_str(spec, "resources.limits.cpu"), 20);
	snprintf(note, sizeof(note), "   (the limit is %.*s)", STR_ARGS(limit));
	diagnose_fix_resource(c, diagnose_str(spec, "name"), "cpu", "500m", note);
}

static void fix(struct diagnose_case *c, const struct failing *f, const struct value *spec) {
	const char *settings = diagnose_settings(c);
	bool may_load = (f->answer == ANSWER_REFUSED && f->is_port_declared) || f->answer == ANSWER_SILENT || f->answer == ANSWER_BUSY;
	if (is_starved(f, spec))
		fix_starved(c, spec);
	else if (f->kind == PROBE_LIVENESS && may_load && !value_get(spec, "startupProbe"))
		diagnose_fix(c, "%s: probes.startup: 5m   (a startup probe keeps liveness away while it loads)", settings);
	else if (f->kind == PROBE_STARTUP && may_load)
		diagnose_fix(c, "%s: probes.startup: 5m if it only needs longer to load; else serve.port: the port in its log", settings);
	else if (f->answer == ANSWER_WRONG && value_get(f->probe, "httpGet"))
		diagnose_fix(
			c, "correct the %sProbe's path in .mlctl/templates/kubernetes/deployment.yaml, or serve %s", kind_names[f->kind], f->asks);
	else if (f->answer == ANSWER_REFUSED)
		diagnose_fix(c, "%s: serve.port: the port that it listens on (its log tells: kubectl -n %.*s logs %.*s)", settings,
			STR_ARGS(c->space), STR_ARGS(c->name));
	else if (f->answer == ANSWER_TLS)
		diagnose_fix(c, "httpGet.scheme of the %sProbe in .mlctl/templates/kubernetes/deployment.yaml", kind_names[f->kind]);
	else if (f->answer == ANSWER_COMMAND || f->answer == ANSWER_WRONG)
		diagnose_fix(c, "correct the %sProbe's command in .mlctl/templates/kubernetes/deployment.yaml", kind_names[f->kind]);
	else if (f->kind == PROBE_STARTUP)
		diagnose_fix(c, "%s: probes.startup: 5m   (if it only needs longer to load)", settings);
	else if (f->answer == ANSWER_SILENT)
		diagnose_fix(c, "%s: resources.cpu: 1   (or a higher timeoutSeconds of the %sProbe)", settings, kind_names[f->kind]);
	else
		diagnose_fix(c, "kubectl -n %.*s logs %.*s -c %.*s", STR_ARGS(c->space), STR_ARGS(c->name),
			STR_ARGS(diagnose_str(spec, "name")));
}

static void say(struct diagnose_case *c, const struct failing *f, const struct value *spec, enum diagnosis_state state, int64_t kills) {
	char cause[40], killed[64] = "", when[80] = "";
	int64_t seconds = f->event.last_s - f->event.first_s;
	snprintf(cause, sizeof(cause), "%s_probe", kind_names[f->kind]);
	if (kills > 0)
		snprintf(killed, sizeof(killed), ", so it was killed %lldx", (long long) kills);
	if (f->event.count > 1 && seconds > 0)
		snprintf(when, sizeof(when), " (%lldx in %lld s)", (long long) f->event.count, (long long) seconds);
	else
		snprintf(when, sizeof(when), " (%lldx)", (long long) f->event.count);
	struct str cpu = is_starved(f, spec) ? diagnose_str(spec, "resources.limits.cpu") : STR("");
	if (diagnose_say(c, state, cause, "container %.*s: %s probe %s: %s%s%s%s%.*s", STR_ARGS(diagnose_str(spec, "name")),
		    kind_names[f->kind], f->asks, f->says, when, killed, cpu.len ? "; its cpu limit is " : "", STR_ARGS(cpu)))
		fix(c, f, spec);
}

/* The kubelet writes 25 events of a pod and then one every five minutes, so that Killing may be missing: a probe that failed as often as it
 * may, until a life that ended by a signal or in peace, is reason enough. */
static bool is_likely(
	struct diagnose_case *c, const struct value *spec, struct str container, enum probe_kind kind, const struct value *ended) {
	struct failing f;
	int64_t code = diagnose_int(ended, "exitCode", -1), started_s = diagnose_time(ended, "startedAt"),
		lived_s = diagnose_time(ended, "finishedAt") - started_s;
	if ((code != 137 && code != 143 && code != 0) || !find_failing(c, spec, container, kind, started_s, &f))
		return false;
	int64_t threshold = diagnose_int(f.probe, "failureThreshold", 3), period = diagnose_int(f.probe, "periodSeconds", 10);
	return f.event.count >= DIAGNOSIS_REPEATS && threshold > 0 && threshold < 100000 && period > 0 && period < 100000 &&
	       lived_s >= (threshold - 1) * period;
}

/* Killing says why it was killed: "Container x failed liveness probe, will be restarted". A startup probe gives up only after all of its
 * tries, so one kill is enough of a repeat; what was once alive is given a second life first. */
bool diagnose_killed_by_probe(
	struct diagnose_case *c, const struct value *spec, const struct value *status, const struct value *ended, int64_t failures) {
	struct str container = diagnose_str(status, "name");
	int64_t since_s = diagnose_time(ended, "startedAt") - 1;
	for (int kind = PROBE_STARTUP; kind < PROBE_KINDS; kind += PROBE_LIVENESS) {
		struct diagnose_event killing;
		struct failing f;
		const struct diagnose_wanted wanted = {
			.reasons = "Killing", .words = event_words[kind], .container = container, .since_s = since_s};
		const struct diagnose_wanted bare = {.reasons = "Killing",
			.words = kind == PROBE_STARTUP ? "failed startup probe" : "failed liveness probe",
			.container = container,
			.since_s = since_s};
		bool is_told = diagnose_event_find(c, &wanted, &killing) || diagnose_event_find(c, &bare, &killing);
		if (!is_told && !is_likely(c, spec, container, kind, ended))
			continue;
		if (!find_failing(c, spec, container, kind, 0, &f)) {
			diagnose_say(c, failures >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING,
				kind == PROBE_STARTUP ? "startup_probe" : "liveness_probe",
				"container %.*s: killed %lldx because its %s probe failed", STR_ARGS(container), (long long) failures,
				kind_names[kind]);
			return true;
		}
		int64_t enough = kind == PROBE_STARTUP || f.answer == ANSWER_WRONG ? 1 : 2;
		say(c, &f, spec, failures >= enough && f.event.count >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING, failures);
		return true;
	}
	return false;
}

/* Was the pod ready before? Its condition changed after it had started. */
static bool was_ready(const struct diagnose_case *c) {
	int64_t changed = diagnose_time(diagnose_condition(c->object, "Ready"), "lastTransitionTime");
	int64_t ready_to_start = diagnose_time(diagnose_condition(c->object, "PodScheduled"), "lastTransitionTime");
	int64_t started = diagnose_time(c->object, "status.startTime");
	int64_t first = ready_to_start > started ? ready_to_start : started;
	return first >= 0 && changed > first + 2;
}

static enum diagnosis_state judge(const struct diagnose_case *c, const struct failing *f, const struct value *spec, int64_t running_s) {
	int64_t failing_s = diagnose_age(c, f->event.first_s);
	struct str startup_path = diagnose_str(spec, "startupProbe.httpGet.path"), path = diagnose_str(f->probe, "httpGet.path");
	bool has_loaded = startup_path.len && str_equal(startup_path, path), is_repeated = f->event.count >= DIAGNOSIS_REPEATS;
	if (!is_repeated)
		return DIAGNOSIS_WAITING;
	if (f->kind == PROBE_STARTUP) /* within its budget a slow load is no failure; but a server that answers 404 listens already */
		return f->answer == ANSWER_WRONG || f->answer == ANSWER_TLS || (f->answer == ANSWER_REFUSED && !f->is_port_declared)
			       ? DIAGNOSIS_STUCK
			       : DIAGNOSIS_WAITING;
	if (was_ready(c)) /* it flaps: a dependency that is away for a moment */
		return failing_s >= SLOW_START_S ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING;
	if (f->answer == ANSWER_WRONG || f->answer == ANSWER_TLS || (f->answer == ANSWER_REFUSED && !f->is_port_declared))
		return DIAGNOSIS_STUCK;
	int64_t patience_s = has_loaded			  ? LOADED_S
			     : f->answer == ANSWER_BROKEN ? BROKEN_S
							  : SLOW_START_S; /* the startup probe asked the same, and was content */
	return (has_loaded ? failing_s : running_s) >= patience_s ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING;
}

void diagnose_probe(struct diagnose_case *c, const struct value *spec, const struct value *status) {
	struct str container = diagnose_str(status, "name");
	int64_t started_s = diagnose_time(status, "state.running.startedAt"), running_s = diagnose_age(c, started_s);
	const struct value *started = value_get(status, "started");
	bool is_starting = value_get(spec, "startupProbe") && started && started->kind == VALUE_BOOL && !started->boolean;
	enum probe_kind kind = is_starting ? PROBE_STARTUP : PROBE_READINESS;
	struct failing f;
	if (diagnose_bool(status, "ready")) {
		if (find_failing(c, spec, container, PROBE_LIVENESS, c->world->now_s - 5, &f) && f.event.count > 1)
			say(c, &f, spec, DIAGNOSIS_WAITING, 0);
		return;
	}
	if (find_failing(c, spec, container, kind, started_s, &f)) {
		say(c, &f, spec, judge(c, &f, spec, running_s), 0);
		return;
	}
	int64_t delay_s = diagnose_int(value_get(spec, spec_names[kind]), "initialDelaySeconds", 0);
	if (delay_s >= DELAY_LONG_S && running_s >= LOADED_S && running_s <= delay_s &&
		diagnose_say(c, DIAGNOSIS_WAITING, "probe_delay",
			"container %.*s: runs for %lld s; its %s probe begins after initialDelaySeconds %lld", STR_ARGS(container),
			(long long) running_s, kind_names[kind], (long long) delay_s))
		diagnose_fix(c, "a lower initialDelaySeconds of the %sProbe in .mlctl/templates/kubernetes/deployment.yaml", kind_names[kind]);
	if (running_s >= SLOW_START_S && value_get(spec, spec_names[kind]))
		diagnose_say(c, DIAGNOSIS_WAITING, "not_ready",
			"container %.*s: runs for %lld s and is not ready; its %s probe has not said why", STR_ARGS(container),
			(long long) running_s, kind_names[kind]);
}
