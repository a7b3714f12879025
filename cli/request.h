/* What a deploy would ask the release engine for, made from the project's files: by deploy to do it, by plan and diff to look at it.
 * Nothing is changed before request_push(). */
#pragma once

#include "session.h"

struct request_options {
	const char *image; /* REF@sha256:... of another job; NULL: built here */
	bool is_untested;
};

struct request {
	struct deploy_request deploy; /* what it points to is owned below, and by the session */
	struct build *build;	      /* NULL with --image */
	struct document *objects, *facts;
	char *golden;
};
/* Builds, or takes the image that was named; reads the golden examples; renders. The session is open with NEED_PROJECT, NEED_STORE and
 * NEED_TARGET. */
int request_make(struct session *session, const struct request_options *options, struct request *out, struct err *err);
/* What was built goes to where the target finds it. */
int request_push(struct session *session, const struct request *request, struct err *err);
void request_clear(struct request *request);
#define AUTO_REQUEST __attribute__((cleanup(request_clear)))
