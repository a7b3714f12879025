#include "runner/model/onnx.h"

#include "base/num.h"
#include "os/fs.h"
#include "runner/model/proto.h"

#include <fcntl.h>
#include <limits.h>

#define EXTERNAL_ENTRIES_MAX 16
#define TYPE_DEPTH_MAX 2 /* sequence(map(tensor)): what ZipMap answers; anything deeper is not read */

struct reader {
	struct arena *memory;
	int folder;
	struct err *err;
};

/* TensorProto.DataType in onnx.proto3. */
static const struct {
	const char *name;
	enum dtype dtype;
} element_types[] = {
	[0] = {"undefined", DTYPE_NONE},     [1] = {"float32", DTYPE_FLOAT},    [2] = {"uint8", DTYPE_UINT8},      [3] = {"int8", DTYPE_INT8},
	[4] = {"uint16", DTYPE_NONE},        [5] = {"int16", DTYPE_NONE},       [6] = {"int32", DTYPE_INT32},      [7] = {"int64", DTYPE_INT64},
	[8] = {"string", DTYPE_STRING},      [9] = {"bool", DTYPE_BOOL},        [10] = {"float16", DTYPE_NONE},    [11] = {"float64", DTYPE_DOUBLE},
	[12] = {"uint32", DTYPE_NONE},       [13] = {"uint64", DTYPE_NONE},     [14] = {"complex64", DTYPE_NONE},  [15] = {"complex128", DTYPE_NONE},
	[16] = {"bfloat16", DTYPE_NONE},
};
#define ELEMENT_TYPES ((int64_t) (sizeof(element_types) / sizeof(element_types[0])))

enum dtype onnx_dtype(int64_t number) {
	return number >= 0 && number < ELEMENT_TYPES ? element_types[number].dtype : DTYPE_NONE;
}

const char *onnx_dtype_name(int64_t number) {
	return number >= 0 && number < ELEMENT_TYPES ? element_types[number].name : "an unknown type";
}

static int damaged(struct reader *reader, const char *what) {
	return err_set(reader->err, ERR_INVALID, "not a whole ONNX model: the bytes of %s do not hold together", what);
}

static int too_big(struct reader *reader) {
	return err_set(reader->err, ERR_LIMIT, "the model needs more memory to load than its limit of %zu MB", reader->memory->bytes_max >> 20);
}

static void *allocate(struct reader *reader, size_t count, size_t size) {
	size_t bytes;
	void *p = num_mul(count ? count : 1, size, &bytes) ? NULL : arena_alloc(reader->memory, bytes);
	if (!p)
		too_big(reader);
	return p;
}

/* How often a field occurs in a message; -1 when the message is damaged. */
static int64_t count_field(struct str message, uint32_t number) {
	struct proto_field field;
	int64_t count = 0;
	int more;
	while ((more = proto_next(&message, &field)) == 1)
		count += field.number == number;
	return more == 0 ? count : -1;
}

/* The elements of a repeated number, packed or not. size 0: varints. */
static int64_t count_numbers(struct str message, uint32_t number, size_t size) {
	struct proto_field field;
	int64_t count = 0;
	while (proto_next(&message, &field) == 1) {
		if (field.number != number)
			continue;
		if (field.wire != PROTO_BYTES) {
			count++;
		} else if (size) {
			count += (int64_t) (field.bytes.len / size);
		} else {
			for (size_t i = 0; i < field.bytes.len; i++)
				count += (field.bytes.ptr[i] & 0x80) == 0;
		}
	}
	return count;
}

/* Calls `put` for every element of a repeated number. Returns 0, or -1 when damaged. */
typedef void put_function(void *out, size_t index, uint64_t bits);
static int each_number(struct str message, uint32_t number, size_t size, put_function *put, void *out) {
	struct proto_field field;
	size_t index = 0;
	enum proto_wire single = size == 4 ? PROTO_FIXED32 : size == 8 ? PROTO_FIXED64 : PROTO_VARINT;
	while (proto_next(&message, &field) == 1) {
		if (field.number != number)
			continue;
		if (field.wire == single) {
			put(out, index++, field.value);
			continue;
		}
		if (field.wire != PROTO_BYTES || (size && field.bytes.len % size != 0))
			return -1;
		while (field.bytes.len) {
			uint64_t bits;
			if (!size) {
				if (proto_varint(&field.bytes, &bits) != 0)
					return -1;
			} else {
				bits = size == 4 ? proto_fixed32(field.bytes.ptr) : proto_fixed64(field.bytes.ptr);
				field.bytes.ptr += size;
				field.bytes.len -= size;
			}
			put(out, index++, bits);
		}
	}
	return 0;
}

