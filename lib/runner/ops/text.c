/* Text: StringNormalizer, com.microsoft Tokenizer, TfIdfVectorizer. Case is changed by Unicode's simple mappings of Latin, Greek, Cyrillic
 * and Armenian (of ASCII only when the model says locale "C"), never by the C library's locale, so a model answers the same everywhere. */
#include "runner/ops/kernels.h"

#include "base/num.h"
#include "runner/model/lookup.h"
#include "runner/ops/pattern.h"

enum case_change { CASE_NONE, CASE_LOWER, CASE_UPPER };

struct normalizer {
	size_t change;
	bool is_ascii_only; /* the locale is "C" */
	int64_t is_case_sensitive;
	size_t stopwords_count;
	struct lookup stopwords;
};

/* Simple case mappings, by ranges: letters that differ by a fixed distance, or that alternate (upper is even or odd). */
struct case_range {
	uint32_t from, to; /* of the upper-case letters */
	int32_t distance;  /* to the lower-case one; 0: alternating, the upper has the parity of `from` */
};
static const struct case_range case_ranges[] = {
	{0x41, 0x5a, 32},     {0xc0, 0xd6, 32},     {0xd8, 0xde, 32},     {0x100, 0x12e, 0},    {0x132, 0x136, 0},    {0x139, 0x147, 0},
	{0x14a, 0x176, 0},    {0x178, 0x178, -121}, {0x179, 0x17d, 0},    {0x1cd, 0x1db, 0},    {0x1de, 0x1ee, 0},    {0x1f8, 0x21e, 0},
	{0x222, 0x232, 0},    {0x386, 0x386, 38},   {0x388, 0x38a, 37},   {0x38c, 0x38c, 64},   {0x38e, 0x38f, 63},   {0x391, 0x3a1, 32},
	{0x3a3, 0x3ab, 32},   {0x400, 0x40f, 80},   {0x410, 0x42f, 32},   {0x460, 0x480, 0},    {0x48a, 0x4be, 0},    {0x4d0, 0x52e, 0},
	{0x531, 0x556, 48},   {0x1e00, 0x1e94, 0},  {0x1ea0, 0x1efe, 0},
};

static uint32_t change_point(uint32_t point, bool to_lower, bool is_ascii_only) {
	if (is_ascii_only && point >= 0x80)
		return point;
	for (size_t i = 0; i < sizeof(case_ranges) / sizeof(case_ranges[0]); i++) {
		const struct case_range *range = &case_ranges[i];
		uint32_t shift = range->distance ? (uint32_t) range->distance : 1, upper = to_lower ? point : point - shift;
		bool is_in = upper >= range->from && upper <= range->to && (range->distance || (upper - range->from) % 2 == 0);
		if (is_in)
			return to_lower ? point + shift : upper;
	}
	return point;
}

/* A character of UTF-8 of up to four bytes, its length in *len; what is no UTF-8 stays a byte above 0x10ffff, to be copied as it is. */
static uint32_t read_point(struct str text, size_t at, size_t *len) {
	unsigned char first = (unsigned char) text.ptr[at];
	size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
	*len = 1;
	if (first < 0x80 || size == 1 || size > text.len - at)
		return first < 0x80 ? first : 0x110000U + first;
	uint32_t point = first & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if (((unsigned char) text.ptr[at + i] & 0xc0) != 0x80)
			return 0x110000U + first;
		point = point << 6 | ((unsigned char) text.ptr[at + i] & 0x3f);
	}
	*len = size;
	return point;
}

static size_t write_point(uint32_t point, char *out) {
	if (point < 0x80) {
		out[0] = (char) point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char) (0xc0 | point >> 6);
		out[1] = (char) (0x80 | (point & 0x3f));
		return 2;
	}
	out[0] = (char) (0xe0 | point >> 12);
	out[1] = (char) (0x80 | (point >> 6 & 0x3f));
	out[2] = (char) (0x80 | (point & 0x3f));
	return 3;
}

