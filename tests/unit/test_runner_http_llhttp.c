/* llhttp's request cases against a live server over loopback. What llhttp refuses must be answered with 4xx or 5xx, or closed without an answer; what
 * llhttp takes and we refuse is listed below with the reason, so that the list cannot grow unseen. */
#include "runner/http/server.h"
#include "os/fs.h"
#include "unit/suite.h"

#include <dirent.h>
#include <poll.h>

static enum http_kind kind_of(void *self, const struct http_head *head) {
	(void) self;
	return head->verb == HTTP_POST ? HTTP_KIND_HEAVY : HTTP_KIND_QUICK;
}

static void answer(void *self, struct http_exchange *x) {
	(void) self;
	static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND", "SEARCH", "PURGE",
		"LINK", "UNLINK", "SOURCE", "M-SEARCH", "MOVE", "REPORT", "MKACTIVITY", "LOCK", "QUERY"};
	x->status = 405;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_is(x->head->method, known[i]))
			x->status = 200;
	buf_text(x->out, "{}");
}

static void refused(void *self, unsigned worker, int status, const char *why) {
	(void) self, (void) worker, (void) status, (void) why;
}

static void relayed(void *self, unsigned worker, const struct http_handover *handover) {
	(void) self, (void) worker, (void) handover;
}

static struct http_server *start(struct net_address *address, int *fd) {
	struct err err = {0};
	struct http_server *server = NULL;
	struct http_app app = {NULL, kind_of, answer, refused, relayed};
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	assert_int_equal(net_parse(STR("127.0.0.1:0"), address, &err), 0);
	assert_int_equal(net_listen(address, fd, &err), 0);
	if (http_server_start(*fd, false, &limits, &app, &clock_system, &server, &err) != 0)
		fail_msg("%s", err.message);
	return server;
}

/* Sends the bytes and an end, and reads what comes until the server closes. */
static void talk(const struct net_address *address, struct str bytes, struct buf *got) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &address->any, address->len), 0);
	best_effort(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t) bytes.len); /* a server that closes early is one outcome */
	shutdown(fd, SHUT_WR);
	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (poll(&ready, 1, 5000) != 1)
			fail_msg("the server neither answered nor closed");
		char part[4096];
		ssize_t n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			break;
		buf_add(got, part, (size_t) n);
	}
	close(fd);
}

enum verdict { TAKEN, CLOSED, REFUSED };
/* REFUSED: some request got an error. CLOSED: the bytes were not enough for an answer, or the connection was closed behind one before they all were
 * read. */
static enum verdict verdict_of(const struct buf *got) {
	struct str all = buf_view(got);
	size_t answers = 0;
	for (size_t i = 0; i + 12 <= all.len; i++) {
		if (memcmp(all.ptr + i, "HTTP/1.1 ", 9) != 0)
			continue;
		answers++;
		if (all.ptr[i + 9] >= '4')
			return REFUSED;
	}
	return answers == 0 || memmem(all.ptr, all.len, "\r\nConnection: close\r\n", 21) ? CLOSED : TAKEN;
}

/* The bytes of a case as llhttp's own harness makes them: its last newline goes, the others become CRLF, then escapes are read. */
static void unescape(struct str block, struct buf *out) {
	if (block.len && block.ptr[block.len - 1] == '\n')
		block.len--;
	for (size_t i = 0; i < block.len; i++) {
		char c = block.ptr[i], next = i + 1 < block.len ? block.ptr[i + 1] : 0;
		if (c == '\n') {
			buf_text(out, "\r\n");
		} else if (c != '\\') {
			buf_char(out, c);
		} else if (next == '\n') {
			i++;
		} else if (next == 'r' || next == 'n' || next == 't' || next == 'f') {
			buf_char(out, next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f');
			i++;
		} else if (next == 'x') {
			unsigned value = 0;
			for (i += 2; i < block.len && (ascii_is_digit(block.ptr[i]) || (ascii_lower(block.ptr[i]) >= 'a' && ascii_lower(block.ptr[i]) <= 'f')); i++)
				value = value * 16 + (unsigned) (ascii_is_digit(block.ptr[i]) ? block.ptr[i] - '0' : ascii_lower(block.ptr[i]) - 'a' + 10);
			i--;
			buf_char(out, (char) value);
		} else {
			buf_char(out, c);
		}
	}
}

/* Most cases have no Host, which alone would refuse them: a second run with one shows that the rest is judged too. */
static void with_host(const struct buf *in, struct buf *out) {
	struct str all = buf_view(in);
	size_t first = 0;
	while (first + 1 < all.len && (all.ptr[first] == '\r' || all.ptr[first] == '\n'))
		first++;
	const char *end = memmem(all.ptr + first, all.len - first, "\r\n", 2);
	if (!end || memmem(all.ptr, all.len, "\r\nHost", 6) || memmem(all.ptr, all.len, "\r\nHOST", 6)) {
		buf_str(out, all);
		return;
	}
	size_t head = (size_t) (end + 2 - all.ptr);
	buf_add(out, all.ptr, head);
	buf_text(out, "Host: a\r\n");
	buf_add(out, all.ptr + head, all.len - head);
}

/* "file: title" of cases that llhttp takes and this server does not, with a Host added. */
static const char *const stricter[][2] = {
#include "unit/llhttp_stricter.inc"
};

static const char *why_stricter(const char *name) {
	for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++)
		if (strcmp(stricter[i][0], name) == 0)
			return stricter[i][1];
	return NULL;
}

