/* Memory: small allocations abort on OOM; a size that came from a file, a flag or the wire goes through a limit.
 * Cleanup attributes free at the end of the scope; take() gives away, visibly. An arena holds many small things of one life. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdlib.h>

/* Zeroed memory, or abort. A zero count is our mistake (assert). */
void *mem_zero(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *mem_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull, warn_unused_result));
void *mem_copy(const void *from, size_t len) __attribute__((returns_nonnull, warn_unused_result));
char *mem_text(const char *text) __attribute__((returns_nonnull, warn_unused_result));
char *mem_text_n(const char *text, size_t len) __attribute__((returns_nonnull, warn_unused_result));
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));

#define NEW(type) ((type *) mem_zero(1, sizeof(type)))

#define take(pointer)                                                                                                                      \
	({                                                                                                                                 \
		__typeof__(pointer) taken_ = (pointer);                                                                                    \
		__typeof__(*taken_) value_ = *taken_;                                                                                      \
		*taken_ = (__typeof__(value_)) {0};                                                                                        \
		value_;                                                                                                                    \
	})

static inline void mem_free_at_exit(void *pointer) {
	free(*(void **) pointer);
}
#define AUTO_FREE __attribute__((cleanup(mem_free_at_exit)))

/* Defines name_at_exit() for handles: CLEANUP_POINTER(thing, struct thing *, thing_free). */
#define CLEANUP_POINTER(name, type, fn)                                                                                                    \
	static inline void name##_at_exit(type *pointer) {                                                                                \
		fn(*pointer);                                                                                                              \
	}
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Bump memory: everything of one life, freed at once. arena_clear keeps the first block for reuse. bytes_max 0: no limit;
 * arena_alloc returns NULL only when the limit is passed. Alignment 16, zeroed. */
struct arena {
	struct arena_block *blocks;
	size_t used_bytes, bytes_max;
};
void *arena_alloc(struct arena *arena, size_t size);
char *arena_text_n(struct arena *arena, const char *text, size_t len);
void arena_reset(struct arena *arena); /* everything in it is gone, the memory of the first block is kept */
void arena_clear(struct arena *arena);
