#include "kube/schema.h"

#include "kube/schema_check.h"

#include <assert.h>
#include <regex.h>
#include <stdarg.h>

#include "kube/schema.inc"

#define DEPTH_MAX 40		/* our kinds nest less than half as deep */
#define ITEMS_COMPARED_MAX 1000 /* of a list whose items are told apart by keys: each is compared with all before it */
#define PATTERN_BYTES_MAX 4096
#define NAMES_MAX 128

static schema_rule *const rules[] = {
	NULL,
#define RULE(function, type) schema_rule_##function,
#include "kube/schema_rules.def"
#undef RULE
};

static const char *name_of(uint16_t at) {
	return schema_strings + at;
}

size_t schema_push(struct schema_check *check, struct str key) {
	size_t before = check->path_len, room = sizeof(check->path) - before;
	bool is_plain = key.len > 0;
	for (size_t i = 0; i < key.len; i++)
		is_plain &= ascii_is_alnum(key.ptr[i]) || key.ptr[i] == '_' || key.ptr[i] == '-';
	int n = is_plain ? snprintf(check->path + before, room, "%s%.*s", before ? "." : "", STR_ARGS(key))
			 : snprintf(check->path + before, room, "[\"%.*s\"]", STR_ARGS(key));
	check->path_len = before + ((size_t) n < room ? (size_t) n : room - 1);
	return before;
}

size_t schema_push_index(struct schema_check *check, size_t index) {
	size_t before = check->path_len, room = sizeof(check->path) - before;
	int n = snprintf(check->path + before, room, "[%zu]", index);
	check->path_len = before + ((size_t) n < room ? (size_t) n : room - 1);
	return before;
}

void schema_pop(struct schema_check *check, size_t path_len) {
	check->path_len = path_len;
	check->path[path_len] = '\0';
}

/* What was cut may have been cut inside a character. */
static void mend_end(char *text) {
	size_t len = strlen(text), from = len;
	while (from && ((unsigned char) text[from - 1] & 0xc0) == 0x80)
		from--;
	if (from && ((unsigned char) text[from - 1] & 0xc0) == 0xc0)
		from--;
	if (from < len && !utf8_is_valid(text + from, len - from))
		text[from] = '\0';
}

static void tell(struct schema_check *check, bool is_warning, const struct value *node, const char *key, const char *right,
	const char *what, va_list args) {
	struct kube_problem problem = {.is_warning = is_warning, .node = node ? node : check->root};
	problem.at = check->is_at_key && node && node->key_at.line ? node->key_at : problem.node->at;
	memcpy(problem.path, check->path, sizeof(problem.path));
	if (key)
		snprintf(problem.path + check->path_len, sizeof(problem.path) - check->path_len, "%s%s", check->path_len ? "." : "", key);
	vsnprintf(problem.what, sizeof(problem.what), what, args);
	snprintf(problem.right, sizeof(problem.right), "%s", right ? right : "");
	mend_end(problem.path);
	mend_end(problem.what);
	mend_end(problem.right);
	struct kube_problems *problems = check->problems;
	if (problems->count < problems->max)
		problems->items[problems->count++] = problem;
	problems->warnings += is_warning;
	problems->errors += !is_warning;
	if (!is_warning && !check->errors++)
		check->first = problem;
}

void schema_refuse(struct schema_check *check, const struct value *node, const char *key, const char *right, const char *what, ...) {
	va_list args;
	va_start(args, what);
	tell(check, false, node, key, right, what, args);
	va_end(args);
}

void schema_warn(struct schema_check *check, const struct value *node, const char *key, const char *right, const char *what, ...) {
	va_list args;
	va_start(args, what);
	tell(check, true, node, key, right, what, args);
	va_end(args);
}

static bool is_hidden(const struct schema_check *check) {
	return check->is_secret && (strncmp(check->path, "data", 4) == 0 || strncmp(check->path, "stringData", 10) == 0);
}

