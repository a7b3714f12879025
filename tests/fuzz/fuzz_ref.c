/* Image references: what is accepted is written back as it was read, and read again as the same. */
#include "oci/ref.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct err err = {0};
	struct ref ref = {0}, again = {0};
	if (ref_parse((struct str){(const char *) data, size}, &ref, &err) != 0) {
		assert(err.code != ERR_NONE && err.message[0] && ref.host[0] == '\0');
		return 0;
	}
	AUTO_BUF struct buf text = BUF((size_t) 2 * REF_BYTES_MAX);
	ref_write(&ref, &text);
	assert(!text.failed);
	if (text.len <= REF_BYTES_MAX) {
		assert(ref_parse(buf_view(&text), &again, &err) == 0);
		assert(strcmp(ref.host, again.host) == 0 && strcmp(ref.repository, again.repository) == 0 &&
			strcmp(ref.tag, again.tag) == 0);
	}
	return 0;
}
