#include "data/field.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#define PATH_MAX_BYTES 400
#define SHOWN_BYTES_MAX 60

struct reader {
	const char *file, *target;
	struct arena *arena;
	struct field_problems *problems;
	struct err *err; /* the first one */
};

static const char *join_path(const char *path, struct str key, char out[PATH_MAX_BYTES]) {
	snprintf(out, PATH_MAX_BYTES, "%s%s%.*s", path, *path ? "." : "", (int) (key.len < 100 ? key.len : 100), key.ptr);
	return out;
}

/* Keeps one problem; the first is the caller's error. */
static int keep(struct reader *r, struct place at, struct err *problem) {
	if (at.line)
		err_at(problem, "%s:%d:%d", r->file, at.line, at.column);
	else
		err_at(problem, "%s", r->file);
	if (r->problems && r->problems->count < r->problems->max)
		r->problems->items[r->problems->count++] = *problem;
	if (r->err->code == ERR_NONE)
		*r->err = *problem;
	return -1;
}

static const char *range(const struct field *field, const char *unit, char out[100]) {
	out[0] = '\0';
	if (field->min || field->max)
		snprintf(out, 100, " from %lld%s to %lld%s", (long long) field->min, unit, (long long) field->max, unit);
	return out;
}

const char *field_duration(int64_t ms, char out[FIELD_DURATION_MAX]) {
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
	for (size_t i = 0; i < 4; i++)
		if (ms && ms % units[i].ms == 0) {
			snprintf(out, FIELD_DURATION_MAX, "%lld%s", (long long) (ms / units[i].ms), units[i].unit);
			return out;
		}
	snprintf(out, FIELD_DURATION_MAX, "%lldms", (long long) ms);
	return out;
}

static void list_choices(const struct field *field, char out[FIELD_RIGHT_MAX]) {
	size_t used = (size_t) snprintf(out, FIELD_RIGHT_MAX, "one of ");
	for (size_t i = 0; field->choices[i] && used < FIELD_RIGHT_MAX; i++)
		used += (size_t) snprintf(out + used, FIELD_RIGHT_MAX - used, "%s%s", i ? ", " : "", field->choices[i]);
}

const char *field_right(const struct field *field, char out[FIELD_RIGHT_MAX]) {
	char bounds[100] = "", low[FIELD_DURATION_MAX], high[FIELD_DURATION_MAX];
	switch (field->kind) {
	case FIELD_TEXT:
		snprintf(out, FIELD_RIGHT_MAX, "text%s%s", field->example ? " as in " : "", field->example ? field->example : "");
		break;
	case FIELD_BOOL:
		snprintf(out, FIELD_RIGHT_MAX, "true or false");
		break;
	case FIELD_INT:
		snprintf(out, FIELD_RIGHT_MAX, "a whole number%s", range(field, "", bounds));
		break;
	case FIELD_DOUBLE:
		snprintf(out, FIELD_RIGHT_MAX, "a number%s", range(field, "", bounds));
		break;
	case FIELD_DURATION:
		if (field->max)
			snprintf(bounds, sizeof(bounds), ", from %s to %s", field_duration(field->min, low),
				field_duration(field->max, high));
		snprintf(out, FIELD_RIGHT_MAX, "a duration as in 500ms, 2s or 5m%s", bounds);
		break;
	case FIELD_SHARE:
		snprintf(out, FIELD_RIGHT_MAX, "a share as in 10%%%s%s", field->max ? "," : "", range(field, "%", bounds));
		break;
	case FIELD_CPU:
		snprintf(out, FIELD_RIGHT_MAX, "processor time as in 500m (half a core) or 2");
		break;
	case FIELD_MEMORY:
		snprintf(out, FIELD_RIGHT_MAX, "memory as in 256Mi or 1Gi");
		break;
	case FIELD_ENUM:
		list_choices(field, out);
		break;
	case FIELD_SECRET:
		snprintf(out, FIELD_RIGHT_MAX, "the name of a secret, never its value");
		break;
	case FIELD_TEXTS:
		snprintf(out, FIELD_RIGHT_MAX, "a list of texts");
		break;
	case FIELD_STRUCT:
		snprintf(out, FIELD_RIGHT_MAX, field->offset_on ? "a mapping, or none" : "a mapping");
		break;
	case FIELD_LIST:
		snprintf(out, FIELD_RIGHT_MAX, "a list of mappings");
		break;
	case FIELD_MAP:
		snprintf(out, FIELD_RIGHT_MAX, field->check || field->check_key ? "a mapping of texts%s%s" : "a mapping%s%s",
			field->example ? " as in " : "", field->example ? field->example : "");
		break;
	case FIELD_LATER:
		snprintf(out, FIELD_RIGHT_MAX, "left out: it is not built yet");
		break;
	}
	return out;
}

