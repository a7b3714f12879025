/* A plan as a document: what it says, what it is read back as, what is refused, and that a deploy is held to it, also when another comes
 * first. */
#include "fakes/release_scene.h"

#include "release/planned.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct place_ {
	struct fake_world world;
	struct fake_client client;
	struct document *objects, *settings;
	struct deploy_request request;
};

static int set_up(void **state) {
	struct place_ *p = NEW(struct place_);
	fake_world_init(&p->world);
	fake_client_init(&p->client, &p->world, 0);
	p->objects = document_new("objects");
	value_add_int(p->objects, value_root_object(p->objects), "replicas", 2);
	p->settings = document_new("settings");
	value_add_text(p->settings, value_root_object(p->settings), "timeout", "3s");
	p->request = (struct deploy_request){
		.objects = p->objects->root, .settings = p->settings->root, .golden = "{}", .canary = {.is_none = true}};
	p->request.golden = NULL;
	p->request.revision.image = fake_digest('A');
	p->request.revision.settings = fake_digest('_');
	*state = p;
	return 0;
}

static int tear_down(void **state) {
	struct place_ *p = *state;
	int rc = p->world.violation_count ? -1 : 0;
	fake_world_clear(&p->world);
	document_free(p->objects);
	document_free(p->settings);
	free(p);
	return rc;
}

static char *plan_text(struct place_ *p, struct release_plan *plan) {
	struct err err = {0};
	char *text = NULL;
	AUTO_DOCUMENT struct document *document = document_new("plan");
	value_add_text(document, value_root_object(document), "schema", "mlctl.plan/1");
	if (release_plan(&p->client.context, &p->request, plan, &err) != 0 ||
		planned_write(&p->client.context, &p->request, plan, document, document->root, &err) != 0 ||
		json_write(document->root, JSON_COMPACT, &text, &err) != 0)
		fail_msg("%s", err.message);
	return text;
}

static struct planned read_back(const char *text) {
	struct planned planned;
	struct err err = {0};
	if (planned_parse("plan.json", str_of(text), &planned, &err) != 0)
		fail_msg("%s: %s", text, err.message);
	return planned;
}

static enum outcome deploy(struct place_ *p) {
	struct release_result result;
	struct err err = {0};
	if (release_deploy(&p->client.context, &p->request, &result, &err) != 0)
		fail_msg("%s", err.message);
	return result.outcome;
}

static void check_stale(struct place_ *p, const char *says) {
	struct release_result result;
	struct err err = {0};
	int64_t writes = p->world.writes;
	assert_int_equal(release_deploy(&p->client.context, &p->request, &result, &err), -1);
	if (err.code != ERR_CONFLICT || !strstr(err.message, says))
		fail_msg("code %d: %s", (int) err.code, err.message);
	assert_int_equal(p->world.writes, writes);
	assert_int_equal(scene_head(&p->world).lock.fence, 0);
}

static void test_says(void **state) {
	struct place_ *p = *state;
	struct release_plan plan;
	AUTO_FREE char *first = plan_text(p, &plan);
	assert_non_null(strstr(first, "\"kind\":\"first\""));
	assert_non_null(strstr(first, "{\"object\":\"fraud\",\"change\":\"create\",\"path\":\"\",\"to\":{\"replicas\":2}}"));
	assert_int_equal(deploy(p), OUTCOME_DONE);
	AUTO_FREE char *same = plan_text(p, &plan);
	assert_non_null(strstr(same, "\"kind\":\"unchanged\""));
	assert_non_null(strstr(same, "\"settings\":[],\"objects\":[]"));
	AUTO_DOCUMENT struct document *settings = document_new("settings"), *objects = document_new("objects");
	value_add_text(settings, value_root_object(settings), "timeout", "2s");
	value_add_int(objects, value_root_object(objects), "replicas", 3);
	p->request.settings = settings->root;
	p->request.objects = objects->root;
	p->request.revision.image = fake_digest('B');
	AUTO_FREE char *other = plan_text(p, &plan);
	assert_non_null(strstr(other, "\"kind\":\"direct\""));
	assert_non_null(strstr(other, "\"settings\":[{\"path\":\"timeout\",\"from\":\"3s\",\"to\":\"2s\"}]"));
	assert_non_null(strstr(other, "\"path\":\"replicas\",\"from\":2,\"to\":3}]"));
	assert_non_null(strstr(other, fake_digest('A').text));
}

