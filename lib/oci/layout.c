/* An OCI image layout (image-spec 1.1, "image-layout"): oci-layout, index.json, blobs/sha256/<hex>.
 *
 * A blob is written under a temporary name, hashed on its way, synced and renamed, so a name below blobs/ always holds whole and
 * right bytes. index.json, which alone says what the layout contains, is replaced last and under a lock. Whoever writes a temporary
 * holds a flock on it: one that can be locked belongs to nobody alive, and the next writer removes it. */
#include "oci/backend.h"

#include "data/value.h"
#include "os/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define COPY_BYTES ((size_t) 512 * 1024)
#define INDEX_BYTES_MAX MANIFEST_BYTES_MAX
#define LOCK_WAIT_MS_MAX 30000
#define LOCK_POLL_MS 10
#define TEMPORARY_PREFIX ".blob-"
#define TEMPORARY_TRIES_MAX 100
#define REF_NAME "org.opencontainers.image.ref.name"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct layout {
	struct store store;
	char *folder;
	const struct clock *clock;
	unsigned int temporaries;
	bool is_made;
};

static struct layout *layout_of(struct store *store) {
	return (struct layout *) store;
}

static char *blob_path(const struct layout *layout, const struct digest *digest) {
	return mem_format("%s/blobs/sha256/%s", layout->folder, digest_hex(digest));
}

/* --- temporaries: named, locked by their writer, swept by others */

static int temporary_open(struct layout *layout, char **path, int *fd, struct err *err) {
	for (int i = 0; i < TEMPORARY_TRIES_MAX; i++) {
		AUTO_FREE char *name = mem_format("%s/%s%ld-%u", layout->folder, TEMPORARY_PREFIX, (long) getpid(), layout->temporaries++);
		AUTO_CLOSE int got = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (got < 0 && errno == EEXIST)
			continue;
		if (got < 0)
			return err_sys(err, "%s", name);
		if (!fs_claim(got))
			continue;
		*path = take(&name);
		*fd = got;
		got = -1;
		return 0;
	}
	return err_set(err, ERR_FAILED, "%s: no temporary name is free after %d tries", layout->folder, TEMPORARY_TRIES_MAX);
}

/* --- the folder */

static int lock(const struct layout *layout, int *fd, struct err *err) {
	AUTO_FREE char *path = fs_join(layout->folder, ".lock");
	int64_t deadline = clock_mono_ms(layout->clock) + LOCK_WAIT_MS_MAX;
	while (fs_lock(path, false, fd, err) != 0) {
		if (err->code != ERR_LOCKED || clock_mono_ms(layout->clock) >= deadline)
			return -1;
		err_clear(err);
		layout->clock->sleep_ms(layout->clock->self, LOCK_POLL_MS);
	}
	return 0;
}

