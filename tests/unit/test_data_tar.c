#include "data/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include <stdio.h>

/* Collects what a reader says: "name type mode size [content]\n". */
static int see_entry(void *self, const struct tar_entry *entry, struct err *err) {
	(void) err;
	static const char *const types[] = {"file", "folder", "symlink", "hardlink", "other"};
	buf_format(self, "%s %s %o %lld%s%s\n", entry->name, types[entry->type], entry->mode, (long long) entry->size,
		entry->link[0] ? " -> " : "", entry->link);
	return 0;
}

static int see_data(void *self, const void *bytes, size_t len, struct err *err) {
	(void) err;
	buf_add(self, bytes, len);
	return 0;
}

static int see_end(void *self, struct err *err) {
	(void) err;
	buf_text(self, "|\n");
	return 0;
}

static int read_all(struct str archive, size_t piece, struct buf *seen, struct err *err) {
	struct tar_sink sink = {see_entry, see_data, see_end, seen};
	struct tar_limits limits = {100, 1 << 20};
	AUTO_TAR_READER struct tar_reader *reader = tar_reader_new("test.tar", &limits, &sink);
	for (size_t at = 0; at < archive.len; at += piece)
		if (tar_reader_feed(reader, archive.ptr + at, archive.len - at < piece ? archive.len - at : piece, err) != 0)
			return -1;
	return tar_reader_finish(reader, err);
}

static void add_file(struct buf *out, const char *name, const char *content) {
	static const char zeroes[TAR_BLOCK];
	struct err err = {0};
	struct tar_entry entry = {.name = name, .type = TAR_FILE, .mode = 0644, .size = (int64_t) strlen(content)};
	assert_int_equal(tar_header(&entry, out, &err), 0);
	buf_text(out, content);
	buf_add(out, zeroes, (size_t) tar_padding(entry.size));
}

static void add_end(struct buf *out) {
	static const char zeroes[TAR_END_BYTES];
	buf_add(out, zeroes, sizeof(zeroes));
}

static void header_bytes_are_ustar(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(4096);
	struct err err = {0};
	struct tar_entry entry = {.name = "model/a.onnx", .type = TAR_FILE, .mode = 0755, .size = 1000, .mtime_s = 1};
	assert_int_equal(tar_header(&entry, &out, &err), 0);
	assert_int_equal(out.len, 512);
	assert_string_equal(out.ptr, "model/a.onnx");
	assert_memory_equal(out.ptr + 100,
		"0000755\0"
		"0000000\0"
		"0000000\0"
		"00000001750\0"
		"00000000001\0",
		48);
	assert_memory_equal(out.ptr + 156, "0", 1);
	assert_memory_equal(out.ptr + 257,
		"ustar\0"
		"00",
		8);
	assert_int_equal(out.ptr[265], 0); /* no user's name */
	assert_int_equal(out.ptr[154], 0);
	assert_int_equal(out.ptr[155], ' ');
	assert_int_equal(tar_padding(1000), 24);
	assert_int_equal(tar_padding(1024), 0);
	assert_int_equal(tar_padding(0), 0);
}

static void round_trip(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(1 << 20);
	struct err err = {0};
	char longest[301];
	memset(longest, 'n', 300);
	longest[100] = '/';
	longest[300] = '\0';
	struct tar_entry folder = {.name = "model/", .type = TAR_FOLDER, .mode = 0755};
	struct tar_entry symlink = {.name = "l", .link = "model/x", .type = TAR_SYMLINK, .mode = 0777};
	assert_int_equal(tar_header(&folder, &out, &err), 0);
	add_file(&out, "model/x", "hello");
	add_file(&out, longest, "long");
	add_file(&out,
		"m\xc3\xb6"
		"del",
		"");
	assert_int_equal(tar_header(&symlink, &out, &err), 0);
	add_end(&out);
	AUTO_BUF struct buf want = BUF(4096);
	buf_format(&want,
		"model/ folder 755 0\nmodel/x file 644 5\nhello|\n%s file 644 4\nlong|\nm\xc3\xb6"
		"del file 644 0\n|\nl symlink 777 0 -> model/x\n",
		longest);
	for (size_t piece = 1; piece < 3000; piece = piece * 3 + 1) {
		AUTO_BUF struct buf seen = BUF(4096);
		if (read_all(buf_view(&out), piece, &seen, &err) != 0)
			fail_msg("%s", err.message);
		assert_string_equal(seen.ptr, want.ptr);
	}
}

