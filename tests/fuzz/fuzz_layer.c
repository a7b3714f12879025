/* Layers from outside, gzip or plain, extracted: whatever is in them, nothing appears outside the root. */
#include "data/compress.h"
#include "oci/extract.h"
#include "os/fs.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int feed(void *self, const void *bytes, size_t len, struct err *err) {
	return extract_feed(self, bytes, len, err);
}

static int count(const char *path) {
	int n = 0;
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
	struct err err = {0}, scratch = {0};
	AUTO_FREE char *folder = mem_format("/tmp/mlctl-fuzz-layer.%ld", (long) getpid());
	AUTO_FREE char *root_path = mem_format("%s/root", folder);
	AUTO_CLOSE int root = -1;
	if (fs_make_dirs(root_path, 0700, &err) != 0 || fs_open(root_path, O_RDONLY | O_DIRECTORY, 0, &root, &err) != 0)
		abort();
	struct tar_limits limits = {.entries_max = 100, .bytes_max = 1 << 20};
	AUTO_EXTRACT struct extract *extract = extract_new(root, "layer", limits);
	AUTO_GUNZIP struct gunzip *gunzip =
		gunzip_new("layer", (struct gunzip_limits){.bytes_max = 1 << 20, .ratio_max = 200}, feed, extract);
	bool is_packed = size > 1 && data[0] == 0x1f && data[1] == 0x8b;
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < size; at += 700) {
		size_t len = size - at < 700 ? size - at : 700;
		rc = is_packed ? gunzip_feed(gunzip, data + at, len, &err) : extract_feed(extract, data + at, len, &err);
	}
	if (rc == 0 && is_packed)
		rc = gunzip_finish(gunzip, &err);
	if (rc == 0)
		rc = extract_finish(extract, &err);
	assert((rc != 0) == (err.code != ERR_NONE));
	assert(count(folder) == 3); /* ".", ".." and the root */
	if (fs_remove_tree(folder, &scratch) != 0)
		abort();
	return 0;
}