/* `out` has room for text.len bytes and a half more: no mapping here makes two bytes of one, or four of three. */
static size_t change_case(struct str text, enum case_change change, bool is_ascii_only, char *out) {
	size_t used = 0, len;
	for (size_t at = 0; at < text.len; at += len) {
		uint32_t point = read_point(text, at, &len), changed = change_point(point, change == CASE_LOWER, is_ascii_only);
		if (changed == point) {
			memcpy(out + used, text.ptr + at, len);
			used += len;
		} else {
			used += write_point(changed, out + used);
		}
	}
	return used;
}

static size_t changed_room(struct str text) {
	return text.len + text.len / 2 + 4;
}

static int keep_stopwords(struct op_load *load, struct normalizer *state, struct err *err) {
	const struct str *words;
	if (op_opt_texts(load, "stopwords", &words, &state->stopwords_count, err) != 0)
		return -1;
	struct str *kept = op_allocate(load, state->stopwords_count, sizeof(*kept), err);
	if (!kept)
		return -1;
	for (size_t i = 0; i < state->stopwords_count; i++) {
		char *copy = op_allocate(load, changed_room(words[i]), 1, err);
		if (!copy)
			return -1;
		if (state->is_case_sensitive)
			memcpy(copy, words[i].ptr, words[i].len);
		kept[i] = (struct str) {copy, state->is_case_sensitive ? words[i].len : change_case(words[i], CASE_LOWER, state->is_ascii_only, copy)};
	}
	return lookup_texts(&state->stopwords, kept, state->stopwords_count, load->memory, NULL) == 0
		       ? 0
		       : err_set(err, ERR_LIMIT, "%zu stop words are too many", state->stopwords_count);
}

int infer_string_normalizer(struct op_load *load, struct err *err) {
	static const char *const words[] = {"NONE", "LOWER", "UPPER"};
	struct normalizer *state = op_allocate(load, 1, sizeof(*state), err);
	struct str locale;
	if (!state || op_need_dtype(load, 0, OP_TEXT, err) != 0 || op_opt_text(load, "locale", STR("en_US"), &locale, err) != 0)
		return -1;
	state->is_ascii_only = str_is(locale, "C") || str_is(locale, "POSIX");
	if ( op_opt_word(load, "case_change_action", words, 3, CASE_NONE, &state->change, err) != 0 ||
		op_opt_int(load, "is_case_sensitive", 0, &state->is_case_sensitive, err) != 0 || keep_stopwords(load, state, err) != 0)
		return -1;
	load->state = state;
	load->dtypes[0] = DTYPE_STRING;
	return 0;
}

static int changed_text(const struct op_call *call, struct str text, enum case_change change, struct str *out, struct err *err) {
	const struct normalizer *state = call->state;
	char *copy = op_scratch(call, (int64_t) changed_room(text), 1, err);
	if (!copy)
		return -1;
	*out = (struct str) {copy, change_case(text, change, state->is_ascii_only, copy)};
	return 0;
}

/* Takes [C] or [1, C]. Words that are stop words fall out; when none is left, one empty text stays. */
int run_string_normalizer(const struct op_call *call, struct err *err) {
	const struct normalizer *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t rows, columns, kept = 0;
	if (op_rows(x, &rows, &columns, err) != 0)
		return -1;
	if (rows != 1)
		return err_set(err, ERR_INVALID, "it takes [C] or [1, C] texts, not %lld rows", (long long) rows);
	struct str *texts = op_scratch(call, columns + 1, sizeof(*texts), err);
	if (!texts)
		return -1;
	for (int64_t i = 0; i < columns; i++) {
		struct str text = ((const struct str *) x->data)[i], key = text;
		if (state->stopwords_count && !state->is_case_sensitive && changed_text(call, text, CASE_LOWER, &key, err) != 0)
			return -1;
		if (state->stopwords_count && lookup_text(&state->stopwords, key) >= 0)
			continue;
		if (state->change != CASE_NONE && changed_text(call, text, (enum case_change) state->change, &text, err) != 0)
			return -1;
		texts[kept++] = text;
	}
	if (kept == 0 && state->stopwords_count)
		texts[kept++] = STR("");
	struct shape shape = x->shape;
	shape.dims[shape.rank - 1] = kept;
	call->outputs[0] = (struct tensor) {DTYPE_STRING, shape, texts};
	return 0;
}

