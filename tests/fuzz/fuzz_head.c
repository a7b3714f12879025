/* The head as it comes from a target: whatever is accepted is written within its limit and reads back the same. */
#include "release/head.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct head head, again;
	struct err err = {0};
	char text[TARGET_HEAD_BYTES_MAX], second[TARGET_HEAD_BYTES_MAX];
	size_t text_len, second_len;
	if (head_parse((const char *) bytes, len, &head, &err) != 0) {
		assert(err.code != ERR_NONE && err.message[0]);
		return 0;
	}
	if (head_write(&head, text, &text_len, &err) != 0)
		return 0; /* control characters grow sixfold when written */
	assert(text_len <= TARGET_HEAD_BYTES_MAX);
	if (!head.exists)
		return 0;
	assert(head_parse(text, text_len, &again, &err) == 0);
	assert(head_write(&again, second, &second_len, &err) == 0);
	assert(second_len == text_len && memcmp(text, second, text_len) == 0);
	return 0;
}
