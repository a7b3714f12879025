#include "runner/serve/container.h"
#include "base/num.h"
#include "os/fs.h"

#include <sched.h>

#define CGROUPS "/sys/fs/cgroup"
#define FILE_BYTES_MAX ((size_t) 64 * 1024)
#define LEVELS_MAX 32
/* cgroup v1 says "no limit" with the largest number of whole pages. */
#define NO_LIMIT ((int64_t) 1 << 60)

/* The first line of root + tree + group + "/" + name; -1 when it is not there. */
static int read_line(const char *root, const char *tree, struct str group, const char *name, char *out, size_t size) {
	AUTO_FREE char *path = mem_format("%s%s%.*s/%s", root, tree, STR_ARGS(group), name);
	AUTO_FREE char *text = NULL;
	size_t len;
	struct err err = {0};
	if (fs_read(path, FILE_BYTES_MAX, &text, &len, &err) != 0)
		return -1;
	struct str rest;
	struct str line = str_cut((struct str) {text, len}, '\n', &rest);
	if (line.len >= size)
		return -1;
	memcpy(out, line.ptr, line.len);
	out[line.len] = '\0';
	return 0;
}

static void lower_cpu(struct container *c, const char *quota, const char *period) {
	int64_t q, p;
	if (num_int(str_of(quota), 1, INT64_MAX, &q) != 0 || num_int(str_of(period), 1, INT64_MAX, &p) != 0)
		return; /* "max", "-1" */
	double cores = (double) q / (double) p;
	if (c->cpu_limit_cores == 0 || cores < c->cpu_limit_cores)
		c->cpu_limit_cores = cores;
}

static void lower_memory(struct container *c, const char *text) {
	int64_t bytes;
	if (num_int(str_of(text), 1, INT64_MAX, &bytes) == 0 && bytes < NO_LIMIT && (c->memory_limit_bytes == 0 || bytes < c->memory_limit_bytes))
		c->memory_limit_bytes = bytes;
}

static void read_v2(const char *root, struct str group, struct container *c) {
	char text[128];
	if (read_line(root, CGROUPS, group, "cpu.max", text, sizeof(text)) == 0) {
		char *space = strchr(text, ' ');
		if (space) {
			*space = '\0';
			lower_cpu(c, text, space + 1);
		}
	}
	if (read_line(root, CGROUPS, group, "memory.max", text, sizeof(text)) == 0)
		lower_memory(c, text);
}

static void read_v1(const char *root, struct str controllers, struct str group, struct container *c) {
	char quota[64], period[64];
	struct str rest = controllers;
	while (rest.ptr) {
		struct str one = str_cut(rest, ',', &rest);
		if (str_is(one, "cpu") && read_line(root, CGROUPS "/cpu", group, "cpu.cfs_quota_us", quota, sizeof(quota)) == 0 &&
			read_line(root, CGROUPS "/cpu", group, "cpu.cfs_period_us", period, sizeof(period)) == 0)
			lower_cpu(c, quota, period);
		if (str_is(one, "memory") && read_line(root, CGROUPS "/memory", group, "memory.limit_in_bytes", quota, sizeof(quota)) == 0)
			lower_memory(c, quota);
	}
}

/* A line of /proc/self/cgroup is "id:controllers:/path"; "0::" is v2. Inside a container the path may not exist below its own view of the
 * tree, so every level up to the root is tried, and the lowest limit holds. */
static void read_group(const char *root, struct str line, struct container *c) {
	struct str controllers, group;
	struct str id = str_cut(line, ':', &controllers);
	controllers = str_cut(controllers, ':', &group);
	if (!group.ptr)
		return;
	for (int i = 0; i < LEVELS_MAX; i++) {
		if (str_is(id, "0") && controllers.len == 0)
			read_v2(root, group, c);
		else
			read_v1(root, controllers, group, c);
		if (group.len == 0)
			return;
		struct str tail;
		group = str_cut_last(group, '/', &tail);
		if (!tail.ptr)
			return;
	}
}

void container_read(const char *root, struct container *container) {
	struct container c = {.cpus = 1};
	cpu_set_t set;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		c.cpus = CPU_COUNT(&set);
	AUTO_FREE char *path = mem_format("%s/proc/self/cgroup", root);
	AUTO_FREE char *text = NULL;
	size_t len;
	struct err err = {0};
	if (fs_read(path, FILE_BYTES_MAX, &text, &len, &err) == 0) {
		struct str rest = {text, len};
		while (rest.ptr && rest.len)
			read_group(root, str_cut(rest, '\n', &rest), &c);
	}
	*container = c;
}

int container_threads(const struct container *container) {
	int threads = container->cpus;
	if (container->cpu_limit_cores > 0 && container->cpu_limit_cores < threads)
		threads = (int) (container->cpu_limit_cores + 0.999);
	return threads < 1 ? 1 : threads;
}
