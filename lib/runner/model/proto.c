#include "runner/model/proto.h"

#define VARINT_BYTES_MAX 10

static int long_varint(struct str *rest, uint64_t *value) {
	uint64_t result = 0;
	for (size_t i = 0; i < VARINT_BYTES_MAX && i < rest->len; i++) {
		unsigned char byte = (unsigned char) rest->ptr[i];
		if (i == VARINT_BYTES_MAX - 1 && byte > 1)
			return -1;
		result |= (uint64_t) (byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		rest->ptr += i + 1;
		rest->len -= i + 1;
		*value = result;
		return 0;
	}
	return -1;
}

/* Nearly all are one byte: tags, small numbers. */
static inline int read_varint(struct str *rest, uint64_t *value) {
	if (rest->len == 0 || (*rest->ptr & 0x80))
		return long_varint(rest, value);
	*value = (unsigned char) *rest->ptr++;
	rest->len--;
	return 0;
}

int proto_varint(struct str *rest, uint64_t *value) {
	return read_varint(rest, value);
}

uint32_t proto_fixed32(const char *at) {
	uint32_t bits;
	memcpy(&bits, at, sizeof(bits));
	return bits;
}

uint64_t proto_fixed64(const char *at) {
	uint64_t bits;
	memcpy(&bits, at, sizeof(bits));
	return bits;
}

float proto_float(uint32_t bits) {
	float value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

double proto_double(uint64_t bits) {
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static int take_bytes(struct str *rest, uint64_t len, struct str *out) {
	if (len > rest->len)
		return -1;
	*out = (struct str) {rest->ptr, (size_t) len};
	rest->ptr += len;
	rest->len -= (size_t) len;
	return 0;
}

int proto_next(struct str *rest, struct proto_field *field) {
	if (rest->len == 0)
		return 0;
	uint64_t tag, len;
	if (read_varint(rest, &tag) != 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return -1;
	*field = (struct proto_field) {.number = (uint32_t) (tag >> 3), .wire = (enum proto_wire) (tag & 7)};
	struct str fixed;
	switch (field->wire) {
	case PROTO_VARINT:
		return read_varint(rest, &field->value) == 0 ? 1 : -1;
	case PROTO_FIXED64:
		if (take_bytes(rest, 8, &fixed) != 0)
			return -1;
		field->value = proto_fixed64(fixed.ptr);
		return 1;
	case PROTO_FIXED32:
		if (take_bytes(rest, 4, &fixed) != 0)
			return -1;
		field->value = proto_fixed32(fixed.ptr);
		return 1;
	case PROTO_BYTES:
		return read_varint(rest, &len) == 0 && take_bytes(rest, len, &field->bytes) == 0 ? 1 : -1;
	default:
		return -1;
	}
}
