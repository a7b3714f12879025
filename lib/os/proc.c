#include "os/proc.h"

#include "base/num.h"
#include "os/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILD_FD_FIRST 128 /* above every number that the child is to see */
#define READ_BYTES ((size_t) 16 * 1024)
#define DRAIN_READS_MAX 16 /* more than a pipe holds, and an end for one that is filled as fast as it is read */

/* Everything here runs between fork and exec: async-signal-safe calls only. Returns only on failure. */
static void become(const struct proc_spec *spec, int status_fd) {
	int fds[3 + PROC_KEEP_MAX];
	size_t count = 3 + spec->keep_count;
	sig_restore();
	if (spec->is_detached && setsid() < 0)
		return;
	status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, CHILD_FD_FIRST);
	int exec_fd = spec->exec_fd < 0 ? -1 : fcntl(spec->exec_fd, F_DUPFD_CLOEXEC, CHILD_FD_FIRST);
	if (spec->exec_fd >= 0 && exec_fd < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		int from = i == 0 ? spec->in_fd : i == 1 ? spec->out_fd : i == 2 ? spec->err_fd : spec->keep_fds[i - 3];
		int null = from < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
		fds[i] = fcntl(from < 0 ? null : from, F_DUPFD_CLOEXEC, CHILD_FD_FIRST);
		if (null >= 0)
			close(null);
		if (fds[i] < 0)
			return;
	}
	for (size_t i = 0; i < count; i++)
		if (dup2(fds[i], (int) i) < 0)
			return;
	if (syscall(SYS_close_range, (unsigned) count, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0 && errno != ENOSYS && errno != EINVAL)
		return;
	if (spec->folder && chdir(spec->folder) != 0)
		return;
	if (exec_fd >= 0)
		fexecve(exec_fd, (char *const *) spec->argv, (char *const *) spec->env);
	else
		execve(spec->path, (char *const *) spec->argv, (char *const *) spec->env);
}

int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err) {
	const char *name = spec->exec_fd >= 0 ? spec->argv[0] : spec->path;
	int status[2];
	if (spec->exec_fd < 0 && spec->path[0] != '/')
		return err_set(err, ERR_FAILED, "%s: only a program's absolute path is started", spec->path);
	if (spec->keep_count > PROC_KEEP_MAX)
		return err_set(err, ERR_LIMIT, "%zu descriptors for %s, at most %d", spec->keep_count, name, PROC_KEEP_MAX);
	if (pipe2(status, O_CLOEXEC) != 0)
		return err_sys(err, "starting %s", name);
	AUTO_CLOSE int from_child = status[0];
	AUTO_CLOSE int to_parent = status[1];
	pid_t child = fork();
	if (child < 0)
		return err_sys(err, "starting %s", name);
	if (child == 0) {
		become(spec, to_parent);
		int why = errno;
		best_effort(write(to_parent, &why, sizeof(why)) == sizeof(why)); /* nobody is left to tell otherwise */
		_exit(127);
	}
	close(to_parent);
	to_parent = -1;
	int why = 0;
	ssize_t n;
	while ((n = read(from_child, &why, sizeof(why))) < 0 && errno == EINTR)
		;
	if (n == (ssize_t) sizeof(why)) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		errno = why;
		return err_sys(err, "starting %s", name);
	}
	*pid = child;
	return 0;
}

void proc_result_clear(struct proc_result *result) {
	free(result->out);
	free(result->err_text);
	*result = (struct proc_result){0};
}

