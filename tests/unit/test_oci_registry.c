/* A registry played in memory, on a clock that only the test moves: every request fails once, twice, three times, in every way, and the
 * image must end there whole; then the turns that a double cannot show: challenges, addresses, tags, pages. */
#include "data/value.h"
#include "fakes/fake_http.h"
#include "net/rest.h"
#include "oci/store.h"
#include "oci/upload.h"
#include "os/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE "https://registry.test"
#define NAME "registry.test/team/fraud"
#define THINGS_MAX 64

struct thing {
	char name[200]; /* "blob sha256:..", "manifest sha256:..", "tag x", "session 3" */
	struct digest digest;
};

struct registry_double {
	struct thing things[THINGS_MAX];
	size_t count;
	int sessions, puts, manifest_puts, orphan_manifests;
	/* What it does besides. */
	bool wants_token, wants_basic, is_relative, has_query, forgets_session_once, mounts, refuses_mount, is_full;
	const char *upload_host;
	int status_at, status_times, status; /* answers so from the n-th request on */
	const char *status_headers;
	int unsettled; /* so many manifests are refused for blobs that are there */
	int requests, tokens, token_now, token_dies_after;
	int foreign_credentials; /* requests to another origin that carried some */
	char *token_request;
	int64_t *mono_ms;
	const struct blob *rotten; /* stored under another digest */
};

static struct thing *find(struct registry_double *self, const char *name) {
	for (size_t i = 0; i < self->count; i++)
		if (strcmp(self->things[i].name, name) == 0)
			return &self->things[i];
	return NULL;
}

static void put(struct registry_double *self, const char *name, const struct digest *digest) {
	struct thing *thing = find(self, name);
	if (!thing) {
		assert_true(self->count < THINGS_MAX);
		thing = &self->things[self->count++];
		snprintf(thing->name, sizeof(thing->name), "%s", name);
	}
	thing->digest = *digest;
}

static void body_digest(const struct http_request *request, struct digest *out) {
	struct digest_state *hash = digest_start();
	struct err err = {0};
	char bytes[4096];
	size_t got = 0;
	for (int64_t at = 0; request->read && at < request->body_bytes; at += (int64_t) got) {
		assert_int_equal(request->read(request->read_self, at, bytes, sizeof(bytes), &got, &err), 0);
		digest_add(hash, bytes, got);
	}
	if (!request->read)
		digest_add(hash, request->body.ptr, request->body.len);
	digest_finish(hash, out);
}

static bool is_let_in(struct registry_double *self, const struct http_request *request, struct http_answer *answer) {
	AUTO_FREE char *sent = fake_header(request, "Authorization");
	AUTO_FREE char *wanted =
		self->wants_basic ? mem_text("Basic bWU6c2VjcmV0LXBhc3M=") : mem_format("Bearer token-%d", self->token_now);
	if (!self->wants_token && !self->wants_basic)
		return true;
	if (sent && strcmp(sent, wanted) == 0)
		return true;
	fake_answer(answer, 401,
		self->wants_basic ? "www-authenticate: Basic realm=\"x\"\n"
				  : "www-authenticate: Bearer realm=\"" BASE
				    "/token\",service=\"registry.test\",scope=\"repository:team/fraud:pull\"\n",
		"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}");
	return false;
}

static void on_token(struct registry_double *self, const struct http_request *request, struct http_answer *answer) {
	free(self->token_request);
	self->token_request = request->body.len ? str_dup(request->body) : mem_text(request->url);
	self->tokens++;
	self->token_now = self->tokens;
	AUTO_FREE char *body = mem_format("{\"token\":\"token-%d\",\"expires_in\":300}", self->tokens);
	fake_answer(answer, 200, NULL, body);
}

