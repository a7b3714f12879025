/* login and logout: Docker's config.json, which every other tool reads too. */
#include "net/rest.h"
#include "oci/credentials.h"
#include "oci/ref.h"
#include "out.h"

#include <unistd.h>

struct login_opts {
	const char *username;
	bool is_stdin;
};

static const struct opt options[] = {
	OPT_TEXT('u', "username", struct login_opts, username, "NAME", "who"),
	OPT_FLAG(0, "password-stdin", struct login_opts, is_stdin,
		"read the password from standard input; there is no --password, argv is public"),
	{0},
};

#define PASSWORD_BYTES_MAX ((size_t) 64 * 1024)

static int answer(struct cli *cli, const char *host, const char *file, const char *text, struct err *err) {
	out_line(cli, text, host, file);
	if (!cli->is_json)
		return 0;
	AUTO_DOCUMENT struct document *document = out_document(cli);
	value_add_text(document, document->root, "host", host);
	value_add_text(document, document->root, "file", file);
	return out_json(cli, document, err);
}

static int check_host(const char *host, struct err *err) {
	AUTO_FREE char *reference = mem_format("%s/x", host);
	struct ref ref;
	struct err ignored = {0};
	if (ref_parse(str_of(reference), &ref, &ignored) == 0)
		return 0;
	return err_set(
		err, ERR_USAGE, "%s: must be a registry's host, without https://, as in registry.example.com or localhost:5000", host);
}

static int login_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct login_opts *opts = raw;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *file = NULL;
	size_t len = 0;
	if (check_host(args[0], err) != 0)
		return -1;
	if (!opts->username) {
		err_set(err, ERR_USAGE, "login needs a user name");
		return err_fix(err, "mlctl login %s --username NAME --password-stdin < password.txt", args[0]);
	}
	if (!opts->is_stdin) {
		err_set(err, ERR_USAGE, "login reads the password from standard input only");
		return err_fix(err, "mlctl login %s --username %s --password-stdin < password.txt", args[0], opts->username);
	}
	if (fs_read("/dev/stdin", PASSWORD_BYTES_MAX, &text, &len, err) != 0)
		return err_wrap(err, "reading the password");
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len == 0)
		return err_set(err, ERR_USAGE, "the password on standard input is empty");
	struct secret password = {0};
	secret_set(&password, (struct str){text, len}, cli->redact);
	explicit_bzero(text, len);
	int rc = credentials_save(&cli->env, args[0], opts->username, &password, &file, err);
	secret_clear(&password);
	return rc == 0 ? answer(cli, args[0], file, "%s: credentials saved in %s", err) : -1;
}

static int logout_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	(void) raw;
	AUTO_FREE char *file = NULL;
	bool was_there = false;
	if (credentials_remove(&cli->env, args[0], &was_there, &file, err) != 0)
		return -1;
	return answer(cli, args[0], file, was_there ? "%s: credentials removed from %s" : "%s: there were none in %s", err);
}

static const struct schema_field fields[] = {{"host", "string", "the registry"}, {"file", "string", "where the credentials are kept"}, {0}};
const struct command cmd_login = {
	.name = "login",
	.summary = "remember the credentials of a registry",
	.arguments = "HOST",
	.arguments_min = 1,
	.arguments_max = 1,
	.about = "Writes Docker's config.json (0600, atomically, what else is in it stays). In CI the variables MLCTL_REGISTRY_USERNAME "
		 "and\n"
		 "MLCTL_REGISTRY_PASSWORD do without.\n",
	.examples = "mlctl login registry.example.com --username ci --password-stdin < password.txt\n",
	.opts = options,
	.opts_size = sizeof(struct login_opts),
	.schema = fields,
	.run = login_run,
};
const struct command cmd_logout = {
	.name = "logout",
	.summary = "forget the credentials of a registry",
	.arguments = "HOST",
	.arguments_min = 1,
	.arguments_max = 1,
	.about = "Removes what login saved.\n",
	.examples = "mlctl logout registry.example.com\n",
	.schema = fields,
	.run = logout_run,
};
