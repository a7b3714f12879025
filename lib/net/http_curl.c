#include "net/http.h"

#include "net/rest.h"
#include "os/fs.h"
#include "os/sig.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>

#define HEADERS_BYTES_MAX ((size_t) 64 * 1024)
#define ANSWER_BYTES_MAX ((size_t) 1024 * 1024)
#define UPLOAD_BUFFER_BYTES (256L * 1024) /* measured: 0.17 s CPU a GiB; 0.23 with 128, 0.28 with 512, which leaves the cache */
#define DOWNLOAD_BUFFER_BYTES (64L * 1024)
#define EXPECT_BYTES_MIN ((int64_t) 16 * 1024 * 1024)
#define CONNECTIONS_KEPT_MAX 16L
#define CONNECT_TIMEOUT_MS 10000
#define STALL_TIMEOUT_MS 60000
#define WAIT_MS_MAX 60000

struct transfer {
	struct transfer *next;
	struct curl_http *owner;
	int64_t id;
	CURL *easy;
	struct curl_slist *lines, *connect_to;
	struct http_request request; /* its url, method are ours; headers are in lines */
	char *url, *method, *host;
	char reason[CURL_ERROR_SIZE];
	struct buf headers, body;
	int status;
	bool is_head_done; /* the headers' empty line was seen: what follows are trailers */
	bool is_cut;	   /* an error body was longer than anybody wants to know */
	bool has_own_trust, has_own_proxy;
	bool is_proxied; /* unless no_proxy names the host: libcurl does not tell whom it called in vain */
	int64_t offset;	 /* of the body, where the next read begins */
	int64_t started_ms, moved_ms, moved_bytes, told_bytes;
	struct err failure; /* a callback's */
};

struct curl_http {
	struct http http;
	CURLM *multi;
	CURLSH *shared; /* TLS sessions: a second connection to a host resumes the first one's */
	struct transfer *transfers;
	int64_t last_id;
	int signal_fd;
	char *http_proxy, *https_proxy, *no_proxy, *ca_file;
};

static void transfer_free(struct transfer *transfer) {
	if (!transfer)
		return;
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	for (struct curl_slist *line = transfer->lines; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data)); /* some hold credentials */
	curl_slist_free_all(transfer->lines);
	curl_slist_free_all(transfer->connect_to);
	free(transfer->url);
	free(transfer->method);
	free(transfer->host);
	buf_clear(&transfer->headers);
	buf_clear(&transfer->body);
	free(transfer);
}
CLEANUP_POINTER(transfer, struct transfer *, transfer_free)

/* libcurl replays a request on a fresh connection when a kept one turned out to be dead. Only what may be repeated may. */
static bool may_repeat(const struct transfer *transfer) {
	return !transfer->request.is_once && strcmp(transfer->method, "POST") != 0 && strcmp(transfer->method, "PATCH") != 0;
}

static int64_t body_bytes(const struct transfer *transfer) {
	return transfer->request.read ? transfer->request.body_bytes : (int64_t) transfer->request.body.len;
}

static size_t on_read(char *bytes, size_t size, size_t count, void *self) {
	struct transfer *transfer = self;
	int64_t left = body_bytes(transfer) - transfer->offset;
	size_t len = size * count, got = 0;
	if ((int64_t) len > left)
		len = (size_t) left;
	if (len == 0)
		return 0;
	if (!transfer->request.read) {
		memcpy(bytes, transfer->request.body.ptr + transfer->offset, len);
		got = len;
	} else if (transfer->request.read(transfer->request.read_self, transfer->offset, bytes, len, &got, &transfer->failure) != 0) {
		return CURL_READFUNC_ABORT;
	} else if (got == 0) {
		err_set(&transfer->failure, ERR_FAILED, "the body ended after %lld of %lld bytes", (long long) transfer->offset,
			(long long) body_bytes(transfer));
		return CURL_READFUNC_ABORT;
	}
	transfer->offset += (int64_t) got;
	return got;
}

