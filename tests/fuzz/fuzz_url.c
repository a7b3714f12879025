/* A base URL, a newline, a reference (a server's Location): whatever is accepted is whole, leads where the views say, and shows no secret.
 */
#include "net/rest.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_url(const char *text) {
	struct err err = {0};
	struct url url;
	AUTO_BUF struct buf shown = BUF((size_t) 64 * 1024);
	if (url_parse(str_of(text), &url, &err) != 0)
		return;
	assert(url.host.len > 0 && url.port >= 1 && url.port <= 65535);
	assert(!memchr(url.host.ptr, '@', url.host.len) && !memchr(url.host.ptr, '/', url.host.len) &&
		!memchr(url.host.ptr, '%', url.host.len));
	assert(url_same_origin(text, text));
	assert(!url_host_is_loopback(url.host) || url_host_is_inside(url.host));
	assert(!url_host_is_link_local(url.host) || url_host_is_inside(url.host));
	url_redact(text, &shown);
	struct url again;
	assert(url_parse(buf_view(&shown), &again, &err) == 0 && again.userinfo.len == 0 && str_equal(again.host, url.host));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct str reference, base = str_cut((struct str){(const char *) bytes, len}, '\n', &reference);
	AUTO_FREE char *from = str_dup(base), *out = NULL;
	struct err err = {0};
	check_url(from);
	if (strlen(from) != base.len || url_resolve(from, reference, &out, &err) != 0)
		return 0;
	struct url url;
	assert(url_parse(str_of(out), &url, &err) == 0);
	check_url(out);
	return 0;
}
