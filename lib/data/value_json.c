#include "data/tree.h"

#include <cjson/cJSON.h>

static void free_tree(cJSON **tree) {
	cJSON_Delete(*tree);
}

static int out_of_memory(struct err *err) {
	return err_set(err, ERR_LIMIT, "no memory to write JSON");
}

/* cJSON's strings end at a NUL, and it lets through what is not UTF-8. */
static bool is_plain(struct str text) {
	return !text.len || (!memchr(text.ptr, '\0', text.len) && utf8_is_valid(text.ptr, text.len));
}

/* Numbers go out as they were read; text that is not plain goes out already quoted. */
static cJSON *make_leaf(const struct value *value) {
	switch (value->kind) {
	case VALUE_NULL:
		return cJSON_CreateNull();
	case VALUE_BOOL:
		return cJSON_CreateBool(value->boolean);
	case VALUE_ARRAY:
		return cJSON_CreateArray();
	case VALUE_OBJECT:
		return cJSON_CreateObject();
	case VALUE_STRING:
		if (is_plain(value->text)) {
			AUTO_FREE char *text = str_dup(value->text);
			return cJSON_CreateString(text);
		}
		break;
	case VALUE_NUMBER:
		break;
	}
	AUTO_BUF struct buf raw = BUF(SIZE_MAX / 16);
	if (value->kind == VALUE_NUMBER)
		buf_str(&raw, value->text);
	else
		json_quote(&raw, value->text);
	return cJSON_CreateRaw(raw.ptr);
}

static int add_child(cJSON *parent, const struct value *child, bool has_key, cJSON **made, struct err *err) {
	if (has_key && !is_plain(child->key))
		return err_set(err, ERR_INVALID, "a member's name is not UTF-8 text: \"%.*s\"", STR_ARGS(child->key));
	cJSON *item = make_leaf(child);
	if (!item)
		return out_of_memory(err);
	AUTO_FREE char *key = has_key ? str_dup(child->key) : NULL;
	bool is_added = has_key ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item);
	if (!is_added) {
		cJSON_Delete(item);
		return out_of_memory(err);
	}
	*made = item;
	return 0;
}

/* A level of the walk: its children in the order they are written. */
struct level {
	cJSON *into;
	bool has_keys;
	const struct value *next;
	const struct value **sorted; /* owned; canonical objects only */
	size_t index, count;
};

static struct level open_level(cJSON *into, const struct value *from, enum json_style style) {
	struct level level = {.into = into, .has_keys = from->kind == VALUE_OBJECT, .next = from->first, .count = from->count};
	if (style == JSON_CANONICAL && level.has_keys)
		level.sorted = value_sorted(from);
	return level;
}

static const struct value *next_child(struct level *level) {
	if (level->sorted)
		return level->index < level->count ? level->sorted[level->index++] : NULL;
	const struct value *child = level->next;
	if (child)
		level->next = child->next;
	return child;
}

static int fill(cJSON *root, const struct value *value, enum json_style style, struct err *err) {
	struct level levels[VALUE_DEPTH_MAX];
	int depth = 0, rc = 0;
	levels[0] = open_level(root, value, style);
	while (depth >= 0) {
		const struct value *child = rc == 0 ? next_child(&levels[depth]) : NULL;
		if (!child) {
			free(levels[depth--].sorted);
			continue;
		}
		cJSON *made = NULL;
		rc = add_child(levels[depth].into, child, levels[depth].has_keys, &made, err);
		if (rc != 0 || !child->first)
			continue;
		if (depth + 1 >= VALUE_DEPTH_MAX)
			rc = err_set(err, ERR_LIMIT, "nested deeper than %d", VALUE_DEPTH_MAX);
		else
			levels[++depth] = open_level(made, child, style);
	}
	return rc;
}

/* cJSON indents with tabs and puts one behind each colon; people are shown two spaces and one. A tab inside text is escaped. */
static void lay_out(const char *printed, struct buf *out) {
	bool is_line_start = false;
	for (; *printed; printed++) {
		if (*printed == '\t')
			buf_text(out, is_line_start ? "  " : " ");
		else
			buf_char(out, *printed);
		is_line_start = *printed == '\n' || (is_line_start && *printed == '\t');
	}
}

int json_write(const struct value *value, enum json_style style, char **out, struct err *err) {
	cJSON *root __attribute__((cleanup(free_tree))) = make_leaf(value);
	if (!root)
		return out_of_memory(err);
	if (value->first && fill(root, value, style, err) != 0)
		return -1;
	AUTO_FREE char *printed = style == JSON_PRETTY ? cJSON_Print(root) : cJSON_PrintUnformatted(root);
	if (!printed)
		return out_of_memory(err);
	if (style != JSON_PRETTY) {
		*out = take(&printed);
		return 0;
	}
	AUTO_BUF struct buf text = BUF(SIZE_MAX / 16);
	lay_out(printed, &text);
	return buf_take(&text, out, err);
}
