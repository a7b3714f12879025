/* The end of a log file, as lines. */
#pragma once

#include "os/fs.h"

/* From *offset, which moves to the end (-1, or beyond the end: the last 256 KiB). *text is owned. */
int tail_read(const char *path, int64_t *offset, char **text, size_t *len, struct err *err);
/* The last `lines` of it (0: all), each with the prefix. */
void tail_lines(struct str text, const char *prefix, int lines, struct texts *out);