static void put_float(void *out, size_t index, uint64_t bits) {
	((float *) out)[index] = proto_float((uint32_t) bits);
}
static void put_double(void *out, size_t index, uint64_t bits) {
	((double *) out)[index] = proto_double(bits);
}
static void put_int64(void *out, size_t index, uint64_t bits) {
	((int64_t *) out)[index] = (int64_t) bits;
}
static void put_int32(void *out, size_t index, uint64_t bits) {
	((int32_t *) out)[index] = (int32_t) (uint32_t) bits;
}
static void put_byte(void *out, size_t index, uint64_t bits) {
	((uint8_t *) out)[index] = (uint8_t) bits;
}

static int read_texts(struct reader *reader, struct str message, uint32_t number, size_t count_max, struct str **out, size_t *count) {
	int64_t n = count_field(message, number);
	if (n < 0)
		return damaged(reader, "a list of texts");
	if ((uint64_t) n > count_max)
		return err_set(reader->err, ERR_LIMIT, "a list in the model has %lld entries, at most %zu are read", (long long) n, count_max);
	struct str *texts = allocate(reader, (size_t) n, sizeof(*texts));
	if (!texts)
		return -1;
	struct proto_field field;
	size_t i = 0;
	while (proto_next(&message, &field) == 1)
		if (field.number == number)
			texts[i++] = field.bytes;
	*out = texts;
	*count = (size_t) n;
	return 0;
}

/* The text of a tensor's external_data entry (StringStringEntryProto), found by key. */
static struct str external_entry(struct str tensor, const char *key) {
	struct proto_field entry, field;
	for (int i = 0; i < EXTERNAL_ENTRIES_MAX && proto_next(&tensor, &entry) == 1;) {
		if (entry.number != 13)
			continue;
		i++;
		struct str name = {0}, value = {0};
		while (proto_next(&entry.bytes, &field) == 1) {
			if (field.number == 1)
				name = field.bytes;
			else if (field.number == 2)
				value = field.bytes;
		}
		if (str_is(name, key))
			return value;
	}
	return (struct str) {0};
}

/* The one place where bytes of another file come in. */
static int read_external(struct reader *reader, struct str message, struct str name, void *out, int64_t bytes) {
	struct str location = external_entry(message, "location"), offset_text = external_entry(message, "offset"),
		   length_text = external_entry(message, "length");
	int64_t offset = 0, length = bytes;
	if (location.len == 0 || location.len >= PATH_MAX || memchr(location.ptr, '\0', location.len))
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: its external data names no file", STR_ARGS(name));
	if ((offset_text.len && num_int(offset_text, 0, INT64_MAX / 2, &offset) != 0) || (length_text.len && num_int(length_text, 0, INT64_MAX / 2, &length) != 0))
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: the offset or length of its external data is not a number", STR_ARGS(name));
	if (length != bytes)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: its external data has %lld bytes, its shape needs %lld", STR_ARGS(name),
			(long long) length, (long long) bytes);
	if (reader->folder < 0)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: its data is in another file, %.*s, which cannot be read here", STR_ARGS(name),
			STR_ARGS(location));
	AUTO_FREE char *path = str_dup(location);
	AUTO_CLOSE int fd = -1;
	size_t got;
	if (fs_open_beneath(reader->folder, path, O_RDONLY | O_NONBLOCK, 0, &fd, reader->err) != 0)
		return err_wrap(reader->err, "tensor %.*s: external data", STR_ARGS(name));
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: its external data %s is not a plain file of its own", STR_ARGS(name), path);
	if (offset > st.st_size || bytes > st.st_size - offset)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: %s ends before byte %lld", STR_ARGS(name), path, (long long) (offset + bytes));
	if (fs_pread(fd, out, (size_t) bytes, offset, &got, path, reader->err) != 0)
		return -1;
	if (got != (size_t) bytes)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: %s became shorter while it was read", STR_ARGS(name), path);
	return 0;
}

