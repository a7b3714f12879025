/* Programs of others that hand out credentials (docker-credential-*, a kubeconfig's exec plugins): they run only when the person allowed them by their
 * absolute path in MLCTL_CREDENTIAL_HELPERS (colon-separated), without a shell, with a deadline, and see only what they need of the environment. */
#pragma once

#include "os/proc.h"

#define HELPER_ENV_MAX 96
#define HELPER_TIMEOUT_MS 30000

/* The allowed path, owned by the caller; NULL: none. A name without a slash is the last part of an allowed path; with one it must be one. */
char *helper_path(const struct env *env, struct str name);
/* What a helper may know: where its store is, and the cloud it asks. Fills `out`, NULL-terminated, and returns how many. */
size_t helper_env(const struct env *env, const char *out[HELPER_ENV_MAX + 1]);
