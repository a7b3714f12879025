#include "target/kubernetes_objects.h"

#include "kube/client.h"
#include "kube/schema.h"
#include "project/overlay.h"
#include "target/kubernetes_input.h"

#include <stdio.h>

#define LIST_MAX 200

/* In the order of applying: what others refer to first. Files of the project with other names stand between the second and the third. */
static const char *const order[] = {"serviceaccount", "configmap", "service", "deployment", "autoscaler", "disruption", "network", "ingress", "route",
	"monitor"};
#define ORDER_COUNT (sizeof(order) / sizeof(order[0]))
#define ORDER_EXTRA 2

/* What a template may make: kinds that hold no secret, and that are the service's alone. Whoever needs another applies it beside mlctl. */
static const char *const kinds[] = {"ServiceAccount", "ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
	"Ingress", "HTTPRoute", "ServiceMonitor", "PrometheusRule"};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

struct rendering {
	const struct target_context *context;
	const struct overlay *overlay;
	const struct kubernetes_input *input;
	const char *role;
	bool has_own; /* templates of the project's own, to be checked */
	struct tmpl_parsed *parsed;
	struct document *document;
	struct value *list;
	const struct value *stable; /* of a canary: the other list */
	struct tmpl_origins *origins; /* always asked for: errors are told by them */
	struct err *err;
};

/* Where the node is written, which may be another file that is included. */
static int fail_at(const struct rendering *r, const struct overlay_file *file, const struct value *node) {
	const struct value *leaf = node;
	while (leaf && leaf->first)
		leaf = leaf->first;
	for (size_t i = 0; leaf && i < r->origins->count; i++)
		if (r->origins->items[i].node == leaf && *r->origins->items[i].file && node->at.line)
			return err_at(r->err, "%s:%d:%d", r->origins->items[i].file, node->at.line, node->at.column);
	return err_at(r->err, "%s", file->shown);
}

static bool find_template(void *self, const char *name, struct str *text, const char **shown) {
	const struct overlay_file *file = overlay_find(self, name);
	if (!file)
		return false;
	*text = file->text;
	*shown = file->shown;
	return true;
}

static int check_kind(const struct rendering *r, const struct overlay_file *file, const struct value *object) {
	const struct value *version = value_get(object, "apiVersion"), *kind = value_get(object, "kind");
	if (!version || version->kind != VALUE_STRING || !kind || kind->kind != VALUE_STRING) {
		err_set(r->err, ERR_INVALID, "a template makes one object, with apiVersion and kind");
		return fail_at(r, file, object);
	}
	AUTO_FREE char *word = str_dup(kind->text);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kube_kind *known = strcmp(word, kinds[i]) == 0 ? kube_kind_find(word) : NULL;
		if (!known)
			continue;
		if (str_is(version->text, known->api_version))
			return 0;
		err_set(r->err, ERR_INVALID, "apiVersion %.*s: a %s is %s", STR_ARGS(version->text), word, known->api_version);
		err_fix(r->err, "apiVersion: %s", known->api_version);
		return fail_at(r, file, version);
	}
	const char *near = text_nearest(word, kinds, KIND_COUNT);
	if (strcmp(word, "Secret") == 0)
		err_set(r->err, ERR_INVALID, "kind Secret: its value would be in every release record: make it beside mlctl, and name it in secrets");
	else
		err_set(r->err, ERR_INVALID, "kind %s: mlctl applies no such kind%s%s", word, near ? ", did you mean " : ": apply it beside mlctl",
			near ? near : "");
	return fail_at(r, file, kind);
}

static struct value *need_object(struct rendering *r, struct value *parent, const char *key) {
	const struct value *there = value_get(parent, key);
	return there && there->kind == VALUE_OBJECT ? (struct value *) there : there ? NULL : value_add_object(r->document, parent, key);
}

