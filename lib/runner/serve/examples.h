/* Golden examples to start from, for a model that came without any: plain made-up rows of its inputs, and its own answers to them.
 *
 * They prove that the same model answers the same on another machine and in another release; they say nothing about whether the model is right.
 * The same model always gives the same text. Rows that the model refuses, or answers with a NaN or an infinity, are left out. */
#pragma once

#include "runner/model/model.h"

#define EXAMPLES_COUNT_MAX 1000
#define EXAMPLES_BYTES_MAX ((size_t) 1000 * 1000)

/* Appends at most `count` lines of golden.jsonl, fewer when the model answers fewer or when the text would pass EXAMPLES_BYTES_MAX. ERR_INVALID
 * when not one row was answered, with why. */
int examples_write(const struct model *model, int64_t count, struct buf *out, struct err *err);
