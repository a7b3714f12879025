/* At a target that rolls: what somebody else did to NAME by hand, how long a roll may take, and what an interrupt leaves of it. */
#include "fakes/release_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WHILE_MS 2000

struct hand { /* what kubectl did, and what the next command comes to */
	const char *name;
	char letter;	  /* NAME's template becomes this one's; 0: NAME is deleted */
	int64_t replicas; /* and its size */
	int64_t ms;	  /* so long ago */
	bool is_harmless; /* the good version's pods still serve */
};
static const struct hand hands[] = {
	{"another image", 'Q', 2, WHILE_MS, false},
	{"another image, half rolled", 'Q', 2, 150, false},
	{"an image that can't start", 'S', 2, WHILE_MS, true},
	{"scaled to nothing", 'Q', 0, WHILE_MS, false},
	{"deleted", 0, 0, 0, false},
};

static void by_hand(struct fake_world *world, const struct hand *hand) {
	if (hand->letter)
		fake_by_hand(world, hand->letter, hand->replicas);
	else
		world->main = (struct fake_deployment){.revision = -1};
	fake_advance(world, hand->ms);
}

/* Which serves after the command, and after one more of the same: when the good version's pods are gone, and when not. */
static void check_by_hand(const struct scene *scene, const char *harmed, const char *unharmed) {
	for (size_t i = 0; i < sizeof(hands) / sizeof(hands[0]); i++) {
		const char *serving = hands[i].is_harmless ? unharmed : harmed;
		struct fake_world world;
		struct ending ending;
		scene_world(&world, scene);
		by_hand(&world, &hands[i]);
		for (int time = 0; time < 2; time++) {
			struct digest wanted = fake_digest(serving[time]);
			struct fake_client client;
			fake_client_init(&client, &world, 0);
			scene_act(&client, scene, engine_table, &ending);
			if (ending.rc != 0 || strcmp(fake_serving(&world).text, wanted.text) != 0)
				fail_msg("%s, then %s: not on %c after command %d, %d/%d: %s%s", hands[i].name, scene->name, serving[time],
					time + 1, ending.rc, (int) ending.result.outcome, ending.err.message, ending.result.cause);
		}
		const char *problem = scene_unserved(&world);
		if (problem)
			fail_msg("%s, then %s: %s", hands[i].name, scene->name, problem);
		fake_world_clear(&world);
	}
}

static void test_by_hand(void **state) {
	(void) state;
	check_by_hand(&(struct scene){.name = "the same again", .before = "A", .image = 'A', .is_rolling = true}, "AA", "AA");
	check_by_hand(&(struct scene){.name = "all at once", .before = "A", .image = 'B', .is_canary_none = true, .is_rolling = true}, "BB",
		"BB");
	check_by_hand(&(struct scene){.name = "rollback", .before = "AB", .act = ACT_ROLLBACK, .is_rolling = true}, "AA", "AA");
	/* Behind a canary there is nobody of the good version to compare with: first it is the good version's again. */
	check_by_hand(&(struct scene){.name = "behind a canary", .before = "A", .image = 'B', .is_rolling = true}, "AB", "BB");
}

