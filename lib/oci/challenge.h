/* WWW-Authenticate (RFC 9110 11.6.1) as registries send it: one or more challenges, of which bearer and basic are understood. */
#pragma once

#include "base/str.h"

struct challenge {
	bool is_bearer;		       /* else basic */
	char *realm, *service, *scope; /* owned; NULL when not there */
};
void challenge_clear(struct challenge *challenge);
/* The bearer challenge that names a realm when there is one, else the basic one; false: neither is there. */
bool challenge_parse(struct str header, struct challenge *out);
