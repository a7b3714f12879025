/* Regular expressions for com.microsoft::Tokenizer: compiled once at load, searched in time linear in the text (all states at once, no
 * backtracking), the longest of the leftmost matches, as ONNX Runtime's RE2 is told to do.
 *
 * Knows: literals, . [a-z] [^a-z] \d \w \s \D \W \S \b \B \n \t \r \xHH and escaped punctuation, ( ) (?: ) | * + ? {m,n} ^ $, all over
 * UTF-8. Anything else (look-around, back references, \p{...}, flags) is refused when compiled. */
#pragma once

#include "base/str.h"

#define PATTERN_BYTES_MAX 1024
#define PATTERN_STATES_MAX 4096
#define PATTERN_RANGES_MAX 4096
#define PATTERN_DEPTH_MAX 32

struct pattern;
/* Memory from the arena; ERR_INVALID says what is not known and where. */
int pattern_compile(struct str text, struct arena *memory, const struct pattern **out, struct err *err);
size_t pattern_scratch_bytes(const struct pattern *pattern);
/* The leftmost longest match at or after `from`: its start and length, or false. `scratch` has pattern_scratch_bytes(), aligned to 16. */
bool pattern_find(const struct pattern *pattern, struct str text, size_t from, size_t *start, size_t *len, void *scratch);
