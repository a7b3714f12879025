#include "kube/client.h"

#include "fakes/fake_http.h"
#include "scratch.h"

#include <signal.h>

#define SERVER "https://h:6443"
#define CORE SERVER "/api/v1/namespaces/ml/"
#define APPS SERVER "/apis/apps/v1/namespaces/ml/"
#define QUERY "?fieldManager=mlctl&force=false&fieldValidation=Strict"

/* A client in front of a script. */
struct scene {
	struct fake_clock clock;
	struct fake_http fake;
	struct redactor *redact;
	char *folder, *listed, *items[2];
	struct env env;
	struct texts warnings;
	struct kube *kube;
};

static void warned(void *self, const char *text) {
	texts_add(self, text);
}

static void begin_as(struct scene *s, const char *user, const struct fake_turn *turns, size_t count) {
	*s = (struct scene){.folder = scratch_new(), .redact = redactor_new()};
	fake_clock_init(&s->clock);
	fake_http_script(&s->fake, &s->clock, turns, count);
	AUTO_FREE char *text = mem_format("current-context: prod\ncontexts: [{name: prod, context: {cluster: c, user: u, namespace: ml}}]\n"
					  "clusters: [{name: c, cluster: {server: '" SERVER "'}}]\nusers: [{name: u, user: {%s}}]\n",
		user);
	scratch_write(s->folder, "kc", text, strlen(text));
	s->items[0] = s->listed = mem_format("KUBECONFIG=%s/kc", s->folder);
	s->env.items = s->items;
	const struct kube_options options = {.http = &s->fake.http,
		.clock = &s->clock.clock,
		.env = &s->env,
		.redact = s->redact,
		.warn = warned,
		.warn_self = &s->warnings};
	struct err err = {0};
	if (kube_open(&options, &s->kube, &err) != 0)
		fail_msg("%s", err.message);
}
#define BEGIN(scene, turns) begin_as(scene, "token: the-token", turns, sizeof(turns) / sizeof((turns)[0]))

static void end(struct scene *s) {
	kube_close(s->kube);
	fake_http_end(&s->fake);
	redactor_free(s->redact);
	texts_clear(&s->warnings);
	scratch_free(s->folder);
	free(s->listed);
}

static struct document *object_of(const char *text) {
	struct document *document = NULL;
	struct err err = {0};
	if (json_read("object", str_of(text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s", err.message);
	return document;
}

#define WEB                                                                                                                                \
	"{\"apiVersion\":\"apps/"                                                                                                          \
	"v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":2,\"template\":{\"spec\":{\"containers\":"    \
	"[{\"name\":\"c\",\"image\":\"x:2\"}]}}}}"

static void reads_one(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {{.method = "GET",
							 .url = APPS "deployments/web",
							 .header = "Authorization: Bearer the-token",
							 .status = 200,
							 .answer = "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"}}"},
		{.method = "GET",
			.url = SERVER "/api/v1/nodes/n.1",
			.header = "Accept: application/json",
			.status = 200,
			.answer = "{\"metadata\":{}}"}};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *web = NULL, *node = NULL;
	assert_int_equal(kube_get(s.kube, "Deployment", "web", &web, &err), 0);
	assert_non_null(value_find(web->root, "metadata.name"));
	assert_int_equal(kube_get(s.kube, "Node", "n.1", &node, &err), 0);
	assert_string_equal(kube_namespace(s.kube), "ml");
	assert_string_equal(kube_context(s.kube), "prod");
	assert_string_equal(kube_server(s.kube), SERVER);
	end(&s);
}

/* Ages of objects are taken from the server's clock: two minutes ahead of ours here, then set back by an hour. */
static void the_servers_clock(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = CORE "pods/a", .status = 200, .headers = "date: Sat, 21 Nov 2026 10:02:00 GMT\n", .answer = "{}"},
		{.method = "GET", .url = CORE "pods/a", .status = 200, .headers = "date: Sat, 21 Nov 2026 10:02:01 GMT\n", .answer = "{}", .ms = 2000},
		{.method = "GET", .url = CORE "pods/a", .status = 200, .headers = "date: yesterday\n", .answer = "{}"},
		{.method = "GET", .url = CORE "pods/a", .status = 200, .headers = "date: Sat, 21 Nov 2026 09:02:04 GMT\n", .answer = "{}"}};
	static const int64_t ahead_s[] = {120, 120, 120, 120 - 3600 + 2};
	struct scene s;
	BEGIN(&s, turns);
	assert_int_equal(kube_now_s(s.kube), s.clock.wall_s); /* nothing was heard yet */
	for (size_t i = 0; i < 4; i++) {
		AUTO_DOCUMENT struct document *pod = NULL;
		struct err err = {0};
		assert_int_equal(kube_get(s.kube, "Pod", "a", &pod, &err), 0);
		assert_int_equal(kube_now_s(s.kube), s.clock.wall_s + ahead_s[i]);
	}
	end(&s);
}

static void what_is_asked_for_in_brief(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET",
			.url = CORE "secrets/keys",
			.header = "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json",
			.status = 200,
			.answer = "{\"metadata\":{\"name\":\"keys\"}}"},
		{.method = "GET",
			.url = CORE "pods?limit=2",
			.header = "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json",
			.status = 200,
			.answer = "{\"metadata\":{\"continue\":\"more\"},\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]}"}};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	struct kube_ask ask = {.selection = {.kind = "Secret", .is_brief = true}, .name = "keys"};
	assert_int_equal(kube_ask_all(s.kube, &ask, 1, &err), 0);
	assert_non_null(ask.answer);
	document_free(ask.answer);
	AUTO_DOCUMENT struct document *pods = NULL; /* what is beyond is not asked for */
	assert_int_equal(kube_list(s.kube, &(struct kube_selection){.kind = "Pod", .is_brief = true, .count_max = 2}, &pods, &err), 0);
	assert_int_equal(value_get(pods->root, "items")->count, 2);
	end(&s);
}

