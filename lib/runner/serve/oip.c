#include "runner/serve/oip.h"
#include "runner/serve/number.h"

#include <math.h>

/* One element of a tensor's data. */
static int store(const struct port *port, const struct value *v, struct tensor *tensor, size_t at) {
	double number = 0;
	int64_t whole = 0;
	switch (port->dtype) {
	case DTYPE_FLOAT:
	case DTYPE_DOUBLE:
		if (v->kind == VALUE_NULL)
			number = NAN; /* a missing value, as in the plain rows: JSON has no NaN */
		else if (v->kind != VALUE_NUMBER || num_double(v->text, &number) != 0)
			return -1;
		if (port->dtype == DTYPE_FLOAT)
			((float *) tensor->data)[at] = (float) number;
		else
			((double *) tensor->data)[at] = number;
		return 0;
	case DTYPE_INT64:
	case DTYPE_INT32:
	case DTYPE_INT8:
	case DTYPE_UINT8: {
		int64_t min = port->dtype == DTYPE_INT64 ? INT64_MIN : port->dtype == DTYPE_INT32 ? INT32_MIN : port->dtype == DTYPE_INT8 ? INT8_MIN : 0;
		int64_t max = port->dtype == DTYPE_INT64 ? INT64_MAX : port->dtype == DTYPE_INT32 ? INT32_MAX : port->dtype == DTYPE_INT8 ? INT8_MAX : UINT8_MAX;
		if (v->kind != VALUE_NUMBER || num_int(v->text, min, max, &whole) != 0)
			return -1;
		if (port->dtype == DTYPE_INT64)
			((int64_t *) tensor->data)[at] = whole;
		else if (port->dtype == DTYPE_INT32)
			((int32_t *) tensor->data)[at] = (int32_t) whole;
		else
			((uint8_t *) tensor->data)[at] = (uint8_t) whole;
		return 0;
	}
	case DTYPE_BOOL:
		if (v->kind != VALUE_BOOL)
			return -1;
		((uint8_t *) tensor->data)[at] = v->boolean;
		return 0;
	case DTYPE_STRING:
		if (v->kind != VALUE_STRING)
			return -1;
		((struct str *) tensor->data)[at] = v->text; /* lives as long as the request's document */
		return 0;
	case DTYPE_NONE:
		break;
	}
	return -1;
}

/* Walks flat or nested data in row-major order. Nested lists must have the tensor's shape; the depth is the shape's rank at most. */
static int fill(const struct port *port, const struct value *data, struct tensor *tensor, struct err *err) {
	const struct value *at[TENSOR_RANK_MAX] = {data->first};
	size_t count = (size_t) shape_count(&tensor->shape), done = 0;
	bool is_nested = tensor->shape.rank > 1 && data->first && data->first->kind == VALUE_ARRAY;
	int depth = 0, leaf_depth = is_nested ? tensor->shape.rank - 1 : 0;
	if (is_nested && (int64_t) data->count != tensor->shape.dims[0])
		return err_set(err, ERR_INVALID, "input \"%s\": %zu lists in data, the shape says %lld", port->name, data->count,
			(long long) tensor->shape.dims[0]);
	while (depth >= 0) {
		const struct value *v = at[depth];
		if (!v) {
			depth--;
			continue;
		}
		at[depth] = v->next;
		if (depth < leaf_depth) {
			if (v->kind != VALUE_ARRAY || (int64_t) v->count != tensor->shape.dims[depth + 1])
				return err_set(err, ERR_INVALID, "input \"%s\": data is nested in another way than its shape", port->name);
			at[++depth] = v->first;
			continue;
		}
		if (done >= count || store(port, v, tensor, done) != 0)
			return done >= count ? err_set(err, ERR_INVALID, "input \"%s\": more than the %zu elements of its shape", port->name, count)
					     : err_set(err, ERR_INVALID, "input \"%s\": element %zu is no %s", port->name, done,
						       dtype_oip_name(port->dtype));
		done++;
	}
	if (done != count)
		return err_set(err, ERR_INVALID, "input \"%s\": %zu elements, its shape has %zu", port->name, done, count);
	return 0;
}

static int decode_shape(const struct port *port, const struct value *shape, struct shape *out, struct err *err) {
	if (!shape || shape->kind != VALUE_ARRAY || shape->count > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "input \"%s\": shape is missing, or no list of at most %d whole numbers", port->name, TENSOR_RANK_MAX);
	out->rank = (int) shape->count;
	int i = 0;
	value_each(v, shape) {
		if (v->kind != VALUE_NUMBER || num_int(v->text, 0, TENSOR_BYTES_MAX, &out->dims[i++]) != 0)
			return err_set(err, ERR_INVALID, "input \"%s\": shape holds something else than whole numbers", port->name);
	}
	return 0;
}

