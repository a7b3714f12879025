#include "runner/ops/pattern.h"

#include <stdint.h>

#define REPEAT_MAX 255
#define CODE_POINT_MAX 0x10ffff
#define NONE UINT32_MAX

/* The states of an automaton. SPLIT goes two ways without reading; RANGES reads one character; the rest looks at the place only. */
enum state_kind { STATE_RANGES, STATE_SPLIT, STATE_JUMP, STATE_START, STATE_END, STATE_WORD_EDGE, STATE_NO_WORD_EDGE, STATE_MATCH };

struct state {
	enum state_kind kind;
	uint32_t next, other;   /* other: SPLIT's second way */
	uint32_t ranges, count; /* RANGES: which of the pattern's ranges */
	bool is_negated;
};

struct range {
	uint32_t from, to;
};

struct pattern {
	uint32_t count, start, ranges_count;
	struct state states[PATTERN_STATES_MAX];
	struct range ranges[PATTERN_RANGES_MAX];
};

/* A piece of the automaton under construction: it starts at `start` and its ends all jump to `end`, a JUMP still open. */
struct piece {
	uint32_t start, end;
};

/* One open parenthesis: what alternatives are done, and the sequence that grows. */
struct level {
	struct piece done, sequence, last; /* start NONE: nothing yet */
	size_t last_from;                  /* where `last` begins in the pattern, to build it again for {m,n} */
};

struct compiler {
	struct str text;
	size_t at;
	struct pattern *pattern;
	struct err *err;
	struct level levels[PATTERN_DEPTH_MAX];
	int depth;
};

static int refuse(struct compiler *compiler, const char *what) {
	return err_set(compiler->err, ERR_INVALID, "the pattern '%.*s' is not supported at byte %zu: %s", STR_ARGS(compiler->text), compiler->at, what);
}

static int add_state(struct compiler *compiler, enum state_kind kind, uint32_t next, uint32_t other, uint32_t *out) {
	struct pattern *pattern = compiler->pattern;
	if (pattern->count == PATTERN_STATES_MAX)
		return refuse(compiler, "it is too large");
	*out = pattern->count;
	pattern->states[pattern->count++] = (struct state) {.kind = kind, .next = next, .other = other};
	return 0;
}

/* Reads one state that goes on to an open end. */
static int add_piece(struct compiler *compiler, enum state_kind kind, struct piece *out) {
	struct piece piece = {NONE, NONE};
	if (add_state(compiler, STATE_JUMP, NONE, NONE, &piece.end) != 0 || add_state(compiler, kind, piece.end, NONE, &piece.start) != 0)
		return -1;
	*out = piece;
	return 0;
}

static int add_range(struct compiler *compiler, struct state *state, uint32_t from, uint32_t to) {
	struct pattern *pattern = compiler->pattern;
	if (pattern->ranges_count == PATTERN_RANGES_MAX)
		return refuse(compiler, "it has too many ranges");
	pattern->ranges[pattern->ranges_count++] = (struct range) {from, to};
	state->count++;
	return 0;
}

static struct piece joined(struct compiler *compiler, struct piece a, struct piece b) {
	if (a.start == NONE)
		return b;
	if (b.start == NONE)
		return a;
	compiler->pattern->states[a.end].next = b.start;
	return (struct piece) {a.start, b.end};
}

/* The last atom cannot be repeated any more: it becomes part of the sequence. */
static void settle(struct compiler *compiler) {
	struct level *level = &compiler->levels[compiler->depth];
	level->sequence = joined(compiler, level->sequence, level->last);
	level->last = (struct piece) {NONE, NONE};
}

static int empty_piece(struct compiler *compiler, struct piece *out) {
	return add_piece(compiler, STATE_JUMP, out);
}

/* Ends an alternative: `done | sequence`. */
static int close_alternative(struct compiler *compiler) {
	struct level *level = &compiler->levels[compiler->depth];
	settle(compiler);
	if (level->sequence.start == NONE && empty_piece(compiler, &level->sequence) != 0)
		return -1;
	if (level->done.start == NONE) {
		level->done = level->sequence;
	} else {
		struct piece piece;
		if (add_state(compiler, STATE_SPLIT, level->done.start, level->sequence.start, &piece.start) != 0)
			return -1;
		piece.end = level->sequence.end;
		compiler->pattern->states[level->done.end].next = piece.end;
		level->done = piece;
	}
	level->sequence = (struct piece) {NONE, NONE};
	return 0;
}

