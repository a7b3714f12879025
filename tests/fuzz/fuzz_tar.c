/* Archives from outside: the reader must neither crash nor hand out more bytes than it announced. */
#include "data/tar.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	int64_t announced, got;
};

static int entry(void *self, const struct tar_entry *entry, struct err *err) {
	struct seen *seen = self;
	(void) err;
	assert(entry->name[0] && entry->size >= 0 && (entry->type == TAR_FILE || entry->size == 0));
	*seen = (struct seen){entry->size, 0};
	return 0;
}

static int data(void *self, const void *bytes, size_t len, struct err *err) {
	struct seen *seen = self;
	(void) bytes, (void) err;
	seen->got += (int64_t) len;
	assert(len > 0 && seen->got <= seen->announced);
	return 0;
}

static int end(void *self, struct err *err) {
	struct seen *seen = self;
	(void) err;
	assert(seen->got == seen->announced);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
	struct seen seen = {0};
	struct tar_sink sink = {entry, data, end, &seen};
	struct tar_limits limits = {1000, 1 << 24};
	AUTO_TAR_READER struct tar_reader *reader = tar_reader_new("fuzz.tar", &limits, &sink);
	struct err err = {0};
	size_t first = size / 3;
	if (tar_reader_feed(reader, bytes, first, &err) == 0 && tar_reader_feed(reader, bytes + first, size - first, &err) == 0)
		best_effort(tar_reader_finish(reader, &err)); /* only a crash is a finding */
	return 0;
}
