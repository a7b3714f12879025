#include "out.h"

#include <stdarg.h>
#include <sys/ioctl.h>

#define LINE_BYTES_MAX ((size_t) 1024 * 1024)

static const char *const colour_codes[] = {"0", "1", "2", "32", "33", "31"};

/* The colours that out_colour() put into a line, and no other escape: a log line or a server's message may hold worse. */
static size_t colour_at(struct cli *cli, FILE *out, struct str text) {
	if (out == cli->err ? !cli->is_coloured : !cli->is_out_coloured)
		return 0;
	for (size_t i = 0; i < sizeof(colour_codes) / sizeof(colour_codes[0]); i++) {
		char code[8];
		snprintf(code, sizeof(code), "\033[%sm", colour_codes[i]);
		size_t len = strlen(code);
		if (text.len >= len && memcmp(text.ptr, code, len) == 0)
			return len;
	}
	return 0;
}

/* Redacted and without raw control bytes. */
static void write_clean(struct cli *cli, FILE *out, struct str text) {
	AUTO_BUF struct buf clean = BUF(LINE_BYTES_MAX);
	AUTO_BUF struct buf shown = BUF(LINE_BYTES_MAX);
	redactor_apply(cli->redact, text, &clean);
	for (size_t i = 0; i < clean.len; i++) {
		unsigned char c = (unsigned char) clean.ptr[i];
		size_t colour = c == 0x1b ? colour_at(cli, out, (struct str){clean.ptr + i, clean.len - i}) : 0;
		if (colour) {
			buf_add(&shown, clean.ptr + i, colour);
			i += colour - 1;
		} else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
			buf_format(&shown, "\\x%02x", c);
		} else if (c == 0xc2 && i + 1 < clean.len && (unsigned char) clean.ptr[i + 1] >= 0x80 &&
			   (unsigned char) clean.ptr[i + 1] < 0xa0) {
			buf_format(&shown, "\\x%02x", (unsigned char) clean.ptr[++i]); /* C1: some terminals obey these too */
		} else {
			buf_char(&shown, (char) c);
		}
	}
	fwrite(shown.ptr ? shown.ptr : "", 1, shown.len, out);
}

/* A JSON text, whole however long it is. What a terminal could take for a command (DEL, the C1 bytes) stands only inside strings: escaped
 * there. */
static void write_json(FILE *out, struct str text) {
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char) text.ptr[i], next = i + 1 < text.len ? (unsigned char) text.ptr[i + 1] : 0;
		if (c == 0x7f)
			fputs("\\u007f", out);
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			fprintf(out, "\\u00%02x", (unsigned char) text.ptr[++i]);
		else
			fputc(c, out);
	}
	fputc('\n', out);
}

#define DOCUMENT_DEPTH_MAX 160 /* what json_read() gives, and room around it */

static struct str without_secrets(struct cli *cli, struct document *document, struct str text) {
	AUTO_BUF struct buf clean = BUF(LINE_BYTES_MAX);
	redactor_apply(cli->redact, text, &clean);
	if (clean.failed || (clean.len == text.len && (clean.len == 0 || memcmp(clean.ptr, text.ptr, clean.len) == 0)))
		return text;
	return (struct str){arena_text_n(&document->memory, clean.ptr, clean.len), clean.len};
}

/* String by string, before they are spelled: a secret with a quote in it is found, and neither a number nor a member's
 * name is ever mistaken for one. */
static void redact_document(struct cli *cli, struct document *document) {
	struct value *parents[DOCUMENT_DEPTH_MAX];
	size_t depth = 0;
	for (struct value *v = document->root; v;) {
		if (v->kind == VALUE_STRING)
			v->text = without_secrets(cli, document, v->text);
		if (v->first && depth < DOCUMENT_DEPTH_MAX) {
			parents[depth++] = v;
			v = v->first;
			continue;
		}
		while (depth && !v->next)
			v = parents[--depth];
		v = depth ? v->next : NULL;
	}
}

static void write_format(struct cli *cli, FILE *out, const char *format, va_list args) {
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return;
	AUTO_FREE char *text = mem_zero((size_t) n + 1, 1);
	vsnprintf(text, (size_t) n + 1, format, args);
	write_clean(cli, out, (struct str){text, (size_t) n});
}

