/* A value that must never be seen: zeroed when freed, never printed, and known to the redactor, so that it cannot leave by
 * accident inside a server's error body, a log tail or a URL either. */
#pragma once

#include "base/str.h"

struct secret {
	char *text; /* NUL-terminated, owned; NULL when there is none */
	size_t len;
};
/* Copies; registers the value with `redact` (which may be NULL). */
struct redactor;
void secret_set(struct secret *secret, struct str value, struct redactor *redact);
void secret_clear(struct secret *secret);
bool secret_equal(struct secret a, struct secret b); /* constant time for equal lengths */

/* Replaces every registered value of 4 bytes or more, and its base64 and URL-encoded forms, by "***". One per process, made in
 * main() and handed on; all output goes through it. */
struct redactor *redactor_new(void);
void redactor_free(struct redactor *redact);
void redactor_add(struct redactor *redact, struct str value);
/* Appends text to out with every secret replaced. redact NULL: as it is. */
void redactor_apply(const struct redactor *redact, struct str text, struct buf *out);
/* Appends somebody else's words for a message of ours: without secrets, on one line, cut after bytes_max ("..." says so). Cut before, half a secret
 * would not be known as one. */
void redactor_quote(const struct redactor *redact, struct str text, size_t bytes_max, struct buf *out);
