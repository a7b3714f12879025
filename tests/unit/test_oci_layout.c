/* The layout that stands in for a registry: order, tags that never move, kills at every read, a full disk, many writers. */
#include "data/value.h"
#include "oci/store.h"
#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cmocka.h>

#define LAYER_BYTES ((int64_t) 3 * 512 * 1024 + 17)

struct source { /* the bytes of a layer: a pattern, with a way to die or to lie in the middle */
	int reads, die_at, change_at;
};

static int source_read(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	struct source *source = self;
	(void) err;
	source->reads++;
	if (source->die_at && source->reads >= source->die_at)
		_exit(9);
	if (source->change_at && source->reads >= source->change_at)
		offset++;
	if (offset + (int64_t) len > LAYER_BYTES)
		len = (size_t) (LAYER_BYTES - offset);
	for (size_t i = 0; i < len; i++)
		((unsigned char *) out)[i] = (unsigned char) ((offset + (int64_t) i) * 31 >> 3);
	*got = len;
	return 0;
}

static void image_make(struct image *image, struct source *source, const char *revision) {
	struct err err = {0};
	*image = (struct image){.layers = NEW(struct blob), .layer_count = 1};
	image->layers[0] =
		(struct blob){.media_type = MEDIA_LAYER, .size = LAYER_BYTES, .title = "model", .read = source_read, .self = source};
	struct digest_state *hash = digest_start();
	struct source plain = {0};
	for (int64_t at = 0; at < LAYER_BYTES;) {
		char block[4096];
		size_t got;
		assert_int_equal(source_read(&plain, at, block, sizeof(block), &got, &err), 0);
		digest_add(hash, block, got);
		at += (int64_t) got;
	}
	digest_finish(hash, &image->layers[0].digest);
	blob_of_text(&image->config, MEDIA_CONFIG, "config", mem_text("{\"os\":\"linux\"}"));
	blob_of_text(&image->manifest, MEDIA_MANIFEST, "manifest",
		mem_format("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_MANIFEST "\",\"config\":{\"digest\":\"%s\"}}",
			image->config.digest.text));
	blob_of_text(&image->index, MEDIA_INDEX, "index",
		mem_format("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_INDEX
			   "\",\"manifests\":[{\"digest\":\"%s\"}],\"annotations\":{\"r\":\"%s\"}}",
			image->manifest.digest.text, revision));
}

struct world {
	char folder[64];
	char *name;
};

static int set_up(void **state) {
	struct world *world = NEW(struct world);
	snprintf(world->folder, sizeof(world->folder), "/tmp/mlctl-layout.XXXXXX");
	if (!mkdtemp(world->folder))
		return -1;
	world->name = mem_format("oci:%s/registry/fraud", world->folder);
	*state = world;
	return 0;
}

static int tear_down(void **state) {
	struct world *world = *state;
	struct err err = {0};
	int rc = fs_remove_tree(world->folder, &err);
	free(world->name);
	free(world);
	return rc;
}

static struct store *open_store(const char *name) {
	struct err err = {0};
	struct store *store = NULL;
	if (store_open(name, &(struct store_options){0}, &store, &err) != 0)
		fail_msg("%s", err.message);
	return store;
}

static int push(
	const char *name, struct source *source, const char *tag, const char *revision, struct push_result *result, struct err *err) {
	struct image image;
	image_make(&image, source, revision);
	struct store *store = open_store(name);
	int rc = store_push(store, &image, &tag, 1, NULL, result, err);
	store_close(store);
	image_clear(&image);
	return rc;
}

/* How many files of the layout are no part of it. */
static int strangers(const struct world *world) {
	AUTO_FREE char *folder = mem_format("%s/registry/fraud", world->folder);
	DIR *dir = opendir(folder);
	int count = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (strncmp(entry->d_name, ".blob-", 6) == 0 || strstr(entry->d_name, ".tmp."))
			count++;
	if (dir)
		closedir(dir);
	return count;
}

