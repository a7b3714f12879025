#include "data/tree.h"

#include <assert.h>

/* What may come next. */
enum state {
	WANT_VALUE,
	WANT_FIRST_ITEM, /* or ']' */
	WANT_FIRST_KEY,	 /* or '}' */
	WANT_KEY,
	WANT_MORE, /* ',' or the closing bracket */
	DONE,
};

/* The text is copied once; strings are unescaped in place (they only shrink) and lend from that copy. */
struct reader {
	struct document *document;
	char *text;
	size_t len, pos;
	int line;
	size_t line_start; /* where the line began, plus the continuation bytes since: columns count characters */
	struct value_limits limits;
	size_t nodes;
	struct value *open[VALUE_DEPTH_MAX];
	int depth;
	struct str key;
	struct place key_at;
	struct err *err;
};

static struct place place_of(const struct reader *r, size_t pos) {
	return (struct place){r->line, (int) (pos - r->line_start) + 1};
}

static int fail_at(struct reader *r, struct place at) {
	return err_at(r->err, "%s:%d:%d", r->document->name, at.line, at.column);
}

/* What stands at the position, for "found ...". */
#define FOUND_MAX 24
static const char *found(const struct reader *r, char out[FOUND_MAX]) {
	unsigned char c = r->pos < r->len ? (unsigned char) r->text[r->pos] : 0;
	if (r->pos >= r->len)
		snprintf(out, FOUND_MAX, "the end");
	else if (c > 0x20 && c < 0x7f)
		snprintf(out, FOUND_MAX, "'%c'", c);
	else
		snprintf(out, FOUND_MAX, "byte 0x%02x", c);
	return out;
}

static int fail(struct reader *r, const char *wanted) {
	char text[FOUND_MAX];
	err_set(r->err, ERR_INVALID, "not JSON: %s, found %s", wanted, found(r, text));
	return fail_at(r, place_of(r, r->pos));
}