struct typed_data {
	uint32_t field; /* TensorProto's field for this element type */
	size_t size;    /* of an element on the wire, 0: varint */
	put_function *put;
};
static const struct typed_data typed_data[] = {
	[DTYPE_FLOAT] = {4, 4, put_float}, [DTYPE_DOUBLE] = {10, 8, put_double}, [DTYPE_INT64] = {7, 0, put_int64}, [DTYPE_INT32] = {5, 0, put_int32},
	[DTYPE_INT8] = {5, 0, put_byte},   [DTYPE_UINT8] = {5, 0, put_byte},     [DTYPE_BOOL] = {5, 0, put_byte},   [DTYPE_STRING] = {6, 0, NULL},
};

static int read_tensor_data(struct reader *reader, struct str message, struct str name, struct str raw, bool is_raw, bool is_external, struct tensor *tensor) {
	int64_t count = shape_count(&tensor->shape), bytes;
	if (count < 0 || num_mul(count, (int64_t) dtype_size(tensor->dtype), &bytes) || bytes > TENSOR_BYTES_MAX)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: its shape is negative or larger than 2 GB", STR_ARGS(name));
	if (tensor->dtype == DTYPE_STRING) {
		size_t got;
		struct str *texts;
		if (is_raw || is_external)
			return err_set(reader->err, ERR_INVALID, "tensor %.*s: strings cannot be raw or external data", STR_ARGS(name));
		if (read_texts(reader, message, 6, (size_t) count, &texts, &got) != 0)
			return err_wrap(reader->err, "tensor %.*s", STR_ARGS(name));
		tensor->data = texts;
		return got == (size_t) count ? 0 : err_set(reader->err, ERR_INVALID, "tensor %.*s: %zu strings, its shape needs %lld", STR_ARGS(name), got,
								       (long long) count);
	}
	if (is_raw && raw.len != (size_t) bytes)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: %zu bytes of raw data, its shape needs %lld", STR_ARGS(name), raw.len,
			(long long) bytes);
	if (is_raw && (uintptr_t) raw.ptr % dtype_size(tensor->dtype) == 0 && tensor->dtype != DTYPE_BOOL) {
		union { /* the model's constants are never written; tensors of a run share the struct and are */
			const char *lent;
			void *data;
		} alias = {.lent = raw.ptr};
		tensor->data = alias.data;
		return 0;
	}
	const struct typed_data *typed = &typed_data[tensor->dtype];
	if (!is_raw && !is_external && count_numbers(message, typed->field, typed->size) != count)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: it has not the %lld elements of its shape", STR_ARGS(name), (long long) count);
	tensor->data = allocate(reader, (size_t) bytes, 1);
	if (!tensor->data)
		return -1;
	if (is_external && read_external(reader, message, name, tensor->data, bytes) != 0)
		return -1;
	if (is_raw && bytes)
		memcpy(tensor->data, raw.ptr, (size_t) bytes);
	if (!is_raw && !is_external && each_number(message, typed->field, typed->size, typed->put, tensor->data) != 0)
		return damaged(reader, "a tensor");
	uint8_t *flags = tensor->dtype == DTYPE_BOOL ? tensor->data : NULL;
	for (int64_t i = 0; flags && i < count; i++)
		flags[i] = flags[i] != 0;
	return 0;
}

