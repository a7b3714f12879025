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

/* Powers of ten that a double holds exactly. */
static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define TENS_MAX 22
#define PLAIN_MIN 1e-5 /* what is written without an exponent */
#define PLAIN_MAX 1e7

/* The power of ten of the first digit, for PLAIN_MIN <= value < PLAIN_MAX. */
static int first_digit(double value) {
	int power = 0;
	if (value >= 1) {
		while (value >= tens[power + 1])
			power++;
		return power;
	}
	while (value * tens[-power] < 1)
		power--;
	return power;
}

/* number / 10^decimals as text, without zeros at its end. */
static void put_decimal(struct buf *out, bool is_negative, uint64_t number, int decimals) {
	char text[TEXT_MAX];
	size_t at = sizeof(text);
	while (decimals > 0 && number % 10 == 0) {
		number /= 10;
		decimals--;
	}
	for (int i = 0; i <= decimals || number; i++) {
		if (i == decimals && decimals > 0)
			text[--at] = '.';
		text[--at] = (char) ('0' + number % 10);
		number /= 10;
	}
	if (is_negative)
		text[--at] = '-';
	buf_add(out, text + at, sizeof(text) - at);
}

/* Is the double that a reader makes of number / 10^decimals, rounded once (both are exact, so the quotient is), this value? For a float the
 * quotient is rounded again; where it lies half-way between two floats that could go wrong, and counts as no. */
static bool reads_back(uint64_t number, int decimals, double value, bool is_float) {
	double quotient = (double) number / tens[decimals];
	if (!is_float)
		return quotient == value;
	uint64_t bits;
	memcpy(&bits, &quotient, sizeof(bits));
	return (bits & 0x1fffffff) != 0x10000000 && (float) quotient == (float) value;
}

/* The shortest text for everyday numbers, by arithmetic; false where that is not exact, and printf has to do it. */
static bool put_plain(struct buf *out, double value, bool is_float) {
	double size = value < 0 ? -value : value;
	if (!(size >= PLAIN_MIN && size < PLAIN_MAX))
		return false;
	int power = first_digit(size);
	for (int digits = is_float ? 6 : 15; digits <= (is_float ? 9 : 15); digits++) {
		int decimals = digits - 1 - power;
		if (decimals < 0 || decimals > TENS_MAX)
			continue;
		uint64_t number = (uint64_t) (size * tens[decimals] + 0.5);
		if (!reads_back(number, decimals, size, is_float))
			continue;
		put_decimal(out, value < 0, number, decimals);
		return true;
	}
	return false;
}

void number_double(struct buf *out, double value) {
	if (is_small_whole(value)) {
		number_int(out, (int64_t) value);
		return;
	}
	if (put_plain(out, value, false))
		return;
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
	if (put_plain(out, (double) value, true))
		return;
	char text[TEXT_MAX];
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double) value);
		if (digits == 9 || strtof(text, NULL) == value)
			break;
	}
	buf_text(out, text);
}
