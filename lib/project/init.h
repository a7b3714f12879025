/* What `mlctl init` needs: finding models in a folder, and writing a commented mlctl.yaml and golden examples for one of them.
 *
 * Nothing is ever loaded or run here: a model is known by its name and its first bytes. Nothing that exists is overwritten unless asked. */
#pragma once

#include "project/strategy.h"

#include <stdint.h>

#define INIT_MODELS_MAX 64
#define INIT_ENTRIES_MAX 20000 /* files and folders looked at */
#define INIT_DEPTH_MAX 6

struct init_model {
	char *path; /* relative to the folder, owned */
	int64_t bytes;
	const char *format; /* "ONNX", "scikit-learn (pickle)", ... */
	bool is_served;	    /* the runner loads it as it is */
	const char *reason; /* when it is not: why; lent for ever */
	char *convert;	    /* and the line to type that makes it one that is; owned, NULL when there is none */
};
struct init_models {
	struct init_model *items;
	size_t count, served_count; /* those that are served come first, then by path */
};
/* Hidden folders, .mlctl, virtual environments and node_modules are not entered; symlinks are not followed. */
int init_find(const char *folder, struct init_models *out, struct err *err);
void init_models_clear(struct init_models *models);

/* Appends golden examples (JSON lines) for a model: the cmd lets the bundled runner answer rows. `path` is absolute. */
typedef int (*init_golden)(void *self, const char *path, struct buf *out, struct err *err);

struct init_request {
	const char *folder;		 /* absolute */
	const char *model;		 /* relative path; NULL: the only served one that is found */
	const char *name;		 /* the service's; NULL: the folder's name made valid */
	const char *image;		 /* NULL: none */
	const struct strategy *strategy; /* NULL: the first row */
	bool is_forced;			 /* replace mlctl.yaml */
	init_golden golden;		 /* NULL: no examples are made */
	void *self;
};
struct init_result {
	char *name, *model;
	char *golden;		/* NULL: there is none */
	bool is_golden_written; /* false with a golden: it was there already */
	char *text;		/* of mlctl.yaml */
};
/* Writes mlctl.yaml, and golden.jsonl when it is missing and a hook is given. What is written is read back through project_read before it
 * reaches the disk. ERR_USAGE: several models and none chosen, or mlctl.yaml is there; ERR_NOT_FOUND: no model. Each with the line to type.
 */
int init_write(const struct init_request *request, struct init_result *out, struct err *err);
void init_result_clear(struct init_result *result);