int proc_memfd(const char *name, struct str bytes, int *fd, struct err *err) {
	AUTO_CLOSE int got = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (got < 0)
		return err_sys(err, "memory file %s", name);
	if (fs_write_all(got, bytes.ptr, bytes.len, name, err) != 0)
		return -1;
	if (lseek(got, 0, SEEK_SET) != 0 || fcntl(got, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		return err_sys(err, "memory file %s", name);
	*fd = got;
	got = -1;
	return 0;
}

/* What is there now, without waiting; *is_open turns false at the end. */
static int drain(int fd, size_t bytes_max, struct buf *out, bool *is_open, const char *name, struct err *err) {
	char bytes[READ_BYTES];
	for (int reads = 0; *is_open && reads < DRAIN_READS_MAX; reads++) {
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return err_sys(err, "reading from %s", name);
		size_t room = bytes_max - out->len;
		buf_add(out, bytes, (size_t) n < room ? (size_t) n : room);
		*is_open = n > 0;
	}
	return 0;
}

struct running {
	const char *name;
	pid_t pid;
	int pid_fd, out_fd, err_fd;
	bool out_is_open, err_is_open;
	struct buf out, err_text;
};

static int collect(struct running *run, size_t bytes_max, int64_t timeout_ms, struct err *err) {
	int64_t until_ms = clock_mono_ms(&clock_system) + timeout_ms;
	for (bool has_ended = false; !has_ended;) {
		int64_t left_ms = until_ms - clock_mono_ms(&clock_system);
		struct pollfd fds[] = {
			{.fd = run->pid_fd, .events = POLLIN},
			{.fd = run->out_is_open ? run->out_fd : -1, .events = POLLIN},
			{.fd = run->err_is_open ? run->err_fd : -1, .events = POLLIN},
		};
		if (left_ms <= 0) {
			char limit[NUM_HUMAN_MAX];
			return err_set(err, ERR_TIMEOUT, "%s: not done within %s", run->name, num_human_ms(timeout_ms, limit));
		}
		if (poll(fds, 3, left_ms > 60000 ? 60000 : (int) left_ms) < 0 && errno != EINTR)
			return err_sys(err, "waiting for %s", run->name);
		has_ended = (fds[0].revents & POLLIN) != 0; /* asked before the last drain, so that nothing it wrote is missed */
		if (drain(run->out_fd, bytes_max, &run->out, &run->out_is_open, run->name, err) != 0 ||
			drain(run->err_fd, bytes_max, &run->err_text, &run->err_is_open, run->name, err) != 0)
			return -1;
	}
	return 0;
}

static int run_to_end(struct running *run, size_t bytes_max, int64_t timeout_ms, struct proc_result *result, struct err *err) {
	int rc = -1;
	run->pid_fd = (int) syscall(SYS_pidfd_open, run->pid, 0u);
	if (run->pid_fd < 0)
		err_sys(err, "watching %s", run->name);
	else
		rc = collect(run, bytes_max, timeout_ms, err);
	if (rc != 0)
		best_effort(kill(-run->pid, SIGKILL)); /* it leads a session of its own; already gone is fine */
	int status = 0;
	struct rusage usage = {0};
	while (wait4(run->pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	if (run->pid_fd >= 0)
		close(run->pid_fd);
	if (rc != 0)
		return -1;
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	result->peak_bytes = (int64_t) usage.ru_maxrss * 1024;
	result->cpu_us =
		(int64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	return 0;
}

static int open_input(struct str in, int *fd, struct err *err) {
	if (!in.len)
		return 0;
	AUTO_CLOSE int got = memfd_create("stdin", MFD_CLOEXEC);
	if (got < 0)
		return err_sys(err, "memory file");
	if (fs_write_all(got, in.ptr, in.len, "memory file", err) != 0)
		return -1;
	if (lseek(got, 0, SEEK_SET) != 0)
		return err_sys(err, "memory file");
	*fd = got;
	got = -1;
	return 0;
}

int proc_run(
	const struct proc_spec *spec, struct str in, size_t bytes_max, int64_t timeout_ms, struct proc_result *result, struct err *err) {
	AUTO_CLOSE int in_fd = -1;
	int out[2], errors[2];
	if (open_input(in, &in_fd, err) != 0)
		return -1;
	if (pipe2(out, O_CLOEXEC) != 0)
		return err_sys(err, "pipe");
	AUTO_CLOSE int out_read = out[0];
	AUTO_CLOSE int out_write = out[1];
	if (pipe2(errors, O_CLOEXEC) != 0)
		return err_sys(err, "pipe");
	AUTO_CLOSE int err_read = errors[0];
	AUTO_CLOSE int err_write = errors[1];
	if (fcntl(out_read, F_SETFL, O_NONBLOCK) != 0 || fcntl(err_read, F_SETFL, O_NONBLOCK) != 0)
		return err_sys(err, "pipe");
	struct proc_spec child = *spec;
	child.in_fd = in_fd;
	child.out_fd = out_write;
	child.err_fd = err_write;
	child.is_detached = true;
	struct running run = {
		.name = spec->exec_fd >= 0 ? spec->argv[0] : spec->path,
		.out_fd = out_read,
		.err_fd = err_read,
		.out_is_open = true,
		.err_is_open = true,
		.out = BUF(bytes_max + 1),
		.err_text = BUF(bytes_max + 1),
	};
	if (proc_spawn(&child, &run.pid, err) != 0)
		return -1;
	close(out_write);
	close(err_write);
	out_write = err_write = -1;
	struct proc_result got = {0};
	int rc = run_to_end(&run, bytes_max, timeout_ms, &got, err);
	buf_room(&run.out, 0);
	buf_room(&run.err_text, 0);
	if (rc == 0) {
		got.out_len = run.out.len;
		got.err_len = run.err_text.len;
		got.out = take(&run.out.ptr);
		got.err_text = take(&run.err_text.ptr);
		*result = got;
	}
	buf_clear(&run.out);
	buf_clear(&run.err_text);
	return rc;
}