static int on_seek(void *self, curl_off_t offset, int origin) {
	struct transfer *transfer = self;
	if (origin != SEEK_SET || offset < 0 || offset > body_bytes(transfer) || (offset == 0 && !may_repeat(transfer)))
		return CURL_SEEKFUNC_FAIL;
	transfer->offset = offset;
	return CURL_SEEKFUNC_OK;
}

/* RFC 9112 4: "HTTP/1.1 200 OK". */
static int status_of(struct str line) {
	struct str rest;
	str_cut(line, ' ', &rest);
	int64_t status;
	if (rest.len < 3 || num_int((struct str){rest.ptr, 3}, 100, 599, &status) != 0)
		return 0;
	return (int) status;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *self) {
	struct transfer *transfer = self;
	size_t len = size * count;
	struct str line = {bytes, len};
	while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
		line.len--;
	if (str_starts(line, "HTTP/")) { /* after a 100 there is a second one */
		buf_reset(&transfer->headers);
		transfer->status = status_of(line);
		transfer->is_head_done = false;
		return len;
	}
	if (line.len == 0 || transfer->is_head_done) {
		if (!transfer->is_head_done && transfer->request.begun && transfer->status >= 200 && transfer->status < 300)
			transfer->request.begun(transfer->request.done_self);
		transfer->is_head_done = true;
		return len;
	}
	struct str value, name = str_cut(line, ':', &value);
	if (value.ptr) {
		for (size_t i = 0; i < name.len; i++)
			buf_char(&transfer->headers, ascii_lower(name.ptr[i]));
		buf_text(&transfer->headers, ": ");
		value = str_trim(value);
		for (size_t i = 0; i < value.len; i++) /* what a line is, is our format: no byte of a value may end one */
			buf_char(&transfer->headers, (unsigned char) value.ptr[i] < ' ' ? ' ' : value.ptr[i]);
		buf_char(&transfer->headers, '\n');
	}
	if (!transfer->headers.failed)
		return len;
	err_set(&transfer->failure, ERR_LIMIT, "the answer's headers are longer than %zu bytes", HEADERS_BYTES_MAX);
	return 0;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *self) {
	struct transfer *transfer = self;
	size_t len = size * count;
	bool is_good = transfer->status >= 200 && transfer->status < 300;
	if (is_good && transfer->request.write)
		return transfer->request.write(transfer->request.write_self, bytes, len, &transfer->failure) == 0 ? len : 0;
	size_t room = transfer->body.bytes_max - transfer->body.len;
	buf_add(&transfer->body, bytes, len <= room ? len : room);
	if (len <= room)
		return len;
	if (is_good)
		err_set(&transfer->failure, ERR_LIMIT, "the answer is longer than %zu bytes", transfer->body.bytes_max);
	else
		transfer->is_cut = true;
	return 0;
}

/* A name may lead anywhere. The metadata services' addresses are spoken to only by who wrote them down, never because a name resolves
 * there. */
