#include "net/rest.h"

#define WAIT_FIRST_MS 250
#define WAIT_MS_MAX 8000
#define RETRY_AFTER_MS_MAX (10 * 60 * 1000)

static bool is_idempotent(const char *method) {
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

static bool status_is_passing(int status) {
	return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

/* RFC 9110 10.2.3. A date is compared with the server's own Date, so that nobody's clock has to be right. -1: not said. */
static int64_t retry_after_ms(const struct http_answer *answer) {
	struct str text = http_header_of(answer, "retry-after");
	int64_t seconds, until_s, now_s;
	if (!text.len)
		return -1;
	if (num_int(text, 0, RETRY_AFTER_MS_MAX / 1000, &seconds) == 0)
		return seconds * 1000;
	if (clock_parse_http(text, &until_s) == 0 && clock_parse_http(http_header_of(answer, "date"), &now_s) == 0) {
		int64_t wait_ms = (until_s - now_s) * 1000;
		return wait_ms < 0 ? 0 : wait_ms > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : wait_ms;
	}
	return ascii_is_digit(text.ptr[0]) ? RETRY_AFTER_MS_MAX : -1;
}

int64_t retry_wait_ms(const char *method, bool is_repeatable, const struct http_answer *answer, int n, int64_t jitter_permille) {
	bool may_repeat = is_repeatable || is_idempotent(method);
	if (answer->failure.code) {
		bool is_passing = answer->failure.code == ERR_NETWORK || answer->failure.code == ERR_TIMEOUT;
		if (!is_passing || (!may_repeat && answer->was_sent))
			return -1;
	} else if ((!may_repeat && answer->status != 429) || !status_is_passing(answer->status)) { /* RFC 6585 4: 429 was not done */
		return -1;
	}
	int64_t wait_ms = WAIT_FIRST_MS;
	for (int i = 1; i < n && wait_ms < WAIT_MS_MAX; i++)
		wait_ms *= 2;
	if (wait_ms > WAIT_MS_MAX)
		wait_ms = WAIT_MS_MAX;
	wait_ms = wait_ms / 2 + wait_ms / 2 * jitter_permille / 1000; /* half of it is chance: many clients do not come back at once */
	int64_t asked_ms = retry_after_ms(answer);
	return asked_ms > wait_ms ? asked_ms : wait_ms;
}