struct tally {
	int errors, accepted, stricter, wrong;
};

static void check_case(const struct net_address *address, const char *name, struct str block, struct str log, struct tally *tally) {
	AUTO_BUF struct buf bytes = BUF(1 << 20), hosted = BUF(1 << 20), got = BUF(1 << 20);
	unescape(block, &bytes);
	with_host(&bytes, &hosted);
	talk(address, buf_view(&hosted), &got);
	/* Codes 21 to 23 hand the connection over (Upgrade, CONNECT, the preface of HTTP/2): no refusal, and an upgrade may be declined. */
	bool is_error = memmem(log.ptr, log.len, "error code=", 11) && !memmem(log.ptr, log.len, "error code=2", 12);
	is_error |= memmem(log.ptr, log.len, "error code=2 ", 13) || memmem(log.ptr, log.len, "error code=25 ", 14);
	enum verdict verdict = verdict_of(&got);
	if (is_error) {
		tally->errors++;
		if (verdict == TAKEN) {
			print_message("# %s: llhttp refuses it, we answered %.60s\n", name, got.ptr ? got.ptr : "");
			tally->wrong++;
		}
	} else if (verdict != REFUSED) {
		tally->accepted++;
	} else {
		tally->stricter++;
		if (!why_stricter(name)) {
			const char *answer_text = got.ptr ? memmem(got.ptr, got.len, "{\"error\"", 8) : NULL;
			print_message("# not in the list: {\"%s\", \"%s\"},\n", name, answer_text ? answer_text : "?");
			tally->wrong++;
		}
	}
}

static struct str block_after(struct str text, const char *fence, struct str *rest) {
	AUTO_FREE char *open = mem_format("```%s\n", fence);
	const char *from = memmem(text.ptr, text.len, open, strlen(open));
	if (!from)
		return (struct str) {NULL, 0};
	from += strlen(open);
	size_t left = text.len - (size_t) (from - text.ptr);
	const char *to = memmem(from, left, "```", 3);
	if (!to)
		return (struct str) {NULL, 0};
	*rest = (struct str) {to + 3, left - (size_t) (to + 3 - from)};
	return (struct str) {from, (size_t) (to - from)};
}

/* A case: <!-- meta={"type": "request"...} -->, its bytes, its log; the title is the nearest heading above. Cases for lenient parsers and for
 * pausing callbacks are of other types. */
static void check_file(const struct net_address *address, const char *file, struct str text, struct tally *tally) {
	char title[256] = "";
	int number = 0;
	while (text.len) {
		struct str rest;
		struct str line = str_cut(text, '\n', &rest);
		if (str_starts(line, "## ") || str_starts(line, "### ")) {
			number = 0;
			snprintf(title, sizeof(title), "%.*s", STR_ARGS(line));
		}
		text = rest;
		bool is_case = str_starts(line, "<!-- meta=") && (memmem(line.ptr, line.len, "\"request\"", 9)) && !memmem(line.ptr, line.len, "pause", 5) &&
			       !memmem(line.ptr, line.len, "skipBody", 8);
		if (!is_case)
			continue;
		struct str after;
		struct str block = block_after(text, "http", &after);
		struct str log = block_after(after, "log", &rest);
		if (!block.ptr || !log.ptr)
			continue;
		AUTO_FREE char *name = mem_format("%s: %s%.*s", file, title + strspn(title, "# "), number ? 4 : 0, number ? " (2)" : "");
		number++;
		check_case(address, name, block, log, tally);
		text = rest;
	}
}

static void test_suite(void **state) {
	(void) state;
	AUTO_FREE char *folder = suite_path("http/request"); /* skips when it is not there */
	struct net_address address;
	int fd;
	struct tally tally = {0};
	struct http_server *server = start(&address, &fd);
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!str_ends(str_of(entry->d_name), ".md"))
			continue;
		struct err err = {0};
		AUTO_FREE char *path = fs_join(folder, entry->d_name);
		AUTO_FREE char *text = NULL;
		size_t len;
		assert_int_equal(fs_read(path, 1 << 20, &text, &len, &err), 0);
		check_file(&address, entry->d_name, (struct str) {text, len}, &tally);
	}
	closedir(dir);
	http_server_free(server);
	close(fd);
	print_message("# llhttp: %d error cases, all refused here; %d taken by both; %d refused here only, each listed with its reason\n", tally.errors,
		tally.accepted, tally.stricter);
	assert_int_equal(tally.wrong, 0);
	assert_true(tally.errors > 20 && tally.accepted > 20);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_suite)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