/* A roll of four pods takes longer than each of them may; one that no longer moves ends, and says where it stood. */
static void test_time_of_each_pod(void **state) {
	(void) state;
	struct fake_world world;
	struct fake_client client;
	struct release_result result;
	struct err err = {0};
	AUTO_DOCUMENT struct document *objects = document_new("objects");
	value_add_int(objects, value_root_object(objects), "replicas", 4);
	fake_world_init(&world);
	world.is_rolling = true;
	fake_model_add(&world, 'A')->ready_ms = 3000;
	fake_model_add(&world, 'B')->ready_max = 3;
	struct deploy_request request = {.objects = objects->root, .ready_timeout_ms = 4000, .canary = {.is_none = true}};
	request.revision = (struct revision){.image = fake_digest('A'), .settings = fake_digest('_')};
	fake_client_init(&client, &world, 0);
	int64_t began_ms = world.mono_ms;
	assert_int_equal(release_deploy(&client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	request.revision.image = fake_digest('B');
	assert_int_equal(release_deploy(&client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_ROLLED_BACK);
	assert_non_null(strstr(result.cause, "3/4 replicas ready, not one more in 4.0 s"));
	request.revision.image = fake_digest('C');
	assert_int_equal(release_deploy(&client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	request.revision.image = fake_digest('A');
	began_ms = world.mono_ms;
	assert_int_equal(release_deploy(&client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_true(world.mono_ms - began_ms > 3 * 3000);
	assert_string_equal(world.violations, "");
	fake_world_clear(&world);
}

/* An interrupt in a roll says nothing of a weight that it does not have, and the next command knows the way. */
static void test_interrupted_roll(void **state) {
	(void) state;
	const struct scene scene = {.name = "interrupted", .before = "A", .image = 'Z', .is_canary_none = true, .is_rolling = true};
	int parked = 0, mixed = 0;
	for (int64_t at = 1; at < 200; at++) {
		struct fake_world world;
		struct fake_client client;
		struct ending ending;
		scene_world(&world, &scene);
		fake_client_init(&client, &world, 0);
		client.fault = FAULT_SIGNAL;
		client.fail_at = at;
		client.fail_times = 1;
		scene_act(&client, &scene, engine_table, &ending);
		struct head head = scene_head(&world);
		bool is_over = ending.rc == 0 && ending.result.outcome == OUTCOME_DONE && !client.happened;
		if (ending.rc == 0 && ending.result.outcome == OUTCOME_INTERRUPTED && head.candidate.phase == PHASE_PROMOTE) {
			parked++;
			mixed += strcmp(fake_serving(&world).text, "mixed") == 0;
			assert_int_equal(head.lock.fence, 0);
			scene_follow(&world, at % 2 ? ACT_ROLLBACK : ACT_DEPLOY, 'Z', &ending);
			assert_int_equal(ending.result.outcome, OUTCOME_DONE);
			assert_string_equal(fake_serving(&world).text, fake_digest(at % 2 ? 'A' : 'Z').text);
			assert_null(scene_unsettled(&world));
		}
		fake_world_clear(&world);
		if (is_over)
			break;
	}
	print_message("# interrupted in a roll %d times, %d of them half way\n", parked, mixed);
	assert_true(mixed > 0);
}

/* A field that somebody else has set is found before anything is touched; half way through, it is said that there is no way back. */
static void test_contested(void **state) {
	(void) state;
	const struct scene deploy = {.name = "contested", .before = "AB", .image = 'C', .is_canary_none = true, .is_rolling = true};
	const struct scene back = {.name = "contested", .before = "AB", .act = ACT_ROLLBACK, .is_rolling = true};
	struct fake_world world;
	struct fake_client client;
	struct ending ending;
	scene_world(&world, &deploy);
	world.is_contested = true;
	int64_t writes = world.writes;
	fake_client_init(&client, &world, 0);
	scene_act(&client, &deploy, engine_table, &ending);
	assert_int_equal(ending.rc, -1);
	assert_int_equal(ending.err.code, ERR_CONFLICT);
	assert_non_null(strstr(ending.err.message, "preflight: spec.replicas is kubectl's"));
	scene_act(&client, &back, engine_table, &ending);
	assert_int_equal(ending.rc, -1);
	assert_int_equal(ending.err.code, ERR_CONFLICT);
	assert_int_equal(world.writes, writes);
	fake_world_clear(&world);
	/* Set while it is on its way: everybody is still served, and the exit code does not say that all is as it was. */
	int stuck = 0, left = 0;
	for (int64_t at = 1; at < 60; at++) {
		const struct digest both[] = {fake_digest('B'), fake_digest('C')};
		scene_world(&world, &deploy);
		fake_client_init(&client, &world, 0);
		client.contest_at = at;
		scene_act(&client, &deploy, engine_table, &ending);
		bool is_refused = ending.rc != 0 && ending.err.code == ERR_CONFLICT;
		bool is_stuck = ending.rc == 0 && ending.result.outcome == OUTCOME_ROLLBACK_FAILED;
		if (is_stuck)
			assert_non_null(strstr(ending.result.cause, "going back failed: spec.replicas is kubectl's"));
		else if (ending.rc == 0 && ending.result.outcome == OUTCOME_ROLLED_BACK)
			assert_true(
				fake_serves_only(&world, both, 1)); /* nothing of NAME was changed, and the field is left to its owner */
		else
			assert_true(is_refused || ending.result.outcome == OUTCOME_DONE);
		stuck += is_stuck;
		left += ending.rc == 0 && ending.result.outcome == OUTCOME_ROLLED_BACK;
		assert_true(fake_serves_only(&world, both, 2));
		world.is_contested = false;
		if (is_stuck) {
			scene_follow(&world, ACT_ROLLBACK, 0, &ending);
			assert_int_equal(ending.result.outcome, OUTCOME_DONE);
			assert_true(fake_serves_only(&world, both, 1));
			assert_null(scene_unsettled(&world));
		}
		assert_string_equal(world.violations, "");
		fake_world_clear(&world);
	}
	print_message(
		"# contested on the way: %d times there was no way back, and it was said; %d times nothing was changed\n", stuck, left);
	assert_true(stuck > 0 && left > 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_time_of_each_pod),
		cmocka_unit_test(test_interrupted_roll),
		cmocka_unit_test(test_contested),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