struct tokenizer {
	bool is_by_character;
	int64_t has_marks, chars_min;
	struct str pad;
	const struct pattern *tokens;     /* what a token looks like, or */
	const struct str *separators;     /* what lies between */
	size_t separators_count;
};

int infer_tokenizer(struct op_load *load, struct err *err) {
	struct tokenizer *state = op_allocate(load, 1, sizeof(*state), err);
	struct str pad, tokens, missing = {0};
	const struct str *kept;
	if (!state || op_need_dtype(load, 0, OP_TEXT, err) != 0 || op_opt_int(load, "mark", 0, &state->has_marks, err) != 0 ||
		op_opt_int(load, "mincharnum", 1, &state->chars_min, err) != 0 || op_opt_text(load, "pad_value", STR("#"), &pad, err) != 0 ||
		op_opt_text(load, "tokenexp", missing, &tokens, err) != 0 ||
		op_opt_texts(load, "separators", &state->separators, &state->separators_count, err) != 0 || op_keep_texts(load, &pad, 1, &kept, err) != 0)
		return -1;
	state->pad = kept[0];
	if ((tokens.len > 0) == (state->separators_count > 0))
		return err_set(err, ERR_INVALID, "it needs either separators or tokenexp");
	load->state = state;
	load->dtypes[0] = DTYPE_STRING;
	if (tokens.len)
		return pattern_compile(tokens, load->memory, &state->tokens, err);
	state->is_by_character = state->separators_count == 1 && state->separators[0].len == 0;
	for (size_t i = 0; i < state->separators_count && !state->is_by_character; i++) {
		static const char special[] = "\\[](){}.*+?|^$";
		struct str separator = state->separators[i];
		for (size_t j = 0; j < separator.len; j++)
			if (separator.ptr[j] && strchr(special, separator.ptr[j]))
				return err_set(err, ERR_INVALID, "separator '%.*s': only plain texts are supported", STR_ARGS(separator));
		if (separator.len == 0)
			return err_set(err, ERR_INVALID, "a separator is empty");
	}
	return op_keep_texts(load, state->separators, state->separators_count, &state->separators, err);
}

/* The tokens of all texts, in one growing list. */
struct tokens {
	struct str *items;
	int64_t count, room;
};

static int push_token(const struct op_call *call, struct tokens *tokens, struct str token, struct err *err) {
	if (tokens->count == tokens->room) {
		int64_t room = tokens->room ? tokens->room * 2 : 64;
		struct str *items = op_scratch(call, room, sizeof(*items), err);
		if (!items)
			return -1;
		if (tokens->count)
			memcpy(items, tokens->items, (size_t) tokens->count * sizeof(*items));
		tokens->items = items;
		tokens->room = room;
	}
	tokens->items[tokens->count++] = token;
	return 0;
}

static int64_t characters(struct str text) {
	int64_t count = 0;
	size_t len;
	for (size_t at = 0; at < text.len; at += len, count++)
		read_point(text, at, &len);
	return count;
}

static int push_long_enough(const struct op_call *call, const struct tokenizer *state, struct tokens *tokens, struct str token, struct err *err) {
	return token.len == 0 || characters(token) < state->chars_min ? 0 : push_token(call, tokens, token, err);
}

static int by_pattern(const struct op_call *call, const struct tokenizer *state, struct str text, void *scratch, struct tokens *tokens, struct err *err) {
	size_t at = 0, start, len;
	while (at < text.len && pattern_find(state->tokens, text, at, &start, &len, scratch)) {
		if (push_long_enough(call, state, tokens, (struct str) {text.ptr + start, len}, err) != 0)
			return -1;
		at = start + len;
		if (len == 0 && at < text.len) {
			read_point(text, at, &len);
			at += len;
		} else if (len == 0) {
			break;
		}
	}
	return 0;
}

static int by_character(const struct op_call *call, struct str text, struct tokens *tokens, struct err *err) {
	size_t len;
	for (size_t at = 0; at < text.len; at += len) {
		read_point(text, at, &len);
		if (push_token(call, tokens, (struct str) {text.ptr + at, len}, err) != 0)
			return -1;
	}
	return 0;
}

