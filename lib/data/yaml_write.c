/* YAML out, block style, so that every reader in use gets the same tree back: YAML 1.1 ones (PyYAML), 1.2 ones (libyaml behind yaml_read) and those
 * between (kubectl). What any of them could take for something else is in double quotes. */
#include "data/value.h"

#include "data/tree.h"

#include <assert.h>
#include <stdio.h>

#define PLAIN_BYTES_MAX 128
#define SIMPLE_KEY_BYTES_MAX 900 /* readers look 1,024 characters ahead for the colon */
#define COMMENT_COLUMN 56

static bool is_word(struct str text) {
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_is_nocase(text, words[i]))
			return true;
	return false;
}

/* "500m", "256Mi", "10s", "25%": no reader's number. */
static bool is_quantity(struct str text) {
	static const char *const units[] = {"m", "s", "%", "Ki", "Mi", "Gi", "Ti"};
	size_t i = 0;
	while (i < text.len && ascii_is_digit(text.ptr[i]))
		i++;
	struct str unit = {text.ptr + i, text.len - i};
	for (size_t k = 0; i && k < sizeof(units) / sizeof(units[0]); k++)
		if (str_is(unit, units[k]))
			return true;
	return false;
}

static bool is_plain(struct str text) {
	if (!text.len || text.len > PLAIN_BYTES_MAX || is_word(text))
		return false;
	if (is_quantity(text))
		return true;
	char first = ascii_lower(text.ptr[0]), last = text.ptr[text.len - 1];
	if (!ascii_is_lower(first) && first != '/' && first != '_')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_inner = c == ' ' || c == ':';
		if (!ascii_is_alnum(c) && !memchr("_./-@+=%,$()", c, 12) && !is_inner)
			return false;
		if (c == ':' && (i + 1 == text.len || text.ptr[i + 1] == ' '))
			return false;
	}
	return last != ' ' && last != ':';
}

/* The code point at *pos, which moves behind it; the text is UTF-8, and a byte that is not stands for itself. */
static uint32_t next_point(struct str text, size_t *pos) {
	const unsigned char *at = (const unsigned char *) text.ptr + *pos;
	size_t left = text.len - *pos, len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (len > left) {
		*pos += 1;
		return at[0];
	}
	uint32_t point = len == 1 ? at[0] : len == 2 ? at[0] & 0x1f : len == 3 ? at[0] & 0x0f : at[0] & 0x07;
	for (size_t i = 1; i < len; i++)
		point = point << 6 | (at[i] & 0x3f);
	*pos += len;
	return point;
}

/* c-printable of YAML 1.2 but for what is a line break to somebody, and the byte order mark. */
static bool is_printable(uint32_t point) {
	if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029 || point == 0xfeff)
		return false;
	return point < 0xd800 || (point >= 0xe000 && point < 0xfffe) || point >= 0x10000;
}

static void write_quoted(struct str text, struct buf *out) {
	buf_char(out, '"');
	for (size_t pos = 0; pos < text.len;) {
		size_t from = pos;
		uint32_t point = next_point(text, &pos);
		if (point == '"' || point == '\\')
			buf_format(out, "\\%c", (char) point);
		else if (point == '\n')
			buf_text(out, "\\n");
		else if (point == '\t')
			buf_text(out, "\\t");
		else if (is_printable(point))
			buf_add(out, text.ptr + from, pos - from);
		else if (point < 0x100)
			buf_format(out, "\\x%02x", point);
		else if (point < 0x10000)
			buf_format(out, "\\u%04x", point);
		else
			buf_format(out, "\\U%08x", point);
	}
	buf_char(out, '"');
}

static void write_text(struct str text, struct buf *out) {
	if (is_plain(text))
		buf_str(out, text);
	else
		write_quoted(text, out);
}

/* YAML 1.1 knows an exponent only behind a point and with a sign: 1e5 is written 1.0e+5. */
static void write_number(struct str text, struct buf *out) {
	size_t e = 0;
	while (e < text.len && text.ptr[e] != 'e' && text.ptr[e] != 'E')
		e++;
	buf_add(out, text.ptr, e);
	if (e == text.len)
		return;
	if (!memchr(text.ptr, '.', e))
		buf_text(out, ".0");
	buf_char(out, text.ptr[e]);
	if (e + 1 < text.len && ascii_is_digit(text.ptr[e + 1]))
		buf_char(out, '+');
	buf_add(out, text.ptr + e + 1, text.len - e - 1);
}

