/* What is asked of the cluster to tell why a pod is not ready: no more than it takes, no more often than it changes, and less where we may not look. */
#include "fakes/fake_kube.h"
#include "scratch.h"
#include "target/kubernetes_cause.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct scene {
	struct fake_clock clock;
	struct fake_http fake;
	struct fake_kube server;
	struct redactor *redact;
	char *folder, *listed, *items[2];
	struct env env;
	struct kube *kube;
	struct causes *causes;
	const char *log; /* what a container said */
};

static void pod_says(void *self, const char *pod, const struct http_request *request, struct http_answer *answer) {
	struct scene *s = self;
	(void) pod;
	(void) request;
	fake_answer(answer, 200, "", s->log);
}

/* The settings: only these two have a line. */
static bool line_of(void *self, const char *path, char out[TARGET_WHERE_MAX]) {
	(void) self;
	bool is_known = strcmp(path, "resources.memory") == 0 || strcmp(path, "scheduling") == 0;
	snprintf(out, TARGET_WHERE_MAX, "mlctl.yaml:%d", path[0] == 'r' ? 21 : 30);
	return is_known;
}

static void begin(struct scene *s) {
	*s = (struct scene){.folder = scratch_new(), .redact = redactor_new(), .log = "ValueError: no such column\n"};
	static const char config[] = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: ml}}]\n"
				     "clusters: [{name: c, cluster: {server: '" FAKE_KUBE_SERVER "'}}]\nusers: [{name: u, user: {token: the-token}}]\n";
	struct err err = {0};
	fake_clock_init(&s->clock);
	fake_http_handler(&s->fake, &s->clock, fake_kube_handle, &s->server);
	scratch_write(s->folder, "kc", config, strlen(config));
	s->items[0] = s->listed = mem_format("KUBECONFIG=%s/kc", s->folder);
	s->env.items = s->items;
	const struct kube_options options = {.http = &s->fake.http, .clock = &s->clock.clock, .env = &s->env, .redact = s->redact};
	if (kube_open(&options, &s->kube, &err) != 0)
		fail_msg("%s", err.message);
	s->causes = causes_new(&(struct cause_options){.kube = s->kube,
		.clock = &s->clock.clock,
		.labels = "mlctl.dev/service=fraud",
		.settings_file = "mlctl.yaml",
		.settings_where = line_of});
	s->server.pod = pod_says;
	s->server.pod_self = s;
	fake_kube_put(&s->server, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"},\"status\":{\"allocatable\":{\"cpu\":\"4\"}}}");
}

static void end(struct scene *s) {
	causes_close(s->causes);
	kube_close(s->kube);
	fake_http_end(&s->fake);
	fake_kube_clear(&s->server);
	redactor_free(s->redact);
	scratch_free(s->folder);
	free(s->listed);
}
#define AUTO_SCENE __attribute__((cleanup(end)))

static size_t times(const struct scene *s, const char *what) {
	size_t count = 0;
	for (size_t i = 0; i < s->server.log.count; i++)
		count += strncmp(s->server.log.items[i], what, strlen(what)) == 0;
	return count;
}

/* Containers and status of the pod, as JSON's members. */
static void ask(struct scene *s, const char *spec, const char *status, struct diagnosis *out) {
	AUTO_FREE char *text = mem_format("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"fraud-1\",\"namespace\":\"ml\",\"uid\":\"u1\",\"creationTimestamp\":"
					  "\"2026-11-21T10:00:00Z\"},\"spec\":{%s},\"status\":{%s}}",
		spec, status);
	AUTO_DOCUMENT struct document *pod = NULL;
	struct err err = {0};
	if (json_read("pod", str_of(text), VALUE_LIMITS_WIRE, &pod, &err) != 0)
		fail_msg("%s", err.message);
	if (!fake_kube_find(&s->server, "pods", "fraud-1"))
		fake_kube_put(&s->server, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"fraud-1\"}}");
	cause_of_pod(s->causes, NULL, 0, pod->root, out);
}

#define ON_NODE "\"nodeName\":\"n1\",\"containers\":[{\"name\":\"runner\",\"resources\":{\"limits\":{\"memory\":\"32Mi\"}}"
#define CRASHED(restarts, reason, code)                                                                                                    \
	"\"phase\":\"Running\",\"startTime\":\"2026-11-21T10:00:00Z\",\"containerStatuses\":[{\"name\":\"runner\",\"restartCount\":" #restarts                  \
	",\"ready\":false,\"state\":{\"terminated\":{\"exitCode\":" #code ",\"reason\":\"" reason                                          \
	"\",\"startedAt\":\"2026-11-21T10:00:01Z\",\"finishedAt\":\"2026-11-21T10:00:02Z\"}}}]"

