/* The self-test: the bundled runner loads the model and answers the golden examples, before anything leaves the machine. It runs from
 * memory (a memfd), in the project's folder, with an empty environment; what it said is kept under the manifest's digest, so an image is
 * tested once. */
#pragma once

#include "data/digest.h"
#include "data/value.h"
#include "os/fs.h"

#define SELFTEST_TIMEOUT_MS (10 * 60 * 1000)
#define SELFTEST_OUTPUT_MAX ((size_t) 1024 * 1024)
#define SELFTEST_KEPT_MAX 256 /* results in the cache */

struct selftest {
	const char *folder;	     /* the project's */
	const char *model, *golden;  /* relative to it; golden NULL: none */
	const char *name;	     /* the model's in the API */
	struct str runner;	     /* the program's bytes */
	const struct digest *digest; /* of the model file that is in the image */
	const struct digest *manifest;
	const struct env *env; /* XDG_CACHE_HOME */
};
/* The runner's own document ("mlctl-runner.check/1"). ERR_INVALID: model or example refused, with the runner's words; ERR_BUILD: it loaded
 * other bytes than the image holds, or could not run at all. */
int selftest_run(const struct selftest *test, struct document **out, bool *is_cached, struct err *err);
/* "opset 17, float32[?,30] -> int64[?], float32[?,2]", owned by the caller. */
char *selftest_signature(const struct value *check);
