#include "project/init.h"

#include "embed/embed.h"
#include "os/fs.h"
#include "project/names.h"
#include "project/project.h"

#include <stdio.h>

#define GOLDEN_FILE "golden.jsonl"
#define GOLDEN_BYTES_MAX ((size_t) 16 * 1024 * 1024)
#define TEMPLATE_BYTES_MAX ((size_t) 64 * 1024)

/* The only served model in the folder itself, else the only one at all; NULL when that leaves none or several. */
static const struct init_model *only_model(const struct init_models *models) {
	const struct init_model *top = NULL;
	size_t tops = 0;
	for (size_t i = 0; i < models->served_count; i++)
		if (!strchr(models->items[i].path, '/')) {
			top = &models->items[i];
			tops++;
		}
	if (tops == 1)
		return top;
	return models->served_count == 1 ? &models->items[0] : NULL;
}

static int refuse_model(const struct init_model *model, struct err *err) {
	err_set(err, ERR_NOT_FOUND, "%s: %s is not served: %s", model->path, model->format, model->reason);
	return model->convert ? err_fix(err, "%s", model->convert) : -1;
}

static int choose_model(const struct init_request *request, const struct init_models *models, char **out, struct err *err) {
	const struct init_model *only = only_model(models);
	if (only) {
		*out = mem_text(only->path);
		return 0;
	}
	if (!models->count) {
		err_set(err, ERR_NOT_FOUND, "%s holds no model that is served: an .onnx file", request->folder);
		return err_fix(err, "mlctl init path/to/model.onnx");
	}
	if (!models->served_count)
		return refuse_model(&models->items[0], err);
	AUTO_BUF struct buf names = BUF(1024);
	for (size_t i = 0; i < models->served_count && i < 8; i++)
		buf_format(&names, "%s%s", i ? ", " : "", models->items[i].path);
	err_set(err, ERR_USAGE, "several models, name one: %s%s", names.ptr ? names.ptr : "", models->served_count > 8 ? ", ..." : "");
	return err_fix(err, "mlctl init %s", models->items[0].path);
}

/* A model that was named must be there, and must not be one that is known not to be served. */
static int check_model(const struct init_request *request, const struct init_models *models, char **out, struct err *err) {
	char why[FIELD_WHY_MAX];
	if (names_check_path(request->model, why) != 0)
		return err_set(err, ERR_USAGE, "%s: it must be %s", request->model, why);
	AUTO_FREE char *path = fs_join(request->folder, request->model);
	if (!fs_exists(path))
		return err_set(err, ERR_NOT_FOUND, "%s: there is no such file in %s", request->model, request->folder);
	for (size_t i = 0; i < models->count; i++)
		if (strcmp(models->items[i].path, request->model) == 0 && !models->items[i].is_served)
			return refuse_model(&models->items[i], err);
	*out = mem_text(request->model);
	return 0;
}

static int choose_name(const struct init_request *request, char **out, struct err *err) {
	char why[FIELD_WHY_MAX], made[PROJECT_NAME_MAX + 1];
	if (request->name) {
		if (names_check_service(request->name, why) != 0)
			return err_set(err, ERR_USAGE, "name \"%s\" is not right, it must be %s", request->name, why);
		*out = mem_text(request->name);
		return 0;
	}
	struct str last, head = str_cut_last(str_of(request->folder), '/', &last);
	AUTO_FREE char *folder = str_dup(last.ptr ? last : head);
	names_make_service(folder, made);
	*out = mem_text(*made ? made : "model");
	return 0;
}

/* golden.jsonl that is there is kept; else the hook makes one, if there is a hook. */
static int make_golden(const struct init_request *request, struct init_result *result, struct err *err) {
	AUTO_FREE char *path = fs_join(request->folder, GOLDEN_FILE);
	if (fs_exists(path)) {
		result->golden = mem_text(GOLDEN_FILE);
		return 0;
	}
	if (!request->golden)
		return 0;
	AUTO_FREE char *model = fs_join(request->folder, result->model);
	AUTO_BUF struct buf lines = BUF(GOLDEN_BYTES_MAX);
	if (request->golden(request->self, model, &lines, err) != 0 || buf_check(&lines, GOLDEN_FILE, err) != 0)
		return -1;
	if (!lines.len)
		return 0;
	if (fs_replace(path, lines.ptr, lines.len, 0644, err) != 0)
		return -1;
	result->golden = mem_text(GOLDEN_FILE);
	result->is_golden_written = true;
	return 0;
}

/* Plain where YAML reads it back as the same text, else in quotes. */
static void put_text(struct buf *out, const char *text) {
	bool is_plain = ascii_is_lower(ascii_lower(text[0]));
	for (const char *c = text; *c; c++)
		is_plain &= ascii_is_alnum(*c) || memchr("._/-", *c, 4);
	if (is_plain && strchr(text, '.'))
		buf_text(out, text);
	else
		json_quote(out, str_of(text));
}

