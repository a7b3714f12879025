/* Bytes compiled into mlctl: the runner's static binary, and later the templates. They live as long as the program. */
#pragma once

#include "base/str.h"

struct str embed_runner(void);
