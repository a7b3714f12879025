#include "runner/serve/examples.h"

#include "runner/serve/rows.h"

#define TRIES_EACH 8    /* rows tried for each line wanted */
#define WIDTHS_MAX 1024 /* tried where the model does not say how many features it takes */
#define BATCH_MAX 1024
#define ROW_BYTES_MAX ((size_t) 4 * 1024 * 1024)

/* How far the numbers of one line reach: features are shares, counts, ages, amounts. */
static const struct spread {
	const char *format;
	double low, high;
	uint64_t integers; /* 0 to one less */
} spreads[] = {{"%.2f", 0, 1, 2}, {"%.1f", 0, 10, 10}, {"%.2f", -1, 1, 2}, {"%.0f", 0, 100, 100}, {"%.2f", 0, 1, 5}};
#define SPREADS (sizeof(spreads) / sizeof(spreads[0]))

static const char *const words[] = {"a", "b", "yes", "no", "1", "0", "red", "low", "a short text", "x"};
#define WORDS (sizeof(words) / sizeof(words[0]))

struct maker {
	const struct model *model;
	struct run *run;
	struct arena arena;
	struct buf request, answer;
	uint64_t seed;
	int64_t width; /* of dimensions that the model leaves open */
};

/* A linear congruential generator with Knuth's multiplier (MMIX), of which the high bits are good enough: the same on every machine. */
static uint64_t draw(struct maker *maker, uint64_t below) {
	maker->seed = maker->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (maker->seed >> 33) % below;
}

static void put_made_up(struct maker *maker, enum dtype dtype, const struct spread *spread) {
	struct buf *out = &maker->request;
	switch (dtype) {
	case DTYPE_FLOAT:
	case DTYPE_DOUBLE: buf_format(out, spread->format, spread->low + (spread->high - spread->low) * (double) draw(maker, 1001) / 1000); return;
	case DTYPE_STRING: json_quote(out, str_of(words[draw(maker, WORDS)])); return;
	case DTYPE_BOOL: buf_text(out, draw(maker, 2) ? "true" : "false"); return;
	default: buf_format(out, "%llu", (unsigned long long) draw(maker, spread->integers)); return;
	}
}

/* One row of one input: a value, or lists as deep as the input's shape. */
static void put_part(struct maker *maker, const struct port *port, const struct spread *spread) {
	int64_t sizes[TENSOR_RANK_MAX], total = 1;
	int levels = port->shape.rank - 1;
	for (int d = 0; d < levels; d++) {
		sizes[d] = port->shape.dims[d + 1] < 0 ? maker->width : port->shape.dims[d + 1];
		total *= sizes[d];
	}
	for (int64_t i = 0; i < total && !maker->request.failed; i++) {
		int64_t block = total;
		for (int d = 0; d < levels; d++) {
			if (i % block == 0)
				buf_char(&maker->request, '[');
			block /= sizes[d];
		}
		put_made_up(maker, port->dtype, spread);
		block = 1;
		for (int d = levels - 1; d >= 0; d--) {
			block *= sizes[d];
			if ((i + 1) % block == 0)
				buf_char(&maker->request, ']');
		}
		if (i + 1 < total)
			buf_text(&maker->request, ", ");
	}
}

/* The columns of a table come as one object a row; a single input is the row itself. */
static void put_row(struct maker *maker, const struct port *ports, size_t count, const struct spread *spread) {
	if (count == 1) {
		put_part(maker, &ports[0], spread);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		bool is_column = ports[i].shape.rank == 2 && ports[i].shape.dims[1] == 1;
		struct port port = ports[i];
		if (is_column)
			port.shape.rank = 1; /* a plain value stands for a list of one */
		buf_text(&maker->request, i ? ", " : "{");
		json_quote(&maker->request, str_of(port.name));
		buf_text(&maker->request, ": ");
		put_part(maker, &port, spread);
	}
	buf_char(&maker->request, '}');
}

static void make_request(struct maker *maker, const struct spread *spread) {
	const struct port *ports;
	size_t count = model_inputs(maker->model, &ports);
	int64_t rows = count && ports[0].shape.rank && ports[0].shape.dims[0] > 0 ? ports[0].shape.dims[0] : 1;
	buf_reset(&maker->request);
	buf_text(&maker->request, "{\"rows\": [");
	for (int64_t i = 0; i < rows && i < BATCH_MAX; i++) {
		buf_text(&maker->request, i ? ", " : "");
		put_row(maker, ports, count, spread);
	}
	buf_text(&maker->request, "]}");
}

