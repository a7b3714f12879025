#include "tmpl/tmpl.h"

#include "data/tree.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES_MAX ((size_t) 1024 * 1024)
#define PATH_BYTES_MAX ((size_t) 2048)
#define NAMES_SHOWN_MAX 40

struct scope { /* what an $as names, from the innermost out */
	struct str name;
	const struct value *value;
	const char *from; /* its path in the input; NULL when nobody wants origins */
	bool is_pair;	  /* of a mapping's member: "key" and "value" are no part of that path */
	const struct scope *up;
};

struct slot { /* where a result goes */
	struct value *parent;
	struct str key; /* when parent is a mapping */
};

enum step_kind {
	STEP_CHILDREN, /* of a mapping or a list: next is the template's */
	STEP_EACH,     /* next is the input's */
	STEP_MERGE,    /* as CHILDREN, but what was made is merged in the end */
	STEP_TEXT,
};
struct step {
	enum step_kind kind;
	const char *file;
	const struct value *node, *next, *body;
	struct value *into;
	struct slot slot; /* MERGE, TEXT: where the result goes */
	const struct scope *scope;
	struct str name; /* EACH: $as */
	const char *from;
	size_t index;
	bool is_mapping;
};

struct source { /* what set a node; a node's place is an index into these while rendering with origins */
	const char *file;
	struct place place;
	const char *from;
	struct place from_place;
};

struct renderer {
	const struct tmpl_source *source;
	const char *file; /* the template that the node at hand is in; the document's, or the caller's */
	struct tmpl_parsed own; /* where the caller keeps none */
	size_t included_count;
	struct document *document;
	struct tmpl_origins *origins; /* NULL: nobody wants them */
	struct source *sources;
	size_t source_count, source_room, nodes, steps_taken, bytes_before; /* the last: what the document held already */
	struct step steps[TMPL_DEPTH_MAX];
	size_t depth;
	struct value *collected; /* holds the whole result */
	struct err *err;
};

struct found { /* a path's value and where it is */
	const struct value *value;
	const char *from;
};

