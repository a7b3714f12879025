#include "kube/config.h"

#include "data/digest.h"

#include "fakes/fake_http.h"
#include "scratch.h"

#define CA "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END PRIVATE KEY-----\n"

struct place_of {
	char *folder, *home, *kubeconfig;
	struct fake_clock clock;
	struct redactor *redact;
	char *items[8];
	struct env env;
	struct kube_config_options options;
};

/* `listed` is what KUBECONFIG holds, with @ for the folder; NULL: unset. */
static void begin(struct place_of *p, const char *listed) {
	*p = (struct place_of){.folder = scratch_new(), .redact = redactor_new()};
	fake_clock_init(&p->clock);
	p->home = mem_format("HOME=%s", p->folder);
	AUTO_BUF struct buf list = BUF(4096);
	buf_text(&list, "KUBECONFIG=");
	for (const char *c = listed ? listed : ""; *c; c++)
		*c == '@' ? buf_text(&list, p->folder) : buf_char(&list, *c);
	p->kubeconfig = mem_text(list.ptr);
	p->items[0] = p->home;
	p->items[1] = listed ? p->kubeconfig : NULL;
	p->env.items = p->items;
	p->options = (struct kube_config_options){.env = &p->env, .clock = &p->clock.clock, .redact = p->redact, .in_cluster = "/nowhere"};
}

static void end(struct place_of *p) {
	redactor_free(p->redact);
	scratch_free(p->folder);
	free(p->home);
	free(p->kubeconfig);
}

static void write_text(struct place_of *p, const char *name, const char *text) {
	scratch_write(p->folder, name, text, strlen(text));
}

static struct kube_config *load(struct place_of *p) {
	struct err err = {0};
	struct kube_config *config = NULL;
	if (kube_config_load(&p->options, &config, &err) != 0)
		fail_msg("%s (%s)", err.message, err.at);
	return config;
}

static void shows_nothing(struct place_of *p, const char *secret) {
	AUTO_BUF struct buf out = BUF(65536);
	redactor_apply(p->redact, str_of(secret), &out);
	if (strstr(out.ptr, secret))
		fail_msg("\"%s\" is not known to the redactor", secret);
}

#define SMALL                                                                                                                              \
	"apiVersion: v1\nkind: Config\ncurrent-context: a\n"                                                                               \
	"contexts:\n- name: a\n  context: {cluster: c, user: u, namespace: ml}\n- name: b\n  context: {cluster: c}\n"                      \
	"clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443/k8s/clusters/c-1/\n"                                          \
	"users:\n- name: u\n  user:\n    token: very-secret-token\n"

static void one_file(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, "@/kc");
	write_text(&p, "kc", SMALL);
	struct kube_config *config = load(&p);
	assert_string_equal(config->context, "a");
	assert_string_equal(config->namespace_, "ml");
	assert_string_equal(config->server, "https://10.0.0.1:6443/k8s/clusters/c-1");
	assert_string_equal(config->user, "u");
	assert_string_equal(config->token.text, "very-secret-token");
	assert_false(config->is_in_cluster || config->is_unverified || config->ca || config->proxy || config->exec);
	shows_nothing(&p, "very-secret-token");
	kube_config_free(config);
	p.options.context = "b";
	config = load(&p);
	assert_string_equal(config->namespace_, "default");
	assert_null(config->token.text);
	kube_config_free(config);
	p.options.namespace_ = "other";
	config = load(&p);
	assert_string_equal(config->namespace_, "other");
	kube_config_free(config);
	end(&p);
}

static void json_and_home(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, NULL);
	scratch_sh(p.folder, "mkdir .kube");
	write_text(&p, ".kube/config",
		"{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\",\"user\":\"u\"}}],"
		"\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://127.0.0.1:8001\"}}],"
		"\"users\":[{\"name\":\"u\",\"user\":{\"username\":\"bob\",\"password\":\"hunter22\"}}]}");
	struct kube_config *config = load(&p);
	assert_string_equal(config->server, "http://127.0.0.1:8001");
	assert_string_equal(config->basic.text, "Ym9iOmh1bnRlcjIy");
	shows_nothing(&p, "hunter22");
	kube_config_free(config);
	end(&p);
}

