#include "oci/pull.h"

#include "data/compress.h"
#include "data/value.h"
#include "oci/extract.h"
#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define CONFIG_BYTES_MAX ((size_t) 4 * 1024 * 1024)
#define UNPACKED_BYTES_MAX ((int64_t) 64 * 1024 * 1024 * 1024) /* of one compressed layer */
#define UNPACKED_RATIO_MAX 200

struct layer_descriptor {
	struct digest digest;
	int64_t size;
	struct str media_type;
};

/* Image specification, "Content Descriptors". */
static int read_descriptor(const struct value *v, struct layer_descriptor *out, struct err *err) {
	struct str digest;
	if (value_need_str(v, "digest", &digest, err) != 0 || digest_parse(digest, &out->digest, err) != 0 ||
		value_need_int(v, "size", &out->size, err) != 0 ||
		value_opt_str(v, "mediaType", (struct str){0}, &out->media_type, err) != 0)
		return -1;
	return out->size >= 0 ? 0 : err_set(err, ERR_INVALID, "size: %lld", (long long) out->size);
}

static int parse(const struct manifest *manifest, struct document **out, struct err *err) {
	return json_read(manifest->digest.text, (struct str){manifest->bytes, manifest->len}, VALUE_LIMITS_WIRE, out, err);
}

/* Of an index the one that runs here; attestations are listed as platform unknown/unknown. */
static int platform_of(struct store *store, struct manifest *manifest, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	if (parse(manifest, &document, err) != 0)
		return -1;
	const struct value *manifests = value_get(document->root, "manifests");
	if (!manifests)
		return 0;
	value_each(entry, manifests) {
		struct str os, architecture;
		struct layer_descriptor descriptor;
		if (value_opt_str(entry, "platform.os", STR("linux"), &os, err) != 0 ||
			value_opt_str(entry, "platform.architecture", STR("amd64"), &architecture, err) != 0)
			return -1;
		if (!str_is(os, "linux") || !str_is(architecture, "amd64"))
			continue;
		if (read_descriptor(entry, &descriptor, err) != 0)
			return -1;
		manifest_clear(manifest);
		return store_get_manifest(store, descriptor.digest.text, manifest, err);
	}
	return err_set(err, ERR_INVALID, "%s: no image for linux/amd64 in this index", manifest->digest.text);
}

static int feed(void *self, const void *bytes, size_t len, struct err *err) {
	return extract_feed(self, bytes, len, err);
}

static int feed_packed(void *self, const void *bytes, size_t len, struct err *err) {
	return gunzip_feed(self, bytes, len, err);
}

static bool type_is(struct str media_type, const char *oci, const char *docker) {
	return str_is(media_type, oci) || str_is(media_type, docker);
}

/* Extracts while it arrives; nothing of it counts before the digest was verified at the end and the folder got its name. */
static int extract_layer(struct store *store, int root, const struct layer_descriptor *layer, bool is_packed, struct err *err) {
	AUTO_FREE char *name = mem_format("layer %.19s", layer->digest.text);
	struct tar_limits limits = {.entries_max = PULL_ENTRIES_MAX, .bytes_max = is_packed ? UNPACKED_BYTES_MAX : layer->size};
	AUTO_EXTRACT struct extract *extract = extract_new(root, name, limits);
	AUTO_GUNZIP struct gunzip *gunzip =
		gunzip_new(name, (struct gunzip_limits){.bytes_max = UNPACKED_BYTES_MAX, .ratio_max = UNPACKED_RATIO_MAX}, feed, extract);
	if (store_get_blob(
		    store, &layer->digest, layer->size, is_packed ? feed_packed : feed, is_packed ? (void *) gunzip : extract, err) != 0)
		return -1;
	if (is_packed && gunzip_finish(gunzip, err) != 0)
		return -1;
	return extract_finish(extract, err);
}

