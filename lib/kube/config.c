#include "kube/config.h"

#include "data/digest.h"
#include "net/rest.h"

#include <stdarg.h>

#define FILES_MAX 64
#define FILE_BYTES_MAX ((size_t) 4 * 1024 * 1024)
#define PEM_BYTES_MAX ((size_t) 1024 * 1024)
#define TOKEN_BYTES_MAX ((size_t) 64 * 1024)
#define NAMES_SHOWN_MAX 100
#define IN_CLUSTER_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

void kube_config_free(struct kube_config *config) {
	if (!config)
		return;
	char *const texts[] = {config->context, config->namespace_, config->server, config->cluster, config->user, config->source,
		config->ca, config->server_name, config->proxy, config->certificate, config->token_file, config->as, config->as_uid,
		config->exec_settings};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	secret_clear(&config->key);
	secret_clear(&config->token);
	secret_clear(&config->basic);
	texts_clear(&config->as_groups);
	texts_clear(&config->as_extra_names);
	texts_clear(&config->as_extra_values);
	kube_exec_free(config->exec);
	free(config);
}

/* What is read at the moment: one entry of one file. */
struct reader {
	const struct kube_config_options *options;
	struct document *const *files;
	size_t count;
	bool may_read;
	struct kube_config *config;
	const struct document *file; /* where the entry stands */
	char path[300];		     /* "users[azure].user" */
	char near[256];		     /* a name that was not found: the one that was meant perhaps */
};

