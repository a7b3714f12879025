#include "data/tar.h"

#include "base/num.h"

#include <assert.h>
#include <stdio.h>

/* POSIX.1-2017, pax, "ustar Interchange Format": offset and length of each field. */
enum {
	NAME_AT = 0,
	NAME_LEN = 100,
	MODE_AT = 100,
	UID_AT = 108,
	GID_AT = 116,
	ID_LEN = 8,
	SIZE_AT = 124,
	MTIME_AT = 136,
	NUMBER_LEN = 12,
	SUM_AT = 148,
	SUM_LEN = 8,
	TYPE_AT = 156,
	LINK_AT = 157,
	LINK_LEN = 100,
	MAGIC_AT = 257,
	MAJOR_AT = 329,
	MINOR_AT = 337,
	PREFIX_AT = 345,
	PREFIX_LEN = 155,
};
#define OCTAL_MAX ((int64_t) 077777777777) /* eleven digits: 8 GiB - 1 */
#define MODE_MAX 07777u

static bool text_is_ascii(const char *text) {
	for (const char *c = text; *c; c++)
		if ((unsigned char) *c >= 0x80)
			return false;
	return true;
}

/* A name that does not fit is in a PAX record; the field then holds a readable stand-in. */
static void put_text(unsigned char *block, size_t at, size_t len, const char *text) {
	for (size_t i = 0; i < len && text[i]; i++)
		block[at + i] = (unsigned char) text[i] < 0x80 ? (unsigned char) text[i] : '_';
}

static void put_octal(unsigned char *block, size_t at, size_t len, int64_t number) {
	block[at + len - 1] = '\0';
	for (size_t i = len - 1; i-- > 0; number >>= 3)
		block[at + i] = (unsigned char) ('0' + (number & 7));
}

static int64_t sum_of(const unsigned char *block, bool is_signed) {
	int sum = 0, own = 0;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += is_signed ? (signed char) block[i] : block[i];
	for (size_t i = SUM_AT; i < SUM_AT + SUM_LEN; i++)
		own += is_signed ? (signed char) block[i] : block[i];
	return sum - own + SUM_LEN * ' '; /* its own field counts as spaces */
}

static void put_block(struct buf *out, const char *name, const char *link, char type, unsigned int mode, int64_t size, int64_t mtime_s) {
	unsigned char block[TAR_BLOCK] = {0};
	put_text(block, NAME_AT, NAME_LEN, name);
	put_octal(block, MODE_AT, ID_LEN, mode);
	put_octal(block, UID_AT, ID_LEN, 0);
	put_octal(block, GID_AT, ID_LEN, 0);
	put_octal(block, SIZE_AT, NUMBER_LEN, size > OCTAL_MAX ? 0 : size);
	put_octal(block, MTIME_AT, NUMBER_LEN, mtime_s);
	block[TYPE_AT] = (unsigned char) type;
	put_text(block, LINK_AT, LINK_LEN, link);
	memcpy(block + MAGIC_AT,
		"ustar\0"
		"00",
		8);
	put_octal(block, MAJOR_AT, ID_LEN, 0);
	put_octal(block, MINOR_AT, ID_LEN, 0);
	/* Six digits, NUL, space: the one field whose ending differs. */
	put_octal(block, SUM_AT, SUM_LEN - 1, sum_of(block, false));
	block[SUM_AT + SUM_LEN - 1] = ' ';
	buf_add(out, block, sizeof(block));
}

/* "LENGTH key=value\n", where LENGTH counts its own digits. */
static void put_record(struct buf *records, const char *key, const char *value) {
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
	for (;;) {
		char digits[24];
		size_t n = rest + (size_t) snprintf(digits, sizeof(digits), "%zu", len);
		if (n == len)
			break;
		len = n;
	}
	buf_format(records, "%zu %s=%s\n", len, key, value);
}

