/* What a person or a machine sees. stdout is the answer, stderr is progress, warnings and the one error; everything passes the redactor, and
 * raw control bytes from outside never reach a terminal. */
#pragma once

#include "command.h"

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED };

/* One line of the answer on stdout (nothing with --json). */
void out_line(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The coloured spelling of a word for stdout or stderr; plain where colours are off. Buffers of 96 bytes. */
const char *out_colour(bool is_coloured, enum colour colour, const char *word, char out[96]);
/* "  name   text" of the answer: the sessions of the README are made of these. */
void out_fact(struct cli *cli, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One {"object", "change", "path", "from", "to"} of a plan or a diff, as a fact. */
void out_change(struct cli *cli, const char *name, const struct value *change);
/* Progress: a line on stderr, or a JSON event with --events json. Nothing with --quiet. */
void out_step(struct cli *cli, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A line that is written over by the next one; only on a terminal. */
/* How wide a text is on a terminal: its characters. */
size_t out_columns(const char *text);
void out_progress(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_warn(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An event object for --events json; does nothing otherwise. The document's root is the object, without "schema". */
void out_event(struct cli *cli, struct document *document);
/* The one JSON document of --json: "schema" is put first. Commands build the rest under the root. */
struct document *out_document(struct cli *cli);
int out_json(struct cli *cli, struct document *document, struct err *err);
/* The same text for a file; owned by the caller. */
int out_text(struct cli *cli, struct document *document, char **out, struct err *err);
/* The error, once: people's on stderr (an event with --events json), mlctl.error/1 on stdout with --json. */
void out_error(struct cli *cli, const struct err *err, int exit_code);
