#include "data/digest.h"

#include "os/fs.h"

#include <assert.h>
#include <openssl/evp.h>

struct digest_state {
	EVP_MD_CTX *context;
};

static void must(int ok) {
	if (ok != 1)
		abort(); /* SHA-256 of memory cannot fail but for want of memory */
}

struct digest_state *digest_start(void) {
	struct digest_state *state = NEW(struct digest_state);
	state->context = EVP_MD_CTX_new();
	must(state->context != NULL);
	must(EVP_DigestInit_ex(state->context, EVP_sha256(), NULL));
	return state;
}

void digest_add(struct digest_state *state, const void *bytes, size_t len) {
	must(EVP_DigestUpdate(state->context, bytes, len));
}

struct digest_state *digest_fork(const struct digest_state *state) {
	struct digest_state *copy = NEW(struct digest_state);
	copy->context = EVP_MD_CTX_new();
	must(copy->context != NULL);
	must(EVP_MD_CTX_copy_ex(copy->context, state->context));
	return copy;
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
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	must(EVP_DigestFinal_ex(state->context, raw, &len));
	assert(len == DIGEST_BYTES);
	AUTO_BUF struct buf text = BUF(DIGEST_TEXT_MAX);
	buf_text(&text, "sha256:");
	hex_encode(raw, len, &text);
	memcpy(out->text, text.ptr, text.len + 1);
	digest_drop(state);
}

void digest_drop(struct digest_state *state) {
	if (!state)
		return;
	EVP_MD_CTX_free(state->context);
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

int digest_hex_of_fd(int fd, const char *name, enum digest_kind kind, struct str before, char hex[65], struct err *err) {
	static const char *const names[] = {[DIGEST_SHA256] = "SHA-256", [DIGEST_SHA1] = "SHA-1", [DIGEST_MD5] = "MD5"};
	AUTO_FREE char *block = mem_zero(1, READ_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	must(context != NULL);
	/* Not must(): a FIPS build of OpenSSL has no MD5. */
	const EVP_MD *md = kind == DIGEST_SHA256 ? EVP_sha256() : kind == DIGEST_SHA1 ? EVP_sha1() : EVP_md5();
	int rc = EVP_DigestInit_ex(context, md, NULL) == 1 ? 0 : err_set(err, ERR_FAILED, "%s: OpenSSL has no %s here", name, names[kind]);
	if (rc == 0)
		must(EVP_DigestUpdate(context, before.ptr, before.len));
	size_t got = rc == 0 ? READ_BYTES : 0;
	for (int64_t offset = 0; rc == 0 && got == READ_BYTES; offset += (int64_t) got) {
		rc = fs_pread(fd, block, READ_BYTES, offset, &got, name, err);
		if (rc == 0)
			must(EVP_DigestUpdate(context, block, got));
	}
	if (rc == 0) {
		unsigned char raw[EVP_MAX_MD_SIZE];
		unsigned int len = 0;
		must(EVP_DigestFinal_ex(context, raw, &len));
		AUTO_BUF struct buf text = BUF(DIGEST_TEXT_MAX);
		hex_encode(raw, len, &text);
		memcpy(hex, text.ptr, text.len + 1);
	}
	EVP_MD_CTX_free(context);
	return rc;
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

void base64_encode(struct str bytes, struct buf *out) {
	char *room = buf_room(out, (bytes.len + 2) / 3 * 4 + 1);
	if (!room)
		return;
	int n = EVP_EncodeBlock((unsigned char *) room, (const unsigned char *) bytes.ptr, (int) bytes.len);
	buf_wrote(out, (size_t) n);
}

int base64_decode(struct str text, struct buf *out, struct err *err) {
	size_t padding = 0;
	if (text.len % 4 != 0 || text.len > (size_t) 64 * 1024 * 1024)
		return err_set(err, ERR_INVALID, "base64 text of %zu characters: must be a multiple of 4", text.len);
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i + padding < text.len; i++)
		if (!ascii_is_alnum(text.ptr[i]) && text.ptr[i] != '+' && text.ptr[i] != '/')
			return err_set(err, ERR_INVALID, "base64 text: character %zu is not of its alphabet", i + 1);
	char *room = buf_room(out, text.len / 4 * 3 + 1);
	if (!room)
		return buf_check(out, "base64 text", err);
	int n = EVP_DecodeBlock((unsigned char *) room, (const unsigned char *) text.ptr, (int) text.len);
	if (n < 0)
		return err_set(err, ERR_INVALID, "base64 text is broken");
	buf_wrote(out, (size_t) n - padding);
	return 0;
}
