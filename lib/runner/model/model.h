/* A model that can be asked: loaded once (mmap, read-only, every size checked), shared by all workers; a run is one worker's memory.
 *
 * After load nothing on the request path calls malloc but the run's own arena, which is kept between requests. This header is all
 * that serve/ and check know of models; formats and operators are behind it. */
#pragma once

#include "data/digest.h"
#include "runner/tensor/tensor.h"

#define MODEL_PORTS_MAX 64

struct port { /* an input or output of the model */
	const char *name;
	enum dtype dtype;
	struct shape shape; /* dims[0] is -1 where the model takes batches */
	bool is_map_list;   /* an output that ZipMap made: one {label: probability} per row; dtype is the value's, `keys` the labels */
	struct tensor keys; /* int64 or string labels when is_map_list */
};

struct model;
struct op_table; /* ops/ops.h; handed in, so that model/ does not know ops/ */

/* path: a file, or a folder that holds exactly one model file. name: NULL for the file's own name without its ending. Refused models say
 * which node, operator, version and why (ERR_INVALID), with what would work in err->fix. */
int model_load(const char *path, const char *name, const struct op_table *ops, struct model **out, struct err *err);
/* The same from bytes in memory, which are borrowed until model_free(); external data is refused. For tests. */
int model_load_bytes(struct str bytes, const char *name, const struct op_table *ops, struct model **out, struct err *err);
void model_free(struct model *model);
const char *model_name(const struct model *model);
const char *model_format(const struct model *model); /* "onnx" */
int model_opset(const struct model *model);           /* of the default domain */
const struct digest *model_digest(const struct model *model); /* SHA-256 of the bytes that were loaded */
int64_t model_created_s(const struct model *model);   /* the file's mtime; 0 in a reproducible layer */
size_t model_inputs(const struct model *model, const struct port **ports);
size_t model_outputs(const struct model *model, const struct port **ports);

struct run; /* one worker's memory; not shared between threads */
struct run *run_new(const struct model *model);
void run_free(struct run *run);
/* Inputs in the model's order, one tensor each, already of the port's dtype; shapes are checked here (ERR_INVALID names the input, what it got and
 * what it takes). Outputs point into the run's memory until the next model_run() on it. `want`: bitmask of outputs wanted, ~0 for all. */
int model_run(const struct model *model, struct run *run, const struct tensor *inputs, uint64_t want, struct tensor *outputs, struct err *err);
/* The first output that holds a NaN or an infinity: its index, or -1. */
int outputs_not_finite(const struct tensor *outputs, size_t count, uint64_t want);
