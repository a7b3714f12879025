#include "runner/http/write.h"
#include "data/value.h"

const char *http_reason(int status) {
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
		{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"},
		{308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
		{404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {413, "Content Too Large"}, {414, "URI Too Long"},
		{415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {422, "Unprocessable Content"}, {429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
		{504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void http_date(int64_t wall_s, char out[HTTP_DATE_MAX]) {
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t) wall_s;
	struct tm t = {0};
	gmtime_r(&seconds, &t);
	snprintf(out, HTTP_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday % 7], t.tm_mday % 100, months[t.tm_mon % 12],
		(t.tm_year + 1900) % 10000, t.tm_hour % 100, t.tm_min % 100, t.tm_sec % 100);
}

void http_write_answer(struct buf *out, const struct http_answer *answer) {
	buf_format(out, "HTTP/1.1 %d %s\r\n", answer->status, http_reason(answer->status));
	if (answer->date)
		buf_format(out, "Date: %s\r\n", answer->date);
	if (answer->content_type)
		buf_format(out, "Content-Type: %s\r\n", answer->content_type);
	if (!answer->has_no_length)
		buf_format(out, "Content-Length: %lld\r\n", (long long) answer->length);
	if (answer->is_closing)
		buf_text(out, "Connection: close\r\n");
	else if (answer->minor == 0)
		buf_text(out, "Connection: keep-alive\r\n");
	buf_str(out, answer->headers);
	buf_text(out, "\r\n");
}

static bool is_hop_by_hop(struct str name) {
	static const char *const names[] = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
		"trailer", "transfer-encoding", "upgrade", "content-length", "expect", "date"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_is_nocase(name, names[i]))
			return true;
	return false;
}

static bool is_named_by_connection(const struct http_head *head, struct str name) {
	char text[64];
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	return http_has_token(head, "connection", text);
}

void http_write_passing(struct buf *out, const struct http_head *head, const char *except) {
	for (size_t i = 0; i < head->count; i++) {
		const struct http_header *h = &head->headers[i];
		if (is_hop_by_hop(h->name) || str_is_nocase(h->name, except) || is_named_by_connection(head, h->name))
			continue;
		buf_str(out, h->name);
		buf_text(out, ": ");
		buf_str(out, h->value);
		buf_text(out, "\r\n");
	}
}

void http_write_error(struct buf *out, const char *why) {
	buf_text(out, "{\"error\":");
	json_quote(out, str_of(why));
	buf_char(out, '}');
}
