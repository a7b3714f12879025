#include "oci/store.h"

#include "data/value.h"
#include "oci/backend.h"

int store_open(const char *name, const struct store_options *options, struct store **out, struct err *err) {
	if (strncmp(name, "oci:", 4) == 0)
		return layout_open(name + 4, options, out, err);
	return registry_open(name, options, out, err);
}

void store_close(struct store *store) {
	if (!store)
		return;
	free(take(&store->name));
	store->ops->close(store);
}

const char *store_name(const struct store *store) {
	return store->name;
}

void store_say(const struct store_progress *progress, const struct blob *blob, const char *state, int64_t sent_bytes) {
	if (progress && progress->blob)
		progress->blob(progress->self, blob, state, sent_bytes);
}

void manifest_clear(struct manifest *manifest) {
	free(manifest->media_type);
	free(manifest->bytes);
	*manifest = (struct manifest){0};
}

int store_verify(const struct digest *wanted, struct str bytes, const char *what, struct err *err) {
	struct digest found;
	digest_of(bytes, &found);
	if (digest_equal(wanted, &found))
		return 0;
	return err_set(err, ERR_REGISTRY, "%s: its bytes hash to %s, not to %s", what, found.text, wanted->text);
}

/* Image specification 1.1: mediaType should be there; images by older tools lack it. */
int manifest_media_type(struct str bytes, const char **media_type, struct err *err) {
	static const char *const known[] = {
		MEDIA_MANIFEST,
		MEDIA_INDEX,
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
	};
	AUTO_DOCUMENT struct document *document = NULL;
	struct str type;
	if (bytes.len > MANIFEST_BYTES_MAX)
		return err_set(err, ERR_REGISTRY, "manifest of %zu bytes, at most %zu", bytes.len, MANIFEST_BYTES_MAX);
	if (json_read("manifest", bytes, VALUE_LIMITS_WIRE, &document, err) != 0 ||
		value_opt_str(document->root, "mediaType", (struct str){0}, &type, err) != 0) {
		err->code = ERR_REGISTRY;
		return -1;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_is(type, known[i])) {
			*media_type = known[i];
			return 0;
		}
	if (type.len)
		return err_set(err, ERR_REGISTRY, "manifest: mediaType \"%.*s\" is neither an image nor an index", STR_ARGS(type));
	if (!value_get(document->root, "manifests") && !value_get(document->root, "config"))
		return err_set(err, ERR_REGISTRY, "manifest: neither mediaType, config nor manifests is there");
	*media_type = value_get(document->root, "manifests") ? MEDIA_INDEX : MEDIA_MANIFEST;
	return 0;
}

static bool tag_is_fixed(const char *tag) {
	return strncmp(tag, "git-", 4) == 0;
}

int store_may_tag(struct store *store, const char *tag, const struct digest *wanted, bool *is_there, struct err *err) {
	struct digest found = {0};
	bool has = false;
	*is_there = false;
	if (store->ops->has_manifest(store, tag, &found, &has, err) != 0)
		return err_wrap(err, "reading tag %s", tag);
	*is_there = has && digest_equal(wanted, &found);
	if (!has || *is_there || !tag_is_fixed(tag))
		return 0;
	err_set(err, ERR_CONFLICT, "tag %s of %s already names %s, and this image is %s: a commit's tag never moves", tag, store->name,
		found.text, wanted->text);
	return err_fix(err, "commit what changed and build again, or deploy what is there: --image %s@%s", store->name, found.text);
}

/* What is unreachable or broken off at a registry is a registry's failure to whoever asked for an image. */
static int told(int rc, struct err *err) {
	if (rc != 0 && (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT || err->code == ERR_UNCLEAR))
		err->code = ERR_REGISTRY;
	return rc;
}

static int tags_are_good(const char *const *tags, size_t tag_count, struct err *err) {
	for (size_t i = 0; i < tag_count; i++)
		if (!ref_tag_is_valid(str_of(tags[i])))
			return err_set(err, ERR_CONFIG, "tag \"%s\": 1 to 128 letters, digits, _ . and -, beginning with none of . and -",
				tags[i]);
	return 0;
}

static int put_tags(struct store *store, const struct blob *top, const char *const *tags, size_t tag_count, struct err *err) {
	for (size_t i = 0; i < tag_count; i++) {
		/* Read again: another push may have come first while our layers were on their way. */
		bool is_there;
		if (store_may_tag(store, tags[i], &top->digest, &is_there, err) != 0)
			return -1;
		if (!is_there && store->ops->tag(store, top, tags[i], err) != 0)
			return err_wrap(err, "tag %s", tags[i]);
	}
	return 0;
}

/* A registry takes no index before what it names, and keeps what a tag reaches: with the tag there, all is. */
static void all_existed(const struct blob *const *blobs, size_t count, const struct store_progress *progress, struct push_result *result) {
	for (size_t i = 0; i < count; i++)
		store_say(progress, blobs[i], "exists", blobs[i]->size);
	result->existed = count;
}

