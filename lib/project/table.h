/* The keys of mlctl.yaml: one line each says its kind, default, bounds and what it is for. struct settings is what they fill. */
#pragma once

#include "data/field.h"

extern const struct field_table table_environment; /* what may stand under an environment, and so at the top */
extern const struct field_table table_project;	   /* the same and `environments` */