/* Adds the labels that are missing; one of ours with another value is refused. */
static int add_labels(struct rendering *r, const struct overlay_file *file, struct value *metadata, const struct value *labels) {
	struct value *into = metadata ? need_object(r, metadata, "labels") : NULL;
	if (!into) {
		err_set(r->err, ERR_INVALID, "metadata and its labels must be mappings");
		return fail_at(r, file, metadata);
	}
	value_each(label, labels) {
		AUTO_FREE char *key = str_dup(label->key);
		const struct value *there = value_get(into, key);
		if (!there) {
			value_add_copy(r->document, into, key, label);
			continue;
		}
		if (there->kind == VALUE_STRING && str_equal(there->text, label->text))
			continue;
		err_set(r->err, ERR_INVALID, "label %s must be %.*s: mlctl finds its objects by it", key, STR_ARGS(label->text));
		err_fix(r->err, "labels: {$: this.labels}");
		return fail_at(r, file, there);
	}
	return 0;
}

static int check_name(struct rendering *r, const struct overlay_file *file, const struct value *object, struct value *metadata) {
	const struct value *name = value_get(metadata, "name"), *kind = value_get(object, "kind"), *space = value_get(metadata, "namespace");
	struct str wanted = {0};
	if (!name || name->kind != VALUE_STRING || !name->text.len) {
		err_set(r->err, ERR_INVALID, "metadata.name: missing, it must be text");
		return fail_at(r, file, object);
	}
	value_each(other, r->list) {
		if (other == object || !str_equal(value_get(other, "kind")->text, kind->text) ||
			!str_equal(value_find(other, "metadata.name")->text, name->text))
			continue;
		err_set(r->err, ERR_INVALID, "%.*s %.*s is made by another template too", STR_ARGS(kind->text), STR_ARGS(name->text));
		return fail_at(r, file, name);
	}
	const struct value *setting = value_get(r->context->settings, "namespace");
	if (setting && setting->kind == VALUE_STRING)
		wanted = setting->text;
	if (space && !(space->kind == VALUE_STRING && str_equal(space->text, wanted))) {
		err_set(r->err, ERR_INVALID, "metadata.namespace: all objects are in the namespace that mlctl.yaml names: leave it out");
		return fail_at(r, file, space);
	}
	if (wanted.len && !space) {
		struct value *made = value_add_str(r->document, metadata, "namespace", wanted);
		struct tmpl_origin origin = {made, "metadata.namespace", "", {0}, "namespace", setting->key_at};
		tmpl_origins_add(r->origins, &origin);
	}
	return 0;
}

/* What is made for the canary is applied while the other version serves: an object of both that is not the same would take its place at once, so that a
 * Service sent every request to the canary. */
static int check_both(const struct rendering *r, const struct overlay_file *file, const struct value *object) {
	const struct value *kind = value_get(object, "kind"), *name = value_find(object, "metadata.name");
	value_each(other, r->stable) {
		if (!str_equal(value_get(other, "kind")->text, kind->text) || !str_equal(value_find(other, "metadata.name")->text, name->text) ||
			value_equal(other, object))
			continue;
		err_set(r->err, ERR_INVALID, "%.*s %.*s differs for the canary, which would take its place: it needs another name there, or {$if: this.isStable}",
			STR_ARGS(kind->text), STR_ARGS(name->text));
		err_fix(r->err, "name: ${this.name}");
		return fail_at(r, file, name);
	}
	return 0;
}

static int finish_object(struct rendering *r, const struct overlay_file *file, struct value *object) {
	if (check_kind(r, file, object) != 0)
		return -1;
	struct value *metadata = need_object(r, object, "metadata");
	bool is_deployment = str_is(value_get(object, "kind")->text, "Deployment");
	const struct value *labels = is_deployment ? r->input->pod_labels : r->input->labels;
	if (!metadata || check_name(r, file, object, metadata) != 0)
		return metadata ? -1 : add_labels(r, file, NULL, labels);
	if (add_labels(r, file, metadata, labels) != 0)
		return -1;
	if (!is_deployment)
		return check_both(r, file, object);
	struct value *spec = need_object(r, object, "spec"), *pod = spec ? need_object(r, spec, "template") : NULL;
	if (add_labels(r, file, pod ? need_object(r, pod, "metadata") : NULL, labels) != 0)
		return -1;
	return check_both(r, file, object);
}

/* What a project's own templates make is held against the published schemas before a cluster sees it. mlctl's own are, by its tests. `first`: of the
 * object's origins, which tell the file of a path. */
