/* The target's verbs against a small API server: what they ask in which order, what they never touch, and what becomes of them when somebody else writes in
 * between, or an answer is lost. */
#include "fakes/fake_kube.h"
#include "scratch.h"
#include "target/kubernetes.h"

#include <stdio.h>

#define MAIN "v-111111111111"
#define NEXT "v-222222222222"
#define OTHER "v-333333333333"
#define IMAGE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OURS "\"mlctl.dev/service\":\"fraud\",\"mlctl.dev/env\":\"prod\""
#define HEAD(fence) "{\"schema\":\"mlctl/head/1\",\"lock\":{\"fence\":" #fence ",\"holder\":\"somebody\"}}"

struct scene {
	struct fake_clock clock;
	struct fake_http fake;
	struct fake_kube server;
	struct redactor *redact;
	struct document *settings;
	char *folder, *listed, *items[2];
	struct env env;
	struct kubernetes *k;
};

static struct document *read_text(const char *text) {
	struct document *document = NULL;
	struct err err = {0};
	if (json_read("text", str_of(text), VALUE_LIMITS_WIRE, &document, &err) != 0)
		fail_msg("%s: %s", err.message, text);
	return document;
}

static void put_head(struct fake_kube *server, const char *fence) {
	AUTO_FREE char *json = mem_format("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"mlctl.fraud\",\"labels\":{" OURS
					  ",\"mlctl.dev/part\":\"head\"}},\"data\":{\"head\":\"{\\\"lock\\\":{\\\"fence\\\":%s,\\\"holder\\\":\\\"b\\\"}}\"}}",
		fence);
	fake_kube_put(server, json);
}

static void begin(struct scene *s) {
	*s = (struct scene){.folder = scratch_new(), .redact = redactor_new()};
	static const char config[] = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: ml}}]\n"
				     "clusters: [{name: c, cluster: {server: '" FAKE_KUBE_SERVER "'}}]\nusers: [{name: u, user: {token: the-token}}]\n";
	struct err err = {0};
	fake_clock_init(&s->clock);
	fake_http_handler(&s->fake, &s->clock, fake_kube_handle, &s->server);
	scratch_write(s->folder, "kc", config, strlen(config));
	s->items[0] = s->listed = mem_format("KUBECONFIG=%s/kc", s->folder);
	s->env.items = s->items;
	s->settings = read_text("{\"namespace\":\"ml\"}");
	const struct target_context context = {.service = "fraud",
		.env = "prod",
		.settings = s->settings->root,
		.environment = &s->env,
		.clock = &s->clock.clock,
		.http = &s->fake.http,
		.redact = s->redact};
	s->k = mem_zero(1, target_find("kubernetes")->state_size);
	if (target_find("kubernetes")->open(s->k, &context, &err) != 0)
		fail_msg("%s", err.message);
	fake_kube_put(&s->server, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"kube-system\"}}");
	fake_kube_put(&s->server, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ml\"}}");
	put_head(&s->server, "7");
}

static void end(struct scene *s) {
	target_find("kubernetes")->close(s->k);
	free(s->k);
	fake_http_end(&s->fake);
	fake_kube_clear(&s->server);
	redactor_free(s->redact);
	document_free(s->settings);
	scratch_free(s->folder);
	free(s->listed);
}
#define AUTO_SCENE __attribute__((cleanup(end)))

static struct revision revision_of(const char *name) {
	struct revision revision = {.release = 2};
	struct err err = {0};
	snprintf(revision.name, sizeof(revision.name), "%s", name);
	assert_int_equal(digest_parse(str_of(IMAGE), &revision.image, &err), 0);
	return revision;
}

#define FAILS(call, expected)                                                                                                              \
	do {                                                                                                                               \
		struct err err = {0};                                                                                                      \
		assert_int_equal(call, -1);                                                                                                \
		if (err.code != (expected))                                                                                                \
			fail_msg("code %d: %s", (int) err.code, err.message);                                                              \
	} while (0)
#define WORKS(call)                                                                                                                        \
	do {                                                                                                                               \
		struct err err = {0};                                                                                                      \
		if ((call) != 0)                                                                                                           \
			fail_msg("%s", err.message);                                                                                       \
	} while (0)