static curl_socket_t on_socket(void *self, curlsocktype purpose, struct curl_sockaddr *address) {
	struct transfer *transfer = self;
	char text[INET6_ADDRSTRLEN] = "";
	(void) purpose;
	if (address->family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *) (const void *) &address->addr)->sin_addr, text, sizeof(text));
	if (address->family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *) (const void *) &address->addr)->sin6_addr, text, sizeof(text));
	if (text[0] && url_host_is_link_local(str_of(text))) {
		if (transfer->failure.code == ERR_NONE)
			err_set(&transfer->failure, ERR_FAILED,
				"%s: its name leads to %s, a link-local or metadata address: nothing is sent there", transfer->host, text);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The proxy for this URL, "" for none. A loopback host is never asked for through the environment's, and a socket through none. */
static const char *proxy_for(const struct curl_http *self, const struct http_request *request, const struct url *url) {
	if (request->unix_socket)
		return "";
	if (request->proxy)
		return request->proxy;
	if (url_host_is_loopback(url->host))
		return "";
	const char *proxy = str_is(url->scheme, "https") ? self->https_proxy : self->http_proxy;
	return proxy ? proxy : "";
}

static int add_line(struct transfer *transfer, const struct http_header *header, struct err *err) {
	const char *prefix = header->secret && header->prefix ? header->prefix : "";
	const char *value = header->secret ? header->secret->text : header->value;
	for (const char *c = header->name; *c; c++)
		if (!ascii_is_alnum(*c) && !strchr("-_", *c))
			return err_set(err, ERR_FAILED, "header \"%s\": not a header's name", header->name);
	for (const char *c = value; c && *c; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			return err_set(err, ERR_FAILED, "header \"%s\": a control character in its value", header->name);
	/* "Name;" is how libcurl sends a header without a value; "Name:" would take it out. */
	bool is_empty = !value || (!*value && !*prefix);
	AUTO_FREE char *line = is_empty ? mem_format("%s;", header->name) : mem_format("%s: %s%s", header->name, prefix, value);
	struct curl_slist *longer = curl_slist_append(transfer->lines, line);
	explicit_bzero(line, strlen(line));
	if (!longer)
		return err_set(err, ERR_FAILED, "out of memory");
	transfer->lines = longer;
	return 0;
}

static void add_raw(struct transfer *transfer, const char *line) {
	struct curl_slist *longer = curl_slist_append(transfer->lines, line);
	if (longer)
		transfer->lines = longer;
}

static int add_headers(struct transfer *transfer, const struct http_request *request, struct err *err) {
	bool has_type = false, has_agent = false;
	for (size_t i = 0; i < request->header_count; i++) {
		if (add_line(transfer, &request->headers[i], err) != 0)
			return -1;
		has_type = has_type || str_is_nocase(str_of(request->headers[i].name), "Content-Type");
		has_agent = has_agent || str_is_nocase(str_of(request->headers[i].name), "User-Agent");
	}
	if (!has_type)
		add_raw(transfer, "Content-Type:");
	if (!has_agent)
		add_raw(transfer, "User-Agent: mlctl/" MLCTL_VERSION);
	/* A long streamed body asks first, so that a 401 does not cost a gigabyte; nothing else does, since asking costs a round trip. */
	if (!request->read || request->body_bytes < EXPECT_BYTES_MIN)
		add_raw(transfer, "Expect:");
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->lines);
	return 0;
}

static void set_method(struct transfer *transfer) {
	CURL *easy = transfer->easy;
	const struct http_request *request = &transfer->request;
	bool is_get = strcmp(transfer->method, "GET") == 0;
	if (strcmp(transfer->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (body_bytes(transfer) > 0) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) body_bytes(transfer));
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
		if (request->read)
			curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	} else if (!is_get && strcmp(transfer->method, "DELETE") != 0) { /* says Content-Length: 0 */
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) 0);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "");
	}
	if (!is_get || body_bytes(transfer) > 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method);
}

static void set_blob(CURL *easy, CURLoption option, struct str bytes) {
	struct curl_blob blob = {.data = (void *) bytes.ptr, .len = bytes.len, .flags = CURL_BLOB_COPY};
	if (bytes.len)
		curl_easy_setopt(easy, option, &blob);
}

static void set_tls(struct transfer *transfer, const struct http_tls *tls, const struct url *url) {
	CURL *easy = transfer->easy;
	set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->certificate);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
	if (tls->ca.len)
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* Debian's libcurl has a folder besides the file: it would be trusted too */
	if (!tls->server_name)
		return;
	/* SNI, verification and the pool of connections go by the URL's host. So that is the name, and CONNECT_TO leads it to where the
	 * server is. */
	bool is_six = memchr(url->host.ptr, ':', url->host.len) != NULL;
	const char *open = is_six ? "[" : "", *close = is_six ? "]" : "";
	AUTO_FREE char *to = mem_format("::%s%.*s%s:%d", open, STR_ARGS(url->host), close, url->port);
	AUTO_FREE char *host = mem_format("Host: %s%.*s%s:%d", open, STR_ARGS(url->host), close, url->port);
	AUTO_FREE char *renamed = mem_format("%.*s://%s:%d%.*s%s%.*s", STR_ARGS(url->scheme), tls->server_name, url->port,
		STR_ARGS(url->path), url->query.len ? "?" : "", STR_ARGS(url->query));
	transfer->connect_to = curl_slist_append(NULL, to);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to);
	curl_easy_setopt(easy, CURLOPT_URL, renamed);
	add_raw(transfer, host);
}

