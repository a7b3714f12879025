#include "kube/mirror.h"

#include "fakes/fake_http.h"
#include "scratch.h"

#include <signal.h>

#define SERVER "https://h:6443"
#define LIST SERVER "/api/v1/namespaces/ml/pods?labelSelector=app%3Dweb&limit=500"
#define WATCH(version)                                                                                                                     \
	SERVER "/api/v1/namespaces/ml/pods?labelSelector=app%3Dweb&watch=1&resourceVersion=" version                                       \
	       "&allowWatchBookmarks=true&timeoutSeconds=240"
#define POD(name, version) "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version)                                                                                                         \
	"{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}}\n"
#define ITEMS(version, items) "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"

struct scene {
	struct fake_clock clock;
	struct fake_http fake;
	char *folder, *listed, *items[2];
	struct env env;
	struct kube *kube;
	struct mirror *mirror;
};

static void begin_as(struct scene *s, const char *user, const struct fake_turn *turns, size_t count) {
	*s = (struct scene){.folder = scratch_new()};
	fake_clock_init(&s->clock);
	fake_http_script(&s->fake, &s->clock, turns, count);
	AUTO_FREE char *text = mem_format("current-context: p\ncontexts: [{name: p, context: {cluster: c, user: u, namespace: ml}}]\n"
					  "clusters: [{name: c, cluster: {server: '" SERVER "'}}]\nusers: [{name: u, user: {%s}}]\n",
		user);
	scratch_write(s->folder, "kc", text, strlen(text));
	scratch_write(s->folder, "token", "abcd", 4);
	s->items[0] = s->listed = mem_format("KUBECONFIG=%s/kc", s->folder);
	s->env.items = s->items;
	const struct kube_options options = {.http = &s->fake.http, .clock = &s->clock.clock, .env = &s->env};
	struct err err = {0};
	if (kube_open(&options, &s->kube, &err) != 0)
		fail_msg("%s", err.message);
	s->mirror = mirror_open(s->kube, &(struct kube_selection){.kind = "Pod", .labels = "app=web"});
}
static void begin(struct scene *s, const struct fake_turn *turns, size_t count) {
	begin_as(s, "tokenFile: token", turns, count);
}
#define BEGIN(scene, turns) begin(scene, turns, sizeof(turns) / sizeof((turns)[0]))

static void end(struct scene *s) {
	kube_close(s->kube); /* and its mirrors */
	fake_http_end(&s->fake);
	scratch_free(s->folder);
	free(s->listed);
}

/* Somebody else steps for so long. */
static void pass(struct scene *s, int64_t ms) {
	struct http_event event;
	struct err err = {0};
	assert_int_equal(http_step(&s->fake.http, s->clock.mono_ms + ms, &event, &err), 0);
	assert_int_equal(event.what, HTTP_TIMER);
}

static void holds(const struct scene *s, const char *names) {
	AUTO_BUF struct buf text = BUF(65536);
	for (size_t i = 0; i < mirror_count(s->mirror); i++)
		buf_format(&text, "%s%.*s", i ? " " : "", STR_ARGS(value_find(mirror_at(s->mirror, i), "metadata.name")->text));
	buf_text(&text, "");
	assert_string_equal(text.ptr, names);
}

