/* Images as one file: the same bytes each time, read back through our own strict reader, never half there. */
#include "data/tar.h"
#include "data/value.h"
#include "oci/archive.h"
#include "os/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_lying;

static int source_read(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	(void) self;
	(void) err;
	if ((int64_t) len > 700000 - offset)
		len = (size_t) (700000 - offset);
	for (size_t i = 0; i < len; i++)
		((char *) out)[i] = (char) ((offset + (int64_t) i) % 251 + (is_lying ? 1 : 0));
	*got = len;
	return 0;
}

static void image_make(struct image *image) {
	struct err err = {0};
	size_t got;
	char *bytes = mem_zero(1, 700000);
	*image = (struct image){.layers = mem_zero(2, sizeof(struct blob)), .layer_count = 2};
	is_lying = false;
	assert_int_equal(source_read(NULL, 0, bytes, 700000, &got, &err), 0);
	image->layers[0] = (struct blob){.media_type = MEDIA_LAYER, .size = 700000, .title = "model", .read = source_read};
	digest_of((struct str){bytes, 700000}, &image->layers[0].digest);
	free(bytes);
	image->layers[1] = image->layers[0]; /* the same bytes twice are one file */
	blob_of_text(&image->config, MEDIA_CONFIG, "config", mem_text("{\"os\":\"linux\"}"));
	blob_of_text(&image->manifest, MEDIA_MANIFEST, "manifest", mem_text("{\"schemaVersion\":2}"));
}

struct listing {
	struct buf names, text; /* of small files: "name=content\n" */
	bool is_small;
	int64_t bytes;
};

static int on_entry(void *self, const struct tar_entry *entry, struct err *err) {
	struct listing *listing = self;
	(void) err;
	buf_format(&listing->names, "%s ", entry->name);
	listing->is_small = entry->size < 10000;
	if (listing->is_small)
		buf_format(&listing->text, "\n%s=", entry->name);
	assert_int_equal(entry->mtime_s, 0);
	return 0;
}

static int on_data(void *self, const void *bytes, size_t len, struct err *err) {
	struct listing *listing = self;
	(void) err;
	listing->bytes += (int64_t) len;
	if (listing->is_small)
		buf_add(&listing->text, bytes, len);
	return 0;
}

static void list(const char *file, struct listing *listing, struct digest *digest) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	*listing = (struct listing){.names = BUF((size_t) 10000), .text = BUF((size_t) 100000)};
	assert_int_equal(fs_read(file, (size_t) 8 << 20, &text, &len, &err), 0);
	assert_int_equal(len % TAR_BLOCK, 0);
	struct tar_sink sink = {.entry = on_entry, .data = on_data, .self = listing};
	struct tar_limits limits = {.entries_max = 100, .bytes_max = 1 << 24};
	AUTO_TAR_READER struct tar_reader *reader = tar_reader_new("archive", &limits, &sink);
	assert_int_equal(tar_reader_feed(reader, text, len, &err), 0);
	assert_int_equal(tar_reader_finish(reader, &err), 0);
	digest_of((struct str){text, len}, digest);
}

static void written(void *self, int64_t bytes) {
	*(int64_t *) self = bytes;
}

static void both_kinds(void **state) {
	const char *folder = *state;
	struct err err = {0};
	struct image image;
	struct ref name;
	image_make(&image);
	assert_int_equal(ref_parse(STR("h.x/team/fraud:v1"), &name, &err), 0);
	for (int kind = ARCHIVE_OCI; kind <= ARCHIVE_DOCKER; kind++) {
		AUTO_FREE char *file = mem_format("%s/image.tar", folder);
		struct digest first, second;
		struct listing listing;
		int64_t bytes = 0;
		if (archive_write((enum archive_kind) kind, file, &image, &name, written, &bytes, &err) != 0)
			fail_msg("%s", err.message);
		assert_true(bytes >= 700014 && bytes < 700100);
		list(file, &listing, &first);
		assert_true(listing.bytes > 700000 && listing.bytes < 710000); /* once */
		if (kind == ARCHIVE_OCI) {
			assert_non_null(strstr(listing.text.ptr, "\noci-layout={\"imageLayoutVersion\":\"1.0.0\"}"));
			assert_non_null(strstr(listing.text.ptr, "\"org.opencontainers.image.ref.name\":\"h.x/team/fraud:v1\""));
			assert_non_null(strstr(listing.names.ptr, digest_hex(&image.manifest.digest)));
		} else {
			assert_non_null(strstr(listing.text.ptr, "\"RepoTags\":[\"h.x/team/fraud:v1\"]"));
			assert_non_null(strstr(listing.text.ptr, "\nrepositories={\"h.x/team/fraud\":{\"v1\":\""));
			AUTO_FREE char *config = mem_format("\n%s.json={\"os\":\"linux\"}", digest_hex(&image.config.digest));
			assert_non_null(strstr(listing.text.ptr, config));
		}
		buf_clear(&listing.names);
		buf_clear(&listing.text);
		assert_int_equal(archive_write((enum archive_kind) kind, file, &image, &name, NULL, NULL, &err), 0);
		list(file, &listing, &second);
		buf_clear(&listing.names);
		buf_clear(&listing.text);
		assert_true(digest_equal(&first, &second));
	}
	image_clear(&image);
}

static void never_half_there(void **state) {
	const char *folder = *state;
	struct err err = {0};
	struct image image;
	image_make(&image);
	AUTO_FREE char *file = mem_format("%s/kept.tar", folder);
	assert_int_equal(fs_replace(file, "old", 3, 0644, &err), 0);
	is_lying = true;
	assert_int_equal(archive_write(ARCHIVE_OCI, file, &image, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_BUILD);
	assert_non_null(strstr(err.message, "changed while it was read"));
	err_clear(&err);
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	assert_int_equal(fs_read(file, 100, &text, &len, &err), 0);
	assert_string_equal(text, "old");
	assert_int_equal(archive_write(ARCHIVE_OCI, "/nonexistent/x.tar", &image, NULL, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.message, "/nonexistent/x.tar"));
	image_clear(&image);
}

static int set_up(void **state) {
	static char folder[64];
	snprintf(folder, sizeof(folder), "/tmp/mlctl-archive.XXXXXX");
	*state = mkdtemp(folder);
	return *state ? 0 : -1;
}

static int tear_down(void **state) {
	struct err err = {0};
	return fs_remove_tree(*state, &err);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_half_there, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("oci/archive", tests, NULL, NULL);
}
