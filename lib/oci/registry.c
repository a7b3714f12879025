/* Any registry of the OCI distribution specification 1.1, over net/rest.h; blobs go up through upload.c. */
#include "oci/backend.h"

#include "data/value.h"
#include "net/rest.h"
#include "oci/auth_registry.h"
#include "oci/upload.h"

#include <stdio.h>

#define MANIFEST_TIMEOUT_MS 60000
#define UNCLEAR_TRIES_MAX 3
#define UNSETTLED_TRIES_MAX 6
#define UNSETTLED_WAIT_MS 100 /* longer by as much each time */
#define TAG_PAGE 1000
#define TAG_PAGES_MAX 100
#define TAGS_MAX 100000
#define TAG_PAGE_BYTES_MAX ((size_t) 8 * 1024 * 1024)
#define DOWNLOAD_TRIES_MAX 6
#define DOWNLOAD_MS_MAX ((int64_t) 6 * 3600 * 1000)
#define DOWNLOAD_STALL_MS 60000

static const char manifest_types[] = MEDIA_INDEX ", " MEDIA_MANIFEST ", application/vnd.docker.distribution.manifest.list.v2+json"
						 ", application/vnd.docker.distribution.manifest.v2+json";

struct registry {
	struct store store;
	struct ref ref;
	char *base;
	struct auth *auth;
	struct rest rest;
	const struct clock *clock;
	int uploads_max;
	bool is_plain, is_insecure, is_greeted;
};

static struct registry *registry_of(struct store *store) {
	return (struct registry *) store;
}

/* A refusal is told with whose credentials they were and what to type. Where that is said already, the reason is another one (a
 * certificate, a token service that is not trusted), and a login would not help. */
static int explain(struct registry *registry, struct err *err) {
	if (err->code == ERR_AUTH && !err->fix[0]) {
		const char *source = auth_registry_source(registry->auth);
		if (source)
			err_wrap(err, "with the credentials of %s", source);
		else
			err_wrap(err, "without credentials");
		err_fix(err, "mlctl login %s", registry->ref.host);
	}
	if (registry->is_plain && !registry->is_greeted && strstr(err->message, ": 400 "))
		err_fix(err, "if this registry speaks TLS: take registry.insecure out of mlctl.yaml (registry.caFile or MLCTL_CA_FILE names a CA of your own)");
	if (err->code == ERR_NETWORK && !registry->is_greeted)
		err_fix(err, "see that the registry is up and that mlctl.yaml's image names it: curl -i %s://%s/v2/", registry->is_plain ? "http" : "https", registry->ref.host);
	if (err->code == ERR_FAILED || err->code == ERR_CONFLICT)
		err->code = ERR_REGISTRY;
	return -1;
}

static int call(struct registry *registry, const struct rest_call *request, struct http_answer *answer, struct err *err) {
	if (rest_call(&registry->rest, request, answer, err) != 0)
		return explain(registry, err);
	registry->is_greeted = true;
	return 0;
}

static char *manifest_url(const struct registry *registry, const char *tag_or_digest) {
	return mem_format("%s/v2/%s/manifests/%s", registry->base, registry->ref.repository, tag_or_digest);
}

/* --- manifests */

static int registry_get_manifest(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err) {
	struct registry *registry = registry_of(store);
	AUTO_FREE char *url = manifest_url(registry, tag_or_digest);
	struct rest_call request = {.method = "GET",
		.url = url,
		.accept = manifest_types,
		.answer_bytes_max = MANIFEST_BYTES_MAX,
		.timeout_ms = MANIFEST_TIMEOUT_MS};
	struct http_answer answer = {0};
	if (call(registry, &request, &answer, err) != 0)
		return -1;
	out->len = answer.body_len;
	out->bytes = take(&answer.body);
	struct str bytes = {out->bytes, out->len};
	struct digest told = {0};
	struct err scratch = {0};
	digest_of(bytes, &out->digest);
	struct str header = http_header_of(&answer, "docker-content-digest");
	/* A digest that was asked for must come; for a tag the registry's own word, when it gives one, must be true. */
	const char *wanted = is_digest_text(tag_or_digest) ? tag_or_digest : NULL;
	if (!wanted && header.len && digest_parse(header, &told, &scratch) == 0)
		wanted = told.text;
	int rc = 0;
	if (wanted && strcmp(wanted, out->digest.text) != 0)
		rc = err_set(err, ERR_REGISTRY, "%s: manifest %s came with bytes that hash to %s", store->name, wanted, out->digest.text);
	http_answer_clear(&answer);
	const char *media_type = NULL;
	if (rc != 0 || manifest_media_type(bytes, &media_type, err) != 0)
		return -1;
	out->media_type = mem_text(media_type);
	return 0;
}