static int check_version(const struct layout *layout, bool *is_there, struct err *err) {
	AUTO_FREE char *path = fs_join(layout->folder, "oci-layout");
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	*is_there = false;
	if (fs_read(path, 4096, &text, &len, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	AUTO_DOCUMENT struct document *document = NULL;
	struct str version;
	if (json_read(path, (struct str){text, len}, VALUE_LIMITS_WIRE, &document, err) != 0 ||
		value_need_str(document->root, "imageLayoutVersion", &version, err) != 0) {
		err->code = ERR_REGISTRY;
		return -1;
	}
	if (!str_starts(version, "1."))
		return err_set(err, ERR_REGISTRY, "%s: imageLayoutVersion %.*s, this program knows 1.x", path, STR_ARGS(version));
	*is_there = true;
	return 0;
}

static int make(struct layout *layout, struct err *err) {
	if (layout->is_made)
		return 0;
	AUTO_FREE char *blobs = fs_join(layout->folder, "blobs/sha256");
	AUTO_FREE char *version = fs_join(layout->folder, "oci-layout");
	bool is_there;
	if (check_version(layout, &is_there, err) != 0 || fs_make_dirs(blobs, 0755, err) != 0)
		return -1;
	if (!is_there && fs_replace(version, LAYOUT_TEXT, strlen(LAYOUT_TEXT), 0644, err) != 0)
		return -1;
	fs_sweep(layout->folder, TEMPORARY_PREFIX);
	layout->is_made = true;
	return 0;
}

/* --- index.json */

static int index_read(const struct layout *layout, struct document **out, struct err *err) {
	AUTO_FREE char *path = fs_join(layout->folder, "index.json");
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, INDEX_BYTES_MAX, &text, &len, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		*out = document_new(path);
		struct value *root = value_root_object(*out);
		value_add_int(*out, root, "schemaVersion", 2);
		value_add_text(*out, root, "mediaType", MEDIA_INDEX);
		value_add_array(*out, root, "manifests");
		return 0;
	}
	AUTO_DOCUMENT struct document *document = NULL;
	if (json_read(path, (struct str){text, len}, VALUE_LIMITS_WIRE, &document, err) != 0) {
		err->code = ERR_REGISTRY;
		return -1;
	}
	const struct value *manifests = value_get(document->root, "manifests");
	if (!manifests || manifests->kind != VALUE_ARRAY)
		return err_set(err, ERR_REGISTRY, "%s: manifests: must be a list", path);
	*out = take(&document);
	return 0;
}

static struct str tag_of(const struct value *descriptor) {
	const struct value *name = value_get(value_get(descriptor, "annotations"), REF_NAME);
	return name && name->kind == VALUE_STRING ? name->text : (struct str){0};
}

static const struct value *find_tag(const struct document *index, struct str tag) {
	const struct value *found = NULL;
	value_each(descriptor, value_get(index->root, "manifests")) {
		struct str name = tag_of(descriptor);
		if (name.ptr && str_equal(name, tag))
			found = descriptor;
	}
	return found;
}

/* Everything of the old index but the entries of `tag`, then `top` under that tag when there is one. */
static int index_write(const struct layout *layout, const struct document *old, struct str tag, const struct blob *top, struct err *err) {
	AUTO_DOCUMENT struct document *fresh = document_new("index.json");
	struct value *root = value_root_object(fresh), *manifests = NULL;
	value_each(member, old->root) {
		AUTO_FREE char *key = str_dup(member->key);
		if (!str_is(member->key, "manifests")) {
			value_add_copy(fresh, root, key, member);
			continue;
		}
		manifests = value_add_array(fresh, root, key);
		value_each(descriptor, member) {
			struct str name = tag_of(descriptor);
			if (!name.ptr || !str_equal(name, tag))
				value_add_copy(fresh, manifests, NULL, descriptor);
		}
	}
	if (top) {
		struct value *descriptor = value_add_object(fresh, manifests, NULL);
		blob_describe(fresh, descriptor, top);
		value_add_str(fresh, value_add_object(fresh, descriptor, "annotations"), REF_NAME, tag);
	}
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *path = fs_join(layout->folder, "index.json");
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	if (strlen(text) > INDEX_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%s: would have %zu bytes, at most %zu: remove tags", path, strlen(text), INDEX_BYTES_MAX);
	return fs_replace(path, text, strlen(text), 0644, err);
}

/* --- writing */

static bool blob_is_there(const struct layout *layout, const struct blob *blob) {
	AUTO_FREE char *path = blob_path(layout, &blob->digest);
	struct stat info;
	return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == blob->size;
}

struct telling {
	const struct store_progress *progress;
	const struct blob *blob;
};

static void on_copied(void *self, int64_t bytes) {
	const struct telling *telling = self;
	store_say(telling->progress, telling->blob, "pushing", bytes);
}

static int blob_write(struct layout *layout, const struct blob *blob, const struct store_progress *progress, struct err *err) {
	struct digest checked; /* what becomes a path is no more than a digest */
	if (digest_parse(str_of(blob->digest.text), &checked, err) != 0)
		return -1;
	AUTO_FREE char *path = blob_path(layout, &checked);
	AUTO_FREE char *temporary = NULL;
	AUTO_CLOSE int fd = -1;
	if (temporary_open(layout, &temporary, &fd, err) != 0)
		return -1;
	/* A full disk is known before the first byte where the file system can tell; where it can't, writing tells. */
	struct telling telling = {progress, blob};
	int rc = 0;
	if (blob->size > 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, blob->size) != 0 && errno == ENOSPC)
		rc = err_sys(err, "writing %lld bytes to %s", (long long) blob->size, path);
	if (rc == 0 && (rc = blob_copy(blob, fd, path, on_copied, &telling, err)) != 0 && err->code == ERR_NOSPACE)
		err_wrap(err, "%lld bytes", (long long) blob->size);
	if (rc == 0 && fsync(fd) != 0)
		rc = err_sys(err, "writing %lld bytes to %s", (long long) blob->size, path);
	if (rc == 0 && rename(temporary, path) != 0)
		rc = err_sys(err, "%s", path);
	if (rc != 0)
		best_effort(unlink(temporary)); /* the first failure is the one to tell; the next writer sweeps */
	return rc;
}

static int sync_blobs(const struct layout *layout, struct err *err) {
	AUTO_FREE char *blobs = fs_join(layout->folder, "blobs/sha256");
	return fs_sync_dir(blobs, err);
}

static int layout_put_blobs(struct store *store, const struct blob *const *blobs, size_t count, const struct store_progress *progress,
	struct push_result *result, struct err *err) {
	struct layout *layout = layout_of(store);
	if (make(layout, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (blob_is_there(layout, blobs[i])) {
			result->existed++;
			store_say(progress, blobs[i], "exists", blobs[i]->size);
			continue;
		}
		store_say(progress, blobs[i], "pushing", 0);
		if (blob_write(layout, blobs[i], progress, err) != 0)
			return -1;
		result->pushed++;
		result->sent_bytes += blobs[i]->size;
		store_say(progress, blobs[i], "pushed", blobs[i]->size);
	}
	return result->pushed ? sync_blobs(layout, err) : 0;
}

static int layout_put_manifest(struct store *store, const struct blob *manifest, bool may_exist, struct err *err) {
	(void) may_exist; /* asking costs nothing here */
	struct layout *layout = layout_of(store);
	if (make(layout, err) != 0)
		return -1;
	if (blob_is_there(layout, manifest))
		return 0;
	return blob_write(layout, manifest, NULL, err) == 0 ? sync_blobs(layout, err) : -1;
}

static int layout_tag(struct store *store, const struct blob *manifest, const char *tag, struct err *err) {
	struct layout *layout = layout_of(store);
	AUTO_CLOSE int held = -1;
	AUTO_DOCUMENT struct document *index = NULL;
	bool is_there;
	if (layout_put_manifest(store, manifest, true, err) != 0 || lock(layout, &held, err) != 0)
		return -1;
	fs_sweep(layout->folder, NULL);
	if (store_may_tag(store, tag, &manifest->digest, &is_there, err) != 0) /* now nobody can come in between */
		return -1;
	if (is_there)
		return 0;
	if (index_read(layout, &index, err) != 0)
		return -1;
	return index_write(layout, index, str_of(tag), manifest, err);
}

static int layout_untag(struct store *store, const char *tag, struct err *err) {
	struct layout *layout = layout_of(store);
	AUTO_CLOSE int held = -1;
	AUTO_DOCUMENT struct document *index = NULL;
	if (!fs_exists(layout->folder))
		return 0;
	if (lock(layout, &held, err) != 0 || index_read(layout, &index, err) != 0)
		return -1;
	return find_tag(index, str_of(tag)) ? index_write(layout, index, str_of(tag), NULL, err) : 0;
}

/* --- reading */

static int not_there(const struct layout *layout, const char *name, struct err *err) {
	return err_set(err, ERR_NOT_FOUND, "oci:%s: %s is not there", layout->folder, name);
}

static int resolve(const struct layout *layout, const char *tag_or_digest, struct digest *digest, struct err *err) {
	if (is_digest_text(tag_or_digest))
		return digest_parse(str_of(tag_or_digest), digest, err);
	AUTO_DOCUMENT struct document *index = NULL;
	struct str text;
	if (index_read(layout, &index, err) != 0)
		return -1;
	const struct value *descriptor = find_tag(index, str_of(tag_or_digest));
	if (!descriptor)
		return not_there(layout, tag_or_digest, err);
	if (value_need_str(descriptor, "digest", &text, err) != 0 || digest_parse(text, digest, err) != 0) {
		err->code = ERR_REGISTRY;
		return err_wrap(err, "%s/index.json: tag %s", layout->folder, tag_or_digest);
	}
	return 0;
}

static int layout_get_manifest(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err) {
	struct layout *layout = layout_of(store);
	if (resolve(layout, tag_or_digest, &out->digest, err) != 0)
		return -1;
	AUTO_FREE char *path = blob_path(layout, &out->digest);
	if (fs_read(path, MANIFEST_BYTES_MAX, &out->bytes, &out->len, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return not_there(layout, out->digest.text, err);
	}
	struct str bytes = {out->bytes, out->len};
	const char *media_type = NULL;
	if (store_verify(&out->digest, bytes, path, err) != 0)
		return -1;
	if (manifest_media_type(bytes, &media_type, err) != 0)
		return err_wrap(err, "%s", path);
	out->media_type = mem_text(media_type);
	return 0;
}

static int layout_has_manifest(struct store *store, const char *tag_or_digest, struct digest *digest, bool *has, struct err *err) {
	struct layout *layout = layout_of(store);
	*has = false;
	if (resolve(layout, tag_or_digest, digest, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	AUTO_FREE char *path = blob_path(layout, digest);
	struct stat info;
	*has = lstat(path, &info) == 0 && S_ISREG(info.st_mode);
	return 0;
}

static int layout_get_blob(
	struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err) {
	struct layout *layout = layout_of(store);
	struct digest checked, found;
	if (digest_parse(str_of(digest->text), &checked, err) != 0)
		return -1;
	AUTO_FREE char *path = blob_path(layout, &checked);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return not_there(layout, checked.text, err);
	if (fd < 0)
		return err_sys(err, "%s", path);
	AUTO_FREE char *block = mem_zero(1, COPY_BYTES);
	struct digest_state *hash = digest_start();
	int64_t offset = 0;
	int rc = 0;
	for (size_t got = COPY_BYTES; rc == 0 && got == COPY_BYTES; offset += (int64_t) got) {
		rc = fs_pread(fd, block, COPY_BYTES, offset, &got, path, err);
		if (rc == 0 && got) {
			digest_add(hash, block, got);
			rc = write(self, block, got, err);
		}
	}
	digest_finish(hash, &found);
	if (rc != 0)
		return -1;
	if (size >= 0 && offset != size)
		return err_set(err, ERR_REGISTRY, "%s: %lld bytes, not %lld", path, (long long) offset, (long long) size);
	if (!digest_equal(&checked, &found))
		return err_set(err, ERR_REGISTRY, "%s: its bytes hash to %s", path, found.text);
	return 0;
}

static int layout_tags(struct store *store, struct texts *out, struct err *err) {
	AUTO_DOCUMENT struct document *index = NULL;
	if (index_read(layout_of(store), &index, err) != 0)
		return -1;
	value_each(descriptor, value_get(index->root, "manifests")) {
		struct str name = tag_of(descriptor);
		if (!ref_tag_is_valid(name))
			continue; /* other tools put whole references there */
		AUTO_FREE char *text = str_dup(name);
		texts_add(out, text);
	}
	return 0;
}

static void layout_close(struct store *store) {
	struct layout *layout = layout_of(store);
	free(layout->folder);
	free(layout);
}

int layout_open(const char *folder, const struct store_options *options, struct store **out, struct err *err) {
	static const struct store_ops ops = {
		.put_blobs = layout_put_blobs,
		.put_manifest = layout_put_manifest,
		.tag = layout_tag,
		.get_manifest = layout_get_manifest,
		.has_manifest = layout_has_manifest,
		.get_blob = layout_get_blob,
		.tags = layout_tags,
		.untag = layout_untag,
		.close = layout_close,
	};
	if (folder[0] == '\0')
		return err_set(err, ERR_CONFIG, "oci: needs a folder behind it, as in oci:/var/lib/images");
	struct layout *layout = NEW(struct layout);
	layout->store.ops = &ops;
	layout->store.name = mem_format("oci:%s", folder);
	layout->folder = mem_text(folder);
	layout->clock = options && options->clock ? options->clock : &clock_system;
	bool is_there;
	if (check_version(layout, &is_there, err) != 0) {
		store_close(&layout->store);
		return -1;
	}
	if (is_there && access(folder, W_OK) == 0)
		fs_sweep(layout->folder, TEMPORARY_PREFIX);
	*out = &layout->store;
	return 0;
}