/* Deployment and Service NAME or NAME-canary. */
static char *deployment(const char *name, const char *role, const char *revision, int replicas) {
	return mem_format("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"%s\",\"labels\":{" OURS
			  ",\"mlctl.dev/role\":\"%s\",\"mlctl.dev/revision\":\"%s\"}},\"spec\":{\"replicas\":%d,\"template\":{\"spec\":{\"containers\":["
			  "{\"name\":\"runner\",\"env\":[]}]}}}}",
		name, role, revision, replicas);
}
static char *service(const char *name) {
	return mem_format("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\",\"labels\":{" OURS
			  "}},\"spec\":{\"clusterIP\":\"10.0.0.9\",\"ports\":[{\"port\":80}]}}",
		name);
}
static struct document *objects_of(const char *revision) {
	AUTO_FREE char *main = deployment("fraud", "stable", revision, 2), *canary = deployment("fraud-canary", "canary", revision, 1);
	AUTO_FREE char *one = service("fraud"), *two = service("fraud-canary");
	AUTO_FREE char *text = mem_format(
		"{\"control_secret\":\"fraud-%s\",\"replicas\":2,\"has_autoscaler\":false,\"stable\":[%s,%s],\"canary\":[%s,%s]}", revision, one, main, two, canary);
	return read_text(text);
}
static void put_main(struct scene *s, const char *revision, int replicas) {
	AUTO_FREE char *main = deployment("fraud", "stable", revision, replicas), *front = service("fraud");
	fake_kube_put(&s->server, main);
	fake_kube_put(&s->server, front);
}
static void put_canary(struct scene *s, const char *revision) {
	AUTO_FREE char *canary = deployment("fraud-canary", "canary", revision, 1), *front = service("fraud-canary");
	fake_kube_put(&s->server, canary);
	fake_kube_put(&s->server, front);
}
static void put_labelled(struct scene *s, const char *version, const char *kind, const char *name, const char *more_labels, const char *rest) {
	AUTO_FREE char *json = mem_format("{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\",\"labels\":{" OURS "%s}}%s}", version, kind, name,
		more_labels, rest);
	fake_kube_put(&s->server, json);
}
/* One of another manager's, that only looks like ours by its name. */
static void put_foreign(struct scene *s, const char *version, const char *kind, const char *name) {
	AUTO_FREE char *json = mem_format("{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"x\"}},\"spec\":{}}", version, kind,
		name);
	fake_kube_put(&s->server, json);
}
static void put_pod(struct scene *s, const char *name, const char *role, const char *revision, const char *metadata, const char *status) {
	AUTO_FREE char *json = mem_format("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"labels\":{" OURS
					  ",\"mlctl.dev/role\":\"%s\",\"mlctl.dev/revision\":\"%s\"}%s},\"spec\":{\"containers\":[{\"name\":\"runner\",\"ports\":[{\"name\":"
					  "\"http\",\"containerPort\":8080},{\"name\":\"control\",\"containerPort\":8081}],\"env\":[{\"name\":\"MLCTL_ADMIN_KEY\","
					  "\"valueFrom\":{\"secretKeyRef\":{\"name\":\"fraud-%s\",\"key\":\"key\"}}}]}]}%s}",
		name, role, revision, metadata, revision, status);
	fake_kube_put(&s->server, json);
}
#define READY ",\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}"

static void put_key(struct scene *s, const char *revision, const char *base64) {
	AUTO_FREE char *name = mem_format("fraud-%s", revision), *labels = mem_format(",\"mlctl.dev/part\":\"control\",\"mlctl.dev/revision\":\"%s\"", revision);
	AUTO_FREE char *data = mem_format(",\"data\":{\"key\":\"%s\"}", base64);
	put_labelled(s, "v1", "Secret", name, labels, data);
}

static void fence_moves(struct fake_kube *server, const char *name) {
	put_head(server, "8");
	if (name)
		fake_kube_touch(server, "deployments", name);
}
static void only_touched(struct fake_kube *server, const char *name) {
	fake_kube_touch(server, "deployments", name);
}

/* --- the head */

static int put(struct scene *s, const char *version, char out[64], struct err *err) {
	static const char bytes[] = "{\"schema\":\"mlctl/head/1\"}";
	return kubernetes_head_put(s->k, bytes, sizeof(bytes) - 1, version, out, err);
}

static void head_is_swapped(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	char bytes[TARGET_HEAD_BYTES_MAX], first[64], second[64], read[64];
	size_t len;
	begin(&s);
	fake_kube_drop(&s.server, "configmaps", "mlctl.fraud");
	WORKS(kubernetes_head_get(s.k, bytes, &len, read, &err));
	assert_int_equal(len, 0);
	WORKS(put(&s, "", first, &err));
	FAILS(put(&s, "", second, &err), ERR_CONFLICT);
	WORKS(put(&s, first, second, &err));
	FAILS(put(&s, first, second, &err), ERR_CONFLICT);
	WORKS(kubernetes_head_get(s.k, bytes, &len, read, &err));
	assert_string_equal(read, second);
	fake_kube_drop(&s.server, "configmaps", "mlctl.fraud");
	FAILS(put(&s, second, first, &err), ERR_CONFLICT); /* destroyed meanwhile */
}

/* The swap was made and its answer lost: whoever asked must read, as the next try meets his own doing. */
static void lost_answers_are_unclear(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	char bytes[TARGET_HEAD_BYTES_MAX], version[64], other[64];
	size_t len;
	begin(&s);
	struct err ignored = {0};
	assert_int_equal(cluster_identity(s.k, &ignored), 0);
	fake_kube_drop(&s.server, "configmaps", "mlctl.fraud");
	s.fake.fail_code = ERR_NETWORK;
	s.fake.fail_was_sent = true;
	for (size_t times = 1; times <= 5; times += 4) {
		s.fake.fail_at = s.fake.started + 1;
		s.fake.fail_times = times;
		FAILS(put(&s, "", version, &err), ERR_UNCLEAR);
		WORKS(kubernetes_head_get(s.k, bytes, &len, version, &err));
		assert_true(len > 0);
		s.fake.fail_at = s.fake.started + 1;
		s.fake.fail_times = times;
		FAILS(put(&s, version, other, &err), ERR_UNCLEAR);
		fake_kube_drop(&s.server, "configmaps", "mlctl.fraud");
	}
	/* The key of a revision: made, its answer lost. It is there, and what was asked for. */
	AUTO_DOCUMENT struct document *objects = objects_of(NEXT);
	struct revision next = revision_of(NEXT);
	put_head(&s.server, "7");
	s.fake.fail_at = s.fake.started + 2; /* after the head */
	s.fake.fail_times = 1;
	WORKS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err));
	assert_non_null(fake_kube_find(&s.server, "secrets", "fraud-" NEXT));
}

static void heads_of_others(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	char bytes[TARGET_HEAD_BYTES_MAX], version[64];
	size_t len;
	begin(&s);
	fake_kube_put(&s.server, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"mlctl.fraud\",\"labels\":{\"mlctl.dev/service\":\"fraud\","
				 "\"mlctl.dev/env\":\"dev\"}},\"data\":{\"head\":\"{}\"}}");
	FAILS(kubernetes_head_get(s.k, bytes, &len, version, &err), ERR_CONFLICT);
	FAILS(check_fence(s.k, 7, &err), ERR_CONFLICT);
	WORKS(kubernetes_destroy(s.k, INT64_MAX, &err)); /* by force: nothing of it is ours */
	assert_non_null(fake_kube_find(&s.server, "configmaps", "mlctl.fraud"));
	fake_kube_put(&s.server, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"mlctl.fraud\",\"labels\":{" OURS
				 "},\"annotations\":{\"mlctl.dev/cluster\":\"cluster of-the-backup\"}},\"data\":{\"head\":\"{}\"}}");
	FAILS(kubernetes_head_get(s.k, bytes, &len, version, &err), ERR_CONFLICT);
}