static int count_bytes(void *self, const void *bytes, size_t len, struct err *err) {
	(void) bytes;
	(void) err;
	*(int64_t *) self += (int64_t) len;
	return 0;
}

static void pushes_and_reads(void **state) {
	struct world *world = *state;
	struct err err = {0};
	struct push_result result;
	assert_int_equal(push(world->name, &(struct source){0}, "git-1", "a", &result, &err), 0);
	assert_int_equal(result.pushed, 2);
	assert_int_equal(result.sent_bytes, LAYER_BYTES + 14);
	struct source untouched = {0};
	assert_int_equal(push(world->name, &untouched, "git-1", "a", &result, &err), 0);
	assert_int_equal(result.existed, 2);
	assert_int_equal(untouched.reads, 0);

	struct store *store = open_store(world->name);
	struct manifest index = {0};
	assert_int_equal(store_get_manifest(store, "git-1", &index, &err), 0);
	assert_string_equal(index.media_type, MEDIA_INDEX);
	struct digest digest;
	bool has = false;
	assert_int_equal(store_has_manifest(store, index.digest.text, &digest, &has, &err), 0);
	assert_true(has && digest_equal(&digest, &index.digest));
	assert_int_equal(store_has_manifest(store, "git-2", &digest, &has, &err), 0);
	assert_false(has);
	manifest_clear(&index);
	assert_int_equal(store_get_manifest(store, "git-2", &index, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	err_clear(&err);
	struct image image;
	image_make(&image, &untouched, "a");
	int64_t count = 0;
	assert_int_equal(store_get_blob(store, &image.layers[0].digest, LAYER_BYTES, count_bytes, &count, &err), 0);
	assert_int_equal(count, LAYER_BYTES);
	assert_int_equal(store_get_blob(store, &image.layers[0].digest, LAYER_BYTES + 1, count_bytes, &count, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	err_clear(&err);
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	assert_int_equal(store_get_blob_text(store, &image.config.digest, 14, &text, &len, &err), 0);
	assert_string_equal(text, "{\"os\":\"linux\"}");
	AUTO_FREE char *none = NULL;
	assert_int_equal(store_get_blob_text(store, &image.config.digest, 13, &none, &len, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	image_clear(&image);
	store_close(store);
}

static void commit_tags_never_move(void **state) {
	struct world *world = *state;
	struct err err = {0};
	const char *const tags[] = {"git-1", "latest"};
	struct image image;
	image_make(&image, &(struct source){0}, "a");
	struct store *store = open_store(world->name);
	assert_int_equal(store_push(store, &image, tags, 2, NULL, NULL, &err), 0);
	image_clear(&image);
	struct source untouched = {0};
	image_make(&image, &untouched, "b");
	assert_int_equal(store_push(store, &image, tags, 1, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.message, "never moves"));
	assert_true(err.fix[0]);
	assert_int_equal(untouched.reads, 0);
	err_clear(&err);
	assert_int_equal(store_push(store, &image, tags + 1, 1, NULL, NULL, &err), 0); /* others do */
	struct manifest manifest = {0};
	assert_int_equal(store_get_manifest(store, "latest", &manifest, &err), 0);
	assert_true(digest_equal(&manifest.digest, &image.index.digest));
	manifest_clear(&manifest);
	AUTO_TEXTS struct texts found = {0};
	assert_int_equal(store_tags(store, &found, &err), 0);
	assert_int_equal(found.count, 2);
	assert_int_equal(store_untag(store, "latest", &err), 0);
	assert_int_equal(store_untag(store, "latest", &err), 0); /* repeatable */
	AUTO_TEXTS struct texts left = {0};
	assert_int_equal(store_tags(store, &left, &err), 0);
	assert_int_equal(left.count, 1);
	assert_string_equal(left.items[0], "git-1");
	image_clear(&image);
	store_close(store);
}

static void changed_source_is_refused(void **state) {
	struct world *world = *state;
	struct err err = {0};
	assert_int_equal(push(world->name, &(struct source){.change_at = 2}, "git-1", "a", NULL, &err), -1);
	assert_int_equal(err.code, ERR_BUILD);
	assert_non_null(strstr(err.message, "changed while it was read"));
	assert_int_equal(strangers(world), 0);
	err_clear(&err);
	struct store *store = open_store(world->name);
	AUTO_TEXTS struct texts tags = {0};
	assert_int_equal(store_tags(store, &tags, &err), 0);
	assert_int_equal(tags.count, 0);
	store_close(store);
}

static void rotten_blob_is_found(void **state) {
	struct world *world = *state;
	struct err err = {0};
	struct image image;
	image_make(&image, &(struct source){0}, "a");
	struct store *store = open_store(world->name);
	const char *tag = "v1";
	assert_int_equal(store_push(store, &image, &tag, 1, NULL, NULL, &err), 0);
	AUTO_FREE char *path = mem_format("%s/registry/fraud/blobs/sha256/%s", world->folder, digest_hex(&image.config.digest));
	assert_int_equal(fs_replace(path, "{\"os\":\"lynux\"}", 14, 0644, &err), 0);
	AUTO_FREE char *text = NULL;
	size_t len;
	assert_int_equal(store_get_blob_text(store, &image.config.digest, 100, &text, &len, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	err_clear(&err);
	AUTO_FREE char *top = mem_format("%s/registry/fraud/blobs/sha256/%s", world->folder, digest_hex(&image.index.digest));
	assert_int_equal(fs_replace(top, "{}", 2, 0644, &err), 0);
	struct manifest manifest = {0};
	assert_int_equal(store_get_manifest(store, tag, &manifest, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	image_clear(&image);
	store_close(store);
}

static void killed_in_the_middle(void **state) {
	struct world *world = *state;
	int died = 0;
	for (int n = 1; n <= 6; n++) {
		pid_t child = fork();
		if (child == 0) {
			struct err err = {0};
			_exit(push(world->name, &(struct source){.die_at = n}, "git-1", "a", NULL, &err) == 0 ? 0 : 1);
		}
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		struct store *store = open_store(world->name); /* sweeps */
		assert_int_equal(strangers(world), 0);
		struct err err = {0};
		AUTO_TEXTS struct texts tags = {0};
		assert_int_equal(store_tags(store, &tags, &err), 0);
		if (WEXITSTATUS(status) == 9) {
			died++;
			assert_int_equal(tags.count, 0);
		} else {
			assert_int_equal(WEXITSTATUS(status), 0);
			assert_int_equal(tags.count, 1);
		}
		store_close(store);
	}
	assert_int_equal(died, 4); /* the layer takes four reads; from the fifth on nothing died */
}

static void living_writer_is_not_swept(void **state) {
	struct world *world = *state;
	struct err err = {0};
	assert_int_equal(push(world->name, &(struct source){0}, "git-1", "a", NULL, &err), 0);
	AUTO_FREE char *path = mem_format("%s/registry/fraud/.blob-1-0", world->folder);
	AUTO_CLOSE int held = -1;
	assert_int_equal(fs_lock(path, false, &held, &err), 0);
	store_close(open_store(world->name));
	assert_int_equal(strangers(world), 1);
	close(held);
	held = -1;
	store_close(open_store(world->name));
	assert_int_equal(strangers(world), 0);
}

#define WRITERS 8

static void many_writers(void **state) {
	struct world *world = *state;
	pid_t children[WRITERS];
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct err err = {0};
			char tag[32], revision[32];
			snprintf(tag, sizeof(tag), "git-%d", i);
			snprintf(revision, sizeof(revision), "%d", i);
			_exit(push(world->name, &(struct source){0}, tag, revision, NULL, &err) == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = 0;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	struct store *store = open_store(world->name);
	struct err err = {0};
	AUTO_TEXTS struct texts tags = {0};
	assert_int_equal(store_tags(store, &tags, &err), 0);
	assert_int_equal(tags.count, WRITERS);
	for (size_t i = 0; i < tags.count; i++) {
		struct manifest manifest = {0};
		assert_int_equal(store_get_manifest(store, tags.items[i], &manifest, &err), 0);
		manifest_clear(&manifest);
	}
	assert_int_equal(strangers(world), 0);
	store_close(store);
}

/* Of many that want one commit's tag for different images exactly one gets it. */
static void one_commit_tag_wins(void **state) {
	struct world *world = *state;
	pid_t children[WRITERS];
	int won = 0;
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct err err = {0};
			char revision[32];
			snprintf(revision, sizeof(revision), "%d", i);
			int rc = push(world->name, &(struct source){0}, "git-same", revision, NULL, &err);
			_exit(rc == 0 ? 0 : err.code == ERR_CONFLICT ? 12 : 1);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = 0;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 12);
		won += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(won, 1);
}

static void full_disk(void **state) {
	struct world *world = *state;
	AUTO_FREE char *mount_at = mem_format("%s/small", world->folder);
	assert_int_equal(mkdir(mount_at, 0700), 0);
	if (mount("tmpfs", mount_at, "tmpfs", 0, "size=64k") != 0) { /* needs root */
		free(take(&mount_at));					 /* skip() jumps past the clean-up */
		skip();
	}
	AUTO_FREE char *name = mem_format("oci:%s/registry", mount_at);
	struct err err = {0};
	int rc = push(name, &(struct source){0}, "git-1", "a", NULL, &err);
	struct store *store = open_store(name);
	struct err later = {0};
	AUTO_TEXTS struct texts tags = {0};
	int read = store_tags(store, &tags, &later);
	store_close(store);
	AUTO_FREE char *folder = fs_join(mount_at, "registry");
	int left = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		left += strncmp(entry->d_name, ".blob-", 6) == 0;
	if (dir)
		closedir(dir);
	umount2(mount_at, MNT_DETACH);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_non_null(strstr(err.message, "1572881"));
	assert_non_null(strstr(err.message, "/small/registry/blobs/sha256/"));
	assert_int_equal(read, 0);
	assert_int_equal(tags.count, 0);
	assert_int_equal(left, 0);
}

static void other_layouts_are_kept(void **state) {
	struct world *world = *state;
	struct err err = {0};
	assert_int_equal(push(world->name, &(struct source){0}, "git-1", "a", NULL, &err), 0);
	AUTO_FREE char *index = mem_format("%s/registry/fraud/index.json", world->folder);
	const char *theirs =
		"{\"schemaVersion\":2,\"x\":{\"y\":[1]},\"manifests\":[{\"mediaType\":\"m\",\"digest\":\"d\",\"size\":1},"
		"{\"mediaType\":\"m\",\"digest\":\"e\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":\"h.x/a:b\"}}]}";
	assert_int_equal(fs_replace(index, theirs, strlen(theirs), 0644, &err), 0);
	assert_int_equal(push(world->name, &(struct source){0}, "v2", "a", NULL, &err), 0);
	AUTO_FREE char *text = NULL;
	size_t len;
	assert_int_equal(fs_read(index, 100000, &text, &len, &err), 0);
	assert_non_null(strstr(text, "\"x\":{\"y\":[1]}"));
	assert_non_null(strstr(text, "{\"mediaType\":\"m\",\"digest\":\"d\",\"size\":1},"));
	assert_non_null(strstr(text, "h.x/a:b"));
	AUTO_FREE char *version = mem_format("%s/registry/fraud/oci-layout", world->folder);
	assert_int_equal(fs_replace(version, "{\"imageLayoutVersion\":\"2.0.0\"}", 30, 0644, &err), 0);
	struct store *store = NULL;
	assert_int_equal(store_open(world->name, &(struct store_options){0}, &store, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(pushes_and_reads),
		CASE(commit_tags_never_move),
		CASE(changed_source_is_refused),
		CASE(rotten_blob_is_found),
		CASE(killed_in_the_middle),
		CASE(living_writer_is_not_swept),
		CASE(many_writers),
		CASE(one_commit_tag_wins),
		CASE(full_disk),
		CASE(other_layouts_are_kept),
	};
	return cmocka_run_group_tests_name("oci/layout", tests, NULL, NULL);
}
