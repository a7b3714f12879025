/* What the container allows: CPU quota and memory limit from cgroup v2 or v1, and the CPUs of the affinity mask. */
#pragma once

#include "base/str.h"

struct container {
	double cpu_limit_cores;     /* 0: no quota */
	int64_t memory_limit_bytes; /* 0: no limit */
	int cpus;                   /* of the affinity mask, at least 1 */
};
/* root: "" for the machine's own /proc and /sys, or the folder that a test keeps others in. */
void container_read(const char *root, struct container *container);
/* Workers worth having: no more than the CPUs allowed, rounded up. */
int container_threads(const struct container *container);
