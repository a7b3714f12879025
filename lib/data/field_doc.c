#include "data/field.h"

#include <stdio.h>

#define DURATION_PATTERN "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$"
#define SHARE_PATTERN "^[0-9]+(\\.[0-9]+)?%$"
#define CPU_PATTERN "^[0-9]+(\\.[0-9]+)?m?$"
#define MEMORY_PATTERN "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"

static const char *memory_text(int64_t bytes, char out[32]) {
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
	size_t unit = 0;
	while (bytes && bytes % 1024 == 0 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, 32, "%lld%s", (long long) bytes, units[unit]);
	return out;
}

static void add_whole(const struct field *field, int64_t number, struct document *document, struct value *into) {
	char text[FIELD_DURATION_MAX];
	if (field->kind == FIELD_INT) {
		value_add_int(document, into, field->key, number);
		return;
	}
	if (field->kind == FIELD_DURATION)
		field_duration(number, text);
	else if (field->kind == FIELD_MEMORY)
		memory_text(number, text);
	else
		snprintf(text, sizeof(text), "%lld%s", (long long) (number % 1000 ? number : number / 1000), number % 1000 ? "m" : "");
	value_add_text(document, into, field->key, text);
}

static void add_member(const struct field *field, const char *base, enum field_tree which, const char *target, struct document *document,
	struct value *into) {
	const void *at = base + field->offset;
	char text[40];
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		if (*(const char *const *) at)
			value_add_text(document, into, field->key, *(const char *const *) at);
		break;
	case FIELD_BOOL:
		value_add_bool(document, into, field->key, *(const bool *) at);
		break;
	case FIELD_INT:
	case FIELD_DURATION:
	case FIELD_CPU:
	case FIELD_MEMORY:
		if (*(const int64_t *) at || field->fallback || field->is_needed)
			add_whole(field, *(const int64_t *) at, document, into);
		break;
	case FIELD_DOUBLE:
		value_add_double(document, into, field->key, *(const double *) at);
		break;
	case FIELD_SHARE:
		snprintf(text, sizeof(text), "%.12g%%", *(const double *) at * 100);
		value_add_text(document, into, field->key, text);
		break;
	case FIELD_ENUM:
		value_add_text(document, into, field->key, field->choices[*(const int *) at]);
		break;
	case FIELD_TEXTS: {
		const struct field_texts *texts = at;
		struct value *list = texts->count ? value_add_array(document, into, field->key) : NULL;
		for (size_t i = 0; i < texts->count; i++)
			value_add_text(document, list, NULL, texts->items[i]);
		break;
	}
	case FIELD_LIST: {
		const struct field_list *items = at;
		struct value *list = items->count ? value_add_array(document, into, field->key) : NULL;
		for (size_t i = 0; i < items->count; i++)
			field_tree(field->table, (const char *) items->items + i * field->table->size, which, target, document,
				value_add_object(document, list, NULL));
		break;
	}
	case FIELD_MAP:
		if (*(const struct value *const *) at)
			value_add_copy(document, into, field->key, *(const struct value *const *) at);
		break;
	case FIELD_STRUCT:
		if (field->offset_on && !*(const bool *) (base + field->offset_on))
			value_add_text(document, into, field->key, "none");
		else
			field_tree(field->table, base, which, target, document, value_add_object(document, into, field->key));
		break;
	case FIELD_LATER:
		break;
	}
}

void field_tree(const struct field_table *table, const void *from, enum field_tree which, const char *target, struct document *document,
	struct value *into) {
	for (const struct field *field = table->fields; field->key; field++)
		if ((which == FIELD_TREE_ALL || field->is_deployed) && (!field->only || !target || strcmp(field->only, target) == 0))
			add_member(field, from, which, target, document, into);
}

static void add_type(const char *type, const char *also, bool is_patch, struct document *document, struct value *into) {
	if (!also && !is_patch) {
		value_add_text(document, into, "type", type);
		return;
	}
	struct value *types = value_add_array(document, into, "type");
	value_add_text(document, types, NULL, type);
	if (also)
		value_add_text(document, types, NULL, also);
	if (is_patch)
		value_add_text(document, types, NULL, "null");
}

static void add_bounds(const struct field *field, struct document *document, struct value *into) {
	if (!field->min && !field->max)
		return;
	value_add_int(document, into, "minimum", field->min);
	value_add_int(document, into, "maximum", field->max);
}

static void add_default(const struct field *field, struct document *document, struct value *into) {
	int64_t whole;
	double number;
	if (!field->fallback)
		return;
	if (field->kind == FIELD_BOOL)
		value_add_bool(document, into, "default", strcmp(field->fallback, "true") == 0);
	else if (field->kind == FIELD_INT && num_int(str_of(field->fallback), INT64_MIN, INT64_MAX, &whole) == 0)
		value_add_int(document, into, "default", whole);
	else if (field->kind == FIELD_DOUBLE && num_double(str_of(field->fallback), &number) == 0)
		value_add_double(document, into, "default", number);
	else
		value_add_text(document, into, "default", field->fallback);
}