static int wrong(const struct document *file, const struct value *value, struct err *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int wrong(const struct document *file, const struct value *value, struct err *err, const char *format, ...) {
	va_list args;
	char text[ERR_MESSAGE_MAX];
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err_set(err, ERR_CONFIG, "%s", text);
	if (value && value->at.line)
		return err_at(err, "%s:%d:%d", file->name, value->at.line, value->at.column);
	return err_at(err, "%s", file->name);
}

/* A text, or a number or a truth that somebody wrote without quotes. NULL: not there, null or empty. */
static int text_of(const struct reader *r, const struct value *object, const char *key, const struct value **out, struct err *err) {
	const struct value *value = value_get(object, key);
	*out = NULL;
	if (!value || value->kind == VALUE_NULL)
		return 0;
	if (value->kind != VALUE_STRING && value->kind != VALUE_NUMBER)
		return wrong(r->file, value, err, "%s.%s: must be a text", r->path, key);
	for (size_t i = 0; i < value->text.len; i++)
		if (value->text.ptr[i] == '\0')
			return wrong(r->file, value, err, "%s.%s: must not hold a NUL", r->path, key);
	if (value->text.len)
		*out = value;
	return 0;
}

static int copy_text(const struct reader *r, const struct value *object, const char *key, char **out, struct err *err) {
	const struct value *value;
	if (text_of(r, object, key, &value, err) != 0)
		return -1;
	if (value)
		*out = str_dup(value->text);
	return 0;
}

/* Relative paths count from the file that holds them. */
static char *beside(const struct document *file, struct str path) {
	AUTO_FREE char *name = str_dup(path);
	const char *slash = strrchr(file->name, '/');
	if (!slash || name[0] == '/')
		return mem_text(name);
	AUTO_FREE char *folder = mem_text_n(file->name, (size_t) (slash - file->name));
	return fs_join(slash == file->name ? "/" : folder, name);
}

static void without_spaces(struct str text, struct buf *out) {
	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n", text.ptr[i]))
			buf_char(out, text.ptr[i]);
}

static int check_pem(const struct reader *r, const struct value *at, const char *key, const char *text, bool is_key, struct err *err) {
	if (is_key && strstr(text, "ENCRYPTED")) {
		wrong(r->file, at, err, "%s.%s: the key is encrypted, and nobody is asked for its password", r->path, key);
		return err_fix(err, "openssl pkey -in ENCRYPTED_KEY -out KEY   and name that");
	}
	if (!strstr(text, is_key ? "PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----"))
		return wrong(r->file, at, err, "%s.%s: holds no PEM %s", r->path, key, is_key ? "private key" : "certificate");
	return 0;
}

/* "x-data" (base64 of PEM) before "x" (a file). Owned text; NULL: neither is there. */
static int read_pem(const struct reader *r, const struct value *object, const char *key, bool is_key, char **out, struct err *err) {
	AUTO_FREE char *data_key = mem_format("%s-data", key);
	const struct value *data, *file;
	*out = NULL;
	if (text_of(r, object, data_key, &data, err) != 0 || text_of(r, object, key, &file, err) != 0)
		return -1;
	if (data) {
		AUTO_BUF struct buf coded = BUF(FILE_BYTES_MAX), plain = BUF(PEM_BYTES_MAX);
		struct err reason = {0};
		if (is_key)
			redactor_add(r->options->redact, data->text);
		without_spaces(data->text, &coded);
		if (base64_decode(buf_view(&coded), &plain, &reason) != 0 || memchr(buf_view(&plain).ptr, '\0', plain.len))
			return wrong(r->file, data, err, "%s.%s: must be base64 of PEM", r->path, data_key);
		if (is_key) {
			redactor_add(r->options->redact, buf_view(&plain));
			explicit_bzero(coded.ptr, coded.len);
		}
		buf_room(&plain, 0);
		if (check_pem(r, data, data_key, plain.ptr ? plain.ptr : "", is_key, err) != 0)
			return -1;
		return buf_take(&plain, out, err);
	}
	if (!file || !r->may_read)
		return 0;
	AUTO_FREE char *path = beside(r->file, file->text);
	struct err reason = {0};
	size_t len;
	if (fs_read(path, PEM_BYTES_MAX, out, &len, &reason) != 0)
		return wrong(r->file, file, err, "%s.%s: %s", r->path, key, reason.message);
	if (is_key)
		redactor_add(r->options->redact, (struct str){*out, len});
	return check_pem(r, file, key, *out, is_key, err);
}

/* --- finding entries */

static const struct value *entries_of(const struct document *file, const char *list) {
	const struct value *entries = value_get(file->root, list);
	return entries && entries->kind == VALUE_ARRAY ? entries : NULL;
}

/* The entry's body ("cluster" in clusters[]), or NULL. */
static const struct value *find_entry(struct reader *r, const char *list, const char *member, const char *name) {
	const char *names[NAMES_SHOWN_MAX];
	AUTO_TEXTS struct texts known = {0};
	for (size_t i = 0; i < r->count; i++)
		value_each(entry, entries_of(r->files[i], list)) {
			const struct value *its = value_get(entry, "name");
			if (!its || (its->kind != VALUE_STRING && its->kind != VALUE_NUMBER))
				continue;
			if (!str_is(its->text, name)) {
				AUTO_FREE char *copy = str_dup(its->text);
				if (known.count < NAMES_SHOWN_MAX)
					texts_add(&known, copy);
				continue;
			}
			r->file = r->files[i];
			snprintf(r->path, sizeof(r->path), "%s[%s].%s", list, name, member);
			const struct value *body = value_get(entry, member);
			return body && body->kind == VALUE_OBJECT ? body : entry;
		}
	for (size_t i = 0; i < known.count; i++)
		names[i] = known.items[i];
	const char *nearest = text_nearest(name, names, known.count);
	if (!nearest && known.count)
		nearest = known.items[0];
	snprintf(r->near, sizeof(r->near), "%s", nearest ? nearest : "");
	return NULL;
}

static void names_of(const struct reader *r, const char *list, struct buf *out) {
	int shown = 0;
	for (size_t i = 0; i < r->count; i++)
		value_each(entry, entries_of(r->files[i], list)) {
			const struct value *its = value_get(entry, "name");
			if (!its || its->kind != VALUE_STRING || shown++ >= 8)
				continue;
			buf_text(out, out->len ? ", " : "");
			buf_str(out, its->text);
		}
	if (shown > 8)
		buf_format(out, " and %d more", shown - 8);
}

/* --- a cluster */

static int read_server(struct reader *r, const struct value *cluster, struct err *err) {
	const struct value *server;
	struct url url;
	struct err reason = {0};
	if (text_of(r, cluster, "server", &server, err) != 0)
		return -1;
	if (!server) {
		wrong(r->file, cluster, err, "%s.server: is missing", r->path);
		return err_fix(err, "server: https://HOST:6443");
	}
	if (url_parse(server->text, &url, &reason) != 0 || url.userinfo.len || url.query.len) {
		AUTO_BUF struct buf shown = BUF((size_t) 20 * 1024);
		AUTO_FREE char *copy = str_dup(server->text);
		url_redact(copy, &shown);
		wrong(r->file, server, err, "%s.server: \"%s\" must be a URL with scheme, host, port and perhaps a path", r->path,
			shown.ptr ? shown.ptr : "");
		return err_fix(err, "server: https://HOST:6443");
	}
	r->config->server = str_dup(server->text);
	size_t len = strlen(r->config->server);
	while (len && r->config->server[len - 1] == '/')
		r->config->server[--len] = '\0';
	return 0;
}

static int read_proxy(struct reader *r, const struct value *cluster, struct err *err) {
	static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
	const struct value *proxy;
	if (text_of(r, cluster, "proxy-url", &proxy, err) != 0)
		return -1;
	if (!proxy)
		return 0;
	struct str rest = {0}, after, password;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (str_starts(proxy->text, schemes[i]))
			rest = (struct str){proxy->text.ptr + strlen(schemes[i]), proxy->text.len - strlen(schemes[i])};
	struct str user = str_cut_last(rest, '@', &after);
	if (after.ptr) {
		str_cut(user, ':', &password);
		if (password.len)
			redactor_add(r->options->redact, password);
	} else {
		after = rest;
	}
	AUTO_FREE char *as_http = mem_format("http://%.*s", STR_ARGS(after));
	struct url url;
	struct err reason = {0};
	if (!rest.len || url_parse(str_of(as_http), &url, &reason) != 0) {
		wrong(r->file, proxy, err, "%s.proxy-url: must be an http://, https:// or socks5:// URL", r->path);
		return err_fix(err, "proxy-url: http://HOST:3128");
	}
	/* Names are looked up by the proxy, as kubectl has it: that one may see what we do not. */
	struct str text = proxy->text;
	r->config->proxy = str_starts(text, "socks5://") ? mem_format("socks5h://%.*s", STR_ARGS(rest)) : str_dup(text);
	return 0;
}

/* What a cluster's entry holds for exec plugins (extensions[client.authentication.k8s.io/exec]) is handed on as it is. */
static int read_exec_settings(struct reader *r, const struct value *cluster, struct err *err) {
	value_each(entry, value_get(cluster, "extensions")) {
		const struct value *name = value_get(entry, "name"), *settings = value_get(entry, "extension");
		if (!name || name->kind != VALUE_STRING || !str_is(name->text, "client.authentication.k8s.io/exec") || !settings)
			continue;
		free(take(&r->config->exec_settings));
		if (json_write(settings, JSON_COMPACT, &r->config->exec_settings, err) != 0)
			return -1;
	}
	return 0;
}

static int read_cluster(struct reader *r, const struct value *cluster, struct err *err) {
	struct kube_config *config = r->config;
	const struct value *insecure = value_get(cluster, "insecure-skip-tls-verify");
	if (insecure && insecure->kind != VALUE_BOOL && insecure->kind != VALUE_NULL)
		return wrong(r->file, insecure, err, "%s.insecure-skip-tls-verify: must be true or false", r->path);
	config->is_unverified = insecure && insecure->kind == VALUE_BOOL && insecure->boolean;
	if (read_server(r, cluster, err) != 0 || read_proxy(r, cluster, err) != 0 ||
		read_pem(r, cluster, "certificate-authority", false, &config->ca, err) != 0 ||
		copy_text(r, cluster, "tls-server-name", &config->server_name, err) != 0 || read_exec_settings(r, cluster, err) != 0)
		return -1;
	if (config->is_unverified && config->ca) {
		wrong(r->file, insecure, err, "%s: insecure-skip-tls-verify: true beside a certificate authority: one of the two", r->path);
		return err_fix(err, "insecure-skip-tls-verify: false");
	}
	for (const char *c = config->server_name ? config->server_name : ""; *c; c++)
		if (!ascii_is_alnum(*c) && !strchr(".-_", *c))
			return wrong(r->file, value_get(cluster, "tls-server-name"), err,
				"%s.tls-server-name: \"%s\" must be a host's name", r->path, config->server_name);
	return 0;
}

/* --- a user */

static int read_impersonation(struct reader *r, const struct value *user, struct err *err) {
	struct kube_config *config = r->config;
	const struct value *groups = value_get(user, "as-groups"), *extra = value_get(user, "as-user-extra");
	if (copy_text(r, user, "as", &config->as, err) != 0 || copy_text(r, user, "as-uid", &config->as_uid, err) != 0)
		return -1;
	if (groups && groups->kind == VALUE_ARRAY)
		value_each(group, groups) {
			if (group->kind != VALUE_STRING || config->as_groups.count >= KUBE_GROUPS_MAX)
				return wrong(r->file, group, err, "%s.as-groups: must be at most %d texts", r->path, KUBE_GROUPS_MAX);
			AUTO_FREE char *text = str_dup(group->text);
			texts_add(&config->as_groups, text);
		}
	if (extra && extra->kind == VALUE_OBJECT)
		value_each(list, extra) value_each(one, list) {
			if (one->kind != VALUE_STRING || config->as_extra_names.count >= KUBE_EXTRAS_MAX)
				return wrong(r->file, one, err, "%s.as-user-extra: must be at most %d texts", r->path, KUBE_EXTRAS_MAX);
			AUTO_FREE char *value = str_dup(one->text);
			AUTO_BUF struct buf name = BUF(1024);
			buf_text(&name, "Impersonate-Extra-");
			url_encode(list->key, &name);
			if (buf_check(&name, "as-user-extra", err) != 0)
				return -1;
			texts_add(&config->as_extra_names, name.ptr);
			texts_add(&config->as_extra_values, value);
		}
	if (!config->as && (config->as_uid || config->as_groups.count || config->as_extra_names.count)) {
		wrong(r->file, user, err, "%s: as-uid, as-groups or as-user-extra without as", r->path);
		return err_fix(err, "as: USER");
	}
	return 0;
}

static int auth_provider_is_gone(struct reader *r, const struct value *provider, struct err *err) {
	struct str name = {"", 0};
	struct err scratch = {0};
	best_effort(value_opt_str(provider, "name", name, &name, &scratch)); /* without a name it is refused just as well */
	wrong(r->file, provider, err,
		"%s.auth-provider: \"%.*s\": Kubernetes 1.26 removed auth providers, an exec plugin takes their place", r->path,
		STR_ARGS(name));
	if (str_is(name, "gcp"))
		return err_fix(err, "gcloud container clusters get-credentials CLUSTER   (with gke-gcloud-auth-plugin installed)");
	if (str_is(name, "azure"))
		return err_fix(err, "kubelogin convert-kubeconfig   (https://github.com/Azure/kubelogin)");
	return err_fix(err, "write the user again with an exec plugin, or with a token: kubectl config set-credentials %s --token=...",
		r->config->user);
}

static int read_basic(struct reader *r, const struct value *user, struct err *err) {
	const struct value *name, *password;
	if (text_of(r, user, "username", &name, err) != 0 || text_of(r, user, "password", &password, err) != 0)
		return -1;
	if (password)
		redactor_add(r->options->redact, password->text);
	if (!name && !password)
		return 0;
	if (!name || !password || memchr(name->text.ptr, ':', name->text.len))
		return wrong(r->file, name ? name : password, err,
			"%s: username and password belong together, and a user name holds no colon", r->path);
	AUTO_BUF struct buf pair = BUF(TOKEN_BYTES_MAX), coded = BUF(2 * TOKEN_BYTES_MAX);
	buf_str(&pair, name->text);
	buf_char(&pair, ':');
	buf_str(&pair, password->text);
	base64_encode(buf_view(&pair), &coded);
	int rc = buf_check(&coded, "user name and password", err);
	if (rc == 0)
		secret_set(&r->config->basic, buf_view(&coded), r->options->redact);
	if (pair.ptr)
		explicit_bzero(pair.ptr, pair.len);
	if (coded.ptr)
		explicit_bzero(coded.ptr, coded.len);
	return rc;
}

static bool is_one_line(struct str text) {
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char) text.ptr[i] <= ' ' || (unsigned char) text.ptr[i] >= 0x7f)
			return false;
	return true;
}

