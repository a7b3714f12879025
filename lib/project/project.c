#include "project/project.h"

#include "os/fs.h"
#include "project/cluster.h"
#include "project/names.h"
#include "project/overlay.h"
#include "project/table.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define ENVIRONMENTS_MAX 64
#define LOCAL_BAKE_MS 10000

static int at_value(const struct project *project, struct place at, struct err *err) {
	return err_at(err, "%s:%d:%d", project->document->name, at.line, at.column);
}

/* Names only; what an environment says is read when it is asked for. */
static int read_environments(struct project *project, struct err *err) {
	const struct value *all = value_get(project->document->root, "environments");
	if (all && all->kind != VALUE_OBJECT && all->kind != VALUE_NULL) {
		err_set(err, ERR_CONFIG, "environments: it must be a mapping of names, as in environments: {local: {target: local}}");
		return at_value(project, all->at, err);
	}
	project->has_environments = all && all->count > 0;
	value_each(one, all) {
		char why[FIELD_WHY_MAX];
		AUTO_FREE char *name = str_dup(one->key);
		if (strlen(name) != one->key.len || names_check_environment(name, why) != 0) {
			err_set(err, ERR_CONFIG, "environments: \"%s\" is not right as a name, it must be %s", name, why);
			return at_value(project, one->key_at, err);
		}
		if (one->kind != VALUE_OBJECT) {
			err_set(err, ERR_CONFIG, "environments.%s: it must be a mapping with a target", name);
			err_fix(err, "%s: {target: local}", name);
			return at_value(project, one->key_at, err);
		}
		if (project->environments.count >= ENVIRONMENTS_MAX) {
			err_set(err, ERR_CONFIG, "environments: more than %d", ENVIRONMENTS_MAX);
			return at_value(project, one->key_at, err);
		}
		texts_add(&project->environments, name);
	}
	if (!project->has_environments)
		texts_add(&project->environments, "local");
	return 0;
}

int project_read(const char *folder, const char *file, struct str text, struct project **out, struct err *err) {
	AUTO_PROJECT struct project *project = NEW(struct project);
	project->folder = mem_text(folder);
	project->path = fs_join(folder, file);
	if (yaml_read(file, text, VALUE_LIMITS_CONFIG, &project->document, err) != 0) {
		err->code = ERR_CONFIG;
		return -1;
	}
	const struct value *root = project->document->root;
	if (root->kind != VALUE_OBJECT) {
		err_set(err, ERR_CONFIG,
			root->kind == VALUE_NULL ? "the file is empty" : "the file must hold a mapping of keys and values");
		err_fix(err, "mlctl init");
		return at_value(project, root->at, err);
	}
	if (read_environments(project, err) != 0)
		return -1;
	*out = take(&project);
	return 0;
}

/* The file in `folder` or above, up to the root of a git work tree. Owned by the caller. */
static char *find_file(const char *folder) {
	AUTO_FREE char *at = mem_text(folder);
	for (;;) {
		AUTO_FREE char *file = fs_join(at, PROJECT_FILE), *git = fs_join(at, ".git");
		if (fs_exists(file))
			return take(&file);
		char *slash = strrchr(at, '/');
		if (fs_exists(git) || !slash || !at[1])
			return NULL;
		slash[slash == at] = '\0';
	}
}

int project_load(const char *where, struct project **out, struct err *err) {
	AUTO_FREE char *start = realpath(where ? where : ".", NULL);
	struct stat info;
	if (!start || stat(start, &info) != 0)
		return err_sys(err, "%s", where ? where : "the working folder");
	AUTO_FREE char *path = S_ISDIR(info.st_mode) ? find_file(start) : mem_text(start);
	if (!path) {
		err_set(err, ERR_NOT_FOUND, "there is no %s in %s or above it", PROJECT_FILE, start);
		return err_fix(err, "mlctl init");
	}
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, PROJECT_BYTES_MAX, &text, &len, err) != 0)
		return -1;
	char *slash = strrchr(path, '/');
	*slash = '\0';
	return project_read(*path ? path : "/", slash + 1, (struct str){text, len}, out, err);
}

void project_free(struct project *project) {
	if (!project)
		return;
	document_free(project->document);
	texts_clear(&project->environments);
	free(project->folder);
	free(project->path);
	free(project);
}

char *project_path(const struct project *project, const char *relative) {
	return fs_join(project->folder, relative);
}

