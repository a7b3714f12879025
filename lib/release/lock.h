/* The head read and written at the target, and the lease that says who may write. Internal to release/.
 *
 * Expiry is judged by a renew counter that stood still for the lease's time on the observer's own monotonic clock; wall clocks are never
 * compared. The fence is the generation at which the lock was taken. */
#pragma once

#include "release/run.h"

/* Reads the head into run->head. Tried again while it is worth it. */
int head_load(struct run *run, struct err *err);
/* Writes run->head, as the next generation, by compare-and-swap. While the lock is held: what others may change meanwhile (frozen) is taken
 * over and the write goes on; ERR_LOCKED when the lock is somebody else's now. Without it: ERR_CONFLICT when another wrote. A lost
 * answer is resolved by reading. */
int head_save(struct run *run, struct err *err);

struct lock_wish {
	const char *verb;   /* "deploy" "rollback" "destroy" */
	int64_t to;	    /* a rollback's goal: a second rollback there waits and is the same one */
	int64_t wait_ms;    /* 0: give up at the first renewal seen */
	bool is_preempting; /* takes the lock from a deploy whose candidate does not serve yet */
};
int lock_take(struct run *run, const struct lock_wish *wish, struct err *err);
/* Renews when it is time; called before each effect and while waiting. ERR_LOCKED: lost. Any other error: not renewed
 * for too long, so nothing may be written until a later call succeeds. */
int lock_keep(struct run *run, struct err *err);
/* Frees it with one more write of the head. */
int lock_free(struct run *run, struct err *err);
/* A change was refused for its fence (ERR_LOCKED), but the head says that the lock is ours: the target remembers a fence of a service that
 * was destroyed since. Takes a higher one; true: try again. False: the lock is really lost, and *err says so. */
bool lock_raise(struct run *run, struct err *err);
