#include "runner.h"
#include "runner/http/probe.h"

/* Docker's HEALTHCHECK: it asks the port that the same environment tells the server to serve on. */
static int default_target(const struct env *env, struct net_address *address, struct err *err) {
	const char *listen = env_get(env, "MLCTL_LISTEN");
	if (net_parse(str_of(listen ? listen : "127.0.0.1:8080"), address, err) != 0)
		return -1;
	if (address->any.sa_family == AF_INET && address->v4.sin_addr.s_addr == htonl(INADDR_ANY))
		address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)) {
		/* It takes IPv4 as well, and 127.0.0.1 is there also where IPv6 is switched off. */
		in_port_t port = address->v6.sin6_port;
		*address = (struct net_address) {.v4 = {.sin_family = AF_INET, .sin_port = port}, .len = sizeof(address->v4)};
		address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	return 0;
}

static int url_target(struct str url, struct net_address *address, struct str *path, struct err *err) {
	if (!str_starts(url, "http://"))
		return err_set(err, ERR_USAGE, "--url %.*s: want http://ADDRESS:PORT/PATH", STR_ARGS(url));
	url = (struct str) {url.ptr + 7, url.len - 7};
	const char *slash = memchr(url.ptr, '/', url.len);
	struct str authority = {url.ptr, slash ? (size_t) (slash - url.ptr) : url.len};
	if (slash)
		*path = (struct str) {slash, url.len - authority.len};
	for (size_t i = 0; i < path->len; i++)
		if (path->ptr[i] <= 0x20 || path->ptr[i] >= 0x7f)
			return err_set(err, ERR_USAGE, "--url: the path holds a byte that no URL may hold");
	if (memchr(authority.ptr, ':', authority.len))
		return net_parse(authority, address, err);
	AUTO_FREE char *with_port = mem_format("%.*s:80", STR_ARGS(authority));
	return net_parse(str_of(with_port), address, err);
}

int runner_health(const struct options *options, const struct env *env, struct err *err) {
	struct net_address address;
	struct str path = STR("/v2/health/ready");
	int rc = options->url ? url_target(str_of(options->url), &address, &path, err) : default_target(env, &address, err);
	if (rc != 0)
		return 2;
	int status = 0;
	if (http_probe(&address, path, options->limits.timeout_ms, &status, err) != 0)
		return 1;
	if (status != 200) {
		err_set(err, ERR_FAILED, "not ready: status %d", status);
		return 1;
	}
	return 0;
}