const char *schema_shown(const struct schema_check *check, const struct value *value, char out[SCHEMA_SHOWN_MAX]) {
	static const char *const words[] = {"nothing", "", "", "", "a list", "a mapping"};
	if (value->kind == VALUE_ARRAY || value->kind == VALUE_OBJECT || value->kind == VALUE_NULL) {
		snprintf(out, SCHEMA_SHOWN_MAX, "%s", words[value->kind]);
	} else if (is_hidden(check)) {
		snprintf(out, SCHEMA_SHOWN_MAX, "***");
	} else if (value->kind == VALUE_BOOL) {
		snprintf(out, SCHEMA_SHOWN_MAX, "%s", value->boolean ? "true" : "false");
	} else {
		const int most = SCHEMA_SHOWN_MAX - 12;
		size_t len = value->text.len < (size_t) most ? value->text.len : (size_t) most;
		while (len && len < value->text.len && (value->text.ptr[len] & 0xc0) == 0x80)
			len--;
		const char *quote = value->kind == VALUE_STRING ? "\"" : "";
		snprintf(out, SCHEMA_SHOWN_MAX, "%s%.*s%s%s", quote, (int) len, len ? value->text.ptr : "",
			len < value->text.len ? "..." : "", quote);
		for (char *c = out; *c; c++)
			if ((unsigned char) *c < 0x20 || *c == 0x7f)
				*c = ' ';
	}
	return out;
}

const struct value *schema_get(const struct value *object, const char *key) {
	const struct value *value = value_get(object, key);
	return value && value->kind != VALUE_NULL ? value : NULL;
}

struct str schema_text(const struct value *object, const char *key) {
	const struct value *value = value_get(object, key);
	return value && value->kind == VALUE_STRING ? value->text : (struct str){0};
}

bool schema_int(const struct value *value, int64_t *out) {
	return value && value->kind == VALUE_NUMBER && num_int(value->text, INT64_MIN, INT64_MAX, out) == 0;
}

/* One value and where its children are looked up; the walk keeps these instead of recursing. */
struct frame {
	const struct value *value, *child;
	const struct schema_node *node;
	size_t index, path_len; /* path_len: of the parent's path, to return to */
};
struct walk {
	struct schema_check *check;
	struct frame frames[DEPTH_MAX];
	size_t depth;
};

static const char *const kind_words[] = {
	[SCHEMA_ANY] = "anything",
	[SCHEMA_STRING] = "text",
	[SCHEMA_INTEGER] = "a whole number",
	[SCHEMA_NUMBER] = "a number",
	[SCHEMA_BOOL] = "true or false",
	[SCHEMA_OBJECT] = "a mapping",
	[SCHEMA_MAP] = "a mapping",
	[SCHEMA_ARRAY] = "a list",
	[SCHEMA_INT_OR_STRING] = "a whole number or text",
	[SCHEMA_QUANTITY] = "a quantity",
};

static bool is_of_kind(const struct schema_node *node, const struct value *value) {
	int64_t whole;
	double real;
	switch ((enum schema_kind) node->kind) {
	case SCHEMA_ANY:
		return true;
	case SCHEMA_STRING:
		return value->kind == VALUE_STRING;
	case SCHEMA_INTEGER:
		return schema_int(value, &whole);
	case SCHEMA_NUMBER:
		return value->kind == VALUE_NUMBER && num_double(value->text, &real) == 0;
	case SCHEMA_BOOL:
		return value->kind == VALUE_BOOL;
	case SCHEMA_OBJECT:
	case SCHEMA_MAP:
		return value->kind == VALUE_OBJECT;
	case SCHEMA_ARRAY:
		return value->kind == VALUE_ARRAY;
	case SCHEMA_INT_OR_STRING:
		return value->kind == VALUE_STRING || (schema_int(value, &whole) && whole >= INT32_MIN && whole <= INT32_MAX);
	case SCHEMA_QUANTITY:
		return value->kind == VALUE_STRING || value->kind == VALUE_NUMBER;
	}
	return false;
}

static void refuse_kind(struct schema_check *check, const struct schema_node *node, const struct value *value) {
	char shown[SCHEMA_SHOWN_MAX], right[SCHEMA_SHOWN_MAX + 40] = "";
	bool is_text = value->kind == VALUE_STRING, is_scalar = is_text || value->kind == VALUE_NUMBER || value->kind == VALUE_BOOL;
	int64_t whole;
	schema_shown(check, value, shown);
	if (node->kind == SCHEMA_STRING && is_scalar)
		snprintf(right, sizeof(right), "put it in quotes: \"%s\"", shown);
	else if (node->kind == SCHEMA_INTEGER && is_text && num_int(value->text, INT64_MIN, INT64_MAX, &whole) == 0)
		snprintf(right, sizeof(right), "write %lld without quotes", (long long) whole);
	else if (node->kind == SCHEMA_BOOL && is_text)
		snprintf(right, sizeof(right), "write true or false, without quotes");
	else if (node->kind == SCHEMA_ARRAY)
		snprintf(right, sizeof(right), "begin each item with '- '");
	const char *is = value->kind == VALUE_NUMBER ? " is a number" : is_text ? " is text" : "";
	if (node->kind == SCHEMA_INTEGER && value->kind == VALUE_NUMBER)
		is = " is no whole number of 64 bits";
	schema_refuse(check, value, NULL, right, "%s%s, and %s is needed", shown, is, kind_words[node->kind]);
}