/* Staging and production on Kubernetes. Without a registry they could not be deployed, and stand there as comments until there is one. */
static void put_kubernetes(struct buf *out, const struct init_request *request, const struct init_result *result) {
	bool is_complex = strcmp(request->strategy->model, "complex") == 0;
	AUTO_FREE char *payload = mem_format("    # payload: {kind: triton, image: %s-triton:1.0}   # a server with the model inside, in place of the runner\n",
		request->image ? request->image : "registry.example.com/team/model");
	AUTO_FREE char *text = mem_format("  staging:\n"
					  "    target: kubernetes             # the cluster of the kubeconfig's current context, unless context: names another\n"
					  "    namespace: %s-staging\n"
					  "  prod:\n"
					  "    target: kubernetes\n"
					  "    namespace: %s\n"
					  "    scale: {min: 2, max: 10, cpu: 70%%}\n"
					  "%s"
					  "    # expose: {type: LoadBalancer, unauthenticated: true}   # reached from outside, by anybody\n"
					  "    # env: {LOG_LEVEL: info}\n"
					  "    # secrets: {API_TOKEN: %s-keys/token}   # a Secret's name and its key\n",
		result->name, result->name, is_complex ? payload : "", result->name);
	if (!request->image)
		buf_text(out, "  # With a registry that the cluster's nodes can pull from in image: above:\n");
	for (struct str rest = str_of(text); rest.ptr && rest.len;) {
		struct str line = str_cut(rest, '\n', &rest);
		bool is_last = !rest.ptr || !rest.len;
		if (!request->image)
			buf_format(out, "  # %.*s%s", (int) line.len - 2, line.ptr + 2, is_last ? "" : "\n");
		else
			buf_format(out, "%.*s%s", STR_ARGS(line), is_last ? "" : "\n");
	}
}

static void put_value(struct buf *out, struct str key, const struct init_request *request, const struct init_result *result) {
	const struct strategy *strategy = request->strategy;
	if (str_is(key, "NAME"))
		buf_text(out, result->name);
	else if (str_is(key, "MODEL"))
		put_text(out, result->model);
	else if (str_is(key, "IMAGE") && request->image)
		buf_format(out, "image: %s", request->image);
	else if (str_is(key, "IMAGE"))
		buf_format(out, "# image: registry.example.com/team/%s   # without it a folder on this machine stands in for a registry",
			result->name);
	else if (str_is(key, "GOLDEN"))
		buf_format(out, "%sgolden: " GOLDEN_FILE "           # requests with the answers expected: build and deploy replay them",
			result->golden ? "" : "# ");
	else if (str_is(key, "STRATEGY"))
		buf_format(out, "Chosen for %s traffic and a %s model: %s.", strategy->traffic, strategy->model, strategy->sentence);
	else if (str_is(key, "ENVIRONMENT") && strcmp(strategy->target, "kubernetes") == 0)
		put_kubernetes(out, request, result);
	else if (str_is(key, "ENVIRONMENT") && !strategy->is_built)
		buf_format(out, "  # prod: {target: %s}%*s# what was chosen; not built yet, environment local serves until then",
			strategy->target, strlen(strategy->target) < 13 ? (int) (13 - strlen(strategy->target)) : 1, "");
}

/* @KEY@ in the template; a line that is left empty by it goes. */
static int render(const struct init_request *request, const struct init_result *result, char **out, struct err *err) {
	AUTO_BUF struct buf text = BUF(TEMPLATE_BYTES_MAX);
	struct str rest = embed_template("init/mlctl.yaml");
	while (rest.ptr && rest.len) {
		struct str after, line = str_cut(rest, '\n', &rest);
		struct str before = str_cut(line, '@', &after);
		if (!after.ptr) {
			buf_str(&text, line);
		} else {
			struct str tail, key = str_cut(after, '@', &tail);
			size_t start = text.len;
			buf_str(&text, before);
			put_value(&text, key, request, result);
			if (text.len == start)
				continue;
			buf_str(&text, tail);
		}
		buf_char(&text, '\n');
	}
	return buf_take(&text, out, err);
}

/* Whatever the names were, the file says what was meant. */
static int check_text(const struct init_request *request, const struct init_result *result, struct err *err) {
	AUTO_PROJECT struct project *project = NULL;
	AUTO_SETTINGS struct settings *settings = NULL;
	if (project_read(request->folder, PROJECT_FILE, str_of(result->text), &project, err) != 0 ||
		project_env(project, "local", &settings, err) != 0)
		return -1;
	for (size_t i = 0; i < project->environments.count; i++) {
		AUTO_SETTINGS struct settings *other = NULL;
		if (project_env(project, project->environments.items[i], &other, err) != 0)
			return -1;
	}
	if (strcmp(settings->name, result->name) != 0 || strcmp(settings->model.path, result->model) != 0)
		return err_set(err, ERR_FAILED, "%s cannot be written in " PROJECT_FILE, result->model);
	return 0;
}

static int write_files(const struct init_request *request, struct init_result *result, struct err *err) {
	AUTO_FREE char *file = fs_join(request->folder, PROJECT_FILE);
	if (!request->is_forced && fs_exists(file)) {
		err_set(err, ERR_USAGE, "%s is already there", file);
		return err_fix(err, "mlctl init --force");
	}
	char why[FIELD_WHY_MAX];
	if (request->image && names_check_image(request->image, why) != 0)
		return err_set(err, ERR_USAGE, "image \"%s\" is not right, it must be %s", request->image, why);
	struct init_models models CLEANUP(init_models_clear) = {0};
	if (choose_name(request, &result->name, err) != 0 || init_find(request->folder, &models, err) != 0)
		return -1;
	int rc = request->model ? check_model(request, &models, &result->model, err) : choose_model(request, &models, &result->model, err);
	if (rc != 0 || make_golden(request, result, err) != 0 || render(request, result, &result->text, err) != 0 ||
		check_text(request, result, err) != 0)
		return -1;
	return fs_replace(file, result->text, strlen(result->text), 0644, err);
}

int init_write(const struct init_request *request, struct init_result *out, struct err *err) {
	struct init_request full = *request;
	struct init_result result CLEANUP(init_result_clear) = {0};
	if (!full.strategy)
		full.strategy = strategy_row(0);
	if (write_files(&full, &result, err) != 0)
		return -1;
	*out = result;
	result = (struct init_result){0};
	return 0;
}

void init_result_clear(struct init_result *result) {
	free(result->name);
	free(result->model);
	free(result->golden);
	free(result->text);
	*result = (struct init_result){0};
}