static int read_token(struct reader *r, const struct value *user, struct err *err) {
	const struct value *token, *file;
	if (text_of(r, user, "token", &token, err) != 0 || text_of(r, user, "tokenFile", &file, err) != 0)
		return -1;
	if (token) {
		redactor_add(r->options->redact, token->text);
		if (token->text.len > TOKEN_BYTES_MAX || !is_one_line(token->text))
			return wrong(r->file, token, err, "%s.token: must be one line without spaces, at most %zu bytes", r->path,
				TOKEN_BYTES_MAX);
	}
	if (file) /* it is newer than what was written down once, which is for when it can't be read */
		r->config->token_file = beside(r->file, file->text);
	if (token)
		secret_set(&r->config->token, token->text, r->options->redact);
	return 0;
}

static int read_certificate(struct reader *r, const struct value *user, struct err *err) {
	struct kube_config *config = r->config;
	AUTO_FREE char *key = NULL;
	if (read_pem(r, user, "client-certificate", false, &config->certificate, err) != 0 ||
		read_pem(r, user, "client-key", true, &key, err) != 0)
		return -1;
	if (key) {
		secret_set(&config->key, str_of(key), r->options->redact);
		explicit_bzero(key, strlen(key));
	}
	if (!config->certificate == !config->key.text)
		return 0;
	wrong(r->file, user, err, "%s: has %s", r->path,
		config->key.text ? "a client key without its certificate" : "a client certificate without its key");
	return err_fix(err, "%s: FILE", config->key.text ? "client-certificate" : "client-key");
}

