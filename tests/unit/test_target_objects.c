/* Settings to Kubernetes objects: what is rendered, from which templates, and what is refused. */
#include "kube/client.h"
#include "kube/schema.h"
#include "project/project.h"
#include "scratch.h"
#include "target/kubernetes_input.h"
#include "target/kubernetes_objects.h"

#include <stdio.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOP "name: fraud\nimage: r.example.com/team/fraud\nmodel: {path: model.onnx}\n"
#define PROD TOP "environments:\n  prod:\n    target: kubernetes\n    namespace: ml\n"

struct world { /* one rendering; everything it lent is here */
	struct project *project;
	struct settings *settings;
	struct document *tree, *document;
	struct value *root;
	struct tmpl_origins origins;
	struct err err;
};

static void world_clear(struct world *w) {
	tmpl_origins_clear(&w->origins);
	document_free(w->tree);
	document_free(w->document);
	settings_free(w->settings);
	project_free(w->project);
}
#define AUTO_WORLD __attribute__((cleanup(world_clear)))

static int render_in(struct world *w, const char *folder, const char *yaml, const char *facts, bool wants_origins) {
	AUTO_DOCUMENT struct document *known = NULL;
	if (project_read(folder ? folder : "/nowhere", "mlctl.yaml", str_of(yaml), &w->project, &w->err) != 0 ||
		project_env(w->project, NULL, &w->settings, &w->err) != 0)
		return -1;
	w->tree = document_new("settings");
	w->tree->root = settings_tree(w->settings, w->tree);
	w->document = document_new("objects");
	if (facts && json_read("facts", str_of(facts), VALUE_LIMITS_CONFIG, &known, &w->err) != 0)
		return -1;
	struct target_context context = {
		.service = w->settings->name, .env = w->settings->environment, .settings = w->tree->root, .project_folder = folder, .settings_file = "mlctl.yaml"};
	struct revision revision = {.settings = w->settings->settings_digest};
	struct err ignored = {0};
	assert_int_equal(digest_parse(str_of(DIGEST), &revision.image, &ignored), 0);
	snprintf(revision.name, sizeof(revision.name), "v-0123456789ab");
	return objects_render(&context, &revision, known ? known->root : NULL, w->document, &w->root, wants_origins ? &w->origins : NULL, &w->err);
}

/* Every version of Kubernetes that is known takes every object, and PodSecurity's strictest level the pods. */
static void check_schemas(const struct world *w) {
	static const char *const versions[] = {"1.25", "1.27", "1.29", "1.31", "1.33", "1.35", NULL}, *const lists[] = {"stable", "canary"};
	for (size_t i = 0; i < 14; i++) {
		value_each(one, value_get(w->root, lists[i % 2])) {
			struct kube_problem problem = {0};
			struct kube_problems problems = {.items = &problem, .max = 1};
			struct err err = {0};
			if (kube_schema_check(one, versions[i / 2], &problems, &err) != 0 ||
				kube_restricted_check_object(one, versions[i / 2], &problems, &err) != 0)
				fail_msg("%s: %s", versions[i / 2] ? versions[i / 2] : "newest", err.message);
			if (problems.warnings)
				fail_msg("warning: %s: %s, %s", problem.path, problem.what, problem.right);
		}
	}
}

static void render(struct world *w, const char *yaml, const char *facts) {
	if (render_in(w, NULL, yaml, facts, false) != 0)
		fail_msg("%s: %s", w->err.at, w->err.message);
	check_schemas(w);
}

static const struct value *object(const struct world *w, const char *list, const char *kind) {
	value_each(one, value_get(w->root, list)) if (str_is(value_get(one, "kind")->text, kind)) return one;
	return NULL;
}

static void check_text(const struct value *from, const char *path, const char *text) {
	const struct value *found = value_find(from, path);
	if (!found)
		fail_msg("%s is not there, it should be %s", path, text);
	if (!str_is(found->text, text))
		fail_msg("%s is %.*s, it should be %s", path, STR_ARGS(found->text), text);
}

static void check_same(const struct value *found, const char *json) {
	AUTO_DOCUMENT struct document *wanted = NULL;
	AUTO_FREE char *text = NULL;
	struct err err = {0};
	assert_int_equal(json_read("wanted", str_of(json), VALUE_LIMITS_CONFIG, &wanted, &err), 0);
	if (value_equal(found, wanted->root))
		return;
	if (!found || json_write(found, JSON_COMPACT, &text, &err) != 0)
		fail_msg("nothing is there, it should be %s", json);
	fail_msg("%s\nshould be %s", text, json);
}

static const struct value *container(const struct world *w, const char *list) {
	return value_at(value_find(object(w, list, "Deployment"), "spec.template.spec.containers"), 0);
}

static const struct value *variable(const struct value *container, const char *name) {
	value_each(one, value_get(container, "env")) if (str_is(value_get(one, "name")->text, name)) return one;
	return NULL;
}

static void kinds_of(const struct value *list, char out[400]) {
	size_t used = 0;
	*out = '\0';
	value_each(one, list) used += (size_t) snprintf(out + used, 400 - used, "%s%.*s/%.*s", used ? " " : "", STR_ARGS(value_get(one, "kind")->text),
		STR_ARGS(value_find(one, "metadata.name")->text));
}

