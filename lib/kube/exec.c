#include "data/digest.h"
#include "kube/config.h"
#include "net/helper.h"

#define ARGS_MAX 64
#define ENV_MAX 32
#define ANSWER_BYTES_MAX ((size_t) 256 * 1024)
#define WORDS_BYTES_MAX 300
#define EARLY_MS 60000 /* what expires within a minute is asked for anew: the request is still to be made */
#define FRESH_MS 5000  /* of many requests that were refused together the first one has it asked anew, and that is enough */
#define API_V1 "client.authentication.k8s.io/v1"
#define API_V1BETA1 "client.authentication.k8s.io/v1beta1"

struct kube_exec {
	char *file, *user; /* for messages */
	char *command;	   /* as written; a relative path already resolved */
	char *api_version, *hint;
	struct texts args, env; /* "NAME=value" */
	bool wants_cluster, has_answer;
	int64_t got_ms, expires_ms; /* of the answer, on the monotonic clock; expires_ms 0: never said */
};

void kube_exec_free(struct kube_exec *exec) {
	if (!exec)
		return;
	free(exec->file);
	free(exec->user);
	free(exec->command);
	free(exec->api_version);
	free(exec->hint);
	texts_clear(&exec->args);
	texts_clear(&exec->env);
	free(exec);
}
CLEANUP_POINTER(kube_exec, struct kube_exec *, kube_exec_free)

static int wrong(const char *file, const struct value *value, const char *why, struct err *err) {
	err_set(err, ERR_CONFIG, "%s", why);
	return err_at(err, "%s:%d:%d", file, value->at.line, value->at.column);
}

static bool is_text(const struct value *value) {
	return value && (value->kind == VALUE_STRING || value->kind == VALUE_NUMBER) &&
	       !memchr(value->text.ptr ? value->text.ptr : "", '\0', value->text.len);
}

static int read_args(struct kube_exec *exec, const struct value *settings, struct err *err) {
	const struct value *args = value_get(settings, "args"), *env = value_get(settings, "env");
	value_each(arg, args) {
		if (!is_text(arg) || exec->args.count == ARGS_MAX)
			return wrong(exec->file, arg, "args: must be at most 64 texts", err);
		AUTO_FREE char *text = str_dup(arg->text);
		texts_add(&exec->args, text);
	}
	value_each(pair, env) {
		const struct value *name = value_get(pair, "name"), *value = value_get(pair, "value");
		if (!is_text(name) || !is_text(value) || exec->env.count == ENV_MAX || memchr(name->text.ptr, '=', name->text.len))
			return wrong(exec->file, pair, "env: must be at most 32 of {name, value}", err);
		AUTO_FREE char *text = mem_format("%.*s=%.*s", STR_ARGS(name->text), STR_ARGS(value->text));
		texts_add(&exec->env, text);
	}
	return 0;
}

/* A bare name is looked for among what is allowed; a path counts from the file's folder, and must be what is allowed itself. */
static char *command_of(const char *file, struct str command) {
	const char *slash = strrchr(file, '/');
	if (!memchr(command.ptr, '/', command.len) || command.ptr[0] == '/' || !slash)
		return str_dup(command);
	AUTO_FREE char *folder = mem_text_n(file, (size_t) (slash - file)), *name = str_dup(command);
	return fs_join(folder, str_starts(command, "./") ? name + 2 : name);
}

struct kube_exec *kube_exec_new(const char *file, const struct value *settings, const char *user, struct err *err) {
	CLEANUP(kube_exec_at_exit) struct kube_exec *exec = NEW(struct kube_exec);
	const struct value *command = value_get(settings, "command"), *version = value_get(settings, "apiVersion");
	const struct value *mode = value_get(settings, "interactiveMode"), *cluster = value_get(settings, "provideClusterInfo");
	const struct value *hint = value_get(settings, "installHint");
	exec->file = mem_text(file);
	exec->user = mem_text(user);
	if (!is_text(command) || !command->text.len) {
		wrong(file, command ? command : settings, "command: is missing", err);
		return NULL;
	}
	if (!is_text(version) || (!str_is(version->text, API_V1) && !str_is(version->text, API_V1BETA1))) {
		wrong(file, version ? version : settings, "apiVersion: must be " API_V1 " or " API_V1BETA1, err);
		err_fix(err, "write the user again with a newer version of the program that wrote it (az, gcloud, aws)");
		return NULL;
	}
	if (is_text(mode) && str_is(mode->text, "Always")) {
		wrong(file, mode, "interactiveMode: \"Always\": nobody is asked at a terminal here", err);
		err_fix(err, "log in without questions: a service principal, a workload identity, a token");
		return NULL;
	}
	exec->command = command_of(file, command->text);
	exec->api_version = str_dup(version->text);
	exec->hint = is_text(hint) ? str_dup(hint->text) : NULL;
	exec->wants_cluster = cluster && cluster->kind == VALUE_BOOL && cluster->boolean;
	if (read_args(exec, settings, err) != 0)
		return NULL;
	return take(&exec);
}

