#include "project/init.h"

#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define HEAD_BYTES 128

/* What a file's name or first bytes say. `line` becomes: python3 -c 'line' FILE FILE.onnx, or with %s another command. */
struct format {
	const char *suffix, *begins; /* begins: the first bytes hold this; NULL: the name alone decides */
	const char *name;
	const char *reason;
	const char *line;
	bool is_python;
};

#define PICKLE_REASON "loading a pickle runs whatever code is in it, so it is converted once, where it was trained"
#define PICKLE_LINE                                                                                                                        \
	"import sys, joblib; from skl2onnx import to_onnx; from skl2onnx.common.data_types import FloatTensorType as F; "                  \
	"m = joblib.load(sys.argv[1]); o = {id(m): {\"zipmap\": False}} if hasattr(m, \"classes_\") else None; "                           \
	"open(sys.argv[2], \"wb\").write(to_onnx(m, initial_types=[(\"input\", F([None, m.n_features_in_]))], "                            \
	"options=o).SerializeToString())"
#define TORCH_REASON                                                                                                                       \
	"it holds Python code or bare weights; exporting needs the shape of an input: write your number of features for FEATURES"
#define TORCH_LINE                                                                                                                         \
	"import sys, torch; m = torch.load(sys.argv[1], weights_only=False).eval(); torch.onnx.export(m, torch.zeros(1, FEATURES), "       \
	"sys.argv[2], input_names=[\"input\"], dynamic_axes={\"input\": {0: \"batch\"}})"
#define KERAS_REASON "only ONNX is served"
#define KERAS_LINE "import sys, keras; keras.saving.load_model(sys.argv[1]).export(sys.argv[2], format=\"onnx\")"
#define XGBOOST_LINE                                                                                                                       \
	"import sys, xgboost, onnxmltools as o; from onnxmltools.convert.common.data_types import FloatTensorType as F; "                  \
	"m = xgboost.Booster(); m.load_model(sys.argv[1]); o.utils.save_model(o.convert_xgboost(m, initial_types=[(\"input\", "            \
	"F([None, m.num_features()]))]), sys.argv[2])"
#define LIGHTGBM_LINE                                                                                                                      \
	"import sys, lightgbm, onnxmltools as o; from onnxmltools.convert.common.data_types import FloatTensorType as F; "                 \
	"m = lightgbm.Booster(model_file=sys.argv[1]); o.utils.save_model(o.convert_lightgbm(m, zipmap=False, initial_types=[(\"input\", " \
	"F([None, m.num_feature()]))]), sys.argv[2])"
#define CATBOOST_LINE "import sys, catboost; m = catboost.CatBoost(); m.load_model(sys.argv[1]); m.save_model(sys.argv[2], format=\"onnx\")"

static const struct format formats[] = {
	{".onnx", "version https://git-lfs", "a git-LFS pointer", "the model itself was not fetched", "git lfs pull --include %s", false},
	{".onnx", NULL, "ONNX", NULL, NULL, false},
	{".onnx.dvc", NULL, "a DVC pointer", "the model itself was not fetched", "dvc pull %s", false},
	{".pkl", NULL, "scikit-learn (pickle)", PICKLE_REASON, PICKLE_LINE, true},
	{".pickle", NULL, "scikit-learn (pickle)", PICKLE_REASON, PICKLE_LINE, true},
	{".joblib", NULL, "scikit-learn (joblib)", PICKLE_REASON, PICKLE_LINE, true},
	{".pt", NULL, "PyTorch", TORCH_REASON, TORCH_LINE, true},
	{".pth", NULL, "PyTorch", TORCH_REASON, TORCH_LINE, true},
	{".h5", NULL, "Keras (HDF5)", KERAS_REASON, KERAS_LINE, true},
	{".keras", NULL, "Keras", KERAS_REASON, KERAS_LINE, true},
	{".tflite", NULL, "TensorFlow Lite", KERAS_REASON, "python3 -m tf2onnx.convert --tflite %s --output model.onnx", false},
	{"saved_model.pb", NULL, "TensorFlow SavedModel", KERAS_REASON,
		"python3 -m tf2onnx.convert --saved-model \"$(dirname %s)\" --output model.onnx", false},
	{".safetensors", NULL, "safetensors", "it holds weights only, not what is computed with them",
		"optimum-cli export onnx --model \"$(dirname %s)\" onnx/", false},
	{".ubj", NULL, "XGBoost", KERAS_REASON, XGBOOST_LINE, true},
	{".json", "\"learner\"", "XGBoost", KERAS_REASON, XGBOOST_LINE, true},
	{".txt", "tree\nversion=", "LightGBM", KERAS_REASON, LIGHTGBM_LINE, true},
	{".cbm", NULL, "CatBoost", KERAS_REASON, CATBOOST_LINE, true},
};

