/* argv, against a table with an option of every kind: the words are what is between the newlines. What is taken is within what the table
 * allows; what is refused is told. */
#include "command.h"

#include <assert.h>

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct taken {
	bool is_flag;
	const char *text, *choice;
	int64_t number, duration_ms;
};
static const char *const choices[] = {"low", "high", NULL};
static const struct opt options[] = {
	OPT_FLAG('f', "flag", struct taken, is_flag, "a flag"),
	OPT_TEXT('t', "text", struct taken, text, "TEXT", "a text"),
	OPT_CHOICE(0, "traffic", struct taken, choice, choices, "low|high", "one of two"),
	OPT_INT('n', "number", struct taken, number, -3, 1000, "N", "a number"),
	OPT_DURATION(0, "lock-wait", struct taken, duration_ms, "15m", "a duration"),
	{0},
};
static const struct command command = {.name = "fuzz", .arguments = "[A] [B]", .arguments_max = 2, .opts = options, .opts_size = sizeof(struct taken)};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct err err = {0};
	struct taken taken = {0};
	const char *args[WORDS_MAX + 1] = {0};
	char *argv[WORDS_MAX + 1] = {0};
	int argc = 0;
	AUTO_FREE char *words = str_dup((struct str) {(const char *) data, size});
	for (char *word = words; word && argc < WORDS_MAX;) {
		char *end = strchr(word, '\n');
		argv[argc++] = word;
		if (end)
			*end++ = '\0';
		word = end;
	}
	struct cli cli = {.folder = "."};
	struct parsed parsed = {.opts = &taken, .args = args};
	if (opt_parse(&command, &cli, argv, argc, &parsed, &err) != 0) {
		assert(err.code == ERR_USAGE && err.message[0]);
		return 0;
	}
	assert(parsed.count >= 0 && parsed.count <= argc);
	if (parsed.is_help)
		return 0;
	assert(parsed.count <= command.arguments_max && taken.number >= -3 && taken.number <= 1000 && taken.duration_ms >= 0);
	assert(!taken.choice || strcmp(taken.choice, "low") == 0 || strcmp(taken.choice, "high") == 0);
	assert(!cli.events || strcmp(cli.events, "json") == 0);
	return 0;
}