static int not_allowed(const struct kube_exec *exec, struct err *err) {
	bool is_path = exec->command[0] == '/';
	err_set(err, ERR_AUTH, "%s: user \"%s\" takes its credential from the program \"%s\", and no program runs that is not allowed",
		exec->file, exec->user, exec->command);
	return err_fix(err, "export MLCTL_CREDENTIAL_HELPERS=%s%s", is_path ? "" : "/usr/local/bin/", exec->command);
}

int kube_exec_check(const struct kube_exec *exec, const struct env *env, struct err *err) {
	AUTO_FREE char *path = helper_path(env, str_of(exec->command));
	return path ? 0 : not_allowed(exec, err);
}

/* KUBERNETES_EXEC_INFO, as JSON. */
static int exec_info(const struct kube_exec *exec, const struct kube_config *config, char **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("exec"), *settings = NULL;
	struct value *root = value_root_object(document);
	value_add_text(document, root, "kind", "ExecCredential");
	value_add_text(document, root, "apiVersion", exec->api_version);
	struct value *spec = value_add_object(document, root, "spec");
	value_add_bool(document, spec, "interactive", false);
	if (exec->wants_cluster) {
		struct value *cluster = value_add_object(document, spec, "cluster");
		value_add_text(document, cluster, "server", config->server);
		if (config->server_name)
			value_add_text(document, cluster, "tls-server-name", config->server_name);
		if (config->is_unverified)
			value_add_bool(document, cluster, "insecure-skip-tls-verify", true);
		if (config->proxy)
			value_add_text(document, cluster, "proxy-url", config->proxy);
		AUTO_BUF struct buf ca = BUF((size_t) 2 * 1024 * 1024);
		if (config->ca) {
			base64_encode(str_of(config->ca), &ca);
			value_add_str(document, cluster, "certificate-authority-data", buf_view(&ca));
		}
		if (config->exec_settings && json_read("settings", str_of(config->exec_settings), VALUE_LIMITS_CONFIG, &settings, err) != 0)
			return -1;
		if (settings)
			value_add_copy(document, cluster, "config", settings->root);
	}
	return json_write(root, JSON_COMPACT, out, err);
}

static int failed(const struct kube_exec *exec, const char *path, const struct proc_result *result,
	const struct kube_config_options *options, struct err *err) {
	/* What it has for us it writes to stdout: a credential perhaps, which the redactor does not know yet. */
	struct str said = {result->err_text, result->err_len};
	while (said.len && strchr(" \t\r\n", said.ptr[said.len - 1]))
		said.len--;
	AUTO_BUF struct buf words = BUF(4 * ANSWER_BYTES_MAX);
	redactor_apply(options->redact, said, &words);
	said = buf_view(&words);
	if (said.len > WORDS_BYTES_MAX) /* what went wrong stands at the end; cut before, half a secret would not be known as one */
		said = (struct str){said.ptr + said.len - WORDS_BYTES_MAX, WORDS_BYTES_MAX};
	err_set(err, ERR_AUTH, "the credential of user \"%s\": %s: exit %d%s%.*s", exec->user, path, result->status, said.len ? ": " : "",
		STR_ARGS(said));
	if (exec->hint)
		return err_fix(err, "%.*s", (int) strcspn(exec->hint, "\n"), exec->hint);
	return err_fix(err, "run it by hand, or log in again with the program it belongs to");
}

/* The wall clock is asked once; from then on the other one counts. */
static int until_ms(struct str text, const struct clock *clock, int64_t *out) {
	int64_t wall_s;
	if (clock_parse_any(text, &wall_s) != 0)
		return -1;
	*out = clock_mono_ms(clock) + (wall_s - clock_wall_s(clock)) * 1000;
	return 0;
}

