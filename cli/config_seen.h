/* What status says of the configuration: does mlctl.yaml agree with the release that serves, what runs with its record, and is a head there at all? Reads
 * only; what can't be seen is said, and is no error. */
#pragma once

#include "session.h"

struct config_seen {
	const char *state;	 /* in sync, differs, drift, unknown; NULL: no mlctl.yaml here, and nothing that could have drifted */
	char text[600], fix[300]; /* one line for people; without a head: what is missing */
	struct texts drift;	 /* what somebody has changed behind mlctl's back */
	bool is_previous_kept;	 /* false: a rollback needs the registry */
	bool is_head_lost;	 /* something of the service runs, and its head is gone */
};
void config_look(struct session *s, const struct release_head *head, struct config_seen *out);
void config_seen_clear(struct config_seen *seen);