static void names_that_are_none(void **state) {
	(void) state;
	struct scene s;
	begin_as(&s, "", NULL, 0);
	static const char *const kinds[][2] = {{"Job", "x"}, {"Pod", ""}, {"Pod", ".."}, {"Pod", "."}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct err err = {0};
		struct document *out = NULL;
		assert_int_equal(kube_get(s.kube, kinds[i][0], kinds[i][1], &out, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	end(&s);
	static const struct fake_turn turns[] = {{.method = "GET", .url = CORE "pods/a%2F..%2F..%3Fx", .status = 200, .answer = "{}"}};
	struct err err = {0};
	AUTO_DOCUMENT struct document *out = NULL;
	BEGIN(&s, turns);
	assert_int_equal(kube_get(s.kube, "Pod", "a/../..?x", &out, &err), 0);
	end(&s);
}

/* --- lists */

static size_t items_of(const struct document *list) {
	return value_get(list->root, "items")->count;
}

static void pages(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET",
			.url = CORE "pods?labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dx&limit=500",
			.status = 200,
			.answer = "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t/"
				  "1\"},\"items\":[{\"metadata\":{\"name\":\"a\"}}]}"},
		{.method = "GET",
			.url = CORE "pods?labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dx&limit=500&continue=t%2F1",
			.status = 410,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"Expired\",\"code\":410}"},
		{.method = "GET",
			.url = CORE "pods?labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dx&limit=500",
			.status = 200,
			.answer = "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"t2\"},\"items\":[{\"metadata\":{\"name\":\"a\"}}"
				  "]}"},
		{.method = "GET",
			.url = CORE "pods?labelSelector=a%3Db%2Cc%21%3Dd&fieldSelector=metadata.name%3Dx&limit=500&continue=t2",
			.status = 200,
			.answer = "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{\"metadata\":{\"name\":\"b\"}},{\"kind\":\"Pod\"}]"
				  "}"},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *list = NULL;
	assert_int_equal(
		kube_list(s.kube, &(struct kube_selection){.kind = "Pod", .labels = "a=b,c!=d", .fields = "metadata.name=x"}, &list, &err),
		0);
	assert_int_equal(items_of(list), 3);
	assert_true(str_is(value_find(list->root, "metadata.resourceVersion")->text, "9"));
	assert_true(str_is(value_get(value_at(value_get(list->root, "items"), 1), "kind")->text, "Pod"));
	end(&s);
}

static void lists_that_are_none(void **state) {
	(void) state;
	static const char *const answers[] = {"{\"items\":{}}", "{\"items\":[1]}", "[]", "{\"items\":", "x"};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct fake_turn turns[] = {{.method = "GET", .url = CORE "pods?limit=500", .status = 200, .answer = answers[i]}};
		struct scene s;
		struct err err = {0};
		struct document *list = NULL;
		BEGIN(&s, turns);
		assert_int_equal(kube_list(s.kube, &(struct kube_selection){.kind = "Pod"}, &list, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		end(&s);
	}
	static const struct fake_turn empty[] = {{.method = "GET",
		.url = SERVER "/api/v1/namespaces/other/pods?limit=500",
		.status = 200,
		.answer = "{\"items\":null,\"metadata\":{}}"}};
	struct scene s;
	struct err err = {0};
	AUTO_DOCUMENT struct document *list = NULL;
	BEGIN(&s, empty);
	assert_int_equal(kube_list(s.kube, &(struct kube_selection){.kind = "Pod", .namespace_ = "other"}, &list, &err), 0);
	assert_int_equal(items_of(list), 0);
	end(&s);
}

/* All at once: the clock shows that nobody waited for another. What fails for a moment is asked again together. */
static void side_by_side(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = APPS "deployments/web", .status = 200, .answer = "{\"metadata\":{}}", .ms = 100},
		{.method = "GET", .url = CORE "pods?limit=500", .status = 503, .ms = 80},
		{.method = "GET",
			.url = CORE "services/web",
			.status = 404,
			.ms = 90,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"message\":\"services \\\"web\\\" not "
				  "found\",\"details\":{\"name\":\"web\",\"kind\":\"services\"}}"},
		{.method = "GET", .url = CORE "events?limit=500", .failure = ERR_NETWORK, .was_sent = true, .ms = 70},
		{.method = "GET", .url = CORE "pods?limit=500", .status = 200, .answer = "{\"items\":[]}", .ms = 10},
		{.method = "GET",
			.url = CORE "events?limit=500",
			.status = 200,
			.ms = 10,
			.answer = "{\"items\":[{}],\"metadata\":{\"continue\":\"x\"}}"},
		{.method = "GET", .url = CORE "events?limit=500&continue=x", .status = 200, .answer = "{\"items\":[{}]}"},
	};
	struct kube_ask asks[] = {{.selection.kind = "Deployment", .name = "web"}, {.selection.kind = "Pod"},
		{.selection.kind = "Service", .name = "web"}, {.selection.kind = "Event"}, {.selection.kind = "Job"}};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_ask_all(s.kube, asks, 5, &err), 0);
	assert_true(s.clock.mono_ms - from_ms < 80 + 70 + 10 + 251); /* the fourth waits for the first of three */
	assert_non_null(asks[0].answer);
	assert_int_equal(items_of(asks[1].answer), 0);
	assert_int_equal(asks[2].err.code, ERR_NOT_FOUND);
	assert_null(asks[2].answer);
	assert_int_equal(items_of(asks[3].answer), 2);
	assert_int_equal(asks[4].err.code, ERR_INVALID);
	for (size_t i = 0; i < 5; i++)
		document_free(asks[i].answer);
	end(&s);
}

/* A crowd waits at the door: a few at a time, and the next as soon as one is through. */
static void not_all_of_a_crowd(void **state) {
	(void) state;
	struct fake_turn turns[30];
	struct kube_ask asks[30];
	for (size_t i = 0; i < 30; i++) {
		turns[i] = (struct fake_turn){.method = "GET", .url = CORE "pods/p", .status = 200, .answer = "{}", .ms = i == 0 ? 25 : 10};
		asks[i] = (struct kube_ask){.selection.kind = "Pod", .name = "p"};
	}
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_ask_all(s.kube, asks, 30, &err), 0);
	assert_int_equal(s.clock.mono_ms - from_ms, 110); /* three at a time, one of them slow */
	for (size_t i = 0; i < 30; i++) {
		assert_non_null(asks[i].answer);
		document_free(asks[i].answer);
	}
	end(&s);
}

