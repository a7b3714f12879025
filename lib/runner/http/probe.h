/* One GET with a deadline, for `health`: blocking, on the same parser. */
#pragma once

#include "runner/http/net.h"

/* The status of GET path; ERR_NETWORK or ERR_TIMEOUT when there is no answer. */
/* Can it be connected to? */
int http_probe_port(const struct net_address *address, int64_t timeout_ms);
int http_probe(const struct net_address *address, struct str path, int64_t timeout_ms, int *status, struct err *err);
