/* Golden examples: requests with the answers that the model gave when it was trained, replayed before it may serve. Each line of the file is
 * {"rows": [...], "predictions": [...], "tolerance": 1e-4}: rows and predictions as POST /predict has them, tolerance may be left out.
 *
 * An output that an expected prediction does not name is not compared. Labels and strings must be equal, numbers within the tolerance,
 * absolute or relative. A line that the model refuses counts as failed; a file that is not readable as such is an error. */
#pragma once

#include "runner/model/model.h"

#define GOLDEN_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define GOLDEN_LINES_MAX 10000
#define GOLDEN_TOLERANCE 1e-4
#define GOLDEN_TEXT_MAX 256

struct golden_mismatch { /* the first one; line 0: there was none */
	int64_t line, row;              /* from 1 */
	char output[GOLDEN_TEXT_MAX];   /* "probability[2]"; empty when the model refused the line */
	char got[GOLDEN_TEXT_MAX];      /* the value, or why it was refused */
	char expected[GOLDEN_TEXT_MAX];
};

struct golden_result {
	int64_t total, passed; /* lines */
	struct golden_mismatch first;
	double difference_max; /* of all numbers that were compared */
	double p50_us, p99_us; /* of one line: decode, run, encode */
};

/* Fails (ERR_NOT_FOUND, ERR_INVALID with line, ERR_LIMIT) only when the file cannot be read as golden examples; mismatches are in *out. */
int golden_check(const struct model *model, const char *path, struct golden_result *out, struct err *err);
