/* Several engines in one world: one stops before each of its calls while another does all of its own; both by turns and at random; fifty at
 * once. The world itself watches that the lock is taken only when it may be, that changes carry the lock's fence, and that `good` serves.
 */
#include "fakes/release_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct player {
	struct scene scene;
	struct ending ending;
	int64_t lock_wait_ms;
};

static void work(struct fake_job *job) {
	struct player *player = job->self;
	scene_act_waiting(job->client, &player->scene, engine_table, player->lock_wait_ms, &player->ending);
}

struct pair {
	const char *name, *before;
	struct scene first, second;
};
static const struct pair pairs[] = {
	{"two deploys", "A", {.act = ACT_DEPLOY, .image = 'B'}, {.act = ACT_DEPLOY, .image = 'C'}},
	{"the same deploy twice", "A", {.act = ACT_DEPLOY, .image = 'B'}, {.act = ACT_DEPLOY, .image = 'B'}},
	{"a bad deploy and a good one", "A", {.act = ACT_DEPLOY, .image = 'X'}, {.act = ACT_DEPLOY, .image = 'C'}},
	{"first deploys", "", {.act = ACT_DEPLOY, .image = 'A'}, {.act = ACT_DEPLOY, .image = 'B'}},
	{"deploy and rollback", "AB", {.act = ACT_DEPLOY, .image = 'C'}, {.act = ACT_ROLLBACK}},
	{"two rollbacks", "AB", {.act = ACT_ROLLBACK}, {.act = ACT_ROLLBACK}},
	{"rollback and deploy", "AB", {.act = ACT_ROLLBACK}, {.act = ACT_DEPLOY, .image = 'C'}},
	{"a slow deploy and a rollback", "AB", {.act = ACT_DEPLOY, .image = 'Z', .is_canary_none = true}, {.act = ACT_ROLLBACK}},
	{"a slow deploy and another", "A", {.act = ACT_DEPLOY, .image = 'Z', .is_canary_none = true}, {.act = ACT_DEPLOY, .image = 'C'}},
	{"deploy and destroy", "A", {.act = ACT_DEPLOY, .image = 'B'}, {.act = ACT_DESTROY}},
};
#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

struct choice { /* who goes next */
	struct fake_client *clients;
	int64_t hold_at; /* the first stops before this call until the second is done */
	uint64_t random; /* or: any, at random */
};

static int choose(void *self, const int *ready, int ready_count, int64_t turn) {
	struct choice *choice = self;
	(void) turn;
	if (choice->random) {
		choice->random ^= choice->random << 13;
		choice->random ^= choice->random >> 7;
		choice->random ^= choice->random << 17;
		/* Now and then one is slow: it lets the time pass while it could go on. */
		if (ready_count == 1 && choice->random % 97 == 0)
			return -1;
		return ready[choice->random % (uint64_t) ready_count];
	}
	for (int i = 0; i < ready_count; i++)
		if (ready[i] == 0 && choice->clients[0].calls < choice->hold_at)
			return 0;
	for (int i = 0; i < ready_count; i++)
		if (ready[i] == 1 && choice->clients[0].calls >= choice->hold_at)
			return 1;
	return choice->clients[1].is_done ? ready[0] : -1;
}

struct turns { /* the second begins at the first one's call, then they take turns */
	struct fake_client *clients;
	int64_t begin_at;
	bool is_begun, was_done, was_there;
};

static int take_turns(void *self, const int *ready, int ready_count, int64_t turn) {
	struct turns *turns = self;
	if (!turns->is_begun && (turns->clients[0].is_done || turns->clients[0].calls >= turns->begin_at)) {
		turns->is_begun = true;
		turns->was_done = turns->clients[0].is_done;
		struct head head = scene_head(turns->clients[0].world);
		turns->was_there = head.candidate.is.n == 3 || head.good.n == 3;
	}
	for (int i = 0; i < ready_count; i++)
		if (ready[i] == (turns->is_begun ? (int) (turn % 2) : 0))
			return ready[i];
	if (turns->is_begun)
		return ready[0];
	return turns->clients[0].is_done ? ready[0] : -1;
}

struct twin {
	bool is_lock_blind, is_fence_ignored;
	bool has_flock;
	bool is_fence_highest; /* no broken one: a target that only knows the highest fence so far */
	bool is_rolling;       /* nor this */
};

