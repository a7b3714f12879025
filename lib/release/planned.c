#include "release/planned.h"

#include "release/record.h"

#include <inttypes.h>

static const char *const kind_words[] = {
	[PLAN_UNCHANGED] = "unchanged",
	[PLAN_FIRST] = "first",
	[PLAN_CANARY] = "canary",
	[PLAN_DIRECT] = "direct",
	[PLAN_REPAIR] = "repair",
	[PLAN_RESUME] = "resume",
	[PLAN_UNDO] = "undo",
	[PLAN_BACK] = "back",
	[PLAN_REFUSED] = "refused",
};
#define KINDS (sizeof(kind_words) / sizeof(kind_words[0]))

static int digest_of_tree(const struct value *v, struct digest *out, struct err *err) {
	AUTO_FREE char *text = NULL;
	*out = (struct digest){0};
	if (!v)
		return 0;
	if (json_write(v, JSON_CANONICAL, &text, err) != 0)
		return -1;
	digest_of(str_of(text), out);
	return 0;
}

static int digests_of(const struct deploy_request *request, struct planned *out, struct err *err) {
	out->image = request->revision.image;
	out->golden = (struct digest){0};
	if (request->golden)
		digest_of(str_of(request->golden), &out->golden);
	return digest_of_tree(request->settings, &out->settings, err) != 0 ? -1 : digest_of_tree(request->objects, &out->objects, err);
}

static void add_text(struct document *document, struct value *into, const char *key, const char *text) {
	value_add_text(document, into, key, text && text[0] ? text : NULL);
}

/* "image": {"from": .., "to": ..}; left out where nothing changes. */
static void add_pair(struct document *document, struct value *root, const char *key, const struct value *from, const struct value *to) {
	if (value_equal(from, to))
		return;
	struct value *pair = value_add_object(document, root, key);
	const struct value *sides[] = {from, to};
	for (size_t i = 0; i < 2; i++) {
		if (sides[i])
			value_add_copy(document, pair, i ? "to" : "from", sides[i]);
		else
			value_add_null(document, pair, i ? "to" : "from");
	}
}

/* The record of the release that is good now; *out NULL when there is none, or when nobody has its record any more. */
static int live_record(const struct release_context *context, struct document **out, struct err *err) {
	AUTO_FREE struct release_head *head = NEW(struct release_head);
	struct err reading = {0};
	*out = NULL;
	if (release_head_read(context, head, err) != 0)
		return -1;
	if (!head->good || release_record_read(context, head->good, out, &reading) == 0 || reading.code == ERR_NOT_FOUND)
		return 0;
	*err = reading;
	return -1;
}

static void compare_objects(const struct release_context *context, const struct value *from, const struct value *to,
	struct document *document, struct value *changes) {
	AUTO_DOCUMENT struct document *scratch = document_new("changes");
	struct value *found = value_root_array(scratch);
	value_diff(scratch, found, from, to);
	value_each(change, found) {
		struct value *out = value_add_object(document, changes, NULL);
		value_add_text(document, out, "object", context->service);
		value_add_text(document, out, "change", from ? "change" : "create");
		value_each(member, change) {
			AUTO_FREE char *key = str_dup(member->key);
			value_add_copy(document, out, key, member);
		}
	}
}

int planned_objects(const struct release_context *context, const struct deploy_request *request, struct document *document,
	struct value *changes, struct err *err) {
	if (context->target->diff)
		return context->target->diff(context->target_state, &request->revision, request->objects, document, changes, err);
	AUTO_DOCUMENT struct document *record = NULL;
	if (live_record(context, &record, err) != 0)
		return -1;
	compare_objects(context, record ? value_get(record->root, "objects") : NULL, request->objects, document, changes);
	return 0;
}

int planned_write(const struct release_context *context, const struct deploy_request *request, const struct release_plan *plan,
	struct document *document, struct value *root, struct err *err) {
	AUTO_DOCUMENT struct document *record = NULL;
	AUTO_DOCUMENT struct document *scratch = document_new("now");
	struct planned now;
	char created[CLOCK_TEXT_MAX];
	if (live_record(context, &record, err) != 0 || digests_of(request, &now, err) != 0)
		return -1;
	const struct value *was = record ? record->root : NULL;
	value_add_text(document, root, "service", context->service);
	value_add_text(document, root, "env", context->env);
	value_add_text(document, root, "target", context->target->name);
	value_add_text(document, root, "kind", kind_words[plan->kind]);
	value_add_text(document, root, "text", plan->text);
	add_text(document, root, "fix", plan->fix);
	value_add_int(document, root, "release", plan->n);
	value_add_int(document, root, "good", plan->from);
	value_add_int(document, root, "generation", plan->generation);
	value_add_text(document, root, "image_digest", now.image.text);
	add_text(document, root, "settings_digest", now.settings.text);
	add_text(document, root, "objects_digest", now.objects.text);
	add_text(document, root, "golden_digest", now.golden.text);
	const struct value *image = value_add_text(scratch, value_root_object(scratch), "image", now.image.text);
	add_pair(document, root, "image", value_find(was, "image.manifest"), image);
	if (request->facts) { /* an image that another job built is known by its digest only */
		add_pair(document, root, "model", value_find(was, "facts.model.digest"), value_find(request->facts, "model.digest"));
		add_pair(document, root, "commit", value_find(was, "facts.commit"), value_find(request->facts, "commit"));
	}
	struct value *settings = value_add_array(document, root, "settings");
	if (was)
		value_diff(document, settings, value_get(was, "settings"), request->settings);
	struct value *objects = value_add_array(document, root, "objects");
	value_add_text(document, root, "created", clock_text(clock_wall_s(context->clock), created));
	add_text(document, root, "created_by", context->actor);
	return planned_objects(context, request, document, objects, err);
}

