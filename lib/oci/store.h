/* Where images live: a registry, or an OCI layout folder that stands in for one. One door, two implementations (registry.c, layout.c), so
 * that push, deploy and rollback do not know which.
 *
 * Every byte that comes out was verified against its digest. A manifest goes in only after every blob it names. Tags that start with
 * "git-" never move (ERR_CONFLICT when they would). */
#pragma once

#include "net/http.h"
#include "oci/image.h"
#include "oci/ref.h"

struct store;

struct store_progress {
	/* state: "exists", "mounted", "pushing", "pushed", "retry"; sent of blob->size. Called on the caller's thread. */
	void (*blob)(void *self, const struct blob *blob, const char *state, int64_t sent_bytes);
	void *self;
};

struct store_options {
	struct http *http; /* NULL is fine for layouts */
	const struct clock *clock;
	const struct env *env; /* credentials, proxies, DOCKER_CONFIG, REGISTRY_AUTH_FILE, MLCTL_REGISTRY_USERNAME/_PASSWORD */
	struct redactor *redact;
	const struct log *log;
	bool is_insecure; /* plain http for this host (loopback hosts are tried so by default) */
	const char *ca_file;
	int uploads_max; /* 0: 4 */
};
/* name: "registry.example.com/team/fraud" or "oci:/absolute/folder". The options' members are lent for the store's life. */
int store_open(const char *name, const struct store_options *options, struct store **out, struct err *err);
void store_close(struct store *store);
const char *store_name(const struct store *store);

struct push_result {
	int64_t sent_bytes;
	size_t pushed, existed, mounted;
};
/* Layers in parallel (HEAD, mount, POST+PUT), config, then manifest, then index (when the image has one), then the tags on the index (or on
 * the manifest when there is no index). Only what was in flight is sent again after a cut. */
int store_push(struct store *store, const struct image *image, const char *const *tags, size_t tag_count,
	const struct store_progress *progress, struct push_result *result, struct err *err);
/* Blobs and one manifest or index, without an image around it: the record artifact, the release index. */
int store_put_blob(struct store *store, const struct blob *blob, struct err *err);
int store_put_manifest(struct store *store, const struct blob *manifest, const char *tag, struct err *err); /* tag NULL: by digest only */

struct manifest {
	struct digest digest;
	char *media_type, *bytes; /* owned */
	size_t len;
};
void manifest_clear(struct manifest *manifest);
/* By tag or "sha256:...": ERR_NOT_FOUND when it is not there. */
int store_get_manifest(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err);
int store_has_manifest(struct store *store, const char *tag_or_digest, struct digest *digest, bool *has, struct err *err);
/* Streams a blob; fails after the last byte when the digest is wrong, so write to a temporary. */
int store_get_blob(struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err);
int store_get_blob_text(struct store *store, const struct digest *digest, size_t bytes_max, char **out, size_t *len, struct err *err);
int store_tags(struct store *store, struct texts *out, struct err *err);
int store_untag(struct store *store, const char *tag, struct err *err);
