#include "oci/credentials.h"

#include "data/digest.h"
#include "data/value.h"
#include "net/helper.h"

#define FILE_BYTES_MAX ((size_t) 1024 * 1024)
#define SECRET_BYTES_MAX ((size_t) 64 * 1024)
#define DOCKER_HUB_KEY "https://index.docker.io/v1/"

void credentials_clear(struct credentials *credentials) {
	free(credentials->username);
	free(credentials->source);
	secret_clear(&credentials->password);
	*credentials = (struct credentials){0};
}

static bool is_docker_hub(struct str host) {
	return str_is(host, "docker.io") || str_is(host, "index.docker.io") || str_is(host, "registry-1.docker.io");
}

/* The place a key of "auths" means: older logins wrote "https://host/v1/" where newer ones write "host", and containers' may name a
 * namespace or a repository behind it. */
static struct str key_place(struct str key) {
	size_t skip = str_starts(key, "https://") ? 8 : str_starts(key, "http://") ? 7 : 0;
	key = (struct str){key.ptr + skip, key.len - skip};
	if (skip) {
		struct str rest;
		return str_cut(key, '/', &rest);
	}
	while (key.len && key.ptr[key.len - 1] == '/')
		key.len--;
	return key;
}

/* How many bytes of "host/repository" the key covers; 0: it is for another place. */
static size_t key_covers(struct str key, const char *host, const char *repository) {
	struct str path, place = key_place(key);
	struct str key_host = str_cut(place, '/', &path);
	if (!str_is(key_host, host) && !(is_docker_hub(key_host) && is_docker_hub(str_of(host))))
		return 0;
	if (!path.ptr || !path.len)
		return 1;
	struct str whole = str_of(repository);
	if (whole.len < path.len || memcmp(whole.ptr, path.ptr, path.len) != 0 || (whole.len > path.len && whole.ptr[path.len] != '/'))
		return 0;
	return 1 + path.len;
}

static const struct value *best_member(const struct value *object, const char *host, const char *repository) {
	const struct value *best = NULL;
	size_t longest = 0;
	if (!object || object->kind != VALUE_OBJECT)
		return NULL;
	value_each(member, object) {
		size_t covers = key_covers(member->key, host, repository);
		if (covers > longest) {
			longest = covers;
			best = member;
		}
	}
	return best;
}

struct search {
	const struct env *env;
	const char *host, *repository, *file;
	struct redactor *redact;
	struct credentials *out;
};

static void found(const struct search *search, const char *source, struct str username, struct str password, bool is_identity_token) {
	*search->out =
		(struct credentials){.username = str_dup(username), .is_identity_token = is_identity_token, .source = mem_text(source)};
	secret_set(&search->out->password, password, search->redact);
}

static int from_environment(const struct search *search, struct err *err) {
	const char *username = env_get(search->env, "MLCTL_REGISTRY_USERNAME"), *password = env_get(search->env, "MLCTL_REGISTRY_PASSWORD");
	const char *host = env_get(search->env, "MLCTL_REGISTRY_HOST");
	if ((!username && !password) || (host && strcmp(host, search->host) != 0))
		return 0;
	if (!username || !password) {
		err_set(err, ERR_CONFIG, "%s is set and %s is not", username ? "MLCTL_REGISTRY_USERNAME" : "MLCTL_REGISTRY_PASSWORD",
			username ? "MLCTL_REGISTRY_PASSWORD" : "MLCTL_REGISTRY_USERNAME");
		return err_fix(err, "export %s=...", username ? "MLCTL_REGISTRY_PASSWORD" : "MLCTL_REGISTRY_USERNAME");
	}
	found(search, "the environment (MLCTL_REGISTRY_PASSWORD)", str_of(username), str_of(password), false);
	return 1;
}

/* "auth" is base64 of "user:password"; Docker once padded the password with NULs. */
static int from_pair(const struct search *search, const struct value *entry, struct str auth, struct err *err) {
	AUTO_BUF struct buf pair = BUF(SECRET_BYTES_MAX);
	struct err reason = {0};
	if (base64_decode(auth, &pair, &reason) != 0)
		return err_set(err, ERR_CONFIG, "%s: auths: %.*s: auth is not base64", search->file, STR_ARGS(entry->key));
	struct str password, username = str_cut(buf_view(&pair), ':', &password);
	while (password.len && password.ptr[password.len - 1] == '\0')
		password.len--;
	if (!password.ptr)
		err_set(err, ERR_CONFIG, "%s: auths: %.*s: auth must be base64 of user:password", search->file, STR_ARGS(entry->key));
	else
		found(search, search->file, username, password, false);
	explicit_bzero(pair.ptr, pair.len);
	return err->code ? -1 : 1;
}

