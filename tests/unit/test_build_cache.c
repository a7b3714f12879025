#include "build/cache.h"
#include "scratch.h"

static const char hex64[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char hex40[] = "00112233445566778899aabbccddeeff00112233";

static struct cache_key key(int n) {
	AUTO_FREE char *text = mem_format("%d", n);
	return cache_key_of_text(CACHE_RAW, str_of(text));
}

static void remembers(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *path = fs_join(folder, "deep/hashes");
	struct cache_key one = key(1), two = key(2);
	char hex[65];
	struct cache *cache = cache_open_file(path);
	assert_false(cache_get(cache, &one, hex));
	cache_put(cache, &one, hex64);
	cache_put(cache, &two, hex40);
	assert_true(cache_get(cache, &one, hex));
	struct cache *other = cache_open_file(path); /* writes in between: both are kept */
	struct cache_key three = key(3);
	cache_put(other, &three, hex40);
	cache_save(other);
	cache_save(cache);
	cache_free(other);
	cache_free(cache);
	cache = cache_open_file(path);
	assert_true(cache_get(cache, &one, hex));
	assert_string_equal(hex, hex64);
	assert_true(cache_get(cache, &two, hex));
	assert_string_equal(hex, hex40);
	assert_true(cache_get(cache, &three, hex));
	cache_free(cache);
}

static void the_oldest_makes_room(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *path = fs_join(folder, "hashes");
	AUTO_CACHE struct cache *cache = cache_open_file(path);
	for (int i = 0; i < CACHE_ENTRIES_MAX + 1; i++) {
		struct cache_key k = key(i);
		cache_put(cache, &k, hex40);
	}
	struct cache_key first = key(0), last = key(CACHE_ENTRIES_MAX);
	char hex[65];
	assert_false(cache_get(cache, &first, hex));
	assert_true(cache_get(cache, &last, hex));
	cache_save(cache);
	AUTO_CACHE struct cache *again = cache_open_file(path);
	assert_true(cache_get(again, &last, hex));
}

static void broken_is_empty(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *path = fs_join(folder, "hashes");
	struct cache_key one = key(1);
	char hex[65];
	static const char *const breaks[] = {
		"printf x | dd of=hashes bs=1 seek=40 conv=notrunc status=none",
		"truncate -s -1 hashes",
		"truncate -s 20 hashes",
		": >hashes",
		"head -c 5000 /dev/urandom >hashes",
		"rm hashes; mkdir hashes",
	};
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		AUTO_CACHE struct cache *cache = cache_open_file(path);
		cache_put(cache, &one, hex64);
		cache_save(cache);
		scratch_sh(folder, breaks[i]);
		AUTO_CACHE struct cache *again = cache_open_file(path);
		assert_false(cache_get(again, &one, hex));
		cache_put(again, &one, hex64);
		cache_save(again); /* writable or not: no failure, no crash */
	}
}

static int64_t wall_s;
static int64_t wall(void *self) {
	(void) self;
	return wall_s;
}

static void young_files_are_not_settled(void **state) {
	(void) state;
	struct clock clock = {.wall_s = wall};
	struct stat info = {.st_mtim = {1000, 0}, .st_ctim = {1000, 0}};
	wall_s = 1000;
	assert_false(cache_is_settled(&info, &clock));
	wall_s = 1002;
	assert_false(cache_is_settled(&info, &clock));
	wall_s = 1003;
	assert_true(cache_is_settled(&info, &clock));
	info.st_ctim.tv_sec = 1003; /* touch -d: the ctime tells */
	assert_false(cache_is_settled(&info, &clock));
	info.st_mtim.tv_sec = 2000; /* a clock ahead of ours */
	assert_false(cache_is_settled(&info, &clock));
}

static void keys_differ(void **state) {
	(void) state;
	struct stat a = {.st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = {4, 5}, .st_ctim = {6, 7}};
	struct cache_key first = cache_key_of_file(CACHE_LAYER, "n", &a);
	struct stat others[] = {a, a, a, a, a, a, a};
	others[0].st_dev++, others[1].st_ino++, others[2].st_size++, others[3].st_mtim.tv_sec++, others[4].st_mtim.tv_nsec++,
		others[5].st_ctim.tv_sec++, others[6].st_ctim.tv_nsec++;
	for (size_t i = 0; i < 7; i++) {
		struct cache_key other = cache_key_of_file(CACHE_LAYER, "n", &others[i]);
		assert_memory_not_equal(&first, &other, sizeof(first));
	}
	struct cache_key name = cache_key_of_file(CACHE_LAYER, "m", &a), kind = cache_key_of_file(CACHE_RAW, "n", &a);
	assert_memory_not_equal(&first, &name, sizeof(first));
	assert_memory_not_equal(&first, &kind, sizeof(first));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(broken_is_empty),
		cmocka_unit_test(young_files_are_not_settled),
		cmocka_unit_test(keys_differ),
	};
	return cmocka_run_group_tests_name("build_cache", tests, NULL, NULL);
}
