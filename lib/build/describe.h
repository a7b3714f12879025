/* The image's small documents: config, manifest, index. Canonical JSON, so that equal content is equal bytes.
 *
 * What depends on the content alone is in the manifest and the config. Who built it from which commit is on the index, which is not
 * deployed. */
#pragma once

#include "build/plan.h"
#include "data/value.h"
#include "vcs/git.h"

struct describe {
	const struct plan *plan;
	const struct context *context;
	const char *name;	  /* of the model in the API */
	const char *created;	  /* RFC 3339: 1970, or SOURCE_DATE_EPOCH */
	const struct value *base; /* config of the base image; NULL: scratch */
	const struct blob *base_layers;
	size_t base_layer_count;
	const char *architecture; /* "amd64" */
};
/* Each fills a blob that owns its text. */
int describe_config(const struct describe *from, struct blob *out, struct err *err);
int describe_manifest(const struct describe *from, const struct blob *config, struct blob *out, struct err *err);
/* title: the service; tag and git may be NULL. created: the commit's time, or the config's, so that one commit gives one index. */
int describe_index(const struct describe *from, const struct blob *manifest, const char *title, const char *tag,
	const struct git_facts *git, struct blob *out, struct err *err);
/* "ssh://host/team/x.git", "https://host/team/x" -> "https://host/team/x": one source, however it was cloned. NULL for NULL. */
char *describe_source(const char *remote);