/* Before anything is pushed it is told that the namespace is not there. */
static void places(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	char place[80], again[80];
	begin(&s);
	WORKS(target_find("kubernetes")->identity(s.k, place, &err));
	assert_true(strncmp(place, "cluster uid-", 12) == 0);
	WORKS(target_find("kubernetes")->identity(s.k, again, &err));
	assert_int_equal(s.server.log.count, 2);
	s.k->cluster[0] = '\0';
	fake_kube_drop(&s.server, "namespaces", "kube-system");
	WORKS(target_find("kubernetes")->identity(s.k, place, &err));
	assert_true(strncmp(place, "namespace uid-", 14) == 0);
	s.k->cluster[0] = '\0';
	fake_kube_drop(&s.server, "namespaces", "ml");
	struct err err = {0};
	assert_int_equal(target_find("kubernetes")->identity(s.k, place, &err), -1);
	assert_string_equal(err.message, "namespace ml is not there");
	assert_string_equal(err.fix, "kubectl create namespace ml");
	s.server.refused = "namespaces";
	FAILS(target_find("kubernetes")->identity(s.k, place, &err), ERR_AUTH);
}

/* --- stage and route */

static void without_the_fence_nothing_is_written(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *objects = objects_of(NEXT);
	struct revision next = revision_of(NEXT), main = revision_of(MAIN);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_main(&s, MAIN, 2);
	put_canary(&s, NEXT);
	for (int i = 0; i < 2; i++) {
		FAILS(kubernetes_stage(s.k, 6, &next, objects->root, 1, NULL, &err), ERR_LOCKED);
		FAILS(kubernetes_route(s.k, 6, &main, &next, objects->root, 100, 60, &err), ERR_LOCKED);
		FAILS(kubernetes_route(s.k, 6, &main, &next, objects->root, 10, 60, &err), ERR_LOCKED);
		FAILS(kubernetes_route(s.k, 6, NULL, &main, objects->root, 0, 60, &err), ERR_LOCKED);
		FAILS(kubernetes_retire(s.k, 6, &next, false, &err), ERR_LOCKED);
		FAILS(kubernetes_destroy(s.k, 6, &err), ERR_LOCKED);
		if (i == 0)
			fake_kube_drop(&s.server, "configmaps", "mlctl.fraud"); /* and any while there is no head */
	}
	assert_int_equal(fake_kube_writes(&s.server), 0);
	assert_int_equal(fake_kube_at(&s.server, "PUT pods", 0), SIZE_MAX);
}

static void objects_are_read_before_the_fence(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *objects = objects_of(NEXT);
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	WORKS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err));
	size_t key = fake_kube_at(&s.server, "POST secrets?", 0), read = fake_kube_at(&s.server, "GET deployments/fraud-canary", 0);
	size_t fence = fake_kube_at(&s.server, "GET configmaps/mlctl.fraud", read), write = fake_kube_at(&s.server, "PATCH deployments/fraud-canary", 0);
	assert_true(fake_kube_at(&s.server, "GET configmaps/mlctl.fraud", 0) < key);
	assert_true(key < read && read < fence && fence < write && write != SIZE_MAX);
	assert_true(fake_kube_at(&s.server, "PATCH services/fraud-canary", 0) > fence);
	const struct value *made = fake_kube_find(&s.server, "deployments", "fraud-canary"), *secret = fake_kube_find(&s.server, "secrets", "fraud-" NEXT);
	assert_true(str_equal(object_annotation(value_find(made, "spec.template"), ANNOTATION_KEY), object_text(secret, "metadata.uid")));
	assert_true(str_is(object_annotation(made, ANNOTATION_FENCE), "7"));
	/* Again: the same key, and the same pods. */
	AUTO_FREE char *uid = str_dup(object_text(secret, "metadata.uid"));
	WORKS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err));
	made = fake_kube_find(&s.server, "deployments", "fraud-canary");
	assert_true(str_is(object_annotation(value_find(made, "spec.template"), ANNOTATION_KEY), uid));
}

static void what_is_not_ours_is_not_touched(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *objects = objects_of(NEXT);
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_foreign(&s, "v1", "Service", "fraud-canary");
	FAILS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err), ERR_CONFLICT);
	assert_int_equal(fake_kube_at(&s.server, "PATCH services/fraud-canary", 0), SIZE_MAX);
	fake_kube_drop(&s.server, "services", "fraud-canary");
	fake_kube_drop(&s.server, "secrets", "fraud-" NEXT);
	put_foreign(&s, "v1", "Secret", "fraud-" NEXT);
	FAILS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err), ERR_CONFLICT);
	assert_int_equal(fake_kube_at(&s.server, "PATCH deployments/fraud-canary", 0), SIZE_MAX);
}

static void writes_in_between(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *objects = objects_of(NEXT);
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_canary(&s, MAIN);
	s.server.meddle = only_touched; /* a controller: once more */
	s.server.meddle_name = "fraud-canary";
	s.server.when = "PATCH deployments/fraud-canary";
	WORKS(kubernetes_stage(s.k, 7, &next, objects->root, 1, NULL, &err));
	assert_true(str_is(object_label(fake_kube_find(&s.server, "deployments", "fraud-canary"), LABEL_REVISION), NEXT));
	s.server.meddle = fence_moves; /* another deploy: ours is over */
	s.server.when = "PATCH deployments/fraud-canary";
	AUTO_DOCUMENT struct document *late = objects_of(OTHER);
	struct revision other = revision_of(OTHER);
	FAILS(kubernetes_stage(s.k, 7, &other, late->root, 1, NULL, &err), ERR_LOCKED);
	assert_true(str_is(object_label(fake_kube_find(&s.server, "deployments", "fraud-canary"), LABEL_REVISION), NEXT));
}

