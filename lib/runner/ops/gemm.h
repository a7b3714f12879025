/* Matrix products in plain loops the compiler can vectorise; row-major. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* out[rows][columns] += a[rows][inner] * b[inner][columns]; the caller fills `out` first. */
void gemm_float(const float *a, const float *b, float *out, int64_t rows, int64_t inner, int64_t columns);
void gemm_double(const double *a, const double *b, double *out, int64_t rows, int64_t inner, int64_t columns);
