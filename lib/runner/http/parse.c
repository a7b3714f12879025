#include "runner/http/parse.h"

/* What a byte may be part of: RFC 9110 5.6.2 (token), 5.5 (field content), RFC 3986 (target, without '#'). */
enum { IS_TOKEN = 1, IS_TEXT = 2, IS_TARGET = 4 };

static bool has_class(char c, int class) {
	static const char marks[] = "!#$%&'*+-.^_`|~";
	unsigned char byte = (unsigned char) c;
	if ((class & IS_TEXT) && (byte == '\t' || byte == ' ' || (byte > 0x20 && byte != 0x7f)))
		return true;
	if ((class & IS_TARGET) && byte > 0x20 && byte < 0x7f && byte != '#')
		return true;
	return (class & IS_TOKEN) && (ascii_is_alnum(c) || (c != '\0' && strchr(marks, c)));
}

static bool all_of(struct str text, int class) {
	for (size_t i = 0; i < text.len; i++)
		if (!has_class(text.ptr[i], class))
			return false;
	return true;
}

bool http_is_token(struct str text) {
	return text.len > 0 && all_of(text, IS_TOKEN);
}

static int refuse(struct http_fault *fault, int status, const char *why) {
	*fault = (struct http_fault) {status, why};
	return -1;
}

/* One byte of a head; 1 when it ended the head's empty line. */
static int scan_byte(struct http_scan *scan, const char *bytes, struct http_fault *fault) {
	size_t at = scan->at;
	char c = bytes[at];
	bool after_cr = at > scan->line && bytes[at - 1] == '\r';
	if (c == '\n') {
		if (!after_cr)
			return refuse(fault, 400, "a line ends in LF without CR");
		size_t line_len = at - 1 - scan->line;
		scan->line = at + 1;
		scan->lines++;
		/* RFC 9112 2.2: one empty line before the request line is forgiven, so an empty first line ends nothing. */
		return line_len == 0 && scan->lines > 1 ? 1 : 0;
	}
	if (after_cr)
		return refuse(fault, 400, "a CR is not followed by LF");
	if (c != '\r' && !has_class(c, IS_TEXT))
		return refuse(fault, 400, "a control byte in the header");
	return 0;
}

int http_scan(struct http_scan *scan, const char *bytes, size_t len, struct http_fault *fault) {
	while (scan->at < len) {
		int rc = scan_byte(scan, bytes, fault);
		if (rc < 0)
			return -1;
		scan->at++;
		if (rc == 1)
			return 1;
		/* The empty line counted above may be the second of two leading ones: then there is no request line. */
		if (scan->at > HTTP_HEAD_BYTES_MAX)
			return scan->lines == 0 ? refuse(fault, 414, "the request line is longer than 4096 bytes")
						: refuse(fault, 431, "the header is larger than 16384 bytes");
		if (scan->lines == 0 && scan->at > HTTP_TARGET_BYTES_MAX + 64)
			return refuse(fault, 414, "the request line is longer than 4096 bytes");
	}
	return 0;
}

/* The line at *rest without its CRLF; *rest moves behind it. The scanner has made sure that each line ends in CRLF. */
static struct str next_line(struct str *rest) {
	const char *end = memchr(rest->ptr, '\n', rest->len);
	size_t len = end ? (size_t) (end - rest->ptr) : rest->len;
	struct str line = {rest->ptr, len && rest->ptr[len - 1] == '\r' ? len - 1 : len};
	size_t skip = end ? len + 1 : len;
	rest->ptr += skip;
	rest->len -= skip;
	return line;
}

/* Digits only: no sign, no 0x, no list, no space. */
static int parse_length(struct str text, int64_t *out, struct http_fault *fault) {
	if (text.len == 0)
		return refuse(fault, 400, "an empty Content-Length");
	int64_t length = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_digit(text.ptr[i]))
			return refuse(fault, 400, "Content-Length is not a decimal number");
		if (__builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, text.ptr[i] - '0', &length))
			return refuse(fault, 413, "Content-Length is too large");
	}
	*out = length;
	return 0;
}

