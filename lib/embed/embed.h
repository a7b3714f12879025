/* Bytes compiled into mlctl: the runner's static binary, and the templates. They live as long as the program. */
#pragma once

#include "base/str.h"

struct str embed_runner(void);
struct str embed_runner_digest(void); /* SHA-256 of it: 64 hex digits, counted when mlctl was built */
/* A file of templates/ by its path below it ("init/mlctl.yaml"); ptr is NULL when there is none. */
struct str embed_template(const char *path);
/* Each of them by number, in the order of their paths' bytes; NULL behind the last. */
const char *embed_template_at(size_t index, struct str *text);