static void a_token_file_that_never_was(void **state) {
	(void) state;
	struct place_of p;
	struct err err = {0};
	begin(&p, "@/kc");
	write_text(&p, "kc",
		"current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://h:1'}}]\n"
		"users: [{name: u, user: {tokenFile: gone}}]\n");
	struct kube_config *config = load(&p);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_non_null(strstr(err.message, "the token of user \"u\""));
	kube_config_free(config);
	end(&p);
}

/* The first file that names a thing wins; a file that is not there is passed over; paths count from their file. */
static void files_are_merged(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, "@/one/kc::@/missing:@/two/kc");
	scratch_sh(p.folder, "mkdir one two one/pki");
	write_text(&p, "one/kc",
		"contexts:\n- name: mine\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {tokenFile: pki/token, token: old-token}\n"
		"clusters:\n- name: c\n  cluster: {server: 'https://one:6443', certificate-authority: pki/ca.pem, tls-server-name: "
		"api.example}\n");
	write_text(&p, "two/kc",
		"current-context: mine\ncontexts:\n- name: mine\n  context: {cluster: other, user: other}\n"
		"clusters:\n- name: c\n  cluster: {server: 'https://two:6443'}\nusers:\n- name: u\n  user: {token: of-two}\n");
	write_text(&p, "one/pki/ca.pem", CA);
	write_text(&p, "one/pki/token", "first-token\n");
	struct kube_config *config = load(&p);
	struct err err = {0};
	assert_string_equal(config->server, "https://one:6443");
	assert_string_equal(config->server_name, "api.example");
	assert_string_equal(config->ca, CA);
	assert_string_equal(config->token.text, "old-token"); /* as long as the file can't be read */
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "first-token");
	write_text(&p, "one/pki/token", "second-token");
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "second-token");
	shows_nothing(&p, "first-token");
	shows_nothing(&p, "second-token");
	assert_true(kube_config_refused(config, &p.clock.clock));
	scratch_sh(p.folder, "rm one/pki/token"); /* for a moment: the last one may still be good */
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "second-token");
	write_text(&p, "one/pki/token", "two\nlines");
	assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
	assert_null(strstr(err.message, "lines"));
	kube_config_free(config);
	end(&p);
}

static void certificates(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, "@/kc");
	AUTO_BUF struct buf text = BUF(16384), ca = BUF(4096), key = BUF(4096);
	base64_encode(STR(CA), &ca);
	base64_encode(STR(KEY), &key);
	buf_format(&text,
		"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
		"clusters:\n- name: c\n  cluster:\n    server: https://h\n    certificate-authority-data: >-\n      %.20s\n      %s\n"
		"    certificate-authority: /nowhere\n    proxy-url: socks5://me:pass-word@proxy.example:1080\n"
		"users:\n- name: u\n  user: {client-certificate-data: %s, client-key-data: %s}\n",
		ca.ptr, ca.ptr + 20, ca.ptr, key.ptr);
	write_text(&p, "kc", text.ptr);
	struct kube_config *config = load(&p);
	assert_string_equal(config->ca, CA);
	assert_string_equal(config->certificate, CA);
	assert_string_equal(config->key.text, KEY);
	assert_string_equal(config->proxy, "socks5h://me:pass-word@proxy.example:1080");
	shows_nothing(&p, "pass-word");
	shows_nothing(&p, key.ptr);
	kube_config_free(config);
	end(&p);
}

static void impersonation(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, "@/kc");
	write_text(&p, "kc",
		"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "
		"'https://h'}}]\n"
		"users: [{name: u, user: {token: abcdef, as: jane, as-uid: '7', as-groups: [dev, ops], as-user-extra: {'a/b': [x, "
		"y]}}}]\n");
	struct kube_config *config = load(&p);
	assert_string_equal(config->as, "jane");
	assert_string_equal(config->as_uid, "7");
	assert_int_equal(config->as_groups.count, 2);
	assert_string_equal(config->as_groups.items[1], "ops");
	assert_int_equal(config->as_extra_names.count, 2);
	assert_string_equal(config->as_extra_names.items[0], "Impersonate-Extra-a%2Fb");
	assert_string_equal(config->as_extra_values.items[1], "y");
	kube_config_free(config);
	end(&p);
}

