#include "runner/model/lookup.h"

static uint64_t mix(uint64_t x) {
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15U;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9U;
	return x ^ (x >> 32);
}

static uint64_t hash_text(struct str text) {
	uint64_t hash = text.len;
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char) text.ptr[i]) * 0x100000001b3U;
	return mix(hash);
}

static int slots_new(struct lookup *lookup, size_t count, struct arena *memory) {
	if (count > LOOKUP_KEYS_MAX)
		return -1;
	size_t size = 8;
	while (size < count * 2)
		size *= 2;
	lookup->slots = arena_alloc(memory, size * sizeof(*lookup->slots));
	lookup->mask = (uint32_t) (size - 1);
	return lookup->slots ? 0 : -1;
}

static uint32_t slot_of_text(const struct lookup *lookup, struct str key) {
	uint32_t slot = (uint32_t) hash_text(key) & lookup->mask;
	while (lookup->slots[slot] && !str_equal(lookup->texts[lookup->slots[slot] - 1], key))
		slot = (slot + 1) & lookup->mask;
	return slot;
}

static uint32_t slot_of_int(const struct lookup *lookup, int64_t key) {
	uint32_t slot = (uint32_t) mix((uint64_t) key) & lookup->mask;
	while (lookup->slots[slot] && lookup->ints[lookup->slots[slot] - 1] != key)
		slot = (slot + 1) & lookup->mask;
	return slot;
}

static void put(struct lookup *lookup, uint32_t slot, size_t index, int64_t *duplicate) {
	if (lookup->slots[slot] == 0)
		lookup->slots[slot] = (uint32_t) index + 1;
	else if (duplicate && *duplicate < 0)
		*duplicate = (int64_t) index;
}

int lookup_texts(struct lookup *lookup, const struct str *keys, size_t count, struct arena *memory, int64_t *duplicate) {
	*lookup = (struct lookup) {.texts = keys};
	if (slots_new(lookup, count, memory) != 0)
		return -1;
	if (duplicate)
		*duplicate = -1;
	for (size_t i = 0; i < count; i++)
		put(lookup, slot_of_text(lookup, keys[i]), i, duplicate);
	return 0;
}

int lookup_ints(struct lookup *lookup, const int64_t *keys, size_t count, struct arena *memory, int64_t *duplicate) {
	*lookup = (struct lookup) {.ints = keys};
	if (slots_new(lookup, count, memory) != 0)
		return -1;
	if (duplicate)
		*duplicate = -1;
	for (size_t i = 0; i < count; i++)
		put(lookup, slot_of_int(lookup, keys[i]), i, duplicate);
	return 0;
}

int64_t lookup_text(const struct lookup *lookup, struct str key) {
	return (int64_t) lookup->slots[slot_of_text(lookup, key)] - 1;
}

int64_t lookup_int(const struct lookup *lookup, int64_t key) {
	return (int64_t) lookup->slots[slot_of_int(lookup, key)] - 1;
}