static int parse_header(struct http_head *head, struct str line, struct http_fault *fault) {
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return refuse(fault, 400, "a folded header");
	if (head->count == HTTP_HEADERS_MAX)
		return refuse(fault, 431, "more than 64 headers");
	struct str value;
	struct str name = str_cut(line, ':', &value);
	if (!value.ptr || !http_is_token(name))
		return refuse(fault, 400, "a header's name is not a token followed by a colon");
	head->headers[head->count++] = (struct http_header) {name, str_trim(value)};
	return 0;
}

static bool is_host(struct str value) {
	static const char marks[] = "-._~!$&'()*+;=:[]%";
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_alnum(value.ptr[i]) && !(value.ptr[i] && strchr(marks, value.ptr[i])))
			return false;
	return value.len > 0;
}

/* RFC 9112 6: how the body is framed. Anything that two readers could frame in two ways is refused. */
static int parse_framing(struct http_head *head, struct http_fault *fault) {
	size_t hosts = 0, codings = 0;
	for (size_t i = 0; i < head->count; i++) {
		const struct http_header *h = &head->headers[i];
		if (str_is_nocase(h->name, "content-length")) {
			if (head->has_length)
				return refuse(fault, 400, "more than one Content-Length");
			if (parse_length(h->value, &head->length, fault) != 0)
				return -1;
			head->has_length = true;
		} else if (str_is_nocase(h->name, "transfer-encoding")) {
			if (codings++ || !str_is_nocase(h->value, "chunked"))
				return refuse(fault, 400, "a Transfer-Encoding other than chunked");
			head->is_chunked = true;
		} else if (str_is_nocase(h->name, "host")) {
			hosts++;
			if (!head->status && !is_host(h->value))
				return refuse(fault, 400, "Host is not a host name");
		} else if (str_is_nocase(h->name, "expect") && !head->status) {
			if (!str_is_nocase(h->value, "100-continue"))
				return refuse(fault, 417, "an expectation other than 100-continue");
			head->expects_continue = head->minor >= 1;
		}
	}
	if (head->is_chunked && head->has_length)
		return refuse(fault, 400, "Content-Length beside Transfer-Encoding");
	if (head->is_chunked && head->minor == 0)
		return refuse(fault, 400, "Transfer-Encoding in HTTP/1.0");
	if (!head->status && (hosts > 1 || (hosts == 0 && head->minor >= 1)))
		return refuse(fault, 400, hosts ? "more than one Host" : "no Host");
	head->is_closing = http_has_token(head, "connection", "close") ||
			   (head->minor == 0 && !http_has_token(head, "connection", "keep-alive"));
	return 0;
}

static int parse_version(struct str text, int *minor, struct http_fault *fault) {
	if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || !ascii_is_digit(text.ptr[5]) || text.ptr[6] != '.' ||
		!ascii_is_digit(text.ptr[7]))
		return refuse(fault, 400, "the line does not end in HTTP/1.1");
	if (text.ptr[5] != '1' || text.ptr[7] > '1')
		return refuse(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	*minor = text.ptr[7] - '0';
	return 0;
}

