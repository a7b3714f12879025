/* The image's layers as plans: which entries stand where in each tar stream, and how to read any stretch of it. No content is copied or
 * kept; a layer is hashed and sent by the same read(). Same files, same bytes: owner, times, modes and order of the folder never show. */
#pragma once

#include "build/cache.h"
#include "build/context.h"
#include "oci/image.h"

#define PLAN_LARGE_BYTES ((int64_t) 4 * 1024 * 1024) /* from here on a file has a layer of its own */
#define PLAN_LARGE_MAX 64			     /* the largest so many; the rest shares */
/* The small files fill one layer, or up to so many once each would have PLAN_LARGE_BYTES: these are hashed and sent side by side, and when
 * one file changed, one of them is sent again. */
#define PLAN_SHARED_MAX 4
#define PLAN_LAYERS_MAX (1 + PLAN_LARGE_MAX + PLAN_SHARED_MAX)
#define PLAN_THREADS 2

struct layer_plan; /* one tar stream */
struct plan;

struct plan_options {
	const struct context *context; /* lent for the plan's life; NULL: only the runner */
	struct str runner;	       /* lent */
	struct str runner_digest;      /* its SHA-256, when it is known already: its layer's is then looked for in the cache */
	struct cache *cache;
	const struct clock *clock;
	bool (*is_interrupted)(void *self); /* from every thread; NULL: never */
	void (*progress)(
		void *self, const char *file, int64_t done_bytes, int64_t bytes); /* on the caller's thread; NULL: nobody watches */
	void *self;
};
/* Lays out every layer and hashes those that the cache does not know, several at once. */
int plan_new(const struct plan_options *options, struct plan **out, struct err *err);
void plan_free(struct plan *plan);
CLEANUP_POINTER(plan, struct plan *, plan_free)
#define AUTO_PLAN __attribute__((cleanup(plan_at_exit)))

size_t plan_layers(const struct plan *plan);
/* The blob of a layer: its read() and texts live as long as the plan. One reader of a layer at a time; different layers at once. */
struct blob plan_blob(const struct plan *plan, size_t layer);
const char *plan_history(const struct plan *plan, size_t layer); /* "runner", "model/model.onnx", "12 files" */
const struct digest *plan_model(const struct plan *plan);	 /* SHA-256 of the model file itself */
int64_t plan_read_bytes(const struct plan *plan);		 /* what had to be read to hash */
