/* The runner's /metrics as a sample. The names are those of lib/runner/serve/metrics.c. */
#pragma once

#include "target/target.h"

/* Fills everything but replica and at_ms; build_revision (may be NULL) gets the revision that the answer itself claims. ERR_INVALID when the text lacks
 * the counters or holds a number that is none: such a replica counts as missing. */
int prometheus_sample(struct str text, struct sample *out, char build_revision[REVISION_NAME_MAX], struct err *err);
