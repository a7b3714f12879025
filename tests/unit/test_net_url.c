#include "net/rest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void parses(void **state) {
	(void) state;
	static const struct {
		const char *text, *scheme, *userinfo, *host, *path, *query;
		int port;
	} cases[] = {
		{"http://a", "http", "", "a", "", "", 80},
		{"https://a.example/", "https", "", "a.example", "/", "", 443},
		{"https://a:8443/v2/?x=1&y=2#frag", "https", "", "a", "/v2/", "x=1&y=2", 8443},
		{"http://[::1]:5000/v2/", "http", "", "::1", "/v2/", "", 5000},
		{"http://user:pw@host/", "http", "user:pw", "host", "/", "", 80},
		{"http://good.example@evil.example/", "http", "good.example", "evil.example", "/", "", 80},
		{"http://a?x", "http", "", "a", "", "x", 80},
		{"http://a:/p", "http", "", "a", "/p", "", 80},
		{"http://my_host-1/@p", "http", "", "my_host-1", "/@p", "", 80},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		struct url url;
		assert_int_equal(url_parse(str_of(cases[i].text), &url, &err), 0);
		assert_true(str_is(url.scheme, cases[i].scheme));
		assert_true(str_is(url.userinfo, cases[i].userinfo));
		assert_true(str_is(url.host, cases[i].host));
		assert_true(str_is(url.path, cases[i].path));
		assert_true(str_is(url.query, cases[i].query));
		assert_int_equal(url.port, cases[i].port);
	}
}