static void add_schema(const struct field *field, bool is_patch, struct document *document, struct value *into);

static void add_struct(const struct field *field, bool is_patch, struct document *document, struct value *into) {
	if (!field->offset_on) {
		add_type("object", NULL, is_patch, document, into);
		field_schema(field->table, is_patch, document, into);
		return;
	}
	struct value *any = value_add_array(document, into, "anyOf");
	struct value *mapping = value_add_object(document, any, NULL);
	add_type("object", NULL, is_patch, document, mapping);
	field_schema(field->table, is_patch, document, mapping);
	value_add_text(document, value_add_object(document, any, NULL), "const", "none");
}

static void add_shape(const struct field *field, bool is_patch, struct document *document, struct value *into) {
	static const char *const patterns[] = {[FIELD_DURATION] = DURATION_PATTERN,
		[FIELD_SHARE] = SHARE_PATTERN,
		[FIELD_CPU] = CPU_PATTERN,
		[FIELD_MEMORY] = MEMORY_PATTERN};
	struct value *list;
	switch (field->kind) {
	case FIELD_BOOL:
		add_type("boolean", NULL, is_patch, document, into);
		return;
	case FIELD_INT:
	case FIELD_DOUBLE:
		add_type(field->kind == FIELD_INT ? "integer" : "number", NULL, is_patch, document, into);
		add_bounds(field, document, into);
		return;
	case FIELD_CPU:
	case FIELD_MEMORY:
		add_type("string", "number", is_patch, document, into);
		value_add_text(document, into, "pattern", patterns[field->kind]);
		return;
	case FIELD_DURATION:
	case FIELD_SHARE:
		add_type("string", NULL, is_patch, document, into);
		value_add_text(document, into, "pattern", patterns[field->kind]);
		return;
	case FIELD_ENUM:
		list = value_add_array(document, into, "enum");
		for (size_t i = 0; field->choices[i]; i++)
			value_add_text(document, list, NULL, field->choices[i]);
		if (is_patch)
			value_add_null(document, list, NULL);
		return;
	case FIELD_TEXT:
	case FIELD_SECRET:
		add_type("string", NULL, is_patch, document, into);
		if (field->pattern)
			value_add_text(document, into, "pattern", field->pattern);
		return;
	case FIELD_TEXTS:
		add_type("array", NULL, is_patch, document, into);
		value_add_text(document, value_add_object(document, into, "items"), "type", "string");
		return;
	case FIELD_LIST:
		add_type("array", NULL, is_patch, document, into);
		list = value_add_object(document, into, "items");
		value_add_text(document, list, "type", "object");
		field_schema(field->table, false, document, list);
		return;
	case FIELD_STRUCT:
		add_struct(field, is_patch, document, into);
		return;
	case FIELD_MAP:
		add_type("object", NULL, is_patch, document, into);
		if (field->check || field->check_key)
			add_type("string", NULL, true, document, value_add_object(document, into, "additionalProperties"));
		return;
	case FIELD_LATER:
		return;
	}
}

static void add_schema(const struct field *field, bool is_patch, struct document *document, struct value *into) {
	value_add_text(document, into, "description", field->help);
	add_shape(field, is_patch, document, into);
	add_default(field, document, into);
	if (field->example && field->kind == FIELD_TEXT)
		value_add_text(document, value_add_array(document, into, "examples"), NULL, field->example);
}

/* Goes as deep as the table. */
struct value *field_schema(const struct field_table *table, bool is_patch, struct document *document, struct value *into) {
	struct value *properties = value_add_object(document, into, "properties"), *needed = NULL;
	for (const struct field *field = table->fields; field->key; field++) {
		if (field->kind == FIELD_LATER)
			continue;
		add_schema(field, is_patch, document, value_add_object(document, properties, field->key));
		if (!field->is_needed || is_patch)
			continue;
		if (!needed)
			needed = value_add_array(document, into, "required");
		value_add_text(document, needed, NULL, field->key);
	}
	value_add_bool(document, into, "additionalProperties", false);
	return properties;
}

void field_text(const struct field_table *table, const char *path, struct buf *out) {
	for (const struct field *field = table->fields; field->key; field++) {
		AUTO_FREE char *full = mem_format("%s%s%s", path, *path ? "." : "", field->key);
		char right[FIELD_RIGHT_MAX];
		buf_format(out, "%-30s %s", full, field_right(field, right));
		if (field->is_needed)
			buf_text(out, "; needed");
		if (field->fallback)
			buf_format(out, "; default %s", field->fallback);
		if (field->only)
			buf_format(out, "; only target %s", field->only);
		if (field->since)
			buf_format(out, "; since %s", field->since);
		buf_char(out, '\n');
		if (field->help)
			buf_format(out, "    %s\n", field->help);
		if (field->kind == FIELD_STRUCT || field->kind == FIELD_LIST)
			field_text(field->table, full, out);
	}
}