static void test_smallest(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	char kinds[400];
	render(&w, PROD, NULL);
	check_text(w.root, "kind", "kubernetes/1");
	check_text(w.root, "service", "fraud");
	check_text(w.root, "env", "prod");
	check_text(w.root, "namespace", "ml");
	check_text(w.root, "image", "r.example.com/team/fraud@" DIGEST);
	check_text(w.root, "payload", "native");
	check_text(w.root, "ports.http", "8080");
	check_text(w.root, "ports.control", "8081");
	check_text(w.root, "service_port", "80");
	check_text(w.root, "control_secret", "fraud-v-0123456789ab");
	assert_true(value_get(w.root, "has_split")->boolean && !value_get(w.root, "has_autoscaler")->boolean);
	kinds_of(value_get(w.root, "stable"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud Service/fraud Deployment/fraud PodDisruptionBudget/fraud NetworkPolicy/fraud");
	kinds_of(value_get(w.root, "canary"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud Service/fraud-canary Deployment/fraud-canary");
}

static void test_labels(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	render(&w, PROD "    labels: {team: risk}\n    annotations: {a.b/c: \"1\"}\n    env: {A: \"1\"}\n    scale: {max: 3}\n    monitoring: {serviceMonitor: true, labels: {r: p}}\n",
		NULL);
	static const char ours[] = "{\"app.kubernetes.io/name\":\"fraud\",\"app.kubernetes.io/instance\":\"prod\",\"app.kubernetes.io/managed-by\":\"mlctl\","
				   "\"mlctl.dev/service\":\"fraud\",\"mlctl.dev/env\":\"prod\",\"team\":\"risk\"";
	AUTO_FREE char *all = mem_format("%s}", ours);
	static const char *const lists[] = {"stable", "canary"};
	for (int i = 0; i < 2; i++) {
		AUTO_FREE char *pods = mem_format("%s,\"mlctl.dev/role\":\"%s\",\"mlctl.dev/revision\":\"v-0123456789ab\"}", ours, lists[i]);
		AUTO_FREE char *selector = mem_format("{\"mlctl.dev/service\":\"fraud\",\"mlctl.dev/role\":\"%s\"}", lists[i]);
		value_each(one, value_get(w.root, lists[i])) {
			bool is_deployment = str_is(value_get(one, "kind")->text, "Deployment");
			check_text(one, "metadata.namespace", "ml");
			check_same(value_find(one, "metadata.annotations"), "{\"a.b/c\":\"1\"}");
			if (!str_is(value_get(one, "kind")->text, "ServiceMonitor"))
				check_same(value_find(one, "metadata.labels"), is_deployment ? pods : all);
		}
		const struct value *deployment = object(&w, lists[i], "Deployment");
		check_same(value_find(deployment, "spec.template.metadata.labels"), pods);
		check_same(value_find(deployment, "spec.template.metadata.annotations"), "{\"a.b/c\":\"1\"}");
		check_same(value_find(deployment, "spec.selector.matchLabels"), selector);
		check_same(value_find(object(&w, lists[i], "Service"), "spec.selector"), selector);
	}
	check_same(value_find(object(&w, "stable", "NetworkPolicy"), "spec.podSelector.matchLabels"), "{\"mlctl.dev/service\":\"fraud\"}");
	/* Whatever numbers another version has: names are each pod's own. */
	check_same(value_find(object(&w, "stable", "NetworkPolicy"), "spec.ingress"),
		"[{\"ports\":[{\"port\":\"http\",\"protocol\":\"TCP\"},{\"port\":\"control\",\"protocol\":\"TCP\"}]}]");
	check_same(value_find(object(&w, "stable", "NetworkPolicy"), "spec.egress"), "[{\"to\":[{\"podSelector\":{\"matchLabels\":{\"mlctl.dev/service\":\"fraud\"}}}]}]");
}

static void test_container(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	render(&w, TOP "serve: {port: 8081, timeout: 3s}\nenvironments:\n  prod:\n    target: kubernetes\n    env: {LOG: \"x\\n{$if: a}\", B: \"${this.name}\"}\n"
		   "    secrets: {TOKEN: keys/token}\n    imagePullSecrets: [one, two]\n    probes: {startup: 15m}\n    serviceAccount: {name: ml}\n", NULL);
	const struct value *pod = value_find(object(&w, "stable", "Deployment"), "spec.template.spec"), *runner = container(&w, "stable");
	check_text(runner, "name", "runner");
	check_text(runner, "image", "r.example.com/team/fraud@" DIGEST);
	check_same(value_get(runner, "ports"), "[{\"name\":\"http\",\"containerPort\":8081,\"protocol\":\"TCP\"},{\"name\":\"control\",\"containerPort\":8082,\"protocol\":\"TCP\"}]");
	check_text(variable(runner, "MLCTL_LISTEN"), "value", ":8081");
	check_text(variable(runner, "MLCTL_ADMIN"), "value", ":8082");
	check_same(variable(runner, "MLCTL_ADMIN_KEY"),
		"{\"name\":\"MLCTL_ADMIN_KEY\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"fraud-v-0123456789ab\",\"key\":\"key\"}}}");
	check_text(variable(runner, "MLCTL_REVISION"), "value", "v-0123456789ab");
	check_text(variable(runner, "MLCTL_IMAGE"), "value", DIGEST);
	check_text(variable(runner, "MLCTL_NAME"), "value", "model");
	check_text(variable(runner, "MLCTL_TIMEOUT"), "value", "3s");
	check_text(variable(runner, "MLCTL_DRAIN"), "value", "13s");
	check_text(variable(runner, "MLCTL_DRAIN_PATIENCE"), "value", "40s");
	check_text(variable(runner, "MLCTL_THREADS"), "value", "4");
	assert_null(variable(runner, "MLCTL_RELEASE"));
	assert_null(variable(runner, "MLCTL_MODEL_CREATED"));
	check_same(variable(runner, "TOKEN"), "{\"name\":\"TOKEN\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"keys\",\"key\":\"token\"}}}");
	check_text(runner, "startupProbe.failureThreshold", "900");
	check_text(object(&w, "stable", "Deployment"), "spec.progressDeadlineSeconds", "1020");
	check_text(pod, "terminationGracePeriodSeconds", "63");
	check_text(pod, "serviceAccountName", "ml");
	assert_null(object(&w, "stable", "ServiceAccount"));
	check_same(value_get(pod, "imagePullSecrets"), "[{\"name\":\"one\"},{\"name\":\"two\"}]");
	assert_false(value_get(pod, "automountServiceAccountToken")->boolean || value_get(pod, "enableServiceLinks")->boolean);
	const struct value *map = object(&w, "stable", "ConfigMap");
	check_same(value_get(map, "data"), "{\"LOG\":\"x\\n{$if: a}\",\"B\":\"${this.name}\"}");
	assert_true(str_equal(value_find(map, "metadata.name")->text, value_find(value_at(value_get(runner, "envFrom"), 0), "configMapRef.name")->text));
	assert_int_equal(value_get(w.root, "namespace")->kind, VALUE_NULL);
	assert_null(value_find(map, "metadata.namespace"));
	assert_true(value_equal(runner, container(&w, "canary")));
	struct world dated AUTO_WORLD = {0};
	render(&dated, PROD, "{\"model\":{\"created\":\"2026-11-21T10:02:11Z\"}}");
	check_text(variable(container(&dated, "stable"), "MLCTL_MODEL_CREATED"), "value", "2026-11-21T10:02:11Z");
}

/* PodSecurity "restricted", by its rules. */
static void test_restricted(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	render(&w, PROD, NULL);
	const struct value *pod = value_find(object(&w, "canary", "Deployment"), "spec.template.spec"), *runner = container(&w, "canary");
	check_text(pod, "securityContext.seccompProfile.type", "RuntimeDefault");
	assert_true(value_find(pod, "securityContext.runAsNonRoot")->boolean);
	check_text(runner, "securityContext.runAsUser", "65532");
	assert_false(value_find(runner, "securityContext.allowPrivilegeEscalation")->boolean);
	assert_true(value_find(runner, "securityContext.readOnlyRootFilesystem")->boolean);
	check_same(value_find(runner, "securityContext.capabilities"), "{\"drop\":[\"ALL\"]}");
	assert_null(value_get(pod, "volumes"));
}

static void test_resources(void **state) {
	(void) state;
	static const struct {
		const char *yaml, *facts, *wanted;
	} all[] = {
		{PROD, NULL, "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}"},
		{PROD, "{\"test\":null}", "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}"},
		{PROD, "{\"test\":{\"peak_bytes\":8000000}}", "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"64Mi\"}}"},
		{PROD, "{\"test\":{\"peak_bytes\":200000000}}", "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"512Mi\"},\"limits\":{\"memory\":\"512Mi\"}}"},
		{PROD "    resources: {memory: 1Gi}\n", "{\"test\":{\"peak_bytes\":200000000}}", "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"1Gi\"},\"limits\":{\"memory\":\"1Gi\"}}"},
		{PROD "    resources: {cpu: 500m}\n", NULL, "{\"requests\":{\"cpu\":\"500m\",\"memory\":\"64Mi\"},\"limits\":{\"cpu\":\"500m\"}}"},
		{PROD "    resources: {cpu: 2, memory: 96Mi}\n", NULL, "{\"requests\":{\"cpu\":\"2\",\"memory\":\"96Mi\"},\"limits\":{\"cpu\":\"2\",\"memory\":\"96Mi\"}}"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct world w AUTO_WORLD = {0};
		render(&w, all[i].yaml, all[i].facts);
		check_same(value_get(container(&w, "stable"), "resources"), all[i].wanted);
	}
	static const int64_t peaks[][2] = {{0, 64}, {1 << 20, 64}, {24 << 20, 64}, {(24 << 20) + 1, 96}, {40 << 20, 96}, {41 << 20, 128}, {100 << 20, 256}, {500 << 20, 1024},
		{(int64_t) 3 << 30, 8192}};
	for (size_t i = 0; i < sizeof(peaks) / sizeof(peaks[0]); i++)
		assert_int_equal(kubernetes_memory_for(peaks[i][0]) >> 20, peaks[i][1]);
	assert_true(kubernetes_memory_for(INT64_MAX) > 0);
}

static void test_scale(void **state) {
	(void) state;
	struct world fixed AUTO_WORLD = {0}, scaled AUTO_WORLD = {0};
	render(&fixed, PROD "    scale: {min: 3}\n", NULL);
	check_text(object(&fixed, "stable", "Deployment"), "spec.replicas", "3");
	check_text(object(&fixed, "canary", "Deployment"), "spec.replicas", "1");
	assert_null(object(&fixed, "stable", "HorizontalPodAutoscaler"));
	check_text(fixed.root, "replicas", "3");
	render(&scaled, PROD "    scale: {min: 2, max: 9, cpu: 55%}\n", NULL);
	assert_null(value_find(object(&scaled, "stable", "Deployment"), "spec.replicas"));
	check_text(object(&scaled, "canary", "Deployment"), "spec.replicas", "1");
	const struct value *spec = value_get(object(&scaled, "stable", "HorizontalPodAutoscaler"), "spec");
	check_same(spec, "{\"scaleTargetRef\":{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"fraud\"},\"minReplicas\":2,\"maxReplicas\":9,\"metrics\":[{\"type\":"
			 "\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":55}}}]}");
	assert_true(value_get(scaled.root, "has_autoscaler")->boolean);
	assert_null(object(&scaled, "canary", "HorizontalPodAutoscaler"));
}

static void test_exposed(void **state) {
	(void) state;
	struct world node AUTO_WORLD = {0}, ingress AUTO_WORLD = {0}, route AUTO_WORLD = {0};
	render(&node, PROD "    expose: {type: NodePort, port: 8000, nodePort: 30080, annotations: {x.y/z: \"1\"}}\n", NULL);
	check_same(value_find(object(&node, "stable", "Service"), "spec.ports"),
		"[{\"name\":\"http\",\"port\":8000,\"targetPort\":\"http\",\"protocol\":\"TCP\",\"nodePort\":30080}]");
	check_text(object(&node, "stable", "Service"), "spec.type", "NodePort");
	check_text(object(&node, "canary", "Service"), "spec.type", "ClusterIP");
	check_same(value_find(object(&node, "canary", "Service"), "spec.ports"), "[{\"name\":\"http\",\"port\":8000,\"targetPort\":\"http\",\"protocol\":\"TCP\"}]");
	check_same(value_find(object(&node, "stable", "Service"), "metadata.annotations"), "{\"x.y/z\":\"1\"}");
	assert_null(value_find(object(&node, "canary", "Service"), "metadata.annotations"));
	check_text(node.root, "service_port", "8000");
	render(&ingress, PROD "    expose: {unauthenticated: true, ingress: {host: f.example.com, tlsSecret: t, className: nginx, path: /f}}\n", NULL);
	check_same(value_get(object(&ingress, "stable", "Ingress"), "spec"),
		"{\"ingressClassName\":\"nginx\",\"tls\":[{\"hosts\":[\"f.example.com\"],\"secretName\":\"t\"}],\"rules\":[{\"host\":\"f.example.com\",\"http\":{\"paths\":[{\"path\":"
		"\"/f\",\"pathType\":\"Prefix\",\"backend\":{\"service\":{\"name\":\"fraud\",\"port\":{\"name\":\"http\"}}}}]}}]}");
	render(&route, PROD "    expose: {unauthenticated: true, route: {gateway: public, gatewayNamespace: gw, host: f.example.com}}\n", NULL);
	check_same(value_get(object(&route, "stable", "HTTPRoute"), "spec"),
		"{\"parentRefs\":[{\"group\":\"gateway.networking.k8s.io\",\"kind\":\"Gateway\",\"name\":\"public\",\"namespace\":\"gw\"}],\"hostnames\":[\"f.example.com\"],\"rules\":"
		"[{\"matches\":[{\"path\":{\"type\":\"PathPrefix\",\"value\":\"/\"}}],\"backendRefs\":[{\"group\":\"\",\"kind\":\"Service\",\"name\":\"fraud\",\"port\":80,\"weight\":1}]}]}");
	assert_null(object(&route, "stable", "Ingress"));
}

static void test_scheduling(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0}, none AUTO_WORLD = {0};
	render(&w, PROD "    scheduling:\n      nodeSelector: {pool: ml}\n      spread: zone\n      tolerations:\n        - {key: d, value: ml, effect: NoSchedule}\n"
			"        - {operator: Exists, effect: NoExecute, tolerationSeconds: 60}\n        - {key: any, operator: Exists}\n", NULL);
	const struct value *pod = value_find(object(&w, "stable", "Deployment"), "spec.template.spec");
	check_same(value_get(pod, "nodeSelector"), "{\"pool\":\"ml\"}");
	check_same(value_get(pod, "tolerations"),
		"[{\"key\":\"d\",\"operator\":\"Equal\",\"value\":\"ml\",\"effect\":\"NoSchedule\"},{\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":60},"
		"{\"key\":\"any\",\"operator\":\"Exists\"}]");
	check_text(value_at(value_get(pod, "topologySpreadConstraints"), 0), "topologyKey", "topology.kubernetes.io/zone");
	render(&none, PROD "    scheduling: {spread: none}\n", NULL);
	pod = value_find(object(&none, "stable", "Deployment"), "spec.template.spec");
	assert_null(value_get(pod, "topologySpreadConstraints"));
	assert_null(value_get(pod, "tolerations"));
	assert_null(value_get(pod, "nodeSelector"));
}