/* One character of UTF-8; text that is not UTF-8 is read byte by byte. */
static uint32_t decode(struct str text, size_t at, size_t *len) {
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char) text.ptr[at];
	size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
	uint32_t point = size == 1 ? first : first & (0x7fU >> size);
	*len = 1;
	if (size == 1 || size > text.len - at)
		return first;
	for (size_t i = 1; i < size; i++) {
		unsigned char byte = (unsigned char) text.ptr[at + i];
		if ((byte & 0xc0) != 0x80)
			return first;
		point = point << 6 | (byte & 0x3f);
	}
	if (point < least[size] || point > CODE_POINT_MAX)
		return first;
	*len = size;
	return point;
}

static const struct range digits[] = {{'0', '9'}}, words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, spaces[] = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};

static const struct range *class_of(char c, size_t *count) {
	switch (ascii_lower(c)) {
	case 'd': *count = 1; return digits;
	case 'w': *count = 4; return words;
	case 's': *count = 3; return spaces;
	default: return NULL;
	}
}

/* \d and its like in a list of ranges; the negated ones become the gaps between. */
static int add_class(struct compiler *compiler, struct state *state, char c) {
	size_t count = 0;
	const struct range *ranges = class_of(c, &count);
	uint32_t from = 0;
	for (size_t i = 0; i < count; i++) {
		if (!ascii_is_upper(c)) {
			if (add_range(compiler, state, ranges[i].from, ranges[i].to) != 0)
				return -1;
			continue;
		}
		if (add_range(compiler, state, from, ranges[i].from - 1) != 0)
			return -1;
		from = ranges[i].to + 1;
	}
	return ascii_is_upper(c) ? add_range(compiler, state, from, CODE_POINT_MAX) : 0;
}

static int hex_digit(char c) {
	return ascii_is_digit(c) ? c - '0' : ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f' ? ascii_lower(c) - 'a' + 10 : -1;
}

/* The character behind a backslash, `at` on it. */
static int read_escape(struct compiler *compiler, uint32_t *point) {
	static const char names[] = "ntrfva", values[] = "\n\t\r\f\v\a";
	char c = compiler->text.ptr[compiler->at];
	const char *name = c ? strchr(names, c) : NULL;
	if (name) {
		*point = (unsigned char) values[name - names];
	} else if (c == 'x' && compiler->at + 2 < compiler->text.len && hex_digit(compiler->text.ptr[compiler->at + 1]) >= 0 &&
		   hex_digit(compiler->text.ptr[compiler->at + 2]) >= 0) {
		*point = (uint32_t) (hex_digit(compiler->text.ptr[compiler->at + 1]) * 16 + hex_digit(compiler->text.ptr[compiler->at + 2]));
		compiler->at += 2;
	} else if (ascii_is_alnum(c) || (unsigned char) c >= 0x80) {
		return refuse(compiler, "this escape is not known");
	} else {
		*point = (unsigned char) c;
	}
	compiler->at++;
	return 0;
}

/* One character in brackets, plain or escaped. */
static int read_bracket_char(struct compiler *compiler, uint32_t *point) {
	size_t len;
	if (compiler->text.ptr[compiler->at] != '\\') {
		*point = decode(compiler->text, compiler->at, &len);
		compiler->at += len;
		return 0;
	}
	compiler->at++;
	return compiler->at < compiler->text.len ? read_escape(compiler, point) : refuse(compiler, "it ends in a backslash");
}

/* [...], `at` behind the opening bracket. */
static int read_bracket(struct compiler *compiler, struct state *state) {
	struct str text = compiler->text;
	if (compiler->at < text.len && text.ptr[compiler->at] == '^') {
		state->is_negated = true;
		compiler->at++;
	}
	for (bool is_first = true;; is_first = false) {
		size_t count;
		uint32_t from, to;
		if (compiler->at >= text.len)
			return refuse(compiler, "a bracket is not closed");
		if (text.ptr[compiler->at] == ']' && !is_first) {
			compiler->at++;
			return 0;
		}
		if (text.ptr[compiler->at] == '[' && compiler->at + 1 < text.len && text.ptr[compiler->at + 1] == ':')
			return refuse(compiler, "named classes are not known");
		if (text.ptr[compiler->at] == '\\' && compiler->at + 1 < text.len && class_of(text.ptr[compiler->at + 1], &count)) {
			if (add_class(compiler, state, text.ptr[compiler->at + 1]) != 0)
				return -1;
			compiler->at += 2;
			continue;
		}
		if (read_bracket_char(compiler, &from) != 0)
			return -1;
		to = from;
		if (compiler->at + 1 < text.len && text.ptr[compiler->at] == '-' && text.ptr[compiler->at + 1] != ']') {
			compiler->at++;
			if (read_bracket_char(compiler, &to) != 0)
				return -1;
		}
		if (to < from)
			return refuse(compiler, "a range goes backwards");
		if (add_range(compiler, state, from, to) != 0)
			return -1;
	}
}

