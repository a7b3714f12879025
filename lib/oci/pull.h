/* An image's files in a folder, verified. For targets that run the image's processes themselves. */
#pragma once

#include "oci/store.h"

#define PULL_ENTRIES_MAX 200000
#define PULL_BYTES_MAX ((int64_t) 1 << 40)

/* Fetches manifest, config and layers of `image` from the store, every byte verified against its digest, and extracts the layers in order
 * into folder/rootfs; the config's bytes go to folder/config.json. The folder appears whole or not at all: everything is made in
 * "<folder>.tmp.<pid>" and renamed last; leftovers of killed runs (same prefix) are swept. Files keep only their execute bit (0600/0700),
 * devices, links that leave the root, ownership and setuid bits are refused or dropped. Already there: nothing to do. Also works for an
 * index: its linux/amd64 manifest is taken. */
int pull_image(struct store *store, const struct digest *image, const char *folder, struct err *err);