static void set_connection(const struct curl_http *self, struct transfer *transfer, const struct url *url) {
	CURL *easy = transfer->easy;
	const struct http_request *request = &transfer->request;
	curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	/* One protocol: HTTP/2 costs four times the CPU for blobs, and its refused streams are retried behind our back. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancelled look-up of a name is not waited for */
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (request->connect_timeout_ms ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS));
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	transfer->has_own_trust = request->tls != NULL;
	transfer->has_own_proxy = request->proxy != NULL;
	transfer->is_proxied = proxy_for(self, request, url)[0] != '\0';
	curl_easy_setopt(easy, CURLOPT_PROXY, proxy_for(self, request, url)); /* always set: libcurl would look into the environment */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, self->no_proxy && !request->proxy ? self->no_proxy : "");
	if (request->unix_socket)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (!request->unix_socket && !proxy_for(self, request, url)[0] && !url_host_is_link_local(url->host)) {
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SHARE, self->shared);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, request->is_unverified ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, request->is_unverified ? 0L : 2L);
	const char *ca_file = request->ca_file ? request->ca_file : self->ca_file;
	if (ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (request->tls)
		set_tls(transfer, request->tls, url);
	if (request->write)
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER_BYTES);
}

static int curl_start(struct http *http, const struct http_request *request, int64_t *id, struct err *err) {
	struct curl_http *self = (struct curl_http *) http;
	struct url url;
	if (url_parse(str_of(request->url), &url, err) != 0)
		return -1;
	if (url.userinfo.len)
		return err_set(err, ERR_FAILED, "URL of %.*s: a user name or password inside a URL is not sent", STR_ARGS(url.host));
	/* OpenSSL 3.0 crashes when its generator is first made under memory pressure: it is made here. Only TLS needs it, and it takes a
	 * millisecond. */
	if (str_is(url.scheme, "https") && RAND_status() != 1)
		return err_set(err, ERR_FAILED, "the system gives no random numbers");
	__attribute__((cleanup(transfer_at_exit))) struct transfer *transfer = NEW(struct transfer);
	transfer->owner = self;
	transfer->request = *request;
	transfer->url = mem_text(request->url);
	transfer->url[strcspn(transfer->url, "#")] = '\0';
	transfer->method = mem_text(request->method);
	transfer->host = mem_format("%.*s:%d", STR_ARGS(url.host), url.port);
	transfer->headers = BUF(HEADERS_BYTES_MAX);
	transfer->body = BUF(request->answer_bytes_max ? request->answer_bytes_max : ANSWER_BYTES_MAX);
	transfer->easy = curl_easy_init();
	if (!transfer->easy)
		return err_set(err, ERR_FAILED, "out of memory");
	set_connection(self, transfer, &url);
	set_method(transfer);
	if (add_headers(transfer, request, err) != 0)
		return -1;
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->reason);
	curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(transfer->easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
	/* What was lent by the request is copied by libcurl or gone from here on. */
	transfer->request.url = transfer->request.method = transfer->request.unix_socket = transfer->request.ca_file =
		transfer->request.proxy = NULL;
	transfer->request.headers = NULL;
	transfer->request.tls = NULL;
	CURLMcode code = curl_multi_add_handle(self->multi, transfer->easy);
	if (code != CURLM_OK)
		return err_set(err, ERR_FAILED, "starting a request to %s: %s", transfer->host, curl_multi_strerror(code));
	transfer->started_ms = transfer->moved_ms = clock_mono_ms(http->clock);
	transfer->id = *id = ++self->last_id;
	transfer->next = self->transfers;
	self->transfers = take(&transfer);
	return 0;
}

static void tell_sent(struct transfer *transfer, int64_t sent) {
	if (!transfer->request.sent || sent == transfer->told_bytes)
		return;
	transfer->told_bytes = sent;
	transfer->request.sent(transfer->request.sent_self, sent);
}

