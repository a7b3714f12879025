/* What the replicas' own counters say, added up, since they started. Without an answer nothing is added. */
#pragma once

#include "session.h"

struct traffic_seen {
	double requests, errors, p50_s, p99_s; /* percentiles are a bucket's edge; NAN: not known */
};
void traffic_look(struct session *session, const struct revision *revision, struct traffic_seen *seen);