/* The help lists what there is, and nothing else. */
static void test_reference(void **state) {
	(void) state;
	static const char *const yamls[] = {PROD "    env: {A: b}\n    resources: {cpu: 1, memory: 1Gi}\n", PROD "    payload: {kind: triton, image: x/y, guard: true}\n"};
	AUTO_BUF struct buf text = BUF(100000), seen = BUF(100000);
	AUTO_DOCUMENT struct document *facts = document_new("facts");
	value_add_text(facts, value_add_object(facts, value_root_object(facts), "model"), "created", "2026-11-21T10:02:11Z");
	objects_reference(&text);
	for (int i = 0; i < 4; i++) {
		struct world w AUTO_WORLD = {0};
		struct kubernetes_input input CLEANUP(kubernetes_input_clear) = {0};
		render(&w, yamls[i / 2], NULL);
		struct target_context context = {.service = "fraud", .env = "prod", .settings = w.tree->root};
		struct revision revision = {.name = "v-0123456789ab"};
		assert_int_equal(kubernetes_input_make(&context, &revision, facts->root, i % 2, &input, &w.err), 0);
		value_each(one, value_get(input.document->root, "this")) {
			AUTO_FREE char *name = mem_format("this.%.*s ", STR_ARGS(one->key));
			if (!strstr(text.ptr, name))
				fail_msg("%s is not in the help", name);
			buf_text(&seen, name);
		}
	}
	for (const char *at = text.ptr; (at = strstr(at, "this.")) != NULL; at++) {
		AUTO_FREE char *name = mem_format("%.*s ", (int) strcspn(at, " "), at);
		if (!strstr(seen.ptr, name))
			fail_msg("%s is in the help and nowhere else", name);
	}
}

