/* Structure-aware templates: a YAML tree in, a tree out. A template is itself valid YAML; values go into the parsed tree, typed, so that no value can
 * change the structure: parse(render(v)) holds exactly v. Conditionals and loops are nodes. What is wrong in a template is told with the template's
 * file:line:column, and with the place in mlctl.yaml where the value came from when it has one.
 *
 * The nodes (a mapping with one of these keys is an instruction, anything else is copied):
 *   {$: a.b.c}                       the value at that path, with its type
 *   "text with ${a.b} inside"        a string scalar: each ${path} is replaced by the scalar's text; $${ is a literal ${
 *   {$if: path, $then: X, $else: Y}  X when the path is there and neither false, null, 0, "" nor empty; else Y, or nothing at all (the key, or the item
 *                                    of a list, is left out)
 *   {$each: path, $as: item, $do: X} a list of X, one per item (of a list) or member (of a mapping: item.key, item.value); as an item of a list its
 *                                    items become items of that list
 *   {$merge: [X, Y, ...]}            mappings merged, later ones win (RFC 7386); one that is null or nothing is passed over, and without any it is nothing
 *   {$text: X}                       the scalar X as a string (a port in an annotation)
 *   {$include: "file ${kind}.yaml"}  what another template renders to, with the same names; nothing when that is empty
 * Paths find `$as` names first, then the root. A path that is not there is an error, unless it is asked by $if or $each or followed by "?" (then:
 * nothing, and in a text no characters). Keys are never replaced. */
#pragma once

#include "data/value.h"

#define TMPL_DEPTH_MAX 32
#define TMPL_NODES_MAX 100000
#define TMPL_STEPS_MAX 1000000 /* loops that leave nothing behind end too */
#define TMPL_INCLUDES_MAX 4096
#define TMPL_BYTES_MAX ((size_t) 64 * 1024 * 1024) /* of memory for one template: few values can hold long texts */

struct tmpl_origin { /* where a rendered value came from, for `render --explain` */
	const struct value *node; /* in the output */
	const char *path;      /* of it: `spec.ports[0].port`, `metadata.labels["app.kubernetes.io/name"]` */
	const char *file;      /* the template; "" for a value that none holds */
	struct place place;    /* of the node in the template */
	const char *from;      /* the path of the value in the input: "scale.min"; NULL: a constant of the template */
	struct place from_place; /* of that value, as the input's tree has it; line 0: it has none */
};
struct tmpl_origins {
	struct tmpl_origin *items; /* one per scalar or empty node; the array is owned by the caller, the texts by the output's document */
	size_t count, room;
};
void tmpl_origins_add(struct tmpl_origins *origins, const struct tmpl_origin *origin);
void tmpl_origins_clear(struct tmpl_origins *origins);

/* What was parsed before, for whoever renders the same texts again: found by where a text lies, so the texts must stay. */
struct tmpl_parsed {
	struct {
		struct str text;
		struct document *document;
	} *items;
	size_t count, room;
};
void tmpl_parsed_clear(struct tmpl_parsed *parsed);

/* Appends the rendered tree to `list`, an array of `document`; *out (may be NULL) is that node, or NULL when the whole template is an {$if} that did not
 * hold, or empty. `name`: the template's file for messages; `input_name`: the file that places of `input` are lines of. Several YAML documents
 * in one file are not read: one file, one object. `origins` may be NULL; it is appended to. Without origins, a node's place is that in the template.
 * ERR_INVALID. */
struct tmpl_source {
	const char *name;
	struct str text;
	const struct value *input;
	const char *input_name;
	/* The text of a template that $include names, and what it is called in messages, both lent until tmpl_render() is done. false: there is none. NULL:
	 * nothing can be included. */
	bool (*find)(void *self, const char *name, struct str *text, const char **shown);
	void *self;
	struct tmpl_parsed *parsed; /* NULL: nothing is kept for a next time */
};
int tmpl_render(const struct tmpl_source *source, struct document *document, struct value *list, const struct value **out, struct tmpl_origins *origins,
	struct err *err);

/* The instructions, for people. */
void tmpl_reference(struct buf *out);
