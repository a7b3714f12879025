/* The templates of a target: those inside of mlctl, and over them, file by file, those of the project in .mlctl/templates/. A file of the project with
 * another name is one more object; an empty one leaves an object out. */
#pragma once

#include "data/digest.h"

#define OVERLAY_FOLDER ".mlctl/templates"
#define OVERLAY_FILES_MAX 100
#define OVERLAY_FILE_BYTES_MAX ((size_t) 256 * 1024)

struct overlay_file {
	char *path;  /* below templates/: "kubernetes/deployment.yaml" */
	char *shown; /* for messages: ".mlctl/templates/kubernetes/deployment.yaml"; of mlctl's own: "templates/..." */
	char *owned; /* NULL: text is mlctl's own */
	struct str text;
};
struct overlay {
	struct overlay_file *items; /* in the order of their paths' bytes */
	size_t count;
};

/* What templates/TARGET and templates/payload hold. project_folder NULL: only mlctl's own. Only names that end in .yaml may be there (hidden
 * files are passed over). ERR_CONFIG. */
int overlay_load(const char *project_folder, const char *target, struct overlay *out, struct err *err);
void overlay_clear(struct overlay *overlay);
#define AUTO_OVERLAY __attribute__((cleanup(overlay_clear)))
/* NULL: none with that path. */
const struct overlay_file *overlay_find(const struct overlay *overlay, const char *path);
/* Of the project's own files; *has_any false and *out untouched when there is none. */
void overlay_digest(const struct overlay *overlay, bool *has_any, struct digest *out);
