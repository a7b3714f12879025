#include "project/names.h"

#include <stdio.h>

#define REPOSITORY_BYTES_MAX 255
#define PATH_BYTES_MAX 1024
#define MODEL_NAME_MAX 128

static int say(char why[FIELD_WHY_MAX], const char *text) {
	snprintf(why, FIELD_WHY_MAX, "%s", text);
	return -1;
}

static bool is_label(const char *text, size_t max) {
	size_t n = strlen(text);
	if (n == 0 || n > max || !ascii_is_lower(text[0]) || text[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ascii_is_lower(text[i]) && !ascii_is_digit(text[i]) && text[i] != '-')
			return false;
	return true;
}

int names_check_service(const char *text, char why[FIELD_WHY_MAX]) {
	return is_label(text, PROJECT_NAME_MAX)
		       ? 0
		       : say(why, "a-z, 0-9 and '-', beginning with a letter, at most 47 characters, as in fraud-score");
}

int names_check_environment(const char *text, char why[FIELD_WHY_MAX]) {
	return is_label(text, PROJECT_ENVIRONMENT_MAX)
		       ? 0
		       : say(why, "a-z, 0-9 and '-', beginning with a letter, at most 32 characters, as in prod-eu");
}

/* path-component of the OCI distribution specification: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool is_component(struct str part) {
	size_t i = 0;
	for (;;) {
		size_t word = i;
		while (i < part.len && (ascii_is_lower(part.ptr[i]) || ascii_is_digit(part.ptr[i])))
			i++;
		if (i == word)
			return false;
		if (i == part.len)
			return true;
		size_t mark = i;
		while (i < part.len && part.ptr[i] == part.ptr[mark] && strchr("._-", part.ptr[mark]))
			i++;
		size_t most = part.ptr[mark] == '-' ? part.len : part.ptr[mark] == '_' ? 2 : 1;
		if (i == mark || i - mark > most)
			return false;
	}
}

/* host[:port]; the first part of a repository is a host when it has a dot or a colon, or is localhost. */
static bool is_host(struct str part) {
	struct str port, host = part;
	if (part.len && part.ptr[0] == '[') { /* an IPv6 address */
		host = str_cut_last(part, ']', &port);
		for (size_t i = 1; i < host.len; i++)
			if (!ascii_is_alnum(host.ptr[i]) && host.ptr[i] != ':')
				return false;
		if (!port.ptr || host.len < 3 || (port.len && port.ptr[0] != ':'))
			return false;
		port = port.len ? (struct str){port.ptr + 1, port.len - 1} : (struct str){0};
	} else {
		host = str_cut(part, ':', &port);
		for (size_t i = 0; i < host.len; i++)
			if (!ascii_is_alnum(host.ptr[i]) && host.ptr[i] != '.' && host.ptr[i] != '-')
				return false;
	}
	int64_t number;
	return host.len && (!port.ptr || num_int(port, 1, 65535, &number) == 0);
}

static bool is_repository(struct str text) {
	struct str rest, first = str_cut(text, '/', &rest);
	bool has_host = rest.ptr && (memchr(first.ptr, '.', first.len) || memchr(first.ptr, ':', first.len) || str_is(first, "localhost"));
	if (text.len == 0 || text.len > REPOSITORY_BYTES_MAX || (has_host && !is_host(first)))
		return false;
	if (!has_host)
		rest = text;
	while (rest.ptr)
		if (!is_component(str_cut(rest, '/', &rest)))
			return false;
	return true;
}

int names_check_image(const char *text, char why[FIELD_WHY_MAX]) {
	struct str digest, repository = str_cut(str_of(text), '@', &digest);
	struct str tag, name = str_cut_last(repository, ':', &tag);
	bool has_tag = tag.ptr && !memchr(tag.ptr, '/', tag.len);
	if (is_repository(repository) && !digest.ptr)
		return 0;
	if (has_tag ? is_repository(name) : is_repository(repository))
		return say(why, "a repository without a tag or a digest: mlctl adds them itself");
	if (strstr(text, "://"))
		return say(why, "a repository without http:// or https://, as in registry.example.com/team/fraud");
	return say(why, "a repository in lower case, as in registry.example.com/team/fraud");
}

int names_check_image_reference(const char *text, char why[FIELD_WHY_MAX]) {
	struct str digest, rest = str_cut(str_of(text), '@', &digest);
	struct str tag, name = str_cut_last(rest, ':', &tag);
	struct digest parsed;
	struct err ignored = {0};
	bool has_tag = tag.ptr && !memchr(tag.ptr, '/', tag.len);
	bool is_good = is_repository(has_tag ? name : rest) && (!digest.ptr || digest_parse(digest, &parsed, &ignored) == 0);
	for (size_t i = 0; has_tag && i < tag.len; i++)
		is_good &= ascii_is_alnum(tag.ptr[i]) || memchr("._-", tag.ptr[i], 3);
	is_good &= !has_tag || (tag.len && tag.len <= 128 && ascii_is_alnum(tag.ptr[0]));
	return is_good ? 0 : say(why, "an image, as in registry.example.com/server:1.2 or registry.example.com/server@sha256:<64 hex digits>");
}

int names_check_base(const char *text, char why[FIELD_WHY_MAX]) {
	struct str digest, repository = str_cut(str_of(text), '@', &digest);
	struct err ignored = {0};
	struct digest parsed;
	if (strcmp(text, "scratch") == 0 || (digest.ptr && is_repository(repository) && digest_parse(digest, &parsed, &ignored) == 0))
		return 0;
	return say(why, "scratch, or an image by its digest as in registry.example.com/base@sha256:<64 hex digits>");
}

int names_check_path(const char *text, char why[FIELD_WHY_MAX]) {
	struct str rest = str_of(text);
	bool is_good = rest.len > 0 && rest.len <= PATH_BYTES_MAX && text[0] != '/';
	for (size_t i = 0; i < rest.len; i++)
		is_good &= (unsigned char) text[i] >= 0x20 && text[i] != 0x7f;
	while (is_good && rest.ptr)
		is_good = !str_is(str_cut(rest, '/', &rest), "..");
	return is_good ? 0 : say(why, "a path beneath the project's folder, relative to it, as in model.onnx");
}

int names_check_model(const char *text, char why[FIELD_WHY_MAX]) {
	size_t n = strlen(text);
	bool is_good = n > 0 && n <= MODEL_NAME_MAX && ascii_is_alnum(text[0]);
	for (size_t i = 0; i < n; i++)
		is_good &= ascii_is_alnum(text[i]) || strchr("._-", text[i]);
	return is_good ? 0 : say(why, "letters, digits, '.', '_' and '-', since it stands in URLs, as in fraud");
}

void names_make_service(const char *text, char out[PROJECT_NAME_MAX + 1]) {
	size_t n = 0;
	for (; *text && n < PROJECT_NAME_MAX; text++) {
		char c = ascii_lower(*text);
		bool fits = ascii_is_lower(c) || (n && ascii_is_digit(c));
		if (fits)
			out[n++] = c;
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = '\0';
}
