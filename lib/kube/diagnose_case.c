#include "kube/diagnose_case.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

#define SPOKEN_BYTES_MAX 2048
#define NODE_SETTLED_S 300

void diagnose_case_open(struct diagnose_case *c, const struct diagnose_world *world, const struct value *object, struct diagnosis *out) {
	*out = (struct diagnosis){0};
	*c = (struct diagnose_case){
		.world = world,
		.object = object,
		.name = diagnose_str(object, "metadata.name"),
		.uid = diagnose_str(object, "metadata.uid"),
		.space = diagnose_str(object, "metadata.namespace"),
		.out = out,
	};
	if (!c->space.len)
		c->space = STR("default");
}

struct str diagnose_str(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && (found->kind == VALUE_STRING || found->kind == VALUE_NUMBER) && found->text.ptr ? found->text : STR("");
}

int64_t diagnose_int(const struct value *object, const char *path, int64_t fallback) {
	const struct value *found = value_find(object, path);
	int64_t number;
	if (!found || found->kind != VALUE_NUMBER || num_int(found->text, INT32_MIN, INT32_MAX, &number) != 0)
		return fallback;
	return number;
}

bool diagnose_bool(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && found->kind == VALUE_BOOL && found->boolean;
}

int64_t diagnose_time(const struct value *object, const char *path) {
	int64_t wall_s;
	return clock_parse_any(diagnose_str(object, path), &wall_s) == 0 ? wall_s : -1;
}

int64_t diagnose_age(const struct diagnose_case *c, int64_t since_s) {
	return since_s > 0 && c->world->now_s > since_s ? c->world->now_s - since_s : 0;
}

const struct value *diagnose_condition(const struct value *object, const char *type) {
	value_each(condition, value_find(object, "status.conditions")) if (str_is(diagnose_str(condition, "type"), type)) return condition;
	return NULL;
}

const struct value *diagnose_named(const struct value *array, struct str name) {
	value_each(item, array) if (str_equal(diagnose_str(item, "name"), name)) return item;
	return NULL;
}

struct str diagnose_architecture(const struct diagnose_case *c) {
	const struct value *node = NULL;
	value_each(item, c->world->nodes) if (str_equal(diagnose_str(item, "metadata.name"), diagnose_str(c->object, "spec.nodeName")))
		node = item;
	value_each(label, value_find(node, "metadata.labels")) if (str_is(label->key, "kubernetes.io/arch") &&
								   label->kind == VALUE_STRING) return label->text;
	return STR("");
}

bool diagnose_is_main(const struct diagnose_case *c, struct str container) {
	struct str first = diagnose_str(value_at(value_find(c->object, "spec.containers"), 0), "name");
	return !container.len || !first.len || str_equal(first, container);
}

bool diagnose_node_is_settled(const struct diagnose_case *c) {
	struct str name = diagnose_str(c->object, "spec.nodeName");
	value_each(node, c->world->nodes) if (name.len && str_equal(diagnose_str(node, "metadata.name"), name)) return diagnose_age(c,
		diagnose_time(node, "metadata.creationTimestamp")) >= NODE_SETTLED_S;
	return false;
}

bool diagnose_lists(const struct value *names, struct str name) {
	value_each(item, names) if (item->kind == VALUE_STRING && str_equal(item->text, name)) return true;
	return false;
}

static size_t find(struct str text, struct str word) {
	for (size_t at = 0; word.len && at + word.len <= text.len; at++) {
		size_t n = 0;
		while (n < word.len && ascii_lower(text.ptr[at + n]) == ascii_lower(word.ptr[n]))
			n++;
		if (n == word.len)
			return at;
	}
	return SIZE_MAX;
}

bool diagnose_has(struct str text, const char *words) {
	for (struct str rest = str_of(words); rest.ptr;)
		if (find(text, str_cut(rest, '|', &rest)) != SIZE_MAX)
			return true;
	return false;
}

struct str diagnose_between(struct str text, const char *after, const char *before) {
	size_t at = find(text, str_of(after));
	if (at == SIZE_MAX)
		return STR("");
	at += strlen(after);
	struct str rest = {text.ptr + at, text.len - at};
	size_t end = *before ? find(rest, str_of(before)) : rest.len;
	return end == SIZE_MAX ? STR("") : (struct str){rest.ptr, end};
}

static size_t utf8_len(const char *text) {
	for (size_t len = 1; len <= 4; len++) {
		if (len > 1 && !text[len - 1])
			break;
		if (utf8_is_valid(text, len))
			return len;
	}
	return 0;
}

/* U+0080 to U+009F are control characters too, and U+202A and its like turn the rest of the line around. */
static bool is_unprintable(const char *text, size_t len) {
	const unsigned char *b = (const unsigned char *) text;
	return (len == 1 && (b[0] < 0x20 || b[0] == 0x7f)) || (len == 2 && b[0] == 0xc2 && b[1] < 0xa0) ||
	       (len == 3 && b[0] == 0xe2 &&
		       ((b[1] == 0x80 && (b[2] >= 0xa8 || (b[2] >= 0x8b && b[2] <= 0x8f))) || (b[1] == 0x81 && b[2] >= 0xa0)));
}

