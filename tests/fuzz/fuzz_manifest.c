/* Manifests and indexes from outside, read as pull_image() reads them, over a store that holds nothing else. */
#include "oci/backend.h"
#include "oci/pull.h"
#include "os/fs.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct one {
	struct store store;
	struct str bytes;
};

static int get_manifest(struct store *store, const char *tag_or_digest, struct manifest *out, struct err *err) {
	struct one *one = (struct one *) store;
	const char *media_type = NULL;
	(void) tag_or_digest;
	if (manifest_media_type(one->bytes, &media_type, err) != 0)
		return -1;
	digest_of(one->bytes, &out->digest);
	out->media_type = mem_text(media_type);
	out->bytes = mem_text_n(one->bytes.ptr, one->bytes.len);
	out->len = one->bytes.len;
	return 0;
}

/* Whatever the digest, the input itself: so it is also the config, and a layer of tar. */
static int get_blob(struct store *store, const struct digest *digest, int64_t size, http_write_fn write, void *self, struct err *err) {
	struct one *one = (struct one *) store;
	(void) digest;
	(void) size;
	return write(self, one->bytes.ptr, one->bytes.len, err);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	static const struct store_ops ops = {.get_manifest = get_manifest, .get_blob = get_blob};
	static char name[] = "fuzz";
	struct one one = {.store = {.ops = &ops, .name = name}, .bytes = {(const char *) data, size}};
	struct err err = {0}, scratch = {0};
	struct digest digest;
	digest_of(one.bytes, &digest);
	AUTO_FREE char *folder = mem_format("/tmp/mlctl-fuzz-manifest.%ld", (long) getpid());
	if (pull_image(&one.store, &digest, folder, &err) != 0)
		assert(err.code != ERR_NONE && err.message[0] && !fs_exists(folder));
	best_effort(fs_remove_tree(folder, &scratch));
	return 0;
}
