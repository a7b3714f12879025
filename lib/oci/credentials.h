/* Who we are at a registry: environment (MLCTL_REGISTRY_USERNAME/_PASSWORD, scoped by MLCTL_REGISTRY_HOST when set), containers' auth.json
 * (REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json), Docker's config.json ($DOCKER_CONFIG): auths, identitytoken, credHelpers and
 * credsStore - helpers only when allow-listed by absolute path in MLCTL_CREDENTIAL_HELPERS (colon-separated). The longest matching key
 * wins. */
#pragma once

#include "base/secret.h"
#include "os/fs.h"

struct credentials {
	char *username;		/* owned; NULL: anonymous */
	struct secret password; /* or identity token */
	bool is_identity_token; /* password is an OAuth2 refresh token */
	char *source;		/* owned: "/home/x/.docker/config.json", for messages */
};
void credentials_clear(struct credentials *credentials);
int credentials_find(
	const struct env *env, const char *host, const char *repository, struct redactor *redact, struct credentials *out, struct err *err);
/* login and logout: rewrites config.json atomically, 0600, keeping what else is in it. */
int credentials_save(
	const struct env *env, const char *host, const char *username, const struct secret *password, char **file, struct err *err);
int credentials_remove(const struct env *env, const char *host, bool *was_there, char **file, struct err *err);