static int read_tensor(struct reader *reader, struct str message, struct str *name, struct tensor *out) {
	struct proto_field field;
	struct str rest = message, raw = {0};
	int64_t element_type = 0;
	bool is_raw = false, is_external = false;
	int more;
	*name = (struct str) {0};
	while ((more = proto_next(&rest, &field)) == 1) {
		if (field.number == 2)
			element_type = (int64_t) field.value;
		else if (field.number == 8)
			*name = field.bytes;
		else if (field.number == 9 && field.wire == PROTO_BYTES) {
			raw = field.bytes;
			is_raw = true;
		} else if (field.number == 14)
			is_external = field.value == 1;
	}
	if (more != 0)
		return damaged(reader, "a tensor");
	struct tensor tensor = {.dtype = onnx_dtype(element_type)};
	if (tensor.dtype == DTYPE_NONE)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: elements of %s are not supported", STR_ARGS(*name), onnx_dtype_name(element_type));
	int64_t rank = count_numbers(message, 1, 0);
	if (rank > TENSOR_RANK_MAX)
		return err_set(reader->err, ERR_INVALID, "tensor %.*s: %lld dimensions, at most %d are supported", STR_ARGS(*name), (long long) rank,
			TENSOR_RANK_MAX);
	tensor.shape.rank = (int) rank;
	if (each_number(message, 1, 0, put_int64, tensor.shape.dims) != 0)
		return damaged(reader, "a tensor");
	if (read_tensor_data(reader, message, *name, raw, is_raw && !is_external, is_external, &tensor) != 0)
		return -1;
	*out = tensor;
	return 0;
}

/* AttributeProto.AttributeType in onnx.proto3. Files of IR version 1 leave it out. */
static enum attribute_kind attribute_kind(uint64_t type) {
	static const enum attribute_kind kinds[] = {0, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TEXT, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_FLOATS,
						    ATTRIBUTE_INTS, ATTRIBUTE_TEXTS};
	return type < sizeof(kinds) / sizeof(kinds[0]) ? kinds[type] : 0;
}

static int read_attribute_list(struct reader *reader, struct str message, struct attribute *attribute) {
	if (attribute->kind == ATTRIBUTE_TEXTS)
		return read_texts(reader, message, 9, (size_t) 1 << 28, &attribute->texts, &attribute->count);
	bool is_float = attribute->kind == ATTRIBUTE_FLOATS;
	uint32_t number = is_float ? 7 : 8;
	size_t wire_size = is_float ? 4 : 0;
	attribute->count = (size_t) count_numbers(message, number, wire_size);
	void *list = allocate(reader, attribute->count, is_float ? sizeof(float) : sizeof(int64_t));
	if (!list)
		return -1;
	if (is_float)
		attribute->numbers = list;
	else
		attribute->integers = list;
	return each_number(message, number, wire_size, is_float ? put_float : put_int64, list) == 0 ? 0 : damaged(reader, "an attribute");
}

static int read_attribute(struct reader *reader, struct str message, struct attribute *out) {
	struct proto_field field;
	struct str rest = message, tensor = {0}, unused;
	struct attribute attribute = {0};
	int more;
	while ((more = proto_next(&rest, &field)) == 1) {
		switch (field.number) {
		case 1: attribute.name = field.bytes; break;
		case 2: attribute.number = proto_float((uint32_t) field.value); break;
		case 3: attribute.integer = (int64_t) field.value; break;
		case 4: attribute.text = field.bytes; break;
		case 5: tensor = field.bytes; break;
		case 20: attribute.kind = attribute_kind(field.value); break;
		default: break;
		}
	}
	if (more != 0 || attribute.name.len > GRAPH_NAME_BYTES_MAX)
		return damaged(reader, "an attribute");
	if (attribute.kind >= ATTRIBUTE_FLOATS && read_attribute_list(reader, message, &attribute) != 0)
		return err_wrap(reader->err, "attribute %.*s", STR_ARGS(attribute.name));
	if (attribute.kind == ATTRIBUTE_TENSOR && read_tensor(reader, tensor, &unused, &attribute.tensor) != 0)
		return err_wrap(reader->err, "attribute %.*s", STR_ARGS(attribute.name));
	*out = attribute;
	return 0;
}

static int read_attributes(struct reader *reader, struct str message, struct node *node) {
	int64_t count = count_field(message, 5);
	if (count > GRAPH_ATTRIBUTES_MAX)
		return err_set(reader->err, ERR_LIMIT, "%lld attributes, at most %d are read", (long long) count, GRAPH_ATTRIBUTES_MAX);
	node->attributes = allocate(reader, (size_t) count, sizeof(*node->attributes));
	if (!node->attributes)
		return -1;
	struct proto_field field;
	while (proto_next(&message, &field) == 1) {
		if (field.number != 5)
			continue;
		if (read_attribute(reader, field.bytes, &node->attributes[node->attributes_count]) != 0)
			return -1;
		node->attributes_count++;
	}
	return 0;
}