static void a_secret_that_is_not_there(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	static const char spec[] = ON_NODE ",\"env\":[{\"name\":\"KEY\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"keys\",\"key\":\"k\"}}},"
					   "{\"name\":\"OTHER\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"keys\",\"key\":\"l\"}}}]}]",
			  status[] = "\"phase\":\"Pending\",\"startTime\":\"2026-11-21T10:00:00Z\",\"containerStatuses\":[{\"name\":\"runner\",\"restartCount\":0,"
				     "\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"secret \\\"keys\\\" not found\"}}}]";
	begin(&s);
	fake_kube_put(&s.server, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e1\",\"namespace\":\"ml\",\"creationTimestamp\":\"2026-11-21T10:00:00Z\"},"
				 "\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"fraud-1\",\"uid\":\"u1\"},\"reason\":\"Failed\",\"message\":\"Error: secret \\\"keys\\\" not "
				 "found\",\"count\":1,\"firstTimestamp\":\"2026-11-21T10:00:00Z\",\"lastTimestamp\":\"2026-11-21T10:00:00Z\"}");
	ask(&s, spec, status, &said);
	ask(&s, spec, status, &said);
	assert_int_equal(said.state, DIAGNOSIS_WAITING); /* it may be made a moment late */
	assert_string_equal(said.cause, "secret_missing");
	assert_int_equal(times(&s, "GET secrets/keys"), 1); /* one name, once a second */
	s.clock.mono_ms += 9000;
	s.clock.wall_s += 9;
	ask(&s, spec, status, &said);
	assert_int_equal(said.state, DIAGNOSIS_STUCK);
	assert_int_equal(times(&s, "GET secrets/keys"), 2);
	fake_kube_put(&s.server, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"keys\"}}");
	s.clock.mono_ms += 1000;
	s.clock.wall_s += 1;
	ask(&s, spec, status, &said); /* there by now; the node has not seen it */
	assert_int_equal(said.state, DIAGNOSIS_WAITING);
}

static void what_we_may_not_see(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	begin(&s);
	s.server.refused = "nodes";
	static const char status[] = "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"Unschedulable\",\"lastTransitionTime\":"
				     "\"2026-11-21T10:00:00Z\",\"message\":\"0/3 nodes are available: 3 Insufficient cpu.\"}]";
	for (int second = 0; second < 20; second++) {
		ask(&s, "\"containers\":[{\"name\":\"runner\",\"resources\":{\"requests\":{\"cpu\":\"64\"}}}]", status, &said);
		assert_int_equal(said.state, DIAGNOSIS_WAITING);
		assert_string_equal(said.cause, "unschedulable");
		s.clock.mono_ms += 1000;
		s.clock.wall_s++;
	}
	assert_int_equal(times(&s, "GET nodes"), 1);
	s.server.refused = NULL; /* somebody grants it */
	s.clock.mono_ms += 15000;
	s.clock.wall_s += 15;
	ask(&s, "\"containers\":[{\"name\":\"runner\",\"resources\":{\"requests\":{\"cpu\":\"64\"}}}]", status, &said);
	assert_string_equal(said.cause, "request_above_nodes");
	assert_int_equal(said.state, DIAGNOSIS_STUCK);
}

static void a_log_once_for_each_end(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	begin(&s);
	for (int i = 0; i < 5; i++)
		ask(&s, ON_NODE "}]", CRASHED(0, "Error", 1), &said);
	assert_int_equal(said.state, DIAGNOSIS_FAILING);
	assert_non_null(strstr(said.text, "ValueError: no such column")); /* early: it has ended once */
	assert_int_equal(times(&s, "GET pods/fraud-1"), 1);
	s.log = "KeyError: age\n";
	ask(&s, ON_NODE "}]", CRASHED(2, "Error", 1), &said);
	ask(&s, ON_NODE "}]", CRASHED(2, "Error", 1), &said);
	assert_int_equal(said.state, DIAGNOSIS_STUCK);
	assert_non_null(strstr(said.text, "KeyError: age"));
	assert_int_equal(times(&s, "GET pods/fraud-1"), 2);
}

static void fixes_name_the_line(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	begin(&s);
	ask(&s, ON_NODE "}]", CRASHED(2, "OOMKilled", 137), &said);
	assert_string_equal(said.fix, "mlctl.yaml:21  resources.memory: 64Mi");
	/* What is a default has no line: that of the group where it would go, when there is one. */
	ask(&s, "\"containers\":[{\"name\":\"runner\"}]",
		"\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"Unschedulable\",\"lastTransitionTime\":\"2026-11-21T09:00:00Z\","
		"\"message\":\"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.\"}]",
		&said);
	assert_string_equal(said.cause, "node_selector");
	assert_memory_equal(said.fix, "mlctl.yaml:30  scheduling.nodeSelector: ", 40);
}

/* The events of the pod in question, by its name, and nothing of the namespace. */
static void only_its_own_events(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	begin(&s);
	ask(&s, ON_NODE "}]", "\"phase\":\"Pending\"", &said);
	size_t lists = 0;
	for (size_t i = 0; i < s.server.urls.count; i++) {
		const char *url = s.server.urls.items[i];
		bool is_list = strstr(url, "/events?") && !strstr(url, "watch=");
		lists += is_list;
		assert_true(!is_list || strstr(url, "fieldSelector=involvedObject.kind%3DPod%2CinvolvedObject.name%3Dfraud-1"));
	}
	assert_int_equal(lists, 1);
}

/* A server that is away is asked once, and then left alone for a while: the deploy's lease has to be renewed. */
static void a_server_that_is_away(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct diagnosis said;
	begin(&s);
	s.fake.fail_at = 1;
	s.fake.fail_times = SIZE_MAX / 2;
	s.fake.fail_code = ERR_NETWORK;
	ask(&s, ON_NODE "}]", CRASHED(0, "Error", 1), &said);
	assert_int_equal(said.state, DIAGNOSIS_FAILING);
	int64_t before_ms = s.clock.mono_ms;
	ask(&s, ON_NODE "}]", CRASHED(0, "Error", 1), &said);
	assert_int_equal(s.clock.mono_ms, before_ms); /* no time went by */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_that_is_not_there),
		cmocka_unit_test(what_we_may_not_see),
		cmocka_unit_test(a_log_once_for_each_end),
		cmocka_unit_test(fixes_name_the_line),
		cmocka_unit_test(only_its_own_events),
		cmocka_unit_test(a_server_that_is_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
