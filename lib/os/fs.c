#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>

#define TEMPORARY_TRIES_MAX 8

const char *env_get(const struct env *env, const char *name) {
	size_t n = strlen(name);
	for (char **item = env ? env->items : NULL; item && *item; item++)
		if (strncmp(*item, name, n) == 0 && (*item)[n] == '=')
			return (*item)[n + 1] ? *item + n + 1 : NULL;
	return NULL;
}

int fs_open_at(int dir, const char *path, int flags, mode_t mode, int *fd, struct err *err) {
	int got = openat(dir, path, flags | O_CLOEXEC, mode);
	if (got < 0)
		return err_sys(err, "%s", path);
	*fd = got;
	return 0;
}

int fs_open(const char *path, int flags, mode_t mode, int *fd, struct err *err) {
	return fs_open_at(AT_FDCWD, path, flags, mode, fd, err);
}

int fs_open_beneath(int dir, const char *path, int flags, mode_t mode, int *fd, struct err *err) {
	struct open_how how = {
		.flags = (uint64_t) (flags | O_CLOEXEC),
		.mode = (flags & O_CREAT) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long got = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (got < 0)
		return err_sys(err, "%s", path);
	*fd = (int) got;
	return 0;
}

static int read_open(int fd, const char *path, size_t bytes_max, char **out, size_t *len, struct err *err) {
	struct stat info;
	if (fstat(fd, &info) != 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode))
		return err_set(err, ERR_FAILED, "%s: not a file", path);
	if (S_ISREG(info.st_mode) && info.st_size > (off_t) bytes_max)
		return err_set(err, ERR_LIMIT, "%s: %lld bytes, at most %zu", path, (long long) info.st_size, bytes_max);
	AUTO_BUF struct buf text = BUF(bytes_max + 65536);
	for (;;) {
		char *room = buf_room(&text, 32768);
		if (!room)
			return err_set(err, ERR_LIMIT, "%s: more than %zu bytes", path, bytes_max);
		ssize_t n = read(fd, room, 32768);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "%s", path);
		buf_wrote(&text, (size_t) n);
		if (text.len > bytes_max)
			return err_set(err, ERR_LIMIT, "%s: more than %zu bytes", path, bytes_max);
		if (n == 0)
			break;
	}
	*len = text.len;
	*out = text.ptr;
	text = BUF(1);
	return 0;
}

int fs_read_at(int dir, const char *path, size_t bytes_max, char **out, size_t *len, struct err *err) {
	AUTO_CLOSE int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);
	return read_open(fd, path, bytes_max, out, len, err);
}

int fs_read(const char *path, size_t bytes_max, char **out, size_t *len, struct err *err) {
	return fs_read_at(AT_FDCWD, path, bytes_max, out, len, err);
}

int fs_write_all(int fd, const void *bytes, size_t len, const char *name, struct err *err) {
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *) bytes + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "writing %s", name);
		done += (size_t) n;
	}
	return 0;
}

int fs_pread(int fd, void *bytes, size_t len, int64_t offset, size_t *got, const char *name, struct err *err) {
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, (char *) bytes + done, len - done, (off_t) offset + (off_t) done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "reading %s", name);
		if (n == 0)
			break;
		done += (size_t) n;
	}
	*got = done;
	return 0;
}

static char *folder_of(const char *path) {
	struct str rest, head = str_cut_last(str_of(path), '/', &rest);
	if (!rest.ptr)
		return mem_text(".");
	return head.len ? str_dup(head) : mem_text("/");
}