static void lists_then_watches(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET",
			.url = LIST,
			.header = "Authorization: Bearer abcd",
			.status = 200,
			.answer = ITEMS("7", POD("b", "5") "," POD("a", "6")),
			.ms = 20},
		{.method = "GET",
			.url = WATCH("7"),
			.header = "Accept: application/json",
			.status = 200,
			.is_open = true,
			.pieces = (const struct fake_piece[]){{10, EVENT("ADDED", "c", "8") "{\"type\":\"MODI"},
				{20, "FIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"x\":1"},
				{30, "}}}\n" EVENT("DELETED", "b", "9") "\n"}, {40, EVENT("FUTURE", "z", "10")}, {0}}},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_count(s.mirror), 0);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	assert_int_equal(s.clock.mono_ms - from_ms, 20); /* not one moment later */
	holds(&s, "a b");
	const struct value *a = mirror_find(s.mirror, "a");
	assert_true(str_is(value_get(a, "kind")->text, "Pod") && str_is(value_get(a, "apiVersion")->text, "v1"));
	assert_null(mirror_find(s.mirror, "c"));
	uint64_t generation = mirror_generation(s.mirror);
	struct http_event event;
	assert_int_equal(http_step_news(&s.fake.http, s.clock.mono_ms + 1000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_NEWS); /* the watch stands */
	assert_int_equal(mirror_generation(s.mirror), generation);
	assert_int_equal(http_step_news(&s.fake.http, s.clock.mono_ms + 1000, &event, &err), 0);
	assert_int_equal(event.what, HTTP_NEWS);
	assert_int_equal(mirror_generation(s.mirror), generation + 1);
	holds(&s, "a b c");
	assert_int_equal(s.clock.mono_ms - from_ms, 30);
	pass(&s, 1000);
	holds(&s, "a c");
	assert_non_null(value_find(mirror_find(s.mirror, "a"), "metadata.x"));
	assert_int_equal(mirror_generation(s.mirror), generation + 3);
	assert_int_equal(mirror_stale_ms(s.mirror), 0);
	assert_int_equal(mirror_await(s.mirror, 0, 1, &err), 0);
	end(&s);
}

/* It goes on from the last version that was seen, in an event or a bookmark, when the stream ends, and when it says nothing for too long.
 */
static void opened_again(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET",
			.url = WATCH("7"),
			.status = 200,
			.ms = 2000,
			.pieces = (const struct fake_piece[]){{5, EVENT("ADDED", "a", "11")}, {0}}},
		{.method = "GET",
			.url = WATCH("11"),
			.status = 200,
			.ms = 1,
			.pieces = (const struct fake_piece[]){{30000, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
								      "\"resourceVersion\":\"99\"}}}\n"},
				{0}}},
		{.method = "GET", .url = WATCH("99"), .status = 200, .is_open = true},
		{.method = "GET", .url = WATCH("99"), .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	pass(&s, 40000);
	holds(&s, "a");
	assert_int_equal(mirror_generation(s.mirror), 2);
	pass(&s, 90000);
	assert_int_equal(s.fake.started, 5);
	assert_int_equal(mirror_stale_ms(s.mirror), 0);
	end(&s);
}

#define GONE                                                                                                                               \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"too old resource " \
	"version: 7 (90)\","                                                                                                               \
	"\"reason\":\"Expired\",\"code\":410}}\n"

/* 410 as an event inside a 200, and as a status: the list is read anew, and what was deleted meanwhile is gone. */
static void forgotten_by_the_server(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", POD("a", "1") "," POD("b", "2"))},
		{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = (const struct fake_piece[]){{5, GONE}, {0}}},
		{.method = "GET", .url = LIST, .status = 200, .ms = 10, .answer = ITEMS("90", POD("b", "2") "," POD("c", "80"))},
		{.method = "GET", .url = WATCH("90"), .status = 410, .answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"code\":410}"},
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("95", POD("c", "80"))},
		{.method = "GET", .url = WATCH("95"), .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	holds(&s, "a b");
	pass(&s, 7);
	holds(&s, "a b"); /* until the new list is whole */
	assert_true(mirror_stale_ms(s.mirror) > 0);
	pass(&s, 500);
	holds(&s, "c");
	assert_int_equal(mirror_stale_ms(s.mirror), 0);
	assert_int_equal(s.fake.started, 6);
	end(&s);
}

/* A server for which each list is too old already is asked again at once, and then at its leisure. */
static void forgotten_again_and_again(void **state) {
	(void) state;
	struct fake_turn turns[12];
	for (size_t i = 0; i < 12; i += 2) {
		turns[i] = (struct fake_turn){.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("90", POD("a", "1"))};
		turns[i + 1] = (struct fake_turn){.method = "GET", .url = WATCH("90"), .status = 410, .answer = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"code\":410}"};
	}
	turns[11] = (struct fake_turn){.method = "GET", .url = WATCH("90"), .status = 200, .is_open = true};
	struct scene s;
	BEGIN(&s, turns);
	pass(&s, 50);
	assert_int_equal(s.fake.started, 6); /* three lists, three watches */
	pass(&s, 60000);
	assert_int_equal(s.fake.started, 12);
	holds(&s, "a");
	end(&s);
}