/* One character or place: everything that is no operator. */
static int read_atom(struct compiler *compiler, struct piece *out) {
	char c = compiler->text.ptr[compiler->at], escaped = compiler->at + 1 < compiler->text.len ? compiler->text.ptr[compiler->at + 1] : 0;
	enum state_kind kind = c == '^' ? STATE_START : c == '$' ? STATE_END : STATE_RANGES;
	if (c == '\\' && (escaped == 'b' || escaped == 'B'))
		kind = escaped == 'b' ? STATE_WORD_EDGE : STATE_NO_WORD_EDGE;
	struct piece piece;
	size_t count, len;
	if (add_piece(compiler, kind, &piece) != 0)
		return -1;
	*out = piece;
	struct state *state = &compiler->pattern->states[piece.start];
	state->ranges = compiler->pattern->ranges_count;
	if (kind != STATE_RANGES) {
		compiler->at += c == '\\' ? 2 : 1;
		return 0;
	}
	uint32_t point;
	if (c == '.') {
		compiler->at++;
		state->is_negated = true;
		return add_range(compiler, state, '\n', '\n');
	}
	if (c == '[') {
		compiler->at++;
		return read_bracket(compiler, state);
	}
	if (c != '\\') {
		point = decode(compiler->text, compiler->at, &len);
		compiler->at += len;
		return add_range(compiler, state, point, point);
	}
	compiler->at++;
	if (compiler->at >= compiler->text.len)
		return refuse(compiler, "it ends in a backslash");
	if (class_of(escaped, &count)) {
		compiler->at++;
		return add_class(compiler, state, escaped);
	}
	return read_escape(compiler, &point) == 0 ? add_range(compiler, state, point, point) : -1;
}

/* {m}, {m,} or {m,n}; `at` on the brace. max -1: no end. A brace that is none of these is refused. */
static int read_counts(struct compiler *compiler, int *min, int *max) {
	struct str text = compiler->text;
	int numbers[2] = {0, -1};
	size_t at = compiler->at + 1;
	int which = 0;
	bool has_digit = false;
	for (; at < text.len && text.ptr[at] != '}'; at++) {
		char c = text.ptr[at];
		if (c == ',' && which == 0 && has_digit) {
			which = 1;
			has_digit = false;
			continue;
		}
		if (!ascii_is_digit(c))
			return refuse(compiler, "a brace that is no count is written \\{");
		numbers[which] = (numbers[which] < 0 ? 0 : numbers[which]) * 10 + (c - '0');
		has_digit = true;
		if (numbers[which] > REPEAT_MAX)
			return refuse(compiler, "a count is larger than 255");
	}
	if (at >= text.len || (which == 0 && !has_digit))
		return refuse(compiler, "a brace that is no count is written \\{");
	*min = numbers[0];
	*max = which == 0 ? numbers[0] : numbers[1];
	if (*max >= 0 && *max < *min)
		return refuse(compiler, "a count goes backwards");
	compiler->at = at + 1;
	return 0;
}

/* A copy of a piece: its states lie in [from, to) of the list and refer to each other only. */
static int copy_piece(struct compiler *compiler, struct piece piece, uint32_t from, uint32_t to, struct piece *out) {
	uint32_t shift = compiler->pattern->count - from;
	for (uint32_t i = from; i < to; i++) {
		struct state state = compiler->pattern->states[i];
		uint32_t index = 0, next = state.next == NONE ? NONE : state.next + shift, other = state.other == NONE ? NONE : state.other + shift;
		if (add_state(compiler, state.kind, next, other, &index) != 0)
			return -1;
		state.next = next;
		state.other = other;
		compiler->pattern->states[index] = state;
	}
	*out = (struct piece) {piece.start + shift, piece.end + shift};
	compiler->pattern->states[out->end].next = NONE;
	return 0;
}

/* x* when it may be left out, x+ when not; or x? */
static int star(struct compiler *compiler, struct piece *piece, bool is_optional, bool is_repeated) {
	uint32_t split = NONE, end = NONE;
	if (add_state(compiler, STATE_JUMP, NONE, NONE, &end) != 0 || add_state(compiler, STATE_SPLIT, piece->start, end, &split) != 0)
		return -1;
	compiler->pattern->states[piece->end].next = is_repeated ? split : end;
	*piece = (struct piece) {is_optional ? split : piece->start, end};
	return 0;
}

