/* The last deploy, when it failed: what the record of it says, for status. Reads the head and what the target keeps; needs no registry. */
#pragma once

#include "session.h"

struct failure {
	int64_t n; /* 0: the last deploy did not fail, or nothing is known of it */
	char state[24], cause[512], word[40], fix[512];
};
void failure_read(struct session *s, const struct release_head *head, struct failure *out);
void failure_show(struct cli *cli, const struct failure *failure);
void failure_json(struct document *document, struct value *root, const struct failure *failure);
/* The replicas that are not well, or were not lately: who, how, why and what to do. */
void failure_json_replicas(struct document *document, struct value *root, const struct observed *seen);