static void on_upload(struct registry_double *self, const struct http_request *request, const char *rest, struct http_answer *answer) {
	struct digest digest;
	char name[200];
	if (strcmp(request->method, "POST") == 0) {
		const char *mount = strstr(rest, "mount=sha256%3A");
		if (mount && self->refuses_mount) {
			fake_answer(answer, 403, NULL, "{}");
			return;
		}
		if (mount && self->mounts) {
			snprintf(digest.text, sizeof(digest.text), "sha256:%.64s", mount + 15);
			snprintf(name, sizeof(name), "blob %s", digest.text);
			put(self, name, &digest);
			fake_answer(answer, 201, NULL, NULL);
			return;
		}
		snprintf(name, sizeof(name), "session %d", ++self->sessions);
		put(self, name, &(struct digest){"open"});
		AUTO_FREE char *headers = mem_format("location: %s/v2/team/fraud/blobs/uploads/%d%s\n",
			self->is_relative   ? ""
			: self->upload_host ? self->upload_host
					    : BASE,
			self->sessions, self->has_query ? "?state=a%2Fb" : "");
		fake_answer(answer, 202, headers, NULL);
		return;
	}
	assert_string_equal(request->method, "PUT");
	self->puts++;
	int session = 0;
	assert_int_equal(sscanf(rest, "%d", &session), 1);
	snprintf(name, sizeof(name), "session %d", session);
	struct thing *open = find(self, name);
	if (!open || !open->digest.text[0] || self->forgets_session_once) {
		self->forgets_session_once = false;
		fake_answer(answer, 404, NULL, "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
		return;
	}
	const char *query = strchr(rest, '?');
	assert_non_null(query);
	assert_int_equal(self->has_query, strncmp(query, "?state=a%2Fb&digest=sha256%3A", 29) == 0);
	const char *hex = strstr(query, "digest=sha256%3A");
	assert_non_null(hex);
	body_digest(request, &digest);
	assert_memory_equal(hex + 16, digest.text + 7, 64);
	open->digest.text[0] = '\0';
	snprintf(name, sizeof(name), "blob %s", digest.text);
	put(self, name, &digest);
	fake_answer(answer, 201, NULL, NULL);
}

static void on_manifest(struct registry_double *self, const struct http_request *request, const char *rest, struct http_answer *answer) {
	char name[220];
	snprintf(name, sizeof(name), "%s %s", strncmp(rest, "sha256:", 7) == 0 ? "manifest" : "tag", rest);
	if (strcmp(request->method, "PUT") == 0) {
		struct digest digest;
		body_digest(request, &digest);
		self->manifest_puts++;
		if (self->unsettled > 0) {
			self->unsettled--;
			fake_answer(answer, 400, NULL,
				"{\"errors\":[{\"code\":\"DIGEST_INVALID\"},{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob "
				"unknown\"}]}");
			return;
		}
		/* Whatever it names must be there. */
		for (const char *at = request->body.ptr; (at = strstr(at, "\"digest\":\"sha256:")); at += 10) {
			char blob[200], manifest[200];
			snprintf(blob, sizeof(blob), "blob %.71s", at + 10);
			snprintf(manifest, sizeof(manifest), "manifest %.71s", at + 10);
			if (!find(self, blob) && !find(self, manifest))
				self->orphan_manifests++;
		}
		put(self, name, &digest);
		snprintf(name, sizeof(name), "manifest %s", digest.text);
		put(self, name, &digest);
		fake_answer(answer, 201, NULL, NULL);
		return;
	}
	struct thing *thing = find(self, name);
	if (!thing) {
		fake_answer(answer, 404, NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}");
		return;
	}
	AUTO_FREE char *headers = mem_format("docker-content-digest: %s\n", thing->digest.text);
	fake_answer(answer, 200, headers, NULL);
}

static void handle(void *self_, const struct http_request *request, struct http_answer *answer) {
	struct registry_double *self = self_;
	int n = ++self->requests;
	if (self->token_dies_after && n == self->token_dies_after)
		self->token_now = -1;
	if (self->status && n >= self->status_at && n < self->status_at + self->status_times) {
		fake_answer(answer, self->status, self->status_headers, "{\"errors\":[{\"code\":\"DOWN\",\"message\":\"later\"}]}");
		return;
	}
	bool is_own = strncmp(request->url, BASE "/", strlen(BASE) + 1) == 0;
	if (is_own && strncmp(request->url + strlen(BASE), "/token", 6) == 0) {
		on_token(self, request, answer);
		return;
	}
	AUTO_FREE char *sent = fake_header(request, "Authorization");
	if (!is_own && sent)
		self->foreign_credentials++;
	if (is_own && !is_let_in(self, request, answer))
		return;
	const char *path = strstr(request->url, "/v2/team/fraud/");
	assert_non_null(path);
	path += strlen("/v2/team/fraud/");
	if (strncmp(path, "blobs/uploads/", 14) == 0) {
		on_upload(self, request, path + 14, answer);
	} else if (strncmp(path, "blobs/", 6) == 0) {
		char name[200];
		snprintf(name, sizeof(name), "blob %s", path + 6);
		fake_answer(answer, find(self, name) ? 200 : 404, NULL, NULL);
	} else {
		assert_int_equal(strncmp(path, "manifests/", 10), 0);
		on_manifest(self, request, path + 10, answer);
	}
}

/* --- an image of two streamed layers */

struct source {
	char seed;
	int reads;
};

static int source_read(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	struct source *source = self;
	(void) err;
	source->reads++;
	if ((int64_t) len > 9000 - offset)
		len = (size_t) (9000 - offset);
	for (size_t i = 0; i < len; i++)
		((char *) out)[i] = (char) (source->seed + (char) ((offset + (int64_t) i) % 97));
	*got = len;
	return 0;
}

static struct source sources[2] = {{'a', 0}, {'b', 0}};

static void image_make(struct image *image, const char *mount_from) {
	struct err err = {0};
	*image = (struct image){.layers = mem_zero(2, sizeof(struct blob)), .layer_count = 2};
	for (size_t i = 0; i < 2; i++) {
		char bytes[9000];
		size_t got;
		sources[i].reads = 0;
		assert_int_equal(source_read(&sources[i], 0, bytes, sizeof(bytes), &got, &err), 0);
		image->layers[i] = (struct blob){.media_type = MEDIA_LAYER,
			.size = 9000,
			.title = i ? "runner" : "model",
			.read = source_read,
			.self = &sources[i],
			.mount_from = i ? NULL : mount_from};
		digest_of((struct str){bytes, 9000}, &image->layers[i].digest);
		sources[i].reads = 0;
	}
	blob_of_text(&image->config, MEDIA_CONFIG, "config", mem_text("{}"));
	blob_of_text(&image->manifest, MEDIA_MANIFEST, "manifest",
		mem_format("{\"config\":{\"digest\":\"%s\"},\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}",
			image->config.digest.text, image->layers[0].digest.text, image->layers[1].digest.text));
	blob_of_text(&image->index, MEDIA_INDEX, "index", mem_format("{\"manifests\":[{\"digest\":\"%s\"}]}", image->manifest.digest.text));
}

struct world {
	struct fake_clock clock;
	struct fake_http http;
	struct registry_double registry;
	struct redactor *redact;
	char *env_items[4];
	struct env env;
	struct image image;
	struct push_result result;
	struct err err;
};

static char home_nowhere[] = "HOME=/nonexistent";
static char user[] = "MLCTL_REGISTRY_USERNAME=me", password[] = "MLCTL_REGISTRY_PASSWORD=secret-pass";

static void world_init(struct world *world, const char *mount_from) {
	*world = (struct world){.env_items = {home_nowhere}};
	world->env.items = world->env_items;
	fake_clock_init(&world->clock);
	fake_http_handler(&world->http, &world->clock, handle, &world->registry);
	world->redact = redactor_new();
	world->registry.mono_ms = &world->clock.mono_ms;
	image_make(&world->image, mount_from);
}

static struct store *world_store(struct world *world) {
	struct store *store = NULL;
	struct store_options options = {
		.http = &world->http.http, .clock = &world->clock.clock, .env = &world->env, .redact = world->redact};
	if (store_open(NAME, &options, &store, &world->err) != 0)
		fail_msg("%s", world->err.message);
	return store;
}

static int world_push(struct world *world, const char *tag) {
	struct store *store = world_store(world);
	err_clear(&world->err);
	int rc = store_push(store, &world->image, &tag, 1, NULL, &world->result, &world->err);
	store_close(store);
	assert_int_equal(world->registry.orphan_manifests, 0);
	return rc;
}

static void world_end(struct world *world) {
	fake_http_end(&world->http);
	image_clear(&world->image);
	free(world->registry.token_request);
	redactor_free(world->redact);
}

static void assert_whole(struct world *world, const char *tag) {
	char name[200];
	const struct blob *blobs[] = {&world->image.layers[0], &world->image.layers[1], &world->image.config};
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "blob %s", blobs[i]->digest.text);
		assert_non_null(find(&world->registry, name));
	}
	snprintf(name, sizeof(name), "tag %s", tag);
	struct thing *thing = find(&world->registry, name);
	assert_non_null(thing);
	assert_string_equal(thing->digest.text, world->image.index.digest.text);
}