/* How long the separator at this place is; the first in the list wins. 0: none. */
static size_t separator_at(const struct tokenizer *state, struct str text, size_t at) {
	for (size_t i = 0; i < state->separators_count; i++) {
		struct str separator = state->separators[i];
		if (separator.len <= text.len - at && memcmp(text.ptr + at, separator.ptr, separator.len) == 0)
			return separator.len;
	}
	return 0;
}

static int by_separators(const struct op_call *call, const struct tokenizer *state, struct str text, struct tokens *tokens, struct err *err) {
	size_t start = 0, at = 0;
	if (text.len == 0)
		return 0;
	while (at < text.len) {
		size_t len = separator_at(state, text, at);
		if (len == 0) {
			at++;
			continue;
		}
		if (push_long_enough(call, state, tokens, (struct str) {text.ptr + start, at - start}, err) != 0)
			return -1;
		at += len;
		start = at;
	}
	return push_long_enough(call, state, tokens, (struct str) {text.ptr + start, text.len - start}, err);
}

/* Rows of tokens, filled up to the longest: [C] -> [C, D], [N, C] -> [N, C, D]. */
int run_tokenizer(const struct op_call *call, struct err *err) {
	const struct tokenizer *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t rows, columns, longest = 0;
	if (op_rows(x, &rows, &columns, err) != 0)
		return -1;
	int64_t texts = rows * columns;
	struct tokens tokens = {0};
	int64_t *ends = op_scratch(call, texts, sizeof(*ends), err);
	void *scratch = ends && state->tokens ? op_scratch(call, (int64_t) pattern_scratch_bytes(state->tokens), 1, err) : ends;
	if (!scratch)
		return -1;
	for (int64_t i = 0; i < texts; i++) {
		struct str text = ((const struct str *) x->data)[i];
		int64_t before = tokens.count;
		int rc = state->tokens            ? by_pattern(call, state, text, scratch, &tokens, err)
			 : state->is_by_character ? by_character(call, text, &tokens, err)
						  : by_separators(call, state, text, &tokens, err);
		if (rc != 0)
			return -1;
		ends[i] = tokens.count;
		longest = tokens.count - before > longest ? tokens.count - before : longest;
	}
	struct shape shape = x->shape;
	int64_t width = longest && state->has_marks ? longest + 2 : longest;
	shape.dims[shape.rank++] = width;
	if (op_output(call, 0, DTYPE_STRING, &shape, err) != 0)
		return -1;
	struct str *out = call->outputs[0].data;
	for (int64_t i = 0, from = 0; width && i < texts; i++) {
		if (state->has_marks)
			*out++ = STR("\x02");
		for (int64_t j = from; j < ends[i]; j++)
			*out++ = tokens.items[j];
		if (state->has_marks)
			*out++ = STR("\x03");
		for (int64_t j = ends[i] - from; j < longest; j++)
			*out++ = state->pad;
		from = ends[i];
	}
	return 0;
}

#define GRAM_MAX 32
#define SKIP_MAX 64

enum tfidf_mode { MODE_TF, MODE_IDF, MODE_TFIDF };

/* The n-grams as paths from a root: `edges` finds the number of a step by its node and token. */
struct tfidf {
	size_t mode;
	int64_t gram_min, gram_max, skip_max, columns;
	struct lookup words;   /* token -> its number; texts or integers */
	bool is_text;
	struct lookup edges;   /* node << 32 | token's number -> the node behind it, counted from 1 */
	const int64_t *target; /* per node: the column, or -1 */
	const float *weights;  /* per node */
};

struct tfidf_lists {
	const int64_t *counts, *columns, *ints;
	const struct str *texts;
	const float *weights;
	size_t counts_count, columns_count, ints_count, texts_count, weights_count;
};

