/* The supervisor's loop, and how it is left to a newer binary. */
#include "supervise/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#define LINE_BYTES_MAX ((size_t) 64 * 1024)
#define CONTROL_TIMEOUT_MS 2000
#define REBIND_TRIES 150
#define REBIND_PAUSE_MS 200
#define HAND_OVER_BYTES_MAX ((size_t) 256 * 1024)

/* What epoll's data.ptr says when it is no process. */
static const char is_control, is_signal;

static int set_up(struct supervisor *s, struct err *err) {
	s->folder_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder_fd < 0)
		return err_sys(err, "%s", s->folder);
	best_effort(mkdirat(s->folder_fd, "run", 0700)); /* they may be there */
	best_effort(mkdirat(s->folder_fd, "log", 0700));
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	s->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->poll_fd < 0)
		return err_sys(err, "%s", s->folder);
	AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct digest digest;
	if (digest_of_fd(self, "own binary", &digest, NULL, err) != 0)
		return -1;
	memcpy(s->digest, digest.text, sizeof(digest.text));
	return 0;
}

static int watch(struct supervisor *s, int fd, void *what, struct err *err) {
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
	return epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : err_sys(err, "epoll");
}

/* Fresh: the lock, the control socket, and what was wanted before. */
static int begin(struct supervisor *s, struct err *err) {
	AUTO_FREE char *lock = fs_join(s->folder, "supervisor.lock");
	if (fs_lock(lock, false, &s->lock_fd, err) != 0 || socket_at(s->folder_fd, "supervisor.sock", true, &s->control_fd, err) != 0 ||
		desired_load(s, err) != 0)
		return -1;
	int64_t port = s->port;
	for (int i = 0; port && s->front_fd < 0; i++) { /* the port may still be in the hands of the replicas of the one before */
		struct err again = {0};
		if (front_listen(s, s->address, port, 1, &again) == 0)
			break;
		if (i == REBIND_TRIES || again.code != ERR_CONFLICT) {
			*err = again;
			return -1;
		}
		s->clock->sleep_ms(s->clock->self, REBIND_PAUSE_MS);
	}
	for (size_t i = 0; i < s->wanted_count; i++)
		if (s->wanted[i].count[ROLE_SIDE] > 0 && side_listen(s, &s->wanted[i], err) != 0)
			return -1;
	return 0;
}

static void inherit(int fd, bool is_inherited) {
	if (fd >= 0)
		best_effort(fcntl(fd, F_SETFD, is_inherited ? 0 : FD_CLOEXEC)); /* the other side says what is missing */
}

static void set_inherited(struct supervisor *s, bool is_inherited) {
	inherit(s->lock_fd, is_inherited);
	inherit(s->control_fd, is_inherited);
	inherit(s->front_fd, is_inherited);
	for (size_t i = 0; i < s->wanted_count; i++)
		inherit(s->wanted[i].side_fd, is_inherited);
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++)
		if (s->processes[i].is_used)
			inherit(s->processes[i].out_fd, is_inherited);
}

/* What the next binary cannot find in desired.json: open descriptors and running children. */
static int hand_over(const struct supervisor *s, int *fd, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("hand-over");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "lock_fd", s->lock_fd);
	value_add_int(document, root, "control_fd", s->control_fd);
	value_add_int(document, root, "front_fd", s->front_fd);
	struct value *sides = value_add_object(document, root, "sides");
	for (size_t i = 0; i < s->wanted_count; i++)
		value_add_int(document, sides, s->wanted[i].name, s->wanted[i].side_fd);
	struct value *processes = value_add_array(document, root, "processes");
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
		const struct process *process = &s->processes[i];
		if (!process->is_used || process->pid <= 0)
			continue;
		struct value *one = value_add_object(document, processes, NULL);
		value_add_text(document, one, "name", process->name);
		value_add_text(document, one, "revision", process->revision);
		value_add_int(document, one, "role", process->role);
		value_add_int(document, one, "state", process->state);
		value_add_int(document, one, "pid", process->pid);
		value_add_int(document, one, "out_fd", process->out_fd);
		value_add_int(document, one, "restarts", process->restarts);
		value_add_int(document, one, "since_s", process->since_s);
	}
	AUTO_FREE char *text = NULL;
	int made = -1;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	if ((made = memfd_create("hand-over", 0)) < 0)
		return err_sys(err, "hand-over");
	if (fs_write_all(made, text, strlen(text), "hand-over", err) != 0) {
		close(made);
		return -1;
	}
	*fd = made;
	return 0;
}

