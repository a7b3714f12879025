/* What an operator is: one row of ops.def, with two functions. `infer` runs once per node at load: it reads the attributes, refuses what is
 * not supported, says the dtypes of the outputs and leaves a state in the model's memory. `kernel` runs per request: it checks the shapes it is
 * given, takes its outputs from the run's scratch memory and computes. State is shared by all workers and never written by a kernel. */
#pragma once

#include "runner/model/graph.h"
#include "runner/tensor/scratch.h"

struct op_input {
	enum dtype dtype; /* DTYPE_NONE: left out */
	const struct tensor *constant; /* NULL: known only when it runs */
};

struct op_load {
	struct node *node;
	int opset; /* of the node's domain */
	const struct op_input *inputs;
	struct arena *memory; /* the model's */
	/* The results. */
	const void *state;
	enum dtype dtypes[GRAPH_OUTPUTS_MAX];
	bool is_map_list; /* ZipMap: the output is a list of maps with these keys */
	struct tensor keys;
	const struct tensor *constant; /* Constant: the output is this, and nothing needs to run */
};

struct op_call {
	const void *state;
	size_t inputs_count, outputs_count;
	const struct tensor *const *inputs; /* NULL: left out */
	struct tensor *outputs;
	struct scratch *memory;
	bool is_trial; /* at load, on made-up values: do not refuse values, only shapes */
};

typedef int op_infer(struct op_load *load, struct err *err);
typedef int op_kernel(const struct op_call *call, struct err *err);

struct op {
	const char *domain, *name;
	int since; /* the row serves this version of the operator set and later ones, up to the next row of the same name */
	int inputs_min, inputs_max, outputs_max;
	op_infer *infer;
	op_kernel *kernel;
};

struct op_domain { /* how far we know a domain: later versions may mean other things by the same names */
	const char *name;
	int version_max;
};

struct op_table {
	const struct op *ops;
	size_t count;
	const struct op_domain *domains;
	size_t domains_count;
};

/* Attributes, by name. opt_: the fallback when it is not there. Each fails when it has another type. Lists are lent by the file's graph: copy
 * what a state keeps with op_keep(). Count 0 and NULL when a list is not there. */
int op_opt_int(struct op_load *load, const char *name, int64_t fallback, int64_t *out, struct err *err);
int op_opt_float(struct op_load *load, const char *name, float fallback, float *out, struct err *err);
int op_opt_text(struct op_load *load, const char *name, struct str fallback, struct str *out, struct err *err);
int op_opt_ints(struct op_load *load, const char *name, const int64_t **out, size_t *count, struct err *err);
int op_opt_floats(struct op_load *load, const char *name, const float **out, size_t *count, struct err *err);
int op_opt_texts(struct op_load *load, const char *name, const struct str **out, size_t *count, struct err *err);
int op_opt_tensor(struct op_load *load, const char *name, const struct tensor **out, struct err *err); /* NULL when not there */
bool op_has(const struct op_load *load, const char *name);
void op_ignore(struct op_load *load, const char *name); /* it changes nothing that we compute */
/* One of a closed list of words; *out is its index. */
int op_opt_word(struct op_load *load, const char *name, const char *const *words, size_t count, size_t fallback, size_t *out, struct err *err);

/* Zeroed memory of the model for a state; ERR_LIMIT when the load's limit is passed. */
void *op_allocate(struct op_load *load, size_t count, size_t size, struct err *err);
int op_keep(struct op_load *load, const void *from, size_t count, size_t size, void *out_pointer, struct err *err);
int op_keep_texts(struct op_load *load, const struct str *from, size_t count, const struct str **out, struct err *err); /* with their bytes */
/* ERR_INVALID when input `index` has none of the dtypes in the mask (bits 1 << DTYPE_x). */
int op_need_dtype(const struct op_load *load, size_t index, unsigned mask, struct err *err);
#define OP_FLOATS (1U << DTYPE_FLOAT | 1U << DTYPE_DOUBLE)
#define OP_INTS (1U << DTYPE_INT64 | 1U << DTYPE_INT32)
#define OP_NUMBERS (OP_FLOATS | OP_INTS)
#define OP_SMALL (1U << DTYPE_INT8 | 1U << DTYPE_UINT8)
#define OP_TEXT (1U << DTYPE_STRING)
#define OP_BOOL (1U << DTYPE_BOOL)
#define OP_ANY (OP_NUMBERS | OP_SMALL | OP_TEXT | OP_BOOL)

/* An output of this dtype and shape, memory from the run's scratch. */
int op_output(const struct op_call *call, size_t index, enum dtype dtype, const struct shape *shape, struct err *err);
void *op_scratch(const struct op_call *call, int64_t count, size_t size, struct err *err);
/* An output that is an input's data under another shape. */
void op_alias(const struct op_call *call, size_t index, const struct tensor *from, const struct shape *shape);
/* -axis counts from the end; ERR_INVALID outside 0..rank-1. */
int op_axis(int64_t axis, int rank, int *out, struct err *err);
const char *op_shape_text(const struct shape *shape, char out[160]); /* "[32, 4]" */
/* Rows and columns of what ai.onnx.ml calls [N, C] or [C]; ERR_INVALID for other ranks. */
int op_rows(const struct tensor *x, int64_t *rows, int64_t *columns, struct err *err);
/* Any number as floats: the data itself when it is float32, else a copy in scratch. */
const float *op_as_floats(const struct op_call *call, const struct tensor *x, struct err *err);
