#include "net/rest.h"

#include <arpa/inet.h>

#define URL_BYTES_MAX ((size_t) 16 * 1024)
#define HOST_BYTES_MAX 253

static int refused(struct str text, const char *why, struct err *err) {
	AUTO_BUF struct buf shown = BUF(URL_BYTES_MAX);
	AUTO_FREE char *copy = str_dup((struct str){text.ptr, text.len < 200 ? text.len : 200});
	url_redact(copy, &shown);
	return err_set(err, ERR_FAILED, "URL \"%s\": %s", shown.ptr ? shown.ptr : "", why);
}

/* RFC 3986 3.2.2, without percent-encoding (curl would decode it, and then two parsers would see two hosts) and without zones. */
static bool host_is_valid(struct str host, bool is_bracketed) {
	if (host.len == 0 || host.len > HOST_BYTES_MAX)
		return false;
	if (is_bracketed) {
		char text[INET6_ADDRSTRLEN + 1];
		struct in6_addr address;
		if (host.len >= sizeof(text))
			return false;
		memcpy(text, host.ptr, host.len);
		text[host.len] = '\0';
		return inet_pton(AF_INET6, text, &address) == 1;
	}
	for (size_t i = 0; i < host.len; i++)
		if (!ascii_is_alnum(host.ptr[i]) && !strchr("-._", host.ptr[i]))
			return false;
	return host.ptr[0] != '.' && host.ptr[0] != '-';
}

static int parse_authority(struct str text, struct str authority, struct url *url, struct err *err) {
	struct str host = authority, after;
	url->userinfo = (struct str){"", 0};
	struct str before = str_cut_last(authority, '@', &after);
	if (after.ptr) {
		url->userinfo = before;
		host = after;
	}
	if (url->userinfo.len && memchr(url->userinfo.ptr, '@', url->userinfo.len))
		return refused(text, "two @ before the host", err);
	struct str port = {0};
	bool is_bracketed = str_starts(host, "[");
	if (is_bracketed) {
		struct str inner = str_cut((struct str){host.ptr + 1, host.len - 1}, ']', &port);
		if (!port.ptr || (port.len && port.ptr[0] != ':'))
			return refused(text, "a host in brackets must be an IPv6 address", err);
		host = inner;
		port = port.len ? (struct str){port.ptr + 1, port.len - 1} : (struct str){0};
	} else {
		host = str_cut(host, ':', &port);
	}
	if (!host_is_valid(host, is_bracketed))
		return refused(text, "no valid host name", err);
	url->host = host;
	url->port = str_is(url->scheme, "https") ? 443 : 80;
	int64_t number;
	if (port.ptr && port.len) {
		if (port.len > 5 || num_int(port, 1, 65535, &number) != 0)
			return refused(text, "the port must be 1 to 65535", err);
		url->port = (int) number;
	}
	return 0;
}

int url_parse(struct str text, struct url *out, struct err *err) {
	if (text.len > URL_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "URL of %zu bytes, at most %zu", text.len, URL_BYTES_MAX);
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char) text.ptr[i] <= ' ' || (unsigned char) text.ptr[i] >= 0x7f || text.ptr[i] == '\\')
			return refused(text, "a space, backslash, control or non-ASCII character", err);
	struct url url = {0};
	struct str fragment, whole = str_cut(text, '#', &fragment);
	size_t skip = str_starts(whole, "https://") ? 8 : str_starts(whole, "http://") ? 7 : 0;
	if (!skip)
		return refused(text, "must begin with https:// or http://", err);
	url.scheme = (struct str){whole.ptr, skip - 3};
	struct str rest = {whole.ptr + skip, whole.len - skip};
	size_t n = 0;
	while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
		n++;
	if (parse_authority(text, (struct str){rest.ptr, n}, &url, err) != 0)
		return -1;
	url.path = str_cut((struct str){rest.ptr + n, rest.len - n}, '?', &url.query);
	if (!url.query.ptr)
		url.query = (struct str){"", 0};
	*out = url;
	return 0;
}

