/* A real server on 127.0.0.1, scripted byte by byte: what a client meets when the other side is slow, cut, endless or wrong. One thread a
 * connection; each request takes the next turn of the script in order of arrival. Strict: a request beyond the script, or one that does not
 * hold what its turn expects, is counted as a fault, and loopback_stop() returns how many there were. */
#pragma once

#include "base/str.h"

enum loopback_then {
	LOOPBACK_KEEP,    /* the connection stays for the next request */
	LOOPBACK_CLOSE,   /* FIN */
	LOOPBACK_RESET,   /* RST */
	LOOPBACK_HANG,    /* says nothing more until the client goes */
	LOOPBACK_ENDLESS, /* repeats `answer_more` until the client goes */
};

struct loopback_turn {
	const char *expect;      /* in the request's head; NULL: anything */
	const char *expect_not;
	const char *answer;      /* raw bytes after the request's body was read; NULL: none */
	const char *answer_more; /* for LOOPBACK_ENDLESS */
	enum loopback_then then;
	int64_t body_bytes_read; /* > 0: the body is read only so far before the answer */
	bool is_early;           /* answers without reading the body */
};

struct loopback;
struct loopback *loopback_start(const struct loopback_turn *turns, size_t count);
int loopback_port(const struct loopback *server);
/* "http://127.0.0.1:PORT" + path; owned by the caller. */
char *loopback_url(const struct loopback *server, const char *path);
/* What request `i` said, head and body (up to 64 kB of it); lent until the stop. Empty when it never came. */
struct str loopback_request(struct loopback *server, size_t i);
int64_t loopback_body_bytes(struct loopback *server, size_t i);
int loopback_connections(struct loopback *server);
/* Ends every thread and frees; the faults: unexpected or missing requests, words missing. */
int loopback_stop(struct loopback *server);
