/* ONNX files as the build scans them: no crash, and no location that leads out of the model's folder. */
#include "build/external.h"
#include "data/tar.h"
#include "os/fs.h"

#include <assert.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	AUTO_CLOSE int fd = memfd_create("model", MFD_CLOEXEC);
	struct err err = {0};
	if (fd < 0 || fs_write_all(fd, data, size, "model", &err) != 0)
		return 0;
	AUTO_FREE char *path = mem_format("/proc/self/fd/%d", fd);
	AUTO_TEXTS struct texts found = {0};
	if (external_list(path, "model", &found, &err) != 0)
		assert(err.code != ERR_NONE);
	for (size_t i = 0; i < found.count; i++)
		assert(tar_name_is_beneath(found.items[i]));
	return 0;
}