/* Plays a pair once; the first problem, or NULL. *calls: how many the first one made. */
static const char *play(const struct pair *pair, const struct fake_world *before, struct choice *choice, struct twin twin, int64_t *calls) {
	static char text[6000];
	struct fake_world world;
	struct fake_client clients[2];
	struct player players[2] = {{.scene = pair->first}, {.scene = pair->second}};
	struct fake_job jobs[2];
	scene_copy(&world, before);
	world.has_flock = twin.has_flock;
	world.is_fence_ignored = twin.is_fence_ignored;
	world.is_fence_highest = twin.is_fence_highest;
	for (int i = 0; i < 2; i++) {
		fake_client_init(&clients[i], &world, i);
		clients[i].is_lock_blind = twin.is_lock_blind;
		players[i].lock_wait_ms = choice->random % 2 ? 0 : 120000;
		jobs[i] = (struct fake_job){.client = &clients[i], .work = work, .self = &players[i]};
	}
	choice->clients = clients;
	fake_run_all(&world, jobs, 2, choose, choice);
	*calls = clients[0].calls;
	const char *problem = world.violation_count ? world.violations : NULL, *when = "at once";
	for (int i = 0; i < 2 && !problem; i++)
		if (players[i].ending.rc != 0 && players[i].ending.err.code == ERR_NONE)
			problem = "failed without a word";
	struct ending after;
	if (!problem) {
		when = "after one more command";
		scene_follow(&world, ACT_DEPLOY, 'D', &after);
		struct digest serving = fake_serving(&world), wanted = fake_digest('D');
		problem = scene_unsettled(&world);
		if (!problem && !digest_equal(&serving, &wanted))
			problem = "another deploy did not get there";
	}
	if (problem)
		snprintf(text, sizeof(text), "%s, held at %lld, random %llu, %s: %s [first %d/%d %.400s%.400s; second %d/%d %.400s%.400s]",
			pair->name, (long long) choice->hold_at, (unsigned long long) choice->random, when, problem, players[0].ending.rc,
			(int) players[0].ending.result.outcome, players[0].ending.err.message, players[0].ending.result.cause,
			players[1].ending.rc, (int) players[1].ending.result.outcome, players[1].ending.err.message,
			players[1].ending.result.cause);
	fake_world_clear(&world);
	return problem ? text : NULL;
}

#define RANDOM_RUNS 60
#define PROBLEMS_SHOWN 8

static int64_t play_all(const struct pair *pair, struct twin twin, bool is_quiet, int64_t *runs) {
	struct fake_world before;
	struct scene scene = {.name = pair->name, .before = pair->before, .is_rolling = twin.is_rolling};
	int64_t problems = 0, calls = INT64_MAX;
	scene_world(&before, &scene);
	if (before.violation_count)
		fail_msg("%s", before.violations);
	const char *tier = getenv("TIER");
	bool is_check = tier && strcmp(tier, "check") == 0; /* every third step then, and fewer random ones */
	for (int64_t at = 0; at <= calls; at += is_check && !is_quiet ? 3 : 1, (*runs)++) {
		struct choice choice = {.hold_at = at};
		const char *problem = play(pair, &before, &choice, twin, &calls);
		if (problem && ++problems <= PROBLEMS_SHOWN && !is_quiet)
			print_message("# %s\n", problem);
		if (problem && is_quiet)
			break;
	}
	for (uint64_t i = 1; i <= (is_check ? RANDOM_RUNS / 6 : RANDOM_RUNS) && !(is_quiet && problems); i++, (*runs)++) {
		struct choice choice = {.random = 0x9e3779b97f4a7c15ULL * i};
		const char *problem = play(pair, &before, &choice, twin, &calls);
		if (problem && ++problems <= PROBLEMS_SHOWN && !is_quiet)
			print_message("# %s\n", problem);
	}
	fake_world_clear(&before);
	return problems;
}

static void test_pair(void **state) {
	const struct pair *pair = *state;
	int64_t runs = 0, problems = play_all(pair, (struct twin){0}, false, &runs);
	problems += play_all(pair, (struct twin){.is_fence_highest = true, .has_flock = true}, false, &runs);
	problems += play_all(pair, (struct twin){.is_rolling = true}, false, &runs);
	print_message("# %s: %lld interleavings, %lld problems\n", pair->name, (long long) runs, (long long) problems);
	assert_int_equal(problems, 0);
}

static void test_twins(void **state) {
	(void) state;
	const struct twin twins[] = {{.is_lock_blind = true}, {.is_fence_ignored = true}, {.is_lock_blind = true, .is_rolling = true},
		{.is_fence_ignored = true, .is_rolling = true}};
	for (size_t t = 0; t < sizeof(twins) / sizeof(twins[0]); t++) {
		int64_t problems = 0, runs = 0;
		for (size_t i = 0; i < PAIRS && !problems; i++)
			problems += play_all(&pairs[i], twins[t], true, &runs);
		print_message("# twin \"%s ignored\"%s: caught after %lld runs\n", twins[t].is_lock_blind ? "lock" : "fence",
			twins[t].is_rolling ? " at a target that rolls" : "", (long long) runs);
		assert_true(problems > 0);
	}
}

