/* Replicas as processes: started with the listening socket they accept on, drained by SIGTERM, restarted with back-off. */
#include "supervise/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 30000
#define SETTLED_MS 60000        /* after so long without a crash the back-off starts again */
#define DRAIN_KILL_MS 30000     /* a replica that does not end after SIGTERM */
#define LOG_BYTES_MAX ((off_t) 8 * 1024 * 1024)

void event_note(struct supervisor *s, const char *format, ...) {
	char text[1024], when[CLOCK_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s ", clock_text(clock_wall_s(s->clock), when));
	va_list args;
	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t) n - 1, format, args);
	va_end(args);
	size_t len = strlen(text);
	text[len++] = '\n';
	AUTO_CLOSE int fd = openat(s->folder_fd, "events.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat info;
	if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size < LOG_BYTES_MAX)
		best_effort((int) write(fd, text, len)); /* a full disk must not stop serving */
}

/* Appends to log/NAME.log, turning it over at its limit. */
static void log_write(struct supervisor *s, const struct process *process, const char *bytes, size_t len) {
	char name[NAME_MAX_BYTES + 16], old[NAME_MAX_BYTES + 20];
	snprintf(name, sizeof(name), "log/%s.log", process->name);
	AUTO_CLOSE int fd = openat(s->folder_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat info;
	if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > LOG_BYTES_MAX) {
		snprintf(old, sizeof(old), "%s.1", name);
		best_effort(renameat(s->folder_fd, name, s->folder_fd, old)); /* then the log only grows a little longer */
	}
	if (fd >= 0)
		best_effort((int) write(fd, bytes, len)); /* a full disk must not stop serving */
}

static void last_line_keep(struct process *process, const char *bytes, size_t len) {
	while (len && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
		len--;
	const char *start = len ? memrchr(bytes, '\n', len) : NULL;
	size_t from = start ? (size_t) (start + 1 - bytes) : 0;
	if (len > from)
		snprintf(process->last_line, sizeof(process->last_line), "%.*s", (int) (len - from), bytes + from);
}

void processes_read(struct supervisor *s, struct process *process) {
	char bytes[16384];
	for (int i = 0; i < 16 && process->out_fd >= 0; i++) {
		ssize_t n = read(process->out_fd, bytes, sizeof(bytes));
		if (n > 0) {
			log_write(s, process, bytes, (size_t) n);
			last_line_keep(process, bytes, (size_t) n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close(process->out_fd); /* epoll forgets a closed descriptor */
		process->out_fd = -1;
	}
}

size_t processes_running(const struct supervisor *s) {
	size_t count = 0;
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++)
		count += s->processes[i].is_used && s->processes[i].pid > 0;
	return count;
}

static void child_exec(const struct supervisor *s, const struct wanted *wanted, const struct process *process, int listen_fd, int out_fd) {
	char timeout[32], admin[NAME_MAX_BYTES + 32], listen[8] = "3";
	snprintf(timeout, sizeof(timeout), "%lldms", (long long) (wanted->timeout_ms ? wanted->timeout_ms : 30000));
	snprintf(admin, sizeof(admin), "unix:run/%s.sock", process->name);
	const char *argv[] = {"mlctl-runner", "serve", "--model", wanted->model, "--name", wanted->model_name, "--listen-fd", listen, "--admin", admin, "--release",
		wanted->release, "--revision", wanted->name, "--timeout", timeout, NULL};
	char image[128], service[NAME_MAX_BYTES + 32], environment[NAME_MAX_BYTES + 32], created[NAME_MAX_BYTES + 32];
	snprintf(image, sizeof(image), "MLCTL_IMAGE=%s", wanted->image);
	/* The state folder is .../SERVICE/ENVIRONMENT; both are for the metrics alone. */
	struct str last, before;
	str_cut_last(str_cut_last(str_of(s->folder), '/', &last), '/', &before);
	snprintf(service, sizeof(service), "MLCTL_SERVICE=%.*s", STR_ARGS(before));
	snprintf(environment, sizeof(environment), "MLCTL_ENVIRONMENT=%.*s", STR_ARGS(last));
	snprintf(created, sizeof(created), "MLCTL_MODEL_CREATED=%s", wanted->model_created);
	const char *env[] = {image, service, environment, "PATH=/usr/bin:/bin", wanted->model_created[0] ? created : NULL, NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* replicas without a supervisor would keep the port and nobody would restart them */
	int null_fd = open("/dev/null", O_RDWR);
	if (fchdir(s->folder_fd) != 0 || dup2(null_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
		_exit(126);
	if (listen_fd == 3)
		best_effort(fcntl(3, F_SETFD, 0)); /* else dup2 clears it */
	else if (dup2(listen_fd, 3) < 0)
		_exit(126);
	execve(wanted->program, (char *const *) argv, (char *const *) env);
	dprintf(2, "mlctl: cannot start %s: %s\n", wanted->program, strerror(errno));
	_exit(127);
}

static int process_start(struct supervisor *s, const struct wanted *wanted, struct process *process) {
	int pipe_fds[2], listen_fd = process->role == ROLE_FRONT ? s->front_fd : wanted->side_fd;
	process->started_ms = clock_mono_ms(s->clock);
	if (listen_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0) {
		snprintf(process->reason, sizeof(process->reason), listen_fd < 0 ? "no listening socket yet" : "no pipe: %s", strerror(errno));
		return -1;
	}
	best_effort(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK)); /* reads are bounded anyway */
	pid_t pid = fork();
	if (pid == 0)
		child_exec(s, wanted, process, listen_fd, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0) {
		snprintf(process->reason, sizeof(process->reason), "fork: %s", strerror(errno));
		close(pipe_fds[0]);
		return -1;
	}
	process->pid = pid;
	process->out_fd = pipe_fds[0];
	process->state = PROCESS_RUNNING;
	process->since_s = clock_wall_s(s->clock);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = process};
	best_effort(epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, process->out_fd, &event)); /* then the log comes late, at the end */
	event_note(s, "%s: started, pid %d, release %s, %s", process->name, (int) pid, wanted->release, process->role == ROLE_FRONT ? "front" : "side");
	return 0;
}

static void schedule_restart(struct supervisor *s, struct process *process) {
	int64_t now = clock_mono_ms(s->clock);
	if (now - process->started_ms > SETTLED_MS)
		process->restarts = 0;
	int64_t wait = BACKOFF_FIRST_MS;
	for (int i = 0; i < process->restarts && wait < BACKOFF_LAST_MS; i++)
		wait *= 2;
	process->restarts++;
	process->state = PROCESS_WAITING;
	process->next_ms = now + (wait < BACKOFF_LAST_MS ? wait : BACKOFF_LAST_MS);
}

static struct process *process_new(struct supervisor *s, const struct wanted *wanted, enum role role) {
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
		struct process *process = &s->processes[i];
		if (process->is_used)
			continue;
		*process = (struct process) {.is_used = true, .role = role, .out_fd = -1};
		snprintf(process->name, sizeof(process->name), "%.40s-%lld", wanted->name, (long long) ++s->serial);
		snprintf(process->revision, sizeof(process->revision), "%s", wanted->name);
		return process;
	}
	return NULL;
}

static void process_forget(struct supervisor *s, struct process *process) {
	char name[NAME_MAX_BYTES + 16];
	snprintf(name, sizeof(name), "run/%s.sock", process->name);
	best_effort(unlinkat(s->folder_fd, name, 0)); /* the runner removes it itself when it ends well */
	if (process->out_fd >= 0)
		close(process->out_fd);
	*process = (struct process) {0};
}

static void process_drain(struct supervisor *s, struct process *process) {
	if (process->pid <= 0) {
		process_forget(s, process);
		return;
	}
	if (process->state == PROCESS_DRAINING)
		return;
	process->state = PROCESS_DRAINING;
	process->kill_ms = clock_mono_ms(s->clock) + DRAIN_KILL_MS;
	event_note(s, "%s: draining", process->name);
	kill(process->pid, SIGTERM);
}

void processes_reap(struct supervisor *s) {
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
			struct process *process = &s->processes[i];
			if (!process->is_used || process->pid != pid)
				continue;
			processes_read(s, process);
			if (process->out_fd >= 0)
				close(process->out_fd);
			process->out_fd = -1;
			process->pid = 0;
			if (WIFSIGNALED(status))
				snprintf(process->reason, sizeof(process->reason), "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
			else
				snprintf(process->reason, sizeof(process->reason), "exit %d: %s", WEXITSTATUS(status), process->last_line);
			bool is_wanted = process->state != PROCESS_DRAINING && !s->is_stopping;
			event_note(s, "%s: ended, %s", process->name, process->reason);
			if (is_wanted)
				schedule_restart(s, process);
			else
				process_forget(s, process);
		}
	}
}

