/* What was hashed once: SHA-256 of layers and models, git's and DVC's hashes, so that an unchanged gigabyte costs no read. One small file,
 * read whole, replaced atomically; it is not forced to disk, since its own checksum tells what a power cut left of it. A cache that is
 * missing, broken or cannot be written is an empty one and never an error.
 *
 * A file is known by device, inode, size, mtime and ctime in nanoseconds. One whose times are younger than 2 s when it was looked at is not
 * remembered: it could change again within the same tick of its file system's clock. */
#pragma once

#include "base/clock.h"
#include "data/digest.h"
#include "os/fs.h"

#define CACHE_ENTRIES_MAX 4096
#define CACHE_YOUNG_S 2

enum cache_kind { CACHE_RAW = 1 /* SHA-256 */, CACHE_LAYER /* SHA-256 of a layer */, CACHE_GIT_BLOB, CACHE_MD5 };

struct cache_key {
	char bytes[DIGEST_BYTES];
};
/* Adds what tells this file from another, and from itself once it changed. */
void cache_add_file(struct digest_state *state, const char *name, const struct stat *info);
/* name: what else the hash depends on ("model/model.onnx" for a layer); "" otherwise. */
struct cache_key cache_key_of_file(enum cache_kind kind, const char *name, const struct stat *info);
/* Of anything: what a layer of many files is made of. */
struct cache_key cache_key_of_text(enum cache_kind kind, struct str text);
/* May what is read of this file now be remembered? Ask before reading. */
bool cache_is_settled(const struct stat *info, const struct clock *clock);

struct cache;
/* path: $XDG_CACHE_HOME/mlctl/hashes, or folder/.mlctl/hashes where there is no home. */
struct cache *cache_open(const struct env *env, const char *folder);
struct cache *cache_open_file(const char *path);
void cache_free(struct cache *cache);
CLEANUP_POINTER(cache, struct cache *, cache_free)
#define AUTO_CACHE __attribute__((cleanup(cache_at_exit)))
/* hex: 64, 40 or 32 lower-case digits. */
bool cache_get(struct cache *cache, const struct cache_key *key, char hex[65]);
void cache_put(struct cache *cache, const struct cache_key *key, const char *hex);
/* The hash of an open file whose fstat is `info`: known, or read now and remembered; *read_bytes grows by what was read. */
int cache_hash_fd(struct cache *cache, const struct clock *clock, enum cache_kind kind, int fd, const char *name, const struct stat *info,
	char hex[65], int64_t *read_bytes, struct err *err);
/* Removes what killed runs left in a folder of ours: "*.tmp.*" that nobody touched for an hour. */
void cache_sweep(const char *folder);
/* Writes when something was put since it was opened; what others wrote meanwhile is kept. */
void cache_save(struct cache *cache);
