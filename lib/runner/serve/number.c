#include "runner/serve/number.h"


#define TEXT_MAX 32

void number_int(struct buf *out, int64_t value) {
	char text[TEXT_MAX];
	size_t at = sizeof(text);
	uint64_t left = value < 0 ? 0 - (uint64_t) value : (uint64_t) value;
	do {
		text[--at] = (char) ('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		text[--at] = '-';
	buf_add(out, text + at, sizeof(text) - at);
}

/* Whole numbers that both types hold exactly; -0 keeps its sign and so does not count. */
static bool is_small_whole(double value) {
	return value > -1e7 && value < 1e7 && value == (double) (int64_t) value && !(value == 0 && __builtin_signbit(value));
}

void number_double(struct buf *out, double value) {
	if (is_small_whole(value)) {
		number_int(out, (int64_t) value);
		return;
	}
	char text[TEXT_MAX];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (digits == 17 || strtod(text, NULL) == value)
			break;
	}
	buf_text(out, text);
}

void number_float(struct buf *out, float value) {
	if (is_small_whole((double) value)) {
		number_int(out, (int64_t) value);
		return;
	}
	char text[TEXT_MAX];
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double) value);
		if (digits == 9 || strtof(text, NULL) == value)
			break;
	}
	buf_text(out, text);
}
