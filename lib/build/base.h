/* The base image: its layers come first, by digest. Its config is read; its layers' bytes are only fetched (into the cache folder,
 * verified) when a store asks for them, since the registry that gets the image often has them already. */
#pragma once

#include "data/value.h"
#include "oci/store.h"

struct base {
	struct store *store;	 /* lent */
	struct document *config; /* owned */
	struct blob *layers;	 /* owned; their read() lives as long as this */
	size_t count;
	struct base_layer *sources;
	char *folder; /* where fetched layers are kept */
};
/* reference: "REF@sha256:..."; image: where the result goes, to mount from the same registry (NULL: not known). ERR_CONFIG: no such digest,
 * or no linux/`architecture` in it. */
int base_open(struct store *store, const char *reference, const char *image, const char *architecture, const char *cache_folder,
	struct base **out, struct err *err);
void base_free(struct base *base);
CLEANUP_POINTER(base, struct base *, base_free)
#define AUTO_BASE __attribute__((cleanup(base_at_exit)))
