#include "os/fs.h"

#include "scratch.h"

#include <fcntl.h>
#include <sys/file.h>

/* A killed writer's temporary goes; a living one's, and what only looks a bit like one, stays. */
static void temporaries_are_swept(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	struct err err = {0};
	AUTO_FREE char *kept = fs_join(folder, "head.json");
	assert_int_equal(fs_replace(kept, "old", 3, 0600, &err), 0);
	AUTO_FREE char *killed = fs_join(folder, "head.json.tmp.aB3dE6");
	scratch_write(folder, "head.json.tmp.aB3dE6", "", 0);
	AUTO_FREE char *living = fs_join(folder, "head.json.tmp.000000");
	scratch_write(folder, "head.json.tmp.000000", "", 0);
	AUTO_FREE char *longer = fs_join(folder, "notes.tmp.of-a-user");
	scratch_write(folder, "notes.tmp.of-a-user", "", 0);
	AUTO_FREE char *inner = fs_join(folder, "image.tmp.123456");
	assert_int_equal(fs_make_dirs(inner, 0700, &err), 0);
	AUTO_CLOSE int writer = open(living, O_WRONLY | O_CLOEXEC);
	assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
	fs_sweep(folder, NULL);
	assert_false(fs_exists(killed));
	assert_true(fs_exists(living) && fs_exists(longer) && fs_exists(inner) && fs_exists(kept));
	fs_sweep("/nowhere/at/all", NULL);
	/* By the name that a caller has for its own. */
	AUTO_FREE char *theirs = fs_join(folder, ".blob-1-0");
	scratch_write(folder, ".blob-1-0", "", 0);
	fs_sweep(folder, NULL);
	assert_true(fs_exists(theirs));
	fs_sweep(folder, ".blob-");
	assert_true(!fs_exists(theirs) && fs_exists(living));
	assert_int_equal(fs_replace(kept, "newer", 5, 0640, &err), 0);
	struct stat info;
	assert_true(stat(kept, &info) == 0 && info.st_size == 5 && (info.st_mode & 0777) == 0640);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(temporaries_are_swept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
