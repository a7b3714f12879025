#include "target/tail.h"

#include <fcntl.h>

#define TAIL_BYTES ((int64_t) 256 * 1024)

int tail_read(const char *path, int64_t *offset, char **text, size_t *len, struct err *err) {
	AUTO_CLOSE int fd = -1;
	struct stat info;
	if (fs_open(path, O_RDONLY, 0, &fd, err) != 0)
		return -1;
	if (fstat(fd, &info) != 0)
		return err_sys(err, "%s", path);
	int64_t from = *offset >= 0 && *offset <= info.st_size ? *offset : info.st_size > TAIL_BYTES ? info.st_size - TAIL_BYTES : 0;
	size_t want = (size_t) (info.st_size - from > TAIL_BYTES ? TAIL_BYTES : info.st_size - from);
	AUTO_FREE char *bytes = mem_zero(want + 1, 1);
	if (fs_pread(fd, bytes, want, from, len, path, err) != 0)
		return -1;
	*offset = from + (int64_t) *len;
	*text = take(&bytes);
	return 0;
}

void tail_lines(struct str text, const char *prefix, int lines, struct texts *out) {
	while (text.len && text.ptr[text.len - 1] == '\n')
		text.len--;
	struct str tail = text;
	int count = 0;
	for (size_t i = text.len; lines > 0 && i > 0; i--)
		if (text.ptr[i - 1] == '\n' && ++count == lines) {
			tail = (struct str) {text.ptr + i, text.len - i};
			break;
		}
	for (struct str rest = tail; rest.ptr && tail.len;) {
		struct str line = str_cut(rest, '\n', &rest);
		AUTO_FREE char *shown = mem_format("%s%.*s", prefix, STR_ARGS(line));
		texts_add(out, shown);
	}
}
