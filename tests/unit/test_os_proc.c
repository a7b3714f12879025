#include "os/proc.h"
#include "os/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *const no_env[] = {NULL};

static struct proc_spec sh(const char *const argv[]) {
	return (struct proc_spec){.exec_fd = -1, .path = "/bin/sh", .argv = argv, .env = no_env, .in_fd = -1, .out_fd = -1, .err_fd = -1};
}
#define SH(script) sh((const char *const[]){"sh", "-c", script, NULL})

static void run(struct proc_spec spec, struct str in, struct proc_result *result) {
	struct err err = {0};
	if (proc_run(&spec, in, 1000, 20000, result, &err) != 0)
		fail_msg("%s", err.message);
}

static void runs(void **state) {
	(void) state;
	struct proc_result result;
	run(SH("cat; echo oops >&2; exit 3"), STR("hello"), &result);
	assert_int_equal(result.status, 3);
	assert_string_equal(result.out, "hello");
	assert_string_equal(result.err_text, "oops\n");
	assert_true(result.peak_bytes > 100000);
	proc_result_clear(&result);
	run(SH("kill -9 $$"), (struct str){0}, &result);
	assert_int_equal(result.status, 128 + SIGKILL);
	assert_int_equal(result.out_len, 0);
	proc_result_clear(&result);
}

static void the_environment_is_what_was_given(void **state) {
	(void) state;
	setenv("SECRET_OF_OURS", "x", 1);
	struct proc_spec spec = {.exec_fd = -1,
		.path = "/usr/bin/env",
		.argv = (const char *const[]){"env", NULL},
		.env = (const char *const[]){"A=1", NULL}};
	struct proc_result result;
	run(spec, (struct str){0}, &result);
	assert_string_equal(result.out, "A=1\n");
	proc_result_clear(&result);
}

static void output_is_bounded(void **state) {
	(void) state;
	struct proc_result result;
	run(SH("i=0; while [ $i -lt 300 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done"), (struct str){0}, &result);
	assert_int_equal(result.status, 0);
	assert_int_equal(result.out_len, 1000);
	assert_int_equal(strlen(result.out), 1000);
	proc_result_clear(&result);
}