void diagnose_clean(char *text) {
	char *to = text;
	for (const char *from = text; *from;) {
		size_t len = utf8_len(from);
		bool is_space = *from == '\n' || *from == '\t' || *from == '\r' || *from == ' ';
		if (is_space) {
			if (to > text && to[-1] != ' ')
				*to++ = ' ';
		} else if (!len || is_unprintable(from, len)) {
			*to++ = '?';
		} else {
			memmove(to, from, len);
			to += len;
		}
		from += len ? len : 1;
	}
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

/* Copies what fits, whole characters, and marks what did not. */
static void keep(char *out, size_t size, const char *text) {
	size_t len = strlen(text);
	if (len < size) {
		memcpy(out, text, len + 1);
		return;
	}
	len = size - 4;
	while (len && ((unsigned char) text[len] & 0xc0) == 0x80)
		len--;
	memcpy(out, text, len);
	memcpy(out + len, "...", 4);
}

bool diagnose_say(struct diagnose_case *c, enum diagnosis_state state, const char *cause, const char *format, ...) {
	if (state <= c->out->state)
		return false;
	char text[SPOKEN_BYTES_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	diagnose_clean(text);
	*c->out = (struct diagnosis){.state = state};
	keep(c->out->cause, sizeof(c->out->cause), cause);
	keep(c->out->text, sizeof(c->out->text), text);
	return true;
}

void diagnose_fix(struct diagnose_case *c, const char *format, ...) {
	char text[SPOKEN_BYTES_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	diagnose_clean(text);
	keep(c->out->fix, sizeof(c->out->fix), text);
}

void diagnose_fix_resource(struct diagnose_case *c, struct str container, const char *resource, const char *value, const char *note) {
	if (diagnose_is_main(c, container))
		diagnose_fix(c, "%s: resources.%s: %s%s", diagnose_settings(c), resource, value, note);
	else
		diagnose_fix(c, "resources.limits.%s: %s of container %.*s (.mlctl/templates/kubernetes/deployment.yaml)%s", resource, value,
			STR_ARGS(diagnose_quote(container, 63)), note);
}

const char *diagnose_settings(const struct diagnose_case *c) {
	return c->world->settings_file && *c->world->settings_file ? c->world->settings_file : "mlctl.yaml";
}

struct str diagnose_quote(struct str text, size_t bytes_max) {
	text = str_trim(text);
	if (text.len <= bytes_max)
		return text;
	size_t len = bytes_max;
	while (len && ((unsigned char) text.ptr[len] & 0xc0) == 0x80)
		len--;
	return (struct str){text.ptr, len};
}

struct str diagnose_quote_end(struct str text, size_t bytes_max) {
	text = str_trim(text);
	size_t start = text.len > bytes_max ? text.len - bytes_max : 0;
	while (start < text.len && start > 0 && ((unsigned char) text.ptr[start] & 0xc0) == 0x80)
		start++;
	return (struct str){text.ptr + start, text.len - start};
}

static struct str container_of(const struct value *event) {
	struct str path = diagnose_str(event, "involvedObject.fieldPath");
	return diagnose_between(path, "ontainers{", "}");
}

bool diagnose_event_read(const struct value *event, const struct value *object, const char *kind, struct diagnose_event *out) {
	const struct value *about = value_get(event, "involvedObject");
	if (!about)
		about = value_get(event, "regarding"); /* events.k8s.io/v1 */
	struct str uid = diagnose_str(about, "uid"), own = diagnose_str(object, "metadata.uid");
	if (uid.len && own.len ? !str_equal(uid, own)
			       : !str_is(diagnose_str(about, "kind"), kind) ||
					 !str_equal(diagnose_str(about, "name"), diagnose_str(object, "metadata.name")))
		return false;
	*out = (struct diagnose_event){
		.reason = diagnose_str(event, "reason"), .message = diagnose_str(event, "message"), .container = container_of(event)};
	if (!out->message.len)
		out->message = diagnose_str(event, "note");
	int64_t when = diagnose_time(event, "eventTime"), series = diagnose_time(event, "series.lastObservedTime");
	int64_t created = diagnose_time(event, "metadata.creationTimestamp");
	out->first_s = diagnose_time(event, "firstTimestamp");
	out->last_s = diagnose_time(event, "lastTimestamp");
	if (out->first_s < 0)
		out->first_s = when >= 0 ? when : created;
	if (out->last_s < 0)
		out->last_s = series >= 0 ? series : when >= 0 ? when : created;
	out->count = diagnose_int(event, "series.count", diagnose_int(event, "count", 1));
	if (out->count < 1)
		out->count = 1;
	return true;
}

static bool is_one_of(struct str text, const char *names) {
	for (struct str rest = str_of(names); rest.ptr;)
		if (str_equal(text, str_cut(rest, '|', &rest)))
			return true;
	return false;
}

bool diagnose_event_find(const struct diagnose_case *c, const struct diagnose_wanted *wanted, struct diagnose_event *out) {
	bool is_found = false;
	value_each(event, c->world->events) {
		struct diagnose_event seen;
		if (!is_one_of(diagnose_str(event, "reason"), wanted->reasons) ||
			!diagnose_event_read(event, c->object, wanted->kind ? wanted->kind : "Pod", &seen))
			continue;
		if (seen.last_s < wanted->since_s || (wanted->words && !diagnose_has(seen.message, wanted->words)) ||
			(wanted->container.len && seen.container.len && !str_equal(seen.container, wanted->container)))
			continue;
		if (is_found) {
			struct diagnose_event newest = seen.last_s >= out->last_s ? seen : *out;
			newest.count = seen.count + out->count;
			newest.first_s = seen.first_s < out->first_s ? seen.first_s : out->first_s;
			seen = newest;
		}
		*out = seen;
		is_found = true;
	}
	return is_found;
}
