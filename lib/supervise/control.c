/* One request line, one answer line: what the supervisor may be told. */
#include "supervise/state.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_BYTES_MAX ((size_t) 256 * 1024)
#define BACKLOG 4096

int socket_at(int folder_fd, const char *name, bool is_listening, int *fd, struct err *err) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* sun_path holds 108 bytes; a state folder's path may be longer. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder_fd, name);
	AUTO_CLOSE int got = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (got < 0)
		return err_sys(err, "%s", name);
	if (is_listening) {
		best_effort(unlinkat(folder_fd, name, 0)); /* of a supervisor that was killed */
		if (bind(got, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(got, BACKLOG) != 0)
			return err_sys(err, "%s", name);
	} else if (connect(got, (struct sockaddr *) &address, sizeof(address)) != 0) {
		return err_sys(err, "%s", name);
	}
	*fd = got;
	got = -1;
	return 0;
}

int side_listen(struct supervisor *s, struct wanted *wanted, struct err *err) {
	char name[NAME_MAX_BYTES + 16];
	snprintf(name, sizeof(name), "run/%s.front", wanted->name);
	if (wanted->side_fd >= 0)
		return 0;
	if (socket_at(s->folder_fd, name, true, &wanted->side_fd, err) != 0)
		return -1;
	best_effort(fcntl(wanted->side_fd, F_SETFL, O_NONBLOCK)); /* the runner sets it again */
	return 0;
}

