#include "base/clock.h"

#include "base/num.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t system_mono_ms(void *self) {
	(void) self;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_s(void *self) {
	(void) self;
	return (int64_t) time(NULL);
}

static void system_sleep_ms(void *self, int64_t ms) {
	(void) self;
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
	nanosleep(&wait, NULL);
}

const struct clock clock_system = {system_mono_ms, system_wall_s, system_sleep_ms, NULL};

const char *clock_text(int64_t wall_s, char out[CLOCK_TEXT_MAX]) {
	time_t seconds = (time_t) wall_s;
	struct tm parts;
	if (!gmtime_r(&seconds, &parts) || strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(out, CLOCK_TEXT_MAX, "1970-01-01T00:00:00Z");
	return out;
}

int clock_parse(const char *text, int64_t *wall_s) {
	struct tm parts = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	if (!end || *end != '\0')
		return -1;
	*wall_s = (int64_t) timegm(&parts);
	return 0;
}

int clock_parse_any(struct str text, int64_t *wall_s) {
	char whole[CLOCK_TEXT_MAX];
	int64_t hours = 0, minutes = 0, sign = -1;
	size_t zone = 0;
	while (zone < text.len && !strchr("Z+", text.ptr[zone]) && (zone < 11 || text.ptr[zone] != '-')) /* the day has its own */
		zone++;
	struct str rest = {text.ptr + zone, text.len - zone}, seconds = str_cut((struct str){text.ptr, zone}, '.', &(struct str){0});
	if (!str_is(rest, "Z")) {
		if (rest.len != 6 || rest.ptr[3] != ':' || num_int((struct str){rest.ptr + 1, 2}, 0, 23, &hours) != 0 ||
			num_int((struct str){rest.ptr + 4, 2}, 0, 59, &minutes) != 0)
			return -1;
		sign = rest.ptr[0] == '+' ? 1 : -1;
	}
	int len = snprintf(whole, sizeof(whole), "%.*sZ", STR_ARGS(seconds));
	if (len < 0 || (size_t) len >= sizeof(whole) || clock_parse(whole, wall_s) != 0)
		return -1;
	*wall_s -= sign * 60 * (hours * 60 + minutes);
	return 0;
}

int clock_parse_http(struct str text, int64_t *wall_s) {
	char copy[40], iso[CLOCK_TEXT_MAX];
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	if (text.len != 29)
		return -1;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	char month[4] = "", time[9] = "";
	int day, year;
	if (sscanf(copy + 4, " %2d %3s %4d %8s GMT", &day, month, &year, time) != 4)
		return -1;
	for (int i = 0; i < 12; i++) {
		if (strcmp(month, months[i]) != 0)
			continue;
		snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%sZ", year, i + 1, day, time);
		return clock_parse(iso, wall_s);
	}
	return -1;
}