bool url_same_origin(const char *a, const char *b) {
	struct err scratch = {0};
	struct url x, y;
	if (url_parse(str_of(a), &x, &scratch) != 0 || url_parse(str_of(b), &y, &scratch) != 0)
		return false;
	AUTO_FREE char *host = str_dup(y.host);
	return str_equal(x.scheme, y.scheme) && x.port == y.port && str_is_nocase(x.host, host);
}

/* RFC 3986 5.2.4 on an absolute path, in place of its "input buffer" a walk over segments. */
static void add_without_dots(struct str path, struct buf *out) {
	size_t floor = out->len;
	while (path.len) {
		size_t n = 1;
		while (n < path.len && path.ptr[n] != '/')
			n++;
		struct str segment = {path.ptr, n};
		bool is_last = n == path.len;
		path = (struct str){path.ptr + n, path.len - n};
		bool is_up = str_is(segment, "/..");
		if (!is_up && !str_is(segment, "/.")) {
			buf_str(out, segment);
			continue;
		}
		if (is_up) {
			while (out->len > floor && out->ptr[--out->len] != '/')
				;
			if (out->ptr)
				out->ptr[out->len] = '\0';
		}
		if (is_last)
			buf_char(out, '/');
	}
}

static struct str without_fragment(struct str s) {
	struct str rest;
	return str_cut(s, '#', &rest);
}

int url_resolve(const char *base, struct str reference, char **out, struct err *err) {
	struct url from;
	if (url_parse(str_of(base), &from, err) != 0)
		return -1;
	AUTO_BUF struct buf text = BUF(2 * URL_BYTES_MAX);
	reference = without_fragment(str_trim(reference));
	size_t letters = 0;
	while (letters < reference.len && (ascii_is_alnum(reference.ptr[letters]) || strchr("+-.", reference.ptr[letters])))
		letters++;
	bool has_scheme = letters && letters < reference.len && reference.ptr[letters] == ':';
	struct str authority_end = {from.path.ptr, 0};
	struct str origin = {base, (size_t) (authority_end.ptr - base)};
	if (has_scheme) {
		buf_str(&text, reference);
	} else if (str_starts(reference, "//")) {
		buf_str(&text, from.scheme);
		buf_char(&text, ':');
		buf_str(&text, reference);
	} else {
		struct str query, path = str_cut(reference, '?', &query);
		buf_str(&text, origin);
		if (path.len && path.ptr[0] == '/') {
			add_without_dots(path, &text);
		} else if (path.len) {
			AUTO_BUF struct buf merged = BUF(2 * URL_BYTES_MAX);
			struct str last, folder = str_cut_last(from.path, '/', &last);
			buf_str(&merged, last.ptr ? folder : (struct str){"", 0});
			buf_char(&merged, '/');
			buf_str(&merged, path);
			add_without_dots(buf_view(&merged), &text);
		} else {
			buf_str(&text, from.path);
			if (!query.ptr && from.query.len)
				query = from.query;
		}
		if (query.ptr) {
			buf_char(&text, '?');
			buf_str(&text, query);
		}
	}
	struct url checked;
	if (buf_check(&text, "URL", err) != 0 || url_parse(buf_view(&text), &checked, err) != 0)
		return -1;
	return buf_take(&text, out, err);
}

void url_encode(struct str text, struct buf *out) {
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~')
			buf_char(out, c);
		else
			buf_format(out, "%%%02X", (unsigned char) c);
	}
}

void url_redact(const char *url, struct buf *out) {
	struct str query, rest = str_cut(without_fragment(str_of(url)), '?', &query);
	const char *slashes = rest.len ? memmem(rest.ptr, rest.len, "://", 3) : NULL;
	size_t start = slashes ? (size_t) (slashes - rest.ptr) + 3 : 0, end = start;
	while (end < rest.len && rest.ptr[end] != '/')
		end++;
	struct str after, authority = {rest.ptr + start, end - start};
	str_cut_last(authority, '@', &after);
	buf_str(out, (struct str){rest.ptr, start});
	buf_str(out, after.ptr ? after : authority);
	buf_str(out, (struct str){rest.ptr + end, rest.len - end});
	for (char mark = '?'; query.ptr; mark = '&') {
		struct str value, name = str_cut(str_cut(query, '&', &query), '=', &value);
		buf_char(out, mark);
		buf_str(out, name);
		buf_text(out, value.ptr ? "=***" : "");
	}
}