/* Any other ERROR is a failure like any other: back-off, the same version again, and after three of them a list. */
static void an_error_inside_the_stream(void **state) {
	(void) state;
#define INTERNAL                                                                                                                           \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"etcd is away\",\"reason\":\"InternalError\",\"code\":500}}\n"
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", POD("a", "1"))},
		{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = (const struct fake_piece[]){{5, INTERNAL}, {0}}},
		{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = (const struct fake_piece[]){{5, INTERNAL}, {0}}},
		{.method = "GET", .url = WATCH("7"), .status = 504, .answer = "{}"},
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("70", POD("a", "1"))},
		{.method = "GET", .url = WATCH("70"), .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	pass(&s, 100);
	assert_int_equal(s.fake.started, 2);
	assert_int_equal(mirror_await(s.mirror, 0, 0, &err), 0);
	assert_int_equal(mirror_await(s.mirror, 0, 50, &err), -1);
	assert_non_null(strstr(err.message, "etcd is away"));
	pass(&s, 10000);
	assert_int_equal(s.fake.started, 6);
	holds(&s, "a");
	err_clear(&err);
	assert_int_equal(mirror_await(s.mirror, 0, 50, &err), 0);
	end(&s);
}

static void a_server_that_restarts(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .failure = ERR_NETWORK},
		{.method = "GET", .url = LIST, .status = 503, .headers = "retry-after: 2\n"},
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", POD("a", "1"))},
		{.method = "GET",
			.url = WATCH("7"),
			.status = 200,
			.failure = ERR_NETWORK,
			.pieces = (const struct fake_piece[]){{5000, EVENT("ADDED", "b", "9")}, {0}}},
		{.method = "GET", .url = WATCH("9"), .failure = ERR_NETWORK},
		{.method = "GET", .url = WATCH("9"), .failure = ERR_NETWORK},
		{.method = "GET", .url = WATCH("9"), .failure = ERR_NETWORK},
		{.method = "GET",
			.url = WATCH("9"),
			.status = 200,
			.is_open = true,
			.pieces = (const struct fake_piece[]){{5, EVENT("DELETED", "a", "12")}, {0}}},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 1000, 0, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err.message, "the list of pods did not come in time: "));
	assert_non_null(strstr(err.message, "503"));
	err_clear(&err);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	pass(&s, 5000);
	holds(&s, "a b");
	pass(&s, 30000);
	holds(&s, "b");
	end(&s);
}