static int choose(const struct project *project, const char *wanted, const char **name, struct err *err) {
	const struct texts *all = &project->environments;
	AUTO_BUF struct buf names = BUF(4096);
	for (size_t i = 0; i < all->count; i++) {
		buf_format(&names, "%s%s", i ? ", " : "", all->items[i]);
		if (wanted && strcmp(wanted, all->items[i]) == 0) {
			*name = all->items[i];
			return 0;
		}
	}
	if (!wanted && all->count == 1) {
		*name = all->items[0];
		return 0;
	}
	const char *file = project->document->name;
	if (!wanted) {
		err_set(err, ERR_USAGE, "%s has several environments, name one: %s", file, names.ptr);
		return err_fix(err, "--env %s", all->items[0]);
	}
	const char *near = text_nearest(wanted, (const char *const *) all->items, all->count);
	err_set(err, ERR_USAGE, "%s has no environment \"%s\", there %s %s", file, wanted, all->count == 1 ? "is" : "are", names.ptr);
	return near ? err_fix(err, "--env %s", near) : -1;
}

/* The environment's patch over the top level, without the environments. */
static const struct value *merge(const struct project *project, const char *name, struct document *document) {
	AUTO_DOCUMENT struct document *top = document_new(project->document->name);
	struct value *base = value_root_object(top);
	base->at = project->document->root->at;
	value_each(member, project->document->root) {
		if (str_is(member->key, "environments"))
			continue;
		AUTO_FREE char *key = str_dup(member->key);
		value_add_copy(top, base, key, member);
	}
	const struct value *patch = project->has_environments ? value_get(value_get(project->document->root, "environments"), name) : NULL;
	struct value *merged = value_merge(document, base, patch);
	if (!project->has_environments && !value_get(merged, "target"))
		value_add_text(document, merged, "target", "local");
	return merged;
}

/* Before anything else: a target that is not built yet makes its own keys unknown. */
static int check_target(const struct project *project, const struct settings *settings, struct err *err) {
	static const char *const built[] = {"local", "kubernetes"};
	static const char *const later[] = {"docker", "aci", "cloudrun", "vertex", "azureml", "sagemaker"};
	const struct value *target = value_get(settings->document->root, "target");
	const char *env = settings->environment;
	if (!target || target->kind == VALUE_NULL) {
		const struct value *all = value_get(project->document->root, "environments"), *one = value_get(all, env);
		err_set(err, ERR_CONFIG, "environments.%s.target: missing, it must be local or kubernetes", env);
		err_fix(err, "%s: {target: local}", env);
		return at_value(project, one ? one->key_at : project->document->root->at, err);
	}
	AUTO_FREE char *word = target->kind == VALUE_STRING ? str_dup(target->text) : mem_text("");
	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (target->kind == VALUE_STRING && str_is(target->text, built[i]))
			return 0;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(word, later[i]) == 0) {
			err_set(err, ERR_CONFIG, "environments.%s.target: %s is not built yet, what is built are local and kubernetes", env, word);
			return at_value(project, target->at, err);
		}
	const char *near = text_nearest(word, built, sizeof(built) / sizeof(built[0]));
	err_set(err, ERR_CONFIG, "environments.%s.target: \"%s\" is not right, it must be local or kubernetes", env, word);
	if (near)
		err_fix(err, "target: %s", near);
	return at_value(project, target->at, err);
}

/* Fails at the key's own place, or at the file when it is a default that does not fit. */
static int refuse(const struct settings *settings, const char *path, struct err *err) {
	const struct value *value = value_find(settings->document->root, path);
	if (value)
		return err_at(err, "%s:%d:%d", settings->file, value->at.line, value->at.column);
	return err_at(err, "%s", settings->file);
}

static int check_local(struct settings *s, struct err *err) {
	if (s->scale.max > s->scale.min) {
		err_set(err, ERR_CONFIG, "scale.max: target local does not scale by load and keeps scale.min replicas: leave max out here");
		err_fix(err, "environments.%s.scale: {max: null, cpu: null}", s->environment);
		return refuse(s, "scale.max", err);
	}
	if (value_find(s->document->root, "scale.cpu")) {
		err_set(err, ERR_CONFIG, "scale.cpu: target local does not scale by load: leave it out here");
		err_fix(err, "environments.%s.scale: {max: null, cpu: null}", s->environment);
		return refuse(s, "scale.cpu", err);
	}
	if (s->resources.cpu_millicores) {
		err_set(err, ERR_CONFIG, "resources.cpu: target local does not limit processor time: leave it out here");
		err_fix(err, "environments.%s.resources: {cpu: null}", s->environment);
		return refuse(s, "resources.cpu", err);
	}
	return 0;
}

