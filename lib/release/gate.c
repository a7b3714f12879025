#include "release/gate.h"

#include <math.h>

#define WILSON_Z 1.959964
#define QUIET_PART 4 /* of the bake: so long the canary may be quiet at its end */
#define INTERVAL_MS_MIN 200
#define INTERVAL_MS_MAX 15000

void gate_start(struct gate *gate, int64_t now_ms, int64_t interval_ms) {
	gate_clear(gate);
	gate->started_ms = now_ms;
	gate->interval_ms = interval_ms;
}

void gate_clear(struct gate *gate) {
	texts_clear(&gate->errors);
	*gate = (struct gate){0};
}

int64_t gate_interval_ms(const struct canary_settings *settings) {
	if (settings->interval_ms > 0)
		return settings->interval_ms;
	int64_t interval = settings->for_ms / 20;
	return interval < INTERVAL_MS_MIN ? INTERVAL_MS_MIN : interval > INTERVAL_MS_MAX ? INTERVAL_MS_MAX : interval;
}

void gate_wilson(double hits, double total, double *low, double *high) {
	if (!(total > 0)) {
		*low = 0;
		*high = 1;
		return;
	}
	double z2 = WILSON_Z * WILSON_Z, p = hits > total ? 1 : hits / total;
	double middle = p + z2 / (2 * total), spread = WILSON_Z * sqrt(p * (1 - p) / total + z2 / (4 * total * total));
	*low = fmax(0, (middle - spread) / (1 + z2 / total));
	*high = fmin(1, (middle + spread) / (1 + z2 / total));
}

double gate_requests_needed(const struct canary_settings *settings) {
	/* The upper bound of 0 errors in n is z2 / (n + z2). */
	double limit = settings->error_rate_max, by_bound = limit > 0 ? WILSON_Z * WILSON_Z * (1 - limit) / limit + 1 : 0;
	return fmax((double) settings->requests_min, by_bound);
}

static bool is_count(double number) {
	return isfinite(number) && number >= 0;
}

/* What a stable replica handed on to this version. */
static bool is_handover(const char *name) {
	return strncmp(name, SAMPLE_HANDOVER, strlen(SAMPLE_HANDOVER)) == 0;
}

/* Whole and from its own time: everything finite, errors among the requests, buckets that only rise and end at +Inf. */
static bool is_sound(const struct gate *gate, const struct sample *sample, int64_t now_ms) {
	if (sample->is_constant_clock || sample->at_ms > now_ms || now_ms - sample->at_ms > 2 * gate->interval_ms)
		return false;
	if (!is_count(sample->requests) || !is_count(sample->errors_5xx) || !is_count(sample->errors_4xx) ||
		!is_count(sample->handed_on) || !is_count(sample->failed_handovers) || !is_count(sample->unreached))
		return false;
	if (is_handover(sample->replica))
		return true; /* a counter, without a time */
	if (sample->errors_5xx + sample->errors_4xx > sample->requests || !sample->bucket_count || sample->bucket_count > BUCKETS_MAX)
		return false;
	for (size_t i = 0; i < sample->bucket_count; i++) {
		bool is_last = i + 1 == sample->bucket_count;
		if (!is_count(sample->bucket_total[i]) || (i && sample->bucket_total[i] < sample->bucket_total[i - 1]))
			return false;
		if (isnan(sample->bucket_le_s[i]) || (i && !(sample->bucket_le_s[i] > sample->bucket_le_s[i - 1])) ||
			(is_last != (isinf(sample->bucket_le_s[i]) != 0)))
			return false;
	}
	return true;
}

static bool is_known(const struct observed *observed, const char *name) {
	if (is_handover(name))
		return true; /* of the other version's replicas; the target knows whose */
	for (size_t i = 0; i < observed->count; i++)
		if (strcmp(observed->replicas[i].name, name) == 0)
			return true;
	return false;
}

static bool has_same_edges(struct gate_side *side, const struct sample *sample) {
	if (is_handover(sample->replica))
		return true;
	if (!side->bucket_count) {
		side->bucket_count = sample->bucket_count;
		memcpy(side->bucket_le_s, sample->bucket_le_s, sizeof(side->bucket_le_s));
	}
	if (side->bucket_count != sample->bucket_count)
		return false;
	for (size_t i = 0; i + 1 < side->bucket_count; i++)
		if (fabs(side->bucket_le_s[i] - sample->bucket_le_s[i]) > 1e-9)
			return false;
	return true;
}