static int registry_has_manifest(struct store *store, const char *tag_or_digest, struct digest *digest, bool *has, struct err *err) {
	struct registry *registry = registry_of(store);
	AUTO_FREE char *url = manifest_url(registry, tag_or_digest);
	struct rest_call request = {.method = "HEAD", .url = url, .accept = manifest_types, .expect = (const int[]){404, 0}};
	struct http_answer answer = {0};
	*has = false;
	if (call(registry, &request, &answer, err) != 0)
		return -1;
	bool is_there = answer.status != 404;
	struct err scratch = {0};
	bool is_told = digest_parse(http_header_of(&answer, "docker-content-digest"), digest, &scratch) == 0;
	http_answer_clear(&answer);
	if (!is_there)
		return 0;
	if (is_digest_text(tag_or_digest)) {
		*has = true;
		return digest_parse(str_of(tag_or_digest), digest, err);
	}
	if (!is_told) { /* the header is optional, the bytes are not */
		struct manifest manifest = {0};
		int rc = registry_get_manifest(store, tag_or_digest, &manifest, err);
		if (rc == 0)
			*digest = manifest.digest;
		manifest_clear(&manifest);
		if (rc != 0)
			return -1;
	}
	*has = true;
	return 0;
}

/* A manifest goes out after every blob it names was found or stored. docker-registry 2.8 writes its links to blobs in place, so while
 * another push of the same blobs is under way it may read one half-written, and says for a moment that the blob is unknown. */
static bool is_unsettled(const struct http_answer *answer) {
	static const char word[] = "BLOB_UNKNOWN";
	return (answer->status == 400 || answer->status == 404) && answer->body &&
	       memmem(answer->body, answer->body_len, word, sizeof(word) - 1);
}

/* PUT under `name`. A reply that was lost is resolved by reading, not by hope. */
static int put_manifest(struct registry *registry, const struct blob *manifest, const char *name, struct err *err) {
	AUTO_FREE char *url = manifest_url(registry, name);
	struct rest_call request = {.method = "PUT",
		.url = url,
		.body = manifest->bytes,
		.content_type = manifest->media_type,
		.expect = (const int[]){400, 404, 0},
		.timeout_ms = MANIFEST_TIMEOUT_MS};
	auth_registry_will_push(registry->auth, NULL);
	for (int unclear = 1, unsettled = 1;;) {
		struct http_answer answer = {0};
		if (call(registry, &request, &answer, err) == 0) {
			bool is_done = answer.status < 300, may_settle = is_unsettled(&answer) && unsettled < UNSETTLED_TRIES_MAX;
			if (!is_done && !may_settle)
				rest_failure(&registry->rest, "PUT", url, &answer, unsettled, err);
			http_answer_clear(&answer);
			if (is_done)
				return 0;
			if (may_settle) {
				registry->clock->sleep_ms(registry->clock->self, (int64_t) UNSETTLED_WAIT_MS * unsettled++);
				continue;
			}
			explain(registry, err);
		}
		if (err->code != ERR_UNCLEAR || unclear++ >= UNCLEAR_TRIES_MAX)
			return err->code == ERR_NOT_FOUND ? (err->code = ERR_REGISTRY, -1) : -1;
		err_clear(err);
		struct digest found = {0};
		bool has = false;
		if (registry_has_manifest(&registry->store, name, &found, &has, err) != 0)
			return -1;
		if (has && digest_equal(&found, &manifest->digest))
			return 0;
	}
}