static int repeat(struct compiler *compiler, uint32_t from, struct piece *piece, int min, int max) {
	struct piece original = *piece, result = {NONE, NONE};
	uint32_t to = compiler->pattern->count;
	int copies = max < 0 ? (min > 0 ? min : 1) : max;
	for (int i = 0; i < copies; i++) {
		struct piece copy;
		if (copy_piece(compiler, original, from, to, &copy) != 0)
			return -1;
		bool is_open = max < 0 && i == copies - 1;
		if ((is_open || i >= min) && star(compiler, &copy, i >= min, is_open) != 0)
			return -1;
		result = joined(compiler, result, copy);
	}
	if (result.start == NONE && empty_piece(compiler, &result) != 0)
		return -1;
	*piece = result;
	return 0;
}

static int read_repeat(struct compiler *compiler, uint32_t from) {
	struct level *level = &compiler->levels[compiler->depth];
	char c = compiler->text.ptr[compiler->at];
	int min = c == '+', max = c == '?' ? 1 : -1;
	if (level->last.start == NONE)
		return refuse(compiler, "there is nothing to repeat");
	if (c == '{') {
		if (read_counts(compiler, &min, &max) != 0)
			return -1;
	} else {
		compiler->at++;
	}
	/* The longest match is taken anyway, so a lazy mark changes nothing. */
	if (compiler->at < compiler->text.len && compiler->text.ptr[compiler->at] == '?')
		compiler->at++;
	if (c == '{')
		return repeat(compiler, from, &level->last, min, max);
	return star(compiler, &level->last, min == 0, max < 0);
}

static int open_group(struct compiler *compiler) {
	struct str text = compiler->text;
	compiler->at++;
	if (compiler->at < text.len && text.ptr[compiler->at] == '?') {
		if (compiler->at + 1 >= text.len || text.ptr[compiler->at + 1] != ':')
			return refuse(compiler, "of groups that start with (? only (?: is known");
		compiler->at += 2;
	}
	if (compiler->depth + 1 == PATTERN_DEPTH_MAX)
		return refuse(compiler, "parentheses are nested too deeply");
	settle(compiler);
	compiler->levels[compiler->depth].last_from = compiler->pattern->count;
	struct piece none = {NONE, NONE};
	compiler->levels[++compiler->depth] = (struct level) {none, none, none, compiler->pattern->count};
	return 0;
}

static int close_group(struct compiler *compiler) {
	if (compiler->depth == 0)
		return refuse(compiler, "a parenthesis is closed that was not opened");
	if (close_alternative(compiler) != 0)
		return -1;
	struct piece group = compiler->levels[compiler->depth--].done;
	compiler->levels[compiler->depth].last = group;
	compiler->at++;
	return 0;
}

static int compile(struct compiler *compiler) {
	struct str text = compiler->text;
	while (compiler->at < text.len) {
		struct level *level = &compiler->levels[compiler->depth];
		char c = text.ptr[compiler->at];
		int rc = 0;
		if (c == '(') {
			rc = open_group(compiler);
		} else if (c == ')') {
			rc = close_group(compiler);
		} else if (c == '|') {
			rc = close_alternative(compiler);
			compiler->at++;
		} else if (c == '*' || c == '+' || c == '?' || c == '{') {
			rc = read_repeat(compiler, (uint32_t) level->last_from);
		} else {
			settle(compiler);
			level->last_from = compiler->pattern->count;
			rc = read_atom(compiler, &level->last);
		}
		if (rc != 0)
			return -1;
	}
	if (compiler->depth > 0)
		return refuse(compiler, "a parenthesis is not closed");
	if (close_alternative(compiler) != 0)
		return -1;
	uint32_t match = NONE;
	if (add_state(compiler, STATE_MATCH, NONE, NONE, &match) != 0)
		return -1;
	compiler->pattern->states[compiler->levels[0].done.end].next = match;
	compiler->pattern->start = compiler->levels[0].done.start;
	return 0;
}

int pattern_compile(struct str text, struct arena *memory, const struct pattern **out, struct err *err) {
	if (text.len > PATTERN_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "a pattern of %zu bytes, at most %d are read", text.len, PATTERN_BYTES_MAX);
	struct pattern *pattern = arena_alloc(memory, sizeof(*pattern));
	if (!pattern)
		return err_set(err, ERR_LIMIT, "the model needs more memory to load than is allowed");
	struct piece none = {NONE, NONE};
	struct compiler compiler = {.text = text, .pattern = pattern, .err = err};
	compiler.levels[0] = (struct level) {none, none, none, 0};
	if (compile(&compiler) != 0)
		return -1;
	*out = pattern;
	return 0;
}