static void in_a_cluster(void **state) {
	(void) state;
	struct place_of p;
	begin(&p, "@/missing");
	char host[] = "KUBERNETES_SERVICE_HOST=fd00::1", port[] = "KUBERNETES_SERVICE_PORT=6443";
	p.items[2] = host;
	p.items[3] = port;
	p.options.in_cluster = p.folder;
	struct err err = {0};
	struct kube_config *config = NULL;
	assert_int_equal(kube_config_load(&p.options, &config, &err), -1); /* no token: not in a cluster after all */
	assert_non_null(strstr(err.message, "missing is not there"));
	write_text(&p, "token", "pods-token");
	write_text(&p, "ca.crt", CA);
	write_text(&p, "namespace", "team\n");
	err_clear(&err);
	config = load(&p);
	assert_true(config->is_in_cluster);
	assert_string_equal(config->server, "https://[fd00::1]:6443");
	assert_string_equal(config->namespace_, "team");
	assert_string_equal(config->context, "");
	assert_string_equal(config->ca, CA);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "pods-token");
	kube_config_free(config);
	/* A kubeconfig that is there is meant. */
	write_text(&p, "missing", SMALL);
	config = load(&p);
	assert_false(config->is_in_cluster);
	kube_config_free(config);
	end(&p);
}

/* What is wrong in a file: the words, the place and the remedy. */
static void refused(const char *text, const char *context, const char *words, const char *at, const char *fix) {
	struct place_of p;
	struct err err = {0};
	struct kube_config *config = NULL;
	begin(&p, "@/kc");
	p.options.context = context;
	write_text(&p, "kc", text);
	assert_int_equal(kube_config_load(&p.options, &config, &err), -1);
	assert_null(config);
	AUTO_FREE char *place = mem_format("%s/kc%s", p.folder, at);
	if (err.code != ERR_CONFIG || !strstr(err.message, words) || strcmp(err.at, place) != 0 || (fix && !strstr(err.fix, fix)))
		fail_msg("%s | %s | %s\nnot: %s | %s | %s", err.message, err.at, err.fix, words, place, fix ? fix : "");
	assert_null(strstr(err.message, "hidden"));
	end(&p);
}

#define WITH(cluster, user)                                                                                                                \
	"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters:\n- name: c\n  cluster: {" cluster            \
	"}\nusers:\n- name: u\n  user: {" user "}\n"

