#include "build/describe.h"
#include "scratch.h"

static void one_source_however_it_was_cloned(void **state) {
	(void) state;
	static const char *const cases[][2] = {
		{"https://h/team/x.git", "https://h/team/x"},
		{"ssh://h/team/x.git", "https://h/team/x"},
		{"ssh://h:2222/team/x", "https://h/team/x"},
		{"git://h/team/x", "https://h/team/x"},
		{"https://h:8443/team/x", "https://h:8443/team/x"},
		{"http://h:8080/x.git", "http://h:8080/x"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *got = describe_source(cases[i][0]);
		assert_string_equal(got, cases[i][1]);
	}
	assert_null(describe_source(NULL));
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_source_however_it_was_cloned)};
	return cmocka_run_group_tests_name("build_describe", tests, NULL, NULL);
}