int tar_header(const struct tar_entry *entry, struct buf *out, struct err *err) {
	static const char types[] = {[TAR_FILE] = '0', [TAR_FOLDER] = '5', [TAR_SYMLINK] = '2', [TAR_HARDLINK] = '1'};
	assert(entry->type < TAR_OTHER && entry->mode <= MODE_MAX && entry->size >= 0);
	assert(entry->mtime_s >= 0 && entry->mtime_s <= OCTAL_MAX && (entry->type == TAR_FILE || entry->size == 0));
	const char *link = entry->link ? entry->link : "";
	size_t name_len = strlen(entry->name), link_len = strlen(link);
	if (name_len == 0 || name_len > TAR_NAME_MAX || link_len > TAR_NAME_MAX)
		return err_set(err, ERR_LIMIT, "a name of %zu bytes in an archive: must be 1 to %d: \"%.60s...\"",
			name_len ? name_len : link_len, TAR_NAME_MAX, entry->name);
	AUTO_BUF struct buf records = BUF(TAR_HEADER_MAX);
	if (link_len > LINK_LEN || !text_is_ascii(link))
		put_record(&records, "linkpath", link);
	if (name_len > NAME_LEN || !text_is_ascii(entry->name))
		put_record(&records, "path", entry->name);
	if (entry->size > OCTAL_MAX) {
		char digits[24];
		snprintf(digits, sizeof(digits), "%lld", (long long) entry->size);
		put_record(&records, "size", digits);
	}
	if (records.len) {
		static const unsigned char zeroes[TAR_BLOCK];
		put_block(out, "PaxHeaders.0/entry", "", 'x', 0644, (int64_t) records.len, 0);
		buf_add(out, records.ptr, records.len);
		buf_add(out, zeroes, (size_t) tar_padding((int64_t) records.len));
	}
	put_block(out, entry->name, link, types[entry->type], entry->mode, entry->size, entry->mtime_s);
	return buf_check(out, "a tar header", err);
}

bool tar_name_is_beneath(const char *name) {
	if (!name[0] || name[0] == '/')
		return false;
	for (struct str rest = str_of(name); rest.ptr;)
		if (str_is(str_cut(rest, '/', &rest), ".."))
			return false;
	return true;
}

enum state { AT_HEADER, IN_RECORDS, IN_DATA, IN_PADDING, AT_END };

struct tar_reader {
	char *name;
	struct tar_limits limits;
	struct tar_sink sink;
	enum state state;
	unsigned char block[TAR_BLOCK];
	size_t block_len;
	int64_t left, padding; /* of the present entry's content, then of its padding */
	char record_type;      /* 'x', 'g', 'L', 'K' while IN_RECORDS */
	struct buf records;
	char *long_name, *long_link; /* for the next entry, from PAX or GNU */
	int64_t long_size;	     /* -1: none */
	bool is_file, has_zero_block;
	int64_t entries, bytes, offset;
};

struct tar_reader *tar_reader_new(const char *name, const struct tar_limits *limits, const struct tar_sink *sink) {
	struct tar_reader *reader = NEW(struct tar_reader);
	reader->name = mem_text(name);
	reader->limits = *limits;
	reader->sink = *sink;
	reader->records = BUF(TAR_RECORDS_MAX + 1);
	reader->long_size = -1;
	return reader;
}

void tar_reader_free(struct tar_reader *reader) {
	if (!reader)
		return;
	free(reader->name);
	free(reader->long_name);
	free(reader->long_link);
	buf_clear(&reader->records);
	free(reader);
}

static int broken(const struct tar_reader *reader, struct err *err, const char *what) {
	return err_set(err, ERR_INVALID, "%s: not a good tar archive: %s near byte %lld", reader->name, what, (long long) reader->offset);
}