static int push(struct store *store, const struct image *image, const char *const *tags, size_t tag_count,
	const struct store_progress *progress, struct push_result *result, struct err *err) {
	const struct blob *top = image->index.size ? &image->index : &image->manifest;
	if (tags_are_good(tags, tag_count, err) != 0)
		return -1;
	if (image->layer_count > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_LIMIT, "%zu layers, at most %d", image->layer_count, IMAGE_LAYERS_MAX);
	size_t tagged = 0;
	for (size_t i = 0; i < tag_count; i++) {
		bool is_there = false;
		if (tag_is_fixed(tags[i]) && store_may_tag(store, tags[i], &top->digest, &is_there, err) != 0)
			return -1; /* before the first byte goes out */
		tagged += is_there;
	}
	const struct blob *blobs[IMAGE_LAYERS_MAX + 1];
	size_t count = 0;
	for (size_t i = 0; i < image->layer_count; i++)
		blobs[count++] = &image->layers[i];
	blobs[count++] = &image->config;
	if (store->ops->keeps_what_is_tagged && tag_count > 0 && tagged == tag_count) {
		all_existed(blobs, count, progress, result);
		return 0;
	}
	if (store->ops->put_blobs(store, blobs, count, progress, result, err) != 0)
		return -1;
	bool may_exist = result->pushed + result->mounted == 0;
	if (top != &image->manifest && store->ops->put_manifest(store, &image->manifest, may_exist, err) != 0)
		return err_wrap(err, "manifest");
	if (tag_count == 0 && store->ops->put_manifest(store, top, may_exist, err) != 0)
		return err_wrap(err, "%s", top->title ? top->title : "manifest");
	return put_tags(store, top, tags, tag_count, err);
}

int store_push(struct store *store, const struct image *image, const char *const *tags, size_t tag_count,
	const struct store_progress *progress, struct push_result *result, struct err *err) {
	struct push_result scratch = {0};
	if (!result)
		result = &scratch;
	*result = (struct push_result){0};
	if (push(store, image, tags, tag_count, progress, result, err) != 0) {
		told(-1, err);
		return err_wrap(err, "pushing to %s", store->name);
	}
	return 0;
}

int store_put_blob(struct store *store, const struct blob *blob, struct err *err) {
	struct push_result result = {0};
	return told(store->ops->put_blobs(store, &blob, 1, NULL, &result, err), err);
}

int store_put_manifest(struct store *store, const struct blob *manifest, const char *tag, struct err *err) {
	if (tag && tags_are_good(&tag, 1, err) != 0)
		return -1;
	return told(tag ? put_tags(store, manifest, &tag, 1, err) : store->ops->put_manifest(store, manifest, false, err), err);
}

static int name_is_good(const char *tag_or_digest, struct err *err) {
	struct digest digest;
	return is_digest_text(tag_or_digest) ? digest_parse(str_of(tag_or_digest), &digest, err) : tags_are_good(&tag_or_digest, 1, err);
}

int store_get_manifest(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err) {
	struct manifest got = {0};
	if (name_is_good(tag_or_digest, err) != 0)
		return -1;
	if (store->ops->get_manifest(store, tag_or_digest, &got, err) != 0) {
		manifest_clear(&got);
		return told(-1, err);
	}
	*out = got;
	return 0;
}

int store_has_manifest(struct store *store, const char *tag_or_digest, struct digest *digest, bool *has, struct err *err) {
	struct digest got = {0};
	if (name_is_good(tag_or_digest, err) != 0)
		return -1;
	if (store->ops->has_manifest(store, tag_or_digest, &got, has, err) != 0)
		return told(-1, err);
	if (*has && digest)
		*digest = got;
	return 0;
}

int store_get_blob(struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err) {
	return told(store->ops->get_blob(store, digest, size, write, self, err), err);
}

static int write_buf(void *self, const void *bytes, size_t len, struct err *err) {
	buf_add(self, bytes, len);
	return buf_check(self, "blob", err);
}

int store_get_blob_text(struct store *store, const struct digest *digest, size_t bytes_max, char **out, size_t *len, struct err *err) {
	AUTO_BUF struct buf text = BUF(bytes_max + 1);
	if (store_get_blob(store, digest, -1, write_buf, &text, err) != 0)
		return -1;
	size_t got = text.len;
	if (got > bytes_max)
		return err_set(err, ERR_LIMIT, "blob %s: more than %zu bytes", digest->text, bytes_max);
	char *taken = NULL;
	if (buf_take(&text, &taken, err) != 0)
		return -1;
	*out = taken;
	if (len)
		*len = got;
	return 0;
}

int store_tags(struct store *store, struct texts *out, struct err *err) {
	struct texts got = {0};
	if (store->ops->tags(store, &got, err) != 0) {
		texts_clear(&got);
		return told(-1, err);
	}
	*out = got;
	return 0;
}

int store_untag(struct store *store, const char *tag, struct err *err) {
	if (tags_are_good(&tag, 1, err) != 0)
		return -1;
	return told(store->ops->untag(store, tag, err), err);
}
