#include "data/digest.h"

#include "os/fs.h"

/* The plain functions and not EVP: the same assembly, but EVP brings all of libcrypto with its providers, 4 MB more in the runner and in each image,
 * and 3 MB of memory in each replica. OpenSSL 3 calls them deprecated in favour of EVP and keeps them. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

struct digest_state {
	SHA256_CTX context;
};

static void must(int ok) {
	if (ok != 1)
		abort(); /* SHA-256 of memory cannot fail but for want of memory */
}

struct digest_state *digest_start(void) {
	struct digest_state *state = NEW(struct digest_state);
	must(SHA256_Init(&state->context));
	return state;
}

void digest_add(struct digest_state *state, const void *bytes, size_t len) {
	must(SHA256_Update(&state->context, bytes, len));
}

void hex_encode(const void *bytes, size_t len, struct buf *out) {
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = ((const unsigned char *) bytes)[i];
		buf_char(out, digits[byte >> 4]);
		buf_char(out, digits[byte & 15]);
	}
}

void digest_finish(struct digest_state *state, struct digest *out) {
	unsigned char raw[DIGEST_BYTES];
	must(SHA256_Final(raw, &state->context));
	AUTO_BUF struct buf text = BUF(DIGEST_TEXT_MAX);
	buf_text(&text, "sha256:");
	hex_encode(raw, sizeof(raw), &text);
	memcpy(out->text, text.ptr, text.len + 1);
	digest_drop(state);
}

void digest_drop(struct digest_state *state) {
	if (!state)
		return;
	free(state);
}

void digest_of(struct str bytes, struct digest *out) {
	struct digest_state *state = digest_start();
	digest_add(state, bytes.ptr, bytes.len);
	digest_finish(state, out);
}

#define READ_BYTES ((size_t) 256 * 1024)

int digest_of_fd(int fd, const char *name, struct digest *out, int64_t *size, struct err *err) {
	AUTO_FREE char *block = mem_zero(1, READ_BYTES);
	struct digest_state *state = digest_start();
	int64_t offset = 0;
	for (;;) {
		size_t got = 0;
		if (fs_pread(fd, block, READ_BYTES, offset, &got, name, err) != 0) {
			digest_drop(state);
			return -1;
		}
		digest_add(state, block, got);
		offset += (int64_t) got;
		if (got < READ_BYTES)
			break;
	}
	digest_finish(state, out);
	if (size)
		*size = offset;
	return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b) {
	return a->text[0] && strcmp(a->text, b->text) == 0;
}

int digest_parse(struct str text, struct digest *out, struct err *err) {
	bool good = text.len == 71 && str_starts(text, "sha256:");
	for (size_t i = 7; good && i < text.len; i++)
		good = ascii_is_digit(text.ptr[i]) || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f');
	if (!good)
		return err_set(err, ERR_INVALID, "digest \"%.*s\": must be sha256: and 64 lower-case hex digits",
			(int) (text.len > 100 ? 100 : text.len), text.ptr ? text.ptr : "");
	memcpy(out->text, text.ptr, text.len);
	out->text[text.len] = '\0';
	return 0;
}