static int bind_one(const char *address, int64_t port, int *fd) {
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
	if (inet_pton(AF_INET, address, &where.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int got = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	if (got < 0)
		return -1;
	if (setsockopt(got, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 || bind(got, (struct sockaddr *) &where, sizeof(where)) != 0 ||
		listen(got, BACKLOG) != 0) {
		int saved = errno;
		close(got);
		errno = saved;
		return -1;
	}
	*fd = got;
	return 0;
}

bool port_is_taken(const char *address, int64_t port) {
	int fd = -1;
	bool is_taken = bind_one(address, port, &fd) != 0 && (errno == EADDRINUSE || errno == EACCES);
	if (fd >= 0)
		close(fd);
	return is_taken;
}

int front_listen(struct supervisor *s, const char *address, int64_t port, int64_t tries, struct err *err) {
	if (s->front_fd >= 0)
		return 0;
	if (port < 1 || port > 65535)
		return err_set(err, ERR_CONFIG, "port %lld: must be from 1 to 65535", (long long) port);
	for (int64_t p = port; p < port + tries && p <= 65535; p++) {
		if (bind_one(address, p, &s->front_fd) == 0) {
			if (address != s->address) /* after a restart it is the very text */
				snprintf(s->address, sizeof(s->address), "%s", address);
			s->port = p;
			event_note(s, "listening on %s:%lld", address, (long long) p);
			return 0;
		}
		if (errno != EADDRINUSE && errno != EACCES)
			return err_sys(err, "listening on %s:%lld", address, (long long) p);
	}
	err_set(err, ERR_CONFLICT, "ports %lld to %lld of %s are all taken", (long long) port, (long long) (port + tries - 1), address);
	return err_fix(err, "serve.port: a free one in mlctl.yaml");
}

static void info(struct supervisor *s, struct document *document, struct value *answer) {
	static const char *const roles[] = {"front", "side"};
	static const char *const states[] = {"running", "draining", "waiting"};
	value_add_int(document, answer, "pid", getpid());
	value_add_text(document, answer, "digest", s->digest);
	value_add_text(document, answer, "address", s->address);
	value_add_int(document, answer, "port", s->front_fd >= 0 ? s->port : 0);
	value_add_int(document, answer, "fence", s->fence);
	struct value *revisions = value_add_array(document, answer, "revisions");
	for (size_t i = 0; i < s->wanted_count; i++) {
		struct value *revision = value_add_object(document, revisions, NULL);
		wanted_write(document, revision, &s->wanted[i]);
	}
	struct value *replicas = value_add_array(document, answer, "replicas");
	for (size_t i = 0; i < SUPERVISOR_REPLICAS_MAX; i++) {
		const struct process *process = &s->processes[i];
		if (!process->is_used)
			continue;
		struct value *replica = value_add_object(document, replicas, NULL);
		value_add_text(document, replica, "name", process->name);
		value_add_text(document, replica, "revision", process->revision);
		value_add_text(document, replica, "role", roles[process->role]);
		value_add_text(document, replica, "state", states[process->state]);
		value_add_int(document, replica, "pid", process->pid);
		value_add_int(document, replica, "restarts", process->restarts);
		value_add_int(document, replica, "since_s", process->since_s);
		value_add_text(document, replica, "reason", process->reason);
	}
}

static int check_fence(struct supervisor *s, const struct value *request, struct err *err) {
	int64_t fence;
	if (value_need_int(request, "fence", &fence, err) != 0)
		return -1;
	if (fence < s->fence)
		return err_set(err, ERR_LOCKED, "fence %lld: another deployer came after us (fence %lld)", (long long) fence, (long long) s->fence);
	s->fence = fence;
	return 0;
}

static int op_set(struct supervisor *s, const struct value *request, struct err *err) {
	struct wanted wanted;
	if (wanted_read(value_get(request, "revision"), &wanted, err) != 0 ||
		value_need_int(request, "front", &wanted.count[ROLE_FRONT], err) != 0 ||
		value_need_int(request, "side", &wanted.count[ROLE_SIDE], err) != 0)
		return -1;
	if (wanted.count[ROLE_FRONT] < 0 || wanted.count[ROLE_SIDE] < 0 ||
		wanted.count[ROLE_FRONT] + wanted.count[ROLE_SIDE] > SUPERVISOR_REPLICAS_MAX / 2)
		return err_set(err, ERR_LIMIT, "%s: at most %d replicas", wanted.name, SUPERVISOR_REPLICAS_MAX / 2);
	if (wanted.count[ROLE_FRONT] > 0 && s->front_fd < 0)
		return err_set(err, ERR_CONFLICT, "the front door is not open yet");
	struct wanted *old = wanted_find(s, wanted.name);
	if (!old && s->wanted_count == SUPERVISOR_REVISIONS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d revisions at once", SUPERVISOR_REVISIONS_MAX);
	if (old)
		wanted.side_fd = old->side_fd;
	else
		old = &s->wanted[s->wanted_count];
	if (wanted.count[ROLE_SIDE] > 0 && side_listen(s, &wanted, err) != 0)
		return -1;
	if (old == &s->wanted[s->wanted_count])
		s->wanted_count++;
	*old = wanted;
	return 0;
}

static void op_remove(struct supervisor *s, const char *name) {
	struct wanted *wanted = wanted_find(s, name);
	if (!wanted)
		return;
	char socket_name[NAME_MAX_BYTES + 16];
	snprintf(socket_name, sizeof(socket_name), "run/%s.front", wanted->name);
	if (wanted->side_fd >= 0) {
		close(wanted->side_fd);
		best_effort(unlinkat(s->folder_fd, socket_name, 0)); /* swept again when the name is used next */
	}
	size_t at = (size_t) (wanted - s->wanted);
	memmove(wanted, wanted + 1, (s->wanted_count - at - 1) * sizeof(*wanted));
	s->wanted_count--;
}

static int run_op(struct supervisor *s, const struct value *request, struct document *document, struct value *answer, bool *is_upgrading,
	char program[PATH_MAX_BYTES], struct err *err) {
	struct str op, name;
	if (value_need_str(request, "op", &op, err) != 0)
		return -1;
	if (str_is(op, "info")) {
		info(s, document, answer);
		return 0;
	}
	if (str_is(op, "upgrade")) {
		if (value_need_str(request, "program", &name, err) != 0)
			return -1;
		snprintf(program, PATH_MAX_BYTES, "%.*s", STR_ARGS(name));
		*is_upgrading = true;
		return 0;
	}
	if (check_fence(s, request, err) != 0)
		return -1;
	if (str_is(op, "listen")) {
		int64_t port;
		if (value_need_str(request, "address", &name, err) != 0 || value_need_int(request, "port", &port, err) != 0)
			return -1;
		AUTO_FREE char *address = str_dup(name);
		if (front_listen(s, address, port, 20, err) != 0)
			return -1;
		value_add_int(document, answer, "port", s->port);
	} else if (str_is(op, "set")) {
		if (op_set(s, request, err) != 0)
			return -1;
	} else if (str_is(op, "remove")) {
		if (value_need_str(request, "revision", &name, err) != 0)
			return -1;
		AUTO_FREE char *revision = str_dup(name);
		op_remove(s, revision);
	} else if (str_is(op, "stop")) {
		s->is_stopping = true;
	} else if (!str_is(op, "fence")) {
		return err_set(err, ERR_INVALID, "op \"%.*s\": unknown", STR_ARGS(op));
	}
	processes_reconcile(s);
	return desired_save(s, err);
}

void control_answer(struct supervisor *s, struct str line, struct buf *out, bool *is_upgrading, char program[PATH_MAX_BYTES]) {
	struct err err = {0}, ignored = {0};
	AUTO_DOCUMENT struct document *request = NULL;
	AUTO_DOCUMENT struct document *answer = document_new("answer");
	struct value *root = value_root_object(answer);
	if (json_read("request", line, VALUE_LIMITS_CONFIG, &request, &err) != 0 ||
		run_op(s, request->root, answer, root, is_upgrading, program, &err) != 0) {
		value_add_text(answer, root, "error", err.message);
		value_add_text(answer, root, "kind", err_kind(err.code));
		value_add_text(answer, root, "fix", err.fix);
	}
	AUTO_FREE char *text = NULL;
	if (json_write(answer->root, JSON_COMPACT, &text, &ignored) == 0)
		buf_text(out, text);
	buf_char(out, '\n');
}