/* --- retire and destroy */

static void the_canary_goes(void **state) {
	(void) state;
	struct revision next = revision_of(NEXT), main = revision_of(MAIN);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_main(&s, MAIN, 2);
	put_canary(&s, NEXT);
	put_key(&s, NEXT, "a2V5");
	put_key(&s, MAIN, "a2V5");
	FAILS(kubernetes_retire(s.k, 7, &main, false, &err), ERR_CONFLICT); /* it gets traffic */
	assert_int_equal(fake_kube_writes(&s.server), 0);
	s.server.meddle = only_touched;
	s.server.meddle_name = "fraud-canary";
	s.server.when = "DELETE deployments/fraud-canary";
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err));
	assert_null(fake_kube_find(&s.server, "deployments", "fraud-canary"));
	assert_null(fake_kube_find(&s.server, "services", "fraud-canary"));
	assert_null(fake_kube_find(&s.server, "secrets", "fraud-" NEXT));
	assert_non_null(fake_kube_find(&s.server, "secrets", "fraud-" MAIN));
	assert_non_null(fake_kube_find(&s.server, "deployments", "fraud"));
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err)); /* again */
}

/* A laptop that slept between the look at the fence and the delete must not take away what another deploy has put there meanwhile. */
static void whoever_slept_deletes_nothing(void **state) {
	(void) state;
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_main(&s, MAIN, 2);
	put_canary(&s, NEXT);
	s.server.meddle = fence_moves;
	s.server.meddle_name = "fraud-canary";
	s.server.when = "DELETE deployments/fraud-canary";
	FAILS(kubernetes_retire(s.k, 7, &next, false, &err), ERR_LOCKED);
	assert_non_null(fake_kube_find(&s.server, "deployments", "fraud-canary"));
	/* The first release failed and goes with all that is beside it; the list is made, and then somebody deploys. */
	fake_kube_drop(&s.server, "deployments", "fraud");
	put_head(&s.server, "7");
	s.server.meddle_name = NULL;
	s.server.when = "GET ingresses?";
	FAILS(kubernetes_retire(s.k, 7, &next, false, &err), ERR_LOCKED);
	put_head(&s.server, "7");
	s.server.when = "GET ingresses?";
	FAILS(kubernetes_destroy(s.k, 7, &err), ERR_LOCKED);
	put_head(&s.server, "7");
	s.server.when = "DELETE configmaps/mlctl.fraud";
	assert_non_null(fake_kube_find(&s.server, "services", "fraud"));
	FAILS(kubernetes_destroy(s.k, 7, &err), ERR_LOCKED);
	assert_non_null(fake_kube_find(&s.server, "configmaps", "mlctl.fraud"));
}

static void all_of_it_goes_and_nothing_else(void **state) {
	(void) state;
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_canary(&s, NEXT);
	put_key(&s, NEXT, "a2V5");
	put_labelled(&s, "v1", "Secret", "mlctl.fraud.r1", ",\"mlctl.dev/part\":\"keep\"", ",\"data\":{}");
	put_labelled(&s, "networking.k8s.io/v1", "NetworkPolicy", "fraud", "", ",\"spec\":{}");
	put_foreign(&s, "v1", "Service", "fraud");
	put_foreign(&s, "v1", "ConfigMap", "fraud");
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err)); /* NAME was never made */
	assert_null(fake_kube_find(&s.server, "deployments", "fraud-canary"));
	assert_null(fake_kube_find(&s.server, "networkpolicies", "fraud"));
	assert_null(fake_kube_find(&s.server, "secrets", "fraud-" NEXT));
	assert_non_null(fake_kube_find(&s.server, "secrets", "mlctl.fraud.r1"));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "mlctl.fraud"));
	s.server.refused = "httproutes"; /* no such kind in the Role: nothing of it is ours */
	put_canary(&s, NEXT);
	WORKS(kubernetes_destroy(s.k, 7, &err));
	assert_null(fake_kube_find(&s.server, "deployments", "fraud-canary"));
	assert_null(fake_kube_find(&s.server, "secrets", "mlctl.fraud.r1"));
	assert_null(fake_kube_find(&s.server, "configmaps", "mlctl.fraud"));
	assert_string_equal(s.server.log.items[s.server.log.count - 1], "DELETE configmaps/mlctl.fraud");
	assert_non_null(fake_kube_find(&s.server, "services", "fraud"));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "fraud"));
}

/* What can't be seen would stay, and with the head gone nobody would know. */
static void destroy_that_may_not_look(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	begin(&s);
	put_main(&s, MAIN, 2);
	s.server.refused = "deployments";
	FAILS(kubernetes_destroy(s.k, 7, &err), ERR_AUTH);
	assert_int_equal(fake_kube_writes(&s.server), 0);
}

static void keep(struct scene *s, int release, const char *revision, const char *objects) {
	AUTO_DOCUMENT struct document *record = document_new("record"), *kept = document_new("kept"), *tree = objects_of(revision);
	AUTO_DOCUMENT struct document *more = read_text(objects);
	AUTO_FREE char *inner = NULL, *text = NULL;
	value_each(object, more->root)
		value_add_copy(tree, (struct value *) value_get(tree->root, "stable"), NULL, object);
	value_add_copy(record, value_root_object(record), "objects", tree->root);
	WORKS(json_write(record->root, JSON_COMPACT, &inner, &err));
	value_add_text(kept, value_root_object(kept), "record", inner);
	WORKS(json_write(kept->root, JSON_COMPACT, &text, &err));
	WORKS(kubernetes_keep_put(s->k, release, text, &err));
	AUTO_FREE char *back = NULL;
	WORKS(kubernetes_keep_get(s->k, release, &back, &err));
	assert_string_equal(back, text);
}

