/* A plan as a document (mlctl.plan/1): what a deploy would do and change, for people and machines to look at, and read back to be done
 * exactly so. Nothing here changes anything. */
#pragma once

#include "release/release.h"

#define PLANNED_BYTES_MAX ((size_t) 8 * 1024 * 1024)

/* Fills `root` of `document` with everything but "schema": the plan, the digests of what it is about, and what differs from the live
 * release's record: image, model, commit, settings, objects. Objects are compared by the target itself where it can, else with the
 * record's. */
int planned_write(const struct release_context *context, const struct deploy_request *request, const struct release_plan *plan,
	struct document *document, struct value *root, struct err *err);
/* Of a document that planned_write() filled: would a deploy change anything? */
bool planned_has_changes(const struct value *root);
/* The objects' changes alone, added to an array, each with "object", "change", "path", "from", "to" (target.h). */
int planned_objects(const struct release_context *context, const struct deploy_request *request, struct document *document,
	struct value *changes, struct err *err);

struct planned { /* of a saved plan, what a deploy is held to */
	char service[64], env[40], created_by[128];
	enum plan_kind kind;
	int64_t generation, good;
	struct digest image, settings, objects, golden; /* settings: of all of mlctl.yaml as merged, rollout too */
};
/* ERR_INVALID with the place in the file. */
int planned_parse(const char *name, struct str text, struct planned *out, struct err *err);
/* Is the request what the plan was made for? ERR_CONFLICT names the first thing that is not. Of the head release_deploy() sees to it. */
int planned_check(
	const struct planned *planned, const struct release_context *context, const struct deploy_request *request, struct err *err);