/* Both streams are one story on a terminal and in a CI log: in order. */
static void erase_progress(struct cli *cli) {
	fflush(cli->out);
	if (cli->has_progress_line)
		fputs("\r\033[K", cli->err);
	cli->has_progress_line = false;
}

const char *out_colour(bool is_coloured, enum colour colour, const char *word, char out[96]) {
	if (is_coloured && colour != COLOUR_NONE)
		snprintf(out, 96, "\033[%sm%s\033[0m", colour_codes[colour], word);
	else
		snprintf(out, 96, "%s", word);
	return out;
}

void out_line(struct cli *cli, const char *format, ...) {
	if (cli->is_json)
		return;
	erase_progress(cli);
	va_list args;
	va_start(args, format);
	write_format(cli, cli->out, format, args);
	va_end(args);
	fputc('\n', cli->out);
}

#define NAME_WIDTH 10

void out_fact(struct cli *cli, const char *name, const char *format, ...) {
	if (cli->is_json)
		return;
	erase_progress(cli);
	char shown[96], padded[64];
	snprintf(padded, sizeof(padded), "%-*s", NAME_WIDTH, name);
	fprintf(cli->out, "  %s  ", out_colour(cli->is_out_coloured, COLOUR_DIM, padded, shown));
	va_list args;
	va_start(args, format);
	write_format(cli, cli->out, format, args);
	va_end(args);
	fputc('\n', cli->out);
}

void out_event(struct cli *cli, struct document *document) {
	if (!cli->events)
		return;
	struct err ignored = {0};
	AUTO_FREE char *text = NULL;
	redact_document(cli, document);
	if (json_write(document->root, JSON_COMPACT, &text, &ignored) != 0)
		return;
	write_json(cli->err, str_of(text));
	fflush(cli->err);
}

static void event_line(struct cli *cli, const char *kind, const char *name, const char *text) {
	AUTO_DOCUMENT struct document *document = document_new("event");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "event", kind);
	value_add_text(document, root, "name", name);
	value_add_text(document, root, "text", text);
	value_add_int(document, root, "elapsed_ms", clock_mono_ms(cli->clock) - cli->start_ms);
	out_event(cli, document);
}

static void step_line(struct cli *cli, const char *name, enum colour colour, const char *text) {
	erase_progress(cli);
	char shown[96], padded[64];
	snprintf(padded, sizeof(padded), "%-*s", NAME_WIDTH, name);
	fprintf(cli->err, "  %s  ", out_colour(cli->is_coloured, colour, padded, shown));
	write_clean(cli, cli->err, str_of(text));
	fputc('\n', cli->err);
	fflush(cli->err);
}

void out_step(struct cli *cli, const char *name, const char *format, ...) {
	va_list args;
	va_start(args, format);
	char text[4096];
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli->events)
		event_line(cli, "step", name, text);
	else if (!cli->is_quiet)
		step_line(cli, name, COLOUR_DIM, text);
}

size_t out_columns(const char *text) {
	size_t columns = 0;
	for (; *text; text++)
		columns += ((unsigned char) *text & 0xc0) != 0x80;
	return columns;
}

/* Bytes of the first so many characters. */
static size_t first_columns(const char *text, size_t columns) {
	size_t i = 0;
	while (text[i] && columns > 0) {
		columns--;
		for (i++; ((unsigned char) text[i] & 0xc0) == 0x80;)
			i++;
	}
	return i;
}

