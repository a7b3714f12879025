#include "build/external.h"

#include "data/tar.h"
#include "os/fs.h"

#include <fcntl.h>

#define WINDOW_BYTES 4096
#define LOCATION_BYTES_MAX 4096

/* onnx.proto3: the fields on the way to TensorProto.external_data. */
enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, ENTRY, FUNCTION, MESSAGES };
static const struct step {
	int field;
	enum message next;
} steps[MESSAGES][6] = {
	[MODEL] = {{7, GRAPH}, {25, FUNCTION}},
	[GRAPH] = {{1, NODE}, {5, TENSOR}, {15, SPARSE}},
	[FUNCTION] = {{7, NODE}},
	[NODE] = {{5, ATTRIBUTE}},
	[ATTRIBUTE] = {{5, TENSOR}, {6, GRAPH}, {10, TENSOR}, {11, GRAPH}, {22, SPARSE}, {23, SPARSE}},
	[SPARSE] = {{1, TENSOR}, {2, TENSOR}},
	[TENSOR] = {{13, ENTRY}},
};

struct scan {
	int fd;
	const char *shown;
	int64_t size, at;
	unsigned char window[WINDOW_BYTES];
	int64_t window_at;
	size_t window_len;
	int64_t fields;
	struct texts *out;
};

static int broken(const struct scan *scan, struct err *err) {
	return err_set(err, ERR_INVALID, "%s: not an ONNX model, or a damaged one (near byte %lld)", scan->shown, (long long) scan->at);
}

static int next_byte(struct scan *scan, int64_t end, unsigned char *out, struct err *err) {
	if (scan->at >= end)
		return broken(scan, err);
	if (scan->at < scan->window_at || scan->at >= scan->window_at + (int64_t) scan->window_len) {
		if (fs_pread(scan->fd, scan->window, WINDOW_BYTES, scan->at, &scan->window_len, scan->shown, err) != 0)
			return -1;
		scan->window_at = scan->at;
		if (scan->window_len == 0)
			return broken(scan, err);
	}
	*out = scan->window[scan->at - scan->window_at];
	scan->at++;
	return 0;
}

static int next_varint(struct scan *scan, int64_t end, uint64_t *out, struct err *err) {
	uint64_t number = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		unsigned char byte = 0;
		if (next_byte(scan, end, &byte, err) != 0)
			return -1;
		number |= (uint64_t) (byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = number;
			return 0;
		}
	}
	return broken(scan, err);
}

static int read_text(struct scan *scan, int64_t len, char **out, struct err *err) {
	if (len > LOCATION_BYTES_MAX)
		return broken(scan, err);
	AUTO_BUF struct buf text = BUF(LOCATION_BYTES_MAX + 1);
	for (int64_t end = scan->at + len; scan->at < end;) {
		unsigned char byte = 0;
		if (next_byte(scan, end, &byte, err) != 0)
			return -1;
		if (byte == '\0')
			return broken(scan, err);
		buf_char(&text, (char) byte);
	}
	*out = mem_text(text.ptr ? text.ptr : "");
	return 0;
}

/* One field's head; the length of a delimited one, or -1 after skipping another. */
static int next_field(struct scan *scan, int64_t end, int *field, int64_t *len, struct err *err) {
	uint64_t tag = 0, number = 0;
	if (++scan->fields > EXTERNAL_FIELDS_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d fields", scan->shown, EXTERNAL_FIELDS_MAX);
	if (next_varint(scan, end, &tag, err) != 0)
		return -1;
	*field = (int) (tag >> 3 & 0x1fffffff);
	*len = -1;
	switch (tag & 7) {
	case 0:
		return next_varint(scan, end, &number, err);
	case 1:
		number = 8;
		break;
	case 5:
		number = 4;
		break;
	case 2:
		if (next_varint(scan, end, &number, err) != 0)
			return -1;
		break;
	default:
		return broken(scan, err);
	}
	if (number > (uint64_t) (end - scan->at))
		return broken(scan, err);
	if ((tag & 7) == 2)
		*len = (int64_t) number;
	else
		scan->at += (int64_t) number;
	return 0;
}

/* StringStringEntryProto {key = 1, value = 2}. */
static int read_entry(struct scan *scan, int64_t end, struct err *err) {
	AUTO_FREE char *key = NULL, *value = NULL;
	while (scan->at < end) {
		int field = 0;
		int64_t len = 0;
		if (next_field(scan, end, &field, &len, err) != 0)
			return -1;
		char **into = field == 1 ? &key : field == 2 ? &value : NULL;
		if (len >= 0 && into) {
			free(*into);
			*into = NULL;
			if (read_text(scan, len, into, err) != 0)
				return -1;
		} else if (len >= 0)
			scan->at += len;
	}
	if (!key || !value || strcmp(key, "location") != 0)
		return 0;
	const char *name = value;
	while (name[0] == '.' && name[1] == '/')
		name += 2;
	if (!tar_name_is_beneath(name))
		return err_set(err, ERR_INVALID, "%s: its external data is at \"%s\": must be a relative path beneath the model's folder",
			scan->shown, value);
	for (size_t i = 0; i < scan->out->count; i++)
		if (strcmp(scan->out->items[i], name) == 0)
			return 0;
	if (scan->out->count == EXTERNAL_FILES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d files of external data", scan->shown, EXTERNAL_FILES_MAX);
	texts_add(scan->out, name);
	return 0;
}

static const struct step *step_of(enum message message, int field) {
	for (size_t i = 0; i < sizeof(steps[0]) / sizeof(steps[0][0]); i++)
		if (steps[message][i].field && steps[message][i].field == field)
			return &steps[message][i];
	return NULL;
}

/* The messages that are open stand on a stack of fixed depth; content that leads nowhere is skipped unread. */
static int scan_model(struct scan *scan, struct err *err) {
	struct {
		enum message message;
		int64_t end;
	} stack[EXTERNAL_DEPTH_MAX * 4];
	size_t depth = 0;
	stack[0].message = MODEL;
	stack[0].end = scan->size;
	for (;;) {
		if (scan->at >= stack[depth].end) {
			if (depth == 0)
				return 0;
			depth--;
			continue;
		}
		int field = 0;
		int64_t len = 0;
		if (next_field(scan, stack[depth].end, &field, &len, err) != 0)
			return -1;
		/* Numbers or strings: an attribute is of one type, and millions of them (trees) would each be a field. */
		if (stack[depth].message == ATTRIBUTE && field >= 7 && field <= 9) {
			scan->at = stack[depth].end;
			continue;
		}
		if (len < 0)
			continue;
		const struct step *step = step_of(stack[depth].message, field);
		if (!step)
			scan->at += len;
		else if (step->next == ENTRY) {
			if (read_entry(scan, scan->at + len, err) != 0)
				return -1;
		} else {
			if (++depth == sizeof(stack) / sizeof(stack[0]))
				return err_set(err, ERR_LIMIT, "%s: graphs nested deeper than %d", scan->shown, EXTERNAL_DEPTH_MAX);
			stack[depth].message = step->next;
			stack[depth].end = scan->at + len;
		}
	}
}

int external_list(const char *path, const char *shown, struct texts *out, struct err *err) {
	AUTO_CLOSE int fd = -1;
	struct stat info;
	if (fs_open(path, O_RDONLY, 0, &fd, err) != 0)
		return -1;
	if (fstat(fd, &info) != 0)
		return err_sys(err, "%s", shown);
	struct scan scan = {.fd = fd, .shown = shown, .size = info.st_size, .out = out};
	return scan_model(&scan, err);
}
