/* What ai.onnx.ml's classifiers share: class labels, and the transform of scores into probabilities. */
#pragma once

#include "runner/model/op.h"

struct labels {
	bool is_text;
	size_t count;
	const struct str *texts;
	const int64_t *ints;
};
/* From two attributes, of which one is set; copied into the model's memory. Both missing: count 0. */
int labels_read(struct op_load *load, const char *ints_name, const char *texts_name, struct labels *labels, struct err *err);
enum dtype labels_dtype(const struct labels *labels);
/* Writes label `index` at `row` of an output of labels_dtype(). */
void labels_put(const struct labels *labels, size_t index, const struct tensor *output, int64_t row);

enum post { POST_NONE, POST_LOGISTIC, POST_SOFTMAX, POST_SOFTMAX_ZERO, POST_PROBIT };
int post_read(struct op_load *load, enum post *post, struct err *err);
void post_apply(enum post post, float *scores, size_t count);
float post_logistic(float x);
float post_probit(float x);