/* Does this IPv4 address, or its last resort in IPv6 (mapped, 64:ff9b::/96), lie in one of the ranges of RFC 6890 that are not the
 * internet? */
static bool ipv4_in(uint32_t address, bool only_loopback, bool only_link_local) {
	static const struct {
		uint32_t network, mask;
		bool is_loopback, is_link_local;
	} ranges[] = {
		{0x7f000000, 0xff000000, true, false},
		{0xa9fe0000, 0xffff0000, false, true},
		{0x0a000000, 0xff000000, false, false},
		{0xac100000, 0xfff00000, false, false},
		{0xc0a80000, 0xffff0000, false, false},
		{0x64400000, 0xffc00000, false, false},
		{0x00000000, 0xff000000, false, false},
		{0xe0000000, 0xe0000000, false, false},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if ((address & ranges[i].mask) == ranges[i].network && (!only_loopback || ranges[i].is_loopback) &&
			(!only_link_local || ranges[i].is_link_local))
			return true;
	return false;
}

static bool ipv6_in(const unsigned char a[16], bool only_loopback, bool only_link_local) {
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, nat64[12] = {0, 0x64, 0xff, 0x9b},
				   zero[15] = {0};
	static const unsigned char imds[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return ipv4_in(
			(uint32_t) a[12] << 24 | (uint32_t) a[13] << 16 | (uint32_t) a[14] << 8 | a[15], only_loopback, only_link_local);
	if (memcmp(a, zero, 15) == 0 && a[15] == 1)
		return !only_link_local;
	bool is_link_local = (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || memcmp(a, imds, 16) == 0;
	if (only_loopback || only_link_local)
		return only_link_local && is_link_local;
	return is_link_local || (a[0] & 0xfe) == 0xfc || a[0] == 0xff || memcmp(a, zero, 12) == 0;
}

/* "2130706433", "0x7f.1" and "017700000001" are 127.0.0.1 to a resolver; nobody writes a host so without a reason. */
static bool is_odd_number(const char *host) {
	const char *dot = strrchr(host, '.');
	const char *last = dot ? dot + 1 : host;
	bool is_number = last[0] == '0' && ascii_lower(last[1]) == 'x';
	if (!is_number) {
		is_number = last[0] != '\0';
		for (const char *c = last; *c; c++)
			is_number = is_number && ascii_is_digit(*c);
	}
	return is_number;
}

static bool host_in(struct str host, bool only_loopback, bool only_link_local) {
	static const char *const metadata[] = {"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"};
	while (host.len && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > HOST_BYTES_MAX)
		return !only_loopback && !only_link_local;
	AUTO_FREE char *name = str_dup(host);
	for (char *c = name; *c; c++)
		*c = ascii_lower(*c);
	struct in_addr four;
	struct in6_addr six;
	if (inet_pton(AF_INET, name, &four) == 1)
		return ipv4_in(ntohl(four.s_addr), only_loopback, only_link_local);
	if (inet_pton(AF_INET6, name, &six) == 1)
		return ipv6_in(six.s6_addr, only_loopback, only_link_local);
	if (strcmp(name, "localhost") == 0 || str_ends(str_of(name), ".localhost"))
		return !only_link_local;
	for (size_t i = 0; i < sizeof(metadata) / sizeof(metadata[0]); i++)
		if (strcmp(name, metadata[i]) == 0)
			return !only_loopback;
	return is_odd_number(name) && !only_loopback;
}

bool url_host_is_loopback(struct str host) {
	return host_in(host, true, false);
}

bool url_host_is_link_local(struct str host) {
	return host_in(host, false, true);
}

bool url_host_is_inside(struct str host) {
	return host_in(host, false, false);
}
