/* Numbers from text, strictly: the whole text, no space, no sign unless allowed, no locale. Each returns 0, or -1 without a
 * message: the caller knows the name of the thing. Checked arithmetic for factors that came from outside. */
#pragma once

#include "base/str.h"

int num_int(struct str text, int64_t min, int64_t max, int64_t *out);
int num_double(struct str text, double *out); /* JSON's number grammar; finite only */
/* "500ms" "2s" "5m" "1h" "7d" -> milliseconds; a bare number is refused. */
int num_duration_ms(struct str text, int64_t *out);
/* "10%" or "0.5%" -> share 0..1. */
int num_share(struct str text, double *out);
/* Kubernetes quantities: "500m" "2" (cpu -> millicores) and "256Mi" "1G" "1Gi" "1000" (bytes). */
int num_millicores(struct str text, int64_t *out);
int num_bytes(struct str text, int64_t *out);

#define num_add(a, b, out) __builtin_add_overflow((a), (b), (out)) /* true: overflow */
#define num_mul(a, b, out) __builtin_mul_overflow((a), (b), (out))

/* "8.4 MB", "612 kB": for people. "1.2 s", "41 ms", "3 h". Buffers of NUM_HUMAN_MAX. */
#define NUM_HUMAN_MAX 32
const char *num_human_bytes(int64_t bytes, char out[NUM_HUMAN_MAX]);
const char *num_human_ms(int64_t ms, char out[NUM_HUMAN_MAX]);