static int read_node(struct reader *reader, struct str message, struct node *node) {
	struct proto_field field;
	struct str rest = message;
	int more;
	while ((more = proto_next(&rest, &field)) == 1) {
		if (field.number == 3)
			node->name = field.bytes;
		else if (field.number == 4)
			node->op = field.bytes;
		else if (field.number == 7)
			node->domain = str_is(field.bytes, "ai.onnx") ? STR("") : field.bytes;
	}
	if (more != 0 || node->name.len > GRAPH_NAME_BYTES_MAX || node->op.len > GRAPH_NAME_BYTES_MAX || node->domain.len > GRAPH_NAME_BYTES_MAX)
		return damaged(reader, "a node");
	if (read_texts(reader, message, 1, GRAPH_OPERANDS_MAX, &node->inputs, &node->inputs_count) != 0 ||
		read_texts(reader, message, 2, GRAPH_OUTPUTS_MAX, &node->outputs, &node->outputs_count) != 0 || read_attributes(reader, message, node) != 0)
		return err_wrap(reader->err, "node %.*s (%.*s)", STR_ARGS(node->name), STR_ARGS(node->op));
	return 0;
}

/* TensorShapeProto: a dimension has a value, a name or nothing. */
static int read_shape(struct reader *reader, struct str message, struct shape *shape) {
	struct proto_field dim, field;
	while (proto_next(&message, &dim) == 1) {
		if (dim.number != 1)
			continue;
		if (shape->rank == TENSOR_RANK_MAX)
			return err_set(reader->err, ERR_INVALID, "more than %d dimensions", TENSOR_RANK_MAX);
		int64_t value = -1;
		while (proto_next(&dim.bytes, &field) == 1)
			if (field.number == 1 && field.wire == PROTO_VARINT)
				value = (int64_t) field.value > 0 ? (int64_t) field.value : -1;
		shape->dims[shape->rank++] = value;
	}
	return 0;
}

/* TypeProto, walked down through sequence and map without recursion. */
static int read_type(struct reader *reader, struct str message, struct graph_port *port) {
	for (int depth = 0; depth <= TYPE_DEPTH_MAX * 2; depth++) {
		struct proto_field type = {0}, field;
		if (proto_next(&message, &type) != 1)
			return err_set(reader->err, ERR_INVALID, "no type is given");
		struct str inner = {0};
		int64_t element_type = 0;
		port->shape = (struct shape) {.rank = -1};
		while (proto_next(&type.bytes, &field) == 1) {
			if (field.number == 1 && field.wire == PROTO_VARINT)
				element_type = (int64_t) field.value;
			else if (field.wire == PROTO_BYTES)
				inner = field.bytes;
		}
		if (type.number == 4 || type.number == 5) {
			port->is_map_list = true;
			message = inner;
			continue;
		}
		if (type.number != 1)
			return err_set(reader->err, ERR_INVALID, "it is neither a tensor nor a list of maps");
		port->dtype = onnx_dtype(element_type);
		if (port->dtype == DTYPE_NONE)
			return err_set(reader->err, ERR_INVALID, "elements of %s are not supported", onnx_dtype_name(element_type));
		if (!inner.ptr)
			return 0;
		port->shape.rank = 0;
		return read_shape(reader, inner, &port->shape);
	}
	return err_set(reader->err, ERR_INVALID, "its type is nested too deeply");
}

static int read_port(struct reader *reader, struct str message, struct graph_port *port) {
	struct proto_field field;
	struct str type = {0};
	int more;
	while ((more = proto_next(&message, &field)) == 1) {
		if (field.number == 1)
			port->name = field.bytes;
		else if (field.number == 2)
			type = field.bytes;
	}
	if (more != 0 || port->name.len > GRAPH_NAME_BYTES_MAX)
		return damaged(reader, "an input or output");
	return read_type(reader, type, port) == 0 ? 0 : err_wrap(reader->err, "input or output %.*s", STR_ARGS(port->name));
}

