#include "build/base.h"

#include "build/cache.h"
#include "os/fs.h"

#include <fcntl.h>
#include <stdio.h>

#define MEDIA_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define BASE_LAYERS_MAX 58 /* with PLAN_LARGE_MAX, PLAN_SHARED_MAX and the runner still IMAGE_LAYERS_MAX */

struct base_layer {
	struct base *base;
	const struct blob *blob;
	int fd; /* of the fetched file; -1 until somebody reads */
};

/* Docker's types of the same bytes become OCI's, since the manifest is one of OCI's. */
static const char *layer_type(struct str type) {
	static const char *const types[][2] = {
		{MEDIA_LAYER, MEDIA_LAYER},
		{MEDIA_LAYER_GZIP, MEDIA_LAYER_GZIP},
		{MEDIA_LAYER_ZSTD, MEDIA_LAYER_ZSTD},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER_GZIP},
		{"application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_is(type, types[i][0]))
			return types[i][1];
	return NULL;
}

void base_free(struct base *base) {
	if (!base)
		return;
	for (size_t i = 0; base->sources && i < base->count; i++)
		if (base->sources[i].fd >= 0)
			close(base->sources[i].fd);
	for (size_t i = 0; base->layers && i < base->count; i++)
		free((char *) base->layers[i].mount_from);
	free(base->layers);
	free(base->sources);
	free(base->folder);
	document_free(base->config);
	free(base);
}

struct sink {
	int fd;
	const char *path;
};

static int write_piece(void *self, const void *bytes, size_t len, struct err *err) {
	const struct sink *sink = self;
	return fs_write_all(sink->fd, bytes, len, sink->path, err);
}

static int fetch(struct base_layer *layer, struct err *err) {
	const struct blob *blob = layer->blob;
	AUTO_FREE char *path = fs_join(layer->base->folder, digest_hex(&blob->digest)),
		       *temporary = mem_format("%s.tmp.%d", path, (int) getpid());
	struct stat info;
	if (fs_make_dirs(layer->base->folder, 0700, err) != 0)
		return -1;
	if (stat(path, &info) == 0 && info.st_size == blob->size)
		return fs_open(path, O_RDONLY, 0, &layer->fd, err); /* verified when it was put there */
	AUTO_CLOSE int fd = -1;
	cache_sweep(layer->base->folder);
	if (fs_open(temporary, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd, err) != 0)
		return -1;
	struct sink sink = {fd, temporary};
	int rc = store_get_blob(layer->base->store, &blob->digest, blob->size, write_piece, &sink, err);
	if (rc == 0 && rename(temporary, path) != 0)
		rc = err_sys(err, "%s", path);
	if (rc != 0) {
		best_effort(unlink(temporary)); /* the first failure is the one to tell */
		return err_wrap(err, "base");
	}
	layer->fd = fd;
	fd = -1;
	return 0;
}

static int layer_read(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	struct base_layer *layer = self;
	if (layer->fd < 0 && fetch(layer, err) != 0)
		return -1;
	int64_t rest = layer->blob->size - offset;
	return fs_pread(layer->fd, out, rest < (int64_t) len ? (size_t) rest : len, offset, got, "a layer of the base image", err);
}

/* The digest of the platform's manifest inside an index. */
static int pick_platform(const struct value *index, const char *reference, const char *architecture, struct digest *out, struct err *err) {
	value_each(entry, value_get(index, "manifests")) {
		const struct value *os = value_find(entry, "platform.os"), *cpu = value_find(entry, "platform.architecture");
		const struct value *digest = value_get(entry, "digest");
		if (os && cpu && digest && str_is(os->text, "linux") && str_is(cpu->text, architecture))
			return digest_parse(digest->text, out, err);
	}
	return err_set(err, ERR_CONFIG, "base: %s has no linux/%s", reference, architecture);
}

static int read_manifest(struct store *store, const char *reference, const char *architecture, struct document **out, struct err *err) {
	struct str digest;
	str_cut_last(str_of(reference), '@', &digest);
	struct digest wanted;
	if (!digest.ptr || digest_parse(digest, &wanted, err) != 0) {
		err_clear(err);
		return err_set(err, ERR_CONFIG, "base: %s: must be \"scratch\" or end in @sha256: and 64 hex digits", reference);
	}
	for (int hop = 0; hop < 2; hop++) {
		struct manifest manifest = {0};
		AUTO_DOCUMENT struct document *document = NULL;
		if (store_get_manifest(store, wanted.text, &manifest, err) != 0)
			return err_wrap(err, "base");
		bool is_index = strcmp(manifest.media_type, MEDIA_INDEX) == 0 || strcmp(manifest.media_type, MEDIA_DOCKER_LIST) == 0;
		bool is_manifest =
			strcmp(manifest.media_type, MEDIA_MANIFEST) == 0 || strcmp(manifest.media_type, MEDIA_DOCKER_MANIFEST) == 0;
		int rc = json_read("base", (struct str){manifest.bytes, manifest.len}, VALUE_LIMITS_WIRE, &document, err);
		manifest_clear(&manifest);
		if (rc != 0)
			return -1;
		if (is_manifest) {
			*out = take(&document);
			return 0;
		}
		if (!is_index)
			break;
		if (pick_platform(document->root, reference, architecture, &wanted, err) != 0)
			return -1;
	}
	return err_set(err, ERR_CONFIG, "base: %s is not an image", reference);
}

static int add_layers(struct base *base, const struct value *layers, const char *mount_from, struct err *err) {
	base->count = layers ? layers->count : 0;
	if (base->count == 0 || base->count > BASE_LAYERS_MAX)
		return err_set(err, ERR_CONFIG, "base: %zu layers: must be 1 to %d", base->count, BASE_LAYERS_MAX);
	base->layers = mem_zero(base->count, sizeof(*base->layers));
	base->sources = mem_zero(base->count, sizeof(*base->sources));
	for (size_t i = 0; i < base->count; i++)
		base->sources[i].fd = -1;
	size_t i = 0;
	value_each(layer, layers) {
		struct blob *blob = &base->layers[i];
		struct str type, digest;
		if (value_need_str(layer, "mediaType", &type, err) != 0 || value_need_str(layer, "digest", &digest, err) != 0 ||
			value_need_int(layer, "size", &blob->size, err) != 0 || digest_parse(digest, &blob->digest, err) != 0)
			return err_wrap(err, "base: layer %zu", i + 1);
		blob->media_type = layer_type(type);
		if (!blob->media_type || blob->size < 0)
			return err_set(err, ERR_CONFIG, "base: layer %zu is of type %.*s, which is not known here", i + 1, STR_ARGS(type));
		blob->title = "base";
		blob->mount_from = mount_from ? mem_text(mount_from) : NULL;
		base->sources[i] = (struct base_layer){base, blob, -1};
		blob->read = layer_read;
		blob->self = &base->sources[i];
		i++;
	}
	return 0;
}

static int read_config(struct base *base, const struct value *manifest, struct err *err) {
	struct str digest;
	struct digest wanted;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (value_need_str(manifest, "config.digest", &digest, err) != 0 || digest_parse(digest, &wanted, err) != 0 ||
		store_get_blob_text(base->store, &wanted, MANIFEST_BYTES_MAX, &text, &len, err) != 0 ||
		json_read("base config", (struct str){text, len}, VALUE_LIMITS_WIRE, &base->config, err) != 0)
		return err_wrap(err, "base");
	const struct value *diffs = value_find(base->config->root, "rootfs.diff_ids");
	if (!diffs || diffs->count != base->count)
		return err_set(
			err, ERR_CONFIG, "base: its config names %zu layers, its manifest %zu", diffs ? diffs->count : 0, base->count);
	return 0;
}

int base_open(struct store *store, const char *reference, const char *image, const char *architecture, const char *cache_folder,
	struct base **out, struct err *err) {
	AUTO_BASE struct base *base = NEW(struct base);
	AUTO_DOCUMENT struct document *manifest = NULL;
	base->store = store;
	base->folder = fs_join(cache_folder, "layers");
	struct ref from = {0}, to = {0};
	struct err unused = {0};
	bool same = image && ref_parse(str_of(reference), &from, &unused) == 0 && ref_parse(str_of(image), &to, &unused) == 0 &&
		    strcmp(from.host, to.host) == 0;
	if (read_manifest(store, reference, architecture, &manifest, err) != 0 ||
		add_layers(base, value_get(manifest->root, "layers"), same ? from.repository : NULL, err) != 0 ||
		read_config(base, manifest->root, err) != 0)
		return -1;
	*out = take(&base);
	return 0;
}
