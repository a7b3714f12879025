/* The library's debug log: a line per remote call and per decision, only when somebody asked (-v, MLCTL_TRACE=file). lib/ logs
 * nothing else and never prints. A NULL logger is silent. */
#pragma once

#include "base/clock.h"
#include "base/secret.h"

#include <stdio.h>

struct log {
	FILE *out; /* NULL: silent */
	const struct redactor *redact;
	const struct clock *clock;
	bool is_json; /* a line is {"event":"log",...}: it goes where events go */
};
void log_debug(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