/* --- tests */

static void pushes_once(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	assert_int_equal(world_push(&world, "git-1"), 0);
	assert_whole(&world, "git-1");
	assert_int_equal(world.result.pushed, 3);
	assert_int_equal(world.result.sent_bytes, 18002);
	assert_int_equal(world.registry.puts, 3);
	int puts = world.registry.manifest_puts;
	sources[0].reads = sources[1].reads = 0;
	int requests = world.registry.requests;
	assert_int_equal(world_push(&world, "git-1"), 0); /* and again: nothing is sent, nothing is read, and one question tells */
	assert_int_equal(world.registry.requests, requests + 1);
	assert_int_equal(world.result.existed, 3);
	assert_int_equal(world.result.sent_bytes, 0);
	assert_int_equal(sources[0].reads + sources[1].reads, 0);
	assert_int_equal(world.registry.manifest_puts, puts);
	world_end(&world);
}

/* docker-registry's race between two pushes of the same blobs passes; a registry that keeps saying so is believed in the end. */
static void blobs_unknown_for_a_moment(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.registry.unsettled = 3;
	assert_int_equal(world_push(&world, "git-1"), 0);
	assert_whole(&world, "git-1");
	world_end(&world);

	world_init(&world, NULL);
	world.registry.unsettled = 1000;
	int64_t began = world.clock.mono_ms;
	assert_int_equal(world_push(&world, "git-1"), -1);
	assert_int_equal(world.err.code, ERR_REGISTRY);
	assert_non_null(strstr(world.err.message, "MANIFEST_BLOB_UNKNOWN"));
	assert_true(world.clock.mono_ms - began < 5000);
	world_end(&world);
}

