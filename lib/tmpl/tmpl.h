/* Structure-aware templates: a YAML tree in, a tree out. A template is itself valid YAML; values go into the parsed tree, typed, so that no value can change
 * the structure: parse(render(v)) holds exactly v. Conditionals and loops are nodes. What is wrong in a template is told with the template's
 * file:line:column, and with the place in mlctl.yaml where the value came from when it has one.
 *
 * The nodes (a mapping with one of these keys is an instruction, anything else is copied):
 *   {$: a.b.c}                       the value at that path, with its type
 *   "text with ${a.b} inside"        a string scalar: each ${path} is replaced by the scalar's text; $${ is a literal ${
 *   {$if: path, $then: X, $else: Y}  X when the path is there and neither false, null, 0, "" nor empty; else Y, or nothing at all (the key, or the item
 *                                    of a list, is left out)
 *   {$each: path, $as: item, $do: X} a list of X, one per item (of a list) or member (of a mapping: item.key, item.value)
 *   {$merge: [X, Y, ...]}            mappings merged, later ones win (RFC 7386)
 *   {$text: X}                       the scalar X as a string (a port in an annotation)
 * Paths find `$as` names first, then the root. A path that is not there is an error, unless it is asked by $if or followed by "?" (then: nothing). */
#pragma once

#include "data/value.h"

#define TMPL_DEPTH_MAX 32
#define TMPL_NODES_MAX 100000

struct tmpl_origin { /* where a rendered value came from, for `render --explain` */
	const char *path;      /* in the output: "spec.replicas", lent from the output's document */
	const char *from;      /* the path of the value in the input: "scale.min"; NULL: a constant of the template */
	struct place place;    /* of the node in the template */
};
struct tmpl_origins {
	struct tmpl_origin *items; /* owned by the output's document */
	size_t count;
};

/* `name`: the template's file for messages. Several YAML documents in one file are not read: one file, one object. The result is a node of `into` (not
 * its root); *out NULL when the whole template is a {$if} that did not hold. `origins` may be NULL. ERR_INVALID. */
int tmpl_render(const char *name, struct str text, const struct value *input, struct document *into, struct value **out, struct tmpl_origins *origins,
	struct err *err);