static void unlink_transfer(struct curl_http *self, struct transfer *transfer) {
	struct transfer **link = &self->transfers;
	while (*link && *link != transfer)
		link = &(*link)->next;
	if (*link)
		*link = transfer->next;
	curl_multi_remove_handle(self->multi, transfer->easy);
}

static int64_t sent_bytes(const struct transfer *transfer) {
	curl_off_t sent = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return sent;
}

static bool was_sent(const struct transfer *transfer) {
	long request = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &request);
	return request > 0 || sent_bytes(transfer) > 0;
}

static void explain_tls(const struct transfer *transfer, CURLcode code, struct err *err) {
	const char *host = transfer->host, *reason = transfer->reason;
	if (code == CURLE_SSL_CACERT_BADFILE) {
		err_set(err, ERR_CONFIG, "the CA file cannot be read: %s", reason);
		return;
	}
	if (code == CURLE_SSL_CERTPROBLEM) {
		err_set(err, ERR_CONFIG, "%s: the client certificate or its key is not right: %s", host, reason);
		return;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_INVALIDCERTSTATUS) {
		err_set(err, ERR_AUTH, "%s: its certificate is not signed by a CA known here, or is not for this name: %s", host, reason);
		if (!transfer->has_own_trust) /* else who brought it knows where it stands */
			err_fix(err, "export MLCTL_CA_FILE=FILE with the CA that signed it, or in mlctl.yaml: registry: {caFile: FILE}");
		return;
	}
	if (strstr(reason, "wrong version number")) {
		err_set(err, ERR_NETWORK, "%s: speaks plain HTTP where TLS was expected", host);
		err_fix(err, "--insecure if this host is meant to be reached without TLS");
		return;
	}
	err_set(err, ERR_NETWORK, "%s: TLS handshake: %s", host, reason[0] ? reason : curl_easy_strerror(code));
}

/* libcurl's verdict as a person's sentence. */
static void explain(const struct transfer *transfer, CURLcode code, struct err *err) {
	const char *host = transfer->host, *reason = transfer->reason[0] ? transfer->reason : curl_easy_strerror(code);
	long number = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
	long long sent = sent_bytes(transfer), of = body_bytes(transfer);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		err_set(err, ERR_NETWORK, "%s: no address found for this name", host);
		return;
	case CURLE_COULDNT_RESOLVE_PROXY:
		err_set(err, ERR_NETWORK, "no address found for the proxy%s",
			transfer->has_own_proxy ? "" : " that https_proxy, http_proxy or all_proxy names");
		return;
	case CURLE_COULDNT_CONNECT:
		err_set(err, ERR_NETWORK, "%s%s: %s", host,
			!transfer->is_proxied	  ? ""
			: transfer->has_own_proxy ? ", or the proxy for it"
						  : ", or the proxy for it that the environment names",
			number ? strerror((int) number) : reason);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		err_set(err, ERR_TIMEOUT, "%s: %s", host, was_sent(transfer) ? "timed out" : "no connection in time");
		return;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		explain_tls(transfer, code, err);
		return;
	case CURLE_PROXY:
		err_set(err, ERR_NETWORK, "%s: the proxy for it: %s", host, reason);
		return;
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
		err_set(err, ERR_NETWORK, "%s: connection cut after %lld of %lld bytes were sent", host, sent, of);
		return;
	case CURLE_GOT_NOTHING:
		err_set(err, ERR_NETWORK, "%s: connection closed without an answer", host);
		return;
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		err_set(err, ERR_NETWORK, "%s: connection cut in the middle of the answer", host);
		return;
	case CURLE_UNSUPPORTED_PROTOCOL: /* libcurl's word for HTTP/0.9 too */
	case CURLE_WEIRD_SERVER_REPLY:
		err_set(err, ERR_NETWORK, "%s: what answers there does not speak HTTP", host);
		return;
	default:
		err_set(err, ERR_NETWORK, "%s: %s", host, reason);
	}
}

