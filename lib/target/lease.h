/* Who holds a lock on this machine: a file FOLDER/lease-TOKEN, flocked by the holder's process. The kernel lets go of it when the process ends, however
 * it ends, so whoever waits for that lock knows at once that nobody will renew it. */
#pragma once

#include "os/fs.h"

/* *fd -1 becomes the hold; one that is there already stays. The folder must exist. */
int lease_hold(const char *folder, const char *token, int *fd, struct err *err);
/* True only when a process held it and has ended; a file that is not there says nothing. */
bool lease_is_gone(const char *folder, const char *token);
/* Lets go (fd -1: of nothing), and sweeps what killed processes left: their locks were taken over. */
void lease_end(const char *folder, int *fd);
