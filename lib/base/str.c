#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

bool str_equal(struct str a, struct str b) {
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_is(struct str a, const char *b) {
	return str_equal(a, str_of(b));
}

bool str_is_nocase(struct str a, const char *b) {
	if (a.len != strlen(b))
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool str_starts(struct str s, const char *prefix) {
	size_t n = strlen(prefix);
	return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

bool str_ends(struct str s, const char *suffix) {
	size_t n = strlen(suffix);
	return s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

struct str str_trim(struct str s) {
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = (struct str) {s.ptr + 1, s.len - 1};
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static struct str split_at(struct str s, const char *at, struct str *rest) {
	if (!at) {
		*rest = (struct str) {0};
		return s;
	}
	size_t n = (size_t) (at - s.ptr);
	*rest = (struct str) {at + 1, s.len - n - 1};
	return (struct str) {s.ptr, n};
}

struct str str_cut(struct str s, char separator, struct str *rest) {
	return split_at(s, s.len ? memchr(s.ptr, separator, s.len) : NULL, rest);
}

struct str str_cut_last(struct str s, char separator, struct str *rest) {
	return split_at(s, s.len ? memrchr(s.ptr, separator, s.len) : NULL, rest);
}

char *str_dup(struct str s) {
	return mem_text_n(s.ptr, s.len);
}

/* Unicode 15, table 3-7. */
bool utf8_is_valid(const char *text, size_t len) {
	const unsigned char *p = (const unsigned char *) text;
	for (size_t i = 0; i < len;) {
		unsigned char c = p[i];
		if (c < 0x80) {
			i++;
			continue;
		}
		size_t n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		if (c < 0xc2 || c > 0xf4 || len - i <= n || p[i + 1] < low || p[i + 1] > high)
			return false;
		for (size_t k = 2; k <= n; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		i += n + 1;
	}
	return true;
}

void buf_clear(struct buf *buf) {
	free(buf->ptr);
	*buf = BUF(buf->bytes_max);
}

void buf_reset(struct buf *buf) {
	buf->len = 0;
	buf->failed = false;
	if (buf->ptr)
		buf->ptr[0] = '\0';
}

char *buf_room(struct buf *buf, size_t len) {
	assert(buf->bytes_max);
	if (buf->failed || len > buf->bytes_max || buf->len > buf->bytes_max - len) {
		buf->failed = true;
		return NULL;
	}
	if (!buf->ptr || buf->size - buf->len <= len) {
		size_t size = buf->size ? buf->size : 64;
		while (size - buf->len <= len)
			size *= 2;
		buf->ptr = mem_resize(buf->ptr, size, 1);
		buf->size = size;
		buf->ptr[buf->len] = '\0';
	}
	return buf->ptr + buf->len;
}

void buf_wrote(struct buf *buf, size_t len) {
	assert(buf->size - buf->len > len);
	buf->len += len;
	buf->ptr[buf->len] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t len) {
	char *room = buf_room(buf, len);
	if (!room)
		return;
	if (len)
		memcpy(room, bytes, len);
	buf_wrote(buf, len);
}

void buf_str(struct buf *buf, struct str s) {
	buf_add(buf, s.ptr, s.len);
}

void buf_text(struct buf *buf, const char *text) {
	buf_add(buf, text, strlen(text));
}

void buf_char(struct buf *buf, char c) {
	buf_add(buf, &c, 1);
}

void buf_format(struct buf *buf, const char *format, ...) {
	va_list args;
	va_start(args, format);
	char stack[512];
	int n = vsnprintf(stack, sizeof(stack), format, args);
	va_end(args);
	if (n < 0) {
		buf->failed = true;
		return;
	}
	if ((size_t) n < sizeof(stack)) {
		buf_add(buf, stack, (size_t) n);
		return;
	}
	char *room = buf_room(buf, (size_t) n);
	if (!room)
		return;
	va_start(args, format);
	vsnprintf(room, (size_t) n + 1, format, args);
	va_end(args);
	buf_wrote(buf, (size_t) n);
}

int buf_check(const struct buf *buf, const char *what, struct err *err) {
	return buf->failed ? err_set(err, ERR_LIMIT, "%s: more than %zu bytes", what, buf->bytes_max) : 0;
}

int buf_take(struct buf *buf, char **out, struct err *err) {
	if (buf_check(buf, "text", err) != 0)
		return -1;
	if (!buf_room(buf, 0))
		return err_set(err, ERR_LIMIT, "text: more than %zu bytes", buf->bytes_max);
	*out = buf->ptr;
	*buf = BUF(buf->bytes_max);
	return 0;
}

void texts_add(struct texts *texts, const char *text) {
	texts->items = mem_resize(texts->items, texts->count + 1, sizeof(*texts->items));
	texts->items[texts->count++] = mem_text(text);
}

void texts_clear(struct texts *texts) {
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
	*texts = (struct texts) {0};
}

#define WORD_BYTES_MAX 40

/* Optimal string alignment distance; words longer than WORD_BYTES_MAX are never near. */
static size_t word_distance(const char *a, const char *b) {
	size_t la = strlen(a), lb = strlen(b);
	if (la > WORD_BYTES_MAX || lb > WORD_BYTES_MAX)
		return SIZE_MAX;
	size_t d[WORD_BYTES_MAX + 1][WORD_BYTES_MAX + 1];
	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			size_t best = d[i - 1][j - 1] + (ascii_lower(a[i - 1]) != ascii_lower(b[j - 1]));
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[la][lb];
}

const char *text_nearest(const char *word, const char *const *names, size_t count) {
	const char *near = NULL, *prefixed = NULL;
	size_t best = 3, prefixes = 0;
	for (size_t i = 0; i < count; i++) {
		size_t distance = word_distance(word, names[i]);
		if (distance < best && distance < strlen(names[i])) {
			best = distance;
			near = names[i];
		}
		if (*word && str_starts(str_of(names[i]), word)) {
			prefixed = names[i];
			prefixes++;
		}
	}
	return near ? near : prefixes == 1 ? prefixed : NULL;
}