static void what_no_release_names_is_pruned(void **state) {
	(void) state;
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_main(&s, MAIN, 2);
	keep(&s, 1, OTHER, "[{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"old\"}}]");
	keep(&s, 2, MAIN, "[{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"now\"}},{\"kind\":\"PodDisruptionBudget\",\"metadata\":{\"name\":\"now\"}}]");
	static const char *const names[] = {"old", "now", "forgotten"};
	for (size_t i = 0; i < 3; i++) {
		put_labelled(&s, "v1", "ConfigMap", names[i], "", "");
		put_labelled(&s, "policy/v1", "PodDisruptionBudget", names[i], "", "");
	}
	put_labelled(&s, "monitoring.coreos.com/v1", "PrometheusRule", "fraud-own", "", ""); /* of a template that is gone */
	put_labelled(&s, "v1", "Service", "fraud-own", "", "");
	put_canary(&s, OTHER);
	put_labelled(&s, "v1", "Secret", "mlctl.fraud.r9", ",\"mlctl.dev/part\":\"keep\"", ",\"data\":{\"release\":\"bm8=\"}");
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "forgotten")); /* r9 can't be read, and may name it */
	assert_null(fake_kube_find(&s.server, "poddisruptionbudgets", "forgotten"));
	assert_null(fake_kube_find(&s.server, "poddisruptionbudgets", "old"));
	assert_non_null(fake_kube_find(&s.server, "poddisruptionbudgets", "now"));
	assert_null(fake_kube_find(&s.server, "prometheusrules", "fraud-own"));
	assert_null(fake_kube_find(&s.server, "services", "fraud-own"));
	assert_non_null(fake_kube_find(&s.server, "services", "fraud"));
	assert_non_null(fake_kube_find(&s.server, "services", "fraud-canary")); /* another canary's may be on its way */
	fake_kube_drop(&s.server, "secrets", "mlctl.fraud.r9");
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err));
	assert_null(fake_kube_find(&s.server, "configmaps", "forgotten"));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "old"));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "now"));
	assert_non_null(fake_kube_find(&s.server, "configmaps", "mlctl.fraud"));
}

/* --- pods */

struct answers { /* of every pod */
	const char *key, *info, *metrics, *logs;
	struct scene *s;
	int asked;
};

static void pod_answers(void *self, const char *pod, const struct http_request *request, struct http_answer *answer) {
	struct answers *answers = self;
	AUTO_FREE char *key = fake_header(request, "Mlctl-Key");
	answers->asked++;
	if (strstr(request->url, "/log?"))
		fake_answer(answer, 200, "", answers->logs);
	else if (key && answers->key && strcmp(key, answers->key) != 0)
		fake_answer(answer, 401, "", "no");
	else if (strstr(request->url, "/metrics"))
		fake_answer(answer, 200, "", strstr(pod, "foreign") ? "mlctl_build_info{revision=\"" OTHER "\"} 1\n" : answers->metrics);
	else
		fake_answer(answer, 200, "", answers->info);
}
#define INFO(revision) "{\"revision\":\"" revision "\",\"image\":\"" IMAGE "\",\"ready\":true}"

static void observe(struct scene *s, const char *revision, struct observed *out) {
	struct revision of = revision_of(revision);
	WORKS(kubernetes_observe(s->k, &of, out, &err));
}

/* --- the share of a server that hands nothing on */

static void put_plain_pod(struct scene *s, const char *name, const char *role, const char *revision) {
	AUTO_FREE char *json = mem_format("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"labels\":{" OURS
					  ",\"mlctl.dev/role\":\"%s\",\"mlctl.dev/revision\":\"%s\"}},\"spec\":{\"containers\":[{\"name\":\"server\",\"ports\":["
					  "{\"name\":\"http\",\"containerPort\":8080}]}]}" READY "}",
		name, role, revision);
	fake_kube_put(&s->server, json);
}
#define BACKEND(name, weight) "{\"kind\":\"Service\",\"name\":\"" name "\",\"port\":80,\"weight\":" #weight "}"
#define ROUTE_REST(backends) ",\"spec\":{\"rules\":[{\"backendRefs\":[" backends "]}]}"

static void put_routed(struct scene *s, const char *backends) {
	AUTO_FREE char *spec = mem_format(ROUTE_REST("%s"), backends);
	put_main(s, MAIN, 2);
	put_canary(s, NEXT);
	put_plain_pod(s, "fraud-a", "stable", MAIN);
	put_plain_pod(s, "fraud-canary-a", "canary", NEXT);
	put_labelled(s, "v1", "Service", "fraud", "", ",\"spec\":{\"selector\":{\"mlctl.dev/role\":\"stable\"}}");
	put_labelled(s, "gateway.networking.k8s.io/v1", "HTTPRoute", "fraud", "", spec);
}
#define ROUTE(backends) "[{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\",\"metadata\":{\"name\":\"fraud\",\"labels\":{" OURS "}}" ROUTE_REST(backends) "}]"

/* "fraud 9000, fraud-canary 1000" */
static char *weights_of(const struct scene *s) {
	struct buf text = BUF(1000);
	value_each(rule, value_find(fake_kube_find(&s->server, "httproutes", "fraud"), "spec.rules"))
		value_each(backend, value_get(rule, "backendRefs"))
			buf_format(&text, "%s%.*s %lld", text.len ? ", " : "", STR_ARGS(object_text(backend, "name")), (long long) object_int(backend, "weight", -1));
	return text.ptr;
}
static void expect_weights(const struct scene *s, const char *expected) {
	AUTO_FREE char *text = weights_of(s);
	assert_string_equal(text, expected);
}

