#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BLOCK_BYTES ((size_t) 16 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(16) unsigned char bytes[];
};

static void *out_of_memory(void) {
	static const char text[] = "mlctl: out of memory\n";
	fputs(text, stderr);
	abort();
}

void *mem_zero(size_t count, size_t size) {
	assert(count && size);
	void *p = calloc(count, size);
	return p ? p : out_of_memory();
}

void *mem_resize(void *old, size_t count, size_t size) {
	assert(count && size);
	void *p = reallocarray(old, count, size);
	return p ? p : out_of_memory();
}

void *mem_copy(const void *from, size_t len) {
	void *p = malloc(len ? len : 1);
	if (!p)
		return out_of_memory();
	if (len)
		memcpy(p, from, len);
	return p;
}

char *mem_text(const char *text) {
	return mem_copy(text, strlen(text) + 1);
}

char *mem_text_n(const char *text, size_t len) {
	char *p = malloc(len + 1);
	if (!p)
		return out_of_memory();
	if (len)
		memcpy(p, text, len);
	p[len] = '\0';
	return p;
}

char *mem_format(const char *format, ...) {
	va_list args;
	va_start(args, format);
	char *text = NULL;
	int n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? out_of_memory() : text;
}

void *arena_alloc(struct arena *arena, size_t size) {
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 15) & ~(size_t) 15;
	if (arena->bytes_max && arena->used_bytes + size > arena->bytes_max)
		return NULL;
	struct arena_block *block = arena->blocks;
	if (!block || block->size - block->used < size) {
		size_t room = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
		block = malloc(sizeof(*block) + room);
		if (!block)
			return NULL;
		block->size = room;
		block->used = 0;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *p = block->bytes + block->used;
	block->used += size;
	arena->used_bytes += size;
	memset(p, 0, size);
	return p;
}

char *arena_text_n(struct arena *arena, const char *text, size_t len) {
	char *p = arena_alloc(arena, len + 1);
	if (p && len)
		memcpy(p, text, len);
	return p;
}

void arena_reset(struct arena *arena) {
	struct arena_block *block = arena->blocks;
	while (block && block->next) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	if (block)
		block->used = 0;
	arena->blocks = block;
	arena->used_bytes = 0;
}

void arena_clear(struct arena *arena) {
	arena_reset(arena);
	free(arena->blocks);
	*arena = (struct arena) {.bytes_max = arena->bytes_max};
}