static int pull_layer(struct store *store, int root, const struct value *v, int64_t *bytes_left, struct err *err) {
	struct layer_descriptor layer;
	if (read_descriptor(v, &layer, err) != 0)
		return -1;
	bool is_packed = type_is(layer.media_type, MEDIA_LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip");
	if (!is_packed && !type_is(layer.media_type, MEDIA_LAYER, "application/vnd.docker.image.rootfs.diff.tar"))
		return err_set(err, ERR_INVALID, "layer %s is of type %.*s: only tar and tar+gzip are unpacked here", layer.digest.text,
			STR_ARGS(layer.media_type));
	if (layer.size > *bytes_left)
		return err_set(err, ERR_LIMIT, "layers of more than %lld bytes", (long long) PULL_BYTES_MAX);
	*bytes_left -= layer.size;
	return extract_layer(store, root, &layer, is_packed, err);
}

static int pull_into(struct store *store, const struct digest *image, const char *folder, struct err *err) {
	AUTO_FREE char *rootfs = fs_join(folder, "rootfs");
	AUTO_FREE char *config_path = fs_join(folder, "config.json");
	AUTO_CLOSE int root = -1;
	struct manifest manifest = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	struct layer_descriptor config;
	AUTO_FREE char *config_text = NULL;
	size_t config_len = 0;
	int64_t bytes_left = PULL_BYTES_MAX;
	int rc = store_get_manifest(store, image->text, &manifest, err);
	if (rc == 0)
		rc = platform_of(store, &manifest, err);
	if (rc == 0)
		rc = parse(&manifest, &document, err);
	manifest_clear(&manifest);
	if (rc != 0 || read_descriptor(value_get(document->root, "config"), &config, err) != 0 ||
		store_get_blob_text(store, &config.digest, CONFIG_BYTES_MAX, &config_text, &config_len, err) != 0)
		return -1;
	if (fs_make_dirs(rootfs, 0700, err) != 0 || fs_open(rootfs, O_RDONLY | O_DIRECTORY, 0, &root, err) != 0)
		return -1;
	const struct value *layers = value_get(document->root, "layers");
	if (!layers || layers->kind != VALUE_ARRAY || layers->count > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_INVALID, "manifest: layers: must be a list of at most %d", IMAGE_LAYERS_MAX);
	value_each(layer, layers) if (pull_layer(store, root, layer, &bytes_left, err) != 0) return -1;
	if (fs_replace(config_path, config_text, config_len, 0600, err) != 0)
		return -1;
	/* One flush for all files: the name that says "whole" must not survive a power cut that the bytes do not. */
	return syncfs(root) == 0 ? 0 : err_sys(err, "%s", rootfs);
}

/* "<folder>.tmp.<pid>" of processes that are gone. */
static void sweep(const char *folder) {
	struct str base, parent = str_cut_last(str_of(folder), '/', &base);
	if (!base.ptr)
		return;
	AUTO_FREE char *parent_path = mem_format("%.*s/", STR_ARGS(parent));
	AUTO_FREE char *prefix = mem_format("%.*s.tmp.", STR_ARGS(base));
	DIR *dir = opendir(parent_path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		int64_t pid;
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
			num_int(str_of(entry->d_name + strlen(prefix)), 1, INT32_MAX, &pid) != 0)
			continue;
		if (pid != getpid() && (kill((pid_t) pid, 0) == 0 || errno != ESRCH))
			continue;
		AUTO_FREE char *path = mem_format("%s%s", parent_path, entry->d_name);
		struct err scratch = {0};
		best_effort(fs_remove_tree(path, &scratch)); /* only tidiness; the next pull tries again */
	}
	closedir(dir);
}

static int pull(struct store *store, const struct digest *image, const char *folder, const char *temporary, struct err *err) {
	if (pull_into(store, image, temporary, err) != 0)
		return -1;
	if (rename(temporary, folder) == 0) {
		AUTO_FREE char *parent = mem_text(folder);
		char *slash = strrchr(parent, '/');
		if (slash && slash != parent)
			*slash = '\0';
		return slash ? fs_sync_dir(slash == parent ? "/" : parent, err) : 0;
	}
	/* Somebody else pulled the same image meanwhile: both hold the same bytes. */
	if (errno != EEXIST && errno != ENOTEMPTY)
		return err_sys(err, "%s", folder);
	return fs_remove_tree(temporary, err);
}

int pull_image(struct store *store, const struct digest *image, const char *folder, struct err *err) {
	if (fs_exists(folder))
		return 0;
	sweep(folder);
	AUTO_FREE char *temporary = mem_format("%s.tmp.%ld", folder, (long) getpid());
	if (pull(store, image, folder, temporary, err) == 0)
		return 0;
	struct err scratch = {0};
	best_effort(fs_remove_tree(temporary, &scratch)); /* the first failure is the one to tell; the next pull sweeps */
	return err_wrap(err, "pulling %s from %s", image->text, store_name(store));
}
