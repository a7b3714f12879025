#include "base/log.h"

#include <stdarg.h>

#define LINE_BYTES_MAX ((size_t) 16 * 1024)

/* The ground knows no JSON: what is not plain ASCII is a question mark here, so that the line is valid whatever was logged. */
static void write_event(FILE *out, long long now, struct str text) {
	fprintf(out, "{\"event\":\"log\",\"mono_ms\":%lld,\"text\":\"", now);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char) text.ptr[i];
		if (c == '"' || c == '\\')
			fputc('\\', out);
		fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
	}
	fputs("\"}\n", out);
}

void log_debug(const struct log *log, const char *format, ...) {
	if (!log || !log->out)
		return;
	char text[4096];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	size_t len = (size_t) n < sizeof(text) ? (size_t) n : sizeof(text) - 1;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	AUTO_BUF struct buf line = BUF(LINE_BYTES_MAX);
	redactor_apply(log->redact, (struct str){text, len}, &line);
	long long now = log->clock ? (long long) clock_mono_ms(log->clock) : 0LL;
	if (log->is_json)
		write_event(log->out, now, buf_view(&line));
	else
		fprintf(log->out, "%lld %s\n", now, line.ptr ? line.ptr : "");
	fflush(log->out);
}