/* The same way that a client's request takes. */
static int ask(struct maker *maker, struct err *err) {
	struct tensor inputs[MODEL_PORTS_MAX], outputs[MODEL_PORTS_MAX];
	AUTO_DOCUMENT struct document *request = NULL;
	const struct port *ports;
	size_t count = model_outputs(maker->model, &ports);
	int64_t rows;
	arena_reset(&maker->arena);
	buf_reset(&maker->answer);
	if (buf_check(&maker->request, "a row of this model", err) != 0 ||
		json_read("row", buf_view(&maker->request), VALUE_LIMITS_WIRE, &request, err) != 0 ||
		rows_decode(maker->model, request->root, &maker->arena, inputs, &rows, err) != 0 ||
		model_run(maker->model, maker->run, inputs, ~UINT64_C(0), outputs, err) != 0)
		return -1;
	int bad = outputs_not_finite(outputs, count, ~UINT64_C(0));
	if (bad >= 0)
		return err_set(err, ERR_INVALID, "output %s is not a finite number", ports[bad].name);
	return rows_encode(maker->model, outputs, rows, &maker->answer, err);
}

/* A request and its answer as one line: {"rows": [...], "predictions": [...]}. The answer is {"model":NAME,"predictions":[...]}. */
static void put_line(struct maker *maker, struct buf *out) {
	AUTO_BUF struct buf head = BUF(8192);
	struct str answer = buf_view(&maker->answer);
	buf_text(&head, "{\"model\":");
	json_quote(&head, str_of(model_name(maker->model)));
	buf_text(&head, ",\"predictions\":");
	buf_str(out, (struct str) {maker->request.ptr, maker->request.len - 1});
	buf_text(out, ", \"predictions\": ");
	buf_str(out, (struct str) {answer.ptr + head.len, answer.len - head.len - 1});
	buf_text(out, "}\n");
}

static bool has_open_width(const struct model *model) {
	const struct port *ports;
	size_t count = model_inputs(model, &ports);
	for (size_t i = 0; i < count; i++)
		for (int d = 1; d < ports[i].shape.rank; d++)
			if (ports[i].shape.dims[d] < 0)
				return true;
	return false;
}

static int make(struct maker *maker, int64_t count, struct buf *out, struct err *err) {
	bool is_width_open = has_open_width(maker->model);
	struct err refused = {0};
	int64_t written = 0, tries = is_width_open ? WIDTHS_MAX : 0;
	tries += count * TRIES_EACH;
	for (int64_t i = 0; i < tries && written < count; i++) {
		struct err why = {0};
		make_request(maker, &spreads[i % (int64_t) SPREADS]);
		if (ask(maker, &why) == 0) {
			if (out->len + maker->request.len + maker->answer.len > EXAMPLES_BYTES_MAX) {
				err_set(&refused, ERR_LIMIT, "one row and its answer take more than %zu bytes", EXAMPLES_BYTES_MAX);
				break;
			}
			put_line(maker, out);
			written++;
			continue;
		}
		if (refused.code == ERR_NONE)
			refused = why;
		if (is_width_open && written == 0)
			maker->width = maker->width < WIDTHS_MAX ? maker->width + 1 : 1;
	}
	if (written > 0)
		return buf_check(out, "the examples", err);
	err_set(err, ERR_INVALID, "the model answers none of the rows that were made up for it: %s", refused.message);
	return err_fix(err, "write golden.jsonl by hand, a line each: {\"rows\": [...], \"predictions\": [...]}");
}

int examples_write(const struct model *model, int64_t count, struct buf *out, struct err *err) {
	struct maker maker = {.model = model, .run = run_new(model), .request = BUF(ROW_BYTES_MAX), .answer = BUF(ROW_BYTES_MAX), .width = 1};
	int rc = make(&maker, count, out, err);
	run_free(maker.run);
	arena_clear(&maker.arena);
	buf_clear(&maker.request);
	buf_clear(&maker.answer);
	return rc;
}
