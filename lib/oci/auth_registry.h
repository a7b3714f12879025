/* A registry's challenge answered (distribution specification, "token authentication"; Docker's OAuth2 variant for identity tokens):
 * basic, bearer, or nothing where none is asked. Implements net/auth.h.
 *
 * Credentials are looked up at the first challenge and go to two places only: the registry's own origin, and a token realm that
 * auth_registry_may_ask() allows. Tokens are cached per scope, renewed shortly before they expire and after a 401. */
#pragma once

#include "net/auth.h"
#include "os/fs.h"

struct auth_registry_options { /* all lent for the auth's life */
	const char *base;      /* "https://registry.example.com:5000", without a slash at its end */
	const char *host;      /* as the reference names it, the key of credentials: "docker.io" */
	const char *repository;
	const struct env *env;
	const struct clock *clock;
	struct redactor *redact;
	const char *ca_file;
	bool is_insecure;
};
struct auth *auth_registry_new(const struct auth_registry_options *options);

/* Tokens are asked for with "push" from here on; `mount_from`, another repository to be read, may be NULL. */
void auth_registry_will_push(struct auth *auth, const char *mount_from);
/* Which credentials were used, for messages: "/home/x/.docker/config.json", or NULL when there were none. */
const char *auth_registry_source(const struct auth *auth);

/* May a token be asked for at `realm` because the registry at `base`, known as `host`, says so? Its own host; the realms of known
 * clouds; what MLCTL_REGISTRY_AUTH_HOSTS names ("host[:port],..."). https, but for a registry that itself is reached by http. Never a
 * user name inside the URL, never a link-local or metadata address. ERR_AUTH says which rule it broke. */
int auth_registry_may_ask(const char *base, const char *host, const char *realm, const struct env *env, struct err *err);
