/* From one folder to another: how the model in an image comes to a server in another image, since ours has no shell. Files and folders only, whole or
 * not at all counts by file: an init container that failed runs again. */
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 200000
#define BLOCK_BYTES ((size_t) 1024 * 1024)

struct copying {
	const char *from, *to;
	struct texts folders, files; /* relative to `from`; "" is itself */
	bool has_version;	     /* a folder directly in it has a number for a name */
	size_t top_count;
};

static char *below(const char *folder, const char *path) {
	return path[0] ? fs_join(folder, path) : mem_text(folder);
}

static bool is_number(const char *name) {
	return *name && strspn(name, "0123456789") == strlen(name);
}

static int note(struct copying *c, const char *folder, const char *name, struct err *err) {
	AUTO_FREE char *path = folder[0] ? fs_join(folder, name) : mem_text(name);
	AUTO_FREE char *full = fs_join(c->from, path);
	struct stat info;
	if (c->folders.count + c->files.count >= ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d files", c->from, ENTRIES_MAX);
	if (lstat(full, &info) != 0)
		return err_sys(err, "%s", full);
	if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
		return err_set(err, ERR_INVALID, "%s: neither a file nor a folder", full);
	c->top_count += !folder[0];
	c->has_version |= !folder[0] && S_ISDIR(info.st_mode) && is_number(name);
	texts_add(S_ISDIR(info.st_mode) ? &c->folders : &c->files, path);
	return 0;
}

static int list(struct copying *c, const char *folder, struct err *err) {
	AUTO_FREE char *full = below(c->from, folder);
	DIR *listing = opendir(full);
	int rc = listing ? 0 : err_sys(err, "%s", full);
	for (struct dirent *entry; rc == 0 && (entry = readdir(listing));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = note(c, folder, entry->d_name, err);
	if (listing)
		closedir(listing);
	return rc;
}

static int make_folder(const char *path, struct err *err) {
	return mkdir(path, 0755) != 0 && errno != EEXIST ? err_sys(err, "%s", path) : 0;
}

static int copy_file(const char *from, const char *to, char *block, struct err *err) {
	AUTO_CLOSE int in = -1;
	AUTO_CLOSE int out = -1;
	if (fs_open(from, O_RDONLY | O_NOFOLLOW, 0, &in, err) != 0 || fs_open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644, &out, err) != 0)
		return -1;
	for (;;) {
		ssize_t n = read(in, block, BLOCK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "%s", from);
		if (n == 0)
			return 0;
		if (fs_write_all(out, block, (size_t) n, to, err) != 0)
			return -1;
	}
}

/* What model servers call a version is a folder with a number; where there is none, all of it is version 1, and a single file the one that they look
 * for: "model" with its own ending. */
static char *place_of(const struct copying *c, const char *version, const char *path) {
	struct str ending;
	AUTO_FREE char *base = below(c->to, version);
	if (!version[0] || c->top_count != 1 || c->files.count != 1 || strchr(path, '/'))
		return below(base, path);
	str_cut_last(str_of(path), '.', &ending);
	AUTO_FREE char *name = ending.ptr ? mem_format("model.%.*s", STR_ARGS(ending)) : mem_text("model");
	return fs_join(base, name);
}

static int copy_all(struct copying *c, bool is_versioned, struct err *err) {
	AUTO_FREE char *block = mem_zero(1, BLOCK_BYTES);
	texts_add(&c->folders, "");
	for (size_t i = 0; i < c->folders.count; i++)
		if (list(c, c->folders.items[i], err) != 0)
			return -1;
	if (!c->files.count)
		return err_set(err, ERR_INVALID, "%s: no file in it", c->from);
	const char *version = is_versioned && !c->has_version ? "1" : "";
	AUTO_FREE char *base = below(c->to, version);
	if (fs_make_dirs(base, 0755, err) != 0)
		return -1;
	for (size_t i = 1; i < c->folders.count; i++) {
		AUTO_FREE char *to = below(base, c->folders.items[i]);
		if (make_folder(to, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < c->files.count; i++) {
		AUTO_FREE char *from = fs_join(c->from, c->files.items[i]), *to = place_of(c, version, c->files.items[i]);
		if (copy_file(from, to, block, err) != 0)
			return -1;
	}
	return 0;
}

int runner_copy(char *const *argv, struct err *err) {
	bool is_versioned = argv[0] && strcmp(argv[0], "--versioned") == 0;
	argv += is_versioned;
	if (!argv[0] || !argv[1] || argv[2] || argv[0][0] != '/' || argv[1][0] != '/') {
		err_set(err, ERR_USAGE, "copy: two folders are needed, from their roots");
		return err_fix(err, "mlctl-runner copy [--versioned] /model /models/NAME"), 2;
	}
	struct copying c = {.from = argv[0], .to = argv[1]};
	umask(022);
	int rc = copy_all(&c, is_versioned, err);
	if (rc == 0)
		printf("{\"event\":\"copied\",\"files\":%zu}\n", c.files.count);
	texts_clear(&c.folders);
	texts_clear(&c.files);
	return rc == 0 ? 0 : runner_exit_code(err);
}
