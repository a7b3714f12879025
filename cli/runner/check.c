#include "runner.h"
#include "data/value.h"
#include "runner/ops/ops.h"
#include "runner/serve/golden.h"

#include <sys/resource.h>

#define DOCUMENT_BYTES_MAX ((size_t) 1024 * 1024)

struct report {
	struct model *model;
	bool has_golden;
	struct golden_result golden;
	double load_ms;
	int64_t peak_bytes;
};

static int64_t peak_bytes(void) {
	struct rusage usage = {0};
	getrusage(RUSAGE_SELF, &usage);
	return (int64_t) usage.ru_maxrss * 1024;
}

static void put_member(struct buf *out, const char *name, const char *text) {
	buf_format(out, "\"%s\":", name);
	json_quote(out, str_of(text));
}

static void put_ports(struct buf *out, const char *name, const struct port *ports, size_t count) {
	buf_format(out, ",\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",{" : "{");
		put_member(out, "name", ports[i].name);
		buf_format(out, ",\"dtype\":\"%s\",\"shape\":[", dtype_name(ports[i].dtype));
		for (int d = 0; d < ports[i].shape.rank; d++)
			buf_format(out, "%s%lld", d ? "," : "", (long long) ports[i].shape.dims[d]);
		buf_text(out, "]}");
	}
	buf_char(out, ']');
}

static void put_model(struct buf *out, const struct model *model) {
	const struct port *ports;
	buf_text(out, "\"model\":{");
	put_member(out, "name", model_name(model));
	buf_char(out, ',');
	put_member(out, "format", model_format(model));
	buf_format(out, ",\"opset\":%d,", model_opset(model));
	put_member(out, "digest", model_digest(model)->text);
	size_t count = model_inputs(model, &ports);
	put_ports(out, "inputs", ports, count);
	count = model_outputs(model, &ports);
	put_ports(out, "outputs", ports, count);
	buf_char(out, '}');
}

static void put_golden(struct buf *out, const struct golden_result *golden) {
	buf_format(out, ",\"golden\":{\"passed\":%lld,\"total\":%lld,\"tolerance\":%.15g,\"max_difference\":%.6g,\"mismatch\":", (long long) golden->passed,
		(long long) golden->total, GOLDEN_TOLERANCE, golden->difference_max);
	if (golden->first.line == 0) {
		buf_text(out, "null}");
	} else {
		buf_format(out, "{\"line\":%lld,\"row\":%lld,", (long long) golden->first.line, (long long) golden->first.row);
		put_member(out, "output", golden->first.output);
		buf_char(out, ',');
		put_member(out, "got", golden->first.got);
		buf_char(out, ',');
		put_member(out, "expected", golden->first.expected);
		buf_text(out, "}}");
	}
	buf_format(out, ",\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f}", golden->p50_us, golden->p99_us);
}

static void print_json(const struct report *report, const struct err *err) {
	AUTO_BUF struct buf out = BUF(DOCUMENT_BYTES_MAX);
	buf_text(&out, "{\"schema\":\"mlctl-runner.check/1\",");
	if (err->code != ERR_NONE) {
		buf_text(&out, "\"error\":{");
		put_member(&out, "kind", err_kind(err->code));
		buf_char(&out, ',');
		put_member(&out, "message", err->message);
		buf_char(&out, ',');
		put_member(&out, "fix", err->fix);
		buf_char(&out, '}');
	} else {
		put_model(&out, report->model);
		buf_format(&out, ",\"load_ms\":%.3f,\"peak_bytes\":%lld", report->load_ms, (long long) report->peak_bytes);
		if (report->has_golden)
			put_golden(&out, &report->golden);
		else
			buf_text(&out, ",\"golden\":null,\"latency_us\":null");
	}
	buf_char(&out, '}');
	puts(buf_view(&out).ptr);
}

static void print_text(const struct report *report) {
	char bytes[NUM_HUMAN_MAX];
	const struct golden_result *golden = &report->golden;
	printf("model   %s  %s opset %d  %s\n", model_name(report->model), model_format(report->model), model_opset(report->model),
		model_digest(report->model)->text);
	printf("load    %.1f ms, peak memory %s\n", report->load_ms, num_human_bytes(report->peak_bytes, bytes));
	if (!report->has_golden)
		return;
	printf("golden  %lld/%lld, largest difference %.3g, p50 %.0f us, p99 %.0f us\n", (long long) golden->passed, (long long) golden->total,
		golden->difference_max, golden->p50_us, golden->p99_us);
	if (golden->first.line)
		printf("        line %lld, row %lld, %s: got %s, expected %s\n", (long long) golden->first.line, (long long) golden->first.row,
			golden->first.output[0] ? golden->first.output : "refused", golden->first.got, golden->first.expected);
}

static int check(struct report *report, const struct options *options, struct err *err) {
	if (!options->model)
		return err_set(err, ERR_USAGE, "--model is missing: the file or folder to load");
	int64_t before_us = http_mono_us();
	if (model_load(options->model, options->name, &ops_all, &report->model, err) != 0)
		return -1;
	report->load_ms = (double) (http_mono_us() - before_us) / 1000;
	report->has_golden = options->golden != NULL;
	if (options->golden && golden_check(report->model, options->golden, &report->golden, err) != 0)
		return -1;
	report->peak_bytes = peak_bytes();
	return 0;
}

int runner_check(const struct options *options, struct err *err) {
	struct report report = {0};
	int rc = check(&report, options, err);
	int code = rc == 0 ? report.golden.passed == report.golden.total ? 0 : 4 : runner_exit_code(err);
	if (options->is_json)
		print_json(&report, err);
	else if (rc == 0)
		print_text(&report);
	model_free(report.model);
	return code;
}
