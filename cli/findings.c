#include "findings.h"

#include "out.h"

static struct str text_of(const struct value *finding, const char *key) {
	const struct value *found = value_get(finding, key);
	return found && found->kind == VALUE_STRING ? found->text : (struct str) {"", 0};
}

size_t findings_count(const struct value *findings, const char *state) {
	size_t count = 0;
	value_each(finding, findings)
		count += str_is(text_of(finding, "state"), state);
	return count;
}

/* A fix of several lines stands below its finding, indented. */
static void show_fix(struct cli *cli, struct str fix) {
	bool is_first = true;
	while (fix.len) {
		struct str line = str_cut(fix, '\n', &fix);
		out_line(cli, "  %s%.*s", is_first ? "fix: " : "     ", STR_ARGS(line));
		is_first = false;
	}
}

void findings_show(struct cli *cli, const struct value *findings) {
	static const struct {
		const char *state, *mark;
		enum colour colour;
	} marks[] = {{"ok", "ok", COLOUR_GREEN}, {"warning", "warn", COLOUR_YELLOW}, {"bad", "BAD", COLOUR_RED}, {"unknown", "?", COLOUR_YELLOW}};
	value_each(finding, findings) {
		char word[96] = "";
		struct str state = text_of(finding, "state");
		size_t width = 0;
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
			if (str_is(state, marks[i].state)) {
				out_colour(cli->is_out_coloured, marks[i].colour, marks[i].mark, word);
				width = strlen(marks[i].mark);
			}
		out_line(cli, "%s%*s  %-18.*s %.*s", word, (int) (4 - width), "", STR_ARGS(text_of(finding, "check")), STR_ARGS(text_of(finding, "text")));
		show_fix(cli, text_of(finding, "fix"));
	}
}
