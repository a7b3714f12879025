#include "data/value.h"

#include "data/tree.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

struct document *document_new(const char *name) {
	struct document *document = NEW(struct document);
	document->name = arena_text_n(&document->memory, name, strlen(name));
	return document;
}

void document_free(struct document *document) {
	if (!document)
		return;
	arena_clear(&document->memory);
	free(document);
}

struct value *value_new(struct document *document, enum value_kind kind) {
	struct value *node = arena_alloc(&document->memory, sizeof(*node));
	if (node)
		node->kind = kind;
	return node;
}

void value_append(struct value *parent, struct value *child) {
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

static int compare_keys(const void *a, const void *b) {
	const struct value *x = *(const struct value *const *) a, *y = *(const struct value *const *) b;
	size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int order = n ? memcmp(x->key.ptr, y->key.ptr, n) : 0;
	return order ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

/* glibc's qsort is a merge sort, and so stable, as long as a quarter of the memory holds the array. */
const struct value **value_sorted(const struct value *object) {
	if (!object->count)
		return NULL;
	const struct value **members = mem_zero(object->count, sizeof(struct value *));
	size_t n = 0;
	value_each(member, object) members[n++] = member;
	qsort(members, n, sizeof(struct value *), compare_keys);
	return members;
}

#define PAIRWISE_MAX 12

const struct value *value_duplicate(const struct value *object, const struct value **first) {
	if (object->count <= PAIRWISE_MAX) {
		value_each(member, object) {
			for (const struct value *before = object->first; before != member; before = before->next)
				if (str_equal(before->key, member->key)) {
					*first = before;
					return member;
				}
		}
		return NULL;
	}
	AUTO_FREE const struct value **members = value_sorted(object);
	for (size_t i = 1; i < object->count; i++)
		if (str_equal(members[i - 1]->key, members[i]->key)) {
			*first = members[i - 1];
			return members[i];
		}
	return NULL;
}

static const struct value *get(const struct value *object, struct str key) {
	if (!object || object->kind != VALUE_OBJECT)
		return NULL;
	value_each(member, object) if (str_equal(member->key, key)) return member;
	return NULL;
}

const struct value *value_get(const struct value *object, const char *key) {
	return get(object, str_of(key));
}

const struct value *value_at(const struct value *array, size_t index) {
	if (!array || array->kind != VALUE_ARRAY)
		return NULL;
	value_each(item, array) if (index-- == 0) return item;
	return NULL;
}

const struct value *value_find(const struct value *v, const char *path) {
	struct str rest = str_of(path);
	while (v && rest.ptr)
		v = get(v, str_cut(rest, '.', &rest));
	return v;
}

static const char *const kind_names[] = {
	[VALUE_NULL] = "null",
	[VALUE_BOOL] = "true or false",
	[VALUE_NUMBER] = "a number",
	[VALUE_STRING] = "text",
	[VALUE_ARRAY] = "a list",
	[VALUE_OBJECT] = "an object",
};

/* The node of the wanted kind; NULL in *out when it is missing or null and need not be there. */
static int look_up(
	const struct value *v, const char *path, enum value_kind kind, bool is_needed, const struct value **out, struct err *err) {
	const struct value *found = value_find(v, path);
	if (!found || found->kind == VALUE_NULL) {
		*out = NULL;
		return is_needed ? err_set(err, ERR_INVALID, "%s: %s, it must be %s", path, found ? "null" : "missing", kind_names[kind])
				 : 0;
	}
	if (found->kind != kind)
		return err_set(err, ERR_INVALID, "%s: is %s, it must be %s", path, kind_names[found->kind], kind_names[kind]);
	*out = found;
	return 0;
}

int value_need_str(const struct value *v, const char *path, struct str *out, struct err *err) {
	const struct value *found;
	if (look_up(v, path, VALUE_STRING, true, &found, err) != 0)
		return -1;
	*out = found->text;
	return 0;
}

int value_opt_str(const struct value *v, const char *path, struct str fallback, struct str *out, struct err *err) {
	const struct value *found;
	if (look_up(v, path, VALUE_STRING, false, &found, err) != 0)
		return -1;
	*out = found ? found->text : fallback;
	return 0;
}

static int read_int(const struct value *found, const char *path, int64_t *out, struct err *err) {
	if (num_int(found->text, INT64_MIN, INT64_MAX, out) != 0)
		return err_set(err, ERR_INVALID, "%s: %.*s is not a whole number of 64 bits", path, STR_ARGS(found->text));
	return 0;
}

int value_need_int(const struct value *v, const char *path, int64_t *out, struct err *err) {
	const struct value *found;
	return look_up(v, path, VALUE_NUMBER, true, &found, err) != 0 ? -1 : read_int(found, path, out, err);
}

int value_opt_int(const struct value *v, const char *path, int64_t fallback, int64_t *out, struct err *err) {
	const struct value *found;
	if (look_up(v, path, VALUE_NUMBER, false, &found, err) != 0)
		return -1;
	if (found)
		return read_int(found, path, out, err);
	*out = fallback;
	return 0;
}

int value_opt_double(const struct value *v, const char *path, double fallback, double *out, struct err *err) {
	const struct value *found;
	if (look_up(v, path, VALUE_NUMBER, false, &found, err) != 0)
		return -1;
	double number = fallback;
	if (found && num_double(found->text, &number) != 0)
		return err_set(err, ERR_INVALID, "%s: %.*s is too large for a number", path, STR_ARGS(found->text));
	*out = number;
	return 0;
}

int value_opt_bool(const struct value *v, const char *path, bool fallback, bool *out, struct err *err) {
	const struct value *found;
	if (look_up(v, path, VALUE_BOOL, false, &found, err) != 0)
		return -1;
	*out = found ? found->boolean : fallback;
	return 0;
}

static bool is_same_leaf(const struct value *a, const struct value *b) {
	if (a->kind != b->kind || a->count != b->count)
		return false;
	return a->kind == VALUE_BOOL ? a->boolean == b->boolean : str_equal(a->text, b->text);
}

/* Two trees are walked in step; members are compared by name, so each step looks its partner up. */
bool value_equal(const struct value *a, const struct value *b) {
	if (!a || !b || !is_same_leaf(a, b))
		return a == b;
	const struct value *mine[VALUE_DEPTH_MAX], *theirs[VALUE_DEPTH_MAX], *partner[VALUE_DEPTH_MAX];
	size_t depth = 0;
	mine[0] = a->first;
	theirs[0] = b;
	partner[0] = b->first;
	for (;;) {
		const struct value *x = mine[depth];
		if (!x) {
			if (depth-- == 0)
				return true;
			continue;
		}
		const struct value *y = partner[depth];
		if (theirs[depth]->kind == VALUE_OBJECT && !(y && str_equal(x->key, y->key)))
			y = get(theirs[depth], x->key);
		if (!y || !is_same_leaf(x, y))
			return false;
		mine[depth] = x->next;
		partner[depth] = y->next;
		if (x->first) {
			depth++;
			assert(depth < VALUE_DEPTH_MAX);
			mine[depth] = x->first;
			theirs[depth] = y;
			partner[depth] = y->first;
		}
	}
}

/* Building: small allocations, so no memory is the end, as everywhere else. */
static struct value *node(struct document *document, enum value_kind kind) {
	struct value *made = value_new(document, kind);
	if (!made)
		abort();
	return made;
}

static struct str keep(struct document *document, struct str text) {
	const char *copy = arena_text_n(&document->memory, text.ptr, text.len);
	if (!copy)
		abort();
	return (struct str){copy, text.len};
}

static struct value *add(struct document *document, struct value *parent, const char *key, enum value_kind kind) {
	assert(parent->kind == (key ? VALUE_OBJECT : VALUE_ARRAY));
	struct value *made = node(document, kind);
	if (key)
		made->key = keep(document, str_of(key));
	value_append(parent, made);
	return made;
}

struct value *value_root_object(struct document *document) {
	return document->root = node(document, VALUE_OBJECT);
}

struct value *value_root_array(struct document *document) {
	return document->root = node(document, VALUE_ARRAY);
}

struct value *value_add_object(struct document *document, struct value *parent, const char *key) {
	return add(document, parent, key, VALUE_OBJECT);
}

struct value *value_add_array(struct document *document, struct value *parent, const char *key) {
	return add(document, parent, key, VALUE_ARRAY);
}

struct value *value_add_str(struct document *document, struct value *parent, const char *key, struct str text) {
	struct value *made = add(document, parent, key, VALUE_STRING);
	made->text = keep(document, text);
	return made;
}

void value_set_str(struct document *document, struct value *value, struct str text) {
	value->text = keep(document, text);
}

void value_set_int(struct document *document, struct value *value, int64_t number) {
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long) number);
	value_set_str(document, value, (struct str){text, (size_t) n});
}