static void test_refused(void **state) {
	(void) state;
	const struct {
		const char *text, *says;
	} cases[] = {
		{"", "plan.json"},
		{"[]", "schema"},
		{"{\"schema\":\"mlctl.plan/2\"}", "mlctl.plan/1"},
		{"{\"schema\":\"mlctl.plan/1\"}", "kind"},
		{"{\"schema\":\"mlctl.plan/1\",\"kind\":\"first\",\"image_digest\":\"sha256:12\",\"generation\":1}", "sha256:12"},
		{"{\"schema\":\"mlctl.plan/1\",\"kind\":\"first\",\"image_digest\":"
		 "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}",
			"generation"},
		{"{\"schema\":\"mlctl.plan/1\",\"kind\":\"back\",\"generation\":1,\"image_digest\":"
		 "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}",
			"kind back"},
		{"{\"schema\":\"mlctl.plan/1\",\"kind\":\"refused\",\"generation\":1,\"image_digest\":"
		 "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}",
			"kind refused"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct planned planned;
		struct err err = {0};
		assert_int_equal(planned_parse("plan.json", str_of(cases[i].text), &planned, &err), -1);
		if (err.code != ERR_INVALID || (!strstr(err.message, cases[i].says) && !strstr(err.at, cases[i].says)))
			fail_msg("%s: code %d: %s (%s)", cases[i].text, (int) err.code, err.message, err.at);
	}
}

static void check_differs(struct place_ *p, const struct planned *planned, const char *says) {
	struct err err = {0};
	assert_int_equal(planned_check(planned, &p->client.context, &p->request, &err), -1);
	if (err.code != ERR_CONFLICT || !strstr(err.message, says))
		fail_msg("code %d: %s", (int) err.code, err.message);
}

static void test_request_differs(void **state) {
	struct place_ *p = *state;
	struct release_plan plan;
	struct err err = {0};
	AUTO_FREE char *text = plan_text(p, &plan);
	struct planned planned = read_back(text);
	assert_int_equal(planned_check(&planned, &p->client.context, &p->request, &err), 0);
	p->request.golden = "{}";
	check_differs(p, &planned, "golden examples none");
	p->request.golden = NULL;
	p->request.objects = p->settings->root;
	check_differs(p, &planned, "objects");
	p->request.settings = p->objects->root;
	check_differs(p, &planned, "settings");
	p->request.revision.image = fake_digest('B');
	check_differs(p, &planned, "image");
	p->client.context.env = "prod";
	check_differs(p, &planned, "environment test, now it is prod");
	p->client.context.service = "other";
	check_differs(p, &planned, "service fraud");
}

static void test_held_to(void **state) {
	struct place_ *p = *state;
	struct release_plan plan;
	struct err err = {0};
	free(plan_text(p, &plan));
	p->request.planned = &plan;
	assert_int_equal(deploy(p), OUTCOME_DONE);
	check_stale(p, "r1 is good now");
	p->request.revision.image = fake_digest('B');
	free(plan_text(p, &plan));
	assert_int_equal(release_freeze(&p->client.context, "audit", &err), 0);
	assert_int_equal(release_freeze(&p->client.context, NULL, &err), 0);
	check_stale(p, "the head was written since");
	free(plan_text(p, &plan));
	assert_int_equal(deploy(p), OUTCOME_DONE);
	free(plan_text(p, &plan));
	assert_int_equal(plan.kind, PLAN_UNCHANGED);
	struct digest b = fake_digest('B');
	fake_find(&p->world, &b)->desired = 0; /* the head is the same, what runs is not */
	check_stale(p, "what runs has changed");
	fake_find(&p->world, &b)->desired = 2;
	assert_int_equal(deploy(p), OUTCOME_UNCHANGED);
}

struct racer {
	struct deploy_request *request;
	struct release_result result;
	struct err err;
	int rc;
};

static void race(struct fake_job *job) {
	struct racer *racer = job->self;
	racer->rc = release_deploy(&job->client->context, racer->request, &racer->result, &racer->err);
}

static int in_turn(void *self, const int *ready, int ready_count, int64_t turn) {
	(void) turn;
	int64_t *held = self; /* the first makes so many calls, then the second goes through, then the first goes on */
	for (int i = 0; i < ready_count; i++)
		if (ready[i] == ((*held)-- > 0 ? 0 : 1))
			return ready[i];
	return ready[0];
}

/* Another deploy at any moment of one that is held to a plan: either the plan was done first, or it is stale; never on top of the other's.
 */
static void test_another_comes_between(void **state) {
	struct place_ *p = *state;
	struct release_plan plan;
	int stale = 0, done = 0;
	assert_int_equal(deploy(p), OUTCOME_DONE);
	p->request.revision.image = fake_digest('B');
	p->request.lock_wait_ms = 60000;
	free(plan_text(p, &plan));
	for (int64_t hold = 0; hold < 60; hold++) {
		struct fake_world world;
		struct fake_client clients[2];
		struct deploy_request requests[2] = {p->request, p->request};
		struct racer racers[2] = {{.request = &requests[0]}, {.request = &requests[1]}};
		struct fake_job jobs[2];
		requests[0].planned = &plan;
		requests[1].revision.image = fake_digest('C');
		scene_copy(&world, &p->world);
		for (int i = 0; i < 2; i++) {
			fake_client_init(&clients[i], &world, i);
			jobs[i] = (struct fake_job){.client = &clients[i], .work = race, .self = &racers[i]};
		}
		int64_t held = hold;
		fake_run_all(&world, jobs, 2, in_turn, &held);
		bool is_stale = racers[0].rc != 0 && racers[0].err.code == ERR_CONFLICT;
		bool is_done = racers[0].rc == 0 && racers[0].result.outcome == OUTCOME_DONE && racers[0].result.release == 2;
		if (!is_stale && !is_done)
			fail_msg("held at %lld: %d, r%lld: %s%s", (long long) hold, (int) racers[0].result.outcome,
				(long long) racers[0].result.release, racers[0].err.message, racers[0].result.cause);
		stale += is_stale;
		done += is_done;
		assert_string_equal(world.violations, "");
		assert_null(scene_unsettled(&world));
		fake_world_clear(&world);
	}
	print_message("# another deploy came between: %d times the plan was stale, %d times it was done first\n", stale, done);
	assert_true(stale > 0 && done > 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_says),
		CASE(test_refused),
		CASE(test_request_differs),
		CASE(test_held_to),
		CASE(test_another_comes_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
