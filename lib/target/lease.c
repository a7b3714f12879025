#include "target/lease.h"

#include <dirent.h>

#define PREFIX "lease-"

/* NULL for a token that is no plain word: it comes out of a file. */
static char *path_of(const char *folder, const char *token) {
	for (const char *c = token; *c; c++)
		if (!ascii_is_digit(*c) && !ascii_is_lower(*c))
			return NULL;
	return token[0] ? mem_format("%s/" PREFIX "%s", folder, token) : NULL;
}

int lease_hold(const char *folder, const char *token, int *fd, struct err *err) {
	AUTO_FREE char *path = path_of(folder, token);
	return path && *fd < 0 ? fs_lock(path, false, fd, err) : 0;
}

bool lease_is_gone(const char *folder, const char *token) {
	AUTO_FREE char *path = path_of(folder, token);
	AUTO_CLOSE int fd = -1;
	return path && fs_exists(path) && fs_lock(path, false, &fd, &(struct err) {0}) == 0;
}

void lease_end(const char *folder, int *fd) {
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	DIR *entries = opendir(folder);
	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		AUTO_FREE char *path = fs_join(folder, entry->d_name);
		AUTO_CLOSE int lock = -1;
		if (fs_lock(path, false, &lock, &(struct err) {0}) == 0)
			best_effort(unlink(path)); /* the next one sweeps it */
	}
	if (entries)
		closedir(entries);
}
