/* An image as one tar file, for tools that take no registry: `oci-archive:FILE` (an OCI layout inside a tar; skopeo, podman) and
 * `docker-archive:FILE` (what `docker load` and `podman load` read). The same image gives the same bytes.
 *
 * Blobs are streamed from where they are and checked on their way; the file appears whole, by rename, or not at all. */
#pragma once

#include "oci/image.h"
#include "oci/ref.h"

enum archive_kind { ARCHIVE_OCI, ARCHIVE_DOCKER };

/* `name` is what the image is called inside: "registry.example.com/team/fraud:git-4f2c1aa", without a tag ":latest"; NULL: nothing.
 * `written`: NULL, or told how many bytes of blobs are in the file so far. */
int archive_write(enum archive_kind kind, const char *file, const struct image *image, const struct ref *name,
	void (*written)(void *self, int64_t bytes), void *self, struct err *err);