/* Pods may be slow to answer, so more of them are asked: a dozen. */
static void a_dozen_pods_at_a_time(void **state) {
	(void) state;
	struct fake_turn turns[30];
	struct kube_proxy proxies[30];
	struct http_answer answers[30] = {0};
	struct err errs[30] = {0}, err = {0};
	for (size_t i = 0; i < 30; i++) {
		turns[i] = (struct fake_turn){.method = "GET", .url = CORE "pods/p:8081/proxy/metrics", .status = 200, .answer = "{}", .ms = i == 0 ? 25 : 10};
		proxies[i] = (struct kube_proxy){.kind = "Pod", .name = "p", .port = 8081, .method = "GET", .path = "/metrics"};
	}
	struct scene s;
	BEGIN(&s, turns);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_proxy_all(s.kube, proxies, 30, answers, errs, &err), 0);
	assert_int_equal(s.clock.mono_ms - from_ms, 30); /* 12, 11, and the rest; one of them slow */
	for (size_t i = 0; i < 30; i++) {
		assert_int_equal(answers[i].status, 200);
		http_answer_clear(&answers[i]);
	}
	end(&s);
}

static void an_interrupt_ends_all(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = CORE "pods?limit=500", .status = 200, .answer = "{\"items\":[]}", .ms = 50},
		{.method = "GET", .url = CORE "services?limit=500", .status = 200, .answer = "{\"items\":[]}", .ms = 90, .signal = SIGINT}};
	struct kube_ask asks[] = {{.selection.kind = "Pod"}, {.selection.kind = "Service"}};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(kube_ask_all(s.kube, asks, 2, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_true(!asks[0].answer && !asks[1].answer);
	end(&s);
}

/* --- apply */

static int apply_with(const struct fake_turn *turns, size_t count, struct kube_apply *apply, struct err *err) {
	struct scene s;
	begin_as(&s, "token: the-token", turns, count);
	AUTO_DOCUMENT struct document *object = object_of(WEB), *out = NULL;
	apply->object = object->root;
	int rc = kube_apply(s.kube, apply, &out, err);
	assert_true(rc != 0 || out);
	end(&s);
	return rc;
}

static void applies(void **state) {
	(void) state;
	struct err err = {0};
	const struct fake_turn plain = {.method = "PATCH",
		.url = APPS "deployments/web" QUERY,
		.header = "Content-Type: application/apply-patch+yaml",
		.body = WEB,
		.status = 201,
		.answer = "{}"};
	struct kube_apply apply = {0};
	assert_int_equal(apply_with(&plain, 1, &apply, &err), 0);
	assert_true(apply.was_created);
	const struct fake_turn dry = {.method = "PATCH",
		.status = 200,
		.answer = "{}",
		.url = APPS "deployments/web?fieldManager=mlctl&force=true&fieldValidation=Strict&dryRun=All"};
	apply = (struct kube_apply){.is_dry_run = true, .is_forced = true};
	assert_int_equal(apply_with(&dry, 1, &apply, &err), 0);
	assert_false(apply.was_created);
	const struct fake_turn with = {.method = "PATCH",
		.status = 200,
		.answer = "{}",
		.url = APPS "deployments/web" QUERY,
		.body = "{\"apiVersion\":\"apps/"
			"v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"resourceVersion\":\"42\",\"uid\":\"u-1\"},\"spec\":{"
			"\"replicas\":2,"
			"\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x:2\"}]}}}}"};
	apply = (struct kube_apply){.resource_version = "42", .uid = "u-1"};
	assert_int_equal(apply_with(&with, 1, &apply, &err), 0);
	/* A lost reply: the same again does no harm. */
	const struct fake_turn lost[] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .failure = ERR_NETWORK, .was_sent = true}, plain};
	apply = (struct kube_apply){0};
	assert_int_equal(apply_with(lost, 2, &apply, &err), 0);
}

#define STALE                                                                                                                              \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"message\":\"the object has been modified\",\"reason\":\"Conflict\",\"code\":409}"

static void preconditions(void **state) {
	(void) state;
	const struct fake_turn stale = {.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 409, .answer = STALE};
	const struct fake_turn lost[] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .failure = ERR_NETWORK, .was_sent = true}, stale};
	struct err err = {0};
	struct kube_apply apply = {.resource_version = "42"};
	assert_int_equal(apply_with(&stale, 1, &apply, &err), -1);
	assert_true(err.code == ERR_CONFLICT && apply.is_stale);
	assert_string_equal(err.message, "Deployment ml/web: somebody changed it since it was read");
	err_clear(&err);
	apply = (struct kube_apply){.resource_version = ""};
	assert_int_equal(apply_with(&stale, 1, &apply, &err), -1);
	assert_string_equal(err.message, "Deployment ml/web: it is there already");
	/* After a lost reply the newer object may be our own: only reading tells. */
	err_clear(&err);
	apply = (struct kube_apply){.resource_version = "42"};
	assert_int_equal(apply_with(lost, 2, &apply, &err), -1);
	assert_true(err.code == ERR_UNCLEAR && !apply.is_stale);
	err_clear(&err);
	const struct fake_turn uid = {.method = "PATCH",
		.url = APPS "deployments/web" QUERY,
		.status = 422,
		.answer =
			"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"details\":{\"causes\":[{\"field\":\"metadata.uid\"}]},\"code\":422}"};
	apply = (struct kube_apply){.uid = "u-1"};
	assert_int_equal(apply_with(&uid, 1, &apply, &err), -1);
	assert_true(err.code == ERR_CONFLICT && apply.is_stale);
}

static void apply_needs_what_we_write(void **state) {
	(void) state;
	static const char *const cases[][2] = {
		{"{\"apiVersion\":\"apps/v1beta1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"}}",
			"apiVersion apps/v1beta1: removed"},
		{"{\"apiVersion\":\"v1\",\"kind\":\"Secretz\",\"metadata\":{\"name\":\"x\"}}", "not one that mlctl handles"},
		{"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{}}", "metadata.name"},
	};
	struct scene s;
	begin_as(&s, "", NULL, 0);
	for (size_t i = 0; i < 3; i++) {
		struct err err = {0};
		AUTO_DOCUMENT struct document *object = object_of(cases[i][0]);
		assert_int_equal(kube_apply(s.kube, &(struct kube_apply){.object = object->root}, NULL, &err), -1);
		if (err.code != ERR_INVALID || !strstr(err.message, cases[i][1]))
			fail_msg("%s", err.message);
	}
	end(&s);
}