/* The states that hold at one place, each with where its match started. Earlier starts come first, so the first to reach a state is the leftmost. */
struct set {
	uint32_t count;
	uint32_t *states;
	size_t *starts;
};

struct search {
	const struct pattern *pattern;
	struct str text;
	uint32_t *marks; /* per state: the step at which it was added */
	uint32_t *stack;
	uint32_t step;
	struct set now, next;
};

size_t pattern_scratch_bytes(const struct pattern *pattern) {
	/* Two sets; marks; and a stack on which every state pushes at most two others. */
	return ((size_t) pattern->count * 2 + 2) * (sizeof(size_t) + sizeof(uint32_t)) + ((size_t) pattern->count * 3 + 2) * sizeof(uint32_t);
}

static bool is_word_at(struct str text, size_t at) {
	return at < text.len && (ascii_is_alnum(text.ptr[at]) || text.ptr[at] == '_');
}

static bool holds(const struct state *state, struct str text, size_t at) {
	bool is_edge = (at > 0 && is_word_at(text, at - 1)) != is_word_at(text, at);
	switch (state->kind) {
	case STATE_START: return at == 0;
	case STATE_END: return at == text.len;
	case STATE_WORD_EDGE: return is_edge;
	case STATE_NO_WORD_EDGE: return !is_edge;
	default: return true;
	}
}

/* Puts a state and all that follow it without reading on the set; true when the match is among them. */
static bool add(struct search *search, struct set *set, uint32_t first, size_t start, size_t at) {
	uint32_t depth = 0;
	bool is_match = false;
	search->stack[depth++] = first;
	while (depth) {
		uint32_t index = search->stack[--depth];
		const struct state *state = &search->pattern->states[index];
		if (search->marks[index] == search->step)
			continue;
		search->marks[index] = search->step;
		if (state->kind == STATE_MATCH) {
			is_match = true;
		} else if (state->kind == STATE_RANGES) {
			set->starts[set->count] = start;
			set->states[set->count++] = index;
		} else if (holds(state, search->text, at)) {
			search->stack[depth++] = state->next;
			if (state->kind == STATE_SPLIT)
				search->stack[depth++] = state->other;
		}
	}
	return is_match;
}

static bool reads(const struct pattern *pattern, const struct state *state, uint32_t point) {
	bool is_in = false;
	for (uint32_t i = 0; i < state->count && !is_in; i++)
		is_in = point >= pattern->ranges[state->ranges + i].from && point <= pattern->ranges[state->ranges + i].to;
	return is_in != state->is_negated;
}

/* Marks are compared with the step, so they are wiped when it starts over. */
static void next_step(struct search *search) {
	if (++search->step == 0) {
		memset(search->marks, 0, search->pattern->count * sizeof(*search->marks));
		search->step = 1;
	}
}

bool pattern_find(const struct pattern *pattern, struct str text, size_t from, size_t *start, size_t *len, void *scratch) {
	struct search search = {.pattern = pattern, .text = text};
	search.now.starts = scratch;
	search.next.starts = search.now.starts + pattern->count + 1;
	search.now.states = (uint32_t *) (search.next.starts + pattern->count + 1);
	search.next.states = search.now.states + pattern->count + 1;
	search.marks = search.next.states + pattern->count + 1;
	search.stack = search.marks + pattern->count;
	memset(search.marks, 0, pattern->count * sizeof(*search.marks));
	size_t best_start = SIZE_MAX, best_end = 0;
	next_step(&search);
	for (size_t at = from;;) {
		/* A match may start here too, after all that started before; not once one was found, which is further left. */
		if (best_start == SIZE_MAX && add(&search, &search.now, pattern->start, at, at))
			best_start = best_end = at;
		if (at >= text.len || (search.now.count == 0 && best_start != SIZE_MAX))
			break;
		size_t step;
		uint32_t point = decode(text, at, &step);
		at += step;
		search.next.count = 0;
		next_step(&search);
		for (uint32_t i = 0; i < search.now.count && search.now.starts[i] <= best_start; i++) {
			const struct state *state = &pattern->states[search.now.states[i]];
			size_t began = search.now.starts[i];
			if (reads(pattern, state, point) && add(&search, &search.next, state->next, began, at)) {
				best_start = began;
				best_end = at;
			}
		}
		struct set swap = search.now;
		search.now = search.next;
		search.next = swap;
	}
	*start = best_start;
	*len = best_end - (best_start == SIZE_MAX ? 0 : best_start);
	return best_start != SIZE_MAX;
}
