/* ONE tree for JSON and YAML, with the place of every node kept. Numbers stay text (a 20-digit id survives; "1.0" stays "1.0").
 *
 * A document owns its nodes and texts (an arena); nodes lend until the document is freed. Readers: json_read() (strict, of our own,
 * all that the runner links) and yaml_read() (libyaml). Writer: json_write(). Trees are built by value_object() and so on for writing. */
#pragma once

#include "base/num.h"

enum value_kind { VALUE_NULL, VALUE_BOOL, VALUE_NUMBER, VALUE_STRING, VALUE_ARRAY, VALUE_OBJECT };

struct place {
	int line, column; /* from 1; 0: not from a text */
};

struct value {
	enum value_kind kind;
	bool boolean;
	struct str text;    /* STRING: the bytes, UTF-8, may hold NUL; NUMBER: as written, JSON's grammar */
	struct str key;     /* when a member of an object: its name */
	struct place at, key_at;
	size_t count;       /* ARRAY, OBJECT */
	struct value *first, *last, *next; /* children in order; sibling */
};

struct document {
	struct arena memory;
	struct value *root;
	char *name; /* the file's name for messages: "mlctl.yaml"; owned by the arena */
};
struct document *document_new(const char *name);
void document_free(struct document *document);
CLEANUP_POINTER(document, struct document *, document_free)
#define AUTO_DOCUMENT __attribute__((cleanup(document_at_exit)))

/* Limits of both readers; json and yaml have the same. */
struct value_limits {
	size_t bytes_max, nodes_max;
	int depth_max;
};
#define VALUE_LIMITS_CONFIG ((struct value_limits) {1024 * 1024, 100000, 64})
#define VALUE_LIMITS_WIRE ((struct value_limits) {16 * 1024 * 1024, 2000000, 128})

/* Strict RFC 8259: one value and nothing else, UTF-8 only, no duplicate keys, no lone surrogates, no raw control characters. Fails
 * with ERR_INVALID, err->at = "name:line:column". Pass ERR_CONFIG etc. on by wrapping if another code fits. */
int json_read(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err);
/* YAML 1.2 core schema, one document: no anchors, aliases, tags, directives, merge keys, duplicate keys; "yes" and "1_000" are strings, a
 * file without a value is null. Cost is linear: libyaml's quadratic nesting ends at depth_max plus the 1,024 characters it looks ahead.
 * Only in libmlctl.a, never in the runner. */
int yaml_read(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err);
/* A file of several documents, split by "---": the root is a list of their values, in order; a document without a value is left out. */
int yaml_read_all(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err);

/* Reading. A path is "a.b.c" for messages: find does not parse it; value_get takes one member name. */
const struct value *value_get(const struct value *object, const char *key); /* NULL: no object, or not there */
const struct value *value_at(const struct value *array, size_t index);
#define value_each(child, parent) for (const struct value *child = (parent) ? (parent)->first : NULL; child; child = child->next)

/* "status.url" style look-ups, for wire messages; `need` fails with ERR_INVALID naming the whole path, `opt` leaves the fallback when the
 * member is missing or null and fails when it has another type. Strings lent. */
int value_need_str(const struct value *v, const char *path, struct str *out, struct err *err);
int value_opt_str(const struct value *v, const char *path, struct str fallback, struct str *out, struct err *err);
int value_need_int(const struct value *v, const char *path, int64_t *out, struct err *err);
int value_opt_int(const struct value *v, const char *path, int64_t fallback, int64_t *out, struct err *err);
int value_opt_double(const struct value *v, const char *path, double fallback, double *out, struct err *err);
int value_opt_bool(const struct value *v, const char *path, bool fallback, bool *out, struct err *err);
const struct value *value_find(const struct value *v, const char *path); /* NULL when any step is missing */
bool value_equal(const struct value *a, const struct value *b);          /* order of members does not matter */
/* What differs, added to the array `changes` of `document`: {"path": "a.b[0]", "from": .., "to": ..} each, `from` or `to` left out where there is
 * nothing on that side. Lists are compared place by place. Either tree may be NULL. */
void value_diff(struct document *document, struct value *changes, const struct value *from, const struct value *to);

/* Building; texts are copied into the document's arena. add_* append to an array (key NULL) or an object and return the new node. */
struct value *value_root_object(struct document *document);
struct value *value_root_array(struct document *document);
struct value *value_add_object(struct document *document, struct value *parent, const char *key);
struct value *value_add_array(struct document *document, struct value *parent, const char *key);
struct value *value_add_str(struct document *document, struct value *parent, const char *key, struct str text);
struct value *value_add_text(struct document *document, struct value *parent, const char *key, const char *text); /* NULL: null */
struct value *value_add_int(struct document *document, struct value *parent, const char *key, int64_t number);
struct value *value_add_double(struct document *document, struct value *parent, const char *key, double number);
struct value *value_add_bool(struct document *document, struct value *parent, const char *key, bool boolean);
struct value *value_add_null(struct document *document, struct value *parent, const char *key);
/* Another text for a string or a number that is there. */
void value_set_str(struct document *document, struct value *value, struct str text);
void value_set_int(struct document *document, struct value *value, int64_t number);
struct value *value_add_copy(struct document *document, struct value *parent, const char *key, const struct value *from);
/* RFC 7386 merge patch of `patch` over `base` into a new tree of `document` (lists replaced, null removes); places follow the source. */
struct value *value_merge(struct document *document, const struct value *base, const struct value *patch);

/* JSON out (cJSON's printer behind it): compact, or indented for people. Canonical: members sorted by key bytes, compact - what digests are
 * taken of. Owned by the caller. */
enum json_style { JSON_COMPACT, JSON_PRETTY, JSON_CANONICAL };
int json_write(const struct value *value, enum json_style style, char **out, struct err *err);
/* YAML out (yaml_write.c), in block style and with a newline at the end, appended: yaml_read() and every YAML 1.1 or 1.2 reader get the same tree back (a
 * number with an exponent may be spelled in another way; one of more than 400 characters comes back as text). notes (may be NULL): what is put behind a scalar as a comment; node NULL: behind a key alone. */
struct yaml_notes {
	void (*note)(void *self, const struct value *node, struct buf *out);
	void *self;
};
void yaml_write(const struct value *value, const struct yaml_notes *notes, struct buf *out);
/* The JSON spelling of a string, with quotes, appended (in json_read.c, so the runner has it). */
void json_quote(struct buf *out, struct str text);