static int fail(struct renderer *r, const struct value *node, const struct value *value, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int fail(struct renderer *r, const struct value *node, const struct value *value, const char *format, ...) {
	char text[ERR_MESSAGE_MAX], where[ERR_AT_MAX] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *file = r->source->input_name;
	if (value && value->at.line && file)
		snprintf(where, sizeof(where), " (the value is set in %s:%d:%d)", file, value->at.line, value->at.column);
	err_set(r->err, ERR_INVALID, "%s%s", text, where);
	return err_at(r->err, "%s:%d:%d", r->file, node->at.line, node->at.column);
}

static const char *keep(struct renderer *r, const char *text, size_t len) {
	const char *copy = arena_text_n(&r->document->memory, text, len);
	return copy ? copy : "";
}

static const char *keep_path(struct renderer *r, const char *from, struct str rest) {
	if (!r->origins || !from)
		return NULL;
	AUTO_BUF struct buf path = BUF(PATH_BYTES_MAX);
	buf_format(&path, "%s%s%.*s", from, *from && rest.len ? "." : "", STR_ARGS(rest));
	return path.failed ? from : keep(r, path.ptr, path.len);
}

/* The place that a node gets: the template's own, or the number of its source. */
static struct place remember(struct renderer *r, const struct value *node, const char *from, struct place from_place) {
	if (!r->origins)
		return node->at;
	if (r->source_count == r->source_room) {
		r->source_room = r->source_room ? r->source_room * 2 : 256;
		r->sources = mem_resize(r->sources, r->source_room, sizeof(*r->sources));
	}
	r->sources[r->source_count++] = (struct source) {r->file, node->at, from, from_place};
	return (struct place) {(int) r->source_count, 0};
}

static int check_bytes(struct renderer *r, const struct value *node) {
	if (r->document->memory.used_bytes - r->bytes_before <= TMPL_BYTES_MAX)
		return 0;
	return fail(r, node, NULL, "it takes more than %zu MiB of memory", TMPL_BYTES_MAX / 1024 / 1024);
}

static struct value *make(struct renderer *r, const struct value *node, enum value_kind kind, struct place at) {
	if (check_bytes(r, node) != 0)
		return NULL;
	struct value *made = ++r->nodes > TMPL_NODES_MAX ? NULL : value_new(r->document, kind);
	if (!made) {
		fail(r, node, NULL, "it makes more than %d values", TMPL_NODES_MAX);
		return NULL;
	}
	made->at = at;
	return made;
}

static void put(struct slot slot, struct value *made) {
	if (slot.parent->kind == VALUE_OBJECT)
		made->key = slot.key;
	value_append(slot.parent, made);
}

static const struct value *member(const struct value *object, struct str key) {
	if (!object || object->kind != VALUE_OBJECT)
		return NULL;
	value_each(one, object) if (str_equal(one->key, key)) return one;
	return NULL;
}

static int fail_missing(struct renderer *r, const struct value *node, const struct value *parent, struct str path, struct str part) {
	const char *names[NAMES_SHOWN_MAX];
	char known[400] = "";
	size_t count = 0, used = 0;
	AUTO_TEXTS struct texts kept = {0};
	value_each(one, parent && parent->kind == VALUE_OBJECT ? parent : NULL) {
		if (count == NAMES_SHOWN_MAX)
			break;
		AUTO_FREE char *name = str_dup(one->key);
		texts_add(&kept, name);
		names[count] = kept.items[count];
		if (used < sizeof(known))
			used += (size_t) snprintf(known + used, sizeof(known) - used, "%s%s", count ? ", " : "", names[count]);
		count++;
	}
	AUTO_FREE char *word = str_dup(part);
	const char *near = count ? text_nearest(word, names, count) : NULL;
	if (near)
		return fail(r, node, NULL, "%.*s: there is no \"%s\", did you mean %s?", STR_ARGS(path), word, near);
	if (count)
		return fail(r, node, NULL, "%.*s: there is no \"%s\", what there is: %s", STR_ARGS(path), word, known);
	return fail(r, node, parent, "%.*s: there is no \"%s\", nothing is below it", STR_ARGS(path), word);
}

/* Does the path, without a '?', say nothing but names? */
static bool is_path(struct str path) {
	for (size_t i = 0; i < path.len; i++)
		if (!ascii_is_alnum(path.ptr[i]) && !memchr("._-", path.ptr[i], 3))
			return false;
	return path.len > 0;
}

/* out->value NULL: not there, and that is fine. is_asked: it always is. */
static int look_up(struct renderer *r, const struct value *node, struct str path, const struct scope *scope, bool is_asked, struct found *out) {
	struct str text = path, rest, part;
	if (text.len && text.ptr[text.len - 1] == '?') {
		is_asked = true;
		text.len--;
	}
	if (!is_path(text))
		return fail(r, node, NULL, "\"%.*s\" is not a path: names with dots between them, as in scale.min", STR_ARGS(path));
	part = str_cut(text, '.', &rest);
	const struct value *parent = r->source->input, *value = NULL;
	while (scope && !str_equal(scope->name, part))
		scope = scope->up;
	value = scope ? scope->value : member(parent, part);
	const char *base = scope ? scope->from : "";
	struct str below = scope ? rest : text;
	if (scope && scope->is_pair)
		str_cut(rest, '.', &below);
	while (value && rest.ptr) {
		part = str_cut(rest, '.', &rest);
		parent = value;
		value = member(parent, part);
	}
	if (!value && !is_asked)
		return fail_missing(r, node, parent, text, part);
	*out = (struct found) {value, value ? keep_path(r, base, below) : NULL};
	return 0;
}

static bool holds(const struct value *value) {
	double number;
	if (!value)
		return false;
	switch (value->kind) {
	case VALUE_NULL:
		return false;
	case VALUE_BOOL:
		return value->boolean;
	case VALUE_NUMBER:
		return num_double(value->text, &number) != 0 || number < 0 || number > 0;
	case VALUE_STRING:
		return value->text.len > 0;
	default:
		return value->count > 0;
	}
}

static struct str scalar_text(const struct value *value) {
	if (value->kind == VALUE_BOOL)
		return value->boolean ? STR("true") : STR("false");
	return value->kind == VALUE_NULL ? STR("") : value->text;
}

static bool is_scalar(const struct value *value) {
	return value->kind != VALUE_ARRAY && value->kind != VALUE_OBJECT;
}

static struct value *copy_one(struct renderer *r, const struct value *node, const struct value *value, const char *from) {
	struct value *made = make(r, node, value->kind, remember(r, node, from, value->key_at.line ? value->key_at : value->at));
	if (!made)
		return NULL;
	made->boolean = value->boolean;
	if (value->text.ptr)
		made->text = (struct str) {keep(r, value->text.ptr, value->text.len), value->text.len};
	return made;
}

/* The value as it is, however deep; what it holds is never read as an instruction. */
static int copy(struct renderer *r, const struct value *node, struct found found, struct slot slot) {
	struct {
		const struct value *next;
		struct value *into;
		const char *from;
		size_t index;
	} levels[VALUE_DEPTH_MAX - TMPL_DEPTH_MAX];
	struct value *made = copy_one(r, node, found.value, found.from);
	if (!made)
		return -1;
	put(slot, made);
	size_t depth = 0;
	levels[0].next = found.value->first;
	levels[0].into = made;
	levels[0].from = found.from;
	levels[0].index = 0;
	for (;;) {
		const struct value *child = levels[depth].next;
		if (!child) {
			if (depth-- == 0)
				return 0;
			continue;
		}
		bool is_member = levels[depth].into->kind == VALUE_OBJECT;
		char number[32];
		snprintf(number, sizeof(number), "%zu", levels[depth].index++);
		const char *from = keep_path(r, levels[depth].from, is_member ? child->key : str_of(number));
		made = copy_one(r, node, child, from);
		if (!made)
			return -1;
		struct str key = is_member ? (struct str) {keep(r, child->key.ptr, child->key.len), child->key.len} : (struct str) {0};
		put((struct slot) {levels[depth].into, key}, made);
		levels[depth].next = child->next;
		if (!child->first)
			continue;
		if (++depth == sizeof(levels) / sizeof(levels[0]))
			return fail(r, node, child, "the value is nested too deep");
		levels[depth].next = child->first;
		levels[depth].into = made;
		levels[depth].from = from;
		levels[depth].index = 0;
	}
}

struct filled {
	struct buf text;
	const char *from; /* the first path that has a place, else the first path */
	struct place from_place;
};

/* "a ${b.c} d": the text with what the paths say. */
static int fill(struct renderer *r, const struct value *node, const struct scope *scope, struct filled *out) {
	struct str text = node->text;
	for (size_t i = 0; i < text.len;) {
		struct str rest = {text.ptr + i, text.len - i};
		if (str_starts(rest, "$${")) {
			buf_text(&out->text, "${");
			i += 3;
			continue;
		}
		if (!str_starts(rest, "${")) {
			buf_char(&out->text, text.ptr[i++]);
			continue;
		}
		const char *end = memchr(rest.ptr, '}', rest.len);
		if (!end)
			return fail(r, node, NULL, "a \"${\" without its \"}\": write $${ for the two characters");
		struct found found = {0};
		struct str path = {rest.ptr + 2, (size_t) (end - rest.ptr) - 2};
		if (look_up(r, node, path, scope, false, &found) != 0)
			return -1;
		if (found.value && !is_scalar(found.value))
			return fail(r, node, found.value, "%.*s is a %s, in a text it must be a scalar: write {$: %.*s}", STR_ARGS(path),
				found.value->kind == VALUE_ARRAY ? "list" : "mapping", STR_ARGS(path));
		if (found.value)
			buf_str(&out->text, scalar_text(found.value));
		if (found.from && (!out->from || (!out->from_place.line && found.value->at.line))) {
			out->from = found.from;
			out->from_place = found.value->key_at.line ? found.value->key_at : found.value->at;
		}
		i += path.len + 3;
	}
	return out->text.failed ? fail(r, node, NULL, "a text of more than %zu bytes", TEXT_BYTES_MAX) : 0;
}

static int emit_filled(struct renderer *r, const struct value *node, const struct scope *scope, struct slot slot) {
	struct filled filled = {.text = BUF(TEXT_BYTES_MAX)};
	struct value *made = NULL;
	if (fill(r, node, scope, &filled) == 0)
		made = make(r, node, VALUE_STRING, remember(r, node, filled.from, filled.from_place));
	if (made) {
		made->text = (struct str) {keep(r, buf_view(&filled.text).ptr, filled.text.len), filled.text.len};
		put(slot, made);
	}
	buf_clear(&filled.text);
	return made ? 0 : -1;
}

static int parse(struct renderer *r, const char *name, struct str text, const struct document **out) {
	struct tmpl_parsed *parsed = r->source->parsed ? r->source->parsed : &r->own;
	struct document *document = NULL;
	for (size_t i = 0; i < parsed->count; i++)
		if (parsed->items[i].text.ptr == text.ptr && parsed->items[i].text.len == text.len) {
			*out = parsed->items[i].document;
			return 0;
		}
	if (yaml_read(name, text, VALUE_LIMITS_CONFIG, &document, r->err) != 0) {
		r->err->code = ERR_INVALID;
		return -1;
	}
	if (parsed->count == parsed->room) {
		parsed->room = parsed->room ? parsed->room * 2 : 32;
		parsed->items = mem_resize(parsed->items, parsed->room, sizeof(*parsed->items));
	}
	parsed->items[parsed->count].text = text;
	parsed->items[parsed->count++].document = document;
	*out = document;
	return 0;
}

/* The root of another template; nodes that follow are that file's. */
static int include(struct renderer *r, const struct value *node, const struct value *name, const struct scope *scope, const struct value **out) {
	const struct tmpl_source *source = r->source;
	struct filled filled = {.text = BUF(TEXT_BYTES_MAX)};
	struct str text = {0};
	const char *shown = NULL;
	const struct document *document = NULL;
	int rc = name->kind == VALUE_STRING ? fill(r, name, scope, &filled) : fail(r, node, NULL, "$include: it must be the name of a template");
	if (rc == 0 && r->included_count == TMPL_INCLUDES_MAX)
		rc = fail(r, node, NULL, "$include: more than %d", TMPL_INCLUDES_MAX);
	if (rc == 0 && (!source->find || !source->find(source->self, buf_view(&filled.text).ptr, &text, &shown)))
		rc = fail(r, name, NULL, "$include: there is no template %s", buf_view(&filled.text).ptr);
	if (rc == 0)
		rc = parse(r, shown, text, &document);
	if (rc == 0) {
		r->included_count++;
		r->file = document->name;
		*out = document->root;
	}
	buf_clear(&filled.text);
	return rc;
}

static int push(struct renderer *r, const struct step *step) {
	if (r->depth == TMPL_DEPTH_MAX)
		return fail(r, step->node, NULL, "nested deeper than %d", TMPL_DEPTH_MAX);
	r->steps[r->depth] = *step;
	r->steps[r->depth++].file = r->file;
	return 0;
}

/* Which instruction a mapping is: "$" to "$text", "" for a plain one. Its members must be those of the instruction. */
static int instruction(struct renderer *r, const struct value *node, const char **out) {
	static const char *const names[] = {"$", "$if", "$each", "$merge", "$text", "$include"};
	static const char *const also[] = {"", "$then $else", "$as $do", "", "", ""};
	*out = "";
	size_t chosen = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (member(node, str_of(names[i]))) {
			*out = names[i];
			chosen = i;
			break;
		}
	value_each(one, node) {
		AUTO_FREE char *word = str_dup(one->key);
		bool is_ours = one->key.len && one->key.ptr[0] == '$';
		const struct value key = {.at = one->key_at};
		if (!**out && !is_ours)
			continue;
		if (str_starts(one->key, "${"))
			return fail(r, &key, NULL, "%s: only values are replaced, never keys", word);
		if (!**out) {
			const char *near = text_nearest(word, names, sizeof(names) / sizeof(names[0]));
			return fail(r, &key, NULL, "%s is no instruction by itself: $, $if, $each, $merge, $text or $include%s%s", word, near ? "; did you mean " : "",
				near ? near : "");
		}
		const char *at = is_ours && strlen(word) == one->key.len ? strstr(also[chosen], word) : NULL; /* a key may hold NUL */
		bool fits = str_is(one->key, *out) || (at && (at[one->key.len] == ' ' || !at[one->key.len]));
		if (!fits)
			return fail(r, &key, NULL, "%s cannot stand beside %s%s%s", word, *out, also[chosen][0] ? ", only " : ": it stands alone",
				also[chosen]);
	}
	return 0;
}

static int need_path(struct renderer *r, const struct value *node, const struct value *value) {
	return value->kind == VALUE_STRING ? 0 : fail(r, node, NULL, "%.*s: a path must be text, as in scale.min", STR_ARGS(value->key));
}

static int open_each(struct renderer *r, const struct value *node, struct slot slot, const struct scope *scope) {
	const struct value *path = member(node, STR("$each")), *as = member(node, STR("$as")), *body = member(node, STR("$do"));
	struct found found = {0};
	if (need_path(r, node, path) != 0)
		return -1;
	if (!as || as->kind != VALUE_STRING || !is_path(as->text) || memchr(as->text.ptr, '.', as->text.len) || !body)
		return fail(r, node, NULL, "$each needs $as, a name without dots, and $do: {$each: path, $as: item, $do: ...}");
	if (look_up(r, node, path->text, scope, true, &found) != 0)
		return -1;
	if (found.value && is_scalar(found.value) && found.value->kind != VALUE_NULL)
		return fail(r, node, found.value, "$each: %.*s is a scalar, it must be a list or a mapping", STR_ARGS(path->text));
	struct value *made = slot.parent;
	const struct step *above = r->depth ? &r->steps[r->depth - 1] : NULL;
	bool is_in_text = above && above->kind == STEP_TEXT && above->into == slot.parent; /* which has room for one */
	if (slot.parent->kind != VALUE_ARRAY || slot.parent == r->collected || is_in_text) {
		made = make(r, node, VALUE_ARRAY, remember(r, node, found.from, found.value ? found.value->at : (struct place) {0}));
		if (!made)
			return -1;
		put(slot, made);
	}
	return push(r, &(struct step) {.kind = STEP_EACH,
			       .node = node,
			       .next = found.value ? found.value->first : NULL,
			       .body = body,
			       .into = made,
			       .scope = scope,
			       .name = as->text,
			       .from = found.from,
			       .is_mapping = found.value && found.value->kind == VALUE_OBJECT});
}

/* MERGE and TEXT collect in a list that hangs nowhere. */
static int open_collected(struct renderer *r, const struct value *node, const char *word, struct slot slot, const struct scope *scope) {
	const struct value *inside = member(node, str_of(word));
	bool is_merge = strcmp(word, "$merge") == 0;
	if (is_merge && inside->kind != VALUE_ARRAY)
		return fail(r, inside, NULL, "$merge: it must be a list of mappings");
	struct value *into = make(r, node, VALUE_ARRAY, node->at);
	if (!into)
		return -1;
	return push(r, &(struct step) {.kind = is_merge ? STEP_MERGE : STEP_TEXT,
			       .node = node,
			       .next = is_merge ? inside->first : inside,
			       .into = into,
			       .slot = slot,
			       .scope = scope});
}

static int open_children(struct renderer *r, const struct value *node, struct slot slot, const struct scope *scope) {
	struct value *made = make(r, node, node->kind, remember(r, node, NULL, (struct place) {0}));
	if (!made)
		return -1;
	put(slot, made);
	return push(r, &(struct step) {.kind = STEP_CHILDREN, .node = node, .next = node->first, .into = made, .scope = scope});
}

static int emit_constant(struct renderer *r, const struct value *node, struct slot slot) {
	struct value *made = make(r, node, node->kind, remember(r, node, NULL, (struct place) {0}));
	if (!made)
		return -1;
	made->boolean = node->boolean;
	if (node->text.ptr)
		made->text = (struct str) {keep(r, node->text.ptr, node->text.len), node->text.len};
	put(slot, made);
	return 0;
}

static bool has_path(struct str text) {
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '$' && text.ptr[i + 1] == '{')
			return true;
	return false;
}