/* --- what a real server said: tests/wire/kubernetes */

/* The recorded answer as a turn's; texts are owned by `kept`. */
static void play(const char *name, struct fake_turn *turn, struct texts *kept) {
	AUTO_FREE char *path = mem_format("tests/wire/kubernetes/%s.http", name), *text = NULL;
	struct err err = {0};
	size_t len;
	if (fs_read(path, 1024 * 1024, &text, &len, &err) != 0)
		fail_msg("%s", err.message);
	char *head = strstr(text, "HTTP/2 "), *body = strstr(head, "\n\n");
	assert_non_null(body);
	*body = '\0';
	turn->status = (int) strtol(head + 7, NULL, 10);
	texts_add(kept, strchr(head, '\n') + 1);
	texts_add(kept, body + 2);
	turn->headers = kept->items[kept->count - 2];
	turn->answer = kept->items[kept->count - 1];
}

static void recorded(const char *name, enum err_code code, const char *message, const char *fix) {
	struct fake_turn turn = {.method = "PATCH", .url = APPS "deployments/web" QUERY};
	AUTO_TEXTS struct texts kept = {0};
	struct err err = {0};
	struct kube_apply apply = {0};
	play(name, &turn, &kept);
	assert_int_equal(apply_with(&turn, 1, &apply, &err), -1);
	if (err.code != code || !strstr(err.message, message) || (fix && !strstr(err.fix, fix)))
		fail_msg("%s: %s: %s | %s", name, err_kind(err.code), err.message, err.fix);
}

static void what_the_server_refuses(void **state) {
	(void) state;
	recorded("unauthorized", ERR_AUTH,
		"apply Deployment ml/web: the API server at https://h:6443 does not take the credential of user \"u\" of context \"prod\"",
		"write a new token");
	recorded("anonymous", ERR_AUTH, "does not take the credential of user \"u\"", NULL);
	recorded("forbidden", ERR_AUTH,
		"apply Deployment ml/web: user \"weak\" may not patch deployments.apps in namespace \"default\" (403)",
		"kubectl apply -f manifests/deployer.yaml   or a Role with {apiGroups: [\"apps\"], resources: [deployments], verbs: "
		"[patch]}");
	recorded("forbidden_cluster", ERR_AUTH, "user \"weak\" may not list nodes at the cluster scope", NULL);
	recorded("namespace_missing", ERR_NOT_FOUND, "apply Deployment ml/web: the namespace \"nowhere\" is not there",
		"kubectl create namespace nowhere");
	recorded("not_served", ERR_NOT_FOUND, "does not serve apps/v1 Deployment", NULL);
	recorded("version_gone", ERR_NOT_FOUND, "does not serve apps/v1 Deployment", NULL);
	recorded("unknown_field_apply", ERR_INVALID, "the cluster knows no field .spec.replicaz of a Deployment", NULL);
	recorded("unknown_field_create", ERR_INVALID, "strict decoding error: unknown field \"spec.replicaz\"", NULL);
	recorded("invalid", ERR_INVALID,
		"not valid: spec.replicas: Invalid value: -1: must be greater than or equal to 0; spec.template.metadata.labels: ", NULL);
	recorded("immutable", ERR_INVALID, "spec.selector: ", "cannot be changed");
	recorded("no_manager", ERR_INVALID, "fieldManager: Required value: is required for apply patch", NULL);
	recorded("media_type", ERR_FAILED, "415", NULL);
	recorded("pod_security", ERR_INVALID,
		"refused by the cluster: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
		"pod-security.kubernetes.io/enforce");
	recorded("quota_exceeded", ERR_INVALID,
		"exceeded quota: q, requested: requests.cpu=1, used: requests.cpu=300m, limited: requests.cpu=500m",
		"kubectl describe resourcequota q -n ml");
	recorded("quota_unsaid", ERR_INVALID, "failed quota: q: must specify limits.memory for: c; requests.cpu for: c",
		"set resources in mlctl.yaml");
	recorded("limit_range", ERR_INVALID, "maximum cpu usage per Container is 1, but limit is 2", "kubectl describe limitrange -n ml");
	recorded("terminating", ERR_INVALID, "unable to create new content in namespace going because it is being terminated",
		"kubectl get namespace ml");
	recorded("policy", ERR_INVALID, "at most 3 replicas here", "validatingadmissionpolicies");
	recorded("webhook_denies", ERR_INVALID,
		"refused by the cluster: admission webhook \"deny.example.com\" denied the request: the label team is missing",
		"deny.example.com");
	recorded("conflict_uid", ERR_CONFLICT, "Deployment ml/web: ", NULL);
}

