/* What a command would do, as data: pure functions of the head, of what is seen at the target, and of what is asked for. Decided before the
 * lock, and again under it. */
#pragma once

#include "release/head.h"

/* Is `revision` all there: every replica ready and answering with its digest, all of the traffic? */
bool plan_is_serving(const struct observed *observed, const struct revision *revision);
/* The same, whatever its traffic. */
bool plan_is_whole(const struct observed *observed, const struct revision *revision);
/* drift: what somebody has changed of the good release's objects; "": nothing. */
void plan_deploy(const struct head *head, const struct observed *live, const char *drift, const struct deploy_request *request,
	struct release_plan *out);
/* What a canary's verdict speaks of, and what is refused for it: the image; where another answers (objects.answers), both together. */
void plan_judged(const struct revision *revision, const struct value *objects, struct digest *out);
/* Which release a rollback goes to: its number, 0 when there is none (plan->text says why). */
void plan_rollback(const struct head *head, const struct rollback_request *request, struct release_plan *out);
