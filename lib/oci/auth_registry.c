#include "oci/auth_registry.h"

#include "data/digest.h"
#include "net/rest.h"
#include "oci/challenge.h"
#include "oci/credentials.h"

#define TOKENS_MAX 8
#define TOKEN_BYTES_MAX ((size_t) 64 * 1024)
#define TOKEN_LIFE_S_DEFAULT 60 /* the specification's, when expires_in is missing */
#define TOKEN_LIFE_S_MAX 86400
#define TOKEN_EARLY_MS 30000
#define SCOPE_BYTES_MAX ((size_t) 4096)
#define MOUNTS_MAX 8

struct token {
	char *scope;
	struct secret secret;
	int64_t fetched_ms, expires_ms;
};

struct auth_registry {
	struct auth auth;
	struct auth_registry_options options;
	enum { SCHEME_NONE, SCHEME_BASIC, SCHEME_BEARER } scheme;
	char *realm, *service, *asked_scope; /* of the last bearer challenge */
	bool will_push, are_credentials_read;
	struct texts mounts;
	struct credentials credentials;
	struct secret basic; /* base64 of user:password */
	struct token tokens[TOKENS_MAX];
	struct err pending; /* what refused() met and could not say */
};

static struct auth_registry *self_of(struct auth *auth) {
	return (struct auth_registry *) auth;
}

/* --- where a token may be asked for */

static bool host_is_listed(const char *list, const struct url *url) {
	for (struct str rest = str_of(list); rest.ptr;) {
		struct str port, item = str_trim(str_cut(rest, ',', &rest));
		struct str host = str_cut(item, ':', &port);
		AUTO_FREE char *name = str_dup(host);
		int64_t number = 443;
		if (host.len && str_is_nocase(url->host, name) && (!port.ptr || num_int(port, 1, 65535, &number) == 0) &&
			number == url->port)
			return true;
	}
	return false;
}