static size_t count_characters(struct str text) {
	size_t count = 0;
	for (size_t i = 0; i < text.len; i++)
		count += (text.ptr[i] & 0xc0) != 0x80;
	return count;
}

static void check_choice(struct schema_check *check, const struct schema_limit *limit, const struct value *value) {
	const char *names[NAMES_MAX];
	size_t count = schema_lists[limit->choices];
	assert(count < NAMES_MAX);
	AUTO_BUF struct buf all = BUF(1024);
	for (size_t i = 0; i < count; i++) {
		names[i] = name_of(schema_lists[limit->choices + 1 + i]);
		if (str_is(value->text, names[i]))
			return;
		if (i < 12)
			buf_format(&all, "%s%s", i ? ", " : "", *names[i] ? names[i] : "\"\"");
	}
	char shown[SCHEMA_SHOWN_MAX];
	AUTO_FREE char *word = str_dup(value->text);
	const char *nearest = text_nearest(word, names, count);
	for (size_t i = 0; i < count && !nearest; i++)
		nearest = str_is_nocase(value->text, names[i]) ? names[i] : NULL;
	AUTO_FREE char *right = nearest ? mem_format("did you mean %s?", nearest) : NULL;
	schema_refuse(
		check, value, NULL, right, "%s is not one of %s%s", schema_shown(check, value, shown), all.ptr, count > 12 ? " ..." : "");
}