static int read_user(struct reader *r, const struct value *user, struct err *err) {
	struct kube_config *config = r->config;
	const struct value *provider = value_get(user, "auth-provider"), *exec = value_get(user, "exec");
	config->source = mem_text(r->file->name);
	if (read_token(r, user, err) != 0 || read_basic(r, user, err) != 0 || read_certificate(r, user, err) != 0 ||
		read_impersonation(r, user, err) != 0)
		return -1;
	bool has_token = config->token.text || config->token_file;
	if (has_token && config->basic.text)
		return wrong(r->file, user, err, "%s: has a token and a password: one of the two", r->path);
	bool is_enough = has_token || config->basic.text;
	if (provider && provider->kind == VALUE_OBJECT && !is_enough && !config->certificate)
		return auth_provider_is_gone(r, provider, err);
	if (exec && exec->kind == VALUE_OBJECT && !is_enough) {
		config->exec = kube_exec_new(r->file->name, exec, config->user, err);
		if (!config->exec)
			return err_wrap(err, "%s.exec", r->path);
	}
	return 0;
}

/* --- a context */

static const struct value *current_context(struct reader *r) {
	for (size_t i = 0; i < r->count; i++) {
		const struct value *current = value_get(r->files[i]->root, "current-context");
		if (current && current->kind == VALUE_STRING && current->text.len) {
			r->file = r->files[i];
			return current;
		}
	}
	return NULL;
}