static void the_deadline_kills(void **state) {
	(void) state;
	static const char *const scripts[] = {
		"sleep 1000", "sleep 1000 & wait", "trap '' TERM INT; while :; do echo x; done", "exec 1>&- 2>&-; sleep 1000"};
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct proc_spec spec = SH(scripts[i]);
		struct proc_result result = {.status = -7};
		struct err err = {0};
		int64_t from_ms = clock_mono_ms(&clock_system);
		assert_int_equal(proc_run(&spec, (struct str){0}, 1000, 50, &result, &err), -1);
		assert_int_equal(err.code, ERR_TIMEOUT);
		assert_int_equal(result.status, -7);
		assert_true(clock_mono_ms(&clock_system) - from_ms < 10000);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

static void a_grandchild_is_not_waited_for(void **state) {
	(void) state;
	struct proc_result result;
	int64_t from_ms = clock_mono_ms(&clock_system);
	run(SH("sleep 15 & echo done"), (struct str){0}, &result);
	assert_string_equal(result.out, "done\n");
	assert_true(clock_mono_ms(&clock_system) - from_ms < 10000);
	proc_result_clear(&result);
}

static void what_cannot_be_started(void **state) {
	(void) state;
	static const struct {
		const char *path;
		enum err_code code;
	} cases[] = {{"/nowhere/program", ERR_NOT_FOUND}, {"/etc/passwd", ERR_FAILED}, {"sh", ERR_FAILED}, {"/tmp", ERR_FAILED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proc_spec spec = SH("exit 0");
		spec.path = cases[i].path;
		pid_t pid = -7;
		struct err err = {0};
		assert_int_equal(proc_spawn(&spec, &pid, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.message, cases[i].path));
		assert_int_equal(pid, -7);
	}
	struct proc_spec lost = SH("exit 0");
	lost.folder = "/nowhere";
	pid_t pid;
	struct err err = {0};
	assert_int_equal(proc_spawn(&lost, &pid, &err), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The child sees 0, 1, 2 and what was kept, in order, even when our numbers cross; nothing else of ours is open there. */
static void descriptors(void **state) {
	(void) state;
	char folder[] = "/tmp/mlctl-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	struct err err = {0};
	int keep[2], leaked = open("/dev/zero", O_RDONLY); /* without O_CLOEXEC, on purpose */
	assert_int_equal(proc_memfd("one", STR("one\n"), &keep[0], &err), 0);
	assert_int_equal(proc_memfd("two", STR("two\n"), &keep[1], &err), 0);
	int crossed[2] = {keep[1], keep[0]};
	struct proc_spec spec = SH("cat <&3; cat <&4; pwd; ls /proc/self/fd | tr '\\n' ' '");
	spec.keep_fds = crossed;
	spec.keep_count = 2;
	spec.folder = folder;
	struct proc_result result;
	run(spec, (struct str){0}, &result);
	AUTO_FREE char *expected = mem_format("two\none\n%s\n0 1 2 3 4 5 ", folder); /* 5 is ls's own */
	assert_string_equal(result.out, expected);
	proc_result_clear(&result);
	close(keep[0]);
	close(keep[1]);
	close(leaked);
	assert_int_equal(rmdir(folder), 0);
}

static void a_program_from_memory(void **state) {
	(void) state;
	AUTO_FREE char *program = NULL;
	size_t len = 0;
	struct err err = {0};
	int fd = -1;
	assert_int_equal(fs_read("/bin/echo", 10000000, &program, &len, &err), 0);
	assert_int_equal(proc_memfd("echo", (struct str){program, len}, &fd, &err), 0);
	assert_int_equal(write(fd, "x", 1), -1); /* sealed */
	assert_int_equal(errno, EPERM);
	struct proc_spec spec = {.exec_fd = fd, .argv = (const char *const[]){"echo", "from memory", NULL}, .env = no_env};
	struct proc_result result;
	run(spec, (struct str){0}, &result);
	assert_string_equal(result.out, "from memory\n");
	proc_result_clear(&result);
	close(fd);
}

static void signals_are_the_childs_own(void **state) {
	(void) state;
	struct err err = {0};
	int fd = -1;
	assert_int_equal(sig_open(&fd, &err), 0);
	struct proc_result result;
	/* Signals 32 and 33 are the C library's own; whoever started us may have ignored them. */
	run(SH("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t' | sed 's/000000018\\(0*\\)$/000000000\\1/'"), (struct str){0}, &result);
	assert_string_equal(result.out, "SigBlk:0000000000000000SigIgn:0000000000000000");
	proc_result_clear(&result);
	assert_int_equal(sig_take(fd), 0);
	assert_int_equal(kill(getpid(), SIGINT), 0);
	assert_int_equal(sig_take(fd), SIGINT);
	assert_int_equal(sig_take(fd), 0);
	close(fd);
	sig_restore();
}

static void detached_or_not(void **state) {
	(void) state;
	int pipe_fds[2];
	assert_int_equal(pipe(pipe_fds), 0);
	for (int is_detached = 0; is_detached <= 1; is_detached++) {
		struct proc_spec spec = SH("cut -d' ' -f6 /proc/self/stat");
		spec.out_fd = pipe_fds[1];
		spec.is_detached = is_detached;
		pid_t pid;
		struct err err = {0};
		assert_int_equal(proc_spawn(&spec, &pid, &err), 0);
		char text[32] = "";
		assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
		assert_int_equal(strtol(text, NULL, 10), is_detached ? pid : getsid(0));
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_are_the_childs_own),
		cmocka_unit_test(runs),
		cmocka_unit_test(the_environment_is_what_was_given),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(the_deadline_kills),
		cmocka_unit_test(a_grandchild_is_not_waited_for),
		cmocka_unit_test(what_cannot_be_started),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(a_program_from_memory),
		cmocka_unit_test(detached_or_not),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
