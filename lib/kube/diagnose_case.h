/* One question to diagnose.h while it is answered: the object, what surrounds it, the verdict so far; and the few ways in which all parts
 * of diagnose read the API's objects and speak. Everything read is from outside: any type, any length, any byte. Only diagnose*.c includes
 * it. */
#pragma once

#include "kube/diagnose.h"

struct diagnose_case {
	const struct diagnose_world *world;
	const struct value *object; /* the Pod or Deployment */
	struct str name, uid, space;
	struct diagnosis *out;
};
void diagnose_case_open(struct diagnose_case *c, const struct diagnose_world *world, const struct value *object, struct diagnosis *out);

/* Reading: an empty text, the fallback, or -1 for what is not there or has another type. */
struct str diagnose_str(const struct value *object, const char *path);
int64_t diagnose_int(const struct value *object, const char *path, int64_t fallback);
bool diagnose_bool(const struct value *object, const char *path);
int64_t diagnose_time(const struct value *object, const char *path);
int64_t diagnose_age(const struct diagnose_case *c, int64_t since_s); /* 0 when either is not known */
const struct value *diagnose_condition(const struct value *object, const char *type);
const struct value *diagnose_named(const struct value *array, struct str name); /* of "containers", by member `name` */
struct str diagnose_architecture(const struct diagnose_case *c);		/* of the pod's node: "arm64"; empty when not known */
double diagnose_quantity(struct str text); /* "500m", "64Mi": only compared, so a double is exact enough; -1: none */
bool diagnose_lists(const struct value *names, struct str name);

/* Does text hold one of the words ("no such host|lookup "), ASCII case apart? */
bool diagnose_has(struct str text, const char *words);
/* What stands between two markers, or empty; `after` is found regardless of case. An empty `before`: up to the end. */
struct str diagnose_between(struct str text, const char *after, const char *before);

/* The container that the settings are about: the first. Others come from templates, or from whoever puts sidecars into pods. */
bool diagnose_is_main(const struct diagnose_case *c, struct str container);
/* The pod's node has been there for long enough to have all that it will have: drivers, plugins, profiles. False when not known. */
bool diagnose_node_is_settled(const struct diagnose_case *c);

/* Speaking. A verdict that is worse than the one held replaces it, text and fix; say returns whether it did, and fix belongs after a true.
 */
bool diagnose_say(struct diagnose_case *c, enum diagnosis_state state, const char *cause, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void diagnose_fix(struct diagnose_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "mlctl.yaml: resources.memory: 1Gi", or where a container that the settings are not about has its own. */
void diagnose_fix_resource(struct diagnose_case *c, struct str container, const char *resource, const char *value, const char *note);
const char *diagnose_settings(const struct diagnose_case *c);
/* Text from outside for one line of a person's screen: control bytes and what is no UTF-8 become '?', runs of spaces one. */
void diagnose_clean(char *text);
#define DIAGNOSE_QUOTE 160 /* what is quoted of a message from outside; with "%.*s" and diagnose_quote() */
struct str diagnose_quote(struct str text, size_t bytes_max);
struct str diagnose_quote_end(struct str text, size_t bytes_max);

/* An event about an object (kind and name suffice where an uid is missing). */
struct diagnose_event {
	struct str reason, message, container;
	int64_t count, first_s, last_s;
};
bool diagnose_event_read(const struct value *event, const struct value *object, const char *kind, struct diagnose_event *out);
/* The newest with one of the reasons ("Failed|FailedMount"), with one of the words in its message (NULL: any), of the container (empty:
 * any), at since_s or later. count and first_s are those of all that match. */
struct diagnose_wanted {
	const char *kind, *reasons, *words;
	struct str container;
	int64_t since_s;
};
bool diagnose_event_find(const struct diagnose_case *c, const struct diagnose_wanted *wanted, struct diagnose_event *out);

/* The parts. Each says what it finds, or nothing. */
void diagnose_image(struct diagnose_case *c, const struct value *spec, const struct value *status);
void diagnose_reference(struct diagnose_case *c, struct str message, struct str container, int64_t first_s); /* Secret, ConfigMap, key */
void diagnose_start(struct diagnose_case *c, const struct value *spec, const struct value *status, struct str message);
void diagnose_crash(
	struct diagnose_case *c, const struct value *spec, const struct value *status, const struct value *ended, int64_t failures);
bool diagnose_killed_by_probe(
	struct diagnose_case *c, const struct value *spec, const struct value *status, const struct value *ended, int64_t failures);
void diagnose_probe(struct diagnose_case *c, const struct value *spec, const struct value *status);
void diagnose_schedule(struct diagnose_case *c);
void diagnose_prepare(struct diagnose_case *c);					 /* volumes, sandbox, pulling: before a container runs */
bool diagnose_memory_is_tiny(struct diagnose_case *c, const struct value *spec); /* 512m typed for 512Mi; then it has said so */
bool diagnose_log_line(struct str log, char *out, size_t size);			 /* the line that says why it ended */
void diagnose_refusal(struct diagnose_case *c, struct str message, int64_t first_s, int64_t count); /* the API server's, of a pod */
