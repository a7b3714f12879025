/* Addresses and sockets of the runner: "127.0.0.1:8080", "[::1]:8080", ":8080" or "[::]:8080" (every interface, IPv6 and IPv4), "unix:/path".
 * Names are not resolved: whoever hands an address to the runner knows it as a number, except "localhost", which is 127.0.0.1. */
#pragma once

#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NET_TEXT_MAX 128

struct net_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un path;
	};
	socklen_t len;
};

int net_parse(struct str text, struct net_address *address, struct err *err); /* ERR_USAGE */
/* The text form, with the port that the kernel chose where it was 0. */
void net_text(const struct net_address *address, char out[NET_TEXT_MAX]);
bool net_is_unix(const struct net_address *address);
bool net_equal(const struct net_address *a, const struct net_address *b);

/* Non-blocking and close-on-exec. [::] takes IPv4 as well, and is 0.0.0.0 where there is no IPv6. A unix socket is made with mode 0600, and a left-over of a dead process is replaced. *address becomes
 * what was bound. */
int net_listen(struct net_address *address, int *fd, struct err *err);
/* Is fd a listening stream socket? Makes it non-blocking and close-on-exec. */
int net_adopt(int fd, struct net_address *address, struct err *err);
/* Starts to connect; 0 also while it is in progress. No message: the caller counts the failure. */
int net_connect(const struct net_address *address, int *fd);
