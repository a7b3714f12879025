/* Is this a Kubernetes object that an API server would take? Told offline, from the published schemas of Kubernetes 1.25 to 1.37
 * (schema.inc) and from what the API server's validation adds to them: unknown and misspelt fields, types, what is needed, names, labels,
 * quantities, ports, references inside one object (volumes, port names, selectors), API versions that are gone. What only a cluster can
 * know (quotas, other objects, admission webhooks) is not asked.
 *
 * Objects are plain trees (data/value.h); every problem has the field's path, the node's place in its text, and what would be right. A
 * value of a Secret is never told. Nothing here reads files or the network. */
#pragma once

#include "data/value.h"

#define KUBE_PATH_MAX 400
#define KUBE_SCHEMA_NEWEST "1.37"

struct kube_problem {
	bool is_warning;	  /* the server takes it, and it is probably not meant: memory "512m", a name it would not check further */
	char path[KUBE_PATH_MAX]; /* "spec.template.spec.containers[0].ports[1].containerPort"; "" for the object itself */
	char what[400];		  /* "\"8080\" is text, and a whole number is needed" */
	char right[300];	  /* "write 8080 without quotes"; empty when `what` says it all */
	struct place at;	  /* {0, 0}: not from a text */
	const struct value *node; /* lent from the object: what the place is of; for what is missing, whose member it would be */
};

/* The first `max` are kept (the caller's memory), all are counted. */
struct kube_problems {
	struct kube_problem *items;
	size_t count, max;
	size_t errors, warnings; /* found, kept or not */
};

/* One object. `version` is the cluster's, "1.29" or "v1.29.3"; NULL: the newest known. Appends to problems. Returns 0 when nothing but
 * warnings was found, else -1 with ERR_INVALID that tells the first problem and how many there are; ERR_USAGE for a version that is none.
 */
int kube_schema_check(const struct value *object, const char *version, struct kube_problems *problems, struct err *err);

/* The Pod Security Standard "restricted" (with all of "baseline"), as the cluster's admission judges a pod: `spec` is a PodSpec, `metadata`
 * its pod's (annotations; NULL: none); `path` stands before each field, e.g. "spec.template". Each problem names the control and the field.
 * Returns 0, or -1 with ERR_INVALID as above. */
int kube_restricted_check(const struct value *metadata, const struct value *spec, const char *path, const char *version,
	struct kube_problems *problems, struct err *err);
/* The same for an object that has pods (Pod, Deployment, Job, CronJob ...); any other passes. */
int kube_restricted_check_object(const struct value *object, const char *version, struct kube_problems *problems, struct err *err);

/* A problem as an error for people: "spec.replicas: ...", at "file:line:column", the fix. The code is ERR_INVALID. */
void kube_problem_err(const struct kube_problem *problem, const char *file, struct err *err);
