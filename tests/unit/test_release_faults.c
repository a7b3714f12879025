/* Every call of every scene fails, in every way, one to three times in a row; then one more command. Then the broken twins, which the same
 * harness must catch. */
#include "fakes/release_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct scene scenes[] = {
	{.name = "first", .before = "", .image = 'A', .settles = 'A'},
	{.name = "good", .before = "A", .image = 'B', .settles = 'B'},
	{.name = "good without canary", .before = "A", .image = 'B', .is_canary_none = true, .settles = 'B'},
	{.name = "third", .before = "AB", .image = 'C', .settles = 'C'},
	{.name = "bad canary", .before = "A", .image = 'X', .settles = 'A'},
	{.name = "can't start", .before = "A", .image = 'S', .settles = 'A'},
	{.name = "wrong answers", .before = "A", .image = 'W', .is_canary_none = true, .settles = 'A'},
	{.name = "no metrics", .before = "A", .image = 'N', .settles = 'A'},
	{.name = "first can't start", .before = "", .image = 'S', .settles = 0},
	{.name = "unchanged", .before = "A", .image = 'A', .settles = 'A'},
	{.name = "good, holder watched", .before = "A", .image = 'B', .has_flock = true, .settles = 'B'},
	{.name = "rollback", .before = "AB", .act = ACT_ROLLBACK, .settles = 'A'},
	{.name = "destroy", .before = "AB", .act = ACT_DESTROY, .settles = 0},
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct tally {
	int64_t runs, happened[FAULT_COUNT];
	int64_t outcomes[OUTCOME_LOCKED + 1], errors;
};

struct blow { /* what goes wrong in one run */
	enum fake_fault fault;
	int64_t at, times;
	const struct engine_row *table;
};

/* One run with its one more command; the first problem as a text, or NULL. `follow`: 0 the same command, 1 rollback, 2 another deploy. */
static const char *play(
	const struct scene *scene, const struct fake_world *before, const struct blow *blow, int follow, struct tally *tally) {
	static char text[8000];
	struct fake_world world;
	struct fake_client client;
	struct ending ending, after = {0};
	scene_copy(&world, before);
	fake_client_init(&client, &world, 0);
	client.fault = blow->fault;
	client.fail_at = blow->at;
	client.fail_times = blow->times;
	scene_act(&client, scene, blow->table, &ending);
	tally->runs++;
	tally->happened[blow->fault] += client.happened;
	if (ending.rc == 0)
		tally->outcomes[ending.result.outcome]++;
	else
		tally->errors++;
	const char *problem = scene_problem(scene, before, &world, &client, &ending), *when = "at once";
	if (!problem) {
		when = "after one more command";
		if (follow == 0)
			scene_follow(&world, scene->act, scene->image, &after);
		else
			scene_follow(&world, follow == 1 ? ACT_ROLLBACK : ACT_DEPLOY, 'C', &after);
		/* One that had nothing to do wrote nothing: what is owed stays owed, and a lease ends by itself. */
		bool is_idle = after.rc == 0 && (after.result.outcome == OUTCOME_REFUSED || after.result.outcome == OUTCOME_UNCHANGED);
		problem = is_idle ? scene_unserved(&world) : scene_unsettled(&world);
		struct digest serving = fake_serving(&world), wanted = fake_digest(scene->settles);
		if (!problem && follow == 0 && scene->act != ACT_ROLLBACK && scene->settles && !digest_equal(&serving, &wanted))
			problem = "one more of the same did not get there";
		wanted = fake_digest('C');
		if (!problem && follow == 2 && !digest_equal(&serving, &wanted))
			problem = "another deploy did not get there";
	}
	if (problem)
		snprintf(text, sizeof(text), "%s, %s at call %lld x%lld (then %d), %s: %s [ended %d/%d: %s%s; after %d/%d: %s%s]",
			scene->name, fake_fault_names[blow->fault], (long long) blow->at, (long long) blow->times, follow, when, problem,
			ending.rc, (int) ending.result.outcome, ending.err.message, ending.result.cause, after.rc,
			(int) after.result.outcome, after.err.message, after.result.cause);
	fake_world_clear(&world);
	return problem ? text : NULL;
}

static int64_t calls_of(const struct scene *scene, const struct fake_world *before) {
	struct fake_world world;
	struct fake_client client;
	struct ending ending;
	scene_copy(&world, before);
	fake_client_init(&client, &world, 0);
	scene_act(&client, scene, engine_table, &ending);
	fake_world_clear(&world);
	return client.calls;
}

#define PROBLEMS_SHOWN 12
#define TIMES_FOREVER 4 /* the network is gone from this call on, until one more command */

static int64_t times_max(enum fake_fault fault) {
	return fault == FAULT_REFUSED ? TIMES_FOREVER : fault >= FAULT_KILL || fault == FAULT_NONE ? 1 : 3;
}

