/* The other side of the socket: asking a supervisor, and making sure that there is one. */
#include "supervise/state.h"
#include "supervise/unit.h"


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ANSWER_BYTES_MAX ((size_t) 1024 * 1024)
#define ANSWER_TIMEOUT_S 10
#define START_TIMEOUT_MS 20000 /* replicas of one that was killed hold the port while they drain, 10 s at most */
#define PROGRAM_BYTES_MAX ((size_t) 256 * 1024 * 1024)

static int exchange(int fd, struct str line, struct buf *answer, struct err *err) {
	struct timeval wait = {.tv_sec = ANSWER_TIMEOUT_S};
	best_effort(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait))); /* then it waits longer */
	if (fs_write_all(fd, line.ptr, line.len, "supervisor", err) != 0)
		return -1;
	for (;;) {
		char *room = buf_room(answer, 8192);
		ssize_t n = room ? read(fd, room, 8192) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_UNCLEAR, "the supervisor did not answer within %d s", ANSWER_TIMEOUT_S);
		if (n == 0)
			break;
		buf_wrote(answer, (size_t) n);
	}
	return answer->len ? 0 : err_set(err, ERR_UNCLEAR, "the supervisor closed the connection without an answer");
}

static int answer_error(const struct value *root, struct err *err) {
	struct str message, kind, fix;
	if (!value_get(root, "error"))
		return 0;
	if (value_need_str(root, "error", &message, err) != 0 || value_opt_str(root, "kind", STR("failed"), &kind, err) != 0 ||
		value_opt_str(root, "fix", STR(""), &fix, err) != 0)
		return -1;
	enum err_code code = ERR_FAILED;
	for (int i = ERR_FAILED; i <= ERR_NOSPACE; i++)
		if (str_is(kind, err_kind((enum err_code) i)))
			code = (enum err_code) i;
	err_set(err, code, "%.*s", STR_ARGS(message));
	if (fix.len)
		err_fix(err, "%.*s", STR_ARGS(fix));
	return -1;
}

int supervisor_call(const char *folder, const struct value *request, struct document **answer, struct err *err) {
	AUTO_CLOSE int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int fd = -1;
	struct err connecting = {0};
	if (folder_fd < 0 || socket_at(folder_fd, "supervisor.sock", false, &fd, &connecting) != 0)
		return err_set(err, ERR_NOT_FOUND, "no supervisor runs for %s", folder);
	AUTO_FREE char *text = NULL;
	AUTO_BUF struct buf line = BUF(ANSWER_BYTES_MAX);
	AUTO_BUF struct buf reply = BUF(ANSWER_BYTES_MAX);
	if (json_write(request, JSON_COMPACT, &text, err) != 0)
		return -1;
	buf_text(&line, text);
	buf_char(&line, '\n');
	AUTO_DOCUMENT struct document *document = NULL;
	if (exchange(fd, buf_view(&line), &reply, err) != 0 ||
		json_read("the supervisor's answer", buf_view(&reply), VALUE_LIMITS_CONFIG, &document, err) != 0 || answer_error(document->root, err) != 0)
		return -1;
	if (answer)
		*answer = take(&document);
	return 0;
}

int supervisor_info(const char *folder, struct document **answer, struct err *err) {
	AUTO_DOCUMENT struct document *request = document_new("request");
	value_add_text(request, value_root_object(request), "op", "info");
	return supervisor_call(folder, request->root, answer, err);
}

/* A copy of the program beside the state, named by content: replacing mlctl on disk changes nothing for what runs. */
static int copy_program(const char *folder, const char *program, struct digest *digest, char **copy, struct err *err) {
	AUTO_CLOSE int fd = -1;
	if (fs_open(program, O_RDONLY, 0, &fd, err) != 0 || digest_of_fd(fd, program, digest, NULL, err) != 0)
		return -1;
	AUTO_FREE char *path = mem_format("%s/supervisor-%.12s", folder, digest_hex(digest));
	if (!fs_exists(path)) {
		AUTO_FREE char *bytes = NULL;
		size_t len = 0;
		if (fs_read(program, PROGRAM_BYTES_MAX, &bytes, &len, err) != 0 || fs_replace(path, bytes, len, 0700, err) != 0)
			return -1;
	}
	*copy = take(&path);
	return 0;
}

/* Binaries of versions that no longer run. A unit file may still name one; then they stay. */
static void sweep_programs(const char *folder, const char *kept, const struct env *env) {
	DIR *dir = unit_is_possible(env) ? NULL : opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		AUTO_FREE char *path = fs_join(folder, entry->d_name);
		if (strncmp(entry->d_name, "supervisor-", 11) == 0 && strcmp(path, kept) != 0)
			best_effort(unlink(path)); /* the next upgrade tries again */
	}
	if (dir)
		closedir(dir);
}