static void what_is_refused(void **state) {
	(void) state;
	refused(SMALL, "aa", "context \"aa\": no context has this name; there are: a, b", "", "context: a");
	refused("current-context: prod\ncontexts: [{name: prd, context: {}}]\n", NULL, "current-context: \"prod\": no context", ":1:18",
		"use-context prd");
	refused("contexts: [{name: x, context: {}}]\n", NULL, "no context is chosen; there are: x", "", NULL);
	refused("apiVersion: v1\n", NULL, "there is: none", "", NULL);
	refused("kind: Deployment\n", NULL, "\"Deployment\" is not a kubeconfig", ":1:7", NULL);
	refused("- a\n", NULL, "must be a mapping", ":1:1", NULL);
	refused("users: {}\n", NULL, "users: must be a list", ":1:8", NULL);
	refused("a: [", NULL, "kubeconfig", ":2:1", NULL);
	refused("current-context: a\ncontexts: [{name: a, context: {cluster: prod}}]\nclusters: [{name: prd, cluster: {}}]\n", NULL,
		"contexts[a].context.cluster: \"prod\": no entry of clusters", ":2:41", "cluster: prd");
	refused("current-context: a\ncontexts: [{name: a, context: {user: u}}]\n", NULL, "cluster: is missing", ":2:31", NULL);
	refused("current-context: a\ncontexts: [{name: a, context: {cluster: c, namespace: Up}}]\n", NULL, "namespace \"Up\": must be",
		":2:55", NULL);
	refused(WITH("", ""), NULL, "clusters[c].cluster.server: is missing", ":5:12", "server: https://");
	refused(WITH("server: '10.0.0.1:6443'", ""), NULL, "server: \"10.0.0.1:6443\" must be a URL", ":5:21", "https://");
	refused(WITH("server: 'https://u:hidden@h'", ""), NULL, "must be a URL", ":5:21", NULL);
	refused(WITH("server: 'https://h?x=hidden'", ""), NULL, "must be a URL", ":5:21", NULL);
	refused(WITH("server: 'https://h', proxy-url: 'ftp://x'", ""), NULL, "proxy-url: must be an http://", ":5:45", NULL);
	refused(WITH("server: 'https://h', insecure-skip-tls-verify: yes", ""), NULL, "must be true or false", ":5:60", NULL);
	refused(WITH("server: 'https://h', certificate-authority: nowhere.pem", ""), NULL, "nowhere.pem", ":5:57", NULL);
	refused(WITH("server: 'https://h', certificate-authority-data: '%%%'", ""), NULL, "must be base64 of PEM", ":5:62", NULL);
	refused(WITH("server: 'https://h', certificate-authority-data: aGlkZGVu", ""), NULL, "holds no PEM certificate", ":5:62", NULL);
	refused(WITH("server: 'https://h', tls-server-name: 'a b'", ""), NULL, "must be a host's name", ":5:51", NULL);
	refused(WITH("server: 'http://h.example', ", "token: hidden"), NULL, "not sent without TLS", "", "https://h.example");
	refused(WITH("server: 'https://h'", "token: 'hidden token'"), NULL, "token: must be one line", ":8:17", NULL);
	refused(WITH("server: 'https://h'", "username: u"), NULL, "belong together", ":8:20", NULL);
	refused(WITH("server: 'https://h'", "username: u, password: hidden, token: t"), NULL, "a token and a password", ":8:9", NULL);
	refused(WITH("server: 'https://h'", "token: {a: b}"), NULL, "token: must be a text", ":8:17", NULL);
	refused(WITH("server: 'https://h'", "client-key-data: LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVktLS0tLQ=="), NULL,
		"the key is encrypted", ":8:27", "openssl pkey");
	refused(WITH("server: 'https://h'", "client-key-data: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"), NULL,
		"a client key without its certificate", ":8:9", "client-certificate");
	refused(WITH("server: 'https://h'", "as-groups: [x]"), NULL, "without as", ":8:9", "as: USER");
	refused(WITH("server: 'https://h'", "auth-provider: {name: gcp}"), NULL, "users[u].user.auth-provider: \"gcp\"", ":8:25",
		"gke-gcloud-auth-plugin");
	refused(WITH("server: 'https://h'", "auth-provider: {name: azure}"), NULL, "removed auth providers", ":8:25", "kubelogin");
	refused(WITH("server: 'https://h'", "exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}"), NULL,
		"apiVersion: must be", ":8:41", NULL);
	refused(WITH("server: 'https://h'", "exec: {apiVersion: client.authentication.k8s.io/v1}"), NULL, "command: is missing", ":8:16",
		NULL);
	refused(WITH("server: 'https://h'", "exec: {command: x, interactiveMode: Always, apiVersion: client.authentication.k8s.io/v1}"),
		NULL, "nobody is asked", ":8:46", NULL);
}

static void nothing_there(void **state) {
	(void) state;
	struct place_of p;
	struct err err = {0};
	struct kube_config *config = NULL;
	begin(&p, NULL);
	assert_int_equal(kube_config_load(&p.options, &config, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "/.kube/config is not there"));
	assert_non_null(strstr(err.fix, "export KUBECONFIG"));
	end(&p);
}

/* --- exec plugins */

#define EXEC(more)                                                                                                                         \
	"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"                                                      \
	"clusters: [{name: c, cluster: {server: 'https://h:1', tls-server-name: n, extensions: [{name: "                                   \
	"client.authentication.k8s.io/exec, extension: {a: [1]}}, {name: other, extension: x}]}}]\n"                                       \
	"users:\n- name: u\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: plugin, args: [get, 'a b'],"         \
	" env: [{name: LANG, value: mine}, {name: MODE, value: good}]" more "}\n"

