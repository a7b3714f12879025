/* Numbers from text: what is taken, what is not, and that the short way to a double gives strtod's answer. */
#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void check_double(const char *text) {
	double ours = 0, theirs = strtod(text, NULL);
	if (num_double(str_of(text), &ours) != 0)
		fail_msg("%s was refused", text);
	if (memcmp(&ours, &theirs, sizeof(ours)) != 0)
		fail_msg("%s: %.17g, strtod says %.17g", text, ours, theirs);
}

static void test_doubles(void **state) {
	(void) state;
	static const char *const edges[] = {"0", "-0", "-0.0", "0.1", "1e22", "1e23", "1E-22", "1e-23", "9007199254740992", "9007199254740993", "9007199254740992e22",
		"9007199254740993e-1", "123456789012345678901234567890", "0.000000000000000000000001", "1e+5", "1.5e-5", "4.9e-324", "2.2250738585072011e-308",
		"1.7976931348623157e308", "0e999", "100000000000000000000e-20", "0.30000000000000004"};
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		check_double(edges[i]);
	uint64_t seed = 7;
	for (int i = 0; i < 500000; i++) {
		char text[64];
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned long long digits = (unsigned long long) (seed >> (8 + seed % 50));
		int places = (int) (seed >> 20) % 60 - 30;
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (seed >> 63)
			snprintf(text, sizeof(text), "%s%llue%d", seed >> 62 & 1 ? "-" : "", digits, places);
		else
			snprintf(text, sizeof(text), "%.*g", (int) (seed >> 40) % 17 + 1, (double) digits / 1e5);
		check_double(text);
	}
}

static void test_refused(void **state) {
	(void) state;
	static const char *const bad[] = {"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "1_0", " 1", "1 ", "NaN", "Infinity", "1e999", "-1e400", "1,5", "1.2.3"};
	double value = 5;
	int64_t number = 5;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (num_double(str_of(bad[i]), &value) == 0)
			fail_msg("%s passed", bad[i]);
	static const char *const no_int[] = {"", "-", "1.0", "1e3", "9223372036854775808", "-9223372036854775809", "101", "-101", "0x1", " 1"};
	for (size_t i = 0; i < sizeof(no_int) / sizeof(no_int[0]); i++)
		if (num_int(str_of(no_int[i]), i < 6 ? INT64_MIN : -100, i < 6 ? INT64_MAX : 100, &number) == 0)
			fail_msg("%s passed", no_int[i]);
	assert_true(value > 4.9 && value < 5.1 && number == 5); /* failure leaves the output alone */
	assert_int_equal(num_int(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &number), 0);
	assert_true(number == INT64_MIN);
}

static void test_units(void **state) {
	(void) state;
	static const struct {
		int (*read)(struct str text, int64_t *out);
		const char *text;
		int64_t want; /* -1: refused */
	} cases[] = {{num_duration_ms, "500ms", 500}, {num_duration_ms, "2s", 2000}, {num_duration_ms, "1.5m", 90000}, {num_duration_ms, "1h", 3600000},
		{num_duration_ms, "7d", 604800000}, {num_duration_ms, "5", -1}, {num_duration_ms, "-5s", -1}, {num_duration_ms, "5 s", -1}, {num_duration_ms, "ms", -1},
		{num_bytes, "256Mi", 256 << 20}, {num_bytes, "1G", 1000000000}, {num_bytes, "1000", 1000}, {num_bytes, "1MB", -1}, {num_bytes, "-1", -1},
		{num_millicores, "500m", 500}, {num_millicores, "2", 2000}, {num_millicores, "0.1", 100}, {num_millicores, "x", -1}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = -1;
		best_effort(cases[i].read(str_of(cases[i].text), &value)); /* a refusal leaves -1 */
		if (value != cases[i].want)
			fail_msg("%s: %lld", cases[i].text, (long long) value);
	}
	double share = 0;
	assert_int_equal(num_share(STR("12.5%"), &share), 0);
	assert_true(share > 0.1249 && share < 0.1251);
	assert_int_equal(num_share(STR("101%"), &share), -1);
	assert_int_equal(num_share(STR("0.5"), &share), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_doubles), cmocka_unit_test(test_refused), cmocka_unit_test(test_units)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