static int registry_put_manifest(struct store *store, const struct blob *manifest, bool may_exist, struct err *err) {
	struct digest found = {0};
	bool has = false;
	if (may_exist && registry_has_manifest(store, manifest->digest.text, &found, &has, err) != 0)
		return -1;
	return has ? 0 : put_manifest(registry_of(store), manifest, manifest->digest.text, err);
}

static int registry_tag(struct store *store, const struct blob *manifest, const char *tag, struct err *err) {
	return put_manifest(registry_of(store), manifest, tag, err);
}

/* Distribution specification, "Deleting tags": 202; 405 or 400 where it is switched off. */
static int registry_untag(struct store *store, const char *tag, struct err *err) {
	struct registry *registry = registry_of(store);
	AUTO_FREE char *url = manifest_url(registry, tag);
	struct rest_call request = {.method = "DELETE", .url = url, .expect = (const int[]){404, 400, 405, 501, 0}};
	struct http_answer answer = {0};
	auth_registry_will_push(registry->auth, NULL);
	if (call(registry, &request, &answer, err) != 0)
		return -1;
	int status = answer.status;
	http_answer_clear(&answer);
	if (status == 400 || status == 405 || status == 501) {
		err_set(err, ERR_REGISTRY, "%s does not let tags be deleted (DELETE of tag %s: %d)", store->name, tag, status);
		return err_fix(err, "delete it in the registry's own console, or leave it: nothing depends on it any more");
	}
	return 0;
}

/* --- tags */