/* Servers other than mlctl's own. */
static void test_payloads(void **state) {
	(void) state;
	static const struct {
		const char *kind, *more, *port, *ready, *live;
	} all[] = {
		{"triton", "", "8000", "{\"path\":\"/v2/health/ready\",\"port\":\"http\"}", "{\"path\":\"/v2/health/live\",\"port\":\"http\"}"},
		{"tfserving", "", "8501", "{\"path\":\"/v1/models/model\",\"port\":\"http\"}", NULL},
		{"fastapi", ", health: /h", "8000", "{\"path\":\"/h\",\"port\":\"http\"}", "{\"path\":\"/h\",\"port\":\"http\"}"},
		{"flask", "", "5000", NULL, NULL},
		{"http", ", port: 99, health: /h, ready: /r, metrics: /m, args: [a, b]", "99", "{\"path\":\"/r\",\"port\":\"http\"}", "{\"path\":\"/h\",\"port\":\"http\"}"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct world w AUTO_WORLD = {0};
		AUTO_FREE char *yaml = mem_format(PROD "    payload: {kind: %s, image: \"r.x/server:1\"%s}\n    monitoring: {serviceMonitor: true}\n    secrets: {A: b/c}\n", all[i].kind,
			all[i].more);
		render(&w, yaml, "{\"test\":{\"peak_bytes\":200000000}}");
		const struct value *server = container(&w, "stable"), *spec = value_find(object(&w, "stable", "Deployment"), "spec.template.spec");
		check_text(server, "name", "server");
		check_text(server, "image", "r.x/server:1");
		check_text(value_at(value_get(server, "ports"), 0), "containerPort", all[i].port);
		check_text(w.root, "ports.http", all[i].port);
		check_text(w.root, "image", "r.x/server:1");
		check_text(w.root, "payload", all[i].kind);
		check_same(value_find(server, "resources"), "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"256Mi\"}}");
		static const char *const probes[] = {"startupProbe", "readinessProbe", "livenessProbe"};
		for (int k = 0; k < 3; k++) {
			const struct value *probe = value_get(server, probes[k]);
			const char *path = k < 2 ? all[i].ready : all[i].live;
			check_same(value_get(probe, path ? "httpGet" : "tcpSocket"), path ? path : "{\"port\":\"http\"}");
		}
		assert_false(value_get(w.root, "has_split")->boolean);
		assert_true(value_find(w.root, "ports.control")->kind == VALUE_NULL && value_get(w.root, "control_secret")->kind == VALUE_NULL);
		check_same(value_find(object(&w, "stable", "Service"), "spec.selector"), "{\"mlctl.dev/service\":\"fraud\"}");
		check_same(value_find(object(&w, "stable", "NetworkPolicy"), "spec.policyTypes"), "[\"Ingress\"]");
		bool brings_model = i < 2;
		check_same(value_get(spec, "volumes"), brings_model ? "[{\"name\":\"tmp\",\"emptyDir\":{}},{\"name\":\"models\",\"emptyDir\":{}}]" : "[{\"name\":\"tmp\",\"emptyDir\":{}}]");
		const struct value *init = value_at(value_get(spec, "initContainers"), 0);
		assert_true(brings_model == (init != NULL));
		if (init) {
			check_text(init, "image", "r.example.com/team/fraud@" DIGEST);
			check_same(value_get(init, "command"), "[\"/mlctl-runner\",\"copy\",\"--versioned\",\"/model\",\"/models/model\"]");
		}
		assert_null(variable(server, "MLCTL_ADMIN_KEY"));
		assert_non_null(variable(server, "A"));
		check_text(variable(server, "HOME"), "value", "/tmp");
		const struct value *endpoint = value_at(value_find(object(&w, "stable", "ServiceMonitor"), "spec.endpoints"), 0);
		check_text(endpoint, "port", i == 0 ? "metrics" : "http");
		check_text(endpoint, "path", i == 1 ? "/monitoring/prometheus/metrics" : i == 4 ? "/m" : "/metrics");
		if (i == 4)
			check_same(value_get(server, "args"), "[\"a\",\"b\"]");
		if (i == 1)
			check_same(value_get(server, "args"), "[\"--rest_api_port=8501\",\"--model_name=model\",\"--model_base_path=/models/model\"]");
	}
}

/* The runner in front of it: clients, probes and mlctl ask that one. */
static void test_guarded(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	render(&w, PROD "    payload: {kind: triton, image: \"r.x/server:1\", guard: true}\n    monitoring: {serviceMonitor: true}\n    env: {A: b}\n",
		"{\"payload\":{\"image\":\"r.x/server@" DIGEST "\"},\"model\":{\"created\":\"2026-11-21T10:02:11Z\"}}");
	const struct value *containers = value_find(object(&w, "canary", "Deployment"), "spec.template.spec.containers");
	const struct value *guard = value_at(containers, 0), *server = value_at(containers, 1);
	assert_int_equal(containers->count, 2);
	check_text(guard, "image", "r.example.com/team/fraud@" DIGEST);
	check_text(guard, "name", "runner");
	check_text(server, "image", "r.x/server@" DIGEST);
	check_text(w.root, "image", "r.x/server@" DIGEST);
	check_same(value_get(guard, "ports"), "[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"},{\"name\":\"control\",\"containerPort\":8081,\"protocol\":\"TCP\"}]");
	check_same(value_at(value_get(server, "ports"), 0), "{\"name\":\"server\",\"containerPort\":8000,\"protocol\":\"TCP\"}");
	check_text(variable(guard, "MLCTL_UPSTREAM"), "value", "127.0.0.1:8000");
	check_text(variable(guard, "MLCTL_UPSTREAM_READY"), "value", "/v2/health/ready");
	check_text(variable(guard, "MLCTL_MODEL_CREATED"), "value", "2026-11-21T10:02:11Z");
	check_text(server, "readinessProbe.httpGet.port", "server");
	check_text(guard, "readinessProbe.httpGet.port", "http");
	assert_null(value_get(guard, "envFrom"));
	assert_non_null(value_get(server, "envFrom"));
	assert_true(value_get(w.root, "has_split")->boolean);
	check_text(w.root, "ports.control", "8081");
	check_text(w.root, "control_secret", "fraud-v-0123456789ab");
	check_same(value_find(object(&w, "stable", "Service"), "spec.selector"), "{\"mlctl.dev/service\":\"fraud\",\"mlctl.dev/role\":\"stable\"}");
	check_text(value_at(value_find(object(&w, "stable", "ServiceMonitor"), "spec.endpoints"), 1), "port", "http");
	struct world taken AUTO_WORLD = {0};
	render(&taken, PROD "    payload: {kind: http, image: r.x/y, port: 8081, guard: true}\n", NULL);
	check_text(taken.root, "ports.http", "8080");
	check_text(taken.root, "ports.control", "8082");
	struct world same AUTO_WORLD = {0};
	render(&same, PROD "    payload: {kind: http, image: r.x/y, guard: true}\n", NULL);
	check_text(same.root, "ports.http", "8081");
	check_text(same.root, "ports.control", "8082");
}

/* A change of the content is another name; the order of the file is no change. */
static void test_config_map(void **state) {
	(void) state;
	static const char *const envs[] = {"{A: a, B: b}", "{B: b, A: a}", "{A: a, B: c}"};
	char names[3][80];
	for (int i = 0; i < 3; i++) {
		struct world w AUTO_WORLD = {0};
		AUTO_FREE char *yaml = mem_format(PROD "    env: %s\n", envs[i]);
		render(&w, yaml, NULL);
		snprintf(names[i], sizeof(names[i]), "%.*s", STR_ARGS(value_find(object(&w, "stable", "ConfigMap"), "metadata.name")->text));
		assert_int_equal(strlen(names[i]), strlen("fraud-01234567"));
		assert_true(value_equal(object(&w, "stable", "ConfigMap"), object(&w, "canary", "ConfigMap")));
	}
	assert_string_equal(names[0], names[1]);
	assert_string_not_equal(names[0], names[2]);
}

static void write_template(const char *folder, const char *path, const char *text) {
	AUTO_FREE char *full = mem_format("%s/.mlctl/templates/%s", folder, path), *parent = mem_text(full);
	struct err err = {0};
	*strrchr(parent, '/') = '\0';
	if (fs_make_dirs(parent, 0755, &err) != 0 || fs_replace(full, text, strlen(text), 0644, &err) != 0)
		fail_msg("%s", err.message);
}

static void test_overlay(void **state) {
	(void) state;
	char *folder AUTO_SCRATCH = scratch_new();
	struct world before AUTO_WORLD = {0}, w AUTO_WORLD = {0}, again AUTO_WORLD = {0}, empty AUTO_WORLD = {0};
	char kinds[400];
	assert_int_equal(render_in(&before, folder, PROD, NULL, false), 0);
	write_template(folder, "kubernetes/disruption.yaml", "");
	write_template(folder, "kubernetes/rules.yaml",
		"$if: this.isStable\n$then:\n  apiVersion: monitoring.coreos.com/v1\n  kind: PrometheusRule\n  metadata: {name: \"${service}\", labels: {release: p}}\n  spec: {groups: []}\n");
	write_template(folder, "kubernetes/service.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: \"${this.name}\"}\nspec:\n  clusterIP: None\n  selector: {$: this.serviceSelector}\n  ports: [{port: 1}]\n");
	write_template(folder, "payload/native.yaml", "name: runner\nimage: ${this.image}\nargs: [\"${this.role}\"]\n");
	write_template(folder, "kubernetes/.hidden", "x");
	if (render_in(&w, folder, PROD, NULL, false) != 0)
		fail_msg("%s: %s", w.err.at, w.err.message);
	kinds_of(value_get(w.root, "stable"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud PrometheusRule/fraud Service/fraud Deployment/fraud NetworkPolicy/fraud");
	kinds_of(value_get(w.root, "canary"), kinds);
	assert_string_equal(kinds, "ServiceAccount/fraud Service/fraud-canary Deployment/fraud-canary");
	check_text(object(&w, "stable", "PrometheusRule"), "metadata.namespace", "ml");
	check_same(value_find(object(&w, "stable", "PrometheusRule"), "metadata.labels"),
		"{\"release\":\"p\",\"app.kubernetes.io/name\":\"fraud\",\"app.kubernetes.io/instance\":\"prod\",\"app.kubernetes.io/managed-by\":\"mlctl\",\"mlctl.dev/service\":\"fraud\","
		"\"mlctl.dev/env\":\"prod\"}");
	check_text(object(&w, "canary", "Service"), "metadata.labels", "");
	check_same(value_get(container(&w, "canary"), "args"), "[\"canary\"]");
	assert_false(digest_equal(&before.settings->settings_digest, &w.settings->settings_digest));
	assert_int_equal(render_in(&again, folder, PROD, NULL, false), 0);
	assert_true(digest_equal(&again.settings->settings_digest, &w.settings->settings_digest));
	write_template(folder, "payload/native.yaml", "name: runner\nimage: ${this.image}\n");
	assert_int_equal(render_in(&empty, folder, PROD, NULL, false), 0);
	assert_false(digest_equal(&empty.settings->settings_digest, &w.settings->settings_digest));
}

static void refuse_template(const char *path, const char *text, enum err_code code, const char *at, const char *message) {
	char *folder AUTO_SCRATCH = scratch_new();
	struct world w AUTO_WORLD = {0};
	write_template(folder, path, text);
	if (render_in(&w, folder, PROD "    scale: {min: 2}\n", NULL, false) == 0)
		fail_msg("accepted: %s", text);
	if (w.err.code != code || strcmp(w.err.at, at) != 0 || !strstr(w.err.message, message))
		fail_msg("%s\n%s %s: %s", text, err_kind(w.err.code), w.err.at, w.err.message);
}

#define HERE ".mlctl/templates/kubernetes/"
/* What the cluster would refuse is told before, with the template's line. */
static void test_overlay_schema(void **state) {
	(void) state;
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndta: {a: b}\n", ERR_INVALID, HERE "x.yaml:4:6", "dta");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: 1\n", ERR_INVALID, HERE "x.yaml:5:6", "data.a");
	refuse_template("payload/native.yaml", "name: runner\nimage: x\nimagePullPolicy: Sometimes\n", ERR_INVALID, ".mlctl/templates/payload/native.yaml:3:18", "imagePullPolicy");
}

#define META "metadata: {name: x}\n"
static void test_overlay_refuses(void **state) {
	(void) state;
	refuse_template("kubernetes/x.yml", "a: 1\n", ERR_CONFIG, HERE "x.yml", "only files with names that end in .yaml");
	refuse_template("kubernetes/x.yaml", "a: [\n", ERR_INVALID, HERE "x.yaml:2:1", "not YAML");
	refuse_template("kubernetes/x.yaml", "kind: ConfigMap\na: {$: scale.mni}\n", ERR_INVALID, HERE "x.yaml:2:4", "did you mean min?");
	refuse_template("kubernetes/x.yaml", "a: \"${scale.min.x}\"\n", ERR_INVALID, HERE "x.yaml:1:4", "nothing is below it (the value is set in mlctl.yaml:8:18)");
	refuse_template("kubernetes/x.yaml", "kind: ConfigMap\n", ERR_INVALID, HERE "x.yaml:1:1", "with apiVersion and kind");
	refuse_template("kubernetes/x.yaml", "[1]\n", ERR_INVALID, HERE "x.yaml:1:1", "with apiVersion and kind");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: Pod\n" META, ERR_INVALID, HERE "x.yaml:2:7", "kind Pod: mlctl applies no such kind");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfgMap\n" META, ERR_INVALID, HERE "x.yaml:2:7", "did you mean ConfigMap");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: Secret\n" META, ERR_INVALID, HERE "x.yaml:2:7", "its value would be in every release record");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1beta1\nkind: ConfigMap\n" META, ERR_INVALID, HERE "x.yaml:1:13", "a ConfigMap is v1");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\n", ERR_INVALID, HERE "x.yaml:1:1", "metadata.name: missing");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: x\n", ERR_INVALID, HERE "x.yaml", "must be mappings");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: fraud}\n", ERR_INVALID, HERE "x.yaml:3:18", "is made by another template too");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}\n", ERR_INVALID, HERE "x.yaml:3:32",
		"all objects are in the namespace");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {mlctl.dev/service: y}}\n", ERR_INVALID, HERE "x.yaml:3:49",
		"label mlctl.dev/service must be fraud");
	refuse_template("kubernetes/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: \"${service}\"}\nspec: {selector: {$: this.serviceSelector}, ports: [{port: 1}]}\n",
		ERR_INVALID, HERE "service.yaml:3:18", "Service fraud differs for the canary");
	refuse_template("kubernetes/x.yaml", "apiVersion: v1\nkind: ConfigMap\n" META "data: {a: \"${this.role}\"}\n", ERR_INVALID, HERE "x.yaml:3:18", "ConfigMap x differs");
	refuse_template("kubernetes/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\n" META "spec: {template: 1}\n", ERR_INVALID, HERE "deployment.yaml", "must be mappings");
}

