/* The keys of mlctl.yaml: one line each says its kind, default, bounds and what it is for. struct settings is what they fill. */
#pragma once

#include "data/field.h"

/* What may stand at the top and under each environment; `environments` itself is project.c's. */
extern const struct field_table table_settings;