static int no_context(struct reader *r, const struct value *current, struct err *err) {
	AUTO_BUF struct buf names = BUF(1024);
	names_of(r, "contexts", &names);
	const struct document *file = current ? r->file : r->files[0];
	const char *wanted = r->config->context;
	if (wanted)
		wrong(file, current, err, "%s\"%s\": no context has this name; there %s: %s", current ? "current-context: " : "context ",
			wanted, names.len ? "are" : "is", names.len ? names.ptr : "none");
	else
		wrong(file, NULL, err, "no context is chosen; there %s: %s", names.len ? "are" : "is", names.len ? names.ptr : "none");
	return r->near[0] ? err_fix(err, "kubectl config use-context %s   or in mlctl.yaml: context: %s", r->near, r->near) : -1;
}

/* A cluster or user that the context names. */
static const struct value *named_by(
	struct reader *r, const struct value *by, const char *list, const char *member, const char *name, struct err *err) {
	const struct document *file = r->file;
	AUTO_FREE char *path = mem_text(r->path);
	const struct value *body = find_entry(r, list, member, name);
	if (body)
		return body;
	wrong(file, by, err, "%s.%s: \"%s\": no entry of %s has this name", path, member, name, list);
	if (r->near[0])
		best_effort(err_fix(err, "%s: %s", member, r->near)); /* it only adds to what is told already */
	return NULL;
}

