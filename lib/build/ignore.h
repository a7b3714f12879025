/* What never enters a layer: a built-in list (secrets, and what is no part of a model), then the project's .mlctlignore, with the
 * patterns of .gitignore: the last one that matches decides, "!" takes back, a folder that is out is not entered. */
#pragma once

#include "base/str.h"

#define IGNORE_FILE ".mlctlignore"
#define IGNORE_BYTES_MAX ((size_t) 64 * 1024)
#define IGNORE_PATTERNS_MAX 1000

struct ignore;
/* Reads folder/.mlctlignore; without one only the built-in list counts. */
int ignore_load(const char *folder, struct ignore **out, struct err *err);
int ignore_read(struct str text, struct ignore **out, struct err *err);
void ignore_free(struct ignore *ignore);
CLEANUP_POINTER(ignore, struct ignore *, ignore_free)
#define AUTO_IGNORE __attribute__((cleanup(ignore_at_exit)))

/* path: relative to the project's folder, "a/b", as one step of a walk that asked for "a" before. */
bool ignore_is_out(const struct ignore *ignore, const char *path, bool is_folder);
/* Is any part of the path a name that holds secrets (".env", "id_rsa", ".aws/...")? For what a symlink leads to. */
bool ignore_is_secret(const char *path);
/* One pattern without "!", leading and trailing "/" against one path: "*", "?", "[a-z]", "[!a]" stay within a part, "**" does not. */
bool ignore_match(struct str pattern, struct str path, bool is_nocase);