/* A rollback typed while r3 was on its way ends on r2 whether it came before r3 was good (undone) or after (gone back from). */
static void check_rollback_means_away(bool is_rolling) {
	struct fake_world before;
	struct scene scene = {.name = "away", .before = "AB", .is_rolling = is_rolling};
	int undone = 0, runs = 0;
	scene_world(&before, &scene);
	int64_t calls = 300;
	for (int64_t at = 12; at < calls; at++) {
		struct fake_world world;
		struct fake_client clients[2];
		struct player players[2] = {
			{.scene = {.act = ACT_DEPLOY, .image = is_rolling ? 'Z' : 'C'}}, {.scene = {.act = ACT_ROLLBACK}}};
		struct fake_job jobs[2];
		scene_copy(&world, &before);
		for (int i = 0; i < 2; i++) {
			fake_client_init(&clients[i], &world, i);
			jobs[i] = (struct fake_job){.client = &clients[i], .work = work, .self = &players[i]};
		}
		struct turns turns = {.clients = clients, .begin_at = at};
		fake_run_all(&world, jobs, 2, take_turns, &turns);
		struct digest serving = fake_serving(&world), b = fake_digest('B'), a = fake_digest('A');
		bool is_late = turns.was_done;
		if (strcmp(serving.text, turns.was_there ? b.text : a.text) != 0 || players[1].ending.rc != 0 || world.violation_count)
			fail_msg("begun at call %lld: %s%s%s", (long long) at, world.violations, players[1].ending.err.message,
				players[1].ending.result.cause);
		undone += players[0].ending.rc == 0 && players[0].ending.result.outcome == OUTCOME_LOCKED;
		runs++;
		calls = is_late ? at : calls;
		fake_world_clear(&world);
	}
	fake_world_clear(&before);
	print_message("# %d rollbacks during a deploy%s: %d took the lock from it\n", runs, is_rolling ? " that rolls" : "", undone);
	assert_true(undone > (is_rolling ? runs / 2 : 0) && undone < runs);
}

static void test_rollback_means_away(void **state) {
	(void) state;
	check_rollback_means_away(false);
	check_rollback_means_away(true); /* half way through a roll too */
}

#define CROWD 50

static void test_crowd(void **state) {
	(void) state;
	for (int round = 0; round < 4; round++) {
		bool is_waiting = round % 2, is_rolling = round >= 2;
		struct fake_world before, *world = NEW(struct fake_world);
		struct scene scene = {.name = "crowd", .before = "A", .is_rolling = is_rolling};
		struct fake_client *clients = mem_zero(CROWD, sizeof(*clients));
		struct player *players = mem_zero(CROWD, sizeof(*players));
		struct fake_job *jobs = mem_zero(CROWD, sizeof(*jobs));
		int ends[OUTCOME_LOCKED + 1] = {0};
		scene_world(&before, &scene);
		scene_copy(world, &before);
		for (int i = 0; i < CROWD; i++) {
			fake_client_init(&clients[i], world, i);
			players[i] = (struct player){
				.scene = {.act = ACT_DEPLOY, .image = (char) ('B' + i % 2)}, .lock_wait_ms = is_waiting ? 3600000 : 0};
			jobs[i] = (struct fake_job){.client = &clients[i], .work = work, .self = &players[i]};
		}
		struct choice choice = {.clients = clients, .random = 88172645463325252ULL};
		fake_run_all(world, jobs, CROWD, choose, &choice);
		for (int i = 0; i < CROWD; i++) {
			assert_int_equal(players[i].ending.rc, 0);
			ends[players[i].ending.result.outcome]++;
		}
		print_message("# %d deploys at once%s, %s: %d done, %d unchanged, %d locked out (exit 7)\n", CROWD,
			is_rolling ? " that roll" : "", is_waiting ? "waiting for the lock" : "not waiting", ends[OUTCOME_DONE],
			ends[OUTCOME_UNCHANGED], ends[OUTCOME_LOCKED]);
		assert_string_equal(world->violations, "");
		assert_int_equal(ends[OUTCOME_DONE] + ends[OUTCOME_UNCHANGED] + ends[OUTCOME_LOCKED], CROWD);
		assert_true(ends[OUTCOME_DONE] >= 1);
		if (is_waiting)
			assert_int_equal(ends[OUTCOME_LOCKED], 0);
		assert_null(scene_unsettled(world));
		fake_world_clear(world);
		fake_world_clear(&before);
		free(world);
		free(clients);
		free(players);
		free(jobs);
	}
}

int main(void) {
	struct CMUnitTest tests[PAIRS + 3];
	for (size_t i = 0; i < PAIRS; i++)
		tests[i] = (struct CMUnitTest){pairs[i].name, test_pair, NULL, NULL, (void *) &pairs[i]};
	tests[PAIRS] = (struct CMUnitTest) cmocka_unit_test(test_twins);
	tests[PAIRS + 1] = (struct CMUnitTest) cmocka_unit_test(test_crowd);
	tests[PAIRS + 2] = (struct CMUnitTest) cmocka_unit_test(test_rollback_means_away);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
