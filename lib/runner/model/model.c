#include "runner/model/model_state.h"

#include "os/fs.h"
#include "runner/model/onnx.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#define LOAD_BYTES_MIN ((size_t) 64 * 1024 * 1024)
#define LOAD_BYTES_MAX ((size_t) 8 * 1024 * 1024 * 1024)
#define LOAD_BYTES_PER_BYTE 32 /* a one-byte integer of the file becomes eight, a two-byte text sixteen */
#define FOLDER_ENTRIES_MAX 1000

static size_t load_limit(size_t file_bytes) {
	size_t limit = file_bytes * LOAD_BYTES_PER_BYTE + LOAD_BYTES_MIN;
	return limit < LOAD_BYTES_MAX ? limit : LOAD_BYTES_MAX;
}

/* The one .onnx file of a folder, as an owned path. */
static int find_in_folder(const char *folder, char **out, struct err *err) {
	DIR *dir = opendir(folder);
	if (!dir)
		return err_sys(err, "model folder %s", folder);
	AUTO_FREE char *found = NULL;
	int count = 0;
	const struct dirent *entry;
	for (int i = 0; i < FOLDER_ENTRIES_MAX && (entry = readdir(dir)); i++) {
		if (entry->d_name[0] == '.' || !str_ends(str_of(entry->d_name), ".onnx"))
			continue;
		count++;
		free(found);
		found = mem_text(entry->d_name);
	}
	closedir(dir);
	if (count != 1) {
		err_set(err, ERR_INVALID, "%s holds %s file ending in .onnx", folder, count ? "more than one" : "no");
		return err_fix(err, "name the model file itself");
	}
	*out = fs_join(folder, found);
	return 0;
}

static char *name_of_file(const char *path) {
	const char *slash = strrchr(path, '/');
	struct str file = str_of(slash ? slash + 1 : path), rest;
	struct str stem = str_cut_last(file, '.', &rest);
	return str_dup(stem.len && rest.ptr ? stem : file);
}

/* The folder that external data may come from. */
static int open_folder_of(const char *path, int *fd, struct err *err) {
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = slash == path ? mem_text("/") : slash ? mem_text_n(path, (size_t) (slash - path)) : mem_text(".");
	return fs_open(folder, O_RDONLY | O_DIRECTORY, 0, fd, err);
}

static int refuse_format(const char *path, struct err *err) {
	struct str s = str_of(path);
	bool is_pickle = str_ends(s, ".pkl") || str_ends(s, ".pickle") || str_ends(s, ".joblib");
	bool is_boosted = str_ends(s, ".ubj") || str_ends(s, ".json") || str_ends(s, ".txt") || str_ends(s, ".bst");
	err_set(err, ERR_INVALID, "%s is not an ONNX file: its name does not end in .onnx%s", path,
		is_pickle ? "; pickles run any code that is in them and are not loaded" : "");
	if (is_pickle)
		return err_fix(err, "convert it in training: skl2onnx.to_onnx(model, X[:1], target_opset=17)");
	return is_boosted ? err_fix(err, "convert it in training: onnxmltools.convert_xgboost() or convert_lightgbm()") : -1;
}

static int map_file(struct model *model, const char *path, int *folder, struct err *err) {
	AUTO_CLOSE int fd = -1;
	struct stat st;
	if (fs_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, err) != 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, ERR_INVALID, "%s is %s", path, S_ISREG(st.st_mode) ? "empty" : "not a plain file");
	if (st.st_size > ONNX_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%s is larger than an ONNX file can be, 2 GB", path);
	void *mapping = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapping == MAP_FAILED)
		return err_sys(err, "mapping %s", path);
	model->mapping = mapping;
	model->bytes = (struct str) {mapping, (size_t) st.st_size};
	model->created_s = st.st_mtime;
	return open_folder_of(path, folder, err);
}

static int load(struct model *model, int folder, const struct op_table *ops, struct err *err) {
	struct str bytes = model->bytes;
	digest_of(bytes, &model->digest);
	struct arena file_memory = {.bytes_max = load_limit(bytes.len)};
	model->memory.bytes_max = file_memory.bytes_max;
	struct graph *graph = NEW(struct graph);
	int rc = onnx_read(bytes, folder, &file_memory, graph, err);
	rc = rc == 0 ? plan_build(model, graph, ops, err) : rc;
	for (size_t i = 0; i < graph->opsets_count; i++)
		if (graph->opsets[i].domain.len == 0)
			model->opset = graph->opsets[i].version;
	free(graph);
	arena_clear(&file_memory);
	return rc;
}

static int load_file(struct model *model, const char *path, const struct op_table *ops, struct err *err) {
	AUTO_CLOSE int folder = -1;
	if (map_file(model, path, &folder, err) != 0 || load(model, folder, ops, err) != 0)
		return -1;
	/* Most of the file (trees, attributes) was copied into better shapes; let its pages go, what is used comes back. */
	madvise(model->mapping, model->bytes.len, MADV_DONTNEED);
	return 0;
}

static struct model *model_new(char *name) {
	struct model *model = NEW(struct model);
	model->name = name;
	model->format = "onnx";
	return model;
}

int model_load_bytes(struct str bytes, const char *name, const struct op_table *ops, struct model **out, struct err *err) {
	struct model *model = model_new(mem_text(name));
	model->bytes = bytes;
	if (load(model, -1, ops, err) != 0) {
		model_free(model);
		return -1;
	}
	*out = model;
	return 0;
}

int model_load(const char *path, const char *name, const struct op_table *ops, struct model **out, struct err *err) {
	AUTO_FREE char *file = NULL;
	struct stat st;
	if (stat(path, &st) != 0)
		return err_sys(err, "model %s", path);
	if (S_ISDIR(st.st_mode) && find_in_folder(path, &file, err) != 0)
		return -1;
	if (!file)
		file = mem_text(path);
	if (!str_ends(str_of(file), ".onnx"))
		return refuse_format(file, err);
	struct model *model = model_new(name ? mem_text(name) : name_of_file(file));
	if (load_file(model, file, ops, err) != 0) {
		model_free(model);
		return err_wrap(err, "%s", file);
	}
	*out = model;
	return 0;
}

void model_free(struct model *model) {
	if (!model)
		return;
	if (model->mapping)
		munmap(model->mapping, model->bytes.len);
	arena_clear(&model->memory);
	free(model->name);
	free(model);
}

const char *model_name(const struct model *model) {
	return model->name;
}
const char *model_format(const struct model *model) {
	return model->format;
}
int model_opset(const struct model *model) {
	return model->opset;
}
const struct digest *model_digest(const struct model *model) {
	return &model->digest;
}
int64_t model_created_s(const struct model *model) {
	return model->created_s;
}
size_t model_inputs(const struct model *model, const struct port **ports) {
	*ports = model->inputs;
	return model->inputs_count;
}
size_t model_outputs(const struct model *model, const struct port **ports) {
	*ports = model->outputs;
	return model->outputs_count;
}