void out_progress(struct cli *cli, const char *format, ...) {
	if (!cli->is_terminal || cli->is_quiet || cli->events)
		return;
	erase_progress(cli);
	char text[1024];
	struct winsize size = {0};
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A line that wraps could not be erased. */
	size_t width = ioctl(fileno(cli->err), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
	write_clean(cli, cli->err, (struct str){text, first_columns(text, width - 1)});
	fflush(cli->err);
	cli->has_progress_line = true;
}

#define VALUE_SHOWN_MAX 60

/* A value in at most so many columns; one that is not there is said. */
static void add_side(struct buf *line, const struct value *v) {
	AUTO_FREE char *text = NULL;
	struct err writing = {0};
	if (!v || json_write(v, JSON_COMPACT, &text, &writing) != 0) {
		buf_text(line, "none");
		return;
	}
	struct str shown = {text, first_columns(text, VALUE_SHOWN_MAX)};
	buf_str(line, shown);
	if (text[shown.len])
		buf_text(line, "…");
}

void out_change(struct cli *cli, const char *name, const struct value *change) {
	const struct value *object = value_get(change, "object"), *path = value_get(change, "path"), *what = value_get(change, "change");
	AUTO_BUF struct buf line = BUF(LINE_BYTES_MAX);
	if (object)
		buf_format(&line, "%.*s   ", STR_ARGS(object->text));
	if (what && !str_is(what->text, "change"))
		buf_format(&line, "%.*s   ", STR_ARGS(what->text));
	if (path && path->text.len) {
		buf_format(&line, "%.*s   ", STR_ARGS(path->text));
		add_side(&line, value_get(change, "from"));
		buf_text(&line, " -> ");
		add_side(&line, value_get(change, "to"));
	}
	struct str text = str_trim(buf_view(&line));
	out_fact(cli, name, "%.*s", STR_ARGS(text));
}

void out_warn(struct cli *cli, const char *format, ...) {
	va_list args;
	va_start(args, format);
	char text[4096];
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli->events)
		event_line(cli, "warning", "warning", text);
	else
		step_line(cli, "warning", COLOUR_YELLOW, text);
}

struct document *out_document(struct cli *cli) {
	struct document *document = document_new("answer");
	struct value *root = value_root_object(document);
	char schema[64];
	snprintf(schema, sizeof(schema), "mlctl.%s/1", cli->command ? cli->command->name : "mlctl");
	value_add_text(document, root, "schema", schema);
	return document;
}

int out_text(struct cli *cli, struct document *document, char **out, struct err *err) {
	redact_document(cli, document);
	return json_write(document->root, JSON_PRETTY, out, err);
}

int out_json(struct cli *cli, struct document *document, struct err *err) {
	AUTO_FREE char *text = NULL;
	if (out_text(cli, document, &text, err) != 0)
		return -1;
	erase_progress(cli);
	write_json(cli->out, str_of(text));
	return fflush(cli->out) == 0 ? 0 : err_sys(err, "writing the answer");
}

static void json_error(struct cli *cli, const struct err *err, int exit_code, bool is_event) {
	AUTO_DOCUMENT struct document *document = document_new("error");
	struct value *root = value_root_object(document);
	value_add_text(document, root, is_event ? "event" : "schema", is_event ? "error" : "mlctl.error/1");
	value_add_int(document, root, "code", exit_code);
	value_add_text(document, root, "kind", err_kind(err->code));
	value_add_text(document, root, "message", err->message);
	value_add_text(document, root, "fix", err->fix[0] ? err->fix : NULL);
	value_add_text(document, root, "at", err->at[0] ? err->at : NULL);
	struct err scratch = {0};
	if (is_event)
		out_event(cli, document);
	else
		best_effort(out_json(cli, document, &scratch)); /* there is nowhere left to say it */
}

void out_error(struct cli *cli, const struct err *err, int exit_code) {
	erase_progress(cli);
	if (cli->is_json)
		json_error(cli, err, exit_code, false);
	if (cli->events) {
		json_error(cli, err, exit_code, true);
		return;
	}
	char shown[96];
	fprintf(cli->err, "%s ", out_colour(cli->is_coloured, COLOUR_RED, "mlctl:", shown));
	if (err->at[0]) {
		write_clean(cli, cli->err, str_of(err->at));
		fputs(": ", cli->err);
	}
	write_clean(cli, cli->err, str_of(err->message));
	fputc('\n', cli->err);
	if (err->fix[0]) {
		fprintf(cli->err, "  %s ", out_colour(cli->is_coloured, COLOUR_GREEN, "fix:", shown));
		write_clean(cli, cli->err, str_of(err->fix));
		fputc('\n', cli->err);
	}
	fflush(cli->err);
}