static void remember(struct gate_replica *replica, const struct sample *sample, int64_t now_ms) {
	replica->start_s = sample->start_s;
	replica->seen_ms = now_ms;
	replica->requests = sample->requests;
	replica->errors_5xx = sample->errors_5xx;
	replica->errors_4xx = sample->errors_4xx;
	replica->handed_on = sample->handed_on;
	replica->failed_handovers = sample->failed_handovers;
	replica->unreached = sample->unreached;
	memcpy(replica->buckets, sample->bucket_total, sizeof(replica->buckets));
	replica->is_fresh = true;
}

static bool has_fallen(const struct gate_replica *old, const struct sample *sample) {
	if (sample->requests < old->requests || sample->errors_5xx < old->errors_5xx || sample->errors_4xx < old->errors_4xx ||
		sample->handed_on < old->handed_on || sample->failed_handovers < old->failed_handovers ||
		sample->unreached < old->unreached)
		return true;
	for (size_t i = 0; i < sample->bucket_count; i++)
		if (sample->bucket_total[i] < old->buckets[i])
			return true;
	return false;
}

static bool has_waited(const struct gate_replica *replica, int64_t now_ms) {
	return now_ms - replica->held_since_ms >= GATE_WAY_MS;
}

static bool is_forgotten(const struct gate_replica *replica, int64_t now_ms) {
	return has_waited(replica, now_ms) && replica->held_back < GATE_ERRORS_MIN;
}

/* Of those that were newly unreached how many are errors; see GATE_WAY_MS. */
static double unreached_of(struct gate_replica *replica, double handed_on, double unreached, int64_t now_ms) {
	if (replica->is_way_known)
		return unreached;
	replica->is_way_known = handed_on > 0;
	if (replica->is_way_known || is_forgotten(replica, now_ms))
		replica->held_back = 0;
	if (!(replica->held_back > 0))
		replica->held_since_ms = now_ms;
	if (!replica->is_way_known)
		replica->held_back += unreached;
	return 0;
}

static void add_one(struct gate_side *side, struct gate_replica *replica, const struct sample *sample, int64_t now_ms) {
	bool is_own = !is_handover(sample->replica); /* else the stable version's restarts are none of this one */
	if (replica->start_s != sample->start_s) { /* a new process: its counters began at zero */
		side->restarts += is_own;
		*replica = (struct gate_replica){.start_s = sample->start_s, .seen_ms = now_ms};
		memcpy(replica->name, sample->replica, sizeof(replica->name));
	} else if (has_fallen(replica, sample)) { /* a restart that hid its start, or nonsense: begin again from here, take nothing */
		side->restarts += is_own;
		remember(replica, sample, now_ms);
		return;
	}
	if (sample->requests > replica->requests)
		side->grown_ms = now_ms;
	side->requests += sample->requests - replica->requests;
	side->errors_5xx += sample->errors_5xx - replica->errors_5xx;
	side->errors_4xx += sample->errors_4xx - replica->errors_4xx;
	double failed = sample->failed_handovers - replica->failed_handovers;
	double unreached = sample->unreached - replica->unreached;
	side->failed_handovers += failed + unreached_of(replica, sample->handed_on - replica->handed_on, unreached, now_ms);
	for (size_t i = 0; i < sample->bucket_count; i++)
		side->buckets[i] += sample->bucket_total[i] - replica->buckets[i];
	remember(replica, sample, now_ms);
}

static struct gate_replica *find_replica(struct gate_side *side, const char *name) {
	for (size_t i = 0; i < side->count; i++)
		if (strcmp(side->replicas[i].name, name) == 0)
			return &side->replicas[i];
	return NULL;
}

