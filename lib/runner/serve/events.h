/* The runner's log: one JSON object a line on stdout, for whoever collects it. A line is written with one call and dropped when the
 * reader does not keep up, so that a full pipe never stops an answer; what was dropped or held back is counted in the next line. */
#pragma once

#include "base/clock.h"
#include "base/str.h"

struct events;
struct events *events_new(int fd, const struct clock *clock);
void events_free(struct events *events);

/* `fields`: further members, as JSON without braces ("\"status\":500,..."), or NULL. */
void events_write(struct events *events, const char *event, const char *fields);
/* At most EVENTS_PER_SECOND of these a second; the rest is counted. */
#define EVENTS_PER_SECOND 20
void events_write_limited(struct events *events, const char *event, const char *fields);
