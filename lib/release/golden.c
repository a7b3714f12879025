#include "release/golden.h"

#include <math.h>

#define TOLERANCE_DEFAULT 1e-4
#define DEPTH_MAX 64
#define PATH_BYTES_MAX 512

void golden_free(struct golden *golden) {
	if (!golden)
		return;
	for (size_t i = 0; i < GOLDEN_EXAMPLES_MAX; i++) {
		free(golden->examples[i].body);
		free(golden->examples[i].path);
		document_free(golden->documents[i]);
	}
	free(golden);
}

/* The request is the line without what is expected of the answer. */
static int make_body(const struct value *line, char **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("request");
	struct value *root = value_root_object(document);
	value_each(member, line) {
		if (str_is(member->key, "predictions") || str_is(member->key, "tolerance"))
			continue;
		AUTO_FREE char *key = str_dup(member->key);
		value_add_copy(document, root, key, member);
	}
	return json_write(root, JSON_COMPACT, out, err);
}

static bool is_path(struct str text) {
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f || text.ptr[i] == '#')
			return false;
	return text.len > 0 && text.len <= PATH_BYTES_MAX && text.ptr[0] == '/';
}

/* Of another server: its request and its answer as they are. */
static int read_exchange(struct golden_example *example, const struct value *line, const struct value *request, int number, struct err *err) {
	struct str path;
	example->expected = value_get(line, "answer");
	example->is_whole = true;
	if (!example->expected)
		return err_set(err, ERR_INVALID, "golden example %d: answer: missing", number);
	if (value_opt_str(line, "path", STR("/predict"), &path, err) != 0 || !is_path(path)) {
		err_clear(err);
		return err_set(err, ERR_INVALID, "golden example %d: path: must be a path, as in /v2/models/fraud/infer", number);
	}
	example->path = str_dup(path);
	return json_write(request, JSON_COMPACT, &example->body, err);
}

static int read_line(struct golden *golden, struct str line, int number, struct err *err) {
	char name[40];
	snprintf(name, sizeof(name), "golden:%d", number);
	struct document **document = &golden->documents[golden->count];
	struct golden_example *example = &golden->examples[golden->count];
	if (json_read(name, line, VALUE_LIMITS_CONFIG, document, err) != 0)
		return -1;
	const struct value *request = value_get((*document)->root, "request");
	example->expected = value_get((*document)->root, "predictions");
	if (!request && !example->expected)
		return err_set(err, ERR_INVALID, "golden example %d: predictions: missing", number);
	if (value_opt_double((*document)->root, "tolerance", TOLERANCE_DEFAULT, &example->tolerance, err) != 0)
		return err_wrap(err, "golden example %d", number);
	if (request ? read_exchange(example, (*document)->root, request, number, err) != 0 : make_body((*document)->root, &example->body, err) != 0)
		return -1;
	if (!request)
		example->path = mem_text("/predict");
	golden->count++;
	return 0;
}

int golden_read(const char *text, struct golden **out, struct err *err) {
	struct golden *golden CLEANUP(golden_at_exit) = NEW(struct golden);
	struct str rest = str_of(text);
	for (int number = 1; rest.ptr && golden->count < GOLDEN_EXAMPLES_MAX; number++) {
		struct str line = str_trim(str_cut(rest, '\n', &rest));
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len && read_line(golden, line, number, err) != 0)
			return -1;
	}
	*out = take(&golden);
	return 0;
}

static bool is_whole(struct str number) {
	for (size_t i = 0; i < number.len; i++)
		if (number.ptr[i] == '.' || number.ptr[i] == 'e' || number.ptr[i] == 'E')
			return false;
	return true;
}

static bool is_near(const struct value *want, const struct value *got, double tolerance) {
	if (want->kind != got->kind)
		return false;
	if (want->kind == VALUE_BOOL)
		return want->boolean == got->boolean;
	if (want->kind != VALUE_NUMBER || str_equal(want->text, got->text) || (is_whole(want->text) && is_whole(got->text)))
		return str_equal(want->text, got->text);
	double a, b;
	if (num_double(want->text, &a) != 0 || num_double(got->text, &b) != 0)
		return false;
	return fabs(a - b) <= tolerance * fmax(1, fabs(a));
}

static int differs(const struct value *want, const struct value *got, struct err *err) {
	return err_set(err, ERR_INVALID, "answered %.*s where %.*s was expected%s%.*s",
		STR_ARGS(got->text.ptr ? got->text : STR("something else")), STR_ARGS(want->text.ptr ? want->text : STR("something else")),
		want->key.len ? " for " : "", STR_ARGS(want->key));
}

/* Walks what is expected; members of the answer that nobody expected are fine, missing ones and other lengths of lists are not. */
int golden_compare(const struct golden_example *example, struct str answer, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	if (json_read("answer", answer, VALUE_LIMITS_WIRE, &document, err) != 0)
		return -1;
	const struct value *got = example->is_whole ? document->root : value_get(document->root, "predictions");
	if (!got)
		return err_set(err, ERR_INVALID, "the answer has no predictions");
	struct {
		const struct value *want, *parent, *item;
	} levels[DEPTH_MAX];
	const struct value *want = example->expected;
	int depth = 0;
	for (;;) {
		bool is_inner = want->kind == VALUE_ARRAY || want->kind == VALUE_OBJECT;
		if (is_inner ? want->kind != got->kind : !is_near(want, got, example->tolerance))
			return differs(want, got, err);
		if (want->kind == VALUE_ARRAY && want->count != got->count)
			return err_set(err, ERR_INVALID, "answered %zu values where %zu were expected", got->count, want->count);
		if (is_inner && want->first) {
			if (depth == DEPTH_MAX)
				return err_set(err, ERR_LIMIT, "nested deeper than %d", DEPTH_MAX);
			levels[depth].want = want->first;
			levels[depth].parent = got;
			levels[depth++].item = got->first;
		}
		while (depth && !levels[depth - 1].want)
			depth--;
		if (!depth)
			return 0;
		want = levels[depth - 1].want;
		const struct value *parent = levels[depth - 1].parent;
		AUTO_FREE char *key = parent->kind == VALUE_OBJECT ? str_dup(want->key) : NULL;
		got = key ? value_get(parent, key) : levels[depth - 1].item;
		if (!got)
			return err_set(err, ERR_INVALID, "the answer lacks %.*s", STR_ARGS(want->key));
		levels[depth - 1].want = want->next;
		levels[depth - 1].item = levels[depth - 1].item ? levels[depth - 1].item->next : NULL;
	}
}
