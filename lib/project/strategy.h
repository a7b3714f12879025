/* How to serve, from two questions: how much traffic, how complex a model. One constant table of four rows. */
#pragma once

#include "base/str.h"

struct strategy {
	const char *traffic, *model; /* "low" or "high", "simple" or "complex" */
	const char *target;	     /* an entry of the target table */
	const char *payload;	     /* what answers requests: "runner", or the server that the runner guards */
	const char *sentence;	     /* what that means, without its full stop */
	bool is_built;		     /* false: mlctl.yaml refuses that target so far */
};

/* The row for two words; NULL is "low" and "simple". ERR_USAGE names the words that would be right. The row lives for ever. */
int strategy_pick(const char *traffic, const char *model, const struct strategy **out, struct err *err);
/* Row 0 to STRATEGY_COUNT - 1, for help and tables. */
#define STRATEGY_COUNT 4
const struct strategy *strategy_row(size_t index);
