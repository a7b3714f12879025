/* What a reader needs to grow a tree: only json_read.c, value_yaml.c, value.c and tmpl.c include this. */
#pragma once

#include "data/value.h"

/* Deeper than any reader's limit: whatever walks a tree keeps its way back in an array of this size. */
#define VALUE_DEPTH_MAX 256

/* A node of the document that hangs nowhere yet; NULL when there is no memory. */
struct value *value_new(struct document *document, enum value_kind kind);
void value_append(struct value *parent, struct value *child);
/* The first member whose key another one before it has, and that other one; NULL when all differ. At most n log n comparisons. */
const struct value *value_duplicate(const struct value *object, const struct value **first);
/* The members sorted by the bytes of their keys (equal keys in the order of the text); owned by the caller, NULL when there are none. */
const struct value **value_sorted(const struct value *object);