/* One node of the template into its slot; what is below it becomes a step. */
static int emit(struct renderer *r, const struct value *node, struct slot slot, const struct scope *scope) {
	for (;;) {
		const char *word = "";
		struct found found = {0};
		if (++r->steps_taken > TMPL_STEPS_MAX)
			return fail(r, node, NULL, "it takes more than %d steps", TMPL_STEPS_MAX);
		if (check_bytes(r, node) != 0)
			return -1;
		if (node->kind == VALUE_STRING && has_path(node->text))
			return emit_filled(r, node, scope, slot);
		if (is_scalar(node))
			return emit_constant(r, node, slot);
		if (node->kind == VALUE_OBJECT && instruction(r, node, &word) != 0)
			return -1;
		if (!*word)
			return open_children(r, node, slot, scope);
		const struct value *path = member(node, str_of(word));
		if (strcmp(word, "$each") == 0)
			return open_each(r, node, slot, scope);
		if (strcmp(word, "$merge") == 0 || strcmp(word, "$text") == 0)
			return open_collected(r, node, word, slot, scope);
		if (strcmp(word, "$include") == 0) {
			if (include(r, node, path, scope, &node) != 0)
				return -1;
			if (node->kind == VALUE_NULL) /* an empty file, as tmpl_render() has it */
				return 0;
			continue;
		}
		bool is_asked = strcmp(word, "$if") == 0;
		if (need_path(r, node, path) != 0 || look_up(r, node, path->text, scope, is_asked, &found) != 0)
			return -1;
		if (!is_asked)
			return found.value ? copy(r, node, found, slot) : 0;
		node = member(node, holds(found.value) ? STR("$then") : STR("$else"));
		if (!node)
			return 0;
	}
}

