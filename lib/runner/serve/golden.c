#include "runner/serve/golden.h"

#include "os/fs.h"
#include "runner/serve/rows.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define ANSWER_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define DEPTH_MAX 16          /* of an expected value */
#define TIMED_RUNS 200        /* enough for a p99 that is not the slowest of five */
#define TIMED_US_MAX 300000.0 /* but no longer than this */
#define TIMES_MAX (GOLDEN_LINES_MAX + TIMED_RUNS)

struct checker {
	const struct model *model;
	struct run *run;
	struct arena arena;
	struct buf answer;
	struct golden_result result;
	double *times;
	size_t times_count;
};

/* For measuring only: no decision hangs on it, so no clock is handed in. */
static double now_us(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

/* What a client would see: decode, run, encode. */
static int answer_line(struct checker *checker, const struct value *line, struct err *err) {
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	int64_t rows;
	arena_reset(&checker->arena);
	buf_reset(&checker->answer);
	double start = now_us();
	if (rows_decode(checker->model, line, &checker->arena, inputs, &rows, err) != 0 ||
		model_run(checker->model, checker->run, inputs, ~UINT64_C(0), outputs, err) != 0 ||
		rows_encode(checker->model, outputs, rows, &checker->answer, err) != 0)
		return -1;
	if (checker->times_count < TIMES_MAX)
		checker->times[checker->times_count++] = now_us() - start;
	return 0;
}

static void show(const struct value *v, char out[GOLDEN_TEXT_MAX]) {
	static const char *const words[] = {"null", "", "", "", "a list", "an object"};
	if (!v)
		snprintf(out, GOLDEN_TEXT_MAX, "nothing");
	else if (v->kind == VALUE_BOOL)
		snprintf(out, GOLDEN_TEXT_MAX, v->boolean ? "true" : "false");
	else if (v->kind == VALUE_NUMBER || v->kind == VALUE_STRING)
		snprintf(out, GOLDEN_TEXT_MAX, "%.*s", (int) (v->text.len < GOLDEN_TEXT_MAX - 1 ? v->text.len : GOLDEN_TEXT_MAX - 1), v->text.ptr);
	else if (v->kind == VALUE_ARRAY)
		snprintf(out, GOLDEN_TEXT_MAX, "a list of %zu", v->count);
	else
		snprintf(out, GOLDEN_TEXT_MAX, "%s", words[v->kind]);
}

static bool number_fits(struct checker *checker, const struct value *got, const struct value *expected, bool is_exact, double tolerance) {
	double a, b;
	int64_t x, y;
	if (is_exact && num_int(got->text, INT64_MIN, INT64_MAX, &x) == 0 && num_int(expected->text, INT64_MIN, INT64_MAX, &y) == 0)
		return x == y;
	if (num_double(got->text, &a) != 0 || num_double(expected->text, &b) != 0)
		return false;
	double difference = fabs(a - b);
	if (difference > checker->result.difference_max)
		checker->result.difference_max = difference;
	return is_exact ? difference <= 0 : difference <= tolerance || difference <= tolerance * fabs(b);
}

/* Two values that hold no others. */
static bool leaf_fits(struct checker *checker, const struct value *got, const struct value *expected, bool is_exact, double tolerance) {
	if (!got || got->kind != expected->kind)
		return false;
	if (expected->kind == VALUE_NUMBER)
		return number_fits(checker, got, expected, is_exact, tolerance);
	if (expected->kind == VALUE_STRING)
		return str_equal(got->text, expected->text);
	return expected->kind != VALUE_BOOL || got->boolean == expected->boolean;
}

struct pair {
	const struct value *got, *expected; /* the next to compare, siblings after it */
	const struct value *parent;         /* got's, to find members by name */
	int64_t index;
};

/* Everything that `expected` names is in `got`; lists have the same length. Walks with a stack of its own. */
static bool value_fits(struct checker *checker, const struct value *got, const struct value *expected, bool is_exact, double tolerance,
	struct golden_mismatch *mismatch) {
	struct pair stack[DEPTH_MAX];
	int depth = 0;
	size_t used = strlen(mismatch->output);
	/* A column of one is written as a value: both spellings are the same answer. */
	if (expected->kind == VALUE_ARRAY && expected->count == 1 && got && got->kind != VALUE_ARRAY)
		expected = expected->first;
	struct pair at = {got, expected, NULL, 0};
	for (;;) {
		bool is_list = at.expected->kind == VALUE_ARRAY, is_object = at.expected->kind == VALUE_OBJECT;
		bool fits = is_list || is_object ? at.got && at.got->kind == at.expected->kind && (!is_list || at.got->count == at.expected->count) && depth < DEPTH_MAX
						 : leaf_fits(checker, at.got, at.expected, is_exact, tolerance);
		if (!fits) {
			show(at.got, mismatch->got);
			show(at.expected, mismatch->expected);
			if (depth > 0 && stack[depth - 1].parent->kind == VALUE_OBJECT)
				snprintf(mismatch->output + used, GOLDEN_TEXT_MAX - used, ".%.*s", STR_ARGS(at.expected->key));
			else if (depth > 0)
				snprintf(mismatch->output + used, GOLDEN_TEXT_MAX - used, "[%lld]", (long long) stack[depth - 1].index);
			return false;
		}
		if ((is_list || is_object) && at.expected->first)
			stack[depth++] = (struct pair) {at.got->first, at.expected->first, at.got, -1};
		while (depth > 0 && !stack[depth - 1].expected)
			depth--;
		if (depth == 0)
			return true;
		struct pair *top = &stack[depth - 1];
		at = *top;
		top->index++;
		AUTO_FREE char *key = top->parent->kind == VALUE_OBJECT ? str_dup(at.expected->key) : NULL;
		if (key)
			at.got = value_get(top->parent, key);
		else
			top->got = at.got->next;
		top->expected = at.expected->next;
	}
}

static bool is_label(const struct model *model, struct str output) {
	const struct port *ports;
	size_t count = model_outputs(model, &ports);
	for (size_t i = 0; i < count; i++)
		if (str_is(output, ports[i].name))
			return ports[i].dtype != DTYPE_FLOAT && ports[i].dtype != DTYPE_DOUBLE;
	return false;
}

static bool predictions_fit(struct checker *checker, const struct value *got, const struct value *expected, double tolerance,
	struct golden_mismatch *mismatch) {
	if (!got || got->count != expected->count) {
		snprintf(mismatch->got, GOLDEN_TEXT_MAX, "%zu predictions", got ? got->count : 0);
		snprintf(mismatch->expected, GOLDEN_TEXT_MAX, "%zu predictions", expected->count);
		return false;
	}
	const struct value *answer = got->first;
	int64_t row = 0;
	value_each(wanted, expected) {
		mismatch->row = ++row;
		value_each(output, wanted) {
			AUTO_FREE char *key = str_dup(output->key);
			snprintf(mismatch->output, GOLDEN_TEXT_MAX, "%s", key);
			if (!value_fits(checker, value_get(answer, key), output, is_label(checker->model, output->key), tolerance, mismatch))
				return false;
		}
		answer = answer->next;
	}
	return true;
}

/* 1: as expected, 0: not, with *mismatch; -1: no golden example. */
static int check_line(struct checker *checker, const struct value *line, struct golden_mismatch *mismatch, struct err *err) {
	const struct value *expected = value_get(line, "predictions");
	double tolerance;
	if (!value_get(line, "rows") || !expected || expected->kind != VALUE_ARRAY || expected->count == 0)
		return err_set(err, ERR_INVALID, "it has no lists rows and predictions");
	value_each(row, expected) {
		if (row->kind != VALUE_OBJECT || row->count == 0)
			return err_set(err, ERR_INVALID, "a prediction is an object of outputs, like {\"label\": 1}");
	}
	if (value_opt_double(line, "tolerance", GOLDEN_TOLERANCE, &tolerance, err) != 0)
		return -1;
	if (!(tolerance >= 0))
		return err_set(err, ERR_INVALID, "tolerance: a number of 0 or more is needed");
	struct err refused = {0};
	AUTO_DOCUMENT struct document *answer = NULL;
	if (answer_line(checker, line, &refused) != 0 || json_read("answer", buf_view(&checker->answer), VALUE_LIMITS_WIRE, &answer, &refused) != 0) {
		snprintf(mismatch->got, GOLDEN_TEXT_MAX, "%.*s", GOLDEN_TEXT_MAX - 1, refused.message);
		snprintf(mismatch->expected, GOLDEN_TEXT_MAX, "an answer");
		return 0;
	}
	return predictions_fit(checker, value_get(answer->root, "predictions"), expected, tolerance, mismatch);
}

static int check_text(struct checker *checker, struct str text, int64_t number, struct err *err) {
	AUTO_DOCUMENT struct document *line = NULL;
	struct golden_mismatch mismatch = {.line = number};
	if (json_read("golden", text, VALUE_LIMITS_WIRE, &line, err) != 0)
		return -1;
	int fits = check_line(checker, line->root, &mismatch, err);
	if (fits < 0)
		return -1;
	checker->result.total++;
	checker->result.passed += fits;
	if (!fits && checker->result.first.line == 0)
		checker->result.first = mismatch;
	/* Few examples say little about latency: ask again. */
	double start = now_us();
	for (int i = 0; fits && checker->result.total == 1 && i < TIMED_RUNS && now_us() - start < TIMED_US_MAX; i++) {
		struct err ignored = {0};
		best_effort(answer_line(checker, line->root, &ignored));
	}
	return 0;
}

static int by_size(const void *a, const void *b) {
	double x = *(const double *) a, y = *(const double *) b;
	return (x > y) - (x < y);
}

static void take_times(struct checker *checker) {
	size_t count = checker->times_count;
	if (count == 0)
		return;
	qsort(checker->times, count, sizeof(*checker->times), by_size);
	checker->result.p50_us = checker->times[(count - 1) / 2];
	checker->result.p99_us = checker->times[(count - 1) * 99 / 100];
}

static int check_lines(struct checker *checker, struct str text, struct err *err) {
	int64_t number = 0;
	while (text.ptr) {
		struct str line = str_trim(str_cut(text, '\n', &text));
		number++;
		if (str_ends(line, "\r"))
			line.len--;
		if (line.len == 0)
			continue;
		if (checker->result.total == GOLDEN_LINES_MAX)
			return err_set(err, ERR_LIMIT, "more than %d examples", GOLDEN_LINES_MAX);
		if (check_text(checker, line, number, err) != 0)
			return err_wrap(err, "line %lld", (long long) number);
	}
	return checker->result.total ? 0 : err_set(err, ERR_INVALID, "it holds no example");
}

int golden_check(const struct model *model, const char *path, struct golden_result *out, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len;
	if (fs_read(path, GOLDEN_BYTES_MAX, &text, &len, err) != 0)
		return -1;
	struct checker checker = {.model = model, .run = run_new(model), .answer = BUF(ANSWER_BYTES_MAX)};
	checker.times = mem_zero(TIMES_MAX, sizeof(*checker.times));
	int rc = check_lines(&checker, (struct str) {text, len}, err);
	take_times(&checker);
	run_free(checker.run);
	arena_clear(&checker.arena);
	buf_clear(&checker.answer);
	free(checker.times);
	if (rc != 0)
		return err_wrap(err, "%s", path);
	*out = checker.result;
	return 0;
}