/* The n-th request fails, for every n, in every way, up to three times in a row. */
static void every_request_fails(void **state) {
	(void) state;
	int faults = 0;
	for (size_t n = 1; n <= 18; n++)
		for (size_t times = 1; times <= 3; times++)
			for (int kind = 0; kind < 4; kind++) {
				struct world world;
				world_init(&world, NULL);
				world.registry.has_query = n % 2;
				world.http.fail_at = n;
				world.http.fail_times = times;
				world.http.fail_was_sent = kind & 1;
				world.http.fail_code = kind & 2 ? ERR_TIMEOUT : ERR_NETWORK;
				if (world_push(&world, "git-1") != 0)
					fail_msg("request %zu, %zu times, kind %d: %s", n, times, kind, world.err.message);
				assert_whole(&world, "git-1");
				/* Only what was in flight goes twice: at most `times` blobs of 9000. */
				assert_true(world.result.sent_bytes <= 18002 + 9000 * (int64_t) times);
				faults += world.http.started >= n;
				world_end(&world);
			}
	assert_true(faults >= 13 * 3 * 4); /* thirteen requests make a push */
}

static void every_request_is_answered_so(void **state) {
	(void) state;
	static const int statuses[] = {500, 502, 503, 504, 429, 408};
	for (size_t s = 0; s < sizeof(statuses) / sizeof(statuses[0]); s++)
		for (int n = 1; n <= 18; n++)
			for (int times = 1; times <= 3; times++) {
				struct world world;
				world_init(&world, NULL);
				world.registry.status = statuses[s];
				world.registry.status_at = n;
				world.registry.status_times = times;
				world.registry.status_headers = statuses[s] == 429 ? "retry-after: 7\n" : NULL;
				int64_t before = world.clock.mono_ms;
				if (world_push(&world, "git-1") != 0)
					fail_msg("request %d, %d times, %d: %s", n, times, statuses[s], world.err.message);
				assert_whole(&world, "git-1");
				if (statuses[s] == 429 && world.registry.requests > n + times)
					assert_true(world.clock.mono_ms - before >= 7000);
				world_end(&world);
			}
}