/* Becomes `program`: same pid, same children, same sockets. Returns only when that failed; then everything goes on as before. */
static void upgrade(struct supervisor *s, const char *program) {
	struct err err = {0};
	int fd = -1;
	if (desired_save(s, &err) != 0 || hand_over(s, &fd, &err) != 0) {
		event_note(s, "upgrade failed: %s", err.message);
		return;
	}
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	set_inherited(s, true);
	event_note(s, "becoming %s", program);
	const char *argv[] = {"mlctl", "supervise", s->folder, "--resume", number, NULL};
	execve(program, (char *const *) argv, s->env->items);
	event_note(s, "upgrade failed: %s: %s", program, strerror(errno));
	set_inherited(s, false);
	close(fd);
}

static int process_resume(struct supervisor *s, const struct value *from, struct process *process, struct err *err) {
	struct str name, revision;
	int64_t role, state, pid, out_fd, restarts;
	if (value_need_str(from, "name", &name, err) != 0 || value_need_str(from, "revision", &revision, err) != 0 ||
		value_need_int(from, "role", &role, err) != 0 || value_need_int(from, "state", &state, err) != 0 ||
		value_need_int(from, "pid", &pid, err) != 0 || value_need_int(from, "out_fd", &out_fd, err) != 0 ||
		value_need_int(from, "restarts", &restarts, err) != 0 || value_need_int(from, "since_s", &process->since_s, err) != 0)
		return -1;
	int64_t now = clock_mono_ms(s->clock);
	process->is_used = true;
	process->role = role == ROLE_SIDE ? ROLE_SIDE : ROLE_FRONT;
	process->state = state == PROCESS_DRAINING ? PROCESS_DRAINING : PROCESS_RUNNING;
	process->pid = (pid_t) pid;
	process->out_fd = (int) out_fd;
	process->restarts = (int) restarts;
	process->started_ms = now;
	process->kill_ms = now + 30000;
	snprintf(process->name, sizeof(process->name), "%.*s", STR_ARGS(name));
	snprintf(process->revision, sizeof(process->revision), "%.*s", STR_ARGS(revision));
	return process->out_fd < 0 ? 0 : watch(s, process->out_fd, process, err);
}

/* Goes on where the binary before left: same children, same sockets. */
static int resume(struct supervisor *s, int resume_fd, struct err *err) {
	AUTO_FREE char *text = mem_zero(1, HAND_OVER_BYTES_MAX);
	AUTO_DOCUMENT struct document *document = NULL;
	size_t got = 0;
	int64_t lock_fd, control_fd, front_fd;
	if (fs_pread(resume_fd, text, HAND_OVER_BYTES_MAX, 0, &got, "hand-over", err) != 0 ||
		json_read("hand-over", (struct str) {text, got}, VALUE_LIMITS_CONFIG, &document, err) != 0 || desired_load(s, err) != 0 ||
		value_need_int(document->root, "lock_fd", &lock_fd, err) != 0 || value_need_int(document->root, "control_fd", &control_fd, err) != 0 ||
		value_need_int(document->root, "front_fd", &front_fd, err) != 0)
		return -1;
	close(resume_fd);
	s->lock_fd = (int) lock_fd;
	s->control_fd = (int) control_fd;
	s->front_fd = (int) front_fd;
	for (size_t i = 0; i < s->wanted_count; i++) {
		int64_t side_fd = -1;
		const struct value *side = value_get(value_get(document->root, "sides"), s->wanted[i].name);
		if (side && num_int(side->text, -1, 1 << 20, &side_fd) == 0)
			s->wanted[i].side_fd = (int) side_fd;
	}
	size_t count = 0;
	value_each(process, value_get(document->root, "processes"))
		if (count < SUPERVISOR_REPLICAS_MAX && process_resume(s, process, &s->processes[count++], err) != 0)
			return -1;
	set_inherited(s, false);
	event_note(s, "resumed with %zu replicas", processes_running(s));
	return 0;
}

