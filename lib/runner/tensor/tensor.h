/* Tensors as the request path sees them: dtype, shape, bytes. Sizes are checked at 64 bits when they are made, never later. */
#pragma once

#include "base/str.h"

#define TENSOR_RANK_MAX 8
#define TENSOR_BYTES_MAX ((int64_t) 1 << 31)

enum dtype { DTYPE_NONE, DTYPE_FLOAT, DTYPE_DOUBLE, DTYPE_INT64, DTYPE_INT32, DTYPE_INT8, DTYPE_UINT8, DTYPE_BOOL, DTYPE_STRING };
size_t dtype_size(enum dtype dtype);         /* DTYPE_STRING: sizeof(struct str) */
const char *dtype_name(enum dtype dtype);    /* "float32": for people, as in build's summary */
const char *dtype_oip_name(enum dtype dtype); /* "FP32", "INT64", "BYTES": Open Inference Protocol v2 */
enum dtype dtype_from_oip(struct str name);

struct shape {
	int rank;
	int64_t dims[TENSOR_RANK_MAX]; /* -1: any (only in signatures, never in a tensor with data) */
};
/* Elements, or -1 when a dim is negative or the product passes TENSOR_BYTES_MAX. */
int64_t shape_count(const struct shape *shape);

struct tensor {
	enum dtype dtype;
	struct shape shape;
	void *data; /* row-major; DTYPE_STRING: struct str array whose bytes live as long as the run; lent, never freed by the tensor */
};
