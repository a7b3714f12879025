#include "oci/ref.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX "0d3e41aa0d3e41aa0d3e41aa0d3e41aa0d3e41aa0d3e41aa0d3e41aa0d3e41aa"

static void accepted(void **state) {
	(void) state;
	static const struct {
		const char *text, *host, *repository, *tag, *written;
		bool has_digest;
	} cases[] = {
		{"registry.example.com/team/fraud", "registry.example.com", "team/fraud", "", "registry.example.com/team/fraud", false},
		{"localhost/a", "localhost", "a", "", "localhost/a", false},
		{"localhost:5000/a:v1.2_3-x", "localhost:5000", "a", "v1.2_3-x", "localhost:5000/a:v1.2_3-x", false},
		{"127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000", "a/b/c", "1", "127.0.0.1:5000/a/b/c:1", false},
		{"[::1]:5000/a", "[::1]:5000", "a", "", "[::1]:5000/a", false},
		{"docker.io/alpine", "docker.io", "library/alpine", "", "docker.io/library/alpine", false},
		{"index.docker.io/me/x:1", "docker.io", "me/x", "1", "docker.io/me/x:1", false},
		{"GHCR.io/a/b", "ghcr.io", "a/b", "", "ghcr.io/a/b", false},
		{"h.x/a__b/c.d/e---f", "h.x", "a__b/c.d/e---f", "", "h.x/a__b/c.d/e---f", false},
		{"h.x/a@sha256:" HEX, "h.x", "a", "", "h.x/a@sha256:" HEX, true},
		{"h.x:1/a:t@sha256:" HEX, "h.x:1", "a", "t", "h.x:1/a:t@sha256:" HEX, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		struct ref ref;
		if (ref_parse(str_of(cases[i].text), &ref, &err) != 0)
			fail_msg("%s: %s", cases[i].text, err.message);
		assert_string_equal(ref.host, cases[i].host);
		assert_string_equal(ref.repository, cases[i].repository);
		assert_string_equal(ref.tag, cases[i].tag);
		assert_int_equal(ref.digest.text[0] != 0, cases[i].has_digest);
		AUTO_BUF struct buf text = BUF(1024);
		ref_write(&ref, &text);
		assert_string_equal(text.ptr, cases[i].written);
	}
}

static void refused(void **state) {
	(void) state;
	static const char *const cases[] = {
		"",
		"/",
		"a",
		"a/b",
		"team/fraud:1",
		"h.x",
		"h.x/",
		"h.x//a",
		"h.x/a/",
		"h.x/A",
		"h.x/a b",
		"h.x/a:",
		"h.x/a:.t",
		"h.x/a:-t",
		"h.x/a:t/b",
		"h.x/a@",
		"h.x/a@sha256:0d3e",
		"h.x/a@sha512:" HEX,
		"h.x/-a",
		"h.x/a-",
		"h.x/a..b",
		"h.x/a___b",
		"h.x/a._b",
		"https://h.x/a",
		"h.x:0/a",
		"h.x:65536/a",
		"h.x:/a",
		"h.x:5x/a",
		"-h.x/a",
		"h..x/a",
		"u@h.x/a",
		"u:p@h.x/a",
		"[::1/a",
		"[]/a",
		"[::1]5/a",
		"h.x/a:t:u",
		"h.x/../a",
		"h.x/a\n",
		"h_x.y/a",
		"h.x/a@sha256:" HEX "0",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		struct ref ref = {.host = "kept"};
		if (ref_parse(str_of(cases[i]), &ref, &err) == 0)
			fail_msg("\"%s\" was accepted", cases[i]);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(ref.host, "kept");
	}
}

static void fix_is_named(void **state) {
	(void) state;
	struct ref ref;
	struct err err = {0};
	assert_int_equal(ref_parse(STR("registry.example.com/Team/Fraud"), &ref, &err), -1);
	assert_string_equal(err.fix, "registry.example.com/team/fraud");
	err_clear(&err);
	assert_int_equal(ref_parse(STR("alpine:3"), &ref, &err), -1);
	assert_string_equal(err.fix, "docker.io/alpine:3");
}

static void lengths(void **state) {
	(void) state;
	struct ref ref;
	char text[700];
	for (size_t n = 240; n < 280; n++) { /* a repository of n characters: at most 255 */
		struct err err = {0};
		memset(text, 'a', sizeof(text));
		memcpy(text, "h.x/", 4);
		assert_int_equal(ref_parse((struct str){text, n + 4}, &ref, &err), n <= 255 ? 0 : -1);
	}
	for (size_t n = 120; n < 140; n++) {
		struct err err = {0};
		memset(text, 'a', sizeof(text));
		memcpy(text, "h.x/a:", 6);
		assert_int_equal(ref_parse((struct str){text, n + 6}, &ref, &err), n <= 128 ? 0 : -1);
	}
	struct err err = {0};
	assert_int_equal(ref_parse((struct str){text, 600}, &ref, &err), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(refused),
		cmocka_unit_test(fix_is_named),
		cmocka_unit_test(lengths),
	};
	return cmocka_run_group_tests_name("oci/ref", tests, NULL, NULL);
}
