#include "kube/drift.h"

#include "data/tree.h"
#include "kube/schema_check.h"
#include "kube/wire.h"

#define PATH_BYTES_MAX ((size_t) 1024)
#define DEPTH_MAX 64 /* what lies deeper is not looked at: no object that we make does */

struct pair { /* two containers of one kind, and how far the first one's children are compared */
	const struct value *made, *live, *next;
	size_t index, path_len;
};

static bool is_container(const struct value *v) {
	return v->kind == VALUE_OBJECT || v->kind == VALUE_ARRAY;
}

/* Nothing, and what the server drops because it says nothing. */
static bool says_nothing(const struct value *v) {
	return v->kind == VALUE_NULL || (is_container(v) && !v->count);
}

static bool is_same_scalar(const struct value *made, const struct value *live) {
	struct schema_quantity a, b;
	if (value_equal(made, live))
		return true;
	return schema_quantity_of(made, &a) == 0 && schema_quantity_of(live, &b) == 0 && a.nano == b.nano;
}

static struct str name_of(const struct value *element) {
	const struct value *name = element->kind == VALUE_OBJECT ? value_get(element, "name") : NULL;
	return name && name->kind == VALUE_STRING ? name->text : (struct str) {"", 0};
}

/* The child's counterpart; the step to it is added to the path. */
static const struct value *partner(const struct pair *pair, const struct value *child, struct buf *path) {
	path->len = pair->path_len;
	if (pair->made->kind == VALUE_OBJECT) {
		bool is_plain = child->key.len && !memchr(child->key.ptr, '.', child->key.len) && !memchr(child->key.ptr, '/', child->key.len);
		buf_format(path, is_plain ? "%s%.*s" : "%s[%.*s]", is_plain && path->len ? "." : "", STR_ARGS(child->key));
		value_each(member, pair->live)
			if (str_equal(member->key, child->key))
				return member;
		return NULL;
	}
	struct str name = name_of(child);
	if (!name.len) {
		buf_format(path, "[%zu]", pair->index);
		return value_at(pair->live, pair->index);
	}
	buf_format(path, "[%.*s]", STR_ARGS(name));
	value_each(element, pair->live)
		if (str_equal(name_of(element), name))
			return element;
	return NULL;
}

static void add(const struct value *made, const struct value *live, bool is_hidden, struct buf *path, struct texts *out) {
	AUTO_BUF struct buf text = BUF(PATH_BYTES_MAX * 2);
	buf_str(&text, buf_view(path));
	buf_text(&text, ": ");
	kube_show(made, is_hidden, &text);
	buf_text(&text, ", there ");
	kube_show(live, is_hidden, &text);
	texts_add(out, buf_view(&text).ptr);
}

void kube_drift(const struct value *made, const struct value *live, struct texts *out) {
	struct pair pairs[DEPTH_MAX];
	AUTO_BUF struct buf path = BUF(PATH_BYTES_MAX);
	size_t depth = 1, most = out->count + KUBE_DRIFTS_MAX;
	const struct value *kind = value_get(made, "kind");
	bool is_secret = kind && kind->kind == VALUE_STRING && str_is(kind->text, "Secret");
	if (made->kind != VALUE_OBJECT || live->kind != VALUE_OBJECT)
		return;
	pairs[0] = (struct pair) {.made = made, .live = live, .next = made->first};
	while (depth && out->count < most) {
		struct pair *pair = &pairs[depth - 1];
		const struct value *child = pair->next;
		if (!child) {
			depth--;
			continue;
		}
		const struct value *there = partner(pair, child, &path);
		pair->next = child->next;
		pair->index++;
		path.failed = false; /* one that is too long is cut */
		if (says_nothing(child) && (!there || says_nothing(there)))
			continue;
		if (there && is_container(child) && there->kind == child->kind) {
			if (depth < DEPTH_MAX)
				pairs[depth++] = (struct pair) {.made = child, .live = there, .next = child->first, .path_len = path.len};
		} else if (!there || is_container(child) || is_container(there) || !is_same_scalar(child, there)) {
			add(child, there, is_secret, &path, out);
		}
	}
}