/* What the server refuses is told at once; somebody may grant it later. */
static void not_allowed(void **state) {
	(void) state;
#define FORBIDDEN                                                                                                                          \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"message\":\"pods is forbidden: User \\\"weak\\\" cannot list resource \\\"pods\\\" " \
	"in API group \\\"\\\" in "                                                                                                        \
	"the namespace \\\"ml\\\"\",\"reason\":\"Forbidden\",\"code\":403}"
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 403, .answer = FORBIDDEN},
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET", .url = WATCH("7"), .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	int64_t from_ms = s.clock.mono_ms;
	assert_int_equal(mirror_await(s.mirror, 60000, 0, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_non_null(strstr(err.message, "user \"weak\" may not list pods in namespace \"ml\""));
	assert_true(s.clock.mono_ms - from_ms < 100);
	pass(&s, 9000);
	err_clear(&err);
	assert_int_equal(mirror_await(s.mirror, 0, 0, &err), 0);
	end(&s);
}

static void a_token_that_rotates(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .header = "Authorization: Bearer abcd", .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET",
			.url = WATCH("7"),
			.header = "Authorization: Bearer abcd",
			.status = 200,
			.ms = 1500,
			.pieces = (const struct fake_piece[]){{0}}},
		{.method = "GET", .url = WATCH("7"), .header = "Authorization: Bearer efgh", .status = 401, .answer = "{}"},
		{.method = "GET", .url = WATCH("7"), .header = "Authorization: Bearer efgh", .status = 401, .answer = "{}"},
		{.method = "GET", .url = WATCH("7"), .header = "Authorization: Bearer ijkl", .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 1000, 0, &err), 0);
	scratch_write(s.folder, "token", "efgh", 4);
	pass(&s, 2000);
	assert_int_equal(mirror_await(s.mirror, 0, 1, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	scratch_write(s.folder, "token", "ijkl", 4);
	pass(&s, 9000);
	assert_int_equal(mirror_stale_ms(s.mirror), 0);
	end(&s);
}

/* Everything that a kubeconfig may ask for at once: sixteen groups and eight more. */
static void on_behalf_of_many(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .header = "Impersonate-Extra-k: 1", .status = 200, .answer = ITEMS("7", POD("a", "6")), .ms = 20},
		{.method = "GET", .url = WATCH("7"), .header = "Impersonate-Group: g1", .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	begin_as(&s,
		"tokenFile: token, as: jane, as-uid: '7', as-groups: [g1, g2, g3, g4, g5, g6, g7, g8, g9, g10, g11, g12, g13, g14, g15, g16], "
		"as-user-extra: {k: ['1', '2', '3', '4', '5', '6', '7', '8']}",
		turns, 2);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	holds(&s, "a");
	end(&s);
}

static void pages(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET",
			.url = LIST,
			.status = 200,
			.answer = "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t\"},\"items\":[" POD("a", "1") "]}"},
		{.method = "GET", .url = LIST "&continue=t", .status = 410, .answer = "{}"},
		{.method = "GET",
			.url = LIST,
			.status = 200,
			.answer = "{\"metadata\":{\"resourceVersion\":\"8\",\"continue\":\"t2\"},\"items\":[" POD("b", "1") "]}"},
		{.method = "GET", .url = LIST "&continue=t2", .status = 200, .answer = ITEMS("8", POD("c", "1"))},
		{.method = "GET", .url = WATCH("8"), .status = 200, .is_open = true},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
	holds(&s, "b c");
	assert_int_equal(mirror_generation(s.mirror), 1);
	pass(&s, 10);
	end(&s);
}

/* What is no stream of events ends the watch; what is known stays. */
static void nonsense(void **state) {
	(void) state;
	static const char *const lines[] = {"{}\n", "[1]\n", "{\"type\":\"ADDED\"}\n", "{\"type\":\"ADDED\",\"object\":{}}\n",
		"{\"type\":\"ADDED\",\"object\":[]}\n", "x\n", "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":7}}}\n"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct fake_piece pieces[] = {{1, lines[i]}, {0}};
		const struct fake_turn turns[] = {
			{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", POD("a", "1"))},
			{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = pieces},
		};
		struct scene s;
		struct err err = {0};
		BEGIN(&s, turns);
		assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), 0);
		pass(&s, 50);
		holds(&s, "a");
		assert_true(mirror_stale_ms(s.mirror) > 0);
		assert_int_equal(mirror_await(s.mirror, 0, 10, &err), -1);
		end(&s);
	}
	static const char *const lists[] = {"{}", "[]", "{\"items\":[]}", "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{}]}", "x"};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct fake_turn turns[] = {{.method = "GET", .url = LIST, .status = 200, .answer = lists[i]}};
		struct scene s;
		struct err err = {0};
		BEGIN(&s, turns);
		assert_int_equal(mirror_await(s.mirror, 5000, 0, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		end(&s);
	}
}