static void gives_up_in_time(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.registry.status = 503;
	world.registry.status_at = 6;
	world.registry.status_times = 1000000;
	world.registry.status_headers = "retry-after: 100\n";
	int64_t before = world.clock.mono_ms;
	assert_int_equal(world_push(&world, "v1"), -1);
	assert_int_equal(world.err.code, ERR_REGISTRY);
	assert_non_null(strstr(world.err.message, "503"));
	assert_non_null(strstr(world.err.message, "DOWN: later"));
	assert_true(world.clock.mono_ms - before <= 6 * 60 * 1000);
	assert_null(find(&world.registry, "tag v1"));
	world_end(&world);
}

static void says_what_the_registry_says(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.registry.status = 403;
	world.registry.status_at = 5;
	world.registry.status_times = 100;
	assert_int_equal(world_push(&world, "v1"), -1);
	assert_int_equal(world.err.code, ERR_AUTH);
	assert_non_null(strstr(world.err.message, "DOWN: later"));
	assert_non_null(strstr(world.err.message, NAME));
	assert_string_equal(world.err.fix, "mlctl login registry.test");
	world_end(&world);
}

static void mounts(void **state) {
	(void) state;
	struct world world;
	world_init(&world, "team/base");
	world.registry.mounts = true;
	assert_int_equal(world_push(&world, "v1"), 0);
	assert_int_equal(world.result.mounted, 1);
	assert_int_equal(world.result.sent_bytes, 9002);
	assert_whole(&world, "v1");
	world_end(&world);
	world_init(&world, "team/base"); /* a registry that says 202 to it: the session it opened is used */
	assert_int_equal(world_push(&world, "v1"), 0);
	assert_int_equal(world.registry.sessions, 3);
	assert_whole(&world, "v1");
	world_end(&world);
	world_init(&world, "team/base");
	world.registry.refuses_mount = true;
	assert_int_equal(world_push(&world, "v1"), 0);
	assert_int_equal(world.result.pushed, 3);
	world_end(&world);
}

static void addresses(void **state) {
	(void) state;
	for (int kind = 0; kind < 4; kind++) {
		struct world world;
		world_init(&world, NULL);
		world.env_items[1] = user;
		world.env_items[2] = password;
		world.registry.wants_basic = true;
		world.registry.is_relative = kind & 1;
		world.registry.has_query = kind & 2;
		assert_int_equal(world_push(&world, "v1"), 0);
		assert_whole(&world, "v1");
		world_end(&world);
	}
}

static void another_origin_gets_no_credentials(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.env_items[1] = user;
	world.env_items[2] = password;
	world.registry.wants_token = true;
	world.registry.upload_host = "https://storage.test:8443";
	assert_int_equal(world_push(&world, "v1"), 0);
	assert_whole(&world, "v1");
	assert_int_equal(world.registry.foreign_credentials, 0);
	world_end(&world);
	static const char *const bad[] = {
		"http://storage.test", "http://registry.test", "https://u:p@storage.test", "https://169.254.169.254"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		world_init(&world, NULL);
		world.registry.upload_host = bad[i];
		assert_int_equal(world_push(&world, "v1"), -1);
		assert_int_equal(world.err.code, ERR_REGISTRY);
		assert_int_equal(world.registry.puts, 0);
		world_end(&world);
	}
}

static void forgotten_session(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.registry.forgets_session_once = true;
	assert_int_equal(world_push(&world, "v1"), 0);
	assert_int_equal(world.registry.sessions, 4);
	assert_whole(&world, "v1");
	world_end(&world);
}