static int check_schema(struct rendering *r, const struct overlay_file *file, const struct value *object, size_t first) {
	struct kube_problem problem = {0};
	struct kube_problems problems = {.items = &problem, .max = 1};
	struct err found = {0};
	if (kube_schema_check(object, NULL, &problems, &found) == 0)
		return 0;
	const char *name = file->shown;
	size_t len = strlen(problem.path);
	for (size_t i = first; i < r->origins->count; i++) {
		const struct tmpl_origin *one = &r->origins->items[i];
		if (*one->file && strncmp(one->path, problem.path, len) == 0 && (!one->path[len] || strchr(".[", one->path[len]))) {
			name = one->file;
			break;
		}
	}
	*r->err = found;
	*r->err->at = '\0';
	return problem.at.line ? err_at(r->err, "%s:%d:%d", name, problem.at.line, problem.at.column) : err_at(r->err, "%s", name);
}

static const char *keep(const struct rendering *r, const char *text) {
	const char *kept = arena_text_n(&r->document->memory, text, strlen(text));
	return kept ? kept : "";
}

/* Which object of which list; and a value of `this` that a setting decides by the setting's own name. */
static void name_origin(const struct rendering *r, struct tmpl_origin *origin, size_t index) {
	AUTO_FREE char *path = mem_format("%s[%zu].%s", r->role, index, origin->path);
	origin->path = keep(r, path);
	if (!origin->from || strncmp(origin->from, "this.", 5) != 0)
		return;
	static const char *const of_labels[] = {"labels.", "podLabels."};
	const char *name = origin->from + 5, *setting = kubernetes_input_setting(name);
	for (size_t i = 0; i < 2 && origin->from_place.line; i++)
		if (strncmp(name, of_labels[i], strlen(of_labels[i])) == 0) {
			AUTO_FREE char *label = mem_format("labels.%s", name + strlen(of_labels[i]));
			origin->from = keep(r, label);
			return;
		}
	bool is_fixed = strcmp(name, "replicas") == 0 && r->input->name[strlen(r->context->service)]; /* a canary has one */
	if (setting && !is_fixed)
		origin->from = setting;
}

static int render_file(struct rendering *r, const struct overlay_file *file) {
	const char *settings_file = r->context->settings_file;
	struct tmpl_source source = {.name = file->shown,
		.text = file->text,
		.input = r->input->document->root,
		.input_name = settings_file ? settings_file : "mlctl.yaml",
		.find = find_template,
		.self = (void *) r->overlay,
		.parsed = r->parsed};
	const struct value *object = NULL;
	size_t before = r->origins->count, index = r->list->count;
	if (tmpl_render(&source, r->document, r->list, &object, r->origins, r->err) != 0)
		return -1;
	if (!object)
		return 0;
	if (r->list->count > LIST_MAX)
		return err_set(r->err, ERR_LIMIT, "more than %d objects", LIST_MAX);
	int rc = finish_object(r, file, r->list->last);
	if (rc == 0 && r->has_own)
		rc = check_schema(r, file, object, before);
	for (size_t i = before; i < r->origins->count; i++)
		name_origin(r, &r->origins->items[i], index);
	return rc;
}

static size_t place_in_order(const struct overlay_file *file) {
	struct str name = str_of(file->path + strlen(OBJECTS_TEMPLATES) + 1);
	for (size_t i = 0; i < ORDER_COUNT; i++)
		if (str_starts(name, order[i]) && str_is((struct str) {name.ptr + strlen(order[i]), name.len - strlen(order[i])}, ".yaml"))
			return i < ORDER_EXTRA ? i : i + 1;
	return ORDER_EXTRA;
}

static int render_all(struct rendering *r) {
	for (size_t place = 0; place <= ORDER_COUNT; place++)
		for (size_t i = 0; i < r->overlay->count; i++) {
			const struct overlay_file *file = &r->overlay->items[i];
			bool is_ours = strncmp(file->path, OBJECTS_TEMPLATES "/", sizeof(OBJECTS_TEMPLATES)) == 0;
			if (is_ours && place_in_order(file) == place && render_file(r, file) != 0)
				return -1;
		}
	return 0;
}

