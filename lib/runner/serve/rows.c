#include "runner/serve/rows.h"

#include "runner/serve/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#define SHOWN_BYTES 40   /* of a client's value in a message */
#define NAMES_BYTES 200  /* of the list of inputs in a message */

/* Where a value stands, for messages: "row 3, column 2 of X". */
struct cell {
	const struct port *port;
	int64_t row, column; /* from 1; column 0: the row's value is no list */
};

static int refuse(const struct cell *cell, const struct value *v, const char *wanted, struct err *err) {
	static const char *const kinds[] = {"null", "true or false", "the number ", "the text ", "a list", "an object"};
	bool has_text = v->kind == VALUE_NUMBER || v->kind == VALUE_STRING;
	char column[32] = "";
	if (cell->column)
		snprintf(column, sizeof(column), ", column %lld", (long long) cell->column);
	return err_set(err, ERR_INVALID, "row %lld%s of %s is %s%.*s%s: %s", (long long) cell->row, column, cell->port->name, kinds[v->kind],
		has_text ? (int) (v->text.len < SHOWN_BYTES ? v->text.len : SHOWN_BYTES) : 0, has_text && v->text.ptr ? v->text.ptr : "",
		has_text && v->text.len > SHOWN_BYTES ? "..." : "", wanted);
}

static int put_real(const struct cell *cell, const struct value *v, void *out, int64_t at, struct err *err) {
	double number = NAN;
	bool is_float = cell->port->dtype == DTYPE_FLOAT;
	if (v->kind != VALUE_NULL && v->kind != VALUE_NUMBER)
		return refuse(cell, v, "a number is needed, or null where it is missing", err);
	if (v->kind == VALUE_NUMBER && (num_double(v->text, &number) != 0 || (is_float && fabs(number) > (double) FLT_MAX)))
		return refuse(cell, v, is_float ? "it does not fit a float32" : "it does not fit a float64", err);
	if (is_float)
		((float *) out)[at] = (float) number;
	else
		((double *) out)[at] = number;
	return 0;
}

static int put_integer(const struct cell *cell, const struct value *v, void *out, int64_t at, struct err *err) {
	static const struct {
		int64_t min, max;
	} ranges[] = {[DTYPE_INT64] = {INT64_MIN, INT64_MAX}, [DTYPE_INT32] = {INT32_MIN, INT32_MAX}, [DTYPE_INT8] = {INT8_MIN, INT8_MAX},
		      [DTYPE_UINT8] = {0, UINT8_MAX}};
	int64_t number;
	enum dtype dtype = cell->port->dtype;
	if (v->kind != VALUE_NUMBER)
		return refuse(cell, v, "a whole number is needed", err);
	if (num_int(v->text, ranges[dtype].min, ranges[dtype].max, &number) != 0) {
		char wanted[64];
		snprintf(wanted, sizeof(wanted), "a whole number that fits %s is needed", dtype_name(dtype));
		return refuse(cell, v, wanted, err);
	}
	switch (dtype) {
	case DTYPE_INT64: ((int64_t *) out)[at] = number; return 0;
	case DTYPE_INT32: ((int32_t *) out)[at] = (int32_t) number; return 0;
	case DTYPE_INT8: ((int8_t *) out)[at] = (int8_t) number; return 0;
	default: ((uint8_t *) out)[at] = (uint8_t) number; return 0;
	}
}

static int put_value(const struct cell *cell, const struct value *v, void *out, int64_t at, struct err *err) {
	switch (cell->port->dtype) {
	case DTYPE_FLOAT:
	case DTYPE_DOUBLE: return put_real(cell, v, out, at, err);
	case DTYPE_BOOL:
		if (v->kind != VALUE_BOOL)
			return refuse(cell, v, "true or false is needed", err);
		((uint8_t *) out)[at] = v->boolean;
		return 0;
	case DTYPE_STRING:
		if (v->kind != VALUE_STRING)
			return refuse(cell, v, "a string is needed", err);
		((struct str *) out)[at] = v->text;
		return 0;
	default: return put_integer(cell, v, out, at, err);
	}
}

static int check_list(const struct cell *cell, const struct value *v, int64_t count, struct err *err) {
	char wanted[96];
	snprintf(wanted, sizeof(wanted), "a list of %lld values is needed", (long long) count);
	if (v->kind != VALUE_ARRAY)
		return refuse(cell, v, wanted, err);
	if ((int64_t) v->count == count)
		return 0;
	return err_set(err, ERR_INVALID, "row %lld of %s has %zu values, %lld are needed", (long long) cell->row, cell->port->name, v->count,
		(long long) count);
}

