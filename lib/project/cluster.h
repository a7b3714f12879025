/* What mlctl.yaml must say together for target kubernetes. Only project.c asks. */
#pragma once

#include "project/project.h"

/* ERR_CONFIG with the place of the key. */
int cluster_check(const struct settings *settings, struct err *err);