/* What one key alone cannot show. */
static int check_together(struct settings *s, struct err *err) {
	const struct value *root = s->document->root;
	if (s->scale.max < s->scale.min) {
		err_set(err, ERR_CONFIG, "scale.max: %lld is below scale.min, %lld", (long long) s->scale.max, (long long) s->scale.min);
		return refuse(s, "scale.max", err);
	}
	if (strcmp(s->target, "local") == 0 ? check_local(s, err) != 0 : cluster_check(s, err) != 0)
		return -1;
	const struct settings_canary *canary = &s->rollout.canary;
	if (canary->is_on && canary->for_ms > canary->max_ms) {
		char shortest[FIELD_DURATION_MAX], longest[FIELD_DURATION_MAX];
		err_set(err, ERR_CONFIG, "rollout.canary.for: %s is longer than rollout.canary.max, %s",
			field_duration(canary->for_ms, shortest), field_duration(canary->max_ms, longest));
		return refuse(s, value_find(root, "rollout.canary.for") ? "rollout.canary.for" : "rollout.canary.max", err);
	}
	return 0;
}

/* The path's last part without its extension; for the folder itself the service's name. */
static const char *model_name(struct settings *s) {
	struct str path = str_of(s->model.path), folder, stem;
	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	struct str last = str_cut_last(path, '/', &folder);
	last = folder.ptr ? folder : last;
	struct str dot;
	stem = str_cut_last(last, '.', &dot);
	if (dot.ptr && stem.len)
		last = stem;
	char why[FIELD_WHY_MAX];
	const char *name = arena_text_n(&s->document->memory, last.ptr, last.len);
	return name && names_check_model(name, why) == 0 ? name : s->name;
}

/* A changed template of the project's own is a new revision. Targets without templates have none. */
static int add_templates(const char *folder, const struct settings *s, struct document *document, struct value *tree, struct err *err) {
	struct overlay overlay AUTO_OVERLAY = {0};
	struct digest digest;
	bool has_any = false;
	if (overlay_load(folder, s->target, &overlay, err) != 0)
		return -1;
	overlay_digest(&overlay, &has_any, &digest);
	if (has_any)
		value_add_text(document, tree, "templates", digest.text);
	return 0;
}

static int make_digest(const char *folder, struct settings *s, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("settings");
	struct value *tree = value_root_object(document);
	if (strcmp(s->target, "local") != 0 && add_templates(folder, s, document, tree, err) != 0)
		return -1;
	value_add_text(document, tree, "environment", s->environment);
	field_tree(&table_settings, s, FIELD_TREE_DEPLOYED, s->target, document, tree);
	AUTO_FREE char *text = NULL;
	if (json_write(tree, JSON_CANONICAL, &text, err) != 0)
		return -1;
	digest_of(str_of(text), &s->settings_digest);
	return 0;
}

/* Known to be a name by check_target(). */
static const char *target_name(const struct value *merged) {
	const struct value *target = value_get(merged, "target");
	return str_is(target->text, "kubernetes") ? "kubernetes" : "local";
}

static int read_env(
	const struct project *project, const char *name, struct field_problems *problems, struct settings **out, struct err *err) {
	AUTO_SETTINGS struct settings *s = NEW(struct settings);
	s->document = document_new(project->document->name);
	s->file = mem_text(project->document->name);
	s->environment = arena_text_n(&s->document->memory, name, strlen(name));
	const struct value *merged = merge(project, name, s->document);
	if (check_target(project, s, err) != 0 ||
		field_read(&table_settings, merged, s->file, "", target_name(merged), &s->document->memory, s, problems, err) != 0)
		return -1;
	if (!s->scale.max)
		s->scale.max = s->scale.min;
	if (strcmp(name, "local") == 0 && !value_find(merged, "rollout.canary.for"))
		s->rollout.canary.for_ms = LOCAL_BAKE_MS;
	if (!s->model.name)
		s->model.name = model_name(s);
	if (check_together(s, err) != 0 || make_digest(project->folder, s, err) != 0)
		return -1;
	*out = take(&s);
	return 0;
}

int project_env(const struct project *project, const char *name, struct settings **out, struct err *err) {
	const char *chosen = NULL;
	return choose(project, name, &chosen, err) != 0 ? -1 : read_env(project, chosen, NULL, out, err);
}

