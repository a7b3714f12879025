/* Golden examples: requests with their expected answers, a JSON object a line. Here they are replayed over HTTP, at the canary or through
 * the front door, and the answers compared:
 *   {"rows": [...], "predictions": [...], "tolerance": 1e-4}            what the runner's POST /predict takes and gives
 *   {"path": "/v2/models/m/infer", "request": {...}, "answer": {...}}   what another server's POST does; members of its answer that are not named are free
 * Numbers may differ by the example's tolerance, absolute below 1 and relative above; whole
 * numbers, texts and nulls must be the same. */
#pragma once

#include "data/value.h"

#define GOLDEN_EXAMPLES_MAX 256
#define GOLDEN_BYTES_MAX ((size_t) 4 * 1024 * 1024)

struct golden_example {
	char *path, *body; /* of the request, owned */
	const struct value *expected;
	bool is_whole; /* of the answer; else of its predictions */
	double tolerance;
};
struct golden {
	size_t count; /* of the first GOLDEN_EXAMPLES_MAX lines */
	struct golden_example examples[GOLDEN_EXAMPLES_MAX];
	struct document *documents[GOLDEN_EXAMPLES_MAX];
};
int golden_read(const char *text, struct golden **out, struct err *err);
void golden_free(struct golden *golden);
CLEANUP_POINTER(golden, struct golden *, golden_free)
/* 0, or ERR_INVALID saying where the answer differs. */
int golden_compare(const struct golden_example *example, struct str answer, struct err *err);
