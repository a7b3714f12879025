/* The functions that ops.def's rows name, one infer_ and one run_ each; see model/op.h for what they promise. Which file holds what is said per
 * group. Shapes and values follow the ONNX operator specifications, and ONNX Runtime where those leave room. */
#pragma once

#include "runner/model/op.h"

#define OP(domain, name, since, inputs_min, inputs_max, outputs_max, infer, kernel)                                                                   \
	int infer(struct op_load *load, struct err *err);                                                                                          \
	int kernel(const struct op_call *call, struct err *err);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "runner/ops/ops.def"
#pragma GCC diagnostic pop
#undef OP