static int decode_input(const struct port *port, const struct value *input, struct arena *arena, struct tensor *tensor, struct err *err) {
	struct str datatype;
	if (value_need_str(input, "datatype", &datatype, err) != 0)
		return err_wrap(err, "input \"%s\"", port->name);
	if (!str_is(datatype, dtype_oip_name(port->dtype)))
		return err_set(err, ERR_INVALID, "input \"%s\": datatype %.*s, the model takes %s", port->name, STR_ARGS(datatype),
			dtype_oip_name(port->dtype));
	*tensor = (struct tensor) {.dtype = port->dtype};
	if (decode_shape(port, value_get(input, "shape"), &tensor->shape, err) != 0)
		return -1;
	const struct value *data = value_get(input, "data");
	if (!data || data->kind != VALUE_ARRAY)
		return err_set(err, ERR_INVALID, "input \"%s\": data is missing, or no list", port->name);
	int64_t count = shape_count(&tensor->shape);
	/* As many nodes were read at least, so what is reserved never passes a multiple of the request's bytes. */
	if (count < 0 || (data->count == 0 && count > 0) || (data->first && data->first->kind != VALUE_ARRAY && count != (int64_t) data->count))
		return err_set(err, ERR_INVALID, "input \"%s\": %zu elements, its shape has %lld", port->name, data->count, (long long) count);
	tensor->data = arena_alloc(arena, (size_t) (count ? count : 1) * dtype_size(port->dtype));
	if (!tensor->data)
		return err_set(err, ERR_LIMIT, "input \"%s\": more memory than one request may use", port->name);
	return fill(port, data, tensor, err);
}

/* The names of all ports, for messages. */
static const char *names_of(const struct port *ports, size_t count, char *out, size_t size) {
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < count && used < size - 1; i++) {
		int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", ports[i].name);
		used += n > 0 ? (size_t) n : 0;
	}
	return out;
}

static size_t port_index(const struct port *ports, size_t count, struct str name) {
	size_t i = 0;
	while (i < count && !str_is(name, ports[i].name))
		i++;
	return i;
}