static bool is_in_range(const struct field *field, double number) {
	return (!field->min && !field->max) || (number >= (double) field->min && number <= (double) field->max);
}

/* A scalar from its text. -1: not right; `why` may hold a better word for what would be. */
static int convert(const struct field *field, struct str text, struct arena *arena, char *out, char why[FIELD_WHY_MAX]) {
	int64_t *whole = (int64_t *) (void *) out;
	double *number = (double *) (void *) out;
	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_SECRET: {
		if (text.len && memchr(text.ptr, '\0', text.len))
			return -1;
		const char *copy = arena_text_n(arena, text.ptr, text.len);
		if (!copy || (field->check && field->check(copy, why) != 0))
			return -1;
		*(const char **) (void *) out = copy;
		return 0;
	}
	case FIELD_BOOL:
		*(bool *) out = str_is(text, "true");
		return 0;
	case FIELD_INT:
		return num_int(
			text, field->min || field->max ? field->min : INT64_MIN, field->min || field->max ? field->max : INT64_MAX, whole);
	case FIELD_DOUBLE:
		return num_double(text, number) == 0 && is_in_range(field, *number) ? 0 : -1;
	case FIELD_DURATION:
		return num_duration_ms(text, whole) == 0 && is_in_range(field, (double) *whole) ? 0 : -1;
	case FIELD_SHARE:
		return num_share(text, number) == 0 && is_in_range(field, *number * 100) ? 0 : -1;
	case FIELD_CPU:
		return num_millicores(text, whole) == 0 && *whole > 0 ? 0 : -1;
	case FIELD_MEMORY:
		return num_bytes(text, whole) == 0 && *whole > 0 ? 0 : -1;
	case FIELD_ENUM:
		for (int i = 0; field->choices[i]; i++)
			if (str_is(text, field->choices[i])) {
				*(int *) (void *) out = i;
				return 0;
			}
		return -1;
	default:
		return -1;
	}
}

static bool is_kind_right(enum field_kind field, enum value_kind value) {
	switch (field) {
	case FIELD_BOOL:
		return value == VALUE_BOOL;
	case FIELD_INT:
	case FIELD_DOUBLE:
		return value == VALUE_NUMBER;
	case FIELD_CPU:
	case FIELD_MEMORY:
		return value == VALUE_NUMBER || value == VALUE_STRING;
	case FIELD_TEXTS:
	case FIELD_LIST:
		return value == VALUE_ARRAY;
	case FIELD_STRUCT:
	case FIELD_MAP:
		return value == VALUE_OBJECT;
	default:
		return value == VALUE_STRING;
	}
}

