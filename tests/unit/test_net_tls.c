#include "net/http.h"
#include "os/fs.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#define KEPT_MAX 8

/* A TLS server on 127.0.0.1 with a certificate of its own for `name`; answers every request and closes. */
struct tls_server {
	int listener, port, handshakes, resumed;
	SSL_CTX *context;
	pthread_t thread;
	char folder[32];
	char *ca_file;
	pthread_t kept[KEPT_MAX];
	size_t kept_count;
	bool is_keeping;		     /* a connection serves more than one request */
	char name[64], client[64], host[64]; /* of the last request: SNI, the client certificate's subject, the Host header */
	EVP_PKEY *key;
	X509 *made;
};

static void note(struct tls_server *server, SSL *tls, const char *head) {
	const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name), *host = strstr(head, "\r\nHost: ");
	X509 *client = SSL_get_peer_certificate(tls);
	snprintf(server->name, sizeof(server->name), "%s", name ? name : "");
	snprintf(server->host, sizeof(server->host), "%.*s", host ? (int) strcspn(host + 8, "\r") : 0, host ? host + 8 : "");
	server->client[0] = '\0';
	if (client)
		X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName, server->client, sizeof(server->client));
	X509_free(client);
}

struct tls_connection {
	struct tls_server *server;
	int fd;
};

static void *serve_one(void *self) {
	struct tls_connection *connection = self;
	struct tls_server *server = connection->server;
	SSL *tls = SSL_new(server->context);
	SSL_set_fd(tls, connection->fd);
	char head[4096] = "";
	bool is_open = SSL_accept(tls) == 1 && SSL_read(tls, head, sizeof(head) - 1) > 0;
	server->handshakes += is_open;
	server->resumed += is_open && SSL_session_reused(tls);
	while (is_open) {
		note(server, tls, head);
		SSL_write(tls, OK, sizeof(OK) - 1);
		memset(head, 0, sizeof(head));
		is_open = server->is_keeping && SSL_read(tls, head, sizeof(head) - 1) > 0;
	}
	SSL_shutdown(tls);
	SSL_free(tls);
	close(connection->fd);
	free(connection);
	return NULL;
}

/* A connection that is kept has a thread of its own; the others come one after the other. */
static void *serve(void *self) {
	struct tls_server *server = self;
	for (;;) {
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		struct tls_connection *connection = NEW(struct tls_connection);
		*connection = (struct tls_connection){server, fd};
		if (!server->is_keeping)
			serve_one(connection);
		else if (server->kept_count < KEPT_MAX)
			assert_int_equal(pthread_create(&server->kept[server->kept_count++], NULL, serve_one, connection), 0);
	}
}

static X509 *certificate(EVP_PKEY *key, const char *alternative) {
	X509 *made = X509_new();
	assert_int_equal(X509_set_version(made, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
	X509_gmtime_adj(X509_getm_notBefore(made), -86400);
	X509_gmtime_adj(X509_getm_notAfter(made), 86400);
	X509_set_pubkey(made, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, (const unsigned char *) "test", -1, -1, 0);
	X509_set_issuer_name(made, X509_get_subject_name(made));
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
	X509_add_ext(made, extension, -1);
	X509_EXTENSION_free(extension);
	assert_true(X509_sign(made, key, EVP_sha256()) > 0);
	return made;
}

static void start(struct tls_server *server, const char *alternative, int version_max) {
	*server = (struct tls_server){.folder = "/tmp/mlctl-test-XXXXXX"};
	assert_non_null(mkdtemp(server->folder));
	server->ca_file = fs_join(server->folder, "ca.pem");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *made = certificate(key, alternative);
	FILE *file = fopen(server->ca_file, "w");
	assert_int_equal(PEM_write_X509(file, made), 1);
	fclose(file);
	server->context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(server->context, 0);
	SSL_CTX_set_max_proto_version(server->context, version_max);
	assert_int_equal(SSL_CTX_use_certificate(server->context, made), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
	server->made = made;
	server->key = key;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *) &address, len), 0);
	assert_int_equal(listen(server->listener, 8), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *) &address, &len), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct tls_server *server) {
	struct err err = {0};
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (size_t i = 0; i < server->kept_count; i++)
		pthread_join(server->kept[i], NULL);
	close(server->listener);
	SSL_CTX_free(server->context);
	X509_free(server->made);
	EVP_PKEY_free(server->key);
	assert_int_equal(fs_remove_tree(server->folder, &err), 0);
	free(server->ca_file);
}

static void ask(struct http *http, struct tls_server *server, const char *ca_file, bool is_unverified, struct http_answer *answer) {
	AUTO_FREE char *url = mem_format("https://127.0.0.1:%d/", server->port);
	struct http_event event;
	struct err err = {0};
	int64_t id;
	const struct http_request request = {.method = "GET", .url = url, .ca_file = ca_file, .is_unverified = is_unverified};
	assert_int_equal(http_start(http, &request, &id, &err), 0);
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	*answer = event.answer;
}

