#include "oci/extract.h"

#include "os/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define DEPTH_MAX 64
#define WHITEOUT ".wh."
#define WHITEOUT_ALL ".wh..wh..opq"

struct extract {
	int root;
	char *name; /* of the layer, for messages */
	struct tar_limits limits;
	struct tar_reader *reader;
	int file; /* the file whose bytes come now; -1 */
	char *file_name;
	int parent; /* the folder that the last entry was in, kept open since the next one is often beside it; -1 */
	char *parent_name;
};

static int refuse(const struct extract *extract, const char *entry, const char *why, struct err *err) {
	return err_set(err, ERR_INVALID, "%s: \"%s\": %s", extract->name, entry, why);
}

/* "./a//b/" -> "a/b"; "" for the root itself. */
static void normalise(const char *name, struct buf *out) {
	for (struct str rest = str_of(name); rest.ptr;) {
		struct str part = str_cut(rest, '/', &rest);
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (out->len)
			buf_char(out, '/');
		buf_str(out, part);
	}
	if (!out->ptr)
		buf_text(out, "");
}

/* --- folders */

static int step_into(int at, const char *part, int *fd, struct err *err) {
	if (mkdirat(at, part, 0700) != 0 && errno != EEXIST)
		return err_sys(err, "making folder %s", part);
	return fs_open_beneath(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, fd, err);
}

/* The folder of an entry, made when missing; lent until the next call. *base points into path. */
static int parent_of(struct extract *extract, char *path, int *fd, char **base, struct err *err) {
	char *slash = strrchr(path, '/');
	*base = slash ? slash + 1 : path;
	size_t len = slash ? (size_t) (slash - path) : 0;
	if (extract->parent >= 0 && strlen(extract->parent_name) == len && memcmp(extract->parent_name, path, len) == 0) {
		*fd = extract->parent;
		return 0;
	}
	AUTO_CLOSE int at = -1;
	if (fs_open_beneath(extract->root, ".", O_RDONLY | O_DIRECTORY, 0, &at, err) != 0)
		return -1;
	int depth = 0;
	for (struct str rest = {path, len}; rest.ptr && len;) {
		AUTO_FREE char *part = str_dup(str_cut(rest, '/', &rest));
		int next = -1;
		if (++depth > DEPTH_MAX)
			return refuse(extract, path, "more than 64 folders deep", err);
		if (step_into(at, part, &next, err) != 0) {
			err->code = err->code == ERR_NOSPACE ? ERR_NOSPACE : ERR_INVALID;
			return err_wrap(err, "%s: \"%s\"", extract->name, path);
		}
		close(at);
		at = next;
	}
	if (extract->parent >= 0)
		close(extract->parent);
	free(extract->parent_name);
	extract->parent_name = mem_text_n(path, len);
	*fd = extract->parent = at;
	at = -1;
	return 0;
}

static void forget_parent(struct extract *extract) {
	if (extract->parent >= 0)
		close(extract->parent);
	extract->parent = -1;
	free(take(&extract->parent_name));
}

/* Whatever an earlier entry put at this name goes away. */
static int make_room(struct extract *extract, int parent, const char *base, struct err *err) {
	struct stat info;
	if (fstatat(parent, base, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s: \"%s\"", extract->name, base);
	AUTO_FREE char *path = mem_format("/proc/self/fd/%d/%s", parent, base);
	return fs_remove_tree(path, err);
}

static int empty_folder(struct extract *extract, int parent, struct err *err) {
	AUTO_FREE char *path = mem_format("/proc/self/fd/%d/.", parent);
	/* Removing "." empties it first and then fails at itself. */
	if (fs_remove_tree(path, err) == 0 || err->sys == EINVAL || err->sys == EBUSY) {
		err_clear(err);
		return 0;
	}
	return err_wrap(err, "%s", extract->name);
}

/* --- entries */

static int put_file(struct extract *extract, int parent, const char *base, const struct tar_entry *entry, struct err *err) {
	mode_t mode = entry->mode & 0111 ? 0700 : 0600;
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, base, flags, mode);
	if (fd < 0 && errno == EEXIST) {
		if (make_room(extract, parent, base, err) != 0)
			return -1;
		fd = openat(parent, base, flags, mode);
	}
	if (fd < 0)
		return err_sys(err, "%s: \"%s\"", extract->name, entry->name);
	/* The umask may have taken the owner's own bits. A full disk is known before the first byte where the file system can tell. */
	if (fchmod(fd, mode) != 0 || (entry->size > 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, entry->size) != 0 && errno == ENOSPC)) {
		err_sys(err, "%s: \"%s\", %lld bytes", extract->name, entry->name, (long long) entry->size);
		close(fd);
		return -1;
	}
	extract->file = fd;
	extract->file_name = mem_text(entry->name);
	return 0;
}

static int put_folder(struct extract *extract, int parent, const char *base, struct err *err) {
	struct stat info;
	if (fstatat(parent, base, &info, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(info.st_mode))
			return 0;
		if (make_room(extract, parent, base, err) != 0)
			return -1;
	}
	if (mkdirat(parent, base, 0700) != 0)
		return err_sys(err, "%s: \"%s\"", extract->name, base);
	return 0;
}

/* Where the link leads, seen from the folder it is in: relative, and never above the root. False: it would be. */
static bool link_inside(const char *path, const char *link, struct buf *out) {
	int depth = 0;
	for (const char *c = path; *c; c++)
		depth += *c == '/';
	if (link[0] == '/') {
		for (int i = 0; i < depth; i++)
			buf_text(out, "../");
		while (*link == '/')
			link++;
		buf_text(out, *link ? link : ".");
		depth = 0;
	} else {
		buf_text(out, link);
	}
	for (struct str rest = str_of(link); rest.ptr;) {
		struct str part = str_cut(rest, '/', &rest);
		if (str_is(part, "..")) {
			if (--depth < 0)
				return false;
		} else if (part.len && !str_is(part, ".")) {
			depth++;
		}
	}
	return !out->failed && out->len > 0;
}

