#include "vcs/pointer.h"

#include "base/num.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DVC_BYTES_MAX ((size_t) 64 * 1024)
#define DVC_LOCK_BYTES_MAX ((size_t) 4 * 1024 * 1024)
#define PATH_DEPTH_MAX 64

static bool is_hex(struct str text, size_t len) {
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.ptr[i]) && !(text.ptr[i] >= 'a' && text.ptr[i] <= 'f'))
			return false;
	return text.len == len;
}

bool pointer_parse_lfs(struct str text, struct lfs_pointer *out) {
	if (text.len >= POINTER_BYTES_MAX || !str_starts(text, "version https://git-lfs.github.com/spec/v1\n"))
		return false;
	struct lfs_pointer got = {.size = -1};
	for (struct str rest = text; rest.ptr && rest.len;) {
		struct str value, key = str_cut(str_cut(rest, '\n', &rest), ' ', &value);
		if (str_is(key, "oid") && str_starts(value, "sha256:") && is_hex((struct str){value.ptr + 7, value.len - 7}, 64))
			memcpy(got.oid, value.ptr + 7, 64);
		else if (str_is(key, "size") && num_int(value, 0, INT64_MAX, &got.size) != 0)
			return false;
	}
	if (!got.oid[0] || got.size < 0)
		return false;
	*out = got;
	return true;
}

/* At most bytes_max bytes of a regular file, owned by the caller; NULL: not there, larger, or not readable. */
static char *read_small(const char *path, size_t bytes_max, size_t *len) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	struct stat info;
	AUTO_FREE char *text = NULL;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= (off_t) bytes_max) {
		text = mem_zero(1, (size_t) info.st_size + 1);
		ssize_t n = read(fd, text, (size_t) info.st_size);
		*len = n > 0 ? (size_t) n : 0;
	}
	close(fd);
	return take(&text);
}

/* Where `folder` lies beneath its work tree, as "sub/folder/" or "": git-lfs' patterns count from the work tree's root. */
static char *prefix_of(const char *folder) {
	AUTO_FREE char *at = mem_text(folder);
	for (int depth = 0; depth < PATH_DEPTH_MAX && at[0]; depth++) {
		AUTO_FREE char *git = mem_format("%s/.git", at);
		if (access(git, F_OK) == 0) {
			const char *below = folder + strlen(at);
			while (*below == '/')
				below++;
			return mem_format("%s%s", below, *below && below[strlen(below) - 1] != '/' ? "/" : "");
		}
		char *slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return mem_text("");
}

/* A word for a shell: as it is when nothing in it is special. */
static char *shell_word(const char *text) {
	bool plain = text[0] != '\0';
	for (const char *c = text; *c && plain; c++)
		plain = ascii_is_alnum(*c) || strchr("_-./+=:@%", *c);
	if (plain)
		return mem_text(text);
	AUTO_BUF struct buf out = BUF(64 * 1024);
	buf_char(&out, '\'');
	for (const char *c = text; *c; c++)
		if (*c == '\'')
			buf_text(&out, "'\\''");
		else
			buf_char(&out, *c);
	buf_char(&out, '\'');
	return mem_text(out.ptr);
}

/* The value of "key: value" in YAML that DVC wrote, anywhere in the text. DVC's own files are block style with plain scalars. */
static bool dvc_value(struct str text, const char *key, struct str *out) {
	for (struct str rest = text; rest.ptr;) {
		struct str line = str_trim(str_cut(rest, '\n', &rest)), value;
		if (str_starts(line, "- "))
			line = str_trim((struct str){line.ptr + 2, line.len - 2});
		struct str name = str_cut(line, ':', &value);
		if (value.ptr && str_is(name, key)) {
			*out = str_trim(value);
			return true;
		}
	}
	return false;
}

char *pointer_dvc_of(const char *folder, const char *path, char md5[33]) {
	AUTO_FREE char *at = mem_text(path);
	md5[0] = '\0';
	for (int depth = 0; depth < PATH_DEPTH_MAX && at[0]; depth++) {
		AUTO_FREE char *name = mem_format("%s.dvc", at), *full = mem_format("%s/%s", folder, name);
		size_t len = 0;
		AUTO_FREE char *text = read_small(full, DVC_BYTES_MAX, &len);
		if (text) {
			struct str value;
			if (depth == 0 && dvc_value((struct str){text, len}, "md5", &value) && is_hex(value, 32)) {
				memcpy(md5, value.ptr, 32);
				md5[32] = '\0';
			}
			return take(&name);
		}
		char *slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return NULL;
}

/* A pipeline's outputs have no .dvc file: they stand in dvc.lock as "path: model.onnx". */
static bool is_in_dvc_lock(const char *folder, const char *path) {
	AUTO_FREE char *full = mem_format("%s/dvc.lock", folder);
	size_t len = 0;
	AUTO_FREE char *text = read_small(full, DVC_LOCK_BYTES_MAX, &len);
	for (struct str rest = {text, len}; rest.ptr;) {
		struct str line = str_trim(str_cut(rest, '\n', &rest));
		if (str_starts(line, "- "))
			line = str_trim((struct str){line.ptr + 2, line.len - 2});
		if (str_starts(line, "path: ") && str_is(str_trim((struct str){line.ptr + 6, line.len - 6}), path))
			return true;
	}
	return false;
}

int pointer_check(const char *folder, const char *path, struct err *err) {
	AUTO_FREE char *full = mem_format("%s/%s", folder, path);
	struct stat info;
	if (stat(full, &info) == 0) {
		size_t len = 0;
		AUTO_FREE char *text = S_ISREG(info.st_mode) ? read_small(full, POINTER_BYTES_MAX, &len) : NULL;
		struct lfs_pointer pointer;
		if (!text || !pointer_parse_lfs((struct str){text, len}, &pointer))
			return 0;
		AUTO_FREE char *prefix = prefix_of(folder), *whole = mem_format("%s%s", prefix, path), *word = shell_word(whole);
		char human[NUM_HUMAN_MAX];
		err_set(err, ERR_INVALID, "%s: the file's %s were not fetched from git-LFS: here is only its pointer", path,
			num_human_bytes(pointer.size, human));
		return err_fix(err, "git lfs pull --include %s", word);
	}
	char md5[33];
	AUTO_FREE char *dvc = pointer_dvc_of(folder, path, md5);
	if (!dvc && !is_in_dvc_lock(folder, path))
		return 0;
	AUTO_FREE char *word = shell_word(dvc ? dvc : path);
	err_set(err, ERR_INVALID, "%s: not here: DVC tracks it in %s and it was not pulled", path, dvc ? dvc : "dvc.lock");
	return err_fix(err, "dvc pull %s", word);
}
