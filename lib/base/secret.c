#include "base/secret.h"

#include <stdio.h>

#define SECRET_BYTES_MIN 4
#define FORM_BYTES_MAX ((size_t) 256 * 1024)

struct redactor {
	struct texts forms;
};

void secret_set(struct secret *secret, struct str value, struct redactor *redact) {
	secret_clear(secret);
	secret->text = str_dup(value);
	secret->len = value.len;
	if (redact)
		redactor_add(redact, value);
}

void secret_clear(struct secret *secret) {
	if (secret->text)
		explicit_bzero(secret->text, secret->len);
	free(secret->text);
	*secret = (struct secret) {0};
}

bool secret_equal(struct secret a, struct secret b) {
	if (a.len != b.len)
		return false;
	unsigned char difference = 0;
	for (size_t i = 0; i < a.len; i++)
		difference |= (unsigned char) (a.text[i] ^ b.text[i]);
	return difference == 0;
}

struct redactor *redactor_new(void) {
	return NEW(struct redactor);
}

void redactor_free(struct redactor *redact) {
	if (!redact)
		return;
	for (size_t i = 0; i < redact->forms.count; i++)
		explicit_bzero(redact->forms.items[i], strlen(redact->forms.items[i]));
	texts_clear(&redact->forms);
	free(redact);
}

static void add_form(struct redactor *redact, const char *form) {
	if (strlen(form) < SECRET_BYTES_MIN)
		return;
	for (size_t i = 0; i < redact->forms.count; i++)
		if (strcmp(redact->forms.items[i], form) == 0)
			return;
	texts_add(&redact->forms, form);
}

/* The base64 of a text inside a longer text begins at one of three bit offsets; only the characters that do not depend on the
 * neighbours are kept. */
static void add_base64(struct redactor *redact, struct str value, size_t shift, const char *alphabet) {
	AUTO_BUF struct buf form = BUF(FORM_BYTES_MAX);
	uint32_t bits = 0;
	size_t have = shift * 8, skip = shift ? shift + 1 : 0, made = 0;
	for (size_t i = 0; i < value.len; i++) {
		bits = (bits << 8) | (unsigned char) value.ptr[i];
		have += 8;
		while (have >= 6) {
			char c = alphabet[(bits >> (have - 6)) & 63];
			have -= 6;
			if (made++ >= skip)
				buf_char(&form, c);
		}
	}
	if (!form.failed && form.ptr && form.len >= 6)
		add_form(redact, form.ptr);
}

void redactor_add(struct redactor *redact, struct str value) {
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	if (value.len < SECRET_BYTES_MIN)
		return;
	AUTO_FREE char *text = str_dup(value);
	add_form(redact, text);
	AUTO_BUF struct buf encoded = BUF(FORM_BYTES_MAX);
	AUTO_BUF struct buf lower = BUF(FORM_BYTES_MAX);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
			buf_char(&encoded, c);
			buf_char(&lower, c);
		} else {
			buf_format(&encoded, "%%%02X", (unsigned char) c);
			buf_format(&lower, "%%%02x", (unsigned char) c);
		}
	}
	if (!encoded.failed) {
		add_form(redact, encoded.ptr);
		add_form(redact, lower.ptr);
	}
	for (size_t shift = 0; shift < 3; shift++) {
		add_base64(redact, value, shift, plain);
		add_base64(redact, value, shift, url);
	}
}

void redactor_apply(const struct redactor *redact, struct str text, struct buf *out) {
	size_t i = 0;
	while (i < text.len) {
		size_t longest = 0;
		for (size_t k = 0; redact && k < redact->forms.count; k++) {
			size_t n = strlen(redact->forms.items[k]);
			if (n > longest && n <= text.len - i && memcmp(text.ptr + i, redact->forms.items[k], n) == 0)
				longest = n;
		}
		if (longest) {
			buf_text(out, "***");
			i += longest;
		} else {
			buf_char(out, text.ptr[i++]);
		}
	}
}

void redactor_quote(const struct redactor *redact, struct str text, size_t bytes_max, struct buf *out) {
	if (text.len > bytes_max + FORM_BYTES_MAX) /* those that begin in what is shown are whole in it */
		text.len = bytes_max + FORM_BYTES_MAX;
	AUTO_BUF struct buf safe = BUF(text.len + 1); /* "***" is shorter than what it stands for */
	redactor_apply(redact, text, &safe);
	size_t len = safe.len < bytes_max ? safe.len : bytes_max;
	while (len && len < safe.len && ((unsigned char) safe.ptr[len] & 0xc0) == 0x80)
		len--;
	bool is_cut = len < safe.len;
	while (len && (unsigned char) safe.ptr[len - 1] <= ' ')
		len--;
	for (size_t i = 0; i < len; i++)
		buf_char(out, safe.ptr[i] == '\n' || safe.ptr[i] == '\r' || safe.ptr[i] == '\t' ? ' ' : safe.ptr[i]);
	if (is_cut)
		buf_text(out, " ...");
}