static int put_symlink(
	struct extract *extract, int parent, const char *path, const char *base, const struct tar_entry *entry, struct err *err) {
	AUTO_BUF struct buf target = BUF((size_t) 2 * TAR_NAME_MAX);
	if (!link_inside(path, entry->link ? entry->link : "", &target))
		return refuse(extract, entry->name, "a link that leaves the image", err);
	if (make_room(extract, parent, base, err) != 0)
		return -1;
	if (symlinkat(target.ptr, parent, base) != 0)
		return err_sys(err, "%s: \"%s\"", extract->name, entry->name);
	return 0;
}

static int put_hardlink(struct extract *extract, const char *path, const struct tar_entry *entry, struct err *err) {
	AUTO_BUF struct buf target = BUF((size_t) 2 * TAR_NAME_MAX);
	if (!entry->link || !tar_name_is_beneath(entry->link))
		return refuse(extract, entry->name, "a hard link that leaves the image", err);
	normalise(entry->link, &target);
	AUTO_FREE char *place = mem_text(path); /* parent_of() lends one folder at a time */
	char *base;
	int parent;
	AUTO_CLOSE int source = -1;
	struct stat info;
	if (fs_open_beneath(extract->root, target.ptr, O_PATH | O_NOFOLLOW, 0, &source, err) != 0 || fstat(source, &info) != 0) {
		if (err->code == ERR_NONE)
			err_sys(err, "\"%s\"", entry->link);
		err->code = ERR_INVALID;
		return err_wrap(err, "%s: hard link \"%s\"", extract->name, entry->name);
	}
	if (!S_ISREG(info.st_mode))
		return refuse(extract, entry->name, "a hard link to something that is no file", err);
	if (strcmp(target.ptr, path) == 0)
		return 0;
	if (parent_of(extract, place, &parent, &base, err) != 0 || make_room(extract, parent, base, err) != 0)
		return -1;
	AUTO_FREE char *from = mem_format("/proc/self/fd/%d", source);
	if (linkat(AT_FDCWD, from, parent, base, AT_SYMLINK_FOLLOW) != 0)
		return err_sys(err, "%s: hard link \"%s\"", extract->name, entry->name);
	return 0;
}

static int on_entry(void *self, const struct tar_entry *entry, struct err *err) {
	struct extract *extract = self;
	if (!tar_name_is_beneath(entry->name))
		return refuse(extract, entry->name, "a name that leaves the image", err);
	AUTO_BUF struct buf path = BUF((size_t) 2 * TAR_NAME_MAX);
	normalise(entry->name, &path);
	if (buf_check(&path, "name", err) != 0)
		return -1;
	if (path.len == 0)
		return entry->type == TAR_FOLDER ? 0 : refuse(extract, entry->name, "no name", err);
	if (entry->type == TAR_OTHER)
		return refuse(extract, entry->name, "a device, a pipe or something unknown: only files, folders and links are taken", err);
	if (entry->type == TAR_HARDLINK)
		return put_hardlink(extract, path.ptr, entry, err);
	char *base;
	int parent;
	if (parent_of(extract, path.ptr, &parent, &base, err) != 0)
		return -1;
	if (strcmp(base, WHITEOUT_ALL) == 0)
		return empty_folder(extract, parent, err);
	if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) == 0) {
		const char *gone = base + strlen(WHITEOUT);
		return tar_name_is_beneath(gone) && strcmp(gone, ".") != 0 ? make_room(extract, parent, gone, err)
									   : refuse(extract, entry->name, "a whiteout of nothing", err);
	}
	if (entry->type == TAR_FOLDER)
		return put_folder(extract, parent, base, err);
	if (entry->type == TAR_SYMLINK)
		return put_symlink(extract, parent, path.ptr, base, entry, err);
	return put_file(extract, parent, base, entry, err);
}

static int on_data(void *self, const void *bytes, size_t len, struct err *err) {
	struct extract *extract = self;
	return extract->file < 0 ? 0 : fs_write_all(extract->file, bytes, len, extract->file_name, err);
}

static int on_end(void *self, struct err *err) {
	struct extract *extract = self;
	if (extract->file < 0)
		return 0;
	int rc = close(extract->file) == 0 ? 0 : err_sys(err, "writing %s", extract->file_name);
	extract->file = -1;
	free(take(&extract->file_name));
	return rc;
}

/* --- the stream */

struct extract *extract_new(int root, const char *name, struct tar_limits limits) {
	struct extract *extract = NEW(struct extract);
	*extract = (struct extract){.root = root, .name = mem_text(name), .limits = limits, .file = -1, .parent = -1};
	return extract;
}

void extract_free(struct extract *extract) {
	if (!extract)
		return;
	tar_reader_free(extract->reader);
	if (extract->file >= 0)
		close(extract->file);
	forget_parent(extract);
	free(extract->file_name);
	free(extract->name);
	free(extract);
}

int extract_feed(struct extract *extract, const void *bytes, size_t len, struct err *err) {
	if (!extract->reader) {
		struct tar_sink sink = {.entry = on_entry, .data = on_data, .end = on_end, .self = extract};
		extract->reader = tar_reader_new(extract->name, &extract->limits, &sink);
	}
	return tar_reader_feed(extract->reader, bytes, len, err);
}

int extract_finish(struct extract *extract, struct err *err) {
	int rc = extract->reader ? tar_reader_finish(extract->reader, err) : 0;
	tar_reader_free(take(&extract->reader));
	forget_parent(extract);
	return rc;
}
