/* Images become folders: whole or not at all, the right platform, every byte verified, leftovers of the dead swept. */
#include "data/tar.h"
#include "oci/pull.h"
#include "os/fs.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char folder[64];
	char *to;
	struct store *store;
	struct digest manifest, index;
};

static void put(struct store *store, const char *media_type, char *text, size_t len, struct digest *digest) {
	struct err err = {0};
	struct blob blob;
	blob_of_text(&blob, media_type, "x", text);
	blob.bytes.len = len;
	blob.size = (int64_t) len;
	digest_of(blob.bytes, &blob.digest);
	*digest = blob.digest;
	bool is_manifest = strcmp(media_type, MEDIA_MANIFEST) == 0 || strcmp(media_type, MEDIA_INDEX) == 0;
	if ((is_manifest ? store_put_manifest(store, &blob, "v1", &err) : store_put_blob(store, &blob, &err)) != 0)
		fail_msg("%s", err.message);
	free(blob.owned);
}

static void put_layer(struct store *store, const char *name, const char *text, struct digest *digest, size_t *len) {
	static const char zeroes[TAR_END_BYTES];
	struct err err = {0};
	struct buf tar = BUF((size_t) 100000);
	struct tar_entry entry = {.name = name, .mode = 0755, .size = (int64_t) strlen(text)};
	assert_int_equal(tar_header(&entry, &tar, &err), 0);
	buf_text(&tar, text);
	buf_add(&tar, zeroes, (size_t) tar_padding(entry.size));
	buf_add(&tar, zeroes, TAR_END_BYTES);
	*len = tar.len;
	put(store, MEDIA_LAYER, tar.ptr, tar.len, digest);
}

static void image_make(struct world *world, const char *layer_type) {
	struct digest config, one, two;
	size_t one_len, two_len;
	put_layer(world->store, "model/m.onnx", "old", &one, &one_len);
	put_layer(world->store, "model/m.onnx", "new", &two, &two_len);
	put(world->store, MEDIA_CONFIG, mem_text("{\"os\":\"linux\"}"), 14, &config);
	char *manifest = mem_format(
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_MANIFEST "\",\"config\":{\"digest\":\"%s\",\"size\":14},"
		"\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}]}",
		config.text, layer_type, one.text, one_len, layer_type, two.text, two_len);
	put(world->store, MEDIA_MANIFEST, manifest, strlen(manifest), &world->manifest);
	char *index = mem_format("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_INDEX "\",\"manifests\":["
				 "{\"digest\":\"%s\",\"size\":2,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
				 "{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
		config.text, world->manifest.text, strlen("x"));
	put(world->store, MEDIA_INDEX, index, strlen(index), &world->index);
}

static int set_up(void **state) {
	struct world *world = NEW(struct world);
	struct err err = {0};
	snprintf(world->folder, sizeof(world->folder), "/tmp/mlctl-pull.XXXXXX");
	if (!mkdtemp(world->folder))
		return -1;
	AUTO_FREE char *name = mem_format("oci:%s/store", world->folder);
	world->to = mem_format("%s/image", world->folder);
	*state = world;
	return store_open(name, &(struct store_options){0}, &world->store, &err);
}

static int tear_down(void **state) {
	struct world *world = *state;
	struct err err = {0};
	store_close(world->store);
	int rc = fs_remove_tree(world->folder, &err);
	free(world->to);
	free(world);
	return rc;
}

static void assert_pulled(struct world *world) {
	struct err err = {0};
	AUTO_FREE char *model = mem_format("%s/rootfs/model/m.onnx", world->to);
	AUTO_FREE char *config = mem_format("%s/config.json", world->to);
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *config_text = NULL;
	size_t len;
	assert_int_equal(fs_read(model, 100, &text, &len, &err), 0);
	assert_string_equal(text, "new");
	assert_int_equal(fs_read(config, 100, &config_text, &len, &err), 0);
	assert_string_equal(config_text, "{\"os\":\"linux\"}");
}

