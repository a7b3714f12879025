#include "os/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>

#include <cmocka.h>

static char *make(const char *folder, const char *name) {
	char *path = fs_join(folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	return path;
}

/* A killed writer's temporary goes; a living one's, and what only looks a bit like one, stays. */
static void temporaries_are_swept(void **state) {
	(void) state;
	char folder[] = "/tmp/mlctl-fs-XXXXXX";
	assert_non_null(mkdtemp(folder));
	struct err err = {0};
	AUTO_FREE char *kept = fs_join(folder, "head.json");
	assert_int_equal(fs_replace(kept, "old", 3, 0600, &err), 0);
	AUTO_FREE char *killed = make(folder, "head.json.tmp.aB3dE6");
	AUTO_FREE char *living = make(folder, "head.json.tmp.000000");
	AUTO_FREE char *longer = make(folder, "notes.tmp.of-a-user");
	AUTO_FREE char *inner = fs_join(folder, "image.tmp.123456");
	assert_int_equal(fs_make_dirs(inner, 0700, &err), 0);
	AUTO_CLOSE int writer = open(living, O_WRONLY | O_CLOEXEC);
	assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
	fs_sweep(folder);
	assert_false(fs_exists(killed));
	assert_true(fs_exists(living) && fs_exists(longer) && fs_exists(inner) && fs_exists(kept));
	fs_sweep("/nowhere/at/all");
	assert_int_equal(fs_replace(kept, "newer", 5, 0640, &err), 0);
	struct stat info;
	assert_true(stat(kept, &info) == 0 && info.st_size == 5 && (info.st_mode & 0777) == 0640);
	assert_int_equal(fs_remove_tree(folder, &err), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(temporaries_are_swept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
