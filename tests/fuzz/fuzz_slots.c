/* The two slots of a head: one of them damaged anywhere, by a torn write or a bad block, still gives a text that was once whole; the next
 * write is read back. The first bytes say which texts, which slot and where; the rest is what stands there then. */
#include "target/slots.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOT_BYTES 16384 /* of the file's form */
#define TEXT_MAX 8192

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static char folder[] = "/tmp/mlctl-slots-XXXXXX";
static char path[64], lock[80];

static void leave(void) {
	unlink(path);
	unlink(lock);
	rmdir(folder);
}

static void put(unsigned char fill, size_t len, char version[64]) {
	static char text[TEXT_MAX];
	char next[64] = "";
	struct err err = {0};
	memset(text, fill, len);
	assert(slots_put(path, text, len, version, next, &err) == 0);
	memcpy(version, next, sizeof(next));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	static char text[TEXT_MAX];
	char version[64] = "", seen[64] = "";
	size_t len = 0;
	struct err err = {0};
	if (size < 6)
		return 0;
	if (!path[0]) {
		assert(mkdtemp(folder));
		snprintf(path, sizeof(path), "%s/head", folder);
		snprintf(lock, sizeof(lock), "%s.lock", path);
		atexit(leave);
		put('a', 1, version);
		assert(slots_get("/dev/null/head", text, sizeof(text), &len, seen, &err) == -1 && err.code == ERR_FAILED);
		err_clear(&err);
		version[0] = '\0';
	}
	unlink(path);
	int writes = 2 + data[0] % 3;
	for (int i = 0; i < writes; i++)
		put((unsigned char) ('a' + i), (size_t) data[1] * 32, version);
	off_t at = (data[2] & 1) * SLOT_BYTES + ((data[3] << 8) | data[4]) % SLOT_BYTES;
	size_t room = (size_t) (SLOT_BYTES - at % SLOT_BYTES), bytes = size - 5 < room ? size - 5 : room;
	FILE *file = fopen(path, "r+e");
	assert(file && fseeko(file, at, SEEK_SET) == 0 && fwrite(data + 5, 1, bytes, file) == bytes && fclose(file) == 0);
	assert(slots_get(path, text, sizeof(text), &len, seen, &err) == 0);
	assert(len == (size_t) data[1] * 32 && seen[0]);
	for (size_t i = 0; i < len; i++)
		assert(text[i] == 'a' + writes - 1 || text[i] == 'a' + writes - 2);
	put('z', 100, seen);
	assert(slots_get(path, text, sizeof(text), &len, version, &err) == 0 && len == 100 && text[0] == 'z' && strcmp(version, seen) == 0);
	return 0;
}
