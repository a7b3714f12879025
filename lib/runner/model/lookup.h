/* Which of a fixed list of keys is this? A hash table built at load in the model's arena, read by all workers. The keys' bytes are
 * borrowed and must live as long. Of equal keys the first wins. */
#pragma once

#include "runner/tensor/tensor.h"

struct lookup {
	const struct str *texts; /* one of the two is set */
	const int64_t *ints;
	uint32_t *slots; /* index + 1 of the key, 0: free */
	uint32_t mask;
};
#define LOOKUP_KEYS_MAX ((size_t) 1 << 28)
/* -1 when the arena is full or there are more than LOOKUP_KEYS_MAX keys. *duplicate (may be NULL): an index whose key was there before, or -1. */
int lookup_texts(struct lookup *lookup, const struct str *keys, size_t count, struct arena *memory, int64_t *duplicate);
int lookup_ints(struct lookup *lookup, const int64_t *keys, size_t count, struct arena *memory, int64_t *duplicate);
int64_t lookup_text(const struct lookup *lookup, struct str key); /* index, or -1 */
int64_t lookup_int(const struct lookup *lookup, int64_t key);