static int read_tfidf(struct op_load *load, struct tfidf *state, struct tfidf_lists *lists, struct err *err) {
	static const char *const modes[] = {"TF", "IDF", "TFIDF"};
	if (op_opt_word(load, "mode", modes, 3, MODE_TF, &state->mode, err) != 0 || op_opt_int(load, "min_gram_length", 1, &state->gram_min, err) != 0 ||
		op_opt_int(load, "max_gram_length", 1, &state->gram_max, err) != 0 || op_opt_int(load, "max_skip_count", 0, &state->skip_max, err) != 0 ||
		op_opt_ints(load, "ngram_counts", &lists->counts, &lists->counts_count, err) != 0 ||
		op_opt_ints(load, "ngram_indexes", &lists->columns, &lists->columns_count, err) != 0 ||
		op_opt_ints(load, "pool_int64s", &lists->ints, &lists->ints_count, err) != 0 ||
		op_opt_texts(load, "pool_strings", &lists->texts, &lists->texts_count, err) != 0 ||
		op_opt_floats(load, "weights", &lists->weights, &lists->weights_count, err) != 0)
		return -1;
	if (state->gram_min < 1 || state->gram_max < state->gram_min || state->gram_max > GRAM_MAX || state->skip_max < 0 || state->skip_max > SKIP_MAX)
		return err_set(err, ERR_INVALID, "n-grams of %lld to %lld with up to %lld skipped are not supported", (long long) state->gram_min,
			(long long) state->gram_max, (long long) state->skip_max);
	if ((lists->ints_count > 0) == (lists->texts_count > 0))
		return err_set(err, ERR_INVALID, "it needs either pool_strings or pool_int64s");
	if (lists->weights_count && lists->weights_count != lists->columns_count)
		return err_set(err, ERR_INVALID, "%zu weights do not fit %zu n-grams", lists->weights_count, lists->columns_count);
	for (size_t i = 0; i < lists->columns_count; i++) {
		if (lists->columns[i] < 0 || lists->columns[i] >= TENSOR_BYTES_MAX / 8)
			return err_set(err, ERR_INVALID, "ngram_indexes: %lld is out of range", (long long) lists->columns[i]);
		if (lists->columns[i] >= state->columns)
			state->columns = lists->columns[i] + 1;
	}
	return 0;
}

/* Puts the pool's n-grams, which lie one after the other by length, on paths. A beginning that two share is one path. */
static int build_paths(struct op_load *load, struct tfidf *state, const struct tfidf_lists *lists, const int64_t *numbers, size_t pool, struct err *err) {
	int64_t *keys = op_allocate(load, pool, sizeof(*keys), err), *target = op_allocate(load, pool + 1, sizeof(*target), err);
	float *weights = op_allocate(load, pool + 1, sizeof(*weights), err);
	struct arena scratch = {.bytes_max = load->memory->bytes_max};
	if (!keys || !target || !weights)
		return -1;
	size_t nodes = 0, gram = 0, table_size = 8;
	while (table_size < pool * 2 + 2)
		table_size *= 2;
	uint32_t *table = arena_alloc(&scratch, table_size * sizeof(*table));
	int rc = table ? 0 : err_set(err, ERR_LIMIT, "%zu words are too many", pool);
	for (size_t n = 1; rc == 0 && n <= lists->counts_count; n++) {
		size_t from = (size_t) lists->counts[n - 1], to = n < lists->counts_count ? (size_t) lists->counts[n] : pool;
		if (lists->counts[n - 1] < 0 || from > to || to > pool || (to - from) % n != 0) {
			rc = err_set(err, ERR_INVALID, "ngram_counts does not fit the pool");
			break;
		}
		for (; rc == 0 && from < to; from += n, gram++) {
			int64_t node = 0;
			for (size_t i = 0; i < n; i++) {
				int64_t key = (int64_t) ((uint64_t) node << 32 | (uint64_t) numbers[from + i]);
				size_t slot = ((uint64_t) key * 0x9e3779b97f4a7c15U >> 32) & (table_size - 1);
				while (table[slot] && keys[table[slot] - 1] != key)
					slot = (slot + 1) & (table_size - 1);
				if (!table[slot]) {
					keys[nodes] = key;
					target[nodes + 1] = -1;
					table[slot] = (uint32_t) ++nodes;
				}
				node = table[slot];
			}
			if (gram >= lists->columns_count) {
				rc = err_set(err, ERR_INVALID, "ngram_indexes is shorter than the pool");
				break;
			}
			target[node] = lists->columns[gram];
			weights[node] = lists->weights_count ? lists->weights[gram] : 1;
		}
	}
	arena_clear(&scratch);
	if (rc != 0)
		return -1;
	target[0] = -1;
	state->target = target;
	state->weights = weights;
	return lookup_ints(&state->edges, keys, nodes, load->memory, NULL) == 0 ? 0 : err_set(err, ERR_LIMIT, "%zu words are too many", pool);
}

