/* A command is one const object in its own file: its table of options parses, helps, completes and documents itself. Registration is one
 * line in commands.def. cli/ is the only place that prints, reads argv or picks an exit code. */
#pragma once

#include "base/log.h"
#include "data/value.h"
#include "net/http.h"
#include "os/fs.h"

#include <stdio.h>

enum exit_code { /* the contract; `mlctl help exit-codes` prints it */
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_DIFFERENCES = 3,
	EXIT_INVALID = 4,
	EXIT_AUTH = 5,
	EXIT_BUILD = 6,
	EXIT_LOCKED = 7,
	EXIT_ROLLOUT_FAILED = 8,
	EXIT_ROLLED_BACK = 9,
	EXIT_ROLLBACK_FAILED = 10,
	EXIT_UNDECIDED = 11,
	EXIT_CONFLICT = 12,
};

enum opt_kind { OPT_KIND_FLAG, OPT_KIND_TEXT, OPT_KIND_INT, OPT_KIND_DURATION };
struct opt {
	char letter; /* 0: none */
	enum opt_kind kind;
	bool is_optional;       /* the value may be left out: --lock-wait[=15m]; then `missing` is taken */
	const char *name, *value_name, *help;
	const char *missing;
	const char *const *choices; /* NULL-terminated; NULL: anything */
	int64_t min, max;
	size_t offset;
};
#define OPT_FIELD(type, field, as) (offsetof(type, field) + 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *) 0)->field), as) ? 1 : -1]))
#define OPT_FLAG(l, n, type, field, text) {.letter = (l), .kind = OPT_KIND_FLAG, .name = (n), .help = (text), .offset = OPT_FIELD(type, field, bool)}
#define OPT_TEXT(l, n, type, field, v, text)                                                                                               \
	{.letter = (l), .kind = OPT_KIND_TEXT, .name = (n), .value_name = (v), .help = (text), .offset = OPT_FIELD(type, field, const char *)}
#define OPT_CHOICE(l, n, type, field, list, v, text)                                                                                       \
	{.letter = (l),                                                                                                                    \
	 .kind = OPT_KIND_TEXT,                                                                                                            \
	 .name = (n),                                                                                                                      \
	 .value_name = (v),                                                                                                                \
	 .choices = (list),                                                                                                                \
	 .help = (text),                                                                                                                   \
	 .offset = OPT_FIELD(type, field, const char *)}
#define OPT_INT(l, n, type, field, low, high, v, text)                                                                                     \
	{.letter = (l),                                                                                                                    \
	 .kind = OPT_KIND_INT,                                                                                                             \
	 .name = (n),                                                                                                                      \
	 .value_name = (v),                                                                                                                \
	 .min = (low),                                                                                                                     \
	 .max = (high),                                                                                                                    \
	 .help = (text),                                                                                                                   \
	 .offset = OPT_FIELD(type, field, int64_t)}
/* Milliseconds. `absent`: what --name alone means (NULL: the value is required). */
#define OPT_DURATION(l, n, type, field, absent, text)                                                                                      \
	{.letter = (l),                                                                                                                    \
	 .kind = OPT_KIND_DURATION,                                                                                                        \
	 .name = (n),                                                                                                                      \
	 .value_name = "DURATION",                                                                                                         \
	 .is_optional = (absent) != NULL,                                                                                                  \
	 .missing = (absent),                                                                                                              \
	 .help = (text),                                                                                                                   \
	 .offset = OPT_FIELD(type, field, int64_t)}
#define OPT_ENV(type, field) OPT_TEXT('e', "env", type, field, "NAME", "the environment of mlctl.yaml; may be left out when there is one")

/* Which service a verb is about. In a project mlctl.yaml knows; in any other folder it is named, with the target's own whereabouts. */
struct where {
	const char *env, *service, *target, *context, *namespace_, *image;
};
#define OPT_PLACE(type, field)                                                                                                             \
	OPT_ENV(type, field.env), OPT_TEXT(0, "service", type, field.service, "NAME", "the service, where there is no mlctl.yaml"),        \
		OPT_TEXT(0, "target", type, field.target, "NAME", "with --service: where it runs (local, kubernetes)"),                    \
		OPT_TEXT(0, "context", type, field.context, "NAME", "with --service: of the kubeconfig; without it the current one"),      \
		OPT_TEXT(0, "namespace", type, field.namespace_, "NAME", "with --service: of the cluster; without it the context's")

struct schema_field { /* of the --json answer; `type` is JSON Schema's word, "string[]" for a list of them */
	const char *name, *type, *help;
};

struct cli;
struct command {
	const char *name, *summary;   /* summary: one line, no full stop */
	const char *arguments;        /* "[FOLDER]"; "" for none */
	int arguments_min, arguments_max;
	const char *about;            /* what it does and when to use it; wrapped by hand */
	const char *examples;         /* "mlctl build --output oci:out    # comment\n..." */
	bool is_hidden;
	const struct opt *opts;       /* ends with a zeroed one; NULL: none */
	size_t opts_size;
	const struct schema_field *schema; /* ends with a zeroed one; NULL: no --json answer of its own */
	/* 0: done, exit with cli->exit_code; -1: err says why. */
	int (*run)(struct cli *cli, const void *opts, const char *const *args, struct err *err);
};
extern const struct command *const commands[];
const struct command *command_find(const char *name);
/* As command_find(), with the error that suggests another word. */
int command_need(const char *name, const struct command **out, struct err *err);

/* Everything from outside, made in main() and handed in. */
struct cli {
	FILE *out, *err;
	struct env env;
	const struct clock *clock;
	struct redactor *redact;
	struct log log;
	const char *program;       /* absolute path of this binary */
	const char *folder;        /* -C, else "." */
	const struct command *command;
	bool is_json, is_quiet, is_terminal /* of stderr */, is_coloured, is_out_coloured;
	const char *events;        /* "json": one object per event on stderr's place: stdout stays the answer */
	int exit_code;
	int interrupted;           /* the signal that arrived */
	struct http *http;         /* NULL until cli_http() */
	int signal_fd;
	bool has_progress_line;    /* a progress line is on the screen, to be erased first */
	int64_t start_ms;
	mode_t umask;              /* the user's; our own files are for nobody else */
};
/* The network, initialised at first use. */
int cli_http(struct cli *cli, struct http **http, struct err *err);

/* Parses argv[1..] after the command's name into opts (zeroed, opts_size bytes); args gets what is no option. */
struct parsed {
	void *opts;
	const char **args;
	int count;
	bool is_help;
};
int opt_parse(const struct command *command, struct cli *cli, char **argv, int argc, struct parsed *out, struct err *err);
void opt_print(const struct opt *opts, FILE *out);

int exit_code_of(const struct err *err, int interrupted);
