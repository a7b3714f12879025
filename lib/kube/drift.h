/* What an object was made to be, against what it is now: each field that somebody else has changed or taken away. What others have added is theirs, and what
 * the server writes in another form ("1000m" for 1) is the same. Pure; whoever calls owns the texts. */
#pragma once

#include "data/value.h"

#define KUBE_DRIFTS_MAX 20 /* of one object; what comes after is not looked at */

/* Adds a text for each field: "spec.replicas: 2, there 5". Elements of a list are found by their `name` where they have one. Values of a Secret are not shown. */
void kube_drift(const struct value *made, const struct value *live, struct texts *out);
