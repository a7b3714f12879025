/* tar: headers whose bytes depend on the entry alone, and a streaming reader of archives from outside.
 *
 * Written is POSIX.1-2001 (USTAR, with PAX records where a name or a size does not fit): owner 0:0, no names of users, nothing of the
 * machine. The reader is fed bytes as they come and calls back; it holds one header and one record at a time. It understands USTAR,
 * PAX and GNU's long names; sparse files are refused. Names are given as written: whoever extracts asks tar_name_is_beneath(). */
#pragma once

#include "base/str.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 4096
#define TAR_END_BYTES (2 * TAR_BLOCK)		   /* two blocks of zeroes close an archive */
#define TAR_RECORDS_MAX ((size_t) 64 * 1024)	   /* one PAX header's records, or one GNU long name */
#define TAR_HEADER_MAX ((size_t) 4 * TAR_NAME_MAX) /* what tar_header() appends at most */

enum tar_type { TAR_FILE, TAR_FOLDER, TAR_SYMLINK, TAR_HARDLINK, TAR_OTHER /* a device, a pipe, a vendor's own */ };

struct tar_entry {
	const char *name; /* "model/model.onnx"; folders end in "/" when written */
	const char *link; /* where a link points; NULL or empty otherwise */
	enum tar_type type;
	unsigned int mode; /* 0..07777 */
	int64_t size;	   /* of a file; 0 for everything else */
	int64_t mtime_s;   /* 0..8^11-1 when written */
};

/* Appends the header blocks of an entry: 512 bytes, or 1536 and more with PAX records. ERR_LIMIT: a name over TAR_NAME_MAX, or empty. */
int tar_header(const struct tar_entry *entry, struct buf *out, struct err *err);
/* The zero bytes that follow `size` bytes of content. */
static inline int64_t tar_padding(int64_t size) {
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}
/* Relative, no "..", no empty name, no NUL inside by construction. "./a" and "a//b" are fine. */
bool tar_name_is_beneath(const char *name);

struct tar_limits {
	int64_t entries_max;
	int64_t bytes_max; /* of content, all files together */
};
/* The entry and its texts are lent for the call. A file's content follows in pieces, then end(); a failure stops the reader. */
struct tar_sink {
	int (*entry)(void *self, const struct tar_entry *entry, struct err *err);
	int (*data)(void *self, const void *bytes, size_t len, struct err *err);
	int (*end)(void *self, struct err *err); /* NULL: not interested */
	void *self;
};

struct tar_reader;
struct tar_reader *tar_reader_new(const char *name, const struct tar_limits *limits, const struct tar_sink *sink);
void tar_reader_free(struct tar_reader *reader);
CLEANUP_POINTER(tar_reader, struct tar_reader *, tar_reader_free)
#define AUTO_TAR_READER __attribute__((cleanup(tar_reader_at_exit)))
/* ERR_INVALID: no tar archive, or a broken one; ERR_LIMIT; or what the sink said. After a failure the reader is only good for free. */
int tar_reader_feed(struct tar_reader *reader, const void *bytes, size_t len, struct err *err);
/* No byte will follow: ERR_INVALID when the archive ends inside an entry. An end without the two zero blocks is accepted, as tar does. */
int tar_reader_finish(struct tar_reader *reader, struct err *err);