static int check_namespace(const struct document *file, const struct value *at, const char *name, struct err *err) {
	size_t len = strlen(name);
	bool is_good = len && len <= 63 && name[0] != '-' && name[len - 1] != '-';
	for (size_t i = 0; i < len; i++)
		is_good = is_good && (ascii_is_lower(name[i]) || ascii_is_digit(name[i]) || name[i] == '-');
	if (is_good)
		return 0;
	if (file)
		wrong(file, at, err, "namespace \"%s\": must be 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends", name);
	else
		err_set(err, ERR_CONFIG, "namespace \"%s\": must be 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends", name);
	return -1;
}

/* A credential is not for everybody on the way. */
static int check_plain(struct reader *r, struct err *err) {
	struct kube_config *config = r->config;
	struct url url;
	if (url_parse(str_of(config->server), &url, err) != 0)
		return -1;
	bool has_secret = config->token.text || config->token_file || config->basic.text || config->exec || config->certificate;
	if (str_is(url.scheme, "https") || url_host_is_loopback(url.host) || !has_secret)
		return 0;
	err_set(err, ERR_CONFIG, "clusters[%s].cluster.server: %s: user \"%s\" has a credential, which is not sent without TLS",
		config->cluster, config->server, config->user);
	err_at(err, "%s", config->source);
	return err_fix(err, "server: https://%.*s:%d", STR_ARGS(url.host), url.port);
}

int kube_config_select(struct document *const *files, size_t count, const struct kube_config_options *options, bool may_read,
	struct kube_config **out, struct err *err) {
	CLEANUP(kube_config_at_exit) struct kube_config *config = NEW(struct kube_config);
	struct reader r = {.options = options, .files = files, .count = count, .may_read = may_read, .config = config};
	const struct value *current = options->context ? NULL : current_context(&r), *cluster_name, *user_name, *namespace_;
	config->context = options->context ? mem_text(options->context) : current ? str_dup(current->text) : NULL;
	const struct document *current_file = r.file;
	const struct value *context = config->context ? find_entry(&r, "contexts", "context", config->context) : NULL;
	if (!context) {
		r.file = current_file;
		return no_context(&r, current, err);
	}
	if (text_of(&r, context, "cluster", &cluster_name, err) != 0 || text_of(&r, context, "user", &user_name, err) != 0 ||
		text_of(&r, context, "namespace", &namespace_, err) != 0)
		return -1;
	config->cluster = cluster_name ? str_dup(cluster_name->text) : mem_text("");
	config->user = user_name ? str_dup(user_name->text) : mem_text("");
	config->namespace_ = options->namespace_ ? mem_text(options->namespace_)
			     : namespace_	 ? str_dup(namespace_->text)
						 : mem_text("default");
	config->source = mem_text(r.file->name);
	if (check_namespace(options->namespace_ ? NULL : r.file, namespace_, config->namespace_, err) != 0)
		return -1;
	if (!cluster_name)
		return wrong(r.file, context, err, "%s.cluster: is missing", r.path);
	struct reader of_context = r;
	const struct value *cluster = named_by(&r, cluster_name, "clusters", "cluster", config->cluster, err);
	if (!cluster || read_cluster(&r, cluster, err) != 0)
		return -1;
	r = of_context;
	if (user_name) {
		const struct value *user = named_by(&r, user_name, "users", "user", config->user, err);
		free(take(&config->source));
		if (!user || read_user(&r, user, err) != 0)
			return -1;
	}
	if (check_plain(&r, err) != 0)
		return -1;
	*out = take(&config);
	return 0;
}

/* --- files */