static void sizes_over_8_gib(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(8192);
	struct err err = {0};
	struct tar_entry entry = {.name = "big", .type = TAR_FILE, .mode = 0644, .size = (int64_t) 9 << 30};
	assert_int_equal(tar_header(&entry, &out, &err), 0);
	assert_int_equal(out.len, 1536);
	assert_memory_equal(out.ptr + 512, "19 size=9663676416\n", 19);
	AUTO_BUF struct buf seen = BUF(4096);
	struct tar_sink sink = {see_entry, see_data, see_end, &seen};
	struct tar_limits limits = {2, INT64_MAX};
	AUTO_TAR_READER struct tar_reader *reader = tar_reader_new("big.tar", &limits, &sink);
	assert_int_equal(tar_reader_feed(reader, out.ptr, out.len, &err), 0);
	assert_string_equal(seen.ptr, "big file 644 9663676416\n");
	assert_int_equal(tar_reader_finish(reader, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static void expect_refused(struct str archive, enum err_code code, const char *word) {
	AUTO_BUF struct buf seen = BUF(1 << 20);
	struct err err = {0};
	assert_int_equal(read_all(archive, 77, &seen, &err), -1);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, word))
		fail_msg("\"%s\" does not say \"%s\"", err.message, word);
}

static void refusals(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(1 << 20);
	struct err err = {0};
	expect_refused(STR(""), ERR_INVALID, "cut off");
	add_file(&out, "a", "content");
	expect_refused((struct str){out.ptr, 515}, ERR_INVALID, "cut off");
	expect_refused((struct str){out.ptr, 100}, ERR_INVALID, "cut off");
	out.ptr[3] = 'x';
	expect_refused(buf_view(&out), ERR_INVALID, "checksum");
	buf_reset(&out);
	for (int i = 0; i < 101; i++)
		add_file(&out, "a", "");
	expect_refused(buf_view(&out), ERR_LIMIT, "more than 100 entries");
	buf_reset(&out);
	struct tar_entry big = {.name = "big", .type = TAR_FILE, .mode = 0644, .size = (1 << 20) + 1};
	assert_int_equal(tar_header(&big, &out, &err), 0);
	expect_refused(buf_view(&out), ERR_LIMIT, "bytes of content");
	struct tar_entry none = {.name = "", .type = TAR_FILE};
	assert_int_equal(tar_header(&none, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

/* Rewrites the type of the first header and its checksum. */
static void retype(struct buf *out, char type) {
	out->ptr[156] = type;
	unsigned int sum = 0;
	for (int i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char) out->ptr[i];
	snprintf(out->ptr + 148, 7, "%06o", sum);
}

static void others_headers(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_BUF struct buf out = BUF(1 << 20), seen = BUF(8192);
	add_file(&out, "././@LongLink", "a/long/name");
	retype(&out, 'L');
	add_file(&out, "short", "x");
	add_end(&out);
	assert_int_equal(read_all(buf_view(&out), 512, &seen, &err), 0);
	assert_string_equal(seen.ptr, "a/long/name file 644 1\nx|\n");
	buf_reset(&out);
	add_file(&out, "sparse", "xx");
	retype(&out, 'S');
	expect_refused(buf_view(&out), ERR_INVALID, "sparse");
	static const char *const records[] = {"9 path=a", "99 path=a\n", "x path=a\n", "9 path=ab\n", "7 patha\n", "13 size=-1234\n",
		"0 path=a\n", "18446744073709551615 p=\n"};
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		buf_reset(&out);
		add_file(&out, "pax", records[i]);
		retype(&out, 'x');
		add_file(&out, "short", "x");
		expect_refused(buf_view(&out), ERR_INVALID, "PAX");
	}
	buf_reset(&out);
	buf_reset(&seen);
	add_file(&out, "dev", "");
	retype(&out, '3');
	add_file(&out, "old/", "");
	out.ptr[512 + 156] = '0';
	add_end(&out);
	assert_int_equal(read_all(buf_view(&out), 4096, &seen, &err), 0);
	assert_string_equal(seen.ptr, "dev other 644 0\nold/ folder 644 0\n");
}

static void names_beneath(void **state) {
	(void) state;
	static const char *const good[] = {"a", "a/b", "./a", "a//b", "..a/b..", "a/..."};
	static const char *const bad[] = {"", "/a", "..", "../a", "a/..", "a/../b", "./.."};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(tar_name_is_beneath(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(tar_name_is_beneath(bad[i]));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_bytes_are_ustar),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(sizes_over_8_gib),
		cmocka_unit_test(refusals),
		cmocka_unit_test(others_headers),
		cmocka_unit_test(names_beneath),
	};
	return cmocka_run_group_tests_name("data_tar", tests, NULL, NULL);
}