static void a_route_has_weights(void **state) {
	(void) state;
	struct revision main = revision_of(MAIN), next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	begin(&s);
	put_routed(&s, BACKEND("fraud", 1) "," BACKEND("maintenance", 2));
	FAILS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err), ERR_CONFLICT); /* what would be applied is not known */
	keep(&s, 1, MAIN, ROUTE(BACKEND("fraud", 1) "," BACKEND("maintenance", 2)));
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err));
	expect_weights(&s, "fraud 9000, maintenance 20000, fraud-canary 1000");
	size_t writes = fake_kube_writes(&s.server);
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err)); /* a refresh */
	assert_int_equal(fake_kube_writes(&s.server), writes);
	observe(&s, NEXT, seen);
	assert_true(seen->weight > 9.99 && seen->weight < 10.01);
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 0.5, 60, &err));
	expect_weights(&s, "fraud 9950, maintenance 20000, fraud-canary 50");
	FAILS(kubernetes_route(s.k, 6, &main, &next, NULL, 0, 60, &err), ERR_LOCKED);
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 0, 60, &err));
	expect_weights(&s, "fraud 1, maintenance 2");
	/* A release with another expose.port: its canary's Service has that one. */
	put_labelled(&s, "v1", "Service", "fraud-canary", "", ",\"spec\":{\"ports\":[{\"name\":\"http\",\"port\":8088}]}");
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err));
	const struct value *rule = value_at(value_find(fake_kube_find(&s.server, "httproutes", "fraud"), "spec.rules"), 0);
	assert_int_equal(object_int(value_at(value_get(rule, "backendRefs"), 0), "port", 0), 80);
	assert_int_equal(object_int(value_at(value_get(rule, "backendRefs"), 2), "port", 0), 8088);
}

/* Cut in the middle, it would lead to nobody once the canary is gone. */
static void a_route_ends_before_its_canary(void **state) {
	(void) state;
	struct revision next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	begin(&s);
	put_routed(&s, BACKEND("fraud", 9000) "," BACKEND("fraud-canary", 1000));
	keep(&s, 1, MAIN, ROUTE(BACKEND("fraud", 1)));
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err));
	expect_weights(&s, "fraud 1");
	assert_null(fake_kube_find(&s.server, "deployments", "fraud-canary"));
	assert_true(fake_kube_at(&s.server, "PATCH httproutes/fraud", 0) < fake_kube_at(&s.server, "DELETE deployments/fraud-canary", 0));
	/* Somebody took the canary away. */
	put_routed(&s, BACKEND("fraud", 9000) "," BACKEND("fraud-canary", 1000));
	fake_kube_drop(&s.server, "deployments", "fraud-canary");
	WORKS(kubernetes_retire(s.k, 7, &next, false, &err));
	expect_weights(&s, "fraud 1");
}

/* Without a route that divides, the Service's pods of both do. */
static void no_route_of_ours(void **state) {
	(void) state;
	struct revision main = revision_of(MAIN), next = revision_of(NEXT);
	struct scene s AUTO_SCENE;
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	begin(&s);
	put_routed(&s, BACKEND("fraud", 1));
	put_labelled(&s, "v1", "Service", "fraud", "", ",\"spec\":{\"selector\":{}}"); /* as an earlier version, which had no route, left it */
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err));
	observe(&s, NEXT, seen);
	assert_true(seen->weight > 49 && seen->weight < 51);
	put_labelled(&s, "v1", "Service", "fraud", "", ",\"spec\":{\"selector\":{\"mlctl.dev/role\":\"stable\"}}");
	s.server.refused = "httproutes";
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err));
	s.server.refused = NULL;
	fake_kube_drop(&s.server, "httproutes", "fraud");
	put_foreign(&s, "gateway.networking.k8s.io/v1", "HTTPRoute", "fraud");
	WORKS(kubernetes_route(s.k, 7, &main, &next, NULL, 10, 60, &err));
	assert_int_equal(fake_kube_writes(&s.server), 0);
}

static void a_key_that_changed(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct answers answers = {.key = "key", .info = INFO(MAIN)};
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	begin(&s);
	s.server.pod = pod_answers;
	s.server.pod_self = &answers;
	put_main(&s, MAIN, 1);
	put_pod(&s, "fraud-a", "stable", MAIN, "", READY);
	put_key(&s, MAIN, "a2V5");
	observe(&s, MAIN, seen);
	assert_int_equal(seen->replicas[0].state, REPLICA_READY);
	answers.key = "another"; /* the pod was started with another one: told, and the Secret is read again */
	observe(&s, MAIN, seen);
	assert_int_equal(seen->replicas[0].state, REPLICA_STARTING);
	assert_non_null(strstr(seen->replicas[0].reason, "another key"));
	put_key(&s, MAIN, "YW5vdGhlcg==");
	observe(&s, MAIN, seen);
	assert_int_equal(seen->replicas[0].state, REPLICA_READY);
}

/* Whoever only looks hears with the head what he asks for next; a moment later it is asked again, and by whoever changes something always. */
static void who_only_looks(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	AUTO_TEXTS struct texts changed = {0};
	AUTO_DOCUMENT struct document *objects = objects_of(MAIN);
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	char head[TARGET_HEAD_BYTES_MAX], version[64];
	size_t len;
	begin(&s);
	put_main(&s, MAIN, 5);
	s.k->context.is_looking = true;
	WORKS(kubernetes_head_get(s.k, head, &len, version, &err));
	assert_true(fake_kube_at(&s.server, "GET deployments/fraud", 0) < 7 && fake_kube_at(&s.server, "GET pods?", 0) < 7);
	size_t before = s.fake.started;
	WORKS(kubernetes_drift(s.k, objects->root, &changed, &err));
	assert_int_equal(s.fake.started, before + 2); /* the Service, the key */
	assert_string_equal(changed.items[0], "Deployment fraud spec.replicas: 2, there 5");
	observe(&s, MAIN, seen);
	assert_true(fake_kube_at(&s.server, "GET deployments/fraud-canary", before) == SIZE_MAX);
	assert_int_equal(seen->desired, 5);
	put_main(&s, MAIN, 6);
	s.clock.mono_ms += MOMENT_MS;
	observe(&s, MAIN, seen);
	assert_int_equal(seen->desired, 6);
	put_main(&s, MAIN, 7);
	s.k->context.is_looking = false;
	observe(&s, MAIN, seen);
	assert_int_equal(seen->desired, 7);
}

