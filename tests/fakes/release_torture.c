#include "fakes/release_torture.h"

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

/* Where a target rolls by itself, what comes after a crash may find it anywhere between two revisions: the one that comes next is at once
 * there, and pods take their time. Here retire() protects nothing: the engine must never ask it to take what NAME serves. */
static const struct scene rolls[] = {
	{.name = "a roll, holder watched", .before = "A", .image = 'B', .is_canary_none = true, .has_flock = true, .settles = 'B'},
	{.name = "a slow roll, holder watched", .before = "A", .image = 'Z', .is_canary_none = true, .has_flock = true, .settles = 'Z'},
	{.name = "a roll to one that never is ready",
		.before = "A",
		.image = 'F',
		.is_canary_none = true,
		.has_flock = true,
		.settles = 'A'},
	{.name = "a roll that stops half way", .before = "A", .image = 'H', .is_canary_none = true, .has_flock = true, .settles = 'A'},
	{.name = "a roll behind a canary that stops half way", .before = "A", .image = 'H', .has_flock = true, .settles = 'A'},
	{.name = "a roll to one that can't start", .before = "A", .image = 'S', .is_canary_none = true, .has_flock = true, .settles = 'A'},
	{.name = "a whole roll to another digest", .before = "A", .image = 'L', .is_canary_none = true, .has_flock = true, .settles = 'A'},
	{.name = "a whole roll to wrong answers", .before = "Z", .image = 'W', .is_canary_none = true, .has_flock = true, .settles = 'Z'},
	{.name = "the first one is wrong", .before = "", .image = 'W', .has_flock = true, .settles = 0},
	{.name = "the first one is never ready", .before = "", .image = 'F', .has_flock = true, .settles = 0},
	{.name = "the first one gets half ready", .before = "", .image = 'H', .has_flock = true, .settles = 0},
	{.name = "the first one is slow", .before = "", .image = 'Z', .has_flock = true, .settles = 'Z'},
	{.name = "rollback, holder watched", .before = "AB", .act = ACT_ROLLBACK, .has_flock = true, .settles = 'A'},
	{.name = "a slow rollback, holder watched", .before = "ZB", .act = ACT_ROLLBACK, .has_flock = true, .settles = 'Z'},
	{.name = "destroy, holder watched", .before = "AB", .act = ACT_DESTROY, .has_flock = true, .settles = 0},
};
#define ROLLS (sizeof(rolls) / sizeof(rolls[0]))

struct tally {
	int64_t runs, happened[FAULT_COUNT];
	int64_t outcomes[OUTCOME_LOCKED + 1], errors, mixed; /* mixed: it ended with NAME between two revisions */
};

#define TIMES_FOREVER 4

struct blow { /* what goes wrong in one run */
	enum fake_fault fault;
	int64_t at, times; /* TIMES_FOREVER: the network is gone from this call on, until one more command */
	const struct engine_row *table;
	int64_t again_at; /* the next command, the same once more, is killed at this call; 0: it is not */
};

enum follow { FOLLOW_SAME, FOLLOW_ROLLBACK, FOLLOW_OTHER, FOLLOW_TIME, FOLLOW_DESTROY, FOLLOW_COUNT };
#define LONG_MS 600000

/* After one more command, whatever came before it. */
static const char *not_settled(const struct scene *scene, struct fake_world *world, enum follow follow, const struct ending *after) {
	if (follow == FOLLOW_DESTROY)
		return after->rc != 0 ? "a destroy failed" : scene_left_over(world);
	/* One that had nothing to do wrote nothing: what is owed stays owed, and a lease ends by itself. */
	bool is_idle = after->rc == 0 && (after->result.outcome == OUTCOME_REFUSED || after->result.outcome == OUTCOME_UNCHANGED);
	const char *problem = is_idle ? scene_unserved(world) : scene_unsettled(world);
	struct digest serving = fake_serving(world), wanted = fake_digest(follow == FOLLOW_OTHER ? 'C' : scene->settles);
	bool is_same = follow == FOLLOW_SAME || follow == FOLLOW_TIME;
	if (!problem && is_same && scene->act != ACT_ROLLBACK && scene->settles && !digest_equal(&serving, &wanted))
		return "one more of the same did not get there";
	return !problem && follow == FOLLOW_OTHER && !digest_equal(&serving, &wanted) ? "another deploy did not get there" : problem;
}

static void follow_up(struct fake_world *world, const struct scene *scene, enum follow follow, struct ending *after) {
	static const enum scene_act acts[FOLLOW_COUNT] = {
		[FOLLOW_ROLLBACK] = ACT_ROLLBACK, [FOLLOW_OTHER] = ACT_DEPLOY, [FOLLOW_DESTROY] = ACT_DESTROY};
	bool is_same = follow == FOLLOW_SAME || follow == FOLLOW_TIME;
	scene_follow(world, is_same ? scene->act : acts[follow], is_same ? scene->image : 'C', after);
}