static int from_entry(const struct search *search, const struct value *entry, struct err *err) {
	struct str empty = {"", 0}, auth, token, username, password;
	if (value_opt_str(entry, "auth", empty, &auth, err) != 0 || value_opt_str(entry, "identitytoken", empty, &token, err) != 0 ||
		value_opt_str(entry, "username", empty, &username, err) != 0 ||
		value_opt_str(entry, "password", empty, &password, err) != 0)
		return err_wrap(err, "%s: auths: %.*s", search->file, STR_ARGS(entry->key));
	if (token.len) {
		found(search, search->file, username.len ? username : STR("<token>"), token, true);
		return 1;
	}
	if (auth.len)
		return from_pair(search, entry, auth, err);
	if (!username.len || !password.len)
		return 0;
	found(search, search->file, username, password, false);
	return 1;
}

static char *allowed_path(const struct env *env, struct str name) {
	AUTO_FREE char *program = mem_format("docker-credential-%.*s", STR_ARGS(name));
	return strchr(program, '/') ? NULL : helper_path(env, str_of(program));
}

static int read_helper(const struct search *search, const char *path, const struct proc_result *result, struct err *err) {
	struct str text = {result->out, result->out_len};
	if (result->status != 0) {
		/* The helpers' protocol: the sentence on standard output says that there is nothing. */
		if (memmem(text.ptr, text.len, "credentials not found", 21))
			return 0;
		AUTO_BUF struct buf said = BUF((size_t) 4096);
		redactor_quote(search->redact, text, 200, &said);
		return err_set(err, ERR_AUTH, "%s get: exit %d: %s", path, result->status, said.ptr ? said.ptr : "");
	}
	AUTO_DOCUMENT struct document *document = NULL;
	struct err reason = {0};
	struct str username, password;
	if (json_read(path, text, VALUE_LIMITS_CONFIG, &document, &reason) != 0 ||
		value_need_str(document->root, "Username", &username, &reason) != 0 ||
		value_need_str(document->root, "Secret", &password, &reason) != 0)
		return err_set(err, ERR_AUTH, "%s get: its answer is not {\"Username\": .., \"Secret\": ..}", path);
	AUTO_FREE char *source = mem_format("%s (named in %s)", path, search->file);
	found(search, source, username, password, str_is(username, "<token>"));
	return 1;
}

/* `key` is the server's name as the helper stored it. */
static int from_helper(const struct search *search, struct str name, struct str key, struct err *err) {
	AUTO_FREE char *path = allowed_path(search->env, name);
	if (!path) {
		err_set(err, ERR_AUTH, "%s: the credential helper \"%.*s\" is for %s, but no helper runs that is not allowed", search->file,
			STR_ARGS(name), search->host);
		return err_fix(err, "export MLCTL_CREDENTIAL_HELPERS=/usr/bin/docker-credential-%.*s", STR_ARGS(name));
	}
	const char *env[HELPER_ENV_MAX + 1];
	helper_env(search->env, env);
	struct proc_spec spec = {.exec_fd = -1, .path = path, .argv = (const char *const[]){path, "get", NULL}, .env = env};
	struct proc_result result = {0};
	if (proc_run(&spec, key, SECRET_BYTES_MAX, HELPER_TIMEOUT_MS, &result, err) != 0)
		return err_wrap(err, "credential helper");
	int rc = read_helper(search, path, &result, err);
	explicit_bzero(result.out, result.out_len);
	proc_result_clear(&result);
	return rc;
}

static int read_file(const char *file, struct document **out, struct err *err) {
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	struct err reason = {0};
	if (fs_read(file, FILE_BYTES_MAX, &text, &len, &reason) != 0) {
		if (reason.code == ERR_NOT_FOUND)
			return 0;
		*err = reason;
		return -1;
	}
	int rc = json_read(file, (struct str){text, len}, VALUE_LIMITS_CONFIG, out, err);
	explicit_bzero(text, len);
	if (rc == 0 && (*out)->root->kind != VALUE_OBJECT)
		rc = err_set(err, ERR_CONFIG, "%s: must hold a JSON object", file);
	return rc != 0 ? -1 : 1;
}

/* A helper named for this host, what the file holds, a store for every host: in this order, the nearest first. */
static int from_file(const struct search *search, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	int rc = read_file(search->file, &document, err);
	if (rc <= 0)
		return rc;
	const struct value *helper = best_member(value_get(document->root, "credHelpers"), search->host, search->repository);
	if (helper && helper->kind == VALUE_STRING)
		return from_helper(search, helper->text, helper->key, err);
	const struct value *entry = best_member(value_get(document->root, "auths"), search->host, search->repository);
	if (entry && (rc = from_entry(search, entry, err)) != 0)
		return rc;
	struct str store, empty = {"", 0};
	if (value_opt_str(document->root, "credsStore", empty, &store, err) != 0)
		return err_wrap(err, "%s", search->file);
	AUTO_FREE char *allowed = store.len ? allowed_path(search->env, store) : NULL;
	/* A login through a store leaves an empty entry behind. Without one and without leave to ask the store, nobody logged in here. */
	if (!store.len || (!entry && !allowed))
		return 0;
	struct str key = entry ? entry->key : is_docker_hub(str_of(search->host)) ? STR(DOCKER_HUB_KEY) : str_of(search->host);
	return from_helper(search, store, key, err);
}