/* A client is a program of ours on this machine: it sends one line at once, so the loop may wait for it a moment. */
static void serve_control(struct supervisor *s) {
	AUTO_CLOSE int fd = accept4(s->control_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct timeval wait = {.tv_sec = CONTROL_TIMEOUT_MS / 1000};
	best_effort(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait))); /* a client that hangs is then only slow */
	best_effort(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)));
	AUTO_BUF struct buf line = BUF(LINE_BYTES_MAX);
	for (;;) {
		char *room = buf_room(&line, 4096);
		ssize_t n = room ? read(fd, room, 4096) : 0;
		if (n <= 0)
			return;
		buf_wrote(&line, (size_t) n);
		if (line.ptr[line.len - 1] == '\n')
			break;
	}
	AUTO_BUF struct buf answer = BUF(4 * LINE_BYTES_MAX);
	bool is_upgrading = false;
	char program[PATH_MAX_BYTES] = "";
	control_answer(s, buf_view(&line), &answer, &is_upgrading, program);
	struct err ignored = {0};
	best_effort(fs_write_all(fd, answer.ptr, answer.len, "answer", &ignored)); /* the client asks again */
	if (is_upgrading) {
		close(fd);
		fd = -1;
		upgrade(s, program);
	}
}

static void take_signals(struct supervisor *s) {
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			s->is_stopping = true;
	processes_reap(s);
}

static int loop(struct supervisor *s, struct err *err) {
	for (;;) {
		processes_reap(s);
		int64_t next = processes_reconcile(s);
		if (s->is_stopping && processes_running(s) == 0)
			return 0;
		int64_t wait = next == INT64_MAX ? -1 : next - clock_mono_ms(s->clock);
		struct epoll_event events[16];
		int n = epoll_wait(s->poll_fd, events, 16, wait < 0 && next != INT64_MAX ? 0 : (int) (wait > 60000 ? 60000 : wait));
		if (n < 0 && errno != EINTR)
			return err_sys(err, "waiting");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &is_control)
				serve_control(s);
			else if (events[i].data.ptr == &is_signal)
				take_signals(s);
			else
				processes_read(s, events[i].data.ptr);
		}
	}
}

int supervisor_run(const char *folder, int resume_fd, const struct env *env, const struct clock *clock, struct err *err) {
	struct supervisor *s = NEW(struct supervisor);
	*s = (struct supervisor) {.folder = folder, .env = env, .clock = clock, .front_fd = -1, .lock_fd = -1, .control_fd = -1};
	int rc = set_up(s, err);
	if (rc == 0)
		rc = resume_fd >= 0 ? resume(s, resume_fd, err) : begin(s, err);
	if (rc == 0)
		rc = watch(s, s->control_fd, (void *) &is_control, err);
	if (rc == 0)
		rc = watch(s, s->signal_fd, (void *) &is_signal, err);
	if (rc == 0)
		rc = loop(s, err);
	if (s->folder_fd >= 0 && s->lock_fd >= 0) {
		event_note(s, "ended%s%s", rc == 0 ? "" : ": ", rc == 0 ? "" : err->message);
		best_effort(unlinkat(s->folder_fd, "supervisor.sock", 0)); /* swept by the next one */
	}
	free(s);
	return rc;
}