static const char *kill_again(
	const struct scene *scene, const struct fake_world *before, struct fake_world *world, const struct blow *blow) {
	struct fake_client client;
	struct ending ending;
	fake_client_init(&client, world, 1);
	client.fault = FAULT_KILL_HALF;
	client.fail_at = blow->again_at;
	client.fail_times = 1;
	scene_act(&client, scene, blow->table, &ending);
	if (world->violation_count)
		return world->violations;
	return client.is_dead ? scene_misrouted(before, world) : NULL;
}

/* One run with its one more command; the first problem as a text, or NULL. */
static const char *play(
	const struct scene *scene, const struct fake_world *before, const struct blow *blow, enum follow follow, struct tally *tally) {
	static char text[8000];
	struct fake_world world;
	struct fake_client client;
	struct ending ending, after = {0};
	scene_copy(&world, before);
	fake_client_init(&client, &world, 0);
	client.fault = blow->fault;
	client.fail_at = blow->at;
	client.fail_times = blow->times == TIMES_FOREVER ? INT32_MAX : blow->times;
	scene_act(&client, scene, blow->table, &ending);
	tally->runs++;
	tally->happened[blow->fault] += client.happened;
	if (ending.rc == 0)
		tally->outcomes[ending.result.outcome]++;
	else
		tally->errors++;
	tally->mixed += strcmp(fake_serving(&world).text, "mixed") == 0;
	const char *problem = scene_problem(scene, before, &world, &client, &ending), *when = "at once";
	if (!problem && blow->again_at)
		problem = kill_again(scene, before, &world, blow);
	if (!problem && follow == FOLLOW_TIME) {
		when = "after a long time";
		fake_advance(&world, LONG_MS);
		problem = scene_drifted(before, &world);
	}
	if (!problem) {
		when = "after one more command";
		follow_up(&world, scene, follow, &after);
		problem = not_settled(scene, &world, follow, &after);
	}
	if (problem)
		snprintf(text, sizeof(text),
			"%s, %s at call %lld x%lld (again at %lld, then %d), %s: %s [ended %d/%d: %s%s; after %d/%d: %s%s]", scene->name,
			fake_fault_names[blow->fault], (long long) blow->at, (long long) blow->times, (long long) blow->again_at,
			(int) follow, when, problem, ending.rc, (int) ending.result.outcome, ending.err.message, ending.result.cause,
			after.rc, (int) after.result.outcome, after.err.message, after.result.cause);
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

static int64_t times_max(enum fake_fault fault) {
	return fault == FAULT_REFUSED ? TIMES_FOREVER : fault >= FAULT_KILL || fault == FAULT_NONE ? 1 : 3;
}

/* `make check` plays a sample; `make test` every place of a scene that is not a long one; no runner at all everything. */
enum depth { DEPTH_SAMPLE, DEPTH_MOST, DEPTH_ALL };

static enum depth depth_wanted(void) {
	const char *tier = getenv("TIER");
	return !tier ? DEPTH_ALL : strcmp(tier, "check") == 0 ? DEPTH_SAMPLE : DEPTH_MOST;
}

/* The faults whose leavings are looked at with other commands than the same again. */
static bool leaves_much(enum fake_fault fault, enum follow follow) {
	bool is_killed = fault >= FAULT_KILL && fault <= FAULT_KILL_HALF;
	if (follow == FOLLOW_TIME || follow == FOLLOW_DESTROY)
		return is_killed;
	return fault >= FAULT_KILL || fault == FAULT_LOST || fault == FAULT_REFUSED;
}

#define SAMPLED_PLACES 10
#define LONG_CALLS 120
#define LONG_PLACES 60

static bool is_played(enum depth depth, const struct blow *blow, int64_t calls, enum follow follow) {
	int64_t turn = blow->at + (int64_t) blow->fault;
	if (depth == DEPTH_SAMPLE) { /* some places, and after each one of the commands */
		int64_t stride = calls / SAMPLED_PLACES > 3 ? calls / SAMPLED_PLACES : 3;
		return (blow->times == 1 || blow->times == TIMES_FOREVER) && turn % stride == 0 &&
		       (int64_t) follow == turn / stride % FOLLOW_COUNT;
	}
	int64_t stride = depth == DEPTH_MOST && calls > LONG_CALLS ? calls / LONG_PLACES : 1;
	bool is_left_so = follow == FOLLOW_SAME || (blow->times == 1 && leaves_much(blow->fault, follow));
	return is_left_so && turn % stride == 0;
}

/* All of a scene; the number of problems, the first ones printed unless `is_quiet`. */
static int64_t torture(const struct scene *scene, const struct engine_row *table, bool is_quiet, struct tally *tally) {
	struct fake_world before;
	int64_t problems = 0;
	scene_world(&before, scene);
	if (before.violation_count)
		fail_msg("%s", before.violations);
	int64_t calls = calls_of(scene, &before);
	enum depth depth = depth_wanted();
	for (enum fake_fault fault = FAULT_NONE; fault < FAULT_COUNT; fault++) {
		if (!scene->is_rolling && (fault == FAULT_HALF || fault == FAULT_KILL_HALF)) /* there these are others by another name */
			continue;
		for (int64_t at = 1; at <= (fault == FAULT_NONE ? 1 : calls); at++)
			for (int64_t times = 1; times <= times_max(fault); times++)
				for (enum follow follow = 0; follow < FOLLOW_COUNT; follow++) {
					struct blow blow = {.fault = fault, .at = at, .times = times, .table = table};
					if (!is_played(depth, &blow, calls, follow))
						continue;
					const char *problem = play(scene, &before, &blow, follow, tally);
					if (problem && ++problems <= PROBLEMS_SHOWN && !is_quiet)
						print_message("# %s\n", problem);
				}
	}
	fake_world_clear(&before);
	return problems;
}

#define TWICE_PLACES 4
#define TWICE_PLACES_FULL 10

/* Killed, and whoever came after it too. */
static int64_t torture_twice(const struct scene *scene, struct tally *tally) {
	struct fake_world before;
	int64_t problems = 0;
	scene_world(&before, scene);
	int64_t calls = calls_of(scene, &before), places = depth_wanted() == DEPTH_SAMPLE ? TWICE_PLACES : TWICE_PLACES_FULL;
	for (int64_t i = 0; i < places * places; i++) {
		struct blow blow = {FAULT_KILL, 1 + i / places * calls / places, 1, engine_table, 1 + i % places * calls / places};
		const char *problem = play(scene, &before, &blow, (enum follow)(i % FOLLOW_COUNT), tally);
		if (problem && ++problems <= PROBLEMS_SHOWN)
			print_message("# %s\n", problem);
	}
	fake_world_clear(&before);
	return problems;
}

static void test_scene(void **state) {
	const struct scene *scene = *state;
	struct tally tally = {0};
	int64_t problems = torture(scene, engine_table, false, &tally);
	problems += torture_twice(scene, &tally);
	int64_t happened = 0;
	for (int i = 1; i < FAULT_COUNT; i++)
		happened += tally.happened[i];
	print_message("# %s: %lld runs, %lld faults happened; outcomes:", scene->name, (long long) tally.runs, (long long) happened);
	for (int i = 0; i <= OUTCOME_LOCKED; i++)
		print_message(" %lld", (long long) tally.outcomes[i]);
	print_message(", errors %lld; left half rolled %lld; problems %lld\n", (long long) tally.errors, (long long) tally.mixed,
		(long long) problems);
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

static void check_twin(bool is_rolling, const char *name, effect_fn from, effect_fn to) {
	struct engine_row table[ENGINE_ROWS_MAX] = {{0}};
	for (size_t i = 0; engine_table[i].effect; i++) {
		table[i] = engine_table[i];
		if (table[i].effect == from)
			table[i].effect = to;
	}
	int64_t problems = 0;
	struct tally tally = {0};
	for (size_t i = 0; i < SCENES && !problems; i++) {
		struct scene scene = scenes[i];
		scene.is_rolling = is_rolling;
		if (scene.act == ACT_DEPLOY && scene.before[0] && scene.image != 'C' && scene.image != 'N')
			problems += torture(&scene, table, true, &tally);
	}
	print_message("# twin \"%s\": caught in %lld of %lld runs\n", name, (long long) problems, (long long) tally.runs);
	assert_true(problems > 0);
}

/* Enough where the old version stands beside the new one, and nothing at all where it was rolled over. */
static enum event weight_only(struct run *run) {
	struct err err = {0};
	struct revision good;
	head_entry_revision(&run->head.good, &good);
	best_effort(engine_route(run, run->head.good.n ? &good : NULL, &run->subject.revision, NULL, 0, &err));
	best_effort(engine_retire(run, &run->subject.revision, false, &err));
	run->outcome = OUTCOME_ROLLED_BACK;
	run->head.candidate = (struct head_candidate){0};
	return EVENT_DONE;
}

static void test_twins(void **state) {
	bool is_rolling = *(const bool *) *state;
	check_twin(is_rolling, "rollback switched off", effect_undo, no_undo);
	check_twin(is_rolling, "gate always passing", effect_bake, no_gate);
	check_twin(is_rolling, "prune before commit", effect_promote, prune_first);
	check_twin(is_rolling, "promote without looking", effect_promote, unverified);
	if (is_rolling)
		check_twin(is_rolling, "undo by the weight alone", effect_undo, weight_only);
}

int torture_main(enum torture which) {
	static struct scene played[SCENES + ROLLS];
	static struct CMUnitTest tests[SCENES + ROLLS + 1];
	static bool is_rolling;
	const struct scene *from = which == TORTURE_ROLLS ? rolls : scenes;
	size_t count = 0, all = which == TORTURE_ROLLS ? ROLLS : SCENES;
	is_rolling = which != TORTURE_SIDE_BY_SIDE;
	for (; count < all; count++) {
		played[count] = from[count];
		played[count].is_rolling = is_rolling;
		played[count].is_retire_greedy = which == TORTURE_ROLLS;
		tests[count] = (struct CMUnitTest){played[count].name, test_scene, NULL, NULL, &played[count]};
	}
	if (which != TORTURE_ROLLS)
		tests[count++] = (struct CMUnitTest){"twins", test_twins, NULL, NULL, &is_rolling};
	return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}
