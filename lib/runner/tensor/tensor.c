#include "runner/tensor/tensor.h"

#include "base/num.h"

static const struct {
	const char *name, *oip;
	size_t size;
} dtypes[] = {
	[DTYPE_NONE] = {"none", "NONE", 0},
	[DTYPE_FLOAT] = {"float32", "FP32", 4},
	[DTYPE_DOUBLE] = {"float64", "FP64", 8},
	[DTYPE_INT64] = {"int64", "INT64", 8},
	[DTYPE_INT32] = {"int32", "INT32", 4},
	[DTYPE_INT8] = {"int8", "INT8", 1},
	[DTYPE_UINT8] = {"uint8", "UINT8", 1},
	[DTYPE_BOOL] = {"bool", "BOOL", 1},
	[DTYPE_STRING] = {"string", "BYTES", sizeof(struct str)},
};
#define DTYPES (sizeof(dtypes) / sizeof(dtypes[0]))

size_t dtype_size(enum dtype dtype) {
	return (size_t) dtype < DTYPES ? dtypes[dtype].size : 0;
}

const char *dtype_name(enum dtype dtype) {
	return dtypes[(size_t) dtype < DTYPES ? dtype : DTYPE_NONE].name;
}

const char *dtype_oip_name(enum dtype dtype) {
	return dtypes[(size_t) dtype < DTYPES ? dtype : DTYPE_NONE].oip;
}

enum dtype dtype_from_oip(struct str name) {
	for (size_t i = 1; i < DTYPES; i++)
		if (str_is(name, dtypes[i].oip))
			return (enum dtype) i;
	return DTYPE_NONE;
}

/* A dimension of 0 does not excuse the others: parts of a shape are multiplied too. */
int64_t shape_count(const struct shape *shape) {
	int64_t count = 1;
	bool is_empty = false;
	for (int i = 0; i < shape->rank; i++) {
		is_empty = is_empty || shape->dims[i] == 0;
		if (shape->dims[i] < 0 || (shape->dims[i] && num_mul(count, shape->dims[i], &count)) || count > TENSOR_BYTES_MAX)
			return -1;
	}
	return is_empty ? 0 : count;
}