/* The value as a person would recognise it. */
static const char *show(const struct value *value, char out[SHOWN_BYTES_MAX + 8]) {
	static const char *const kinds[] = {[VALUE_NULL] = "null", [VALUE_ARRAY] = "a list", [VALUE_OBJECT] = "a mapping"};
	struct str host, user = str_cut(value->text, '@', &host);
	if (value->kind == VALUE_BOOL)
		snprintf(out, SHOWN_BYTES_MAX + 8, "%s", value->boolean ? "true" : "false");
	else if (value->kind == VALUE_STRING && host.ptr && !str_starts(host, "sha256:") && memchr(user.ptr, ':', user.len)) /* NAME:PASSWORD@ */
		snprintf(out, SHOWN_BYTES_MAX + 8, "\"***@%.*s\"", (int) (host.len < SHOWN_BYTES_MAX - 8 ? host.len : SHOWN_BYTES_MAX - 8), host.ptr);
	else if (value->kind == VALUE_NUMBER || value->kind == VALUE_STRING)
		snprintf(out, SHOWN_BYTES_MAX + 8, value->kind == VALUE_STRING ? "\"%.*s%s\"" : "%.*s%s",
			(int) (value->text.len < SHOWN_BYTES_MAX ? value->text.len : SHOWN_BYTES_MAX),
			value->text.ptr ? value->text.ptr : "", value->text.len > SHOWN_BYTES_MAX ? "..." : "");
	else
		snprintf(out, SHOWN_BYTES_MAX + 8, "%s", kinds[value->kind]);
	return out;
}

/* Numbers that forgot a unit and texts that look like numbers are the common slips. */
static void suggest(const struct field *field, const struct value *value, struct err *problem) {
	if (value->kind == VALUE_NUMBER && field->kind == FIELD_DURATION)
		err_fix(problem, "%s: %.*ss", field->key, STR_ARGS(value->text));
	else if (value->kind == VALUE_NUMBER && (field->kind == FIELD_TEXT || field->kind == FIELD_SECRET))
		err_fix(problem, "%s: \"%.*s\"", field->key, STR_ARGS(value->text));
	else if (value->kind == VALUE_NUMBER && field->kind == FIELD_SHARE) {
		double number;
		bool is_share = num_double(value->text, &number) == 0 && number > 0 && number < 1;
		err_fix(problem, "%s: %g%%", field->key, is_share ? number * 100 : number);
	}
	if (field->kind != FIELD_ENUM || value->kind != VALUE_STRING)
		return;
	size_t count = 0;
	while (field->choices[count])
		count++;
	AUTO_FREE char *word = str_dup(value->text);
	const char *near = text_nearest(word, field->choices, count);
	if (near)
		err_fix(problem, "%s: %s", field->key, near);
}

static int refuse(struct reader *r, const struct field *field, const struct value *value, const char *path, const char *why) {
	char right[FIELD_RIGHT_MAX], shown[SHOWN_BYTES_MAX + 8];
	struct err problem = {0};
	err_set(&problem, ERR_CONFIG, "%s: %s is not right, it must be %s", path, show(value, shown),
		*why ? why : field_right(field, right));
	suggest(field, value, &problem);
	return keep(r, value->at, &problem);
}

static int read_fields(
	struct reader *r, const struct field_table *table, const struct value *mapping, struct place at, const char *path, char *out);

static int read_texts(struct reader *r, const struct field *field, const struct value *list, const char *path, char *out) {
	const char **items = arena_alloc(r->arena, (list->count + 1) * sizeof(*items));
	struct field one = *field;
	one.kind = FIELD_TEXT;
	size_t n = 0;
	int rc = items ? 0 : -1;
	for (const struct value *item = items ? list->first : NULL; item; item = item->next) {
		char why[FIELD_WHY_MAX] = "";
		if (item->kind != VALUE_STRING || convert(&one, item->text, r->arena, (char *) &items[n++], why) != 0)
			rc = refuse(r, &one, item, path, why);
	}
	*(struct field_texts *) (void *) out = (struct field_texts){items, list->count};
	return rc;
}