/* A long object in small pieces, and one that is too long. */
static void long_lines(void **state) {
	(void) state;
	AUTO_BUF struct buf large = BUF((size_t) 20 * 1024 * 1024), endless = BUF((size_t) 20 * 1024 * 1024);
	buf_text(&large, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"large\"},\"data\":\"");
	while (large.len < (size_t) 3 * 1024 * 1024)
		buf_text(&large, "0123456789abcdef0123456789abcdef");
	buf_text(&large, "\"}}\n");
	while (endless.len < (size_t) 9 * 1024 * 1024)
		buf_text(&endless, "0123456789abcdef0123456789abcdef");
	AUTO_FREE char *half = mem_text_n(large.ptr, large.len / 2);
	const struct fake_piece pieces[] = {
		{1, half}, {2, large.ptr + large.len / 2}, {3, EVENT("ADDED", "small", "9")}, {4, endless.ptr}, {0}};
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = pieces},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	pass(&s, 50);
	holds(&s, "large small");
	assert_true(value_get(mirror_find(s.mirror, "large"), "data")->text.len > 3000000);
	assert_int_equal(mirror_await(s.mirror, 0, 10, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	end(&s);
}

static void too_many_objects(void **state) {
	(void) state;
	AUTO_BUF struct buf stream = BUF((size_t) 2 * 1024 * 1024);
	for (int i = 0; i <= MIRROR_OBJECTS_MAX; i++)
		buf_format(&stream, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"p%05d\"}}}\n", (i * 7919) % 6000);
	const struct fake_piece pieces[] = {{1, stream.ptr}, {0}};
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET", .url = WATCH("7"), .status = 200, .pieces = pieces},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	pass(&s, 50);
	assert_int_equal(mirror_count(s.mirror), MIRROR_OBJECTS_MAX);
	for (size_t i = 1; i < mirror_count(s.mirror); i++) {
		struct str one = value_find(mirror_at(s.mirror, i - 1), "metadata.name")->text,
			   two = value_find(mirror_at(s.mirror, i), "metadata.name")->text;
		assert_true(memcmp(one.ptr, two.ptr, 6) < 0);
	}
	assert_int_equal(mirror_await(s.mirror, 0, 10, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	end(&s);
}

/* A call of somebody else's, a signal, and two mirrors of one connection. */
static void beside_others(void **state) {
	(void) state;
	const struct fake_turn turns[] = {
		{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", POD("a", "1")), .ms = 10},
		{.method = "GET", .url = SERVER "/api/v1/namespaces/ml/services/s", .status = 200, .answer = "{}", .ms = 100},
		{.method = "GET",
			.url = WATCH("7"),
			.status = 200,
			.is_open = true,
			.pieces = (const struct fake_piece[]){{20, EVENT("ADDED", "b", "8")}, {0}}},
		{.method = "GET",
			.url = SERVER "/api/v1/namespaces/other/services?limit=500",
			.status = 200,
			.answer = ITEMS("3", ""),
			.ms = 50,
			.signal = SIGTERM},
	};
	struct scene s;
	struct err err = {0};
	BEGIN(&s, turns);
	AUTO_DOCUMENT struct document *service = NULL;
	assert_int_equal(kube_get(s.kube, "Service", "s", &service, &err), 0);
	holds(&s, "a b"); /* the call waited, and the mirror was kept true */
	struct mirror *other = mirror_open(s.kube, &(struct kube_selection){.kind = "Service", .namespace_ = "other"});
	assert_int_equal(mirror_await(other, 5000, 0, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	mirror_close(other);
	mirror_close(NULL);
	end(&s);
}

static void of_no_kind(void **state) {
	(void) state;
	struct scene s;
	struct err err = {0};
	const struct fake_turn turns[] = {{.method = "GET", .url = LIST, .status = 200, .answer = ITEMS("7", "")},
		{.method = "GET", .url = WATCH("7"), .status = 200, .is_open = true}};
	BEGIN(&s, turns);
	struct mirror *other = mirror_open(s.kube, &(struct kube_selection){.kind = "Job"});
	assert_int_equal(mirror_await(other, 5000, 0, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	mirror_close(other);
	pass(&s, 100);
	end(&s);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_then_watches),
		cmocka_unit_test(opened_again),
		cmocka_unit_test(forgotten_by_the_server),
		cmocka_unit_test(forgotten_again_and_again),
		cmocka_unit_test(an_error_inside_the_stream),
		cmocka_unit_test(a_server_that_restarts),
		cmocka_unit_test(not_allowed),
		cmocka_unit_test(a_token_that_rotates),
		cmocka_unit_test(on_behalf_of_many),
		cmocka_unit_test(pages),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(too_many_objects),
		cmocka_unit_test(beside_others),
		cmocka_unit_test(of_no_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
