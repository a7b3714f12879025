/* The two kinds of store behind oci/store.h: each file embeds `struct store` first and fills one constant table. Private to the room.
 *
 * Verbs do one thing. What both kinds share (the order of a push, the rule of git- tags, texts of blobs) lives once, in store.c. */
#pragma once

#include "oci/store.h"

struct store_ops {
	/* What a tag reaches is complete and stays: a push whose tags are there is done. A folder on this machine promises no such thing.
	 */
	bool keeps_what_is_tagged;
	/* Every blob of the list is there when it returns 0; in parallel where that helps. */
	int (*put_blobs)(struct store *store, const struct blob *const *blobs, size_t count, const struct store_progress *progress,
		struct push_result *result, struct err *err);
	/* Under its digest; `may_exist` asks first. */
	int (*put_manifest)(struct store *store, const struct blob *manifest, bool may_exist, struct err *err);
	/* Puts the manifest under a tag, and so under its digest too; store_may_tag() allowed it just before. */
	int (*tag)(struct store *store, const struct blob *manifest, const char *tag, struct err *err);
	int (*get_manifest)(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err);
	int (*has_manifest)(struct store *store, const char *tag_or_digest, struct digest *digest, bool *has, struct err *err);
	int (*get_blob)(struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err);
	int (*tags)(struct store *store, struct texts *out, struct err *err);
	int (*untag)(struct store *store, const char *tag, struct err *err);
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	char *name;
};

int layout_open(const char *folder, const struct store_options *options, struct store **out, struct err *err);
int registry_open(const char *name, const struct store_options *options, struct store **out, struct err *err);

/* Does the tag name `wanted` already? ERR_CONFLICT when it begins with "git-" and names another. */
int store_may_tag(struct store *store, const char *tag, const struct digest *wanted, bool *is_there, struct err *err);
/* The digest of what was read is the one asked for, or ERR_REGISTRY naming both. */
int store_verify(const struct digest *wanted, struct str bytes, const char *what, struct err *err);
/* The manifest's own word for its type, or what its members tell; a literal. ERR_REGISTRY when it is neither manifest nor index. */
int manifest_media_type(struct str bytes, const char **media_type, struct err *err);
void store_say(const struct store_progress *progress, const struct blob *blob, const char *state, int64_t sent_bytes);
static inline bool is_digest_text(const char *tag_or_digest) {
	return strncmp(tag_or_digest, "sha256:", 7) == 0;
}
