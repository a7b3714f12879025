#include "oci/archive.h"

#include "data/tar.h"
#include "data/value.h"
#include "os/fs.h"

#include <stdio.h>

#define REF_NAME "org.opencontainers.image.ref.name"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct archive {
	int fd;
	const char *file;
	void (*written)(void *self, int64_t bytes);
	void *self;
	int64_t blob_bytes;
	struct texts seen; /* names of entries: a layer that comes twice is one file */
};

static int put_header(struct archive *archive, const char *name, enum tar_type type, int64_t size, struct err *err) {
	AUTO_BUF struct buf header = BUF(TAR_HEADER_MAX);
	struct tar_entry entry = {.name = name, .type = type, .mode = type == TAR_FOLDER ? 0755 : 0644, .size = size};
	if (tar_header(&entry, &header, err) != 0 || buf_check(&header, "header", err) != 0)
		return -1;
	return fs_write_all(archive->fd, header.ptr, header.len, archive->file, err);
}

static int put_padding(struct archive *archive, int64_t size, struct err *err) {
	static const char zeroes[TAR_END_BYTES];
	return fs_write_all(archive->fd, zeroes, (size_t) size, archive->file, err);
}

static int put_text(struct archive *archive, const char *name, struct str text, struct err *err) {
	if (put_header(archive, name, TAR_FILE, (int64_t) text.len, err) != 0 ||
		fs_write_all(archive->fd, text.ptr, text.len, archive->file, err) != 0)
		return -1;
	return put_padding(archive, tar_padding((int64_t) text.len), err);
}

static bool is_seen(struct archive *archive, const char *name) {
	for (size_t i = 0; i < archive->seen.count; i++)
		if (strcmp(archive->seen.items[i], name) == 0)
			return true;
	texts_add(&archive->seen, name);
	return false;
}

static void on_copied(void *self, int64_t bytes) {
	struct archive *archive = self;
	if (archive->written)
		archive->written(archive->self, archive->blob_bytes + bytes);
}

static int put_blob(struct archive *archive, const char *name, const struct blob *blob, struct err *err) {
	if (is_seen(archive, name))
		return 0;
	if (put_header(archive, name, TAR_FILE, blob->size, err) != 0)
		return -1;
	if (blob_copy(blob, archive->fd, archive->file, on_copied, archive, err) != 0)
		return -1;
	archive->blob_bytes += blob->size;
	return put_padding(archive, tar_padding(blob->size), err);
}

static char *whole_name(const struct ref *name) {
	return mem_format("%s/%s:%s", name->host, name->repository, name->tag[0] ? name->tag : "latest");
}

/* --- an OCI layout inside a tar */

static int put_oci_index(struct archive *archive, const struct image *image, const struct ref *name, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("index.json");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_INDEX);
	struct value *top = value_add_object(document, value_add_array(document, root, "manifests"), NULL);
	blob_describe(document, top, image->index.size ? &image->index : &image->manifest);
	if (name) {
		/* The whole reference, as podman writes and reads it: with the tag alone it would load as "localhost/<tag>:latest". */
		AUTO_FREE char *text = whole_name(name);
		struct value *annotations = value_add_object(document, top, "annotations");
		value_add_text(document, annotations, "io.containerd.image.name", text);
		value_add_text(document, annotations, REF_NAME, text);
	}
	AUTO_FREE char *text = NULL;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	return put_text(archive, "index.json", str_of(text), err);
}

static int put_oci(struct archive *archive, const struct image *image, const struct ref *name, struct err *err) {
	if (put_header(archive, "blobs/", TAR_FOLDER, 0, err) != 0 || put_header(archive, "blobs/sha256/", TAR_FOLDER, 0, err) != 0)
		return -1;
	const struct blob *blobs[IMAGE_LAYERS_MAX + 3];
	size_t count = 0;
	for (size_t i = 0; i < image->layer_count; i++)
		blobs[count++] = &image->layers[i];
	blobs[count++] = &image->config;
	blobs[count++] = &image->manifest;
	if (image->index.size)
		blobs[count++] = &image->index;
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *path = mem_format("blobs/sha256/%s", digest_hex(&blobs[i]->digest));
		if (put_blob(archive, path, blobs[i], err) != 0)
			return -1;
	}
	if (put_oci_index(archive, image, name, err) != 0)
		return -1;
	return put_text(archive, "oci-layout", STR(LAYOUT_TEXT), err);
}

/* --- docker load: manifest.json, the config as <hex>.json, each layer as <hex>/layer.tar, and `repositories` for the oldest readers */