static struct http *new_http(void) {
	struct err err = {0};
	struct http *http = http_curl_new(&clock_system, NULL, -1, NULL, &err);
	assert_non_null(http);
	return http;
}

static void an_unknown_ca_is_refused(void **state) {
	(void) state;
	struct tls_server server;
	struct http_answer answer;
	start(&server, "IP:127.0.0.1", TLS1_3_VERSION);
	struct http *http = new_http();
	ask(http, &server, NULL, false, &answer);
	assert_int_equal(answer.failure.code, ERR_AUTH);
	assert_non_null(strstr(answer.failure.message, "not signed by a CA known here"));
	assert_non_null(strstr(answer.failure.fix, "MLCTL_CA_FILE"));
	assert_false(answer.was_sent);
	http_answer_clear(&answer);
	ask(http, &server, server.ca_file, false, &answer);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	ask(http, &server, NULL, false, &answer); /* what one request trusted, the next does not */
	assert_int_equal(answer.failure.code, ERR_AUTH);
	http_answer_clear(&answer);
	ask(http, &server, NULL, true, &answer);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	ask(http, &server, "/nowhere/ca.pem", false, &answer);
	assert_int_equal(answer.failure.code, ERR_CONFIG);
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
}

static void another_name_is_refused(void **state) {
	(void) state;
	struct tls_server server;
	struct http_answer answer;
	start(&server, "DNS:registry.example", TLS1_3_VERSION);
	struct http *http = new_http();
	ask(http, &server, server.ca_file, false, &answer);
	assert_int_equal(answer.failure.code, ERR_AUTH);
	assert_int_equal(server.handshakes, 0);
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
}

static void old_tls_is_refused(void **state) {
	(void) state;
	struct tls_server server;
	struct http_answer answer;
	start(&server, "IP:127.0.0.1", TLS1_1_VERSION);
	struct http *http = new_http();
	ask(http, &server, server.ca_file, false, &answer);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_false(answer.was_sent);
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
}

static void sessions_are_resumed(void **state) {
	(void) state;
	struct tls_server server;
	struct http_answer answer;
	start(&server, "IP:127.0.0.1", TLS1_2_VERSION);
	struct http *http = new_http();
	for (int i = 0; i < 3; i++) {
		ask(http, &server, server.ca_file, false, &answer);
		assert_int_equal(answer.status, 200);
		http_answer_clear(&answer);
	}
	http_close(http);
	stop(&server);
	assert_int_equal(server.handshakes, 3);
	assert_int_equal(server.resumed, 2);
}

static void *plain(void *self) {
	int fd = accept(*(int *) self, NULL, NULL);
	char head[4096];
	if (recv(fd, head, sizeof(head), 0) > 0)
		best_effort(send(fd, "HTTP/1.1 400 Bad\r\n\r\n", 20, MSG_NOSIGNAL) == 20);
	close(fd);
	return NULL;
}

static void plain_http_is_named(void **state) {
	(void) state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;
	assert_int_equal(bind(listener, (struct sockaddr *) &address, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *) &address, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, plain, &listener), 0);
	struct tls_server server = {.port = ntohs(address.sin_port)};
	struct http *http = new_http();
	struct http_answer answer;
	ask(http, &server, NULL, false, &answer);
	assert_int_equal(answer.failure.code, ERR_NETWORK);
	assert_non_null(strstr(answer.failure.message, "plain HTTP"));
	assert_non_null(strstr(answer.failure.fix, "--insecure"));
	http_answer_clear(&answer);
	http_close(http);
	pthread_join(thread, NULL);
	close(listener);
}

/* PEM of a certificate, and of its key when one is given. */
static char *pem_of(X509 *certificate, EVP_PKEY *key) {
	BIO *bio = BIO_new(BIO_s_mem());
	if (certificate)
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	if (key)
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	char *text = mem_text_n(bytes, (size_t) len);
	BIO_free(bio);
	return text;
}

static void ask_with(struct http *http, struct tls_server *server, const struct http_tls *tls, struct http_answer *answer) {
	AUTO_FREE char *url = mem_format("https://127.0.0.1:%d/a?b", server->port);
	struct http_event event;
	struct err err = {0};
	int64_t id;
	const struct http_request request = {.method = "GET", .url = url, .tls = tls};
	assert_int_equal(http_start(http, &request, &id, &err), 0);
	assert_int_equal(http_step(http, INT64_MAX, &event, &err), 0);
	*answer = event.answer;
}

