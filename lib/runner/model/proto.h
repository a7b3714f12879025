/* Protocol Buffers' wire format, reading only: fields of one message, one after the other, over bytes that somebody else owns. */
#pragma once

#include "base/str.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto_field {
	uint32_t number;
	enum proto_wire wire;
	uint64_t value;   /* VARINT, FIXED32, FIXED64 */
	struct str bytes; /* BYTES */
};

/* 1: a field, *rest moved behind it; 0: the end; -1: damaged (cut, a group, field 0, a varint of more than 10 bytes). */
int proto_next(struct str *rest, struct proto_field *field);
int proto_varint(struct str *rest, uint64_t *value); /* 0, or -1 */
float proto_float(uint32_t bits);
double proto_double(uint64_t bits);
uint32_t proto_fixed32(const char *at); /* little endian, any alignment */
uint64_t proto_fixed64(const char *at);
