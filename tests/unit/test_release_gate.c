/* The gate: its bounds, its rules one by one, and thousands of rollouts simulated through it. */
#include "release/gate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct canary_settings defaults = {.weight = 10,
	.for_ms = 300000,
	.max_ms = 1800000,
	.interval_ms = 15000,
	.requests_min = 100,
	.error_rate_max = 0.05,
	.latency_p99_ms = 2000,
	.health_failures_max = 3};

static double random_next(uint64_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (double) (*random >> 11) / 9007199254740992.0;
}

static struct observed one_replica(void) {
	struct observed seen = {.exists = true, .desired = 1, .count = 1};
	snprintf(seen.replicas[0].name, sizeof(seen.replicas[0].name), "canary-0");
	seen.replicas[0].state = REPLICA_READY;
	return seen;
}

static struct sample sample_of(double requests, double errors, int64_t now_ms) {
	struct sample sample = {.start_s = 1,
		.at_ms = now_ms,
		.requests = requests,
		.errors_5xx = errors,
		.bucket_count = 3,
		.bucket_le_s = {0.1, 2, INFINITY},
		.bucket_total = {requests, requests, requests}};
	snprintf(sample.replica, sizeof(sample.replica), "canary-0");
	return sample;
}

static void test_wilson(void **state) {
	(void) state;
	double low, high;
	gate_wilson(11, 88, &low, &high);
	assert_true(fabs(low - 0.0712) < 0.0005 && fabs(high - 0.2098) < 0.0005);
	gate_wilson(0, 100, &low, &high);
	assert_true(low < 1e-12 && fabs(high - 0.0370) < 0.0005);
	gate_wilson(5, 5, &low, &high);
	assert_true(fabs(high - 1) < 1e-9);
	gate_wilson(0, 0, &low, &high);
	assert_true(low < 1e-12 && high > 0.999);
}

struct step {
	int64_t at_ms;
	struct sample sample;
};

static enum verdict_kind judge(const struct canary_settings *settings, const struct step *steps, size_t count, struct verdict *v) {
	struct gate gate = {0};
	struct observed seen = one_replica();
	gate_start(&gate, 0, settings->interval_ms);
	for (size_t i = 0; i < count; i++) {
		gate_add(&gate, &gate.canary, &seen, &steps[i].sample, 1, steps[i].at_ms);
		gate_verdict(&gate, settings, steps[i].at_ms, v);
	}
	gate_clear(&gate);
	return v->kind;
}

static void test_rules(void **state) {
	(void) state;
	struct verdict v;
	struct step steps[2] = {{0, sample_of(0, 0, 0)}, {300000, sample_of(408, 1, 300000)}};
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_PASS);
	steps[1].sample = sample_of(99, 0, 300000);
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_WAIT); /* too few */
	steps[1] = (struct step){290000, sample_of(408, 0, 290000)};
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_WAIT); /* too early */
	steps[1] = (struct step){1800000, sample_of(99, 0, 1800000)};
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_UNDECIDED);
	steps[1] = (struct step){15000, sample_of(4, 2, 15000)};
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_WAIT); /* two errors are no evidence */
	steps[1] = (struct step){15000, sample_of(4, 3, 15000)};
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_FAIL);
	/* What it counted before the bake is not the bake's. */
	struct step old[2] = {{0, sample_of(1000, 900, 0)}, {300000, sample_of(1400, 901, 300000)}};
	assert_int_equal(judge(&defaults, old, 2, &v), VERDICT_PASS);
	/* Slow: more than 1 % over the limit. */
	steps[1] = (struct step){300000, sample_of(400, 0, 300000)};
	steps[1].sample.bucket_total[1] = 360;
	steps[1].sample.bucket_total[0] = 350;
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_FAIL);
	steps[1].sample.bucket_total[0] = steps[1].sample.bucket_total[1] = 398;
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_PASS);
	/* 4xx count only where stable has none. */
	steps[1].sample = sample_of(400, 0, 300000);
	steps[1].sample.errors_4xx = 60;
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_FAIL);
	steps[1].sample.errors_4xx = 16;
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_PASS);
	/* A failed hand-over is an error that the canary itself never counted. */
	steps[1].sample = sample_of(100, 0, 300000);
	steps[1].sample.failed_handovers = 20;
	assert_int_equal(judge(&defaults, steps, 2, &v), VERDICT_FAIL);
}

