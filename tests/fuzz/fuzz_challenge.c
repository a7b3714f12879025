/* WWW-Authenticate from a registry, and where it wants a token to be asked for. */
#include "oci/auth_registry.h"
#include "oci/challenge.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct challenge challenge = {0};
	struct err err = {0};
	struct env env = {0};
	if (!challenge_parse((struct str){(const char *) data, size}, &challenge))
		return 0;
	assert(!challenge.is_bearer || challenge.realm);
	if (challenge.realm && auth_registry_may_ask("https://registry.test", "registry.test", challenge.realm, &env, &err) == 0)
		assert(strncmp(challenge.realm, "https://registry.test", 21) == 0 || strncmp(challenge.realm, "https://", 8) == 0);
	challenge_clear(&challenge);
	return 0;
}
