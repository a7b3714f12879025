/* Makes everything from outside, finds the command, runs it, and turns what happened into an exit code. */
#include "command.h"
#include "os/sig.h"
#include "out.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

#define COMMAND(word) extern const struct command cmd_##word;
#include "commands.def"
#undef COMMAND

const struct command *const commands[] = {
#define COMMAND(word) &cmd_##word,
#include "commands.def"
#undef COMMAND
	NULL,
};

const struct command *command_find(const char *name) {
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

int command_need(const char *name, const struct command **out, struct err *err) {
	const char *names[64];
	size_t count = 0;
	const struct command *found = command_find(name);
	if (found) {
		*out = found;
		return 0;
	}
	for (const struct command *const *c = commands; *c && count < 64; c++)
		if (!(*c)->is_hidden)
			names[count++] = (*c)->name;
	const char *near = text_nearest(name, names, count);
	err_set(err, ERR_USAGE, "%s: mlctl has no such command%s%s%s", name, near ? " (did you mean " : "", near ? near : "",
		near ? "?)" : "");
	return err_fix(err, "mlctl help");
}

int exit_code_of(const struct err *err, int interrupted) {
	switch (err->code) {
	case ERR_USAGE:
	case ERR_CONFIG:
		return EXIT_USAGE;
	case ERR_INVALID:
		return EXIT_INVALID;
	case ERR_AUTH:
		return EXIT_AUTH;
	case ERR_BUILD:
	case ERR_REGISTRY:
		return EXIT_BUILD;
	case ERR_LOCKED:
		return EXIT_LOCKED;
	case ERR_CONFLICT:
		return EXIT_CONFLICT;
	case ERR_TIMEOUT:
		return EXIT_UNDECIDED;
	case ERR_INTERRUPTED:
		return 128 + (interrupted ? interrupted : 2);
	default:
		return EXIT_FAILED;
	}
}

int cli_http(struct cli *cli, struct http **http, struct err *err) {
	if (cli->signal_fd < 0 && sig_open(&cli->signal_fd, err) != 0)
		return -1;
	if (!cli->http)
		cli->http = http_curl_new(cli->clock, &cli->env, cli->signal_fd, &cli->log, err);
	*http = cli->http;
	if (cli->http)
		cli->http->interrupted = &cli->interrupted;
	return cli->http ? 0 : -1;
}

static int run_command(struct cli *cli, int argc, char **argv, struct err *err) {
	struct parsed parsed = {0};
	AUTO_FREE void *opts = mem_zero(1, cli->command->opts_size ? cli->command->opts_size : 1);
	AUTO_FREE const char **args = mem_zero((size_t) argc + 1, sizeof(*args));
	parsed.opts = opts;
	parsed.args = args;
	if (opt_parse(cli->command, cli, argv, argc, &parsed, err) != 0)
		return -1;
	if (parsed.is_help) {
		const char *const name[] = {cli->command->name, NULL};
		return command_find("help")->run(cli, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", name, err);
	}
	if (strcmp(cli->folder, ".") != 0 && chdir(cli->folder) != 0)
		return err_sys(err, "-C %s", cli->folder);
	args[parsed.count] = NULL;
	return cli->command->run(cli, opts, args, err);
}

static void note_formats(struct cli *cli, int argc, char **argv) {
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		cli->is_json |= strcmp(argv[i], "--json") == 0;
		if (strcmp(argv[i], "--events=json") == 0 ||
			(strcmp(argv[i], "--events") == 0 && i + 1 < argc && strcmp(argv[i + 1], "json") == 0))
			cli->events = "json";
	}
}

/* The command is the first word that is no option; options before it (mlctl -C x status) are given to it. */
static int dispatch(struct cli *cli, int argc, char **argv, struct err *err) {
	int at = 1;
	while (at < argc && argv[at][0] == '-') {
		bool takes_value = strcmp(argv[at], "-C") == 0 || strcmp(argv[at], "--directory") == 0 || strcmp(argv[at], "--events") == 0;
		at += takes_value ? 2 : 1;
	}
	note_formats(cli, argc, argv); /* so that an error in the other options is already JSON */
	const char *word = at < argc ? argv[at] : argc > 1 && strcmp(argv[1], "--version") == 0 ? "version" : "help";
	if (strcmp(word, "version") == 0 && at >= argc)
		argv[1] = argv[0], at = 1;
	if (command_need(word, &cli->command, err) != 0)
		return -1;
	AUTO_FREE char **rest = mem_zero((size_t) argc + 1, sizeof(*rest));
	int count = 0;
	for (int i = 1; i < argc; i++)
		if (i != at)
			rest[count++] = argv[i];
	return run_command(cli, count, rest, err);
}

static void look_around(struct cli *cli) {
	const char *term = env_get(&cli->env, "TERM");
	bool can_colour = !env_get(&cli->env, "NO_COLOR") && (!term || strcmp(term, "dumb") != 0);
	cli->is_terminal = isatty(STDERR_FILENO) == 1 && (!term || strcmp(term, "dumb") != 0);
	cli->is_coloured = can_colour && isatty(STDERR_FILENO) == 1;
	cli->is_out_coloured = can_colour && isatty(STDOUT_FILENO) == 1;
	const char *trace = env_get(&cli->env, "MLCTL_TRACE");
	if (trace && !(cli->log.out = fopen(trace, "ae")))
		out_warn(cli, "MLCTL_TRACE=%s: %s, so there is no trace", trace, strerror(errno));
}

/* What the environment holds as a secret must come out nowhere. */
static void learn_secrets(struct cli *cli) {
	static const char *const marks[] = {"PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "SECRET", "API_KEY", "APIKEY", "CREDENTIAL", "PRIVATE_KEY", "ACCESS_KEY"};
	for (char **item = cli->env.items; item && *item; item++) {
		struct str value, name = str_cut(str_of(*item), '=', &value);
		AUTO_FREE char *text = str_dup(name);
		for (char *c = text; *c; c++)
			if (ascii_is_lower(*c))
				*c = (char) (*c - 32);
		for (size_t i = 0; value.ptr && i < sizeof(marks) / sizeof(marks[0]); i++)
			if (strstr(text, marks[i]) && value.len >= 6)
				redactor_add(cli->redact, value);
		/* A proxy's password stands in its URL. */
		struct str rest, scheme = str_cut(value.ptr ? value : STR(""), ':', &rest);
		struct str host, user = str_cut_last(rest, '@', &host), password;
		if (scheme.len && rest.len > 2 && host.ptr && str_starts(rest, "//")) {
			str_cut(user, ':', &password);
			if (password.len >= 6)
				redactor_add(cli->redact, password);
		}
	}
}

int main(int argc, char **argv) {
	struct rlimit no_core = {0, 0};
	best_effort(setrlimit(RLIMIT_CORE, &no_core)); /* a core dump would hold credentials */
	best_effort(prctl(PR_SET_DUMPABLE, 0));
	mode_t users_umask = umask(077);
	static char program[4096];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = '\0';
	struct cli cli = {
		.out = stdout,
		.err = stderr,
		.env = {environ},
		.clock = &clock_system,
		.redact = redactor_new(),
		.program = program,
		.folder = ".",
		.signal_fd = -1,
		.start_ms = clock_mono_ms(&clock_system),
		.umask = users_umask,
	};
	cli.log = (struct log){.redact = cli.redact, .clock = cli.clock};
	look_around(&cli);
	learn_secrets(&cli);
	struct err err = {0};
	int code = 0;
	if (dispatch(&cli, argc, argv, &err) != 0) {
		if (err.code == ERR_INTERRUPTED && !cli.interrupted)
			cli.interrupted = err.sys;
		code = exit_code_of(&err, cli.interrupted);
		out_error(&cli, &err, code);
	} else {
		code = cli.exit_code;
	}
	http_close(cli.http);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0 && errno != EPIPE) {
		fprintf(stderr, "mlctl: writing the answer: %s\n", strerror(errno));
		code = EXIT_FAILED;
	}
	if (cli.log.out && cli.log.out != stderr)
		fclose(cli.log.out);
	redactor_free(cli.redact);
	return code;
}