static int read_tags(const struct http_answer *answer, struct texts *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	if (json_read("tags", (struct str){answer->body, answer->body_len}, VALUE_LIMITS_WIRE, &document, err) != 0) {
		err->code = ERR_REGISTRY;
		return -1;
	}
	const struct value *tags = value_get(document->root, "tags"); /* null when there is none */
	if (tags && tags->kind != VALUE_ARRAY && tags->kind != VALUE_NULL)
		return err_set(err, ERR_REGISTRY, "tags: must be a list");
	value_each(tag, tags) {
		if (tag->kind != VALUE_STRING || !ref_tag_is_valid(tag->text))
			return err_set(err, ERR_REGISTRY, "tags: \"%.*s\" is no tag", STR_ARGS(tag->text));
		if (out->count >= TAGS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d tags", TAGS_MAX);
		AUTO_FREE char *text = str_dup(tag->text);
		texts_add(out, text);
	}
	return 0;
}

/* RFC 8288: <url>; rel="next". A next page on another origin is none. */
static int next_page(const char *url, struct str link, char **out, struct err *err) {
	struct str rest, target = str_cut(link, '>', &rest);
	if (!rest.ptr || !str_starts(target, "<") || !memmem(rest.ptr, rest.len, "next", 4))
		return 0;
	AUTO_FREE char *next = NULL;
	if (url_resolve(url, (struct str){target.ptr + 1, target.len - 1}, &next, err) != 0)
		return err_wrap(err, "next page of tags");
	if (!url_same_origin(url, next))
		return err_set(err, ERR_REGISTRY, "the next page of tags is on another host");
	*out = take(&next);
	return 0;
}

static int registry_tags(struct store *store, struct texts *out, struct err *err) {
	struct registry *registry = registry_of(store);
	AUTO_FREE char *url = mem_format("%s/v2/%s/tags/list?n=%d", registry->base, registry->ref.repository, TAG_PAGE);
	for (int page = 0; page < TAG_PAGES_MAX; page++) {
		struct rest_call request = {
			.method = "GET", .url = url, .answer_bytes_max = TAG_PAGE_BYTES_MAX, .expect = (const int[]){404, 0}};
		struct http_answer answer = {0};
		if (call(registry, &request, &answer, err) != 0)
			return -1;
		AUTO_FREE char *next = NULL;
		int rc = answer.status == 404 ? 0 : read_tags(&answer, out, err); /* a repository that nobody pushed to has no tags */
		if (rc == 0 && answer.status != 404)
			rc = next_page(url, http_header_of(&answer, "link"), &next, err);
		http_answer_clear(&answer);
		if (rc != 0)
			return err_wrap(err, "tags of %s", store->name);
		if (!next || strcmp(next, url) == 0)
			return 0;
		free(url);
		url = take(&next);
	}
	return err_set(err, ERR_LIMIT, "tags of %s: more than %d pages", store->name, TAG_PAGES_MAX);
}

/* --- blobs */

static int registry_put_blobs(struct store *store, const struct blob *const *blobs, size_t count, const struct store_progress *progress,
	struct push_result *result, struct err *err) {
	struct registry *registry = registry_of(store);
	struct upload_target target = {
		.rest = &registry->rest,
		.clock = registry->clock,
		.base = registry->base,
		.repository = registry->ref.repository,
		.uploads_max = registry->uploads_max,
		.is_insecure = registry->is_insecure,
		.is_greeted = registry->is_greeted,
	};
	auth_registry_will_push(registry->auth, NULL);
	for (size_t i = 0; i < count; i++)
		if (blobs[i]->mount_from)
			auth_registry_will_push(registry->auth, blobs[i]->mount_from);
	if (upload_blobs(&target, blobs, count, progress, result, err) != 0)
		return explain(registry, err);
	registry->is_greeted = true;
	return 0;
}

struct download {
	http_write_fn write;
	void *self;
	struct digest_state *hash;
	int64_t size;	  /* -1: not known */
	int64_t got;	  /* bytes handed on, over all tries */
	int64_t skip;	  /* of this try: bytes that were handed on before */
	bool is_told_off; /* the receiver or a limit said no: no other try */
};

static int on_blob(void *self, const void *bytes, size_t len, struct err *err) {
	struct download *download = self;
	size_t old = download->skip < (int64_t) len ? (size_t) download->skip : len;
	download->skip -= (int64_t) old;
	bytes = (const char *) bytes + old;
	len -= old;
	if (len == 0)
		return 0;
	if (download->size >= 0 && download->got + (int64_t) len > download->size) {
		download->is_told_off = true;
		return err_set(err, ERR_REGISTRY, "more than the %lld bytes that its descriptor names", (long long) download->size);
	}
	digest_add(download->hash, bytes, len);
	download->got += (int64_t) len;
	if (download->write(download->self, bytes, len, err) == 0)
		return 0;
	download->is_told_off = true;
	return -1;
}

/* Does the registry honour Range here? One byte tells; who ignores it sends all, which is cut off. */
static bool takes_ranges(struct registry *registry, const char *url, int64_t at) {
	AUTO_FREE char *range = mem_format("bytes=%lld-%lld", (long long) at, (long long) at);
	struct http_header header = {.name = "Range", .value = range};
	struct rest_call request = {.method = "GET", .url = url, .headers = &header, .header_count = 1, .answer_bytes_max = 16};
	struct http_answer answer = {0};
	struct err scratch = {0};
	if (rest_call(&registry->rest, &request, &answer, &scratch) != 0)
		return false;
	bool is_partial = answer.status == 206 && answer.body_len == 1;
	http_answer_clear(&answer);
	return is_partial;
}

static int download_once(struct registry *registry, const char *url, struct download *download, struct err *err) {
	AUTO_FREE char *range = NULL;
	download->skip = download->got;
	if (download->got > 0 && takes_ranges(registry, url, download->got)) {
		range = mem_format("bytes=%lld-", (long long) download->got);
		download->skip = 0;
	}
	struct http_header header = {.name = "Range", .value = range};
	struct rest_call request = {
		.method = "GET",
		.url = url,
		.headers = &header,
		.header_count = range ? 1 : 0,
		.write = on_blob,
		.write_self = download,
		.timeout_ms = DOWNLOAD_MS_MAX,
		.stall_timeout_ms = DOWNLOAD_STALL_MS,
	};
	struct http_answer answer = {0};
	if (call(registry, &request, &answer, err) != 0)
		return -1;
	http_answer_clear(&answer);
	return 0;
}

static int registry_get_blob(
	struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err) {
	struct registry *registry = registry_of(store);
	struct digest checked, found;
	if (digest_parse(str_of(digest->text), &checked, err) != 0)
		return -1;
	AUTO_FREE char *url = mem_format("%s/v2/%s/blobs/%s", registry->base, registry->ref.repository, checked.text);
	struct download download = {.write = write, .self = self, .size = size, .hash = digest_start()};
	int rc = -1;
	/* A cut download goes on where it was cut. Before its first byte rest_call() itself tries again. */
	for (int tries = 1, idle = 0; rc != 0; tries++) {
		int64_t before = download.got;
		if ((rc = download_once(registry, url, &download, err)) == 0)
			break;
		idle = download.got > before ? 0 : idle + 1;
		bool is_cut = err->code == ERR_NETWORK || err->code == ERR_TIMEOUT;
		if (!is_cut || download.is_told_off || tries >= DOWNLOAD_TRIES_MAX || idle > 1 || download.got == 0)
			break;
		err_clear(err);
	}
	digest_finish(download.hash, &found);
	if (rc != 0)
		return err_wrap(err, "blob %s", checked.text);
	if (size >= 0 && download.got != size)
		return err_set(
			err, ERR_REGISTRY, "blob %s: %lld bytes, not %lld", checked.text, (long long) download.got, (long long) size);
	if (!digest_equal(&checked, &found))
		return err_set(err, ERR_REGISTRY, "blob %s: its bytes hash to %s", checked.text, found.text);
	return 0;
}

/* --- opening */

static void registry_close(struct store *store) {
	struct registry *registry = registry_of(store);
	if (registry->auth)
		registry->auth->close(registry->auth);
	free(registry->base);
	free(registry);
}

/* TLS, but for hosts on this machine and for those that the user called insecure. There is no way from one to the other later. */
static bool is_plain_host(const char *host, const struct store_options *options) {
	struct str name, port;
	if (options->is_insecure)
		return true;
	name = str_cut_last(str_of(host), ':', &port);
	if (name.len && name.ptr[0] == '[') { /* [::1]:5000, and [::1] whose last colon is no port's */
		name = str_cut(str_of(host), ']', &port);
		name = (struct str){name.ptr + 1, name.len - 1};
	}
	return url_host_is_loopback(name) && !options->ca_file;
}

int registry_open(const char *name, const struct store_options *options, struct store **out, struct err *err) {
	static const struct store_ops ops = {
		.keeps_what_is_tagged = true,
		.put_blobs = registry_put_blobs,
		.put_manifest = registry_put_manifest,
		.tag = registry_tag,
		.get_manifest = registry_get_manifest,
		.has_manifest = registry_has_manifest,
		.get_blob = registry_get_blob,
		.tags = registry_tags,
		.untag = registry_untag,
		.close = registry_close,
	};
	struct ref ref;
	if (ref_parse(str_of(name), &ref, err) != 0)
		return -1;
	if (ref.tag[0] || ref.digest.text[0])
		return err_set(
			err, ERR_CONFIG, "image \"%s\": names a repository, without tag and digest: %s/%s", name, ref.host, ref.repository);
	if (!options->http)
		return err_set(err, ERR_FAILED, "%s: a registry needs the network", name);
	struct registry *registry = NEW(struct registry);
	registry->store = (struct store){.ops = &ops, .name = mem_format("%s/%s", ref.host, ref.repository)};
	registry->ref = ref;
	registry->is_plain = is_plain_host(ref.host, options);
	registry->base = mem_format(
		"%s://%s", registry->is_plain ? "http" : "https", strcmp(ref.host, "docker.io") == 0 ? "registry-1.docker.io" : ref.host);
	registry->clock = options->clock ? options->clock : options->http->clock;
	registry->is_insecure = options->is_insecure;
	registry->uploads_max = options->uploads_max;
	struct auth_registry_options auth = {
		.base = registry->base,
		.host = registry->ref.host,
		.repository = registry->ref.repository,
		.env = options->env,
		.clock = registry->clock,
		.redact = options->redact,
		.ca_file = options->ca_file,
		.is_insecure = options->is_insecure,
	};
	registry->auth = auth_registry_new(&auth);
	registry->rest =
		(struct rest){.http = options->http, .auth = registry->auth, .ca_file = options->ca_file, .redact = options->redact};
	*out = &registry->store;
	return 0;
}