int kube_config_parse(const char *file, struct str text, struct document **out, struct err *err) {
	static const struct value_limits limits = {FILE_BYTES_MAX, 200000, 32};
	CLEANUP(document_at_exit) struct document *document = NULL;
	struct str start = text;
	struct err reason = {0};
	while (start.len && strchr(" \t\r\n", start.ptr[0]))
		start = (struct str){start.ptr + 1, start.len - 1};
	bool is_json = str_starts(start, "{") && json_read(file, text, limits, &document, &reason) == 0;
	if (!is_json && yaml_read(file, text, limits, &document, err) != 0) {
		err->code = ERR_CONFIG;
		return err_wrap(err, "kubeconfig");
	}
	const struct value *kind = value_get(document->root, "kind");
	if (document->root->kind != VALUE_OBJECT && document->root->kind != VALUE_NULL)
		return wrong(document, document->root, err, "kubeconfig: must be a mapping with clusters, users and contexts");
	if (kind && kind->kind == VALUE_STRING && kind->text.len && !str_is(kind->text, "Config"))
		return wrong(document, kind, err, "kind: \"%.*s\" is not a kubeconfig, whose kind is Config", STR_ARGS(kind->text));
	static const char *const lists[] = {"clusters", "users", "contexts"};
	for (size_t i = 0; i < 3; i++) {
		const struct value *list = value_get(document->root, lists[i]);
		if (list && list->kind != VALUE_ARRAY && list->kind != VALUE_NULL)
			return wrong(document, list, err, "%s: must be a list of entries with a name", lists[i]);
	}
	*out = take(&document);
	return 0;
}

static int read_file(const struct kube_config_options *options, const char *path, struct document **out, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	struct err reason = {0};
	struct stat info;
	if (fs_read(path, FILE_BYTES_MAX, &text, &len, &reason) != 0) {
		if (reason.code == ERR_NOT_FOUND)
			return 0;
		err_set(err, ERR_CONFIG, "kubeconfig: %s", reason.message);
		return err_at(err, "%s", path);
	}
	if (stat(path, &info) == 0 && (info.st_mode & 077))
		log_debug(
			options->log, "%s: others on this machine may read it (mode %o): chmod 600", path, (unsigned) info.st_mode & 0777);
	int rc = kube_config_parse(path, (struct str){text, len}, out, err);
	explicit_bzero(text, len);
	return rc;
}

static const char *in_cluster_folder(const struct kube_config_options *options) {
	return options->in_cluster ? options->in_cluster : IN_CLUSTER_FOLDER;
}

static int load_in_cluster(const struct kube_config_options *options, struct kube_config **out, struct err *err) {
	CLEANUP(kube_config_at_exit) struct kube_config *config = NEW(struct kube_config);
	const char *host = env_get(options->env, "KUBERNETES_SERVICE_HOST"), *port = env_get(options->env, "KUBERNETES_SERVICE_PORT");
	AUTO_FREE char *ca = fs_join(in_cluster_folder(options), "ca.crt"), *namespace_ = fs_join(in_cluster_folder(options), "namespace");
	struct err reason = {0};
	size_t len;
	config->is_in_cluster = true;
	config->context = mem_text("");
	config->cluster = mem_text("");
	config->user = mem_text("");
	config->server = mem_format(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port ? port : "443");
	config->token_file = fs_join(in_cluster_folder(options), "token");
	config->source = mem_text(config->token_file);
	struct url url;
	if (url_parse(str_of(config->server), &url, &reason) != 0)
		return err_set(err, ERR_CONFIG, "KUBERNETES_SERVICE_HOST and _PORT: %s", reason.message);
	if (fs_read(ca, PEM_BYTES_MAX, &config->ca, &len, &reason) != 0) {
		if (reason.code != ERR_NOT_FOUND)
			return err_set(err, ERR_CONFIG, "the service account's CA: %s", reason.message);
		err_clear(&reason);
	}
	if (options->namespace_)
		config->namespace_ = mem_text(options->namespace_);
	else if (fs_read(namespace_, 256, &config->namespace_, &len, &reason) != 0)
		config->namespace_ = mem_text("default");
	config->namespace_[strcspn(config->namespace_, "\r\n \t")] = '\0';
	if (check_namespace(NULL, NULL, config->namespace_, err) != 0)
		return -1;
	*out = take(&config);
	return 0;
}

static bool is_in_cluster(const struct kube_config_options *options) {
	AUTO_FREE char *token = fs_join(in_cluster_folder(options), "token");
	return !options->context && env_get(options->env, "KUBERNETES_SERVICE_HOST") && fs_exists(token);
}