static void refuses(void **state) {
	(void) state;
	static const char *const cases[] = {
		"",
		"http:",
		"http://",
		"https:///x",
		"ftp://a",
		"file:///etc/passwd",
		"HTTP://a",
		"//a/b",
		"http://a b/",
		"http://a\\@b/",
		"http://a\tb",
		"http://a:0/",
		"http://a:65536/",
		"http://a:x/",
		"http://a:123456/",
		"http://[::1/",
		"http://[::1]x/",
		"http://[1.2.3.4]/",
		"http://[fe80::1%25eth0]/",
		"http://a@b@c/",
		"http://%61/",
		"http://-a/",
		"http://.a/",
		"http://a,b/",
		"http://\xc3\xa9/",
		"http://a\x7f/",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		struct url url = {.port = -7};
		if (url_parse(str_of(cases[i]), &url, &err) == 0)
			fail_msg("accepted %s", cases[i]);
		assert_int_equal(url.port, -7);
		assert_true(err.message[0] != '\0');
	}
	AUTO_FREE char *text = mem_zero(20001, 1);
	memset(text, 'a', 20000);
	memcpy(text, "http://", 7);
	struct err err = {0};
	struct url url;
	assert_int_equal(url_parse(str_of(text), &url, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

static void a_refusal_shows_no_password(void **state) {
	(void) state;
	struct err err = {0};
	struct url url;
	assert_int_equal(url_parse(STR("http://user:hunter2@ho st/?token=hunter3"), &url, &err), -1);
	assert_null(strstr(err.message, "hunter"));
}

/* RFC 3986, 5.4: base http://a/b/c/d;p?q */
static void resolves(void **state) {
	(void) state;
	static const char *const cases[][2] = {
		{"g", "http://a/b/c/g"},
		{"./g", "http://a/b/c/g"},
		{"g/", "http://a/b/c/g/"},
		{"/g", "http://a/g"},
		{"//g", "http://g"},
		{"?y", "http://a/b/c/d;p?y"},
		{"g?y", "http://a/b/c/g?y"},
		{"#s", "http://a/b/c/d;p?q"},
		{"g#s", "http://a/b/c/g"},
		{";x", "http://a/b/c/;x"},
		{"g;x", "http://a/b/c/g;x"},
		{"", "http://a/b/c/d;p?q"},
		{".", "http://a/b/c/"},
		{"./", "http://a/b/c/"},
		{"..", "http://a/b/"},
		{"../", "http://a/b/"},
		{"../g", "http://a/b/g"},
		{"../..", "http://a/"},
		{"../../g", "http://a/g"},
		{"../../../g", "http://a/g"},
		{"../../../../g", "http://a/g"},
		{"/./g", "http://a/g"},
		{"/../g", "http://a/g"},
		{"g.", "http://a/b/c/g."},
		{"..g", "http://a/b/c/..g"},
		{"./../g", "http://a/b/g"},
		{"./g/.", "http://a/b/c/g/"},
		{"g/./h", "http://a/b/c/g/h"},
		{"g/../h", "http://a/b/c/h"},
		{"g;x=1/../y", "http://a/b/c/y"},
		{"g?y/./x", "http://a/b/c/g?y/./x"},
		{"https://x:1/y", "https://x:1/y"},
		{" /g ", "http://a/g"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		AUTO_FREE char *out = NULL;
		assert_int_equal(url_resolve("http://a/b/c/d;p?q", str_of(cases[i][0]), &out, &err), 0);
		assert_string_equal(out, cases[i][1]);
	}
	static const char *const bad[] = {
		"http:g", "ftp://x/", "file:///etc/passwd", "javascript:alert(1)", "//", "//a b", "/a b", "http://a\\b"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {0};
		char *out = NULL;
		if (url_resolve("http://a/b", str_of(bad[i]), &out, &err) == 0)
			fail_msg("resolved %s", bad[i]);
		assert_null(out);
	}
}

static void resolves_without_a_path(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_FREE char *a = NULL, *b = NULL;
	assert_int_equal(url_resolve("http://h:5000", STR("v2/"), &a, &err), 0);
	assert_string_equal(a, "http://h:5000/v2/");
	assert_int_equal(url_resolve("http://h?q", STR("?r"), &b, &err), 0);
	assert_string_equal(b, "http://h?r");
}

static void origins(void **state) {
	(void) state;
	assert_true(url_same_origin("https://a/x", "https://A:443/y?z"));
	assert_true(url_same_origin("http://a", "http://a:80/"));
	assert_false(url_same_origin("http://a", "https://a"));
	assert_false(url_same_origin("https://a", "https://a:444"));
	assert_false(url_same_origin("https://a", "https://b"));
	assert_false(url_same_origin("https://a", "https://a.b"));
	assert_false(url_same_origin("nonsense", "nonsense"));
}

static void encodes_and_redacts(void **state) {
	(void) state;
	AUTO_BUF struct buf out = BUF(4096);
	url_encode(STR("a b/c~_-.:\xc3\xa9"), &out);
	assert_string_equal(out.ptr, "a%20b%2Fc~_-.%3A%C3%A9");
	static const char *const cases[][2] = {
		{"https://u:p@h:1/v2/x?digest=sha256:1&state=secret", "https://h:1/v2/x?digest=***&state=***"},
		{"https://h/p?flag", "https://h/p?flag"},
		{"https://h/p#access_token=x", "https://h/p"},
		{"https://a@b@c/p", "https://c/p"},
		{"nonsense", "nonsense"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf shown = BUF(4096);
		url_redact(cases[i][0], &shown);
		assert_string_equal(shown.ptr ? shown.ptr : "", cases[i][1]);
	}
}

static void places(void **state) {
	(void) state;
	static const struct {
		const char *host;
		bool is_loopback, is_link_local, is_inside;
	} cases[] = {
		{"localhost", true, false, true},
		{"LOCALHOST.", true, false, true},
		{"x.localhost", true, false, true},
		{"127.0.0.1", true, false, true},
		{"127.9.9.9", true, false, true},
		{"::1", true, false, true},
		{"::ffff:127.0.0.1", true, false, true},
		{"10.1.2.3", false, false, true},
		{"172.16.0.1", false, false, true},
		{"172.32.0.1", false, false, false},
		{"192.168.1.1", false, false, true},
		{"100.64.0.1", false, false, true},
		{"169.254.169.254", false, true, true},
		{"::ffff:169.254.169.254", false, true, true},
		{"64:ff9b::a9fe:a9fe", false, true, true},
		{"fd00:ec2::254", false, true, true},
		{"fe80::1", false, true, true},
		{"fc00::1", false, false, true},
		{"::", false, false, true},
		{"0.0.0.0", false, false, true},
		{"metadata.google.internal", false, true, true},
		{"Metadata", false, true, true},
		{"2130706433", false, true, true},
		{"0x7f.1", false, true, true},
		{"0177.0.0.1", false, true, true},
		{"127.1", false, true, true},
		{"8.8.8.8", false, false, false},
		{"2001:4860:4860::8888", false, false, false},
		{"registry.example.com", false, false, false},
		{"localhost.example.com", false, false, false},
		{"x1", false, false, false},
		{"", false, false, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str host = str_of(cases[i].host);
		if (url_host_is_loopback(host) != cases[i].is_loopback || url_host_is_link_local(host) != cases[i].is_link_local ||
			url_host_is_inside(host) != cases[i].is_inside)
			fail_msg("%s: loopback %d, link-local %d, inside %d", cases[i].host, url_host_is_loopback(host),
				url_host_is_link_local(host), url_host_is_inside(host));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(a_refusal_shows_no_password),
		cmocka_unit_test(resolves),
		cmocka_unit_test(resolves_without_a_path),
		cmocka_unit_test(origins),
		cmocka_unit_test(encodes_and_redacts),
		cmocka_unit_test(places),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