static void trace(const struct curl_http *self, const struct transfer *transfer, const struct http_answer *answer) {
	if (!self->http.log || !self->http.log->out)
		return;
	AUTO_BUF struct buf url = BUF((size_t) 8 * 1024);
	url_redact(transfer->url, &url);
	curl_off_t got = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
	log_debug(self->http.log, "%s %s -> %d, %lld ms, %lld bytes sent, %lld got%s%s", transfer->method, url.ptr ? url.ptr : "",
		answer->status, (long long) answer->ms, (long long) answer->sent_bytes, (long long) got, answer->failure.code ? ": " : "",
		answer->failure.message);
}

/* Fills the event from a transfer that ended and frees the transfer. `failure` is what ended it, empty when libcurl is content. */
static void finish(struct curl_http *self, struct transfer *transfer, const struct err *failure, struct http_event *event) {
	*event = (struct http_event){.what = HTTP_DONE, .id = transfer->id};
	struct http_answer *answer = &event->answer;
	answer->failure = *failure;
	answer->status = failure->code ? 0 : transfer->status;
	answer->sent_bytes = sent_bytes(transfer);
	answer->was_sent = was_sent(transfer);
	answer->ms = clock_mono_ms(self->http.clock) - transfer->started_ms;
	buf_room(&transfer->headers, 0);
	answer->headers = take(&transfer->headers.ptr);
	buf_room(&transfer->body, 0);
	answer->body_len = transfer->body.len;
	answer->body = take(&transfer->body.ptr);
	if (!answer->headers)
		answer->headers = mem_text("");
	if (!answer->body)
		answer->body = mem_text("");
	tell_sent(transfer, answer->sent_bytes);
	trace(self, transfer, answer);
	unlink_transfer(self, transfer);
	transfer_free(transfer);
}

static bool take_done(struct curl_http *self, struct http_event *event) {
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(self->multi, &left));) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		struct transfer *transfer = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		struct err failure = transfer->failure;
		if (failure.code == ERR_NONE && code != CURLE_OK && !transfer->is_cut)
			explain(transfer, code, &failure);
		else if (failure.code == ERR_NONE && transfer->status == 0)
			err_set(&failure, ERR_NETWORK, "%s: what answers there does not speak HTTP", transfer->host);
		else if (failure.code == ERR_NONE && !transfer->is_head_done) /* libcurl is content with half a head */
			err_set(&failure, ERR_NETWORK, "%s: connection cut in the middle of the answer's headers", transfer->host);
		finish(self, transfer, &failure, event);
		return true;
	}
	return false;
}

/* Tells the watchers how far uploads are, and finds a transfer whose time is over. Also when the next one's is. */
static bool take_overdue(struct curl_http *self, int64_t now, int64_t *next_ms, struct http_event *event) {
	for (struct transfer *transfer = self->transfers; transfer; transfer = transfer->next) {
		curl_off_t got = 0;
		curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
		int64_t sent = sent_bytes(transfer), moved = sent + got + (int64_t) transfer->headers.len;
		if (moved != transfer->moved_bytes) {
			transfer->moved_bytes = moved;
			transfer->moved_ms = now;
		}
		tell_sent(transfer, sent);
		int64_t stall = transfer->request.stall_timeout_ms ? transfer->request.stall_timeout_ms : STALL_TIMEOUT_MS;
		int64_t stalled_at = transfer->moved_ms + stall;
		int64_t over_at = transfer->request.timeout_ms ? transfer->started_ms + transfer->request.timeout_ms : INT64_MAX;
		int64_t end = over_at < stalled_at ? over_at : stalled_at;
		if (now < end) {
			*next_ms = end < *next_ms ? end : *next_ms;
			continue;
		}
		struct err failure = {0};
		char limit[NUM_HUMAN_MAX];
		err_set(&failure, ERR_TIMEOUT, "%s: %s %s (%lld of %lld bytes sent, %lld received)", transfer->host,
			end == over_at ? "not done within" : "no byte moved for",
			num_human_ms(end == over_at ? transfer->request.timeout_ms : stall, limit), (long long) sent,
			(long long) body_bytes(transfer), (long long) got);
		finish(self, transfer, &failure, event);
		return true;
	}
	return false;
}