static void tokens_are_kept_and_renewed(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	world.env_items[1] = user;
	world.env_items[2] = password;
	world.registry.wants_token = true;
	assert_int_equal(world_push(&world, "git-1"), 0);
	int requests = world.registry.requests;
	assert_true(world.registry.tokens <= 2); /* to look, and to push */
	assert_string_equal(
		world.registry.token_request, BASE "/token?service=registry.test&scope=repository%3Ateam%2Ffraud%3Apull%2Cpush&account=me");
	world_end(&world);
	for (int n = 4; n <= requests; n++) { /* it dies before the n-th request, whichever that is */
		world_init(&world, NULL);
		world.env_items[1] = user;
		world.env_items[2] = password;
		world.registry.wants_token = true;
		world.registry.token_dies_after = n;
		if (world_push(&world, "git-1") != 0)
			fail_msg("before request %d: %s", n, world.err.message);
		assert_whole(&world, "git-1");
		assert_int_equal(world.registry.sessions, 3); /* a refused PUT goes on in its session */
		world_end(&world);
	}
}

static void wrong_password(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	static char wrong[] = "MLCTL_REGISTRY_PASSWORD=wrong-pass-word";
	world.env_items[1] = user;
	world.env_items[2] = wrong;
	world.registry.wants_basic = true;
	assert_int_equal(world_push(&world, "git-1"), -1);
	assert_int_equal(world.err.code, ERR_AUTH);
	assert_null(strstr(world.err.message, "wrong-pass-word"));
	assert_non_null(strstr(world.err.message, "authentication required"));
	assert_true(world.registry.requests <= 3);
	world_end(&world);
	world_init(&world, NULL);
	world.registry.wants_basic = true; /* nobody logged in */
	assert_int_equal(world_push(&world, "git-1"), -1);
	assert_int_equal(world.err.code, ERR_AUTH);
	assert_non_null(strstr(world.err.message, "without credentials"));
	world_end(&world);
}

static void commit_tags_never_move(void **state) {
	(void) state;
	struct world world;
	world_init(&world, NULL);
	struct digest other;
	digest_of(STR("other"), &other);
	put(&world.registry, "tag git-1", &other);
	put(&world.registry, "tag latest", &other);
	assert_int_equal(world_push(&world, "git-1"), -1);
	assert_int_equal(world.err.code, ERR_CONFLICT);
	assert_true(world.err.fix[0]);
	assert_int_equal(world.registry.requests, 1);
	assert_int_equal(world_push(&world, "latest"), 0);
	assert_whole(&world, "latest");
	world_end(&world);
}