/* The name that $as gives to the item that comes next. */
static const struct scope *bind(struct renderer *r, struct step *step, const struct value *item) {
	struct arena *memory = &r->document->memory;
	struct scope *scope = arena_alloc(memory, sizeof(*scope));
	struct value *pair = step->is_mapping ? value_new(r->document, VALUE_OBJECT) : NULL;
	char number[32];
	snprintf(number, sizeof(number), "%zu", step->index++);
	if (!scope || (step->is_mapping && !pair))
		return NULL;
	*scope = (struct scope) {step->name, item, keep_path(r, step->from, step->is_mapping ? item->key : str_of(number)), step->is_mapping,
		step->scope};
	if (!pair)
		return scope;
	struct value *key = value_new(r->document, VALUE_STRING), *value = value_new(r->document, item->kind);
	if (!key || !value)
		return NULL;
	*value = *item; /* what is below is shared: nothing changes it */
	value->next = NULL;
	value->key = STR("value");
	*key = (struct value) {.kind = VALUE_STRING, .text = item->key, .key = STR("key"), .at = item->key_at};
	value_append(pair, key);
	value_append(pair, value);
	scope->value = pair;
	return scope;
}

/* What a merge made anew counts as made. */
static int count_nodes(struct renderer *r, const struct value *node, const struct value *root) {
	const struct value *way[VALUE_DEPTH_MAX];
	size_t depth = 0;
	for (const struct value *at = root; at;) {
		if (++r->nodes > TMPL_NODES_MAX)
			return fail(r, node, NULL, "it makes more than %d values", TMPL_NODES_MAX);
		if (at->first) {
			assert(depth < VALUE_DEPTH_MAX);
			way[depth++] = at;
			at = at->first;
			continue;
		}
		while (depth && !at->next)
			at = way[--depth];
		at = depth ? at->next : NULL;
	}
	return 0;
}

