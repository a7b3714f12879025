#include "oci/image.h"

#include "data/value.h"
#include "os/fs.h"

#define COPY_BYTES ((size_t) 512 * 1024)

void blob_of_text(struct blob *blob, const char *media_type, const char *title, char *owned_text) {
	*blob = (struct blob){.media_type = media_type, .title = title, .owned = owned_text, .bytes = str_of(owned_text)};
	blob->size = (int64_t) blob->bytes.len;
	digest_of(blob->bytes, &blob->digest);
}

static const char *name_of(const struct blob *blob) {
	return blob->title ? blob->title : blob->digest.text;
}

int blob_read(const struct blob *blob, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	if (offset < 0 || offset > blob->size)
		return err_set(err, ERR_FAILED, "%s: read at %lld, it has %lld bytes", blob->title ? blob->title : blob->digest.text,
			(long long) offset, (long long) blob->size);
	if (blob->read)
		return blob->read(blob->self, offset, out, len, got, err);
	size_t rest = (size_t) (blob->size - offset);
	*got = len < rest ? len : rest;
	if (*got)
		memcpy(out, blob->bytes.ptr + offset, *got);
	return 0;
}

int blob_copy(const struct blob *blob, int fd, const char *name, void (*copied)(void *self, int64_t bytes), void *self, struct err *err) {
	AUTO_FREE char *block = mem_zero(1, COPY_BYTES);
	struct digest_state *hash = digest_start();
	struct digest found;
	int64_t offset = 0;
	int rc = 0;
	while (rc == 0 && offset < blob->size) {
		size_t want = blob->size - offset < (int64_t) COPY_BYTES ? (size_t) (blob->size - offset) : COPY_BYTES, got = 0;
		rc = blob_read(blob, offset, block, want, &got, err);
		if (rc == 0 && got == 0)
			rc = err_set(err, ERR_BUILD, "%s: ends after %lld of %lld bytes: it changed while it was read", name_of(blob),
				(long long) offset, (long long) blob->size);
		if (rc == 0)
			rc = fs_write_all(fd, block, got, name, err);
		if (rc != 0)
			break;
		digest_add(hash, block, got);
		offset += (int64_t) got;
		if (copied)
			copied(self, offset);
	}
	digest_finish(hash, &found);
	if (rc == 0 && !digest_equal(&blob->digest, &found))
		rc = err_set(err, ERR_BUILD, "%s: its bytes hash to %s, not to %s: it changed while it was read", name_of(blob), found.text,
			blob->digest.text);
	return rc;
}

void blob_describe(struct document *document, struct value *object, const struct blob *blob) {
	value_add_text(document, object, "mediaType", blob->media_type);
	value_add_text(document, object, "digest", blob->digest.text);
	value_add_int(document, object, "size", blob->size);
}

static void blob_clear(struct blob *blob) {
	free(blob->owned);
	*blob = (struct blob){0};
}

void image_clear(struct image *image) {
	if (!image)
		return;
	if (image->close)
		image->close(image);
	for (size_t i = 0; image->layers && i < image->layer_count; i++)
		blob_clear(&image->layers[i]);
	free(image->layers);
	blob_clear(&image->config);
	blob_clear(&image->manifest);
	blob_clear(&image->index);
	*image = (struct image){0};
}