/* Registries whose tokens come from another host of theirs. */
static bool realm_is_known(const char *host, const struct url *realm) {
	static const struct {
		const char *registry, *realm;
	} known[] = {
		{"docker.io", "auth.docker.io"},
		{"registry-1.docker.io", "auth.docker.io"},
		{"registry.gitlab.com", "gitlab.com"},
		{"docker.elastic.co", "docker-auth.elastic.co"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(host, known[i].registry) == 0 && str_is_nocase(realm->host, known[i].realm) && realm->port == 443)
			return true;
	return false;
}

static int realm_refused(const char *host, const char *realm, const char *why, struct err *err) {
	AUTO_BUF struct buf shown = BUF(1024);
	url_redact(realm, &shown);
	return err_set(err, ERR_AUTH, "%s: asks for a login at \"%s\", %s: nothing was sent there", host, shown.ptr ? shown.ptr : "", why);
}

int auth_registry_may_ask(const char *base, const char *host, const char *realm, const struct env *env, struct err *err) {
	struct url own, url;
	struct err scratch = {0};
	if (url_parse(str_of(base), &own, err) != 0)
		return -1;
	if (url_parse(str_of(realm), &url, &scratch) != 0)
		return realm_refused(host, realm, "which is no URL", err);
	if (url.userinfo.len || strchr(realm, '@') || strchr(realm, '#'))
		return realm_refused(host, realm, "which hides its host behind a user name or a fragment", err);
	if (url_host_is_link_local(url.host))
		return realm_refused(host, realm, "which is a link-local or metadata address", err);
	AUTO_FREE char *own_host = str_dup(own.host);
	bool is_own = str_is_nocase(url.host, own_host);
	bool may_be_plain = is_own && str_is(own.scheme, "http");
	if (!str_is(url.scheme, "https") && !may_be_plain)
		return realm_refused(host, realm, "which is not https", err);
	const char *listed = env_get(env, "MLCTL_REGISTRY_AUTH_HOSTS");
	if (is_own || realm_is_known(host, &url) || (listed && host_is_listed(listed, &url)))
		return 0;
	realm_refused(host, realm, "which is another host than the registry's own", err);
	return err_fix(
		err, "export MLCTL_REGISTRY_AUTH_HOSTS=%.*s   (only if you trust it with this registry's password)", STR_ARGS(url.host));
}

/* --- credentials */

static int read_credentials(struct auth_registry *self, struct err *err) {
	const struct auth_registry_options *o = &self->options;
	if (self->are_credentials_read)
		return 0;
	if (credentials_find(o->env, o->host, o->repository, o->redact, &self->credentials, err) != 0)
		return err_wrap(err, "credentials for %s", o->host);
	self->are_credentials_read = true;
	if (!self->credentials.username || self->credentials.is_identity_token || !self->credentials.password.text)
		return 0;
	AUTO_BUF struct buf plain = BUF(TOKEN_BYTES_MAX);
	AUTO_BUF struct buf coded = BUF(2 * TOKEN_BYTES_MAX);
	buf_format(&plain, "%s:%s", self->credentials.username, self->credentials.password.text);
	base64_encode(buf_view(&plain), &coded);
	int rc = buf_check(&coded, "user name and password", err);
	if (rc == 0)
		secret_set(&self->basic, buf_view(&coded), o->redact);
	explicit_bzero(plain.ptr, plain.len);
	if (coded.ptr)
		explicit_bzero(coded.ptr, coded.len);
	return rc;
}

/* --- tokens */

static void token_clear(struct token *token) {
	free(token->scope);
	secret_clear(&token->secret);
	*token = (struct token){0};
}

/* What is wanted, in one text that is also the cache's key: scopes joined by spaces. */
static void scope_wanted(const struct auth_registry *self, struct buf *out) {
	const char *repository = self->options.repository;
	buf_format(out, "repository:%s:%s", repository, self->will_push ? "pull,push" : "pull");
	AUTO_FREE char *own = mem_format("repository:%s:", repository);
	struct str actions = {0}; /* what the challenge names beyond that, "delete" */
	for (struct str rest = str_of(self->asked_scope); rest.ptr;) {
		struct str scope = str_cut(rest, ' ', &rest);
		if (str_starts(scope, own))
			actions = (struct str){scope.ptr + strlen(own), scope.len - strlen(own)};
	}
	while (actions.ptr) {
		struct str action = str_cut(actions, ',', &actions);
		bool is_named = str_is(action, "pull") || (self->will_push && str_is(action, "push"));
		bool is_word = action.len > 0 && action.len < 32;
		for (size_t i = 0; i < action.len; i++)
			is_word = is_word && (ascii_is_lower(action.ptr[i]) || action.ptr[i] == '*');
		if (is_word && !is_named) {
			buf_char(out, ',');
			buf_str(out, action);
		}
	}
	for (size_t i = 0; i < self->mounts.count; i++)
		buf_format(out, " repository:%s:pull", self->mounts.items[i]);
}

static void add_parameter(struct buf *out, char mark, const char *name, struct str value) {
	buf_char(out, mark);
	buf_text(out, name);
	buf_char(out, '=');
	url_encode(value, out);
}

static int token_read(struct auth_registry *self, const struct http_answer *answer, struct token *token, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct str text;
	int64_t life_s;
	if (json_read("token", (struct str){answer->body, answer->body_len}, VALUE_LIMITS_CONFIG, &document, err) != 0 ||
		value_opt_str(document->root, "token", (struct str){0}, &text, err) != 0 ||
		(text.len == 0 && value_need_str(document->root, "access_token", &text, err) != 0) ||
		value_opt_int(document->root, "expires_in", TOKEN_LIFE_S_DEFAULT, &life_s, err) != 0) {
		err->code = ERR_AUTH;
		return err_wrap(err, "answer of %s", self->realm);
	}
	if (text.len == 0 || text.len > TOKEN_BYTES_MAX)
		return err_set(err, ERR_AUTH, "answer of %s: a token of %zu bytes", self->realm, text.len);
	if (life_s <= 0)
		life_s = TOKEN_LIFE_S_DEFAULT;
	if (life_s > TOKEN_LIFE_S_MAX)
		life_s = TOKEN_LIFE_S_MAX;
	secret_set(&token->secret, text, self->options.redact);
	token->expires_ms = token->fetched_ms + life_s * 1000;
	return 0;
}

/* GET with basic authentication, or anonymous. */
static int token_get(struct auth_registry *self, const struct rest *rest, const char *scope, struct http_answer *answer, struct err *err) {
	AUTO_BUF struct buf url = BUF((size_t) 16 * 1024);
	buf_text(&url, self->realm);
	char mark = strchr(self->realm, '?') ? '&' : '?';
	if (self->service) {
		add_parameter(&url, mark, "service", str_of(self->service));
		mark = '&';
	}
	for (struct str rest_of = str_of(scope); rest_of.ptr; mark = '&')
		add_parameter(&url, mark, "scope", str_cut(rest_of, ' ', &rest_of));
	if (self->basic.text)
		add_parameter(&url, '&', "account", str_of(self->credentials.username));
	if (buf_check(&url, "token URL", err) != 0)
		return -1;
	struct http_header basic = {.name = "Authorization", .prefix = "Basic ", .secret = &self->basic};
	struct rest_call call = {.method = "GET",
		.url = url.ptr,
		.headers = &basic,
		.header_count = self->basic.text ? 1 : 0,
		.answer_bytes_max = 2 * TOKEN_BYTES_MAX};
	return rest_call(rest, &call, answer, err);
}

/* POST of an identity token (what `docker login` leaves at some clouds): RFC 6749 section 6. */
static int token_post(struct auth_registry *self, const struct rest *rest, const char *scope, struct http_answer *answer, struct err *err) {
	AUTO_BUF struct buf body = BUF(4 * TOKEN_BYTES_MAX);
	buf_text(&body, "grant_type=refresh_token&client_id=mlctl");
	if (self->service)
		add_parameter(&body, '&', "service", str_of(self->service));
	add_parameter(&body, '&', "scope", str_of(scope));
	add_parameter(&body, '&', "refresh_token", (struct str){self->credentials.password.text, self->credentials.password.len});
	if (buf_check(&body, "token request", err) != 0)
		return -1;
	struct rest_call call = {
		.method = "POST",
		.url = self->realm,
		.body = buf_view(&body),
		.content_type = "application/x-www-form-urlencoded",
		.is_repeatable = true,
		.answer_bytes_max = 2 * TOKEN_BYTES_MAX,
	};
	int rc = rest_call(rest, &call, answer, err);
	explicit_bzero(body.ptr, body.len);
	return rc;
}

static int token_fetch(struct auth_registry *self, struct http *http, const char *scope, struct token *token, struct err *err) {
	const struct auth_registry_options *o = &self->options;
	if (auth_registry_may_ask(o->base, o->host, self->realm, o->env, err) != 0 || read_credentials(self, err) != 0)
		return -1;
	struct rest rest = {.http = http, .ca_file = o->ca_file, .redact = o->redact};
	struct http_answer answer = {0};
	struct token got = {.fetched_ms = clock_mono_ms(o->clock)};
	int rc = self->credentials.is_identity_token ? token_post(self, &rest, scope, &answer, err)
						     : token_get(self, &rest, scope, &answer, err);
	if (rc == 0)
		rc = token_read(self, &answer, &got, err);
	if (answer.body)
		explicit_bzero(answer.body, answer.body_len);
	http_answer_clear(&answer);
	if (rc != 0) {
		token_clear(&got);
		return err_wrap(err, "asking for a token for %s/%s", o->host, o->repository);
	}
	got.scope = mem_text(scope);
	token_clear(token);
	*token = got;
	return 0;
}

static bool token_is_good(const struct token *token, int64_t now) {
	int64_t life = token->expires_ms - token->fetched_ms;
	int64_t early = life / 4 < TOKEN_EARLY_MS ? life / 4 : TOKEN_EARLY_MS;
	return token->scope && now < token->expires_ms - early;
}

static int token_for(struct auth_registry *self, struct http *http, struct token **out, struct err *err) {
	AUTO_BUF struct buf scope = BUF(SCOPE_BYTES_MAX);
	scope_wanted(self, &scope);
	if (buf_check(&scope, "token scope", err) != 0)
		return -1;
	int64_t now = clock_mono_ms(self->options.clock);
	struct token *slot = &self->tokens[0];
	for (size_t i = 0; i < TOKENS_MAX; i++) {
		struct token *token = &self->tokens[i];
		if (token->scope && strcmp(token->scope, scope.ptr) == 0) {
			slot = token;
			break;
		}
		if (token->fetched_ms < slot->fetched_ms || !token->scope)
			slot = token;
	}
	bool is_kept = slot->scope && strcmp(slot->scope, scope.ptr) == 0 && token_is_good(slot, now);
	if (!is_kept && token_fetch(self, http, scope.ptr, slot, err) != 0) {
		/* A server may say no to all because of the repository to mount from: then do without. */
		if (err->code != ERR_AUTH || self->mounts.count == 0)
			return -1;
		err_clear(err);
		texts_clear(&self->mounts);
		return token_for(self, http, out, err);
	}
	*out = slot;
	return 0;
}

/* --- net/auth.h */

static int sign(struct auth *auth, struct http *http, const char *method, const char *url, struct http_header headers[AUTH_HEADERS_MAX],
	size_t *count, struct err *err) {
	struct auth_registry *self = self_of(auth);
	(void) method;
	*count = 0;
	if (self->pending.code != ERR_NONE) {
		*err = self->pending;
		return -1;
	}
	if (self->scheme == SCHEME_NONE || !url_same_origin(self->options.base, url))
		return 0;
	struct token *token = NULL;
	if (self->scheme == SCHEME_BEARER && token_for(self, http, &token, err) != 0)
		return -1;
	headers[0] = (struct http_header){
		.name = "Authorization", .prefix = token ? "Bearer " : "Basic ", .secret = token ? &token->secret : &self->basic};
	*count = 1;
	return 0;
}

static bool refused(struct auth *auth, const struct auth_challenge *challenge) {
	struct auth_registry *self = self_of(auth);
	struct challenge asked = {0};
	if (!url_same_origin(self->options.base, challenge->url) || !challenge_parse(challenge->www_authenticate, &asked))
		return false;
	if (!asked.is_bearer) {
		challenge_clear(&asked);
		if (read_credentials(self, &self->pending) != 0)
			return true; /* sign() tells */
		if (self->basic.text)
			self->scheme = SCHEME_BASIC;
		return self->basic.text != NULL;
	}
	free(self->realm);
	free(self->service);
	free(self->asked_scope);
	self->realm = take(&asked.realm);
	self->service = take(&asked.service);
	self->asked_scope = take(&asked.scope);
	challenge_clear(&asked);
	self->scheme = SCHEME_BEARER;
	/* Whatever was sent is expired, revoked or too narrow. */
	for (size_t i = 0; i < TOKENS_MAX; i++)
		token_clear(&self->tokens[i]);
	return true;
}

static void close_auth(struct auth *auth) {
	struct auth_registry *self = self_of(auth);
	free(self->realm);
	free(self->service);
	free(self->asked_scope);
	texts_clear(&self->mounts);
	credentials_clear(&self->credentials);
	secret_clear(&self->basic);
	for (size_t i = 0; i < TOKENS_MAX; i++)
		token_clear(&self->tokens[i]);
	free(self);
}

struct auth *auth_registry_new(const struct auth_registry_options *options) {
	struct auth_registry *self = NEW(struct auth_registry);
	self->options = *options;
	self->auth = (struct auth){.sign = sign, .refused = refused, .close = close_auth};
	return &self->auth;
}

void auth_registry_will_push(struct auth *auth, const char *mount_from) {
	struct auth_registry *self = self_of(auth);
	self->will_push = true;
	if (!mount_from || self->mounts.count >= MOUNTS_MAX)
		return;
	for (size_t i = 0; i < self->mounts.count; i++)
		if (strcmp(self->mounts.items[i], mount_from) == 0)
			return;
	texts_add(&self->mounts, mount_from);
}

const char *auth_registry_source(const struct auth *auth) {
	const struct auth_registry *self = (const struct auth_registry *) auth;
	return self->credentials.username || self->credentials.is_identity_token ? self->credentials.source : NULL;
}
