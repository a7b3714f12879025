/* What needs OpenSSL's EVP: digests other than SHA-256, and base64. Apart from digest.c, so that the runner links none of it. */
#include "data/digest.h"

#include "os/fs.h"

#include <assert.h>
#include <openssl/evp.h>

static void must(int ok) {
	if (ok != 1)
		abort(); /* a digest of memory cannot fail but for want of memory */
}

#define READ_BYTES ((size_t) 256 * 1024)

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