static void write_scalar(const struct value *value, struct buf *out) {
	switch (value->kind) {
	case VALUE_NULL:
		buf_text(out, "null");
		break;
	case VALUE_BOOL:
		buf_text(out, value->boolean ? "true" : "false");
		break;
	case VALUE_NUMBER:
		write_number(value->text, out);
		break;
	case VALUE_STRING:
		write_text(value->text, out);
		break;
	case VALUE_ARRAY:
		buf_text(out, "[]");
		break;
	case VALUE_OBJECT:
		buf_text(out, "{}");
		break;
	}
}

struct writer {
	const struct yaml_notes *notes;
	struct buf *out;
	size_t line_start;
};

static void end_line(struct writer *w, const struct value *value) {
	AUTO_BUF struct buf note = BUF(4096);
	if (w->notes)
		w->notes->note(w->notes->self, value, &note);
	if (note.len) {
		size_t width = w->out->len - w->line_start;
		buf_format(w->out, "%*s # ", width < COMMENT_COLUMN ? (int) (COMMENT_COLUMN - width) : 0, "");
		for (size_t i = 0; i < note.len; i++)
			buf_char(w->out, (unsigned char) note.ptr[i] < 0x20 || (unsigned char) note.ptr[i] >= 0x7f ? '?' : note.ptr[i]);
	}
	buf_char(w->out, '\n');
	w->line_start = w->out->len;
}

static void indent(struct writer *w, size_t columns) {
	buf_format(w->out, "%*s", (int) columns, "");
}

/* The key and its colon. *deeper: what follows a key of its own line is indented, lists too. */
static void write_key(struct writer *w, const struct value *member, size_t columns, bool *deeper) {
	size_t start = w->out->len;
	write_text(member->key, w->out);
	*deeper = w->out->len - start > SIMPLE_KEY_BYTES_MAX; /* as it is spelled */
	if (*deeper) {
		w->out->len = start;
		buf_text(w->out, "? ");
		write_text(member->key, w->out);
		end_line(w, NULL);
		indent(w, columns);
	}
	buf_char(w->out, ':');
}

static bool is_leaf(const struct value *value) {
	return !value->first;
}

void yaml_write(const struct value *value, const struct yaml_notes *notes, struct buf *out) {
	struct {
		const struct value *next;
		size_t columns;
		bool is_object, is_inline; /* is_inline: the first child goes on in the line that is begun */
	} levels[VALUE_DEPTH_MAX];
	struct writer w = {.notes = notes, .out = out, .line_start = out->len};
	if (is_leaf(value)) {
		write_scalar(value, out);
		end_line(&w, value);
		return;
	}
	size_t depth = 0;
	levels[0].next = value->first;
	levels[0].columns = 0;
	levels[0].is_object = value->kind == VALUE_OBJECT;
	levels[0].is_inline = true;
	for (;;) {
		const struct value *child = levels[depth].next;
		if (!child) {
			if (depth-- == 0)
				return;
			continue;
		}
		size_t columns = levels[depth].columns;
		bool is_member = levels[depth].is_object, is_deeper = false;
		if (!levels[depth].is_inline)
			indent(&w, columns);
		levels[depth].is_inline = false;
		levels[depth].next = child->next;
		if (is_member)
			write_key(&w, child, columns, &is_deeper);
		else
			buf_char(out, '-');
		if (is_leaf(child)) {
			buf_char(out, ' ');
			write_scalar(child, out);
			end_line(&w, child);
			continue;
		}
		if (is_member)
			end_line(&w, NULL);
		else
			buf_char(out, ' ');
		assert(depth + 1 < VALUE_DEPTH_MAX);
		bool is_flat = is_member && child->kind == VALUE_ARRAY && !is_deeper;
		depth++;
		levels[depth].next = child->first;
		levels[depth].columns = is_flat ? columns : columns + 2;
		levels[depth].is_object = child->kind == VALUE_OBJECT;
		levels[depth].is_inline = !is_member;
	}
}