static void owners_of_fields(void **state) {
	(void) state;
	struct fake_turn turns[2] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY}, {.method = "GET", .url = APPS "deployments/web"}};
	AUTO_TEXTS struct texts kept = {0};
	struct err err = {0};
	struct kube_apply apply = {0};
	play("conflict_owners", &turns[0], &kept);
	play("live", &turns[1], &kept);
	assert_int_equal(apply_with(turns, 2, &apply, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_false(apply.is_stale);
	assert_string_equal(err.message,
		"Deployment ml/web: 2 fields are set by somebody else: .spec.replicas belongs to kubectl-scale (there 5, ours 2); "
		".spec.template.spec.containers[name=\"c\"].image belongs to kubectl-set (there \"other:9\", ours \"x:2\")");
	assert_non_null(strstr(err.fix, "mlctl deploy --force-conflicts"));
	/* Without the live object at hand the owner is told all the same. */
	turns[1] = (struct fake_turn){.method = "GET", .url = APPS "deployments/web", .status = 403, .answer = "{}"};
	err_clear(&err);
	assert_int_equal(apply_with(turns, 2, &apply, &err), -1);
	assert_string_equal(err.message, "Deployment ml/web: 2 fields are set by somebody else: .spec.replicas belongs to kubectl-scale; "
					 ".spec.template.spec.containers[name=\"c\"].image belongs to kubectl-set");
}

#define HIDDEN                                                                                                                             \
	"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"labels\":{\"a.b/"                                       \
	"c.d\":\"new\"}},\"data\":{\"k\":\"b3VycyE=\"}}"

static void a_secrets_values_are_not_shown(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "PATCH",
			.url = CORE "secrets/s" QUERY,
			.status = 409,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"details\":{\"causes\":[{\"reason\":"
				  "\"FieldManagerConflict\",\"message\":\"conflict with "
				  "\\\"x\\\" using v1\",\"field\":\".data.k\"},{\"reason\":\"FieldManagerConflict\",\"message\":\"conflict "
				  "with \\\"x\\\"\","
				  "\"field\":\".metadata.labels.a.b/c.d\"}]}}"},
		{.method = "GET",
			.url = CORE "secrets/s",
			.status = 200,
			.answer = "{\"data\":{\"k\":\"dGhlaXJz\"},\"metadata\":{\"labels\":{\"a.b/c.d\":\"old\"}}}"},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *object = object_of(HIDDEN);
	assert_int_equal(kube_apply(s.kube, &(struct kube_apply){.object = object->root}, NULL, &err), -1);
	assert_string_equal(err.message, "Secret ml/s: 2 fields are set by somebody else: .data.k belongs to x (there ***, ours ***); "
					 ".metadata.labels.a.b/c.d belongs to x (there \"old\", ours \"new\")");
	end(&s);
}

static void warnings_once(void **state) {
	(void) state;
	struct fake_turn turns[2] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY}, {.method = "PATCH", .url = APPS "deployments/web" QUERY}};
	AUTO_TEXTS struct texts kept = {0};
	play("pod_security_warning", &turns[0], &kept);
	turns[1] = turns[0];
	turns[1].headers = "warning: 299 - \"a, \\\"b\\\"\", 299 - \"c\"\nwarning: 299 - \"unended\nwarning: \n";
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *object = object_of(WEB);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kube_apply(s.kube, &(struct kube_apply){.object = object->root}, NULL, &err), 0);
	assert_int_equal(s.warnings.count, 4);
	assert_non_null(strstr(s.warnings.items[0], "would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation"));
	assert_string_equal(s.warnings.items[1], "a, \"b\"");
	assert_string_equal(s.warnings.items[2], "c");
	end(&s);
}

/* --- other writes */