/* The CA is trusted from memory, it and nothing else. */
static void a_ca_in_memory(void **state) {
	(void) state;
	struct tls_server server, other;
	struct http_answer answer;
	start(&server, "IP:127.0.0.1", TLS1_3_VERSION);
	start(&other, "IP:127.0.0.1", TLS1_3_VERSION);
	AUTO_FREE char *ca = pem_of(server.made, NULL), *wrong = pem_of(other.made, NULL),
		       *listed = mem_format("SSL_CERT_FILE=%s", server.ca_file);
	struct err err = {0};
	const struct env env = {.items = (char *[]){listed, NULL}};
	struct http *http = http_curl_new(&clock_system, &env, -1, NULL, &err);
	ask_with(http, &server, &(struct http_tls){.ca = str_of(ca)}, &answer);
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	ask_with(http, &server, &(struct http_tls){.ca = str_of(wrong)}, &answer);
	assert_int_equal(answer.failure.code, ERR_AUTH);
	assert_string_equal(answer.failure.fix, ""); /* whose CA it is knows the caller */
	http_answer_clear(&answer);
	ask_with(http, &server, &(struct http_tls){0}, &answer); /* none of its own: what SSL_CERT_FILE names */
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
	ask_with(http, &server, &(struct http_tls){.ca = STR("no PEM")}, &answer);
	assert_int_equal(answer.status, 0);
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
	stop(&other);
}

/* A certificate is shown to whom it is meant for: a connection that was made with it serves no request without it. */
static void a_client_certificate(void **state) {
	(void) state;
	struct tls_server server, other;
	struct http_answer answer;
	start(&server, "IP:127.0.0.1", TLS1_3_VERSION);
	start(&other, "IP:127.0.0.1", TLS1_3_VERSION);
	server.is_keeping = true;
	X509_STORE_add_cert(SSL_CTX_get_cert_store(server.context), other.made);
	SSL_CTX_set_verify(server.context, SSL_VERIFY_PEER, NULL);
	AUTO_FREE char *ca = pem_of(server.made, NULL), *certificate = pem_of(other.made, NULL), *key = pem_of(NULL, other.key),
		       *wrong = pem_of(NULL, server.key);
	struct http *http = new_http();
	struct http_tls tls = {.ca = str_of(ca), .certificate = str_of(certificate), .key = str_of(key)};
	for (int i = 0; i < 2; i++) {
		ask_with(http, &server, &tls, &answer);
		assert_int_equal(answer.status, 200);
		assert_string_equal(server.client, "test");
		http_answer_clear(&answer);
	}
	assert_int_equal(server.handshakes, 1);
	tls.certificate = tls.key = (struct str){0};
	ask_with(http, &server, &tls, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(server.client, "");
	assert_int_equal(server.handshakes, 2);
	http_answer_clear(&answer);
	http_close(http);
	http = new_http(); /* who has shown a certificate once is asked for its key no more, so: without a connection that is kept */
	tls = (struct http_tls){.ca = str_of(ca), .certificate = str_of(certificate), .key = str_of(wrong)};
	ask_with(http, &server, &tls, &answer);
	assert_int_equal(answer.failure.code, ERR_CONFIG);
	assert_non_null(strstr(answer.failure.message, "the client certificate or its key"));
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
	stop(&other);
}

static void a_name_for_the_server(void **state) {
	(void) state;
	struct tls_server server;
	struct http_answer answer;
	start(&server, "DNS:api.test", TLS1_3_VERSION);
	AUTO_FREE char *ca = pem_of(server.made, NULL), *place = mem_format("127.0.0.1:%d", server.port);
	struct http *http = new_http();
	ask_with(http, &server, &(struct http_tls){.ca = str_of(ca), .server_name = "api.test"}, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(server.name, "api.test");
	assert_string_equal(server.host, place); /* who is asked for inside is still the URL's host */
	http_answer_clear(&answer);
	ask_with(http, &server, &(struct http_tls){.ca = str_of(ca), .server_name = "other.test"}, &answer);
	assert_int_equal(answer.failure.code, ERR_AUTH);
	http_answer_clear(&answer);
	ask_with(http, &server, &(struct http_tls){.ca = str_of(ca)}, &answer);
	assert_int_equal(answer.failure.code, ERR_AUTH);
	http_answer_clear(&answer);
	http_close(http);
	stop(&server);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_ca_is_refused),
		cmocka_unit_test(another_name_is_refused),
		cmocka_unit_test(old_tls_is_refused),
		cmocka_unit_test(sessions_are_resumed),
		cmocka_unit_test(plain_http_is_named),
		cmocka_unit_test(a_ca_in_memory),
		cmocka_unit_test(a_client_certificate),
		cmocka_unit_test(a_name_for_the_server),
	};
	signal(SIGPIPE, SIG_IGN); /* the server's side */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