static int read_list(struct reader *r, const struct field *field, const struct value *list, const char *path, char *out) {
	size_t size = field->table->size;
	char *items = arena_alloc(r->arena, (list->count + 1) * size);
	int rc = items ? 0 : -1;
	size_t n = 0;
	for (const struct value *item = items ? list->first : NULL; item; item = item->next, n++) {
		char below[PATH_MAX_BYTES];
		snprintf(below, sizeof(below), "%.*s[%zu]", PATH_MAX_BYTES - 30, path, n);
		if (item->kind != VALUE_OBJECT)
			rc = refuse(r, field, item, below, "a mapping");
		else if (read_fields(r, field->table, item, item->at, below, items + n * size) != 0)
			rc = -1;
	}
	*(struct field_list *) (void *) out = (struct field_list){items, list->count};
	return rc;
}

/* A mapping of texts: a number or a boolean would become another text than was written ("1.0", "yes"), so it must be in quotes. */
static int read_map(struct reader *r, const struct field *field, const struct value *mapping, const char *path, char *out) {
	int rc = 0;
	value_each(member, field->check || field->check_key ? mapping : NULL) {
		char why[FIELD_WHY_MAX] = "", below[PATH_MAX_BYTES];
		struct err problem = {0};
		AUTO_FREE char *key = str_dup(member->key);
		join_path(path, member->key, below);
		if (strlen(key) != member->key.len || (field->check_key && field->check_key(key, why) != 0)) {
			err_set(&problem, ERR_CONFIG, "%s: \"%s\" is not right as a name, it must be %s", path, key, *why ? why : "text");
			rc = keep(r, member->key_at, &problem);
			continue;
		}
		AUTO_FREE char *text = str_dup(member->text);
		bool is_text = member->kind == VALUE_STRING && strlen(text) == member->text.len;
		if (is_text && (!field->check || field->check(text, why) == 0))
			continue;
		struct field one = {.key = key, .kind = FIELD_TEXT};
		rc = refuse(r, &one, member, below, *why ? why : "text, in quotes when it looks like something else");
	}
	*(const struct value **) (void *) out = mapping;
	return rc;
}

static int refuse_target(struct reader *r, const struct field *field, const struct value *value, const char *path) {
	struct err problem = {0};
	err_set(&problem, ERR_CONFIG, "%s: target %s has no such thing, only %s: set it for the environments with that target", path, r->target,
		field->only);
	err_fix(&problem, "%s: null", field->key);
	return keep(r, value->key_at, &problem);
}

static int read_one(struct reader *r, const struct field *field, const struct value *value, const char *path, char *base) {
	char why[FIELD_WHY_MAX] = "";
	if (field->only && r->target && strcmp(field->only, r->target) != 0)
		return refuse_target(r, field, value, path);
	if (field->kind == FIELD_STRUCT && field->offset_on) {
		bool is_none = value->kind == VALUE_STRING && str_is(value->text, "none");
		*(bool *) (base + field->offset_on) = !is_none;
		if (is_none)
			return read_fields(r, field->table, NULL, value->at, path, base);
	}
	if (field->kind == FIELD_LATER) {
		struct err problem = {0};
		err_set(&problem, ERR_CONFIG, "%s: this is not built yet, and no key is ever ignored: leave it out", path);
		return keep(r, value->key_at, &problem);
	}
	if (!is_kind_right(field->kind, value->kind))
		return refuse(r, field, value, path, why);
	switch (field->kind) {
	case FIELD_STRUCT:
		return read_fields(r, field->table, value, value->at, path, base);
	case FIELD_TEXTS:
		return read_texts(r, field, value, path, base + field->offset);
	case FIELD_LIST:
		return read_list(r, field, value, path, base + field->offset);
	case FIELD_MAP:
		return read_map(r, field, value, path, base + field->offset);
	default:
		break;
	}
	struct str text = value->kind == VALUE_BOOL ? (value->boolean ? STR("true") : STR("false")) : value->text;
	return convert(field, text, r->arena, base + field->offset, why) == 0 ? 0 : refuse(r, field, value, path, why);
}

