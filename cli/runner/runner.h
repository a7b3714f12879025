/* The runner's verbs. Each returns the exit code: 0, 1 failed, 2 usage, 4 model or golden example refused. */
#pragma once

#include <stdio.h>
#include "options.h"

int runner_serve(const struct options *options, const struct env *env, struct err *err);
int runner_check(const struct options *options, struct err *err);
int runner_examples(const struct options *options, struct err *err);
int runner_health(const struct options *options, const struct env *env, struct err *err);
int runner_copy(char *const *argv, struct err *err); /* [--versioned] FROM TO */
int runner_exit_code(const struct err *err);