static void interrupted(void **state) {
	(void) state;
	struct fake_clock clock;
	struct fake_http http;
	fake_clock_init(&clock);
	static const struct fake_turn turns[] = {{.method = "HEAD",
		.url = BASE "/v2/team/fraud/blobs/sha256:"
			    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
		.status = 404,
		.signal = 15}};
	fake_http_script(&http, &clock, turns, 1);
	struct store *store = NULL;
	struct err err = {0};
	struct env env = {0};
	assert_int_equal(
		store_open(NAME, &(struct store_options){.http = &http.http, .clock = &clock.clock, .env = &env}, &store, &err), 0);
	struct blob blob;
	blob_of_text(&blob, MEDIA_CONFIG, "config", mem_text("{}"));
	assert_int_equal(store_put_blob(store, &blob, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(err.sys, 15);
	free(blob.owned);
	store_close(store);
	fake_http_end(&http);
}

#define TURN(...) (const struct fake_turn[]){__VA_ARGS__}, sizeof((const struct fake_turn[]){__VA_ARGS__}) / sizeof(struct fake_turn)

struct scripted {
	struct fake_clock clock;
	struct fake_http http;
	struct store *store;
	struct redactor *redact;
	struct err err;
};

static void script(struct scripted *self, char **env_items, const struct fake_turn *turns, size_t count) {
	*self = (struct scripted){.redact = redactor_new()};
	static struct env env;
	static char *none[] = {home_nowhere, NULL};
	env.items = env_items ? env_items : none;
	fake_clock_init(&self->clock);
	fake_http_script(&self->http, &self->clock, turns, count);
	struct store_options options = {.http = &self->http.http, .clock = &self->clock.clock, .env = &env, .redact = self->redact};
	assert_int_equal(store_open(NAME, &options, &self->store, &self->err), 0);
}

static void script_end(struct scripted *self) {
	store_close(self->store);
	fake_http_end(&self->http);
	redactor_free(self->redact);
}

#define TAGS BASE "/v2/team/fraud/tags/list"

static void tags_by_pages(void **state) {
	(void) state;
	struct scripted s;
	script(&s, NULL,
		TURN({.method = "GET",
			     .url = TAGS "?n=1000",
			     .status = 200,
			     .headers = "link: </v2/team/fraud/tags/list?n=1000&last=b>; rel=\"next\"\n",
			     .answer = "{\"name\":\"team/fraud\",\"tags\":[\"a\",\"b\"]}"},
			{.method = "GET", .url = TAGS "?n=1000&last=b", .status = 200, .answer = "{\"tags\":[\"c\"]}"},
			{.method = "GET", .url = TAGS "?n=1000", .status = 404, .answer = "{}"},
			{.method = "GET", .url = TAGS "?n=1000", .status = 200, .answer = "{\"tags\":null}"},
			{.method = "GET",
				.url = TAGS "?n=1000",
				.status = 200,
				.headers = "link: <https://evil.test/x>; rel=\"next\"\n",
				.answer = "{\"tags\":[]}"},
			{.method = "GET", .url = TAGS "?n=1000", .status = 200, .answer = "{\"tags\":[\"../x\"]}"}));
	struct texts tags = {0};
	assert_int_equal(store_tags(s.store, &tags, &s.err), 0);
	assert_int_equal(tags.count, 3);
	assert_string_equal(tags.items[2], "c");
	texts_clear(&tags);
	assert_int_equal(store_tags(s.store, &tags, &s.err), 0);
	assert_int_equal(tags.count, 0);
	assert_int_equal(store_tags(s.store, &tags, &s.err), 0);
	assert_int_equal(tags.count, 0);
	assert_int_equal(store_tags(s.store, &tags, &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	err_clear(&s.err);
	assert_int_equal(store_tags(s.store, &tags, &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	script_end(&s);
}

static void untags(void **state) {
	(void) state;
	struct scripted s;
	script(&s, NULL,
		TURN({.method = "DELETE", .url = BASE "/v2/team/fraud/manifests/v1", .status = 202},
			{.method = "DELETE", .url = BASE "/v2/team/fraud/manifests/v1", .status = 404},
			{.method = "DELETE", .url = BASE "/v2/team/fraud/manifests/v1", .status = 405}));
	assert_int_equal(store_untag(s.store, "v1", &s.err), 0);
	assert_int_equal(store_untag(s.store, "v1", &s.err), 0);
	assert_int_equal(store_untag(s.store, "v1", &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	assert_non_null(strstr(s.err.message, "does not let tags be deleted"));
	script_end(&s);
}

static void wrong_bytes_are_refused(void **state) {
	(void) state;
	struct scripted s;
#define ONE "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	script(&s, NULL,
		TURN({.method = "GET", .url = BASE "/v2/team/fraud/manifests/" ONE, .status = 200, .answer = "{\"manifests\":[]}"},
			{.method = "GET",
				.url = BASE "/v2/team/fraud/manifests/v1",
				.status = 200,
				.headers = "docker-content-digest: " ONE "\n",
				.answer = "{\"manifests\":[]}"},
			{.method = "GET", .url = BASE "/v2/team/fraud/blobs/" ONE, .status = 200, .answer = "[]"},
			{.method = "GET", .url = BASE "/v2/team/fraud/blobs/" ONE, .status = 200, .answer = "{}{}{}"},
			{.method = "GET", .url = BASE "/v2/team/fraud/blobs/" ONE, .status = 200, .answer = "{}"}));
	struct manifest manifest = {0};
	struct digest digest;
	AUTO_FREE char *text = NULL;
	size_t len;
	assert_int_equal(digest_parse(STR(ONE), &digest, &s.err), 0);
	assert_int_equal(store_get_manifest(s.store, ONE, &manifest, &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	err_clear(&s.err);
	assert_int_equal(store_get_manifest(s.store, "v1", &manifest, &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	err_clear(&s.err);
	assert_int_equal(store_get_blob_text(s.store, &digest, 100, &text, &len, &s.err), -1);
	assert_int_equal(s.err.code, ERR_REGISTRY);
	err_clear(&s.err);
	assert_int_equal(store_get_blob_text(s.store, &digest, 3, &text, &len, &s.err), -1); /* endless answers are cut */
	assert_int_equal(s.err.code, ERR_LIMIT);
	err_clear(&s.err);
	assert_int_equal(store_get_blob_text(s.store, &digest, 100, &text, &len, &s.err), 0);
	assert_string_equal(text, "{}");
	script_end(&s);
}

static void identity_token(void **state) {
	(void) state;
	char folder[] = "/tmp/mlctl-registry.XXXXXX";
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *config = fs_join(folder, "config.json");
	AUTO_FREE char *docker_config = mem_format("DOCKER_CONFIG=%s", folder);
	struct err err = {0};
	const char *text = "{\"auths\":{\"registry.test\":{\"auth\":\"MDA6\",\"identitytoken\":\"refresh-me-please\"}}}";
	assert_int_equal(fs_replace(config, text, strlen(text), 0600, &err), 0);
	char *items[] = {home_nowhere, docker_config, NULL};
	struct scripted s;
	script(&s, items,
		TURN({.method = "HEAD",
			     .url = BASE "/v2/team/fraud/manifests/v1",
			     .status = 401,
			     .no_header = "Authorization",
			     .headers = "www-authenticate: Basic realm=\"old\", Bearer realm=\"" BASE
					"/oauth2/token\", service=\"registry.test\"\n"},
			{.method = "POST",
				.url = BASE "/oauth2/token",
				.status = 200,
				.no_header = "Authorization",
				.body = "grant_type=refresh_token&client_id=mlctl&service=registry.test&scope=repository%3Ateam%2Ffraud%"
					"3Apull"
					"&refresh_token=refresh-me-please",
				.answer = "{\"access_token\":\"access-granted\"}"},
			{.method = "HEAD",
				.url = BASE "/v2/team/fraud/manifests/v1",
				.status = 404,
				.header = "Authorization: Bearer access-granted"}));
	bool has = true;
	if (store_has_manifest(s.store, "v1", NULL, &has, &s.err) != 0)
		fail_msg("%s", s.err.message);
	assert_false(has);
	script_end(&s);
	assert_int_equal(fs_remove_tree(folder, &err), 0);
}

/* A challenge that names somebody else's host: nothing goes there, and the message says where it would have gone. */
static void foreign_realm(void **state) {
	(void) state;
	static const char *const realms[] = {"https://evil.test/token", "http://registry.test/token",
		"https://registry.test@evil.test/token", "https://169.254.169.254/token", "https://metadata.google.internal/token",
		"https://registry.test.evil.test/token", "ftp://registry.test/"};
	for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
		struct scripted s;
		AUTO_FREE char *headers = mem_format("www-authenticate: Bearer realm=\"%s\",service=\"x\"\n", realms[i]);
		char *items[] = {home_nowhere, user, password, NULL};
		struct fake_turn turn = {.method = "HEAD", .url = BASE "/v2/team/fraud/manifests/v1", .status = 401, .headers = headers};
		script(&s, items, &turn, 1);
		bool has;
		assert_int_equal(store_has_manifest(s.store, "v1", NULL, &has, &s.err), -1);
		assert_int_equal(s.err.code, ERR_AUTH);
		assert_non_null(strstr(s.err.message, "nothing was sent"));
		script_end(&s);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_once),
		cmocka_unit_test(blobs_unknown_for_a_moment),
		cmocka_unit_test(every_request_fails),
		cmocka_unit_test(every_request_is_answered_so),
		cmocka_unit_test(gives_up_in_time),
		cmocka_unit_test(says_what_the_registry_says),
		cmocka_unit_test(mounts),
		cmocka_unit_test(addresses),
		cmocka_unit_test(another_origin_gets_no_credentials),
		cmocka_unit_test(forgotten_session),
		cmocka_unit_test(tokens_are_kept_and_renewed),
		cmocka_unit_test(wrong_password),
		cmocka_unit_test(commit_tags_never_move),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(tags_by_pages),
		cmocka_unit_test(untags),
		cmocka_unit_test(wrong_bytes_are_refused),
		cmocka_unit_test(identity_token),
		cmocka_unit_test(foreign_realm),
	};
	return cmocka_run_group_tests_name("oci/registry", tests, NULL, NULL);
}
