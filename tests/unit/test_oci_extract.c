/* Layers from anywhere, extracted beneath one folder: what is kept, what is refused, and that nothing outside is touched. */
#include "oci/extract.h"
#include "os/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct item {
	const char *name;
	enum tar_type type;
	const char *text, *link;
	unsigned int mode;
};

struct world {
	char folder[64];
	char *outside; /* a file beside the root that nobody may change */
	int root;
};

static int set_up(void **state) {
	struct world *world = NEW(struct world);
	struct err err = {0};
	snprintf(world->folder, sizeof(world->folder), "/tmp/mlctl-extract.XXXXXX");
	if (!mkdtemp(world->folder))
		return -1;
	AUTO_FREE char *root = fs_join(world->folder, "root");
	world->outside = fs_join(world->folder, "outside");
	*state = world;
	if (fs_make_dirs(root, 0700, &err) != 0 || fs_replace(world->outside, "untouched", 9, 0600, &err) != 0)
		return -1;
	return fs_open(root, O_RDONLY | O_DIRECTORY, 0, &world->root, &err);
}

static int tear_down(void **state) {
	struct world *world = *state;
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	assert_int_equal(fs_read(world->outside, 100, &text, &len, &err), 0);
	assert_string_equal(text, "untouched");
	close(world->root);
	int rc = fs_remove_tree(world->folder, &err);
	free(world->outside);
	free(world);
	return rc;
}

static void add(struct buf *tar, const struct item *item) {
	static const char zeroes[TAR_BLOCK];
	struct err err = {0};
	int64_t size = item->text ? (int64_t) strlen(item->text) : 0;
	struct tar_entry entry = {
		.name = item->name, .link = item->link, .type = item->type, .mode = item->mode ? item->mode : 0644, .size = size};
	assert_int_equal(tar_header(&entry, tar, &err), 0);
	if (size) {
		buf_text(tar, item->text);
		buf_add(tar, zeroes, (size_t) tar_padding(size));
	}
}

static int layer(struct world *world, const struct item *items, size_t count, struct err *err) {
	AUTO_BUF struct buf tar = BUF((size_t) 4 * 1024 * 1024);
	for (size_t i = 0; i < count; i++)
		add(&tar, &items[i]);
	AUTO_EXTRACT struct extract *extract =
		extract_new(world->root, "layer", (struct tar_limits){.entries_max = 1000, .bytes_max = 1 << 20});
	for (size_t at = 0; at < tar.len; at += 100) /* in pieces that fit no block */
		if (extract_feed(extract, tar.ptr + at, tar.len - at < 100 ? tar.len - at : 100, err) != 0)
			return -1;
	return extract_finish(extract, err);
}

#define LAYER(world, err, ...)                                                                                                             \
	layer(world, (const struct item[]){__VA_ARGS__}, sizeof((const struct item[]){__VA_ARGS__}) / sizeof(struct item), err)

static void assert_file(struct world *world, const char *name, const char *text, mode_t mode) {
	struct err err = {0};
	AUTO_FREE char *got = NULL;
	size_t len = 0;
	struct stat info;
	if (fs_read_at(world->root, name, 1000, &got, &len, &err) != 0)
		fail_msg("%s", err.message);
	assert_string_equal(got, text);
	assert_int_equal(fstatat(world->root, name, &info, AT_SYMLINK_NOFOLLOW), 0);
	if (mode)
		assert_int_equal(info.st_mode & 07777, mode);
}

