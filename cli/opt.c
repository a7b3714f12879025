#include "command.h"
#include "out.h"

#include <limits.h>

/* Options that every command takes. */
struct common {
	bool is_json, is_quiet, is_verbose, is_help, is_plain;
	const char *events, *folder;
};
static const char *const event_choices[] = {"json", NULL};
const struct opt opt_common[] = {
	OPT_FLAG('h', "help", struct common, is_help, "what this command does, with examples"),
	OPT_FLAG(0, "json", struct common, is_json, "the answer as one JSON document on stdout"),
	OPT_CHOICE(0, "events", struct common, events, event_choices, "json", "progress as one JSON object a line on stderr"),
	OPT_FLAG('q', "quiet", struct common, is_quiet, "no progress, only the answer and the error"),
	OPT_FLAG('v', "verbose", struct common, is_verbose, "a line per remote call on stderr"),
	OPT_FLAG(0, "no-color", struct common, is_plain, "no colours (NO_COLOR does the same)"),
	OPT_TEXT('C', "directory", struct common, folder, "FOLDER", "work as if started in this folder"),
	{0},
};

static const struct opt *find_in(const struct opt *opts, struct str name, char letter) {
	for (; opts && opts->name; opts++)
		if (letter ? opts->letter == letter : str_is(name, opts->name))
			return opts;
	return NULL;
}

static int unknown(const struct command *command, struct str name, char letter, struct err *err) {
	const char *names[64];
	size_t count = 0;
	for (const struct opt *o = command->opts; o && o->name && count < 50; o++)
		names[count++] = o->name;
	for (const struct opt *o = opt_common; o->name; o++)
		names[count++] = o->name;
	if (letter) {
		err_set(err, ERR_USAGE, "option -%c: mlctl %s has no such option", letter, command->name);
	} else {
		AUTO_FREE char *word = str_dup(name);
		const char *near = text_nearest(word, names, count);
		err_set(err, ERR_USAGE, "option --%s: mlctl %s has no such option%s%s%s", word, command->name,
			near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "");
	}
	return err_fix(err, "mlctl %s --help", command->name);
}

static int set_value(const struct opt *opt, void *opts, const char *text, struct err *err) {
	char *field = (char *) opts + opt->offset;
	switch (opt->kind) {
	case OPT_KIND_FLAG:
		*(bool *) field = true;
		return 0;
	case OPT_KIND_TEXT:
		for (size_t i = 0; opt->choices; i++) {
			if (!opt->choices[i])
				return err_set(err, ERR_USAGE, "--%s %s: must be %s", opt->name, text, opt->value_name);
			if (strcmp(opt->choices[i], text) == 0)
				break;
		}
		*(const char **) field = text;
		return 0;
	case OPT_KIND_INT:
		if (num_int(str_of(text), opt->min, opt->max, (int64_t *) field) != 0)
			return err_set(err, ERR_USAGE, "--%s %s: must be a whole number from %lld to %lld", opt->name, text,
				(long long) opt->min, (long long) opt->max);
		return 0;
	case OPT_KIND_DURATION:
		if (num_duration_ms(str_of(text), (int64_t *) field) != 0)
			return err_set(err, ERR_USAGE, "--%s %s: must be a duration such as 500ms, 30s, 5m", opt->name, text);
		return 0;
	}
	return 0;
}

struct cursor {
	char **argv;
	int argc, i;
};

static int take_option(const struct command *command, struct parsed *out, struct common *common, struct cursor *c, struct str name,
	char letter, const char *attached, struct err *err) {
	const struct opt *opt = find_in(command->opts, name, letter);
	void *into = out->opts;
	if (!opt) {
		opt = find_in(opt_common, name, letter);
		into = common;
	}
	if (!opt)
		return unknown(command, name, letter, err);
	const char *value = attached;
	if (opt->kind == OPT_KIND_FLAG && attached)
		return err_set(err, ERR_USAGE, "--%s takes no value, got \"%s\"", opt->name, attached);
	if (opt->kind != OPT_KIND_FLAG && !attached) {
		if (opt->is_optional)
			value = opt->missing;
		else if (c->i + 1 < c->argc)
			value = c->argv[++c->i];
		else
			return err_set(err, ERR_USAGE, "--%s needs a value: --%s %s", opt->name, opt->name, opt->value_name);
	}
	return set_value(opt, into, value, err);
}

static void apply_common(struct cli *cli, const struct common *common) {
	cli->is_json |= common->is_json;
	cli->is_quiet |= common->is_quiet;
	if (common->events)
		cli->events = common->events;
	if (common->folder)
		cli->folder = common->folder;
	if (common->is_verbose && !cli->log.out)
		cli->log.out = cli->err;
	cli->log.is_json = cli->events && cli->log.out == cli->err;
	if (common->is_plain)
		cli->is_coloured = cli->is_out_coloured = false;
}

int opt_parse(const struct command *command, struct cli *cli, char **argv, int argc, struct parsed *out, struct err *err) {
	struct common common = {0};
	struct cursor c = {argv, argc, 0};
	bool is_plain_only = false;
	int rc = 0;
	for (; rc == 0 && c.i < argc; c.i++) {
		char *word = argv[c.i];
		if (is_plain_only || word[0] != '-' || word[1] == '\0') {
			out->args[out->count++] = word;
		} else if (strcmp(word, "--") == 0) {
			is_plain_only = true;
		} else if (word[1] == '-') {
			char *equals = strchr(word, '=');
			struct str name = {word + 2, equals ? (size_t) (equals - word - 2) : strlen(word + 2)};
			rc = take_option(command, out, &common, &c, name, 0, equals ? equals + 1 : NULL, err);
		} else {
			rc = take_option(command, out, &common, &c, (struct str){0}, word[1], word[2] ? word + 2 : NULL, err);
		}
	}
	apply_common(cli, &common);
	if (common.is_help) { /* help wins over whatever else is wrong */
		err_clear(err);
		out->is_help = true;
		return 0;
	}
	if (rc != 0)
		return -1;
	if (out->count < command->arguments_min || out->count > command->arguments_max) {
		if (out->count < command->arguments_min)
			err_set(err, ERR_USAGE, "mlctl %s: something is missing: mlctl %s %s", command->name, command->name,
				command->arguments);
		else
			err_set(err, ERR_USAGE, "mlctl %s: \"%s\" is a word too many", command->name, out->args[command->arguments_max]);
		return err_fix(err, "mlctl %s --help", command->name);
	}
	return 0;
}

void opt_print(const struct opt *opts, FILE *out) {
	for (const struct opt *o = opts; o && o->name; o++) {
		char left[80];
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
			o->letter ? ", " : "  ", o->name,
			o->is_optional	? "[="
			: o->value_name ? " "
					: "",
			o->value_name ? o->value_name : "", o->is_optional ? "]" : "");
		size_t columns = out_columns(left);
		fprintf(out, "  %s%*s %s\n", left, columns < 32 ? (int) (32 - columns) : 0, "", o->help);
	}
}