/* Octal with spaces or NULs around it, or GNU's base 256 (first bit set). -1: neither, or negative. */
static int64_t get_number(const unsigned char *field, size_t len) {
	int64_t number = 0;
	if (field[0] & 0x80) {
		if (field[0] != 0x80)
			return -1; /* negative, or beyond 63 bits */
		for (size_t i = 1; i < len; i++) {
			if (number >> 54)
				return -1;
			number = (number << 8) | field[i];
		}
		return number;
	}
	size_t i = 0;
	while (i < len && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		number = (number << 3) | (field[i] - '0');
	while (i < len && (field[i] == ' ' || field[i] == '\0'))
		i++;
	return i == len ? number : -1;
}

static char *get_text(const unsigned char *block, size_t at, size_t len) {
	return mem_text_n((const char *) block + at, strnlen((const char *) block + at, len));
}

/* One PAX header's records: "LENGTH key=value\n" each. Only what decides where bytes go is read; the rest passes. */
static int read_records(struct tar_reader *reader, struct err *err) {
	struct str all = buf_view(&reader->records);
	while (all.len) {
		struct str rest, digits = str_cut(all, ' ', &rest);
		int64_t len = 0;
		if (!rest.ptr || num_int(digits, 4, (int64_t) all.len, &len) != 0 || (size_t) len < digits.len + 3 ||
			all.ptr[len - 1] != '\n')
			return broken(reader, err, "a PAX record's length is wrong");
		struct str record = {rest.ptr, (size_t) len - digits.len - 2}, value, key = str_cut(record, '=', &value);
		if (!value.ptr)
			return broken(reader, err, "a PAX record without \"=\"");
		if (str_starts(key, "GNU.sparse."))
			return broken(reader, err, "a sparse file, which is not supported,");
		bool is_path = str_is(key, "path"), is_link = str_is(key, "linkpath");
		if (is_path || is_link) {
			if (value.len > TAR_NAME_MAX || memchr(value.ptr, '\0', value.len))
				return broken(reader, err, "a name that is too long or holds a NUL");
			char **into = is_path ? &reader->long_name : &reader->long_link;
			free(*into);
			*into = value.len ? str_dup(value) : NULL; /* empty: the header's own counts again */
		} else if (str_is(key, "size") && num_int(value, 0, INT64_MAX / 2, &reader->long_size) != 0)
			return broken(reader, err, "a PAX size that is no number");
		all = (struct str){all.ptr + len, all.len - (size_t) len};
	}
	return 0;
}

static int end_records(struct tar_reader *reader, struct err *err) {
	if (reader->record_type == 'x')
		return read_records(reader, err);
	if (reader->record_type == 'g')
		return 0; /* git archive's comment and the like: nothing that decides where bytes go is taken from it */
	size_t len = strnlen(reader->records.ptr, reader->records.len);
	if (len == 0 || len > TAR_NAME_MAX)
		return broken(reader, err, "a GNU long name that is empty or too long");
	char **into = reader->record_type == 'L' ? &reader->long_name : &reader->long_link;
	free(*into);
	*into = mem_text_n(reader->records.ptr, len);
	return 0;
}

static enum tar_type type_of(char flag, const char *name) {
	size_t n = strlen(name);
	switch (flag) {
	case '0':
	case '\0': /* before POSIX a folder was a file whose name ends in "/" */
	case '7':
		return n && name[n - 1] == '/' ? TAR_FOLDER : TAR_FILE;
	case '1':
		return TAR_HARDLINK;
	case '2':
		return TAR_SYMLINK;
	case '5':
		return TAR_FOLDER;
	default:
		return TAR_OTHER;
	}
}

/* The name of a USTAR header: prefix "/" name; GNU's variant keeps times where the prefix is. */
static char *name_of(const unsigned char *block) {
	AUTO_FREE char *name = get_text(block, NAME_AT, NAME_LEN);
	if (memcmp(block + MAGIC_AT, "ustar\0", 6) != 0 || block[PREFIX_AT] == '\0')
		return take(&name);
	AUTO_FREE char *prefix = get_text(block, PREFIX_AT, PREFIX_LEN);
	return mem_format("%s/%s", prefix, name);
}

static int begin_entry(struct tar_reader *reader, int64_t size, struct err *err) {
	char flag = (char) reader->block[TYPE_AT];
	AUTO_FREE char *name = reader->long_name ? take(&reader->long_name) : name_of(reader->block);
	AUTO_FREE char *link = reader->long_link ? take(&reader->long_link) : get_text(reader->block, LINK_AT, LINK_LEN);
	int64_t mode = get_number(reader->block + MODE_AT, ID_LEN), mtime_s = get_number(reader->block + MTIME_AT, NUMBER_LEN);
	if (reader->long_size >= 0)
		size = reader->long_size;
	reader->long_size = -1;
	if (!name[0])
		return broken(reader, err, "an entry without a name");
	if (flag == 'S')
		return broken(reader, err, "a sparse file, which is not supported,");
	enum tar_type type = type_of(flag, name);
	/* Links, folders and devices have no content, whatever their size says: so do Go's reader and every container engine. */
	bool has_content = type == TAR_FILE || (type == TAR_OTHER && !(flag >= '3' && flag <= '6'));
	reader->left = has_content ? size : 0;
	reader->padding = tar_padding(reader->left);
	reader->is_file = type == TAR_FILE;
	if (++reader->entries > reader->limits.entries_max)
		return err_set(err, ERR_LIMIT, "%s: more than %lld entries", reader->name, (long long) reader->limits.entries_max);
	if (num_add(reader->bytes, reader->left, &reader->bytes) || reader->bytes > reader->limits.bytes_max)
		return err_set(err, ERR_LIMIT, "%s: more than %lld bytes of content (at %s)", reader->name,
			(long long) reader->limits.bytes_max, name);
	struct tar_entry entry = {
		.name = name,
		.link = type == TAR_SYMLINK || type == TAR_HARDLINK ? link : "",
		.type = type,
		.mode = mode < 0 ? 0644 : (unsigned int) mode & MODE_MAX,
		.size = reader->is_file ? reader->left : 0,
		.mtime_s = mtime_s < 0 ? 0 : mtime_s,
	};
	if (reader->sink.entry(reader->sink.self, &entry, err) != 0)
		return -1;
	reader->state = IN_DATA;
	return 0;
}

static int begin_block(struct tar_reader *reader, struct err *err) {
	static const unsigned char zeroes[TAR_BLOCK];
	reader->block_len = 0;
	if (memcmp(reader->block, zeroes, TAR_BLOCK) == 0) {
		if (reader->has_zero_block)
			reader->state = AT_END;
		reader->has_zero_block = true;
		return 0;
	}
	if (reader->has_zero_block)
		return broken(reader, err, "an entry after a block of zeroes");
	int64_t sum = get_number(reader->block + SUM_AT, SUM_LEN), size = get_number(reader->block + SIZE_AT, NUMBER_LEN);
	/* Some old writers summed signed bytes. */
	if (sum < 0 || (sum != sum_of(reader->block, false) && sum != sum_of(reader->block, true)))
		return broken(reader, err, "a header's checksum is wrong");
	if (size < 0 || size > INT64_MAX / 2)
		return broken(reader, err, "an entry's size is no number");
	char flag = (char) reader->block[TYPE_AT];
	if (flag != 'x' && flag != 'g' && flag != 'L' && flag != 'K')
		return begin_entry(reader, size, err);
	if (size > (int64_t) TAR_RECORDS_MAX)
		return err_set(
			err, ERR_LIMIT, "%s: a PAX header of %lld bytes, at most %zu", reader->name, (long long) size, TAR_RECORDS_MAX);
	if (++reader->entries > reader->limits.entries_max) /* records count too, or a stream of them would never end */
		return err_set(err, ERR_LIMIT, "%s: more than %lld entries", reader->name, (long long) reader->limits.entries_max);
	reader->record_type = flag;
	reader->left = size;
	reader->padding = tar_padding(size);
	buf_reset(&reader->records);
	buf_add(&reader->records, "", 0);
	reader->state = IN_RECORDS;
	return 0;
}

/* Runs the steps that need no byte: content that is complete, padding of nothing. */
static int settle(struct tar_reader *reader, struct err *err) {
	if (reader->state == IN_RECORDS && reader->left == 0) {
		if (end_records(reader, err) != 0)
			return -1;
		reader->state = IN_PADDING;
	} else if (reader->state == IN_DATA && reader->left == 0) {
		if (reader->is_file && reader->sink.end && reader->sink.end(reader->sink.self, err) != 0)
			return -1;
		reader->state = IN_PADDING;
	}
	if (reader->state == IN_PADDING && reader->padding == 0)
		reader->state = AT_HEADER;
	return 0;
}

int tar_reader_feed(struct tar_reader *reader, const void *bytes, size_t len, struct err *err) {
	const char *at = bytes;
	while (len) {
		size_t room = 0;
		switch (reader->state) {
		case AT_END:
			return 0; /* tar pads archives to its own block size: whatever follows the end is not ours */
		case AT_HEADER:
			room = TAR_BLOCK - reader->block_len;
			break;
		case IN_RECORDS:
		case IN_DATA:
			room = reader->left > (int64_t) len ? len : (size_t) reader->left;
			break;
		case IN_PADDING:
			room = (size_t) reader->padding;
			break;
		}
		size_t n = room < len ? room : len;
		if (reader->state == AT_HEADER) {
			memcpy(reader->block + reader->block_len, at, n);
			reader->block_len += n;
			if (reader->block_len == TAR_BLOCK && begin_block(reader, err) != 0)
				return -1;
		} else if (reader->state == IN_PADDING) {
			reader->padding -= (int64_t) n;
		} else {
			reader->left -= (int64_t) n;
			if (reader->state == IN_RECORDS)
				buf_add(&reader->records, at, n);
			else if (reader->is_file && n && reader->sink.data(reader->sink.self, at, n, err) != 0)
				return -1;
		}
		at += n;
		len -= n;
		reader->offset += (int64_t) n;
		if (settle(reader, err) != 0)
			return -1;
	}
	return 0;
}

int tar_reader_finish(struct tar_reader *reader, struct err *err) {
	bool is_between = reader->state == AT_HEADER && reader->block_len == 0 && !reader->long_name && !reader->long_link;
	if (reader->state != AT_END && !(is_between && reader->offset > 0))
		return err_set(err, ERR_INVALID, "%s: the tar archive is cut off at byte %lld", reader->name, (long long) reader->offset);
	return 0;
}
