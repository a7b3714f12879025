/* Replays a corpus through a fuzz target where there is no libFuzzer: the files named, else tests/fuzz/corpus/<target's name>. TAP out. */
#include "os/fs.h"

#include <dirent.h>
#include <stdio.h>

#define INPUT_BYTES_MAX ((size_t) 64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int replay(const char *path, int number) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, INPUT_BYTES_MAX, &text, &len, &err) != 0) {
		printf("not ok %d - %s\n", number, err.message);
		return 1;
	}
	/* A copy of exactly this size, so that a read beyond its end is seen. */
	AUTO_FREE uint8_t *exact = mem_copy(text, len);
	LLVMFuzzerTestOneInput(exact, len);
	printf("ok %d - %s\n", number, path);
	return 0;
}

int main(int argc, char **argv) {
	int failed = 0, number = 0;
	for (int i = 1; i < argc; i++)
		failed += replay(argv[i], ++number);
	if (argc > 1)
		return failed != 0;
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	AUTO_FREE char *folder = mem_format("tests/fuzz/corpus/%s", strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		AUTO_FREE char *path = fs_join(folder, entry->d_name);
		if (entry->d_name[0] != '.')
			failed += replay(path, ++number);
	}
	if (dir)
		closedir(dir);
	if (number == 0)
		printf("not ok 1 - %s holds no input\n", folder);
	printf("1..%d\n", number ? number : 1);
	return failed != 0 || number == 0;
}