/* One row's value into its place, walking nested lists with a stack of cursors. A plain value may stand for a list of one. */
static int put_row(const struct port *port, const struct shape *shape, int64_t row, const struct value *v, void *out, struct err *err) {
	struct cell cell = {port, row + 1, 0};
	int64_t size = 1;
	for (int dim = 1; dim < shape->rank; dim++)
		size *= shape->dims[dim];
	int64_t at = row * size;
	int levels = shape->rank - 1;
	if (levels <= 0 || (size == 1 && v->kind != VALUE_ARRAY))
		return put_value(&cell, v, out, at, err);
	if (check_list(&cell, v, shape->dims[1], err) != 0)
		return -1;
	const struct value *cursors[TENSOR_RANK_MAX] = {v->first};
	for (int level = 0; level >= 0;) {
		const struct value *next = cursors[level];
		if (!next) {
			level--;
			continue;
		}
		cursors[level] = next->next;
		if (level == levels - 1) {
			cell.column = at % size + 1;
			if (put_value(&cell, next, out, at++, err) != 0)
				return -1;
			continue;
		}
		if (check_list(&cell, next, shape->dims[level + 2], err) != 0)
			return -1;
		cursors[++level] = next->first;
	}
	return 0;
}

/* The input's part of a row: a member of the row's object, or the row itself when there is one input and no such member. */
static int part_of(const struct port *port, size_t inputs, const struct value *row, int64_t number, const struct value **out, struct err *err) {
	if (inputs == 1 && row->kind != VALUE_OBJECT) {
		*out = row;
		return 0;
	}
	*out = value_get(row, port->name);
	if (*out)
		return 0;
	if (row->kind != VALUE_OBJECT) {
		err_set(err, ERR_INVALID, "row %lld is not an object: the model has %zu inputs, so each row names them", (long long) number, inputs);
		return err_fix(err, "{\"rows\": [{\"%s\": ..., ...}]}", port->name);
	}
	return err_set(err, ERR_INVALID, "row %lld has no %s", (long long) number, port->name);
}

/* A member that is no input is a mistake: a misspelt feature would be left out without a word. */
static int check_members(const struct port *ports, size_t inputs, const struct value *row, int64_t number, struct err *err) {
	if (row->kind != VALUE_OBJECT || row->count <= inputs)
		return 0;
	value_each(member, row) {
		bool is_known = false;
		for (size_t i = 0; i < inputs && !is_known; i++)
			is_known = str_is(member->key, ports[i].name);
		if (!is_known)
			return err_set(err, ERR_INVALID, "row %lld has %.*s, which is no input of the model", (long long) number,
				(int) (member->key.len < NAMES_BYTES ? member->key.len : NAMES_BYTES), member->key.ptr);
	}
	return 0;
}

/* Dimensions that the model leaves open (but the first) are the first row's. */
static void shape_of_first(const struct value *part, int64_t rows, struct shape *shape) {
	if (shape->rank == 0)
		return;
	shape->dims[0] = rows;
	for (int dim = 1; dim < shape->rank; dim++) {
		if (shape->dims[dim] < 0)
			shape->dims[dim] = part && part->kind == VALUE_ARRAY ? (int64_t) part->count : 1;
		part = part && part->kind == VALUE_ARRAY ? part->first : NULL;
	}
}

static int decode_input(const struct port *port, size_t inputs, const struct value *list, struct arena *arena, struct tensor *out, struct err *err) {
	const struct value *part = NULL;
	int64_t rows = (int64_t) list->count, number = 0;
	if (list->first && part_of(port, inputs, list->first, 1, &part, err) != 0)
		return -1;
	*out = (struct tensor) {.dtype = port->dtype, .shape = port->shape};
	if (port->shape.rank == 0 || (port->shape.dims[0] >= 0 && port->shape.dims[0] != rows))
		return err_set(err, ERR_INVALID, "%lld rows were sent, the model takes %lld at a time", (long long) rows,
			port->shape.rank ? (long long) port->shape.dims[0] : 0LL);
	shape_of_first(part, rows, &out->shape);
	int64_t count = shape_count(&out->shape);
	out->data = count < 0 ? NULL : arena_alloc(arena, (size_t) count * dtype_size(out->dtype));
	if (!out->data)
		return err_set(err, ERR_LIMIT, "%lld rows are too many for one request", (long long) rows);
	value_each(row, list) {
		if (part_of(port, inputs, row, number + 1, &part, err) != 0 || put_row(port, &out->shape, number, part, out->data, err) != 0)
			return -1;
		number++;
	}
	return 0;
}