/* Twice forked, so that it is nobody's child and no terminal's. */
static int start_forked(const char *folder, const char *program, const struct env *env, struct err *err) {
	AUTO_FREE char *log = fs_join(folder, "supervisor.log");
	AUTO_CLOSE int log_fd = -1;
	if (fs_open(log, O_WRONLY | O_CREAT | O_APPEND, 0600, &log_fd, err) != 0)
		return -1;
	const char *argv[] = {"mlctl", "supervise", folder, NULL};
	const char *kept_names[] = {"HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS"};
	AUTO_TEXTS struct texts kept = {0};
	for (size_t i = 0; i < sizeof(kept_names) / sizeof(kept_names[0]); i++) {
		const char *value = env_get(env, kept_names[i]);
		AUTO_FREE char *item = value ? mem_format("%s=%s", kept_names[i], value) : NULL;
		if (item)
			texts_add(&kept, item);
	}
	texts_add(&kept, "PATH=/usr/local/bin:/usr/bin:/bin");
	kept.items = mem_resize(kept.items, kept.count + 1, sizeof(*kept.items));
	kept.items[kept.count] = NULL;
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (pid == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		int null_fd = open("/dev/null", O_RDWR);
		if (chdir("/") != 0 || dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
			_exit(126);
		close_range(3, ~0U, 0);
		execve(program, (char *const *) argv, kept.items);
		dprintf(2, "cannot start %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int wait_until_answers(const char *folder, const struct digest *digest, const struct clock *clock, struct err *err) {
	int64_t until = clock_mono_ms(clock) + START_TIMEOUT_MS;
	for (int64_t nap = 2;; nap = nap < 50 ? nap * 2 : 50) {
		struct err asking = {0};
		AUTO_DOCUMENT struct document *answer = NULL;
		struct str running = {0};
		if (supervisor_info(folder, &answer, &asking) == 0 && value_need_str(answer->root, "digest", &running, &asking) == 0 &&
			str_is(running, digest->text))
			return 0;
		if (clock_mono_ms(clock) > until)
			break;
		clock->sleep_ms(clock->self, nap);
	}
	AUTO_FREE char *log = fs_join(folder, "supervisor.log");
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	struct err reading = {0};
	best_effort(fs_read(log, ANSWER_BYTES_MAX, &text, &len, &reading)); /* only to say more */
	struct str last = {text, len};
	while (last.len && last.ptr[last.len - 1] == '\n')
		last.len--;
	if (last.len > 300)
		last = (struct str) {last.ptr + last.len - 300, 300};
	return err_set(err, ERR_FAILED, "the supervisor did not come up within %d s: %.*s", START_TIMEOUT_MS / 1000, STR_ARGS(last));
}

int supervisor_ensure(const char *folder, const char *service, const char *environment, const char *program, const struct env *env,
	const struct clock *clock, struct err *err) {
	struct digest digest = {0};
	AUTO_FREE char *copy = NULL;
	if (fs_make_dirs(folder, 0700, err) != 0)
		return -1;
	AUTO_DOCUMENT struct document *answer = NULL;
	struct err asking = {0};
	struct str running = {0};
	bool is_there = supervisor_info(folder, &answer, &asking) == 0;
	if (copy_program(folder, program, &digest, &copy, err) != 0)
		return -1;
	if (is_there) {
		if (value_need_str(answer->root, "digest", &running, err) != 0)
			return -1;
		if (str_is(running, digest.text))
			return 0;
		AUTO_DOCUMENT struct document *upgrade = document_new("request");
		struct value *ask = value_root_object(upgrade);
		value_add_text(upgrade, ask, "op", "upgrade");
		value_add_text(upgrade, ask, "program", copy);
		if (supervisor_call(folder, upgrade->root, NULL, err) != 0)
			return err_wrap(err, "upgrading the supervisor");
		if (wait_until_answers(folder, &digest, clock, err) != 0)
			return -1;
		sweep_programs(folder, copy, env);
		return 0;
	}
	if (asking.code != ERR_NOT_FOUND)
		return err_set(err, asking.code, "%s", asking.message);
	struct err unit = {0}; /* a systemd that will not have it is no reason not to serve */
	if ((!unit_is_possible(env) || unit_start(service, environment, folder, copy, env, &unit) != 0) && start_forked(folder, copy, env, err) != 0)
		return -1;
	return wait_until_answers(folder, &digest, clock, err);
}

int supervisor_forget(const char *service, const char *environment, const struct env *env, struct err *err) {
	return unit_is_possible(env) ? unit_remove(service, environment, env, err) : 0;
}
