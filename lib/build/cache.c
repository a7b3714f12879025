#include "build/cache.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

/* The file: a head, records of one size in any order, oldest first, and a SHA-256 over all before it. A record's value is a hash in binary
 * with its length first. */
#define HEAD "mlctl hashes 1\n\n"
#define HEAD_BYTES (sizeof(HEAD) - 1)
struct record {
	char key[DIGEST_BYTES];
	unsigned char value_len;
	char value[DIGEST_BYTES];
};
#define RECORD_BYTES sizeof(struct record)
#define LEFTOVER_S 3600
#define FILE_BYTES_MAX (HEAD_BYTES + CACHE_ENTRIES_MAX * RECORD_BYTES + DIGEST_BYTES)

struct cache {
	char *path;
	struct record *records; /* CACHE_ENTRIES_MAX of them, made at the first record */
	size_t count;
	bool is_changed;
};

static int unhex(const char *hex, char *out, size_t len) {
	for (size_t i = 0; i < len; i++) {
		int byte = 0;
		for (size_t half = 0; half < 2; half++) {
			char c = hex[2 * i + half];
			int digit = ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
			if (digit < 0)
				return -1;
			byte = byte * 16 + digit;
		}
		out[i] = (char) byte;
	}
	return 0;
}

static struct cache_key key_of(struct digest_state *state) {
	struct digest digest;
	struct cache_key key;
	digest_finish(state, &digest);
	best_effort(unhex(digest_hex(&digest), key.bytes, DIGEST_BYTES)); /* our own digits */
	return key;
}

static struct digest_state *start_key(enum cache_kind kind) {
	struct digest_state *state = digest_start();
	char first = (char) kind;
	digest_add(state, &first, 1);
	return state;
}

struct cache_key cache_key_of_text(enum cache_kind kind, struct str text) {
	struct digest_state *state = start_key(kind);
	digest_add(state, text.ptr, text.len);
	return key_of(state);
}

void cache_add_file(struct digest_state *state, const char *name, const struct stat *info) {
	const int64_t identity[] = {
		(int64_t) info->st_dev,
		(int64_t) info->st_ino,
		info->st_size,
		info->st_mtim.tv_sec,
		info->st_mtim.tv_nsec,
		info->st_ctim.tv_sec,
		info->st_ctim.tv_nsec,
	};
	digest_add(state, identity, sizeof(identity));
	digest_add(state, name, strlen(name) + 1);
}

struct cache_key cache_key_of_file(enum cache_kind kind, const char *name, const struct stat *info) {
	struct digest_state *state = start_key(kind);
	cache_add_file(state, name, info);
	return key_of(state);
}

bool cache_is_settled(const struct stat *info, const struct clock *clock) {
	int64_t last = info->st_mtim.tv_sec > info->st_ctim.tv_sec ? info->st_mtim.tv_sec : info->st_ctim.tv_sec;
	return clock_wall_s(clock) - last > CACHE_YOUNG_S;
}

static void add_record(struct cache *cache, const struct record *record) {
	if (!cache->records)
		cache->records = mem_zero(CACHE_ENTRIES_MAX, RECORD_BYTES);
	size_t at = 0;
	while (at < cache->count && memcmp(cache->records[at].key, record->key, DIGEST_BYTES) != 0)
		at++;
	if (at == cache->count && cache->count == CACHE_ENTRIES_MAX)
		at = 0; /* the oldest makes room */
	if (at < cache->count) {
		memmove(&cache->records[at], &cache->records[at + 1], (cache->count - at - 1) * RECORD_BYTES);
		cache->count--;
	}
	cache->records[cache->count++] = *record;
}

/* Adds the file's records, in their order; anything wrong with it: none. */
static void load(struct cache *cache) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(cache->path, FILE_BYTES_MAX, &text, &len, &err) != 0 || len < HEAD_BYTES + DIGEST_BYTES ||
		(len - HEAD_BYTES - DIGEST_BYTES) % RECORD_BYTES != 0 || memcmp(text, HEAD, HEAD_BYTES) != 0)
		return;
	size_t body = len - DIGEST_BYTES;
	struct digest digest;
	char sum[DIGEST_BYTES];
	digest_of((struct str){text, body}, &digest);
	if (unhex(digest_hex(&digest), sum, DIGEST_BYTES) != 0 || memcmp(sum, text + body, DIGEST_BYTES) != 0)
		return;
	size_t count = (body - HEAD_BYTES) / RECORD_BYTES;
	if (!cache->records)
		cache->records = mem_zero(CACHE_ENTRIES_MAX, RECORD_BYTES);
	if (cache->count == 0) { /* the usual case: no search for doubles */
		memcpy(cache->records, text + HEAD_BYTES, count * RECORD_BYTES);
		cache->count = count;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct record record;
		memcpy(&record, text + HEAD_BYTES + i * RECORD_BYTES, RECORD_BYTES);
		add_record(cache, &record);
	}
}

