/* Who signs requests. One object per credential: bearer, basic, a registry's challenge, SigV4 later. */
#pragma once

#include "net/http.h"

#define AUTH_HEADERS_MAX 28 /* on behalf of somebody with many groups */

struct auth_challenge {          /* a 401 that was answered */
	const char *url;
	struct str www_authenticate;
};

struct auth {
	/* Headers for this request; lent until the next call. May need the network first (a token): it gets the http to ask with. */
	int (*sign)(struct auth *auth, struct http *http, const char *method, const char *url, struct http_header headers[AUTH_HEADERS_MAX], size_t *count,
		struct err *err);
	/* After a 401: true when another try makes sense (a token was dropped, a challenge was learnt). */
	bool (*refused)(struct auth *auth, const struct auth_challenge *challenge);
	void (*close)(struct auth *auth);
};
