#include "base/num.h"

#include <math.h>
#include <stdio.h>

int num_int(struct str text, int64_t min, int64_t max, int64_t *out) {
	size_t i = text.len && text.ptr[0] == '-';
	if (text.len == i || text.len > 20)
		return -1;
	int64_t value = 0;
	for (; i < text.len; i++) {
		if (!ascii_is_digit(text.ptr[i]) || num_mul(value, 10, &value))
			return -1;
		int digit = text.ptr[i] - '0';
		if (num_add(value, text.ptr[0] == '-' ? -digit : digit, &value))
			return -1;
	}
	if (value < min || value > max)
		return -1;
	*out = value;
	return 0;
}

/* RFC 8259 section 6. */
static bool is_json_number(struct str s) {
	size_t i = 0;
	if (i < s.len && s.ptr[i] == '-')
		i++;
	if (i >= s.len || !ascii_is_digit(s.ptr[i]))
		return false;
	if (s.ptr[i] == '0' && i + 1 < s.len && ascii_is_digit(s.ptr[i + 1]))
		return false;
	while (i < s.len && ascii_is_digit(s.ptr[i]))
		i++;
	if (i < s.len && s.ptr[i] == '.') {
		if (++i >= s.len || !ascii_is_digit(s.ptr[i]))
			return false;
		while (i < s.len && ascii_is_digit(s.ptr[i]))
			i++;
	}
	if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
		i++;
		if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-'))
			i++;
		if (i >= s.len || !ascii_is_digit(s.ptr[i]))
			return false;
		while (i < s.len && ascii_is_digit(s.ptr[i]))
			i++;
	}
	return i == s.len;
}

/* Powers of ten that a double holds exactly. */
static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define TENS_MAX 22
#define EXACT_MAX ((uint64_t) 1 << 53)

/* Most numbers that people and programs write: digits and a power of ten which a double both holds exactly, so that one rounded operation is the
 * right answer (W. Clinger, 1990), ten times faster than strtod. `text` is of JSON's grammar. */
static bool short_double(struct str text, double *out) {
	uint64_t digits = 0;
	int64_t power = 0, written = 0;
	size_t i = text.ptr[0] == '-';
	bool is_fraction = false;
	for (; i < text.len && (ascii_is_digit(text.ptr[i]) || text.ptr[i] == '.'); i++) {
		if (text.ptr[i] == '.') {
			is_fraction = true;
			continue;
		}
		digits = digits * 10 + (uint64_t) (text.ptr[i] - '0');
		power -= is_fraction;
		if (digits > EXACT_MAX)
			return false;
	}
	if (i < text.len) { /* e or E */
		struct str exponent = {text.ptr + i + 1, text.len - i - 1};
		if (exponent.ptr[0] == '+')
			exponent = (struct str) {exponent.ptr + 1, exponent.len - 1};
		if (num_int(exponent, -1000, 1000, &written) != 0)
			return false;
		power += written;
	}
	if (power < -TENS_MAX || power > TENS_MAX)
		return false;
	double value = power < 0 ? (double) digits / tens[-power] : (double) digits * tens[power];
	*out = text.ptr[0] == '-' ? -value : value;
	return true;
}

#define NUMBER_TEXT_MAX 400

/* strtod reads the locale's decimal point; no program here calls setlocale, so it is '.'. */
int num_double(struct str text, double *out) {
	if (text.len >= NUMBER_TEXT_MAX || !is_json_number(text))
		return -1;
	if (short_double(text, out))
		return 0;
	char copy[NUMBER_TEXT_MAX];
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	double value = strtod(copy, NULL);
	if (!isfinite(value))
		return -1;
	*out = value;
	return 0;
}

struct unit {
	const char *suffix;
	double factor;
};

/* A decimal number and one of the units, the longest suffix first in the table. */
static int with_unit(struct str text, const struct unit *units, size_t count, double *out) {
	for (size_t i = 0; i < count; i++) {
		if (!str_ends(text, units[i].suffix))
			continue;
		struct str number = {text.ptr, text.len - strlen(units[i].suffix)};
		double value;
		if (num_double(number, &value) != 0 || value < 0)
			return -1;
		*out = value * units[i].factor;
		return 0;
	}
	return -1;
}

static int to_int64(double value, int64_t *out) {
	if (!(value >= 0 && value < 9e15))
		return -1;
	*out = (int64_t) llround(value);
	return 0;
}

int num_duration_ms(struct str text, int64_t *out) {
	static const struct unit units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
	double value;
	return with_unit(text, units, 5, &value) == 0 ? to_int64(value, out) : -1;
}

int num_share(struct str text, double *out) {
	static const struct unit units[] = {{"%", 0.01}};
	double value;
	if (with_unit(text, units, 1, &value) != 0 || value > 1)
		return -1;
	*out = value;
	return 0;
}

int num_millicores(struct str text, int64_t *out) {
	static const struct unit units[] = {{"m", 1}, {"", 1000}};
	double value;
	return with_unit(text, units, 2, &value) == 0 ? to_int64(value, out) : -1;
}

int num_bytes(struct str text, int64_t *out) {
	static const struct unit units[] = {{"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"k", 1e3},
					    {"M", 1e6},     {"G", 1e9},     {"T", 1e12},    {"", 1}};
	double value;
	return with_unit(text, units, 9, &value) == 0 ? to_int64(value, out) : -1;
}

const char *num_human_bytes(int64_t bytes, char out[NUM_HUMAN_MAX]) {
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double value = (double) bytes;
	size_t unit = 0;
	while (value >= 999.5 && unit < 4) {
		value /= 1000;
		unit++;
	}
	snprintf(out, NUM_HUMAN_MAX, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return out;
}

const char *num_human_ms(int64_t ms, char out[NUM_HUMAN_MAX]) {
	if (ms < 1000)
		snprintf(out, NUM_HUMAN_MAX, "%lld ms", (long long) ms);
	else if (ms < 60000)
		snprintf(out, NUM_HUMAN_MAX, "%.1f s", (double) ms / 1e3);
	else if (ms < 3600000)
		snprintf(out, NUM_HUMAN_MAX, "%lld min", (long long) (ms / 60000));
	else if (ms < 2 * 86400000LL)
		snprintf(out, NUM_HUMAN_MAX, "%lld h", (long long) (ms / 3600000));
	else
		snprintf(out, NUM_HUMAN_MAX, "%lld d", (long long) (ms / 86400000));
	return out;
}