static int finish_merge(struct renderer *r, const struct step *step) {
	struct value *merged = NULL;
	value_each(one, step->into) {
		if (one->kind == VALUE_NULL)
			continue;
		if (one->kind != VALUE_OBJECT)
			return fail(r, step->node, NULL, "$merge: each must be a mapping");
		merged = value_merge(r->document, merged, one);
		if (check_bytes(r, step->node) != 0 || count_nodes(r, step->node, merged) != 0)
			return -1;
	}
	if (!merged)
		return 0;
	merged->next = NULL;
	merged->key = (struct str) {0};
	put(step->slot, merged);
	return 0;
}

static int finish_text(struct renderer *r, const struct step *step) {
	struct value *made = step->into->first;
	if (!made)
		return 0;
	if (!is_scalar(made))
		return fail(r, step->node, NULL, "$text: a %s has no text", made->kind == VALUE_ARRAY ? "list" : "mapping");
	struct str text = scalar_text(made);
	*made = (struct value) {.kind = VALUE_STRING, .text = text, .at = made->at};
	put(step->slot, made);
	return 0;
}

static int run(struct renderer *r) {
	while (r->depth) {
		struct step *step = &r->steps[r->depth - 1];
		const struct value *child = step->next;
		r->file = step->file;
		if (!child) {
			struct step done = *step;
			r->depth--;
			if ((done.kind == STEP_MERGE && finish_merge(r, &done) != 0) || (done.kind == STEP_TEXT && finish_text(r, &done) != 0))
				return -1;
			continue;
		}
		step->next = step->kind == STEP_TEXT ? NULL : child->next;
		struct slot slot = {step->into, step->into->kind == VALUE_OBJECT ? child->key : (struct str) {0}};
		if (slot.key.ptr)
			slot.key.ptr = keep(r, slot.key.ptr, slot.key.len);
		const struct scope *scope = step->kind == STEP_EACH ? bind(r, step, child) : step->scope;
		if (step->kind == STEP_EACH && !scope)
			return fail(r, step->node, NULL, "no memory");
		if (emit(r, step->kind == STEP_EACH ? step->body : child, slot, scope) != 0)
			return -1;
	}
	return 0;
}

