#include "runner/ops/labels.h"

#include <float.h>
#include <math.h>

int labels_read(struct op_load *load, const char *ints_name, const char *texts_name, struct labels *labels, struct err *err) {
	const int64_t *ints;
	const struct str *texts;
	size_t ints_count, texts_count;
	if (op_opt_ints(load, ints_name, &ints, &ints_count, err) != 0 || op_opt_texts(load, texts_name, &texts, &texts_count, err) != 0)
		return -1;
	*labels = (struct labels) {.is_text = texts_count > 0, .count = texts_count ? texts_count : ints_count};
	if (texts_count)
		return op_keep_texts(load, texts, texts_count, &labels->texts, err);
	return op_keep(load, ints, ints_count, sizeof(*ints), &labels->ints, err);
}

enum dtype labels_dtype(const struct labels *labels) {
	return labels->is_text ? DTYPE_STRING : DTYPE_INT64;
}

void labels_put(const struct labels *labels, size_t index, const struct tensor *output, int64_t row) {
	if (labels->is_text)
		((struct str *) output->data)[row] = labels->texts[index];
	else
		((int64_t *) output->data)[row] = labels->ints[index];
}

int post_read(struct op_load *load, enum post *post, struct err *err) {
	static const char *const words[] = {"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"};
	size_t word;
	if (op_opt_word(load, "post_transform", words, 5, 0, &word, err) != 0)
		return -1;
	*post = (enum post) word;
	return 0;
}

/* By the size of x, so that neither end overflows or loses its small probability. */
float post_logistic(float x) {
	float v = 1.0F / (1.0F + expf(-fabsf(x)));
	return x < 0 ? 1.0F - v : v;
}

/* sqrt(2) * erfinv(2x - 1), with Winitzki's approximation of erfinv and in the order of ONNX Runtime's steps: near 0.5 they cancel out, and
 * what is left depends on the rounding. */
float post_probit(float x) {
	const float a = 0.147F, pi = 3.14159F;
	float y = 2 * x - 1;
	float sign = y < 0 ? -1.0F : 1.0F;
	float log_term = logf((1 - y) * (1 + y));
	float half = 2 / (pi * a) + 0.5F * log_term, whole = 1 / a * log_term;
	return 1.41421356F * (sign * sqrtf(-half + sqrtf(half * half - whole)));
}

static float largest(const float *scores, size_t count) {
	float max = -FLT_MAX;
	for (size_t i = 0; i < count; i++)
		max = scores[i] > max ? scores[i] : max;
	return max;
}

/* SOFTMAX_ZERO leaves scores of zero at (nearly) zero instead of e^0. */
static void softmax(float *scores, size_t count, bool is_zero_kept) {
	float max = largest(scores, count), sum = 0, zero = expf(-max);
	for (size_t i = 0; i < count; i++) {
		if (is_zero_kept && fabsf(scores[i]) <= 0.0000001F) {
			scores[i] *= zero;
			continue;
		}
		scores[i] = expf(scores[i] - max);
		sum += scores[i];
	}
	for (size_t i = 0; i < count; i++)
		scores[i] /= sum;
}

void post_apply(enum post post, float *scores, size_t count) {
	switch (post) {
	case POST_NONE: return;
	case POST_SOFTMAX:
	case POST_SOFTMAX_ZERO: softmax(scores, count, post == POST_SOFTMAX_ZERO); return;
	case POST_LOGISTIC:
	case POST_PROBIT:
		for (size_t i = 0; i < count; i++)
			scores[i] = post == POST_LOGISTIC ? post_logistic(scores[i]) : post_probit(scores[i]);
		return;
	}
}
