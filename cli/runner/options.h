/* The runner's flags, and the environment variables that may stand in for them (an image's configuration sets those). */
#pragma once

#include <stdio.h>
#include "os/fs.h"
#include "runner/http/server.h"

#include <stdio.h>

struct options {
	const char *model, *name, *listen, *admin, *admin_key_file, *service, *environment, *release, *revision, *image, *model_created, *golden, *url, *upstream, *upstream_ready;
	int64_t listen_fd; /* -1: none */
	struct http_drain drain;
	int64_t count; /* of examples */
	struct http_limits limits; /* threads 0: as many as the container's CPUs */
	bool has_access_log, is_json, is_help;
};

enum { FOR_SERVE = 1, FOR_CHECK = 2, FOR_HEALTH = 4, FOR_EXAMPLES = 8 };
/* argv behind the verb. ERR_USAGE names the flag, the value and what would be right. */
int options_read(struct options *options, int verb, char *const *argv, const struct env *env, struct err *err);
void options_help(FILE *out, int verb);