static void add_facts(const struct target_context *context, const struct kubernetes_input *input, const struct value *facts, struct document *document,
	struct value *root) {
	const struct value *peak = value_find(facts, "test.peak_bytes");
	struct str space = {0}, payload = STR("native");
	const struct value *setting = value_get(context->settings, "namespace"), *kind = value_find(context->settings, "payload.kind");
	if (setting && setting->kind == VALUE_STRING)
		space = setting->text;
	if (kind && kind->kind == VALUE_STRING)
		payload = kind->text;
	value_add_text(document, root, "kind", "kubernetes/1");
	value_add_text(document, root, "service", context->service);
	value_add_text(document, root, "env", context->env);
	if (space.len)
		value_add_str(document, root, "namespace", space);
	else
		value_add_null(document, root, "namespace");
	value_add_text(document, root, "image", input->image);
	value_add_str(document, root, "payload", payload);
	if (!input->is_native)
		value_add_text(document, root, "answers", input->image);
	value_add_bool(document, root, "has_split", input->has_split);
	struct value *ports = value_add_object(document, root, "ports");
	value_add_int(document, ports, "http", input->port);
	if (input->has_split)
		value_add_int(document, ports, "control", input->control_port);
	else
		value_add_null(document, ports, "control");
	value_add_int(document, root, "service_port", input->service_port);
	value_add_int(document, root, "replicas", input->replicas);
	value_add_bool(document, root, "has_autoscaler", input->has_autoscaler);
	if (peak)
		value_add_copy(document, root, "memory_needed_bytes", peak);
	if (input->has_split)
		value_add_text(document, root, "control_secret", input->control_secret);
	else
		value_add_null(document, root, "control_secret");
}

static int render_lists(const struct target_context *context, const struct revision *revision, const struct value *facts, const struct overlay *overlay,
	struct document *document, struct value *root, struct tmpl_origins *origins, bool is_checked, struct err *err) {
	struct digest ignored;
	bool has_own = false;
	struct tmpl_parsed parsed CLEANUP(tmpl_parsed_clear) = {0}; /* each file is rendered twice */
	overlay_digest(overlay, &has_own, &ignored);
	for (int is_canary = 0; is_canary < 2; is_canary++) {
		struct kubernetes_input input CLEANUP(kubernetes_input_clear) = {0};
		struct rendering r = {.context = context,
			.overlay = overlay,
			.input = &input,
			.role = is_canary ? "canary" : "stable",
			.has_own = has_own && is_checked,
			.parsed = &parsed,
			.document = document,
			.stable = is_canary ? value_get(root, "stable") : NULL,
			.origins = origins,
			.err = err};
		if (kubernetes_input_make(context, revision, facts, is_canary, &input, err) != 0)
			return -1;
		if (!is_canary)
			add_facts(context, &input, facts, document, root);
		r.list = value_add_array(document, root, r.role);
		if (render_all(&r) != 0)
			return -1;
	}
	return 0;
}

static int render_objects(const struct target_context *context, const struct revision *revision, const struct value *facts, struct document *document,
	struct value **out, struct tmpl_origins *origins, bool is_checked, struct err *err) {
	struct overlay overlay AUTO_OVERLAY = {0};
	struct tmpl_origins own CLEANUP(tmpl_origins_clear) = {0};
	if (overlay_load(context->project_folder, OBJECTS_TEMPLATES, &overlay, err) != 0)
		return -1;
	struct value *root = value_root_object(document);
	if (render_lists(context, revision, facts, &overlay, document, root, origins ? origins : &own, is_checked, err) != 0)
		return -1;
	*out = root;
	return 0;
}

int objects_render(const struct target_context *context, const struct revision *revision, const struct value *facts, struct document *document,
	struct value **out, struct tmpl_origins *origins, struct err *err) {
	return render_objects(context, revision, facts, document, out, origins, true, err);
}

int objects_render_unchecked(const struct target_context *context, const struct revision *revision, const struct value *facts,
	struct document *document, struct value **out, struct tmpl_origins *origins, struct err *err) {
	return render_objects(context, revision, facts, document, out, origins, false, err);
}
