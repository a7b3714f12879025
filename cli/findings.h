/* What target->inspect found, on a screen. */
#pragma once

#include "command.h"

size_t findings_count(const struct value *findings, const char *state);
void findings_show(struct cli *cli, const struct value *findings);
