/* Completion for bash and zsh, made from the command tables. */
#include "out.h"

extern const struct opt opt_common[];

static void option_words(const struct opt *opts, FILE *out) {
	for (const struct opt *o = opts; o && o->name; o++)
		fprintf(out, " --%s", o->name);
}

static void bash(FILE *out) {
	fputs("# bash completion for mlctl. Load it: source <(mlctl completion bash)\n"
	      "_mlctl() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} command= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in -C|--directory|--events) ((i++)) ;; -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n"
	      "\tdone\n"
	      "\tif [[ ${COMP_WORDS[COMP_CWORD-1]} == --env || ${COMP_WORDS[COMP_CWORD-1]} == -e ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$(sed -n '/^environments:/,/^[^ #]/s/^  \\([A-Za-z0-9-]*\\):.*/\\1/p' mlctl.yaml 2>/dev/null)\" -- \"$word\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tlocal words\n"
	      "\tcase $command in\n",
		out);
	for (const struct command *const *c = commands; *c; c++) {
		if ((*c)->is_hidden)
			continue;
		fprintf(out, "\t%s) words=\"", (*c)->name);
		option_words((*c)->opts, out);
		option_words(opt_common, out);
		fputs("\" ;;\n", out);
	}
	fputs("\t*) words=\"", out);
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			fprintf(out, "%s ", (*c)->name);
	fputs("\" ;;\n\tesac\n"
	      "\tif [[ $command == help ]]; then words=\"$words $(_mlctl_commands)\"; fi\n"
	      "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	      "\t[[ ${#COMPREPLY[@]} -gt 0 || $word == -* ]] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
	      "}\n"
	      "_mlctl_commands() { echo \"",
		out);
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			fprintf(out, "%s ", (*c)->name);
	fputs("\"; }\ncomplete -F _mlctl mlctl\n", out);
}

/* Inside '...' and an _arguments specification: quotes, colons and brackets are escaped. */
static void zsh_text(FILE *out, const char *text) {
	for (const char *c = text; *c; c++) {
		if (*c == '\'')
			fputs("'\\''", out);
		else if (*c == ':' || *c == '[' || *c == ']')
			fprintf(out, "\\%c", *c);
		else
			fputc(*c, out);
	}
}

static void zsh_options(const struct opt *opts, FILE *out) {
	for (const struct opt *o = opts; o && o->name; o++) {
		fprintf(out, " \\\n\t\t\t'--%s%s[", o->name, o->value_name && !o->is_optional ? "=" : "");
		zsh_text(out, o->help);
		fputs("]", out);
		if (o->value_name && !o->is_optional)
			fprintf(out, ":%s:", o->value_name);
		fputs("'", out);
	}
}

static void zsh(FILE *out) {
	fputs("#compdef mlctl\n# zsh completion for mlctl. Put it on your fpath as _mlctl.\n_mlctl() {\n\tlocal -a verbs=(\n", out);
	for (const struct command *const *c = commands; *c; c++) {
		if ((*c)->is_hidden)
			continue;
		fprintf(out, "\t\t'%s:", (*c)->name);
		zsh_text(out, (*c)->summary);
		fputs("'\n", out);
	}
	fputs("\t)\n\tif ((CURRENT == 2)); then _describe command verbs; return; fi\n\tcase ${words[2]} in\n", out);
	for (const struct command *const *c = commands; *c; c++) {
		if ((*c)->is_hidden)
			continue;
		fprintf(out, "\t\t%s) _arguments", (*c)->name);
		zsh_options((*c)->opts, out);
		zsh_options(opt_common, out);
		fputs(" '*:file:_files' ;;\n", out);
	}
	fputs("\tesac\n}\n_mlctl \"$@\"\n", out);
}

static int completion_run(struct cli *cli, const void *opts, const char *const *args, struct err *err) {
	(void) opts;
	if (strcmp(args[0], "bash") == 0)
		bash(cli->out);
	else if (strcmp(args[0], "zsh") == 0)
		zsh(cli->out);
	else
		return err_set(err, ERR_USAGE, "completion for %s: must be bash or zsh", args[0]);
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.summary = "print the completion script of a shell",
	.arguments = "bash|zsh",
	.arguments_min = 1,
	.arguments_max = 1,
	.about = "Prints a script that completes commands, options and environments. Made from the same tables as the help.\n",
	.examples = "source <(mlctl completion bash)\nmlctl completion zsh > ~/.zfunc/_mlctl\n",
	.run = completion_run,
};
