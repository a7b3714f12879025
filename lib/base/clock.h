/* Time is handed in. Only mono_ms decides anything; wall_s is recorded and shown, never compared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct clock {
	int64_t (*mono_ms)(void *self);
	int64_t (*wall_s)(void *self);           /* seconds since 1970, UTC */
	void (*sleep_ms)(void *self, int64_t ms); /* only for whoever has no network step to wait in */
	void *self;
};
extern const struct clock clock_system;

static inline int64_t clock_mono_ms(const struct clock *clock) {
	return clock->mono_ms(clock->self);
}
static inline int64_t clock_wall_s(const struct clock *clock) {
	return clock->wall_s(clock->self);
}

/* "2026-11-21T10:02:11Z" (RFC 3339, UTC), and back. clock_parse returns -1 when it is no such text. */
#define CLOCK_TEXT_MAX 32
const char *clock_text(int64_t wall_s, char out[CLOCK_TEXT_MAX]);
int clock_parse(const char *text, int64_t *wall_s);
/* RFC 3339 as others write it: perhaps with a fraction, which counts for nothing, and with an offset. 0 or -1. */
int clock_parse_any(struct str text, int64_t *wall_s);
/* RFC 9110 5.6.7, the one form that senders must use: "Sun, 06 Nov 1994 08:49:37 GMT". 0 or -1. */
int clock_parse_http(struct str text, int64_t *wall_s);
