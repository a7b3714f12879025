#include "build/context.h"

#include "build/external.h"
#include "build/ignore.h"
#include "os/fs.h"
#include "vcs/pointer.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define POINTER_BYTES_MIN 100			 /* version, oid and size alone are longer */
#define ADVISED_BYTES_MIN ((int64_t) 128 * 1024) /* the kernel reads so far ahead by itself */

struct walk {
	struct context *context;
	size_t size; /* room in context->files */
	struct ignore *ignore;
	struct texts folders; /* still to be read: paths relative to the project's folder */
	bool is_any;
	const char *model;    /* as mlctl.yaml writes it, without "./" and trailing "/" */
	const char *golden;   /* real path of the golden file: not stored twice; NULL: none */
	struct stat golden_info;
};

void context_clear(struct context *context) {
	for (size_t i = 0; i < context->count; i++) {
		free(context->files[i].path);
		free(context->files[i].name);
	}
	free(context->files);
	if (context->folder)
		fs_close_at_exit(&context->folder_fd);
	free(context->folder);
	free(context->model_name);
	free(context->root);
	*context = (struct context){0};
}

static bool is_beneath(const char *folder, const char *path) {
	size_t n = strlen(folder);
	return strcmp(folder, "/") == 0 || (strncmp(folder, path, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* A name goes into PAX records and JSON: it must be UTF-8 and printable. */
static int check_name(const char *path, struct err *err) {
	bool good = utf8_is_valid(path, strlen(path));
	for (const char *c = path; *c && good; c++)
		good = (unsigned char) *c >= 0x20 && *c != 0x7f;
	return good ? 0 : err_set(err, ERR_BUILD, "%s: a file's name in an image must be printable UTF-8", path);
}

/* Where the path really leads, owned by the caller: beneath the project's folder, or ERR_BUILD. */
static int resolve(const struct context *context, const char *path, char **out, struct err *err) {
	AUTO_FREE char *full = fs_join(context->folder, path), *real = realpath(full, NULL);
	if (!real) {
		struct stat info;
		int rc = err_sys(err, "%s", path);
		if (lstat(full, &info) == 0 && S_ISLNK(info.st_mode) && err->code == ERR_NOT_FOUND) {
			err_clear(err);
			rc = err_set(err, ERR_BUILD, "%s: a symlink that leads to nothing", path);
		}
		return rc;
	}
	if (!is_beneath(context->folder, real)) {
		err_set(err, ERR_BUILD, "%s: a symlink that leads out of the project's folder, to %s", path, real);
		return err_fix(err, "copy the file into the folder, or name it in %s", IGNORE_FILE);
	}
	const char *below = real + strlen(context->folder);
	while (*below == '/')
		below++;
	if (ignore_is_secret(below))
		return err_set(err, ERR_BUILD, "%s: leads to %s, a name that holds secrets and never enters an image", path, below);
	*out = take(&real);
	return 0;
}

static int add_file(struct walk *walk, const char *path, const char *name, const struct stat *info, struct err *err) {
	struct context *context = walk->context;
	if (!S_ISREG(info->st_mode))
		return err_set(err, ERR_BUILD, "%s: neither a file nor a folder: a pipe, socket or device cannot enter an image", path);
	if (check_name(path, err) != 0)
		return -1;
	if (info->st_size >= POINTER_BYTES_MIN && info->st_size < POINTER_BYTES_MAX && pointer_check(context->folder, path, err) != 0)
		return -1;
	if (context->count == CONTEXT_FILES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d files", walk->model, CONTEXT_FILES_MAX);
	context->bytes += info->st_size;
	if (info->st_size > CONTEXT_BYTES_MAX || context->bytes > CONTEXT_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %lld bytes", walk->model, (long long) CONTEXT_BYTES_MAX);
	if (context->count == walk->size) {
		walk->size = walk->size ? walk->size * 2 : 64;
		context->files = mem_resize(context->files, walk->size, sizeof(*context->files));
	}
	context->files[context->count++] =
		(struct context_file){.path = mem_text(path), .name = mem_text(name), .size = info->st_size, .info = *info};
	return 0;
}

/* "model/a/b" in the project -> "model/a/b" in the image, whatever the model's folder is called. */
static char *name_in_image(const struct walk *walk, const char *path) {
	const char *below = path + (strcmp(walk->model, ".") == 0 ? 0 : strlen(walk->model) + 1);
	return fs_join(CONTEXT_MODEL_FOLDER, below);
}

/* A second name of the same file (a hard link) is a file of its own. */
static bool is_golden(const struct walk *walk, const char *path, const char *real, const struct stat *info) {
	if (!walk->golden || info->st_ino != walk->golden_info.st_ino || info->st_dev != walk->golden_info.st_dev)
		return false;
	AUTO_FREE char *full = fs_join(walk->context->folder, path);
	return strcmp(real ? real : full, walk->golden) == 0;
}

static int visit(struct walk *walk, int dir, const char *path, const char *base, struct err *err) {
	struct stat info;
	if (fstatat(dir, base, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", path);
	if (ignore_is_out(walk->ignore, path, S_ISDIR(info.st_mode))) {
		walk->context->ignored++;
		return 0;
	}
	if (S_ISDIR(info.st_mode)) {
		texts_add(&walk->folders, path);
		return 0;
	}
	AUTO_FREE char *real = NULL;
	if (S_ISLNK(info.st_mode)) {
		if (resolve(walk->context, path, &real, err) != 0)
			return -1;
		if (stat(real, &info) != 0)
			return err_sys(err, "%s", path);
		if (S_ISDIR(info.st_mode))
			return err_set(err, ERR_BUILD,
				"%s: a symlink to a folder: only symlinks to files are stored (as what they lead to)", path);
	}
	if (is_golden(walk, path, real, &info))
		return 0; /* it has a place of its own */
	AUTO_FREE char *name = name_in_image(walk, path);
	return add_file(walk, path, name, &info, err);
}

static int read_folder(struct walk *walk, const char *path, struct err *err) {
	int fd = -1;
	if (fs_open_beneath(walk->context->folder_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0)
		return -1;
	DIR *folder = fdopendir(fd);
	if (!folder) {
		err_sys(err, "%s", path);
		close(fd);
		return -1;
	}
	size_t depth = 0;
	for (const char *c = path; *c; c++)
		depth += *c == '/';
	int rc = depth < CONTEXT_DEPTH_MAX ? 0 : err_set(err, ERR_LIMIT, "%s: more than %d folders deep", path, CONTEXT_DEPTH_MAX);
	errno = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(folder));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		AUTO_FREE char *child = strcmp(path, ".") == 0 ? mem_text(entry->d_name) : fs_join(path, entry->d_name);
		rc = visit(walk, dirfd(folder), child, entry->d_name, err);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(err, "%s", path);
	closedir(folder);
	return rc;
}

static int compare_files(const void *a, const void *b) {
	return strcmp(((const struct context_file *) a)->name, ((const struct context_file *) b)->name);
}

/* Directly in the folder, and of the kind that the runner loads. */
static bool is_model_file(const char *name) {
	return !strchr(name + sizeof(CONTEXT_MODEL_FOLDER), '/') && str_ends(str_of(name), ".onnx");
}

static int find_largest(struct walk *walk, struct err *err) {
	struct context *context = walk->context;
	int64_t size = -1;
	for (size_t i = 0; i < context->count; i++)
		if (str_starts(str_of(context->files[i].name), CONTEXT_MODEL_FOLDER "/") && context->files[i].size > size) {
			context->model = i;
			size = context->files[i].size;
		}
	return size < 0 ? err_set(err, ERR_INVALID, "%s: no file in this folder", walk->model) : 0;
}

/* A folder must hold exactly one model file, as for the runner itself. */
static int find_model(struct walk *walk, struct err *err) {
	struct context *context = walk->context;
	if (walk->is_any)
		return find_largest(walk, err);
	size_t found = 0, first = 0, second = 0;
	for (size_t i = 0; i < context->count; i++)
		if (str_starts(str_of(context->files[i].name), CONTEXT_MODEL_FOLDER "/") && is_model_file(context->files[i].name)) {
			*(found == 0 ? &first : &second) = i;
			found++;
		}
	if (found == 0) {
		err_set(err, ERR_INVALID, "%s: no model file in this folder: one file that ends in .onnx must be directly in it",
			walk->model);
		return err_fix(err, "set model.path in mlctl.yaml to the model file, or put it into the folder");
	}
	if (found > 1) {
		err_set(err, ERR_INVALID, "%s: %zu model files in this folder (%s, %s%s): there must be one", walk->model, found,
			context->files[first].path, context->files[second].path, found > 2 ? ", ..." : "");
		return err_fix(err, "set model.path in mlctl.yaml to one of them");
	}
	context->model = first;
	return 0;
}

static int collect_folder(struct walk *walk, const char *real, struct err *err) {
	struct context *context = walk->context;
	/* From here on paths are real ones: the walk itself never passes a symlink. */
	const char *below = real + strlen(context->folder);
	while (*below == '/')
		below++;
	AUTO_FREE char *start = mem_text(*below ? below : ".");
	walk->model = start;
	texts_add(&walk->folders, start);
	for (size_t i = 0; i < walk->folders.count; i++)
		if (read_folder(walk, walk->folders.items[i], err) != 0)
			return -1;
	context->model_name = mem_text("/" CONTEXT_MODEL_FOLDER);
	return find_model(walk, err);
}

static int collect_file(struct walk *walk, const char *model, const struct stat *info, struct err *err) {
	struct context *context = walk->context;
	struct str folder, base = str_of(model), rest;
	folder = str_cut_last(base, '/', &rest);
	if (rest.ptr)
		base = rest;
	else
		folder = STR("");
	AUTO_FREE char *name = mem_format("%s/%.*s", CONTEXT_MODEL_FOLDER, STR_ARGS(base));
	if (ignore_is_out(walk->ignore, model, false))
		return err_set(err, ERR_CONFIG, "model.path: %s is kept out of images by its name or by %s", model, IGNORE_FILE);
	if (add_file(walk, model, name, info, err) != 0)
		return -1;
	context->model_name = mem_format("/%s", name);
	/* What the ONNX file keeps outside of itself comes along, at the same place relative to it. */
	AUTO_TEXTS struct texts outside = {0};
	AUTO_FREE char *full = fs_join(context->folder, model);
	if (str_ends(base, ".onnx") && external_list(full, model, &outside, err) != 0)
		return -1;
	for (size_t i = 0; i < outside.count; i++) {
		AUTO_FREE char *path = folder.len ? mem_format("%.*s/%s", STR_ARGS(folder), outside.items[i]) : mem_text(outside.items[i]);
		AUTO_FREE char *inside = mem_format("%s/%s", CONTEXT_MODEL_FOLDER, outside.items[i]), *real = NULL;
		struct stat data;
		if (pointer_check(context->folder, path, err) != 0)
			return -1;
		if (resolve(context, path, &real, err) != 0) {
			if (err->code != ERR_NOT_FOUND)
				return -1;
			err_clear(err);
			return err_set(err, ERR_INVALID, "%s: its external data %s is not there", model, path);
		}
		if (stat(real, &data) != 0)
			return err_sys(err, "%s", path);
		if (ignore_is_out(walk->ignore, path, false))
			return err_set(
				err, ERR_BUILD, "%s: the model needs it, and its name or %s keeps it out of images", path, IGNORE_FILE);
		if (add_file(walk, path, inside, &data, err) != 0)
			return -1;
	}
	return 0;
}

/* A path of mlctl.yaml: relative, beneath the folder, and there. */
static int look(struct context *context, const char *key, const char *path, char **real, struct stat *info, struct err *err) {
	if (pointer_check(context->folder, path, err) != 0)
		return -1;
	if (resolve(context, path, real, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return err_set(err, ERR_CONFIG, "%s: there is no %s in %s", key, path, context->folder);
	}
	return stat(*real, info) == 0 ? 0 : err_sys(err, "%s", path);
}

static int collect(struct walk *walk, const char *model, const char *golden, struct err *err) {
	struct context *context = walk->context;
	AUTO_FREE char *real = NULL, *real_golden = NULL;
	struct stat info;
	if (look(context, "model.path", model, &real, &info, err) != 0)
		return -1;
	if (golden) {
		if (look(context, "model.golden", golden, &real_golden, &walk->golden_info, err) != 0)
			return -1;
		if (!S_ISREG(walk->golden_info.st_mode))
			return err_set(err, ERR_CONFIG, "model.golden: %s is not a file", golden);
		if (ignore_is_out(walk->ignore, golden, false))
			return err_set(err, ERR_CONFIG, "model.golden: %s is kept out of images by its name or by %s", golden, IGNORE_FILE);
		walk->golden = real_golden;
		context->has_golden = true;
		if (add_file(walk, golden, CONTEXT_GOLDEN, &walk->golden_info, err) != 0)
			return -1;
	}
	if ((S_ISDIR(info.st_mode) ? collect_folder(walk, real, err) : collect_file(walk, model, &info, err)) != 0)
		return -1;
	/* The order of the folder's own listing must not show; the model's index moves along. */
	AUTO_FREE char *name = mem_text(S_ISDIR(info.st_mode) ? context->files[context->model].name : context->model_name + 1);
	qsort(context->files, context->count, sizeof(*context->files), compare_files);
	for (context->model = 0; strcmp(context->files[context->model].name, name) != 0;)
		context->model++;
	for (size_t i = 1; i < context->count; i++)
		if (strcmp(context->files[i - 1].name, context->files[i].name) == 0)
			return err_set(err, ERR_BUILD, "%s and %s would both be /%s in the image", context->files[i - 1].path,
				context->files[i].path, context->files[i].name);
	return 0;
}

int context_collect(const char *folder, const char *model, const char *golden, bool is_any, struct context *out, struct err *err) {
	AUTO_CONTEXT struct context context = {.folder = realpath(folder, NULL), .folder_fd = -1};
	if (!context.folder)
		return err_sys(err, "%s", folder);
	if (fs_open(context.folder, O_RDONLY | O_DIRECTORY, 0, &context.folder_fd, err) != 0)
		return -1;
	while (model[0] == '.' && model[1] == '/')
		model += 2;
	char *clean = context.root = mem_text(model[0] ? model : ".");
	for (size_t n = strlen(clean); n > 1 && clean[n - 1] == '/'; n--)
		clean[n - 1] = '\0';
	struct walk walk = {.is_any = is_any, .context = &context, .model = clean};
	if (ignore_load(context.folder, &walk.ignore, err) != 0)
		return -1;
	int rc = collect(&walk, clean, golden, err);
	ignore_free(walk.ignore);
	texts_clear(&walk.folders);
	if (rc != 0)
		return -1;
	*out = take(&context);
	return 0;
}

int context_verify(const struct context *context, size_t file, int fd, struct err *err) {
	const struct context_file *seen = &context->files[file];
	struct stat info;
	if (fstat(fd, &info) != 0)
		return err_sys(err, "%s", seen->path);
	if (info.st_size == seen->size && info.st_dev == seen->info.st_dev && info.st_ino == seen->info.st_ino &&
		info.st_mtim.tv_sec == seen->info.st_mtim.tv_sec && info.st_mtim.tv_nsec == seen->info.st_mtim.tv_nsec)
		return 0;
	err_set(err, ERR_BUILD, "%s: changed while it was being used: its size or time is no longer what it was at the start", seen->path);
	return err_fix(err, "run the command again when nothing writes to %s", seen->path);
}

int context_open(const struct context *context, size_t file, int *fd, struct err *err) {
	const struct context_file *seen = &context->files[file];
	if (fs_open_at(context->folder_fd, seen->path, O_RDONLY | O_NONBLOCK, 0, fd, err) != 0)
		return -1;
	if (seen->size >= ADVISED_BYTES_MIN)
		best_effort(posix_fadvise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL)); /* only a hint */
	return 0;
}
