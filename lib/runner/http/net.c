#include "runner/http/net.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4096

static int parse_unix(struct str path, struct net_address *address, struct err *err) {
	if (path.len == 0 || path.len >= sizeof(address->path.sun_path) || memchr(path.ptr, '\0', path.len))
		return err_set(err, ERR_USAGE, "address unix:%.*s: a socket's path has 1 to %zu bytes", STR_ARGS(path),
			sizeof(address->path.sun_path) - 1);
	address->path.sun_family = AF_UNIX;
	memcpy(address->path.sun_path, path.ptr, path.len);
	address->len = sizeof(address->path);
	return 0;
}

int net_parse(struct str text, struct net_address *address, struct err *err) {
	struct net_address made = {0};
	if (str_starts(text, "unix:")) {
		if (parse_unix((struct str) {text.ptr + 5, text.len - 5}, &made, err) != 0)
			return -1;
		*address = made;
		return 0;
	}
	struct str port_text;
	struct str host = str_cut_last(text, ':', &port_text);
	int64_t port;
	char copy[INET6_ADDRSTRLEN + 1] = {0};
	if (!port_text.ptr || num_int(port_text, 0, 65535, &port) != 0)
		return err_set(err, ERR_USAGE, "address %.*s: want ADDRESS:PORT, as in 127.0.0.1:8080, or unix:PATH", STR_ARGS(text));
	bool is_v6 = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (is_v6)
		host = (struct str) {host.ptr + 1, host.len - 2};
	if (str_is(host, "localhost"))
		host = STR("127.0.0.1");
	else if (host.len == 0 && !is_v6) {
		host = STR("::");
		is_v6 = true;
	}
	if (host.len >= sizeof(copy))
		return err_set(err, ERR_USAGE, "address %.*s: not an IP address", STR_ARGS(text));
	memcpy(copy, host.ptr, host.len);
	if (is_v6) {
		made.v6 = (struct sockaddr_in6) {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port)};
		made.len = sizeof(made.v6);
	} else {
		made.v4 = (struct sockaddr_in) {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
		made.len = sizeof(made.v4);
	}
	if (inet_pton(made.any.sa_family, copy, is_v6 ? (void *) &made.v6.sin6_addr : (void *) &made.v4.sin_addr) != 1)
		return err_set(err, ERR_USAGE, "address %.*s: %s is not an IP address (names are not resolved here)", STR_ARGS(text), copy);
	*address = made;
	return 0;
}

void net_text(const struct net_address *address, char out[NET_TEXT_MAX]) {
	char host[INET6_ADDRSTRLEN] = "";
	if (address->any.sa_family == AF_UNIX) {
		snprintf(out, NET_TEXT_MAX, "unix:%s", address->path.sun_path);
	} else if (address->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		snprintf(out, NET_TEXT_MAX, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	} else {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(out, NET_TEXT_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
	}
}

bool net_is_unix(const struct net_address *address) {
	return address->any.sa_family == AF_UNIX;
}

bool net_equal(const struct net_address *a, const struct net_address *b) {
	return a->len == b->len && memcmp(&a->path, &b->path, a->len) == 0;
}

/* A socket file that nobody answers on is a dead process's; one that answers is in use, and bind() will say so. */
static void remove_dead_socket(const struct net_address *address) {
	struct stat info;
	if (lstat(address->path.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &address->any, address->len) != 0 && errno == ECONNREFUSED)
		unlink(address->path.sun_path);
	close(fd);
}

static int bind_and_listen(int fd, const struct net_address *address) {
	int on = 1;
	if (address->any.sa_family == AF_INET6) {
		int is_only_v6 = !IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only_v6, sizeof(is_only_v6));
	}
	if (!net_is_unix(address)) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what it accepts inherits this */
		return bind(fd, &address->any, address->len) || listen(fd, BACKLOG) ? -1 : 0;
	}
	remove_dead_socket(address);
	/* fchmod before bind gives the file its mode, so that it is never open to others. */
	return fchmod(fd, 0600) || bind(fd, &address->any, address->len) || listen(fd, BACKLOG) ? -1 : 0;
}

int net_listen(struct net_address *address, int *fd, struct err *err) {
	char text[NET_TEXT_MAX];
	net_text(address, text);
	int made = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (made < 0 && address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)) {
		in_port_t port = address->v6.sin6_port;
		*address = (struct net_address) {.v4 = {.sin_family = AF_INET, .sin_port = port}, .len = sizeof(address->v4)};
		made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (made < 0)
		return err_sys(err, "listening on %s", text);
	if (bind_and_listen(made, address) != 0) {
		err_sys(err, "listening on %s", text);
		if (err->sys == EADDRINUSE)
			err_fix(err, "choose another port, or see who has it: ss -ltnp");
		close(made);
		return -1;
	}
	if (!net_is_unix(address)) {
		address->len = sizeof(address->v6);
		getsockname(made, &address->any, &address->len);
	}
	*fd = made;
	return 0;
}

int net_adopt(int fd, struct net_address *address, struct err *err) {
	int is_listening = 0;
	socklen_t len = sizeof(is_listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0 || !is_listening)
		return err_set(err, ERR_USAGE, "--listen-fd %d: not a listening socket", fd);
	struct net_address made = {0};
	made.len = sizeof(made.path);
	if (getsockname(fd, &made.any, &made.len) != 0)
		return err_sys(err, "--listen-fd %d", fd);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return err_sys(err, "--listen-fd %d", fd);
	if (!net_is_unix(&made))
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int) {1}, sizeof(int));
	*address = made;
	return 0;
}

int net_connect(const struct net_address *address, int *fd) {
	int made = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (made < 0)
		return -1;
	if (!net_is_unix(address))
		setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &(int) {1}, sizeof(int));
	if (connect(made, &address->any, address->len) != 0 && errno != EINPROGRESS) {
		close(made);
		return -1;
	}
	*fd = made;
	return 0;
}
