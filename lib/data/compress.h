/* gzip (RFC 1952). Unpacked as a stream: bytes in as they come, bytes out by callback, with a cap on how much comes out. Several members
 * one after the other are one stream, as gzip itself reads them. The only user of zlib. */
#pragma once

#include "base/str.h"

/* What may come out: at most bytes_max, and never more than ratio_max times what went in, beyond a slack of 1 MiB. */
struct gunzip_limits {
	int64_t bytes_max;
	int64_t ratio_max; /* 0: any */
};
typedef int (*gunzip_write_fn)(void *self, const void *bytes, size_t len, struct err *err);

struct gunzip;
/* name, for messages: "layer sha256:..." */
struct gunzip *gunzip_new(const char *name, struct gunzip_limits limits, gunzip_write_fn write, void *self);
void gunzip_free(struct gunzip *gunzip);
CLEANUP_POINTER(gunzip, struct gunzip *, gunzip_free)
#define AUTO_GUNZIP __attribute__((cleanup(gunzip_at_exit)))
/* ERR_INVALID: no gzip, or broken; ERR_LIMIT; or what write said. After a failure it is only good for free. */
int gunzip_feed(struct gunzip *gunzip, const void *bytes, size_t len, struct err *err);
/* No byte will follow: ERR_INVALID when the stream has not ended. */
int gunzip_finish(struct gunzip *gunzip, struct err *err);

/* The same way out: all of `text` as one gzip member without name or time, so that equal texts give equal bytes. *out is the caller's. */
int gzip_of(struct str text, char **out, size_t *len, struct err *err);
