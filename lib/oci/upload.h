/* Blobs to a registry (distribution specification, "Pushing blobs"), many at once on one thread: HEAD, then POST that opens a session
 * or mounts, then one PUT streamed from where the blob's bytes are.
 *
 * What was cut is looked for (HEAD) and, if it is not there, sent again in a new session; nothing else is. An upload address on
 * another origin gets no credentials, since net/auth.h signs for the registry's own only. */
#pragma once

#include "net/rest.h"
#include "oci/store.h"

struct upload_target { /* lent for the call */
	const struct rest *rest;
	const struct clock *clock;
	const char *base, *repository; /* "https://registry.example.com", "team/fraud" */
	int uploads_max;
	bool is_insecure; /* http is fine anywhere: the user said so; else it is only from a registry on this machine to this machine */
	bool is_greeted;  /* the registry has answered before, so whether it asks for a login is known */
};
int upload_blobs(const struct upload_target *target, const struct blob *const *blobs, size_t count, const struct store_progress *progress,
	struct push_result *result, struct err *err);

/* Where the PUT goes: the Location, relative or absolute, with the digest appended. Owned by the caller. */
int upload_address(const struct upload_target *target, const char *asked_url, struct str location, const struct digest *digest, char **out,
	struct err *err);