static void keep_texts(struct gate *gate, const struct texts *errors) {
	for (size_t i = 0; i < errors->count && gate->errors.count < GATE_TEXTS_MAX; i++) {
		bool is_new = true;
		for (size_t k = 0; k < gate->errors.count; k++)
			is_new = is_new && strcmp(gate->errors.items[k], errors->items[i]) != 0;
		if (is_new)
			texts_add(&gate->errors, errors->items[i]);
	}
}

void gate_add(struct gate *gate, struct gate_side *side, const struct observed *observed, const struct sample *samples, size_t count,
	int64_t now_ms) {
	for (size_t i = 0; i < side->count; i++)
		side->replicas[i].is_fresh = false;
	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = &samples[i];
		struct gate_replica *replica = find_replica(side, sample->replica);
		bool is_second = replica && replica->is_fresh;
		if (is_second || !is_known(observed, sample->replica) || !is_sound(gate, sample, now_ms) || !has_same_edges(side, sample)) {
			side->refused++;
			continue;
		}
		if (replica) {
			add_one(side, replica, sample, now_ms);
		} else if (side->count < TARGET_REPLICAS_MAX) {
			/* What it counted before the bake is its baseline. */
			replica = &side->replicas[side->count++];
			memcpy(replica->name, sample->replica, sizeof(replica->name));
			remember(replica, sample, now_ms);
		}
		if (side == &gate->canary)
			keep_texts(gate, &sample->errors);
	}
}

/* Slower than the limit, which is taken as the first bucket's edge at or above it. */
static double slower_than(const struct gate_side *side, int64_t limit_ms) {
	for (size_t i = 0; i < side->bucket_count; i++)
		if (side->bucket_le_s[i] * 1000 >= (double) limit_ms - 1e-6)
			return side->buckets[side->bucket_count - 1] - side->buckets[i];
	return 0;
}

static double p99_ms(const struct gate_side *side) {
	if (!side->bucket_count || !(side->buckets[side->bucket_count - 1] > 0))
		return 0;
	double want = 0.99 * side->buckets[side->bucket_count - 1];
	for (size_t i = 0; i < side->bucket_count; i++) {
		if (side->buckets[i] < want)
			continue;
		double from_s = i ? side->bucket_le_s[i - 1] : 0, below = i ? side->buckets[i - 1] : 0;
		if (isinf(side->bucket_le_s[i]))
			return from_s * 1000;
		double inside = side->buckets[i] - below;
		return 1000 * (from_s + (side->bucket_le_s[i] - from_s) * (inside > 0 ? (want - below) / inside : 1));
	}
	return 0;
}

static double share_of(double part, double whole) {
	return whole > 0 ? part / whole : 0;
}

/* Counters that jumped once and then stood still are no evidence of a version that works now. */
static bool is_alive(const struct gate *gate, const struct canary_settings *settings, int64_t now_ms) {
	int64_t quiet_ms = settings->for_ms / QUIET_PART > 2 * gate->interval_ms ? settings->for_ms / QUIET_PART : 2 * gate->interval_ms;
	return now_ms - gate->canary.grown_ms <= quiet_ms;
}

/* Somebody has just been heard. */
static bool is_heard(const struct gate *gate, int64_t now_ms) {
	for (size_t i = 0; i < gate->canary.count; i++)
		if (gate->canary.replicas[i].is_fresh && !is_handover(gate->canary.replicas[i].name) && now_ms - gate->canary.replicas[i].seen_ms <= 2 * gate->interval_ms)
			return true;
	return false;
}

/* So many found no way, by the replicas that can still be asked. *is_over: some of them have waited long enough, and were enough. */
static double held_back(const struct gate *gate, int64_t now_ms, bool *is_over) {
	double sum = 0;
	*is_over = false;
	for (size_t i = 0; i < gate->canary.count; i++) {
		const struct gate_replica *replica = &gate->canary.replicas[i];
		if (!(replica->held_back > 0) || now_ms - replica->seen_ms > 2 * gate->interval_ms || is_forgotten(replica, now_ms))
			continue;
		*is_over |= has_waited(replica, now_ms);
		sum += replica->held_back;
	}
	return sum;
}

