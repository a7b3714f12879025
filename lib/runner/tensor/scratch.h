/* A worker's working memory: bumped during one run, rewound before the next, kept in between. It grows by adding blocks; a rewind
 * makes one block of their sum, so that a worker soon runs without touching malloc at all. What it hands out is not zeroed.
 *
 * bytes_max bounds one run; memory beyond SCRATCH_KEEP_BYTES is given back at the rewind, so one huge batch is not kept for ever. */
#pragma once

#include "base/str.h"

#define SCRATCH_KEEP_BYTES ((size_t) 64 * 1024 * 1024)

struct scratch_block;
struct scratch {
	struct scratch_block *blocks; /* the newest first; only it has room */
	size_t used_bytes, bytes_max;
};
/* 16-byte aligned, never NULL for 0; NULL when bytes_max would be passed or the system has no more. */
void *scratch_alloc(struct scratch *scratch, size_t size);
void *scratch_array(struct scratch *scratch, int64_t count, size_t size); /* checked multiplication */
void scratch_rewind(struct scratch *scratch);
void scratch_clear(struct scratch *scratch);
