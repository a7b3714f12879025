#include "data/compress.h"

#include <zlib.h>

#define OUT_BYTES ((size_t) 128 * 1024)
#define SLACK_BYTES ((int64_t) 1024 * 1024)
#define FEED_BYTES_MAX ((size_t) 1024 * 1024 * 1024) /* zlib counts in unsigned int */
#define GZIP_ONLY (16 + MAX_WBITS)

struct gunzip {
	z_stream stream;
	char *name;
	struct gunzip_limits limits;
	gunzip_write_fn write;
	void *self;
	int64_t in_bytes, out_bytes;
	bool is_between; /* a member has ended and no byte of another has come */
	unsigned char out[OUT_BYTES];
};

struct gunzip *gunzip_new(const char *name, struct gunzip_limits limits, gunzip_write_fn write, void *self) {
	struct gunzip *gunzip = NEW(struct gunzip);
	gunzip->name = mem_text(name);
	gunzip->limits = limits;
	gunzip->write = write;
	gunzip->self = self;
	if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK)
		abort(); /* it fails for want of memory only */
	return gunzip;
}

void gunzip_free(struct gunzip *gunzip) {
	if (!gunzip)
		return;
	inflateEnd(&gunzip->stream);
	free(gunzip->name);
	free(gunzip);
}

static int hand_on(struct gunzip *gunzip, size_t len, struct err *err) {
	gunzip->out_bytes += (int64_t) len;
	if (gunzip->out_bytes > gunzip->limits.bytes_max)
		return err_set(err, ERR_LIMIT, "%s: unpacks to more than %lld bytes", gunzip->name, (long long) gunzip->limits.bytes_max);
	if (gunzip->limits.ratio_max && gunzip->out_bytes > SLACK_BYTES + gunzip->in_bytes * gunzip->limits.ratio_max)
		return err_set(
			err, ERR_LIMIT, "%s: unpacks to more than %lld times its size", gunzip->name, (long long) gunzip->limits.ratio_max);
	return len ? gunzip->write(gunzip->self, gunzip->out, len, err) : 0;
}

int gunzip_feed(struct gunzip *gunzip, const void *bytes, size_t len, struct err *err) {
	if (len > FEED_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%s: a piece of %zu bytes", gunzip->name, len);
	z_stream *stream = &gunzip->stream;
	stream->next_in = (unsigned char *) bytes; /* zlib only reads it */
	stream->avail_in = (unsigned int) len;
	gunzip->in_bytes += (int64_t) len;
	for (;;) {
		if (gunzip->is_between && stream->avail_in == 0)
			return 0;
		if (gunzip->is_between && inflateReset(stream) != Z_OK)
			return err_set(err, ERR_INVALID, "%s: no gzip stream", gunzip->name);
		gunzip->is_between = false;
		stream->next_out = gunzip->out;
		stream->avail_out = (unsigned int) OUT_BYTES;
		int got = inflate(stream, Z_NO_FLUSH);
		if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
			return err_set(err, ERR_INVALID, "%s: no gzip stream, or a broken one: %s", gunzip->name,
				stream->msg ? stream->msg : "bad data");
		size_t made = OUT_BYTES - stream->avail_out;
		if (hand_on(gunzip, made, err) != 0)
			return -1;
		gunzip->is_between = got == Z_STREAM_END;
		if (!gunzip->is_between && stream->avail_in == 0 && stream->avail_out > 0)
			return 0;
	}
}

int gunzip_finish(struct gunzip *gunzip, struct err *err) {
	return gunzip->is_between ? 0 : err_set(err, ERR_INVALID, "%s: ends in the middle of its gzip stream", gunzip->name);
}

int gzip_of(struct str text, char **out, size_t *len, struct err *err) {
	z_stream stream = {0};
	if (text.len > FEED_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "a text of %zu bytes is too long to pack", text.len);
	if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_ONLY, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* as above */
	size_t room = deflateBound(&stream, text.len);
	char *packed = mem_zero(room, 1);
	stream.next_in = (unsigned char *) text.ptr;
	stream.avail_in = (unsigned) text.len;
	stream.next_out = (unsigned char *) packed;
	stream.avail_out = (unsigned) room;
	bool is_whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	*len = room - stream.avail_out;
	deflateEnd(&stream);
	if (!is_whole) {
		free(packed);
		return err_set(err, ERR_FAILED, "%zu bytes could not be packed", text.len);
	}
	*out = packed;
	return 0;
}
