#include "supervise/reserve.h"

#include <fcntl.h>

bool reserve_make(const char *folder) {
	AUTO_FREE char *path = fs_join(folder, "reserve");
	struct stat info;
	if (stat(path, &info) == 0 && info.st_size >= RESERVE_BYTES)
		return true;
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) == 0)
		return true;
	best_effort(unlink(path)); /* a part of it helps nobody */
	return false;
}

int reserve_replace(const char *folder, const char *path, const void *bytes, size_t len, struct err *err) {
	if (fs_replace(path, bytes, len, 0600, err) == 0)
		return 0;
	AUTO_FREE char *reserve = fs_join(folder, "reserve");
	if (err->code != ERR_NOSPACE || unlink(reserve) != 0)
		return -1;
	err_clear(err);
	return fs_replace(path, bytes, len, 0600, err);
}