static int curl_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	struct curl_http *self = (struct curl_http *) http;
	struct curl_waitfd signals = {.fd = self->signal_fd, .events = CURL_WAIT_POLLIN};
	for (;;) {
		int running;
		CURLMcode code = curl_multi_perform(self->multi, &running);
		if (code != CURLM_OK)
			return err_set(err, ERR_FAILED, "network: %s", curl_multi_strerror(code));
		int signal = sig_take(self->signal_fd);
		if (signal) {
			*event = (struct http_event){.what = HTTP_SIGNAL, .signal = signal};
			return 0;
		}
		int64_t now = clock_mono_ms(http->clock), next_ms = until_ms;
		if (take_done(self, event) || take_overdue(self, now, &next_ms, event))
			return 0;
		if (http->has_news) {
			*event = (struct http_event){.what = HTTP_NEWS};
			return 0;
		}
		if (now >= until_ms) {
			*event = (struct http_event){.what = HTTP_TIMER};
			return 0;
		}
		if (!self->transfers && until_ms == INT64_MAX) {
			*event = (struct http_event){.what = HTTP_IDLE};
			return 0;
		}
		int64_t wait = next_ms - now < WAIT_MS_MAX ? next_ms - now : WAIT_MS_MAX;
		code = curl_multi_poll(self->multi, &signals, self->signal_fd >= 0 ? 1 : 0, (int) wait, NULL);
		if (code != CURLM_OK)
			return err_set(err, ERR_FAILED, "network: %s", curl_multi_strerror(code));
	}
}

static void curl_cancel(struct http *http, int64_t id) {
	struct curl_http *self = (struct curl_http *) http;
	for (struct transfer *transfer = self->transfers; transfer; transfer = transfer->next)
		if (transfer->id == id) {
			log_debug(http->log, "%s to %s cancelled", transfer->method, transfer->host);
			unlink_transfer(self, transfer);
			transfer_free(transfer);
			return;
		}
}

static void curl_close(struct http *http) {
	struct curl_http *self = (struct curl_http *) http;
	while (self->transfers) {
		struct transfer *transfer = self->transfers;
		unlink_transfer(self, transfer);
		transfer_free(transfer);
	}
	if (self->multi)
		curl_multi_cleanup(self->multi);
	if (self->shared)
		curl_share_cleanup(self->shared);
	curl_global_cleanup();
	free(self->http_proxy);
	free(self->https_proxy);
	free(self->no_proxy);
	free(self->ca_file);
	free(self);
}

/* curl's own rules: http_proxy in lower case only (a CGI program's HTTP_PROXY is a request's header). */
static char *first_of(const struct env *env, const char *const names[]) {
	for (size_t i = 0; names[i]; i++) {
		const char *value = env_get(env, names[i]);
		if (value)
			return mem_text(value);
	}
	return NULL;
}

struct http *http_curl_new(const struct clock *clock, const struct env *env, int signal_fd, const struct log *log, struct err *err) {
	/* OpenSSL writes to sockets that the other side has closed, and under CURLOPT_NOSIGNAL libcurl leaves SIGPIPE to us. */
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_FAILED, "libcurl cannot start");
		return NULL;
	}
	struct curl_http *self = NEW(struct curl_http);
	self->http = (struct http){
		.start = curl_start, .step = curl_step, .cancel = curl_cancel, .close = curl_close, .clock = clock, .log = log};
	self->signal_fd = signal_fd;
	self->http_proxy = first_of(env, (const char *const[]){"http_proxy", "all_proxy", "ALL_PROXY", NULL});
	self->https_proxy = first_of(env, (const char *const[]){"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL});
	self->no_proxy = first_of(env, (const char *const[]){"no_proxy", "NO_PROXY", NULL});
	self->ca_file = first_of(env, (const char *const[]){"SSL_CERT_FILE", NULL});
	self->multi = curl_multi_init();
	self->shared = curl_share_init();
	if (!self->multi || !self->shared) {
		err_set(err, ERR_FAILED, "libcurl cannot start: out of memory");
		curl_close(&self->http);
		return NULL;
	}
	curl_share_setopt(self->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT_MAX);
	return &self->http;
}
