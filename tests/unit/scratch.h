/* A folder for one test, and a shell in it: for what is easier said in sh than in C (git, cp, chmod). */
#pragma once

#include "os/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <spawn.h>
#include <sys/wait.h>

/* A new folder under $TMPDIR or /tmp; its path is owned by the caller. */
static inline char *scratch_new(void) {
	const char *where = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	char *path = mem_format("%s/mlctl-test-XXXXXX", where);
	assert_non_null(mkdtemp(path));
	char *real = realpath(path, NULL);
	assert_non_null(real);
	free(path);
	return real;
}

static inline void scratch_free(char *path) {
	struct err err = {0};
	if (path && fs_remove_tree(path, &err) != 0)
		print_message("# %s\n", err.message);
	free(path);
}

static inline void scratch_at_exit(char **path) {
	scratch_free(*path);
}
#define AUTO_SCRATCH __attribute__((cleanup(scratch_at_exit)))

/* Runs the script with the folder as $D and as working folder; the test fails when it does. Git is nobody's in particular there. */
static inline void scratch_sh(const char *folder, const char *script) {
	AUTO_FREE char *d = mem_format("D=%s", folder), *home = mem_format("HOME=%s", folder),
		       *all = mem_format("set -e\ncd \"$D\"\n%s", script);
	const char *const env[] = {d, home, "PATH=/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@x",
		"GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@x", "GIT_AUTHOR_DATE=1700000000 +0200",
		"GIT_COMMITTER_DATE=1700000001 +0200", NULL};
	const char *const argv[] = {"sh", "-c", all, NULL};
	pid_t pid = 0;
	int status = 0;
	assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, (char *const *) argv, (char *const *) env), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("this script failed: %s", script);
}

static inline void scratch_write(const char *folder, const char *name, const void *bytes, size_t len) {
	struct err err = {0};
	AUTO_FREE char *path = fs_join(folder, name);
	if (fs_replace(path, bytes, len, 0644, &err) != 0)
		fail_msg("%s", err.message);
}
