/* Numbers in JSON answers: the shortest text that reads back as the same float or double. */
#pragma once

#include "base/str.h"

void number_float(struct buf *out, float value);   /* finite */
void number_double(struct buf *out, double value); /* finite */
void number_int(struct buf *out, int64_t value);