int rows_decode(const struct model *model, const struct value *request, struct arena *arena, struct tensor inputs[MODEL_PORTS_MAX], int64_t *rows,
	struct err *err) {
	const struct port *ports;
	size_t count = model_inputs(model, &ports);
	const struct value *list = request && request->kind == VALUE_OBJECT ? value_get(request, "rows") : request;
	if (!list || list->kind != VALUE_ARRAY) {
		err_set(err, ERR_INVALID, "the request has no list of rows");
		return err_fix(err, "{\"rows\": [[...], ...]}");
	}
	if (list->count == 0)
		return err_set(err, ERR_INVALID, "rows is empty: at least one row is needed");
	if (list->count > ROWS_MAX)
		return err_set(err, ERR_LIMIT, "%zu rows are too many for one request, at most %d", list->count, ROWS_MAX);
	int64_t number = 0;
	value_each(row, list) {
		if (check_members(ports, count, row, ++number, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (decode_input(&ports[i], count, list, arena, &inputs[i], err) != 0)
			return -1;
	*rows = (int64_t) list->count;
	return 0;
}

/* JSON has no word for NaN and the infinities. */
static void put_number(struct buf *out, double value, bool is_float) {
	if (!isfinite(value))
		buf_text(out, "null");
	else if (is_float)
		number_float(out, (float) value);
	else
		number_double(out, value);
}

static void put_element(struct buf *out, const struct tensor *tensor, int64_t i) {
	switch (tensor->dtype) {
	case DTYPE_FLOAT: put_number(out, (double) ((const float *) tensor->data)[i], true); return;
	case DTYPE_DOUBLE: put_number(out, ((const double *) tensor->data)[i], false); return;
	case DTYPE_INT64: number_int(out, ((const int64_t *) tensor->data)[i]); return;
	case DTYPE_INT32: number_int(out, ((const int32_t *) tensor->data)[i]); return;
	case DTYPE_INT8: number_int(out, ((const int8_t *) tensor->data)[i]); return;
	case DTYPE_UINT8: number_int(out, ((const uint8_t *) tensor->data)[i]); return;
	case DTYPE_BOOL: buf_text(out, ((const uint8_t *) tensor->data)[i] ? "true" : "false"); return;
	case DTYPE_STRING: json_quote(out, ((const struct str *) tensor->data)[i]); return;
	default: buf_text(out, "null"); return;
	}
}

static void put_key(struct buf *out, const struct tensor *keys, int64_t i) {
	if (keys->dtype == DTYPE_STRING)
		json_quote(out, ((const struct str *) keys->data)[i]);
	else
		buf_format(out, "\"%lld\"", (long long) ((const int64_t *) keys->data)[i]);
}

/* One row of an output: a value, a list, lists of lists, or ZipMap's object. A column of one is a value. */
static void put_output(struct buf *out, const struct port *port, const struct tensor *tensor, int64_t row) {
	int64_t size = 1;
	for (int dim = 1; dim < tensor->shape.rank; dim++)
		size *= tensor->shape.dims[dim];
	if (tensor->shape.rank == 1 || (tensor->shape.rank == 2 && size == 1 && !port->is_map_list)) {
		put_element(out, tensor, row);
		return;
	}
	for (int64_t i = 0; i < size; i++) {
		int64_t block = size;
		for (int dim = 1; dim < tensor->shape.rank; dim++) { /* a list opens where its first element stands */
			if (i % block == 0)
				buf_char(out, port->is_map_list ? '{' : '[');
			block /= tensor->shape.dims[dim];
		}
		if (port->is_map_list) {
			put_key(out, &port->keys, i);
			buf_char(out, ':');
		}
		put_element(out, tensor, row * size + i);
		block = 1;
		for (int dim = tensor->shape.rank - 1; dim >= 1; dim--) {
			block *= tensor->shape.dims[dim];
			if ((i + 1) % block == 0)
				buf_char(out, port->is_map_list ? '}' : ']');
		}
		if (i + 1 < size)
			buf_char(out, ',');
	}
	if (size == 0)
		buf_text(out, port->is_map_list ? "{}" : "[]");
}

int rows_encode(const struct model *model, const struct tensor *outputs, int64_t rows, struct buf *out, struct err *err) {
	const struct port *ports;
	size_t count = model_outputs(model, &ports);
	for (size_t i = 0; i < count; i++) {
		const struct tensor *tensor = &outputs[i];
		if (tensor->dtype != DTYPE_NONE && (tensor->shape.rank == 0 || tensor->shape.dims[0] != rows))
			return err_set(err, ERR_INVALID, "output %s has %lld entries for %lld rows, so it has no place in an answer by rows",
				ports[i].name, tensor->shape.rank ? (long long) tensor->shape.dims[0] : 1LL, (long long) rows);
	}
	buf_text(out, "{\"model\":");
	json_quote(out, str_of(model_name(model)));
	buf_text(out, ",\"predictions\":[");
	for (int64_t row = 0; row < rows && !out->failed; row++) {
		buf_text(out, row ? ",{" : "{");
		bool is_first = true;
		for (size_t i = 0; i < count; i++) {
			if (outputs[i].dtype == DTYPE_NONE)
				continue;
			if (!is_first)
				buf_char(out, ',');
			is_first = false;
			json_quote(out, str_of(ports[i].name));
			buf_char(out, ':');
			put_output(out, &ports[i], &outputs[i], row);
		}
		buf_char(out, '}');
	}
	buf_text(out, "]}");
	return buf_check(out, "the answer", err);
}