/* One step of a path: `.name`, `["a.b/c"]` or `[0]`. */
static void add_part(struct buf *path, const struct value *node, bool is_member, size_t index) {
	if (!is_member) {
		buf_format(path, "[%zu]", index);
		return;
	}
	bool is_name = node->key.len > 0;
	for (size_t i = 0; i < node->key.len; i++)
		is_name &= ascii_is_alnum(node->key.ptr[i]) || node->key.ptr[i] == '_' || node->key.ptr[i] == '-';
	if (is_name) {
		buf_format(path, "%s%.*s", path->len ? "." : "", STR_ARGS(node->key));
		return;
	}
	buf_char(path, '[');
	json_quote(path, node->key);
	buf_char(path, ']');
}

static void add_origin(struct renderer *r, struct value *node, const struct buf *path) {
	struct source from = node->at.line > 0 ? r->sources[node->at.line - 1] : (struct source) {0};
	node->at = from.place;
	if (!is_scalar(node) && node->count)
		return;
	struct tmpl_origin origin = {
		node, keep(r, buf_view(path).ptr, path->len), from.file ? keep(r, from.file, strlen(from.file)) : "", from.place, from.from, from.from_place};
	tmpl_origins_add(r->origins, &origin);
}

/* Numbers become places again, and what they said one origin per leaf. */
static void collect(struct renderer *r, struct value *root) {
	struct {
		struct value *next;
		size_t index, path_len;
		bool is_object;
	} levels[VALUE_DEPTH_MAX];
	AUTO_BUF struct buf path = BUF(TEXT_BYTES_MAX);
	size_t depth = 0;
	buf_text(&path, "");
	add_origin(r, root, &path);
	levels[0].next = root->first;
	levels[0].index = 0;
	levels[0].path_len = 0;
	levels[0].is_object = root->kind == VALUE_OBJECT;
	for (;;) {
		struct value *child = levels[depth].next;
		path.len = levels[depth].path_len;
		path.ptr[path.len] = '\0';
		if (!child) {
			if (depth-- == 0)
				return;
			continue;
		}
		add_part(&path, child, levels[depth].is_object, levels[depth].index++);
		add_origin(r, child, &path);
		levels[depth].next = child->next;
		if (child->first) {
			assert(depth + 1 < VALUE_DEPTH_MAX);
			depth++;
			levels[depth].next = child->first;
			levels[depth].index = 0;
			levels[depth].path_len = path.len;
			levels[depth].is_object = child->kind == VALUE_OBJECT;
		}
	}
}

