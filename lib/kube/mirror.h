/* A mirror: the objects of one kind that match a selection, read once by a list and kept true by a watch from the list's resourceVersion.
 * It moves only inside http_step(), whoever steps: waiting for anything keeps every mirror fresh. A watch that ends is opened again from the
 * last resourceVersion; 410, as a status or as an ERROR event inside a 200 stream, lists again; a server that is away is tried again with
 * back-off, and the mirror says that it is stale. No sendInitialEvents: it breaks on etcd before 3.5. */
#pragma once

#include "kube/client.h"

#define MIRROR_OBJECTS_MAX 5000

struct mirror;
/* Starts; the list is not there yet. Never fails for the network: that is what mirror_check() tells. */
struct mirror *mirror_open(struct kube *kube, const struct kube_selection *selection);
void mirror_close(struct mirror *mirror); /* NULL is fine; cancels what is under way */

/* Steps until the first list is in, for at most timeout_ms. 0: the mirror holds what was true at some moment since it was opened. Else the error
 * that the server gave, or ERR_TIMEOUT. Once in, it returns 0 at once, and the error of the last attempt when the mirror has been stale for longer
 * than stale_ms_max (0: not asked). */
int mirror_await(struct mirror *mirror, int64_t timeout_ms, int64_t stale_ms_max, struct err *err);
/* For how long it has not been kept true; 0: it is. */
int64_t mirror_stale_ms(const struct mirror *mirror);
/* Grows with each change that arrived; compare to know whether looking again is worth it. */
uint64_t mirror_generation(const struct mirror *mirror);
/* The objects in order of name. Lent until the next http_step(). */
size_t mirror_count(const struct mirror *mirror);
const struct value *mirror_at(const struct mirror *mirror, size_t index);
const struct value *mirror_find(const struct mirror *mirror, const char *name); /* NULL: not there */