static int leftovers(const struct world *world) {
	int count = 0;
	DIR *dir = opendir(world->folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += strncmp(entry->d_name, "image.tmp.", 10) == 0;
	if (dir)
		closedir(dir);
	return count;
}

static void manifests_and_indexes(void **state) {
	struct world *world = *state;
	struct err err = {0};
	image_make(world, MEDIA_LAYER);
	if (pull_image(world->store, &world->manifest, world->to, &err) != 0)
		fail_msg("%s", err.message);
	assert_pulled(world);
	assert_int_equal(fs_remove_tree(world->to, &err), 0);
	if (pull_image(world->store, &world->index, world->to, &err) != 0)
		fail_msg("%s", err.message);
	assert_pulled(world);
	assert_int_equal(pull_image(world->store, &world->index, world->to, &err), 0); /* there already */
	assert_int_equal(leftovers(world), 0);
}

static void refused_whole(void **state) {
	struct world *world = *state;
	struct err err = {0};
	image_make(world, "application/vnd.oci.image.layer.v1.tar+zstd");
	assert_int_equal(pull_image(world->store, &world->index, world->to, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "tar+zstd"));
	assert_false(fs_exists(world->to));
	assert_int_equal(leftovers(world), 0);
	err_clear(&err);
	struct digest nothing;
	digest_of(STR("nothing"), &nothing);
	assert_int_equal(pull_image(world->store, &nothing, world->to, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* The layer's bytes are of the right length and make an archive, but are not those that were named. */
static void wrong_bytes(void **state) {
	struct world *world = *state;
	struct err err = {0};
	image_make(world, MEDIA_LAYER);
	AUTO_FREE char *blobs = mem_format("%s/store/blobs/sha256", world->folder);
	DIR *dir = opendir(blobs);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		AUTO_FREE char *path = fs_join(blobs, entry->d_name);
		AUTO_FREE char *text = NULL;
		size_t len = 0;
		if (entry->d_name[0] == '.' || fs_read(path, 100000, &text, &len, &err) != 0 || len < 2048)
			continue;
		text[512] = 'N'; /* the file's first byte */
		assert_int_equal(fs_replace(path, text, len, 0644, &err), 0);
	}
	closedir(dir);
	err_clear(&err);
	assert_int_equal(pull_image(world->store, &world->manifest, world->to, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	assert_non_null(strstr(err.message, "hash to"));
	assert_false(fs_exists(world->to));
	assert_int_equal(leftovers(world), 0);
}

static void leftovers_of_the_dead(void **state) {
	struct world *world = *state;
	struct err err = {0};
	image_make(world, MEDIA_LAYER);
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	AUTO_FREE char *dead = mem_format("%s.tmp.%ld/rootfs", world->to, (long) child);
	AUTO_FREE char *alive = mem_format("%s.tmp.%ld", world->to, (long) getppid());
	assert_int_equal(fs_make_dirs(dead, 0700, &err), 0);
	assert_int_equal(fs_make_dirs(alive, 0700, &err), 0);
	assert_int_equal(pull_image(world->store, &world->manifest, world->to, &err), 0);
	assert_pulled(world);
	assert_false(fs_exists(dead));
	assert_true(fs_exists(alive));
}

static void at_once(void **state) {
	struct world *world = *state;
	image_make(world, MEDIA_LAYER);
	pid_t children[8];
	for (int i = 0; i < 8; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct err err = {0};
			_exit(pull_image(world->store, &world->manifest, world->to, &err) == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status = 0;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_pulled(world);
	assert_int_equal(leftovers(world), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(manifests_and_indexes),
		CASE(refused_whole),
		CASE(wrong_bytes),
		CASE(leftovers_of_the_dead),
		CASE(at_once),
	};
	return cmocka_run_group_tests_name("oci/pull", tests, NULL, NULL);
}
