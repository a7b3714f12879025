#include "supervise/reserve.h"

#include "scratch.h"

static void is_made_once_and_again(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *path = fs_join(folder, "reserve");
	struct stat info;
	assert_true(reserve_make(folder));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_size, RESERVE_BYTES);
	assert_true(info.st_blocks * 512 >= RESERVE_BYTES); /* really there, no hole */
	assert_true(reserve_make(folder));
	assert_int_equal(truncate(path, 1), 0);
	assert_true(reserve_make(folder));
	AUTO_FREE char *nowhere = fs_join(folder, "nowhere");
	assert_false(reserve_make(nowhere));
}

static void is_spent_on_a_full_disk_only(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *reserve = fs_join(folder, "reserve"), *path = fs_join(folder, "file"), *bad = fs_join(folder, "no/file");
	struct err err = {0};
	assert_true(reserve_make(folder));
	assert_int_equal(reserve_replace(folder, path, "abc", 3, &err), 0);
	assert_true(fs_exists(reserve));
	assert_int_equal(reserve_replace(folder, bad, "abc", 3, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(fs_exists(reserve));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_made_once_and_again),
		cmocka_unit_test(is_spent_on_a_full_disk_only),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