static int nothing_there(const char *list, struct err *err) {
	err_set(err, ERR_CONFIG, "no kubeconfig: %s is not there, and this process does not run in a cluster", list);
	return err_fix(err,
		"export KUBECONFIG=FILE   (a cloud writes one: az aks get-credentials, gcloud container clusters get-credentials, "
		"aws eks update-kubeconfig)");
}

int kube_config_load(const struct kube_config_options *options, struct kube_config **out, struct err *err) {
	const char *listed = env_get(options->env, "KUBECONFIG"), *home = env_get(options->env, "HOME");
	AUTO_FREE char *list = listed ? mem_text(listed) : home ? fs_join(home, ".kube/config") : NULL;
	if (!list)
		return is_in_cluster(options) ? load_in_cluster(options, out, err) : nothing_there("$HOME/.kube/config", err);
	struct document *files[FILES_MAX] = {0};
	size_t count = 0;
	int rc = 0;
	for (struct str rest = str_of(list); rc == 0 && rest.len;) {
		AUTO_FREE char *path = str_dup(str_cut(rest, ':', &rest));
		if (count == FILES_MAX)
			rc = err_set(err, ERR_CONFIG, "KUBECONFIG: more than %d files", FILES_MAX);
		else if (path[0])
			rc = read_file(options, path, &files[count], err);
		count += rc == 0 && path[0] && files[count];
	}
	bool has_contexts = false;
	for (size_t i = 0; i < count; i++)
		has_contexts = has_contexts || entries_of(files[i], "contexts");
	if (rc == 0 && !has_contexts && is_in_cluster(options))
		rc = load_in_cluster(options, out, err);
	else if (rc == 0 && !count)
		rc = nothing_there(list, err);
	else if (rc == 0)
		rc = kube_config_select(files, count, options, true, out, err);
	for (size_t i = 0; i < count; i++)
		document_free(files[i]);
	return rc;
}

/* --- credentials that change */

int kube_config_refresh(struct kube_config *config, const struct kube_config_options *options, struct err *err) {
	if (config->exec)
		return kube_exec_refresh(config->exec, config, options, err);
	if (!config->token_file)
		return 0;
	AUTO_FREE char *text = NULL;
	size_t len;
	struct err reason = {0};
	if (fs_read(config->token_file, TOKEN_BYTES_MAX, &text, &len, &reason) != 0)
		return config->token.text ? 0 : err_set(err, ERR_AUTH, "the token of user \"%s\": %s", config->user, reason.message);
	struct str token = {text, len};
	while (token.len && strchr(" \t\r\n", token.ptr[token.len - 1]))
		token.len--;
	int rc = 0;
	if (!token.len || !is_one_line(token))
		rc = err_set(err, ERR_AUTH, "%s: must hold a token in one line", config->token_file);
	else if (!config->token.text || !str_is(token, config->token.text))
		secret_set(&config->token, token, options->redact);
	explicit_bzero(text, len);
	return rc;
}

bool kube_config_refused(struct kube_config *config, const struct clock *clock) {
	if (config->exec)
		kube_exec_refused(config->exec, clock);
	return config->exec || config->token_file; /* read again for the next request anyway, and it may just have been rotated */
}

void kube_config_fix_login(const struct kube_config *config, struct err *err) {
	if (config->is_in_cluster)
		err_fix(err, "kubectl get serviceaccount   (the pod's may be gone; a new pod gets a new token)");
	else if (config->exec || config->token_file)
		err_fix(err, "log in again with the program that writes it (az, gcloud, aws), or choose another context in mlctl.yaml: "
			     "context: NAME");
	else if (config->token.text || config->certificate || config->basic.text)
		err_fix(err,
			"write a new %s for user \"%s\" into %s (az aks get-credentials, gcloud container clusters get-credentials, aws "
			"eks "
			"update-kubeconfig)",
			config->token.text    ? "token"
			: config->certificate ? "client certificate"
					      : "password",
			config->user, config->source);
	else
		err_fix(err, "the context \"%s\" names no user with a credential: kubectl config set-context %s --user=NAME",
			config->context, config->context);
}