/* Starts or drains until exactly `count` replicas of that role are not draining; the oldest stay. */
static void reconcile_role(struct supervisor *s, const struct wanted *wanted, enum role role) {
	int64_t have = 0;
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
		struct process *process = &s->processes[i];
		if (!process->is_used || process->role != role || process->state == PROCESS_DRAINING || strcmp(process->revision, wanted->name) != 0)
			continue;
		if (++have > wanted->count[role])
			process_drain(s, process);
	}
	for (; have < wanted->count[role] && !s->is_stopping; have++) {
		struct process *process = process_new(s, wanted, role);
		if (process && process_start(s, wanted, process) != 0)
			schedule_restart(s, process);
	}
}

int64_t processes_reconcile(struct supervisor *s) {
	int64_t now = clock_mono_ms(s->clock), next = INT64_MAX;
	for (size_t i = 0; i < s->wanted_count; i++)
		for (int role = 0; role < 2; role++)
			reconcile_role(s, &s->wanted[i], (enum role) role);
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
		struct process *process = &s->processes[i];
		if (!process->is_used)
			continue;
		struct wanted *wanted = wanted_find(s, process->revision);
		if (!wanted || s->is_stopping)
			process_drain(s, process);
		if (process->is_used && process->state == PROCESS_WAITING && now >= process->next_ms && process_start(s, wanted, process) != 0)
			schedule_restart(s, process);
		if (process->is_used && process->state == PROCESS_DRAINING && now >= process->kill_ms) {
			event_note(s, "%s: did not drain in %d s, killed", process->name, DRAIN_KILL_MS / 1000);
			kill(process->pid, SIGKILL);
			process->kill_ms = INT64_MAX;
		}
		if (process->is_used && process->state == PROCESS_WAITING && process->next_ms < next)
			next = process->next_ms;
		if (process->is_used && process->state == PROCESS_DRAINING && process->kill_ms < next)
			next = process->kill_ms;
	}
	return next;
}
