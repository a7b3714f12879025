#include "runner/tensor/scratch.h"

#include "base/num.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)

struct scratch_block {
	struct scratch_block *next;
	size_t size, used;
	_Alignas(16) unsigned char bytes[];
};

static struct scratch_block *block_new(size_t size, struct scratch_block *next) {
	struct scratch_block *block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	block->next = next;
	block->size = size;
	block->used = 0;
	return block;
}

void *scratch_alloc(struct scratch *scratch, size_t size) {
	if (size > SIZE_MAX / 4)
		return NULL;
	size = size ? (size + 15) & ~(size_t) 15 : 16;
	if (scratch->bytes_max && scratch->used_bytes + size > scratch->bytes_max)
		return NULL;
	struct scratch_block *block = scratch->blocks;
	if (!block || block->size - block->used < size) {
		size_t room = block ? block->size * 2 : BLOCK_BYTES;
		if (room > SCRATCH_KEEP_BYTES)
			room = SCRATCH_KEEP_BYTES;
		block = block_new(room > size ? room : size, scratch->blocks);
		if (!block)
			return NULL;
		scratch->blocks = block;
	}
	void *p = block->bytes + block->used;
	block->used += size;
	scratch->used_bytes += size;
	return p;
}

void *scratch_array(struct scratch *scratch, int64_t count, size_t size) {
	size_t bytes;
	if (count < 0 || num_mul((size_t) count, size, &bytes))
		return NULL;
	return scratch_alloc(scratch, bytes);
}

void scratch_rewind(struct scratch *scratch) {
	struct scratch_block *block = scratch->blocks;
	scratch->used_bytes = 0;
	if (!block)
		return;
	if (!block->next && block->size <= SCRATCH_KEEP_BYTES) {
		block->used = 0;
		return;
	}
	size_t total = 0;
	while (block) {
		struct scratch_block *next = block->next;
		total += block->size;
		free(block);
		block = next;
	}
	scratch->blocks = block_new(total < SCRATCH_KEEP_BYTES ? total : SCRATCH_KEEP_BYTES, NULL);
}

void scratch_clear(struct scratch *scratch) {
	for (struct scratch_block *block = scratch->blocks; block;) {
		struct scratch_block *next = block->next;
		free(block);
		block = next;
	}
	*scratch = (struct scratch) {.bytes_max = scratch->bytes_max};
}
