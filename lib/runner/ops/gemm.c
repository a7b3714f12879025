#include "runner/ops/gemm.h"

#define COLUMNS_AT_ONCE 64 /* sums of a strip stay in registers or the first cache */

/* One strip of columns of one row; the inner loop runs along the row of b, so it vectorises. */
#define GEMM(name, type)                                                                                                                              \
	static void name##_strip(const type *restrict a, const type *restrict b, type *restrict out, int64_t inner, int64_t columns, int64_t width) {      \
		for (int64_t k = 0; k < inner; k++) {                                                                                              \
			type factor = a[k];                                                                                                        \
			const type *row = b + k * columns;                                                                                         \
			for (int64_t j = 0; j < width; j++)                                                                                        \
				out[j] += factor * row[j];                                                                                         \
		}                                                                                                                                  \
	}                                                                                                                                          \
	void name(const type *a, const type *b, type *out, int64_t rows, int64_t inner, int64_t columns) {                                          \
		for (int64_t from = 0; from < columns; from += COLUMNS_AT_ONCE) {                                                                  \
			int64_t width = columns - from < COLUMNS_AT_ONCE ? columns - from : COLUMNS_AT_ONCE;                                       \
			for (int64_t i = 0; i < rows; i++)                                                                                         \
				name##_strip(a + i * inner, b + from, out + i * columns + from, inner, columns, width);                            \
		}                                                                                                                                  \
	}

GEMM(gemm_float, float)
GEMM(gemm_double, double)