struct value *value_add_text(struct document *document, struct value *parent, const char *key, const char *text) {
	return text ? value_add_str(document, parent, key, str_of(text)) : value_add_null(document, parent, key);
}

struct value *value_add_int(struct document *document, struct value *parent, const char *key, int64_t number) {
	struct value *made = add(document, parent, key, VALUE_NUMBER);
	value_set_int(document, made, number);
	return made;
}

/* The shortest text that reads back as the same number; JSON has no NaN and no infinity, so those are null. */
struct value *value_add_double(struct document *document, struct value *parent, const char *key, double number) {
	if (!isfinite(number))
		return value_add_null(document, parent, key);
	char text[40];
	int n = 0;
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, number);
		double back = strtod(text, NULL);
		if (memcmp(&back, &number, sizeof(back)) == 0)
			break;
	}
	struct value *made = add(document, parent, key, VALUE_NUMBER);
	made->text = keep(document, (struct str){text, (size_t) n});
	return made;
}

struct value *value_add_bool(struct document *document, struct value *parent, const char *key, bool boolean) {
	struct value *made = add(document, parent, key, VALUE_BOOL);
	made->boolean = boolean;
	return made;
}

struct value *value_add_null(struct document *document, struct value *parent, const char *key) {
	return add(document, parent, key, VALUE_NULL);
}