static int put_docker_manifest(struct archive *archive, const struct image *image, const struct ref *name, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("manifest.json");
	struct value *root = value_root_array(document), *one = value_add_object(document, root, NULL);
	AUTO_FREE char *config = mem_format("%s.json", digest_hex(&image->config.digest));
	value_add_text(document, one, "Config", config);
	struct value *tags = value_add_array(document, one, "RepoTags");
	if (name) {
		AUTO_FREE char *text = whole_name(name);
		value_add_text(document, tags, NULL, text);
	}
	struct value *layers = value_add_array(document, one, "Layers");
	for (size_t i = 0; i < image->layer_count; i++) {
		AUTO_FREE char *path = mem_format("%s/layer.tar", digest_hex(&image->layers[i].digest));
		value_add_text(document, layers, NULL, path);
	}
	AUTO_FREE char *text = NULL;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	return put_text(archive, "manifest.json", str_of(text), err);
}

static int put_docker_repositories(struct archive *archive, const struct image *image, const struct ref *name, struct err *err) {
	if (!name || image->layer_count == 0)
		return 0;
	AUTO_DOCUMENT struct document *document = document_new("repositories");
	struct value *root = value_root_object(document);
	AUTO_FREE char *repository = mem_format("%s/%s", name->host, name->repository);
	value_add_text(document, value_add_object(document, root, repository), name->tag[0] ? name->tag : "latest",
		digest_hex(&image->layers[image->layer_count - 1].digest));
	AUTO_FREE char *text = NULL;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	return put_text(archive, "repositories", str_of(text), err);
}

static int put_docker(struct archive *archive, const struct image *image, const struct ref *name, struct err *err) {
	for (size_t i = 0; i < image->layer_count; i++) {
		const struct blob *layer = &image->layers[i];
		AUTO_FREE char *folder = mem_format("%s/", digest_hex(&layer->digest));
		AUTO_FREE char *path = mem_format("%slayer.tar", folder);
		if (strcmp(layer->media_type, MEDIA_LAYER) != 0 && strcmp(layer->media_type, MEDIA_LAYER_GZIP) != 0)
			return err_set(err, ERR_BUILD, "layer %s of type %s: docker load takes only tar and tar+gzip", layer->digest.text,
				layer->media_type);
		if (!is_seen(archive, folder) && put_header(archive, folder, TAR_FOLDER, 0, err) != 0)
			return -1;
		if (put_blob(archive, path, layer, err) != 0)
			return -1;
	}
	AUTO_FREE char *config = mem_format("%s.json", digest_hex(&image->config.digest));
	if (put_blob(archive, config, &image->config, err) != 0 || put_docker_manifest(archive, image, name, err) != 0)
		return -1;
	return put_docker_repositories(archive, image, name, err);
}

/* --- the file */

static int write_all(struct archive *archive, enum archive_kind kind, const struct image *image, const struct ref *name, struct err *err) {
	if (image->layer_count > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_LIMIT, "%zu layers, at most %d", image->layer_count, IMAGE_LAYERS_MAX);
	int rc = kind == ARCHIVE_OCI ? put_oci(archive, image, name, err) : put_docker(archive, image, name, err);
	if (rc != 0 || put_padding(archive, TAR_END_BYTES, err) != 0)
		return -1;
	return fsync(archive->fd) == 0 ? 0 : err_sys(err, "writing %s", archive->file);
}

int archive_write(enum archive_kind kind, const char *file, const struct image *image, const struct ref *name,
	void (*written)(void *self, int64_t bytes), void *self, struct err *err) {
	AUTO_FREE char *temporary = NULL;
	AUTO_CLOSE int fd = -1;
	struct stat there;
	if (stat(file, &there) == 0 && !S_ISREG(there.st_mode)) /* the rename would put a file where /dev/stdout was */
		return err_set(err, ERR_USAGE, "%s: is no file, and an archive appears by replacing what is there", file);
	if (fs_temporary(file, &temporary, &fd, err) != 0)
		return -1;
	struct archive archive = {.fd = fd, .file = file, .written = written, .self = self};
	int rc = write_all(&archive, kind, image, name, err);
	texts_clear(&archive.seen);
	mode_t mask = umask(077);
	umask(mask);
	if (rc == 0 && (fchmod(fd, 0644 & ~mask) != 0 || /* as open() would have made it */ rename(temporary, file) != 0))
		rc = err_sys(err, "%s", file);
	if (rc != 0) {
		best_effort(unlink(temporary)); /* the first failure is the one to tell */
		return -1;
	}
	struct str base, parent = str_cut_last(str_of(file), '/', &base);
	AUTO_FREE char *folder = !base.ptr ? mem_text(".") : parent.len ? str_dup(parent) : mem_text("/");
	return fs_sync_dir(folder, err);
}