int tmpl_render(const struct tmpl_source *source, struct document *document, struct value *list, const struct value **out, struct tmpl_origins *origins,
	struct err *err) {
	assert(list->kind == VALUE_ARRAY);
	const struct document *template = NULL;
	AUTO_FREE struct renderer *r = NEW(struct renderer);
	*r = (struct renderer) {.source = source, .file = source->name, .document = document, .origins = origins, .err = err,
		.bytes_before = document->memory.used_bytes};
	if (parse(r, source->name, source->text, &template) != 0)
		return -1; /* nothing is held yet */
	r->collected = value_new(document, VALUE_ARRAY);
	int rc = !r->collected || template->root->kind == VALUE_NULL ? 0 : emit(r, template->root, (struct slot) {.parent = r->collected}, NULL);
	if (rc == 0)
		rc = run(r);
	struct value *made = rc == 0 && r->collected ? r->collected->first : NULL;
	if (made) {
		if (origins)
			collect(r, made);
		value_append(list, made);
	}
	tmpl_parsed_clear(&r->own);
	free(r->sources);
	if (rc == 0 && out)
		*out = made;
	return rc;
}

void tmpl_parsed_clear(struct tmpl_parsed *parsed) {
	for (size_t i = 0; i < parsed->count; i++)
		document_free(parsed->items[i].document);
	free(parsed->items);
	*parsed = (struct tmpl_parsed) {0};
}

