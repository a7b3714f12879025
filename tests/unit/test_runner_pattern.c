/* The Tokenizer's patterns: the longest of the leftmost matches, refusals, and time that grows with the text only. */
#include "runner/ops/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* The first match from `from`, or a length of -1. */
static void find(const char *expression, struct str text, size_t from, int64_t *start, int64_t *len) {
	struct arena memory = {0};
	const struct pattern *pattern = NULL;
	struct err err = {0};
	if (pattern_compile(str_of(expression), &memory, &pattern, &err) != 0)
		fail_msg("%s", err.message);
	void *scratch = arena_alloc(&memory, pattern_scratch_bytes(pattern));
	size_t at = 0, size = 0;
	bool is_found = pattern_find(pattern, text, from, &at, &size, scratch);
	*start = is_found ? (int64_t) at : -1;
	*len = is_found ? (int64_t) size : -1;
	arena_clear(&memory);
}

static void test_the_longest_of_the_leftmost_is_found(void **state) {
	(void) state;
	static const struct {
		const char *pattern, *text;
		int64_t start, len;
	} cases[] = {
		{"abc", "xxabcabc", 2, 3},
		{"a|ab|abc", "xabcd", 1, 3},
		{"a*", "baaa", 0, 0},
		{"a+", "baaa", 1, 3},
		{"a+?", "baaa", 1, 3},
		{"colou?r", "my color", 3, 5},
		{"[a-c]{2,3}", "xabcab", 1, 3},
		{"[a-c]{2}", "xabcab", 1, 2},
		{"(ab){2,}", "abxababab", 3, 6},
		{"(a|b)*c|x", "zabac", 1, 4},
		{"[^a-z]+", "abc123d", 3, 3},
		{"[]a]+", "x]a]", 1, 3},
		{"[a-]+", "x-a", 1, 2},
		{"\\w+", "--a_1--", 2, 3},
		{"\\d{2,}", "1 23", 2, 2},
		{"\\S+\\s\\S+", "ab cd ef", 0, 5},
		{"\\bcat\\b", "concat cat", 7, 3},
		{"\\Bcat", "cat concat", 7, 3},
		{"^b", "ab", -1, -1},
		{"b$", "bab", 2, 1},
		{"^$", "", 0, 0},
		{".", "\nx", 1, 1},
		{"Z\xc3\xbc[a-\xc3\xbf]+", "in Z\xc3\xbcrich", 3, 7},
		{"[^x]", "\xc3\xbc", 0, 2},
		{"\\x41\\.\\n", "A.\n", 0, 3},
		{"(?:ab|cd)+e", "abcdabe", 0, 7},
		{"()", "a", 0, 0},
		{"a{0}b", "ab", 1, 1},
		{"abx|b", "abab", 1, 1},
		{"aab|b", "abaab", 1, 1},
		{"((a{1,3}){1,3}){1,3}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 27},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t start, len;
		find(cases[i].pattern, str_of(cases[i].text), 0, &start, &len);
		if (start != cases[i].start || len != cases[i].len)
			fail_msg("%s in %s: %lld, %lld", cases[i].pattern, cases[i].text, (long long) start, (long long) len);
	}
}

static void test_what_is_not_known_is_refused(void **state) {
	(void) state;
	static const char *const bad[] = {"(", ")", "[", "[a", "a\\", "[\\", "*", "a**b{", "a{", "a{x}", "a{2,1}", "a{999}", "(?=a)", "(?i)a", "\\1", "\\pL", "[b-a]",
		"[[:alpha:]]", "((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))", "(((a{255}){255}){255})", "\\u0041"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena memory = {0};
		const struct pattern *pattern = NULL;
		struct err err = {0};
		if (pattern_compile(str_of(bad[i]), &memory, &pattern, &err) == 0)
			fail_msg("compiled: %s", bad[i]);
		assert_string_not_equal(err.message, "");
		assert_null(pattern);
		arena_clear(&memory);
	}
}

/* What makes backtracking matchers take for ever. */
static void test_hostile_texts_take_linear_time(void **state) {
	(void) state;
	size_t size = 200000;
	char *text = mem_zero(size, 1);
	memset(text, 'a', size);
	int64_t start, len;
	find("(a*)*b", (struct str) {text, size}, 0, &start, &len);
	assert_int_equal(start, -1);
	find("(a|aa)+$", (struct str) {text, size}, 0, &start, &len);
	assert_int_equal(len, (int64_t) size);
	find("a{1,50}b", (struct str) {text, size}, 0, &start, &len);
	assert_int_equal(start, -1);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_longest_of_the_leftmost_is_found),
		cmocka_unit_test(test_what_is_not_known_is_refused),
		cmocka_unit_test(test_hostile_texts_take_linear_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
