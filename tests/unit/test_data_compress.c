/* gzip from outside: whole, in pieces, several members, broken at every byte, and bombs. */
#include "data/compress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* gzip -n of "hello, layer\n" */
static const unsigned char hello[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51,
	0xc8, 0x49, 0xac, 0x4c, 0x2d, 0xe2, 0x02, 0x00, 0x33, 0x31, 0x4d, 0xe6, 0x0d, 0x00, 0x00, 0x00};

static int keep(void *self, const void *bytes, size_t len, struct err *err) {
	buf_add(self, bytes, len);
	return buf_check(self, "test", err);
}

static int unpack(const unsigned char *bytes, size_t len, size_t piece, struct gunzip_limits limits, struct buf *out, struct err *err) {
	AUTO_GUNZIP struct gunzip *gunzip = gunzip_new("layer", limits, keep, out);
	for (size_t at = 0; at < len; at += piece)
		if (gunzip_feed(gunzip, bytes + at, len - at < piece ? len - at : piece, err) != 0)
			return -1;
	return gunzip_finish(gunzip, err);
}

static void whole_and_in_pieces(void **state) {
	(void) state;
	for (size_t piece = 1; piece <= sizeof(hello); piece++) {
		struct err err = {0};
		AUTO_BUF struct buf out = BUF((size_t) 1000);
		if (unpack(hello, sizeof(hello), piece, (struct gunzip_limits){.bytes_max = 100}, &out, &err) != 0)
			fail_msg("%s", err.message);
		assert_string_equal(out.ptr, "hello, layer\n");
	}
}

static void members(void **state) {
	(void) state;
	unsigned char twice[2 * sizeof(hello)];
	memcpy(twice, hello, sizeof(hello));
	memcpy(twice + sizeof(hello), hello, sizeof(hello));
	for (size_t piece = 1; piece <= sizeof(twice); piece++) {
		struct err err = {0};
		AUTO_BUF struct buf out = BUF((size_t) 1000);
		assert_int_equal(unpack(twice, sizeof(twice), piece, (struct gunzip_limits){.bytes_max = 100}, &out, &err), 0);
		assert_string_equal(out.ptr, "hello, layer\nhello, layer\n");
	}
}

static void broken(void **state) {
	(void) state;
	for (size_t len = 0; len < sizeof(hello); len++) {
		struct err err = {0};
		AUTO_BUF struct buf out = BUF((size_t) 1000);
		assert_int_equal(unpack(hello, len, 5, (struct gunzip_limits){.bytes_max = 100}, &out, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	for (size_t at = sizeof(hello) - 8; at < sizeof(hello); at++) { /* checksum and length */
		unsigned char bad[sizeof(hello)];
		struct err err = {0};
		AUTO_BUF struct buf out = BUF((size_t) 1000);
		memcpy(bad, hello, sizeof(hello));
		bad[at] ^= 0x40;
		assert_int_equal(unpack(bad, sizeof(bad), 100, (struct gunzip_limits){.bytes_max = 100}, &out, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	struct err err = {0};
	AUTO_BUF struct buf out = BUF((size_t) 1000);
	assert_int_equal(unpack((const unsigned char *) "plain text", 10, 100, (struct gunzip_limits){.bytes_max = 100}, &out, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static int count(void *self, const void *bytes, size_t len, struct err *err) {
	(void) bytes;
	(void) err;
	*(int64_t *) self += (int64_t) len;
	return 0;
}

static void limits(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf out = BUF((size_t) 1000);
	assert_int_equal(unpack(hello, sizeof(hello), 100, (struct gunzip_limits){.bytes_max = 12}, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	err_clear(&err);
	/* Many small members: fine for the ratio, since each brings its own bytes. */
	int64_t got = 0;
	AUTO_GUNZIP struct gunzip *gunzip = gunzip_new("layer", (struct gunzip_limits){.bytes_max = 1 << 20, .ratio_max = 1}, count, &got);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(gunzip_feed(gunzip, hello, sizeof(hello), &err), 0);
	assert_int_equal(gunzip_finish(gunzip, &err), 0);
	assert_int_equal(got, 13000);
}

/* 64 MiB of zeroes in 400 kB: one block of fixed codes, repeats of 258 bytes, made by hand. */
static void bombs(void **state) {
	(void) state;
	AUTO_BUF struct buf bomb = BUF((size_t) 1 << 20);
	static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
	buf_add(&bomb, head, sizeof(head));
	uint32_t bits = 0;
	int held = 0;
#define PUT(value, n)                                                                                                                      \
	do {                                                                                                                               \
		bits |= (uint32_t) (value) << held;                                                                                        \
		for (held += (n); held >= 8; held -= 8, bits >>= 8)                                                                        \
			buf_char(&bomb, (char) bits);                                                                                      \
	} while (0)
	PUT(3, 3);    /* the last block, fixed codes */
	PUT(0x0c, 8); /* literal 0: 00110000, most significant bit first */
	for (int i = 0; i < 250000; i++) {
		PUT(0xa3, 8); /* length 258: code 285, 11000101, most significant bit first */
		PUT(0, 5);    /* distance 1 */
	}
	struct err err = {0};
	int64_t got = 0;
	AUTO_GUNZIP struct gunzip *gunzip =
		gunzip_new("layer", (struct gunzip_limits){.bytes_max = (int64_t) 1 << 40, .ratio_max = 100}, count, &got);
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < bomb.len; at += 4096)
		rc = gunzip_feed(gunzip, bomb.ptr + at, bomb.len - at < 4096 ? bomb.len - at : 4096, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(got <= 4 << 20); /* of 64 MiB */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_and_in_pieces),
		cmocka_unit_test(members),
		cmocka_unit_test(broken),
		cmocka_unit_test(limits),
		cmocka_unit_test(bombs),
	};
	return cmocka_run_group_tests_name("data/compress", tests, NULL, NULL);
}