#define PLUGIN                                                                                                                             \
	"cat > plugin <<'E'\n#!/bin/sh\necho run >> \"$HOME/runs\"\n"                                                                      \
	"[ \"$1/$2/$LANG/$MODE\" = 'get/a b/mine/good' ] && [ -z \"$OUR_SECRET\" ] || exit 3\n"                                            \
	"printf %s \"$KUBERNETES_EXEC_INFO\" > \"$HOME/info\"\ncat \"$HOME/answer\"\nE\nchmod +x plugin\n"

static void plugin(struct place_of *p, const char *more, const char *answer) {
	begin(p, "@/kc");
	AUTO_FREE char *allowed = mem_format("MLCTL_CREDENTIAL_HELPERS=/bin/false:%s/plugin", p->folder);
	char secret[] = "OUR_SECRET=x", lang[] = "LANG=C", path[] = "PATH=/usr/bin:/bin";
	p->items[2] = take(&allowed);
	p->items[3] = mem_text(secret);
	p->items[4] = mem_text(lang);
	p->items[5] = mem_text(path);
	scratch_sh(p->folder, PLUGIN);
	AUTO_FREE char *text = mem_format("%s", more ? EXEC(", provideClusterInfo: true, installHint: 'get it at x'") : EXEC(""));
	write_text(p, "kc", text);
	write_text(p, "answer", answer);
}

static void plugin_end(struct place_of *p) {
	for (size_t i = 2; i < 6; i++)
		free(p->items[i]);
	end(p);
}

static char *read_back(struct place_of *p, const char *name) {
	struct err err = {0};
	AUTO_FREE char *path = fs_join(p->folder, name);
	char *text = NULL;
	size_t len;
	if (fs_read(path, 65536, &text, &len, &err) != 0)
		fail_msg("%s", err.message);
	return text;
}

#define CREDENTIAL "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":"

static void a_plugins_token(void **state) {
	(void) state;
	struct place_of p;
	struct err err = {0};
	plugin(&p, "info", CREDENTIAL "{\"token\":\"token-of-plugin\",\"expirationTimestamp\":\"2026-11-21T12:10:00.25+02:00\"}}");
	struct kube_config *config = load(&p);
	assert_non_null(config->exec);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "token-of-plugin");
	shows_nothing(&p, "token-of-plugin");
	AUTO_FREE char *info = read_back(&p, "info");
	assert_string_equal(info,
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false,"
		"\"cluster\":{\"server\":\"https://h:1\",\"tls-server-name\":\"n\",\"config\":{\"a\":[1]}}}}");
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	p.clock.mono_ms += 8 * 60000; /* 10:08 of 10:10, and a minute early is enough */
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	AUTO_FREE char *once = read_back(&p, "runs");
	assert_string_equal(once, "run\n");
	p.clock.mono_ms += 90000;
	write_text(&p, "answer", CREDENTIAL "{\"token\":\"token-two\"}}");
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->token.text, "token-two");
	/* A 401: asked anew, once for all the requests that were refused together. */
	p.clock.mono_ms += 10000;
	assert_true(kube_config_refused(config, &p.clock.clock));
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_true(kube_config_refused(config, &p.clock.clock));
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	AUTO_FREE char *thrice = read_back(&p, "runs");
	assert_string_equal(thrice, "run\nrun\nrun\n");
	kube_config_free(config);
	plugin_end(&p);
}

static void a_plugins_certificate(void **state) {
	(void) state;
	struct place_of p;
	struct err err = {0};
	plugin(&p, NULL, CREDENTIAL "{\"clientCertificateData\":\"-----BEGIN CERTIFICATE-----\",\"clientKeyData\":\"private-words\"}}");
	struct kube_config *config = load(&p);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), 0);
	assert_string_equal(config->certificate, "-----BEGIN CERTIFICATE-----");
	assert_string_equal(config->key.text, "private-words");
	assert_null(config->token.text);
	AUTO_FREE char *info = read_back(&p, "info");
	assert_null(strstr(info, "cluster"));
	kube_config_free(config);
	plugin_end(&p);
}

