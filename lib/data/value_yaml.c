#include "data/tree.h"

#include <assert.h>
#include <yaml.h>

/* libyaml gives events, the tree is made here: duplicates, aliases, anchors, tags, merge keys and depth are this file's business.
 *
 * libyaml is quadratic in its flow depth and has no limit. It looks at most 1,024 characters ahead of the event it hands out, so that a
 * text nested too deeply is refused after that many, whatever its length. */
struct composer {
	yaml_parser_t parser;
	struct document *document;
	struct str text;
	struct value_limits limits;
	size_t nodes;
	struct value *open[VALUE_DEPTH_MAX];
	int depth;
	bool has_key;
	struct str key;
	struct place key_at;
	int documents;
	bool is_many;
	int flow_depth;	       /* how many of the open ones are in brackets */
	struct place block_at; /* the innermost open one that is not */
	size_t checked_line;   /* of lines inside brackets, by libyaml's count */
	bool was_mapping;      /* the last event opened one */
	size_t gap_from;       /* where the last event ended, in bytes */
	struct cursor {
		size_t index, pos; /* libyaml's marks count characters, the text bytes */
	} cursor;
	struct err *err;
};

static struct place place_of(yaml_mark_t mark) {
	return (struct place){(int) mark.line + 1, (int) mark.column + 1};
}

static int fail_at(struct composer *c, struct place at) {
	return err_at(c->err, "%s:%d:%d", c->document->name, at.line, at.column);
}

static int refuse(struct composer *c, yaml_mark_t mark, const char *words) {
	err_set(c->err, ERR_INVALID, "not accepted: %s", words);
	return fail_at(c, place_of(mark));
}

/* What libyaml says, and what a person needs to hear. */
static const struct {
	const char *theirs, *ours;
} problems[] = {
	{"did not find expected key",
		"this line does not fit: it is indented otherwise than the keys above it, or a quote or bracket above is not closed"},
	{"did not find expected '-' indicator", "this line does not fit: items of a list begin with '- ' in one column"},
	{"did not find expected ',' or ']'", "a ',' or ']' is missing in a list in brackets"},
	{"did not find expected ',' or '}'", "a ',' or '}' is missing in a mapping in braces"},
	{"did not find expected node content", "a value is missing here"},
	{"could not find expected ':'", "a ':' is missing after the key"},
	{"mapping values are not allowed in this context",
		"a ':' does not fit here: the line is indented too far, or text that holds ': ' needs quotes"},
	{"mapping keys are not allowed in this context", "a '?' does not fit here"},
	{"block sequence entries are not allowed in this context", "a list's '- ' does not fit here: put it on a line of its own"},
	{"found unexpected end of stream", "text has no closing quote"},
	{"found unexpected document indicator", "text in quotes has no closing quote before '---' or '...'"},
	{"found a tab character where an indentation space is expected", "a tab indents: use spaces"},
	{"found a tab character that violates indentation", "a tab indents: use spaces"},
	{"found unexpected ':'", "a ':' does not fit here: put text that holds one in quotes"},
	{"found unknown directive name", "directives ('%') are not supported: leave the line out"},
	{"did not find expected alphabetic or numeric character", "anchors ('&') and aliases ('*') are not supported: use quotes"},
	{"found unknown escape character", "this escape is unknown: in double quotes write \\\\ for a backslash, or use single quotes"},
	{"did not find expected hexdecimal number", "an escape \\x, \\u or \\U needs 2, 4 or 8 hex digits"},
	{"found invalid Unicode character escape code", "this escape names no character"},
	{"did not find expected comment or line break", "only a comment may stand behind '|' or '>'"},
	{"did not find expected <document start>", "nothing may follow the value here"},
	{"found undefined tag handle", "tags ('!') are not supported: quote text that begins with '!'"},
	{"control characters are not allowed", "a control character stands here"},
	{"found an indentation indicator equal to 0", "the number behind '|' or '>' is 1 to 9"},
	{"found duplicate %YAML directive", "%YAML is there twice"},
	{"found incompatible YAML document", "%YAML must be 1.1 or 1.2"},
};