static int decode_inputs(const struct model *model, const struct value *list, struct arena *arena, struct tensor *inputs, struct err *err) {
	const struct port *ports;
	size_t count = model_inputs(model, &ports);
	uint64_t seen = 0;
	char names[512];
	if (!list || list->kind != VALUE_ARRAY)
		return err_set(err, ERR_INVALID, "inputs is missing, or no list");
	value_each(input, list) {
		struct str name;
		if (value_need_str(input, "name", &name, err) != 0)
			return err_wrap(err, "inputs");
		size_t i = port_index(ports, count, name);
		if (i == count)
			return err_set(err, ERR_INVALID, "input \"%.*s\": the model has no such input; it takes %s", STR_ARGS(name),
				names_of(ports, count, names, sizeof(names)));
		if (seen & (uint64_t) 1 << i)
			return err_set(err, ERR_INVALID, "input \"%s\" is given twice", ports[i].name);
		seen |= (uint64_t) 1 << i;
		if (decode_input(&ports[i], input, arena, &inputs[i], err) != 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (!(seen & (uint64_t) 1 << i))
			return err_set(err, ERR_INVALID, "input \"%s\" is missing; the model takes %s", ports[i].name,
				names_of(ports, count, names, sizeof(names)));
	return 0;
}

static int decode_outputs(const struct model *model, const struct value *list, uint64_t *want, struct err *err) {
	const struct port *ports;
	size_t count = model_outputs(model, &ports);
	char names[512];
	*want = ~(uint64_t) 0;
	if (!list || list->kind == VALUE_NULL)
		return 0;
	if (list->kind != VALUE_ARRAY)
		return err_set(err, ERR_INVALID, "outputs is no list");
	if (list->count > 0)
		*want = 0;
	value_each(output, list) {
		struct str name;
		if (value_need_str(output, "name", &name, err) != 0)
			return err_wrap(err, "outputs");
		size_t i = port_index(ports, count, name);
		if (i == count)
			return err_set(err, ERR_INVALID, "output \"%.*s\": the model has no such output; it has %s", STR_ARGS(name),
				names_of(ports, count, names, sizeof(names)));
		*want |= (uint64_t) 1 << i;
	}
	return 0;
}

int oip_decode(const struct model *model, const struct value *body, struct arena *arena, struct tensor inputs[MODEL_PORTS_MAX],
	struct oip_request *request, struct err *err) {
	struct oip_request made = {0};
	if (body->kind != VALUE_OBJECT)
		return err_set(err, ERR_INVALID, "the body is no JSON object");
	const struct value *parameters = value_get(body, "parameters");
	if (parameters && parameters->kind != VALUE_OBJECT)
		return err_set(err, ERR_INVALID, "parameters is no object");
	if (value_opt_str(body, "id", (struct str) {NULL, 0}, &made.id, err) != 0)
		return -1;
	if (decode_outputs(model, value_get(body, "outputs"), &made.want, err) != 0)
		return -1;
	if (decode_inputs(model, value_get(body, "inputs"), arena, inputs, err) != 0)
		return -1;
	*request = made;
	return 0;
}

static void put_element(const struct tensor *tensor, size_t at, struct buf *out) {
	switch (tensor->dtype) {
	case DTYPE_FLOAT:
		number_float(out, ((const float *) tensor->data)[at]);
		return;
	case DTYPE_DOUBLE:
		number_double(out, ((const double *) tensor->data)[at]);
		return;
	case DTYPE_INT64:
		number_int(out, ((const int64_t *) tensor->data)[at]);
		return;
	case DTYPE_INT32:
		number_int(out, ((const int32_t *) tensor->data)[at]);
		return;
	case DTYPE_INT8:
		number_int(out, ((const int8_t *) tensor->data)[at]);
		return;
	case DTYPE_UINT8:
		number_int(out, ((const uint8_t *) tensor->data)[at]);
		return;
	case DTYPE_BOOL:
		buf_text(out, ((const uint8_t *) tensor->data)[at] ? "true" : "false");
		return;
	case DTYPE_STRING:
		json_quote(out, ((const struct str *) tensor->data)[at]);
		return;
	case DTYPE_NONE:
		return;
	}
}

static void put_shape(const struct shape *shape, struct buf *out) {
	buf_char(out, '[');
	for (int i = 0; i < shape->rank; i++) {
		if (i)
			buf_char(out, ',');
		number_int(out, shape->dims[i]);
	}
	buf_char(out, ']');
}

static void put_output(const char *name, const struct tensor *tensor, struct buf *out) {
	buf_text(out, "{\"name\":");
	json_quote(out, str_of(name));
	buf_text(out, ",\"datatype\":\"");
	buf_text(out, dtype_oip_name(tensor->dtype));
	buf_text(out, "\",\"shape\":");
	put_shape(&tensor->shape, out);
	buf_text(out, ",\"data\":[");
	size_t count = (size_t) shape_count(&tensor->shape);
	for (size_t i = 0; i < count && !out->failed; i++) {
		if (i)
			buf_char(out, ',');
		put_element(tensor, i, out);
	}
	buf_text(out, "]}");
}

void oip_encode(const struct model *model, const struct oip_request *request, const struct tensor *outputs, struct buf *out) {
	const struct port *ports;
	size_t count = model_outputs(model, &ports);
	bool is_first = true;
	buf_text(out, "{\"model_name\":");
	json_quote(out, str_of(model_name(model)));
	buf_text(out, ",\"model_version\":\"" OIP_VERSION "\"");
	if (request->id.ptr) {
		buf_text(out, ",\"id\":");
		json_quote(out, request->id);
	}
	buf_text(out, ",\"outputs\":[");
	for (size_t i = 0; i < count; i++) {
		if (!(request->want & (uint64_t) 1 << i))
			continue;
		if (!is_first)
			buf_char(out, ',');
		is_first = false;
		put_output(ports[i].name, &outputs[i], out);
	}
	buf_text(out, "]}");
}

void oip_server_metadata(struct buf *out) {
	buf_text(out, "{\"name\":\"mlctl-runner\",\"version\":\"" MLCTL_VERSION "\",\"extensions\":[]}");
}

void oip_ports(const struct port *ports, size_t count, struct buf *out) {
	buf_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",{\"name\":" : "{\"name\":");
		json_quote(out, str_of(ports[i].name));
		buf_format(out, ",\"datatype\":\"%s\",\"shape\":", dtype_oip_name(ports[i].dtype));
		put_shape(&ports[i].shape, out);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

void oip_model_metadata(const struct model *model, struct buf *out) {
	const struct port *ports;
	buf_text(out, "{\"name\":");
	json_quote(out, str_of(model_name(model)));
	buf_format(out, ",\"versions\":[\"" OIP_VERSION "\"],\"platform\":\"mlctl_%s\",\"inputs\":", model_format(model));
	size_t count = model_inputs(model, &ports);
	oip_ports(ports, count, out);
	buf_text(out, ",\"outputs\":");
	count = model_outputs(model, &ports);
	oip_ports(ports, count, out);
	buf_char(out, '}');
}