/* status.token, or status.clientCertificateData with clientKeyData; status.expirationTimestamp. */
static int take_answer(struct kube_exec *exec, struct kube_config *config, const struct kube_config_options *options, const char *path,
	struct str text, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct err reason = {0};
	struct str none = {"", 0}, kind, version, token, certificate, key, expires;
	if (json_read("exec", text, VALUE_LIMITS_CONFIG, &document, &reason) != 0 ||
		value_need_str(document->root, "kind", &kind, &reason) != 0 ||
		value_need_str(document->root, "apiVersion", &version, &reason) != 0 ||
		value_opt_str(document->root, "status.token", none, &token, &reason) != 0 ||
		value_opt_str(document->root, "status.clientCertificateData", none, &certificate, &reason) != 0 ||
		value_opt_str(document->root, "status.clientKeyData", none, &key, &reason) != 0 ||
		value_opt_str(document->root, "status.expirationTimestamp", none, &expires, &reason) != 0)
		return err_set(err, ERR_AUTH, "%s: its answer is no ExecCredential", path);
	redactor_add(options->redact, token);
	redactor_add(options->redact, key);
	if (!str_is(kind, "ExecCredential") || !str_is(version, exec->api_version))
		return err_set(err, ERR_AUTH, "%s: answered %.*s %.*s, asked for was ExecCredential %s", path, STR_ARGS(kind),
			STR_ARGS(version), exec->api_version);
	if ((!token.len && !certificate.len) || !certificate.len != !key.len)
		return err_set(err, ERR_AUTH, "%s: its answer holds neither a token nor a client certificate with its key", path);
	for (size_t i = 0; i < token.len; i++)
		if ((unsigned char) token.ptr[i] <= ' ' || (unsigned char) token.ptr[i] >= 0x7f)
			return err_set(err, ERR_AUTH, "%s: its token is not one line of text", path);
	int64_t expires_ms = 0;
	if (expires.len && until_ms(expires, options->clock, &expires_ms) != 0)
		return err_set(
			err, ERR_AUTH, "%s: expirationTimestamp \"%.*s\" is no time like 2026-11-21T10:02:11Z", path, STR_ARGS(expires));
	secret_clear(&config->token);
	secret_clear(&config->key);
	free(take(&config->certificate));
	if (token.len)
		secret_set(&config->token, token, options->redact);
	if (key.len) {
		secret_set(&config->key, key, options->redact);
		config->certificate = str_dup(certificate);
	}
	exec->has_answer = true;
	exec->got_ms = clock_mono_ms(options->clock);
	exec->expires_ms = expires_ms;
	return 0;
}

static bool is_named(const struct texts *pairs, const char *pair) {
	size_t len = strcspn(pair, "=") + 1;
	for (size_t i = 0; i < pairs->count; i++)
		if (strncmp(pairs->items[i], pair, len) == 0)
			return true;
	return false;
}

int kube_exec_refresh(struct kube_exec *exec, struct kube_config *config, const struct kube_config_options *options, struct err *err) {
	if (exec->has_answer && (!exec->expires_ms || clock_mono_ms(options->clock) < exec->expires_ms - EARLY_MS))
		return 0;
	if (kube_exec_check(exec, options->env, err) != 0)
		return -1;
	AUTO_FREE char *path = helper_path(options->env, str_of(exec->command)), *info = NULL;
	if (exec_info(exec, config, &info, err) != 0)
		return -1;
	AUTO_FREE char *info_line = mem_format("KUBERNETES_EXEC_INFO=%s", info);
	const char *argv[ARGS_MAX + 2] = {path}, *env[HELPER_ENV_MAX + ENV_MAX + 2];
	for (size_t i = 0; i < exec->args.count; i++)
		argv[i + 1] = exec->args.items[i];
	size_t n = helper_env(options->env, env), kept = 0;
	for (size_t i = 0; i < n; i++) /* the plugin's own settings instead of ours */
		if (!is_named(&exec->env, env[i]))
			env[kept++] = env[i];
	for (size_t i = 0; i < exec->env.count; i++)
		env[kept++] = exec->env.items[i];
	env[kept++] = info_line;
	env[kept] = NULL;
	struct proc_spec spec = {.exec_fd = -1, .path = path, .argv = argv, .env = env};
	struct proc_result result = {0};
	if (proc_run(&spec, (struct str){"", 0}, ANSWER_BYTES_MAX, HELPER_TIMEOUT_MS, &result, err) != 0) {
		if (err->code != ERR_TIMEOUT && err->code != ERR_INTERRUPTED)
			err->code = ERR_AUTH;
		return err_wrap(err, "the credential of user \"%s\"", exec->user);
	}
	log_debug(options->log, "%s: exit %d", path, result.status);
	int rc = result.status ? failed(exec, path, &result, options, err)
			       : take_answer(exec, config, options, path, (struct str){result.out, result.out_len}, err);
	explicit_bzero(result.out, result.out_len);
	proc_result_clear(&result);
	return rc;
}

void kube_exec_refused(struct kube_exec *exec, const struct clock *clock) {
	if (clock_mono_ms(clock) - exec->got_ms >= FRESH_MS)
		exec->has_answer = false;
}