static void test_origins(void **state) {
	(void) state;
	struct world w AUTO_WORLD = {0};
	assert_int_equal(render_in(&w, NULL, PROD "    scale: {min: 3}\n    labels: {team: risk}\n", NULL, true), 0);
	static const struct {
		const char *path, *from;
		int line;
	} all[] = {{"stable[2].spec.replicas", "scale.min", 8}, {"canary[2].spec.replicas", "this.replicas", 0}, {"stable[1].spec.ports[0].port", "expose.port", 0},
		{"stable[0].metadata.labels.team", "labels.team", 9}, {"stable[0].metadata.namespace", "namespace", 7},
		{"stable[2].spec.template.spec.containers[0].image", "image", 2}, {"stable[2].spec.strategy.type", NULL, 0}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t k = 0;
		while (k < w.origins.count && strcmp(w.origins.items[k].path, all[i].path) != 0)
			k++;
		if (k == w.origins.count)
			fail_msg("no origin of %s", all[i].path);
		const struct tmpl_origin *one = &w.origins.items[k];
		if (one->from_place.line != all[i].line || (one->from == NULL) != (all[i].from == NULL) || (one->from && strcmp(one->from, all[i].from) != 0))
			fail_msg("%s: from %s, line %d", one->path, one->from ? one->from : "nothing", one->from_place.line);
	}
}