struct cache *cache_open_file(const char *path) {
	struct cache *cache = NEW(struct cache);
	cache->path = mem_text(path);
	load(cache);
	return cache;
}

struct cache *cache_open(const struct env *env, const char *folder) {
	struct err err = {0};
	AUTO_FREE char *home = NULL;
	AUTO_FREE char *path = fs_home(env, FS_CACHE, &home, &err) == 0 ? fs_join(home, "mlctl/hashes") : fs_join(folder, ".mlctl/hashes");
	return cache_open_file(path);
}

void cache_free(struct cache *cache) {
	if (!cache)
		return;
	free(cache->path);
	free(cache->records);
	free(cache);
}

bool cache_get(struct cache *cache, const struct cache_key *key, char hex[65]) {
	for (size_t i = 0; i < cache->count; i++) {
		const struct record *record = &cache->records[i];
		if (memcmp(record->key, key->bytes, DIGEST_BYTES) != 0 || record->value_len > DIGEST_BYTES)
			continue;
		AUTO_BUF struct buf text = BUF(128);
		hex_encode(record->value, record->value_len, &text);
		memcpy(hex, text.ptr, text.len + 1);
		return true;
	}
	return false;
}

void cache_put(struct cache *cache, const struct cache_key *key, const char *hex) {
	struct record record = {.value_len = (unsigned char) (strlen(hex) / 2)};
	assert(record.value_len <= DIGEST_BYTES);
	memcpy(record.key, key->bytes, DIGEST_BYTES);
	if (unhex(hex, record.value, record.value_len) != 0)
		return;
	add_record(cache, &record);
	cache->is_changed = true;
}

int cache_hash_fd(struct cache *cache, const struct clock *clock, enum cache_kind kind, int fd, const char *name, const struct stat *info,
	char hex[65], int64_t *read_bytes, struct err *err) {
	static const enum digest_kind kinds[] = {[CACHE_RAW] = DIGEST_SHA256, [CACHE_GIT_BLOB] = DIGEST_SHA1, [CACHE_MD5] = DIGEST_MD5};
	assert(kind != CACHE_LAYER);
	struct cache_key key = cache_key_of_file(kind, "", info);
	if (cache_get(cache, &key, hex))
		return 0;
	bool is_settled = cache_is_settled(info, clock);
	/* git hashes "blob SIZE", a NUL, and the content. */
	AUTO_FREE char *head = mem_format("blob %lld", (long long) info->st_size);
	struct str before = kind == CACHE_GIT_BLOB ? (struct str){head, strlen(head) + 1} : STR("");
	if (digest_hex_of_fd(fd, name, kinds[kind], before, hex, err) != 0)
		return -1;
	*read_bytes += (int64_t) info->st_size;
	if (is_settled)
		cache_put(cache, &key, hex);
	return 0;
}

void cache_sweep(const char *folder) {
	DIR *listing = opendir(folder);
	if (!listing)
		return;
	int64_t now_s = clock_wall_s(&clock_system); /* of the files' own clock, whatever a test says it is */
	for (struct dirent *entry; (entry = readdir(listing));) {
		struct stat info;
		if (strstr(entry->d_name, ".tmp.") && fstatat(dirfd(listing), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(info.st_mode) && now_s - info.st_mtim.tv_sec > LEFTOVER_S)
			best_effort(unlinkat(dirfd(listing), entry->d_name, 0)); /* another build may sweep as well */
	}
	closedir(listing);
}

void cache_save(struct cache *cache) {
	if (!cache->is_changed)
		return;
	/* Their records first, ours after them: both are kept, and ours are the younger. */
	AUTO_CACHE struct cache *now = cache_open_file(cache->path);
	for (size_t i = 0; i < cache->count; i++)
		add_record(now, &cache->records[i]);
	AUTO_BUF struct buf text = BUF(FILE_BYTES_MAX);
	buf_text(&text, HEAD);
	buf_add(&text, now->records, now->count * RECORD_BYTES);
	struct digest digest;
	char sum[DIGEST_BYTES];
	digest_of(buf_view(&text), &digest);
	best_effort(unhex(digest_hex(&digest), sum, DIGEST_BYTES)); /* our own digits */
	buf_add(&text, sum, DIGEST_BYTES);
	struct err err = {0};
	AUTO_FREE char *folder = mem_text(cache->path);
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	/* A cache that cannot be written costs time, nothing else. */
	if (fs_make_dirs(folder, 0700, &err) == 0)
		best_effort(fs_replace_quickly(cache->path, text.ptr, text.len, 0600, &err));
	cache_sweep(folder);
	cache->is_changed = false;
}
