/* Child processes without a shell: an allow-listed environment, close-on-exec everywhere, a deadline, bounded output. */
#pragma once

#include "base/clock.h"
#include "os/fs.h"

struct proc_spec {
	int exec_fd;               /* fexecve this (a memfd of the bundled runner), or -1 */
	const char *path;          /* else this absolute path */
	const char *const *argv;   /* NULL-terminated; argv[0] given */
	const char *const *env;    /* NULL-terminated NAME=value: the child's whole environment */
	const char *folder;        /* working folder; NULL: inherited */
	int in_fd, out_fd, err_fd; /* -1: /dev/null */
	const int *keep_fds;       /* handed down as 3, 4, ...; PROC_KEEP_MAX at most */
	size_t keep_count;
	bool is_detached;          /* a session of its own: a Ctrl-C at our terminal is not for it */
};
#define PROC_KEEP_MAX 16
/* Runs on; the caller waits for it. Fails here, not in the child, when it cannot be started: ERR_NOT_FOUND, or ERR_FAILED. */
int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err);

struct proc_result {
	int status; /* exit code, or 128 + signal */
	char *out, *err_text; /* owned; at most bytes_max each */
	size_t out_len, err_len;
	int64_t peak_bytes, cpu_us; /* from rusage */
};
void proc_result_clear(struct proc_result *result);
/* Runs to the end with `in` as its standard input; SIGKILL for it and its children at the deadline (ERR_TIMEOUT). in_fd, out_fd and err_fd of
 * the spec are not looked at. Output beyond bytes_max is read and dropped; what a grandchild writes after the end is not waited for. */
int proc_run(const struct proc_spec *spec, struct str in, size_t bytes_max, int64_t timeout_ms, struct proc_result *result, struct err *err);

/* A sealed memfd that holds `bytes`, ready for exec_fd. */
int proc_memfd(const char *name, struct str bytes, int *fd, struct err *err);
