/* Image references: HOST[:PORT]/NAME[:TAG][@DIGEST]. The grammar is the distribution specification's. A reference without a host is
 * refused (no docker.io default: a deployment tool does not guess), but "docker.io/x" is normalised as docker does. */
#pragma once

#include "data/digest.h"

#define REF_BYTES_MAX 512

struct ref {
	char host[256]; /* with port, as written */
	char repository[256];
	char tag[129];	      /* empty: none */
	struct digest digest; /* empty: none */
};
int ref_parse(struct str text, struct ref *out, struct err *err);
/* "host/repository", "+:tag", "+@digest". */
void ref_write(const struct ref *ref, struct buf *out);
bool ref_tag_is_valid(struct str tag);
