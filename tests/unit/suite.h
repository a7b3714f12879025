/* The folder of other people's test suites, beside the project: $SHARED, $MLCTL_SHARED or ../shared. */
#pragma once

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* Skips the test when it is not there; the path is owned by the caller. */
static inline char *suite_path(const char *name) {
	const char *shared = getenv("SHARED") ? getenv("SHARED") : getenv("MLCTL_SHARED") ? getenv("MLCTL_SHARED") : "../shared";
	char *path = mem_format("%s/suites/%s", shared, name);
	if (access(path, R_OK | X_OK) == 0)
		return path;
	print_message("# there is no %s\n", path);
	free(path);
	skip();
	return NULL;
}
