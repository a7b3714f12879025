/* The files that enter the image: the model (a file with its external data, or a folder) and the golden examples, as names in the image and
 * paths in the project. Nothing else of the project does. Symlinks inside the project are stored as what they lead to; one that leads out
 * of it, or to a name that holds secrets, is refused. No content is read but the headers of ONNX files and of what may be a pointer. */
#pragma once

#include "base/str.h"

#include <sys/stat.h>

#define CONTEXT_FILES_MAX 200000
#define CONTEXT_BYTES_MAX ((int64_t) 1 << 40)
#define CONTEXT_DEPTH_MAX 64
#define CONTEXT_MODEL_FOLDER "model"
#define CONTEXT_GOLDEN "golden.jsonl"

struct context_file {
	char *path; /* relative to the project's folder, as a person would write it */
	char *name; /* in the image, without the first "/" */
	int64_t size;
	struct stat info; /* of the content, at the time of the look */
};

struct context {
	char *folder;		    /* the project's, real */
	int folder_fd;		    /* open while `folder` is set: files are opened beneath it by their short paths */
	struct context_file *files; /* sorted by name, bytewise */
	size_t count;
	size_t model;	  /* index of the model file itself */
	char *root;	  /* model.path without "./" and a last "/": a file or a folder */
	char *model_name; /* what the runner is told: "/model/model.onnx" or "/model" */
	bool has_golden;
	int64_t bytes;
	size_t ignored; /* files and folders that a pattern kept out */
};
/* golden NULL: none. is_any: another server loads it, so the folder may hold whatever that wants, and the largest file stands for the model. ERR_CONFIG: a path of mlctl.yaml that is not there or no file; ERR_INVALID: an unfetched pointer; ERR_BUILD: refused.
 */
int context_collect(const char *folder, const char *model, const char *golden, bool is_any, struct context *out, struct err *err);
void context_clear(struct context *context);
#define AUTO_CONTEXT __attribute__((cleanup(context_clear)))
/* Opens the file's content. Whoever read from it asks context_verify() afterwards: what changes the bytes changes the size or a time. */
int context_open(const struct context *context, size_t file, int *fd, struct err *err);
/* ERR_BUILD when it is no longer the file that was seen. */
int context_verify(const struct context *context, size_t file, int fd, struct err *err);
