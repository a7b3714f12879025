/* Two trees compared, member by member: what a person is shown before something is changed. */
#include "data/tree.h"

#include <assert.h>

#define PATH_BYTES_MAX ((size_t) 8192)

struct diffing {
	struct document *document;
	struct value *changes;
	struct buf path;
};

struct pair {			       /* two containers of one kind, and how far their children are compared */
	const struct value *from, *to; /* the containers */
	const struct value *next;      /* the child of `from`, then of `to`, that is looked at next */
	bool is_second;		       /* the children of `from` are done: which of `to` are new? */
	size_t index, path_len;
};

static bool is_plain(struct str key) {
	for (size_t i = 0; i < key.len; i++)
		if (!ascii_is_alnum(key.ptr[i]) && key.ptr[i] != '_' && key.ptr[i] != '-')
			return false;
	return key.len > 0;
}

/* "a.b[0]["x/y"]": a name with a dot or a slash in it is quoted, so that a path says one thing only. */
static void add_step(struct buf *path, const struct pair *pair, struct str key) {
	if (pair->from->kind == VALUE_ARRAY) {
		buf_format(path, "[%zu]", pair->index);
	} else if (is_plain(key)) {
		if (path->len)
			buf_char(path, '.');
		buf_str(path, key);
	} else {
		buf_char(path, '[');
		json_quote(path, key);
		buf_char(path, ']');
	}
}

static void add_change(struct diffing *diffing, const struct value *from, const struct value *to) {
	struct value *change = value_add_object(diffing->document, diffing->changes, NULL);
	struct str path = buf_view(&diffing->path);
	value_add_str(diffing->document, change, "path", path);
	if (from)
		value_add_copy(diffing->document, change, "from", from);
	if (to)
		value_add_copy(diffing->document, change, "to", to);
}

static bool is_container(const struct value *v) {
	return v->kind == VALUE_OBJECT || v->kind == VALUE_ARRAY;
}

static const struct value *partner_of(const struct pair *pair, const struct value *container, const struct value *child) {
	if (container->kind == VALUE_ARRAY)
		return value_at(container, pair->index);
	value_each(member, container) if (str_equal(member->key, child->key)) return member;
	return NULL;
}

static struct pair open_pair(const struct value *from, const struct value *to, size_t path_len) {
	return (struct pair){.from = from, .to = to, .next = from->first, .path_len = path_len};
}

/* The next child of the pair that differs, noted; true: both are containers of one kind, to be looked into. */
static bool look_at(struct diffing *diffing, struct pair *pair, const struct value **from, const struct value **to) {
	const struct value *child = pair->next;
	const struct value *other = partner_of(pair, pair->is_second ? pair->from : pair->to, child);
	pair->next = child->next;
	*from = pair->is_second ? other : child;
	*to = pair->is_second ? child : other;
	diffing->path.len = pair->path_len;
	diffing->path.failed = false; /* a path that is too long is cut */
	add_step(&diffing->path, pair, child->key);
	pair->index++;
	if (pair->is_second && *from) /* seen from the other side */
		return false;
	if (*from && *to && (*from)->kind == (*to)->kind && is_container(*from))
		return true;
	if (!value_equal(*from, *to))
		add_change(diffing, *from, *to);
	return false;
}

void value_diff(struct document *document, struct value *changes, const struct value *from, const struct value *to) {
	struct diffing diffing = {.document = document, .changes = changes, .path = BUF(PATH_BYTES_MAX)};
	if (!from || !to || from->kind != to->kind || !is_container(from)) {
		if (!value_equal(from, to))
			add_change(&diffing, from, to);
		buf_clear(&diffing.path);
		return;
	}
	struct pair pairs[VALUE_DEPTH_MAX];
	size_t depth = 0;
	pairs[0] = open_pair(from, to, 0);
	for (;;) {
		struct pair *pair = &pairs[depth];
		if (!pair->next && !pair->is_second) {
			pair->is_second = true;
			pair->next = pair->to->first;
			pair->index = 0;
		}
		if (!pair->next && depth == 0)
			break;
		if (!pair->next) {
			depth--;
			continue;
		}
		const struct value *before, *after;
		if (!look_at(&diffing, pair, &before, &after))
			continue;
		depth++;
		assert(depth < VALUE_DEPTH_MAX);
		pairs[depth] = open_pair(before, after, diffing.path.len);
	}
	buf_clear(&diffing.path);
}
