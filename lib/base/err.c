#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Formats at `used`, showing raw control bytes, and returns the new length. */
static size_t append(char *out, size_t used, size_t size, const char *format, va_list args) {
	char text[ERR_MESSAGE_MAX];
	int n = vsnprintf(text, sizeof(text), format, args);
	if (n < 0)
		return used;
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char) *c;
		bool raw = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
		if (used + (raw ? 4 : 1) >= size)
			break;
		if (raw)
			used += (size_t) snprintf(out + used, size - used, "\\x%02x", byte);
		else
			out[used++] = *c;
	}
	out[used] = '\0';
	return used;
}

int err_set(struct err *err, enum err_code code, const char *format, ...) {
	assert(err->code == ERR_NONE && code != ERR_NONE);
	va_list args;
	va_start(args, format);
	append(err->message, 0, sizeof(err->message), format, args);
	va_end(args);
	err->code = code;
	err->sys = 0;
	return -1;
}

int err_sys(struct err *err, const char *format, ...) {
	int saved = errno;
	assert(err->code == ERR_NONE);
	va_list args;
	va_start(args, format);
	size_t used = append(err->message, 0, sizeof(err->message), format, args);
	va_end(args);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(saved));
	err->sys = saved;
	err->code = saved == ENOSPC || saved == EDQUOT ? ERR_NOSPACE : saved == ENOENT ? ERR_NOT_FOUND : ERR_FAILED;
	return -1;
}

int err_wrap(struct err *err, const char *format, ...) {
	char old[ERR_MESSAGE_MAX];
	memcpy(old, err->message, sizeof(old));
	va_list args;
	va_start(args, format);
	size_t used = append(err->message, 0, sizeof(err->message), format, args);
	va_end(args);
	if (used + 2 < sizeof(err->message)) {
		memcpy(err->message + used, ": ", 2);
		used += 2;
		size_t room = sizeof(err->message) - used - 1;
		size_t n = strnlen(old, room);
		memcpy(err->message + used, old, n);
		err->message[used + n] = '\0';
	}
	if (err->code == ERR_NONE)
		err->code = ERR_FAILED;
	return -1;
}

int err_fix(struct err *err, const char *format, ...) {
	if (err->fix[0] != '\0')
		return -1;
	va_list args;
	va_start(args, format);
	append(err->fix, 0, sizeof(err->fix), format, args);
	va_end(args);
	return -1;
}

int err_at(struct err *err, const char *format, ...) {
	if (err->at[0] != '\0')
		return -1;
	va_list args;
	va_start(args, format);
	append(err->at, 0, sizeof(err->at), format, args);
	va_end(args);
	return -1;
}

void err_clear(struct err *err) {
	*err = (struct err) {0};
}

const char *err_kind(enum err_code code) {
	static const char *const kinds[] = {
		[ERR_NONE] = "none",
		[ERR_FAILED] = "failed",
		[ERR_USAGE] = "usage",
		[ERR_CONFIG] = "config",
		[ERR_INVALID] = "invalid",
		[ERR_AUTH] = "auth",
		[ERR_BUILD] = "build",
		[ERR_REGISTRY] = "registry",
		[ERR_LOCKED] = "locked",
		[ERR_CONFLICT] = "conflict",
		[ERR_NOT_FOUND] = "not-found",
		[ERR_LIMIT] = "limit",
		[ERR_NETWORK] = "network",
		[ERR_TIMEOUT] = "timeout",
		[ERR_UNCLEAR] = "unclear",
		[ERR_INTERRUPTED] = "interrupted",
		[ERR_NOSPACE] = "no-space",
	};
	return (size_t) code < sizeof(kinds) / sizeof(kinds[0]) ? kinds[code] : "failed";
}
