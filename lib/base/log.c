#include "base/log.h"

#include <stdarg.h>

#define LINE_BYTES_MAX ((size_t) 16 * 1024)

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
	redactor_apply(log->redact, (struct str) {text, len}, &line);
	fprintf(log->out, "%lld %s\n", log->clock ? (long long) clock_mono_ms(log->clock) : 0LL, line.ptr ? line.ptr : "");
	fflush(log->out);
}
