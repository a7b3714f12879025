/* Every operator the runner knows: the rows of ops.def as one const table, for model_load(). */
#pragma once

#include "runner/model/op.h"

extern const struct op_table ops_all;