static char *docker_file(const struct env *env) {
	const char *folder = env_get(env, "DOCKER_CONFIG"), *home = env_get(env, "HOME");
	if (folder)
		return fs_join(folder, "config.json");
	return home ? fs_join(home, ".docker/config.json") : NULL;
}

int credentials_find(const struct env *env, const char *host, const char *repository, struct redactor *redact, struct credentials *out,
	struct err *err) {
	struct credentials credentials = {0};
	struct search search = {
		.env = env, .host = host, .repository = repository ? repository : "", .redact = redact, .out = &credentials};
	const char *named = env_get(env, "REGISTRY_AUTH_FILE"), *runtime = env_get(env, "XDG_RUNTIME_DIR");
	AUTO_FREE char *containers = runtime ? fs_join(runtime, "containers/auth.json") : NULL;
	AUTO_FREE char *docker = docker_file(env);
	const char *files[] = {named, named ? NULL : containers, docker};
	int rc = from_environment(&search, err);
	for (size_t i = 0; rc == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		search.file = files[i];
		if (files[i])
			rc = from_file(&search, err);
	}
	if (rc < 0)
		return -1;
	*out = credentials;
	return 0;
}

/* Where login writes: the file that is named, else Docker's. A symbolic link is followed, so that the link stays one. */
static int file_to_write(const struct env *env, char **out, struct err *err) {
	const char *named = env_get(env, "REGISTRY_AUTH_FILE");
	AUTO_FREE char *file = named ? mem_text(named) : docker_file(env);
	if (!file) {
		err_set(err, ERR_CONFIG, "neither DOCKER_CONFIG nor HOME is set, so there is no place for credentials");
		return err_fix(err, "export HOME=/path/to/your/home");
	}
	char *real = realpath(file, NULL);
	*out = real ? real : take(&file);
	return 0;
}

/* Copies the file's tree but for `host` in "auths"; *auths is the new tree's. */
static bool copy_without(struct document *to, const struct value *from, const char *host, struct value **auths) {
	struct value *root = value_root_object(to);
	bool was_there = false;
	*auths = NULL;
	value_each(member, from) {
		AUTO_FREE char *name = str_dup(member->key);
		if (!str_is(member->key, "auths") || member->kind != VALUE_OBJECT) {
			value_add_copy(to, root, name, member);
			continue;
		}
		*auths = value_add_object(to, root, name);
		value_each(entry, member) {
			AUTO_FREE char *key = str_dup(entry->key);
			struct str path, key_host = str_cut(key_place(entry->key), '/', &path);
			if (!path.ptr && key_covers(entry->key, host, "") && key_host.len)
				was_there = true;
			else
				value_add_copy(to, *auths, key, entry);
		}
	}
	if (!*auths)
		*auths = value_add_object(to, root, "auths");
	return was_there;
}

static int write_file(const char *file, const struct document *document, struct err *err) {
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *folder = mem_text(file);
	char *slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (fs_make_dirs(folder, 0700, err) != 0)
			return -1;
	}
	if (json_write(document->root, JSON_PRETTY, &text, err) != 0)
		return err_wrap(err, "%s", file);
	int rc = fs_replace(file, text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	return rc;
}

int credentials_save(
	const struct env *env, const char *host, const char *username, const struct secret *password, char **file, struct err *err) {
	AUTO_FREE char *path = NULL;
	AUTO_DOCUMENT struct document *old = NULL;
	if (!username[0] || strchr(username, ':'))
		return err_set(err, ERR_USAGE, "user name \"%s\": must not be empty or hold a colon", username);
	if (file_to_write(env, &path, err) != 0 || read_file(path, &old, err) < 0)
		return -1;
	AUTO_DOCUMENT struct document *new = document_new(path);
	struct value *auths;
	copy_without(new, old ? old->root : NULL, host, &auths);
	AUTO_BUF struct buf pair = BUF(SECRET_BYTES_MAX), auth = BUF(2 * SECRET_BYTES_MAX);
	buf_format(&pair, "%s:", username);
	buf_add(&pair, password->text, password->len);
	if (buf_check(&pair, "user name and password", err) != 0)
		return -1;
	base64_encode(buf_view(&pair), &auth);
	struct value *entry = value_add_object(new, auths, is_docker_hub(str_of(host)) ? DOCKER_HUB_KEY : host);
	value_add_text(new, entry, "auth", auth.ptr);
	explicit_bzero(pair.ptr, pair.len);
	explicit_bzero(auth.ptr, auth.len);
	if (write_file(path, new, err) != 0)
		return -1;
	*file = take(&path);
	return 0;
}

int credentials_remove(const struct env *env, const char *host, bool *was_there, char **file, struct err *err) {
	AUTO_FREE char *path = NULL;
	AUTO_DOCUMENT struct document *old = NULL;
	if (file_to_write(env, &path, err) != 0 || read_file(path, &old, err) < 0)
		return -1;
	AUTO_DOCUMENT struct document *new = document_new(path);
	struct value *auths;
	bool is_there = copy_without(new, old ? old->root : NULL, host, &auths);
	if (is_there && write_file(path, new, err) != 0)
		return -1;
	*was_there = is_there;
	*file = take(&path);
	return 0;
}