static void judge(const struct gate *gate, const struct canary_settings *settings, int64_t now_ms, struct verdict *v) {
	int64_t elapsed_ms = now_ms - gate->started_ms;
	const struct gate_side *canary = &gate->canary;
	bool is_way_over;
	v->unreached = held_back(gate, now_ms, &is_way_over);
	double measured = canary->bucket_count ? canary->buckets[canary->bucket_count - 1] : 0;
	double slow_high;
	v->slow = slower_than(canary, settings->latency_p99_ms);
	gate_wilson(v->slow, measured, &v->slow_low, &slow_high);
	bool is_enough = v->requests >= (double) settings->requests_min && measured > 0;
	v->kind = VERDICT_WAIT;
	if (gate->health_failures + canary->restarts > settings->health_failures_max)
		v->kind = VERDICT_FAIL;
	else if (v->errors >= GATE_ERRORS_MIN && v->low > settings->error_rate_max)
		v->kind = VERDICT_FAIL;
	else if (settings->latency_p99_ms > 0 && v->slow >= GATE_ERRORS_MIN && v->slow_low > GATE_SLOW_SHARE)
		v->kind = VERDICT_FAIL;
	else if (elapsed_ms >= settings->for_ms && is_enough && v->high < settings->error_rate_max && is_heard(gate, now_ms) &&
		 is_alive(gate, settings, now_ms) && !(v->unreached > 0))
		v->kind = VERDICT_PASS;
	else if (is_way_over || (settings->max_ms > 0 && elapsed_ms >= settings->max_ms))
		v->kind = VERDICT_UNDECIDED;
	double by_time = settings->for_ms > 0 ? (double) elapsed_ms / (double) settings->for_ms : 1;
	double by_count = settings->requests_min > 0 ? v->requests / (double) settings->requests_min : 1;
	v->progress = fmin(1, fmin(by_time, by_count));
}

static void describe(const struct gate *gate, const struct canary_settings *settings, struct verdict *v) {
	const char *sign = v->low > settings->error_rate_max ? ">" : v->high < settings->error_rate_max ? "<" : "?";
	char golden[48] = "";
	if (gate->golden_sent > 0)
		snprintf(golden, sizeof(golden), ", %.0f of them golden", gate->golden_sent);
	char latency[64] = "";
	if (v->slow >= GATE_ERRORS_MIN && v->slow_low > GATE_SLOW_SHARE)
		snprintf(latency, sizeof(latency), "  %.0f slower than %lld ms", v->slow, (long long) settings->latency_p99_ms);
	char way[64] = "";
	if (v->unreached > 0)
		snprintf(way, sizeof(way), "  %.0f handed on found no way there", v->unreached);
	snprintf(v->text, sizeof(v->text),
		"n=%.0f%s  errors %.0f = %.2f %% [%.2f..%.2f] %s %g %% (stable %.2f %%)  p99 %.3g ms (%.3g)%s%s  health %lld/%lld",
		v->requests, golden, v->errors, v->rate * 100, v->low * 100, v->high * 100, sign, settings->error_rate_max * 100,
		v->stable_rate * 100, v->p99_ms, v->stable_p99_ms, latency, way, (long long) (gate->health_failures + gate->canary.restarts),
		(long long) settings->health_failures_max);
}

void gate_verdict(const struct gate *gate, const struct canary_settings *settings, int64_t now_ms, struct verdict *out) {
	*out = (struct verdict){0};
	const struct gate_side *canary = &gate->canary, *stable = &gate->stable;
	out->requests = canary->requests + canary->failed_handovers + gate->golden_lost;
	out->errors = canary->errors_5xx + canary->failed_handovers + gate->golden_lost + gate->golden_wrong;
	double stable_4xx = share_of(stable->errors_4xx, stable->requests);
	if (share_of(canary->errors_4xx, canary->requests) > stable_4xx + GATE_4XX_POINTS)
		out->errors += canary->errors_4xx;
	if (out->requests < out->errors)
		out->requests = out->errors;
	out->rate = share_of(out->errors, out->requests);
	gate_wilson(out->errors, out->requests, &out->low, &out->high);
	out->stable_rate = share_of(stable->errors_5xx, stable->requests);
	out->p99_ms = p99_ms(canary);
	out->stable_p99_ms = p99_ms(stable);
	judge(gate, settings, now_ms, out);
	describe(gate, settings, out);
}
