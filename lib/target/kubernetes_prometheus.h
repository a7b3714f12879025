/* A Prometheus' answers to two instant queries, as samples: what the replicas counted, and when they were last read. Pure.
 *
 * A series belongs to a pod by its label `pod`, else by the address in `instance`. Where a pod is scraped by more than one job, the first one's series
 * count. What is no counter, or incomplete, makes no sample: missing numbers never pass. */
#pragma once

#include "target/target.h"

#define PROMETHEUS_SERIES_MAX 20000

struct prometheus_pod {
	struct str name, ip;
	const char *revision; /* that its series must say */
	int64_t start_s;      /* of its container: a new one counts from zero */
	struct sample sample; /* filled; sample.bucket_count 0: nothing usable was there */
	double read_s;	      /* when Prometheus last read it; 0: not known */
	double now_s;	      /* by Prometheus' clock, when it answered */
	char source[256];     /* the job that counts */
};

/* The queries, for the counters of a service and for when they were read. */
void prometheus_query(const char *service, const char *environment, bool is_time, struct buf *out);
/* counters, times: the bodies. ERR_INVALID: not a successful instant vector; nothing is filled then. */
int prometheus_vectors(struct str counters, struct str times, struct prometheus_pod *pods, size_t count, struct err *err);
