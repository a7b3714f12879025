/* Inside the schema's own files: the tables' rows, one check under way, and how a rule tells what is wrong. */
#pragma once

#include "kube/schema.h"

#include <stdint.h>

enum schema_kind {
	SCHEMA_ANY,
	SCHEMA_STRING,
	SCHEMA_INTEGER,
	SCHEMA_NUMBER,
	SCHEMA_BOOL,
	SCHEMA_OBJECT, /* ref: its type */
	SCHEMA_MAP,    /* ref: the node of each value; format: of each key */
	SCHEMA_ARRAY,  /* ref: the node of each item */
	SCHEMA_INT_OR_STRING,
	SCHEMA_QUANTITY,
};

/* What a text looks like; the words for people stand in schema_text.c. */
enum schema_format {
	FORMAT_NONE,
	FORMAT_LABEL,
	FORMAT_LABEL_OR_EMPTY,
	FORMAT_SUBDOMAIN,
	FORMAT_SUBDOMAIN_OR_EMPTY,
	FORMAT_SERVICE,
	FORMAT_SEGMENT,
	FORMAT_PREFIX,
	FORMAT_PORT_NAME,
	FORMAT_PORT_NAME_OR_EMPTY,
	FORMAT_LABEL_KEY,
	FORMAT_LABEL_KEY_OR_EMPTY,
	FORMAT_LABEL_VALUE,
	FORMAT_ANNOTATION_KEY,
	FORMAT_ENV_NAME,
	FORMAT_ENV_PREFIX,
	FORMAT_CONFIG_KEY,
	FORMAT_RESOURCE,
	FORMAT_RESOURCE_FIELD,
	FORMAT_FIELD_PATH,
	FORMAT_SCHEDULE,
	FORMAT_IMAGE,
	FORMAT_PATH_INSIDE,
	FORMAT_MOUNT_PATH,
	FORMAT_HEADER_NAME,
	FORMAT_IP,
	FORMAT_CIDR,
	FORMAT_CLUSTER_IP,
	FORMAT_HOST_OR_EMPTY,
	FORMAT_INGRESS_HOST,
	FORMAT_WILDCARD_HOST,
	FORMAT_BYTES,
	FORMAT_TIME,
	FORMAT_PORT_OR_NAME, /* of an int-or-string, like the two below */
	FORMAT_SHARE,
	FORMAT_SHARE_AT_MOST, /* not above 100 % */
	FORMAT_COUNT,
};

enum { SCHEMA_KEYED = 1, SCHEMA_SET = 2, SCHEMA_NULLABLE = 4 };

struct schema_limit {
	int64_t min, max;	   /* of a number, a text's characters or an array's items */
	uint16_t choices, pattern; /* a list of texts; an extended regular expression */
};
struct schema_node {
	uint8_t kind, format, flags;
	uint16_t ref, limit, keys;
};
struct schema_member {
	uint16_t name, node;
	uint8_t is_needed, since, until; /* minor versions; 0: all that are known */
};
struct schema_type {
	uint16_t name, first, count;
	uint8_t rule, is_builtin; /* 0: no rule */
};
struct schema_root {
	uint16_t api_version, kind;
	int16_t type; /* -1: known by name alone */
	uint8_t since, until, name_format, is_cluster_wide;
};

struct schema_check {
	struct kube_problems *problems;
	const struct value *root;
	const struct schema_root *kind; /* NULL: not one that we know */
	int minor;			/* the cluster's; 29 for 1.29 */
	bool is_version_given, is_secret;
	bool is_at_key; /* the next problem's place is that of the node's key */
	char path[KUBE_PATH_MAX];
	size_t path_len;
	struct kube_problem first;	/* the first error of this check, kept or not */
	size_t errors, problems_before; /* of this check; of those before it */
};

/* schema.c: ERR_USAGE for a version that is none; the first error of the check with their number, or 0. */
int schema_begin(
	struct schema_check *check, const struct value *object, const char *version, struct kube_problems *problems, struct err *err);
int schema_verdict(struct schema_check *check, struct err *err);

/* A step of the path; give what push returned to pop. */
size_t schema_push(struct schema_check *check, struct str key);
size_t schema_push_index(struct schema_check *check, size_t index);
void schema_pop(struct schema_check *check, size_t path_len);

/* Tells a problem of `node` (its place; NULL: the root's). The path is the current one and `key` when that is not NULL. */
void schema_refuse(struct schema_check *check, const struct value *node, const char *key, const char *right, const char *what, ...)
	__attribute__((format(printf, 5, 6)));
void schema_warn(struct schema_check *check, const struct value *node, const char *key, const char *right, const char *what, ...)
	__attribute__((format(printf, 5, 6)));

/* A value for messages: "\"text\"" cut at some length, 12, a list, a mapping; *** inside a Secret's data. */
#define SCHEMA_SHOWN_MAX 100
const char *schema_shown(const struct schema_check *check, const struct value *value, char out[SCHEMA_SHOWN_MAX]);

/* Members, null counting as not there. */
const struct value *schema_get(const struct value *object, const char *key);
struct str schema_text(const struct value *object, const char *key); /* {NULL, 0} when it is no text */
bool schema_int(const struct value *value, int64_t *out);

/* schema_text.c: does the text look like that? NULL, or what would be right. `minor` since some were relaxed. */
const char *schema_format_wrong(enum schema_format format, struct str text, int minor);

/* A quantity in nano units; beyond what 128 bits hold it saturates. -1: none. */
struct schema_quantity {
	__int128 nano;
	bool is_fraction; /* below one unit there is something */
};
int schema_quantity_read(struct str text, struct schema_quantity *out);
int schema_quantity_of(const struct value *value, struct schema_quantity *out); /* a number or a text */
/* The bytes of a base64 text that FORMAT_BYTES takes, appended. */
void schema_base64_decode(struct str text, struct buf *out);
/* "25%" or 3 of an int-or-string: the number, and whether it is a share. -1: neither. */
int schema_share_of(const struct value *value, int64_t *out, bool *is_share);
/* Is `inner` ("10.0.1.0/24") a strict part of `outer`? Both are CIDRs already. */
bool schema_cidr_holds(struct str outer, struct str inner);
/* Go's "1h15m" as the Gateway API uses it, in ms; -1: none. */
int schema_duration_ms(struct str text, int64_t *out);

/* schema_rules.c and schema_rules_net.c: one rule per line of schema_rules.def. */
typedef void schema_rule(struct schema_check *check, const struct value *object);
#define RULE(function, type) schema_rule schema_rule_##function;
#include "kube/schema_rules.def"
#undef RULE

/* schema_versions.c: where an API that is gone lives now. NULL: not known. */
struct schema_gone {
	const char *api_version, *kind; /* kind "": all of that version */
	int minor;			/* removed in */
	const char *instead;		/* apiVersion; NULL: nothing came in its place */
	const char *note;		/* what else to change; NULL: nothing */
};
const struct schema_gone *schema_gone_find(struct str api_version, struct str kind);
