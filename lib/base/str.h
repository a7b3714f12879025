/* Two string types and no third: `struct str` to read (a view, never owned, not NUL-terminated), `struct buf` to write (capped,
 * always NUL-terminated, sticky failure: once it hits its cap it stays failed, so one check at the end is enough). */
#pragma once

#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};
#define STR(literal) ((struct str) {"" literal, sizeof(literal) - 1})
#define STR_ARGS(s) (int) (s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_of(const char *text) {
	return (struct str) {text, text ? strlen(text) : 0};
}
bool str_equal(struct str a, struct str b);
bool str_is(struct str a, const char *b);
bool str_is_nocase(struct str a, const char *b); /* ASCII only */
bool str_starts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
struct str str_trim(struct str s); /* spaces and tabs at both ends */
/* Splits at the first `separator`: head before it, *rest after it. Without one: all of it, and *rest.ptr is NULL. */
struct str str_cut(struct str s, char separator, struct str *rest);
struct str str_cut_last(struct str s, char separator, struct str *rest);
char *str_dup(struct str s) __attribute__((warn_unused_result));

/* ASCII only, never the locale's. */
static inline bool ascii_is_digit(char c) {
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_lower(char c) {
	return c >= 'a' && c <= 'z';
}
static inline bool ascii_is_upper(char c) {
	return c >= 'A' && c <= 'Z';
}
static inline bool ascii_is_alnum(char c) {
	return ascii_is_digit(c) || ascii_is_lower(c) || ascii_is_upper(c);
}
static inline char ascii_lower(char c) {
	return ascii_is_upper(c) ? (char) (c + 32) : c;
}
/* Is text `len` bytes of strict UTF-8 (no overlong, no surrogate)? */
bool utf8_is_valid(const char *text, size_t len);

struct buf {
	char *ptr; /* NUL-terminated; never NULL after the first write */
	size_t len, size, bytes_max;
	bool failed;
};
#define BUF(max) ((struct buf) {.bytes_max = (max)})
#define AUTO_BUF __attribute__((cleanup(buf_clear)))
void buf_clear(struct buf *buf);
void buf_reset(struct buf *buf); /* empty again, memory kept */
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, struct str s);
void buf_text(struct buf *buf, const char *text);
void buf_char(struct buf *buf, char c);
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for len more bytes at ptr + len; NULL when the cap forbids. The caller then adds to len what it wrote (buf_wrote). */
char *buf_room(struct buf *buf, size_t len);
void buf_wrote(struct buf *buf, size_t len);
static inline struct str buf_view(const struct buf *buf) {
	return (struct str) {buf->ptr ? buf->ptr : "", buf->len};
}
/* The text, owned by the caller; the buf is empty afterwards. Fails with ERR_LIMIT when the cap was hit. */
int buf_take(struct buf *buf, char **out, struct err *err);
/* ERR_LIMIT naming `what` when the cap was hit. */
int buf_check(const struct buf *buf, const char *what, struct err *err);

/* A growing list of owned texts. */
struct texts {
	char **items;
	size_t count;
};
void texts_add(struct texts *texts, const char *text);
void texts_clear(struct texts *texts);
#define AUTO_TEXTS __attribute__((cleanup(texts_clear)))

/* The name among `count` names that a person probably meant by `word` (Damerau-Levenshtein <= 2, or a unique prefix), or NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t count);
