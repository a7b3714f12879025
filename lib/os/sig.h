/* SIGINT and SIGTERM as something to read instead of something that happens: blocked, and delivered through a signalfd that wakes the
 * network's step. SIGPIPE is ignored: a closed pipe is an error of the write. Called once, from main(), before any thread exists. */
#pragma once

#include "base/err.h"

/* *fd: a signalfd, non-blocking, closed on exec; the caller's. */
int sig_open(int *fd, struct err *err);
/* The number of the next signal that came, or 0. fd -1 is fine: 0. */
int sig_take(int fd);
/* In a child between fork and exec: nothing blocked, nothing ignored. Async-signal-safe. */
void sig_restore(void);
