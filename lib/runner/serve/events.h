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
/* At most EVENTS_PER_SECOND of each kind of event a second; the rest is counted. By kind, so that who may cause one (a stranger at the admin
 * listener) hides no other. `event` is a literal: at most EVENTS_KINDS_MAX of them are limited. */
#define EVENTS_PER_SECOND 20
#define EVENTS_KINDS_MAX 8
void events_write_limited(struct events *events, const char *event, const char *fields);