int infer_tfidf(struct op_load *load, struct err *err) {
	struct tfidf *state = op_allocate(load, 1, sizeof(*state), err);
	struct tfidf_lists lists = {0};
	if (!state || read_tfidf(load, state, &lists, err) != 0)
		return -1;
	state->is_text = lists.texts_count > 0;
	size_t pool = state->is_text ? lists.texts_count : lists.ints_count;
	if (op_need_dtype(load, 0, state->is_text ? OP_TEXT : OP_INTS, err) != 0)
		return -1;
	int rc;
	if (state->is_text)
		rc = op_keep_texts(load, lists.texts, pool, &lists.texts, err) != 0 ||
				     lookup_texts(&state->words, lists.texts, pool, load->memory, NULL) != 0
			     ? -1
			     : 0;
	else
		rc = op_keep(load, lists.ints, pool, sizeof(*lists.ints), &lists.ints, err) != 0 ||
				     lookup_ints(&state->words, lists.ints, pool, load->memory, NULL) != 0
			     ? -1
			     : 0;
	int64_t *numbers = rc == 0 ? op_allocate(load, pool, sizeof(*numbers), err) : NULL;
	if (!numbers)
		return err->code ? -1 : err_set(err, ERR_LIMIT, "%zu words are too many", pool);
	for (size_t i = 0; i < pool; i++)
		numbers[i] = state->is_text ? lookup_text(&state->words, lists.texts[i]) : lookup_int(&state->words, lists.ints[i]);
	load->state = state;
	load->dtypes[0] = DTYPE_FLOAT;
	return build_paths(load, state, &lists, numbers, pool, err);
}

/* Counts the n-grams of one row of token numbers (-1: not in the pool). */
static void count_grams(const struct tfidf *state, const int64_t *tokens, int64_t count, float *out) {
	for (int64_t skip = 1; skip <= state->skip_max + 1; skip++) {
		/* Single words do not depend on the skip: they are counted once. */
		int64_t shortest = skip > 1 && state->gram_min == 1 ? 2 : state->gram_min;
		for (int64_t start = 0; start < count; start++) {
			int64_t node = 0, at = start;
			for (int64_t n = 1; n <= state->gram_max && at < count; n++, at += skip) {
				if (tokens[at] < 0)
					break;
				node = lookup_int(&state->edges, (int64_t) ((uint64_t) node << 32 | (uint64_t) tokens[at])) + 1;
				if (node == 0)
					break;
				if (n < shortest || state->target[node] < 0)
					continue;
				float *column = &out[state->target[node]];
				if (state->mode == MODE_IDF)
					*column = state->weights[node];
				else
					*column += state->mode == MODE_TF ? 1 : state->weights[node];
			}
		}
	}
}

int run_tfidf(const struct op_call *call, struct err *err) {
	const struct tfidf *state = call->state;
	const struct tensor *x = call->inputs[0];
	int64_t rows, columns;
	if (op_rows(x, &rows, &columns, err) != 0)
		return -1;
	struct shape shape = {.rank = x->shape.rank, .dims = {rows, state->columns}};
	if (shape.rank == 1)
		shape.dims[0] = state->columns;
	if (op_output(call, 0, DTYPE_FLOAT, &shape, err) != 0)
		return -1;
	float *out = call->outputs[0].data;
	memset(out, 0, (size_t) (rows * state->columns) * sizeof(*out));
	int64_t *tokens = op_scratch(call, columns, sizeof(*tokens), err);
	if (!tokens)
		return -1;
	for (int64_t row = 0; row < rows; row++) {
		for (int64_t i = 0; i < columns; i++) {
			int64_t at = row * columns + i;
			tokens[i] = state->is_text                ? lookup_text(&state->words, ((const struct str *) x->data)[at])
				    : x->dtype == DTYPE_INT64 ? lookup_int(&state->words, ((const int64_t *) x->data)[at])
							      : lookup_int(&state->words, ((const int32_t *) x->data)[at]);
		}
		count_grams(state, tokens, columns, out + row * state->columns);
	}
	return 0;
}