/* For a shell: as it is when nothing in it is special, else in single quotes. */
static void quote(struct buf *out, struct str text) {
	bool is_plain = text.len > 0 && text.ptr[0] != '-';
	for (size_t i = 0; i < text.len; i++)
		is_plain &= ascii_is_alnum(text.ptr[i]) || memchr("._/-", text.ptr[i], 4);
	if (is_plain) {
		buf_str(out, text);
		return;
	}
	buf_char(out, '\'');
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			buf_text(out, "'\\''");
		else
			buf_char(out, text.ptr[i]);
	buf_char(out, '\'');
}

static char *convert_line(const struct format *format, const char *path) {
	AUTO_BUF struct buf file = BUF(16384), line = BUF(32768);
	quote(&file, str_of(path));
	if (format->is_python) {
		struct str dot, stem = str_cut_last(str_of(path), '.', &dot);
		AUTO_FREE char *onnx = mem_format("%.*s.onnx", STR_ARGS(stem));
		buf_format(&line, "python3 -c '%s' %s ", format->line, file.ptr);
		quote(&line, str_of(onnx));
	} else {
		struct str rest, head = {format->line, (size_t) (strstr(format->line, "%s") - format->line)};
		rest = str_of(format->line + head.len + 2);
		buf_str(&line, head);
		buf_text(&line, file.ptr);
		buf_str(&line, rest);
	}
	return str_dup(buf_view(&line));
}

static const struct format *find_format(int folder, const char *name, const char *path) {
	char head[HEAD_BYTES];
	size_t got = 0;
	bool is_read = false;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!str_ends(str_of(name), formats[i].suffix))
			continue;
		if (!formats[i].begins)
			return &formats[i];
		struct err ignored = {0};
		if (!is_read) {
			AUTO_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
			if (fd < 0 || fs_pread(fd, head, sizeof(head), 0, &got, path, &ignored) != 0)
				got = 0;
			is_read = true;
		}
		if (memmem(head, got, formats[i].begins, strlen(formats[i].begins)))
			return &formats[i];
	}
	return NULL;
}

static bool is_skipped(const char *name) {
	static const char *const names[] = {"node_modules", "venv", "__pycache__", "site-packages"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return name[0] == '.';
}

struct search {
	const char *root;
	struct texts folders; /* still to look at, relative, "" first; grows while it is walked */
	size_t entries;
	struct init_models *out;
};

static int add_entry(struct search *search, int folder, const char *below, const char *name, struct err *err) {
	struct stat info;
	if (++search->entries > INIT_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d files to look through, name the model", search->root, INIT_ENTRIES_MAX);
	if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return 0; /* gone meanwhile */
	AUTO_FREE char *path = *below ? fs_join(below, name) : mem_text(name);
	if (S_ISDIR(info.st_mode)) {
		size_t depth = 0;
		for (const char *c = path; *c; c++)
			depth += *c == '/';
		if (!is_skipped(name) && depth + 1 < INIT_DEPTH_MAX)
			texts_add(&search->folders, path);
		return 0;
	}
	const struct format *format = S_ISREG(info.st_mode) ? find_format(folder, name, path) : NULL;
	struct init_models *out = search->out;
	if (!format || out->count >= INIT_MODELS_MAX)
		return 0;
	out->items = mem_resize(out->items, out->count + 1, sizeof(*out->items));
	char *convert = format->reason ? convert_line(format, path) : NULL;
	out->items[out->count++] = (struct init_model){
		.bytes = (int64_t) info.st_size,
		.format = format->name,
		.is_served = !format->reason,
		.reason = format->reason,
		.convert = convert,
		.path = take(&path),
	};
	out->served_count += !format->reason;
	return 0;
}

static int look(struct search *search, const char *below, struct err *err) {
	AUTO_FREE char *path = fs_join(search->root, below);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (*below && (errno == EACCES || errno == ENOENT))
			return 0; /* a folder that nobody may read holds no model of this project */
		return err_sys(err, "%s", path);
	}
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = add_entry(search, fd, below, entry->d_name, err);
	closedir(dir);
	return rc;
}

static int compare_models(const void *a, const void *b) {
	const struct init_model *x = a, *y = b;
	return x->is_served != y->is_served ? (int) y->is_served - (int) x->is_served : strcmp(x->path, y->path);
}

int init_find(const char *folder, struct init_models *out, struct err *err) {
	struct init_models found CLEANUP(init_models_clear) = {0};
	struct search search = {.root = folder, .out = &found};
	texts_add(&search.folders, "");
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < search.folders.count; i++) {
		AUTO_FREE char *below = mem_text(search.folders.items[i]);
		rc = look(&search, below, err);
	}
	texts_clear(&search.folders);
	if (rc != 0)
		return -1;
	if (found.count)
		qsort(found.items, found.count, sizeof(found.items[0]), compare_models);
	*out = found;
	found = (struct init_models){0};
	return 0;
}

void init_models_clear(struct init_models *models) {
	for (size_t i = 0; i < models->count; i++) {
		free(models->items[i].path);
		free(models->items[i].convert);
	}
	free(models->items);
	*models = (struct init_models){0};
}
