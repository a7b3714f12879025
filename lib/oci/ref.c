#include "oci/ref.h"

#include <stdio.h>

#define PORT_MAX 65535

static bool is_lower_alnum(char c) {
	return ascii_is_digit(c) || ascii_is_lower(c);
}

/* Distribution specification, "Pulling manifests": [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_is_valid(struct str s) {
	size_t i = 0;
	while (i < s.len) {
		if (!is_lower_alnum(s.ptr[i]))
			return false;
		while (i < s.len && is_lower_alnum(s.ptr[i]))
			i++;
		if (i == s.len)
			return true;
		char separator = s.ptr[i];
		size_t run = 0;
		while (i < s.len && s.ptr[i] == separator) {
			i++;
			run++;
		}
		if (separator != '-' && !(separator == '.' && run == 1) && !(separator == '_' && run <= 2))
			return false;
	}
	return false; /* empty, or ends in a separator */
}

static bool repository_is_valid(struct str s) {
	for (struct str rest = s; rest.ptr;)
		if (!component_is_valid(str_cut(rest, '/', &rest)))
			return false;
	return s.len > 0;
}

bool ref_tag_is_valid(struct str tag) {
	if (tag.len == 0 || tag.len > 128 || tag.ptr[0] == '.' || tag.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < tag.len; i++)
		if (!ascii_is_alnum(tag.ptr[i]) && !memchr("._-", tag.ptr[i], 3))
			return false;
	return true;
}

static bool port_is_valid(struct str s) {
	int port = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.ptr[i]) || i > 4)
			return false;
		port = port * 10 + (s.ptr[i] - '0');
	}
	return port > 0 && port <= PORT_MAX;
}

/* name[.name]*, 1.2.3.4 or [v6], each with an optional port. */
static bool host_is_valid(struct str s) {
	struct str host = s, port = {0};
	if (s.len && s.ptr[0] == '[') {
		host = str_cut(s, ']', &port);
		if (!port.ptr || host.len < 3)
			return false;
		for (size_t i = 1; i < host.len; i++)
			if (!memchr("0123456789abcdefABCDEF:.", host.ptr[i], 24))
				return false;
		return port.len == 0 || (port.ptr[0] == ':' && port_is_valid((struct str){port.ptr + 1, port.len - 1}));
	}
	host = str_cut(s, ':', &port);
	if (port.ptr && !port_is_valid(port))
		return false;
	for (struct str rest = host; rest.ptr;) {
		struct str label = str_cut(rest, '.', &rest);
		if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
				return false;
	}
	return true;
}

/* What Docker takes as the difference between "host/name" and "user/name". */
static bool looks_like_host(struct str s) {
	return str_is(s, "localhost") || (s.len && s.ptr[0] == '[') || memchr(s.ptr, '.', s.len) || memchr(s.ptr, ':', s.len);
}

static int refuse(struct str text, const char *what, struct err *err) {
	return err_set(
		err, ERR_CONFIG, "image reference \"%.*s\": %s", (int) (text.len > 200 ? 200 : text.len), text.ptr ? text.ptr : "", what);
}

static void lower_host(struct str host, char out[256]) {
	for (size_t i = 0; i < host.len; i++)
		out[i] = ascii_lower(host.ptr[i]);
	out[host.len] = '\0';
}

/* docker.io's own spellings: index.docker.io is the same place, and "docker.io/x" is "docker.io/library/x". */
static int name_into(struct str text, struct str host, struct str repository, struct ref *out, struct err *err) {
	if (host.len >= sizeof(out->host) || !host_is_valid(host))
		return refuse(text, "the part before the first / must be a host, with a port if need be", err);
	lower_host(host, out->host);
	if (strcmp(out->host, "index.docker.io") == 0)
		memcpy(out->host, "docker.io", sizeof("docker.io"));
	bool is_short = strcmp(out->host, "docker.io") == 0 && !memchr(repository.ptr, '/', repository.len);
	int n = snprintf(out->repository, sizeof(out->repository), "%s%.*s", is_short ? "library/" : "", STR_ARGS(repository));
	if (n < 0 || (size_t) n >= sizeof(out->repository))
		return refuse(text, "the repository's name is longer than 255 characters", err);
	if (!repository_is_valid(repository)) {
		refuse(text, "a repository's name is lower-case letters and digits, joined by . _ - and /", err);
		AUTO_FREE char *lower = str_dup(repository);
		for (char *c = lower; *c; c++)
			*c = ascii_lower(*c);
		return repository_is_valid(str_of(lower)) ? err_fix(err, "%s/%s", out->host, lower) : -1;
	}
	return 0;
}

int ref_parse(struct str text, struct ref *out, struct err *err) {
	struct ref got = {0};
	if (text.len == 0 || text.len > REF_BYTES_MAX || memchr(text.ptr, '\0', text.len))
		return err_set(err, ERR_CONFIG,
			"image reference of %zu characters: must be HOST/NAME[:TAG][@DIGEST], at most %d characters", text.len,
			REF_BYTES_MAX);
	if (memmem(text.ptr, text.len, "://", 3))
		return refuse(text, "must not begin with a scheme such as https://", err);
	struct str digest, tag, repository;
	struct str name = str_cut(text, '@', &digest);
	if (digest.ptr && digest_parse(digest, &got.digest, err) != 0) {
		err->code = ERR_CONFIG;
		return err_wrap(err, "image reference \"%.*s\"", STR_ARGS(text));
	}
	struct str host = str_cut(name, '/', &repository);
	if (!repository.ptr || !looks_like_host(host)) {
		refuse(text, "needs the registry's host in front, as in registry.example.com/team/name", err);
		return component_is_valid(str_cut(host, ':', &tag)) ? err_fix(err, "docker.io/%.*s", STR_ARGS(text)) : -1;
	}
	repository = str_cut(repository, ':', &tag);
	if (tag.ptr && !ref_tag_is_valid(tag))
		return refuse(text, "a tag is 1 to 128 letters, digits, _ . and -, and begins with none of . and -", err);
	if (tag.ptr) {
		memcpy(got.tag, tag.ptr, tag.len);
		got.tag[tag.len] = '\0';
	}
	if (name_into(text, host, repository, &got, err) != 0)
		return -1;
	*out = got;
	return 0;
}

void ref_write(const struct ref *ref, struct buf *out) {
	buf_format(out, "%s/%s", ref->host, ref->repository);
	if (ref->tag[0])
		buf_format(out, ":%s", ref->tag);
	if (ref->digest.text[0])
		buf_format(out, "@%s", ref->digest.text);
}