void settings_free(struct settings *settings) {
	if (!settings)
		return;
	document_free(settings->document);
	free(settings->file);
	free(settings);
}

static bool is_known(const struct err *problems, size_t count, const struct err *one) {
	for (size_t i = 0; i < count; i++)
		if (strcmp(problems[i].at, one->at) == 0 && strcmp(problems[i].message, one->message) == 0)
			return true;
	return false;
}

/* "file:line:column" as a number to sort by; 0 when there is no line. */
static int64_t position(const struct err *problem) {
	struct str column, line, rest = str_cut_last(str_of(problem->at), ':', &column);
	int64_t row = 0, character = 0;
	str_cut_last(rest, ':', &line);
	if (num_int(line, 1, INT32_MAX, &row) != 0 || num_int(column, 1, INT32_MAX, &character) != 0)
		return 0;
	return row * ((int64_t) INT32_MAX + 1) + character;
}

static int compare_problems(const void *a, const void *b) {
	int64_t x = position(a), y = position(b);
	return (x > y) - (x < y);
}

/* What stands at the top level is wrong in every environment, and told once. */
size_t project_check(const struct project *project, struct err problems[PROJECT_PROBLEMS_MAX]) {
	size_t count = 0;
	for (size_t i = 0; i < project->environments.count; i++) {
		struct err found[PROJECT_PROBLEMS_MAX] = {0}, err = {0};
		struct field_problems list = {.items = found, .max = PROJECT_PROBLEMS_MAX};
		AUTO_SETTINGS struct settings *settings = NULL;
		if (read_env(project, project->environments.items[i], &list, &settings, &err) == 0)
			continue;
		if (!list.count)
			found[list.count++] = err;
		for (size_t k = 0; k < list.count && count < PROJECT_PROBLEMS_MAX; k++)
			if (!is_known(problems, count, &found[k]))
				problems[count++] = found[k];
	}
	if (count)
		qsort(problems, count, sizeof(problems[0]), compare_problems);
	return count;
}

bool settings_where(const struct settings *settings, const char *path, char out[SETTINGS_WHERE_MAX]) {
	const struct value *value = value_find(settings->document->root, path);
	int line = !value ? 0 : value->key_at.line ? value->key_at.line : value->at.line;
	if (line)
		snprintf(out, SETTINGS_WHERE_MAX, "%s:%d", settings->file, line);
	return line != 0;
}

/* What the file says keeps its place in it. Goes as deep as the table does. */
static void copy_places(struct value *tree, const struct value *written) {
	tree->at = written->at;
	tree->key_at = written->key_at;
	const struct value *item = tree->kind == VALUE_ARRAY && written->kind == VALUE_ARRAY ? written->first : NULL;
	for (struct value *one = tree->first; one; one = one->next, item = item ? item->next : NULL) {
		AUTO_FREE char *key = str_dup(one->key);
		const struct value *from = tree->kind == VALUE_OBJECT ? value_get(written, key) : item;
		if (from)
			copy_places(one, from);
	}
}

struct value *settings_tree(const struct settings *settings, struct document *into) {
	struct value *tree = value_root_object(into);
	field_tree(&table_settings, settings, FIELD_TREE_ALL, settings->target, into, tree);
	copy_places(tree, settings->document->root);
	return tree;
}

static const char environments_help[] =
	"Where it runs, by name; any key above may be set differently there (a list is replaced, null removes)";

int project_schema(char **json, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("schema");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	value_add_text(document, root, "title", PROJECT_FILE);
	value_add_text(document, root, "type", "object");
	struct value *properties = field_schema(&table_settings, false, document, root);
	struct value *environments = value_add_object(document, properties, "environments");
	value_add_text(document, environments, "description", environments_help);
	value_add_text(document, environments, "type", "object");
	value_add_text(document, value_add_object(document, environments, "propertyNames"), "pattern", NAMES_LABEL_PATTERN);
	struct value *one = value_add_object(document, environments, "additionalProperties");
	value_add_text(document, one, "type", "object");
	field_schema(&table_settings, true, document, one);
	return json_write(root, JSON_PRETTY, json, err);
}

int project_reference(char **text, struct err *err) {
	AUTO_BUF struct buf out = BUF(PROJECT_BYTES_MAX);
	field_text(&table_settings, "", &out);
	buf_format(&out, "%-30s a mapping of names; default {local: {target: local}}\n    %s\n", "environments", environments_help);
	return buf_take(&out, text, err);
}