static void creates_and_replaces(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "POST",
			.url = APPS "deployments?fieldManager=mlctl&fieldValidation=Strict",
			.status = 429,
			.headers = "retry-after: 1\n"},
		{.method = "POST",
			.url = APPS "deployments?fieldManager=mlctl&fieldValidation=Strict",
			.header = "Content-Type: application/json",
			.body = WEB,
			.status = 201,
			.answer = "{\"metadata\":{\"uid\":\"u\"}}"},
		{.method = "POST",
			.url = APPS "deployments?fieldManager=mlctl&fieldValidation=Strict",
			.failure = ERR_NETWORK,
			.was_sent = true},
		{.method = "POST",
			.url = APPS "deployments?fieldManager=mlctl&fieldValidation=Strict",
			.status = 409,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"AlreadyExists\"}"},
		{.method = "POST",
			.url = APPS "deployments?fieldManager=mlctl&fieldValidation=Strict",
			.status = 409,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"reason\":\"AlreadyExists\"}"},
		{.method = "PUT", .url = CORE "configmaps/c?fieldManager=mlctl&fieldValidation=Strict", .status = 409, .answer = STALE},
		{.method = "PATCH",
			.url = APPS "deployments/web/scale?fieldManager=mlctl&fieldValidation=Strict",
			.body = "{\"spec\":{\"replicas\":3}}",
			.header = "Content-Type: application/merge-patch+json",
			.failure = ERR_NETWORK,
			.was_sent = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *web = object_of(WEB), *out = NULL, *patch = object_of("{\"spec\":{\"replicas\":3}}");
	AUTO_DOCUMENT struct document *map =
		object_of("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"resourceVersion\":\"3\"}}");
	AUTO_DOCUMENT struct document *unread = object_of("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}");
	assert_int_equal(kube_create(s.kube, web->root, &out, &err), 0);
	assert_int_equal(kube_create(s.kube, web->root, NULL, &err), -1);
	assert_int_equal(err.code, ERR_UNCLEAR);
	err_clear(&err);
	assert_int_equal(kube_create(s.kube, web->root, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.message, "create Deployment ml/web: it is there already");
	err_clear(&err);
	assert_int_equal(kube_replace(s.kube, map->root, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	err_clear(&err);
	assert_int_equal(kube_replace(s.kube, unread->root, NULL, &err), -1);
	assert_non_null(strstr(err.message, "metadata.resourceVersion"));
	err_clear(&err);
	assert_int_equal(kube_patch(s.kube, "Deployment", "web", "scale", patch->root, NULL, &err), -1);
	assert_int_equal(err.code, ERR_UNCLEAR);
	end(&s);
}

static void deletes(void **state) {
	(void) state;
#define DELETION "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\""
	struct fake_turn turns[] = {
		{.method = "DELETE", .url = CORE "services/s", .body = DELETION "}", .status = 200, .answer = "{}"},
		{.method = "DELETE", .url = CORE "services/s", .body = DELETION ",\"preconditions\":{\"uid\":\"u-1\"}}", .status = 409},
		{.method = "DELETE",
			.url = CORE "services/s",
			.status = 404,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"details\":{\"name\":\"s\",\"kind\":\"services\"}}"},
		{.method = "DELETE", .url = CORE "services/s", .failure = ERR_NETWORK, .was_sent = true},
		{.method = "DELETE",
			.url = CORE "services/s",
			.status = 404,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"details\":{\"name\":\"s\",\"kind\":\"services\"}}"},
		{.method = "DELETE", .url = CORE "services/s", .status = 403, .answer = "{}"},
	};
	AUTO_TEXTS struct texts kept = {0};
	play("delete_other_uid", &turns[1], &kept);
	struct scene s;
	struct err err = {0};
	bool was_there = false;
	BEGIN(&s, turns);
	assert_int_equal(kube_delete(s.kube, "Service", "s", NULL, NULL, &was_there, &err), 0);
	assert_true(was_there);
	assert_int_equal(kube_delete(s.kube, "Service", "s", "u-1", NULL, &was_there, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	err_clear(&err);
	assert_int_equal(kube_delete(s.kube, "Service", "s", NULL, NULL, &was_there, &err), 0);
	assert_false(was_there);
	assert_int_equal(kube_delete(s.kube, "Service", "s", NULL, NULL, &was_there, &err), 0);
	assert_true(was_there); /* a try of ours was lost, and then it was gone */
	assert_int_equal(kube_delete(s.kube, "Service", "s", NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	end(&s);
}

static void permissions(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "POST",
			.url = SERVER "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			.status = 201,
			.body = "{\"apiVersion\":\"authorization.k8s.io/"
				"v1\",\"kind\":\"SelfSubjectAccessReview\",\"spec\":{\"resourceAttributes\":{\"namespace\":\"ml\","
				"\"verb\":\"get\",\"group\":\"\",\"resource\":\"pods\",\"subresource\":\"proxy\"}}}",
			.answer = "{\"status\":{\"allowed\":true}}"},
		{.method = "POST",
			.url = SERVER "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			.status = 201,
			.body = "{\"apiVersion\":\"authorization.k8s.io/"
				"v1\",\"kind\":\"SelfSubjectAccessReview\",\"spec\":{\"resourceAttributes\":{\"verb\":\"list\","
				"\"group\":\"\",\"resource\":\"nodes\"}}}",
			.answer = "{\"status\":{\"reason\":\"no\"}}"},
	};
	struct scene s;
	struct err err = {0};
	bool may = false;
	BEGIN(&s, turns);
	assert_int_equal(kube_may(s.kube, "get", "", "pods/proxy", &may, &err), 0);
	assert_true(may);
	assert_int_equal(kube_may(s.kube, "list", "", "nodes", &may, &err), 0);
	assert_false(may);
	end(&s);
}

/* Every one of them is asked before an answer is waited for, and each gets its own. */
static void applies_side_by_side(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY "&dryRun=All", .status = 200, .answer = "{\"a\":1}", .ms = 50},
		{.method = "PATCH", .url = CORE "configmaps/c" QUERY, .failure = ERR_NETWORK, .was_sent = true, .ms = 60},
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 409, .answer = STALE, .ms = 50},
		{.method = "PATCH", .url = CORE "configmaps/c" QUERY, .status = 201, .answer = "{\"b\":1}"},
	};
	struct scene s;
	struct err errs[4] = {0}, err = {0};
	struct document *outs[4] = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *web = object_of(WEB),
				      *map = object_of("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}"),
				      *none = object_of("{}");
	struct kube_apply applies[] = {{.object = web->root, .is_dry_run = true}, {.object = none->root}, {.object = map->root},
		{.object = web->root, .resource_version = "5"}};
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_apply_all(s.kube, applies, 4, outs, errs, &err), 0);
	assert_true(s.clock.mono_ms - from_ms < 60 + 252);
	assert_true(outs[0] && !outs[1] && outs[2] && !outs[3]);
	assert_int_equal(errs[1].code, ERR_INVALID);
	assert_true(applies[2].was_created && !applies[0].was_created);
	assert_true(errs[3].code == ERR_CONFLICT && applies[3].is_stale);
	document_free(outs[0]);
	document_free(outs[2]);
	end(&s);
}

/* A signal: writes that are out get a moment to hear their reply, and then it is told by the next step. */
static void an_interrupt_among_writes(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 200, .answer = "{}", .ms = 50, .signal = SIGINT},
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 200, .answer = "{}", .ms = 900},
	};
	struct scene s;
	struct err errs[2] = {0}, err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *web = object_of(WEB);
	struct kube_apply applies[] = {{.object = web->root}, {.object = web->root}};
	assert_int_equal(kube_apply_all(s.kube, applies, 2, NULL, errs, &err), 0);
	assert_true(!errs[0].code && !errs[1].code);
	assert_int_equal(http_kept_signal(&s.fake.http), SIGINT);
	end(&s);
	const struct fake_turn slow[] = {
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 200, .answer = "{}", .ms = 50, .signal = SIGINT},
		{.method = "PATCH", .url = APPS "deployments/web" QUERY, .status = 200, .answer = "{}", .ms = 5000},
	};
	BEGIN(&s, slow);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_apply_all(s.kube, applies, 2, NULL, errs, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_true(s.clock.mono_ms - from_ms <= 2050);
	end(&s);
}

static void many_permissions(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "POST",
			.url = SERVER "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			.status = 201,
			.answer = "{\"status\":{\"allowed\":true}}",
			.ms = 40},
		{.method = "POST",
			.url = SERVER "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			.status = 201,
			.answer = "{\"status\":{}}",
			.ms = 40},
		{.method = "POST",
			.url = SERVER "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			.status = 401,
			.answer = "{}",
			.ms = 40},
	};
	struct kube_permission asked[] = {{.verb = "get", .group = "", .resource = "pods"},
		{.verb = "get", .group = "", .resource = "secrets"}, {.verb = "get", .group = "apps", .resource = "deployments"}};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(kube_may_all(s.kube, asked, 3, &err), 0);
	assert_int_equal(s.clock.mono_ms - from_ms, 40);
	assert_true(asked[0].is_allowed && !asked[1].is_allowed && !asked[1].err.code);
	assert_int_equal(asked[2].err.code, ERR_AUTH);
	end(&s);
}

static void who_asks(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = CORE "pods/p", .header = "Impersonate-Group: dev", .status = 200, .answer = "{}"},
		{.method = "GET",
			.url = CORE "pods/p",
			.header = "Impersonate-User: jane",
			.status = 302,
			.headers = "location: https://evil.example/\n"}};
	struct scene s;
	struct err err = {0};
	AUTO_DOCUMENT struct document *pod = NULL, *other = NULL;
	begin_as(&s, "username: bob, password: pass, as: jane, as-groups: [dev]", turns, 2);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &pod, &err), 0);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &other, &err), -1); /* nobody follows */
	end(&s);
	static const struct fake_turn anonymous[] = {{.method = "GET", .url = CORE "pods/p", .no_header = "Authorization", .status = 401}};
	begin_as(&s, "", anonymous, 1);
	err_clear(&err);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &other, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	end(&s);
}