struct handed {
	int64_t at_ms, start_s;
	double handed_on, failed, unreached;
};

/* The verdict after a canary that answers 40 requests a second without an error, and one stable replica that tells of its hand-overs. */
static enum verdict_kind judge_handovers(struct gate *gate, const struct handed *handed, size_t count, struct verdict *v) {
	struct observed seen = one_replica();
	gate_clear(gate);
	gate_start(gate, 0, defaults.interval_ms);
	for (size_t i = 0; i < count; i++) {
		int64_t at_ms = handed[i].at_ms;
		/* As the targets tell of them: a sample of its own for each stable replica. */
		struct sample both[2] = {sample_of((double) at_ms / 25, 0, at_ms),
			{.replica = SAMPLE_HANDOVER "s-1", .start_s = handed[i].start_s, .at_ms = at_ms, .handed_on = handed[i].handed_on, .failed_handovers = handed[i].failed, .unreached = handed[i].unreached}};
		gate_add(gate, &gate->canary, &seen, both, 2, at_ms);
	}
	gate_verdict(gate, &defaults, handed[count - 1].at_ms, v);
	return v->kind;
}

static void test_handovers(void **state) {
	(void) state;
	struct verdict v;
	struct gate gate = {0};
	/* A failed one is an error that the canary itself never counted; what was there before the bake is not the bake's. */
	const struct handed flaky[] = {{0, 5, 0, 7, 0}, {2000, 5, 10, 7, 0}, {4000, 5, 20, 9, 0}};
	assert_int_equal(judge_handovers(&gate, flaky, 3, &v), VERDICT_WAIT);
	assert_true(fabs(v.requests - 162) < 1e-9 && fabs(v.errors - 2) < 1e-9);
	const struct handed bad[] = {{0, 5, 0, 7, 0}, {2000, 5, 10, 7, 0}, {4000, 5, 20, 67, 0}};
	assert_int_equal(judge_handovers(&gate, bad, 3, &v), VERDICT_FAIL);
	/* A new process of the stable replica counts from zero, and its restart is not the canary's. */
	const struct handed anew[] = {{0, 5, 0, 7, 0}, {2000, 5, 10, 9, 0}, {4000, 5, 20, 9, 0}, {6000, 6, 4, 0, 0}, {8000, 6, 9, 3, 0}};
	judge_handovers(&gate, anew, 5, &v);
	assert_true(fabs(v.errors - 5) < 1e-9);
	assert_int_equal(gate.canary.restarts, 0);
	/* Many are enough also when the canary itself says nothing. */
	struct observed seen = one_replica();
	struct sample alone = {.replica = SAMPLE_HANDOVER "s-1", .start_s = 6, .at_ms = 10000, .handed_on = 9, .failed_handovers = 62};
	gate_add(&gate, &gate.canary, &seen, &alone, 1, 10000);
	gate_verdict(&gate, &defaults, 10000, &v);
	assert_int_equal(v.kind, VERDICT_FAIL);
	/* Alone they are no sign that the canary answers, or that it does not. */
	gate_clear(&gate);
	gate_start(&gate, 0, defaults.interval_ms);
	gate_add(&gate, &gate.canary, &seen, (struct sample[]){sample_of(0, 0, 0)}, 1, 0);
	gate_add(&gate, &gate.canary, &seen, (struct sample[]){sample_of(500, 0, 255000)}, 1, 255000);
	alone = (struct sample){.replica = SAMPLE_HANDOVER "s-1", .start_s = 5, .at_ms = 300000, .handed_on = 100};
	gate_add(&gate, &gate.canary, &seen, &alone, 1, 300000);
	gate_verdict(&gate, &defaults, 300000, &v);
	assert_int_equal(v.kind, VERDICT_WAIT);
	gate_clear(&gate);
}