static bool is_inside_character(const struct composer *c, size_t pos) {
	return pos < c->text.len && (c->text.ptr[pos] & 0xc0) == 0x80;
}

/* Moves the cursor to a mark and returns its byte. Marks go back a little, if at all, so a text is walked about once. */
static size_t seek(struct composer *c, yaml_mark_t mark) {
	struct cursor *at = &c->cursor;
	for (; at->index < mark.index && at->pos < c->text.len; at->index++)
		for (at->pos++; is_inside_character(c, at->pos);)
			at->pos++;
	for (; at->index > mark.index && at->pos > 0; at->index--)
		for (at->pos--; is_inside_character(c, at->pos);)
			at->pos--;
	return at->pos;
}

static char byte_at(const struct composer *c, size_t pos) {
	return pos < c->text.len ? c->text.ptr[pos] : '\0';
}

static bool is_space(char byte) {
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\0';
}

static yaml_mark_t mark_of(const struct composer *c, size_t pos) {
	yaml_mark_t mark = {0};
	for (size_t i = 0; i < pos && i < c->text.len; i++) {
		if (is_inside_character(c, i))
			continue;
		mark.index++;
		mark.column++;
		if (c->text.ptr[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static int fail_parser(struct composer *c) {
	const yaml_parser_t *p = &c->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(c->err, ERR_LIMIT, "%s: no memory to read it", c->document->name);
	const char *problem = p->problem ? p->problem : "it cannot be read";
	yaml_mark_t mark = p->problem_mark;
	if (p->error == YAML_READER_ERROR) /* it reads ahead: only the offset is right */
		mark = mark_of(c, p->problem_offset);
	const char *words = problem;
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
		if (strcmp(problem, problems[i].theirs) == 0)
			words = problems[i].ours;
	char at = byte_at(c, seek(c, mark));
	bool is_start = strcmp(problem, "found character that cannot start any token") == 0;
	if (is_start && at == '\t')
		words = "a tab indents: use spaces";
	if (is_start && at != '\t')
		err_set(c->err, ERR_INVALID, "not YAML: text cannot begin with '%c': put it in quotes", at);
	else if (p->context && (strstr(p->context, "flow sequence") || strstr(p->context, "flow mapping")))
		err_set(c->err, ERR_INVALID, "not YAML: %s that begins in line %zu", words, p->context_mark.line + 1);
	else
		err_set(c->err, ERR_INVALID, "not YAML: %s", words);
	/* "no closing quote" belongs to the opening one. */
	if (p->context && strstr(p->context, "quoted scalar") && strstr(words, "no closing quote"))
		mark = p->context_mark;
	return fail_at(c, place_of(mark));
}

static struct value *add_node(struct composer *c, enum value_kind kind, yaml_mark_t mark) {
	struct place at = place_of(mark);
	struct value *node = ++c->nodes > c->limits.nodes_max ? NULL : value_new(c->document, kind);
	if (!node) {
		err_set(c->err, ERR_LIMIT, "more than %zu values", c->nodes - 1);
		fail_at(c, at);
		return NULL;
	}
	node->at = at;
	if (!c->depth) {
		c->document->root = node;
		return node;
	}
	struct value *parent = c->open[c->depth - 1];
	if (parent->kind == VALUE_OBJECT) {
		node->key = c->key;
		node->key_at = c->key_at;
		c->has_key = false;
	}
	value_append(parent, node);
	return node;
}

static bool is_one_of(struct str text, const char *a, const char *b, const char *c) {
	return str_is(text, a) || str_is(text, b) || str_is(text, c);
}

/* "0o17" and "0x1f" of the core schema, as decimal text. */
static bool read_radix(struct composer *c, struct str text, struct str *out) {
	if (text.len < 3 || text.len > 18 || text.ptr[0] != '0' || (text.ptr[1] != 'o' && text.ptr[1] != 'x'))
		return false;
	int64_t number = 0, radix = text.ptr[1] == 'o' ? 8 : 16;
	for (size_t i = 2; i < text.len; i++) {
		char d = ascii_lower(text.ptr[i]);
		int digit = ascii_is_digit(d) ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 : 99;
		if (digit >= radix || num_mul(number, radix, &number) || num_add(number, digit, &number))
			return false;
	}
	char decimal[24];
	int n = snprintf(decimal, sizeof(decimal), "%lld", (long long) number);
	*out = (struct str){arena_text_n(&c->document->memory, decimal, (size_t) n), (size_t) n};
	return out->ptr != NULL;
}

static size_t digits(struct str text, size_t pos) {
	while (pos < text.len && ascii_is_digit(text.ptr[pos]))
		pos++;
	return pos;
}

#define NUMBER_TEXT_MAX 400

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? of the core schema, written as JSON writes it. */
static bool read_decimal(struct composer *c, struct str text, struct str *out) {
	if (!text.len || text.len > NUMBER_TEXT_MAX)
		return false;
	bool is_negative = text.ptr[0] == '-';
	size_t start = is_negative || text.ptr[0] == '+';
	size_t whole = digits(text, start), pos = whole;
	struct str fraction = {0};
	if (pos < text.len && text.ptr[pos] == '.') {
		size_t end = digits(text, pos + 1);
		fraction = (struct str){text.ptr + pos + 1, end - pos - 1};
		pos = end;
	}
	if (whole == start && !fraction.len)
		return false;
	struct str exponent = {text.ptr + pos, text.len - pos};
	if (exponent.len) {
		bool has_sign = exponent.len > 1 && (exponent.ptr[1] == '-' || exponent.ptr[1] == '+');
		if (ascii_lower(exponent.ptr[0]) != 'e' || exponent.len < (has_sign ? 3u : 2u) ||
			digits(text, pos + 1 + has_sign) != text.len)
			return false;
	}
	while (start + 1 < whole && text.ptr[start] == '0')
		start++;
	AUTO_BUF struct buf json = BUF(NUMBER_TEXT_MAX + 8);
	buf_text(&json, is_negative ? "-" : "");
	buf_str(&json, whole > start ? (struct str){text.ptr + start, whole - start} : STR("0"));
	if (fraction.ptr) {
		buf_char(&json, '.');
		buf_str(&json, fraction.len ? fraction : STR("0"));
	}
	buf_str(&json, exponent);
	*out = (struct str){arena_text_n(&c->document->memory, json.ptr, json.len), json.len};
	return out->ptr != NULL;
}

/* The core schema's kind of a plain scalar. .inf and .nan stay text: JSON has no word for them. */
static enum value_kind plain_kind(struct composer *c, struct str text, struct str *number, bool *boolean) {
	if (text.len == 0 || str_is(text, "~") || is_one_of(text, "null", "Null", "NULL"))
		return VALUE_NULL;
	*boolean = is_one_of(text, "true", "True", "TRUE");
	if (*boolean || is_one_of(text, "false", "False", "FALSE"))
		return VALUE_BOOL;
	return read_radix(c, text, number) || read_decimal(c, text, number) ? VALUE_NUMBER : VALUE_STRING;
}

static bool wants_key(const struct composer *c) {
	return c->depth && c->open[c->depth - 1]->kind == VALUE_OBJECT && !c->has_key;
}

static int on_scalar(struct composer *c, const yaml_event_t *event) {
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	size_t len = event->data.scalar.length;
	const char *copy = arena_text_n(&c->document->memory, (const char *) event->data.scalar.value, len);
	if (!copy)
		return err_set(c->err, ERR_LIMIT, "%s: no memory to read it", c->document->name);
	struct str text = {copy, len};
	if (wants_key(c)) {
		if (is_plain && str_is(text, "<<"))
			return refuse(c, event->start_mark, "merge keys ('<<') are not supported: write the keys out");
		c->has_key = true;
		c->key = text;
		c->key_at = place_of(event->start_mark);
		return 0;
	}
	struct str number = {0};
	bool boolean = false;
	enum value_kind kind = is_plain ? plain_kind(c, text, &number, &boolean) : VALUE_STRING;
	struct value *node = add_node(c, kind, event->start_mark);
	if (!node)
		return -1;
	node->boolean = boolean;
	if (kind == VALUE_STRING)
		node->text = text;
	else if (kind == VALUE_NUMBER)
		node->text = number;
	return 0;
}

static int on_open(struct composer *c, const yaml_event_t *event, enum value_kind kind, bool is_block) {
	if (wants_key(c))
		return refuse(c, event->start_mark, "a key must be text, not a list or a mapping");
	if (c->depth >= c->limits.depth_max) {
		err_set(c->err, ERR_LIMIT, "nested deeper than %d", c->limits.depth_max);
		return fail_at(c, place_of(event->start_mark));
	}
	struct value *node = add_node(c, kind, event->start_mark);
	if (!node)
		return -1;
	c->open[c->depth++] = node;
	if (is_block) {
		c->block_at = node->at;
	} else if (!c->flow_depth++) {
		c->checked_line = event->start_mark.line;
	}
	return 0;
}

static int on_close(struct composer *c) {
	struct value *node = c->open[--c->depth];
	if (c->flow_depth)
		c->flow_depth--;
	else
		c->block_at = c->depth ? c->open[c->depth - 1]->at : (struct place){0};
	const struct value *first, *second = node->kind == VALUE_OBJECT ? value_duplicate(node, &first) : NULL;
	if (!second)
		return 0;
	err_set(c->err, ERR_INVALID, "%.*s is there twice, first in line %d", STR_ARGS(second->key), first->key_at.line);
	return fail_at(c, second->key_at);
}

static int on_document(struct composer *c, const yaml_event_t *event) {
	if (c->documents++ && !c->is_many)
		return refuse(c, event->start_mark, "a second document begins here: one is allowed");
	if (event->data.document_start.version_directive)
		return refuse(c, event->start_mark, "%YAML directives are not supported: leave the line out");
	if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
		return refuse(c, event->start_mark, "%TAG directives are not supported");
	return 0;
}

/* Anchors and tags stand on three kinds of events. */
static int check_properties(struct composer *c, const yaml_event_t *event) {
	const yaml_char_t *anchor = NULL, *tag = NULL;
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor)
		return refuse(
			c, event->start_mark, "anchors ('&') are not supported: quote text that begins with '&', or write the value out");
	if (tag)
		return refuse(c, event->start_mark, "tags ('!') are not supported: quote text that begins with '!'");
	return 0;
}

/* Between two events stand spaces, comments and indicators. libyaml takes a '#' for a comment without a space before it, and in brackets a
 * '?' for an indicator without one after it. */
static int check_gap(struct composer *c, const yaml_event_t *event) {
	size_t end = seek(c, event->start_mark);
	bool is_comment = false;
	char before = c->gap_from ? byte_at(c, c->gap_from - 1) : '\n';
	for (size_t pos = c->gap_from; pos < end; pos++) {
		char byte = c->text.ptr[pos];
		if (byte == '#' && !is_comment && !is_space(before))
			return refuse(c, event->start_mark, "a comment needs a space before its '#': put text that holds one in quotes");
		is_comment = byte != '\n' && (is_comment || byte == '#');
		before = byte;
	}
	if ((end > c->gap_from || c->was_mapping) && before == '?' && !is_comment)
		return refuse(c, event->start_mark, "text in brackets that begins with '?' needs quotes");
	return 0;
}

static size_t count_spaces(const struct composer *c, size_t pos) {
	size_t from = pos;
	while (byte_at(c, pos) == ' ')
		pos++;
	return pos - from;
}

static size_t line_end(const struct composer *c, size_t pos) {
	while (pos < c->text.len && c->text.ptr[pos] != '\n')
		pos++;
	return pos;
}

/* YAML 1.2 section 7.4: lines inside brackets or quotes are indented deeper than the block around them, with spaces. libyaml does not mind.
 */
static int check_indent(struct composer *c, size_t line_start, int line) {
	size_t spaces = count_spaces(c, line_start);
	char first = byte_at(c, line_start + spaces);
	if (!c->block_at.line || spaces >= (size_t) c->block_at.column || is_space(first) || first == ']' || first == '}') {
		bool has_tab = c->block_at.line && spaces < (size_t) c->block_at.column && first == '\t';
		size_t pos = line_start + spaces;
		while (has_tab && (byte_at(c, pos) == '\t' || byte_at(c, pos) == ' '))
			pos++;
		if (!has_tab || is_space(byte_at(c, pos)))
			return 0;
	}
	err_set(c->err, ERR_INVALID,
		first == '\t' ? "not YAML: a tab indents: use spaces"
			      : "not YAML: a line inside brackets or quotes is indented deeper than their key; or one above is not closed");
	return fail_at(c, (struct place){line, (int) spaces + 1});
}

static int check_flow(struct composer *c, const yaml_event_t *event) {
	if (!c->flow_depth || event->start_mark.line <= c->checked_line)
		return 0;
	c->checked_line = event->start_mark.line;
	size_t line_start = seek(c, event->start_mark);
	while (line_start > 0 && c->text.ptr[line_start - 1] != '\n')
		line_start--;
	return check_indent(c, line_start, (int) event->start_mark.line + 1);
}

static int check_lines(struct composer *c, const yaml_event_t *event) {
	size_t end = seek(c, event->end_mark), pos = seek(c, event->start_mark);
	int line = (int) event->start_mark.line + 1;
	while ((pos = line_end(c, pos)) < end)
		if (check_indent(c, ++pos, ++line) != 0)
			return -1;
	return 0;
}

/* Behind '|' or '>': its indicators, then space; and no blank line that is indented deeper than the first with text. */
static int check_block_scalar(struct composer *c, const yaml_event_t *event) {
	size_t pos = seek(c, event->start_mark) + 1;
	bool is_explicit = false;
	for (; byte_at(c, pos) == '+' || byte_at(c, pos) == '-' || ascii_is_digit(byte_at(c, pos)); pos++)
		is_explicit |= ascii_is_digit(byte_at(c, pos));
	if (!is_space(byte_at(c, pos)))
		return refuse(c, event->start_mark, "only a space and a comment may stand behind '|' or '>'");
	size_t blank_most = 0;
	while ((pos = line_end(c, pos)) < c->text.len) {
		size_t spaces = count_spaces(c, ++pos);
		char first = byte_at(c, pos + spaces);
		if (first == '\n' || first == '\r' || first == '\0') {
			blank_most = spaces > blank_most ? spaces : blank_most;
			continue;
		}
		if (!is_explicit && blank_most > spaces && spaces + 1 > (size_t) c->block_at.column)
			return refuse(c, event->start_mark, "a blank line is indented deeper than the text that follows it");
		break;
	}
	return 0;
}

/* What libyaml lets through although YAML 1.2 does not. */
static int check_source(struct composer *c, const yaml_event_t *event) {
	if (check_gap(c, event) != 0 || check_flow(c, event) != 0)
		return -1;
	if (event->type != YAML_SCALAR_EVENT)
		return 0;
	switch (event->data.scalar.style) {
	case YAML_PLAIN_SCALAR_STYLE:
		if (c->flow_depth && event->data.scalar.length == 1 && event->data.scalar.value[0] == '-')
			return refuse(c, event->start_mark, "a single '-' in brackets needs quotes");
		return c->flow_depth ? check_lines(c, event) : 0;
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		return check_lines(c, event);
	default:
		return check_block_scalar(c, event);
	}
}

static int on_event(struct composer *c, const yaml_event_t *event) {
	if (check_properties(c, event) != 0 || check_source(c, event) != 0)
		return -1;
	size_t end = seek(c, event->end_mark);
	c->gap_from = end > c->gap_from ? end : c->gap_from;
	c->was_mapping = event->type == YAML_MAPPING_START_EVENT;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(c, event);
	case YAML_ALIAS_EVENT:
		return refuse(
			c, event->start_mark, "aliases ('*') are not supported: quote text that begins with '*', or write the value out");
	case YAML_SCALAR_EVENT:
		return on_scalar(c, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(c, event, VALUE_ARRAY, event->data.sequence_start.style == YAML_BLOCK_SEQUENCE_STYLE);
	case YAML_MAPPING_START_EVENT:
		return on_open(c, event, VALUE_OBJECT, event->data.mapping_start.style == YAML_BLOCK_MAPPING_STYLE);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(c);
	default:
		return 0;
	}
}

static int compose(struct composer *c) {
	for (bool is_done = false; !is_done;) {
		yaml_event_t event __attribute__((cleanup(yaml_event_delete))) = {0};
		if (!yaml_parser_parse(&c->parser, &event))
			return fail_parser(c);
		if (on_event(c, &event) != 0)
			return -1;
		is_done = event.type == YAML_STREAM_END_EVENT;
	}
	if (!c->document->root && !add_node(c, VALUE_NULL, (yaml_mark_t){0}))
		return -1;
	return 0;
}

/* The documents are the items of a list, which no event opens or closes. */
static int open_many(struct composer *c) {
	if (!value_root_array(c->document))
		return err_set(c->err, ERR_LIMIT, "%s: no memory to read it", c->document->name);
	c->open[c->depth++] = c->document->root;
	c->limits.depth_max++;
	return 0;
}

static void drop_nulls(struct value *list) {
	struct value **at = &list->first;
	list->last = NULL;
	while (*at) {
		if ((*at)->kind == VALUE_NULL) {
			*at = (*at)->next;
			list->count--;
		} else {
			list->last = *at;
			at = &(*at)->next;
		}
	}
}

static int read_text(const char *name, struct str text, struct value_limits limits, bool is_many, struct document **out, struct err *err) {
	assert(limits.depth_max < VALUE_DEPTH_MAX);
	if (text.len > limits.bytes_max) {
		err_set(err, ERR_LIMIT, "%zu bytes, at most %zu", text.len, limits.bytes_max);
		return err_at(err, "%s", name);
	}
	if (text.len && !utf8_is_valid(text.ptr, text.len)) {
		err_set(err, ERR_INVALID, "not YAML: text must be UTF-8");
		return err_at(err, "%s", name);
	}
	if (text.len && str_starts(text, "\xef\xbb\xbf"))
		text = (struct str){text.ptr + 3, text.len - 3};
	AUTO_FREE char *ended = NULL;
	if (text.len && text.ptr[text.len - 1] != '\n') { /* libyaml loses blank lines of a block scalar at an end without one */
		ended = mem_format("%.*s\n", STR_ARGS(text));
		text = str_of(ended);
	}
	AUTO_DOCUMENT struct document *document = document_new(name);
	struct composer c = {.document = document, .text = text, .limits = limits, .is_many = is_many, .err = err};
	if (is_many && open_many(&c) != 0)
		return -1;
	if (!yaml_parser_initialize(&c.parser))
		return err_set(err, ERR_LIMIT, "%s: no memory to read it", name);
	yaml_parser_set_encoding(&c.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&c.parser, (const unsigned char *) (text.ptr ? text.ptr : ""), text.len);
	int rc = compose(&c);
	yaml_parser_delete(&c.parser);
	if (rc == 0 && is_many)
		drop_nulls(document->root);
	if (rc == 0)
		*out = take(&document);
	return rc;
}

int yaml_read(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err) {
	return read_text(name, text, limits, false, out, err);
}

int yaml_read_all(const char *name, struct str text, struct value_limits limits, struct document **out, struct err *err) {
	return read_text(name, text, limits, true, out, err);
}