void tmpl_origins_add(struct tmpl_origins *origins, const struct tmpl_origin *origin) {
	if (origins->count == origins->room) {
		origins->room = origins->room ? origins->room * 2 : 256;
		origins->items = mem_resize(origins->items, origins->room, sizeof(*origins->items));
	}
	origins->items[origins->count++] = *origin;
}

void tmpl_origins_clear(struct tmpl_origins *origins) {
	free(origins->items);
	*origins = (struct tmpl_origins) {0};
}

void tmpl_reference(struct buf *out) {
	static const struct {
		const char *node, *help;
	} all[] = {
		{"{$: scale.min}", "the value at that path, with its type; {$: path?} is nothing when it is not there"},
		{"\"text ${service} more\"", "each ${path} becomes the scalar's text; $${ is the two characters"},
		{"{$if: path, $then: X, $else: Y}", "X when it is there and neither false, null, 0, \"\" nor empty; else Y, or nothing"},
		{"{$each: path, $as: item, $do: X}", "an X for each item of a list, or member of a mapping (item.key, item.value)"},
		{"{$merge: [X, Y]}", "mappings merged, later ones win, null removes"},
		{"{$text: X}", "a number or boolean as text"},
		{"{$include: payload/native.yaml}", "what another template makes"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_format(out, "  %-34s %s\n", all[i].node, all[i].help);
}