/* A 401 makes the token's file be read once more, and never a third time. */
static void a_token_that_rotates(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = CORE "pods/p", .header = "Authorization: Bearer one", .status = 200, .answer = "{}"},
		{.method = "GET", .url = CORE "pods/p", .header = "Authorization: Bearer two", .status = 401, .answer = "{}"},
		{.method = "GET", .url = CORE "pods/p", .header = "Authorization: Bearer two", .status = 401, .answer = "{}"},
	};
	struct scene s;
	struct err err = {0};
	AUTO_DOCUMENT struct document *pod = NULL, *other = NULL;
	begin_as(&s, "tokenFile: token", turns, 3);
	scratch_write(s.folder, "token", "one", 3);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &pod, &err), 0);
	scratch_write(s.folder, "token", "two", 3);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &other, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_null(strstr(err.message, "two"));
	end(&s);
}

static void a_server_that_is_away(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {{.method = "GET", .url = CORE "pods/p", .failure = ERR_NETWORK},
		{.method = "GET", .url = CORE "pods/p", .failure = ERR_NETWORK}};
	struct scene s;
	struct err err = {0};
	struct document *pod = NULL;
	BEGIN(&s, turns);
	kube_set_deadline(s.kube, s.clock.mono_ms + 300);
	assert_int_equal(kube_get(s.kube, "Pod", "p", &pod, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.message, "the API server of context \"prod\": GET https://h:6443/api/v1/namespaces/ml/pods/p: "));
	assert_string_equal(err.fix, "kubectl --context prod get --raw /readyz");
	end(&s);
	struct fake_turn hook = {.method = "POST", .url = CORE "configmaps?fieldManager=mlctl&fieldValidation=Strict"};
	AUTO_TEXTS struct texts kept = {0};
	play("webhook_gone", &hook, &kept);
	begin_as(&s, "token: t", &hook, 1);
	kube_set_deadline(s.kube, s.clock.mono_ms + 50);
	AUTO_DOCUMENT struct document *map = object_of("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}");
	err_clear(&err);
	assert_int_equal(kube_create(s.kube, map->root, NULL, &err), -1);
	assert_non_null(strstr(err.fix, "the webhook gone.example.com does not answer"));
	end(&s);
}

/* --- through the proxy */

static void asks_a_pod(void **state) {
	(void) state;
	struct fake_turn turns[] = {
		{.method = "POST",
			.url = CORE "pods/p:8080/proxy/v1/predict?x=1",
			.header = "Mlctl-Key: admin-key",
			.body = "{}",
			.status = 200,
			.answer = "[1]"},
		{.method = "GET",
			.url = CORE "services/s:80/proxy/x",
			.header = "Mlctl-Hop: 1",
			.no_header = "Mlctl-Key",
			.status = 404,
			.answer = "{\"error\":\"none\"}"},
		{.method = "GET",
			.url = CORE "services/s:80/proxy/x",
			.status = 503,
			.answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"message\":\"busy\"}"},
		{.method = "GET", .url = CORE "services/s:80/proxy/x", .status = 429, .answer = "slow down"},
		{.method = "GET", .url = CORE "services/s:80/proxy/x", .status = 302, .headers = "location: https://evil.example/\n"},
	};
	struct scene s;
	struct err err = {0};
	struct secret key = {0};
	secret_set(&key, STR("admin-key"), NULL);
	BEGIN(&s, turns);
	struct kube_proxy ask = {
		.kind = "Pod", .name = "p", .port = 8080, .method = "POST", .path = "/v1/predict?x=1", .body = "{}", .key = &key};
	static const int statuses[] = {200, 404, 503, 429, 302};
	for (size_t i = 0; i < 5; i++) {
		struct http_answer answer = {0};
		if (kube_proxy(s.kube, &ask, &answer, &err) != 0)
			fail_msg("%s", err.message);
		assert_int_equal(answer.status, statuses[i]);
		http_answer_clear(&answer);
		ask = (struct kube_proxy){.kind = "Service", .name = "s", .port = 80, .method = "GET", .path = "/x", .is_hop = true};
	}
	secret_clear(&key);
	end(&s);
}

