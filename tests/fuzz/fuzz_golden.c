/* Golden examples and the answers they are compared with: the text before the first NUL byte is the file, the rest the answer. */
#include "release/golden.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	AUTO_FREE char *text = mem_text_n((const char *) bytes, len);
	size_t used = strlen(text);
	struct str answer = used < len ? (struct str){text + used + 1, len - used - 1} : STR("{\"predictions\":[]}");
	struct golden *golden = NULL;
	struct err err = {0};
	if (golden_read(text, &golden, &err) != 0) {
		assert(err.code != ERR_NONE);
		return 0;
	}
	for (size_t i = 0; i < golden->count; i++) {
		err_clear(&err);
		assert((golden_compare(&golden->examples[i], answer, &err) == 0) == (err.code == ERR_NONE));
	}
	golden_free(golden);
	return 0;
}