static void check_pattern(struct schema_check *check, const struct schema_limit *limit, const struct value *value) {
	const char *pattern = name_of(limit->pattern);
	regex_t regex;
	if (value->text.len > PATTERN_BYTES_MAX || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return; /* a length limit stands beside every pattern; and that each compiles is tested */
	AUTO_FREE char *text = str_dup(value->text);
	bool is_match = strlen(text) == value->text.len && regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	char shown[SCHEMA_SHOWN_MAX];
	if (!is_match)
		schema_refuse(check, value, NULL, NULL, "%s does not match %s", schema_shown(check, value, shown), pattern);
}

static void check_number(struct schema_check *check, const struct schema_limit *limit, const struct value *value) {
	double real;
	int64_t whole;
	bool is_whole = schema_int(value, &whole), is_low, is_high;
	if (num_double(value->text, &real) != 0)
		return;
	is_low = is_whole ? whole < limit->min : real < (double) limit->min;
	is_high = is_whole ? whole > limit->max : real > (double) limit->max;
	char right[100], shown[SCHEMA_SHOWN_MAX];
	schema_shown(check, value, shown);
	if (limit->max == INT64_MAX)
		snprintf(right, sizeof(right), "%lld or more", (long long) limit->min);
	else
		snprintf(right, sizeof(right), "from %lld to %lld", (long long) limit->min, (long long) limit->max);
	if (limit->max == 511 && is_high) /* a file's mode, in decimal: what looks like octal in YAML is not */
		schema_refuse(check, value, NULL, "0644 is 420 in decimal: write 420", "%s is above 511, which is 0777", shown);
	else if (is_low || is_high)
		schema_refuse(check, value, NULL, right, "%s is too %s", shown, is_low ? "small" : "large");
}

static void check_port_or_name(struct schema_check *check, const struct value *value) {
	char shown[SCHEMA_SHOWN_MAX];
	int64_t number;
	schema_shown(check, value, shown);
	if (schema_int(value, &number)) {
		if (number < 1 || number > 65535)
			schema_refuse(check, value, NULL, "from 1 to 65535", "%s is no port", shown);
	} else if (num_int(value->text, 0, INT64_MAX, &number) == 0) {
		AUTO_FREE char *right = mem_format("write %lld without quotes", (long long) number);
		schema_refuse(check, value, NULL, right, "%s is text, and would be taken for a port's name", shown);
	} else {
		const char *wrong =
			value->text.len ? schema_format_wrong(FORMAT_PORT_NAME, value->text, check->minor) : "a port's number or name";
		if (wrong)
			schema_refuse(check, value, NULL, wrong, "%s is neither a port nor a port's name", shown);
	}
}

static void check_share(struct schema_check *check, const struct value *value, bool is_bounded) {
	char shown[SCHEMA_SHOWN_MAX];
	int64_t number;
	bool is_share;
	schema_shown(check, value, shown);
	if (schema_share_of(value, &number, &is_share) != 0)
		schema_refuse(check, value, NULL, "a whole number, or a percentage in quotes such as \"25%\"",
			"%s is neither a number nor a percentage", shown);
	else if (number < 0 || (is_share && is_bounded && number > 100))
		schema_refuse(check, value, NULL, number < 0 ? "0 or more" : "at most 100%", "%s is out of range", shown);
}

static void check_quantity(struct schema_check *check, const struct value *value) {
	struct schema_quantity quantity;
	char shown[SCHEMA_SHOWN_MAX];
	if (schema_quantity_of(value, &quantity) == 0)
		return;
	struct str text = value->text;
	schema_shown(check, value, shown);
	const char *right = "a number with an optional suffix: m, k, M, G, T, Ki, Mi, Gi, Ti (500m, 2, 512Mi)";
	if (str_ends(text, "GB") || str_ends(text, "MB") || str_ends(text, "KB") || str_ends(text, "gb") || str_ends(text, "mb"))
		right = "without the B: Mi and Gi count in 1024s, M and G in 1000s (512Mi)";
	else if (str_ends(text, "mi") || str_ends(text, "gi") || str_ends(text, "MI") || str_ends(text, "GI") || str_ends(text, "g") ||
		 str_ends(text, "K"))
		right = "the case matters: k, M, G, Ki, Mi, Gi";
	schema_refuse(check, value, NULL, right, "%s is no quantity", shown);
}

static void check_scalar(struct schema_check *check, const struct schema_node *node, const struct value *value) {
	const struct schema_limit *limit = &schema_limits[node->limit];
	char shown[SCHEMA_SHOWN_MAX];
	if (node->kind == SCHEMA_QUANTITY) {
		check_quantity(check, value);
	} else if (node->kind == SCHEMA_INT_OR_STRING && node->format == FORMAT_PORT_OR_NAME) {
		check_port_or_name(check, value);
	} else if (node->kind == SCHEMA_INT_OR_STRING && node->format != FORMAT_NONE) {
		check_share(check, value, node->format == FORMAT_SHARE_AT_MOST);
	} else if (value->kind == VALUE_NUMBER && node->limit && limit->choices) {
		check_choice(check, limit, value);
	} else if (value->kind == VALUE_NUMBER && node->limit) {
		check_number(check, limit, value);
	} else if (value->kind == VALUE_STRING) {
		const char *wrong = schema_format_wrong(node->format, value->text, check->minor);
		if (wrong && !value->text.len)
			schema_refuse(check, value, NULL, wrong, "is empty");
		else if (wrong)
			schema_refuse(check, value, NULL, wrong, "%s does not fit", schema_shown(check, value, shown));
		int64_t length = (int64_t) count_characters(value->text);
		if (node->limit && length < limit->min)
			schema_refuse(
				check, value, NULL, NULL, length ? "is shorter than %lld characters" : "is empty", (long long) limit->min);
		else if (node->limit && length > limit->max)
			schema_refuse(check, value, NULL, NULL, "is longer than %lld characters", (long long) limit->max);
		else if (node->limit && limit->choices)
			check_choice(check, limit, value);
		else if (node->limit && limit->pattern)
			check_pattern(check, limit, value);
	}
}

static const struct schema_member *member_of(const struct schema_type *type, struct str name) {
	size_t low = 0, high = type->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct schema_member *member = &schema_members[type->first + middle];
		const char *text = name_of(member->name);
		size_t len = strlen(text);
		int order = memcmp(name.ptr, text, name.len < len ? name.len : len);
		if (order == 0 && name.len == len)
			return member;
		if (order < 0 || (order == 0 && name.len < len))
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void refuse_unknown(struct schema_check *check, const struct schema_type *type, const struct value *value) {
	const char *names[NAMES_MAX], *nearest;
	size_t count = 0;
	for (size_t i = 0; i < type->count && count < NAMES_MAX; i++)
		names[count++] = name_of(schema_members[type->first + i].name);
	AUTO_FREE char *word = str_dup(value->key);
	nearest = text_nearest(word, names, count);
	for (size_t i = 0; i < count && !nearest; i++)
		nearest = str_is_nocase(value->key, names[i]) ? names[i] : NULL;
	AUTO_BUF struct buf right = BUF(260);
	if (nearest)
		buf_format(&right, "did you mean %s?", nearest);
	else
		for (size_t i = 0; i < count && right.len < 200; i++)
			buf_format(&right, "%s%s", i ? ", " : "one of ", names[i]);
	check->is_at_key = true;
	schema_refuse(check, value, NULL, right.ptr, "is not a field of %s",
		type->is_builtin ? strrchr(name_of(type->name), '.') + 1 : name_of(type->name));
	check->is_at_key = false;
}

/* A version's border. Is the field there? */
static bool check_since(struct schema_check *check, const struct schema_member *member, const struct value *value) {
	if (member->since && check->minor < member->since) {
		schema_refuse(
			check, value, NULL, NULL, "is known from Kubernetes 1.%d on, and the cluster is 1.%d", member->since, check->minor);
		return false;
	}
	if (member->until && check->minor > member->until) {
		schema_refuse(
			check, value, NULL, NULL, "was there up to Kubernetes 1.%d, and the cluster is 1.%d", member->until, check->minor);
		return false;
	}
	return true;
}

static struct str key_text(const struct value *item, const char *key) {
	const struct value *value = schema_get(item, key);
	if (!value || (value->kind != VALUE_STRING && value->kind != VALUE_NUMBER))
		return strcmp(key, "protocol") == 0 ? STR("TCP") : (struct str){0};
	return value->text;
}

static bool is_same_item(const struct schema_node *node, const struct value *a, const struct value *b) {
	if (!node->keys)
		return value_equal(a, b);
	for (size_t i = 0; i < schema_lists[node->keys]; i++) {
		const char *key = name_of(schema_lists[node->keys + 1 + i]);
		if (!str_equal(key_text(a, key), key_text(b, key)))
			return false;
	}
	return true;
}

static void check_items(struct schema_check *check, const struct schema_node *node, const struct value *list) {
	const struct schema_limit *limit = &schema_limits[node->limit];
	int64_t count = (int64_t) list->count;
	if (node->limit && count < limit->min)
		schema_refuse(
			check, list, NULL, NULL, "has %lld items, and %lld or more are needed", (long long) count, (long long) limit->min);
	if (node->limit && count > limit->max)
		schema_refuse(check, list, NULL, NULL, "has %lld items, at most %lld", (long long) count, (long long) limit->max);
	if (!((node->flags & SCHEMA_KEYED) && node->keys) && !(node->flags & SCHEMA_SET))
		return;
	if (count > ITEMS_COMPARED_MAX) {
		schema_warn(check, list, NULL, NULL, "has %lld items: only the first %d are compared with each other", (long long) count,
			ITEMS_COMPARED_MAX);
		count = ITEMS_COMPARED_MAX;
	}
	size_t index = 0;
	for (const struct value *item = list->first; item && (int64_t) index < count; item = item->next, index++) {
		size_t earlier = 0;
		const struct value *other = list->first;
		while (other != item && !is_same_item(node, other, item)) {
			other = other->next;
			earlier++;
		}
		if (other == item)
			continue;
		const char *key = node->keys ? name_of(schema_lists[node->keys + 1]) : NULL;
		char shown[SCHEMA_SHOWN_MAX] = "";
		const struct value *value = key ? schema_get(item, key) : item;
		if (value)
			schema_shown(check, value, shown);
		size_t path_len = schema_push_index(check, index);
		schema_refuse(check, value ? value : item, key, NULL, "%s is there twice: item %zu has it too", shown, earlier);
		schema_pop(check, path_len);
	}
}

/* What is asked of a whole object once its members have been looked at. */
static void leave(struct walk *walk, struct frame *frame) {
	struct schema_check *check = walk->check;
	if (frame->node->kind == SCHEMA_ARRAY) {
		check_items(check, frame->node, frame->value);
	} else if (frame->node->kind == SCHEMA_OBJECT) {
		const struct schema_type *type = &schema_types[frame->node->ref];
		for (size_t i = 0; i < type->count; i++) {
			const struct schema_member *member = &schema_members[type->first + i];
			if (member->is_needed && !schema_get(frame->value, name_of(member->name)))
				schema_refuse(check, frame->value, name_of(member->name), NULL, "is missing");
		}
		if (type->rule)
			rules[type->rule](check, frame->value);
	}
	schema_pop(check, frame->path_len);
}

static void enter(struct walk *walk, const struct schema_node *node, const struct value *value, size_t path_len) {
	struct schema_check *check = walk->check;
	if (node->kind == SCHEMA_ANY || value->kind == VALUE_NULL) {
		schema_pop(check, path_len);
	} else if (!is_of_kind(node, value)) {
		refuse_kind(check, node, value);
		schema_pop(check, path_len);
	} else if (node->kind != SCHEMA_OBJECT && node->kind != SCHEMA_MAP && node->kind != SCHEMA_ARRAY) {
		check_scalar(check, node, value);
		schema_pop(check, path_len);
	} else {
		assert(walk->depth < DEPTH_MAX); /* the tables end long before: nothing in them holds itself */
		walk->frames[walk->depth++] = (struct frame){.value = value, .child = value->first, .node = node, .path_len = path_len};
	}
}

static void walk_child(struct walk *walk, struct frame *frame) {
	struct schema_check *check = walk->check;
	const struct value *child = frame->child;
	frame->child = child->next;
	if (frame->node->kind == SCHEMA_ARRAY) {
		size_t path_len = schema_push_index(check, frame->index++);
		if (child->kind == VALUE_NULL)
			schema_refuse(check, child, NULL, "leave the item out", "is nothing");
		enter(walk, &schema_nodes[frame->node->ref], child, path_len);
		return;
	}
	size_t path_len = schema_push(check, child->key);
	if (frame->node->kind == SCHEMA_MAP) {
		const char *wrong = schema_format_wrong(frame->node->format, child->key, check->minor);
		check->is_at_key = true;
		if (wrong)
			schema_refuse(check, child, NULL, wrong, "\"%.*s\" does not fit as a key",
				(int) (child->key.len < 100 ? child->key.len : 100), child->key.len ? child->key.ptr : "");
		check->is_at_key = false;
		enter(walk, &schema_nodes[frame->node->ref], child, path_len);
		return;
	}
	const struct schema_type *type = &schema_types[frame->node->ref];
	const struct schema_member *member = member_of(type, child->key);
	if (!member)
		refuse_unknown(check, type, child);
	if (member && check_since(check, member, child))
		enter(walk, &schema_nodes[member->node], child, path_len);
	else
		schema_pop(check, path_len);
}

static void walk_tree(struct schema_check *check, uint16_t type) {
	struct walk walk = {.check = check};
	const struct schema_node top = {.kind = SCHEMA_OBJECT, .ref = type};
	enter(&walk, &top, check->root, check->path_len);
	while (walk.depth) {
		struct frame *frame = &walk.frames[walk.depth - 1];
		if (frame->child)
			walk_child(&walk, frame);
		else {
			leave(&walk, frame);
			walk.depth--;
		}
	}
}

static const struct schema_root *root_find(struct str api_version, struct str kind) {
	for (size_t i = 0; i < sizeof(schema_roots) / sizeof(schema_roots[0]); i++)
		if (str_is(api_version, name_of(schema_roots[i].api_version)) && str_is(kind, name_of(schema_roots[i].kind)))
			return &schema_roots[i];
	return NULL;
}

/* The apiVersion that serves a kind in the cluster's version: the one with a schema, else the newest. */
static const char *version_of_kind(struct str kind, int minor) {
	const char *found = NULL;
	for (size_t i = 0; i < sizeof(schema_roots) / sizeof(schema_roots[0]); i++) {
		const struct schema_root *root = &schema_roots[i];
		if (str_is(kind, name_of(root->kind)) && (!root->until || minor <= root->until) && (root->type >= 0 || !found))
			found = name_of(root->api_version);
	}
	return found;
}

/* Groups without a dot, and those of k8s.io that are known, are the server's own; any other may be somebody's custom resource. */
static bool is_own_group(struct str api_version) {
	struct str version, group = str_cut(api_version, '/', &version);
	if (!version.ptr || !memchr(group.ptr, '.', group.len))
		return true;
	for (size_t i = 0; i < sizeof(schema_roots) / sizeof(schema_roots[0]); i++)
		if (str_equal(str_cut(str_of(name_of(schema_roots[i].api_version)), '/', &version), group))
			return true;
	return false;
}

static const char *nearest_kind(struct str kind) {
	const char *names[sizeof(schema_roots) / sizeof(schema_roots[0])];
	size_t count = 0;
	for (size_t i = 0; i < sizeof(schema_roots) / sizeof(schema_roots[0]); i++)
		if (schema_roots[i].type >= 0)
			names[count++] = name_of(schema_roots[i].kind);
	AUTO_FREE char *word = str_dup(kind);
	return text_nearest(word, names, count);
}

static void refuse_gone(struct schema_check *check, const struct schema_gone *gone, const char *kind) {
	const struct value *at = value_get(check->root, "apiVersion");
	AUTO_BUF struct buf right = BUF(280);
	if (gone->instead)
		buf_format(&right, "apiVersion: %s", gone->instead);
	if (gone->note)
		buf_format(&right, "%s%s", right.len ? "; " : "", gone->note);
	AUTO_FREE char *cluster = check->is_version_given ? mem_format(", and the cluster is 1.%d", check->minor) : mem_text("");
	if (gone->minor)
		schema_refuse(check, at, "apiVersion", right.ptr, "%s of %s was removed in Kubernetes 1.%d%s", kind, gone->api_version,
			gone->minor, cluster);
	else
		schema_refuse(check, at, "apiVersion", right.ptr, "%s of %s was an early version that is not served any more", kind,
			gone->api_version);
}

static void refuse_kind_unknown(struct schema_check *check, struct str api_version, const char *kind) {
	const struct value *at_version = value_get(check->root, "apiVersion"), *at_kind = value_get(check->root, "kind");
	char shown[SCHEMA_SHOWN_MAX], *right = NULL;
	const char *other = version_of_kind(str_of(kind), check->minor), *nearest = nearest_kind(str_of(kind));
	if (other && is_own_group(api_version)) {
		right = mem_format("apiVersion: %s", other);
		schema_refuse(check, at_version, "apiVersion", right, "%s has no kind %s", schema_shown(check, at_version, shown), kind);
	} else if (is_own_group(api_version)) {
		right = nearest ? mem_format("did you mean %s?", nearest) : NULL;
		schema_refuse(
			check, at_kind, "kind", right, "%s is no kind of %.*s", schema_shown(check, at_kind, shown), STR_ARGS(api_version));
	} else {
		schema_warn(check, at_kind, "kind", NULL, "%s of %.*s is not known here: only its metadata is checked",
			schema_shown(check, at_kind, shown), STR_ARGS(api_version));
	}
	free(right);
}

/* Which kind is it? What is gone, came later or never was is told; a kind of somebody's own is let through. */
static void find_kind(struct schema_check *check, struct str api_version, struct str kind) {
	const struct value *at = value_get(check->root, "apiVersion");
	const struct schema_root *root = root_find(api_version, kind);
	const struct schema_gone *gone = schema_gone_find(api_version, kind);
	AUTO_FREE char *kind_text = str_dup(kind);
	if (gone && check->minor >= gone->minor) {
		refuse_gone(check, gone, kind_text);
		return;
	}
	if (!root) {
		/* Removed after the cluster's version, and older than the schemas: the server knows it, and nothing here does. */
		if (!gone)
			refuse_kind_unknown(check, api_version, kind_text);
		return;
	}
	const char *other = version_of_kind(kind, check->minor);
	AUTO_FREE char *right = other && !str_is(api_version, other) ? mem_format("apiVersion: %s", other) : NULL;
	if (root->until && check->minor > root->until)
		schema_refuse(check, at, "apiVersion", right, "%s of %.*s was removed in Kubernetes 1.%d", kind_text, STR_ARGS(api_version),
			root->until + 1);
	else if (root->since && check->minor < root->since)
		schema_refuse(check, at, "apiVersion", NULL, "%s of %.*s came with Kubernetes 1.%d, and the cluster is 1.%d", kind_text,
			STR_ARGS(api_version), root->since, check->minor);
	else
		check->kind = root;
}

/* The only thing asked of a kind that has no schema here. */
static void check_bare(struct schema_check *check) {
	const struct value *metadata = schema_get(check->root, "metadata");
	uint16_t type = 0;
	while (strcmp(name_of(schema_types[type].name), "meta.v1.ObjectMeta") != 0)
		type++;
	if (!metadata)
		return; /* told already */
	if (metadata->kind == VALUE_OBJECT) {
		const struct value *root = check->root;
		schema_push(check, STR("metadata"));
		check->root = metadata;
		walk_tree(check, type);
		check->root = root;
		schema_pop(check, 0);
	} else {
		schema_refuse(check, metadata, "metadata", "metadata: {name: ...}", "is no mapping");
	}
}

static int read_version(const char *version, int *minor, struct err *err) {
	struct str rest, text = str_of(version), head;
	int64_t number;
	*minor = SCHEMA_LAST;
	if (!version)
		return 0;
	head = str_cut(str_starts(text, "v") ? (struct str){text.ptr + 1, text.len - 1} : text, '.', &rest);
	struct str second = str_cut(rest, '.', &rest);
	if (str_ends(second, "+")) /* what some clouds append */
		second.len--;
	if (!str_is(head, "1") || num_int(second, 0, 999, &number) != 0) {
		err_set(err, ERR_USAGE, "\"%s\" is no version of Kubernetes", version);
		return err_fix(err, "such as 1.29");
	}
	*minor = number < SCHEMA_FIRST ? SCHEMA_FIRST : number > SCHEMA_LAST ? SCHEMA_LAST : (int) number;
	return 0;
}

void kube_problem_err(const struct kube_problem *problem, const char *file, struct err *err) {
	err_set(err, ERR_INVALID, "%s%s%s", problem->path, *problem->path ? ": " : "", problem->what);
	if (*problem->right)
		err_fix(err, "%s", problem->right);
	if (file && problem->at.line)
		err_at(err, "%s:%d:%d", file, problem->at.line, problem->at.column);
	else if (file)
		err_at(err, "%s", file);
}

/* In the order of the text, whatever the order of asking; those of earlier objects stay before. */
static void sort_problems(struct kube_problems *problems, size_t from) {
	for (size_t i = from + 1; i < problems->count; i++) {
		struct kube_problem problem = problems->items[i];
		size_t at = i;
		for (; at > from; at--) {
			struct place before = problems->items[at - 1].at;
			if (before.line < problem.at.line || (before.line == problem.at.line && before.column <= problem.at.column))
				break;
			problems->items[at] = problems->items[at - 1];
		}
		problems->items[at] = problem;
	}
}

int schema_verdict(struct schema_check *check, struct err *err) {
	sort_problems(check->problems, check->problems_before);
	if (!check->errors)
		return 0;
	kube_problem_err(&check->first, NULL, err);
	if (check->errors > 1)
		err_wrap(err, "%zu problems, the first", check->errors);
	struct str kind = schema_text(check->root, "kind"), name = schema_text(schema_get(check->root, "metadata"), "name");
	if (kind.len)
		err_wrap(err, "%.*s %.*s", STR_ARGS(kind), STR_ARGS(name));
	return -1;
}

int schema_begin(
	struct schema_check *check, const struct value *object, const char *version, struct kube_problems *problems, struct err *err) {
	*check = (struct schema_check){
		.root = object, .problems = problems, .problems_before = problems->count, .is_version_given = version != NULL};
	return read_version(version, &check->minor, err);
}

int kube_schema_check(const struct value *object, const char *version, struct kube_problems *problems, struct err *err) {
	struct schema_check check;
	if (schema_begin(&check, object, version, problems, err) != 0)
		return -1;
	if (object->kind != VALUE_OBJECT) {
		schema_refuse(&check, object, NULL, "a mapping with apiVersion, kind and metadata", "is no Kubernetes object");
		return schema_verdict(&check, err);
	}
	struct str api_version = schema_text(object, "apiVersion"), kind = schema_text(object, "kind");
	check.is_secret = str_is(kind, "Secret");
	if (!api_version.len)
		schema_refuse(&check, object, "apiVersion", "such as apps/v1", "is missing");
	if (!kind.len)
		schema_refuse(&check, object, "kind", "such as Deployment", "is missing");
	if (check.errors)
		return schema_verdict(&check, err);
	if (!schema_get(object, "metadata"))
		schema_refuse(&check, object, "metadata", "metadata: {name: ...}", "is missing");
	find_kind(&check, api_version, kind);
	if (check.kind && check.kind->type >= 0)
		walk_tree(&check, (uint16_t) check.kind->type);
	else if (!check.errors)
		check_bare(&check);
	return schema_verdict(&check, err);
}