static void ways_that_end(void **state) {
	(void) state;
	static const struct {
		const char *name;
		enum err_code code;
		const char *words;
	} cases[] = {
		{"proxy_no_pod", ERR_NOT_FOUND, "Pod ml/p is not there"},
		{"proxy_no_endpoints", ERR_NETWORK, "Pod p, port 1: nothing answers there: no endpoints available for service \"s\""},
		{"proxy_refused", ERR_NETWORK,
			"Pod p, port 1: nothing answers there: error trying to reach service: dial tcp 192.0.2.2:1: connect: connection "
			"refused"},
		{"unauthorized", ERR_AUTH, "does not take the credential"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_turn turn = {.method = "GET", .url = CORE "pods/p:1/proxy/"};
		AUTO_TEXTS struct texts kept = {0};
		play(cases[i].name, &turn, &kept);
		struct scene s;
		struct err err = {0};
		struct http_answer answer = {0};
		begin_as(&s, "token: t", &turn, 1);
		assert_int_equal(
			kube_proxy(s.kube, &(struct kube_proxy){.kind = "Pod", .name = "p", .port = 1, .method = "GET", .path = "/"},
				&answer, &err),
			-1);
		if (err.code != cases[i].code || !strstr(err.message, cases[i].words))
			fail_msg("%s: %s", err_kind(err.code), err.message);
		assert_null(answer.body);
		end(&s);
	}
}

/* What is said of the pod, and what only of the way to it. */
static void whose_fault_it_is(void **state) {
	(void) state;
	static const struct {
		struct fake_turn turn;
		enum err_code code;
	} cases[] = {
		{{.failure = ERR_NETWORK}, ERR_UNCLEAR},
		{{.failure = ERR_NETWORK, .was_sent = true}, ERR_UNCLEAR},
		{{.failure = ERR_TIMEOUT}, ERR_UNCLEAR},
		{{.failure = ERR_TIMEOUT, .was_sent = true}, ERR_TIMEOUT},
		{{.status = 500, .answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"etcdserver: request timed out\",\"code\":500}"},
			ERR_UNCLEAR},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_turn turns[6];
		for (size_t k = 0; k < 6; k++) {
			turns[k] = cases[i].turn;
			turns[k].method = "POST";
			turns[k].url = CORE "pods/p:1/proxy/predict";
		}
		struct scene s;
		struct err err = {0};
		struct http_answer answer = {0};
		begin_as(&s, "token: t", turns, cases[i].turn.was_sent || cases[i].turn.status ? 1 : 5);
		assert_int_equal(
			kube_proxy(s.kube, &(struct kube_proxy){.kind = "Pod", .name = "p", .port = 1, .method = "POST", .path = "/predict", .body = "{}"},
				&answer, &err),
			-1);
		if (err.code != cases[i].code)
			fail_msg("case %zu: %s: %s", i, err_kind(err.code), err.message);
		end(&s);
	}
}

static void asks_many_pods(void **state) {
	(void) state;
	static const struct fake_turn turns[] = {
		{.method = "GET", .url = CORE "pods/a:1/proxy/", .status = 200, .answer = "A", .ms = 50},
		{.method = "GET",
			.url = CORE "pods/b:1/proxy/",
			.status = 429,
			.answer = "Too many requests, please try again later.",
			.headers = "retry-after: 1\n"},
		{.method = "GET", .url = CORE "pods/c:1/proxy/", .failure = ERR_NETWORK, .was_sent = true, .ms = 60},
		{.method = "GET", .url = CORE "pods/b:1/proxy/", .status = 200, .answer = "B"},
		{.method = "GET", .url = CORE "pods/c:1/proxy/", .status = 200, .answer = "C"},
	};
	struct kube_proxy asks[4];
	for (size_t i = 0; i < 4; i++)
		asks[i] = (struct kube_proxy){
			.kind = "Pod", .name = (const char *const[]){"a", "b", "c", "d"}[i], .port = i < 3, .method = "GET", .path = "/"};
	struct http_answer answers[4] = {0};
	struct err errs[4] = {0}, err = {0};
	struct scene s;
	BEGIN(&s, turns);
	assert_int_equal(kube_proxy_all(s.kube, asks, 4, answers, errs, &err), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(answers[i].body[0], 'A' + (int) i);
		http_answer_clear(&answers[i]);
	}
	assert_int_equal(errs[3].code, ERR_INVALID);
	end(&s);
}

static void logs(void **state) {
	(void) state;
	struct fake_turn turns[] = {
		{.method = "GET",
			.url = CORE "pods/p/log?container=c&tailLines=20&previous=true&timestamps=true&sinceTime=2026-11-21T10%3A00%3A00Z",
			.status = 200,
			.answer = "one\ntwo\nthree\n"},
		{.method = "GET",
			.url = CORE "pods/p/log",
			.status = 200,
			.pieces = (const struct fake_piece[]){{1, "one\ntw"}, {2, "o\nthr"}, {3, "ee\nfour\n"}, {4, "five\nsix\n"}, {0}}},
		{.method = "GET", .url = CORE "pods/p/log"},
	};
	AUTO_TEXTS struct texts kept = {0};
	play("log_no_container", &turns[2], &kept);
	struct scene s;
	struct err err = {0};
	AUTO_FREE char *all = NULL, *last = NULL, *none = NULL;
	BEGIN(&s, turns);
	assert_int_equal(kube_logs(s.kube,
				 &(struct kube_logs){.pod = "p",
					 .container = "c",
					 .since_time = "2026-11-21T10:00:00Z",
					 .lines = 20,
					 .is_previous = true,
					 .has_timestamps = true,
					 .bytes_max = 100},
				 &all, &err),
		0);
	assert_string_equal(all, "one\ntwo\nthree\n");
	assert_int_equal(kube_logs(s.kube, &(struct kube_logs){.pod = "p", .bytes_max = 12}, &last, &err), 0);
	assert_string_equal(last, "five\nsix\n");
	assert_int_equal(kube_logs(s.kube, &(struct kube_logs){.pod = "p", .bytes_max = 12}, &none, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.message, "log of pod p: container zz is not valid for pod p");
	end(&s);
}

static void kinds(void **state) {
	(void) state;
	size_t count = 0;
	for (const struct kube_kind *row = kube_kinds; row->kind; row++, count++)
		assert_ptr_equal(kube_kind_find(row->kind), row);
	assert_int_equal(count, 22);
	assert_null(kube_kind_find("deployment"));
	assert_string_equal(kube_kind_find("NetworkPolicy")->plural, "networkpolicies");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(reads_one),
		cmocka_unit_test(the_servers_clock),
		cmocka_unit_test(what_is_asked_for_in_brief),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(pages),
		cmocka_unit_test(lists_that_are_none),
		cmocka_unit_test(side_by_side),
		cmocka_unit_test(not_all_of_a_crowd),
		cmocka_unit_test(a_dozen_pods_at_a_time),
		cmocka_unit_test(an_interrupt_ends_all),
		cmocka_unit_test(applies),
		cmocka_unit_test(preconditions),
		cmocka_unit_test(apply_needs_what_we_write),
		cmocka_unit_test(what_the_server_refuses),
		cmocka_unit_test(owners_of_fields),
		cmocka_unit_test(a_secrets_values_are_not_shown),
		cmocka_unit_test(warnings_once),
		cmocka_unit_test(creates_and_replaces),
		cmocka_unit_test(deletes),
		cmocka_unit_test(permissions),
		cmocka_unit_test(applies_side_by_side),
		cmocka_unit_test(an_interrupt_among_writes),
		cmocka_unit_test(many_permissions),
		cmocka_unit_test(who_asks),
		cmocka_unit_test(a_token_that_rotates),
		cmocka_unit_test(a_server_that_is_away),
		cmocka_unit_test(asks_a_pod),
		cmocka_unit_test(ways_that_end),
		cmocka_unit_test(whose_fault_it_is),
		cmocka_unit_test(asks_many_pods),
		cmocka_unit_test(logs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
