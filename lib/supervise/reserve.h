/* Room that is kept for a bad day: a file of RESERVE_BYTES in the state folder, given up when the disk is full, so that a rollback can still write what
 * it must. Made again once there is room. */
#pragma once

#include "os/fs.h"

#define RESERVE_BYTES ((off_t) 512 * 1024)

/* Is it there? */
bool reserve_make(const char *folder);
/* As fs_replace(); on a full disk the reserve goes first and it is tried once more. */
int reserve_replace(const char *folder, const char *path, const void *bytes, size_t len, struct err *err);
