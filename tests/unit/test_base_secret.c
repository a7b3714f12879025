/* Secrets that turn up in somebody else's words: as they are, encoded, and at the place where the words are cut. */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_quote(const struct redactor *redact, const char *text, size_t bytes_max, const char *wanted) {
	AUTO_BUF struct buf out = BUF(4096);
	redactor_quote(redact, str_of(text), bytes_max, &out);
	assert_string_equal(out.ptr ? out.ptr : "", wanted);
}

static void test_forms(void **state) {
	(void) state;
	struct redactor *redact = redactor_new();
	AUTO_BUF struct buf out = BUF(4096);
	redactor_add(redact, STR("hunter2+hunter2"));
	redactor_apply(redact, STR("a=hunter2+hunter2 b=hunter2%2Bhunter2 c=aHVudGVyMitodW50ZXIy d=hunter2"), &out);
	assert_string_equal(out.ptr, "a=*** b=*** c=*** d=hunter2");
	redactor_free(redact);
}

static void test_quote(void **state) {
	(void) state;
	struct redactor *redact = redactor_new();
	redactor_add(redact, STR("hunter2+hunter2"));
	check_quote(redact, "no\tsuch\r\nthing \n", 100, "no such  thing");
	check_quote(redact, "", 100, "");
	check_quote(NULL, "as it is", 100, "as it is");
	check_quote(redact, "0123456789", 10, "0123456789");
	check_quote(redact, "0123456789a", 10, "0123456789 ...");
	/* The cut is in the middle of the secret, and of a character. */
	for (size_t bytes_max = 7; bytes_max < 22; bytes_max++) {
		AUTO_BUF struct buf out = BUF(4096);
		redactor_quote(redact, STR("token=hunter2+hunter2 refused"), bytes_max, &out);
		assert_null(strstr(out.ptr, "hunt"));
	}
	check_quote(redact, "token=hunter2+hunter2 refused", 9, "token=*** ...");
	check_quote(redact, "gr\xc3\xbc\xc3\x9f", 4, "gr\xc3\xbc ...");
	check_quote(redact, "gr\xc3\xbc\xc3\x9f", 5, "gr\xc3\xbc ...");
	redactor_free(redact);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_quote)};
	return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