struct graph_counts {
	uint32_t field;
	int64_t max;
	size_t size;
	const char *what;
};

static int read_graph(struct reader *reader, struct str message, struct graph *graph) {
	static const struct graph_counts lists[] = {
		{1, GRAPH_NODES_MAX, sizeof(struct node), "nodes"},
		{5, GRAPH_CONSTANTS_MAX, sizeof(struct constant), "initializers"},
		{11, GRAPH_CONSTANTS_MAX, sizeof(struct graph_port), "inputs"},
		{12, GRAPH_CONSTANTS_MAX, sizeof(struct graph_port), "outputs"},
	};
	void *made[4];
	for (size_t i = 0; i < 4; i++) {
		int64_t count = count_field(message, lists[i].field);
		if (count < 0)
			return damaged(reader, "the graph");
		if (count > lists[i].max)
			return err_set(reader->err, ERR_LIMIT, "%lld %s, at most %lld are read", (long long) count, lists[i].what, (long long) lists[i].max);
		made[i] = allocate(reader, (size_t) count, lists[i].size);
		if (!made[i])
			return -1;
	}
	graph->nodes = made[0];
	graph->constants = made[1];
	graph->inputs = made[2];
	graph->outputs = made[3];
	struct proto_field field;
	while (proto_next(&message, &field) == 1) {
		int rc = 0;
		if (field.number == 1)
			rc = read_node(reader, field.bytes, &graph->nodes[graph->nodes_count++]);
		else if (field.number == 5) {
			struct constant *constant = &graph->constants[graph->constants_count++];
			rc = read_tensor(reader, field.bytes, &constant->name, &constant->tensor);
		} else if (field.number == 11)
			rc = read_port(reader, field.bytes, &graph->inputs[graph->inputs_count++]);
		else if (field.number == 12)
			rc = read_port(reader, field.bytes, &graph->outputs[graph->outputs_count++]);
		else if (field.number == 15)
			rc = err_set(reader->err, ERR_INVALID, "sparse initializers are not supported");
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* OperatorSetIdProto. The same domain may be named twice (skl2onnx does), with the same version. */
static int read_opset(struct reader *reader, struct str message, struct graph *graph) {
	struct proto_field field;
	struct opset opset = {.domain = STR("")};
	while (proto_next(&message, &field) == 1) {
		if (field.number == 1)
			opset.domain = str_is(field.bytes, "ai.onnx") ? STR("") : field.bytes;
		else if (field.number == 2)
			opset.version = field.value < INT_MAX ? (int) field.value : INT_MAX;
	}
	for (size_t i = 0; i < graph->opsets_count; i++) {
		if (!str_equal(graph->opsets[i].domain, opset.domain))
			continue;
		if (graph->opsets[i].version == opset.version)
			return 0;
		return err_set(reader->err, ERR_INVALID, "the operator set '%.*s' is imported as version %d and as version %d", STR_ARGS(opset.domain),
			graph->opsets[i].version, opset.version);
	}
	if (graph->opsets_count == GRAPH_OPSETS_MAX)
		return err_set(reader->err, ERR_LIMIT, "more than %d operator sets are imported", GRAPH_OPSETS_MAX);
	graph->opsets[graph->opsets_count++] = opset;
	return 0;
}

int onnx_read(struct str bytes, int folder, struct arena *memory, struct graph *graph, struct err *err) {
	struct reader reader = {memory, folder, err};
	struct graph result = {0};
	struct str rest = bytes, body = {0};
	struct proto_field field;
	int64_t graphs = 0;
	int more;
	while ((more = proto_next(&rest, &field)) == 1) {
		if (field.number == 8 && read_opset(&reader, field.bytes, &result) != 0)
			return -1;
		if (field.number == 7 && field.wire == PROTO_BYTES) {
			body = field.bytes;
			graphs++;
		}
	}
	if (more != 0 || graphs != 1)
		return err_set(err, ERR_INVALID, "not an ONNX model, or cut off: %s", more != 0 ? "its bytes do not hold together" : "it holds no graph");
	if (read_graph(&reader, body, &result) != 0)
		return -1;
	*graph = result;
	return 0;
}
