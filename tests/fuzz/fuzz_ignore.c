/* .mlctlignore: the first line is a path, the rest the file. Any pattern ends, whatever it says. */
#include "build/ignore.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct str text, path = str_cut((struct str){(const char *) data, size}, '\n', &text);
	if (path.len > 256 || memchr(path.ptr ? path.ptr : "", '\0', path.len))
		return 0;
	AUTO_FREE char *name = path.len ? str_dup(path) : mem_text("x");
	AUTO_IGNORE struct ignore *ignore = NULL;
	struct err err = {0};
	if (ignore_read(text.ptr ? text : STR(""), &ignore, &err) == 0)
		best_effort(ignore_is_out(ignore, name, (size & 1) != 0)); /* only a crash or a hang is a finding */
	return 0;
}