static void plugins_that_fail(void **state) {
	(void) state;
	static const char *const cases[][2] = {
		{"{}", "no ExecCredential"},
		{"[", "no ExecCredential"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"t\"}}",
			"asked for was ExecCredential client.authentication.k8s.io/v1"},
		{CREDENTIAL "{}}", "neither a token"},
		{CREDENTIAL "{\"clientKeyData\":\"hidden\"}}", "neither a token"},
		{CREDENTIAL "{\"token\":\"a\\nHost: evil\"}}", "not one line"},
		{CREDENTIAL "{\"token\":\"hidden\",\"expirationTimestamp\":\"soon\"}}", "\"soon\" is no time"},
		{CREDENTIAL "{\"token\":\"hidden\",\"expirationTimestamp\":\"2026-11-21T10:10:00+2:00\"}}", "is no time"},
		{CREDENTIAL "{\"token\":\"hidden\",\"expirationTimestamp\":\"2026-11-21T10:10:00\"}}", "is no time"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct place_of p;
		struct err err = {0};
		plugin(&p, NULL, cases[i][0]);
		struct kube_config *config = load(&p);
		assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
		if (err.code != ERR_AUTH || !strstr(err.message, cases[i][1]) || strstr(err.message, "hidden"))
			fail_msg("%s", err.message);
		kube_config_free(config);
		plugin_end(&p);
	}
	struct place_of p;
	struct err err = {0};
	plugin(&p, "hint", "");
	scratch_sh(p.folder, "printf '#!/bin/sh\\necho out; echo no login >&2; exit 7\\n' > plugin");
	struct kube_config *config = load(&p);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
	assert_non_null(strstr(err.message, "exit 7: no login"));
	assert_string_equal(err.fix, "get it at x");
	/* It had a credential, and failed all the same: nothing of that is told. */
	scratch_sh(p.folder, "printf '#!/bin/sh\\necho token-of-plugin; exit 7\\n' > plugin");
	err_clear(&err);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
	assert_non_null(strstr(err.message, "exit 7"));
	assert_null(strstr(err.message, "token-of-plugin"));
	/* A secret that begins before the end that is shown. */
	redactor_add(p.redact, STR("0123456789abcdefghij"));
	scratch_sh(p.folder, "printf '#!/bin/sh\\necho 0123456789abcdefghij >&2; printf %%0290d 0 >&2; exit 7\\n' > plugin");
	err_clear(&err);
	assert_int_equal(kube_config_refresh(config, &p.options, &err), -1);
	assert_non_null(strstr(err.message, "00000"));
	assert_null(strstr(err.message, "cdefghij"));
	kube_config_free(config);
	plugin_end(&p);
}

/* Nothing runs that the person did not name by its absolute path. */
static void plugins_that_are_not_allowed(void **state) {
	(void) state;
	static const char *const commands[] = {"other", "./plugin", "../plugin", "plugin;x", "/tmp/plugin"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct place_of p;
		struct err err = {0};
		plugin(&p, NULL, "");
		scratch_sh(p.folder, "mkdir sub");
		AUTO_FREE char *script =
			mem_format("mkdir -p sub; sed 's|command: plugin|command: %s|' kc > sub/kc; mv sub/kc kc", commands[i]);
		scratch_sh(p.folder, script);
		struct kube_config *config = load(&p);
		int rc = kube_config_refresh(config, &p.options, &err);
		if (i == 1) { /* beside the file, and that is what is allowed */
			assert_true(rc == -1 && strstr(err.message, "no ExecCredential"));
		} else {
			assert_int_equal(rc, -1);
			if (err.code != ERR_AUTH || !strstr(err.message, "no program runs that is not allowed") ||
				!strstr(err.fix, "MLCTL_CREDENTIAL_HELPERS="))
				fail_msg("%s: %s", commands[i], err.message);
			AUTO_FREE char *runs = fs_join(p.folder, "runs");
			assert_false(fs_exists(runs));
		}
		kube_config_free(config);
		plugin_end(&p);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file),
		cmocka_unit_test(json_and_home),
		cmocka_unit_test(files_are_merged),
		cmocka_unit_test(a_token_file_that_never_was),
		cmocka_unit_test(certificates),
		cmocka_unit_test(impersonation),
		cmocka_unit_test(in_a_cluster),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(a_plugins_token),
		cmocka_unit_test(a_plugins_certificate),
		cmocka_unit_test(plugins_that_fail),
		cmocka_unit_test(plugins_that_are_not_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