/* `make check` plays each fault at each call once; `make test` (and no runner at all) everything. */
static bool is_full_wanted(void) {
	const char *tier = getenv("TIER");
	return !tier || strcmp(tier, "check") != 0;
}

/* The faults whose leavings are looked at with other commands than the same again. */
static bool leaves_much(enum fake_fault fault) {
	return fault >= FAULT_KILL || fault == FAULT_LOST || fault == FAULT_REFUSED;
}

/* A ninth of them for every day. */
static bool is_sampled(enum fake_fault fault, int64_t at, int64_t times, int follow) {
	return (times == 1 || times == TIMES_FOREVER) && (at + (int) fault) % 3 == 0 && follow == (at / 3 + (int) fault) % 3;
}

/* All of a scene; the number of problems, the first ones printed unless `is_quiet`. */
static int64_t torture(const struct scene *scene, const struct engine_row *table, bool is_quiet, struct tally *tally) {
	struct fake_world before;
	int64_t problems = 0;
	scene_world(&before, scene);
	if (before.violation_count)
		fail_msg("%s", before.violations);
	int64_t calls = calls_of(scene, &before);
	bool is_full = is_full_wanted();
	for (enum fake_fault fault = FAULT_NONE; fault < FAULT_COUNT; fault++)
		for (int64_t at = 1; at <= (fault == FAULT_NONE ? 1 : calls); at++)
			for (int64_t times = 1; times <= times_max(fault); times++)
				for (int follow = 0; follow < 3; follow++) {
					if (is_full ? follow && (times > 1 || !leaves_much(fault)) : !is_sampled(fault, at, times, follow))
						continue;
					struct blow blow = {fault, at, times == TIMES_FOREVER ? 1000000 : times, table};
					const char *problem = play(scene, &before, &blow, follow, tally);
					if (problem && ++problems <= PROBLEMS_SHOWN && !is_quiet)
						print_message("# %s\n", problem);
				}
	fake_world_clear(&before);
	return problems;
}

static void test_scene(void **state) {
	const struct scene *scene = *state;
	struct tally tally = {0};
	int64_t problems = torture(scene, engine_table, false, &tally);
	int64_t happened = 0;
	for (int i = 1; i < FAULT_COUNT; i++)
		happened += tally.happened[i];
	print_message("# %s: %lld runs, %lld faults happened; outcomes:", scene->name, (long long) tally.runs, (long long) happened);
	for (int i = 0; i <= OUTCOME_LOCKED; i++)
		print_message(" %lld", (long long) tally.outcomes[i]);
	print_message(", errors %lld, problems %lld\n", (long long) tally.errors, (long long) problems);
	assert_true(happened > 0);
	assert_int_equal(problems, 0);
}

/* ---- broken twins ---- */

static enum event no_undo(struct run *run) {
	run->outcome = OUTCOME_ROLLED_BACK;
	run->head.candidate = (struct head_candidate){0};
	return EVENT_DONE;
}

static enum event no_gate(struct run *run) {
	(void) run;
	return EVENT_DONE;
}

static enum event prune_first(struct run *run) {
	enum event event = effect_promote(run);
	struct revision old;
	struct err err = {0};
	head_entry_revision(&run->head.good, &old);
	if (event == EVENT_DONE && run->head.good.n)
		best_effort(engine_retire(run, &old, false, &err)); /* the mistake that is to be caught */
	return event;
}

static enum event unverified(struct run *run) {
	(void) run;
	run->outcome = OUTCOME_DONE;
	run->head.good = run->subject.entry;
	run->head.candidate = (struct head_candidate){0};
	return EVENT_DONE;
}

static void check_twin(const char *name, effect_fn from, effect_fn to) {
	struct engine_row table[ENGINE_ROWS_MAX] = {{0}};
	for (size_t i = 0; engine_table[i].effect; i++) {
		table[i] = engine_table[i];
		if (table[i].effect == from)
			table[i].effect = to;
	}
	int64_t problems = 0;
	struct tally tally = {0};
	for (size_t i = 0; i < SCENES && !problems; i++)
		if (scenes[i].act == ACT_DEPLOY && scenes[i].before[0] && scenes[i].image != 'C' && scenes[i].image != 'N')
			problems += torture(&scenes[i], table, true, &tally);
	print_message("# twin \"%s\": caught in %lld of %lld runs\n", name, (long long) problems, (long long) tally.runs);
	assert_true(problems > 0);
}

static void test_twins(void **state) {
	(void) state;
	check_twin("rollback switched off", effect_undo, no_undo);
	check_twin("gate always passing", effect_bake, no_gate);
	check_twin("prune before commit", effect_promote, prune_first);
	check_twin("promote without looking", effect_promote, unverified);
}

int main(void) {
	struct CMUnitTest tests[SCENES + 1];
	for (size_t i = 0; i < SCENES; i++)
		tests[i] = (struct CMUnitTest){scenes[i].name, test_scene, NULL, NULL, (void *) &scenes[i]};
	tests[SCENES] = (struct CMUnitTest) cmocka_unit_test(test_twins);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
