#include "runner/ops/ops.h"

#include "runner/ops/kernels.h"

#define ML "ai.onnx.ml"
#define MS "com.microsoft"
#define CORE ""
#define OP(domain, name, since, inputs_min, inputs_max, outputs_max, infer, kernel)                                                                   \
	{domain, #name, since, inputs_min, inputs_max, outputs_max, infer, kernel},
static const struct op ops[] = {
#include "runner/ops/ops.def"
};

/* The newest version of each operator set whose changes we have read. */
static const struct op_domain domains[] = {{CORE, 24}, {ML, 5}, {MS, 1}};

const struct op_table ops_all = {
	.ops = ops,
	.count = sizeof(ops) / sizeof(ops[0]),
	.domains = domains,
	.domains_count = sizeof(domains) / sizeof(domains[0]),
};