static void refuse_settings(const char *yaml, const char *at, const char *message, const char *fix) {
	struct world w AUTO_WORLD = {0};
	if (render_in(&w, NULL, yaml, NULL, false) == 0)
		fail_msg("accepted: %s", yaml);
	if (w.err.code != ERR_CONFIG || strcmp(w.err.at, at) != 0 || !strstr(w.err.message, message) || !strstr(w.err.fix, fix))
		fail_msg("%s\n%s %s: %s (%s)", yaml, err_kind(w.err.code), w.err.at, w.err.message, w.err.fix);
}

static void test_settings_refuse(void **state) {
	(void) state;
	refuse_settings("name: fraud\nmodel: {path: m.onnx}\nenvironments: {prod: {target: kubernetes}}\n", "mlctl.yaml:3:31", "image: missing, target kubernetes needs a registry",
		"image: registry.example.com/team/fraud");
	refuse_settings(PROD "    expose: {type: LoadBalancer}\n", "mlctl.yaml:8:20", "expose.type: anybody who reaches it may ask", "expose.unauthenticated: true");
	refuse_settings(PROD "    expose: {ingress: {}}\n", "mlctl.yaml:8:23", "expose.ingress: anybody", "expose.unauthenticated: true");
	refuse_settings(PROD "    expose: {route: {gateway: g}}\n", "mlctl.yaml:8:21", "expose.route: anybody", "expose.unauthenticated: true");
	refuse_settings(PROD "    expose: {unauthenticated: true, route: {host: x.y}}\n", "mlctl.yaml:8:44", "expose.route.gateway: missing", "gateway: public");
	refuse_settings(PROD "    expose: {unauthenticated: true, route: {gateway: g}, ingress: {}}\n", "mlctl.yaml:8:44", "one of the two is enough", "");
	refuse_settings(PROD "    expose: {unauthenticated: true, ingress: {tlsSecret: t}}\n", "mlctl.yaml:8:58", "a certificate is for a host", "");
	refuse_settings(PROD "    expose: {nodePort: 30000}\n", "mlctl.yaml:8:24", "a Service of type ClusterIP has none", "NodePort");
	refuse_settings(PROD "    expose: {type: External}\n", "mlctl.yaml:8:20", "one of ClusterIP, NodePort, LoadBalancer", "");
	refuse_settings(PROD "    namespace2: x\n", "mlctl.yaml:8:5", "unknown key, did you mean namespace?", "");
	refuse_settings(PROD "    env: {A: 1}\n", "mlctl.yaml:8:14", "env.A: 1 is not right, it must be text, in quotes", "A: \"1\"");
	refuse_settings(PROD "    env: {A: true}\n", "mlctl.yaml:8:14", "env.A: true is not right", "");
	refuse_settings(PROD "    env: {A: {b: c}}\n", "mlctl.yaml:8:14", "env.A: a mapping is not right", "");
	refuse_settings(PROD "    env: {a-b: x}\n", "mlctl.yaml:8:11", "\"a-b\" is not right as a name, it must be an environment variable", "");
	refuse_settings(PROD "    env: {MLCTL_LISTEN: x}\n", "mlctl.yaml:8:11", "names with MLCTL_ are the runner's own settings", "");
	refuse_settings(PROD "    env: {A: x}\n    secrets: {A: s/k}\n", "mlctl.yaml:9:15", "secrets.A: env has A too", "");
	refuse_settings(PROD "    secrets: {A: s}\n", "mlctl.yaml:8:18", "a Secret's name and a key in it", "");
	refuse_settings(PROD "    secrets: {A: S/k}\n", "mlctl.yaml:8:18", "a Secret's name and a key in it", "");
	refuse_settings(PROD "    imagePullSecrets: [A_b]\n", "mlctl.yaml:8:24", "a Kubernetes name", "");
	refuse_settings(PROD "    labels: {mlctl.dev/service: x}\n", "mlctl.yaml:8:14", "mlctl sets this one itself", "");
	refuse_settings(PROD "    labels: {app.kubernetes.io/name: x}\n", "mlctl.yaml:8:14", "mlctl sets this one itself", "");
	refuse_settings(PROD "    labels: {\"a b\": x}\n", "mlctl.yaml:8:14", "a label's name", "");
	refuse_settings(PROD "    labels: {a: \"b c\"}\n", "mlctl.yaml:8:17", "a label's value", "");
	refuse_settings(PROD "    annotations: {a/b/c: x}\n", "mlctl.yaml:8:19", "an annotation's name", "");
	refuse_settings(PROD "    serviceAccount: {name: x, annotations: {a: b}}\n", "mlctl.yaml:8:44", "is there already and stays as it is", "");
	refuse_settings(PROD "    scheduling: {tolerations: [{value: x}]}\n", "mlctl.yaml:8:32", "operator Equal needs a key", "");
	refuse_settings(PROD "    scheduling: {tolerations: [{key: x, operator: Exists, value: y}]}\n", "mlctl.yaml:8:32", "operator Exists has no value", "");
	refuse_settings(PROD "    scheduling: {tolerations: [{key: x, tolerationSeconds: 5}]}\n", "mlctl.yaml:8:32", "is for effect NoExecute", "");
	refuse_settings(PROD "    scheduling: {spread: rack}\n", "mlctl.yaml:8:26", "one of host, zone, none", "");
	refuse_settings(PROD "    payload: {port: 80}\n", "mlctl.yaml:8:21", "the native runner has its own", "");
	refuse_settings(PROD "    payload: {kind: triton}\n", "mlctl.yaml:8:21", "payload.image: missing", "payload: {image: ");
	refuse_settings(PROD "    payload: {kind: triton, image: x/y, port: 8001}\n", "mlctl.yaml:8:47", "8001 is where this server speaks gRPC", "payload.port: 8000");
	refuse_settings(PROD "    payload: {kind: triton, image: x/y, port: 8002}\n", "mlctl.yaml:8:47", "8002 is where this server shows its numbers", "payload.port: 8000");
	refuse_settings(PROD "    payload: {kind: tfserving, image: x/y, port: 8500}\n", "mlctl.yaml:8:50", "speaks gRPC", "payload.port: 8501");
	refuse_settings(PROD "    payload: {kind: triton, image: x/y}\n    expose: {port: 8002}\n", "mlctl.yaml:9:20", "8002 is where the Service shows", "expose.port: 80");
	refuse_settings(PROD "    payload: {kind: http, image: x/y}\n    serve: {port: 80}\n", "mlctl.yaml:9:19", "the runner's", "payload.port: 80");
	refuse_settings(PROD "    payload: {kind: http, image: \"x/y:\"}\n", "mlctl.yaml:8:34", "an image, as in", "");
	refuse_settings(PROD "    payload: {guard: true}\n", "mlctl.yaml:8:22", "the native runner has its own", "");
	refuse_settings(PROD "    scale: {cpu: 50%}\n", "mlctl.yaml:8:18", "nothing scales", "scale.max: 2");
	refuse_settings(PROD "    scale: {min: 4, max: 2}\n", "mlctl.yaml:8:26", "is below scale.min", "");
	refuse_settings(TOP "namespace: ml\nenvironments: {a: {target: local}}\n", "mlctl.yaml:4:1", "target local has no such thing, only kubernetes", "namespace: null");
	refuse_settings(TOP "environments: {a: {target: local, expose: {port: 1}}}\n", "mlctl.yaml:4:35", "expose: target local has no such thing", "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_restricted),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_exposed),
		cmocka_unit_test(test_scheduling),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_guarded),
		cmocka_unit_test(test_config_map),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_overlay_schema),
		cmocka_unit_test(test_overlay_refuses),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_settings_refuse),
	};
	return cmocka_run_group_tests_name("target_objects", tests, NULL, NULL);
}
