/* SHA-256 through OpenSSL (no SHA-NI in coreutils: 4x slower), and the text form of a digest. */
#pragma once

#include "base/str.h"

#define DIGEST_BYTES 32
#define DIGEST_TEXT_MAX 72 /* "sha256:" + 64 hex + NUL */

struct digest {
	char text[DIGEST_TEXT_MAX]; /* "sha256:<64 lower hex>", or empty */
};

struct digest_state; /* a running hash */
struct digest_state *digest_start(void);
void digest_add(struct digest_state *state, const void *bytes, size_t len);
void digest_finish(struct digest_state *state, struct digest *out); /* and frees it */
void digest_drop(struct digest_state *state);			    /* frees without a result; NULL is fine */

void digest_of(struct str bytes, struct digest *out);
int digest_of_fd(int fd, const char *name, struct digest *out, int64_t *size, struct err *err); /* from offset 0, by pread */
/* Other people's hashes of a file: git's blobs (SHA-1 over `before` and the content), DVC's MD5. Lower-case hex. */
enum digest_kind { DIGEST_SHA256, DIGEST_SHA1, DIGEST_MD5 };
int digest_hex_of_fd(int fd, const char *name, enum digest_kind kind, struct str before, char hex[65], struct err *err);

bool digest_equal(const struct digest *a, const struct digest *b);
/* "sha256:" and 64 lower-case hex digits, nothing else. */
int digest_parse(struct str text, struct digest *out, struct err *err);
static inline const char *digest_hex(const struct digest *digest) {
	return digest->text[0] ? digest->text + 7 : "";
}
void base64_encode(struct str bytes, struct buf *out);
int base64_decode(struct str text, struct buf *out, struct err *err); /* strict, with padding */
void hex_encode(const void *bytes, size_t len, struct buf *out);