static enum http_method method_of(struct str method) {
	static const char *const names[] = {[HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT"};
	for (int i = 0; i < HTTP_OTHER; i++)
		if (str_is(method, names[i]))
			return (enum http_method) i;
	return HTTP_OTHER;
}

/* RFC 9112 3.2: origin-form, absolute-form, and "*" for OPTIONS; CONNECT's authority-form is for proxies. */
static int parse_target(struct http_head *head, struct http_fault *fault) {
	struct str target = head->target;
	if (target.len > HTTP_TARGET_BYTES_MAX)
		return refuse(fault, 414, "the target is longer than 4096 bytes");
	if (!all_of(target, IS_TARGET))
		return refuse(fault, 400, "the target holds a byte that no URL may hold");
	if (str_is(target, "*") && str_is(head->method, "OPTIONS")) {
		head->path = target;
		return 0;
	}
	size_t scheme = str_starts(target, "http://") ? 7 : str_starts(target, "https://") ? 8 : 0;
	if (scheme) {
		target.ptr += scheme;
		target.len -= scheme;
		struct str authority = {target.ptr, 0};
		while (authority.len < target.len && target.ptr[authority.len] != '/' && target.ptr[authority.len] != '?')
			authority.len++;
		if (!is_host(authority))
			return refuse(fault, 400, "the target's authority is not a host name");
		target.ptr += authority.len;
		target.len -= authority.len;
		if (target.len == 0 || target.ptr[0] == '?') { /* an empty path is "/" */
			head->path = str_cut(target, '?', &head->query);
			head->path = STR("/");
			return 0;
		}
	}
	if (target.len == 0 || target.ptr[0] != '/')
		return refuse(fault, 400, "the target is not a path");
	head->path = str_cut(target, '?', &head->query);
	return 0;
}

static int parse_request_line(struct http_head *head, struct str line, struct http_fault *fault) {
	struct str rest;
	head->method = str_cut(line, ' ', &rest);
	if (!rest.ptr || !http_is_token(head->method))
		return refuse(fault, 400, "the request line is not METHOD TARGET HTTP/1.1");
	struct str version;
	head->target = str_cut(rest, ' ', &version);
	if (!version.ptr || head->target.len == 0)
		return refuse(fault, 400, "the request line is not METHOD TARGET HTTP/1.1");
	head->verb = method_of(head->method);
	if (parse_version(version, &head->minor, fault) != 0)
		return -1;
	return parse_target(head, fault);
}

static int parse_headers(struct http_head *head, struct str rest, struct http_fault *fault) {
	while (rest.len > 0) {
		struct str line = next_line(&rest);
		if (line.len == 0)
			break;
		if (parse_header(head, line, fault) != 0)
			return -1;
	}
	return parse_framing(head, fault);
}

static void start_head(struct http_head *head, size_t len) {
	memset(head, 0, offsetof(struct http_head, headers));
	head->bytes = len;
}

int http_parse_request(const char *bytes, size_t len, struct http_head *head, struct http_fault *fault) {
	start_head(head, len);
	struct str rest = {bytes, len};
	struct str line = next_line(&rest);
	if (line.len == 0)
		line = next_line(&rest);
	if (parse_request_line(head, line, fault) != 0)
		return -1;
	return parse_headers(head, rest, fault);
}

int http_parse_response(const char *bytes, size_t len, struct http_head *head, struct http_fault *fault) {
	start_head(head, len);
	struct str rest = {bytes, len}, after;
	struct str line = next_line(&rest);
	if (parse_version(str_cut(line, ' ', &after), &head->minor, fault) != 0)
		return -1;
	struct str reason;
	struct str code = str_cut(after, ' ', &reason);
	if (!after.ptr || code.len != 3 || !ascii_is_digit(code.ptr[0]) || !ascii_is_digit(code.ptr[1]) || !ascii_is_digit(code.ptr[2]))
		return refuse(fault, 400, "the status is not three digits");
	head->status = (code.ptr[0] - '0') * 100 + (code.ptr[1] - '0') * 10 + (code.ptr[2] - '0');
	if (head->status < 100)
		return refuse(fault, 400, "the status is under 100");
	return parse_headers(head, rest, fault);
}

struct str http_header(const struct http_head *head, const char *name) {
	for (size_t i = 0; i < head->count; i++)
		if (str_is_nocase(head->headers[i].name, name))
			return head->headers[i].value;
	return (struct str) {NULL, 0};
}

bool http_has_token(const struct http_head *head, const char *name, const char *token) {
	for (size_t i = 0; i < head->count; i++) {
		if (!str_is_nocase(head->headers[i].name, name))
			continue;
		struct str rest = head->headers[i].value;
		while (rest.ptr)
			if (str_is_nocase(str_trim(str_cut(rest, ',', &rest)), token))
				return true;
	}
	return false;
}

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF, TRAILER_START, TRAILER_NAME, TRAILER_VALUE,
	TRAILER_LF, LAST_LF };

static int hex_digit(char c) {
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int chunk_size_byte(struct http_chunked *chunked, char c, int64_t body_bytes_max, struct http_fault *fault) {
	int digit = hex_digit(c);
	if (digit >= 0) {
		if (++chunked->digits > 15)
			return refuse(fault, 413, "a chunk is too large");
		chunked->left = chunked->left * 16 + (uint64_t) digit;
		if ((int64_t) chunked->left > body_bytes_max - chunked->total)
			return refuse(fault, 413, "the body is too large");
		return 0;
	}
	if (chunked->digits == 0 || (c != '\r' && c != ';'))
		return refuse(fault, 400, "a chunk's size is not a hexadecimal number");
	chunked->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
	return 0;
}

/* The lines of the trailer are checked by the header's grammar and forgotten. */
static int trailer_byte(struct http_chunked *chunked, char c, struct http_fault *fault) {
	if (++chunked->trailer_bytes > HTTP_TRAILER_BYTES_MAX)
		return refuse(fault, 431, "the trailer is larger than 4096 bytes");
	switch (chunked->state) {
	case TRAILER_START:
		if (c == '\r')
			chunked->state = LAST_LF;
		else if (has_class(c, IS_TOKEN))
			chunked->state = TRAILER_NAME;
		else
			return refuse(fault, 400, "the trailer is not a header");
		return 0;
	case TRAILER_NAME:
		if (c == ':')
			chunked->state = TRAILER_VALUE;
		else if (!has_class(c, IS_TOKEN))
			return refuse(fault, 400, "the trailer is not a header");
		return 0;
	case TRAILER_VALUE:
		if (c == '\r')
			chunked->state = TRAILER_LF;
		else if (!has_class(c, IS_TEXT))
			return refuse(fault, 400, "a control byte in the trailer");
		return 0;
	default: /* TRAILER_LF, LAST_LF */
		if (c != '\n')
			return refuse(fault, 400, "a CR is not followed by LF");
		if (chunked->state == LAST_LF)
			return 1;
		chunked->state = TRAILER_START;
		return 0;
	}
}

/* A byte that is not data. 1: the body is complete. */
static int chunk_byte(struct http_chunked *chunked, char c, int64_t body_bytes_max, struct http_fault *fault) {
	switch (chunked->state) {
	case CHUNK_SIZE:
		return chunk_size_byte(chunked, c, body_bytes_max, fault);
	case CHUNK_EXTENSION:
		if (++chunked->line_bytes > HTTP_CHUNK_LINE_BYTES_MAX)
			return refuse(fault, 400, "a chunk's extension is longer than 256 bytes");
		if (c == '\r' && chunked->line_bytes > 1)
			chunked->state = CHUNK_SIZE_LF;
		else if (!has_class(c, chunked->line_bytes > 1 ? IS_TEXT : IS_TOKEN))
			return refuse(fault, 400, "a chunk's extension has no name, or a control byte");
		return 0;
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return refuse(fault, 400, "a CR is not followed by LF");
		chunked->state = chunked->left ? CHUNK_DATA : TRAILER_START;
		return 0;
	case CHUNK_DATA_CR:
		if (c != '\r')
			return refuse(fault, 400, "a chunk is longer than its size");
		chunked->state = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		if (c != '\n')
			return refuse(fault, 400, "a CR is not followed by LF");
		chunked->state = CHUNK_SIZE;
		chunked->digits = 0;
		chunked->line_bytes = 0;
		return 0;
	default:
		return trailer_byte(chunked, c, fault);
	}
}

int http_chunked_feed(struct http_chunked *chunked, const char *bytes, size_t len, int64_t body_bytes_max, size_t *used, char *out,
	size_t *produced, struct http_fault *fault) {
	size_t at = 0, made = 0;
	while (at < len) {
		if (chunked->state == CHUNK_DATA) {
			size_t n = len - at < chunked->left ? len - at : (size_t) chunked->left;
			memmove(out + made, bytes + at, n);
			made += n;
			at += n;
			chunked->left -= n;
			chunked->total += (int64_t) n;
			if (chunked->left == 0)
				chunked->state = CHUNK_DATA_CR;
			continue;
		}
		int rc = chunk_byte(chunked, bytes[at], body_bytes_max, fault);
		if (rc < 0)
			return -1;
		at++;
		if (rc == 1) {
			*used = at;
			*produced = made;
			return 1;
		}
	}
	*used = at;
	*produced = made;
	return 0;
}
