#include "target/lease.h"

#include "scratch.h"

#include <signal.h>

#define TOKEN "0123456789abcdef"

static void held_until_its_process_ends(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = -1;
		struct err err = {0};
		char word = lease_hold(folder, TOKEN, &fd, &err) == 0 ? 'y' : 'n';
		_exit(write(ready[1], &word, 1) == 1 ? (pause(), 0) : 1);
	}
	char word = 0;
	assert_int_equal(read(ready[0], &word, 1), 1);
	assert_int_equal(word, 'y');
	assert_false(lease_is_gone(folder, TOKEN));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(lease_is_gone(folder, TOKEN));
	assert_true(lease_is_gone(folder, TOKEN)); /* asking changes nothing */
	int fd = -1;
	struct err err = {0};
	assert_int_equal(lease_hold(folder, "feed", &fd, &err), 0);
	lease_end(folder, &fd);
	assert_int_equal(fd, -1);
	assert_false(lease_is_gone(folder, TOKEN)); /* swept */
	assert_false(lease_is_gone(folder, "feed"));
	close(ready[0]);
	close(ready[1]);
}

static void says_nothing_without_a_file(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	assert_false(lease_is_gone(folder, TOKEN));
	assert_false(lease_is_gone(folder, ""));
	assert_false(lease_is_gone(folder, "../x"));
	int fd = -1;
	struct err err = {0};
	assert_int_equal(lease_hold(folder, "../x", &fd, &err), 0);
	assert_int_equal(fd, -1);
	lease_end(folder, &fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_until_its_process_ends),
		cmocka_unit_test(says_nothing_without_a_file),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