static bool is_there(struct world *world, const char *name) {
	return faccessat(world->root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void files_and_modes(void **state) {
	struct world *world = *state;
	struct err err = {0};
	if (LAYER(world, &err, {"./", TAR_FOLDER, NULL, NULL, 0755}, {"./mlctl-runner", TAR_FILE, "ELF", NULL, 04755},
		    {"model/", TAR_FOLDER, NULL, NULL, 0}, {"model//m.onnx", TAR_FILE, "weights", NULL, 0666},
		    {"a/b/c/deep", TAR_FILE, "x", NULL, 0}, {"empty", TAR_FILE, NULL, NULL, 0}) != 0)
		fail_msg("%s", err.message);
	assert_file(world, "mlctl-runner", "ELF", 0700);
	assert_file(world, "model/m.onnx", "weights", 0600);
	assert_file(world, "a/b/c/deep", "x", 0600);
	assert_file(world, "empty", "", 0600);
}

static void later_layers_win(void **state) {
	struct world *world = *state;
	struct err err = {0};
	assert_int_equal(
		LAYER(world, &err, {"a", TAR_FILE, "old", NULL, 0}, {"d/x", TAR_FILE, "1", NULL, 0}, {"d/y", TAR_FILE, "2", NULL, 0},
			{"e/x/y", TAR_FILE, "3", NULL, 0}, {"f", TAR_SYMLINK, NULL, "../root/a", 0}),
		-1); /* that link leaves the root */
	err_clear(&err);
	assert_int_equal(LAYER(world, &err, {"a", TAR_FILE, "old", NULL, 0}, {"d/x", TAR_FILE, "1", NULL, 0},
				 {"d/y", TAR_FILE, "2", NULL, 0}, {"e/x/y", TAR_FILE, "3", NULL, 0}, {"f", TAR_SYMLINK, NULL, "a", 0}),
		0);
	if (LAYER(world, &err, {"a", TAR_FILE, "new", NULL, 0}, {"d/.wh.x", TAR_FILE, NULL, NULL, 0},
		    {"e/.wh..wh..opq", TAR_FILE, NULL, NULL, 0}, {"e/z", TAR_FILE, "4", NULL, 0},
		    {"f", TAR_FILE, "no link any more", NULL, 0}) != 0)
		fail_msg("%s", err.message);
	assert_file(world, "a", "new", 0);
	assert_false(is_there(world, "d/x"));
	assert_file(world, "d/y", "2", 0);
	assert_false(is_there(world, "e/x"));
	assert_file(world, "e/z", "4", 0);
	assert_file(world, "f", "no link any more", 0);
	assert_int_equal(LAYER(world, &err, {"e", TAR_FILE, "a file where a folder was", NULL, 0}, {"a/", TAR_FOLDER, NULL, NULL, 0}), 0);
	assert_file(world, "e", "a file where a folder was", 0);
}

static void links_inside(void **state) {
	struct world *world = *state;
	struct err err = {0};
	if (LAYER(world, &err, {"usr/bin/tool", TAR_FILE, "tool", NULL, 0755},
		    {"usr/local/bin/tool", TAR_SYMLINK, NULL, "/usr/bin/tool", 0}, {"near", TAR_SYMLINK, NULL, "usr/bin/../bin/tool", 0},
		    {"hard", TAR_HARDLINK, NULL, "usr/bin/tool", 0}, {"root", TAR_SYMLINK, NULL, "/", 0},
		    {"usr/up", TAR_SYMLINK, NULL, "..", 0}) != 0)
		fail_msg("%s", err.message);
	assert_file(world, "usr/local/bin/tool", "tool", 0);
	assert_file(world, "near", "tool", 0);
	assert_file(world, "hard", "tool", 0700);
	char target[100];
	ssize_t n = readlinkat(world->root, "usr/local/bin/tool", target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, "../../../usr/bin/tool");
}

static void refusals(void **state) {
	struct world *world = *state;
	static const struct item bad[][2] = {
		{{"../outside", TAR_FILE, "evil", NULL, 0}},
		{{"/etc/evil", TAR_FILE, "evil", NULL, 0}},
		{{"a/../../outside", TAR_FILE, "evil", NULL, 0}},
		{{"link", TAR_SYMLINK, NULL, "..", 0}},
		{{"a/link", TAR_SYMLINK, NULL, "../../outside", 0}},
		{{"a/link", TAR_SYMLINK, NULL, "b/../../../outside", 0}},
		{{"hard", TAR_HARDLINK, NULL, "../outside", 0}},
		{{"hard", TAR_HARDLINK, NULL, "nothing", 0}},
		{{"d", TAR_SYMLINK, NULL, "elsewhere", 0}, {"d/x", TAR_FILE, "through a link", NULL, 0}},
		{{"d", TAR_SYMLINK, NULL, ".", 0}, {"hard", TAR_HARDLINK, NULL, "d/f", 0}},
		{{"f", TAR_FILE, "a", NULL, 0}, {"f/x", TAR_FILE, "below a file", NULL, 0}},
		{{".wh..", TAR_FILE, NULL, NULL, 0}},
		{{"a/.wh...", TAR_FILE, NULL, NULL, 0}},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {0};
		if (layer(world, bad[i], bad[i][1].name ? 2 : 1, &err) == 0)
			fail_msg("case %zu (%s) was accepted", i, bad[i][0].name);
		assert_true(err.code == ERR_INVALID);
		assert_non_null(strstr(err.message, "layer"));
		struct err scratch = {0};
		AUTO_FREE char *root = mem_format("/proc/self/fd/%d/.", world->root);
		best_effort(fs_remove_tree(root, &scratch));
	}
}

static void devices_are_refused(void **state) {
	struct world *world = *state;
	struct err err = {0};
	AUTO_BUF struct buf tar = BUF((size_t) 100000);
	add(&tar, &(struct item){"dev", TAR_FILE, NULL, NULL, 0});
	tar.ptr[156] = '3'; /* a character device */
	unsigned int sum = 0;
	memset(tar.ptr + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char) tar.ptr[i];
	snprintf(tar.ptr + 148, 8, "%06o", sum);
	AUTO_EXTRACT struct extract *extract = extract_new(world->root, "layer", (struct tar_limits){.entries_max = 10, .bytes_max = 100});
	assert_int_equal(extract_feed(extract, tar.ptr, tar.len, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_false(is_there(world, "dev"));
}

static void caps(void **state) {
	struct world *world = *state;
	struct err err = {0};
	AUTO_BUF struct buf tar = BUF((size_t) 100000);
	add(&tar, &(struct item){"a", TAR_FILE, "0123456789", NULL, 0});
	add(&tar, &(struct item){"b", TAR_FILE, "0123456789", NULL, 0});
	struct tar_limits limits[] = {{.entries_max = 1, .bytes_max = 100}, {.entries_max = 10, .bytes_max = 15}};
	for (int i = 0; i < 2; i++) {
		AUTO_EXTRACT struct extract *extract = extract_new(world->root, "layer", limits[i]);
		assert_int_equal(extract_feed(extract, tar.ptr, tar.len, &err), -1);
		assert_int_equal(err.code, ERR_LIMIT);
		err_clear(&err);
	}
	AUTO_EXTRACT struct extract *cut = extract_new(world->root, "layer", (struct tar_limits){.entries_max = 10, .bytes_max = 100});
	assert_int_equal(extract_feed(cut, tar.ptr, 515, &err), 0);
	assert_int_equal(extract_finish(cut, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(files_and_modes),
		CASE(later_layers_win),
		CASE(links_inside),
		CASE(refusals),
		CASE(devices_are_refused),
		CASE(caps),
	};
	return cmocka_run_group_tests_name("oci/extract", tests, NULL, NULL);
}
