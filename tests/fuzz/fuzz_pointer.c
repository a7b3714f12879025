/* git-LFS pointers: what parses has a whole oid and a size. */
#include "vcs/pointer.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct lfs_pointer pointer;
	if (pointer_parse_lfs((struct str){(const char *) data, size}, &pointer))
		assert(strlen(pointer.oid) == 64 && pointer.size >= 0);
	return 0;
}
