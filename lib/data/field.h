/* A constant table says what a mapping may hold; from it come reading into a struct with errors, defaults, the tree back, JSON Schema and
 * the reference text. Adding a key is adding a line.
 *
 * Offsets of nested mappings count from the same outer struct; only the items of a FIELD_LIST are structs of their own. Texts that are read
 * lend from the arena. Every failure is ERR_CONFIG with err->at = "file:line:column" and names the path, the value and what would be right.
 */
#pragma once

#include "data/value.h"

enum field_kind {
	FIELD_TEXT,	/* const char * */
	FIELD_BOOL,	/* bool */
	FIELD_INT,	/* int64_t, from min to max */
	FIELD_DOUBLE,	/* double, from min to max */
	FIELD_DURATION, /* int64_t in ms, "500ms" "2s" "5m", from min to max */
	FIELD_SHARE,	/* double, "10%" is 0.1; from min to max in percent */
	FIELD_CPU,	/* int64_t in thousandths of a core, "500m" or 2 */
	FIELD_MEMORY,	/* int64_t in bytes, "256Mi" */
	FIELD_ENUM,	/* int, the index into choices */
	FIELD_SECRET,	/* const char *: a reference to a secret, never its value */
	FIELD_TEXTS,	/* struct field_texts */
	FIELD_STRUCT,	/* nested mapping; when `offset_on` is given, "none" is accepted and leaves that bool false */
	FIELD_LIST,	/* struct field_list of structs of `fields` */
	FIELD_MAP,	/* const struct value *: a mapping; with `check` or `check_key`, of texts, else the caller reads its values */
	FIELD_LATER,	/* known, but what it asks for is not built yet: refused */
};

struct field_texts {
	const char *const *items;
	size_t count;
};
struct field_list {
	void *items;
	size_t count;
};

/* Room for what a check has to say: what would be right. */
#define FIELD_WHY_MAX 200

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset, offset_on;
	const char *help;     /* a sentence without its full stop */
	const char *fallback; /* as one would write it; NULL: zero */
	const char *example;
	const char *since; /* the version that first knew it */
	bool is_needed;
	bool is_deployed;					 /* decides how the thing runs: field_tree(FIELD_TREE_DEPLOYED) keeps it */
	int64_t min, max;					 /* both 0: no bounds */
	const char *const *choices;				 /* FIELD_ENUM: NULL-terminated */
	int (*check)(const char *text, char why[FIELD_WHY_MAX]); /* TEXT, SECRET, each of TEXTS and of MAP: -1 and what would be right */
	int (*check_key)(const char *text, char why[FIELD_WHY_MAX]); /* MAP: of each name */
	const char *pattern;					 /* the same as a regular expression, for the schema */
	const char *only; /* the one target that has this; NULL: all. For others it must not be set, and is no part of the tree */
	const struct field_table *table;			 /* STRUCT, LIST */
};
struct field_table {
	const struct field *fields; /* ends with a NULL key */
	size_t size;		    /* of the struct, for FIELD_LIST */
};

/* The offset of a member, which must be of the type that the kind stores. */
#define FIELD_AT(type_, struct_, member_)                                                                                                  \
	(offsetof(struct_, member_) + 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct_ *) 0)->member_), type_) ? 1 : -1]))
#define FIELD_AT_TEXT(struct_, member_) .kind = FIELD_TEXT, .offset = FIELD_AT(const char *, struct_, member_)
#define FIELD_AT_SECRET(struct_, member_) .kind = FIELD_SECRET, .offset = FIELD_AT(const char *, struct_, member_)
#define FIELD_AT_BOOL(struct_, member_) .kind = FIELD_BOOL, .offset = FIELD_AT(bool, struct_, member_)
#define FIELD_AT_INT(struct_, member_) .kind = FIELD_INT, .offset = FIELD_AT(int64_t, struct_, member_)
#define FIELD_AT_DOUBLE(struct_, member_) .kind = FIELD_DOUBLE, .offset = FIELD_AT(double, struct_, member_)
#define FIELD_AT_DURATION(struct_, member_) .kind = FIELD_DURATION, .offset = FIELD_AT(int64_t, struct_, member_)
#define FIELD_AT_SHARE(struct_, member_) .kind = FIELD_SHARE, .offset = FIELD_AT(double, struct_, member_)
#define FIELD_AT_CPU(struct_, member_) .kind = FIELD_CPU, .offset = FIELD_AT(int64_t, struct_, member_)
#define FIELD_AT_MEMORY(struct_, member_) .kind = FIELD_MEMORY, .offset = FIELD_AT(int64_t, struct_, member_)
#define FIELD_AT_ENUM(struct_, member_) .kind = FIELD_ENUM, .offset = FIELD_AT(int, struct_, member_)
#define FIELD_AT_TEXTS(struct_, member_) .kind = FIELD_TEXTS, .offset = FIELD_AT(struct field_texts, struct_, member_)
#define FIELD_AT_LIST(struct_, member_) .kind = FIELD_LIST, .offset = FIELD_AT(struct field_list, struct_, member_)
#define FIELD_AT_MAP(struct_, member_) .kind = FIELD_MAP, .offset = FIELD_AT(const struct value *, struct_, member_)

/* What a reading found wrong: the first `max` of it. */
struct field_problems {
	struct err *items;
	size_t count, max;
};

/* Fills `out` (a zeroed struct of the table) from a mapping (NULL or null: nothing is set). `path` stands before each name in messages, ""
 * at the top. Reads on after a failure, so that `problems` (NULL: only the first counts) gets them all. On failure `out` is not to be used.
 * `target`: which fields with an `only` may be set; NULL: all. */
int field_read(const struct field_table *table, const struct value *mapping, const char *file, const char *path, const char *target,
	struct arena *arena, void *out, struct field_problems *problems, struct err *err);

/* The tree of a filled struct, every default written out, durations as "2s" and shares as "10%"; what is zero and has no default is left
 * out. */
enum field_tree { FIELD_TREE_ALL, FIELD_TREE_DEPLOYED };
void field_tree(const struct field_table *table, const void *from, enum field_tree which, const char *target, struct document *document,
	struct value *into);

/* JSON Schema, draft 2020-12: the members of an object schema of this table. is_patch: nothing is needed and null is accepted everywhere.
 * Returns the node of "properties". */
struct value *field_schema(const struct field_table *table, bool is_patch, struct document *document, struct value *into);
/* A line or two per key, for people: path, what is right, the default, the sentence. */
void field_text(const struct field_table *table, const char *path, struct buf *out);

/* What would be right for a field: "a whole number from 1 to 65535". */
#define FIELD_RIGHT_MAX 400
const char *field_right(const struct field *field, char out[FIELD_RIGHT_MAX]);
/* A duration as it is written: 300000 is "5m". */
#define FIELD_DURATION_MAX 32
const char *field_duration(int64_t ms, char out[FIELD_DURATION_MAX]);