/* One node without its children. */
static struct value *copy_leaf(struct document *document, const struct value *from, bool has_key) {
	struct value *made = node(document, from->kind);
	made->boolean = from->boolean;
	made->at = from->at;
	if (from->text.ptr)
		made->text = keep(document, from->text);
	if (has_key) {
		made->key = keep(document, from->key);
		made->key_at = from->key_at;
	}
	return made;
}

static void copy_children(struct document *document, struct value *to, const struct value *from) {
	const struct value *next[VALUE_DEPTH_MAX];
	struct value *into[VALUE_DEPTH_MAX];
	size_t depth = 0;
	next[0] = from->first;
	into[0] = to;
	for (;;) {
		const struct value *child = next[depth];
		if (!child) {
			if (depth-- == 0)
				return;
			continue;
		}
		next[depth] = child->next;
		struct value *made = copy_leaf(document, child, into[depth]->kind == VALUE_OBJECT);
		value_append(into[depth], made);
		if (child->first) {
			depth++;
			assert(depth < VALUE_DEPTH_MAX);
			next[depth] = child->first;
			into[depth] = made;
		}
	}
}

struct value *value_add_copy(struct document *document, struct value *parent, const char *key, const struct value *from) {
	assert(parent->kind == (key ? VALUE_OBJECT : VALUE_ARRAY));
	struct value *made = copy_leaf(document, from, false);
	if (key)
		made->key = keep(document, str_of(key));
	made->key_at = from->key_at;
	copy_children(document, made, from);
	value_append(parent, made);
	return made;
}

/* One level of a merge: what is still to come of base, then of patch. */
struct level {
	const struct value *base, *patch, *next;
	bool is_in_patch;
	struct value *into;
};

/* The member that comes next and what patches it; NULL when the level is done. A patch that is not an object replaces. */
static const struct value *next_member(struct level *level, const struct value **patch) {
	while (level->next || !level->is_in_patch) {
		if (!level->next) {
			level->is_in_patch = true;
			level->next = level->patch->first;
			continue;
		}
		const struct value *member = level->next;
		level->next = member->next;
		if (level->is_in_patch) {
			*patch = member;
			if (member->kind != VALUE_NULL && !get(level->base, member->key))
				return member;
			continue;
		}
		*patch = get(level->patch, member->key);
		if (!*patch || (*patch)->kind != VALUE_NULL)
			return member;
	}
	return NULL;
}

static struct level open_level(struct value *into, const struct value *base, const struct value *patch) {
	bool has_base = base && base->kind == VALUE_OBJECT;
	return (struct level){.base = has_base ? base : NULL, .patch = patch, .next = has_base ? base->first : NULL, .into = into};
}

struct value *value_merge(struct document *document, const struct value *base, const struct value *patch) {
	struct value *root = copy_leaf(document, patch ? patch : base, false);
	if (!document->root)
		document->root = root;
	if (!patch || patch->kind != VALUE_OBJECT) {
		copy_children(document, root, patch ? patch : base);
		return root;
	}
	if (base && base->kind == VALUE_OBJECT)
		root->at = base->at;
	struct level levels[VALUE_DEPTH_MAX];
	size_t depth = 0;
	levels[0] = open_level(root, base, patch);
	for (;;) {
		const struct value *change = NULL, *member = next_member(&levels[depth], &change);
		if (!member) {
			if (depth-- == 0)
				return root;
			continue;
		}
		const struct value *from = change ? change : member;
		struct value *made = copy_leaf(document, from, true);
		value_append(levels[depth].into, made);
		if (from->kind == VALUE_OBJECT && change) {
			/* Also when nothing stands below it: nulls inside a new object remove themselves. */
			const struct value *below = member == change ? NULL : member;
			depth++;
			assert(depth < VALUE_DEPTH_MAX);
			levels[depth] = open_level(made, below, change);
		} else {
			copy_children(document, made, from);
		}
	}
}
