/* What `validate` finds in Kubernetes objects: those of manifest files, and those that an environment of mlctl.yaml renders to. Each is told as it is
 * found (people) or kept for the answer (--json). */
#pragma once

#include "command.h"
#include "project/project.h"

struct verdict {
	struct cli *cli;
	const char *version;  /* of Kubernetes: "1.29"; NULL: the newest known */
	bool is_restricted;   /* what Pod Security "restricted" forbids is an error; else nothing is asked of files, and rendered pods get warnings */
	struct document *answer;
	struct value *problems; /* a list of the answer */
	size_t objects, errors, warnings;
};

/* Is it a file of Kubernetes objects, by what stands in it? "-": standard input, which is. */
bool verdict_is_manifest(const char *path);
/* Every object of a file (several documents, and lists). What cannot be read is a finding too; -1: the file is not there, or the version is none. */
int verdict_file(struct verdict *verdict, const char *path, struct err *err);
/* What an environment of target kubernetes renders to; any other passes. */
int verdict_environment(struct verdict *verdict, const struct project *project, const char *name, struct err *err);
