/* Files: capped reads, atomic replacement, opening beneath a folder, locks. Never follows a symlink out of a root; new files are
 * 0600 unless said otherwise; every failure names the path. */
#pragma once

#include "base/str.h"

#include <sys/stat.h>
#include <sys/types.h>

static inline void fs_close_at_exit(int *fd);
#define AUTO_CLOSE __attribute__((cleanup(fs_close_at_exit)))

/* The whole regular file into *out (owned, NUL-terminated); ERR_LIMIT beyond bytes_max, ERR_NOT_FOUND when it is not there. */
int fs_read(const char *path, size_t bytes_max, char **out, size_t *len, struct err *err);
int fs_read_at(int dir, const char *path, size_t bytes_max, char **out, size_t *len, struct err *err);
/* Old content or new content, never between: temporary beside it, fsync, rename, fsync of the folder. */
int fs_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err);
/* As fs_replace, without waiting for the disk: after a power cut it may be the old file, the new one or an empty one. For what can be made
 * again. */
int fs_replace_quickly(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err);
/* A file beside `path`, "PATH.tmp.XXXXXX" (0600), for whoever renames it to that. It is held, so that fs_sweep() leaves it. *temporary is the caller's. */
int fs_temporary(const char *path, char **temporary, int *fd, struct err *err);
/* Holds (flock) a temporary that was just made under another name. false: a sweeper had it in between, and its name is gone or about to go. Where nothing can
 * be locked nothing is swept, and it is true. */
bool fs_claim(int fd);
/* Removes from `folder` what killed processes left: files that nobody holds and whose names begin with `prefix`; NULL: are fs_temporary()'s. */
void fs_sweep(const char *folder, const char *prefix);
/* Every folder of the path, mode 0700 for the ones it makes. */
int fs_make_dirs(const char *path, mode_t mode, struct err *err);
/* Opens beneath `dir` by openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS. flags as open(2). */
int fs_open_beneath(int dir, const char *path, int flags, mode_t mode, int *fd, struct err *err);
int fs_open(const char *path, int flags, mode_t mode, int *fd, struct err *err); /* O_CLOEXEC is added */
int fs_open_at(int dir, const char *path, int flags, mode_t mode, int *fd, struct err *err);
int fs_write_all(int fd, const void *bytes, size_t len, const char *name, struct err *err);
/* Reads exactly up to len bytes at offset; *got < len only at the end of the file. */
int fs_pread(int fd, void *bytes, size_t len, int64_t offset, size_t *got, const char *name, struct err *err);
int fs_sync_dir(const char *path, struct err *err);
/* An exclusive flock on `path` (made when missing); held until the descriptor closes. is_waiting false: ERR_LOCKED at once. */
int fs_lock(const char *path, bool is_waiting, int *fd, struct err *err);
/* Removes a tree beneath a folder; what is not there is fine. Never follows a symlink. */
int fs_remove_tree(const char *path, struct err *err);
bool fs_exists(const char *path);
/* "a/b" + "c" -> "a/b/c"; an absolute second part stays itself. Owned by the caller. */
char *fs_join(const char *folder, const char *name) __attribute__((warn_unused_result));
/* $XDG_STATE_HOME, $XDG_DATA_HOME, $XDG_CACHE_HOME, $XDG_RUNTIME_DIR with their defaults under home. env is the environment
 * handed in from main(). ERR_CONFIG when neither the variable nor HOME is set. */
enum fs_home { FS_STATE, FS_DATA, FS_CACHE, FS_CONFIG };
struct env;
int fs_home(const struct env *env, enum fs_home which, char **out, struct err *err);

/* The environment as a value: main() hands the process's own, tests hand a list. */
struct env {
	char **items; /* "NAME=value", NULL-terminated, borrowed */
};
const char *env_get(const struct env *env, const char *name); /* NULL when unset or empty */

#include <unistd.h>
static inline void fs_close_at_exit(int *fd) {
	if (*fd >= 0)
		close(*fd);
}
