#include "oci/challenge.h"

#define HEADER_BYTES_MAX ((size_t) 16 * 1024)

void challenge_clear(struct challenge *challenge) {
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	*challenge = (struct challenge){0};
}

static bool is_token_char(char c) {
	return ascii_is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(struct str *s, const char *any) {
	while (s->len && strchr(any, s->ptr[0]) && s->ptr[0])
		*s = (struct str){s->ptr + 1, s->len - 1};
}

static struct str word(struct str *s) {
	size_t n = 0;
	while (n < s->len && is_token_char(s->ptr[n]))
		n++;
	struct str got = {s->ptr, n};
	*s = (struct str){s->ptr + n, s->len - n};
	return got;
}

/* A token or a quoted-string, unquoted into `out`; false when the quote never ends. */
static bool value(struct str *s, struct buf *out) {
	if (!s->len || s->ptr[0] != '"') {
		/* Seen in the wild: unquoted URLs. Up to the next comma or space. */
		size_t n = 0;
		while (n < s->len && !strchr(", \t", s->ptr[n]))
			n++;
		buf_add(out, s->ptr, n);
		*s = (struct str){s->ptr + n, s->len - n};
		return true;
	}
	for (size_t i = 1; i < s->len; i++) {
		if (s->ptr[i] == '"') {
			*s = (struct str){s->ptr + i + 1, s->len - i - 1};
			return true;
		}
		if (s->ptr[i] == '\\' && i + 1 < s->len)
			i++;
		buf_char(out, s->ptr[i]);
	}
	return false;
}

static void keep(char **slot, const struct buf *text) {
	if (*slot == NULL) /* the first one counts: a second must not move what was checked */
		*slot = mem_text_n(text->ptr ? text->ptr : "", text->len);
}

/* The parameters of one challenge; stops where the next scheme begins. */
static bool parameters(struct str *s, struct challenge *out) {
	for (;;) {
		skip(s, ", \t");
		struct str ahead = *s;
		struct str name = word(&ahead);
		skip(&ahead, " \t");
		if (!name.len || !ahead.len || ahead.ptr[0] != '=')
			return true;
		ahead = (struct str){ahead.ptr + 1, ahead.len - 1};
		skip(&ahead, " \t");
		AUTO_BUF struct buf text = BUF(HEADER_BYTES_MAX);
		if (!value(&ahead, &text) || text.failed || (text.len && memchr(text.ptr, '\0', text.len)))
			return false;
		if (str_is_nocase(name, "realm"))
			keep(&out->realm, &text);
		else if (str_is_nocase(name, "service"))
			keep(&out->service, &text);
		else if (str_is_nocase(name, "scope"))
			keep(&out->scope, &text);
		*s = ahead;
	}
}

bool challenge_parse(struct str header, struct challenge *out) {
	if (header.len > HEADER_BYTES_MAX)
		return false;
	struct challenge best = {0};
	bool is_found = false;
	for (struct str rest = header; rest.len;) {
		skip(&rest, ", \t");
		struct str scheme = word(&rest);
		if (!scheme.len)
			break;
		struct challenge got = {.is_bearer = str_is_nocase(scheme, "Bearer")};
		bool is_good = parameters(&rest, &got);
		bool is_ours = got.is_bearer ? got.realm && got.realm[0] : str_is_nocase(scheme, "Basic");
		if (is_good && is_ours && (!is_found || (got.is_bearer && !best.is_bearer))) {
			challenge_clear(&best);
			best = got;
			is_found = true;
		} else {
			challenge_clear(&got);
		}
		if (!is_good)
			break;
	}
	if (is_found)
		*out = best;
	return is_found;
}