/* A Secret that somebody spoilt hides the pods of its revision, and no others. */
static void a_key_that_is_none(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct answers answers = {.key = "key", .info = INFO(MAIN)};
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	begin(&s);
	s.server.pod = pod_answers;
	s.server.pod_self = &answers;
	put_main(&s, MAIN, 1);
	put_pod(&s, "fraud-a", "stable", MAIN, "", READY);
	put_key(&s, MAIN, "!!");
	observe(&s, MAIN, seen);
	assert_int_equal(seen->replicas[0].state, REPLICA_STARTING);
	assert_non_null(strstr(seen->replicas[0].reason, "data.key"));
	fake_kube_drop(&s.server, "secrets", "fraud-" MAIN);
	observe(&s, MAIN, seen);
	assert_non_null(strstr(seen->replicas[0].reason, "is not there"));
}

static void odd_pods(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct answers answers = {.info = INFO(MAIN)};
	AUTO_FREE struct observed *seen = mem_zero(1, sizeof(*seen));
	begin(&s);
	s.server.pod = pod_answers;
	s.server.pod_self = &answers;
	put_main(&s, MAIN, 2);
	put_key(&s, MAIN, "a2V5");
	put_pod(&s, "fraud-leaving", "stable", MAIN, ",\"deletionTimestamp\":\"2026-11-21T10:00:00Z\"", READY);
	put_pod(&s, "fraud-new", "stable", MAIN, "", "");
	put_pod(&s, "fraud-old", "stable", OTHER, "", READY);
	put_pod(&s, "fraud-ready", "stable", MAIN, "", READY);
	observe(&s, MAIN, seen);
	assert_int_equal(seen->count, 2);
	assert_string_equal(seen->replicas[0].name, "fraud-new");
	assert_int_equal(seen->replicas[0].state, REPLICA_STARTING);
	assert_int_equal(seen->replicas[1].state, REPLICA_READY);
	assert_true(seen->weight == 50);
	/* So many evicted ones that those which run would be past the end of what fits. */
	for (int i = 0; i < PODS_MAX + 20; i++) {
		AUTO_FREE char *name = mem_format("evicted-%03d", i);
		put_pod(&s, name, "stable", MAIN, "", ",\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}");
	}
	fake_kube_drop(&s.server, "pods", "fraud-ready");
	put_pod(&s, "fraud-ready", "stable", MAIN, "", READY); /* the last of the list */
	for (int i = 0; i < 100; i++) { /* and as many that don't get ready: a few tell of all */
		AUTO_FREE char *name = mem_format("pending-%03d", i);
		put_pod(&s, name, "stable", MAIN, "", ",\"status\":{\"phase\":\"Pending\"}");
	}
	size_t before = s.fake.started;
	observe(&s, MAIN, seen);
	size_t ready = 0;
	for (size_t i = 0; i < seen->count; i++)
		ready += seen->replicas[i].state == REPLICA_READY;
	assert_int_equal(ready, 1);
	assert_int_equal(seen->count, 103); /* an evicted one tells why its successors may go the same way */
	assert_true(s.fake.started - before < 100);
}

#define METRICS(revision, failed)                                                                                                          \
	"mlctl_build_info{revision=\"" revision "\"} 1\nprocess_start_time_seconds 5\nmlctl_requests_total{code=\"200\"} 9\n"             \
	"mlctl_request_duration_seconds_bucket{le=\"0.1\"} 9\nmlctl_request_duration_seconds_bucket{le=\"+Inf\"} 9\n"                      \
	"mlctl_handover_total{result=\"ok\"} 8\nmlctl_handover_total{result=\"failed\"} " #failed "\n"

static void samples(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct answers answers = {.metrics = METRICS(NEXT, 3)};
	AUTO_FREE struct sample *got = mem_zero(TARGET_REPLICAS_MAX, sizeof(*got));
	struct revision next = revision_of(NEXT);
	size_t count = 0;
	begin(&s);
	s.server.pod = pod_answers;
	s.server.pod_self = &answers;
	put_main(&s, MAIN, 1);
	put_canary(&s, NEXT);
	put_key(&s, MAIN, "a2V5");
	put_key(&s, NEXT, "a2V5");
	put_pod(&s, "canary-a", "canary", NEXT, "", READY);
	put_pod(&s, "foreign-b", "canary", NEXT, "", READY); /* answers as another revision: none of its numbers count */
	WORKS(kubernetes_sample(s.k, &next, got, &count, &err));
	assert_int_equal(count, 1);
	assert_string_equal(got[0].replica, "canary-a");
	assert_true(got[0].requests == 9 && got[0].handed_on + got[0].failed_handovers < 1);
	answers.metrics = METRICS(MAIN, 3); /* now they all say that they are the stable one's: only its hand-overs count */
	sample_clear(&got[0]);
	put_pod(&s, "stable-c", "stable", MAIN, "", READY);
	s.clock.clock.sleep_ms(s.clock.clock.self, 10000);
	for (int i = 0; i < 3; i++) { /* until the mirror has heard of it */
		for (size_t n = 0; n < count; n++)
			sample_clear(&got[n]);
		struct http_event event;
		WORKS(http_step(&s.fake.http, s.clock.mono_ms + 5000, &event, &err));
		WORKS(kubernetes_sample(s.k, &next, got, &count, &err));
	}
	bool has_handover = false;
	for (size_t i = 0; i < count; i++) {
		has_handover = has_handover || (strcmp(got[i].replica, "handover@stable-c") == 0 && got[i].handed_on == 8 && got[i].failed_handovers == 3);
		assert_true(got[i].requests == 0);
		sample_clear(&got[i]);
	}
	assert_true(has_handover);
}