static int fall_back(struct reader *r, const struct field *field, struct place at, const char *path, char *base) {
	if (field->kind == FIELD_STRUCT) {
		if (field->offset_on)
			*(bool *) (base + field->offset_on) = !field->fallback || strcmp(field->fallback, "none") != 0;
		return read_fields(r, field->table, NULL, at, path, base);
	}
	char why[FIELD_WHY_MAX] = "";
	if (field->fallback) {
		int rc = convert(field, str_of(field->fallback), r->arena, base + field->offset, why);
		assert(rc == 0);
		return rc;
	}
	if (!field->is_needed)
		return 0;
	char right[FIELD_RIGHT_MAX];
	struct err problem = {0};
	err_set(&problem, ERR_CONFIG, "%s: missing, it must be %s", path, field_right(field, right));
	if (field->example)
		err_fix(&problem, "%s: %s", field->key, field->example);
	return keep(r, at, &problem);
}

static int refuse_unknown(struct reader *r, const struct field_table *table, const struct value *member, const char *path) {
	const char *names[100];
	size_t count = 0;
	char known[FIELD_RIGHT_MAX] = "";
	size_t used = 0;
	for (const struct field *field = table->fields; field->key && count < 100; field++) {
		names[count++] = field->key;
		if (used < sizeof(known) && field->kind != FIELD_LATER)
			used += (size_t) snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", field->key);
	}
	AUTO_FREE char *word = str_dup(member->key);
	const char *near = text_nearest(word, names, count);
	struct err problem = {0};
	char full[PATH_MAX_BYTES];
	if (near) {
		err_set(&problem, ERR_CONFIG, "%s: unknown key, did you mean %s?", join_path(path, member->key, full), near);
		err_fix(&problem, "%s: ...", near);
	} else {
		err_set(&problem, ERR_CONFIG, "%s: unknown key, here may stand %s", join_path(path, member->key, full), known);
	}
	return keep(r, member->key_at, &problem);
}

static const struct field *find_field(const struct field_table *table, struct str key) {
	for (const struct field *field = table->fields; field->key; field++)
		if (str_is(key, field->key))
			return field;
	return NULL;
}

/* Goes as deep as the table does, never as deep as the text. */
static int read_fields(
	struct reader *r, const struct field_table *table, const struct value *mapping, struct place at, const char *path, char *out) {
	int rc = 0;
	value_each(member, mapping) {
		if (!find_field(table, member->key))
			rc = refuse_unknown(r, table, member, path);
	}
	for (const struct field *field = table->fields; field->key; field++) {
		char below[PATH_MAX_BYTES];
		join_path(path, str_of(field->key), below);
		const struct value *value = value_get(mapping, field->key);
		bool is_set = value && (value->kind != VALUE_NULL || field->kind == FIELD_LATER);
		int one = is_set ? read_one(r, field, value, below, out) : fall_back(r, field, value ? value->key_at : at, below, out);
		rc = one == 0 ? rc : -1;
	}
	return rc;
}

int field_read(const struct field_table *table, const struct value *mapping, const char *file, const char *path, const char *target,
	struct arena *arena, void *out, struct field_problems *problems, struct err *err) {
	struct reader r = {.file = file, .target = target, .arena = arena, .problems = problems, .err = err};
	if (mapping && mapping->kind != VALUE_OBJECT && mapping->kind != VALUE_NULL) {
		struct err problem = {0};
		err_set(&problem, ERR_CONFIG, "%s%sthe file must hold a mapping of keys and values", path, *path ? ": " : "");
		return keep(&r, mapping->at, &problem);
	}
	int rc = read_fields(&r, table, mapping, mapping ? mapping->at : (struct place){0}, path, out);
	assert((rc != 0) == (err->code != ERR_NONE));
	return rc;
}
