/* An image as a plan: small blobs in memory, large ones described by how to read them. Nothing is copied; the bytes are streamed where
 * they go. Media types are OCI's (image-spec 1.1); layers are plain tar. */
#pragma once

#include "data/digest.h"

#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_RECORD "application/vnd.mlctl.release.v1+json"
#define MANIFEST_BYTES_MAX ((size_t) 4 * 1024 * 1024)
#define IMAGE_LAYERS_MAX 127

/* One blob: its descriptor and where its bytes come from. Either `bytes` (lent or owned as `owned` says), or `read` by offset. */
struct blob {
	const char *media_type; /* a literal */
	struct digest digest;
	int64_t size;
	const char *title; /* for progress: "runner", "model.onnx", "config"; lent */
	struct str bytes;
	char *owned; /* freed with the image when set; then bytes points into it */
	int (*read)(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err);
	void *self;
	const char *mount_from; /* another repository of the same registry that may hold it; NULL */
};

struct image {
	struct blob *layers;
	size_t layer_count;
	struct blob config, manifest;	    /* the platform manifest: what is reproducible and deployed */
	struct blob index;		    /* carries revision, source, created, version as annotations */
	void (*close)(struct image *image); /* frees the sources; NULL when there is nothing */
	void *self;
};
void image_clear(struct image *image);
void blob_of_text(struct blob *blob, const char *media_type, const char *title, char *owned_text);
/* Either source through one door; *got < len only at the blob's end. */
int blob_read(const struct blob *blob, int64_t offset, void *out, size_t len, size_t *got, struct err *err);
/* All of its bytes to `fd` (name: for messages), hashed on their way. ERR_BUILD when they are not what the digest says. copied, NULL or
 * told how far it is. */
int blob_copy(const struct blob *blob, int fd, const char *name, void (*copied)(void *self, int64_t bytes), void *self, struct err *err);
/* Appends {"mediaType","digest","size"} members of the blob to a tree. */
struct document;
struct value;
void blob_describe(struct document *document, struct value *object, const struct blob *blob);