/* The Service's endpoints may reach a node later than its pods are ready. */
static void test_way_not_yet_open(void **state) {
	(void) state;
	struct verdict v;
	struct gate gate = {0};
	const struct handed closed[] = {{0, 5, 0, 0, 0}, {6000, 5, 0, 0, 300}, {12000, 5, 0, 0, 600}};
	assert_int_equal(judge_handovers(&gate, closed, 3, &v), VERDICT_WAIT);
	assert_true(v.errors < 1e-9);
	/* It opened: forgiven, and from then on each counts. */
	const struct handed opened[] = {{0, 5, 0, 0, 0}, {6000, 5, 0, 0, 300}, {12000, 5, 1, 0, 400}, {18000, 5, 300, 0, 402}};
	judge_handovers(&gate, opened, 4, &v);
	assert_true(fabs(v.errors - 2) < 1e-9);
	/* It never did: that is not the version's, and nobody knows more. */
	const struct handed never[] = {{0, 5, 0, 0, 0}, {6000, 5, 0, 0, 300}, {6000 + GATE_WAY_MS - 1, 5, 0, 0, 600}, {6000 + GATE_WAY_MS, 5, 0, 0, 601}};
	assert_int_equal(judge_handovers(&gate, never, 3, &v), VERDICT_WAIT);
	assert_int_equal(judge_handovers(&gate, never, 4, &v), VERDICT_UNDECIDED);
	assert_true(v.errors < 1e-9);
	assert_non_null(strstr(v.text, "601 handed on found no way there"));
	/* However long nobody came before; and one or two say nothing, nor do those of a replica that is gone. */
	const struct handed quiet[] = {{0, 5, 0, 0, 0}, {100000, 5, 0, 0, 0}, {102000, 5, 0, 0, 2}, {300000, 5, 0, 0, 2}};
	assert_int_equal(judge_handovers(&gate, quiet, 3, &v), VERDICT_WAIT);
	assert_int_equal(judge_handovers(&gate, quiet, 4, &v), VERDICT_PASS);
	const struct handed again[] = {{0, 5, 0, 0, 0}, {15000, 5, 0, 0, 2}, {200000, 5, 0, 0, 2}, {202000, 5, 0, 0, 5}};
	assert_int_equal(judge_handovers(&gate, again, 4, &v), VERDICT_WAIT);
	const struct handed gone[] = {{0, 5, 0, 0, 0}, {6000, 5, 0, 0, 300}};
	struct observed seen = one_replica();
	judge_handovers(&gate, gone, 2, &v);
	gate_add(&gate, &gate.canary, &seen, (struct sample[]){sample_of(10000, 0, 300000)}, 1, 300000);
	gate_verdict(&gate, &defaults, 300000, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
	/* A canary that took it and did not answer is none of that. */
	const struct handed hung[] = {{0, 5, 0, 0, 0}, {6000, 5, 0, 300, 0}};
	assert_int_equal(judge_handovers(&gate, hung, 2, &v), VERDICT_FAIL);
	/* Nothing passes meanwhile, also where a bake is shorter than that. */
	struct canary_settings brief = defaults;
	brief.for_ms = 6000;
	judge_handovers(&gate, closed, 3, &v);
	gate_verdict(&gate, &brief, 12000, &v);
	assert_int_equal(v.kind, VERDICT_WAIT);
	judge_handovers(&gate, opened, 4, &v);
	gate_verdict(&gate, &brief, 18000, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
	gate_clear(&gate);
}

static void test_restart(void **state) {
	(void) state;
	struct verdict v;
	struct step steps[3] = {{0, sample_of(500, 0, 0)}, {15000, sample_of(20, 1, 15000)}, {30000, sample_of(60, 1, 30000)}};
	steps[1].sample.start_s = steps[2].sample.start_s = 2;
	assert_int_equal(judge(&defaults, steps, 3, &v), VERDICT_WAIT);
	assert_true(fabs(v.requests - 60) < 1e-9 && fabs(v.errors - 1) < 1e-9);
	struct step falling[6];
	for (int i = 0; i < 6; i++)
		falling[i] = (struct step){i * 15000, sample_of(1000 - 100 * i, 0, i * 15000)};
	assert_int_equal(judge(&defaults, falling, 6, &v), VERDICT_FAIL); /* five restarts are more than three */
	assert_true(v.requests < 1);
}

/* One rollout at 1 request a second and more, looked at after every one, as strict as it gets. */
static enum verdict_kind rollout(double error_rate, uint64_t *random, double *exposed) {
	struct gate gate = {0};
	struct observed seen = one_replica();
	struct verdict v = {0};
	double requests = 0, errors = 0;
	struct canary_settings settings = defaults;
	settings.interval_ms = 1000;
	gate_start(&gate, 0, settings.interval_ms);
	for (int64_t now_ms = 0; v.kind == VERDICT_WAIT; now_ms += 1000) {
		struct sample sample = sample_of(requests, errors, now_ms);
		gate_add(&gate, &gate.canary, &seen, &sample, 1, now_ms);
		gate_verdict(&gate, &settings, now_ms, &v);
		requests++;
		errors += random_next(random) < error_rate;
	}
	*exposed = v.requests;
	gate_clear(&gate);
	return v.kind;
}

static int by_size(const void *a, const void *b) {
	double x = *(const double *) a, y = *(const double *) b;
	return (x > y) - (x < y);
}

#define ROLLOUTS 1000

static void test_healthy_and_bad(void **state) {
	(void) state;
	uint64_t random = 88172645463325252ULL;
	int undone = 0, caught = 0;
	double exposed[ROLLOUTS], unused;
	for (int i = 0; i < ROLLOUTS; i++)
		undone += rollout(0.01, &random, &unused) != VERDICT_PASS;
	for (int i = 0; i < ROLLOUTS; i++)
		caught += rollout(0.10, &random, &exposed[i]) != VERDICT_PASS;
	qsort(exposed, ROLLOUTS, sizeof(exposed[0]), by_size);
	print_message("# %d of %d healthy rollouts undone; %d of %d bad ones undone, median exposed %.0f, 99 %% below %.0f\n", undone,
		ROLLOUTS, caught, ROLLOUTS, exposed[ROLLOUTS / 2], exposed[ROLLOUTS * 99 / 100]);
	assert_true(undone <= ROLLOUTS / 100);
	assert_true(caught >= ROLLOUTS * 99 / 100);
	assert_true(exposed[ROLLOUTS / 2] <= 60);
}

enum broken { BROKEN_MISSING, BROKEN_NAN, BROKEN_STALE, BROKEN_CONSTANT, BROKEN_FALLING, BROKEN_FOREIGN, BROKEN_CLOCK, BROKEN_KINDS };

/* What a broken source of numbers says of a canary that has `requests` answers, all good. -1: nothing at all. */
static int break_sample(enum broken kind, uint64_t *random, struct sample *sample) {
	double requests = sample->requests;
	switch (kind) {
	case BROKEN_MISSING:
		return -1;
	case BROKEN_NAN:
		*(random_next(random) < 0.5 ? &sample->requests : &sample->errors_5xx) = NAN;
		return 0;
	case BROKEN_STALE:
		sample->at_ms -= 31000 + (int64_t) (random_next(random) * 600000);
		return 0;
	case BROKEN_CONSTANT:
		*sample = sample_of(1000, 0, sample->at_ms);
		return 0;
	case BROKEN_FALLING:
		*sample = sample_of(fmax(0, 1e6 - requests), 0, sample->at_ms);
		return 0;
	case BROKEN_FOREIGN:
		snprintf(sample->replica, sizeof(sample->replica), "stable-%d", (int) (random_next(random) * 3));
		return 0;
	default:
		sample->is_constant_clock = true;
		return 0;
	}
}

static void test_broken_numbers(void **state) {
	(void) state;
	uint64_t random = 362436069ULL;
	int promoted = 0, ends[BROKEN_KINDS] = {0};
	for (int i = 0; i < ROLLOUTS; i++) {
		enum broken kind = (enum broken)(i % BROKEN_KINDS);
		struct gate gate = {0};
		struct observed seen = one_replica();
		struct verdict v = {0};
		gate_start(&gate, 0, defaults.interval_ms);
		double per_round = 1 + random_next(&random) * 200, good_rounds = kind == BROKEN_MISSING ? 0 : random_next(&random) * 2;
		for (int64_t now_ms = 0, round = 0; v.kind == VERDICT_WAIT; now_ms += 15000, round++) {
			struct sample sample = sample_of(per_round * (double) round, 0, now_ms);
			size_t count = 1;
			if ((double) round >= good_rounds && break_sample(kind, &random, &sample) != 0)
				count = 0;
			gate_add(&gate, &gate.canary, &seen, &sample, count, now_ms);
			gate_verdict(&gate, &defaults, now_ms, &v);
		}
		promoted += v.kind == VERDICT_PASS;
		ends[kind] += v.kind == VERDICT_UNDECIDED;
		gate_clear(&gate);
	}
	print_message("# %d of %d with broken numbers promoted; undecided by kind:", promoted, ROLLOUTS);
	for (int i = 0; i < BROKEN_KINDS; i++)
		print_message(" %d", ends[i]);
	print_message("\n");
	assert_int_equal(promoted, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wilson),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_handovers),
		cmocka_unit_test(test_way_not_yet_open),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_healthy_and_bad),
		cmocka_unit_test(test_broken_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
