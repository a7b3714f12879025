#include "runner/http/probe.h"
#include "runner/http/parse.h"
#include "runner/http/server.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 2048

static int wait_for(int fd, short events, int64_t until_us, struct err *err) {
	struct pollfd one = {.fd = fd, .events = events};
	for (;;) {
		int64_t left_ms = (until_us - http_mono_us()) / 1000;
		int rc = left_ms > 0 ? poll(&one, 1, (int) left_ms) : 0;
		if (rc > 0)
			return 0;
		if (rc == 0)
			return err_set(err, ERR_TIMEOUT, "no answer in time");
		if (errno != EINTR)
			return err_sys(err, "waiting for the answer");
	}
}

static int read_status(int fd, int64_t until_us, int *status, struct err *err) {
	char in[HTTP_HEAD_BYTES_MAX];
	size_t len = 0;
	struct http_scan scan = {0};
	struct http_fault fault;
	for (;;) {
		if (wait_for(fd, POLLIN, until_us, err) != 0)
			return -1;
		ssize_t n = recv(fd, in + len, sizeof(in) - len, 0);
		if (n < 0)
			return err_sys(err, "reading the answer");
		len += (size_t) n;
		int rc = http_scan(&scan, in, len, &fault);
		struct http_head head;
		if (rc == 1 && http_parse_response(in, scan.at, &head, &fault) == 0) {
			*status = head.status;
			return 0;
		}
		if (rc != 0 || n == 0 || len == sizeof(in))
			return err_set(err, ERR_NETWORK, "the answer is no HTTP");
	}
}

int http_probe_port(const struct net_address *address, int64_t timeout_ms) {
	struct err err = {0};
	int fd = -1, failure = 0;
	socklen_t len = sizeof(failure);
	if (net_connect(address, &fd) != 0)
		return -1;
	int rc = wait_for(fd, POLLOUT, http_mono_us() + timeout_ms * 1000, &err);
	if (rc == 0 && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0 || failure != 0))
		rc = -1;
	close(fd);
	return rc;
}

int http_probe(const struct net_address *address, struct str path, int64_t timeout_ms, int *status, struct err *err) {
	int64_t until_us = http_mono_us() + timeout_ms * 1000;
	char host[NET_TEXT_MAX], request[REQUEST_BYTES_MAX];
	net_text(address, host);
	int made = -1;
	if (net_connect(address, &made) != 0)
		return err_set(err, ERR_NETWORK, "connecting to %s failed", host);
	int n = snprintf(request, sizeof(request), "GET %.*s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", STR_ARGS(path),
		net_is_unix(address) ? "localhost" : host);
	int rc = -1;
	if (n >= (int) sizeof(request))
		err_set(err, ERR_LIMIT, "the path is too long");
	else if (wait_for(made, POLLOUT, until_us, err) == 0) {
		if (send(made, request, (size_t) n, MSG_NOSIGNAL) != n)
			err_set(err, ERR_NETWORK, "connecting to %s failed", host);
		else
			rc = read_status(made, until_us, status, err);
	}
	close(made);
	return rc;
}
