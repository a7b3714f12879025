/* Why what is not ready is not: what diagnose.h wants to see, got from the cluster. Of target "kubernetes", and its own.
 *
 * Nothing of it is asked for while all is well. What is then: the events of those objects alone that are in trouble, each followed by a watch (a
 * namespace may hold thousands); nodes, names and whoever is leaving at most each few seconds; a log once for each end of a container. What we may
 * not see is left out, and less is said. */
#pragma once

#include "kube/diagnose.h"
#include "kube/mirror.h"
#include "target/target.h"

struct causes;
struct cause_options {
	struct kube *kube;
	const struct clock *clock;
	const char *labels;        /* of all that is the service's: its ReplicaSets */
	const char *settings_file; /* may be NULL */
	bool (*settings_where)(void *self, const char *path, char out[TARGET_WHERE_MAX]); /* NULL: which line set a value is not known */
	void *where_self;
};
/* Opens nothing. The texts are lent for its life. */
struct causes *causes_new(const struct cause_options *options);
void causes_close(struct causes *causes); /* NULL is fine; before the client goes */

/* `pods`: the service's own, as an array, or NULL; `memory_needed_bytes`: as build measured, or 0. */
void cause_of_pod(struct causes *causes, const struct value *pods, int64_t memory_needed_bytes, const struct value *pod, struct diagnosis *out);
void cause_of_deployment(struct causes *causes, const struct value *pods, int64_t memory_needed_bytes, const struct value *deployment,
	struct diagnosis *out);
/* How a container of a pod that is ready ended before, however long ago; FINE when none did. Asks nobody. */
void cause_of_restarts(const struct causes *causes, const struct value *pod, struct diagnosis *out);
/* Grows with what is followed: nothing new is to be learned before it does, or a second has passed. */
uint64_t causes_generation(const struct causes *causes);