static int times(const struct texts *texts, const char *text) {
	int found = 0;
	for (size_t i = 0; i < texts->count; i++)
		found += strcmp(texts->items[i], text) == 0;
	return found;
}

static void follow(struct scene *s, struct answers *answers, const char *logs, char cursor[64], struct texts *out) {
	answers->logs = logs;
	WORKS(target_find("kubernetes")->logs(s->k, NULL, 50, out, cursor, &err));
}

/* A pod that has said nothing yet, one that says something while another is read, and a mesh's container beside ours. */
static void logs_that_are_followed(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	struct answers answers = {0};
	AUTO_TEXTS struct texts lines = {0};
	char cursor[64] = "";
	begin(&s);
	s.server.pod = pod_answers;
	s.server.pod_self = &answers;
	put_pod(&s, "a", "stable", MAIN, "", READY);
	follow(&s, &answers, "", cursor, &lines);
	assert_non_null(strstr(s.server.urls.items[s.server.urls.count - 1], "container=runner"));
	assert_true(cursor[0] != '\0');
	follow(&s, &answers, "2026-11-21T10:00:01.000000000Z one\n", cursor, &lines);
	assert_null(strstr(s.server.urls.items[s.server.urls.count - 1], "sinceTime"));
	put_pod(&s, "b", "stable", MAIN, "", READY);
	follow(&s, &answers, "2026-11-21T10:00:01.000000000Z one\n2026-11-21T10:00:02.000000000Z two\n", cursor, &lines);
	assert_non_null(strstr(s.server.urls.items[s.server.urls.count - 2], "sinceTime=2026-11-21T10%3A00%3A01"));
	assert_int_equal(times(&lines, "a: one"), 1);
	assert_int_equal(times(&lines, "a: two"), 1);
	assert_int_equal(times(&lines, "b: one"), 1);
	assert_int_equal(lines.count, 4);
}

/* Of our own objects, whatever else is in the namespace and however it is called. */
static void events_of_ours(void **state) {
	(void) state;
	struct scene s AUTO_SCENE;
	AUTO_TEXTS struct texts out = {0};
	begin(&s);
	put_pod(&s, "fraud-a", "stable", MAIN, "", "");
	for (int i = 0; i < 300; i++) {
		AUTO_FREE char *json = mem_format("{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e%03d\"},\"involvedObject\":{\"kind\":"
						  "\"Pod\",\"name\":\"%s\"},\"lastTimestamp\":\"T\",\"reason\":\"R\",\"message\":\"m\",\"count\":2}",
			i, i == 299 ? "fraud-a" : "fraud-detector-x");
		fake_kube_put(&s.server, json);
	}
	WORKS(target_find("kubernetes")->events(s.k, &out, &err));
	assert_int_equal(out.count, 1);
	assert_string_equal(out.items[0], "T Pod/fraud-a R 2x: m");
}

/* The first of several is forgotten and another takes the free place: each still has its own text. */
static void keys_that_are_forgotten(void **state) {
	(void) state;
	struct kubernetes *k = NEW(struct kubernetes);
	static const char *const names[] = {"one", "two", "three"};
	for (; k->key_count < 3; k->key_count++) {
		snprintf(k->keys[k->key_count].name, KUBE_NAME_MAX, "%s", names[k->key_count]);
		secret_set(&k->keys[k->key_count].key, str_of(names[k->key_count]), NULL);
	}
	control_forget(k, STR("one"));
	control_forget(k, STR("nobody"));
	assert_int_equal(k->key_count, 2);
	secret_set(&k->keys[k->key_count].key, STR("four"), NULL); /* as the next that is read does */
	assert_string_equal(k->keys[0].name, "three");
	assert_string_equal(k->keys[0].key.text, "three");
	assert_string_equal(k->keys[1].key.text, "two");
	for (size_t i = 0; i < 3; i++)
		secret_clear(&k->keys[i].key);
	free(k);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_is_swapped),
		cmocka_unit_test(lost_answers_are_unclear),
		cmocka_unit_test(heads_of_others),
		cmocka_unit_test(places),
		cmocka_unit_test(without_the_fence_nothing_is_written),
		cmocka_unit_test(objects_are_read_before_the_fence),
		cmocka_unit_test(what_is_not_ours_is_not_touched),
		cmocka_unit_test(writes_in_between),
		cmocka_unit_test(the_canary_goes),
		cmocka_unit_test(whoever_slept_deletes_nothing),
		cmocka_unit_test(all_of_it_goes_and_nothing_else),
		cmocka_unit_test(destroy_that_may_not_look),
		cmocka_unit_test(what_no_release_names_is_pruned),
		cmocka_unit_test(a_route_has_weights),
		cmocka_unit_test(a_route_ends_before_its_canary),
		cmocka_unit_test(no_route_of_ours),
		cmocka_unit_test(who_only_looks),
		cmocka_unit_test(a_key_that_changed),
		cmocka_unit_test(a_key_that_is_none),
		cmocka_unit_test(odd_pods),
		cmocka_unit_test(samples),
		cmocka_unit_test(logs_that_are_followed),
		cmocka_unit_test(events_of_ours),
		cmocka_unit_test(keys_that_are_forgotten),
	};
	return cmocka_run_group_tests_name("target_kubernetes", tests, NULL, NULL);
}