bool planned_has_changes(const struct value *root) {
	const struct value *kind = value_get(root, "kind"), *objects = value_get(root, "objects");
	return !kind || !str_is(kind->text, kind_words[PLAN_UNCHANGED]) || (objects && objects->count > 0);
}

/* "" or null: none. */
static int opt_digest(const struct value *root, const char *key, struct digest *out, struct err *err) {
	struct str text;
	*out = (struct digest){0};
	if (value_opt_str(root, key, STR(""), &text, err) != 0)
		return -1;
	return text.len ? digest_parse(text, out, err) : 0;
}

static int opt_text(const struct value *root, const char *key, char *out, size_t size, struct err *err) {
	struct str text;
	if (value_opt_str(root, key, STR(""), &text, err) != 0)
		return -1;
	AUTO_FREE char *copy = str_dup(text);
	head_text(out, size, copy);
	return 0;
}

static int parse_members(const struct value *root, struct planned *out, struct err *err) {
	struct str schema, kind, image;
	if (value_need_str(root, "schema", &schema, err) != 0)
		return -1;
	if (!str_is(schema, "mlctl.plan/1")) {
		err_set(err, ERR_INVALID, "schema %.*s: must be mlctl.plan/1", STR_ARGS(schema));
		return err_fix(err, "mlctl plan --output FILE makes one");
	}
	if (value_need_str(root, "kind", &kind, err) != 0 || value_need_str(root, "image_digest", &image, err) != 0 ||
		digest_parse(image, &out->image, err) != 0 || value_need_int(root, "generation", &out->generation, err) != 0 ||
		value_opt_int(root, "good", 0, &out->good, err) != 0 || opt_digest(root, "settings_digest", &out->settings, err) != 0 ||
		opt_digest(root, "objects_digest", &out->objects, err) != 0 || opt_digest(root, "golden_digest", &out->golden, err) != 0 ||
		opt_text(root, "service", out->service, sizeof(out->service), err) != 0 ||
		opt_text(root, "env", out->env, sizeof(out->env), err) != 0 ||
		opt_text(root, "created_by", out->created_by, sizeof(out->created_by), err) != 0)
		return -1;
	for (size_t i = 0; i <= PLAN_RESUME; i++)
		if (str_is(kind, kind_words[i])) {
			out->kind = (enum plan_kind) i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "kind %.*s: is nothing that a deploy does", STR_ARGS(kind));
}

int planned_parse(const char *name, struct str text, struct planned *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct value_limits limits = {PLANNED_BYTES_MAX, 500000, 128};
	struct planned planned = {0};
	if (json_read(name, text, limits, &document, err) != 0)
		return -1;
	if (parse_members(document->root, &planned, err) != 0)
		return err_wrap(err, "%s", name);
	*out = planned;
	return 0;
}

static int stale(struct err *err, const char *what, const char *then, const char *now) {
	err_set(err, ERR_CONFLICT, "the plan is stale: it was made for %s %s, now it is %s", what, then[0] ? then : "none",
		now[0] ? now : "none");
	return err_fix(err, "mlctl plan --output FILE   (looks again)");
}

int planned_check(
	const struct planned *planned, const struct release_context *context, const struct deploy_request *request, struct err *err) {
	struct planned now;
	if (strcmp(planned->service, context->service) != 0)
		return stale(err, "service", planned->service, context->service);
	if (strcmp(planned->env, context->env) != 0)
		return stale(err, "environment", planned->env, context->env);
	if (digests_of(request, &now, err) != 0)
		return -1;
	const struct {
		const char *what;
		const struct digest *then, *now;
	} pairs[] = {{"image", &planned->image, &now.image}, {"settings", &planned->settings, &now.settings},
		{"golden examples", &planned->golden, &now.golden}, {"objects", &planned->objects, &now.objects}};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(pairs[i].then->text, pairs[i].now->text) != 0)
			return stale(err, pairs[i].what, pairs[i].then->text, pairs[i].now->text);
	return 0;
}