static void skip_space(struct reader *r) {
	for (; r->pos < r->len; r->pos++) {
		char c = r->text[r->pos];
		if (c == '\n') {
			r->line++;
			r->line_start = r->pos + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

/* Hangs a node under the open parent, or makes it the root. */
static struct value *add_node(struct reader *r, enum value_kind kind, struct place at) {
	if (++r->nodes > r->limits.nodes_max) {
		err_set(r->err, ERR_LIMIT, "more than %zu values", r->limits.nodes_max);
		fail_at(r, at);
		return NULL;
	}
	struct value *node = value_new(r->document, kind);
	if (!node) {
		err_set(r->err, ERR_LIMIT, "no memory for %zu values", r->nodes);
		fail_at(r, at);
		return NULL;
	}
	node->at = at;
	if (!r->depth) {
		r->document->root = node;
		return node;
	}
	struct value *parent = r->open[r->depth - 1];
	if (parent->kind == VALUE_OBJECT) {
		node->key = r->key;
		node->key_at = r->key_at;
	}
	value_append(parent, node);
	return node;
}

static int hex_four(const struct reader *r, size_t pos, uint32_t *out) {
	if (r->len - pos < 4)
		return -1;
	uint32_t code = 0;
	for (size_t i = 0; i < 4; i++) {
		char c = ascii_lower(r->text[pos + i]);
		if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'f'))
			return -1;
		code = code << 4 | (uint32_t) (ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
	}
	*out = code;
	return 0;
}

static size_t put_utf8(char *to, uint32_t code) {
	if (code < 0x80) {
		to[0] = (char) code;
		return 1;
	}
	size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
	to[0] = (char) (lead[more] | code >> (6 * more));
	for (size_t i = 1; i <= more; i++)
		to[i] = (char) (0x80 | ((code >> (6 * (more - i))) & 0x3f));
	return more + 1;
}

/* r->pos is at the backslash; on return behind the escape. Six bytes become at most three, twelve four: never longer. */
static int read_escape(struct reader *r, char *to, size_t *wrote) {
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	char c = r->pos + 1 < r->len ? r->text[r->pos + 1] : '\0';
	const char *simple = c ? strchr(from, c) : NULL;
	if (simple) {
		*to = into[simple - from];
		*wrote = 1;
		r->pos += 2;
		return 0;
	}
	uint32_t code, low;
	if (c != 'u' || hex_four(r, r->pos + 2, &code) != 0)
		return fail(r, "an escape is one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
	size_t used = 6;
	if (code >= 0xd800 && code <= 0xdfff) {
		bool has_low = code < 0xdc00 && r->len - r->pos >= 12 && r->text[r->pos + 6] == '\\' && r->text[r->pos + 7] == 'u' &&
			       hex_four(r, r->pos + 8, &low) == 0 && low >= 0xdc00 && low <= 0xdfff;
		if (!has_low)
			return fail(r, "a surrogate must come as a pair \\uD8xx\\uDCxx");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		used = 12;
	}
	*wrote = put_utf8(to, code);
	r->pos += used;
	return 0;
}

/* A character beyond ASCII: checked, copied down, and counted as one column. */
static int read_character(struct reader *r, char *to, size_t *wrote) {
	unsigned char c = (unsigned char) r->text[r->pos];
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (r->len - r->pos < n || !utf8_is_valid(r->text + r->pos, n))
		return fail(r, "text must be UTF-8");
	memmove(to, r->text + r->pos, n);
	*wrote = n;
	r->pos += n;
	r->line_start += n - 1;
	return 0;
}

/* r->pos is at the opening quote; on return behind the closing one. */
static int read_string(struct reader *r, struct str *out) {
	struct place start = place_of(r, r->pos);
	char *to = r->text + ++r->pos;
	const char *from = to;
	while (r->pos < r->len) {
		unsigned char c = (unsigned char) r->text[r->pos];
		size_t wrote = 1;
		if (c == '"') {
			*to = '\0';
			r->pos++;
			*out = (struct str){from, (size_t) (to - from)};
			return 0;
		}
		if (c < 0x20)
			return fail(r, "a control character inside text must be written as \\uXXXX");
		if (c == '\\') {
			if (read_escape(r, to, &wrote) != 0)
				return -1;
		} else if (c >= 0x80) {
			if (read_character(r, to, &wrote) != 0)
				return -1;
		} else {
			*to = (char) c;
			r->pos++;
		}
		to += wrote;
	}
	err_set(r->err, ERR_INVALID, "not JSON: text has no closing quote");
	return fail_at(r, start);
}

static size_t digits(const struct reader *r, size_t pos) {
	while (pos < r->len && ascii_is_digit(r->text[pos]))
		pos++;
	return pos;
}

static char byte_at(const struct reader *r, size_t pos) {
	return pos < r->len ? r->text[pos] : '\0';
}

/* RFC 8259 section 6; the text stays as written. */
static int read_number(struct reader *r) {
	size_t start = r->pos, pos = r->pos;
	if (byte_at(r, pos) == '-')
		pos++;
	size_t whole = pos;
	pos = digits(r, pos);
	bool is_good = pos > whole && !(r->text[whole] == '0' && pos > whole + 1);
	if (is_good && byte_at(r, pos) == '.') {
		size_t fraction = ++pos;
		pos = digits(r, pos);
		is_good = pos > fraction;
	}
	if (is_good && (byte_at(r, pos) == 'e' || byte_at(r, pos) == 'E')) {
		pos++;
		if (byte_at(r, pos) == '+' || byte_at(r, pos) == '-')
			pos++;
		size_t exponent = pos;
		pos = digits(r, pos);
		is_good = pos > exponent;
	}
	if (!is_good)
		return fail(r, "a number is written as -12, 0.5 or 1e6");
	struct value *node = add_node(r, VALUE_NUMBER, place_of(r, start));
	if (!node)
		return -1;
	node->text = (struct str){r->text + start, pos - start};
	r->pos = pos;
	return 0;
}

static int read_word(struct reader *r, const char *word, enum value_kind kind) {
	size_t n = strlen(word);
	if (r->len - r->pos < n || memcmp(r->text + r->pos, word, n) != 0)
		return fail(r, "a value is an object, a list, text in double quotes, a number, true, false or null");
	struct value *node = add_node(r, kind, place_of(r, r->pos));
	if (!node)
		return -1;
	node->boolean = word[0] == 't';
	r->pos += n;
	return 0;
}

static int open_bracket(struct reader *r, enum value_kind kind) {
	struct place at = place_of(r, r->pos);
	if (r->depth >= r->limits.depth_max) {
		err_set(r->err, ERR_LIMIT, "nested deeper than %d", r->limits.depth_max);
		return fail_at(r, at);
	}
	struct value *node = add_node(r, kind, at);
	if (!node)
		return -1;
	r->open[r->depth++] = node;
	r->pos++;
	return 0;
}

static int read_value(struct reader *r, enum state *state) {
	char c = byte_at(r, r->pos);
	*state = r->depth ? WANT_MORE : DONE;
	switch (c) {
	case '{':
		*state = WANT_FIRST_KEY;
		return open_bracket(r, VALUE_OBJECT);
	case '[':
		*state = WANT_FIRST_ITEM;
		return open_bracket(r, VALUE_ARRAY);
	case '"': {
		struct value *node = add_node(r, VALUE_STRING, place_of(r, r->pos));
		return node ? read_string(r, &node->text) : -1;
	}
	case 't':
		return read_word(r, "true", VALUE_BOOL);
	case 'f':
		return read_word(r, "false", VALUE_BOOL);
	case 'n':
		return read_word(r, "null", VALUE_NULL);
	default:
		if (c == '-' || ascii_is_digit(c))
			return read_number(r);
		return fail(r, "a value is an object, a list, text in double quotes, a number, true, false or null");
	}
}

static int read_key(struct reader *r) {
	if (byte_at(r, r->pos) != '"')
		return fail(r, "a member begins with its name in double quotes");
	r->key_at = place_of(r, r->pos);
	if (read_string(r, &r->key) != 0)
		return -1;
	skip_space(r);
	if (byte_at(r, r->pos) != ':')
		return fail(r, "a ':' must follow a member's name");
	r->pos++;
	return 0;
}

static int close_bracket(struct reader *r, enum state *state) {
	struct value *node = r->open[--r->depth];
	r->pos++;
	*state = r->depth ? WANT_MORE : DONE;
	const struct value *first, *second = node->kind == VALUE_OBJECT ? value_duplicate(node, &first) : NULL;
	if (!second)
		return 0;
	err_set(r->err, ERR_INVALID, "\"%.*s\" is there twice, first at %d:%d", STR_ARGS(second->key), first->key_at.line,
		first->key_at.column);
	return fail_at(r, second->key_at);
}

static int read_more(struct reader *r, enum state *state) {
	bool is_object = r->open[r->depth - 1]->kind == VALUE_OBJECT;
	char c = byte_at(r, r->pos);
	if (c == (is_object ? '}' : ']'))
		return close_bracket(r, state);
	if (c != ',')
		return fail(r, is_object ? "',' or '}' must follow a member" : "',' or ']' must follow a list's item");
	r->pos++;
	*state = is_object ? WANT_KEY : WANT_VALUE;
	return 0;
}

static int step(struct reader *r, enum state *state) {
	char c = byte_at(r, r->pos);
	switch (*state) {
	case WANT_FIRST_ITEM:
		if (c == ']')
			return close_bracket(r, state);
		return read_value(r, state);
	case WANT_FIRST_KEY:
		if (c == '}')
			return close_bracket(r, state);
		/* fall through */
	case WANT_KEY:
		*state = WANT_VALUE;
		return read_key(r);
	case WANT_MORE:
		return read_more(r, state);
	case WANT_VALUE:
	case DONE:
		break;
	}
	return read_value(r, state);
}

int json_read(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err) {
	assert(limits.depth_max < VALUE_DEPTH_MAX);
	if (text.len > limits.bytes_max) {
		err_set(err, ERR_LIMIT, "%zu bytes, at most %zu", text.len, limits.bytes_max);
		return err_at(err, "%s", name);
	}
	AUTO_DOCUMENT struct document *document = document_new(name);
	struct reader r = {.document = document, .len = text.len, .line = 1, .limits = limits, .err = err};
	r.text = arena_text_n(&document->memory, text.ptr, text.len);
	if (!r.text)
		return err_set(err, ERR_LIMIT, "no memory for %zu bytes", text.len);
	if (text.len >= 3 && memcmp(r.text, "\xef\xbb\xbf", 3) == 0)
		return fail(&r, "a file begins with its value, not with a byte order mark");
	enum state state = WANT_VALUE;
	while (state != DONE) {
		skip_space(&r);
		if (step(&r, &state) != 0)
			return -1;
	}
	skip_space(&r);
	if (r.pos < r.len)
		return fail(&r, "nothing may follow the value");
	*out = take(&document);
	return 0;
}

static size_t character_length(const char *text, size_t left) {
	unsigned char c = (unsigned char) *text;
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	return n <= left && utf8_is_valid(text, n) ? n : 0;
}

/* What is not UTF-8 becomes U+FFFD, a byte each: the output is always JSON. */
void json_quote(struct buf *out, struct str text) {
	buf_char(out, '"');
	for (size_t i = 0; i < text.len;) {
		char c = text.ptr[i];
		size_t n = character_length(text.ptr + i, text.len - i);
		static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
		const char *simple = c ? strchr(from, c) : NULL;
		if (!n)
			buf_text(out, "\xef\xbf\xbd");
		else if (simple)
			buf_format(out, "\\%c", into[simple - from]);
		else if ((unsigned char) c < 0x20 || c == 0x7f)
			buf_format(out, "\\u%04x", (unsigned) (unsigned char) c);
		else
			buf_add(out, text.ptr + i, n);
		i += n ? n : 1;
	}
	buf_char(out, '"');
}