int fs_sync_dir(const char *path, struct err *err) {
	AUTO_CLOSE int fd = -1;
	if (fs_open(path, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0)
		return -1;
	if (fsync(fd) != 0 && errno != EINVAL)
		return err_sys(err, "%s", path);
	return 0;
}

bool fs_claim(int fd) {
	struct stat info;
	return (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && fstat(fd, &info) == 0 && info.st_nlink != 0;
}

int fs_temporary(const char *path, char **temporary, int *fd, struct err *err) {
	for (int i = 0; i < TEMPORARY_TRIES_MAX; i++) {
		AUTO_FREE char *name = mem_format("%s.tmp.XXXXXX", path);
		AUTO_CLOSE int got = mkostemp(name, O_CLOEXEC);
		if (got < 0)
			return err_sys(err, "%s", path);
		if (!fs_claim(got)) {
			best_effort(unlink(name)); /* most likely it is gone */
			continue;
		}
		*temporary = take(&name);
		*fd = got;
		got = -1;
		return 0;
	}
	return err_set(err, ERR_FAILED, "%s: no temporary beside it stays after %d tries", path, TEMPORARY_TRIES_MAX);
}

static int replace(const char *path, const void *bytes, size_t len, mode_t mode, bool is_lasting, struct err *err) {
	AUTO_FREE char *temporary = NULL;
	AUTO_CLOSE int fd = -1;
	if (fs_temporary(path, &temporary, &fd, err) != 0)
		return -1;
	if (fs_write_all(fd, bytes, len, path, err) != 0 || fchmod(fd, mode) != 0 || (is_lasting && fsync(fd) != 0) ||
		rename(temporary, path) != 0) {
		if (err->code == ERR_NONE)
			err_sys(err, "replacing %s", path);
		best_effort(unlink(temporary)); /* the first failure is the one to tell */
		return -1;
	}
	return 0;
}

static bool is_swept(const char *name, const char *prefix) {
	const char *end = strstr(name, ".tmp.");
	return prefix ? strncmp(name, prefix, strlen(prefix)) == 0 : end && strlen(end) == strlen(".tmp.XXXXXX");
}

void fs_sweep(const char *folder, const char *prefix) {
	DIR *listing = opendir(folder);
	for (struct dirent *entry; listing && (entry = readdir(listing));) {
		if (!is_swept(entry->d_name, prefix))
			continue;
		AUTO_CLOSE int fd = openat(dirfd(listing), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			best_effort(unlinkat(dirfd(listing), entry->d_name, 0)); /* whoever comes next tries again */
	}
	if (listing)
		closedir(listing);
}

int fs_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err) {
	AUTO_FREE char *folder = folder_of(path);
	return replace(path, bytes, len, mode, true, err) == 0 ? fs_sync_dir(folder, err) : -1;
}

int fs_replace_quickly(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err) {
	return replace(path, bytes, len, mode, false, err);
}

int fs_make_dirs(const char *path, mode_t mode, struct err *err) {
	AUTO_FREE char *copy = mem_text(path);
	for (char *c = copy + 1; *copy; c++) {
		if (*c != '/' && *c != '\0')
			continue;
		char kept = *c;
		*c = '\0';
		if (mkdir(copy, mode) != 0 && errno != EEXIST)
			return err_sys(err, "making folder %s", copy);
		*c = kept;
		if (kept == '\0')
			break;
	}
	struct stat info;
	if (stat(path, &info) != 0)
		return err_sys(err, "%s", path);
	return S_ISDIR(info.st_mode) ? 0 : err_set(err, ERR_FAILED, "%s: not a folder", path);
}

int fs_lock(const char *path, bool is_waiting, int *fd, struct err *err) {
	AUTO_CLOSE int got = -1;
	if (fs_open(path, O_RDWR | O_CREAT, 0600, &got, err) != 0)
		return -1;
	while (flock(got, is_waiting ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_LOCKED, "%s: locked by another process", path);
		return err_sys(err, "%s", path);
	}
	*fd = got;
	got = -1;
	return 0;
}

#define TREE_DEPTH_MAX 64

static int remove_beneath(int dir, const char *name, int depth, struct err *err) {
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, "removing %s", name);
	if (depth >= TREE_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "removing %s: more than %d folders deep", name, TREE_DEPTH_MAX);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		err_sys(err, "removing %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = remove_beneath(dirfd(folder), entry->d_name, depth + 1, err);
	closedir(folder);
	if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		rc = err_sys(err, "removing %s", name);
	return rc;
}

int fs_remove_tree(const char *path, struct err *err) {
	return remove_beneath(AT_FDCWD, path, 0, err);
}

bool fs_exists(const char *path) {
	return access(path, F_OK) == 0;
}

char *fs_join(const char *folder, const char *name) {
	if (name[0] == '/')
		return mem_text(name);
	size_t n = strlen(folder), name_len = strlen(name);
	bool needs_slash = n == 0 || folder[n - 1] != '/';
	char *path = mem_zero(1, n + needs_slash + name_len + 1);
	memcpy(path, folder, n);
	if (needs_slash)
		path[n] = '/';
	memcpy(path + n + needs_slash, name, name_len);
	return path;
}

int fs_home(const struct env *env, enum fs_home which, char **out, struct err *err) {
	static const struct {
		const char *variable, *fallback;
	} homes[] = {
		[FS_STATE] = {"XDG_STATE_HOME", ".local/state"},
		[FS_DATA] = {"XDG_DATA_HOME", ".local/share"},
		[FS_CACHE] = {"XDG_CACHE_HOME", ".cache"},
		[FS_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
	};
	const char *set = env_get(env, homes[which].variable);
	if (set && set[0] == '/') { /* the XDG specification: a relative path is ignored */
		*out = mem_text(set);
		return 0;
	}
	const char *home = env_get(env, "HOME");
	if (!home || home[0] != '/') {
		err_set(err, ERR_CONFIG, "neither %s nor HOME is set to an absolute path", homes[which].variable);
		return err_fix(err, "export HOME=/path/to/your/home");
	}
	*out = fs_join(home, homes[which].fallback);
	return 0;
}
